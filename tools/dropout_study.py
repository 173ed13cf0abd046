"""Bias and coverage of the imputed mean change: writes docs/methods/dropout.csv.

    PYTHONPATH=src python tools/dropout_study.py --replicates 500 --seed 20261123

The truth is the mean change at the last planned visit of a very large clinic in which nobody stops.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from tpr_outcomes.inference.dropout import analyse
from tpr_outcomes.inference.imputation import impute, panel
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.planning.simulate import Truth, get_world, simulate
from tpr_outcomes.planning.workers import run_in_order

LAST = 5
CELLS = [(world, n) for world in ("N4", "N4mnar", "blanks") for n in (60, 150)]
IMPUTATIONS = 20


def world_of(name: str, *, stops: bool) -> Truth:
    """The world, cut to as many visits as are planned; without stopping for the truth."""
    truth = replace(get_world(name), visits=LAST + 1)
    return truth if stops else replace(truth, stopping="none", pain_blank=0.0)


@cache
def truth_of(name: str) -> float:
    """Mean change with nobody stopping, to about 0.004 points."""
    pain = panel(simulate(world_of(name, stops=False), n_patients=200_000, seed=1)).pain
    return float(np.nanmean(pain[:, LAST] - pain[:, 0]))


def replicate(name: str, n_patients: int, seed: int, index: int) -> list[dict[str, object]]:
    """Observed cases, last rating carried forward, and imputation on one simulated clinic."""
    clinic_seed = int(generator(seed, "dropout study", name, n_patients, index).integers(2**62))
    data = panel(
        simulate(world_of(name, stops=True), n_patients=n_patients, seed=clinic_seed), last_visit=LAST
    )
    lines: list[dict[str, object]] = []

    def add(method: str, change: np.ndarray) -> None:
        error = change.std(ddof=1) / np.sqrt(change.size)
        lines.append({
            "method": method, "estimate": change.mean(), "std_error": error,
            "conf_low": change.mean() - 1.96 * error, "conf_high": change.mean() + 1.96 * error,
        })  # fmt: skip

    seen = ~np.isnan(data.pain[:, LAST])
    add("those seen last", (data.pain[:, LAST] - data.pain[:, 0])[seen])
    carried = pd.DataFrame(data.pain).ffill(axis=1).to_numpy()
    add("carried forward", carried[:, LAST] - carried[:, 0])
    found = analyse(impute(data, imputations=IMPUTATIONS, seed=clinic_seed))
    names = ("estimate", "std_error", "conf_low", "conf_high")
    lines.append({"method": "imputed"} | {name: getattr(found, name) for name in names})
    return lines


def summarize(lines: pd.DataFrame, truth: float) -> pd.DataFrame:
    """Performance with Monte Carlo standard errors, one row per method."""
    table = []
    for method, got in lines.groupby("method", sort=False):
        r, spread = len(got), got["estimate"].std()
        coverage = ((got["conf_low"] <= truth) & (truth <= got["conf_high"])).mean()
        table.append({
            "method": method, "replicates": r, "truth": truth, "bias": got["estimate"].mean() - truth,
            "bias_mcse": spread / np.sqrt(r), "empirical_sd": spread,
            "mean_std_error": got["std_error"].mean(),
            "coverage": coverage, "coverage_mcse": np.sqrt(coverage * (1 - coverage) / r),
        })  # fmt: skip
    return pd.DataFrame(table)


def _task(item: tuple[str, int, int, int]) -> list[dict[str, object]]:
    return replicate(*item)


def study(cells: list[tuple[str, int]], *, replicates: int, seed: int, workers: int = 1) -> pd.DataFrame:
    """Run all cells."""
    tables = []
    for name, n in cells:
        items = [(name, n, seed, index) for index in range(replicates)]
        lines = [line for many in run_in_order(_task, items, workers=workers) for line in many]
        table = summarize(pd.DataFrame(lines), truth_of(name))
        table.insert(0, "world", name)
        table.insert(1, "n_patients", n)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=500)
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("docs/methods/dropout.csv"))
    options = parser.parse_args()
    table = study(CELLS, replicates=options.replicates, seed=options.seed, workers=options.workers)
    table.insert(2, "seed", options.seed)
    table.round(5).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
