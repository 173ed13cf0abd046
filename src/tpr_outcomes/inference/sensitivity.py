r"""What could fool us, in numbers: the question asked under other assumptions, and how wrong each could be.

Gathered once beside the verdict, never part of its gates:

- *history-adjusted dose effects* (:mod:`~tpr_outcomes.inference.sequential`): the structural nested mean
  model over the next rating and over all later ones, and the weighted marginal structural model;
- *checks that can fail*: timing within patients, quiet insertions, a negative-control outcome;
- *tipping points*: an unrecorded reason for needling, natural recovery, and unseen ratings of patients
  who stopped.

Whatever cannot be done is returned as :class:`Undone`, with its reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError, PlanError
from tpr_outcomes.inference.comparison import ComparisonDose, comparison_dose, control_check
from tpr_outcomes.inference.dropout import (
    DoseSlope,
    StoppingModel,
    TippingPoint,
    fit_stopping,
    mean_change,
    tipping_point,
)
from tpr_outcomes.inference.evidence import Decision, Evidence
from tpr_outcomes.inference.falsify import Check, timing_check
from tpr_outcomes.inference.history import history
from tpr_outcomes.inference.imputation import impute, panel
from tpr_outcomes.inference.sequential import MsmFit, SnmmFit, fit_msm, fit_snmm
from tpr_outcomes.inference.threshold import hinge_columns
from tpr_outcomes.inference.tipping import (
    NaturalCourse,
    benchmark_bound,
    natural_course,
    omitted_bias,
    robustness_value,
)
from tpr_outcomes.models.random_threshold import RandomThresholdFit, fit_random_threshold
from tpr_outcomes.models.working import Working, dose_top

Array = NDArray[np.float64]
T = TypeVar("T")

TIMING_REPLICATES = 199
IMPUTATIONS = 20
FEWEST_SHARE = 0.20
"""Unseen ratings are drawn up to the last visit at which this share of the patients was rated: further on
there would be little but draws."""
NATURAL_FALL = 0.28
NATURAL_WEEKS = 5.8
"""Natural recovery of people with persistent low-back pain who were not selected for needling: 28 of 100
points in the end, 63% of that within 5.8 weeks (Costa et al. 2012, doi:10.1503/cmaj.111271)."""


@dataclass(frozen=True)
class Undone:
    """An analysis that could not be done.

    Attributes
    ----------
    reason : str
        A clause in plain words.
    """

    reason: str


@dataclass(frozen=True)
class UnrecordedReason:
    """How strong an unrecorded reason for needling would have to be (Cinelli and Hazlett 2020).

    Attributes
    ----------
    slope, std_error : float
        Change of the outcome per dose (past ``knot``) on whitened rows, higher is worse, and its
        model-based standard error.
    knot : float
        Threshold, 0 for a straight line.
    df : int
        Residual degrees of freedom.
    value, value_interval : float
        Share of what is left unexplained, of dose and ratings alike, that the reason would have to explain
        to bring the slope, or the near end of its 95% interval, to 0.
    benchmark : float or None
        By how much a reason as strong as the first rating would move the slope; None where the first rating
        leaves nothing to compare with.
    """

    slope: float
    std_error: float
    knot: float
    df: int
    value: float
    value_interval: float
    benchmark: float | None


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """Everything beside the verdict that says how far it can be trusted.

    Attributes
    ----------
    next_rating, all_ratings : SnmmFit or Undone
        Structural nested mean model over the next rating, and over all later ones.
    past_threshold : SnmmFit or Undone or None
        The same over the next rating, past the threshold; None unless a threshold is reported.
    weighted : MsmFit or Undone
    timing, control : Check
    comparison : ComparisonDose or Undone
    stopping : StoppingModel or Undone
    mean_change : TippingPoint or Undone
        How much worse unseen ratings of those who stopped would have to be for the mean change to be no
        longer clear of 0.
    dose_slope : TippingPoint or Undone
        How much better for the slope of the dose (past the threshold, if one is reported).
    unrecorded : UnrecordedReason or Undone
    natural : NaturalCourse or Undone
    spread : RandomThresholdFit or Undone or None
        Thresholds that may differ between patients; None unless a threshold is reported.
    last_visit : int
        Visits after the first up to which unseen ratings were drawn.
    worse : float
        +1 when higher scores are worse, else -1: the sign of ``unrecorded`` and ``comparison``, whose slopes
        count up as worse, in points of the scale.
    """

    next_rating: SnmmFit | Undone
    all_ratings: SnmmFit | Undone
    past_threshold: SnmmFit | Undone | None
    weighted: MsmFit | Undone
    timing: Check
    control: Check
    comparison: ComparisonDose | Undone
    stopping: StoppingModel | Undone
    mean_change: TippingPoint | Undone
    dose_slope: TippingPoint | Undone
    unrecorded: UnrecordedReason | Undone
    natural: NaturalCourse | Undone
    spread: RandomThresholdFit | Undone | None
    last_visit: int
    worse: float


def gather_sensitivity(visits: Visits, evidence: Evidence, decision: Decision) -> Sensitivity | None:
    """Ask the question again under other assumptions.

    Parameters
    ----------
    visits : Visits
        The record the evidence was made from.
    evidence : Evidence
    decision : Decision
        Says whether there is a threshold past which to ask.

    Returns
    -------
    Sensitivity or None
        None when nothing could be fitted.
    """
    if evidence.working is None or evidence.test is None:
        return None
    dose, seed, working = evidence.ratings.dose, evidence.seed, evidence.working
    knot = evidence.test.profile.bend if decision.gate == 1 else 0.0
    try:
        rows = history(visits, dose=dose)
    except FitError as problem:
        undone = Undone(str(problem))
        fits: tuple[SnmmFit | Undone, SnmmFit | Undone, MsmFit | Undone] = (undone, undone, undone)
        past: SnmmFit | Undone | None = undone if knot else None
    else:
        fits = (
            tried(lambda: fit_snmm(rows)),
            tried(lambda: fit_snmm(rows, lags=None)),
            tried(lambda: fit_msm(rows)),
        )
        past = tried(lambda: fit_snmm(rows, knot=knot)) if knot else None
    last_visit = common_visits(evidence)
    unrecorded = unrecorded_reason(working, knot)
    return Sensitivity(
        next_rating=fits[0],
        all_ratings=fits[1],
        past_threshold=past,
        weighted=fits[2],
        timing=timing_check(working, replicates=TIMING_REPLICATES, seed=seed),
        control=control_check(visits, dose=dose, replicates=evidence.replicates, seed=seed),
        comparison=tried(lambda: comparison_dose(visits, working)),
        stopping=tried(lambda: fit_stopping(visits, dose=dose)),
        mean_change=tried(lambda: _stopped_worse(visits, evidence, last_visit)),
        dose_slope=tried(lambda: _stopped_better(visits, evidence, last_visit, knot)),
        unrecorded=unrecorded,
        natural=tried(lambda: _natural(evidence, unrecorded)),
        spread=tried(lambda: threshold_spread(working)) if decision.gate == 1 else None,
        last_visit=last_visit,
        worse=working.worse,
    )


def tried(analysis: Callable[[], T]) -> T | Undone:
    """Return what an analysis found, or why it could not be done."""
    try:
        return analysis()
    except (FitError, PlanError) as problem:
        return Undone(str(problem))


def threshold_spread(working: Working) -> RandomThresholdFit:
    """Fit thresholds that may differ between patients, on the background of the verdict.

    Notes
    -----
    Residual correlation is that of the working model; the random slope is on time itself, so that both
    run on one clock (:func:`~tpr_outcomes.models.random_threshold.fit_random_threshold`).
    """
    r, covariance = working.ratings, working.fit.covariance
    return fit_random_threshold(
        working.worse * r.pain,
        working.nuisance,
        dose=r.dose_before,
        patient=r.patient,
        time=working.time,
        random_slope=working.random == "intercept and slope",
        autocorrelation=min(covariance.phi, 0.999),
        nugget=covariance.nugget,
    )


def common_visits(evidence: Evidence) -> int:
    """Count the visits after the first up to the last at which a fifth of the patients was rated."""
    r = evidence.ratings
    t = r.t.astype(np.int64)
    rated = np.bincount(t)
    return int(np.flatnonzero(rated >= FEWEST_SHARE * r.n_patients).max(initial=1))


def _stopped_worse(visits: Visits, evidence: Evidence, last_visit: int) -> TippingPoint:
    """Tipping point of the mean change, ratings drawn as for patients who go on being treated."""
    scale = evidence.scale
    ends = (scale.minimum, scale.minimum + scale.span)
    drawn = impute(
        panel(visits, last_visit=last_visit), imputations=IMPUTATIONS, seed=evidence.seed, limits=ends
    )
    worse = 1.0 if scale.higher_is_worse else -1.0
    return tipping_point(drawn, mean_change, limit=worse * scale.span)


def _stopped_better(visits: Visits, evidence: Evidence, last_visit: int, knot: float) -> TippingPoint:
    """Tipping point of the dose slope, the dose standing still after stopping."""
    scale = evidence.scale
    ends = (scale.minimum, scale.minimum + scale.span)
    data = panel(visits, dose=evidence.ratings.dose, last_visit=last_visit)
    drawn = impute(data, imputations=IMPUTATIONS, seed=evidence.seed, limits=ends)
    worse = 1.0 if scale.higher_is_worse else -1.0
    return tipping_point(drawn, DoseSlope(knot), limit=-worse * scale.span)


def unrecorded_reason(working: Working, knot: float) -> UnrecordedReason | Undone:
    """Find how strong an unrecorded reason for needling would have to be.

    Parameters
    ----------
    working : Working
    knot : float
        Threshold; 0 for the straight line.

    Notes
    -----
    Least squares on whitened rows: background and one dose column. The benchmark is the first rating with
    its courses: its partial :math:`R^2` with the dose given the rest of the background, and with the
    ratings given the dose too.
    """
    column = working.whiten(hinge_columns(working.ratings, np.array([knot]), working.unit))
    dose, y = working.clear(column)[:, 0], working.clear(working.y)
    square = float(dose @ dose)
    if square <= 1e-12 * float((column**2).sum()):
        return Undone("the dose does not vary beyond the background")
    df = y.size - working.x.shape[1] - 1
    slope = float(dose @ y) / square
    error = float(np.sqrt(((y - slope * dose) ** 2).sum() / df / square))
    t = slope / error
    return UnrecordedReason(
        slope=slope / working.unit,
        std_error=error / working.unit,
        knot=knot,
        df=df,
        value=robustness_value(t, df),
        value_interval=robustness_value(t, df, level=0.95),
        benchmark=_benchmark(working, column[:, 0], error, df),
    )


def _benchmark(working: Working, dose: Array, error: float, df: int) -> float | None:
    """Bias of the slope per dose that a reason as strong as the first rating would cause, at most."""
    r = working.ratings
    first = r.baseline - r.baseline.mean()
    block = np.column_stack([first, first * working.time / 5.0, first * np.log1p(working.time)])
    left = working.nuisance - block @ np.linalg.lstsq(block, working.nuisance, rcond=None)[0]
    others = np.linalg.norm(left, axis=0) > 1e-8 * np.linalg.norm(working.nuisance, axis=0)
    block, rest = working.whiten(block), working.whiten(working.nuisance[:, others])
    r2_dose = _block_r2(dose, rest, block)
    r2_outcome = _block_r2(working.y, np.column_stack([rest, dose]), block)
    try:
        bound = benchmark_bound(r2_dose, r2_outcome)
    except PlanError:
        return None
    return omitted_bias(error, df, r2_dose=bound[0], r2_outcome=bound[1]) / working.unit


def _block_r2(target: Array, rest: Array, block: Array) -> float:
    """Partial R-squared of a block of columns given others."""
    basis = np.linalg.qr(rest)[0]
    left = target - basis @ (basis.T @ target)
    q = np.linalg.qr(block - basis @ (basis.T @ block))[0]
    return float(((q.T @ left) ** 2).sum() / (left @ left))


def _natural(evidence: Evidence, unrecorded: UnrecordedReason | Undone) -> NaturalCourse:
    """How much faster the heavily needled would have had to recover anyway."""
    if isinstance(unrecorded, Undone):
        raise FitError(unrecorded.reason)
    top = dose_top(evidence.ratings)
    low = -(unrecorded.slope + 1.959963984540054 * unrecorded.std_error) * (top - unrecorded.knot)
    if not low > 0:
        raise FitError("the relief that goes with the dose is not clear of zero, so nothing needs explaining")
    heavy = evidence.ratings.dose_before >= top
    weeks = float(np.median(evidence.ratings.weeks[heavy])) if heavy.any() else 0.0
    if not weeks > 0:
        raise FitError("no rating was made at the highest doses")
    return natural_course(
        low, weeks=weeks, fall=NATURAL_FALL * evidence.scale.span, time_constant=NATURAL_WEEKS
    )
