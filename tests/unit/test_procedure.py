"""Procedure, safety, medicine, advice, visit rates and order of treatments: against R and worked by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.clustered import exact_share, ratio_of, regression
from tpr_outcomes.inference.frequency import FEWEST_FOR_GAPS, analyse_frequency, visit_rates
from tpr_outcomes.inference.medicine import advice_given, pain_medicine
from tpr_outcomes.inference.order import NEITHER, TREATMENT, order_of_treatments
from tpr_outcomes.inference.procedure import insertion_felt, reporters, twitch_feeling, twitch_pain
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.inference.response import RESPONSE
from tpr_outcomes.inference.safety import adverse_events

FOLDER = Path(__file__).resolve().parents[1] / "reference/procedure"


@pytest.fixture(scope="module")
def expected() -> dict[str, float]:
    frame = pd.read_csv(FOLDER / "expected.csv")
    return dict(zip(frame["term"], frame["value"], strict=True))


@pytest.fixture(scope="module")
def clinic() -> dict[str, pd.DataFrame]:
    return {name: pd.read_csv(FOLDER / f"{name}.csv") for name in ("sites", "events", "visits")}


@pytest.fixture(scope="module")
def visits(clinic: dict[str, pd.DataFrame]) -> Visits:
    table = clinic["visits"]
    columns = {name: table[name].to_numpy() for name in ("patient", "visit", "weeks", "pain", "twitches")}
    return Visits.from_arrays(**columns, stop_reason=table["stop_reason"].to_numpy(dtype=object))


class TestAgainstR:
    """The same numbers by base R; 1e-9 is what its fifteen printed digits leave of a jackknife."""

    def test_shares(self, clinic: dict[str, pd.DataFrame], expected: dict[str, float]) -> None:
        brief, felt = (
            twitch_pain(clinic["sites"]).get("brief"),
            insertion_felt(clinic["sites"]).get("not_felt"),
        )
        for name, row in (("brief", brief), ("not_felt", felt)):
            assert row.estimate == pytest.approx(expected[name], rel=1e-9)
            assert row.std_error == pytest.approx(expected[f"{name}_error"], rel=1e-9)

    def test_exact_limits(self, clinic: dict[str, pd.DataFrame], expected: dict[str, float]) -> None:
        found = adverse_events(clinic["events"], n_visits=len(clinic["visits"]))
        bruise, infection = found.get("bruise"), found.get("infection")
        assert bruise is not None
        assert infection is not None
        assert bruise.estimate == pytest.approx(expected["bruise"], rel=1e-9)
        assert bruise.conf_low == pytest.approx(expected["bruise_low"], rel=1e-9)
        assert bruise.conf_high == pytest.approx(expected["bruise_high"], rel=1e-9)
        assert infection.estimate == expected["infection"] == 0.0
        assert infection.conf_high == pytest.approx(expected["infection_high"], rel=1e-9)

    def test_medicine(self, clinic: dict[str, pd.DataFrame], expected: dict[str, float]) -> None:
        slope = pain_medicine(clinic["events"], clinic["visits"]).slope
        assert slope.estimate == pytest.approx(expected["medicine"], rel=1e-9)
        assert slope.std_error == pytest.approx(expected["medicine_error"], rel=1e-9)

    def test_gaps_and_rates(self, visits: Visits, expected: dict[str, float]) -> None:
        found = analyse_frequency(visits)
        for field in ("", "_low", "_high"):
            value = getattr(found.gap_ratio, f"conf{field}" if field else "estimate")
            assert value == pytest.approx(expected[f"gap_ratio{field}"], rel=1e-9)
        rates = {row.term: row.estimate for row in found.rates}
        for window in ("0_4", "4_8"):  # glm iterates to 1e-8
            assert rates[f"visits_per_week_{window}"] == pytest.approx(expected[f"rate_{window}"], rel=1e-7)

    def test_order(self, visits: Visits, clinic: dict[str, pd.DataFrame], expected: dict[str, float]) -> None:
        found = order_of_treatments(visits, clinic["events"])
        assert found.treated == expected["treated"]
        assert found.after.estimate == pytest.approx(expected["after"], rel=1e-12)
        assert found.after_at_all.estimate == pytest.approx(expected["after_at_all"], rel=1e-12)
        for cause in (RESPONSE, TREATMENT, NEITHER):
            share, error, *_ = found.first.at(math.inf, cause)
            assert share == pytest.approx(expected[f"first_{cause}"], rel=1e-9)
            assert error == pytest.approx(expected[f"first_{cause}_error"], rel=1e-7)


class TestExactShare:
    def test_of_nothing_has_the_limit_of_the_rule_of_three(self) -> None:
        for n in (10, 300, 7629):
            row = exact_share("x", 0, n, n_patients=n)
            assert row.conf_low == 0.0
            assert (1.0 - row.conf_high) ** n == pytest.approx(0.05, rel=1e-9)
            assert row.conf_high < 3.0 / n
        # 7,629 treatments without a serious event: a rate of 0.04% or less, as reported (Brady 2014)
        assert exact_share("x", 0, 7629, n_patients=100).conf_high < 0.0004

    @pytest.mark.parametrize(("count", "of"), [(1, 1), (1, 20), (19, 20), (20, 20)])
    def test_covers_at_least_as_often_as_it_says(self, count: int, of: int) -> None:
        row = exact_share("x", count, of, n_patients=of)
        assert stats.binom.sf(count - 1, of, row.conf_low) == pytest.approx(0.025, abs=1e-9)
        tail = 0.0 if count == of else 0.025
        assert stats.binom.cdf(count, of, row.conf_high) == pytest.approx(
            1.0 if count == of else tail, abs=1e-9
        )

    def test_of_none_asked_is_not_made(self) -> None:
        assert math.isnan(exact_share("x", 0, 0, n_patients=0).estimate)


def sites(**columns: list[object]) -> pd.DataFrame:
    n = len(next(iter(columns.values())))
    return pd.DataFrame({"patient": np.arange(n) % 5, **columns})


class TestWhatNeedlingFeelsLike:
    def test_leaves_out_what_was_not_timed(self) -> None:
        found = twitch_pain(sites(twitch_pain_seconds=[0.5, 0.5, 0.5, 0.5, 1.0, None]))
        assert found.get("brief").estimate == 0.8  # 1.0 is not less than a second
        assert found.left_out == 1
        assert found.get("median_seconds").estimate == 0.5

    def test_leaves_out_twitches_that_were_not_felt(self) -> None:
        words = ["cramping", "electrical shock", "ache", "nothing", "cramping", None, "ache"]
        table = pd.DataFrame({"patient": [0, 1, 2, 3, 4, 0, 5], "twitch_feeling": words})
        found = twitch_feeling(table)
        assert found.get("named").estimate == 0.6
        assert [row.term for row in found.estimates[1:3]] == ["cramping", "ache"]

    def test_weighs_insertions_not_rows(self) -> None:
        found = insertion_felt(sites(insertions=[1, 1, 1, 1, 96], insertions_felt=[1, 1, 1, 1, 0]))
        assert found.get("not_felt").estimate == 0.96
        assert found.get("not_felt_patients").estimate == 0.2

    def test_refuses_few_patients(self) -> None:
        with pytest.raises(FitError, match="Fewer than 5 patients answered"):
            twitch_pain(sites(twitch_pain_seconds=[0.5] * 4))

    def test_says_who_reported(self) -> None:
        table = pd.DataFrame({"reported_by": ["patient", None, "patient"]})
        assert reporters(table) == {"patient": 2, "not recorded": 1}
        assert reporters(table.drop(columns="reported_by")) == {"not recorded": 3}

    def test_a_ratio_of_nothing_is_not_made(self) -> None:
        assert math.isnan(ratio_of("x", [0.0, 0.0], [0.0, 0.0], [0, 1]).estimate)


def harms(rows: list[tuple[int, float, str]], **more: list[object]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["patient", "visit", "what"])
    return frame.assign(kind="adverse_event", weeks=np.nan, **more)


class TestSafety:
    def test_counts_visits_at_which_it_was_asked(self) -> None:
        rows = [(0, 1.0, "none"), (0, 2.0, "bruise"), (0, 2.0, "bleeding"), (1, 1.0, "none")]
        found = adverse_events(harms(rows), n_visits=10)
        assert (found.asked, found.patients, found.visits) == (3, 2, 10)
        assert found.counted
        happened, infection = found.get("any"), found.get("infection")
        assert happened is not None
        assert infection is not None
        assert happened.estimate == pytest.approx(1 / 3)  # two events of one visit are one visit
        assert infection.conf_high == pytest.approx(1 - 0.05 ** (1 / 3))
        people = found.get("any", by_patient=True)
        assert people is not None
        assert people.estimate == 0.5
        assert found.get("fainting") is None

    def test_knows_when_nobody_says_none(self) -> None:
        assert not adverse_events(harms([(0, 1.0, "bruise")]), n_visits=3).counted
        with pytest.raises(FitError, match="not asked for"):
            adverse_events(harms([]).assign(kind="advice"), n_visits=3)

    def test_tells_serious_ones_apart_and_counts_days_without_a_visit(self) -> None:
        rows = [(0, 1.0, "none"), (0, math.nan, "infection"), (0, math.nan, "none")]
        table = harms(rows, serious=[None, 1.0, None]).assign(weeks=[0.0, 1.5, 3.0])
        found = adverse_events(table, n_visits=3)
        assert found.asked == 3
        serious = found.get("serious")
        assert serious is not None
        assert serious.estimate == pytest.approx(1 / 3)


class TestMedicine:
    @staticmethod
    def clinic(*, taken: list[list[int]]) -> tuple[pd.DataFrame, pd.DataFrame]:
        rows = [
            (p, v, "analgesic", "nsaid" if yes else "none")
            for p, own in enumerate(taken)
            for v, yes in enumerate(own, start=1)
        ]
        events = pd.DataFrame(rows, columns=["patient", "visit", "kind", "what"])
        visits = events[["patient", "visit"]].assign(
            pain=lambda t: 8.0 - 2.0 * t["visit"] + 0.1 * t["patient"]
        )
        return events, visits

    def test_follows_patients_over_their_visits(self) -> None:
        events, visits = self.clinic(taken=[[1, 0], [1, 0], [0, 0], [0, 0], [0, 0], [0, 0], [0, 0]])
        found = pain_medicine(events, visits)
        assert found.first.estimate == pytest.approx(2 / 7)
        assert found.later.estimate == 0.0
        assert found.slope.estimate == pytest.approx(-2 / 7)
        assert found.without.estimate == pytest.approx(-2.0)  # the five who took none
        assert found.without.n_patients == 5

    def test_needs_patients_asked_twice_and_some_who_did_without(self) -> None:
        events, visits = self.clinic(taken=[[1], [0], [0], [0], [0], [0]])
        with pytest.raises(FitError, match="asked at two visits"):
            pain_medicine(events, visits)
        events, visits = self.clinic(taken=[[1, 1]] * 6)
        without = pain_medicine(events, visits).without
        assert math.isnan(without.estimate)
        assert "fewer than 5 patients were rated twice and never took any" in without.note
        with pytest.raises(FitError, match="tied to a visit"):
            pain_medicine(events.assign(visit=np.nan), visits)


class TestAdvice:
    def test_is_set_against_the_soreness_after_the_visit_before(self) -> None:
        patients = np.arange(6)
        diary = pd.DataFrame({"patient": np.repeat(patients, 2), "visit": 1, "soreness": [0, 4] * 6})
        diary.loc[diary["patient"] >= 3, "soreness"] = 0
        told = ["heat", "ice", "rest", "none", "stretching", "none"]
        events = pd.DataFrame({"patient": patients, "visit": 2.0, "kind": "advice", "what": told})
        found = advice_given(events, diary)
        assert found.sore.estimate == 1.0
        assert found.not_sore.estimate == 0.0  # stretching is not advice for soreness
        assert found.slope.estimate == pytest.approx(0.25)
        with pytest.raises(FitError, match="is needed of 5 patients"):
            advice_given(events.assign(visit=1.0), diary)


class TestOrder:
    """Eight patients with ratings 10, then better or not; the treatment starts at a visit."""

    @staticmethod
    def clinic(starts: list[float | None], pain: list[list[float]]) -> tuple[Visits, pd.DataFrame]:
        visits = Visits.from_arrays(
            patient=np.repeat(np.arange(len(pain)), 4),
            visit=np.tile([1, 2, 3, 4], len(pain)),
            pain=np.concatenate(pain),
            twitches=np.ones(4 * len(pain)),
            weeks=np.tile([0.0, 1.0, 2.0, 3.0], len(pain)),
            stop_reason=np.tile(np.array(["", "", "", "lost"], dtype=object), len(pain)),
        )
        rows = [
            (p, math.nan if s is None else s, "none" if s is None else "exercise")
            for p, s in enumerate(starts)
        ]
        events = pd.DataFrame(rows, columns=["patient", "visit", "what"])
        events.loc[events["what"] == "none", "visit"] = 1.0
        return visits, events.assign(kind="treatment", weeks=np.nan)

    BETTER, SAME, ONCE = [10.0, 5.0, 5.0, 5.0], [10.0, 10.0, 10.0, 10.0], [10.0, 5.0, 10.0, 10.0]

    def test_of_the_same_visit_counts_as_after(self) -> None:
        pain = [self.BETTER] * 4 + [self.SAME, self.ONCE]
        visits, events = self.clinic([1.0, 2.0, 4.0, None, 3.0, 3.0], pain)
        found = order_of_treatments(visits, events)
        assert (found.asked, found.treated) == (6, 5)
        assert found.after.estimate == pytest.approx(2 / 5)
        assert found.after_at_all.estimate == pytest.approx(3 / 5)
        assert found.first.at(math.inf, RESPONSE)[0] == pytest.approx(3 / 6)
        assert found.first.at(math.inf, TREATMENT)[0] == pytest.approx(3 / 6)

    def test_can_be_placed_by_weeks(self) -> None:
        visits, events = self.clinic([2.0] * 6, [self.BETTER] * 6)
        for weeks, share in ((-1.0, 0.0), (0.5, 0.0), (1.0, 1.0), (1.5, 1.0)):  # better at week 1
            by_weeks = events.assign(visit=np.nan, weeks=weeks)
            assert order_of_treatments(visits, by_weeks).after.estimate == share

    def test_needs_five_who_took_one_up(self) -> None:
        visits, events = self.clinic([1.0] * 4 + [None] * 2, [self.BETTER] * 6)
        with pytest.raises(FitError, match="Fewer than 5 patients took up"):
            order_of_treatments(visits, events)


class TestRates:
    def test_follow_patients_to_their_last_visit(self) -> None:
        weeks = [0.0, 1.0, 2.0, 8.0, 0.0, 4.0]
        visits = Visits.from_arrays(
            patient=[0, 0, 0, 0, 1, 1],
            visit=[1, 2, 3, 4, 1, 2],
            pain=np.ones(6),
            twitches=np.ones(6),
            weeks=weeks,
        )
        rates = {row.term: row.estimate for row in visit_rates(visits)}
        assert rates == pytest.approx({"visits_per_week_0_4": 3 / 8})  # one patient is no interval

    def test_gaps_need_enough_patients(self) -> None:
        n = FEWEST_FOR_GAPS - 1
        visits = Visits.from_arrays(
            patient=np.repeat(np.arange(n), 4),
            visit=np.tile([1, 2, 3, 4], n),
            weeks=np.tile([0.0, 1.0, 2.0, 4.0], n),
            pain=np.ones(4 * n),
            twitches=np.ones(4 * n),
        )
        with pytest.raises(FitError, match=f"Fewer than {FEWEST_FOR_GAPS} patients have"):
            analyse_frequency(visits)
        assert replace(visits).n_patients == n


class TestDegreesOfFreedom:
    """The interval of a slope rests on the patients that carry it, not on all who were asked."""

    def test_are_patients_less_one_where_all_carry_alike(self) -> None:
        patient = np.repeat(np.arange(12), 2)
        x = np.tile([-1.0, 1.0], 12)
        y = generator(3, "alike").normal(size=24)
        (row,) = regression(y, x[:, None], patient, terms={0: "x"})
        assert row.conf_high - row.estimate == pytest.approx(stats.t.ppf(0.975, 11) * row.std_error)

    def test_are_fewer_where_a_few_long_courses_carry_most(self) -> None:
        """By hand: the squared part that the other column does not explain, summed by patient."""
        rng = generator(4, "unlike")
        patient = np.repeat(np.arange(20), np.r_[np.full(18, 2), 12, 12])
        x = np.concatenate([np.arange(k) for k in np.bincount(patient)]).astype(float)
        y = rng.normal(size=x.size)
        X = np.column_stack([np.ones_like(x), x])
        (row,) = regression(y, X, patient, terms={1: "x"})
        part = np.bincount(patient, weights=(x - x.mean()) ** 2)
        free = part.sum() ** 2 / (part**2).sum() - 1
        assert free < 5
        assert row.conf_high - row.estimate == pytest.approx(stats.t.ppf(0.975, free) * row.std_error)
        assert row.p_value == pytest.approx(2 * stats.t.sf(abs(row.estimate) / row.std_error, free))
