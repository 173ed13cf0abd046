"""Reading: what a user may settle about a file that its bytes do not say."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

from tpr_outcomes.cohort.names import COUNTS
from tpr_outcomes.errors import PlanError

FORMATS = ("tidy", "wide", "redcap")
DATE_ORDERS = ("day first", "month first")
SHEETS = ("first", "stack", "patient", "therapist")
_CHOICES = {
    "format": FORMATS,
    "dates": DATE_ORDERS,
    "decimals": ("comma", "point"),
    "ranges": ("lower", "middle", "upper"),
    "sheets": SHEETS,
}
_LISTS = ("missing", "add")
_ADDABLE = ("twitches", *COUNTS)


@dataclass(frozen=True)
class Reading:
    """How a file is to be read, where the user says so; every setting has "find out" as its default.

    Attributes
    ----------
    format : {"", "tidy", "wide", "redcap"}
        One row per visit; one row per patient; REDCap export.
    dates : {"", "day first", "month first"}
        What 05/03/2024 means.
    decimals : {"", "comma", "point"}
        What ``7,5`` means.
    ranges : {"", "lower", "middle", "upper"}
        What a rating written ``7-8`` is read as; not read at all unless settled.
    missing : tuple of str
        Codes that say "nothing was recorded", such as ``-99``.
    add : tuple of str
        Counts of which a visit may have several entries that are to be added up (REDCap).
    header_row : int
        Row of the column names; 0 to find it.
    header_rows : int
        How many rows the column names take; 0 to find it.
    dictionary : str
        Path of the REDCap data dictionary, or empty.
    sheets : {"", "first", "stack", "patient", "therapist"}
        How several sheets of a workbook belong together: only the first is read; those with the same columns
        stand one below the other; and what the name of each sheet says.
    """

    format: str = ""
    dates: str = ""
    decimals: str = ""
    ranges: str = ""
    missing: tuple[str, ...] = ()
    add: tuple[str, ...] = ()
    header_row: int = 0
    header_rows: int = 0
    dictionary: str = ""
    sheets: str = ""

    @classmethod
    def checked(cls, settings: Mapping[str, object], *, folder: Path | None = None) -> Self:
        """Make settings of a mapping, naming every fault at once.

        Parameters
        ----------
        settings : mapping
            For example ``{"dates": "day first", "missing": ["-99"]}``.
        folder : Path, optional
            Where relative paths start.

        Returns
        -------
        Reading
            The settings.

        Raises
        ------
        PlanError
            With one line per fault.
        """
        faults = [fault for key, value in settings.items() if (fault := _fault(key, value))]
        if faults:
            raise PlanError("\n".join(["[file] cannot be used as it stands.", *(f"- {f}" for f in faults)]))
        chosen: dict[str, object] = dict(settings)
        for key in _LISTS:
            if key in chosen:
                values = chosen[key]
                assert isinstance(values, list | tuple)
                chosen[key] = tuple(str(value).strip() for value in values)
        if folder is not None and chosen.get("dictionary"):
            chosen["dictionary"] = str(folder / str(chosen["dictionary"]))
        return cls(**chosen)  # type: ignore[arg-type]  # each value was checked above


def _fault(key: str, value: object) -> str:
    """Say what is wrong with one setting, if anything is."""
    known = tuple(field.name for field in fields(Reading))
    if key not in known:
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known settings: {', '.join(known)}."
        return f"{key!r} is not a setting. {hint}"
    if key in _CHOICES:
        choices = _CHOICES[key]
        wanted = " or ".join(f'"{choice}"' for choice in choices)
        return "" if value in choices else f"{key} is to be {wanted}."
    if key in _LISTS:
        listed = isinstance(value, list | tuple) and all(isinstance(v, str | int | float) for v in value)
        if not listed:
            return f'{key} is to be a list, for example {key} = ["-99"].'
        wrong = [v for v in value if v not in _ADDABLE] if key == "add" else []  # type: ignore[attr-defined]
        return f"add may hold {', '.join(_ADDABLE)}." if wrong else ""
    if key in ("header_row", "header_rows"):
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        return "" if whole else f"{key} is to be a whole number from 1."
    return "" if isinstance(value, str) and value.strip() else f"{key} is to be a path in quotes."
