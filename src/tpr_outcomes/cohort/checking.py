"""Checking a source: every problem at once, grouped for people and listed for machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tpr_outcomes.cohort.arrange import arrange
from tpr_outcomes.cohort.cells import Record, read_cells
from tpr_outcomes.cohort.columns import Columns
from tpr_outcomes.cohort.names import nearest_known
from tpr_outcomes.cohort.problems import Problem
from tpr_outcomes.cohort.rules import find_problems
from tpr_outcomes.cohort.scales import Scale, get_scale
from tpr_outcomes.cohort.sources import FileContent
from tpr_outcomes.cohort.sources_tables import read_any
from tpr_outcomes.errors import PlanError


@dataclass(frozen=True)
class RuleCount:
    """How often one rule fired.

    Attributes
    ----------
    rule, severity, remedy : str
        As in :class:`Problem`.
    count : int
        Number of problems.
    addresses : tuple of str
        The first few places, in file order.
    message : str
        Message of the first.
    """

    rule: str
    severity: str
    count: int
    addresses: tuple[str, ...]
    message: str
    remedy: str


@dataclass(frozen=True)
class CheckReport:
    """Everything found in a source, whether or not it can be read.

    Attributes
    ----------
    problems : tuple of Problem
        In the order of the file.
    n_rows, n_patients : int
        Rows with content, and different patients among them.
    columns : dict of str to str
        Canonical name to the user's name, as found.
    guess : dict of str to str
        For columns not found: the user's column that may be meant.
    layout : {"tidy", "wide", "redcap"}
        How the table was laid out.
    """

    problems: tuple[Problem, ...]
    n_rows: int
    n_patients: int
    columns: dict[str, str]
    guess: dict[str, str]
    layout: str = "tidy"

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Problems that stop the reading."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """Problems that stay with the data."""
        return tuple(problem for problem in self.problems if problem.severity == "warning")

    @property
    def notes(self) -> tuple[Problem, ...]:
        """How things were read that could be read in one way only; nothing to do."""
        return tuple(problem for problem in self.problems if problem.severity == "note")

    @property
    def ok(self) -> bool:
        """Whether the source can be read as it stands."""
        return not self.errors

    def summary(self, *, places: int = 3) -> tuple[RuleCount, ...]:
        """Group the problems by rule, errors first and notes last.

        Parameters
        ----------
        places : int
            How many addresses to keep of each rule.

        Returns
        -------
        tuple of RuleCount
            One entry per rule that fired, in order of first appearance.
        """
        groups: dict[tuple[str, str], list[Problem]] = {}
        for problem in (*self.errors, *self.warnings, *self.notes):
            groups.setdefault((problem.severity, problem.rule), []).append(problem)
        return tuple(
            RuleCount(
                rule,
                severity,
                len(found),
                tuple(problem.address for problem in found[:places]),
                found[0].message,
                found[0].remedy,
            )
            for (severity, rule), found in groups.items()
        )

    def sample(self, most: int) -> tuple[Problem, ...]:
        """Return at most so many problems, in the order of the file, some of every rule.

        Rules with few problems are listed whole; what is left is shared by the others alike, each giving
        its first ones.

        Parameters
        ----------
        most : int
            How many, from 1.
        """
        if len(self.problems) <= most:
            return self.problems
        groups: dict[tuple[str, str], list[int]] = {}
        for i, problem in enumerate(self.problems):
            groups.setdefault((problem.severity, problem.rule), []).append(i)
        chosen: list[int] = []
        ordered = sorted(groups.values(), key=len)
        for k, places in enumerate(ordered):
            chosen += places[: (most - len(chosen)) // (len(ordered) - k)]
        return tuple(self.problems[i] for i in sorted(chosen))

    def to_dict(self, most: int) -> dict[str, object]:
        """Return the content of ``tpr check --json``: counts of all problems, and at most so many of them.

        Parameters
        ----------
        most : int
            Problems listed.
        """
        listed = self.to_frame(most).to_dict(orient="records")
        return {
            "schema": "tpr-outcomes/check/2",
            "ok": self.ok,
            "rows": self.n_rows,
            "patients": self.n_patients,
            "layout": self.layout,
            "columns": self.columns,
            "guess": self.guess,
            "counts": {"error": len(self.errors), "warning": len(self.warnings), "note": len(self.notes)},
            "by_rule": [
                {
                    "rule": found.rule,
                    "severity": found.severity,
                    "count": found.count,
                    "first": list(found.addresses),
                    "message": found.message,
                    "remedy": found.remedy,
                }
                for found in self.summary()
            ],
            "problems_total": len(self.problems),
            "problems_listed": len(listed),
            "problems": listed,
        }

    def to_frame(self, most: int | None = None) -> pd.DataFrame:
        """Return one row per problem, or per problem of :meth:`sample` where ``most`` is given."""
        names = ("rule", "severity", "address", "column", "seen", "message", "remedy")
        problems = self.problems if most is None else self.sample(most)
        return pd.DataFrame({name: [getattr(p, name) for p in problems] for name in names})


def check_source(
    source: str | Path | FileContent | pd.DataFrame,
    *,
    columns: Columns | Mapping[str, str] | None,
    scale: str | Scale,
    rated: str,
    sheet: str | None,
) -> tuple[CheckReport, Record]:
    """Read the cells and apply every rule: the one path of reading and checking.

    Parameters
    ----------
    source, columns, scale, rated, sheet
        As in :func:`tpr_outcomes.cohort.visits.read_visits`.

    Returns
    -------
    report : CheckReport
        What was found.
    record : Record
        The cells as read.

    Raises
    ------
    SourceError
        When there is no such file or it cannot be opened.
    PlanError
        When the column map, scale or timing is not valid.
    """
    require_rated(rated)
    chosen = get_scale(scale) if isinstance(scale, str) else scale
    mapping = columns if isinstance(columns, Columns) else Columns(columns or {})
    raw = arrange(read_any(source, sheet=sheet, columns=mapping), mapping)
    record = read_cells(raw, columns=mapping.mapping, scale=chosen, reading=mapping.reading)
    guess: dict[str, str] = {}
    for index in record.unknown:
        said = record.raw.said_name(index)
        name = nearest_known(said) if said else None
        if name is not None and name not in record.where:
            guess.setdefault(name, said)
    report = CheckReport(
        problems=find_problems(record),
        n_rows=record.raw.n_rows,
        n_patients=record.n_patients,
        columns={name: record.raw.named(index) for name, index in record.where.items()},
        guess=guess,
        layout=record.raw.layout,
    )
    return report, record


def complaint(report: CheckReport) -> str:
    """Say how many errors there are and where the first few stand.

    Parameters
    ----------
    report : CheckReport
        A report with at least one error.

    Returns
    -------
    str
        One line for the count, one for each of the first three errors.
    """
    first = [f"{p.address}: {p.message} {p.remedy}" for p in report.errors[:3]]
    more = len(report.errors) - len(first)
    tail = [f"… and {more} more."] if more else []
    count = "1 problem has" if len(report.errors) == 1 else f"{len(report.errors)} problems have"
    return "\n".join([f"{count} to be mended before this record can be read.", *first, *tail])


def require_rated(rated: str) -> None:
    """Raise unless ``rated`` is one of the two words there are.

    Parameters
    ----------
    rated : str
        When pain was rated relative to the needling of the same visit.

    Raises
    ------
    PlanError
        When it is neither "before" nor "after".
    """
    if rated not in ("before", "after"):
        raise PlanError(f"rated is {rated!r}; write 'before' or 'after' (the needling of the same visit).")
