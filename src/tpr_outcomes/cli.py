"""The ``tpr`` command: a few lines over a public function each.

Answers go to standard output; progress, warnings and refusals to standard error. Exit codes are those of
:mod:`tpr_outcomes.errors` (docs/exit-codes.md). Heavy libraries are imported inside the commands, so that
``tpr --help`` is quick.
"""

from __future__ import annotations

import json as jsonlib
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.main import get_command

from tpr_outcomes import __version__
from tpr_outcomes.errors import EXIT_OK, DataError, OutputError, TprError

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from tpr_outcomes.cohort.columns import Columns
    from tpr_outcomes.cohort.rules import Problem
    from tpr_outcomes.cohort.visits import Visits

EXIT_UNEXPECTED = 1
MOST_SHOWN = 200
"""With more problems than this they are listed by rule, not one by one."""
PLAIN_WIDTH = 160
"""Width of tables when the output is not a terminal."""

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Does a clinic's own record support a cumulative twitch threshold: yes, no, or it cannot tell.",
    epilog="Exit codes: 0 done, 1 unexpected, 2 usage, 3 file, 4 data, 5 plan, 6 output, 7 data set, 8 fit.",
)

Source = Annotated[
    str, typer.Argument(help="A CSV or Excel file, example:threshold, example:nothing, or vickers.")
]
PlanFile = Annotated[Path | None, typer.Option("--plan", help="TOML file with the settings of the analysis.")]
ColumnsFile = Annotated[
    Path | None, typer.Option("--columns", help="TOML file whose [columns] say what your columns are called.")
]
Sheet = Annotated[str | None, typer.Option("--sheet", help="Sheet of a workbook.")]
Workers = Annotated[int, typer.Option("--workers", help="Processes; the numbers do not depend on it.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the random numbers.")]
StudyFolder = Annotated[Path, typer.Option("--out", help="Folder for tables and study.json.")]
Bootstrap = Annotated[int, typer.Option("--bootstrap", help="Bootstrap replicates inside each verdict.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def _show_version(asked: bool) -> None:
    if asked:
        print(f"tpr-outcomes {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and stop.", callback=_show_version, is_eager=True),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an unexpected error arose.")] = False,
) -> None:
    """Settings of every command."""
    del version, debug  # the one is done with by now; main() looks for the other


@app.command()
def evaluate(
    source: Source,
    out: Annotated[Path, typer.Option("--out", help="Folder for the report; an earlier report is replaced.")],
    plan: PlanFile = None,
    columns: ColumnsFile = None,
    sheet: Sheet = None,
    dose: Annotated[
        str | None, typer.Option("--dose", help="What is added up: twitches, insertions, sites or sessions.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of the random numbers.")] = None,
    replicates: Annotated[int | None, typer.Option("--replicates", help="Bootstrap replicates.")] = None,
    self_check: Annotated[
        int | None, typer.Option("--self-check", help="Try the test on so many simulated clinics like yours.")
    ] = None,
    workers: Workers = 1,
) -> None:
    """Test the record and write a report: report.html, verdict.json, tables, figures, manifest."""
    from tpr_outcomes import analysis
    from tpr_outcomes.reporting.bundle import write_report
    from tpr_outcomes.reporting.folder import require_writable

    require_writable(out)
    settings = analysis.AnalysisPlan.load(
        plan, dose=dose, seed=seed, replicates=replicates, self_check=self_check
    )
    with _progress() as tell:
        tell("reading", 0.0)
        visits, settings = analysis.open_record(source, settings, columns=_columns(columns), sheet=sheet)
        result = analysis.evaluate(
            visits, settings, workers=workers, progress=lambda what, share: tell(what, 0.1 + 0.3 * share)
        )
        page = write_report(result, out, progress=lambda what, share: tell(what, 0.4 + 0.6 * share))
    _say_warnings(visits, source)
    data = result.to_dict()["data"]
    print(_account(data if isinstance(data, dict) else {}))
    print("\n".join(["", result.sentence, *result.self_check_sentences, "", f"Report: {out / page.name}"]))


@app.command()
def check(
    source: Source,
    plan: PlanFile = None,
    columns: ColumnsFile = None,
    sheet: Sheet = None,
    json: AsJson = False,
) -> None:
    """List everything that is wrong with a file, and what to do about each."""
    from tpr_outcomes import analysis

    settings = analysis.AnalysisPlan.load(plan)
    report = analysis.check_record(source, settings, columns=_columns(columns), sheet=sheet)
    if json:
        rows = report.to_frame().to_dict(orient="records")
        head = {"schema": "tpr-outcomes/check/1", "ok": report.ok, "rows": report.n_rows}
        head |= {"patients": report.n_patients, "columns": report.columns, "guess": report.guess}
        print(jsonlib.dumps({**head, "problems": rows}, indent=2, ensure_ascii=False))
    else:
        _say_problems(report.problems, sys.stdout)
        errors, warnings = len(report.errors), len(report.warnings)
        print(f"{_count(report.n_rows, 'row')}, {_count(report.n_patients, 'patient').lower()}.")
        print(
            f"{_count(errors, 'error')}, {_count(warnings, 'warning').lower()}: {_outcome(errors, warnings)}"
        )
    raise typer.Exit(EXIT_OK if report.ok else DataError.exit_code)


@app.command()
def describe(
    source: Source,
    plan: PlanFile = None,
    columns: ColumnsFile = None,
    sheet: Sheet = None,
    json: AsJson = False,
) -> None:
    """Describe the record before any model: who is in it, ratings by visit, who stopped."""
    from tpr_outcomes import analysis
    from tpr_outcomes.cohort.describe import attrition, by_visit, table_one

    settings = analysis.AnalysisPlan.load(plan)
    visits, _ = analysis.open_record(source, settings, columns=_columns(columns), sheet=sheet)
    frames = {
        "Patients": table_one(visits).to_frame(),
        "Ratings by visit": by_visit(visits).to_frame(),
        "Who stopped": attrition(visits).to_frame(),
    }
    if json:
        keys = ("patients", "by_visit", "attrition")
        records = {
            k: jsonlib.loads(f.to_json(orient="records")) for k, f in zip(keys, frames.values(), strict=True)
        }
        print(jsonlib.dumps(records, indent=2, ensure_ascii=False))
        return
    _say_warnings(visits, source)
    for title, frame in frames.items():
        _table(title, list(frame.columns), _rows(frame))


@app.command()
def claims(json: AsJson = False) -> None:
    """List the thirty claims of the clinic's page, and what each would need."""
    from dataclasses import asdict

    from tpr_outcomes.reporting.claim_rows import CLAIMS

    if json:
        print(jsonlib.dumps([asdict(claim) for claim in CLAIMS], indent=2, ensure_ascii=False))
        return
    rows = [[c.id, c.kind, c.quote, "; ".join(c.needs) or "nothing would do", c.refuted_if] for c in CLAIMS]
    _table("The thirty claims", ["id", "class", "the page says", "needs", "refuted if"], rows)
    print(
        "Class A: descriptive; B: only under causal assumptions; C: needs chance assignment or data from "
        "elsewhere; D: not a question for data."
    )


@app.command()
def simulate(
    world: Annotated[str, typer.Argument(help="A world, for example N4 or A-thr40; or: list")],
    patients: Annotated[int, typer.Option("--patients", help="Number of patients.")] = 150,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the random numbers.")] = 1,
    out: Annotated[Path | None, typer.Option("--out", help="CSV file; the truth goes beside it.")] = None,
) -> None:
    """Write a clinic whose truth is known, to try things on."""
    from tpr_outcomes.planning.simulate import to_file
    from tpr_outcomes.planning.worlds import WORLDS

    if world == "list":
        _table(
            "Worlds", ["world", "what is true in it"], [[name, w.description] for name, w in WORLDS.items()]
        )
        return
    if out is None:
        raise typer.BadParameter("name the file to write, for example --out clinic.csv", param_hint="--out")
    if out.exists() and not out.with_suffix(".truth.json").exists():
        raise OutputError(
            f"{out} is there already and was not simulated. Name another file, or move it away."
        )
    made = to_file(world, out, n_patients=patients, seed=seed)
    print(f"{made.rows} visits of {made.patients} patients: {made.data} (the truth: {made.truth})")


@app.command()
def calibrate(
    seed: Seed,
    out: StudyFolder,
    worlds: Annotated[
        str, typer.Option("--worlds", help="Worlds with commas between, or: all (tpr simulate list).")
    ] = "all",
    patients: Annotated[
        str, typer.Option("--patients", help="Patients:clinics, with commas between.")
    ] = "60:500,150:1000,400:500",
    workers: Workers = 1,
    bootstrap: Bootstrap = 399,
) -> None:
    """Measure how often each verdict comes out where the truth is known; carries on where it stopped."""
    from tpr_outcomes.reporting.studies import calibration_study

    with _progress() as tell:
        table = calibration_study(
            out,
            worlds=worlds,
            patients=patients,
            seed=seed,
            bootstrap=bootstrap,
            workers=workers,
            progress=lambda done, of: tell("judging simulated clinics", done / of),
        )
    shown = ["world", "patients", "clinics", "threshold_supported", "supported_mcse", "supported_high"]
    _table("Threshold supported, percent", shown, _rows(table[shown]))
    print(f"All numbers: {out / 'operating-characteristics.csv'}")


@app.command()
def power(
    seed: Seed,
    out: StudyFolder,
    patients: Annotated[str, typer.Option("--patients", help="Patients, commas between.")] = "60,150,400",
    visits: Annotated[str, typer.Option("--visits", help="Visits planned, commas between.")] = "12",
    thresholds: Annotated[str, typer.Option("--thresholds", help="Twitches, commas between.")] = "30",
    slopes: Annotated[
        str, typer.Option("--slopes", help="Points per twitch past it; relief is negative.")
    ] = "-0.05",
    target: Annotated[int, typer.Option("--target", help="Twitch target, against 0, by lot.")] = 8,
    only: Annotated[str, typer.Option("--only", help="observed or randomised; both if not given.")] = "",
    world: Annotated[str, typer.Option("--world", help="How the clinic works, without an effect.")] = "N4",
    clinics: Annotated[int, typer.Option("--clinics", help="Simulated clinics of each kind.")] = 200,
    workers: Workers = 1,
    bootstrap: Bootstrap = 399,
) -> None:
    """How many patients and visits to tell a threshold from a line, from levelling off, from nothing?"""
    from tpr_outcomes.reporting.studies import power_rows, power_study

    with _progress() as tell:
        result = power_study(
            out,
            patients=patients,
            visits=visits,
            thresholds=thresholds,
            slopes=slopes,
            only=only,
            target=target,
            world=world,
            clinics=clinics,
            seed=seed,
            bootstrap=bootstrap,
            workers=workers,
            progress=lambda done, of: tell("judging simulated clinics", done / of),
        )
    rows = power_rows(result)
    _table(
        "Percent of clinics (± Monte Carlo standard error)", list(rows[0]), [list(r.values()) for r in rows]
    )
    print(f"All numbers: {out / 'power.csv'}; figure: {out / 'power.svg'}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the program's name; those of the process by default.

    Returns
    -------
    int
        0, or the exit code of what went wrong (docs/exit-codes.md).
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        get_command(app)(args=arguments, prog_name="tpr")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else EXIT_UNEXPECTED if ended.code else EXIT_OK
    except TprError as error:
        _refuse(error)
        return error.exit_code
    except Exception as error:
        if "--debug" in arguments:
            raise
        # Its words may quote the data, so only its kind is shown.
        print(
            f"tpr: something unexpected went wrong ({type(error).__name__}); this should not happen. "
            "To see where, run it again with: tpr --debug … (what that shows may quote your data).",
            file=sys.stderr,
        )
        return EXIT_UNEXPECTED
    return EXIT_OK


# --- what goes to the screen ----------------------------------------------------------------------


def _columns(path: Path | None) -> Columns | None:
    from tpr_outcomes.cohort.columns import Columns

    return None if path is None else Columns.from_toml(path)


def _quiet(what: str, share: float) -> None:
    """Tell nobody."""


@contextmanager
def _progress() -> Iterator[Callable[[str, float], None]]:
    """Yield a function that says what is done and how far: a bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield _quiet
        return
    from rich.progress import BarColumn, Progress, TextColumn

    console = _console(sys.stderr)
    with Progress(TextColumn("{task.description:<45}"), BarColumn(), console=console, transient=True) as bar:
        task = bar.add_task("starting", total=1.0)
        yield lambda what, share: bar.update(task, description=what, completed=share)


def _console(stream: Any) -> Console:
    from rich.console import Console

    plain = not stream.isatty()
    return Console(
        file=stream, highlight=False, markup=False, emoji=False, width=PLAIN_WIDTH if plain else None
    )


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], stream: Any = None) -> None:
    """Print a table; cells are text, whatever signs they hold."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD)
    for name in head:
        table.add_column(Text(name), overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    _console(stream or sys.stdout).print(table)


def _refuse(error: TprError) -> None:
    """Say on standard error what was refused; problems of a file as a table."""
    problems = getattr(error, "problems", ())
    if not problems:
        print(f"tpr: {error}", file=sys.stderr)
        return
    _say_problems(problems, sys.stderr)
    found = Counter(problem.severity for problem in problems)
    print(
        f"tpr: {_count(found['error'], 'error')}: {_outcome(found['error'], found['warning'])}",
        file=sys.stderr,
    )


def _say_problems(problems: Sequence[Problem], stream: Any) -> None:
    """List problems one by one, or by rule where there are very many."""
    if not problems:
        return
    if len(problems) > MOST_SHOWN:
        head = ["severity", "places", "first", "rule", "what", "what to do"]
        _table("Problems by rule", head, _by_rule(problems), stream)
        return
    head = ["severity", "where", "rule", "what", "what to do"]
    rows = [[p.severity, p.address, p.rule, p.message, p.remedy] for p in problems]
    _table("Problems", head, rows, stream)


def _by_rule(problems: Sequence[Problem]) -> list[list[str]]:
    """One row per rule, errors first: how often, where first, what and what to do."""
    groups: dict[tuple[str, str], list[Problem]] = {}
    for problem in sorted(problems, key=lambda p: p.severity):
        groups.setdefault((problem.severity, problem.rule), []).append(problem)
    return [
        [severity, str(len(found)), found[0].address, rule, found[0].message, found[0].remedy]
        for (severity, rule), found in groups.items()
    ]


def _say_warnings(visits: Visits, source: str) -> None:
    """Say on standard error, rule by rule, what in the record deserves a look."""
    for _, places, first, rule, message, _ in _by_rule(visits.problems):
        where = first if places == "1" else f"{places} places, first {first}"
        print(f"Warning ({rule}): {message} [{where}]", file=sys.stderr)
    if visits.problems:
        print(f"See them all with: tpr check {source}", file=sys.stderr)


def _account(data: dict[str, Any]) -> str:
    """What went in and what was left out, in two lines at most."""
    used = (
        f"{data['patients']} patients, {data['visits']} visits; {data['ratings']} ratings used as outcomes."
    )
    left = "; ".join(f"{entry['reason']} ({entry['count']})" for entry in data["left_out"])
    total = sum(entry["count"] for entry in data["left_out"])
    return f"{used}\n{_count(total, 'row')} left out{': ' + left if left else ''}."


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n or 'No'} {noun}s"


def _outcome(errors: int, warnings: int) -> str:
    if errors:
        return "mend the errors, then the file can be read."
    return "the file can be read; look at the warnings." if warnings else "the file can be read."


def _rows(frame: pd.DataFrame) -> list[tuple[str, ...]]:
    """Write a frame's rows, cell by cell."""
    return list(zip(*(_cells(frame[name]) for name in frame.columns), strict=True))


def _cells(column: pd.Series[Any]) -> list[str]:
    """Write a column: two decimals where any number has some, nothing where there is no number."""
    values = list(column)
    broken = any(isinstance(value, float) and math.isfinite(value) and value % 1 for value in values)
    return [
        str(value)
        if not isinstance(value, float)
        else ""
        if math.isnan(value)
        else f"{value:.2f}"
        if broken
        else f"{value:.0f}"
        for value in values
    ]
