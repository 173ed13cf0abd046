"""What the notebooks are made of: open a record, say problems in words, show verdict, data check and tables.

Every function here takes what the package computed and returns a block, which shows itself
(:class:`~tpr_outcomes.reporting.blocks.Block`). A notebook holds no logic of its own: it names its
parameters, calls these functions one after the other, and tells a story between them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tpr_outcomes.analysis import AnalysisPlan
from tpr_outcomes.analysis import check_record as _check
from tpr_outcomes.analysis import open_record as _open
from tpr_outcomes.cohort import describe
from tpr_outcomes.cohort.checking import CheckReport, RuleCount
from tpr_outcomes.cohort.problems import Problem
from tpr_outcomes.cohort.shown import shown_attrition, shown_by_visit, shown_reasons, shown_table_one
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import PlanError, TprError
from tpr_outcomes.planning.rates import Rate
from tpr_outcomes.reporting import blocks, claim_rows
from tpr_outcomes.reporting import words_notebook as say
from tpr_outcomes.reporting.alt_text_notebook import attrition_alt
from tpr_outcomes.reporting.blocks import Block
from tpr_outcomes.reporting.bundle import write_report
from tpr_outcomes.reporting.drawn import DosePicture
from tpr_outcomes.reporting.labels import fill, signed
from tpr_outcomes.reporting.lights import data_lights
from tpr_outcomes.reporting.page_tables import page_tables, span
from tpr_outcomes.reporting.pictures import pictures
from tpr_outcomes.reporting.plots_lesson import answer_figure, as_svg, attrition_figure, picture_svg
from tpr_outcomes.reporting.results import Evaluation
from tpr_outcomes.reporting.spelling import listed, number, percent, terms
from tpr_outcomes.reporting.tables import all_tables

if TYPE_CHECKING:
    from types import TracebackType

HERO = ("dose", "courses", "flow")
"""The picture of the first screen: the first of these that could be drawn."""
SHEET = "sheet"
"""The one setting that is not part of a plan: the sheet of a workbook."""


# --- opening, and what goes wrong -----------------------------------------------------------------


def plain_errors() -> None:
    """Say problems of this package in words instead of a traceback, in the notebook that calls this.

    The cell still counts as failed, so that nothing below it is run on data that are not there. Errors of
    any other kind keep their traceback: they are faults of the program, not of the file.
    """
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is not None:
        shell.set_custom_exc((TprError,), _show_problem)  # type: ignore[no-untyped-call]


def _show_problem(
    shell: Any, kind: type[TprError], error: TprError, trace: TracebackType, tb_offset: int | None = None
) -> None:
    """Handle an error the way IPython asks for; it calls this with itself in front."""
    from IPython.display import display

    del shell, kind, trace, tb_offset
    display(problem(error))  # type: ignore[no-untyped-call]


def problem(error: TprError, then: str = say.MESSAGES["below"]) -> Block:
    """What is wrong and what to do, as a block; problems of a file as a table, each rule once.

    Parameters
    ----------
    error : TprError
    then : str
        What to do once it is mended.
    """
    found = tuple(p for p in getattr(error, "problems", ()) if isinstance(p, Problem))
    lines = str(error).splitlines()
    if not found:
        return blocks.alert(say.MESSAGES["stopped"], *lines, then)
    table = problem_table(CheckReport(found, 0, 0, {}, {}))
    return blocks.alert(say.MESSAGES["stopped"], lines[0], then, below=table)


def problem_table(report: CheckReport) -> Block:
    """Every problem of a file, errors first, each rule once: where, how often, what, and what to do."""
    if not report.problems:
        return blocks.text(say.MESSAGES["no_problems"])
    rows = [_rule_row(rule) for rule in report.summary(places=1)]
    return blocks.table(say.PROBLEM_HEADS, rows, caption=say.MESSAGES["problems"], numeric=(2,), raw=(0,))


def problems_of(visits: Visits) -> Block:
    """What was noticed in a record that could be read; see :func:`problem_table`."""
    return problem_table(CheckReport(visits.problems, 0, 0, {}, {}))


def _rule_row(rule: RuleCount) -> tuple[str, ...]:
    state = {"error": "problem", "warning": "look"}.get(rule.severity, "good")
    return (blocks.sign(state), rule.addresses[0], f"{rule.count:,}", rule.message, rule.remedy)


def open_record(data: str | Path, settings: Mapping[str, Any] | None = None) -> tuple[Visits, AnalysisPlan]:
    """Read a record, and from now on say problems in words.

    Parameters
    ----------
    data : str or Path
        A file, or ``"example:threshold"``, ``"example:nothing"``.
    settings : mapping, optional
        Settings of an :class:`~tpr_outcomes.analysis.AnalysisPlan` (``columns``, ``scale``, ``rated``,
        ``dose``, ``seed``, ``replicates``, ``title``), and ``sheet``.

    Returns
    -------
    visits : Visits
    plan : AnalysisPlan

    Raises
    ------
    TprError
        As :func:`tpr_outcomes.analysis.open_record`; shown in words.
    """
    plain_errors()
    plan, sheet = _plan(data, settings)
    return _open(str(data), plan, sheet=sheet)


def check_file(data: str | Path, settings: Mapping[str, Any] | None = None) -> CheckReport:
    """Look for everything that is wrong with a file; parameters as in :func:`open_record`."""
    plain_errors()
    plan, sheet = _plan(data, settings)
    return _check(str(data), plan, sheet=sheet)


def _plan(data: object, settings: object) -> tuple[AnalysisPlan, str | None]:
    """Take the two parameters of a notebook apart, saying what is wrong with them."""
    if not isinstance(data, str | Path) or not str(data).strip():
        raise PlanError(
            say.MESSAGES["data"].format(kind=_kind(data), example='"../data/example_threshold.csv"')
        )
    if settings is not None and not isinstance(settings, Mapping):
        raise PlanError(say.MESSAGES["settings"].format(kind=_kind(settings), example='{"scale": "vas"}'))
    chosen = dict(settings or {})
    sheet = chosen.pop(SHEET, None)
    if sheet is not None and not isinstance(sheet, str):
        raise PlanError(f"sheet is {_kind(sheet)}; wanted is the name of a sheet between quotes.")
    return AnalysisPlan.checked(chosen), sheet


def _kind(value: object) -> str:
    empty = value is None or (isinstance(value, str) and not value.strip())
    return "empty" if empty else f"of type {type(value).__name__}"


# --- verdict --------------------------------------------------------------------------------------


def first_screen(evaluation: Evaluation) -> Block:
    """Verdict, data check and one picture, to be read without scrolling."""
    e, finding = evaluation.evidence, evaluation.finding
    called = terms(e.ratings.dose, e.scale)
    answer = blocks.verdict(
        finding.headline,
        finding.sentence,
        kind=evaluation.decision.label,
        question=fill(say.SCREEN["question"], called),
    )
    used = say.SCREEN["numbers"].format(
        patients=evaluation.shown.text("analysed"), ratings=evaluation.shown.text("ratings")
    )
    lights = blocks.light_list(data_lights(evaluation), f"{say.SCREEN['check']} · {used}")
    return blocks.beside(blocks.stack(answer, lights), answer_picture(evaluation), kind="hero")


def answer_picture(evaluation: Evaluation) -> Block:
    """One picture: pain by running total at the same visit, and the threshold where there is one."""
    made = {p.name: p for p in pictures(evaluation) if p.name in HERO}
    shown = made.get("dose")
    if shown is None or not isinstance(shown.drawn, DosePicture):
        return picture(evaluation, next((name for name in HERO if name in made), HERO[0]), caption=False)
    drawn, test = shown.drawn, evaluation.evidence.test
    profile = test.profile if test is not None else None
    kind = "threshold" if drawn.threshold is not None else "link" if drawn.stressed else "none"
    line = say.ANSWER[f"line_{kind}"]
    return blocks.picture(
        as_svg(lambda: answer_figure(drawn, shown.called, profile)),
        shown.alt,
        title=shown.title,
        caption=say.ANSWER["caption"].format(line=line),
        narrow=as_svg(lambda: answer_figure(drawn, shown.called, profile, narrow=True)),
    )


def verdict(evaluation: Evaluation) -> Block:
    """Badge and sentence."""
    finding = evaluation.finding
    return blocks.verdict(finding.headline, finding.sentence, kind=evaluation.decision.label)


def why(evaluation: Evaluation) -> Block:
    """How sure, what would change it, what to do next."""
    f = evaluation.finding
    sure = blocks.text(f.paragraph, heading=say.SCREEN["why"])
    change = blocks.text(f.would_change, heading=say.SCREEN["change"])
    step = blocks.text(f.next_step, heading=say.SCREEN["step"])
    return blocks.beside(sure, blocks.stack(change, step))


def cautions(evaluation: Evaluation) -> Block:
    """What could fool us here, and what has to hold."""
    f = evaluation.finding
    held = blocks.items(f.assumptions, say.SCREEN["assumptions"])
    if not f.warnings:
        return held
    return blocks.beside(blocks.items(f.warnings, say.SCREEN["fool"]), held)


def data_check(evaluation: Evaluation) -> Block:
    """Every light with what was seen and what to do about it."""
    return blocks.check_table(data_lights(evaluation))


def picture(evaluation: Evaluation, name: str, *, caption: bool = True) -> Block:
    """Show one picture of the report by name; a sentence where the record does not carry it.

    Parameters
    ----------
    evaluation : Evaluation
    name : str
        ``dose``, ``courses``, ``profile``, ``spread``, ``rivals``, ``design`` or ``flow``.
    caption : bool
        Whether to print how to read it; else its title only.
    """
    for made in pictures(evaluation):
        if made.name == name:
            words = made.caption if caption else ""
            svg, narrow = picture_svg(made), picture_svg(made, narrow=True)
            return blocks.picture(svg, made.alt, title=made.title, caption=words, wide=True, narrow=narrow)
    return blocks.text(say.SCREEN["no_picture"].format(obstacle=evaluation.evidence.obstacle or say.NOTHING))


def report_table(evaluation: Evaluation, name: str) -> Block:
    """Show one table of the report by name; a sentence where the record does not carry it."""
    called = terms(evaluation.evidence.ratings.dose, evaluation.evidence.scale)
    tables = page_tables(evaluation, called, all_tables(evaluation))
    if name in tables:
        return blocks.page_table(tables[name])
    return blocks.text(say.SCREEN["no_table"])


def claims(evaluation: Evaluation, answer: str) -> Block:
    """The claims with one answer, such as ``"supported"``, and what the record says of each."""
    rows = [
        (c.claim, claim_rows.BY_ID[c.claim].quote, c.sentence)
        for c in evaluation.claims
        if c.answer == answer
    ]
    if not rows:
        return blocks.text(say.MESSAGES["no_claims"])
    return blocks.table(say.CLAIM_HEADS, rows, caption=say.CLAIM_GROUPS[answer])


def claim_needs(evaluation: Evaluation) -> Block:
    """What to write down from now on, for every claim that this record could have answered."""
    rows = [
        (
            c.claim,
            claim_rows.BY_ID[c.claim].quote,
            claim_rows.BY_ID[c.claim].holds,
            claim_rows.BY_ID[c.claim].refuted_if,
        )
        for c in evaluation.claims
        if c.answer == "not recorded"
    ]
    return blocks.table(say.NEEDS_HEADS, rows)


def save(evaluation: Evaluation, folder: str | Path) -> Block:
    """Write the report into a folder, if one is named; otherwise nothing is written.

    Raises
    ------
    OutputError
        As :func:`tpr_outcomes.reporting.bundle.write_report`.
    """
    if not str(folder).strip():
        return blocks.text(say.MESSAGES["not_saved"])
    page = write_report(evaluation, folder)
    return blocks.text(say.MESSAGES["saved"].format(folder=page.parent))


# --- description ----------------------------------------------------------------------------------


def by_visit(visits: Visits) -> Block:
    """Pain, its change and responders by visit; numbers from fewer than five patients are withheld."""
    called = terms("twitches", visits.scale)
    summary = describe.by_visit(visits)
    rows = []
    for _, row in shown_by_visit(summary).iterrows():
        shares = [
            "–" if math.isnan(share) else percent(share) for share in (row.responder_30, row.responder_50)
        ]
        change = (signed(row.change), span(row.conf_low, row.conf_high))
        rows.append((f"{row.visit:.0f}", _told(row.n), signed(row["mean"]), *change, *shares))
    heads = [fill(head, called) for head in say.VISIT_HEADS]
    caption = say.VISIT_CAPTION
    if summary.cut_points:
        cuts = listed([say.CUT.format(value=cut.value, label=cut.label) for cut in summary.cut_points])
        sources = "; ".join(dict.fromkeys(cut.source for cut in summary.cut_points))
        caption = f"{caption} {say.CUTS.format(cuts=cuts, source=sources)}"
    return blocks.table(heads, rows, caption=fill(caption, called), numeric=range(7))


def attrition(visits: Visits) -> Block:
    """Picture of who stops and how they were doing, and the reasons given."""
    found = describe.attrition(visits)
    table = found.to_frame()
    shown_seen = shown_attrition(found)["seen"]
    called = terms("twitches", visits.scale)
    ends = (_told(shown_seen.iloc[0]), _told(shown_seen.iloc[-1]))
    alt = attrition_alt(ends, int(table["visit"].iloc[-1]), compare_stopping(visits))
    drawing = as_svg(lambda: attrition_figure(table, called.unit))
    shown = blocks.picture(
        drawing, alt, title=say.ATTRITION["title"], caption=say.ATTRITION["caption"], wide=True
    )
    rows = [(reason, _told(count)) for reason, count in shown_reasons(found).items()]
    return blocks.stack(shown, blocks.table(say.REASON_HEADS, rows, caption=say.REASONS, numeric=(1,)))


def compare_stopping(visits: Visits) -> str:
    """Sentence comparing those who stop with those who come again, at the visit most people stop after."""
    table = describe.attrition(visits).to_frame()
    called = terms("twitches", visits.scale)
    enough = (table["last"] >= say.FEWEST_SHOWN) & (table["seen"] - table["last"] >= say.FEWEST_SHOWN)
    both = table[enough & (table["visit"] > table["visit"].iloc[0])].dropna()
    if both.empty:
        return ""
    row = both.loc[both["last"].idxmax()]
    return say.ATTRITION["compare"].format(
        visit=int(row["visit"]),
        last=signed(row["change_last"]),
        again=signed(row["change_not_last"]),
        unit=called.unit,
    )


def table_one(visits: Visits) -> Block:
    """Who the patients are, and how much of a record each has."""
    called = terms("twitches", visits.scale)
    rows = []
    for _, row in shown_table_one(describe.table_one(visits)).iterrows():
        name = fill(say.CHARACTERISTICS.get(row.variable, row.variable), called)
        missing = _told(row.missing)
        if row.category:
            share = "–" if math.isnan(row.share) else percent(row.share)
            rows.append((f"{name}: {row.category}", _told(row.n), missing, share, ""))
            continue
        median, q1, q3, mean, sd = (float(row[key]) for key in ("median", "q1", "q3", "mean", "sd"))
        middle = f"{number(median)} ({number(q1)} to {number(q3)})"
        spread = f"{signed(mean)} ({signed(sd)})"
        rows.append((name, _told(row.n), missing, spread, middle))
    return blocks.table(say.TABLE_ONE_HEADS, rows, numeric=(1, 2, 3, 4))


def _told(n: int | None) -> str:
    """Write a count, and that it is withheld where it is."""
    return say.MESSAGES["withheld"] if pd.isna(n) else f"{n:,}"


def found_columns(report: CheckReport) -> Block:
    """Which of the user's columns were taken for what."""
    rows = [(name, say.COLUMNS.get(name, ""), theirs) for name, theirs in report.columns.items()]
    rows += [
        (name, say.COLUMNS.get(name, ""), say.MESSAGES["guess"].format(name=theirs))
        for name, theirs in report.guess.items()
    ]
    return blocks.table(say.COLUMN_HEADS, rows)


def claim_counts(evaluation: Evaluation) -> Block:
    """How many of the thirty claims got which answer."""
    counts = Counter(claim.answer for claim in evaluation.claims)
    rows = [(caption, str(counts[answer])) for answer, caption in say.CLAIM_GROUPS.items()]
    return blocks.table(say.COUNT_HEADS, rows, numeric=(1,))


def count_table(counts: Mapping[str, int], *, of: int, what: str) -> Block:
    """Counts out of so many simulated clinics, with exact 95% limits of their share.

    Parameters
    ----------
    counts : mapping of str to int
    of : int
        Out of how many.
    what : str
        Out of what, for the head of the column.
    """
    rows = []
    for name, count in counts.items():
        rate = Rate(count, of)
        limits = say.PLAN["interval"].format(
            low=f"{100 * rate.conf_low:.0f}", high=f"{100 * rate.conf_high:.0f}"
        )
        rows.append((name, f"{count:,}", percent(rate.share), limits))
    heads = ("", say.MESSAGES["out_of"].format(of=f"{of:,}", what=what), *say.RATE_HEADS)
    return blocks.table(heads, rows, numeric=(1, 2, 3))


def frame(table: pd.DataFrame, *, heads: Sequence[str] = (), caption: str = "", digits: int = 1) -> Block:
    """Show a frame in the house style: see :func:`tpr_outcomes.reporting.blocks.frame_table`."""
    return blocks.frame_table(table, heads=heads, caption=caption, digits=digits)
