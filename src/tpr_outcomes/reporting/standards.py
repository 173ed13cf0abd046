"""Reporting standards on the page: each item with a link to its answer, or marked as not recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tpr_outcomes.cohort.record import as_record
from tpr_outcomes.reporting import words_report as page
from tpr_outcomes.reporting import words_standards as say
from tpr_outcomes.reporting.labels import fill
from tpr_outcomes.reporting.page_tables import PageTable
from tpr_outcomes.reporting.results import Evaluation
from tpr_outcomes.reporting.spelling import Terms, listed, number

HOMES = {"#figure-flow": "data", "#table-responders": "seen"}
"""Section of each figure and table that an item points to."""


@dataclass(frozen=True)
class Answer:
    """Where an item is answered.

    Attributes
    ----------
    text : str
    href : str
        Place on the page; empty for none.
    own : bool
        Words of the clinic, from its plan.
    """

    text: str
    href: str = ""
    own: bool = False


@dataclass(frozen=True)
class Item:
    """One item of a checklist.

    Attributes
    ----------
    number, asks : str
    answers : tuple of Answer
    answered : bool
        Whether anything is there.
    """

    number: str
    asks: str
    answers: tuple[Answer, ...]
    answered: bool


@dataclass(frozen=True)
class Checklist:
    """One standard.

    Attributes
    ----------
    name, heading, source : str
    items : tuple of Item
    """

    name: str
    heading: str
    source: str
    items: tuple[Item, ...]

    @property
    def answered(self) -> int:
        """Items that are answered."""
        return sum(item.answered for item in self.items)


def checklists(evaluation: Evaluation, present: frozenset[str]) -> tuple[Checklist, ...]:
    """Return each standard with its items, answered for one record.

    Parameters
    ----------
    evaluation : Evaluation
    present : frozenset of str
        Anchors of figures and tables that are on the page (``"#figure-flow"``).
    """
    return tuple(
        Checklist(name, *say.STANDARDS[name], tuple(_item(row, evaluation, present) for row in rows))
        for name, rows in say.ITEMS.items()
    )


def _item(row: tuple[str, str, str], evaluation: Evaluation, present: frozenset[str]) -> Item:
    """Look up where one item is answered."""
    label, asks, where = row
    kind, _, rest = where.partition(": ")
    if where.startswith("#"):
        answers = [_place(where, present)]
    elif kind == "column":
        answers = _columns(tuple(rest.split(", ")), evaluation)
    else:
        answers = _own_words(tuple(rest.split(", ")), evaluation)
    missing = Answer(say.PAGE["missing"])
    return Item(label, asks, tuple(answers) or (missing,), bool(answers))


def _place(where: str, present: frozenset[str]) -> Answer:
    """Link to a section, or to a figure or table in it."""
    if where == "#answer":
        return Answer(page.PAGE["question_heading"], where)
    key = HOMES.get(where, where[1:])
    digit, title, _ = page.SECTIONS[key]
    text = say.PAGE["section"].format(number=digit, title=title)
    return Answer(text, where if where in present or where not in HOMES else f"#{key}")


def _columns(names: tuple[str, ...], evaluation: Evaluation) -> list[Answer]:
    record = evaluation.record or as_record(evaluation.visits)
    held = [name for name in names if record.has("visits", name)]
    return [Answer(say.PAGE["recorded"].format(columns=listed(held)), "#data")] if held else []


def _own_words(keys: tuple[str, ...], evaluation: Evaluation) -> list[Answer]:
    about = evaluation.plan.get("about")
    told: Mapping[str, object] = about if isinstance(about, dict) else {}
    return [Answer(str(told[key]), own=True) for key in keys if told.get(key)]


def standard_tables(evaluation: Evaluation, called: Terms, present: frozenset[str]) -> dict[str, PageTable]:
    """Return the checklists, the trial this record stands in for and ADEMP as tables like any other.

    Parameters
    ----------
    evaluation : Evaluation
    called : Terms
    present : frozenset of str
        Anchors of figures and tables that are on the page.
    """
    heads = (say.PAGE["number"], say.PAGE["asks"], say.PAGE["answer"])
    found = {
        "trial": PageTable(
            "trial",
            say.TRIAL["heading"],
            (say.PAGE["trial_head"], say.PAGE["trial_ideal"], say.PAGE["trial_here"]),
            trial_rows(evaluation, called),
        )
    }
    for one in checklists(evaluation, present):
        rows = tuple(
            (item.number, item.asks, say.PAGE["between"].join(answer.text for answer in item.answers))
            for item in one.items
        )
        found[one.name] = PageTable(one.name, one.heading, heads, rows)
    ademp = ademp_rows(evaluation, called)
    if ademp:
        here = (say.PAGE["number"], say.PAGE["asks"], say.PAGE["here"])
        found["ademp"] = PageTable("ademp", say.STANDARDS["ademp"][0], here, ademp)
    return found


def trial_rows(evaluation: Evaluation, called: Terms) -> tuple[tuple[str, str, str], ...]:
    """Part of the trial, the trial one would wish for, and what this record holds."""
    dose = evaluation.evidence.ratings.dose_before
    low, high = (number(float(end)) for end in (dose.min(), dose.max())) if dose.size else ("–", "–")
    texts = {"patients": f"{evaluation.evidence.ratings.n_patients:,}", "low": low, "high": high}
    return tuple(
        (part, fill(ideal, called, **texts), fill(here, called, **texts))
        for part, ideal, here in say.TRIAL_ROWS
    )


def ademp_rows(evaluation: Evaluation, called: Terms) -> tuple[tuple[str, str, str], ...]:
    """Letter, name and content of each part of ADEMP for the self-check; empty where none is shown."""
    check = evaluation.self_check
    if check is None or check.null is None:
        return ()
    texts = {
        "bootstrap": f"{check.bootstrap:,}",
        "clinics": f"{check.null.clinics:,}",
        "seed": str(check.seed),
    }
    return tuple((letter, name, fill(text, called, **texts)) for letter, name, text in say.ADEMP)
