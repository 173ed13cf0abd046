"""From text cells to typed columns: what each cell says, before anyone judges it.

Reading a cell never fails. A number that is not one becomes NaN with its text kept, and
:mod:`tpr_outcomes.cohort.rules` says what is wrong with it.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tpr_outcomes.cohort.coded import Texts, codes_of
from tpr_outcomes.cohort.scales import Scale
from tpr_outcomes.cohort.sources import RawTable
from tpr_outcomes.errors import PlanError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

CANONICAL = (
    "patient",
    "visit",
    "date",
    "weeks",
    "pain",
    "twitches",
    "sought",
    "insertions",
    "sites",
    "sessions",
    "therapist",
    "region",
    "sex",
    "age",
    "stop_reason",
)
"""Every column name the toolkit understands."""

COUNTS = ("insertions", "sites", "sessions")
"""Rival doses: counts beside the twitches."""

CATEGORIES = ("therapist", "region", "sex", "stop_reason")
"""Columns of short words."""

NUMERIC = ("visit", "weeks", "pain", "twitches", *COUNTS, "age")
"""Columns of numbers."""

BLANK = frozenset({"", "na", "n/a", "#n/a", "nan", "<na>", "null", ".", "nr", "missing", "not recorded"})
"""Cells that say "nothing was recorded"."""

NOT_SOUGHT = frozenset({"not sought", "ns"})
"""Entries of the twitches column that say twitches were not looked for."""

_YES = frozenset({"yes", "y", "true", "1"})
_NO = frozenset({"no", "n", "false", "0"})

_SYNONYMS = {
    "patient": ("patient_id", "patid", "pat", "id", "record_id", "subject", "subject_id", "pid", "case"),
    "visit": ("visit_no", "visit_nr", "visit_number", "visitno", "session_no", "timepoint"),
    "date": ("visit_date", "date_of_visit", "datum", "day"),
    "weeks": ("week", "weeks_since_first"),
    "pain": ("nrs", "vas", "pain_nrs", "nrs_pain", "pain_score", "pain_now", "pain_before", "score"),
    "twitches": ("ltr", "ltrs", "ltr_count", "twitch", "n_ltr", "n_twitches", "local_twitch_responses"),
    "sought": ("ltr_attempted", "ltr_sought", "attempted"),
    "insertions": ("needles", "n_insertions", "needle_insertions"),
    "sites": ("n_sites", "muscles", "points"),
    "sessions": ("n_sessions", "treatments"),
    "therapist": ("therapist_id", "clinician", "practitioner", "provider"),
    "region": ("body_region", "area"),
    "sex": ("gender",),
    "age": ("age_years",),
    "stop_reason": ("reason", "discharge_reason", "stopped_because"),
}
_KNOWN = {name: name for name in CANONICAL} | {
    synonym: name for name, synonyms in _SYNONYMS.items() for synonym in synonyms
}

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_ISO = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ]\d{1,2}:\d{2}.*)?")
_SLASHED = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})(?:[T ]\d{1,2}:\d{2}.*)?")


@dataclass(frozen=True, eq=False)
class Dates:
    """The date column as read.

    Attributes
    ----------
    days : (n,) float64
        Days since 1970-01-01; NaN where blank or not readable.
    order : {"iso", "day first", "month first", "unclear"}
        How dates not written yyyy-mm-dd were read; "unclear" ones are NaN.
    unclear : (n,) bool
        Dates that could be read in either order.
    """

    days: Floats
    order: str
    unclear: Bools


@dataclass(frozen=True, eq=False)
class Record:
    """A source with its columns found and its cells read.

    Attributes
    ----------
    raw : RawTable
        Text cells with addresses.
    where : dict of str to int
        Canonical name to column index, first match where there are several.
    doubled : dict of str to tuple of int
        Canonical names that more than one column bears.
    unknown : tuple of int
        Columns with content that nothing asks for.
    scale : Scale
        Instrument of ``pain``.
    text : dict of str to (n,) object array
        Cells of each column found.
    blank : dict of str to (n,) bool
        Cells that say nothing was recorded.
    numbers : dict of str to (n,) float64
        Numeric columns; NaN where blank or not a number.
    not_sought : (n,) bool
        Visits where twitches were not looked for.
    patient : (n,) int64
        Code in order of first appearance; -1 where the cell is empty.
    dates : Dates or None
        The date column, if there is one.
    """

    raw: RawTable
    where: dict[str, int]
    doubled: dict[str, tuple[int, ...]]
    unknown: tuple[int, ...]
    scale: Scale
    text: dict[str, Texts]
    blank: dict[str, Bools]
    numbers: dict[str, Floats]
    not_sought: Bools
    patient: Ints
    dates: Dates | None

    @property
    def n_patients(self) -> int:
        """Number of different patients."""
        return int(self.patient.max()) + 1 if self.patient.size else 0

    @property
    def moment(self) -> Floats | None:
        """Days (from dates) or weeks of each visit; None where neither column is there."""
        if self.dates is not None:
            return self.dates.days
        return self.numbers.get("weeks")


def read_cells(raw: RawTable, *, columns: Mapping[str, str], scale: Scale) -> Record:
    """Find the columns and read the cells.

    Parameters
    ----------
    raw : RawTable
        The source.
    columns : mapping of str to str
        Canonical name to the user's name.
    scale : Scale
        Instrument of ``pain``.

    Returns
    -------
    Record
        Typed columns beside the text they came from.

    Raises
    ------
    PlanError
        When ``columns`` names a column the source does not have.
    """
    where, doubled = find_columns(raw.header, columns)
    text = {name: raw.cells[index] for name, index in where.items()}
    blank = {
        name: each_text(cells, lambda cell: cell.casefold() in BLANK, bool) for name, cells in text.items()
    }
    numbers = {
        name: each_text(text[name], lambda cell: to_number(cell, decimal_comma=raw.decimal_comma), float)
        for name in NUMERIC
        if name in text
    }
    patient = np.full(raw.n_rows, -1, dtype=np.int64)
    if "patient" in text:
        codes, texts = codes_of(text["patient"])
        blank["patient"] = (texts == "")[codes]  # "NA" may be somebody's code
        patient[~blank["patient"]] = pd.factorize(codes[~blank["patient"]])[0]
    return Record(
        raw=raw,
        where=where,
        doubled=doubled,
        unknown=unknown_columns(raw, where, doubled),
        scale=scale,
        text=text,
        blank=blank,
        numbers=numbers,
        not_sought=_not_sought(text, raw.n_rows),
        patient=patient,
        dates=read_dates(text["date"]) if "date" in text else None,
    )


def each_text(cells: Texts, function: Callable[[str], object], kind: type) -> npt.NDArray[Any]:
    """Apply a function to every cell, calling it once per different text.

    Parameters
    ----------
    cells : (n,) object array of str
        The cells.
    function : callable
        From one text to one value.
    kind : type
        Type of the values, for the array returned.

    Returns
    -------
    (n,) array of ``kind``
        One value per cell.
    """
    codes, texts = codes_of(cells)
    values: npt.NDArray[Any] = np.array([function(text) for text in texts], dtype=kind)
    return values[codes]


def to_number(text: str, *, decimal_comma: bool = False) -> float:
    """Read a number, NaN where the text is not one.

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
    return float(text) if _NUMBER.fullmatch(text) else float("nan")


def nearest_known(name: str) -> str | None:
    """Return the canonical column a user's column name most resembles, if any.

    Parameters
    ----------
    name : str
        Column name in the user's file.

    Returns
    -------
    str or None
        One of :data:`CANONICAL`.

    Examples
    --------
    >>> nearest_known("LTR count")
    'twitches'
    """
    plain = plain_name(name)
    near = difflib.get_close_matches(plain, _KNOWN, n=1, cutoff=0.75)
    near = near or [word for word in plain.split("_") if word in _KNOWN]
    return _KNOWN[near[0]] if near else None


def plain_name(name: str) -> str:
    """Return a column name in lower case with single underscores between words.

    Parameters
    ----------
    name : str
        Column name as written.

    Returns
    -------
    str
        For example ``"stop_reason"`` for ``"Stop reason "``.
    """
    return re.sub(r"[\W_]+", "_", name.casefold()).strip("_")


def find_columns(
    header: tuple[str, ...], columns: Mapping[str, str], names: Sequence[str] = CANONICAL
) -> tuple[dict[str, int], dict[str, tuple[int, ...]]]:
    """Match our names to columns: as the map says, else by our own name.

    Returns
    -------
    where : dict of str to int
        First column of each name found.
    doubled : dict of str to tuple of int
        Names that more than one column bears.

    Raises
    ------
    PlanError
        When ``columns`` names a column the source does not have.
    """
    plain = [plain_name(name) for name in header]
    where: dict[str, int] = {}
    doubled: dict[str, tuple[int, ...]] = {}
    for name, user_name in columns.items():
        hits = [i for i, text in enumerate(header) if text == user_name.strip()]
        hits = hits or [i for i, text in enumerate(plain) if text and text == plain_name(user_name)]
        if not hits:
            near = difflib.get_close_matches(user_name.strip(), [text for text in header if text], n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise PlanError(
                f"The column map says {name} is the column {user_name!r}; the file has no such column.{hint}"
            )
        where[name] = hits[0]
        if len(hits) > 1:
            doubled[name] = tuple(hits)
    mapped = set(where.values())
    for name in names:
        hits = [i for i, text in enumerate(plain) if text == name and i not in mapped]
        if name in where or not hits:
            continue
        where[name] = hits[0]
        if len(hits) > 1:
            doubled[name] = tuple(hits)
    return where, doubled


def unknown_columns(
    raw: RawTable, where: Mapping[str, int], doubled: Mapping[str, tuple[int, ...]]
) -> tuple[int, ...]:
    """Return the columns that hold something and are not used."""
    used = set(where.values()) | {index for hits in doubled.values() for index in hits}
    return tuple(
        index
        for index, cells in enumerate(raw.cells)
        if index not in used and (raw.header[index] or (cells != "").any())
    )


def _not_sought(text: Mapping[str, Texts], n: int) -> Bools:
    """Mark the visits where twitches were not looked for, by either column."""
    result = np.zeros(n, dtype=bool)
    if "twitches" in text:
        result |= each_text(text["twitches"], lambda cell: cell.casefold() in NOT_SOUGHT, bool)
    if "sought" in text:
        result |= each_text(text["sought"], lambda cell: read_sought(cell) is False, bool)
    return result


def read_sought(text: str) -> bool | None:
    """Read one cell of the ``sought`` column.

    Parameters
    ----------
    text : str
        One cell.

    Returns
    -------
    bool or None
        None where the cell is blank or says neither yes nor no.
    """
    word = text.casefold()
    if word in _NO or word in NOT_SOUGHT:
        return False
    return True if word in _YES else None


def read_dates(cells: Texts) -> Dates:
    """Read dates; the order of day and month is taken from the whole column or not at all."""
    codes, texts = codes_of(cells)
    pairs = [(int(m[1]), int(m[2])) for m in (_SLASHED.fullmatch(text) for text in texts) if m]
    day_first = any(a > 12 for a, _ in pairs)
    month_first = any(b > 12 for _, b in pairs)
    order = "iso" if not pairs else "unclear"
    if day_first != month_first:
        order = "day first" if day_first else "month first"
    days = np.array([_to_days(text, order) for text in texts], dtype=np.float64)
    unclear = np.array(
        [order == "unclear" and _SLASHED.fullmatch(text) is not None for text in texts], dtype=bool
    )
    if not texts.size:
        return Dates(np.empty(0), order, np.empty(0, dtype=bool))
    return Dates(days[codes], order, unclear[codes])


def _to_days(text: str, order: str) -> float:
    """Return days since 1970-01-01, NaN where the text is no date in this order."""
    if match := _ISO.fullmatch(text):
        year, month, day = (int(part) for part in match.groups())
    elif (match := _SLASHED.fullmatch(text)) and order in ("day first", "month first"):
        first, second, year = (int(part) for part in match.groups())
        day, month = (first, second) if order == "day first" else (second, first)
    else:
        return float("nan")
    try:
        return float((dt.date(year, month, day) - dt.date(1970, 1, 1)).days)
    except ValueError:
        return float("nan")
