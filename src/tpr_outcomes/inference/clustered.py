r"""Shares and slopes when several visits come from one patient: the patient is the unit of chance.

Standard errors come from leaving patients out one at a time (jackknife), which needs no random numbers and
no model of how visits of a patient resemble each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from tpr_outcomes.errors import FitError

Array = NDArray[np.float64]

MOST_GROUPS = 200
"""With more patients than this, they are left out in this many groups: more would only cost time."""


@dataclass(frozen=True)
class Estimate:
    """One number with its uncertainty.

    Attributes
    ----------
    term : str
    estimate, std_error, conf_low, conf_high : float
        NaN where it could not be estimated.
    p_value : float
        Two-sided; NaN where nothing is tested.
    n_rows, n_patients : int
        What it rests on.
    note : str
        How to read it, or why it could not be estimated.
    sides : tuple of int, optional
        Patients behind each group that a share tells of: those with it, those without, and what else would
        follow. None: not known. Empty: it counts nobody.
    """

    term: str
    estimate: float
    std_error: float
    conf_low: float
    conf_high: float
    p_value: float
    n_rows: int
    n_patients: int
    note: str = ""
    sides: tuple[int, ...] | None = field(default=None, repr=False)


def not_estimated(term: str, *, n_rows: int, n_patients: int, reason: str) -> Estimate:
    """An estimate that could not be made, with its reason."""
    return Estimate(term, math.nan, math.nan, math.nan, math.nan, math.nan, n_rows, n_patients, reason)


def jackknife(statistic: Callable[[NDArray[np.bool_]], Array], patient: ArrayLike) -> Array:
    r"""Covariance of a statistic, patients left out one at a time.

    Parameters
    ----------
    statistic : callable
        Takes a mask of the rows kept, (n,), and returns (k,) numbers.
    patient : (n,) array_like of int

    Returns
    -------
    ndarray, shape (k, k)
        :math:`\frac{G-1}{G}\sum_g(\hat\theta_{(g)}-\bar\theta)(\hat\theta_{(g)}-\bar\theta)^\top` over G
        groups: single patients, or :data:`MOST_GROUPS` groups of them where there are more. Efron & Stein
        1981, doi:10.1214/aos/1176345462.

    Raises
    ------
    FitError
        With fewer than two patients.
    """
    groups = np.unique(np.asarray(patient), return_inverse=True)[1] % MOST_GROUPS
    count = int(groups.max()) + 1 if groups.size else 0
    if count < 2:
        raise FitError("All rows come from one patient; uncertainty needs at least two.")
    values = np.array([statistic(groups != group) for group in range(count)])
    apart = values - values.mean(axis=0)
    return np.asarray((count - 1) / count * apart.T @ apart)


def wilson(share: float, std_error: float, *, n_patients: int, level: float = 0.95) -> tuple[float, float]:
    r"""Wilson interval of a share at its effective sample size.

    Parameters
    ----------
    share : float
    std_error : float
        Clustered standard error; 0 where every patient has the same share.
    n_patients : int
        Patients the share rests on.
    level : float, optional

    Returns
    -------
    tuple of float
        ``conf_low, conf_high``, inside [0, 1] also where the share is 0 or 1.

    Notes
    -----
    Wilson's interval (1927, doi:10.1080/01621459.1927.10502953) with
    :math:`n^*=\hat p(1-\hat p)/\mathrm{se}^2` in place of n and Student's t on one less than the number of
    patients. Where the standard error is 0 (all or none) it carries no information on clustering, and n* is
    the number of patients: fully alike visits, the cautious end.
    """
    t = float(stats.t.ppf(0.5 + level / 2.0, n_patients - 1))
    spread = share * (1.0 - share)
    effective = spread / std_error**2 if std_error > 1e-9 and spread > 1e-12 else float(n_patients)
    pull = t * t / effective
    middle = (share + pull / 2.0) / (1.0 + pull)
    half = t / (1.0 + pull) * math.sqrt(spread / effective + pull / (4.0 * effective))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def share_of(
    term: str, yes: ArrayLike, patient: ArrayLike, *, level: float = 0.95, note: str = ""
) -> Estimate:
    """Share of rows that are true, patients left out one at a time.

    Parameters
    ----------
    term : str
    yes : (n,) array_like of bool
    patient : (n,) array_like of int
    """
    said, who = np.asarray(yes, dtype=np.float64), np.asarray(patient)
    people = int(np.unique(who).size)
    if people < 2:
        reason = "too few entries; a share with an interval needs two patients"
        return not_estimated(term, n_rows=said.size, n_patients=people, reason=reason)
    covariance = jackknife(lambda keep: np.array([said[keep].mean()]), who)
    error = math.sqrt(float(covariance[0, 0]))
    low, high = wilson(float(said.mean()), error, n_patients=people, level=level)
    sides = _people(who, said > 0), _people(who, said == 0)
    return Estimate(term, float(said.mean()), error, low, high, math.nan, said.size, people, note, sides)


def _people(patient: NDArray[np.int64], here: NDArray[np.bool_]) -> int:
    """Number of patients with a row that is marked."""
    return int(np.unique(patient[here]).size)


def ratio_of(
    term: str, part: ArrayLike, whole: ArrayLike, patient: ArrayLike, *, level: float = 0.95, note: str = ""
) -> Estimate:
    """Share of a total, patients left out one at a time: the sum of ``part`` over the sum of ``whole``.

    Parameters
    ----------
    term : str
    part, whole : (n,) array_like of float
        Counts, ``part`` no larger than ``whole``.
    patient : (n,) array_like of int
    """
    top, bottom = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    who = np.asarray(patient)
    people = int(np.unique(who).size)
    if people < 2 or not bottom.sum() > 0:
        reason = "too few entries; a share with an interval needs two patients"
        return not_estimated(term, n_rows=top.size, n_patients=people, reason=reason)

    def share(keep: NDArray[np.bool_]) -> Array:
        return np.array([top[keep].sum() / max(bottom[keep].sum(), 1e-300)])

    value = float(top.sum() / bottom.sum())
    error = math.sqrt(float(jackknife(share, who)[0, 0]))
    low, high = wilson(value, error, n_patients=people, level=level)
    sides = _people(who, top > 0), _people(who, top < bottom)
    return Estimate(term, value, error, low, high, math.nan, top.size, people, note, sides)


def exact_share(
    term: str,
    count: int,
    of: int,
    *,
    n_patients: int,
    level: float = 0.95,
    note: str = "",
    sides: tuple[int, ...] | None = None,
) -> Estimate:
    r"""Share with its exact interval, each of the ``of`` taken as independent.

    Parameters
    ----------
    term : str
    count, of : int
        How often, of how many.
    n_patients : int
    level : float, optional
        Of the two-sided interval; where nothing happened the upper end is one-sided at that level.
    sides : tuple of int, optional
        Patients with it and without.

    Notes
    -----
    Clopper & Pearson 1934, doi:10.1093/biomet/26.4.404. Where ``count`` is 0 the upper end is
    :math:`1-\alpha^{1/n}` with :math:`\alpha` one less the level, about 3/n at 95% (Hanley & Lippman-Hand
    1983, doi:10.1001/jama.1983.03330370053031); the lower end is 0.

    Examples
    --------
    >>> round(exact_share("infection", 0, 300, n_patients=100).conf_high, 6)
    0.009936
    """
    if not of:
        return not_estimated(term, n_rows=0, n_patients=n_patients, reason="nothing was asked")
    alpha = 1.0 - level
    if count == 0:
        low, high = 0.0, float(-math.expm1(math.log(alpha) / of))
    else:
        low = float(stats.beta.ppf(alpha / 2.0, count, of - count + 1))
        high = float(stats.beta.ppf(1.0 - alpha / 2.0, count + 1, of - count)) if count < of else 1.0
    return Estimate(term, count / of, math.nan, low, high, math.nan, of, n_patients, note, sides)


def regression(
    y: Array, X: Array, patient: ArrayLike, *, terms: dict[int, str], level: float = 0.95
) -> tuple[Estimate, ...]:
    r"""Least squares with patients left out one at a time; interval and p-value by Student's t.

    Parameters
    ----------
    y : (n,) ; X : (n, p) ; patient : (n,)
    terms : dict
        Columns of X to report, and their names.

    Returns
    -------
    tuple of Estimate

    Notes
    -----
    Degrees of freedom: the effective number of patients less one, :math:`(\sum_i g_i)^2/\sum_i g_i^2` over
    the patients' shares g of the squared part of a column that the others do not explain (as in Carter,
    Schnepel & Steigerwald 2017, doi:10.1162/REST_a_00639): a few long courses may carry most of a slope.
    Each patient's cross-products are taken once, so leaving one out costs one solve.
    """
    groups = np.unique(np.asarray(patient), return_inverse=True)[1]
    people = int(groups.max()) + 1 if groups.size else 0
    columns = list(terms)
    order = np.argsort(groups, kind="stable")
    opens = np.flatnonzero(np.diff(groups[order], prepend=-1))
    crossed = np.concatenate([X[:, :, None] * X[:, None, :], (X * y[:, None])[:, :, None]], axis=2)
    sums = np.add.reduceat(crossed[order], opens, axis=0)
    total = sums.sum(axis=0)

    def coefficients(out: Array) -> Array:
        left = total - out
        return np.asarray(np.linalg.lstsq(left[:, :-1], left[:, -1], rcond=1e-12)[0])[columns]

    whole = coefficients(np.zeros_like(total))
    covariance = jackknife(lambda keep: coefficients(sums[~keep].sum(axis=0)), np.arange(people))
    errors = np.sqrt(np.diag(covariance))
    rows = []
    for column, name, value, error in zip(
        columns, terms.values(), whole.tolist(), errors.tolist(), strict=True
    ):
        free = _free(sums[:, :, :-1], total[:, :-1], column)
        reach = float(stats.t.ppf(0.5 + level / 2.0, free)) * error
        p_value = float(2.0 * stats.t.sf(abs(value) / error, free)) if error > 0 else math.nan
        low, high = value - reach, value + reach
        rows.append(Estimate(name, value, error, low, high, p_value, y.size, people))
    return tuple(rows)


def _free(crossed: Array, total: Array, column: int) -> float:
    """Effective number of patients that carry a column beyond the others, less one; never below one.

    Parameters
    ----------
    crossed : (g, p, p) ndarray
        Cross-products of the columns, by patient.
    total : (p, p) ndarray
        Their sum.
    column : int
    """
    others = np.delete(np.arange(len(total)), column)
    own = np.zeros(len(total))
    own[column] = 1.0
    if others.size:
        own[others] = -np.linalg.lstsq(total[np.ix_(others, others)], total[others, column], rcond=1e-12)[0]
    shares = np.clip(crossed @ own @ own, 0.0, None)
    return max(float(shares.sum() ** 2 / max(float((shares**2).sum()), 1e-300)) - 1.0, 1.0)
