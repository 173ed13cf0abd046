r"""Does pain come back less often after more twitches, or after planned tune-ups? Claims C14 and C18.

A patient who has responded (improved by the cited percentage at two ratings in a row) is at risk of a
relapse: a rating that is no longer improved by as much, and worse than the best since the response by a cited
important difference. Then the patient has to respond again before being at risk again. What a patient has had
counts as it stood when each interval began, never as it was in the end.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from tpr_outcomes.cohort.derive import changes, ratings
from tpr_outcomes.cohort.instruments import ImportantDifference
from tpr_outcomes.cohort.visits import Visits, first_rows
from tpr_outcomes.errors import FitError, PlanError
from tpr_outcomes.inference.clustered import Estimate, not_estimated
from tpr_outcomes.inference.recurrent import MeanCumulative, andersen_gill, mean_cumulative

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

FEWEST_EVENTS = 10
"""Relapses needed for each covariate of the rate."""
FEWEST_SIDE = 5
"""Relapses needed on each side where two groups of intervals are compared."""
DOSE_STEP = 10.0
"""Units of dose to which the rate ratio refers."""


@dataclass(frozen=True, eq=False)
class Spells:
    """Risk intervals of patients who have responded, sorted by patient and time.

    Attributes
    ----------
    patient : (n,) int64
    start, stop : (n,) float64
        Weeks since the first visit, or visits where there are no dates.
    relapse : (n,) bool
        Whether the rating at ``stop`` is a relapse.
    dose : (n,) float64
        Cumulative dose of the needlings before ``stop``: what can have acted on the rating there.
    pain, best : (n,) float64
        Rating at ``start``, and the best since the response; higher is worse.
    tuned : (n,) float64
        1 where the visit at ``start`` was a planned tune-up; NaN where reasons are not recorded.
    row : (n,) int64
        Row of ``visits.table`` at ``stop``.
    n_responders : int
        Patients at risk at least once.
    in_weeks : bool
    cut, margin : ImportantDifference
        The percentage, and the difference in points (None where the scale cites none).
    """

    patient: Ints
    start: Array
    stop: Array
    relapse: Bools
    dose: Array
    pain: Array
    best: Array
    tuned: Array
    row: Ints
    n_responders: int
    in_weeks: bool
    cut: ImportantDifference
    margin: ImportantDifference | None


@dataclass(frozen=True, eq=False)
class Relapse:
    """How often pain came back, and with what.

    Attributes
    ----------
    spells : Spells
    course : MeanCumulative
        Mean number of relapses by time since the first visit, among those at risk.
    estimates : tuple of Estimate
        See :func:`analyse_relapse`.
    threshold : float
        Dose past which patients are compared; NaN where none was given.
    level : float
    """

    spells: Spells
    course: MeanCumulative
    estimates: tuple[Estimate, ...]
    threshold: float
    level: float

    def get(self, term: str) -> Estimate:
        """Return the estimate of that name."""
        for row in self.estimates:
            if row.term == term:
                return row
        known = ", ".join(row.term for row in self.estimates)
        raise PlanError(f"There is no relapse estimate called {term!r}; there are {known}.")

    def to_frame(self) -> pd.DataFrame:
        """One row per estimate."""
        return pd.DataFrame([asdict(row) for row in self.estimates])


def analyse_relapse(
    visits: Visits,
    *,
    dose: str = "twitches",
    threshold: float | None = None,
    planned: ArrayLike | None = None,
    noted: ArrayLike | None = None,
    percent: float = 30.0,
    level: float = 0.95,
) -> Relapse:
    """Estimate the relapse rate after a response, by the dose so far and by planned tune-ups.

    Parameters
    ----------
    visits : Visits
    dose : str, optional
        Column of counts to add up.
    threshold : float, optional
        Cumulative dose past which relapse is compared with before; None: per ten units only.
    planned : array_like, optional
        Of each row of ``visits.table``: 1 where the visit was a planned tune-up, 0 where it was for another
        reason, NaN where none is recorded.
    noted : array_like of bool, optional
        Of each row: whether a relapse was noted at the visit or since the one before; it counts beside the
        ratings.
    percent : float, optional
        Improvement that counts, percent of the first rating; the scale must cite it.
    level : float, optional

    Returns
    -------
    Relapse
        Rate ratios (1: no difference): ``per_ten`` per ten units of dose so far, ``past_threshold`` past it
        against before, ``tuned`` after a planned tune-up against after another visit; each with the rating
        at the start of the interval and the best since the response held equal. ``relapses`` mean number per
        patient by the last time with at least ten at risk.

    Raises
    ------
    PlanError
        If the scale has no citation for ``percent``.
    FitError
        If nobody responded and was seen again, or pain came back in nobody.

    Notes
    -----
    Andersen–Gill with Efron's ties and a sandwich over patients
    (:func:`tpr_outcomes.inference.recurrent.andersen_gill`), on time since the first visit.
    """
    spells = relapse_spells(visits, dose=dose, planned=planned, noted=noted, percent=percent)
    course = mean_cumulative(spells.start, spells.stop, spells.relapse, spells.patient, level=level)
    known = {"per_ten": spells.dose / DOSE_STEP}
    if threshold is not None:
        known["past_threshold"] = np.where(np.isnan(spells.dose), np.nan, spells.dose > threshold)
    if np.isfinite(spells.tuned).any():
        known["tuned"] = spells.tuned
    rows = [_ratio(name, exposure, spells, level) for name, exposure in known.items()]
    return Relapse(
        spells=spells,
        course=course,
        estimates=(*rows, _reached(course, spells)),
        threshold=math.nan if threshold is None else float(threshold),
        level=level,
    )


def _ratio(name: str, exposure: Array, spells: Spells, level: float) -> Estimate:
    """Rate ratio of one time-updated exposure."""
    keep = np.isfinite(exposure)
    people = int(np.unique(spells.patient[keep]).size)
    events = int(spells.relapse[keep].sum())
    kinds = np.unique(exposure[keep])
    sides = (
        [int(spells.relapse[keep & (exposure == kind)].sum()) for kind in kinds] if kinds.size == 2 else []
    )
    if events < 2 * FEWEST_EVENTS or kinds.size < 2 or min(sides, default=FEWEST_SIDE) < FEWEST_SIDE:
        reason = f"too few relapses were seen; {2 * FEWEST_EVENTS} are needed"
        if kinds.size < 2:
            reason = "all time at risk is on one side of the comparison"
        elif events >= 2 * FEWEST_EVENTS:
            reason = f"too few relapses were seen on one of the two sides; {FEWEST_SIDE} are needed on each"
        return not_estimated(name, n_rows=int(keep.sum()), n_patients=people, reason=reason)
    columns = np.column_stack([exposure[keep], spells.pain[keep], spells.best[keep]])
    varies = np.ptp(columns, axis=0) > 0
    terms = np.array([name, "pain", "best"])[varies]
    try:
        fit = andersen_gill(
            spells.start[keep],
            spells.stop[keep],
            spells.relapse[keep],
            columns[:, varies],
            spells.patient[keep],
            terms=tuple(terms.tolist()),
        )
    except FitError as problem:
        return not_estimated(name, n_rows=int(keep.sum()), n_patients=people, reason=str(problem))
    ratio, low, high, p_value = fit.ratio(name, level=level)
    error = ratio * math.sqrt(float(fit.robust_cov[0, 0]))
    note = f"{events // 10 * 10} or more relapses"  # by tens: two exact counts leave a small rest
    return Estimate(name, ratio, error, low, high, p_value, int(keep.sum()), people, note)


def _reached(course: MeanCumulative, spells: Spells) -> Estimate:
    """Mean number of relapses at the last time with at least ten at risk."""
    enough = np.flatnonzero(course.at_risk >= FEWEST_EVENTS)
    time = float(course.time[enough[-1]]) if enough.size else float(course.time[0])
    mean, error, low, high = course.at(time)
    unit = "weeks" if spells.in_weeks else "visits"
    note = f"per patient by {time:g} {unit} after the first visit"
    return Estimate("relapses", mean, error, low, high, math.nan, spells.stop.size, spells.n_responders, note)


def relapse_spells(
    visits: Visits,
    *,
    dose: str = "twitches",
    planned: ArrayLike | None = None,
    noted: ArrayLike | None = None,
    percent: float = 30.0,
) -> Spells:
    """Lay out who was at risk of a relapse when, with what they had had by then.

    Parameters
    ----------
    visits, dose, planned, noted, percent
        As in :func:`analyse_relapse`.

    Returns
    -------
    Spells

    Raises
    ------
    PlanError
        If the scale has no citation for ``percent``.
    FitError
        If nobody responded and was rated again.
    """
    cut = visits.scale.percent_cut(percent)
    if cut is None:
        raise PlanError(
            f"The scale {visits.scale.name!r} has no cited cut-point of {percent:g} percent; take one it has."
        )
    margins = visits.scale.absolute_cuts()
    margin = margins[0] if margins else None
    table = visits.table
    sign = 1.0 if visits.scale.higher_is_worse else -1.0
    pain = sign * table["pain"].to_numpy(dtype=np.float64)
    held = -sign * changes(visits).percent_change >= cut.value
    time = table["weeks" if "weeks" in table else "visit"].to_numpy(dtype=np.float64)
    outcomes = ratings(visits, dose=dose)
    total = np.full(len(table), math.nan)
    total[outcomes.row] = outcomes.dose_before
    opens = np.flatnonzero(np.diff(table["patient"].to_numpy(), prepend=-1))
    least = margin.value if margin else 0.0
    said = np.zeros(len(table), dtype=bool) if noted is None else np.asarray(noted, dtype=bool)
    found: list[tuple[int, int, bool, float]] = []
    for start, stop in zip(opens, np.append(opens[1:], len(table)), strict=True):
        rated = start + np.flatnonzero(np.isfinite(pain[start:stop]) & np.isfinite(time[start:stop]))
        found += _course(rated.tolist(), pain, held, least, said)
    found = [row for row in found if time[row[1]] > time[row[0]]]
    if not found:
        raise FitError(f"Nobody improved by {percent:g}% at two ratings in a row and was rated again.")
    before, after = (np.array([row[k] for row in found], dtype=np.int64) for k in (0, 1))
    patient = table["patient"].to_numpy()[after]
    first = first_rows(table["patient"].to_numpy())
    tuned = np.full(len(table), math.nan) if planned is None else np.asarray(planned, dtype=np.float64)
    return Spells(
        patient=patient,
        start=time[before] - time[first[before]],
        stop=time[after] - time[first[after]],
        relapse=np.array([row[2] for row in found]),
        dose=total[after],
        pain=pain[before],
        best=np.array([row[3] for row in found]),
        tuned=tuned[before],
        row=after,
        n_responders=int(np.unique(patient).size),
        in_weeks="weeks" in table,
        cut=cut,
        margin=margin,
    )


def _course(
    rated: list[int], pain: Array, held: Bools, least: float, noted: Bools
) -> list[tuple[int, int, bool, float]]:
    """Intervals at risk of one patient: rows of their ends, whether a relapse ends it, best rating so far."""
    found: list[tuple[int, int, bool, float]] = []
    at_risk, best = False, math.inf
    for previous, row in itertools.pairwise(rated):
        if at_risk:
            relapse = bool(
                (not held[row] and pain[row] >= best + least) or noted[previous + 1 : row + 1].any()
            )
            found.append((previous, row, relapse, best))
            best = min(best, float(pain[row]))
            at_risk = not relapse
        elif held[previous] and held[row]:
            at_risk, best = True, float(min(pain[previous], pain[row]))
    return found
