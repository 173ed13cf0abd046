"""What is said of a folder or a file that cannot be made: nothing but words."""

from __future__ import annotations

WRITING = {
    "figures": "drawing the figures",
    "tables": "writing the tables",
    "report": "writing the report",
    "pdf": "printing",
    "done": "written",
}
"""What is being done while a folder is written."""

REFUSED = {
    "not_ours": (
        "{target} holds files that this command did not write, and it is not replaced. Name another folder, "
        "or empty it."
    ),
    "more": "{shown} and {n} more",
    "unwritten": "{target} could not be written ({why}). {remedy} Nothing was changed.",
}
"""Why a folder is not written."""

REMEDIES = {
    "full": "Free some space and run it again.",
    "forbidden": "Name a folder elsewhere, or ask for the right to write.",
    "read_only": "Name a folder elsewhere: this one is on a medium that cannot be written to.",
    "name": "Give the folder a shorter name.",
    "other": "Name another folder, or run it again if another run was writing there.",
}
"""What to do about a folder that cannot be written, by cause."""

PDF = {
    "no_browser": (
        "No Chromium or Chrome was found on this machine, and the PDF is printed by one. Install it (on "
        "Debian: apt-get install chromium), say where it is in TPR_CHROMIUM, or leave --pdf out: report.html "
        "can be printed from any browser."
    ),
    "failed": (
        "{browser} did not print the page ({reason}). Leave --pdf out and print report.html from a browser."
    ),
    "too_slow": "it took longer than {seconds} seconds",
    "nothing": "it ended with status {status} and wrote nothing",
}
TABLES = {
    "no_great_tables": (
        "Tables for Word and LaTeX were left out: great-tables is not installed "
        "(pip install 'tpr-outcomes[report]'). The CSV files hold the same numbers."
    ),
    "no_rocrate": (
        "The RO-Crate was left out: rocrate is not installed (pip install 'tpr-outcomes[report]'). The "
        "manifest holds the same facts."
    ),
}
"""What is left out of the folder where the extra "report" is not installed."""

CRATE = {
    "name": "Outcomes report",
    "record": "The clinic's record of visits",
    "private": (
        "The record itself is not in the crate: it is about patients. Its digest tells whether another is "
        "the same."
    ),
    "plan": "Plan as run",
    "run": "Evaluation of the record",
}
CRATE_FILES = {
    "report.html": "The report: one page that asks the network for nothing.",
    "report.pdf": "The report, printed.",
    "verdict.json": "The verdict for machines.",
    "results.json": "Every number of the report, one row per estimate.",
    "results.csv": "The same rows as CSV.",
    "words.toml": "The words the report was written in.",
    "tables": "A table of the report.",
    "figures": "A figure of the report.",
}
"""What each file, or each file of a folder, is."""

REPRODUCE = {
    "no_manifest": (
        "{folder} holds no manifest of ours, so there is nothing to make again. Name the folder that tpr "
        "evaluate wrote."
    ),
    "name_source": "The record is not kept with its report. Name it: tpr reproduce DIR --source FILE",
    "same": "Every file came out the same, byte for byte: {n} files.",
    "differs": "{n} files came out otherwise; {same} came out the same, byte for byte.",
    "input": "The record is another one: its SHA-256 was {recorded} and is {now}.",
    "version": "{name} was version {recorded} and is {now}.",
    "words": (
        "{name}, the words the report was written in, is gone or was changed, so the report cannot be made "
        "again. Put back the file it was made with."
    ),
    "edited": "{name} was changed after the report was written: its digest is not that of the manifest.",
    "file": "{name} came out otherwise.",
    "gone": "{name} is not in the folder.",
    "extra": "{name} was not made this time.",
    "more_files": "And {n} more files.",
    "number": "{id} was {recorded} and is {now}.",
    "more_numbers": "And {n} more numbers.",
}
"""What came of making a report again."""

FILE_OF_WORDS = {
    "head": (
        "# Every text of the reports, the notebooks and the commands. Translate what stands to the right of\n"
        "# the equals signs; keys, names in braces and HTML stay as they are. A key that is left out stays\n"
        "# English.\n"
    ),
    "unread": "The words in {path} cannot be read. Name a translation of what tpr words writes.",
    "no_toml": "The file of words is not TOML ({error}). Start from what tpr words writes.",
    "faults": "The file of words cannot be used.",
    "more": "… and {n} more.",
    "unknown": "{key}: there is no such key. Leave it out, or take the key from what tpr words writes.",
    "no_text": "{key}: its value is not a text. Put it in quotation marks.",
    "open": "{key}: a brace is left open. Names in braces have to be {wanted}.",
    "fields": "{key}: it holds {held}. Names in braces have to be {wanted}.",
    "none": "none",
}
"""The file of a translation: what stands above it, and what can be wrong with one."""
