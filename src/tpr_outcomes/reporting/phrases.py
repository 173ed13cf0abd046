"""Parts of sentences, chosen by the numbers: what fills the templates of the catalogue."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from tpr_outcomes.cohort.privacy import Counts, is_small
from tpr_outcomes.inference.evidence import (
    RELEVANT_SHARE,
    TEST_LEVEL,
    Decision,
    Evidence,
)
from tpr_outcomes.inference.identifiability import FEWEST_PAST, LARGEST_LINEAR_MDR, LARGEST_THRESHOLD_MDR
from tpr_outcomes.inference.threshold import BIC_MARGIN, ThresholdProfile
from tpr_outcomes.models.candidates import STEP
from tpr_outcomes.reporting import words
from tpr_outcomes.reporting.disclosure import past_name
from tpr_outcomes.reporting.quantities import (
    line_relief,
    one_dose,
    patients_needed,
    patients_past,
    tipping_bias,
)
from tpr_outcomes.reporting.spelling import Terms, amount, apart, capital, chances, number, percent
from tpr_outcomes.reporting.told import told

_MINUS = re.compile(r"(?<=[ (])-(?=\d)")


def say(template: str, texts: Mapping[str, str]) -> str:
    """Fill a template, close the gaps that empty parts leave, and give numbers a true minus sign."""
    return _MINUS.sub("−", " ".join(template.format_map(texts).split()))


def vocabulary(called: Terms) -> dict[str, str]:
    """Return the words for dose and outcome that templates ask for."""
    return {
        "one": called.one,
        "many": called.many,
        "many_capital": capital(called.many),
        "recorded": called.recorded,
        "outcome": called.outcome,
        "outcome_capital": words.SUBJECT[called.pain].format(
            outcome=called.outcome, capital=capital(called.outcome)
        ),
        "earlier": words.EARLIER[called.pain].format(outcome=called.outcome),
        "better": called.better,
        "better_capital": capital(called.better),
        "scale": called.scale,
        "trait": words.TRAITS.get(called.dose, words.ANY_TRAIT),
        "fewest": str(FEWEST_PAST),
    }


def parts(
    evidence: Evidence, decision: Decision, called: Terms, *, shown: Counts | None = None
) -> dict[str, str]:
    """Return every part a template may ask for that these numbers allow, the vocabulary included.

    Counts of people are worded as ``shown`` allows, or as they are where it is not given.
    """
    e, unit, span = evidence, called.unit, evidence.scale.span
    limit, linear_limit, relevant = (
        share * span for share in (LARGEST_THRESHOLD_MDR, LARGEST_LINEAR_MDR, RELEVANT_SHARE)
    )
    texts = vocabulary(called) | {
        "n": str(e.ratings.n_patients) if shown is None else shown.text("analysed"),
        "relevant": amount(relevant, unit),
        "limit": amount(limit, unit),
        "linear_limit": amount(linear_limit, unit),
        "bound": apart(max(e.relief_bound or 0.0, 0.0), relevant, unit),
    }
    if e.design is not None:
        texts |= {
            "past": _most_past(e, shown),
            "top": number(e.design.dose_95),
            "best_mdr": apart(e.design.best_mdr, limit, unit),
            "linear_mdr": apart(e.design.linear_mdr, linear_limit, unit),
        }
    if e.test is not None:
        past = patients_past(e, e.test.profile.estimate)
        texts["past_threshold"] = str(past) if shown is None else shown.text("past")
        texts |= _test_parts(e, texts, unit)
    return texts | {
        # Without a link there is nothing that could survive adjustment: only the lead check has a say.
        "checks": _checks(e, texts, ("mundlak", "lead") if decision.gate < 4 else ("lead",)),
        "failed": _failed(e),
        "reason": say("".join(_reasons(e, decision)[:1]), texts),
        "findings": _findings(e, decision, texts),
        "help": _help(e, decision, texts),
        "why": say(words.WHY[_why(e)], texts) if decision.label == "inconclusive" else "",
    }


def _most_past(evidence: Evidence, shown: Counts | None) -> str:
    """Patients rated past the place that most are past, of those searched; empty where it is withheld."""
    design = evidence.design
    if design is None or not design.patients_past.size:
        return "0"
    best = int(design.patients_past.argmax())
    most, name = int(design.patients_past[best]), past_name(design.knots[best])
    if shown is None:
        return str(most)
    told = shown.number(name) is not None or is_small(most, shown.minimum)
    return shown.text(name) if told else ""


def _test_parts(evidence: Evidence, texts: Mapping[str, str], unit: str) -> dict[str, str]:
    """Parts about the threshold and the rivals."""
    assert evidence.test is not None
    scores, profile = evidence.test.scores, evidence.test.profile
    hardest = hardest_rival(evidence)
    lasting = all(scores.p_values[name] < TEST_LEVEL for name in ("none", "last", "fading_half"))
    bias, line = tipping_bias(evidence), line_relief(evidence)
    return {
        "rivals": str(len(scores.p_values)),
        "hardest": say(words.RIVALS.get(hardest, hardest), texts),
        "chances": chances(scores.p_threshold),
        "chances_dose": chances(scores.p_dose),
        "estimate": number(profile.estimate),
        "interval": interval(profile, texts["many"]),
        "relief": _relief(evidence, texts, unit),
        "shape": words.STEP_SHAPE if profile.shape == STEP.name else "",
        "before": _before(profile, texts, unit),
        "tipping": "" if bias is None else say(words.TIPPING, {**texts, "tipping": amount(bias, unit)}),
        "lasting": say(words.LASTING["check_failed" if lasting else "not_shown"], texts),
        "line": ""
        if line is None
        else say(
            words.LINE,
            {
                **texts,
                "relief": amount(line.estimate, unit),
                "low": number(line.conf_low),
                "high": number(line.conf_high),
            },
        ),
    }


def hardest_rival(evidence: Evidence) -> str:
    """The rival the threshold beats least clearly; among equals the one with the best BIC."""
    assert evidence.test is not None
    test, level = evidence.test, evidence.threshold_level
    p_values, best = test.scores.p_values, test.criteria.best_rival
    best = "saturating" if best == "emax" else best
    not_beaten_by_bic = test.criteria.delta_bic <= BIC_MARGIN and test.scores.p_threshold < level
    equal = p_values.get(best) == test.scores.p_threshold
    return best if not_beaten_by_bic or equal else test.scores.hardest_rival


def end_of(profile: ThresholdProfile) -> str:
    """Which ends of the interval run off the doses seen: closed, open_low, open_high or open."""
    if profile.open_low and profile.open_high:
        return "open"
    return "open_low" if profile.open_low else "open_high" if profile.open_high else "closed"


def interval(profile: ThresholdProfile, many: str) -> str:
    """Interval of the threshold in words."""
    return words.INTERVAL[end_of(profile)].format(
        percent=percent(profile.level),
        low=number(profile.conf_low),
        high=number(profile.conf_high),
        many=many,
    )


def _relief(evidence: Evidence, texts: Mapping[str, str], unit: str) -> str:
    assert evidence.test is not None and evidence.design is not None  # noqa: PT018
    profile = evidence.test.profile
    if not evidence.design.dose_95 > profile.estimate:
        return ""
    return say(words.RELIEF, {**texts, "relief": amount(profile.relief_95, unit)})


def _before(profile: ThresholdProfile, texts: Mapping[str, str], unit: str) -> str:
    if not math.isfinite(profile.before_high):
        return say(words.BEFORE["unbounded"], texts)
    kind = "bounded" if profile.before_high > 0 else "none"
    return say(words.BEFORE[kind], {**texts, "before": amount(max(profile.before_high, 0.0), unit)})


def _failed(evidence: Evidence) -> str:
    """Clause on what stands in the way of "supported"."""
    checks = [check for check in (evidence.mundlak, evidence.lead) if check is not None]
    failed = sum(check.passed is False for check in checks)
    return words.CHECKS[("undone", "one", "both")[failed]]


def _checks(evidence: Evidence, texts: Mapping[str, str], names: tuple[str, ...]) -> str:
    """Say how the checks of these names came out."""
    done = [c for c in (evidence.mundlak, evidence.lead) if c is not None and c.name in names]
    if all(check.passed for check in done):
        return {0: "", 1: words.CHECKS["one_passed"]}.get(len(done), words.CHECKS["passed"])
    said = []
    for check in done:
        if not check.passed:
            kind, key = ("undone", "what") if check.passed is None else ("failed", "failed")
            said.append(
                words.CHECKS[f"some_{kind}"].format(what=say(words.CHECKS[f"{check.name}_{key}"], texts))
            )
    if len(said) < len(done):
        said.append(words.CHECKS["only_passed"])
    return " ".join(said)


def _reasons(evidence: Evidence, decision: Decision) -> list[str]:
    """Templates of the reasons why the record cannot tell."""
    design = evidence.design
    if decision.label != "not_identifiable":
        return []
    if design is None:
        return [words.REASONS["not_fitted"]]
    hidden = {
        "threshold_mdr": not math.isfinite(design.best_mdr),
        "linear_mdr": not math.isfinite(design.linear_mdr),
    }
    found = [f"{rule.removesuffix('_mdr')}_hidden" if hidden.get(rule) else rule for rule in decision.reasons]
    if "linear_hidden" in found:  # then so is every threshold: say it once
        found = [rule for rule in found if not rule.startswith("threshold")]
    return [words.REASONS[rule] for rule in found]


def _findings(evidence: Evidence, decision: Decision, texts: Mapping[str, str]) -> str:
    """What was seen when asking whether the record can tell."""
    if evidence.design is None:
        return words.FINDINGS["obstacle"].format(obstacle=told(evidence.obstacle))
    design = evidence.design
    others = [say(reason, texts) for reason in _reasons(evidence, decision)[1:]]
    texts = {**texts, "share": percent(design.share_within_visit)}
    parts = [words.FINDINGS["one_dose" if one_dose(evidence) else "share"]] if design.dose_95 > 0 else []
    if design.patients_past.size and texts["past"]:
        parts.append(words.FINDINGS["past"])
    also = [words.FINDINGS["also"].format(reason=reason) for reason in others]
    return " ".join([*also, *(say(part, texts) for part in parts)])


def _help(evidence: Evidence, decision: Decision, texts: Mapping[str, str]) -> str:
    """What record would bring an answer."""
    if decision.label == "inconclusive":
        return words.HELP["more"]
    if decision.label != "not_identifiable":
        return ""
    if evidence.design is None:
        return say(words.HELP["ratings"], texts)
    if one_dose(evidence):
        return say(words.HELP["one_dose"], texts)
    parts = []
    if set(decision.reasons) & {"threshold_mdr", "linear_mdr", "no_dose"}:
        needed = patients_needed(evidence)
        texts = {**texts, "patients": "" if needed is None else f"{needed:,}"}
        parts.append(say(words.HELP["spread" if needed is None else "patients"], texts))
    if "patients_past" in decision.reasons:
        parts.append(say(words.HELP["past"], texts))
    return " ".join(parts)


def _why(evidence: Evidence) -> str:
    """Which of the two roads led to "not settled"."""
    small = evidence.relief_bound is not None and evidence.relief_bound < RELEVANT_SHARE * evidence.scale.span
    return "lead" if small else "wide"
