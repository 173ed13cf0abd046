from __future__ import annotations

import math

import pytest

from tpr_outcomes.cohort.scales import NRS, SCALES, get_scale
from tpr_outcomes.errors import PlanError


def test_every_scale_is_whole_and_every_cut_point_has_a_source() -> None:
    for name, scale in SCALES.items():
        assert scale.name == name
        assert scale.span > 0
        for item in scale.important_differences:
            assert item.kind in ("absolute", "percent")
            assert 0 < item.value <= (scale.span if item.kind == "absolute" else 100)
            assert len(item.source) > 8


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


def test_a_scale_without_documented_end_has_an_infinite_span() -> None:
    from dataclasses import replace

    assert math.isinf(replace(NRS, maximum=math.inf).span)
