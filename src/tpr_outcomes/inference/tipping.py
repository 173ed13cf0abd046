r"""Tipping points in plain units: how wrong an assumption would have to be.

Pure functions of numbers other modules have already estimated. None of them makes a doubtful
assumption true: each turns "the assumption may fail" into "it would have to fail by this much".

- :func:`hinge_bias` – scale points of bias, shaped like the claim itself, that would explain it;
- :func:`robustness_value`, :func:`omitted_bias`, :func:`benchmark_bound` – the partial :math:`R^2`
  an unrecorded reason for needling would need (Cinelli & Hazlett 2020, doi:10.1111/rssb.12348);
- :func:`true_threshold` – the threshold in true twitches if only a share of them was recorded;
- :func:`natural_course` – how much faster the heavily needled would have had to recover anyway.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import pandas as pd
from scipy import stats

from tpr_outcomes.errors import PlanError


@dataclass(frozen=True)
class HingeBias:
    """Bias that brings the relief past the threshold to nothing.

    Attributes
    ----------
    knot, dose : float
        Threshold, and the cumulative dose at which relief is read (twitches).
    relief, relief_low : float
        Relief gained between ``knot`` and ``dose`` and its lower confidence bound (scale points; positive
        is better).
    bias : float
        Smallest bias at ``dose`` (scale points) that brings the lower bound to 0; 0 where that bound is
        not above 0 to begin with.
    bias_estimate : float
        Smallest bias at ``dose`` that brings the estimate itself to 0; 0 where there is no relief.
    bias_per_twitch : float
        ``bias`` for each twitch past the threshold (scale points).
    pain_on_dose : float or None
        Yardstick: how far *recorded* pain moves the dose (twitches at a visit per scale point).
    """

    knot: float
    dose: float
    relief: float
    relief_low: float
    bias: float
    bias_estimate: float
    bias_per_twitch: float
    pain_on_dose: float | None

    def to_frame(self) -> pd.DataFrame:
        """Return one row, a column per attribute."""
        return pd.DataFrame([asdict(self)])


def hinge_bias(
    slope: float, slope_high: float, *, knot: float, dose: float, pain_on_dose: float | None = None
) -> HingeBias:
    r"""Smallest hinge-shaped bias that would explain the relief past a threshold.

    Parameters
    ----------
    slope : float
        Change of pain per twitch past the threshold (scale points; negative is relief).
    slope_high : float
        Upper confidence limit of ``slope``: the least relief still believed.
    knot : float
        Threshold :math:`\tau` (twitches).
    dose : float
        Cumulative dose :math:`C` at which relief is read, usually the 95th percentile (twitches).
    pain_on_dose : float, optional
        Recorded-pain-on-dose coefficient, carried along as a yardstick (twitches per scale point).

    Returns
    -------
    HingeBias

    Raises
    ------
    PlanError
        If ``dose`` does not lie past ``knot``, or ``slope`` lies above ``slope_high``.

    Notes
    -----
    A bias :math:`-B\,(c-\tau)_+/(C-\tau)` in the mean of the ratings moves the estimated slope by
    exactly :math:`-B/(C-\tau)`, because it lies in the span of the hinge. The lower bound of relief,
    :math:`L=-b_{high}(C-\tau)`, is therefore 0 once :math:`B=L`. A bias of another shape must be larger
    or equal in its projection on the hinge: read the number as the *least* a confounder would have to do.

    Examples
    --------
    >>> hinge_bias(-0.05, -0.03, knot=30.0, dose=80.0).bias
    1.5
    """
    if not dose > knot:
        raise PlanError(
            f"Relief is read at {dose:g} twitches, which does not lie past the threshold of {knot:g}; "
            "give a dose past the threshold, for example the 95th percentile of the cumulative dose."
        )
    if not slope <= slope_high:
        raise PlanError(
            f"The slope {slope:g} lies above its own upper limit {slope_high:g}; give the upper limit of "
            "the interval for the change of pain per twitch."
        )
    past = dose - knot
    relief, relief_low = -slope * past, -slope_high * past
    bias = max(relief_low, 0.0)
    return HingeBias(
        knot=knot,
        dose=dose,
        relief=relief,
        relief_low=relief_low,
        bias=bias,
        bias_estimate=max(relief, 0.0),
        bias_per_twitch=bias / past,
        pain_on_dose=pain_on_dose,
    )


def partial_r2(t: float, df: float) -> float:
    r"""Partial :math:`R^2` of a linear coefficient, :math:`t^2/(t^2+\mathrm{df})`.

    Parameters
    ----------
    t : float
        Ordinary least-squares t statistic (model-based standard error, not a clustered one).
    df : float
        Residual degrees of freedom, above 0.
    """
    _check_df(df, at_least=0.0)
    return t * t / (t * t + df)


def robustness_value(t: float, df: float, *, share: float = 1.0, level: float | None = None) -> float:
    r"""Robustness value of a linear coefficient (Cinelli & Hazlett 2020).

    Parameters
    ----------
    t : float
        Ordinary least-squares t statistic.
    df : float
        Residual degrees of freedom, above 1.
    share : float, default 1
        Share :math:`q` of the estimate that bias would have to remove; 1 brings it to 0.
    level : float, optional
        With a confidence level (e.g. 0.95): bias that makes the interval touch the reduced value. Without:
        bias that moves the estimate itself.

    Returns
    -------
    float
        Share of the residual variance of *both* dose and later pain (0 to 1) that an unrecorded variable
        would have to explain. Anything weaker with both cannot do it.

    Notes
    -----
    With :math:`f=|t|/\sqrt{\mathrm{df}}`,
    :math:`f^*=t_{1-\alpha/2,\,\mathrm{df}-1}/\sqrt{\mathrm{df}-1}` (0 without a level) and
    :math:`f_{q}=qf-f^*`,

    .. math:: RV = \tfrac12\left(\sqrt{f_q^4+4f_q^2}-f_q^2\right),

    0 if :math:`f_q\le0`, and :math:`(q^2f^2-f^{*2})/(1+q^2f^2)` where :math:`f_q>0` and
    :math:`qf>1/f^*`, when the constraint that the outcome partial :math:`R^2` is at most 1 does not bind.

    Examples
    --------
    >>> round(robustness_value(4.18445, 783), 4)
    0.1388
    """
    _check_df(df, at_least=1.0)
    f = share * abs(t) / math.sqrt(df)
    f_star = 0.0
    if level is not None:
        f_star = float(stats.t.ppf(0.5 + level / 2, df - 1)) / math.sqrt(df - 1)
    f_q = f - f_star
    if f_q <= 0:
        return 0.0
    if f_star > 0 and f > 1 / f_star:
        return (f**2 - f_star**2) / (1 + f**2)
    return 0.5 * (math.sqrt(f_q**4 + 4 * f_q**2) - f_q**2)


def omitted_bias(std_error: float, df: float, *, r2_dose: float, r2_outcome: float) -> float:
    r"""Size of the bias an omitted variable causes in a linear coefficient.

    Parameters
    ----------
    std_error, df : float
        Model-based standard error of the coefficient and its residual degrees of freedom.
    r2_dose : float
        Partial :math:`R^2` of the omitted variable with the dose given the other covariates, 0 to below 1.
    r2_outcome : float
        Partial :math:`R^2` of the omitted variable with the outcome given dose and covariates, 0 to 1.

    Returns
    -------
    float
        :math:`\mathrm{se}\sqrt{\mathrm{df}\;R^2_{Y}R^2_{D}/(1-R^2_{D})}`, in units of the coefficient: an
        identity of least squares, not an approximation (Cinelli & Hazlett 2020).
    """
    _check_df(df, at_least=0.0)
    if not (0 <= r2_dose < 1 and 0 <= r2_outcome <= 1):
        raise PlanError(
            f"Partial R-squared values {r2_dose:g} (dose) and {r2_outcome:g} (outcome) were given; "
            "the first must lie from 0 to below 1, the second from 0 to 1."
        )
    return std_error * math.sqrt(df * r2_outcome * r2_dose / (1 - r2_dose))


def benchmark_bound(r2_dose: float, r2_outcome: float, *, times: float = 1.0) -> tuple[float, float]:
    r"""Partial :math:`R^2` of an unrecorded variable ``times`` as strong as a recorded one.

    Parameters
    ----------
    r2_dose : float
        Partial :math:`R^2` of the recorded variable (here: pain before needling) with the dose, given the
        other covariates.
    r2_outcome : float
        Its partial :math:`R^2` with the outcome, given dose and the other covariates.
    times : float, default 1
        How many times as strong, for dose and outcome alike.

    Returns
    -------
    tuple of float
        Bounds for the two arguments of :func:`omitted_bias`, dose first. The second is capped at 1.

    Notes
    -----
    Cinelli & Hazlett 2020: with :math:`R_D, R_Y` the benchmark's values and :math:`k` = ``times``,
    :math:`R^2_{D\sim Z}=kR_D/(1-R_D)`, :math:`\rho^2=kR_D^2/\{(1-kR_D)(1-R_D)\}` and
    :math:`R^2_{Y\sim Z}\le\{(\sqrt k+\rho)^2/(1-\rho^2)\}\,R_Y/(1-R_Y)`.
    """
    if not (0 <= r2_dose < 1 and 0 <= r2_outcome < 1 and times > 0):
        raise PlanError(
            f"A benchmark with partial R-squared {r2_dose:g} and {r2_outcome:g}, {times:g} times as strong, "
            "was asked for; the two values must lie from 0 to below 1 and the multiple above 0."
        )
    dose = times * r2_dose / (1 - r2_dose)
    if dose >= 1:
        raise PlanError(
            f"Nothing can be {times:g} times as strong as a variable with partial R-squared {r2_dose:g} with "
            "the dose; ask for a smaller multiple."
        )
    rho2 = times * r2_dose**2 / ((1 - times * r2_dose) * (1 - r2_dose))
    outcome = (math.sqrt(times) + math.sqrt(rho2)) ** 2 / (1 - rho2) * r2_outcome / (1 - r2_outcome)
    return dose, min(outcome, 1.0)


def true_threshold(
    threshold: float,
    conf_low: float | None = None,
    conf_high: float | None = None,
    *,
    shares: Sequence[float] = (0.5, 0.7, 0.9),
) -> pd.DataFrame:
    r"""Threshold in true twitches if only a share of them is recorded.

    Parameters
    ----------
    threshold : float
        Threshold in *recorded* twitches.
    conf_low, conf_high : float, optional
        Its interval, in recorded twitches.
    shares : sequence of float, default (0.5, 0.7, 0.9)
        Shares :math:`s` of true twitches that reach the record, each above 0 and at most 1.

    Returns
    -------
    DataFrame
        One row per share: ``share_recorded, threshold, conf_low, conf_high`` in true twitches,
        :math:`\tau/s`.

    Notes
    -----
    A hinge in the recorded count :math:`C_r=sC` at :math:`\tau_r` is the same function as a hinge in
    :math:`C` at :math:`\tau_r/s`. That holds for one constant share; a share that varies over patients,
    depth or pain also blurs the hinge, which no division repairs.
    """
    if not shares or any(not 0 < share <= 1 for share in shares):
        raise PlanError(
            f"Shares recorded {tuple(shares)} were given; each must lie above 0 and be at most 1."
        )
    table = pd.DataFrame({"share_recorded": [float(share) for share in shares]})
    for name, value in (("threshold", threshold), ("conf_low", conf_low), ("conf_high", conf_high)):
        table[name] = (math.nan if value is None else value) / table["share_recorded"]
    return table


@dataclass(frozen=True)
class NaturalCourse:
    """How much faster heavily needled patients would have had to recover without any needling.

    Attributes
    ----------
    relief : float
        Relief to be explained away (scale points).
    weeks : float
        Time since the first visit at which it is read.
    points_per_week : float
        Extra natural recovery needed, spread evenly over that time (scale points a week).
    times_as_fast : float
        Factor on the rate of an exponential recovery; ``inf`` if no rate would do.
    time_constant : float
        Time constant such a recovery would need (weeks); 0 if no rate would do.
    expected : float
        Natural recovery of everybody else by then (scale points).
    room : float
        Most that faster natural recovery could add by then (scale points): what is left of ``fall``.
    """

    relief: float
    weeks: float
    points_per_week: float
    times_as_fast: float
    time_constant: float
    expected: float
    room: float

    def to_frame(self) -> pd.DataFrame:
        """Return one row, a column per attribute."""
        return pd.DataFrame([asdict(self)])


def natural_course(relief: float, *, weeks: float, fall: float, time_constant: float) -> NaturalCourse:
    r"""Find the natural recovery that would produce the relief without needling.

    Parameters
    ----------
    relief : float
        Relief to explain (scale points): the estimate, or more strictly its lower confidence bound.
        Zero or less needs no explanation.
    weeks : float
        Time :math:`t` since the first visit at which that relief is read, above 0.
    fall : float
        How far pain falls in the end with no needling, :math:`F` (scale points, above 0).
    time_constant : float
        Weeks :math:`\kappa` after which 63% of ``fall`` has happened in everybody else, above 0.

    Returns
    -------
    NaturalCourse

    Notes
    -----
    Natural pain :math:`-F(1-e^{-t/\kappa})` with the rate multiplied by :math:`m` falls further by
    :math:`F(e^{-t/\kappa}-e^{-mt/\kappa})`, which equals the relief :math:`R` at

    .. math:: m = -\frac{\kappa}{t}\log\left(e^{-t/\kappa}-R/F\right),

    and at no :math:`m` when :math:`R\ge F e^{-t/\kappa}`: then faster recovery alone cannot explain it, and
    the heavily needled would have to have further to fall as well.

    Examples
    --------
    >>> round(natural_course(0.6, weeks=6.0, fall=2.8, time_constant=5.8).times_as_fast, 1)
    1.9
    """
    if not (weeks > 0 and fall > 0 and time_constant > 0):
        raise PlanError(
            f"Weeks {weeks:g}, fall {fall:g} and time constant {time_constant:g} were given; all three must "
            "be above 0."
        )
    left = math.exp(-weeks / time_constant)
    if relief <= 0:
        times = 1.0
    elif relief >= fall * left:
        times = math.inf
    else:
        times = -time_constant / weeks * math.log(left - relief / fall)
    return NaturalCourse(
        relief=relief,
        weeks=weeks,
        points_per_week=max(relief, 0.0) / weeks,
        times_as_fast=times,
        time_constant=time_constant / times,
        expected=fall * (1 - left),
        room=fall * left,
    )


def _check_df(df: float, *, at_least: float) -> None:
    if not df > at_least:
        raise PlanError(f"Residual degrees of freedom {df:g} were given; they must be above {at_least:g}.")
