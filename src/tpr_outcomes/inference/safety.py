r"""How often something untoward happens, with an upper limit where nothing did. Claim C29.

A rate needs to know at how many visits it was asked for: visits with an entry of the kind, "none" among them.
Visits without one count neither way. Intervals are exact; they take visits as independent. ``by_patient``
takes patients instead, for events that come in clusters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.clustered import Estimate, exact_share
from tpr_outcomes.inference.procedure import reporters

NONE = "none"
"""What an entry says where it was asked for and there was none."""


@dataclass(frozen=True)
class Safety:
    """Adverse events at visits where they were asked for.

    Attributes
    ----------
    asked, patients : int
        Visits at which they were asked for, and patients among them.
    visits : int
        Visits in all.
    counted : bool
        Whether the table says "none" anywhere: without it, visits without an event cannot be told from
        visits at which nobody asked, and no rate is given.
    by_visit, by_patient : tuple of Estimate
        Share of visits, and of patients, with each event; ``any`` and ``serious`` among them.
    reported_by : mapping of str to int
    level : float
    """

    asked: int
    patients: int
    visits: int
    counted: bool
    by_visit: tuple[Estimate, ...]
    by_patient: tuple[Estimate, ...]
    reported_by: Mapping[str, int]
    level: float

    def get(self, term: str, *, by_patient: bool = False) -> Estimate | None:
        """Return the share of one event; None where it never happened and was not asked about by name."""
        rows = self.by_patient if by_patient else self.by_visit
        return next((row for row in rows if row.term == term), None)


def adverse_events(
    events: pd.DataFrame, *, n_visits: int, always: tuple[str, ...] = ("infection",), level: float = 0.95
) -> Safety:
    """Count adverse events.

    Parameters
    ----------
    events : DataFrame
        ``patient``, ``visit`` (NaN: not tied to one), ``kind``, ``what``, optionally ``weeks``, ``serious``,
        ``reported_by``.
    n_visits : int
        Visits in the record.
    always : tuple of str, optional
        Events given even where they never happened.
    level : float, optional

    Returns
    -------
    Safety

    Raises
    ------
    FitError
        If no adverse events were asked for.
    """
    entries = events.loc[events["kind"] == "adverse_event"].reset_index(drop=True)
    if entries.empty:
        raise FitError("Adverse events were not asked for.")
    happened = entries["what"] != NONE
    occasion = _occasions(entries)
    asked, patients = int(occasion.nunique()), int(entries["patient"].nunique())
    marks = {"any": happened}
    if "serious" in entries:
        marks["serious"] = happened & (entries["serious"] == 1.0)
    kinds = [*always, *sorted(set(entries.loc[happened, "what"]) - set(always))]
    marks |= {kind: entries["what"] == kind for kind in kinds}
    by_visit, by_patient = [], []
    for name, mark in marks.items():
        visits_with = int(mark.groupby(occasion).any().sum())
        people_with = int(mark.groupby(entries["patient"]).any().sum())
        at_visit = mark.groupby([entries["patient"], occasion]).any()
        without = int((~at_visit).groupby(level=0).any().sum())
        by_visit.append(
            exact_share(
                name, visits_with, asked, n_patients=patients, level=level, sides=(people_with, without)
            )
        )
        sides = people_with, patients - people_with
        by_patient.append(
            exact_share(name, people_with, patients, n_patients=patients, level=level, sides=sides)
        )
    return Safety(
        asked=asked,
        patients=patients,
        visits=n_visits,
        counted=bool((~happened).any()),
        by_visit=tuple(by_visit),
        by_patient=tuple(by_patient),
        reported_by=reporters(entries),
        level=level,
    )


def _occasions(entries: pd.DataFrame) -> pd.Series[int]:
    """Number the occasions: one per patient and visit, or per patient and week where there is no visit."""
    when = entries["visit"].to_numpy(dtype=np.float64)
    if "weeks" in entries:
        when = np.where(np.isnan(when), -1.0 - entries["weeks"].to_numpy(dtype=np.float64), when)
    return pd.Series(
        pd.MultiIndex.from_arrays([entries["patient"], when]).factorize()[0], index=entries.index
    )
