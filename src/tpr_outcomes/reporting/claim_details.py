"""How each claim was checked, for whoever checks the check: estimand, rule, numbers, what is published."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tpr_outcomes.reporting import claim_rows, words, words_claims
from tpr_outcomes.reporting import words_report as say
from tpr_outcomes.reporting.claim_rows import Known
from tpr_outcomes.reporting.page_tables import PageTable
from tpr_outcomes.reporting.spelling import between, number
from tpr_outcomes.reporting.verdict import Finding, Number

NONE = "–"
ROUNDING = 1e-12
"""What is closer to nothing than this is a difference of equal numbers, rounded."""


@dataclass(frozen=True)
class ClaimDetail:
    """What stands behind one answer.

    Attributes
    ----------
    claim, quote, answer : str
    scope : str
        Where its numbers are found among the results.
    asked, refuted_if, rule, cited : str
        Estimand; what would refute the claim; rule that gave the answer, and the page that describes it.
    assumptions : tuple of str
    known : tuple of Known
        Published evidence, as reported in the abstracts of the sources.
    rows : tuple of tuple of str
        Quantity, estimate, interval, unit, patients and method of each number.
    """

    claim: str
    quote: str
    answer: str
    scope: str
    asked: str
    refuted_if: str
    rule: str
    cited: str
    assumptions: tuple[str, ...]
    known: tuple[Known, ...]
    rows: tuple[tuple[str, ...], ...]


def claim_details(claims: Sequence[Finding]) -> tuple[ClaimDetail, ...]:
    """Return what stands behind every answer, in the order of the page."""
    return tuple(_detail(finding) for finding in claims)


def _detail(finding: Finding) -> ClaimDetail:
    row = claim_rows.BY_ID[finding.claim]
    return ClaimDetail(
        claim=finding.claim,
        quote=row.quote,
        answer=words.ANSWERS[finding.answer],
        scope=f"claims:{finding.claim}|quoted:{finding.claim}",
        asked=finding.estimand,
        refuted_if=row.refuted_if,
        rule=say.CLAIM_DETAIL["version"].format(name=finding.rule.name, version=finding.rule.version),
        cited=finding.rule.citation,
        assumptions=finding.assumptions,
        known=row.known,
        rows=tuple(_row(one) for one in finding.rows),
    )


def detail_tables(claims: Sequence[Finding]) -> dict[str, PageTable]:
    """Return the numbers behind each answer as a table like any other, where there are any."""
    heads = tuple(say.CLAIM_DETAIL["heads"])
    return {
        f"numbers_{one.claim}": PageTable(
            f"numbers_{one.claim}",
            say.CLAIM_DETAIL["numbers"].format(claim=one.claim),
            heads,
            one.rows,
            numeric=frozenset({1, 2, 4}),
        )
        for one in claim_details(claims)
        if one.rows
    }


def _row(one: Number) -> tuple[str, ...]:
    """One number, rounded; a dash where there is none."""
    spelt = words_claims.DETAIL_TERMS.get(one.term, one.term.replace("_", " "))
    return (
        spelt,
        _shown(one.estimate),
        NONE if math.isnan(one.conf_low) or math.isnan(one.conf_high) else _interval(one),
        one.unit,
        f"{one.n:,}" if one.n else NONE,
        one.method,
    )


def _interval(one: Number) -> str:
    return between(*(_shown(end) for end in (one.conf_low, one.conf_high)))


def _shown(value: float) -> str:
    if abs(value) < ROUNDING:
        return "0"
    return number(value).replace("-", "−") if math.isfinite(value) else NONE
