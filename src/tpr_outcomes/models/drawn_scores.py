r"""Largest squared scores of simulated outcomes, draw by draw: numpy, and the same as loops to be compiled.

Column ``k`` has the score :math:`z_k=(g_k-R_kg)\,\rho+R_ks` in a draw, where :math:`g_k` is its product with
a standard normal direction, :math:`g` that of the column taken for true, :math:`R_k` the inner product of
both, :math:`s` the score of the true one and :math:`\rho` the length of what is left over that of the draw
(:mod:`tpr_outcomes.inference.threshold_interval`). Only largest values over columns are wanted, so that the
compiled loops keep nothing but one block of draws, which stays in the cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

DRAWS_AT_ONCE = 128


def largest(
    products: Array, own: Array, along: Array, score: float, length: Array, handicap: Array, penalty: Array
) -> tuple[Array, Array, Array]:
    """Largest squared score of shapes, with and without their handicaps, and of rivals less their penalties.

    Parameters
    ----------
    products : ndarray, shape (k + r, B)
        Of shapes, then of rivals.
    own : ndarray, shape (B,)
        Products of the column taken for true.
    along : ndarray, shape (k + r,)
        Inner products of every column with it.
    score : float
        Its score.
    length : ndarray, shape (B,)
    handicap : ndarray, shape (k,)
    penalty : ndarray, shape (r,)

    Returns
    -------
    merit, plain, rival : ndarray, shape (B,)
        ``max(z^2 - handicap)`` and ``max(z^2)`` over shapes, ``max(z^2 - penalty, 0)`` over rivals.

    Notes
    -----
    Both ways round every operation alike: the same bits with and without a compiler
    (``tests/unit/test_compiled.py``).
    """
    k = handicap.size
    drawn = products - along[:, None] * own
    drawn *= length
    drawn += (along * score)[:, None]
    np.square(drawn, out=drawn)
    merit, plain = (drawn[:k] - handicap[:, None]).max(axis=0), drawn[:k].max(axis=0)
    return merit, plain, (drawn[k:] - penalty[:, None]).max(axis=0, initial=0.0)


def largest_loops(
    products: Any, own: Any, along: Any, score: Any, length: Any, handicap: Any, penalty: Any
) -> Any:
    """As :func:`largest`."""
    columns, draws = products.shape
    k = handicap.size
    merit, plain, rival = np.full(draws, -np.inf), np.full(draws, -np.inf), np.zeros(draws)
    square = np.empty(DRAWS_AT_ONCE)
    for low in range(0, draws, DRAWS_AT_ONCE):
        m = min(DRAWS_AT_ONCE, draws - low)
        first, by = own[low : low + m], length[low : low + m]
        best, bare, other = merit[low : low + m], plain[low : low + m], rival[low : low + m]
        for column in range(columns):
            row, share, middle = products[column, low : low + m], along[column], along[column] * score
            for i in range(m):
                z = (row[i] - share * first[i]) * by[i] + middle
                square[i] = z * z
            if column < k:
                off = handicap[column]
                for i in range(m):
                    bare[i] = max(bare[i], square[i])
                    best[i] = max(best[i], square[i] - off)
            else:
                off = penalty[column - k]
                for i in range(m):
                    other[i] = max(other[i], square[i] - off)
    return merit, plain, rival
