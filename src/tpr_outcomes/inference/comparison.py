r"""Comparisons a link with twitches should survive: quiet insertions, an outcome that cannot change.

*Comparison dose.* If what helps is the needle and not the twitch, insertions that drew no recorded twitch
should go with relief as much as twitches do. With :math:`Q_{it}` the earlier insertions beyond the
twitches recorded at the same visits,

.. math:: Q_{it}=\sum_{s<t}(I_{is}-A_{is})_+ ,

both straight lines are fitted together beyond the background; the answer is the difference of their slopes,
with its patient-robust error.

*Negative-control outcome.* A rating that needling cannot change (pain at a distant place, say) should
have nothing to do with the cumulative dose. If it has, something else drives dose and ratings alike
(Lipsitch, Tchetgen Tchetgen and Cohen 2010, doi:10.1097/EDE.0b013e3181d61eeb). The test is the very one
that asks for any link of pain with the dose. In a simulated world where twitches do nothing, recorded
pain itself is such an outcome, so its false alarms and its power are the column "any dose" of
docs/methods/operating-characteristics.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from tpr_outcomes.cohort.derive import ratings
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.falsify import Check
from tpr_outcomes.inference.threshold import robust_fit, score_tests
from tpr_outcomes.models.candidates import NOTHING
from tpr_outcomes.models.working import Working, working_model

Array = NDArray[np.float64]

CONTROL = "control"
"""Column of the negative-control outcome."""
CONTROL_LEVEL = 0.05
"""The control alarms below this (two-sided: the smaller of both directions, doubled)."""
_QUIET = "quiet_insertions"
_NORMAL_95 = 1.959963984540054


@dataclass(frozen=True)
class ComparisonDose:
    """Slopes of twitches and of quiet insertions, fitted together.

    Attributes
    ----------
    twitches, quiet : float
        Change of the outcome per twitch and per insertion without one (scale points, higher is worse).
    twitches_error, quiet_error : float
        Patient-robust standard errors.
    difference, difference_error : float
        ``twitches - quiet``: negative when relief goes with twitches rather than insertions.
    conf_low, conf_high : float
        95% interval of the difference.
    p_value : float
        Two-sided, that the difference is 0.
    n_patients : int
    """

    twitches: float
    quiet: float
    twitches_error: float
    quiet_error: float
    difference: float
    difference_error: float
    conf_low: float
    conf_high: float
    p_value: float
    n_patients: int


def comparison_dose(visits: Visits, working: Working) -> ComparisonDose:
    """Compare the twitches with the insertions that drew none.

    Parameters
    ----------
    visits : Visits
        The record the working model was made from.
    working : Working
        With twitches as the dose.

    Returns
    -------
    ComparisonDose

    Raises
    ------
    FitError
        When insertions are not recorded throughout, or one of the doses does not vary beyond the other.
    """
    if working.ratings.dose != "twitches":
        raise FitError("twitches are not the dose of this analysis")
    table = visits.table
    if "insertions" not in table.columns:
        raise FitError("insertions are not recorded")
    quiet = (table["insertions"] - table["twitches"].fillna(0.0)).clip(lower=0.0)
    wider = replace(visits, table=table.assign(**{_QUIET: quiet}))
    both = ratings(wider, dose="twitches").cumulative(_QUIET)
    if both is None or not np.isfinite(both).all():
        raise FitError("insertions are not recorded at every needling")
    columns = np.column_stack([working.ratings.dose_before, both])
    slopes, covariance = robust_fit(working, columns)
    if not np.isfinite(covariance).all():
        raise FitError("twitches and insertions without one do not vary apart")
    contrast = np.array([1.0, -1.0])
    difference, error = float(contrast @ slopes), float(np.sqrt(contrast @ covariance @ contrast))
    errors = np.sqrt(np.diag(covariance))
    return ComparisonDose(
        twitches=float(slopes[0]),
        quiet=float(slopes[1]),
        twitches_error=float(errors[0]),
        quiet_error=float(errors[1]),
        difference=difference,
        difference_error=error,
        conf_low=difference - _NORMAL_95 * error,
        conf_high=difference + _NORMAL_95 * error,
        p_value=float(2.0 * ndtr(-abs(difference / error))),
        n_patients=working.ratings.n_patients,
    )


def control_check(visits: Visits, *, dose: str, replicates: int, seed: int) -> Check:
    """Look for a link between the dose and an outcome it cannot change.

    Parameters
    ----------
    visits : Visits
        With a column ``control``; the check cannot be done without.
    dose : str
    replicates, seed : int

    Returns
    -------
    Check
        Passed when twice the smaller of the p-values of both directions is 5% or more.
    """
    if CONTROL not in visits.table.columns or visits.table[CONTROL].isna().all():
        return Check(CONTROL, None, None, None, 0, "no negative-control outcome is recorded")
    swapped = replace(visits, table=visits.table.assign(pain=visits.table[CONTROL]))
    found = ratings(swapped, dose=dose)
    p_values = []
    try:
        if not (found.pain.size and np.ptp(found.pain) > 0):
            raise FitError("the negative-control outcome does not vary")
        for higher_is_worse in (True, False):
            working = working_model(found, higher_is_worse=higher_is_worse)
            tests = score_tests(working, replicates=replicates, seed=seed, rivals=(NOTHING,))
            p_values.append(tests.p_dose)
    except FitError as problem:
        return Check(CONTROL, None, None, None, found.n_patients, str(problem))
    p_value = min(1.0, 2.0 * min(p_values))
    return Check(CONTROL, p_value, p_value >= CONTROL_LEVEL, None, found.n_patients)
