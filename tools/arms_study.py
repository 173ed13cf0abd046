"""Coverage of the dose–response meta-analysis in made-up studies: writes docs/methods/published-arms.csv.

    PYTHONPATH=src:. python tools/arms_study.py --replicates 1000 --seed 20261125

Aims, data, estimand, methods and performance stand in docs/methods/published-arms.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from tests.unit.test_dose_response import trials

from tpr_outcomes.inference.dose_response import fit_dose_response

ROOT = Path(__file__).resolve().parent.parent
SLOPE = -0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "methods" / "published-arms.csv")
    options = parser.parse_args()
    rows = []
    for studies in (3, 5, 10, 20):
        for tau in (0.0, 0.05, 0.10):
            found = [
                fit_dose_response(trials(options.seed * 10_000 + i, studies=studies, tau=tau))
                for i in range(options.replicates)
            ]
            held = np.array([f.conf_low <= SLOPE <= f.conf_high for f in found])
            rows.append(
                {
                    "studies": studies,
                    "tau": tau,
                    "replicates": options.replicates,
                    "bias": round(float(np.mean([f.estimate for f in found])) - SLOPE, 4),
                    "coverage": round(100 * float(held.mean()), 1),
                    "mcse": round(100 * float(np.sqrt(held.mean() * (1 - held.mean()) / held.size)), 2),
                    "mean_width": round(float(np.mean([f.conf_high - f.conf_low for f in found])), 3),
                    "mean_tau": round(float(np.mean([f.tau for f in found])), 3),
                }
            )
            print(rows[-1], flush=True)
    pd.DataFrame(rows).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
