"""Names: what the toolkit calls its columns, and what clinics call them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping

CANONICAL = (
    "patient",
    "visit",
    "date",
    "weeks",
    "pain",
    "twitches",
    "sought",
    "insertions",
    "sites",
    "sessions",
    "control",
    "therapist",
    "region",
    "sex",
    "age",
    "stop_reason",
)
"""Every column name the toolkit understands."""

COUNTS = ("insertions", "sites", "sessions")
"""Rival doses: counts beside the twitches."""

CATEGORIES = ("therapist", "region", "sex", "stop_reason")
"""Columns of short words."""

NUMERIC = ("visit", "weeks", "pain", "twitches", *COUNTS, "control", "age")
"""Columns of numbers."""

PER_PATIENT = ("patient", "age", "sex", "region", "therapist", "stop_reason")
"""Columns that a table with one row per patient may hold once."""

_SYNONYMS = {
    "patient": (
        "patient_id", "patient_no", "patid", "pat", "id", "record_id", "subject", "subject_id", "study_id",
        "pid", "case",
    ),
    "visit": ("visit_no", "visit_nr", "visit_number", "visitno", "session_no", "timepoint"),
    "date": ("visit_date", "date_of_visit", "date_of", "datum", "day", "dov"),
    "weeks": ("week", "weeks_since_first"),
    "pain": (
        "nrs", "vas", "pain_nrs", "nrs_pain", "pain_vas", "pain_score", "pain_now", "pain_before",
        "pain_rating", "score",
    ),
    "twitches": (
        "ltr", "ltrs", "ltr_count", "ltr_n", "twitch", "twitch_count", "n_ltr", "n_twitches",
        "local_twitch_responses",
    ),
    "sought": ("ltr_attempted", "ltr_sought", "twitches_sought", "attempted"),
    "insertions": ("needles", "n_insertions", "needle_insertions"),
    "sites": ("n_sites", "muscles", "points"),
    "sessions": ("n_sessions", "treatments"),
    "control": ("control_rating", "negative_control"),
    "therapist": ("therapist_id", "clinician", "practitioner", "provider"),
    "region": ("body_region", "area"),
    "sex": ("gender",),
    "age": ("age_years",),
    "stop_reason": ("reason", "discharge_reason", "stopped_because"),
}  # fmt: skip
KNOWN = {name: name for name in CANONICAL} | {
    synonym: name for name, synonyms in _SYNONYMS.items() for synonym in synonyms
}
"""Plain name to canonical name, for every name and synonym."""


def plain_name(name: str) -> str:
    """Return a column name in lower case with single underscores between words.

    Parameters
    ----------
    name : str
        Column name as written.

    Returns
    -------
    str
        For example ``"stop_reason"`` for ``"Stop reason "``.
    """
    return re.sub(r"[\W_]+", "_", name.casefold()).strip("_")


def nearest_known(name: str) -> str | None:
    """Return the canonical column a user's column name most resembles, if any.

    Parameters
    ----------
    name : str
        Column name in the user's file.

    Returns
    -------
    str or None
        One of :data:`CANONICAL`.

    Examples
    --------
    >>> nearest_known("LTR count")
    'twitches'
    """
    plain = plain_name(name)
    near = difflib.get_close_matches(plain, KNOWN, n=1, cutoff=0.75)
    near = near or [word for word in plain.split("_") if word in KNOWN]
    return KNOWN[near[0]] if near else None


def one_name_each(names: Iterable[tuple[str, str]], mapping: Mapping[str, str]) -> set[tuple[str, str]]:
    """Keep one of the names that could stand for the same column: the mapped one, else our own, else none.

    Parameters
    ----------
    names : iterable of (str, str)
        Canonical column and plain name of the user's.
    mapping : mapping of str to str
        Canonical name to the user's name.

    Returns
    -------
    set of (str, str)
        Those that are certain. Of two synonyms neither is: their user is asked which is meant.

    Examples
    --------
    >>> sorted(one_name_each([("pain", "nrs"), ("pain", "vas"), ("twitches", "ltr")], {}))
    [('twitches', 'ltr')]
    """
    by_role: dict[str, set[str]] = {}
    for role, name in names:
        if role:
            by_role.setdefault(role, set()).add(name)
    kept = set()
    for role, stems in by_role.items():
        best = stems if role in mapping else stems & {role} or stems
        if role in mapping or len(best) == 1:
            kept |= {(role, name) for name in best}
    return kept


def role_of(name: str, mapping: Mapping[str, str]) -> str:
    """Return the canonical column a name stands for: as the map says, else by name or exact synonym.

    Parameters
    ----------
    name : str
        A column name, or the part of it that is not about the visit.
    mapping : mapping of str to str
        Canonical name to the user's name.

    Returns
    -------
    str
        One of :data:`CANONICAL`, or an empty text. A canonical column that is mapped to another name is
        not looked for under its synonyms.

    Examples
    --------
    >>> role_of("LTR", {}), role_of("LTR", {"twitches": "jumps"}), role_of("Jumps", {"twitches": "jumps"})
    ('twitches', '', 'twitches')
    """
    plain = plain_name(name)
    if not plain:
        return ""
    for canonical, user_name in mapping.items():
        if plain == plain_name(user_name):
            return canonical
    found = KNOWN.get(plain, "")
    return "" if found in mapping else found
