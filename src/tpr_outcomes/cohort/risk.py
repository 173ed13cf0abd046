"""How easily somebody could be found again in a record: k-anonymity over chosen columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from tpr_outcomes.cohort.privacy import MINIMUM
from tpr_outcomes.errors import PlanError


@dataclass(frozen=True)
class Risk:
    """Patients who share their values of some columns with how many.

    Attributes
    ----------
    columns : tuple of str
        Quasi-identifiers: what somebody may know of a patient from elsewhere.
    patients, groups : int
        Patients, and different combinations of values among them.
    k : int
        Patients in the smallest group: the record is k-anonymous (Sweeney 2002).
    alone : int
        Patients who share their values with nobody.
    few : int
        Patients in groups smaller than ``minimum``.
    minimum : int
        Smallest group that is thought safe.
    highest, average : float
        Chance that a patient known to be in the record is picked out by the columns: 1/k for those in the
        smallest group; over all patients, groups / patients.
    """

    columns: tuple[str, ...]
    patients: int
    groups: int
    k: int
    alone: int
    few: int
    minimum: int
    highest: float
    average: float


def reidentification_risk(patients: pd.DataFrame, columns: Sequence[str], *, minimum: int = MINIMUM) -> Risk:
    """Count how many patients share each combination of values.

    Parameters
    ----------
    patients : DataFrame
        One row per patient; a missing value is a value like any other.
    columns : sequence of str
        Quasi-identifiers.
    minimum : int
        Smallest group that is thought safe.

    Returns
    -------
    Risk

    Raises
    ------
    PlanError
        When a column is not there, or none is named.

    Notes
    -----
    A table is k-anonymous over its quasi-identifiers where every combination of values occurs at least k
    times (Sweeney 2002, doi:10.1142/S0218488502001648). It says nothing of what can be learned about a whole
    group, nor of columns that are not named: the course of ratings itself can tell who it is to somebody who
    knows some of it.
    """
    missing = [name for name in columns if name not in patients]
    if missing or not columns:
        known = ", ".join(str(name) for name in patients.columns)
        raise PlanError(
            f"The record has no column {', '.join(missing)} to look at; it has {known}."
            if missing
            else "Name at least one column that somebody may know, for example age,sex,region."
        )
    values = patients[list(columns)].astype(object).where(patients[list(columns)].notna(), "")
    sizes = values.groupby(list(columns), dropna=False)[columns[0]].transform("size").to_numpy(dtype=np.int64)
    n = int(sizes.size)
    groups = round(float((1.0 / sizes).sum())) if n else 0
    k = int(sizes.min()) if n else 0
    return Risk(
        tuple(columns), n, groups, k, int((sizes == 1).sum()), int((sizes < minimum).sum()), minimum,
        1.0 / k if k else 0.0, groups / n if n else 0.0,
    )  # fmt: skip


def risk_by_columns(
    patients: pd.DataFrame, columns: Sequence[str], *, minimum: int = MINIMUM
) -> tuple[Risk, ...]:
    """Risk over all the columns, then over each smaller choice of them: which column makes people stand out?

    Parameters
    ----------
    patients, columns, minimum
        As in :func:`reidentification_risk`.
    """
    return tuple(
        reidentification_risk(patients, chosen, minimum=minimum)
        for size in range(len(columns), 0, -1)
        for chosen in combinations(columns, size)
    )
