"""The forest plot of regions: a result goes in, the Axes come out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tpr_outcomes.cohort.privacy import MINIMUM
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.evidence import Evidence
from tpr_outcomes.inference.landmark import recorded
from tpr_outcomes.inference.regions import RegionRelief, relief_by_region
from tpr_outcomes.reporting import words_regions as say
from tpr_outcomes.reporting.labels import fill
from tpr_outcomes.reporting.plot_style import BLUE, FAINT, INK, RULE, SOFT
from tpr_outcomes.reporting.spelling import Terms, capital, number

Array = NDArray[np.int64]

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def region_relief(evidence: Evidence, visits: Visits) -> RegionRelief | None:
    """Return relief by region, where regions are recorded and enough of them have enough patients."""
    if evidence.working is None or not recorded(visits, "region"):
        return None
    try:
        return relief_by_region(evidence.working, visits)
    except FitError:
        return None


def plot_regions(result: RegionRelief, ax: Axes, called: Terms, *, minimum: int = MINIMUM) -> Axes:
    """Draw each region's own and shrunken estimate, and the mean of all.

    Parameters
    ----------
    result : RegionRelief
    ax : Axes
    called : Terms
        Names of dose and outcome.
    minimum : int
        Smallest count of people that is shown.

    Returns
    -------
    Axes
        Regions from top to bottom by their shrunken estimate, most relief first; the mean at the bottom.
    """
    pooled = result.pooled
    order = np.argsort(pooled.shrunken, kind="stable")
    height = np.arange(order.size, 0, -1, dtype=np.float64)
    ax.axvline(0.0, color=RULE, linewidth=1.2, zorder=0)
    ax.axvline(pooled.mean, color=FAINT, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    ax.hlines(
        height, pooled.conf_low[order], pooled.conf_high[order], color=BLUE, linewidth=2.0, gid="interval"
    )
    ax.plot(
        pooled.estimate[order], height, "o", markersize=7, markerfacecolor="white", markeredgecolor=SOFT,
        markeredgewidth=1.4, gid="own", zorder=2,
    )  # fmt: skip
    ax.plot(pooled.shrunken[order], height, "o", markersize=8, color=BLUE, gid="shrunken", zorder=3)
    ends = [pooled.mean_low, pooled.mean, pooled.mean_high, pooled.mean]
    ax.fill(ends, [0.0, 0.22, 0.0, -0.22], color=INK, gid="mean", zorder=3)
    labels = [f"{capital(result.names[i])}{_of(n, chr(10))}" for i, n in _counted(result, order, minimum)]
    ax.set_yticks([*height, 0.0], [*labels, capital(say.FOREST["mean"])])
    ax.set_ylim(-0.7, order.size + 0.6)
    ax.set_xlabel(capital(say.FOREST["axis"].format(outcome=called.outcome, unit=called.unit)))
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    return ax


def _counted(result: RegionRelief, order: Array, minimum: int) -> list[tuple[int, int | None]]:
    """Regions in drawing order, with their patients where they may be shown."""
    shown = result.shown(minimum)
    return [(int(i), shown[int(i)]) for i in order]


def _of(n: int | None, before: str) -> str:
    return "" if n is None else before + say.FOREST["patients"].format(n=n)


def regions_caption(result: RegionRelief, called: Terms) -> str:
    """Say what the marks of the forest plot are, and how many regions were looked at."""
    return fill(say.FOREST["caption"], called, dose=number(result.dose), groups=str(len(result.names)))


def regions_alt(result: RegionRelief, called: Terms, *, minimum: int = MINIMUM) -> str:
    """Say what the forest plot shows, from the numbers it draws."""
    pooled = result.pooled
    rows = " ".join(
        say.FOREST["row"].format(
            name=capital(result.names[i]),
            shrunken=number(float(pooled.shrunken[i])),
            unit=called.unit,
            low=number(float(pooled.conf_low[i])),
            high=number(float(pooled.conf_high[i])),
            of=_of(n, ", "),
        )
        for i, n in _counted(result, np.argsort(pooled.shrunken, kind="stable"), minimum)
    )
    return say.FOREST["alt"].format(
        groups=len(result.names),
        mean=number(pooled.mean),
        unit=called.unit,
        low=number(pooled.mean_low),
        high=number(pooled.mean_high),
        rows=rows,
    )
