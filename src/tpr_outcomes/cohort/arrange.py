"""Arranging: how a file is laid out, found out or as its user says, and one row per visit made of it."""

from __future__ import annotations

from collections.abc import Sequence

from tpr_outcomes.cohort.columns import Columns
from tpr_outcomes.cohort.raw import RawTable
from tpr_outcomes.cohort.sources_wide import is_wide, read_wide


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
    """
    chosen, mapping, reading = tables[0], columns.mapping, columns.reading
    if reading.format == "wide" or (not reading.format and is_wide(chosen, mapping)):
        return read_wide([chosen], mapping, reading)
    return chosen
