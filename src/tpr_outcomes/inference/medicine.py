"""Pain medicine over the visits, and advice given what patients felt. Claims C27 and C28."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.clustered import Estimate, not_estimated, regression, share_of
from tpr_outcomes.inference.procedure import FEWEST_PATIENTS, reporters
from tpr_outcomes.inference.safety import NONE

Array = NDArray[np.float64]

RELIEVING = ("heat", "ice", "rest")
"""Advice that goes with soreness, in the words of the clinic's page."""


@dataclass(frozen=True)
class Medicine:
    """Use of pain medicine at visits where it was asked for.

    Attributes
    ----------
    first, later : Estimate
        Share of visits with any, at patients' first visits and at all later ones.
    slope : Estimate
        Change of that share per visit within patients.
    without : Estimate
        Mean change of the last rating from the first among patients who never took any, scale points; not
        estimated where they are fewer than five.
    reported_by : mapping of str to int
    level : float
    """

    first: Estimate
    later: Estimate
    slope: Estimate
    without: Estimate
    reported_by: Mapping[str, int]
    level: float


@dataclass(frozen=True)
class Advice:
    """Advice against the soreness after the visit before.

    Attributes
    ----------
    sore, not_sore : Estimate
        Share advised heat, ice or rest after a visit with, and without, soreness.
    slope : Estimate
        Change of that share per point of the highest soreness.
    reported_by : mapping of str to int
    level : float
    """

    sore: Estimate
    not_sore: Estimate
    slope: Estimate
    reported_by: Mapping[str, int]
    level: float


def pain_medicine(events: pd.DataFrame, visits: pd.DataFrame, *, level: float = 0.95) -> Medicine:
    """Use of pain medicine over the visits, and relief without it.

    Parameters
    ----------
    events : DataFrame
        ``patient``, ``visit``, ``kind``, ``what``; entries of kind "analgesic", "none" where none was taken.
    visits : DataFrame
        ``patient``, ``visit``, ``pain``.
    level : float, optional

    Returns
    -------
    Medicine

    Raises
    ------
    FitError
        With fewer than five patients asked twice.

    Notes
    -----
    ``slope``: least squares of taking any (0, 1) on the number of the visit with a level for every patient,
    patients left out one at a time. Patients asked once say nothing of it.
    """
    asked = _yes(events, "analgesic", lambda what: what != NONE)
    patient, took = asked["patient"].to_numpy(), asked["yes"].to_numpy(dtype=np.float64)
    number = asked["visit"].to_numpy(dtype=np.float64)
    within = number - _mean_by(number, patient)
    enough = pd.Series(within != 0).groupby(patient).any().sum()
    if enough < FEWEST_PATIENTS:
        raise FitError(f"Fewer than {FEWEST_PATIENTS} patients were asked at two visits.")
    opening = number == asked.groupby("patient")["visit"].transform("min").to_numpy()
    centred = took - _mean_by(took, patient)
    (slope,) = regression(centred, within[:, None], patient, terms={0: "per_visit"}, level=level)
    return Medicine(
        first=share_of("first", took[opening] == 1, patient[opening], level=level),
        later=share_of("later", took[~opening] == 1, patient[~opening], level=level),
        slope=slope,
        without=_change_without(visits, asked, level),
        reported_by=reporters(events.loc[events["kind"] == "analgesic"]),
        level=level,
    )


def _change_without(visits: pd.DataFrame, asked: pd.DataFrame, level: float) -> Estimate:
    """Mean change from the first to the last rating among patients who never took any."""
    took = asked.groupby("patient")["yes"].any()
    rated = visits.loc[visits["pain"].notna() & visits["patient"].isin(took.index[~took])]
    ends = rated.groupby("patient")["pain"].agg(["first", "last", "size"])
    change = (ends["last"] - ends["first"])[ends["size"] > 1].to_numpy(dtype=np.float64)
    n = change.size
    if n < FEWEST_PATIENTS:
        reason = f"fewer than {FEWEST_PATIENTS} patients were rated twice and never took any"
        return not_estimated("change_without", n_rows=n, n_patients=n, reason=reason)
    error = float(change.std(ddof=1) / math.sqrt(n))
    reach = float(stdtrit(n - 1, 0.5 + level / 2.0)) * error
    mean = float(change.mean())
    return Estimate("change_without", mean, error, mean - reach, mean + reach, math.nan, n, n)


def advice_given(events: pd.DataFrame, diary: pd.DataFrame, *, level: float = 0.95) -> Advice:
    """Advice at a visit against the highest soreness in the diary of the visit before.

    Parameters
    ----------
    events : DataFrame
        ``patient``, ``visit``, ``kind``, ``what``; entries of kind "advice", "none" where none was given.
    diary : DataFrame
        ``patient``, ``visit``, ``soreness``.
    level : float, optional

    Returns
    -------
    Advice

    Raises
    ------
    FitError
        With fewer than five patients who have both, or soreness that never varies.
    """
    asked = _yes(events, "advice", lambda what: what.isin(RELIEVING))
    highest = diary.loc[diary["soreness"].notna()].groupby(["patient", "visit"])["soreness"].max()
    before = highest.reset_index().assign(visit=lambda table: table["visit"] + 1)
    table = asked.merge(before, on=["patient", "visit"])
    soreness, told = table["soreness"].to_numpy(dtype=np.float64), table["yes"].to_numpy(dtype=np.float64)
    people = int(table["patient"].nunique())
    if people < FEWEST_PATIENTS or not (soreness > 0).any() or not (soreness == 0).any():
        raise FitError(
            f"Advice after a visit with a diary is needed of {FEWEST_PATIENTS} patients, some with soreness "
            "and some without."
        )
    X = np.column_stack([np.ones_like(soreness), soreness])
    (slope,) = regression(told, X, table["patient"], terms={1: "per_point"}, level=level)
    shares = [
        share_of(name, told[here] == 1, table["patient"].to_numpy()[here], level=level)
        for name, here in (("sore", soreness > 0), ("not_sore", soreness == 0))
    ]
    reported = reporters(events.loc[events["kind"] == "advice"])
    return Advice(sore=shares[0], not_sore=shares[1], slope=slope, reported_by=reported, level=level)


def _yes(events: pd.DataFrame, kind: str, test: object) -> pd.DataFrame:
    """One row per patient and visit at which a kind was asked for; ``yes``: any entry passes the test."""
    assert callable(test)
    entries = events.loc[(events["kind"] == kind) & events["visit"].notna()]
    if entries.empty:
        raise FitError(f"No entry of kind {kind} is tied to a visit.")
    marked = entries.assign(yes=test(entries["what"]), visit=entries["visit"].astype(np.int64))
    return pd.DataFrame(marked.groupby(["patient", "visit"])["yes"].any().reset_index())


def _mean_by(values: Array, patient: NDArray[np.int64]) -> Array:
    """Mean of each row's patient."""
    return pd.Series(values).groupby(patient).transform("mean").to_numpy(dtype=np.float64)
