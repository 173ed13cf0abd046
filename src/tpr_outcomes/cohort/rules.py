"""What can be wrong with a clinic's record: one function per rule, one row per problem.

A rule looks at a :class:`~tpr_outcomes.cohort.cells.Record` and returns what it found. Errors stop the
reading; warnings and notes stay with the data. A new rule is one function, its name in :data:`RULES`, and
a test with one bad row. No message repeats an identifier or free text. Rules about patients, visits and time
are here; those about the source as a whole are in :mod:`~tpr_outcomes.cohort.file_rules`, those about
single values in :mod:`~tpr_outcomes.cohort.value_rules`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tpr_outcomes.cohort import file_rules, value_rules
from tpr_outcomes.cohort.cells import Record, each_text
from tpr_outcomes.cohort.dates import Bools, Floats, is_slashed
from tpr_outcomes.cohort.problems import LeftOut, Problem, cell, cells, not_a_number, whole
from tpr_outcomes.cohort.raw import Ints

__all__ = ["RULES", "LeftOut", "Problem", "find_problems"]


def find_problems(record: Record) -> tuple[Problem, ...]:
    """Apply every rule.

    Parameters
    ----------
    record : Record
        Cells as read.

    Returns
    -------
    tuple of Problem
        In the order of the file; problems of the file as a whole come first.
    """
    found = [problem for rule in RULES for problem in rule(record)]
    if record.raw.origin:  # a cell that stands for several visits is one place all the same
        found = list(dict.fromkeys(found))
    return tuple(sorted(found, key=lambda problem: problem.row))


# --- patient and visit ----------------------------------------------------------------------------


def missing_patient(record: Record) -> list[Problem]:
    """Find rows without a patient."""
    if "patient" not in record.where:
        return []
    return cells(
        record,
        "patient",
        record.patient < 0,
        rule="missing_patient",
        message="The patient is blank; every visit needs one.",
        remedy="Fill in the patient's code, in every row (merged cells hold it in the first only).",
    )


def missing_visit(record: Record) -> list[Problem]:
    """Find rows without a visit number."""
    return cells(
        record,
        "visit",
        record.blank.get("visit"),
        rule="missing_visit",
        message="The visit number is blank.",
        remedy="Fill it in, or leave the column out if there are dates: visits are then numbered in order.",
    )


def visit_not_whole(record: Record) -> list[Problem]:
    """Find visit numbers that are not whole numbers from 1."""
    if "visit" not in record.where:
        return []
    visit = record.numbers["visit"]
    bad = ~record.blank["visit"] & ~((visit >= 1) & (visit == np.floor(visit)))
    return cells(
        record,
        "visit",
        bad,
        rule="visit_not_whole",
        message="The visit number is {seen}; a whole number from 1 is wanted.",
        remedy="Write 1 for the patient's first visit, 2 for the next, and so on.",
    )


def duplicate_visit(record: Record) -> list[Problem]:
    """Find two rows for one patient and visit."""
    again, earlier = _repeats(record)
    by = "visit" if "visit" in record.where else ("date" if "date" in record.where else "weeks")
    same = _same_date(record, again, earlier)
    return [
        cell(
            record,
            by,
            int(i),
            rule="duplicate_visit",
            message=f"This patient's visit is already in {record.raw.address(int(record.raw.rows[j]))}.",
            remedy="Keep one row per patient and visit.",
        )
        for i, j in zip(again[same], earlier[same], strict=True)
    ]


def visit_two_dates(record: Record) -> list[Problem]:
    """Find one visit number with two dates."""
    again, earlier = _repeats(record)
    other = ~_same_date(record, again, earlier)
    return [
        cell(
            record,
            "date",
            int(i),
            rule="visit_two_dates",
            message=(
                "This patient's visit of the same number has another date in "
                f"{record.raw.address(int(record.raw.rows[j]))}."
            ),
            remedy="Give each visit a number of its own, in the order of the dates.",
        )
        for i, j in zip(again[other], earlier[other], strict=True)
    ]


def single_visit(record: Record) -> list[Problem]:
    """Find patients seen once: nothing can be said of their change."""
    known = record.patient >= 0
    alone = np.zeros(record.patient.size, dtype=bool)
    alone[known] = (np.bincount(record.patient[known]) == 1)[record.patient[known]] if known.any() else False
    return cells(
        record,
        "patient",
        alone,
        rule="single_visit",
        severity="warning",
        message="The patient has a single visit, so there is no change to look at.",
        remedy="Nothing to do if that is so; the patient counts in the account of who was left out.",
    )


def visit_gap(record: Record) -> list[Problem]:
    """Find visit numbers that are skipped."""
    if "visit" not in record.where:
        return []
    order, same = _in_order(record)
    visit = record.numbers["visit"][order]
    step = np.diff(visit, prepend=0.0)
    step[~same] = visit[~same]
    skipped = np.zeros(order.size, dtype=bool)
    skipped[:] = step > 1
    mask = np.zeros(record.patient.size, dtype=bool)
    mask[order[skipped]] = True
    return cells(
        record,
        "visit",
        mask,
        rule="visit_gap",
        severity="warning",
        message="The visit is number {seen}, and the one before it is not in the file.",
        remedy="Add the missing visit; as it stands it counts as time without any needling.",
    )


# --- time -----------------------------------------------------------------------------------------


def date_unreadable(record: Record) -> list[Problem]:
    """Find dates that are no dates."""
    if record.dates is None:
        return []
    return cells(
        record,
        "date",
        np.isnan(record.dates.days) & ~record.blank["date"] & ~record.dates.unclear,
        rule="date_unreadable",
        message="The date cannot be read; yyyy-mm-dd is wanted.",
        remedy="Write it as 2024-03-05; in a spreadsheet, format the cell as a date.",
        show=False,
    )


def date_ambiguous(record: Record) -> list[Problem]:
    """Find dates whose day and month cannot be told apart."""
    if record.dates is None:
        return []
    return cells(
        record,
        "date",
        record.dates.unclear,
        rule="date_ambiguous",
        message="The date could be day/month or month/day, and the column as a whole does not tell which.",
        remedy='Say which: dates = "day first" (or "month first") below [file] in the column map.',
        show=False,
    )


def date_order_guessed(record: Record) -> list[Problem]:
    """Tell that the order of day and month was taken from the column."""
    if record.dates is None or record.dates.settled or record.dates.order not in ("day first", "month first"):
        return []
    message = f"Dates were read {record.dates.order}: at least one of them allows no other order."
    remedy = f'To settle it, write dates = "{record.dates.order}" below [file] in the column map.'
    return [
        whole(record, "date_order_guessed", message, remedy, severity="note", column=record.where["date"])
    ]


def date_mixed(record: Record) -> list[Problem]:
    """Find a spreadsheet column that holds both true dates and dates typed as text.

    A spreadsheet set to the other order turns 05/03/2024 into 3 May and leaves 25/03/2024 as text.
    """
    if record.dates is None or record.raw.kind != "excel":
        return []
    text = record.text["date"]
    typed = each_text(text, is_slashed, bool)
    if not typed.any() or not (~typed & ~record.blank["date"]).any():
        return []
    return [
        whole(
            record,
            "date_mixed",
            "Some dates are true dates and others text: the spreadsheet may have swapped day and month in "
            "the true ones when they were typed.",
            "Compare a few with the paper record; write all of them as 2024-03-05.",
            severity="warning",
            column=record.where["date"],
        )
    ]


def date_as_typed(record: Record) -> list[Problem]:
    """Tell which dates were spreadsheet day numbers or had a year of two digits."""
    if record.dates is None:
        return []
    found = []
    for mask, what in (
        (record.dates.serial, "a spreadsheet's day number, counted from 1900"),
        (record.dates.short_year & ~np.isnan(record.dates.days), "written with two digits for the year"),
    ):
        found += cells(
            record,
            "date",
            mask,
            rule="date_as_typed",
            severity="note",
            message=f"The date is {what}; it was read so.",
            remedy="Nothing to do if that is right; 2024-03-05 is read in one way only.",
            show=False,
        )
    return found


def time_blank(record: Record) -> list[Problem]:
    """Find visits without a date (or weeks)."""
    name = _clock(record)
    if name is None:
        return []
    numbered = "visit" in record.where
    word = "date" if name == "date" else "number of weeks"
    then = "time is counted in visits for everyone" if numbered else "the visit cannot be put in order"
    return cells(
        record,
        name,
        record.blank[name],
        rule="time_blank",
        severity="warning" if numbered else "error",
        message=f"The {word} is blank, so {then}.",
        remedy=f"Fill in the {word}.",
    )


def weeks_ignored(record: Record) -> list[Problem]:
    """Tell that dates were used and the weeks column was not."""
    if not {"date", "weeks"} <= set(record.where):
        return []
    message = "There are both dates and weeks; weeks were taken from the dates."
    remedy = "Leave one of the two columns out."
    return [whole(record, "weeks_ignored", message, remedy, severity="warning", column=record.where["weeks"])]


def weeks_not_a_number(record: Record) -> list[Problem]:
    """Find weeks that are not numbers."""
    if _clock(record) != "weeks":
        return []
    return not_a_number(record, "weeks", "Write the weeks since the patient's first visit, for example 2.5.")


def dates_out_of_order(record: Record) -> list[Problem]:
    """Find visits that come before the one numbered lower."""
    found = _steps_back(record, lambda step: step < 0)
    return cells(
        record,
        _clock(record) or "date",
        found,
        rule="dates_out_of_order",
        message="The visit is earlier than the one with the lower number.",
        remedy="Correct the date, or number the visits in the order of the dates.",
        show=False,
    )


def same_day(record: Record) -> list[Problem]:
    """Find two visits of a patient on one day."""
    return cells(
        record,
        _clock(record) or "date",
        _steps_back(record, lambda step: step == 0),
        rule="same_day",
        severity="warning",
        message="The visit is on the same day as the one before it.",
        remedy="Correct the date, or merge the two rows if it was one visit.",
        show=False,
    )


def _clock(record: Record) -> str | None:
    """Return the column that tells time: dates before weeks."""
    return next((name for name in ("date", "weeks") if name in record.where), None)


def _in_order(record: Record) -> tuple[Ints, Bools]:
    """Return readable rows by patient and visit, and whether each has the patient of the one before."""
    visit = record.numbers["visit"]
    usable = np.flatnonzero((record.patient >= 0) & ~np.isnan(visit))
    order = usable[np.lexsort((visit[usable], record.patient[usable]))]
    patient = record.patient[order]
    same = np.zeros(order.size, dtype=bool)
    same[1:] = patient[1:] == patient[:-1]
    return order, same


def _steps_back(record: Record, test: Callable[[Floats], Bools]) -> Bools | None:
    """Mark visits whose time since the one numbered lower passes a test."""
    moment = record.moment
    if moment is None or "visit" not in record.where:
        return None
    mask = np.zeros(moment.size, dtype=bool)
    order, _ = _in_order(record)
    order = order[~np.isnan(moment[order])]
    patient, visit = record.patient[order], record.numbers["visit"][order]
    follows = (np.diff(patient) == 0) & (np.diff(visit) > 0)
    mask[order[1:][follows & test(np.diff(moment[order]))]] = True
    return mask


def _repeats(record: Record) -> tuple[Ints, Ints]:
    """Return the rows that repeat a patient's visit, and for each the row it repeats."""
    key = record.numbers["visit"] if "visit" in record.where else record.moment
    if key is None:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    usable = np.flatnonzero((record.patient >= 0) & ~np.isnan(key))
    order = usable[np.lexsort((key[usable], record.patient[usable]))]
    patient, value = record.patient[order], key[order]
    again = np.zeros(order.size, dtype=bool)
    again[1:] = (patient[1:] == patient[:-1]) & (value[1:] == value[:-1])
    leader = np.maximum.accumulate(np.where(again, 0, np.arange(order.size)))
    return order[again], order[leader[again]]


def _same_date(record: Record, again: Ints, earlier: Ints) -> Bools:
    """Tell which repeats have the date of the row they repeat, or none to compare."""
    if "visit" not in record.where or record.dates is None:
        return np.ones(again.size, dtype=bool)
    days = record.dates.days
    differ: Bools = np.abs(days[again] - days[earlier]) > 0  # False where either is unknown
    return ~differ


RULES: tuple[Callable[[Record], list[Problem]], ...] = (
    file_rules.empty_file,
    file_rules.header_only,
    file_rules.no_header,
    file_rules.missing_column,
    file_rules.duplicate_column,
    file_rules.unknown_column,
    file_rules.offered_column,
    file_rules.encoding_guessed,
    file_rules.several_sheets,
    file_rules.overlong_row,
    file_rules.layout_guessed,
    file_rules.repeated_entry,
    missing_patient,
    missing_visit,
    visit_not_whole,
    duplicate_visit,
    visit_two_dates,
    single_visit,
    visit_gap,
    date_unreadable,
    date_ambiguous,
    date_order_guessed,
    date_mixed,
    date_as_typed,
    time_blank,
    weeks_ignored,
    weeks_not_a_number,
    dates_out_of_order,
    same_day,
    value_rules.pain_not_a_number,
    value_rules.pain_outside_scale,
    value_rules.pain_blank,
    value_rules.pain_all_identical,
    value_rules.number_as_typed,
    value_rules.count_not_a_number,
    value_rules.count_negative,
    value_rules.count_fractional,
    value_rules.number_too_large,
    value_rules.twitches_blank,
    value_rules.twitches_all_zero,
    value_rules.sought_unreadable,
    value_rules.sought_contradiction,
    value_rules.age_not_a_number,
    value_rules.age_outside_range,
    value_rules.free_text,
)
"""Every rule, in the order in which problems of one row are listed."""
