"""Patient-specific thresholds: bias, coverage and answers of our fit, and of R's segmented.lme.

    python benchmarks/random_threshold_study.py export FOLDER
        data sets for tests/reference/segmented_lme/generate.R
    python benchmarks/random_threshold_study.py run RAW.csv [WORLD ...]
        our fits, one line each, to a scratch file; goes on where an earlier run stopped
    python benchmarks/random_threshold_study.py table RAW.csv
        docs/methods/random-threshold.csv

Set PYTHONPATH=src. One core: under a second a fit. A data set is a function of its world's name and number.
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tpr_outcomes.inference.resample import generator
from tpr_outcomes.models.random_threshold import AIC_MARGIN, fit_random_threshold
from tpr_outcomes.models.random_threshold_likelihood import Distribution

ROOT = Path(__file__).resolve().parent.parent
PEER = ROOT / "tests" / "reference" / "segmented_lme" / "expected.csv"
TABLE = ROOT / "docs" / "methods" / "random-threshold.csv"
SEED = 20261107
OURS = "marginal likelihood"
TRUTH = 12.0
VISITS = 8
Array = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """How a clinic is drawn, and how it is fitted. Doses are twitches, pain is in points."""

    name: str
    spread: float = 0.0
    patients: int = 200
    slope: float = -0.15
    noise: float = 1.0
    slope_sd: float = 0.0
    time_sd: float = 0.0
    bend: str = "hinge"
    lognormal: bool = False
    rounded: bool = False
    fitted: Distribution = "normal"
    replicates: int = 60

    @property
    def truth(self) -> float:
        """Threshold of the typical patient in the fitted model's sense; nan where there is none."""
        if self.bend != "hinge":
            return float("nan")
        mean_of_lognormal = self.lognormal and self.fitted == "normal"
        return TRUTH * float(np.exp(self.spread**2 / 2)) if mean_of_lognormal else TRUTH

    @property
    def truth_sd(self) -> float:
        """Spread in the fitted model's sense."""
        if self.bend != "hinge":
            return float("nan")
        if self.lognormal and self.fitted == "normal":
            return self.truth * float(np.sqrt(np.expm1(self.spread**2)))
        return self.spread


MAIN = [
    World(f"{name}, sd {spread}", spread=float(spread), slope=slope, noise=noise, replicates=200)
    for name, slope, noise in (("weak", -0.15, 1.0), ("strong", -0.25, 0.8))
    for spread in (0, 2, 4)
]
SIDE = [
    World("60 patients", spread=2.0, patients=60),
    World("random time slope", spread=2.0, time_sd=0.15),
    World("whole points 0-10", spread=2.0, rounded=True),
    World("log-normal", spread=0.3, lognormal=True, fitted="lognormal"),
    World("log-normal fitted as normal", spread=0.3, lognormal=True),
    World("one threshold, slopes differ", slope=-0.25, noise=0.8, slope_sd=0.08),
    World("one smooth bend", slope=-0.25, noise=0.8, bend="smooth"),
    World("straight dose line", slope=-0.1, bend="line"),
    World("no dose effect", bend="none"),
]
WORLDS = {world.name: world for world in (*MAIN, *SIDE)}


@dataclass(frozen=True)
class Records:
    """One drawn clinic, rows sorted by patient and visit."""

    patient: NDArray[np.int64]
    time: Array
    dose: Array
    pain: Array

    @property
    def design(self) -> Array:
        """1, time, dose: the same fixed effects that segmented.lme fits beside its hinge."""
        return np.column_stack((np.ones_like(self.time), self.time, self.dose))


def draw(world: World, replicate: int) -> Records:
    """One clinic. Doses do not depend on pain.

    Dose: negative binomial (size 3) a visit, mean 4 times a log-normal(0.3) trait, 0 before the first visit.
    Pain: 7 - 0.1 visit + N(0, 1.5²) intercept + slope (dose - tau_i)+ + N(0, noise²).
    """
    rng = generator(SEED, "random-threshold", world.name, replicate)
    n = world.patients
    patient = np.repeat(np.arange(n), VISITS)
    visit = np.tile(np.arange(VISITS, dtype=np.float64), n)
    mean = 4.0 * np.exp(rng.normal(0.0, 0.3, (n, 1)))
    twitches = np.zeros((n, VISITS))
    twitches[:, 1:] = rng.poisson(mean * rng.gamma(3.0, 1.0 / 3.0, (n, VISITS - 1)))
    dose = twitches.cumsum(1).ravel()
    deviate = world.spread * rng.normal(size=n)
    tau = TRUTH * np.exp(deviate) if world.lognormal else TRUTH + deviate
    slope = (world.slope + world.slope_sd * rng.normal(size=n))[patient]
    pain = 7.0 - 0.1 * visit + (1.5 * rng.normal(size=n))[patient]
    pain += (world.time_sd * rng.normal(size=n))[patient] * visit
    past = dose - tau[patient]
    shapes: dict[str, Callable[[], Array]] = {
        "hinge": lambda: slope * np.maximum(past, 0.0),
        "smooth": lambda: slope * 3.0 * np.logaddexp(0.0, past / 3.0),
        "line": lambda: slope * dose,
        "none": lambda: 0.0 * dose,
    }
    pain += shapes[world.bend]() + world.noise * rng.normal(size=dose.size)
    if world.rounded:
        pain = np.clip(np.rint(pain), 0.0, 10.0)
    return Records(patient, visit, dose, pain)


FIELDS = ["world", "method", "replicate", "estimate", "low", "high", "sd", "sd_low", "sd_high"]
FIELDS += ["p_value", "aic_gain", "threshold_slopes", "status", "answer", "warnings", "seconds"]


def fit_one(world: World, replicate: int) -> dict[str, object]:
    """One line of the scratch file."""
    records = draw(world, replicate)
    began = time.process_time()
    fit = fit_random_threshold(
        records.pain,
        records.design,
        dose=records.dose,
        patient=records.patient,
        time=records.time,
        random_slope=world.time_sd > 0,
        distribution=world.fitted,
    )
    seconds = time.process_time() - began
    threshold, sd = fit.threshold, fit.threshold_sd
    row: list[object] = [world.name, OURS, replicate]
    row += [threshold.estimate, threshold.conf_low, threshold.conf_high]
    row += [sd.estimate, sd.conf_low, sd.conf_high]
    row += [
        fit.p_value,
        fit.aic_gain,
        fit.threshold_slopes,
        fit.status,
        fit.distinguishable(),
        0,
        f"{seconds:.3f}",
    ]
    return dict(zip(FIELDS, row, strict=True))


def run(path: Path, names: Iterable[str]) -> None:
    """Append our fits, continuing where an earlier run stopped."""
    done = {(row["world"], int(row["replicate"])) for row in read(path)} if path.exists() else set()
    with path.open("a", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, FIELDS)
        if not done:
            writer.writeheader()
        for world in (WORLDS[name] for name in names):
            for replicate in range(world.replicates):
                if (world.name, replicate) not in done:
                    writer.writerow(fit_one(world, replicate))
                    handle.flush()


def export(folder: Path, *, replicates: int = 20) -> None:
    """Write the first data sets of the main worlds for R: the study's own replicates 0, 1, …"""
    folder.mkdir(parents=True, exist_ok=True)
    for world in MAIN:
        for replicate in range(replicates):
            records = draw(world, replicate)
            name = f"{world.name.replace(', sd ', '_')}_{replicate:03d}.csv"
            with (folder / name).open("w", newline="", encoding="utf-8") as handle:
                writer = csv.writer(handle, lineterminator="\n")
                writer.writerow(("patient", "visit", "dose", "pain"))
                for row in zip(records.patient, records.time, records.dose, records.pain, strict=True):
                    writer.writerow((row[0], int(row[1]), int(row[2]), f"{row[3]:.4f}"))


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def summarise(world: World, method: str, rows: list[dict[str, str]]) -> dict[str, object]:
    """One line of the published table; a failed fit counts as not covering."""
    number = {name: np.array([float(row[name] or "nan") for row in rows]) for name in FIELDS[3:12]}
    failed = np.array([row["status"] == "failed" for row in rows])
    estimate, truth = number["estimate"][~failed], world.truth
    count = len(rows)

    def share(hit: Array | NDArray[np.bool_]) -> float:
        return round(100.0 * float(np.mean(hit)), 1)

    known = np.isfinite(truth)
    inside = (number["low"] <= truth) & (truth <= number["high"]) & ~failed
    inside_sd = (number["sd_low"] <= world.truth_sd) & (world.truth_sd <= number["sd_high"]) & ~failed
    covered = float(np.mean(inside))
    ours = method.startswith(OURS)
    answers = [row["answer"] for row in rows]
    return {
        "world": world.name,
        "method": method,
        "patients": world.patients,
        "replicates": count,
        "failed": int(failed.sum()),
        "with_warnings": sum(int(row["warnings"] or 0) > 0 for row in rows),
        "truth": round(truth, 2) if known else "",
        "mean_estimate": round(float(estimate.mean()), 2) if world.bend in ("hinge", "smooth") else "",
        "bias_percent": round(100 * float(estimate.mean() / truth - 1), 1) if known else "",
        "bias_mcse": round(100 * float(estimate.std(ddof=1) / np.sqrt(estimate.size) / truth), 1)
        if known
        else "",
        "coverage": share(inside) if known else "",
        "coverage_mcse": round(100 * float(np.sqrt(covered * (1 - covered) / count)), 1) if known else "",
        "open_intervals": share(~np.isfinite(number["low"]) | ~np.isfinite(number["high"])) if ours else "",
        "median_width": round(float(np.nanmedian(number["high"] - number["low"])), 2) if known else "",
        "truth_sd": round(world.truth_sd, 2) if known else "",
        "mean_sd": round(float(np.nanmean(number["sd"][~failed])), 2) if known else "",
        "coverage_sd": share(inside_sd) if known and ours else "",
        "p_below_0.05": share(number["p_value"] < 0.05) if ours else "",
        "at_boundary": share(np.array([row["status"] == "boundary" for row in rows])) if ours else "",
        "slopes_fit_better": share(number["aic_gain"] <= -AIC_MARGIN) if ours else "",
        "mean_threshold_slopes": round(float(np.mean(number["threshold_slopes"])), 2)
        if known and ours
        else "",
        "says_common": share(np.array([a == "one common threshold" for a in answers])) if ours else "",
        "says_differ": share(np.array([a.startswith("thresholds differ") for a in answers])) if ours else "",
        "says_cannot_tell": share(np.array([a == "cannot tell" for a in answers])) if ours else "",
    }


def peer_rows() -> list[dict[str, str]]:
    """segmented.lme's filed output in the shape of our own lines."""
    return [{**dict.fromkeys(FIELDS, ""), **row, "sd": row["sd_threshold"]} for row in read(PEER)]


def table(path: Path) -> None:
    ours, peer = read(path), peer_rows()
    shared = {(row["world"], row["replicate"]) for row in peer}
    same = [row for row in ours if (row["world"], row["replicate"]) in shared]
    rows = ours + [{**row, "method": f"{OURS}, segmented.lme's data"} for row in same] + peer
    lines = []
    for name, world in WORLDS.items():
        mine = [row for row in rows if row["world"] == name]
        for method in dict.fromkeys(row["method"] for row in mine):
            chosen = [row for row in mine if row["method"] == method]
            if len(chosen) > 1:  # not the single check with bootstrap restarts
                lines.append(summarise(world, method, chosen))
    with TABLE.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, lines[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    seconds = np.array([float(row["seconds"]) for row in rows if row["method"] == OURS])
    total = seconds.sum() / 60
    print(f"median {np.median(seconds):.2f} s a fit, longest {seconds.max():.2f} s, {total:.1f} min in all")


if __name__ == "__main__":
    command, target = sys.argv[1], Path(sys.argv[2])
    if command == "export":
        export(target)
    elif command == "run":
        run(target, sys.argv[3:] or list(WORLDS))
    else:
        table(target)
