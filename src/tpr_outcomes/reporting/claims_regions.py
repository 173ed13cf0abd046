"""Answers to C20 and C24, as far as visits alone allow."""

from __future__ import annotations

from tpr_outcomes.reporting import words
from tpr_outcomes.reporting.claim_plug import AVAILABILITY, Analysis, Basis, Need, Said


def _not_identifiable(_: None, _basis: Basis) -> Said:
    return Said("not identifiable", words.ABOUT["not identifiable"], "none")


ANALYSES = {
    "C20": Analysis(AVAILABILITY, _not_identifiable, needs=(Need("visits", ("region",)),)),
    "C24": Analysis(AVAILABILITY, _not_identifiable),
}
