"""The profiled deviance of a mixed model and its exact gradient.

Formulas: :mod:`tpr_outcomes.models.mixed`, steps 2 and 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tpr_outcomes.models import compiled
from tpr_outcomes.models.mixed_rows import Layout, gains, whiten_residual, whiten_tangents

Array = NDArray[np.float64]
Residual = Literal["independent", "car1", "car1+nugget"]
Method = Literal["ml", "reml"]

_LOGIT_LIMIT = 30.0
"""A white-noise share within 1e-13 of 0 or 1 is that limit."""
_NO_CORRELATION = 40.0
"""``exp(-40)`` is a correlation of 0 to rounding error: at the shortest gap nothing is left of it."""
_FULL_CORRELATION = 1e-6
"""Loss of correlation over the longest gap that is taken for none."""
_ADJUGATE = np.array([[1.0, -1.0], [-1.0, 1.0]])
"""Signs of the adjugate of a 2 x 2 matrix, whose entries stand in reversed order."""


@dataclass(frozen=True)
class Parts:
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


def shrink(a: Array, factor: Array) -> tuple[Array, float]:
    r"""``W = Λ(I + Λ'AΛ)^{-1}Λ'`` per patient (N,q,q), and the sum of ``log|I + Λ'AΛ|``.

    Notes
    -----
    Cramer's rule, for at most two random effects. With :math:`D=\Lambda\Lambda'` and
    :math:`M=I+\Lambda'A\Lambda`,

    .. math:: |M| = 1+\mathrm{tr}(DA)+|D|\,|A|,\qquad W=(D^{-1}+A)^{-1}=(D+|D|\,\mathrm{adj}\,A)/|M|;

    with :math:`|D|` multiplied through, it holds for singular :math:`D` too. For one random effect the
    terms in :math:`|D|` are left out.
    """
    d = factor @ factor.T
    size = 1.0 + (a * d).sum(axis=(1, 2))
    w = np.broadcast_to(d, a.shape)
    if d.shape[0] == 2:
        both = float(factor[0, 0] * factor[1, 1]) ** 2
        size += both * (a[:, 0, 0] * a[:, 1, 1] - a[:, 0, 1] * a[:, 1, 0])
        w = w + both * _ADJUGATE * a[:, ::-1, ::-1]
    return w / size[:, None, None], float(np.log(size).sum())


class Deviance:
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
        self.seen: tuple[Array, float, Array] | None = None
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
        steps, log_det = gains(self.layout, phi, nugget, tangents=False)
        return *self._sums(whiten_residual(self.layout, self.raw, steps)), float(log_det[0])

    def parts(self, parameters: Array) -> Parts:
        """Everything a solution needs at one parameter value."""
        factor, phi, nugget = self.unpack(parameters)
        log_r = 0.0
        if self.correlated:
            a, b, c, log_r = self._correlated_sums(phi, nugget)
        else:
            a, b, c = self.sums
        w, log_m = shrink(a, factor)
        wb = w @ b
        k = self.p + 1
        s = c - b.reshape(-1, k).T @ wb.reshape(-1, k)
        root = np.asarray(np.linalg.cholesky(s[: self.p, : self.p]), dtype=np.float64)
        half = np.linalg.solve(root, s[: self.p, self.p])
        beta = np.linalg.solve(root.T, half)
        rss = s[self.p, self.p] - half @ half
        deviance = self.dof * (1.0 + np.log(2.0 * np.pi * rss / self.dof)) + log_m + log_r
        if self.method == "reml":
            deviance += 2.0 * np.log(np.diag(root)).sum()
        return Parts(
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
        """Deviance and gradient; the last point is remembered, since a search asks for its end again."""
        if self.seen is not None and np.array_equal(parameters, self.seen[0]):
            return self.seen[1], self.seen[2].copy()
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
        self.seen = (parameters.copy(), d.deviance, gradient.copy())
        return d.deviance, gradient

    def _factor_gradient(self, d: Parts) -> Array:
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

    def _residual_gradient(self, parameters: Array, d: Parts) -> Array:
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

    def _recursion_gradient(self, residual: Array, d: Parts, phi: float, nugget: float) -> Array:
        """The same in (rate, nugget) without compiled code, and for REML."""
        q, p, w = self.q, self.p, d.w
        steps, log_det = gains(self.layout, phi, nugget, tangents=True)
        parts = [self.raw[:, :q], residual]
        if self.method == "reml":
            parts.insert(1, self.raw[:, q : q + p])
        white, tangent = whiten_tangents(self.layout, np.concatenate(parts, axis=1), steps)
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

    def _reml_tangent(self, d: Parts, white: Array, tangent: Array, da: Array) -> float:
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
