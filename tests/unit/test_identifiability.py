"""What a design can show: brute-force information, power at the stated relief, every rule at its edge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from tests.unit import brute_force

from tpr_outcomes.cohort.derive import ratings
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.inference import identifiability
from tpr_outcomes.inference.identifiability import (
    LARGEST_LINEAR_MDR,
    LARGEST_THRESHOLD_MDR,
    POWER_FACTOR,
    SEARCH_COST,
    Design,
    design,
)
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.models.candidates import score_knots
from tpr_outcomes.models.working import Working, dose_top, random_columns, working_model
from tpr_outcomes.planning.simulate import simulate

SPAN = 10.0


@pytest.fixture(scope="module")
def working() -> Working:
    return working_model(ratings(simulate("irregular+thr40", n_patients=80, seed=2)))


@pytest.fixture(scope="module")
def found(working: Working) -> Design:
    return design(working, span=SPAN)


def error_of_last(working: Working, columns: list[np.ndarray]) -> float:
    """Standard error of the last column beside background and the others, covariance written out."""
    c = working.fit.covariance
    return float(
        brute_force.evaluate(
            working.ratings.pain,
            np.column_stack([working.nuisance, *columns]),
            working.ratings.patient,
            Z=random_columns(working.time, working.random),
            D=c.random_covariance,
            sigma=c.sigma,
            weeks=working.time,
            phi=c.phi,
            nugget=c.nugget,
        ).std_error[-1]
    )


def test_relief_is_the_written_out_error_times_the_distance_to_the_top(
    working: Working, found: Design
) -> None:
    dose = working.ratings.dose_before
    top = dose_top(working.ratings)
    assert found.dose_95 == top
    for k in (0, found.knots.size // 2, -1):
        knot = found.knots[k]
        error = error_of_last(working, [dose, np.maximum(dose - knot, 0.0)])
        assert found.mdr[k] == pytest.approx(POWER_FACTOR * error * (top - knot), rel=1e-7)
    assert found.linear_mdr == pytest.approx(POWER_FACTOR * error_of_last(working, [dose]) * top, rel=1e-7)


def test_knots_and_patients_past_them(working: Working, found: Design) -> None:
    r = working.ratings
    limit = min(np.quantile(r.dose_before[r.dose_before > 0], 0.85), found.dose_95)
    knots = score_knots(r.dose_before)
    assert found.knots.tolist() == [k for k in knots if 0 < k <= limit]
    past = [len({i for i, d in zip(r.patient, r.dose_before, strict=True) if d > k}) for k in found.knots]
    assert found.patients_past.tolist() == past
    assert found.best_mdr == SEARCH_COST * min(found.mdr)


def test_the_factor_is_that_of_80_percent_power_at_one_sided_5_percent() -> None:
    assert pytest.approx(stats.norm.ppf(0.95) + stats.norm.ppf(0.80), abs=0.005) == POWER_FACTOR


def test_a_known_threshold_with_this_relief_is_found_in_80_percent(working: Working, found: Design) -> None:
    """Simulated from the working covariance; the test is one-sided, on the hinge beside a straight line."""
    rng = generator(11, "power")
    k = found.knots.size // 2
    knot, dose = found.knots[k], working.ratings.dose_before
    slope = -found.mdr[k] / (found.dose_95 - knot)
    white = working.whiten(np.column_stack([working.nuisance, dose, np.maximum(dose - knot, 0.0)]))
    y = white[:, -1:] * slope + rng.normal(size=(dose.size, 4000))
    inverse = np.linalg.inv(white.T @ white)
    z = (inverse @ white.T @ y)[-1] / np.sqrt(inverse[-1, -1])
    # Binomial with 4,000 runs: standard error 0.6 points; the rounded factor moves the power by 0.1.
    assert (z < -stats.norm.ppf(0.95)).mean() == pytest.approx(0.80, abs=4 * np.sqrt(0.8 * 0.2 / 4000))


def test_twice_the_noise_twice_the_relief(working: Working, found: Design) -> None:
    c = working.fit.covariance
    noisy = replace(working, fit=replace(working.fit, covariance=replace(c, sigma=2 * c.sigma)))
    np.testing.assert_allclose(design(noisy, span=SPAN).mdr, 2 * found.mdr, rtol=1e-9)
    assert design(noisy, span=SPAN).linear_mdr == pytest.approx(2 * found.linear_mdr)


def test_the_outcome_itself_does_not_enter(working: Working, found: Design) -> None:
    """With covariance and background held, any other pain gives the same design."""
    other = replace(working, ratings=replace(working.ratings, pain=working.ratings.pain[::-1]))
    np.testing.assert_array_equal(design(other, span=SPAN).mdr, found.mdr)


def test_units_of_the_dose_do_not_matter(working: Working, found: Design) -> None:
    r = working.ratings
    tens = replace(working, ratings=replace(r, dose_before=10 * r.dose_before), unit=10 * working.unit)
    again = design(tens, span=SPAN)
    np.testing.assert_allclose(again.mdr, found.mdr, rtol=1e-9)
    np.testing.assert_allclose(again.knots, 10 * found.knots)
    assert again.share_within_visit == pytest.approx(found.share_within_visit)


def test_reliefs_are_judged_as_shares_of_the_scale(working: Working, found: Design) -> None:
    shape, line = found.best_mdr / LARGEST_THRESHOLD_MDR, found.linear_mdr / LARGEST_LINEAR_MDR
    for span in (shape, line):
        for nudge in (1 - 1e-9, 1 + 1e-9):
            reasons = design(working, span=span * nudge).reasons
            assert ("threshold_mdr" in reasons) == (span * nudge < shape)
            assert ("linear_mdr" in reasons) == (span * nudge < line)
    assert design(working, span=2 * max(shape, line)).identifiable
    assert design(working, span=2 * max(shape, line)).reasons == ()


def test_enough_patients_must_be_past_some_knot(
    working: Working, found: Design, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert identifiability.FEWEST_PAST == 15
    most = int(found.patients_past.max())
    monkeypatch.setattr(identifiability, "FEWEST_PAST", most)
    assert "patients_past" not in design(working, span=100.0).reasons
    monkeypatch.setattr(identifiability, "FEWEST_PAST", most + 1)
    assert design(working, span=100.0).reasons == ("patients_past",)


# --- designs that cannot tell ------------------------------------------------------------------------------


def clinic(twitches: np.ndarray) -> Working:
    """Patients by visits; pain is noise."""
    n, visits = twitches.shape
    pain = generator(3, "pain").integers(2, 9, twitches.shape)
    return working_model(
        ratings(
            Visits.from_arrays(
                patient=np.repeat(np.arange(n), visits),
                visit=np.tile(np.arange(1, visits + 1), n),
                pain=pain.ravel(),
                twitches=twitches.ravel(),
            )
        )
    )


def test_a_dose_that_is_the_visit_number_cannot_be_told_from_time() -> None:
    found = design(clinic(np.full((60, 6), 5.0)), span=SPAN)
    assert found.share_within_visit == pytest.approx(0.0, abs=1e-12)
    assert np.isinf(found.mdr).all()
    assert np.isinf(found.linear_mdr)
    assert not found.identifiable
    assert set(found.reasons) >= {"threshold_mdr", "linear_mdr"}


def test_a_dose_independent_of_visit_is_all_within_visits() -> None:
    """Everything at the first visit: the cumulative dose never changes after."""
    twitches = np.zeros((60, 6))
    twitches[:, 0] = generator(4, "dose").poisson(20.0, 60)
    assert design(clinic(twitches), span=SPAN).share_within_visit == pytest.approx(1.0, abs=1e-12)


def test_share_within_visits_by_hand() -> None:
    dose, visit = np.array([1.0, 3.0, 4.0, 8.0]), np.array([2, 2, 3, 3])
    # Within: 1 + 1 + 4 + 4 = 10; all, about 4: 9 + 1 + 0 + 16 = 26.
    assert identifiability._share_within(dose, visit) == pytest.approx(10 / 26)


@pytest.mark.parametrize("treated", [0, 60])
def test_one_dose_for_all_is_no_dose(treated: int) -> None:
    twitches = np.zeros((60, 6))
    twitches[:treated, 0] = 10.0
    found = design(clinic(twitches), span=SPAN)
    assert found.reasons == ("no_dose",)
    assert found.best_mdr == np.inf
    assert not found.identifiable


@pytest.mark.parametrize("treated", [1, 2])
def test_next_to_no_one_treated(treated: int) -> None:
    """The 95th percentile of the dose is then 0, and no knot lies below it."""
    twitches = np.zeros((60, 6))
    twitches[:treated, 0] = 10.0
    found = design(clinic(twitches), span=SPAN)
    assert found.dose_95 == 0.0
    assert found.knots.size == 0
    assert found.best_mdr == np.inf
    assert "patients_past" in found.reasons
