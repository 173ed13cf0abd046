r"""How long do one visit's twitches still show? Carry-over, its half-life, and its rivals. Claim C12.

Dose k visits back is given the weight :math:`\lambda^{k-1}`: 0 is "only the latest visit shows", 1 is "for
good". The ratings decide between them only if relief goes with twitches at all; without that every
:math:`\lambda` fits alike, and the result says so instead of naming a half-life. Associations under the
shared background of all explanations; the answer to C12 remains the verdict's.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from tpr_outcomes.cohort.derive import Ratings, ratings
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError, PlanError
from tpr_outcomes.inference.clustered import Estimate, not_estimated
from tpr_outcomes.inference.threshold import residual_squares, robust_slopes
from tpr_outcomes.models.working import Working, typical_gap

Array = NDArray[np.float64]

RATES = np.linspace(0.0, 1.0, 101)
"""Grid on which the carry-over is profiled."""
LAGS = 3
"""Visits back that have a slope each; what is older shares one."""
RIVAL_DOSES = ("insertions", "sites", "sessions")


@dataclass(frozen=True, eq=False)
class Profile:
    """How well each rate of carry-over fits.

    Attributes
    ----------
    rate : (g,) ndarray
        Share of a visit's effect left one visit later.
    deviance : (g,) ndarray
        Above the best, chi-squared units.
    estimate, conf_low, conf_high : float
        Best rate, and the hull of rates with deviance below the limit.
    fit : float
        Whitened residual sum of squares at the best rate.
    """

    rate: Array
    deviance: Array
    estimate: float
    conf_low: float
    conf_high: float
    fit: float


@dataclass(frozen=True)
class Rival:
    """Another explanation beside the carry-over of the dose.

    Attributes
    ----------
    name : str
        "visits alone", "last visit only", "for good", or a rival dose with a carry-over of its own.
    parameters : int
        Free numbers beyond the background.
    delta_bic : float
        BIC less that of the dose with its carry-over; negative: the rival explains as well with less.
    dose_slope, dose_error : float
        Slope of the dose's carry-over with the rival held equal, scale points per unit, patient-robust error;
        NaN where the rival is part of the same curve.
    note : str
        Why a rival could not be compared.
    """

    name: str
    parameters: int
    delta_bic: float
    dose_slope: float = math.nan
    dose_error: float = math.nan
    note: str = ""


@dataclass(frozen=True, eq=False)
class CarryOver:
    """How long a visit's dose shows.

    Attributes
    ----------
    profile : Profile
    identifiable : bool
        False where the interval runs from "only the latest visit" to "for good", or where counting visits
        alone explains the ratings as well (BIC).
    half_life, half_life_low, half_life_high : float
        Visits until half of the effect is left; infinite: for good. NaN, 0 and infinite where it is not
        identifiable.
    gap_weeks : float
        Weeks between visits; NaN where there are no dates.
    estimates : tuple of Estimate
        See :func:`analyse_carryover`.
    rivals : tuple of Rival
    dose : str
    level : float
    """

    profile: Profile
    identifiable: bool
    half_life: float
    half_life_low: float
    half_life_high: float
    gap_weeks: float
    estimates: tuple[Estimate, ...]
    rivals: tuple[Rival, ...]
    dose: str
    level: float

    @property
    def half_life_weeks(self) -> tuple[float, float, float]:
        """Half-life and its interval in weeks; NaN where there are no dates."""
        both = (self.half_life, self.half_life_low, self.half_life_high)
        first, second, third = (value * self.gap_weeks for value in both)
        return first, second, third

    def get(self, term: str) -> Estimate:
        """Return the estimate of that name."""
        for row in self.estimates:
            if row.term == term:
                return row
        known = ", ".join(row.term for row in self.estimates)
        raise PlanError(f"There is no estimate called {term!r}; there are {known}.")

    def to_frame(self) -> pd.DataFrame:
        """One row per estimate."""
        return pd.DataFrame([asdict(row) for row in self.estimates])


def half_life(rate: float) -> float:
    r"""Visits until half is left, :math:`\log 0.5/\log\lambda`: 0 at rate 0, infinite at rate 1."""
    if rate <= 0.0:
        return 0.0
    return math.inf if rate >= 1.0 else math.log(0.5) / math.log(rate)


def analyse_carryover(working: Working, visits: Visits, *, level: float = 0.95) -> CarryOver:
    r"""Profile the carry-over of the dose and set it beside its rivals.

    Parameters
    ----------
    working : Working
        Background and covariance of the ratings, as every test of the verdict uses them.
    visits : Visits
        The record ``working`` came from.
    level : float, optional

    Returns
    -------
    CarryOver
        Estimates in scale points per unit of dose, higher worse, all from one distributed-lag model:
        ``lag_1``, ``lag_2``, ``lag_3`` the dose so many visits back, ``older`` all before; and, from a model
        of two columns, ``last`` and ``earlier``, the latest visit's dose and the sum of all before it.

    Raises
    ------
    FitError
        If no dose was given before any rating.

    Notes
    -----
    The deviance at :math:`\lambda` is the whitened residual sum of squares after the background and
    :math:`\sum_k\lambda^{k-1} d_{t-k}`, the covariance held at that of the background with a generous dose
    curve. The interval holds the rates whose deviance is below the chi-squared quantile (1 df). Half-life:
    :math:`\log 0.5/\log\lambda` visits. Rival doses have a rate of their own, profiled likewise. BIC counts
    patients; ``visits alone`` is the background without any dose.
    """
    outcomes = working.ratings
    if not outcomes.dose_before.any():
        raise FitError(f"No {outcomes.dose} were recorded before any rating, so nothing can carry over.")
    profile = _profile(working, outcomes, level)
    rivals = _rivals(working, visits, profile)
    spans_all = profile.conf_low <= 0.0 and profile.conf_high >= 1.0
    identifiable = not spans_all and rivals[0].delta_bic > 0.0
    low, middle, high = 0.0, math.nan, math.inf
    if identifiable:
        low, middle, high = (half_life(r) for r in (profile.conf_low, profile.estimate, profile.conf_high))
    return CarryOver(
        profile=profile,
        identifiable=identifiable,
        half_life=middle,
        half_life_low=low,
        half_life_high=high,
        gap_weeks=typical_gap(outcomes) if "weeks" in visits.table else math.nan,
        estimates=(*_lags(working, level), *_split(working, level)),
        rivals=rivals,
        dose=outcomes.dose,
        level=level,
    )


def _columns(outcomes: Ratings) -> Array:
    """Carried dose at every rate of the grid, (n, g)."""
    return np.column_stack([outcomes.carryover(float(rate)) for rate in RATES])


def _profile(working: Working, outcomes: Ratings, level: float) -> Profile:
    squares = residual_squares(working, _columns(outcomes))
    best = int(squares.argmin())
    deviance = squares - squares[best]
    inside = np.flatnonzero(deviance <= stats.chi2.ppf(level, 1))
    ends = _edge(deviance, int(inside[0]), -1, level), _edge(deviance, int(inside[-1]), 1, level)
    return Profile(RATES, deviance, float(RATES[best]), *ends, float(squares[best]))


def _edge(deviance: Array, last: int, step: int, level: float) -> float:
    """Where the deviance crosses its limit beyond a grid point, by straight line; or the grid's end."""
    limit, beyond = float(stats.chi2.ppf(level, 1)), last + step
    if not 0 <= beyond < RATES.size:
        return float(RATES[last])
    share = (limit - deviance[last]) / (deviance[beyond] - deviance[last])
    return float(RATES[last] + share * (RATES[beyond] - RATES[last]))


def _lags(working: Working, level: float) -> list[Estimate]:
    """A slope for the dose of each of the latest visits, and one for all before."""
    names = (*(f"lag_{k}" for k in range(1, LAGS + 1)), "older")
    return _slopes(working, lag_columns(working.ratings, LAGS), names, level)


def lag_columns(outcomes: Ratings, lags: int) -> Array:
    """Return the dose 1, ..., ``lags`` visits back, and the sum of all before, (n, lags + 1)."""
    recent = outcomes.lagged(lags)
    return np.column_stack([recent, outcomes.dose_before - recent.sum(axis=1)])


def _split(working: Working, level: float) -> list[Estimate]:
    """The latest visit's dose, and the sum of all before it."""
    outcomes = working.ratings
    columns = np.column_stack([outcomes.dose_last, outcomes.dose_before - outcomes.dose_last])
    return _slopes(working, columns, ("last", "earlier"), level)


def _slopes(working: Working, columns: Array, names: tuple[str, ...], level: float) -> list[Estimate]:
    """Joint slopes of the columns that vary, patient-robust, t on patients less one."""
    n, people = columns.shape[0], working.ratings.n_patients
    t = float(stats.t.ppf(0.5 + level / 2.0, max(people - 1, 1)))
    varies = np.ptp(columns, axis=0) > 0
    found, errors = np.full((2, len(names)), math.nan)
    if varies.any():
        found[varies], errors[varies] = robust_slopes(working, columns[:, varies])
    rows = []
    for name, value, error in zip(names, found.tolist(), errors.tolist(), strict=True):
        known = math.isfinite(error) and error > 0
        if not known:
            reason = "no such dose varies beyond time"
            rows.append(not_estimated(name, n_rows=n, n_patients=people, reason=reason))
            continue
        p_value = float(2.0 * stats.t.sf(abs(value) / error, max(people - 1, 1)))
        rows.append(Estimate(name, value, error, value - t * error, value + t * error, p_value, n, people))
    return rows


def _rivals(working: Working, visits: Visits, profile: Profile) -> tuple[Rival, ...]:
    """Each rival's BIC against the dose's carry-over, which has two parameters."""
    outcomes, y = working.ratings, working.clear(working.y)
    penalty = math.log(outcomes.n_patients)
    ours = profile.fit + 2 * penalty
    last, forever = residual_squares(working, np.column_stack([outcomes.dose_last, outcomes.dose_before]))
    found = [
        Rival("visits alone", 0, float(y @ y) - ours),
        Rival("last visit only", 1, float(last) + penalty - ours),
        Rival("for good", 1, float(forever) + penalty - ours),
    ]
    own = outcomes.carryover(profile.estimate)
    for name in RIVAL_DOSES:
        if name == outcomes.dose or name not in visits.table or not visits.table[name].notna().any():
            continue
        other = ratings(visits, dose=name)
        place = np.searchsorted(other.row, outcomes.row)
        held = place < other.row.size
        held[held] = other.row[place[held]] == outcomes.row[held]
        if not held.all():
            lacking = int((~held).sum())
            note = f"{lacking} of {held.size} ratings have no known {name} before them"
            found.append(Rival(name, 2, math.nan, note=note))
            continue
        columns = _columns(other)[place]
        squares = residual_squares(working, columns)
        best = columns[:, int(squares.argmin())]
        slope, error = robust_slopes(working, np.column_stack([own, best]))
        delta = float(squares.min()) + 2 * penalty - ours
        found.append(Rival(name, 2, delta, float(slope[0]), float(error[0])))
    return tuple(found)
