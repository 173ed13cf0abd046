r"""Several groups, one scale: what each shows once the others are taken into account (partial pooling).

A group's own estimate is noisy, and the best of several groups is best partly by luck. Each is therefore
pulled towards the mean of all by as much as its noise is large beside the true differences between groups. No
group is shown without it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from tpr_outcomes.errors import FitError

Array = NDArray[np.float64]

FEWEST_GROUPS = 3
"""Groups that partial pooling needs."""


@dataclass(frozen=True, eq=False)
class Pooled:
    """Random-effects pooling of group estimates.

    Attributes
    ----------
    estimate, std_error : (k,) ndarray
        As given.
    shrunken, shrunken_error, conf_low, conf_high : (k,) ndarray
        Best linear unbiased predictions with their errors and intervals.
    weight : (k,) ndarray
        Share of a group's own estimate in its prediction.
    mean, mean_error, mean_low, mean_high : float
        Mean of the groups, Hartung and Knapp's error and interval.
    tau : float
        Standard deviation of the true differences (REML).
    q, p_value : float
        Cochran's test that there are none.
    level : float
    """

    estimate: Array
    std_error: Array
    shrunken: Array
    shrunken_error: Array
    conf_low: Array
    conf_high: Array
    weight: Array
    mean: float
    mean_error: float
    mean_low: float
    mean_high: float
    tau: float
    q: float
    p_value: float
    level: float


def partial_pool(estimate: ArrayLike, std_error: ArrayLike, *, level: float = 0.95) -> Pooled:
    r"""Pool independent group estimates partially.

    Parameters
    ----------
    estimate, std_error : (k,) array_like
    level : float, optional

    Returns
    -------
    Pooled

    Raises
    ------
    FitError
        With fewer than three groups, or an error that is not a positive number.

    Notes
    -----
    :math:`y_j\sim N(\theta_j, s_j^2)`, :math:`\theta_j\sim N(\mu,\tau^2)`, REML for :math:`\tau^2`.
    :math:`\hat\mu` with Hartung & Knapp's variance (2001, doi:10.1002/sim.1009), never below the usual one,
    and t on k - 1. Prediction :math:`\lambda_j y_j+(1-\lambda_j)\hat\mu`,
    :math:`\lambda_j=\tau^2/(\tau^2+s_j^2)`, variance
    :math:`\lambda_js_j^2+(1-\lambda_j)^2\mathrm{var}(\hat\mu)+\mathrm{var}(\lambda_j)(y_j-\hat\mu)^2`; the
    last term is Morris's (1983, doi:10.1080/01621459.1983.10477920) for not knowing :math:`\tau^2`, with
    :math:`\mathrm{var}(\lambda_j)\approx 2(1-\lambda_j)^2/(k-3)` (k of 4 or more, else k - 3 is taken as 1).
    """
    y, s = np.asarray(estimate, dtype=np.float64), np.asarray(std_error, dtype=np.float64)
    k = y.size
    if k < FEWEST_GROUPS:
        raise FitError(f"{k} groups have an estimate; partial pooling needs {FEWEST_GROUPS}.")
    if not (np.isfinite(y) & np.isfinite(s) & (s > 0)).all():
        raise FitError("A group's estimate or error is not a number, or the error is 0.")
    tau2 = reml_tau2(y, s)
    w = 1.0 / (tau2 + s**2)
    mean = float(w @ y / w.sum())
    fit = float(w @ (y - mean) ** 2 / (k - 1))
    mean_var = max(fit, 1.0) / float(w.sum())
    t = float(stats.t.ppf(0.5 + level / 2.0, k - 1))
    share = tau2 / (tau2 + s**2)
    unknown = 2.0 * (1.0 - share) ** 2 / max(k - 3, 1)
    shrunken = share * y + (1.0 - share) * mean
    error = np.sqrt(share * s**2 + (1.0 - share) ** 2 * mean_var + unknown * (y - mean) ** 2)
    fixed = 1.0 / s**2
    q = float(fixed @ (y - fixed @ y / fixed.sum()) ** 2)
    reach = t * math.sqrt(mean_var)
    return Pooled(
        estimate=y, std_error=s, shrunken=shrunken, shrunken_error=error, conf_low=shrunken - t * error,
        conf_high=shrunken + t * error, weight=share, mean=mean, mean_error=math.sqrt(mean_var),
        mean_low=mean - reach, mean_high=mean + reach, tau=math.sqrt(tau2), q=q,
        p_value=float(stats.chi2.sf(q, k - 1)), level=level,
    )  # fmt: skip


def reml_tau2(estimate: Array, std_error: Array) -> float:
    r"""Return the variance between groups by restricted maximum likelihood, 0 or more.

    Notes
    -----
    Minimises :math:`\sum\log(\tau^2+s_j^2)+\log\sum w_j+\sum w_j(y_j-\hat\mu)^2`,
    :math:`w_j=1/(\tau^2+s_j^2)`, on a grid and then between its neighbours.
    """

    def deviance(tau2: float) -> float:
        w = 1.0 / (tau2 + std_error**2)
        mean = w @ estimate / w.sum()
        return float(-np.log(w).sum() + math.log(w.sum()) + w @ (estimate - mean) ** 2)

    top = 10.0 * (float(np.var(estimate, ddof=1)) + float((std_error**2).max()))
    grid = np.concatenate([[0.0], top * np.logspace(-8, 0, 60)])
    best = int(np.argmin([deviance(float(value)) for value in grid]))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, grid.size - 1)]
    found = optimize.minimize_scalar(
        deviance, bounds=(float(low), float(high)), method="bounded", options={"xatol": 1e-12 * top}
    )
    return float(found.x) if found.fun < deviance(0.0) else 0.0
