r"""What the record shows once time is taken out: pain by dose band, and the course without the dose.

*Dose bands.* Ratings are cut into bands of equal number by the dose before them. The difference of each
band from the lowest is a coefficient of the same generalised least squares as every other explanation
(:func:`tpr_outcomes.models.fitting.solve`): at the same visit number, with the same first rating, and
allowing for correlation within patients. No shape is assumed, so the bands are what any curve has to meet.

*Course without the dose.* The average rating at each visit, less the part a freely bending dose curve
(straight line with bends at the 40% and 75% points of the doses: the curve the background itself was
estimated under) ascribes to the dose of the very patients rated there. What is left is what the model
expects of the same patients, at the same visits, had the dose been zero.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from tpr_outcomes.cohort.derive import Ratings
from tpr_outcomes.errors import FitError
from tpr_outcomes.models.fitting import LEVEL, Interval, interval, solve
from tpr_outcomes.models.working import Working, full_rank, generous

Array = NDArray[np.float64]

RATINGS_PER_BAND = 40
FEWEST_BANDS, MOST_BANDS = 4, 8
FEWEST_PER_VISIT = 5
"""Visits with fewer ratings than this are not averaged or shown."""


@dataclass(frozen=True, eq=False)
class DoseBands:
    """Difference in rating of each dose band from the lowest, background held fixed.

    Attributes
    ----------
    low, high : ndarray, shape (k,)
        Smallest and largest dose of the band, doses.
    difference : Interval
        Against the lowest band, at the band's mean dose, scale points; exactly zero for the lowest.
    n_ratings, n_patients : ndarray of int, shape (k,)
    membership : ndarray of int, shape (n,)
        Band of each rating.
    """

    low: Array
    high: Array
    difference: Interval
    n_ratings: NDArray[np.int64]
    n_patients: NDArray[np.int64]
    membership: NDArray[np.int64]

    @property
    def average(self) -> float:
        """Mean difference over all ratings: the height at which curves of other shapes are placed."""
        return float(self.difference.estimate[self.membership].mean())


def band_members(ratings: Ratings, bands: int | None = None) -> NDArray[np.int64]:
    """Band of cumulative dose that each rating falls into, counted from 0; see :func:`dose_bands`."""
    dose = ratings.dose_before
    if bands is None:
        bands = int(np.clip(dose.size // RATINGS_PER_BAND, FEWEST_BANDS, MOST_BANDS))
    cuts = np.unique(np.quantile(dose, np.linspace(0.0, 1.0, bands + 1)[1:-1]))
    _, band = np.unique(np.searchsorted(cuts, dose, side="left"), return_inverse=True)
    return band.astype(np.int64)


@dataclass(frozen=True, eq=False)
class Course:
    """Average rating by visit, and what is left of it without the dose part.

    Attributes
    ----------
    observed : Interval
        Mean rating of those rated at the visit, first visit included, scale points; Student interval
        across patients.
    without_dose : Interval or None
        The same mean less the dose part of a freely bending curve, patient-robust interval; None where
        nothing was fitted or the dose cannot be told from time.
    n : ndarray of int, shape (k,)
        Ratings at each visit (never fewer than :data:`FEWEST_PER_VISIT`).
    """

    observed: Interval
    without_dose: Interval | None
    n: NDArray[np.int64]


def dose_bands(working: Working, *, bands: int | None = None) -> DoseBands:
    """Rating by band of cumulative dose, background held fixed.

    Parameters
    ----------
    working : Working
    bands : int, optional
        Number of bands; default one per 40 ratings, from 4 to 8. Ties in the dose may leave fewer.

    Raises
    ------
    FitError
        If a band cannot be told from the background (each visit number has its own dose).
    """
    dose, band = working.ratings.dose_before, band_members(working.ratings, bands)
    k = int(band.max()) + 1
    solution = solve(working, (band[:, None] == np.arange(1, k)).astype(float))
    estimate = np.concatenate(([0.0], solution.slopes))
    error = np.concatenate(([0.0], np.sqrt(np.diag(solution.slope_cov))))
    members = [band == b for b in range(k)]
    return DoseBands(
        low=np.array([dose[m].min() for m in members]),
        high=np.array([dose[m].max() for m in members]),
        difference=interval(np.array([dose[m].mean() for m in members]), estimate, error),
        n_ratings=np.bincount(band),
        n_patients=np.array([np.unique(working.ratings.patient[m]).size for m in members]),
        membership=band,
    )


def average_course(
    ratings: Ratings, working: Working | None = None, *, without: Collection[int] = ()
) -> Course:
    """Average rating by visit, beside the same average without its dose part.

    Parameters
    ----------
    ratings : Ratings
    working : Working, optional
        Background of these ratings; without it, or where the dose cannot be told from it, the average
        stands alone.
    without : collection of int
        Visits to be left out.
    """
    opening = np.flatnonzero(np.diff(ratings.patient, prepend=-1))  # one row per patient
    visit = np.concatenate([(ratings.visit - ratings.t)[opening].astype(np.int64), ratings.visit])
    pain = np.concatenate([ratings.baseline[opening], ratings.pain])
    visits, level, counts = np.unique(visit, return_inverse=True, return_counts=True)
    shown = (counts >= FEWEST_PER_VISIT) & ~np.isin(visits, list(without))
    n = counts[shown]
    share = (level[:, None] == np.flatnonzero(shown)) / n
    mean = share.T @ pain
    variance = (share * (pain[:, None] - mean) ** 2).sum(axis=0) / (n - 1)
    reach = stdtrit(n - 1, 0.5 + LEVEL / 2.0) * np.sqrt(variance)
    at = visits[shown].astype(float)
    part = None if working is None else _dose_part(working, share[opening.size :])
    return Course(
        observed=Interval(at, mean, mean - reach, mean + reach),
        without_dose=None if part is None else interval(at, mean - part[0], part[1]),
        n=n.astype(np.int64),
    )


def _dose_part(working: Working, share: Array) -> tuple[Array, Array] | None:
    """Mean of a freely bending dose curve over each visit's ratings, with standard errors."""
    curve = free_curve(working)
    try:
        solution = solve(working, curve)
    except FitError:
        return None
    weights = np.zeros((share.shape[1], solution.coefficients.size))
    weights[:, solution.n_background :] = share.T @ curve
    return solution.combine(weights)


def free_curve(working: Working) -> Array:
    """Straight line and bends at the 40% and 75% points of the positive doses, full rank, shape (n, k)."""
    return full_rank(generous(working.ratings.dose_before, working.unit))
