"""Each gate of the decision, at its edge and on both sides of it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.made_evidence import base, blind, every_label, evidence, unfitted

from tpr_outcomes.inference.evidence import (
    HARD_REASONS,
    LABELS,
    RELEVANT_SHARE,
    TEST_LEVEL,
    THRESHOLD_LEVEL,
    decide,
)
from tpr_outcomes.inference.falsify import LEAD_LEVEL, MUNDLAK_LEVEL
from tpr_outcomes.inference.threshold import BIC_MARGIN

BELOW, EDGE, ABOVE = TEST_LEVEL - 1e-9, TEST_LEVEL, TEST_LEVEL + 1e-9
SHAPE_BELOW, SHAPE_EDGE, SHAPE_ABOVE = THRESHOLD_LEVEL - 1e-9, THRESHOLD_LEVEL, THRESHOLD_LEVEL + 1e-9
SUPPORTED, ALARM = "threshold_supported", "threshold_shape_confounding_alarm"
CUMULATIVE, DOSE = "cumulative_association", "dose_association"
NONE, OPEN = "no_relevant_effect", "inconclusive"
RELEVANT = RELEVANT_SHARE * 10.0


@pytest.mark.parametrize(
    ("settings", "label"),
    [
        # Gate 1: every rival beaten at the level, and the information criterion agrees.
        ({"p": SHAPE_BELOW}, SUPPORTED),
        ({"p": SHAPE_EDGE, "bound": 2.0}, OPEN),
        ({"p_values": {"fading_fifth": SHAPE_BELOW}}, SUPPORTED),
        ({"p_values": {"fading_fifth": SHAPE_EDGE}}, CUMULATIVE),
        ({"p_values": {"fading_fifth": SHAPE_ABOVE}}, CUMULATIVE),
        ({"delta_bic": BIC_MARGIN + 1e-9}, SUPPORTED),
        ({"delta_bic": BIC_MARGIN}, CUMULATIVE),
        ({"delta_bic": BIC_MARGIN - 1e-9}, CUMULATIVE),
        # ... and both checks pass; the lead check may be impossible, the Mundlak check may not.
        ({"mundlak": MUNDLAK_LEVEL - 1e-9}, SUPPORTED),
        ({"mundlak": MUNDLAK_LEVEL}, ALARM),
        ({"mundlak": MUNDLAK_LEVEL + 1e-9}, ALARM),
        ({"mundlak": None}, ALARM),
        ({"lead": LEAD_LEVEL + 1e-9}, SUPPORTED),
        ({"lead": LEAD_LEVEL}, ALARM),
        ({"lead": LEAD_LEVEL - 1e-9}, ALARM),
        ({"lead": None}, SUPPORTED),
        # Gate 2: beyond time, the last visit and fading by half, and both checks.
        ({"p_values": {"linear": 0.3, "last": BELOW}}, CUMULATIVE),
        ({"p_values": {"linear": 0.3, "last": EDGE}}, DOSE),
        ({"p_values": {"linear": 0.3, "fading_half": EDGE}}, DOSE),
        ({"p_values": {"linear": 0.3}, "mundlak": MUNDLAK_LEVEL}, DOSE),
        ({"p_values": {"linear": 0.3}, "lead": LEAD_LEVEL}, DOSE),
        ({"p_values": {"linear": 0.3}, "mundlak": None}, DOSE),
        # Gate 3: any dose beyond time.
        ({"p": 0.3, "p_values": {"none": BELOW}}, DOSE),
        ({"p": 0.3, "p_values": {"none": EDGE}, "bound": 2.0}, OPEN),
        # Gate 4: the largest relief compatible with the record is below what matters, and no alarm.
        ({"p": 0.3, "bound": RELEVANT - 1e-9}, NONE),
        ({"p": 0.3, "bound": RELEVANT}, OPEN),
        ({"p": 0.3, "bound": RELEVANT + 1e-9}, OPEN),
        ({"p": 0.3, "bound": RELEVANT / 2, "lead": LEAD_LEVEL}, OPEN),
        ({"p": 0.3, "bound": RELEVANT / 2, "lead": None}, NONE),
        ({"p": 0.3, "bound": RELEVANT / 2, "mundlak": 0.9}, NONE),
    ],
)
def test_a_gate_opens_on_one_side_of_its_edge(settings: dict[str, Any], label: str) -> None:
    assert decide(evidence(**settings)).label == label


@pytest.mark.parametrize("label", LABELS)
def test_every_label_is_reached(label: str) -> None:
    for made in every_label()[label]:
        assert decide(made).label == label


def test_nothing_fitted_is_not_identifiable() -> None:
    assert decide(unfitted()).reasons == ("not_fitted",)


@pytest.mark.parametrize("reason", ["threshold_mdr", "linear_mdr", "patients_past", "no_dose"])
def test_a_design_that_cannot_tell_stops_every_gate_but_the_first(reason: str) -> None:
    assert decide(blind(reason)).reasons == (reason,)
    strong = decide(evidence(design={"identifiable": False, "reasons": (reason,)}))
    assert (strong.label == "not_identifiable") == (reason in HARD_REASONS)


@pytest.mark.parametrize(("p", "label"), [(BELOW, SUPPORTED), (EDGE, "not_identifiable")])
def test_a_weak_design_must_pass_a_lower_level(p: float, label: str) -> None:
    weak = evidence(p=p, design={"identifiable": False, "reasons": ("threshold_mdr",)})
    assert weak.threshold_level == TEST_LEVEL
    assert decide(weak).label == label
    assert evidence(p=p).threshold_level == THRESHOLD_LEVEL


def test_the_clinic_behind_these_tests_is_one_with_a_threshold() -> None:
    assert decide(base()).label == SUPPORTED
