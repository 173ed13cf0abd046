"""What could fool us: the warnings that go with a verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.inference.evidence import Decision, Evidence
from tpr_outcomes.inference.falsify import Check
from tpr_outcomes.inference.tipping import true_threshold
from tpr_outcomes.models.candidates import STEP
from tpr_outcomes.models.working import therapist_dummies
from tpr_outcomes.reporting import words
from tpr_outcomes.reporting.phrases import end_of, say
from tpr_outcomes.reporting.quantities import one_dose
from tpr_outcomes.reporting.spelling import amount, chances, number
from tpr_outcomes.reporting.told import told, unit_of

FEW_PATIENTS = 100
"""Below this many patients the test of any dose link is anti-conservative, and a warning says so."""


def warnings(
    evidence: Evidence, decision: Decision, texts: Mapping[str, str], visits: Visits | None
) -> tuple[str, ...]:
    """Everything that could fool us here, in the order of weight."""
    label = decision.label
    found: list[str] = []
    if evidence.lead is not None and label != "not_identifiable":
        found += _lead_warning(evidence.lead, texts)
    if decision.gate in (1, 2, 3):
        found.append(_trait_warning(evidence.mundlak, texts))
    if decision.gate == 1:
        found += _threshold_warnings(evidence, texts)
    if decision.gate in (2, 3):
        found.append(words.WARNINGS["fading"])
    if decision.gate == 4:
        found.append(words.WARNINGS["bound"])
    if decision.gate in (2, 3) and evidence.ratings.n_patients < FEW_PATIENTS:
        found.append(words.WARNINGS["few"])
    if decision.gate > 0:
        found += _record_warnings(evidence, visits)
    if visits is not None and not math.isfinite(visits.scale.span):
        found.append(words.WARNINGS["open_scale"])
    if decision.gate > 0:
        found.append(words.WARNINGS["stopping"])
    counts = {"few": str(FEW_PATIENTS), "therapists": str(_therapists(visits))}
    counts["span"] = amount(evidence.scale.span, unit_of(evidence.scale.unit))
    return tuple(say(text, {**texts, **counts}) for text in found)


def _lead_warning(lead: Check, texts: Mapping[str, str]) -> list[str]:
    if lead.passed is None:
        return [words.WARNINGS["lead_undone"].replace("{reason}", told(lead.reason))]
    if lead.passed or lead.p_value is None:
        return []
    return [say(words.WARNINGS["lead"], {**texts, "chances": chances(lead.p_value)})]


def _trait_warning(mundlak: Check | None, texts: Mapping[str, str]) -> str:
    kind = {True: "trait_held", False: "trait_lost", None: "trait_unknown"}
    passed = None if mundlak is None else mundlak.passed
    reason = "" if mundlak is None else told(mundlak.reason)
    said = say(words.WARNINGS[kind[passed]], {**texts, "reason": reason})
    return say(words.WARNINGS["trait"], {**texts, "mundlak": said})


def _threshold_warnings(evidence: Evidence, texts: Mapping[str, str]) -> list[str]:
    assert evidence.test is not None
    profile = evidence.test.profile
    true = [number(value) for value in true_threshold(profile.estimate)["threshold"]]
    values = {**texts, **dict(zip(("half", "seventy", "ninety"), true, strict=True))}
    values["past"] = texts["past_threshold"]
    end = end_of(profile)
    shape = "step_shape" if profile.shape == STEP.name else "shape"
    found = [] if end == "closed" else [words.OPEN_END[end]]
    if evidence.design is not None and not evidence.design.identifiable:
        found.insert(0, words.WARNINGS["weak_design"])
    return [
        say(text, values) for text in (*found, *(words.WARNINGS[k] for k in (shape, "undercount", "rare")))
    ]


def _record_warnings(evidence: Evidence, visits: Visits | None) -> list[str]:
    """What the record does not hold."""
    found = [words.WARNINGS["one_dose"]] if one_dose(evidence) else []
    if evidence.ratings.dose == "twitches" and evidence.ratings.cumulative("insertions") is None:
        found.append(words.WARNINGS["insertions"])
    if _therapists(visits) > 1 and therapist_dummies(evidence.ratings).shape[1] == 0:
        found.append(words.WARNINGS["therapists"])
    return found


def _therapists(visits: Visits | None) -> int:
    if visits is None or "therapist" not in visits.table.columns:
        return 0
    names = visits.table["therapist"]
    return int(names[names != ""].nunique())
