"""Dose-response curves: the limit where each becomes another, values worked by hand, refusals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpr_outcomes.models import shapes

DOSE = np.array([0.0, 0.5, 1.0, 7.0, 40.0, 41.0, 120.0])
CURVES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": shapes.linear,
    "log": lambda dose: shapes.log(dose, 10.0),
    "emax": lambda dose: shapes.emax(dose, 25.0),
    "hinge": lambda dose: shapes.hinge(dose, 40.0),
    "step": lambda dose: shapes.step(dose, 40.0),
}


def test_values_worked_by_hand() -> None:
    assert shapes.linear([0, 3]).tolist() == [0.0, 3.0]
    np.testing.assert_allclose(shapes.log([0.0, 10.0, 30.0], 10.0), [0.0, np.log(2.0), np.log(4.0)])
    assert shapes.emax([0.0, 25.0, 75.0], 25.0).tolist() == [0.0, 0.5, 0.75]
    assert shapes.hinge([0.0, 40.0, 41.0, 60.0], 40.0).tolist() == [0.0, 0.0, 1.0, 20.0]
    assert shapes.step([0.0, 40.0, 40.5, 60.0], 40.0).tolist() == [0.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize("scale", [1e4, 1e6, 1e8])
def test_far_from_its_constant_a_saturating_curve_is_a_line(scale: float) -> None:
    """Next terms: d - d²/s for d/(1 + d/s), d - d²/2s for the logarithm."""
    np.testing.assert_allclose(scale * shapes.emax(DOSE, scale), shapes.linear(DOSE), rtol=130 / scale)
    np.testing.assert_allclose(scale * shapes.log(DOSE, scale), shapes.linear(DOSE), rtol=65 / scale)


def test_near_zero_an_emax_is_a_step_at_zero() -> None:
    # Short of 1 by ed50 / d, at most 1e-9 / 0.5.
    np.testing.assert_allclose(shapes.emax(DOSE, 1e-9), shapes.step(DOSE, 0.0), atol=2e-9)


def test_near_zero_the_logarithm_is_the_logarithm_of_the_dose() -> None:
    """Differences no longer depend on the offset: the curve is log d up to a constant."""
    positive = DOSE[1:]
    found = shapes.log(positive, 1e-9)
    np.testing.assert_allclose(found - found[0], np.log(positive / positive[0]), atol=1e-8)


def test_emax_is_the_logistic_curve_of_the_log_dose() -> None:
    positive = DOSE[1:]
    logistic = 1.0 / (1.0 + np.exp(-(np.log(positive) - np.log(25.0))))
    np.testing.assert_allclose(shapes.emax(positive, 25.0), logistic, rtol=1e-14)


def test_a_hinge_at_zero_is_the_line_and_past_all_doses_nothing() -> None:
    assert (shapes.hinge(DOSE, 0.0) == shapes.linear(DOSE)).all()
    assert (shapes.hinge(DOSE, DOSE.max()) == 0.0).all()


def test_a_step_below_zero_is_everyone_and_past_all_doses_no_one() -> None:
    assert (shapes.step(DOSE, -1.0) == 1.0).all()
    assert (shapes.step(DOSE, DOSE.max()) == 0.0).all()


def test_a_step_is_the_slope_of_the_hinge() -> None:
    step = 1e-6
    slope = (shapes.hinge(DOSE + step, 40.0 + step / 2) - shapes.hinge(DOSE, 40.0 + step / 2)) / step
    away = DOSE != 40.0
    np.testing.assert_allclose(slope[away], shapes.step(DOSE, 40.0)[away], atol=1e-8)


@pytest.mark.parametrize("name", CURVES)
@given(doses=st.lists(st.floats(0.0, 1e6), min_size=2, max_size=20))
def test_curves_start_at_zero_and_never_fall(name: str, doses: list[float]) -> None:
    value = CURVES[name](np.sort(doses))
    assert CURVES[name](np.zeros(1))[0] == 0.0
    assert (np.diff(value) >= 0.0).all()
    assert value.dtype == np.float64


@pytest.mark.parametrize("bad", [0.0, -3.0, float("nan")])
def test_constants_must_be_positive(bad: float) -> None:
    with pytest.raises(ValueError, match=r"offset is .*must be larger than 0"):
        shapes.log(DOSE, bad)
    with pytest.raises(ValueError, match=r"ed50 is .*must be larger than 0"):
        shapes.emax(DOSE, bad)
