r"""A rate found by simulation, with its Monte Carlo standard error and exact limits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

from tpr_outcomes.errors import PlanError

LEVEL = 0.95


@dataclass(frozen=True)
class Rate:
    r"""How often something happened in independent simulated clinics.

    Attributes
    ----------
    count, trials : int
        How often, out of how many (1 or more).

    Notes
    -----
    The Monte Carlo standard error is :math:`\sqrt{\hat p(1-\hat p)/R}` (Morris, White and Crowther 2019,
    doi:10.1002/sim.8086); it is 0 where the count is 0, which is why the exact limits (Clopper and
    Pearson 1934, doi:10.1093/biomet/26.4.404; 95%, 2.5% to each side) stand beside it.

    Examples
    --------
    >>> rate = Rate(0, 200)
    >>> rate.mcse, round(rate.conf_high, 4)
    (0.0, 0.0183)
    """

    count: int
    trials: int

    def __post_init__(self) -> None:
        if self.trials < 1 or not 0 <= self.count <= self.trials:
            raise PlanError(
                f"A rate of {self.count} out of {self.trials} cannot be; it needs 0 to all of 1 or more."
            )

    @property
    def share(self) -> float:
        """Share, 0 to 1."""
        return self.count / self.trials

    @property
    def mcse(self) -> float:
        """Monte Carlo standard error of the share."""
        return float(np.sqrt(self.share * (1.0 - self.share) / self.trials))

    @property
    def conf_low(self) -> float:
        """Exact lower limit of the share."""
        if self.count == 0:
            return 0.0
        return float(beta.ppf((1.0 - LEVEL) / 2.0, self.count, self.trials - self.count + 1))

    @property
    def conf_high(self) -> float:
        """Exact upper limit of the share."""
        if self.count == self.trials:
            return 1.0
        return float(beta.ppf((1.0 + LEVEL) / 2.0, self.count + 1, self.trials - self.count))
