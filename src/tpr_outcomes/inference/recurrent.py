r"""Events that come again: how many on average by some time, and what goes with more of them.

Arrays in, results out. Rows are risk intervals (start, stop] with an event at their end or none; a cluster is
a patient. Both variances allow a patient's events to hang together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from tpr_outcomes.errors import DataError, FitError

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Ties = Literal["efron", "breslow"]

_STEPS = 50
_INFINITE = 12.0
"""Log rate ratio per standard deviation beyond which a covariate separates events from the rest."""
_SETTLED = 1e-10
"""Newton stops when the score, in standard errors, is below this."""


@dataclass(frozen=True, eq=False)
class MeanCumulative:
    """Mean number of events per patient by each time.

    Attributes
    ----------
    time : (k,) ndarray
        Times with events, ascending.
    mean : (k,) ndarray
        Mean number of events up to each.
    std_error : (k,) ndarray
        Robust standard errors.
    at_risk : (k,) ndarray of int
        Intervals open at each time.
    n_patients, n_events : int
    level : float
    """

    time: Array
    mean: Array
    std_error: Array
    at_risk: Ints
    n_patients: int
    n_events: int
    level: float

    def at(self, time: float) -> tuple[float, float, float, float]:
        """Return mean, standard error and interval at a time; zeros and NaN before the first event.

        Notes
        -----
        The interval is symmetric on the logarithm.
        """
        before = np.flatnonzero(self.time <= time)
        if not before.size:
            return 0.0, math.nan, math.nan, math.nan
        mean, error = float(self.mean[before[-1]]), float(self.std_error[before[-1]])
        reach = math.exp(float(stats.norm.ppf(0.5 + self.level / 2.0)) * error / mean)
        return mean, error, mean / reach, mean * reach


@dataclass(frozen=True, eq=False)
class HazardFit:
    """Proportional hazards in counting-process form.

    Attributes
    ----------
    terms : tuple of str
    coefficients : (p,) ndarray
        Log hazard ratios.
    model_cov, robust_cov : (p, p) ndarray
        Inverse information; sandwich over patients.
    log_likelihood : float
        Partial.
    n_rows, n_events, n_patients : int
    ties : str
    """

    terms: tuple[str, ...]
    coefficients: Array
    model_cov: Array
    robust_cov: Array
    log_likelihood: float
    n_rows: int
    n_events: int
    n_patients: int
    ties: str

    def ratio(self, term: str, *, level: float = 0.95) -> tuple[float, float, float, float]:
        """Return hazard ratio, its interval and p-value: normal on the log, robust errors."""
        place = self.terms.index(term)
        value, error = float(self.coefficients[place]), math.sqrt(float(self.robust_cov[place, place]))
        reach = float(stats.norm.ppf(0.5 + level / 2.0)) * error
        p_value = float(2.0 * stats.norm.sf(abs(value) / error)) if error > 0 else math.nan
        ratio, low, high = np.exp(np.clip([value, value - reach, value + reach], -700.0, 700.0)).tolist()
        return ratio, low, high, p_value


def mean_cumulative(
    start: ArrayLike, stop: ArrayLike, event: ArrayLike, patient: ArrayLike, *, level: float = 0.95
) -> MeanCumulative:
    r"""Nelson's estimate of the mean cumulative function.

    Parameters
    ----------
    start, stop : (n,) array_like
        Risk interval (start, stop].
    event : (n,) array_like of bool
        Whether it ends with an event.
    patient : (n,) array_like of int
    level : float, optional

    Returns
    -------
    MeanCumulative

    Raises
    ------
    DataError
        If an interval has no length or is not finite.
    FitError
        If there is no event.

    Notes
    -----
    :math:`\hat\mu(t)=\sum_{s\le t} dN(s)/Y(s)`, variance
    :math:`\sum_i\{\sum_{s\le t}(dN_i(s)-Y_i(s)\,d\hat\mu(s))/Y(s)\}^2` (Lawless & Nadeau 1995,
    doi:10.1080/00401706.1995.10484300), which needs no Poisson process.
    """
    begins, ends, ended, who = _rows(start, stop, event, patient)
    time = np.unique(ends[ended])
    at_risk = _at_risk(begins, ends, time)
    exposed = at_risk.sum(axis=1)
    happens = (ends == time[:, None]) & ended
    jump = happens.sum(axis=1) / exposed
    influence = (happens - at_risk * jump[:, None]) / exposed[:, None]
    by_patient = np.zeros((time.size, int(who.max()) + 1))
    np.add.at(by_patient.T, who, influence.T)
    error = np.sqrt((np.cumsum(by_patient, axis=0) ** 2).sum(axis=1))
    people = int(who.max()) + 1
    return MeanCumulative(
        time, np.cumsum(jump), error, exposed.astype(np.int64), people, int(ended.sum()), level
    )


def andersen_gill(
    start: ArrayLike,
    stop: ArrayLike,
    event: ArrayLike,
    columns: ArrayLike,
    patient: ArrayLike,
    *,
    terms: Sequence[str],
    ties: Ties = "efron",
) -> HazardFit:
    r"""Andersen and Gill's model: Cox's partial likelihood on risk intervals, sandwich over patients.

    Parameters
    ----------
    start, stop, event, patient
        As in :func:`mean_cumulative`.
    columns : (n, p) array_like
        Covariates, constant over each interval.
    terms : sequence of str
        Names of the columns.
    ties : {"efron", "breslow"}, optional

    Returns
    -------
    HazardFit

    Raises
    ------
    DataError
        If an interval has no length or is not finite.
    FitError
        If there is no event, a column does not vary among those at risk, or the likelihood has no maximum.

    Notes
    -----
    Andersen & Gill 1982, doi:10.1214/aos/1176345976; variance :math:`\sum_i D_iD_i^\top` with
    :math:`D_i` the patient's summed score residuals times the inverse information (Lin & Wei 1989,
    doi:10.1080/01621459.1989.10478874). Efron 1977, doi:10.1080/01621459.1977.10480613.
    """
    begins, ends, ended, who = _rows(start, stop, event, patient)
    x = np.asarray(columns, dtype=np.float64).reshape(ends.size, -1)
    x = x - x.mean(axis=0)
    size = x.std(axis=0)
    if not (size > 0).all() or not np.isfinite(x).all():
        raise FitError("A covariate of the relapse rate is the same everywhere or not finite.")
    x = x / size
    steps = _steps(begins, ends, ended, ties)
    beta = np.zeros(x.shape[1])
    value, score, information, _ = _likelihood(beta, x, steps)
    for _ in range(_STEPS):
        try:
            move = np.linalg.solve(information, score)
        except np.linalg.LinAlgError as error:
            raise FitError("Those at risk at the same time do not differ in a covariate.") from error
        if float(score @ move) < _SETTLED**2:
            break
        for halving in range(30):
            new = beta + move / 2**halving
            found = _likelihood(new, x, steps)
            if np.isfinite(found[0]) and found[0] >= value - 1e-12 * abs(value):
                break
        beta, (value, score, information, _) = new, found
        if np.abs(beta).max() > _INFINITE:
            raise FitError(
                "A covariate tells events from the rest without error; its rate ratio is infinite."
            )
    else:
        raise FitError("The relapse rate model did not settle.")
    residuals = _likelihood(beta, x, steps)[3]
    inverse = np.linalg.inv(information)
    sums = np.zeros((int(who.max()) + 1, x.shape[1]))
    np.add.at(sums, who, residuals)
    moved = sums @ inverse
    scale = np.outer(size, size)
    return HazardFit(
        tuple(terms),
        beta / size,
        inverse / scale,
        moved.T @ moved / scale,
        value,
        ends.size,
        int(ended.sum()),
        sums.shape[0],
        ties,
    )


def _rows(
    start: ArrayLike, stop: ArrayLike, event: ArrayLike, patient: ArrayLike
) -> tuple[Array, Array, Bools, Ints]:
    begins, ends = np.asarray(start, dtype=np.float64), np.asarray(stop, dtype=np.float64)
    ended = np.asarray(event, dtype=bool)
    if not (np.isfinite(begins) & np.isfinite(ends) & (begins < ends)).all():
        raise DataError("A risk interval has no length, or an end that is not a number.")
    if not ended.any():
        raise FitError("Pain came back in nobody while followed, so there is no rate to estimate.")
    return begins, ends, ended, np.unique(np.asarray(patient), return_inverse=True)[1].reshape(-1)


def _at_risk(begins: Array, ends: Array, time: Array) -> Bools:
    """Whether each row is at risk just before each time, (times, rows)."""
    return np.asarray((begins < time[:, None]) & (ends >= time[:, None]))


@dataclass(frozen=True, eq=False)
class _Step:
    """One factor of the partial likelihood: who is at risk, with what weight, and who has the events."""

    risk: Array  # weight of each row in the sums: 1, or 1 - l/d for the d tied events at the l-th factor
    events: Ints
    share: float  # of each event in this factor: 1/d under Efron, 1 under Breslow
    times: float  # how often the factor enters: 1 under Efron, d under Breslow


def _steps(begins: Array, ends: Array, ended: Bools, ties: Ties) -> list[_Step]:
    found = []
    for time in np.unique(ends[ended]):
        risk = _at_risk(begins, ends, np.array([time]))[0].astype(np.float64)
        events = np.flatnonzero(ended & (ends == time))
        if ties == "breslow":
            found.append(_Step(risk, events, 1.0, float(events.size)))
            continue
        for place in range(events.size):
            weighted = risk.copy()
            weighted[events] -= place / events.size
            found.append(_Step(weighted, events, 1.0 / events.size, 1.0))
    return found


def _likelihood(beta: Array, x: Array, steps: list[_Step]) -> tuple[float, Array, Array, Array]:
    """Log partial likelihood, score, information, and score residual of each row."""
    eta = x @ beta
    level = float(eta.max())
    risk = np.exp(eta - level)
    value, information = 0.0, np.zeros((x.shape[1], x.shape[1]))
    residuals = np.zeros_like(x)
    for step in steps:
        weight = step.risk * risk
        total = float(weight.sum())
        mean = weight @ x / total
        apart = x - mean
        value += step.share * float(eta[step.events].sum()) - step.times * (math.log(total) + level)
        information += step.times * (apart * weight[:, None]).T @ apart / total
        residuals[step.events] += step.share * apart[step.events]
        residuals -= step.times * (weight / total)[:, None] * apart
    return value, residuals.sum(axis=0), information, residuals
