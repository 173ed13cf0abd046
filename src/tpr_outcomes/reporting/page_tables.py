"""Tables as the report prints them: rounded, worded, each with caption and heads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from tpr_outcomes.inference.sensitivity import Sensitivity
from tpr_outcomes.models.candidates import HINGE
from tpr_outcomes.reporting import words, words_doubts, words_numbers
from tpr_outcomes.reporting import words_report as say
from tpr_outcomes.reporting.doubts import adjusted_rows, doubt_rows
from tpr_outcomes.reporting.drawn import THRESHOLD_LABELS
from tpr_outcomes.reporting.labels import fill, p_text, signed
from tpr_outcomes.reporting.numbers import key_of
from tpr_outcomes.reporting.quantities import NORMAL_95
from tpr_outcomes.reporting.results import Evaluation
from tpr_outcomes.reporting.spelling import Terms, amount, between, number, percent
from tpr_outcomes.reporting.told import told

VERDICT_SCOPE = "|".join(
    (
        *("test:threshold", "test:relief_past", "test:relief_line", "test:patients_past", "verdict"),
        *("test:relief_bound", "design:mdr_best", "design:mdr_line", "design:dose_95"),
        *("design:share_within_visit", "check", "data", "setting", "quoted:obstacle"),
    )
)
"""Where the sentences of the verdict take their numbers from, the most telling first."""


@dataclass(frozen=True)
class PageTable:
    """One table of the page.

    Attributes
    ----------
    name : str
        Key, and id on the page.
    caption : str
    heads : tuple of str
    rows : tuple of tuple of str
    numeric : frozenset of int
        Columns set flush right.
    answers : int
        Column whose cells are marked by what they say; -1 for none.
    marks : tuple of str
        How the answer of each row is marked: a class of the style sheet.
    scopes : tuple of str
        Where the numbers of each row come from: ids of results, or their beginnings, joined by "|".
    plain : bool
        The cells hold the user's own words and no results.
    """

    name: str
    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()
    answers: int = -1
    marks: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    plain: bool = False

    def as_frame(self) -> pd.DataFrame:
        """Return the cells as printed, under the heads of the page."""
        return pd.DataFrame([list(row) for row in self.rows], columns=list(self.heads), dtype=str)


def page_tables(
    evaluation: Evaluation, called: Terms, frames: Mapping[str, pd.DataFrame]
) -> dict[str, PageTable]:
    """Every table of the page that this record carries.

    Parameters
    ----------
    evaluation : Evaluation
    called : Terms
    frames : mapping of str to DataFrame
        The numbers, unrounded (:attr:`tpr_outcomes.reporting.numbers.Results.frames`).
    """
    makers = {
        "left_out": _left_out,
        "by_visit": _by_visit,
        "responders": _responders,
        "bands": _bands,
        "rivals": _rivals,
        "fits": _fits,
        "gates": _gates,
        "checks": _checks,
    }
    found = {
        name: make(frames[name], called)
        for name, make in makers.items()
        if name in frames and not frames[name].empty
    }
    if evaluation.sensitivity is not None:
        found |= _doubts(evaluation.sensitivity, frames["weights"], called)
    found["claims"] = _claims(frames["claims"], called)
    found["plan"] = _plan(evaluation, called)
    if evaluation.decision.label in THRESHOLD_LABELS:
        found["threshold"] = _threshold(evaluation, called)
    return found


def _table(
    name: str,
    called: Terms,
    rows: Sequence[Sequence[str]],
    *,
    scopes: Sequence[str] = (),
    numeric: Sequence[str] = (),
    answers: str = "",
    marks: Sequence[str] = (),
) -> PageTable:
    caption, heads = {**say.TABLES, **words_doubts.TABLES}[name]
    keys = list(heads)
    return PageTable(
        name=name,
        caption=fill(caption, called),
        heads=tuple(fill(head, called) for head in heads.values()),
        rows=tuple(tuple(row) for row in rows),
        numeric=frozenset(keys.index(key) for key in numeric),
        answers=keys.index(answers) if answers else -1,
        marks=tuple(marks),
        scopes=tuple(scopes) or ("",) * len(rows),
    )


def span(low: float, high: float) -> str:
    """Write an interval; a dash where there is none."""
    return "–" if math.isnan(low) or math.isnan(high) else between(signed(low), signed(high))


def _holds(value: object) -> str:
    if pd.isna(value):  # type: ignore[call-overload]
        return say.PAGE["not_done"]
    return say.PAGE["yes" if value else "no"]


def _mark(value: object) -> str:
    """Class of the style sheet for a yes, a no, or neither."""
    if pd.isna(value):  # type: ignore[call-overload]
        return "not-done"
    return "yes" if value else "no"


def _whole(count: object) -> str:
    """Write a count, and that it is withheld where it is."""
    return say.PAGE["withheld"] if pd.isna(count) else f"{int(count):,}"  # type: ignore[call-overload]


def _left_out(frame: pd.DataFrame, called: Terms) -> PageTable:
    rows = [(say.STAGES[r.stage], told(str(r.reason)), _whole(r.count_)) for r in _rows(frame)]
    scopes = [f"left_out:{r.stage}:{r.rule}|quoted:left_out:{r.rule}" for r in _rows(frame)]
    return _table("left_out", called, rows, scopes=scopes, numeric=["count"])


def _rows(frame: pd.DataFrame) -> list[pd.Series]:
    """Rows as objects whose attributes are the columns (``count`` is a method, so ``count_``)."""
    return [row for _, row in frame.rename(columns={"count": "count_"}).iterrows()]


def _by_visit(frame: pd.DataFrame, called: Terms) -> PageTable:
    rows = []
    for r in _rows(frame):
        if pd.isna(r["mean"]):
            rows.append((str(int(r.visit)), say.PAGE["withheld"], "–", "–", "–", "–"))
            continue
        half = between(number(r.total_q25), number(r.total_q75))
        total = f"{number(r.total_median)} ({half})"
        without = "–" if pd.isna(r.without_dose) else signed(r.without_dose)
        visit = (str(int(r.visit)), _whole(r.n))
        rows.append((*visit, signed(r["mean"]), span(r.conf_low, r.conf_high), without, total))
    numeric = ["visit", "n", "mean", "interval", "without", "total"]
    scopes = [f"by_visit:{int(r.visit)}|setting:small_count" for r in _rows(frame)]
    return _table("by_visit", called, rows, scopes=scopes, numeric=numeric)


def _bands(frame: pd.DataFrame, called: Terms) -> PageTable:
    rows = []
    for i, r in enumerate(_rows(frame)):
        low, high = number(r.dose_low), number(r.dose_high)
        dose = low if low == high else between(low, high)
        few = [_whole(n) for n in (r.n_ratings, r.n_patients)]
        found = ("0", "–") if i == 0 else (signed(r.estimate), span(r.conf_low, r.conf_high))
        rows.append((dose, *few, *found))
    scopes = [f"bands:{i + 1}|setting:small_count" for i in range(len(rows))]
    numeric = ["dose", "n_ratings", "n_patients", "estimate", "interval"]
    return _table("bands", called, rows, scopes=scopes, numeric=numeric)


def _responders(frame: pd.DataFrame, called: Terms) -> PageTable:
    rows = []
    for r in _rows(frame):
        cut = f"{number(r.value)}%" if r.kind == "percent" else amount(r.value, called.unit)
        who = say.IMPORTANCE[r.method] + (f": {r.sources}" if r.sources else "")
        if pd.isna(r.estimate):
            rows.append((cut, who, _whole(r.n), say.PAGE["withheld"], "–"))
            continue
        share = between(percent(r.conf_low), percent(r.conf_high))
        rows.append((cut, who, _whole(r.n), f"{percent(r.estimate)} ({int(r.count_):,})", share))
    scopes = [f"responders:{r.cut}|quoted:responders:{r.cut}" for r in _rows(frame)]
    return _table("responders", called, rows, scopes=scopes, numeric=["n", "share", "interval"])


def _explanation(name: str, called: Terms) -> str:
    return fill(say.EXPLANATIONS.get(name, name), called)


def _rivals(frame: pd.DataFrame, called: Terms) -> PageTable:
    rows = [
        (
            _explanation(r.term, called),
            p_text(r.p_value),
            "–" if pd.isna(r.delta_bic) else signed(r.delta_bic),
            _holds(r.beaten),
        )
        for r in _rows(frame)
    ]
    scopes = [f"rivals:{r.term}" for r in _rows(frame)]
    return _table("rivals", called, rows, scopes=scopes, numeric=["p_value", "delta_bic"])


def _fits(frame: pd.DataFrame, called: Terms) -> PageTable:
    rows = [
        (
            _explanation(r.term, called),
            "–" if pd.isna(r.estimate) else signed(r.estimate),
            span(r.conf_low, r.conf_high),
            "–" if pd.isna(r.theta2) else number(float(r.theta2)),
            signed(r.delta_bic),
        )
        for r in _rows(frame)
    ]
    scopes = [f"fits:{r.term}" for r in _rows(frame)]
    numeric = ["estimate", "interval", "theta2", "delta_bic"]
    return _table("fits", called, rows, scopes=scopes, numeric=numeric)


def _gates(frame: pd.DataFrame, called: Terms) -> PageTable:
    rows = []
    for r in _rows(frame):
        asked, wanted = say.GATE_WORDS[r.term]
        if r.term in _AMOUNTS:
            found, limit = (amount(x, called.unit).replace("-", "−") for x in (r.estimate, r.limit))
        elif r.term in _P_VALUES:
            found, limit = p_text(r.estimate), number(r.limit)
        else:
            found = say.PAGE["withheld"] if pd.isna(r.estimate) else number(r.estimate).replace("-", "−")
            limit = number(r.limit)
        rows.append((fill(asked, called), found, wanted.format(limit=limit), _holds(r.holds)))
    scopes = [f"gates:{key_of(r.term)}" for r in _rows(frame)]
    marks = [_mark(r.holds) for r in _rows(frame)]
    return _table(
        "gates", called, rows, scopes=scopes, numeric=["estimate", "limit"], answers="holds", marks=marks
    )


_P_VALUES = (
    *("threshold against every rival", "check: patient trait", "check: earlier rating"),
    *("lasting sum", "any link"),
)
_AMOUNTS = ("design: threshold", "design: straight line", "small bound")


def _checks(frame: pd.DataFrame, called: Terms) -> PageTable:
    rows = []
    for r in _rows(frame):
        question, basis = say.CHECK_WORDS[r.term]
        n = basis.format(n=_whole(r.n))
        p_value = None if pd.isna(r.p_value) else float(r.p_value)
        rows.append((fill(question, called), p_text(p_value), n, _holds(r.passed), told(r.reason) or "–"))
    scopes = [f"check:{r.term}|quoted:check:{r.term}" for r in _rows(frame)]
    marks = [_mark(r.passed) for r in _rows(frame)]
    return _table("checks", called, rows, scopes=scopes, numeric=["p_value"], answers="passed", marks=marks)


def _doubts(found: Sensitivity, weights: pd.DataFrame, called: Terms) -> dict[str, PageTable]:
    """Tables of the question asked under other assumptions."""
    adjusted = adjusted_rows(found, called)
    doubts = doubt_rows(found, called)
    made = {
        "adjusted": _table(
            "adjusted",
            called,
            [row for _, row in adjusted],
            scopes=[f"sensitivity:adjusted:{name}|quoted:adjusted:{name}" for name, _ in adjusted],
            numeric=["estimate", "interval"],
        ),
        "doubts": _table(
            "doubts",
            called,
            [row for _, row in doubts],
            scopes=[
                f"sensitivity:doubt:{name}|sensitivity:doubt:unrecorded:slope|quoted:doubt:{name}|setting"
                for name, _ in doubts
            ],
        ),
    }
    if not weights.empty:
        made["weights"] = _weights(weights, called)
    return made


def _weights(frame: pd.DataFrame, called: Terms) -> PageTable:
    rows, scopes = [], []
    for r in _rows(frame):
        linked = ["–" if pd.isna(x) else f"{x:.2f}" for x in (r.free, r.before, r.after)]
        rows.append((f"{int(r.visit)}", f"{int(r.n):,}", f"{r['mean']:.2f}", number(r.effective), *linked))
        scopes.append(f"weights:{int(r.visit)}")
    numeric = list(words_doubts.TABLES["weights"][1])
    return _table("weights", called, rows, scopes=scopes, numeric=numeric)


def _claims(frame: pd.DataFrame, called: Terms) -> PageTable:
    rows = [(r.claim, r.quote, words.ANSWERS[r.answer], r.sentence) for r in _rows(frame)]
    scopes = [f"claims:{r.claim}|quoted:{r.claim}|{VERDICT_SCOPE}" for r in _rows(frame)]
    marks = [str(r.answer).replace(" ", "-") for r in _rows(frame)]
    return _table("claims", called, rows, scopes=scopes, answers="answer", marks=marks)


def _plan(evaluation: Evaluation, called: Terms) -> PageTable:
    rows = []
    for setting, value in evaluation.plan.items():
        if isinstance(value, dict):
            text = ", ".join(f"{key} = {item}" for key, item in value.items()) or say.PAGE["none"]
        else:
            text = str(value) if value != "" else say.PAGE["none"]
        rows.append((str(setting), text))
    return replace(_table("plan", called, rows), plain=True)


def _threshold(evaluation: Evaluation, called: Terms) -> PageTable:
    """Estimate and interval, the relief on both sides, and who was rated past it."""
    e = evaluation.evidence
    assert e.test is not None
    assert e.design is not None
    p = e.test.profile
    marks = words_numbers.OPEN_MARK * p.open_low, words_numbers.OPEN_MARK * p.open_high
    ends = number(p.conf_low) + marks[0], number(p.conf_high) + marks[1]
    top = number(e.design.dose_95)
    rows = [
        (fill(say.TEST["estimate"], called), number(p.estimate), between(*ends)),
        (fill(say.TEST["relief"], called, top=top), amount(p.relief_95, called.unit).replace("-", "−"), "–"),
        (fill(say.TEST["before"], called), amount(max(p.before_high, 0.0), called.unit), "–"),
        (fill(say.TEST["past"], called), evaluation.shown.text("past"), "–"),
    ]
    if p.shape == HINGE.name:
        slope, reach = p.slope * (1.0 if e.scale.higher_is_worse else -1.0), NORMAL_95 * p.slope_error
        ends = _fine(slope - reach), _fine(slope + reach)
        rows.append((fill(say.TEST["slope"], called), _fine(slope), between(*ends)))
    return _table(
        "threshold", called, rows, scopes=[VERDICT_SCOPE] * len(rows), numeric=["value", "interval"]
    )


def _fine(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")
