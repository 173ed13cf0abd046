r"""Mixed-model likelihood on arrays: random intercept and slope with serially correlated residuals.

For patient :math:`i` with rows at times :math:`s_{i1} < \dots < s_{im_i}`

.. math::  y_i = X_i\beta + Z_i b_i + e_i,\qquad b_i \sim N(0, \sigma^2 \Lambda\Lambda'),\qquad
           e_i \sim N(0, \sigma^2 R_i),

.. math::  R_{i,jk} = (1-\nu)\,\varphi^{|s_{ij}-s_{ik}|} + \nu\,1[j=k],

with :math:`Z_i` of zero, one or two columns, :math:`\Lambda` lower triangular, :math:`\varphi` the
correlation of residuals one time unit apart (CAR(1)) and :math:`\nu` the share of white noise
("nugget"). Everything is numpy arrays: no frames, no names.

How it is computed
------------------
Rows are kept in *visit-major* order: first rows of all patients, then second rows, …, with patients
sorted by falling number of rows. Step ``j`` then touches the contiguous slice of the patients that
have a ``j``-th row, so a recursion over visits is vectorised over patients without padding.

1. :math:`R_i^{-1/2}` is applied by the innovations (Kalman) recursion of the scalar state-space form
   of CAR(1)-plus-noise: linear in rows (Jones 1993, *Longitudinal Data with Serial Correlation*,
   chapters 3–4). Its tangent in :math:`\varphi, \nu` is carried along for the exact gradient.
2. Per patient the whitened data enter through :math:`A_i = \tilde Z_i'\tilde Z_i`,
   :math:`B_i = \tilde Z_i'[\tilde X_i\ \tilde y_i]` and the total cross-product
   :math:`C = \sum_i[\tilde X_i\ \tilde y_i]'[\tilde X_i\ \tilde y_i]` only. With
   :math:`M_i = I + \Lambda'A_i\Lambda` and :math:`W_i = \Lambda M_i^{-1}\Lambda'`,

   .. math:: S = C - \sum_i B_i'W_iB_i,\quad \hat\beta = S_{xx}^{-1}S_{xy},\quad
             \mathrm{RSS} = S_{yy} - S_{yx}\hat\beta,

   .. math:: -2\ell = n\log(2\pi\,\mathrm{RSS}/n) + n + \sum_i\log|M_i| + \sum_i\log|R_i|

   (profiled ML deviance; for REML :math:`n-p` replaces :math:`n` and :math:`\log|X'V^{-1}X|` is
   added; Bates et al. 2015, *J Stat Softw* 67(1), doi:10.18637/jss.v067.i01, eqs 34 and 41 written
   per patient).
3. With :math:`u_i = (I - A_iW_i)(B_{iy} - B_{ix}\hat\beta)` the gradient in
   :math:`D=\Lambda\Lambda'` is
   :math:`G = \sum_i (A_i - A_iW_iA_i) - (n/\mathrm{RSS})\sum_i u_iu_i'`, and in
   :math:`\Lambda` it is :math:`2G\Lambda` (lower triangle).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from tpr_outcomes.errors import FitError
from tpr_outcomes.models import compiled

Array = NDArray[np.float64]
Residual = Literal["independent", "car1", "car1+nugget"]
Method = Literal["ml", "reml"]
Status = Literal["converged", "boundary", "failed"]

_LOGIT_LIMIT = 30.0
"""A white-noise share within 1e-13 of 0 or 1 is that limit."""
_NO_CORRELATION = 40.0
"""``exp(-40)`` is a correlation of 0 to rounding error: at the shortest gap nothing is left of it."""
_FULL_CORRELATION = 1e-6
"""Loss of correlation over the longest gap that is taken for none."""
_MIDDLE_RATE = float(np.log(np.log(2.0)))
"""Scaled parameter of a correlation of one half at the usual gap."""
_EDGE = 1e-4
"""Shares, and correlations at the shortest and longest gap, within this of 0 or 1 are at the boundary."""
_GRADIENT_TOLERANCE = 2e-3
"""Largest deviance gradient (per unit of a scaled parameter) accepted as an optimum. With curvature
of order 1 or more the deviance is then within 2e-6 of its minimum, far below any decision."""


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
    def random_covariance(self) -> Array:
        """Covariance matrix of the random effects, shape (q, q)."""
        return np.asarray(self.sigma**2 * self.factor @ self.factor.T)


@dataclass(frozen=True)
class MixedFit:
    """What the data say of one mixed model.

    Attributes
    ----------
    beta, std_error : ndarray, shape (p,)
        Fixed effects and their model-based standard errors (covariance parameters taken as known).
    beta_cov : ndarray, shape (p, p)
        Their covariance, ``sigma^2 (X'V^{-1}X)^{-1}``.
    covariance : Covariance
        Estimated working covariance.
    log_likelihood : float
        Maximised (restricted) log-likelihood.
    method : {"ml", "reml"}
    residual : {"independent", "car1", "car1+nugget"}
    status : {"converged", "boundary", "failed"}
        ``"boundary"``: the optimum lies at a zero variance, a correlation of 0 or ±1, or a white-noise
        share of 0 or 1, where large-sample theory for the variance parameters does not hold; the
        likelihood there is a true maximum. ``"failed"``: no maximum was certified; do not use.
    message : str
        What ended the search, in words.
    gradient : float
        Largest absolute component of the deviance gradient at the end.
    evaluations : int
        Likelihood evaluations used.
    n_rows, n_patients : int
    """

    beta: Array
    std_error: Array
    beta_cov: Array
    covariance: Covariance
    log_likelihood: float
    method: Method
    residual: Residual
    status: Status
    message: str
    gradient: float
    evaluations: int
    n_rows: int
    n_patients: int

    @property
    def converged(self) -> bool:
        """True only for a certified optimum in the interior."""
        return self.status == "converged"

    @property
    def n_parameters(self) -> int:
        """Fixed effects and covariance parameters together."""
        q = self.covariance.factor.shape[0]
        extra = {"independent": 0, "car1": 1, "car1+nugget": 2}[self.residual]
        return int(self.beta.size + q * (q + 1) // 2 + extra + 1)


@dataclass(frozen=True)
class _Gains:
    """One step of the innovations recursion for the residual process, per patient of the step."""

    rho: Array
    root: Array
    gain: Array
    d_rho: Array
    d_variance: Array
    d_gain: Array


def _gains(layout: Layout, phi: float, nugget: float, *, tangents: bool) -> tuple[list[_Gains], Array]:
    """Innovation variances and gains; with the log-determinant of R and its tangents.

    Tangents are in ``(rate, nugget)`` with ``phi = exp(-rate)``. Arrays have one entry per patient of
    the step, or a single one shared by all (see ``Layout.step_gaps``).
    """
    share = 1.0 - nugget
    log_phi = np.log(phi) if phi > 0.0 else -np.inf
    log_det = np.zeros(3)
    steps: list[_Gains] = []
    variance, d_variance = np.full(1, share), np.array([[0.0], [-1.0]])
    rho = d_rho = np.zeros(1)
    for j, (gap, (_, m)) in enumerate(zip(layout.step_gaps, layout.steps, strict=True)):
        if j:
            before = steps[-1]
            rho = np.exp(gap * log_phi)
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
        steps.append(_Gains(rho, np.sqrt(total), gain, d_rho, d_total / total, d_gain))
    return steps, log_det


def _whiten_residual(layout: Layout, columns: Array, steps: list[_Gains]) -> Array:
    """Apply ``R^{-1/2}`` to visit-major columns (n, k)."""
    out = np.empty_like(columns)
    state = np.zeros((layout.n_patients, columns.shape[1]))
    for (rows, m), step in zip(layout.steps, steps, strict=True):
        predicted = step.rho[:, None] * state[:m]
        innovation = columns[rows] - predicted
        out[rows] = innovation / step.root[:, None]
        state = predicted + step.gain[:, None] * innovation
    return out


def _whiten_tangents(layout: Layout, columns: Array, steps: list[_Gains]) -> tuple[Array, Array]:
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
    residual: list[_Gains]
    random: list[_Reach]

    @classmethod
    def of(cls, layout: Layout, z: Array, covariance: Covariance) -> Whitener:
        """Build from visit-major random-effect columns ``z`` (n, q) and a covariance."""
        steps, _ = _gains(layout, covariance.phi, covariance.nugget, tangents=False)
        reaches: list[_Reach] = []
        if z.shape[1]:
            white_z = _whiten_residual(layout, z, steps)
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
        white = _whiten_residual(self.layout, columns, self.residual)
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


@dataclass(frozen=True)
class _Parts:
    """What one evaluation leaves behind: see the module docstring for the letters."""

    a: Array
    b: Array
    w: Array
    wb: Array
    root: Array
    beta: Array
    factor: Array
    rss: float
    deviance: float


class _Deviance:
    """Profiled deviance and its exact gradient, as a function of scaled covariance parameters.

    The parameter vector is the lower triangle of the relative factor (row by row), then
    ``log(rate)`` with ``phi = exp(-rate / unit)`` and the logit of the nugget, as far as the residual
    model has them.
    """

    def __init__(
        self, layout: Layout, y: Array, x: Array, z: Array, *, residual: Residual, method: Method, unit: float
    ) -> None:
        self.layout, self.residual, self.method, self.unit = layout, residual, method, unit
        self.n, self.p = x.shape
        self.q = z.shape[1]
        self.lower = np.tril_indices(self.q)
        self.dof = self.n - (self.p if method == "reml" else 0)
        self.raw = np.ascontiguousarray(np.concatenate([z, x, y[:, None]], axis=1))
        self.evaluations = 0
        self.correlated = residual != "independent"
        later = layout.gaps[layout.starts[1] :]
        self.shortest = float(later.min(initial=np.inf)) if later.size else unit
        self.longest = float(later.max(initial=0.0)) if later.size else unit
        self.kernels = compiled.kernels() if self.correlated else None
        self.starts = np.array(layout.starts)
        if not self.correlated:
            self.sums = self._sums(self.raw)

    @property
    def bounds(self) -> list[tuple[float, float]]:
        """Box of the search: correlation from (all but) 1 at the longest gap to 0 at the shortest."""
        box = [(-1e4, 1e4)] * self.lower[0].size
        if self.correlated:
            low, high = _FULL_CORRELATION / self.longest, _NO_CORRELATION / self.shortest
            box.append((float(np.log(low * self.unit)), float(np.log(high * self.unit))))
        if self.residual == "car1+nugget":
            box.append((-_LOGIT_LIMIT, _LOGIT_LIMIT))
        return box

    def unpack(self, parameters: Array) -> tuple[Array, float, float]:
        """Relative factor, phi (per time unit of the layout) and nugget."""
        factor = np.zeros((self.q, self.q))
        k = self.lower[0].size
        factor[self.lower] = parameters[:k]
        phi = float(np.exp(-np.exp(parameters[k]) / self.unit)) if self.correlated else 0.0
        nugget = float(1.0 / (1.0 + np.exp(-parameters[k + 1]))) if self.residual == "car1+nugget" else 0.0
        return factor, phi, nugget

    def _sums(self, white: Array) -> tuple[Array, Array, Array]:
        """Per-patient ``A`` (N,q,q), ``B`` (N,q,k) and the total cross-product ``C`` (k,k)."""
        q = self.q
        z, rest = white[:, :q], white[:, q:]
        a = np.zeros((self.layout.n_patients, q, q))
        b = np.zeros((self.layout.n_patients, q, rest.shape[1]))
        for rows, m in self.layout.steps:
            zj = z[rows][:, :, None]
            a[:m] += zj * z[rows][:, None, :]
            b[:m] += zj * rest[rows][:, None, :]
        return a, b, rest.T @ rest

    def _correlated_sums(self, phi: float, nugget: float) -> tuple[Array, Array, Array, float]:
        """As :meth:`_sums` after whitening the residuals; with ``log|R|``."""
        if self.kernels is not None:
            white, a, b, log_r = self.kernels[0](self.starts, self.layout.gaps, self.raw, self.q, phi, nugget)
            return a, b, white[:, self.q :].T @ white[:, self.q :], float(log_r)
        steps, log_det = _gains(self.layout, phi, nugget, tangents=False)
        return *self._sums(_whiten_residual(self.layout, self.raw, steps)), float(log_det[0])

    def parts(self, parameters: Array) -> _Parts:
        """Everything a solution needs at one parameter value."""
        factor, phi, nugget = self.unpack(parameters)
        log_r = 0.0
        if self.correlated:
            a, b, c, log_r = self._correlated_sums(phi, nugget)
        else:
            a, b, c = self.sums
        m = np.eye(self.q) + factor.T @ a @ factor
        w = factor @ np.linalg.inv(m) @ factor.T
        wb = w @ b
        k = self.p + 1
        s = c - b.reshape(-1, k).T @ wb.reshape(-1, k)
        root = np.asarray(np.linalg.cholesky(s[: self.p, : self.p]), dtype=np.float64)
        half = np.linalg.solve(root, s[: self.p, self.p])
        beta = np.linalg.solve(root.T, half)
        rss = s[self.p, self.p] - half @ half
        log_m = np.log(np.linalg.det(m)).sum() if self.q else 0.0
        deviance = self.dof * (1.0 + np.log(2.0 * np.pi * rss / self.dof)) + log_m + log_r
        if self.method == "reml":
            deviance += 2.0 * np.log(np.diag(root)).sum()
        return _Parts(
            a=a,
            b=b,
            w=w,
            wb=wb,
            root=root,
            beta=beta,
            factor=factor,
            rss=float(rss),
            deviance=float(deviance),
        )

    def __call__(self, parameters: Array) -> tuple[float, Array]:
        """Deviance and gradient."""
        self.evaluations += 1
        try:
            d = self.parts(parameters)
        except np.linalg.LinAlgError:
            return np.inf, np.zeros_like(parameters)
        gradient = np.empty_like(parameters)
        k = self.lower[0].size
        gradient[:k] = self._factor_gradient(d)
        if self.correlated:
            gradient[k:] = self._residual_gradient(parameters, d)
        return d.deviance, gradient

    def _factor_gradient(self, d: _Parts) -> Array:
        a, b, w, beta = d.a, d.b, d.w, d.beta
        aw = a @ w
        bi = b[:, :, self.p] - b[:, :, : self.p] @ beta
        u = bi - np.einsum("nab,nb->na", aw, bi)
        g = (a - aw @ a).sum(axis=0) - (self.dof / d.rss) * (u.T @ u)
        if self.method == "reml":
            bx = b[:, :, : self.p]
            ux = np.linalg.solve(d.root, (bx - aw @ bx).reshape(-1, self.p).T).T.reshape(bx.shape)
            g = g - np.einsum("nap,nbp->ab", ux, ux)
        return np.asarray((2.0 * g @ d.factor)[self.lower])

    def _residual_gradient(self, parameters: Array, d: _Parts) -> Array:
        """Gradient in (log rate, logit nugget) by the tangents of the whitening recursion."""
        q, p = self.q, self.p
        _, phi, nugget = self.unpack(parameters)
        residual = self.raw[:, -1:] - self.raw[:, q : q + p] @ d.beta[:, None]
        if self.kernels is not None and self.method == "ml":
            columns = np.concatenate([self.raw[:, :q], residual], axis=1)
            squares, trace, log_r = self.kernels[1](self.starts, self.layout.gaps, columns, d.w, phi, nugget)
            out = np.asarray(self.dof / d.rss * squares + trace + log_r)
        else:
            out = self._recursion_gradient(residual, d, phi, nugget)
        out[0] *= np.exp(parameters[self.lower[0].size]) / self.unit
        out[1] *= nugget * (1.0 - nugget)
        return out if self.residual == "car1+nugget" else out[:1]

    def _recursion_gradient(self, residual: Array, d: _Parts, phi: float, nugget: float) -> Array:
        """The same in (rate, nugget) without compiled code, and for REML."""
        q, p, w = self.q, self.p, d.w
        steps, log_det = _gains(self.layout, phi, nugget, tangents=True)
        parts = [self.raw[:, :q], residual]
        if self.method == "reml":
            parts.insert(1, self.raw[:, q : q + p])
        white, tangent = _whiten_tangents(self.layout, np.concatenate(parts, axis=1), steps)
        r = white[:, -1]
        bi = d.b[:, :, p] - d.b[:, :, :p] @ d.beta
        wb = np.einsum("nab,nb->na", w, bi)
        out = np.empty(2)
        for which in range(2):
            dz, dr = tangent[which][:, :q], tangent[which][:, -1]
            da = self.layout.patient_sums(dz[:, :, None] * white[:, None, :q])
            da = da + da.transpose(0, 2, 1)
            db = self.layout.patient_sums(dz * r[:, None] + white[:, :q] * dr[:, None])
            d_rss = 2.0 * r @ dr - 2.0 * (db * wb).sum() + np.einsum("na,nab,nb->", wb, da, wb)
            out[which] = self.dof / d.rss * d_rss + (w * da).sum() + log_det[1 + which]
            if self.method == "reml":
                out[which] += self._reml_tangent(d, white, tangent[which], da)
        return out

    def _reml_tangent(self, d: _Parts, white: Array, tangent: Array, da: Array) -> float:
        """Derivative of ``log|X'V^{-1}X|`` along one residual parameter."""
        q, p = self.q, self.p
        x, dx, z, dz = white[:, q : q + p], tangent[:, q : q + p], white[:, :q], tangent[:, :q]
        db = self.layout.patient_sums(dz[:, :, None] * x[:, None, :] + z[:, :, None] * dx[:, None, :])
        wbx = d.wb[:, :, :p]
        half = x.T @ dx - np.einsum("nap,nar->pr", wbx, db)
        ds = half + half.T + np.einsum("nap,nab,nbr->pr", wbx, da, wbx)
        return float(np.trace(np.linalg.solve(d.root.T, np.linalg.solve(d.root, ds))))

    def direction(self, parameters: Array) -> Array:
        """Gradient in ``D`` itself (q, q): its sign along null directions of ``D`` certifies a boundary."""
        d = self.parts(parameters)
        aw = d.a @ d.w
        bi = d.b[:, :, self.p] - d.b[:, :, : self.p] @ d.beta
        u = bi - np.einsum("nab,nb->na", aw, bi)
        return np.asarray((d.a - aw @ d.a).sum(axis=0) - (self.dof / d.rss) * (u.T @ u))


@dataclass(frozen=True)
class _Scaled:
    """The problem with orthonormal columns of unit size, and the way back.

    ``y`` is what least squares leaves of the outcome, so that sums of squares do not cancel; ``middle``
    are the least-squares coefficients taken out, in scaled columns and outcome units over ``y_scale``.
    """

    layout: Layout
    y: Array
    x: Array
    z: Array
    middle: Array
    y_scale: float
    x_root: Array
    z_root: Array
    unit: float


def fit_mixed(
    y: Array,
    x: Array,
    patient: NDArray[np.int64],
    *,
    z: Array | None = None,
    time: Array | None = None,
    residual: Residual = "independent",
    method: Method = "ml",
    start: Covariance | None = None,
) -> MixedFit:
    r"""Maximum-likelihood or REML fit of a linear mixed model with serially correlated residuals.

    Parameters
    ----------
    y : ndarray, shape (n,)
        Outcome.
    x : ndarray, shape (n, p)
        Fixed-effect columns, of full column rank.
    patient : ndarray of int, shape (n,)
        Patient codes 0, 1, … without gaps, rows in any order.
    z : ndarray, shape (n, q), optional
        Random-effect columns, q of 0, 1 or 2; default one column of ones (random intercept).
    time : ndarray, shape (n,), optional
        Time of each row, needed for correlated residuals; distinct within a patient.
    residual : {"independent", "car1", "car1+nugget"}
        Residual correlation ``(1 - nugget) * phi ** |time difference|``.
    method : {"ml", "reml"}
    start : Covariance, optional
        Where to begin (a warm start); the search still ends at a certified optimum. Without it,
        searches begin at two places and the higher likelihood is kept.

    Returns
    -------
    MixedFit

    Raises
    ------
    FitError
        Not finite, fewer rows than columns, columns not of full rank, more than two random-effect
        columns, or repeated times within a patient when residuals are correlated.

    Notes
    -----
    See the module docstring for the formulas. Columns of ``x`` and ``z`` are orthonormalised first, so
    the scale of time does not matter. The optimum is accepted only when the exact gradient is below
    2e-3 deviance units per scaled parameter and, at a zero variance, when the deviance does not fall
    along any direction that leaves the boundary.

    Examples
    --------
    >>> import numpy as np
    >>> patient = np.repeat(np.arange(30), 4)
    >>> t = np.tile(np.arange(4.0), 30)
    >>> rng = np.random.default_rng(0)
    >>> y = 5 - 0.5 * t + rng.normal(size=30)[patient] + rng.normal(size=120)
    >>> fit = fit_mixed(y, np.column_stack([np.ones(120), t]), patient)
    >>> fit.status
    'converged'
    """
    problem = _prepare(y, x, patient, z, time, residual)
    deviance = _Deviance(
        problem.layout, problem.y, problem.x, problem.z, residual=residual, method=method, unit=problem.unit
    )
    best, gradient, message = _minimise(deviance, _starts(deviance, problem, start))
    return _collect(deviance, problem, best, gradient, message)


def _prepare(
    y: Array,
    x: Array,
    patient: NDArray[np.int64],
    z: Array | None,
    time: Array | None,
    residual: Residual,
) -> _Scaled:
    n, p = x.shape
    if z is None:
        z = np.ones((n, 1))
    if time is None:
        if residual != "independent":
            raise FitError("Correlated residuals need the time of each row; give `time`.")
        time = np.arange(n, dtype=float)
    if not (
        np.isfinite(y).all() and np.isfinite(x).all() and np.isfinite(z).all() and np.isfinite(time).all()
    ):
        raise FitError("Outcome, columns and times must be finite numbers; leave incomplete rows out first.")
    if n <= p + 1:
        raise FitError(f"{n} rows cannot support {p} fixed effects; at least {p + 2} rows are needed.")
    if z.shape[1] > 2:
        raise FitError(f"{z.shape[1]} random-effect columns were given; this engine fits at most two.")
    layout = Layout.of(patient, time)
    if residual != "independent" and (layout.gaps[layout.starts[1] :] <= 0.0).any():
        raise FitError(
            "Two rows of one patient have the same time; correlated residuals need distinct times."
        )
    xq, x_root = np.linalg.qr(x)
    if _dependent(x, x_root):
        raise FitError("The fixed-effect columns are linearly dependent; drop the redundant ones.")
    zq, z_root = np.linalg.qr(z) if z.shape[1] else (z, np.zeros((0, 0)))
    if _dependent(z, z_root):
        raise FitError("The random-effect columns are linearly dependent; use one of them.")
    root_n = np.sqrt(n)
    residuals = y - xq @ (xq.T @ y)
    y_scale = float(np.sqrt(residuals @ residuals / n))
    if y_scale <= 1e-12 * max(1.0, float(np.abs(y).max())):
        raise FitError("The outcome does not vary beyond the fixed effects; there is nothing to fit.")
    later = layout.gaps[layout.starts[1] :]
    return _Scaled(
        layout=layout,
        y=residuals[layout.order] / y_scale,
        x=xq[layout.order] * root_n,
        z=zq[layout.order] * root_n,
        middle=xq.T @ y / (root_n * y_scale),
        y_scale=y_scale,
        x_root=x_root / root_n,
        z_root=z_root / root_n,
        unit=float(np.median(later)) if later.size else 1.0,
    )


def _dependent(columns: Array, root: Array) -> bool:
    """Is a column, to nine digits of its own length, a combination of those before it?"""
    return bool((np.abs(np.diag(root)) <= 1e-9 * np.linalg.norm(columns, axis=0)).any())


def _starts(deviance: _Deviance, problem: _Scaled, start: Covariance | None) -> list[Array]:
    """Starting values: the warm start alone; or a coarse grid's best, and the middle of the box."""
    k = deviance.lower[0].size
    if start is not None:
        root = np.linalg.qr((problem.z_root @ start.factor).T)[1].T if k else np.zeros((0, 0))
        values = list(root[deviance.lower])
        if deviance.correlated:
            phi = min(max(start.phi, 1e-6), 1.0 - 1e-6)
            values.append(float(np.log(-np.log(phi) * problem.unit)))
        if deviance.residual == "car1+nugget":
            share = min(max(start.nugget, 1e-3), 1.0 - 1e-3)
            values.append(float(np.log(share / (1.0 - share))))
        return [np.array(values)]
    grid: list[list[float]] = [[]]
    if deviance.correlated:
        grid = [[float(np.log(-np.log(phi)))] for phi in (0.05, 0.35, 0.7, 0.93)]
    if deviance.residual == "car1+nugget":
        grid = [[*rate, share] for rate in grid for share in (-1.5, 0.0, 1.5)]
    sizes = (0.25, 1.0) if k else (1.0,)
    candidates = [
        np.array([*(np.eye(deviance.q)[deviance.lower] * size), *extra]) for size in sizes for extra in grid
    ]
    if not deviance.correlated:
        return candidates
    # The best of the grid and its neighbours lead to the same valley; the middle often lies in another.
    values = [deviance.parts(c).deviance for c in candidates]
    deviance.evaluations += len(candidates)
    middle = [*np.diag([1.0, 0.5][: deviance.q])[deviance.lower], _MIDDLE_RATE]
    middle += [0.0] if deviance.residual == "car1+nugget" else []
    return [candidates[int(np.argmin(values))], np.array(middle)]


def _minimise(deviance: _Deviance, starts: list[Array]) -> tuple[Array, float, str]:
    """Best certified optimum over the starts -> parameters, largest gradient, message."""
    best: tuple[float, Array, float, str] | None = None
    for start in starts:
        found = _descend(deviance, start)
        if best is None or found[0] < best[0] - 1e-9:
            best = found
    assert best is not None
    return best[1], best[2], best[3]


def _descend(deviance: _Deviance, start: Array) -> tuple[float, Array, float, str]:
    if start.size == 0:
        return float(deviance(start)[0]), start, 0.0, "no covariance parameters to estimate"
    bounds = deviance.bounds
    point = start
    message = ""
    for _ in range(5):
        result = minimize(
            deviance,
            point,
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": 500, "maxcor": 20, "ftol": 1e-15, "gtol": 1e-4, "maxls": 40},
        )
        point = np.asarray(result.x)
        message = str(result.message)
        moved = _escape(deviance, point)
        if moved is None:
            moved = _across_the_edge(deviance, point)
        if moved is None and _open_gradient(deviance, point, bounds) < _GRADIENT_TOLERANCE:
            break
        if moved is not None:
            point = moved
    value, _ = deviance(point)
    return value, point, _open_gradient(deviance, point, bounds), message


def _open_gradient(deviance: _Deviance, point: Array, bounds: list[tuple[float, float]]) -> float:
    """Largest gradient component that is not held by a bound it pushes against."""
    gradient = deviance(point)[1].copy()
    for i, (low, high) in enumerate(bounds):
        if (point[i] <= low + 1e-9 and gradient[i] > 0) or (point[i] >= high - 1e-9 and gradient[i] < 0):
            gradient[i] = 0.0
    return float(np.abs(gradient).max()) if np.isfinite(gradient).all() else np.inf


def _escape(deviance: _Deviance, point: Array) -> Array | None:
    """A point off the zero-variance boundary, if the deviance falls in that direction."""
    factor, _, _ = deviance.unpack(point)
    if not deviance.q:
        return None
    values, vectors = np.linalg.eigh(factor @ factor.T)
    if values[0] > 1e-6:
        return None
    null = vectors[:, values <= 1e-6]
    slope, along = np.linalg.eigh(null.T @ deviance.direction(point) @ null)
    if slope[0] >= -1e-3:
        return None
    leave = null @ along[:, 0]
    lifted = factor @ factor.T + 0.05 * np.outer(leave, leave) + 1e-12 * np.eye(deviance.q)
    moved = point.copy()
    moved[: deviance.lower[0].size] = np.linalg.cholesky(lifted)[deviance.lower]
    return moved


def _across_the_edge(deviance: _Deviance, point: Array) -> Array | None:
    """A better point at, or off, a limit of the residual parameters that the search has come close to.

    In the logit of the white-noise share and in the logarithm of the rate, the gradient dies out on the
    way to the limit, whether the limit is the optimum (then the search stops short of it) or not (then it
    would look like one). So the limit itself and values well inside are tried; where all is noise, the
    correlation means nothing, so it is also tried at the middle.
    """
    k = deviance.lower[0].size
    tried: list[dict[int, float]] = []
    for i, (low, high) in list(enumerate(deviance.bounds))[k:]:
        if i > k:
            at_low, at_high, inside = point[i] < -6.0, point[i] > 6.0, 3.0
        else:
            at_low = point[i] < np.log(1e-2 * deviance.unit / deviance.longest)
            at_high = point[i] > np.log(5.0 * deviance.unit / deviance.shortest)
            inside = 3.0 if at_low else 1.0
        if at_low or at_high:
            middle = {k: _MIDDLE_RATE} if i > k else {}
            tried += [{i: low if at_low else high}, {i: (-1.0 if at_low else 1.0) * inside}]
            tried += [tried[-1] | middle] if middle else []
    better, least = None, deviance(point)[0] - 1e-8 if tried else -np.inf
    for changes in tried:
        other = point.copy()
        other[list(changes)] = list(changes.values())
        found = deviance(other)[0]
        if found < least:
            better, least = other, found
    return better


def _collect(deviance: _Deviance, problem: _Scaled, point: Array, gradient: float, message: str) -> MixedFit:
    d = deviance.parts(point)
    factor, phi, nugget = deviance.unpack(point)
    scale = problem.y_scale
    sigma = scale * float(np.sqrt(d.rss / deviance.dof))
    inverse_root = np.linalg.solve(d.root, np.eye(deviance.p))
    back = np.linalg.inv(problem.x_root)
    beta_cov = sigma**2 * back @ inverse_root.T @ inverse_root @ back.T
    n = deviance.n
    log_likelihood = -0.5 * d.deviance - deviance.dof * np.log(scale)
    if deviance.method == "reml":
        log_likelihood -= float(np.log(np.abs(np.diag(problem.x_root))).sum())
    status, words = _status(deviance, factor, phi, nugget, gradient)
    if deviance.q:
        root = np.linalg.solve(problem.z_root, factor)
        factor = np.linalg.qr(root.T)[1].T
        factor = factor * np.where(np.diag(factor) < 0, -1.0, 1.0)
    return MixedFit(
        beta=back @ (d.beta + problem.middle) * scale,
        std_error=np.sqrt(np.diag(beta_cov)),
        beta_cov=beta_cov,
        covariance=Covariance(sigma=sigma, factor=factor, phi=phi, nugget=nugget),
        log_likelihood=log_likelihood,
        method=deviance.method,
        residual=deviance.residual,
        status=status,
        message=words or message,
        gradient=gradient,
        evaluations=deviance.evaluations,
        n_rows=n,
        n_patients=problem.layout.n_patients,
    )


def _status(
    deviance: _Deviance, factor: Array, phi: float, nugget: float, gradient: float
) -> tuple[Status, str]:
    """Certified interior optimum, certified boundary optimum, or neither."""
    if not gradient < _GRADIENT_TOLERANCE:
        return "failed", f"no optimum was certified: the largest deviance gradient is {gradient:.2g}"
    edges = []
    if deviance.q and np.linalg.eigvalsh(factor @ factor.T)[0] < _EDGE**2:
        edges.append("the random-effects covariance is singular (a variance of 0 or a correlation of 1)")
    if deviance.correlated:
        if phi**deviance.shortest < _EDGE or phi**deviance.longest > 1.0 - _EDGE:
            edges.append("the residual correlation is at 0 or 1")
        if deviance.residual == "car1+nugget" and not _EDGE < nugget < 1.0 - _EDGE:
            edges.append("the white-noise share is at 0 or 1")
    if edges:
        return "boundary", "at the boundary: " + "; ".join(edges)
    return "converged", "converged"
