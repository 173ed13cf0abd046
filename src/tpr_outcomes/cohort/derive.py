"""Dose before a rating: the only place where it is defined.

Pain is rated before that visit's needling by default, so what can have acted on the rating at visit
v is the sum over earlier visits. Where pain is rated after the needling (``rated="after"``) the
baseline, too, was rated after the first needling; the dose that separates a rating from the baseline
then is the sum over visits after the first, up to and including this one.

Everything here is arrays in, arrays out: rows are sorted by patient, then visit.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from pandas import factorize

from tpr_outcomes.cohort.rules import LeftOut
from tpr_outcomes.cohort.visits import Visits, first_rows
from tpr_outcomes.errors import PlanError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

LEFT_OUT_REASONS: dict[str, str] = {
    "no_first_rating": "patient has no rating at the first visit",
    "rating_missing": "pain not rated at this visit",
    "dose_unknown": "dose not recorded at a visit that can have acted on this rating",
    "single_rating": "patient has only one rating",
    "no_usable_rating": "patient has no later rating with a known dose",
}
"""Why a visit is neither a baseline nor an outcome, by rule, in the order they are applied."""

_RULES = tuple(LEFT_OUT_REASONS)
_ROWS = frozenset(
    {"patient", "visit", "t", "weeks", "pain", "baseline", "dose_before", "dose_last", "visits_before", "row"}
)


@dataclass(frozen=True, eq=False)
class DoseRows:
    """One row per needling visit with a recorded dose, the first included.

    Attributes
    ----------
    patient : (m,) int64
        The same codes as in :class:`Ratings`.
    visit : (m,) int64
        Visit number.
    t : (m,) float64
        Visits since the first.
    weeks : (m,) float64
        Weeks since the first visit; equal to ``t`` where there are no dates.
    pain : (m,) float64
        Latest rating made before this needling; NaN where there is none.
    pain_lag1 : (m,) float64
        The rating one visit before that one; NaN where there is none.
    dose : (m,) float64
        Dose given at this visit.
    """

    patient: Ints
    visit: Ints
    t: Floats
    weeks: Floats
    pain: Floats
    pain_lag1: Floats
    dose: Floats


@dataclass(frozen=True, eq=False)
class _Panel:
    """Columns of all visits that later derivations need, one entry per row of the table."""

    table: Any
    acting: Floats  # dose between the previous rating's time and this one's; 0 at the first visit
    dose: Floats
    pain: Floats
    visit: Ints
    t: Floats
    weeks: Floats
    first: Ints  # row of the patient's first visit
    position: Ints  # 0 at the first visit, 1 at the second row, ...
    given: Bools  # a needling at which this dose could arise
    after: bool
    reason: npt.NDArray[np.int8]  # index into _RULES, -1 where the row is used


@dataclass(frozen=True, eq=False)
class Ratings:
    """One row per usable pain rating after the first of its patient.

    Attributes
    ----------
    patient : (n,) int64
        Codes 0..n_patients-1 without gaps.
    visit : (n,) int64
        Visit number.
    t : (n,) float64
        Visits since the patient's first visit (visit number less first visit number).
    weeks : (n,) float64
        Weeks since the first visit; equal to ``t`` where there are no dates.
    pain : (n,) float64
        Rating, scale points.
    baseline : (n,) float64
        The patient's rating at the first visit, scale points.
    dose_before : (n,) float64
        Cumulative dose that can have acted on this rating and not on the baseline
        (column ``twitches_before`` where it surfaces in a table).
    dose_last : (n,) float64
        Dose at the latest visit of that sum (``twitches_lag1`` when pain is rated before).
    visits_before : (n,) float64
        Number of recorded visits in that sum.
    n_patients : int
        Patients with at least one row.
    row : (n,) int64
        Row of ``visits.table``.
    dose : str
        Name of the dose column.
    """

    patient: Ints
    visit: Ints
    t: Floats
    weeks: Floats
    pain: Floats
    baseline: Floats
    dose_before: Floats
    dose_last: Floats
    visits_before: Floats
    n_patients: int
    row: Ints
    dose: str
    _panel: _Panel

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """Every visit that is neither a kept patient's baseline nor a row here, with its reason."""
        reason = self._panel.reason
        return tuple(
            LeftOut(f"row {row + 1} of the visits", LEFT_OUT_REASONS[_RULES[code]], _RULES[code])
            for row, code in zip(np.flatnonzero(reason >= 0), reason[reason >= 0], strict=True)
        )

    @property
    def left_out_counts(self) -> dict[str, int]:
        """Number of visits left out, by rule."""
        reason = self._panel.reason
        counts = np.bincount(reason[reason >= 0], minlength=len(_RULES))
        return {rule: int(count) for rule, count in zip(_RULES, counts, strict=True)}

    def why_left_out(self) -> npt.NDArray[np.object_]:
        """Return for every visit of the table why it is no outcome: a rule, "baseline", or an empty text."""
        reason = self._panel.reason
        names = np.array(["", *_RULES], dtype=object)[reason + 1]
        names[(reason < 0) & (self._panel.position == 0)] = "baseline"
        return names

    def up_to(self, best: float) -> Bools:
        """Which ratings come no later than the patient's first at ``best`` -> (n,) bool."""
        at_best = np.cumsum(self.pain == best) - (self.pain == best)
        opening = np.flatnonzero(np.diff(self.patient, prepend=-1))
        before = at_best - np.repeat(at_best[opening], np.diff(opening, append=self.patient.size))
        kept: Bools = before == 0
        return kept

    def only(self, kept: Bools) -> Ratings:
        """Some of the rows: every patient's that has any, coded anew without gaps."""
        rows = {f.name: getattr(self, f.name)[kept] for f in fields(self) if f.name in _ROWS}
        codes = np.unique(rows["patient"], return_inverse=True)[1].astype(np.int64)
        return replace(self, **(rows | {"patient": codes, "n_patients": int(codes.max(initial=-1)) + 1}))

    def carryover(self, rate: float) -> Floats:
        """Return the geometric carry-over of the dose.

        Parameters
        ----------
        rate : float
            Share of a dose's effect that is left one recorded visit later, from 0 to 1.

        Returns
        -------
        (n,) float64
            0 gives ``dose_last``, 1 gives ``dose_before``.

        Raises
        ------
        PlanError
            When ``rate`` is outside 0 to 1.

        Notes
        -----
        ``c = sum over k of rate**(k-1) * dose k visits back``, k=1 the latest visit that can have
        acted. Visits without a rating count; visits missing from the record do not.
        """
        if not 0.0 <= rate <= 1.0:
            raise PlanError(f"The carry-over rate is {rate}; it needs to be from 0 to 1.")
        panel = self._panel
        carried = panel.acting.copy()
        order = np.argsort(panel.position, kind="stable")
        ends = np.cumsum(np.bincount(panel.position))
        for start, end in itertools.pairwise(ends):
            rows = order[start:end]
            carried[rows] += rate * carried[rows - 1]
        result: Floats = carried[self.row]
        return result

    def lagged(self, size: int) -> Floats:
        """Return the dose at each of the latest visits that can have acted on a rating.

        Parameters
        ----------
        size : int
            How many visits back, 1 or more.

        Returns
        -------
        (n, size) float64
            Column k - 1 is the dose k recorded visits back; 0 where the patient had no such visit.
        """
        panel = self._panel
        back = np.arange(size)
        found = panel.acting[np.maximum(self.row[:, None] - back, 0)]
        result: Floats = np.where(panel.position[self.row][:, None] > back, found, 0.0)
        return result

    def cumulative(self, column: str) -> Floats | None:
        """Return the sum of another column over the same visits as ``dose_before``.

        Parameters
        ----------
        column : str
            ``"insertions"``, ``"sites"``, ``"sessions"`` or any other count in the visits table.

        Returns
        -------
        (n,) float64 or None
            NaN where an earlier visit has no record; None when there is no such column.
        """
        panel = self._panel
        if column not in panel.table.columns:
            return None
        values = panel.table[column].to_numpy(dtype=np.float64)
        acting = _acting(values, panel.first, after=panel.after)
        total, unknown = _running(acting, panel.first)
        result: Floats = np.where(unknown, np.nan, total)[self.row]
        return result

    def labels(self, column: str) -> Ints | None:
        """Return a category of each rating's patient: the value at the patient's first visit.

        Parameters
        ----------
        column : str
            ``"therapist"``, ``"region"`` or another category column.

        Returns
        -------
        (n,) int64 or None
            Codes 0, 1, ... in sorted order of the values, -1 where blank; None when there is no such
            column.
        """
        panel = self._panel
        if column not in panel.table.columns:
            return None
        first = panel.table[column].iloc[panel.first[self.row]]
        codes, _ = factorize(first, sort=True, use_na_sentinel=True)
        result: Ints = codes.astype(np.int64)
        return result

    def dose_rows(self) -> DoseRows:
        """Return the needling visits of the patients here, for a model of the dose.

        Visits with no recorded dose and visits where twitches were not sought are not rows. The
        last visit is one, though no rating follows it.
        """
        panel = self._panel
        code = np.full(panel.position.size, -1, dtype=np.int64)
        code[panel.first[self.row]] = self.patient
        code = code[panel.first]
        keep = (code >= 0) & panel.given & ~np.isnan(panel.dose)
        lag = int(panel.after)
        return DoseRows(
            patient=code[keep],
            visit=panel.visit[keep],
            t=panel.t[keep],
            weeks=panel.weeks[keep],
            pain=_lagged(panel.pain, panel.position, lag)[keep],
            pain_lag1=_lagged(panel.pain, panel.position, lag + 1)[keep],
            dose=panel.dose[keep],
        )


def ratings(visits: Visits, *, dose: str = "twitches") -> Ratings:
    """Derive the outcome rows and the dose that can have acted on each.

    Parameters
    ----------
    visits : Visits
        The record.
    dose : str
        Column of counts to add up: ``"twitches"``, ``"insertions"``, ``"sites"``, ``"sessions"``.

    Returns
    -------
    Ratings
        Outcome rows with an account of every visit left out. Rows of the visits table = outcome
        rows + one baseline per patient + rows left out.

    Raises
    ------
    PlanError
        When there is no such column.

    Notes
    -----
    The baseline is the rating at the patient's first visit: a patient without it is left out, since
    a later rating may already carry the treatment. A dose not recorded makes the cumulative dose
    unknown for every later rating of that patient, and these are left out; a visit where twitches
    were not sought adds nothing. A visit number missing from the record adds nothing either, and
    counts as time.
    """
    table = visits.table
    if dose not in table.columns:
        raise PlanError(f"There is no dose column {dose!r}; the visits have {', '.join(table.columns)}.")
    panel = _panel(visits, dose)
    total, unknown = _running(panel.acting, panel.first)
    baseline = panel.pain[panel.first]
    keep = _classify(panel, baseline, unknown)
    row = np.flatnonzero(keep)
    owner = panel.first[row]
    patient = np.cumsum(np.diff(owner, prepend=owner[:1]) != 0, dtype=np.int64)
    return Ratings(
        patient=patient,
        visit=panel.visit[row],
        t=panel.t[row],
        weeks=panel.weeks[row],
        pain=panel.pain[row],
        baseline=baseline[row],
        dose_before=total[row],
        dose_last=panel.acting[row],
        visits_before=panel.position[row].astype(np.float64),
        n_patients=int(patient[-1]) + 1 if patient.size else 0,
        row=row,
        dose=dose,
        _panel=panel,
    )


@dataclass(frozen=True, eq=False)
class Changes:
    """Change from the first visit's rating, one entry per row of the visits table.

    Attributes
    ----------
    baseline : (n,) float64
        The patient's rating at the first visit; NaN where there is none.
    change : (n,) float64
        ``pain - baseline`` in scale points: negative is better on a scale where higher is worse.
    percent_change : (n,) float64
        ``100 * change / baseline``; NaN where the baseline is 0.
    """

    baseline: Floats
    change: Floats
    percent_change: Floats


def changes(visits: Visits) -> Changes:
    """Derive :class:`Changes`: 0 at first visits, NaN where pain or the first rating is missing."""
    pain = visits.table["pain"].to_numpy(dtype=np.float64)
    baseline = pain[first_rows(visits.table["patient"].to_numpy())]
    change = pain - baseline
    percent = np.full(change.size, np.nan)
    np.divide(100.0 * change, baseline, out=percent, where=baseline != 0)
    return Changes(baseline, change, percent)


def _panel(visits: Visits, dose: str) -> _Panel:
    """Take the columns needed out of the table and lay down who follows whom."""
    table = visits.table
    patient = table["patient"].to_numpy()
    visit = table["visit"].to_numpy()
    after = visits.rated == "after"
    n = patient.size
    first = first_rows(patient)
    t = (visit - visit[first]).astype(np.float64)
    values = table[dose].to_numpy(dtype=np.float64)
    sought = table["sought"].to_numpy(dtype=bool) if dose == "twitches" else np.ones(n, dtype=bool)
    return _Panel(
        table=table,
        acting=_acting(values, first, after=after),
        dose=values,
        pain=table["pain"].to_numpy(),
        visit=visit,
        t=t,
        weeks=table["weeks"].to_numpy() if "weeks" in table.columns else t,
        first=first,
        position=np.arange(n, dtype=np.int64) - first,
        given=sought,
        after=after,
        reason=np.full(n, -1, dtype=np.int8),
    )


def _acting(dose: Floats, first: Ints, *, after: bool) -> Floats:
    """Return the dose newly able to act on each row's rating; 0 at first visits."""
    acting = np.zeros_like(dose)
    acting[1:] = dose[1:] if after else dose[:-1]
    acting[first] = 0.0
    return acting


def _running(acting: Floats, first: Ints) -> tuple[Floats, Bools]:
    """Return the sum within patient so far, unknown doses taken as 0, and where it is unknown."""
    missing = np.isnan(acting)
    total = np.cumsum(np.where(missing, 0.0, acting))
    total -= total[first]
    if not missing.any():
        return total, missing
    count = np.cumsum(missing)
    return total, count > count[first]


def _classify(panel: _Panel, baseline: Floats, unknown: Bools) -> Bools:
    """Mark the outcome rows and write the reason of every other row into the panel."""
    rated = ~np.isnan(panel.pain)
    later = panel.position > 0
    based = ~np.isnan(baseline)
    keep = rated & later & based & ~unknown
    n = keep.size
    has_row = np.bincount(panel.first[keep], minlength=n)[panel.first] > 0
    several = np.bincount(panel.first[rated & later], minlength=n)[panel.first] > 0
    reason = panel.reason
    reason[~later & ~has_row] = _RULES.index("no_usable_rating")
    reason[~later & ~several] = _RULES.index("single_rating")
    reason[later & unknown] = _RULES.index("dose_unknown")
    reason[later & ~rated] = _RULES.index("rating_missing")
    reason[~based] = _RULES.index("no_first_rating")
    return keep


def _lagged(values: Floats, position: Ints, lag: int) -> Floats:
    """Return the value ``lag`` recorded visits before, NaN where the patient has none."""
    if lag == 0:
        return values
    result = np.full(values.size, np.nan)
    result[lag:] = values[:-lag]
    result[position < lag] = np.nan
    return result
