"""Codes and what they stand for: value labels of statistics files, choices of a data dictionary."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from tpr_outcomes.cohort.coded import Texts, codes_of, from_codes
from tpr_outcomes.cohort.names import CATEGORIES
from tpr_outcomes.cohort.raw import RawTable
from tpr_outcomes.cohort.typed_values import BLANK, NOT_SOUGHT, to_number

WORDED = (*CATEGORIES, "sought")
"""Columns in which a code's label is wanted, not the code."""


def with_labels(table: RawTable, roles: Sequence[str]) -> RawTable:
    """Put labels in place of codes where words are wanted, and codes in place of labels where numbers are.

    In a column of numbers a label counts only if it says that there is no number ("not sought", "missing").

    Parameters
    ----------
    table : RawTable
        With :attr:`~tpr_outcomes.cohort.raw.RawTable.labels`.
    roles : sequence of str
        Canonical column of each column, or an empty text.

    Returns
    -------
    RawTable
        The same cells, said in the other way.
    """
    if not table.labels:
        return table
    cells = list(table.cells)
    for column, labels in table.labels.items():
        role = roles[column]
        if role and role != "patient":
            cells[column] = replaced(cells[column], _words(labels) if role in WORDED else _numbers(labels))
    return dataclasses.replace(table, cells=tuple(cells), labels={})


def replaced(cells: Texts, instead: Mapping[str, str]) -> Texts:
    """Return a column with some of its texts replaced.

    Parameters
    ----------
    cells : (n,) object array of str
        A column.
    instead : mapping of str to str
        Text to the text in its place.

    Returns
    -------
    (n,) object array of str
        Other texts are as they were.
    """
    codes, different = codes_of(cells)
    new = np.array([instead.get(text, text) for text in different], dtype=object)
    merged: dict[str, int] = {}
    place = np.array([merged.setdefault(text, len(merged)) for text in new], dtype=np.int64)
    kept = np.array(list(merged), dtype=object)
    return from_codes(place[codes] if place.size else codes, kept)


def _words(labels: Mapping[str, str]) -> dict[str, str]:
    """Return what stands for each code in a column of words."""
    return {code: label.strip() for code, label in labels.items() if label.strip()}


def _numbers(labels: Mapping[str, str]) -> dict[str, str]:
    """Return what stands for codes and labels in a column of numbers."""
    instead = {}
    for code, label in labels.items():
        word = label.strip().casefold()
        if word in NOT_SOUGHT or word in BLANK:
            instead[code] = label.strip()
        elif to_number(code) == to_number(code):
            instead[label.strip()] = code
    return instead
