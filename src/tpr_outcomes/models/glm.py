r"""Two generalised linear models on arrays: yes or no (logistic), overdispersed counts (negative binomial).

Both by Fisher scoring. The negative binomial (NB2, variance :math:`\mu+\alpha\mu^2`) alternates between the
coefficients given :math:`\alpha` and the best :math:`\alpha` given the means until neither moves: the joint
maximum, reached fast because the two are information-orthogonal (Lawless 1987, doi:10.2307/3314912).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import gammaln

from tpr_outcomes.errors import FitError

Array = NDArray[np.float64]

_MOST = 200
_SETTLED = 1e-9
"""Largest change of a linear predictor that counts as none: standard errors then agree to 1e-8."""
_CERTAIN = 18.0
"""A log odds this large is 1 in 65 million: perfect separation, not a probability."""
_LONGEST_STEP = 5.0
_LOG_DISPERSION = (-11.5, 4.0)
"""At the lower end the variance exceeds Poisson's by 1e-5 of the squared mean: Poisson in all but name."""


@dataclass(frozen=True, eq=False)
class LogisticFit:
    """Logistic regression.

    Attributes
    ----------
    beta : ndarray, shape (p,)
        Log odds per unit of each column.
    covariance : ndarray, shape (p, p)
        Inverse Fisher information.
    probability : ndarray, shape (n,)
        Fitted probabilities.
    separated : bool
        Some combination of columns predicts the answer without error, so that maximum-likelihood odds are
        infinite; estimates are then Firth's.
    """

    beta: Array
    covariance: Array
    probability: Array
    separated: bool


def fit_logistic(yes: Array, x: Array) -> LogisticFit:
    r"""Fit ``logit P(yes) = x beta`` by maximum likelihood; by Firth's method where that is infinite.

    Parameters
    ----------
    yes : ndarray, shape (n,)
        0 or 1.
    x : ndarray, shape (n, p)
        Columns; where they are linearly dependent the shortest solution is taken.

    Raises
    ------
    FitError
        If every answer is the same, or the iterations do not settle.

    Notes
    -----
    Score :math:`x'(y-p)=0`. Under separation :math:`x'\{y-p+h(\tfrac12-p)\}=0` with leverages :math:`h`: the
    likelihood times Jeffreys' prior (Firth 1993, doi:10.1093/biomet/80.1.27), whose estimates are finite.
    """
    if yes.size == 0 or yes.min() == yes.max():
        raise FitError(
            "All answers are the same, so nothing predicts them; leave this model out or pool more records."
        )
    for firth, fitted in ((False, _log_odds), (True, _firth_log_odds)):
        eta = fitted(yes, x)
        if eta is not None:
            p = 1.0 / (1.0 + np.exp(-eta))
            information = _information(x, p)
            beta = np.linalg.lstsq(x, eta, rcond=1e-12)[0].astype(np.float64)
            covariance = np.linalg.pinv(information, rcond=1e-12, hermitian=True).astype(np.float64)
            return LogisticFit(beta=beta, covariance=covariance, probability=p, separated=firth)
    raise FitError(f"A logistic model did not settle in {_MOST} iterations; use fewer columns.")


def _information(x: Array, p: Array) -> Array:
    information: Array = (x * (p * (1.0 - p))[:, None]).T @ x
    return information


def _log_odds(yes: Array, x: Array) -> Array | None:
    """Fitted log odds by Fisher scoring, or None where they run away."""
    eta = np.zeros(yes.size)
    for _ in range(_MOST):
        p = 1.0 / (1.0 + np.exp(-eta))
        inverse = np.linalg.pinv(_information(x, p), rcond=1e-12, hermitian=True)
        step = x @ (inverse @ (x.T @ (yes - p)))
        eta = eta + step
        if np.abs(eta).max() > _CERTAIN:
            return None
        if np.abs(step).max() < _SETTLED:
            return np.asarray(eta)
    return None


def _firth_log_odds(yes: Array, x: Array) -> Array | None:
    """Log odds that maximise the likelihood times Jeffreys' prior, or None where they do not settle."""
    u, sizes, _ = np.linalg.svd(x, full_matrices=False)
    basis = u[:, sizes > 1e-10 * sizes[0]]

    def penalised(eta: Array) -> float:
        p = 1.0 / (1.0 + np.exp(-eta))
        likelihood = float((yes * eta - np.logaddexp(0.0, eta)).sum())
        return likelihood + 0.5 * float(np.linalg.slogdet(_information(basis, p))[1])

    eta = np.zeros(yes.size)
    now, before, damping = penalised(eta), np.inf, 1.0
    for _ in range(_MOST):
        p = 1.0 / (1.0 + np.exp(-eta))
        inverse = np.linalg.inv(_information(basis, p))
        leverage = p * (1.0 - p) * np.einsum("ij,jk,ik->i", basis, inverse, basis)
        step = basis @ (inverse @ (basis.T @ (yes - p + leverage * (0.5 - p))))
        size = float(np.abs(step).max())
        if size < _SETTLED:
            return np.asarray(eta)
        # The step leaves out the curvature of the penalty and may swing to and fro across the top.
        damping, before = (0.5 if size > before / 2 else 1.0), size
        length = min(damping, _LONGEST_STEP / size)
        while penalised(eta + length * step) < now and length * size > _SETTLED:
            length /= 2.0
        eta = eta + length * step
        now = penalised(eta)
        if length * size <= _SETTLED:
            return np.asarray(eta)
    return None


@dataclass(frozen=True, eq=False)
class NegativeBinomialFit:
    r"""Negative binomial (NB2) regression with log link.

    Attributes
    ----------
    beta : ndarray, shape (p,)
        Change of the log mean per unit of each column.
    dispersion : float
        :math:`\alpha` in the variance :math:`\mu+\alpha\mu^2`; 1/``dispersion`` is the "size".
    mean : ndarray, shape (n,)
        Fitted means.
    log_density : ndarray, shape (n,)
        Log probability of each observed count.
    """

    beta: Array
    dispersion: float
    mean: Array
    log_density: Array


def fit_negative_binomial(count: Array, x: Array) -> NegativeBinomialFit:
    """Fit an NB2 regression by maximum likelihood.

    Parameters
    ----------
    count : ndarray, shape (n,)
        Whole numbers, 0 or more.
    x : ndarray, shape (n, p)
        Columns; a constant must be in their span.

    Raises
    ------
    FitError
        If counts are not whole numbers, are all zero, or the iterations do not settle.
    """
    if not count.sum() > 0:
        raise FitError("All recorded doses are zero; there is no dose to model.")
    if (count < 0).any() or (count != np.round(count)).any():
        raise FitError(
            "Some doses are not whole numbers of 0 or more, which a model of counts needs; "
            'use dose_model="normal" for a dose that is measured rather than counted.'
        )
    dispersion, likelihood = 0.1, -np.inf
    mean = _log_linear(count, x, dispersion, (count + count.mean()) / 2.0)[1]
    for _ in range(_MOST):
        before, likelihood_before = dispersion, likelihood
        dispersion = _most_likely_dispersion(count, mean)
        beta, mean = _log_linear(count, x, dispersion, mean)
        log_density = nb_log_density(count, mean, dispersion)
        likelihood = float(log_density.sum())
        # Close to Poisson the likelihood is flat in the dispersion, and what moves it is rounding.
        rounding = 1e-15 * count.size * abs(float(gammaln(1.0 / dispersion)))
        if abs(np.log(dispersion / before)) < 1e-7 or abs(likelihood - likelihood_before) <= rounding:
            return NegativeBinomialFit(beta=beta, dispersion=dispersion, mean=mean, log_density=log_density)
    raise FitError(f"The negative binomial dose model did not settle in {_MOST} rounds.")


def nb_log_density(count: Array, mean: Array, dispersion: float) -> Array:
    r"""Log probability of counts, NB2.

    Notes
    -----
    With size :math:`r=1/\alpha`:
    :math:`\log\Gamma(y+r)-\log\Gamma(r)-\log y!+r\log\frac{r}{r+\mu}+y\log\frac{\mu}{r+\mu}`.
    """
    size = 1.0 / dispersion
    log_ways = gammaln(count + size) - gammaln(size) - gammaln(count + 1.0)
    density: Array = log_ways - size * np.log1p(mean / size) + count * np.log(mean / (size + mean))
    return density


def _log_linear(count: Array, x: Array, dispersion: float, mean: Array) -> tuple[Array, Array]:
    """Coefficients and means for a known dispersion, starting from ``mean``."""
    eta = np.log(mean)
    for _ in range(_MOST):
        weight = mean / (1.0 + dispersion * mean)
        weighted = x * weight[:, None]
        working = eta + (count - mean) / mean
        beta: Array = np.linalg.lstsq(weighted.T @ x, weighted.T @ working, rcond=1e-12)[0].astype(np.float64)
        new = np.clip(x @ beta, -20.0, 20.0)
        change, eta = float(np.abs(new - eta).max()), new
        mean = np.exp(eta)
        if change < _SETTLED:
            return beta, mean
    raise FitError(f"The mean of the dose did not settle in {_MOST} iterations.")


def _most_likely_dispersion(count: Array, mean: Array) -> float:
    found = minimize_scalar(
        lambda log_alpha: -nb_log_density(count, mean, float(np.exp(log_alpha))).sum(),
        bounds=_LOG_DISPERSION,
        method="bounded",
        options={"xatol": 1e-9},
    )
    return float(np.exp(found.x))
