r"""The three formulas a mixed-model fit is made of, in numpy: sums over rows, the deviance, residual slopes.

:mod:`tpr_outcomes.models.compiled` holds the same three as compiled loops; both take and return the same
arrays, and agree to rounding (``tests/unit/test_compiled.py``). Letters: :mod:`tpr_outcomes.models.mixed`.

Arrays
------
Rows lie in visit-major order (:class:`tpr_outcomes.models.mixed_rows.Layout`), one *line* per column, so
that a step of the recursion over visits works on patients that lie side by side:

* ``packed`` (lines, n): random-effect columns, fixed-effect columns, outcome. When the random-effect
  columns are the first fixed-effect columns (``shared``), they are kept once.
* ``starts`` (steps + 1,), ``gaps`` (n,): see ``Layout``.
* symmetric q × q matrices are kept by their lower triangle, as lines: 11; or 11, 12, 22.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tpr_outcomes.models.mixed_rows import Gains, Layout, gains, whiten_residual, whiten_tangents

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


def products(
    starts: Ints, gaps: Array, packed: Array, q: int, shared: bool, rate: float, nugget: float
) -> tuple[Array, Array, Array, float]:
    r"""Whitened cross-products: per patient :math:`A_i, B_i`, in total :math:`C`, and ``log|R|``.

    Parameters
    ----------
    rate, nugget : float
        Correlation of residuals ``(1 - nugget) * exp(-rate * gap)``; an infinite rate means none.

    Returns
    -------
    a : ndarray, shape (q(q+1)/2, N)
        Lower triangle of :math:`A_i=Z_i'R_i^{-1}Z_i`.
    b : ndarray, shape (q, p+1, N)
        :math:`B_i=Z_i'R_i^{-1}[X_i\ y_i]`.
    c : ndarray, shape (p+1, p+1)
        :math:`C=\sum_i[X_i\ y_i]'R_i^{-1}[X_i\ y_i]`.
    log_r : float
        :math:`\sum_i\log|R_i|`.

    Notes
    -----
    :math:`R_i^{-1/2}` is the innovations recursion of CAR(1) plus noise (Jones 1993, chapters 3–4). For a
    row a time ``g`` after the patient's previous one, with ``s = 1 - nugget``: ``rho = exp(-rate g)``;
    predicted variance ``P = rho^2 P_f + s(1 - rho^2)``; innovation variance ``F = P + nugget``; gain
    ``K = P / F``; filtered variance ``P_f = P(1 - K)``; a column ``x`` with state ``m`` gives
    ``(x - rho m) / sqrt(F)`` and the new state ``rho m + K (x - rho m)``.
    """
    layout = _layout(starts, gaps)
    white, log_r = packed.T, 0.0
    if np.isfinite(rate):
        steps, log_det = gains(layout, rate, nugget, tangents=False)
        white, log_r = whiten_residual(layout, white, steps), float(log_det[0])
    z, rest = white[:, :q], white[:, 0 if shared else q :]
    pairs = lower(q)
    a = layout.patient_sums(np.column_stack([z[:, u] * z[:, v] for u, v in pairs] or [z])).T
    b = layout.patient_sums((z[:, :, None] * rest[:, None, :]).reshape(z.shape[0], -1))
    b = b.T.reshape(q, rest.shape[1], layout.n_patients)
    return np.ascontiguousarray(a), np.ascontiguousarray(b), rest.T @ rest, log_r


def evaluate(
    a: Array, b: Array, c: Array, weight: Array, factor: Array, dof: int, reml: bool
) -> tuple[bool, float, Array, Array, Array, Array, Array, float]:
    r"""Profiled deviance without ``log|R|``, with gradient and Hessian in ``D``.

    Parameters
    ----------
    a, b, c : ndarray
        From :func:`products`.
    weight : ndarray, shape (N,) or (0,)
        For how many patients each ``a`` stands in sums without ``b``; empty: one each, as it must be with
        two random effects.
    factor : ndarray, shape (q(q+1)/2,)
        Lower triangle of :math:`\Lambda`, row by row.
    dof : int
        ``n`` for ML, ``n - p`` for REML.

    Returns
    -------
    regular : bool
        False where :math:`X'V^{-1}X` has no Cholesky root; the rest is then without meaning.
    value : float
    gradient, hessian : ndarray, shapes (m,) and (m, m)
        In the ``m = q(q+1)/2`` directions :math:`\Delta` of ``D``: 11; 12 and 21 together; 22. With REML
        the Hessian leaves out the second derivative of :math:`\log|X'V^{-1}X|`.
    expected : ndarray, shape (m, m)
        What the Hessian would be on average were this point the truth (:math:`\beta` known):
        :math:`\sum_i\mathrm{tr}(G_i\Delta G_i\Gamma)
        -\sum_i\mathrm{tr}(G_i\Delta)\sum_i\mathrm{tr}(G_i\Gamma)/\mathrm{dof}`, positive definite everywhere.
    beta : ndarray, shape (p,)
    inverse : ndarray, shape (p, p)
        :math:`(X'V^{-1}X)^{-1}`.
    rss : float

    Notes
    -----
    With :math:`D=\Lambda\Lambda'`, :math:`T_i=(I+A_iD)^{-1}`, :math:`W_i=DT_i`, :math:`G_i=T_iA_i`,
    :math:`P_i=T_iB_{ix}`, :math:`u_i=T_i(B_{iy}-B_{ix}\hat\beta)` and :math:`S=C-\sum_iB_i'W_iB_i`,

    .. math:: d &= \mathrm{dof}\,(1+\log(2\pi\,\mathrm{RSS}/\mathrm{dof}))+\sum_i\log|I+A_iD|\\
        d_\Delta &= \sum_i\mathrm{tr}(G_i\Delta)+\mathrm{dof}\,\mathrm{RSS}_\Delta/\mathrm{RSS},\qquad
          \mathrm{RSS}_\Delta=-\sum_iu_i'\Delta u_i\\
        d_{\Delta\Gamma} &= -\sum_i\mathrm{tr}(G_i\Delta G_i\Gamma)
          +\mathrm{dof}\Big(\frac{\mathrm{RSS}_{\Delta\Gamma}}{\mathrm{RSS}}
          -\frac{\mathrm{RSS}_\Delta\mathrm{RSS}_\Gamma}{\mathrm{RSS}^2}\Big),\\
        \mathrm{RSS}_{\Delta\Gamma} &= 2\sum_iu_i'\Delta G_i\Gamma u_i-2h_\Delta'S_{xx}^{-1}h_\Gamma,\qquad
          h_\Delta=\sum_iP_i'\Delta u_i,

    from :math:`\mathrm dV^{-1}=-V^{-1}Z\,\mathrm dD\,Z'V^{-1}`; the last term is what re-estimating
    :math:`\beta` gives back. REML adds :math:`\log|S_{xx}|` and
    :math:`-\mathrm{tr}(S_{xx}^{-1}\sum_iP_i'\Delta P_i)` (Lindstrom and Bates 1988,
    doi:10.2307/2290128). Inverses of 2 × 2 matrices are written out (adjugate over determinant), which
    holds for singular ``D``.
    """
    q, k, _ = b.shape
    p = k - 1
    m = a.shape[0] if q else 0
    w, t, g, log_m = shrink(a, factor, q)
    many = weight if weight.size else np.ones(b.shape[2])
    s = c.copy()
    wb = [sum((w[_at(u, v)] * b[v] for v in range(q)), np.zeros_like(b[0])) for u in range(q)]
    for u in range(q):
        s -= b[u] @ wb[u].T
    regular, root = cholesky(s[:p, :p])
    if not regular:
        none = np.zeros((m, m))
        return False, np.inf, np.zeros(m), none, none, np.zeros(p), np.zeros((p, p)), 1.0
    back = np.linalg.solve(root, np.eye(p))
    inverse = back.T @ back
    beta = inverse @ s[:p, p]
    rss = float(s[p, p] - s[:p, p] @ beta)
    value = dof * (1.0 + np.log(2.0 * np.pi * rss / dof)) + float(many @ log_m) if rss > 0.0 else np.inf
    residual = np.array([b[u, p] - beta @ b[u, :p] for u in range(q)]).reshape(q, b.shape[2])
    u_ = np.array([sum(t[2 * u + v] * residual[v] for v in range(q)) for u in range(q)]).reshape(
        q, b.shape[2]
    )
    directions = [[(u, v)] if u == v else [(u, v), (v, u)] for u, v in lower(q)]
    moved = [
        [sum((u_[v] for x, v in d if x == u), np.zeros(b.shape[2])) for u in range(q)] for d in directions
    ]
    cross = np.zeros((m, p))
    single, drop = np.zeros(m), np.zeros(m)
    hessian, expected = np.zeros((m, m)), np.zeros((m, m))
    for i, d in enumerate(directions):
        drop[i] = -sum(float(u_[u] @ u_[v]) for u, v in d)
        single[i] = sum(float(many @ g[_at(u, v)]) for u, v in d)
        for u in range(q):
            turned = sum((t[2 * v + u] * moved[i][v] for v in range(q)), np.zeros(b.shape[2]))
            cross[i] += b[u, :p] @ turned
    gradient = single + dof * drop / rss
    for i, d in enumerate(directions):
        for j, e in enumerate(directions):
            trace = sum(float(many @ (g[_at(y, u)] * g[_at(v, x)])) for u, v in d for x, y in e)
            bent = sum(float((moved[i][u] * g[_at(u, v)]) @ moved[j][v]) for u in range(q) for v in range(q))
            second = 2.0 * bent - 2.0 * cross[i] @ inverse @ cross[j]
            hessian[i, j] = -trace + dof * (second / rss - drop[i] * drop[j] / rss**2)
            expected[i, j] = trace - single[i] * single[j] / dof
    if reml:
        value += 2.0 * float(np.log(np.diag(root)).sum())
        turned_x = [
            sum((t[2 * u + v] * b[v, :p] for v in range(q)), np.zeros_like(b[0, :p])) for u in range(q)
        ]
        for i, d in enumerate(directions):
            gradient[i] -= sum(float(np.sum(inverse * (turned_x[u] @ turned_x[v].T))) for u, v in d)
    return True, float(value), gradient, hessian, expected, beta, inverse, rss


def tangents(
    starts: Ints, gaps: Array, packed: Array, q: int, shared: bool, rate: float, nugget: float,
    a: Array, factor: Array, columns: Array, weights: Array,
) -> tuple[Array, Array]:  # fmt: skip
    r"""Gradient in the residual parameters, and the cross-products of the patients' own scores.

    Parameters
    ----------
    columns : ndarray, shape (r, p+1)
        Combinations of ``[X y]``: first the residual :math:`y-X\hat\beta`; for REML also the ``p`` columns of
        :math:`XS_{xx}^{-1/2}`.
    weights : ndarray, shape (r,)
        ``dof / RSS``, and for REML ``p`` ones.

    Returns
    -------
    gradient : ndarray, shape (2,)
        In ``(rate, nugget)``, ``D`` held and :math:`\beta` at its optimum.
    scores : ndarray, shape (m + 3, m + 3)
        :math:`\sum_is_is_i'` of each patient's part of the gradient in rate, nugget, the ``m`` directions
        of ``D``, and :math:`\log\sigma^2`. Half of it estimates the Hessian (Berndt, Hall, Hall and
        Hausman 1974): where the search takes its first step.

    Notes
    -----
    .. math:: \partial d = \sum_c w_c\,\partial(r_c'V^{-1}r_c)+\partial\log|V|

    over the ``columns`` :math:`r_c`: :math:`\mathrm{dof}\,\partial\log\mathrm{RSS}` is the first term, and
    :math:`\partial\log|X'V^{-1}X|=\sum_c\partial(r_c'V^{-1}r_c)` over the columns of
    :math:`XS_{xx}^{-1/2}`. The derivative of the whitening recursion is carried along; of one patient,
    with :math:`b=Z'R^{-1}r`, :math:`W` held,
    :math:`\partial\,r'V^{-1}r=\partial(r'R^{-1}r)-2\,\partial b'Wb+b'W\,\partial A\,Wb` and
    :math:`\partial\log|V|=\partial\log|R|+\mathrm{tr}(W\,\partial A)`.
    """
    layout = _layout(starts, gaps)
    steps, _ = gains(layout, rate, nugget, tangents=True)
    made = columns @ packed[0 if shared else q :]
    white, tangent = whiten_tangents(layout, np.concatenate([packed[:q], made]).T, steps)
    w, t, g, _ = shrink(a, factor, q)
    n = layout.n_patients
    z, r = white[:, :q], white[:, q:]
    bi = [layout.patient_sums(z[:, [u]] * r).T for u in range(q)]
    wb = [sum((w[_at(u, v)] * bi[v] for v in range(q)), np.zeros((weights.size, n))) for u in range(q)]
    kept = list(_log_det_tangents(layout, steps))
    for h in range(2):
        dz, dr = tangent[h][:, :q], tangent[h][:, q:]
        squares = layout.patient_sums(2.0 * r * dr).T
        for u in range(q):
            db = layout.patient_sums(dz[:, [u]] * r + z[:, [u]] * dr).T
            squares = squares - 2.0 * db * wb[u]
            for v in range(q):
                da = layout.patient_sums((dz[:, u] * z[:, v] + z[:, u] * dz[:, v])[:, None])[:, 0]
                squares = squares + wb[u] * da * wb[v]
                kept[h] = kept[h] + w[_at(u, v)] * da
        kept[h] = kept[h] + weights @ squares
    u_ = [sum((t[2 * u + v] * bi[v][0] for v in range(q)), np.zeros(n)) for u in range(q)]
    for u, v in lower(q):
        each = g[_at(u, v)] - weights[0] * u_[u] * u_[v]
        kept.append(each if u == v else 2.0 * each)
    own = layout.patient_sums(r[:, :1] ** 2)[:, 0] - sum((bi[u][0] * wb[u][0] for u in range(q)), np.zeros(n))
    counts = layout.patient_sums(np.ones((r.shape[0], 1)))[:, 0]
    kept.append(weights[0] * own - counts)
    scores = np.array(kept)
    return scores[:2].sum(axis=1), scores @ scores.T


def shrink(a: Array, factor: Array, q: int) -> tuple[Array, Array, Array, Array]:
    r"""``W``, ``T``, ``G`` and ``log|I + AD|`` per patient (see :func:`evaluate`), for q of 0, 1 or 2.

    Parameters
    ----------
    a : ndarray, shape (q(q+1)/2, N)
    factor : ndarray, shape (q(q+1)/2,)

    Returns
    -------
    w, g : ndarray, shape (q(q+1)/2, N)
        Lower triangles.
    t : ndarray, shape (q * q, N)
        All entries, row by row.
    log_m : ndarray, shape (N,)

    Notes
    -----
    :math:`|I+AD| = 1+\mathrm{tr}(AD)+|A|\,|D|`, :math:`W=(D+|D|\,\mathrm{adj}\,A)/|I+AD|`,
    :math:`G=(A+|A|\,\mathrm{adj}\,D)/|I+AD|`, :math:`T=\mathrm{adj}(I+AD)/|I+AD|`.
    """
    n = a.shape[1]
    if q == 0:
        return a[:0], a[:0], a[:0], np.zeros(n)
    if q == 1:
        d = factor[0] ** 2
        size = 1.0 + d * a[0]
        return d / size[None], 1.0 / size[None], a / size, np.log(size)
    d0, d1, d2 = factor[0] ** 2, factor[0] * factor[1], factor[1] ** 2 + factor[2] ** 2
    both, det = (factor[0] * factor[2]) ** 2, a[0] * a[2] - a[1] ** 2
    size = 1.0 + a[0] * d0 + 2.0 * a[1] * d1 + a[2] * d2 + det * both
    w = np.array([d0 + both * a[2], d1 - both * a[1], d2 + both * a[0]]) / size
    g = np.array([a[0] + det * d2, a[1] - det * d1, a[2] + det * d0]) / size
    t = [1.0 + a[1] * d1 + a[2] * d2, -(a[0] * d1 + a[1] * d2)]
    t += [-(a[1] * d0 + a[2] * d1), 1.0 + a[0] * d0 + a[1] * d1]
    return w, np.array(t) / size, g, np.log(size)


def cholesky(s: Array) -> tuple[bool, Array]:
    """Whether ``s`` has a Cholesky root, and the root."""
    try:
        return bool(np.isfinite(s).all()), np.asarray(np.linalg.cholesky(s), dtype=np.float64)
    except np.linalg.LinAlgError:
        return False, s


def lower(q: int) -> list[tuple[int, int]]:
    """Lower triangle of a symmetric q × q matrix, in the order its entries are kept."""
    return [(v, u) for u in range(q) for v in range(u + 1)]


def _at(u: int, v: int) -> int:
    """Where entry (u, v) of a symmetric matrix of size 1 or 2 is kept."""
    return u + v


def _layout(starts: Ints, gaps: Array) -> Layout:
    none = np.empty(0, dtype=np.int64)
    patients = np.arange(starts[1] - starts[0])
    return Layout(none, tuple(starts.tolist()), patients, none, gaps)


def _log_det_tangents(layout: Layout, steps: list[Gains]) -> Array:
    """Derivative of ``log|R_i|`` of every patient, shape (2, N)."""
    total = np.zeros((2, layout.n_patients))
    for (_, m), step in zip(layout.steps, steps, strict=True):
        total[:, :m] += step.d_variance
    return total
