"""Recorded history at each needling: what was known when the dose was decided, and what came of it.

One row per needling at which a dose was recorded. It holds what the record says had happened before
(visit, ratings, doses), the dose, the next rating, and whether the patient came back. Sequential
ignorability is a statement about these rows; nothing else in the package may add to them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tpr_outcomes.cohort.derive import Ratings, ratings
from tpr_outcomes.cohort.scales import Scale
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError
from tpr_outcomes.models.counts import fit_counts, frailty_precision, log_frailty
from tpr_outcomes.models.working import visit_levels

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class History:
    """Rows sorted by patient, then visit.

    Attributes
    ----------
    patient : (m,) int64
        Codes 0..n_patients-1.
    t : (m,) float64
        Visits since the first.
    baseline : (m,) float64
        The patient's first rating (scale points).
    pain : (m,) float64
        Latest rating made before this needling; carried forward where a visit has none, since that is
        what the record shows (scale points).
    pain_lag1 : (m,) float64
        The rating before that one; equal to ``pain`` where there is none (scale points).
    dose : (m,) float64
        Dose at this visit.
    past : (m,) float64
        Cumulative dose before this visit, as far as it can have acted on a rating after the first.
    outcome : (m,) float64
        First rating after this dose and before the next one; NaN where there is none (scale points).
    stayed : (m,) bool
        The patient attended a later visit.
    due : (m,) bool
        A later visit was planned, and staying was not settled already: patients without a second rating
        have no rows, so nobody here could leave before it.
    leaving_pain : (m,) float64
        Latest rating when the patient stayed or stopped: ``pain`` where pain is rated before needling, the
        rating of this visit where it is rated after (scale points).
    reached : (m, r) bool
        Whether ``leaving_pain`` was better than the first rating by each percentage that is cited as
        important on this scale: what patients and therapists may stop by.
    rated_after : bool
        Pain is rated after needling.
    n_patients : int
        Patients with at least one row.
    """

    patient: Ints
    t: Array
    baseline: Array
    pain: Array
    pain_lag1: Array
    dose: Array
    past: Array
    outcome: Array
    stayed: Bools
    due: Bools
    leaving_pain: Array
    reached: Bools
    rated_after: bool
    n_patients: int

    @property
    def through(self) -> Array:
        """Cumulative dose through this visit, shape (m,)."""
        return self.past + self.dose

    def past_of(self, values: Array) -> Array:
        """Sum of ``values`` over the patient's earlier rows, shape (m,)."""
        before = np.cumsum(values) - values
        return np.asarray(before - before[np.searchsorted(self.patient, self.patient)])


def history(visits: Visits, *, dose: str = "twitches") -> History:
    """Lay out the recorded history of every needling.

    Parameters
    ----------
    visits : Visits
        The record.
    dose : str, default "twitches"
        Column of counts that is the dose.

    Returns
    -------
    History
        Patients without a first rating or without a later usable rating have no rows; a patient's rows
        end at the first visit whose dose was not recorded, for the past dose is unknown from then on.

    Raises
    ------
    FitError
        If no needling with a recorded dose and a known past is left.
    """
    outcomes = ratings(visits, dose=dose)
    if outcomes.n_patients == 0:
        raise FitError("No patient has a first rating and a later one with a known dose before it.")
    after = visits.rated == "after"
    first, last, unknown_from = _calendar(visits, outcomes, after=after)
    rows = outcomes.dose_rows()
    keep = rows.visit < unknown_from[rows.patient]
    if after:  # the first dose was acting already when the first rating was made
        keep &= rows.visit > first[rows.patient]
    if not keep.any():
        raise FitError("No visit has a recorded dose with a known past; check the dose column of the file.")
    patient, visit, t, dosed = rows.patient[keep], rows.visit[keep], rows.t[keep], rows.dose[keep]
    opens = np.diff(patient, prepend=-1) != 0
    baseline = _baseline(outcomes)[patient]
    recent = np.where(np.isnan(rows.pain[keep]), rows.pain_lag1[keep], rows.pain[keep])
    pain = _carried(recent, baseline, opens)
    total = np.cumsum(dosed) - dosed
    outcome = _next_rating(patient, visit, outcomes, after=after)
    leaving = np.where(np.isnan(outcome), pain, outcome) if after else pain
    planned = int((last - first).max())
    return History(
        patient=np.cumsum(opens, dtype=np.int64) - 1,
        t=t,
        baseline=baseline,
        pain=pain,
        pain_lag1=_carried(rows.pain_lag1[keep], np.where(opens, pain, np.nan), opens),
        dose=dosed,
        past=total - total[np.maximum.accumulate(np.where(opens, np.arange(patient.size), 0))],
        outcome=outcome,
        stayed=visit < last[patient],
        due=(t < planned) & (t > 0),
        leaving_pain=leaving,
        reached=_reached(baseline, leaving, visits.scale),
        rated_after=after,
        n_patients=int(opens.sum()),
    )


def _calendar(visits: Visits, outcomes: Ratings, *, after: bool) -> tuple[Ints, Ints, Ints]:
    """First and last attended visit, and the first with an unknown dose, of each patient in ``outcomes``.

    They are read from all of a patient's visits, rated or not.
    """
    table = visits.table
    code = _codes(table["patient"].to_numpy(), outcomes)
    ours = code >= 0
    code, visit = code[ours], table["visit"].to_numpy()[ours]
    never = np.iinfo(np.int64).max
    first, unknown = np.full((2, outcomes.n_patients), never)
    last = np.zeros(outcomes.n_patients, dtype=np.int64)
    np.minimum.at(first, code, visit)
    np.maximum.at(last, code, visit)
    blank = np.isnan(table[outcomes.dose].to_numpy(dtype=np.float64)[ours])
    if outcomes.dose == "twitches":
        blank &= table["sought"].to_numpy(dtype=bool)[ours]
    if after:
        blank &= visit > first[code]
    np.minimum.at(unknown, code[blank], visit[blank])
    return first, last, unknown


def _baseline(outcomes: Ratings) -> Array:
    """Return the first rating of each patient in ``outcomes``."""
    baseline = np.empty(outcomes.n_patients)
    baseline[outcomes.patient] = outcomes.baseline
    return baseline


def _reached(baseline: Array, pain: Array, scale: Scale) -> Bools:
    """Whether each cited percent improvement has been reached, one column per percentage."""
    percents = {item.value for item in scale.important_differences if item.kind == "percent"}
    better = (baseline - pain) * (1.0 if scale.higher_is_worse else -1.0)
    cuts = np.array(sorted(percents)) / 100.0
    return np.asarray((better[:, None] >= cuts * np.abs(baseline)[:, None]) & (better[:, None] > 0))


def _codes(patient: Ints, outcomes: Ratings) -> Ints:
    """Return the code of each table row's patient in ``outcomes``; -1 where the patient is not in it."""
    code = np.full(int(patient.max()) + 1 if patient.size else 0, -1, dtype=np.int64)
    code[patient[outcomes.row]] = outcomes.patient
    return code[patient]


def _carried(values: Array, start: Array, opens: Bools) -> Array:
    """Return the last value seen within a patient; ``start`` where none has been seen by the first row."""
    filled = np.where(opens & np.isnan(values), start, values)
    seen = np.maximum.accumulate(np.where(np.isnan(filled), 0, np.arange(filled.size)))
    return np.asarray(filled[seen])


def _next_rating(patient: Ints, visit: Ints, outcomes: Ratings, *, after: bool) -> Array:
    """Return the first rating after each dose, if it comes before the patient's next dose acts; else NaN."""
    wide = int(max(visit.max(), outcomes.visit.max())) + 2
    key = patient * wide + visit
    place = np.searchsorted(outcomes.patient * wide + outcomes.visit, key, side="left" if after else "right")
    found = np.minimum(place, outcomes.patient.size - 1)
    following = np.append(visit[1:], 0)
    ends = np.append(patient[1:] != patient[:-1], True)
    limit = np.where(ends, wide, following)
    in_time = outcomes.visit[found] < limit if after else outcomes.visit[found] <= limit
    valid = (place < outcomes.patient.size) & (outcomes.patient[found] == patient) & in_time
    return np.where(valid, outcomes.pain[found], np.nan)


def visit_columns(t: Array) -> Array:
    """Return one indicator column per visit number (rare ones pooled), shape (m, k); they add up to one."""
    level = visit_levels(t.astype(np.int64))
    return np.asarray(level[:, None] == np.arange(level.max() + 1), dtype=np.float64)


def twitchiness(rows: History, columns: Array, *, count: bool) -> Array:
    r"""How much more (or less) than expected the patient has twitched so far.

    Parameters
    ----------
    rows : History
        Recorded history.
    columns : ndarray, shape (m, p)
        What the expectation at each earlier visit may depend on.
    count : bool
        True: log of the empirical-Bayes frailty of *earlier* doses, :math:`\log\{(k+\sum A)/(k+\sum\mu)\}`.
        False: shrunken mean of earlier residuals, :math:`\sum(A-\mu)/(1+\text{number})`, for a dose that is
        not a count.

    Returns
    -------
    ndarray, shape (m,)
        0 at the first row of a patient. A function of the past alone.
    """
    if count:
        mean = fit_counts(rows.dose, columns).mean
        precision = frailty_precision(rows.dose, mean, rows.patient)
        return log_frailty(rows.past_of(rows.dose), rows.past_of(mean), precision)
    mean = columns @ np.linalg.lstsq(columns, rows.dose, rcond=1e-12)[0]
    return rows.past_of(rows.dose - mean) / (1.0 + rows.past_of(np.ones_like(mean)))
