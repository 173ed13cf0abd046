"""The user's tables as they stand, cell by cell: what an annotated copy is made of."""

from __future__ import annotations

import io
import re
from collections.abc import Container, Mapping
from pathlib import Path

import pandas as pd
from python_calamine import CalamineError, CalamineWorkbook, WorksheetNotFound

from tpr_outcomes.cohort.columns import Columns
from tpr_outcomes.cohort.marking import MOST_ROWS, Grid
from tpr_outcomes.cohort.opening import read_file
from tpr_outcomes.cohort.raw import RawTable
from tpr_outcomes.cohort.sources import SHEET_SUFFIXES, FileContent, read_source
from tpr_outcomes.cohort.tables import Place, visits_place
from tpr_outcomes.errors import SourceError

_CANONICAL = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,6})?")


def read_grids(
    source: Place,
    *,
    wanted: Container[int],
    tables: Mapping[str, Place] | None = None,
    columns: Columns | None = None,
) -> tuple[Grid, ...]:
    """Read every cell of a source, and of the optional tables that stand elsewhere.

    Parameters
    ----------
    source : str, Path, FileContent or pandas.DataFrame
        As in :func:`tpr_outcomes.cohort.tables.read_record`.
    wanted : container of int
        Rows that are kept of a table of more than :data:`~tpr_outcomes.cohort.marking.MOST_ROWS` rows.
    tables : mapping of str to source, optional
        Optional tables by name.
    columns : Columns, optional
        The user's names and settings, which may say where the names of a text file's columns stand.

    Returns
    -------
    tuple of Grid
        The visits first.

    Raises
    ------
    SourceError
        When a file cannot be opened.
    """
    found = list(_grids(visits_place(source), "Visits", wanted, columns))
    for name, place in (tables or {}).items():
        found += _grids(place, name, wanted, None)
    return tuple(found)


def _grids(place: Place, title: str, wanted: Container[int], columns: Columns | None) -> list[Grid]:
    """Every sheet of a workbook, or the one table of anything else."""
    name = "" if isinstance(place, pd.DataFrame) else place.name if isinstance(place, FileContent) else place
    path = Path(name)
    if path.suffix.lower() not in SHEET_SUFFIXES:
        return [_of_table(read_source(place, columns=columns), title, wanted)]
    content = place.content if isinstance(place, FileContent) else read_file(path, text=False)
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(content))
        return [_of_sheet(book, sheet, wanted) for sheet in book.sheet_names]
    except CalamineError as error:
        raise SourceError("The spreadsheet cannot be opened; save it again without a password.") from error


def _of_sheet(book: CalamineWorkbook, name: str, wanted: Container[int]) -> Grid:
    try:
        sheet = book.get_sheet_by_name(name)
    except WorksheetNotFound:  # a drawing
        return Grid(name, ())
    values = sheet.to_python(skip_empty_area=False)
    rows = list(enumerate(values, start=1))
    header = next((n for n, cells in rows if any(cell not in ("", None) for cell in cells)), 1)
    if len(rows) <= MOST_ROWS:
        return Grid(name, rows, header, merged=tuple(sheet.merged_cell_ranges or ()))
    kept = [(n, cells) for n, cells in rows if n <= header or n in wanted]
    return Grid(name, kept, header, n_rows=len(rows))


def _of_table(raw: RawTable, title: str, wanted: Container[int]) -> Grid:
    """Cells of a text file or frame, its column names on their own line."""
    header = raw.header_row or 1
    lines = [int(n) + (raw.kind == "frame") for n in raw.rows]
    many = len(lines) > MOST_ROWS
    chosen = [i for i, n in enumerate(lines) if not many or n in wanted]
    rows = [(lines[i], [typed(str(column[i])) for column in raw.cells]) for i in chosen]
    return Grid(title, [(header, list(raw.header)), *rows], header, n_rows=len(lines) if many else 0)


def typed(text: str) -> str | int | float:
    """Turn a text that is a number, written as a spreadsheet would write it, into that number.

    Examples
    --------
    >>> typed("7"), typed("7.5"), typed("007"), typed("7/10")
    (7, 7.5, '007', '7/10')
    """
    match = _CANONICAL.fullmatch(text)
    if match is None:
        return text
    return float(text) if match[2] else int(text)
