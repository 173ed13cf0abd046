"""What a verdict and a million visits cost, and how much faster two workers are than one.

Writes benchmarks/scaling.csv and benchmarks/scaling.md. Ratios are what lasts; the unit costs are those of
one core of the machine that is named in the table, and are there to be multiplied (docs/scaling.md).

    PYTHONPATH=src nice -n -5 .venv/bin/python benchmarks/scaling.py
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tpr_outcomes.analysis import evaluate
from tpr_outcomes.cohort.visits import read_visits
from tpr_outcomes.inference.evidence import decide, gather_evidence
from tpr_outcomes.planning.operating import Replicate, Task, run_replicate
from tpr_outcomes.planning.pieces import fingerprint, one_thread, run_piece
from tpr_outcomes.planning.simulate import simulate
from tpr_outcomes.planning.workers import run_in_order
from tpr_outcomes.reporting.bundle import contents

HERE = Path(__file__).resolve().parent
PATIENTS, BOOTSTRAP, CHUNK = 150, 399, 5


def once(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def timed(task: Task) -> tuple[Replicate, int, float]:
    """A replicate, who made it, and the CPU seconds it took."""
    began = time.process_time()
    return run_replicate(task), os.getpid(), time.process_time() - began


def scaling(clinics: int, repeats: int) -> list[dict[str, object]]:
    """One worker and two, in turn: one, two, two, one, … so that a busy minute meets both."""
    tasks = [Task("N4", PATIENTS, index, BOOTSTRAP, 1) for index in range(clinics)]
    list(run_in_order(timed, tasks[:8], workers=2, chunk=2))  # processes started, code loaded
    timed(tasks[0])
    rows: list[dict[str, object]] = []
    for repeat in range(repeats):
        wall: dict[int, float] = {}
        busiest: dict[int, float] = {}
        answers: dict[int, object] = {}
        for workers in (1, 2) if repeat % 2 == 0 else (2, 1):
            began = time.perf_counter()
            done = list(run_in_order(timed, tasks, workers=workers, chunk=CHUNK))
            wall[workers] = time.perf_counter() - began
            answers[workers] = [result for result, _, _ in done]
            who = {process for _, process, _ in done}
            busiest[workers] = max(sum(cpu for _, p, cpu in done if p == process) for process in who)
        assert answers[1] == answers[2], "the numbers depend on the number of workers"
        for what, taken in (("wall time", wall), ("CPU time of the busiest worker", busiest)):
            row = {"what": f"two workers over one, {what}", "repeat": repeat + 1, "unit": "ratio"}
            rows.append(row | {"value": taken[1] / taken[2]})
        load = os.getloadavg()[0]
        print(rows[-2:], f"one {wall[1]:.1f} s, two {wall[2]:.1f} s, load {load:.1f}", flush=True)
    return rows


def verdicts(clinics: int, repeats: int) -> list[dict[str, object]]:
    """CPU milliseconds of one simulated clinic and its verdict, on one core."""
    rows: list[dict[str, object]] = []
    for repeat in range(repeats):
        tasks = [Task("N4", PATIENTS, 1000 * repeat + i, BOOTSTRAP, 1) for i in range(clinics)]
        _, cpu = once(partial(run_piece, run_replicate, 0, tasks))
        rows.append(
            {
                "what": "verdict n=150 B=399",
                "repeat": repeat + 1,
                "value": 1000 * cpu / clinics,
                "unit": "CPU ms",
            }
        )
        print(rows[-1], flush=True)
    return rows


def reports(repeats: int) -> list[dict[str, object]]:
    """CPU seconds of a clinic's whole report, as `tpr evaluate` and `tpr evaluate-many` make it."""
    visits = simulate("N4", n_patients=PATIENTS, seed=1)
    contents(evaluate(visits))  # code loaded and compiled
    rows: list[dict[str, object]] = []
    for repeat in range(repeats):
        _, cpu = once(lambda: contents(evaluate(visits)))
        rows.append({"what": f"report n={PATIENTS}", "repeat": repeat + 1, "value": cpu, "unit": "CPU s"})
        print(rows[-1], flush=True)
    return rows


def read_and_judge(path: str) -> None:
    """Read a file of visits and judge it; prints CPU seconds of both, visits, and memory added, in MB."""
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with one_thread():
        began = time.process_time()
        visits = read_visits(path)
        read = time.process_time()
        decide(gather_evidence(visits, replicates=BOOTSTRAP, seed=1))
        judged = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(read - began, judged - read, len(visits.table), (peak - base) / 1024)


def large(patients: int, repeats: int) -> list[dict[str, object]]:
    """Cost of a million visits, each time in a process of its own so that memory is that of the job."""
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clinic.csv"
        table = simulate("N4", n_patients=patients, seed=1).table
        names = [
            name for name in ("patient", "visit", "weeks", "pain", "twitches", "insertions") if name in table
        ]
        table[names].to_csv(path, index=False)
        small = Path(folder) / "small.csv"
        table[names][table["patient"] < 500].to_csv(small, index=False)
        root = HERE.parent
        settings = os.environ | {"PYTHONPATH": os.pathsep.join([str(root / "src"), str(root)])}
        code = "import sys; from benchmarks.scaling import read_and_judge as f; [f(p) for p in sys.argv[1:]]"
        for repeat in range(repeats):
            said = subprocess.run(
                [sys.executable, "-c", code, str(small), str(path)],
                env=settings, capture_output=True, text=True, check=True,
            ).stdout.split("\n")[1]  # fmt: skip
            reading, judging, visits, memory = map(float, said.split())
            million = visits / 1e6
            for what, value, unit in (
                ("a million visits, read", reading / million, "CPU s"),
                ("a million visits, judged", judging / million, "CPU s"),
                ("a million visits, memory", memory / 1024 / million, "GiB added"),
            ):
                rows.append(
                    {"what": what, "repeat": repeat + 1, "value": value, "unit": unit, "visits": int(visits)}
                )
                print(rows[-1], flush=True)
    return rows


def write(rows: list[dict[str, object]], command: str) -> None:
    """Write every repeat as CSV, and medians with their range as a page."""
    with (HERE / "scaling.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["what", "repeat", "value", "unit"])
        writer.writerows([r["what"], r["repeat"], f"{r['value']:.4g}", r["unit"]] for r in rows)
    made = fingerprint()
    lines = [
        "# Scaling, measured",
        "",
        f"Made by `{command}`; {os.cpu_count()} cores ({platform.machine()}, {made['matrix libraries']}),",
        f"Python {made['python']}, numpy {made['numpy']}, scipy {made['scipy']}, numba {made['numba']}.",
        "Medians over repeats, with the smallest and largest. CPU times are of one core. The ratio is of",
        "wall times, one worker and two in turn, on a machine that had other work as well.",
        "",
        "| what | median | smallest | largest | unit | repeats |",
        "|---|---|---|---|---|---|",
    ]
    for what in dict.fromkeys(str(r["what"]) for r in rows):
        values = [float(str(r["value"])) for r in rows if r["what"] == what]
        unit = next(r["unit"] for r in rows if r["what"] == what)
        numbers = [statistics.median(values), min(values), max(values)]
        lines.append(
            f"| {what} | " + " | ".join(f"{n:.3g}" for n in numbers) + f" | {unit} | {len(values)} |"
        )
    (HERE / "scaling.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clinics", type=int, default=100, help="verdicts per repeat")
    parser.add_argument("--patients", type=int, default=100_000, help="of the large clinic")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--only", default="", help="scaling, verdicts, reports or large; implies --print-only"
    )
    parser.add_argument("--print-only", action="store_true")
    given = parser.parse_args()
    jobs: dict[str, Callable[[], list[dict[str, object]]]] = {
        "scaling": lambda: scaling(given.clinics, given.repeats),
        "verdicts": lambda: verdicts(given.clinics, given.repeats),
        "reports": lambda: reports(given.repeats),
        "large": lambda: large(given.patients, given.repeats),
    }
    rows = [row for name, job in jobs.items() if given.only in ("", name) for row in job()]
    if not given.print_only and not given.only:
        write(rows, " ".join(["benchmarks/scaling.py", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
