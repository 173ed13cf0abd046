"""Numbers once: one row per estimate, from which page, sentences and tables take what they show.

A row has an id, and the columns every table of results shares. Whatever the report prints as a number is a
field of a row, rounded; :mod:`tpr_outcomes.reporting.linking` writes the id beside it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tpr_outcomes.reporting.results import COLUMNS, Json, tidy_json

SCHEMA = "tpr-outcomes/results/1"
"""Name and version of the content of ``results.json``."""
NUMERIC = ("estimate", "std_error", "conf_low", "conf_high", "p_value", "level", "n")
"""Fields of a row that may be printed, in the order in which they are looked up."""
ID_COLUMNS = ("id", *COLUMNS)


@dataclass(frozen=True)
class Row:
    """One estimate.

    Attributes
    ----------
    id : str
        What the page refers to; unique, stable between runs, parts joined by colons.
    term : str
        What was estimated.
    estimate, std_error, conf_low, conf_high, p_value : float
        NaN where there is none.
    level : float
        Of the interval; NaN where there is none.
    unit : str
    n : int or None
        On how many it rests.
    method, rule : str
        How it was made; the named rule that used it.
    """

    id: str
    term: str
    estimate: float = math.nan
    std_error: float = math.nan
    conf_low: float = math.nan
    conf_high: float = math.nan
    p_value: float = math.nan
    level: float = math.nan
    unit: str = ""
    n: int | None = None
    method: str = ""
    rule: str = ""

    def value(self, field: str) -> float:
        """Return a numeric field; NaN where there is none."""
        found = getattr(self, field)
        return math.nan if found is None else float(found)


def key_of(text: object) -> str:
    """Make a part of an id from words.

    Examples
    --------
    >>> key_of("check: patient trait")
    'check_patient_trait'
    """
    return "_".join(str(text).replace(":", "").split())


def row(name: str, term: str, values: Mapping[str, Any]) -> Row:
    """Make a row of values by column; missing ones, and columns that no row has, are left out.

    Parameters
    ----------
    name : str
        The id.
    term : str
    values : mapping of str to object
    """
    found: dict[str, Any] = {}
    for key in COLUMNS:
        value = values.get(key)
        if key == "term" or value is None or (not isinstance(value, str) and pd.isna(value)):
            continue
        found[key] = str(value) if isinstance(value, str) else int(value) if key == "n" else float(value)
    return Row(name, term, **found)


@dataclass(frozen=True, eq=False)
class Results:
    """Every number of one report.

    Attributes
    ----------
    rows : tuple of Row
        In the order of the report; ids are unique.
    frames : mapping of str to DataFrame
        The same numbers as tables, unrounded, by file name: what ``tables/*.csv`` hold.

    Raises
    ------
    ValueError
        When two rows have one id.
    """

    rows: tuple[Row, ...]
    frames: Mapping[str, pd.DataFrame]

    def __post_init__(self) -> None:
        ids = [found.id for found in self.rows]
        if len(set(ids)) < len(ids):
            twice = sorted({name for name in ids if ids.count(name) > 1})
            raise ValueError(f"Two numbers have one id: {', '.join(twice)}.")

    def under(self, scopes: Iterable[str]) -> list[Row]:
        """Return the rows whose id is, or lies below, one of these; scope by scope, in their order.

        Examples
        --------
        >>> made = Results((Row("a:1", "x", 1.0), Row("b", "y", 2.0), Row("ab", "z", 3.0)), {})
        >>> [row.id for row in made.under(["b", "a"])]
        ['b', 'a:1']
        """
        return [found for scope in scopes for found in self.rows if f"{found.id}:".startswith(f"{scope}:")]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per estimate: ``id`` and the columns of every table of results."""
        frame = pd.DataFrame(
            [[getattr(r, c) for c in ID_COLUMNS] for r in self.rows], columns=list(ID_COLUMNS)
        )
        numeric = dict.fromkeys((name for name in NUMERIC if name != "n"), "float64")
        return frame.astype({**numeric, "n": "Int64"})

    def to_json(self) -> str:
        """Return ``results.json`` as text, ending in a line break."""
        rows: list[Json] = [{c: getattr(r, c) for c in ID_COLUMNS} for r in self.rows]
        content = tidy_json({"schema": SCHEMA, "columns": list(ID_COLUMNS), "results": rows})
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
