"""REDCap exports: one row per record, event and instance; a visit's entries may stand in several rows."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

import numpy as np

from tpr_outcomes.cohort.coded import Texts
from tpr_outcomes.cohort.dates import Bools
from tpr_outcomes.cohort.labels import WORDED, replaced, with_labels
from tpr_outcomes.cohort.names import COUNTS, PER_PATIENT, one_name_each, plain_name, role_of
from tpr_outcomes.cohort.raw import Ints, RawTable, texts
from tpr_outcomes.cohort.reading import Reading
from tpr_outcomes.cohort.redcap_dictionary import Field, clean_label, read_dictionary
from tpr_outcomes.cohort.reshape import NEVER, ONCE, Piece, Plan, to_visits
from tpr_outcomes.cohort.typed_values import says_nothing, to_number
from tpr_outcomes.cohort.visit_names import Label, number_visits, read_label, weeks_of
from tpr_outcomes.errors import PlanError

EVENT = ("redcap_event_name", "event_name")
INSTRUMENT = ("redcap_repeat_instrument", "repeat_instrument")
INSTANCE = ("redcap_repeat_instance", "repeat_instance")
_SYSTEM = (*EVENT, *INSTRUMENT, *INSTANCE, "redcap_data_access_group", "data_access_group",
           "redcap_survey_identifier", "survey_identifier")  # fmt: skip

MISSING_CODES = (
    *("NI", "INV", "UNK", "NASK", "ASKU", "NAV", "MSK", "NA", "NAVU"),
    *("NP", "QS", "QI", "TRC", "UNC", "DER", "PINF", "NINF", "OTH"),
)
"""Missing data codes REDCap proposes; read as such in columns of numbers, dates and yes or no."""

_ARM = re.compile(r"(_arm_\d+[a-z]?|\s*\(Arm \d+:.*\))$", re.IGNORECASE)
_CHECKBOX = re.compile(r"(.+)___(.+)")
_CHECKBOX_LABEL = re.compile(r"(.+?)\s*\(choice=(.*)\)", re.DOTALL)
_CHECKED, _COMPLETE = frozenset({"1", "checked", "yes"}), frozenset({"2", "complete"})


def is_redcap(table: RawTable) -> bool:
    """Tell whether a table is a REDCap export with events or repeating instruments.

    Parameters
    ----------
    table : RawTable
        The table as it stands in the file.

    Returns
    -------
    bool
        True where its system columns are there, by name or by label.
    """
    names = {plain_name(name) for name in table.header}
    if {EVENT[0], INSTRUMENT[0], INSTANCE[0]} & names:
        return True
    if EVENT[1] in names and {INSTANCE[1], "complete"} & names:
        return True
    return {INSTRUMENT[1], INSTANCE[1]} <= names


def read_redcap(table: RawTable, mapping: Mapping[str, str], reading: Reading) -> RawTable:
    """Make one row per visit of a REDCap export.

    Parameters
    ----------
    table : RawTable
        The export, raw or with labels.
    mapping : mapping of str to str
        Canonical name to the user's name: a variable name or a label.
    reading : Reading
        What the user settled.

    Returns
    -------
    RawTable
        Reshaped; every cell with its address in the export.

    Raises
    ------
    PlanError
        When the map names a field that is not there.
    SourceError
        When the data dictionary cannot be opened.
    """
    dictionary = read_dictionary(reading.dictionary) if reading.dictionary else {}
    fields = _fields(table, mapping, dictionary)
    table = _prepared(table, fields, dictionary)
    roles = [f.role for f in fields]
    patient = roles.index("patient") if "patient" in roles else 0
    rows = _Rows.of(table, patient)
    visits = _visits_of(rows, *(_filled(table, roles, role, reading) for role in ("pain", "twitches")))
    if reading.add:
        table = _added_up(table, roles, rows, visits, reading)
    pieces = [
        Piece(f.role, 0, f.column, _labels(f.role, table.cells[f.column], visits, reading))
        for f in fields
        if f.role and f.role != "patient"
    ]
    weeks = visits.weeks if not {"date", "weeks"} & set(roles) else None
    plan = Plan(
        tables=(table,),
        patient=(patient,),
        pieces=(Piece("patient", 0, patient, ONCE), *pieces),
        visits=visits.numbers,
        weeks=weeks,
        one_row_per_patient=False,
        missing=reading.missing,
    )
    guess = [] if reading.format == "redcap" else [_sentence(table, fields, visits)]
    unknown = [(table.header[f.column], 0, f.column) for f in fields if f.unread]
    return to_visits(plan, layout="redcap", guess=guess, unknown=unknown)


# --- what the columns are -------------------------------------------------------------------------


@dataclass(frozen=True)
class _Column:
    """One column of the export: the canonical column it is read as, and whether it is left unread."""

    column: int
    name: str
    role: str
    unread: bool
    boxes: tuple[int, ...] = ()
    answers: tuple[str, ...] = ()


def _fields(table: RawTable, mapping: Mapping[str, str], dictionary: Mapping[str, Field]) -> list[_Column]:
    """Say what each column is; the boxes of one checkbox field count as one column, the first."""
    by_label = {plain_name(f.label): f.name for f in dictionary.values() if f.label}
    hidden = {f.name for f in dictionary.values() if f.identifier}
    groups: dict[str, list[tuple[int, str]]] = {}
    columns: list[_Column] = []
    for i, header in enumerate(table.header):
        box = _CHECKBOX.fullmatch(header) or _CHECKBOX_LABEL.fullmatch(header)
        shown = clean_label(box[1] if box else header)
        name = by_label.get(plain_name(shown), shown)
        if box:
            groups.setdefault(name, []).append((i, box[2].strip()))
            if len(groups[name]) > 1:
                columns.append(_Column(i, name, "", unread=False))
                continue
        system = plain_name(header) in _SYSTEM or re.fullmatch(
            r".*_?(complete|timestamp)", plain_name(header)
        )
        role = "" if system or name in hidden else role_of(name, mapping) or role_of(shown, mapping)
        columns.append(_Column(i, name, role, unread=not role and not system and name not in hidden))
    kept = one_name_each(((c.role, plain_name(c.name)) for c in columns), mapping)
    for place, c in enumerate(columns):
        if c.role and (c.role, plain_name(c.name)) not in kept:
            c = dataclasses.replace(c, role="", unread=True)
        boxes = groups.get(c.name, [])
        if boxes and boxes[0][0] == c.column:
            c = dataclasses.replace(c, boxes=tuple(b for b, _ in boxes), answers=tuple(a for _, a in boxes))
        columns[place] = c
    for role, user_name in mapping.items():
        if role not in {c.role for c in columns}:
            raise PlanError(f"The column map says {role} is {user_name!r}; the export has no such field.")
    if "patient" not in {c.role for c in columns}:
        columns[0] = dataclasses.replace(columns[0], role="patient", unread=False)  # REDCap's record id
    return columns


def _prepared(table: RawTable, fields: Sequence[_Column], dictionary: Mapping[str, Field]) -> RawTable:
    """Put labels in place of codes, one text in place of boxes, and nothing in place of codes for missing."""
    cells = list(table.cells)
    labels: dict[int, Mapping[str, str]] = {}
    for f in fields:
        choices = dictionary[f.name].choices if f.name in dictionary else {}
        if f.boxes and f.role:
            cells[f.column] = _ticked(table, f, choices)
        elif f.role and choices:
            labels[f.column] = choices
        if f.role and f.role not in (*WORDED[:-1], "patient"):
            cells[f.column] = replaced(cells[f.column], dict.fromkeys(MISSING_CODES, ""))
    table = dataclasses.replace(table, cells=tuple(cells), labels=labels)
    return with_labels(table, [f.role for f in fields])


def _ticked(table: RawTable, f: _Column, choices: Mapping[str, str]) -> Texts:
    """Return which boxes are ticked, in words; for ``sought`` yes or no.

    A box that is not ticked and one nobody looked at are exported alike, so "no" is believed only where the
    form was marked complete.
    """
    ticked = [np.isin([text.casefold() for text in table.cells[i]], list(_CHECKED)) for i in f.boxes]
    if f.role == "sought":
        done = _complete(table, f.column)
        return texts(
            ["yes" if yes else "no" if end else "" for yes, end in zip(ticked[0], done, strict=True)]
        )
    names = [choices.get(answer, answer) for answer in f.answers]
    return texts(
        [" + ".join(n for n, t in zip(names, row, strict=True) if t) for row in zip(*ticked, strict=True)]
    )


def _complete(table: RawTable, column: int) -> Bools:
    """Mark the rows in which the form of a column was marked complete, by the next such column."""
    for i in range(column + 1, len(table.header)):
        if re.fullmatch(r".*_?complete", plain_name(table.header[i])):
            return np.isin([text.casefold() for text in table.cells[i]], list(_COMPLETE))
    return np.zeros(table.n_rows, dtype=bool)


# --- which visit a row belongs to -------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Rows:
    """Record, event, instrument and instance of every row; instance 0 where it is none."""

    patient: Texts
    event: Texts
    instrument: Texts
    instance: Ints

    @classmethod
    def of(cls, table: RawTable, patient: int) -> _Rows:
        """Take the system columns of a table."""
        plain = [plain_name(name) for name in table.header]

        def column(names: tuple[str, ...]) -> Texts:
            place = next((plain.index(name) for name in names if name in plain), -1)
            return texts([""] * table.n_rows) if place < 0 else table.cells[place]

        numbers = [to_number(text) for text in column(INSTANCE)]
        instance = np.array([int(n) if n == n else 0 for n in numbers], dtype=np.int64)
        event = texts([_ARM.sub("", text) for text in column(EVENT)])
        return cls(table.cells[patient], event, column(INSTRUMENT), instance)


@dataclass(frozen=True, eq=False)
class _Visits:
    """The visits there are, and which of them each row belongs to (-1: none)."""

    row: Ints
    numbers: tuple[int, ...]
    weeks: tuple[float, ...] | None
    said: str


def _filled(table: RawTable, roles: Sequence[str], role: str, reading: Reading) -> Bools:
    """Mark the rows in which a column says something."""
    if role not in roles:
        return np.zeros(table.n_rows, dtype=bool)
    filled: Bools = ~says_nothing(table.cells[roles.index(role)], reading.missing)
    return filled


def _visits_of(rows: _Rows, rated: Bools, counted: Bools) -> _Visits:
    """Find the visits: the events with ratings or counts, or the instances in them that hold the ratings."""
    used = rated | counted
    events = [event for event in _in_order(rows) if used[rows.event == event].any()]
    by_instance = {event for event in events if _repeats(rows, event, rated, counted)}
    keyed = np.where(np.isin(rows.event, list(by_instance)), rows.instance, 0)
    keys = [(e, int(k)) for e in events for k in sorted(set(keyed[used & (rows.event == e)].tolist()))]
    numbers, weeks = _numbers(keys, {e: read_label(e) for e in events}, by_instance)
    place = {key: i for i, key in enumerate(keys)}
    found = [place.get((event, int(k)), -1) for event, k in zip(rows.event, keyed, strict=True)]
    return _Visits(np.array(found, dtype=np.int64), numbers, weeks, _said(rows, keys, by_instance, used))


def _repeats(rows: _Rows, event: str, rated: Bools, counted: Bools) -> bool:
    """Tell whether the visits of an event are its instances: those of the ratings, else of the counts."""
    here = rows.event == event
    which = rated if rated[here].any() else counted
    return bool((rows.instance[which & here] > 0).any())


def _said(rows: _Rows, keys: Sequence[tuple[str, int]], by_instance: set[str], used: Bools) -> str:
    """Say where the visits were found."""
    names = list(dict.fromkeys(event for event, _ in keys if event))
    ends = names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}" if names else ""
    if not by_instance:
        return f"events {ends}" if ends else ""
    repeats = sorted({text for text in rows.instrument[used & (rows.instance > 0)] if text})
    inside = "a repeating event" if not repeats else f"the repeating instrument {repeats[0]}"
    if len(repeats) > 1:
        inside = f"the repeating instruments {' and '.join(repeats)}, those of one number taken as one visit"
    return f"instances of {inside}" + (f", in {ends}" if ends else "")


def _in_order(rows: _Rows) -> list[str]:
    """Return the events in the order in which records go through them."""
    graph: dict[str, set[str]] = {event: set() for event in dict.fromkeys(rows.event)}
    last: dict[str, str] = {}
    for patient, event in zip(rows.patient, rows.event, strict=True):
        before = last.get(patient)
        if before is not None and before != event:
            graph[event].add(before)
        last[patient] = event
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError:  # repeated instruments may stand below all events
        return list(graph)


def _numbers(
    keys: Sequence[tuple[str, int]], labels: Mapping[str, Label | None], by_instance: set[str]
) -> tuple[tuple[int, ...], tuple[float, ...] | None]:
    """Number the visits: by what the events are called, by instance, or in order."""
    events = list(dict.fromkeys(event for event, _ in keys))
    if len(events) == 1 and by_instance:
        return tuple(max(instance, 1) for _, instance in keys), None
    known = [label for event in events if (label := labels[event]) is not None]
    if by_instance or len(known) < len(events) or len(set(known)) < len(known):
        return tuple(range(1, len(keys) + 1)), None
    ordered, numbers = number_visits(known)
    place = dict(zip(ordered, numbers, strict=True))
    timed = all(weeks_of(label) is not None or label.number < 0 for label in known)
    weeks = tuple(weeks_of(label) or 0.0 for label in known) if timed else None
    return tuple(place[label] for label in known), weeks


def _labels(role: str, cells: Texts, visits: _Visits, reading: Reading) -> Ints:
    """Say for every row of a column whether it belongs to a visit, to the patient, or is not read.

    What holds for the patient is what was asked outside of visits, or in a single event.
    """
    if role not in PER_PATIENT:
        return np.where(visits.row >= 0, visits.row, NEVER)
    filled = ~says_nothing(cells, reading.missing)
    label = np.where(visits.row >= 0, visits.row, ONCE)
    asked = set(visits.row[filled & (visits.row >= 0)].tolist())
    if role != "stop_reason" and len(asked) == 1 and len(visits.numbers) > 1:
        label[filled] = ONCE
    return label


def _added_up(
    table: RawTable, roles: Sequence[str], rows: _Rows, visits: _Visits, reading: Reading
) -> RawTable:
    """Add up the entries of a visit; without one of them the visit has no total."""
    cells = list(table.cells)
    for role in reading.add:
        if role not in roles:
            raise PlanError(
                f"The column map says that {role} are to be added up; the export has no such field."
            )
        column = roles.index(role)
        said = ~says_nothing(cells[column], reading.missing)
        entries = np.isin(rows.instrument, list(set(rows.instrument[said & (visits.row >= 0)])))
        groups: dict[tuple[str, int], list[int]] = {}
        for i in np.flatnonzero(entries & (visits.row >= 0)).tolist():
            groups.setdefault((rows.patient[i], int(visits.row[i])), []).append(i)
        new = cells[column].copy()
        for members in groups.values():
            counts = [to_number(cells[column][i]) for i in members]
            if len(members) < 2 or any(c != c and said[i] for c, i in zip(counts, members, strict=True)):
                continue  # what cannot be read stays, so that it is told
            total = f"{sum(counts):g}" if all(said[i] for i in members) else ""
            new[members] = ""
            new[members[0]] = total
        cells[column] = new
    return dataclasses.replace(table, cells=tuple(cells))


def _sentence(table: RawTable, fields: Sequence[_Column], visits: _Visits) -> str:
    """Say how the export was understood."""
    wanted = ("pain", "twitches", "date", "weeks", "sought", *COUNTS, *PER_PATIENT)
    parts = [f"{f.role} from {table.header[f.column]}" for role in wanted for f in fields if f.role == role]
    n = len(visits.numbers)
    span = f"visits {min(visits.numbers)} to {max(visits.numbers)}" if n else "no visits"
    where = f" from {visits.said}" if visits.said else ""
    return f"Read as a REDCap export, {span}{where}: {'; '.join(parts)}."
