"""An annotated copy of the user's table: cells with a problem coloured and commented, every problem listed.

The copy holds what cells show, never a formula, link or macro: text that a spreadsheet would run stays text.
Cells stand where they stand in the user's own file, so that every address is true in the copy too.
"""

from __future__ import annotations

import datetime as dt
import io
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE, Cell
from openpyxl.comments import Comment
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import column_index_from_string, get_column_letter
from openpyxl.worksheet.hyperlink import Hyperlink
from openpyxl.worksheet.worksheet import Worksheet

from tpr_outcomes.cohort.checking import CheckReport, RuleCount
from tpr_outcomes.cohort.problems import Problem

MOST_ROWS = 20_000
"""A table of more rows is not copied whole: only its rows with a problem that is listed."""
MOST_LISTED = 5_000
"""Problems that are listed, coloured and commented; of more, some of every rule."""
ROW_LIMIT = 1_048_576
COLUMN_LIMIT = 16_384
TEXT_LIMIT = 32_767
CREATOR = "tpr-outcomes check"
"""Written into the file, so that an earlier copy may be replaced and nothing else is."""

_SHEET_CELL = re.compile(r"sheet (?P<sheet>.+), cell (?P<column>[A-Z]{1,3})(?P<row>\d+)")
_SHEET_ROW = re.compile(r"sheet (?P<sheet>.+), row (?P<row>\d+)")
_LINE = re.compile(
    r"(?:(?P<table>sites|diary|events|patients|scores), )?(?:line|row) (?P<row>\d+)"
    r"(?:, column (?P<column>.+))?"
)
_NUMBERED = re.compile(r"no\. (\d+)")
_COLUMN = re.compile(r"(?:(?P<table>sites|diary|events|patients|scores), )?column (?P<column>.+)")
_FILLS = {"error": "FFF4B6B0", "warning": "FFFBE3A3", "note": "FFD5E3F5"}
_ORDER = {"error": 0, "warning": 1, "note": 2}
_HEADS = ("severity", "where", "rule", "what", "what to do")
_RULE_HEADS = ("severity", "rule", "places", "listed", "what", "what to do")
_WIDTHS = (10, 30, 22, 70, 70)
_DATES = re.compile(rb"(<dcterms:\w+[^>]*>)[^<]*(<)")
_STAMP = (1980, 1, 1, 0, 0, 0)
Place = tuple[str, int, int]
"""Title of a sheet, row and column there, each from 1; row or column 0 for the whole."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Cells of one of the user's tables as they stand.

    Attributes
    ----------
    title : str
        Name of the sheet; that of the table for a text file.
    rows : sequence of (int, sequence)
        Number of the row or line, and its cells.
    header_row : int
        Where the column names stand.
    merged : tuple of ((int, int), (int, int))
        First and last cell (row, column) of each merged range, counted from 0.
    n_rows : int
        Rows of the user's table, where ``rows`` holds only some; else 0.
    """

    title: str
    rows: Sequence[tuple[int, Sequence[Any]]]
    header_row: int = 1
    n_rows: int = 0
    merged: tuple[tuple[tuple[int, int], tuple[int, int]], ...] = ()


def rows_of(problems: Iterable[Problem]) -> set[int]:
    """Numbers of the rows or lines that problems are addressed to, in whatever table."""
    found = set()
    for problem in problems:
        match = (
            _SHEET_CELL.fullmatch(problem.address)
            or _SHEET_ROW.fullmatch(problem.address)
            or _LINE.fullmatch(problem.address)
        )
        if match:
            found.add(int(match["row"]))
    return found


def annotated_copy(grids: Sequence[Grid], report: CheckReport, listed: Sequence[Problem]) -> bytes:
    """Write an annotated copy of a source.

    Parameters
    ----------
    grids : sequence of Grid
        The user's tables (:func:`tpr_outcomes.cohort.grids.read_grids`).
    report : CheckReport
        What was found in them.
    listed : sequence of Problem
        Those to be listed, coloured and commented (``report.sample``); the counts by rule are of all.

    Returns
    -------
    bytes
        An .xlsx workbook; the same for the same source.
    """
    book = Workbook()
    book.remove(book.active)
    titles = _titles([grid.title for grid in grids])
    places = [_place(problem, grids) for problem in listed]
    marks: dict[str, dict[tuple[int, int], list[Problem]]] = defaultdict(lambda: defaultdict(list))
    for problem, place in zip(listed, places, strict=True):
        if place is not None:
            marks[place[0]][place[1:]].append(problem)
    partial = []
    for grid in grids:
        sheet = book.create_sheet(titles[grid.title])
        _fill(sheet, grid, marks[grid.title])
        if grid.n_rows:
            partial.append(grid)
    _list_problems(book, report, listed, [_target(place, titles) for place in places], partial)
    return to_bytes(book, creator=CREATOR)


def made_by(path: Path, creator: str = CREATOR) -> bool:
    """Tell whether a workbook was written here, by the same command, and so may be replaced.

    Parameters
    ----------
    path : Path
    creator : str
        What made it; an annotated copy unless given.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open("docProps/core.xml") as properties:
            return f">{creator}<".encode() in properties.read(1 << 16)
    except (OSError, KeyError, zipfile.BadZipFile):
        return False


# --- where a problem is ---------------------------------------------------------------------------


def _place(problem: Problem, grids: Sequence[Grid]) -> Place | None:
    """Find the cell a problem is addressed to; None for the source as a whole."""
    address, known = problem.address, {grid.title: grid for grid in grids}
    if match := _SHEET_CELL.fullmatch(address):
        found = _title(match["sheet"], grids), int(match["row"]), column_index_from_string(match["column"])
    elif match := _SHEET_ROW.fullmatch(address):
        found = _title(match["sheet"], grids), int(match["row"]), 0
    elif match := _LINE.fullmatch(address) or _COLUMN.fullmatch(address):
        parts = match.groupdict()
        title = parts["table"] or next(iter(known), "")
        grid = known.get(title)
        if grid is None:
            return None
        row = int(parts.get("row") or grid.header_row)
        found = title, row, _column(grid, parts["column"] or "")
    else:
        return None
    inside = found[0] in known and found[1] <= ROW_LIMIT and found[2] <= COLUMN_LIMIT
    return found if inside else None


def _title(sheet: str, grids: Sequence[Grid]) -> str:
    """Title of a sheet that an address names, or counts where its name is not repeated."""
    match = _NUMBERED.fullmatch(sheet)
    if match is None or sheet in {grid.title for grid in grids}:
        return sheet
    at = int(match[1]) - 1
    return grids[at].title if at < len(grids) else ""


def _column(grid: Grid, name: str) -> int:
    """Place of a column by its name, or by its number where it has none; 0 where there is none."""
    header = next((cells for row, cells in grid.rows if row == grid.header_row), ())
    names = [str(cell).strip() for cell in header]
    if name in names:
        return names.index(name) + 1
    return int(name) if name.isdecimal() else 0


def _titles(names: Sequence[str]) -> dict[str, str]:
    """Titles that a workbook takes, each once, none that of our own sheets."""
    used = {"problems", "problems by rule"}
    titles = {}
    for name in names:
        base = re.sub(r"[\[\]:*?/\\\x00-\x1f]", "_", name).strip("'")[:31] or "Visits"
        title, i = base, 1
        while title.lower() in used:
            i += 1
            title = f"{base[:27]} {i}"
        used.add(title.lower())
        titles[name] = title
    return titles


def _target(place: Place | None, titles: Mapping[str, str]) -> str:
    """Reference to a cell of the copy, for a link inside the workbook."""
    if place is None:
        return ""
    title = titles[place[0]].replace("'", "''")
    return f"'{title}'!{get_column_letter(place[2] or 1)}{place[1] or 1}"


# --- writing --------------------------------------------------------------------------------------


def _fill(sheet: Worksheet, grid: Grid, marks: Mapping[tuple[int, int], list[Problem]]) -> None:
    """Copy the cells and mark those with problems."""
    for number, cells in grid.rows:
        if number > ROW_LIMIT:
            break
        for i, value in enumerate(cells[:COLUMN_LIMIT], start=1):
            if value not in (None, ""):
                write(sheet.cell(number, i), value)
    for (top, left), (bottom, right) in grid.merged:
        sheet.merge_cells(start_row=top + 1, start_column=left + 1, end_row=bottom + 1, end_column=right + 1)
    for (row, column), problems in sorted(marks.items()):
        cell = sheet.cell(row or grid.header_row, column or 1)
        worst = min(problems, key=lambda problem: _ORDER[problem.severity])
        if not isinstance(cell, Cell):  # inside a merged range, whose first cell stands for all
            continue
        cell.fill = PatternFill("solid", fgColor=_FILLS[worst.severity])
        told = "\n".join(f"{p.severity}: {p.message} {p.remedy}" for p in problems)
        if cell.comment is not None:
            told = f"{cell.comment.text}\n{told}"
        cell.comment = Comment(plain(told), CREATOR, height=120, width=320)
    sheet.freeze_panes = sheet.cell(grid.header_row + 1, 1)


def write(cell: Cell, value: object) -> None:
    """Write a value so that a spreadsheet shows it and never runs it.

    Parameters
    ----------
    cell : openpyxl cell
    value : object
        Numbers, dates and yes or no stay what they are; everything else becomes text.
    """
    if isinstance(value, bool | int | float):
        cell.value = value
    elif isinstance(value, dt.datetime):
        cell.value = value
        cell.number_format = "yyyy-mm-dd" if value.time() == dt.time() else "yyyy-mm-dd hh:mm"
    elif isinstance(value, dt.date):
        cell.value = value
        cell.number_format = "yyyy-mm-dd"
    else:
        text = plain(str(value))
        cell.value = text
        if text[:1] in ("=", "+", "-", "@"):
            cell.data_type = "s"  # not a formula
            cell.quotePrefix = True  # nor one once somebody edits it


def table_book(tables: Mapping[str, pd.DataFrame], *, creator: str) -> bytes:
    """Write frames as the sheets of a workbook, every text as text.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        By name of the sheet.
    creator : str
        What made it.
    """
    book = Workbook()
    book.remove(book.active)
    for name, frame in tables.items():
        sheet = book.create_sheet(name)
        for i, head in enumerate(frame.columns, start=1):
            write(sheet.cell(1, i), str(head))
            for row, value in enumerate(frame[head].tolist(), start=2):
                if value is not None and value == value:  # nothing for what is missing
                    write(sheet.cell(row, i), value)
        sheet.freeze_panes = "A2"
    return to_bytes(book, creator=creator)


def plain(text: str) -> str:
    """Text without the signs a workbook cannot hold, and no longer than it can."""
    return str(ILLEGAL_CHARACTERS_RE.sub("\ufffd", text))[:TEXT_LIMIT]


def _list_problems(
    book: Workbook,
    report: CheckReport,
    listed: Sequence[Problem],
    targets: Sequence[str],
    partial: Sequence[Grid],
) -> None:
    """Add the sheets that list the problems: one by one, and by rule."""
    sheet = book.create_sheet("Problems")
    lines = list(_summary(report, len(listed), partial))
    for i, line in enumerate(lines, start=1):
        write(sheet.cell(i, 1), line)
    start = len(lines) + 2
    _heads(sheet, start, _HEADS, _WIDTHS)
    for i, (problem, target) in enumerate(zip(listed, targets, strict=True), start=start + 1):
        values = (problem.severity, problem.address, problem.rule, problem.message, problem.remedy)
        for k, value in enumerate(values, start=1):
            cell = sheet.cell(i, k)
            write(cell, value)
            cell.alignment = Alignment(wrap_text=True, vertical="top")
        sheet.cell(i, 1).fill = PatternFill("solid", fgColor=_FILLS[problem.severity])
        if target:
            where = sheet.cell(i, 2)
            where.hyperlink = Hyperlink(ref=where.coordinate, location=target)
            where.font = Font(underline="single", color="FF1F4E79")
    sheet.freeze_panes = sheet.cell(start + 1, 1)
    _list_rules(book.create_sheet("Problems by rule"), report.summary(), listed)
    book.active = book.sheetnames.index("Problems")


def _summary(report: CheckReport, listed: int, partial: Sequence[Grid]) -> Iterator[str]:
    """What the copy is, and what of the source it holds."""
    yield (
        f"{len(report.problems):,} problems in {report.n_rows:,} rows: {len(report.errors):,} errors, "
        f"{len(report.warnings):,} warnings."
    )
    yield "Mend the cells in your own file, not here: this is a copy. Errors are red, warnings yellow."
    if listed < len(report.problems):
        yield (
            f"Listed and coloured: {listed:,} of them, some of every rule. The sheet 'Problems by rule' "
            "counts all."
        )
    for grid in partial:
        yield f"Of {grid.n_rows:,} rows of {grid.title}, those with a listed problem are copied."


def _list_rules(sheet: Worksheet, rules: Iterable[RuleCount], listed: Sequence[Problem]) -> None:
    _heads(sheet, 1, _RULE_HEADS, (10, 24, 10, 10, 70, 70))
    for i, found in enumerate(rules, start=2):
        shown = sum(p.rule == found.rule and p.severity == found.severity for p in listed)
        values = (found.severity, found.rule, found.count, shown, found.message, found.remedy)
        for k, value in enumerate(values, start=1):
            write(sheet.cell(i, k), value)


def _heads(sheet: Worksheet, row: int, heads: Sequence[str], widths: Sequence[int]) -> None:
    for i, (head, width) in enumerate(zip(heads, widths, strict=True), start=1):
        cell = sheet.cell(row, i, head)
        cell.font = Font(bold=True)
        sheet.column_dimensions[get_column_letter(i)].width = width


def to_bytes(book: Workbook, *, creator: str) -> bytes:
    """Save a workbook without a clock: the same workbook gives the same bytes.

    Parameters
    ----------
    book : openpyxl.Workbook
    creator : str
        What made it.
    """
    book.properties.creator = creator
    raw = io.BytesIO()
    book.save(raw)
    fixed = io.BytesIO()
    with zipfile.ZipFile(raw) as old, zipfile.ZipFile(fixed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "docProps/core.xml":
                content = _DATES.sub(rb"\g<1>1980-01-01T00:00:00Z\g<2>", content)
            new.writestr(zipfile.ZipInfo(name, _STAMP), content, zipfile.ZIP_DEFLATED)
    return fixed.getvalue()
