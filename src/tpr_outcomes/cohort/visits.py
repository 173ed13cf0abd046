"""Visits: the only table that travels. Reading and checking a clinic's record ends here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from tpr_outcomes.cohort.cells import Record
from tpr_outcomes.cohort.checking import CheckReport, RuleCount, check_source, complaint, require_rated
from tpr_outcomes.cohort.coded import codes_of
from tpr_outcomes.cohort.columns import Columns
from tpr_outcomes.cohort.names import CATEGORIES, COUNTS
from tpr_outcomes.cohort.problems import LeftOut, Problem
from tpr_outcomes.cohort.raw import Ints
from tpr_outcomes.cohort.scales import NRS, Scale
from tpr_outcomes.cohort.sources import FileContent
from tpr_outcomes.cohort.value_rules import free_text_columns
from tpr_outcomes.errors import DataError

__all__ = [
    "CheckReport",
    "Columns",
    "FileContent",
    "LeftOut",
    "Problem",
    "RuleCount",
    "Source",
    "Visits",
    "check_visits",
    "first_rows",
    "read_visits",
]

REQUIRED = ("patient", "visit", "pain", "twitches", "sought")
"""Columns every :class:`Visits` table has."""

Rated = Literal["before", "after"]


@dataclass(frozen=True)
class Source:
    """Where the visits came from, without its path.

    Attributes
    ----------
    kind : str
        ``"csv"``, ``"excel"``, ``"frame"``, ``"parquet"``, ``"duckdb"``, ``"postgresql"``,
        ``"simulated"``, ``"dataset"`` or ``"arrays"``.
    sha256 : str
        Digest of the file as read; empty where there was no file.
    rows_read : int
        Rows below the header; visits and unused rows of a table that holds several visits in a row.
    layout : {"tidy", "wide", "redcap"}
        How the table was laid out.
    """

    kind: str
    sha256: str = ""
    rows_read: int = 0
    layout: str = "tidy"


@dataclass(frozen=True, eq=False)
class Visits:
    """One row per patient and visit, validated and never changed.

    Attributes
    ----------
    table : pandas.DataFrame
        Sorted by patient, then visit, with a RangeIndex. Columns ``patient`` (int64 code
        0..N-1, never the user's id), ``visit`` (int64, from 1), ``pain`` (float64 scale points, NaN
        where not rated), ``twitches`` (float64 count, 0 sought and none, NaN not recorded),
        ``sought`` (bool; False where twitches were not sought, ``twitches`` then is 0), and where
        the source has them ``weeks`` (float64 since the patient's first visit), ``insertions``,
        ``sites``, ``sessions``, ``age`` (float64), ``therapist``, ``region``, ``sex``,
        ``stop_reason`` (str).
    scale : Scale
        Instrument of ``pain``.
    rated : {"before", "after"}
        Whether pain at a visit was rated before or after that visit's needling.
    source : Source
        Kind, digest and size of the source.
    left_out : tuple of LeftOut
        Every source row that is not in ``table``.
    problems : tuple of Problem
        Warnings and notes that stayed.
    """

    table: pd.DataFrame
    scale: Scale = NRS
    rated: Rated = "before"
    source: Source = field(default_factory=lambda: Source("arrays"))
    left_out: tuple[LeftOut, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def n_patients(self) -> int:
        """Number of patients."""
        return int(self.table["patient"].iloc[-1]) + 1 if len(self.table) else 0

    @property
    def n_visits(self) -> int:
        """Number of rows, one per patient and visit."""
        return len(self.table)

    @classmethod
    def from_arrays(
        cls,
        *,
        patient: npt.ArrayLike,
        visit: npt.ArrayLike,
        pain: npt.ArrayLike,
        twitches: npt.ArrayLike,
        weeks: npt.ArrayLike | None = None,
        scale: Scale = NRS,
        rated: Rated = "before",
        kind: str = "simulated",
        **extra: npt.ArrayLike,
    ) -> Visits:
        """Build visits from arrays already clean, without looking at every cell.

        Parameters
        ----------
        patient : (n,) array_like of int
            Codes 0..N-1, ascending, without gaps.
        visit : (n,) array_like of int
            From 1, ascending within patient.
        pain, twitches : (n,) array_like of float
            Scale points; counts. NaN where not rated, not recorded.
        weeks : (n,) array_like of float, optional
            Weeks since the patient's first visit.
        scale : Scale
            Instrument of ``pain``.
        rated : {"before", "after"}
            When pain was rated relative to the needling of the same visit.
        kind : str
            Kind of source to record.
        **extra : (n,) array_like
            Further columns, kept under their names; ``sought`` is True throughout unless given.

        Returns
        -------
        Visits
            The table, with no problems and nothing left out.

        Raises
        ------
        DataError
            When lengths differ or rows are not sorted by patient and visit.
        """
        columns: dict[str, npt.NDArray[Any]] = {
            "patient": np.asarray(patient, dtype=np.int64),
            "visit": np.asarray(visit, dtype=np.int64),
        }
        if weeks is not None:
            columns["weeks"] = np.asarray(weeks, dtype=np.float64)
        columns["pain"] = np.asarray(pain, dtype=np.float64)
        columns["twitches"] = np.asarray(twitches, dtype=np.float64)
        n = columns["patient"].size
        columns["sought"] = np.asarray(extra.pop("sought", np.ones(n, dtype=bool)), dtype=bool)
        columns.update({name: np.asarray(values) for name, values in extra.items()})
        for name, values in columns.items():
            if values.shape != (n,):
                raise DataError(f"Column {name!r} has shape {values.shape}; every column needs ({n},).")
        _require_sorted(columns["patient"], columns["visit"])
        require_rated(rated)
        return cls(pd.DataFrame(columns), scale=scale, rated=rated, source=Source(kind, rows_read=n))

    def with_table(self, table: pd.DataFrame) -> Visits:
        """Return the same visits with another table, checked cheaply.

        Parameters
        ----------
        table : pandas.DataFrame
            The columns of :data:`REQUIRED` at least, sorted by patient and visit. Codes are
            renumbered without gaps in the order they come, so a subset of patients may be given.

        Returns
        -------
        Visits
            Scale, timing, source and warnings are kept.

        Raises
        ------
        DataError
            When a required column is missing or rows are not sorted.
        """
        missing = [name for name in REQUIRED if name not in table.columns]
        if missing:
            raise DataError(
                f"The table has no column {', '.join(missing)}; visits need {', '.join(REQUIRED)}."
            )
        patient = table["patient"].to_numpy(dtype=np.int64)
        visit = table["visit"].to_numpy(dtype=np.int64)
        codes = np.cumsum(np.diff(patient, prepend=patient[:1]) != 0) if patient.size else patient
        if patient.size and np.unique(patient).size != codes[-1] + 1:
            raise DataError("Rows of one patient are not together; sort the table by patient and visit.")
        _require_sorted(codes.astype(np.int64), visit)
        clean = table.assign(patient=codes.astype(np.int64)).reset_index(drop=True)
        return dataclasses.replace(self, table=clean)


def read_visits(
    source: str | Path | FileContent | pd.DataFrame,
    *,
    columns: Columns | Mapping[str, str] | None = None,
    scale: str | Scale = "nrs",
    rated: Rated = "before",
    sheet: str | None = None,
) -> Visits:
    """Read a clinic's record, one row per patient and visit.

    Parameters
    ----------
    source : str, Path, FileContent or pandas.DataFrame
        Text file or spreadsheet, by path or held in memory, or frame (see
        :func:`~tpr_outcomes.cohort.sources.read_source`).
    columns : Columns or mapping, optional
        The user's names for our columns.
    scale : str or Scale
        Instrument of ``pain``.
    rated : {"before", "after"}
        Whether pain was rated before or after the needling of the same visit.
    sheet : str, optional
        Sheet of a workbook.

    Returns
    -------
    Visits
        The record, with patients as codes and the warnings that stayed.

    Raises
    ------
    SourceError
        When there is no such file or it cannot be opened.
    PlanError
        When the column map, scale or timing is not valid.
    DataError
        When anything in it has to be mended first; ``problems`` has every place.
    """
    report, record = check_source(source, columns=columns, scale=scale, rated=rated, sheet=sheet)
    if report.errors:
        raise DataError(complaint(report), report.problems)
    return build_visits(record, rated=rated, problems=report.problems)


def check_visits(
    source: str | Path | FileContent | pd.DataFrame,
    *,
    columns: Columns | Mapping[str, str] | None = None,
    scale: str | Scale = "nrs",
    rated: Rated = "before",
    sheet: str | None = None,
) -> CheckReport:
    """Look at a clinic's record and report everything found; bad data raise nothing.

    Parameters
    ----------
    source, columns, scale, rated, sheet
        As in :func:`read_visits`.

    Returns
    -------
    CheckReport
        All problems, with counts and a guess at columns not found.

    Raises
    ------
    SourceError
        When there is no such file or it cannot be opened.
    PlanError
        When the column map, scale or timing is not valid.
    """
    return check_source(source, columns=columns, scale=scale, rated=rated, sheet=sheet)[0]


def first_rows(patient: Ints) -> Ints:
    """Return for every row the row of its patient's first visit.

    Parameters
    ----------
    patient : (n,) int64
        Codes, the rows of each patient together.

    Returns
    -------
    (n,) int64
        Row numbers.
    """
    index = np.arange(patient.size, dtype=np.int64)
    if not patient.size:
        return index
    opens = np.ones(patient.size, dtype=bool)
    opens[1:] = patient[1:] != patient[:-1]
    return np.maximum.accumulate(np.where(opens, index, 0))


def row_order(record: Record) -> Ints:
    """Return the rows of a record without errors in the order of the visits made of it."""
    key = record.numbers.get("visit", record.moment)
    assert key is not None  # one of the columns is required, without blanks
    return np.lexsort((key, record.patient)).astype(np.int64)


def build_visits(record: Record, *, rated: Rated, problems: tuple[Problem, ...]) -> Visits:
    """Make the visits of a record without errors: sort, number, code."""
    empty = [(record.raw.address(row), "row is empty", "empty_row") for row in record.raw.empty_rows]
    left_out = tuple(LeftOut(*row) for row in (*empty, *record.raw.unused))
    moment = record.moment
    if moment is not None and np.isnan(moment).any():
        moment = None  # a rule has warned that time is counted in visits
    order = row_order(record)
    patient = record.patient[order]
    first = first_rows(patient)
    table: dict[str, Any] = {"patient": patient, "visit": _numbered(record, order, first)}
    if moment is not None:
        since = moment[order] - moment[order][first]
        table["weeks"] = since / 7.0 if record.dates is not None else since
    table["pain"] = record.numbers["pain"][order]
    table["twitches"] = np.where(record.not_sought, 0.0, record.numbers["twitches"])[order]
    table["sought"] = ~record.not_sought[order]
    table |= {
        name: record.numbers[name][order] for name in (*COUNTS, "control", "age") if name in record.numbers
    }
    table |= _words(record, order)
    return Visits(
        pd.DataFrame(table, copy=False),  # its columns were made here and belong to nobody else
        scale=record.scale,
        rated=rated,
        source=Source(
            record.raw.kind, record.raw.sha256, record.raw.n_rows + len(left_out), record.raw.layout
        ),
        left_out=left_out,
        problems=problems,
    )


def _numbered(record: Record, order: Ints, first: Ints) -> Ints:
    """Return visit numbers in table order: the user's, else 1, 2, 3 by date."""
    if "visit" in record.numbers:
        return record.numbers["visit"][order].astype(np.int64)
    return np.arange(order.size, dtype=np.int64) - first + 1


def _words(record: Record, order: Ints) -> dict[str, Any]:
    """Return the category columns; therapists, being people, as the codes T1, T2 and so on."""
    skipped = free_text_columns(record)
    result: dict[str, Any] = {}
    for name in CATEGORIES:
        if name not in record.where or name in skipped:
            continue
        codes, texts = codes_of(record.text[name])
        codes = np.where(record.blank[name], -1, codes)[order]
        said = np.unique(codes[codes >= 0])
        words = np.array([text.lower() for text in texts[said]], dtype=object)
        if name == "therapist":
            numbers, _ = pd.factorize(words, sort=True)
            words = np.array([f"T{number + 1}" for number in numbers], dtype=object)
        place = np.full(texts.size + 1, -1, dtype=np.int64)  # the last entry stands for blank
        place[said] = np.arange(said.size)
        result[name] = pd.array(words, dtype="str").take(place[codes], allow_fill=True)
    return result


def _require_sorted(patient: npt.NDArray[np.int64], visit: npt.NDArray[np.int64]) -> None:
    """Raise unless patients are 0..N-1 in order and visits ascend within each."""
    if not patient.size:
        return
    step = np.diff(patient)
    if patient[0] != 0 or ((step != 0) & (step != 1)).any():
        raise DataError("Patient codes must be 0, 1, 2 … in ascending order without gaps; sort and renumber.")
    if ((step == 0) & (np.diff(visit) <= 0)).any():
        raise DataError("Visit numbers must ascend within a patient, each once; sort by patient and visit.")
    if visit.min() < 1:
        raise DataError(f"Visit numbers start at 1; the smallest seen is {int(visit.min())}.")
