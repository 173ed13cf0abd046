"""Tables for people and for machines: one tidy frame each, the same numbers as verdict, figures and report.

Columns follow one vocabulary (``term, estimate, std_error, conf_low, conf_high, p_value``); numbers are not
rounded. A count of people that is small, or from which a small one would follow, is withheld
(docs/privacy.md), and in tables by visit with it everything computed from it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from tpr_outcomes.cohort.privacy import Counts, is_small
from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.evidence import RELEVANT_SHARE, TEST_LEVEL, Evidence
from tpr_outcomes.inference.falsify import Check
from tpr_outcomes.inference.identifiability import (
    FEWEST_PAST,
    LARGEST_LINEAR_MDR,
    LARGEST_THRESHOLD_MDR,
    SEARCH_COST,
)
from tpr_outcomes.inference.importance import responders
from tpr_outcomes.inference.threshold import BIC_MARGIN
from tpr_outcomes.models.adjusted import FEWEST_PER_VISIT, average_course, dose_bands
from tpr_outcomes.models.candidates import HINGE, STEP, CandidateSet, column_rivals
from tpr_outcomes.models.fitting import compare, fit_all
from tpr_outcomes.reporting import claim_rows
from tpr_outcomes.reporting.disclosure import most_past, past_name, withheld_visits
from tpr_outcomes.reporting.doubts import sensitivity_frame, weights_frame
from tpr_outcomes.reporting.drawn import THRESHOLD_LABELS, flow, rivals
from tpr_outcomes.reporting.results import Evaluation, left_out
from tpr_outcomes.reporting.spelling import terms
from tpr_outcomes.reporting.verdict import PRINTED

GATES = (
    "threshold against every rival",
    "information criterion",
    "check: patient trait",
    "check: earlier rating",
    "design: patients past",
    "design: threshold",
    "design: straight line",
    "lasting sum",
    "any link",
    "small bound",
)
"""Steps of the verdict, in order; their words are in the report's catalogue."""


def all_tables(evaluation: Evaluation) -> dict[str, pd.DataFrame]:
    """Every table the record carries, by file name.

    Parameters
    ----------
    evaluation : Evaluation

    Returns
    -------
    dict of str to DataFrame
        ``gates, rivals, fits, bands, profile, design, by_visit, flow, left_out, checks, claims,
        sensitivity, weights, claim_numbers``; tables that need a fit are left out where there is none.
    """
    e = evaluation.evidence
    found = {
        "gates": gates(evaluation),
        "flow": flow_table(evaluation),
        "left_out": left_out_table(evaluation),
    }
    found["by_visit"] = by_visit(evaluation)
    found["responders"] = responders_table(evaluation)
    if e.test is not None:
        found["rivals"] = rivals_table(e)
        found["profile"] = profile_table(evaluation)
    if e.working is not None:
        try:
            found["fits"] = fits_table(evaluation)
            found["bands"] = bands_table(e, evaluation.shown)
        except FitError:  # the dose is the visit number in disguise; the design says so
            pass
    if e.design is not None:
        found["design"] = design_table(e, evaluation.shown)
    found["checks"] = checks_table(e, evaluation.shown)
    if evaluation.sensitivity is not None:
        found["sensitivity"] = sensitivity_frame(evaluation.sensitivity, terms(e.ratings.dose, e.scale))
        found["weights"] = shown_weights(weights_frame(evaluation.sensitivity), evaluation.shown)
    found["claims"] = claims_table(evaluation)
    found["claim_numbers"] = claim_numbers(evaluation)
    return found


def shown_weights(frame: pd.DataFrame, shown: Counts) -> pd.DataFrame:
    """Return the weights of the visits that tell no more than the table of visits does.

    Ratings behind the weights of one visit are those at the next. Where their number is withheld, and where
    these are nearly all of them, a small count would follow.
    """

    def tells_nothing_new(visit: int, n: int) -> bool:
        name = f"later:{visit + 1}"
        if n < shown.minimum or name not in shown.values or shown.number(name) is None:
            return False
        return not is_small(abs(shown.values[name] - n), shown.minimum)

    kept = [
        tells_nothing_new(int(visit), int(n)) for visit, n in zip(frame["visit"], frame["n"], strict=True)
    ]
    return frame[pd.Series(kept, index=frame.index, dtype=bool)].reset_index(drop=True)


def gates(evaluation: Evaluation) -> pd.DataFrame:
    """Each condition of the verdict with its value, its limit and whether it holds.

    Returns
    -------
    DataFrame
        ``term`` (one of :data:`GATES`), ``estimate``, ``limit``, ``holds`` (missing where not computed).
    """
    e = evaluation.evidence
    span = e.scale.span
    found: dict[str, tuple[float | None, float, bool | None]] = {}
    if e.test is not None:
        p, delta = e.test.scores.p_values, e.test.criteria.delta_bic
        largest, lasting = max(p.values()), max(p[name] for name in ("none", "last", "fading_half"))
        found["threshold against every rival"] = largest, e.threshold_level, largest < e.threshold_level
        found["information criterion"] = delta, BIC_MARGIN, delta > BIC_MARGIN
        found["lasting sum"] = lasting, TEST_LEVEL, lasting < TEST_LEVEL
        found["any link"] = p["none"], TEST_LEVEL, p["none"] < TEST_LEVEL
    for name, check in (("check: patient trait", e.mundlak), ("check: earlier rating", e.lead)):
        if check is not None:
            found[name] = check.p_value, check.level, check.passed
    if e.design is not None:
        failed, most = e.design.reasons, most_past(e, evaluation.shown)
        best, line = LARGEST_THRESHOLD_MDR * span, LARGEST_LINEAR_MDR * span
        found["design: patients past"] = most, FEWEST_PAST, "patients_past" not in failed
        found["design: threshold"] = e.design.best_mdr, best, "threshold_mdr" not in failed
        found["design: straight line"] = e.design.linear_mdr, line, "linear_mdr" not in failed
    if e.relief_bound is not None:
        limit = RELEVANT_SHARE * span
        found["small bound"] = e.relief_bound, limit, e.relief_bound < limit
    rows = [(name, *found[name]) for name in GATES if name in found]
    frame = pd.DataFrame(rows, columns=["term", "estimate", "limit", "holds"])
    return frame.astype({"estimate": "float64", "limit": "float64", "holds": "boolean"})


def rivals_table(evidence: Evidence) -> pd.DataFrame:
    """Threshold against each rival: averaged score, p-value, BIC above the threshold's.

    Returns
    -------
    DataFrame
        ``term, estimate`` (exponential average of the scores), ``p_value, delta_bic, beaten``.
    """
    assert evidence.test is not None
    averages = evidence.test.scores.averages
    rows = [
        {
            "term": rival.name,
            "estimate": averages[rival.name],
            "p_value": rival.p_value,
            "delta_bic": rival.bic,
            "beaten": rival.p_value is not None and rival.p_value < rival.level,
        }
        for rival in rivals(evidence)
    ]
    return pd.DataFrame(rows, columns=["term", "estimate", "p_value", "delta_bic", "beaten"])


def fits_table(evaluation: Evaluation) -> pd.DataFrame:
    """Every explanation fitted on the shared background (:func:`tpr_outcomes.models.fitting.compare`).

    The place of a threshold or step is missing unless the verdict is a threshold: in any other case it
    would be a number without a meaning.
    """
    e = evaluation.evidence
    assert e.working is not None
    members = (*CandidateSet().candidates, *column_rivals(e.ratings))
    table = compare(fit_all(members, e.working))
    if evaluation.decision.label not in THRESHOLD_LABELS:
        table.loc[table["term"].isin([HINGE.name, STEP.name]), "theta2"] = np.nan
    return table


def bands_table(evidence: Evidence, shown: Counts) -> pd.DataFrame:
    """Rating by dose band against the lowest, background held fixed.

    Returns
    -------
    DataFrame
        ``dose_low, dose_high, dose_mean, n_ratings, n_patients, estimate, conf_low, conf_high``.
    """
    assert evidence.working is not None
    bands = dose_bands(evidence.working)
    d = bands.difference
    return pd.DataFrame(
        {
            "dose_low": bands.low,
            "dose_high": bands.high,
            "dose_mean": d.at,
            "n_ratings": pd.array([shown.number(f"band:{i}") for i in range(d.at.size)], dtype="Int64"),
            "n_patients": pd.array(
                [shown.number(f"band_patients:{i}") for i in range(d.at.size)], dtype="Int64"
            ),
            "estimate": d.estimate,
            "conf_low": d.conf_low,
            "conf_high": d.conf_high,
        }
    )


def profile_table(evaluation: Evaluation) -> pd.DataFrame:
    """Profile deviance of the threshold.

    Returns
    -------
    DataFrame
        ``threshold, deviance, in_interval``; the last is missing unless the verdict is a threshold.
    """
    assert evaluation.evidence.test is not None
    profile = evaluation.evidence.test.profile
    within = (profile.conf_low <= profile.grid) & (profile.grid <= profile.conf_high)
    inside = pd.array(within, dtype="boolean")
    if evaluation.decision.label not in THRESHOLD_LABELS:
        inside[:] = pd.NA
    return pd.DataFrame({"threshold": profile.grid, "deviance": profile.deviance, "in_interval": inside})


def design_table(evidence: Evidence, shown: Counts) -> pd.DataFrame:
    """What could be seen past each threshold.

    Returns
    -------
    DataFrame
        ``knot, mdr`` (known place), ``mdr_searched`` (times 1.25), ``n_patients`` past it.
    """
    assert evidence.design is not None
    d = evidence.design
    past = pd.array([shown.number(past_name(knot)) for knot in d.knots], dtype="Int64")
    mdr = np.where(np.isfinite(d.mdr), d.mdr, np.nan)
    return pd.DataFrame({"knot": d.knots, "mdr": mdr, "mdr_searched": SEARCH_COST * mdr, "n_patients": past})


def by_visit(evaluation: Evaluation) -> pd.DataFrame:
    """Ratings and doses at each visit number; visits whose count is withheld keep their row only.

    The digits of a mean would give its count away.

    Returns
    -------
    DataFrame
        ``visit, n`` (missing where withheld), ``mean, sd, conf_low, conf_high`` of the rating,
        ``without_dose, without_low, without_high`` (model), ``total_q25, total_median, total_q75``.
    """
    r, shown = evaluation.evidence.ratings, evaluation.shown
    course = _course(evaluation.evidence, shown)
    rows = []
    for visit in np.unique(r.visit):
        here = r.visit == visit
        row: dict[str, float | int | None] = {"visit": int(visit), "n": None}
        n = shown.number(f"later:{visit:.0f}")
        if n is not None and n >= FEWEST_PER_VISIT:
            low, middle, high = np.quantile(r.dose_before[here], [0.25, 0.5, 0.75])
            row |= {
                "n": n,
                "mean": float(r.pain[here].mean()),
                "sd": float(r.pain[here].std(ddof=1)),
            }
            row |= {"total_q25": float(low), "total_median": float(middle), "total_q75": float(high)}
            row |= course.get(int(visit), {})
        rows.append(row)
    frame = pd.DataFrame(rows, columns=["visit", "n", *BY_VISIT])
    return frame.astype({"visit": "int64", "n": "Int64", **dict.fromkeys(BY_VISIT, "float64")})


BY_VISIT = (
    "mean", "sd", "conf_low", "conf_high", "without_dose", "without_low", "without_high",
    "total_q25", "total_median", "total_q75",
)  # fmt: skip


def responders_table(evaluation: Evaluation) -> pd.DataFrame:
    """Share of patients who improved by each cut-point that somebody called important.

    Returns
    -------
    DataFrame
        ``cut, kind, value, unit, method, sources, count, n, estimate, conf_low, conf_high``; a count under
        five, of those who did or of those who did not, is withheld and with it the share.
    """
    unit, minimum = evaluation.evidence.scale.unit, evaluation.shown.minimum
    rows = []
    for r in responders(evaluation.visits):
        hidden = is_small(r.count, minimum) or is_small(r.n - r.count, minimum)
        n = None if is_small(r.n, minimum) else r.n
        found = (None, n, None, None, None) if hidden else (r.count, n, r.estimate, r.conf_low, r.conf_high)
        of = "percent of the first rating" if r.cut.kind == "percent" else unit
        rows.append((r.cut.name, r.cut.kind, r.cut.value, of, r.cut.method, "; ".join(r.cut.sources), *found))
    names = ["cut", "kind", "value", "unit", "method", "sources"]
    names += ["count", "n", "estimate", "conf_low", "conf_high"]
    floats = dict.fromkeys(("value", "estimate", "conf_low", "conf_high"), "float64")
    return pd.DataFrame(rows, columns=names).astype({**floats, "count": "Int64", "n": "Int64"})


def _course(evidence: Evidence, shown: Counts) -> dict[int, dict[str, float]]:
    """Intervals of the mean, and the mean without its dose part, by visit."""
    course = average_course(evidence.ratings, evidence.working, without=withheld_visits(shown, "later"))
    seen, without = course.observed, course.without_dose
    columns = {"conf_low": seen.conf_low, "conf_high": seen.conf_high}
    if without is not None:
        columns |= {"without_dose": without.estimate, "without_low": without.conf_low}
        columns["without_high"] = without.conf_high
    return {
        int(visit): {name: float(column[i]) for name, column in columns.items()}
        for i, visit in enumerate(seen.at)
    }


def flow_table(evaluation: Evaluation) -> pd.DataFrame:
    """Where every row went: ``step, rule, count``, the count missing where it is withheld."""
    shown = evaluation.shown
    f = flow(evaluation.visits, evaluation.evidence, shown)
    rows: list[tuple[str, str, int | None]] = [("rows read", "", shown.number("rows"))]
    rows += [("rows not used", rule, shown.number(f"not_kept:{rule}")) for rule in f.not_kept]
    rows.append(("visits", "", shown.number("visits")))
    rows += [("visits left out", rule, shown.number(f"left_out:{rule}")) for rule in f.left_out]
    rows += [("first ratings", "", shown.number("analysed")), ("later ratings", "", shown.number("ratings"))]
    return pd.DataFrame(rows, columns=["step", "rule", "count"]).astype({"count": "Int64"})


def left_out_table(evaluation: Evaluation) -> pd.DataFrame:
    """Rows left out, by stage and reason: ``stage, rule, reason, count``, missing where it is withheld."""
    rows = left_out(evaluation.visits, evaluation.evidence, evaluation.shown)
    frame = pd.DataFrame(rows, columns=["stage", "rule", "reason", "count"])
    return frame.astype({"count": "Int64"})


def checks_table(evidence: Evidence, shown: Counts) -> pd.DataFrame:
    """Each check: ``term, estimate, p_value, passed, n, reason``."""
    checks: list[Check] = [check for check in (evidence.mundlak, evidence.lead) if check is not None]
    rows = [
        (c.name, c.statistic, c.p_value, c.passed, shown.number(f"check:{c.name}"), c.reason) for c in checks
    ]
    frame = pd.DataFrame(rows, columns=["term", "estimate", "p_value", "passed", "n", "reason"])
    return frame.astype({"estimate": "float64", "p_value": "float64", "passed": "boolean", "n": "Int64"})


def claims_table(evaluation: Evaluation) -> pd.DataFrame:
    """The thirty claims: ``claim, quote, answer, grade, sentence, estimand, refuted_if, rule``."""
    rows = []
    for finding in evaluation.claims:
        row = claim_rows.BY_ID[finding.claim]
        rule = f"{finding.rule.name}/{finding.rule.version}"
        said = (finding.claim, row.quote, finding.answer, finding.grade, finding.sentence)
        rows.append((*said, finding.estimand, row.refuted_if, rule))
    names = ["claim", "quote", "answer", "grade", "sentence", "estimand", "refuted_if", "rule"]
    return pd.DataFrame(rows, columns=names)


def claim_numbers(evaluation: Evaluation) -> pd.DataFrame:
    """Every number behind the answers to the claims: ``claim`` and the columns of an estimate."""
    rows = [{"claim": c.claim, **row.to_dict()} for c in evaluation.claims for row in c.rows]
    frame = pd.DataFrame(rows, columns=["claim", *PRINTED])
    numeric = ["estimate", "std_error", "conf_low", "conf_high", "p_value", "level"]
    return frame.astype(dict.fromkeys(numeric, "float64")).astype({"n": "Int64"})
