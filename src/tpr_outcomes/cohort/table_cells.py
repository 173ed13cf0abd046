"""An optional table's cells read by its schema, and tied to the patients and visits of the record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from tpr_outcomes.cohort.cells import Record, each_text, find_columns, read_sought, unknown_columns
from tpr_outcomes.cohort.coded import Texts
from tpr_outcomes.cohort.dates import Bools, Floats, read_dates
from tpr_outcomes.cohort.names import plain_name
from tpr_outcomes.cohort.raw import Ints, RawTable
from tpr_outcomes.cohort.reading import Reading
from tpr_outcomes.cohort.scales import NRS
from tpr_outcomes.cohort.schemas import EVENT_WORDS, NONE_WORDS, Schema
from tpr_outcomes.cohort.typed_values import NOT_SOUGHT, says_nothing, to_number
from tpr_outcomes.cohort.visits import Visits, row_order

UNKNOWN = -1
"""Code of a patient, or number of a visit, that the visits do not have."""


@dataclass(frozen=True, eq=False)
class Links:
    """What ties another table to the visits; it holds identifiers and does not leave the reading.

    Attributes
    ----------
    codes : mapping of str to int
        The user's patient to ours.
    visits : frozenset of (int, int)
        Patient code and visit number.
    weeks : mapping of (int, int) to float
        Weeks of each visit; empty where visits have no time.
    days : mapping of (int, float) to int
        Patient code and day of a visit to its number; empty where visits have no dates.
    first_day : mapping of int to float
        Day of each patient's first visit.
    twitches : mapping of (int, int) to float
        Twitches of each visit.
    """

    codes: Mapping[str, int]
    visits: frozenset[tuple[int, int]]
    weeks: Mapping[tuple[int, int], float]
    days: Mapping[tuple[int, float], int]
    first_day: Mapping[int, float]
    twitches: Mapping[tuple[int, int], float]


def links_of(record: Record, visits: Visits) -> Links:
    """Tie the user's identifiers and dates to the codes and numbers of the visits made of them."""
    table = visits.table
    keys = list(zip(table["patient"].tolist(), table["visit"].tolist(), strict=True))
    days: dict[tuple[int, float], int] = {}
    first_day: dict[int, float] = {}
    if record.dates is not None and "weeks" in table:
        for (patient, visit), day in zip(keys, record.dates.days[row_order(record)].tolist(), strict=True):
            days[patient, day] = visit
            first_day.setdefault(patient, day)
    return Links(
        codes=dict(zip(record.text["patient"], record.patient.tolist(), strict=True)),
        visits=frozenset(keys),
        weeks=dict(zip(keys, table["weeks"].tolist(), strict=True)) if "weeks" in table else {},
        days=days,
        first_day=first_day,
        twitches=dict(zip(keys, table["twitches"].tolist(), strict=True)),
    )


@dataclass(frozen=True, eq=False)
class TableCells:
    """One optional table with its columns found and its cells read.

    Attributes
    ----------
    schema : Schema
    cells : Record
        Text, blanks, numbers and dates; ``cells.patient`` is the code in the visits, or :data:`UNKNOWN`.
    links : Links
    """

    schema: Schema
    cells: Record
    links: Links

    @property
    def n(self) -> int:
        """Rows with content."""
        return self.cells.raw.n_rows

    def has(self, name: str) -> bool:
        """Whether the table has a column."""
        return name in self.cells.where

    def filled(self, name: str) -> Bools:
        """Mark the rows in which a column holds something."""
        return ~self.cells.blank[name] if self.has(name) else np.zeros(self.n, dtype=bool)

    @cached_property
    def visit(self) -> Ints:
        """Number of the visit of each row, by number or else by date; :data:`UNKNOWN` where there is none."""
        found = np.full(self.n, UNKNOWN, dtype=np.int64)
        for i, patient in enumerate(self.cells.patient.tolist()):
            number = self.cells.numbers["visit"][i] if self.has("visit") else np.nan
            if np.isfinite(number):
                found[i] = int(number) if (patient, number) in self.links.visits else UNKNOWN
            elif self.cells.dates is not None:
                found[i] = self.links.days.get((patient, float(self.cells.dates.days[i])), UNKNOWN)
        return found

    @cached_property
    def weeks(self) -> Floats:
        """Weeks since the patient's first visit: by date, else as given, else of the visit; NaN unknown."""
        found = np.full(self.n, np.nan)
        for i, patient in enumerate(self.cells.patient.tolist()):
            if self.cells.dates is not None and patient in self.links.first_day:
                found[i] = (self.cells.dates.days[i] - self.links.first_day[patient]) / 7.0
            if np.isnan(found[i]) and self.has("weeks"):
                found[i] = self.cells.numbers["weeks"][i]
            if np.isnan(found[i]):
                found[i] = self.links.weeks.get((patient, int(self.visit[i])), np.nan)
        return found

    def yes_no(self, name: str) -> npt.NDArray[np.float64]:
        """1 yes, 0 no, NaN neither."""
        answers = {True: 1.0, False: 0.0, None: np.nan}
        return np.asarray(each_text(self.cells.text[name], lambda text: answers[read_sought(text)], float))

    def word(self, name: str) -> Texts:
        """Word understood of each cell; empty where blank, None where it is none of them."""
        return understood(self.cells.text[name], self.cells.blank[name], self.schema[name].words)

    @cached_property
    def not_sought(self) -> Bools:
        """Rows where twitches were not looked for."""
        return self.cells.not_sought

    @cached_property
    def what(self) -> Texts:
        """Word understood of each event of its kind, or "none"; empty where blank, None where unknown."""
        kinds = self.word("kind")
        found = np.empty(self.n, dtype=object)
        for kind in set(kinds):
            here = kinds == kind
            words = {**EVENT_WORDS.get(kind or "", {}), "none": NONE_WORDS}
            found[here] = understood(self.cells.text["what"][here], _not_blank_none(self, here), words)
        return found


def _not_blank_none(table: TableCells, here: Bools) -> Bools:
    """Blank cells of ``what``."""
    return table.cells.blank["what"][here]


def understood(texts: Texts, blank: Bools, words: Mapping[str, tuple[str, ...]]) -> Texts:
    """Return the word each text stands for; empty where blank, None where it stands for none."""
    known = {plain_name(text): word for word, others in words.items() for text in (word, *others)}
    codes, distinct = pd.factorize(texts)
    values = np.empty(len(distinct), dtype=object)
    values[:] = [known.get(plain_name(text)) for text in distinct]
    found = values[codes] if len(distinct) else np.empty(0, dtype=object)
    found[blank] = ""
    return found


def read_table_cells(
    raw: RawTable, schema: Schema, *, columns: Mapping[str, str], reading: Reading, links: Links
) -> TableCells:
    """Find the columns of an optional table and read its cells.

    Raises
    ------
    PlanError
        When ``columns`` names a column the source does not have.
    """
    where, doubled = find_columns(raw.header, columns, schema.names, said=raw.said)
    text = {name: raw.cells[index] for name, index in where.items()}
    blank = {name: says_nothing(cells, reading.missing) for name, cells in text.items()}
    if "what" in text:  # "none" is an answer; only nothing is blank
        blank["what"] = text["what"] == ""
    numbers = {
        field.name: each_text(
            text[field.name], lambda cell: to_number(cell, decimal_comma=raw.decimal_comma), float
        )
        for field in schema.fields
        if field.name in text and field.kind in ("number", "count", "visit")
    }
    for name, values in numbers.items():
        values[blank[name]] = np.nan
    not_sought = np.zeros(raw.n_rows, dtype=bool)
    if "twitches" in text:
        not_sought |= each_text(text["twitches"], lambda cell: cell.casefold() in NOT_SOUGHT, bool)
    if "sought" in text:
        not_sought |= each_text(text["sought"], lambda cell: read_sought(cell) is False, bool)
    patient = np.full(raw.n_rows, UNKNOWN, dtype=np.int64)
    if "patient" in text:
        blank["patient"] = text["patient"] == ""
        patient = each_text(text["patient"], lambda cell: links.codes.get(cell, UNKNOWN), int).astype(
            np.int64
        )
    dates = None
    if "date" in text:
        dates = read_dates(text["date"], order=reading.dates, missing=reading.missing)
    cells = Record(
        raw=raw,
        where=where,
        doubled=doubled,
        unknown=unknown_columns(raw, where, doubled),
        scale=NRS,
        text=text,
        blank=blank,
        numbers=numbers,
        not_sought=not_sought,
        patient=patient,
        dates=dates,
    )
    return TableCells(schema, cells, links)
