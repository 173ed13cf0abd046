from __future__ import annotations

import numpy as np
import pytest

from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.estimating import by_patient, g_estimate, weighted_regression
from tpr_outcomes.inference.resample import generator


@pytest.fixture(scope="module")
def clinic() -> dict[str, np.ndarray]:
    rng = generator(21, "clinic")
    sizes = rng.integers(1, 7, 40)
    patient = np.repeat(np.arange(40), sizes)
    n = patient.size
    x = np.column_stack([rng.normal(size=n), np.ones(n), rng.normal(size=n)])
    y = x @ [0.5, 1.0, -0.3] + rng.normal(size=40)[patient] + rng.normal(size=n)
    return {"patient": patient, "x": x, "y": y, "weight": rng.uniform(0.3, 3.0, n)}


# statsmodels' bias-reduced covariance does not take weights; with weights the test below stands in for it.
@pytest.mark.parametrize(
    ("small_sample", "peer", "weighted"),
    [(False, "robust", True), (False, "robust", False), (True, "bias_reduced", False)],
)
def test_weighted_regression_is_statsmodels_gee(
    clinic: dict[str, np.ndarray], small_sample: bool, peer: str, weighted: bool
) -> None:
    from statsmodels.genmod.generalized_estimating_equations import GEE

    weight = clinic["weight"] if weighted else np.ones(clinic["y"].size)
    fit = GEE(clinic["y"], clinic["x"], groups=clinic["patient"], weights=weight if weighted else None).fit(
        cov_type=peer, ctol=1e-12
    )
    theta, influence = weighted_regression(
        clinic["y"], clinic["x"], weight, clinic["patient"], small_sample=small_sample
    )
    np.testing.assert_allclose(theta, fit.params, rtol=1e-8)
    np.testing.assert_allclose(np.sqrt((influence**2).sum(axis=0)), fit.bse, rtol=1e-8)


def test_small_sample_correction_is_the_leave_one_patient_out_residual(clinic: dict[str, np.ndarray]) -> None:
    """(I - H_ii)^-1 e_i is the residual of patient i from the fit without patient i."""
    y, x, w, patient = (clinic[name] for name in ("y", "x", "weight", "patient"))
    _, influence = weighted_regression(y, x, w, patient, small_sample=True)
    inverse = np.linalg.inv((x * w[:, None]).T @ x)
    own = patient == 7
    without = weighted_regression(y[~own], x[~own], w[~own], patient[~own])[0]
    left_out = y[own] - x[own] @ without
    np.testing.assert_allclose(influence[7], inverse @ (x[own].T @ (w[own] * left_out)), rtol=1e-9)


def test_g_estimate_of_a_randomised_dose_is_ordinary_least_squares(clinic: dict[str, np.ndarray]) -> None:
    y, x, patient = clinic["y"], clinic["x"], clinic["patient"]
    dose, course = x[:, 0], x[:, 1:]
    instrument = dose - course @ np.linalg.lstsq(course, dose)[0]
    psi, influence = g_estimate(y, dose, instrument, course, patient)
    theta, all_influence = weighted_regression(y, x, np.ones(y.size), patient)
    assert psi == pytest.approx(theta[0], rel=1e-12)
    # Same estimate, and the same error: both residuals are those of the same regression.
    np.testing.assert_allclose(influence, all_influence[:, 0], rtol=1e-9)


def test_g_estimate_stacks_the_dose_model() -> None:
    """The influence through the dose model equals a numerical derivative times its own influence."""
    rng = generator(22, "stack")
    n = 300
    patient = np.arange(n)
    h = np.column_stack([np.ones(n), rng.normal(size=n)])
    dose = rng.poisson(np.exp(0.5 + 0.4 * h[:, 1])).astype(float)
    y = h[:, 1] ** 2 - 0.3 * dose + rng.normal(size=n)  # course misspecified: the derivative is not zero
    beta = np.array([0.5, 0.4])
    course = np.ones((n, 1))

    def psi_at(b: np.ndarray) -> float:
        return g_estimate(y, dose, dose - np.exp(h @ b), course, patient)[0]

    derivative = [(psi_at(beta + 1e-5 * unit) - psi_at(beta - 1e-5 * unit)) / 2e-5 for unit in np.eye(2)]
    own = rng.normal(size=(n, 2))
    mean = np.exp(h @ beta)
    plain = g_estimate(y, dose, dose - mean, course, patient)[1]
    stacked = g_estimate(
        y, dose, dose - mean, course, patient, instrument_slope=-h * mean[:, None], dose_influence=own
    )[1]
    np.testing.assert_allclose(stacked - plain, own @ derivative, rtol=1e-6, atol=1e-9)


def test_g_estimate_refuses_a_dose_that_history_decides() -> None:
    h = np.column_stack([np.ones(30), np.arange(30.0)])
    with pytest.raises(FitError, match="free to vary"):
        g_estimate(np.arange(30.0), h[:, 1], np.zeros(30), h, np.arange(30))


def test_by_patient_adds_rows_within_patients() -> None:
    total = by_patient(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.array([0, 2, 2]), 3)
    assert total.tolist() == [[1, 2], [0, 0], [8, 10]]


# --- a linear Gaussian course whose answer is known --------------------------------------------------------

PSI = -0.4


@pytest.fixture(scope="module")
def two_visits() -> dict[str, np.ndarray]:
    """Y0 -> A0 -> Y1 -> A1 -> Y2 with exactly uncorrelated parts, so sample moments are the population's.

    L is natural pain; every unit of dose lowers all later ratings by 0.4. Pain drives dose (0.8 per point),
    and recovery is autoregressive, so past dose and current pain confound and mediate at once.
    """
    rng = generator(23, "sem")
    raw = rng.normal(size=(500, 6))
    raw -= raw.mean(axis=0)
    parts = np.linalg.qr(raw)[0] * np.sqrt(500)
    y0, e0, u1, e1, u2, trait = parts.T
    a0 = 4.0 + 0.8 * y0 + e0
    l1 = 0.6 * y0 + trait + u1
    y1 = l1 + PSI * a0
    a1 = 3.0 + 0.8 * y1 + 0.1 * a0 + 0.7 * e1
    l2 = 0.5 * l1 + trait + u2
    y2 = l2 + PSI * (a0 + a1)
    return {"y0": y0, "a0": a0, "y1": y1, "a1": a1, "y2": y2}


def test_g_estimation_over_all_lags_finds_the_effect_exactly(two_visits: dict[str, np.ndarray]) -> None:
    y0, a0, y1, a1, y2 = (two_visits[name] for name in ("y0", "a0", "y1", "a1", "y2"))
    one = np.ones(500)
    history0, history1 = np.column_stack([one, y0]), np.column_stack([one, y0, a0, y1])
    residual0 = a0 - history0 @ np.linalg.lstsq(history0, a0)[0]
    residual1 = a1 - history1 @ np.linalg.lstsq(history1, a1)[0]
    zero = np.zeros_like
    course = np.block([
        [history0, zero(history0), zero(history1)],
        [zero(history0), history0, zero(history1)],
        [zero(history0), zero(history0), history1],
    ])  # fmt: skip
    together = np.argsort(np.tile(np.arange(500), 3), kind="stable")
    psi, _ = g_estimate(
        np.concatenate([y1, y2, y2])[together],
        np.concatenate([a0, a0 + a1, a1])[together],
        np.concatenate([residual0, residual0, residual1])[together],
        course[together],
        np.repeat(np.arange(500), 3),
    )
    assert psi == pytest.approx(PSI, abs=1e-10)


def test_regression_on_cumulative_dose_does_not(two_visits: dict[str, np.ndarray]) -> None:
    """Neither leaving current pain out nor putting it in: the reason the module exists."""
    y0, a0, y1, a1, y2 = (two_visits[name] for name in ("y0", "a0", "y1", "a1", "y2"))
    total = a0 + a1
    without = np.linalg.lstsq(np.column_stack([total, np.ones(500), y0]), y2)[0][0]
    with_pain = np.linalg.lstsq(np.column_stack([total, np.ones(500), y0, y1]), y2)[0][0]
    assert abs(without - PSI) > 0.1
    assert abs(with_pain - PSI) > 0.05
