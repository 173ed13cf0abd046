"""What the explorer says: its controls, one patient's outlook, a chosen group; nothing but words.

Names in braces are filled by :func:`tpr_outcomes.reporting.labels.fill` with the record's own vocabulary.
"""

from __future__ import annotations

VIEWS = {
    "verdict": "Verdict",
    "check": "Data check",
    "group": "Group",
    "patient": "One patient",
    "report": "Report",
}
"""The parts of the explorer, in the order a reader wants them."""

OPEN = {
    "title": "Your record",
    "upload": "Open a file",
    "example": "Use the simulated example",
    "scale": "Ratings are on",
    "rated": "Pain was rated",
    "promise": (
        "CSV or Excel. The file stays on this computer, and nothing is written unless you download a report."
    ),
    "waiting": "Open a file to begin, or look at the simulated example.",
    "working": "Working …",
    "ready": "{what}: {patients} patients, {visits} visits.",
    "your_file": "Your file",
    "the_example": "The simulated example",
    "stopped": "The file cannot be used yet; what to do stands below.",
    "mend": "Mend this in your file, save it, and open it again.",
    "columns": "Which of your columns is meant? Choose, then press the button.",
    "none": "(not chosen)",
    "again": "Read the file again",
}
TIMES = {"before": "before the needling", "after": "after the needling"}
COLUMNS = {
    "patient": "Patient",
    "visit": "Number of the visit",
    "pain": "Pain rating",
    "twitches": "Twitches",
}
"""Columns a reader may be asked to point at."""
UNEXPECTED = (
    "Something unexpected went wrong ({kind}); this should not happen. Open the file again, or try another "
    "one; `tpr check FILE` on the command line may say more."
)

WHY = "Why, and what would change it"
MORE = {
    "checks": "The checks, one by one",
    "gates": "The rules, and the first that fits",
    "fool": "What could fool us here",
}
"""What opens on a press below the verdict."""

CHOOSE = {
    "region": "Region",
    "therapist": "Therapist",
    "age_low": "Age from",
    "age_high": "Age to",
    "visits_low": "Visits from",
    "visits_high": "Visits to",
    "any": "all",
    "patients": "{n} of {of} patients chosen.",
    "few": (
        "Fewer than five patients are chosen, so nothing is shown of them together. Widen the choice, or "
        "look at “One patient”."
    ),
    "note": (
        "The verdict and the report are about the whole record, whatever is chosen here. Whoever looks at "
        "many groups will find one with a threshold by luck alone; a group worth a verdict is named before "
        "looking."
    ),
    "courses": "Each line is one patient of the group.",
}
"""Choosing a group of patients."""

GROUP = {
    "title": "How the chosen patients did",
    "caption": (
        "Thin lines: up to 60 of the chosen patients. Solid: mean of those rated at each visit, with its 95%"
        " interval. Visits with under five ratings are left out. Those who are better stop coming, so the "
        "mean is nobody's course."
    ),
}

PATIENT = {
    "which": "Patient",
    "option": "no. {number} · {visits} visits · first rating {first}",
    "option_one": "no. {number} · 1 visit · first rating {first}",
    "unrated": "none",
    "known": "Known up to visit",
    "numbers": "Patients are numbered in the order in which they first stand in your file.",
    "nobody": "No patient is chosen. Widen the choice above.",
    "cannot": "Nothing can be said of this patient's course: {reason}",
    "no_model": "No model could be fitted to this record: {reason}",
    "title": "Patient no. {number}",
    "next": (
        "What usually follows: at visit {visit}, a rating of about {expected}; in four of five such patients"
        " it lies between {low} and {high} {unit}."
    ),
    "later": "At visit {visit}: about {expected} (between {low} and {high}).",
    "end": (
        "The record holds too few ratings past visit {visit} to say what usually follows there. More "
        "patients with longer courses would change that."
    ),
    "doses": (
        "For visits that have no count yet, {dose} {many} a visit are assumed: this patient's mean so far."
    ),
    "caution": (
        "This says what usually follows in patients treated as these were. It does not say what more or "
        "fewer {many} would bring, and it is no advice on this patient's treatment."
    ),
    "tried": (
        "Tried on simulated clinics: of 150 patients, 74 to 80 of 100 ratings lay inside this interval; of "
        "60 patients, 73 to 79. More patients make it truer."
    ),
    "caption": (
        "Full dots: ratings the model knows. Open dots: ratings it does not know. Line and band: what it "
        "expects, and where four of five ratings lie. Dotted: patients with the same first rating, visit and"
        " {many}, of whom nothing else is known."
    ),
    "alt": (
        "Patient no. {number}, {ratings} ratings, the first {first} and the latest {last} {unit}; known up "
        "to visit {known}. {sentence}"
    ),
    "expected_axis": "expected",
    "usual_axis": "same start,\nnothing else known",
    "known_mark": "known up to here",
    "visit_axis": "Visit number",
}
"""One patient's course."""
OUTLOOK_HEADS = (
    "Visit",
    "Rated ({unit})",
    "Expected ({unit})",
    "Four of five between ({unit})",
    "Same start, nothing else known ({unit})",
)

REPORT = {
    "make": "Make the report",
    "about": (
        "One page with the verdict, every picture and every table, and the thirty claims. It is made on this"
        " computer; you then choose where to keep it. It holds no names, no dates and no single courses by "
        "number."
    ),
    "making": "Drawing the pictures; this takes some seconds …",
    "link": "Download report.html ({size} MB)",
    "made": "The report is ready.",
}
"""The report, on request."""
