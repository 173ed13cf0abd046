"""Visits: the only table that travels, and the map from the user's columns to ours."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from tpr_outcomes.cohort.rules import LeftOut, Problem
from tpr_outcomes.cohort.scales import NRS, Scale
from tpr_outcomes.errors import DataError, PlanError, SourceError

CANONICAL = (
    "patient", "visit", "date", "weeks", "pain", "twitches", "sought", "insertions", "sites",
    "sessions", "therapist", "region", "sex", "age", "stop_reason",
)  # fmt: skip
"""Every column name the toolkit understands."""

REQUIRED = ("patient", "visit", "pain", "twitches", "sought")
"""Columns every :class:`Visits` table has."""

Rated = Literal["before", "after"]


class Columns(Mapping[str, str]):
    """Map from the toolkit's column names to the user's.

    Parameters
    ----------
    mapping : mapping of str to str, optional
        ``{"patient": "PatID", "pain": "NRS now"}``. Names not listed are looked for under the
        toolkit's own name.

    Raises
    ------
    PlanError
        When a key is not a column the toolkit knows, or two keys name the same user column.

    Examples
    --------
    >>> Columns({"patient": "PatID"})["patient"]
    'PatID'
    """

    def __init__(self, mapping: Mapping[str, str] | None = None) -> None:
        self._mapping = dict(mapping or {})
        for name, user_name in self._mapping.items():
            if name not in CANONICAL:
                near = difflib.get_close_matches(name, CANONICAL, n=1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise PlanError(
                    f"The column map has {name!r}, which is not a column this toolkit knows.{hint} "
                    f"Known columns: {', '.join(CANONICAL)}."
                )
            if not isinstance(user_name, str) or not user_name.strip():
                raise PlanError(f"The column map needs a column name in quotes for {name!r}.")
        users = [value.strip().casefold() for value in self._mapping.values()]
        if len(set(users)) < len(users):
            raise PlanError("The column map uses one column of the file for two purposes; name each once.")

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Read the ``[columns]`` table of a TOML file.

        Parameters
        ----------
        path : str or Path
            File with lines such as ``patient = "PatID"`` under ``[columns]``.

        Returns
        -------
        Columns
            The map.

        Raises
        ------
        SourceError
            When the file cannot be opened.
        PlanError
            When it is not TOML, has no ``[columns]`` table, or names an unknown column.
        """
        try:
            content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise SourceError(f"The column map cannot be opened ({error.strerror}); check its path.") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise PlanError(f"The column map is not valid TOML: {error}.") from error
        table = content.get("columns")
        if not isinstance(table, dict):
            raise PlanError('The column map has no [columns] table; write [columns] and below it patient = "…".')
        return cls(table)

    def __getitem__(self, name: str) -> str:
        return self._mapping[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._mapping)

    def __len__(self) -> int:
        return len(self._mapping)

    def __repr__(self) -> str:
        return f"Columns({self._mapping!r})"


@dataclass(frozen=True)
class Source:
    """Where the visits came from, without its path.

    Attributes
    ----------
    kind : str
        ``"csv"``, ``"excel"``, ``"frame"``, ``"simulated"``, ``"dataset"`` or ``"arrays"``.
    sha256 : str
        Digest of the file as read; empty where there was no file.
    rows_read : int
        Rows below the header.
    """

    kind: str
    sha256: str = ""
    rows_read: int = 0


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
        Warnings that stayed.
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
        _require_rated(rated)
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
            raise DataError(f"The table has no column {', '.join(missing)}; visits need {', '.join(REQUIRED)}.")
        patient = table["patient"].to_numpy(dtype=np.int64)
        visit = table["visit"].to_numpy(dtype=np.int64)
        codes = np.cumsum(np.diff(patient, prepend=patient[:1]) != 0) if patient.size else patient
        if patient.size and np.unique(patient).size != codes[-1] + 1:
            raise DataError("Rows of one patient are not together; sort the table by patient and visit.")
        _require_sorted(codes.astype(np.int64), visit)
        clean = table.assign(patient=codes.astype(np.int64)).reset_index(drop=True)
        return dataclasses.replace(self, table=clean)


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


def _require_rated(rated: str) -> None:
    """Raise unless ``rated`` is one of the two words there are."""
    if rated not in ("before", "after"):
        raise PlanError(f"rated is {rated!r}; write 'before' or 'after' (the needling of the same visit).")
