r"""Many clinics: how far they truly differ, and which lie further out than their own noise would put them.

A funnel plot sets each clinic's estimate against its precision, with limits around a common value that narrow
as precision grows. It says who is worth a look and puts nobody above anybody: the order of noisy estimates is
mostly noise (Goldstein & Spiegelhalter 1996, doi:10.2307/2983325).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.shrinkage import FEWEST_GROUPS

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

WARNING_LEVEL, ALARM_LEVEL = 0.95, 0.998
"""Two control limits: about two and about three standard deviations (Spiegelhalter 2005)."""
WINSORISED = 0.1
"""Share of z-values held at the quantile on each side when over-dispersion is estimated."""


@dataclass(frozen=True, eq=False)
class Funnel:
    """Clinics against the limits that their own precision gives them, in the order they came.

    Attributes
    ----------
    estimate, std_error, z : (k,) ndarray
        ``z``: distance from the target in standard deviations, over-dispersion taken in.
    target : float
        Mean of all, weighted by precision.
    tau : float
        Additive over-dispersion: standard deviation between clinics beyond noise.
    phi : float
        Mean of the squared winsorised z-values without it; near 1 where there is nothing but noise.
    """

    estimate: Array
    std_error: Array
    z: Array
    target: float
    tau: float
    phi: float

    def limits(self, std_error: ArrayLike, level: float) -> tuple[Array, Array]:
        """Return the lower and upper control limit at given standard errors."""
        s = np.asarray(std_error, dtype=np.float64)
        reach = _quantile(level) * np.sqrt(s**2 + self.tau**2)
        return self.target - reach, self.target + reach

    def outside(self, level: float) -> Flags:
        """Tell which clinics lie outside a limit."""
        return np.asarray(np.abs(self.z) > _quantile(level))


def funnel(estimate: ArrayLike, std_error: ArrayLike, *, corrected: bool = True) -> Funnel:
    r"""Set clinics against control limits.

    Parameters
    ----------
    estimate, std_error : (k,) array_like
        Independent; k of 3 or more.
    corrected : bool
        Undo what winsorising takes from the spread; False is the rule as published.

    Returns
    -------
    Funnel

    Raises
    ------
    FitError
        With fewer than three clinics, or an error that is not a positive number.

    Notes
    -----
    Spiegelhalter (2005, doi:10.1002/sim.1970), additive random effects. With weights :math:`w_i=1/s_i^2` and
    target :math:`\theta_0=\sum w_iy_i/\sum w_i`: :math:`z_i=(y_i-\theta_0)/s_i`, held at their 10% and 90%
    quantiles; :math:`\hat\phi=\frac1k\sum z_i^2/c_k`;

    .. math:: \hat\tau^2=\max\Bigl(0,\frac{k\hat\phi-(k-1)}{\sum w_i-\sum w_i^2/\sum w_i}\Bigr).

    Limits are :math:`\theta_0\pm z_p\sqrt{s_i^2+\hat\tau^2}`. With over-dispersion the target is taken again
    with weights :math:`1/(s_i^2+\hat\tau^2)`, so that one large clinic does not set it alone.

    As published :math:`c_k=1`. Winsorising takes a third off the squares of normal values, so that limits
    come out too narrow where clinics do differ (false flags of both: docs/methods/comparing-clinics.md).
    :math:`c_k` is what it leaves of Blom's normal scores :math:`\Phi^{-1}((i-3/8)/(k+1/4))`.
    """
    y, s = _checked(estimate, std_error)
    k, w = y.size, 1.0 / s**2
    target = float(w @ y / w.sum())
    z = (y - target) / s
    phi = float(np.mean(_winsorised(z) ** 2)) / (_left(k) if corrected else 1.0)
    tau2 = max(0.0, (k * phi - (k - 1)) / float(w.sum() - (w**2).sum() / w.sum()))
    total = s**2 + tau2
    if tau2 > 0.0:
        target = float((y / total).sum() / (1.0 / total).sum())
    return Funnel(y, s, (y - target) / np.sqrt(total), target, math.sqrt(tau2), phi)


def _winsorised(z: Array) -> Array:
    """Hold values at their 10% and 90% quantiles."""
    low, high = np.quantile(z, [WINSORISED, 1.0 - WINSORISED])
    return np.clip(z, low, high)


@lru_cache
def _left(k: int) -> float:
    """Share of the squares of k normal scores that winsorising leaves."""
    scores = stats.norm.ppf((np.arange(1, k + 1) - 0.375) / (k + 0.25))
    return float((_winsorised(scores) ** 2).sum() / (scores**2).sum())


@dataclass(frozen=True)
class Between:
    """How far clinics truly differ.

    Attributes
    ----------
    conf_low, conf_high : float
        Interval of the standard deviation between clinics.
    i_squared : float
        Share of the spread that is not noise, 0 to 1.
    level : float
    """

    conf_low: float
    conf_high: float
    i_squared: float
    level: float


def between(estimate: ArrayLike, std_error: ArrayLike, *, level: float = 0.95) -> Between:
    r"""Return an interval of the standard deviation between clinics, and Higgins and Thompson's share.

    Parameters
    ----------
    estimate, std_error : (k,) array_like
    level : float

    Raises
    ------
    FitError
        With fewer than three clinics, or an error that is not a positive number.

    Notes
    -----
    Q-profile (Viechtbauer 2007, doi:10.1002/sim.2514): the values of :math:`\tau^2\ge 0` at which
    :math:`Q(\tau^2)=\sum(y_i-\hat\mu)^2/(s_i^2+\tau^2)` lies between the quantiles of :math:`\chi^2_{k-1}`;
    0 where it never does. :math:`I^2=\max(0,(Q(0)-(k-1))/Q(0))` (2002, doi:10.1002/sim.1186).
    """
    y, s = _checked(estimate, std_error)
    df = y.size - 1
    q = _q(y, s, 0.0)
    tail = 0.5 * (1.0 - level)
    ends = [_solve(y, s, float(stats.chi2.ppf(p, df))) for p in (1.0 - tail, tail)]
    return Between(math.sqrt(ends[0]), math.sqrt(ends[1]), max(0.0, (q - df) / q) if q > 0 else 0.0, level)


def _q(y: Array, s: Array, tau2: float) -> float:
    w = 1.0 / (s**2 + tau2)
    return float(w @ (y - w @ y / w.sum()) ** 2)


def _solve(y: Array, s: Array, value: float) -> float:
    """Return the variance between clinics at which the generalised Q has a value; Q falls as it grows."""
    if _q(y, s, 0.0) <= value:
        return 0.0
    top = float(np.var(y)) + float((s**2).max())
    while _q(y, s, top) > value:
        top *= 2.0
    return float(optimize.brentq(lambda t: _q(y, s, t) - value, 0.0, top, xtol=1e-14 * top, rtol=1e-12))


def _checked(estimate: ArrayLike, std_error: ArrayLike) -> tuple[Array, Array]:
    y, s = np.asarray(estimate, dtype=np.float64), np.asarray(std_error, dtype=np.float64)
    if y.size < FEWEST_GROUPS:
        raise FitError(f"{y.size} clinics have an estimate; {FEWEST_GROUPS} are needed.")
    if not (np.isfinite(y) & np.isfinite(s) & (s > 0)).all():
        raise FitError("A clinic's estimate or error is not a number, or the error is 0.")
    return y, s


def _quantile(level: float) -> float:
    return float(stats.norm.ppf(0.5 + 0.5 * level))
