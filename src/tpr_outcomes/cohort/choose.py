"""A part of a record: patients chosen by region, therapist, age and number of visits.

Whole patients are chosen, by what is recorded at their first visit; never single visits, which would tear
courses apart and make totals wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import PlanError

WORDS = ("region", "therapist")
"""Columns one may choose a value of."""


@dataclass(frozen=True)
class Choice:
    """Which patients are meant; what is left out is not asked for.

    Attributes
    ----------
    region, therapist : str
        Value at the first visit; empty for any.
    age : tuple of float
        Lowest and highest age in years, both included. A patient without a recorded age is chosen only when
        every age is (the default).
    visits : tuple of int
        Fewest and most recorded visits, both included.

    Examples
    --------
    >>> Choice(region="neck").everybody
    False
    """

    region: str = ""
    therapist: str = ""
    age: tuple[float, float] = (0.0, float("inf"))
    visits: tuple[int, int] = (1, 10**9)

    @property
    def everybody(self) -> bool:
        """Whether nothing is asked for."""
        return self == Choice()


@dataclass(frozen=True)
class Offered:
    """What a record can be chosen by.

    Attributes
    ----------
    region, therapist : tuple of str
        Values at first visits, most frequent first; empty where not recorded.
    age : tuple of float or None
        Youngest and oldest, years; None where no age is recorded.
    visits : tuple of int
        Fewest and most visits of a patient.
    """

    region: tuple[str, ...]
    therapist: tuple[str, ...]
    age: tuple[float, float] | None
    visits: tuple[int, int]


def offered(visits: Visits) -> Offered:
    """Say what the patients of a record can be chosen by."""
    first = _first(visits)
    count = visits.table.groupby("patient").size()
    age = first["age"].dropna() if "age" in first else pd.Series(dtype="float64")
    return Offered(
        region=_values(first, "region"),
        therapist=_values(first, "therapist"),
        age=(float(age.min()), float(age.max())) if len(age) else None,
        visits=(int(count.min()), int(count.max())) if len(count) else (0, 0),
    )


def chosen(visits: Visits, choice: Choice) -> npt.NDArray[np.int64]:
    """Codes of the patients meant, ascending.

    Raises
    ------
    PlanError
        When a value is asked for that is not in the record, or a range is upside down.
    """
    first = _first(visits)
    count = visits.table.groupby("patient").size().to_numpy()
    keep = (count >= choice.visits[0]) & (count <= choice.visits[1])
    for name in WORDS:
        wanted = getattr(choice, name)
        if not wanted:
            continue
        if wanted not in _values(first, name):
            raise PlanError(f"No patient has this {name} at the first visit; choose one that is listed.")
        keep &= (first[name] == wanted).fillna(False).to_numpy(dtype=bool)
    low, high = choice.age
    if "age" in first and (low > 0.0 or np.isfinite(high)):
        keep &= first["age"].between(low, high).to_numpy()
    for what, (least, most) in (("age", choice.age), ("number of visits", choice.visits)):
        if least > most:
            raise PlanError(f"The {what} goes from {least:g} to {most:g}; the first has to be the smaller.")
    return np.asarray(first["patient"].to_numpy()[keep], dtype=np.int64)


def part_of(visits: Visits, patients: npt.NDArray[np.int64]) -> Visits:
    """Return the visits of some patients, renumbered from 0 in the same order."""
    return visits.with_table(visits.table[visits.table["patient"].isin(patients)])


def _first(visits: Visits) -> pd.DataFrame:
    """First row of each patient."""
    return visits.table.loc[~visits.table["patient"].duplicated()]


def _values(first: pd.DataFrame, name: str) -> tuple[str, ...]:
    """Values of a word column, most frequent first, then by name."""
    if name not in first:
        return ()
    counts = first[name].value_counts()
    return tuple(str(v) for v, _ in sorted(counts.items(), key=lambda item: (-int(item[1]), str(item[0]))))
