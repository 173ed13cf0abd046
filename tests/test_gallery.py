"""docs/gallery.md shows what the code draws now; all pictures compose, have words, and need no color."""

from __future__ import annotations

import inspect
import runpy
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from tpr_outcomes.reporting import (
    plots,
    plots_axes,
    plots_lesson,
    plots_patient,
    plots_planning,
    plots_regions,
)
from tpr_outcomes.reporting.plot_style import STYLE

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
NAMES = sorted(path.stem for path in (ROOT / "docs" / "images" / "gallery").glob("*.png"))
MODULES = (plots, plots_axes, plots_lesson, plots_patient, plots_planning, plots_regions)
DRAWN_BY_PLOT = {"plot_dose", "plot_courses", "plot_profile", "plot_spread", "plot_rivals", "plot_design",
                 "plot_regions", "plot_flow"}  # fmt: skip
"""What `tpr.plot` draws, each under the name after `plot_`."""


@cache
def tool() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "tools" / "gallery.py"), run_name="gallery")


@cache
def entries() -> dict[str, Any]:
    return {entry.name: entry for entry in tool()["entries"]()}


def drawers() -> dict[str, Any]:
    """Every function that draws on an Axes it is given."""
    return {
        name: function
        for module in MODULES
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        and not name.startswith("_")
        and name != "panels"
        and "ax" in inspect.signature(function).parameters
    }


def test_the_page_and_its_pictures_are_what_the_code_draws_now() -> None:
    assert tool()["stale"](list(entries().values())) == []


def test_a_moved_line_is_noticed() -> None:
    """Twice the width of a line is more than the tolerance; drawing again is none of it."""
    entry, scope = entries()["profile"], tool()
    stored = ROOT / "docs" / "images" / "gallery" / "profile.png"
    here = scope["picture"](entry)
    assert scope["apart"](stored, here) < scope["TOLERANCE"] / 2
    assert scope["apart"](stored, here.transform(here.size, 0, (1, 0, 4, 0, 1, 0))) > scope["TOLERANCE"]
    assert scope["apart"](ROOT / "nowhere.png", here) == float("inf")


def test_every_drawing_function_is_in_the_gallery() -> None:
    shown = {*DRAWN_BY_PLOT, "plot"} | {name for name in drawers() if f"{name}(" in PAGE}
    assert set(drawers()) - shown == set()
    assert {f"plot_{name}" for name in plots_axes.NAMES} == DRAWN_BY_PLOT


@pytest.mark.parametrize("name", sorted(drawers()))
def test_a_drawing_function_takes_a_result_and_axes_and_returns_axes(name: str) -> None:
    signature = inspect.signature(drawers()[name])
    assert "ax" not in next(iter(signature.parameters))
    assert signature.return_annotation == "Axes"


@pytest.fixture
def grid() -> Any:
    with mpl.rc_context(STYLE):
        yield Figure(figsize=(15, 10)).subplots(2, 2)


SINGLE = [name for name in NAMES if name != "several"]


@pytest.mark.parametrize("name", SINGLE)
def test_a_picture_stands_among_others_and_touches_none(name: str, grid: Any) -> None:
    ax = grid[1, 0]
    assert entries()[name].draw(ax) is ax
    assert all(not other.has_data() and not other.child_axes for other in grid.flat if other is not ax)
    assert len(entries()[name].alt) > 60


@pytest.mark.parametrize("name", SINGLE)
def test_no_text_is_smaller_than_nine_points(name: str, grid: Any) -> None:
    entries()[name].draw(grid[1, 0])
    sizes = [text.get_fontsize() for text in grid[1, 0].findobj(Text) if text.get_text()]
    assert min(sizes) >= 9.0


def looks(panel: Any) -> dict[str, set[tuple[Any, ...]]]:
    """What tells lines apart in grey, by name: dash, mark, whether it is filled, and whether it is thick."""
    found: dict[str, set[tuple[Any, ...]]] = {}
    for line in panel.lines:
        name = line.get_gid() or ""
        if not name or len(np.atleast_1d(line.get_xdata())) == 0 or _is_reference(line):
            continue
        if line.get_marker() in ("|", "_"):
            continue  # the caps of an interval, which hang on their own mark
        filled = to_rgb(line.get_markerfacecolor()) != (1.0, 1.0, 1.0)
        marked = line.get_marker() not in ("None", "none", "", None)
        dash = str(getattr(line, "_unscaled_dash_pattern", "")) if line.get_linestyle() != "None" else "none"
        mark = (str(line.get_marker()), filled) if marked else ()
        found.setdefault(name, set()).add((dash, mark, round(line.get_linewidth()) if dash != "none" else 0))
    return found


def _is_reference(line: Line2D) -> bool:
    """A line from edge to edge at one place, which its own label names."""
    x, y = np.asarray(line.get_xdata(), dtype=float), np.asarray(line.get_ydata(), dtype=float)
    return len(x) == 2 and (np.ptp(x) == 0.0 or np.ptp(y) == 0.0)


@pytest.mark.parametrize("name", SINGLE)
def test_lines_and_marks_are_told_apart_in_grey(name: str, grid: Any) -> None:
    ax = grid[1, 0]
    entries()[name].draw(ax)
    for panel in (ax, *ax.child_axes):
        seen = [look for many in looks(panel).values() for look in many]
        assert len(set(seen)) == len(seen), looks(panel)


DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
)
PROTANOPIA = np.array(
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
)
TRITANOPIA = np.array(
    [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]]
)
"""Machado, Oliveira and Fernandes 2009 (doi:10.1109/TVCG.2009.113), full severity, on linear RGB."""


def linear(color: Any) -> np.ndarray:
    return np.array([c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)])


def luminance(color: Any, sight: np.ndarray) -> float:
    return float(np.array([0.2126, 0.7152, 0.0722]) @ np.clip(sight @ linear(color), 0.0, 1.0))


@pytest.mark.parametrize("sight", [np.eye(3), DEUTERANOPIA, PROTANOPIA, TRITANOPIA],
                         ids=["usual", "deuteranopia", "protanopia", "tritanopia"])  # fmt: skip
def test_bars_of_two_kinds_stand_out_from_each_other(sight: np.ndarray, grid: Any) -> None:
    """Contrast of 3 or more between neighbouring areas (WCAG 2.2, criterion 1.4.11), whoever looks."""
    ax = grid[1, 0]
    entries()["attrition"].draw(ax)
    fills = {
        patch.get_facecolor() for p in ax.child_axes for patch in p.patches if isinstance(patch, Rectangle)
    }
    light, dark = sorted((luminance(color, sight) for color in fills), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 3.0
