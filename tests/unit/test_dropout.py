from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError, PlanError
from tpr_outcomes.inference.dropout import (
    DoseSlope,
    analyse,
    dropout_patterns,
    fit_stopping,
    mean_change,
    tipping_point,
)
from tpr_outcomes.inference.imputation import Panel, impute, panel
from tpr_outcomes.inference.pooling import pool
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.planning.simulate import simulate

NAN = float("nan")


def clinic(rated: str = "before") -> Visits:
    return Visits.from_arrays(
        patient=np.array([0, 0, 0, 0, 1, 1, 1, 2, 3, 3]),
        visit=np.array([1, 2, 3, 4, 1, 2, 3, 1, 1, 2]),
        pain=np.array([8.0, 7.0, NAN, 3.0, 6.0, 5.0, 4.0, 9.0, NAN, 2.0]),
        twitches=np.array([10.0, 5.0, 4.0, 2.0, 3.0, 0.0, 1.0, 7.0, 2.0, 2.0]),
        rated=rated,  # type: ignore[arg-type]
    )


def straight(pain: np.ndarray) -> Panel:
    """Panel of ratings in which unrated visits come after stopping."""
    rated = ~np.isnan(pain)
    last = np.where(rated, np.arange(pain.shape[1]), 0).max(axis=1)
    return Panel(pain=pain, last=last.astype(np.int64), dose=None, n_left_out=0)


# --- the panel ---------------------------------------------------------------------------------------------


def test_panel_lays_out_ratings_doses_and_stopping() -> None:
    data = panel(clinic(), dose="twitches")
    np.testing.assert_equal(data.pain, [[8, 7, NAN, 3], [6, 5, 4, NAN], [9, NAN, NAN, NAN]])
    assert data.last.tolist() == [3, 2, 0]
    assert data.stopped.tolist() == [False, True, True]
    assert data.n_left_out == 1  # no first rating
    assert data.dose is not None
    assert data.dose.tolist() == [[0, 10, 15, 19], [0, 3, 3, 4], [0, 7, 7, 7]]
    assert data.steps.tolist() == [[0, 0, 0, 0], [0, 0, 0, 1], [0, 1, 2, 3]]


def test_panel_of_pain_rated_after_needling_leaves_out_the_first_dose() -> None:
    data = panel(clinic("after"), dose="twitches")
    assert data.dose is not None
    assert data.dose.tolist() == [[0, 5, 9, 11], [0, 0, 1, 1], [0, 0, 0, 0]]


def test_panel_can_end_earlier() -> None:
    data = panel(clinic(), last_visit=2)
    assert data.pain.shape == (3, 3)
    assert data.stopped.tolist() == [False, False, True]
    for last_visit in (0, 4):
        with pytest.raises(PlanError, match="last planned visit"):
            panel(clinic(), last_visit=last_visit)


def test_panel_leaves_out_patients_with_an_unknown_dose_only_if_the_dose_is_asked_for() -> None:
    visits = clinic()
    visits = visits.with_table(visits.table.assign(twitches=visits.table["twitches"].replace(3.0, NAN)))
    assert panel(visits).pain.shape[0] == 3
    data = panel(visits, dose="twitches")
    assert data.pain.shape[0] == 2
    assert data.n_left_out == 2


# --- patterns and stopping -------------------------------------------------------------------------------


def test_patterns_worked_by_hand() -> None:
    found = dropout_patterns(clinic())
    table = found.to_frame().set_index("last_visit")
    assert found.n_patients == 3
    assert found.planned == 3
    assert table.index.tolist() == [0, 2, 3]
    assert table["n"].tolist() == [1, 1, 1]
    assert table["gaps"].tolist() == [0, 0, 1]
    np.testing.assert_equal(table["change_mean"].to_numpy(), [NAN, -2, -5])
    assert table["last_rating_mean"].tolist() == [9, 4, 3]
    assert table["percent"].sum() == pytest.approx(100)


def test_stopping_model_is_the_logistic_regression_of_open_visits() -> None:
    from statsmodels.discrete.discrete_model import Logit

    visits = simulate("N4", n_patients=200, seed=3)
    model = fit_stopping(visits)
    table = visits.table
    first = table.groupby("patient")["pain"].transform("first")
    last = table.groupby("patient")["visit"].transform("max")
    t = table["visit"] - 1.0
    x = np.column_stack([
        np.ones(len(table)), table["pain"], table["pain"] - first, table["twitches"], t, np.log1p(t),
    ])  # fmt: skip
    rows = (table["visit"] < table["visit"].max()).to_numpy()
    peer = Logit((table["visit"] == last).to_numpy(dtype=float)[rows], x[rows]).fit(disp=0, tol=1e-12)
    np.testing.assert_allclose(model.table["estimate"], peer.params, rtol=1e-8)
    np.testing.assert_allclose(model.table["std_error"], peer.bse, rtol=1e-6)
    np.testing.assert_allclose(model.table["odds_ratio"], np.exp(peer.params), rtol=1e-8)
    assert model.n_rows == rows.sum()
    assert model.n_left_out == 0
    assert not model.separated
    change = model.to_frame().set_index("term").loc["change"]
    assert change["conf_high"] < 0  # in this world patients stop when better


def test_stopping_model_refuses_a_record_in_which_nobody_stops() -> None:
    with pytest.raises(FitError, match="All answers are the same"):
        fit_stopping(simulate("N3", n_patients=30, seed=3))
    with pytest.raises(PlanError, match="no dose column"):
        fit_stopping(clinic(), dose="insertions")


# --- pooling: mice::pool.scalar (tests/reference/mice_pool/generate.R) -------------------------------------


@pytest.fixture(scope="module")
def mice(root: Path) -> dict[str, pd.DataFrame]:
    folder = root / "tests" / "reference" / "mice_pool"
    return {
        "cases": pd.read_csv(folder / "cases.csv"),
        "expected": pd.read_csv(folder / "expected.csv", index_col="case"),
        "two_visits": pd.read_csv(folder / "input.csv"),
    }


@pytest.mark.parametrize("case", ["ordinary", "infinite", "little_missing", "much_missing"])
def test_pooling_agrees_with_mice(mice: dict[str, pd.DataFrame], case: str) -> None:
    rows = mice["cases"].query("case == @case")
    expected = mice["expected"].loc[case]
    found = pool(rows["q"].to_numpy(), rows["u"].to_numpy(), complete_df=float(expected["n"] - expected["k"]))
    assert found.estimate == pytest.approx(expected["qbar"], rel=1e-12)
    assert found.within == pytest.approx(expected["ubar"], rel=1e-12)
    assert found.between == pytest.approx(expected["b"], rel=1e-9)
    assert found.std_error**2 == pytest.approx(expected["t"], rel=1e-12)
    assert found.df == pytest.approx(expected["df"], rel=1e-9)
    assert found.missing_information == pytest.approx(expected["fmi"], rel=1e-9)


def test_pooling_refuses_what_cannot_be_pooled() -> None:
    with pytest.raises(PlanError, match="2 or more"):
        pool(np.array([1.0]), np.array([1.0]))
    with pytest.raises(PlanError, match="2 or more"):
        pool(np.array([1.0, 2.0]), np.array([1.0, 0.0]))


# --- imputation against closed form and mice ---------------------------------------------------------------


def test_nothing_missing_gives_the_complete_data_answer() -> None:
    pain = generator(41, "complete").normal(5, 1, (50, 4))
    imputed = impute(straight(pain), imputations=3, seed=1)
    np.testing.assert_array_equal(imputed.pain, np.broadcast_to(pain, (3, 50, 4)))
    found = analyse(imputed)
    change = pain[:, 3] - pain[:, 0]
    assert found.estimate == pytest.approx(change.mean())
    assert found.std_error == pytest.approx(change.std(ddof=1) / np.sqrt(50))
    assert found.between == 0
    assert found.missing_information < 0.05
    assert imputed.outside == 0


@pytest.mark.parametrize("structure", ["pooled", "unstructured"])
def test_two_visits_imputed_give_the_regression_estimator(
    mice: dict[str, pd.DataFrame], structure: str
) -> None:
    """Monotone normal two-visit data: as imputations grow the mean goes to the regression estimator.

    Tolerance: four Monte Carlo errors, sqrt(between / imputations). mice's own 2,000 imputations of the
    same data carry the same error, hence the root of two.
    """
    data = mice["two_visits"].to_numpy()
    imputed = impute(straight(data), imputations=2000, structure=structure, seed=7)  # type: ignore[arg-type]
    found = analyse(imputed)
    seen = ~np.isnan(data[:, 1])
    x = np.column_stack([np.ones(len(data)), data[:, 0]])
    fitted = x @ np.linalg.lstsq(x[seen], data[seen, 1])[0]
    regression = np.where(seen, data[:, 1], fitted).mean() - data[:, 0].mean()
    error = np.sqrt(found.between / 2000)
    assert abs(found.estimate - regression) < 4 * error
    expected = mice["expected"].loc["two_visits"]
    assert abs(found.estimate - expected["qbar"]) < 4 * np.sqrt(2) * error
    assert found.between == pytest.approx(expected["b"], rel=0.15)  # sd of a variance of 2000: 3%
    assert found.within == pytest.approx(expected["ubar"], rel=0.02)
    assert found.std_error == pytest.approx(np.sqrt(expected["t"]), rel=0.03)


def test_gaps_are_drawn_given_ratings_on_both_sides() -> None:
    """One gap between two ratings of a first-order chain: mean and variance of the normal conditional."""
    rng = generator(42, "bridge")
    n = 4000
    pain = np.empty((n, 4))
    pain[:, 0] = rng.normal(5, 1.5, n)
    for k in range(1, 4):
        pain[:, k] = 1.0 + 0.8 * pain[:, k - 1] + rng.normal(0, 0.5, n)
    seen = pain.copy()
    gap = np.arange(n) < 1000
    seen[gap, 2] = NAN
    data = Panel(pain=seen, last=np.full(n, 3), dose=None, n_left_out=0)
    drawn = impute(data, imputations=20, structure="unstructured", seed=2).pain[:, gap, 2]
    # Y2 | Y1, Y3, with v = 0.25, b = 0.8, a = 1: precision (1 + b^2) / v, mean as below.
    precision = (1 + 0.8**2) / 0.25
    ahead, behind = (pain[gap, 3] - 1.0) / 0.25 * 0.8, (1.0 + 0.8 * pain[gap, 1]) / 0.25
    mean = (ahead + behind) / precision
    error = drawn - mean
    assert abs(error.mean()) < 0.02
    assert error.std() == pytest.approx(precision**-0.5, rel=0.03)
    assert abs(np.corrcoef(error.mean(axis=0), mean)[0, 1]) < 0.15


def test_draws_depend_on_seed_and_purpose_alone() -> None:
    data = panel(simulate("N4", n_patients=60, seed=4), last_visit=5)
    one, same, other = (impute(data, imputations=3, seed=seed).pain for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    more = impute(data, imputations=5, seed=1).pain
    np.testing.assert_array_equal(more[:3], one)  # fewer imputations are the first of more
    assert np.isfinite(one).all()
    recorded = ~np.isnan(data.pain)
    np.testing.assert_array_equal(one[0][recorded], data.pain[recorded])


def test_too_few_ratings_for_a_free_covariance_are_refused() -> None:
    data = panel(simulate("N4", n_patients=30, seed=4))
    with pytest.raises(FitError, match="pooled"):
        impute(data, structure="unstructured", seed=1)
    with pytest.raises(PlanError, match="2 or more"):
        impute(data, imputations=1, seed=1)


# --- shifts and tipping points -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def imputed():  # type: ignore[no-untyped-def]
    data = panel(simulate("N4", n_patients=150, seed=9), dose="twitches", last_visit=6)
    return impute(data, imputations=20, seed=3, limits=(0.0, 10.0))


def test_a_shift_moves_the_mean_by_its_size_times_the_share_who_stopped(imputed) -> None:  # type: ignore[no-untyped-def]
    share = imputed.panel.stopped.mean()
    before, after = analyse(imputed), analyse(imputed, delta=1.5)
    assert after.estimate - before.estimate == pytest.approx(1.5 * share)
    missed = imputed.panel.steps[:, -1]
    growing = analyse(imputed, delta=1.5, per_visit=0.2)
    assert growing.estimate - after.estimate == pytest.approx(0.2 * np.maximum(missed - 1, 0).mean())
    nobody = analyse(imputed, delta=1.5, who=np.zeros(missed.size, dtype=bool))
    assert nobody.estimate == pytest.approx(before.estimate)
    assert 0 < imputed.outside < 0.5


def test_tipping_point_of_the_mean_is_where_the_bound_reaches_the_null(imputed) -> None:  # type: ignore[no-untyped-def]
    found = tipping_point(imputed, limit=10.0)
    assert found.conclusion == "lower"
    assert found.conclusion_beyond == "not shown"
    assert found.delta is not None
    step = 10.0 / 40 / 2**12
    assert analyse(imputed, delta=found.delta).conf_high >= 0
    assert analyse(imputed, delta=found.delta - 2 * step).conf_high < 0
    table = found.to_frame()
    assert table["delta"].iloc[[0, -1]].tolist() == [0.0, 10.0]
    assert set(table["conclusion"]) <= {"lower", "not shown", "higher"}
    slope = np.diff(table["estimate"]) / np.diff(table["delta"])
    np.testing.assert_allclose(slope, imputed.panel.stopped.mean(), rtol=1e-9)


def test_tipping_point_is_sooner_for_a_harder_null(imputed) -> None:  # type: ignore[no-untyped-def]
    easy, hard = tipping_point(imputed, limit=10.0), tipping_point(imputed, limit=10.0, null=-1.0)
    assert easy.delta is not None
    assert hard.delta is not None
    assert hard.delta < easy.delta
    growing = tipping_point(imputed, limit=10.0, growth=0.5)
    assert growing.delta is not None
    assert growing.delta < easy.delta


def test_there_may_be_no_tipping_point(imputed) -> None:  # type: ignore[no-untyped-def]
    downwards = tipping_point(imputed, limit=-5.0)
    assert downwards.delta is None
    assert downwards.conclusion_beyond is None
    with pytest.raises(PlanError, match="largest shift"):
        tipping_point(imputed, limit=0)


def test_dose_slope_of_complete_panels_is_least_squares() -> None:
    from statsmodels.regression.linear_model import OLS

    visits = simulate("A-lin", n_patients=80, seed=10)
    data = panel(visits, dose="twitches", last_visit=4)
    assert data.dose is not None
    imputed = impute(data, imputations=2, seed=1)
    pain = imputed.pain[0]
    slope, variance, df = DoseSlope(knot=10.0)(pain, data)
    visit = np.tile(np.arange(1, 5), 80)
    first = np.repeat(pain[:, 0], 4)
    x = np.column_stack([
        np.maximum(data.dose[:, 1:] - 10.0, 0).ravel(), np.eye(4)[visit - 1],
        first, first * visit, first * np.log1p(visit),
    ])  # fmt: skip
    peer = OLS(pain[:, 1:].ravel(), x).fit(
        cov_type="cluster", cov_kwds={"groups": np.repeat(np.arange(80), 4), "use_correction": False}
    )
    assert slope == pytest.approx(peer.params[0], rel=1e-8)
    assert 1.0 < np.sqrt(variance) / peer.bse[0] < 1.2  # ours is corrected for few patients
    assert df == 79


def test_dose_slope_says_what_it_lacks(imputed) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(FitError, match="passes 1e\\+06"):
        analyse(imputed, DoseSlope(knot=1e6))
    with pytest.raises(PlanError, match="panel with doses"):
        analyse(replace(imputed, panel=replace(imputed.panel, dose=None)), DoseSlope())
    assert np.isfinite(analyse(imputed, DoseSlope(knot=20.0)).estimate)


def test_pooled_frame_is_tidy(imputed) -> None:  # type: ignore[no-untyped-def]
    frame = analyse(imputed, mean_change).to_frame("mean_change")
    assert frame.columns.tolist()[:6] == ["term", "estimate", "std_error", "conf_low", "conf_high", "p_value"]
    assert frame["term"].item() == "mean_change"


@pytest.mark.parametrize("growth", [0.0, 0.3])
def test_three_shifts_tell_all_of_a_linear_estimand(growth: float) -> None:
    """The quick way finds what analysing every shift finds."""
    visits = simulate("A-thr40", n_patients=60, seed=4)
    imputed = impute(panel(visits, dose="twitches", last_visit=5), imputations=4, seed=1)
    quick = tipping_point(imputed, DoseSlope(10.0), limit=-10.0, growth=growth)
    plain = DoseSlope(10.0).__call__  # which does not say that it is linear
    slow = tipping_point(imputed, plain, limit=-10.0, growth=growth)
    assert (quick.conclusion, quick.conclusion_beyond) == (slow.conclusion, slow.conclusion_beyond)
    # Arithmetic in another order only.
    names = ["estimate", "std_error", "conf_low", "conf_high", "p_value"]
    np.testing.assert_allclose(quick.table[names], slow.table[names], rtol=1e-7, atol=1e-10)
