"""Evaluation: everything one run found, and the machine-readable forms of it."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from tpr_outcomes.cohort.privacy import MINIMUM, Counts, is_small
from tpr_outcomes.cohort.record import Record
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.inference.evidence import BOUND_ERRORS, Decision, Evidence
from tpr_outcomes.inference.falsify import Check
from tpr_outcomes.inference.identifiability import SEARCH_COST
from tpr_outcomes.inference.sensitivity import Sensitivity
from tpr_outcomes.inference.threshold_interval import DRAWS
from tpr_outcomes.planning.self_check import SelfCheck
from tpr_outcomes.reporting.catalogue import Translation, speaking
from tpr_outcomes.reporting.disclosure import past_name, shown_counts
from tpr_outcomes.reporting.own_design import self_check_json, self_check_sentences
from tpr_outcomes.reporting.quantities import line_relief
from tpr_outcomes.reporting.spelling import terms
from tpr_outcomes.reporting.verdict import Finding

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None

SCHEMA = "tpr-outcomes/verdict/1"
"""Name and version of the content of ``verdict.json``; a breaking change gets a new number."""
DIGITS = 10
"""Significant digits of every float in ``verdict.json``."""

COLUMNS = (
    "term",
    "estimate",
    "std_error",
    "conf_low",
    "conf_high",
    "p_value",
    "level",
    "unit",
    "n",
    "method",
    "rule",
)
"""Columns of :meth:`Evaluation.to_frame`."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What one record was found to say.

    Attributes
    ----------
    plan : mapping
        The plan as run, every setting resolved.
    visits : Visits
        The record.
    evidence : Evidence
        Every number behind the verdict.
    decision : Decision
        Which gate matched.
    finding : Finding
        The verdict in words.
    claims : tuple of Finding
        One answer per claim, C1 to C30.
    sensitivity : Sensitivity or None
        The question under other assumptions; None where nothing was fitted or it was not asked for.
    self_check : SelfCheck or None
        What the procedure says of clinics shaped like this one; None unless it was asked for.
    record : Record or None
        The visits with the optional tables beside them; None where there are only visits.
    translation : Translation or None
        The words it is said in; None for English.
    """

    plan: Mapping[str, Json]
    visits: Visits
    evidence: Evidence
    decision: Decision
    finding: Finding
    claims: tuple[Finding, ...]
    self_check: SelfCheck | None = None
    sensitivity: Sensitivity | None = None
    record: Record | None = None
    translation: Translation | None = None

    @property
    def verdict(self) -> str:
        """The label, for example ``"inconclusive"``."""
        return self.decision.label

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        return self.finding.sentence

    @property
    def self_check_sentences(self) -> tuple[str, ...]:
        """What the self-check found, in words; empty unless it was asked for."""
        if self.self_check is None:
            return ()
        with speaking(self.translation):
            return self_check_sentences(self.self_check, self.evidence)

    @cached_property
    def shown(self) -> Counts:
        """Counts of people, and which of them may be shown (docs/privacy.md)."""
        minimum = self.plan.get("smallest_count", MINIMUM)
        assert isinstance(minimum, int)
        with speaking(self.translation):
            return shown_counts(self.visits, self.evidence, minimum)

    @property
    def threshold(self) -> dict[str, Json] | None:
        """Threshold and interval in recorded doses; None unless the response is threshold-shaped.

        In any other case a number could be computed, and would mean nothing.
        """
        if self.decision.gate != 1 or self.evidence.test is None:
            return None
        profile = self.evidence.test.profile
        return {
            "estimate": profile.estimate,
            "conf_low": profile.conf_low,
            "conf_high": profile.conf_high,
            "level": profile.level,
            "unit": terms(self.evidence.ratings.dose, self.evidence.scale).recorded,
            "open_low": profile.open_low,
            "open_high": profile.open_high,
            "shape": profile.shape,
        }

    def to_dict(self) -> dict[str, Json]:
        """Return the content of ``verdict.json`` (docs/methods/verdict-json.md).

        Floats have :data:`DIGITS` significant digits; what is not a finite number is None. The same
        input, plan and version give the same content, in the same order.
        """
        e = self.evidence
        content: dict[str, Json] = {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "sentence": self.sentence,
            "threshold": self.threshold,
            "p_values": _p_values(e),
            "delta_bic": None if e.test is None else e.test.criteria.delta_bic,
            "checks": {"mundlak": _check(e.mundlak), "lead": _check(e.lead)},
            "design": _design(e, self.decision, self.shown),
            "data": data_summary(self.visits, e, self.shown) | {"tables": _tables(self.record, self.shown)},
            "rule": {"name": self.finding.rule.name, "version": self.finding.rule.version},
            "claims": [_claim(c) for c in self.claims],
            "seed": e.seed,
            "replicates": e.replicates,
        }
        if self.self_check is not None:
            content["self_check"] = self_check_json(self.self_check, e)
        tidy = tidy_json(content)
        assert isinstance(tidy, dict)
        return tidy

    def to_json(self) -> str:
        """Return ``verdict.json`` as text, ending in a line break."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def to_frame(self) -> pd.DataFrame:
        """Return every estimate, one row each (columns :data:`COLUMNS`), for tables and scripts."""
        return estimates(self)


def tidy_json(value: Json | Mapping[str, Json] | Sequence[Json]) -> Json:
    """Round floats to :data:`DIGITS` significant digits and turn what is not finite into None.

    Examples
    --------
    >>> tidy_json({"a": 1 / 3, "b": float("inf"), "c": (1, True)})
    {'a': 0.3333333333, 'b': None, 'c': [1, True]}
    """
    if isinstance(value, Mapping):
        return {str(key): tidy_json(item) for key, item in value.items()}
    if isinstance(value, str | bool | int) or value is None:
        return value
    if isinstance(value, Sequence):
        return [tidy_json(item) for item in value]
    if not math.isfinite(value):
        return None
    return float(f"{value:.{DIGITS}g}") + 0.0  # + 0.0: no minus in front of zero


def _p_values(e: Evidence) -> dict[str, Json]:
    if e.test is None:
        return {"dose": None, "threshold": {}, "threshold_max": None}
    scores = e.test.scores
    return {"dose": scores.p_dose, "threshold": dict(scores.p_values), "threshold_max": scores.p_threshold}


def _tables(record: Record | None, shown: Counts) -> list[Json]:
    """What the optional tables hold, and what was found in them."""
    found: list[Json] = []
    for name, problems in (record.problems if record is not None else {}).items():
        table = record.table(name) if record is not None else None
        counts = Counter(problem.severity for problem in problems)
        row: dict[str, Json] = {"table": name, "rows": _rows(table, name, shown)}
        row |= {"used": table is not None, "errors": counts["error"], "warnings": counts["warning"]}
        found.append(row)
    return found


def _rows(table: pd.DataFrame | None, name: str, shown: Counts) -> int | None:
    """Rows of an optional table; None where they tell of a few people, alone or less another count."""
    n = 0 if table is None else len(table)
    others = [shown.number(count) for count in ("patients", "analysed")] if name == "patients" else []
    near = any(other is not None and is_small(abs(other - n), shown.minimum) for other in others)
    return None if near or is_small(n, shown.minimum) else n


def _claim(finding: Finding) -> dict[str, Json]:
    numbers: list[Json] = [dict(row.to_dict()) for row in finding.rows]
    return {
        "claim": finding.claim,
        "answer": finding.answer,
        "grade": finding.grade,
        "sentence": finding.sentence,
        "rule": f"{finding.rule.name}/{finding.rule.version}",
        "assumptions": list(finding.assumptions),
        "numbers": numbers,
    }


def _check(check: Check | None) -> dict[str, Json]:
    if check is None:
        return {"p": None, "level": None, "passed": None, "reason": "nothing was fitted"}
    return {"p": check.p_value, "level": check.level, "passed": check.passed, "reason": check.reason}


def _design(e: Evidence, decision: Decision, shown: Counts) -> dict[str, Json]:
    design = e.design
    if design is None:
        return {
            "knots": [],
            "best_mdr": None,
            "linear_mdr": None,
            "dose_95": None,
            "share_within_visit": None,
            "identifiable": False,
            "reasons": list(decision.reasons),
        }
    knots: list[Json] = [
        {"knot": float(knot), "mdr": float(mdr), "patients_past": shown.number(past_name(knot))}
        for knot, mdr in zip(design.knots, design.mdr, strict=True)
    ]
    return {
        "knots": knots,
        "best_mdr": design.best_mdr,
        "linear_mdr": design.linear_mdr,
        "dose_95": design.dose_95,
        "share_within_visit": design.share_within_visit,
        "identifiable": design.identifiable,
        "reasons": list(design.reasons),
    }


def data_summary(visits: Visits, evidence: Evidence, shown: Counts) -> dict[str, Json]:
    """What went in and what was left out; the counts add up, and are None where they are withheld.

    ``rows_read`` = ``visits`` + rows left out while reading; ``visits`` = ``ratings`` + ``baselines`` +
    visits left out of the analysis.
    """
    r = evidence.ratings
    return {
        "patients": shown.number("patients"),
        "visits": shown.number("visits"),
        "patients_analysed": shown.number("analysed"),
        "ratings": shown.number("ratings"),
        "baselines": shown.number("analysed"),
        "left_out": left_out(visits, evidence, shown),
        "warnings": _warnings(visits, shown),
        "dose": r.dose,
        "scale": visits.scale.name,
        "scale_span": evidence.scale.span,
        "rated": visits.rated,
        "time_basis": None if evidence.working is None else evidence.working.basis,
        "random_effects": None if evidence.working is None else evidence.working.random,
        "fit_status": None if evidence.working is None else evidence.working.fit.status,
        "source": {
            "kind": visits.source.kind,
            "sha256": visits.source.sha256,
            "rows_read": shown.number("rows"),
        },
    }


def _warnings(visits: Visits, shown: Counts) -> int | None:
    """Warnings about the record; None where their number might give a withheld count away."""
    n = sum(problem.severity == "warning" for problem in visits.problems)
    told = any(name.startswith(("left_out", "not_kept")) for name in shown.withheld)
    return None if told or is_small(n, shown.minimum) else n


def left_out(visits: Visits, evidence: Evidence, shown: Counts) -> list[Json]:
    """Rows left out, counted by stage and reason; a count that is withheld is None."""
    found: list[Json] = []
    stages = (("reading", "not_kept", visits.left_out), ("analysis", "left_out", evidence.ratings.left_out))
    for stage, key, rows in stages:
        for rule, reason in dict.fromkeys((row.rule, row.reason) for row in rows):
            count = shown.number(f"{key}:{rule}")
            found.append({"stage": stage, "rule": rule, "reason": reason, "count": count})
    return found


# --- one row per estimate -------------------------------------------------------------------------


def estimates(evaluation: Evaluation) -> pd.DataFrame:
    """Return one row per number, with its unit, method and rule."""
    e = evaluation.evidence
    rows = _data_rows(evaluation)
    if e.design is not None:
        rows += _design_rows(e, evaluation.shown)
    if e.test is not None:
        rows += _test_rows(evaluation)
    for check in (e.mundlak, e.lead):
        if check is not None:
            row: dict[str, object] = {"term": f"check:{check.name}", "estimate": check.statistic}
            n = evaluation.shown.number(f"check:{check.name}")
            row |= {"p_value": check.p_value, "unit": "z", "n": n, "method": f"{check.name} check"}
            rows.append(row)
    if e.relief_bound is not None:
        method = f"largest over knots of estimate + {BOUND_ERRORS:g} patient-robust standard errors"
        rows.append(
            {"term": "relief_bound", "estimate": e.relief_bound, "unit": e.scale.unit, "method": method}
        )
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame["rule"] = f"{evaluation.finding.rule.name}/{evaluation.finding.rule.version}"
    numeric = ["estimate", "std_error", "conf_low", "conf_high", "p_value", "level"]
    return frame.astype(dict.fromkeys(numeric, "float64")).astype({"n": "Int64"})


def _data_rows(evaluation: Evaluation) -> list[dict[str, object]]:
    summary = data_summary(evaluation.visits, evaluation.evidence, evaluation.shown)
    rows: list[dict[str, object]] = [
        {"term": f"data:{name}", "estimate": summary[name], "unit": "count", "method": "count"}
        for name in ("patients", "visits", "patients_analysed", "ratings")
    ]
    for entry in left_out(evaluation.visits, evaluation.evidence, evaluation.shown):
        assert isinstance(entry, dict)
        term = f"left_out:{entry['stage']}:{entry['rule']}"
        rows.append({"term": term, "estimate": entry["count"], "unit": "count", "method": entry["reason"]})
    return rows


def _design_rows(e: Evidence, shown: Counts) -> list[dict[str, object]]:
    assert e.design is not None
    d, unit = e.design, e.scale.unit
    known = "known knot, one-sided 5%, power 80%"
    rows: list[dict[str, object]] = [
        {
            "term": f"mdr:{knot:.10g}",
            "estimate": mdr,
            "unit": unit,
            "n": shown.number(past_name(knot)),
            "method": known,
        }
        for knot, mdr in zip(d.knots, d.mdr, strict=True)
    ]
    line = line_relief(e)
    if line is not None:
        rows.append(
            {"term": "relief_line", "estimate": line.estimate, "std_error": line.std_error}
            | {"conf_low": line.conf_low, "conf_high": line.conf_high, "level": line.level, "unit": unit}
            | {
                "n": shown.number("analysed"),
                "method": "straight line at the 95th percentile, patient-robust",
            }
        )
    return [
        *rows,
        {"term": "mdr_best", "estimate": d.best_mdr, "unit": unit, "method": f"{SEARCH_COST:g} × {known}"},
        {
            "term": "mdr_line",
            "estimate": d.linear_mdr,
            "unit": unit,
            "method": "straight line, " + known[12:],
        },
        {
            "term": "dose_95",
            "estimate": d.dose_95,
            "unit": e.ratings.dose,
            "method": "95th percentile",
        },
        {
            "term": "share_within_visit",
            "estimate": d.share_within_visit,
            "unit": "share",
            "method": "variance",
        },
    ]


def _test_rows(evaluation: Evaluation) -> list[dict[str, object]]:
    e = evaluation.evidence
    assert e.test is not None
    scores, profile, n = e.test.scores, e.test.profile, evaluation.shown.number("analysed")
    method = f"averaged score, {scores.replicates} patient-level sign flips"
    rows: list[dict[str, object]] = [
        {"term": f"beats:{rival}", "estimate": scores.averages[rival], "p_value": p}
        | {"unit": "log average", "n": n, "method": method}
        for rival, p in scores.p_values.items()
    ]
    rows += [
        {"term": f"bic:{name}", "estimate": value, "unit": "BIC above best rival", "n": n, "method": "BIC"}
        for name, value in e.test.criteria.bic.items()
    ]
    rows.append(
        {"term": "delta_bic", "estimate": e.test.criteria.delta_bic, "unit": "BIC", "n": n, "method": "BIC"}
    )
    if evaluation.threshold is None:
        return rows
    unit, dose = e.scale.unit, e.ratings.dose
    known = "patient-robust, threshold taken as known"
    past: dict[str, object] = {"term": "patients_past", "estimate": evaluation.shown.number("past")}
    return [
        *rows,
        {"term": "threshold", "estimate": profile.estimate, "conf_low": profile.conf_low}
        | {"conf_high": profile.conf_high, "level": profile.level, "unit": f"recorded {dose}", "n": n}
        | {"method": f"conditional likelihood ratio, {DRAWS} draws"},
        {"term": "slope_past", "estimate": profile.slope, "std_error": profile.slope_error}
        | {"unit": f"{unit} per dose", "n": n, "method": f"hinge at {profile.bend:.10g}; {known}"},
        {"term": "relief_past", "estimate": profile.relief_95, "unit": unit, "n": n}
        | {"method": f"at the 95th percentile; {known}"},
        {"term": "relief_before", "estimate": profile.before, "conf_high": profile.before_high}
        | {"level": 0.95, "unit": unit, "n": n, "method": f"one-sided; {known}"},
        past | {"unit": "count", "n": n, "method": "count"},
    ]
