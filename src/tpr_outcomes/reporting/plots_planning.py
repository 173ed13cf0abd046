"""Figures of planning: a power grid goes in, the Axes come out.

Apart from :mod:`tpr_outcomes.reporting.plots`, which draws one record; the looks are the same.
"""

from __future__ import annotations

import io
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from tpr_outcomes.planning.power import PowerCell, PowerGrid, Question
from tpr_outcomes.planning.rates import LEVEL
from tpr_outcomes.reporting import words_planning as say
from tpr_outcomes.reporting.plot_style import BLUE, FAINT, GREEN, INK, ORANGE, RED, SOFT, STYLE, spread_apart
from tpr_outcomes.reporting.spelling import number, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WANTED = 0.8
"""Power at which a line is drawn to read off the number of patients."""
COLORS = (BLUE, RED, GREEN, ORANGE, INK)
DASHES: dict[str, Any] = {"observed": "solid", "randomised": (0, (5, 2))}
MARKS = ("o", "s", "D", "^", "v")
"""Who decides is told by the dash; visits and effect by color and mark, so that color is not needed."""


def curves(result: PowerGrid) -> list[tuple[tuple[str, int, float, float], list[PowerCell]]]:
    """Cells with a threshold at work, one curve over patients per assignment, visits and effect."""

    def key(item: PowerCell) -> tuple[str, int, float, float]:
        c = item.cell
        return c.assignment, c.visits, c.threshold or 0.0, c.slope

    found = sorted((item for item in result.cells if item.cell.threshold is not None), key=key)
    grouped = ((kind, list(items)) for kind, items in groupby(found, key=key))
    return [(kind, sorted(items, key=lambda item: item.cell.patients)) for kind, items in grouped]


def power_curves(result: PowerGrid, ax: Axes, *, question: Question = "shape") -> Axes:
    """Share of clinics with the right answer by number of patients, with exact 95% limits.

    Parameters
    ----------
    result : PowerGrid
    ax : Axes
    question : str
        A key of :data:`~tpr_outcomes.planning.power.QUESTIONS`.
    """
    drawn = curves(result)
    effects = list(dict.fromkeys(kind[1:] for kind, _ in drawn))
    ax.axhline(100.0 * WANTED, color=FAINT, linewidth=0.9, linestyle=(0, (1, 2)), gid="wanted")
    patients = sorted({item.cell.patients for item in result.cells})
    ends, texts, colors = [], [], []
    for (assignment, visits, threshold, slope), items in drawn:
        effect_no = effects.index((visits, threshold, slope)) % len(COLORS)
        color, mark = COLORS[effect_no], MARKS[effect_no]
        at = np.array([item.cell.patients for item in items], dtype=float)
        rates = [item.rate(question) for item in items]
        share, low, high = 100.0 * np.array([(r.share, r.conf_low, r.conf_high) for r in rates]).T
        gid = f"{assignment}-{visits}-{threshold:g}-{slope:g}"
        look: dict[str, Any] = {"color": color, "linestyle": DASHES[assignment], "marker": mark}
        ax.plot(at, share, gid=gid, markersize=6, markeredgecolor="white", **look)
        limits = np.vstack([share - low, high - share])
        ax.errorbar(at, share, yerr=limits, fmt="none", ecolor=color, elinewidth=1.0, capsize=2.5, alpha=0.7)
        ends.append(float(share[-1]))
        texts.append(_called(assignment, visits, threshold, slope))
        colors.append(color)
    ax.set_xscale("log")
    ax.set_xticks(patients, [f"{n:,}" for n in patients])
    ax.minorticks_off()
    ax.set_ylim(-2.0, 102.0)
    ax.set_xlabel(say.LABELS["patients"])
    ax.set_ylabel(say.LABELS[question])
    _label_ends(ax, float(patients[-1]), ends, texts, colors)
    ax.set_title(say.LABELS["limits"].format(level=f"{LEVEL:.0%}"), loc="left", fontsize=10, color=SOFT)
    return ax


def power_alt(result: PowerGrid, question: Question = "shape") -> str:
    """What :func:`power_curves` shows, in words, from the very numbers it draws."""
    rows = []
    for kind, items in curves(result):
        rates = [(f"{item.cell.patients:,}", percent(item.rate(question).share)) for item in items]
        shares = ", ".join(say.ALT["point"].format(patients=n, share=share) for n, share in rates)
        rows.append(say.ALT["row"].format(called=_called(*kind).replace("\n", " "), shares=shares))
    return say.ALT["power"].format(axis=say.LABELS[question], rows=" ".join(rows))


def _called(assignment: str, visits: int, threshold: float, slope: float) -> str:
    """Name of a curve."""
    effect = say.EFFECT.format(threshold=number(threshold), relief=f"{-slope:g}")
    return say.CURVE.format(assignment=say.ASSIGNMENTS[assignment], visits=visits, effect=effect)


def power_figure(result: PowerGrid) -> str:
    """Draw :func:`power_curves` as SVG text; the same result gives the same bytes."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context():
        mpl.rcdefaults()  # nobody's own settings change the bytes; undone on leaving the context
        with mpl.rc_context(STYLE):
            figure = Figure(figsize=(8.0, 4.5), facecolor="white")
            FigureCanvasAgg(figure)
            figure.subplots_adjust(left=0.10, bottom=0.14, right=0.70, top=0.92)
            power_curves(result, figure.subplots())
            made = io.StringIO()
            said = {"Date": None, "Creator": None, "Description": power_alt(result)}
            figure.savefig(made, format="svg", metadata=said)
    return made.getvalue()


def _label_ends(ax: Axes, at: float, heights: list[float], texts: list[str], colors: list[str]) -> None:
    """Write each label at the right end of its curve, pushed apart where they would touch."""
    low, high = ax.get_ylim()
    figure = ax.get_figure(root=True)
    assert figure is not None
    points = ax.get_window_extent().height * 72.0 / figure.dpi
    room = np.array([12.0 * (text.count("\n") + 1) + 4.0 for text in texts]) * (high - low) / points
    placed = spread_apart(np.asarray(heights), room, low, high)
    for height, y, text, color in zip(heights, placed, texts, colors, strict=True):
        tie = {"arrowstyle": "-", "color": color, "linewidth": 0.6, "shrinkA": 1, "shrinkB": 1}
        ax.annotate(
            text, (at, height), (1.04, y), xycoords="data", textcoords=ax.get_yaxis_transform(),
            va="center", color=color, fontsize=9, linespacing=1.15, annotation_clip=False, arrowprops=tie,
        )  # fmt: skip
