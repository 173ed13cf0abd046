r"""Is the response threshold-shaped, and where is the threshold?

Test. Against a rival :math:`r`, for every candidate threshold :math:`\tau` and both threshold shapes —
a hinge :math:`(C-\tau)_+` and a step :math:`1[C>\tau]` — the score of adding that column to background
plus rival is, on whitened rows with everything else projected out,

.. math:: T_k=-\frac{\sum_i U_{ik}}{\lVert\tilde h_k\rVert},\qquad U_{ik}=\sum_t\tilde h_{k,it}\,e_{it}

(positive is relief; whitened residuals have variance one). The scores are averaged over thresholds as
is optimal when the threshold is unknown (exponential average of Andrews and Ploberger 1994,
doi:10.2307/2951753, one-sided),

.. math:: S=\log\Big[(1-w)\,\overline{\exp(\tfrac12 (T_k)_+^2)}^{\;hinges}
          + w\,\overline{\exp(\tfrac12 (T_k)_+^2)}^{\;steps}\Big],\qquad w=0.1.

The reference distribution keeps every patient's contribution and flips its sign: one Rademacher sign
per patient, shared by all thresholds and rivals (a patient-level multiplier bootstrap; Hansen 1996,
doi:10.2307/2171789). It holds whatever the covariance within patients.
:math:`p=(1+\#\{S_b\ge S\})/(B+1)`. A threshold is shown only if it beats *every* rival, so the value
reported is the largest of these p-values (intersection–union test: each at 5%, no further correction;
Berger 1982, doi:10.1080/00401706.1982.10487790).

Place. The likelihood of a hinge (of a step, when that fits decisively better) is profiled over
:math:`\tau`; the interval holds every threshold, as hinge or as step, that a conditional likelihood ratio
does not rule out (:mod:`~tpr_outcomes.inference.threshold_interval`; steps widened to the next observed
doses: between two of them all steps are the same).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tpr_outcomes.cohort.derive import Ratings
from tpr_outcomes.inference.resample import generator, rademacher
from tpr_outcomes.inference.threshold_interval import (
    LEVEL,
    Directions,
    Selection,
    ThresholdSet,
    threshold_sets,
)
from tpr_outcomes.models import shapes
from tpr_outcomes.models.candidates import (
    BIC_RIVALS,
    HINGE,
    SCORE_RIVALS,
    STEP,
    Candidate,
    column_rivals,
    score_knots,
    threshold_grid,
)
from tpr_outcomes.models.working import Working, dose_top

Array = NDArray[np.float64]

SHAPE_MARGIN = 6.0
"""A step is taken for the shape only when its deviance is lower than the best hinge's by more than this
(odds of 20 to 1): the best of many steps follows noise more closely than the best of many hinges."""
BIC_MARGIN = 1.0
"""The threshold's BIC must be lower than every rival's by more than this."""
MANY = 150
"""Patients from which on BIC's own penalty is enough to keep straight lines from passing for thresholds."""
FEW_PENALTY = 1.4
"""With fewer, a threshold pays this times ``log(MANY / patients)`` more: BIC's penalty shrinks with the
number of patients, the gain from searching the place of a bend does not."""
STEP_WEIGHT = 0.1
"""Weight of the step-shaped thresholds in the average; the hinges share the rest."""
_NEGLIGIBLE = 1e-6
_MOST_SIGNS = 20_000_000


@dataclass(frozen=True)
class ScoreTests:
    """Threshold shapes against each rival, by patient-level multiplier bootstrap.

    Attributes
    ----------
    knots : ndarray, shape (k,)
        Thresholds searched with a hinge, doses.
    step_knots : ndarray, shape (m,)
        Thresholds searched with a step, doses.
    statistics : dict of str to ndarray, shape (k,)
        Hinge scores per rival: positive is relief beyond the rival; nan where the rival already spans
        the hinge.
    step_statistics : dict of str to ndarray, shape (m,)
        Step scores per rival.
    averages : dict of str to float
        Exponential average of the scores per rival: the test statistic.
    p_values : dict of str to float
        One-sided p-value per rival.
    replicates, seed : int
    """

    knots: Array
    step_knots: Array
    statistics: dict[str, Array]
    step_statistics: dict[str, Array]
    averages: dict[str, float]
    p_values: dict[str, float]
    replicates: int
    seed: int

    @property
    def p_dose(self) -> float:
        """Any of the shapes (straight line included) beyond time alone."""
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
    """Profile deviance of a threshold, over hinge and step.

    Attributes
    ----------
    grid : ndarray, shape (g,)
        Thresholds tried, doses.
    deviance : ndarray, shape (g,)
        Deviance of the chosen shape above its minimum.
    shape : {"hinge", "step"}
        Hinge, unless a step fits decisively better (:data:`SHAPE_MARGIN`).
    estimate : float
        Threshold with the smallest deviance.
    conf_low, conf_high : float
        Ends of the set of thresholds not ruled out, over both shapes, interpolated between grid points.
    open_low, open_high : bool
        True where the set runs into the end of the doses that were observed.
    may_be_step : bool
        Whether some step is not ruled out either.
    bend : float
        Threshold of the best hinge, doses (equal to ``estimate`` when the shape is a hinge).
    slope, slope_error : float
        Change of the outcome per dose beyond the best hinge's threshold, and its patient-robust
        standard error (the threshold taken as known).
    relief_95 : float
        Relief of the best shape at the 95th percentile of the cumulative dose, outcome units.
    before, before_high : float
        Relief over the whole first segment (dose 0 to the threshold) when it is given its own slope,
        and its one-sided 95% upper bound, outcome units.
    level : float
        Confidence level.
    """

    grid: Array
    deviance: Array
    shape: str
    estimate: float
    conf_low: float
    conf_high: float
    open_low: bool
    open_high: bool
    may_be_step: bool
    bend: float
    slope: float
    slope_error: float
    relief_95: float
    before: float
    before_high: float
    level: float = LEVEL


@dataclass(frozen=True)
class InformationCriteria:
    """Bayesian information criterion of each explanation, same whitening, ``log(patients)`` penalty.

    With fewer than :data:`MANY` patients hinge and step pay more (:data:`FEW_PENALTY`).

    Attributes
    ----------
    bic : dict of str to float
        Deviance above the best rival's plus penalty; smaller is better.
    delta_bic : float
        Best rival minus the better of hinge and step: positive favours a threshold.
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


def threshold_test(
    working: Working, *, replicates: int = 1999, seed: int = 1, best: float | None = None
) -> ThresholdTest:
    """Test and locate a threshold in the cumulative dose.

    Parameters
    ----------
    working : Working
        Ratings and their whitened background (:func:`tpr_outcomes.models.working.working_model`).
    replicates : int
        Multiplier bootstrap replicates; p-values are multiples of ``1 / (replicates + 1)``.
    seed : int
        Analysis seed.
    best : float, optional
        Best end of the scale: see :func:`threshold_profile`.

    Returns
    -------
    ThresholdTest
    """
    criteria = information_criteria(working)
    return ThresholdTest(
        scores=score_tests(working, replicates=replicates, seed=seed),
        criteria=criteria,
        profile=threshold_profile(working, seed=seed, selected=criteria.delta_bic > BIC_MARGIN, best=best),
    )


def hinge_columns(ratings: Ratings, knots: Array, unit: float) -> Array:
    """Hinges ``(C - tau)_+ / unit``, shape (n, k)."""
    columns = [shapes.hinge(ratings.dose_before, knot) / unit for knot in knots]
    return np.column_stack(columns) if columns else np.empty((ratings.pain.size, 0))


def step_columns(ratings: Ratings, knots: Array) -> Array:
    """Steps ``1[C > tau]``, shape (n, m)."""
    return np.column_stack([shapes.step(ratings.dose_before, knot) for knot in knots])


def score_tests(
    working: Working,
    *,
    replicates: int,
    seed: int,
    rivals: Sequence[Candidate] | None = None,
    extra: Array | None = None,
) -> ScoreTests:
    """Averaged score tests of the threshold shapes against each rival (module notes).

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
    fixed = [(rival.name, best_column(working, rival)) for rival in rivals]
    knots = score_knots(working.ratings.dose_before)
    steps = knots[knots > 0] if (knots > 0).any() else knots
    raw = np.concatenate(
        [hinge_columns(working.ratings, knots, working.unit), step_columns(working.ratings, steps)], axis=1
    )
    columns = working.whiten(raw)
    size = np.linalg.norm(columns, axis=0)
    basis = working.x
    if extra is not None:
        more = working.whiten(extra)
        basis = np.concatenate(
            [basis, _orthonormal(working.clear(more), float(np.linalg.norm(more)))], axis=1
        )
    residual = working.y - basis @ (basis.T @ working.y)
    clear = columns - basis @ (basis.T @ columns)
    scaled: dict[str, Array] = {}
    for name, column in fixed:
        e, z = residual, clear
        if column is not None:
            direction = working.whiten(column[:, None])[:, 0]
            e, z = _project_out(direction - basis @ (basis.T @ direction), e, z)
        norm = np.linalg.norm(z, axis=0)
        usable = norm > _NEGLIGIBLE * np.maximum(size, 1e-300)
        contributions = -working.layout.patient_sums(z * e[:, None])
        scaled[name] = np.where(usable, contributions / np.where(usable, norm, 1.0), np.nan)
    return _multiplier(scaled, knots, steps, replicates, seed)


def best_column(working: Working, rival: Candidate) -> Array | None:
    """A rival's column (n,), its nonlinear parameter, if any, at the value that fits best."""
    grid = rival.grid(working.ratings, working.unit)
    if not grid.size:
        return rival.column(working.ratings, working.unit)
    made = np.column_stack([_column(working, rival, float(theta)) for theta in grid])
    return np.asarray(made[:, int(residual_squares(working, made).argmin())])


def _column(working: Working, candidate: Candidate, theta: float) -> Array:
    column = candidate.column(working.ratings, working.unit, theta)
    return np.zeros_like(working.ratings.pain) if column is None else column


def _orthonormal(columns: Array, size: float) -> Array:
    """Orthonormal basis of the span, dropping what is nil beside the ``size`` of the columns as they were."""
    left, values, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(left[:, values > 1e-9 * max(size, 1e-300)])


def _project_out(direction: Array, e: Array, z: Array) -> tuple[Array, Array]:
    square = direction @ direction
    if square <= 1e-300:
        return e, z
    return e - direction * (direction @ e / square), z - direction[:, None] * ((direction @ z) / square)


def exponential_average(scores: Array, n_hinges: int) -> Array:
    """Weighted exponential average of scores (..., k): hinges first, then steps; nan scores left out.

    Notes
    -----
    ``log((1-w) mean_hinges exp(T+^2/2) + w mean_steps exp(T+^2/2))``, computed without overflow. A
    family without a usable score counts as score 0.
    """
    half = 0.5 * np.maximum(scores, 0.0) ** 2
    usable = np.isfinite(scores.reshape(-1, scores.shape[-1])[0]) if scores.size else np.zeros(0, dtype=bool)
    hinges = half[..., :n_hinges][..., usable[:n_hinges]]
    steps = half[..., n_hinges:][..., usable[n_hinges:]]
    top = np.maximum(hinges.max(axis=-1, initial=0.0), steps.max(axis=-1, initial=0.0))
    total = np.zeros(scores.shape[:-1])
    for family, weight in ((hinges, 1.0 - STEP_WEIGHT), (steps, STEP_WEIGHT)):
        if family.shape[-1]:
            total += weight * np.exp(family - top[..., None]).mean(axis=-1)
        else:
            total += weight * np.exp(-top)
    return np.asarray(top + np.log(total))


def _multiplier(
    scaled: dict[str, Array], knots: Array, steps: Array, replicates: int, seed: int
) -> ScoreTests:
    """Observed averages and their sign-flipped reference distribution, shared by all rivals."""
    names = list(scaled)
    n_patients = scaled[names[0]].shape[0]
    observed = {name: u.sum(axis=0) for name, u in scaled.items()}
    averages = {name: float(exponential_average(t, knots.size)) for name, t in observed.items()}
    stacked = np.concatenate(list(scaled.values()), axis=1)
    absent = np.isnan(stacked[0]) if n_patients else np.zeros(stacked.shape[1], dtype=bool)
    stacked = np.where(absent, 0.0, stacked)
    width = knots.size + steps.size
    exceed = dict.fromkeys(names, 0)
    rng = generator(seed, "multiplier")
    block = max(1, _MOST_SIGNS // max(n_patients, 1))
    for first in range(0, replicates, block):
        draws = rademacher(rng, min(block, replicates - first), n_patients) @ stacked
        draws[:, absent] = np.nan
        for index, name in enumerate(names):
            average = exponential_average(draws[:, index * width : (index + 1) * width], knots.size)
            exceed[name] += int((average >= averages[name] - 1e-10).sum())
    return ScoreTests(
        knots=knots,
        step_knots=steps,
        statistics={name: t[: knots.size] for name, t in observed.items()},
        step_statistics={name: t[knots.size :] for name, t in observed.items()},
        averages=averages,
        p_values={name: (1 + exceed[name]) / (replicates + 1) for name in names},
        replicates=replicates,
        seed=seed,
    )


def residual_squares(working: Working, columns: Array) -> Array:
    """Whitened residual sum of squares after the background and one column each, shape (k,)."""
    y = working.clear(working.y)
    white = working.clear(working.whiten(columns))
    square = (white**2).sum(axis=0)
    explained = np.where(square > 1e-12, (white.T @ y) ** 2 / np.maximum(square, 1e-300), 0.0)
    return np.asarray(y @ y - explained)


def information_criteria(working: Working) -> InformationCriteria:
    """BIC of every rival, of the hinge and of the step, under the same whitening."""
    rivals = (*BIC_RIVALS, *column_rivals(working.ratings))
    columns, owner = _candidate_columns(working, (*rivals, HINGE, STEP))
    squares = residual_squares(working, columns)
    bic = {
        candidate.name: float(squares[owner == number].min() + _penalty(working, candidate))
        for number, candidate in enumerate((*rivals, HINGE, STEP))
    }
    best = min((rival.name for rival in rivals), key=lambda name: bic[name])
    floor = bic[best]
    return InformationCriteria(
        bic={name: value - floor for name, value in bic.items()},
        delta_bic=floor - min(bic[HINGE.name], bic[STEP.name]),
        best_rival=best,
    )


def _penalty(working: Working, candidate: Candidate) -> float:
    n = working.ratings.n_patients
    more = FEW_PENALTY * np.log(max(MANY / n, 1.0)) if candidate in (HINGE, STEP) else 0.0
    return float(candidate.n_parameters * np.log(n) + more)


def _candidate_columns(working: Working, candidates: Sequence[Candidate]) -> tuple[Array, NDArray[np.int64]]:
    """Every column of every candidate (n, k), and the number of the candidate each belongs to (k,)."""
    ratings, unit = working.ratings, working.unit
    columns: list[Array] = []
    owner: list[int] = []
    for number, candidate in enumerate(candidates):
        thetas: list[float | None] = [float(theta) for theta in candidate.grid(ratings, unit)]
        made = [candidate.column(ratings, unit, theta) for theta in thetas or [None]]
        columns += [np.zeros_like(ratings.pain) if column is None else column for column in made]
        owner += [number] * len(made)
    return np.column_stack(columns), np.array(owner)


def threshold_profile(
    working: Working, *, seed: int, selected: bool = False, size: int = 60, best: float | None = None
) -> ThresholdProfile:
    """Profile deviance of the threshold, its interval, and the slopes on both sides.

    Parameters
    ----------
    working : Working
    seed : int
        Analysis seed.
    selected : bool
        Whether the information criterion has favoured a threshold: the interval is then right among
        clinics in which it does.
    size : int
        Thresholds tried, at most.
    best : float, optional
        Best end of the scale. Ratings after a patient's first there are left out
        (:meth:`~tpr_outcomes.models.working.Working.up_to`): they cannot fall further, and would draw the
        threshold towards 0.
    """
    top = dose_top(working.ratings)
    working = working if best is None else working.up_to(best)
    ratings, unit = working.ratings, working.unit
    grid = threshold_grid(ratings.dose_before, size)
    columns = np.concatenate([hinge_columns(ratings, grid, unit), step_columns(ratings, grid)], axis=1)
    rivals = (*BIC_RIVALS[1:], *column_rivals(ratings)) if selected else ()  # the first has no dose
    directions, selection = _directions(working, columns, rivals)
    squares = directions.square - directions.scores[: columns.shape[1]] ** 2
    hinge, step = np.split(squares, 2)
    shape = "step" if step.min() < hinge.min() - SHAPE_MARGIN else "hinge"
    chosen_squares = step if shape == "step" else hinge
    at = int(chosen_squares.argmin())
    sets = threshold_sets(directions, grid, lead=SHAPE_MARGIN, seed=seed, selection=selection)
    low, high, open_low, open_high = _joined(ratings.dose_before, *sets)
    estimate = float(grid[at])
    bend = float(grid[int(hinge.argmin())])
    chosen = columns[:, [at + grid.size * (shape == "step"), int(hinge.argmin())]]
    slopes, errors = lone_slopes(working, chosen)
    reach = 1.0 if shape == "step" else max(top - estimate, 0.0) / unit
    before, before_error = robust_slopes(working, np.column_stack([ratings.dose_before / unit, chosen[:, 0]]))
    return ThresholdProfile(
        grid=grid,
        deviance=chosen_squares - chosen_squares.min(),
        shape=shape,
        estimate=estimate,
        conf_low=low,
        conf_high=high,
        open_low=open_low,
        open_high=open_high,
        may_be_step=bool(np.isfinite(sets[1].low)),
        bend=bend,
        slope=float(slopes[1]) / unit,
        slope_error=float(errors[1]) / unit,
        relief_95=-float(slopes[0]) * reach,
        before=-float(before[0]) * estimate / unit,
        before_high=(-float(before[0]) + 1.645 * float(before_error[0])) * estimate / unit,
    )


def _directions(
    working: Working, shapes: Array, rivals: Sequence[Candidate]
) -> tuple[Directions, Selection | None]:
    """Inner products of shapes (n, k) and rivals, and what the rivals ask of a threshold."""
    selection = None
    if rivals:
        more, owner = _candidate_columns(working, rivals)
        shapes = np.concatenate([shapes, more], axis=1)
        penalties = np.array([_penalty(working, rival) for rival in rivals])
        selection = Selection(penalties[owner], _penalty(working, HINGE), BIC_MARGIN)
    white = working.whiten(shapes)
    sizes = np.linalg.norm(white, axis=0)
    df = working.y.size - working.x.shape[1]
    directions = Directions.of(working.clear(working.y), working.clear(white), sizes=sizes, df=df)
    return directions, selection


def _joined(dose: Array, hinge: ThresholdSet, step: ThresholdSet) -> tuple[float, float, bool, bool]:
    """Hull of both sets; that of steps is widened to the observed doses around it."""
    low, high = step.low, step.high
    if np.isfinite(low):
        low, high = _between_doses(dose, low, high)
    return (
        float(np.nanmin([hinge.low, low])),
        float(np.nanmax([hinge.high, high])),
        hinge.open_low or step.open_low,
        hinge.open_high or step.open_high,
    )


def _between_doses(dose: Array, low: float, high: float) -> tuple[float, float]:
    """Widen an interval to the next observed doses: a step anywhere between two doses is the same step."""
    return float(dose[dose <= low].max(initial=0.0)), float(dose[dose > high].min(initial=dose.max()))


def robust_slopes(working: Working, columns: Array) -> tuple[Array, Array]:
    """Joint slopes of columns (n, k) beyond the background, with patient-robust standard errors.

    Returns
    -------
    slopes, errors : ndarray, shape (k,)
        As :func:`robust_fit`.
    """
    slopes, covariance = robust_fit(working, columns)
    return slopes, np.sqrt(np.diag(covariance))


def robust_fit(working: Working, columns: Array) -> tuple[Array, Array]:
    """Joint slopes of columns (n, k) beyond the background, with their patient-robust covariance.

    Returns
    -------
    slopes : ndarray, shape (k,)
        Generalised least squares with the working covariance. All 0 when the background spans a column.
    covariance : ndarray, shape (k, k)
        Sandwich over patients (Liang and Zeger 1986, doi:10.1093/biomet/73.1.13); then all infinite.
    """
    white = working.clear(working.whiten(columns))
    y = working.clear(working.y)
    size = np.linalg.norm(white, axis=0)
    k = columns.shape[1]
    if (size < 1e-8 * np.maximum(np.linalg.norm(columns, axis=0), 1e-300)).any():
        return np.zeros(k), np.full((k, k), np.inf)
    bread = np.linalg.pinv(white.T @ white)
    slopes = bread @ (white.T @ y)
    scores = working.layout.patient_sums(white * (y - white @ slopes)[:, None])
    return slopes, bread @ (scores.T @ scores) @ bread


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
