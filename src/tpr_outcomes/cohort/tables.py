"""Reading a whole record: the visits, and the optional tables that say more of them.

The visits are read as ever. Each optional table is a sheet of the same workbook under its own name
(``sites``, ``diary``, ``events``, ``patients``, ``scores``), a file of that name in the same folder where a
folder is named, or a file of its own. A table with an error is not used and nothing else changes; what is
wrong is kept with the record.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeGuard

import numpy as np
import pandas as pd

from tpr_outcomes.cohort.checking import CheckReport, check_source, complaint
from tpr_outcomes.cohort.columns import Columns
from tpr_outcomes.cohort.fields import KEPT
from tpr_outcomes.cohort.opening import GZIP
from tpr_outcomes.cohort.problems import Problem
from tpr_outcomes.cohort.record import Record
from tpr_outcomes.cohort.said_names import with_said_names
from tpr_outcomes.cohort.scales import Scale
from tpr_outcomes.cohort.schemas import SCHEMAS
from tpr_outcomes.cohort.sources import (
    SHEET_SUFFIXES,
    TABLES,
    TEXT_SUFFIXES,
    FileContent,
    RawTable,
    sheet_names,
)
from tpr_outcomes.cohort.sources_tables import PARQUET_SUFFIXES, read_any
from tpr_outcomes.cohort.table_cells import UNKNOWN, Links, TableCells, links_of, read_table_cells
from tpr_outcomes.cohort.table_rules import find_table_problems
from tpr_outcomes.cohort.visits import Rated, build_visits
from tpr_outcomes.errors import DataError, PlanError, SourceError

Place = str | Path | FileContent | pd.DataFrame
"""Where a table may come from."""

_NO_LINKS = Links({}, frozenset(), {}, {}, {}, {})


def read_record(
    source: Place,
    *,
    columns: Columns | Mapping[str, str] | None = None,
    scale: str | Scale = "nrs",
    rated: Rated = "before",
    sheet: str | None = None,
    tables: Mapping[str, Place] | None = None,
) -> Record:
    """Read a clinic's record: visits, and the optional tables beside them.

    Parameters
    ----------
    source : str, Path, FileContent or pandas.DataFrame
        The visits, or a folder with a file called ``visits`` (``visits.csv``, ``visits.xlsx``) in it.
    columns : Columns or mapping, optional
        The user's names for our columns, those of the optional tables in ``Columns.tables``.
    scale, rated, sheet
        As in :func:`tpr_outcomes.cohort.visits.read_visits`.
    tables : mapping of str to source, optional
        Optional tables that stand elsewhere: ``{"diary": "diary.csv"}``.

    Returns
    -------
    Record
        A table that is not there, is empty or has an error is None; ``Record.problems`` says why.

    Raises
    ------
    SourceError
        When there is no such file or it cannot be opened.
    PlanError
        When the column map, scale or timing is not valid, or a table has an unknown name.
    DataError
        When anything in the visits has to be mended first.
    """
    mapping = columns if isinstance(columns, Columns) else Columns(columns or {})
    places = _places(source, tables)
    report, cells = check_source(visits_place(source), columns=mapping, scale=scale, rated=rated, sheet=sheet)
    if report.errors:
        raise DataError(complaint(report), report.problems)
    visits = build_visits(cells, rated=rated, problems=report.problems)
    links = links_of(cells, visits)
    frames: dict[str, pd.DataFrame | None] = {}
    problems: dict[str, tuple[Problem, ...]] = {}
    for name, (place, its_sheet) in places.items():
        frames[name], problems[name] = _read_place(place, its_sheet, name, columns=mapping, links=links)
    return Record(visits, **frames, problems=problems)


def check_record(
    source: Place,
    *,
    columns: Columns | Mapping[str, str] | None = None,
    scale: str | Scale = "nrs",
    rated: Rated = "before",
    sheet: str | None = None,
    tables: Mapping[str, Place] | None = None,
) -> CheckReport:
    """Look at a whole record and report everything found; bad data raise nothing.

    Parameters
    ----------
    source, columns, scale, rated, sheet, tables
        As in :func:`read_record`.

    Returns
    -------
    CheckReport
        That of the visits, with the problems of the optional tables behind its own. Where the visits have
        errors, what ties the tables to them is not looked at yet.
    """
    mapping = columns if isinstance(columns, Columns) else Columns(columns or {})
    report, cells = check_source(visits_place(source), columns=mapping, scale=scale, rated=rated, sheet=sheet)
    links = None
    if not report.errors:
        links = links_of(cells, build_visits(cells, rated=rated, problems=report.problems))
    problems = list(report.problems)
    for name, (place, its_sheet) in _places(source, tables).items():
        problems += _read_place(place, its_sheet, name, columns=mapping, links=links)[1]
    return CheckReport(
        tuple(problems), report.n_rows, report.n_patients, report.columns, report.guess, report.layout
    )


# --- where the tables are -------------------------------------------------------------------------


def visits_place(source: Place) -> Place:
    """Return where the visits are: the source, or the file called ``visits`` in a folder.

    Raises
    ------
    SourceError
        When a folder holds none or several.
    """
    if not _is_folder(source):
        return source
    found = _named_files(Path(source), "visits")
    if len(found) != 1:
        seen = "no file" if not found else f"{len(found)} files"
        raise SourceError(
            f"The folder {source} has {seen} called visits; one is wanted, for example visits.csv."
        )
    return found[0]


def _places(source: Place, tables: Mapping[str, Place] | None) -> dict[str, tuple[Place, str | None]]:
    """Find each optional table: as given, else a sheet of the workbook, else a file of the folder."""
    unknown = [name for name in tables or {} if name not in TABLES]
    if unknown:
        raise PlanError(f"There is no table called {unknown[0]!r}; there are {', '.join(TABLES)}.")
    main = visits_place(source)
    sheets = {name.strip().lower(): name for name in sheet_names(main)}
    found: dict[str, tuple[Place, str | None]] = {}
    for name in TABLES:
        if tables is not None and name in tables:
            found[name] = tables[name], _own_sheet(tables[name], name)
        elif name in sheets:
            found[name] = main, sheets[name]
        elif _is_folder(source):
            files = _named_files(Path(source), name)
            if len(files) > 1:
                raise SourceError(f"The folder {source} has {len(files)} files called {name}; keep one.")
            if files:
                found[name] = files[0], None
    return found


def _own_sheet(place: Place, name: str) -> str | None:
    """Return the sheet of a table's own workbook that bears its name; none where it cannot be opened."""
    try:
        return {its.strip().lower(): its for its in sheet_names(place)}.get(name)
    except SourceError:
        if not _is_file(place):
            raise
        return None


def _is_file(place: Place) -> bool:
    """Tell whether there is a file that may be damaged: a name of none is a slip of whoever wrote it."""
    if isinstance(place, FileContent):
        return True
    return isinstance(place, str | Path) and os.path.isfile(place)  # noqa: PTH113 (Path.is_file may raise)


def _is_folder(source: Place) -> TypeGuard[str | Path]:
    """Tell whether a source is a folder; no link and no name is too odd to ask."""
    return isinstance(source, str | Path) and os.path.isdir(source)  # noqa: PTH112 (Path.is_dir may raise)


def _named_files(folder: Path, name: str) -> list[Path]:
    """Files of a kind read here with a name, whatever their ending."""
    endings = (
        *TEXT_SUFFIXES,
        *(suffix + GZIP for suffix in TEXT_SUFFIXES),
        *SHEET_SUFFIXES,
        *PARQUET_SUFFIXES,
    )
    wanted = {name + ending for ending in endings}
    return sorted(path for path in folder.iterdir() if path.name.lower() in wanted)


# --- from cells to a table ------------------------------------------------------------------------


def _read_place(
    place: Place, sheet: str | None, name: str, *, columns: Columns, links: Links | None
) -> tuple[pd.DataFrame | None, tuple[Problem, ...]]:
    """Open and read a table; a file that is there and cannot be opened is a problem of its table alone."""
    try:
        raw = read_any(place, sheet=sheet)[0]
    except SourceError as error:
        if not _is_file(place):
            raise
        said = f"The table of {name} cannot be opened. {error}"
        remedy = "Save it again as CSV in UTF-8 or as .xlsx, or leave it out."
        return None, (Problem("unreadable_table", "error", f"{name}, the file", "", "", said, remedy),)
    return _read_table(raw, name, columns=columns, links=links)


def _read_table(
    raw: RawTable, name: str, *, columns: Columns, links: Links | None
) -> tuple[pd.DataFrame | None, tuple[Problem, ...]]:
    """Read one table and say what is wrong with it; None where it is empty or has an error."""
    schema = SCHEMAS[name]
    if not raw.n_rows:
        remedy = f"Nothing to do if there is none; else write {schema.row} per row."
        message = f"The table of {name} is empty; it was not used."
        return None, (Problem("empty_table", "warning", f"{name}, {raw.address()}", "", "", message, remedy),)
    mapped = columns.tables.get(name, {})
    raw = with_said_names(raw, mapping=mapped, names=(*schema.names, *KEPT.get(name, ())))
    table = read_table_cells(
        raw,
        schema,
        columns=mapped,
        reading=columns.reading,
        links=links or _NO_LINKS,
    )
    problems = find_table_problems(table, linked=links is not None)
    if links is None or any(problem.severity == "error" for problem in problems):
        return None, problems
    return _frame(table), problems


def _frame(table: TableCells) -> pd.DataFrame:
    """Return the canonical table: codes and visit numbers of the visits, typed columns, sorted."""
    schema = table.schema
    found: dict[str, object] = {"patient": table.cells.patient}
    if schema.name == "events":
        found["visit"] = np.where(table.visit == UNKNOWN, np.nan, table.visit)
        found["weeks"] = table.weeks
        found["kind"], found["what"] = table.word("kind"), _events_what(table)
    elif schema.when:
        found["visit"] = table.visit
    for field in schema.fields:
        if field.name in found or not table.has(field.name) or field.kind in ("date", "visit"):
            continue
        if field.kind in ("number", "count"):
            found[field.name] = table.cells.numbers[field.name]
        elif field.kind == "yes_no":
            found[field.name] = table.yes_no(field.name)
        else:
            texts = table.word(field.name) if field.kind == "word" else table.cells.text[field.name]
            lower = pd.Series(texts, dtype="str").str.lower()
            found[field.name] = lower.mask(table.cells.blank[field.name]).array
    if schema.name == "sites":
        _add_twitches(table, found)
    frame = pd.DataFrame(found)
    keep = frame["patient"] != UNKNOWN
    order = [name for name in ("patient", "visit", "weeks", "hours", "muscle") if name in frame]
    return frame.loc[keep].sort_values(order, kind="stable", ignore_index=True)


def _events_what(table: TableCells) -> pd.api.extensions.ExtensionArray:
    """What each event was; "yes" where its kind says all, "other" where the word is not known."""
    words = ["other" if what is None else what or "yes" for what in table.what]
    return pd.Series(words, dtype="str").array


def _add_twitches(table: TableCells, found: dict[str, object]) -> None:
    """Put sought, elicited and twitches of each site right: not sought, none and not recorded stay apart."""
    sought = ~table.not_sought
    elicited = table.yes_no("elicited") if table.has("elicited") else np.full(table.n, np.nan)
    found["sought"] = sought
    if table.has("twitches"):
        counted = table.cells.numbers["twitches"]
        found["twitches"] = np.where(sought, counted, 0.0)
        elicited = np.where(np.isnan(counted), elicited, (counted > 0).astype(np.float64))
    found["elicited"] = np.where(sought, elicited, 0.0)
