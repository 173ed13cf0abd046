"""The profiled deviance of one model of prepared rows: at any point, or minimised.

Formulas: :mod:`tpr_outcomes.models.mixed_sums`; searches: :mod:`tpr_outcomes.models.mixed_newton`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tpr_outcomes.models import compiled
from tpr_outcomes.models.mixed_data import MixedData
from tpr_outcomes.models.mixed_sums import lower

Array = NDArray[np.float64]
Residual = Literal["independent", "car1", "car1+nugget"]
Method = Literal["ml", "reml"]

LOGIT_LIMIT = 30.0
"""A white-noise share within 1e-13 of 0 or 1 is that limit."""
_NO_CORRELATION = 40.0
"""``exp(-40)`` is a correlation of 0 to rounding error: at the shortest gap nothing is left of it."""
_FULL_CORRELATION = 1e-6
"""Loss of correlation over the longest gap that is taken for none."""
_NONE = np.empty(0)
_FEWEST_TO_COLLAPSE = 2_000
_MOST_STEPS = 100
_STEEP = 1e-3
_RENEWALS = 3


@dataclass(frozen=True, eq=False)
class Optimum:
    """Where a search ended.

    Attributes
    ----------
    point : ndarray
        Lower triangle of the factor, row by row; then log rate and logit of the white-noise share.
    deviance, open_gradient : float
        And the largest component of its gradient that no bound holds.
    beta, inverse : ndarray, shapes (p,) and (p, p)
        Coefficients and ``(X'V^{-1}X)^{-1}``, scaled.
    rss : float
    """

    point: Array
    deviance: float
    open_gradient: float
    beta: Array
    inverse: Array
    rss: float


class Deviance:
    """Profiled deviance as a function of scaled covariance parameters.

    The parameter vector is the lower triangle of the relative factor (row by row), then
    ``log(rate)`` with ``phi = exp(-rate / unit)`` and the logit of the nugget, as far as the residual
    model has them. The outcome is the one last given to ``data``.
    """

    def __init__(self, data: MixedData, *, residual: Residual, method: Method) -> None:
        self.data, self.residual, self.method = data, residual, method
        self.n, self.p = data.x.shape
        self.q = data.q
        self.reml = method == "reml"
        self.dof = self.n - (self.p if self.reml else 0)
        self.m = self.q * (self.q + 1) // 2
        self.extra = {"independent": 0, "car1": 1, "car1+nugget": 2}[residual]
        self.correlated = self.extra > 0
        self.shortest, self.unit, self.longest = data.later_gaps if self.correlated else (1.0, 1.0, 1.0)
        self.evaluations = 0
        self.kernels = compiled.kernels()

    @cached_property
    def bounds(self) -> tuple[Array, Array]:
        """Box of log rate and logit share: from (all but) full correlation at the longest gap to none."""
        rates = (_FULL_CORRELATION / self.longest, _NO_CORRELATION / self.shortest)
        low, high = np.log(np.array(rates) * self.unit)
        return np.array([low, -LOGIT_LIMIT][: self.extra]), np.array([high, LOGIT_LIMIT][: self.extra])

    def unpack(self, point: Array) -> tuple[Array, float, float]:
        """Relative factor (q, q), rate per time unit (infinite without correlation) and nugget."""
        if self.q == 2:
            factor = np.array([[point[0], 0.0], [point[1], point[2]]])
        else:
            factor = np.asarray(point[: self.m], dtype=np.float64).reshape(self.q, self.q)
        rate = math.exp(point[self.m]) / self.unit if self.extra else math.inf
        nugget = 1.0 / (1.0 + math.exp(-point[self.m + 1])) if self.extra > 1 else 0.0
        return factor, rate, nugget

    def sums(self, rate: float, nugget: float) -> tuple[Array, Array, Array, float]:
        """See :func:`tpr_outcomes.models.mixed_sums.products`."""
        d = self.data
        found: tuple[Array, Array, Array, float] = self.kernels.products(
            d.starts, d.gaps, d.packed, self.q, d.shared, rate, nugget
        )
        return found

    def slopes(
        self, rate: float, nugget: float, a: Array, factor: Array, beta: Array, inverse: Array, rss: float
    ) -> tuple[Array, Array]:
        """See :func:`tpr_outcomes.models.mixed_sums.tangents`."""
        columns, weights = np.append(-beta, 1.0)[None], np.array([self.dof / rss])
        if self.reml:
            root = np.linalg.cholesky(inverse).T
            columns = np.ascontiguousarray(np.vstack([columns, np.column_stack([root, np.zeros(self.p)])]))
            weights = np.append(weights, np.ones(self.p))
        d = self.data
        found: tuple[Array, Array] = self.kernels.tangents(
            d.starts, d.gaps, d.packed, self.q, d.shared, rate, nugget, a, factor, columns, weights
        )
        return found

    def at(self, point: Array) -> tuple[Optimum, Array, Array]:
        """One point as it is -> what is known there, gradient, and gradient in ``D`` (m,)."""
        self.evaluations += 1
        factor, rate, nugget = self.unpack(point)
        a, b, c, log_r = self.sums(rate, nugget)
        held = np.ascontiguousarray(point[: self.m])
        _, value, slope, _, _, beta, inverse, rss = self.kernels.evaluate(
            a, b, c, _NONE, held, self.dof, self.reml
        )
        whole = self.direction(slope)
        gradient = [float((2.0 * whole @ factor)[v, u]) for u, v in lower(self.q)]
        if self.correlated:
            raw, _ = self.slopes(rate, nugget, a, held, beta, inverse, rss)
            gradient += [raw[0] * rate, raw[1] * nugget * (1.0 - nugget)][: self.extra]
        found = Optimum(point, value + log_r, np.inf, beta, inverse, rss)
        return found, np.array(gradient), slope

    def direction(self, slope: Array) -> Array:
        """Gradient in ``D`` as a matrix (q, q); its sign along null directions certifies a boundary."""
        whole = np.zeros((self.q, self.q))
        for at, (u, v) in enumerate(lower(self.q)):
            whole[u, v] = whole[v, u] = slope[at] if u == v else 0.5 * slope[at]
        return whole

    def minimised(self, start: Array) -> Optimum:
        """Search downhill from ``start``, a point."""
        if not self.correlated:
            return self._inside(self._collapsed, 0.0, start)
        best, gradient, step = Optimum(start, np.inf, np.inf, _NONE, _NONE, 1.0), _NONE, _NONE
        low, high = self.bounds
        trial, share = np.clip(start[self.m :], low, high), 1.0
        factor, curve, renewed = start[: self.m], _NONE.reshape(0, 0), 0
        for _ in range(_MOST_STEPS):
            _, rate, nugget = self.unpack(np.concatenate([factor, trial]))
            *sums, log_r = self.sums(rate, nugget)
            found = self._inside((*sums, _NONE), log_r, np.concatenate([factor, trial]))
            if not np.isfinite(found.deviance):
                return best
            raw, scores = self.slopes(
                rate, nugget, sums[0], found.point[: self.m], found.beta, found.inverse, found.rss
            )
            slope, first = self.kernels.first_curvature(raw, scores, rate, nugget, self.extra)
            if not curve.size:
                curve, step, gradient = first, np.zeros(self.extra), slope
            accepted, finished, step, curve, trial, share = self.kernels.propose(
                best.point[self.m :], best.deviance, gradient, step, curve,
                found.point[self.m :], found.deviance, slope, share, low, high,
            )  # fmt: skip
            if accepted:
                open_slope = max(found.open_gradient, self._open(found.point[self.m :], slope))
                best, gradient, factor = (
                    replace(found, open_gradient=open_slope),
                    slope,
                    found.point[: self.m],
                )
            if not finished:
                continue
            if best.open_gradient < _STEEP or renewed == _RENEWALS:
                break
            # The curvature gathered on the way no longer fits: begin again where we are.
            renewed += 1
            curve, trial, share = _NONE.reshape(0, 0), best.point[self.m :], 1.0
            best = replace(best, deviance=np.inf)
        return best

    def held(self, point: Array) -> Optimum:
        """Minimum over the factor with the residual correlation of ``point`` held; certifies nothing."""
        _, rate, nugget = self.unpack(point)
        *sums, log_r = self.sums(rate, nugget)
        return replace(self._inside((*sums, _NONE), log_r, point), open_gradient=np.inf)

    def _inside(self, sums: tuple[Array, ...], log_r: float, start: Array) -> Optimum:
        """Minimum over the factor, the rest of ``start`` held."""
        factor, value, slope, beta, inverse, rss, _, used = self.kernels.factor_search(
            *sums, np.ascontiguousarray(start[: self.m]), self.dof, self.reml
        )
        self.evaluations += used
        return Optimum(np.concatenate([factor, start[self.m :]]), value + log_r, slope, beta, inverse, rss)

    def _open(self, extra: Array, slope: Array) -> float:
        """Largest component of the gradient in the residual parameters that no bound holds."""
        low, high = self.bounds
        held = ((extra <= low + 1e-9) & (slope > 0)) | ((extra >= high - 1e-9) & (slope < 0))
        return float(np.abs(np.where(held, 0.0, slope)).max())

    @cached_property
    def _collapsed(self) -> tuple[Array, Array, Array, Array]:
        """Sums for independent residuals; a random intercept's, by number of visits where that is less.

        Patients with the same A enter through the sum of B'B alone, so a group of them may be
        replaced by the rows of any root of that matrix, each standing for its share of the group: an
        evaluation then does not depend on the number of patients.
        """
        a, b, c, _ = self.sums(np.inf, 0.0)
        none = a, b, c, _NONE
        n, k = self.data.n_patients, b.shape[1]
        if self.q != 1 or n < _FEWEST_TO_COLLAPSE:
            return none
        ends = np.unique(np.diff(self.data.starts))  # how many patients have at least so many rows
        if ends.size * k * 4 > n:
            return none
        parts: list[tuple[Array, Array, Array]] = []
        for low, high in zip([0, *ends[:-1]], ends, strict=True):
            same, rows = a[:, low:high], b[0, :, low:high]
            if high - low <= k or (same != same[:, :1]).any():
                parts.append((same, rows, np.ones(high - low)))
                continue
            values, vectors = np.linalg.eigh(rows @ rows.T)
            root = vectors * np.sqrt(np.maximum(values, 0.0))
            parts.append((np.repeat(same[:, :1], k, axis=1), root, np.full(k, (high - low) / k)))
        fewer = [np.ascontiguousarray(np.concatenate(p, axis=-1)) for p in zip(*parts, strict=True)]
        return (fewer[0], fewer[1][None], c, fewer[2]) if fewer[2].size < n else none
