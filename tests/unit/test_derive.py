"""Hand-worked tables: what can have acted on which rating."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpr_outcomes.cohort.derive import LEFT_OUT_REASONS, Ratings, ratings
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import PlanError

NAN = float("nan")


def visits(rows: list[tuple[int, int, float, float]], **more: object) -> Visits:
    patient, visit, pain, twitches = zip(*rows, strict=True)
    return Visits.from_arrays(patient=patient, visit=visit, pain=pain, twitches=twitches, **more)  # type: ignore[arg-type]


ONE = [(0, 1, 7.0, 5.0), (0, 2, 6.0, 3.0), (0, 3, 5.0, 0.0), (0, 4, 4.0, 8.0)]


def test_rated_before_counts_earlier_visits_only() -> None:
    found = ratings(visits(ONE))
    assert found.visit.tolist() == [2, 3, 4]
    assert found.t.tolist() == [1, 2, 3]
    assert found.weeks.tolist() == [1, 2, 3]
    assert found.pain.tolist() == [6, 5, 4]
    assert found.baseline.tolist() == [7, 7, 7]
    assert found.dose_before.tolist() == [5, 8, 8]
    assert found.dose_last.tolist() == [5, 3, 0]
    assert found.visits_before.tolist() == [1, 2, 3]
    assert found.row.tolist() == [1, 2, 3]
    assert found.n_patients == 1
    assert found.left_out == ()


def test_rated_after_counts_doses_between_the_baseline_and_the_rating() -> None:
    found = ratings(visits(ONE, rated="after"))
    # The 5 twitches of visit 1 came before the baseline was rated, so they are in no sum.
    assert found.dose_before.tolist() == [3, 3, 11]
    assert found.dose_last.tolist() == [3, 0, 8]
    assert found.visits_before.tolist() == [1, 2, 3]
    assert found.baseline.tolist() == [7, 7, 7]


@pytest.mark.parametrize(
    ("rated", "expected"),
    [("before", [5, 3 + 2.5, 0 + 1.5 + 1.25]), ("after", [3, 0 + 1.5, 8 + 0 + 0.75])],
)
def test_carryover_halves_with_each_visit(rated: str, expected: list[float]) -> None:
    found = ratings(visits(ONE, rated=rated))
    assert found.carryover(0.5).tolist() == expected
    assert found.carryover(0.0).tolist() == found.dose_last.tolist()
    assert found.carryover(1.0).tolist() == found.dose_before.tolist()


@pytest.mark.parametrize("rate", [-0.1, 1.5, NAN])
def test_carryover_rate_has_to_be_a_share(rate: float) -> None:
    with pytest.raises(PlanError, match="from 0 to 1"):
        ratings(visits(ONE)).carryover(rate)


def test_an_unknown_dose_hides_every_later_rating() -> None:
    rows = [(0, 1, 7.0, 5.0), (0, 2, 6.0, NAN), (0, 3, 5.0, 2.0), (0, 4, 4.0, 1.0)]
    before = ratings(visits(rows))
    assert before.visit.tolist() == [2]  # rated before the dose that was not recorded
    assert before.carryover(0.5).tolist() == [5]
    assert [(item.address, item.rule) for item in before.left_out] == [
        ("row 3 of the visits", "dose_unknown"),
        ("row 4 of the visits", "dose_unknown"),
    ]
    after = ratings(visits(rows, rated="after"))
    assert after.n_patients == 0
    assert after.left_out_counts == {
        "no_first_rating": 0,
        "rating_missing": 0,
        "dose_unknown": 3,
        "single_rating": 0,
        "no_usable_rating": 1,
    }


def test_an_unknown_first_dose_does_not_matter_when_pain_is_rated_after() -> None:
    rows = [(0, 1, 7.0, NAN), (0, 2, 6.0, 3.0), (0, 3, 5.0, 4.0)]
    assert ratings(visits(rows)).n_patients == 0
    assert ratings(visits(rows, rated="after")).dose_before.tolist() == [3, 7]


def test_an_unknown_last_dose_does_not_matter_when_pain_is_rated_before() -> None:
    rows = [(0, 1, 7.0, 2.0), (0, 2, 6.0, NAN)]
    assert ratings(visits(rows)).dose_before.tolist() == [2]


def test_a_missing_rating_loses_its_row_but_not_its_dose() -> None:
    rows = [(0, 1, 7.0, 4.0), (0, 2, NAN, 2.0), (0, 3, 5.0, 1.0)]
    found = ratings(visits(rows))
    assert found.visit.tolist() == [3]
    assert found.dose_before.tolist() == [6]
    assert found.dose_last.tolist() == [2]
    assert found.carryover(0.5).tolist() == [2 + 0.5 * 4]
    assert [(item.address, item.reason) for item in found.left_out] == [
        ("row 2 of the visits", "pain not rated at this visit")
    ]


def test_gaps_in_the_numbering_keep_their_time() -> None:
    found = ratings(visits([(0, 1, 7.0, 4.0), (0, 2, 6.0, 2.0), (0, 4, 5.0, 1.0)]))
    assert found.t.tolist() == [1, 3]
    assert found.dose_before.tolist() == [4, 6]
    assert found.visits_before.tolist() == [1, 2]
    assert found.carryover(0.5).tolist() == [4, 2 + 2]


def test_patients_are_renumbered_and_each_one_left_out_has_its_reason() -> None:
    rows = [
        (0, 1, NAN, 1.0),  # no first rating
        (0, 2, 6.0, 1.0),
        (1, 1, 5.0, 1.0),  # one rating
        (1, 2, NAN, 1.0),
        (2, 1, 5.0, 2.0),
        (2, 2, 4.0, 0.0),
        (3, 1, 5.0, NAN),  # a later rating, but of unknown dose
        (3, 2, 4.0, 0.0),
        (4, 3, 8.0, 7.0),
        (4, 4, 2.0, 7.0),
    ]
    found = ratings(visits(rows))
    assert found.n_patients == 2
    assert found.patient.tolist() == [0, 1]
    assert found.row.tolist() == [5, 9]
    assert found.t.tolist() == [1, 1]
    assert [item.rule for item in found.left_out] == [
        "no_first_rating",
        "no_first_rating",
        "single_rating",
        "rating_missing",
        "no_usable_rating",
        "dose_unknown",
    ]
    assert all(item.reason == LEFT_OUT_REASONS[item.rule] for item in found.left_out)


def test_dates_give_weeks_and_other_doses_add_up_over_the_same_visits() -> None:
    table = visits(ONE, weeks=[0.0, 1.5, 2.0, 6.0], insertions=[10.0, 20.0, NAN, 5.0])
    found = ratings(table)
    assert found.weeks.tolist() == [1.5, 2.0, 6.0]
    np.testing.assert_array_equal(found.cumulative("insertions"), [10, 30, NAN])
    np.testing.assert_array_equal(
        ratings(visits(ONE, insertions=[10.0, 20.0, NAN, 5.0], rated="after")).cumulative("insertions"),
        [20, NAN, NAN],
    )
    assert found.cumulative("sites") is None
    rival = ratings(table, dose="insertions")
    assert rival.dose_before.tolist() == [10, 30]
    assert rival.dose == "insertions"
    with pytest.raises(PlanError, match="no dose column 'needles'; the visits have patient, visit, weeks"):
        ratings(table, dose="needles")


def test_dose_rows_have_the_rating_before_the_needling() -> None:
    before = ratings(visits(ONE)).dose_rows()
    assert before.visit.tolist() == [1, 2, 3, 4]
    assert before.dose.tolist() == [5, 3, 0, 8]
    assert before.pain.tolist() == [7, 6, 5, 4]
    np.testing.assert_array_equal(before.pain_lag1, [NAN, 7, 6, 5])
    after = ratings(visits(ONE, rated="after")).dose_rows()
    np.testing.assert_array_equal(after.pain, [NAN, 7, 6, 5])
    np.testing.assert_array_equal(after.pain_lag1, [NAN, NAN, 7, 6])


def test_dose_rows_leave_out_unknown_doses_and_visits_without_seeking() -> None:
    rows = [(0, 1, 5.0, 1.0), (1, 1, 7.0, 5.0), (1, 2, 6.0, 0.0), (1, 3, 5.0, 2.0), (1, 4, 5.0, NAN)]
    found = ratings(visits(rows, sought=[True, True, False, True, True])).dose_rows()
    assert found.patient.tolist() == [0, 0]  # the first patient has no rating and no code
    assert found.visit.tolist() == [1, 3]
    np.testing.assert_array_equal(found.pain_lag1, [NAN, 6])


def test_ratings_up_to_the_first_that_cannot_be_bettered() -> None:
    """Patient 0 is at 0 twice, patient 1 begins at 0 and is never there again, patient 2 only at the end."""
    pain = {0: [6, 3, 0, 2, 0], 1: [0, 4, 1], 2: [5, 2, 0]}
    found = ratings(visits([(p, v, x, 3.0) for p, each in pain.items() for v, x in enumerate(each, 1)]))
    kept = found.up_to(0.0)
    assert found.pain[kept].tolist() == [3, 0, 4, 1, 2, 0]
    fewer = found.only(kept & (found.patient != 0))
    assert (fewer.patient.tolist(), fewer.n_patients) == ([0, 0, 1, 1], 2)
    np.testing.assert_array_equal(fewer.row, found.row[kept & (found.patient != 0)])
    np.testing.assert_array_equal(fewer.carryover(0.5), found.carryover(0.5)[kept & (found.patient != 0)])
    assert found.only(np.zeros(found.pain.size, dtype=bool)).n_patients == 0


def test_no_visits_no_ratings() -> None:
    found = ratings(Visits.from_arrays(patient=[], visit=[], pain=[], twitches=[]))
    assert found.n_patients == 0
    assert found.carryover(0.5).size == 0
    assert found.dose_rows().dose.size == 0
    assert found.left_out == ()


@st.composite
def records(draw: st.DrawFn) -> Visits:
    lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=6))
    n = sum(lengths)
    missing = st.sampled_from([NAN])
    pain = draw(st.lists(st.integers(0, 10).map(float) | missing, min_size=n, max_size=n))
    twitches = draw(st.lists(st.integers(0, 9).map(float) | missing, min_size=n, max_size=n))
    patient = np.repeat(np.arange(len(lengths)), lengths)
    visit = np.concatenate(
        [np.cumsum(draw(st.lists(st.integers(1, 3), min_size=k, max_size=k))) for k in lengths]
    )
    rated = draw(st.sampled_from(["before", "after"]))
    return Visits.from_arrays(patient=patient, visit=visit, pain=pain, twitches=twitches, rated=rated)


def by_hand(table: Visits, rate: float) -> list[tuple[int, float, float, float]]:
    """Every outcome row, one patient at a time: row, dose before, last dose, carry-over."""
    rows = []
    for _, group in table.table.groupby("patient"):
        for j in range(1, len(group)):
            acting = (
                group["twitches"].iloc[1 : j + 1] if table.rated == "after" else group["twitches"].iloc[:j]
            )
            known = acting.notna().all() and group["pain"].iloc[[0, j]].notna().all()
            if known:
                doses = acting.tolist()[::-1]
                carried = sum(rate**k * dose for k, dose in enumerate(doses))
                rows.append((int(group.index[j]), sum(doses), doses[0], carried))
    return rows


@settings(max_examples=150, deadline=None)
@given(records(), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_agrees_with_one_patient_at_a_time(table: Visits, rate: float) -> None:
    found = ratings(table)
    expected = by_hand(table, rate)
    assert found.row.tolist() == [row for row, *_ in expected]
    np.testing.assert_allclose(found.dose_before, [row[1] for row in expected])
    np.testing.assert_allclose(found.dose_last, [row[2] for row in expected])
    np.testing.assert_allclose(found.carryover(rate), [row[3] for row in expected])
    assert np.unique(found.patient).tolist() == list(range(found.n_patients))
    account = found.row.size + found.n_patients + len(found.left_out)
    assert account == table.n_visits
    assert sum(found.left_out_counts.values()) == len(found.left_out)


def best_time(table: Visits) -> tuple[float, Ratings]:
    times = []
    for _ in range(50):
        start = time.perf_counter()
        found = ratings(table)
        times.append(time.perf_counter() - start)
    return min(times), found


def test_is_fast_enough_to_be_called_a_hundred_thousand_times() -> None:
    patient = np.repeat(np.arange(150), 10)
    pain = np.arange(1500.0) % 11
    table = Visits.from_arrays(
        patient=patient, visit=np.tile(np.arange(1, 11), 150), pain=pain, twitches=pain
    )
    seconds, found = best_time(table)
    assert found.row.size == 1350
    assert seconds < 1e-3  # measured 0.16 ms; the contract is 1 ms for 1,500 rows
