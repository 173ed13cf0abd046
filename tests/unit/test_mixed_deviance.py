"""Pieces of the profiled deviance against the formulas they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tpr_outcomes.inference.resample import generator
from tpr_outcomes.models.mixed_deviance import Deviance, shrink
from tpr_outcomes.models.mixed_rows import Layout

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
def test_shrink_is_the_inverse_it_stands_for(factor: NDArray[np.float64]) -> None:
    """Patients with one row (A of rank one), with none, and with many."""
    q = factor.shape[0]
    z = generator(1, "shrink").normal(size=(7, 9, q))
    a = np.array([one[:rows].T @ one[:rows] for one, rows in zip(z, (0, 1, 1, 2, 3, 5, 9), strict=True)])
    w, log_m = shrink(a, factor)
    m = np.eye(q) + factor.T @ a @ factor
    direct = factor @ np.linalg.inv(m) @ factor.T
    assert w.shape == (7, q, q)
    np.testing.assert_allclose(w, direct, rtol=1e-9, atol=1e-9 * np.abs(factor).max(initial=0.0))
    assert log_m == pytest.approx(np.linalg.slogdet(m)[1].sum() if q else 0.0, rel=1e-11, abs=1e-12)


def made() -> Deviance:
    rng = generator(1, "remembered")
    patient = np.repeat(np.arange(20), 4)
    time = np.tile(np.arange(4.0), 20)
    layout = Layout.of(patient, time)
    x = np.column_stack([np.ones(80), time])[layout.order]
    y = rng.normal(size=20)[patient] + rng.normal(size=80)
    return Deviance(layout, y[layout.order], x, x, residual="car1", method="ml", unit=1.0)


def test_a_point_asked_for_again_is_not_worked_out_again() -> None:
    deviance = made()
    point = np.array([0.8, 0.1, 0.3, -0.5])
    first = deviance(point)
    first[1][:] = np.nan  # what a caller does to its answer …
    point_again = point.copy()
    point[:] = 0.0  # … or to its question is no concern of the next
    value, gradient = deviance(point_again)
    assert deviance.evaluations == 1
    fresh_value, fresh_gradient = made()(point_again)
    assert value == fresh_value
    np.testing.assert_array_equal(gradient, fresh_gradient)


def test_another_point_is_worked_out() -> None:
    deviance = made()
    deviance(np.array([0.8, 0.1, 0.3, -0.5]))
    moved = np.array([0.8, 0.1, 0.3, -0.5 + 1e-15])
    deviance(moved)
    assert deviance.evaluations == 2
