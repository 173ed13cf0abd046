"""A small seeded slice of docs/methods/carryover.csv."""

from __future__ import annotations

import runpy
from pathlib import Path

import pandas as pd
import pytest

REPLICATES = 12
MONTE_CARLO = (0.05 * 0.95 / REPLICATES) ** 0.5

pytestmark = pytest.mark.simulation


@pytest.fixture(scope="module")
def table(root: Path) -> pd.DataFrame:
    study = runpy.run_path(str(root / "tools" / "carryover_study.py"))
    cells = [(0.0, -0.12, 150), (0.8, -0.05, 150), (0.5, 0.0, 150)]
    return study["study"](cells, replicates=REPLICATES, seed=80).set_index(["true_rate", "slope"])  # type: ignore[no-any-return]


@pytest.mark.parametrize("cell", [(0.0, -0.12), (0.8, -0.05)])
def test_interval_of_the_carry_over_covers(table: pd.DataFrame, cell: tuple[float, float]) -> None:
    assert table.loc[cell, "covers"] >= 0.95 - 3 * MONTE_CARLO
    assert table.loc[cell, "identifiable"] > 0.8


def test_no_half_life_is_named_where_twitches_do_nothing(table: pd.DataFrame) -> None:
    assert table.loc[(0.5, 0.0), "identifiable"] <= 3 * MONTE_CARLO
