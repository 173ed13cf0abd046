"""Tables: the same numbers as the evidence, and nothing that could point at somebody."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tests.unit.made_evidence import clinic

from tpr_outcomes.analysis import evaluate
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.planning.simulate import simulate
from tpr_outcomes.planning.worlds import WORLDS
from tpr_outcomes.reporting.page_tables import page_tables
from tpr_outcomes.reporting.results import Evaluation
from tpr_outcomes.reporting.spelling import terms
from tpr_outcomes.reporting.tables import BY_VISIT, GATES, all_tables


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return evaluate(clinic(), replicates=199)


@pytest.fixture(scope="module")
def gaps() -> Evaluation:
    return evaluate(simulate(WORLDS["blanks+thr40"], n_patients=100, seed=7), replicates=99)


@pytest.fixture(scope="module")
def frames(evaluation: Evaluation) -> dict[str, pd.DataFrame]:
    return all_tables(evaluation)


def test_every_table_is_there(frames: dict[str, pd.DataFrame]) -> None:
    names = "gates rivals fits bands profile design by_visit responders flow left_out checks claims"
    assert set(frames) == {*names.split(), "claim_numbers", "sensitivity", "weights"}
    assert len(frames["claims"]) == 30


def test_gates_repeat_the_decision(evaluation: Evaluation, frames: dict[str, pd.DataFrame]) -> None:
    gates = frames["gates"].set_index("term")
    assert list(gates.index) == list(GATES)
    holds = gates["holds"]
    shaped = bool(holds[list(GATES[:2])].all() and holds["design: patients past"])
    checks = bool(holds["check: patient trait"] and holds["check: earlier rating"])
    assert (evaluation.verdict == "threshold_supported") == (shaped and checks)


def test_rivals_repeat_the_p_values(evaluation: Evaluation, frames: dict[str, pd.DataFrame]) -> None:
    assert evaluation.evidence.test is not None
    rivals = frames["rivals"].set_index("term")
    assert dict(rivals["p_value"]) == evaluation.evidence.test.scores.p_values
    assert rivals["delta_bic"].min() == pytest.approx(evaluation.evidence.test.criteria.delta_bic)


def test_the_place_of_a_threshold_is_withheld_unless_it_is_the_verdict() -> None:
    nothing = evaluate(simulate(WORLDS["N4"], n_patients=80, seed=2), replicates=99)
    assert nothing.threshold is None
    made = all_tables(nothing)
    fits = made["fits"].set_index("term")
    assert fits.loc[["hinge", "step"], "theta2"].isna().all()
    assert made["profile"]["in_interval"].isna().all()
    page = page_tables(nothing, terms("twitches", nothing.evidence.scale), all_tables(nothing))
    assert "threshold" not in page


def test_counts_under_five_are_withheld_with_all_that_comes_from_them(gaps: Evaluation) -> None:
    counts = pd.Series(np.bincount(gaps.evidence.ratings.visit))
    few = counts[(counts > 0) & (counts < 5)].index
    assert len(few) > 0, "the example should have such visits"
    table = all_tables(gaps)["by_visit"].set_index("visit")
    assert table.loc[few, ["n", *BY_VISIT]].isna().all(axis=None)
    assert (table["mean"].isna() == table["n"].isna()).all()  # the digits of a mean tell its count
    shown = table[table["n"].notna()]
    assert len(shown) > 2
    assert (shown["n"] == counts[shown.index]).all()
    assert shown["mean"].notna().all()
    page = page_tables(gaps, terms("twitches", gaps.evidence.scale), all_tables(gaps))["by_visit"]
    by_visit = {row[0]: row[1:] for row in page.rows}
    for visit in few:
        assert by_visit[str(visit)] == ("withheld", "–", "–", "–", "–")


def test_means_by_visit_are_those_of_the_record(
    evaluation: Evaluation, frames: dict[str, pd.DataFrame]
) -> None:
    r = evaluation.evidence.ratings
    table = frames["by_visit"].dropna(subset="mean").set_index("visit")
    for visit, row in table.iterrows():
        here = r.visit == visit
        assert row["mean"] == pytest.approx(r.pain[here].mean())
        assert row["total_median"] == np.median(r.dose_before[here])
        assert row["conf_low"] < row["mean"] < row["conf_high"]


def test_the_flow_adds_up(gaps: Evaluation) -> None:
    gaps = replace(gaps, plan={**gaps.plan, "smallest_count": 1})
    flow = all_tables(gaps)["flow"]
    counts = flow.groupby("step")["count"].sum()
    assert counts["visits"] == counts["first ratings"] + counts["later ratings"] + counts["visits left out"]
    left_out = all_tables(gaps)["left_out"]
    assert left_out["count"].sum() == counts["visits left out"]


def test_bands_cover_every_rating_once(evaluation: Evaluation, frames: dict[str, pd.DataFrame]) -> None:
    bands = frames["bands"]
    assert bands["n_ratings"].sum() == evaluation.evidence.ratings.pain.size
    assert bands["estimate"].iloc[0] == 0.0


def test_a_record_of_one_visit_still_has_its_account() -> None:
    visits = Visits.from_arrays(patient=[0], visit=[1], pain=[5.0], twitches=[3.0])
    made = all_tables(evaluate(visits, replicates=99))
    assert {
        "flow",
        "left_out",
        "claims",
        "claim_numbers",
        "gates",
        "by_visit",
        "checks",
        "responders",
    } == set(made)
    assert made["by_visit"].empty
