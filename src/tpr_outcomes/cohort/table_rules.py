"""What can be wrong with an optional table: one function per rule, the same for every table where it can be.

As in :mod:`tpr_outcomes.cohort.rules`, errors have to be mended before the table is used and warnings stay;
no message repeats an identifier or free text. An error here never touches the visits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from tpr_outcomes.cohort import file_rules
from tpr_outcomes.cohort.cells import read_sought
from tpr_outcomes.cohort.dates import Bools
from tpr_outcomes.cohort.fields import KEPT
from tpr_outcomes.cohort.names import nearest_known, plain_name
from tpr_outcomes.cohort.problems import Problem, cell, cells, not_a_number, whole
from tpr_outcomes.cohort.scales import SCALES
from tpr_outcomes.cohort.schemas import EVENT_WORDS, Field
from tpr_outcomes.cohort.table_cells import UNKNOWN, TableCells
from tpr_outcomes.cohort.value_rules import FREE_TEXT_LENGTH

Rule = Callable[[TableCells], list[Problem]]
_WITHOUT_WHAT = ("relapse", "injury")
"""Kinds of event that say all by themselves."""


def find_table_problems(table: TableCells, *, linked: bool = True) -> tuple[Problem, ...]:
    """Apply every rule; problems of the table as a whole come first, the rest by row.

    Parameters
    ----------
    table : TableCells
    linked : bool
        Whether the visits could be read, so that patients and visits can be looked for.

    Returns
    -------
    tuple of Problem
        Each address begins with the name of the table.
    """
    found = [problem for rule in RULES for problem in rule(table)]
    if linked and not any(problem.rule == "missing_column" for problem in found):
        found += [problem for rule in LINKED.get(table.schema.name, ()) for problem in rule(table)]
    return tuple(_named(table, problem) for problem in sorted(found, key=lambda problem: problem.row))


def _named(table: TableCells, problem: Problem) -> Problem:
    """Put the name of the table before an address that does not hold it."""
    if table.cells.raw.kind == "excel":
        return problem
    return replace(problem, address=f"{table.schema.name}, {problem.address}")


# --- the table as a whole -------------------------------------------------------------------------


def missing_column(table: TableCells) -> list[Problem]:
    """Find columns the table cannot do without."""
    schema, found = table.schema, []
    for field in schema.fields:
        if field.required and not table.has(field.name):
            message = f"There is no column {field.name} ({field.about}); the table needs it."
            found.append(
                whole(table.cells, "missing_column", message, f"Add a column {field.name}, or map yours.")
            )
    if schema.when and not any(table.has(name) for name in schema.when):
        message = f"None of the columns {' or '.join(schema.when)} is there; one has to say when."
        found.append(
            whole(table.cells, "missing_column", message, f"Add a column {schema.when[0]}, or map yours.")
        )
    return found


def unknown_column(table: TableCells) -> list[Problem]:
    """Find columns nobody asks for; they are not read."""
    found = []
    for index in table.cells.unknown:
        name = table.cells.raw.header[index]
        if plain_name(name) in KEPT.get(table.schema.name, ()):
            continue
        said = table.cells.raw.said_name(index)
        shown = file_rules.not_known(name, said)
        near = _near(table, said)
        remedy = (
            f'If it is {near}, map it: {near} = "{said}".' if near else "Nothing to do if it is not needed."
        )
        message = f"{shown} is not one the table of {table.schema.name} has; it was not read."
        found.append(whole(table.cells, "unknown_column", message, remedy, severity="warning", column=index))
    return found


def _near(table: TableCells, name: str) -> str:
    """A column of the table that is not there and that a name may mean."""
    near = nearest_known(name) if name else None
    words = (near, *plain_name(name).split("_"))
    return next((word for word in words if word in table.schema.names and not table.has(word)), "")


# --- cells of any table ---------------------------------------------------------------------------


def cell_blank(table: TableCells) -> list[Problem]:
    """Find blank cells that have to hold something."""
    found = []
    for field in table.schema.fields:
        if not field.filled or not table.has(field.name) or (field.kind == "visit" and table.has("date")):
            continue
        message, remedy = f"{field.name} is blank; every row needs it ({field.about}).", "Fill it in."
        mask = ~table.filled(field.name)
        found += cells(table.cells, field.name, mask, rule="cell_blank", message=message, remedy=remedy)
    return found


def not_numbers(table: TableCells) -> list[Problem]:
    """Find numbers that are none, "about 3" among them."""
    found = []
    for field in table.schema.fields:
        if field.kind not in ("number", "count", "visit"):
            continue
        wanted = "a whole number" if field.kind != "number" else "one number"
        allowed = table.not_sought if field.name == "twitches" else None
        remedy = f"Write {wanted}, or nothing where it was not recorded."
        found += not_a_number(table.cells, field.name, remedy, rule="not_a_number", allowed=allowed)
    return found


def out_of_range(table: TableCells) -> list[Problem]:
    """Find numbers outside what is possible, and counts that are not whole."""
    found = []
    for field in table.schema.fields:
        if not table.has(field.name) or field.kind not in ("number", "count"):
            continue
        value = table.cells.numbers[field.name]
        low = value <= field.low if field.above else value < field.low
        bad = low | (value > field.high)
        if field.kind == "count":
            bad |= value != np.floor(value)
        bad &= ~np.isnan(value)
        message = f"{field.name} is {{seen}}; {_range(field)} is wanted ({field.about})."
        found += cells(
            table.cells, field.name, bad, rule="out_of_range", message=message, remedy="Correct it."
        )
    return found


def _range(field: Field) -> str:
    """Write what a number may be."""
    low = f"more than {field.low:g}" if field.above else f"{field.low:g}"
    if field.kind == "count":
        return "a whole number from 0"
    return f"{low} or more" if np.isinf(field.high) else f"{low} to {field.high:g}"


def not_yes_no(table: TableCells) -> list[Problem]:
    """Find cells that say neither yes nor no."""
    found = []
    for field in table.schema.fields:
        if field.kind != "yes_no" or not table.has(field.name):
            continue
        texts = table.cells.text[field.name]
        unknown = np.array(
            [read_sought(text) is None and plain_name(text) != "unknown" for text in texts], dtype=bool
        )
        message = f"{field.name} says neither yes nor no."
        mask = unknown & table.filled(field.name)
        remedy = "Write yes or no, or nothing where it was not recorded."
        found += cells(table.cells, field.name, mask, rule="not_yes_no", message=message, remedy=remedy)
    return found


def word_unknown(table: TableCells) -> list[Problem]:
    """Find words that are not of the few a column may hold."""
    found = []
    for field in table.schema.fields:
        if field.kind != "word" or not table.has(field.name):
            continue
        mask = np.array([word is None for word in table.word(field.name)], dtype=bool)
        message = f"{field.name} holds a word that is not one of its list."
        remedy = f"Write one of: {', '.join(field.words)}."
        found += cells(table.cells, field.name, mask, rule="word_unknown", message=message, remedy=remedy)
    return found


def label_long(table: TableCells) -> list[Problem]:
    """Find labels so long that they may be free text, which is not kept."""
    found = []
    for field in table.schema.fields:
        if field.kind != "label" or not table.has(field.name):
            continue
        mask = np.array([len(text) > FREE_TEXT_LENGTH for text in table.cells.text[field.name]], dtype=bool)
        message = (
            f"{field.name} holds a text of more than {FREE_TEXT_LENGTH} characters; a short word is wanted."
        )
        remedy = "Write a short word; free text is not read, it may name somebody."
        found += cells(table.cells, field.name, mask, rule="label_long", message=message, remedy=remedy)
    return found


def date_unclear(table: TableCells) -> list[Problem]:
    """Find dates that cannot be read, or read in two ways."""
    dates = table.cells.dates
    if dates is None:
        return []
    mask = np.isnan(dates.days) & table.filled("date")
    message = "The date cannot be read, or could be day/month as well as month/day."
    remedy = "Write it as 2024-03-05; in a spreadsheet, format the cell as a date."
    return cells(table.cells, "date", mask, rule="date_unclear", message=message, remedy=remedy, show=False)


# --- ties to the visits ---------------------------------------------------------------------------


def unknown_patient(table: TableCells) -> list[Problem]:
    """Find rows of patients who are not in the visits."""
    mask = (table.cells.patient == UNKNOWN) & table.filled("patient")
    visits_only = table.schema.name == "patients"
    return cells(
        table.cells,
        "patient",
        mask,
        rule="unknown_patient",
        severity="warning" if visits_only else "error",
        message="This patient has no visit in the record"
        + ("; the row was left out." if visits_only else "."),
        remedy="Write the patient as in the visits, or add the visits.",
    )


def unknown_visit(table: TableCells) -> list[Problem]:
    """Find rows of visits that are not in the record."""
    found = []
    numbered = table.filled("visit")
    lost = (table.visit == UNKNOWN) & (table.cells.patient != UNKNOWN)
    remedy = "Correct it, or add the visit to the visits."
    message = "The patient has no visit of this number in the record."
    found += cells(
        table.cells, "visit", lost & numbered, rule="unknown_visit", message=message, remedy=remedy
    )
    if table.schema.name != "events":
        dated = table.filled("date") & ~numbered
        message = "The patient has no visit on this day in the record."
        found += cells(
            table.cells,
            "date",
            lost & dated,
            rule="unknown_visit",
            message=message,
            remedy=remedy,
            show=False,
        )
    return found


def no_time(table: TableCells) -> list[Problem]:
    """Find rows that do not say when."""
    when = table.schema.when
    there = np.zeros(table.n, dtype=bool)
    for name in when:
        there |= table.filled(name)
    first = next((name for name in when if table.has(name)), None)
    if first is None or (first == "visit" and not table.has("date") and len(when) == 2):
        return []  # a column that is missing, or blank cells of the only one, are said elsewhere
    message = f"The row does not say when: {' and '.join(n for n in when if table.has(n))} blank."
    remedy = f"Fill in {' or '.join(when)}."
    return cells(table.cells, first, ~there, rule="no_time", message=message, remedy=remedy, show=False)


def duplicate_row(table: TableCells) -> list[Problem]:
    """Find rows that say the same twice."""
    key = [name for name in table.schema.key if name in ("patient", "visit") or table.has(name)]
    frame = pd.DataFrame({name: _key_column(table, name) for name in key})
    known = (frame[[name for name in key if name in ("patient", "visit")]] != UNKNOWN).all(axis=1).to_numpy()
    leader = pd.Series(np.arange(table.n)).groupby([frame[name] for name in key], dropna=False)
    first = leader.transform("min").to_numpy()
    rows = table.cells.raw.rows
    return [
        cell(
            table.cells,
            "patient",
            int(i),
            rule="duplicate_row",
            message=f"{table.schema.row.capitalize()} is already in row {int(rows[first[i]])}.",
            remedy=f"Keep one row per {', '.join(key)}.",
        )
        for i in np.flatnonzero(known & (first < np.arange(table.n)))
    ]


def _key_column(table: TableCells, name: str) -> object:
    """Values by which rows are told apart."""
    if name in ("patient", "visit"):
        return table.cells.patient if name == "patient" else table.visit
    if name in table.cells.numbers:
        return table.cells.numbers[name]
    return [text.casefold() for text in table.cells.text[name]]


# --- single tables --------------------------------------------------------------------------------


def sought_contradiction(table: TableCells) -> list[Problem]:
    """Find sites where whether twitches were sought, came and how many do not agree."""
    counted = table.cells.numbers["twitches"] if table.has("twitches") else np.full(table.n, np.nan)
    elicited = table.yes_no("elicited") if table.has("elicited") else np.full(table.n, np.nan)
    faults: list[tuple[str, Bools, str]] = [
        ("twitches", table.not_sought & (counted > 0), "There are twitches where they were not sought."),
        ("elicited", table.not_sought & (elicited == 1), "A twitch came where none was sought."),
        ("elicited", (elicited == 1) & (counted == 0), "A twitch came, and the count of twitches is 0."),
        (
            "elicited",
            (elicited == 0) & (counted > 0),
            "No twitch came, and the count of twitches is above 0.",
        ),
    ]
    remedy = "Correct the one or the other; leave blank what was not recorded."
    return [
        problem
        for column, mask, message in faults
        for problem in cells(
            table.cells, column, mask, rule="sought_contradiction", message=message, remedy=remedy, show=False
        )
    ]


def felt_contradiction(table: TableCells) -> list[Problem]:
    """Find sites with more insertions felt than made."""
    if not (table.has("insertions_felt") and table.has("insertions")):
        return []
    mask = table.cells.numbers["insertions_felt"] > table.cells.numbers["insertions"]
    message, remedy = "More insertions were felt than made.", "Correct the one or the other."
    return cells(
        table.cells, "insertions_felt", mask, rule="felt_contradiction", message=message, remedy=remedy
    )


def sum_differs(table: TableCells) -> list[Problem]:
    """Find visits whose twitches are not the sum over their sites, where every site was counted."""
    if not table.has("twitches"):
        return []
    counted = np.where(table.not_sought, 0.0, table.cells.numbers["twitches"])
    frame = pd.DataFrame({"patient": table.cells.patient, "visit": table.visit, "sites": counted})
    by = frame.groupby(["patient", "visit"])
    total = by["sites"].transform(lambda sites: sites.sum(skipna=False)).to_numpy()
    keys = zip(frame["patient"].tolist(), frame["visit"].tolist(), strict=True)
    wanted = np.array([table.links.twitches.get(key, np.nan) for key in keys], dtype=np.float64)
    mask = (np.abs(total - wanted) > 0) & ~frame.duplicated(["patient", "visit"], keep="last").to_numpy()
    return cells(
        table.cells,
        "twitches",
        mask,
        rule="sum_differs",
        severity="warning",
        message="The twitches of this visit's sites do not add up to the twitches of the visit.",
        remedy="Correct the one or the other; the verdict takes those of the visit.",
        show=False,
    )


def what_unknown(table: TableCells) -> list[Problem]:
    """Find events that say of no known kind what they were; they count as "other"."""
    kinds = table.word("kind")
    found = []
    for kind, known in EVENT_WORDS.items():
        mask = np.array(
            [k == kind and what is None for k, what in zip(kinds, table.what, strict=True)], dtype=bool
        )
        found += cells(
            table.cells,
            "what",
            mask,
            rule="what_unknown",
            severity="warning",
            message=f"what is not one of the words for {kind}; it counts as other.",
            remedy=f"If one of these is meant, write it: {', '.join((*known, 'none'))}.",
            show=False,
        )
    return found


def what_blank(table: TableCells) -> list[Problem]:
    """Find events that do not say what they were."""
    kinds = table.word("kind")
    silent = np.array([kind not in ("", None, *_WITHOUT_WHAT) for kind in kinds], dtype=bool)
    message = "what is blank: it does not say whether there was anything."
    remedy = "Write which one; write none where it was asked for and there was none."
    mask = silent & ~table.filled("what")
    return cells(table.cells, "what", mask, rule="what_blank", message=message, remedy=remedy)


def score_outside_instrument(table: TableCells) -> list[Problem]:
    """Find scores outside the range of their instrument."""
    named = [SCALES.get(word or "") for word in table.word("instrument")]
    low = np.array([scale.minimum if scale else -np.inf for scale in named])
    high = np.array([scale.maximum if scale else np.inf for scale in named])
    score = table.cells.numbers["score"]
    return cells(
        table.cells,
        "score",
        (score < low) | (score > high),
        rule="score_outside_instrument",
        message="score is {seen}, outside the range of its instrument.",
        remedy="Correct the score, or name the instrument that was used.",
    )


RULES: tuple[Rule, ...] = (
    lambda table: file_rules.duplicate_column(table.cells),
    lambda table: file_rules.encoding_guessed(table.cells),
    lambda table: file_rules.overlong_row(table.cells),
    missing_column,
    unknown_column,
    cell_blank,
    not_numbers,
    out_of_range,
    not_yes_no,
    word_unknown,
    label_long,
    date_unclear,
)
"""Rules for every table, in the order in which problems of one row are listed."""

_TIMED: tuple[Rule, ...] = (unknown_patient, unknown_visit, no_time, duplicate_row)
LINKED: dict[str, tuple[Rule, ...]] = {
    "sites": (*_TIMED, sought_contradiction, felt_contradiction, sum_differs),
    "diary": _TIMED,
    "events": (*_TIMED[:3], what_unknown, what_blank),
    "patients": (unknown_patient, duplicate_row),
    "scores": (*_TIMED, score_outside_instrument),
}
"""Rules that need the columns of their table to be there."""
