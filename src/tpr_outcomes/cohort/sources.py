"""Readers: a file or a DataFrame becomes one table of text cells, each with its address.

Nothing is interpreted here. Every cell arrives as stripped text, so that whatever is wrong with it can
later be reported with the place the user sees: a line and column, or a sheet and cell.
"""

from __future__ import annotations

import codecs
import csv
import difflib
import hashlib
import io
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from python_calamine import CalamineWorkbook, WorksheetNotFound

from tpr_outcomes.cohort.columns import Columns
from tpr_outcomes.cohort.grid import as_text, assemble, header_of
from tpr_outcomes.cohort.headers import LOOKED_AT
from tpr_outcomes.cohort.links import is_link
from tpr_outcomes.cohort.opening import GZIP, read_file
from tpr_outcomes.cohort.raw import RawTable, drop_empty, texts
from tpr_outcomes.cohort.sources_plain import split_plain
from tpr_outcomes.cohort.workbooks import opened, require_modest, with_errors_as_text
from tpr_outcomes.errors import SourceError

__all__ = [
    "SHEET_SUFFIXES",
    "TABLES",
    "TEXT_SUFFIXES",
    "FileContent",
    "RawTable",
    "read_source",
    "read_tables",
    "sheet_names",
]

TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
SHEET_SUFFIXES = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
TABLES = ("sites", "diary", "events", "patients", "scores")
"""Optional tables of a record, beside the visits: sheets of these names are read as such."""
_DELIMITERS = ",;\t"
_SEPARATOR_LINE = 16
_TOP = 1 << 16


@dataclass(frozen=True)
class FileContent:
    """A file that is held in memory, as one uploaded to a page is: nothing has to be written to read it.

    Attributes
    ----------
    name : str
        Its name; the ending says of what kind it is.
    content : bytes
    """

    name: str
    content: bytes


def read_source(
    source: str | Path | FileContent | pd.DataFrame,
    *,
    sheet: str | None = None,
    columns: Columns | None = None,
) -> RawTable:
    """Read a text file, a spreadsheet or a DataFrame into text cells, as they stand.

    Parameters
    ----------
    source : str, Path, FileContent or pandas.DataFrame
        A path ending in one of :data:`TEXT_SUFFIXES` or :data:`SHEET_SUFFIXES`, such a file held in
        memory, or a frame.
    sheet : str, optional
        Sheet to read. By default the one called "Visits", else the first.
    columns : Columns, optional
        The user's names and settings.

    Returns
    -------
    RawTable
        The cells and their addresses.

    Raises
    ------
    SourceError
        When the file is not there, is a folder, cannot be opened or is of a kind not read here.
    """
    return read_tables(source, sheet=sheet, columns=columns)[0]


def read_tables(
    source: str | Path | FileContent | pd.DataFrame,
    *,
    sheet: str | None = None,
    columns: Columns | None = None,
) -> tuple[RawTable, ...]:
    """Read every table of a source; parameters and errors as in :func:`read_source`.

    Returns
    -------
    tuple of RawTable
        The table :func:`read_source` returns, then the other sheets of a workbook in their order, if no
        sheet was named.
    """
    settled = columns or Columns()
    if isinstance(source, pd.DataFrame):
        return (_read_frame(source),)
    path = Path(source.name if isinstance(source, FileContent) else source)
    _require_known(path)
    in_sheets = path.suffix.lower() in SHEET_SUFFIXES
    content = source.content if isinstance(source, FileContent) else read_file(path, text=not in_sheets)
    if in_sheets:
        return _read_sheets(content, settled, sheet=sheet)
    if sheet is not None:
        raise SourceError("A sheet was named, but the file is a text file; leave the sheet out.")
    return (_read_text(content, settled),)


def _require_known(path: Path) -> None:
    """Raise unless the name ends like that of a file read here."""
    if os.path.isdir(path):  # noqa: PTH112 (Path.is_dir raises for names no file can have)
        raise SourceError(f"{path} is a folder; name the file inside it.")
    name = path.with_suffix("") if path.suffix.lower() == GZIP else path
    if name.suffix.lower() not in (TEXT_SUFFIXES if name != path else TEXT_SUFFIXES + SHEET_SUFFIXES):
        known = ", ".join([*TEXT_SUFFIXES, *(suffix + GZIP for suffix in TEXT_SUFFIXES), *SHEET_SUFFIXES])
        raise SourceError(
            f"{path} ends in {path.suffix or 'nothing'}; files read here end in {known}, or are Parquet "
            "(.parquet), SPSS (.sav, .por), Stata (.dta) or SAS (.sas7bdat, .xpt)."
        )


# --- text files ---------------------------------------------------------------------------------


def _read_text(content: bytes, columns: Columns) -> RawTable:
    """Split a delimited text file into cells."""
    body, encoding, guessed = _as_utf8(content)
    skipped, declared = _separator_line(body)
    for _ in range(skipped):
        body = body[body.find(b"\n") + 1 or len(body) :]
    delimiter = declared or _sniff_delimiter(body)
    facts: dict[str, Any] = {
        "kind": "csv",
        "sha256": hashlib.sha256(content).hexdigest(),
        "decimal_comma": delimiter == ";",
        "encoding": encoding,
        "guessed": guessed,
    }
    plain = split_plain(body, delimiter) if _names_on_top(body, delimiter, columns) else None
    if plain is None:
        return assemble(list(_split(body, delimiter, skipped)), columns, **facts)
    header, cells = plain
    lines = np.arange(cells[0].size, dtype=np.int64) + (skipped + 2)
    return drop_empty(tuple(header), tuple(cells), lines, header_row=skipped + 1, **facts)


def _names_on_top(body: bytes, delimiter: str, columns: Columns) -> bool:
    """Tell whether the names are the first line and no other, as far as the top of a file tells."""
    top = body[:_TOP].rsplit(b"\n", 1)[0] if len(body) > _TOP else body
    try:
        first = list(islice(_split(top, delimiter, 0), LOOKED_AT))
    except (SourceError, UnicodeDecodeError):
        return False
    found = header_of(first, columns)
    return found is not None and (found.start, found.depth) == (0, 1)


def _as_utf8(content: bytes) -> tuple[bytes, str, bool]:
    """Return the text in UTF-8, the encoding it was in, and whether that was a guess."""
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise SourceError(
            "The file is a spreadsheet under a text file's name; rename it to end in .xlsx or .xls."
        )
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return content.decode("utf-16").encode(), "utf-16", False
        except UnicodeDecodeError as error:
            raise SourceError("The file is cut off in the middle of a character; save it again.") from error
    if b"\0" in content:
        raise SourceError("The file is not text (it holds zero bytes); save it as CSV in UTF-8.")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return (*_from_one_byte(content), True)
    return content.removeprefix(codecs.BOM_UTF8), "utf-8-sig", False


def _from_one_byte(content: bytes) -> tuple[bytes, str]:
    """Read an encoding with one byte a character: that of Windows, or Latin-1 where Windows has gaps."""
    try:
        return content.decode("cp1252").encode(), "cp1252"
    except UnicodeDecodeError:
        return content.decode("latin-1").encode(), "latin-1"


def _separator_line(body: bytes) -> tuple[int, str]:
    """Tell whether there is a ``sep=;`` line, as some spreadsheets write, and the separator it names."""
    first = body[:_SEPARATOR_LINE].partition(b"\n")[0].decode(errors="replace")
    token = first.strip().lower()
    if token.startswith("sep=") and len(first.rstrip("\r")) == len("sep=") + 1:
        return 1, first[4]
    return 0, ""


def _sniff_delimiter(body: bytes) -> str:
    """Return the separator most frequent in any one of the first lines, outside quotes."""
    lines = (match[0].decode(errors="replace") for match in re.finditer(rb"^.*[^\s].*$", body, re.MULTILINE))
    best, most = _DELIMITERS[0], 0
    for line in islice(lines, LOOKED_AT):  # above the names there may be a title without any
        outside = "".join(line.split('"')[::2])
        sign = max(_DELIMITERS, key=outside.count)
        if outside.count(sign) > most:
            best, most = sign, outside.count(sign)
    return best


def _split(body: bytes, delimiter: str, skipped: int) -> Iterator[tuple[int, list[str]]]:
    """Yield each record with the line it starts on; equal cells share one text in memory."""
    lines = io.TextIOWrapper(io.BytesIO(body), encoding="utf-8", newline="")
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    start = 0
    known: dict[str, str] = {}
    try:
        for record in reader:
            if record:
                yield start + skipped + 1, [known.setdefault(cell, cell) for cell in record]
            start = reader.line_num
    except csv.Error as error:
        raise SourceError(
            f"The record that starts on line {start + skipped + 1} cannot be split into cells: a quotation "
            "mark is not closed, text follows it, or a cell is longer than any cell should be. Mend that "
            "line or save the file as CSV again."
        ) from error


# --- spreadsheets and frames ----------------------------------------------------------------------


def _open_workbook(content: bytes) -> CalamineWorkbook:
    """Open a workbook held in memory."""
    require_modest(content)
    with opened():
        return CalamineWorkbook.from_filelike(io.BytesIO(with_errors_as_text(content)))


def _read_sheets(content: bytes, columns: Columns, *, sheet: str | None) -> tuple[RawTable, ...]:
    """Read the sheet asked for, or all that are no optional table, the one to be read alone first."""
    book = _open_workbook(content)
    name = _choose_sheet(book.sheet_names, sheet)
    others = [] if sheet is not None else _others(book.sheet_names, name)
    digest = hashlib.sha256(content).hexdigest()
    unread = 0 if name.strip().lower() == "visits" else len(others)
    with opened():
        return tuple(
            _read_one_sheet(book, each, columns, sha256=digest, other_sheets=unread)
            for each in (name, *others)
        )


def _read_one_sheet(book: CalamineWorkbook, name: str, columns: Columns, **facts: Any) -> RawTable:
    """Read one sheet of a workbook; a sheet that holds a drawing holds nothing."""
    number = book.sheet_names.index(name) + 1
    try:
        sheet = book.get_sheet_by_name(name)
    except WorksheetNotFound:
        return assemble([], columns, kind="excel", sheet=name, sheet_number=number, **facts)
    values = sheet.to_python(skip_empty_area=False)
    rows = [(at, [as_text(cell) for cell in row]) for at, row in enumerate(values, start=1)]
    merged = sheet.merged_cell_ranges or ()
    return assemble(rows, columns, kind="excel", merged=merged, sheet=name, sheet_number=number, **facts)


def sheet_names(source: str | Path | FileContent | pd.DataFrame) -> tuple[str, ...]:
    """Return the names of a workbook's sheets; none for any other kind of source.

    Raises
    ------
    SourceError
        As :func:`read_source`.
    """
    if isinstance(source, pd.DataFrame) or is_link(source):
        return ()
    path = Path(source.name if isinstance(source, FileContent) else source)
    if path.suffix.lower() not in SHEET_SUFFIXES:
        return ()
    content = source.content if isinstance(source, FileContent) else read_file(path, text=False)
    return tuple(_open_workbook(content).sheet_names)


def _others(names: Sequence[str], read: str) -> list[str]:
    """Name the sheets beside the one to be read that are no optional table."""
    return [name for name in names if name != read and name.strip().lower() not in TABLES]


def _choose_sheet(names: Sequence[str], wanted: str | None) -> str:
    """Return the sheet asked for, else the one called Visits, else the first that is no other table."""
    if not names:
        raise SourceError("The workbook has no sheets; save the visits as a sheet of their own.")
    if wanted is None:
        others = [name for name in names if name.strip().lower() not in TABLES]
        return next((name for name in others if name.strip().lower() == "visits"), (*others, names[0])[0])
    if wanted in names:
        return wanted
    near = difflib.get_close_matches(wanted, names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise SourceError(f"The workbook has no sheet called {wanted!r}; it has {len(names)} sheets.{hint}")


def _read_frame(frame: pd.DataFrame) -> RawTable:
    """Turn a DataFrame into text cells; its index is not looked at."""
    header = tuple(str(name).strip() for name in frame.columns)
    cells = tuple(texts([as_text(value) for value in frame.iloc[:, i]]) for i in range(len(header)))
    return drop_empty(header, cells, np.arange(1, len(frame) + 1), kind="frame", sha256="")
