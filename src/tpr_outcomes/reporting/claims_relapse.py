"""Answers to C14, C17 and C18: does pain come back less often past the threshold, and do tune-ups help?"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tpr_outcomes.cohort.record import Record
from tpr_outcomes.errors import FitError, PlanError
from tpr_outcomes.inference.clustered import Estimate
from tpr_outcomes.inference.relapse import Relapse, analyse_relapse
from tpr_outcomes.inference.tuneup import TuneUp, analyse_tuneups
from tpr_outcomes.reporting import words_relapse as say
from tpr_outcomes.reporting.claim_plug import Analysis, Basis, Need, Said, number_of
from tpr_outcomes.reporting.spelling import number
from tpr_outcomes.reporting.told import unit_of
from tpr_outcomes.reporting.verdict import Answer, Number, Rule

PAGE = "docs/methods/relapse.md"
PAST = Rule("relapse-past-threshold", "1", PAGE)
TUNED = Rule("relief-after-tune-up", "1", PAGE)
PREVENT = Rule("relapse-after-tune-up", "1", PAGE)

SAME_RATE = 0.8
"""A rate ratio between this and its inverse is "as often" (the bounds usual for bioequivalence)."""
METHOD = "Andersen-Gill, Efron's ties, robust over patients; rating then and best so far held equal"


def relapse_of(basis: Basis) -> Relapse | str:
    """Follow responders up to relapses; why not, where the record cannot."""
    found = basis.evidence.test
    threshold = found.profile.estimate if found and basis.decision.label == "threshold_supported" else None
    try:
        return analyse_relapse(
            basis.record.visits,
            dose=basis.evidence.ratings.dose,
            threshold=threshold,
            planned=planned_visits(basis.record),
            noted=noted_relapses(basis.record),
        )
    except (FitError, PlanError) as problem:
        return str(problem)


def planned_visits(record: Record) -> NDArray[np.float64] | None:
    """Tell of each visit whether its recorded reason is a planned tune-up: 1, 0, NaN where there is none."""
    if not record.has_kind("visit_reason"):
        return None
    assert record.events is not None
    rows = record.events[record.events["kind"] == "visit_reason"]
    said = dict(zip(zip(rows["patient"], rows["visit"], strict=True), rows["what"], strict=True))
    keys = zip(record.visits.table["patient"], record.visits.table["visit"], strict=True)
    return np.array([_is_planned(said.get(key)) for key in keys], dtype=np.float64)


def _is_planned(what: object) -> float:
    return math.nan if what in (None, "", "none") else float(what == "tune-up")


def noted_relapses(record: Record) -> NDArray[np.bool_] | None:
    """Tell of each visit whether a relapse was noted at it, or since the visit before."""
    if not record.has_kind("relapse"):
        return None
    assert record.events is not None
    table = record.visits.table
    rows = record.events[(record.events["kind"] == "relapse") & (record.events["what"] != "none")]
    noted = np.zeros(len(table), dtype=bool)
    for patient, visit, weeks in zip(
        rows["patient"], _column(rows, "visit"), _column(rows, "weeks"), strict=True
    ):
        mine = (table["patient"] == patient).to_numpy()
        if math.isfinite(visit):
            noted |= mine & (table["visit"] == visit).to_numpy()
        elif "weeks" in table and math.isfinite(weeks):
            later = np.flatnonzero(mine & (table["weeks"] >= weeks).to_numpy())
            noted[later[:1]] = True
    return noted


def _column(rows: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """A column of events as numbers; NaN where it is not there."""
    if name not in rows:
        return np.full(len(rows), math.nan)
    return rows[name].to_numpy(dtype=np.float64, na_value=math.nan)


def _past(result: Relapse | str, _: Basis) -> Said:
    """C14: does pain come back less often past the threshold?"""
    if isinstance(result, str):
        return Said("not identifiable", say.C14["no contrast"], "none", {"reason": _reason(result)})
    shown = math.isfinite(result.threshold)
    found = result.get("past_threshold" if shown else "per_ten")
    numbers = [
        number_of(row, unit="rate ratio", method=METHOD) for row in result.estimates if row.term != "relapses"
    ]
    numbers.append(
        number_of(result.get("relapses"), unit="relapses", method="Nelson; Lawless-Nadeau variance")
    )
    if not math.isfinite(found.estimate):
        texts = {"reason": _reason(found.note)}
        return Said("not identifiable", say.C14["no contrast"], "none", texts, numbers)
    texts = _ratio(found)
    if not shown:
        return Said("inconclusive", say.C14["no threshold"], "association", texts, numbers, say.ASSUMPTIONS)
    numbers.append(Number("threshold", result.threshold, unit="twitches", method="profile of the verdict"))
    kind = past_answer(found)
    answer: Answer = "inconclusive" if kind == "open" else kind  # type: ignore[assignment]
    texts["threshold"] = number(result.threshold)
    return Said(answer, say.C14[kind], "association", texts, numbers, say.ASSUMPTIONS)


def past_answer(ratio: Estimate) -> str:
    """Supported where fewer relapses are clear; contradicted where as many, or more, are.

    Parameters
    ----------
    ratio : Estimate
        Rate past the threshold over that before.

    Returns
    -------
    str
        "supported", "contradicted" or "open".
    """
    if ratio.conf_low >= 1.0 or (ratio.conf_low > SAME_RATE and ratio.conf_high < 1.0 / SAME_RATE):
        return "contradicted"
    return "supported" if ratio.conf_high < 1.0 else "open"


def tuneups_of(basis: Basis) -> TuneUp | str:
    """Compare falls after flares; why not, where the record cannot."""
    try:
        return analyse_tuneups(basis.record.visits)
    except (FitError, PlanError) as problem:
        return str(problem)


def _tuned(result: TuneUp | str, basis: Basis) -> Said:
    """C17: does a tune-up bring more than the flare shows by itself?"""
    if isinstance(result, str):
        return Said("not identifiable", say.C17["no contrast"], "none", {"reason": _reason(result)})
    scale = basis.record.visits.scale
    method = "fall to the next rating; patients as clusters"
    numbers = [number_of(row, unit=scale.unit, method=method) for row in result.estimates]
    found = next(
        (row for row in map(result.get, say.AGAINST) if math.isfinite(row.estimate)), result.get("excess")
    )
    if not math.isfinite(found.estimate):
        return Said("not identifiable", say.C17["no contrast"], "none", {"reason": found.note}, numbers)
    margins = scale.absolute_cuts()
    margin = margins[0].value if margins else 0.0
    numbers.append(Number("margin", margin, unit=scale.unit, method=margins[0].source if margins else ""))
    answer = tuned_answer(found, margin)
    texts = {
        "difference": number(found.estimate),
        "low": number(found.conf_low),
        "high": number(found.conf_high),
        "unit": unit_of(scale.unit),
        "n": f"{found.n_patients:,}",
        "margin": number(margin),
        "against": say.AGAINST[found.term],
    }
    template = say.C17["open" if answer == "inconclusive" else answer]
    return Said(answer, template, "association", texts, numbers, say.TUNE_UP_ASSUMPTIONS)


def tuned_answer(excess: Estimate, margin: float) -> Answer:
    """Supported where the excess is clear; contradicted where it is clearly below what matters."""
    if excess.conf_low > 0.0:
        return "supported"
    return "contradicted" if excess.conf_high < margin else "inconclusive"


def _prevent(result: Relapse | str, _: Basis) -> Said:
    """C18: who comes for tune-ups differs from who does not, so the rate is described and no more."""
    if isinstance(result, str):
        return Said("not identifiable", say.C18["no contrast"], "none", {"reason": _reason(result)})
    found = next((row for row in result.estimates if row.term == "tuned"), None)
    if found is None or not math.isfinite(found.estimate):
        reason = say.REASONS["no_tune_up"] if found is None else _reason(found.note)
        return Said("not identifiable", say.C18["no contrast"], "none", {"reason": reason})
    numbers = [number_of(found, unit="rate ratio", method=METHOD)]
    return Said("not identifiable", say.C18["described"], "none", _ratio(found), numbers)


def _ratio(found: Estimate) -> dict[str, str]:
    """A rate ratio with its interval in words."""
    return {
        "ratio": number(found.estimate),
        "low": number(found.conf_low),
        "high": number(found.conf_high),
        "n": f"{found.n_patients:,}",
    }


def _reason(text: str) -> str:
    """A problem as the end of a sentence."""
    return text[:1].lower() + text[1:].rstrip(".")


_PAIN = Need("visits", ("pain", "twitches"))
ANALYSES = {
    "C14": Analysis(PAST, _past, relapse_of, (_PAIN,)),
    "C17": Analysis(TUNED, _tuned, tuneups_of, (_PAIN,)),
    "C18": Analysis(
        PREVENT, _prevent, relapse_of, (Need("visits", ("pain",)), Need("events", ("what",), "visit_reason"))
    ),
}
