"""A record to share: codes for people, dates shifted, rare words and high ages pooled, free text gone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from tpr_outcomes.cohort.cells import Record as Cells
from tpr_outcomes.cohort.names import CATEGORIES, COUNTS
from tpr_outcomes.cohort.privacy import MINIMUM, OLDEST, OTHER, pool_ages, pool_words
from tpr_outcomes.cohort.record import Record
from tpr_outcomes.cohort.risk import Risk, risk_by_columns
from tpr_outcomes.cohort.schemas import SCHEMAS
from tpr_outcomes.cohort.secret import keyed
from tpr_outcomes.cohort.table_cells import Links, links_of
from tpr_outcomes.errors import PlanError

LARGEST_SHIFT = 365
"""Days by which a patient's dates are moved at most, back or forth; never 0."""
QUASI = ("age", "sex", "region")
"""Columns that somebody may know of a patient, unless others are named."""
_EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True, eq=False)
class Shared:
    """A de-identified record.

    Attributes
    ----------
    tables : mapping of str to DataFrame
        ``visits`` and the optional tables there are, as they are written.
    risks : tuple of Risk
        How easily somebody could be found again, over all chosen columns first.
    pooled : mapping of str to int
        Patients whose word was put among the others, by column; ``age``: patients over 89.
    dropped : tuple of str
        The user's columns that are not in it.
    """

    tables: Mapping[str, pd.DataFrame]
    risks: tuple[Risk, ...]
    pooled: Mapping[str, int]
    dropped: tuple[str, ...]


def deidentify(
    record: Record,
    cells: Cells,
    *,
    secret: bytes,
    quasi: tuple[str, ...] = (),
    minimum: int = MINIMUM,
    age_band: int = 0,
) -> Shared:
    """Make a record that can be shared.

    Parameters
    ----------
    record : Record
        As read.
    cells : cells.Record
        The visits' cells it was read from, with the identifiers and dates.
    secret : bytes
        What codes and shifts follow from (:mod:`tpr_outcomes.cohort.secret`).
    quasi : tuple of str
        Columns the risk is looked at over; those of :data:`QUASI` the record has, unless given.
    minimum : int
        Words shared by fewer patients are pooled; groups smaller than this are counted as risky.
    age_band : int
        Width of age bands in years; 0 keeps the age.

    Returns
    -------
    Shared
        Rows in the order of the codes, which is not the order of the record.

    Raises
    ------
    PlanError
        When a chosen column is not in the record.
    """
    links = links_of(cells, record.visits)
    codes, shifts = _codes(links, secret)
    pooled: dict[str, int] = {}
    visits = record.visits.table.copy()
    people = visits["patient"].to_numpy()
    for name in CATEGORIES:
        if name in visits:
            visits[name], pooled[name] = _pooled(visits[name], people, name, secret, minimum)
    if "age" in visits:
        visits["age"], pooled["age"] = _ages(visits["age"], people, age_band)
    tables = {"visits": _visits(visits, links, shifts)}
    for name, schema in SCHEMAS.items():
        table = record.table(name)
        if table is not None:
            tables[name] = _other(table, name, secret, minimum, age_band)
            keys = [key for key in schema.names if key in tables[name]]
            pooled |= {f"{name}.{key}": _changed(table, tables[name], key) for key in keys}
    tables = {name: _named(table, codes) for name, table in tables.items()}
    dropped = tuple(cells.raw.named(i) for i in cells.unknown)
    first = visits.groupby("patient", sort=True).first()
    chosen = quasi or tuple(name for name in QUASI if name in first)
    if not chosen:
        raise PlanError("The record has none of age, sex and region; name columns with --quasi.")
    risks = risk_by_columns(first.reset_index(), chosen, minimum=minimum)
    return Shared(tables, risks, {key: n for key, n in pooled.items() if n}, dropped)


def _codes(links: Links, secret: bytes) -> tuple[dict[int, str], dict[int, int]]:
    """New code and shift of the dates of each patient, from the identifier and the secret alone."""
    codes, shifts = {}, {}
    digits = 8 if len(links.codes) < 10_000 else 16
    for identifier, code in links.codes.items():
        if not identifier:
            continue
        codes[code] = f"P{keyed(secret, 'patient', identifier):064x}"[: digits + 1]
        days = keyed(secret, "shift", identifier) % (2 * LARGEST_SHIFT) - LARGEST_SHIFT
        shifts[code] = days if days < 0 else days + 1
    if len(set(codes.values())) < len(codes):
        codes = {code: f"{text}{i}" for i, (code, text) in enumerate(codes.items())}
    return codes, shifts


def _pooled(
    words: pd.Series[str], people: npt.NDArray[np.int64], name: str, secret: bytes, minimum: int
) -> tuple[pd.Series[str], int]:
    """Words that enough patients share; therapists, being people, under new codes besides."""
    counts = {str(word): int(pd.unique(people[words == word]).size) for word in words.dropna().unique()}
    kept = set(pool_words(counts, minimum))
    rare = words.notna() & ~words.isin(kept)
    found = words.mask(rare, OTHER)
    if name == "therapist":
        ranked = sorted(kept - {OTHER}, key=lambda word: keyed(secret, "therapist", word))
        found = found.replace({word: f"T{i}" for i, word in enumerate(ranked, start=1)})
    return found, int(pd.unique(people[rare.to_numpy()]).size)


def _ages(ages: pd.Series[float], people: npt.NDArray[np.int64], band: int) -> tuple[pd.Series[float], int]:
    """Ages with those over 89 pooled, in bands if wanted (the lower end is written)."""
    years = ages.to_numpy(dtype=np.float64)
    pooled = pool_ages(years)
    over = int(pd.unique(people[years > OLDEST]).size)
    if band > 0:
        pooled = np.floor(pooled / band) * band
    return pd.Series(pooled, index=ages.index), over


def _visits(visits: pd.DataFrame, links: Links, shifts: Mapping[int, int]) -> pd.DataFrame:
    """Columns of the visits as they are written: dates shifted where there were dates, else weeks."""
    table = visits[["patient", "visit"]].copy()
    if links.first_day and "weeks" in visits:
        first = visits["patient"].map(links.first_day) + visits["patient"].map(shifts)
        days = (first + (visits["weeks"] * 7.0).round()).astype(int)
        table["date"] = [(_EPOCH + dt.timedelta(days=int(day))).isoformat() for day in days]
    elif "weeks" in visits:
        table["weeks"] = visits["weeks"]
    table["pain"] = visits["pain"]
    table["twitches"] = visits["twitches"].where(visits["sought"])
    table["sought"] = np.where(visits["sought"], "yes", "no")
    for name in (*COUNTS, *CATEGORIES, "age"):
        if name in visits:
            table[name] = visits[name]
    return table


def _other(table: pd.DataFrame, name: str, secret: bytes, minimum: int, age_band: int) -> pd.DataFrame:
    """An optional table as it is written: yes and no in words, rare words pooled, high ages pooled."""
    found = table.copy()
    people = found["patient"].to_numpy()
    for field in SCHEMAS[name].fields:
        if field.name not in found or field.kind in ("patient", "visit"):
            continue
        column = found[field.name]
        if field.kind == "yes_no":
            found[field.name] = column.map({1.0: "yes", 0.0: "no"})
        elif field.kind == "label":
            words = _pooled(column, people, field.name, secret, minimum)[0]
            found[field.name] = _apart(found, words) if field.name in SCHEMAS[name].key else words
        elif field.name == "age":
            found["age"] = _ages(column, people, age_band)[0]
    return found


def _apart(table: pd.DataFrame, words: pd.Series[str]) -> pd.Series[str]:
    """Number the pooled words of one visit, where no two rows may be alike."""
    rank = words.groupby([table["patient"], table["visit"], words]).cumcount() + 1
    return words.where((words != OTHER) | (rank == 1), OTHER + " " + rank.astype(str))


def _changed(before: pd.DataFrame, after: pd.DataFrame, key: str) -> int:
    """Patients for whom a label became "other"."""
    if key not in before or before[key].dtype == np.float64:
        return 0
    rare = after[key].astype(str).str.startswith(OTHER) & (before[key].astype(str) != after[key].astype(str))
    return int(before.loc[rare, "patient"].nunique())


def _named(table: pd.DataFrame, codes: Mapping[int, str]) -> pd.DataFrame:
    """The table with its new codes, in their order."""
    named = table.assign(patient=table["patient"].map(codes))
    order = ["patient", *(name for name in ("visit", "hours") if name in named)]
    return named.sort_values(order, kind="stable", ignore_index=True)
