"""Wide tables: one row per patient, and the visits side by side, in one sheet or in several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tpr_outcomes.cohort.labels import with_labels
from tpr_outcomes.cohort.names import PER_PATIENT, one_name_each, plain_name, role_of
from tpr_outcomes.cohort.raw import RawTable
from tpr_outcomes.cohort.reading import Reading
from tpr_outcomes.cohort.reshape import ONCE, Piece, Plan, to_visits
from tpr_outcomes.cohort.visit_names import (
    HOLE,
    Label,
    number_visits,
    read_label,
    read_name,
    weeks_of,
    with_hole,
)
from tpr_outcomes.errors import PlanError

MEASURED = ("pain", "twitches")


@dataclass(frozen=True)
class _Found:
    """What one column of a table was understood as."""

    role: str
    stem: str
    label: Label | None
    table: int
    column: int


def is_wide(table: RawTable, mapping: Mapping[str, str]) -> bool:
    """Tell whether a table holds ratings or counts of several visits side by side.

    Parameters
    ----------
    table : RawTable
        The table as it stands in the file.
    mapping : mapping of str to str
        Canonical name to the user's name.

    Returns
    -------
    bool
        True where at least two columns are ratings (or counts) of different visits and none is one of
        every visit.
    """
    found = _understand(table, mapping, 0)
    for role in MEASURED:
        labels = {f.label for f in found if f.role == role}
        if None not in labels and len(labels) > 1:
            return True
    return False


def read_wide(
    tables: Sequence[RawTable], mapping: Mapping[str, str], reading: Reading, *, per_visit: bool = False
) -> RawTable:
    """Make one row per visit of a table with one row per patient.

    Parameters
    ----------
    tables : sequence of RawTable
        One table, or several that share their patients (such as one sheet per measurement).
    mapping : mapping of str to str
        Canonical name to the user's name: of a column, of the part of it that is not about the visit, or
        with ``{visit}`` where the number stands.
    reading : Reading
        What the user settled.
    per_visit : bool
        Whether sheets named for a visit hold that visit.

    Returns
    -------
    RawTable
        Reshaped; every cell with its address in the user's table.

    Raises
    ------
    PlanError
        When the map names a column that is not there.
    """
    found = []
    for i, table in enumerate(tables):
        visit = read_label(table.sheet, bare=True) if per_visit else None
        found += _understand(table, mapping, i, of_visit=visit)
    _require_mapped(mapping, found)
    patient = tuple(
        next((f.column for f in found if f.table == i and f.role == "patient" and f.label is None), -1)
        for i in range(len(tables))
    )
    if -1 in patient:
        return tables[0]  # the rules say that there is no column patient
    tables = [with_labels(table, [f.role for f in found if f.table == i]) for i, table in enumerate(tables)]
    labels, visits = _visits(found)
    timed = all(weeks_of(label) is not None or label.number < 0 for label in labels)
    has_clock = any(f.role in ("date", "weeks") for f in found)
    weeks = tuple(weeks_of(label) or 0.0 for label in labels) if timed and labels and not has_clock else None
    pieces = _pieces(found, labels)
    used = {(piece.table, piece.column) for piece in pieces} | set(enumerate(patient))
    plan = Plan(
        tables=tuple(tables),
        patient=patient,
        pieces=(*(Piece("patient", i, column, ONCE) for i, column in enumerate(patient)), *pieces),
        visits=visits,
        weeks=weeks,
        one_row_per_patient=True,
        missing=reading.missing,
    )
    guess = [] if reading.format == "wide" else [_sentence(tables, found, labels, visits)]
    return to_visits(plan, layout="wide", guess=guess, unknown=_unknown(tables, found, used))


def _understand(
    table: RawTable, mapping: Mapping[str, str], index: int, *, of_visit: Label | None = None
) -> list[_Found]:
    """Say what each column is: of a visit, of the patient, or not known; all of a visit if the sheet is."""
    sheet_role = role_of(table.sheet, mapping) if table.sheet else ""
    result = []
    for column, name in enumerate(table.header):
        role, stem, label = role_of(name, mapping), plain_name(name), None
        if not role and (visit := read_name(name, mapping)) is not None:
            role, stem, label = visit.role, visit.stem, visit.label
        if not role and sheet_role in MEASURED_ROLES and (alone := read_label(name, bare=True)):
            role, stem, label = sheet_role, plain_name(table.sheet), alone
        if role == "patient" and label is not None:
            role = ""
        if of_visit is not None and role != "patient":
            label = of_visit
        result.append(_Found(role, stem, label, index, column))
    kept = one_name_each(((f.role, f.stem) for f in result), mapping)
    return [f if (f.role, f.stem) in kept else replace(f, role="") for f in result]


MEASURED_ROLES = ("pain", "twitches", "date", "weeks", "sought", "insertions", "sites", "sessions")
"""What a sheet of its own may hold, one column per visit."""


def holds_a_measure(table: RawTable, mapping: Mapping[str, str]) -> bool:
    """Tell whether a sheet is named for one measurement and has a column per visit.

    Parameters
    ----------
    table : RawTable
        One sheet.
    mapping : mapping of str to str
        Canonical name to the user's name.

    Returns
    -------
    bool
        True for a sheet "Pain" with columns "Patient", "Visit 1", "Visit 2".
    """
    role = role_of(table.sheet, mapping)
    found = _understand(table, mapping, 0)
    patient = any(f.role == "patient" for f in found)
    several = sum(f.role == role and f.label is not None for f in found) > 1
    return role in MEASURED_ROLES and patient and several


def holds_a_visit(table: RawTable, mapping: Mapping[str, str]) -> bool:
    """Tell whether a sheet is named for a visit and holds the patients' entries of it.

    Parameters
    ----------
    table : RawTable
        One sheet.
    mapping : mapping of str to str
        Canonical name to the user's name.

    Returns
    -------
    bool
        True for a sheet "Visit 2" with columns "Patient", "Pain", "LTR".
    """
    if read_label(table.sheet, bare=True) is None:
        return False
    roles = {f.role for f in _understand(table, mapping, 0) if f.label is None}
    return "patient" in roles and bool(roles & set(MEASURED))


def holds_patients(table: RawTable, mapping: Mapping[str, str]) -> bool:
    """Tell whether a sheet describes patients: a patient column, others of theirs, and no measurement.

    Parameters
    ----------
    table : RawTable
        One sheet.
    mapping : mapping of str to str
        Canonical name to the user's name.

    Returns
    -------
    bool
        True for a sheet with columns "Patient", "Age", "Sex", one row for each patient.
    """
    roles = {f.role for f in _understand(table, mapping, 0)} - {""}
    if "patient" not in roles or not roles & (set(PER_PATIENT) - {"patient"}) or roles - set(PER_PATIENT):
        return False
    column = next(i for i, name in enumerate(table.header) if role_of(name, mapping) == "patient")
    return len(set(table.cells[column])) == table.n_rows


def _visits(found: Sequence[_Found]) -> tuple[list[Label], tuple[int, ...]]:
    """Return the labels in order and the visit number of each."""
    all_labels = {f.label for f in found if f.label is not None and f.role}
    units = {label.unit for label in all_labels if label.number >= 0}
    if "visit" in units and len(units) > 1:
        all_labels = {label for label in all_labels if label.unit == "visit"}
    return number_visits(all_labels)


def _pieces(found: Sequence[_Found], labels: Sequence[Label]) -> list[Piece]:
    """Return the columns to read; what holds for the patient may stand once."""
    place = {label: i for i, label in enumerate(labels)}
    count = {role: sum(f.role == role and f.label is not None for f in found) for role in PER_PATIENT}
    result = []
    for f in found:
        if not f.role or f.role == "patient":
            continue
        if f.label is None:
            if f.role in PER_PATIENT:
                result.append(Piece(f.role, f.table, f.column, ONCE))
        elif f.label in place:
            once = f.role in ("age", "sex") and count[f.role] == 1
            result.append(Piece(f.role, f.table, f.column, ONCE if once else place[f.label]))
    return result


def _unknown(
    tables: Sequence[RawTable], found: Sequence[_Found], used: set[tuple[int, int]]
) -> list[tuple[str, int, int]]:
    """Name the columns that nothing asks for, those of one stem together."""
    groups: dict[tuple[int, str], list[_Found]] = {}
    for f in found:
        filled = tables[f.table].header[f.column] or (tables[f.table].cells[f.column] != "").any()
        if (f.table, f.column) in used or not filled:
            continue
        key = f.stem if f.label is not None and f.stem else f"column {f.column}"
        groups.setdefault((f.table, key), []).append(f)
    result = []
    for (table, _), members in groups.items():
        names = [tables[table].header[f.column] for f in members]
        name = names[0] if len(names) == 1 else with_hole(names[-1], members[-1].label)
        result.append((name, table, members[0].column))
    return result


def _require_mapped(mapping: Mapping[str, str], found: Sequence[_Found]) -> None:
    """Raise where the map names something that no column bears."""
    there = {f.role for f in found}
    for role, user_name in mapping.items():
        if role not in there:
            more = "" if HOLE in user_name else ", alone or with a visit"
            raise PlanError(
                f"The column map says {role} is {user_name!r}; no column of this table is called so{more}. "
                f"Write the part of the name that all visits share, or {HOLE} where the number stands."
            )


def _sentence(
    tables: Sequence[RawTable], found: Sequence[_Found], labels: Sequence[Label], visits: Sequence[int]
) -> str:
    """Say how the table was understood."""
    parts = []
    where = [f" ({table.sheet_name})" if len(tables) > 1 else "" for table in tables]
    for role in (*MEASURED_ROLES, *PER_PATIENT[1:]):
        names = [tables[f.table].header[f.column] + where[f.table] for f in found if f.role == role]
        if names:
            parts.append(f"{role} from {names[0]}" + (f" … {names[-1]}" if len(names) > 1 else ""))
    moved = any(label.unit == "visit" and label.number != v for label, v in zip(labels, visits, strict=True))
    note = f"; the first visit is called {visits[0]} here" if moved and visits else ""
    span = f"visits {visits[0]} to {visits[-1]}" if visits else "no visits"
    what = "a wide table" if len(tables) == 1 else f"{len(tables)} sheets that belong together"
    return f"Read as {what}, one row per patient, {span}{note}: {'; '.join(parts)}."
