"""From text cells to typed columns: what each cell says, before anyone judges it.

Reading a cell never fails. A number that is not one becomes NaN with its text kept, and
:mod:`tpr_outcomes.cohort.rules` says what is wrong with it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tpr_outcomes.cohort.coded import Texts, codes_of
from tpr_outcomes.cohort.dates import Bools, Dates, Floats, read_dates
from tpr_outcomes.cohort.names import CANONICAL, NUMERIC, plain_name
from tpr_outcomes.cohort.raw import Ints, RawTable
from tpr_outcomes.cohort.reading import Reading
from tpr_outcomes.cohort.scales import Scale
from tpr_outcomes.cohort.typed_values import NOT_SOUGHT, Number, read_number, says_nothing
from tpr_outcomes.errors import PlanError

_YES = frozenset({"yes", "y", "true", "1", "checked"})
_NO = frozenset({"no", "n", "false", "0", "unchecked"})


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
    how : dict of str to (n,) object array of str
        For numeric columns in which anything but plain numbers was read: how each cell was
        (:class:`~tpr_outcomes.cohort.typed_values.Number`).
    reading : Reading
        What the user settled about the file.
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
    how: dict[str, Texts] = field(default_factory=dict)
    reading: Reading = field(default_factory=Reading)

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


def read_cells(
    raw: RawTable, *, columns: Mapping[str, str], scale: Scale, reading: Reading | None = None
) -> Record:
    """Find the columns and read the cells.

    Parameters
    ----------
    raw : RawTable
        The source.
    columns : mapping of str to str
        Canonical name to the user's name.
    scale : Scale
        Instrument of ``pain``.
    reading : Reading, optional
        What the user settled about the file.

    Returns
    -------
    Record
        Typed columns beside the text they came from.

    Raises
    ------
    PlanError
        When ``columns`` names a column the source does not have.
    """
    settled = reading or Reading()
    where, doubled = (raw.by_role, {}) if raw.roles else find_columns(raw.header, columns, said=raw.said)
    text = {name: raw.cells[index] for name, index in where.items()}
    blank = {name: says_nothing(cells, settled.missing) for name, cells in text.items()}
    numbers: dict[str, Floats] = {}
    how: dict[str, Texts] = {}
    for name in NUMERIC:
        if name not in text:
            continue
        numbers[name], ways = _read_numbers(text[name], name, raw, scale, settled)
        numbers[name][blank[name]] = np.nan
        if ways is not None:
            how[name] = ways
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
        how=how,
        not_sought=_not_sought(text, raw.n_rows),
        patient=patient,
        dates=_dates(text, settled),
        reading=settled,
    )


def _dates(text: Mapping[str, Texts], reading: Reading) -> Dates | None:
    """Read the date column, if there is one."""
    if "date" not in text:
        return None
    return read_dates(text["date"], order=reading.dates, missing=reading.missing)


def _read_numbers(
    cells: Texts, name: str, raw: RawTable, scale: Scale, reading: Reading
) -> tuple[Floats, Texts | None]:
    """Read one numeric column, and say how each cell was read if any was not a plain number."""
    commas = {"comma": True, "point": False}.get(reading.decimals, True if raw.decimal_comma else None)
    rating = name == "pain"

    def read(cell: str) -> Number:
        return read_number(
            cell,
            commas=commas,
            top=scale.maximum if rating else None,
            ranges=reading.ranges if rating else "",
        )

    codes, different = codes_of(cells)
    found = [read(cell) for cell in different]
    values = np.array([number.value for number in found], dtype=np.float64)[codes]
    if not any(number.how for number in found):
        return values, None
    return values, np.array([number.how for number in found], dtype=object)[codes]


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


def find_columns(
    header: tuple[str, ...],
    columns: Mapping[str, str],
    names: Sequence[str] = CANONICAL,
    *,
    said: Sequence[str] = (),
) -> tuple[dict[str, int], dict[str, tuple[int, ...]]]:
    """Match our names to columns: as the map says, else by our own name.

    Parameters
    ----------
    header : tuple of str
        Names of the columns.
    columns : mapping of str to str
        Canonical name to the user's name.
    names : sequence of str
        Canonical names looked for.
    said : sequence of str
        Names that may be repeated where the map names a column that is not there; all unless given.

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
            near = difflib.get_close_matches(
                user_name.strip(), [text for text in said or header if text], n=1
            )
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
