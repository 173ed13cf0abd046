"""Rows prepared for fitting: ordered, scaled and laid out once, used for any number of fits.

Preparing takes about as long as a fit, so whoever fits the same rows again — another outcome, another
residual correlation, another start — prepares them once and calls :meth:`MixedData.outcome`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dtrtri

from tpr_outcomes.errors import FitError
from tpr_outcomes.models import compiled
from tpr_outcomes.models.mixed_rows import Layout

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
_NONE = np.empty(0)
_ONE = np.ones((1, 1))
_NO_ORDER = np.empty(0, dtype=np.int64)
_WELL_CONDITIONED = 1e-8
"""Share of its own squares each column must keep, beside those before it, for normal equations to do."""


@dataclass(frozen=True, eq=False)
class MixedData:
    """Rows of one mixed model, in visit-major order and in columns of unit size.

    Attributes
    ----------
    x : ndarray, shape (n, p)
    z : ndarray, shape (n, q)
    patient : ndarray of int, shape (n,)
    time : ndarray, shape (n,) or (0,)
        As given; empty when no time was given.
    starts, gaps : ndarray
        As in :class:`tpr_outcomes.models.mixed_rows.Layout`; ``gaps`` is empty without ``time``.
    packed : ndarray, shape (lines, n)
        Scaled random-effect columns (once, where they are the first fixed-effect columns: ``shared``),
        fixed-effect columns, and a line for an outcome; visit-major.
    back_x, back_z : ndarray, shapes (p, p) and (q, q)
        ``x`` equals scaled columns times the inverse of ``back_x``; coefficients are ``back_x @ scaled``.
    basis : ndarray, shape (n, p)
        Columns that span ``x`` well: ``x`` itself, or an orthonormal basis where ``x`` is nearly dependent.
    turn : ndarray, shape (p, p)
        ``basis @ turn`` are the scaled columns.
    """

    x: Array
    z: Array
    patient: Ints
    time: Array
    starts: Ints
    gaps: Array
    packed: Array
    shared: bool
    back_x: Array
    back_z: Array
    basis: Array
    turn: Array
    head: Ints
    order: Ints

    @classmethod
    def of(cls, x: Array, patient: Ints, *, z: Array | None = None, time: Array | None = None) -> MixedData:
        """Check rows, order them by patient and time, and scale their columns.

        Parameters
        ----------
        x : ndarray, shape (n, p)
            Fixed-effect columns, of full column rank.
        patient : ndarray of int, shape (n,)
            Patient codes 0, 1, … without gaps, rows in any order.
        z : ndarray, shape (n, q), optional
            Random-effect columns, q of 0, 1 or 2; default one column of ones.
        time : ndarray, shape (n,), optional
            Needed for correlated residuals; distinct within a patient.

        Raises
        ------
        FitError
            Not finite, fewer rows than columns, columns not of full rank, more than two random-effect
            columns.
        """
        x = np.asarray(x, dtype=np.float64)
        z = np.ones((x.shape[0], 1)) if z is None else np.asarray(z, dtype=np.float64)
        time = _NONE if time is None else np.asarray(time, dtype=np.float64)
        patient = np.asarray(patient, dtype=np.int64)
        n, p = x.shape
        if n <= p + 1:
            raise FitError(f"{n} rows cannot support {p} fixed effects; at least {p + 2} rows are needed.")
        if z.shape[1] > 2:
            raise FitError(f"{z.shape[1]} random-effect columns were given; this engine fits at most two.")
        if time.size and not np.isfinite(time).all():
            raise _not_finite()
        q = z.shape[1]
        shared = 0 < q <= p and _same(z, x[:, :q])
        basis, turn, back_x = _scaling(
            x, "The fixed-effect columns are linearly dependent; drop the redundant ones."
        )
        if shared:
            back_z = back_x[:q, :q]
        else:
            basis_z, turn_z, back_z = _scaling(
                z, "The random-effect columns are linearly dependent; use one of them."
            )
        head, order, starts, gaps = _arrange(patient, time)
        lines = p + 1 + (0 if shared else q)
        packed = np.empty((lines, n))
        _pack(packed, lines - 1 - p, basis, turn, order, head, starts)
        if not shared and q:
            _pack(packed, 0, basis_z, turn_z, order, head, starts)
        return cls(
            x, z, patient, time, starts, gaps, packed, shared, back_x, back_z, basis, turn, head, order
        )

    def with_columns(self, x: Array) -> MixedData:
        """The same rows with other fixed-effect columns (n, p); raises as :meth:`of` does."""
        return MixedData.of(x, self.patient, z=self.z, time=self.time if self.time.size else None)

    def outcome(self, y: Array) -> tuple[Array, float]:
        """Write an outcome (n,) into the last line -> scaled least-squares coefficients (p,), and scale.

        What is written is what least squares leaves of ``y``, over its size, so that sums of squares do
        not cancel.

        Raises
        ------
        FitError
            Not finite, or nothing left beyond the columns.
        """
        y = np.asarray(y, dtype=np.float64)
        n, p = self.basis.shape
        middle = self.turn.T @ (self.basis.T @ y) / n
        squares = float(y @ y)
        if not math.isfinite(squares):
            raise _not_finite()
        left = squares - n * float(middle @ middle)
        if left < 1e-6 * squares:
            residual = y - self.basis @ (self.turn @ middle)
            left = float(residual @ residual)
        y_scale = math.sqrt(max(left, 0.0) / n)
        if y_scale <= 1e-12 * max(1.0, math.sqrt(squares)) and y_scale <= 1e-12 * max(1.0, np.abs(y).max()):
            raise FitError("The outcome does not vary beyond the fixed effects; there is nothing to fit.")
        line = self.packed[-1]
        _pack(self.packed, self.packed.shape[0] - 1, y[:, None], _ONE, self.order, self.head, self.starts)
        line -= middle @ self.packed[-1 - p : -1]
        line /= y_scale
        return middle / y_scale, y_scale

    @property
    def q(self) -> int:
        """Random-effect columns."""
        return int(self.z.shape[1])

    @property
    def p(self) -> int:
        """Fixed-effect columns."""
        return int(self.x.shape[1])

    @property
    def n_patients(self) -> int:
        """Patients."""
        return int(self.starts[1])

    @cached_property
    def layout(self) -> Layout:
        """The order of the rows, written out."""
        time = self.time if self.time.size else np.arange(self.patient.size, dtype=float)
        return Layout.of(self.patient, time)

    @cached_property
    def later_gaps(self) -> tuple[float, float, float]:
        """Shortest, median and longest gap between a patient's rows; 1 where there are none."""
        later = self.gaps[self.starts[1] :]
        if not later.size:
            return 1.0, 1.0, 1.0
        return float(later.min()), float(np.median(later)), float(later.max())

    @cached_property
    def scaled(self) -> tuple[Array, Array, Array]:
        """Outcome (n,), fixed-effect (n, p) and random-effect columns (n, q), visit-major and scaled."""
        return self.packed[-1], self.packed[-1 - self.p : -1].T, self.packed[: self.q].T


def _not_finite() -> FitError:
    return FitError("Outcome, columns and times must be finite numbers; leave incomplete rows out first.")


def _same(one: Array, other: Array) -> bool:
    """Are two blocks of columns the same numbers?"""
    if one.__array_interface__ == other.__array_interface__:
        return True
    return bool((one[0] == other[0]).all()) and bool(np.array_equal(one, other))


def _scaling(x: Array, refusal: str) -> tuple[Array, Array, Array]:
    """Basis and ``turn`` such that ``basis @ turn`` has orthogonal columns of size √n, and the way back.

    Normal equations where the columns are well apart (rounding then costs at most the eighth digit of
    orthogonality, on which nothing rests), else a QR decomposition.
    """
    n, p = x.shape
    if p == 0:
        return x, np.zeros((0, 0)), np.zeros((0, 0))
    gram = x.T @ x
    size = np.sqrt(gram.diagonal())
    if not np.isfinite(size).all():
        raise _not_finite()
    if size.all():
        root, failed = dpotrf(gram / (size * size[:, None]), lower=False, clean=True)
        if not failed and root.diagonal().min() ** 2 > _WELL_CONDITIONED:
            turn = dtrtri(root, lower=False)[0] * (math.sqrt(n) / size)[:, None]
            return x, turn, turn
    basis, root = np.linalg.qr(x)
    if (np.abs(root.diagonal()) <= 1e-9 * size).any():
        raise FitError(refusal)
    turn = np.eye(p) * np.sqrt(n)
    return basis, turn, np.linalg.inv(root) * np.sqrt(n)


def _arrange(patient: Ints, time: Array) -> tuple[Ints, Ints, Ints, Array]:
    """First row of each patient position, order of rows (empty: as they are), starts and gaps.

    Without compiled code ``order`` is the visit-major order itself, and ``head`` is empty.
    """
    arrange = compiled.kernels().arrange
    if arrange is None:
        layout = Layout.of(patient, time if time.size else np.arange(patient.size, dtype=float))
        gaps = layout.gaps if time.size else _NONE
        return _NO_ORDER, layout.order, np.array(layout.starts), gaps
    order = _NO_ORDER
    fine, head, starts, gaps = arrange(patient, time, order)
    if not fine:
        order = np.lexsort((time, patient)) if time.size else np.argsort(patient, kind="stable")
        _, head, starts, gaps = arrange(patient, time, order)
    return head, order, starts, gaps


def _pack(
    packed: Array, first: int, source: Array, turn: Array, order: Ints, head: Ints, starts: Ints
) -> None:
    """Write ``source @ turn``, in visit-major order, into lines ``first`` … of ``packed``."""
    pack = compiled.kernels().pack
    if pack is None:
        packed[first : first + turn.shape[1]] = (source @ turn)[order].T
    else:
        pack(packed, first, source, order, head, starts, turn)
