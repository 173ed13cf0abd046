"""Commands around a record: the empty one to start with, and the one that can be shared."""

from __future__ import annotations

import json as jsonlib
import sys
from dataclasses import asdict
from enum import StrEnum
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
    columns_map,
    show_table,
    tables_given,
)
from tpr_outcomes.errors import OutputError

if TYPE_CHECKING:
    from tpr_outcomes.cohort.deidentify import Shared

SHARED = "tpr-outcomes deidentify"


class Kind(StrEnum):
    """What a template is made for."""

    excel = "excel"
    redcap = "redcap"
    csv = "csv"


def template(
    kind: Annotated[Kind, typer.Argument(help="excel, redcap (a data dictionary) or csv.")],
    out: Annotated[
        Path, typer.Option("--out", help="File to write; for csv also a folder that is not there yet.")
    ],
) -> None:
    """Write an empty record to fill in: a workbook with drop-downs, a REDCap dictionary, or text files."""
    from tpr_outcomes.cohort import template as made
    from tpr_outcomes.cohort.marking import made_by
    from tpr_outcomes.reporting.one_file import require_free, write_whole

    if kind is Kind.csv and not out.suffix:
        _write_folder(out, made.csv_folder())
        return
    wanted = ".xlsx" if kind is Kind.excel else ".csv"
    if out.suffix.lower() != wanted:
        raise OutputError(f"{out} ends in {out.suffix or 'nothing'}; name a file that ends in {wanted}.")
    # A workbook may hold visits by now, so not even our own is written over.
    require_free(out, ours=lambda path: made_by(path, "nobody"))
    if kind is Kind.excel:
        content = made.excel_template()
    else:
        content = (made.redcap_template() if kind is Kind.redcap else made.csv_template()).encode("utf-8")
    write_whole(out, content)
    print(f"{out}: fill it in, then: tpr check {out}" if kind is not Kind.redcap else _after_redcap(out))


def _after_redcap(out: Path) -> str:
    return (
        f"{out}: in REDCap, Project Setup, Data Dictionary, Upload File. Then set the forms visit, site, "
        "diary and event as repeating instruments. Export as CSV (raw), and: tpr check EXPORT.csv"
    )


def _write_folder(folder: Path, files: dict[str, str]) -> None:
    """Write the text files into a folder that is new or empty."""
    from tpr_outcomes.reporting.one_file import write_whole

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} is there already and is not an empty folder. Name another.")
    new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {folder} cannot be made ({error.strerror}).") from error
    try:
        for name, text in files.items():
            write_whole(folder / name, text.encode("utf-8"))
    except OutputError:
        for name in files:
            (folder / name).unlink(missing_ok=True)
        if new:
            folder.rmdir()
        raise
    print(f"{folder}: fill in visits.csv, the others if you like, then: tpr check {folder}")


def deidentify(
    source: Source,
    out: Annotated[Path, typer.Argument(help="File to write: .csv (visits alone) or .xlsx (all tables).")],
    key: Annotated[
        Path | None,
        typer.Option("--key", help="Secret of codes and shifts, made where missing; without it, new ones."),
    ] = None,
    quasi: Annotated[
        str, typer.Option("--quasi", help="Columns somebody may know, commas between: age,sex,region.")
    ] = "",
    minimum: Annotated[
        int, typer.Option("--minimum", min=1, help="Fewest patients a word is shared by to be kept.")
    ] = 5,
    age_band: Annotated[
        int, typer.Option("--age-band", min=0, help="Width of age bands, years; 0 keeps the age.")
    ] = 0,
    plan: PlanFile = None,
    columns: ColumnsFile = None,
    sheet: Sheet = None,
    json: AsJson = False,
    sites: SitesFile = None,
    diary: DiaryFile = None,
    events: EventsFile = None,
    patients: PatientsFile = None,
    scores: ScoresFile = None,
) -> None:
    """Write a record to share: codes, shifted dates, pooled ages and rare words, no free text; its risk."""
    from tpr_outcomes import analysis
    from tpr_outcomes.cohort.marking import made_by, table_book
    from tpr_outcomes.cohort.secret import draw_secret, load_key
    from tpr_outcomes.reporting.bundle import as_csv
    from tpr_outcomes.reporting.one_file import require_free, write_whole

    if out.suffix.lower() not in (".csv", ".xlsx"):
        raise OutputError(f"{out} ends in {out.suffix or 'nothing'}; name a file ending in .csv or .xlsx.")
    require_free(out, ours=lambda path: made_by(path, SHARED), source=source)
    settings = analysis.AnalysisPlan.load(plan)
    secret, made = (draw_secret(), False) if key is None else load_key(key)
    shared = analysis.share(
        source,
        settings,
        secret=secret,
        quasi=tuple(name.strip() for name in quasi.split(",") if name.strip()),
        minimum=minimum,
        age_band=age_band,
        columns=columns_map(columns),
        sheet=sheet,
        tables=tables_given(sites, diary, events, patients, scores),
    )
    if made:
        print(f"Key made: {key}. Whoever has it can link codes to patients; never share it.", file=sys.stderr)
    if out.suffix.lower() == ".xlsx":
        write_whole(out, table_book(shared.tables, creator=SHARED))
    else:
        write_whole(out, as_csv(shared.tables["visits"]).encode("utf-8"))
    left = [name for name in shared.tables if name != "visits" and out.suffix.lower() == ".csv"]
    _say_shared(shared, out, left, json=json)


def _say_shared(shared: Shared, out: Path, left: list[str], *, json: bool) -> None:
    """Say how easily somebody could be found again; this is for who decides, not for sharing."""
    if json:
        content = {
            "schema": "tpr-outcomes/risk/1",
            "risks": [asdict(risk) for risk in shared.risks],
            "patients_pooled": dict(shared.pooled),
            "columns_dropped": len(shared.dropped),
            "tables_left_out": left,
        }
        print(jsonlib.dumps(content, indent=2, ensure_ascii=False))
        return
    rows = [
        [
            ", ".join(risk.columns),
            str(risk.groups),
            str(risk.k),
            f"{risk.alone} of {risk.patients}",
            f"{risk.few} of {risk.patients}",
            f"{100.0 * risk.highest:.0f}%",
            f"{100.0 * risk.average:.0f}%",
        ]
        for risk in shared.risks
    ]
    few = f"in groups under {shared.risks[0].minimum}"
    head = ["who knows …", "groups", "smallest (k)", "alone", few, "highest risk", "average risk"]
    show_table("How easily a patient could be found again (keep this table to yourself)", head, rows)
    for name, n in shared.pooled.items():
        print(f"{name}: pooled in {n} patient{'s' * (n != 1)}.")
    if shared.dropped:
        print(f"Left out: {len(shared.dropped)} columns the toolkit does not know.")
    if left:
        print(f"Not in a text file: {', '.join(left)}; name a file ending in .xlsx to keep them.")
    print(
        f"Written: {out}. Ratings over time stay: somebody who knows several of them could know the patient."
    )
