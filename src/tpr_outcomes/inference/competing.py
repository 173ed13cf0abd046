r"""Which of several endings comes first, and when: cumulative incidence with competing causes.

One minus Kaplan–Meier would count a patient who stopped as one who may still respond. The Aalen–Johansen
estimate does not: the shares of all causes and of those still on their way add up to one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from tpr_outcomes.errors import FitError, PlanError

Array = NDArray[np.float64]

CENSORED = ""
"""Cause of an ending that is none: still on the way when last seen."""


@dataclass(frozen=True, eq=False)
class Incidence:
    """Cumulative incidence of each cause.

    Attributes
    ----------
    causes : tuple of str
        K causes.
    time : ndarray, shape (T,)
        Distinct times at which something happened, ascending.
    at_risk : ndarray, shape (T,)
        Patients still on their way just before.
    share, std_error, conf_low, conf_high : ndarray, shape (K, T)
        Share ended by that cause up to and including each time.
    level : float
    n_patients : int
    """

    causes: tuple[str, ...]
    time: Array
    at_risk: Array
    share: Array
    std_error: Array
    conf_low: Array
    conf_high: Array
    level: float
    n_patients: int

    def at(self, time: float, cause: str) -> tuple[float, float, float, float]:
        """Share ended by ``cause`` up to ``time``: estimate, standard error and interval."""
        k = self._cause(cause)
        place = int(np.searchsorted(self.time, time, side="right")) - 1
        if place < 0:
            return 0.0, 0.0, 0.0, 0.0
        columns = (self.share, self.std_error, self.conf_low, self.conf_high)
        estimate, error, low, high = (float(column[k, place]) for column in columns)
        return estimate, error, low, high

    def time_to(self, share: float, cause: str) -> tuple[float, float, float]:
        """First time by which ``cause`` has ended ``share`` of all, with its interval; infinite: not reached.

        The interval holds the times at which the interval of the share holds ``share``.
        """
        k = self._cause(cause)

        def first(curve: Array) -> float:
            reached = np.flatnonzero(curve[k] >= share - 1e-12)
            return float(self.time[reached[0]]) if reached.size else math.inf

        return first(self.share), first(self.conf_high), first(self.conf_low)

    def to_frame(self) -> pd.DataFrame:
        """One row per cause and time."""
        rows = len(self.causes), self.time.size
        return pd.DataFrame(
            {
                "term": np.repeat(np.array(self.causes, dtype=object), rows[1]),
                "time": np.tile(self.time, rows[0]),
                "at_risk": np.tile(self.at_risk, rows[0]),
                "estimate": self.share.ravel(),
                "std_error": self.std_error.ravel(),
                "conf_low": self.conf_low.ravel(),
                "conf_high": self.conf_high.ravel(),
            }
        )

    def _cause(self, cause: str) -> int:
        if cause not in self.causes:
            raise PlanError(f"There is no ending {cause!r}; there are {', '.join(self.causes)}.")
        return self.causes.index(cause)


def aalen_johansen(time: ArrayLike, cause: ArrayLike, *, level: float = 0.95) -> Incidence:
    r"""Cumulative incidence by the Aalen–Johansen estimate.

    Parameters
    ----------
    time : (n,) array_like of float
        When each patient's course ended; one row per patient.
    cause : (n,) array_like of str
        Why; :data:`CENSORED` where it had not ended. Censored at a time means still at risk at it.
    level : float, optional
        Of the pointwise intervals.

    Returns
    -------
    Incidence

    Raises
    ------
    FitError
        If nobody's course ended.

    Notes
    -----
    :math:`F_k(t)=\sum_{s\le t} S(s^-)\,dN_k(s)/Y(s)` (Aalen & Johansen 1978, Scand J Statist 5:141).
    Standard errors are the infinitesimal jackknife: the square root of the summed squares of each patient's
    influence on :math:`F_k(t)`, as in R's survival. Intervals on the scale :math:`\log(-\log F)`.
    """
    when, why = np.asarray(time, dtype=np.float64), np.asarray(cause, dtype=object)
    ended = why != CENSORED
    if not ended.any():
        raise FitError("Nobody's course has ended; there is no incidence to estimate.")
    causes = tuple(sorted({str(name) for name in why[ended]}))
    times = np.unique(when[ended])
    shape = len(causes), times.size
    share, error, at_risk = np.zeros(shape), np.zeros(shape), np.zeros(times.size)
    survival, on_survival = 1.0, np.zeros(when.size)
    total, on_total = np.zeros(len(causes)), np.zeros((len(causes), when.size))
    for j, now in enumerate(times):
        risk = when >= now
        at_risk[j] = risk.sum()
        events = np.array([(when == now) & (why == name) for name in causes])
        hazard = events.sum(axis=1) / at_risk[j]
        on_hazard = (events - risk * hazard[:, None]) / at_risk[j]
        on_total += on_survival * hazard[:, None] + survival * on_hazard
        total = total + survival * hazard
        on_survival = on_survival * (1.0 - hazard.sum()) - survival * on_hazard.sum(axis=0)
        survival *= 1.0 - float(hazard.sum())
        share[:, j], error[:, j] = total, np.sqrt((on_total**2).sum(axis=1))
    low, high = _interval(share, error, level)
    return Incidence(causes, times, at_risk, share, error, low, high, level, when.size)


def _interval(share: Array, error: Array, level: float) -> tuple[Array, Array]:
    """Interval on the scale log(−log F); the share itself where it is 0 or 1."""
    inside = (share > 1e-12) & (share < 1.0 - 1e-12) & (error > 0)
    safe = np.where(inside, share, 0.5)
    half = ndtri(0.5 + level / 2.0) * error / (safe * -np.log(safe))
    low, high = safe ** np.exp(half), safe ** np.exp(-half)
    return np.where(inside, low, share), np.where(inside, high, share)
