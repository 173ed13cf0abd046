"""How figures look: colors, dashes, sizes, and labels that do not touch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

INK, SOFT, FAINT, RULE = "#1a1d21", "#5c646d", "#9aa3ad", "#d9dee3"
BLUE, RED, GREEN, ORANGE, PALE = "#0072b2", "#c44601", "#00795a", "#8a5a00", "#cfe3f1"
DASHED: Any = (0, (5, 2))
DOTTED: Any = (0, (1, 2))
STYLE: Any = {
    "font.family": ["DejaVu Sans"],
    "font.size": 11.0,
    "axes.labelsize": 11.0,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelsize": 10.0,
    "ytick.labelsize": 10.0,
    "text.color": INK,
    "svg.hashsalt": "tpr-outcomes",
    "svg.fonttype": "path",
    "path.simplify": False,
}
CURVE_STYLES: dict[str, tuple[str, Any]] = {
    "none": (FAINT, (0, (1, 1.6))),
    "linear": (INK, (0, (6, 2))),
    "log": (ORANGE, (0, (3, 1.5))),
    "emax": (GREEN, (0, (5, 1.5, 1, 1.5))),
    "step": (RED, (0, (2, 1))),
    "hinge": (BLUE, "solid"),
}

FULL: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 8, "zorder": 3, "color": BLUE}
EMPTY: dict[str, Any] = FULL | {"color": "white", "markeredgecolor": RED, "markeredgewidth": 1.8}
"""Marks of a rival that is beaten, and of one that is not."""

WIDE = {"": (8.0, 4.5), "flow": (8.0, 5.0), "regions": (8.0, 5.0)}
"""Size in inches for a screen or a page, by figure."""
NARROW = {"": (4.0, 4.3), "flow": (4.0, 5.2), "regions": (4.0, 5.2)}
"""Size for a telephone."""
MARGINS: dict[str, tuple[float, float, float, float]] = {
    "courses": (0.75, 1.30, 0.85, 0.15),
    "dose": (0.95, 1.20, 0.62, 0.15),
    "profile": (0.80, 0.25, 0.62, 0.15),
    "spread": (0.80, 0.25, 0.62, 0.15),
    "rivals": (2.35, 0.25, 0.80, 0.10),
    "design": (0.95, 0.40, 0.62, 0.15),
    "regions": (1.25, 0.25, 0.62, 0.15),
    "flow": (0.05, 0.05, 0.05, 0.05),
}
"""Left, right, bottom and top margins in inches."""


def spread_apart(values: Array, room: Array, low: float, high: float) -> Array:
    """Closest heights to ``values`` at which labels that need ``room`` neither touch nor leave the range.

    Parameters
    ----------
    values : ndarray, shape (k,)
        Wanted heights of the labels' middles.
    room : ndarray, shape (k,)
        Height each label takes.
    low, high : float
        Range; where it cannot hold all, the lowest label starts at ``low``.

    Notes
    -----
    Isotonic regression (pool adjacent violators) of the sorted values less the room below each.
    """
    order = np.argsort(values, kind="stable")
    height = room[order]
    below = np.cumsum(height) - 0.5 * height - 0.5 * height[0]
    blocks: list[list[float]] = []
    for value in values[order] - below:
        blocks.append([float(value), 1.0])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, n = blocks.pop()
            before = blocks[-1]
            before[0] = (before[0] * before[1] + mean * n) / (before[1] + n)
            before[1] += n
    level = np.concatenate([np.full(int(n), mean) for mean, n in blocks])
    bottom, top = low + 0.5 * height[0], high - 0.5 * height[-1] - below[-1]
    placed = np.empty_like(level)
    placed[order] = np.maximum(np.minimum(level, top), bottom) + below
    return placed
