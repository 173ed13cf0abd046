"""Opening a file: what is refused before it is read, and how much of it may be read.

A file may be hostile without anybody meaning harm: a device under a file's name, one line of a gigabyte,
an archive that unpacks to more than the machine holds. Each has a limit here, checked before the memory is
spent, and a refusal that names the limit.
"""

from __future__ import annotations

import difflib
import gzip
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tpr_outcomes.errors import SourceError

MOST_BYTES = 2 << 30
"""Size of a file that is read into memory, packed or unpacked; larger ones go through Parquet."""

LONGEST_LINE = 1 << 20
"""Bytes without a line end after which a text file is taken to be no table."""

GZIP = ".gz"
"""Ending of a packed text file; the ending before it says what is packed."""

MOST_ROWS = 10_000_000
"""Rows that are read into memory; more are checked and derived piece by piece."""
MOST_COLUMNS = 1_000

_BLOCK = LONGEST_LINE  # so that no line inside a block can be too long


def read_file(path: Path, *, text: bool) -> bytes:
    """Return the content of a file, unpacked where its name ends in ``.gz``.

    Parameters
    ----------
    path : Path
        The file.
    text : bool
        Whether lines are expected, and looked for while reading.

    Returns
    -------
    bytes
        At most :data:`MOST_BYTES`.

    Raises
    ------
    SourceError
        When there is no such file, it is no ordinary file, cannot be opened, is cut off, or goes past a
        limit.
    """
    with _said_plainly(path):
        _require_ordinary(path)
        _require_size(path, path.stat().st_size)
        return _read_blocks(path, text=text)


def require_file(path: Path) -> None:
    """Raise unless there is an ordinary file that may be read.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    SourceError
        When there is none, it is a folder, a device or a pipe, or it cannot be opened.
    """
    with _said_plainly(path):
        _require_ordinary(path)
        with path.open("rb"):
            pass


def _require_ordinary(path: Path) -> None:
    """Raise for folders, and for devices and pipes, which may never end."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise SourceError(f"{path} is a folder; name the file inside it.")
    if not stat.S_ISREG(mode):
        raise SourceError(f"{path} is not an ordinary file (a device or pipe); save it as a file first.")


@contextmanager
def _said_plainly(path: Path) -> Iterator[None]:
    """Turn what the system says about a path into a refusal with a remedy."""
    try:
        yield
    except FileNotFoundError as error:
        raise SourceError(f"There is no file {path}{nearest_file(path)}; check the path.") from error
    except OSError as error:
        raise SourceError(
            f"{path} cannot be opened ({error.strerror}); close it elsewhere or copy it."
        ) from error
    except ValueError as error:  # a zero byte in the name itself
        raise SourceError("The name of the file is not one a file can have; check the path.") from error


def nearest_file(path: Path) -> str:
    """Name a file beside the missing one whose name is nearly the same; empty where there is none."""
    try:
        names = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.8)
    return f" (there is {near[0]})" if near else ""


def _read_blocks(path: Path, *, text: bool) -> bytes:
    """Read block by block, so that a limit is met before the memory is spent."""
    content = bytearray()
    line = 0  # bytes since the last line end
    for block in _blocks(path):
        content += block
        _require_size(path, len(content))
        if text:
            line = _line_so_far(path, block, line)
    return bytes(content)


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield the content, unpacked, in blocks."""
    packed = path.suffix.lower() == GZIP
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SourceError(
            f"{path} cannot be unpacked: it is cut off or damaged, or not packed with gzip. Copy it again."
        ) from error


def _line_so_far(path: Path, block: bytes, line: int) -> int:
    """Return the bytes since the last line end, and refuse a line that is too long."""
    ends = [place for mark in (b"\n", b"\r") if (place := block.find(mark)) >= 0]
    if line + (min(ends) if ends else len(block)) > LONGEST_LINE:
        raise SourceError(
            f"{path} has a line of more than {LONGEST_LINE >> 20} MB, which is no table of visits (one row a "
            "line is wanted). Check that this is the right file, or save it as CSV again."
        )
    if not ends:
        return line + len(block)
    return len(block) - 1 - max(block.rfind(b"\n"), block.rfind(b"\r"))


def _require_size(path: Path, size: int) -> None:
    """Raise where a file is larger than what is read into memory."""
    if size > MOST_BYTES:
        raise SourceError(
            f"{path} holds more than {MOST_BYTES >> 30} GB, the most that is read into memory. Save the "
            "table as Parquet, which is read piece by piece, or split the file by patients."
        )


def require_rows(name: str, rows: int, columns: int) -> None:
    """Raise where a table is larger than what is read into memory.

    Parameters
    ----------
    name : str
        What may be said of the source.
    rows, columns : int
        Its size.

    Raises
    ------
    SourceError
        With the limit.
    """
    if rows > MOST_ROWS:
        raise SourceError(
            f"{name} has {rows:,} rows; up to {MOST_ROWS:,} are read into memory. tpr derive takes a "
            "Parquet file of any size piece by piece, and draws patients by lot for the rest (--patients)."
        )
    if columns > MOST_COLUMNS:
        raise SourceError(
            f"{name} has {columns:,} columns; up to {MOST_COLUMNS:,} are read. Select the columns that are "
            "needed."
        )


@contextmanager
def extra(library: str, *, to_read: str) -> Iterator[None]:
    """Turn a library of the extra "files" that is not there into a refusal that names the extra.

    Parameters
    ----------
    library : str
        What is imported inside.
    to_read : str
        What it is needed for.

    Raises
    ------
    SourceError
        When it is not installed or does not load.
    """
    try:
        yield
    except ImportError as error:
        raise SourceError(
            f"Reading {to_read} needs {library}, which is not installed or does not load here. "
            "Install the extra: pip install 'tpr-outcomes[files]'."
        ) from error
