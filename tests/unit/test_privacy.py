"""Privacy: what is withheld cannot be worked out, by brute force over all records that agree."""

from __future__ import annotations

import doctest
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpr_outcomes.cohort import privacy
from tpr_outcomes.cohort.privacy import (
    Counts,
    Sum,
    is_small,
    nested,
    pool_ages,
    pool_words,
    protect,
    veil,
    withheld_parts,
)

TOP = 13
"""Brute force looks at counts up to this; a table with larger ones only leaves more possible."""


def agrees(guess: dict[str, int], counts: Counts, unseen: set[str]) -> bool:
    """Whether a record with these counts would look the same: numbers shown, and labels of those withheld."""
    for name, value in counts.values.items():
        if name in unseen:
            continue
        if name not in counts.withheld:
            if guess[name] != value:
                return False
        elif is_small(value, counts.minimum) != is_small(guess[name], counts.minimum) or guess[name] == 0:
            return False
    return True


def possible(counts: Counts, name: str, leaves: list[str], build, unseen: set[str]) -> set[int]:
    """Values of a small count in all records that agree with what is shown."""
    found = set()
    for numbers in product(range(TOP), repeat=len(leaves)):
        guess = build(dict(zip(leaves, numbers, strict=True)))
        if agrees(guess, counts, unseen):
            found.add(guess[name])
    return found


def whole_and_parts(parts: dict[str, int]) -> dict[str, int]:
    return parts | {"total": sum(parts.values())}


@given(st.lists(st.integers(0, 7), min_size=2, max_size=3), st.integers(3, 4))
@settings(max_examples=30, deadline=None)
def test_no_part_of_a_whole_can_be_worked_out(numbers: list[int], minimum: int) -> None:
    leaves = [f"p{i}" for i in range(len(numbers))]
    values = whole_and_parts(dict(zip(leaves, numbers, strict=True)))
    counts = protect(values, [Sum("total", tuple(leaves))], kept=["total"], minimum=minimum)
    for name in values:
        if not is_small(values[name], minimum):
            continue
        assert name in counts.withheld
        left = possible(counts, name, leaves, whole_and_parts, set())
        nothing_shown = Counts(values, frozenset(n for n, v in values.items() if v), minimum)
        best = possible(nothing_shown, name, leaves, whole_and_parts, set())
        assert left == best & set(range(1, minimum))


def test_withholding_one_more_is_not_always_enough() -> None:
    """3 and 5 withheld of a whole of 58 would leave 3 as it is: the 5 is known to be at least 5."""
    assert withheld_parts([50, 1, 5]) == [True, True, True]
    assert withheld_parts([50, 4, 5]) == [False, True, True]
    assert withheld_parts([50, 10, 20]) == [False, False, False]
    assert withheld_parts([3, 0, 40]) == [True, False, True]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=3), st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_differences_of_nested_groups_cannot_be_worked_out(steps: list[int], last: int) -> None:
    minimum = 4
    groups = [f"g{i}" for i in range(len(steps) + 1)]

    def build(leaves: dict[str, int]) -> dict[str, int]:
        sizes = {groups[-1]: leaves[groups[-1]]}
        for outer, inner in zip(groups[-2::-1], groups[:0:-1], strict=True):
            sizes[outer] = sizes[inner] + leaves[f"{outer} without {inner}"]
        return sizes | leaves

    pairs = list(pairwise(groups))
    leaves = [groups[-1], *(f"{a} without {b}" for a, b in pairs)]
    truth = build(dict(zip(leaves, [last, *steps], strict=True)))
    values, unseen = {name: truth[name] for name in groups}, set()
    sums = [nested(outer, inner, values, unseen) for outer, inner in pairs]
    counts = protect(values, sums, unseen=unseen, kept=[groups[0]], minimum=minimum)
    hidden = Counts(values, frozenset(n for n, v in values.items() if v or n in unseen), minimum)
    for name, value in values.items():
        if is_small(value, minimum):
            left = possible(counts, name, leaves, build, unseen)
            best = possible(hidden, name, leaves, build, unseen) & set(range(1, minimum))
            assert left >= best


def test_what_is_needed_most_is_withheld_last() -> None:
    values, unseen = {"read": 180, "analysed": 177}, set()
    counts = protect(values, [nested("read", "analysed", values, unseen)], unseen=unseen, kept=["analysed"])
    assert counts.text("analysed") == "177"
    assert counts.text("read") == "withheld"
    assert counts.number("read") is None


def test_a_minimum_of_one_shows_everything() -> None:
    counts = protect({"a": 1, "b": 2, "total": 3}, [Sum("total", ("a", "b"))], minimum=1)
    assert not counts.withheld
    assert [counts.text(name) for name in ("a", "b", "total")] == ["1", "2", "3"]


def test_a_second_name_of_a_count_is_withheld_with_it() -> None:
    counts = protect({"a": 3}, same={"again": "a"})
    assert counts.text("again") == counts.text("a") == "<5"


def test_ages_over_89_are_one_group() -> None:
    np.testing.assert_array_equal(pool_ages([18, 89, 90, 104, np.nan]), [18, 89, 90, 90, np.nan])


def test_words_of_few_patients_are_not_named() -> None:
    pooled = pool_words({"better": 20, "other": 2, "moved in with Aunt Hilda": 1})
    assert pooled == {"better": 20, "other": 3}
    assert pool_words({"a": 5}, minimum=6) == {"other": 5}


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("3 patients stopped.", "fewer than 5 patients stopped."),
        ("1 patient stopped.", "fewer than 5 patients stopped."),
        ("2 of 40 patients stopped.", "fewer than 5 of 40 patients stopped."),
        ("39 of 40 patients stopped.", "nearly all of 40 patients stopped."),
        (
            "40 of 40 patients, 12 patients, 1,234 patients.",
            "40 of 40 patients, 12 patients, 1,234 patients.",
        ),
        ("a relief of 2.3 points; fewer than 5 patients", "a relief of 2.3 points; fewer than 5 patients"),
    ],
)
def test_small_counts_are_taken_out_of_sentences(said: str, shown: str) -> None:
    assert veil(said) == shown
    assert veil(said, minimum=1) == said


def test_examples_in_docstrings_run() -> None:
    outcome = doctest.testmod(privacy)
    assert outcome.failed == 0
    assert outcome.attempted > 5
