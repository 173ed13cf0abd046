"""Candidate → Fit: generalised least squares, its robust errors, and what is derived from them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tpr_outcomes.cohort.derive import ratings
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.threshold import hinge_columns, information_criteria, robust_slopes
from tpr_outcomes.models.adjusted import average_course, dose_bands, free_curve
from tpr_outcomes.models.candidates import HINGE, LINEAR, NOTHING, CandidateSet
from tpr_outcomes.models.fitting import compare, fit, fit_all, solve
from tpr_outcomes.models.working import Working, random_columns, working_model
from tpr_outcomes.planning.simulate import simulate
from tpr_outcomes.planning.worlds import WORLDS


@pytest.fixture(scope="module")
def visits() -> Visits:
    return simulate(WORLDS["A-thr40"], n_patients=80, seed=3)


@pytest.fixture(scope="module")
def working(visits: Visits) -> Working:
    return working_model(ratings(visits))


def dense_gls(working: Working, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """The textbook formulas with every patient's covariance matrix written out."""
    r, c = working.ratings, working.fit.covariance
    z = random_columns(working.time, working.random)
    x = np.column_stack([working.nuisance, columns])
    bread, right, parts = 0.0, 0.0, []
    for i in range(r.n_patients):
        rows = r.patient == i
        t = working.time[rows]
        wobble = c.phi ** np.abs(t[:, None] - t[None, :])
        v = c.sigma**2 * ((1 - c.nugget) * wobble + c.nugget * np.eye(t.size))
        v = v + z[rows] @ c.random_covariance @ z[rows].T
        inverse = np.linalg.inv(v)
        parts.append((x[rows], inverse, r.pain[rows]))
        bread = bread + x[rows].T @ inverse @ x[rows]
        right = right + x[rows].T @ inverse @ r.pain[rows]
    beta = np.linalg.solve(bread, right)
    meat, deviance = 0.0, 0.0
    for xi, inverse, yi in parts:
        e = yi - xi @ beta
        score = xi.T @ inverse @ e
        meat = meat + np.outer(score, score)
        deviance += float(e @ inverse @ e)
    back = np.linalg.inv(bread)
    return beta, back @ meat @ back, deviance


def test_solution_equals_the_dense_formulas(working: Working) -> None:
    columns = free_curve(working)
    found = solve(working, columns)
    beta, covariance, deviance = dense_gls(working, columns)
    np.testing.assert_allclose(found.coefficients, beta, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-6, atol=1e-9)
    assert found.deviance == pytest.approx(deviance, rel=1e-9)


def test_a_hinge_has_the_slope_and_error_of_the_threshold_test(working: Working) -> None:
    made = fit(HINGE, working, theta2=40.0)
    slope, error = robust_slopes(working, hinge_columns(working.ratings, np.array([40.0]), working.unit))
    assert made.slope == pytest.approx(slope[0], rel=1e-9)
    assert made.std_error[-1] == pytest.approx(error[0], rel=1e-9)


def test_information_criteria_agree_with_those_of_the_verdict(working: Working) -> None:
    table = compare(fit_all(CandidateSet(), working)).set_index("term")
    verdict = information_criteria(working)
    few = 1.4 * np.log(150 / working.ratings.n_patients)  # what a threshold pays in the verdict alone
    for name, value in verdict.bic.items():
        found = table.loc[name, "bic"] - table.loc[verdict.best_rival, "bic"]
        assert found + few * (name in {"hinge", "step"}) == pytest.approx(value, abs=1e-6)
    assert table["delta_bic"].min() == 0.0


def test_a_curve_is_its_slope_times_its_shape(working: Working) -> None:
    made = fit(HINGE, working, theta2=40.0)
    curve = made.curve([0.0, 40.0, 60.0])
    assert made.slope is not None
    np.testing.assert_allclose(curve.estimate, [0.0, 0.0, 20.0 / working.unit * made.slope])
    np.testing.assert_allclose(
        curve.conf_high - curve.conf_low,
        [0.0, 0.0, 2 * 1.959964 * 20.0 / working.unit * made.std_error[-1]],
        rtol=1e-6,
    )
    nothing = fit(NOTHING, working)
    assert nothing.slope is None
    assert (nothing.curve([0.0, 10.0]).estimate == 0.0).all()


def test_expected_without_the_dose_differs_by_the_curve(working: Working) -> None:
    made = fit(LINEAR, working)
    part = made.expected() - made.expected(with_dose=False)
    np.testing.assert_allclose(part, made.curve(working.ratings.dose_before).estimate, atol=1e-9)


def test_a_fit_from_visits_is_the_fit_from_their_background(visits: Visits, working: Working) -> None:
    assert fit(LINEAR, visits).slope == fit(LINEAR, working).slope


def test_the_profiled_threshold_is_the_best_on_its_grid(working: Working) -> None:
    best = fit(HINGE, working)
    assert best.theta2 is not None
    grid = HINGE.grid(working.ratings, working.unit)
    assert best.deviance <= min(fit(HINGE, working, theta2=float(t)).deviance for t in grid) + 1e-9


def test_a_scale_where_higher_is_better_changes_sign_only(visits: Visits) -> None:
    table = visits.table.assign(pain=10.0 - visits.table["pain"])
    better = dataclasses.replace(visits.scale, higher_is_worse=False)
    turned = dataclasses.replace(visits.with_table(table), scale=better)
    a, b = fit(LINEAR, visits), fit(LINEAR, turned)
    assert a.slope is not None
    assert b.slope is not None
    assert a.slope == pytest.approx(-b.slope, rel=1e-4)


def test_fits_of_different_backgrounds_are_not_compared(visits: Visits, working: Working) -> None:
    with pytest.raises(ValueError, match="different backgrounds"):
        compare([fit(LINEAR, visits), fit(LINEAR, working)])


def test_a_dose_that_is_the_visit_number_is_refused(visits: Visits) -> None:
    # Later visit numbers are so sparse that they share a level, within which the dose would still vary.
    table = visits.table[visits.table["visit"] <= 5].assign(twitches=5.0)
    with pytest.raises(FitError, match="cannot be told"):
        fit(LINEAR, visits.with_table(table))


def test_bands_partition_the_ratings_and_equal_their_own_regression(working: Working) -> None:
    bands = dose_bands(working, bands=4)
    dose = working.ratings.dose_before
    assert bands.n_ratings.sum() == dose.size
    assert (bands.high[:-1] < bands.low[1:]).all()
    beta, covariance, _ = dense_gls(working, (bands.membership[:, None] == np.arange(1, 4)).astype(float))
    np.testing.assert_allclose(bands.difference.estimate, [0.0, *beta[-3:]], rtol=1e-6, atol=1e-9)
    half = 1.959964 * np.sqrt(np.diag(covariance)[-3:])
    np.testing.assert_allclose(bands.difference.conf_high[1:] - beta[-3:], half, rtol=1e-5)
    weighted = (bands.difference.estimate * bands.n_ratings).sum() / bands.n_ratings.sum()
    assert bands.average == pytest.approx(weighted)


def test_the_course_is_the_average_of_those_rated(visits: Visits, working: Working) -> None:
    course = average_course(working.ratings, working)
    by_visit = visits.table.groupby("visit")["pain"].agg(["mean", "count"])
    kept = by_visit[by_visit["count"] >= 5]
    # Patients with a single rating have no later one and are in no average.
    for visit, mean, n in zip(course.observed.at, course.observed.estimate, course.n, strict=True):
        if visit > 1:
            assert mean == pytest.approx(kept.loc[int(visit), "mean"])
            assert n == kept.loc[int(visit), "count"]
    assert course.observed.at[0] == 1.0
    assert course.n[0] == working.ratings.n_patients
    assert course.without_dose is not None
    assert course.without_dose.estimate[0] == course.observed.estimate[0]
    assert (course.n >= 5).all()


def test_without_its_dose_part_a_falling_course_lies_higher(working: Working) -> None:
    course = average_course(working.ratings, working)
    assert course.without_dose is not None
    assert course.without_dose.estimate[6] > course.observed.estimate[6]
