"""A small seeded slice of docs/methods/regions.csv."""

from __future__ import annotations

import runpy
from pathlib import Path

import pandas as pd
import pytest

REPLICATES = 300
MONTE_CARLO = (0.05 * 0.95 / REPLICATES) ** 0.5

pytestmark = pytest.mark.simulation


@pytest.fixture(scope="module")
def table(root: Path) -> pd.DataFrame:
    study = runpy.run_path(str(root / "tools" / "regions_study.py"))
    return study["study"]([(4, 0.0), (6, 0.3)], replicates=REPLICATES, seed=82).set_index("regions")  # type: ignore[no-any-return]


@pytest.mark.parametrize("regions", [4, 6])
@pytest.mark.parametrize("what", ["mean_covers", "shrunken_covers", "best_shrunken_covers"])
def test_intervals_cover(table: pd.DataFrame, regions: int, what: str) -> None:
    assert table.loc[regions, what] >= 0.95 - 3 * MONTE_CARLO


def test_the_best_by_its_own_estimate_is_best_partly_by_luck(table: pd.DataFrame) -> None:
    assert table.loc[4, "best_own_bias"] < -0.3
    assert abs(table.loc[4, "best_shrunken_bias"]) < 0.5 * abs(table.loc[4, "best_own_bias"])
    assert (table["shrunken_square"] < table["own_square"]).all()
