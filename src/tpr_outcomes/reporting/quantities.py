"""Quantities a finding quotes: evidence put into units people know."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tpr_outcomes.inference.evidence import Evidence
from tpr_outcomes.inference.identifiability import LARGEST_LINEAR_MDR, LARGEST_THRESHOLD_MDR
from tpr_outcomes.inference.threshold import robust_slopes
from tpr_outcomes.inference.tipping import hinge_bias

Value = str | float | int | bool | None
"""What a finding may hold as a number."""

MOST_TIMES = 10.0
"""A record that would have to be more than this many times larger needs another design, not more patients."""
NORMAL_95 = 1.959964


@dataclass(frozen=True)
class LineRelief:
    """Relief that goes with the 95th percentile of the dose if every dose counts the same.

    Attributes
    ----------
    estimate, std_error, conf_low, conf_high : float
        Outcome units; positive is better; patient-robust.
    level : float
    """

    estimate: float
    std_error: float
    conf_low: float
    conf_high: float
    level: float = 0.95


def line_relief(evidence: Evidence) -> LineRelief | None:
    """Relief at the 95th percentile of the dose under a straight line; None where nothing was fitted."""
    if evidence.working is None or evidence.design is None or not evidence.design.dose_95 > 0:
        return None
    working = evidence.working
    slope, error = robust_slopes(working, working.ratings.dose_before[:, None] / working.unit)
    if not math.isfinite(error[0]):
        return None
    size = evidence.design.dose_95 / working.unit
    estimate, spread = -float(slope[0]) * size, float(error[0]) * size
    return LineRelief(estimate, spread, estimate - NORMAL_95 * spread, estimate + NORMAL_95 * spread)


def patients_past(evidence: Evidence, dose: float) -> int:
    """Number of patients with at least one rating past a cumulative dose."""
    return int(np.unique(evidence.ratings.patient[evidence.ratings.dose_before > dose]).size)


def one_dose(evidence: Evidence) -> bool:
    """Whether no patient's total changes between ratings, so that there is one dose per patient."""
    r = evidence.ratings
    same = (r.patient[1:] != r.patient[:-1]) | (r.dose_before[1:] == r.dose_before[:-1])
    return bool(np.bincount(r.patient, minlength=1).max(initial=0) > 1 and same.all())


def tipping_bias(evidence: Evidence) -> float | None:
    """Smallest hinge-shaped bias at the 95th percentile that would explain the relief past the threshold.

    None where the threshold lies past that percentile, or the relief is not clear of 0 to begin with.
    """
    if evidence.test is None or evidence.design is None:
        return None
    profile, top = evidence.test.profile, evidence.design.dose_95
    if not (top > profile.bend and math.isfinite(profile.slope_error)):
        return None
    high = profile.slope + NORMAL_95 * profile.slope_error
    bias = hinge_bias(profile.slope, high, knot=profile.bend, dose=top).bias
    return bias if bias > 0 else None


def patients_needed(evidence: Evidence) -> int | None:
    """Patients, with the same visits and doses, for the minimum detectable reliefs to be small enough.

    None where no number of patients would do or more than :data:`MOST_TIMES` as many are needed. Standard
    errors shrink with the root of the number of patients; rounded up to two digits.
    """
    design = evidence.design
    if design is None:
        return None
    span = evidence.scale.span
    shortfall = max(
        design.best_mdr / (LARGEST_THRESHOLD_MDR * span), design.linear_mdr / (LARGEST_LINEAR_MDR * span)
    )
    if not 1.0 < shortfall**2 <= MOST_TIMES:
        return None
    needed = evidence.ratings.n_patients * shortfall**2
    digit = 10 ** max(math.floor(math.log10(needed)) - 1, 0)
    return int(math.ceil(needed / digit) * digit)


def verdict_numbers(evidence: Evidence) -> dict[str, Value]:
    """Every number the verdict rests on, unrounded, outcome units and doses."""
    e = evidence
    numbers: dict[str, Value] = {"patients": e.ratings.n_patients, "ratings": int(e.ratings.pain.size)}
    if e.design is not None:
        numbers |= {
            "best_mdr": e.design.best_mdr,
            "linear_mdr": e.design.linear_mdr,
            "dose_95": e.design.dose_95,
            "share_within_visit": e.design.share_within_visit,
        }
    if e.test is not None:
        profile = e.test.profile
        numbers |= {
            "p_dose": e.test.scores.p_dose,
            "p_threshold": e.test.scores.p_threshold,
            "delta_bic": e.test.criteria.delta_bic,
            "threshold": profile.estimate,
            "conf_low": profile.conf_low,
            "conf_high": profile.conf_high,
            "relief_95": profile.relief_95,
            "before_high": profile.before_high,
            "patients_past": patients_past(e, profile.estimate),
            "tipping_bias": tipping_bias(e),
        }
    for check in (e.mundlak, e.lead):
        if check is not None:
            numbers[f"p_{check.name}"] = check.p_value
    numbers["relief_bound"] = e.relief_bound
    line = line_relief(e)
    if line is not None:
        numbers |= {"line": line.estimate, "line_low": line.conf_low, "line_high": line.conf_high}
    return numbers
