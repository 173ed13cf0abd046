r"""Were visits closer together at the start of a course than later? Claim C15."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.clustered import Estimate, jackknife

Array = NDArray[np.float64]

WINDOWS = ((0.0, 4.0), (4.0, 8.0), (8.0, 12.0), (12.0, 26.0), (26.0, 52.0))
"""Weeks since the first visit."""
FEWEST_FOR_GAPS = 15
"""Patients with four or more dated visits that the comparison needs."""


@dataclass(frozen=True)
class Frequency:
    """How gaps between visits changed in the course of treatment.

    Attributes
    ----------
    gap_ratio : Estimate
        Mean later gap to mean earlier gap of the same patient, geometric mean over patients.
    rates : tuple of Estimate
        Visits per week of treatment, first visits not counted, in :data:`WINDOWS` of weeks since the first.
    level : float
    """

    gap_ratio: Estimate
    rates: tuple[Estimate, ...]
    level: float


def analyse_frequency(visits: Visits, *, level: float = 0.95) -> Frequency:
    r"""Compare the later with the earlier gaps of each patient.

    Parameters
    ----------
    visits : Visits
        With ``weeks``.
    level : float, optional

    Returns
    -------
    Frequency

    Raises
    ------
    FitError
        If fewer than :data:`FEWEST_FOR_GAPS` patients have four dated visits.

    Notes
    -----
    :math:`\exp\{\bar d \pm t_{N-1}\,s_d/\sqrt N\}` with :math:`d_i` the log ratio of the mean gap in the
    later half of patient i's course to that in the earlier half.
    """
    ratios = gap_ratios(visits)
    n = ratios.size
    if n < FEWEST_FOR_GAPS:
        raise FitError(f"Fewer than {FEWEST_FOR_GAPS} patients have four or more dated visits.")
    mean, error = float(ratios.mean()), float(ratios.std(ddof=1) / math.sqrt(n))
    reach = float(stdtrit(n - 1, 0.5 + level / 2.0)) * error
    ratio, low, high = (math.exp(mean + side) for side in (0.0, -reach, reach))
    gap = Estimate("gap_ratio", ratio, ratio * error, low, high, math.nan, n, n)
    return Frequency(gap, visit_rates(visits, level=level), level)


def visit_rates(visits: Visits, *, level: float = 0.95) -> tuple[Estimate, ...]:
    r"""Visits per week since the first visit, among patients still in treatment.

    Returns
    -------
    tuple of Estimate
        ``visits_per_week_0_4`` and so on; windows in which nobody was in treatment are left out.

    Notes
    -----
    :math:`\sum_i N_i(a,b]/\sum_i\{\min(b,T_i)-a\}^+` with :math:`T_i` the week of patient i's last visit:
    whoever stops is followed to the last visit, not beyond. Interval on the log scale, patients left out one
    at a time.
    """
    patient = visits.table["patient"].to_numpy()
    weeks = visits.table["weeks"].to_numpy(dtype=np.float64)
    last = np.zeros(visits.n_patients)
    np.maximum.at(last, patient, weeks)
    found = []
    for low, high in WINDOWS:
        inside = (weeks > low) & (weeks <= high)
        made = np.bincount(patient[inside], minlength=visits.n_patients).astype(np.float64)
        time = np.clip(np.minimum(last, high) - low, 0.0, None)
        term = f"visits_per_week_{low:g}_{high:g}"
        there = time > 0
        if there.sum() < 2 or not made.sum() > 0:
            continue
        found.append(_rate(term, made[there], time[there], level))
    return tuple(found)


def _rate(term: str, made: Array, time: Array, level: float) -> Estimate:
    """A rate with patients left out one at a time; interval on the log scale."""
    n = made.size
    rate = float(made.sum() / time.sum())

    def log_rate(keep: NDArray[np.bool_]) -> Array:
        return np.array([math.log(max(float(made[keep].sum()), 0.5) / float(time[keep].sum()))])

    error = math.sqrt(float(jackknife(log_rate, np.arange(n))[0, 0]))
    reach = float(stdtrit(n - 1, 0.5 + level / 2.0)) * error
    ends = rate * math.exp(-reach), rate * math.exp(reach)
    return Estimate(term, rate, rate * error, *ends, math.nan, int(made.sum()), n)


def gap_ratios(visits: Visits) -> Array:
    """Log ratio of the mean gap in the later to that in the earlier half of each patient's course.

    Patients with fewer than four dated visits, or with no time between those of a half, are left out; the
    middle one of an odd number of gaps belongs to neither half.
    """
    found: list[float] = []
    for _, weeks in visits.table.groupby("patient", sort=False)["weeks"]:
        gaps = np.diff(weeks.to_numpy(dtype=np.float64))
        half = gaps.size // 2
        if gaps.size < 3 or not np.isfinite(gaps).all():
            continue
        early, late = float(gaps[:half].mean()), float(gaps[-half:].mean())
        if early > 0 and late > 0:
            found.append(math.log(late / early))
    return np.asarray(found, dtype=np.float64)
