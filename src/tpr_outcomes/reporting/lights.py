"""The data check as traffic lights: what was looked at, what was seen, and what to do about it.

A share of missing values turns a light at 5% and at 20%: below the one little bias is feared, past the other
much (the 5-and-20 rule of thumb; Schulz and Grimes 2002, doi:10.1016/S0140-6736(02)07882-0).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from tpr_outcomes.cohort.privacy import Counts, is_small
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.inference.evidence import Decision, Evidence
from tpr_outcomes.reporting import words, words_numbers
from tpr_outcomes.reporting import words_notebook as catalogue
from tpr_outcomes.reporting.phrases import parts, say
from tpr_outcomes.reporting.spelling import percent, terms

State = Literal["good", "look", "problem", "open"]

SMALL_LOSS, LARGE_LOSS = 0.05, 0.20
"""Shares of missing values at which a light changes."""


class Evaluated(Protocol):
    """What the lights look at: an :class:`~tpr_outcomes.reporting.results.Evaluation`."""

    @property
    def visits(self) -> Visits:
        """The record."""

    @property
    def evidence(self) -> Evidence:
        """The numbers."""

    @property
    def decision(self) -> Decision:
        """What they decide."""

    @property
    def shown(self) -> Counts:
        """Which counts of people may be shown."""


@dataclass(frozen=True)
class Light:
    """One line of the data check.

    Attributes
    ----------
    rule : str
        Key of :data:`tpr_outcomes.reporting.words_notebook.LIGHTS`.
    state : {"good", "look", "problem", "open"}
    name, seen, remedy : str
        What was looked at, what was seen, what to do about it.
    short : str
        What to do, for the first screen; empty where ``remedy`` is short enough.
    """

    rule: str
    state: State
    name: str
    seen: str
    remedy: str
    short: str = ""


def data_lights(evaluation: Evaluated) -> tuple[Light, ...]:
    """Look at the record and at what it can tell.

    Parameters
    ----------
    evaluation : Evaluation

    Returns
    -------
    tuple of Light
        In the order a clinic would mend them.
    """
    found = [look(evaluation) for look in _LOOKS]
    return tuple(light for light in found if light is not None)


def loss(share_present: float) -> State:
    """State of a light by the share of values that are there.

    Examples
    --------
    >>> loss(1.0), loss(0.9), loss(0.7)
    ('good', 'look', 'problem')
    """
    missing = round(1.0 - share_present, 9)
    return "good" if missing <= SMALL_LOSS else "look" if missing <= LARGE_LOSS else "problem"


def _light(evaluation: Evaluated, rule: str, state: State, **texts: str) -> Light:
    name, states = catalogue.LIGHTS[rule]
    called = terms(evaluation.evidence.ratings.dose, evaluation.evidence.scale)
    known = {**parts(evaluation.evidence, evaluation.decision, called, shown=evaluation.shown), **texts}
    seen, remedy = states[state]
    return Light(rule, state, say(name, known), say(seen, known), say(remedy, known))


def _file(evaluation: Evaluated) -> Light:
    problems = [problem for problem in evaluation.visits.problems if problem.severity != "note"]
    rows = evaluation.shown.text("rows")
    if not problems:
        return _light(evaluation, "file", "good", rows=rows)
    places = catalogue.PLACES["one" if len(problems) == 1 else "several"].format(n=f"{len(problems):,}")
    texts = {"message": problems[0].message, "remedy": problems[0].remedy}
    light = _light(evaluation, "file", "look", rows=rows, places=places, **texts)
    return replace(light, short=problems[0].remedy)


def _ratings(evaluation: Evaluated) -> Light:
    return _shares(evaluation, "ratings", "pain")


def _counts(evaluation: Evaluated) -> Light:
    return _shares(evaluation, "counts", evaluation.evidence.ratings.dose)


def _shares(evaluation: Evaluated, rule: str, column: str) -> Light:
    visits = evaluation.visits
    present = visits.table[column].notna()
    share = float(present.mean()) if visits.n_visits else 0.0
    few = any(is_small(int(n), evaluation.shown.minimum) for n in ((~present).sum(), present.sum()))
    side = "nearly_all" if share > 0.5 else "few"
    texts = {
        "share": words_numbers.SHARES[side] if few else _share(share),
        "visits": evaluation.shown.text("visits"),
    }
    return _light(evaluation, rule, loss(share), **texts)


def _used(evaluation: Evaluated) -> Light:
    used, all_of_them = evaluation.evidence.ratings.n_patients, evaluation.visits.n_patients
    texts = {"used": evaluation.shown.text("analysed"), "patients": evaluation.shown.text("patients")}
    return _light(evaluation, "used", loss(used / max(all_of_them, 1)), **texts)


def _spread(evaluation: Evaluated) -> Light:
    e, decision = evaluation.evidence, evaluation.decision
    if e.design is not None and e.design.identifiable:
        return _light(evaluation, "spread", "good")
    called = terms(e.ratings.dose, e.scale)
    blind = Decision("not_identifiable", 0, e.design.reasons if e.design is not None else ("not_fitted",))
    texts = parts(e, blind, called, shown=evaluation.shown)
    state: State = "problem" if decision.gate != 1 else "look"
    return _light(evaluation, "spread", state, reason=texts["reason"], help=texts["help"])


def _hidden(evaluation: Evaluated) -> Light | None:
    e = evaluation.evidence
    # Without a link there is nothing that could survive adjustment: only the lead check has a say.
    checks = [e.mundlak, e.lead] if evaluation.decision.gate in (1, 2, 3) else [e.lead]
    done = [check for check in checks if check is not None]
    if not done:
        return None
    texts = parts(e, evaluation.decision, terms(e.ratings.dose, e.scale), shown=evaluation.shown)
    for check in sorted(done, key=lambda check: check.passed is None):
        if not check.passed:
            failed = check.passed is False
            what = say(words.CHECKS[f"{check.name}_{'failed' if failed else 'what'}"], texts)
            return _light(evaluation, "hidden", "problem" if failed else "open", what=what)
    return _light(evaluation, "hidden", "good")


def _stopping(evaluation: Evaluated) -> Light:
    table = evaluation.visits.table
    share, few = 0.0, False
    if "stop_reason" in table.columns and len(table):
        known = table["stop_reason"].notna() & (table["stop_reason"] != "")
        stopped = known.groupby(table["patient"]).any()
        share = float(stopped.mean())
        few = any(is_small(int(n), evaluation.shown.minimum) for n in (stopped.sum(), (~stopped).sum()))
    state: State = "good" if 1.0 - share <= LARGE_LOSS else "look"
    side = "nearly_all" if share > 0.5 else "few"
    light = _light(evaluation, "stopping", state, share=words_numbers.SHARES[side] if few else _share(share))
    return light if share else replace(light, seen=catalogue.NO_REASONS)


def _insertions(evaluation: Evaluated) -> Light | None:
    if evaluation.evidence.ratings.dose != "twitches":
        return None
    table = evaluation.visits.table
    recorded = "insertions" in table.columns and bool(table["insertions"].notna().any())
    return _light(evaluation, "insertions", "good" if recorded else "look")


_LOOKS: tuple[Callable[[Evaluated], Light | None], ...] = (
    _file,
    _ratings,
    _counts,
    _used,
    _spread,
    _hidden,
    _stopping,
    _insertions,
)


def _share(share: float) -> str:
    """Write a share; never "100%" where anything is missing, never "0%" where anything is there."""
    if 0.0 < share < 0.01:
        return words_numbers.SHARES["under"]
    if 0.99 < share < 1.0:
        return words_numbers.SHARES["over"]
    return percent(share)


def worst(lights: tuple[Light, ...]) -> State:
    """State of the worst light: problem, then look, then not known, then good."""
    counts = Counter(light.state for light in lights)
    order: tuple[State, ...] = ("problem", "look", "open")
    return next((state for state in order if counts[state]), "good")
