"""From visits to evidence: what is handed on, the relief bound by brute force, records with nothing to fit.

The gates, at and beside every edge: test_decide.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.unit.made_evidence import base

from tpr_outcomes.cohort.derive import ratings
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.inference import evidence
from tpr_outcomes.inference.evidence import BOUND_ERRORS, decide, gather_evidence, relief_bound
from tpr_outcomes.inference.falsify import lead_check, mundlak_check
from tpr_outcomes.inference.identifiability import design
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.inference.threshold import robust_slopes, threshold_test
from tpr_outcomes.models.working import Working, dose_top, working_model
from tpr_outcomes.planning.simulate import simulate

N, VISITS = 60, 6
RNG = generator(12, "evidence")
PAIN = RNG.integers(2, 9, (N, VISITS)).astype(float)
DOSE = RNG.poisson(8.0, (N, VISITS)).astype(float)
NONE = np.zeros((N, VISITS))


def clinic(pain: np.ndarray, twitches: np.ndarray) -> Visits:
    n, visits = pain.shape
    return Visits.from_arrays(
        patient=np.repeat(np.arange(n), visits),
        visit=np.tile(np.arange(1, visits + 1), n),
        pain=pain.ravel(),
        twitches=twitches.ravel(),
    )


def first_visit(dose: Any, patients: int = N) -> np.ndarray:
    """Needled at the first visit only, and only the first so many patients."""
    twitches = NONE.copy()
    twitches[:patients, 0] = dose
    return twitches


# --- what is handed on -------------------------------------------------------------------------------------


def test_evidence_is_what_its_parts_say() -> None:
    visits = simulate("A-thr40", n_patients=60, seed=2)
    found = gather_evidence(visits, replicates=49, seed=11)
    working = working_model(ratings(visits))
    assert found.test is not None
    assert found.design is not None
    assert found.test.scores.p_values == threshold_test(working, replicates=49, seed=11).scores.p_values
    assert found.mundlak == mundlak_check(working, replicates=49, seed=11)
    assert found.lead == lead_check(working)
    assert found.design.linear_mdr == design(working, span=visits.scale.span).linear_mdr
    assert found.relief_bound == relief_bound(working)
    assert (found.replicates, found.seed, found.obstacle) == (49, 11, "")
    assert found.scale is visits.scale


def test_another_recorded_dose_can_be_the_dose() -> None:
    visits = simulate("insertions+thr40", n_patients=60, seed=2)
    found = gather_evidence(visits, dose="insertions", replicates=19)
    assert found.ratings.dose == "insertions"
    assert found.test is not None
    assert "insertions" not in found.test.scores.p_values  # not a rival of itself


def test_a_scale_where_higher_is_better_is_judged_alike() -> None:
    visits = simulate("A-thr40", n_patients=120, seed=5)
    better = replace(visits.scale, higher_is_worse=False)
    table = visits.table.assign(pain=10.0 - visits.table["pain"])
    turned = replace(visits.with_table(table), scale=better)
    a, b = (gather_evidence(v, replicates=99) for v in (visits, turned))
    assert decide(a) == decide(b)
    assert b.relief_bound == pytest.approx(a.relief_bound, rel=1e-3)


def test_therapists_enter_the_background() -> None:
    visits = simulate("N4+therapists", n_patients=150, seed=2)
    found, without = (gather_evidence(v, replicates=19) for v in (visits, visits.with_table(
        visits.table.drop(columns="therapist"))))  # fmt: skip
    assert found.working is not None
    assert without.working is not None
    assert found.working.nuisance.shape[1] > without.working.nuisance.shape[1]


# --- the relief bound --------------------------------------------------------------------------------------


def test_relief_bound_is_the_largest_over_knots() -> None:
    working = base().working
    assert working is not None
    dose, top = working.ratings.dose_before, dose_top(working.ratings)
    positive = dose[dose > 0]
    bounds = []
    for knot in [0.0, *np.quantile(positive, np.linspace(0.10, 0.85, 10))]:
        if knot < top:
            (slope,), (error,) = robust_slopes(working, np.maximum(dose - knot, 0.0)[:, None])
            bounds.append((-slope + BOUND_ERRORS * error) * (top - knot))
    assert relief_bound(working) == pytest.approx(max(bounds))


def test_relief_bound_covers_the_largest_true_relief() -> None:
    """No dose effect (N4), 40 clinics: the bound is below 0 next to never.

    The nominal rate of a bound 2.3 errors up over some eleven correlated knots is a few percent at most;
    five of 40 has a chance below 1 in 1,000 at 2.5%.
    """
    below = sum(
        relief_bound(working_model(ratings(simulate("N4", n_patients=60, seed=seed)))) < 0.0
        for seed in range(40)
    )
    assert below < 5


def test_relief_at_a_dose_of_zero_is_zero() -> None:
    assert gather_evidence(clinic(PAIN, first_visit(10.0, 2)), replicates=19).relief_bound == 0.0


# --- nothing to fit ----------------------------------------------------------------------------------------

UNFITTED: dict[str, tuple[np.ndarray, np.ndarray, str]] = {
    "no dose": (PAIN, NONE, "No patient has a later rating after a recorded, positive dose"),
    "dose at the last visit": (
        PAIN,
        NONE + 9.0 * (np.arange(VISITS) == VISITS - 1),
        "No patient has a later rating",
    ),
    "dose never recorded": (PAIN, np.full_like(PAIN, np.nan), "No patient has a later rating"),
    "pain never rated": (np.full_like(PAIN, np.nan), DOSE, "No patient has a later rating"),
    "one patient": (PAIN[:1], DOSE[:1], "No patient has a later rating"),
    "one visit": (PAIN[:, :1], DOSE[:, :1], "No patient has a later rating"),
    "two patients": (PAIN[:2], DOSE[:2], "10 usable ratings are too few"),
    "constant pain": (np.full_like(PAIN, 5.0), DOSE, "does not vary beyond"),
    "no pain": (np.zeros_like(PAIN), DOSE, "does not vary beyond"),
    "constant in every patient": (np.repeat(PAIN[:, :1], VISITS, axis=1), DOSE, "does not vary beyond"),
    "the same fall for all": (
        np.tile(np.arange(8.0, 8.0 - VISITS, -1), (N, 1)),
        DOSE,
        "does not vary beyond",
    ),
}


@pytest.mark.parametrize("name", UNFITTED)
def test_nothing_to_fit_is_not_identifiable_with_the_reason(name: str) -> None:
    pain, twitches, words = UNFITTED[name]
    found = gather_evidence(clinic(pain, twitches), replicates=19)
    assert words in found.obstacle
    assert found.working is found.test is found.design is found.mundlak is found.lead is None
    assert decide(found).label == "not_identifiable"
    assert decide(found).reasons == ("not_fitted",)


BLIND: dict[str, tuple[np.ndarray, str]] = {
    "one dose for all": (first_visit(10.0), "no_dose"),
    "the dose is the visit number": (NONE + 5.0, "linear_mdr"),
    "one patient needled": (first_visit(3.0, 1), "patients_past"),
    "two patients needled": (first_visit(3.0, 2), "patients_past"),
    "fourteen patients needled": (first_visit(np.arange(3.0, 17.0), 14), "patients_past"),
}


@pytest.mark.parametrize("name", BLIND)
def test_a_dose_that_cannot_tell_is_not_identifiable(name: str) -> None:
    twitches, reason = BLIND[name]
    decision = decide(gather_evidence(clinic(PAIN, twitches), replicates=19))
    assert decision.label == "not_identifiable"
    assert reason in decision.reasons


STRANGE: dict[str, tuple[np.ndarray, np.ndarray]] = {
    "two visits": (PAIN[:, :2], DOSE[:, :2]),
    "five patients": (PAIN[:5], DOSE[:5]),
    "a million each": (PAIN, 1e6 * DOSE),
    "a millionth each": (PAIN, 1e-6 * DOSE),
    "rarely one": (PAIN, (DOSE > 12).astype(float)),
    "half unrated": (np.where(RNG.random(PAIN.shape) < 0.5, np.nan, PAIN), DOSE),
    "a tenth unrecorded": (PAIN, np.where(RNG.random(PAIN.shape) < 0.1, np.nan, DOSE)),
    "one very high": (PAIN, np.where(np.arange(N)[:, None] == 7, 5000.0, DOSE)),
}


@pytest.mark.parametrize("name", STRANGE)
def test_strange_records_end_in_a_decision(name: str) -> None:
    """No threshold in any of them; warnings are errors here."""
    found = gather_evidence(clinic(*STRANGE[name]), replicates=99)
    assert found.obstacle == ""
    assert decide(found).label not in ("threshold_supported", "cumulative_association")


@pytest.mark.parametrize("rounded", [False, True])
def test_a_threshold_without_noise_is_seen(rounded: bool) -> None:
    """A record made by formula: the engine must not stumble over residuals of next to nothing."""
    # Not the doses above: with them the lead check alarms (p = 0.014), as it does in 2% of clean records.
    dose = generator(13, "formula").poisson(8.0, (N, VISITS)).astype(float)
    before = np.cumsum(dose, axis=1) - dose
    pain = 10.0 - 0.2 * np.maximum(before - 20.0, 0.0)
    found = gather_evidence(clinic(np.round(pain) if rounded else pain, dose), replicates=199)
    assert decide(found).label == "threshold_supported"
    assert found.test is not None
    assert found.test.profile.estimate == pytest.approx(20.0, abs=2.5)  # grid of whole doses, pain rounded


def test_a_background_without_a_certified_optimum_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def uncertain(*arguments: Any, **options: Any) -> Working:
        found = working_model(*arguments, **options)
        return replace(found, fit=replace(found.fit, status="failed", message="ran out of patience"))

    monkeypatch.setattr(evidence, "working_model", uncertain)
    found = gather_evidence(clinic(PAIN, DOSE), replicates=19)
    assert found.obstacle == "The background model has no certified optimum: ran out of patience."
    assert decide(found).reasons == ("not_fitted",)
