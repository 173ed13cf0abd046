r"""Durations known only to lie between two looks: the distribution without and with a shape.

Every duration is an interval :math:`(L_i, R_i]`: not over at :math:`L_i`, over at :math:`R_i`
(:math:`R_i=\infty`: not seen to end; :math:`L_i=0`: nothing seen before :math:`R_i`).

- :func:`npmle` – Turnbull's maximum-likelihood distribution: mass on the innermost intervals, certified;
- :func:`fit_duration` – Weibull or log-normal, with delayed entry and standard errors clustered by patient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from tpr_outcomes.errors import FitError

Array = NDArray[np.float64]

GAP = 1e-9
"""Largest distance from the maximal log-likelihood per duration at which :func:`npmle` stops."""


@dataclass(frozen=True)
class Npmle:
    """Distribution that maximises the likelihood of interval-censored durations.

    Attributes
    ----------
    low, high : ndarray, shape (m,)
        Innermost intervals ``(low, high]``, ascending. How the mass lies inside one is not determined.
    mass : ndarray, shape (m,)
        Probability of each; sums to 1.
    log_likelihood : float
    gap : float
        The log-likelihood is at most this far below its maximum (Kuhn–Tucker bound).
    """

    low: Array
    high: Array
    mass: Array
    log_likelihood: float
    gap: float

    def share_by(self, time: float) -> tuple[float, float]:
        """Smallest and largest share over by ``time`` that fit the data equally well; the same at a look."""
        surely, possibly = self.high <= time, self.low < time
        return float(self.mass[surely].sum()), float(self.mass[possibly].sum())

    def quantile(self, share: float, *, after: float = 0.0) -> tuple[float, float]:
        """Interval that holds the quantile among durations longer than ``after``.

        Parameters
        ----------
        share : float
            Between 0 and 1.
        after : float, optional
            A time of a look; durations up to it are left out.
        """
        keep = self.low >= after
        mass = self.mass[keep]
        if not mass.sum() > 0:
            return math.nan, math.nan
        # a share that the masses reach up to rounding is reached
        place = int(np.searchsorted(np.cumsum(mass) / mass.sum(), share - 1e-9))
        return float(self.low[keep][place]), float(self.high[keep][place])


def npmle(left: ArrayLike, right: ArrayLike, *, weights: ArrayLike | None = None) -> Npmle:
    r"""Turnbull's nonparametric maximum-likelihood estimate.

    Parameters
    ----------
    left, right : (n,) array_like of float
        Ends of ``(left, right]``; ``right`` may be infinite.
    weights : (n,) array_like of float, optional
        How often each interval counts; rows of weight 0 are left out.

    Returns
    -------
    Npmle

    Raises
    ------
    FitError
        If there is no interval, or one is empty.

    Notes
    -----
    Maximises :math:`\sum_i w_i\log\sum_j a_{ij}p_j` with :math:`a_{ij}=1` where innermost interval :math:`j`
    lies in :math:`(L_i,R_i]` (Turnbull 1976, doi:10.1111/j.2517-6161.1976.tb01597.x). A step is one
    self-consistency (EM) step, then a constrained Newton step: non-negative least squares on the quadratic
    approximation, with step halving (Wang 2007, doi:10.1111/j.1467-9868.2007.00583.x). EM alone takes
    thousands of steps where a mass is zero. With :math:`W=\sum_i w_i` the log-likelihood is at most
    :math:`\max_j\sum_i w_i a_{ij}/(Ap)_i - W` below its maximum; steps end once that is below
    :data:`GAP` × W.
    """
    ends, counts = _distinct(left, right, weights)
    low, high = innermost(ends[:, 0], ends[:, 1])
    A = ((ends[:, :1] <= low) & (ends[:, 1:] >= high)).astype(np.float64)
    total = counts.sum()
    mass = np.full(low.size, 1.0 / low.size)
    for _ in range(500):
        mass = _em_step(A, counts, mass)
        mass = _newton_step(A, counts, mass)
        gap = float((A / (A @ mass)[:, None]).T.dot(counts).max() / total - 1.0)
        if gap <= GAP:
            break
    mass = np.where(mass < 1e-12, 0.0, mass)
    mass /= mass.sum()
    return Npmle(low, high, mass, float(counts @ np.log(A @ mass)), max(gap, 0.0) * float(total))


def innermost(left: Array, right: Array) -> tuple[Array, Array]:
    """Intervals that can hold mass: a left end followed by a right end with no end between.

    At a tie right ends come first, because ``(6, 12]`` and ``(12, 24]`` share no point.
    """
    place = np.concatenate([left, right])
    opens = np.concatenate([np.ones(left.size, dtype=bool), np.zeros(right.size, dtype=bool)])
    order = np.lexsort((opens, place))
    place, opens = place[order], opens[order]
    found = np.flatnonzero(opens[:-1] & ~opens[1:])
    return place[found], place[found + 1]


def _distinct(left: ArrayLike, right: ArrayLike, weights: ArrayLike | None) -> tuple[Array, Array]:
    """Distinct intervals, shape (k, 2), and the summed weight of each."""
    pairs = np.column_stack([np.asarray(left, dtype=np.float64), np.asarray(right, dtype=np.float64)])
    weight = np.ones(len(pairs)) if weights is None else np.asarray(weights, dtype=np.float64)
    pairs, weight = pairs[weight > 0], weight[weight > 0]
    if not len(pairs):
        raise FitError("There is no duration to describe: enter at least one episode with a diary.")
    empty = int((~(pairs[:, 0] < pairs[:, 1])).sum())
    if empty:
        raise FitError(f"{empty} intervals end before they begin; each needs a left end below its right end.")
    ends, index = np.unique(pairs, axis=0, return_inverse=True)
    return np.asarray(ends), np.asarray(np.bincount(index.ravel(), weight), dtype=np.float64)


def _em_step(A: Array, counts: Array, mass: Array) -> Array:
    new = mass * (A.T @ (counts / (A @ mass))) / counts.sum()
    return np.asarray(new / new.sum())


def _newton_step(A: Array, counts: Array, mass: Array) -> Array:
    """Best mixture under the quadratic approximation, moved towards as far as the likelihood rises."""
    root = np.sqrt(counts)[:, None]
    P = root * (A / (A @ mass)[:, None] - 2.0)
    # least squares over the simplex: one row for the sum, then rescaling (Dax 1990)
    solution, _ = optimize.nnls(np.vstack([P, np.ones(mass.size)]), np.append(np.zeros(len(P)), 1.0))
    if not solution.sum() > 0:
        return mass
    target = solution / solution.sum()
    before = counts @ np.log(A @ mass)
    step = 1.0
    while step > 1e-8:
        new = np.asarray(mass + step * (target - mass))
        mixture = A @ new
        if mixture.min() > 0 and counts @ np.log(mixture) >= before:
            return new
        step /= 2.0
    return mass


Curve = Callable[[Array], Array]

# Survivor function and density of W in log T = location + scale W
_FAMILIES: dict[str, tuple[Curve, Curve]] = {
    "weibull": (lambda z: np.exp(-np.exp(z)), lambda z: np.exp(z - np.exp(z))),
    "lognormal": (lambda z: np.asarray(stats.norm.sf(z)), lambda z: np.asarray(stats.norm.pdf(z))),
}


@dataclass(frozen=True)
class DurationFit:
    """Parametric distribution of a duration: log T = location + scale × W.

    Attributes
    ----------
    family : {"weibull", "lognormal"}
        W is a minimum-extreme-value or a standard normal variable.
    location, scale : float
        Log hours.
    covariance : ndarray, shape (2, 2)
        Of (location, log scale): sandwich, summed by cluster where one was given.
    model_covariance : ndarray, shape (2, 2)
        Inverse observed information.
    log_likelihood : float
    n : int
        Durations.
    """

    family: str
    location: float
    scale: float
    covariance: Array
    model_covariance: Array
    log_likelihood: float
    n: int

    @property
    def aic(self) -> float:
        """Akaike's criterion, 4 − 2 × log-likelihood."""
        return 4.0 - 2.0 * self.log_likelihood

    def survivor(self, time: float) -> float:
        """Share still going on at ``time``."""
        return float(_survivor(self.family, np.array([time]), self.location, self.scale)[0])

    def share_by(self, time: float, *, after: float = 0.0) -> float:
        """Share over by ``time`` among durations longer than ``after``."""
        return 1.0 - self.survivor(time) / self.survivor(after)

    def quantile(self, share: float, *, after: float = 0.0) -> float:
        """Duration that ``share`` of the durations longer than ``after`` do not exceed."""
        still = (1.0 - share) * self.survivor(after)
        z = math.log(-math.log(still)) if self.family == "weibull" else float(stats.norm.isf(still))
        return math.exp(self.location + self.scale * z)

    def at(self, location: float, log_scale: float) -> DurationFit:
        """Return the same distribution at other parameters (for numerical derivatives)."""
        return DurationFit(
            self.family,
            location,
            math.exp(log_scale),
            self.covariance,
            self.model_covariance,
            self.log_likelihood,
            self.n,
        )

    def std_error(self, function: Callable[[DurationFit], float]) -> float:
        """Delta-method standard error of a function of the distribution."""
        here = np.array([self.location, math.log(self.scale)])
        slope = np.empty(2)
        for k, step in enumerate(np.eye(2) * 1e-5):
            slope[k] = (function(self.at(*(here + step))) - function(self.at(*(here - step)))) / 2e-5
        return float(np.sqrt(slope @ self.covariance @ slope))


def fit_duration(
    left: ArrayLike,
    right: ArrayLike,
    *,
    family: str,
    entry: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
) -> DurationFit:
    r"""Fit a Weibull or log-normal distribution to interval-censored durations.

    Parameters
    ----------
    left, right : (n,) array_like of float
        Ends of ``(left, right]``.
    family : {"weibull", "lognormal"}
    entry : (n,) array_like of float, optional
        Time the duration had to outlast to be in the data at all (delayed entry; 0: none).
    cluster : (n,) array_like of int, optional
        Patients, for the sandwich.

    Returns
    -------
    DurationFit

    Raises
    ------
    FitError
        If the durations end in fewer than three different intervals (location and scale cannot both be
        estimated), or the likelihood has no maximum.

    Notes
    -----
    :math:`\ell=\sum_i\log\{S(L_i)-S(R_i)\}-\log S(e_i)`, with :math:`S` the survivor function. Sandwich:
    :math:`H^{-1}\left(\sum_g u_gu_g^\top\right)H^{-1}`, :math:`u_g` the summed score of a patient.
    """
    lower, upper = np.asarray(left, dtype=np.float64), np.asarray(right, dtype=np.float64)
    since = np.zeros_like(lower) if entry is None else np.asarray(entry, dtype=np.float64)
    shape = npmle(lower, upper)
    if np.count_nonzero(shape.mass) < 3:
        raise FitError(
            "The durations end in fewer than three different intervals; location and scale need three."
        )

    def minus(parameters: Array) -> tuple[float, Array]:
        value, score = _contributions(family, lower, upper, since, parameters)
        return -float(value.sum()), -score.sum(axis=0)

    middle = np.log(np.where(np.isfinite(upper), (lower + upper) / 2.0, 1.5 * np.maximum(lower, 1e-3)))
    start = np.array([middle.mean(), math.log(max(float(middle.std()), 0.2))])
    found = optimize.minimize(minus, start, jac=True, method="BFGS", options={"gtol": 1e-7})
    parameters = np.asarray(found.x)
    for _ in range(4):
        hessian = _hessian(minus, parameters)
        if not (np.isfinite(hessian).all() and np.linalg.eigvalsh(hessian)[0] > 0):
            raise FitError(
                f"The {family} likelihood of the durations has no maximum; describe them without a shape."
            )
        parameters = parameters - np.linalg.solve(hessian, minus(parameters)[1])
    value, score = _contributions(family, lower, upper, since, parameters)
    bread = np.linalg.inv(_hessian(minus, parameters))
    groups = (
        np.arange(lower.size) if cluster is None else np.unique(np.asarray(cluster), return_inverse=True)[1]
    )
    summed = np.column_stack([np.bincount(groups, score[:, k]) for k in range(2)])
    meat = summed.T @ summed
    return DurationFit(
        family,
        float(parameters[0]),
        math.exp(float(parameters[1])),
        np.asarray(bread @ meat @ bread),
        np.asarray(bread),
        float(value.sum()),
        lower.size,
    )


def _standardised(time: Array, location: float, scale: float) -> Array:
    """(log t − location) / scale, kept finite at 0 and at infinity."""
    logs = np.log(np.clip(time, 1e-290, 1e290))
    return np.clip((logs - location) / scale, -650.0, 650.0)


def _survivor(family: str, time: Array, location: float, scale: float) -> Array:
    survivor, _ = _FAMILIES[family]
    inside = survivor(np.minimum(_standardised(time, location, scale), 50.0))
    return np.where(time <= 0, 1.0, np.where(np.isinf(time), 0.0, inside))


def _slopes(family: str, time: Array, location: float, scale: float) -> Array:
    """Derivative of the survivor function by (location, log scale), shape (n, 2)."""
    z = np.minimum(_standardised(time, location, scale), 50.0)
    flat = (time <= 0) | np.isinf(time)
    density = np.where(flat, 0.0, _FAMILIES[family][1](z))
    return np.column_stack([density / scale, density * z])


def _contributions(
    family: str, left: Array, right: Array, entry: Array, parameters: Array
) -> tuple[Array, Array]:
    """Log-likelihood (n,) and score (n, 2) of each duration."""
    location, scale = float(parameters[0]), math.exp(min(max(float(parameters[1]), -20.0), 20.0))
    between = _survivor(family, left, location, scale) - _survivor(family, right, location, scale)
    between = np.maximum(between, 1e-300)
    since = np.maximum(_survivor(family, entry, location, scale), 1e-300)
    score = (_slopes(family, left, location, scale) - _slopes(family, right, location, scale)) / between[
        :, None
    ]
    score -= _slopes(family, entry, location, scale) / since[:, None]
    return np.log(between) - np.log(since), score


def _hessian(minus: Callable[[Array], tuple[float, Array]], at: Array) -> Array:
    """Central differences of the gradient."""
    columns = [(minus(at + step)[1] - minus(at - step)[1]) / 2e-5 for step in np.eye(2) * 1e-5]
    both = np.array(columns)
    return np.asarray((both + both.T) / 2.0)
