from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError, PlanError
from tpr_outcomes.inference.history import History, history
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.inference.sequential import fit_msm, fit_snmm
from tpr_outcomes.inference.weighting import stabilized_weights, staying, weighted_correlation
from tpr_outcomes.planning.simulate import simulate


@pytest.fixture(scope="module")
def clinic() -> History:
    return history(simulate("A-lin", n_patients=150, seed=5))


# --- against R: weights by glm and MASS::glm.nb, geepack::geeglm, g-estimation by matrices -----------------
# (tests/reference/geepack_msm/generate.R, printed to 12 digits)


@pytest.fixture(scope="module")
def reference(root: Path) -> tuple[History, pd.DataFrame]:
    folder = root / "tests" / "reference" / "geepack_msm"
    table = pd.read_csv(folder / "input.csv")
    visits = Visits.from_arrays(
        patient=table["patient"].to_numpy(),
        visit=table["visit"].to_numpy(),
        pain=table["pain"].to_numpy(dtype=float),
        twitches=table["twitches"].to_numpy(dtype=float),
    )
    return history(visits), pd.read_csv(folder / "expected.csv", index_col="quantity")


# glm.nb stops its own alternation near 1e-8 of the dispersion, so weights agree to about that.
CLOSE = 5e-7


def test_weights_agree_with_r(reference: tuple[History, pd.DataFrame]) -> None:
    rows, expected = reference
    weights = stabilized_weights(rows)
    seen = ~np.isnan(rows.outcome)
    value = expected["value"]
    assert rows.t.size == value["n_rows"]
    got = {
        "dispersion_history": weights.dispersion,
        "pain_coefficient": weights.pain_coefficient,
        "dose_weight_mean": weights.dose_weight[seen].mean(),
        "dose_weight_max": weights.dose_weight[seen].max(),
        "dropout_weight_mean": weights.dropout_weight[seen].mean(),
        "dropout_weight_max": weights.dropout_weight[seen].max(),
        "weight_sum": weights.weight[seen].sum(),
    }
    for name, number in got.items():
        assert number == pytest.approx(value[name], rel=CLOSE), name


@pytest.mark.parametrize(("term", "knot"), [("msm", 0.0), ("msm_past_30", 30.0)])
def test_msm_agrees_with_geepack(reference: tuple[History, pd.DataFrame], term: str, knot: float) -> None:
    rows, expected = reference
    fit = fit_msm(rows, knot=knot, small_sample=False)
    assert fit.estimate == pytest.approx(expected["value"][term], rel=CLOSE)
    assert fit.std_error == pytest.approx(expected["std_error"][term], rel=CLOSE)


@pytest.mark.parametrize(("term", "dropout"), [("snmm_lag1", False), ("snmm_lag1_dropout", True)])
def test_snmm_agrees_with_matrices_in_r(
    reference: tuple[History, pd.DataFrame], term: str, dropout: bool
) -> None:
    rows, expected = reference
    fit = fit_snmm(rows, dropout=dropout, small_sample=False)
    assert fit.estimate == pytest.approx(expected["value"][term], rel=CLOSE)
    assert fit.std_error == pytest.approx(expected["std_error"][term], rel=CLOSE)


# --- truth known exactly -----------------------------------------------------------------------------------


def linear_course(psi: float, *, n: int = 400, visits: int = 4) -> History:
    """Linear Gaussian course with exactly uncorrelated parts: dose follows pain, pain follows all doses."""
    rng = generator(31, "linear course")
    raw = rng.normal(size=(n, 2 * visits + 2))
    raw -= raw.mean(axis=0)
    parts = np.linalg.qr(raw)[0] * np.sqrt(n)
    shocks, doses, trait, start = parts[:, :visits], parts[:, visits : 2 * visits], parts[:, -2], parts[:, -1]
    natural = np.empty((n, visits + 1))
    dose, pain = np.empty((n, visits)), np.empty((n, visits + 1))
    natural[:, 0] = pain[:, 0] = 5.0 + start
    for k in range(visits):
        dose[:, k] = 20.0 + 2.0 * pain[:, k] + 3.0 * doses[:, k]
        natural[:, k + 1] = 1.5 + 0.6 * natural[:, k] + 0.5 * trait + shocks[:, k]
        pain[:, k + 1] = natural[:, k + 1] + psi * dose[:, : k + 1].sum(axis=1)
    return History(
        patient=np.repeat(np.arange(n), visits),
        t=np.tile(np.arange(visits, dtype=float), n),
        baseline=np.repeat(pain[:, 0], visits),
        pain=pain[:, :-1].ravel(),
        pain_lag1=np.column_stack([pain[:, 0], pain[:, :-2]]).ravel(),
        dose=dose.ravel(),
        past=(np.cumsum(dose, axis=1) - dose).ravel(),
        outcome=pain[:, 1:].ravel(),
        stayed=np.ones(n * visits, dtype=bool),
        due=np.zeros(n * visits, dtype=bool),
        leaving_pain=pain[:, :-1].ravel(),
        reached=np.zeros((n * visits, 0), dtype=bool),
        rated_after=False,
        n_patients=n,
    )


@pytest.mark.parametrize("lags", [1, 2, None])
@pytest.mark.parametrize("psi", [0.0, -0.15])
def test_snmm_finds_a_lasting_effect_exactly(psi: float, lags: int | None) -> None:
    """The dose model is right and sample moments are exact, so the natural course may be modelled wrongly."""
    fit = fit_snmm(linear_course(psi), lags=lags, dose_model="normal")
    assert fit.estimate == pytest.approx(psi, abs=1e-10)
    assert fit.pain_on_dose == pytest.approx(2.0, abs=1e-10)
    assert fit.lags == lags


def test_one_lag_snmm_is_the_regression_of_next_pain_on_dose_and_history() -> None:
    from statsmodels.regression.linear_model import OLS

    rows = linear_course(-0.15)
    fit = fit_snmm(rows, dose_model="normal", small_sample=False)
    visit = np.eye(4)[rows.t.astype(int)]
    x = np.column_stack([rows.dose, rows.pain, rows.pain_lag1, rows.baseline, rows.past, visit])
    peer = OLS(rows.outcome, x).fit()
    assert fit.estimate == pytest.approx(peer.params[0], abs=1e-10)


def test_msm_of_a_linear_course_comes_close() -> None:
    """Weights need more than moments, so this holds up to sampling error: within four standard errors."""
    rows = linear_course(-0.15, n=4000, visits=2)
    fit = fit_msm(rows, dose_model="normal", truncate=(0.0, 1.0))
    assert abs(fit.estimate + 0.15) < 4 * fit.std_error
    assert fit.std_error < 0.02


# --- weights ------------------------------------------------------------------------------------------------


def test_weights_are_one_where_dose_and_staying_do_not_depend_on_pain() -> None:
    rng = generator(32, "randomised")
    rows = linear_course(0.0, n=3000, visits=3)
    dose = rng.poisson(8.0, rows.t.size).astype(float)
    rows = replace(rows, dose=dose)
    rows = replace(rows, past=rows.past_of(dose))
    weights = stabilized_weights(rows)
    np.testing.assert_allclose(weights.dose_weight, 1.0, atol=0.25)
    assert (weights.dropout_weight == 1).all()  # nobody was due to stop
    assert weights.pain_coefficient == pytest.approx(0.0, abs=0.02)


def test_weighting_balances_pain_and_staying(clinic: History) -> None:
    weights = stabilized_weights(clinic)
    pain = weights.balance.query("covariate == 'pain' and n >= 60")
    assert pain["correlation_before"].mean() > 0.1
    assert pain["correlation_after"].abs().mean() < pain["correlation_before"].abs().mean() / 2
    left = weights.staying_balance.query("covariate == 'leaving_pain' and stayed >= 40")
    assert (left["difference_before"] > 0.15).all()
    assert left["difference_after"].abs().mean() < left["difference_before"].mean() / 2


def test_weight_summary_states_truncation_and_effective_size(clinic: History) -> None:
    weights = stabilized_weights(clinic, truncate=(0.05, 0.95))
    seen = ~np.isnan(clinic.outcome)
    product = (weights.dose_weight * weights.dropout_weight)[seen]
    assert weights.limits == pytest.approx(tuple(np.quantile(product, [0.05, 0.95])))
    outside = (product < weights.limits[0]) | (product > weights.limits[1])
    assert weights.n_truncated == outside.sum()
    first = weights.to_frame().query("visit_index == 0 and component == 'weight'").iloc[0]
    values = weights.weight[seen & (clinic.t == 0)]
    assert first["effective_n"] == pytest.approx(values.sum() ** 2 / (values**2).sum())
    assert first["n"] == values.size
    assert set(weights.visits["component"]) == {"dose_weight", "dropout_weight", "weight"}


def test_positivity_counts_rows_that_hardly_anybody_like_them_outlasts(clinic: History) -> None:
    table = stabilized_weights(clinic).positivity
    chance = staying(clinic)[1]
    assert table["stay_rare"].sum() == (chance[clinic.due] < 0.05).sum()
    assert table["share_free"].between(0, 1).all()
    assert table["n"].sum() == clinic.t.size


def test_truncation_must_make_sense(clinic: History) -> None:
    with pytest.raises(PlanError, match="rise within 0 to 1"):
        stabilized_weights(clinic, truncate=(0.9, 0.1))


def test_a_dose_decided_by_history_has_no_density() -> None:
    rows = linear_course(0.0)
    with pytest.raises(FitError, match="exactly"):
        stabilized_weights(replace(rows, dose=3.0 * rows.pain), dose_model="normal")


def test_a_measured_dose_is_no_count() -> None:
    with pytest.raises(FitError, match="whole numbers"):
        fit_msm(linear_course(0.0))


def test_weighted_correlation() -> None:
    x = np.array([1.0, 2.0, 3.0, 10.0])
    assert weighted_correlation(x, 2 * x, np.ones(4)) == pytest.approx(1.0)
    assert weighted_correlation(x, -x, np.array([1.0, 1.0, 1.0, 0.0])) == pytest.approx(-1.0)
    assert np.isnan(weighted_correlation(x, np.ones(4), np.ones(4)))


# --- results ------------------------------------------------------------------------------------------------


def test_results_are_tidy_and_named_by_what_they_estimate(clinic: History) -> None:
    columns = ["term", "estimate", "std_error", "conf_low", "conf_high", "p_value"]
    snmm, msm = fit_snmm(clinic, knot=20.0), fit_msm(clinic)
    assert snmm.to_frame().columns.tolist() == columns
    assert snmm.to_frame()["term"].item() == "dose_past_threshold"
    assert msm.to_frame()["term"].item() == "dose"
    assert snmm.conf_low < snmm.estimate < snmm.conf_high
    assert msm.weights.dose_weight.shape == clinic.t.shape
    wide = fit_snmm(clinic, knot=20.0, level=0.99)
    assert wide.conf_high - wide.conf_low > snmm.conf_high - snmm.conf_low


def test_pairs_grow_with_lags_and_end_at_all(clinic: History) -> None:
    one, two, everything = (fit_snmm(clinic, lags=lags).n_rows for lags in (1, 2, None))
    assert one == (~np.isnan(clinic.outcome)).sum()
    assert one < two < everything
    assert fit_snmm(clinic, lags=500).estimate == pytest.approx(fit_snmm(clinic, lags=None).estimate)


def test_a_further_recorded_reason_is_adjusted_for() -> None:
    """A recorded reason that moves dose and later pain biases the estimate until it is handed over."""
    rng = generator(33, "reason")
    rows = linear_course(-0.15, n=2000)
    reason = rng.normal(size=rows.t.size)
    dose = rows.dose + 3.0 * reason
    rows = replace(rows, dose=dose, outcome=rows.outcome + 0.9 * reason - 0.15 * 3.0 * reason)
    left_out = fit_snmm(rows, dose_model="normal").estimate
    handed_over = fit_snmm(rows, dose_model="normal", recorded=reason[:, None])
    assert left_out > -0.05
    assert abs(handed_over.estimate + 0.15) < 4 * handed_over.std_error


def test_records_rated_after_needling_can_be_used() -> None:
    visits = simulate("A-lin", n_patients=150, seed=6)
    rows = history(replace(visits, rated="after"))
    assert np.isfinite(fit_snmm(rows, lags=None).estimate)
    assert np.isfinite(fit_msm(rows).estimate)


def test_too_few_patients_are_refused(clinic: History) -> None:
    few = history(simulate("A-lin", n_patients=6, seed=5))
    with pytest.raises(FitError):
        fit_snmm(few)
    with pytest.raises(PlanError, match="lags=0"):
        fit_snmm(clinic, lags=0)


def test_staying_weights_of_records_rated_after_needling_stop_one_visit_earlier() -> None:
    """There a rating comes before the question whether the patient returns, so its own row does not count."""
    visits = simulate("A-lin", n_patients=150, seed=6)
    rows = history(replace(visits, rated="after"))
    ratio = staying(rows)[0]
    weights = stabilized_weights(rows)
    np.testing.assert_allclose(np.log(weights.dropout_weight), rows.past_of(np.log(ratio)), atol=1e-12)
    before = history(visits)
    ratio = staying(before)[0]
    weights = stabilized_weights(before)
    np.testing.assert_allclose(
        np.log(weights.dropout_weight), before.past_of(np.log(ratio)) + np.log(ratio), atol=1e-12
    )
