from __future__ import annotations

import numpy as np
import pytest

from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.history import History, history, twitchiness, visit_columns

NAN = float("nan")


def clinic(rated: str = "before", **changes: list[float]) -> Visits:
    """Three patients worked by hand; the third has one visit only and so no rows."""
    columns: dict[str, object] = {
        "patient": np.array([0, 0, 0, 0, 1, 1, 1, 2]),
        "visit": np.array([1, 2, 3, 4, 1, 2, 3, 1]),
        "pain": np.array([8.0, 7.0, NAN, 3.0, 6.0, 5.0, 4.0, 9.0]),
        "twitches": np.array([10.0, 5.0, 4.0, 2.0, 3.0, 0.0, 1.0, 7.0]),
    }
    columns |= {name: np.array(values) for name, values in changes.items()}
    return Visits.from_arrays(**columns, rated=rated)  # type: ignore[arg-type]


def test_history_of_a_record_rated_before_needling() -> None:
    rows = history(clinic())
    assert rows.n_patients == 2
    assert rows.patient.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert rows.t.tolist() == [0, 1, 2, 3, 0, 1, 2]
    assert rows.baseline.tolist() == [8, 8, 8, 8, 6, 6, 6]
    assert rows.pain.tolist() == [8, 7, 7, 3, 6, 5, 4]  # the unrated third visit shows the second's rating
    assert rows.pain_lag1.tolist() == [8, 8, 7, 7, 6, 6, 5]
    assert rows.dose.tolist() == [10, 5, 4, 2, 3, 0, 1]
    assert rows.past.tolist() == [0, 10, 15, 19, 0, 3, 3]
    assert rows.through.tolist() == [10, 15, 19, 21, 3, 3, 4]
    np.testing.assert_equal(rows.outcome, [7, NAN, 3, NAN, 5, 4, NAN])
    assert rows.stayed.tolist() == [True, True, True, False, True, True, False]
    # Nobody could leave before a second rating; the longest course has nothing after it.
    assert rows.due.tolist() == [False, True, True, False, False, True, True]
    assert rows.leaving_pain.tolist() == rows.pain.tolist()


def test_history_of_a_record_rated_after_needling() -> None:
    """The first dose acted before the first rating: no row, no part of the past."""
    rows = history(clinic("after"))
    assert rows.t.tolist() == [1, 2, 3, 1, 2]
    assert rows.pain.tolist() == [8, 7, 7, 6, 5]
    assert rows.past.tolist() == [0, 5, 9, 0, 0]
    np.testing.assert_equal(rows.outcome, [7, NAN, 3, 5, 4])
    assert rows.stayed.tolist() == [True, True, False, True, False]
    assert rows.leaving_pain.tolist() == [7, 7, 3, 5, 4]


def test_rows_end_where_the_past_is_no_longer_known() -> None:
    rows = history(clinic(twitches=[10.0, NAN, 4.0, 2.0, 3.0, 0.0, 1.0, 7.0]))
    assert rows.patient.tolist() == [0, 1, 1, 1]
    np.testing.assert_equal(rows.outcome, [7, 5, 4, NAN])
    assert rows.stayed.tolist() == [True, True, True, False]


def test_a_visit_where_twitches_were_not_sought_is_no_decision() -> None:
    sought = np.array([True, True, True, True, True, False, True, True])
    rows = history(clinic(twitches=[10.0, 5.0, 4.0, 2.0, 3.0, 0.0, 1.0, 7.0], sought=sought))
    assert rows.t.tolist() == [0, 1, 2, 3, 0, 2]
    np.testing.assert_equal(rows.outcome, [7, NAN, 3, NAN, 5, NAN])


def test_cited_improvements_reached_are_recorded() -> None:
    rows = history(clinic())
    assert rows.reached.shape == (7, 4)  # 10, 20, 30 and 50 percent on the 0 to 10 scale
    assert rows.reached[3].tolist() == [True, True, True, True]  # 8 -> 3
    assert rows.reached[6].tolist() == [True, True, True, False]  # 6 -> 4
    assert not rows.reached[0].any()


def test_history_refuses_a_record_without_rows() -> None:
    blank = np.full(8, NAN)
    with pytest.raises(FitError, match="No patient"):
        history(clinic(pain=blank.tolist()))


def test_visit_columns_add_up_to_one() -> None:
    columns = visit_columns(np.repeat([0.0, 1.0, 2.0, 3.0], [20, 12, 6, 2]))
    assert columns.sum(axis=1).tolist() == [1.0] * 40
    assert columns.sum(axis=0).tolist() == [20, 12, 8]  # the sparse last visit joins the one before


def test_past_of_sums_earlier_rows_only() -> None:
    rows = history(clinic())
    assert rows.past_of(rows.dose).tolist() == [0, 10, 15, 19, 0, 3, 3]


@pytest.mark.parametrize("count", [True, False])
def test_twitchiness_starts_at_nothing_and_follows_the_past(count: bool) -> None:
    rows = history(clinic())
    value = twitchiness(rows, np.ones((7, 1)), count=count)
    assert value[0] == value[4] == 0
    assert value[1] > 0 > value[6]  # the first patient twitched more than most, the second less
    changed = History(**{**vars(rows), "dose": np.where(rows.t == 3, 50.0, rows.dose)})
    later = twitchiness(changed, np.eye(4)[rows.t.astype(int)], count=False)
    same = twitchiness(rows, np.eye(4)[rows.t.astype(int)], count=False)
    np.testing.assert_allclose(later[rows.t < 3], same[rows.t < 3])  # a dose is never its own past
