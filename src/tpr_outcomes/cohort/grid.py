"""From rows of cells to a table: finding the column names, standing the rest up as columns."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tpr_outcomes.cohort.coded import Texts
from tpr_outcomes.cohort.columns import Columns
from tpr_outcomes.cohort.headers import Header, Merged, Row, find_header
from tpr_outcomes.cohort.raw import RawTable, drop_empty, texts
from tpr_outcomes.errors import PlanError


def as_text(value: Any) -> str:
    """Write a cell's value so that reading the text gives the value back; nothing becomes ``""``.

    Parameters
    ----------
    value : object
        A number, text, date or nothing.

    Returns
    -------
    str
        Stripped text; whole numbers without a point, dates as yyyy-mm-dd.
    """
    if value is None or value is pd.NA or value is pd.NaT:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating):
        number = float(value)
        if math.isnan(number):
            return ""
        return str(int(number)) if number.is_integer() else repr(number)
    if isinstance(value, dt.datetime):  # pandas.Timestamp is one
        return value.date().isoformat()
    if isinstance(value, np.datetime64):
        return "" if np.isnat(value) else str(value.astype("datetime64[D]"))
    return str(value).strip()


def header_of(rows: Sequence[Row], columns: Columns, *, merged: Merged = ()) -> Header | None:
    """Find the rows of column names, as the user settled or by what they say.

    Parameters
    ----------
    rows : sequence of (int, list of str)
        Row numbers and cells, from the top.
    columns : Columns
        The user's names and settings.
    merged : sequence of ((row, column), (row, column))
        Merged areas, where the file tells.

    Returns
    -------
    Header or None
        None where there is nothing.

    Raises
    ------
    PlanError
        When the user names a row that is not there.
    """
    reading = columns.reading
    found = find_header(
        rows, mapping=columns.mapping, merged=merged, row=reading.header_row, depth=reading.header_rows
    )
    if found is None and reading.header_row:
        raise PlanError(f"The column map says header_row = {reading.header_row}; there is no such row.")
    return found


def assemble(rows: list[Row], columns: Columns, *, kind: str, merged: Merged = (), **facts: Any) -> RawTable:
    """Find the column names and stand the rows below them up as columns.

    Parameters
    ----------
    rows : list of (int, list of str)
        Row numbers and cells.
    columns : Columns
        The user's names and settings.
    kind : str
        Kind of file.
    merged : sequence of ((row, column), (row, column))
        Merged areas, where the file tells.
    **facts
        Further attributes of :class:`~tpr_outcomes.cohort.raw.RawTable`.

    Returns
    -------
    RawTable
        Every cell as stripped text.
    """
    found = header_of(rows, columns, merged=merged)
    if found is None:
        return RawTable(kind=kind, header=(), cells=(), rows=np.empty(0, dtype=np.int64), **facts)
    body = rows[found.start + found.depth :]
    width = max((len(row) for _, row in body), default=0)
    header = list(found.names)
    overlong: tuple[int, ...] = ()
    if kind == "excel":
        header += [""] * (width - len(header))
    else:
        while header and not header[-1]:
            header.pop()
        end = len(header)
        overlong = tuple(n for n, row in body if len(row) > end and any(cell.strip() for cell in row[end:]))
    stood = _columns([row for _, row in body], max(width, len(header)))[: len(header)]
    return drop_empty(
        tuple(header),
        stood,
        np.array([number for number, _ in body], dtype=np.int64),
        kind=kind,
        header_row=rows[found.start + found.depth - 1][0],
        overlong_rows=overlong,
        **facts,
    )


def _columns(rows: list[list[str]], width: int) -> tuple[Texts, ...]:
    """Stand rows of unequal length up as ``width`` columns of stripped text."""
    if not rows:
        return tuple(texts([]) for _ in range(width))
    padded = [row if len(row) == width else row + [""] * (width - len(row)) for row in rows]
    return tuple(texts([cell.strip() for cell in column]) for column in zip(*padded, strict=True))
