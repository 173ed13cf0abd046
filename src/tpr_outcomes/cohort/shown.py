"""The description of a record as it may be shown: small counts withheld, and whatever they would follow from.

:mod:`tpr_outcomes.cohort.describe` counts; here is decided what of it leaves the building
(:mod:`tpr_outcomes.cohort.privacy`). A statistic goes with its count: of few patients it says too much, and
where the count is withheld the digits of a mean, or a standard deviation beside its interval, would give it
away.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pandas as pd

from tpr_outcomes.cohort.describe import Attrition, Characteristic, TableOne, VisitRow, VisitSummary
from tpr_outcomes.cohort.privacy import (
    MINIMUM,
    OTHER,
    Counts,
    Sum,
    is_small,
    nested,
    pool_words,
    protect,
)
from tpr_outcomes.cohort.record import Record

_STATISTICS = ("share", "mean", "sd", "median", "q1", "q3")


def shown_table_one(table: TableOne, minimum: int = MINIMUM) -> pd.DataFrame:
    """Return table one as it may be shown.

    Parameters
    ----------
    table : TableOne
    minimum : int
        Smallest count shown.

    Returns
    -------
    DataFrame
        As :meth:`TableOne.to_frame`; counts and what goes with them are missing where withheld, and words
        shared by too few patients stand together as "other".
    """
    rows: list[dict[str, object]] = []
    for variable in dict.fromkeys(row.variable for row in table.rows):
        members = [row for row in table.rows if row.variable == variable]
        if members[0].category:
            rows += _categories(members, table.n_patients, minimum)
        else:
            rows += [_number(row, table.n_patients, minimum) for row in members]
    frame = pd.DataFrame(rows, columns=["variable", "category", "n", "missing", *_STATISTICS])
    return frame.astype({"n": "Int64", "missing": "Int64"} | dict.fromkeys(_STATISTICS, "float64"))


def _number(row: Characteristic, patients: int, minimum: int) -> dict[str, object]:
    """A number with its count, or without it."""
    counts = protect(
        {"n": row.n, "missing": row.missing, "all": patients},
        [Sum("all", ("n", "missing"))],
        kept=["all"],
        minimum=minimum,
    )
    found: dict[str, object] = {"variable": row.variable, "category": ""}
    found |= {name: counts.number(name) for name in ("n", "missing")}
    if not is_small(row.n, minimum):
        found |= {name: _coarse(getattr(row, name), found["n"]) for name in _STATISTICS}
    return found


def _coarse(value: float, count: object) -> float:
    """A statistic to one decimal where its count is withheld: further digits would give the count away."""
    return value if count is not None or math.isnan(value) else round(value, 1)


def _categories(rows: list[Characteristic], patients: int, minimum: int) -> list[dict[str, object]]:
    """The words of one variable with their counts and shares."""
    pooled = pool_words({row.category: row.n for row in rows}, minimum)
    missing = rows[0].missing
    values = {f"word {word}": n for word, n in pooled.items()} | {"missing": missing, "all": patients}
    parts = (*(name for name in values if name.startswith("word ")), "missing")
    counts = protect(values, [Sum("all", parts)], kept=["all"], minimum=minimum)
    known = patients - missing
    found: list[dict[str, object]] = []
    for word, n in pooled.items():
        shown = counts.number(f"word {word}")
        share = math.nan if shown is None or "missing" in counts.withheld else n / known
        found.append({"variable": rows[0].variable, "category": word, "n": shown, "share": share})
        found[-1]["missing"] = counts.number("missing")
    return found


def shown_by_visit(summary: VisitSummary, minimum: int = MINIMUM) -> pd.DataFrame:
    """Return ratings by visit as they may be shown.

    Parameters
    ----------
    summary : VisitSummary
    minimum : int
        Smallest count shown.

    Returns
    -------
    DataFrame
        As :meth:`VisitSummary.to_frame`, with what is withheld missing. A share of responders is withheld
        where those who did, or those who did not, are few.
    """
    values: dict[str, int] = {}
    unseen: set[str] = set()
    sums: list[Sum] = []
    for row in summary.rows:
        values |= {f"{name}:{row.visit}": getattr(row, name) for name in ("n", "n_change", "n_percent")}
        for outer, inner in (("n", "n_change"), ("n_change", "n_percent")):
            sums.append(nested(f"{outer}:{row.visit}", f"{inner}:{row.visit}", values, unseen))
    sums += _falling([f"n:{row.visit}" for row in summary.rows], values, unseen)
    counts = protect(values, sums, unseen=unseen, minimum=minimum)
    frame = pd.DataFrame(
        [_visit(row, counts, minimum) for row in summary.rows], columns=list(VisitRow.__dataclass_fields__)
    )
    whole = dict.fromkeys(("n", "n_change", "n_percent"), "Int64")
    floats = {str(name): "float64" for name in frame if name not in ("visit", *whole)}
    return frame.astype({"visit": "int64", **whole, **floats})


def _visit(row: VisitRow, counts: Counts, minimum: int) -> dict[str, object]:
    """One visit with what may be shown of it."""
    found: dict[str, object] = {"visit": row.visit}
    found |= {name: counts.number(f"{name}:{row.visit}") for name in ("n", "n_change", "n_percent")}
    if not is_small(row.n, minimum):
        found["mean"] = _coarse(row.mean, found["n"])
        found["sd"] = row.sd if found["n"] is not None else math.nan
    if not is_small(row.n_change, minimum):
        ends = ("change", "conf_low", "conf_high")
        found |= {name: _coarse(getattr(row, name), found["n_change"]) for name in ends}
    for name in ("responder_30", "responder_50"):
        share = getattr(row, name)
        did = 0 if math.isnan(share) else round(share * row.n_percent)
        few = any(is_small(n, minimum) for n in (row.n_percent, did, row.n_percent - did))
        few |= found["n_percent"] is None
        found[name] = math.nan if few else share
    return found


def shown_attrition(table: Attrition, minimum: int = MINIMUM) -> pd.DataFrame:
    """Return who came and who came no more as it may be shown.

    Parameters
    ----------
    table : Attrition
    minimum : int
        Smallest count shown.

    Returns
    -------
    DataFrame
        As :meth:`Attrition.to_frame`, with what is withheld missing.
    """
    values: dict[str, int] = {}
    unseen: set[str] = set()
    sums: list[Sum] = []
    for row in table.rows:
        values |= {f"seen:{row.visit}": row.seen, f"last:{row.visit}": row.last}
        sums.append(nested(f"seen:{row.visit}", f"last:{row.visit}", values, unseen))
    sums += _falling([f"seen:{row.visit}" for row in table.rows], values, unseen)
    values["all"] = sum(row.last for row in table.rows)
    sums.append(Sum("all", tuple(f"last:{row.visit}" for row in table.rows)))
    counts = protect(values, sums, unseen=unseen, kept=["all"], minimum=minimum)
    rows = [
        {
            "visit": row.visit,
            "seen": counts.number(f"seen:{row.visit}"),
            "last": counts.number(f"last:{row.visit}"),
            "change_last": math.nan if is_small(row.last, minimum) else row.change_last,
            "change_not_last": math.nan if is_small(row.seen - row.last, minimum) else row.change_not_last,
        }
        for row in table.rows
    ]
    frame = pd.DataFrame(rows, columns=["visit", "seen", "last", "change_last", "change_not_last"])
    floats = {"change_last": "float64", "change_not_last": "float64"}
    return frame.astype({"visit": "int64", "seen": "Int64", "last": "Int64"} | floats)


def _falling(names: list[str], values: dict[str, int], unseen: set[str]) -> list[Sum]:
    """Groups of which each may lie within the one before: a reader will take the difference."""
    return [
        nested(outer, inner, values, unseen)
        for outer, inner in pairwise(names)
        if values[inner] <= values[outer]
    ]


def with_common_words(record: Record, minimum: int = MINIMUM) -> Record:
    """Return a record whose words are each shared by enough patients; rarer ones stand together as "other".

    Parameters
    ----------
    record : Record
    minimum : int
        Fewest patients a word is shared by.

    Returns
    -------
    Record
        What may be named in an answer: reasons for stopping, regions and sex of the visits.
    """
    table = record.visits.table
    changed: dict[str, pd.Series[str]] = {}
    for name in ("stop_reason", "region", "sex"):
        if name in table:
            known = table[name].dropna()
            counts = table.loc[known.index].groupby(known)["patient"].nunique().to_dict()
            rare = {word for word, n in counts.items() if is_small(n, minimum)} - {""}
            if rare:
                changed[name] = table[name].mask(table[name].isin(rare), OTHER)
    if not changed:
        return record
    return replace(record, visits=replace(record.visits, table=table.assign(**changed)))


def shown_reasons(table: Attrition, minimum: int = MINIMUM) -> dict[str, int | None]:
    """Return the reasons given for stopping as they may be shown: few patients' words stand together.

    Parameters
    ----------
    table : Attrition
    minimum : int
        Smallest count shown.

    Returns
    -------
    dict of str to int or None
        None where the count is withheld; "other" last.
    """
    pooled = pool_words(table.stop_reasons, minimum)
    values = {**pooled, "all patients": sum(pooled.values())}
    counts = protect(values, [Sum("all patients", tuple(pooled))], kept=["all patients"], minimum=minimum)
    order = sorted(pooled, key=lambda word: word == OTHER)
    return {word: counts.number(word) for word in order}
