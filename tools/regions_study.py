"""Coverage of shrunken regions, and how often the best one is luck: writes docs/methods/regions.csv.

    PYTHONPATH=src python tools/regions_study.py --replicates 4000 --seed 20261125

Invented numbers: k regions with true reliefs normal around -1 with standard deviation ``tau``, each estimated
with an error between .3 and .9. ``best``: the region with the most relief by its own estimate.
"""

from __future__ import annotations

import argparse
import platform
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from tpr_outcomes.inference.resample import generator
from tpr_outcomes.inference.shrinkage import partial_pool
from tpr_outcomes.planning.workers import run_in_order

CELLS = [(k, tau) for k in (3, 4, 6, 9) for tau in (0.0, 0.3, 0.8)]


def replicate(item: tuple[int, float, int, int]) -> dict[str, float]:
    """What one set of regions gave."""
    k, tau, seed, index = item
    rng = generator(seed, "regions study", k, tau, index)
    truth, error = rng.normal(-1.0, tau, k), rng.uniform(0.3, 0.9, k)
    own = rng.normal(truth, error)
    found = partial_pool(own, error)
    best = int(own.argmin())
    reach = stats.norm.ppf(0.975) * error
    return {
        "mean_covers": float(found.mean_low <= -1.0 <= found.mean_high),
        "shrunken_covers": float(((found.conf_low <= truth) & (truth <= found.conf_high)).mean()),
        "own_covers": float((np.abs(own - truth) <= reach).mean()),
        "best_shrunken_covers": float(found.conf_low[best] <= truth[best] <= found.conf_high[best]),
        "best_own_covers": float(abs(own[best] - truth[best]) <= reach[best]),
        "best_shrunken_bias": float(found.shrunken[best] - truth[best]),
        "best_own_bias": float(own[best] - truth[best]),
        "shrunken_square": float(((found.shrunken - truth) ** 2).mean()),
        "own_square": float(((own - truth) ** 2).mean()),
        "differ_below_05": float(found.p_value < 0.05),
    }


def study(cells: list[tuple[int, float]], *, replicates: int, seed: int, workers: int = 1) -> pd.DataFrame:
    """Run all cells."""
    table = []
    for k, tau in cells:
        items = [(k, tau, seed, index) for index in range(replicates)]
        lines = pd.DataFrame(run_in_order(replicate, items, workers=workers))
        known = {"regions": k, "tau": tau, "seed": seed, "replicates": replicates}
        table.append(known | lines.mean().to_dict() | {"mcse": np.sqrt(0.05 * 0.95 / replicates)})
    return pd.DataFrame(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=20261125)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("docs/methods/regions.csv"))
    options = parser.parse_args()
    table = study(CELLS, replicates=options.replicates, seed=options.seed, workers=options.workers)
    table["versions"] = f"python {platform.python_version()}, numpy {np.__version__}"
    table.round(4).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
