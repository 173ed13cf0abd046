"""Problem and LeftOut: what is said of a cell or row, and the helpers the rules say it with."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from tpr_outcomes.cohort.cells import Record
from tpr_outcomes.cohort.dates import Bools

Severity = Literal["error", "warning", "note"]

_TOKEN = re.compile(r"[-+]?\d{1,4}([.,]\d{1,3})?(\s?[/-]\s?\d{1,3})?")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing found in the user's file.

    Attributes
    ----------
    rule : str
        Id of the rule.
    severity : {"error", "warning", "note"}
        Errors stop the reading; warnings stay with the data; notes say how something was read that could
        be read in one way only, and change nothing.
    address : str
        Place in the user's own file, for example ``"line 14, column pain"``.
    column : str
        The user's name of the column, or an empty string: also where the name resembles data and is not
        repeated (:mod:`~tpr_outcomes.cohort.said_names`).
    seen : str
        A number or short token; never an identifier and never free text.
    message : str
        What was seen and what was wanted.
    remedy : str
        What to do.
    row : int
        Row or line number, 0 where the problem is not in one row; orders the problems.
    """

    rule: str
    severity: Severity
    address: str
    column: str
    seen: str
    message: str
    remedy: str
    row: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One row that was not used, and why.

    Attributes
    ----------
    address : str
        Place of the row in the source or in the visits table.
    reason : str
        Sentence from a fixed vocabulary.
    rule : str
        Id of the rule that left the row out.
    """

    address: str
    reason: str
    rule: str


def seen(text: str) -> str:
    """Describe a cell without repeating anything that could identify somebody.

    Parameters
    ----------
    text : str
        The cell.

    Returns
    -------
    str
        The cell itself where it is a short number or of the form "7/10"; else only its length.

    Examples
    --------
    >>> seen("7/10"), seen("better since Tuesday")
    ('7/10', 'text of 20 characters')
    """
    if _TOKEN.fullmatch(text):
        return text
    return f"text of {len(text)} characters" if text else "blank"


def whole(
    record: Record,
    rule: str,
    message: str,
    remedy: str,
    *,
    severity: Severity = "error",
    column: int | None = None,
) -> Problem:
    """Return a problem of the source or of a whole column.

    Parameters
    ----------
    record : Record
        Cells as read.
    rule, message, remedy : str
        As in :class:`Problem`.
    severity : {"error", "warning", "note"}
        Whether it stops the reading.
    column : int, optional
        Index of the column.

    Returns
    -------
    Problem
        Addressed to the source or to the column.
    """
    name = "" if column is None else record.raw.said_name(column)
    return Problem(rule, severity, record.raw.address(column=column), name, "", message, remedy)


def cell(record: Record, name: str, i: int, *, rule: str, message: str, remedy: str) -> Problem:
    """Return an error of one cell whose content is not shown.

    Parameters
    ----------
    record : Record
        Cells as read.
    name : str
        Canonical column.
    i : int
        Position of the row.
    rule, message, remedy : str
        As in :class:`Problem`.

    Returns
    -------
    Problem
        Addressed to the cell.
    """
    column, row = record.where[name], int(record.raw.rows[i])
    address = record.raw.address(row, column)
    return Problem(rule, "error", address, record.raw.column_name(row, column), "", message, remedy, row)


def cells(
    record: Record,
    name: str,
    mask: Bools | None,
    *,
    rule: str,
    message: str,
    remedy: str | Callable[[str], str],
    severity: Severity = "error",
    show: bool = True,
) -> list[Problem]:
    """Return one problem for every cell marked.

    Parameters
    ----------
    record : Record
        Cells as read.
    name : str
        Canonical column; no problems where the source has no such column.
    mask : (n,) bool or None
        The cells.
    rule, message : str
        As in :class:`Problem`; ``{seen}`` in the message stands for what may be shown of the cell.
    remedy : str or callable
        What to do, or a function of the cell's text that says so.
    severity : {"error", "warning", "note"}
        Whether it stops the reading.
    show : bool
        Whether a short number may be shown. Identifiers and dates are not.

    Returns
    -------
    list of Problem
        In the order of the rows.
    """
    if mask is None or name not in record.where:
        return []
    column, texts = record.where[name], record.text[name]
    show = show and name not in ("patient", "date")
    found = []
    for i in np.flatnonzero(mask):
        text, row = texts[i], int(record.raw.rows[i])
        token = seen(text) if show else ""
        found.append(
            Problem(
                rule,
                severity,
                record.raw.address(row, column),
                record.raw.column_name(row, column),
                token,
                message.format(seen=token),
                remedy if isinstance(remedy, str) else remedy(text),
                row,
            )
        )
    return found


def not_a_number(
    record: Record,
    name: str,
    remedy: str | Callable[[str], str],
    *,
    rule: str = "",
    allowed: Bools | None = None,
) -> list[Problem]:
    """Return one error for every filled cell of a column that is not a number.

    Parameters
    ----------
    record : Record
        Cells as read.
    name : str
        Canonical column.
    remedy : str or callable
        What to do.
    rule : str
        Id of the rule; the column's name and "_not_a_number" unless given.
    allowed : (n,) bool, optional
        Cells that may hold words.

    Returns
    -------
    list of Problem
        In the order of the rows.
    """
    if name not in record.where:
        return []
    mask = np.isnan(record.numbers[name]) & ~record.blank[name]
    return cells(
        record,
        name,
        mask if allowed is None else mask & ~allowed,
        rule=rule or f"{name}_not_a_number",
        message=f"{name} is {{seen}}, not a number.",
        remedy=remedy,
    )
