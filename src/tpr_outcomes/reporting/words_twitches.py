"""Sentences on visits without a twitch, early twitches, and how long a visit's twitches show.

Every number a template asks for is a field of a row behind the answer, so that the report can link it.
"""

from __future__ import annotations

SPAN = "95% interval {low} to {high}"
UNMEASURED = (
    "Whether a twitch comes is not left to chance: tissue that twitches may also recover faster, and no "
    "record can "
    "rule that out."
)
ASSUMPTIONS = (
    (
        "Whether a twitch came hung on nothing that also bears on {outcome}, beyond visit, insertions, and "
        "{outcome} and twitches so far."
    ),
    "Twitches that came were counted.",
    "One patient's course says nothing of another's.",
)

C1 = {
    "no contrast": "This record cannot tell: {reason}.",
    "same": (
        "Visits without a twitch were followed by nearly the same change as visits with one ({alike}). The "
        "difference was {difference} {unit} (" + SPAN + "; below zero: better with a twitch). That is within "
        "{margin} {unit}, the smallest change called important. " + UNMEASURED
    ),
    "adds up": (
        "After a single visit without a twitch the next rating was much like any other: {difference} {unit} "
        "apart (" + SPAN + "; below zero: better with a twitch; {alike}). But over all visits relief goes "
        "with {recorded} here, and one visit says little of that."
    ),
    "better": (
        "After visits with a twitch the next rating was better than after visits without ({alike}): "
        "{difference} {unit} (" + SPAN + "; below zero: better). " + UNMEASURED
    ),
    "open": (
        "After visits with a twitch the next rating differed by {difference} {unit} from that after visits "
        "without ("
        + SPAN
        + "; below zero: better with a twitch; {alike}). This is too wide to call it the same, or better."
    ),
}
ALIKE = {
    True: "same visit number, same insertions",
    False: "same visit number; no count of insertions",
}

C3 = {
    "no contrast": "This record cannot tell: {reason}.",
    "supported": (
        "Patients with more twitches at the first {landmark} visits were better later, by {difference} "
        "{unit} for "
        "every ten ("
        + SPAN
        + "; below zero: better). Of those who improved by 30%, {first} did so before any twitch. "
        + UNMEASURED
    ),
    "not shown": (
        "Patients with more twitches at the first {landmark} visits were better later, by {difference} "
        "{unit} for every ten (" + SPAN + "; below zero: better). But over all visits the record shows no "
        "such link, so this does not count for the claim."
    ),
    "none": (
        "Patients with more twitches at the first {landmark} visits were hardly better or worse later: "
        "{difference} {unit} for every ten ("
        + SPAN
        + "; below zero: better). Of those who improved by 30%, {first} did so before any twitch."
    ),
    "before": (
        "Of those who improved by 30%, {first} did so before any twitch was recorded ("
        + SPAN
        + "). So the twitch "
        "was mostly not the first step."
    ),
    "open": (
        "Whether early twitches go with a difference later is not settled: {difference} {unit} for every "
        "ten at the "
        "first {landmark} visits ("
        + SPAN
        + "; below zero: better). Of those who improved by 30%, {first} did so before any twitch."
    ),
}

CARRY = {
    "fades": "Half of what one visit's twitches show is left {half} visits later (" + SPAN + "). ",
    "stays": "What one visit's twitches show did not fade: half of it was left for {low} visits or more. ",
    "unknown": "How long one visit's twitches show cannot be told here. ",
    "none": "",
}
