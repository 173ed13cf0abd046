"""One patient's course: what the model expected of it, and what usually follows from here.

The model is the background every explanation shares (:mod:`tpr_outcomes.models.working`) with the freely
bending dose curve its covariance was estimated under: no verdict enters. Given the ratings known so far,
later ratings are predicted by :mod:`tpr_outcomes.models.mixed_predict`. A patient the model has never seen
is predicted from the first rating alone.

A prediction says what usually follows *in patients who were treated and came as these did*. It does not say
what another number of twitches would bring.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tpr_outcomes.cohort import derive
from tpr_outcomes.cohort.derive import Ratings
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError
from tpr_outcomes.models.adjusted import FEWEST_PER_VISIT
from tpr_outcomes.models.fitting import Interval
from tpr_outcomes.models.mixed_predict import Rows, predict_mixed
from tpr_outcomes.models.working import (
    Working,
    columns_like,
    random_columns,
    typical_gap,
)

Array = NDArray[np.float64]

LEVEL = 0.80
"""Level of the interval for a rating: four of five."""
AHEAD = 4
"""Visits looked at beyond the last one recorded."""


@dataclass(frozen=True, eq=False)
class Outlook:
    """What was recorded of one patient, and what the model expects of the later ratings.

    Attributes
    ----------
    patient : int
        Code in the visits table.
    visit : ndarray of int, shape (m,)
        Recorded visit numbers.
    pain : ndarray, shape (m,)
        Their ratings, scale points; NaN where not rated.
    known : int
        Number of the last visit whose rating the expectation knows.
    ahead : Interval
        Expectation and interval of a rating at each visit after ``known``, scale points within the scale.
    behind : ndarray, shape (k,)
        The patient's own course as the model sees it at the visits up to ``known`` after the first, given
        those ratings: what is left of them without the noise.
    behind_at : ndarray of int, shape (k,)
        The visits of ``behind``.
    usual : ndarray, shape like ``ahead.at``
        Expectation for patients with the same first rating, visit and dose, of whom nothing else is known.
    dose_ahead : float
        Dose assumed at each visit for which none is recorded: the patient's mean so far.
    """

    patient: int
    visit: NDArray[np.int64]
    pain: Array
    known: int
    ahead: Interval
    behind: Array
    behind_at: NDArray[np.int64]
    usual: Array
    dose_ahead: float


def outlook(
    working: Working,
    visits: Visits,
    patient: int,
    *,
    known: int | None = None,
    level: float = LEVEL,
    other: bool = False,
) -> Outlook:
    """Predict the ratings of one patient after a visit, from everything known up to it.

    Parameters
    ----------
    working : Working
        Background fitted to a record, of which the patient may be part or not.
    visits : Visits
        The record the patient is in.
    patient : int
        Code in ``visits.table``.
    known : int, optional
        Visit number up to which ratings count as known; by default the last one recorded.
    level : float
        Level of the interval.
    other : bool
        Whether ``visits`` is another record than the one the model was fitted to. Its therapists are then
        strangers: the prediction is for the average therapist.

    Returns
    -------
    Outlook
        Nothing is predicted for visit numbers later than the last with five ratings in the record.

    Raises
    ------
    FitError
        When there is no such patient, no first rating, or a dose that is not recorded leaves the running
        total unknown.

    Notes
    -----
    Doses recorded after ``known`` are used as recorded. The record the model was fitted to holds the
    patient's later ratings, too, if the patient is part of it; one of many hardly moves a coefficient.
    """
    rows = visits.table.loc[visits.table["patient"] == patient]
    if rows.empty:
        raise FitError("There is no such patient in this record.")
    if np.isnan(rows["pain"].iloc[0]):
        raise FitError("The first visit has no rating, so there is nothing to compare the later ones with.")
    known = int(rows["visit"].iloc[-1]) if known is None else known
    made, rated, dose_ahead = _with_visits_ahead(working, visits, rows)
    therapist = None if other else _therapist(working, visits, patient, made.pain.size)
    x, time = columns_like(working, made, therapist)
    place = Rows(np.zeros(time.size, dtype=np.int64), x, random_columns(time, working.random), time)
    past = rated & (made.visit <= known)
    later = made.visit > known
    predicted = predict_mixed(working.fit, _take(place, past), working.worse * made.pain[past], place)
    low, high = predicted.interval(level)
    ends = np.sort(np.stack([working.worse * low, working.worse * high]), axis=0)
    scale = visits.scale
    expected, usual, low, high = (
        np.clip(values, scale.minimum, scale.maximum)
        for values in (working.worse * predicted.expected, working.worse * predicted.population, *ends)
    )
    return Outlook(
        patient=patient,
        visit=rows["visit"].to_numpy(),
        pain=rows["pain"].to_numpy(),
        known=known,
        ahead=Interval(made.visit[later].astype(float), expected[later], low[later], high[later], level),
        behind=expected[~later],
        behind_at=made.visit[~later],
        usual=usual[later],
        dose_ahead=dose_ahead,
    )


def _with_visits_ahead(
    working: Working, visits: Visits, rows: pd.DataFrame
) -> tuple[Ratings, NDArray[np.bool_], float]:
    """Rows of one patient after the first visit, recorded and to come; which are rated; the dose assumed."""
    dose = working.ratings.dose
    mean = float(rows[dose].mean())
    last = rows.iloc[-1]
    end = _last_visit(working)
    coming = [int(last["visit"]) + step for step in range(1, AHEAD + 1)]
    gap = typical_gap(working.ratings)
    extra: list[dict[Any, Any]] = [
        {**last.to_dict(), "visit": v, "pain": np.nan, dose: mean, "sought": True}
        | ({"weeks": last["weeks"] + gap * (v - last["visit"])} if "weeks" in rows else {})
        for v in coming
        if v <= end
    ]
    table = (
        pd.concat([rows, pd.DataFrame(extra, columns=rows.columns).astype(rows.dtypes)]) if extra else rows
    )
    filled = table.assign(pain=table["pain"].fillna(rows["pain"].iloc[0]))
    made = derive.ratings(visits.with_table(filled), dose=dose)
    if made.pain.size < len(table) - 1:
        raise FitError(
            f"A {dose} count is missing at an earlier visit, so the running total is not known from there on."
        )
    return made, table["pain"].notna().to_numpy()[made.row], mean


def _last_visit(working: Working) -> int:
    """Last visit number with enough ratings to say what is usual there."""
    visit, counts = np.unique(working.ratings.visit, return_counts=True)
    enough = visit[counts >= FEWEST_PER_VISIT]
    return int(enough[-1]) if enough.size else 0


def _therapist(working: Working, visits: Visits, patient: int, n: int) -> Array | None:
    """The patient's own therapist in the model's coding; None where no rating of theirs is in the model."""
    r = working.ratings
    own = np.flatnonzero(visits.table["patient"].to_numpy()[r.row] == patient)
    return np.tile(working.therapists[own[0]], (n, 1)) if own.size else None


def _take(rows: Rows, chosen: NDArray[np.bool_]) -> Rows:
    return Rows(rows.patient[chosen], rows.x[chosen], rows.z[chosen], rows.time[chosen])
