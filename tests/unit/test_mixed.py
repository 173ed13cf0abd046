"""The mixed-model engine: lme4 and nlme, brute force, closed forms, invariances, a seeded simulation.

Where a tolerance says "search", this is meant: the search ends when the largest gradient of the deviance
is about 1e-4 per scaled parameter and the curvature is of order 1 or more, so a covariance parameter is
within about 1e-4 of the top (in units of the residual standard deviation), coefficients and their errors,
which move only with the covariance, within 1e-5 of a standard error, and the deviance within 1e-8.
"""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.unit import brute_force
from tests.unit.mixed_reference import CASES, MEAN, REFERENCE, Case, read

from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.models import mixed_deviance, mixed_search
from tpr_outcomes.models.mixed import (
    Covariance,
    Layout,
    MixedData,
    MixedFit,
    Whitener,
    fit_mixed,
    fit_prepared,
    predict_effects,
)

SEARCH = 1e-4


def median_gap(case: Case) -> float:
    at = case.arguments()
    layout = Layout.of(at["patient"], at["time"])
    return float(np.median(layout.gaps[layout.starts[1] :]))


# --- lme4 and nlme ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fits() -> dict[Case, MixedFit]:
    return {case: case.fit() for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_likelihood_of_lme4_and_nlme(case: Case, fits: dict[Case, MixedFit]) -> None:
    ours, theirs = fits[case].log_likelihood, case.expected["log_likelihood"]
    # Theirs is the best of many searches, so neither side may be higher; 1e-6 is a thousandth of the
    # smallest difference in log-likelihood that changes any printed digit.
    assert ours == pytest.approx(theirs, abs=1e-6)
    assert ours > case.expected.get("log_likelihood_nlme", -np.inf) - 1e-6


@pytest.mark.parametrize("case", CASES, ids=str)
def test_coefficients_of_lme4_and_nlme(case: Case, fits: dict[Case, MixedFit]) -> None:
    error = np.array([case.expected[f"se_{name}"] for name in MEAN])
    beta = np.array([case.expected[f"beta_{name}"] for name in MEAN])
    np.testing.assert_allclose((fits[case].beta - beta) / error, 0.0, atol=1e-5)
    np.testing.assert_allclose(fits[case].std_error, error, rtol=1e-5)
    np.testing.assert_allclose(np.diag(fits[case].beta_cov), error**2, rtol=2e-5)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_covariance_of_lme4_and_nlme(case: Case, fits: dict[Case, MixedFit]) -> None:
    at, found = case.expected, fits[case].covariance
    assert found.sigma == pytest.approx(at["sigma"], rel=SEARCH)
    z = case.arguments()["z"]
    if z.shape[1]:
        spread = np.sqrt(np.diag(found.random_covariance))
        sizes = np.sqrt((z**2).mean(axis=0)) / at["sigma"]  # effect at a usual row, in residual sds
        assert spread[0] * sizes[0] == pytest.approx(at["sd_intercept"] * sizes[0], abs=SEARCH)
    if z.shape[1] == 2:
        assert spread[1] * sizes[1] == pytest.approx(at["sd_slope"] * sizes[1], abs=SEARCH)
        if np.isfinite(at["corr"]):
            corr = found.random_covariance[0, 1] / spread.prod()
            # R files correlations of ±1 to about 1e-3 (README there).
            assert corr == pytest.approx(at["corr"], abs=1e-3 if abs(at["corr"]) > 1 - 1e-6 else 2 * SEARCH)
    if case.residual != "independent":
        # phi alone is not identified where the nugget is 1, so what is left of both at the usual gap.
        left = (1 - at.get("nugget", 0.0)) * at["phi"] ** median_gap(case)
        assert (1 - found.nugget) * found.phi ** median_gap(case) == pytest.approx(left, abs=SEARCH)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_optimum_at_the_boundary_is_called_one(case: Case, fits: dict[Case, MixedFit]) -> None:
    boundary = any(note == "singular" or "boundary" in note for note in case.notes)
    assert fits[case].status == ("boundary" if boundary else "converged")
    assert fits[case].converged is not boundary
    assert fits[case].gradient < mixed_search.GRADIENT_TOLERANCE
    assert fits[case].message.startswith("at the boundary" if boundary else "converged")


def test_the_reference_has_both_kinds() -> None:
    kinds = [any(note == "singular" or "boundary" in note for note in case.notes) for case in CASES]
    assert 20 < sum(kinds) < len(kinds) - 100


# --- brute force -----------------------------------------------------------------------------------------


def clinic(seed: int = 5, *, patients: int = 25, most: int = 6) -> dict[str, Any]:
    """Uneven gaps, one to six rows a patient, rows shuffled."""
    rng = generator(seed, "clinic")
    rows = rng.integers(1, most + 1, patients)
    rows[:4] = 1
    patient = np.repeat(np.arange(patients), rows)
    time = np.concatenate([np.cumsum(rng.uniform(0.2, 2.0, k)) for k in rows])
    x = np.column_stack([np.ones(patient.size), time, rng.gamma(2.0, 3.0, patient.size)])
    y = x @ [5.0, -0.3, 0.05] + rng.normal(size=patients)[patient] + rng.normal(size=patient.size)
    shuffle = rng.permutation(patient.size)
    return {"y": y[shuffle], "x": x[shuffle], "patient": patient[shuffle], "time": time[shuffle]}


def random_part(data: dict[str, Any], q: int) -> np.ndarray:
    return np.column_stack([np.ones(data["y"].size), np.log1p(data["time"])])[:, :q]


def engine(data: dict[str, Any], q: int, residual: str, method: str) -> mixed_deviance.Deviance:
    rows = MixedData.of(data["x"], data["patient"], z=random_part(data, q), time=data["time"])
    rows.outcome(data["y"])
    return mixed_deviance.Deviance(rows, residual=residual, method=method)


def value_at(deviance: mixed_deviance.Deviance, point: np.ndarray) -> float:
    return deviance.at(point)[0].deviance


MODELS = [
    (q, r) for q in (0, 1, 2) for r in ("independent", "car1", "car1+nugget") if q or r != "independent"
]
EDGES = {"inside": (0.0, 0.5), "no noise": (0.3, -30.0), "only noise": (-0.5, 30.0), "no memory": (6.0, 0.3)}


def point_of(deviance: mixed_deviance.Deviance, edge: str) -> np.ndarray:
    q = deviance.q
    factor = np.array([[0.8, 0.0], [-0.3, 0.4]])[:q, :q][np.tril_indices(q)]
    extra = EDGES[edge][: {"independent": 0, "car1": 1, "car1+nugget": 2}[deviance.residual]]
    return np.array([*factor, *extra])


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("method", ["ml", "reml"])
@pytest.mark.parametrize(("q", "residual"), MODELS)
def test_deviance_anywhere_is_the_written_out_one(q: int, residual: str, method: str, edge: str) -> None:
    data = clinic()
    deviance = engine(data, q, residual, method)
    point = point_of(deviance, edge)
    found = deviance.at(point)[0]
    y, x, z = deviance.data.scaled
    layout = deviance.data.layout
    factor, rate, nugget = deviance.unpack(point)
    sigma = np.sqrt(found.rss / deviance.dof)
    written_out = brute_force.evaluate(
        y,
        x,
        layout.patient[layout.position],
        Z=z if q else None,
        D=sigma**2 * factor @ factor.T if q else None,
        sigma=sigma,
        weeks=data["time"][layout.order],
        phi=np.exp(-rate),
        nugget=nugget,
        reml=method == "reml",
    )
    # Different arithmetic, same double precision; a sum of some hundred terms of order 1.
    assert found.deviance == pytest.approx(-2.0 * written_out.log_likelihood, rel=1e-10)
    np.testing.assert_allclose(found.beta, written_out.beta, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("method", ["ml", "reml"])
@pytest.mark.parametrize(("q", "residual"), MODELS)
def test_gradient_is_the_central_difference(q: int, residual: str, method: str, edge: str) -> None:
    deviance = engine(clinic(), q, residual, method)
    point = point_of(deviance, edge)
    _, gradient, _ = deviance.at(point)
    step = 1e-5
    for k in range(point.size):
        forth, back = point.copy(), point.copy()
        forth[k] += step
        back[k] -= step
        difference = (value_at(deviance, forth) - value_at(deviance, back)) / (2 * step)
        # Truncation is about step² times the third derivative (order 100), rounding about
        # 1e-16 × 300 / step = 3e-9.
        assert gradient[k] == pytest.approx(difference, rel=1e-6, abs=1e-7)


def test_gradient_in_the_random_covariance_is_the_central_difference() -> None:
    """What certifies a zero variance: the slope of the deviance in D, here along D + h vv'."""
    deviance = engine(clinic(), 2, "car1+nugget", "ml")
    point = np.array([0.8, -0.3, 0.4, 0.2, -0.5])
    direction = deviance.direction(deviance.at(point)[2])
    factor = np.array([[0.8, 0.0], [-0.3, 0.4]])
    v, h = np.array([0.6, -0.8]), 1e-5

    def along(amount: float) -> float:
        moved = np.linalg.cholesky(factor @ factor.T + amount * np.outer(v, v))
        return value_at(deviance, np.array([*moved[np.tril_indices(2)], *point[3:]]))

    assert v @ direction @ v == pytest.approx((along(h) - along(-h)) / (2 * h), rel=1e-6)


@pytest.mark.parametrize("residual", ["independent", "car1+nugget"])
def test_whitening_is_the_inverse_covariance(residual: str) -> None:
    data = clinic()
    phi, nugget = (0.0, 0.0) if residual == "independent" else (0.6, 0.3)
    covariance = Covariance(1.3, np.array([[0.8, 0.0], [-0.3, 0.4]]), phi, nugget)
    layout, z = Layout.of(data["patient"], data["time"]), random_part(data, 2)
    white = Whitener.of(layout, z[layout.order], covariance).apply(data["x"][layout.order])
    written_out = brute_force.evaluate(
        data["y"], data["x"], data["patient"], Z=z, D=covariance.random_covariance,
        sigma=1.3, weeks=data["time"], phi=phi, nugget=nugget,
    )  # fmt: skip
    np.testing.assert_allclose(white.T @ white, np.linalg.inv(written_out.covariance), rtol=1e-10)


# --- closed forms ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["ml", "reml"])
def test_without_random_effects_it_is_least_squares(method: str) -> None:
    data = clinic()
    n, p = data["x"].shape
    found = fit_mixed(data["y"], data["x"], data["patient"], z=np.empty((n, 0)), method=method)
    beta, (rss,), *_ = np.linalg.lstsq(data["x"], data["y"], rcond=None)
    dof = n - p if method == "reml" else n
    np.testing.assert_allclose(found.beta, beta, rtol=1e-10)
    assert found.covariance.sigma**2 == pytest.approx(rss / dof, rel=1e-10)
    expected = np.sqrt(rss / dof * np.diag(np.linalg.inv(data["x"].T @ data["x"])))
    np.testing.assert_allclose(found.std_error, expected, rtol=1e-10)
    assert found.status == "converged"
    assert found.n_parameters == p + 1


def test_balanced_one_way_reml_is_the_analysis_of_variance() -> None:
    """Searle, Casella & McCulloch 1992, Variance Components, section 3.8: REML = ANOVA when balanced."""
    rng = generator(8, "anova")
    groups, each = 30, 5
    y = rng.normal(size=groups)[:, None] * 1.5 + rng.normal(size=(groups, each))
    between = each * y.mean(axis=1).var(ddof=1)
    within = y.var(axis=1, ddof=1).mean()
    patient = np.repeat(np.arange(groups), each)
    found = fit_mixed(y.ravel(), np.ones((y.size, 1)), patient, method="reml")
    assert found.covariance.sigma**2 == pytest.approx(within, rel=2 * SEARCH)
    spread = found.covariance.random_covariance[0, 0]
    assert spread == pytest.approx((between - within) / each, rel=2 * SEARCH)
    assert found.std_error[0] == pytest.approx(np.sqrt(between / y.size), rel=SEARCH)


def test_all_but_one_single_rows() -> None:
    """Patients with one row add to the mean and to the sum of variances only; brute force agrees."""
    data = clinic()
    found = fit_mixed(data["y"], data["x"], data["patient"], time=data["time"], residual="car1")
    c = found.covariance
    written_out = brute_force.evaluate(
        data["y"], data["x"], data["patient"], Z=np.ones((data["y"].size, 1)), D=c.random_covariance,
        sigma=c.sigma, weeks=data["time"], phi=c.phi,
    )  # fmt: skip
    assert (np.bincount(data["patient"]) == 1).sum() >= 4
    assert found.log_likelihood == pytest.approx(written_out.log_likelihood, rel=1e-10)
    np.testing.assert_allclose(found.beta, written_out.beta, rtol=1e-8)
    np.testing.assert_allclose(found.std_error, written_out.std_error, rtol=1e-8)


# --- invariances -----------------------------------------------------------------------------------------

RICH = Case("nlme", "car1_nugget", "intercept_slope_car1_nugget", "ML")
RICH_REML = replace(RICH, method="REML")


def assert_same(a: MixedFit, b: MixedFit, *, log_likelihood: float = 0.0) -> None:
    """Two searches of one likelihood: same top, estimates within the search's tolerance."""
    assert b.log_likelihood - a.log_likelihood == pytest.approx(log_likelihood, abs=1e-7)
    np.testing.assert_allclose((b.beta - a.beta) / a.std_error, 0.0, atol=1e-5)
    np.testing.assert_allclose(b.std_error, a.std_error, rtol=1e-5)
    assert b.status == a.status


@pytest.mark.parametrize("case", [RICH, RICH_REML], ids=str)
def test_order_of_rows_and_names_of_patients_do_not_matter(case: Case) -> None:
    at = case.arguments()
    rng = generator(4, "order")
    shuffle = rng.permutation(at["y"].size)
    rename = rng.permutation(at["patient"].max() + 1)
    moved = {k: at[k][shuffle] for k in ("y", "x", "z", "time")} | {"patient": rename[at["patient"]][shuffle]}
    assert_same(fit_mixed(**at), fit_mixed(**(at | moved)))


@pytest.mark.parametrize("case", [RICH, RICH_REML], ids=str)
def test_time_in_days_instead_of_weeks(case: Case) -> None:
    at = case.arguments()
    x, z = at["x"] * [1.0, 7.0, 1.0, 1.0], at["z"] * [1.0, 7.0]
    weeks, days = fit_mixed(**at), fit_mixed(**(at | {"x": x, "z": z, "time": at["time"] * 7.0}))
    shift = -np.log(7.0) if case.method == "REML" else 0.0  # log|X'V⁻¹X|/2
    assert_same(weeks, replace(days, beta=days.beta * [1, 7, 1, 1], std_error=days.std_error * [1, 7, 1, 1]),
                log_likelihood=shift)  # fmt: skip
    assert days.covariance.phi**7 == pytest.approx(weeks.covariance.phi, abs=SEARCH)
    assert days.covariance.factor[1, 1] * 7 == pytest.approx(weeks.covariance.factor[1, 1], rel=1e-3)


@pytest.mark.parametrize("case", [RICH, RICH_REML], ids=str)
def test_pain_on_another_scale(case: Case) -> None:
    at = case.arguments()
    n, p = at["x"].shape
    short, long = fit_mixed(**at), fit_mixed(**(at | {"y": 30.0 + 10.0 * at["y"]}))
    dof = n - p if case.method == "REML" else n
    shrunk = replace(long, beta=(long.beta - [30.0, 0, 0, 0]) / 10.0, std_error=long.std_error / 10.0)
    assert_same(short, shrunk, log_likelihood=-dof * np.log(10.0))
    assert long.covariance.sigma == pytest.approx(10.0 * short.covariance.sigma, rel=SEARCH)
    np.testing.assert_allclose(long.covariance.factor, short.covariance.factor, atol=SEARCH)


def test_units_of_a_column_do_not_make_it_redundant() -> None:
    """A dose in millions of twitches: tiny beside a constant, yet a column of its own."""
    data = clinic()
    small = data["x"] * [1.0, 1.0, 1e-12]
    usual = fit_mixed(data["y"], data["x"], data["patient"])
    found = fit_mixed(data["y"], small, data["patient"])
    assert found.beta[2] == pytest.approx(usual.beta[2] * 1e12, rel=1e-5)


# --- the search ------------------------------------------------------------------------------------------


def test_a_warm_start_ends_at_the_same_top_and_sooner() -> None:
    at = RICH.arguments()
    cold = fit_mixed(**at)
    warm = fit_mixed(**at, start=cold.covariance)
    assert_same(cold, warm)
    assert warm.evaluations < cold.evaluations / 3
    far = Covariance(sigma=1.0, factor=np.array([[3.0, 0.0], [0.0, 0.01]]), phi=0.0, nugget=1.0)
    assert_same(cold, fit_mixed(**at, start=far))


@pytest.mark.parametrize("phi", [0.0, 0.999999])
@pytest.mark.parametrize("nugget", [0.0, 1.0])
def test_a_start_at_the_edge_is_no_trap(phi: float, nugget: float) -> None:
    """There the gradient in log rate and logit share is nil although the top is elsewhere."""
    at = RICH.arguments()
    edge = Covariance(sigma=1.0, factor=np.eye(2), phi=phi, nugget=nugget)
    assert fit_mixed(**at, start=edge).log_likelihood == pytest.approx(
        RICH.expected["log_likelihood"], abs=1e-6
    )


def test_a_zero_variance_start_is_left_when_the_deviance_falls_off_it() -> None:
    at = RICH.arguments()
    nothing = Covariance(sigma=1.0, factor=np.zeros((2, 2)), phi=0.5, nugget=0.5)
    assert_same(fit_mixed(**at), fit_mixed(**at, start=nothing))


def test_a_search_cut_short_is_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixed_deviance, "_MOST_STEPS", 1)
    found = RICH.fit()
    assert found.status == "failed"
    assert not found.converged
    assert "no optimum was certified" in found.message
    assert found.gradient > mixed_search.GRADIENT_TOLERANCE


@pytest.mark.parametrize("residual", ["independent", "car1"])
def test_a_start_without_a_likelihood_is_failed_not_an_error(residual: str) -> None:
    """Where no Cholesky root exists the deviance is infinite, and no optimum can be certified there."""
    deviance = engine(clinic(), 1, residual, "ml")
    deviance.data.packed[-2] = 0.0
    found = deviance.minimised(np.ones(1 + (residual == "car1")))
    assert found.deviance == np.inf
    assert found.open_gradient == np.inf


def hessians(data: dict[str, Any], q: int, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Hessian in ``D`` as computed, and as the difference of gradients along each direction of ``D``."""
    deviance = engine(data, q, "independent", method)
    a, b, c, _ = deviance.sums(np.inf, 0.0)
    factor = np.array([[0.8, 0.0], [-0.3, 0.4]])[:q, :q]
    directions = [np.diag([1.0, 0.0]), np.array([[0.0, 1.0], [1.0, 0.0]]), np.diag([0.0, 1.0])]
    h = 1e-5

    def at(root: np.ndarray) -> Any:
        lower = np.ascontiguousarray(root[np.tril_indices(q)])
        return deviance.kernels.evaluate(a, b, c, np.empty(0), lower, deviance.dof, method == "reml")

    found = []
    for direction in directions[: q * (q + 1) // 2]:
        move = h * direction[:q, :q]
        forth, back = (np.linalg.cholesky(factor @ factor.T + sign * move) for sign in (1.0, -1.0))
        found.append((at(forth)[2] - at(back)[2]) / (2 * h))
    return at(factor)[3], np.array(found)


@pytest.mark.parametrize("q", [1, 2])
def test_hessian_is_the_central_difference_of_the_gradient(q: int) -> None:
    computed, difference = hessians(clinic(), q, "ml")
    np.testing.assert_allclose(computed, difference, rtol=1e-6, atol=1e-6)


def test_a_random_intercept_collapses_by_number_of_visits() -> None:
    """With many patients an evaluation no longer depends on how many, and the optimum is the same."""
    data = clinic(11, patients=2_500)
    deviance = engine(data, 1, "independent", "ml")
    fewer, all_ = deviance._collapsed, deviance.sums(np.inf, 0.0)
    assert fewer[0].shape[1] < 100 < all_[0].shape[1]
    for reml, point in ((False, 0.3), (True, 1.7)):
        at = np.array([point]), deviance.dof, reml
        whole = deviance.kernels.evaluate(*all_[:3], np.empty(0), *at)
        small = deviance.kernels.evaluate(*fewer, *at)
        for one, other in zip(whole[1:], small[1:], strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-10, atol=1e-9 * abs(whole[1]))


# --- prepared rows, predictions --------------------------------------------------------------------------


def test_prepared_rows_serve_any_outcome_and_any_columns() -> None:
    at = RICH.arguments()
    rows = MixedData.of(at["x"], at["patient"], z=at["z"], time=at["time"])
    other = at["y"][::-1].copy()
    for y in (at["y"], other, at["y"]):
        direct = fit_mixed(**(at | {"y": y}))
        again = fit_prepared(rows, y, residual=at["residual"], method=at["method"])
        assert again.log_likelihood == direct.log_likelihood
        np.testing.assert_array_equal(again.beta, direct.beta)
    fewer = fit_prepared(rows.with_columns(at["x"][:, :3]), at["y"], residual=at["residual"])
    assert fewer.log_likelihood == fit_mixed(**(at | {"x": at["x"][:, :3]})).log_likelihood


def test_predictions_of_lme4() -> None:
    """Random effects of every patient and predictions of every row, as ``ranef`` and ``predict`` gave."""
    folder = REFERENCE / "lme4"
    effects, rows = pd.read_csv(folder / "effects.csv"), pd.read_csv(folder / "predictions.csv")
    checked = 0
    for (dataset, model, method), expected in effects.groupby(["dataset", "model", "method"]):
        case = Case("lme4", dataset, model, method)
        at, table = case.arguments(), read(dataset)
        data = MixedData.of(at["x"], at["patient"], z=at["z"], time=at["time"])
        fit = fit_prepared(data, at["y"], method=at["method"])
        found = predict_effects(fit, data, at["y"])
        names = np.unique(table["patient"])
        theirs = expected.set_index("patient").loc[names]
        size = np.sqrt(np.diag(fit.covariance.random_covariance)).max()
        columns = ["intercept", "slope"][: found.shape[1]]
        np.testing.assert_allclose(found, theirs[columns].to_numpy(), atol=SEARCH * size)
        said = rows[(rows["dataset"] == dataset) & (rows["model"] == model) & (rows["method"] == method)]
        predicted = at["x"] @ fit.beta + (at["z"] * found[at["patient"]]).sum(axis=1)
        np.testing.assert_allclose(predicted, said["predicted"], atol=SEARCH * size)
        checked += 1
    assert checked


def test_parameters_are_counted() -> None:
    at = RICH.arguments()
    assert RICH.fit().n_parameters == 4 + 3 + 2 + 1
    assert fit_mixed(**(at | {"residual": "car1"})).n_parameters == 4 + 3 + 1 + 1
    assert fit_mixed(**(at | {"residual": "independent", "z": None})).n_parameters == 4 + 1 + 1


def test_cost_grows_with_rows_not_with_their_square() -> None:
    """Counted, not timed: memory at its peak, likelihood evaluations, length of the only Python loop."""
    peaks, evaluations, steps = [], [], []
    for patients in (300, 600):
        data = clinic(3, patients=patients)
        arguments = {"z": random_part(data, 2), "time": data["time"], "residual": "car1+nugget"}
        tracemalloc.start()
        found = fit_mixed(data["y"], data["x"], data["patient"], **arguments)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        evaluations.append(found.evaluations)
        steps.append(len(Layout.of(data["patient"], data["time"]).steps))
    assert peaks[1] < 2.3 * peaks[0]  # a matrix of rows by rows would make it 4
    assert max(evaluations) < 400
    assert steps == [6, 6]


# --- layout ----------------------------------------------------------------------------------------------


def test_layout_of_three_patients_by_hand() -> None:
    patient = np.array([1, 0, 2, 1, 1, 2])
    time = np.array([5.0, 0.0, 1.0, 2.0, 9.0, 0.5])
    layout = Layout.of(patient, time)
    assert layout.patient.tolist() == [1, 2, 0]  # by falling number of rows
    assert layout.starts == (0, 3, 5, 6)
    assert layout.order.tolist() == [3, 5, 1, 0, 2, 4]
    assert layout.position.tolist() == [0, 1, 2, 0, 1, 0]
    assert layout.gaps.tolist() == [0.0, 0.0, 0.0, 3.0, 0.5, 4.0]
    assert layout.patient_sums(time[layout.order][:, None]).ravel().tolist() == [16.0, 1.5, 0.0]
    assert layout.n_patients == 3


def test_gaps_are_shared_only_while_all_patients_have_them() -> None:
    patient = np.repeat(np.arange(3), [3, 3, 2])
    regular = Layout.of(patient, np.array([0.0, 1.0, 2.0, 0.0, 1.0, 2.0, 0.0, 1.0]))
    assert [g.size for g in regular.step_gaps] == [1, 1, 1]
    late = Layout.of(patient, np.array([0.0, 1.0, 2.0, 0.0, 1.5, 2.5, 0.0, 1.0]))
    assert [g.size for g in late.step_gaps] == [1, 3, 2]


# --- refusals --------------------------------------------------------------------------------------------


def refusals() -> dict[str, tuple[dict[str, Any], str]]:
    data = clinic()
    n = data["y"].size
    hole = data["y"].copy()
    hole[3] = np.nan
    twice = np.column_stack([data["x"], data["x"][:, 1] - data["x"][:, 0]])
    correlated = {"residual": "car1"}
    same = data["time"].copy()
    same[data["patient"] == 10] = 1.0
    four = {k: data[k][:4] for k in ("y", "x", "time")} | {"patient": np.arange(4)}
    return {
        "not finite": ({"y": hole}, "must be finite"),
        "time not finite": ({"time": np.where(np.arange(n) == 0, np.inf, data["time"])}, "must be finite"),
        "few rows": (four, "at least 5 rows"),
        "three random": ({"z": np.ones((n, 3))}, "at most two"),
        "dependent": ({"x": twice}, "linearly dependent; drop"),
        "empty column": ({"x": np.column_stack([data["x"], np.zeros(n)])}, "linearly dependent; drop"),
        "dependent random": ({"z": np.ones((n, 2))}, "random-effect columns are linearly dependent"),
        "constant": ({"y": np.full(n, 4.0)}, "does not vary beyond"),
        "explained": ({"y": data["x"] @ [1.0, 2.0, 3.0]}, "does not vary beyond"),
        "no time": (correlated | {"time": None}, "need the time of each row"),
        "same time": (correlated | {"time": same}, "same time"),
    }


@pytest.mark.parametrize("name", refusals())
def test_what_cannot_be_fitted_is_refused_with_the_reason(name: str) -> None:
    changes, words = refusals()[name]
    with pytest.raises(FitError, match=words):
        fit_mixed(**(clinic() | changes))


def test_the_same_time_is_no_obstacle_to_independent_residuals() -> None:
    data = clinic()
    assert fit_mixed(**(data | {"time": np.zeros(data["y"].size)})).status == "converged"


# --- simulation ------------------------------------------------------------------------------------------


def test_intervals_cover() -> None:
    """200 data sets: the share of 95% intervals that hold the true slope, within Monte Carlo error.

    Fixed seed; model-based errors with an estimated covariance are a little short with 40 patients, so
    the range is 95% ± 4 Monte Carlo standard errors (1.5 points each).
    """
    covered = 0
    runs = 200
    for run in range(runs):
        data = clinic(1000 + run, patients=40)
        found = fit_mixed(data["y"], data["x"], data["patient"])
        covered += abs(found.beta[2] - 0.05) < 1.959964 * found.std_error[2]
    assert covered / runs == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / runs))
