"""Answers to C7 to C10: how many are sore, where, for how long, and is it more with more twitches?"""

from __future__ import annotations

import math

from tpr_outcomes.inference.clustered import Estimate
from tpr_outcomes.inference.soreness import Soreness, analyse_soreness
from tpr_outcomes.reporting import words_claims as say
from tpr_outcomes.reporting.claim_plug import Analysis, Basis, Need, Said, number_of, told_by
from tpr_outcomes.reporting.spelling import number, percent
from tpr_outcomes.reporting.verdict import Answer, Behind, Number, Rule

PAGE = "docs/methods/soreness.md"
SHARE = Rule("soreness-share", "1", PAGE)
WHERE = Rule("soreness-where", "1", PAGE)
DURATION = Rule("soreness-duration", "1", PAGE)
DOSE = Rule("soreness-dose", "1", PAGE)

MOST = 0.5
"""More than this share is "most"."""
RARE = 0.1
"""Less than this share is "rare"."""
OVER_BY_HORIZON = 0.75
"""Soreness lasts "up to two days" where more than this share is over by then."""
SMALL_SLOPE = 0.05
"""Points of soreness per twitch below which there is "hardly any" link: half a point for ten twitches."""
FEWEST_KEPT = 0.5
"""With diaries of fewer visits than this share they do not speak for all."""
METHOD = "Turnbull's distribution over visits with a diary; patients left out one at a time"
PLAIN_METHOD = "plain share; patients left out one at a time"
SHAPE_METHOD = "interval-censored likelihood of sore visits, errors clustered by patient"


def soreness_of(basis: Basis) -> Soreness:
    """Analyse the diary of a record."""
    assert basis.record.diary is not None
    visits = basis.record.visits.table
    columns = [name for name in ("patient", "visit", "twitches") if name in visits]
    return analyse_soreness(basis.record.diary, visits=visits[columns])


def answer_share(estimate: Estimate, limit: float) -> Answer:
    """Supported where the interval lies above a limit, contradicted where it lies below."""
    if estimate.conf_low > limit:
        return "supported"
    return "contradicted" if estimate.conf_high < limit else "inconclusive"


def _share(result: Soreness, basis: Basis) -> Said:
    """C7: are most visits followed by soreness?"""
    sore = result.get("sore")
    kept = _kept(result, basis)
    answer = answer_share(sore, MOST) if kept >= FEWEST_KEPT else "inconclusive"
    names = ("sore", "sore_patients", "sore_lowest", "sore_highest")
    numbers = [number_of(result.get(name), unit="share", method=_method(name)) for name in names]
    sides = None if result.patients_without is None else (sore.n_patients, result.patients_without)
    behind = Behind(sides, basis.record.visits.n_visits)
    numbers.append(
        Number("kept", kept, unit="share", n=sore.n_patients, method="visits with a diary", behind=behind)
    )
    return Said(
        answer,
        say.C7["any" if kept >= FEWEST_KEPT else "few_diaries"],
        texts=_ends(sore) | _bounds(result, "sore") | _told(basis) | {"kept": percent(kept)},
        numbers=numbers,
        assumptions=(say.DIARY_ASSUMPTION,),
    )


def _method(term: str) -> str:
    """How a share was made: bounds and patients are plain shares, some take a shape for granted."""
    if term.endswith(("_weibull", "_lognormal")):
        return SHAPE_METHOD
    return PLAIN_METHOD if term.endswith(("_lowest", "_highest", "_patients")) else METHOD


def _kept(result: Soreness, basis: Basis) -> float:
    """Share of visits with a diary."""
    total = basis.record.visits.n_visits
    return 1.0 - (result.without_diary or 0) / total if total else math.nan


def _where(result: Soreness, basis: Basis) -> Said:
    """C8: is it sore where treated, and elsewhere?"""
    local, referred = result.get("local"), result.get("referred")
    answers = {answer_share(local, MOST), answer_share(referred, RARE)}
    answer: Answer = "inconclusive"
    if answers == {"supported"}:
        answer = "supported"
    elif "contradicted" in answers:
        answer = "contradicted"
    texts = _ends(referred) | _told(basis)
    texts |= {"local": percent(local.estimate), "referred": percent(referred.estimate)}
    method = "share of sore visits with an area; patients left out one at a time"
    numbers = [number_of(row, unit="share", method=method) for row in (local, referred)]
    return Said(answer, say.C8["any"], texts=texts, numbers=numbers)


def _duration(result: Soreness, basis: Basis) -> Said:
    """C9: is soreness over within two days?"""
    name = f"resolved_{result.horizon:g}"
    over = result.get(name)
    kept = _kept(result, basis)
    answer = answer_share(over, OVER_BY_HORIZON) if kept >= FEWEST_KEPT else "inconclusive"
    half, most = result.get("duration_50"), result.get("duration_90")
    shaped = math.isfinite(half.estimate)
    shares = (name, f"{name}_lowest", f"{name}_highest", f"{name}_weibull", f"{name}_lognormal")
    numbers = [number_of(result.get(term), unit="share", method=_method(term)) for term in shares]
    numbers += [
        number_of(result.get(f"duration_{share}"), unit="hours", method=SHAPE_METHOD)
        for share in (50, 75, 90)
    ]
    numbers.append(Number("horizon", result.horizon, unit="hours", method="fixed before"))
    texts = _ends(over) | _bounds(result, name) | _told(basis) | {"horizon": f"{result.horizon:g}"}
    if shaped:
        texts |= {"median": number(half.estimate), "most": number(most.estimate)}
    return Said(
        answer,
        say.C9["any" if shaped else "no_shape"],
        texts=texts,
        numbers=numbers,
        assumptions=(say.DIARY_ASSUMPTION,),
    )


def _dose(result: Soreness, basis: Basis) -> Said:
    """C10: is soreness higher after visits with more twitches?"""
    within = result.get("twitches_within")
    slope = within if math.isfinite(within.estimate) else result.get("twitches")
    if not math.isfinite(slope.estimate):
        return Said("inconclusive", say.C10["not_made"], "none", {"note": slope.note})
    answer: Answer = "inconclusive"
    if slope.conf_low > 0:
        answer = "supported"
    elif slope.conf_high < SMALL_SLOPE:
        answer = "contradicted"
    method = "least squares with hour and visit held; patients left out one at a time"
    terms = [result.get(name) for name in ("twitches", "twitches_within", "twitches_between")]
    texts = {"slope": number(slope.estimate), "low": number(slope.conf_low), "high": number(slope.conf_high)}
    texts |= {"n": f"{slope.n_patients:,}", "within": say.C10["within"] if slope is within else ""}
    return Said(
        answer,
        say.C10[answer],
        "association",
        texts | _told(basis),
        [number_of(row, unit="points per twitch", method=method) for row in terms],
        say.C10_ASSUMPTIONS,
    )


def _ends(estimate: Estimate) -> dict[str, str]:
    """A share with its interval and its patients, in words."""
    return {
        "share": percent(estimate.estimate),
        "low": percent(estimate.conf_low),
        "high": percent(estimate.conf_high),
        "n": f"{estimate.n_patients:,}",
    }


def _bounds(result: Soreness, name: str) -> dict[str, str]:
    """What the share would be if all that is missing had gone one way, or the other."""
    ends = {end: result.get(f"{name}_{end}").estimate for end in ("lowest", "highest")}
    return {end: percent(value) for end, value in ends.items()}


def _told(basis: Basis) -> dict[str, str]:
    return {"told": told_by(basis.record.diary)}


_DIARY = Need("diary", ("hours", "soreness"))
ANALYSES = {
    "C7": Analysis(SHARE, _share, soreness_of, (_DIARY,)),
    "C8": Analysis(WHERE, _where, soreness_of, (Need("diary", ("hours", "soreness", "area")),)),
    "C9": Analysis(DURATION, _duration, soreness_of, (_DIARY,)),
    "C10": Analysis(DOSE, _dose, soreness_of, (_DIARY, Need("visits", ("twitches",)))),
}
