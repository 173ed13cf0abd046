"""What people use today to find a threshold, beside ours, on the same simulated clinics.

    python benchmarks/peers.py [--clinics 60] [--slow 20] [--patients 150] [--seed 20261124]

Writes docs/methods/peers.csv and the tables in docs/methods/peers.md, where methods, calls and rules are
said in words. About 10 minutes of one core. Times are CPU times, reported only as ratios to ours of
the same run. What is not installed is left out, and the page says so: benchmarks/README.md says how to
install piecewise-regression (beside, not into, the environment of the lock) and R's packages.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tpr_outcomes.cohort.derive import ratings
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.inference.evidence import decide, gather_evidence
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.planning.simulate import WORLDS, simulate

ROOT = Path(__file__).resolve().parent.parent
BESIDE = ROOT / ".venv" / "peers"
TABLE = ROOT / "docs" / "methods" / "peers.csv"
PAGE = ROOT / "docs" / "methods" / "peers.md"
SEED = 20261124
LEVEL = 0.05
NAMES = ("N4", "N7", "A-lin", "A-thr40")
KNOTS = 7
OURS = "tpr_outcomes"
DAVIES = "piecewise-regression, davies_test"
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Answer:
    """What one method says of one clinic; nan where it says nothing.

    ``claim``: an analyst would report a threshold. ``change``: slope beyond it minus slope before it
    (negative: more relief beyond), points per twitch.
    """

    claim: bool
    change: float = np.nan
    estimate: float = np.nan
    low: float = np.nan
    high: float = np.nan
    failed: bool = False
    seconds: float = np.nan


def table_of(visits: Visits) -> pd.DataFrame:
    """One row per rating after the first: the rows our own procedure uses, kindly handed to everyone."""
    r = ratings(visits)
    columns = {"patient": r.patient, "visit": r.visit, "baseline": r.baseline}
    return pd.DataFrame(columns | {"dose": r.dose_before, "pain": r.pain})


def clinics(world: str, count: int, patients: int, seed: int) -> Iterator[tuple[int, Visits]]:
    """The study's clinics: a function of world, number and seed."""
    for number in range(count):
        drawn = int(generator(seed, "peers", world, number).integers(2**31))
        yield number, simulate(world, n_patients=patients, seed=drawn)


# --- the methods -------------------------------------------------------------------------------------------


def ours(visits: Visits, *, seed: int, replicates: int = 399) -> Answer:
    """The whole verdict; its interval whether or not it claims."""
    evidence = gather_evidence(visits, replicates=replicates, seed=seed)
    if evidence.test is None:
        return Answer(claim=False, failed=True)
    profile = evidence.test.profile
    return Answer(
        claim=decide(evidence).label == "threshold_supported",
        change=profile.slope,
        estimate=profile.estimate,
        low=-np.inf if profile.open_low else profile.conf_low,
        high=np.inf if profile.open_high else profile.conf_high,
    )


def hinge_by_aic(data: pd.DataFrame, *, time_term: str, knots: int = KNOTS) -> Answer:
    """statsmodels MixedLM, random intercept, ML: none, line or hinge, whichever has the least AIC.

    The knot is searched over equal shares of the positive doses and counted as a parameter. The interval
    is the set of knots within 3.84 of the least deviance, widened to the next knot on each side.
    """
    import statsmodels.formula.api as smf

    shares = np.linspace(0.1, 0.9, knots)
    grid = np.unique(np.quantile(data.dose[data.dose > 0], shares))

    def fit(term: str, knot: float = 0.0) -> Any:
        frame = data.assign(hinge=np.maximum(data.dose - knot, 0.0))
        formula = f"pain ~ {time_term} + baseline{term}"
        return smf.mixedlm(formula, frame, groups="patient").fit(reml=False)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        none, line = fit(""), fit(" + dose")
        hinges = [fit(" + hinge", knot) for knot in grid]
    aic = np.array([each.aic for each in hinges])
    best = int(np.argmin(aic))
    inside = np.flatnonzero(aic - aic[best] <= 3.84)
    first, last = int(inside[0]) - 1, int(inside[-1]) + 1
    return Answer(
        claim=bool(aic[best] + 2.0 < min(none.aic, line.aic)),
        change=float(hinges[best].params["hinge"]),
        estimate=float(grid[best]),
        low=float(grid[first]) if first >= 0 else -np.inf,
        high=float(grid[last]) if last < grid.size else np.inf,
        failed=not all(each.converged for each in (none, line, *hinges)),
    )


def sorted_doses(data: pd.DataFrame, *, broken: bool) -> tuple[Array, Array]:
    """Dose and pain in order of dose; ties broken by a billionth of a twitch if wanted."""
    order = np.argsort(data.dose.to_numpy(), kind="stable")
    dose, pain = data.dose.to_numpy()[order], data.pain.to_numpy()[order]
    return (dose + 1e-9 * np.arange(dose.size) if broken else dose), pain


def davies(dose: Array, pain: Array) -> Answer:
    """piecewise-regression's test alone."""
    from piecewise_regression.davies import davies_test

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Answer(claim=bool(davies_test(dose, pain) < LEVEL))


def piecewise(data: pd.DataFrame, *, seed: int) -> Answer:
    """piecewise-regression's Fit with its defaults (100 bootstrap restarts), and the p it prints."""
    import piecewise_regression

    np.random.seed(seed)  # noqa: NPY002 - the peer draws from numpy's global state
    dose, pain = sorted_doses(data, broken=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = piecewise_regression.Fit(list(dose), list(pain), n_breakpoints=1).get_results()
    claim = bool(found["davies"] < LEVEL)
    if not found["converged"]:
        return Answer(claim=claim, failed=True)
    place = found["estimates"]["breakpoint1"]
    low, high = place["confidence_interval"]
    change = float(found["estimates"]["beta1"]["estimate"])
    return Answer(claim, change, float(place["estimate"]), float(low), float(high))


def timed(call: Callable[[], Answer]) -> Answer:
    """The answer with its CPU seconds; an exception is a failure, not a claim."""
    began = time.process_time()
    try:
        answer = call()
    except (ValueError, ArithmeticError, np.linalg.LinAlgError):
        answer = Answer(claim=False, failed=True)
    return replace(answer, seconds=time.process_time() - began)


def python_methods(data: pd.DataFrame, *, seed: int, slow: bool) -> dict[str, Callable[[], Answer]]:
    """Methods by name; the expensive ones only where wanted."""
    methods: dict[str, Callable[[], Answer]] = {}
    if slow:
        methods["MixedLM, hinge by AIC, visit straight"] = lambda: hinge_by_aic(data, time_term="visit")
        methods["MixedLM, hinge by AIC, visit as factor"] = lambda: hinge_by_aic(data, time_term="C(visit)")
    if installed("piecewise-regression"):
        methods[f"{DAVIES}, ties broken"] = lambda: davies(*sorted_doses(data, broken=True))
        methods[f"{DAVIES}, sorted"] = lambda: davies(*sorted_doses(data, broken=False))
        methods[f"{DAVIES}, as recorded"] = lambda: davies(data.dose.to_numpy(), data.pain.to_numpy())
        if slow:
            methods["piecewise-regression, Fit"] = lambda: piecewise(data, seed=seed)
    return methods


def installed(package: str) -> str:
    """Version of a package, or the empty string."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


# --- the study ---------------------------------------------------------------------------------------------


def study(options: argparse.Namespace) -> tuple[pd.DataFrame, list[str]]:
    """Every method on every clinic -> one row per answer, and versions of everything that ran."""
    rows: list[dict[str, object]] = []
    frames = []
    _, first = next(clinics("N4", 1, options.patients, options.seed))
    for call in (lambda: ours(first, seed=1), *python_methods(table_of(first), seed=1, slow=False).values()):
        call()  # what is imported or compiled on first use is not timed
    for world in NAMES:
        for number, visits in clinics(world, options.clinics, options.patients, options.seed):
            data = table_of(visits)
            frames.append(data.assign(world=world, clinic=number))
            methods = {OURS: lambda visits=visits: ours(visits, seed=options.seed)}
            methods |= python_methods(data, seed=number, slow=number < options.slow)
            for name, call in methods.items():
                rows.append({"world": world, "method": name, "clinic": number, **asdict(timed(call))})
        print(f"{world}: {options.clinics} clinics done", file=sys.stderr, flush=True)
    versions = [f"Python {sys.version.split()[0]}"]
    packages = ("numpy", "scipy", "pandas", "statsmodels", "piecewise-regression", "numba")
    versions += [f"{name} {installed(name) or 'not installed'}" for name in packages]
    from_r, more = r_rows(pd.concat(frames), options.slow)
    return pd.DataFrame(rows + from_r), versions + more


def r_rows(data: pd.DataFrame, slow: int) -> tuple[list[dict[str, object]], list[str]]:
    """Answers of segmented, and the versions it ran with."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        return [], ["R not installed: its methods were left out"]
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "ratings.csv", Path(folder) / "out.csv"
        data.to_csv(given, index=False)
        command = [rscript, str(Path(__file__).with_suffix(".R")), str(given), str(found), str(slow)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            return [], [f"R failed, its methods were left out: {ended.stderr.strip().splitlines()[-1]}"]
        table = pd.read_csv(found)
    rows = []
    for row in table.itertuples():
        place = [float(value) for value in (row.change, row.estimate, row.low, row.high)]
        failed = not np.isfinite(place).all()
        answer = Answer(bool(row.p < LEVEL), *place, failed=failed, seconds=float(row.seconds))
        rows.append({"world": row.world, "method": row.method, "clinic": row.clinic, **asdict(answer)})
    return rows, ["R " + ended.stdout.strip().replace("\n", ", ")]


def summarise(world: str, method: str, answers: pd.DataFrame, ours_seconds: float) -> dict[str, object]:
    """One line of the table; a failure covers nothing, and claims only if its test still spoke."""
    claim = answers.claim.to_numpy(dtype=bool)
    located = bool(answers.estimate.notna().any())
    truth = WORLDS[world].true_threshold
    known = located and truth is not None
    inside = ((answers.low <= truth) & (truth <= answers.high)).to_numpy() if known else claim[:0]
    line: dict[str, object] = {"world": world, "method": method, "clinics": len(answers)}
    line["failed"] = int(answers.failed.sum())
    line |= share("claims", claim)
    line |= share("claims_relief_beyond", claim & (answers.change < 0).to_numpy() if located else claim[:0])
    line |= share("covers", inside)
    line |= share("covers_when_claimed", inside[claim] if known else inside)
    line["median_estimate"] = f"{answers.estimate.median():.1f}" if located else ""
    line["cpu_ratio"] = f"{answers.seconds.median() / ours_seconds:.2g}"
    return line


def summary(rows: pd.DataFrame) -> list[dict[str, object]]:
    """The published table: worlds in order, ours first."""
    lines = []
    for world in NAMES:
        here = rows[rows.world == world]
        base = float(here[here.method == OURS].seconds.median())
        for method in sorted(here.method.unique(), key=lambda name: (name != OURS, name)):
            lines.append(summarise(world, method, here[here.method == method], base))
    return lines


def share(name: str, hits: NDArray[np.bool_]) -> dict[str, object]:
    """Percentage and its Monte Carlo standard error; empty where nothing was counted."""
    if not hits.size:
        return {name: "", f"{name}_mcse": ""}
    p = float(hits.mean())
    return {name: f"{100 * p:.1f}", f"{name}_mcse": f"{100 * np.sqrt(p * (1 - p) / hits.size):.1f}"}


# --- the page ----------------------------------------------------------------------------------------------


def markdown(lines: Sequence[dict[str, object]], versions: Sequence[str], command: str) -> str:
    """The generated part of the page."""
    out = [f"Command: `{command}`.", "", f"Versions: {'; '.join(versions)}.", ""]
    for world in dict.fromkeys(str(line["world"]) for line in lines):
        located = WORLDS[world].true_threshold is not None
        out += [f"### {world}: {WORLDS[world].description}", ""]
        heads = ["method", "clinics", "claims a threshold, %", "with more relief beyond it, %"]
        heads += ["interval covers, %", "covers when claimed, %"] * located
        heads += ["median estimate", "failed", "CPU, ours = 1"]
        out += ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
        for line in lines:
            if line["world"] == world:
                names = ["claims", "claims_relief_beyond", *["covers", "covers_when_claimed"] * located]
                cells = [str(line["method"]), str(line["clinics"])]
                cells += [f"{line[n]} ({line[n + '_mcse']})" if line[n] != "" else "–" for n in names]
                cells += [str(line["median_estimate"]) or "–", str(line["failed"]), str(line["cpu_ratio"])]
                out.append("| " + " | ".join(cells) + " |")
        out.append("")
    return "\n".join(out)


def write(lines: Sequence[dict[str, object]], text: str) -> None:
    """The CSV file, and the part of the page between its two marks."""
    with TABLE.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, lines[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition("<!-- table -->\n")
    after = rest.partition("<!-- end of table -->")[2]
    made = f"{before}<!-- table -->\n{text}\n<!-- end of table -->{after}"
    PAGE.write_text(made, encoding="utf-8")


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clinics", type=int, default=60, help="clinics per world")
    parser.add_argument("--slow", type=int, default=20, help="of them for MixedLM, Fit and segmented.lme")
    parser.add_argument("--patients", type=int, default=150, help="patients per clinic")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--print-only", action="store_true", help="write no files")
    parser.add_argument("--answers", type=Path, help="also keep every single answer in this CSV file")
    options = parser.parse_args(arguments)
    sys.path.append(str(BESIDE))
    rows, versions = study(options)
    if options.answers:
        rows.to_csv(options.answers, index=False)
    lines = summary(rows)
    text = markdown(lines, versions, " ".join(["python benchmarks/peers.py", *arguments]))
    if not options.print_only:
        write(lines, text)
    print(text)


if __name__ == "__main__":
    main(sys.argv[1:])
