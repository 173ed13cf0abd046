r"""Multiple imputation of ratings that were never made.

Ratings are laid out one row per patient and one column per planned visit. Given the first rating (and, if
asked, the cumulative dose before each visit) the model is a chain of normal regressions

.. math:: Y_k = a_k + b_{1k}Y_{k-1} + b_{2k}\overline{Y}_{0:k-1} + b_{3k}Y_0 + c\,C_k + \varepsilon_k,
          \qquad b_{jk}=b_j+b_j'/k,\quad \varepsilon_k\sim N(0,\sigma^2)

(``structure="pooled"``; the mean of earlier ratings carries what is lasting in a patient, the latest one
what is passing), or regressions of each visit on *all* earlier ones with a variance of its own
(``"unstructured"``: the multivariate normal with free covariance, for monotone data exactly). Parameters
are drawn from their posterior under the usual flat prior, then ratings given the parameters: gaps between
ratings conditional on earlier *and later* ratings of the patient, visits after stopping one after the
other (Rubin 1987, doi:10.1002/9780470316696).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tpr_outcomes.cohort.derive import ratings
from tpr_outcomes.cohort.visits import Rated, Visits
from tpr_outcomes.errors import FitError, PlanError
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.models.working import visit_levels

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Structure = Literal["pooled", "unstructured"]


@dataclass(frozen=True, eq=False)
class Panel:
    """Ratings by patient and planned visit.

    Attributes
    ----------
    pain : ndarray, shape (n, T + 1)
        Rating ``k`` visits after the first (scale points); NaN where none was made.
    last : ndarray of int, shape (n,)
        Visits after the first at which the patient was last seen, rated or not, at most T.
    dose : ndarray, shape (n, T + 1), or None
        Cumulative dose before each rating; constant once the patient has stopped.
    n_left_out : int
        Patients without a first rating, or (with a dose) with a dose that was not recorded.
    """

    pain: Array
    last: Ints
    dose: Array | None
    n_left_out: int

    @property
    def stopped(self) -> Bools:
        """Who was not seen until the last planned visit, shape (n,)."""
        return np.asarray(self.last < self.pain.shape[1] - 1)

    @property
    def steps(self) -> Array:
        """Visits since the patient stopped, 0 up to then, shape (n, T + 1)."""
        visit = np.arange(self.pain.shape[1])
        return np.asarray(np.maximum(visit - self.last[:, None], 0.0))


def panel(visits: Visits, *, dose: str | None = None, last_visit: int | None = None) -> Panel:
    """Lay out ratings by planned visit.

    Parameters
    ----------
    visits : Visits
        The record.
    dose : str, optional
        Column whose cumulative sum before each rating is kept, e.g. ``"twitches"``.
    last_visit : int, optional
        Visits after the first that were planned, T; the longest course in the record if not given.
        Ratings after it are not used.

    Returns
    -------
    Panel
    """
    table = visits.table
    patient, codes = np.unique(table["patient"].to_numpy(), return_inverse=True)
    visit = table["visit"].to_numpy()
    first = np.full(patient.size, np.iinfo(np.int64).max)
    np.minimum.at(first, codes, visit)
    t = visit - first[codes]
    planned = int(t.max()) if last_visit is None else last_visit
    if not 1 <= planned <= int(t.max()):
        raise PlanError(
            f"The last planned visit is {planned} visits after the first; the record has visits up to "
            f"{t.max()} after it. Give a number from 1 to that."
        )
    within = t <= planned
    pain = np.full((patient.size, planned + 1), np.nan)
    pain[codes[within], t[within]] = table["pain"].to_numpy()[within]
    last = np.zeros(patient.size, dtype=np.int64)
    np.maximum.at(last, codes, t)
    keep = ~np.isnan(pain[:, 0])
    total = None
    if dose is not None:
        total = _cumulative(table, dose, codes, t, shape=pain.shape, rated=visits.rated)
        keep &= ~np.isnan(total).any(axis=1)
        total = total[keep]
    if not keep.any():
        raise FitError("No patient has a first rating (and recorded doses); there is nothing to impute from.")
    return Panel(
        pain=pain[keep], last=np.minimum(last, planned)[keep], dose=total, n_left_out=int((~keep).sum())
    )


def _cumulative(
    table: pd.DataFrame, dose: str, codes: Ints, t: Ints, *, shape: tuple[int, int], rated: Rated
) -> Array:
    """Cumulative dose that can have acted on a rating at each planned visit, had one been made."""
    if dose not in table.columns:
        raise PlanError(f"There is no dose column {dose!r}; the visits have {', '.join(table.columns)}.")
    n, slots = shape
    values = table[dose].to_numpy(dtype=np.float64)
    if dose == "twitches":
        values = np.where(table["sought"].to_numpy(dtype=bool), values, 0.0)
    given = np.zeros((n, max(slots, int(t.max()) + 1)))
    given[codes, t] = values
    # A record with a rating at every planned visit, so that the one definition of the dose applies.
    attended = Visits.from_arrays(
        patient=np.repeat(np.arange(n), slots),
        visit=np.tile(np.arange(1, slots + 1), n),
        pain=np.zeros(n * slots),
        twitches=given[:, :slots].ravel(),
        rated=rated,
    )
    found = ratings(attended)
    total = np.full(n * slots, np.nan)
    total[::slots] = 0.0
    total[found.row] = found.dose_before
    return total.reshape(shape)


@dataclass(frozen=True, eq=False)
class Imputed:
    """Completed panels, before any shift.

    Attributes
    ----------
    panel : Panel
        What was recorded.
    pain : ndarray, shape (M, n, T + 1)
        Recorded ratings and, where there were none, draws. Draws are not cut off at the ends of the
        scale, which would bias means towards its middle.
    structure : str
    seed : int
    outside : float
        Share of drawn ratings that lie outside the scale.
    """

    panel: Panel
    pain: Array
    structure: Structure
    seed: int
    outside: float

    def shifted(self, delta: float, *, per_visit: float = 0.0, who: Bools | None = None) -> Array:
        r"""Completed ratings with the ratings after stopping shifted.

        Parameters
        ----------
        delta : float
            Scale points added to every drawn rating after the patient stopped.
        per_visit : float, default 0
            Further scale points for each visit after the first one missed.
        who : ndarray of bool, shape (n,), optional
            Patients it applies to; all who stopped if not given.

        Returns
        -------
        ndarray, shape (M, n, T + 1)

        Notes
        -----
        :math:`Y_k+1[k>last]\{\delta+\gamma(k-last-1)\}`: added after all ratings have been drawn, so a shift
        of one visit does not travel into the next through the regressions.
        """
        steps = self.panel.steps
        shift = np.where(steps > 0, delta + per_visit * (steps - 1.0), 0.0)
        if who is not None:
            shift = shift * who[:, None]
        return np.asarray(self.pain + shift)


@dataclass(frozen=True, eq=False)
class _Chain:
    """One draw of the parameters: ``Y_k = fixed[:, k] + sum_j lower[k, j] Y_j + e``, ``k = 1..T``."""

    fixed: Array  # (n, T + 1)
    lower: Array  # (T + 1, T + 1), strictly lower triangular
    variance: Array  # (T + 1,); 0 at the first rating


def impute(
    data: Panel,
    *,
    imputations: int = 50,
    structure: Structure = "pooled",
    seed: int,
    limits: tuple[float, float] = (-np.inf, np.inf),
) -> Imputed:
    """Draw the ratings that were not made, as if missing at random given ratings (and doses) before.

    Parameters
    ----------
    data : Panel
        Ratings by planned visit; the dose is used if it is there, and stays where it was at stopping.
    imputations : int, default 50
        Completed panels, M, 2 or more.
    structure : {"pooled", "unstructured"}
        See the module's description.
    seed : int
        Seed of the analysis.
    limits : tuple of float
        Ends of the scale, to report how many draws lie outside.

    Returns
    -------
    Imputed

    Raises
    ------
    FitError
        If there are too few ratings to fit the chain.
    """
    if imputations < 2:
        raise PlanError(f"{imputations} imputations were asked for; pooling needs 2 or more.")
    missing = np.isnan(data.pain)
    visit = np.arange(data.pain.shape[1])
    last_rated = np.where(missing, -1, visit).max(axis=1)
    inner = missing & (visit < last_rated[:, None])
    completed = np.empty((imputations, *data.pain.shape))
    for m in range(imputations):
        rng = generator(seed, "impute", structure, m)
        pain = data.pain.copy()
        if inner.any():
            _fill_inner(pain, inner, last_rated, _draw_chain(pain, data.dose, structure, rng), rng)
        chain = _draw_chain(pain, data.dose, structure, rng)
        for k in range(1, visit.size):
            rows = np.isnan(pain[:, k])
            noise = np.sqrt(chain.variance[k]) * rng.standard_normal(pain.shape[0])
            pain[rows, k] = (chain.fixed[:, k] + pain[:, :k] @ chain.lower[k, :k] + noise)[rows]
        completed[m] = pain
    drawn = completed[:, missing]
    outside = (drawn < limits[0]) | (drawn > limits[1])
    return Imputed(
        panel=data,
        pain=completed,
        structure=structure,
        seed=seed,
        outside=float(outside.mean()) if outside.size else 0.0,
    )


def _draw_chain(pain: Array, dose: Array | None, structure: Structure, rng: np.random.Generator) -> _Chain:
    """Draw the parameters from what is known of patients up to their first missing rating."""
    known = np.cumsum(np.isnan(pain), axis=1) == 0
    if not known[:, 1:].any():
        raise FitError("No patient has a second rating, so there is nothing to learn their course from.")
    draw = _draw_unstructured if structure == "unstructured" else _draw_pooled
    return draw(pain, dose, known, rng)


def _draw_unstructured(pain: Array, dose: Array | None, known: Bools, rng: np.random.Generator) -> _Chain:
    n, slots = pain.shape
    chain = _Chain(fixed=np.zeros((n, slots)), lower=np.zeros((slots, slots)), variance=np.zeros(slots))
    for k in range(1, slots):
        rows = known[:, k]
        other = np.ones((n, 1)) if dose is None else np.column_stack([np.ones(n), dose[:, k]])
        x = np.column_stack([pain[:, :k], other])
        beta, chain.variance[k] = _posterior_draw(pain[rows, k], x[rows], rng)
        chain.lower[k, :k] = beta[:k]
        chain.fixed[:, k] = other @ beta[k:]
    return chain


def _draw_pooled(pain: Array, dose: Array | None, known: Bools, rng: np.random.Generator) -> _Chain:
    n, slots = pain.shape
    person, before = np.nonzero(known[:, 1:])
    at = before + 1
    level = np.full(slots, -1)
    level[at] = visit_levels(at.astype(np.int64))
    level = np.maximum.accumulate(level)  # a visit nobody was rated at shares the level before it
    past = _past_weights(slots)
    x = np.column_stack([
        *[(past[part, at] * np.where(known, pain, 0.0)[person]).sum(axis=1) for part in range(len(past))],
        level[at][:, None] == np.arange(level.max() + 1),
        *([] if dose is None else [dose[person, at]]),
    ])  # fmt: skip
    beta, variance = _posterior_draw(pain[person, at], x, rng)
    fixed = np.zeros((n, slots))
    fixed[:, 1:] = beta[len(past) + level[1:]] + (0.0 if dose is None else beta[-1] * dose[:, 1:])
    lower = np.asarray(np.tensordot(beta[: len(past)], past, axes=1))
    return _Chain(fixed=fixed, lower=lower, variance=np.append(0.0, np.full(slots - 1, variance)))


def _past_weights(slots: int) -> Array:
    """Weights of earlier ratings in each predictor, shape (6, slots, slots): strictly lower triangular.

    The latest rating, the mean of earlier ones and the first, each also divided by the visit, so that what
    they foretell may change over the course.
    """
    weights = np.zeros((3, slots, slots))
    for k in range(1, slots):
        weights[0, k, k - 1] = 1.0
        weights[1, k, :k] = 1.0 / k
        weights[2, k, 0] = 1.0
    visit = np.maximum(np.arange(slots), 1.0)
    return np.concatenate([weights, weights / visit[:, None]])


def _posterior_draw(y: Array, x: Array, rng: np.random.Generator) -> tuple[Array, float]:
    """Draw coefficients and variance of a normal regression, prior proportional to 1 / variance."""
    u, sizes, vt = np.linalg.svd(x, full_matrices=False)
    kept = sizes > 1e-10 * sizes[0]
    freedom = y.size - int(kept.sum())
    if freedom < 3:
        raise FitError(
            f"{y.size} ratings are too few to predict a visit's rating from {x.shape[1]} columns; "
            'use structure="pooled" or fewer planned visits.'
        )
    u, sizes, vt = u[:, kept], sizes[kept], vt[kept]
    scores = u.T @ y
    variance = float(y @ y - scores @ scores) / float(rng.chisquare(freedom))
    beta = vt.T @ ((scores + np.sqrt(variance) * rng.standard_normal(sizes.size)) / sizes)
    return np.asarray(beta), variance


def _fill_inner(pain: Array, inner: Bools, last_rated: Ints, chain: _Chain, rng: np.random.Generator) -> None:
    r"""Draw gaps between ratings given all other ratings of the patient, in place.

    With :math:`B` the lower-triangular coefficients and :math:`D` the variances, the precision of
    :math:`Y_{1:m}` is :math:`P=(I-B)'D^{-1}(I-B)`, and gaps :math:`G` given the rest are normal with
    precision :math:`P_{GG}` and mean :math:`\mu_G-P_{GG}^{-1}P_{GO}(y_O-\mu_O)`.
    """
    patterns, place = np.unique(np.column_stack([last_rated, inner]), axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        m, gap = int(pattern[0]), np.flatnonzero(pattern[1:])
        if gap.size == 0:
            continue
        rows = np.flatnonzero(place.ravel() == number)
        mean = pain[rows, : m + 1].copy()
        for k in range(1, m + 1):
            mean[:, k] = chain.fixed[rows, k] + mean[:, :k] @ chain.lower[k, :k]
        left = np.eye(m) - chain.lower[1 : m + 1, 1 : m + 1]
        precision = left.T @ (left / chain.variance[1 : m + 1, None])
        rest = np.setdiff1d(np.arange(1, m + 1), gap)
        own = np.linalg.cholesky(precision[np.ix_(gap - 1, gap - 1)])
        away = (pain[np.ix_(rows, rest)] - mean[:, rest]) @ precision[np.ix_(rest - 1, gap - 1)]
        noise = rng.standard_normal((rows.size, gap.size))
        # own own' x = away for the mean, own' x = noise for the spread.
        centre = np.linalg.solve(own.T, np.linalg.solve(own, away.T))
        pain[np.ix_(rows, gap)] = mean[:, gap] - centre.T + np.linalg.solve(own.T, noise.T).T
