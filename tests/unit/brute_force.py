"""The mixed-model likelihood written out plainly: the oracle the fast engine is held against.

One explicit covariance matrix per patient, dense linear algebra, no shortcut shared with the engine and no
optimiser: everything is evaluated at the parameters given.
With ``V_i = Z_i D Z_i' + R_i``, N rows in all and p columns in X::

    ML    -1/2 [ N     log 2π + Σ log|V_i|                  + Σ r_i' V_i⁻¹ r_i ]
    REML  -1/2 [ (N-p) log 2π + Σ log|V_i| + log|X' V⁻¹ X|  + Σ r_i' V_i⁻¹ r_i ]

with ``r = y - X β`` at the generalised-least-squares β. Laird & Ware 1982, Biometrics 38:963,
doi 10.2307/2529876.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Dense:
    """What the model says at the given parameters.

    ``beta`` and ``std_error`` are (p,), ``covariance`` is (p, p) = (X'V⁻¹X)⁻¹; ``effects`` (patients, q) are
    the best linear unbiased predictors D Z_i' V_i⁻¹ r_i in the order of ``np.unique(patient)``; ``fitted``
    (N,) is Xβ + Zb.
    """

    log_likelihood: float
    beta: np.ndarray
    std_error: np.ndarray
    covariance: np.ndarray
    effects: np.ndarray
    fitted: np.ndarray


def residual_covariance(
    weeks: np.ndarray, *, sigma: float, phi: float = 0.0, nugget: float = 0.0
) -> np.ndarray:
    """R (n, n): sigma² on the diagonal, sigma² (1 - nugget) phi^|gap| off it (phi = 0: independent)."""
    n = len(weeks)
    R = np.zeros((n, n))
    for j in range(n):
        for k in range(n):
            if j == k:
                R[j, k] = sigma**2
            elif phi > 0:
                R[j, k] = sigma**2 * (1 - nugget) * phi ** abs(weeks[j] - weeks[k])
    return R


def random_covariance(sd_intercept: float, sd_slope: float | None = None, corr: float = 0.0) -> np.ndarray:
    """D, (1, 1) or (2, 2), from standard deviations and correlation."""
    if sd_slope is None:
        return np.array([[sd_intercept**2]])
    covariance = corr * sd_intercept * sd_slope
    return np.array([[sd_intercept**2, covariance], [covariance, sd_slope**2]])


def evaluate(
    y: np.ndarray,
    X: np.ndarray,
    patient: np.ndarray,
    *,
    Z: np.ndarray | None = None,
    D: np.ndarray | None = None,
    sigma: float,
    weeks: np.ndarray | None = None,
    phi: float = 0.0,
    nugget: float = 0.0,
    reml: bool = False,
    beta: np.ndarray | None = None,
) -> Dense:
    """Evaluate the Gaussian mixed model at given covariance parameters (GLS beta unless one is given).

    Parameters
    ----------
    y : (N,) ; X : (N, p) ; patient : (N,) labels, rows in any order
    Z : (N, q) and D : (q, q), both or neither
    weeks : (N,) times of the residual correlation, needed when phi > 0
    """
    N, p = X.shape
    times = np.zeros(N) if weeks is None else weeks
    Z = np.zeros((N, 1)) if Z is None else Z
    D = np.zeros((Z.shape[1], Z.shape[1])) if D is None else D
    rows = [np.flatnonzero(patient == label) for label in np.unique(patient)]
    V = [Z[i] @ D @ Z[i].T + residual_covariance(times[i], sigma=sigma, phi=phi, nugget=nugget) for i in rows]
    information = sum(X[i].T @ np.linalg.solve(v, X[i]) for i, v in zip(rows, V, strict=True))
    if beta is None:
        score = sum(X[i].T @ np.linalg.solve(v, y[i]) for i, v in zip(rows, V, strict=True))
        beta = np.linalg.solve(information, score)
    r = y - X @ beta
    weighted = [np.linalg.solve(v, r[i]) for i, v in zip(rows, V, strict=True)]
    minus_twice = sum(np.linalg.slogdet(v)[1] + r[i] @ w for i, v, w in zip(rows, V, weighted, strict=True))
    minus_twice += (N - p if reml else N) * np.log(2 * np.pi)
    if reml:
        minus_twice += np.linalg.slogdet(information)[1]
    effects = np.array([D @ Z[i].T @ w for i, w in zip(rows, weighted, strict=True)])
    fitted = X @ beta
    for b, i in zip(effects, rows, strict=True):
        fitted[i] += Z[i] @ b
    covariance = np.linalg.inv(information)
    return Dense(-0.5 * minus_twice, beta, np.sqrt(np.diag(covariance)), covariance, effects, fitted)
