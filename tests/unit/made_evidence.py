"""Evidence to order: one real clinic's numbers with those that matter replaced."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.inference.evidence import Evidence, gather_evidence
from tpr_outcomes.inference.falsify import LEAD_LEVEL, MUNDLAK_LEVEL, Check
from tpr_outcomes.planning.simulate import simulate

UNSET: Any = object()


OBSTACLE = (
    "12 usable ratings are too few for a background of 9 columns; more patients or more visits are needed."
)


@lru_cache
def clinic(world: str = "A-thr40", n_patients: int = 120) -> Visits:
    """A simulated clinic."""
    return simulate(world, n_patients=n_patients, seed=5)


@lru_cache
def base(world: str = "A-thr40", n_patients: int = 120) -> Evidence:
    """What was found in it."""
    return gather_evidence(clinic(world, n_patients), replicates=99, seed=1)


def evidence(
    *,
    p: float = 0.01,
    p_values: dict[str, float] | None = None,
    delta_bic: float = 5.0,
    mundlak: float | None = 0.01,
    lead: float | None = 0.5,
    bound: float = 2.0,
    design: dict[str, Any] | None = None,
    profile: dict[str, Any] | None = None,
    **other: Any,
) -> Evidence:
    """Evidence of an identifiable clinic in which every rival has p-value ``p``, unless told otherwise."""
    e = base()
    assert e.test is not None
    assert e.design is not None
    known = dict.fromkeys(e.test.scores.p_values, p) | (p_values or {})
    test = replace(
        e.test,
        scores=replace(e.test.scores, p_values=known),
        criteria=replace(e.test.criteria, delta_bic=delta_bic),
        profile=replace(e.test.profile, **(profile or {})),
    )
    settled = replace(e.design, **({"identifiable": True, "reasons": ()} | (design or {})))
    return replace(
        e,
        test=test,
        design=settled,
        mundlak=check("mundlak", mundlak, passed=mundlak is not None and mundlak < MUNDLAK_LEVEL),
        lead=check("lead", lead, passed=lead is not None and lead > LEAD_LEVEL),
        relief_bound=bound,
        **other,
    )


def check(name: str, p: float | None, *, passed: bool) -> Check:
    """A check with this p-value; one that could not be done where it is None."""
    if p is None:
        return Check(name, None, None, None, 12, "too few visits with two ratings before a varying dose")
    return Check(name, p, passed, 1.0, 120)


def unfitted() -> Evidence:
    """Evidence of a record in which nothing could be fitted."""
    nothing: dict[str, Any] = dict.fromkeys(
        ("working", "design", "test", "mundlak", "lead", "relief_bound"), None
    )
    return replace(base(), obstacle=OBSTACLE, **nothing)


def blind(*reasons: str, **numbers: Any) -> Evidence:
    """Evidence of a record that cannot tell, for these reasons."""
    return evidence(p=0.3, design={"identifiable": False, "reasons": reasons, **numbers})


def every_label() -> dict[str, list[Evidence]]:
    """Evidence that leads to each label, by every road."""
    knots = np.full(base().design.mdr.size, np.inf)  # type: ignore[union-attr]
    nowhere: dict[str, Any] = {
        "knots": np.empty(0),
        "mdr": np.empty(0),
        "patients_past": np.empty(0, dtype=np.int64),
    }
    nowhere |= {"dose_95": 0.0, "linear_mdr": np.inf, "share_within_visit": 0.0}
    return {
        "not_identifiable": [
            unfitted(),
            blind("threshold_mdr", mdr=np.full(knots.size, 1.4)),
            blind("threshold_mdr", mdr=knots),
            blind("linear_mdr", linear_mdr=2.5),
            blind("threshold_mdr", "linear_mdr", mdr=knots, linear_mdr=np.inf),
            blind(
                "threshold_mdr", "linear_mdr", "patients_past", mdr=np.full(knots.size, 9.0), linear_mdr=8.0
            ),
            blind("patients_past"),
            blind("no_dose", **nowhere),
        ],
        "threshold_supported": [
            evidence(),
            evidence(lead=None),
            evidence(profile={"open_high": True}),
            evidence(profile={"open_low": True}),
            evidence(profile={"open_low": True, "open_high": True}),
            evidence(profile={"estimate": 500.0}),
            evidence(profile={"before_high": np.inf}),
            evidence(profile={"before_high": -0.3}),
            evidence(profile={"slope_error": 1.0}),
            evidence(design={"identifiable": False, "reasons": ("threshold_mdr",)}),
        ],
        "threshold_shape_confounding_alarm": [
            evidence(mundlak=0.2),
            evidence(lead=0.01),
            evidence(mundlak=0.2, lead=0.01),
            evidence(mundlak=None),
        ],
        "cumulative_association": [evidence(p_values={"linear": 0.3}), evidence(delta_bic=-1.0)],
        "dose_association": [
            evidence(p_values={"linear": 0.3, "last": 0.3}),
            evidence(p_values={"linear": 0.3}, mundlak=0.4),
            evidence(p_values={"linear": 0.3}, lead=0.001),
        ],
        "no_relevant_effect": [
            evidence(p=0.4, bound=0.7),
            evidence(p=0.4, bound=-0.2, lead=None, mundlak=0.5),
        ],
        "inconclusive": [evidence(p=0.4, bound=1.02), evidence(p=0.4, bound=0.8, lead=0.01)],
    }
