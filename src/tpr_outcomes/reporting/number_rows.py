"""Collecting the rows of ``results.json``: every number of an evaluation, its tables, settings and claims."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from tpr_outcomes.inference.evidence import RELEVANT_SHARE, TEST_LEVEL, Evidence
from tpr_outcomes.inference.identifiability import (
    FEWEST_PAST,
    LARGEST_LINEAR_MDR,
    LARGEST_THRESHOLD_MDR,
    POWER_FACTOR,
    SEARCH_COST,
)
from tpr_outcomes.inference.threshold import BIC_MARGIN
from tpr_outcomes.inference.tipping import true_threshold
from tpr_outcomes.models.candidates import HINGE
from tpr_outcomes.planning.rates import Rate
from tpr_outcomes.planning.self_check import SelfCheck
from tpr_outcomes.reporting import claim_rows, tables
from tpr_outcomes.reporting.cautions import FEW_PATIENTS
from tpr_outcomes.reporting.disclosure import most_past
from tpr_outcomes.reporting.drawn import THRESHOLD_LABELS, courses, design_picture, flow, spread
from tpr_outcomes.reporting.linking import NUMBER, value_of
from tpr_outcomes.reporting.numbers import Results, Row, key_of, row
from tpr_outcomes.reporting.quantities import NORMAL_95, line_relief, patients_needed, tipping_bias
from tpr_outcomes.reporting.results import Evaluation, estimates
from tpr_outcomes.reporting.standards import checklists
from tpr_outcomes.reporting.verdict import ANSWERS, Finding

LEVEL = 0.95
UNANSWERED = ("not identifiable", "not recorded", "not testable")
_GROUPS = {"mdr": "design", "mdr_best": "design", "mdr_line": "design", "dose_95": "design"}
_GROUPS |= {"share_within_visit": "design"}


def collect(evaluation: Evaluation) -> Results:
    """Gather every number of an evaluation, once.

    Parameters
    ----------
    evaluation : Evaluation

    Returns
    -------
    Results
        Rows in the order of the report, and the tables they came from.
    """
    frames = tables.all_tables(evaluation)
    if evaluation.self_check is not None:
        frames["self_check"] = evaluation.self_check.to_frame()
    rows = [
        *_core(evaluation),
        *_verdict(evaluation),
        *_flow(evaluation),
        *_tables(evaluation, frames),
        *_figures(evaluation),
        *_sensitivity(evaluation, frames),
        *_self_check(evaluation.self_check),
        *_claims(evaluation.claims),
        *_settings(evaluation),
        *_quoted(evaluation),
        *_standards(evaluation),
    ]
    return Results(tuple(rows), frames)


def _core(evaluation: Evaluation) -> Iterator[Row]:
    """The estimates behind the verdict, grouped: data, left_out, design, test."""
    for values in _records(estimates(evaluation)):
        term = str(values["term"])
        first = term.partition(":")[0]
        own = first in ("data", "left_out", "check")
        yield row(term if own else f"{_GROUPS.get(first, 'test')}:{term}", term, values)


def _verdict(evaluation: Evaluation) -> Iterator[Row]:
    """What the sentences of the verdict quote besides."""
    e = evaluation.evidence
    unit, dose, n = e.scale.unit, e.ratings.dose, evaluation.shown.number("analysed")
    yield Row("verdict:rule", "number of the rule that decided", evaluation.decision.gate, unit="rule")
    if e.ratings.dose_before.size:
        low, high = float(e.ratings.dose_before.min()), float(e.ratings.dose_before.max())
        yield Row(
            "verdict:totals", "totals seen: least and most", conf_low=low, conf_high=high, unit=dose, n=n
        )
    left = evaluation.shown.number("patients_left_out")
    if left is not None:
        yield Row("verdict:not_in_it", "patients without a first and a later rating", left, unit="count")
    line = line_relief(e)
    if line is not None and line.std_error > 0 and e.design is not None and e.design.dose_95 > 0:
        slope, error = -line.estimate / e.design.dose_95, line.std_error / e.design.dose_95
        ends = slope - NORMAL_95 * error, slope + NORMAL_95 * error
        how = "straight line, patient-robust; negative is better"
        yield Row("verdict:slope_line", "change per dose if each counts the same", slope, error, *ends,
                  level=LEVEL, unit=f"{unit} per dose", n=n, method=how)  # fmt: skip
    needed = patients_needed(e)
    if needed is not None:
        yield Row("verdict:patients_needed", "patients that could bring the answer", needed, unit="count")
    most = most_past(e, evaluation.shown)
    if e.design is not None and e.design.patients_past.size and most is not None:
        yield Row("verdict:most_past", "most patients rated past a searched place", most, unit="count", n=n)
    if e.test is None:
        return
    scores = e.test.scores
    yield Row("verdict:rivals", "rival explanations", len(scores.p_values), unit="count")
    beaten = sum(p < e.threshold_level for p in scores.p_values.values())
    yield Row("verdict:rivals_beaten", "rival explanations beaten", beaten, unit="count")
    p_values = {"p_threshold": scores.p_threshold, "p_dose": scores.p_dose}
    for name, p_value in p_values.items():
        yield Row(f"verdict:{name}", f"{name[2:]} against chance", p_value=p_value, n=n, method="sign flips")
    yield from _threshold(evaluation)


def _threshold(evaluation: Evaluation) -> Iterator[Row]:
    """Numbers that mean something only where the verdict is a threshold."""
    e = evaluation.evidence
    assert e.test is not None
    if evaluation.decision.label not in THRESHOLD_LABELS:
        return
    profile, unit, n = e.test.profile, e.scale.unit, evaluation.shown.number("analysed")
    sign = 1.0 if e.scale.higher_is_worse else -1.0
    slope, reach = sign * profile.slope, NORMAL_95 * profile.slope_error
    if profile.shape == HINGE.name:
        ends = {"conf_low": slope - reach, "conf_high": slope + reach, "level": LEVEL}
        how = {"unit": f"{unit} per dose", "n": n, "method": "place as known"}
        yield row(
            "verdict:slope_past", "change per dose past the threshold", {"estimate": slope, **ends, **how}
        )
    before = max(profile.before_high, 0.0)
    if math.isfinite(before):
        yield Row(
            "verdict:before_high",
            "most relief up to the threshold",
            before,
            unit=unit,
            method="one-sided limit",
        )
    bias = tipping_bias(e)
    if bias is not None:
        yield Row("verdict:tipping", "hidden pull that would be enough", bias, unit=unit, n=n)
    true = true_threshold(profile.estimate)
    for share, place in zip(true["share_recorded"], true["threshold"], strict=True):
        name = f"verdict:undercount:{100 * share:.0f}"
        yield Row(
            name,
            "true threshold if a share was written down",
            float(place),
            level=float(share),
            unit="true count",
        )


def _flow(evaluation: Evaluation) -> Iterator[Row]:
    shown = evaluation.shown
    f = flow(evaluation.visits, evaluation.evidence, shown)
    names = {"rows_read": "rows", "rows_not_used": "not_kept"}
    names |= {f"rows_not_used:{rule}": f"not_kept:{rule}" for rule in f.not_kept}
    names |= {"visits": "visits", "patients": "patients", "visits_left_out": "left_out"}
    names |= {"patients_left_out": "patients_left_out"}
    names |= {f"patients_left_out:{rule}": f"patients_left_out:{rule}" for rule in f.patients_left_out}
    names |= {f"visits_left_out:{rule}": f"left_out:{rule}" for rule in f.left_out}
    names |= {"first_ratings": "analysed", "later_ratings": "ratings"}
    for name, count in names.items():
        n = shown.number(count)
        if n is not None:
            term = name.replace("_", " ").replace(":", ": ")
            yield Row(f"flow:{name}", term, n, unit="count", method="count")


# --- tables ---------------------------------------------------------------------------------------


def _tables(evaluation: Evaluation, frames: Mapping[str, pd.DataFrame]) -> Iterator[Row]:
    """Each table's cells as rows; the id is table, row and what is estimated."""
    e = evaluation.evidence
    yield from _by_visit(frames["by_visit"], e)
    yield from _bands(frames.get("bands"), e)
    yield from _rivals(frames.get("rivals"))
    yield from _fits(frames.get("fits"), e)
    for r in _records(frames["gates"]):
        key = f"gates:{key_of(r['term'])}"
        yield row(key, str(r["term"]), {"estimate": r["estimate"], "p_value": None})
        yield Row(f"{key}:limit", f"limit of: {r['term']}", float(r["limit"]))
    for r in _records(frames.get("design", pd.DataFrame())):
        key = f"design:searched:{r['knot']:.10g}"
        values = {"estimate": r["mdr_searched"], "unit": e.scale.unit, "n": r["n_patients"]}
        yield row(key, "smallest relief to be seen past a searched place", values)
        yield Row(f"{key}:place", "place searched", float(r["knot"]), unit=e.ratings.dose)
    yield from _responders(frames.get("responders"))


def _responders(frame: pd.DataFrame | None) -> Iterator[Row]:
    if frame is None:
        return
    for r in _records(frame):
        key = f"responders:{r['cut']}"
        share = {name: r[name] for name in ("estimate", "conf_low", "conf_high", "n", "method")}
        yield row(key, "share of patients improved by so much", {**share, "level": LEVEL, "unit": "share"})
        cut = {"estimate": r["value"], "unit": "%" if r["kind"] == "percent" else r["unit"]}
        yield row(f"{key}:cut", "improvement called important", cut)
        counted = {"estimate": r["count"], "unit": "count", "n": r["n"]}
        yield row(f"{key}:count", "patients improved by so much", counted)
        yield from _numbers_in(f"quoted:{key}", str(r["sources"]), "as the source says")


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table as mappings."""
    return [{str(key): value for key, value in r.items()} for r in frame.to_dict(orient="records")]


def _by_visit(frame: pd.DataFrame, e: Evidence) -> Iterator[Row]:
    unit, dose = e.scale.unit, e.ratings.dose
    for r in _records(frame):
        key = f"by_visit:{r['visit']}"
        yield Row(f"{key}:visit", "visit number", float(r["visit"]))
        if pd.isna(r["mean"]):
            continue
        n = None if pd.isna(r["n"]) else int(r["n"])
        ends = {"conf_low": r["conf_low"], "conf_high": r["conf_high"], "level": LEVEL}
        yield row(f"{key}:mean", "mean rating", {"estimate": r["mean"], **ends, "unit": unit, "n": n})
        without = {
            "estimate": r["without_dose"],
            "conf_low": r["without_low"],
            "conf_high": r["without_high"],
        }
        if not pd.isna(r["without_dose"]):
            how = {"level": LEVEL, "unit": unit, "n": n, "method": "model, without the dose"}
            yield row(f"{key}:without", "mean rating without the dose", {**without, **how})
        total = {"estimate": r["total_median"], "conf_low": r["total_q25"], "conf_high": r["total_q75"]}
        how = {"level": 0.5, "unit": dose, "n": n, "method": "median and quartiles"}
        yield row(f"{key}:total", "running total", {**total, **how})


def _bands(frame: pd.DataFrame | None, e: Evidence) -> Iterator[Row]:
    if frame is None:
        return
    for i, r in enumerate(_records(frame)):
        key = f"bands:{i + 1}"
        ends = {"conf_low": r["dose_low"], "conf_high": r["dose_high"], "unit": e.ratings.dose}
        yield row(
            f"{key}:total", "totals of the band: mean, least, most", {"estimate": r["dose_mean"], **ends}
        )
        if not pd.isna(r["n_ratings"]):
            yield Row(f"{key}:ratings", "ratings in the band", float(r["n_ratings"]), unit="count")
        found = {"estimate": r["estimate"], "conf_low": r["conf_low"], "conf_high": r["conf_high"]}
        n = None if pd.isna(r["n_patients"]) else r["n_patients"]
        how = {"level": LEVEL, "unit": e.scale.unit, "n": n, "method": "against the lowest band, same visit"}
        yield row(f"{key}:difference", "difference in rating", {**found, **how})


def _rivals(frame: pd.DataFrame | None) -> Iterator[Row]:
    if frame is None:
        return
    for r in _records(frame):
        values = {"p_value": r["p_value"], "method": "averaged score, sign flips"}
        yield row(f"rivals:{r['term']}", "threshold against this rival", values)
        if not pd.isna(r["delta_bic"]):
            yield Row(
                f"rivals:{r['term']}:bic", "BIC above the threshold's", float(r["delta_bic"]), unit="BIC"
            )


def _fits(frame: pd.DataFrame | None, e: Evidence) -> Iterator[Row]:
    if frame is None:
        return
    for r in _records(frame):
        key = f"fits:{r['term']}"
        values = {name: r.get(name) for name in ("estimate", "std_error", "conf_low", "conf_high")}
        yield row(key, "change near the highest totals", {**values, "level": LEVEL, "unit": e.scale.unit})
        if not pd.isna(r["theta2"]):
            yield Row(f"{key}:place", "place", float(r["theta2"]), unit=e.ratings.dose)
        yield Row(f"{key}:bic", "BIC above the best", float(r["delta_bic"]), unit="BIC")


def _sensitivity(evaluation: Evaluation, frames: Mapping[str, pd.DataFrame]) -> Iterator[Row]:
    """What stands beside the verdict, and the numbers in the reasons why something could not be done."""
    if evaluation.sensitivity is None:
        return
    for values in _records(frames["sensitivity"]):
        term, reason = str(values["term"]), values["reason"]
        if reason:
            yield from _numbers_in(f"quoted:{term}", str(reason), "as the analysis says")
        elif not pd.isna(values["estimate"]) or not pd.isna(values["p_value"]):
            yield row(f"sensitivity:{term}", term, values)
    for values in _records(frames["weights"]):
        name, n = f"weights:{values['visit']}", int(values["n"])
        yield Row(name, "number of the visit", float(values["visit"]), unit="visit", n=n)
        for key in ("mean", "effective", "free", "before", "after"):
            if not pd.isna(values[key]):
                yield Row(f"{name}:{key}", key, float(values[key]), n=n, method="stabilised weights")


# --- figures, self-check, claims, settings --------------------------------------------------------


def _figures(evaluation: Evaluation) -> Iterator[Row]:
    """Numbers that only captions and alternative texts quote."""
    e, shown = evaluation.evidence, evaluation.shown
    lines = courses(evaluation.visits, e, shown)
    if lines is not None:
        n = shown.number("analysed")
        yield Row("figures:courses", "patients drawn", len(lines.lines), unit="count", n=n)
        seen = lines.course.observed
        for i in sorted({0, seen.at.size - 1}):
            ends = float(seen.estimate[i]), math.nan, float(seen.conf_low[i]), float(seen.conf_high[i])
            yield Row(f"figures:courses:{seen.at[i]:.0f}", "mean rating at an end of the curve", *ends,
                      level=LEVEL, unit=e.scale.unit, n=shown.number(f"rated:{seen.at[i]:.0f}"))  # fmt: skip
            yield Row(f"figures:courses:{seen.at[i]:.0f}:visit", "visit at an end", float(seen.at[i]))
    totals = spread(e, shown)
    if totals is not None:
        tens = zip(totals.at, totals.quantiles[0], totals.quantiles[4], strict=True)
        for visit, low, high in tens:
            name = f"figures:spread:{visit:.0f}"
            yield Row(name, "10% and 90% points of the totals", conf_low=low, conf_high=high, level=0.8)
    design = design_picture(e, shown)
    if design is not None:
        within = int((design.mdr <= design.limit).sum())
        yield Row("figures:design", "places within the limit", within, unit="count", n=design.knots.size)


def _self_check(check: SelfCheck | None) -> Iterator[Row]:
    if check is None or check.false_support is None:
        return
    yield from _rate("self_check:false", "called a threshold where twitches do nothing", check.false_support)
    yield Row("self_check:top", "total at which relief is counted", check.dose_95)
    for i, setting in enumerate(check.power):
        key = f"self_check:power:{i + 1}"
        yield from _rate(key, "called a threshold where there is one", setting.rate())
        if setting.threshold is not None:
            yield Row(f"{key}:place", "threshold put in", setting.threshold)
        yield Row(f"{key}:relief", "relief put in", setting.relief)


def _rate(key: str, term: str, rate: Rate) -> Iterator[Row]:
    how = "share of simulated clinics; exact limits"
    yield Row(key, term, rate.share, rate.mcse, rate.conf_low, rate.conf_high,
              level=LEVEL, unit="share", n=rate.trials, method=how)  # fmt: skip
    yield Row(f"{key}:count", f"simulated clinics {term}", rate.count, unit="count", n=rate.trials)


def _claims(claims: tuple[Finding, ...]) -> Iterator[Row]:
    """The numbers of each claim's answer: its rows where it has some, and its further numbers."""
    for claim in claims:
        rule = f"{claim.rule.name}/{claim.rule.version}"
        seen: Counter[str] = Counter()
        for number in claim.rows:
            seen[number.term] += 1
            again = f":{seen[number.term]}" if seen[number.term] > 1 else ""
            values = {key: getattr(number, key, None) for key in Row.__dataclass_fields__}
            yield row(f"claims:{claim.claim}:{number.term}{again}", number.term, values)
        for name, value in claim.numbers.items():
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                yield Row(f"claims:{claim.claim}:number:{name}", name, value, rule=rule)
    counts = Counter(claim.answer for claim in claims)
    for answer in ANSWERS:
        yield Row(
            f"claims:count:{key_of(answer)}", f"claims answered: {answer}", counts[answer], unit="count"
        )


def _settings(evaluation: Evaluation) -> Iterator[Row]:
    """Fixed numbers of the procedure, and those of the plan."""
    e, span = evaluation.evidence, evaluation.evidence.scale.span
    fixed: dict[str, tuple[str, float]] = {
        "level": ("level of the intervals", LEVEL),
        "small_count": ("counts below this are not shown", evaluation.shown.minimum),
        "fewest_past": ("patients wanted past a threshold", FEWEST_PAST),
        "few_patients": ("patients below which links are called too often", FEW_PATIENTS),
        "largest_mdr": ("largest relief to be seen past a threshold", LARGEST_THRESHOLD_MDR * span),
        "largest_line_mdr": ("largest relief to be seen by a straight line", LARGEST_LINEAR_MDR * span),
        "relevant": ("relief worth noticing", RELEVANT_SHARE * span),
        "threshold_level": ("level of each test against a rival", e.threshold_level),
        "test_level": ("level of the other tests", TEST_LEVEL),
        "bic_margin": ("margin of the information criterion", BIC_MARGIN),
        "search_cost": ("price of searching for the place", SEARCH_COST),
        "power_factor": ("normal quantiles of a one-sided 5% test and 80% power", POWER_FACTOR),
        "power": ("tries in a hundred in which it is found", 80.0),
        "tries": ("tries", 100.0),
        "middle": ("middle share of the totals drawn as thin bars", 0.8),
        "top_share": ("point of the doses near the highest", 0.95),
        "draws_kept": ("draws in a hundred that rule a place out", 95.0),
        "first_rule": ("first rule", 0.0),
        "last_rule": ("last rule", 5.0),
        "claims": ("claims", float(len(claim_rows.BY_ID))),
        "moderate": ("improvement called moderate by an expert group", 0.30),
        "scale_low": ("lowest rating of the scale", e.scale.minimum),
        "scale_high": ("highest rating of the scale", e.scale.maximum),
        "scale_span": ("width of the scale", span),
    }  # fmt: skip
    for name, (term, value) in fixed.items():
        yield Row(f"setting:{name}", term, value, method="fixed before the record was read")
    yield Row("setting:replicates", "random sign flips", e.replicates, unit="count", method="plan")
    yield Row("setting:seed", "seed", e.seed, method="plan")
    clinics: Any = evaluation.plan.get("self_check", 0)
    yield Row("setting:self_check", "simulated clinics asked for", float(clinics), method="plan")
    if "region" in evaluation.visits.table.columns:
        regions = int(evaluation.visits.table["region"].replace("", np.nan).nunique())
        yield Row("verdict:regions", "body regions", regions, unit="count")
    if "therapist" in evaluation.visits.table.columns:
        names = evaluation.visits.table["therapist"]
        yield Row("verdict:therapists", "therapists", int(names[names != ""].nunique()), unit="count")


def _quoted(evaluation: Evaluation) -> Iterator[Row]:
    """Numbers inside texts that are quoted as they are: the clinic's claims, and what a check said."""
    for claim in evaluation.claims:
        texts = claim_rows.BY_ID[claim.claim]
        yield from _numbers_in(f"quoted:{claim.claim}", texts.quote, "as the clinic's page says")
        about = f"{texts.why} {texts.holds} {texts.refuted_if}"
        yield from _numbers_in(f"quoted:{claim.claim}:about", about, "as the list of claims says")
        if claim.answer not in UNANSWERED:
            continue
        if any(math.isfinite(number.estimate) for number in claim.rows):  # described: only sources are quoted
            for i, number in enumerate(claim.rows, start=1):
                yield from _numbers_in(f"quoted:{claim.claim}:made:{i}", number.method, "as the source says")
        else:  # a reason, no result
            yield from _numbers_in(f"quoted:{claim.claim}:reason", claim.sentence, "as the analysis says")
    first = {problem.rule: problem.message for problem in reversed(evaluation.visits.problems)}
    for rule, message in first.items():
        yield from _numbers_in(f"quoted:warned:{rule}", message, "as the check of the record says")
    yield from _numbers_in("quoted:obstacle", evaluation.evidence.obstacle, "as the engine says")
    for check in (evaluation.evidence.mundlak, evaluation.evidence.lead):
        if check is not None:
            yield from _numbers_in(f"quoted:check:{check.name}", check.reason, "as the check says")
    reason = "" if evaluation.self_check is None else evaluation.self_check.reason
    yield from _numbers_in("quoted:self_check", reason, "as the self-check says")
    for stage in evaluation.visits.left_out, evaluation.evidence.ratings.left_out:
        for rule, text in {item.rule: item.reason for item in stage}.items():
            yield from _numbers_in(f"quoted:left_out:{rule}", text, "as the reader says")


def _standards(evaluation: Evaluation) -> Iterator[Row]:
    for checklist in checklists(evaluation, frozenset()):
        name = f"standards:{checklist.name}"
        yield Row(name, "items answered", checklist.answered, unit="item", n=len(checklist.items))
    if evaluation.self_check is not None:
        yield Row("self_check:bootstrap", "sign flips in each clinic", evaluation.self_check.bootstrap)


def _numbers_in(key: str, text: str, method: str) -> Iterator[Row]:
    """One row per number in a text."""
    for i, found in enumerate(NUMBER.finditer(text), start=1):
        value, _ = value_of(found)
        unit = "%" if found["percent"] else ""
        yield Row(f"{key}:{i}", f"number {i} in a quoted text", value, unit=unit, method=method)
