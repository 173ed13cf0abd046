"""Axes-level figures: what :mod:`tpr_outcomes.reporting.drawn` prepared goes in, the Axes come out.

Nothing is computed here. Lines differ in dash and lightness as well as in colour (Okabe and Ito's palette),
labels stand at what they name, and no text is smaller than nine points at the size a figure is shown. There
is no pyplot and no global state; the same result gives the same bytes.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tpr_outcomes.inference.regions import RegionRelief
from tpr_outcomes.inference.threshold import BIC_MARGIN
from tpr_outcomes.models.fitting import Interval
from tpr_outcomes.reporting import words_figures as say
from tpr_outcomes.reporting.drawn import (
    Courses,
    DesignPicture,
    DosePicture,
    Flow,
    ProfilePicture,
    Rival,
    Spread,
)
from tpr_outcomes.reporting.labels import fill, flow_boxes, outcome_label, profile_label
from tpr_outcomes.reporting.pictures import Evaluated, Picture, pictures
from tpr_outcomes.reporting.plot_style import (
    BLUE,
    CURVE_STYLES,
    DASHED,
    DOTTED,
    EMPTY,
    FAINT,
    FULL,
    INK,
    MARGINS,
    NARROW,
    PALE,
    RED,
    RULE,
    SOFT,
    STYLE,
    WIDE,
    spread_apart,
)
from tpr_outcomes.reporting.plots_regions import plot_regions
from tpr_outcomes.reporting.spelling import Terms, amount, number, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]


# --- one figure each ------------------------------------------------------------------------------


def plot_dose(drawn: DosePicture, ax: Axes, called: Terms) -> Axes:
    """Rating by dose band, background held fixed, with the rival curves."""
    end = float(drawn.grid[-1])
    for curve in drawn.curves:
        color, dash = CURVE_STYLES[curve.name]
        width = 2.8 if curve.name == drawn.stressed else 1.3
        ax.plot(drawn.grid, curve.estimate, color=color, linestyle=dash, linewidth=width, gid=curve.name)
    d = drawn.bands.difference
    reach = np.vstack([d.at - drawn.bands.low, np.minimum(drawn.bands.high, end) - d.at])
    error = np.vstack([d.estimate - d.conf_low, d.conf_high - d.estimate])
    ax.errorbar(d.at, d.estimate, xerr=reach, fmt="none", ecolor=FAINT, elinewidth=1.0, zorder=4)
    look: dict[str, Any] = {"color": INK, "markersize": 6, "elinewidth": 1.4, "capsize": 3}
    ax.errorbar(d.at, d.estimate, yerr=error, fmt="o", zorder=5, gid="bands", **look)
    ax.set_xlim(0.0, end)
    ax.set_ylim(*_reach(drawn))
    if drawn.threshold is not None:
        ax.axvline(drawn.threshold, color=BLUE, linewidth=0.9, linestyle=DOTTED, zorder=1, gid="threshold")
        text = fill(say.LABELS["at"], called, value=number(drawn.threshold))
        _note(ax, text, (drawn.threshold, 1.0), up=True, offset=(4, -2), color=BLUE, va="top")
    ends = [float(curve.estimate[-1]) for curve in drawn.curves]
    names = [fill(say.CURVES[curve.name], called) for curve in drawn.curves]
    colors = [SOFT if curve.name == "none" else CURVE_STYLES[curve.name][0] for curve in drawn.curves]
    strong = [curve.name == drawn.stressed for curve in drawn.curves]
    _label_ends(ax, end, ends, names, colors, strong=strong)
    ax.set_xlabel(fill(say.LABELS["dose"], called))
    ax.set_ylabel(fill(say.LABELS["difference"], called))
    return ax


def plot_courses(drawn: Courses, ax: Axes, called: Terms) -> Axes:
    """Each patient's ratings, their average, and the average without its dose part."""
    for visit, pain in drawn.lines:
        ax.plot(visit, pain, color=INK, alpha=0.14, linewidth=0.9, gid="patient")
    observed, without = drawn.course.observed, drawn.course.without_dose
    last = float(observed.at[-1])
    low, top = drawn.scale.minimum, _top(drawn)  # the scale itself may have no upper end
    ax.set_ylim(low - 0.02 * (top - low), top)
    ends, texts, colors = [float(observed.estimate[-1])], [say.LABELS["average"]], [BLUE]
    if without is not None:
        _band(ax, without, RED, "without", DASHED)
        ends.append(float(without.estimate[-1]))
        texts.append(fill(say.LABELS["without_dose"], called))
        colors.append(RED)
    _band(ax, observed, BLUE, "average", "solid", marker="o")
    _label_ends(ax, last, ends, texts, colors)
    every = int(np.ceil(observed.at.size / (ax.get_window_extent().width / _dpi(ax) / 0.42)))
    at, n = observed.at[::every], drawn.rated[::every]
    ax.set_xticks(
        at, [f"{a:.0f}\n{k if k.isdecimal() else '–'}" for a, k in zip(at, n, strict=True)], linespacing=1.5
    )
    ax.set_xlim(float(observed.at[0]) - 0.1, last + 0.1)
    ax.set_xlabel(say.LABELS["visit_rated"])
    ax.set_ylabel(outcome_label(drawn.scale))
    return ax


LEAST_DEVIANCE_SHOWN = 10.0
"""The axis of the profile reaches at least this far, so that a flat one looks flat."""


def plot_profile(drawn: ProfilePicture, ax: Axes, called: Terms) -> Axes:
    """Deviance of each threshold above the best and, if reported, the interval."""
    p = drawn.profile
    end = float(p.grid[-1])
    ax.plot(p.grid, p.deviance, color=BLUE if drawn.shown else FAINT, linewidth=2.4, gid="deviance", zorder=3)
    ax.set_ylim(0.0, max(float(p.deviance.max()), LEAST_DEVIANCE_SHOWN) * 1.08)
    ax.set_xlim(0.0, end * 1.01)
    if drawn.shown:
        ax.axvspan(p.conf_low, p.conf_high, color=PALE, linewidth=0, zorder=0, gid="interval")
        ax.axvline(p.estimate, color=BLUE, linewidth=1.2, linestyle=DOTTED, gid="estimate")
        left = p.conf_high < 0.6 * end
        at, side, ha = (p.conf_high, 6, "left") if left else (p.conf_low, -6, "right")
        _note(ax, profile_label(drawn, called), (at, 0.97), up=True, offset=(side, 0), ha=ha, va="top")
    else:
        text = textwrap.fill(say.LABELS["not_supported"], 44)
        _note(ax, text, (0.5, 0.95), ha="center", va="top", size=11.5, color=SOFT)
    ax.set_xlabel(fill(say.LABELS["threshold"], called))
    ax.set_ylabel(say.LABELS["deviance"])
    return ax


def plot_spread(drawn: Spread, ax: Axes, called: Terms) -> Axes:
    """Cumulative dose by visit number: points, and where the middle half and most of them lie."""
    golden = np.modf(np.arange(drawn.visit.size) * 0.6180339887)[0]
    look: dict[str, Any] = {"color": INK, "alpha": 0.16, "markersize": 3.4, "markeredgewidth": 0}
    ax.plot(drawn.visit + 0.28 * (2.0 * golden - 1.0), drawn.dose, "o", gid="ratings", **look)
    low, lower, middle, upper, high = drawn.quantiles
    ax.vlines(drawn.at, low, high, color=BLUE, linewidth=1.4, gid="most")
    ax.vlines(drawn.at, lower, upper, color=BLUE, linewidth=6.0, gid="half")
    ax.plot(drawn.at, middle, "o", color="white", markersize=4, markeredgecolor=BLUE, zorder=4, gid="median")
    ax.set_xlim(float(drawn.at[0]) - 0.6, float(drawn.at[-1]) + 0.6)
    ax.set_ylim(0.0, max(float(drawn.dose.max(initial=0.0)), float(high.max()), 1.0) * 1.18)
    ax.set_xticks(drawn.at[:: 1 + drawn.at.size // 14])
    ax.xaxis.set_major_formatter("{x:.0f}")
    share = fill(say.LABELS["share"], called, share=percent(drawn.share))
    _note(ax, share, (0.02, 0.99), va="top")
    ax.set_xlabel(say.LABELS["visit"])
    ax.set_ylabel(fill(say.LABELS["total"], called))
    return ax


def plot_rivals(drawn: Sequence[Rival], ax: Axes, called: Terms, *, narrow: bool = False) -> Axes:
    """Per rival, the p-value of the threshold against it (left panel) and the BIC between them (right)."""
    left, right = panels(ax, (0.48, 0.48))
    rows = np.arange(len(drawn))[::-1]
    p = np.array([np.nan if r.p_value is None else r.p_value for r in drawn])
    bic = np.array([np.nan if r.bic is None else r.bic for r in drawn])
    level = drawn[0].level
    sides = (
        (left, p, level, p < level, "p"),
        (right, bic, BIC_MARGIN, bic > BIC_MARGIN, "bic"),
    )
    for side, values, edge, beaten, gid in sides:
        kept = ~beaten & np.isfinite(values)
        side.hlines(rows, 0.0, 1.0, color=RULE, linewidth=0.8, transform=side.get_yaxis_transform(), zorder=0)
        side.axvline(edge, color=INK, linewidth=1.0, linestyle=DASHED)
        side.plot(values[beaten], rows[beaten], gid=f"{gid}-beaten", **FULL)
        side.plot(values[kept], rows[kept], gid=f"{gid}-not-beaten", **EMPTY)
        side.set_ylim(-0.7, len(drawn) - 0.3)
        side.spines["left"].set_visible(False)
        side.tick_params(axis="y", length=0)
    names = [fill(say.RIVALS.get(r.name, r.name), called) for r in drawn]
    if narrow:
        names = [textwrap.fill(name, 15) for name in names]
    left.set_yticks(rows, names, color=INK, fontsize=10)
    right.set_yticks(rows, [""] * rows.size)
    left.set_xscale("log")
    left.set_xlim(min(2e-4, float(np.nanmin(p)) / 2.0), 1.8)
    ticks = [0.001, level, 1.0] if narrow else [0.001, 0.01 if level > 0.03 else 0.005, level, 0.2, 1.0]
    left.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    left.minorticks_off()
    right.margins(x=0.12)
    left.set_xlabel(say.LABELS["p_value_narrow" if narrow else "p_value"])
    right.set_xlabel(say.LABELS["bic_narrow" if narrow else "bic"])
    return ax


def plot_design(drawn: DesignPicture, ax: Axes, called: Terms) -> Axes:
    """Smallest relief that could be seen past each threshold (top panel), and patients past it (bottom)."""
    top, bottom = panels(ax, (0.66, 0.30), upright=True)
    seen = np.isfinite(drawn.mdr)
    ceiling = 2.6 * drawn.limit
    end = float(drawn.knots[-1]) * 1.04
    top.fill_between([0.0, end], 0.0, drawn.limit, color=PALE, alpha=0.6, linewidth=0)
    top.plot(drawn.knots[seen], drawn.mdr[seen], "o-", color=INK, markersize=5, linewidth=1.5, gid="mdr")
    for value, key, dash in ((drawn.limit, "mdr_limit", DASHED), (drawn.relevant, "relevant", DOTTED)):
        top.axhline(value, color=BLUE, linewidth=1.1, linestyle=dash, gid=key)
        text = fill(say.LABELS[key], called, value=amount(value, called.unit))
        _note(top, text, (0.01, value), across=True, offset=(0, -3), color=BLUE, va="top", ground=0.0)
    if not (drawn.mdr[seen] <= ceiling).any():
        _note(top, textwrap.fill(say.LABELS["off_scale"], 40), (0.5, 0.93), ha="center", va="top", color=SOFT)
    top.set_ylim(0.0, ceiling)
    top.tick_params(labelbottom=False)
    top.set_ylabel(fill(say.LABELS["mdr"], called))
    told = np.isfinite(drawn.past)
    bottom.vlines(drawn.knots[told], 0, drawn.past[told], color=SOFT, linewidth=4.0, gid="past")
    bottom.axhline(drawn.fewest, color=BLUE, linewidth=1.1, linestyle=DASHED, gid="fewest")
    _note(bottom, f"{drawn.fewest}", (1.01, drawn.fewest), across=True, color=BLUE, va="center", ground=0.0)
    bottom.set_ylim(0, max(float(drawn.past[told].max(initial=0.0)), drawn.fewest * 2.0) * 1.1)
    bottom.set_ylabel(say.LABELS["past"])
    bottom.set_xlabel(fill(say.LABELS["threshold"], called))
    for panel in (top, bottom):
        panel.set_xlim(0.0, end)
    return ax


def plot_flow(drawn: Flow, ax: Axes, called: Terms, *, narrow: bool = False) -> Axes:
    """Boxes from the rows read to the ratings analysed, with what was left out on the way."""
    from matplotlib.patches import FancyBboxPatch

    ax.set_axis_off()
    ax.set(xlim=(0.0, 1.0), ylim=(0.0, 1.0))
    boxes, asides = flow_boxes(drawn, called)
    width, height, heights = 0.42, 0.15, (0.92, 0.64, 0.36, 0.08)
    middle = 0.01 + width / 2
    shape = "round,pad=0,rounding_size=0.012"
    for (title, detail), y in zip(boxes, heights, strict=True):
        last = y == heights[-1]
        look: dict[str, Any] = {"fc": "white", "ec": BLUE if last else FAINT, "lw": 1.8 if last else 1.0}
        ax.add_patch(FancyBboxPatch((0.01, y - height / 2), width, height, shape, **look))
        text: dict[str, Any] = {"ha": "center", "gid": "box"}
        ax.text(
            middle, y + 0.01, title, va="bottom", fontsize=10.0 if narrow else 11.5, fontweight="bold", **text
        )
        ax.text(middle, y - 0.01, detail, va="top", fontsize=10, color=SOFT, **text)
    arrow = {"arrowstyle": "-|>", "color": SOFT, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
    for (title, lines), (start, end) in zip(asides, pairwise(heights), strict=True):
        y = (start + end) / 2
        ax.annotate("", (middle, end + height / 2), (middle, start - height / 2), arrowprops=arrow)
        ax.plot([middle, width + 0.03], [y, y], color=SOFT, linewidth=1.0)
        text = {"va": "center", "fontsize": 10, "linespacing": 1.35, "gid": "aside"}
        ax.text(width + 0.04, y, "\n".join([title, *lines]), **text)
    return ax


# --- files ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FigureFile:
    """One figure, ready to be written.

    Attributes
    ----------
    svg : str
        For a screen or a page.
    png : bytes
        The same at 200 dots per inch.
    alt, caption : str
        The finding in words; how to read the figure.
    title : str
    narrow : str
        The same numbers drawn for a telephone, SVG.
    """

    svg: str
    png: bytes
    alt: str
    caption: str
    title: str = ""
    narrow: str = ""


def all_figures(evaluation: Evaluated) -> dict[str, FigureFile]:
    """Draw every figure the record carries, in the order of the report.

    Parameters
    ----------
    evaluation : Evaluation
        Anything with ``visits``, ``evidence`` and ``decision``.

    Returns
    -------
    dict of str to FigureFile
        Keys among ``dose, courses, profile, spread, rivals, design, regions, flow``; what cannot be drawn is
        left out.
    """
    return {picture.name: figure_file(picture) for picture in pictures(evaluation)}


def figure_file(picture: Picture) -> FigureFile:
    """Draw one picture for screen, paper and telephone."""
    import matplotlib as mpl

    png = io.BytesIO()
    with mpl.rc_context():
        mpl.rcdefaults()  # nobody's own settings change the bytes; undone on leaving the context
        with mpl.rc_context(STYLE):
            wide = draw(picture)
            wide.savefig(png, format="png", dpi=200, metadata={"Software": None})
            svg, narrow = _svg(wide), _svg(draw(picture, narrow=True))
    return FigureFile(svg, png.getvalue(), picture.alt, picture.caption, picture.title, narrow)


def draw(picture: Picture, *, narrow: bool = False) -> Figure:
    """Draw one picture on a new figure, wide or for a telephone."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width, height = (NARROW if narrow else WIDE).get(picture.name, (NARROW if narrow else WIDE)[""])
    left, right, bottom, top = MARGINS[picture.name]
    if narrow and picture.name == "rivals":
        left = 1.35
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    figure.subplots_adjust(left / width, bottom / height, 1.0 - right / width, 1.0 - top / height)
    d, called = picture.drawn, picture.called
    if isinstance(d, Courses):
        plot_courses(d, figure.subplots(), called)
    elif isinstance(d, DosePicture):
        plot_dose(d, figure.subplots(), called)
    elif isinstance(d, ProfilePicture):
        plot_profile(d, figure.subplots(), called)
    elif isinstance(d, Spread):
        plot_spread(d, figure.subplots(), called)
    elif isinstance(d, DesignPicture):
        plot_design(d, figure.subplots(), called)
    elif isinstance(d, Flow):
        plot_flow(d, figure.subplots(), called, narrow=narrow)
    elif isinstance(d, RegionRelief):
        plot_regions(d, figure.subplots(), called)
    else:
        plot_rivals(d, figure.subplots(), called, narrow=narrow)
    return figure


def _svg(figure: Figure) -> str:
    made = io.StringIO()
    figure.savefig(made, format="svg", metadata={"Date": None, "Creator": None})
    return made.getvalue()


# --- small helpers --------------------------------------------------------------------------------


def panels(ax: Axes, shares: tuple[float, float], *, upright: bool = False) -> tuple[Axes, Axes]:
    """Two panels inside an Axes, whose own frame is hidden.

    Parameters
    ----------
    ax : Axes
    shares : tuple of float
        Share of the width (or height) for the first and the second; what is left lies between them.
    upright : bool
        One above the other instead of side by side.
    """
    ax.set_axis_off()
    first, second = shares
    if upright:
        return ax.inset_axes((0.0, 1.0 - first, 1.0, first)), ax.inset_axes((0.0, 0.0, 1.0, second))
    return ax.inset_axes((0.0, 0.0, first, 1.0)), ax.inset_axes((1.0 - second, 0.0, second, 1.0))


def _band(ax: Axes, interval: Interval, color: str, gid: str, dash: Any, marker: str = "") -> None:
    """Draw a line with its interval as a pale band."""
    reach = (interval.conf_low, interval.conf_high)
    ax.fill_between(interval.at, *reach, color=color, alpha=0.16, linewidth=0, gid=f"{gid}-interval")
    look: dict[str, Any] = {"linewidth": 2.4, "linestyle": dash, "marker": marker, "markersize": 4.5}
    ax.plot(interval.at, interval.estimate, color=color, gid=gid, zorder=5, **look)


def _note(
    ax: Axes,
    text: str,
    at: tuple[float, float],
    *,
    across: bool = False,
    up: bool = False,
    offset: tuple[float, float] = (0, 0),
    size: float = 10,
    color: str = INK,
    ha: str = "left",
    va: str = "bottom",
    ground: float = 0.85,
) -> None:
    """Words on a pale ground; ``across``: x is a share of the axes, ``up``: y is; neither: both are."""
    coords = ("axes fraction", "data") if across else ("data", "axes fraction") if up else "axes fraction"
    box = {"facecolor": "white", "edgecolor": "none", "alpha": ground, "pad": 1.5}
    place: dict[str, Any] = {"xycoords": coords, "textcoords": "offset points", "ha": ha, "va": va}
    ax.annotate(text, at, offset, fontsize=size, color=color, linespacing=1.4, bbox=box, zorder=6, **place)


def _label_ends(
    ax: Axes,
    at: float,
    heights: Sequence[float],
    texts: Sequence[str],
    colors: Sequence[str],
    *,
    strong: Sequence[bool] | None = None,
) -> None:
    """Write each label at the right end of its line, pushed apart where they would touch."""
    low, high = ax.get_ylim()
    points = ax.get_window_extent().height * 72.0 / _dpi(ax)
    room = np.array([13.0 * (text.count("\n") + 1) + 3.0 for text in texts]) * (high - low) / points
    placed = spread_apart(np.asarray(heights, dtype=float), room, low, high)
    for i, (height, y, text, color) in enumerate(zip(heights, placed, texts, colors, strict=True)):
        bold = "bold" if strong is not None and strong[i] else "normal"
        tie = {"arrowstyle": "-", "color": color, "linewidth": 0.6, "shrinkA": 1, "shrinkB": 1}
        tie["relpos"] = (0.0, 0.5)  # it ends at the label's left edge: none crosses a neighbouring label
        look: dict[str, Any] = {"color": color, "fontsize": 10, "fontweight": bold, "linespacing": 1.15}
        place: dict[str, Any] = {"xycoords": "data", "textcoords": ax.get_yaxis_transform(), "va": "center"}
        end = (at, min(max(height, low), high))
        ax.annotate(text, end, (1.04, y), annotation_clip=False, arrowprops=tie, **place, **look)


def _dpi(ax: Axes) -> float:
    figure = ax.get_figure(root=True)
    assert figure is not None
    return float(figure.dpi)


def _reach(drawn: DosePicture) -> tuple[float, float]:
    """Height range that holds the bands, and the curves from the first band on."""
    d = drawn.bands.difference
    inside = drawn.grid >= d.at[0]
    values = np.concatenate([d.conf_low, d.conf_high, *(curve.estimate[inside] for curve in drawn.curves)])
    low, high = float(values.min()), float(values.max())
    return low - 0.06 * (high - low), high + 0.10 * (high - low)


def _top(drawn: Courses) -> float:
    """Top of the scale, or of the ratings where the scale has no upper end."""
    top = drawn.scale.maximum
    if not np.isfinite(top):
        top = max(float(pain.max()) for _, pain in drawn.lines)
    return top + 0.02 * (top - drawn.scale.minimum)
