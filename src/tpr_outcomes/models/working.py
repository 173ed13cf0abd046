r"""The shared background of every explanation: time, first rating, and correlation within patients.

The mean of a rating, whatever the dose did, is

* a separate level for every visit number (never a straight line in time),
* when gaps are irregular, also a natural cubic spline of log time since the first visit,
* the first rating times :math:`(1, t/5, \log(1+t))`: patients who start higher fall further,
* when several therapists are recorded, each one's own level and slope in :math:`\log(1+t)`: a
  therapist who needles more may have better results for other reasons.

Its covariance within a patient is a random intercept and a random slope on :math:`\log(1+t)` plus
CAR(1) wobble plus white noise, estimated by maximum likelihood with a generous dose curve in the mean
(straight line and bends at 40% and 75%), so that a real dose response does not pass for correlation.
All tests then work on rows whitened by that covariance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tpr_outcomes.cohort.derive import Ratings
from tpr_outcomes.errors import FitError
from tpr_outcomes.models import mixed, shapes

Array = NDArray[np.float64]
TimeBasis = Literal["visit", "visit and weeks"]

REGULAR_SHARE = 0.90
"""Visits are regular when at least this share of ratings …"""
REGULAR_SLACK = 0.25
"""… lies within this share of a typical gap of the usual week of its visit number."""
FEWEST_PER_LEVEL = 5
"""A visit number with fewer ratings than this shares the level of the one before it."""
FEWEST_PER_THERAPIST = 5
"""A therapist with fewer patients is pooled with the other small ones."""
DOSE_UNITS_TO_90 = 8.0
"""The dose unit is the 90th percentile of positive cumulative doses over this (10 twitches in the
design the procedure was developed on), so that results do not depend on what is counted."""


@dataclass(frozen=True)
class Working:
    """Ratings, their background model, and the whitened coordinates all tests share.

    Attributes
    ----------
    ratings : Ratings
    basis : {"visit", "visit and weeks"}
        How time enters the mean (see :func:`time_basis`).
    time : ndarray, shape (n,)
        Time since the first visit in typical gaps, rating order.
    nuisance : ndarray, shape (n, p)
        Background columns, rating order, full rank.
    unit : float
        Dose unit, in doses.
    random : {"none", "intercept", "intercept and slope"}
    fit : MixedFit
        The fit the covariance was taken from (its mean holds the generous dose curve).
    layout : Layout
    worse : float
        +1 when higher scores are worse, else -1: the outcome is analysed as "higher is worse".
    """

    ratings: Ratings
    basis: TimeBasis
    time: Array
    nuisance: Array
    unit: float
    random: str
    fit: mixed.MixedFit
    layout: mixed.Layout
    worse: float

    @cached_property
    def _whitener(self) -> mixed.Whitener:
        z = random_columns(self.time, self.random)[self.layout.order]
        return mixed.Whitener.of(self.layout, z, self.fit.covariance)

    def whiten(self, columns: Array) -> Array:
        """Whiten rating-order columns (n, k) -> visit-major rows with identity covariance."""
        return self._whitener.apply(columns[self.layout.order])

    @cached_property
    def _base(self) -> tuple[Array, Array]:
        """Whitened outcome, and an orthonormal basis of the whitened background columns."""
        both = self.whiten(np.column_stack([self.worse * self.ratings.pain, self.nuisance]))
        return both[:, 0], np.linalg.qr(both[:, 1:])[0]

    @property
    def y(self) -> Array:
        """Whitened outcome (n,), visit-major, higher is worse."""
        return self._base[0]

    @property
    def x(self) -> Array:
        """Orthonormal basis (n, p) of the whitened background columns."""
        return self._base[1]

    @cached_property
    def therapists(self) -> Array:
        """Therapist columns (n, g - 1), rating order (see :func:`therapist_dummies`)."""
        return therapist_dummies(self.ratings)

    @cached_property
    def kept(self) -> tuple[list[int], list[int]]:
        """Columns that are not combinations of others: of the background, and of it with the dose curve."""
        background = background_columns(self.ratings, self.time, self.basis, therapist=self.therapists)
        rich = np.column_stack([self.nuisance, generous(self.ratings.dose_before, self.unit)])
        return independent(background), independent(rich)

    def up_to(self, best: float) -> Working:
        """The same background on each patient's ratings up to the first that cannot be bettered.

        A rating at the best end of the scale cannot fall, whatever is done afterwards, so that later ones
        hide relief and bend the dose response. Leaving them out depends on ratings that stay, as leaving
        the clinic when better does, and so misleads a likelihood no more than that (Little and Rubin 2019,
        *Statistical Analysis with Missing Data*, section 6.2).

        Parameters
        ----------
        best : float
            Best end of the scale.

        Returns
        -------
        Working
            With the covariance of the whole record; itself where nothing is left out, or where too few
            ratings would stay.
        """
        kept = self.ratings.up_to(best)
        if kept.all() or kept.sum() < self.nuisance.shape[1] + 10:
            return self
        time = self.time[kept]
        ratings = self.ratings.only(kept)
        return replace(
            self,
            ratings=ratings,
            time=time,
            nuisance=full_rank(self.nuisance[kept]),
            layout=mixed.Layout.of(ratings.patient, time),
        )

    def clear(self, white: Array) -> Array:
        """Whitened columns with the background projected out."""
        return np.asarray(white - self.x @ (self.x.T @ white))


def working_model(ratings: Ratings, *, higher_is_worse: bool = True) -> Working:
    """Choose the time basis, fit the background covariance and whiten.

    Raises
    ------
    FitError
        If too few ratings are left to fit anything, or the fit fails.
    """
    basis = time_basis(ratings)
    time = gap_time(ratings, basis)
    nuisance = full_rank(background_columns(ratings, time, basis))
    unit = dose_unit(ratings.dose_before)
    rich = full_rank(np.column_stack([nuisance, generous(ratings.dose_before, unit)]))
    if ratings.pain.size < rich.shape[1] + 10:
        raise FitError(
            f"{ratings.pain.size} usable ratings are too few for a background of {rich.shape[1]} columns; "
            "more patients or more visits are needed."
        )
    random, residual = random_structure(ratings)
    worse = 1.0 if higher_is_worse else -1.0
    fit = mixed.fit_mixed(
        worse * ratings.pain,
        rich,
        ratings.patient,
        z=random_columns(time, random),
        time=time,
        residual=residual,
        start=_start(worse * ratings.pain, rich, random, residual),
    )
    return Working(
        ratings=ratings,
        basis=basis,
        time=time,
        nuisance=nuisance,
        unit=unit,
        random=random,
        fit=fit,
        layout=mixed.Layout.of(ratings.patient, time),
        worse=worse,
    )


def _start(y: Array, x: Array, random: str, residual: mixed.Residual) -> mixed.Covariance:
    """Half the residual variance between patients, half within: where almost every clinic is near."""
    q = {"none": 0, "intercept": 1, "intercept and slope": 2}[random]
    residuals = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    factor = np.diag([1.0, 0.5][:q])
    phi = 0.0 if residual == "independent" else 0.5
    return mixed.Covariance(sigma=float(residuals.std()) or 1.0, factor=factor, phi=phi, nugget=0.5)


def generous(dose_before: Array, unit: float, *, of: Array | None = None) -> Array:
    """Straight line and bends at the 40% and 75% points of the positive doses (of others, if given)."""
    of = dose_before if of is None else of
    positive = of[of > 0]
    if positive.size == 0:
        return np.empty((dose_before.size, 0))
    bends = np.quantile(positive, [0.40, 0.75])
    return np.column_stack([dose_before / unit, *(shapes.hinge(dose_before, bend) / unit for bend in bends)])


def time_basis(ratings: Ratings) -> TimeBasis:
    """Are visits so regular that the visit number says all about time?

    ``"visit"`` when at least 90% of ratings lie within a quarter of a typical gap of the median week of
    their visit number (always so when no dates were recorded), else ``"visit and weeks"``.
    """
    gap = typical_gap(ratings)
    _, level = np.unique(ratings.visit, return_inverse=True)
    order = np.lexsort((ratings.weeks, level))
    counts = np.bincount(level)
    ends = np.cumsum(counts)
    low = order[ends - counts + (counts - 1) // 2]
    high = order[ends - counts + counts // 2]
    usual = (ratings.weeks[low] + ratings.weeks[high]) / 2.0
    near = np.abs(ratings.weeks - usual[level]) <= REGULAR_SLACK * gap
    return "visit" if near.mean() >= REGULAR_SHARE else "visit and weeks"


def typical_gap(ratings: Ratings) -> float:
    """Median time per visit step, weeks (1 when no dates were recorded)."""
    return float(np.median(ratings.weeks / ratings.t))


def gap_time(ratings: Ratings, basis: TimeBasis) -> Array:
    """Time since the first visit in typical gaps: the visit count, or weeks over the typical gap."""
    return ratings.t if basis == "visit" else ratings.weeks / typical_gap(ratings)


def visit_levels(visit: NDArray[np.int64]) -> NDArray[np.int64]:
    """Level of each rating's visit number; sparse ones share the level before them."""
    _, inverse, counts = np.unique(visit, return_inverse=True, return_counts=True)
    level = np.zeros(counts.size, dtype=np.int64)
    held = counts[0]
    for i in range(1, counts.size):
        opens = held >= FEWEST_PER_LEVEL and counts[i] >= FEWEST_PER_LEVEL
        level[i] = level[i - 1] + opens
        held = counts[i] if opens else held + counts[i]
    return np.asarray(level[inverse])


def background_columns(
    ratings: Ratings,
    time: Array,
    basis: TimeBasis,
    *,
    like: Working | None = None,
    therapist: Array | None = None,
) -> Array:
    """Visit levels, a smooth of weeks, the first rating times (1, t/5, log(1+t)), and therapists.

    Parameters
    ----------
    ratings : Ratings
    time : ndarray, shape (n,)
        Time since the first visit in typical gaps.
    basis : {"visit", "visit and weeks"}
    like : Working, optional
        Whose levels, centre and knots are used; by default they are taken from the ratings themselves.
    therapist : ndarray, shape (n, g - 1), optional
        In place of the ratings' own :func:`therapist_dummies`.
    """
    learnt, learnt_time = (ratings, time) if like is None else (like.ratings, like.time)
    levels = visit_levels(learnt.visit)
    level = levels if like is None else _level_like(ratings.visit, learnt.visit, levels)
    dummies = (level[:, None] == np.arange(levels.max() + 1)).astype(float)
    baseline = ratings.baseline - learnt.baseline.mean()
    parts = [dummies, np.column_stack([baseline, baseline * time / 5.0, baseline * np.log1p(time)])]
    if basis == "visit and weeks":
        parts.insert(1, natural_spline(np.log1p(time), knots=spline_knots(np.log1p(learnt_time))))
    therapist = therapist_dummies(ratings) if therapist is None else therapist
    parts += [therapist, therapist * np.log1p(time)[:, None]]
    return np.concatenate(parts, axis=1)


def _level_like(
    visit: NDArray[np.int64], of: NDArray[np.int64], levels: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Levels of visit numbers as others have them; one that nobody has shares that of the one before."""
    known, first = np.unique(of, return_index=True)
    place = np.maximum(np.searchsorted(known, visit, side="right") - 1, 0)
    return np.asarray(levels[first][place])


def columns_like(working: Working, ratings: Ratings, therapist: Array | None = None) -> tuple[Array, Array]:
    """Columns of other ratings in the coding of a background's own fit (``working.fit``).

    Parameters
    ----------
    working : Working
    ratings : Ratings
        Rows of any patients.
    therapist : ndarray, shape (n, g - 1), optional
        Their therapists in the background's coding; by default the average over its patients.

    Returns
    -------
    x : ndarray, shape (n, p)
        Background and generous dose curve, as many columns as the fit has fixed effects.
    time : ndarray, shape (n,)
        Time in the background's typical gaps.
    """
    if therapist is None:
        opening = np.flatnonzero(np.diff(working.ratings.patient, prepend=-1))
        therapist = np.tile(working.therapists[opening].mean(axis=0), (ratings.pain.size, 1))
    time = ratings.t if working.basis == "visit" else ratings.weeks / typical_gap(working.ratings)
    background, rich = working.kept
    columns = background_columns(ratings, time, working.basis, like=working, therapist=therapist)
    dose = generous(ratings.dose_before, working.unit, of=working.ratings.dose_before)
    made = np.column_stack([columns[:, background], dose])
    return made[:, rich], time


def therapist_dummies(ratings: Ratings) -> Array:
    """Columns (n, g - 1) for the g therapists (of the first visit) with 5 or more patients, or none.

    Smaller therapists and blanks form one group together; with more than 20 groups, or fewer than 10
    patients to a group on average, therapists are left out (too many columns for too few patients).
    """
    codes = ratings.labels("therapist")
    none = np.empty((ratings.patient.size, 0))
    if codes is None:
        return none
    patients = np.unique(np.column_stack([ratings.patient, codes]), axis=0)[:, 1]
    values, counts = np.unique(patients, return_counts=True)
    large = values[(counts >= FEWEST_PER_THERAPIST) & (values >= 0)]
    groups = large.size + int(large.size < values.size)
    if groups < 2 or groups > 20 or ratings.n_patients < 10 * groups:
        return none
    return np.asarray(codes[:, None] == large[: groups - 1], dtype=float)


def dose_top(ratings: Ratings) -> float:
    """95th percentile of the cumulative dose over all rated visits, first visits (dose 0) included."""
    top = np.quantile(np.concatenate([ratings.dose_before, np.zeros(ratings.n_patients)]), 0.95)
    return float(top)


def spline_knots(values: Array) -> Array:
    """Harrell's quantiles for a spline with 5 knots, each once."""
    return np.unique(np.quantile(values, [0.05, 0.275, 0.5, 0.725, 0.95]))


def natural_spline(values: Array, *, knots: Array | None = None) -> Array:
    """Natural (restricted) cubic spline, knots by default at :func:`spline_knots` -> (n, 4) columns.

    Truncated-power form of Harrell (2015), *Regression Modeling Strategies*, section 2.4.5.
    """
    knots = spline_knots(values) if knots is None else knots
    if knots.size < 3:
        return values[:, None]
    last, before = knots[-1], knots[-2]
    scale = (last - knots[0]) ** 2

    def cube(at: float) -> Array:
        return np.maximum(values - at, 0.0) ** 3

    bends = [
        (cube(k) - cube(before) * (last - k) / (last - before) + cube(last) * (before - k) / (last - before))
        / scale
        for k in knots[:-2]
    ]
    return np.column_stack([values, *bends])


def random_structure(ratings: Ratings) -> tuple[str, mixed.Residual]:
    """How rich a covariance the record can carry, by the number of ratings per patient.

    Intercept, slope, CAR(1) and noise when at least 15 patients have 4 or more ratings; intercept only
    when at least 15 have 2 or more; else independent ratings.
    """
    counts = np.bincount(ratings.patient)
    if (counts >= 4).sum() >= 15:
        return "intercept and slope", "car1+nugget"
    if (counts >= 2).sum() >= 15:
        return "intercept", "independent"
    return "none", "independent"


def random_columns(time: Array, random: str) -> Array:
    """Random-effect columns (n, q): ones, and log(1 + time)."""
    columns = [np.ones_like(time), np.log1p(time)]
    return np.column_stack(columns)[:, : {"none": 0, "intercept": 1, "intercept and slope": 2}[random]]


def dose_unit(dose_before: Array) -> float:
    """Dose unit: an eighth of the 90th percentile of the positive cumulative doses (1 if none)."""
    positive = dose_before[dose_before > 0]
    return float(np.quantile(positive, 0.90) / DOSE_UNITS_TO_90) if positive.size else 1.0


def full_rank(x: Array) -> Array:
    """Columns left after dropping, from the left, those that are combinations of earlier ones."""
    kept = independent(x)
    return x if len(kept) == x.shape[1] else x[:, kept]


def independent(x: Array) -> list[int]:
    """Numbers of the columns :func:`full_rank` keeps."""
    size = np.linalg.norm(x, axis=0)
    free = np.abs(np.diag(np.linalg.qr(x, mode="r"))) > 1e-7 * np.maximum(size[: x.shape[0]], 1e-300)
    if free.size == x.shape[1] and free.all():
        return list(range(x.shape[1]))
    kept: list[int] = []
    basis = np.empty((x.shape[0], 0))
    for j in range(x.shape[1]):
        rest = x[:, j] - basis @ (basis.T @ x[:, j])
        rest = rest - basis @ (basis.T @ rest)
        length = np.linalg.norm(rest)
        if length > 1e-7 * max(size[j], 1e-300):
            kept.append(j)
            basis = np.column_stack([basis, rest / length])
    return kept
