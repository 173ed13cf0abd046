r"""Compiled loops over rows: arranging, packing, whitening and the sums per patient.

:func:`products_loops` and :func:`tangents_loops` compute what their namesakes of
:mod:`tpr_outcomes.models.mixed_sums` compute in numpy; the formulas and letters are there. They go through
patients in blocks that stay in the cache, step by step of the visits, and every inner loop runs over
patients side by side, so that one instruction serves several.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tpr_outcomes.models.compiled_patients import BLOCK, shrink_loops


def arrange_loops(patient: Any, time: Any, order: Any) -> Any:  # noqa: C901 - a counting sort, loops only
    """Patients by falling number of rows -> whether in order, head (N,), starts, gaps.

    ``order`` (n,) or (0,) puts rows in order of patient and time; empty: they are so already, which is
    checked. ``time`` may be empty: then gaps are, too. ``head`` is each patient's first row.
    """
    n = patient.size
    none = np.empty(0, np.int64)
    n_patients = 0
    for row in range(n):
        code = patient[order[row]] if order.size else patient[row]
        if row and not order.size:
            before = patient[row - 1]
            if code < before or (time.size and code == before and time[row] < time[row - 1]):
                return False, none, none, np.empty(0)
        n_patients = max(n_patients, code + 1)
    counts = np.zeros(n_patients, np.int64)
    for row in range(n):
        counts[patient[row]] += 1
    most = counts.max()
    starts = np.zeros(most + 1, np.int64)
    for code in range(n_patients):
        starts[counts[code]] += 1  # patients with so many rows …
    at = np.empty(most + 1, np.int64)
    larger = 0
    for many in range(most, -1, -1):
        at[many] = larger
        larger += starts[many]
    falling = np.empty(n_patients, np.int64)
    head = np.empty(n_patients, np.int64)
    row = 0
    for code in range(n_patients):
        position = at[counts[code]]
        at[counts[code]] += 1
        falling[position] = code
        head[position] = row
        row += counts[code]
    starts[:] = 0
    for code in range(n_patients):
        if counts[code]:
            starts[counts[code]] += 1
    for j in range(most - 1, 0, -1):
        starts[j] += starts[j + 1]  # … become patients with at least so many
    for j in range(1, most + 1):
        starts[j] += starts[j - 1]
    gaps = np.zeros(n if time.size else 0)
    if time.size:
        for position in range(n_patients):
            for j in range(1, counts[falling[position]]):
                row = head[position] + j
                after, before = (order[row], order[row - 1]) if order.size else (row, row - 1)
                gaps[starts[j] + position] = time[after] - time[before]
    return True, head, starts, gaps


def pack_loops(packed: Any, first: Any, source: Any, order: Any, head: Any, starts: Any, turn: Any) -> Any:
    """Write ``source @ turn`` (n, k) visit-major into lines ``first`` … of ``packed``; turn (k, k) upper."""
    k = source.shape[1]
    buffer = np.empty((k, BLOCK))
    rows = np.empty(BLOCK, np.int64)
    for low in range(0, starts[1], BLOCK):
        high = min(low + BLOCK, starts[1])
        for j in range(starts.size - 1):
            m = min(starts[j + 1] - starts[j], high) - low
            if m <= 0:
                break
            begin = starts[j] + low
            for i in range(m):
                row = head[low + i] + j
                rows[i] = order[row] if order.size else row
            for c in range(k):
                for i in range(m):
                    buffer[c, i] = source[rows[i], c]
            for c in range(k):
                out = packed[first + c, begin : begin + m]
                for i in range(m):
                    out[i] = 0.0
                for d in range(c + 1):
                    by, column = turn[d, c], buffer[d]
                    for i in range(m):
                        out[i] += by * column[i]


def products_loops(  # noqa: C901 - one pass over the rows, every line a line of the formula
    starts: Any, gaps: Any, packed: Any, q: Any, shared: Any, rate: Any, nugget: Any
) -> Any:
    """As :func:`tpr_outcomes.models.mixed_sums.products`."""
    lines = packed.shape[0]
    off = 0 if shared else q
    k = lines - off
    patients = starts[1]
    a = np.zeros((q * (q + 1) // 2, patients))
    b = np.zeros((q, k, patients))
    c = np.zeros((k, k))
    done = q if shared else 0
    correlated = np.isfinite(rate)
    share = 1.0 - nugget
    white, state = np.empty((lines, BLOCK)), np.empty((lines, BLOCK))
    rho, gain, root = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    filtered, product = np.empty(BLOCK), np.empty(BLOCK)
    log_r = 0.0
    for low in range(0, patients, BLOCK):
        high = min(low + BLOCK, patients)
        state[:] = 0.0
        filtered[:] = share
        product[:] = 1.0
        for j in range(starts.size - 1):
            m = min(starts[j + 1] - starts[j], high) - low
            if m <= 0:
                break
            begin = starts[j] + low
            if correlated:
                if j > 0:
                    gap = gaps[begin : begin + m]
                    for i in range(m):
                        rho[i] = np.exp(-rate * gap[i])
                else:
                    rho[:] = 0.0
                for i in range(m):
                    square = rho[i] * rho[i]
                    variance = square * filtered[i] + share * (1.0 - square)
                    total = variance + nugget
                    inverse = 1.0 / total
                    gain[i] = variance * inverse
                    filtered[i] = variance * (1.0 - gain[i])
                    root[i] = np.sqrt(inverse)
                    product[i] *= total
                if j % 16 == 15:
                    for i in range(m):
                        log_r += np.log(product[i])
                        product[i] = 1.0
                for line in range(lines):
                    raw, out, held = packed[line, begin : begin + m], white[line], state[line]
                    for i in range(m):
                        predicted = rho[i] * held[i]
                        innovation = raw[i] - predicted
                        out[i] = innovation * root[i]
                        held[i] = predicted + gain[i] * innovation
            else:
                for line in range(lines):
                    raw, out = packed[line, begin : begin + m], white[line]
                    for i in range(m):
                        out[i] = raw[i]
            for u in range(q):
                z = white[u]
                for v in range(u + 1):
                    other, into = white[v], a[u + v, low : low + m]
                    for i in range(m):
                        into[i] += z[i] * other[i]
                for s in range(k):
                    other, into = white[off + s], b[u, s, low : low + m]
                    for i in range(m):
                        into[i] += z[i] * other[i]
            for r in range(done, k):
                one = white[off + r]
                for s in range(r, k):
                    other = white[off + s]
                    total = 0.0
                    for i in range(m):
                        total += one[i] * other[i]
                    c[r, s] += total
        if correlated:
            for i in range(high - low):
                log_r += np.log(product[i])
    for r in range(done):
        for s in range(r, k):
            into = b[r, s]
            total = 0.0
            for i in range(patients):
                total += into[i]
            c[r, s] = total
    for r in range(k):
        for s in range(r):
            c[r, s] = c[s, r]
    return a, b, c, log_r


def tangents_loops(  # noqa: C901 - one pass over the rows, every line a line of the formula
    starts: Any, gaps: Any, packed: Any, q: Any, shared: Any, rate: Any, nugget: Any,
    a: Any, factor: Any, columns: Any, weights: Any,
) -> Any:  # fmt: skip
    """As :func:`tpr_outcomes.models.mixed_sums.tangents`."""
    off = 0 if shared else q
    many = weights.size
    patients = starts[1]
    directions = q * (q + 1) // 2
    share = 1.0 - nugget
    kept = np.empty((directions + 3, BLOCK))
    gradient, scores = np.zeros(2), np.zeros((directions + 3, directions + 3))
    w, t, g, size = np.empty((3, BLOCK)), np.empty((4, BLOCK)), np.empty((3, BLOCK)), np.empty(BLOCK)
    raw, white, state = np.empty(BLOCK), np.empty((q + many, BLOCK)), np.empty((q + many, BLOCK))
    d_white, d_state = np.empty((2, q + many, BLOCK)), np.empty((2, q + many, BLOCK))
    rho, d_rho, gain, root = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    filtered, d_filtered = np.empty(BLOCK), np.empty((2, BLOCK))
    d_gain, relative = np.empty((2, BLOCK)), np.empty((2, BLOCK))
    bi, wb = np.empty((many, 2, BLOCK)), np.empty((2, BLOCK))
    db, da = np.empty((2, 2 * many, BLOCK)), np.empty((2, 3, BLOCK))
    squares, d_squares = np.empty(BLOCK), np.empty((2, BLOCK))
    d_log, counts = np.empty((2, BLOCK)), np.empty(BLOCK)
    for low in range(0, patients, BLOCK):
        high = min(low + BLOCK, patients)
        whole = high - low
        state[:] = 0.0
        for clear in (bi, d_state, db, da):
            clear[:] = 0.0
        d_squares[:] = 0.0
        d_log[:] = 0.0
        squares[:] = 0.0
        counts[:] = 0.0
        filtered[:] = share
        d_filtered[0] = 0.0
        d_filtered[1] = -1.0
        f0, f1, k0, k1 = d_filtered[0], d_filtered[1], d_gain[0], d_gain[1]
        e0, e1, l0, l1 = relative[0], relative[1], d_log[0], d_log[1]
        for j in range(starts.size - 1):
            m = min(starts[j + 1] - starts[j], high) - low
            if m <= 0:
                break
            begin = starts[j] + low
            if j > 0:
                gap = gaps[begin : begin + m]
                for i in range(m):
                    rho[i] = np.exp(-rate * gap[i])
                for i in range(m):
                    d_rho[i] = -gap[i] * rho[i]
            else:
                rho[:] = 0.0
                d_rho[:] = 0.0
            for i in range(m):
                square = rho[i] * rho[i]
                d_variance0 = square * f0[i] + 2.0 * rho[i] * d_rho[i] * (filtered[i] - share)
                d_variance1 = square * f1[i] - (1.0 - square)
                variance = square * filtered[i] + share * (1.0 - square)
                inverse = 1.0 / (variance + nugget)
                by = variance * inverse
                k0[i] = (d_variance0 - by * d_variance0) * inverse
                k1[i] = (d_variance1 - by * (d_variance1 + 1.0)) * inverse
                e0[i], e1[i] = d_variance0 * inverse, (d_variance1 + 1.0) * inverse
                f0[i] = d_variance0 * (1.0 - by) - variance * k0[i]
                f1[i] = d_variance1 * (1.0 - by) - variance * k1[i]
                filtered[i] = variance * (1.0 - by)
                gain[i] = by
                root[i] = np.sqrt(inverse)
                l0[i] += e0[i]
                l1[i] += e1[i]
                counts[i] += 1.0
            for column in range(q + many):
                if column < q:
                    source = packed[column, begin : begin + m]
                    for i in range(m):
                        raw[i] = source[i]
                else:
                    raw[:] = 0.0
                    for x in range(columns.shape[1]):
                        by, source = columns[column - q, x], packed[off + x, begin : begin + m]
                        for i in range(m):
                            raw[i] += by * source[i]
                held, out = state[column], white[column]
                h0, h1, o0, o1 = (
                    d_state[0, column],
                    d_state[1, column],
                    d_white[0, column],
                    d_white[1, column],
                )
                for i in range(m):
                    predicted = rho[i] * held[i]
                    innovation = raw[i] - predicted
                    d_predicted0 = rho[i] * h0[i] + d_rho[i] * held[i]
                    d_predicted1 = rho[i] * h1[i]
                    out[i] = innovation * root[i]
                    o0[i] = -d_predicted0 * root[i] - 0.5 * e0[i] * out[i]
                    o1[i] = -d_predicted1 * root[i] - 0.5 * e1[i] * out[i]
                    held[i] = predicted + gain[i] * innovation
                    h0[i] = d_predicted0 * (1.0 - gain[i]) + k0[i] * innovation
                    h1[i] = d_predicted1 * (1.0 - gain[i]) + k1[i] * innovation
            for i in range(m):
                squares[i] += white[q, i] * white[q, i]
            for s in range(many):
                r, weight = white[q + s], 2.0 * weights[s]
                for x in range(q):
                    z, into = white[x], bi[s, x]
                    for i in range(m):
                        into[i] += z[i] * r[i]
                for h in range(2):
                    dr, ds = d_white[h, q + s], d_squares[h]
                    for i in range(m):
                        ds[i] += weight * r[i] * dr[i]
                    for x in range(q):
                        z, dz, into = white[x], d_white[h, x], db[h, 2 * s + x]
                        for i in range(m):
                            into[i] += dz[i] * r[i] + z[i] * dr[i]
            for h in range(2):
                for x in range(q):
                    z, dz = white[x], d_white[h, x]
                    for y in range(x + 1):
                        other, d_other, into = white[y], d_white[h, y], da[h, x + y]
                        for i in range(m):
                            into[i] += dz[i] * other[i] + z[i] * d_other[i]
        shrink_loops(a, low, whole, factor, q, w, t, g, size)
        own = kept[directions + 2]
        for i in range(whole):
            own[i] = squares[i]
        for s in range(many):
            wb[:] = 0.0
            for x in range(q):
                into = wb[x]
                for y in range(q):
                    by_, other = w[x + y], bi[s, y]
                    for i in range(whole):
                        into[i] += by_[i] * other[i]
                if s == 0:
                    other = bi[0, x]
                    for i in range(whole):
                        own[i] -= into[i] * other[i]
            for h in range(2):
                ds, weight = d_squares[h], weights[s]
                for x in range(q):
                    d_b, one = db[h, 2 * s + x], wb[x]
                    for i in range(whole):
                        ds[i] -= 2.0 * weight * d_b[i] * one[i]
                    for y in range(q):
                        turned, other = da[h, x + y], wb[y]
                        for i in range(whole):
                            ds[i] += weight * one[i] * turned[i] * other[i]
        for i in range(whole):
            own[i] = weights[0] * own[i] - counts[i]
        for h in range(2):
            ds, into, dl = d_squares[h], kept[h], d_log[h]
            for i in range(whole):
                into[i] = dl[i] + ds[i]
            for x in range(q):
                for y in range(q):
                    turned, by_ = da[h, x + y], w[x + y]
                    for i in range(whole):
                        into[i] += by_[i] * turned[i]
            total = 0.0
            for i in range(whole):
                total += into[i]
            gradient[h] += total
        if q == 1:
            for i in range(whole):
                move = t[0, i] * bi[0, 0, i]
                kept[2, i] = g[0, i] - weights[0] * move * move
        elif q == 2:
            for i in range(whole):
                move0 = t[0, i] * bi[0, 0, i] + t[1, i] * bi[0, 1, i]
                move1 = t[2, i] * bi[0, 0, i] + t[3, i] * bi[0, 1, i]
                kept[2, i] = g[0, i] - weights[0] * move0 * move0
                kept[3, i] = 2.0 * (g[1, i] - weights[0] * move0 * move1)
                kept[4, i] = g[2, i] - weights[0] * move1 * move1
        for x in range(directions + 3):
            one = kept[x]
            for y in range(x + 1):
                other = kept[y]
                total = 0.0
                for i in range(whole):
                    total += one[i] * other[i]
                scores[x, y] += total
    for x in range(directions + 3):
        for y in range(x):
            scores[y, x] = scores[x, y]
    return gradient, scores
