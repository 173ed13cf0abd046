"""Our mixed-model engine against its peers: ratios of CPU time, and whether the log-likelihoods agree.

    make bench                          (python benchmarks/run.py [--large] [--repeats 5] [--no-peers])

Writes benchmarks/results.csv and benchmarks/results.md. Peers: statsmodels MixedLM of the lock, and R's
lme4 and nlme where installed. In each repeat every method fits the same data once, in turn; what is
given are medians over repeats and their ratios, no bare seconds. CPU time, one thread each. A fit that
takes more than `--patience` seconds is not repeated (column "repeats"). About 2 minutes of one core;
`--large` adds 100,000 patients: about half an hour.
"""

from __future__ import annotations

import argparse
import csv
import gc
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tpr_outcomes.cohort.derive import Ratings, ratings
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.inference.evidence import decide, gather_evidence
from tpr_outcomes.inference.falsify import lead_check, mundlak_check
from tpr_outcomes.inference.identifiability import design
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.inference.threshold import information_criteria, score_tests, threshold_profile
from tpr_outcomes.models import compiled
from tpr_outcomes.models.mixed import MixedData, MixedFit, fit_mixed, fit_prepared, predict_effects
from tpr_outcomes.models.working import working_model
from tpr_outcomes.planning.simulate import simulate

HERE = Path(__file__).resolve().parent
SEED = 20261125
AGREE = 1e-6
SIZES = (50, 200, 1000, 10_000)
LARGE = 100_000
MODELS = (("slope", "ml"), ("slope", "reml"), ("slope+car1", "ml"))
WORDS = {"slope": "intercept + slope", "slope+car1": "intercept + slope + CAR(1)"}
GOALS = {
    ("slope", "ml", 200, "lme4"): 300.0,
    ("slope", "ml", 200, "statsmodels"): 2000.0,
    ("slope", "ml", LARGE, "lme4"): 150.0,
    **{("slope+car1", "ml", n, "nlme"): 200.0 for n in (*SIZES, LARGE)},
}
Array = NDArray[np.float64]
Timed = tuple[float, float]
"""CPU seconds of a fit, and its log-likelihood."""
Calls = dict[str, Callable[[], Timed]]


@dataclass(frozen=True)
class Data:
    """Ratings at 4–12 irregular visits per patient, mean 8."""

    y: Array
    x: Array
    time: Array
    patient: NDArray[np.int64]

    @property
    def z(self) -> Array:
        return self.x[:, :2]

    @property
    def size(self) -> int:
        """Bytes of what is handed to a fit."""
        return self.y.nbytes + self.x.nbytes + self.z.nbytes + self.time.nbytes + self.patient.nbytes


def draw(n_patients: int) -> Data:
    """Correlated intercept and slope, CAR(1) wobble and a hinge in the cumulative dose."""
    rng = generator(SEED, "bench", n_patients)
    visits = rng.integers(4, 13, n_patients)
    patient = np.repeat(np.arange(n_patients), visits)
    first = np.concatenate(([0], np.cumsum(visits)[:-1]))
    gaps = rng.lognormal(0.0, 0.5, patient.size) + 0.1
    gaps[first] = 0.0
    dose = rng.negative_binomial(3, 3 / 9.0, patient.size).astype(float)
    dose[first] = 0.0
    time_, dose = (np.cumsum(v) - np.repeat(np.cumsum(v)[first], visits) for v in (gaps, dose))
    effects = rng.multivariate_normal([0.0, 0.0], [[1.5, -0.05], [-0.05, 0.02]], n_patients)[patient]
    wobble = rng.normal(size=patient.size)
    keep = np.exp(-0.5 * gaps)
    for row in np.flatnonzero(gaps > 0.0):
        wobble[row] = keep[row] * wobble[row - 1] + np.sqrt(1.0 - keep[row] ** 2) * wobble[row]
    x = np.column_stack([np.ones(patient.size), time_, dose, np.maximum(dose - 20.0, 0.0)])
    y = x @ [6.0, -0.1, -0.01, -0.03] + (effects * x[:, :2]).sum(axis=1) + wobble
    return Data(y, x, time_, patient)


# --- one fit each ------------------------------------------------------------------------------------------


def ours(data: Data, model: str, method: str) -> Timed:
    """fit_mixed, standard errors included; averaged over calls until 0.05 s are spent."""
    calls, began, spent = 0, time.process_time(), 0.0
    while spent < 0.05:
        fit = fit_mixed(
            data.y,
            data.x,
            data.patient,
            z=data.z,
            time=data.time,
            residual="car1" if model == "slope+car1" else "independent",
            method="reml" if method == "reml" else "ml",
        )
        calls, spent = calls + 1, time.process_time() - began
    return spent / calls, fit.log_likelihood


def without_numba(data: Data, model: str, method: str) -> Timed:
    """The same with the numpy code alone."""
    kept = compiled._kernels.copy()
    compiled._kernels[:] = [compiled.PLAIN]
    try:
        return ours(data, model, method)
    finally:
        compiled._kernels[:] = kept


def statsmodels(data: Data, model: str, method: str) -> Timed:
    """MixedLM; its log-likelihood is nan where it says itself that it did not converge."""
    from statsmodels.regression.mixed_linear_model import MixedLM

    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = MixedLM(data.y, data.x, data.patient, exog_re=data.z).fit(reml=method == "reml")
    return time.process_time() - began, float(fit.llf) if fit.converged else np.nan


class R:
    """R as a server, so that its fits alternate with ours in one run."""

    def __init__(self) -> None:
        command = [str(shutil.which("Rscript")), str(HERE / "run.R")]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words: object) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def fit(self, package: str, model: str, method: str) -> Timed:
        return self.timed("fit", package, model, method)

    def timed(self, *words: object) -> Timed:
        said = self.ask(*words)
        if said.startswith("error"):
            raise ArithmeticError(said)
        seconds, log_likelihood = map(float, said.split())
        return seconds, log_likelihood

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


# --- the comparison ----------------------------------------------------------------------------------------


def methods_for(data: Data, model: str, method: str, r: R | None, peers: bool) -> Calls:
    """Who fits this model: ours first, then every peer that can."""
    found: Calls = {"ours": lambda: ours(data, model, method)}
    if compiled.kernels() is not compiled.PLAIN:
        found["ours without numba"] = lambda: without_numba(data, model, method)
    if peers and model == "slope":
        found["statsmodels"] = lambda: statsmodels(data, model, method)
    if r is not None:
        packages = ("lme4", "lme4-refit", "nlme") if model == "slope" else ("nlme",)
        for package in packages:
            found[package] = lambda package=package: r.fit(package, model, method)  # type: ignore[misc]
    return found


def alternate(methods: Calls, repeats: int, patience: float) -> dict[str, list[Timed]]:
    """Every method once per round, in turn; the slow ones in the first round only."""
    times: dict[str, list[Timed]] = {name: [] for name in methods}
    failed: set[str] = set()
    for _ in range(repeats):
        for name, call in methods.items():
            if name in failed or (times[name] and times[name][0][0] > patience):
                continue
            gc.collect()
            try:
                times[name].append(call())
            except (ArithmeticError, ValueError, np.linalg.LinAlgError):
                failed.add(name)
    return times


def compare(model: str, method: str, n: int, times: dict[str, list[Timed]]) -> list[dict[str, object]]:
    """Lines of the table for one model and size."""
    base, likelihood = np.median([t for t, _ in times["ours"]]), times["ours"][0][1]
    lines = []
    for name, found in list(times.items())[1:]:
        line: dict[str, object] = {"model": f"{WORDS[model]}, {method.upper()}", "patients": n}
        line |= {"against": name, "repeats": len(found)}
        if not found:
            lines.append(line | {"times_ours": "", "goal": "", "met": "", "log_likelihood": "peer failed"})
            continue
        ratio = np.median([t for t, _ in found]) / base
        goal = GOALS.get((model, method, n, name))
        line |= {"times_ours": f"{ratio:.3g}", "goal": f"{goal:.0f}" if goal else ""}
        line["met"] = "" if goal is None else "yes" if ratio >= goal else "NO"
        line["log_likelihood"] = verdict_on(likelihood, found[0][1])
        lines.append(line)
    return lines


def verdict_on(mine: float, theirs: float) -> str:
    """Do two log-likelihoods agree to 1e-6 relative, and if not, whose is higher?"""
    if np.isnan(theirs):
        return "peer says it did not converge"
    gap = (mine - theirs) / abs(theirs)
    if abs(gap) <= AGREE:
        return "equal"
    return f"ours higher by {mine - theirs:.2g}" if gap > 0 else f"PEER HIGHER by {theirs - mine:.2g}"


def fits(options: argparse.Namespace, r: R | None) -> tuple[list[dict[str, object]], list[str]]:
    """The table of single fits, and the measured scaling."""
    lines: list[dict[str, object]] = []
    own: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for n in options.sizes:
        data = draw(n)
        if r is not None:
            load(r, data)
        for model, method in MODELS:
            if method == "reml" and n != 200:
                continue
            methods = methods_for(data, model, method, r, not options.no_peers)
            times = alternate(methods, options.repeats, options.patience)
            lines += compare(model, method, n, times)
            median = float(np.median([t for t, _ in times["ours"]]))
            own.setdefault((model, method), []).append((n, median))
        print(f"{n} patients done", file=sys.stderr, flush=True)
    notes = []
    for (model, method), points in own.items():
        large = np.log([point for point in points if point[0] >= 1000])
        if large.shape[0] > 1 and method == "ml":
            slope = np.polyfit(large[:, 0], large[:, 1], 1)[0]
            span, met = f"1,000 to {points[-1][0]:,}", "met" if slope <= 1.1 else "MISSED"
            notes.append(f"{WORDS[model]}: cost grows as patients^{slope:.2f} from {span} (goal 1.1: {met})")
    return lines, notes


def predictions(options: argparse.Namespace, r: R | None) -> list[dict[str, object]]:
    """Predictions of every rating, random effects included, from a fit at hand."""
    lines = []
    for n in (200, 10_000):
        data = draw(n)
        rows = MixedData.of(data.x, data.patient, z=data.z)
        fit = fit_prepared(rows, data.y)

        def mine(data: Data = data, rows: MixedData = rows, fit: MixedFit = fit) -> Timed:
            calls, began, spent = 0, time.process_time(), 0.0
            while spent < 0.05:
                effects = predict_effects(fit, rows, data.y)
                found = data.x @ fit.beta + (data.z * effects[data.patient]).sum(axis=1)
                calls, spent = calls + 1, time.process_time() - began
            return spent / calls, float(found @ found)

        methods: Calls = {"ours": mine}
        if r is not None:
            load(r, data)
            methods["lme4"] = lambda: r.timed("predict", "ml")
        times = alternate(methods, options.repeats, options.patience)
        line = ratio_line(
            "predictions of every rating", n, "lme4's predict", times["ours"], times.get("lme4", [])
        )
        if times.get("lme4"):
            gap = abs(times["lme4"][0][1] / times["ours"][0][1] - 1.0)
            line["log_likelihood"] = f"predictions {'equal' if gap < 1e-4 else 'DIFFER'}"
        lines.append(line)
    return lines


def load(r: R, data: Data) -> None:
    """Hand the data to R."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.csv"
        columns = dict(zip(("t", "dose", "hinge"), data.x[:, 1:].T, strict=True))
        pd.DataFrame({"y": data.y, "patient": data.patient} | columns).to_csv(path, index=False)
        r.ask("load", path)


def ratio_line(
    model: str, n: int, against: str, mine: list[Timed], theirs: list[Timed], goal: float | None = None
) -> dict[str, object]:
    """One line of the table for anything but a fit."""
    line: dict[str, object] = {"model": model, "patients": n, "against": against, "repeats": len(theirs)}
    asked = "" if goal is None else f"{goal:g}"
    if not theirs:
        return line | {"times_ours": "", "goal": asked, "met": "", "log_likelihood": "left out"}
    ratio = np.median([t for t, _ in theirs]) / np.median([t for t, _ in mine])
    met = "" if goal is None else "yes" if ratio >= goal else "NO"
    return line | {"times_ours": f"{ratio:.3g}", "goal": asked, "met": met, "log_likelihood": ""}


def whole_verdict(options: argparse.Namespace, r: R | None) -> list[dict[str, object]]:
    """The verdict with 1,999 replicates against five nlme CAR(1) fits of the same ratings, and one of its
    parts, the place of a bend with its interval, against one fit of segmented.lme."""
    lines = []
    for n in (150, 10_000):
        visits = simulate("A-thr40", n_patients=n, seed=1)
        found = ratings(visits)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "ratings.csv"
            columns = {"patient": found.patient, "visit": found.visit, "baseline": found.baseline}
            pd.DataFrame(columns | {"dose": found.dose_before, "pain": found.pain}).to_csv(path, index=False)

            def verdict(visits: Visits = visits) -> Timed:
                began = time.process_time()
                decide(gather_evidence(visits, replicates=1999, seed=1))
                return time.process_time() - began, np.nan

            def bend(found: Ratings = found) -> Timed:
                began = time.process_time()
                threshold_profile(working_model(found), seed=1)
                return time.process_time() - began, np.nan

            methods: Calls = {"ours": verdict, "bend": bend}
            if r is not None:
                methods["five"] = lambda path=path: r.timed("verdict", path)  # type: ignore[misc]
                if n == 150:
                    methods["segmented"] = lambda path=path: r.timed("bend", path)  # type: ignore[misc]
            times = alternate(methods, options.repeats, options.patience)
        name = "whole verdict, 1,999 replicates"
        lines.append(ratio_line(name, n, "five nlme CAR(1) fits", times["ours"], times.get("five", []), 1.0))
        if n == 150:
            name = "place of a bend with its interval"
            lines.append(
                ratio_line(name, n, "segmented.lme, one fit", times["bend"], times.get("segmented", []))
            )
        print(f"verdict of {n} patients done", file=sys.stderr, flush=True)
    return lines


def where_time_goes(n: int) -> list[str]:
    """Share of a verdict's CPU time by part, and of the arithmetic that cannot be saved.

    The floor counts what the job must do whatever the program: whiten and clear the columns, and flip signs
    in ``replicates × patients × (thresholds × rivals)`` products, as plain matrix products of those shapes.
    """
    visits = simulate("A-thr40", n_patients=n, seed=1)
    found = ratings(visits)
    working = working_model(found)
    tests = score_tests(working, replicates=1999, seed=1)
    width = len(tests.p_values) * (tests.knots.size + tests.step_knots.size)
    rng = generator(SEED, "floor", n)
    signs, scores = (
        rng.choice([-1.0, 1.0], (1999, found.n_patients)),
        rng.normal(size=(found.n_patients, width)),
    )
    columns, basis = (
        rng.normal(size=(found.pain.size, 330)),
        rng.normal(size=(found.pain.size, working.x.shape[1])),
    )
    parts: dict[str, Callable[[], object]] = {
        "ratings and background fit": lambda: working_model(ratings(visits)),
        "tests against every rival": lambda: score_tests(working_model(found), replicates=1999, seed=1),
        "place and interval": lambda: threshold_profile(working_model(found), seed=1, selected=True),
        "information criteria": lambda: information_criteria(working_model(found)),
        "Mundlak check": lambda: mundlak_check(working_model(found), replicates=1999, seed=1),
        "lead check": lambda: lead_check(working),
        "design": lambda: design(working_model(found), span=10.0),
        "whole": lambda: decide(gather_evidence(visits, replicates=1999, seed=1)),
        "floor": lambda: (signs @ scores, columns - basis @ (basis.T @ columns)),
    }
    spent = {name: cpu_median(part) for name, part in parts.items()}
    fit, whole = spent["ratings and background fit"], spent["whole"]
    shares = [f"{100 * fit / whole:.0f}% ratings and background fit"]
    alone = cpu_median(lambda: working_model(found))
    for name in list(parts)[1:7]:
        own = spent[name] - (alone if name != "lead check" else 0.0)
        shares.append(f"{100 * max(own, 0.0) / whole:.0f}% {name}")
    share = 100 * spent["floor"] / whole
    floor = f"the matrix products that cannot be saved, done alone, take {share:.0f}% of it"
    return [f"whole verdict, {n:,} patients: {', '.join(shares)}; {floor}"]


def cpu(part: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    began = time.process_time()
    part()
    return time.process_time() - began


def cpu_median(part: Callable[[], object], repeats: int = 5) -> float:
    """Median CPU seconds."""
    return float(np.median([cpu(part) for _ in range(repeats)]))


MEMORY = """
import sys; sys.path.insert(0, {here!r})
import run
def status(name):
    return next(1024 * int(l.split()[1]) for l in open("/proc/self/status") if l.startswith(name))
data = run.draw({n}); run.ours(run.draw(50), {model!r}, "ml")
open("/proc/self/clear_refs", "w").write("5")
before = status("VmHWM")
run.fit_mixed(data.y, data.x, data.patient, z=data.z, time=data.time, residual={residual!r})
print((status("VmHWM") - before) / data.size)
"""


def memory(n: int) -> list[str]:
    """Peak memory added by one fit over the size of its input, in a fresh process (Linux)."""
    notes = []
    for model, residual in (("slope", "independent"), ("slope+car1", "car1")):
        code = MEMORY.format(here=str(HERE), n=n, model=model, residual=residual)
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        if ended.returncode:
            notes.append(f"{WORDS[model]}: memory was not measured here")
            continue
        times = float(ended.stdout)
        said = f"adds at its peak {times:.1f} times its input"
        met = "met" if times <= 1.0 else "MISSED"
        notes.append(f"{WORDS[model]}: one fit of {n:,} patients {said} (goal 1: {met})")
    return notes


def versions(r: R | None) -> str:
    named = [f"Python {sys.version.split()[0]}"]
    for package in ("numpy", "scipy", "statsmodels", "numba"):
        try:
            named.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            named.append(f"{package} not installed")
    return "; ".join(
        [*named, r.ask("versions") if r else "R with lme4, nlme and segmented left out: no Rscript here"]
    )


def markdown(lines: Sequence[dict[str, object]], notes: Sequence[str], said: str, command: str) -> str:
    """The page: what was run, what was met, what was missed."""
    missed = [line for line in lines if line["met"] == "NO"]
    out = ["# The engine against its peers", "", f"Command: `{command}`. Versions: {said}.", ""]
    out += [
        "Ratios of median CPU time, one thread; 5.0 means the peer took five times as long as ours. What is"
    ]
    out += ["compared, and what the goals are, is said in [README.md](README.md).", ""]
    words = [f"{m['model']}, {m['patients']:,} patients, {m['against']}: {m['times_ours']}×" for m in missed]
    tested = sum(line["met"] != "" for line in lines)
    out += [f"**Goals of speed missed: {len(missed)} of {tested}.** {'; '.join(words)}".rstrip(), ""]
    out += ["| model | patients | against | its time over ours | goal | met | log-likelihood | repeats |"]
    out += ["|---|---|---|---|---|---|---|---|"]
    for line in lines:
        shown = {"patients": f"{line['patients']:,}", "times_ours": line["times_ours"] or "–"}
        names = ("model", "patients", "against", "times_ours", "goal", "met", "log_likelihood", "repeats")
        out.append("| " + " | ".join(str((line | shown)[name]) for name in names) + " |")
    if max(int(str(line["patients"])) for line in lines) < LARGE:
        goals = "where lme4 is to take 150 times as long as ours, and nlme 200"
        notes = [*notes, f"not run: {LARGE:,} patients (`--large`), {goals}"]
    return "\n".join([*out, "", *(f"- {note}" for note in notes), ""])


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--patience", type=float, default=3.0, help="seconds; slower fits run once")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="patients")
    parser.add_argument("--large", action="store_true", help="also 100,000 patients")
    parser.add_argument("--no-peers", action="store_true", help="ours alone: scaling and memory")
    parser.add_argument("--print-only", action="store_true", help="write no files")
    options = parser.parse_args(arguments)
    options.sizes += [LARGE] * options.large
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    r = R() if shutil.which("Rscript") and not options.no_peers else None
    for warm_up in (ours, statsmodels):  # what is imported or compiled on first use is not timed
        warm_up(draw(50), "slope+car1" if warm_up is ours else "slope", "ml")
    said = versions(r)
    lines, notes = fits(options, r)
    lines += predictions(options, r)
    lines += whole_verdict(options, r)
    notes += memory(max(options.sizes))
    notes += where_time_goes(150) + where_time_goes(10_000)
    if r is not None:
        r.close()
    text = markdown(lines, notes, said, " ".join(["python benchmarks/run.py", *arguments]))
    if not options.print_only:
        (HERE / "results.md").write_text(text, encoding="utf-8")
        with (HERE / "results.csv").open("w", newline="", encoding="utf-8") as handle:
            writer = csv.DictWriter(handle, lines[0].keys(), lineterminator="\n")
            writer.writeheader()
            writer.writerows(lines)
    print(text)


if __name__ == "__main__":
    main(sys.argv[1:])
