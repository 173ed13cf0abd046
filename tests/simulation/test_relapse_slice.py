"""A small seeded slice of docs/methods/relapse.csv."""

from __future__ import annotations

import runpy
from pathlib import Path

import pandas as pd
import pytest

REPLICATES = 40
MONTE_CARLO = (0.05 * 0.95 / REPLICATES) ** 0.5

pytestmark = pytest.mark.simulation


@pytest.fixture(scope="module")
def table(root: Path) -> pd.DataFrame:
    study = runpy.run_path(str(root / "tools" / "relapse_study.py"))
    cells = [("events", 40, 1.0), ("tune-ups", 150, 0.0)]
    return study["study"](cells, replicates=REPLICATES, seed=81).set_index("term")  # type: ignore[no-any-return]


@pytest.mark.parametrize("term", ["mean by week 12", "rate ratio (robust)", "excess", "excess_regression"])
def test_intervals_cover(table: pd.DataFrame, term: str) -> None:
    assert table.loc[term, "coverage"] >= 0.95 - 3 * MONTE_CARLO


def test_the_fall_of_a_needled_flare_is_all_regression(table: pd.DataFrame) -> None:
    assert table.loc["fall_tuned", "median"] > 1.5
    assert abs(table.loc["excess", "median"]) < 0.3
