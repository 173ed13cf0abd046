"""Checks that can fail: written out in loops with statsmodels, at their levels, and where impossible."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from tpr_outcomes.cohort.derive import DoseRows, ratings
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError
from tpr_outcomes.inference import falsify
from tpr_outcomes.inference.falsify import lead_check, mundlak_check, patient_frailty, timing_check
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.inference.threshold import score_tests
from tpr_outcomes.models.candidates import NOTHING
from tpr_outcomes.models.working import Working, visit_levels, working_model
from tpr_outcomes.planning.simulate import simulate

LOGIT_CLIP = 1e-5
"""The dose model stops when its deviance moves by 1e-10 of itself: coefficients are good to about 1e-6."""


def clinic(world: str = "N4", n_patients: int = 60, seed: int = 3, **changes: Any) -> Working:
    visits = simulate(world, n_patients=n_patients, seed=seed)
    return working_model(ratings(visits.with_table(visits.table.assign(**changes))))


@pytest.fixture(scope="module")
def working() -> Working:
    return clinic()


def made(twitches: np.ndarray, pain: np.ndarray | None = None, sought: np.ndarray | None = None) -> Working:
    """Patients by visits; pain is noise unless given."""
    n, visits = twitches.shape
    pain = generator(3, "pain").integers(2, 9, twitches.shape) if pain is None else pain
    extra = {} if sought is None else {"sought": sought.ravel()}
    return working_model(
        ratings(
            Visits.from_arrays(
                patient=np.repeat(np.arange(n), visits),
                visit=np.tile(np.arange(1, visits + 1), n),
                pain=pain.ravel(),
                twitches=twitches.ravel(),
                **extra,
            )
        )
    )


# --- the dose model, in loops ------------------------------------------------------------------------------


def poisson(count: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.asarray(sm.GLM(count, x, family=sm.families.Poisson()).fit(tol=1e-12).fittedvalues)


def columns(rows: DoseRows, keep: np.ndarray) -> np.ndarray:
    level = visit_levels(rows.visit[keep])
    pain = rows.pain[keep] - rows.pain[keep].mean()
    return np.column_stack([level == k for k in range(level.max() + 1)] + [pain, pain**2]).astype(float)


def precision_by_pairs(count: np.ndarray, mean: np.ndarray, patient: np.ndarray) -> float:
    cross = weight = 0.0
    for i in range(count.size):
        for j in range(count.size):
            if i != j and patient[i] == patient[j]:
                cross += (count[i] - mean[i]) * (count[j] - mean[j])
                weight += mean[i] * mean[j]
    return min(max(weight / cross, 0.2), 1e4)


def test_lead_statistic_in_loops(working: Working) -> None:
    rows = working.ratings.dose_rows()
    usable = np.isfinite(rows.pain_lag1)
    mean = poisson(rows.dose, columns(rows, np.ones(rows.dose.size, dtype=bool)))
    k = precision_by_pairs(rows.dose, mean, rows.patient)
    past = np.zeros(rows.dose.size)
    for i in range(rows.dose.size):
        earlier = (rows.patient == rows.patient[i]) & (rows.t < rows.t[i])
        past[i] = np.log((k + rows.dose[earlier].sum()) / (k + mean[earlier].sum()))
    x = np.column_stack([columns(rows, usable), past[usable]])
    fitted = poisson(rows.dose[usable], x)
    clear = np.asarray(sm.WLS(rows.pain_lag1[usable], x, weights=fitted).fit().resid)
    product = clear * (rows.dose[usable] - fitted)
    sums = np.array([product[rows.patient[usable] == i].sum() for i in np.unique(rows.patient)])
    statistic = sums.sum() / np.sqrt((sums**2).sum())
    found = lead_check(working)
    assert found.statistic == pytest.approx(statistic, abs=LOGIT_CLIP)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(statistic)), abs=LOGIT_CLIP)
    assert found.n == usable.sum()


def test_patient_frailty_in_loops(working: Working) -> None:
    rows = working.ratings.dose_rows()
    mean = poisson(rows.dose, columns(rows, np.ones(rows.dose.size, dtype=bool)))
    k = precision_by_pairs(rows.dose, mean, rows.patient)
    expected = [
        np.log((k + rows.dose[rows.patient == i].sum()) / (k + mean[rows.patient == i].sum()))
        for i in range(working.ratings.n_patients)
    ]
    np.testing.assert_allclose(patient_frailty(working), expected, atol=LOGIT_CLIP)


def test_sums_over_earlier_visits_by_hand() -> None:
    values, patient = np.array([5.0, 3.0, 2.0, 7.0, 1.0, 4.0]), np.array([0, 0, 0, 1, 2, 2])
    assert falsify._before(values, patient).tolist() == [0.0, 5.0, 8.0, 0.0, 0.0, 1.0]


# --- the Mundlak check -------------------------------------------------------------------------------------


def test_mundlak_adds_twitchiness_times_three_courses(working: Working) -> None:
    found = mundlak_check(working, replicates=199, seed=5)
    frailty, t = patient_frailty(working)[working.ratings.patient], working.time
    extra = np.column_stack([frailty, frailty * t, frailty * np.log1p(t)])
    tests = score_tests(working, replicates=199, seed=5, rivals=(NOTHING,), extra=extra)
    assert found.p_value == tests.p_dose
    assert found.statistic == np.nanmax(tests.statistics["none"])
    assert found.n == working.ratings.n_patients


def test_a_course_that_goes_with_twitchiness_is_seen_through(working: Working) -> None:
    """Exact: recovery added in proportion to the trait moves the plain test, and the check not at all."""
    r, frailty = working.ratings, patient_frailty(working)[working.ratings.patient]
    course = frailty * (0.5 - 0.2 * working.time - 1.5 * np.log1p(working.time))
    moved = replace(working, ratings=replace(r, pain=r.pain + course))
    plain, fooled = (score_tests(w, replicates=99, seed=1, rivals=(NOTHING,)) for w in (working, moved))
    assert fooled.averages["none"] > plain.averages["none"] + 1.0
    before, after = (mundlak_check(w, replicates=99, seed=1) for w in (working, moved))
    assert after.statistic == pytest.approx(before.statistic, abs=1e-8)
    assert after.p_value == before.p_value


# --- levels ------------------------------------------------------------------------------------------------

Run = Callable[[Working], falsify.Check]
LEVELS: dict[str, tuple[str, Run]] = {
    "lead": ("LEAD_LEVEL", lead_check),
    "mundlak": ("MUNDLAK_LEVEL", lambda w: mundlak_check(w, replicates=49, seed=2)),
    "timing": ("MUNDLAK_LEVEL", lambda w: timing_check(w, replicates=9, seed=2)),
}


@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.parametrize("nudge", [-1e-9, 0.0, 1e-9])
def test_a_check_passes_on_one_side_of_its_level(
    name: str, nudge: float, working: Working, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lead passes above its level (no alarm), the others below theirs (an association is left)."""
    level, run = LEVELS[name]
    p = run(working).p_value
    assert p is not None
    monkeypatch.setattr(falsify, level, p + nudge)
    again = run(working)
    assert again.p_value == p
    assert again.level == p + nudge
    assert again.passed is (nudge < 0 if name == "lead" else nudge > 0)
    assert again.reason == ""


# --- what cannot be checked --------------------------------------------------------------------------------


def cut(working: Working, rows: int) -> Working:
    """The same clinic with earlier ratings struck out until ``rows`` visits have two ratings before them."""
    panel = working.ratings._panel
    pain = panel.pain.copy()
    later = np.flatnonzero(panel.position > 0)
    for row in later:
        changed = replace(working, ratings=replace(working.ratings, _panel=replace(panel, pain=pain)))
        found = changed.ratings.dose_rows()
        if (np.isfinite(found.pain) & np.isfinite(found.pain_lag1)).sum() <= rows:
            break
        pain[row] = np.nan
    return changed


@pytest.mark.parametrize("short", [0, 1])
def test_the_lead_check_needs_forty_visits_with_two_ratings(working: Working, short: int) -> None:
    assert falsify.FEWEST_ROWS == 40
    few = cut(clinic("N4", 25, 1), falsify.FEWEST_ROWS)
    if short:
        panel = few.ratings._panel
        pain = panel.pain.copy()
        pain[np.flatnonzero(np.isfinite(pain))[-1]] = np.nan
        few = replace(few, ratings=replace(few.ratings, _panel=replace(panel, pain=pain)))
    found = lead_check(few)
    assert found.n == 40 - short
    assert (found.p_value is None) == bool(short)
    assert (found.passed is None) == bool(short)
    assert found.reason.startswith("too few visits") == bool(short)


DOSES = {"none after the first": np.zeros((60, 6)), "the same always": np.full((60, 6), 5.0)}


@pytest.mark.parametrize("name", DOSES)
def test_a_dose_that_does_not_vary_has_no_checks(name: str) -> None:
    twitches = DOSES[name].copy()
    twitches[:, 0] = 5.0
    working = made(twitches)
    assert mundlak_check(working, replicates=19, seed=1).passed is None
    assert mundlak_check(working, replicates=19, seed=1).reason.startswith("the dose does not vary")
    assert timing_check(working, replicates=5, seed=1).reason.startswith("the cumulative dose does not vary")
    if name == "the same always":
        assert lead_check(working).reason.startswith("too few visits")


def test_no_dose_is_a_reason_not_an_error() -> None:
    working = made(np.zeros((60, 6)))
    assert lead_check(working).p_value is None
    assert "zero" in mundlak_check(working, replicates=19, seed=1).reason
    assert timing_check(working, replicates=5, seed=1).p_value is None
    with pytest.raises(FitError, match="All recorded doses are zero"):
        patient_frailty(working)


def test_pain_that_repeats_itself_cannot_lead() -> None:
    """The earlier rating is always the present one (but for the last visit, where no dose follows)."""
    rng = generator(6, "repeat")
    pain = np.repeat(rng.integers(2, 9, (60, 1)), 6, axis=1)
    pain[:, -1] = rng.integers(2, 9, 60)
    twitches = rng.poisson(8.0, (60, 6)).astype(float)
    twitches[:, -1] = np.nan
    found = lead_check(made(twitches, pain))
    assert found.passed is None
    assert found.reason == "earlier pain does not vary beyond current pain"


# --- timing within patients --------------------------------------------------------------------------------


def test_timing_rebuilds_the_dose_it_permutes(working: Working) -> None:
    rows = working.ratings.dose_rows()
    place = falsify._rating_rows(working, rows)
    total = (falsify._before(rows.dose, rows.patient) + rows.dose)[place]
    np.testing.assert_array_equal(total, working.ratings.dose_before)
    observed = falsify._timing_statistic(working, rows.dose, rows.patient, place)
    tests = score_tests(working, replicates=0, seed=1, rivals=(NOTHING,))
    assert observed == pytest.approx(np.nanmax(tests.statistics["none"]))


def test_visits_where_twitches_were_not_sought_are_no_ones_dose() -> None:
    """A patient first needled at the third visit has no dose before, not that of the patient above."""
    twitches = generator(7, "late").poisson(8.0, (60, 6)).astype(float)
    sought = np.ones((60, 6), dtype=bool)
    sought[::3, :2] = False
    twitches[~sought] = 0.0
    working = made(twitches, sought=sought)
    rows = working.ratings.dose_rows()
    place = falsify._rating_rows(working, rows)
    assert (place == -1).any()
    total = np.where(place >= 0, (falsify._before(rows.dose, rows.patient) + rows.dose)[place], 0.0)
    np.testing.assert_array_equal(total, working.ratings.dose_before)
    assert timing_check(working, replicates=5, seed=1).p_value is not None


def test_timing_permutes_within_patients_only(working: Working, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every reference dose has each patient's own ratios, in another order."""
    rows = working.ratings.dose_rows()
    seen: list[np.ndarray] = []
    real = falsify._timing_statistic

    def spy(w: Working, dose: np.ndarray, patient: np.ndarray, place: np.ndarray) -> float | None:
        seen.append(dose)
        return real(w, dose, patient, place)

    monkeypatch.setattr(falsify, "_timing_statistic", spy)
    timing_check(working, replicates=3, seed=4)
    mean = poisson(rows.dose, columns(rows, np.ones(rows.dose.size, dtype=bool)))
    own = np.bincount(rows.patient, rows.dose) / np.bincount(rows.patient, mean)
    expected = mean * own[rows.patient]
    np.testing.assert_array_equal(seen[0], rows.dose)
    for dose in seen[1:]:
        assert (dose != rows.dose).any()
        for i in range(working.ratings.n_patients):
            mine = (rows.patient == i) & (expected > 0)
            a, b = (np.sort(d[mine] / expected[mine]) for d in (dose, rows.dose))
            np.testing.assert_allclose(a, b, atol=LOGIT_CLIP)


def test_timing_is_reproducible_and_its_p_value_counts(working: Working) -> None:
    first, again = (timing_check(working, replicates=19, seed=8) for _ in range(2))
    assert first == again
    assert first.p_value is not None
    assert (first.p_value * 20) == pytest.approx(round(first.p_value * 20))
    assert 1 / 20 <= first.p_value <= 1.0


def test_timing_leaves_needlings_without_a_rating_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    table = simulate("N4", n_patients=60, seed=3)
    pain = table.table["pain"].to_numpy().copy()
    pain[5] = np.nan
    gapped = working_model(ratings(table.with_table(table.table.assign(pain=pain))))
    rows = gapped.ratings.dose_rows()
    (gap,) = np.flatnonzero(np.isnan(rows.pain))
    seen: list[np.ndarray] = []
    real = falsify._timing_statistic

    def spy(working: Working, dose: np.ndarray, *rest: Any) -> float | None:
        seen.append(dose.copy())
        return real(working, dose, *rest)

    monkeypatch.setattr(falsify, "_timing_statistic", spy)
    assert timing_check(gapped, replicates=5, seed=1).p_value is not None
    assert [dose[gap] for dose in seen] == [rows.dose[gap]] * 6
    own = rows.patient == rows.patient[gap]
    assert any(not np.array_equal(dose[own], rows.dose[own]) for dose in seen[1:])


def test_timing_cannot_be_done_without_a_rated_needling(
    working: Working, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = working.ratings.dose_rows()
    blank = replace(rows, pain=np.full_like(rows.pain, np.nan))
    monkeypatch.setattr(type(working.ratings), "dose_rows", lambda self: blank)
    found = timing_check(working, replicates=5, seed=1)
    assert found.passed is None
    assert found.reason == "no needling with a rating before it has a recorded dose"
