"""Commands about a record as it stands: is it in order, and what is in it?"""

from __future__ import annotations

import json as jsonlib
import sys

import typer

from tpr_outcomes.commands.screen import (
    AsJson,
    ColumnsFile,
    DiaryFile,
    EventsFile,
    PatientsFile,
    PlanFile,
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


def check(
    source: Source,
    plan: PlanFile = None,
    columns: ColumnsFile = None,
    sheet: Sheet = None,
    json: AsJson = False,
    sites: SitesFile = None,
    diary: DiaryFile = None,
    events: EventsFile = None,
    patients: PatientsFile = None,
) -> None:
    """List everything that is wrong with a file, and what to do about each."""
    from tpr_outcomes import analysis

    settings = analysis.AnalysisPlan.load(plan)
    tables = tables_given(sites, diary, events, patients)
    report = analysis.check_record(source, settings, columns=columns_map(columns), sheet=sheet, tables=tables)
    if json:
        rows = report.to_frame().to_dict(orient="records")
        head = {"schema": "tpr-outcomes/check/1", "ok": report.ok, "rows": report.n_rows}
        head |= {"patients": report.n_patients, "columns": report.columns, "guess": report.guess}
        print(jsonlib.dumps({**head, "problems": rows}, indent=2, ensure_ascii=False))
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

    settings = analysis.AnalysisPlan.load(plan)
    visits, _ = analysis.open_record(source, settings, columns=columns_map(columns), sheet=sheet)
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
    say_warnings(Record(visits), source)
    for title, frame in frames.items():
        show_table(title, list(frame.columns), cells_of(frame))
