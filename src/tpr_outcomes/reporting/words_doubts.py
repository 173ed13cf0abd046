"""What the report says beside the verdict: the question asked under other assumptions; nothing but words."""

from __future__ import annotations

HEADINGS = {
    "adjusted": "The same question, adjusted for what was known at each needling",
    "doubts": "How wrong would it have to be?",
    "weights": "What the weights rest on",
}
ADJUSTED_LEAD = (
    "More {outcome} goes with more {many}, and {many} come before later {outcome}: plain curves mix the two. "
    "Here visits are compared that are alike in all that was recorded before. Each number is an effect only "
    "if nothing else guided the needle and bears on {outcome}; no record can show that."
)

TABLES: dict[str, tuple[str, dict[str, str]]] = {
    "adjusted": (
        "Change of {outcome} per {one}, history adjusted ({unit}; negative is lower)",
        {"term": "Method", "estimate": "Change", "interval": "95% interval", "assumes": "It also assumes"},
    ),
    "doubts": ("How wrong an assumption would have to be", {"term": "If instead …", "answer": "Then"}),
    "weights": (
        "Weights by visit: how far they reach and what they leave unbalanced",
        {
            "visit": "Visit",
            "n": "Ratings",
            "mean": "Mean weight",
            "effective": "Worth as many ratings",
            "free": "Share of {many} the history leaves free",
            "before": "Strongest link of {many} with the past, before",
            "after": "after weighting",
        },
    ),
}
"""Caption and column heads of each table."""

ADJUSTED = {
    "next_rating": ("the next rating (g-estimation)", "nothing about how long a change lasts"),
    "all_ratings": ("all later ratings (g-estimation)", "that a change lasts"),
    "past_threshold": (
        "the next rating, only {many} past {knot} (g-estimation)",
        "that nothing happens before that place, which was searched for in the same record",
    ),
    "weighted": ("all ratings, weighted (marginal structural model)", "that a change lasts"),
}
"""Name of each method, and what it assumes beyond the above."""

WEIGHTS_NOTE = (
    "Weights below {low} or above {high} were cut off there ({n} ratings; the {first} and {last} points of "
    "their spread). A mean near 1 is needed, and proves nothing."
)

DOUBTS = {
    "unrecorded": "An unrecorded reason guides the needle and bears on {outcome}",
    "benchmark": "That reason is as strong as the first rating",
    "natural": "Those needled more would have got better faster anyway",
    "mean_change": "Patients who stopped fared worse than those like them who stayed",
    "dose_slope": "Patients who stopped fared better than those like them who stayed",
    "timing": "A trait of the patient lies behind it: compare each patient with themselves",
    "spread": "Each patient has a threshold of their own",
    "comparison": "The needle counts, whether a twitch comes or not",
    "control": "Something drives needling and every rating alike",
}
"""The other explanation, row by row."""

UNRECORDED = (
    "It would have to explain {value} of what is left unexplained in the {many} and in the ratings alike to "
    "bring the link to nothing, and {interval} to leave it uncertain. For scale: one point more of recorded "
    "{outcome} goes with {driven} {many} more at a visit."
)
UNRECORDED_PLAIN = (
    "It would have to explain {value} of what is left unexplained in the {many} and in the ratings alike to "
    "bring the link to nothing, and {interval} to leave it uncertain."
)
UNRECORDED_ZERO = "The link is not clear of chance as it stands, so the weakest reason would do."
BENCHMARK = "It would move the change per {one} by {bias} at most; the change found is {slope}."
NATURAL = (
    "Their recovery would have to be {times} times as fast as that of people with back pain who were not "
    "picked for needling, or {extra} better each week for {weeks} weeks (a cohort of Costa and others)."
)
NATURAL_NEVER = (
    "No speed would do: they would also have to have further to fall. It takes {extra} more each week for "
    "{weeks} weeks."
)
WORSE = (
    "Their unseen ratings would have to be {delta} worse than drawn for them before the mean improvement of "
    "{change} up to visit {visit} is no longer clear of none."
)
WORSE_NEVER = "No shift within the scale undoes the mean improvement of {change} up to visit {visit}."
WORSE_NONE = "The mean change up to visit {visit} is not clear of none to begin with."
BETTER = (
    "Their unseen ratings would have to be {delta} better than drawn for them before the change per {one} in "
    "a plain curve through all visits is no longer clear of none."
)
BETTER_NEVER = "No shift within the scale undoes the change per {one} in a plain curve through all visits."
BETTER_NONE = "A plain curve through all visits shows no {better} per {one} to begin with."
TIMING = {
    True: "The link shows in the timing alone (p {p}).",
    False: "The timing alone does not show it (p {p}).",
}
SPREAD = {
    "one common threshold": (
        "The record speaks for one threshold for all: they differ by {high} {many} at most (standard "
        "deviation, 95% limit)."
    ),
    "thresholds differ between patients": (
        "Thresholds differ, by {sd} {many} (standard deviation, 95% interval {low} to {high}); or the curve "
        "bends smoothly, or some respond more than others. {typical} is then the typical one."
    ),
    "cannot tell": (
        "This record cannot tell one threshold for all from a spread of them: standard deviations from {low} "
        "to {high} {many} fit."
    ),
}
SPREAD_OPEN = "This record cannot tell one threshold for all from a spread of them: any spread fits."
COMPARISON = (
    "Change per {one}: {twitches}; per insertion that drew none: {quiet}. Difference {difference} (95% "
    "interval {low} to {high}), p {p}."
)
CONTROL = {
    True: "A rating that needling cannot change shows no link with the {many} (p {p}).",
    False: "A rating that needling cannot change is linked with the {many} (p {p}): so is what drives it.",
}
UNDONE = "Not done: {reason}."
SPAN = "{low} to {high}"
