"""Answers to C4 to C6, C19 and C27 to C29: what needling feels like, medicine, advice and safety."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from tpr_outcomes.inference.clustered import Estimate
from tpr_outcomes.inference.medicine import Advice, Medicine, advice_given, pain_medicine
from tpr_outcomes.inference.procedure import NAMED, Shares, insertion_felt, twitch_feeling, twitch_pain
from tpr_outcomes.inference.safety import Safety, adverse_events
from tpr_outcomes.reporting import words
from tpr_outcomes.reporting import words_claims as say
from tpr_outcomes.reporting.claim_plug import AVAILABILITY, Analysis, Basis, Need, Said, number_of, tellers
from tpr_outcomes.reporting.claims_soreness import MOST, answer_share
from tpr_outcomes.reporting.spelling import listed, number, percent
from tpr_outcomes.reporting.told import told
from tpr_outcomes.reporting.verdict import Answer, Behind, Number, Rule

PAGE = "docs/methods/procedure-and-safety.md"
BRIEF = Rule("twitch-pain", "1", PAGE)
FEELING = Rule("twitch-feeling", "1", PAGE)
FELT = Rule("insertion-felt", "1", PAGE)
MEDICINE = Rule("pain-medicine", "1", PAGE)
ADVICE = Rule("advice-by-soreness", "1", PAGE)
SAFETY = Rule("infection-rate", "1", PAGE)

LITTLE_RISE = 0.02
"""A rise in the use of medicine of less than this share of visits, from visit to visit, counts as none."""
FLAT_ADVICE = 0.02
"""Advice that changes by less than this share of visits per point of soreness does not depend on it."""
SAFE = 0.01
"""Without an infection, the upper limit of its rate has to be below this share of visits."""
METHOD = "rows of a patient kept together; patients left out one at a time"
WORDS_SHOWN = 3


def _sites(basis: Basis) -> pd.DataFrame:
    assert basis.record.sites is not None
    return basis.record.sites


def _events(basis: Basis) -> pd.DataFrame:
    assert basis.record.events is not None
    return basis.record.events


def _brief(result: Shares, _: Basis) -> Said:
    """C4: do most twitch pains last less than a second?"""
    share, half, most = (result.get(term) for term in ("brief", "median_seconds", "seconds_90"))
    texts = _span(share) | {"median": number(half.estimate), "most": number(most.estimate)}
    numbers = [_share(share, result)]
    numbers += [number_of(row, unit="seconds", method="quantile of those timed") for row in (half, most)]
    return Said(answer_share(share, MOST), say.C4["any"], texts=texts | _told(result), numbers=numbers)


def _feeling(result: Shares, _: Basis) -> Said:
    """C5: are electrical shock and cramping the words most used?"""
    named, *words = result.estimates
    shown = [f"{told(row.term)} ({percent(row.estimate)})" for row in words[:WORDS_SHOWN]]
    texts = _span(named) | {"named": percent(named.estimate), "words": listed(shown)} | _told(result)
    return Said(
        answer_share(named, MOST),
        say.C5["any"],
        texts=texts,
        numbers=[_share(named, result), *(_share(row, result, _group(row)) for row in words)],
    )


def _group(row: Estimate) -> str:
    """Words that add up: to the share of those in the claim, and to the rest."""
    return "named" if row.term in NAMED else "words"


def _felt(result: Shares, _: Basis) -> Said:
    """C6: are most insertions not felt?"""
    share = result.get("not_felt")
    return Said(
        answer_share(share, MOST),
        say.C6["any"],
        texts=_span(share) | _told(result),
        numbers=[_share(row, result) for row in result.estimates],
    )


def _medicine(result: Medicine, basis: Basis) -> Said:
    """C27: does pain fall without medicine, and does its use not rise?"""
    slope, without = result.slope, result.without
    sign = -1.0 if basis.evidence.scale.higher_is_worse else 1.0
    falls = (
        max(sign * without.conf_low, sign * without.conf_high),
        min(sign * without.conf_low, sign * without.conf_high),
    )
    answer: Answer = "inconclusive"
    if slope.conf_low > 0:
        answer = "contradicted"
    elif slope.conf_high < LITTLE_RISE and falls[1] > 0:
        answer = "supported"
    texts = _span(slope) | {"slope": percent(slope.estimate)}
    texts |= {"first": percent(result.first.estimate), "later": percent(result.later.estimate)}
    texts |= {"without": f"{without.n_patients:,}", "fall": number(abs(without.estimate))}
    texts |= {"fall_low": number(falls[1]), "fall_high": number(falls[0])}
    relief = Number(
        "relief_without",
        sign * without.estimate,
        without.std_error,
        falls[1],
        falls[0],
        level=result.level,
        unit=basis.evidence.scale.unit,
        n=without.n_patients,
        method="mean from first to last rating, patients who never took any",
    )
    method = f"within patients; {METHOD}"
    numbers = [number_of(row, unit="share", method=METHOD) for row in (result.first, result.later)]
    numbers += [number_of(slope, unit="share per visit", method=method), relief]
    return Said(
        answer,
        say.C27[answer],
        "association",
        texts | {"told": tellers(result.reported_by)},
        numbers,
        (say.ASKED_ASSUMPTION,),
    )


def _advice(result: Advice, _: Basis) -> Said:
    """C28: does advice depend on soreness?"""
    slope = result.slope
    answer: Answer = "inconclusive"
    if slope.conf_low > 0 or slope.conf_high < 0:
        answer = "supported"
    elif slope.conf_low > -FLAT_ADVICE and slope.conf_high < FLAT_ADVICE:
        answer = "contradicted"
    texts = _span(slope) | {"slope": percent(slope.estimate)}
    texts |= {"sore": percent(result.sore.estimate), "not_sore": percent(result.not_sore.estimate)}
    numbers = [number_of(row, unit="share", method=METHOD) for row in (result.sore, result.not_sore)]
    numbers.append(number_of(slope, unit="share per point", method=f"least squares; {METHOD}"))
    return Said(answer, say.C28["any"], texts=texts | {"told": tellers(result.reported_by)}, numbers=numbers)


def _safety(result: Safety, _: Basis) -> Said:
    """C29: were there infections, and if none, how many could there be?"""
    infection, people = result.get("infection"), result.get("infection", by_patient=True)
    happened = result.get("any")
    assert infection is not None
    assert people is not None
    assert happened is not None
    told = tellers(result.reported_by)
    if not result.counted and infection.estimate == 0:
        return Said("not recorded", say.C29["uncounted"], "none")
    answer: Answer = "inconclusive"
    if infection.estimate > 0:
        answer = "contradicted"
    elif infection.conf_high < SAFE:
        answer = "supported"
    texts = {"asked": f"{result.asked:,}", "n": f"{result.patients:,}", "told": told}
    texts |= {"share": _fine(infection.estimate), "low": _fine(infection.conf_low)}
    texts |= {"high": _fine(infection.conf_high), "people_high": _fine(people.conf_high)}
    texts |= {"any": _fine(happened.estimate)}
    return Said(answer, say.C29[answer], texts=texts, numbers=_safety_numbers(result))


def _safety_numbers(result: Safety) -> list[Number]:
    counted = f"exact, visits at which it was asked for; told by: {_counts(result.reported_by)}"
    people = f"exact, patients asked; told by: {_counts(result.reported_by)}"
    rows = [number_of(row, unit="share of visits", method=counted) for row in result.by_visit]
    rows += [
        number_of(row, unit="share of patients", method=people, term=f"{row.term}_patients")
        for row in result.by_patient
    ]
    n = result.patients
    asked = Number("asked", result.asked, unit="visits", n=n, method="visits with an entry",
                   behind=Behind(counts="visits"))  # fmt: skip
    people_asked = Number("patients", n, unit="patients", n=n, method="patients asked",
                    behind=Behind(counts="patients"))  # fmt: skip
    return [*rows, asked, people_asked]


def _share(row: Estimate, result: Shares, group: str = "") -> Number:
    found = number_of(row, unit="share", method=f"{METHOD}; told by: {_counts(result.reported_by)}")
    return replace(found, behind=replace(found.behind, group=group))


def _counts(reported: Mapping[str, int]) -> str:
    """Who reported, most frequent first; how often would tell of a few people."""
    return ", ".join(reported)


def _span(row: Estimate) -> dict[str, str]:
    """A share with its interval and its patients, in words."""
    return {
        "share": percent(row.estimate),
        "low": percent(row.conf_low),
        "high": percent(row.conf_high),
        "n": f"{row.n_patients:,}",
    }


def _fine(share: float) -> str:
    """A small share as a percentage, with the digits it needs."""
    return percent(share) if share == 0 or share >= 0.095 else f"{number(100 * share)}%"


def _told(result: Shares) -> dict[str, str]:
    return {"told": tellers(result.reported_by)}


def _exercise(_: None, _basis: Basis) -> Said:
    """C19: even where exercise and relapses are recorded, people who exercise are not chosen by lot."""
    return Said("not identifiable", words.ABOUT["not identifiable"], "none")


def _kind(kind: str) -> tuple[Need, ...]:
    return (Need("events", ("kind", "what"), kind),)


ANALYSES = {
    "C4": Analysis(
        BRIEF, _brief, lambda b: twitch_pain(_sites(b)), (Need("sites", ("twitch_pain_seconds",)),)
    ),
    "C5": Analysis(
        FEELING, _feeling, lambda b: twitch_feeling(_sites(b)), (Need("sites", ("twitch_feeling",)),)
    ),
    "C6": Analysis(
        FELT,
        _felt,
        lambda b: insertion_felt(_sites(b)),
        (Need("sites", ("insertions", "insertions_felt")),),
    ),
    "C19": Analysis(
        AVAILABILITY,
        _exercise,
        needs=(Need("patients", ("exercise",)), Need("events", (), "relapse")),
    ),
    "C27": Analysis(
        MEDICINE,
        _medicine,
        lambda b: pain_medicine(_events(b), b.record.visits.table),
        _kind("analgesic"),
    ),
    "C28": Analysis(
        ADVICE,
        _advice,
        lambda b: advice_given(_events(b), b.record.table("diary")),  # type: ignore[arg-type]
        (*_kind("advice"), Need("diary", ("soreness",))),
    ),
    "C29": Analysis(
        SAFETY,
        _safety,
        lambda b: adverse_events(_events(b), n_visits=b.record.visits.n_visits),
        _kind("adverse_event"),
    ),
}
