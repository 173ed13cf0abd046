"""Claims answered from the optional tables: each rule at its edge, and end to end with the truth known."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.unit.made_evidence import every_label, evidence

from tpr_outcomes.analysis import evaluate
from tpr_outcomes.cohort.derive import ratings
from tpr_outcomes.cohort.record import Record
from tpr_outcomes.inference.clustered import Estimate
from tpr_outcomes.inference.evidence import Decision, decide
from tpr_outcomes.inference.natural import natural_twin
from tpr_outcomes.models.working import working_model
from tpr_outcomes.planning.beside import Beside
from tpr_outcomes.planning.simulate import get_world, simulate
from tpr_outcomes.planning.workbook import simulate_record, to_workbook
from tpr_outcomes.reporting import claims_course, claims_procedure, claims_soreness
from tpr_outcomes.reporting.claim_plug import Basis, Said
from tpr_outcomes.reporting.claims import REGISTRY, answer_claims
from tpr_outcomes.reporting.results import Evaluation
from tpr_outcomes.reporting.verdict import ANSWERS, Finding

BESIDE_SITES = ("C1", "C3")
"""They take insertions from the sites where there are any, and do without where there are none."""
TABLES = ("sites", "diary", "events", "patients")
"""Those the simulated clinics come with; scores of questionnaires are made in the tests of regions."""
NEEDS_TABLES = ("C4", "C5", "C6", "C7", "C8", "C9", "C10", "C16", "C27", "C28", "C29")


@lru_cache
def record() -> Record:
    return simulate_record("A-thr40", n_patients=120, seed=5)


@lru_cache
def evaluation() -> Evaluation:
    return evaluate(record(), replicates=99)


def answered(of: Evaluation) -> dict[str, Finding]:
    return {finding.claim: finding for finding in of.claims}


def basis(decision: str = "inconclusive", **changed: Any) -> Basis:
    made = evaluation()
    gate = replace(made.decision, label=decision)  # type: ignore[arg-type]
    return Basis(replace(record(), **changed), made.evidence, gate, {})


def row(term: str, estimate: float, low: float, high: float, n: int = 50) -> Estimate:
    return Estimate(term, estimate, 0.1, low, high, math.nan, n, n)


# --- end to end -----------------------------------------------------------------------------------


def test_a_workbook_with_all_tables_answers_every_claim_they_serve(tmp_path: Path) -> None:
    from tpr_outcomes.cli import main

    made = to_workbook("A-thr40", tmp_path / "clinic.xlsx", n_patients=60, seed=4)
    out = tmp_path / "report"
    assert main(["evaluate", str(made.data), "--out", str(out), "--replicates", "99"]) == 0
    verdict = json.loads((out / "verdict.json").read_text(encoding="utf-8"))
    found = {claim["claim"]: claim for claim in verdict["claims"]}
    for claim in (*NEEDS_TABLES, "C11", "C15"):
        assert found[claim]["answer"] in ("supported", "contradicted", "inconclusive"), claim
        assert found[claim]["numbers"], claim
        assert found[claim]["rule"] != "claim-availability/2"
    assert {table["table"] for table in verdict["data"]["tables"]} == set(TABLES)
    numbers = pd.read_csv(out / "tables/claim_numbers.csv")
    assert set(NEEDS_TABLES) <= set(numbers["claim"])
    assert (numbers["rule"].str.count("/") == 1).all()
    truth = json.loads(made.truth.read_text(encoding="utf-8"))
    assert truth["beside"] == Beside().to_dict()


def test_the_truth_put_in_comes_out() -> None:
    truth, found = Beside(), answered(evaluation())
    numbers = {claim: {n.term: n for n in finding.rows} for claim, finding in found.items()}
    sore, free = numbers["C7"]["sore"], numbers["C9"]["resolved_48"]
    assert sore.conf_low <= truth.over(1.0) <= sore.conf_high
    assert free.conf_low <= 1.0 - truth.over(48.0) / truth.over(1.0) <= free.conf_high
    referred = numbers["C8"]["referred"]
    assert referred.conf_low <= truth.referred <= referred.conf_high
    assert [found[claim].answer for claim in ("C4", "C5", "C6", "C7", "C8", "C9", "C10", "C28", "C29")] == [
        "supported"
    ] * 9
    assert found["C29"].sentence.startswith("No infection at")


def test_without_tables_the_claims_say_what_is_missing() -> None:
    made = evaluate(record().visits, replicates=99)
    for claim, finding in answered(made).items():
        if claim in NEEDS_TABLES:
            assert finding.answer == "not recorded"
            assert finding.rows == ()
    assert made.to_dict()["data"]["tables"] == []  # type: ignore[index,call-overload]


@pytest.mark.parametrize("table", TABLES)
def test_a_table_that_has_to_be_mended_lists_its_problems_and_changes_no_verdict(table: str) -> None:
    from tpr_outcomes.cohort.tables import read_record
    from tpr_outcomes.planning.workbook import simulate_tables

    tables = simulate_tables("A-thr40", n_patients=120, seed=5)
    visits = tables.pop("visits")
    spoiled = tables[table].astype(object)
    spoiled.loc[0, "patient"] = "nobody of the visits"
    spoiled.loc[1, spoiled.columns[-1]] = "x" * 60
    made = evaluate(read_record(visits, tables=tables | {table: spoiled}), replicates=99)
    before = answered(evaluation())
    for claim, finding in answered(made).items():
        serves = any(need.table == table for need in REGISTRY[claim].needs) if claim in REGISTRY else False
        if serves and before[claim].rows:
            assert finding.answer == "not recorded"
            assert f"The table of {table} was not used" in finding.sentence
            assert f"{table}, row 2" in finding.sentence
            assert "nobody of the visits" not in finding.sentence + finding.paragraph
        elif not serves and claim not in BESIDE_SITES:
            assert finding == before[claim]
    assert made.verdict == evaluation().verdict
    assert made.finding == evaluation().finding


@pytest.mark.parametrize("label", every_label())
def test_nothing_contradicts_the_core(label: str) -> None:
    """Whatever the verdict: the core is the decision's; C11 sees an excess only where a link was shown."""
    for made in every_label()[label]:
        decision = decide(made)
        found = {f.claim: f for f in answer_claims(made, decision, record())}
        alone = {f.claim: f for f in answer_claims(made, decision, record().visits)}
        for claim in ("C2", "C12", "C13"):
            assert found[claim].answer == alone[claim].answer
            assert found[claim].sentence == alone[claim].sentence
        if label not in ("threshold_supported", "cumulative_association"):
            assert found["C11"].answer != "supported"
        elif found["C11"].answer == "contradicted":
            assert found["C11"].sentence.startswith("One visit was the usual number")
        assert all(f.answer in ANSWERS and f.sentence.endswith(".") for f in found.values())


# --- rules at their edges -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "answer"),
    [
        (0.5, 0.9, "inconclusive"),
        (0.5001, 0.9, "supported"),
        (0.1, 0.5, "inconclusive"),
        (0.1, 0.4999, "contradicted"),
    ],
)
def test_a_share_is_judged_by_its_interval(low: float, high: float, answer: str) -> None:
    assert claims_soreness.answer_share(row("x", 0.5, low, high), 0.5) == answer


def test_few_diaries_speak_for_nobody() -> None:
    whole = basis()
    result = claims_soreness.soreness_of(whole)
    judge = REGISTRY["C7"].judge
    assert judge(result, whole).answer == "supported"
    visits = record().visits.n_visits
    for without, answer in ((visits // 2, "supported"), (visits // 2 + 1, "inconclusive")):
        assert judge(replace(result, without_diary=without), whole).answer == answer


@pytest.mark.parametrize(
    ("low", "high", "answer"),
    [
        (1e-6, 1.0, "supported"),
        (0.0, 0.06, "inconclusive"),
        (-0.01, 0.0499, "contradicted"),
        (-0.01, 0.05, "inconclusive"),
    ],
)
def test_soreness_per_twitch(low: float, high: float, answer: str) -> None:
    result = claims_soreness.soreness_of(basis())
    changed = tuple(
        row(e.term, 0.02, low, high) if e.term == "twitches_within" else e for e in result.estimates
    )
    assert REGISTRY["C10"].judge(replace(result, estimates=changed), basis()).answer == answer


def said(claim: str, **changed: Any) -> Said:
    analysis = REGISTRY[claim]
    return analysis.judge(replace(analysis.analyse(basis()), **changed), basis())


@pytest.mark.parametrize(
    ("slope", "without", "answer"),
    [
        ((-0.02, 0.0199), (-2.0, -0.1), "supported"),
        ((-0.02, 0.02), (-2.0, -0.1), "inconclusive"),
        ((-0.02, 0.0), (-2.0, 0.0), "inconclusive"),
        ((0.001, 0.01), (-2.0, -0.1), "contradicted"),
        ((0.0, 0.01), (-2.0, -0.1), "supported"),
        ((0.0, 0.01), (math.nan, math.nan), "inconclusive"),
    ],
)
def test_pain_medicine(slope: tuple[float, float], without: tuple[float, float], answer: str) -> None:
    found = said("C27", slope=row("per_visit", 0.0, *slope), without=row("change_without", -1.0, *without))
    assert found.answer == answer


@pytest.mark.parametrize(
    ("low", "high", "answer"),
    [
        (0.001, 0.1, "supported"),
        (-0.1, -0.001, "supported"),
        (-0.0199, 0.0199, "contradicted"),
        (-0.02, 0.0199, "inconclusive"),
        (0.0, 0.03, "inconclusive"),
    ],
)
def test_advice(low: float, high: float, answer: str) -> None:
    assert said("C28", slope=row("per_point", 0.0, low, high)).answer == answer


@pytest.mark.parametrize(
    ("share", "high", "counted", "answer"),
    [
        (0.0, 0.0099, True, "supported"),
        (0.0, 0.01, True, "inconclusive"),
        (0.0, 0.0099, False, "not recorded"),
        (0.002, 0.0099, True, "contradicted"),
        (0.002, 0.0099, False, "contradicted"),
    ],
)
def test_infections(share: float, high: float, counted: bool, answer: str) -> None:
    result = REGISTRY["C29"].analyse(basis())
    rows = tuple(row("infection", share, 0.0, high) if e.term == "infection" else e for e in result.by_visit)
    assert said("C29", by_visit=rows, counted=counted).answer == answer


@pytest.mark.parametrize(
    ("after", "at_all", "answer"),
    [
        ((0.51, 0.8), (0.6, 0.9), "supported"),
        ((0.5, 0.8), (0.6, 0.9), "inconclusive"),
        ((0.1, 0.3), (0.2, 0.49), "contradicted"),
        ((0.1, 0.3), (0.2, 0.5), "inconclusive"),
    ],
)
def test_order(after: tuple[float, float], at_all: tuple[float, float], answer: str) -> None:
    found = said("C16", after=row("after", 0.4, *after), after_at_all=row("after_at_all", 0.5, *at_all))
    assert found.answer == answer


@pytest.mark.parametrize(
    ("once", "excess", "label", "answer"),
    [
        ((0.1, 0.49), (0.01, 0.3), "threshold_supported", "supported"),
        ((0.1, 0.49), (0.01, 0.3), "cumulative_association", "supported"),
        ((0.1, 0.49), (0.01, 0.3), "dose_association", "inconclusive"),
        ((0.1, 0.49), (0.0, 0.3), "threshold_supported", "inconclusive"),
        ((0.1, 0.5), (0.01, 0.3), "threshold_supported", "inconclusive"),
        ((0.51, 0.9), (0.01, 0.3), "threshold_supported", "contradicted"),
        ((0.1, 0.49), (-0.09, 0.09), "inconclusive", "contradicted"),
        ((0.1, 0.49), (-0.09, 0.1), "inconclusive", "inconclusive"),
        ((0.1, 0.49), (-0.09, 0.09), "threshold_supported", "inconclusive"),
    ],
)
def test_several_visits(
    once: tuple[float, float], excess: tuple[float, float], label: str, answer: str
) -> None:
    result = claims_course.several_visits(basis())
    twin = result.twins[30.0]
    rows = tuple(row(e.term, 0.1, *excess) if e.term == "excess_by_6" else e for e in twin.estimates)
    changed = replace(
        result,
        at_once=row("at_once", 0.3, *once),
        twins=result.twins | {30.0: replace(twin, estimates=rows)},
    )
    assert REGISTRY["C11"].judge(changed, basis(label)).answer == answer


def test_several_visits_without_a_natural_course_are_described() -> None:
    result = replace(claims_course.several_visits(basis()), twins={})
    found = REGISTRY["C11"].judge(result, basis("threshold_supported"))
    assert found.answer == "inconclusive"
    assert found.grade == "description"


# --- the natural course ---------------------------------------------------------------------------


def test_taking_out_a_dose_that_did_nothing_changes_little_and_one_that_worked_much() -> None:
    """The same people where nobody stops: without the dose, the second world is nearer the first."""
    natural: dict[str, float] = {}
    observed: dict[str, float] = {}
    for world in (get_world("N4"), replace(get_world("A-lin"), slope=-0.1)):
        visits = simulate(replace(world, stopping="none"), n_patients=200, seed=2)
        twin = natural_twin(visits, working_model(ratings(visits)))
        natural[world.world] = twin.get("natural_by_6").estimate
        observed[world.world] = twin.get("observed_by_6").estimate
    assert observed["A-lin"] > observed["N4"] + 0.15
    assert abs(natural["A-lin"] - observed["N4"]) < 0.6 * abs(observed["A-lin"] - observed["N4"])
    assert abs(natural["N4"] - observed["N4"]) < 0.15


def test_the_natural_course_of_a_dose_without_a_part_is_the_course_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = evaluation()
    assert made.evidence.working is not None
    n = made.evidence.working.ratings.pain.size
    monkeypatch.setattr("tpr_outcomes.inference.natural.dose_part", lambda _: (np.zeros(n), np.zeros(n)))
    twin = natural_twin(made.visits, made.evidence.working)
    for k in (1, 2, 3, 6, 12):
        same = twin.get(f"observed_by_{k}")
        assert twin.get(f"natural_by_{k}").estimate == same.estimate
        assert twin.get(f"natural_by_{k}").std_error == pytest.approx(same.std_error)
        assert twin.get(f"excess_by_{k}").std_error == 0.0
        share, error, *_ = twin.observed.at(k, "response")
        assert same.estimate == pytest.approx(share)
        assert same.std_error == pytest.approx(error, rel=0.05)  # jackknife against its infinitesimal form


# --- the simulated tables -------------------------------------------------------------------------


def test_a_simulated_clinic_is_read_without_a_problem_and_is_the_same_again(tmp_path: Path) -> None:
    made = [to_workbook("N4", tmp_path / f"{i}.xlsx", n_patients=12, seed=7) for i in (1, 2)]
    assert made[0].data.read_bytes() == made[1].data.read_bytes()
    assert made[0].truth.read_bytes() == made[1].truth.read_bytes()
    read = simulate_record("N4", n_patients=12, seed=7)
    assert all(problems == () for problems in read.problems.values())
    assert read.sites is not None
    assert read.sites.groupby(["patient", "visit"])["twitches"].sum().to_numpy() == pytest.approx(
        read.visits.table["twitches"].to_numpy()
    )


@pytest.mark.parametrize(
    ("setting", "value", "claim", "answer"),
    [
        ("sore", -1.5, "C7", "contradicted"),
        ("referred", 0.02, "C8", "contradicted"),
        ("sore_median", 60.0, "C9", "contradicted"),
        ("twitch_seconds", 2.0, "C4", "contradicted"),
        ("feelings", (0.1, 0.1, 0.7, 0.05, 0.05), "C5", "contradicted"),
        ("felt", 1.0, "C6", "contradicted"),
        ("infection", 0.05, "C29", "contradicted"),
        ("medicine_per_visit", 0.3, "C27", "contradicted"),
        ("gap_growth", 0.2, "C15", "supported"),
    ],
)
def test_a_clinic_in_which_it_is_otherwise_is_told_so(
    setting: str, value: object, claim: str, answer: str
) -> None:
    beside = replace(Beside(), **{setting: value})  # type: ignore[arg-type]
    other = simulate_record("A-thr40", n_patients=120, seed=5, beside=beside)
    e = evidence()
    found: Callable[..., tuple[Finding, ...]] = answer_claims
    assert {f.claim: f for f in found(e, Decision("inconclusive", 5, ()), other)}[claim].answer == answer


def test_every_number_of_a_sentence_is_a_field_of_a_row() -> None:
    from tpr_outcomes.reporting.report import linked_page

    assert linked_page(evaluation(), {}).unlinked == ()


def test_thresholds_of_rules_are_named() -> None:
    assert claims_procedure.SAFE == 0.01
    assert claims_course.SAME_CURVE == 0.10
    assert claims_soreness.OVER_BY_HORIZON == 0.75
