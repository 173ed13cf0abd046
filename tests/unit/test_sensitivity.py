"""What could fool us in numbers: each part against its definition, and why one cannot be done."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm

from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.inference import sensitivity
from tpr_outcomes.inference.evidence import Decision, Evidence, decide, gather_evidence
from tpr_outcomes.inference.history import history
from tpr_outcomes.inference.sensitivity import (
    Sensitivity,
    Undone,
    common_visits,
    gather_sensitivity,
    unrecorded_reason,
)
from tpr_outcomes.inference.sequential import SnmmFit, fit_snmm
from tpr_outcomes.inference.tipping import NaturalCourse, robustness_value
from tpr_outcomes.models.working import dose_top, visit_levels
from tpr_outcomes.planning.simulate import simulate

Gathered = tuple[Visits, Evidence, Decision, Sensitivity]


def gathered(world: str, n_patients: int, seed: int) -> Gathered:
    visits = simulate(world, n_patients=n_patients, seed=seed)
    evidence = gather_evidence(visits, replicates=199, seed=seed)
    decision = decide(evidence)
    found = gather_sensitivity(visits, evidence, decision)
    assert found is not None
    return visits, evidence, decision, found


@pytest.fixture(scope="module")
def threshold() -> Gathered:
    return gathered("A-thr30", 150, 2)


@pytest.fixture(scope="module")
def nothing() -> Gathered:
    return gathered("N4", 60, 3)


def test_past_the_threshold_only_where_one_is_reported(threshold: Gathered, nothing: Gathered) -> None:
    visits, evidence, decision, found = threshold
    assert decision.gate == 1
    assert evidence.test is not None
    assert isinstance(found.past_threshold, SnmmFit)
    knot = evidence.test.profile.bend
    assert found.past_threshold.knot == knot
    assert found.past_threshold.estimate == fit_snmm(history(visits), knot=knot).estimate
    assert nothing[3].past_threshold is None
    assert isinstance(nothing[3].unrecorded, sensitivity.UnrecordedReason)
    assert nothing[3].unrecorded.knot == 0.0


def test_the_unrecorded_reason_by_least_squares(threshold: Gathered) -> None:
    """OLS on whitened rows; the benchmark by leaving the first rating out and putting it back."""
    _, evidence, _, found = threshold
    working, reason = evidence.working, found.unrecorded
    assert working is not None
    assert isinstance(reason, sensitivity.UnrecordedReason)
    dose = np.maximum(working.ratings.dose_before - reason.knot, 0.0)
    x = working.whiten(np.column_stack([dose, working.nuisance]))
    y = working.whiten(working.ratings.pain[:, None])[:, 0]
    plain = sm.OLS(y, x).fit()
    assert reason.slope == pytest.approx(plain.params[0], rel=1e-8)
    assert reason.std_error == pytest.approx(plain.bse[0], rel=1e-8)
    assert reason.df == plain.df_resid
    assert reason.value == pytest.approx(robustness_value(plain.tvalues[0], plain.df_resid))
    assert reason.value_interval < reason.value

    first = working.ratings.baseline - working.ratings.baseline.mean()
    t = working.time
    block = working.whiten(np.column_stack([first, first * t / 5.0, first * np.log1p(t)]))
    levels = int(visit_levels(working.ratings.visit).max()) + 1  # one column each, then the first rating's
    assert working.nuisance.shape[1] == levels + 3
    rest = working.whiten(working.nuisance[:, :levels])
    r2_dose = _partial(x[:, 0], rest, block)
    r2_outcome = _partial(y, np.column_stack([rest, x[:, 0]]), block)
    rd = r2_dose / (1 - r2_dose)
    rho2 = r2_dose**2 / ((1 - r2_dose) * (1 - r2_dose))
    ry = min((1 + np.sqrt(rho2)) ** 2 / (1 - rho2) * r2_outcome / (1 - r2_outcome), 1.0)
    bias = plain.bse[0] * np.sqrt(plain.df_resid * ry * rd / (1 - rd))
    assert reason.benchmark == pytest.approx(bias, rel=1e-6)


def _partial(target: np.ndarray, rest: np.ndarray, block: np.ndarray) -> float:
    def rss(columns: np.ndarray) -> float:
        return float(((target - columns @ np.linalg.lstsq(columns, target, rcond=None)[0]) ** 2).sum())

    less, more = rss(rest), rss(np.column_stack([rest, block]))
    return 1.0 - more / less


def test_natural_recovery_explains_the_near_end_of_the_relief(threshold: Gathered, nothing: Gathered) -> None:
    _, evidence, _, found = threshold
    reason, natural = found.unrecorded, found.natural
    assert isinstance(natural, NaturalCourse)
    assert isinstance(reason, sensitivity.UnrecordedReason)
    reach = dose_top(evidence.ratings) - reason.knot
    assert natural.relief == pytest.approx(-(reason.slope + 1.959964 * reason.std_error) * reach, rel=1e-5)
    assert natural.times_as_fast > 1.0
    assert isinstance(nothing[3].natural, Undone)
    assert "not clear of zero" in nothing[3].natural.reason


def test_unseen_ratings_are_drawn_where_a_fifth_was_rated(threshold: Gathered) -> None:
    _, evidence, _, found = threshold
    t = evidence.ratings.t
    share = [(t == k).sum() / evidence.ratings.n_patients for k in range(1, int(t.max()) + 1)]
    assert found.last_visit == max(k for k, s in enumerate(share, start=1) if s >= 0.2)
    assert common_visits(evidence) == found.last_visit


def test_what_cannot_be_done_says_why(threshold: Gathered) -> None:
    found = threshold[3]
    assert found.comparison == Undone("insertions are not recorded")
    assert found.control.passed is None
    few = gathered("A-lin", 9, 1)
    assert isinstance(few[3].next_rating, Undone)
    assert "at least 10" in few[3].next_rating.reason


def test_a_dose_the_background_spans(nothing: Gathered) -> None:
    working = nothing[1].working
    assert working is not None
    assert unrecorded_reason(working, 1e6) == Undone("the dose does not vary beyond the background")


def test_nothing_without_a_fit() -> None:
    visits = simulate("N4", n_patients=60, seed=3)
    empty = gather_evidence(replace(visits, table=visits.table.assign(twitches=0.0)), replicates=99, seed=1)
    assert gather_sensitivity(visits, empty, decide(empty)) is None


def test_the_same_again(nothing: Gathered) -> None:
    visits, evidence, decision, found = nothing
    again = gather_sensitivity(visits, evidence, decision)
    assert again is not None
    assert again.timing == found.timing
    assert again.unrecorded == found.unrecorded
    for name in ("mean_change", "dose_slope"):
        assert getattr(again, name).table.equals(getattr(found, name).table)
