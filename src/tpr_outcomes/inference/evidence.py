"""From visits to a decision: gather every number the verdict rests on, then apply the gates in order.

The gates live here, below planning, because they must be calibrated by simulation; what a decision may
be *called* is settled in :mod:`tpr_outcomes.reporting.verdict`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from tpr_outcomes.cohort.derive import Ratings, ratings
from tpr_outcomes.cohort.scales import Scale
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.falsify import Check, lead_check, mundlak_check
from tpr_outcomes.inference.identifiability import Design, design
from tpr_outcomes.inference.threshold import (
    BIC_MARGIN,
    ThresholdTest,
    hinge_columns,
    lone_slopes,
    threshold_test,
)
from tpr_outcomes.models.working import Working, dose_top, working_model

Label = Literal[
    "not_identifiable",
    "threshold_supported",
    "threshold_shape_confounding_alarm",
    "cumulative_association",
    "dose_association",
    "no_relevant_effect",
    "inconclusive",
]
LABELS: tuple[str, ...] = get_args(Label)

RULE_NAME = "threshold-verdict"
RULE_VERSION = "1"
THRESHOLD_LEVEL = 0.04
"""Level of each of the tests a threshold must pass. A straight line is the least favourable rival: there
the intersection–union test uses its whole level, and the margin keeps the simulated rate below 2.5%."""
TEST_LEVEL = 0.025
"""One-sided level of the other tests (two-sided 5%), whose labels carry no guarantee; and of the tests a
threshold must pass in a design that could not promise an answer."""
HARD_REASONS = frozenset({"no_dose", "patients_past"})
"""Reasons of the design that stop even a threshold the test has found."""
RELEVANT_SHARE = 0.10
"""A relief smaller than this share of the scale's span (1 point on 0–10) at the 95th percentile of the
dose is called "not of relevant size"."""
BOUND_ERRORS = 2.3
"""Standard errors added for the upper bound, simultaneous over knots by simulation."""


@dataclass(frozen=True)
class Evidence:
    """Every number behind a verdict.

    Attributes
    ----------
    ratings : Ratings
    working : Working or None
        None when nothing could be fitted.
    design : Design or None
    test : ThresholdTest or None
    mundlak, lead : Check or None
    relief_bound : float or None
        Largest relief at the 95th percentile of the dose still compatible with the data, outcome units.
    scale : Scale
    replicates, seed : int
    obstacle : str
        Why nothing could be fitted, else "".
    """

    ratings: Ratings
    working: Working | None
    design: Design | None
    test: ThresholdTest | None
    mundlak: Check | None
    lead: Check | None
    relief_bound: float | None
    scale: Scale
    replicates: int
    seed: int
    obstacle: str = ""

    @property
    def threshold_level(self) -> float:
        """Level of each of the tests a threshold must pass: lower where the design is weak."""
        weak = self.design is not None and not self.design.identifiable
        return TEST_LEVEL if weak else THRESHOLD_LEVEL


@dataclass(frozen=True)
class Decision:
    """Which gate was the first to match.

    Attributes
    ----------
    label : str
        One of :data:`LABELS`.
    gate : int
        0 to 5.
    reasons : tuple of str
        Rule ids that led there.
    """

    label: Label
    gate: int
    reasons: tuple[str, ...]


def gather_evidence(
    visits: Visits, *, dose: str = "twitches", replicates: int = 1999, seed: int = 1
) -> Evidence:
    """Run the whole procedure up to, but not including, words.

    Parameters
    ----------
    visits : Visits
    dose : str
        Column whose cumulative count is the dose.
    replicates : int
        Multiplier bootstrap replicates.
    seed : int
    """
    found = ratings(visits, dose=dose)
    scale = visits.scale
    try:
        if found.n_patients < 2 or not (found.dose_before > 0).any():
            raise FitError("No patient has a later rating after a recorded, positive dose.")
        working = working_model(found, higher_is_worse=scale.higher_is_worse)
        if working.fit.status == "failed":
            raise FitError(f"The background model has no certified optimum: {working.fit.message}.")
    except FitError as problem:
        return Evidence(found, None, None, None, None, None, None, scale, replicates, seed, str(problem))
    return Evidence(
        ratings=found,
        working=working,
        design=design(working, span=scale.span),
        test=threshold_test(working, replicates=replicates, seed=seed, best=scale.best),
        mundlak=mundlak_check(working, replicates=replicates, seed=seed),
        lead=lead_check(working),
        relief_bound=relief_bound(working),
        scale=scale,
        replicates=replicates,
        seed=seed,
    )


def relief_bound(working: Working) -> float:
    """Largest relief at the 95th percentile of the dose compatible with the data, outcome units.

    Notes
    -----
    ``max over knots of (-b(tau) + 2.3 se(tau)) (C95 - tau)``, where ``b`` is the slope of a lone hinge
    beyond the background and ``se`` its patient-robust standard error.
    """
    dose = working.ratings.dose_before
    positive = dose[dose > 0]
    top = dose_top(working.ratings)
    knots = np.concatenate(([0.0], np.quantile(positive, np.linspace(0.10, 0.85, 10))))
    knots = np.unique(knots[knots < top])
    if not knots.size:
        return 0.0  # the 95th percentile of the dose is 0
    slopes, errors = lone_slopes(working, hinge_columns(working.ratings, knots, working.unit))
    return float(((-slopes + BOUND_ERRORS * errors) * (top - knots)).max() / working.unit)


def decide(evidence: Evidence) -> Decision:
    """Apply the gates; the first that matches decides.

    Notes
    -----
    1 threshold-shaped (all rivals beaten, BIC agrees, both checks pass; if only a check fails, shape with
    a confounding alarm); 0 not identifiable; 2 cumulative association; 3 dose association; 4 no relevant
    effect; 5 inconclusive. The error guarantee belongs to gate 1 alone. Gate 1 comes before gate 0
    because a test whose size holds needs no permission: a design too weak to promise an answer may
    still have given one, if it passes a lower level. No dose, or fewer than 15 patients past every
    threshold, stops even gate 1.
    """
    e = evidence
    if e.design is None or e.test is None or e.mundlak is None or e.lead is None or e.relief_bound is None:
        return Decision("not_identifiable", 0, ("not_fitted",))
    scores = e.test.scores
    failed = tuple(check.name for check in (e.mundlak, e.lead) if check.passed is False)
    if e.mundlak.passed is None:
        failed = ("mundlak", *failed)
    shaped = scores.p_threshold < e.threshold_level and e.test.criteria.delta_bic > BIC_MARGIN
    if shaped and not HARD_REASONS.intersection(e.design.reasons):
        if failed:
            return Decision("threshold_shape_confounding_alarm", 1, failed)
        return Decision("threshold_supported", 1, ("p_threshold", "delta_bic", "mundlak", "lead"))
    if not e.design.identifiable:
        return Decision("not_identifiable", 0, e.design.reasons)
    lasting = all(scores.p_values[name] < TEST_LEVEL for name in ("none", "last", "fading_half"))
    if lasting and not failed:
        return Decision("cumulative_association", 2, ("none", "last", "fading_half", "mundlak", "lead"))
    if scores.p_dose < TEST_LEVEL:
        return Decision("dose_association", 3, ("none", *failed))
    if e.relief_bound < RELEVANT_SHARE * e.scale.span and e.lead.passed is not False:
        return Decision("no_relevant_effect", 4, ("relief_bound",))
    return Decision("inconclusive", 5, failed)
