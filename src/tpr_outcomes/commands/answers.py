"""Commands that answer: what does the record say of the claims?"""

from __future__ import annotations

import json as jsonlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tpr_outcomes.commands.screen import (
    AsJson,
    Checkpoint,
    ColumnsFile,
    DiaryFile,
    EventsFile,
    PatientsFile,
    PlanDose,
    PlanFile,
    PlanReplicates,
    PlanSeed,
    Scheduler,
    ScoresFile,
    Sheet,
    SitesFile,
    Source,
    WordsFile,
    Workers,
    columns_map,
    count,
    progress_bar,
    say_warnings,
    show_table,
    tables_given,
    who_works,
)
from tpr_outcomes.errors import SomeFailedError


def evaluate(
    source: Source,
    out: Annotated[Path, typer.Option("--out", help="Folder for the report; an earlier report is replaced.")],
    plan: PlanFile = None,
    columns: ColumnsFile = None,
    sheet: Sheet = None,
    dose: PlanDose = None,
    seed: PlanSeed = None,
    replicates: PlanReplicates = None,
    self_check: Annotated[
        int | None, typer.Option("--self-check", help="Try the test on so many simulated clinics like yours.")
    ] = None,
    workers: Workers = 1,
    scheduler: Scheduler = None,
    checkpoint: Checkpoint = None,
    sites: SitesFile = None,
    diary: DiaryFile = None,
    events: EventsFile = None,
    patients: PatientsFile = None,
    scores: ScoresFile = None,
    words: WordsFile = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="Print report.pdf too; takes a Chromium.")] = False,
) -> None:
    """Test the record and write a report: report.html, verdict.json, tables, figures, manifest."""
    from tpr_outcomes import analysis
    from tpr_outcomes.planning.workers import require_reachable
    from tpr_outcomes.reporting.bundle import left_undone, write_report
    from tpr_outcomes.reporting.catalogue import Translation
    from tpr_outcomes.reporting.folder import require_writable
    from tpr_outcomes.reporting.pdf import find_browser

    require_writable(out)
    translation = None if words is None else Translation.read(words)
    who = who_works(workers, scheduler)
    if pdf:
        find_browser()
    settings = analysis.AnalysisPlan.load(
        plan, dose=dose, seed=seed, replicates=replicates, self_check=self_check
    )
    if settings.self_check:
        require_reachable(who)
    with progress_bar() as tell:
        tell("reading", 0.0)
        tables = tables_given(sites, diary, events, patients, scores)
        record, settings = analysis.open_tables(
            source, settings, columns=columns_map(columns), sheet=sheet, tables=tables
        )
        result = analysis.evaluate(
            record,
            settings,
            workers=who,
            checkpoint=checkpoint,
            words=translation,
            progress=lambda what, share: tell(what, 0.1 + 0.3 * share),
        )
        page = write_report(result, out, pdf=pdf, progress=lambda what, share: tell(what, 0.4 + 0.6 * share))
    say_warnings(record, source)
    data = result.to_dict()["data"]
    print(_account(data if isinstance(data, dict) else {}))
    print("\n".join(["", result.sentence, *result.self_check_sentences, "", f"Report: {out / page.name}"]))
    for sentence in left_undone():
        print(sentence, file=sys.stderr)


def evaluate_many(
    registry: Annotated[
        Path,
        typer.Argument(
            help="A folder of clinics' files; a list (CSV, TOML: label, path, columns); a table, with --by."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the reports; an earlier run carries on.")],
    by: Annotated[
        str | None, typer.Option("--by", help="Column that says which clinic a row of one table is of.")
    ] = None,
    plan: PlanFile = None,
    columns: ColumnsFile = None,
    dose: PlanDose = None,
    seed: PlanSeed = None,
    replicates: PlanReplicates = None,
    self_check: Annotated[
        int | None, typer.Option("--self-check", help="Try the test on so many simulated clinics like each.")
    ] = None,
    workers: Workers = 1,
    scheduler: Scheduler = None,
) -> None:
    """Judge every clinic of a registry: a report each, an index, and partial pooling across them."""
    from tpr_outcomes.analysis import AnalysisPlan
    from tpr_outcomes.registry import FAILED, evaluate_many
    from tpr_outcomes.reporting import words_clinics as say

    settings = AnalysisPlan.load(plan, dose=dose, seed=seed, replicates=replicates, self_check=self_check)
    with progress_bar() as tell:
        found = evaluate_many(
            registry,
            out,
            settings,
            by=by,
            columns=columns_map(columns),
            workers=who_works(workers, scheduler),
            progress=lambda done, of: tell("judging clinics", done / of),
        )
    all_of_them = len(found.rows) + found.failed
    shown = ("label", "verdict", "patients", "threshold", "conf_low", "conf_high")
    show_table("Clinics", shown, [["" if r[k] is None else str(r[k]) for k in shown] for r in found.rows])
    print(say.DONE.format(all=all_of_them, ran=found.ran, kept=found.kept, failed=found.failed))
    print(f"Index: {out / 'index.csv'}; together: {out / 'pooled.json'}")
    print(say.NO_PAGE.format(why=found.no_page) if found.page is None else f"Page: {found.page}")
    if found.failed:
        raise SomeFailedError(
            say.SUMMARY.format(
                failed=found.failed, all=all_of_them, file=out / FAILED, index=out / "index.csv"
            )
        )


def claims(json: AsJson = False) -> None:
    """List the thirty claims of the clinic's page, and what each would need."""
    from dataclasses import asdict

    from tpr_outcomes.reporting.claim_rows import CLAIMS

    if json:
        print(jsonlib.dumps([asdict(claim) for claim in CLAIMS], indent=2, ensure_ascii=False))
        return
    rows = [[c.id, c.kind, c.quote, "; ".join(c.needs) or "nothing would do", c.refuted_if] for c in CLAIMS]
    show_table("The thirty claims", ["id", "class", "the page says", "needs", "refuted if"], rows)
    print(
        "Class A: descriptive; B: only under causal assumptions; C: needs chance assignment or data from "
        "elsewhere; D: not a question for data."
    )


def _account(data: dict[str, Any]) -> str:
    """What went in and what was left out, in two lines at most."""
    used = (
        f"{_told(data['patients_analysed'])} patients, {_told(data['visits'])} visits; "
        f"{_told(data['ratings'])} ratings used as outcomes."
    )
    counts = [entry["count"] for entry in data["left_out"]]
    left = "; ".join(f"{entry['reason']} ({_told(entry['count'])})" for entry in data["left_out"])
    total = "Rows" if None in counts else count(sum(counts), "row")
    return f"{used}\n{total} left out{': ' + left if left else ''}."


def _told(n: int | None) -> str:
    """Write a count, and that it is withheld where it is."""
    return "withheld" if n is None else str(n)
