"""Every label, caption and alternative text of the figures: nothing but words.

Names in braces are filled by :func:`tpr_outcomes.reporting.labels.fill` with the record's own vocabulary.
"""

from __future__ import annotations

# --- figures --------------------------------------------------------------------------------------

LABELS = {
    "visit": "Visit number",
    "average": "average of\nthose rated",
    "without_dose": "same patients,\nno {many}\n(model)",
    "visit_rated": "Visit number (below it: patients rated)",
    "dose": "Running total of {recorded}",
    "total": "Running total of {recorded}",
    "at": "{value} {many}",
    "difference": "{outcome_capital}, same visit: difference\nfrom the lowest totals ({unit})",
    "threshold": "Threshold tried (total of {recorded})",
    "deviance": "Deviance above the best threshold",
    "not_supported": "not supported: no interval is reported",
    "check_failed": "(but a check failed)",
    "share": "{share} of the differences in total\nlie between patients at the same visit",
    "p_value": "p-value of the threshold\nagainst this rival",
    "bic": "Threshold better by\n(BIC difference)",
    "mdr": "Smallest {better}\nto be seen ({unit})",
    "p_value_narrow": "p-value",
    "bic_narrow": "BIC difference",
    "mdr_limit": "limit: {value}",
    "relevant": "worth noticing: {value}",
    "off_scale": "Nothing of an acceptable size could be seen past any threshold.",
    "past": "Patients\nrated past it",
}

CURVES = {
    "none": "no link",
    "linear": "each counts\nthe same",
    "log": "each further\ncounts less",
    "emax": "levels off",
    "step": "threshold:\none step",
    "hinge": "threshold:\na bend",
}
"""Short names of the curves, at their right ends."""

RIVALS = {
    "none": "time alone",
    "linear": "each {one} counts the same",
    "log": "each further {one} counts less",
    "saturating": "levels off early",
    "last": "only the last visit counts",
    "fading_half": "fades by half per visit",
    "fading_fifth": "fades by a fifth per visit",
    "insertions": "needle insertions instead",
    "sites": "treated sites instead",
    "insertions_hinge": "threshold in insertions",
    "sites_hinge": "threshold in sites",
}
"""Short names of the rivals, as row labels."""

FLOW_REASONS = {
    "no_first_rating": "first visit not rated",
    "rating_missing": "not rated at this visit",
    "dose_unknown": "earlier count missing",
    "single_rating": "rated only once",
    "no_rating": "never rated",
    "no_usable_rating": "no later rating to use",
    "empty_row": "empty row",
}
"""Short forms of the reasons for leaving a row out, by rule."""

FLOW = {
    "read": ("Rows read: {rows}", "from the record"),
    "visits": ("Visits: {visits}", "patients: {patients}"),
    "people": ("Analysed: {first}", "patients rated again"),
    "analysed": ("Later ratings: {ratings}", "first ratings: {first}"),
    "not_kept": "Rows not used: {n}",
    "patients_left_out": "Patients left out: {n}",
    "left_out": "Visits left out: {n}",
    "line": "{n}  {reason}",
}

FIGURES: dict[str, tuple[str, str]] = {
    "dose": (
        "{outcome_capital} and the running total of {many}",
        (
            "Points: mean {outcome} of ratings after similar totals, against those after the lowest, at "
            "the same visit number and with the same first rating; upright bars are 95% intervals, flat "
            "bars the totals covered. Lines: each way to explain the ratings, fitted to all of them and "
            "placed at the same mean height, so only their shapes compare. {direction}"
        ),
    ),
    "courses": (
        "{outcome_capital} over time, patient by patient",
        (
            "Thin lines: {drawn}. Solid: mean of those rated at each visit, with its "
            "95% interval. {more} Visits with under five ratings are left out."
        ),
    ),
    "profile": (
        "Where the threshold would lie",
        (
            "How much worse each place fits than the best one. The shaded places make up the interval. The "
            "number is reported only where the verdict is a threshold."
        ),
    ),
    "spread": (
        "Can {many} be told from time?",
        (
            "Dots: ratings. Thick bars: middle half of the totals at each visit; thin bars: the middle "
            "80%; open dots: medians. If all patients had the same total at the same visit, {many} and "
            "time could not be told apart. Visits with fewer than five ratings are not shown."
        ),
    ),
    "rivals": (
        "The threshold against each rival",
        (
            "Left: how often chance alone, with the rival true, would favor the threshold as much; full "
            "dots to the left of the line beat the rival. Right: full dots to the right of the line favor "
            "the threshold after a charge for its extra number. It must win every row."
        ),
    ),
    "design": (
        "What this record could have shown",
        (
            "Top: the smallest {better} past each threshold that a record like this would find in 80 of "
            "100 tries, at the 95% point of the totals. Only places within the shaded band can be judged. "
            "Below: patients with a rating past each place; no bar where the number is withheld."
        ),
    ),
    "flow": (
        "From the record to the ratings analysed",
        (
            "Every row and every patient is counted once. Visits left out include those of the patients left "
            "out."
        ),
    ),
}
"""Title and caption of each figure, in the order they are written."""

DRAWN = {"of": "{drawn} of {patients} patients", "some": "{drawn} patients"}
"""Whose lines are drawn; "some" where the number of patients is withheld."""

WITHOUT_DOSE = (
    "Dashed: the same mean less the part a freely bending curve ties to their {many}: what the model expects "
    "of the same patients without any. It stands for a world without needling only if nothing outside the "
    "record moves both."
)
"""Added to the caption of the courses where the dashed line is drawn."""

DIRECTION = {True: "Lower is better.", False: "Higher is better."}


# --- alternative texts ----------------------------------------------------------------------------

ALT = {
    "courses": (
        "Mean {outcome} goes from {first} at visit {at} ({n_first} patients) to {last} at visit {end} "
        "({n_last} patients)."
    ),
    "courses_without": (
        "Without the part that goes with {many}, the model expects {without} at visit {end} (95% interval "
        "{low} to {high})."
    ),
    "dose": (
        "Against ratings after {lowest} {many}, {outcome} after {highest} "
        "{many} differs by {difference} {unit} (95% interval {low} to {high}) at the same visit and first "
        "rating."
    ),
    "dose_hinge": "The threshold curve, drawn strong, is flat up to {threshold} {many} and bends there.",
    "dose_step": "The step, drawn strong, comes all at once past {threshold} {many}.",
    "dose_best": "Of the curves drawn, “{curve}” explains the ratings best for its size.",
    "dose_none": "No curve is drawn strong: none of them was shown to hold.",
    "profile": "The best place is {words}. The shaded places are not ruled out.",
    "profile_none": "The curve is drawn in grey: a threshold is not supported and no interval is reported.",
    "spread": (
        "The middle total of {many} rises from {first} at visit {at} to {last} at visit {end}. At visit "
        "{middle} the middle half of the patients lies between {low} and {high}. Of all differences in "
        "total, {share} lie between patients at the same visit."
    ),
    "rivals_all": (
        "The threshold beats all {n} rivals at {level}: the largest p-value is {largest}, against "
        "“{hardest}”. The smallest BIC difference in its favor is {bic}."
    ),
    "rivals_some": (
        "The threshold beats {k} of {n} rivals at {level}. It does not beat {kept}; the largest p-value is "
        "{largest}. The smallest BIC difference is {bic}."
    ),
    "design": (
        "Past the best place, {knot} {many}, {better} of {best} or more would be found in 80 of 100 tries; "
        "up to {limit} is accepted. Patients with a rating past it: {past}. {within} of {knots} places are "
        "within the limit."
    ),
    "withheld": "a withheld number of",
    "design_none": "Past no place could any {better} be seen: {many} go in step with visits.",
}
