"""Dates as people write them: which day it was, and in which order day and month were written.

The order is taken from the whole column, or from the user, or not at all: one 25/03/2024 settles every other
date of its column, and a column without any such date is asked about.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tpr_outcomes.cohort.coded import Texts, codes_of

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

SERIAL_RANGE = (20_000, 80_000)
"""Spreadsheets' day numbers that are taken for dates: 1954 to 2119."""
CENTURY = 50
"""Two-digit years below this are 20xx, the others 19xx."""

_TIME = r"(?:[T ,]+\d{1,2}:\d{2}.*)?"
_ISO = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})" + _TIME)
_COMPACT = re.compile(r"((?:19|20)\d{2})(\d{2})(\d{2})")
_SLASHED = re.compile(r"(\d{1,2})\s?[-/.]\s?(\d{1,2})\s?[-/.]\s?(\d{4}|\d{2})" + _TIME)
_SERIAL = re.compile(r"(\d{5})(?:\.\d+)?")
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DAY_NAME = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?\.?[-/ ]?" + _MONTH + r"[-/ ,]*(\d{4}|\d{2})" + _TIME, re.I)
_NAME_DAY = re.compile(_MONTH + r"[-/ ]?(\d{1,2})(?:st|nd|rd|th)?,?[-/ ]+(\d{4})" + _TIME, re.I)

_EPOCH = dt.date(1970, 1, 1)
_SERIAL_EPOCH = dt.date(1899, 12, 30)


@dataclass(frozen=True, eq=False)
class Dates:
    """The date column as read.

    Attributes
    ----------
    days : (n,) float64
        Days since 1970-01-01; NaN where blank or not readable.
    order : {"iso", "day first", "month first", "unclear"}
        How dates such as 05/03/2024 were read; "unclear" ones are NaN.
    settled : bool
        Whether the user said so.
    unclear : (n,) bool
        Dates that could be read in either order.
    serial, short_year : (n,) bool
        Dates written as a spreadsheet's day number; with a year of two digits.
    """

    days: Floats
    order: str
    settled: bool
    unclear: Bools
    serial: Bools
    short_year: Bools


def read_dates(cells: Texts, *, order: str = "", missing: Sequence[str] = ()) -> Dates:
    """Read dates; the order of day and month is taken from the user, the whole column, or not at all.

    Parameters
    ----------
    cells : (n,) object array of str
        The column.
    order : {"", "day first", "month first"}
        What the user settled.
    missing : sequence of str
        The user's codes for a date that was not recorded.

    Returns
    -------
    Dates
        Days, and how they were read.
    """
    codes, different = codes_of(cells)
    different = np.where(np.isin(different, missing), "", different)
    slashed = [_SLASHED.fullmatch(text) for text in different]
    settled, order = bool(order), order or _order_of([m for m in slashed if m])
    days = np.array([_to_days(text, order) for text in different], dtype=np.float64)
    unclear = order == "unclear"
    kinds = {
        "unclear": [
            unclear and m is not None and bool(np.isnan(d)) for m, d in zip(slashed, days, strict=True)
        ],
        "serial": [_serial_day(text) is not None for text in different],
        "short_year": [_short_year(text) for text in different],
    }
    marks = {name: np.array(flags, dtype=bool)[codes] for name, flags in kinds.items()}
    return Dates(days[codes] if different.size else np.empty(0), order, settled, **marks)


def is_slashed(text: str) -> bool:
    """Tell whether a date is written as two small numbers and a year.

    Parameters
    ----------
    text : str
        One cell.

    Returns
    -------
    bool
        True for 05/03/2024, false for 2024-03-05.
    """
    return _SLASHED.fullmatch(text) is not None


def _order_of(written: list[re.Match[str]]) -> str:
    """Return the only order all dates written with two small numbers allow.

    Where the year has two digits, 25/03/24 may begin with the day or with the year, so it settles nothing.
    """
    if not written:
        return "iso"
    day_first = any(int(m[1]) > 12 and (len(m[3]) == 4 or int(m[3]) > 31) for m in written)
    month_first = any(int(m[2]) > 12 for m in written)
    if day_first == month_first:
        return "unclear"
    return "day first" if day_first else "month first"


def _to_days(text: str, order: str) -> float:
    """Return days since 1970-01-01, NaN where the text is no date in this order."""
    parts = _parts(text, order)
    if parts is None:
        serial = _serial_day(text)
        return float("nan") if serial is None else float((_SERIAL_EPOCH - _EPOCH).days + serial)
    try:
        return float((dt.date(*parts) - _EPOCH).days)
    except ValueError:
        return float("nan")


def _parts(text: str, order: str) -> tuple[int, int, int] | None:
    """Return year, month and day as written, or None where the text is not of a known form."""
    if match := _ISO.fullmatch(text) or _COMPACT.fullmatch(text):
        return int(match[1]), int(match[2]), int(match[3])
    if match := _DAY_NAME.fullmatch(text):
        return _year(match[3]), _MONTHS[match[2].casefold()], int(match[1])
    if match := _NAME_DAY.fullmatch(text):
        return int(match[3]), _MONTHS[match[1].casefold()], int(match[2])
    if match := _SLASHED.fullmatch(text):
        a, b, year = int(match[1]), int(match[2]), _year(match[3])
        if order == "day first" or (a == b and len(match[3]) == 4):
            return year, b, a
        if order == "month first":
            return year, a, b
    return None


def _year(text: str) -> int:
    """Return a year, of two digits or four."""
    year = int(text)
    return year if len(text) == 4 else year + (2000 if year < CENTURY else 1900)


def _short_year(text: str) -> bool:
    """Tell whether a date is written with a year of two digits."""
    match = _SLASHED.fullmatch(text) or _DAY_NAME.fullmatch(text)
    return match is not None and len(match[3]) == 2


def _serial_day(text: str) -> int | None:
    """Return a spreadsheet's day number, or None where the text is none."""
    match = _SERIAL.fullmatch(text)
    if match is None or not SERIAL_RANGE[0] <= int(match[1]) <= SERIAL_RANGE[1]:
        return None
    return int(match[1])
