"""A small seeded slice of docs/methods/comparing-clinics.csv."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

REPLICATES = 300
MONTE_CARLO = (0.05 * 0.95 / REPLICATES) ** 0.5

pytestmark = pytest.mark.simulation


@pytest.fixture(scope="module")
def study(root: Path) -> dict[str, Any]:
    return runpy.run_path(str(root / "tools" / "compare_study.py"))


def test_differences_of_shares_cover(study: dict[str, Any]) -> None:
    for line in study["shares"](study["SHARES"], replicates=REPLICATES, seed=83):
        assert line["covers"] >= 0.95 - 3 * MONTE_CARLO


def test_differences_of_printed_thresholds_cover(study: dict[str, Any]) -> None:
    # the pairs are those of the page: nothing is simulated anew
    for line in study["thresholds"](study["THRESHOLDS"], seed=20261125):
        assert line["covers"] >= 0.95 - 3 * (0.05 * 0.95 / line["trials"]) ** 0.5, line["cell"]


def test_flags_are_as_rare_as_they_say_and_fewer_than_by_the_published_rule(study: dict[str, Any]) -> None:
    noise, spread = study["funnels"]([(20, 0.0, 0.0), (20, 0.01, 0.0)], replicates=REPLICATES, seed=83)
    clinics = 20 * REPLICATES
    # clinics of one set share a target and a spread, so the error is at most doubled
    for line, most_95, most_998 in ((noise, 0.05, 0.002), (spread, 0.06, 0.005)):
        assert line["false_95"] <= most_95 + 6 * (most_95 * (1 - most_95) / clinics) ** 0.5
        assert line["false_998"] <= most_998 + 6 * (most_998 * (1 - most_998) / clinics) ** 0.5
    assert spread["published_95"] > 1.4 * spread["false_95"]
    assert spread["published_998"] > 2.0 * spread["false_998"]
    for line in noise, spread:
        pooled = REPLICATES // study["POOLED"]
        error = (0.05 * 0.95 / pooled) ** 0.5
        assert line["mean_covers"] >= 0.95 - 3 * error
        assert line["tau_covers"] >= 0.95 - 3 * error
        assert line["pulled_covers"] >= 0.95 - 3 * error
