r"""When pain has come back: does a tune-up bring more relief than the flare shows by itself? Claim C17.

A flare is noticed because pain is high, so the next rating is lower on average whatever is done (regression
to the mean). What counts is the fall beyond that. Two ways to subtract it: flares of the same height that
were left alone, and what ratings as far above the patient's usual fall by without needling. The fall by
itself is given only beside them.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from tpr_outcomes.cohort.visits import Visits, first_rows
from tpr_outcomes.errors import FitError, PlanError
from tpr_outcomes.inference.clustered import Estimate, not_estimated
from tpr_outcomes.inference.contrast import FEWEST_PATIENTS, fit_exposure, too_few
from tpr_outcomes.inference.estimating import weighted_regression
from tpr_outcomes.inference.landmark import recorded, shifted, worse
from tpr_outcomes.inference.relapse import relapse_spells

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


REACHED = 0.9
"""Share of the needled flares whose height a rating has to reach to teach what they fall by themselves."""


@dataclass(frozen=True)
class TuneUp:
    """Relief after a tune-up.

    Attributes
    ----------
    estimates : tuple of Estimate
        See :func:`analyse_tuneups`.
    tuned, left_alone : int
        Flares with a next rating that were needled, and that were not.
    level : float
    """

    estimates: tuple[Estimate, ...]
    tuned: int
    left_alone: int
    level: float

    def get(self, term: str) -> Estimate:
        """Return the estimate of that name."""
        for row in self.estimates:
            if row.term == term:
                return row
        known = ", ".join(row.term for row in self.estimates)
        raise PlanError(f"There is no tune-up estimate called {term!r}; there are {known}.")

    def to_frame(self) -> pd.DataFrame:
        """One row per estimate."""
        return pd.DataFrame([asdict(row) for row in self.estimates])


@dataclass(frozen=True, eq=False)
class _Falls:
    """Ratings of patients who had responded, followed by another; higher is worse."""

    patient: Ints
    fall: Array  # this rating less the next
    above: Array  # this rating less the patient's usual since the response
    usual: Array
    gap: Array  # weeks (or visits) to the next rating
    flare: Bools
    needled: Bools


def analyse_tuneups(visits: Visits, *, percent: float = 30.0, level: float = 0.95) -> TuneUp:
    r"""Compare the fall after a needled flare with the fall of one left alone, and with mere regression.

    Parameters
    ----------
    visits : Visits
        Visits without needling are those at which twitches were not sought and no insertion is recorded.
        Pain has to be rated before the needling.
    percent : float, optional
        Improvement that counts as a response, as in :func:`tpr_outcomes.inference.relapse.relapse_spells`.
    level : float, optional

    Returns
    -------
    TuneUp
        Scale points to the next rating, positive is a fall: ``excess`` needled less left alone, at equal
        height above the patient's usual, usual and time to the next rating; ``excess_regression`` the fall of
        needled flares less the fall expected from their height alone; ``fall_tuned``, ``fall_left_alone``
        and ``expected_fall`` the plain means.

    Raises
    ------
    PlanError
        If the scale has no citation for ``percent``, or pain is rated after the needling.
    FitError
        If no flare was followed by a rating.

    Notes
    -----
    Expected fall: least squares of the fall on the height above usual and the usual, over ratings of
    responders as high above it as nine in ten of the needled flares, and followed by another without needling
    in between; nothing is learned from lower ratings, for falls need not be proportional to height. Its error
    goes into the interval
    (patients as the unit of chance: the sum of squares of both parts of each one's influence). The usual is
    the mean of the patient's ratings since the response, this one left out.
    """
    if visits.rated == "after":
        raise PlanError("Pain is rated after the needling here; the fall after a tune-up needs it before.")
    rows = _falls(visits, percent)
    flare, needled = rows.flare, rows.needled
    if not flare.any():
        raise FitError(
            "No relapse was followed by another rating, so nothing can be said of relief after one."
        )
    groups = [flare & needled, flare & ~needled]
    estimates = [
        _excess(rows, level),
        *_beyond_regression(rows, level),
        _mean("fall_tuned", rows, groups[0], level),
        _mean("fall_left_alone", rows, groups[1], level),
    ]
    return TuneUp(tuple(estimates), int(groups[0].sum()), int(groups[1].sum()), level)


def _falls(visits: Visits, percent: float) -> _Falls:
    table = visits.table
    first = first_rows(table["patient"].to_numpy())
    spells = relapse_spells(visits, dose=_some_dose(visits), percent=percent)
    pain = worse(visits, table["pain"].to_numpy(dtype=np.float64))
    time = table["weeks" if "weeks" in table else "visit"].to_numpy(dtype=np.float64)
    needled = table["sought"].to_numpy(dtype=bool) | (table["twitches"].to_numpy(dtype=np.float64) > 0)
    if recorded(visits, "insertions"):
        insertions = table["insertions"].to_numpy(dtype=np.float64)
        needled = np.where(np.isnan(insertions), needled, insertions > 0)
    row = spells.row
    following = shifted(pain, first, 1)[row]
    usual = _usual(spells.patient, pain[row])
    keep = np.isfinite(following) & np.isfinite(usual)
    return _Falls(
        patient=spells.patient[keep],
        fall=(pain[row] - following)[keep],
        above=(pain[row] - usual)[keep],
        usual=usual[keep],
        gap=(shifted(time, first, 1)[row] - time[row])[keep],
        flare=spells.relapse[keep],
        needled=needled[row][keep],
    )


def _some_dose(visits: Visits) -> str:
    return "insertions" if recorded(visits, "insertions") else "twitches"


def _usual(patient: Ints, pain: Array) -> Array:
    """Mean of the patient's ratings at risk before this one; NaN for the first."""
    opens = np.searchsorted(patient, patient)
    total = np.cumsum(pain) - pain
    total = total - total[opens]
    count = np.arange(patient.size) - opens
    return np.where(count > 0, total / np.maximum(count, 1), math.nan)


def _excess(rows: _Falls, level: float) -> Estimate:
    """Needled less left alone at equal height."""
    flare = rows.flare
    tuned, alone = (
        int(np.unique(rows.patient[flare & (rows.needled == kind)]).size) for kind in (True, False)
    )
    if min(tuned, alone) < FEWEST_PATIENTS:
        which = "left alone" if alone <= tuned else "needled"
        reason = f"too few patients had a flare that was {which}"
        return too_few("excess", (tuned, alone), reason, int(flare.sum())).estimate
    columns = np.column_stack([rows.above, rows.usual, rows.gap])[flare]
    exposure = rows.needled[flare].astype(np.float64)
    return fit_exposure(
        "excess", rows.fall[flare], exposure, columns, rows.patient[flare], level=level
    ).estimate


def _beyond_regression(rows: _Falls, level: float) -> list[Estimate]:
    """Fall of needled flares less what their height alone lets expect, and that expectation."""
    names = ("excess_regression", "expected_fall")
    tuned = rows.flare & rows.needled
    high = rows.above >= (np.quantile(rows.above[tuned], 1.0 - REACHED) if tuned.any() else math.inf)
    quiet = ~rows.needled & high
    people = [int(np.unique(rows.patient[keep]).size) for keep in (quiet, tuned)]
    if min(people) < FEWEST_PATIENTS or np.ptp(rows.above[quiet]) == 0:
        which = "were rated as high without needling" if people[0] <= people[1] else "had a needled flare"
        reason = f"too few patients {which}; {FEWEST_PATIENTS} of each are needed"
        return [
            not_estimated(name, n_rows=int(tuned.sum()), n_patients=min(people), reason=reason)
            for name in names
        ]
    design = np.column_stack([np.ones(rows.above.size), rows.above, rows.usual])
    theta, part = weighted_regression(
        rows.fall[quiet], design[quiet], np.ones(int(quiet.sum())), rows.patient[quiet], small_sample=True
    )
    expected = design @ theta
    at = design[tuned].mean(axis=0)
    excess = (rows.fall - expected)[tuned]
    value, mean = float(excess.mean()), float(expected[tuned].mean())
    size = int(rows.patient.max()) + 1
    own = np.bincount(rows.patient[tuned], weights=(excess - value) / excess.size, minlength=size)
    learned = np.zeros(size)
    learned[np.unique(rows.patient[quiet])] = part @ at
    count = people[1]
    t = float(stats.t.ppf(0.5 + level / 2.0, min(people) - 1))
    found = []
    for name, number, influence in (
        (names[0], value, own * math.sqrt(count / (count - 1)) - learned),
        (names[1], mean, learned),
    ):
        error = float(np.sqrt(influence @ influence))
        p_value = (
            float(2 * stats.t.sf(abs(number) / error, min(people) - 1)) if name == names[0] else math.nan
        )
        found.append(
            Estimate(
                name, number, error, number - t * error, number + t * error, p_value, int(tuned.sum()), count
            )
        )
    return found


def _mean(name: str, rows: _Falls, keep: Bools, level: float) -> Estimate:
    """Plain mean fall; regression to the mean is in it."""
    people = int(np.unique(rows.patient[keep]).size)
    if people < FEWEST_PATIENTS:
        reason = f"too few patients; {FEWEST_PATIENTS} are needed"
        return not_estimated(name, n_rows=int(keep.sum()), n_patients=people, reason=reason)
    theta, part = weighted_regression(
        rows.fall[keep], np.ones((int(keep.sum()), 1)), np.ones(int(keep.sum())), rows.patient[keep],
        small_sample=True,
    )  # fmt: skip
    error = float(np.sqrt(part[:, 0] @ part[:, 0]))
    reach = float(stats.t.ppf(0.5 + level / 2.0, people - 1)) * error
    value = float(theta[0])
    return Estimate(
        name, value, error, value - reach, value + reach, math.nan, int(keep.sum()), people,
        "regression to the mean is in it",
    )  # fmt: skip
