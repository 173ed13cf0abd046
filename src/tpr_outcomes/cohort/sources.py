"""Readers: a file or a DataFrame becomes one table of text cells, each with its address.

Nothing is interpreted here. Every cell arrives as stripped text, so that whatever is wrong with it can
later be reported with the place the user sees: a line and column, or a sheet and cell.
"""

from __future__ import annotations

import codecs
import csv
import datetime as dt
import difflib
import hashlib
import io
import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from python_calamine import CalamineError, CalamineWorkbook

from tpr_outcomes.cohort.coded import Texts, codes_of, without_rows
from tpr_outcomes.cohort.opening import GZIP, read_file
from tpr_outcomes.cohort.sources_plain import split_plain
from tpr_outcomes.errors import SourceError

Ints = npt.NDArray[np.int64]

TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
SHEET_SUFFIXES = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
TABLES = ("sites", "diary", "events", "patients")
"""Optional tables of a record, beside the visits: sheets of these names are read as such."""
_DELIMITERS = ",;\t"
_SEPARATOR_LINE = 16


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


@dataclass(frozen=True, eq=False)
class RawTable:
    """A table of text cells that remembers where each stood.

    Attributes
    ----------
    kind : {"csv", "excel", "frame"}
        What was read.
    sha256 : str
        Digest of the file; empty for a frame.
    header : tuple of str
        Column names as written, stripped.
    cells : tuple of (n,) object arrays
        One array of stripped text per column of ``header``; an empty text is an empty cell.
    rows : (n,) int64
        Line of a text file, row of a sheet, or position in a frame, each counted from 1.
    header_row : int
        Line or row of the header; 0 for a frame or where there is none.
    sheet : str
        Name of the sheet read; empty for other kinds.
    decimal_comma : bool
        Whether ``7,5`` is seven and a half.
    empty_rows, overlong_rows : tuple of int
        Rows without any content (not in ``cells``), and rows with more cells than the header.
    encoding : str
        Encoding of a text file.
    guessed : bool
        Whether the encoding had to be guessed.
    other_sheets : int
        Sheets of the workbook that were not read.
    """

    kind: Literal["csv", "excel", "frame"]
    sha256: str
    header: tuple[str, ...]
    cells: tuple[Texts, ...]
    rows: Ints
    header_row: int = 0
    sheet: str = ""
    decimal_comma: bool = False
    empty_rows: tuple[int, ...] = ()
    overlong_rows: tuple[int, ...] = ()
    encoding: str = ""
    guessed: bool = False
    other_sheets: int = 0

    @property
    def n_rows(self) -> int:
        """Rows with content below the header."""
        return int(self.rows.size)

    def address(self, row: int | None = None, column: int | None = None) -> str:
        """Return where the user finds a cell, a row, a column or the whole table.

        Parameters
        ----------
        row : int, optional
            Row number as in ``rows``.
        column : int, optional
            Index into ``header``.

        Returns
        -------
        str
            For example ``"line 14, column pain"`` or ``"sheet Visits, cell C14"``.
        """
        if self.kind == "excel":
            place = f"sheet {self.sheet}"
            if column is not None:
                return f"{place}, cell {_letters(column)}{self.header_row if row is None else row}"
            return place if row is None else f"{place}, row {row}"
        parts = []
        if row is not None:
            parts.append(f"{'row' if self.kind == 'frame' else 'line'} {row}")
        if column is not None:
            parts.append(f"column {self.header[column] or column + 1}")
        return ", ".join(parts) or ("file" if self.kind == "csv" else "table")


def read_source(source: str | Path | FileContent | pd.DataFrame, *, sheet: str | None = None) -> RawTable:
    """Read a text file, a spreadsheet or a DataFrame into text cells.

    Parameters
    ----------
    source : str, Path, FileContent or pandas.DataFrame
        A path ending in one of :data:`TEXT_SUFFIXES` or :data:`SHEET_SUFFIXES`, such a file held in
        memory, or a frame.
    sheet : str, optional
        Sheet to read. By default the one called "Visits", else the first.

    Returns
    -------
    RawTable
        The cells and their addresses.

    Raises
    ------
    SourceError
        When the file is not there, is a folder, cannot be opened or is of a kind not read here.
    """
    if isinstance(source, pd.DataFrame):
        return _read_frame(source)
    path = Path(source.name if isinstance(source, FileContent) else source)
    _require_known(path)
    in_sheets = path.suffix.lower() in SHEET_SUFFIXES
    content = source.content if isinstance(source, FileContent) else read_file(path, text=not in_sheets)
    if in_sheets:
        return _read_sheet(content, sheet=sheet)
    if sheet is not None:
        raise SourceError("A sheet was named, but the file is a text file; leave the sheet out.")
    return _read_text(content)


def _require_known(path: Path) -> None:
    """Raise unless the name ends like that of a file read here."""
    if os.path.isdir(path):  # noqa: PTH112 (Path.is_dir raises for names no file can have)
        raise SourceError(f"{path} is a folder; name the file inside it.")
    name = path.with_suffix("") if path.suffix.lower() == GZIP else path
    if name.suffix.lower() not in (TEXT_SUFFIXES if name != path else TEXT_SUFFIXES + SHEET_SUFFIXES):
        known = ", ".join([*TEXT_SUFFIXES, *(suffix + GZIP for suffix in TEXT_SUFFIXES), *SHEET_SUFFIXES])
        raise SourceError(f"{path} ends in {path.suffix or 'nothing'}; files read here end in {known}.")


# --- text files ---------------------------------------------------------------------------------


def _read_text(content: bytes) -> RawTable:
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
    plain = split_plain(body, delimiter)
    if plain is None:
        return _assemble(list(_split(body, delimiter, skipped)), **facts)
    header, cells = plain
    lines = np.arange(cells[0].size, dtype=np.int64) + (skipped + 2)
    return _drop_empty(tuple(header), tuple(cells), lines, header_row=skipped + 1, **facts)


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
    """Return the separator most frequent in the first line with content, outside quotes."""
    found = re.search(rb"^.*[^\s].*$", body, re.MULTILINE)
    outside = "".join(found[0].decode().split('"')[::2]) if found else ""
    return max(_DELIMITERS, key=outside.count)


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


_DAMAGED = (
    "The spreadsheet cannot be opened: it may be damaged, protected by a password, or another kind "
    "of file under this name. Open it in the spreadsheet program and save it without a password."
)


def _open_workbook(content: bytes) -> CalamineWorkbook:
    """Open a workbook held in memory."""
    try:
        return CalamineWorkbook.from_filelike(io.BytesIO(content))
    except CalamineError as error:
        raise SourceError(_DAMAGED) from error


def _read_sheet(content: bytes, *, sheet: str | None) -> RawTable:
    """Read one sheet of a workbook."""
    book = _open_workbook(content)
    name = _choose_sheet(book.sheet_names, sheet)
    try:
        values = book.get_sheet_by_name(name).to_python(skip_empty_area=False)
    except CalamineError as error:
        raise SourceError(_DAMAGED) from error
    rows = [(number, [_as_text(cell) for cell in row]) for number, row in enumerate(values, start=1)]
    return _assemble(
        rows,
        kind="excel",
        sha256=hashlib.sha256(content).hexdigest(),
        sheet=name,
        other_sheets=_unread(book.sheet_names, name) if sheet is None else 0,
    )


def sheet_names(source: str | Path | FileContent | pd.DataFrame) -> tuple[str, ...]:
    """Return the names of a workbook's sheets; none for any other kind of source.

    Raises
    ------
    SourceError
        As :func:`read_source`.
    """
    if isinstance(source, pd.DataFrame):
        return ()
    path = Path(source.name if isinstance(source, FileContent) else source)
    if path.suffix.lower() not in SHEET_SUFFIXES:
        return ()
    content = source.content if isinstance(source, FileContent) else read_file(path, text=False)
    return tuple(_open_workbook(content).sheet_names)


def _unread(names: Sequence[str], read: str) -> int:
    """Count the sheets nobody reads beside the one that was taken for want of one called Visits."""
    if read.strip().lower() == "visits":
        return 0
    return sum(name != read and name.strip().lower() not in TABLES for name in names)


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
    cells = tuple(_texts([_as_text(value) for value in frame.iloc[:, i]]) for i in range(len(header)))
    return _drop_empty(header, cells, np.arange(1, len(frame) + 1), kind="frame", sha256="")


def _as_text(value: Any) -> str:
    """Write a cell's value so that reading the text gives the value back; nothing becomes ``""``."""
    if value is None or value is pd.NA or value is pd.NaT:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating):
        number = float(value)
        if math.isnan(number):
            return ""
        return str(int(number)) if number.is_integer() else repr(number)
    if isinstance(value, dt.datetime):  # pandas.Timestamp is one
        return value.date().isoformat()
    if isinstance(value, np.datetime64):
        return "" if np.isnat(value) else str(value.astype("datetime64[D]"))
    return str(value).strip()


# --- from rows to a table -------------------------------------------------------------------------


def _assemble(rows: list[tuple[int, list[str]]], *, kind: Literal["csv", "excel"], **facts: Any) -> RawTable:
    """Take the first row with content as the header and stand the rest up as columns."""
    start = next((i for i, (_, row) in enumerate(rows) if any(cell.strip() for cell in row)), len(rows))
    if start == len(rows):
        return RawTable(kind=kind, header=(), cells=(), rows=np.empty(0, dtype=np.int64), **facts)
    header_row, first = rows[start]
    body = rows[start + 1 :]
    width = max((len(row) for _, row in body), default=0)
    header = [cell.strip() for cell in first]
    overlong: tuple[int, ...] = ()
    if kind == "excel":
        header += [""] * (width - len(header))
    else:
        while header and not header[-1]:
            header.pop()
        end = len(header)
        overlong = tuple(n for n, row in body if len(row) > end and any(cell.strip() for cell in row[end:]))
    columns = _columns([row for _, row in body], max(width, len(header)))[: len(header)]
    return _drop_empty(
        tuple(header),
        columns,
        np.array([number for number, _ in body], dtype=np.int64),
        kind=kind,
        header_row=header_row,
        overlong_rows=overlong,
        **facts,
    )


def _columns(rows: list[list[str]], width: int) -> tuple[Texts, ...]:
    """Stand rows of unequal length up as ``width`` columns of stripped text."""
    if not rows:
        return tuple(_texts([]) for _ in range(width))
    padded = [row if len(row) == width else row + [""] * (width - len(row)) for row in rows]
    return tuple(_texts([cell.strip() for cell in column]) for column in zip(*padded, strict=True))


def _texts(values: list[str]) -> Texts:
    """Return a one-dimensional object array of the texts."""
    result = np.empty(len(values), dtype=object)
    result[:] = values
    return result


def _drop_empty(header: tuple[str, ...], cells: tuple[Texts, ...], rows: Ints, **facts: Any) -> RawTable:
    """Set rows without content aside, and say which they were."""
    used = np.zeros(rows.size, dtype=bool)
    for column in cells:
        codes, texts = codes_of(column)
        used |= (texts != "")[codes]
    return RawTable(
        header=header,
        cells=cells if used.all() else tuple(without_rows(column, used) for column in cells),
        rows=rows[used],
        empty_rows=tuple(int(row) for row in rows[~used]),
        **facts,
    )


def _letters(column: int) -> str:
    """Return a spreadsheet's letters for a column index: 0 is A, 26 is AA."""
    text = ""
    number = column + 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("A") + rest) + text
    return text
