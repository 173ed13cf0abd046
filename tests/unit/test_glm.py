from __future__ import annotations

import numpy as np
import pytest

from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.models.glm import fit_logistic, fit_negative_binomial, nb_log_density


@pytest.fixture(scope="module")
def columns() -> np.ndarray:
    rng = generator(11, "glm columns")
    return np.column_stack([np.ones(400), rng.normal(size=(400, 3))])


def test_logistic_agrees_with_statsmodels(columns: np.ndarray) -> None:
    from statsmodels.discrete.discrete_model import Logit

    rng = generator(12, "logistic")
    yes = (rng.random(400) < 1 / (1 + np.exp(-columns @ [0.3, 1.0, -0.5, 0.0]))).astype(float)
    peer = Logit(yes, columns).fit(disp=0, tol=1e-12)
    ours = fit_logistic(yes, columns)
    assert not ours.separated
    np.testing.assert_allclose(ours.beta, peer.params, rtol=1e-9)
    np.testing.assert_allclose(np.sqrt(np.diag(ours.covariance)), peer.bse, rtol=1e-8)
    np.testing.assert_allclose(ours.probability, peer.predict(), rtol=1e-9)


def test_logistic_separation_gives_firths_estimate() -> None:
    """A saturated two-by-two table: Firth's estimate adds one half to every cell."""
    group = np.repeat([0.0, 1.0], [10, 8])
    yes = np.concatenate([np.repeat([0.0, 1.0], [6, 4]), np.ones(8)])
    fit = fit_logistic(yes, np.column_stack([np.ones(18), group]))
    assert fit.separated
    low, high = np.log(4.5 / 6.5), np.log(8.5 / 0.5)
    np.testing.assert_allclose(fit.beta, [low, high - low], rtol=1e-7)


def test_firths_estimate_solves_its_score_equation() -> None:
    """x'(y - p + h (1/2 - p)) = 0 with several columns, one of which separates."""
    rng = generator(15, "firth")
    x = np.column_stack([np.ones(60), rng.normal(size=(60, 3)), np.arange(60) < 8])
    yes = (rng.random(60) < 1 / (1 + np.exp(-x[:, 1]))).astype(float)
    yes[:8] = 1.0
    fit = fit_logistic(yes, x)
    assert fit.separated
    p = fit.probability
    leverage = p * (1 - p) * np.einsum("ij,jk,ik->i", x, fit.covariance, x)
    np.testing.assert_allclose(x.T @ (yes - p + leverage * (0.5 - p)), 0.0, atol=1e-7)
    assert np.isfinite(fit.beta).all()


def test_logistic_copes_with_dependent_columns(columns: np.ndarray) -> None:
    rng = generator(13, "dependent")
    yes = (rng.random(400) < 0.4).astype(float)
    twice = fit_logistic(yes, np.column_stack([columns, columns[:, 1]]))
    once = fit_logistic(yes, columns)
    np.testing.assert_allclose(twice.probability, once.probability, rtol=1e-8)


def test_logistic_refuses_one_answer() -> None:
    with pytest.raises(FitError, match="All answers are the same"):
        fit_logistic(np.ones(5), np.ones((5, 1)))


def test_negative_binomial_agrees_with_statsmodels(columns: np.ndarray) -> None:
    from statsmodels.discrete.discrete_model import NegativeBinomial

    rng = generator(14, "negative binomial")
    mean = np.exp(columns @ [1.5, 0.3, -0.2, 0.0])
    count = rng.poisson(mean * rng.gamma(3.0, 1 / 3.0, 400)).astype(float)
    peer = NegativeBinomial(count, columns).fit(disp=0, method="newton", maxiter=200, tol=1e-12)
    ours = fit_negative_binomial(count, columns)
    np.testing.assert_allclose(ours.beta, peer.params[:-1], rtol=1e-6, atol=1e-9)
    assert ours.dispersion == pytest.approx(peer.params[-1], rel=1e-6)
    assert ours.log_density.sum() == pytest.approx(peer.llf, rel=1e-12)


def test_negative_binomial_of_poisson_counts_is_poisson_in_all_but_name(columns: np.ndarray) -> None:
    from scipy.stats import poisson

    count = np.round(np.exp(columns @ [2.0, 0.1, 0.0, 0.0]))  # less spread than Poisson
    fit = fit_negative_binomial(count, columns)
    assert fit.dispersion < 2e-5
    np.testing.assert_allclose(fit.log_density, poisson.logpmf(count, fit.mean), atol=1e-2)


def test_negative_binomial_density_is_scipys() -> None:
    from scipy.stats import nbinom

    count, mean = np.arange(6.0), np.full(6, 2.5)
    size = 1 / 0.4
    np.testing.assert_allclose(
        nb_log_density(count, mean, 0.4), nbinom.logpmf(count, size, size / (size + mean)), rtol=1e-12
    )


@pytest.mark.parametrize("count", [[0.0, 0.0, 0.0], [1.5, 2.0, 3.0], [-1.0, 2.0, 3.0]])
def test_negative_binomial_refuses_what_are_no_counts(count: list[float]) -> None:
    with pytest.raises(FitError):
        fit_negative_binomial(np.array(count), np.ones((3, 1)))
