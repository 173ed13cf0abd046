"""Values as people type them: which number a cell says, and when it says none.

A number is read from anything that can mean only one number (``7/10`` on a scale that ends at 10, ``7,5``),
and what was read is told. Anything that could mean two is not read: a rule says what to write instead.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tpr_outcomes.cohort.coded import Texts, codes_of

BLANK = frozenset(
    {
        "", "na", "n/a", "#n/a", "n.a.", "n.a", "nan", "<na>", "null", ".", "nr", "nd", "missing",
        "not recorded", "not rated", "not done", "not available", "unknown", "unk", "-", "--", "---",
        "–", "—", "?",
    }
)  # fmt: skip
"""Cells that say "nothing was recorded"; for twitches that is not the same as none, nor as not sought."""

NOT_SOUGHT = frozenset({"not sought", "not attempted", "not looked for", "ns"})
"""Entries of the twitches column that say twitches were not looked for."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_OUT_OF = re.compile(r"(\d+(?:[.,]\d+)?)\s?(?:/|of|out of)\s?(\d+)", re.IGNORECASE)
_RANGE = re.compile(r"(\d+(?:[.,]\d+)?)\s?(?:-|–|—|to|bis)\s?(\d+(?:[.,]\d+)?)", re.IGNORECASE)
_COMMA = re.compile(r"[+-]?\d+,\d{1,2}")
NOT_A_NUMBER = float("nan")


@dataclass(frozen=True)
class Number:
    """What a cell was read as.

    Attributes
    ----------
    value : float
        The number, or NaN.
    how : {"", "out_of", "comma", "range"}
        What had to be understood to read it; empty for a plain number and where none was read.
    """

    value: float
    how: str = ""


NONE = Number(NOT_A_NUMBER)


def says_nothing(cells: Texts, codes: Iterable[str] = ()) -> npt.NDArray[np.bool_]:
    """Mark the cells that say nothing was recorded.

    Parameters
    ----------
    cells : (n,) object array of str
        A column.
    codes : iterable of str
        The user's own codes for missing values, beside :data:`BLANK`.

    Returns
    -------
    (n,) bool
        True where nothing was recorded.
    """
    nothing = BLANK | {code.casefold() for code in codes}
    numbers, different = codes_of(cells)
    return np.array([text.casefold() in nothing for text in different], dtype=bool)[numbers]


def to_number(text: str, *, decimal_comma: bool = False) -> float:
    """Read a plain number, NaN where the text is not one.

    Parameters
    ----------
    text : str
        One cell.
    decimal_comma : bool
        Whether a comma separates the decimals.

    Returns
    -------
    float
        The number, or NaN.
    """
    if decimal_comma:
        text = text.replace(",", ".")
    number = float(text) if _NUMBER.fullmatch(text) else NOT_A_NUMBER
    return number if math.isfinite(number) else NOT_A_NUMBER  # 1e999 is written as a number and is none


def read_number(
    text: str, *, commas: bool | None = None, top: float | None = None, ranges: str = ""
) -> Number:
    """Read a number as people type it.

    Parameters
    ----------
    text : str
        One cell.
    commas : bool, optional
        Whether a comma separates the decimals: True and False are settled, None takes ``7,5`` as seven and
        a half (one comma, one or two digits behind it) and ``1,234`` for nothing.
    top : float, optional
        Upper end of the scale, against which ``7/10`` is held; not read without it.
    ranges : {"", "lower", "middle", "upper"}
        What ``7-8`` is read as; not read without it.

    Returns
    -------
    Number
        The number and how it was read.

    Examples
    --------
    >>> read_number("7/10", top=10.0)
    Number(value=7.0, how='out_of')
    >>> read_number("7,5"), read_number("7-8", ranges="middle")
    (Number(value=7.5, how='comma'), Number(value=7.5, how='range'))
    """
    plain = to_number(text, decimal_comma=commas is True)
    if plain == plain:
        return Number(plain)
    if commas is None and _COMMA.fullmatch(text):
        return Number(_point(text), "comma")
    if top is not None and (match := _OUT_OF.fullmatch(text)):
        value = _point(match[1])
        return Number(value, "out_of") if float(match[2]) == top and value <= top else NONE
    if ranges and (ends := is_range(text)):
        low, high = ends
        return Number({"lower": low, "middle": (low + high) / 2, "upper": high}[ranges], "range")
    return NONE


def is_range(text: str) -> tuple[float, float] | None:
    """Return the two numbers of ``7-8``, or None where the text is not of that form.

    Parameters
    ----------
    text : str
        One cell.

    Returns
    -------
    tuple of float or None
        Smaller and larger number.
    """
    match = _RANGE.fullmatch(text)
    if match is None:
        return None
    low, high = _point(match[1]), _point(match[2])
    return (low, high) if low < high else None


def _point(text: str) -> float:
    return float(text.replace(",", "."))
