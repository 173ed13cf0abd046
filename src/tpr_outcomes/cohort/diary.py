"""The soreness diary: entries at a few hours after a visit become intervals in which soreness ended."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tpr_outcomes.errors import DataError

DIARY_HOURS = (1.0, 6.0, 12.0, 24.0, 48.0, 72.0)
"""Planned entries of the diary, hours after needling."""

NEAR_PLANNED = 0.25
"""An entry within this share of a planned hour counts as made at that hour."""

AREAS = ("local", "referred", "both")
COLUMNS = ("patient", "visit", "hours", "soreness")


def diary_entries(diary: pd.DataFrame, planned: tuple[float, ...] = DIARY_HOURS) -> pd.DataFrame:
    """Entries that were filled in, checked, with hours near a planned hour moved to it.

    Parameters
    ----------
    diary : DataFrame
        ``patient``, ``visit``, ``hours`` since needling (> 0), ``soreness`` (0–10; NaN: not filled in),
        optionally ``area`` ("local", "referred", "both").
    planned : tuple of float, optional
        Hours at which entries were asked for.

    Returns
    -------
    DataFrame
        Sorted by patient, visit and hours; the column ``planned`` is the nearest planned hour.

    Raises
    ------
    DataError
        If columns are missing or entries impossible.
    """
    missing = [name for name in COLUMNS if name not in diary.columns]
    if missing:
        raise DataError(f"The diary lacks the columns {', '.join(missing)}; it needs {', '.join(COLUMNS)}.")
    table = diary.loc[diary["soreness"].notna()].reset_index(drop=True)
    hours = pd.to_numeric(table["hours"], errors="coerce").to_numpy(dtype=np.float64)
    soreness = pd.to_numeric(table["soreness"], errors="coerce").to_numpy(dtype=np.float64)
    for wrong, what in (
        (table[["patient", "visit"]].isna().any(axis=1).to_numpy(), "no patient or no visit"),
        (~(np.isfinite(hours) & (hours > 0)), "hours that are not a number above 0"),
        (~((soreness >= 0) & (soreness <= 10)), "soreness that is not a number from 0 to 10"),
        (
            table.duplicated(["patient", "visit", "hours"]).to_numpy(),
            "the patient, visit and hours of an earlier entry",
        ),
        (~_known_areas(table), f"an area other than {', '.join(AREAS)}"),
    ):
        if wrong.any():
            first = int(np.flatnonzero(wrong)[0]) + 1
            raise DataError(
                f"{int(wrong.sum())} diary entries have {what}, the first is filled-in entry {first}."
            )
    near = np.asarray(planned)[np.abs(np.log(hours[:, None] / np.asarray(planned))).argmin(axis=1)]
    table["planned"], table["soreness"] = near, soreness
    table["hours"] = np.where(np.abs(hours / near - 1.0) <= NEAR_PLANNED, near, hours)
    return table.sort_values(["patient", "visit", "hours"], kind="stable", ignore_index=True)


def _known_areas(table: pd.DataFrame) -> NDArray[np.bool_]:
    if "area" not in table:
        return np.ones(len(table), dtype=bool)
    return np.asarray(table["area"].isna() | table["area"].isin(AREAS), dtype=bool)


def diary_visits(visits: pd.DataFrame, entries: pd.DataFrame) -> pd.DataFrame:
    """One row per visit, with its twitches where there are any; every entry must belong to one.

    Raises
    ------
    DataError
        If columns are missing, a visit is there twice, or an entry belongs to none.
    """
    missing = [name for name in ("patient", "visit") if name not in visits.columns]
    if missing:
        raise DataError(f"The table of visits lacks the columns {', '.join(missing)}.")
    known = visits[["patient", "visit", *(["twitches"] if "twitches" in visits else [])]]
    if known.duplicated(["patient", "visit"]).any():
        raise DataError("The table of visits has several rows for one patient and visit; it needs one.")
    keys = entries[["patient", "visit"]].drop_duplicates()
    strange = len(keys) - len(keys.merge(known[["patient", "visit"]]))
    if strange:
        raise DataError(
            f"{strange} visits of the diary are not in the table of visits; add them or correct the diary."
        )
    return known


def diary_episodes(entries: pd.DataFrame, *, sore_above: float = 0.0) -> pd.DataFrame:
    """One row per visit with a diary: soreness ended in ``(left, right]``.

    ``left`` is the last hour with soreness (0: none), ``right`` the next entry (infinite: none).
    ``sore``: at any entry. ``delayed``: at an entry after one without. ``first_entry``: hour. Where areas
    were recorded: ``mapped`` (at any sore entry), ``local``, ``referred``.
    """
    table = entries.assign(is_sore=entries["soreness"] > sore_above)
    table["last"] = table["hours"].where(table["is_sore"], 0.0)
    by = ["patient", "visit"]
    table["last"] = table.groupby(by)["last"].transform("max")
    table["after"] = table["hours"].where(table["hours"] > table["last"], np.inf)
    table["early_free"] = ~table["is_sore"] & (table["hours"] < table["last"])
    if "area" in table:
        area = table["area"].where(table["is_sore"])
        table["local"] = area.isin(["local", "both"])
        table["referred"] = area.isin(["referred", "both"])
        table["mapped"] = area.notna()
    kinds = {"left": ("last", "first"), "right": ("after", "min"), "first_entry": ("hours", "min")}
    kinds |= {"sore": ("is_sore", "any"), "delayed": ("early_free", "any")}
    kinds |= {name: (name, "any") for name in ("local", "referred", "mapped") if name in table}
    return pd.DataFrame(table.groupby(by, sort=True).agg(**kinds).reset_index())
