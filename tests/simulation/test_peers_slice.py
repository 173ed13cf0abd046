"""A slice of docs/methods/peers.md: the hinge picked by AIC in MixedLM, on the study's own clinics."""

from __future__ import annotations

import csv
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

pytestmark = [pytest.mark.simulation]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def peers() -> ModuleType:
    path = ROOT / "benchmarks" / "peers.py"
    spec = importlib.util.spec_from_file_location("benchmarks_peers", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["benchmarks_peers"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def published() -> list[dict[str, str]]:
    with (ROOT / "docs" / "methods" / "peers.csv").open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def test_where_there_is_a_threshold_both_find_it(peers: ModuleType) -> None:
    (_, visits) = next(peers.clinics("A-thr40", 1, 150, peers.SEED))
    theirs = peers.hinge_by_aic(peers.table_of(visits), time_term="C(visit)")
    mine = peers.ours(visits, seed=peers.SEED)
    assert theirs.claim
    assert mine.claim
    assert theirs.low < 40 < theirs.high
    assert mine.low < 40 < mine.high
    assert not theirs.failed


def test_the_threshold_is_one_of_the_knots(peers: ModuleType) -> None:
    """And a clinic of N4 in which no hinge is better than the line is no claim."""
    (_, visits) = next(peers.clinics("N4", 1, 60, 3))
    data = peers.table_of(visits)
    answer = peers.hinge_by_aic(data, time_term="visit", knots=3)
    grid = np.quantile(data.dose[data.dose > 0], [0.1, 0.5, 0.9])
    assert answer.estimate in grid
    assert not answer.claim


def test_a_failure_is_counted_and_claims_nothing(peers: ModuleType) -> None:
    def broken() -> None:
        raise np.linalg.LinAlgError("Singular matrix")

    answer = peers.timed(broken)
    assert (answer.claim, answer.failed) == (False, True)
    assert answer.seconds >= 0.0


def test_ours_seldom_claims_what_is_not_there(published: list[dict[str, str]]) -> None:
    """The published table: in the worlds without a threshold ours claims one in at most 5% of clinics."""
    ours = {row["world"]: float(row["claims"]) for row in published if row["method"] == "tpr_outcomes"}
    assert set(ours) == {"N4", "N7", "A-lin", "A-thr40"}
    assert max(ours["N4"], ours["N7"], ours["A-lin"]) <= 5.0


def test_the_page_shows_the_table(published: list[dict[str, str]]) -> None:
    page = (ROOT / "docs" / "methods" / "peers.md").read_text(encoding="utf-8")
    for row in published:
        assert f"| {row['method']} | {row['clinics']} | {row['claims']} ({row['claims_mcse']}) |" in page
        assert all(row[name] != "" for name in ("failed", "claims_mcse", "cpu_ratio"))
