r"""What a clinic's own record says of its pain, its needling and its leaving: three small models.

Each is fitted to the record of one clinic and can be run forward on patients who do not exist
(:mod:`tpr_outcomes.planning.fitted_course`). Visits are counted from the patient's first (*slot* 0, 1, …).

*Pain*, beyond the first rating and without any dose:

.. math:: y_{is}=\alpha_{\ell(s)}+(y_{i0}-\bar y_0)(\beta_1+\beta_2 t/5+\beta_3\log(1+t))
          +g(\log(1+t))+\text{therapist}+b_{0i}+b_{1i}\log(1+t)+e_{is}

with visit levels :math:`\alpha`, a smooth :math:`g` where visits are irregular, and the working covariance
(random intercept and slope, CAR(1) wobble, white noise), by generalised least squares.

*Needling*: Poisson quasi-likelihood with
:math:`\log\mu_{is}=\gamma_{\ell(s)}+\gamma_1 y+\gamma_2 y^2+\text{therapist}`, multiplied by a gamma
frailty of the patient (variance :math:`1/k`) and one of the visit (variance :math:`1/m`), both by moments.

*Leaving* after a visit: discrete-time logistic regression on visit, latest rating, its change from the
first, and the share of the first rating that is left, held by a small ridge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri

from tpr_outcomes.errors import FitError
from tpr_outcomes.models.counts import fit_counts, frailty_precision
from tpr_outcomes.models.working import Working, natural_spline, typical_gap, visit_levels
from tpr_outcomes.planning.draws import poisson_quantile

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

RIDGE = 0.1
"""Ridge penalty on standardised columns of the leaving model: two patients' worth at most, so that a
visit after which nobody left does not need an infinite coefficient."""
_SMOOTH_POINTS = 200
_MOST_PRECISE = 1e4


def slot_levels(slot: Ints, slots: int) -> Ints:
    """Level of every slot 0..slots-1, sparse slots sharing the level before them, shape (slots,).

    Parameters
    ----------
    slot : ndarray of int, shape (m,)
        Slots of the rows a model is fitted to; slots without any take the level before (or after) them.
    slots : int
        How many slots there are.
    """
    values = np.unique(slot)
    of_value = dict(zip(slot.tolist(), visit_levels(slot).tolist(), strict=True))
    place = np.clip(np.searchsorted(values, np.arange(slots), side="right") - 1, 0, None)
    return np.array([of_value[int(value)] for value in values[place]], dtype=np.int64)


@dataclass(frozen=True)
class PainModel:
    """Later ratings without a dose, in outcome units with higher worse.

    Attributes
    ----------
    level : ndarray of int, shape (slots,)
        Level of each slot.
    levels : ndarray, shape (levels,)
        Mean at each level for an average first rating.
    baseline_mean : float
    baseline : ndarray, shape (3,)
        Coefficients of the centred first rating times (1, t/5, log(1+t)).
    smooth_at, smooth : ndarray, shape (k,)
        Smooth of log(1+t), as points to interpolate between; a single 0 where visits are regular.
    therapist : ndarray, shape (groups, 2)
        Level and slope in log(1+t) of each group of therapists.
    factor : ndarray, shape (q, q)
        Random effects are ``factor @ standard normals``.
    process_sd, phi, noise_sd : float
        CAR(1) wobble: standard deviation and correlation one unit of t apart; white noise.
    gap : float
        Weeks per unit of t; 0 where t counts visits.
    """

    level: Ints
    levels: Array
    baseline_mean: float
    baseline: Array
    smooth_at: Array
    smooth: Array
    therapist: Array
    factor: Array
    process_sd: float
    phi: float
    noise_sd: float
    gap: float

    def time(self, slot: int, weeks: Array) -> Array:
        """Time since the first visit in the units of the model, from weeks (n,) or the slot."""
        return weeks / self.gap if self.gap > 0.0 else np.full_like(weeks, float(slot))

    def mean(self, slot: int, time: Array, first: Array, group: Ints) -> Array:
        """Mean rating at a slot, given time (n,), first rating (n,) and group of therapists (n,)."""
        later = np.log1p(time)
        centred = first - self.baseline_mean
        start = centred * (self.baseline[0] + self.baseline[1] * time / 5.0 + self.baseline[2] * later)
        therapist = self.therapist[group]
        smooth = np.interp(later, self.smooth_at, self.smooth)
        level = self.levels[self.level[slot]]
        return np.asarray(level + start + smooth + therapist[:, 0] + therapist[:, 1] * later)


def fit_pain(working: Working, *, slots: int, group: Ints, groups: int, step: float) -> PainModel:
    """Fit the course without a dose by generalised least squares.

    Parameters
    ----------
    working : Working
        Ratings and their covariance.
    slots : int
    group : ndarray of int, shape (n,)
        Group of therapists of each rating; the last group is the reference.
    groups : int
    step : float
        Step in which ratings are written (0: none). What rounding adds to the variance, ``step**2/12``,
        is taken off the noise, since simulated ratings are rounded again.
    """
    r, time = working.ratings, working.time
    later = np.log1p(time)
    level = slot_levels(r.t.astype(np.int64), slots)
    n_levels = int(level.max()) + 1
    baseline_mean = float(working.worse * r.baseline.mean())
    centred = working.worse * r.baseline - baseline_mean
    smooth = natural_spline(later) if working.basis == "visit and weeks" else np.empty((r.pain.size, 0))
    therapist = (group[:, None] == np.arange(groups - 1)).astype(float)
    columns = np.column_stack([
        (level[r.t.astype(np.int64)][:, None] == np.arange(n_levels)).astype(float),
        centred, centred * time / 5.0, centred * later,
        smooth, therapist, therapist * later[:, None],
    ])  # fmt: skip
    # Least squares of least length: columns that cannot be told apart share what they explain.
    beta = np.linalg.lstsq(working.whiten(columns), working.y, rcond=1e-9)[0]
    ends = np.cumsum([n_levels, 3, smooth.shape[1], groups - 1, groups - 1])
    levels, start, curve, own, own_slope = np.split(beta, ends[:-1])
    at = np.unique(np.quantile(later, np.linspace(0.0, 1.0, _SMOOTH_POINTS))) if curve.size else np.zeros(1)
    order = np.argsort(later, kind="stable")
    drawn = np.interp(at, later[order], (smooth @ curve)[order]) if curve.size else np.zeros(1)
    covariance = working.fit.covariance
    correlated = 1.0 if working.fit.residual != "independent" else 0.0
    share = covariance.nugget if working.fit.residual == "car1+nugget" else 1.0 - correlated
    noise = share * covariance.sigma**2 - step**2 / 12.0
    return PainModel(
        level=level,
        levels=levels,
        baseline_mean=baseline_mean,
        baseline=start,
        smooth_at=at,
        smooth=drawn,
        therapist=np.vstack([np.column_stack([own, own_slope]), np.zeros((1, 2))]),
        factor=covariance.sigma * covariance.factor,
        process_sd=float(covariance.sigma * np.sqrt(1.0 - share)),
        phi=covariance.phi,
        noise_sd=float(np.sqrt(max(noise, 0.0))),
        gap=typical_gap(r) if working.basis == "visit and weeks" else 0.0,
    )


@dataclass(frozen=True)
class CountModel:
    """How many twitches (insertions, …) there are at a visit.

    Attributes
    ----------
    level : ndarray of int, shape (slots,)
    levels : ndarray, shape (levels,)
        Log mean at each level, at average pain.
    pain_mean : float
    slopes : ndarray, shape (3,)
        Change of the log mean per point of pain, per its square, and per unit of ``log(1 + lead)``,
        where ``lead`` is the main dose of the same visit (0 for the main dose itself).
    therapist : ndarray, shape (groups,)
    frailty, size : float
        Gamma shapes of patient and visit, inf for none.
    narrow : float
        Variance over mean at a visit when that is below 1 (1 otherwise): doses set by protocol.
    low, high : float
        Range of fitted log means, widened by 1: no extrapolation beyond.
    """

    level: Ints
    levels: Array
    pain_mean: float
    slopes: Array
    therapist: Array
    frailty: float
    size: float
    narrow: float
    low: float
    high: float

    def mean(self, slot: int, pain: Array, group: Ints, lead: Array) -> Array:
        """Mean count of an average patient, shape (n,)."""
        centred = pain - self.pain_mean
        drive = self.slopes[0] * centred + self.slopes[1] * centred**2 + self.slopes[2] * np.log1p(lead)
        eta = self.levels[self.level[slot]] + drive + self.therapist[group]
        return np.asarray(np.exp(np.clip(eta, self.low, self.high)))

    def count(self, mean: Array, share: Array) -> Array:
        """Counts at quantiles ``share`` (n,) of a Poisson (or narrower) distribution with these means."""
        if self.narrow < 1.0:
            return np.asarray(np.maximum(np.round(mean + np.sqrt(self.narrow * mean) * ndtri(share)), 0.0))
        return poisson_quantile(share, mean)


def fit_dose(
    count: Array, *, slot: Ints, pain: Array, patient: Ints, group: Ints, groups: int, slots: int,
    lead: Array | None = None,
) -> CountModel:  # fmt: skip
    r"""Fit a count per visit to visit, pain, therapist and (rival doses) the main dose.

    Parameters
    ----------
    count, pain : ndarray, shape (m,)
        Count at a needling visit; latest rating before it, higher worse.
    slot, patient, group : ndarray of int, shape (m,)
        Slot; patient code; group of therapists, the last being the reference.
    groups, slots : int
    lead : ndarray, shape (m,), optional
        Main dose of the same visit.

    Raises
    ------
    FitError
        When all counts are 0 or the fit does not settle.

    Notes
    -----
    Moments: within patients, cross-products of residuals give :math:`1/k`
    (:func:`~tpr_outcomes.models.counts.frailty_precision`); their squares give
    :math:`v=\sum\{(y-\mu)^2-\mu\}/\sum\mu^2=(1+1/k)(1+1/m)-1`, hence :math:`1/m`. Where that is negative
    the visits vary less than Poisson, and their variance over mean is kept instead.
    """
    level = slot_levels(slot, slots)
    n_levels = int(level.max()) + 1
    centred = pain - pain.mean()
    x = np.column_stack([
        (level[slot][:, None] == np.arange(n_levels)).astype(float),
        centred, centred**2, np.zeros_like(count) if lead is None else np.log1p(lead),
        (group[:, None] == np.arange(groups - 1)).astype(float),
    ])  # fmt: skip
    fit = fit_counts(count, x)
    frailty = frailty_precision(count, fit.mean, patient)
    square = float((fit.mean**2).sum())
    excess = float(((count - fit.mean) ** 2 - fit.mean).sum()) / square
    between = 0.0 if frailty >= _MOST_PRECISE else 1.0 / frailty
    within = (1.0 + excess) / (1.0 + between) - 1.0
    eta = np.log(fit.mean)
    return CountModel(
        level=level,
        levels=fit.gamma[:n_levels],
        pain_mean=float(pain.mean()),
        slopes=fit.gamma[n_levels : n_levels + 3],
        therapist=np.append(fit.gamma[n_levels + 3 :], 0.0),
        frailty=np.inf if between == 0.0 else frailty,
        size=1.0 / within if within > 0.0 else np.inf,
        narrow=1.0 if within >= 0.0 else max(1.0 + within * square / float(fit.mean.sum()), 0.0),
        low=float(eta.min()) - 1.0,
        high=float(eta.max()) + 1.0,
    )


@dataclass(frozen=True)
class LeavingModel:
    """Chance of leaving for good after a visit.

    Attributes
    ----------
    level : ndarray of int, shape (slots,)
    levels : ndarray, shape (levels,)
        Log odds at each level; -inf where nobody ever left early.
    slopes, centre, width : ndarray, shape (3,)
        Log odds per standardised latest rating, change from the first, share of the first left.
    best : float
        Best end of the scale, higher worse.
    """

    level: Ints
    levels: Array
    slopes: Array
    centre: Array
    width: Array
    best: float

    def chance(self, slot: int, pain: Array, first: Array) -> Array:
        """Chance of leaving after the visit, shape (n,)."""
        scaled = (leaving_columns(pain, first, self.best) - self.centre) / self.width
        return np.asarray(expit(self.levels[self.level[slot]] + scaled @ self.slopes))


def leaving_columns(pain: Array, first: Array, best: float) -> Array:
    """Latest rating, change from the first, share of the first left (0 to 2), shape (n, 3)."""
    start = first - best
    left = np.divide(pain - best, start, out=np.ones_like(pain), where=start > 0.0)
    return np.column_stack([pain, pain - first, np.clip(left, 0.0, 2.0)])


def fit_leaving(
    left: NDArray[np.bool_], *, slot: Ints, pain: Array, first: Array, slots: int, best: float
) -> LeavingModel:
    """Fit leaving after a visit by ridge-held logistic regression.

    Parameters
    ----------
    left : ndarray of bool, shape (m,)
        Whether the visit was the patient's last, over visits before the last slot of the record.
    slot : ndarray of int, shape (m,)
    pain, first : ndarray, shape (m,)
        Latest and first rating, higher worse.
    slots : int
    best : float
        Best end of the scale, higher worse.
    """
    if not left.any():
        nobody = np.full(1, -np.inf)
        return LeavingModel(np.zeros(slots, np.int64), nobody, np.zeros(3), np.zeros(3), np.ones(3), best)
    level = slot_levels(slot, slots)
    columns = leaving_columns(pain, first, best)
    centre, width = columns.mean(axis=0), columns.std(axis=0)
    width = np.where(width > 0.0, width, 1.0)
    dummies = (level[slot][:, None] == np.arange(level.max() + 1)).astype(float)
    x = np.column_stack([np.ones(left.size), dummies, (columns - centre) / width])
    beta = _ridge_logistic(left.astype(float), x)
    return LeavingModel(level, beta[0] + beta[1:-3], beta[-3:], centre, width, best)


def _ridge_logistic(y: Array, x: Array, *, most: int = 100) -> Array:
    """Maximise the log-likelihood less ``RIDGE/2`` times the squared slopes (not the constant)."""
    penalty = np.full(x.shape[1], RIDGE)
    penalty[0] = 1e-8
    beta = np.zeros(x.shape[1])
    for _ in range(most):
        p = expit(x @ beta)
        weight = np.maximum(p * (1.0 - p), 1e-10)
        gradient = x.T @ (y - p) - penalty * beta
        step = np.linalg.solve((x.T * weight) @ x + np.diag(penalty), gradient)
        # No step moves a log odds by more than 5, so that early steps cannot overshoot.
        step *= min(1.0, 5.0 / max(float(np.abs(x @ step).max()), 1e-300))
        beta = beta + step
        if float(np.abs(step).max()) < 1e-8:
            return beta
    raise FitError(f"The model of leaving did not settle in {most} steps.")
