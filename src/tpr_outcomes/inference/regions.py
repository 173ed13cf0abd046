"""Which problems? Relief by region of the body, each pulled towards the rest. Claims C20 and C24.

The excess of a region is the relief that goes with the doses given there, beyond time in that region: every
region has a course of its own in the model. It is not an excess over sham or over people who were not
needled; nobody in a record of one clinic can show that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tpr_outcomes.cohort.privacy import is_small
from tpr_outcomes.cohort.visits import Visits, first_rows
from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.shrinkage import FEWEST_GROUPS, Pooled, partial_pool
from tpr_outcomes.inference.threshold import robust_slopes
from tpr_outcomes.models.working import Working

Array = NDArray[np.float64]

FEWEST_PATIENTS = 10
"""A region with fewer patients is pooled with the other small ones."""
OTHER = "other"
"""The small regions together, and patients whose region is blank."""


@dataclass(frozen=True, eq=False)
class RegionRelief:
    """Relief that goes with the dose, by region.

    Attributes
    ----------
    names : tuple of str
        Regions as the clinic writes them; the small ones together are ``"other"``.
    patients : tuple of int
    apart : int
        Patients in none of them: a blank region, or one of the small ones where they are too few together.
    pooled : Pooled
        Scale points at ``dose``; negative is relief.
    dose : float
        The same total for all: the median of patients' last totals.
    unit : str
        Of the scale.
    """

    names: tuple[str, ...]
    patients: tuple[int, ...]
    apart: int
    pooled: Pooled
    dose: float
    unit: str

    def shown(self, minimum: int) -> tuple[int | None, ...]:
        """Return patients by region; None where a count below ``minimum`` would be seen or follow."""
        follows = is_small(self.apart, minimum)
        return tuple(None if follows or is_small(n, minimum) else n for n in self.patients)

    def to_frame(self) -> pd.DataFrame:
        """One row per region."""
        p = self.pooled
        return pd.DataFrame({
            "region": self.names, "patients": self.patients, "estimate": p.estimate, "std_error": p.std_error,
            "shrunken": p.shrunken, "shrunken_error": p.shrunken_error, "conf_low": p.conf_low,
            "conf_high": p.conf_high, "own_weight": p.weight,
        })  # fmt: skip


def relief_by_region(working: Working, visits: Visits, *, level: float = 0.95) -> RegionRelief:
    """Estimate the relief that goes with the dose in each region, and pool partially.

    Parameters
    ----------
    working : Working
        Background and covariance of the ratings.
    visits : Visits
        The record it came from, with a column ``region``.
    level : float, optional

    Returns
    -------
    RegionRelief

    Raises
    ------
    FitError
        With fewer than three regions of ten patients, or where a region's dose does not vary beyond time.

    Notes
    -----
    Joint generalised least squares: a slope of the cumulative dose in each region, beside a level and a trend
    in log(1 + time) of each region, under the background of the verdict; patient-robust errors. A patient's
    region is that of the first visit.
    """
    ratings = working.ratings
    opens = first_rows(visits.table["patient"].to_numpy())[ratings.row]
    label = visits.table["region"].fillna("").astype(str).str.strip().str.lower().to_numpy()[opens]
    names, code, patients = _groups(label, ratings.patient)
    if len(names) < FEWEST_GROUPS:
        raise FitError(
            f"{len(names)} regions have {FEWEST_PATIENTS} patients or more; {FEWEST_GROUPS} are needed."
        )
    member = (code[:, None] == np.arange(len(names))).astype(np.float64)
    slopes = member * ratings.dose_before[:, None] / working.unit
    own_course = np.column_stack([member[:, 1:], member[:, 1:] * np.log1p(working.time)[:, None]])
    found, errors = robust_slopes(working, np.column_stack([slopes, own_course]))
    k = len(names)
    if not np.isfinite(errors[:k]).all():
        raise FitError("In a region the dose does not vary beyond time, so nothing can be said of it.")
    last = np.zeros(ratings.n_patients)
    np.maximum.at(last, ratings.patient, ratings.dose_before)
    dose = float(np.median(last))
    scale = dose / working.unit
    pooled = partial_pool(found[:k] * scale, errors[:k] * scale, level=level)
    apart = ratings.n_patients - sum(patients)
    return RegionRelief(names, patients, apart, pooled, dose, visits.scale.unit)


def _groups(
    label: NDArray[np.object_], patient: NDArray[np.int64]
) -> tuple[tuple[str, ...], NDArray[np.int64], tuple[int, ...]]:
    """Names of the groups, the group of each rating, and patients per group."""
    one = pd.DataFrame({"patient": patient, "label": label}).drop_duplicates("patient")
    counts = {str(name): int(count) for name, count in one["label"].value_counts().items()}
    large = sorted(name for name, count in counts.items() if name and count >= FEWEST_PATIENTS)
    rest = sum(counts.values()) - sum(counts[name] for name in large)
    names = [*large, OTHER] if rest >= FEWEST_PATIENTS else large
    place = {name: number for number, name in enumerate(large)}
    code = np.array([place.get(name, len(large)) for name in label], dtype=np.int64)
    if rest < FEWEST_PATIENTS:  # too few to be a group of their own: they keep the common course and no slope
        code[code == len(large)] = -1
    patients = tuple(counts[name] if name in place else rest for name in names)
    return tuple(names), code, patients
