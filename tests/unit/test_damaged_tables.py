"""Whatever is wrong with the optional tables, the visits and the core of the answer stay what they were."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tpr_outcomes.cohort.record import Record
from tpr_outcomes.cohort.tables import read_record
from tpr_outcomes.inference.evidence import Decision, Evidence, decide, gather_evidence
from tpr_outcomes.planning.workbook import simulate_tables
from tpr_outcomes.reporting.claims import answer_claims
from tpr_outcomes.reporting.verdict import ANSWERS, Finding

CORE = ("C2", "C12", "C13")
VISITS_ALONE = ("C11", "C15", "C17", "C25", "C26", "C30")
"""Answered from the visits, or by nothing: no optional table may move them."""
JUNK = (
    "",
    " ",
    "x" * 300,
    "-1",
    "1e999",
    "NaN",
    "=1+1",
    "12,5",
    "31.02.2020",
    "Zoë",
    "\U0001f600",
    "0",
    "none",
)


@lru_cache
def tables() -> dict[str, pd.DataFrame]:
    made = simulate_tables("A-thr40", n_patients=40, seed=5)
    visits = made["visits"]
    ends = visits.groupby("patient")["visit"].agg(["min", "max"]).reset_index()
    ends = ends[ends["max"] > ends["min"]]
    scores = [
        pd.DataFrame({"patient": ends["patient"], "visit": ends[when], "instrument": "ndi", "score": value})
        for when, value in (("min", 40), ("max", 28))
    ]
    return made | {"scores": pd.concat(scores, ignore_index=True)}


@lru_cache
def alone() -> tuple[Record, Evidence, Decision, dict[str, Finding]]:
    """The record without any optional table, and what is said of it."""
    record = read_record(tables()["visits"])
    evidence = gather_evidence(record.visits, replicates=99, seed=1)
    decision = decide(evidence)
    return record, evidence, decision, {f.claim: f for f in answer_claims(evidence, decision, record)}


@st.composite
def damaged(draw: st.DrawFn) -> dict[str, pd.DataFrame]:
    """The optional tables, each left out, whole or damaged in one to three ways."""
    found = {}
    for name in ("sites", "diary", "events", "patients", "scores"):
        state = draw(st.sampled_from(("absent", "whole", "damaged", "damaged")))
        if state == "absent":
            continue
        table = tables()[name].astype(object)
        for _ in range(draw(st.integers(1, 3)) if state == "damaged" else 0):
            table = _damage(draw, table)
        found[name] = table
    return found


def _damage(draw: st.DrawFn, table: pd.DataFrame) -> pd.DataFrame:
    how = draw(
        st.sampled_from(("cells", "column gone", "rows gone", "twice", "no rows", "renamed", "swapped"))
    )
    if not len(table) or not len(table.columns):
        return table
    column = draw(st.sampled_from(list(table.columns)))
    rows = draw(st.lists(st.integers(0, len(table) - 1), min_size=1, max_size=5))
    if how == "cells":
        table = table.copy()
        table.loc[table.index[rows], column] = draw(st.sampled_from(JUNK))
    elif how == "column gone":
        table = table.drop(columns=column)
    elif how == "rows gone":
        table = table.iloc[draw(st.integers(0, len(table))) :]
    elif how == "twice":
        table = pd.concat([table, table.iloc[rows]], ignore_index=True)
    elif how == "no rows":
        table = table.iloc[:0]
    elif how == "renamed":
        table = table.rename(columns={column: draw(st.sampled_from(("", "patient", "Anything else")))})
    else:
        other = draw(st.sampled_from(list(table.columns)))
        names = {column: other, other: column}
        table = table.rename(columns=lambda own: names.get(own, own))
    return table.reset_index(drop=True)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(damaged())
def test_reading_never_fails_and_the_visits_are_the_same(extra: dict[str, pd.DataFrame]) -> None:
    record = read_record(tables()["visits"], tables=extra)
    pd.testing.assert_frame_equal(record.visits.table, alone()[0].visits.table)
    for name in extra:
        kept = record.table(name) is not None
        assert not (kept and record.errors(name))
        assert kept or record.problems[name]  # never gone without a word


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(damaged())
def test_every_claim_is_answered_and_the_core_is_the_same(extra: dict[str, pd.DataFrame]) -> None:
    record = read_record(tables()["visits"], tables=extra)
    _, evidence, decision, before = alone()
    found = {f.claim: f for f in answer_claims(evidence, decision, record)}
    assert list(found) == list(before)
    for claim in CORE + VISITS_ALONE:
        assert found[claim] == before[claim]
    for finding in found.values():
        assert finding.answer in ANSWERS
        assert finding.sentence.endswith((".", "?"))
        assert "{" not in finding.sentence


def test_the_core_of_verdict_json_is_the_same_byte_for_byte(tmp_path: Path) -> None:
    """End to end: no tables, all of them, and all of them broken in their own way."""
    from tpr_outcomes.cli import main

    whole = tables()
    broken = {
        "sites": whole["sites"].rename(columns={"muscle": "Muskel"}),
        "diary": whole["diary"].iloc[:0],
        "events": whole["events"].assign(kind="?"),
        "patients": whole["patients"].assign(patient="nobody"),
    }
    cores = []
    for kind, extra in (("none", {}), ("whole", whole), ("broken", broken)):
        folder = tmp_path / kind
        folder.mkdir()
        for name, table in ({"visits": whole["visits"]} | extra).items():
            table.to_csv(folder / f"{name}.csv", index=False)
        if kind == "broken":
            (folder / "scores.csv").write_bytes(np.arange(256, dtype=np.uint8).tobytes())
        out = tmp_path / f"{kind} out"
        assert main(["evaluate", str(folder), "--out", str(out), "--replicates", "99"]) == 0
        verdict = json.loads((out / "verdict.json").read_text(encoding="utf-8"))
        claims = {row["claim"]: row for row in verdict.pop("claims")}
        del verdict["data"]  # names the file and the tables
        cores.append(json.dumps([verdict, [claims[claim]["answer"] for claim in CORE]], sort_keys=True))
        if kind == "broken":
            for claim in ("C4", "C5", "C6", "C16", "C29"):
                assert claims[claim]["answer"] == "not recorded"
            assert "was not used" in claims["C29"]["sentence"]
            assert claims["C7"]["answer"] == "not recorded"
    assert cores[0] == cores[1] == cores[2]
