"""One exposure against another among rows alike in the rest, and whether the difference is small enough.

The patient is the unit of chance: sandwich errors with a small-sample correction, and Student's t with the
number of patients who carry the comparison rather than of all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from tpr_outcomes.cohort.instruments import ImportantDifference
from tpr_outcomes.cohort.scales import Scale
from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.clustered import Estimate, not_estimated
from tpr_outcomes.inference.estimating import weighted_regression
from tpr_outcomes.models.working import full_rank

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

FEWEST_PATIENTS = 15
"""Patients a comparison needs, and each of two groups where there are groups."""


@dataclass(frozen=True)
class Contrast:
    """A difference, and the degrees of freedom of its interval.

    Attributes
    ----------
    estimate : Estimate
    degrees : float
        Of Student's t; NaN where nothing was estimated.
    """

    estimate: Estimate
    degrees: float


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided tests against a margin.

    Attributes
    ----------
    term : str
        The estimate tested.
    margin : ImportantDifference
        The cited difference, scale points.
    p_value : float
        The larger of the two one-sided p-values (Schuirmann 1987, doi:10.1007/BF01068419).
    conf_low, conf_high : float
        Interval at twice the level left out, 90% for tests at 5%.
    equivalent : bool
        Whether that interval lies inside the margin.
    """

    term: str
    margin: ImportantDifference
    p_value: float
    conf_low: float
    conf_high: float
    equivalent: bool


def fit_exposure(
    term: str,
    y: Array,
    exposure: Array,
    columns: Array,
    patient: Ints,
    *,
    stratum: Ints | None = None,
    level: float = 0.95,
) -> Contrast:
    r"""Coefficient of one exposure within strata, beside nuisance columns.

    Parameters
    ----------
    term : str
    y, exposure : (n,) ndarray
    columns : (n, p) ndarray
        Dependent columns are dropped; no constant is needed.
    patient : (n,) ndarray of int
        Each patient's rows together.
    stratum : (n,) ndarray of int, optional
        Rows of a stratum share a constant; default: all rows do.
    level : float, optional

    Returns
    -------
    Contrast
        Not estimated, with the reason, where the exposure has nothing to itself.

    Notes
    -----
    Least squares on deviations from stratum means. Sandwich over patients with Mancl and DeRouen's correction
    (doi:10.1111/j.0006-341X.2001.00126.x) for the columns, times n/(n - S) for the S constants: correcting
    for each constant's own leverage would break down in strata of two or three rows. Student's t with the
    effective number of patients less one, :math:`(\sum_i g_i)^2/\sum_i g_i^2` over the patients' shares g of
    the squared part of the exposure that the rest does not explain (as in Carter, Schnepel & Steigerwald
    2017, doi:10.1162/REST_a_00639).
    """
    people = int(np.unique(patient).size)
    group = (
        np.zeros(y.size, dtype=np.int64) if stratum is None else np.unique(stratum, return_inverse=True)[1]
    )
    strata = int(group.max()) + 1 if y.size else 0
    apart = _centred(np.column_stack([y, exposure, columns]), group)
    y, own, rest = apart[:, 0], apart[:, 1], full_rank(apart[:, 2:])
    basis = np.linalg.qr(rest)[0]
    own = own - basis @ (basis.T @ own)
    reason = "too few patients, or the exposure does not vary among rows alike in the rest"
    if people < FEWEST_PATIENTS or not own @ own > 1e-8 * max(float(exposure @ exposure), 1e-300):
        return _nothing(term, y.size, people, reason)
    try:
        design = np.column_stack([own, basis])
        theta, influence = weighted_regression(y, design, np.ones(y.size), patient, small_sample=True)
    except FitError as problem:
        return _nothing(term, y.size, people, str(problem))
    shares = np.bincount(np.unique(patient, return_inverse=True)[1], weights=own**2)
    free = max(float(shares.sum() ** 2 / (shares**2).sum()) - 1.0, 1.0)
    inflation = y.size / max(y.size - strata, 1)
    value, error = float(theta[0]), float(np.sqrt(inflation * (influence[:, 0] @ influence[:, 0])))
    reach = float(stats.t.ppf(0.5 + level / 2.0, free)) * error
    p_value = float(2.0 * stats.t.sf(abs(value) / error, free)) if error > 0 else math.nan
    note = f"t with {free:.0f} degrees of freedom"
    found = Estimate(term, value, error, value - reach, value + reach, p_value, y.size, people, note)
    return Contrast(found, free)


def _centred(values: Array, group: Ints) -> Array:
    """Deviations of the rows of ``values`` from the means of their group."""
    if not values.size:
        return values
    sums = np.zeros((int(group.max()) + 1, values.shape[1]))
    np.add.at(sums, group, values)
    return np.asarray(values - (sums / np.bincount(group)[:, None])[group])


def _nothing(term: str, n_rows: int, n_patients: int, reason: str) -> Contrast:
    return Contrast(not_estimated(term, n_rows=n_rows, n_patients=n_patients, reason=reason), math.nan)


def too_few(term: str, groups: tuple[int, int], reason: str, n_rows: int = 0) -> Contrast:
    """A contrast that is not made because one of the two groups is too small."""
    return _nothing(term, n_rows, min(groups), f"{reason}; {FEWEST_PATIENTS} of each are needed")


def equivalence(contrast: Contrast, scale: Scale, *, level: float = 0.95) -> tuple[Equivalence, ...]:
    """Two one-sided tests of a difference against each important difference the scale cites.

    Parameters
    ----------
    contrast : Contrast
    scale : Scale
    level : float, optional
        Each one-sided test is at ``1 - level``.

    Returns
    -------
    tuple of Equivalence
        One per cut-point in scale points, smallest first; none where nothing was estimated.

    References
    ----------
    Schuirmann 1987, doi:10.1007/BF01068419.
    """
    found, free = contrast.estimate, contrast.degrees
    if not math.isfinite(found.estimate) or not found.std_error > 0:
        return ()
    reach = float(stats.t.ppf(level, free)) * found.std_error
    low, high = found.estimate - reach, found.estimate + reach
    results = []
    for margin in scale.absolute_cuts():
        p_values = [
            float(stats.t.sf((margin.value + side * found.estimate) / found.std_error, free))
            for side in (1.0, -1.0)
        ]
        inside = -margin.value < low and high < margin.value
        results.append(Equivalence(found.term, margin, max(p_values), low, high, inside))
    return tuple(results)
