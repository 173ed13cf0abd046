"""What can be wrong with a value: ratings, counts, ages and words."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable

import numpy as np

from tpr_outcomes.cohort.cells import Record, each_text, read_sought
from tpr_outcomes.cohort.coded import codes_of
from tpr_outcomes.cohort.dates import Bools, Floats
from tpr_outcomes.cohort.names import CATEGORIES, COUNTS
from tpr_outcomes.cohort.problems import Problem, cells, not_a_number, whole
from tpr_outcomes.cohort.scales import Scale
from tpr_outcomes.cohort.typed_values import NOT_SOUGHT, is_range

AGE_RANGE = (0.0, 120.0)
LARGEST = 1e6
FREE_TEXT_LENGTH = 40
FREE_TEXT_VALUES = 50

_AS_TYPED = {
    "out_of": "the scale ends there, so it was read as",
    "comma": "the comma was read as a decimal point:",
    "range": "as the column map says, it was read as",
}
_MISSING_CODE = re.compile(r"-9+|-8+|-7+|-1|99+|88+|77+")
_OUT_OF = re.compile(r"(\d{1,3}(?:[.,]\d)?)\s?/\s?(\d{1,3})")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}.*")


# --- pain -----------------------------------------------------------------------------------------


def pain_not_a_number(record: Record) -> list[Problem]:
    """Find ratings that are not one number, "7-8" among them."""
    return not_a_number(record, "pain", lambda text: _pain_remedy(text, record.scale))


def pain_outside_scale(record: Record) -> list[Problem]:
    """Find ratings outside the range of the instrument."""
    if "pain" not in record.where:
        return []
    pain, scale = record.numbers["pain"], record.scale
    return cells(
        record,
        "pain",
        (pain < scale.minimum) | (pain > scale.maximum),
        rule="pain_outside_scale",
        message=f"pain is {{seen}}; {_range(scale)} is wanted on this scale.",
        remedy=lambda text: _code_or("Correct the rating, or name the scale that was used.", text),
    )


def pain_blank(record: Record) -> list[Problem]:
    """Find visits without a rating."""
    return cells(
        record,
        "pain",
        record.blank.get("pain"),
        rule="pain_blank",
        severity="warning",
        message="pain is blank: taken as not rated, so this visit is no outcome.",
        remedy="Fill in the rating if there was one.",
    )


def pain_all_identical(record: Record) -> list[Problem]:
    """Find a record in which pain never changes."""
    pain = record.numbers.get("pain", np.empty(0))
    pain = pain[~np.isnan(pain)]
    if pain.size < 3 or (pain != pain[0]).any():
        return []
    message = f"All {pain.size} ratings are {pain[0]:g}."
    remedy = "Check that the right column was read."
    return [
        whole(record, "pain_all_identical", message, remedy, severity="warning", column=record.where["pain"])
    ]


def number_as_typed(record: Record) -> list[Problem]:
    """Tell which numbers were read from something else than a plain number, and as what."""
    found = []
    for name, ways in record.how.items():
        for way in sorted(set(ways) - {""}):
            mask = np.asarray(ways == way, dtype=bool) & ~record.blank[name]
            values = record.numbers[name][mask]
            noted = cells(
                record,
                name,
                mask,
                rule="number_as_typed",
                severity="note",
                message=f"{name} is {{seen}}; {_AS_TYPED[way]}",
                remedy="Nothing to do if that is right.",
            )
            found += [
                dataclasses.replace(problem, message=f"{problem.message} {value:g}.")
                for problem, value in zip(noted, values, strict=True)
            ]
    return found


# --- doses ----------------------------------------------------------------------------------------


def count_not_a_number(record: Record) -> list[Problem]:
    """Find counts that are not numbers."""
    twitches = (
        "Write the count: 0 where twitches were sought and none came, nothing where they were not recorded, "
        '"not sought" where they were not looked for.'
    )
    words = each_text(
        record.text.get("twitches", np.empty(0, dtype=object)),
        lambda text: text.casefold() in NOT_SOUGHT,
        bool,
    )
    found = not_a_number(record, "twitches", twitches, rule="count_not_a_number", allowed=words)
    for name in COUNTS:
        found += not_a_number(record, name, "Write a whole number, or nothing.", rule="count_not_a_number")
    return found


def count_negative(record: Record) -> list[Problem]:
    """Find counts below zero."""
    return _counts(
        record, lambda count: count < 0, "count_negative", "a count cannot be negative", "Correct the count."
    )


def count_fractional(record: Record) -> list[Problem]:
    """Find counts that are not whole."""
    return _counts(
        record,
        lambda count: (count >= 0) & (count != np.floor(count)),
        "count_fractional",
        "a count is a whole number",
        "Write the count of this visit, not an average.",
    )


def number_too_large(record: Record) -> list[Problem]:
    """Find numbers that no clinic has seen: slips of the keyboard, codes, dates read as numbers."""
    return [
        problem
        for name in ("visit", "weeks", "pain", "twitches", *COUNTS)
        if name in record.numbers
        for problem in cells(
            record,
            name,
            np.abs(record.numbers[name]) > LARGEST,
            rule="number_too_large",
            message=f"{name} is {{seen}}; nothing above {LARGEST:,.0f} is read.",
            remedy="Correct the number; if it stands for a missing value, name it in the column map.",
        )
    ]


def twitches_blank(record: Record) -> list[Problem]:
    """Find visits whose twitches were not recorded, which is not the same as none."""
    if "twitches" not in record.where:
        return []
    return cells(
        record,
        "twitches",
        record.blank["twitches"] & ~record.not_sought,
        rule="twitches_blank",
        severity="warning",
        message="twitches is blank: taken as not recorded, which is not 0; later ratings have no known dose.",
        remedy='Write 0 if they were sought and none came, "not sought" if they were not looked for.',
    )


def twitches_all_zero(record: Record) -> list[Problem]:
    """Find a record in which no twitch was ever elicited."""
    count = record.numbers.get("twitches", np.empty(0))
    count = count[~np.isnan(count)]
    if count.size < 3 or (count != 0).any():
        return []
    message = f"All {count.size} twitch counts are 0, so there is no dose to compare."
    remedy = "Check that the right column was read and that blanks were not filled with 0."
    return [
        whole(
            record, "twitches_all_zero", message, remedy, severity="warning", column=record.where["twitches"]
        )
    ]


def sought_unreadable(record: Record) -> list[Problem]:
    """Find entries of the sought column that are neither yes nor no."""
    if "sought" not in record.where:
        return []
    known = each_text(record.text["sought"], lambda text: read_sought(text) is not None, bool)
    return cells(
        record,
        "sought",
        ~known & ~record.blank["sought"],
        rule="sought_unreadable",
        message="sought is {seen}; yes or no is wanted.",
        remedy="Write yes where twitches were looked for, no where they were not.",
    )


def sought_contradiction(record: Record) -> list[Problem]:
    """Find twitches counted at a visit where they were not sought, or the other way round."""
    if not {"sought", "twitches"} <= set(record.where):
        return []
    looked = each_text(record.text["sought"], lambda text: read_sought(text) is True, bool)
    counted = record.numbers["twitches"] > 0
    spoken = np.isnan(record.numbers["twitches"]) & ~record.blank["twitches"]
    return cells(
        record,
        "sought",
        (record.not_sought & counted) | (record.not_sought & spoken & looked),
        rule="sought_contradiction",
        message="The columns sought and twitches contradict each other.",
        remedy="Correct whichever is wrong: a visit with twitches is one where they were sought.",
        show=False,
    )


# --- who ------------------------------------------------------------------------------------------


def age_not_a_number(record: Record) -> list[Problem]:
    """Find ages that are not numbers."""
    return not_a_number(record, "age", "Write the age in years.")


def age_outside_range(record: Record) -> list[Problem]:
    """Find ages nobody has."""
    if "age" not in record.where:
        return []
    age, (low, high) = record.numbers["age"], AGE_RANGE
    return cells(
        record,
        "age",
        (age < low) | (age > high),
        rule="age_outside_range",
        message=f"age is {{seen}}; {low:g} to {high:g} years is wanted.",
        remedy=lambda text: _code_or("Write the age in years, not the year of birth.", text),
    )


def free_text(record: Record) -> list[Problem]:
    """Find columns of words that look like sentences; they are not kept."""
    found = []
    for name in free_text_columns(record):
        message = f"Column {name} looks like free text, which may identify a patient; it was not kept."
        remedy = f"Use a short list of words, at most {FREE_TEXT_VALUES} different ones."
        found.append(
            whole(record, "free_text", message, remedy, severity="warning", column=record.where[name])
        )
    return found


def free_text_columns(record: Record) -> tuple[str, ...]:
    """Return the category columns that look like free text.

    Parameters
    ----------
    record : Record
        Cells as read.

    Returns
    -------
    tuple of str
        Canonical names.
    """
    return tuple(
        name
        for name in CATEGORIES
        if name in record.where
        and (
            len(words := codes_of(record.text[name])[1]) > FREE_TEXT_VALUES
            or max((len(word) for word in words), default=0) > FREE_TEXT_LENGTH
        )
    )


def _counts(
    record: Record, test: Callable[[Floats], Bools], rule: str, wanted: str, remedy: str
) -> list[Problem]:
    """Apply a test to every column of counts."""
    return [
        problem
        for name in ("twitches", *COUNTS)
        if name in record.where
        for problem in cells(
            record,
            name,
            test(record.numbers[name]),
            rule=rule,
            message=f"{name} is {{seen}}; {wanted}.",
            remedy=lambda text: _code_or(remedy, text),
        )
    ]


def _code_or(remedy: str, text: str) -> str:
    """Add to a remedy how a code for missing values is named, where the cell looks like one."""
    if not _MISSING_CODE.fullmatch(text):
        return remedy
    return (
        f'{remedy} If {text} stands for a missing value, write missing = ["{text}"] below [file] in the '
        "column map."
    )


def _pain_remedy(text: str, scale: Scale) -> str:
    """Say what to write instead of a rating that is not a number."""
    if is_range(text):
        return (
            'Write one number; or settle what such ratings are read as: ranges = "middle" (or "lower", '
            '"upper") below [file] in the column map.'
        )
    if _DATE.fullmatch(text):
        return "A spreadsheet may have turned 7/10 into a date: format the column as text and write 7."
    if _OUT_OF.fullmatch(text):
        return f"Write one number on the scale, {_range(scale)}."
    return f"Write one number, {_range(scale)}, or leave the cell empty where pain was not rated."


def _range(scale: Scale) -> str:
    """Write the range of a scale."""
    return (
        f"{scale.minimum:g} to {scale.maximum:g}" if np.isfinite(scale.span) else f"{scale.minimum:g} or more"
    )
