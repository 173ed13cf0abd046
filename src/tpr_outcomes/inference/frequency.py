r"""Were visits closer together at the start of a course than later? Claim C15."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.clustered import Estimate

Array = NDArray[np.float64]

FEWEST_FOR_GAPS = 15
"""Patients with four or more dated visits that the comparison needs."""


@dataclass(frozen=True)
class Frequency:
    """How gaps between visits changed in the course of treatment.

    Attributes
    ----------
    gap_ratio : Estimate
        Mean later gap to mean earlier gap of the same patient, geometric mean over patients.
    level : float
    """

    gap_ratio: Estimate
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
        raise FitError(f"Four or more dated visits are needed of {FEWEST_FOR_GAPS} patients; {n} have them.")
    mean, error = float(ratios.mean()), float(ratios.std(ddof=1) / math.sqrt(n))
    reach = float(stdtrit(n - 1, 0.5 + level / 2.0)) * error
    ratio, low, high = (math.exp(mean + side) for side in (0.0, -reach, reach))
    return Frequency(Estimate("gap_ratio", ratio, ratio * error, low, high, math.nan, n, n), level)


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
