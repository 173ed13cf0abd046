"""Reshaping: tables with several visits in a row, or one visit in several rows, become one row per visit.

Every cell keeps the address it had in the user's own table.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tpr_outcomes.cohort.coded import Texts
from tpr_outcomes.cohort.names import CANONICAL
from tpr_outcomes.cohort.raw import Clash, Ints, Origin, RawTable, texts
from tpr_outcomes.cohort.typed_values import says_nothing

ONCE = -1
"""Label of a cell that holds for the patient, not for one visit."""

NEVER = -2
"""Label of a cell that is not read."""


@dataclass(frozen=True, eq=False)
class Piece:
    """One column of a user's table that holds one kind of value.

    Attributes
    ----------
    role : str
        Canonical column.
    table, column : int
        Which table, and which column of it.
    label : int or (n,) int64
        Position of the visit among all labels, for the column or for each row; :data:`ONCE` where the cell
        holds for the patient, :data:`NEVER` where it is not to be read.
    opens : bool
        Whether a filled cell makes a visit.
    """

    role: str
    table: int
    column: int
    label: int | Ints
    opens: bool = True


@dataclass(frozen=True, eq=False)
class Plan:
    """How tables are put together.

    Attributes
    ----------
    tables : tuple of RawTable
        The user's tables.
    patient : tuple of int
        Patient column of each.
    pieces : tuple of Piece
        The columns to read.
    visits : tuple of int
        Visit number of each label.
    weeks : tuple of float or None
        Weeks of each label, where labels count time and there is no better clock.
    one_row_per_patient : bool
        Whether a patient's second row in a table is a second patient record (and so a duplicate), as in a
        wide table, or belongs to the first, as in a REDCap export.
    missing : tuple of str
        The user's codes for missing values.
    """

    tables: tuple[RawTable, ...]
    patient: tuple[int, ...]
    pieces: tuple[Piece, ...]
    visits: tuple[int, ...]
    weeks: tuple[float, ...] | None
    one_row_per_patient: bool
    missing: tuple[str, ...] = ()


@dataclass(eq=False)
class _Column:
    """One column of the new table while it is filled."""

    cells: Texts
    table: Ints
    row: Ints
    column: Ints

    @classmethod
    def of(cls, n: int) -> _Column:
        blank = np.full(n, -1, dtype=np.int64)
        return cls(texts([""] * n), blank.copy(), blank.copy(), blank.copy())

    def take(self, at: Ints, piece: Piece, table: RawTable, rows: Ints) -> None:
        """Fill places from rows of a table, where nothing stands yet; of several rows the first filled."""
        values = np.asarray(table.cells[piece.column])[rows]
        filled_first = np.argsort(values == "", kind="stable")
        at, which = np.unique(at[filled_first], return_index=True)
        rows, values = rows[filled_first][which], values[filled_first][which]
        free = (self.cells[at] == "") & ((values != "") | (self.column[at] < 0))
        at, rows, values = at[free], rows[free], values[free]
        self.cells[at] = values
        self.table[at], self.row[at], self.column[at] = piece.table, table.rows[rows], piece.column


def to_visits(
    plan: Plan, *, layout: str, guess: Sequence[str], unknown: Sequence[tuple[str, int, int]]
) -> RawTable:
    """Put tables together into one row per patient and visit.

    Parameters
    ----------
    plan : Plan
        Which column is what.
    layout : str
        ``"wide"`` or ``"redcap"``.
    guess : sequence of str
        How the tables were understood.
    unknown : sequence of (str, int, int)
        Name, table and column of columns that nothing asks for.

    Returns
    -------
    RawTable
        One row per patient and visit with anything recorded, sorted by patient (in order of appearance)
        and visit; ``roles`` and ``origin`` are set.
    """
    who = _patients(plan)
    filled = [_filled(plan, piece) for piece in plan.pieces]
    keys = _keys(plan, who, filled)
    patient, label = np.divmod(keys, max(len(plan.visits), 1))
    columns = {role: _Column.of(keys.size) for role in _roles(plan)}
    clashes: list[Clash] = []
    for piece, here in zip(plan.pieces, filled, strict=True):
        if not isinstance(piece.label, int) or piece.label != ONCE:
            clashes += _clashes(plan, piece, here, who, keys)
            _take_visits(columns, plan, piece, who, keys)
        if not isinstance(piece.label, int) or piece.label == ONCE:
            _take_once(columns[piece.role], plan, piece, here, who, patient)
    _number(columns, plan, label)
    made = _table(plan, columns, layout, guess, unknown)
    return dataclasses.replace(made, unused=_without_visit(plan, who, patient), clashes=tuple(clashes))


def _patients(plan: Plan) -> list[Ints]:
    """Return for every row of every table the position of its patient, in order of appearance."""
    keys = []
    for table, column in zip(plan.tables, plan.patient, strict=True):
        names = pd.Series(table.cells[column], dtype=object)
        again = names.groupby(names).cumcount().to_numpy() if plan.one_row_per_patient else 0
        keys.append(pd.DataFrame({"name": names, "again": again}))
    codes = pd.concat(keys, ignore_index=True).groupby(["name", "again"], sort=False).ngroup().to_numpy()
    ends = np.cumsum([len(frame) for frame in keys])
    return [part.astype(np.int64) for part in np.split(codes, ends[:-1])]


def _filled(plan: Plan, piece: Piece) -> Ints:
    """Return the rows of a piece that say something."""
    cells = plan.tables[piece.table].cells[piece.column]
    return np.flatnonzero(~says_nothing(cells, plan.missing))


def _labels(piece: Piece, rows: Ints) -> Ints:
    """Return the label of each row of a piece."""
    if isinstance(piece.label, int):
        return np.full(rows.size, piece.label, dtype=np.int64)
    return piece.label[rows]


def _keys(plan: Plan, who: list[Ints], filled: list[Ints]) -> Ints:
    """Return one number per visit with anything recorded: patient times labels plus label, ascending."""
    found = [np.empty(0, dtype=np.int64)]
    for piece, rows in zip(plan.pieces, filled, strict=True):
        label = _labels(piece, rows)
        there = label >= 0
        if piece.opens:
            found.append(who[piece.table][rows[there]] * len(plan.visits) + label[there])
    return np.unique(np.concatenate(found))


def _roles(plan: Plan) -> list[str]:
    """Return the columns of the new table, in our order."""
    roles = {piece.role for piece in plan.pieces} | {"patient", "visit"}
    roles |= {"weeks"} if plan.weeks is not None else set()
    return [name for name in CANONICAL if name in roles]


def _clashes(plan: Plan, piece: Piece, filled: Ints, who: list[Ints], keys: Ints) -> list[Clash]:
    """Find the entries of a column that belong to a visit which has one already."""
    table, column = plan.tables[piece.table], piece.column
    label = _labels(piece, filled)
    rows = filled[label >= 0]
    key = who[piece.table][rows] * len(plan.visits) + label[label >= 0]
    _, first, back = np.unique(key, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[back] != np.arange(key.size))
    return [
        Clash(
            piece.role,
            table.address(int(table.rows[rows[i]]), column),
            table.said_name(column),
            table.address(int(table.rows[rows[first[back[i]]]]), column),
            int(np.searchsorted(keys, key[i])) + 1,
        )
        for i in again
    ]


def _take_visits(columns: dict[str, _Column], plan: Plan, piece: Piece, who: list[Ints], keys: Ints) -> None:
    """Fill a column from cells that belong to a visit; the first filled one stands for the visit."""
    table = plan.tables[piece.table]
    rows = np.arange(table.n_rows, dtype=np.int64)
    label = _labels(piece, rows)
    rows, label = rows[label >= 0], label[label >= 0]
    key = who[piece.table][rows] * len(plan.visits) + label
    at = np.minimum(np.searchsorted(keys, key), max(keys.size - 1, 0))
    known = keys[at] == key if keys.size else np.zeros(key.size, dtype=bool)
    at, rows = at[known], rows[known]
    columns[piece.role].take(at, piece, table, rows)
    said = np.asarray(table.cells[piece.column])[rows] != ""
    mark = columns["visit"]
    place, which = np.unique(at[said], return_index=True)
    row = rows[said][which]
    first = mark.column[place] < 0
    place, row = place[first], row[first]
    mark.table[place], mark.row[place], mark.column[place] = piece.table, table.rows[row], piece.column


def _take_once(
    column: _Column, plan: Plan, piece: Piece, filled: Ints, who: list[Ints], patient: Ints
) -> None:
    """Fill a column from cells that hold for the patient; a reason for stopping belongs to the last visit."""
    table = plan.tables[piece.table]
    rows = filled[_labels(piece, filled) == ONCE]
    if isinstance(piece.label, int):  # blanks too: the address of what is missing
        rows = np.concatenate([rows, np.setdiff1d(np.arange(table.n_rows), rows)])
    if not rows.size or not patient.size:
        return
    owner = who[piece.table][rows]
    _, first = np.unique(owner, return_index=True)
    source = dict(zip(owner[first].tolist(), rows[first].tolist(), strict=True))
    at = np.arange(patient.size, dtype=np.int64)
    if piece.role == "stop_reason":
        at = at[np.append(patient[1:] != patient[:-1], True)]
    found = np.array([source.get(code, -1) for code in patient[at].tolist()], dtype=np.int64)
    column.take(at[found >= 0], piece, table, found[found >= 0])


def _number(columns: dict[str, _Column], plan: Plan, label: Ints) -> None:
    """Write visit numbers and weeks; both are said to stand where the visit's first entry stands."""
    visit = columns["visit"]
    visit.cells = texts([str(plan.visits[i]) for i in label.tolist()])
    if plan.weeks is not None:
        cells = texts([f"{plan.weeks[i]:.10g}" for i in label.tolist()])
        columns["weeks"] = dataclasses.replace(visit, cells=cells)


def _without_visit(plan: Plan, who: list[Ints], patient: Ints) -> tuple[tuple[str, str, str], ...]:
    """Say which patients have no visit at all."""
    lonely: dict[int, str] = {}
    for codes, table in zip(who, plan.tables, strict=True):
        for i in np.flatnonzero(~np.isin(codes, patient)):
            lonely.setdefault(int(codes[i]), table.address(int(table.rows[i])))
    empty = [(t.address(row), "row is empty", "empty_row") for t in plan.tables for row in t.empty_rows]
    return (*empty, *((address, "patient has no visit", "no_visit") for address in lonely.values()))


def _table(
    plan: Plan,
    columns: dict[str, _Column],
    layout: str,
    guess: Sequence[str],
    unknown: Sequence[tuple[str, int, int]],
) -> RawTable:
    """Make the table."""
    first = plan.tables[0]
    n = columns["visit"].cells.size
    fallback = columns["visit"]
    for column in columns.values():  # a cell the user's table does not have is told by its row
        gap = column.table < 0
        column.table[gap], column.row[gap] = fallback.table[gap], fallback.row[gap]
    ends = {role: [p for p in plan.pieces if p.role == role] for role in columns}
    header = [_span(plan.tables, ends[role]) or role for role in columns]
    origins = [Origin(c.table, c.row, c.column) for c in columns.values()]
    blank = texts([""] * n)
    said = [name if plan.tables[table].said_name(index) else "" for name, table, index in unknown]
    for name, table, index in unknown:
        header.append(name)
        constant = [np.broadcast_to(np.int64(v), n) for v in (table, plan.tables[table].header_row, index)]
        origins.append(Origin(*constant))
    return dataclasses.replace(
        first,
        header=tuple(header),
        cells=(*(c.cells for c in columns.values()), *(blank for _ in unknown)),
        rows=np.arange(1, n + 1, dtype=np.int64),
        empty_rows=(),
        labels={},
        layout=layout,
        guess=tuple(guess),
        roles=(*columns, *("" for _ in unknown)),
        said=(*header[: len(columns)], *said),
        tables=plan.tables,
        origin=tuple(origins),
    )


def _span(tables: Sequence[RawTable], pieces: Sequence[Piece]) -> str:
    """Name the first and the last of the columns a new column was taken from."""
    names = list(dict.fromkeys(tables[piece.table].header[piece.column] for piece in pieces))
    return names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}" if names else ""
