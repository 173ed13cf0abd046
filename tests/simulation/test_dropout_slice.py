"""A small seeded slice of docs/methods/dropout.csv: Rubin intervals where patients stop when better."""

from __future__ import annotations

import runpy
from pathlib import Path

import pandas as pd
import pytest

REPLICATES = 60

pytestmark = pytest.mark.simulation


@pytest.fixture(scope="module")
def table(root: Path) -> pd.DataFrame:
    study = runpy.run_path(str(root / "tools" / "dropout_study.py"))
    found: pd.DataFrame = study["study"]([("N4", 100)], replicates=REPLICATES, seed=78)
    return found.set_index("method")


def test_imputed_intervals_cover_where_stopping_hangs_on_recorded_pain(table: pd.DataFrame) -> None:
    row = table.loc["imputed"]
    assert row["coverage"] > 0.95 - 4 * (0.95 * 0.05 / REPLICATES) ** 0.5
    assert abs(row["bias"]) < 4 * row["bias_mcse"]
    assert row["mean_std_error"] == pytest.approx(row["empirical_sd"], rel=0.4)


def test_those_seen_last_are_the_ones_who_did_not_get_better(table: pd.DataFrame) -> None:
    assert table.loc["those seen last", "bias"] > 0.5
