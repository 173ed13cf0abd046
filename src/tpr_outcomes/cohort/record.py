"""Record: the visits, and whatever else a clinic wrote down: sites, diary, events, patients, scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from tpr_outcomes.cohort.problems import Problem
from tpr_outcomes.cohort.visits import Visits


@dataclass(frozen=True, eq=False)
class Record:
    """What a clinic wrote down. Only the visits are required; nothing else can spoil them.

    Attributes
    ----------
    visits : Visits
        One row per patient and visit.
    sites, diary, events, patients, scores : DataFrame or None
        The optional tables as :mod:`tpr_outcomes.cohort.tables` reads them, with the patient codes and visit
        numbers of ``visits``; None where a table is not there or has to be mended first.
    problems : mapping of str to tuple of Problem
        What was found in each optional table that was looked at. A table with an error is None.
    """

    visits: Visits
    sites: pd.DataFrame | None = None
    diary: pd.DataFrame | None = None
    events: pd.DataFrame | None = None
    patients: pd.DataFrame | None = None
    scores: pd.DataFrame | None = None
    problems: Mapping[str, tuple[Problem, ...]] = field(default_factory=dict)

    def table(self, name: str) -> pd.DataFrame | None:
        """Return a table by name, the visits among them; None where there is none."""
        if name == "visits":
            return self.visits.table
        found: pd.DataFrame | None = {
            "sites": self.sites,
            "diary": self.diary,
            "events": self.events,
            "patients": self.patients,
            "scores": self.scores,
        }[name]
        return found

    def has(self, name: str, *columns: str) -> bool:
        """Tell whether a table holds each of these columns with anything in it."""
        table = self.table(name)
        if table is None or table.empty:
            return False
        return all(
            column in table and bool((table[column].notna() & (table[column].astype(str) != "")).any())
            for column in columns
        )

    def has_kind(self, kind: str) -> bool:
        """Tell whether the events hold any entry of a kind, "none" among them: whether it was asked for."""
        return self.events is not None and bool((self.events["kind"] == kind).any())

    def errors(self, name: str) -> tuple[Problem, ...]:
        """Return what has to be mended before a table can be used."""
        return tuple(p for p in self.problems.get(name, ()) if p.severity == "error")


def as_record(record: Visits | Record) -> Record:
    """Return a record; visits alone are one."""
    return record if isinstance(record, Record) else Record(record)
