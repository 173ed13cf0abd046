r"""Compiled loops over patients: the deviance with its gradient and Hessian from the sums per patient.

:func:`evaluate_loops` computes what :func:`tpr_outcomes.models.mixed_sums.evaluate` computes in numpy; the
formulas and letters are there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

BLOCK = 128
"""Patients a block: its rows and states stay in the first two levels of cache."""


def shrink_loops(a: Any, low: Any, m: Any, factor: Any, q: Any, w: Any, t: Any, g: Any, size: Any) -> None:
    """Write W, T, G and ``|I + AD|`` of patients ``low`` … into the first ``m`` places."""
    if q == 1:
        d = factor[0] * factor[0]
        a0 = a[0, low : low + m]
        w0, t0, g0 = w[0], t[0], g[0]
        for i in range(m):
            total = 1.0 + d * a0[i]
            inverse = 1.0 / total
            size[i] = total
            w0[i], t0[i], g0[i] = d * inverse, inverse, a0[i] * inverse
    elif q == 2:
        d0, d1 = factor[0] * factor[0], factor[0] * factor[1]
        d2 = factor[1] * factor[1] + factor[2] * factor[2]
        both = (factor[0] * factor[2]) ** 2
        a0, a1, a2 = a[0, low : low + m], a[1, low : low + m], a[2, low : low + m]
        w0, w1, w2, g0, g1, g2 = w[0], w[1], w[2], g[0], g[1], g[2]
        t0, t1, t2, t3 = t[0], t[1], t[2], t[3]
        for i in range(m):
            det = a0[i] * a2[i] - a1[i] * a1[i]
            total = 1.0 + a0[i] * d0 + 2.0 * a1[i] * d1 + a2[i] * d2 + det * both
            size[i] = total
            g2[i] = 1.0 / total
        for i in range(m):
            inverse = g2[i]
            w0[i] = (d0 + both * a2[i]) * inverse
            w1[i] = (d1 - both * a1[i]) * inverse
            w2[i] = (d2 + both * a0[i]) * inverse
        for i in range(m):
            inverse = g2[i]
            t0[i] = (1.0 + a1[i] * d1 + a2[i] * d2) * inverse
            t1[i] = -(a0[i] * d1 + a1[i] * d2) * inverse
            t2[i] = -(a1[i] * d0 + a2[i] * d1) * inverse
            t3[i] = (1.0 + a0[i] * d0 + a1[i] * d1) * inverse
        for i in range(m):
            inverse = g2[i]
            det = a0[i] * a2[i] - a1[i] * a1[i]
            g0[i] = (a0[i] + det * d2) * inverse
            g1[i] = (a1[i] - det * d1) * inverse
            g2[i] = (a2[i] + det * d0) * inverse


def cholesky_loops(s: Any) -> Any:
    """As :func:`tpr_outcomes.models.mixed_sums.cholesky`."""
    p = s.shape[0]
    root = np.zeros((p, p))
    for i in range(p):
        for j in range(i + 1):
            total = s[i, j]
            for c in range(j):
                total -= root[i, c] * root[j, c]
            if i == j:
                if not (total > 0.0 and total < np.inf):
                    return False, root
                root[i, i] = np.sqrt(total)
            else:
                root[i, j] = total / root[j, j]
    return True, root


def evaluate_loops(  # noqa: C901 - two passes over the patients, every line a line of the formula
    a: Any, b: Any, c: Any, weight: Any, factor: Any, dof: Any, reml: Any
) -> Any:
    """As :func:`tpr_outcomes.models.mixed_sums.evaluate`."""
    q, k, patients = b.shape
    p = k - 1
    directions = q * (q + 1) // 2
    w, t, g = np.empty((3, BLOCK)), np.empty((4, BLOCK)), np.empty((6, BLOCK))
    size, wb = np.empty(BLOCK), np.empty((2, BLOCK))
    gradient, hessian = np.zeros(directions), np.zeros((directions, directions))
    expected = np.zeros((directions, directions))
    s = c.copy()
    log_m = 0.0
    # W and S
    for low in range(0, patients if q else 0, BLOCK):
        m = min(BLOCK, patients - low)
        shrink_loops(a, low, m, factor, q, w, t, g, size)
        if weight.size:
            for i in range(m):
                log_m += weight[low + i] * np.log(size[i])
        else:
            product = 1.0
            for i in range(m):
                product *= size[i]
                if product > 1e200:
                    log_m += np.log(product)
                    product = 1.0
            log_m += np.log(product)
        for col in range(k):
            b0, x0 = b[0, col, low : low + m], wb[0]
            if q == 1:
                w0 = w[0]
                for i in range(m):
                    x0[i] = w0[i] * b0[i]
                for row in range(col + 1):
                    e0 = b[0, row, low : low + m]
                    total = 0.0
                    for i in range(m):
                        total += e0[i] * x0[i]
                    s[row, col] -= total
            else:
                b1, x1, w0, w1, w2 = b[1, col, low : low + m], wb[1], w[0], w[1], w[2]
                for i in range(m):
                    x0[i] = w0[i] * b0[i] + w1[i] * b1[i]
                    x1[i] = w1[i] * b0[i] + w2[i] * b1[i]
                for row in range(col + 1):
                    e0, e1 = b[0, row, low : low + m], b[1, row, low : low + m]
                    total = 0.0
                    for i in range(m):
                        total += e0[i] * x0[i] + e1[i] * x1[i]
                    s[row, col] -= total
    for row in range(k):
        for col in range(row):
            s[row, col] = s[col, row]
    regular, root = cholesky_loops(s[:p, :p])
    beta, inverse = np.zeros(p), np.zeros((p, p))
    if not regular:
        return False, np.inf, gradient, hessian, expected, beta, inverse, 1.0
    back = np.zeros((p, p))
    for col in range(p):
        back[col, col] = 1.0 / root[col, col]
        for row in range(col + 1, p):
            total = 0.0
            for x in range(col, row):
                total -= root[row, x] * back[x, col]
            back[row, col] = total / root[row, row]
    for row in range(p):
        for col in range(row + 1):
            total = 0.0
            for x in range(row, p):
                total += back[x, row] * back[x, col]
            inverse[row, col] = inverse[col, row] = total
    rss = s[p, p]
    for row in range(p):
        for col in range(p):
            beta[row] += inverse[row, col] * s[col, p]
        rss -= s[row, p] * beta[row]
    value = np.inf
    if rss > 0.0:
        value = dof * (1.0 + np.log(2.0 * np.pi * rss / dof)) + log_m
    # u, G and their sums
    u, v = np.empty((2, BLOCK)), np.empty((6, BLOCK))
    drop, bent, trace = np.zeros(3), np.zeros((3, 3)), np.zeros((3, 3))
    single, cross = np.zeros(3), np.zeros((3, p))
    turned = np.empty((2, p if reml else 0, BLOCK))
    for low in range(0, patients if q else 0, BLOCK):
        m = min(BLOCK, patients - low)
        shrink_loops(a, low, m, factor, q, w, t, g, size)
        for x in range(q):
            by = b[x, p, low : low + m]
            r = wb[x]
            for i in range(m):
                r[i] = by[i]
            for col in range(p):
                bx, coefficient = b[x, col, low : low + m], beta[col]
                for i in range(m):
                    r[i] -= coefficient * bx[i]
        if q == 1:
            t0, g0, r0, u0, v0 = t[0], g[0], wb[0], u[0], v[0]
            for i in range(m):
                u0[i] = t0[i] * r0[i]
                v0[i] = t0[i] * u0[i]
                g1 = u0[i] * u0[i]
                drop[0] -= g1
                bent[0, 0] += g1 * g0[i]
            for i in range(m):
                many = weight[low + i] if weight.size else 1.0
                single[0] += many * g0[i]
                trace[0, 0] += many * g0[i] * g0[i]
        else:
            t0, t1, t2, t3, r0, r1, u0, u1 = t[0], t[1], t[2], t[3], wb[0], wb[1], u[0], u[1]
            v0, v1, v2, v3, v4, v5 = v[0], v[1], v[2], v[3], v[4], v[5]
            for i in range(m):
                u0[i] = t0[i] * r0[i] + t1[i] * r1[i]
                u1[i] = t2[i] * r0[i] + t3[i] * r1[i]
            for i in range(m):
                v0[i] = t0[i] * u0[i]
                v1[i] = t1[i] * u0[i]
                v2[i] = t0[i] * u1[i] + t2[i] * u0[i]
                v3[i] = t1[i] * u1[i] + t3[i] * u0[i]
                v4[i] = t2[i] * u1[i]
                v5[i] = t3[i] * u1[i]
            _add_moments(g, u, m, single, drop, trace, bent)
        for col in range(p):
            for d in range(directions):
                total = 0.0
                b0, y0 = b[0, col, low : low + m], v[2 * d]
                if q == 1:
                    for i in range(m):
                        total += b0[i] * y0[i]
                else:
                    b1, y1 = b[1, col, low : low + m], v[2 * d + 1]
                    for i in range(m):
                        total += b0[i] * y0[i] + b1[i] * y1[i]
                cross[d, col] += total
        if reml:
            _reml_slope(b, low, m, q, t, inverse, turned, wb, gradient)
    for d in range(directions):
        if d == 1:
            single[d] *= 2.0
        gradient[d] += single[d] + dof * drop[d] / rss
    for d in range(directions):
        for e in range(directions):
            given = 0.0
            for row in range(p):
                for col in range(p):
                    given += cross[d, row] * inverse[row, col] * cross[e, col]
            second = 2.0 * bent[d, e] - 2.0 * given
            expected[d, e] = trace[d, e] - single[d] * single[e] / dof
            hessian[d, e] = -trace[d, e] + dof * (second / rss - drop[d] * drop[e] / (rss * rss))
    if reml:
        for row in range(p):
            value += 2.0 * np.log(root[row, row])
    return True, value, gradient, hessian, expected, beta, inverse, rss


def _add_moments(g: Any, u: Any, m: Any, single: Any, drop: Any, trace: Any, bent: Any) -> None:
    """Sums over patients of products of G and u, for two random effects (directions 11, 12 + 21, 22)."""
    g0, g1, g2, u0, u1 = g[0], g[1], g[2], u[0], u[1]
    s0 = s1 = s2 = d0 = d1 = d2 = 0.0
    for i in range(m):
        s0 += g0[i]
        s1 += g1[i]
        s2 += g2[i]
        d0 += u0[i] * u0[i]
        d1 += u0[i] * u1[i]
        d2 += u1[i] * u1[i]
    single[0] += s0
    single[1] += s1
    single[2] += s2
    drop[0] -= d0
    drop[1] -= 2.0 * d1
    drop[2] -= d2
    h00 = h01 = h02 = h11 = h12 = h22 = 0.0
    for i in range(m):
        h00 += g0[i] * g0[i]
        h01 += g0[i] * g1[i]
        h02 += g1[i] * g1[i]
        h11 += g0[i] * g2[i]
        h12 += g1[i] * g2[i]
        h22 += g2[i] * g2[i]
    k00 = k01 = k02 = k11 = k12 = k22 = 0.0
    for i in range(m):
        uu, uv, vv = u0[i] * u0[i], u0[i] * u1[i], u1[i] * u1[i]
        k00 += uu * g0[i]
        k01 += uv * g0[i] + uu * g1[i]
        k02 += uv * g1[i]
        k11 += vv * g0[i] + 2.0 * uv * g1[i] + uu * g2[i]
        k12 += vv * g1[i] + uv * g2[i]
        k22 += vv * g2[i]
    for into, v00, v01, v02, v11, v12, v22 in (
        (trace, h00, 2.0 * h01, h02, 2.0 * (h11 + h02), 2.0 * h12, h22),
        (bent, k00, k01, k02, k11, k12, k22),
    ):
        into[0, 0] += v00
        into[0, 1] += v01
        into[1, 0] += v01
        into[0, 2] += v02
        into[2, 0] += v02
        into[1, 1] += v11
        into[1, 2] += v12
        into[2, 1] += v12
        into[2, 2] += v22


def _reml_slope(  # noqa: C901 - nested loops only
    b: Any, low: Any, m: Any, q: Any, t: Any, inverse: Any, turned: Any, buffer: Any, gradient: Any
) -> None:
    """Take ``tr(S^{-1} P'ΔP)`` of a block of patients from the gradient."""
    p = inverse.shape[0]
    for u in range(q):
        for col in range(p):
            out = turned[u, col]
            for i in range(m):
                out[i] = 0.0
            for v in range(q):
                by, bx = t[2 * u + v], b[v, col, low : low + m]
                for i in range(m):
                    out[i] += by[i] * bx[i]
    for u in range(q):
        for row in range(p):
            mixed = buffer[0]
            for i in range(m):
                mixed[i] = 0.0
            for col in range(p):
                by, out = inverse[row, col], turned[u, col]
                for i in range(m):
                    mixed[i] += by * out[i]
            for v in range(u + 1):
                out = turned[v, row]
                total = 0.0
                for i in range(m):
                    total += mixed[i] * out[i]
                gradient[u + v] -= total if u == v else 2.0 * total


HELPERS = (shrink_loops, cholesky_loops, _add_moments, _reml_slope)
"""What the compiled loops call: compiled with them."""
