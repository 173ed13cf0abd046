"""Commands about a record as it stands: is it in order, and what is in it?"""

from __future__ import annotations

import json as jsonlib
import sys
from pathlib import Path
from typing import Annotated

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
    say_problems,
    say_warnings,
    show_table,
    tables_given,
)
from tpr_outcomes.errors import EXIT_OK, DataError

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
