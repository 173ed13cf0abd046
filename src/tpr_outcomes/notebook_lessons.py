"""What the notebooks show of simulated clinics: the lesson in being fooled, the self-check, the plan."""

from __future__ import annotations

from typing import Any

import pandas as pd

from tpr_outcomes.planning.lesson import WAYS, Lesson, Setting, Way, lesson, near
from tpr_outcomes.planning.power import PowerGrid
from tpr_outcomes.planning.self_check import SelfCheck
from tpr_outcomes.reporting import blocks
from tpr_outcomes.reporting import words_notebook as say
from tpr_outcomes.reporting.alt_text_notebook import (
    ladder_alt,
    ladder_shares,
    lesson_alt,
    simple_sentence,
    study_power_alt,
)
from tpr_outcomes.reporting.blocks import Block
from tpr_outcomes.reporting.plots_lesson import as_svg, ladder_figure, lesson_figure, power_figure
from tpr_outcomes.reporting.spelling import number, percent
from tpr_outcomes.reporting.verdict import judge

MOST_CLINICS = 50
FIRST_CLINIC = 2
"""The clinic shown first: with nothing turned on, luck alone misleads none of the analyses in it."""
SLIDERS: dict[str, tuple[float, float, float]] = {
    "course": (0.0, 60.0, 5.0),
    "bad_day": (0.0, 2.0, 0.5),
    "pain_driven": (0.0, 40.0, 5.0),
    "stopping": (0.0, 100.0, 10.0),
    "noticed": (40.0, 100.0, 10.0),
}
"""Least, most and step of each strength: percent, but for the bad day, which is in points of pain."""


def show_lesson(made: Lesson, way: Way = "line") -> Block:
    """The truth, what a simple analysis says and what this toolkit says, with both pictures.

    Parameters
    ----------
    made : Lesson
    way : {"ends", "none", "line", "levels"}
        Which simple analysis: first against last rating, or a curve by how it allows for time.
    """
    truth = made.truth
    finding = judge(made.evidence, made.decision)
    about = [say.TRUTH[truth.has_threshold]]
    if truth.true_threshold is not None and truth.count_share < 1.0:
        seen = {"noticed": number(100 * truth.count_share), "recorded": number(truth.true_threshold)}
        about.append(say.LESSON["unseen"].format(**seen))
    naive = made.naive[way]
    lost = naive.found and truth.has_threshold and not near(naive.threshold, truth.threshold)
    off = say.LESSON["place_off"].format(threshold=number(naive.threshold)) if lost else ""
    marks = _marks(made)
    drawing = as_svg(lambda: lesson_figure(made, way))
    return blocks.stack(
        blocks.text(" ".join(about), kind="q"),
        blocks.beside(
            blocks.verdict(
                say.MARKS[marks[way]], f"{simple_sentence(made, way)} {off}".strip(), kind=marks[way]
            ),
            blocks.verdict(
                say.MARKS[marks["ours"]],
                say.LESSON["ours"].format(headline=finding.headline, sentence=finding.sentence),
                kind=marks["ours"],
            ),
        ),
        blocks.picture(drawing, lesson_alt(made, way)),
        blocks.table(say.MARK_HEADS, [(say.ANALYSES[name], say.MARKS[mark]) for name, mark in marks.items()]),
    )


def _marks(made: Lesson) -> dict[str, str]:
    """Right, wrong or careful, by analysis; a threshold claimed elsewhere than where it is, is wrong."""
    real = made.truth.has_threshold
    found: dict[str, str] = {
        way: "wrong"
        if made.naive[way].found and not made.naive_right(way)
        else _mark(made.naive_right(way), real)
        for way in WAYS
    }
    claimed = made.decision.label == "threshold_supported"
    ours = "wrong" if claimed and not made.ours_right else _mark(made.ours_right, real)
    return found | {"ours": ours}


def _mark(right: bool, has_threshold: bool) -> str:
    """Right, wrong, or careful: a threshold that is there and is not claimed is no false claim."""
    return "right" if right else "careful" if has_threshold else "wrong"


def controls(*, n_patients: int = 150, seed: int = 1, replicates: int = 399) -> Any:
    """Sliders over one simulated clinic, judged twice at every change.

    Returns
    -------
    ipywidgets.VBox
        Controls above what they show; it can be used by keyboard alone.
    """
    import ipywidgets as widgets  # type: ignore[import-untyped]

    words = say.CONTROLS
    wide: dict[str, Any] = {
        "style": {"description_width": "16.25rem"},
        "layout": {"width": "29.5rem", "max_width": "100%"},
    }
    strengths = {
        name: widgets.FloatSlider(
            value=most if name == "noticed" else least,
            min=least,
            max=most,
            step=step,
            readout_format=".1f" if step < 1.0 else ".0f",
            description=words[name],
            continuous_update=False,
            **wide,
        )
        for name, (least, most, step) in SLIDERS.items()
    }
    truth = widgets.Dropdown(
        options=[(text, value) for value, text in say.WORKS.items()],
        description=words["works"],
        value=False,
        **wide,
    )
    way = widgets.Dropdown(
        options=[(say.ANALYSES[name], name) for name in WAYS],
        description=words["way"],
        value="none",
        **wide,
    )
    clinic = widgets.IntSlider(
        value=FIRST_CLINIC,
        min=1,
        max=MOST_CLINICS,
        description=words["clinic"],
        continuous_update=False,
        **wide,
    )
    shown = widgets.HTML()

    def refresh(_: object = None) -> None:
        told = {
            name: slider.value / (1.0 if name == "bad_day" else 100.0) for name, slider in strengths.items()
        }
        setting = Setting(**told, works=truth.value)
        made = lesson(setting, n_patients=n_patients, seed=seed, clinic=clinic.value, replicates=replicates)
        shown.value = show_lesson(made, way.value)._repr_html_()

    for control in (*strengths.values(), truth, way, clinic):
        control.observe(refresh, names="value")
    refresh()
    row = {"flex_flow": "row wrap", "grid_gap": "0 1rem"}
    sides = [widgets.VBox(list(strengths.values())), widgets.VBox([truth, way, clinic])]
    return widgets.VBox([widgets.HBox(sides, layout=row), shown])


def show_ladder(table: pd.DataFrame) -> Block:
    """Show :func:`tpr_outcomes.planning.lesson.ladder` as a picture and a table."""
    rows = []
    for row in table.to_dict("records"):
        truth = say.LESSON["threshold" if row["true"] else "no_threshold"]
        rows.append((say.STEPS[row["step"]], truth, *ladder_shares(row).values()))
    drawing, title, caption = as_svg(lambda: ladder_figure(table)), say.LESSON["title"], say.LESSON["caption"]
    shown = blocks.picture(drawing, ladder_alt(table), title=title, caption=caption)
    return blocks.stack(shown, blocks.table(say.LADDER_HEADS, rows, numeric=range(2, 7)))


def show_power(grid: PowerGrid) -> Block:
    """Show how often a threshold is found by number of patients, and how often where there is none.

    Parameters
    ----------
    grid : PowerGrid
        One number of visits, one threshold and one slope, so that each line of the picture is one design.
    """
    frame = grid.to_frame()
    asked = frame[frame["question"] == "supported"].copy()
    asked["label"] = [say.DESIGNS[name] for name in asked["assignment"]]
    ends = {"share": "estimate", "low": "conf_low", "high": "conf_high"}
    for name, column in ends.items():
        asked[name] = 100.0 * asked[column]
    real, none = asked[asked["threshold"].notna()], asked[asked["threshold"].isna()]
    rows = []
    for (_, there), (_, absent) in zip(real.iterrows(), none.iterrows(), strict=True):
        interval = say.PLAN["interval"].format(low=f"{there['low']:.0f}", high=f"{there['high']:.0f}")
        wrong = say.PLAN["at_most"].format(share=f"{absent['share']:.0f}", high=f"{absent['high']:.0f}")
        rows.append((there["label"], str(there["patients"]), f"{there['share']:.0f}%", interval, wrong))
    shown = blocks.picture(
        as_svg(lambda: power_figure(real)),
        study_power_alt(real),
        title=say.PLAN["title"],
        caption=say.PLAN["caption"],
        wide=True,
    )
    return blocks.stack(shown, blocks.table(say.PLAN_HEADS, rows, numeric=(1, 2, 3, 4)))


def patients_needed(grid: PowerGrid, share: float = 0.8) -> Block:
    """Say in words how many patients each design takes for a chance of finding the threshold."""
    lines = []
    for row in grid.patients_needed(share).to_dict("records"):
        words = say.NEEDED[row["beyond"] or "inside"]
        design = say.DESIGNS[row["assignment"]]
        lines.append(words.format(design=design, patients=f"{row['patients']:,}", share=percent(share)))
    return blocks.items(lines, say.PLAN["needed"])


def show_self_check(check: SelfCheck) -> Block:
    """Say how often this very procedure is wrong in clinics shaped like the record, and what it can see."""
    null = check.false_support
    if null is None:
        return blocks.text(say.SELF["undone"].format(reason=check.reason))
    rate = {"count": null.count, "clinics": null.trials, "high": percent(null.conf_high)}
    told = blocks.text(say.SELF["null"].format(**rate))
    rows = []
    for setting in check.power:
        found = setting.rate()
        interval = say.PLAN["interval"].format(
            low=f"{100 * found.conf_low:.0f}", high=f"{100 * found.conf_high:.0f}"
        )
        where = number(setting.threshold or 0.0)
        rows.append((where, number(setting.relief), percent(found.share), interval))
    if not rows:
        return told
    caption = say.SELF["caption"].format(top=number(check.dose_95), clinics=check.power[0].clinics)
    return blocks.stack(told, blocks.table(say.SELF_HEADS, rows, caption=caption, numeric=range(4)))
