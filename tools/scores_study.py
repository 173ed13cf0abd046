"""Coverage of the shares past a cut-point and of the mean change of a score: writes docs/methods/scores.csv.

    PYTHONPATH=src python tools/scores_study.py --replicates 200 --seed 20261125

Aims, data, estimands, methods and performance (ADEMP) stand in docs/methods/important-differences.md.
Shares are summed over the binomial distribution, so they carry no Monte Carlo error; changes are simulated.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from tpr_outcomes.inference.clustered import wilson
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.inference.scores import score_changes

SIZES = (10, 20, 60, 150)
SHARES = np.linspace(0.1, 0.9, 161)
LARGE = 400_000
"""Patients whose mean change is the truth."""


def of_shares(n: int) -> dict[str, object]:
    """Exact coverage of the interval of a share, over shares of a tenth to nine tenths."""
    ends = [wilson(k / n, math.sqrt(k / n * (1 - k / n) / (n - 1)), n_patients=n) for k in range(n + 1)]
    low, high = (np.array(side)[:, None] for side in zip(*ends, strict=True))
    inside = (low <= SHARES) & (high >= SHARES)
    coverage = (stats.binom.pmf(np.arange(n + 1)[:, None], n, SHARES) * inside).sum(axis=0)
    return {"what": "share", "patients": n, "coverage": coverage.mean(), "lowest": coverage.min()}


def scores(n: int, seed: int, *parts: object) -> tuple[np.ndarray, np.ndarray]:
    """First and last scores, 0 to 100, whole and with a floor: many changes end at 0, so they are skewed."""
    rng = generator(seed, "scores", *parts)
    first = np.clip(np.round(rng.normal(35.0, 15.0, n)), 0, 100)
    last = np.clip(np.round(0.5 * first + rng.gamma(0.8, 15.0, n) - 10.0), 0, 100)
    return first, last


def of_changes(n: int, replicates: int, seed: int) -> dict[str, object]:
    """Simulated coverage of the mean change."""
    first, last = scores(LARGE, seed, "truth")
    truth = float((last - first).mean())
    hits = 0
    for i in range(replicates):
        first, last = scores(n, seed, n, i)
        who = np.tile(np.arange(n), 2)
        table = pd.DataFrame(
            {"patient": who, "visit": np.repeat([1, 2], n), "instrument": "ndi", "score": np.r_[first, last]}
        )
        (found,) = score_changes(table)
        hits += found.change.conf_low <= truth <= found.change.conf_high
    share = hits / replicates
    error = math.sqrt(share * (1 - share) / replicates)
    return {"what": "change", "patients": n, "coverage": share, "mcse": error, "replicates": replicates}


def main() -> None:
    """Run the study and write its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--seed", type=int, default=20261125)
    parser.add_argument("--out", type=Path, default=Path("docs/methods/scores.csv"))
    asked = parser.parse_args()
    rows = [of_shares(n) for n in SIZES]
    rows += [of_changes(n, asked.replicates, asked.seed) for n in SIZES]
    made = pd.DataFrame(rows).round(4)
    made.insert(0, "seed", asked.seed)
    made.to_csv(asked.out, index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
