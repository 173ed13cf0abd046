"""Comparing clinics: coverage and false flags; writes docs/methods/comparing-clinics.csv.

    PYTHONPATH=src python tools/compare_study.py --replicates 600 --clinics 24 --seed 20261125

``shares``: Wilson's intervals of two shares. ``threshold``: two clinics of one or two worlds, drawn from
those of the operating characteristics (docs/methods/calibration/replicates.csv.gz) whose verdict was a
supported threshold, the only ones whose thresholds are compared. ``slope``: pairs among ``--clinics``
simulated clinics, change per twitch by a straight line. ``funnel``: k clinics with errors between .004 and
.02 and true slopes normal with standard deviation ``tau``; ``outlier`` moves the first, made the most precise
one, by so many errors of its own.
"""

from __future__ import annotations

import argparse
import itertools
import platform
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from tpr_outcomes.cohort.derive import ratings
from tpr_outcomes.inference.clustered import wilson
from tpr_outcomes.inference.difference import Estimate, difference
from tpr_outcomes.inference.funnel import ALARM_LEVEL, WARNING_LEVEL, between, funnel
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.inference.shrinkage import partial_pool
from tpr_outcomes.inference.threshold import robust_slopes
from tpr_outcomes.models.working import working_model
from tpr_outcomes.planning.simulate import simulate
from tpr_outcomes.planning.worlds import get_world

HERE = Path(__file__).resolve().parent.parent
CALIBRATION = HERE / "docs" / "methods" / "calibration" / "replicates.csv.gz"
SHARES = [(p, q, n, m) for p, q in ((0.3, 0.5), (0.9, 0.9), (0.05, 0.2)) for n, m in ((30, 30), (30, 120))]
THRESHOLDS = [
    (a, b, n)
    for a, b in ((40, 40), (30, 40), (40, 60), (20, 60))
    for n in (60, 150, 400)
]  # fmt: skip
SLOPES = [("N0", 60), ("A-lin", 60)]
POOLED = 4
"""One replicate in so many is pooled as well: that takes most of the time."""
FUNNELS = [(k, tau, 0.0) for k in (3, 5, 10, 20, 40) for tau in (0.0, 0.01)]
FUNNELS += [(k, tau, 6.0) for k in (5, 10, 20, 40) for tau in (0.0, 0.01)]


def _line(part: str, cell: str, covered: list[bool], missed: list[bool], true: float) -> dict[str, object]:
    """Coverage of a difference, and how often it is told from none."""
    share = float(np.mean(covered))
    error = (share * (1 - share) / len(covered)) ** 0.5
    known = {"part": part, "cell": cell, "true": true, "trials": len(covered), "covers": share, "mcse": error}
    return known | {"told_from_none": float(np.mean(missed))}


def shares(
    cells: list[tuple[float, float, int, int]], *, replicates: int, seed: int
) -> list[dict[str, object]]:
    """Coverage of the difference of two shares."""
    made = []
    for p, q, n, m in cells:
        rng = generator(seed, "compare study", "shares", f"{p} {q} {n} {m}")
        covered, told = [], []
        for x, y in zip(rng.binomial(n, p, replicates), rng.binomial(m, q, replicates), strict=True):
            a, b = (
                Estimate(s, *wilson(s, (s * (1 - s) / size) ** 0.5, n_patients=size))
                for s, size in ((x / n, n), (y / m, m))
            )
            found = difference(a, b)
            covered.append(found.conf_low <= q - p <= found.conf_high)
            told.append(found.told_from_none)
        made.append(_line("shares", f"{p} of {n}, {q} of {m}", covered, told, q - p))
    return made


def thresholds(cells: list[tuple[int, int, int]], *, seed: int) -> list[dict[str, object]]:
    """Coverage of the difference of two thresholds, among clinics of which one is printed."""
    table = pd.read_csv(CALIBRATION).query("label == 'threshold_supported'")
    made = []
    for one, other, n in cells:
        groups = []
        for i, place in enumerate((one, other)):
            rows = table[(table["world"] == f"A-thr{place}") & (table["n_patients"] == n)]
            rng = generator(
                seed, "compare study", "threshold", f"{one} {other} {n} {i if one != other else 0}"
            )
            groups.append(rows.iloc[rng.permutation(len(rows))])
        if one == other:  # each clinic in one pair only
            half = len(groups[0]) // 2
            groups = [groups[0].iloc[:half], groups[0].iloc[half : 2 * half]]
        covered, told = [], []
        ends = ["estimate", "conf_low", "conf_high"]
        for a, b in zip(groups[0][ends].to_numpy(float), groups[1][ends].to_numpy(float), strict=False):
            found = difference(Estimate(*a), Estimate(*b))
            covered.append(bool(found.conf_low <= other - one <= found.conf_high))
            told.append(found.told_from_none)
        made.append(_line("threshold", f"{one} and {other}, {n} patients", covered, told, other - one))
    return made


def slopes(cells: list[tuple[str, int]], *, clinics: int, seed: int) -> list[dict[str, object]]:
    """Coverage of the difference of two slopes in clinics of one world, over all pairs of them."""
    made = []
    for world, n in cells:
        found = []
        for index in range(clinics):
            own = int(generator(seed, "compare study", "slope", f"{world} {n} {index}").integers(2**31))
            working = working_model(ratings(simulate(get_world(world), n_patients=n, seed=own)))
            slope, error = robust_slopes(working, working.ratings.dose_before[:, None] / working.unit)
            if np.isfinite(error[0]):
                found.append((float(slope[0]) / working.unit, float(error[0]) / working.unit))
        y, s = np.array(found).T
        outside = np.abs(y[:, None] - y[None, :]) > stats.norm.ppf(0.975) * np.hypot(s[:, None], s[None, :])
        each = 1.0 - outside.sum(axis=1) / (y.size - 1)
        # a mean over pairs that share clinics: its error by Hoeffding's projection
        error = 2.0 * float(each.std(ddof=1)) / y.size**0.5
        pairs = y.size * (y.size - 1) // 2
        made.append(
            {"part": "slope", "cell": f"{world}, {n} patients", "true": 0.0, "trials": pairs}
            | {"covers": float(each.mean()), "mcse": error, "told_from_none": float(1.0 - each.mean())}
        )
    return made


def funnels(cells: list[tuple[int, float, float]], *, replicates: int, seed: int) -> list[dict[str, object]]:
    """False flags and flags, and coverage of the pooled quantities."""
    made = []
    for k, tau, outlier in cells:
        rng = generator(seed, "compare study", "funnel", f"{k} {tau} {outlier}")
        lines = []
        for i in range(replicates):
            s = np.exp(rng.uniform(np.log(0.004), np.log(0.02), k))
            if outlier:
                s[0] = s.min()
            truth = rng.normal(-0.02, tau, k)
            truth[0] += outlier * s[0]
            y = rng.normal(truth, s)
            found = funnel(y, s)
            warned, alarmed = found.outside(WARNING_LEVEL), found.outside(ALARM_LEVEL)
            rest = slice(1, None) if outlier else slice(None)
            line = {"false_95": warned[rest].mean(), "false_998": alarmed[rest].mean()}
            line["any_998"] = alarmed[rest].any()
            published = funnel(y, s, corrected=False)
            line["published_95"] = published.outside(WARNING_LEVEL)[rest].mean()
            line["published_998"] = published.outside(ALARM_LEVEL)[rest].mean()
            if outlier:
                line |= {"outlier_95": warned[0], "outlier_998": alarmed[0]}
            elif i < replicates // POOLED:
                pooled, spread = partial_pool(y, s), between(y, s)
                line |= {"mean_covers": pooled.mean_low <= -0.02 <= pooled.mean_high}
                line |= {"tau_covers": spread.conf_low <= tau <= spread.conf_high}
                line |= {"pulled_covers": ((pooled.conf_low <= truth) & (truth <= pooled.conf_high)).mean()}
            lines.append({name: float(value) for name, value in line.items()})
        means = pd.DataFrame(lines).mean().to_dict()
        known = {
            "part": "funnel",
            "cell": f"{k} clinics",
            "true": tau,
            "outlier": outlier,
            "trials": replicates,
        }
        made.append(known | {str(name): value for name, value in means.items()})
    return made


def study(
    *,
    replicates: int,
    clinics: int,
    seed: int,
    cells: dict[str, list[tuple[object, ...]]] | None = None,
) -> pd.DataFrame:
    """Run all parts, or the cells named."""
    chosen = {"shares": SHARES, "threshold": THRESHOLDS, "slope": SLOPES, "funnel": FUNNELS} | (cells or {})
    rows = itertools.chain(
        shares(chosen["shares"], replicates=replicates, seed=seed),  # type: ignore[arg-type]
        thresholds(chosen["threshold"], seed=seed),  # type: ignore[arg-type]
        slopes(chosen["slope"], clinics=clinics, seed=seed),  # type: ignore[arg-type]
        funnels(chosen["funnel"], replicates=replicates, seed=seed),  # type: ignore[arg-type]
    )
    return pd.DataFrame(list(rows)).assign(seed=seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=600)
    parser.add_argument("--clinics", type=int, default=24)
    parser.add_argument("--seed", type=int, default=20261125)
    parser.add_argument("--out", type=Path, default=Path("docs/methods/comparing-clinics.csv"))
    options = parser.parse_args()
    table = study(replicates=options.replicates, clinics=options.clinics, seed=options.seed)
    table["versions"] = f"python {platform.python_version()}, numpy {np.__version__}"
    table.round(5).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
