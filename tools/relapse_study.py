"""Size, power and coverage of what is said of relapses and tune-ups: writes docs/methods/relapse.csv.

    PYTHONPATH=src python tools/relapse_study.py --replicates 400 --seed 20261125

Invented numbers. ``events``: relapses with patients' own rates (gamma, variance .5), a covariate that changes
with time and multiplies the rate by ``effect``. ``course``: clinics whose patients respond, are seen for 20
visits and flare up; needling goes by recorded pain; ``effect`` multiplies the chance of a flare per ten
twitches so far. ``tune-ups``: the same, with flares needled more often the higher they are; ``effect`` is the
fall a needling adds.
"""

from __future__ import annotations

import argparse
import itertools
import platform
from pathlib import Path

import numpy as np
import pandas as pd

from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.recurrent import andersen_gill, mean_cumulative
from tpr_outcomes.inference.relapse import analyse_relapse
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.inference.tuneup import analyse_tuneups
from tpr_outcomes.planning.workers import run_in_order

VISITS, HORIZON = 20, 40.0
CELLS = [
    *(("events", n, effect) for n in (40, 150) for effect in (1.0, 0.6)),
    *(("course", n, effect) for n in (150, 400) for effect in (1.0, 0.7)),
    *(("tune-ups", n, effect) for n in (150, 400) for effect in (0.0, 1.0)),
]


def events(n: int, effect: float, rng: np.random.Generator) -> pd.DataFrame:
    """Risk intervals with gamma frailty; the covariate switches on at a random time."""
    rows = []
    for i in range(n):
        rate, end = rng.gamma(2.0, 0.5) * 0.04, rng.uniform(15, 52)
        switch = rng.uniform(0, 52)
        cuts = [0.0, min(switch, end), end] if switch < end else [0.0, end]
        for k, (begin, stop) in enumerate(itertools.pairwise(cuts)):
            at = begin
            while at < stop:
                following = at + rng.exponential(1 / (rate * (effect if k else 1.0)))
                rows.append((i, at, min(following, stop), following < stop, float(k)))
                at = min(following, stop)
    return pd.DataFrame(rows, columns=["patient", "start", "stop", "event", "x"])


def true_mean(time: float) -> float:
    """Mean number of events by a time where the covariate does nothing."""
    return 0.04 * time


def course(n: int, effect: float, rng: np.random.Generator, *, tune_ups: bool) -> Visits:
    """Patients who improve within a few visits, then flare up at times."""
    start, floor = rng.normal(7, 0.8, n), rng.uniform(1.5, 3.5, n)
    wobble, flare, dose = rng.normal(0, 0.5, n), np.zeros(n), np.zeros(n)
    liable = rng.gamma(2.0, 0.5, n)
    rows = []
    for v in range(VISITS):
        wobble = 0.4 * wobble + rng.normal(0, 0.5, n)
        chance = 0.06 * liable * (1.0 if tune_ups else effect ** (dose / 10))
        fresh = (rng.random(n) < chance) & (v > 3)
        flare = np.where(fresh, rng.uniform(2.0, 5.0, n), 0.5 * flare)
        latent = floor + (start - floor) * np.exp(-v) + wobble + flare
        pain = np.clip(np.round(latent + rng.normal(0, 0.6, n)), 0, 10)
        likely = np.where(v < 3, 1.0, 1 / (1 + np.exp(-(pain - 6)))) if tune_ups else 0.3 + 0.05 * pain
        needled = rng.random(n) < likely
        insertions = np.where(needled, 4.0, 0.0)
        twitches = np.where(needled, rng.poisson(np.exp(0.5 + 0.1 * pain)), 0).astype(float)
        rows += zip(range(n), [v + 1] * n, pain, twitches, insertions, needled, strict=True)
        dose += twitches
        if tune_ups:
            flare = np.where(needled & (v > 3), flare - effect / 0.5, flare)  # half of it is left next time
    names = ["patient", "visit", "pain", "twitches", "insertions", "sought"]
    table = pd.DataFrame(rows, columns=names).sort_values(["patient", "visit"])
    table["weeks"] = 2.0 * (table["visit"] - 1)
    return Visits.from_arrays(**{name: table[name].to_numpy() for name in table}, kind="simulated")  # type: ignore[arg-type]


def replicate(item: tuple[str, int, float, int, int]) -> list[dict[str, object]]:
    """One line per estimate of one clinic."""
    kind, n, effect, seed, index = item
    rng = generator(seed, "relapse study", kind, n, effect, index)
    if kind == "events":
        return _events_lines(events(n, effect, rng), effect)
    visits = course(n, effect, rng, tune_ups=kind == "tune-ups")
    try:
        found = analyse_tuneups(visits) if kind == "tune-ups" else analyse_relapse(visits, threshold=30.0)
    except FitError:
        return []
    truths = {"excess": effect, "excess_regression": effect}
    if (
        effect == 1.0 and kind == "course"
    ):  # otherwise the chance of a flare is not the rate of recorded relapses
        truths["per_ten"] = 1.0
    return [
        _line(row.term, truths.get(row.term, np.nan), row.estimate, row.conf_low, row.conf_high, row.p_value)
        for row in found.estimates
        if np.isfinite(row.estimate)
    ]


def _events_lines(rows: pd.DataFrame, effect: float) -> list[dict[str, object]]:
    arrays = rows["start"], rows["stop"], rows["event"]
    lines = []
    curve = mean_cumulative(*arrays, rows["patient"])
    truth = true_mean(12.0) if effect == 1.0 else np.nan
    mean, _, low, high = curve.at(12.0)
    lines.append(_line("mean by week 12", truth, mean, low, high, np.nan))
    fit = andersen_gill(*arrays, rows[["x"]], rows["patient"], terms=("x",))
    lines.append(_line("rate ratio (robust)", effect, *fit.ratio("x")))
    value, error = fit.coefficients[0], np.sqrt(fit.model_cov[0, 0])
    low, high = np.exp(value - 1.96 * error), np.exp(value + 1.96 * error)
    p_value = 0.0 if abs(value) > 1.96 * error else 1.0
    lines.append(_line("rate ratio (not robust)", effect, np.exp(value), low, high, p_value))
    return lines


def _line(term: str, truth: float, value: float, low: float, high: float, p: float) -> dict[str, object]:
    return {"term": term, "truth": truth, "estimate": value, "conf_low": low, "conf_high": high, "p_value": p}


def summarize(lines: pd.DataFrame, replicates: int) -> pd.DataFrame:
    """One row per estimate."""
    rows = []
    for term, got in lines.groupby("term", sort=False):
        truth = got["truth"].iloc[0]
        covers = (got["conf_low"] <= truth) & (truth <= got["conf_high"])
        rows.append({
            "term": term, "estimated": len(got) / replicates, "truth": truth,
            "median": got["estimate"].median(),
            "p_below_05": (got["p_value"] < 0.05).mean() if got["p_value"].notna().any() else np.nan,
            "coverage": covers.mean() if np.isfinite(truth) else np.nan,
            "mcse": np.sqrt(0.05 * 0.95 / len(got)),
        })  # fmt: skip
    return pd.DataFrame(rows)


def study(
    cells: list[tuple[str, int, float]], *, replicates: int, seed: int, workers: int = 1
) -> pd.DataFrame:
    """Run all cells."""
    tables = []
    for kind, n, effect in cells:
        items = [(kind, n, effect, seed, index) for index in range(replicates)]
        lines = [line for many in run_in_order(replicate, items, workers=workers) for line in many]
        table = summarize(pd.DataFrame(lines), replicates)
        known = {"kind": kind, "n_patients": n, "effect": effect, "seed": seed, "replicates": replicates}
        for place, (name, value) in enumerate(known.items()):
            table.insert(place, name, value)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=400)
    parser.add_argument("--seed", type=int, default=20261125)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("docs/methods/relapse.csv"))
    options = parser.parse_args()
    table = study(CELLS, replicates=options.replicates, seed=options.seed, workers=options.workers)
    table["versions"] = f"python {platform.python_version()}, numpy {np.__version__}"
    table.round(4).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
