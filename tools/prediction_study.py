"""Does the interval for a rating hold what it says? Writes docs/methods/prediction.csv.

    PYTHONPATH=src python tools/prediction_study.py --replicates 100 --seed 20261125

Each simulated clinic is cut in two: the model is fitted to the first patients, and those of the rest are
strangers to it. Of half the first patients every rating after some visit is hidden from the model; the
visit is the same for all of a clinic (2 to 5), whatever their ratings. Then it predicts

* the first hidden rating of patients it has seen, from all their earlier ratings,
* every rating of strangers, from all their earlier ratings,
* every later rating of strangers, from the first rating alone.

The *last* rating of each patient would be the wrong one to try: patients who are better stop, so that being
the last says something of the rating itself.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from tpr_outcomes.cohort.derive import ratings
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.models.outlook import outlook
from tpr_outcomes.models.working import Working, working_model
from tpr_outcomes.planning.simulate import simulate
from tpr_outcomes.planning.workers import run_in_order
from tpr_outcomes.planning.worlds import WORLDS

CELLS = [
    (world, fitted)
    for world in ("N4", "A-thr40", "irregular+thr40", "therapists", "blanks+thr40", "flare", "scale100")
    for fitted in (60, 150)
]
STRANGERS = 40
LEVELS = (0.5, 0.8, 0.95)
WHO = ("seen, next rating", "unseen, next rating", "unseen, from the first rating")


def replicate(world: str, fitted: int, seed: int, index: int) -> list[dict[str, object]]:
    """Held and tried, for each kind of prediction and level, in one clinic."""
    clinic_seed = int(generator(seed, "prediction study", world, fitted, index).integers(2**62))
    visits = simulate(WORLDS[world], n_patients=fitted + STRANGERS, seed=clinic_seed)
    table = visits.table
    first = visits.with_table(table[table["patient"] < fitted])
    cut = 2 + index % 4
    late = (first.table["patient"] % 2 == 0) & (first.table["visit"] > cut)
    shown = first.with_table(first.table.assign(pain=first.table["pain"].mask(late)))
    working = working_model(ratings(shown), higher_is_worse=visits.scale.higher_is_worse)
    counts: dict[tuple[str, float], list[int]] = {(who, level): [0, 0] for who in WHO for level in LEVELS}
    for p in range(0, fitted, 2):
        seen = rated_visits(first, p)
        before, after = [v for v in seen if v <= cut], [v for v in seen if v > cut]
        if len(before) > 1 and after:
            tally(counts, WHO[0], working, first, p, known=cut, at=after[:1], other=False)
    for p in range(fitted, visits.n_patients):
        seen = rated_visits(visits, p)
        for known, at in pairwise(seen[1:]):
            tally(counts, WHO[1], working, visits, p, known=known, at=[at], other=True)
        if len(seen) > 1:
            tally(counts, WHO[2], working, visits, p, known=seen[0], at=seen[1:], other=True)
    return [
        {"who": who, "level": level, "held": held, "tried": tried}
        for (who, level), (held, tried) in counts.items()
    ]


def rated_visits(visits: Visits, patient: int) -> list[int]:
    """Rated visit numbers of a patient whose first visit is rated; none of others."""
    rows = visits.table[visits.table["patient"] == patient]
    rated = rows.loc[rows["pain"].notna(), "visit"].tolist()
    return rated if rated and rated[0] == rows["visit"].iloc[0] else []


def tally(
    counts: dict[tuple[str, float], list[int]], who: str, working: Working, visits: Visits, patient: int,
    *, known: int, at: list[int], other: bool,
) -> None:  # fmt: skip
    """Count ratings inside their interval; patients whose running total is unknown are passed over."""
    for level in LEVELS:
        try:
            made = outlook(working, visits, patient, known=known, level=level, other=other)
        except FitError:
            return
        wanted = np.isin(made.ahead.at, at)
        pain = dict(zip(made.visit.tolist(), made.pain.tolist(), strict=True))
        truth = np.array([pain[int(v)] for v in made.ahead.at[wanted]])
        inside = (made.ahead.conf_low[wanted] <= truth) & (truth <= made.ahead.conf_high[wanted])
        counts[who, level][0] += int(inside.sum())
        counts[who, level][1] += int(inside.size)


def summarize(lines: pd.DataFrame) -> pd.DataFrame:
    """Coverage over all ratings, with a standard error that takes the clinic as the unit of chance."""
    table = []
    for (who, level), got in lines.groupby(["who", "level"], sort=False):
        coverage = got["held"].sum() / got["tried"].sum()
        off = got["held"] - coverage * got["tried"]
        error = np.sqrt((off**2).sum() * len(got) / (len(got) - 1)) / got["tried"].sum()
        table.append({
            "who": who, "level": level, "clinics": len(got), "ratings": int(got["tried"].sum()),
            "coverage": coverage, "coverage_mcse": error,
        })  # fmt: skip
    return pd.DataFrame(table)


def _task(item: tuple[str, int, int, int]) -> list[dict[str, object]]:
    return replicate(*item)


def study(cells: list[tuple[str, int]], *, replicates: int, seed: int, workers: int = 1) -> pd.DataFrame:
    """Run all cells."""
    tables = []
    for world, fitted in cells:
        items = [(world, fitted, seed, index) for index in range(replicates)]
        lines = [line for many in run_in_order(_task, items, workers=workers) for line in many]
        table = summarize(pd.DataFrame(lines))
        table.insert(0, "world", world)
        table.insert(1, "patients_fitted", fitted)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=100)
    parser.add_argument("--seed", type=int, default=20261125)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("docs/methods/prediction.csv"))
    options = parser.parse_args()
    table = study(CELLS, replicates=options.replicates, seed=options.seed, workers=options.workers)
    table.insert(2, "seed", options.seed)
    table.round(5).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
