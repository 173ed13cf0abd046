"""Arranging: how a file is laid out, found out or as its user says, and one row per visit made of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from tpr_outcomes.cohort.cells import find_columns
from tpr_outcomes.cohort.columns import Columns
from tpr_outcomes.cohort.fields import OFFERED
from tpr_outcomes.cohort.labels import with_labels
from tpr_outcomes.cohort.names import role_of
from tpr_outcomes.cohort.raw import RawTable
from tpr_outcomes.cohort.said_names import is_usual_sheet, with_said_names
from tpr_outcomes.cohort.sources_redcap import is_redcap, read_redcap
from tpr_outcomes.cohort.sources_wide import (
    MEASURED,
    holds_a_measure,
    holds_a_visit,
    holds_patients,
    is_wide,
    read_wide,
)
from tpr_outcomes.cohort.stacking import alike, columns_of, lacks_patient, stacked
from tpr_outcomes.errors import PlanError


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
    mapping, reading = columns.mapping, columns.reading
    tables = [with_said_names(table, mapping=mapping, names=OFFERED) for table in tables]
    chosen = tables[0]
    if reading.sheets == "first":
        chosen = dataclasses.replace(chosen, other_sheets=0)
        tables = [chosen]
    if reading.format == "redcap" or (not reading.format and is_redcap(chosen)):
        return read_redcap(chosen, mapping, reading)
    if reading.format in ("", "wide"):
        together = [] if reading.sheets else _belonging_together(tables, mapping)
        below = None if together or not is_wide(chosen, mapping) else _below_each_other(tables, columns)
        if below is not None:
            return below
        if together or reading.format or is_wide(chosen, mapping):
            patients = [table for table in tables[1:] if holds_patients(table, mapping)]
            used = [*(together or [chosen]), *patients]
            per_visit = bool(together) and holds_a_visit(together[0], mapping)
            made = read_wide(used, mapping, reading, per_visit=per_visit)
            left = len(tables) - len(used)
            return dataclasses.replace(made, other_sheets=min(left, chosen.other_sheets))
    if below := _below_each_other(tables, columns):
        return below
    if not chosen.labels:
        return chosen
    where, _ = find_columns(chosen.header, mapping, said=chosen.said)
    names = {column: role for role, column in where.items()}
    return with_labels(chosen, [names.get(i, "") for i in range(len(chosen.header))])


def _below_each_other(tables: Sequence[RawTable], columns: Columns) -> RawTable | None:
    """Stack the sheets with the same columns, if there are several; None for anything else.

    In a wide workbook each sheet is reshaped first, since a patient's visits are numbered sheet by sheet.
    """
    mapping, reading = columns.mapping, columns.reading
    if len(tables) < 2 or not (tables[0].other_sheets or reading.sheets):
        return None
    made = list(tables)
    if is_wide(tables[0], mapping):
        made = [read_wide([t], mapping, reading) for t in tables if is_wide(t, mapping)]
    sheets = alike(made, mapping)
    if len(sheets) < 2:
        return None
    unread = len(tables) - len(sheets)
    named = reading.sheets if reading.sheets in ("patient", "therapist") else ""
    if not reading.sheets and lacks_patient(sheets[0], mapping):
        if any(is_usual_sheet(table.sheet, mapping) for table in sheets):
            return None  # a year is no patient: the rules ask for the column
        named = "patient"
    has = [columns_of(table, mapping) or {} for table in sheets]
    if any(all(name not in its for its in has) for name in mapping if name != named):
        return None  # the map names a column that no sheet has: the rules say so
    if named and any(named in its for its in has):
        raise PlanError(
            f'The column map says sheets = "{named}", but the sheets have a column {named}; leave one out.'
        )
    sheets = [_with_sheet_said(table, mapping, named) for table in sheets]
    found = stacked(sheets, mapping, named=named, settled=bool(reading.sheets))
    return dataclasses.replace(found, other_sheets=min(unread, tables[0].other_sheets))


def _with_sheet_said(table: RawTable, mapping: Mapping[str, str], named: str) -> RawTable:
    """Return a sheet that is told by its number if it may bear somebody's name."""
    said = not named and is_usual_sheet(table.sheet, mapping)
    own = tuple(dataclasses.replace(its, sheet_said=said) for its in table.tables)
    return dataclasses.replace(table, sheet_said=said, tables=own)


def _belonging_together(tables: Sequence[RawTable], mapping: Mapping[str, str]) -> list[RawTable]:
    """Return the sheets of one measurement each, or of one visit each, if that is how the workbook is."""
    if not tables[0].other_sheets:
        return []
    measures = [table for table in tables if holds_a_measure(table, mapping)]
    if len(measures) > 1 and {role_of(table.sheet, mapping) for table in measures} & set(MEASURED):
        return measures
    visits = [table for table in tables if holds_a_visit(table, mapping)]
    return visits if len(visits) > 1 else []
