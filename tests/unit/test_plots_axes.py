"""Pictures on one's own Axes: they compose, draw the result's numbers, and need no color to be read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

import tpr_outcomes as tpr
from tpr_outcomes.cohort import describe
from tpr_outcomes.errors import PlanError
from tpr_outcomes.models.outlook import outlook
from tpr_outcomes.planning import lesson
from tpr_outcomes.reporting import alt_text_notebook, plot_style, plots_lesson, plots_patient
from tpr_outcomes.reporting import words_notebook as say
from tpr_outcomes.reporting.drawn import dose_picture, rivals
from tpr_outcomes.reporting.plots_axes import NAMES
from tpr_outcomes.reporting.results import Evaluation
from tpr_outcomes.reporting.spelling import number, terms


@cache
def result() -> Evaluation:
    return tpr.evaluate(tpr.load_example("threshold"), replicates=199)


@pytest.fixture
def axes() -> Iterator[Any]:
    """Four Axes of one figure, in the house style."""
    with mpl.rc_context(plot_style.STYLE):
        yield Figure(figsize=(14, 9)).subplots(2, 2)


def lines(ax: Any, gid: str) -> list[Line2D]:
    return [line for line in ax.findobj(Line2D) if line.get_gid() == gid]


def heights(ax: Any, gid: str) -> np.ndarray:
    (line,) = lines(ax, gid)
    return np.asarray(line.get_ydata(), dtype=float)


# --- pictures of an evaluation ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_stands_on_the_axes_it_is_given_and_nowhere_else(name: str, axes: Any) -> None:
    ax = axes[0, 1]
    assert tpr.plot(result(), name, ax) is ax
    inside = [ax, *ax.child_axes]
    assert any(panel.lines or panel.patches or panel.collections for panel in inside)
    assert all(not other.lines and not other.child_axes for other in axes.flat if other is not ax)
    assert len(tpr.plot_alt(result(), name)) > 40


@pytest.mark.parametrize("name", NAMES)
def test_without_axes_a_picture_makes_its_own_figure(name: str) -> None:
    ax = tpr.plot(result(), name)
    assert ax.get_figure() is not tpr.plot(result(), name).get_figure()


def test_what_is_drawn_are_the_numbers_of_the_result(axes: Any) -> None:
    evidence, decision = result().evidence, result().decision
    drawn = dose_picture(evidence, decision)
    assert drawn is not None
    assert evidence.test is not None
    ax = tpr.plot(result(), "dose", axes[0, 0])
    for curve in drawn.curves:
        assert np.array_equal(heights(ax, curve.name), curve.estimate)
    profile = evidence.test.profile
    assert np.array_equal(heights(tpr.plot(result(), "profile", axes[0, 1]), "deviance"), profile.deviance)
    ax = tpr.plot(result(), "rivals", axes[1, 0])
    shown = np.concatenate(
        [line.get_xdata() for gid in ("p-beaten", "p-not-beaten") for line in lines(ax, gid)]
    )
    tested = [rival.p_value for rival in rivals(evidence) if rival.p_value is not None]
    assert sorted(shown) == sorted(tested)


def test_an_unknown_picture_is_refused_with_those_there_are() -> None:
    with pytest.raises(PlanError, match="no picture called 'dosis'; the pictures are dose, courses"):
        tpr.plot(result(), "dosis")
    few = tpr.Visits.from_arrays(patient=[0, 0], visit=[1, 2], pain=[5.0, 4], twitches=[3.0, 4])
    poor = tpr.evaluate(few)
    with pytest.raises(PlanError, match="does not carry the picture 'dose'"):
        tpr.plot(poor, "dose")


# --- pictures of the notebooks ----------------------------------------------------------------------------


def test_the_first_screen_draws_bands_and_interval(axes: Any) -> None:
    evidence = result().evidence
    drawn = dose_picture(evidence, result().decision)
    assert drawn is not None
    assert drawn.threshold is not None
    assert evidence.test is not None
    called = terms("twitches", evidence.scale)
    ax = plots_lesson.plot_answer(drawn, axes[0, 0], called, evidence.test.profile)
    points = ax.containers[0].lines[0]
    assert np.array_equal(points.get_ydata(), drawn.bands.difference.estimate)
    assert any(number(drawn.threshold) in text.get_text() for text in ax.texts)


def test_who_stopped_draws_the_counts_and_changes_of_five_or_more(axes: Any) -> None:
    table = describe.attrition(result().visits).to_frame()
    ax = plots_lesson.plot_attrition(table, axes[0, 0], "points")
    top, bottom = ax.child_axes
    bars = [patch.get_height() for patch in top.containers[0]]
    assert bars == table["seen"].tolist()
    kept = table[table["last"] >= say.FEWEST_SHOWN]
    assert np.array_equal(heights(bottom, "change_last"), kept["change_last"])
    words = alt_text_notebook.attrition_alt(("180", "withheld"), 12, "They were better.")
    assert "180" in words
    assert "They were better." in words


def test_the_ladder_draws_every_share(axes: Any) -> None:
    table = lesson.ladder(clinics=2, seed=1)
    ax = plots_lesson.plot_ladder(table, axes[0, 0])
    drawn = {c.get_label(): c.lines[0].get_xdata() for c in ax.containers}
    for name, label in say.ANALYSES.items():
        assert np.allclose(drawn[label], 100.0 * table[name] / table["clinics"])
    assert alt_text_notebook.ladder_alt(table).count("this toolkit") == len(table)


def test_the_lesson_marks_what_each_analysis_found(axes: Any) -> None:
    made = lesson.lesson(dict(lesson.LADDER)["works"], clinic=3, replicates=99)
    left = plots_lesson.plot_naive(made, axes[0, 0], "line")
    assert np.array_equal(heights(left, "naive-points"), made.naive["line"].adjusted)
    right = plots_lesson.plot_ours(made, axes[0, 1])
    assert lines(right, "truth")
    assert alt_text_notebook.simple_sentence(made, "line") in alt_text_notebook.lesson_alt(made, "line")
    ends = plots_lesson.plot_naive(made, axes[1, 0], "ends")
    assert np.array_equal(heights(ends, "naive-points"), made.naive["ends"].adjusted)
    assert heights(ends, "naive").tolist() == 2 * [made.naive["ends"].slope]


def test_the_power_of_studies_draws_shares_and_limits(axes: Any) -> None:
    table = pd.DataFrame(
        {
            "label": ["a", "a", "b"], "patients": [60, 150, 60], "share": [10.0, 50.0, 80.0],
            "low": [2.0, 40.0, 70.0], "high": [20.0, 60.0, 90.0],
        }
    )  # fmt: skip
    ax = plots_lesson.plot_study_power(table, axes[0, 0])
    assert [c.lines[0].get_ydata().tolist() for c in ax.containers] == [[10.0, 50.0], [80.0]]
    assert alt_text_notebook.study_power_alt(table).count("patients") == 3


def test_one_patient_draws_ratings_expectation_and_interval(axes: Any) -> None:
    working = result().evidence.working
    assert working is not None
    found = outlook(working, result().visits, 4, known=3)
    ax = plots_patient.plot_outlook(found, axes[0, 0], result().visits.scale)
    assert heights(ax, "known").tolist() == found.pain[:3].tolist()
    assert heights(ax, "unknown").tolist() == found.pain[3:].tolist()
    assert np.array_equal(heights(ax, "expected")[1:], found.ahead.estimate)
    assert np.array_equal(heights(ax, "usual"), found.usual)
    low, high = (line.get_ydata() for line in lines(ax, "edge"))
    assert np.array_equal(low, found.ahead.conf_low)
    assert np.array_equal(high, found.ahead.conf_high)
    words = plots_patient.outlook_alt(found, terms("twitches", result().visits.scale))
    assert "known up to visit 3" in words
    assert re.search(r"at visit 4, a rating of about [\d.]+", words)


def test_what_is_drawn_for_a_telephone_stays_within_the_picture() -> None:
    """Two dots of a hundred per inch: labels are laid out by repetition, which ends near the edge."""
    evidence = result().evidence
    drawn, working = dose_picture(evidence, result().decision), evidence.working
    assert drawn is not None
    assert working is not None
    assert evidence.test is not None
    called = terms("twitches", evidence.scale)
    found = outlook(working, result().visits, 0, known=6)
    with mpl.rc_context(plot_style.STYLE):
        for figure in (
            plots_lesson.answer_figure(drawn, called, evidence.test.profile, narrow=True),
            plots_patient.outlook_figure(found, evidence.scale, narrow=True),
        ):
            inside = figure.get_tightbbox()
            assert min(inside.x0, inside.y0) >= -0.02
            assert inside.x1 <= figure.get_figwidth() + 0.02
            assert inside.y1 <= figure.get_figheight() + 0.02


# --- without color ----------------------------------------------------------------------------------------


def looks(ax: Any) -> dict[str, tuple[str, str, bool]]:
    """What tells the named lines of a picture apart when color does not: dash, mark, and its filling."""
    found = {}
    for line in ax.findobj(Line2D):
        if line.get_gid():
            filled = to_rgb(line.get_markerfacecolor()) != (1.0, 1.0, 1.0)
            dash = str(getattr(line, "_unscaled_dash_pattern", line.get_linestyle()))
            found[line.get_gid()] = (dash, str(line.get_marker()), filled)
    return found


@pytest.mark.parametrize("name", ["dose", "courses"])
def test_lines_differ_in_more_than_color(name: str, axes: Any) -> None:
    ax = tpr.plot(result(), name, axes[0, 0])
    curves = {gid: look for gid, look in looks(ax).items() if gid not in ("threshold", "patient")}
    assert len(set(curves.values())) == len(curves) > 1


def test_analyses_and_designs_differ_in_their_marks(axes: Any) -> None:
    marks = [look["marker"] for look in plots_lesson.LADDER_LOOKS.values()]
    assert len(set(marks)) == len(marks)
    working = result().evidence.working
    assert working is not None
    found = outlook(working, result().visits, 4, known=3)
    drawn = looks(plots_patient.plot_outlook(found, axes[0, 0], result().visits.scale))
    assert len({drawn[gid] for gid in ("known", "unknown", "behind", "expected", "usual")}) == 5


@pytest.mark.parametrize("color", ["INK", "SOFT", "BLUE", "RED", "GREEN", "ORANGE"])
def test_words_in_a_color_stand_out_from_the_page(color: str) -> None:
    """Contrast with white of 4.5 or more (WCAG 2.2, success criterion 1.4.3)."""
    assert 1.05 / (luminance(getattr(plot_style, color)) + 0.05) >= 4.5


def luminance(color: str) -> float:
    """Relative luminance of WCAG 2.2."""
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return float(np.dot([0.2126, 0.7152, 0.0722], parts))
