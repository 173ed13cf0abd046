"""A small seeded slice of docs/methods/essential.csv."""

from __future__ import annotations

import runpy
from pathlib import Path

import pandas as pd
import pytest

REPLICATES = 60
MONTE_CARLO = (0.05 * 0.95 / REPLICATES) ** 0.5

pytestmark = pytest.mark.simulation


@pytest.fixture(scope="module")
def table(root: Path) -> pd.DataFrame:
    study = runpy.run_path(str(root / "tools" / "essential_study.py"))
    cells = [("none", 150, 0.0), ("next", 150, -1.0), ("next", 150, -1.3)]
    return study["study"](cells, replicates=REPLICATES, seed=79).set_index(["world", "effect", "term"])  # type: ignore[no-any-return]


@pytest.mark.parametrize("term", ["next_any", "next_per_twitch", "landmark_later_per_twitch"])
def test_size_where_twitches_do_nothing(table: pd.DataFrame, term: str) -> None:
    assert table.loc[("none", 0.0, term), "p_below_05"] <= 0.05 + 3 * MONTE_CARLO


def test_interval_covers_and_is_centred(table: pd.DataFrame) -> None:
    row = table.loc[("next", -1.0, "next_any")]
    assert row["coverage"] >= 0.95 - 3 * MONTE_CARLO
    assert abs(row["mean"] + 1.0) < 4 * row["empirical_sd"] / REPLICATES**0.5
    assert row["p_below_05"] > 0.9


def test_equivalence_is_rarely_claimed_at_the_margin_and_mostly_at_nothing(table: pd.DataFrame) -> None:
    assert table.loc[("next", -1.3, "equivalent within 1.3"), "p_below_05"] <= 0.05 + 3 * MONTE_CARLO
    assert table.loc[("none", 0.0, "equivalent within 1.3"), "p_below_05"] > 0.9
