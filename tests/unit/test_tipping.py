from __future__ import annotations

import math

import numpy as np
import pytest

from tpr_outcomes.errors import PlanError
from tpr_outcomes.inference import tipping
from tpr_outcomes.inference.resample import generator


def test_a_hinge_shaped_bias_of_exactly_that_size_brings_the_bound_to_zero() -> None:
    """Least squares is linear, so subtracting the bias from the outcome moves the slope's limit to 0."""
    rng = generator(7, "hinge bias")
    dose = rng.gamma(2.0, 15.0, 400)
    knot, read_at = 25.0, float(np.quantile(dose, 0.95))
    hinge = np.maximum(dose - knot, 0.0)
    design = np.column_stack([np.ones_like(dose), dose, hinge])
    pain = 5.0 - 0.05 * hinge + rng.normal(0, 1, dose.size)

    def slope_and_limit(outcome: np.ndarray) -> tuple[float, float]:
        coef, rss, *_ = np.linalg.lstsq(design, outcome)
        se = math.sqrt(rss[0] / (dose.size - 3) * np.linalg.inv(design.T @ design)[2, 2])
        return float(coef[2]), float(coef[2] + 1.96 * se)

    slope, high = slope_and_limit(pain)
    found = tipping.hinge_bias(slope, high, knot=knot, dose=read_at, pain_on_dose=1.2)
    assert found.relief_low > 0
    unbiased = pain + found.bias * hinge / (read_at - knot)
    assert slope_and_limit(unbiased)[1] == pytest.approx(0.0, abs=1e-12)
    without = pain + found.bias_estimate * hinge / (read_at - knot)
    assert slope_and_limit(without)[0] == pytest.approx(0.0, abs=1e-12)
    assert found.pain_on_dose == 1.2
    assert found.to_frame().shape == (1, 8)


def test_no_bias_is_needed_where_the_bound_already_includes_zero() -> None:
    found = tipping.hinge_bias(-0.01, 0.02, knot=30, dose=80)
    assert found.bias == 0
    assert found.bias_per_twitch == 0
    assert found.bias_estimate == pytest.approx(0.5)
    assert found.relief_low == pytest.approx(-1.0)


@pytest.mark.parametrize(("slope", "high", "dose"), [(-0.05, -0.03, 30.0), (-0.05, -0.06, 80.0)])
def test_hinge_bias_refuses_what_cannot_be(slope: float, high: float, dose: float) -> None:
    with pytest.raises(PlanError):
        tipping.hinge_bias(slope, high, knot=30, dose=dose)


# Cinelli & Hazlett 2020, Darfur example (coefficient of `directlyharmed`), as printed by R's sensemakr:
#   sensemakr(lm(peacefactor ~ directlyharmed + age + farmer_dar + herder_dar + pastvoted +
#                hhsize_darfur + female + village, data = darfur), treatment = "directlyharmed")
#   estimate 0.09731582, se 0.02325654, t 4.18445, df 783
#   partial R2 0.02187309, RV(q=1) 0.1387764, RV(q=1, alpha=0.05) 0.07625797
def test_robustness_value_of_the_published_example() -> None:
    t = 0.09731582 / 0.02325654
    assert tipping.partial_r2(t, 783) == pytest.approx(0.02187309, abs=2e-8)
    assert tipping.robustness_value(t, 783) == pytest.approx(0.1387764, abs=1e-7)
    assert tipping.robustness_value(t, 783, level=0.95) == pytest.approx(0.07625797, abs=1e-7)


@pytest.mark.parametrize("share", [0.5, 1.0])
@pytest.mark.parametrize(("t", "df"), [(0.4, 50.0), (2.5, 120.0), (-9.0, 30.0)])
def test_a_confounder_of_that_strength_removes_exactly_that_share(t: float, df: float, share: float) -> None:
    """By definition: with both partial R2 at the robustness value, bias = share x estimate."""
    value = tipping.robustness_value(t, df, share=share)
    bias = tipping.omitted_bias(1.0, df, r2_dose=value, r2_outcome=value)
    assert bias == pytest.approx(share * abs(t), rel=1e-12)


def test_robustness_value_with_a_level_is_zero_for_a_slope_whose_interval_includes_zero() -> None:
    assert tipping.robustness_value(1.5, 100, level=0.95) == 0
    assert 0 < tipping.robustness_value(2.5, 100, level=0.95) < tipping.robustness_value(2.5, 100)


def test_robustness_value_where_the_outcome_constraint_does_not_bind() -> None:
    """Few degrees of freedom: the other branch, (f^2 - f*^2) / (1 + f^2)."""
    from scipy import stats

    f, f_star = 30 / math.sqrt(5), stats.t.ppf(0.975, 4) / 2
    assert f > 1 / f_star
    expected = (f**2 - f_star**2) / (1 + f**2)
    assert tipping.robustness_value(30, 5, level=0.95) == pytest.approx(expected, rel=1e-14)


def _residual(y: np.ndarray, X: np.ndarray) -> np.ndarray:
    return np.asarray(y - X @ np.linalg.lstsq(X, y)[0])


def _r2(y: np.ndarray, z: np.ndarray, X: np.ndarray) -> float:
    return float(np.corrcoef(_residual(y, X), _residual(z, X))[0, 1] ** 2)


def test_omitted_bias_is_an_identity_of_least_squares() -> None:
    rng = generator(8, "omitted")
    n = 200
    X = np.column_stack([np.ones(n), rng.normal(size=n)])
    z = rng.normal(size=n) + 0.3 * X[:, 1]
    dose = 0.5 * z + X[:, 1] + rng.normal(size=n)
    y = -0.4 * dose + 0.8 * z + X[:, 1] + rng.normal(size=n)
    short = np.column_stack([dose, X])
    long = np.column_stack([short, z])
    b_short, b_long = np.linalg.lstsq(short, y)[0], np.linalg.lstsq(long, y)[0]
    df = n - short.shape[1]
    residual = y - short @ b_short
    se = math.sqrt(residual @ residual / df * np.linalg.inv(short.T @ short)[0, 0])
    bias = tipping.omitted_bias(se, df, r2_dose=_r2(dose, z, X), r2_outcome=_r2(y, z, short))
    assert bias == pytest.approx(abs(b_short[0] - b_long[0]), rel=1e-10)


def test_benchmark_bound_is_attained_by_a_twin_of_the_recorded_variable() -> None:
    """Z orthogonal to everything recorded, with the recorded variable's own coefficients: k = 1.

    Sample moments are made exact by whitening, so the bound holds to rounding.
    """
    rng = generator(9, "benchmark")
    n = 500
    raw = rng.normal(size=(n, 4))
    raw -= raw.mean(axis=0)
    white = np.linalg.qr(raw)[0] * math.sqrt(n)
    recorded, z, e_dose, e_y = white.T
    one = np.ones((n, 1))
    dose = 0.4 * recorded + 0.4 * z + e_dose
    y = -0.3 * dose + 0.5 * recorded + 0.5 * z + e_y
    r2_dose = _r2(dose, recorded, one)
    r2_outcome = _r2(y, recorded, np.column_stack([one, dose]))
    got_dose, got_outcome = tipping.benchmark_bound(r2_dose, r2_outcome)
    X = np.column_stack([one, recorded])
    assert got_dose == pytest.approx(_r2(dose, z, X), rel=1e-10)
    true_outcome = _r2(y, z, np.column_stack([X, dose]))
    assert true_outcome <= got_outcome * (1 + 1e-10)


def test_benchmark_bound_refuses_impossible_strength_and_caps_the_outcome() -> None:
    with pytest.raises(PlanError, match="smaller multiple"):
        tipping.benchmark_bound(0.3, 0.1, times=3)
    with pytest.raises(PlanError, match="below 1"):
        tipping.benchmark_bound(1.0, 0.1)
    assert tipping.benchmark_bound(0.2, 0.7, times=2)[1] == 1.0
    assert tipping.benchmark_bound(0.0, 0.1) == (0.0, pytest.approx(0.1 / 0.9))


@pytest.mark.parametrize(("r2_dose", "r2_outcome"), [(1.0, 0.1), (0.1, 1.1), (-0.1, 0.2)])
def test_omitted_bias_refuses_impossible_shares(r2_dose: float, r2_outcome: float) -> None:
    with pytest.raises(PlanError, match="Partial R-squared"):
        tipping.omitted_bias(1.0, 50, r2_dose=r2_dose, r2_outcome=r2_outcome)


def test_true_threshold_divides_by_the_share_recorded() -> None:
    table = tipping.true_threshold(28.0, 21.0, 35.0, shares=(0.5, 0.7, 1.0))
    assert table["threshold"].tolist() == pytest.approx([56.0, 40.0, 28.0])
    assert table["conf_low"].tolist() == pytest.approx([42.0, 30.0, 21.0])
    assert table["conf_high"].tolist() == pytest.approx([70.0, 50.0, 35.0])
    assert tipping.true_threshold(28.0)["conf_low"].isna().all()
    for shares in [(0.0,), (1.2,), ()]:
        with pytest.raises(PlanError, match="Shares"):
            tipping.true_threshold(28.0, shares=shares)


def test_natural_course_of_that_speed_gives_back_the_relief() -> None:
    found = tipping.natural_course(0.8, weeks=6, fall=2.8, time_constant=5.8)
    faster = 2.8 * (1 - math.exp(-6 / found.time_constant))
    assert faster - found.expected == pytest.approx(0.8, rel=1e-12)
    assert found.points_per_week == pytest.approx(0.8 / 6)
    assert found.expected + found.room == pytest.approx(2.8)
    assert found.to_frame().shape == (1, 7)


def test_natural_course_says_when_no_speed_would_do_and_when_none_is_needed() -> None:
    beyond = tipping.natural_course(1.5, weeks=6, fall=2.8, time_constant=5.8)
    assert beyond.times_as_fast == math.inf
    assert beyond.time_constant == 0
    none = tipping.natural_course(-0.2, weeks=6, fall=2.8, time_constant=5.8)
    assert none.times_as_fast == 1
    assert none.points_per_week == 0
    with pytest.raises(PlanError, match="above 0"):
        tipping.natural_course(1.0, weeks=0, fall=2.8, time_constant=5.8)


@pytest.mark.parametrize("df", [0.0, 1.0, math.nan])
def test_robustness_value_refuses_too_few_degrees_of_freedom(df: float) -> None:
    with pytest.raises(PlanError, match="degrees of freedom"):
        tipping.robustness_value(2.0, df)
