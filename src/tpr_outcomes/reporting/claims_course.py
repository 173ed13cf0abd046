"""Answers to C11, C15 and C16: visits to a lasting response, how close together, and what came after."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, replace

from tpr_outcomes.errors import FitError, PlanError
from tpr_outcomes.inference.clustered import Estimate, share_of
from tpr_outcomes.inference.frequency import Frequency, analyse_frequency
from tpr_outcomes.inference.natural import Twin, natural_twin
from tpr_outcomes.inference.order import Order, order_of_treatments
from tpr_outcomes.inference.response import RESPONSE, STOPPED, Response, analyse_response, endings_of
from tpr_outcomes.reporting import words, words_claims
from tpr_outcomes.reporting.claim_plug import Analysis, Basis, Need, Said, number_of, told_by
from tpr_outcomes.reporting.claims_soreness import MOST, answer_share
from tpr_outcomes.reporting.claims_twitches import SHOWN
from tpr_outcomes.reporting.spelling import percent
from tpr_outcomes.reporting.verdict import Answer, Behind, Grade, Number, Rule

RESPONSE_RULE = Rule("first-response", "2", "docs/methods/response.md")
GAPS = Rule("visit-gaps", "2", "docs/methods/visit-frequency.md")
ORDER = Rule("response-before-treatment", "1", "docs/methods/response.md")
GAP_RATIO = 1.1
"""Later gaps that are less than a tenth longer than early ones count as the same."""
CUTS = (30.0, 50.0)
"""Percentages of improvement that are counted; the first gives the answer."""
SIX = 6
"""Visits at which the course is set against the natural course: the upper end of what is usual (3 to 6)."""
NO_LINK = ("no_relevant_effect", "inconclusive")
"""Decisions beside which the same course without the dose does not go against the verdict."""
SAME_CURVE = 0.10
"""A difference of shares within a tenth counts as none."""


# --- C11 ------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Several:
    """What C11 rests on.

    Attributes
    ----------
    responses : dict of float to Response
        By percentage of improvement.
    twins : dict of float to Twin
        The same beside the natural course; empty where the dose cannot be told from time.
    at_once : Estimate
        Of patients with a lasting response, the share that had it after one visit.
    """

    responses: dict[float, Response]
    twins: dict[float, Twin]
    at_once: Estimate


def several_visits(basis: Basis) -> Several:
    """Count visits to a lasting response, beside the natural course."""
    visits, evidence = basis.record.visits, basis.evidence
    dose = evidence.ratings.dose
    responses: dict[float, Response] = {}
    twins: dict[float, Twin] = {}
    for cut in CUTS:
        try:
            responses[cut] = analyse_response(visits, percent=cut, dose=dose)
        except PlanError:  # the scale cites no such cut-point
            continue
        if evidence.working is None:
            continue
        with suppress(FitError):  # where the dose is the visit number in disguise
            twins[cut] = natural_twin(visits, evidence.working, percent=cut)
    if not responses:
        raise FitError(f"no cut-point of improvement is cited for the scale ({visits.scale.label}).")
    endings = endings_of(visits, next(iter(responses)), dose)
    responded = [ending for ending in endings if ending.cause == RESPONSE]
    at_once = share_of(
        "at_once",
        [ending.visits <= 1 for ending in responded],
        [ending.patient for ending in responded],
        note="of patients with a lasting response",
    )
    return Several(responses, twins, at_once)


def _several(result: Several, basis: Basis) -> Said:
    """C11: does it take several visits, and more than the natural course would give?"""
    cut = next(iter(result.responses))
    response = result.responses[cut]
    # where the verdict cannot tell the dose from time, nothing is said of the course without it
    twin = None if basis.decision.label == "not_identifiable" else result.twins.get(cut)
    excess = None if twin is None else twin.get(f"excess_by_{SIX}")
    shown = basis.decision.label in SHOWN
    template, answer = "open" if excess is not None else "alone", "inconclusive"
    if result.at_once.conf_low > MOST:
        template, answer = "at_once", "contradicted"
    elif excess is not None and result.at_once.conf_high < MOST and excess.conf_low > 0 and shown:
        template, answer = "supported", "supported"
    elif (
        excess is not None
        and max(-excess.conf_low, excess.conf_high) < SAME_CURVE
        and basis.decision.label in NO_LINK
    ):
        template, answer = "same", "contradicted"
    grade: Grade = "description" if twin is None else "association"
    assumptions = () if twin is None else words_claims.C11_ASSUMPTIONS
    texts = _response_texts(response, twin, result.at_once)
    numbers = _response_numbers(result)
    return Said(_as_answer(answer), words_claims.C11[template], grade, texts, numbers, assumptions)


def _as_answer(text: str) -> Answer:
    answers: dict[str, Answer] = {"supported": "supported", "contradicted": "contradicted"}
    return answers.get(text, "inconclusive")


def _response_texts(response: Response, twin: Twin | None, at_once: Estimate) -> dict[str, str]:
    by = {row.term: row for row in response.estimates}
    six = by[f"response_by_{SIX}"]
    texts = {
        "cut": f"{response.cut.value:g}%",
        "by_1": percent(by["response_by_1"].estimate),
        "by_6": percent(six.estimate),
        "low": percent(six.conf_low),
        "high": percent(six.conf_high),
        "stopped": percent(by["otherwise"].estimate),
        "highest": percent(_highest(response)[0]),
    }
    if math.isfinite(at_once.estimate):
        texts |= {"at_once": percent(at_once.estimate), "once_low": percent(at_once.conf_low)}
        texts |= {"once_high": percent(at_once.conf_high)}
    if twin is not None:
        excess = twin.get(f"excess_by_{SIX}")
        texts |= {"natural": percent(twin.get(f"natural_by_{SIX}").estimate)}
        texts |= {"excess": percent(excess.estimate), "excess_low": percent(excess.conf_low)}
        texts |= {"excess_high": percent(excess.conf_high)}
    return texts


def _highest(response: Response) -> tuple[float, float, float, float]:
    """Share after six visits where an improvement at the very last rating counts as lasting."""
    if RESPONSE not in response.highest.causes:
        return 0.0, math.nan, math.nan, math.nan
    return response.highest.at(SIX, RESPONSE)


def _response_numbers(result: Several) -> list[Number]:
    """Shares, medians, what ended courses otherwise, and the natural course, for each percentage."""
    method = "Aalen–Johansen, stopping as a competing end"
    numbers: list[Number] = []
    for cut, response in result.responses.items():
        numbers.append(Number(f"cut_{cut:g}", cut, unit="%", method=f"cited: {response.cut.source}"))
        for row in response.estimates:
            unit = {"median_visits": "visits", "median_dose": "doses"}.get(row.term, "share")
            one = number_of(row, unit=unit, method=method, term=f"{row.term}_{cut:g}")
            group = "ended" if row.term == "otherwise" else ""
            numbers.append(replace(one, behind=replace(one.behind, group=group)))
        n = response.visits.n_patients
        improved = response.highest_by.get(SIX, 0)
        most = Estimate(
            f"highest_by_{SIX}", *_highest(response), math.nan, n, n, "", (improved, n - improved)
        )
        how = f"{method}; an improvement at the last rating counts"
        numbers.append(number_of(most, unit="share", method=how, term=f"{most.term}_{cut:g}"))
        for cause in response.visits.causes:
            if cause != RESPONSE:
                share, error, low, high = response.visits.at(math.inf, cause)
                sides = response.causes[cause], n - response.causes[cause]
                row = Estimate(_cause(cause), share, error, low, high, math.nan, n, n, "", sides)
                one = number_of(row, unit="share", method=method, term=f"{row.term}_{cut:g}")
                numbers.append(replace(one, behind=replace(one.behind, group=f"ended {cut:g}")))
        twin = result.twins.get(cut)
        for row in twin.estimates if twin is not None else ():
            if not row.term.startswith("observed"):
                how = f"{method}; dose part taken out of the ratings"
                numbers.append(number_of(row, unit="share", method=how, term=f"{row.term}_{cut:g}"))
    return [*numbers, number_of(result.at_once, unit="share", method="patients with a lasting response")]


def _cause(cause: str) -> str:
    """A reason to stop as a term."""
    return "stopped_" + cause.removeprefix(STOPPED).removeprefix("stopped, ").replace(" ", "_")


# --- C15 and C16 ----------------------------------------------------------------------------------


def _frequency(result: Frequency, _: Basis) -> Said:
    """C15: are gaps between visits longer late than early in a patient's course?"""
    gap = result.gap_ratio
    found = gap_answer(gap.estimate, gap.conf_low, gap.conf_high)
    texts = {"ratio": f"{gap.estimate:.2f}", "low": f"{gap.conf_low:.2f}", "high": f"{gap.conf_high:.2f}"}
    rates = [
        number_of(
            row,
            unit="visits per week",
            method="visits over weeks in treatment; patients left out one at a time",
        )
        for row in result.rates
    ]
    return Said(
        found,
        words.C15["open" if found == "inconclusive" else found],
        texts={**texts, "n": str(gap.n_patients)},
        numbers=[
            number_of(gap, unit="ratio", method="later to earlier gaps, geometric mean over patients"),
            *rates,
        ],
    )


def gap_answer(ratio: float, low: float, high: float) -> Answer:
    """Supported where gaps grew by a tenth and clearly grew; contradicted where a tenth is ruled out."""
    if high < GAP_RATIO:
        return "contradicted"
    return "supported" if low > 1.0 and ratio >= GAP_RATIO else "inconclusive"


def treatments_of(basis: Basis) -> Order:
    """Set the start of other treatments against the response."""
    assert basis.record.events is not None
    return order_of_treatments(
        basis.record.visits, basis.record.events, percent=CUTS[0], dose=basis.evidence.ratings.dose
    )


def _order(result: Order, basis: Basis) -> Said:
    """C16: had patients improved before they took up another treatment?"""
    after, at_all = result.after, result.after_at_all
    answer: Answer = "inconclusive"
    if answer_share(after, MOST) == "supported":
        answer = "supported"
    elif answer_share(at_all, MOST) == "contradicted":
        answer = "contradicted"
    texts = {
        "treated": f"{result.treated:,}",
        "cut": f"{result.percent:g}%",
        "share": percent(after.estimate),
        "low": percent(after.conf_low),
        "high": percent(after.conf_high),
        "at_all": percent(at_all.estimate),
        "told": told_by(
            basis.record.events.query("kind == 'treatment'") if basis.record.events is not None else None
        ),
    }
    method = "patients who took up another treatment"
    numbers = [number_of(row, unit="share", method=method) for row in (after, at_all)]
    numbers.append(Number("cut", result.percent, unit="%", method="cited on the scale"))
    treated = Behind(counts="patients")
    numbers.append(
        Number("treated", result.treated, unit="patients", n=result.asked, method="count", behind=treated)
    )
    for cause in result.first.causes:
        share, error, low, high = result.first.at(math.inf, cause)
        n, came = result.asked, result.firsts[cause]
        row = Estimate(f"first: {cause}", share, error, low, high, math.nan, n, n, "", (came, n - came))
        one = number_of(row, unit="share", method="Aalen–Johansen, whichever came first")
        numbers.append(replace(one, behind=replace(one.behind, group="first")))
    return Said(answer, words_claims.C16["any"], texts=texts, numbers=numbers)


ANALYSES = {
    "C11": Analysis(RESPONSE_RULE, _several, several_visits, (Need("visits", ("pain", "stop_reason")),)),
    "C15": Analysis(
        GAPS, _frequency, lambda basis: analyse_frequency(basis.record.visits), (Need("visits", ("weeks",)),)
    ),
    "C16": Analysis(
        ORDER,
        _order,
        treatments_of,
        (Need("visits", ("pain",)), Need("events", ("kind", "what"), "treatment")),
    ),
}
