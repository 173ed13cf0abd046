"""Sentences that answer the claims about procedure, soreness, safety and the course of visits.

Every number a template asks for is a field of a row behind the answer, so that the report can link it.
"""

from __future__ import annotations

SPAN = "95% interval {low} to {high}"
DIARY_NOTE = (
    " If every missing entry and diary had gone the one way or the other, it would be {lowest} or {highest}."
)

TOLD = {
    "patient": "patients",
    "clinician": "clinicians",
    "device": "a device",
    "not recorded": "somebody not named",
}
"""Who reported, by the word in the table."""
TOLD_BY = "As told by {tellers}."

C4 = {
    "any": (
        "{share} of the twitch pains that were timed lasted less than a second (" + SPAN + "; {n} patients); "
        "half of them lasted {median} seconds or less, nine in ten {most} or less. {told}"
    ),
}
C5 = {
    "any": (
        "Of the twitches that were felt, {named} were called an electrical shock or cramping (" + SPAN + "; "
        "{n} patients). The words most used: {words}. {told}"
    ),
}
C6 = {
    "any": "{share} of needle insertions were not felt (" + SPAN + "; {n} patients). {told}",
}
C7 = {
    "any": (
        "{share} of visits were followed by soreness ("
        + SPAN
        + "; diaries of {n} patients)."
        + DIARY_NOTE
        + " Any soreness above zero counts. {told}"
    ),
    "few_diaries": (
        "{share} of visits with a diary were followed by soreness (" + SPAN + "; {n} patients), but only "
        "{kept} of visits have one, which is too few to speak for all. {told}"
    ),
}
C8 = {
    "any": (
        "{local} of sore visits were sore where treated and {referred} elsewhere ("
        + SPAN
        + " for elsewhere; "
        "{n} patients). {told}"
    ),
}
C9 = {
    "any": (
        "{share} of sore visits were free of soreness within {horizon} hours (" + SPAN + "; {n} patients); "
        "half of them within {median} hours, nine in ten within {most}." + DIARY_NOTE + " {told}"
    ),
    "no_shape": (
        "{share} of sore visits were free of soreness within {horizon} hours ("
        + SPAN
        + "; {n} patients)."
        + DIARY_NOTE
        + " {told}"
    ),
}
C10 = {
    "supported": (
        "Soreness went up with the twitches of the visit: by {slope} points for each (" + SPAN + "; {n} "
        "patients{within}). This is no proof that twitches cause it. {told}"
    ),
    "contradicted": (
        "Soreness hardly went up with the twitches of the visit, if at all: by {slope} points for each "
        "(" + SPAN + "; {n} patients{within}). {told}"
    ),
    "inconclusive": (
        "Whether soreness goes up with the twitches of the visit is not settled: {slope} points for each "
        "(" + SPAN + "; {n} patients{within}). {told}"
    ),
    "within": ", each compared with own other visits",
    "not_made": "Soreness and twitches cannot be compared here: {note}.",
}
C10_ASSUMPTIONS = (
    "Nothing else that differs between a patient's visits goes with both twitches and soreness.",
    "Entries were left out of diaries for reasons that have nothing to do with soreness.",
)
DIARY_ASSUMPTION = "Entries were left out of diaries for reasons that have nothing to do with soreness."

ASKED_ASSUMPTION = "What was asked of medicine was asked regardless of how pain went."

_COURSE = (
    "Lasting relief of {cut} or more had come to {by_1} of patients after one visit and to {by_6} after six "
    "(" + SPAN + "; {highest} if relief at the very last rating counts). {stopped} stopped without it. "
)
C11 = {
    "supported": (
        "It took several visits. "
        + _COURSE
        + "With the part that goes with {recorded} taken out it would be "
        "{natural} after six, at the same visits. This is no proof that they cause relief."
    ),
    "at_once": (
        "One visit was the usual number: of those with lasting relief of {cut} or more, {at_once} had it "
        "after one visit (95% interval {once_low} to {once_high}). {stopped} stopped without it."
    ),
    "same": (
        _COURSE + "About as much would have come without {recorded}, at the same visits: {natural} after six "
        "(difference {excess}, 95% interval {excess_low} to {excess_high})."
    ),
    "open": (
        _COURSE + "With the part that goes with {recorded} taken out it would be {natural} after six, at "
        "the same visits. So the record does not tell what brought it."
    ),
    "alone": _COURSE + "What would have come by itself cannot be told here.",
}
C11_ASSUMPTIONS = (
    "The model's course without the dose is the course that these patients would have had.",
    "They would have stopped at the same visits without it.",
)
C16 = {
    "any": (
        "Of {treated} patients who took up another treatment, {share} had lasting relief of {cut} or more "
        "before it (" + SPAN + "), and {at_all} had at least one rating that good. {told}"
    ),
}
C27 = {
    "supported": (
        "Pain fell without medicine, too: by {fall} points among {without} patients who took none (95% "
        "interval {fall_low} to {fall_high}). Pain medicine was taken at {first} of first visits and at "
        "{later} of later ones. This is no proof that needling was the reason. {told}"
    ),
    "contradicted": (
        "Use of pain medicine rose from visit to visit, by {slope} of visits each time ("
        + SPAN
        + "). It was "
        "taken at {first} of first visits and at {later} of later ones. {told}"
    ),
    "inconclusive": (
        "Pain medicine was taken at {first} of first visits and at {later} of later ones, a change of "
        "{slope} of visits from visit to visit ("
        + SPAN
        + "). Whether the relief came without it is not settled. "
        "{told}"
    ),
}
C28 = {
    "any": (
        "Heat, ice or rest was advised at {sore} of visits after a sore one and at {not_sore} after one "
        "without soreness: {slope} of visits for each point of soreness (" + SPAN + "; {n} patients). {told}"
    ),
}
C29 = {
    "supported": (
        "No infection at {asked} visits at which it was asked for. The rate could still be up to {high} of "
        "visits (95% limit), or {people_high} of {n} patients. Any other event: {any}. Whether "
        "needles were sterile is not recorded; this is about infections. {told}"
    ),
    "contradicted": (
        "Infections were noted at {share} of {asked} visits (95% interval {low} to {high}). Whether a needle "
        "was the cause is not recorded. Any event at all: {any}. {told}"
    ),
    "inconclusive": (
        "No infection at {asked} visits at which it was asked for, but that is too few to rule out a rate of "
        "up to {high} of visits (95% limit). Any other event: {any}. {told}"
    ),
    "uncounted": (
        "No infection is noted, but the record never says that there was none, so nobody can tell whether it "
        "was asked for. To answer it, write none where it was."
    ),
}

DETAIL_TERMS = {
    "sore": "visits followed by soreness",
    "sore_patients": "patients ever sore",
    "sore_lowest": "the least it could be",
    "sore_highest": "the most it could be",
    "kept": "visits with a diary",
    "resolved_48": "free of soreness within two days",
    "resolved_48_lowest": "the least it could be",
    "resolved_48_highest": "the most it could be",
    "resolved_48_weibull": "the same by a Weibull shape",
    "resolved_48_lognormal": "the same by a log-normal shape",
    "duration_50": "half are over within",
    "duration_75": "three in four are over within",
    "duration_90": "nine in ten are over within",
    "local": "sore where treated",
    "referred": "sore elsewhere",
    "twitches": "soreness per twitch",
    "twitches_within": "soreness per twitch, within patients",
    "twitches_between": "soreness per twitch, between patients",
    "brief": "pain under a second",
    "median_seconds": "half last up to",
    "seconds_90": "nine in ten last up to",
    "named": "electrical shock or cramping",
    "not_felt": "insertions not felt",
    "not_felt_patients": "patients who felt fewer than half",
    "first": "medicine at first visits",
    "later": "medicine at later visits",
    "per_visit": "change per visit",
    "relief_without": "relief without medicine",
    "per_point": "change per point of soreness",
    "not_sore": "after a visit without soreness",
    "any": "any event",
    "any_patients": "patients with any event",
    "asked": "visits at which it was asked for",
    "gap_ratio": "later gaps to earlier ones",
    "after": "improved, lastingly, before",
    "after_at_all": "improved at least once before",
    "at_once": "after one visit, of those who improved",
}
"""Quantities in the words of the page; others are spelt as they are named."""
