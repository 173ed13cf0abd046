from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tpr_outcomes.cohort.scales import SCALES
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError, PlanError
from tpr_outcomes.inference.contrast import fit_exposure
from tpr_outcomes.inference.essential import analyse_essential
from tpr_outcomes.inference.landmark import early_twitches, order_estimate

EXACT = 1e-9
"""Both sides solve the same least squares; R writes 12 digits."""


def visits_of(table: pd.DataFrame, **options: object) -> Visits:
    return Visits.from_arrays(**{name: table[name].to_numpy() for name in table}, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def reference(root: Path) -> tuple[Visits, pd.Series]:
    folder = root / "tests" / "reference" / "essential"
    expected = pd.read_csv(folder / "expected.csv", skipinitialspace=True)
    expected = expected.apply(lambda column: column.str.strip() if column.dtype == "str" else column)
    return visits_of(pd.read_csv(folder / "input.csv")), expected.set_index(["term", "what"])["value"]


def test_agrees_with_r(reference: tuple[Visits, pd.Series]) -> None:
    visits, expected = reference
    found = analyse_essential(visits)
    for term in ("next_any", "next_per_twitch"):
        row = found.get(term)
        assert row.estimate == pytest.approx(expected[term, "estimate"], rel=EXACT)
        assert row.std_error == pytest.approx(expected[term, "std_error"], rel=EXACT)
        assert row.n_rows == expected[term, "n"]
        assert row.note == f"t with {expected[term, 'degrees']:.0f} degrees of freedom"
    landmark = found.get("landmark_next_per_twitch")
    assert landmark.estimate == pytest.approx(expected["landmark_next_per_twitch", "estimate"], rel=EXACT)
    smallest = found.equivalence[0]
    assert smallest.margin.value == 1.3
    for name in ("p_value", "conf_low", "conf_high"):
        assert getattr(smallest, name) == pytest.approx(expected["equivalence_1.3", name], rel=1e-8)


def test_the_two_tests_and_the_interval_give_the_same_answer(reference: tuple[Visits, pd.Series]) -> None:
    found = analyse_essential(reference[0])
    assert [row.margin.value for row in found.equivalence] == [1.3, 1.5, 2.0, 2.0, 2.16, 4.1, 4.15]
    assert all(row.equivalent == (row.p_value < 0.05) for row in found.equivalence)


def test_a_scale_that_runs_the_other_way_gives_the_same_numbers(reference: tuple[Visits, pd.Series]) -> None:
    visits = reference[0]
    turned = visits.table.assign(pain=100.0 - visits.table["pain"]).drop(columns="sought")
    same = analyse_essential(visits_of(turned, scale=SCALES["lefs"], kind="arrays"))
    for term in ("next_any", "next_per_twitch", "landmark_next_per_twitch"):
        assert same.get(term).estimate == pytest.approx(analyse_essential(visits).get(term).estimate)


def test_strata_hold_visit_and_insertions_equal() -> None:
    # By hand: within a stratum the difference of means; across strata weighted by the product of group sizes.
    y = np.array([1.0, 3.0, 2.0, 10.0, 14.0, 12.0] * 10)
    x = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.0] * 10)
    stratum = np.tile([0, 0, 0, 1, 1, 1], 10)
    patient = np.arange(60)
    found = fit_exposure("x", y, x, np.zeros((60, 1)), patient, stratum=stratum).estimate
    first, second = 2.5 - 1.0, 14.0 - 11.0  # differences of means
    assert found.estimate == pytest.approx((first * 2 / 3 + second * 2 / 3) / (4 / 3))


# --- totals of the course -------------------------------------------------------------------------


def course(visits: int = 4, n: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    patient, visit = np.repeat(np.arange(n), visits), np.tile(np.arange(1, visits + 1), n)
    return pd.DataFrame({
        "patient": patient, "visit": visit, "pain": rng.uniform(1, 9, patient.size),
        "twitches": rng.poisson(1.0, patient.size).astype(float),
    })  # fmt: skip


@pytest.mark.parametrize("total", ["end", "total", "course", None, 2.5, True])
def test_totals_of_the_course_are_refused_as_groups(total: object) -> None:
    visits = visits_of(course())
    with pytest.raises(PlanError, match=r"Totals of a whole course cannot group patients.*immortal time"):
        early_twitches(visits, total)  # type: ignore[arg-type]
    with pytest.raises(PlanError, match="immortal time"):
        analyse_essential(visits, landmark=total)  # type: ignore[arg-type]


@pytest.mark.parametrize("landmark", [0, 4, 99])
def test_a_landmark_without_later_ratings_is_refused(landmark: int) -> None:
    with pytest.raises(PlanError, match=rf"The landmark is visit {landmark}, and nobody has a rating after"):
        early_twitches(visits_of(course()), landmark)


def test_early_twitches_know_nothing_of_later_visits() -> None:
    table = course()
    before = early_twitches(visits_of(table))
    later = table.copy()
    later.loc[later["visit"] > 2, "twitches"] = 50.0
    np.testing.assert_array_equal(early_twitches(visits_of(later)), before)
    by_hand = table[table["visit"] <= 2].groupby("patient")["twitches"].sum()
    np.testing.assert_array_equal(before, by_hand)
    gone = early_twitches(visits_of(table.query("patient != 0 or visit == 1")))
    assert np.isnan(gone[0])  # who left before the landmark is in neither group
    blank = table.copy()
    blank.loc[0, "twitches"] = np.nan
    assert np.isnan(early_twitches(visits_of(blank))[0])


# --- what is not there ----------------------------------------------------------------------------


def test_not_sought_is_neither_with_nor_without() -> None:
    table = course()
    table["sought"] = table["visit"] != 2
    table.loc[~table["sought"], "twitches"] = 0.0
    found = analyse_essential(visits_of(table))
    assert found.visits_with + found.visits_without == 40 * 2  # visits 1 and 3 have a next rating


def test_everybody_twitches_is_said_and_not_estimated() -> None:
    table = course()
    table["twitches"] += 1.0
    found = analyse_essential(visits_of(table))
    row = found.get("next_any")
    assert np.isnan(row.estimate)
    assert row.note.endswith("with the same insertions; 15 of each are needed")
    assert found.equivalence == ()
    assert np.isfinite(found.get("next_per_twitch").estimate)


def test_immediate_change_needs_a_rating_right_after() -> None:
    table = course()
    assert np.isnan(analyse_essential(visits_of(table)).get("immediate_any").estimate)
    after = table["pain"] - 1.0 - 0.5 * (table["twitches"] > 0)
    found = analyse_essential(visits_of(table), pain_after=after.to_numpy())
    assert found.get("immediate_any").estimate == pytest.approx(-0.5)
    rated_after = analyse_essential(visits_of(table, rated="after"))
    assert np.isfinite(rated_after.get("immediate_any").estimate)


def test_a_record_without_twitches_or_later_ratings_is_refused() -> None:
    table = course()
    with pytest.raises(FitError, match="has a rating before and after it"):
        analyse_essential(visits_of(table.assign(twitches=np.nan)))


def test_order_of_relief_and_twitch_by_hand() -> None:
    table = pd.DataFrame({
        "patient": [0, 0, 0, 1, 1, 1, 2, 2, 2],
        "visit": [1, 2, 3] * 3,
        "pain": [8, 4, 4, 8, 8, 4, 8, 8, 8],  # better at visit 2; at visit 3; never
        "twitches": [0, 0, 5, 0, 3, 0, 4, 0, 0],  # first at visit 3; at 2; at 1
    }).astype({"pain": float, "twitches": float})  # fmt: skip
    found = order_estimate(visits_of(table))
    assert found.estimate == 0.5  # of the two who improved, one did so before any twitch
    assert found.n_patients == 2
