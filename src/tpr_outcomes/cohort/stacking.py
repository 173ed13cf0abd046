"""Stacking: sheets with the same columns, one below the other: one per year, per therapist or per patient.

Sheets belong below each other where the columns a record cannot do without are the same in all. What a sheet
is named after its columns cannot say; only where no sheet has a column for the patient does its name stand
for one. Whatever was guessed is told, and the column map settles it (``sheets`` below ``[file]``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from tpr_outcomes.cohort.cells import find_columns
from tpr_outcomes.cohort.coded import Texts
from tpr_outcomes.cohort.names import CANONICAL, role_of
from tpr_outcomes.cohort.raw import Clash, Ints, Origin, RawTable, texts
from tpr_outcomes.errors import PlanError

_NEEDED = ("patient", "pain", "twitches")
_CLOCKS = ("visit", "date", "weeks")
_MOST_NAMED = 6


def columns_of(table: RawTable, mapping: Mapping[str, str]) -> dict[str, int] | None:
    """Return the columns of a sheet by canonical name; None where it cannot be told which they are.

    Parameters
    ----------
    table : RawTable
        A sheet.
    mapping : mapping of str to str
        Canonical name to the user's name; one that the sheet does not have is taken to be of other sheets.
    """
    try:
        where, doubled = table.by_role, dict[str, tuple[int, ...]]()
        if not table.roles:
            own = {name: user for name, user in mapping.items() if _has(table, user)}
            where, doubled = find_columns(table.header, own)
            for name in set(mapping) - set(own):
                where.pop(name, None)
    except PlanError:
        return None
    return None if doubled else where


def _has(table: RawTable, user_name: str) -> bool:
    try:
        find_columns(table.header, {"patient": user_name}, ())
    except PlanError:
        return False
    return True


def alike(tables: Sequence[RawTable], mapping: Mapping[str, str]) -> list[RawTable]:
    """Return the sheets that can stand below the first; the first alone where none can.

    Parameters
    ----------
    tables : sequence of RawTable
        Sheets of a workbook.
    mapping : mapping of str to str
        Canonical name to the user's name.

    Returns
    -------
    list of RawTable
        Those with ratings and counts, something that tells the order of visits, and the same of these
        columns as the first; either all have a column for the patient or none has.
    """
    first = _core(tables[0], mapping)
    if first is None or not {"pain", "twitches"} <= first or not first & set(_CLOCKS):
        return [tables[0]]
    if "patient" not in first and any(role_of(name, mapping) == "patient" for name in tables[0].header):
        return [tables[0]]  # a patient under another name: the rules ask for it
    return [table for table in tables if table.n_rows and _core(table, mapping) == first]


def _core(table: RawTable, mapping: Mapping[str, str]) -> set[str] | None:
    """Columns of a sheet that have to be the same in all."""
    where = columns_of(table, mapping)
    return None if where is None else set(where) & {*_NEEDED, *_CLOCKS}


def lacks_patient(table: RawTable, mapping: Mapping[str, str]) -> bool:
    """Tell whether a sheet has no column for the patient."""
    return "patient" not in (columns_of(table, mapping) or {"patient": 0})


def stacked(
    tables: Sequence[RawTable], mapping: Mapping[str, str], *, named: str = "", settled: bool = False
) -> RawTable:
    """Put sheets below each other.

    Parameters
    ----------
    tables : sequence of RawTable
        Sheets, or what was made of each; either all have been reshaped or none.
    mapping : mapping of str to str
        Canonical name to the user's name.
    named : {"", "patient", "therapist"}
        What the names of the sheets say.
    settled : bool
        Whether the user said so; otherwise the guess is told.

    Returns
    -------
    RawTable
        One table; every cell with the address it has in its own sheet.
    """
    places = [columns_of(table, mapping) or {} for table in tables]
    roles = [r for r in CANONICAL if r == named or any(r in place for place in places)]
    sources = [table.tables or (table,) for table in tables]
    starts = np.cumsum([0, *(len(its) for its in sources)])[:-1].tolist()
    sizes = [table.n_rows for table in tables]
    cells, origins, header, said = [], [], [], []
    for role in roles:
        columns = [-1 if role == named else place.get(role, -1) for place in places]
        parts = [_cells(t, c, role == named) for t, c in zip(tables, columns, strict=True)]
        cells.append(_joined(parts))
        origins.append(_origin([_own(*its) for its in zip(tables, columns, starts, strict=True)]))
        at = next((i for i, column in enumerate(columns) if column >= 0), -1)
        header.append(role if at < 0 else tables[at].header[columns[at]])
        said.append(role if at < 0 else tables[at].said_name(columns[at]))
    n = sum(sizes)
    for name, shown, table, column in _unknown(tables, places, starts):
        header.append(name)
        said.append(shown)
        cells.append(texts([""] * n))
        origins.append(Origin(*(np.broadcast_to(np.int64(v), n) for v in (table, 0, column))))
    return dataclasses.replace(
        tables[0],
        header=tuple(header),
        said=tuple(said),
        cells=tuple(cells),
        rows=np.arange(1, n + 1, dtype=np.int64),
        empty_rows=(),
        roles=(*roles, *("" for _ in header[len(roles) :])),
        tables=tuple(source for its in sources for source in its),
        origin=tuple(origins),
        guess=() if settled else (*tables[0].guess, _sentence(tables, named)),
        unused=tuple(row for table in tables for row in (*_empty(table), *table.unused)),
        clashes=_clashes(tables, sizes),
    )


def _cells(table: RawTable, column: int, sheet: bool) -> Texts:
    """Cells of one column of a sheet; its name, or nothing, in every row where it has no such column."""
    return table.cells[column] if column >= 0 else texts([table.sheet if sheet else ""] * table.n_rows)


def _joined(parts: Sequence[Texts]) -> Texts:
    return np.concatenate([np.asarray(part, dtype=object) for part in parts])


def _own(table: RawTable, column: int, start: int) -> tuple[Ints, Ints, Ints]:
    """Where the cells of a column stand: table, row and column in the user's own sheets."""
    n = table.n_rows
    if table.origin:
        origin = table.origin[column if column >= 0 else table.by_role.get("visit", 0)]
        its = origin.column if column >= 0 else np.full(n, -1, dtype=np.int64)
        return origin.table + start, origin.row, its
    return np.full(n, start, dtype=np.int64), table.rows, np.full(n, column, dtype=np.int64)


def _origin(parts: Sequence[tuple[Ints, Ints, Ints]]) -> Origin:
    return Origin(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _unknown(
    tables: Sequence[RawTable], places: Sequence[Mapping[str, int]], starts: Sequence[int]
) -> list[tuple[str, str, int, int]]:
    """Name, name as it may be repeated, sheet and column of what nothing asks for; each name once."""
    found: dict[str, tuple[str, str, int, int]] = {}
    for table, place, start in zip(tables, places, starts, strict=True):
        for column, name in enumerate(table.header):
            filled = bool(name) or bool((table.cells[column] != "").any())
            if column in place.values() or not filled:
                continue
            where, own = start, column
            if table.origin:
                origin = table.origin[column]
                where, own = (start + int(origin.table[0]), int(origin.column[0])) if table.n_rows else (0, 0)
            found.setdefault(name or f"{where} {own}", (name, table.said_name(column), where, own))
    return list(found.values())


def _empty(table: RawTable) -> list[tuple[str, str, str]]:
    return [(table.address(row), "row is empty", "empty_row") for row in table.empty_rows]


def _clashes(tables: Sequence[RawTable], sizes: Sequence[int]) -> tuple[Clash, ...]:
    """Entries that stand twice, by the row of the new table."""
    starts = np.cumsum([0, *sizes])
    return tuple(
        dataclasses.replace(clash, row=clash.row + int(start))
        for table, start in zip(tables, starts, strict=False)
        for clash in table.clashes
    )


def _sentence(tables: Sequence[RawTable], named: str) -> str:
    """Say how the sheets were understood."""
    if named == "patient":
        what = f"{len(tables)} sheets, each of one patient, whose name or code is that of the sheet"
    else:
        names = [table.sheet_name for table in tables if table.sheet_said]
        shown = (
            f" ({', '.join(names[:_MOST_NAMED])}{' …' if len(names) > _MOST_NAMED else ''})" if names else ""
        )
        what = f"{len(tables)} sheets with the same columns{shown}, one below the other"
    other = {"": '"therapist" if each is named after one', "patient": '"stack" if they are not patients'}
    return f'Read as {what}. If that is wrong, write sheets = "first" ({other[named]}) below [file].'
