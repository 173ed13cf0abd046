"""Coverage of the carry-over interval, and how often it is not identifiable: docs/methods/carryover.csv.

    PYTHONPATH=src python tools/carryover_study.py --replicates 300 --seed 20261125

Invented clinics: ten weekly visits, pain falls by itself, more twitches where recorded pain is higher,
patients stop when better. A twitch k visits back lowers pain by ``slope * rate ** (k - 1)``.
"""

from __future__ import annotations

import argparse
import platform
from pathlib import Path

import numpy as np
import pandas as pd

from tpr_outcomes.cohort.derive import ratings
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.inference.carryover import analyse_carryover
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.models.working import working_model
from tpr_outcomes.planning.workers import run_in_order

VISITS = 10
TRUTHS = ((0.0, -0.12), (0.4, -0.08), (0.8, -0.05), (1.0, -0.03))
CELLS = [(rate, slope, 150) for rate, slope in TRUTHS] + [(0.5, 0.0, 150), (0.5, 0.0, 400), (0.8, -0.02, 150)]


def clinic(rate: float, slope: float, n: int, seed: int, index: int, *, stops: bool = True) -> Visits:
    """One simulated clinic; insertions are recorded and do nothing of their own."""
    rng = generator(seed, "carry-over study", rate, slope, n, index)
    start, speed = rng.normal(6, 1.3, n), np.exp(rng.normal(0, 0.4, n)) / 6
    twitchy, wobble, carried = rng.normal(0, 0.4, n), rng.normal(0, 0.7, n), np.zeros(n)
    here, first = np.ones(n, dtype=bool), np.zeros(n)
    rows = []
    for v in range(VISITS):
        wobble = 0.5 * wobble + rng.normal(0, 0.7 * np.sqrt(0.75), n)
        latent = start * (0.5 + 0.5 * np.exp(-speed * v)) + wobble + slope * carried
        pain = np.clip(np.round(latent + rng.normal(0, 0.9, n)), 0, 10)
        first = pain if v == 0 else first
        insertions = 1.0 + rng.poisson(np.exp(1.5 + 0.1 * (pain - 5)))
        twitches = rng.poisson(insertions * np.exp(0.4 + twitchy)).astype(float)
        rows += [(i, v + 1, pain[i], twitches[i], insertions[i], float(v)) for i in np.flatnonzero(here)]
        carried = rate * carried + twitches
        here &= ~(stops & (pain <= 0.4 * first) & (rng.random(n) < 0.4)) & (rng.random(n) > 0.03)
    names = ["patient", "visit", "pain", "twitches", "insertions", "weeks"]
    table = pd.DataFrame(rows, columns=names).sort_values(["patient", "visit"])
    return Visits.from_arrays(**{name: table[name].to_numpy() for name in names}, kind="simulated")  # type: ignore[arg-type]


def replicate(item: tuple[float, float, int, int, int]) -> dict[str, float]:
    """What one clinic gave."""
    rate, slope, n, seed, index = item
    visits = clinic(rate, slope, n, seed, index)
    found = analyse_carryover(working_model(ratings(visits)), visits)
    by_name = {rival.name: rival for rival in found.rivals}
    beside = by_name["insertions"]
    truths = {"lag_1": slope, "lag_3": slope * rate**2}
    covers = {
        term: float(found.get(term).conf_low <= truth <= found.get(term).conf_high)
        for term, truth in truths.items()
    }
    return {
        "identifiable": float(found.identifiable),
        "rate": found.profile.estimate,
        "covers": float(found.profile.conf_low <= rate <= found.profile.conf_high),
        "width": found.profile.conf_high - found.profile.conf_low,
        "lag_1_covers": covers["lag_1"],
        "lag_3_covers": covers["lag_3"],
        "earlier_below_05": float(found.get("earlier").p_value < 0.05),
        "insertions_fit_better": float(beside.delta_bic < 0),
        "beyond_insertions": float(abs(beside.dose_slope) > 1.96 * beside.dose_error),
    }


def summarize(lines: pd.DataFrame, slope: float) -> dict[str, float]:
    """Shares, with the interval's coverage over all clinics and over those called identifiable."""
    named = lines[lines["identifiable"] == 1]
    row = {name: float(lines[name].mean()) for name in lines}
    row["covers_if_identifiable"] = float(named["covers"].mean()) if len(named) and slope else np.nan
    row["median_rate_if_identifiable"] = float(named["rate"].median()) if len(named) else np.nan
    if not slope:
        row["covers"] = np.nan
    row["mcse"] = float(np.sqrt(0.05 * 0.95 / len(lines)))
    return row


def study(
    cells: list[tuple[float, float, int]], *, replicates: int, seed: int, workers: int = 1
) -> pd.DataFrame:
    """Run all cells."""
    table = []
    for rate, slope, n in cells:
        items = [(rate, slope, n, seed, index) for index in range(replicates)]
        lines = pd.DataFrame(run_in_order(replicate, items, workers=workers))
        known = {"true_rate": rate, "slope": slope, "n_patients": n, "seed": seed, "replicates": replicates}
        table.append(known | summarize(lines, slope))
    return pd.DataFrame(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=300)
    parser.add_argument("--seed", type=int, default=20261125)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("docs/methods/carryover.csv"))
    options = parser.parse_args()
    table = study(CELLS, replicates=options.replicates, seed=options.seed, workers=options.workers)
    table["versions"] = f"python {platform.python_version()}, numpy {np.__version__}"
    table.round(4).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
