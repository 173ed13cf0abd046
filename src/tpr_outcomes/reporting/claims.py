"""The clinic's thirty claims and an answer to each, from whatever the record holds.

A claim is a row of :data:`~tpr_outcomes.reporting.claim_rows.CLAIMS`; the analysis that answers it is an
entry of :data:`REGISTRY`, which collects the ``ANALYSES`` of the modules named ``claims_*``. A claim without
one gets the answer its kind allows. The core (C2, C12, C13) follows the decision of
:func:`tpr_outcomes.inference.evidence.decide` and never contradicts it.
"""

from __future__ import annotations

from collections.abc import Mapping

from tpr_outcomes.cohort.privacy import Counts
from tpr_outcomes.cohort.record import Record, as_record
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.inference.evidence import Decision, Evidence
from tpr_outcomes.reporting import (
    claim_rows,
    claims_core,
    claims_course,
    claims_procedure,
    claims_regions,
    claims_relapse,
    claims_soreness,
    claims_twitches,
)
from tpr_outcomes.reporting.claim_plug import Analysis, Basis, finding, said_of
from tpr_outcomes.reporting.few_people import withhold
from tpr_outcomes.reporting.phrases import parts
from tpr_outcomes.reporting.spelling import terms
from tpr_outcomes.reporting.verdict import Finding

__all__ = ["REGISTRY", "answer_claims", "collect"]


def collect(*modules: Mapping[str, Analysis]) -> dict[str, Analysis]:
    """Put the analyses of several modules together.

    Raises
    ------
    ValueError
        When one is for no claim of the page, or a claim has two.
    """
    found: dict[str, Analysis] = {}
    for analyses in modules:
        for claim, analysis in analyses.items():
            if claim not in claim_rows.BY_ID or claim in found:
                raise ValueError(f"{claim} is not a claim of the page, or already has an answer.")
            found[claim] = analysis
    return found


REGISTRY: dict[str, Analysis] = collect(
    claims_core.ANALYSES,
    claims_course.ANALYSES,
    claims_soreness.ANALYSES,
    claims_procedure.ANALYSES,
    claims_twitches.ANALYSES,
    claims_relapse.ANALYSES,
    claims_regions.ANALYSES,
)
"""The analysis of each claim that has one."""


def answer_claims(
    evidence: Evidence, decision: Decision, record: Visits | Record, *, shown: Counts | None = None
) -> tuple[Finding, ...]:
    """Answer all thirty claims, in the order of the page.

    Parameters
    ----------
    evidence : Evidence
    decision : Decision
    record : Visits or Record
        The record both came from.
    shown : Counts, optional
        Which counts of people may be said; all, unless given.

    Returns
    -------
    tuple of Finding
        One per claim; ``answer`` is one of :data:`~tpr_outcomes.reporting.verdict.ANSWERS`.
    """
    called = terms(evidence.ratings.dose, evidence.scale)
    basis = Basis(as_record(record), evidence, decision, parts(evidence, decision, called, shown=shown))
    found = [said_of(claim, basis, REGISTRY.get(claim.id)) for claim in claim_rows.CLAIMS]
    told = [said for said, _ in found]
    if shown is not None:
        told = withhold(told, shown)
    return tuple(
        finding(claim, basis, said, rule)
        for claim, said, (_, rule) in zip(claim_rows.CLAIMS, told, found, strict=True)
    )
