"""C1, C3 and the carry-over beside C12: each answer at its edge, and never against the verdict."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tests.unit.made_evidence import clinic, every_label, evidence

from tpr_outcomes.cohort.record import Record
from tpr_outcomes.cohort.scales import NRS
from tpr_outcomes.inference.clustered import Estimate
from tpr_outcomes.inference.contrast import Equivalence
from tpr_outcomes.inference.essential import Essential
from tpr_outcomes.inference.evidence import decide
from tpr_outcomes.reporting.claims import answer_claims
from tpr_outcomes.reporting.claims_twitches import (
    carryover_said,
    early_answer,
    essential_answer,
    with_site_insertions,
)


def row(term: str, low: float, high: float) -> Estimate:
    return Estimate(term, (low + high) / 2, 0.1, low, high, 0.5, 100, 40)


def result(low: float, high: float, *, equivalent: bool = False) -> Essential:
    margin = NRS.absolute_cuts()[0]
    tests = (Equivalence("next_any", margin, 0.01, low, high, equivalent),)
    return Essential((row("next_any", low, high),), tests, 90, 40, 40, 20, True, 0.95)


@pytest.mark.parametrize(
    ("made", "label", "kind"),
    [
        (result(-0.5, 0.5, equivalent=True), "no_relevant_effect", "same"),
        (result(-0.5, 0.5, equivalent=True), "inconclusive", "same"),
        (result(-0.5, 0.5, equivalent=True), "threshold_supported", "adds up"),
        (result(-0.5, 0.5, equivalent=True), "cumulative_association", "adds up"),
        (result(-2.0, -1e-9), "no_relevant_effect", "better"),
        (result(-2.0, 0.0), "no_relevant_effect", "open"),
        (result(-2.0, 2.0), "threshold_supported", "open"),
    ],
)
def test_what_visits_without_a_twitch_amount_to(made: Essential, label: str, kind: str) -> None:
    assert essential_answer(made, label) == kind


@pytest.mark.parametrize(
    ("ten", "order", "label", "kind"),
    [
        ((-1.0, -0.1), (0.0, 0.4), "threshold_supported", "supported"),
        ((-1.0, -0.1), (0.0, 0.4), "no_relevant_effect", "not shown"),  # the verdict is not contradicted
        ((-1.0, -0.1), (0.0, 0.4), "cumulative_association", "supported"),
        ((-1.0, -0.1), (0.0, 0.4), "inconclusive", "not shown"),
        ((-1.0, -0.1), (0.0, 0.4), "not_identifiable", "not shown"),
        ((-1.0, -0.1), (0.0, 0.4), "threshold_shape_confounding_alarm", "not shown"),
        ((-1.0, 0.0), (0.0, 0.4), "threshold_supported", "open"),
        ((-1.0, -0.1), (0.0, 0.5), "threshold_supported", "open"),
        ((-1.0, -0.1), (0.51, 0.9), "threshold_supported", "before"),
        ((-1.2, 1.2), (0.0, 0.4), "inconclusive", "none"),
        ((-1.3, 1.2), (0.0, 0.4), "inconclusive", "open"),
        ((-0.1, 0.1), (0.0, 0.4), "cumulative_association", "open"),
    ],
)
def test_what_early_twitches_amount_to(
    ten: tuple[float, float], order: tuple[float, float], label: str, kind: str
) -> None:
    assert early_answer(row("ten", *ten), row("order", *order), result(-0.5, 0.5), label) == kind


def test_c1_is_never_supported_and_c3_never_against_the_verdict() -> None:
    for label, made in every_label().items():
        for one in made:
            found = {f.claim: f for f in answer_claims(one, decide(one), clinic())}
            assert found["C1"].answer in ("contradicted", "inconclusive", "not identifiable")
            if label == "no_relevant_effect":
                assert found["C3"].answer != "supported"
            if label in ("threshold_supported", "cumulative_association"):
                assert found["C1"].answer != "contradicted"
                assert found["C3"].answer != "contradicted" or "before any twitch was" in found["C3"].sentence


def test_a_record_without_twitches_says_what_is_missing() -> None:
    made = evidence()
    blank = clinic().with_table(clinic().table.assign(twitches=np.nan))
    found = {f.claim: f for f in answer_claims(made, decide(made), blank)}
    assert found["C1"].answer == found["C3"].answer == "not recorded"
    assert "twitches" in found["C1"].paragraph


def test_insertions_of_the_sites_are_added_up_and_a_blank_one_makes_the_visit_unknown() -> None:
    visits = clinic()
    keys = visits.table[["patient", "visit"]].iloc[:2]
    sites = pd.DataFrame({
        "patient": keys["patient"].repeat(2).to_numpy(), "visit": keys["visit"].repeat(2).to_numpy(),
        "insertions": [2.0, 3.0, 4.0, np.nan],
    })  # fmt: skip
    found = with_site_insertions(Record(visits, sites=sites)).table["insertions"]
    assert found.iloc[0] == 5.0
    assert found.iloc[1:].isna().all()
    own = visits.with_table(visits.table.assign(insertions=7.0))
    assert (with_site_insertions(Record(own, sites=sites)).table["insertions"] == 7.0).all()


def test_nothing_is_said_of_a_carry_over_that_was_not_fitted() -> None:
    assert carryover_said(None) == ({"carry": ""}, [])


def test_carry_over_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.unit.test_carryover import record

    from tpr_outcomes.cohort.derive import ratings
    from tpr_outcomes.inference.carryover import analyse_carryover
    from tpr_outcomes.models.working import working_model

    visits = record(-0.15, insertions=True)
    found = analyse_carryover(working_model(ratings(visits)), visits)
    texts, numbers = carryover_said(replace(found, half_life=1.5, half_life_low=0.5, half_life_high=2.5))
    assert texts["carry"] == (
        "Half of what one visit's twitches show is left 1.5 visits later (95% interval 0.5 to 2.5). "
    )
    half = next(number for number in numbers if number.term == "half_life")
    assert (half.estimate, half.conf_low, half.conf_high, half.unit) == (1.5, 0.5, 2.5, "visits")
    stays, _ = carryover_said(replace(found, half_life=math.inf, half_life_low=4.0, half_life_high=math.inf))
    assert "half of it was left for 4 visits or more" in stays["carry"]
    unknown, _ = carryover_said(replace(found, identifiable=False))
    assert "cannot be told here" in unknown["carry"]
