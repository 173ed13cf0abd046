r"""Maximising the marginal likelihood of patient-specific thresholds, and profiling it.

The spread ``omega`` enters through its absolute value, so the search needs no bounds: a maximum at
zero is an ordinary stationary point of a function that is even in ``omega``. At ``omega = 0`` itself
the likelihood has kinks in ``mu`` at every dose; there ``mu`` is found by screening and scalar search.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import brentq, minimize, minimize_scalar

from tpr_outcomes.models.random_threshold_likelihood import (
    Array,
    Distribution,
    ThresholdData,
    common_threshold_screen,
    evaluate,
)

Status = Literal["converged", "boundary", "failed"]

_GAP = 1e-4
"""Largest log-likelihood still to be gained, by the local quadratic, at an accepted optimum: a
hundredth of what would move the third decimal of a p-value."""

_SPREAD_STARTS = (0.1, 0.4, 1.0)
"""Starting spreads, in SDs of dose (normal) or on the log scale (log-normal)."""

_SMOOTH = 0.05
"""Curvature in mu at a smaller spread is taken at this one: near zero kinks at the doses leave no
meaningful second derivative."""

KINK = 0.01
"""A spread below _SMOOTH with a smaller gain in log-likelihood than this is a kink between two doses, not
a spread: it counts as one common threshold."""


@dataclass(frozen=True)
class Point:
    """A parameter vector (internal units) and its log-likelihood."""

    parameters: Array
    value: float


@dataclass(frozen=True)
class Optimum:
    """Best point, best point with one common threshold, what kind of optimum it is, and why."""

    point: Point
    common: Point
    status: Status
    reason: str


@dataclass(frozen=True)
class Search:
    """Maximisation in internal units.

    Attributes
    ----------
    data : ThresholdData
    distribution : {"normal", "lognormal"}
    low, high : float
        Ends of the dose range (for the log-normal: of the positive doses), on the dose scale.
    """

    data: ThresholdData
    distribution: Distribution
    low: float
    high: float

    @property
    def place(self) -> int:
        """Index of mu; theta is one before it, omega one after."""
        return self.data.n_coefficients + 1

    def to_location(self, threshold: Array) -> Array:
        """Threshold in doses -> mu."""
        return threshold if self.distribution == "normal" else np.log(threshold)

    def climb(self, start: Array, *, hold: tuple[int, ...] = (), curvature: Array | None = None) -> Point:
        """Maximise over all parameters but those held, by BFGS with the exact score."""
        free = np.setdiff1d(np.arange(start.size), hold)

        def negative(x: Array) -> tuple[float, Array]:
            trial = start.copy()
            trial[free] = x
            if np.abs(trial).max() > 1e4 or abs(trial[-1]) > 15.0:
                return 1e12, np.zeros_like(x)
            with np.errstate(over="ignore", invalid="ignore"):
                value, score, _ = evaluate(self.data, trial, distribution=self.distribution)
            if not (np.isfinite(value) and np.isfinite(score).all()):
                return 1e12, np.zeros_like(x)
            return -value, -score[free]

        guess = np.eye(free.size) / self.data.n_rows.sum()
        if curvature is not None:
            guess = inverse(curvature[np.ix_(free, free)], floor=1.0)
        found = minimize(
            negative,
            start[free],
            jac=True,
            method="BFGS",
            options={"gtol": 2e-3, "maxiter": 300, "hess_inv0": guess},
        )
        end = start.copy()
        end[free] = found.x
        return Point(end, -float(found.fun))

    def climb_at(
        self,
        start: Point,
        index: int,
        value: float,
        *,
        hold: tuple[int, ...] = (),
        curvature: Array | None = None,
    ) -> Point:
        """Best fit with one parameter held at a value."""
        trial = start.parameters.copy()
        trial[index] = value
        return self.climb(trial, hold=(index, *hold), curvature=curvature)

    def curvature(self, point: Point) -> Array:
        """Negative second derivatives, by central differences of the exact score."""
        smooth = self._with_spread(point, _SMOOTH).parameters
        columns = []
        for step in 1e-4 * np.eye(smooth.size):
            up = evaluate(self.data, smooth + step, distribution=self.distribution)[1]
            down = evaluate(self.data, smooth - step, distribution=self.distribution)[1]
            columns.append((down - up) / 2e-4)
        matrix = np.array(columns)
        return np.asarray((matrix + matrix.T) / 2)

    def common(self) -> Point:
        """Best fit with one threshold: screen many, climb from the best three, refine the best."""
        place = self.place
        start = np.zeros(self.data.n_parameters)
        diagonal = place + 1 + np.cumsum(np.arange(self.data.n_random) + 1)
        start[diagonal] = 0.7
        start[place] = self.to_location(np.array(self.high))
        null = self.climb(start, hold=(place - 1, place, place + 1))
        grid = np.linspace(self.low, self.high, 62)[1:-1]
        gain, slope = common_threshold_screen(self.data, null.parameters, grid)
        peaks = np.flatnonzero((gain >= np.append(gain[1:], -1.0)) & (gain >= np.append(-1.0, gain[:-1])))
        points = []
        for peak in peaks[np.argsort(-gain[peaks], kind="stable")][:3]:
            trial = null.parameters.copy()
            trial[place - 1], trial[place] = slope[peak], self.to_location(grid)[peak]
            points.append(self.climb(trial, hold=(place + 1,)))
        best = max(points, key=lambda point: point.value)
        width = float(grid[1] - grid[0])
        if self.distribution == "lognormal":
            width /= float(np.exp(best.parameters[place]))
        return self._refine(best, width=width)

    def _refine(self, point: Point, *, width: float) -> Point:
        """Scalar search over mu around a point: BFGS stalls at the kinks."""
        seen = [point]

        def fall(mu: float) -> float:
            seen.append(self.climb_at(seen[0], self.place, mu, hold=(self.place + 1,)))
            return -seen[-1].value

        mu = float(point.parameters[self.place])
        minimize_scalar(fall, bounds=(mu - width, mu + width), method="bounded", options={"xatol": 1e-4})
        return max(seen, key=lambda item: item.value)

    def best(self, common: Point, *, extra: Point | None = None) -> Optimum:
        """Best fit of all: several starting spreads, and the common threshold as the fallback."""
        spread = self.place + 1
        starts = [self._with_spread(common, value) for value in _SPREAD_STARTS]
        points = [self.climb(start.parameters) for start in [*starts, *([extra] if extra else [])]]
        best = max(points, key=lambda point: point.value)
        best.parameters[spread] = abs(best.parameters[spread])
        if best.parameters[spread] < _SMOOTH:
            again = self.climb_at(best, spread, 0.0)
            common = max(common, again, key=lambda point: point.value)
        gain = best.value - common.value
        if gain < _GAP or (best.parameters[spread] < _SMOOTH and gain < KINK):
            best = common
        return self._judge(best, common)

    def _judge(self, best: Point, common: Point) -> Optimum:
        """Polish by Newton steps and decide honestly whether this is a maximum."""
        boundary = best.parameters[self.place + 1] == 0.0
        held = (self.place, self.place + 1) if boundary else ()
        free = np.setdiff1d(np.arange(best.parameters.size), held)
        for _ in range(4):
            matrix = self.curvature(best)[np.ix_(free, free)]
            score = evaluate(self.data, best.parameters, distribution=self.distribution)[1][free]
            step = inverse(matrix, floor=1e-6) @ score
            trial = best.parameters.copy()
            trial[free] += step
            value = evaluate(self.data, trial, distribution=self.distribution)[0]
            if not value > best.value:
                break
            best = Point(trial, value)
        gap, smallest = 0.5 * abs(float(step @ score)), float(np.linalg.eigvalsh(matrix)[0])
        mu = float(best.parameters[self.place])
        if gap > _GAP or smallest < -1e-3 * float(np.abs(matrix).max()):
            return Optimum(best, common, "failed", "No maximum of the likelihood was reached.")
        if not self.to_location(np.array(self.low)) < mu < self.to_location(np.array(self.high)):
            return Optimum(
                best, common, "failed", "The best threshold lies outside the doses seen: no bend is visible."
            )
        if boundary:
            return Optimum(best, best, "boundary", "The likelihood is highest at one common threshold.")
        return Optimum(best, common, "converged", "")

    def intervals(self, optimum: Optimum, *, cut: float) -> tuple[Array, Point]:
        """Profile intervals, and the best point met on the way.

        Returns
        -------
        ends : ndarray, shape (4,)
            mu low, mu high, omega low, omega high. An end beyond the doses seen is infinite.
        top : Point
            Higher than the optimum only if that was not the maximum.
        """
        best, place = optimum.point, self.place
        matrix = self.curvature(best)
        error = np.sqrt(np.diag(inverse(matrix, floor=1.0)))
        seen = [best]

        def profile(index: int) -> Callable[[float], float]:
            def rise(value: float) -> float:
                start = min(seen, key=lambda item: abs(float(item.parameters[index]) - value))
                if index == place:
                    start = self._with_spread(start, 2 * _SMOOTH)
                seen.append(self.climb_at(start, index, value, curvature=matrix))
                return 2 * (best.value - seen[-1].value)

            return rise

        mu, omega = float(best.parameters[place]), float(best.parameters[place + 1])
        ends = np.zeros(4)
        for side, dose in enumerate((self.low, self.high)):
            limit = float(self.to_location(np.array(dose)))
            step = float(np.copysign(error[place], side - 0.5))
            ends[side] = _crossing(profile(place), mu, step, limit=limit, cut=cut)
        at_zero = 2 * (best.value - optimum.common.value)
        if at_zero > cut:
            ends[2] = _root(profile(place + 1), (0.0, at_zero), (omega, 0.0), cut=cut)
        ends[3] = _crossing(profile(place + 1), omega, float(error[place + 1]), limit=omega + 10.0, cut=cut)
        return ends, max(seen, key=lambda item: item.value)

    def _with_spread(self, point: Point, smallest: float) -> Point:
        """The point with a spread of at least ``smallest`` (its value is then out of date)."""
        moved = point.parameters.copy()
        moved[self.place + 1] = max(abs(float(moved[self.place + 1])), smallest)
        return Point(moved, point.value)


def inverse(matrix: Array, *, floor: float) -> Array:
    """Inverse of a symmetric matrix with eigenvalues made at least ``floor`` in absolute value."""
    values, vectors = np.linalg.eigh(matrix)
    root = vectors / np.sqrt(np.maximum(np.abs(values), floor))
    product = root @ root.T
    return np.asarray((product + product.T) / 2)


def _crossing(
    rise: Callable[[float], float], start: float, step: float, *, limit: float, cut: float
) -> float:
    """First place beyond ``start``, in the direction of ``step``, where ``rise`` passes ``cut``."""
    direction = np.sign(step)
    inside = (start, 0.0)
    while True:
        place = start + step
        last = (limit - place) * direction <= 0
        here = (limit, rise(limit)) if last else (place, rise(place))
        if here[1] > cut:
            return _root(rise, inside, here, cut=cut)
        if last:
            return float(direction * np.inf)
        inside, step = here, 1.6 * step


def _root(
    rise: Callable[[float], float], one: tuple[float, float], other: tuple[float, float], *, cut: float
) -> float:
    """Where ``rise`` equals ``cut`` between two places on either side of it."""
    known = dict((one, other))

    def signed(place: float) -> float:
        value = known[place] if place in known else rise(place)
        return float(np.sqrt(max(value, 0.0)) - np.sqrt(cut))

    tolerance = 2e-3 * abs(one[0] - other[0])
    return float(brentq(signed, one[0], other[0], xtol=max(tolerance, 1e-9)))
