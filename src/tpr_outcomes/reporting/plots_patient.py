"""Figure of one patient: what was recorded, what the model expects, and what usually follows from here.

As in :mod:`tpr_outcomes.reporting.plots`: what goes in is already computed, lines differ in more than color,
there is no pyplot and no global state, and the same numbers give the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tpr_outcomes.cohort.scales import Scale
from tpr_outcomes.models.outlook import Outlook
from tpr_outcomes.reporting import words_explorer as say
from tpr_outcomes.reporting.labels import fill, outcome_label
from tpr_outcomes.reporting.plot_style import BLUE, DASHED, DOTTED, FAINT, INK, SOFT
from tpr_outcomes.reporting.plots_lesson import new_figure, settled
from tpr_outcomes.reporting.spelling import Terms, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_outlook(found: Outlook, ax: Axes, scale: Scale) -> Axes:
    """Ratings of one patient, the model's course of them, and expectation with interval from here.

    Parameters
    ----------
    found : Outlook
    ax : Axes
    scale : Scale
        Of the ratings; gives the axis its ends.
    """
    known = found.visit <= found.known
    rated = ~np.isnan(found.pain)
    dots: dict[str, Any] = {"linestyle": "none", "marker": "o", "color": INK, "markersize": 7, "zorder": 6}
    ax.plot(found.visit[known & rated], found.pain[known & rated], gid="known", **dots)
    ax.plot(
        found.visit[~known & rated], found.pain[~known & rated], gid="unknown",
        **dots | {"markerfacecolor": "white", "markeredgewidth": 1.6},
    )  # fmt: skip
    ax.plot(found.behind_at, found.behind, color=BLUE, linewidth=1.6, gid="behind", zorder=4)
    a = found.ahead
    if a.at.size:
        joined = np.concatenate([[found.known], a.at])
        start = found.behind[-1] if found.behind.size else found.pain[0]
        ax.fill_between(a.at, a.conf_low, a.conf_high, color=BLUE, alpha=0.16, linewidth=0, gid="interval")
        for edge in (a.conf_low, a.conf_high):
            ax.plot(a.at, edge, color=BLUE, linewidth=0.9, gid="edge")
        look: dict[str, Any] = {"color": BLUE, "linestyle": DASHED, "linewidth": 2.2, "gid": "expected"}
        ax.plot(joined, np.concatenate([[start], a.estimate]), zorder=5, **look)
        ax.plot(a.at, found.usual, color=SOFT, linestyle=DOTTED, linewidth=1.8, gid="usual")
        _name_lines(found, ax, scale)
    ax.axvline(found.known, color=FAINT, linewidth=1.0, linestyle=DOTTED, zorder=0, gid="known-up-to")
    ax.annotate(
        say.PATIENT["known_mark"], (found.known, 1.0), (0, 3), xycoords=("data", "axes fraction"),
        textcoords="offset points", color=SOFT, fontsize=10, ha="center", va="bottom",
    )  # fmt: skip
    top = scale.maximum if np.isfinite(scale.maximum) else float(np.nanmax([*found.pain, *a.conf_high, 1.0]))
    reach = top - scale.minimum
    ax.set_ylim(scale.minimum - 0.03 * reach, top + 0.03 * reach)
    ax.set_xlim(float(found.visit[0]) - 0.4, float(max([*found.visit, *a.at])) + 0.4)
    ticks = np.arange(found.visit[0], max([*found.visit, *a.at]) + 1)
    ax.set_xticks(ticks[:: 1 + ticks.size // 14])
    ax.set_xlabel(say.PATIENT["visit_axis"])
    ax.set_ylabel(outcome_label(scale))
    return ax


def _name_lines(found: Outlook, ax: Axes, scale: Scale) -> None:
    """Write at their right ends what the two lines are, apart from each other."""
    ends = [float(found.ahead.estimate[-1]), float(found.usual[-1])]
    span = scale.span if np.isfinite(scale.span) else max(*ends, 1.0)
    gap, middle = 0.16 * span, sum(ends) / 2
    if abs(ends[0] - ends[1]) < gap:
        above = ends[0] >= ends[1]
        ends = [middle + gap / 2 * (1 if above else -1), middle - gap / 2 * (1 if above else -1)]
    low = scale.minimum + 0.06 * span
    lift = max(low - min(ends), 0.0)
    ends = [end + lift for end in ends]
    for height, text, color in zip(
        ends, (say.PATIENT["expected_axis"], say.PATIENT["usual_axis"]), (BLUE, SOFT), strict=True
    ):
        place = (float(found.ahead.at[-1]), height)
        ax.annotate(
            text, place, (14, 0), textcoords="offset points", color=color, va="center", fontsize=10,
            annotation_clip=False,
        )  # fmt: skip


def outlook_figure(found: Outlook, scale: Scale, *, narrow: bool = False) -> Figure:
    """Draw :func:`plot_outlook` on a figure of its own, wide or for a telephone."""
    figure = new_figure(4.8, 4.4) if narrow else new_figure(8.0, 4.2)
    plot_outlook(found, figure.subplots(), scale)
    return settled(figure) if narrow else figure


def outlook_alt(found: Outlook, called: Terms) -> str:
    """What the figure shows, in words, from the numbers it draws."""
    rated = found.pain[~np.isnan(found.pain)]
    numbers = {"first": number(float(rated[0])), "last": number(float(rated[-1])), "known": str(found.known)}
    numbers |= {"number": str(found.patient + 1), "ratings": str(rated.size)}
    return fill(say.PATIENT["alt"], called, sentence=outlook_sentences(found, called)[0], **numbers)


def rating(value: float) -> str:
    """A rating expected, to a tenth: more digits would promise what no interval keeps.

    Examples
    --------
    >>> rating(0.2367), rating(33.333)
    ('0.2', '33')
    """
    return number(round(value, 1))


def outlook_sentences(found: Outlook, called: Terms) -> list[str]:
    """What usually follows from here, and what it does not say."""
    a = found.ahead
    lines = []
    shown = [0, a.at.size - 1] if a.at.size > 1 else [0] if a.at.size else []
    for i in shown:
        numbers = {
            "visit": f"{a.at[i]:.0f}",
            "expected": rating(float(a.estimate[i])),
            "low": rating(float(a.conf_low[i])),
            "high": rating(float(a.conf_high[i])),
        }
        lines.append(fill(say.PATIENT["later" if i else "next"], called, **numbers))
    if not shown:
        lines.append(fill(say.PATIENT["end"], called, visit=str(found.known)))
    elif a.at[-1] > found.visit[-1] and not np.isnan(found.dose_ahead):
        lines.append(fill(say.PATIENT["doses"], called, dose=number(found.dose_ahead)))
    tried = [say.PATIENT["tried"]] if shown else []
    return [*lines, *tried, fill(say.PATIENT["caution"], called)]
