"""Commands about a record as it stands: is it in order, and what is in it?"""

from __future__ import annotations

import json as jsonlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tpr_outcomes.commands.screen import (
    AsJson,
    ColumnsFile,
    DiaryFile,
    EventsFile,
    PatientsFile,
    PlanFile,
    ScoresFile,
    Sheet,
    SitesFile,
    Source,
    cells_of,
    columns_map,
    count,
    outcome,
    progress_bar,
    say_problems,
    say_warnings,
    show_table,
    tables_given,
)
from tpr_outcomes.errors import EXIT_OK, DataError, SourceError

if TYPE_CHECKING:
    from tpr_outcomes.cohort.registries import RegistryReport

MOST_LISTED = 1000
"""Problems listed in JSON and in an annotated copy unless another number is given."""


def check(
    source: Source,
    plan: PlanFile = None,
    columns: ColumnsFile = None,
    sheet: Sheet = None,
    json: AsJson = False,
    annotate: Annotated[
        Path | None,
        typer.Option("--annotate", help="Write a copy with problem cells coloured and commented (.xlsx)."),
    ] = None,
    fix_map: Annotated[
        bool, typer.Option("--fix-map", help="Propose a columns.toml, with reasons; nothing else is done.")
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="Problems listed at most in JSON and in the copy.")
    ] = MOST_LISTED,
    sites: SitesFile = None,
    diary: DiaryFile = None,
    events: EventsFile = None,
    patients: PatientsFile = None,
    scores: ScoresFile = None,
) -> None:
    """List everything that is wrong with a file, and what to do about each."""
    from tpr_outcomes import analysis
    from tpr_outcomes.cohort.marking import made_by
    from tpr_outcomes.reporting.one_file import require_free, write_whole

    settings = analysis.AnalysisPlan.load(plan)
    tables = tables_given(sites, diary, events, patients, scores)
    mapping = columns_map(columns)
    if fix_map:
        print(analysis.propose_columns(source, settings, columns=mapping, sheet=sheet), end="")
        return
    if annotate is not None:
        require_free(annotate, ours=made_by, source=source)
    report = analysis.check_record(source, settings, columns=mapping, sheet=sheet, tables=tables)
    if annotate is not None:
        write_whole(annotate, analysis.annotate(source, report, most=limit, tables=tables, columns=mapping))
        print(f"Annotated copy: {annotate}", file=sys.stderr)
    if json:
        print(jsonlib.dumps(report.to_dict(most=limit), indent=2, ensure_ascii=False))
    else:
        say_problems(report.problems, sys.stdout)
        errors, warnings = len(report.errors), len(report.warnings)
        print(f"{count(report.n_rows, 'row')}, {count(report.n_patients, 'patient').lower()}.")
        print(f"{count(errors, 'error')}, {count(warnings, 'warning').lower()}: {outcome(errors, warnings)}")
    raise typer.Exit(EXIT_OK if report.ok else DataError.exit_code)


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
    from tpr_outcomes.cohort.record import Record
    from tpr_outcomes.cohort.shown import shown_attrition, shown_by_visit, shown_table_one

    settings = analysis.AnalysisPlan.load(plan)
    visits, _ = analysis.open_record(source, settings, columns=columns_map(columns), sheet=sheet)
    fewest = settings.smallest_count
    frames = {
        "Patients": shown_table_one(table_one(visits), fewest),
        "Ratings by visit": shown_by_visit(by_visit(visits), fewest),
        "Who stopped": shown_attrition(attrition(visits), fewest),
    }
    if json:
        keys = ("patients", "by_visit", "attrition")
        records = {
            k: jsonlib.loads(f.to_json(orient="records")) for k, f in zip(keys, frames.values(), strict=True)
        }
        print(jsonlib.dumps(records, indent=2, ensure_ascii=False))
        return
    say_warnings(Record(visits), source)
    for title, frame in frames.items():
        show_table(title, list(frame.columns), cells_of(frame))


def derive(
    source: Annotated[
        Path, typer.Argument(help="A Parquet file of any size, one row per patient and visit.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Parquet file with the dose before every rating.")
    ] = None,
    plan: PlanFile = None,
    columns: ColumnsFile = None,
    patients: Annotated[
        int | None, typer.Option("--patients", min=1, help="So many patients, drawn by lot, in place of all.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the lot.")] = 1,
    memory: Annotated[
        int, typer.Option("--memory", min=64, help="Megabytes DuckDB may use; the rest goes to the disk.")
    ] = 384,
    json: AsJson = False,
) -> None:
    """Check a Parquet file larger than memory, and derive the dose before every rating."""
    from tpr_outcomes import analysis
    from tpr_outcomes.cohort.registries import derive_registry, made_by
    from tpr_outcomes.cohort.sources_tables import is_parquet
    from tpr_outcomes.reporting.one_file import require_free

    if not is_parquet(source):
        raise SourceError(
            f"{source} is no Parquet file by its name; tpr check and tpr describe read other kinds."
        )
    if out is not None:
        require_free(out, ours=made_by, source=source)
    settings = analysis.AnalysisPlan.load(plan)
    with progress_bar() as tell:
        report = derive_registry(
            source, out, columns=columns_map(columns), scale=settings.scale, rated=settings.rated,
            dose=settings.dose, patients=patients, seed=seed, memory_mb=memory, progress=tell,
        )  # fmt: skip
    if json:
        print(jsonlib.dumps(report.to_dict(), indent=2, ensure_ascii=False))
    else:
        _say_registry(report, settings.smallest_count)
        if out is not None:
            print(f"Doses before every rating: {out}")
    raise typer.Exit(EXIT_OK if report.ok else DataError.exit_code)


def _say_registry(report: RegistryReport, fewest: int) -> None:
    """Print what was found in a record taken piece by piece."""
    head = ["severity", "places", "first", "rule", "what", "what to do"]
    rows = [
        [
            found.severity,
            f"{found.count:,}",
            "; ".join(found.addresses),
            found.rule,
            found.message,
            found.remedy,
        ]
        for found in report.by_rule.values()
    ]
    if rows:
        show_table("Problems by rule", head, rows)
    seen = report.by_visit[report.by_visit["n"] >= fewest]
    if len(seen):
        show_table("Ratings by visit", list(seen.columns), cells_of(seen))
    print(f"{count(report.rows, 'row')}, {count(report.patients, 'patient').lower()}.")
    print(f"{count(report.ratings, 'rating')} with a known dose before them.")
    errors, warnings = report.count("error"), report.count("warning")
    print(f"{count(errors, 'error')}, {count(warnings, 'warning').lower()}: {outcome(errors, warnings)}")
