"""The lesson in being fooled: each thing that misleads makes a simple analysis go wrong, and ours holds."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from tpr_outcomes import notebook_lessons
from tpr_outcomes.cohort.derive import ratings
from tpr_outcomes.errors import PlanError
from tpr_outcomes.planning import lesson
from tpr_outcomes.planning.lesson import Setting
from tpr_outcomes.planning.simulate import simulate
from tpr_outcomes.planning.worlds import get_world
from tpr_outcomes.reporting import words_notebook as say

CLINICS = (2, 3, 4)
"""The clinic that notebook 05 shows first, and two more."""
FOOLED = {
    "course": (Setting(course=0.55), ("ends", "none")),
    "stopping": (Setting(stopping=0.8), ("ends",)),
    "pain_driven": (Setting(pain_driven=0.4), ("none", "line", "levels")),
    "noticed": (Setting(noticed=0.4, works=True), ("none", "line", "levels")),
}
"""One thing turned on, and the simple analyses it makes go wrong."""


@pytest.mark.parametrize("name", FOOLED)
def test_one_slider_fools_a_simple_analysis_and_not_ours(name: str) -> None:
    setting, fooled = FOOLED[name]
    for clinic in CLINICS:
        made = lesson.lesson(setting, clinic=clinic, replicates=199)
        assert [way for way in fooled if made.naive_right(way)] == []
        assert made.ours_right


def test_the_clinic_shown_first_fools_nobody_before_a_slider_is_moved() -> None:
    made = lesson.lesson(Setting(), clinic=notebook_lessons.FIRST_CLINIC, replicates=199)
    assert all(made.naive_right(way) for way in lesson.WAYS)
    assert made.ours_right


def test_sliders_at_rest_are_the_setting_in_which_nothing_misleads() -> None:
    rest = {name: most if name == "noticed" else least for name, (least, most, _) in
            notebook_lessons.SLIDERS.items()}  # fmt: skip
    told = {name: value / (1.0 if name == "bad_day" else 100.0) for name, value in rest.items()}
    assert Setting(**told) == Setting()
    assert Setting().truth().course == "flat"
    assert set(notebook_lessons.SLIDERS) <= set(say.CONTROLS)


@pytest.mark.parametrize("end", [1, 2])
def test_every_end_of_every_slider_is_a_possible_world(end: int) -> None:
    for name, ends in notebook_lessons.SLIDERS.items():
        value = ends[end - 1] / (1.0 if name == "bad_day" else 100.0)
        assert Setting(**{name: value}).truth().world == "lesson"


def test_the_last_step_of_misleading_is_the_world_the_verdict_is_calibrated_in() -> None:
    truth, n4 = dict(lesson.LADDER)["stopping"].truth(), get_world("N4")
    for name in ("course", "floor_low", "floor_high", "entry_sd", "driver", "dose_pain_slope", "stop_prob"):
        there, here = getattr(n4, name), getattr(truth, name)
        # strengths are given in plain units and turned back: equal but for rounding
        assert here == (there if isinstance(there, str) else pytest.approx(there, rel=1e-12)), name


def test_first_against_last_is_the_paired_t_test() -> None:
    record = ratings(simulate(Setting(course=0.55).truth(), n_patients=60, seed=5))
    found = lesson.first_against_last(record)
    last = {p: (record.pain[i], record.baseline[i], record.dose_before[i])
            for i, p in enumerate(record.patient.tolist())}  # fmt: skip
    pain, first, dose = np.array(list(last.values())).T
    expected = stats.ttest_rel(pain, first)
    assert found.slope == pytest.approx(float((pain - first).mean()))
    assert found.p_value == pytest.approx(float(expected.pvalue), rel=1e-9)
    assert found.threshold == np.median(dose[pain <= 0.5 * first])
    assert found.found


def test_places_are_held_against_what_each_analysis_speaks_of() -> None:
    """Of 100 twitches 40 are counted: a curve at 16 names a wrong number, ours as recorded does not."""
    made = lesson.lesson(Setting(noticed=0.4, works=True), clinic=2, replicates=199)
    assert made.truth.true_threshold == pytest.approx(16.0)
    assert math.isclose(made.naive["line"].threshold, 16.0, rel_tol=0.5)
    assert not made.naive_right("line")
    assert made.ours_right
    shown = notebook_lessons.show_lesson(made, "line")
    assert f"{say.ANALYSES['line']} | {say.MARKS['wrong']}" in shown.text
    assert f"{say.ANALYSES['ours']} | {say.MARKS['right']}" in shown.text
    assert "There is one, but not at" in shown.text


def test_one_patient_is_refused() -> None:
    record = ratings(simulate(Setting().truth(), n_patients=60, seed=5))
    with pytest.raises(PlanError, match="Fewer than two patients"):
        lesson.first_against_last(dataclasses.replace(record, n_patients=1))
