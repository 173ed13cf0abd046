"""Sentences on relapses and tune-ups.

Every number a template asks for is a field of a row behind the answer, so that the report can link it.
"""

from __future__ import annotations

SPAN = "95% interval {low} to {high}"
COUNTED = " A relapse counts when a rating shows it, and patients come more when it hurts."

C14 = {
    "no contrast": "This record cannot tell: {reason}.",
    "supported": (
        "Past {threshold} recorded twitches pain came back {ratio} times as often as before, at the same "
        "time since "
        "the first visit (" + SPAN + "; {n} patients)." + COUNTED
    ),
    "contradicted": (
        "Pain came back about as often, or more, past {threshold} recorded twitches: {ratio} times as "
        "often as "
        "before (" + SPAN + "; {n} patients)." + COUNTED
    ),
    "open": (
        "Whether pain comes back less often past {threshold} recorded twitches is not settled: {ratio} "
        "times as "
        "often as before (" + SPAN + "; {n} patients)." + COUNTED
    ),
    "no threshold": (
        "No threshold was shown, so none can be passed. For every ten recorded twitches more, pain came "
        "back {ratio} "
        "times as often (" + SPAN + "; {n} patients)." + COUNTED
    ),
}
C17 = {
    "no contrast": "This record cannot tell: {reason}.",
    "supported": (
        "After a tune-up pain fell by {difference} {unit} more than {against} (" + SPAN + "; {n} patients)."
    ),
    "contradicted": (
        "After a tune-up pain fell hardly more than {against}: by {difference} {unit} ("
        + SPAN
        + "; {n} patients). "
        "A change of {margin} {unit} is the smallest called important."
    ),
    "open": (
        "Whether a tune-up helps is not settled: after one, pain fell by {difference} {unit} more than "
        "{against} (" + SPAN + "; {n} patients)."
    ),
}
AGAINST = {
    "excess": "after flares of the same height that were left alone",
    "excess_regression": "a flare of that height falls by itself",
}
REASONS = {"no_tune_up": "no planned tune-up is recorded"}
C18 = {
    "described": (
        "A record like this one cannot tell. {why} Here pain came back {ratio} times as often after a "
        "planned "
        "tune-up as after other visits (" + SPAN + "; {n} patients)."
    ),
    "no contrast": "A record like this one cannot tell. {why} Nor can it be described here: {reason}.",
}
ASSUMPTIONS = (
    (
        "What decided on the needling and also bears on relapse is in the record: {outcome} then, the best "
        "so far, time."
    ),
    "Ratings that were not made would have shown relapses as often as those that were.",
    "One patient's course says nothing of another's.",
)
TUNE_UP_ASSUMPTIONS = (
    (
        "Whether a flare was needled hung on its height, the patient's usual {outcome} and time, and on "
        "nothing else that bears on the next rating."
    ),
    "One patient's course says nothing of another's.",
)
