"""What the commands share: options, tables and messages on the screen.

Answers go to standard output; progress, warnings and refusals to standard error. Heavy libraries are
imported inside functions, so that ``tpr --help`` is quick.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tpr_outcomes.cohort.links import shown
from tpr_outcomes.errors import PlanError, TprError

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from tpr_outcomes.cohort.columns import Columns
    from tpr_outcomes.cohort.problems import Problem
    from tpr_outcomes.cohort.record import Record

SEVERITIES = ("error", "warning", "note")
"""Kinds of problems, in the order in which they are listed."""
MOST_SHOWN = 200
"""With more problems than this they are listed by rule, not one by one."""
PLAIN_WIDTH = 160
"""Width of tables when the output is not a terminal."""

Source = Annotated[
    str,
    typer.Argument(
        help="A CSV, Excel or Parquet file, a folder with visits, a duckdb:// or postgresql:// link, "
        "example:threshold, example:nothing, or vickers."
    ),
]
PlanFile = Annotated[Path | None, typer.Option("--plan", help="TOML file with the settings of the analysis.")]
WordsFile = Annotated[
    Path | None,
    typer.Option("--words", help="Translation of the file that tpr words writes; English unless given."),
]
ColumnsFile = Annotated[
    Path | None, typer.Option("--columns", help="TOML file whose [columns] say what your columns are called.")
]
SitesFile = Annotated[
    Path | None, typer.Option("--sites", help="Table of sites: one row per muscle and visit.")
]
ScoresFile = Annotated[
    Path | None,
    typer.Option("--scores", help="Table of questionnaire scores by visit."),
]
DiaryFile = Annotated[Path | None, typer.Option("--diary", help="Table of diary entries after visits.")]
EventsFile = Annotated[
    Path | None, typer.Option("--events", help="Table of adverse events, other treatments, medicine, advice.")
]
PatientsFile = Annotated[Path | None, typer.Option("--patients", help="Table of patients.")]
Sheet = Annotated[str | None, typer.Option("--sheet", help="Sheet of a workbook.")]
Workers = Annotated[int, typer.Option("--workers", help="Processes; the numbers do not depend on it.")]
Scheduler = Annotated[
    str | None,
    typer.Option("--scheduler", help="Address of a Dask scheduler, tcp://host:8786, in place of processes."),
]
Checkpoint = Annotated[
    Path | None,
    typer.Option("--checkpoint", help="File that keeps the self-check's finished clinics, to carry on from."),
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the random numbers.")]
PlanSeed = Annotated[int | None, typer.Option("--seed", help="Seed of the random numbers.")]
PlanDose = Annotated[
    str | None, typer.Option("--dose", help="What is added up: twitches, insertions, sites or sessions.")
]
PlanReplicates = Annotated[int | None, typer.Option("--replicates", help="Bootstrap replicates.")]
StudyFolder = Annotated[Path, typer.Option("--out", help="Folder for tables and study.json.")]
Bootstrap = Annotated[int, typer.Option("--bootstrap", help="Bootstrap replicates inside each verdict.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def who_works(workers: int, scheduler: str | None) -> int | str:
    """Return who is to work: a number of processes, or a scheduler; refused where both were given."""
    from tpr_outcomes.planning.workers import require_workers

    if scheduler is not None and workers != 1:
        raise PlanError(
            "workers and scheduler were both given; the cluster has workers of its own. Leave one out."
        )
    chosen = workers if scheduler is None else scheduler
    require_workers(chosen)
    return chosen


def columns_map(path: Path | None) -> Columns | None:
    """Read the map of column names, if one was given."""
    from tpr_outcomes.cohort.columns import Columns

    return None if path is None else Columns.from_toml(path)


def tables_given(
    sites: Path | None,
    diary: Path | None,
    events: Path | None,
    patients: Path | None,
    scores: Path | None,
) -> dict[str, str]:
    """Files of optional tables that were named."""
    given = {"sites": sites, "diary": diary, "events": events, "patients": patients, "scores": scores}
    return {name: str(path) for name, path in given.items() if path is not None}


def _quiet(what: str, share: float) -> None:
    """Tell nobody."""


@contextmanager
def progress_bar() -> Iterator[Callable[[str, float], None]]:
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


def show_table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], stream: Any = None) -> None:
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


def refuse(error: TprError) -> None:
    """Say on standard error what was refused; problems of a file as a table."""
    problems = getattr(error, "problems", ())
    if not problems:
        print(f"tpr: {error}", file=sys.stderr)
        return
    say_problems(problems, sys.stderr)
    found = Counter(problem.severity for problem in problems)
    print(
        f"tpr: {count(found['error'], 'error')}: {outcome(found['error'], found['warning'])}",
        file=sys.stderr,
    )


def say_problems(problems: Sequence[Problem], stream: Any) -> None:
    """List problems one by one, or by rule where there are very many."""
    if not problems:
        return
    if len(problems) > MOST_SHOWN:
        head = ["severity", "places", "first", "rule", "what", "what to do"]
        show_table("Problems by rule", head, _by_rule(problems), stream)
        return
    head = ["severity", "where", "rule", "what", "what to do"]
    rows = [[p.severity, p.address, p.rule, p.message, p.remedy] for p in problems]
    show_table("Problems", head, rows, stream)


def _by_rule(problems: Sequence[Problem]) -> list[list[str]]:
    """One row per rule, errors first and notes last: how often, where first, what and what to do."""
    groups: dict[tuple[str, str], list[Problem]] = {}
    for problem in sorted(problems, key=lambda p: SEVERITIES.index(p.severity)):
        groups.setdefault((problem.severity, problem.rule), []).append(problem)
    return [
        [severity, str(len(found)), found[0].address, rule, found[0].message, found[0].remedy]
        for (severity, rule), found in groups.items()
    ]


def say_warnings(record: Record, source: str) -> None:
    """Say on standard error, rule by rule, what in the record deserves a look."""
    problems = [*record.visits.problems, *(p for found in record.problems.values() for p in found)]
    for severity, places, first, rule, message, _ in _by_rule(problems):
        where = first if places == "1" else f"{places} places, first {first}"
        kind = "Table not used" if severity == "error" else severity.capitalize()
        print(f"{kind} ({rule}): {message} [{where}]", file=sys.stderr)
    if problems:
        print(f"See them all with: tpr check {shown(source)}", file=sys.stderr)


def count(n: int, noun: str) -> str:
    """Write a number of things: ``1 row``, ``No rows``."""
    return f"{n} {noun}" if n == 1 else f"{n or 'No'} {noun}s"


def outcome(errors: int, warnings: int) -> str:
    """Say what a check comes to."""
    if errors:
        return "mend the errors, then the file can be read."
    return "the file can be read; look at the warnings." if warnings else "the file can be read."


def cells_of(frame: pd.DataFrame) -> list[tuple[str, ...]]:
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
