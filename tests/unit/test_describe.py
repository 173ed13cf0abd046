"""Descriptions against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from tpr_outcomes.cohort.derive import changes
from tpr_outcomes.cohort.describe import attrition, by_visit, table_one
from tpr_outcomes.cohort.scales import NRS, SCALES
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import PlanError

NAN = float("nan")


@pytest.fixture
def clinic() -> Visits:
    """Four patients: 8, 4, 2 / 6, 6 / 10, missing, 7 / 0, 1 (a first rating of 0 has no percent)."""
    return Visits.from_arrays(
        patient=[0, 0, 0, 1, 1, 2, 2, 2, 3, 3],
        visit=[1, 2, 3, 1, 2, 1, 2, 3, 1, 2],
        weeks=[0, 1, 2, 0, 3, 0, 1, 5, 0, 1],
        pain=[8, 4, 2, 6, 6, 10, NAN, 7, 0, 1],
        twitches=[5, 3, 0, 2, 2, 9, NAN, 1, 0, 0],
        age=[40, 40, 40, 60, 60, 50, 50, 50, NAN, NAN],
        sex=np.array(["f", "f", "f", "m", "m", "f", "f", "f", None, None], dtype=object),
        stop_reason=np.array(
            [None, None, "better", None, None, None, "cost", None, None, "better"], dtype=object
        ),
    )


def test_change_and_percent_change(clinic: Visits) -> None:
    found = changes(clinic)
    np.testing.assert_array_equal(found.baseline, [8, 8, 8, 6, 6, 10, 10, 10, 0, 0])
    np.testing.assert_array_equal(found.change, [0, -4, -6, 0, 0, 0, NAN, -3, 0, 1])
    np.testing.assert_array_equal(found.percent_change, [0, -50, -75, 0, 0, 0, NAN, -30, NAN, NAN])


def test_by_visit(clinic: Visits) -> None:
    summary = by_visit(clinic)
    first, second, third = summary.rows
    assert (first.visit, first.n, first.mean) == (1, 4, 6.0)
    assert first.sd == pytest.approx(math.sqrt((4 + 0 + 16 + 36) / 3))
    assert (first.change, first.conf_low, first.conf_high) == (0.0, 0.0, 0.0)
    assert (second.n, second.n_change, second.n_percent) == (3, 3, 2)
    assert second.mean == pytest.approx(11 / 3)
    assert second.change == -1.0  # -4, 0, +1
    interval = stats.ttest_1samp([-4, 0, 1], 0).confidence_interval(0.95)
    assert (second.conf_low, second.conf_high) == pytest.approx((interval.low, interval.high))
    assert (second.responder_30, second.responder_50) == (0.5, 0.5)  # -50 percent and 0 percent
    assert (third.change, third.responder_30, third.responder_50) == (-4.5, 1.0, 0.5)  # -75 and -30 percent
    assert [item.value for item in summary.cut_points] == [30.0, 50.0]
    frame = summary.to_frame()
    assert frame["visit"].tolist() == [1, 2, 3]
    assert frame["responder_50"].tolist() == [0.0, 0.5, 0.5]


def test_a_narrower_level_gives_a_narrower_interval(clinic: Visits) -> None:
    row = by_visit(clinic, level=0.5).rows[1]
    interval = stats.ttest_1samp([-4, 0, 1], 0).confidence_interval(0.5)
    assert (row.conf_low, row.conf_high) == pytest.approx((interval.low, interval.high))
    with pytest.raises(PlanError, match="level is 95"):
        by_visit(clinic, level=95)


@pytest.mark.parametrize(("pain", "share"), [(4.9, 1.0), (4.91, 0.0), (3.5, 1.0)])
def test_responders_at_and_beside_the_cut(pain: float, share: float) -> None:
    visits = Visits.from_arrays(patient=[0, 0], visit=[1, 2], pain=[7, pain], twitches=[1, 1])
    assert by_visit(visits).rows[1].responder_30 == share


def test_responders_only_where_the_cut_is_cited_and_in_the_direction_of_the_scale() -> None:
    arrays = {"patient": [0, 0], "visit": [1, 2], "pain": [40.0, 20.0], "twitches": [1, 1]}
    vas = by_visit(Visits.from_arrays(**arrays, scale=SCALES["vas"]))  # type: ignore[arg-type]
    assert vas.rows[1].responder_30 == 1.0
    assert math.isnan(vas.rows[1].responder_50)
    from dataclasses import replace

    upward = replace(NRS, higher_is_worse=False, maximum=100.0)
    worse = by_visit(Visits.from_arrays(**arrays, scale=upward))  # type: ignore[arg-type]
    assert (worse.rows[1].change, worse.rows[1].responder_50) == (-20.0, 0.0)


def test_one_patient_has_no_spread() -> None:
    row = by_visit(Visits.from_arrays(patient=[0, 0], visit=[1, 2], pain=[7, 5], twitches=[1, 1])).rows[1]
    assert (row.n, row.mean, row.change) == (1, 5.0, -2.0)
    assert math.isnan(row.sd)
    assert math.isnan(row.conf_low)


def test_attrition(clinic: Visits) -> None:
    found = attrition(clinic)
    assert [(row.visit, row.seen, row.last) for row in found.rows] == [(1, 4, 0), (2, 4, 2), (3, 2, 2)]
    second = found.rows[1]
    assert (second.change_last, second.change_not_last) == (0.5, -4.0)  # 0 and +1; -4 and missing
    assert found.stop_reasons == {"better": 2, "cost": 1, "not recorded": 1}
    assert found.to_frame()["seen"].tolist() == [4, 4, 2]
    bare = clinic.with_table(clinic.table.drop(columns="stop_reason"))
    assert attrition(bare).stop_reasons == {"not recorded": 4}


def test_table_one(clinic: Visits) -> None:
    found = table_one(clinic)
    rows = {(row.variable, row.category): row for row in found.rows}
    assert found.n_patients == 4
    age = rows["age", ""]
    assert (age.n, age.missing, age.mean, age.sd, age.median) == (3, 1, 50.0, 10.0, 50.0)
    assert (rows["sex", "f"].n, rows["sex", "f"].share, rows["sex", "f"].missing) == (2, 2 / 3, 1)
    assert rows["baseline", ""].mean == 6.0
    visits = rows["visits", ""]
    assert (visits.median, visits.q1, visits.q3) == (2.5, 2.0, 3.0)
    assert rows["weeks", ""].mean == (2 + 3 + 5 + 1) / 4
    doses = rows["twitches_through", ""]
    assert (doses.n, doses.missing, doses.mean) == (3, 1, 4.0)  # 8, 4 and 0; one total is not known
    assert len(found.to_frame()) == len(found.rows)


def test_nothing_to_describe() -> None:
    empty = Visits.from_arrays(patient=[], visit=[], pain=[], twitches=[])
    assert by_visit(empty).rows == ()
    assert list(by_visit(empty).to_frame().columns)[:3] == ["visit", "n", "mean"]
    assert attrition(empty).stop_reasons == {}
    assert table_one(empty).n_patients == 0
