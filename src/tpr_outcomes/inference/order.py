"""Which came first, the improvement or another treatment? Claim C16.

Two first events compete: a lasting improvement by the cited percentage, and the start of another treatment.
Only patients who were asked about other treatments count. The rating that improved comes before a treatment
noted at the same visit, since ratings are asked on arrival (unless the record rates after the needling).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tpr_outcomes.cohort.derive import changes
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.clustered import Estimate, share_of
from tpr_outcomes.inference.competing import CENSORED, Incidence, aalen_johansen
from tpr_outcomes.inference.procedure import FEWEST_PATIENTS
from tpr_outcomes.inference.response import RESPONSE, Ending, endings_of
from tpr_outcomes.inference.safety import NONE

TREATMENT = "another treatment"
NEITHER = "stopped before either"


@dataclass(frozen=True, eq=False)
class Order:
    """Order of improvement and other treatments.

    Attributes
    ----------
    after : Estimate
        Among patients who took up another treatment: share who had improved, lastingly, by then.
    after_at_all : Estimate
        The same where one improved rating is enough.
    first : Incidence
        Cumulative incidence, by visits, of what came first: improvement, another treatment, or stopping.
    asked, treated : int
        Patients asked about other treatments; patients who took one up.
    percent : float
        Improvement that counts.
    """

    after: Estimate
    after_at_all: Estimate
    first: Incidence
    asked: int
    treated: int
    percent: float
    firsts: Mapping[str, int] = field(default_factory=dict)


def order_of_treatments(
    visits: Visits,
    events: pd.DataFrame,
    *,
    percent: float = 30.0,
    dose: str = "twitches",
    level: float = 0.95,
) -> Order:
    """Compare when patients improved with when other treatments began.

    Parameters
    ----------
    visits : Visits
    events : DataFrame
        ``patient``, ``visit`` (NaN: not tied to one), ``weeks``, ``kind``, ``what``; entries of kind
        "treatment", "none" where it was asked for and there was none.
    percent : float, optional
        Improvement that counts; it has to last to the next rating.
    dose : str, optional
        Column of counts of the record.
    level : float, optional

    Returns
    -------
    Order

    Raises
    ------
    FitError
        With fewer than five patients who took up another treatment and can be followed.
    """
    entries = events.loc[events["kind"] == "treatment"]
    starts = entries.assign(until=_visits_until(visits, entries)).loc[entries["what"] != NONE]
    begins = starts.groupby("patient")["until"].min().dropna().to_dict()
    asked = set(entries["patient"].tolist())
    endings = [ending for ending in endings_of(visits, percent, dose) if ending.patient in asked]
    treated = [ending for ending in endings if ending.patient in begins]
    if len(treated) < FEWEST_PATIENTS:
        raise FitError(
            f"Fewer than {FEWEST_PATIENTS} patients took up another treatment and can be followed."
        )
    firsts = [_first(ending, begins.get(ending.patient, math.inf)) for ending in endings]
    after = [_improved_by(ending, begins[ending.patient]) for ending in treated]
    once = _first_improved(visits, percent)
    at_all = [once.get(ending.patient, math.inf) <= begins[ending.patient] for ending in treated]
    people = [ending.patient for ending in treated]
    return Order(
        after=share_of("after", after, people, level=level),
        after_at_all=share_of("after_at_all", at_all, people, level=level),
        first=aalen_johansen([when for when, _ in firsts], [why for _, why in firsts], level=level),
        asked=len(endings),
        treated=len(treated),
        percent=percent,
        firsts=dict(Counter(why for _, why in firsts)),
    )


def _first_improved(visits: Visits, percent: float) -> dict[int, float]:
    """Visits each patient had made before the first improved rating, lasting or not."""
    table = visits.table
    sign = -1.0 if visits.scale.higher_is_worse else 1.0
    improved = sign * changes(visits).percent_change >= percent
    until = table.groupby("patient").cumcount().to_numpy(dtype=np.float64)
    found = pd.Series(until[improved]).groupby(table["patient"].to_numpy()[improved]).min()
    return {int(str(patient)): float(value) for patient, value in found.items()}


def _improved_by(ending: Ending, start: float) -> bool:
    return ending.cause == RESPONSE and ending.visits <= start


def _first(ending: Ending, start: float) -> tuple[float, str]:
    """When and what came first to a patient whose other treatment began after ``start`` visits."""
    if not _improved_by(ending, start) and math.isfinite(start):
        return start, TREATMENT
    return ending.visits, ending.cause if ending.cause in (RESPONSE, CENSORED) else NEITHER


def _visits_until(visits: Visits, entries: pd.DataFrame) -> NDArray[np.float64]:
    """Visits before that of each event, or before the latest one when it was noted between two.

    -1 before the first visit; NaN where it is not known.
    """
    table = visits.table
    at = table[["patient", "visit"]].assign(until=table.groupby("patient").cumcount().astype(float))
    until = (
        entries[["patient", "visit"]]
        .merge(at, how="left", on=["patient", "visit"])["until"]
        .to_numpy(copy=True)
    )
    weeks = entries["weeks"].to_numpy(dtype=np.float64)
    if "weeks" not in table:
        return np.asarray(until)
    by_patient = {p: rows.to_numpy() for p, rows in table.groupby("patient")["weeks"]}
    for i in np.flatnonzero(np.isnan(until) & np.isfinite(weeks)):
        until[i] = float((by_patient[entries["patient"].iloc[i]] <= weeks[i]).sum() - 1)
    return np.asarray(until)
