"""The reporting standards, item by item: what each asks, and where the report answers it. Nothing but words.

Items are in our own short words; the standards themselves are cited. An answer is a section of the page
(``"#data"``), columns of the record (``"column: age"``), or what the clinic wrote in its plan (``"about:
setting"``); where none of them is there, the page says so.
"""

from __future__ import annotations

PAGE = {
    "missing": "not recorded by this clinic",
    "between": "; ",
    "recorded": "recorded: {columns}",
    "section": "section {number}, {title}",
    "own_words": "in the clinic's words",
    "counted": "{n} of {of} items answered here",
    "number": "Item",
    "asks": "Asks for",
    "answer": "Where",
    "lists": "The checklists",
    "here": "Here",
    "write": (
        "What is marked as not recorded can be added in the plan: a table [about] with a line for each, such "
        'as needle = "…".'
    ),
    "none_shown": "No simulation is shown in this report.",
    "trial_head": "Part of the trial",
    "trial_ideal": "The trial that would answer",
    "trial_here": "What this record holds instead",
}

ABOUT = {
    "setting": "where patients were treated",
    "dates": "from when to when the record runs",
    "eligibility": "who was taken on, who was not",
    "ethics": "who approved the use of the record",
    "funding": "who paid, and who had a say",
    "codes": "how visits were found in the clinic's system",
    "cleaning": "what was done to the record before it was read",
    "linkage": "which sources were joined, and how",
    "missing": "why ratings or counts are missing",
    "style": "school of needling",
    "reasoning": "why this treatment, and its sources",
    "varied": "how far treatment differed between patients",
    "points": "which muscles or points were needled",
    "depth": "how deep the needle went",
    "response": "what response was sought",
    "stimulation": "how the needle was moved or stimulated",
    "retention": "how long the needle stayed",
    "needle": "diameter, length and maker of the needle",
    "others": "other treatments during the course",
    "information": "what patients were told",
    "practitioner": "training and years of practice of those who treated",
}
"""What a clinic can say of itself in the plan, by setting."""

STANDARDS: dict[str, tuple[str, str]] = {
    "strobe": (
        "STROBE, for studies that watch",
        "von Elm and others 2007, doi:10.1371/journal.pmed.0040296",
    ),
    "record": (
        "RECORD, for records made for other ends",
        "Benchimol and others 2015, doi:10.1371/journal.pmed.1001885",
    ),
    "stricta": (
        "STRICTA, for what was done with needles",
        "MacPherson and others 2010, doi:10.1371/journal.pmed.1000261",
    ),
    "immpact": (
        "IMMPACT, for how much is much",
        "Dworkin and others 2008, doi:10.1016/j.jpain.2007.09.005",
    ),
    "ademp": (
        "ADEMP, for simulations shown here",
        "Morris, White and Crowther 2019, doi:10.1002/sim.8086",
    ),
}
"""Heading and source of each checklist."""

ITEMS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "strobe": (
        ("1", "Design and what was found, in a summary", "#answer"),
        ("2", "Why the question is asked", "#claims"),
        ("3", "The question, and what was fixed before", "#answer"),
        ("4", "Design of the study", "#data"),
        ("5", "Setting, places and dates", "about: setting, dates"),
        ("6", "Who was eligible, and how patients were found", "about: eligibility"),
        ("7", "Outcome, exposure, possible confounders", "#methods"),
        ("8", "How each was measured", "#data"),
        ("9", "What was done about bias", "#fool"),
        ("10", "How the number of patients came about", "#fool"),
        ("11", "How numbers were grouped", "#methods"),
        ("12a", "All methods, confounding among them", "#methods"),
        ("12b", "Subgroups and interactions", "#rivals"),
        ("12c", "How missing data were handled", "#data"),
        ("12d", "How loss to follow-up was handled", "#fool"),
        ("12e", "Sensitivity analyses", "#fool"),
        ("13a", "Numbers at each stage", "#figure-flow"),
        ("13b", "Why patients and visits dropped out", "#figure-flow"),
        ("13c", "A flow diagram", "#figure-flow"),
        ("14a", "Who the patients are", "column: age, sex, region"),
        ("14b", "How many values are missing", "#data"),
        ("14c", "How long patients were followed", "#seen"),
        ("15", "Outcomes over time", "#seen"),
        ("16a", "Estimates with their precision, adjusted", "#rivals"),
        ("16b", "Bounds of groups", "#rivals"),
        ("16c", "Sizes that people can use", "#seen"),
        ("17", "Other analyses", "#claims"),
        ("18", "Main results against the question", "#answer"),
        ("19", "Limits, with their direction and size", "#fool"),
        ("20", "A careful reading, other evidence in view", "#fool"),
        ("21", "Who it applies to", "#answer"),
        ("22", "Funding", "about: funding"),
    ),
    "record": (
        ("1.1", "The kind of data, in the title or summary", "#data"),
        ("1.2", "Place and dates, in the summary", "about: setting, dates"),
        ("1.3", "Linkage between sources", "about: linkage"),
        ("6.1", "Codes by which patients were chosen", "about: codes"),
        ("6.2", "Whether these codes were checked", "about: codes"),
        ("6.3", "A diagram of the linkage", "about: linkage"),
        ("7.1", "Codes of exposure, outcome and confounders", "#provenance"),
        ("12.1", "Who had access to the source", "about: ethics"),
        ("12.2", "How the data were cleaned", "#data"),
        ("12.3", "Person-level linkage", "about: linkage"),
        ("13.1", "How rows were selected, with a diagram", "#figure-flow"),
        ("19.1", "What it means that the record was made for other ends", "#fool"),
        ("22.1", "Where to find plan, code and numbers", "#provenance"),
    ),
    "stricta": (
        ("1a", "Style of needling", "about: style"),
        ("1b", "Reasoning and sources", "about: reasoning"),
        ("1c", "How far treatment varied", "about: varied"),
        ("2a", "Needle insertions per patient and visit", "column: insertions"),
        ("2b", "Names of the points or muscles", "about: points"),
        ("2c", "Depth of insertion", "about: depth"),
        ("2d", "Response sought", "column: twitches"),
        ("2e", "Needle stimulation", "about: stimulation"),
        ("2f", "How long needles stayed", "about: retention"),
        ("2g", "Needle type", "about: needle"),
        ("3a", "Number of visits", "#seen"),
        ("3b", "How often, over what time", "column: weeks"),
        ("4a", "Other treatments", "about: others"),
        ("4b", "Setting, and what patients were told", "about: setting, information"),
        ("5", "Who treated, with what training", "about: practitioner"),
        ("6a", "Reasons for the comparison", "#rivals"),
        ("6b", "Exact description of the comparison", "#methods"),
    ),
    "immpact": (
        ("a", "Share of patients past a cut-point", "#table-responders"),
        ("b", "Two or more methods of saying what matters", "#table-responders"),
        ("c", "The whole course, not one cut-point alone", "#seen"),
    ),
}
"""Number, what is asked, and where it is answered, by checklist."""

ADEMP = (
    (
        "A",
        "Aims",
        "How often would this test call a threshold in clinics shaped like this one, with and without one?",
    ),
    (
        "D",
        "Data-generating mechanisms",
        (
            "Models of first ratings, course, spread, needling, leaving and gaps, fitted to this record. In "
            "one kind of clinic {many} do nothing; in the others a threshold is put in."
        ),
    ),
    ("E", "Estimand", "The share of clinics in which the verdict is “threshold-shaped”."),
    ("M", "Methods", "The whole procedure of “The test”, with {bootstrap} sign flips in each clinic."),
    (
        "P",
        "Performance",
        (
            "That share, with its Monte Carlo standard error and exact limits, from {clinics} clinics of "
            "each kind; seed {seed}."
        ),
    ),
)
"""The self-check by ADEMP: letter, name, and what it is here."""

TRIAL = {
    "heading": "The trial this record stands in for",
    "lead": (
        "A record answers a question of cause only as far as it stands in for a trial. Side by side: the "
        "trial one would wish for, and what is here."
    ),
    "source": "Hernán and Robins 2016, doi:10.1093/aje/kwv254; Cashin and others 2025 (TARGET)",
    "beyond": (
        "Twitches are given visit by visit, so this goes beyond what the TARGET list was made for: two "
        "groups compared from their start."
    ),
}
TRIAL_ROWS = (
    (
        "Who takes part",
        "Patients who start a course of needling and agree to have chance decide part of it.",
        "{patients} patients with a rating at the first visit and a later one.",
    ),
    (
        "What is compared",
        "At each visit seek {many} up to a set number, or needle as often without seeking them.",
        "Every number of {many} that happened to come, from {low} to {high} in all.",
    ),
    (
        "Who decides",
        "Chance, hidden until the visit.",
        "The person who needled, from what they saw and heard.",
    ),
    ("Time zero", "The first visit, before the needle.", "The first visit: its rating is the start."),
    (
        "Follow-up",
        "Ratings at set times, also after patients are well.",
        "Ratings at the visits they came to; none after they stopped.",
    ),
    (
        "Outcome",
        "{outcome_capital}, rated by people who do not know the group.",
        "{outcome_capital} on the {scale}.",
    ),
    (
        "What is asked",
        "The difference between the groups, and where it sets in.",
        "How ratings differ by running total at the same visit, after the same first rating.",
    ),
    (
        "What has to hold",
        "That few are lost, and that those who rate do not know the group.",
        "All that guided the needling and bears on {outcome} is in the record. Nothing here can prove that.",
    ),
)
"""Part of the trial, the trial one would wish for, and what this record holds."""
