"""Sentences, labels and captions on regions of the body and on questionnaires."""

from __future__ import annotations

C20 = {
    "described": (
        "A record like this one cannot tell. {why} What can be said: at {dose} {recorded} in all, "
        "{outcome} differed by {change} {unit} from what time alone would give, taken over {regions} regions "
        "(95% interval {low} to {high}; below zero: lower). {differ} Each region is pulled towards the "
        "others, for the best of several is best partly by luck."
    ),
    "no contrast": "A record like this one cannot tell. {why} Nor can regions be set side by side: {reason}.",
}
NO_MODEL = "the ratings do not carry a model"
DIFFER = {
    True: "Regions differed by more than chance.",
    False: "Regions did not differ by more than chance would make them.",
}
SCORES = {
    "described": (
        "A record like this one cannot tell. {why} What can be said: in {n} patients the {instrument} "
        "changed by "
        "{change} {unit} from first to last (95% interval {low} to {high}).{reached}"
    ),
}
REACHED = {
    "one": " {most} reached the change called important ({most_cut}; {most_source}).",
    "several": (
        " {most} reached the most lenient change called important ({most_cut}; {most_source}), {least} the "
        "strictest ({least_cut}; {least_source})."
    ),
}
CUTS = {"absolute": "{value} {unit}", "percent": "{value}% of the first score", "level": "rating of {value}"}

FOREST = {
    "title": "Relief by region of the body",
    "caption": (
        "Change of {outcome} that goes with {dose} {recorded}, beyond time in the same region ({unit}; "
        "left is "
        "relief). Filled: pulled towards the mean of all, with 95% interval. Hollow: the region's own "
        "estimate. "
        "Diamond: the mean of the regions. {groups} regions were set side by side; the best of several "
        "is best "
        "partly by luck, so each is pulled."
    ),
    "axis": "change of {outcome} ({unit})",
    "mean": "all regions",
    "patients": "{n} patients",
    "alt": (
        "Forest plot of {groups} regions. Mean of all {mean} {unit} (95% interval {low} to {high}). {rows}"
    ),
    "row": "{name}: {shrunken} {unit} ({low} to {high}){of}.",
}
