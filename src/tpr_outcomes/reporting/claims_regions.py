"""Answers to C3, C20 and C24, as far as visits alone allow."""

from __future__ import annotations

from tpr_outcomes.reporting import words
from tpr_outcomes.reporting.claim_plug import AVAILABILITY, Analysis, Basis, Need, Said


def _not_identifiable(_: None, _basis: Basis) -> Said:
    return Said("not identifiable", words.ABOUT["not identifiable"], "none")


def _not_analysed(_: None, _basis: Basis) -> Said:
    return Said("inconclusive", words.ABOUT["not analysed"], "none")


ANALYSES = {
    "C3": Analysis(AVAILABILITY, _not_analysed),
    "C20": Analysis(AVAILABILITY, _not_identifiable, needs=(Need("visits", ("region",)),)),
    "C24": Analysis(AVAILABILITY, _not_identifiable),
}
