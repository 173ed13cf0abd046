"""Figures of records side by side: a comparison goes in, drawings for screen and telephone come out."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tpr_outcomes.inference.difference import Difference, Estimate
from tpr_outcomes.inference.funnel import ALARM_LEVEL, WARNING_LEVEL
from tpr_outcomes.reporting import words_compare as say
from tpr_outcomes.reporting.compare import LEVEL, Comparison, Pool
from tpr_outcomes.reporting.compare_text import measured, shown
from tpr_outcomes.reporting.plot_style import BLUE, DASHED, FAINT, INK, RED, RULE, SOFT, STYLE
from tpr_outcomes.reporting.plots import FigureFile
from tpr_outcomes.reporting.spelling import capital

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_IN_FOREST = 40
"""With more clinics than this the forest plot is left out; the table holds them all."""
MOST_NAMED = 8
"""Points of the funnel that are named at most."""
_LETTERS = 18


def figures(found: Comparison) -> dict[str, FigureFile]:
    """Draw every figure of a comparison.

    Parameters
    ----------
    found : Comparison

    Returns
    -------
    dict of str to FigureFile
        ``difference`` of two records; ``funnel-…`` and ``forest-…`` of each quantity pooled.
    """
    made: dict[str, FigureFile] = {}
    if found.two and "slope" in found.differences:
        made["difference"] = _file(
            lambda ax, _: plot_difference(found, ax), 2.6, (1.1, 0.3, 0.85, 0.15), _difference_words(found)
        )
    for key, pool in found.pools.items():
        made[f"funnel-{key}"] = _file(
            _funnel(found, pool), 4.6, (0.95, 0.3, 0.62, 0.15), _funnel_words(found, pool)
        )
        if len(pool.who) <= MOST_IN_FOREST:
            height = 1.2 + 0.32 * len(pool.who)
            words = _forest_words(found, pool)
            made[f"forest-{key}"] = _file(_forest(found, pool), height, (1.75, 0.3, 0.62, 0.12), words)
    return made


def _funnel(found: Comparison, pool: Pool) -> Callable[[Axes, bool], Axes]:
    return lambda ax, narrow: plot_funnel(found, pool, ax, named=not narrow)


def _forest(found: Comparison, pool: Pool) -> Callable[[Axes, bool], Axes]:
    return lambda ax, _: plot_forest(found, pool, ax)


def plot_difference(found: Comparison, ax: Axes) -> Axes:
    """Draw both estimates of the first quantity with their intervals, and the difference below."""
    a, b = found.estimates["slope"]
    assert a is not None
    assert b is not None
    lines: list[Estimate | Difference] = [a, b, found.differences["slope"]]
    height = np.array([2.0, 1.0, 0.0])
    ax.axvline(0.0, color=RULE, linewidth=1.2, zorder=0)
    ax.axhline(0.5, color=RULE, linewidth=0.8, zorder=0)
    for y, e, color in zip(height, lines, (SOFT, SOFT, BLUE), strict=True):
        ax.hlines(y, e.conf_low, e.conf_high, color=color, linewidth=2.2, gid="interval")
        ax.plot(e.estimate, y, "o", markersize=8, color=color, gid="estimate", zorder=3)
    names = (say.PAGE["first"], say.PAGE["second"], say.FIGURES["difference"]["middle"])
    ax.set_yticks(height, names)
    ax.set_ylim(-0.6, 2.6)
    # the quantity's name breaks at its comma, so that it fits a telephone
    measure = found.name("slope").replace(", ", ",\n")
    ax.set_xlabel(say.FIGURES["difference"]["axis"].format(measure=measure, unit=found.unit("slope")))
    return _bare(ax)


def plot_funnel(found: Comparison, pool: Pool, ax: Axes, *, named: bool = True) -> Axes:
    """Draw each clinic's estimate against its precision, inside both control limits."""
    f = pool.funnel
    x = 1.0 / f.std_error
    grid = np.linspace(0.85 * x.min(), 1.1 * x.max(), 200)
    ax.axhline(f.target, color=FAINT, linewidth=1.0, gid="target")
    looks: tuple[tuple[float, str, Any], ...] = ((WARNING_LEVEL, FAINT, DASHED), (ALARM_LEVEL, SOFT, "solid"))
    for level, color, dash in looks:
        for end in f.limits(1.0 / grid, level):
            ax.plot(grid, end, color=color, linestyle=dash, linewidth=1.3, gid=f"limit-{1000 * level:.0f}")
    outside = f.outside(ALARM_LEVEL)
    ax.plot(x[~outside], f.estimate[~outside], "o", markersize=7, color=BLUE, gid="inside", zorder=3)
    ax.plot(
        x[outside], f.estimate[outside], "D", markersize=8, markerfacecolor="white", markeredgecolor=RED,
        markeredgewidth=1.8, gid="outside", zorder=4,
    )  # fmt: skip
    for i in np.flatnonzero(outside)[:MOST_NAMED] if named else ():
        left = x[i] > 0.5 * (grid[0] + grid[-1])
        ax.annotate(
            _plain(found.clinics[pool.who[int(i)]].label), (x[i], f.estimate[i]),
            (-8 if left else 8, 0), textcoords="offset points", ha="right" if left else "left", va="center",
            fontsize=10, color=RED, gid="name",
        )  # fmt: skip
    ax.set_xlim(grid[0], grid[-1])
    ax.set_xlabel(capital(say.FIGURES["funnel"]["x"]))
    ax.set_ylabel(capital(say.FIGURES["funnel"]["y"].format(unit=found.unit(pool.measure.key))))
    return ax


def plot_forest(found: Comparison, pool: Pool, ax: Axes) -> Axes:
    """Draw each clinic's own and pulled estimate, in the order given, and the mean of all below."""
    p = pool.pooled
    height = np.arange(len(pool.who), 0, -1, dtype=np.float64)
    ax.axvline(0.0, color=RULE, linewidth=1.2, zorder=0)
    ax.axvline(p.mean, color=FAINT, linewidth=0.9, linestyle=DASHED, zorder=0)
    ax.hlines(height, p.conf_low, p.conf_high, color=BLUE, linewidth=2.0, gid="interval")
    ax.plot(
        p.estimate, height, "o", markersize=7, markerfacecolor="white", markeredgecolor=SOFT,
        markeredgewidth=1.4, gid="own", zorder=2,
    )  # fmt: skip
    ax.plot(p.shrunken, height, "o", markersize=7, color=BLUE, gid="pulled", zorder=3)
    ax.fill(
        [p.mean_low, p.mean, p.mean_high, p.mean], [0.0, 0.25, 0.0, -0.25], color=INK, gid="mean", zorder=3
    )
    names = [_plain(found.clinics[i].label) for i in pool.who]
    ax.set_yticks([*height, 0.0], [*names, capital(say.FIGURES["forest"]["mean"])])
    ax.set_ylim(-0.7, len(pool.who) + 0.6)
    ax.set_xlabel(capital(say.FIGURES["forest"]["axis"].format(unit=found.unit(pool.measure.key))))
    return _bare(ax)


def _bare(ax: Axes) -> Axes:
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    return ax


def _plain(label: str) -> str:
    """Return a name as a drawing shows it: no formulas, and short."""
    short = label if len(label) <= _LETTERS else f"…{label[-(_LETTERS - 1) :]}"
    return short.replace("\\", "/").replace("$", r"\$")


# --- words of the figures -------------------------------------------------------------------------


def _difference_words(found: Comparison) -> tuple[str, str, str]:
    words, texts = say.FIGURES["difference"], measured(found, "slope")
    caption = words["caption"].format(measure=found.name("slope"), level=texts["level"])
    return words["title"], caption, words["alt"].format_map(texts)


def _funnel_words(found: Comparison, pool: Pool) -> tuple[str, str, str]:
    words = say.FIGURES["funnel"]
    texts = {
        "measure": found.name(pool.measure.key), "unit": found.unit(pool.measure.key),
        "level": f"{100 * LEVEL:.0f}", "alarm": f"{100 * ALARM_LEVEL:.1f}", "used": str(len(pool.who)),
        "flagged": str(len(pool.flagged)), "warned": str(len(pool.warned)),
        "target": shown(pool.funnel.target), "spread": words["spread"][pool.funnel.tau > 0],
    }  # fmt: skip
    title, caption, alt = (str(words[part].format_map(texts)) for part in ("title", "caption", "alt"))
    return title, caption, alt


def _forest_words(found: Comparison, pool: Pool) -> tuple[str, str, str]:
    words, p = say.FIGURES["forest"], pool.pooled
    texts = {
        "measure": found.name(pool.measure.key), "unit": found.unit(pool.measure.key),
        "level": f"{100 * LEVEL:.0f}", "used": str(len(pool.who)), "mean": shown(p.mean),
        "low": shown(p.mean_low), "high": shown(p.mean_high), "least": shown(float(p.shrunken.min())),
        "most": shown(float(p.shrunken.max())),
    }  # fmt: skip
    title, caption, alt = (str(words[part].format_map(texts)) for part in ("title", "caption", "alt"))
    return title, caption, alt


# --- files ----------------------------------------------------------------------------------------


def _file(
    draw: Callable[[Axes, bool], object],
    height: float,
    margins: tuple[float, float, float, float],
    words: tuple[str, str, str],
) -> FigureFile:
    """Draw for screen, paper and telephone; the same comparison gives the same bytes."""
    import matplotlib as mpl

    png = io.BytesIO()
    with mpl.rc_context():
        mpl.rcdefaults()
        with mpl.rc_context(STYLE):
            wide = _drawn(draw, 8.0, height, margins, narrow=False)
            wide.savefig(png, format="png", dpi=200, metadata={"Software": None})
            svg, narrow = _svg(wide), _svg(_drawn(draw, 4.0, height, margins, narrow=True))
    title, caption, alt = words
    return FigureFile(svg, png.getvalue(), alt, caption, title, narrow)


def _drawn(
    draw: Callable[[Axes, bool], object],
    width: float,
    height: float,
    margins: tuple[float, float, float, float],
    *,
    narrow: bool,
) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    left, right, bottom, top = margins
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    figure.subplots_adjust(left / width, bottom / height, 1.0 - right / width, 1.0 - top / height)
    ax = figure.subplots()
    if narrow:
        ax.locator_params(axis="x", nbins=4)
    draw(ax, narrow)
    return figure


def _svg(figure: Figure) -> str:
    made = io.StringIO()
    figure.savefig(made, format="svg", metadata={"Date": None, "Creator": None})
    return made.getvalue()
