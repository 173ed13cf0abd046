"""The threshold test: written out in loops, its averages in closed form, BIC and interval by brute force."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from tests.unit import brute_force

from tpr_outcomes.cohort.derive import ratings
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.inference import threshold
from tpr_outcomes.inference.resample import generator, rademacher
from tpr_outcomes.inference.threshold import (
    SHAPE_MARGIN,
    STEP_WEIGHT,
    ScoreTests,
    exponential_average,
    hinge_columns,
    information_criteria,
    lone_slopes,
    robust_slopes,
    score_tests,
    step_columns,
    threshold_profile,
    threshold_test,
)
from tpr_outcomes.models import candidates
from tpr_outcomes.models.mixed import Covariance, Layout
from tpr_outcomes.models.working import Working, dose_top, random_columns, working_model
from tpr_outcomes.planning.simulate import simulate

B = 199


@cache
def clinic(world: str = "A-thr40", n_patients: int = 40, seed: int = 3) -> Visits:
    return simulate(world, n_patients=n_patients, seed=seed)


@pytest.fixture(scope="module")
def working() -> Working:
    return working_model(ratings(clinic()))


@pytest.fixture(scope="module")
def scores(working: Working) -> ScoreTests:
    return score_tests(working, replicates=B, seed=7)


# --- the score test in loops -------------------------------------------------------------------------------


def covariance_of(working: Working, rows: np.ndarray) -> np.ndarray:
    """One patient's covariance, written out."""
    c = working.fit.covariance
    z = random_columns(working.time[rows], working.random)
    r = brute_force.residual_covariance(working.time[rows], sigma=c.sigma, phi=c.phi, nugget=c.nugget)
    return np.asarray(z @ c.random_covariance @ z.T + r)


def roots_of(working: Working) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows of each patient and the symmetric root of the inverse of their covariance."""
    found = []
    for patient in range(working.ratings.n_patients):
        rows = np.flatnonzero(working.ratings.patient == patient)
        values, vectors = np.linalg.eigh(covariance_of(working, rows))
        found.append((rows, vectors @ np.diag(values**-0.5) @ vectors.T))
    return found


def white_of(working: Working, column: np.ndarray) -> np.ndarray:
    out = np.empty(column.shape)
    for rows, root in roots_of(working):
        out[rows] = root @ column[rows]
    return out


def doses_by_patient(working: Working) -> list[np.ndarray]:
    """What each visit before a rating added, from the last-dose column alone."""
    r = working.ratings
    return [r.dose_last[r.patient == i] for i in range(r.n_patients)]


def rival_columns(working: Working) -> dict[str, np.ndarray | None]:
    """The seven rivals from their descriptions; every rating of these clinics follows each visit."""
    unit, found = working.unit, {}
    added = doses_by_patient(working)
    total = np.concatenate([np.cumsum(a) for a in added])
    found["none"] = None
    found["linear"] = total
    found["log"] = np.log1p(total / unit)
    found["saturating"] = total / (total + 2 * unit)
    found["last"] = np.concatenate(added)
    for name, rate in (("fading_half", 0.5), ("fading_fifth", 0.8)):
        found[name] = np.concatenate(
            [[sum(rate ** (j - k) * a[k] for k in range(j + 1)) for j in range(a.size)] for a in added]
        )
    return found


def left_over(column: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.asarray(column - others @ np.linalg.lstsq(others, column, rcond=None)[0])


def scores_in_loops(working: Working, rival: np.ndarray | None, shapes: np.ndarray) -> np.ndarray:
    """Patient contributions (patients, shapes), signed so that relief is positive, over the score's error."""
    r = working.ratings
    background = white_of(working, working.nuisance)
    if rival is not None:
        background = np.column_stack([background, white_of(working, rival)])
    e = left_over(white_of(working, r.pain), background)
    out = np.full((r.n_patients, shapes.shape[1]), np.nan)
    for k in range(shapes.shape[1]):
        white = white_of(working, shapes[:, k])
        z = left_over(white, background)
        if np.linalg.norm(z) > 1e-6 * np.linalg.norm(white):
            for i in range(r.n_patients):
                out[i, k] = -(z[r.patient == i] @ e[r.patient == i]) / np.linalg.norm(z)
    return out


def average_in_loops(scores: np.ndarray, n_hinges: int) -> float:
    means = []
    for family in (scores[:n_hinges], scores[n_hinges:]):
        values = [np.exp(max(s, 0.0) ** 2 / 2) for s in family if np.isfinite(s)]
        means.append(np.mean(values) if values else 1.0)
    return float(np.log((1 - STEP_WEIGHT) * means[0] + STEP_WEIGHT * means[1]))


@pytest.mark.parametrize("rival", candidates.SCORE_RIVALS, ids=lambda r: r.name)
def test_scores_and_p_values_in_loops(
    rival: candidates.Candidate, working: Working, scores: ScoreTests
) -> None:
    dose = working.ratings.dose_before
    hinges = np.maximum(dose[:, None] - scores.knots, 0.0)
    steps = (dose[:, None] > scores.step_knots).astype(float)
    u = scores_in_loops(working, rival_columns(working)[rival.name], np.column_stack([hinges, steps]))
    observed = u.sum(axis=0)
    k = scores.knots.size
    # Whitening, projection and sums in another order; columns are up to 1e-6 of being spanned.
    np.testing.assert_allclose(scores.statistics[rival.name], observed[:k], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(scores.step_statistics[rival.name], observed[k:], rtol=1e-6, atol=1e-7)
    statistic = average_in_loops(observed, k)
    assert scores.averages[rival.name] == pytest.approx(statistic, rel=1e-6)
    signs = rademacher(generator(7, "multiplier"), B, working.ratings.n_patients)
    in_layout_order = u[working.layout.patient]
    exceed = sum(average_in_loops(row @ in_layout_order, k) >= statistic - 1e-9 for row in signs)
    assert scores.p_values[rival.name] == (1 + exceed) / (B + 1)


def test_a_straight_line_spans_the_hinge_at_zero_only(scores: ScoreTests) -> None:
    assert scores.knots[0] == 0.0
    assert np.isnan(scores.statistics["linear"]).tolist() == [True] + [False] * (scores.knots.size - 1)
    assert np.isfinite(scores.statistics["none"]).all()


def test_with_adjusters_in_loops(working: Working) -> None:
    """Further background columns are as good as being in the background from the start."""
    rng = generator(1, "extra")
    extra = np.column_stack(
        [rng.normal(size=working.time.size), working.nuisance[:, 1]]
    )  # one is there already
    found = score_tests(working, replicates=0, seed=1, rivals=(candidates.LINEAR,), extra=extra)
    more = replace(working, nuisance=np.column_stack([working.nuisance, extra[:, 0]]))
    expected = score_tests(more, replicates=0, seed=1, rivals=(candidates.LINEAR,))
    np.testing.assert_allclose(found.statistics["linear"], expected.statistics["linear"], atol=1e-8)
    np.testing.assert_allclose(found.step_statistics["linear"], expected.step_statistics["linear"], atol=1e-8)


def test_columns_by_hand(working: Working) -> None:
    r = working.ratings
    knots = np.array([0.0, 17.0])
    np.testing.assert_allclose(
        hinge_columns(r, knots, 4.0)[:, 1], np.maximum(r.dose_before - 17.0, 0.0) / 4.0
    )
    np.testing.assert_array_equal(step_columns(r, knots)[:, 1], r.dose_before > 17.0)
    assert hinge_columns(r, np.empty(0), 4.0).shape == (r.pain.size, 0)


# --- the average ------------------------------------------------------------------------------------------


def test_average_in_closed_form() -> None:
    w = STEP_WEIGHT
    assert exponential_average(np.zeros(5), 3) == 0.0
    assert exponential_average(np.array([-4.0, -1.0, -2.0]), 2) == 0.0  # harm is not evidence of relief
    assert exponential_average(np.full(6, 3.0), 4) == pytest.approx(4.5)
    hinge_only = exponential_average(np.array([2.0, 0.0]), 1)
    assert hinge_only == pytest.approx(np.log((1 - w) * np.exp(2.0) + w))
    step_only = exponential_average(np.array([0.0, 2.0]), 1)
    assert step_only == pytest.approx(np.log(1 - w + w * np.exp(2.0)))
    mixed = exponential_average(np.array([1.0, 2.0, 3.0]), 2)
    assert mixed == pytest.approx(np.log((1 - w) * (np.exp(0.5) + np.exp(2.0)) / 2 + w * np.exp(4.5)))


def test_average_of_large_scores_does_not_overflow() -> None:
    assert exponential_average(np.array([100.0, 0.0]), 1) == pytest.approx(5000.0 + np.log(1 - STEP_WEIGHT))
    assert exponential_average(np.array([0.0, 100.0]), 1) == pytest.approx(5000.0 + np.log(STEP_WEIGHT))


def test_average_leaves_out_what_is_spanned() -> None:
    nan = np.nan
    whole = exponential_average(np.array([2.0, 1.0, 1.5]), 2)
    assert exponential_average(np.array([nan, 2.0, 1.0, nan, 1.5]), 3) == pytest.approx(whole)
    # A family without a usable score counts as no evidence, not as evidence of the other.
    assert exponential_average(np.array([nan, nan, 2.0]), 2) == pytest.approx(
        np.log((1 - STEP_WEIGHT) + STEP_WEIGHT * np.exp(2.0))
    )
    assert exponential_average(np.full(4, nan), 2) == 0.0


def test_average_works_row_by_row() -> None:
    rows = generator(2, "average").normal(size=(20, 7)) * 2
    np.testing.assert_allclose(exponential_average(rows, 4), [average_in_loops(row, 4) for row in rows])


# --- the reference distribution ----------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_answer(working: Working, scores: ScoreTests) -> None:
    again = score_tests(working, replicates=B, seed=7)
    assert again.p_values == scores.p_values
    assert (again.replicates, again.seed) == (B, 7)


def test_another_seed_differs_by_monte_carlo_error_only(working: Working) -> None:
    a, b = (
        score_tests(working, replicates=1999, seed=s, rivals=(candidates.LINEAR,)).p_threshold for s in (1, 2)
    )
    assert a != b
    assert abs(a - b) < 4 * np.sqrt(2 * a * (1 - a) / 1999)


def exceedances(found: ScoreTests, name: str) -> float:
    return found.p_values[name] * (found.replicates + 1) - 1


@pytest.mark.parametrize("block", [None, 16])
def test_fewer_replicates_are_the_first_of_more(
    working: Working, monkeypatch: pytest.MonkeyPatch, block: int | None
) -> None:
    """In one block or in several; so no answer is got by choosing the number of replicates."""
    if block:
        monkeypatch.setattr(threshold, "_MOST_SIGNS", block * working.ratings.n_patients)
    runs = [score_tests(working, replicates=b, seed=3) for b in (39, 40, 41, 60)]
    for name in runs[0].p_values:
        counts = [exceedances(run, name) for run in runs]
        assert counts == pytest.approx(np.round(counts))
        steps = np.diff(counts)
        assert (steps >= -1e-9).all()
        assert (steps <= np.array([1, 1, 19]) + 1e-9).all()


def test_patients_in_another_order_change_signs_only(working: Working, scores: ScoreTests) -> None:
    table = clinic().table
    rename = generator(9, "rename").permutation(table["patient"].max() + 1)
    moved = table.assign(patient=rename[table["patient"]]).sort_values(["patient", "visit"])
    again = score_tests(
        working_model(ratings(clinic().with_table(moved.reset_index(drop=True)))), replicates=B, seed=7
    )
    for name, value in scores.averages.items():
        # Two searches of the covariance end within 1e-4 of each other (test_mixed.py).
        assert again.averages[name] == pytest.approx(value, rel=1e-3, abs=1e-4)
        p = scores.p_values[name]
        assert abs(again.p_values[name] - p) <= 4 * np.sqrt(2 * p * (1 - p) / B) + 2 / B


def test_units_of_the_dose_do_not_matter(scores: ScoreTests) -> None:
    table = clinic().table
    tens = clinic().with_table(table.assign(twitches=10 * table["twitches"]))
    again = threshold_test(working_model(ratings(tens)), replicates=B, seed=7)
    assert again.scores.p_values == scores.p_values
    for name, value in scores.averages.items():
        assert again.scores.averages[name] == pytest.approx(value, rel=1e-6)


def test_a_scale_where_higher_is_better_is_the_same_test(working: Working, scores: ScoreTests) -> None:
    r = working.ratings
    turned = working_model(replace(r, pain=10 - r.pain, baseline=10 - r.baseline), higher_is_worse=False)
    again = score_tests(turned, replicates=B, seed=7)
    for name, value in scores.averages.items():
        assert again.averages[name] == pytest.approx(value, rel=1e-3, abs=1e-4)


def test_the_threshold_must_beat_every_rival(scores: ScoreTests) -> None:
    made = replace(scores, p_values={"none": 0.01, "linear": 0.2, "last": 0.03})
    assert made.p_dose == 0.01
    assert made.p_threshold == 0.2
    assert made.hardest_rival == "linear"


def test_other_recorded_doses_are_rivals_too() -> None:
    found = score_tests(working_model(ratings(clinic("insertions+thr40"))), replicates=19, seed=1)
    names = {c.name for c in candidates.column_rivals(ratings(clinic("insertions+thr40")))}
    assert names >= {"insertions"}
    assert set(found.p_values) == names | {c.name for c in candidates.SCORE_RIVALS}


def test_a_profiled_rival_stands_at_its_best(working: Working) -> None:
    """Its nonlinear parameter is where its own residual sum of squares is smallest."""
    found = threshold.best_column(working, candidates.EMAX)
    grid = candidates.EMAX.grid(working.ratings, working.unit)
    deviances = [
        dense_deviance(working, working.ratings.dose_before / (working.ratings.dose_before + g)) for g in grid
    ]
    best = grid[int(np.argmin(deviances))]
    np.testing.assert_allclose(found, candidates.EMAX.column(working.ratings, working.unit, best))
    assert threshold.best_column(working, candidates.NOTHING) is None


# --- information criteria and profile ----------------------------------------------------------------------


def dense_deviance(working: Working, *columns: np.ndarray) -> float:
    """Generalised residual sum of squares with the covariance written out, coefficients by least squares."""
    x = np.column_stack([working.nuisance, *columns])
    inverse = {}
    bread, right = np.zeros((x.shape[1],) * 2), np.zeros(x.shape[1])
    for i in range(working.ratings.n_patients):
        rows = np.flatnonzero(working.ratings.patient == i)
        inverse[i] = rows, np.linalg.inv(covariance_of(working, rows))
        bread += x[rows].T @ inverse[i][1] @ x[rows]
        right += x[rows].T @ inverse[i][1] @ working.ratings.pain[rows]
    e = working.ratings.pain - x @ np.linalg.lstsq(bread, right, rcond=None)[0]
    return float(sum(e[rows] @ v @ e[rows] for rows, v in inverse.values()))


def test_information_criteria_by_brute_force(working: Working) -> None:
    found = information_criteria(working)
    penalty = np.log(working.ratings.n_patients)
    dose, unit = working.ratings.dose_before, working.unit
    bic = {
        name: dense_deviance(working, *(() if column is None else (column,))) + penalty * (column is not None)
        for name, column in rival_columns(working).items()
        if name != "saturating"  # the criterion searches for the place of the saturation instead
    }
    for name, make in (
        ("emax", lambda at: dose / (dose + at)),
        ("hinge", lambda at: np.maximum(dose - at, 0.0)),
        ("step", lambda at: (dose > at).astype(float)),
    ):
        candidate = next(c for c in candidates.CandidateSet().candidates if c.name == name)
        grid = candidate.grid(working.ratings, unit)
        bic[name] = min(dense_deviance(working, make(at)) for at in grid) + 2 * penalty
        if name != "emax":  # fewer than 150 patients: the place of a bend costs more
            bic[name] += 1.4 * np.log(150 / working.ratings.n_patients)
    rivals = set(bic) - {"hinge", "step"}
    best = min(rivals, key=lambda name: bic[name])
    assert found.best_rival == best
    assert found.bic.keys() == bic.keys()
    for name, value in found.bic.items():
        assert value == pytest.approx(bic[name] - bic[best], abs=1e-6)
    assert found.delta_bic == pytest.approx(bic[best] - min(bic["hinge"], bic["step"]), abs=1e-6)


@pytest.mark.parametrize("margin", [SHAPE_MARGIN, -1e6])
def test_profile_by_brute_force(working: Working, monkeypatch: pytest.MonkeyPatch, margin: float) -> None:
    monkeypatch.setattr(threshold, "SHAPE_MARGIN", margin)
    found = threshold_profile(working, seed=1)
    grid = candidates.threshold_grid(working.ratings.dose_before, 60)
    np.testing.assert_array_equal(found.grid, grid)
    dose = working.ratings.dose_before
    hinge = np.array([dense_deviance(working, np.maximum(dose - at, 0.0)) for at in grid])
    step = np.array([dense_deviance(working, (dose > at).astype(float)) for at in grid])
    assert found.shape == ("step" if step.min() < hinge.min() - margin else "hinge")
    values = step if found.shape == "step" else hinge
    np.testing.assert_allclose(found.deviance, values - values.min(), atol=1e-6)
    assert found.estimate == grid[values.argmin()]
    assert found.bend == grid[hinge.argmin()]
    assert found.deviance.min() == 0.0
    assert found.conf_low <= found.estimate <= found.conf_high


def test_the_place_is_that_of_ratings_up_to_the_best() -> None:
    whole = working_model(ratings(clinic("A-thr40+mild", 80, 4)))
    found, asked = threshold_profile(whole, seed=1, best=0.0), threshold_profile(whole.up_to(0.0), seed=1)
    assert whole.up_to(0.0) is not whole
    np.testing.assert_array_equal(found.deviance, asked.deviance)
    assert (found.estimate, found.conf_low, found.conf_high) == (
        asked.estimate,
        asked.conf_low,
        asked.conf_high,
    )
    assert found.slope == asked.slope
    assert found.shape == "hinge"
    top = dose_top(whole.ratings)  # relief is still that at the highest doses of the whole record
    assert found.relief_95 == pytest.approx(-found.slope * (top - found.bend))


def test_the_interval_of_a_clinic_that_won_its_rivals_is_wider(working: Working) -> None:
    """What is printed only of lucky clinics allows for their luck."""
    plain = threshold_profile(working, seed=1)
    lucky = threshold_profile(working, seed=1, selected=True)
    assert lucky.conf_low <= plain.conf_low + 1e-9
    assert lucky.conf_high >= plain.conf_high - 1e-9


@pytest.mark.parametrize("nudge", [-1e-9, 1e-9])
def test_a_step_must_fit_decisively_better(
    working: Working, monkeypatch: pytest.MonkeyPatch, nudge: float
) -> None:
    grid = candidates.threshold_grid(working.ratings.dose_before, 60)
    hinge = threshold.residual_squares(working, hinge_columns(working.ratings, grid, working.unit)).min()
    step = threshold.residual_squares(working, step_columns(working.ratings, grid)).min()
    monkeypatch.setattr(threshold, "SHAPE_MARGIN", hinge - step + nudge)
    assert threshold_profile(working, seed=1).shape == ("hinge" if nudge > 0 else "step")


@pytest.mark.parametrize("shape", ["hinge", "step"])
def test_reliefs_follow_from_the_slopes(
    working: Working, monkeypatch: pytest.MonkeyPatch, shape: str
) -> None:
    monkeypatch.setattr(threshold, "SHAPE_MARGIN", 1e6 if shape == "hinge" else -1e6)
    found = threshold_profile(working, seed=1)
    assert found.shape == shape
    dose = working.ratings.dose_before
    bend = np.maximum(dose - found.bend, 0.0)
    (slope,), (error,) = robust_slopes(working, bend[:, None])
    assert found.slope == pytest.approx(slope)
    assert found.slope_error == pytest.approx(error)
    curve = (
        np.maximum(dose - found.estimate, 0.0) if shape == "hinge" else (dose > found.estimate).astype(float)
    )
    (own,), _ = robust_slopes(working, curve[:, None])
    reach = dose_top(working.ratings) - found.estimate if shape == "hinge" else 1.0
    assert found.relief_95 == pytest.approx(-own * reach)
    (before, _), (before_error, _) = robust_slopes(working, np.column_stack([dose, curve]))
    assert found.before == pytest.approx(-before * found.estimate)
    assert found.before_high == pytest.approx((-before + 1.645 * before_error) * found.estimate)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (5.0, 8.0, (3.0, 12.0)),  # between two doses every step is the same, so all of them belong
        (3.0, 7.0, (3.0, 12.0)),  # at a dose: the step beyond it, up to the next
        (1.0, 12.0, (0.0, 12.0)),
        (1.0, 11.0, (0.0, 12.0)),
    ],
)
def test_a_step_is_known_between_doses_only(low: float, high: float, expected: tuple[float, float]) -> None:
    doses = np.array([7.0, 0.0, 3.0, 7.0, 12.0])
    assert threshold._between_doses(doses, low, high) == expected


# --- slopes ------------------------------------------------------------------------------------------------


def independent(working: Working) -> Working:
    """The same clinic with covariance I."""
    none: Any = np.zeros((0, 0))
    fit = replace(working.fit, covariance=Covariance(sigma=1.0, factor=none))
    layout = Layout.of(working.ratings.patient, working.time)
    return replace(working, fit=fit, random="none", layout=layout)


def test_robust_slopes_are_clustered_least_squares_when_ratings_are_independent(working: Working) -> None:
    dose = working.ratings.dose_before
    columns = np.column_stack([dose, np.maximum(dose - 30.0, 0.0)])
    x = np.column_stack([working.nuisance, columns])
    plain = sm.OLS(working.ratings.pain, x).fit(
        cov_type="cluster", cov_kwds={"groups": working.ratings.patient, "use_correction": False}
    )
    slopes, errors = robust_slopes(independent(working), columns)
    np.testing.assert_allclose(slopes, plain.params[-2:], rtol=1e-8)
    np.testing.assert_allclose(errors, plain.bse[-2:], rtol=1e-8)


def test_robust_slopes_are_gee_with_independence(working: Working) -> None:
    column = working.ratings.dose_before
    x = np.column_stack([working.nuisance, column])
    gee = sm.GEE(working.ratings.pain, x, groups=working.ratings.patient).fit()
    slopes, errors = robust_slopes(independent(working), column[:, None])
    assert slopes[0] == pytest.approx(gee.params[-1], rel=1e-8)
    assert errors[0] == pytest.approx(gee.standard_errors(cov_type="robust")[-1], rel=1e-8)


def test_lone_slopes_are_robust_slopes_one_at_a_time(working: Working) -> None:
    dose = working.ratings.dose_before
    columns = np.maximum(dose[:, None] - np.array([0.0, 20.0, 40.0]), 0.0)
    slopes, errors = lone_slopes(working, columns)
    for k in range(3):
        (slope,), (error,) = robust_slopes(working, columns[:, [k]])
        assert slopes[k] == pytest.approx(slope)
        assert errors[k] == pytest.approx(error)


def test_a_column_the_background_spans_has_no_slope(working: Working) -> None:
    spanned = working.nuisance[:, [0, 1]].sum(axis=1)[:, None]
    for find in (robust_slopes, lone_slopes):
        slopes, errors = find(working, spanned)
        assert slopes.tolist() == [0.0]
        assert errors.tolist() == [np.inf]


# --- clinics with the answer known -------------------------------------------------------------------------


def test_a_real_threshold_is_found_and_located() -> None:
    found = threshold_test(working_model(ratings(clinic("A-thr40", 300, 1))), replicates=B, seed=1)
    assert found.scores.p_threshold < 0.02
    assert found.criteria.delta_bic > 5.0
    assert found.profile.shape == "hinge"
    assert found.profile.conf_low < 40.0 < found.profile.conf_high
    assert not found.profile.open_low
    # The world takes 0.05 points off per twitch past the threshold; within 4 of its own errors.
    assert found.profile.slope == pytest.approx(-0.05, abs=4 * found.profile.slope_error)


def test_no_threshold_is_found_where_there_is_none() -> None:
    """World N4: twitches do nothing, people come on a bad day and stop when better."""
    found = threshold_test(working_model(ratings(clinic("N4", 300, 1))), replicates=B, seed=1)
    assert found.scores.p_threshold > 0.1
    assert found.criteria.delta_bic < 0.0
