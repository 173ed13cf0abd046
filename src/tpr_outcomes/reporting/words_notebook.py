"""What the notebooks say around the verdict: the data check, messages and the lessons; nothing but words.

Names in braces are filled by :func:`tpr_outcomes.reporting.labels.fill` with the record's own vocabulary.
"""

from __future__ import annotations

STATES = {
    "good": "good",
    "look": "look at this",
    "problem": "a problem",
    "open": "not known",
}
"""What the four lights are called, for those who do not see colors."""

PLACES = {"one": "{n} place", "several": "{n} places"}

LIGHTS: dict[str, tuple[str, dict[str, tuple[str, str]]]] = {
    "file": (
        "The file",
        {
            "good": ("{rows} rows read, nothing to complain of.", "Nothing to do."),
            "look": (
                "{rows} rows read; {places} to look at.",
                "First: {message} {remedy} Notebook 01, and the explorer's data check, list them all.",
            ),
        },
    ),
    "ratings": (
        "Pain ratings",
        {
            "good": ("{share} of {visits} visits have a rating.", "Nothing to do."),
            "look": (
                "Only {share} of {visits} visits have a rating.",
                "Ask for a rating at every visit, before the needling.",
            ),
            "problem": (
                "Only {share} of {visits} visits have a rating.",
                (
                    "Fill in ratings that exist on paper. From now on, ask at every visit. Until then, do "
                    "not lean on the verdict."
                ),
            ),
        },
    ),
    "counts": (
        "{many_capital}",
        {
            "good": ("{share} of {visits} visits have a count.", "Nothing to do."),
            "look": (
                "Only {share} of {visits} visits have a count.",
                "Write 0 where {many} were sought and none came; leave it empty only where nobody counted.",
            ),
            "problem": (
                "Only {share} of {visits} visits have a count.",
                (
                    "A missing count makes all later ratings of that patient unusable. Fill in what is on "
                    "paper; write 0 where {many} were sought and none came."
                ),
            ),
        },
    ),
    "used": (
        "Patients used",
        {
            "good": ("{used} patients can be used; patients in the record: {patients}.", "Nothing to do."),
            "look": (
                "{used} patients can be used; patients in the record: {patients}.",
                "The others lack a first rating or a second one. Rate everybody at the first visit.",
            ),
            "problem": (
                "Only {used} patients can be used; patients in the record: {patients}.",
                (
                    "The others lack a first rating or a second one. What is left may not be like them: find "
                    "out why they are missing before you read on."
                ),
            ),
        },
    ),
    "spread": (
        "{many_capital} or time",
        {
            "good": ("Totals differ enough to tell {many} from time.", "Nothing to do."),
            "look": (
                "A record like this would miss many thresholds: {reason}.",
                "{help} This one was clear enough to be seen all the same; next time it may look smaller.",
            ),
            "problem": ("This record cannot tell {many} from time: {reason}.", "{help}"),
        },
    ),
    "hidden": (
        "Hidden reasons",
        {
            "good": (
                "No sign of hidden reasons in the checks made.",
                "Nothing to do. Still, no check can rule them all out: only chance assignment can.",
            ),
            "problem": (
                "A check for hidden reasons failed: {what}.",
                (
                    "Write down at each visit why more or less was done: how tender the muscle was, what the "
                    "patient asked for, how the time since the last visit was."
                ),
            ),
            "open": (
                "A check for hidden reasons could not be done: {what}.",
                "It takes more patients with three or more visits. Go on recording.",
            ),
        },
    ),
    "stopping": (
        "Why they stopped",
        {
            "good": ("A reason is recorded for {share} of the patients.", "Nothing to do."),
            "look": (
                "A reason is recorded for only {share} of the patients.",
                (
                    "Write down at the last visit why it was the last: better, no benefit, cost, moved away, "
                    "course completed."
                ),
            ),
        },
    ),
    "insertions": (
        "Needle insertions",
        {
            "good": ("Recorded, so {many} can be compared with the needling itself.", "Nothing to do."),
            "look": (
                "Not recorded: {many} cannot be told from the needle.",
                "From now on, write down the number of insertions at every visit.",
            ),
        },
    ),
}
"""Name of each light; for each of its states, what was seen and what to do about it."""

NO_REASONS = "No reason is recorded."
"""What is seen where not one patient has a reason for stopping."""
CHECK_HEADS = ("", "What was looked at", "What was seen", "What to do about it")
CHECK_CAPTION = "Data check"

SCREEN = {
    "question": "Does {better} set in only once enough {many} have added up?",
    "check": "Data check",
    "numbers": "{patients} patients, {ratings} later ratings",
    "why": "How sure, and why",
    "change": "What would change it",
    "step": "What to do next",
    "fool": "What could fool us here",
    "assumptions": "What has to hold for it to mean what it says",
    "no_picture": "There is nothing to draw: {obstacle}",
    "no_table": "There is no such table for this record: nothing could be fitted to it.",
}
NOTHING = "the record does not carry this picture."

ANSWER = {
    "threshold": "threshold: {value} {many}",
    "axis": "{outcome_capital} at the same visit, compared with\nthe lowest totals ({unit})",
    "dose_axis": "Running total of {recorded} before the rating",
    "lower": "lower is better",
    "higher": "higher is better",
    "caption": (
        "Each point: ratings after similar totals, compared at the same visit and after the same first "
        "rating. The bar shows how far luck may have moved it (95% interval: 19 times in 20 such a bar holds "
        "the true value). {line}"
    ),
    "line_threshold": "The line is flat up to the threshold; shaded is where the threshold may lie.",
    "line_link": "The line: of the explanations tried, the one that fits best for its size.",
    "line_none": "The dashed line: no link.",
}
"""The picture of the first screen."""

MESSAGES = {
    "stopped": "This cannot go on yet",
    "below": "The cells below were not run. Mend this, then run all cells again.",
    "problems": "What was noticed, and what to do about it",
    "no_problems": "Nothing was noticed that would have to be mended.",
    "guess": "not found; perhaps “{name}” is meant",
    "not_saved": "Nothing was written. Put the name of a folder between the quotes above, and run the cell.",
    "saved": "Written to {folder}: open report.html in it with any browser. The tables are beside it.",
    "settings": (
        "settings is {kind}; wanted is something like {example}. Empty braces, {{}}, mean: all as it comes."
    ),
    "data": "data is {kind}; wanted is the path of a file between quotes, such as {example}.",
    "withheld": "withheld",
    "no_claims": "None of the claims.",
    "out_of": "Out of {of} {what}",
}

PROBLEM_HEADS = ("", "Where (first place)", "Places", "What was seen", "What to do")
COLUMN_HEADS = ("Needed as", "What it holds", "Found in your file as")
COLUMNS = {
    "patient": "who: any identifier; it is replaced by a number at once",
    "visit": "number of the visit, 1 is the first",
    "date": "day of the visit; only the time between visits is kept",
    "weeks": "weeks since the first visit",
    "pain": "rating at this visit",
    "twitches": "local twitch responses at this visit; 0 means sought and none came",
    "sought": "whether twitches were sought at this visit",
    "insertions": "needle insertions at this visit",
    "sites": "treated sites at this visit",
    "sessions": "sessions since the visit before",
    "therapist": "who needled; replaced by T1, T2 …",
    "region": "main body region",
    "sex": "sex",
    "age": "age in years",
    "stop_reason": "why this visit was the last",
}
"""What each column holds, in a few words."""

VISIT_CAPTION = (
    "{outcome_capital} by visit, among those rated at that visit. A change below zero is an improvement "
    "where a lower score is better. Numbers from fewer than five patients are withheld."
)
CUT = "{value:g}%: {label}"
CUTS = "Why these cut-points: {cuts} ({source})."
REASONS = "Reasons for stopping, as recorded"
REASON_HEADS = ("Reason", "Patients")
VISIT_HEADS = (
    "Visit",
    "Patients rated",
    "Mean {outcome} ({unit})",
    "Change since the first visit ({unit})",
    "95% interval ({unit})",
    "Improved by 30% or more",
    "Improved by 50% or more",
)
TABLE_ONE_HEADS = ("", "Patients", "Not recorded", "Mean (SD), or share", "Middle (half lie between)")
CHARACTERISTICS = {
    "age": "Age (years)",
    "sex": "Sex",
    "region": "Body region",
    "baseline": "{outcome_capital} at the first visit ({unit})",
    "visits": "Visits per patient",
    "weeks": "Weeks from first to last visit",
    "twitches_through": "Twitches in all (count)",
    "insertions_through": "Needle insertions in all (count)",
    "sites_through": "Treated sites in all (count)",
    "sessions_through": "Sessions in all (count)",
}
"""Rows of table one."""
FEWEST_SHOWN = 5
"""Patients below which a number by visit is withheld."""

ATTRITION = {
    "visit_axis": "Visit number",
    "seen_axis": "Patients seen",
    "last": "dark: it was their last",
    "change_axis": "Mean change since\nthe first visit ({unit})",
    "change_last": "last visit",
    "change_not_last": "came again",
    "alt": (
        "{first} patients were seen at the first visit and {end} at visit {at}. {sentence} Numbers from "
        "fewer than five patients are not drawn."
    ),
    "compare": (
        "At visit {visit}, those who came for the last time had changed by {last} {unit} since the first "
        "visit, those who came again by {again}."
    ),
    "title": "Who stops, and how they were doing",
    "caption": (
        "Top: patients seen at each visit; for the dark part it was the last. Below: how far each group had "
        "come by that visit. If those who stop are better, an average over those who stay hides them."
    ),
}

LESSON = {
    "naive_axis": "Pain, patient and time\ntaken out its own way (points)",
    "ends_axis": "Change from first to last rating\n(points)",
    "ends_dose_axis": "Recorded twitches before the last rating",
    "ours_axis": "Pain at the same visit, against\nthe lowest totals (points)",
    "dose_axis": "Running total of recorded twitches",
    "truth_mark": "truth: {value}",
    "ladder_axis": "Share of {clinics} simulated clinics in which a threshold is announced (percent)",
    "unseen": (
        "Of 100 twitches, {noticed} are counted, so the 40 stand as {recorded} in the record. This toolkit "
        "speaks of recorded twitches; the simple analyses take them for all there were."
    ),
    "ours": "This toolkit: {headline}. {sentence}",
    "place_off": "There is one, but not at {threshold}.",
    "alt": (
        "Two panels against the running total of twitches. Left, the simple analysis: {naive} "
        "Right, this toolkit: {ours}"
    ),
    "alt_ladder": (
        "Share of {clinics} simulated clinics in which each analysis announces a threshold. {rows}"
    ),
    "alt_row": (
        "{step}: first against last rating {ends}; a curve {none}, {line} and {levels} (by how it treats "
        "time); this toolkit {ours}."
    ),
    "title": "What goes wrong, one thing after another",
    "caption": (
        "Each row turns on one more thing that is true of most clinics. In all but the last row "
        "twitches do nothing, so every mark should stand at zero; in the last it should stand at "
        "100. Thin bars: 95% intervals, from the number of clinics simulated."
    ),
    "no_threshold": "no threshold",
    "threshold": "threshold at 40",
}
ANALYSES = {
    "ends": "first against last rating",
    "none": "a curve, time left out",
    "line": "a curve, time a straight line",
    "levels": "a curve, a level for each visit",
    "ours": "this toolkit",
}
STEPS = {
    "nothing": "nothing misleads",
    "course": "+ pain falls by itself",
    "bad_day": "+ people first come on a bad day",
    "pain_driven": "+ more pain, more needling",
    "stopping": "+ patients stop when better",
    "noticed": "+ three twitches in ten go unseen",
    "works": "the same, all seen, and a real threshold at 40",
}
CONTROLS = {
    "course": "Pain falls by itself (percent)",
    "bad_day": "First visit on a bad day (points worse)",
    "pain_driven": "More twitches per pain point (percent)",
    "stopping": "Stop once pain is halved (percent)",
    "noticed": "Twitches counted (percent)",
    "works": "The truth",
    "way": "The simple analysis on the left",
    "clinic": "Which clinic (number)",
}
WORKS = {
    False: "twitches do nothing",
    True: "a threshold at 40 twitches",
}
TRUTH = {
    False: "The truth in this clinic: twitches do nothing.",
    True: "The truth in this clinic: each twitch past the first 40 takes 0.05 points off pain.",
}
NAIVE = {
    True: (
        "A simple analysis finds a threshold at {threshold} twitches, and reckons that chance alone "
        "would show it {chances}."
    ),
    False: "A simple analysis finds no threshold.",
}
ENDS = {
    True: (
        "Pain was {change} points lower at the last visit than at the first; chance alone would show that "
        "{chances}. Those who were better by half had had {threshold} twitches by then (the middle of them)."
    ),
    False: "Pain at the last visit was no lower than at the first, beyond chance.",
}
"""What the simple analyses say, by whether they announce a threshold."""
MARKS = {
    "right": "right",
    "wrong": "wrong",
    "careful": "careful: not claimed",
}
MARK_HEADS = ("Analysis", "In this clinic")
LADDER_HEADS = (
    "Turned on",
    "Truth",
    "First against last",
    "Curve: time left out",
    "Curve: straight line",
    "Curve: each visit",
    "Ours",
)
"""Notebook 05: a simulated clinic, judged twice; from LESSON to LADDER_HEADS."""

COUNT_HEADS = ("Answer", "Claims")
RATE_HEADS = ("Share", "95% interval")
CLAIM_HEADS = ("No.", "Claim", "What this record says")
CLAIM_GROUPS = {
    "supported": "Supported by this record",
    "contradicted": "Contradicted by this record",
    "inconclusive": "Looked at, and not settled",
    "not recorded": "Could be answered, had it been written down",
    "not identifiable": "A record like this cannot tell",
    "not testable": "No clinic's record can test this",
}
"""Captions of the tables of claims, by answer."""
NEEDS_HEADS = ("No.", "Claim", "To answer it, write down", "It would be refuted if")

PLAN = {
    "alt_share": "{n} patients {share}%",
    "patients_axis": "Patients in the study",
    "share_axis": "Studies in which the threshold\nis found (percent)",
    "title": "How many patients it takes",
    "caption": (
        "Each point: the share of simulated studies in which the verdict is a threshold, with its 95% "
        "interval, which is wide where few studies were simulated. The dotted line marks 80 of 100, the "
        "chance most studies are planned for."
    ),
    "alt": "Share of simulated studies that find the threshold. {rows}",
    "alt_row": "{label}: {shares}.",
    "interval": "{low} to {high}%",
    "at_most": "{share}% (at most {high}%)",
    "needed": "Patients it takes, read off these simulations",
}
DESIGNS = {"observed": "the therapist decides", "randomised": "chance decides"}
PLAN_HEADS = (
    "Who decides how many twitches",
    "Patients",
    "Threshold found",
    "95% interval",
    "Found where there is none",
)
NEEDED = {
    "inside": "Where {design}: about {patients} patients for a chance of {share}.",
    "more": "Where {design}: more than {patients} patients for a chance of {share}.",
    "fewer": "Where {design}: {patients} patients or fewer for a chance of {share}.",
}
"""Notebook 07."""

SELF = {
    "undone": "This could not be done: {reason}",
    "null": (
        "In {clinics} simulated clinics shaped like this one, in which twitches do nothing, the verdict was "
        "a threshold {count} times. With so many clinics, the true share may be as high as {high}."
    ),
    "caption": (
        "The same clinics with a threshold put in ({clinics} each): how often it is found. Relief is counted "
        "at a total of {top}."
    ),
}
SELF_HEADS = ("Threshold (twitches)", "Relief (points)", "Found", "95% interval")
"""The self-check: this very procedure, tried on clinics like the record."""

RUN = {
    "refused": "The notebook was not run.",
    "form": "“{text}” is no setting; write name=value, for example data=my.csv.",
    "unknown": "{name!r} is not a parameter of this notebook.{hint}",
    "near": " Did you mean {name!r}?",
    "known": " It has: {names}.",
    "no_names": "none",
    "twice": "{name} is given twice; once is enough.",
    "kind": "{name} is {seen!r}; wanted is {wanted}.",
    "several": "several of these with commas between: {kind}",
    "not_notebook": "{name} is not a notebook (a file that ends in .ipynb and holds cells).",
    "no_file": "There is no file {name}{near}; check the path.",
    "is_there": " (there is {name})",
    "no_library": (
        "Running notebooks takes {library}, which is not installed. Install the package with its extra "
        "“notebooks”, or use `make`."
    ),
    "failed": "Cell {number} of the notebook stopped with {kind}. Open the notebook and run it to see where.",
    "died": "The notebook's kernel ended before its time; perhaps memory ran out. Nothing was written.",
    "out": "{path} does not end in .html; name a page, for example --out report.html.",
    "running": "running cell {number} of {of}",
    "code": "Code",
    "made": "Made by tpr_outcomes {version} from the notebook {name}.",
}
"""Running a notebook from the command line."""
KINDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "dict": 'settings in braces, for example \'{"scale": "vas"}\'',
    "tuple": "values with commas between",
    "list": "values with commas between",
    "NoneType": "text",
}
"""What is wanted, by the kind of value that stands in the notebook."""
