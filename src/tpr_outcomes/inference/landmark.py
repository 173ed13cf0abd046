"""Early twitches and what came later, and in which order relief and twitches came. Claim C3.

Patients are never grouped by the twitches of their whole course: who comes longer collects more twitches, so
"responders had more twitches" holds whatever twitches do. :func:`early_twitches` refuses it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tpr_outcomes.cohort.derive import changes
from tpr_outcomes.cohort.visits import Visits, first_rows
from tpr_outcomes.errors import PlanError
from tpr_outcomes.inference.clustered import Estimate, not_estimated, share_of
from tpr_outcomes.inference.contrast import FEWEST_PATIENTS, Contrast, fit_exposure, too_few

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

LANDMARK = 2
"""Visits whose twitches are early."""
LATER = 3
"""Recorded visits from the landmark to the later rating."""


def recorded(visits: Visits, column: str) -> bool:
    """Tell whether the visits hold a column with anything in it."""
    return column in visits.table and bool(visits.table[column].notna().any())


def worse(visits: Visits, values: Array) -> Array:
    """Return ratings turned so that higher is worse."""
    return values if visits.scale.higher_is_worse else -values


def shifted(values: Array, first: Ints, by: int) -> Array:
    """Return the value ``by`` recorded visits later (negative: before); NaN where the patient has none.

    Parameters
    ----------
    values : (n,) ndarray
    first : (n,) ndarray of int
        Row of the patient's first visit.
    by : int
    """
    where = np.arange(values.size) + by
    inside = (where >= 0) & (where < values.size)
    safe = np.clip(where, 0, values.size - 1)
    return np.where(inside & (first[safe] == first), values[safe], np.nan)


def early_twitches(visits: Visits, landmark: int | str = LANDMARK) -> Array:
    """Twitches of each patient up to a landmark visit: the only totals patients may be grouped by.

    Parameters
    ----------
    visits : Visits
    landmark : int
        Visits since the first that are early, the first one included.

    Returns
    -------
    (n_patients,) ndarray
        NaN where a count up to the landmark is missing, or the patient did not come up to it.

    Raises
    ------
    PlanError
        For the end of the course, or a landmark after which nobody was rated: grouping patients by what
        had yet to happen gives those who stayed their twitches in advance (immortal time).
    """
    if isinstance(landmark, bool) or not isinstance(landmark, int | np.integer):
        raise PlanError(
            f"Twitches up to {landmark!r} were asked for. Totals of a whole course cannot group patients: "
            "who comes longer collects more twitches, and nobody has them when the course begins (immortal "
            "time). Give a landmark visit, such as 2, and look at ratings after it."
        )
    table = visits.table
    first = first_rows(table["patient"].to_numpy())
    number = table["visit"].to_numpy() - table["visit"].to_numpy()[first] + 1
    rated = np.isfinite(table["pain"].to_numpy(dtype=np.float64))
    if landmark < 1 or not (rated & (number > landmark)).any():
        raise PlanError(
            f"The landmark is visit {landmark}, and nobody has a rating after it: it would group patients by "
            "twitches that came with or after the ratings (immortal time). Give an earlier visit, 1 or later."
        )
    early = number <= landmark
    counts = np.where(table["sought"], table["twitches"].to_numpy(dtype=np.float64), 0.0)
    patient = table["patient"].to_numpy()
    total = np.bincount(patient[early], weights=counts[early], minlength=visits.n_patients)
    came = np.zeros(visits.n_patients, dtype=bool)
    came[patient[number >= landmark]] = True
    return np.where(came, total, np.nan)


def landmark_contrasts(visits: Visits, landmark: int | str = LANDMARK, level: float = 0.95) -> list[Contrast]:
    """Compare the change from the landmark's rating by early twitches, among those who came up to it.

    Parameters
    ----------
    visits : Visits
    landmark : int, optional
        As in :func:`early_twitches`.
    level : float, optional

    Returns
    -------
    list of Contrast
        ``landmark_next_any``, ``landmark_next_per_twitch``: to the first rating after the landmark;
        ``landmark_later_any``, ``landmark_later_per_twitch``: to the rating :data:`LATER` recorded visits
        after it, among those still coming. Scale points, negative is better with early twitches; the first
        rating, the landmark's rating and early insertions held equal.
    """
    twitches = early_twitches(visits, landmark)
    columns, at, first, pain = _at_landmark(visits, int(landmark))
    known = (at >= 0) & np.isfinite(twitches) & np.isfinite(columns).all(axis=1)
    some = twitches > 0
    found = []
    for name, ahead in (("next", 1), ("later", LATER)):
        outcome = shifted(pain, first, ahead)[at]
        keep = known & np.isfinite(outcome)
        change, who = (outcome - pain[at])[keep], np.flatnonzero(keep)
        without, with_some = int((keep & ~some).sum()), int((keep & some).sum())
        if min(without, with_some) < FEWEST_PATIENTS:
            which = "no early twitch" if without <= with_some else "an early twitch"
            reason = f"too few patients had {which}"
            found.append(too_few(f"landmark_{name}_any", (without, with_some), reason, who.size))
        else:
            exposure = some[keep].astype(np.float64)
            found.append(
                fit_exposure(f"landmark_{name}_any", change, exposure, columns[keep], who, level=level)
            )
        term = f"landmark_{name}_per_twitch"
        if who.size:
            found.append(fit_exposure(term, change, twitches[keep], columns[keep], who, level=level))
        else:
            found.append(too_few(term, (0, 0), "nobody was rated so long after the landmark"))
    return found


def _at_landmark(visits: Visits, landmark: int) -> tuple[Array, Ints, Ints, Array]:
    """What was known of each patient at the landmark, and the row of their last early visit (-1: none)."""
    table, n = visits.table, visits.n_patients
    patient = table["patient"].to_numpy()
    first = first_rows(patient)
    number = table["visit"].to_numpy() - table["visit"].to_numpy()[first] + 1
    pain = worse(visits, table["pain"].to_numpy(dtype=np.float64))
    early = number <= landmark
    at = np.full(n, -1, dtype=np.int64)
    at[patient[early]] = np.flatnonzero(early)
    given = np.zeros(len(table))
    if recorded(visits, "insertions"):
        given = table["insertions"].to_numpy(dtype=np.float64)
    insertions = np.bincount(patient[early], weights=given[early], minlength=n)
    opens = np.zeros(n, dtype=np.int64)
    opens[patient] = first
    known = np.column_stack([pain[at], pain[opens], insertions])
    return known, at, first, pain


def order_estimate(visits: Visits, level: float = 0.95) -> Estimate:
    """Estimate the share of patients whose first improvement of 30% came before any recorded twitch.

    Returns
    -------
    Estimate
        ``relief_before_twitch``, of the patients who improved.
    """
    term, table = "relief_before_twitch", visits.table
    cut = visits.scale.percent_cut(30.0)
    if cut is None:
        return not_estimated(term, n_rows=0, n_patients=0, reason="the scale cites no improvement of 30%")
    sign = -1.0 if visits.scale.higher_is_worse else 1.0
    better = sign * changes(visits).percent_change >= cut.value
    twitched = table["twitches"].to_numpy(dtype=np.float64) > 0
    patient, position = table["patient"].to_numpy(), np.arange(len(table))
    never = len(table)
    relief = np.full(visits.n_patients, never)
    twitch = relief.copy()
    np.minimum.at(relief, patient[better], position[better])
    np.minimum.at(twitch, patient[twitched], position[twitched])
    eased = relief < never
    late = visits.rated == "after"  # at the same visit the rating comes first, or the twitches do
    earlier = relief < twitch if late else relief <= twitch
    return share_of(term, earlier[eased], np.flatnonzero(eased), level=level, note="of those who improved")
