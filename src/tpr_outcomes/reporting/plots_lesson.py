"""Figures of the notebooks: the lesson in being fooled, who stopped, what a study of some size would show.

As in :mod:`tpr_outcomes.reporting.plots`: what goes in is already computed, lines differ in more than color,
there is no pyplot and no global state, and the same numbers give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tpr_outcomes.inference.threshold import ThresholdProfile
from tpr_outcomes.planning.lesson import Lesson, Way
from tpr_outcomes.reporting import words_notebook as say
from tpr_outcomes.reporting.drawn import DosePicture, dose_picture
from tpr_outcomes.reporting.labels import fill
from tpr_outcomes.reporting.pictures import Picture
from tpr_outcomes.reporting.plot_style import (
    BLUE,
    DASHED,
    DOTTED,
    FAINT,
    GREEN,
    INK,
    PALE,
    RED,
    RULE,
    SOFT,
    STYLE,
)
from tpr_outcomes.reporting.plots import draw, panels
from tpr_outcomes.reporting.spelling import Terms, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]


LAYOUT_PASSES = 6
SHOWN_SHARE = 0.15
"""Share of the scale that a picture of differences shows at least, below zero and (half of it) above."""


def as_svg(make: Callable[[], Figure]) -> str:
    """Draw in the house style, whatever the reader's own settings, and return the drawing."""
    import matplotlib as mpl

    made = io.StringIO()
    with mpl.rc_context():
        mpl.rcdefaults()
        with mpl.rc_context(STYLE):
            make().savefig(made, format="svg", metadata={"Date": None, "Creator": None})
    return made.getvalue()


def picture_svg(picture: Picture, *, narrow: bool = False) -> str:
    """Draw one picture of an evaluation, wide or for a telephone."""
    return as_svg(lambda: draw(picture, narrow=narrow))


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches that lays itself out."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def settled(figure: Figure) -> Figure:
    """Lay a narrow figure out until long labels have their room: one pass moves what the next must see."""
    for _ in range(LAYOUT_PASSES):
        figure.draw_without_rendering()
    return figure


# --- the first screen ------------------------------------------------------------------------------


def answer_figure(
    drawn: DosePicture, called: Terms, profile: ThresholdProfile | None, *, narrow: bool = False
) -> Figure:
    """Pain by band of the running total, and one line: the threshold, or no link.

    Parameters
    ----------
    drawn : DosePicture
    called : Terms
    profile : ThresholdProfile or None
        Drawn as a pale band where the verdict is a threshold.
    narrow : bool
        For a telephone.
    """
    figure = new_figure(4.8, 4.4) if narrow else new_figure(7.2, 4.3)
    plot_answer(drawn, figure.subplots(), called, profile)
    return settled(figure) if narrow else figure


def plot_answer(drawn: DosePicture, ax: Axes, called: Terms, profile: ThresholdProfile | None) -> Axes:
    """Draw what :func:`answer_figure` shows on an Axes."""
    ax.axhline(0.0, color=FAINT, linewidth=0.8, zorder=0)
    if drawn.threshold is not None and profile is not None:
        ax.axvspan(profile.conf_low, profile.conf_high, color=PALE, linewidth=0, zorder=0, gid="interval")
    _plot_bands(drawn, ax, BLUE)
    end = float(drawn.grid[-1])
    ax.set_xlim(0.0, end)
    if drawn.threshold is not None:
        text = fill(say.ANSWER["threshold"], called, value=number(drawn.threshold))
        look: dict[str, Any] = {"color": BLUE, "fontsize": 12, "va": "top", "fontweight": "bold"}
        place: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        ax.annotate(text, (drawn.threshold, 0.99), (6, 0), **place, **look)
    down = drawn.scale.higher_is_worse
    low, high = ax.get_ylim()
    least = SHOWN_SHARE * drawn.scale.span  # what is drawn must not make a small difference look large
    ax.set_ylim(min(low, -least), max(high, 0.5 * least if down else least))
    look = {"color": SOFT, "fontsize": 11, "va": "bottom" if down else "top"}
    text = fill(say.ANSWER["lower" if down else "higher"], called)
    ax.annotate(text, (0.01, 0.01 if down else 0.99), xycoords="axes fraction", **look)
    ax.set_xlabel(fill(say.ANSWER["dose_axis"], called))
    ax.set_ylabel(fill(say.ANSWER["axis"], called))
    return ax


# --- the lesson ------------------------------------------------------------------------------------


def lesson_figure(lesson: Lesson, way: Way) -> Figure:
    """What a simple analysis sees (left) and what ours sees (right), of one clinic."""
    figure = new_figure(10.4, 3.7)
    left, right = figure.subplots(1, 2)
    plot_naive(lesson, left, way)
    plot_ours(lesson, right)
    return figure


def plot_naive(lesson: Lesson, ax: Axes, way: Way) -> Axes:
    """What a simple analysis looks at, and its threshold; for ``ends``, change by the last total."""
    naive, ends = lesson.naive[way], way == "ends"
    mean = float(naive.adjusted.mean())
    color = RED if not lesson.naive_right(way) else GREEN if naive.found else SOFT
    if naive.found:
        end = 1.05 * float(naive.dose[-1])
        at = np.array([0.0, end] if ends else [0.0, naive.threshold, end])
        past = naive.slope * np.maximum(at - naive.threshold, 0.0)
        shift = mean - float((naive.slope * np.maximum(naive.dose - naive.threshold, 0.0)).mean())
        height = np.full(2, naive.slope) if ends else past + shift
        ax.plot(at, height, color=color, linewidth=2.6, gid="naive")
        ax.axvline(naive.threshold, color=color, linewidth=1.0, linestyle=DOTTED, gid="naive-threshold")
    else:
        ax.axhline(mean, color=color, linewidth=1.6, linestyle=DASHED, gid="naive")
    ax.plot(naive.dose, naive.adjusted, "o", color=INK, markersize=6, gid="naive-points")
    if ends:
        ax.axhline(0.0, color=FAINT, linewidth=0.8, zorder=0)
    _labelled(ax, lesson, say.LESSON["ends_axis" if ends else "naive_axis"])
    if ends:
        ax.set_xlabel(say.LESSON["ends_dose_axis"])
    return ax


def plot_ours(lesson: Lesson, ax: Axes) -> Axes:
    """Pain by band of the total at the same visit, with the threshold where our verdict has one."""
    drawn = dose_picture(lesson.evidence, lesson.decision)
    if drawn is not None:
        _plot_bands(drawn, ax, RED if not lesson.ours_right and not lesson.truth.has_threshold else GREEN)
    return _labelled(ax, lesson, say.LESSON["ours_axis"])


def _plot_bands(drawn: DosePicture, ax: Axes, color: str) -> None:
    """Points of the dose bands, and one line: the threshold, the best curve of a link, or no link."""
    d = drawn.bands.difference
    name = drawn.stressed or "none"
    shade = color if drawn.threshold is not None else INK if drawn.stressed else SOFT
    look: dict[str, Any] = {"color": shade, "linewidth": 2.6 if drawn.stressed else 1.6, "gid": "ours"}
    for curve in drawn.curves:
        if curve.name == name:
            ax.plot(drawn.grid, curve.estimate, linestyle="solid" if drawn.stressed else DASHED, **look)
    if drawn.threshold is not None:
        ax.axvline(drawn.threshold, color=color, linewidth=1.0, linestyle=DOTTED, gid="ours-threshold")
    error = np.vstack([d.estimate - d.conf_low, d.conf_high - d.estimate])
    look = {"color": INK, "markersize": 6, "elinewidth": 1.3, "capsize": 3}
    ax.errorbar(d.at, d.estimate, yerr=error, fmt="o", gid="ours-points", **look)


def _labelled(ax: Axes, lesson: Lesson, label: str) -> Axes:
    """Give both panels the same axes, and mark the true threshold where there is one."""
    true = lesson.truth.true_threshold
    low, high = ax.get_ylim()
    ax.set_ylim(min(low, -1.5), max(high, 0.8))
    if true is not None:
        ax.axvline(true, color=BLUE, linewidth=5.0, alpha=0.22, zorder=0, gid="truth")
        text = say.LESSON["truth_mark"].format(value=number(true))
        ax.annotate(
            text, (true, 0.02), (5, 0), xycoords=("data", "axes fraction"), textcoords="offset points",
            color=BLUE, fontsize=10,
        )  # fmt: skip
    ax.set_xlim(left=0.0)
    ax.set_xlabel(say.LESSON["dose_axis"])
    ax.set_ylabel(label)
    return ax


def ladder_figure(table: pd.DataFrame) -> Figure:
    """In how many clinics each analysis announces a threshold, as one thing after another is turned on."""
    figure = new_figure(10.4, 5.4)
    plot_ladder(table, figure.subplots())
    return figure


LADDER_LOOKS: dict[str, dict[str, Any]] = {
    "ends": {"color": SOFT, "marker": "v", "linestyle": (0, (3, 1.5))},
    "none": {"color": FAINT, "marker": "s", "linestyle": (0, (1, 1.6))},
    "line": {"color": RED, "marker": "D", "linestyle": DASHED},
    "levels": {"color": "#8a5a00", "marker": "^", "linestyle": (0, (5, 1.5, 1, 1.5))},
    "ours": {"color": BLUE, "marker": "o", "linestyle": "solid"},
}


def plot_ladder(table: pd.DataFrame, ax: Axes) -> Axes:
    """One row per step, one mark per analysis, with the exact 95% interval of its share."""
    rows = np.arange(len(table))[::-1].astype(float)
    ax.hlines(rows, 0, 100, color=RULE, linewidth=0.8, zorder=0)
    for i, (name, look) in enumerate(LADDER_LOOKS.items()):
        share = 100.0 * table[name].to_numpy(dtype=float) / table["clinics"].to_numpy(dtype=float)
        low, high = (100.0 * table[f"{name}_{end}"].to_numpy(dtype=float) for end in ("low", "high"))
        y = rows + 0.28 - 0.14 * i
        style = {"color": look["color"], "marker": look["marker"]}
        error = np.vstack([share - low, high - share]).clip(min=0.0)
        ax.errorbar(
            share, y, xerr=error, linestyle="none", elinewidth=1.2, capsize=2, markersize=7,
            label=say.ANALYSES[name], gid=name, **style,
        )  # fmt: skip
    ax.set_yticks(rows, [say.STEPS[step] for step in table["step"]], color=INK)
    for label, true in zip(ax.get_yticklabels(), table["true"], strict=True):
        label.set_color(BLUE if true else INK)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_xlim(-2, 102)
    ax.set_ylim(-0.6, len(table) - 0.4)
    ax.set_xlabel(say.LESSON["ladder_axis"].format(clinics=int(table["clinics"].iloc[0])))
    ax.legend(
        loc="lower center", bbox_to_anchor=(0.35, 1.0), ncols=2, frameon=False, fontsize=10, handletextpad=0.3
    )
    return ax


# --- who stopped -----------------------------------------------------------------------------------


def attrition_figure(table: pd.DataFrame, unit: str) -> Figure:
    """Patients seen at each visit (top); change of those about to stop and of those who come again (bottom).

    Parameters
    ----------
    table : DataFrame
        As :meth:`tpr_outcomes.cohort.describe.Attrition.to_frame`.
    unit : str
        Unit of the scale.
    """
    figure = new_figure(8.0, 4.6)
    plot_attrition(table, figure.subplots(), unit)
    return figure


def plot_attrition(table: pd.DataFrame, ax: Axes, unit: str) -> Axes:
    """Draw what :func:`attrition_figure` shows in two panels inside an Axes."""
    top, bottom = panels(ax, (0.40, 0.53), upright=True)
    top.tick_params(labelbottom=False)
    top.bar(table["visit"], table["seen"], color=RULE, width=0.72, gid="seen")
    top.bar(table["visit"], table["last"], color=RED, width=0.72, gid="last")
    top.set_ylabel(say.ATTRITION["seen_axis"])
    look: dict[str, Any] = {"color": RED, "ha": "right", "va": "top", "fontsize": 10}
    top.annotate(say.ATTRITION["last"], (0.99, 0.92), xycoords="axes fraction", **look)
    kept = table[table["last"] >= say.FEWEST_SHOWN]
    again = table[table["seen"] - table["last"] >= say.FEWEST_SHOWN]
    bottom.axhline(0.0, color=FAINT, linewidth=0.8)
    bottom.plot(kept["visit"], kept["change_last"], "o-", color=RED, gid="change_last")
    look = {"color": INK, "linestyle": DASHED, "marker": "s", "gid": "change_not_last"}
    bottom.plot(again["visit"], again["change_not_last"], **look)
    _end(bottom, kept["visit"], kept["change_last"], say.ATTRITION["change_last"], RED)
    _end(bottom, again["visit"], again["change_not_last"], say.ATTRITION["change_not_last"], INK)
    bottom.set_ylabel(say.ATTRITION["change_axis"].format(unit=unit))
    bottom.set_xlabel(say.ATTRITION["visit_axis"])
    ticks = table["visit"].to_numpy()
    for panel in (top, bottom):
        panel.set_xticks(ticks[:: 1 + ticks.size // 14])
        panel.set_xlim(float(ticks[0]) - 0.6, float(ticks[-1]) + 0.6)
    return ax


def _end(ax: Axes, at: Sequence[float] | pd.Series, height: pd.Series, text: str, color: str) -> None:
    """Write a label at the right end of a line."""
    if len(height):
        place = (float(np.asarray(at)[-1]), float(height.iloc[-1]))
        ax.annotate(
            text, place, (8, 0), textcoords="offset points", color=color, va="center", fontsize=10,
            annotation_clip=False,
        )  # fmt: skip


# --- planning --------------------------------------------------------------------------------------


def power_figure(table: pd.DataFrame) -> Figure:
    """Share of simulated studies that find the threshold, by number of patients, one line per truth.

    Parameters
    ----------
    table : DataFrame
        ``label, patients, share, low, high`` (percent).
    """
    figure = new_figure(8.0, 4.2)
    plot_study_power(table, figure.subplots())
    return figure


def plot_study_power(table: pd.DataFrame, ax: Axes) -> Axes:
    """Draw what :func:`power_figure` shows on an Axes."""
    looks = (
        (BLUE, "o", "solid"),
        (GREEN, "s", DASHED),
        (RED, "D", DOTTED),
        (SOFT, "^", (0, (5, 1.5, 1, 1.5))),
    )
    ax.axhline(80.0, color=FAINT, linewidth=1.0, linestyle=DOTTED)
    for (label, part), (color, marker, dash) in zip(table.groupby("label", sort=False), looks, strict=False):
        error = np.vstack([part["share"] - part["low"], part["high"] - part["share"]]).clip(min=0.0)
        ax.errorbar(
            part["patients"], part["share"], yerr=error, color=color, marker=marker, linestyle=dash,
            capsize=3, markersize=7, linewidth=1.8, elinewidth=1.0, gid=str(label),
        )  # fmt: skip
        _end(ax, part["patients"], part["share"], str(label), color)
    ax.set_ylim(-3, 103)
    ax.set_xticks(sorted(set(table["patients"])))
    ax.set_xlabel(say.PLAN["patients_axis"])
    ax.set_ylabel(say.PLAN["share_axis"])
    return ax
