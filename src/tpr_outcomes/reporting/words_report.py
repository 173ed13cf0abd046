"""Every heading, question and table head of the report: nothing but words.

What the verdict and the claims say is in :mod:`tpr_outcomes.reporting.words`, what the figures say in
:mod:`tpr_outcomes.reporting.words_figures`; this is the frame around both. The three files are all there is
to translate. Names in braces are filled by :func:`tpr_outcomes.reporting.labels.fill` with the record's own
vocabulary.
"""

from __future__ import annotations

from typing import Any

PAGE = {
    "language": "en",
    "doi": ", doi:",
    "kind": "Outcomes report",
    "skip": "Skip to the answer",
    "contents": "Contents",
    "question_heading": "The question",
    "question": "Does {better} set in only once enough {many} have added up?",
    "how_sure": "How sure, and why",
    "change": "What would change it",
    "step": "Next step",
    "not_for": "Who it does not apply to",
    "read_picture": "How to read this picture",
    "formula": "The formula",
    "figure": "Figure",
    "table": "Table",
    "yes": "yes",
    "no": "no",
    "not_done": "not done",
    "none": "none",
    "withheld": "withheld",
    "not_shown": "withheld",
    "made_by": "Made by tpr-outcomes {version}. The numbers are in the tables beside this file.",
    "table_note": "Scroll sideways to see all columns.",
    "no_picture": "There is nothing to draw: {obstacle}",
}

FACTS = {
    "patients": "Patients",
    "ratings": "Later ratings",
    "totals": "Totals seen ({many})",
    "threshold": "Threshold ({many})",
    "not_reported": "not reported",
}

NOT_FOR = {
    "left": "Patients rated only once or not at their first visit: {left} of {patients} are not in it.",
    "left_some": "Patients rated only once or not at their first visit: they are not in it.",
    "left_few": "Patients rated only once or not at their first visit: {left} are not in it.",
    "all_in": "Patients who came only once: a first rating alone says nothing of change.",
    "past": "Totals past {most} {many}: nobody here had more, and few had more than {top}.",
    "regions": "Any one of the {regions} body regions on its own: they are taken together.",
    "clinic": "Other clinics, and other ways to needle or to count.",
    "single": "Any single patient: these are averages over many.",
}

SECTIONS = {
    "data": (
        "1",
        "Data and flow",
        "What was in the record, and which rows could be used.",
    ),
    "seen": ("2", "What was seen", "{outcome_capital} and {many} as recorded, visit by visit."),
    "rivals": (
        "3",
        "Rival explanations",
        "A threshold is believed only if it explains the ratings better than each simpler story does.",
    ),
    "test": (
        "4",
        "The test",
        "The verdict follows fixed rules, set before the record was read. The first rule that fits decides.",
    ),
    "fool": (
        "5",
        "What could fool us",
        "A record shows what goes together. These are the ways it can mislead.",
    ),
    "claims": (
        "6",
        "The thirty claims",
        "Each claim of the clinic's page, and what this record can say of it.",
    ),
    "methods": ("7", "Methods", "In plain words first; the formula is one click away."),
    "standards": (
        "8",
        "Reporting standards",
        "What reviewers' checklists ask for, and where it stands here.",
    ),
    "provenance": ("9", "Provenance", "What it takes to make this report again, to the last byte."),
}
"""Number, heading and first sentence of each section."""

DATA = {
    "scale": "Ratings are on the {scale}, given {rated} the needling of the visit.",
    "rated_before": "before",
    "rated_after": "after",
    "dose": (
        "The dose of a rating is the running total of {recorded} that can have acted on it and not on the "
        "first rating."
    ),
    "visit": "Visits are so regular that time enters by visit number, one level each.",
    "visit and weeks": "Gaps between visits differ, so time enters by visit number and a smooth of weeks.",
    "warnings": "On reading the record:",
    "no_warnings": "The reader of the record had no warnings.",
    "one_thing": "one kind of thing",
    "things": "{n} kinds of things",
    "few": "In fewer than {n} places: {message}",
    "many": "In {n} places or more: {message}",
    "unfitted": "Nothing could be fitted: {obstacle}",
}

FOOL = {
    "warnings": "Cautions",
    "assumptions": "What has to hold for the verdict to mean what it says",
    "checks": "Checks that could have failed",
    "design": "What the record could have shown",
    "self_check": "In clinics like this one",
    "none": "This verdict makes no statement about a link, so nothing can be misread from it.",
}

EXPLANATIONS = {
    "none": "time alone",
    "linear": "each {one} counts the same",
    "log": "each further {one} counts less",
    "saturating": "levels off early",
    "emax": "levels off, place searched for",
    "last": "only the last visit counts",
    "fading_half": "fades by half per visit",
    "fading_fifth": "fades by a fifth per visit",
    "insertions": "needle insertions instead",
    "sites": "treated sites instead",
    "insertions_hinge": "a threshold in needle insertions instead",
    "sites_hinge": "a threshold in treated sites instead",
    "hinge": "threshold: nothing up to it, then {better}",
    "step": "one step: all at once past a place",
}
"""Explanations in tables, by candidate name."""

TABLES: dict[str, tuple[str, dict[str, str]]] = {
    "left_out": ("Rows left out, and why", {"stage": "When", "reason": "Why", "count": "Rows"}),
    "by_visit": (
        "Ratings and running totals by visit",
        {
            "visit": "Visit",
            "n": "Ratings",
            "mean": "Mean {outcome}",
            "interval": "95% interval",
            "without": "Without {many} (model)",
            "total": "Middle total (half lie between)",
        },
    ),
    "responders": (
        "Patients whose last {outcome} was better than the first by an amount somebody called important",
        {
            "cut": "Better by",
            "who": "Who calls it important",
            "n": "Patients",
            "share": "Share (patients)",
            "interval": "95% interval",
        },
    ),
    "bands": (
        "{outcome_capital} after similar totals, against the lowest, at the same visit",
        {
            "dose": "Total",
            "n_ratings": "Ratings",
            "n_patients": "Patients",
            "estimate": "Difference ({unit})",
            "interval": "95% interval",
        },
    ),
    "rivals": (
        "The threshold against each rival",
        {"term": "Rival", "p_value": "p-value", "delta_bic": "BIC difference", "beaten": "Beaten"},
    ),
    "fits": (
        (
            "Every explanation, fitted to the same ratings, the best for its size first; the verdict's own "
            "place comes from ratings that could still fall"
        ),
        {
            "label": "Explanation",
            "estimate": "Change near the highest totals ({unit})",
            "interval": "95% interval",
            "theta2": "Place",
            "delta_bic": "BIC above best",
        },
    ),
    "gates": (
        "The conditions of the verdict",
        {"term": "Asked", "estimate": "Found", "limit": "Wanted", "holds": "Holds"},
    ),
    "checks": (
        "Checks",
        {"term": "Check", "p_value": "p-value", "n": "Rests on", "passed": "Passed", "reason": "Note"},
    ),
    "claims": (
        "Thirty claims and what this record says of them",
        {"claim": "No.", "quote": "Claim", "answer": "Answer", "sentence": "What this record says"},
    ),
    "threshold": (
        "The threshold in numbers",
        {"term": "Quantity", "value": "Estimate", "interval": "95% interval"},
    ),
    "plan": ("Plan as run", {"setting": "Setting", "value": "Value"}),
}
"""Caption and column heads of each table."""

IMPORTANCE = {
    "recommendation": "an expert group",
    "patients": "patients in published studies",
    "spread": "half the spread (standard deviation) of first ratings in this record",
}
"""Ways of saying how much matters."""

STAGES = {"reading": "while reading", "analysis": "in the analysis"}

GATE_WORDS: dict[str, tuple[str, str]] = {
    "design: threshold": ("{better_capital} that could be seen past the best threshold", "at most {limit}"),
    "design: straight line": (
        "{better_capital} that could be seen if each {one} counts the same",
        "at most {limit}",
    ),
    "design: patients past": (
        "Most patients rated past a threshold that could be searched for",
        "at least {limit}",
    ),
    "threshold against every rival": ("Largest p-value of the threshold against a rival", "below {limit}"),
    "information criterion": ("BIC by which the threshold is better than the best rival", "above {limit}"),
    "check: patient trait": (
        "p-value of the link once patients' own level of {many} is allowed for",
        "below {limit}",
    ),
    "check: earlier rating": ("p-value of earlier {outcome} for later {many}", "above {limit}"),
    "lasting sum": (
        "Largest p-value of a link beyond time, the last visit and a fading sum",
        "below {limit}",
    ),
    "any link": ("p-value of any link beyond time", "below {limit}"),
    "small bound": ("Largest {better} that still fits the ratings", "below {limit}"),
}
"""What each condition asks, and what is wanted."""

RULES = (
    (
        1,
        "threshold_supported",
        (
            "every rival beaten, BIC better by more than the margin, both checks passed, and enough patients "
            "past a threshold"
        ),
    ),
    (1, "threshold_shape_confounding_alarm", "the same, but a check fails or could not be done"),
    (0, "not_identifiable", "too little could be seen past any threshold, or by a straight line"),
    (
        2,
        "cumulative_association",
        "a link beyond time, the last visit and a fading sum, and both checks passed",
    ),
    (3, "dose_association", "any link beyond time"),
    (
        4,
        "no_relevant_effect",
        "the largest {better} that fits is below what matters, and no alarm from earlier {outcome}",
    ),
    (5, "inconclusive", "none of these"),
)
"""The rules in order: number, verdict, and when it applies."""

TEST = {
    "decided": "The rules are tried in a fixed order. Rule {gate} was the first that fits.",
    "rules": "The rules in order",
    "numbers_none": (
        "No threshold is reported. A best place can always be computed; without a threshold it means "
        "nothing, so it is not printed."
    ),
    "alarm": "A check failed: these numbers are not to be relied on.",
    "estimate": "Threshold, {recorded}",
    "relief": "{better_capital} past it at {top} {many}",
    "before": "{better_capital} up to it: at most (one-sided 95% limit)",
    "past": "Patients rated past it",
    "slope": "Change of {outcome} per {one} past it",
}

CHECK_WORDS = {
    "mundlak": (
        "Does the link hold once each patient's own level of {many} may go with their own speed of recovery?",
        "{n} patients",
    ),
    "lead": ("Needling cannot change the past: does earlier {outcome} predict later {many}?", "{n} visits"),
}

CLAIM_COUNT = "Of thirty claims: {counts}."
RESPONDER_NOTE = (
    "The last rating is the last one written down, whenever that was. Time alone makes many better: these "
    "shares say who got better, not why."
)
FITTED_NOTE = (
    "Change of {outcome} from none to the 95% point of each explanation's own dose; intervals take a "
    "searched place as known."
)

METHODS: tuple[tuple[str, str, str], ...] = (
    (
        "Time is never a straight line",
        (
            "Each visit number has its own level, and patients who start higher may fall further and "
            "faster. What is left is compared within the same visit. Ratings of one patient go together: "
            "patients differ in level and in speed of recovery, and neighboring visits are alike."
        ),
        "background",
    ),
    (
        "The threshold against its rivals",
        (
            "At each place tried we ask how much the ratings bend or step there beyond a rival story, "
            "patient by patient, and average over places and shapes. That is compared with what chance "
            "alone gives: each patient's part is kept and its sign drawn at random, {replicates} times. The "
            "threshold must win against every rival."
        ),
        "score",
    ),
    (
        "Where the threshold lies",
        (
            "For every place the best-fitting bent line is compared with the best of all, step or bend. How "
            "much worse it may fit is found for each place anew: ratings are drawn as they would be if the "
            "threshold were there, and the place stays unless they fit it better in 95 of 100 draws."
        ),
        "profile",
    ),
    (
        "Can this record tell at all?",
        (
            "Before looking at any link we ask what the visits and totals could show. If only a very large "
            "{better} could be told from time, the record cannot answer, whatever it seems to show."
        ),
        "design",
    ),
    (
        "Intervals and dose bands",
        (
            "Differences are weighted by how ratings of one patient go together; their margins of error "
            "come from the spread between patients, so a wrong guess about that does not narrow them."
        ),
        "gls",
    ),
)
"""Heading, plain words, and the name of the formula block in the template."""

FORMULA_NOTES = {
    "background": (
        "X: a level per visit number (with a natural cubic spline of log weeks where gaps differ), "
        "the first rating times 1, t/5 and log(1 + t), and therapists times 1 and log(1 + t) where "
        "enough of them are recorded. Z: 1 and log(1 + t). The covariance is estimated by maximum "
        "likelihood with a freely bending dose curve in the mean; all later steps use rows whitened "
        "by it. Liang and Zeger 1986, doi:10.1093/biomet/73.1.13."
    ),
    "score": (
        "U<sub>ik</sub> is patient i's sum of whitened residuals times a hinge (C − τ)<sub>+</sub> or "
        "a step 1[C &gt; τ], both cleared of background and rival (negative T counts as 0). One "
        "random sign per patient serves all places and all rivals. Reported is the largest p-value "
        "over rivals (intersection–union: no further correction). Andrews and Ploberger 1994, "
        "doi:10.2307/2951753; Hansen 1996, doi:10.2307/2171789; Berger 1982, "
        "doi:10.1080/00401706.1982.10487790."
    ),
    "profile": (
        "d(τ) is the whitened residual sum of squares of background plus one hinge at τ (a step, "
        "where that is better by more than 6); the interval is the hull of the set, its ends "
        "interpolated. BIC compares each explanation's deviance plus its number of dose parameters "
        "times the log of the number of patients."
    ),
    "design": (
        "h̃<sub>τ</sub> is the whitened hinge cleared of background and straight line; 2.49 is the "
        "sum of the normal quantiles for a one-sided 5% test and 80% power; 1.25 is the price of "
        "searching for the place, found by simulation. The ratings enter through their residual "
        "spread alone."
    ),
    "gls": (
        "W: whitened background and dose columns; g<sub>i</sub>: patient i's score. A place or "
        "half-way total that was searched for is taken as known in these intervals."
    ),
}
"""What stands below each formula, with its signs and sources; HTML of ours."""

PROVENANCE = {
    "source": "Source",
    "rows": "Rows read",
    "sha256": "SHA-256 of the source",
    "no_hash": "none: the record was not read from a file",
    "seed": "Seed",
    "replicates": "Random sign flips",
    "rule": "Rule of the verdict",
    "versions": "Versions",
    "again": "To make it again",
    "command": "tpr evaluate SOURCE --plan PLAN --seed {seed} --replicates {replicates} --out DIR",
    "plan_note": "PLAN being the plan below; or, with this folder at hand: tpr reproduce DIR --source SOURCE",
}

CLAIM_DETAIL: dict[str, Any] = {
    "heading": "How each claim was checked",
    "lead": "For whoever checks the check: what was asked, the rule, every number, and what is published.",
    "asked": "Asked",
    "refuted": "Would be refuted if",
    "rule": "Rule",
    "assumptions": "Taken for granted",
    "known": "Published",
    "numbers": "Numbers behind {claim}",
    "version": "{name}, version {version}",
    "heads": ("Quantity", "Estimate", "95% interval", "Unit", "Patients", "How it was made"),
}
"""What stands behind the answers to the claims."""
