"""Arranging: how a file is laid out, found out or as its user says, and one row per visit made of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from tpr_outcomes.cohort.cells import find_columns
from tpr_outcomes.cohort.columns import Columns
from tpr_outcomes.cohort.labels import with_labels
from tpr_outcomes.cohort.names import role_of
from tpr_outcomes.cohort.raw import RawTable
from tpr_outcomes.cohort.sources_redcap import is_redcap, read_redcap
from tpr_outcomes.cohort.sources_wide import (
    MEASURED,
    holds_a_measure,
    holds_a_visit,
    holds_patients,
    is_wide,
    read_wide,
)


def arrange(tables: Sequence[RawTable], columns: Columns) -> RawTable:
    """Return one row per patient and visit, whatever the layout of the file.

    Parameters
    ----------
    tables : sequence of RawTable
        The tables of the file; the one to be read alone comes first.
    columns : Columns
        The user's names and settings.

    Returns
    -------
    RawTable
        The first table itself where it is tidy; otherwise reshaped, every cell with the address it has in
        the user's file. ``guess`` says how the file was understood, unless the user settled it.

    Raises
    ------
    PlanError
        When the column map names a column that is not there.
    SourceError
        When the data dictionary cannot be opened.
    """
    chosen, mapping, reading = tables[0], columns.mapping, columns.reading
    if reading.format == "redcap" or (not reading.format and is_redcap(chosen)):
        return read_redcap(chosen, mapping, reading)
    if reading.format in ("", "wide"):
        together = _belonging_together(tables, mapping)
        if together or reading.format or is_wide(chosen, mapping):
            patients = [table for table in tables[1:] if holds_patients(table, mapping)]
            used = [*(together or [chosen]), *patients]
            per_visit = bool(together) and holds_a_visit(together[0], mapping)
            made = read_wide(used, mapping, reading, per_visit=per_visit)
            left = len(tables) - len(used)
            return dataclasses.replace(made, other_sheets=min(left, chosen.other_sheets))
    if not chosen.labels:
        return chosen
    where, _ = find_columns(chosen.header, mapping)
    names = {column: role for role, column in where.items()}
    return with_labels(chosen, [names.get(i, "") for i in range(len(chosen.header))])


def _belonging_together(tables: Sequence[RawTable], mapping: Mapping[str, str]) -> list[RawTable]:
    """Return the sheets of one measurement each, or of one visit each, if that is how the workbook is."""
    if not tables[0].other_sheets:
        return []
    measures = [table for table in tables if holds_a_measure(table, mapping)]
    if len(measures) > 1 and {role_of(table.sheet, mapping) for table in measures} & set(MEASURED):
        return measures
    visits = [table for table in tables if holds_a_visit(table, mapping)]
    return visits if len(visits) > 1 else []
