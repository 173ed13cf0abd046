r"""Linear estimating equations with patients as clusters, on arrays.

:math:`\sum_i Z_i'W_i(y_i-D_i\theta)=0` with as many instruments :math:`Z` as columns of :math:`D`:
weighted least squares where they are the same, g-estimation of an additive blip where the first
instrument is the dose less its mean given the history. Beside the estimate stands each patient's
*influence* on it; the sum of squared influences is the sandwich variance (Liang & Zeger 1986,
doi:10.1093/biomet/73.1.13).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tpr_outcomes.errors import FitError
from tpr_outcomes.models.working import full_rank

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

_NOTHING_LEFT = 1e-8
"""Share of the dose's variation below which what history leaves free is rounding."""


def weighted_regression(
    y: Array, x: Array, weight: Array, patient: Ints, *, small_sample: bool = False
) -> tuple[Array, Array]:
    r"""Weighted least squares with patient-clustered influence (GEE, working independence).

    Parameters
    ----------
    y : ndarray, shape (r,)
    x : ndarray, shape (r, p)
        Columns; those that are combinations of columns before them are dropped.
    weight : ndarray, shape (r,)
    patient : ndarray of int, shape (r,)
        Cluster codes, each cluster's rows together.
    small_sample : bool, default False
        Multiply each patient's residuals by :math:`(I-H_{ii})^{-1}`, :math:`H` the hat matrix (Mancl &
        DeRouen 2001, doi:10.1111/j.0006-341X.2001.00126.x).

    Returns
    -------
    theta : ndarray, shape (p,)
    influence : ndarray, shape (n_patients, p)
        ``influence.T @ influence`` is the sandwich variance.
    """
    x = full_rank(x)
    theta, parts, inverse, _ = _solve(y, x, x, weight, patient, small_sample=small_sample)
    return theta, parts @ inverse.T


def g_estimate(
    outcome: Array,
    blip: Array,
    instrument: Array,
    course: Array,
    patient: Ints,
    *,
    weight: Array | None = None,
    instrument_slope: Array | None = None,
    dose_influence: Array | None = None,
    small_sample: bool = False,
) -> tuple[float, Array]:
    r"""Solve the linear estimating equation of an additive blip.

    Parameters
    ----------
    outcome, blip : ndarray, shape (r,)
        Ratings, and the change of dose between decision and rating that :math:`\psi` multiplies.
    instrument : ndarray, shape (r,)
        Dose less its mean given the history, times any function of history.
    course : ndarray, shape (r, p)
        Columns of the linear model of the natural course, a constant in their span.
    patient : ndarray of int, shape (r,)
        Cluster codes 0..n-1, each cluster's rows together.
    weight : ndarray, shape (r,), optional
    instrument_slope : ndarray, shape (r, b), optional
        Derivative of ``instrument`` in the coefficients of the dose model.
    dose_influence : ndarray, shape (n, b), optional
        Each patient's part in the error of those coefficients.
    small_sample : bool, default False
        As in :func:`weighted_regression`, with the hat matrix :math:`D(Z'WD)^{-1}Z'W`.

    Returns
    -------
    psi : float
    influence : ndarray, shape (n,)
        Each patient's part in the error of ``psi``; the sum of squares is the sandwich variance.

    Raises
    ------
    FitError
        If no dose is free to vary given the history.

    Notes
    -----
    With :math:`Z=[instrument, course]` and :math:`D=[blip, course]`,
    :math:`\hat\theta=(Z'WD)^{-1}Z'WY`; its first element is :math:`\psi`. With one lag and the instrument
    the least-squares residual of the dose on ``course`` this is ordinary least squares of the rating on
    dose and history.
    """
    w = np.ones(outcome.size) if weight is None else weight
    course = full_rank(course)
    z, d = np.column_stack([instrument, course]), np.column_stack([blip, course])
    unweighted = np.linalg.lstsq(course * np.sqrt(w)[:, None], blip * np.sqrt(w), rcond=1e-12)[0]
    free = (w * instrument) @ (blip - course @ unweighted)
    if not abs(free) > _NOTHING_LEFT * np.sqrt((w @ instrument**2) * (w @ blip**2)):
        raise FitError(
            "Given the recorded history no dose was free to vary, so its effect cannot be told from the "
            "history's; a clinic that doses by protocol needs a randomised comparison."
        )
    theta, parts, inverse, residual = _solve(outcome, d, z, w, patient, small_sample=small_sample)
    if instrument_slope is None or dose_influence is None:
        return float(theta[0]), parts @ inverse[0]
    influence = np.zeros(dose_influence.shape[0])
    influence[np.unique(patient)] = parts @ inverse[0]
    # The first equation moves when the coefficients of the dose model do.
    moved = dose_influence @ (instrument_slope.T @ (w * residual))
    return float(theta[0]), influence + inverse[0, 0] * moved


def by_patient(values: Array, patient: Ints, n: int) -> Array:
    """Sums of the rows of ``values`` within patients, shape (n, columns)."""
    total = np.zeros((n, values.shape[1]))
    np.add.at(total, patient, values)
    return total


def _solve(
    y: Array, d: Array, z: Array, w: Array, patient: Ints, *, small_sample: bool
) -> tuple[Array, Array, Array, Array]:
    """Solution, each patient's part of the equations there, inverse of ``Z'WD``, residuals."""
    weighted = z * w[:, None]
    inverse = np.asarray(np.linalg.inv(weighted.T @ d), dtype=np.float64)
    theta = inverse @ (weighted.T @ y)
    residual = y - d @ theta
    starts = np.flatnonzero(np.diff(patient, prepend=-1))
    used = residual
    if small_sample:
        used = residual.copy()
        reach = d @ inverse
        for start, end in zip(starts, np.append(starts[1:], patient.size), strict=True):
            own = slice(start, end)
            left = np.eye(end - start) - reach[own] @ weighted[own].T
            try:
                used[own] = np.linalg.solve(left, residual[own])
            except np.linalg.LinAlgError as error:
                raise FitError(
                    "One patient alone decides part of the model of the natural course, so its error "
                    "cannot be judged; pool more records or use small_sample=False."
                ) from error
    parts = np.add.reduceat(weighted * used[:, None], starts, axis=0)
    return theta, parts, inverse, residual
