"""Text files in which every line is one record, split in bulk: the fast way for large, tidy files.

The general reader (:mod:`~tpr_outcomes.cohort.sources`) follows every quotation mark and counts every line.
Where a file is plain (one record a line, as many separators in every line, quotation marks only around whole
cells), the same table comes out of pandas' parser ten times sooner. Whatever is not plain is left to the
general reader.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tpr_outcomes.cohort.coded import Texts, from_codes

_BLOCK = 1 << 22
_PIECE = 1 << 24
_NEWLINE, _RETURN, _QUOTE = 10, 13, 34


def split_plain(content: bytes, delimiter: str) -> tuple[list[str], list[Texts]] | None:
    """Split a plain text file into its header and its columns.

    Parameters
    ----------
    content : bytes
        UTF-8 without a byte-order mark; the first line is the header.
    delimiter : str
        The separator, one ASCII sign.

    Returns
    -------
    header : list of str
        Stripped names.
    columns : list of (n,) object array
        Stripped cells; line ``i + 2`` of the content is row ``i``.
        None in place of both where the file is not plain.
    """
    unquoted = _without_quotes(content, ord(delimiter))
    if unquoted is None:
        return None
    end = unquoted.find(b"\n")
    header = unquoted[: max(end, 0)].decode().rstrip("\r").split(delimiter)
    if end < 0 or end + 1 == len(unquoted) or len(header) < 2 or not all(name.strip() for name in header):
        return None
    if not _one_record_a_line(unquoted, ord(delimiter), len(header) - 1):
        return None
    columns = [_Merged() for _ in header]
    for piece in _pieces(unquoted, end + 1):
        frame = pd.read_csv(
            io.BytesIO(piece),
            sep=delimiter,
            header=None,  # the names stay in as texts, so that no column looks like numbers to the parser
            names=list(range(len(header))),
            index_col=False,
            dtype="category",
            na_filter=False,
            quoting=csv.QUOTE_NONE,
            skip_blank_lines=False,
            encoding="utf-8",
            engine="c",
            low_memory=False,  # its own pieces are so small that putting them together costs most
        )
        for i, column in enumerate(columns):
            if not column.take(frame[i]):
                return None
    return [name.strip() for name in header], [column.texts() for column in columns]


def _pieces(content: bytes, start: int) -> Iterator[bytes]:
    """Yield whole lines, a few megabytes at a time, each time below the line of names."""
    names = content[:start]
    while start < len(content):
        end = content.find(b"\n", min(start + _PIECE, len(content) - 1)) + 1 or len(content)
        yield names + content[start:end]
        start = end


class _Merged:
    """One column put together from pieces: stripped texts, each different one once."""

    def __init__(self) -> None:
        """Begin without any cell."""
        self.known: dict[str, int] = {}
        self.codes: list[npt.NDArray[np.int32]] = []

    def take(self, piece: pd.Series[Any]) -> bool:
        """Add a piece, without the name on top of it.

        False where the parser took the texts for numbers: ``007`` would no longer differ from ``7``.
        """
        index, codes = piece.cat.categories, piece.cat.codes.to_numpy()
        if not (isinstance(index.dtype, pd.StringDtype) or pd.api.types.infer_dtype(index) == "string"):
            return False
        texts = index.to_numpy(dtype=object).tolist()
        name, codes = int(codes[0]), codes[1:]
        if not (codes == name).any():
            del texts[name]
            codes = codes.astype(np.int32)
            codes -= codes > name
        known = self.known
        place = [known.setdefault(text.strip(), len(known)) for text in texts]
        self.codes.append(np.array(place, dtype=np.int32)[codes])
        return True

    def texts(self) -> Texts:
        """Return the whole column."""
        codes = np.concatenate(self.codes)
        self.codes.clear()
        return from_codes(codes, np.array(list(self.known), dtype=object))


def _without_quotes(content: bytes, delimiter: int) -> bytes | None:
    """Take off quotation marks that stand around whole cells; None where there are any others."""
    if content.count(b"\r") != content.count(b"\r\n"):
        return None
    if b'"' not in content:
        return content
    signs = np.frombuffer(content, dtype=np.uint8)
    marks = np.flatnonzero(signs == _QUOTE)
    if marks.size % 2:
        return None
    if not _in_pairs(signs, delimiter):
        return None
    opening, closing = marks[::2], marks[1::2]
    before = signs[np.maximum(opening - 1, 0)]
    after = signs[np.minimum(closing + 1, signs.size - 1)]
    opens = (before == delimiter) | (before == _NEWLINE) | (opening == 0)
    closes = (after == delimiter) | (after == _NEWLINE) | (after == _RETURN) | (closing + 1 == signs.size)
    return content.replace(b'"', b"") if opens.all() and closes.all() else None


def _in_pairs(signs: npt.NDArray[np.uint8], delimiter: int) -> bool:
    """Tell whether no separator and no line end stands between a mark that opens and the one that closes."""
    told = signs[(signs == _QUOTE) | (signs == delimiter) | (signs == _NEWLINE)]
    marks = np.flatnonzero(told == _QUOTE)
    return bool((marks[1::2] - marks[::2] == 1).all())


def _one_record_a_line(content: bytes, delimiter: int, wanted: int) -> bool:
    """Tell whether every line holds so many separators."""
    signs = np.frombuffer(content, dtype=np.uint8)
    start = 0
    while start < signs.size:
        end = content.find(b"\n", min(start + _BLOCK, signs.size - 1)) + 1 or signs.size
        if not _same_everywhere(signs[start:end], delimiter, wanted):
            return False
        start = end
    return True


def _same_everywhere(signs: npt.NDArray[np.uint8], delimiter: int, wanted: int) -> bool:
    """Tell whether every line of a block of whole lines holds so many separators."""
    ends = np.flatnonzero(signs == _NEWLINE)
    if not ends.size or ends[-1] != signs.size - 1:
        ends = np.append(ends, signs.size)
    found = np.flatnonzero(signs == delimiter)
    if found.size != wanted * ends.size:
        return False
    lines = found.reshape(-1, wanted)
    within: np.bool_ = (lines[:, -1] < ends).all() & (lines[1:, 0] > ends[:-1]).all()
    return bool(within)
