"""The thirty claims: all there, all answered, and the core never at odds with the verdict."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.unit.made_evidence import base, clinic, every_label, evidence
from tests.unit.readability import grade

from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.inference.evidence import TEST_LEVEL, THRESHOLD_LEVEL, Evidence, decide
from tpr_outcomes.inference.frequency import FEWEST_FOR_GAPS, gap_ratios
from tpr_outcomes.reporting import claims_core
from tpr_outcomes.reporting.claim_plug import Analysis
from tpr_outcomes.reporting.claim_rows import BY_ID, CLAIMS
from tpr_outcomes.reporting.claims import REGISTRY, answer_claims, collect
from tpr_outcomes.reporting.claims_course import GAP_RATIO, gap_answer
from tpr_outcomes.reporting.verdict import ANSWERS, GRADES, VERDICT_RULE, Finding

ALL = [(label, i) for label, made in every_label().items() for i in range(len(made))]


def answered(made: Evidence, visits: Visits | None = None) -> dict[str, Finding]:
    found = answer_claims(made, decide(made), visits or clinic())
    return {finding.claim: finding for finding in found}


def dated(gaps: list[list[float]]) -> Visits:
    """Visits with these gaps, one list of weeks per patient."""
    weeks = [np.concatenate(([0.0], np.cumsum(own))) for own in gaps]
    patient = np.concatenate([np.full(own.size, i) for i, own in enumerate(weeks)])
    visit = np.concatenate([np.arange(1, own.size + 1) for own in weeks])
    flat = np.ones(patient.size)
    return Visits.from_arrays(
        patient=patient, visit=visit, weeks=np.concatenate(weeks), pain=5 * flat, twitches=flat
    )


def test_there_are_thirty_in_the_order_of_the_page() -> None:
    assert [claim.id for claim in CLAIMS] == [f"C{i}" for i in range(1, 31)]
    assert BY_ID["C13"].quote == "achieve a certain threshold"


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_a_row_says_what_would_test_it_and_where_evidence_comes_from(claim: Any) -> None:
    assert claim.quote
    assert claim.estimand
    assert re.fullmatch(r"[ABCD](/[ABC])?", claim.kind)
    assert claim.refuted_if
    assert claim.testable == (claim.kind[0] in "AB")
    assert claim.needs or claim.kind == "D"
    assert claim.why or claim.testable
    assert claim.holds or claim.kind == "D"
    for known in claim.known:
        assert known.text
        assert known.source
        assert known.doi == "" or known.doi.startswith("10.")


@pytest.mark.parametrize(("label", "i"), ALL)
def test_every_claim_has_an_answer_whatever_the_record(label: str, i: int) -> None:
    found = answer_claims(every_label()[label][i], decide(every_label()[label][i]), clinic())
    assert [finding.claim for finding in found] == [claim.id for claim in CLAIMS]
    for finding in found:
        assert finding.answer in ANSWERS
        assert finding.grade in GRADES
        assert finding.rule.name
        assert finding.sentence
        assert finding.sentence.endswith(".")
        assert "{" not in finding.sentence + finding.paragraph
        assert not re.search(r"\bp\s*[=<>]|\b(nan|inf|None)\b", finding.sentence), finding.sentence
        assert bool(finding.assumptions) == (finding.grade == "association")
        assert (finding.grade == "none") == (
            finding.answer in ("not recorded", "not identifiable", "not testable")
            or finding.sentence.endswith("does not analyse it yet.")
        )
    assert grade(" ".join(finding.sentence for finding in found)) <= 9.0


@pytest.mark.parametrize(
    ("label", "c12", "c13"),
    [
        ("not_identifiable", "not identifiable", "not identifiable"),
        ("threshold_supported", "supported", "supported"),
        ("threshold_shape_confounding_alarm", "inconclusive", "inconclusive"),
        ("cumulative_association", "supported", "inconclusive"),
        ("dose_association", "inconclusive", "inconclusive"),
        ("no_relevant_effect", "contradicted", "contradicted"),
        ("inconclusive", "inconclusive", "inconclusive"),
    ],
)
def test_the_core_follows_the_decision(label: str, c12: str, c13: str) -> None:
    for made in every_label()[label]:
        found = answered(made)
        assert (found["C12"].answer, found["C13"].answer) == (c12, c13)
        assert found["C12"].rule == found["C13"].rule == VERDICT_RULE
        if found["C12"].answer == "supported":
            assert found["C12"].sentence.endswith("not evidence that twitches cause relief.")
    assert "threshold-shaped" in answered(evidence())["C13"].sentence


@pytest.mark.parametrize(
    ("made", "answer", "what"),
    [
        (evidence(p_values={"insertions": TEST_LEVEL - 1e-9}), "supported", "beyond needle insertions"),
        (
            evidence(p_values={"insertions": TEST_LEVEL, "linear": 0.3}),
            "inconclusive",
            "needle insertions explain it as well",
        ),
        (
            evidence(p_values={"insertions": 0.001, "insertions_hinge": 0.3}),
            "inconclusive",
            "needle insertions explain it as well",
        ),
        # What beats every rival at the level of the threshold beats insertions at that level, too.
        (evidence(p=0.001, p_values={"insertions": THRESHOLD_LEVEL - 1e-9}), "supported", "beyond needle"),
        (
            evidence(p=0.001, delta_bic=-1.0, p_values={"insertions": THRESHOLD_LEVEL - 1e-9}),
            "inconclusive",
            "needle insertions explain it as well",
        ),
        (evidence(), "inconclusive", "holds no needle insertions"),
        (evidence(delta_bic=-1.0), "inconclusive", "holds no needle insertions"),
        (evidence(mundlak=0.2, p_values={"insertions": 0.01}), "inconclusive", "did not pass every test"),
        (evidence(p_values={"linear": 0.3, "last": 0.3}), "inconclusive", "did not pass every test"),
        (evidence(p=0.4, bound=1.2), "inconclusive", "nor rules one out"),
    ],
)
def test_relief_per_twitch_is_judged_strictly(made: Evidence, answer: str, what: str) -> None:
    found = answered(made)["C2"]
    assert found.answer == answer
    assert what in found.sentence


def test_relief_per_twitch_is_contradicted_only_if_the_last_visit_has_no_room_for_it_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = evidence(p=0.4, bound=0.5)
    for bound, answer in ((0.999, "contradicted"), (1.0, "inconclusive"), (1.2, "inconclusive")):
        monkeypatch.setattr(claims_core, "last_visit_bound", lambda _, bound=bound: bound)
        assert answered(made)["C2"].answer == answer


def test_the_bound_for_the_last_visit_is_one_sided_and_patient_robust() -> None:
    made = base("N3")
    bound = claims_core.last_visit_bound(made)
    assert 0.0 < bound < 2.0
    assert claims_core.last_visit_bound(replace(made, working=None)) == np.inf


def test_a_record_whose_dose_is_not_twitches_leaves_the_claim_about_twitches_open() -> None:
    made = replace(evidence(), ratings=replace(evidence().ratings, dose="sessions"))
    assert answered(made)["C2"].answer == "inconclusive"
    assert "sessions" in answered(made)["C13"].sentence
    blank = replace(clinic(), table=clinic().table.assign(twitches=np.nan))
    assert answered(made, blank)["C2"].answer == "not recorded"


class TestGapsBetweenVisits:
    def test_are_not_recorded_without_dates(self) -> None:
        assert answered(evidence())["C15"].answer == "not recorded"

    def test_compare_the_later_with_the_earlier_half(self) -> None:
        visits = dated([[1, 5, 2], [1, 1, 4, 4], [1, 1], [0, 0, 3], [1, 2, 9, 3, 3]])
        assert gap_ratios(visits) == pytest.approx(np.log([2.0, 4.0, 2.0]))

    @pytest.mark.parametrize(
        ("ratio", "low", "high", "answer"),
        [
            (GAP_RATIO, 1.01, 1.2, "supported"),
            (GAP_RATIO - 1e-9, 1.01, 1.2, "inconclusive"),
            (1.2, 1.0, 1.4, "inconclusive"),
            (1.2, 1.0 + 1e-9, 1.4, "supported"),
            (1.05, 1.01, GAP_RATIO - 1e-9, "contradicted"),
            (1.05, 1.01, GAP_RATIO, "inconclusive"),
            (0.5, 0.4, 0.6, "contradicted"),
        ],
    )
    def test_are_judged_at_the_edge(self, ratio: float, low: float, high: float, answer: str) -> None:
        assert gap_answer(ratio, low, high) == answer

    @pytest.mark.parametrize(
        ("patients", "answer"), [(FEWEST_FOR_GAPS - 1, "inconclusive"), (FEWEST_FOR_GAPS, "supported")]
    )
    def test_need_enough_patients(self, patients: int, answer: str) -> None:
        visits = dated([[1.0, 1.0, 2.0 + i / 100] for i in range(patients)])
        found = answered(evidence(), visits)["C15"]
        assert found.answer == answer
        assert f"{FEWEST_FOR_GAPS} patients" in found.sentence

    def test_of_equal_length_contradict(self) -> None:
        found = answered(evidence(), dated([[1.0, 1.0, 1.0]] * 20))["C15"]
        assert found.answer == "contradicted"
        assert found.numbers["gap_ratio"] == 1.0
        assert found.grade == "description"


@pytest.mark.parametrize(
    ("column", "claim", "without", "with_it"),
    [
        ("stop_reason", "C11", "not recorded", "inconclusive"),
        ("region", "C20", "not recorded", "not identifiable"),
    ],
)
def test_a_column_that_is_there_but_empty_is_not_recorded(
    column: str, claim: str, without: str, with_it: str
) -> None:
    visits = clinic()
    assert answered(evidence())[claim].answer == without
    for value, answer in (("", without), (None, without), ("neck", with_it)):
        table = visits.table.assign(**{column: value})
        assert answered(evidence(), replace(visits, table=table))[claim].answer == answer


@pytest.mark.parametrize("claim", ["C31", "C13", "verdict"])
def test_an_analysis_is_registered_once_for_a_claim_of_the_page(claim: str) -> None:
    another: dict[str, Analysis] = {claim: REGISTRY["C13"]}
    with pytest.raises(ValueError, match="not a claim of the page, or already has an answer"):
        collect(REGISTRY, another)


def test_what_an_analysis_needs_is_what_its_row_says() -> None:
    for claim, analysis in REGISTRY.items():
        said = "; ".join(BY_ID[claim].needs)
        for need in analysis.needs:
            assert need.table in said, claim
            assert all(column in said for column in need.columns), claim
            assert need.kind in said, claim


def test_what_would_be_needed_is_said() -> None:
    found = answered(evidence())["C7"]
    assert found.answer == "not recorded"
    assert found.sentence == "Not in this record: how sore patients were in the days after a visit."
    assert "diary: hours, soreness" in found.paragraph
    assert "refuted if" in found.paragraph
