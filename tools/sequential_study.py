"""Size, bias and coverage of the history-adjusted dose effect: writes docs/methods/sequential.csv.

    PYTHONPATH=src python tools/sequential_study.py --replicates 500 --seed 20261123

Aims, worlds, estimands, methods and performance measures (ADEMP) stand in docs/methods/sequential.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.estimating import weighted_regression
from tpr_outcomes.inference.history import History, history, visit_columns
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.inference.sequential import DoseEffect, fit_msm, fit_snmm
from tpr_outcomes.planning.simulate import get_world, simulate
from tpr_outcomes.planning.workers import run_in_order

CELLS = [
    *[(world, n, 0.0) for world in ("N3", "N4", "N6", "A-lin") for n in (60, 150, 400)],
    *[(world, 150, 0.0) for world in ("N4mnar", "N5s", "N5neg", "N7", "N8", "A-emax", "blanks")],
    ("N4", 150, 40.0),
    ("A-thr40", 150, 40.0),
    ("A-thr40", 400, 40.0),
]
"""World, patients, and the cumulative dose before which no effect is assumed."""


def plain(rows: History, *, knot: float) -> DoseEffect:
    """Regression on cumulative dose, visit and first rating, no weights: what the methods must beat."""
    from tpr_outcomes.inference.sequential import _inference

    seen = ~np.isnan(rows.outcome)
    time = rows.t[seen] + 1.0
    baseline = (rows.baseline - rows.baseline.mean())[seen]
    x = np.column_stack([
        np.maximum(rows.through - knot, 0.0)[seen], visit_columns(rows.t[seen]),
        baseline, baseline * time, baseline * np.log1p(time),
    ])  # fmt: skip
    theta, influence = weighted_regression(
        rows.outcome[seen], x, np.ones(int(seen.sum())), rows.patient[seen], small_sample=True
    )
    return DoseEffect(**_inference(theta[0], influence[:, 0], knot=knot, level=0.95, n_rows=int(seen.sum())))


METHODS: dict[str, Callable[..., DoseEffect]] = {
    "unadjusted": plain,
    "snmm, 1 lag": lambda rows, knot: fit_snmm(rows, knot=knot),
    "snmm, all lags": lambda rows, knot: fit_snmm(rows, knot=knot, lags=None),
    "msm": lambda rows, knot: fit_msm(rows, knot=knot),
}


def truth_of(world: str, knot: float) -> float:
    """Slope per twitch the methods should find; NaN where the world has no one slope."""
    truth = get_world(world)
    if not truth.twitches_work:
        return 0.0
    matches = (truth.response == "linear" and knot == 0) or (
        truth.response == "hinge" and knot == truth.threshold
    )
    return truth.slope if matches else float("nan")


def replicate(world: str, n_patients: int, knot: float, seed: int, index: int) -> list[dict[str, object]]:
    """Every method on one simulated clinic."""
    clinic_seed = int(generator(seed, "sequential study", world, n_patients, index).integers(2**62))
    lines: list[dict[str, object]] = []
    rows = history(simulate(world, n_patients=n_patients, seed=clinic_seed))
    for method, fit in METHODS.items():
        line: dict[str, object] = {"method": method, "estimate": np.nan, "std_error": np.nan}
        try:
            found = fit(rows, knot=knot)
            line |= {
                name: getattr(found, name) for name in ("estimate", "std_error", "conf_low", "conf_high")
            }
        except FitError:
            pass
        lines.append(line)
    return lines


def summarize(lines: pd.DataFrame, truth: float) -> pd.DataFrame:
    """Performance with Monte Carlo standard errors, one row per method."""
    table = []
    for method, got in lines.groupby("method", sort=False):
        done = got.dropna()
        r = len(done)
        relief = done["conf_high"] < 0
        harm = done["conf_low"] > 0
        covers = (done["conf_low"] <= truth) & (truth <= done["conf_high"])
        spread = done["estimate"].std()
        row = {
            "method": method,
            "replicates": r,
            "not_fitted": len(got) - r,
            "truth": truth,
            "mean_estimate": done["estimate"].mean(),
            "bias": done["estimate"].mean() - truth,
            "bias_mcse": spread / np.sqrt(r),
            "empirical_sd": spread,
            "mean_std_error": done["std_error"].mean(),
            "coverage": covers.mean() if np.isfinite(truth) else np.nan,
            "relief_rate": relief.mean(),
            "harm_rate": harm.mean(),
        }
        for rate in ("coverage", "relief_rate", "harm_rate"):
            row[f"{rate}_mcse"] = np.sqrt(row[rate] * (1 - row[rate]) / r)
        table.append(row)
    return pd.DataFrame(table)


def _task(item: tuple[str, int, float, int, int]) -> list[dict[str, object]]:
    return replicate(*item)


def study(
    cells: list[tuple[str, int, float]], *, replicates: int, seed: int, workers: int = 1
) -> pd.DataFrame:
    """Run all cells."""
    tables = []
    for world, n, knot in cells:
        items = [(world, n, knot, seed, index) for index in range(replicates)]
        lines = [line for many in run_in_order(_task, items, workers=workers) for line in many]
        table = summarize(pd.DataFrame(lines), truth_of(world, knot))
        table.insert(0, "world", world)
        table.insert(1, "n_patients", n)
        table.insert(2, "knot", knot)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=500)
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("docs/methods/sequential.csv"))
    options = parser.parse_args()
    table = study(CELLS, replicates=options.replicates, seed=options.seed, workers=options.workers)
    table.insert(3, "seed", options.seed)
    table.round(5).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
