"""What is said of published arms; nothing but words."""

from __future__ import annotations

EMPTY = (
    "The file holds no arm yet, so there is nothing to pool. No arm-level result by twitch dose could be "
    "retrieved; evidence/README.md says how to add one."
)
NONE_LIKE_IT = "The file holds {arms} arms, none of this instrument and time."
COUNT = "{arms} arms of {studies} studies; {unverified} of them not checked by a second person."
LEFT_OUT = "Not used, for want of two different {kind} doses: {studies}."
EXHAUSTION = "Arms needled until no more twitches came have no number of twitches assigned: {arms} not used."
SLOPE = (
    "Over {studies} studies ({patients} patients) the outcome changed by {slope} {unit} per {kind} "
    "twitch{past} (95% interval {low} to {high}; the slope differs between studies by a standard "
    "deviation of {tau})."
)
PAST = " past {knot}"
KIND = {
    "assigned": (
        "Doses were assigned by chance, so this speaks of what seeking twitches brings, if the trials are "
        "sound."
    ),
    "observed": (
        "Doses are those that happened to come. Patients who twitch may differ, so this is not evidence that "
        "twitches cause relief."
    ),
}
FEW = "With so few studies the interval is wide for good reason."
FEW_STUDIES = 5
HEADS = ("study", "arm", "patients", "twitches", "mean", "spread", "printed in")
TITLE = "Arms used"
