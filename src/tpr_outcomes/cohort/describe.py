"""Description before any model: who is in the record, how pain went by visit, who stopped and why.

Numbers by visit describe those still coming. Patients who stop are not like those who stay, so a
falling mean is not a course of anybody; :func:`attrition` stands beside :func:`by_visit` for that reason.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import stdtrit

from tpr_outcomes.cohort.derive import changes
from tpr_outcomes.cohort.privacy import pool_ages
from tpr_outcomes.cohort.scales import ImportantDifference
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import PlanError

Floats = npt.NDArray[np.float64]

RESPONDER_CUTS = (30.0, 50.0)
"""Percent improvements whose share is given, each only where the scale has a citation for it."""

NOT_RECORDED = "not recorded"


@dataclass(frozen=True)
class VisitRow:
    """Pain at one visit number, over the patients rated there.

    Attributes
    ----------
    visit : int
        Visit number.
    n : int
        Patients rated.
    mean, sd : float
        Scale points; ``sd`` is NaN for one patient.
    n_change : int
        Patients rated here who also have a rating at their first visit.
    change, conf_low, conf_high : float
        Mean change from the first visit with its t interval, scale points.
    n_percent : int
        Patients of ``n_change`` whose first rating is not 0.
    responder_30, responder_50 : float
        Share of ``n_percent`` improved by at least 30 or 50 percent; NaN where the scale has no
        citation for the cut-point.
    """

    visit: int
    n: int
    mean: float
    sd: float
    n_change: int
    change: float
    conf_low: float
    conf_high: float
    n_percent: int
    responder_30: float
    responder_50: float


@dataclass(frozen=True)
class VisitSummary:
    """Pain by visit number.

    Attributes
    ----------
    rows : tuple of VisitRow
        One per visit number, ascending.
    level : float
        Level of the intervals.
    cut_points : tuple of ImportantDifference
        The cited cut-points behind the responder shares.
    """

    rows: tuple[VisitRow, ...]
    level: float
    cut_points: tuple[ImportantDifference, ...]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per visit number, columns as in :class:`VisitRow`."""
        return _frame(self.rows, VisitRow)


def by_visit(visits: Visits, *, level: float = 0.95) -> VisitSummary:
    """Summarise pain and its change by visit number.

    Parameters
    ----------
    visits : Visits
        The record.
    level : float
        Level of the intervals, between 0 and 1.

    Returns
    -------
    VisitSummary
        One row per visit number.

    Raises
    ------
    PlanError
        When ``level`` is not between 0 and 1.

    Notes
    -----
    The interval is ``mean ± t(n - 1) * sd / sqrt(n)`` over the patients' changes at that visit.
    """
    if not 0.0 < level < 1.0:
        raise PlanError(f"The level is {level}; it needs to be between 0 and 1, for example 0.95.")
    cited = {cut: visits.scale.percent_cut(cut) for cut in RESPONDER_CUTS}
    change = changes(visits)
    pain = visits.table["pain"].to_numpy(dtype=np.float64)
    # Rounded because 7 to 4.9 is 30 percent, though not in binary.
    improved = np.round(change.percent_change, 9) * (-1.0 if visits.scale.higher_is_worse else 1.0)
    number = visits.table["visit"].to_numpy()
    rows = []
    for visit in np.unique(number):
        here = number == visit
        n, mean, sd = _moments(pain[here])
        n_change, mean_change, sd_change = _moments(change.change[here])
        half = _half_width(n_change, sd_change, level)
        known = improved[here][~np.isnan(improved[here])]
        shares = [_share(known >= cut) if cited[cut] else float("nan") for cut in RESPONDER_CUTS]
        interval = (mean_change, mean_change - half, mean_change + half)
        rows.append(VisitRow(int(visit), n, mean, sd, n_change, *interval, int(known.size), *shares))
    return VisitSummary(tuple(rows), level, tuple(item for item in cited.values() if item is not None))


@dataclass(frozen=True)
class AttritionRow:
    """Who came to one visit number and who did not come again.

    Attributes
    ----------
    visit : int
        Visit number.
    seen : int
        Patients with this visit.
    last : int
        Patients of whom this is the last visit in the record.
    change_last, change_not_last : float
        Mean change from the first visit of those two groups, scale points; NaN without ratings.
    """

    visit: int
    seen: int
    last: int
    change_last: float
    change_not_last: float


@dataclass(frozen=True)
class Attrition:
    """Who stopped when, and why.

    Attributes
    ----------
    rows : tuple of AttritionRow
        One per visit number, ascending.
    stop_reasons : dict of str to int
        Patients by the last reason recorded, most frequent first; "not recorded" where none is.
    """

    rows: tuple[AttritionRow, ...]
    stop_reasons: dict[str, int]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per visit number, columns as in :class:`AttritionRow`."""
        return _frame(self.rows, AttritionRow)


def attrition(visits: Visits) -> Attrition:
    """Count who came to each visit, who came no more, and the reasons given.

    Parameters
    ----------
    visits : Visits
        The record.

    Returns
    -------
    Attrition
        One row per visit number, and the reasons. A last visit is the last in the record: whether
        the patient stopped or the record ended there, only a reason can tell.
    """
    patient = visits.table["patient"].to_numpy()
    number = visits.table["visit"].to_numpy()
    change = changes(visits).change
    last = np.ones(patient.size, dtype=bool)
    last[:-1] = patient[1:] != patient[:-1]
    rows = []
    for visit in np.unique(number):
        here = number == visit
        rows.append(
            AttritionRow(
                visit=int(visit),
                seen=int(here.sum()),
                last=int((here & last).sum()),
                change_last=_moments(change[here & last])[1],
                change_not_last=_moments(change[here & ~last])[1],
            )
        )
    return Attrition(tuple(rows), _stop_reasons(visits))


@dataclass(frozen=True)
class Characteristic:
    """One row of table one.

    Attributes
    ----------
    variable : str
        What is described.
    category : str
        Category of a word variable; empty for a number.
    n, missing : int
        Patients with and without a value (for a category: patients in it, and without any value).
    share : float
        ``n`` of a category among those with a value; NaN for a number.
    mean, sd, median, q1, q3 : float
        Of a number; NaN for a category.
    """

    variable: str
    category: str
    n: int
    missing: int
    share: float
    mean: float
    sd: float
    median: float
    q1: float
    q3: float


@dataclass(frozen=True)
class TableOne:
    """The patients at their first visit, and how much of a record each has.

    Attributes
    ----------
    n_patients : int
        Patients described.
    rows : tuple of Characteristic
        Numbers and categories.
    """

    n_patients: int
    rows: tuple[Characteristic, ...]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per number or category, columns as in :class:`Characteristic`."""
        return _frame(self.rows, Characteristic)


def table_one(visits: Visits) -> TableOne:
    """Describe the patients.

    Parameters
    ----------
    visits : Visits
        The record.

    Returns
    -------
    TableOne
        Age (over 89 pooled as 90), sex, region and pain at the first visit; visits, weeks and doses over the
        record. A total dose is missing where any visit's is not recorded.
    """
    groups = visits.table.groupby("patient", sort=True)
    first = visits.table.loc[~visits.table["patient"].duplicated()]
    rows = [_number("age", pool_ages(first["age"]))] if "age" in first else []
    for name in ("sex", "region"):
        rows += _categories(name, first[name]) if name in first else []
    rows.append(_number("baseline", first["pain"]))
    rows.append(_number("visits", groups.size()))
    if "weeks" in visits.table:
        rows.append(_number("weeks", groups["weeks"].max()))
    for name in ("twitches", "insertions", "sites", "sessions"):
        if name in visits.table and visits.table[name].notna().any():
            rows.append(_number(f"{name}_through", groups[name].sum(skipna=False)))
    return TableOne(visits.n_patients, tuple(rows))


# --- small parts ----------------------------------------------------------------------------------


def _moments(values: Floats) -> tuple[int, float, float]:
    """Return number, mean and standard deviation of the values that are there."""
    known = values[~np.isnan(values)]
    mean = float(known.mean()) if known.size else float("nan")
    sd = float(known.std(ddof=1)) if known.size > 1 else float("nan")
    return int(known.size), mean, sd


def _half_width(n: int, sd: float, level: float) -> float:
    """Return half the width of a t interval of a mean."""
    if n < 2:
        return float("nan")
    return float(stdtrit(n - 1, 0.5 + level / 2.0)) * sd / float(np.sqrt(n))


def _share(flags: npt.NDArray[np.bool_]) -> float:
    """Return the share of True, NaN of nothing."""
    return float(flags.mean()) if flags.size else float("nan")


def _stop_reasons(visits: Visits) -> dict[str, int]:
    """Count patients by the last reason recorded for them."""
    if "stop_reason" not in visits.table:
        return {NOT_RECORDED: visits.n_patients} if visits.n_patients else {}
    reason = visits.table.groupby("patient")["stop_reason"].last().fillna(NOT_RECORDED)
    counts = reason.value_counts()
    ordered = sorted(counts.items(), key=lambda item: (-int(item[1]), str(item[0])))
    return {str(word): int(count) for word, count in ordered}


def _number(name: str, values: pd.Series[float] | pd.Series[int] | Floats) -> Characteristic:
    """Describe a number."""
    array: Floats = np.asarray(values, dtype=np.float64)
    n, mean, sd = _moments(array)
    known = array[~np.isnan(array)]
    q1, median, q3 = np.quantile(known, [0.25, 0.5, 0.75]) if n else (float("nan"),) * 3
    return Characteristic(
        name, "", n, array.size - n, float("nan"), mean, sd, float(median), float(q1), float(q3)
    )


def _categories(name: str, values: pd.Series[str]) -> list[Characteristic]:
    """Describe a variable of words, one row per category."""
    missing = int(values.isna().sum())
    known = len(values) - missing
    counts = sorted(values.value_counts().items(), key=lambda item: (-int(item[1]), str(item[0])))
    none = (float("nan"),) * 5
    return [
        Characteristic(name, str(word), int(count), missing, int(count) / known, *none)
        for word, count in counts
    ]


def _frame(rows: tuple[object, ...], kind: type) -> pd.DataFrame:
    """Return dataclass rows as a frame with the columns of their class."""
    names = [field.name for field in fields(kind)]
    return pd.DataFrame({name: [getattr(row, name) for row in rows] for name in names})
