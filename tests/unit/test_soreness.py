"""Soreness: against R's survival and lm (tests/reference/survival), and against hand-worked diaries."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tpr_outcomes.cohort.diary import diary_entries, diary_episodes
from tpr_outcomes.errors import DataError, FitError, PlanError
from tpr_outcomes.inference.soreness import Soreness, analyse_soreness

REFERENCE = Path(__file__).parents[1] / "reference" / "survival"
DIARY = pd.read_csv(REFERENCE / "diary.csv")
VISITS = pd.read_csv(REFERENCE / "visits.csv")
EXPECTED = pd.read_csv(REFERENCE / "expected.csv").query("dataset == 'diary'").set_index(["method", "term"])


@pytest.fixture(scope="module")
def result() -> Soreness:
    return analyse_soreness(DIARY, visits=VISITS)


def entries(*visits: tuple[int, int, dict[float, float]]) -> pd.DataFrame:
    rows = [
        (patient, visit, hours, soreness)
        for patient, visit, filled in visits
        for hours, soreness in filled.items()
    ]
    return pd.DataFrame(rows, columns=["patient", "visit", "hours", "soreness"]).astype(
        {"hours": float, "soreness": float}
    )


def all_day(*levels: float) -> dict[float, float]:
    return dict(zip((1, 6, 12, 24, 48, 72), levels, strict=True))


def test_intervals_are_those_worked_out_in_r() -> None:
    ours = diary_episodes(diary_entries(DIARY))
    theirs = pd.read_csv(REFERENCE / "episodes.csv").replace("Inf", np.inf).astype({"right": float})
    for column in ("patient", "visit", "left", "right", "first_entry", "sore"):
        assert ours[column].tolist() == theirs[column].tolist(), column


@pytest.mark.parametrize("term", ["sore", "free_48", "resolved_48"])
def test_shares_and_their_errors_as_in_r(result: Soreness, term: str) -> None:
    row = result.get(term)
    # Both are exact up to where the two maximisers stop (1e-9 of the log-likelihood: 1e-5 of a small mass).
    assert row.estimate == pytest.approx(EXPECTED.loc[("shares", term), "value"], rel=1e-6)
    assert row.std_error == pytest.approx(EXPECTED.loc[("shares", f"se_{term}"), "value"], rel=1e-4)


@pytest.mark.parametrize(
    ("term", "method", "theirs"),
    [
        ("twitches", "dose_pooled", "twitches"),
        ("twitches_within", "dose_split", "within"),
        ("twitches_between", "dose_split", "twitches_mean"),
    ],
)
def test_dose_slopes_as_in_r(result: Soreness, term: str, method: str, theirs: str) -> None:
    row = result.get(term)
    assert row.estimate == pytest.approx(EXPECTED.loc[(method, theirs), "value"], rel=1e-9)
    assert row.std_error == pytest.approx(EXPECTED.loc[(method, f"se_{theirs}"), "value"], rel=1e-9)


def test_parametric_share_as_in_r(result: Soreness) -> None:
    sore = (
        pd.read_csv(REFERENCE / "expected.csv")
        .query("dataset == 'diary_sore'")
        .set_index(["method", "term"])["value"]
    )
    for family in ("weibull", "lognormal"):
        wanted = float(sore[(f"{family}_entry", "resolved_48")])
        assert result.get(f"resolved_48_{family}").estimate == pytest.approx(wanted, rel=1e-6)


def test_complete_diaries_give_plain_proportions() -> None:
    """Nothing missing: the distribution is the table of counts, whatever the method."""
    diary = entries(
        (0, 1, all_day(5, 3, 1, 0, 0, 0)),
        (0, 2, all_day(5, 3, 1, 1, 1, 0)),
        (1, 1, all_day(0, 0, 0, 0, 0, 0)),
        (2, 1, all_day(2, 0, 0, 0, 0, 0)),
        (3, 1, all_day(4, 4, 4, 4, 2, 2)),
        (4, 1, all_day(1, 1, 0, 0, 0, 0)),
        (5, 1, all_day(6, 5, 4, 3, 0, 0)),
    )
    found = analyse_soreness(diary)
    assert found.get("sore").estimate == pytest.approx(6 / 7)
    assert found.get("free_48").estimate == pytest.approx(5 / 7)
    assert found.get("resolved_48").estimate == pytest.approx(4 / 6)
    assert found.get("sore_patients").estimate == pytest.approx(5 / 6)
    for term in ("sore", "resolved_48"):
        assert found.get(f"{term}_lowest").estimate == pytest.approx(found.get(term).estimate)
        assert found.get(f"{term}_highest").estimate == pytest.approx(found.get(term).estimate)
    assert found.delayed == 0
    assert found.without_diary is None


def test_bounds_are_the_worst_and_best_that_could_have_happened() -> None:
    complete = [(p, 1, all_day(3, 2, 1, 0, 0, 0)) for p in range(6)]
    open_end = (6, 1, {1: 3.0, 6: 2.0})  # may have ended by 48 h or not
    nothing_seen = (7, 1, {24: 0.0})  # not sore, or sore and over by 24 h
    visits = pd.DataFrame({"patient": range(10), "visit": 1})  # two visits without a diary
    found = analyse_soreness(entries(*complete, open_end, nothing_seen), visits=visits)
    assert found.without_diary == 2
    assert found.get("sore_lowest").estimate == pytest.approx(7 / 10)
    assert found.get("sore_highest").estimate == pytest.approx(10 / 10)
    # at worst: open_end later, both without a diary sore and later, nothing_seen not sore
    assert found.get("resolved_48_lowest").estimate == pytest.approx(6 / 9)
    assert found.get("resolved_48_highest").estimate == pytest.approx(1.0)
    assert found.get("resolved_48_lowest").note == "missing entries and diaries"


def test_soreness_that_came_late_is_counted_and_lasts_to_its_last_entry() -> None:
    diary = entries((0, 1, all_day(0, 3, 2, 0, 0, 0)), (0, 2, {1: 2.0, 12: 0.0, 24: 1.0}))
    table = diary_episodes(diary_entries(diary))
    assert table["left"].tolist() == [12.0, 24.0]
    assert table["right"].tolist() == [24.0, math.inf]
    assert table["delayed"].tolist() == [True, True]


def test_entries_near_a_planned_hour_count_as_made_then_and_others_stay() -> None:
    table = diary_entries(entries((0, 1, {1.2: 3.0, 8.0: 2.0, 50.0: 0.0})))
    assert table["hours"].tolist() == [1.0, 8.0, 48.0]
    assert table["planned"].tolist() == [1.0, 6.0, 48.0]


def test_soreness_counts_from_the_first_hour_anybody_was_asked() -> None:
    """A clinic that asks from 6 h on: 'not sore' means free at 6 h."""
    diary = DIARY.loc[DIARY["hours"] >= 6]
    found = analyse_soreness(diary)
    assert found.first_hour == 6
    assert 0 < found.get("sore").estimate < analyse_soreness(DIARY).get("sore").estimate


def test_area_of_soreness() -> None:
    diary = DIARY.assign(area=np.where(DIARY["patient"] % 2 == 0, "both", "local"))
    diary.loc[diary["soreness"] == 0, "area"] = None
    found = analyse_soreness(diary)
    even = diary.loc[diary["soreness"] > 0].drop_duplicates(["patient", "visit"])["patient"] % 2 == 0
    assert found.get("local").estimate == 1.0
    assert found.get("local").conf_low < 1.0
    assert found.get("referred").estimate == pytest.approx(even.mean())


def test_table_of_results_is_tidy(result: Soreness) -> None:
    table = result.to_frame()
    assert list(table.columns[:6]) == ["term", "estimate", "std_error", "conf_low", "conf_high", "p_value"]
    assert table["term"].is_unique
    known = table.dropna(subset=["conf_low"])
    assert ((known["conf_low"] <= known["estimate"]) & (known["estimate"] <= known["conf_high"])).all()
    assert result.get("duration_75").note == "lognormal; without a shape between 24 and 48 h"


def test_no_patient_order_or_code_matters(result: Soreness) -> None:
    codes = {code: 1000 - code for code in VISITS["patient"].unique()}
    diary = DIARY.assign(patient=DIARY["patient"].map(codes)).sample(frac=1, random_state=3)
    visits = VISITS.assign(patient=VISITS["patient"].map(codes))
    other = analyse_soreness(diary, visits=visits).to_frame()
    for column in ("estimate", "std_error", "conf_low", "conf_high"):
        assert other[column].to_numpy() == pytest.approx(
            result.to_frame()[column].to_numpy(), rel=1e-5, nan_ok=True
        )


def test_what_cannot_be_estimated_is_returned_with_its_reason() -> None:
    diary = entries(*[(p, 1, all_day(3, 2, 1, 0, 0, 0)) for p in range(8)])
    visits = pd.DataFrame({"patient": range(8), "visit": 1, "twitches": 5.0})
    found = analyse_soreness(diary, visits=visits)
    assert math.isnan(found.get("twitches").estimate)
    assert "vary" in found.get("twitches").note
    assert math.isnan(found.get("resolved_48_weibull").estimate)
    assert "three different intervals" in found.get("resolved_48_weibull").note
    assert found.get("duration_50").note == "between 12 and 24 h, without a shape"
    assert found.get("sore").conf_low < 1.0


def test_nobody_sore_is_an_answer() -> None:
    found = analyse_soreness(entries(*[(p, 1, all_day(0, 0, 0, 0, 0, 0)) for p in range(8)]))
    assert found.get("sore").estimate == pytest.approx(0.0)
    assert found.get("sore").conf_high < 0.5
    assert found.get("resolved_48").note == "fewer than 5 patients were seen sore"
    assert math.isnan(found.get("resolved_48_highest").estimate)
    assert found.shapes == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"soreness": 11}, "soreness that is not a number from 0 to 10, the first is filled-in entry 1"),
        ({"soreness": "mild"}, "not a number from 0 to 10"),
        ({"hours": 0}, "hours that are not a number above 0"),
        ({"patient": np.nan}, "no patient or no visit"),
        ({"area": "elbow"}, "an area other than local, referred, both"),
    ],
)
def test_impossible_entries_are_refused_by_place_not_by_patient(
    change: dict[str, object], words: str
) -> None:
    diary = DIARY.astype(object)
    for column, value in change.items():
        if column not in diary:
            diary[column] = None
        diary.loc[diary.index[0], column] = value
    with pytest.raises(DataError, match=words):
        analyse_soreness(diary)


def test_other_refusals() -> None:
    with pytest.raises(DataError, match="lacks the columns hours"):
        analyse_soreness(DIARY.drop(columns="hours"))
    with pytest.raises(DataError, match="an earlier entry"):
        analyse_soreness(pd.concat([DIARY, DIARY.head(1)]))
    with pytest.raises(DataError, match="not in the table of visits"):
        analyse_soreness(DIARY, visits=VISITS.head(20))
    with pytest.raises(DataError, match="several rows"):
        analyse_soreness(DIARY, visits=pd.concat([VISITS, VISITS.head(1)]))
    with pytest.raises(DataError, match="lacks the columns visit"):
        analyse_soreness(DIARY, visits=VISITS.drop(columns="visit"))
    with pytest.raises(PlanError, match="planned hour after 1 h"):
        analyse_soreness(DIARY, horizon=36)
    with pytest.raises(FitError, match="No planned hour has entries of 5 patients"):
        analyse_soreness(DIARY.loc[DIARY["patient"] < 4])
    with pytest.raises(PlanError, match="no soreness estimate called 'sores'"):
        analyse_soreness(DIARY).get("sores")
