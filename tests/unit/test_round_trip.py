"""The same clinic in every format says the same, to the byte."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from tests.unit import postgres_server
from tests.unit.clinic_formats import FORMATS, clinic, postgres_query

from tpr_outcomes.analysis import evaluate
from tpr_outcomes.cohort.visits import Visits, read_visits

REPLICATES = 99
TOLD_BESIDE = {"tidy_as_typed": Counter({"encoding_guessed": 1})}
"""Warnings that come from how a file was saved, not from what is in it."""


@pytest.fixture(scope="module")
def tidy(tmp_path_factory: pytest.TempPathFactory) -> Visits:
    path, _ = FORMATS["tidy_csv"](clinic(), tmp_path_factory.mktemp("tidy"))
    return read_visits(path)


@pytest.fixture(scope="module")
def verdict(tidy: Visits) -> str:
    return without_source(tidy, beside=0)


def without_source(visits: Visits, *, beside: int) -> str:
    """verdict.json but for where the record came from, and warnings about how the file was saved."""
    plan = {"smallest_count": 1}  # every count is compared
    content = json.loads(evaluate(visits, plan, seed=1, replicates=REPLICATES).to_json())
    del content["data"]["source"]
    content["data"]["warnings"] -= beside
    return json.dumps(content, indent=2)


def warnings(visits: Visits) -> Counter[str]:
    return Counter(problem.rule for problem in visits.problems if problem.severity == "warning")


def test_the_clinic_has_what_could_be_lost(tidy: Visits) -> None:
    table = tidy.table
    assert (table["twitches"] == 0).sum() > 20
    assert table["twitches"].isna().sum() > 20
    assert (~table["sought"]).sum() > 20
    assert table["pain"].isna().sum() > 5
    assert table["weeks"].max() == 11.0
    assert set(table["stop_reason"].dropna()) > {"better", "lost"}


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "tidy_csv"])
def test_the_same_clinic_in_every_format(tmp_path: Path, tidy: Visits, verdict: str, name: str) -> None:
    path, settled = FORMATS[name](clinic(), tmp_path)
    visits = read_visits(path, columns=settled)
    pd.testing.assert_frame_equal(visits.table, tidy.table)
    beside = TOLD_BESIDE.get(name, Counter())
    assert warnings(visits) == warnings(tidy) + beside
    assert without_source(visits, beside=beside.total()) == verdict


def test_the_same_clinic_from_a_postgresql_server(tidy: Visits, verdict: str) -> None:
    programs = postgres_server.programs()
    if programs is None:
        message = "no PostgreSQL server on this machine (on Debian: apt-get install postgresql)"
        if os.environ.get("TPR_REQUIRE_POSTGRES"):
            pytest.fail(message)
        pytest.skip(message)
    with postgres_server.running(programs) as server:
        visits = read_visits(postgres_query(clinic(), server))
    pd.testing.assert_frame_equal(visits.table, tidy.table)
    assert warnings(visits) == warnings(tidy)
    assert without_source(visits, beside=0) == verdict
