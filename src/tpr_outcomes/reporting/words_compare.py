"""What is said of two clinics side by side, and of many: nothing but words.

"A" and "B" stand for the names the user gave; the page says once which is which. No sentence says that one is
better, and none puts clinics in an order.
"""

from __future__ import annotations

from typing import Any

MEASURES = {
    "slope": "Change of {outcome} per recorded {one}, each counting the same",
    "adjusted": "Change of {outcome} per recorded {one}, past ratings and doses held equal",
    "threshold": "Threshold ({recorded})",
    "slope_past": "Change of {outcome} per recorded {one} past its own threshold",
    "responders": "Share of patients improved by {cut}% or more",
    "response": "Share with a lasting response by visit {visit}",
    "excess": "Excess of that share over the share with the dose part taken out",
    "first_rating": "Mean first rating",
}
"""What is compared, by key."""

UNITS = {
    "slope": "{unit} per recorded {one}",
    "adjusted": "{unit} per recorded {one}",
    "threshold": "{recorded}",
    "slope_past": "{unit} per recorded {one}",
    "responders": "percentage points",
    "response": "percentage points",
    "excess": "percentage points",
    "first_rating": "{unit}",
}
"""Unit of a difference, or of what is pooled."""

NOT_COMPARED = {
    "absent": "{measure}: not in both records.",
    "few": "{measure}: in fewer than {fewest} records.",
    "method": "{measure}: made in another way in one record than in another.",
    "level": "{measure}: intervals of different levels.",
    "inside": "{measure}: an estimate with no interval around it.",
}
"""Why something is not set side by side."""

PAGE = {
    "kind": "Records side by side",
    "skip": "Skip to the answer",
    "contents": "Contents",
    "question_heading": "The question",
    "first": "A",
    "second": "B",
    "clinics": "Records",
    "pooled_in": "Pooled",
    "how_sure": "How sure, and why",
    "warn": "What else can make records differ",
    "not_said": "What this does not say",
    "outside": "Outside the {alarm}% limits, in the order given",
    "made": (
        "Made by tpr-outcomes {version} from folders of the same version. The numbers are in compare.json."
    ),
}

TWO: dict[str, Any] = {
    "question": "Do the two records differ in how {outcome} goes with recorded {many}?",
    "headline": {True: "A difference is seen", False: "No difference shown", None: "Cannot be compared"},
    "sentence": (
        "Per recorded {one}, {outcome} changes by {first} {unit} in A and by {second} in B. The "
        "difference, B "
        "less A, is {middle} ({level}% interval {low} to {high}). {told}"
    ),
    "told": {
        True: "It can be told from no difference.",
        False: "It cannot be told from no difference, which does not mean that the two are alike.",
    },
    "none": (
        "The change of {outcome} per recorded {one} is not in both records, so the two cannot be compared."
    ),
    "verdicts": "The two verdicts stand side by side. They are never averaged: each is about its own record.",
    "sure": (
        "Each record gives an estimate with an interval. The two are about different people, so the "
        "interval of "
        "the difference follows from theirs. {multiple}"
    ),
    "multiple": (
        "{m} things are compared. If nothing differed, about {expected} of them would still be told from no "
        "difference at {level}%. So the first one counts, and the rest are there to look at."
    ),
}

MANY: dict[str, Any] = {
    "question": "Do these clinics differ by more than chance would make them?",
    "headline": {
        0: "None stands out",
        1: "One is worth a look",
        2: "{flagged} are worth a look",
        None: "Cannot be pooled",
    },
    "sentence": (
        "Over {used} clinics, {outcome} changes by {mean} {unit} per recorded {one} ({level}% interval "
        "{low} to "
        "{high}). {differ} Outside the {alarm}% limits: {flagged} of {used}, where chance alone would "
        "put about {expected}."
    ),
    "differ": {
        True: "Clinics differ by more than chance would make them.",
        False: "That clinics differ by more than chance was not shown.",
    },
    "none": (
        "Fewer than {fewest} records hold the change of {outcome} per recorded {one}, so nothing is pooled."
    ),
    "sure": (
        "True differences between clinics have a standard deviation of {tau} ({level}% interval {tau_low} to "
        "{tau_high}). Each clinic is pulled towards the mean by as much as its own noise asks for. {multiple}"
    ),
    "multiple": (
        "With {used} clinics, about {expected_warning} would lie outside the {level}% limits by chance "
        "alone. Only "
        "the {alarm}% limits flag."
    ),
    "small": "With so few clinics the limits can hardly flag any.",
    "order": (
        "Clinics stand in the order they were given, never by value. Ranks of noisy numbers are mostly luck: "
        "the same clinics may come in another order next year."
    ),
    "verdicts": "The verdicts stand side by side and are never averaged: each is about its own record.",
}

WARNINGS = (
    (
        "Who came: how bad pain was at first, for how long, in which region. Nothing here makes the "
        "records alike."
    ),
    "How {many} were counted. Who writes down half of them shows twice the change per recorded {one}.",
    "Who stayed: a clinic that loses those who are worse off looks better.",
)
NOT_SAID = (
    "That one clinic is better than another, or that its way of needling is.",
    "Why records differ. A flag says where to look first, and the first thing to look at is the record.",
    "That a change goes with {many} because of them: no record of this kind can show that.",
)

SECTIONS = {
    "verdicts": ("Verdicts", "Each record's own verdict, as its report gives it."),
    "differences": ("Differences", "B less A, with what can be said of it."),
    "pooled": (
        "All together",
        "Each clinic's own estimate, and what is left of it once the others are seen.",
    ),
    "who": ("Who was in the records", "Look here before any difference is made much of."),
    "how": ("How it was made", "The rules, and what went in."),
}
"""Heading and lead of each section."""

TABLES = {
    "verdicts": "Verdicts side by side; a threshold only where the verdict is threshold-shaped.",
    "differences": "Differences that can be taken: the same quantity, made in the same way, in both records.",
    "pooled": (
        "Own estimate with {level}% interval, pulled estimate with its interval, and place in the funnel."
    ),
    "who": "What each record says of who was in it and how much was counted.",
    "inputs": "What went in; manifest.json has the whole digests.",
}
HEADS = {
    "which": "Record",
    "verdict": "Verdict",
    "threshold": "Threshold ({many})",
    "measure": "Quantity",
    "first": "A",
    "second": "B",
    "middle": "B less A",
    "interval": "{level}% interval",
    "said": "Told from no difference?",
    "unit": "Unit of the difference",
    "own": "Own",
    "pulled": "Pulled",
    "funnel": "Funnel",
    "patients": "Patients",
    "ratings": "Later ratings",
    "first_rating": "Mean first rating ({unit})",
    "first_total": "Median {many} before the second rating",
    "top_total": "{many_capital} reached by few: {top}% point",
    "record": "SHA-256 of the record, its beginning",
    "results": "SHA-256 of its results, its beginning",
    "seed": "Seed",
}
CELLS: dict[str, Any] = {
    "told": {True: "yes", False: "no"},
    "withheld": "withheld",
    "absent": "–",
    "not_reported": "not reported",
    "own": "{estimate} ({low} to {high})",
    "open": "no limit",
    "places": {"inside": "inside", "warning": "between the limits", "alarm": "outside"},
}
POOLED = {
    "mean": "Mean of {used} clinics: {mean} {unit} ({level}% interval {low} to {high}).",
    "between": (
        "Standard deviation between clinics: {tau} ({level}% interval {tau_low} to {tau_high}). Cochran’s "
        "test that "
        "there is none: p {p}. Share of the spread that is not noise: {share}%."
    ),
    "funnel": (
        "Outside the {alarm}% limits: {flagged}, where chance alone would put {expected}. Between the two "
        "limits: "
        "{warned}, where it would put {expected_between}."
    ),
}
FIGURES: dict[str, dict[str, Any]] = {
    "difference": {
        "title": "The two records and their difference",
        "caption": (
            "{measure}, with {level}% intervals. The lowest line is B less A; where its interval leaves out "
            "nought, it can be told from no difference."
        ),
        "alt": (
            "Three intervals. A: {first} ({first_low} to {first_high}). B: {second} ({second_low} to "
            "{second_high}). "
            "B less A: {middle} ({low} to {high}) {unit}. {told}"
        ),
        "middle": "B less A",
        "axis": "{measure}\n({unit})",
    },
    "funnel": {
        "title": "{measure}: each clinic against its limits",
        "caption": (
            "One point per clinic, the more precise further right. Inner lines: {level}% limits. Outer "
            "lines: "
            "{alarm}% limits, {spread}. Limits say how far chance takes a clinic of that precision. A point "
            "outside is worth a look, not a grade; clinics are not ranked."
        ),
        "spread": {True: "widened by how far clinics differ", False: "from noise alone"},
        "alt": (
            "Funnel plot of {used} clinics around {target} {unit}. {flagged} outside the {alarm}% limits, "
            "{warned} "
            "between them and the {level}% limits."
        ),
        "x": "precision (1 / standard error)",
        "y": "{unit}",
    },
    "forest": {
        "title": "{measure}: each clinic on its own and pulled",
        "caption": (
            "Filled: pulled towards the mean of all, with {level}% interval. Hollow: the clinic’s own "
            "estimate. "
            "Diamond: the mean. Clinics stand in the order given."
        ),
        "alt": (
            "Forest plot of {used} clinics in the order given. Mean {mean} {unit} ({level}% interval "
            "{low} to {high}). "
            "Pulled estimates lie between {least} and {most}."
        ),
        "mean": "mean of all",
        "axis": "{unit}",
    },
}
HOW = {
    "difference": (
        "Interval of a difference: the method of variance estimates recovery (MOVER), which takes each "
        "side from "
        "the two intervals. With symmetric intervals it is the sum of the squared standard errors; with two "
        "shares it is close to Newcombe’s method."
    ),
    "difference_cite": "Zou and Donner 2008, doi:10.1002/sim.3095; Newcombe 1998, Stat Med 17:873",
    "pooled": (
        "Pooling: REML for the spread between clinics, Hartung and Knapp’s interval; each clinic’s "
        "prediction carries the doubt about the spread. Interval of the spread: Q-profile."
    ),
    "pooled_cite": "Hartung and Knapp 2001, doi:10.1002/sim.1009; Viechtbauer 2007, doi:10.1002/sim.2514",
    "funnel": (
        "Funnel: limits by each clinic’s own standard error, with additive over-dispersion from winsorised "
        "z-values, corrected for what winsorising takes away."
    ),
    "funnel_cite": "Spiegelhalter 2005, doi:10.1002/sim.1970",
    "not_pooled": (
        "Thresholds are not pooled: a clinic reports one only where its record shows one, so those that "
        "do are a "
        "selection. Shares are not pooled either: their error hangs on the share itself."
    ),
}

PROBLEMS = {
    "head": "The records cannot be set side by side; nothing was written.",
    "line": "{label}: {problem}",
    "one": "One folder was named. Name two, or three and more.",
    "no_folder": "there is no such folder. Name a folder that tpr evaluate wrote.",
    "no_manifest": "it holds no manifest of a report. Name a folder that tpr evaluate wrote.",
    "version": "it was made by version {found}, and this is {version}. Make it again with tpr evaluate.",
    "missing": "{name} is missing. Make it again with tpr evaluate.",
    "changed": "{name} was changed after it was written. Make it again with tpr evaluate.",
    "broken": "{name} does not hold what it should. Make it again with tpr evaluate.",
    "twice": "it is the same folder as {other}. Name each once.",
    "same_record": "it was made from the same record as {other}, so the two share their patients.",
    "differs": "its plan says {key} = {found}, that of {other} says {wanted}. They have to be the same.",
    "inside": (
        "{out} is one of the folders to compare, or lies in one or around one. Name a folder of its own."
    ),
    "not_ours": "{out} holds something else than an earlier comparison. Name another folder, or empty it.",
}
