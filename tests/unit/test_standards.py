"""Reporting standards on the page: every item leads to a place that is there, or says that nothing is."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from tests.unit.made_evidence import clinic, every_label

from tpr_outcomes.analysis import evaluate
from tpr_outcomes.inference.evidence import decide
from tpr_outcomes.planning.simulate import simulate
from tpr_outcomes.reporting import words_standards as say
from tpr_outcomes.reporting.plots import all_figures
from tpr_outcomes.reporting.report import render_html
from tpr_outcomes.reporting.results import Evaluation

COUNTED = {"strobe": 32, "record": 13, "stricta": 17, "immpact": 3}
"""Items of each list, with letters counted apart (STROBE: 22 numbers; STRICTA: 6)."""


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return evaluate(clinic(), {"about": {"needle": "0.30 x 40 mm"}, "self_check": 2}, replicates=99)


@pytest.fixture(scope="module")
def page(evaluation: Evaluation) -> str:
    return render_html(evaluation, all_figures(evaluation))


def rows_of(page: str, name: str) -> list[str]:
    table = re.search(rf'<table id="table-{name}".*?</table>', page, flags=re.DOTALL)
    assert table is not None
    return re.findall(r"<tr><th scope=\"row\".*?</tr>", table.group(0), flags=re.DOTALL)


@pytest.mark.parametrize("name", COUNTED)
def test_every_item_is_answered_somewhere_or_marked(page: str, name: str) -> None:
    ids = set(re.findall(r'\bid="([^"]+)"', page))
    rows = rows_of(page, name)
    assert len(rows) == len(say.ITEMS[name]) == COUNTED[name]
    for row in rows:
        places = re.findall(r'href="#([^"]+)"', row)
        assert set(places) <= ids
        own, missing = row.count("<q>"), row.count(say.PAGE["missing"])
        assert bool(places or own) != bool(missing), row


def test_each_number_stands_once() -> None:
    for name, rows in say.ITEMS.items():
        numbers = [number for number, _, _ in rows]
        assert len(numbers) == len(set(numbers)), name
    strobe = {re.sub(r"\D", "", number) for number, _, _ in say.ITEMS["strobe"]}
    assert strobe == {str(n) for n in range(1, 23)}


def test_what_the_clinic_says_in_its_plan_counts_as_recorded(page: str) -> None:
    needle = next(row for row in rows_of(page, "stricta") if "Needle type" in row)
    assert "<q>0.30 x 40 mm</q>" in needle
    depth = next(row for row in rows_of(page, "stricta") if "Depth" in row)
    assert say.PAGE["missing"] in depth


def test_the_trial_table_has_each_part_with_both_sides(page: str) -> None:
    rows = rows_of(page, "trial")
    assert len(rows) == len(say.TRIAL_ROWS) == 8
    assert all(row.count("<td") == 2 for row in rows)


def test_a_simulation_shown_is_told_by_ademp(page: str, evaluation: Evaluation) -> None:
    letters = [re.search(r">(\w)</th>", row) for row in rows_of(page, "ademp")]
    assert "".join(found.group(1) for found in letters if found) == "ADEMP"
    without = render_html(replace(evaluation, self_check=None), {})
    assert say.PAGE["none_shown"] in without
    assert 'id="table-ademp"' not in without


def test_responders_stand_by_two_methods_of_importance_at_least(page: str) -> None:
    """IMMPACT: what an expert group, patients in studies and the spread of the record call important."""
    table = re.search(r'<table id="table-responders".*?</table>', page, flags=re.DOTALL)
    assert table is not None
    for method in ("an expert group", "patients in published studies", "half the spread"):
        assert method in table.group(0)


def test_places_that_are_not_there_are_not_linked() -> None:
    """A record too small to fit: without figures and responders the items lead to the section instead."""
    small = evaluate(simulate("N4", n_patients=3, seed=1), replicates=99)
    page = render_html(small, {})
    ids = set(re.findall(r'\bid="([^"]+)"', page))
    assert "figure-flow" not in ids
    assert set(re.findall(r'href="#([^"]+)"', page)) <= ids


def test_an_evaluation_of_another_verdict_links_as_well(evaluation: Evaluation) -> None:
    made = every_label()["inconclusive"][0]
    other = replace(evaluation, evidence=made, decision=decide(made))
    page = render_html(other, {})
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(re.findall(r'\bid="([^"]+)"', page))
