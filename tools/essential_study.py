"""Size, power and coverage of the comparison of visits without a twitch: writes docs/methods/essential.csv.

    PYTHONPATH=src python tools/essential_study.py --replicates 500 --seed 20261125

Invented clinics. A patient's pain falls over six visits by itself; insertions rise with the recorded pain;
whether a twitch comes depends on insertions, recorded pain and the patient. ``next``: any twitch lowers the
next rating. ``lasting``: any twitch at visits 1 and 2 lowers all later ratings. ``tissue``: patients who
twitch more recover faster, and twitches do nothing: what no record can exclude.
"""

from __future__ import annotations

import argparse
import platform
from pathlib import Path

import numpy as np
import pandas as pd

from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.inference.essential import Essential, analyse_essential
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.planning.workers import run_in_order

VISITS = 6
MARGIN = 1.3
CELLS = [
    ("none", n, 0.0) for n in (60, 150, 400)
] + [
    ("next", 150, -1.0), ("next", 150, -MARGIN), ("next", 400, -1.0), ("lasting", 150, -1.0),
    ("tissue", 150, 0.0),
]  # fmt: skip


def clinic(world: str, n: int, effect: float, seed: int, index: int) -> Visits:
    """One simulated clinic; patients stop when better, and otherwise one time in twenty."""
    rng = generator(seed, "essential study", world, n, effect, index)
    start, shape = rng.normal(6, 1.2, n), rng.normal(0, 1, n)
    speed = np.exp(rng.normal(0, 0.4, n) + (0.4 * shape if world == "tissue" else 0.0)) / 6
    wobble = rng.normal(0, 0.7, n)
    lowered = np.zeros(n)
    here = np.ones(n, dtype=bool)
    rows = []
    for v in range(VISITS):
        wobble = 0.5 * wobble + rng.normal(0, 0.7 * np.sqrt(0.75), n)
        latent = start * (0.5 + 0.5 * np.exp(-speed * v)) + wobble + lowered
        pain = np.round(latent + rng.normal(0, 0.8, n))
        if v == 0:
            first = pain
        insertions = 1 + rng.poisson(np.exp(1.2 + 0.1 * (pain - 5)))
        chance = 1 / (1 + np.exp(-(-0.2 + 0.3 * insertions + 0.15 * (pain - 5) + 0.5 * shape)))
        twitches = np.where(rng.random(n) < chance, 1 + rng.poisson(0.8 * insertions), 0)
        rows += [
            (i, v + 1, np.clip(pain[i], 0, 10), float(twitches[i]), float(insertions[i]))
            for i in np.flatnonzero(here)
        ]
        came = twitches > 0
        if world == "lasting":
            lowered = np.minimum(lowered, np.where(came & (v < 2), effect, 0.0))
        elif world == "next":
            lowered = np.where(came, effect, 0.0)
        better = (pain <= 0.4 * first) & (rng.random(n) < 0.5)
        here &= ~better & (rng.random(n) > 0.05)
    table = pd.DataFrame(rows, columns=["patient", "visit", "pain", "twitches", "insertions"])
    table = table.sort_values(["patient", "visit"])
    return Visits.from_arrays(**{name: table[name].to_numpy() for name in table}, kind="simulated")  # type: ignore[arg-type]


def totals_test(visits: Visits) -> float:
    """P-value of what is refused: total twitches of those who ended 30% better, and of the others."""
    from scipy import stats

    table = visits.table
    groups = table.groupby("patient")
    total = groups["twitches"].sum()
    better = groups["pain"].last() <= 0.7 * groups["pain"].first()
    return float(stats.ttest_ind(total[better], total[~better], equal_var=False).pvalue)


TERMS = (
    "next_any",
    "next_per_twitch",
    "landmark_next_any",
    "landmark_later_any",
    "landmark_later_per_twitch",
)


def replicate(item: tuple[str, int, float, int, int]) -> dict[str, float]:
    """What one clinic gave."""
    world, n, effect, seed, index = item
    visits = clinic(world, n, effect, seed, index)
    found: Essential = analyse_essential(visits)
    line: dict[str, float] = {"totals_p": totals_test(visits)}
    for term in TERMS:
        row = found.get(term)
        line |= {
            f"{term}_{name}": getattr(row, name)
            for name in ("estimate", "std_error", "conf_low", "conf_high", "p_value")
        }
    line["equivalent"] = float(found.equivalence[0].equivalent) if found.equivalence else np.nan
    return line


def summarize(lines: pd.DataFrame, world: str, effect: float) -> pd.DataFrame:
    """One row per term; coverage only where the truth of the term is the effect put in, or none."""
    rows = []
    for term in TERMS:
        made = lines[f"{term}_estimate"].notna()
        got = lines[made]
        known = (effect == 0 and world != "tissue") or (term == "next_any" and world == "next")
        low, high = got[f"{term}_conf_low"], got[f"{term}_conf_high"]
        rows.append({
            "term": term, "estimated": made.mean(), "mean": got[f"{term}_estimate"].mean(),
            "empirical_sd": got[f"{term}_estimate"].std(), "mean_std_error": got[f"{term}_std_error"].mean(),
            "p_below_05": (got[f"{term}_p_value"] < 0.05).mean(),
            "coverage": ((low <= effect) & (effect <= high)).mean() if known else np.nan,
            "mcse": np.sqrt(0.05 * 0.95 / max(len(got), 1)),
        })  # fmt: skip
    rows.append({"term": "equivalent within 1.3", "estimated": lines["equivalent"].notna().mean(),
                 "p_below_05": lines["equivalent"].mean()})  # fmt: skip
    rows.append({"term": "refused: totals of the course", "estimated": 1.0,
                 "p_below_05": (lines["totals_p"] < 0.05).mean()})  # fmt: skip
    return pd.DataFrame(rows)


def study(
    cells: list[tuple[str, int, float]], *, replicates: int, seed: int, workers: int = 1
) -> pd.DataFrame:
    """Run all cells."""
    tables = []
    for world, n, effect in cells:
        items = [(world, n, effect, seed, index) for index in range(replicates)]
        lines = pd.DataFrame(run_in_order(replicate, items, workers=workers))
        table = summarize(lines, world, effect)
        for place, (name, value) in enumerate(
            {
                "world": world,
                "n_patients": n,
                "effect": effect,
                "seed": seed,
                "replicates": replicates,
            }.items()
        ):
            table.insert(place, name, value)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=500)
    parser.add_argument("--seed", type=int, default=20261125)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("docs/methods/essential.csv"))
    options = parser.parse_args()
    table = study(CELLS, replicates=options.replicates, seed=options.seed, workers=options.workers)
    table["versions"] = f"python {platform.python_version()}, numpy {np.__version__}"
    table.round(4).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
