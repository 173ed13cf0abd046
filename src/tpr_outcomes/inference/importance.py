"""How many improved by an amount that somebody called important, by more than one way of asking.

How big a change matters depends on who is asked and how, so one cut-point is never enough: the IMMPACT
recommendations (Dworkin and others 2008, doi:10.1016/j.jpain.2007.09.005) ask for the share of patients at or
past a cut-point, by two or more methods. Three are used here: what an expert group recommended, what patients
in published studies called important, and the spread of first ratings in the record itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from tpr_outcomes.cohort.scales import Scale
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.inference.clustered import share_of

Method = Literal["recommendation", "patients", "spread"]
HALF_SD = 0.5
"""Share of the standard deviation of the first ratings that patients can often just notice (Norman, Sloan and
Wyrwich 2003, Med Care 41:582, doi:10.1097/01.MLR.0000062554.74615.4C)."""
FEWEST = 2
"""Patients a share with an interval needs."""


@dataclass(frozen=True)
class CutPoint:
    """An improvement that somebody called important.

    Attributes
    ----------
    name : str
        Key: kind and value, such as ``"percent-30"``.
    kind : {"absolute", "percent"}
        Scale points, or percent of the first rating.
    value : float
        Positive whatever the direction of the scale.
    method : {"recommendation", "patients", "spread"}
        An expert group, patients in published studies, or the spread of first ratings in this record.
    sources : tuple of str
        Who said so; empty for the spread.
    """

    name: str
    kind: Literal["absolute", "percent"]
    value: float
    method: Method
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Responders:
    """How many patients improved by at least a cut-point from their first to their last rating.

    Attributes
    ----------
    cut : CutPoint
    count, n : int
        Patients at or past it; patients with a first and a later rating (and, for a percent, a first rating
        that is not the best possible).
    estimate, conf_low, conf_high : float
        Share and its 95% interval (:func:`tpr_outcomes.inference.clustered.wilson`).
    """

    cut: CutPoint
    count: int
    n: int
    estimate: float
    conf_low: float
    conf_high: float


def cut_points(scale: Scale, first: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[CutPoint, ...]:
    """Return the cut-points of an instrument, and half a standard deviation of the first ratings.

    Parameters
    ----------
    scale : Scale
    first : ndarray, shape (n,)
        First ratings, scale points.
    """
    found: dict[tuple[str, float], list[tuple[Method, str]]] = {}
    for item in scale.important_differences:
        if item.kind in ("absolute", "percent"):
            method: Method = "recommendation" if "IMMPACT" in item.source else "patients"
            found.setdefault((item.kind, item.value), []).append((method, f"{item.label}: {item.source}"))
    cuts = [
        CutPoint(
            f"{kind}-{value:.10g}",
            "percent" if kind == "percent" else "absolute",
            value,
            said[0][0],
            tuple(dict.fromkeys(source for _, source in said)),
        )
        for (kind, value), said in found.items()
    ]
    spread = HALF_SD * float(np.std(first, ddof=1)) if first.size > 1 else 0.0
    if spread > 0:
        cuts.append(CutPoint("spread", "absolute", spread, "spread"))
    return tuple(sorted(cuts, key=lambda cut: (cut.kind, cut.value)))


def responders(visits: Visits) -> tuple[Responders, ...]:
    """Count the patients who improved by each cut-point, from their first to their last rating.

    Parameters
    ----------
    visits : Visits

    Returns
    -------
    tuple of Responders
        By kind and size of the cut-point; empty where fewer than two patients have two ratings.

    Notes
    -----
    A patient's last rating is the last one recorded, whatever came after it: nothing is imputed. One value
    per patient, so patients are the unit of chance.
    """
    first, last = first_and_last(visits)
    worse = 1.0 if visits.scale.higher_is_worse else -1.0
    gain = worse * (first - last)
    found = []
    for cut in cut_points(visits.scale, first):
        room = worse * (first - (visits.scale.minimum if worse > 0 else visits.scale.maximum))
        asked = (first != 0) & (room > 0) if cut.kind == "percent" else np.ones(first.size, dtype=bool)
        if asked.sum() < FEWEST:
            continue
        gained = 100.0 * gain[asked] / np.abs(first[asked]) if cut.kind == "percent" else gain[asked]
        improved = gained >= cut.value - 1e-9
        share = share_of(cut.name, improved, np.flatnonzero(asked))
        ends = share.conf_low, share.conf_high
        found.append(Responders(cut, int(improved.sum()), int(asked.sum()), share.estimate, *ends))
    return tuple(found)


def first_and_last(
    visits: Visits,
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Return first and last rating of each patient with a rating at the first visit and a later one.

    Returns
    -------
    first, last : ndarray, shape (n,)
        Scale points.
    """
    table = visits.table
    start = table["visit"] == table.groupby("patient")["visit"].transform("min")
    rated: pd.DataFrame = table[table["pain"].notna()]
    first = table[start & table["pain"].notna()].set_index("patient")["pain"]
    later = rated[rated["patient"].isin(first.index) & ~start[rated.index]]
    last = later.groupby("patient")["pain"].last()
    both = first.index.intersection(last.index)
    return first[both].to_numpy(dtype=np.float64), last[both].to_numpy(dtype=np.float64)
