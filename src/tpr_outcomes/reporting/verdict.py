"""From a decision to words: the only place where numbers become sentences.

:func:`tpr_outcomes.inference.evidence.decide` settles which gate matched first; :func:`judge` says what may
be said of it, in the words of :mod:`tpr_outcomes.reporting.words`, together with what could still fool us.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Literal, get_args

from tpr_outcomes.cohort.privacy import Counts
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.inference.evidence import RULE_NAME, RULE_VERSION, Decision, Evidence
from tpr_outcomes.reporting import words
from tpr_outcomes.reporting.cautions import warnings
from tpr_outcomes.reporting.phrases import parts, say
from tpr_outcomes.reporting.quantities import Value, verdict_numbers
from tpr_outcomes.reporting.spelling import terms

Answer = Literal[
    "supported", "contradicted", "inconclusive", "not identifiable", "not recorded", "not testable"
]
ANSWERS: tuple[str, ...] = get_args(Answer)
Grade = Literal["none", "description", "association", "causal under assumptions", "experiment"]
GRADES: tuple[str, ...] = get_args(Grade)
"""What kind of evidence an answer rests on, weakest first."""


@dataclass(frozen=True)
class Rule:
    """What turned numbers into an answer.

    Attributes
    ----------
    name, version : str
        A changed rule gets a new version.
    citation : str
        Where the rule is described.
    """

    name: str
    version: str
    citation: str = ""


@dataclass(frozen=True)
class Behind:
    """What a number would tell of a few people; printed nowhere.

    Attributes
    ----------
    sides : tuple of int or None
        Patients behind each group a share tells of. None: not known, so a share is not told. Empty: it counts
        nobody.
    of : int
        What the share is of (patients, visits); 0 where that is its patients.
    counts : str
        "patients" or "visits" where the estimate itself is a count of these.
    group : str
        Rows with the same group are parts of one whole, none of which lies within another.
    """

    sides: tuple[int, ...] | None = None
    of: int = 0
    counts: str = ""
    group: str = ""


@dataclass(frozen=True)
class Number:
    """One number behind an answer: a row of ``tables/claim_numbers.csv``.

    Attributes
    ----------
    term : str
    estimate, std_error, conf_low, conf_high, p_value : float
        NaN where there is none.
    level : float
        Of the interval; NaN where there is none.
    unit : str
    n : int or None
        Patients it rests on; None where that is withheld.
    method : str
    rule : str
        Name and version of the rule that used it.
    behind : Behind
        Who it would tell of; for :mod:`tpr_outcomes.reporting.few_people` alone.
    """

    term: str
    estimate: float
    std_error: float = math.nan
    conf_low: float = math.nan
    conf_high: float = math.nan
    p_value: float = math.nan
    level: float = math.nan
    unit: str = ""
    n: int | None = 0
    method: str = ""
    rule: str = ""
    behind: Behind = field(default=Behind(), repr=False)

    def to_dict(self) -> dict[str, str | float | int | None]:
        """Return what is printed of it, by name."""
        return {name: getattr(self, name) for name in PRINTED}

    def by(self, rule: Rule) -> Number:
        """Return the same number with the rule that used it."""
        return replace(self, rule=f"{rule.name}/{rule.version}")


PRINTED = tuple(one.name for one in fields(Number) if one.name != "behind")
"""Columns of a number wherever it is written."""
VERDICT_RULE = Rule(RULE_NAME, RULE_VERSION, "docs/methods/threshold-verdict.md")


@dataclass(frozen=True)
class Finding:
    """What may be said.

    Attributes
    ----------
    claim : str
        ``"verdict"``, or the id of a claim (``"C13"``).
    estimand : str
        The quantity asked about.
    answer : str
        For the verdict one of the labels of :mod:`tpr_outcomes.inference.evidence`; for a claim one of
        :data:`ANSWERS`.
    grade : str
        Kind of evidence, one of :data:`GRADES`.
    rule : Rule
        What gave the answer.
    numbers : mapping of str to number
        The numbers behind it, unrounded.
    rows : tuple of Number
        The same with their uncertainty, unit and method, where the answer to a claim rests on an analysis.
    sentence, paragraph : str
        In plain words.
    assumptions : tuple of str
        What has to hold for the answer to mean what it says.
    provenance : mapping of str to str or int
        Seed, replicates, digest of the source.
    warnings : tuple of str
        What could fool us, to be printed beside the answer.
    would_change, next_step : str
        What would change the answer; what to do next.
    headline : str
        A few words for a badge.
    """

    claim: str
    estimand: str
    answer: str
    grade: Grade
    rule: Rule
    numbers: Mapping[str, Value] = field(default_factory=dict)
    rows: tuple[Number, ...] = ()
    sentence: str = ""
    paragraph: str = ""
    assumptions: tuple[str, ...] = ()
    provenance: Mapping[str, Value] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    would_change: str = ""
    next_step: str = ""
    headline: str = ""


def judge(
    evidence: Evidence, decision: Decision, *, visits: Visits | None = None, shown: Counts | None = None
) -> Finding:
    """Put a decision into words.

    Parameters
    ----------
    evidence : Evidence
        The numbers.
    decision : Decision
        What :func:`~tpr_outcomes.inference.evidence.decide` made of them.
    visits : Visits, optional
        The record, for warnings about what it does not hold.
    shown : Counts, optional
        Which counts of people may be said (:mod:`tpr_outcomes.reporting.disclosure`); all, unless given.

    Returns
    -------
    Finding
        ``claim`` is ``"verdict"`` and ``answer`` the decision's label.
    """
    called = terms(evidence.ratings.dose, evidence.scale)
    templates = words.VERDICTS[decision.label]
    texts = parts(evidence, decision, called, shown=shown)
    return Finding(
        claim="verdict",
        estimand=say(words.ESTIMAND, texts),
        answer=decision.label,
        grade="none" if decision.label == "not_identifiable" else "association",
        rule=VERDICT_RULE,
        numbers=verdict_numbers(evidence),
        sentence=say(templates.sentence, texts),
        paragraph=say(templates.paragraph, texts),
        assumptions=tuple(say(text, texts) for text in words.ASSUMPTIONS),
        provenance=provenance(evidence, visits),
        warnings=warnings(evidence, decision, texts, visits),
        would_change=say(templates.change, texts),
        next_step=say(templates.step, texts),
        headline=say(templates.headline, texts),
    )


def provenance(evidence: Evidence, visits: Visits | None) -> dict[str, Value]:
    """Return seed, replicates and the digest of the source."""
    return {
        "seed": evidence.seed,
        "replicates": evidence.replicates,
        "source_sha256": visits.source.sha256 if visits is not None else "",
    }
