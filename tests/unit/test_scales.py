from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest

from tpr_outcomes.cohort.regions import ANY_REGION, REGION_SCALES, region_of, scales_for_region
from tpr_outcomes.cohort.scales import KPA_PER_KGF_CM2, NRS, SCALES, get_scale
from tpr_outcomes.errors import PlanError


def test_every_scale_is_whole_and_every_cut_point_has_a_source() -> None:
    for name, scale in SCALES.items():
        assert scale.name == name
        assert scale.span > 0
        for item in scale.important_differences:
            assert item.kind in ("absolute", "percent", "level")
            if item.kind == "level":
                assert scale.role == "anchor"
                assert scale.minimum <= item.value <= scale.maximum
            else:
                assert 0 < item.value <= (scale.span if item.kind == "absolute" else 100)
            assert len(item.source) > 8
        for error in scale.detectable_changes:
            assert 0 < error.value <= scale.span
            assert len(error.source) > 8
        # an end left open says so
        assert math.isfinite(scale.maximum) or scale.caution


def test_ranges_and_directions() -> None:
    assert (NRS.minimum, NRS.maximum, NRS.higher_is_worse) == (0.0, 10.0, True)
    assert SCALES["hit6"].span == 42.0  # as reported by Castien 2012
    assert not SCALES["lefs"].higher_is_worse
    assert not SCALES["psfs"].higher_is_worse
    assert SCALES["ndi"].maximum == 100.0


def test_percent_cut_is_there_only_where_it_is_cited() -> None:
    cut = NRS.percent_cut(50.0)
    assert cut is not None
    assert "IMMPACT" in cut.label
    assert SCALES["vas"].percent_cut(30.0) is not None
    assert SCALES["vas"].percent_cut(50.0) is None
    assert SCALES["nih_cpsi"].important_differences == ()  # only a value from memory was at hand


def test_get_scale_forgives_case_and_names_the_nearest() -> None:
    assert get_scale(" NRS ") is NRS
    with pytest.raises(
        PlanError, match=r"no scale called 'hit-6'. Did you mean 'hit6'\? Known scales: nrs, vas"
    ):
        get_scale("hit-6")


REPORTED = {  # section by section what the abstracts report; nothing else may be there
    "nrs": ({2.0, 1.3, 1.5, 4.1, 4.15, 2.16}, {10.0, 20.0, 30.0, 50.0}, {4.0}),
    "vas": ({15.0}, {30.0}, set()),
    "ndi": ({19.0}, set(), set()),
    "odi": ({10.0}, {30.0}, set()),
    "rmdq": ({5.0}, {30.0}, set()),
    "dash": ({12.4, 4.4, 10.2}, set(), {16.3, 11.8, 10.5}),
    "quickdash": ({13.4, 10.8, 13.6}, set(), {17.1}),
    "spadi": ({8.0, 13.0}, set(), {18.0}),
    "psfs": ({1.9, 2.0}, set(), set()),
    "hit6": ({8.0, 2.5, 6.0, 1.5}, set(), set()),
    "headache_days": (set(), {50.0}, set()),
    "fiq": (set(), {14.1}, set()),
    "lefs": ({9.0}, set(), {9.0}),
    "gupi": ({7.0}, set(), set()),
    "bpi": ({1.0}, set(), set()),
}
WITHOUT = {"fiqr", "nih_cpsi", "womac", "womac100", "ppt", "groc15", "sf_mpq", "csi", "pcs"}


def test_cut_points_are_those_reported_and_no_others() -> None:
    for name, (absolute, percent, errors) in REPORTED.items():
        scale = SCALES[name]
        assert {item.value for item in scale.absolute_cuts()} == absolute
        assert {i.value for i in scale.important_differences if i.kind == "percent"} == percent
        assert {error.value for error in scale.detectable_changes} == errors
    for name in WITHOUT:  # only values from memory were at hand
        assert SCALES[name].important_differences == SCALES[name].detectable_changes == ()


def test_importance_and_measurement_error_stand_apart() -> None:
    # neck pain: one study's important difference is a third of another's measurement error
    assert min(item.value for item in NRS.absolute_cuts()) == 1.3
    assert NRS.detectable_changes[0].value == 4.0


def test_instruments_that_ask_for_the_change_are_anchors() -> None:
    anchors = {name for name, scale in SCALES.items() if scale.role == "anchor"}
    assert anchors == {"pgic", "groc15", "groc11"}
    assert all("not an outcome by itself" in SCALES[name].caution for name in anchors)
    assert [item.value for item in SCALES["pgic"].important_differences] == [3.0, 2.0, 1.0]
    assert SCALES["ppt"].role == "secondary"
    standard_gravity = 9.80665
    assert pytest.approx(standard_gravity / 1e-4 / 1000) == KPA_PER_KGF_CM2


def test_the_raw_neck_index_is_half_the_percentage() -> None:
    (raw,), (percent,) = SCALES["ndi50"].absolute_cuts(), SCALES["ndi"].absolute_cuts()
    assert raw.value / SCALES["ndi50"].span == percent.value / SCALES["ndi"].span


@pytest.mark.parametrize(
    ("label", "region"),
    [
        ("Neck", "neck"),
        ("left shoulder", "shoulder"),
        ("Lumbar", "back"),
        ("pelvic floor", "pelvic floor"),
        ("Pelvis", "pelvis"),
        ("Buttocks", "buttock"),
        ("lower leg", "leg"),
        ("Migraine", "headache"),
        ("fibromyalgia", "fibromyalgia"),
        ("somewhere", ""),
    ],
)
def test_a_clinics_word_for_a_region(label: str, region: str) -> None:
    assert region_of(label) == region
    suggested = [scale.name for scale in scales_for_region(label)]
    assert suggested == [*REGION_SCALES.get(region, ()), *ANY_REGION]


def test_every_suggested_instrument_is_there() -> None:
    assert {name for names in REGION_SCALES.values() for name in names} | set(ANY_REGION) <= set(SCALES)


def test_the_page_of_instruments_is_what_the_code_holds() -> None:
    root = Path(__file__).resolve().parents[2]
    made = subprocess.run(
        [sys.executable, root / "tools" / "scales_page.py", "--print"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (root / "docs" / "methods" / "scales.md").read_text() == made.stdout


def test_a_scale_without_documented_end_has_an_infinite_span() -> None:
    from dataclasses import replace

    assert math.isinf(replace(NRS, maximum=math.inf).span)
