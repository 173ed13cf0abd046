r"""Can these records tell dose from time at all?

For a knot :math:`\tau`, with :math:`\tilde h_\tau` the whitened hinge cleared of the background and of a
straight-line dose, :math:`se(\tau)=1/\lVert\tilde h_\tau\rVert` (whitened residuals have variance one) and
the *minimum detectable relief* is what a known-knot one-sided 5% test finds with 80% power, expressed at
the 95th percentile of the cumulative dose:

.. math:: \mathrm{MDR}(\tau)=2.49\; se(\tau)\,(C_{95}-\tau),\qquad 2.49 = z_{.95}+z_{.80}.

Searching for the knot costs about a quarter, so 1.25 MDR is quoted as the honest 80% figure. The outcome
enters through its residual variance alone, never through its relation to the dose.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tpr_outcomes.inference.threshold import hinge_columns
from tpr_outcomes.models.candidates import score_knots
from tpr_outcomes.models.working import Working, dose_top

Array = NDArray[np.float64]

POWER_FACTOR = 2.49
SEARCH_COST = 1.25
LARGEST_THRESHOLD_MDR = 0.15
"""Largest 1.25 MDR of the best knot, as a share of the scale's span (1.5 points on 0–10)."""
LARGEST_LINEAR_MDR = 0.20
"""Largest MDR of a straight line, as a share of the scale's span (2 points on 0–10)."""
FEWEST_PAST = 15
"""Patients with ratings past the knot that at least one knot must have."""


@dataclass(frozen=True)
class Design:
    """What the visits and doses allow to be seen, whatever they show.

    Attributes
    ----------
    knots : ndarray, shape (k,)
        Candidate thresholds, doses.
    mdr : ndarray, shape (k,)
        Minimum detectable relief per knot, outcome units; inf where a straight line spans the hinge.
    patients_past : ndarray of int, shape (k,)
        Patients with at least one rating past each knot.
    linear_mdr : float
        Minimum detectable relief of a straight line at the 95th percentile, outcome units.
    dose_95 : float
        95th percentile of the cumulative dose over all rated visits, the first included.
    share_within_visit : float
        Variance of cumulative dose within visit number, as a share of all: 0 when the dose is the
        visit number in disguise.
    identifiable : bool
    reasons : tuple of str
        Rule ids that failed: ``"threshold_mdr"``, ``"linear_mdr"``, ``"patients_past"``, ``"no_dose"``.
    """

    knots: Array
    mdr: Array
    patients_past: NDArray[np.int64]
    linear_mdr: float
    dose_95: float
    share_within_visit: float
    identifiable: bool
    reasons: tuple[str, ...]

    @property
    def best_mdr(self) -> float:
        """Honest (1.25 times) minimum detectable relief at the best knot up to the 85th percentile."""
        return SEARCH_COST * float(self.mdr.min(initial=np.inf))


def design(working: Working, *, span: float) -> Design:
    """Judge the design from doses, times and residual variance.

    Parameters
    ----------
    working : Working
    span : float
        Width of the outcome scale (10 for the NRS).
    """
    ratings = working.ratings
    dose = ratings.dose_before
    positive = dose[dose > 0]
    if positive.size == 0 or np.ptp(dose) == 0:
        return Design(
            np.empty(0), np.empty(0), np.empty(0, dtype=np.int64), np.inf, 0.0, 0.0, False, ("no_dose",)
        )
    top = dose_top(ratings)
    knots = score_knots(dose)
    knots = knots[(knots > 0) & (knots <= np.quantile(positive, 0.85)) & (knots < top)]
    line = working.clear(working.whiten(dose[:, None] / working.unit))[:, 0]
    square = float(line @ line)
    linear_mdr = POWER_FACTOR * top / working.unit / np.sqrt(square) if square > 1e-12 else np.inf
    white = working.clear(working.whiten(hinge_columns(ratings, knots, working.unit)))
    if square > 1e-12:
        white = white - line[:, None] * ((line @ white) / square)
    size = np.linalg.norm(white, axis=0)
    with np.errstate(divide="ignore"):
        mdr = np.where(size > 1e-9, POWER_FACTOR * (top - knots) / working.unit / size, np.inf)
    past = np.array([np.unique(ratings.patient[dose > knot]).size for knot in knots], dtype=np.int64)
    reasons = []
    if not SEARCH_COST * mdr.min(initial=np.inf) <= LARGEST_THRESHOLD_MDR * span:
        reasons.append("threshold_mdr")
    if not linear_mdr <= LARGEST_LINEAR_MDR * span:
        reasons.append("linear_mdr")
    if not (past >= FEWEST_PAST).any():
        reasons.append("patients_past")
    return Design(
        knots=knots,
        mdr=mdr,
        patients_past=past,
        linear_mdr=float(linear_mdr),
        dose_95=top,
        share_within_visit=_share_within(dose, ratings.visit),
        identifiable=not reasons,
        reasons=tuple(reasons),
    )


def _share_within(dose: Array, visit: NDArray[np.int64]) -> float:
    """Var(C | visit) / Var(C)."""
    _, level = np.unique(visit, return_inverse=True)
    mean = np.bincount(level, dose) / np.bincount(level)
    return float(((dose - mean[level]) ** 2).sum() / ((dose - dose.mean()) ** 2).sum())
