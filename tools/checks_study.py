"""False alarms and power of the checks beside the verdict, in known worlds.

    PYTHONPATH=src python tools/checks_study.py --replicates 200 --seed 20261125

Writes docs/methods/checks.csv: per world the percentage of clinics in which each check speaks, with its
Monte Carlo standard error. Aims, worlds, estimands, methods and performance stand in docs/methods/checks.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from tpr_outcomes.cohort.derive import ratings
from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.comparison import comparison_dose
from tpr_outcomes.inference.falsify import MUNDLAK_LEVEL, lead_check, mundlak_check, timing_check
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.inference.sensitivity import TIMING_REPLICATES
from tpr_outcomes.models.working import working_model
from tpr_outcomes.planning.simulate import simulate

ROOT = Path(__file__).resolve().parent.parent
WORLDS = (
    *("N4", "N5s", "N5neg", "N7", "N9", "A-lin", "A-thr30", "A-thr40"),
    *("insertions", "ins-lin", "insertions+thr40"),
)
LEVEL = 0.05


def speak(world: str, n_patients: int, seed: int) -> dict[str, float]:
    """What each check says of one clinic: 1 it speaks, 0 it does not, nan it could not be done."""
    visits = simulate(world, n_patients=n_patients, seed=seed)
    working = working_model(ratings(visits))
    lead = lead_check(working)
    mundlak = mundlak_check(working, replicates=399, seed=seed)
    timing = timing_check(working, replicates=TIMING_REPLICATES, seed=seed)
    said = {
        "lead_alarm": np.nan if lead.passed is None else float(not lead.passed),
        "mundlak_survives": np.nan if mundlak.passed is None else float(mundlak.passed),
        "timing_shows": np.nan if timing.p_value is None else float(timing.p_value < MUNDLAK_LEVEL),
    }
    try:
        found = comparison_dose(visits, working)
    except FitError:
        said |= {"comparison_differs": np.nan, "comparison_favours_twitches": np.nan}
    else:
        differs = found.p_value < LEVEL
        said |= {"comparison_differs": float(differs)}
        said |= {"comparison_favours_twitches": float(differs and found.difference < 0)}
    return said


def study(replicates: int, n_patients: int, seed: int) -> pd.DataFrame:
    """One row per world."""
    rows = []
    for world in WORLDS:
        said = pd.DataFrame([
            speak(world, n_patients, int(generator(seed, "checks", world, i).integers(2**48)))
            for i in range(replicates)
        ])  # fmt: skip
        row: dict[str, object] = {"world": world, "patients": n_patients, "clinics": replicates}
        for name in said:
            known = said[name].dropna()
            share = float(known.mean()) if len(known) else np.nan
            row[name] = round(100 * share, 1)
            row[f"{name}_mcse"] = round(100 * np.sqrt(share * (1 - share) / max(len(known), 1)), 2)
        rows.append(row)
        print(row, flush=True)
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--patients", type=int, default=150)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "methods" / "checks.csv")
    options = parser.parse_args()
    study(options.replicates, options.patients, options.seed).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
