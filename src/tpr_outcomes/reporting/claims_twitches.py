"""Answers to C1 and C3, visits without a twitch and early twitches; and the carry-over that goes with C12."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tpr_outcomes.cohort.record import Record
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError, PlanError
from tpr_outcomes.inference.carryover import CarryOver, analyse_carryover
from tpr_outcomes.inference.clustered import Estimate
from tpr_outcomes.inference.essential import Essential, analyse_essential
from tpr_outcomes.inference.landmark import LANDMARK, recorded
from tpr_outcomes.reporting import words_twitches as say
from tpr_outcomes.reporting.claim_plug import Analysis, Basis, Need, Said, number_of
from tpr_outcomes.reporting.spelling import number, percent
from tpr_outcomes.reporting.told import unit_of
from tpr_outcomes.reporting.verdict import Number, Rule

WITHOUT = Rule("visits-without-a-twitch", "2", "docs/methods/essential.md")
EARLY = Rule("early-twitches", "2", "docs/methods/essential.md")
ADDS_UP = (
    "threshold_supported",
    "cumulative_association",
    "threshold_shape_confounding_alarm",
    "dose_association",
)
"""Decisions beside which a small difference at single visits does not speak against C1."""
SHOWN = ("threshold_supported", "cumulative_association")
"""Decisions that show a link over visits: without one, early twitches alone support nothing."""
PER = 10.0
"""Early twitches to which the difference of C3 refers."""
METHOD = "within visit number and insertions, history held equal; patients as clusters"
AFTER = "from the landmark on, first rating, rating then and insertions held equal; patients as clusters"


def with_site_insertions(record: Record) -> Visits:
    """Return the visits, with the insertions of the sites added up where the visits have none."""
    visits, sites = record.visits, record.sites
    if recorded(visits, "insertions") or sites is None or "insertions" not in sites:
        return visits
    totals = sites.groupby(["patient", "visit"])["insertions"].agg(lambda cells: cells.sum(skipna=False))
    keys = list(zip(visits.table["patient"], visits.table["visit"], strict=True))
    given = [float(totals.get(key, math.nan)) for key in keys]
    return visits.with_table(visits.table.assign(insertions=np.array(given, dtype=np.float64)))


def right_after(record: Record) -> NDArray[np.float64] | None:
    """Return the rating right after each visit's needling, where the scores hold one on the same scale."""
    scores, table = record.scores, record.visits.table
    if scores is None or "moment" not in scores:
        return None
    rows = scores[(scores["moment"] == "after") & (scores["instrument"] == record.visits.scale.name)]
    if rows.empty:
        return None
    said = dict(zip(zip(rows["patient"], rows["visit"], strict=True), rows["score"], strict=True))
    keys = zip(table["patient"], table["visit"], strict=True)
    return np.array([said.get(key, math.nan) for key in keys], dtype=np.float64)


def essential_of(basis: Basis) -> Essential | str:
    """Compare visits with and without a twitch; why not, where the record cannot."""
    visits = with_site_insertions(basis.record)
    try:
        return analyse_essential(visits, pain_after=right_after(basis.record))
    except (FitError, PlanError) as problem:
        return _reason(str(problem))


def _reason(text: str) -> str:
    """A problem as the end of a sentence."""
    return text[:1].lower() + text[1:].rstrip(".")


def _without(result: Essential | str, basis: Basis) -> Said:
    """C1: do visits without a twitch do as well?"""
    if isinstance(result, str):
        return Said("not identifiable", say.C1["no contrast"], "none", {"reason": result})
    found, unit = result.get("next_any"), basis.record.visits.scale.unit
    names = ("next_any", "next_per_twitch", "immediate_any", "without")
    numbers = [number_of(result.get(name), unit=unit, method=METHOD) for name in names]
    if not math.isfinite(found.estimate):
        return Said("not identifiable", say.C1["no contrast"], "none", {"reason": found.note}, numbers)
    smallest = result.equivalence[0] if result.equivalence else None
    if smallest:
        method = f"two one-sided tests against {smallest.margin.value:g} {unit} ({smallest.margin.source})"
        numbers.append(
            Number("next_any_within", found.estimate, found.std_error, smallest.conf_low, smallest.conf_high,
                   smallest.p_value, 0.9, unit, found.n_patients, method)
        )  # fmt: skip
        numbers.append(Number("margin", smallest.margin.value, unit=unit, method=smallest.margin.source))
    kind = essential_answer(result, basis.decision.label)
    texts = _span(found, unit) | {"margin": number(smallest.margin.value) if smallest else ""}
    texts["alike"] = say.ALIKE[result.insertions_matched]
    answer = "contradicted" if kind == "same" else "inconclusive"
    return Said(answer, say.C1[kind], "association", texts, numbers, say.ASSUMPTIONS)  # type: ignore[arg-type]


def essential_answer(result: Essential, label: str) -> str:
    """Name what the difference at single visits amounts to, given the verdict on the running total.

    Parameters
    ----------
    result : Essential
    label : str
        Of the decision.

    Returns
    -------
    str
        A key of :data:`tpr_outcomes.reporting.words_twitches.C1`.
    """
    found = result.get("next_any")
    if result.equivalence and result.equivalence[0].equivalent:
        return "adds up" if label in ADDS_UP else "same"
    return "better" if found.conf_high < 0 else "open"


def _early(result: Essential | str, basis: Basis) -> Said:
    """C3: do early twitches go with later relief, and does the twitch come first?"""
    if isinstance(result, str):
        return Said("not identifiable", say.C3["no contrast"], "none", {"reason": result})
    unit = basis.record.visits.scale.unit
    order = result.get("relief_before_twitch")
    found = result.get("landmark_later_per_twitch")
    if not math.isfinite(found.estimate):
        found = result.get("landmark_next_per_twitch")
    names = (
        "landmark_next_any",
        "landmark_later_any",
        "landmark_next_per_twitch",
        "landmark_later_per_twitch",
    )
    numbers = [number_of(result.get(name), unit=unit, method=AFTER) for name in names]
    numbers.append(number_of(order, unit="share", method="patients whose relief came before any twitch"))
    if not math.isfinite(found.estimate) or not math.isfinite(order.estimate):
        reason = found.note if not math.isfinite(found.estimate) else order.note
        return Said("not identifiable", say.C3["no contrast"], "none", {"reason": _reason(reason)}, numbers)
    ten = _per_ten(found)
    numbers.append(number_of(ten, unit=unit, method=AFTER))
    kind = early_answer(ten, order, result, basis.decision.label)
    texts = _span(order, unit, share=True) if kind == "before" else _span(ten, unit)
    texts |= {"first": percent(order.estimate), "landmark": f"{LANDMARK}"}
    answer = {
        "supported": "supported",
        "none": "contradicted",
        "before": "contradicted",
        "not shown": "inconclusive",
        "open": "inconclusive",
    }
    return Said(answer[kind], say.C3[kind], "association", texts, numbers, say.ASSUMPTIONS)  # type: ignore[arg-type]


def early_answer(ten: Estimate, order: Estimate, result: Essential, label: str) -> str:
    """Name what early twitches amount to.

    Parameters
    ----------
    ten : Estimate
        Later difference per ten early twitches.
    order : Estimate
        Share whose relief came before any twitch.
    result : Essential
    label : str
        Of the decision: the verdict is never contradicted.

    Returns
    -------
    str
        A key of :data:`tpr_outcomes.reporting.words_twitches.C3`.
    """
    margin = result.equivalence[0].margin.value if result.equivalence else 0.0
    if order.conf_low > 0.5:
        return "before"
    if ten.conf_high < 0 and order.conf_high < 0.5:
        return "supported" if label in SHOWN else "not shown"
    small = max(abs(ten.conf_low), abs(ten.conf_high)) < margin
    return "none" if small and label not in ADDS_UP else "open"


def _per_ten(found: Estimate) -> Estimate:
    """The same difference for ten twitches."""
    term = found.term.replace("per_twitch", "per_ten")
    values = (found.estimate * PER, found.std_error * PER, found.conf_low * PER, found.conf_high * PER)
    return Estimate(term, *values, found.p_value, found.n_rows, found.n_patients, found.note)


def _span(found: Estimate, unit: str, *, share: bool = False) -> dict[str, str]:
    """A difference with its interval in words."""
    write = percent if share else number
    return {
        "difference": write(found.estimate),
        "low": write(found.conf_low),
        "high": write(found.conf_high),
        "unit": unit_of(unit),
    }


# --- how long a visit's twitches show: beside the answer to C12, which is the verdict's ------------


def carryover_of(basis: Basis) -> CarryOver | None:
    """Profile the carry-over; None where nothing was fitted."""
    if basis.evidence.working is None:
        return None
    try:
        return analyse_carryover(basis.evidence.working, basis.record.visits)
    except FitError:
        return None


def carryover_said(result: CarryOver | None) -> tuple[dict[str, str], list[Number]]:
    """Say how long a visit's twitches show, and give the numbers behind it."""
    if result is None:
        return {"carry": say.CARRY["none"]}, []
    unit, n = "visits", result.get("last").n_patients
    method = "profile of the share left one visit later, under the verdict's background"
    numbers = [
        number_of(row, unit="points per unit of dose", method="distributed lag; patient-robust")
        for row in result.estimates
    ]
    if not result.identifiable:
        return {"carry": say.CARRY["unknown"]}, numbers
    numbers.append(
        Number("half_life", result.half_life, conf_low=result.half_life_low, conf_high=result.half_life_high,
               level=result.level, unit=unit, n=n, method=method)
    )  # fmt: skip
    if math.isfinite(result.gap_weeks):
        half, low, high = result.half_life_weeks
        numbers.append(
            Number("half_life_weeks", half, conf_low=low, conf_high=high, level=result.level, unit="weeks",
                   n=n, method=method)
        )  # fmt: skip
    numbers += [
        Number(f"bic_{rival.name.replace(' ', '_')}", rival.delta_bic, unit="BIC", n=n,
               method=rival.note or "BIC less that of the twitches with their carry-over")
        for rival in result.rivals
    ]  # fmt: skip
    least = number(result.half_life_low)
    if math.isinf(result.half_life_high):
        return {"carry": say.CARRY["stays"].format(low=least)}, numbers
    texts = {"half": number(result.half_life), "low": least, "high": number(result.half_life_high)}
    return {"carry": say.CARRY["fades"].format(**texts)}, numbers


ANALYSES = {
    "C1": Analysis(WITHOUT, _without, essential_of, (Need("visits", ("pain", "twitches")),)),
    "C3": Analysis(EARLY, _early, essential_of, (Need("visits", ("pain", "twitches")),)),
}
