"""Pieces of the profiled deviance against the formulas they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tpr_outcomes.inference.resample import generator
from tpr_outcomes.models.mixed_sums import shrink

FACTORS = {
    "none": np.zeros((0, 0)),
    "intercept": np.array([[0.8]]),
    "no variance": np.array([[0.0]]),
    "both": np.array([[1.2, 0.0], [-0.4, 0.3]]),
    "fully correlated": np.array([[1.2, 0.0], [0.6, 0.0]]),
    "slope alone": np.array([[0.0, 0.0], [0.0, 0.7]]),
    "nothing": np.zeros((2, 2)),
    "huge": np.array([[3e3, 0.0], [-2e3, 1e3]]),
}


@pytest.mark.parametrize("factor", FACTORS.values(), ids=FACTORS.keys())
def test_shrink_is_the_inverses_it_stands_for(factor: NDArray[np.float64]) -> None:
    """Patients with one row (A of rank one), with none, and with many."""
    q = factor.shape[0]
    z = generator(1, "shrink").normal(size=(7, 9, q))
    a = np.array([one[:rows].T @ one[:rows] for one, rows in zip(z, (0, 1, 1, 2, 3, 5, 9), strict=True)])
    at = np.tril_indices(q)
    w, t, g, log_m = shrink(a.transpose(1, 2, 0)[at].reshape(-1, 7), factor[at], q)
    m = np.eye(q) + factor.T @ a @ factor
    direct = factor @ np.linalg.inv(m) @ factor.T
    inverse = np.linalg.inv(np.eye(q) + a @ factor @ factor.T)
    size = 1e-9 * np.abs(factor).max(initial=0.0)
    np.testing.assert_allclose(w, direct.transpose(1, 2, 0)[at].reshape(-1, 7), rtol=1e-9, atol=size)
    # Direct inverses of huge matrices lose digits; ours, written out, do not.
    np.testing.assert_allclose(t.reshape(q, q, 7).transpose(2, 0, 1), inverse, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(g, (inverse @ a).transpose(1, 2, 0)[at].reshape(-1, 7), rtol=1e-6, atol=1e-8)
    assert log_m.sum() == pytest.approx(np.linalg.slogdet(m)[1].sum() if q else 0.0, rel=1e-11, abs=1e-12)
