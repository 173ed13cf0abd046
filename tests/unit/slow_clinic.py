"""One patient at a time, one visit at a time, in plain Python: what the fast simulator must agree with.

Fed the same chance numbers, written from the formulas of `Truth`'s docstring and not from the fast code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from scipy import stats

from tpr_outcomes.planning.draws import Draws, visit_uniforms
from tpr_outcomes.planning.truth import Truth


@dataclass
class Diary:
    """What happened to one patient: one entry per attended visit."""

    slots: list[int] = field(default_factory=list)
    latent: list[float] = field(default_factory=list)
    rated: list[float] = field(default_factory=list)
    twitches: list[float] = field(default_factory=list)
    insertions: list[float] = field(default_factory=list)
    ending: int = 0


@dataclass
class Person:
    """One patient's numbers, worked out one by one."""

    truth: Truth
    z: dict[str, float]
    start: float
    floor: float
    constant: float
    onset: float
    log_insertions: float
    log_yield: float
    own_threshold: float
    own_factor: float


def person(truth: Truth, draws: Draws, i: int) -> Person:
    """Work out the lasting traits."""
    z = {name: float(values[i]) for name, values in draws.normal.items()}
    u = {name: float(values[i]) for name, values in draws.uniform.items()}
    rho, rec = truth.trait_dose_corr, truth.recovery_dose_corr
    twitchy = rho * z["trait"] + math.sqrt(1 - rho**2) * z["twitchiness"]
    log_insertions, log_yield = 0.0, truth.dose_sd * twitchy
    if truth.insertions_mean:
        sorted_out = rho * z["trait"] + math.sqrt(1 - rho**2) * z["insertions"]
        log_insertions = truth.insertions_sd * sorted_out
        log_yield = math.sqrt(truth.dose_sd**2 - truth.insertions_sd**2) * twitchy
    speed = rec * twitchy + math.sqrt(1 - rec**2) * z["recovery"]
    start = min(max(truth.start_mean + truth.start_sd * z["start"], truth.start_low), truth.start_high)
    return Person(
        truth=truth,
        z=z,
        start=start,
        floor=start * (truth.floor_low + (truth.floor_high - truth.floor_low) * u["floor"]),
        constant=truth.recovery_weeks * math.exp(truth.recovery_sd * speed),
        onset=truth.onset_low + (truth.onset_high - truth.onset_low) * u["onset"],
        log_insertions=log_insertions,
        log_yield=log_yield,
        own_threshold=truth.threshold * math.exp(truth.threshold_sd * z["threshold"]),
        own_factor=math.exp(truth.visit_slope_sd * z["visit_factor"]),
    )


def untreated(who: Person, week: float) -> float:
    """Pain without needling and without wobble."""
    truth = who.truth
    if truth.course == "flat":
        share = 1.0
    elif truth.course == "exponential":
        share = math.exp(-week / who.constant)
    else:
        curve = [1 / (1 + math.exp(-(x - who.onset) / truth.onset_width)) for x in (0.0, week)]
        share = 1 - (curve[1] - curve[0]) / (1 - curve[0])
    clock = truth.dose_mean * math.exp(truth.dose_sd * who.z["trait"]) * week
    trait = truth.trait_relief * max(clock - truth.trait_from, 0.0)
    return who.floor + (who.start - who.floor) * share + trait


def needle(
    who: Person, pain: float, frailty: float, chance: float, second_chance: float
) -> tuple[float, float]:
    """Twitches and insertions of one visit."""
    truth = who.truth
    level = math.exp(truth.dose_pain_slope * (pain - 5)) * frailty
    if not truth.insertions_mean:
        return quantile(chance, truth.dose_mean * level * math.exp(who.log_yield)), 0.0
    needles = quantile(chance, truth.insertions_mean * level * math.exp(who.log_insertions))
    per = truth.dose_mean / truth.insertions_mean * math.exp(who.log_yield)
    return quantile(second_chance, needles * per), needles


def missed(truth: Truth, last_score: float, chance: float) -> bool:
    """Whether an appointment after the first is missed."""
    if truth.missed_prob == 0.0:
        return False
    logit = math.log(truth.missed_prob / (1 - truth.missed_prob))
    logit += truth.missed_pain_slope * (last_score - 5)
    return chance < 1 / (1 + math.exp(-logit))


def leaves(truth: Truth, pain: float, first: float, better: float, other: float) -> int:
    """0 stays, 1 better, 2 any other reason."""
    if truth.stopping == "none":
        return 0
    if pain <= truth.stop_share * first and better < truth.stop_prob:
        return 1
    return 2 if other < truth.stop_background else 0


def live(truth: Truth, draws: Draws, i: int, *, weeks: list[float], seed: int) -> Diary:
    """Let patient ``i`` go through their visits."""
    n = draws.wobble.shape[1]
    names = ("missed", "cotreatment", "yield")
    extra = {name: visit_uniforms(seed, name, n, truth.visits)[:, i].tolist() for name in names}
    who, diary = person(truth, draws, i), Diary()
    wobble = float(draws.wobble[0, i])
    first = last_score = dose = last = 0.0
    second_since = math.inf
    for slot, week in enumerate(weeks):
        if slot:
            keep = truth.wobble_phi ** (week - weeks[slot - 1])
            wobble = keep * wobble + math.sqrt(1 - keep**2) * float(draws.wobble[slot, i])
            if missed(truth, last_score, extra["missed"][slot]):
                continue
        latent = untreated(who, week) + truth.wobble_sd * wobble
        latent += effect(truth, dose, last, len(diary.slots), who.own_threshold, who.own_factor)
        if second_since < week:
            fading = math.exp(-(week - second_since) / truth.cotreatment_weeks)
            latent += truth.cotreatment_relief * (1 - fading)
        score = latent + truth.noise_sd * float(draws.noise[slot, i])
        score += truth.entry_sd * abs(who.z["entry"]) if slot == 0 else 0.0
        score = float(round(min(max(score, 0.0), 10.0)))
        pain = {
            "none": 5.0, "recorded": score, "mixed": (score + latent) / 2, "latent": latent,
            "contrary": score - truth.contrary * (latent - score),
        }[truth.driver]  # fmt: skip
        frailty, chance = float(draws.frailty[slot, i]), float(draws.count[slot, i])
        twitches, needles = needle(who, pain, frailty, chance, extra["yield"][slot])

        high = bool(diary.slots) and min(score, last_score) >= truth.cotreatment_pain
        if high and math.isinf(second_since) and extra["cotreatment"][slot] < truth.cotreatment_prob:
            second_since = week
        diary.slots.append(slot)
        diary.latent.append(latent)
        diary.rated.append(score)
        diary.twitches.append(twitches)
        diary.insertions.append(needles)
        last_score = score
        last = twitches if truth.acting == "twitches" else needles
        dose += last
        judged = latent if truth.stopping == "latent" else score
        if slot == 0:
            first = judged
            continue
        diary.ending = leaves(truth, judged, first, draws.stop[slot, i], draws.background[slot, i])
        if diary.ending:
            break
    return diary


def effect(truth: Truth, dose: float, last: float, visits: int, own: float, factor: float) -> float:
    """The table of responses in `Truth`'s docstring, line by line."""
    past = max(dose - truth.threshold, 0.0)
    return {
        "none": 0.0,
        "linear": truth.slope * dose,
        "emax": truth.maximum * dose / (dose + truth.half_dose),
        "hinge": truth.slope * past,
        "step": truth.jump if dose > truth.threshold else 0.0,
        "hinge_patient": truth.slope * max(dose - own, 0.0),
        "kink": truth.early_slope * min(dose, truth.threshold) + truth.slope * past,
        "last_dose": truth.slope * last,
        "per_visit": truth.visit_slope * factor * visits,
    }[truth.response]


def quantile(chance: float, mean: float) -> float:
    """Poisson quantile by scipy."""
    return max(float(stats.poisson.ppf(chance, mean)), 0.0)
