"""The clinic's thirty claims and an answer to each, from whatever the record holds.

A claim is a row of :data:`~tpr_outcomes.reporting.claim_rows.CLAIMS`. Its answer comes from the function
registered for its id with :func:`answers`; a claim without one gets the answer its kind allows. The core (C2,
C12, C13) follows the decision of :func:`tpr_outcomes.inference.evidence.decide` and never contradicts it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.inference.evidence import RELEVANT_SHARE, TEST_LEVEL, THRESHOLD_LEVEL, Decision, Evidence
from tpr_outcomes.inference.threshold import robust_slopes
from tpr_outcomes.reporting import words
from tpr_outcomes.reporting.claim_rows import BY_ID, CLAIMS, Claim, Known
from tpr_outcomes.reporting.phrases import parts, say
from tpr_outcomes.reporting.quantities import NORMAL_95, Value
from tpr_outcomes.reporting.spelling import listed, number, terms
from tpr_outcomes.reporting.verdict import VERDICT_RULE, Answer, Finding, Grade, Rule, provenance

__all__ = ["BY_ID", "CLAIMS", "Claim", "Known", "Record", "answer_claims", "answers"]

AVAILABILITY = Rule("claim-availability", "1", "docs/methods/verdict-json.md")
"""The rule that says a claim cannot be answered, and why."""
GAPS = Rule("visit-gaps", "1", "docs/methods/verdict-json.md")
FEWEST_FOR_GAPS = 15
"""Patients with four or more dated visits that C15 needs."""
GAP_RATIO = 1.1
"""Later gaps that are less than a tenth longer than early ones count as the same."""


@dataclass(frozen=True)
class Record:
    """What an answer may look at.

    Attributes
    ----------
    evidence : Evidence
    decision : Decision
    visits : Visits
    texts : mapping of str to str
        Parts of sentences, by name.
    """

    evidence: Evidence
    decision: Decision
    visits: Visits
    texts: Mapping[str, str]

    def has(self, column: str) -> bool:
        """Whether the visits hold a column with anything in it."""
        table = self.visits.table
        if column not in table.columns:
            return False
        values = table[column]
        return bool((values.notna() & (values.astype(str) != "")).any())


Answerer = Callable[[Claim, Record], Finding]
_ANSWERS: dict[str, Answerer] = {}


def answers(claim: str) -> Callable[[Answerer], Answerer]:
    """Register the function that answers a claim.

    Parameters
    ----------
    claim : str
        Id of the claim; it can have one function only.
    """
    if claim not in BY_ID or claim in _ANSWERS:
        raise ValueError(f"{claim} is not a claim of the page, or already has an answer.")

    def register(function: Answerer) -> Answerer:
        _ANSWERS[claim] = function
        return function

    return register


def answer_claims(evidence: Evidence, decision: Decision, visits: Visits) -> tuple[Finding, ...]:
    """Answer all thirty claims, in the order of the page.

    Parameters
    ----------
    evidence : Evidence
    decision : Decision
    visits : Visits
        The record both came from.

    Returns
    -------
    tuple of Finding
        One per claim; ``answer`` is one of :data:`~tpr_outcomes.reporting.verdict.ANSWERS`.
    """
    called = terms(evidence.ratings.dose, evidence.scale)
    record = Record(evidence, decision, visits, parts(evidence, decision, called))
    return tuple(_ANSWERS.get(claim.id, by_kind)(claim, record) for claim in CLAIMS)


def by_kind(claim: Claim, record: Record) -> Finding:
    """Answer of a claim that has no analysis here: not recorded, not identifiable or not testable."""
    if claim.kind == "D" or claim.needs == ("laboratory measurements",):
        return found(claim, record, "not testable", "not testable")
    if claim.kind == "C":
        return found(claim, record, "not identifiable", "not identifiable")
    return found(claim, record, "not recorded", "not recorded")


def found(
    claim: Claim,
    record: Record,
    answer: Answer,
    template: str,
    *,
    grade: Grade = "none",
    rule: Rule = AVAILABILITY,
    numbers: Mapping[str, Value] | None = None,
    texts: Mapping[str, str] | None = None,
) -> Finding:
    """Build the finding of a claim.

    Parameters
    ----------
    claim : Claim
    record : Record
    answer : str
    template : str
        A key of :data:`tpr_outcomes.reporting.words.ABOUT`, or a template.
    grade, rule, numbers
        As in :class:`~tpr_outcomes.reporting.verdict.Finding`.
    texts : mapping of str to str, optional
        Further parts for the template.
    """
    row = {
        "estimand": claim.estimand,
        "refuted_if": claim.refuted_if,
        "holds": claim.holds,
        "why": claim.why,
        "needs": listed(claim.needs),
    }
    fill = {**record.texts, **row, **(texts or {})}
    paragraph = [words.ASK, words.REFUTED] if claim.kind != "D" else []
    if answer in ("not recorded", "not identifiable") and claim.needs:
        paragraph.append(words.NEEDED)
    association = grade == "association"
    return Finding(
        claim=claim.id,
        estimand=claim.estimand,
        answer=answer,
        grade=grade,
        rule=rule,
        numbers=dict(numbers or {}),
        sentence=say(words.ABOUT.get(template, template), fill),
        paragraph=" ".join(say(part, fill) for part in paragraph),
        assumptions=tuple(say(text, fill) for text in words.ASSUMPTIONS) if association else (),
        provenance=provenance(record.evidence, record.visits),
    )


# --- the core: it follows the decision ------------------------------------------------------------

_SHOWN = ("threshold_supported", "cumulative_association")


def _core(claim: Claim, record: Record, template: str, answer: Answer) -> Finding:
    grade: Grade = "none" if answer in ("not identifiable", "not recorded") else "association"
    numbers: dict[str, Value] = {"relief_bound": record.evidence.relief_bound}
    if record.evidence.test is not None:
        scores = record.evidence.test.scores
        numbers |= {"p_dose": scores.p_dose, "p_threshold": scores.p_threshold}
    return found(claim, record, answer, template, grade=grade, rule=VERDICT_RULE, numbers=numbers)


@answers("C2")
def _elicitation(claim: Claim, record: Record) -> Finding:
    """Relief per twitch, at the same visit and beyond needle insertions."""
    if record.evidence.ratings.dose != "twitches":
        if not record.has("twitches"):
            return found(claim, record, "not recorded", "not recorded")
        return found(claim, record, "inconclusive", words.C2["other_dose"])
    label = record.decision.label
    if label == "not_identifiable":
        return _core(claim, record, words.ABOUT["cannot tell"], "not identifiable")
    relevant = RELEVANT_SHARE * record.evidence.scale.span
    if label == "no_relevant_effect" and last_visit_bound(record.evidence) < relevant:
        return _core(claim, record, words.C2["contradicted"], "contradicted")
    if label in ("inconclusive", "no_relevant_effect"):
        return _core(claim, record, words.C2["open"], "inconclusive")
    if label not in _SHOWN:
        return _core(claim, record, words.C2["weak"], "inconclusive")
    assert record.evidence.test is not None
    p_values = record.evidence.test.scores.p_values
    beyond = [p for name, p in p_values.items() if name.startswith("insertions")]
    if not beyond:
        return _core(claim, record, words.C2["no_insertions"], "inconclusive")
    if not max(beyond) < (THRESHOLD_LEVEL if label == "threshold_supported" else TEST_LEVEL):
        return _core(claim, record, words.C2["insertions_as_well"], "inconclusive")
    return _core(claim, record, words.C2["supported"], "supported")


def last_visit_bound(evidence: Evidence) -> float:
    """One-sided 95% upper bound of the relief that goes with the last visit's dose at its 95th percentile."""
    working = evidence.working
    if working is None:
        return math.inf
    dose = working.ratings.dose_last
    slope, error = robust_slopes(working, dose[:, None] / working.unit)
    size = float(np.quantile(dose, 0.95)) / working.unit
    return float(-slope[0] + 1.645 * error[0]) * size if size > 0 else math.inf


@answers("C12")
def _cumulative(claim: Claim, record: Record) -> Finding:
    """Do doses add up over visits?"""
    answers_: dict[str, tuple[str, Answer]] = {
        "not_identifiable": (words.ABOUT["cannot tell"], "not identifiable"),
        "threshold_supported": (words.C12["supported"], "supported"),
        "cumulative_association": (words.C12["supported"], "supported"),
        "threshold_shape_confounding_alarm": (words.C12["weak"], "inconclusive"),
        "dose_association": (words.C12["weak"], "inconclusive"),
        "no_relevant_effect": (words.C12["contradicted"], "contradicted"),
        "inconclusive": (words.C12["open"], "inconclusive"),
    }
    return _core(claim, record, *answers_[record.decision.label])


@answers("C13")
def _threshold(claim: Claim, record: Record) -> Finding:
    """Is there a threshold? The verdict itself."""
    answers_: dict[str, tuple[str, Answer]] = {
        "not_identifiable": (words.ABOUT["cannot tell"], "not identifiable"),
        "threshold_supported": (words.C13["supported"], "supported"),
        "threshold_shape_confounding_alarm": (words.C13["alarm"], "inconclusive"),
        "cumulative_association": (words.C13["weak"], "inconclusive"),
        "dose_association": (words.C13["weak"], "inconclusive"),
        "no_relevant_effect": (words.C13["contradicted"], "contradicted"),
        "inconclusive": (words.C13["open"], "inconclusive"),
    }
    return _core(claim, record, *answers_[record.decision.label])


# --- what the visits alone can answer -------------------------------------------------------------


@answers("C3")
def _early(claim: Claim, record: Record) -> Finding:
    return found(claim, record, "inconclusive", "not analysed")


@answers("C11")
def _several(claim: Claim, record: Record) -> Finding:
    if not record.has("stop_reason"):
        return found(claim, record, "not recorded", "not recorded")
    return found(claim, record, "inconclusive", "not analysed")


@answers("C20")
def _regions(claim: Claim, record: Record) -> Finding:
    if not record.has("region"):
        return found(claim, record, "not recorded", "not recorded")
    return found(claim, record, "not identifiable", "not identifiable")


@answers("C24")
def _alleviates(claim: Claim, record: Record) -> Finding:
    return found(claim, record, "not identifiable", "not identifiable")


@answers("C15")
def _frequency(claim: Claim, record: Record) -> Finding:
    """Are gaps between visits longer late than early in a patient's course?"""
    if not record.has("weeks"):
        return found(claim, record, "not recorded", "not recorded")
    ratios = gap_ratios(record.visits)
    n = ratios.size
    if n < FEWEST_FOR_GAPS:
        texts = {"n": str(n)}
        return found(claim, record, "inconclusive", words.C15["few"], rule=GAPS, texts=texts)
    mean, error = float(ratios.mean()), float(ratios.std(ddof=1) / math.sqrt(n))
    ratio, low, high = (math.exp(mean + z * error) for z in (0.0, -NORMAL_95, NORMAL_95))
    answer = gap_answer(ratio, low, high)
    return found(
        claim,
        record,
        answer,
        words.C15["open" if answer == "inconclusive" else answer],
        grade="description",
        rule=GAPS,
        numbers={"ratio": ratio, "conf_low": low, "conf_high": high, "level": 0.95, "patients": n},
        texts={"ratio": number(ratio), "low": number(low), "high": number(high), "n": str(n)},
    )


def gap_answer(ratio: float, low: float, high: float) -> Answer:
    """Supported where gaps grew by a tenth and clearly grew; contradicted where a tenth is ruled out."""
    if high < GAP_RATIO:
        return "contradicted"
    return "supported" if low > 1.0 and ratio >= GAP_RATIO else "inconclusive"


def gap_ratios(visits: Visits) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Log ratio of the mean gap in the later to that in the earlier half of each patient's course.

    Patients with fewer than four dated visits, or with no time between those of a half, are left out; the
    middle one of an odd number of gaps belongs to neither half.
    """
    found_: list[float] = []
    for _, weeks in visits.table.groupby("patient", sort=False)["weeks"]:
        gaps = np.diff(weeks.to_numpy(dtype=np.float64))
        half = gaps.size // 2
        if gaps.size < 3 or not np.isfinite(gaps).all():
            continue
        early, late = float(gaps[:half].mean()), float(gaps[-half:].mean())
        if early > 0 and late > 0:
            found_.append(math.log(late / early))
    return np.asarray(found_, dtype=np.float64)
