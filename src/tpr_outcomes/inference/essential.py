r"""Does relief need a twitch? No recorded twitch against at least one, at equal needling. Claims C1 to C3.

A visit at which twitches were sought and none came is set against visits of the same number and the same
insertions at which at least one came. Whether a twitch comes is not left to chance, so the difference is an
association; that it lies inside a margin set beforehand speaks against "essential", with the same caveat.

Patients are never grouped by the twitches of their whole course
(:func:`tpr_outcomes.inference.landmark.early_twitches` refuses it).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from tpr_outcomes.cohort.visits import Visits, first_rows
from tpr_outcomes.errors import FitError, PlanError
from tpr_outcomes.inference.clustered import Estimate, not_estimated
from tpr_outcomes.inference.contrast import (
    FEWEST_PATIENTS,
    Contrast,
    Equivalence,
    equivalence,
    fit_exposure,
    too_few,
)
from tpr_outcomes.inference.estimating import weighted_regression
from tpr_outcomes.inference.landmark import (
    LANDMARK,
    landmark_contrasts,
    order_estimate,
    recorded,
    shifted,
    worse,
)
from tpr_outcomes.models.working import visit_levels

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Essential:
    """What the record says of visits without a twitch.

    Attributes
    ----------
    estimates : tuple of Estimate
        See :func:`analyse_essential`.
    equivalence : tuple of Equivalence
        One per cited important difference in scale points, smallest first, for ``next_any``.
    visits_with, visits_without : int
        Visits with a known next rating at which twitches were sought and came, or did not.
    matched_without, patients_without : int
        Of those without, visits that have a counterpart, and their patients.
    insertions_matched : bool
        Whether insertions are recorded and were held equal.
    level : float
    """

    estimates: tuple[Estimate, ...]
    equivalence: tuple[Equivalence, ...]
    visits_with: int
    visits_without: int
    matched_without: int
    patients_without: int
    insertions_matched: bool
    level: float

    def get(self, term: str) -> Estimate:
        """Return the estimate of that name."""
        for row in self.estimates:
            if row.term == term:
                return row
        known = ", ".join(row.term for row in self.estimates)
        raise PlanError(f"There is no estimate called {term!r}; there are {known}.")

    def to_frame(self) -> pd.DataFrame:
        """One row per estimate."""
        return pd.DataFrame([asdict(row) for row in self.estimates])


@dataclass(frozen=True, eq=False)
class _Rows:
    """Needlings at which twitches were sought, with what was known then; higher is worse."""

    patient: Ints
    stratum: Ints
    any_twitch: Array
    twitches: Array
    history: Array  # (m, k): rating then, the one before, the first, past twitches
    next_pain: Array
    after: Array  # rating right after this needling; NaN where there is none


def analyse_essential(
    visits: Visits,
    *,
    landmark: int | str = LANDMARK,
    pain_after: ArrayLike | None = None,
    level: float = 0.95,
) -> Essential:
    """Compare visits without a twitch with visits with at least one.

    Parameters
    ----------
    visits : Visits
    landmark : int, optional
        Visits whose twitches count as early. Words such as "end" are refused, see
        :func:`~tpr_outcomes.inference.landmark.early_twitches`.
    pain_after : array_like, optional
        Rating right after the needling of each visit, in the order of ``visits.table`` (scale points, NaN:
        none); needed for the immediate change where ``visits`` hold ratings before needling.
    level : float, optional

    Returns
    -------
    Essential
        Estimates, in scale points, negative where pain is lower with twitches (the scale turned where
        higher is better): ``next_any`` and ``next_per_twitch``, change to the next rating, at least one
        twitch less none, and per twitch; ``immediate_any``, ``immediate_per_twitch`` the same right after
        needling; ``without`` mean change to the next rating at matched visits without a twitch;
        ``landmark_next_any``, ``landmark_next_per_twitch``, ``landmark_later_any``,
        ``landmark_later_per_twitch`` from the landmark to the first rating after it, and to the one three
        visits on, by early twitches; ``relief_before_twitch`` share of patients with both in the record
        whose first improvement of 30% came before their first twitch.

    Raises
    ------
    FitError
        If no visit with recorded twitches has a rating before and after it.
    PlanError
        If the landmark is not a visit number, or looks into the future.

    Notes
    -----
    Least squares of the change on the exposure with one constant per stratum of visit number and insertions
    (sparse neighbours share a level), the rating then, the rating before, the first rating, past twitches and
    insertions. For ``any``, strata without both kinds of visit, or of one patient only, are left out. Errors
    and degrees of freedom as in :func:`tpr_outcomes.inference.contrast.fit_exposure`.
    """
    rows = _needlings(visits, pain_after)
    without = rows.any_twitch == 0
    usable = np.isfinite(rows.next_pain)
    if not usable.any():
        raise FitError("No visit with recorded twitches has a rating before and after it.")
    matched = _matched(rows, usable)
    people = int(np.unique(rows.patient[matched & without]).size)
    contrasts = [
        *_contrasts(rows, rows.next_pain, "next", level),
        *_contrasts(rows, rows.after, "immediate", level),
        *landmark_contrasts(visits, landmark, level),
    ]
    estimates = [contrast.estimate for contrast in contrasts]
    return Essential(
        estimates=(
            *estimates,
            _change_without(rows, matched & without, level),
            order_estimate(visits, level),
        ),
        equivalence=equivalence(contrasts[0], visits.scale, level=level),
        visits_with=int((usable & ~without).sum()),
        visits_without=int((usable & without).sum()),
        matched_without=int((matched & without).sum()),
        patients_without=people,
        insertions_matched=recorded(visits, "insertions"),
        level=level,
    )


def _needlings(visits: Visits, pain_after: ArrayLike | None) -> _Rows:
    """Lay out the needlings; the rating "then" is the latest that the needling cannot have changed."""
    table = visits.table
    first = first_rows(table["patient"].to_numpy())
    pain = worse(visits, table["pain"].to_numpy(dtype=np.float64))
    twitches = table["twitches"].to_numpy(dtype=np.float64)
    sought = table["sought"].to_numpy(dtype=bool)
    late = visits.rated == "after"
    now = shifted(pain, first, -1) if late else pain
    given = np.where(sought, twitches, 0.0)
    past = np.cumsum(np.nan_to_num(given)) - np.nan_to_num(given)
    past -= past[first]
    before = shifted(now, first, -1)
    insertions = (
        table["insertions"].to_numpy(dtype=np.float64)
        if recorded(visits, "insertions")
        else np.zeros(pain.size)
    )
    history = np.column_stack([
        now,
        np.where(np.isnan(before), now, before),
        np.isnan(before).astype(np.float64),
        pain[first],
        past,
        insertions,
    ])  # fmt: skip
    after = pain if late else np.full(pain.size, np.nan)
    if pain_after is not None:
        after = worse(visits, np.asarray(pain_after, dtype=np.float64))
    keep = sought & np.isfinite(twitches) & np.isfinite(history).all(axis=1)
    level = visit_levels(table["visit"].to_numpy())[keep]
    pooled = visit_levels(insertions[keep].astype(np.int64)) if keep.any() else level
    return _Rows(
        patient=table["patient"].to_numpy()[keep],
        stratum=np.unique(np.column_stack([level, pooled]), axis=0, return_inverse=True)[1].reshape(-1),
        any_twitch=(twitches[keep] > 0).astype(np.float64),
        twitches=twitches[keep],
        history=history[keep],
        next_pain=shifted(pain, first, 1)[keep],
        after=after[keep],
    )


def _matched(rows: _Rows, usable: Bools) -> Bools:
    """Usable rows in strata that hold both kinds of visit and more than one patient."""
    keep = usable.copy()
    for stratum in np.unique(rows.stratum[usable]):
        own = usable & (rows.stratum == stratum)
        kinds = np.unique(rows.any_twitch[own]).size
        if kinds < 2 or np.unique(rows.patient[own]).size < 2:
            keep &= ~own
    return keep


def _contrasts(rows: _Rows, outcome: Array, name: str, level: float) -> list[Contrast]:
    """At least one twitch against none in matched strata, and per twitch in all strata."""
    usable = np.isfinite(outcome)
    if not usable.any():
        reason = "no rating right after the needling is recorded"
        return [too_few(f"{name}_{kind}", (0, 0), reason) for kind in ("any", "per_twitch")]
    change = outcome - rows.history[:, 0]
    matched = _matched(rows, usable)
    without, some = (np.unique(rows.patient[matched & (rows.any_twitch == k)]).size for k in (0, 1))
    if min(without, some) < FEWEST_PATIENTS:
        short, other = ("without", "with") if without <= some else ("with", "without")
        reason = (
            f"too few patients have a visit {short} a twitch that can be set beside one {other}, at the same "
            "visit number and with the same insertions"
        )
        found = too_few(f"{name}_any", (without, some), reason, int(matched.sum()))
    else:
        found = _slope(f"{name}_any", change, rows.any_twitch, rows, matched, level)
    return [found, _slope(f"{name}_per_twitch", change, rows.twitches, rows, usable, level)]


def _slope(term: str, change: Array, exposure: Array, rows: _Rows, keep: Bools, level: float) -> Contrast:
    """Coefficient of the exposure within strata."""
    return fit_exposure(
        term,
        change[keep],
        exposure[keep],
        rows.history[keep],
        rows.patient[keep],
        stratum=rows.stratum[keep],
        level=level,
    )


def _change_without(rows: _Rows, keep: Bools, level: float) -> Estimate:
    """Mean change to the next rating at matched visits without a twitch."""
    change = (rows.next_pain - rows.history[:, 0])[keep]
    people = int(np.unique(rows.patient[keep]).size)
    if people < FEWEST_PATIENTS:
        reason = f"too few patients have such a visit; {FEWEST_PATIENTS} are needed"
        return not_estimated("without", n_rows=change.size, n_patients=people, reason=reason)
    theta, influence = weighted_regression(
        change, np.ones((change.size, 1)), np.ones(change.size), rows.patient[keep], small_sample=True
    )
    error = float(np.sqrt(influence[:, 0] @ influence[:, 0]))
    reach = float(stats.t.ppf(0.5 + level / 2.0, people - 1)) * error
    value = float(theta[0])
    return Estimate(
        "without", value, error, value - reach, value + reach, math.nan, change.size, people,
        "with regression to the mean in it",
    )  # fmt: skip
