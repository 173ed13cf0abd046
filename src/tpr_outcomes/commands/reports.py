"""Commands on reports that were written before: made again, and set side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tpr_outcomes.commands.screen import (
    DiaryFile,
    EventsFile,
    PatientsFile,
    ScoresFile,
    SitesFile,
    WordsFile,
    Workers,
    progress_bar,
    tables_given,
)
from tpr_outcomes.errors import DifferenceError

ReportFolder = Annotated[Path, typer.Argument(help="Folder that tpr evaluate wrote.")]


def reproduce(
    directory: ReportFolder,
    source: Annotated[
        str | None, typer.Option("--source", help="The record; not needed for an example.")
    ] = None,
    workers: Workers = 1,
    sites: SitesFile = None,
    diary: DiaryFile = None,
    events: EventsFile = None,
    patients: PatientsFile = None,
    scores: ScoresFile = None,
) -> None:
    """Make a report again from its manifest and compare every file byte by byte; nothing is written."""
    from tpr_outcomes import reproduction

    with progress_bar() as tell:
        found = reproduction.reproduce(
            directory,
            source=source,
            tables=tables_given(sites, diary, events, patients, scores),
            workers=workers,
            progress=tell,
        )
    for sentence in found.sentences:
        print(sentence)
    if not found.identical:
        raise typer.Exit(DifferenceError.exit_code)


def compare(
    directories: Annotated[list[Path], typer.Argument(help="Two or more folders that tpr evaluate wrote.")],
    out: Annotated[
        Path, typer.Option("--out", help="Folder for the page; an earlier comparison is replaced.")
    ],
    words: WordsFile = None,
) -> None:
    """Set reports side by side: two by their differences, three or more pooled, with a funnel plot."""
    from tpr_outcomes.reporting.compare_bundle import clinics_page

    print(f"Page: {clinics_page(directories, out, words=words)}")


def words(
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write; the screen, unless given.")
    ] = None,
) -> None:
    """Write every text of the reports to one file, to be translated and given back with --words."""
    from tpr_outcomes.reporting.catalogue import english, to_toml
    from tpr_outcomes.reporting.one_file import require_free, write_whole

    text = to_toml(english())
    if out is None:
        print(text, end="")
        return
    require_free(out, ours=lambda _: False)
    write_whole(out, text.encode())
    print(f"Words: {out}")
