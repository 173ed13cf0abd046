"""Which of the user's own names, of columns and of sheets, a message may repeat.

A header line that ran into the line below it holds an identifier, and so does a file without a header or a
sheet named after a patient. A name is repeated only where it says what we know, or resembles no data: no
digits but those of usual names ("pain 0-10", "mood_v2", "PHQ-9"), not long, nothing in common with the
patients' codes, and not beside cells that are numbers or dates. Any other is told by its place: column 8, or
the third sheet.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from tpr_outcomes.cohort.coded import codes_of
from tpr_outcomes.cohort.dates import is_slashed
from tpr_outcomes.cohort.names import KNOWN, plain_name, role_of
from tpr_outcomes.cohort.raw import RawTable
from tpr_outcomes.cohort.visit_names import read_label, read_name

LONGEST = 40
"""Characters of a name that may be repeated."""
SHARED = 5
"""Signs in a row that a name has in common with a patient's code, from which it is not repeated."""
MOST_TEXTS = 200_000

_OF_PEOPLE = ("patient", "therapist")
_USUAL = re.compile(
    r"(?<!\d)0\s?(?:-|\u2013|\u2014|to|bis|/)\s?100?(?!\d)"  # 0-10, 0 to 100
    r"|(?:/|\bof)\s?100?(?!\d)"
    r"|(?<![^\W_])(?:24|48|72)\s?-?(?:h|hr|hrs|hours?|std)(?![^\W_])"
    r"|(?<![^\W_])(?:phq|gad|sf|who|dn|promis|eq|tsk|isi|pseq|hads|whodas)[-_ ]?\d{1,2}d?(?![^\W_])"
    r"|(?:^|(?<=[\W_]))(?:v|vis|visits?|sess|sessions?|weeks?|wk|months?|mo|days?|baseline)[\W_]?\d{1,3}(?=[\W_]|$)"
    r"|\{visit\}"
    r"|___\d{1,3}$"
)
_NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)?")
_ISO = re.compile(r"\d{4}-\d\d-\d\d.*")
_USUAL_SHEET = re.compile(
    r"(?:sheet|tabelle|feuil|feuille|hoja|blad|foglio|ark|data|page)[-_ ]?\d{1,2}"
    r"|(?:\D{0,12}[-_ ])?(?:19|20)\d\d(?:[-_ /]?(?:q[1-4]|\d\d))?"
)


def with_said_names(
    table: RawTable, *, mapping: Mapping[str, str], names: Collection[str] = (), wanted: str = ""
) -> RawTable:
    """Note which of a table's names may be repeated.

    Parameters
    ----------
    table : RawTable
        As it stands in the file.
    mapping : mapping of str to str
        Canonical name to the user's name: these may be.
    names : collection of str
        Further plain names that are known: those of an optional table, of our templates.
    wanted : str
        Sheet the user asked for by name, which may be repeated.

    Returns
    -------
    RawTable
        With :attr:`~tpr_outcomes.cohort.raw.RawTable.said` and
        :attr:`~tpr_outcomes.cohort.raw.RawTable.sheet_said`.
    """
    known = [_is_known(name, mapping, names) for name in table.header]
    roles = [role_of(name, mapping) for name in table.header]
    people = [i for i, role in enumerate(roles) if role in _OF_PEOPLE]
    open_names = [name for name, sure in zip(table.header, known, strict=True) if not sure]
    damaged = any(_is_data(name) for name in open_names)
    doubtful = [name for name in open_names if not damaged and _looks_harmless(name)]
    sheet = table.sheet
    safe_sheet = not sheet or sheet == wanted or is_usual_sheet(sheet, mapping, names)
    about = [*doubtful, *(() if safe_sheet else (sheet,))]
    shared = _shared(about, table, people) if about else frozenset()
    free = set(doubtful) - shared
    said = tuple(name if sure or name in free else "" for name, sure in zip(table.header, known, strict=True))
    sheet_said = safe_sheet or ("patient" in roles and _looks_harmless(sheet) and sheet not in shared)
    return dataclasses.replace(table, said=said, sheet_said=sheet_said)


def may_be_said(name: str, mapping: Mapping[str, str]) -> bool:
    """Tell whether a name may be repeated, as far as its own looks tell.

    Parameters
    ----------
    name : str
        Name of a column.
    mapping : mapping of str to str
        Canonical name to the user's name.

    Examples
    --------
    >>> [may_be_said(name, {}) for name in ("Pain (0-10)", "mood_v3", "remarks", "ageP-0173", "17")]
    [True, True, True, False, False]
    """
    return _is_known(name, mapping, ()) or (_looks_harmless(name) and not _is_data(name))


def _is_known(name: str, mapping: Mapping[str, str], names: Collection[str]) -> bool:
    """Tell whether a name says something we know, alone or with a visit."""
    if not name or role_of(name, mapping) or name.strip() in {user.strip() for user in mapping.values()}:
        return True
    plain = plain_name(name)
    if plain in KNOWN or plain in names:
        return len(name) <= LONGEST
    found = read_name(name, mapping)
    return bool(found and found.role and found.role not in _OF_PEOPLE and found.stem)


def is_usual_sheet(name: str, mapping: Mapping[str, str], names: Collection[str] = ()) -> bool:
    """Tell whether a sheet is called after a measurement, a visit, a year, a table, or not at all.

    Parameters
    ----------
    name : str
        Name of the sheet.
    mapping : mapping of str to str
        Canonical name to the user's name.
    names : collection of str
        Further plain names that are known.
    """
    plain = plain_name(name)
    return bool(
        role_of(name, mapping)
        or plain in names
        or plain in ("visits", "data")
        or read_label(name)
        or re.fullmatch(r"\d{1,2}", plain)
        or _USUAL_SHEET.fullmatch(name.casefold().strip())
    )


def _looks_harmless(name: str) -> bool:
    """Tell whether a name is short and holds no digits but those of usual names."""
    rest = _USUAL.sub(" ", name.casefold())
    return len(name) <= LONGEST and "@" not in name and not any(sign.isnumeric() for sign in rest)


def _is_data(name: str) -> bool:
    """Tell whether what stands in place of a name is a number or a date."""
    return bool(_NUMBER.fullmatch(name) or _ISO.fullmatch(name) or is_slashed(name))


def _shared(names: Sequence[str], table: RawTable, people: Sequence[int]) -> frozenset[str]:
    """Return the names that have something in common with codes of people, or any cell if none is known."""
    columns = people or range(len(table.cells))
    texts: set[str] = set()
    for column in columns:
        texts |= {str(text).casefold() for text in codes_of(table.cells[column])[1][:MOST_TEXTS]}
    joined = "\n".join(sorted(texts))
    return frozenset(
        name for name in names if name.casefold() in texts or _any_in(_parts(name), joined, texts)
    )


def _parts(name: str) -> list[str]:
    """Words of a name that are no words of ours."""
    return [word for word in plain_name(name).split("_") if word and word not in KNOWN]


def _any_in(words: Iterable[str], joined: str, texts: Collection[str]) -> bool:
    """Tell whether a word is a code itself, or a few signs in a row of it stand in one."""
    return any(
        word in texts or any(word[i : i + SHARED] in joined for i in range(len(word) - SHARED + 1))
        for word in words
    )
