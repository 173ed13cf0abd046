"""After how many visits, and how many twitches, does a lasting improvement come? Claim C11.

A response is the first rating improved by the cited percentage that the next rating bears out. Courses
also end otherwise: the patient stops, for a reason, or is still coming when the record ends. Stopping
competes with responding, so shares are of all patients and never "of those who stayed".
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tpr_outcomes.cohort.derive import changes, ratings
from tpr_outcomes.cohort.scales import ImportantDifference
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError, PlanError
from tpr_outcomes.inference.clustered import Estimate
from tpr_outcomes.inference.competing import CENSORED, Incidence, aalen_johansen

Array = NDArray[np.float64]

RESPONSE = "response"
REASON_NOT_RECORDED = "stopped, reason not recorded"
STOPPED = "stopped: "
FEW = 10
"""With fewer patients still followed than this, a share carries a warning."""

LANDMARKS = (1, 2, 3, 6, 12)
"""Visits at which the share of responders is read off."""


@dataclass(frozen=True, eq=False)
class Response:
    """When lasting improvement comes.

    Attributes
    ----------
    cut : ImportantDifference
        The cited percentage.
    visits : Incidence
        By number of visits before the rating.
    dose : Incidence or None
        By cumulative dose before the rating; None where no dose is known.
    highest : Incidence
        As ``visits``, with an improvement at the very last rating, which nothing bears out, counted.
    unconfirmed : int
        Patients whose last rating was improved for the first time.
    left_out : int
        Patients without a first rating other than 0, or without a later one.
    left_out_of_dose : int
        Further patients whose dose is not known.
    reasons_recorded : bool
        Whether the record says who stopped. If not, every end of a record counts as stopping.
    estimates : tuple of Estimate
    """

    cut: ImportantDifference
    visits: Incidence
    dose: Incidence | None
    highest: Incidence
    unconfirmed: int
    left_out: int
    left_out_of_dose: int
    reasons_recorded: bool
    estimates: tuple[Estimate, ...]
    causes: Mapping[str, int] = field(default_factory=dict)
    highest_by: Mapping[float, int] = field(default_factory=dict)

    def to_frame(self) -> pd.DataFrame:
        """One row per estimate."""
        return pd.DataFrame([vars(row) for row in self.estimates])


@dataclass(frozen=True)
class Ending:
    """How one patient's course went.

    Attributes
    ----------
    visits, dose : float
        Visits, and dose, before its end.
    cause : str
        :data:`RESPONSE`, why the patient stopped, or still coming.
    unconfirmed_at : float
        Visits before an improvement at the very last rating; NaN where there is none.
    patient : int
        Code.
    """

    visits: float
    dose: float
    cause: str
    unconfirmed_at: float
    patient: int = -1


def analyse_response(
    visits: Visits, *, percent: float = 30.0, dose: str = "twitches", level: float = 0.95
) -> Response:
    """Visits and dose to the first lasting response, with stopping as a competing end.

    Parameters
    ----------
    visits : Visits
    percent : float, optional
        Improvement that counts, percent of the first rating; the scale must cite it.
    dose : str, optional
        Column of counts to add up.
    level : float, optional

    Returns
    -------
    Response
        Estimates ``response_by_1``, ``_2``, ``_3``, ``_6``, ``_12`` (share responded after at most that many
        visits), ``otherwise`` (share whose course had ended otherwise when the last was seen),
        ``median_visits``, ``median_dose`` (infinite: not reached).

    Raises
    ------
    PlanError
        If the scale has no citation for ``percent``.
    FitError
        If no patient has a first and a later rating, or nobody's course ended.

    Notes
    -----
    A response needs the rating after it. A patient still coming whose last rating is improved for the first
    time is followed up to the rating before it; one who stopped then counts as stopped, and in ``highest`` as
    a responder.
    """
    cut = visits.scale.percent_cut(percent)
    if cut is None:
        raise PlanError(
            f"The scale {visits.scale.name!r} has no cited cut-point of {percent:g} percent; take one it has."
        )
    endings = endings_of(visits, percent, dose)
    left_out = visits.n_patients - len(endings)
    if not endings:
        raise FitError("No patient has a first rating other than 0 and a later one; nobody can be followed.")
    by_visits = incidence_of(endings, level)
    known = [ending for ending in endings if math.isfinite(ending.dose)]
    by_dose = None
    if any(ending.cause != CENSORED for ending in known):
        by_dose = aalen_johansen(
            [ending.dose for ending in known], [ending.cause for ending in known], level=level
        )
    improved = [_as_response(ending) for ending in endings]
    return Response(
        cut=cut,
        visits=by_visits,
        dose=by_dose,
        highest=incidence_of(improved, level),
        causes=dict(Counter(ending.cause for ending in endings)),
        highest_by={landmark: sides_of(improved, RESPONSE, landmark)[0] for landmark in LANDMARKS},
        unconfirmed=sum(math.isfinite(ending.unconfirmed_at) for ending in endings),
        left_out=left_out,
        left_out_of_dose=len(endings) - len(known),
        reasons_recorded="stop_reason" in visits.table,
        estimates=tuple(_estimates(endings, by_visits, by_dose, _otherwise(endings, level))),
    )


def incidence_of(endings: Sequence[Ending], level: float) -> Incidence:
    """Cumulative incidence of response and of each reason to stop, by number of visits."""
    return aalen_johansen(
        [ending.visits for ending in endings], [ending.cause for ending in endings], level=level
    )


def _as_response(ending: Ending) -> Ending:
    """The same course with an improvement at its last rating counted as lasting."""
    if not math.isfinite(ending.unconfirmed_at):
        return ending
    return replace(ending, visits=ending.unconfirmed_at, cause=RESPONSE)


def endings_of(visits: Visits, percent: float, dose: str) -> list[Ending]:
    """One ending per patient with a first rating other than 0 and a later one."""
    table = visits.table
    sign = -1.0 if visits.scale.higher_is_worse else 1.0
    improved = sign * changes(visits).percent_change
    derived = ratings(visits, dose=dose)
    total = np.full(len(table), np.nan)
    total[derived.row] = derived.dose_before
    patient = table["patient"].to_numpy()
    opens = np.flatnonzero(np.diff(patient, prepend=-1))
    reasons = table["stop_reason"].to_numpy(dtype=object) if "stop_reason" in table else None
    endings = []
    for start, stop in zip(opens, np.append(opens[1:], len(table)), strict=True):
        rated = 1 + np.flatnonzero(np.isfinite(improved[start + 1 : stop]))
        if rated.size:
            why = REASON_NOT_RECORDED if reasons is None else _why(reasons[start:stop])
            last = int(stop - start)
            ending = _ending(rated, improved[start:stop] >= percent, total[start:stop], why, last)
            endings.append(replace(ending, patient=int(patient[start])))
    return endings


def _why(reasons: NDArray[np.object_]) -> str:
    """The patient's reason for stopping; none: still coming."""
    given = [reason for reason in reasons if isinstance(reason, str) and reason]
    return STOPPED + given[-1] if given else CENSORED


def _ending(
    rated: NDArray[np.int64], met: NDArray[np.bool_], total: Array, why: str, n_visits: int
) -> Ending:
    """Follow one patient: rows ``rated`` after the first, where ``met`` says improved enough."""
    held = met[rated]
    confirmed = np.flatnonzero(held[:-1] & held[1:])
    if confirmed.size:
        at = int(rated[confirmed[0]])
        return Ending(float(at), float(total[at]), RESPONSE, math.nan)
    last = int(rated[-1])
    unconfirmed_at = float(last) if held[-1] else math.nan
    if why != CENSORED:
        return Ending(float(n_visits), float(total[last]), why, unconfirmed_at)
    # still coming: whether the last rating lasts is not known, so it is as if not yet made
    seen = last if not held[-1] else (int(rated[-2]) if rated.size > 1 else 0)
    return Ending(float(seen), float(total[seen]) if seen else 0.0, CENSORED, unconfirmed_at)


def _thin(curve: Incidence, landmark: float) -> str:
    """Warn where few were still followed; intervals are then too short (docs/methods/response.md)."""
    if landmark > curve.time[-1]:
        return "nobody was followed that long"
    left = (
        int(curve.at_risk[curve.time <= landmark][-1]) if (curve.time <= landmark).any() else curve.n_patients
    )
    return "only few patients were still followed" if left < FEW else ""


def _otherwise(endings: Sequence[Ending], level: float) -> Estimate:
    """Share whose course ended without a response, whatever the reason."""
    name = "otherwise"
    causes = [e.cause if e.cause in (CENSORED, RESPONSE) else name for e in endings]
    n = len(endings)
    if name not in causes:
        return Estimate(name, 0.0, math.nan, math.nan, math.nan, math.nan, n, n, "nobody stopped", (0, n))
    curve = aalen_johansen([ending.visits for ending in endings], causes, level=level)
    sides = causes.count(name), n - causes.count(name)
    return Estimate(name, *curve.at(math.inf, name), math.nan, n, n, "", sides)


def sides_of(endings: Sequence[Ending], cause: str, landmark: float = math.inf) -> tuple[int, int]:
    """Patients whose course had ended so after at most that many visits, and the others."""
    ended = sum(ending.cause == cause and ending.visits <= landmark for ending in endings)
    return ended, len(endings) - ended


def _estimates(
    endings: Sequence[Ending], by_visits: Incidence, by_dose: Incidence | None, otherwise: Estimate
) -> list[Estimate]:
    """Landmark shares, the share that ended otherwise, and medians."""
    n = by_visits.n_patients
    rows = []
    responded = RESPONSE in by_visits.causes
    for landmark in LANDMARKS:
        shares = by_visits.at(landmark, RESPONSE) if responded else (0.0, math.nan, math.nan, math.nan)
        note = _thin(by_visits, landmark)
        sides = sides_of(endings, RESPONSE, landmark)
        rows.append(Estimate(f"response_by_{landmark}", *shares, math.nan, n, n, note, sides))
    rows.append(otherwise)
    for name, curve in (("median_visits", by_visits), ("median_dose", by_dose)):
        if curve is None or RESPONSE not in curve.causes:
            continue
        middle, low, high = curve.time_to(0.5, RESPONSE)
        note = "half of all patients never responded while followed" if math.isinf(middle) else ""
        people = curve.n_patients
        rows.append(Estimate(name, middle, math.nan, low, high, math.nan, people, people, note))
    return rows
