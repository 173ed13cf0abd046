"""Answers to C2, C12 and C13, the core: they follow the verdict and never contradict it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from tpr_outcomes.inference.carryover import CarryOver
from tpr_outcomes.inference.evidence import RELEVANT_SHARE, TEST_LEVEL, THRESHOLD_LEVEL, Evidence
from tpr_outcomes.inference.threshold import robust_slopes
from tpr_outcomes.reporting import words
from tpr_outcomes.reporting.claim_plug import Analysis, Basis, Said
from tpr_outcomes.reporting.claims_twitches import SHOWN, carryover_of, carryover_said
from tpr_outcomes.reporting.verdict import VERDICT_RULE, Answer, Grade, Number


def _said(basis: Basis, template: str, answer: Answer) -> Said:
    grade: Grade = "none" if answer in ("not identifiable", "not recorded") else "association"
    return Said(answer, template, grade, numbers=_numbers(basis.evidence))


def _numbers(e: Evidence) -> list[Number]:
    """The numbers the verdict rests on."""
    n, found = e.ratings.n_patients, []
    if e.relief_bound is not None:
        method = "largest relief compatible with the record, over thresholds"
        found.append(Number("relief_bound", e.relief_bound, unit=e.scale.unit, n=n, method=method))
    if e.test is not None:
        scores = e.test.scores
        method = f"averaged score, {scores.replicates} patient-level sign flips"
        for term, p_value in (("p_dose", scores.p_dose), ("p_threshold", scores.p_threshold)):
            found.append(Number(term, p_value, p_value=p_value, unit="p-value", n=n, method=method))
    return found


def _elicitation(_: None, basis: Basis) -> Said:
    """C2: relief per twitch, at the same visit and beyond needle insertions."""
    if basis.evidence.ratings.dose != "twitches":
        if not basis.record.has("visits", "twitches"):
            return Said("not recorded", words.ABOUT["not recorded"], "none")
        return Said("inconclusive", words.C2["other_dose"], "none")
    label = basis.decision.label
    if label == "not_identifiable":
        return _said(basis, words.ABOUT["cannot tell"], "not identifiable")
    relevant = RELEVANT_SHARE * basis.evidence.scale.span
    if label == "no_relevant_effect" and last_visit_bound(basis.evidence) < relevant:
        return _said(basis, words.C2["contradicted"], "contradicted")
    if label in ("inconclusive", "no_relevant_effect"):
        return _said(basis, words.C2["open"], "inconclusive")
    if label not in SHOWN:
        return _said(basis, words.C2["weak"], "inconclusive")
    assert basis.evidence.test is not None
    p_values = basis.evidence.test.scores.p_values
    beyond = [p for name, p in p_values.items() if name.startswith("insertions")]
    if not beyond:
        return _said(basis, words.C2["no_insertions"], "inconclusive")
    if not max(beyond) < (THRESHOLD_LEVEL if label == "threshold_supported" else TEST_LEVEL):
        return _said(basis, words.C2["insertions_as_well"], "inconclusive")
    return _said(basis, words.C2["supported"], "supported")


def last_visit_bound(evidence: Evidence) -> float:
    """One-sided 95% upper bound of the relief that goes with the last visit's dose at its 95th percentile."""
    working = evidence.working
    if working is None:
        return math.inf
    dose = working.ratings.dose_last
    slope, error = robust_slopes(working, dose[:, None] / working.unit)
    size = float(np.quantile(dose, 0.95)) / working.unit
    return float(-slope[0] + 1.645 * error[0]) * size if size > 0 else math.inf


def _cumulative(result: CarryOver | None, basis: Basis) -> Said:
    """C12: do doses add up over visits? The verdict answers; the carry-over stands beside it."""
    answers: dict[str, tuple[str, Answer]] = {
        "not_identifiable": (words.ABOUT["cannot tell"], "not identifiable"),
        "threshold_supported": (words.C12["supported"], "supported"),
        "cumulative_association": (words.C12["supported"], "supported"),
        "threshold_shape_confounding_alarm": (words.C12["weak"], "inconclusive"),
        "dose_association": (words.C12["weak"], "inconclusive"),
        "no_relevant_effect": (words.C12["contradicted"], "contradicted"),
        "inconclusive": (words.C12["open"], "inconclusive"),
    }
    said = _said(basis, *answers[basis.decision.label])
    texts, numbers = carryover_said(result)
    return replace(said, texts=texts, numbers=[*said.numbers, *numbers])


def _threshold(_: None, basis: Basis) -> Said:
    """C13: is there a threshold? The verdict itself."""
    answers: dict[str, tuple[str, Answer]] = {
        "not_identifiable": (words.ABOUT["cannot tell"], "not identifiable"),
        "threshold_supported": (words.C13["supported"], "supported"),
        "threshold_shape_confounding_alarm": (words.C13["alarm"], "inconclusive"),
        "cumulative_association": (words.C13["weak"], "inconclusive"),
        "dose_association": (words.C13["weak"], "inconclusive"),
        "no_relevant_effect": (words.C13["contradicted"], "contradicted"),
        "inconclusive": (words.C13["open"], "inconclusive"),
    }
    return _said(basis, *answers[basis.decision.label])


ANALYSES = {
    "C2": Analysis(VERDICT_RULE, _elicitation),
    "C12": Analysis(VERDICT_RULE, _cumulative, carryover_of),
    "C13": Analysis(VERDICT_RULE, _threshold),
}
