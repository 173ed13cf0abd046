r"""Candidate → Fit: what the ratings say of one explanation, in scale points.

Every explanation shares the whitened background of :mod:`tpr_outcomes.models.working`, so generalised
least squares is ordinary least squares on whitened rows. With :math:`W=[X^*\; f^*]` (background and dose
column) and one score per patient, :math:`g_i=\sum_{t} W_{it} e_{it}`,

.. math:: \hat\gamma=(W'W)^{-1}W'y^*,\qquad
          \widehat{\mathrm{cov}}(\hat\gamma)=(W'W)^{-1}\Big(\sum_i g_i g_i'\Big)(W'W)^{-1}

(sandwich over patients: Liang and Zeger 1986, doi:10.1093/biomet/73.1.13). A nonlinear parameter
:math:`\theta_2` is profiled over the candidate's grid; intervals take it as known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from tpr_outcomes.cohort.derive import ratings
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError
from tpr_outcomes.models.candidates import Candidate, CandidateSet
from tpr_outcomes.models.working import Working, working_model

Array = NDArray[np.float64]

LEVEL = 0.95
_DEPENDENT = 1e-7


@dataclass(frozen=True, eq=False)
class Interval:
    """An estimate along some axis, with its pointwise interval.

    Attributes
    ----------
    at : ndarray, shape (k,)
        Where: doses or visit numbers.
    estimate, conf_low, conf_high : ndarray, shape (k,)
        Scale points.
    level : float
    """

    at: Array
    estimate: Array
    conf_low: Array
    conf_high: Array
    level: float = LEVEL


@dataclass(frozen=True, eq=False)
class Solution:
    """Generalised least squares of the ratings on background and further columns.

    Attributes
    ----------
    coefficients : ndarray, shape (p + k,)
        Background first, then the further columns; scale points per column unit, in the direction of
        the scale as recorded.
    covariance : ndarray, shape (p + k, p + k)
        Patient-robust covariance.
    deviance : float
        Whitened residual sum of squares.
    n_background : int
        p.
    """

    coefficients: Array
    covariance: Array
    deviance: float
    n_background: int

    @property
    def slopes(self) -> Array:
        """Coefficients of the further columns, shape (k,)."""
        return self.coefficients[self.n_background :]

    @property
    def slope_cov(self) -> Array:
        """Their robust covariance, shape (k, k)."""
        return self.covariance[self.n_background :, self.n_background :]

    def combine(self, weights: Array) -> tuple[Array, Array]:
        """Estimates and standard errors of linear combinations of all coefficients, weights (m, p + k)."""
        variance = np.einsum("mi,ij,mj->m", weights, self.covariance, weights)
        return np.asarray(weights @ self.coefficients), np.sqrt(np.maximum(variance, 0.0))


@dataclass(frozen=True, eq=False)
class Fit:
    """One explanation and what the data say of it.

    Attributes
    ----------
    candidate : Candidate
    theta2 : float or None
        Profiled nonlinear parameter (threshold or ED50, doses); None where the curve has none.
    solution : Solution
        Background and dose coefficients with their robust covariance.
    bic : float
        ``deviance + n_parameters * log(n_patients)``; the background is common and not counted.
    working : Working
        Ratings and background shared by all candidates.
    """

    candidate: Candidate
    theta2: float | None
    solution: Solution
    bic: float
    working: Working = field(repr=False)

    @property
    def coefficients(self) -> Array:
        """Background coefficients, then the dose slope if there is one."""
        return self.solution.coefficients

    @property
    def std_error(self) -> Array:
        """Patient-robust standard errors of ``coefficients``."""
        return np.sqrt(np.diag(self.solution.covariance))

    @property
    def deviance(self) -> float:
        """Whitened residual sum of squares."""
        return self.solution.deviance

    @property
    def slope(self) -> float | None:
        """Dose coefficient theta1, scale points per unit of the candidate's curve; None without a dose."""
        return None if self.candidate.history == "none" else float(self.solution.slopes[0])

    def curve(self, dose: Array | Iterable[float], *, level: float = LEVEL) -> Interval:
        """Dose part ``theta1 * f0(dose; theta2)`` with pointwise intervals.

        Parameters
        ----------
        dose : array_like, shape (k,)
            Values of the dose this candidate says acts (cumulative, last visit's, …).
        level : float
            Confidence level; theta2 is taken as known.

        Returns
        -------
        Interval
            Change of the rating against no dose at all, scale points; zero without a dose.
        """
        at = np.asarray(list(dose) if not isinstance(dose, np.ndarray) else dose, dtype=float)
        weights = np.zeros((at.size, self.coefficients.size))
        weights[:, -1] = self.candidate.curve(at, self.working.unit, self.theta2)
        return interval(at, *self.solution.combine(weights), level=level)

    def expected(self, *, with_dose: bool = True) -> Array:
        """Expected rating of each row, scale points, shape (n,).

        Parameters
        ----------
        with_dose : bool
            False sets the dose to zero: the course the same model expects without it. That is an
            extrapolation wherever few ratings have a small dose, and a statement about the world only
            if the model's background holds everything that moves dose and pain alike.
        """
        p = self.solution.n_background
        mean = self.working.nuisance @ self.coefficients[:p]
        column = self.candidate.column(self.working.ratings, self.working.unit, self.theta2)
        if with_dose and column is not None:
            mean = mean + column * self.coefficients[p]
        return np.asarray(mean)


def fit(
    candidate: Candidate, data: Working | Visits, *, theta2: float | None = None, dose: str = "twitches"
) -> Fit:
    """Fit one explanation.

    Parameters
    ----------
    candidate : Candidate
    data : Working or Visits
        A background already fitted (share it between candidates), or the visits to fit it to.
    theta2 : float, optional
        Fixes the threshold or ED50 of a profiled candidate instead of searching its grid, doses.
    dose : str
        Dose column, when ``data`` is Visits.

    Returns
    -------
    Fit

    Raises
    ------
    FitError
        If the background cannot be fitted, or cannot be told from the candidate's dose.
    """
    working = _working(data, dose)
    if theta2 is None:
        theta2, column = _best_column(candidate, working)
    else:
        column = candidate.column(working.ratings, working.unit, theta2)
    columns = np.empty((working.ratings.pain.size, 0)) if column is None else column[:, None]
    solution = solve(working, columns)
    bic = solution.deviance + candidate.n_parameters * float(np.log(working.ratings.n_patients))
    return Fit(candidate=candidate, theta2=theta2, solution=solution, bic=bic, working=working)


def fit_all(
    candidates: CandidateSet | Iterable[Candidate], data: Working | Visits, *, dose: str = "twitches"
) -> tuple[Fit, ...]:
    """Fit every member of a set on one shared background (see :func:`fit`)."""
    working = _working(data, dose)
    members = candidates.candidates if isinstance(candidates, CandidateSet) else tuple(candidates)
    return tuple(fit(member, working) for member in members)


def compare(fits: Iterable[Fit]) -> pd.DataFrame:
    """One row per fit, smallest information criterion first.

    Parameters
    ----------
    fits : iterable of Fit
        Fits that share one background.

    Returns
    -------
    pandas.DataFrame
        ``term`` (candidate name), ``label``, ``theta2``, ``estimate``, ``std_error``, ``conf_low``,
        ``conf_high``, ``p_value``, ``deviance``, ``n_parameters``, ``bic``, ``delta_bic`` (above the
        smallest). The estimate is the change of the rating at the 95th percentile of the candidate's
        own dose against none, scale points, so that curves of different shape can be compared. The
        p-value (normal, two-sided) is missing where theta2 was searched for: a searched curve needs
        :func:`tpr_outcomes.inference.threshold.threshold_test`.

    Raises
    ------
    ValueError
        If the fits do not share one background.
    """
    made = tuple(fits)
    if len({f.working.ratings.pain.size for f in made}) > 1 or any(
        f.working is not made[0].working for f in made
    ):
        raise ValueError("The fits have different backgrounds; fit them together with fit_all().")
    rows = [_row(f) for f in made]
    table = pd.DataFrame(rows).sort_values("bic", kind="stable", ignore_index=True)
    table["delta_bic"] = table["bic"] - table["bic"].min()
    return table


def solve(working: Working, columns: Array) -> Solution:
    """Ratings on background and ``columns`` (n, k) by GLS, with patient-robust covariance.

    Raises
    ------
    FitError
        If a column is a combination of the background and the columns before it.
    """
    p = working.nuisance.shape[1]
    design = working.whiten(np.column_stack([working.nuisance, columns]))
    size = np.linalg.norm(design, axis=0)
    q, r = np.linalg.qr(design / np.where(size > 0, size, 1.0))
    if (np.abs(np.diag(r)) < _DEPENDENT).any():
        raise FitError("The dose cannot be told from the background of visit number and first rating.")
    y = working.y
    half = q.T @ y
    residual = y - q @ half
    back = np.linalg.inv(r) / size[:, None]
    scores = working.layout.patient_sums(q * residual[:, None])
    covariance = back @ (scores.T @ scores) @ back.T
    return Solution(working.worse * (back @ half), covariance, float(residual @ residual), p)


def _working(data: Working | Visits, dose: str) -> Working:
    if isinstance(data, Working):
        return data
    return working_model(ratings(data, dose=dose), higher_is_worse=data.scale.higher_is_worse)


def _best_column(candidate: Candidate, working: Working) -> tuple[float | None, Array | None]:
    """Column of the candidate, at the best value of its nonlinear parameter."""
    grid = candidate.grid(working.ratings, working.unit)
    if not grid.size:
        return None, candidate.column(working.ratings, working.unit)
    columns = [candidate.column(working.ratings, working.unit, float(theta)) for theta in grid]
    stacked = np.column_stack([column for column in columns if column is not None])
    y = working.clear(working.y)
    white = working.clear(working.whiten(stacked))
    square = (white**2).sum(axis=0)
    explained = np.where(square > 1e-12, (white.T @ y) ** 2 / np.maximum(square, 1e-300), -1.0)
    best = int(explained.argmax())
    return float(grid[best]), stacked[:, best]


def _row(f: Fit) -> dict[str, object]:
    candidate = f.candidate
    row: dict[str, object] = {"term": candidate.name, "label": candidate.label, "theta2": f.theta2}
    if candidate.history == "none":
        estimate = error = low = high = p_value = np.nan
    else:
        dose = candidate.dose(f.working.ratings)
        positive = dose[dose > 0]
        top = np.array([np.quantile(positive, 0.95)]) if positive.size else np.zeros(1)
        at = f.curve(top)
        estimate, low, high = float(at.estimate[0]), float(at.conf_low[0]), float(at.conf_high[0])
        error = (high - low) / (2.0 * float(ndtri(0.5 + LEVEL / 2.0)))
        p_value = np.nan
        if not candidate.profiled and error > 0:
            p_value = float(2.0 * ndtr(-abs(estimate / error)))
    row.update(estimate=estimate, std_error=error, conf_low=low, conf_high=high, p_value=p_value)
    row.update(deviance=f.deviance, n_parameters=candidate.n_parameters, bic=f.bic)
    return row


def interval(at: Array, estimate: Array, error: Array, *, level: float = LEVEL) -> Interval:
    """Normal pointwise interval around estimates (k,) with standard errors (k,)."""
    reach = float(ndtri(0.5 + level / 2.0)) * error
    return Interval(at, estimate, estimate - reach, estimate + reach, level)
