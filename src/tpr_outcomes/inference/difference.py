r"""Two clinics, or two years of one: the difference of two estimates that share nothing, with its interval.

Each estimate comes with an interval of its own, which may reach further on one side than on the other.
Nothing but the four ends is needed, so whatever a report prints with an interval can be compared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tpr_outcomes.errors import FitError

INTERVALS = "MOVER from the two intervals"
"""How the interval of a difference is made; with symmetric intervals, independent standard errors."""


@dataclass(frozen=True)
class Estimate:
    """One estimate as a report prints it.

    Attributes
    ----------
    estimate, conf_low, conf_high : float
        An end that runs off what was seen is NaN or infinite.
    std_error : float
        NaN where the report gives none.
    level : float
        Of the interval.
    """

    estimate: float
    conf_low: float
    conf_high: float
    std_error: float = math.nan
    level: float = 0.95


@dataclass(frozen=True)
class Difference:
    """The second estimate less the first.

    Attributes
    ----------
    estimate, conf_low, conf_high, level : float
        An open end is infinite.
    std_error : float
        NaN unless both estimates have one.
    """

    estimate: float
    conf_low: float
    conf_high: float
    std_error: float
    level: float

    @property
    def told_from_none(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.conf_low > 0.0 or self.conf_high < 0.0


def difference(first: Estimate, second: Estimate) -> Difference:
    r"""Return the second estimate less the first, with an interval.

    Parameters
    ----------
    first, second : Estimate
        From different people: nothing in common, and intervals of one level.

    Returns
    -------
    Difference

    Raises
    ------
    FitError
        When the levels differ, an estimate is no number, or lies outside its own interval.

    Notes
    -----
    With estimates :math:`a, b` and ends :math:`l_a, u_a, l_b, u_b`, the method of variance estimates recovery
    (MOVER; Zou & Donner 2008, doi:10.1002/sim.3095) gives

    .. math:: L = b-a-\sqrt{(b-l_b)^2+(u_a-a)^2},\quad U = b-a+\sqrt{(u_b-b)^2+(a-l_a)^2}.

    With Wilson's intervals of two shares this is Newcombe's (1998, doi:10.1002/(SICI)1097-0258(19980430)17:8)
    method 10. Where both intervals are :math:`\pm z` standard errors it is
    :math:`b-a\pm z\sqrt{s_a^2+s_b^2}`. An open end of either makes the end it enters infinite.

    Examples
    --------
    >>> found = difference(Estimate(1.0, 0.0, 2.0), Estimate(3.0, 2.0, 6.0))
    >>> round(found.conf_low, 3), round(found.conf_high, 3)
    (0.586, 5.162)
    """
    if first.level != second.level:
        raise FitError(f"Intervals of {first.level:g} and {second.level:g} do not go together.")
    for one in first, second:
        inside = not (one.conf_low > one.estimate or one.estimate > one.conf_high)
        if not (math.isfinite(one.estimate) and inside):
            raise FitError("An estimate is no number, or lies outside its own interval.")
    middle = second.estimate - first.estimate
    down = math.hypot(_reach(second.estimate, second.conf_low), _reach(first.estimate, first.conf_high))
    up = math.hypot(_reach(second.estimate, second.conf_high), _reach(first.estimate, first.conf_low))
    return Difference(
        estimate=middle,
        conf_low=middle - down,
        conf_high=middle + up,
        std_error=math.hypot(first.std_error, second.std_error),
        level=first.level,
    )


def _reach(estimate: float, end: float) -> float:
    """Return how far an interval reaches on one side; an open end reaches without limit."""
    return abs(end - estimate) if math.isfinite(end) else math.inf
