r"""The two loops of the mixed-model likelihood, compiled when numba is at hand.

:func:`products` whitens every row by the residual recursion and accumulates the per-patient
cross-products; :func:`tangents` carries the derivative of the same recursion in the residual
parameters. Formulas: module docstring of :mod:`tpr_outcomes.models.mixed`, whose numpy code computes
the same numbers without numba (equal to rounding error; ``tests/unit/test_compiled.py``). One pass over
rows each, a few numbers of state per patient. Set ``TPR_OUTCOMES_COMPILED=0`` to do without.

For a row a time ``g`` after the patient's previous one, with ``s = 1 - nugget``:
``rho = phi**g``; predicted variance ``P = rho^2 P_f + s(1 - rho^2)``; innovation variance
``F = P + nugget``; gain ``K = P / F``; filtered variance ``P_f = P(1 - K)``; a column ``x`` with state
``a`` gives ``(x - rho a) / sqrt(F)`` and the new state ``rho a + K (x - rho a)``.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def _products(starts: Any, gaps: Any, raw: Any, q: int, phi: float, nugget: float) -> Any:
    n, k = raw.shape
    steps = starts.size - 1
    patients = starts[1] - starts[0]
    share = 1.0 - nugget
    rate = -np.log(phi) if phi > 0.0 else np.inf
    white = np.empty((n, k))
    a = np.zeros((patients, q, q))
    b = np.zeros((patients, q, k - q))
    state = np.empty(k)
    log_det = 0.0
    for i in range(patients):
        variance = filtered = share
        state[:] = 0.0
        for j in range(steps):
            if starts[j] + i >= starts[j + 1]:
                break
            row = starts[j] + i
            rho = 0.0
            if j > 0:
                rho = np.exp(-rate * gaps[row])
                variance = rho * rho * filtered + share * (1.0 - rho * rho)
            total = variance + nugget
            gain = variance / total
            filtered = variance * (1.0 - gain)
            root = 1.0 / np.sqrt(total)
            log_det += np.log(total)
            for c in range(k):
                predicted = rho * state[c]
                innovation = raw[row, c] - predicted
                white[row, c] = innovation * root
                state[c] = predicted + gain * innovation
            for u in range(q):
                z = white[row, u]
                for v in range(q):
                    a[i, u, v] += z * white[row, v]
                for c in range(q, k):
                    b[i, u, c - q] += z * white[row, c]
    return white, a, b, log_det


def _tangents(  # noqa: C901 - one pass over the rows, every line a line of the formula
    starts: Any, gaps: Any, raw: Any, w: Any, phi: float, nugget: float
) -> Any:
    k = raw.shape[1]
    q = k - 1
    steps = starts.size - 1
    patients = starts[1] - starts[0]
    share = 1.0 - nugget
    rate = -np.log(phi) if phi > 0.0 else np.inf
    state = np.empty(k)
    d_state = np.empty((2, k))
    white = np.empty(k)
    d_white = np.empty((2, k))
    d_log_det = np.zeros(2)
    d_trace = np.zeros(2)
    d_squares = np.zeros(2)
    bi = np.empty(q)
    da = np.empty((2, q, q))
    db = np.empty((2, q))
    wb = np.empty(q)
    for i in range(patients):
        variance = filtered = share
        gain = d_gain0 = d_gain1 = 0.0
        d_variance0, d_variance1 = 0.0, -1.0
        state[:] = 0.0
        d_state[:] = 0.0
        bi[:] = 0.0
        da[:] = 0.0
        db[:] = 0.0
        for j in range(steps):
            if starts[j] + i >= starts[j + 1]:
                break
            row = starts[j] + i
            rho, d_rho = 0.0, 0.0
            if j > 0:
                rho = np.exp(-rate * gaps[row])
                d_rho = -gaps[row] * rho
                d_filtered0 = d_variance0 * (1.0 - gain) - variance * d_gain0
                d_filtered1 = d_variance1 * (1.0 - gain) - variance * d_gain1
                d_variance0 = rho * rho * d_filtered0 + 2.0 * rho * d_rho * (filtered - share)
                d_variance1 = rho * rho * d_filtered1 - (1.0 - rho * rho)
                variance = rho * rho * filtered + share * (1.0 - rho * rho)
            total = variance + nugget
            gain = variance / total
            filtered = variance * (1.0 - gain)
            d_total1 = d_variance1 + 1.0
            d_gain0 = (d_variance0 - gain * d_variance0) / total
            d_gain1 = (d_variance1 - gain * d_total1) / total
            relative0, relative1 = d_variance0 / total, d_total1 / total
            d_log_det[0] += relative0
            d_log_det[1] += relative1
            root = 1.0 / np.sqrt(total)
            for c in range(k):
                predicted = rho * state[c]
                d_predicted0 = rho * d_state[0, c] + d_rho * state[c]
                d_predicted1 = rho * d_state[1, c]
                innovation = raw[row, c] - predicted
                white[c] = innovation * root
                d_white[0, c] = -d_predicted0 * root - 0.5 * relative0 * white[c]
                d_white[1, c] = -d_predicted1 * root - 0.5 * relative1 * white[c]
                state[c] = predicted + gain * innovation
                d_state[0, c] = d_predicted0 * (1.0 - gain) + d_gain0 * innovation
                d_state[1, c] = d_predicted1 * (1.0 - gain) + d_gain1 * innovation
            for h in range(2):
                d_squares[h] += 2.0 * white[q] * d_white[h, q]
                for u in range(q):
                    db[h, u] += d_white[h, u] * white[q] + white[u] * d_white[h, q]
                    for v in range(q):
                        da[h, u, v] += d_white[h, u] * white[v] + white[u] * d_white[h, v]
            for u in range(q):
                bi[u] += white[u] * white[q]
        for u in range(q):
            wb[u] = 0.0
            for v in range(q):
                wb[u] += w[i, u, v] * bi[v]
        for h in range(2):
            for u in range(q):
                d_squares[h] -= 2.0 * db[h, u] * wb[u]
                for v in range(q):
                    d_squares[h] += wb[u] * da[h, u, v] * wb[v]
                    d_trace[h] += w[i, u, v] * da[h, u, v]
    return d_squares, d_trace, d_log_det


def _compile() -> tuple[Any, Any] | None:
    """Compiled kernels, or None when numba is absent or switched off."""
    if os.environ.get("TPR_OUTCOMES_COMPILED", "1") == "0":
        return None
    try:
        from numba import njit
    except ImportError:
        return None
    return njit(cache=True)(_products), njit(cache=True)(_tangents)


_kernels: list[tuple[Any, Any] | None] = []


def kernels() -> tuple[Any, Any] | None:
    """``(products, tangents)`` compiled, or None; decided once per process.

    Returns
    -------
    products : callable
        ``(starts, gaps, raw (n,k), q, phi, nugget) -> white (n,k), A (N,q,q), B (N,q,k-q), log|R|``.
    tangents : callable
        ``(starts, gaps, [Z | residual] (n,q+1), W (N,q,q), phi, nugget) -> dRSS (2,), sum tr(W dA) (2,),
        dlog|R| (2,)``, each in ``(rate, nugget)`` with ``phi = exp(-rate)``, coefficients held.
    """
    if not _kernels:
        _kernels.append(_compile())
    return _kernels[0]
