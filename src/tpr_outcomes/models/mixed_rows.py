"""Rows of patients in visit-major order, and the recursions that whiten them.

Formulas: :mod:`tpr_outcomes.models.mixed`, steps 1 and 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Layout:
    """Visit-major order of the rows of a set of patients.

    Attributes
    ----------
    order : ndarray of int, shape (n,)
        ``values[order]`` puts row-wise values into visit-major order.
    starts : tuple of int, length m + 1
        Step ``j`` is ``slice(starts[j], starts[j + 1])`` and holds the first so many patients.
    patient : ndarray of int, shape (n_patients,)
        Patient code at each patient position (sorted by falling number of rows).
    position : ndarray of int, shape (n,)
        Patient position of each row, in visit-major order.
    gaps : ndarray, shape (n,)
        Time since the same patient's previous row, visit-major; 0 in the first step.
    """

    order: NDArray[np.int64]
    starts: tuple[int, ...]
    patient: NDArray[np.int64]
    position: NDArray[np.int64]
    gaps: Array

    @classmethod
    def of(cls, patient: NDArray[np.int64], time: Array) -> Layout:
        """Order rows given by patient code and time.

        Parameters
        ----------
        patient : ndarray of int, shape (n,)
            Patient codes 0, 1, … without gaps, in any order.
        time : ndarray, shape (n,)
            Time of each row, distinct within a patient.
        """
        counts = np.bincount(patient)
        falling = np.argsort(-counts, kind="stable")
        rank = np.empty_like(falling)
        rank[falling] = np.arange(falling.size)
        by_patient = np.lexsort((time, patient))
        first = np.concatenate(([0], np.cumsum(counts)[:-1]))
        step = np.arange(patient.size) - np.repeat(first, counts)
        position = rank[patient[by_patient]]
        visit_major = np.lexsort((position, step))
        order = by_patient[visit_major]
        gaps = np.diff(time[by_patient], prepend=0.0)
        gaps[first] = 0.0
        starts = np.concatenate(([0], np.cumsum(np.bincount(step))))
        return cls(
            order=order,
            starts=tuple(int(s) for s in starts),
            patient=falling.astype(np.int64),
            position=position[visit_major],
            gaps=gaps[visit_major],
        )

    @property
    def n_patients(self) -> int:
        """Number of patients."""
        return int(self.patient.size)

    @cached_property
    def steps(self) -> list[tuple[slice, int]]:
        """Each step's row slice and its number of patients."""
        return [(slice(a, b), b - a) for a, b in zip(self.starts, self.starts[1:], strict=False)]

    @cached_property
    def step_gaps(self) -> list[Array]:
        """Gap of each step, shape (1,) or (m,).

        One value shared by all its patients as long as all patients have had the same gaps so far, else
        one each. Recursions broadcast over either.
        """
        found: list[Array] = []
        shared = True
        for rows, _ in self.steps:
            gaps = self.gaps[rows]
            shared = shared and bool((gaps == gaps[0]).all())
            found.append(gaps[:1] if shared else gaps)
        return found

    def patient_sums(self, values: Array) -> Array:
        """Sum visit-major ``values`` (n, k) within patients -> (n_patients, k)."""
        total = np.zeros((self.n_patients, *values.shape[1:]))
        for rows, m in self.steps:
            total[:m] += values[rows]
        return total


@dataclass(frozen=True)
class Covariance:
    """Working covariance of one patient's ratings, up to and including its scale.

    Attributes
    ----------
    sigma : float
        Residual standard deviation (process and noise together), outcome units.
    factor : ndarray, shape (q, q)
        Lower-triangular relative factor: random effects have covariance
        ``sigma**2 * factor @ factor.T``.
    phi : float
        Correlation of the residual process one time unit apart; 0 means none.
    nugget : float
        Share of the residual variance that is white noise.
    """

    sigma: float
    factor: Array
    phi: float = 0.0
    nugget: float = 0.0

    @property
    def rate(self) -> float:
        """``-log(phi)``: the correlation a time ``g`` apart is ``exp(-rate g)``; infinite when it is 0."""
        return float(-np.log(self.phi)) if self.phi > 0.0 else float("inf")

    @property
    def random_covariance(self) -> Array:
        """Covariance matrix of the random effects, shape (q, q)."""
        return np.asarray(self.sigma**2 * self.factor @ self.factor.T)


@dataclass(frozen=True)
class Gains:
    """One step of the innovations recursion for the residual process, per patient of the step."""

    rho: Array
    root: Array
    gain: Array
    d_rho: Array
    d_variance: Array
    d_gain: Array


def gains(layout: Layout, rate: float, nugget: float, *, tangents: bool) -> tuple[list[Gains], Array]:
    """Innovation variances and gains; with the log-determinant of R and its tangents.

    The correlation a time ``g`` apart is ``exp(-rate g)``; tangents are in ``(rate, nugget)``. Arrays
    have one entry per patient of the step, or a single one shared by all (see ``Layout.step_gaps``).
    """
    share = 1.0 - nugget
    log_det = np.zeros(3)
    steps: list[Gains] = []
    variance, d_variance = np.full(1, share), np.array([[0.0], [-1.0]])
    rho = d_rho = np.zeros(1)
    for j, (gap, (_, m)) in enumerate(zip(layout.step_gaps, layout.steps, strict=True)):
        if j:
            before = steps[-1]
            rho = np.exp(-rate * gap)
            filtered = variance[:m] * (1.0 - before.gain[:m])
            if tangents:
                d_rho = -gap * rho
                d_filtered = d_variance[:, :m] * (1.0 - before.gain[:m]) - variance[:m] * before.d_gain[:, :m]
                d_variance = rho**2 * d_filtered
                d_variance[0] += 2.0 * rho * d_rho * (filtered - share)
                d_variance[1] -= 1.0 - rho**2
            variance = rho**2 * filtered + share * (1.0 - rho**2)
        total = variance + nugget
        gain = variance / total
        d_total = d_variance + np.array([[0.0], [1.0]])
        d_gain = (d_variance - gain * d_total) / total
        each = m / total.size
        log_det[0] += each * np.log(total).sum()
        log_det[1:] += each * (d_total / total).sum(axis=1)
        steps.append(Gains(rho, np.sqrt(total), gain, d_rho, d_total / total, d_gain))
    return steps, log_det


def whiten_residual(layout: Layout, columns: Array, steps: list[Gains]) -> Array:
    """Apply ``R^{-1/2}`` to visit-major columns (n, k)."""
    out = np.empty_like(columns)
    state = np.zeros((layout.n_patients, columns.shape[1]))
    for (rows, m), step in zip(layout.steps, steps, strict=True):
        predicted = step.rho[:, None] * state[:m]
        innovation = columns[rows] - predicted
        out[rows] = innovation / step.root[:, None]
        state = predicted + step.gain[:, None] * innovation
    return out


def whiten_tangents(layout: Layout, columns: Array, steps: list[Gains]) -> tuple[Array, Array]:
    """Whitened columns (n, k) and their two tangents (2, n, k)."""
    out = np.empty_like(columns)
    d_out = np.empty((2, *columns.shape))
    state = np.zeros((layout.n_patients, columns.shape[1]))
    d_state = np.zeros((2, *state.shape))
    for (rows, m), step in zip(layout.steps, steps, strict=True):
        predicted = step.rho[:, None] * state[:m]
        d_predicted = step.rho[:, None] * d_state[:, :m]
        d_predicted[0] += step.d_rho[:, None] * state[:m]
        innovation = columns[rows] - predicted
        out[rows] = white = innovation / step.root[:, None]
        d_out[:, rows] = -d_predicted / step.root[:, None] - 0.5 * step.d_variance[:, :, None] * white
        state = predicted + step.gain[:, None] * innovation
        d_state = d_predicted * (1.0 - step.gain[:, None]) + step.d_gain[:, :, None] * innovation
    return out, d_out


@dataclass(frozen=True)
class _Reach:
    """One step of recursive least squares on the random effects, per patient or shared by all."""

    z: Array
    gain: Array
    root: Array


@dataclass(frozen=True)
class Whitener:
    r"""The map :math:`V_i^{-1/2}`, patient by patient, with its coefficients worked out once.

    :math:`V_i = \sigma^2(Z_i\Lambda\Lambda'Z_i' + R_i)`: innovations of the residual recursion, then of
    recursive least squares on the random effects. For any columns ``a``, ``b`` in visit-major order
    ``apply(a)'apply(b) = a' V^{-1} b``.
    """

    layout: Layout
    sigma: float
    residual: list[Gains]
    random: list[_Reach]

    @classmethod
    def of(cls, layout: Layout, z: Array, covariance: Covariance) -> Whitener:
        """Build from visit-major random-effect columns ``z`` (n, q) and a covariance."""
        steps, _ = gains(layout, covariance.rate, covariance.nugget, tangents=False)
        reaches: list[_Reach] = []
        if z.shape[1]:
            white_z = whiten_residual(layout, z, steps)
            spread = (covariance.factor @ covariance.factor.T)[None]
            shared = True
            for rows, m in layout.steps:
                zj = white_z[rows]
                shared = shared and bool((zj == zj[0]).all())
                zj = zj[:1] if shared else zj
                spread = spread[:m]
                reach = np.einsum("nab,nb->na", np.broadcast_to(spread, (zj.shape[0], *spread.shape[1:])), zj)
                total = 1.0 + (zj * reach).sum(axis=1)
                reaches.append(_Reach(zj, reach / total[:, None], np.sqrt(total)[:, None]))
                spread = spread - reach[:, :, None] * reach[:, None, :] / total[:, None, None]
        return cls(layout, covariance.sigma, steps, reaches)

    def apply(self, columns: Array) -> Array:
        """Whiten visit-major columns (n, k)."""
        white = whiten_residual(self.layout, columns, self.residual)
        if self.random:
            q = self.random[0].z.shape[1]
            mean = np.zeros((q, self.layout.n_patients, columns.shape[1]))
            for (rows, m), step in zip(self.layout.steps, self.random, strict=True):
                innovation = white[rows]
                for a in range(q):
                    innovation = innovation - step.z[:, a, None] * mean[a, :m]
                for a in range(q):
                    mean[a, :m] += step.gain[:, a, None] * innovation
                white[rows] = innovation / step.root
        return np.asarray(white / self.sigma)
