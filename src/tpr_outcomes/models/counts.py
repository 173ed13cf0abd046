r"""Model of how many twitches are elicited at a visit: Poisson quasi-likelihood and patient frailty.

The mean is :math:`\mu_{it}=\exp(x_{it}'\gamma)`; a patient who twitches more than the record explains
has a frailty :math:`f_i` with mean one and variance :math:`1/k`, so that counts are negative binomial
within patients (gamma–Poisson; Lawless 1987, doi:10.2307/3314912). Only first moments are relied on:
the quasi-score keeps its meaning when the counts are not Poisson.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tpr_outcomes.errors import FitError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class CountFit:
    """Poisson quasi-likelihood fit.

    Attributes
    ----------
    gamma : ndarray, shape (p,)
        Log-linear coefficients.
    mean : ndarray, shape (n,)
        Fitted mean counts.
    iterations : int
    """

    gamma: Array
    mean: Array
    iterations: int


def fit_counts(count: Array, x: Array, *, tolerance: float = 1e-10, most: int = 100) -> CountFit:
    """Solve the Poisson score equations ``x'(count - exp(x gamma)) = 0`` by Fisher scoring.

    Parameters
    ----------
    count : ndarray, shape (n,)
        Non-negative counts (need not be Poisson, nor whole).
    x : ndarray, shape (n, p)
        Columns of full rank; a constant must be in their span.

    Raises
    ------
    FitError
        If all counts are zero, or the iterations do not settle.
    """
    if not count.sum() > 0:
        raise FitError("All recorded doses are zero; there is no dose to model.")
    mean = (count + count.mean()) / 2.0
    eta = np.log(mean)
    deviance = np.inf
    gamma = np.zeros(x.shape[1])
    for iteration in range(1, most + 1):
        working = eta + (count - mean) / mean
        weighted = x * mean[:, None]
        gamma = np.linalg.lstsq(weighted.T @ x, weighted.T @ working, rcond=1e-12)[0]
        eta = np.clip(x @ gamma, -20.0, 20.0)
        mean = np.exp(eta)
        positive = count > 0
        now = (
            2.0 * (count[positive] * np.log(count[positive] / mean[positive])).sum()
            - 2.0 * (count - mean).sum()
        )
        if abs(now - deviance) <= tolerance * (abs(now) + 0.1):
            return CountFit(gamma=gamma, mean=mean, iterations=iteration)
        deviance = now
    raise FitError(f"The dose model did not settle in {most} iterations.")


def frailty_precision(count: Array, mean: Array, patient: NDArray[np.int64]) -> float:
    r"""Moment estimate of the gamma shape :math:`k` of patient frailty.

    With :math:`Y_i=\sum_t y_{it}`, :math:`m_i=\sum_t\mu_{it}` and within-patient overdispersed
    counts, :math:`E\sum_{s\ne t}(y_{is}-\mu_{is})(y_{it}-\mu_{it})=\tfrac1k\sum_{s\ne t}\mu_{is}\mu_{it}`
    whatever the visit-level variance; ``k`` is the ratio, held between 0.2 and 1e4.
    """
    residual = count - mean
    total = np.bincount(patient, residual)
    cross = (total**2).sum() - (residual**2).sum()
    weight = (np.bincount(patient, mean) ** 2).sum() - (mean**2).sum()
    if weight <= 0 or cross <= weight * 1e-4:
        return 1e4
    return float(min(max(weight / cross, 0.2), 1e4))


def log_frailty(count: Array, mean: Array, precision: float) -> Array:
    """Empirical-Bayes log frailty ``log((k + sum count) / (k + sum mean))`` from sums per patient."""
    return np.log((precision + count) / (precision + mean))
