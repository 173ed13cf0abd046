r"""Is the response threshold-shaped, and where is the threshold?

Test. Against a rival :math:`r`, for every knot :math:`\tau` of a grid, the score of adding a hinge
:math:`(C-\tau)_+` to background plus rival is summed within patients,
:math:`U_i(\tau)=\sum_t \tilde h_{\tau,it}\, e_{it}`, and studentised by the patients themselves,

.. math:: T(\tau)=\frac{\sum_i U_i(\tau)}{\sqrt{\sum_i U_i(\tau)^2}},\qquad S=\max_\tau\{-T(\tau)\}

(relief is a negative slope change). The reference distribution keeps every patient's contribution and
flips its sign: one Rademacher sign per patient, shared by all knots and rivals (a patient-level
multiplier bootstrap; Hansen 1996, doi:10.2307/2171789, for the supremum of a score process under an
unidentified knot). :math:`p=(1+\#\{S_b\ge S\})/(B+1)`. A threshold is shown only if it beats *every*
rival, so the reported value is the largest of these p-values (intersection–union test: each at 5%, no
further correction; Berger 1982, doi:10.1080/00401706.1982.10487790).

Place. The likelihood of a pure hinge is profiled over :math:`\tau`; the interval is the set where the
deviance is within 5.0 of its minimum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tpr_outcomes.cohort.derive import Ratings
from tpr_outcomes.inference.resample import generator, rademacher
from tpr_outcomes.models import shapes
from tpr_outcomes.models.candidates import (
    BIC_RIVALS,
    HINGE,
    SCORE_RIVALS,
    Candidate,
    column_rivals,
    score_knots,
    threshold_grid,
)
from tpr_outcomes.models.working import Working

Array = NDArray[np.float64]

PROFILE_LIMIT = 5.0
"""Deviance within which a threshold stays in the interval (calibrated: 3.84 under-covers when the slope
is small; see docs/methods/threshold-verdict.md)."""
_NEGLIGIBLE = 1e-6
_MOST_SIGNS = 20_000_000


@dataclass(frozen=True)
class ScoreTests:
    """Hinge against each rival, by patient-level multiplier bootstrap.

    Attributes
    ----------
    knots : ndarray, shape (k,)
        Knots searched, doses.
    statistics : dict of str to ndarray, shape (k,)
        ``-T(tau)`` per rival: positive is relief beyond the rival; nan where the rival already spans
        the hinge.
    p_values : dict of str to float
        One-sided p-value per rival.
    replicates, seed : int
    """

    knots: Array
    statistics: dict[str, Array]
    p_values: dict[str, float]
    replicates: int
    seed: int

    @property
    def p_dose(self) -> float:
        """Any hinge (straight line included) beyond time alone."""
        return self.p_values["none"]

    @property
    def p_threshold(self) -> float:
        """Largest p-value over all rivals."""
        return max(self.p_values.values())

    @property
    def hardest_rival(self) -> str:
        """The rival the threshold beats least clearly."""
        return max(self.p_values, key=lambda name: self.p_values[name])


@dataclass(frozen=True)
class ThresholdProfile:
    """Profile deviance of a pure hinge over its threshold.

    Attributes
    ----------
    grid : ndarray, shape (g,)
        Thresholds tried, doses.
    deviance : ndarray, shape (g,)
        Deviance above the minimum.
    estimate : float
        Threshold with the smallest deviance.
    conf_low, conf_high : float
        Ends of the set within ``limit`` of the minimum, interpolated between grid points.
    open_low, open_high : bool
        True where the set runs into the end of the doses that were observed.
    slope, slope_error : float
        Change of the outcome per dose beyond the threshold at ``estimate``, and its patient-robust
        standard error (the threshold taken as known).
    relief_95 : float
        Relief this slope gives at the 95th percentile of the cumulative dose, outcome units.
    before, before_high : float
        Relief over the whole first segment (dose 0 to the threshold) when it is given its own slope,
        and its one-sided 95% upper bound, outcome units.
    limit, level : float
        Deviance limit, and the confidence level it was calibrated to.
    """

    grid: Array
    deviance: Array
    estimate: float
    conf_low: float
    conf_high: float
    open_low: bool
    open_high: bool
    slope: float
    slope_error: float
    relief_95: float
    before: float
    before_high: float
    limit: float = PROFILE_LIMIT
    level: float = 0.95


@dataclass(frozen=True)
class InformationCriteria:
    """Bayesian information criterion of each explanation, same whitening, ``log(patients)`` penalty.

    Attributes
    ----------
    bic : dict of str to float
        Deviance above the best rival's plus penalty; smaller is better.
    delta_bic : float
        Best rival minus hinge: positive favours the threshold.
    best_rival : str
    """

    bic: dict[str, float]
    delta_bic: float
    best_rival: str


@dataclass(frozen=True)
class ThresholdTest:
    """Everything the threshold claim rests on."""

    scores: ScoreTests
    criteria: InformationCriteria
    profile: ThresholdProfile


def threshold_test(working: Working, *, replicates: int = 1999, seed: int = 1) -> ThresholdTest:
    """Test and locate a threshold in the cumulative dose.

    Parameters
    ----------
    working : Working
        Ratings and their whitened background (:func:`tpr_outcomes.models.working.working_model`).
    replicates : int
        Multiplier bootstrap replicates; p-values are multiples of ``1 / (replicates + 1)``.
    seed : int
        Analysis seed.

    Returns
    -------
    ThresholdTest
    """
    return ThresholdTest(
        scores=score_tests(working, replicates=replicates, seed=seed),
        criteria=information_criteria(working),
        profile=threshold_profile(working),
    )


def hinge_columns(ratings: Ratings, knots: Array, unit: float) -> Array:
    """Hinges ``(C - tau)_+ / unit``, shape (n, k)."""
    return np.column_stack([shapes.hinge(ratings.dose_before, knot) / unit for knot in knots])


def score_tests(
    working: Working,
    *,
    replicates: int,
    seed: int,
    rivals: Sequence[Candidate] | None = None,
    extra: Array | None = None,
) -> ScoreTests:
    """Sup-score tests of a hinge against each rival (module notes).

    Parameters
    ----------
    working : Working
    replicates, seed : int
    rivals : sequence of Candidate, optional
        Default: the seven standing rivals and every other recorded dose.
    extra : ndarray, shape (n, k), optional
        Further background columns (rating order), e.g. patient frailty.
    """
    if rivals is None:
        rivals = (*SCORE_RIVALS, *column_rivals(working.ratings))
    knots = score_knots(working.ratings.dose_before)
    hinges = working.whiten(hinge_columns(working.ratings, knots, working.unit))
    basis = working.x
    if extra is not None:
        more = working.clear(working.whiten(extra))
        basis = np.concatenate([basis, _orthonormal(more)], axis=1)
    residual = working.y - basis @ (basis.T @ working.y)
    clear = hinges - basis @ (basis.T @ hinges)
    size = np.linalg.norm(hinges, axis=0)
    contributions = {}
    for rival in rivals:
        e, z = residual, clear
        column = rival.column(working.ratings, working.unit)
        if column is not None:
            direction = working.whiten(column[:, None])[:, 0]
            direction = direction - basis @ (basis.T @ direction)
            e, z = _project_out(direction, e, z)
        usable = np.linalg.norm(z, axis=0) > _NEGLIGIBLE * np.maximum(size, 1e-300)
        contributions[rival.name] = working.layout.patient_sums(z * e[:, None]), usable
    return _multiplier(contributions, knots, replicates, seed)


def _orthonormal(columns: Array) -> Array:
    """Orthonormal basis of the span, dropping what is numerically nil."""
    left, values, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(left[:, values > 1e-9 * max(values.max(initial=0.0), 1e-300)])


def _project_out(direction: Array, e: Array, z: Array) -> tuple[Array, Array]:
    square = direction @ direction
    if square <= 1e-300:
        return e, z
    return e - direction * (direction @ e / square), z - direction[:, None] * ((direction @ z) / square)


def _multiplier(
    contributions: dict[str, tuple[Array, NDArray[np.bool_]]], knots: Array, replicates: int, seed: int
) -> ScoreTests:
    """Observed suprema and their sign-flipped reference distribution, shared by all rivals."""
    names = list(contributions)
    n_patients = contributions[names[0]][0].shape[0]
    scaled, owner = [], []
    statistics = {}
    for index, name in enumerate(names):
        u, usable = contributions[name]
        scale = np.sqrt((u**2).sum(axis=0))
        usable = usable & (scale > 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            statistics[name] = np.where(usable, -u.sum(axis=0) / scale, np.nan)
        scaled.append(-u[:, usable] / scale[usable])
        owner.append(np.full(usable.sum(), index))
    stacked = np.concatenate(scaled, axis=1)
    belongs = np.concatenate(owner)
    observed = np.array([np.nanmax(s) if np.isfinite(s).any() else -np.inf for s in statistics.values()])
    exceed = np.zeros(len(names), dtype=np.int64)
    rng = generator(seed, "multiplier")
    block = max(1, _MOST_SIGNS // max(n_patients, 1))
    for first in range(0, replicates, block):
        draws = rademacher(rng, min(block, replicates - first), n_patients) @ stacked
        for index in range(len(names)):
            mine = draws[:, belongs == index]
            if mine.shape[1]:
                exceed[index] += int((mine.max(axis=1) >= observed[index] - 1e-12).sum())
            else:
                exceed[index] += draws.shape[0]
    p_values = {name: (1 + int(exceed[i])) / (replicates + 1) for i, name in enumerate(names)}
    return ScoreTests(knots=knots, statistics=statistics, p_values=p_values, replicates=replicates, seed=seed)


def residual_squares(working: Working, columns: Array) -> Array:
    """Whitened residual sum of squares after the background and one column each, shape (k,)."""
    y = working.clear(working.y)
    white = working.clear(working.whiten(columns))
    square = (white**2).sum(axis=0)
    explained = np.where(square > 1e-12, (white.T @ y) ** 2 / np.maximum(square, 1e-300), 0.0)
    return np.asarray(y @ y - explained)


def information_criteria(working: Working) -> InformationCriteria:
    """BIC of every rival and of the hinge, under the same whitening."""
    ratings, unit = working.ratings, working.unit
    penalty = np.log(ratings.n_patients)
    rivals = (*BIC_RIVALS, *column_rivals(ratings))
    columns: list[Array] = []
    spans: dict[str, tuple[int, int]] = {}
    for candidate in (*rivals, HINGE):
        grid = candidate.grid(ratings, unit)
        made = [candidate.column(ratings, unit, float(theta)) for theta in grid] or [candidate.column(ratings, unit)]
        made = [column for column in made if column is not None] or [np.zeros_like(ratings.pain)]
        spans[candidate.name] = (len(columns), len(columns) + len(made))
        columns.extend(made)  # type: ignore[arg-type]
    squares = residual_squares(working, np.column_stack(columns))
    bic = {
        candidate.name: float(squares[slice(*spans[candidate.name])].min() + candidate.n_parameters * penalty)
        for candidate in (*rivals, HINGE)
    }
    best = min((rival.name for rival in rivals), key=lambda name: bic[name])
    floor = bic[best]
    return InformationCriteria(
        bic={name: value - floor for name, value in bic.items()},
        delta_bic=floor - bic[HINGE.name],
        best_rival=best,
    )


def threshold_profile(working: Working, *, size: int = 60) -> ThresholdProfile:
    """Profile deviance of a pure hinge, its interval, and the slopes on both sides."""
    ratings, unit = working.ratings, working.unit
    grid = threshold_grid(ratings.dose_before, size)
    squares = residual_squares(working, hinge_columns(ratings, grid, unit))
    deviance = squares - squares.min()
    best = int(squares.argmin())
    low, high, open_low, open_high = _within(grid, deviance, PROFILE_LIMIT)
    estimate = float(grid[best])
    top = float(np.quantile(ratings.dose_before[ratings.dose_before > 0], 0.95))
    slope, error = robust_slopes(working, hinge_columns(ratings, grid[[best]], unit))
    pair = np.column_stack([ratings.dose_before / unit, hinge_columns(ratings, grid[[best]], unit)])
    slopes, errors = robust_slopes(working, pair)
    before = -float(slopes[0]) * estimate / unit
    return ThresholdProfile(
        grid=grid,
        deviance=deviance,
        estimate=estimate,
        conf_low=low,
        conf_high=high,
        open_low=open_low,
        open_high=open_high,
        slope=float(slope[0]) / unit,
        slope_error=float(error[0]) / unit,
        relief_95=-float(slope[0]) * max(top - estimate, 0.0) / unit,
        before=before,
        before_high=before + 1.645 * float(errors[0]) * estimate / unit,
    )


def _within(grid: Array, deviance: Array, limit: float) -> tuple[float, float, bool, bool]:
    """Hull of ``{tau: deviance <= limit}``, ends interpolated; and whether it runs off the grid."""
    inside = np.flatnonzero(deviance <= limit)
    first, last = int(inside[0]), int(inside[-1])
    low, high = float(grid[first]), float(grid[last])
    if first > 0:
        share = (deviance[first - 1] - limit) / (deviance[first - 1] - deviance[first])
        low = float(grid[first - 1] + share * (grid[first] - grid[first - 1]))
    if last < grid.size - 1:
        share = (limit - deviance[last]) / (deviance[last + 1] - deviance[last])
        high = float(grid[last] + share * (grid[last + 1] - grid[last]))
    return low, high, first == 0, last == grid.size - 1


def robust_slopes(working: Working, columns: Array) -> tuple[Array, Array]:
    """Joint slopes of columns (n, k) beyond the background, with patient-robust standard errors.

    Returns
    -------
    slopes, errors : ndarray, shape (k,)
        Generalised least squares with the working covariance; sandwich over patients
        (Liang and Zeger 1986, doi:10.1093/biomet/73.1.13). A column the background spans has slope 0
        and infinite error.
    """
    white = working.clear(working.whiten(columns))
    y = working.clear(working.y)
    size = np.linalg.norm(white, axis=0)
    if (size < 1e-8 * np.maximum(np.linalg.norm(columns, axis=0), 1e-300)).any():
        return np.zeros(columns.shape[1]), np.full(columns.shape[1], np.inf)
    bread = np.linalg.pinv(white.T @ white)
    slopes = bread @ (white.T @ y)
    scores = working.layout.patient_sums(white * (y - white @ slopes)[:, None])
    return slopes, np.sqrt(np.diag(bread @ (scores.T @ scores) @ bread))


def lone_slopes(working: Working, columns: Array) -> tuple[Array, Array]:
    """Slope of each column (n, k) on its own beyond the background, with patient-robust errors.

    As :func:`robust_slopes` with one column at a time; a column the background spans has slope 0 and
    infinite error.
    """
    white = working.clear(working.whiten(columns))
    y = working.clear(working.y)
    square = (white**2).sum(axis=0)
    seen = square > 1e-16 * np.maximum((columns**2).sum(axis=0), 1e-300)
    safe = np.where(seen, square, 1.0)
    slopes = np.where(seen, white.T @ y / safe, 0.0)
    scores = working.layout.patient_sums(white * (y[:, None] - white * slopes))
    return slopes, np.where(seen, np.sqrt((scores**2).sum(axis=0)) / safe, np.inf)
