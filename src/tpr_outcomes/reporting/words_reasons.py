"""What analyses and readers say of a record in words of their own, as the pages say it; nothing but words.

An analysis gives its reason as an English sentence. On a page that sentence is looked up here by its form
(:func:`tpr_outcomes.reporting.told.told`), the numbers in it are kept, and it is said in the words below.
"""

from __future__ import annotations

REASONS = {
    "too_few_entries": "too few entries; a share with an interval needs two patients",
    "too_few_or_no_exposure": (
        "too few patients, or the exposure does not vary among rows alike in the rest"
    ),
    "recorded_before_rating_nothing_can": (
        "No {dose} were recorded before any rating, so nothing can carry over."
    ),
    "such_dose_varies_beyond_time": "no such dose varies beyond time",
    "entries_patients_share_interval_needs": (
        "entries of {people} patients; a share with an interval needs two"
    ),
    "all_rows_come_from_one": "All rows come from one patient; uncertainty needs at least two.",
    "nothing_asked": "nothing was asked",
    "twitches_dose_this_analysis": "twitches are not the dose of this analysis",
    "insertions_recorded": "insertions are not recorded",
    "insertions_recorded_every_needling": "insertions are not recorded at every needling",
    "twitches_insertions_without_one_do": "twitches and insertions without one do not vary apart",
    "negativecontrol_outcome_recorded": "no negative-control outcome is recorded",
    "negativecontrol_outcome_does_vary": "the negative-control outcome does not vary",
    "nobodys_course_ended_incidence_estimate": (
        "Nobody's course has ended; there is no incidence to estimate."
    ),
    "patients_exposure_does_vary_among": (
        "{people} patients, and the exposure does not vary among rows alike in the rest"
    ),
    "nobodys_cumulative_dose_passes_slope": (
        "Nobody's cumulative dose passes {knot}, so there is no slope past it."
    ),
    "rating_right_after_needling_recorded": (
        "no rating right after the needling is recorded; {fewest} of each are needed"
    ),
    "too_few_patients_visit_without": (
        "too few patients have a visit without a twitch that can be set beside one with, at the same "
        "visit number and with the same insertions; {fewest} of each are needed"
    ),
    "too_few_patients_visit_twitch": (
        "too few patients have a visit with a twitch that can be set beside one without, at the same "
        "visit number and with the same insertions; {fewest} of each are needed"
    ),
    "too_few_patients_such_visit": "too few patients have such a visit; {fewest} are needed",
    "visit_recorded_twitches_rating_before": (
        "No visit with recorded twitches has a rating before and after it."
    ),
    "given_recorded_history_dose_free": (
        "Given the recorded history no dose was free to vary, so its effect cannot be told from the "
        "history's; a clinic that doses by protocol needs a randomised comparison."
    ),
    "one_patient_alone_decides_part": (
        "One patient alone decides part of the model of the natural course, so its error cannot be "
        "judged; pool more records or use small_sample=False."
    ),
    "patient_later_rating_after_recorded": "No patient has a later rating after a recorded, positive dose.",
    "background_model_certified_optimum": "The background model has no certified optimum: {message}.",
    "dose_does_vary_beyond_visits": "the dose does not vary beyond visits and each patient's twitchiness",
    "needling_rating_before_recorded_dose": "no needling with a rating before it has a recorded dose",
    "cumulative_dose_does_vary_beyond": "the cumulative dose does not vary beyond the background",
    "too_few_visits_two_ratings": "too few visits with two ratings before a varying dose",
    "earlier_pain_does_vary_beyond": "earlier pain does not vary beyond current pain",
    "fewer_than_patients_four_more": "Fewer than {fewest} patients have four or more dated visits.",
    "patient_first_rating_later_one": (
        "No patient has a first rating and a later one with a known dose before it."
    ),
    "visit_recorded_dose_known_past": (
        "No visit has a recorded dose with a known past; check the dose column of the file."
    ),
    "patient_first_rating_recorded_doses": (
        "No patient has a first rating (and recorded doses); there is nothing to impute from."
    ),
    "patient_second_rating_nothing_learn": (
        "No patient has a second rating, so there is nothing to learn their course from."
    ),
    "ratings_too_few_predict_visits": (
        "{n} ratings are too few to predict a visit's rating from {columns} columns; use "
        'structure="pooled" or fewer planned visits.'
    ),
    "duration_describe_enter_least_one": (
        "There is no duration to describe: enter at least one episode with a diary."
    ),
    "intervals_end_before_they_begin": (
        "{empty} intervals end before they begin; each needs a left end below its right end."
    ),
    "durations_end_fewer_than_three": (
        "The durations end in fewer than three different intervals; location and scale need three."
    ),
    "likelihood_durations_maximum_describe_them": (
        "The {family} likelihood of the durations has no maximum; describe them without a shape."
    ),
    "too_few_patients_had_early": "too few patients had no early twitch; {fewest} of each are needed",
    "too_few_patients_had_early_2": "too few patients had an early twitch; {fewest} of each are needed",
    "scale_cites_improvement_30": "the scale cites no improvement of 30%",
    "fewer_than_patients_rated_twice": "fewer than {fewest} patients were rated twice and never took any",
    "fewer_than_patients_asked_two": "Fewer than {fewest} patients were asked at two visits.",
    "advice_after_visit_diary_needed": (
        "Advice after a visit with a diary is needed of {fewest} patients, some with soreness and some "
        "without."
    ),
    "entry_kind_tied_visit": "No entry of kind {kind} is tied to a visit.",
    "nobodys_course_ended_response_count": "Nobody's course has ended; there is no response to count.",
    "fewer_than_patients_took_up": (
        "Fewer than {fewest} patients took up another treatment and can be followed."
    ),
    "fewer_than_patients_answered": "Fewer than {fewest} patients answered.",
    "covariate_relapse_rate_same_everywhere": (
        "A covariate of the relapse rate is the same everywhere or not finite."
    ),
    "relapse_rate_model_did_settle": "The relapse rate model did not settle.",
    "pain_came_back_nobody_while": (
        "Pain came back in nobody while followed, so there is no rate to estimate."
    ),
    "covariate_tells_events_from_rest": (
        "A covariate tells events from the rest without error; its rate ratio is infinite."
    ),
    "those_risk_same_time_do": "Those at risk at the same time do not differ in a covariate.",
    "regions_patients_more_needed": "{regions} regions have {fewest} patients or more; {fewest} are needed.",
    "region_dose_does_vary_beyond": (
        "In a region the dose does not vary beyond time, so nothing can be said of it."
    ),
    "too_few_relapses_seen_needed": "too few relapses were seen; {fewest} are needed",
    "all_time_risk_on_one": "all time at risk is on one side of the comparison",
    "nobody_improved_by_two_ratings": (
        "Nobody improved by {percent}% at two ratings in a row and was rated again."
    ),
    "too_few_relapses_seen_on": (
        "too few relapses were seen on one of the two sides; {fewest} are needed on each"
    ),
    "patient_first_rating_other_than": (
        "No patient has a first rating other than 0 and a later one; nobody can be followed."
    ),
    "adverse_events_asked": "Adverse events were not asked for.",
    "fewer_than_patients_one": "fewer than {fewest} patients have one",
    "fewer_than_patients_two": "fewer than {fewest} patients have two",
    "dose_does_vary_beyond_background": "the dose does not vary beyond the background",
    "relief_goes_dose_clear_zero": (
        "the relief that goes with the dose is not clear of zero, so nothing needs explaining"
    ),
    "rating_made_highest_doses": "no rating was made at the highest doses",
    "only_patients_rating_after_recorded": (
        "Only {patients} patients have a rating after a recorded dose; a standard error clustered by "
        "patient needs at least {fewest}."
    ),
    "fewer_than_patients_entries_twitches": (
        "fewer than {fewest} patients have entries and twitches that vary"
    ),
    "twitches_vary_only_within_only": "twitches vary only within, or only between patients",
    "planned_hour_entries_patients_fewer": (
        "No planned hour has entries of {fewest} patients; fewer do not make an interval."
    ),
    "fewer_than_patients_seen_sore": "fewer than {fewest} patients were seen sore",
    "too_few_patients_had_flare": (
        "too few patients had a flare that was left alone; {fewest} of each are needed"
    ),
    "too_few_patients_had_flare_2": (
        "too few patients had a flare that was needled; {fewest} of each are needed"
    ),
    "too_few_patients_rated_as": (
        "too few patients were rated as high without needling; {fewest} of each are needed"
    ),
    "too_few_patients_had_needled": "too few patients had a needled flare; {fewest} of each are needed",
    "too_few_patients_needed": "too few patients; {fewest} are needed",
    "relapse_followed_by_another_rating": (
        "No relapse was followed by another rating, so nothing can be said of relief after one."
    ),
    "dose_followed_by_rating_nothing": "No dose is followed by a rating, so there is nothing to weight.",
    "history_predicts_every_dose_exactly": (
        "The history predicts every dose exactly; no dose was free to vary."
    ),
    "dose_model_did_settle_iterations": "The dose model did not settle in {most} iterations.",
    "all_recorded_doses_zero_dose": "All recorded doses are zero; there is no dose to model.",
    "dose_cannot_told_from_background": (
        "The dose cannot be told from the background of visit number and first rating."
    ),
    "logistic_model_did_settle_iterations": (
        "A logistic model did not settle in {most} iterations; use fewer columns."
    ),
    "negative_binomial_dose_model_did": "The negative binomial dose model did not settle in {most} rounds.",
    "mean_dose_did_settle_iterations": "The mean of the dose did not settle in {most} iterations.",
    "all_answers_same_nothing_predicts": (
        "All answers are the same, so nothing predicts them; leave this model out or pool more records."
    ),
    "some_doses_whole_numbers_0": (
        "Some doses are not whole numbers of 0 or more, which a model of counts needs; use "
        'dose_model="normal" for a dose that is measured rather than counted.'
    ),
    "outcome_columns_times_must_finite": (
        "Outcome, columns and times must be finite numbers; leave incomplete rows out first."
    ),
    "rows_cannot_support_fixed_effects": (
        "{n} rows cannot support {p} fixed effects; at least {least} rows are needed."
    ),
    "randomeffect_columns_given_this_engine": (
        "{n} random-effect columns were given; this engine fits at most two."
    ),
    "outcome_does_vary_beyond_fixed": (
        "The outcome does not vary beyond the fixed effects; there is nothing to fit."
    ),
    "usable_ratings_too_few_background": (
        "{n} usable ratings are too few for a background of {columns} columns; more patients or more "
        "visits are needed."
    ),
    "background_model_could_fitted": "The background model could not be fitted.",
    "model_leaving_did_settle_steps": "The model of leaving did not settle in {most} steps.",
}
"""Why something could not be computed."""

WARNED = {
    "single_visit": "The patient has a single visit, so there is no change to look at.",
    "visit_gap": "The visit is number {seen}, and the one before it is not in the file.",
    "date_mixed": (
        "Some dates are true dates and others text: the spreadsheet may have swapped day and month in the"
        " true ones when they were typed."
    ),
    "date_blank": "The date is blank, so time is counted in visits for everyone.",
    "weeks_blank": "The number of weeks is blank, so time is counted in visits for everyone.",
    "weeks_ignored": "There are both dates and weeks; weeks were taken from the dates.",
    "same_day": "The visit is on the same day as the one before it.",
    "pain_blank": "pain is blank: taken as not rated, so this visit is no outcome.",
    "pain_all_identical": "All {n} ratings are {value}.",
    "twitches_blank": (
        "twitches is blank: taken as not recorded, which is not 0; later ratings have no known dose."
    ),
    "twitches_all_zero": "All {n} twitch counts are 0, so there is no dose to compare.",
    "free_text": "Column {name} looks like free text, which may identify a patient; it was not kept.",
    "unknown_column": "{column} is not one the toolkit knows; it was not read.",
    "encoding_guessed": "The file is not UTF-8; it was read as {encoding}; accented letters may be garbled.",
    "several_sheets": "The workbook has {n} further sheets, which were not read.",
}
"""What the reader of a record warned of, by rule."""

LEFT_OUT = {
    "no_first_rating": "patient has no rating at the first visit",
    "rating_missing": "pain not rated at this visit",
    "dose_unknown": "dose not recorded at a visit that can have acted on this rating",
    "single_rating": "patient has only one rating",
    "no_usable_rating": "patient has no later rating with a known dose",
    "empty_row": "row is empty",
}
"""Why a row was left out, by rule."""

INSTRUMENTS = {
    "nrs": "pain numeric rating scale (0 to 10)",
    "vas": "pain visual analogue scale (0 to 100 mm)",
    "ndi": "Neck Disability Index (0 to 100 percent)",
    "ndi50": "Neck Disability Index, raw sum (0 to 50)",
    "odi": "Oswestry Disability Index (0 to 100)",
    "rmdq": "Roland-Morris Disability Questionnaire (0 to 24)",
    "dash": "Disabilities of the Arm, Shoulder and Hand (0 to 100)",
    "quickdash": "QuickDASH (0 to 100)",
    "spadi": "Shoulder Pain and Disability Index (0 to 100)",
    "psfs": "Patient-Specific Functional Scale (0 to 10)",
    "hit6": "Headache Impact Test HIT-6 (36 to 78)",
    "headache_days": "headache days in 28 days",
    "fiq": "Fibromyalgia Impact Questionnaire (0 to 100)",
    "fiqr": "revised Fibromyalgia Impact Questionnaire (0 to 100)",
    "lefs": "Lower Extremity Functional Scale (0 to 80)",
    "nih_cpsi": "NIH Chronic Prostatitis Symptom Index (0 to 43)",
    "bpi": "Brief Pain Inventory, interference (0 to 10)",
    "gupi": "Genitourinary Pain Index",
    "womac": "Western Ontario and McMaster Universities index, raw sum (0 to 96)",
    "womac100": "Western Ontario and McMaster Universities index (0 to 100)",
    "ppt": "pressure pain threshold",
    "pgic": "Patient Global Impression of Change (1 very much improved to 7 very much worse)",
    "groc15": "Global Rating of Change (-7 to +7)",
    "groc11": "Global Rating of Change (-5 to +5)",
    "sf_mpq": "Short-Form McGill Pain Questionnaire",
    "csi": "Central Sensitization Inventory",
    "pcs": "Pain Catastrophizing Scale",
}
"""Names of the scales."""

FELT = {
    "electrical_shock": "electrical shock",
    "cramping": "cramping",
    "ache": "ache",
    "pressure": "pressure",
    "stabbing": "stabbing",
    "burning": "burning",
    "nothing": "nothing",
    "other": "other",
}
"""What a twitch felt like."""

UNITS = {
    "points": ("point", "points"),
    "percentage points": ("percentage point", "percentage points"),
    "days": ("day", "days"),
    "steps": ("step", "steps"),
    "mm": ("mm", "mm"),
    "kPa": ("kPa", "kPa"),
}
"""Singular and plural of each unit."""

english_forms = {
    "REASONS": dict(REASONS),
    "WARNED": dict(WARNED),
    "LEFT_OUT": dict(LEFT_OUT),
    "INSTRUMENTS": dict(INSTRUMENTS),
    "FELT": dict(FELT),
}
"""The forms to look for: English, whatever the above has been translated to."""
