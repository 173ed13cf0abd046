"""Nothing said of another claim contradicts the verdict, whatever the analysis of that claim finds.

Properties over every label of the verdict and any interval an analysis may return.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.made_evidence import every_label
from tests.unit.test_claims_tables import basis
from tests.unit.test_claims_twitches import result as essential

from tpr_outcomes.inference.clustered import Estimate
from tpr_outcomes.inference.contrast import Equivalence
from tpr_outcomes.inference.relapse import analyse_relapse
from tpr_outcomes.reporting import claims_course
from tpr_outcomes.reporting.claims import REGISTRY
from tpr_outcomes.reporting.claims_core import ANALYSES
from tpr_outcomes.reporting.claims_twitches import early_answer, essential_answer

LABELS = tuple(every_label())
SHOWN = ("threshold_supported", "cumulative_association")
"""The verdict shows a link that adds up."""
LINKED = (*SHOWN, "threshold_shape_confounding_alarm", "dose_association")
"""The verdict sees a link of some kind."""


def intervals(low: float = -3.0, high: float = 3.0) -> st.SearchStrategy[tuple[float, float]]:
    ends = st.floats(low, high, allow_nan=False)
    return st.tuples(ends, ends).map(lambda two: (min(two), max(two)))


def row(term: str, ends: tuple[float, float]) -> Estimate:
    return Estimate(term, sum(ends) / 2, 0.1, *ends, math.nan, 100, 40)


def test_every_label_is_here() -> None:
    assert set(LABELS) == {*LINKED, "no_relevant_effect", "inconclusive", "not_identifiable"}


@given(st.sampled_from(LABELS), intervals(), intervals(0.0, 1.0), st.booleans())
def test_twitches_at_single_visits(
    label: str, ends: tuple[float, float], share: tuple[float, float], equivalent: bool
) -> None:
    made = essential(*ends, equivalent=equivalent)
    if label in LINKED:  # C1 is not contradicted by one visit where the visits together show a link
        assert essential_answer(made, label) != "same"
    early = early_answer(row("ten", ends), row("order", share), made, label)
    assert early != "supported" or label in SHOWN  # C3 sees no link that the verdict does not show
    assert early != "none" or label not in LINKED  # nor does it deny one that the verdict sees


@settings(deadline=None)
@given(st.sampled_from(LABELS), intervals(0.0, 1.0), intervals(-1.0, 1.0))
def test_visits_to_a_lasting_response(
    label: str, once: tuple[float, float], excess: tuple[float, float]
) -> None:
    found = claims_course.several_visits(basis())
    twin = found.twins[30.0]
    rows = tuple(row(e.term, excess) if e.term == "excess_by_6" else e for e in twin.estimates)
    changed = replace(found, at_once=row("at_once", once), twins={30.0: replace(twin, estimates=rows)})
    said = REGISTRY["C11"].judge(changed, basis(label))
    assert said.answer != "supported" or label in SHOWN
    if said.answer == "contradicted" and once[0] <= 0.5:  # the course without the dose was called the same
        assert label not in (*LINKED, "not_identifiable")
    if label == "not_identifiable":
        assert "taken out" not in said.template


@settings(deadline=None)
@given(st.sampled_from(LABELS), intervals(0.0, 4.0))
def test_relapse_past_a_threshold(label: str, ends: tuple[float, float]) -> None:
    """C14 speaks of a threshold only where the verdict shows one."""
    threshold = 20.0 if label == "threshold_supported" else None
    made = analyse_relapse(basis().record.visits, threshold=threshold)
    rows = tuple(row(e.term, ends) if e.term in ("past_threshold", "per_ten") else e for e in made.estimates)
    said = REGISTRY["C14"].judge(replace(made, estimates=rows), basis(label))
    if label != "threshold_supported":
        assert said.answer in ("inconclusive", "not identifiable")
        assert "Past {threshold}" not in said.template


@pytest.mark.parametrize("label", LABELS)
def test_the_core_asks_nothing_of_the_optional_tables(label: str) -> None:
    whole = basis(label)
    bare = basis(label, sites=None, diary=None, events=None, patients=None)
    for claim in ANALYSES:
        judge, analyse = ANALYSES[claim].judge, ANALYSES[claim].analyse
        assert judge(whole.result(analyse), whole) == judge(bare.result(analyse), bare)


def test_equivalence_is_what_the_made_result_says() -> None:
    """The strategy above can reach both sides of the rule for C1."""
    assert isinstance(essential(-0.1, 0.1, equivalent=True).equivalence[0], Equivalence)
    assert essential_answer(essential(-0.1, 0.1, equivalent=True), "inconclusive") == "same"
