"""Where the analysis of a claim plugs in: what it needs, what it computes, what may be said of it.

A claim is answered by adding one module with ``ANALYSES``, a mapping from claim ids to :class:`Analysis`,
and its name to the list in :mod:`tpr_outcomes.reporting.claims`. What is common to all is done here once: a
need that is not met gives ``not recorded``, a table that has to be mended is named with its problems, an
analysis that cannot be fitted gives ``inconclusive`` with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from tpr_outcomes.cohort.record import Record
from tpr_outcomes.errors import DataError, FitError
from tpr_outcomes.inference.clustered import Estimate
from tpr_outcomes.inference.evidence import Decision, Evidence
from tpr_outcomes.inference.procedure import reporters
from tpr_outcomes.reporting import words, words_claims
from tpr_outcomes.reporting.claim_rows import Claim
from tpr_outcomes.reporting.phrases import say
from tpr_outcomes.reporting.spelling import counted, listed
from tpr_outcomes.reporting.told import told
from tpr_outcomes.reporting.verdict import Answer, Behind, Finding, Grade, Number, Rule, provenance

AVAILABILITY = Rule("claim-availability", "2", "docs/methods/verdict-json.md")
"""The rule that says a claim cannot be answered, and why."""
LABORATORY = frozenset({"C25", "C26"})
"""Claims that only measurements in a laboratory could test."""
FROM_ANALYSES = ("reason", "problem", "instrument")
"""Parts of sentences that come from an analysis or a scale, in words of their own."""
MOST_LISTED = 3
"""Problems of a table that an answer lists."""


@dataclass(frozen=True)
class Need:
    """Something an analysis asks of a record.

    Attributes
    ----------
    table : str
        ``"visits"`` or one of :data:`tpr_outcomes.cohort.sources.TABLES`.
    columns : tuple of str
        Each with anything in it.
    kind : str
        A kind of event that has to have been asked for; only for the events.
    """

    table: str
    columns: tuple[str, ...] = ()
    kind: str = ""

    def met_by(self, record: Record) -> bool:
        """Whether the record holds it."""
        return record.has(self.table, *self.columns) and (not self.kind or record.has_kind(self.kind))


@dataclass(frozen=True, eq=False)
class Basis:
    """What an answer may look at.

    Attributes
    ----------
    record : Record
    evidence : Evidence
    decision : Decision
    texts : mapping of str to str
        Parts of sentences, by name.
    """

    record: Record
    evidence: Evidence
    decision: Decision
    texts: Mapping[str, str]
    _done: dict[Callable[[Basis], Any], Any] = field(default_factory=dict, repr=False)

    def result(self, analyse: Callable[[Basis], Any]) -> Any:
        """Return what an analysis found, done once for all the claims that rest on it.

        Raises
        ------
        FitError, DataError
            What the analysis raised, each time it is asked for.
        """
        if analyse not in self._done:
            try:
                self._done[analyse] = analyse(self)
            except (FitError, DataError) as error:
                self._done[analyse] = error
        if isinstance(self._done[analyse], Exception):
            raise self._done[analyse]
        return self._done[analyse]


@dataclass(frozen=True)
class Said:
    """What the rule of a claim makes of a result.

    Attributes
    ----------
    answer : str
    template : str
        From a catalogue of :mod:`tpr_outcomes.reporting.words` and its neighbours.
    grade : str
    texts : mapping of str to str
        Further parts for the template.
    numbers : sequence of Number
        Every number behind the answer, with its uncertainty, unit and method.
    assumptions : tuple of str
        What has to hold; an answer of grade "association" or "causal under assumptions" needs some.
    """

    answer: Answer
    template: str
    grade: Grade = "description"
    texts: Mapping[str, str] = field(default_factory=dict)
    numbers: Sequence[Number] = ()
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Analysis:
    """How a claim is answered.

    Attributes
    ----------
    rule : Rule
        Named and versioned; says which numbers make which answer.
    judge : callable
        ``(result, basis) -> Said``: applies the rule.
    analyse : callable
        ``basis -> result``, a frozen result of :mod:`tpr_outcomes.inference`. Claims that name the same
        function share its result.
    needs : tuple of Need
        Without any of these the claim is not recorded.
    """

    rule: Rule
    judge: Callable[[Any, Basis], Said]
    analyse: Callable[[Basis], Any] = lambda _: None
    needs: tuple[Need, ...] = ()


def number_of(estimate: Estimate, *, unit: str, method: str, level: float = 0.95, term: str = "") -> Number:
    """Turn an estimate into the tidy row of a claim; its note goes with the method."""
    return Number(
        term=term or estimate.term,
        estimate=estimate.estimate,
        std_error=estimate.std_error,
        conf_low=estimate.conf_low,
        conf_high=estimate.conf_high,
        p_value=estimate.p_value,
        level=level,
        unit=unit,
        n=estimate.n_patients,
        method=f"{method}; {estimate.note}" if estimate.note else method,
        behind=Behind(estimate.sides, estimate.n_rows),
    )


def told_by(table: pd.DataFrame | None) -> str:
    """Say who reported the rows of a table."""
    return tellers({} if table is None else reporters(table))


def tellers(reported: Mapping[str, int]) -> str:
    """Say who reported, most frequent first; nothing where nobody did."""
    named = [words_claims.TOLD[name] for name in reported if name in words_claims.TOLD]
    return words_claims.TOLD_BY.format(tellers=listed(named)) if named else ""


def answer(claim: Claim, basis: Basis, analysis: Analysis | None) -> Finding:
    """Answer one claim.

    Parameters
    ----------
    claim : Claim
    basis : Basis
    analysis : Analysis or None
        None where no analysis is registered: the answer that the claim's kind allows.
    """
    return finding(claim, basis, *said_of(claim, basis, analysis))


def said_of(claim: Claim, basis: Basis, analysis: Analysis | None) -> tuple[Said, Rule]:
    """Return what may be said of one claim, not yet in words, and the rule that says so.

    Parameters
    ----------
    claim, basis, analysis
        As :func:`answer`.
    """
    if analysis is None:
        return _by_kind(claim), AVAILABILITY
    unmet = [need for need in analysis.needs if not need.met_by(basis.record)]
    if unmet:
        return _not_recorded(basis.record, unmet), AVAILABILITY
    try:
        result = basis.result(analysis.analyse)
    except (FitError, DataError) as error:
        said = Said("inconclusive", words.ABOUT["not fitted"], "none", {"problem": str(error)})
        return said, analysis.rule
    return analysis.judge(result, basis), analysis.rule


def _by_kind(claim: Claim) -> Said:
    """Answer of a claim without an analysis: not recorded, not identifiable or not testable."""
    if claim.kind == "D" or claim.id in LABORATORY:
        return Said("not testable", words.ABOUT["not testable"], "none")
    if claim.kind == "C":
        return Said("not identifiable", words.ABOUT["not identifiable"], "none")
    return Said("not recorded", words.ABOUT["not recorded"], "none")


def _not_recorded(record: Record, unmet: Sequence[Need]) -> Said:
    """Say what is not there; where a table is there and has to be mended, what is wrong with it."""
    for need in unmet:
        errors = record.errors(need.table)
        if errors:
            shown = [f"{p.address}: {p.message} {p.remedy}" for p in errors[:MOST_LISTED]]
            texts = {
                "table": need.table,
                "count": counted(len(errors), "problem"),
                "problems": " ".join(shown),
            }
            return Said("not recorded", words.ABOUT["to be mended"], "none", texts)
    return Said("not recorded", words.ABOUT["not recorded"], "none")


def finding(claim: Claim, basis: Basis, said: Said, rule: Rule) -> Finding:
    """Build the finding of a claim from what was said of it."""
    row = {
        "estimand": claim.estimand,
        "refuted_if": claim.refuted_if,
        "holds": claim.holds,
        "why": claim.why,
        "needs": listed(claim.needs),
    }
    own = {key: told(text) if key in FROM_ANALYSES else text for key, text in said.texts.items()}
    fill = {**basis.texts, **row, **own}
    paragraph = [words.ASK, words.REFUTED] if claim.kind != "D" else []
    if said.answer in ("not recorded", "not identifiable") and claim.needs:
        paragraph.append(words.NEEDED)
    assumptions = said.assumptions
    if not assumptions and said.grade in ("association", "causal under assumptions"):
        assumptions = words.ASSUMPTIONS
    numbers = tuple(number.by(rule) for number in said.numbers)
    return Finding(
        claim=claim.id,
        estimand=claim.estimand,
        answer=said.answer,
        grade=said.grade,
        rule=rule,
        numbers={number.term: number.estimate for number in numbers},
        rows=numbers,
        sentence=say(said.template, fill),
        paragraph=" ".join(say(part, fill) for part in paragraph),
        assumptions=tuple(say(text, fill) for text in assumptions),
        provenance=provenance(basis.evidence, basis.record.visits),
    )
