"""Answers to C11 and C15: how many visits until a lasting response, and how close together they were."""

from __future__ import annotations

from tpr_outcomes.inference.frequency import Frequency, analyse_frequency
from tpr_outcomes.reporting import words
from tpr_outcomes.reporting.claim_plug import AVAILABILITY, Analysis, Basis, Need, Said, number_of
from tpr_outcomes.reporting.spelling import number
from tpr_outcomes.reporting.verdict import Answer, Rule

GAPS = Rule("visit-gaps", "2", "docs/methods/visit-frequency.md")
GAP_RATIO = 1.1
"""Later gaps that are less than a tenth longer than early ones count as the same."""


def _several(_: None, _basis: Basis) -> Said:
    """C11."""
    return Said("inconclusive", words.ABOUT["not analysed"], "none")


def _frequency(result: Frequency, _: Basis) -> Said:
    """C15: are gaps between visits longer late than early in a patient's course?"""
    gap = result.gap_ratio
    found = gap_answer(gap.estimate, gap.conf_low, gap.conf_high)
    texts = {"ratio": number(gap.estimate), "low": number(gap.conf_low), "high": number(gap.conf_high)}
    return Said(
        found,
        words.C15["open" if found == "inconclusive" else found],
        texts={**texts, "n": str(gap.n_patients)},
        numbers=[number_of(gap, unit="ratio", method="later to earlier gaps, geometric mean over patients")],
    )


def gap_answer(ratio: float, low: float, high: float) -> Answer:
    """Supported where gaps grew by a tenth and clearly grew; contradicted where a tenth is ruled out."""
    if high < GAP_RATIO:
        return "contradicted"
    return "supported" if low > 1.0 and ratio >= GAP_RATIO else "inconclusive"


ANALYSES = {
    "C11": Analysis(AVAILABILITY, _several, needs=(Need("visits", ("stop_reason",)),)),
    "C15": Analysis(
        GAPS, _frequency, lambda basis: analyse_frequency(basis.record.visits), (Need("visits", ("weeks",)),)
    ),
}
