"""Headers: in which rows of a sheet the column names stand, and what they are once put together.

Above the names there may be a title. The names may take two rows, with "Visit 1" over "Pain" and "LTR", or
"Pain" over "Visit 1" and "Visit 2", in merged cells or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tpr_outcomes.cohort.names import role_of
from tpr_outcomes.cohort.visit_names import read_label, read_name

Row = tuple[int, list[str]]
Merged = Sequence[tuple[tuple[int, int], tuple[int, int]]]

LOOKED_AT = 12
"""Rows with content among which the names are looked for."""


@dataclass(frozen=True)
class Header:
    """Where the names stand.

    Attributes
    ----------
    start, depth : int
        Index of the first row of names among the rows given, and how many rows they take.
    names : tuple of str
        One per column; of two rows the upper first, with a space between.
    """

    start: int
    depth: int
    names: tuple[str, ...]


def find_header(
    rows: Sequence[Row],
    *,
    mapping: Mapping[str, str],
    merged: Merged = (),
    row: int = 0,
    depth: int = 0,
) -> Header | None:
    """Find the rows of column names: where the user says, else the first that names patient and outcome.

    Parameters
    ----------
    rows : sequence of (int, list of str)
        Row numbers and cells, from the top.
    mapping : mapping of str to str
        Canonical name to the user's name.
    merged : sequence of ((row, column), (row, column))
        First and last cell of merged areas, counted from 0, where the file says.
    row, depth : int
        What the user settled; 0 to find it.

    Returns
    -------
    Header or None
        None where no row has content. Where no row names both, the first with content is taken.
    """
    filled = [i for i, (_, cells) in enumerate(rows[: LOOKED_AT * 4]) if any(cell.strip() for cell in cells)]
    filled = filled[:LOOKED_AT] or next(
        ([i] for i, (_, cells) in enumerate(rows) if any(cell.strip() for cell in cells)), []
    )
    if row:
        filled = [i for i, (number, _) in enumerate(rows) if number == row]
    if not filled:
        return None
    for start in filled:
        for deep in (depth,) if depth else (2, 1):
            names = _combined(rows, start, deep, merged)
            if names is None or not _names_a_record(names, mapping):
                continue
            if deep == 1 or depth or _continues(rows, start, mapping):
                return Header(start, deep, names)
    names = _combined(rows, filled[0], depth or 1, merged)
    return None if names is None else Header(filled[0], depth or 1, names)


def _combined(rows: Sequence[Row], start: int, depth: int, merged: Merged) -> tuple[str, ...] | None:
    """Put the names of ``depth`` rows together, spreading group heads over their columns."""
    if start + depth > len(rows):
        return None
    width = max(len(rows[start + k][1]) for k in range(depth))
    grid = [[_clean(cells[j]) if j < len(cells) else "" for j in range(width)] for _, cells in
            rows[start : start + depth]]  # fmt: skip
    for level in range(depth - 1):
        grid[level] = _spread(grid[level], grid[level + 1], _areas(merged, rows[start + level][0] - 1))
    return tuple(" ".join(part for part in column if part) for column in zip(*grid, strict=True))


def _spread(upper: list[str], lower: list[str], areas: Mapping[int, int]) -> list[str]:
    """Repeat each group head over its columns: the merged area, else the blanks up to the next head."""
    result = list(upper)
    for j, head in enumerate(upper):
        if not head or not lower[j]:
            continue
        end = areas.get(j)
        for k in range(j + 1, len(upper) if end is None else end + 1):
            if upper[k] or not lower[k]:
                break
            result[k] = head
    return result


def _areas(merged: Merged, row: int) -> dict[int, int]:
    """Return first to last column of the areas merged in a row."""
    return {left: right for (top, left), (_, right) in merged if top == row}


def _names_a_record(names: Sequence[str], mapping: Mapping[str, str]) -> bool:
    """Tell whether names hold a patient and an outcome, a dose or a visit."""
    roles = set()
    for name in names:
        found = read_name(name, mapping)
        roles.add(found.role or "visit" if found else role_of(name, mapping))
    return "patient" in roles and bool(roles & {"pain", "twitches", "visit"})


def _continues(rows: Sequence[Row], start: int, mapping: Mapping[str, str]) -> bool:
    """Tell whether the row below holds names too: nothing but names and visits, and no patient."""
    upper, lower = rows[start][1], rows[start + 1][1]
    cells = [(j, _clean(cell)) for j, cell in enumerate(lower) if cell.strip()]
    if len(cells) < 2:
        return False
    below_patient = [
        j for j, cell in enumerate(upper) if role_of(cell, mapping) == "patient" and j < len(lower)
    ]
    if any(lower[j].strip() for j in below_patient):
        return False
    bare = bool(below_patient) or any(role_of(cell, mapping) == "patient" for _, cell in cells)
    known = [
        bool(role_of(cell, mapping) or read_name(cell, mapping) or read_label(cell, bare=bare))
        for _, cell in cells
    ]
    return sum(known) * 2 >= len(known)


def _clean(cell: str) -> str:
    """Return a name on one line."""
    return " ".join(cell.split())
