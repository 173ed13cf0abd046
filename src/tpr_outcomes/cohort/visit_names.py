"""Visit names: which visit a column, a sheet or an event is about, read off what it is called.

``pain_v1``, ``Pain Visit 1``, ``V1 pain``, ``Visit 1``, ``pain (week 4)``, ``baseline``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tpr_outcomes.cohort.names import plain_name, role_of

HOLE = "{visit}"
"""Stands for the number of the visit in a name of the column map."""

WEEKS_PER_MONTH = 365.25 / 12 / 7

_UNITS = {
    "visit": "visits? visit_no visit_nr visit_number vis v sessions? session_no sess s treatments? treat tx "
    "appointments? appt besuch termin timepoint time t",
    "week": "weeks? wks? wk w",
    "month": "months? mths? mo m",
    "day": "days? d",
}
_UNIT = "|".join(f"(?P<{unit}>{'|'.join(words.split())})" for unit, words in _UNITS.items())
_FIRST = r"(?:baseline|base|bl|initial|intake|first_visit)"
_ORDINAL = r"(?:st|nd|rd|th)"
_LABEL = re.compile(rf"(?:{_UNIT})_?(?P<number>\d{{1,3}})")
_LABEL_BACK = re.compile(rf"(?P<number>\d{{1,3}}){_ORDINAL}?_(?:{_UNIT})")
_AFTER = re.compile(rf"(?P<stem>.+?)_?(?:{_UNIT})_?(?P<number>\d{{1,3}})")
_AFTER_WORD = re.compile(rf"(?P<stem>.+?)_(?:{_UNIT})_?(?P<number>\d{{1,3}})")
_BEFORE = re.compile(rf"(?:{_UNIT})_?(?P<number>\d{{1,3}})_(?P<stem>.+)")
_BARE = re.compile(r"(?P<stem>.*?\D)_?(?P<number>\d{1,3})")
_BARE_BEFORE = re.compile(rf"(?P<number>\d{{1,3}}){_ORDINAL}?_(?:visit_)?(?P<stem>\D.*)")
_FIRST_AFTER = re.compile(rf"(?P<stem>.+)_{_FIRST}(?:_visit)?")
_FIRST_BEFORE = re.compile(rf"{_FIRST}(?:_visit)?_(?P<stem>.+)")
_PATTERNS = (_AFTER_WORD, _AFTER, _BEFORE, _BARE, _BARE_BEFORE, _FIRST_AFTER, _FIRST_BEFORE)


@dataclass(frozen=True, order=True)
class Label:
    """Which visit: a number, and what is counted.

    Attributes
    ----------
    unit : {"visit", "week", "month", "day"}
        What the number counts.
    number : int
        As written; -1 for "baseline".
    """

    unit: str
    number: int


@dataclass(frozen=True)
class VisitName:
    """What a name with a visit in it says.

    Attributes
    ----------
    role : str
        Canonical column, or an empty text where the stem is not known.
    stem : str
        The plain name without the visit; empty where there is nothing else.
    label : Label
        The visit.
    """

    role: str
    stem: str
    label: Label


def read_label(name: str, *, bare: bool = False) -> Label | None:
    """Read a name that says which visit and nothing else.

    Parameters
    ----------
    name : str
        For example ``"Visit 3"``, ``"V3"``, ``"week 4"`` or ``"Baseline"``.
    bare : bool
        Whether a number alone will do.

    Returns
    -------
    Label or None
        None where the name says something else.

    Examples
    --------
    >>> read_label("Visit 3"), read_label("wk 4"), read_label("3"), read_label("3", bare=True)
    (Label(unit='visit', number=3), Label(unit='week', number=4), None, Label(unit='visit', number=3))
    """
    plain = plain_name(name)
    if re.fullmatch(rf"{_FIRST}(?:_visit)?", plain):
        return Label("visit", -1)
    match = _LABEL.fullmatch(plain) or _LABEL_BACK.fullmatch(plain)
    if match:
        return _label(match)
    return Label("visit", int(plain)) if bare and re.fullmatch(r"\d{1,3}", plain) else None


def read_name(name: str, mapping: Mapping[str, str]) -> VisitName | None:
    """Read a column name that says what was recorded and at which visit.

    Parameters
    ----------
    name : str
        Column name in the user's file.
    mapping : mapping of str to str
        Canonical name to the user's name, which may be the stem (``"NRS"`` for ``NRS_v1``) or hold
        ``{visit}`` where the number stands (``"T{visit} NRS"``).

    Returns
    -------
    VisitName or None
        None where the name says no visit. The role is empty where only the visit could be read.

    Examples
    --------
    >>> read_name("LTR Visit 2", {})
    VisitName(role='twitches', stem='ltr', label=Label(unit='visit', number=2))
    """
    plain = plain_name(name)
    for canonical, user_name in mapping.items():
        if HOLE in user_name and (match := _holed(user_name).fullmatch(plain)):
            return VisitName(canonical, plain_name(user_name.replace(HOLE, " ")), _visit(int(match[1])))
    if (alone := read_label(name)) is not None:
        as_stem = plain.rstrip("0123456789").rstrip("_")  # "Visit 1" may be what the map calls the date
        mapped = next((c for c, user in mapping.items() if plain_name(user) == as_stem), "")
        return VisitName(mapped, as_stem if mapped else "", alone)
    labelled: VisitName | None = None
    for pattern in _PATTERNS:
        match = pattern.fullmatch(plain)
        if match is None:
            continue
        stem, label = match["stem"].strip("_"), _label(match)
        if role := role_of(stem, mapping):
            return VisitName(role, stem, label)
        if labelled is None and pattern in (_AFTER_WORD, _BEFORE):
            labelled = VisitName("", stem, label)
    return labelled


def number_visits(labels: Iterable[Label]) -> tuple[list[Label], tuple[int, ...]]:
    """Put labels in order and give each a visit number.

    Numbers of visits are kept, moved up by one where they start at 0 and where a baseline comes before
    visit 1; weeks, months and days are numbered in their order.

    Parameters
    ----------
    labels : iterable of Label
        Different visits.

    Returns
    -------
    labels : list of Label
        In order of time.
    visits : tuple of int
        Number of each, from 1.

    Examples
    --------
    >>> number_visits([Label("visit", 2), Label("visit", 1), Label("visit", -1)])[1]
    (1, 2, 3)
    """
    ordered = sorted(labels, key=lambda label: (weeks_of(label) or 0.0, label.number))
    if any(label.unit != "visit" for label in ordered):
        return ordered, tuple(range(1, len(ordered) + 1))
    numbers = [label.number for label in ordered]
    lowest = min((number for number in numbers if number >= 0), default=1)
    shift = (1 if lowest == 0 else 0) + (1 if -1 in numbers and lowest <= 1 else 0)
    return ordered, tuple(max(lowest + shift - 1, 1) if n < 0 else n + shift for n in numbers)


def with_hole(name: str, label: Label | None) -> str:
    """Write a name with ``{visit}`` in place of its visit's number, as a column map may.

    Parameters
    ----------
    name : str
        Column name in the user's file.
    label : Label or None
        The visit in it.

    Returns
    -------
    str
        For example ``"mood_v{visit}"``; the name itself where it holds no such number.
    """
    if label is None or label.number < 0:
        return name
    found = list(re.finditer(rf"(?<!\d)0*{label.number}(?!\d)", name))
    return name if not found else name[: found[-1].start()] + HOLE + name[found[-1].end() :]


def weeks_of(label: Label) -> float | None:
    """Return the weeks a label counts, or None where it counts visits.

    Parameters
    ----------
    label : Label
        A visit.

    Returns
    -------
    float or None
        Weeks; a month is a twelfth of 365.25 days.
    """
    per_unit = {"week": 1.0, "month": WEEKS_PER_MONTH, "day": 1 / 7}.get(label.unit)
    return None if per_unit is None else max(label.number, 0) * per_unit


def _holed(user_name: str) -> re.Pattern[str]:
    """Return the pattern of a mapped name with a hole for the number."""
    before, _, after = user_name.partition(HOLE)
    parts = [re.escape(plain_name(before)), r"_?(\d{1,3})_?", re.escape(plain_name(after))]
    return re.compile("".join(parts))


def _label(match: re.Match[str]) -> Label:
    """Return the label a pattern found."""
    groups = match.groupdict()
    if groups.get("number") is None:
        return Label("visit", -1)
    unit = next((unit for unit in _UNITS if groups.get(unit)), "visit")
    return Label(unit, int(groups["number"]))


def _visit(number: int) -> Label:
    return Label("visit", number)
