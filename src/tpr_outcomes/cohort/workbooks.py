"""Workbooks before they are opened: how much they unpack to, and how far their cells reach.

A workbook is a packed archive. A few kilobytes can unpack to more than the machine holds, and one cell in the
far corner of a sheet makes a reader lay out seventeen thousand million empty ones. Both are looked for here,
in bounded memory, without believing what the archive says of itself.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from python_calamine import CalamineError

from tpr_outcomes.errors import SourceError

MOST_UNPACKED = 512 << 20
"""Bytes a workbook may unpack to."""
MOST_CELLS = 20_000_000
"""Cells, empty ones between others included, that a sheet may have."""
MOST_PARTS = 10_000

_BLOCK = 1 << 20
_UNPACKING = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError)
_HEADER = 30  # bytes of a member's own header before its name
_ZIP = b"PK\x03\x04"
_REFERENCE = re.compile(rb'\br="([A-Za-z]{1,8})(\d{1,20})"')
_ROW = re.compile(rb'<(?:\w+:)?row\b[^>]*?\br="(\d{1,20})"')
_FAILED = re.compile(rb"""(<(?:\w+:)?c\b[^>]*?\s)t=["']e["']""")
_LONGEST_TAG = 1 << 12
_ODS_ROW = b"<table:table-row"
_REPEATED_ROWS = re.compile(rb'table:number-rows-repeated="(\d{1,20})"')
_ODS_CELL = re.compile(rb"<table:(?:covered-)?table-cell\b([^>]*?)(/?)>")
_REPEATED_COLUMNS = re.compile(rb'table:number-columns-repeated="(\d{1,20})"')
_XLSB_ROW, _XLSB_LAST_CELL = 0, 11

DAMAGED = (
    "The spreadsheet cannot be opened: it may be damaged, protected by a password, or another kind "
    "of file under this name. Open it in the spreadsheet program and save it without a password."
)


def require_modest(content: bytes) -> None:
    """Raise where opening a workbook would take more memory than a clinic's record can need.

    Parameters
    ----------
    content : bytes
        The file. Old workbooks (.xls) cannot grow beyond their format and are let through.

    Raises
    ------
    SourceError
        When it unpacks to more than :data:`MOST_UNPACKED`, a sheet has more than :data:`MOST_CELLS` cells,
        or the archive is damaged.
    """
    if not content.startswith(b"PK"):
        return
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise SourceError(DAMAGED) from error
    names = [member.filename for member in members]
    if len(names) > MOST_PARTS or len(set(names)) < len(names):
        raise SourceError(DAMAGED)
    total = 0
    for member in members:
        sheet = _sheet_kind(member.filename)
        kept = bytearray()
        for block in _unpacked(content, member):
            total += len(block)
            if total > MOST_UNPACKED:
                raise SourceError(
                    f"The workbook unpacks to more than {MOST_UNPACKED >> 20} MB, the most that is read. "
                    "Save the sheet with the visits as CSV or Parquet, or delete pictures and unused sheets."
                )
            if sheet:
                kept += block
        if sheet and _cells(bytes(kept), sheet) > MOST_CELLS:
            raise SourceError(
                f"A sheet reaches over more than {MOST_CELLS:,} cells, the most that is read; one cell far "
                "out is enough. Delete unused rows and columns (Ctrl+End shows the last), or save it as CSV."
            )


def with_errors_as_text(content: bytes) -> bytes:
    """Turn cells in which a formula failed (``#REF!``) into text, so that they are not taken for blank.

    Parameters
    ----------
    content : bytes
        A workbook that :func:`require_modest` has let through.

    Returns
    -------
    bytes
        The same workbook where no formula failed, and for kinds other than .xlsx and .xlsm.

    Raises
    ------
    SourceError
        When a part does not unpack to what the archive says it holds.
    """
    if not content.startswith(b"PK"):
        return content
    try:
        return _with_errors_as_text(content)
    except _UNPACKING as error:
        raise SourceError(DAMAGED) from error


def _with_errors_as_text(content: bytes) -> bytes:
    """Do so, and fail as the archive does."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        sheets = {m.filename for m in archive.infolist() if _sheet_kind(m.filename) == "xlsx"}
        parts = {m.filename: archive.read(m) for m in archive.infolist() if m.filename in sheets}
        if not any(_FAILED.search(part) for part in parts.values()):
            return content
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as other:
            for member in archive.infolist():
                part = parts.get(member.filename)
                whole = archive.read(member) if part is None else _FAILED.sub(rb'\g<1>t="str"', part)
                other.writestr(zipfile.ZipInfo(member.filename), whole)
    return made.getvalue()


@contextmanager
def opened() -> Iterator[None]:
    """Turn whatever a workbook's reader ends with into one refusal.

    Raises
    ------
    SourceError
        Where the reader fails, or its own checks do.
    """
    try:
        yield
    except CalamineError as error:
        raise SourceError(DAMAGED) from error
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # how a failed check of the reader surfaces here
            raise SourceError(DAMAGED) from error
        raise


def _sheet_kind(name: str) -> str:
    """Tell what a member of the archive holds cells in: "xlsx", "xlsb", "ods" or nothing."""
    plain = name.lower().replace("\\", "/")
    if plain.endswith("content.xml"):
        return "ods"
    if "sheet" in plain and plain.endswith(".xml"):
        return "xlsx"
    return "xlsb" if "sheet" in plain and plain.endswith(".bin") else ""


def _unpacked(content: bytes, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield what a member unpacks to, in blocks, whatever size it claims to have."""
    start = member.header_offset
    head = content[start : start + _HEADER]
    if not head.startswith(_ZIP) or len(head) < _HEADER:
        raise SourceError(DAMAGED)
    start += _HEADER + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
    packed = memoryview(content)[start : start + member.compress_size]
    if member.compress_type == zipfile.ZIP_STORED:
        yield bytes(packed)
        return
    if member.compress_type != zipfile.ZIP_DEFLATED:
        raise SourceError(DAMAGED)
    unpack = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for at in range(0, len(packed), _BLOCK):
            rest = bytes(packed[at : at + _BLOCK])
            while rest and not unpack.eof:
                yield unpack.decompress(rest, _BLOCK)
                rest = unpack.unconsumed_tail
    except zlib.error as error:
        raise SourceError(DAMAGED) from error


def _cells(sheet: bytes, kind: str) -> int:
    """Count the cells a reader would lay out for a sheet."""
    if kind == "ods":
        return _cells_of_ods(sheet)
    rows, columns = _extent_of_xlsb(sheet) if kind == "xlsb" else _extent_of_xlsx(sheet)
    return rows * columns


def _extent_of_xlsx(sheet: bytes) -> tuple[int, int]:
    """Return the last row and the last column of a sheet in XML."""
    rows, columns = {b"1"}, {b"A"}
    for n, match in enumerate(_REFERENCE.finditer(sheet)):
        columns.add(match[1])
        rows.add(match[2])
        if n > MOST_CELLS:
            return n, 1
    rows.update(match[1] for match in _ROW.finditer(sheet))
    last = max(*map(int, rows), sheet.count(b"<row"), sheet.count(b":row"))
    return last, max(_number(letters) for letters in columns)


def _number(letters: bytes) -> int:
    """Return the number of a column: A is 1, AA is 27."""
    number = 0
    for sign in letters.upper():
        number = number * 26 + sign - ord("A") + 1
    return number


def _extent_of_xlsb(sheet: bytes) -> tuple[int, int]:
    """Return the last row and the last column of a sheet in records."""
    last_row = last_column = at = 0
    while at < len(sheet):
        kind, at = _variable(sheet, at, most=2)
        size, at = _variable(sheet, at, most=4)
        first = int.from_bytes(sheet[at : at + 4], "little")
        if kind == _XLSB_ROW and size >= 4:
            last_row = max(last_row, first)
        elif kind <= _XLSB_LAST_CELL and size >= 4:
            last_column = max(last_column, first)
        at += size
    return last_row + 1, last_column + 1


def _variable(sheet: bytes, at: int, *, most: int) -> tuple[int, int]:
    """Read a number of seven bits a byte; return it and where it ends."""
    number = 0
    for i in range(most):
        byte = sheet[at + i] if at + i < len(sheet) else 0
        number |= (byte & 0x7F) << (7 * i)
        if not byte & 0x80:
            return number, at + i + 1
    return number, at + most


def _cells_of_ods(sheet: bytes) -> int:
    """Count filled cells of an OpenDocument sheet, repeated ones as often as they are."""
    total = 0
    for row in sheet.split(_ODS_ROW)[1:]:
        repeated = _REPEATED_ROWS.search(row, 0, _LONGEST_TAG)
        cells = 0
        for attributes, empty in _ODS_CELL.findall(row):
            columns = _REPEATED_COLUMNS.search(attributes)
            if not empty or b"value" in attributes:
                cells += int(columns[1]) if columns else 1
        total += cells * (int(repeated[1]) if repeated else 1)
    return total
