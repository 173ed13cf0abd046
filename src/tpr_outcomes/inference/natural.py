r"""The same courses with the dose taken out: how many would have improved without? Beside claim C11.

Every rating less the part a freely bending dose curve ascribes to the dose before it is what the model
expects of the same patient, on the same day, had the dose been zero. Response and stopping are then counted
as they are in the record. Who stopped when is left as it was: without the dose some would have come longer,
which the model cannot know.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.clustered import MOST_GROUPS, Estimate
from tpr_outcomes.inference.competing import CENSORED, Incidence
from tpr_outcomes.inference.response import LANDMARKS, RESPONSE, Ending, endings_of, incidence_of
from tpr_outcomes.models.adjusted import free_curve
from tpr_outcomes.models.fitting import solve
from tpr_outcomes.models.working import Working

Array = NDArray[np.float64]

REACH = 1.959964
"""Standard errors to each end of the band of the dose part."""


@dataclass(frozen=True, eq=False)
class Twin:
    """Lasting response as recorded, and with the dose taken out of the ratings.

    Attributes
    ----------
    observed, natural : Incidence
        By number of visits, over the same patients and the same ratings.
    estimates : tuple of Estimate
        ``observed_by_k``, ``natural_by_k`` and ``excess_by_k`` (their difference) for k in
        :data:`~tpr_outcomes.inference.response.LANDMARKS`, shares of all patients.
    percent : float
        Improvement that counts.
    """

    observed: Incidence
    natural: Incidence
    estimates: tuple[Estimate, ...]
    percent: float

    def get(self, term: str) -> Estimate:
        """Return the estimate of that name."""
        return next(row for row in self.estimates if row.term == term)


def natural_twin(visits: Visits, working: Working, *, percent: float = 30.0, level: float = 0.95) -> Twin:
    r"""Count lasting responses with and without the dose part of the ratings.

    Parameters
    ----------
    visits : Visits
        The record ``working`` was made of.
    working : Working
        Background of its ratings; says which column is the dose.
    percent : float, optional
        Improvement that counts.
    level : float, optional

    Returns
    -------
    Twin

    Raises
    ------
    FitError
        If the dose cannot be told from time, or nobody can be followed.

    Notes
    -----
    Variance of the excess: patients left out one at a time with the dose part fixed, plus
    :math:`\{(F^{+}-F^{-})/(2\cdot1.96)\}^2` for the dose part, where :math:`F^{\pm}` is the share with every
    rating's dose part moved to the ends of its patient-robust 95% interval.
    """
    part, error = dose_part(working)
    dose = working.ratings.dose
    seen = _with_pain(visits, working, np.zeros_like(part))
    as_recorded = endings_of(seen, percent, dose)
    twins = [
        endings_of(_with_pain(visits, working, part + shift * error), percent, dose)
        for shift in (0.0, -REACH, REACH)
    ]
    if not as_recorded or all(ending.cause == CENSORED for ending in as_recorded):
        raise FitError("Nobody's course has ended; there is no response to count.")
    reach = float(ndtri(0.5 + level / 2.0))
    rows = _compared(_Courses.of(as_recorded), [_Courses.of(twin) for twin in twins], reach)
    return Twin(
        observed=incidence_of(as_recorded, level),
        natural=incidence_of(twins[0], level),
        estimates=tuple(rows),
        percent=percent,
    )


def dose_part(working: Working) -> tuple[Array, Array]:
    """Part of each rating that a freely bending curve ascribes to the dose before it, and its error.

    Returns
    -------
    part, error : ndarray, shape (n,)
        Scale points, with patient-robust standard errors.

    Raises
    ------
    FitError
        If the dose cannot be told from time.
    """
    curve = free_curve(working)
    solution = solve(working, curve)
    weights = np.hstack([np.zeros((len(curve), solution.n_background)), curve])
    return solution.combine(weights)


def _with_pain(visits: Visits, working: Working, part: Array) -> Visits:
    """The same visits with a part taken off each rating; ratings that were not used are not there."""
    table, ratings = visits.table, working.ratings
    first = ~table["patient"].duplicated().to_numpy()
    pain = np.where(first, table["pain"].to_numpy(dtype=np.float64), np.nan)
    pain[ratings.row] = np.clip(ratings.pain - part, visits.scale.minimum, visits.scale.maximum)
    return dataclasses.replace(visits, table=table.assign(pain=pain))


@dataclass(frozen=True, eq=False)
class _Courses:
    """Endings as arrays: visits made, whether it ended, whether in a response."""

    when: Array
    ended: NDArray[np.bool_]
    responded: NDArray[np.bool_]

    @classmethod
    def of(cls, endings: list[Ending]) -> _Courses:
        return cls(
            np.array([ending.visits for ending in endings]),
            np.array([ending.cause != CENSORED for ending in endings]),
            np.array([ending.cause == RESPONSE for ending in endings]),
        )

    def shares(self, keep: NDArray[np.bool_]) -> Array:
        """Share responded after at most each of the landmarks, stopping as a competing end."""
        when, ended, responded = self.when[keep], self.ended[keep], self.responded[keep]
        times = np.unique(when[ended])
        at_risk = when.size - np.searchsorted(np.sort(when), times)
        place = np.searchsorted(times, when[ended])
        ends = np.bincount(place, minlength=times.size)
        hits = np.bincount(place, responded[ended], minlength=times.size)
        still = np.concatenate(([1.0], np.cumprod(1.0 - ends / at_risk)))[:-1]
        share = np.concatenate(([0.0], np.cumsum(still * hits / at_risk)))
        return np.asarray(share[np.searchsorted(times, LANDMARKS, side="right")])


def _compared(seen: _Courses, twins: list[_Courses], reach: float) -> list[Estimate]:
    """Shares responded, as recorded and without the dose, and their difference, at every landmark."""
    n = seen.when.size
    groups = min(n, MOST_GROUPS)
    masks = [np.arange(n) % groups != group for group in range(groups)]
    left_out = np.array([[courses.shares(keep) for courses in (seen, twins[0])] for keep in masks])
    whole = np.ones(n, dtype=bool)
    observed, natural, low, high = (courses.shares(whole) for courses in (seen, *twins))
    fitted = ((high - low) / (2.0 * REACH)) ** 2
    parts = {
        "observed": (observed, left_out[:, 0], 0.0 * fitted),
        "natural": (natural, left_out[:, 1], fitted),
        "excess": (observed - natural, left_out[:, 0] - left_out[:, 1], fitted),
    }
    rows = []
    for k, landmark in enumerate(LANDMARKS):
        for name, (value, without, extra) in parts.items():
            apart = without[:, k] - without[:, k].mean()
            error = math.sqrt((groups - 1) / groups * float(apart @ apart) + float(extra[k]))
            middle, floor = float(value[k]), -1.0 if name == "excess" else 0.0
            ends = max(middle - reach * error, floor), min(middle + reach * error, 1.0)
            # what a model expects without the dose counts nobody; with it, the record is counted
            counted = int((seen.responded & (seen.when <= landmark)).sum())
            sides = () if name == "natural" else (counted, n - counted)
            rows.append(Estimate(f"{name}_by_{landmark}", middle, error, *ends, math.nan, n, n, "", sides))
    return rows


def frame_of(twin: Twin) -> pd.DataFrame:
    """One row per curve and number of visits, for drawing: ``curve, time, share``."""
    frames = []
    for name, curve in (("as recorded", twin.observed), ("without the dose", twin.natural)):
        if RESPONSE in curve.causes:
            share = curve.share[curve.causes.index(RESPONSE)]
            frames.append(pd.DataFrame({"curve": name, "time": curve.time, "share": share}))
    return (
        pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["curve", "time", "share"])
    )
