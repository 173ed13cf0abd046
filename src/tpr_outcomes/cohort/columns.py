"""Columns: the map from our column names to the user's, and what else was settled about the file."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tpr_outcomes.cohort.names import CANONICAL
from tpr_outcomes.cohort.reading import Reading
from tpr_outcomes.cohort.schemas import SCHEMAS
from tpr_outcomes.errors import PlanError, SourceError


@dataclass(frozen=True)
class Columns:
    """Map from the toolkit's column names to the user's.

    Parameters
    ----------
    mapping : mapping of str to str
        ``{"patient": "PatID", "pain": "NRS now"}``. Names not listed are looked for under the
        toolkit's own name.
    tables : mapping of str to mapping, optional
        The same for the optional tables: ``{"diary": {"hours": "h after"}}``.
    reading : Reading
        What else was settled about the file: its format, the order of dates, codes for missing.

    Raises
    ------
    PlanError
        When a key is not a column the toolkit knows, or two keys name the same user column.

    Examples
    --------
    >>> Columns({"patient": "PatID"}).mapping["patient"]
    'PatID'
    """

    mapping: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    reading: Reading = field(default_factory=Reading)

    def __post_init__(self) -> None:
        """Refuse unknown names and columns used twice."""
        object.__setattr__(self, "mapping", dict(self.mapping))
        object.__setattr__(self, "tables", {name: dict(its) for name, its in self.tables.items()})
        _require_valid(self.mapping, CANONICAL, "The column map")
        for name, its in self.tables.items():
            if name not in SCHEMAS:
                raise PlanError(f"The column map has a table {name!r}; the tables are {', '.join(SCHEMAS)}.")
            _require_valid(its, SCHEMAS[name].names, f"The column map of {name}")

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Read the tables ``[columns]`` and ``[file]`` of a TOML file, and ``[tables.diary]`` and the like.

        Parameters
        ----------
        path : str or Path
            File with lines such as ``patient = "PatID"`` under ``[columns]``, and such as
            ``dates = "day first"`` under ``[file]`` (:class:`~tpr_outcomes.cohort.reading.Reading`). Paths
            in it start from its folder.

        Returns
        -------
        Columns
            The map and the settings.

        Raises
        ------
        SourceError
            When the file cannot be opened.
        PlanError
            When it is not TOML, has neither table, or names an unknown column or setting.
        """
        try:
            content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise SourceError(
                f"The column map cannot be opened ({error.strerror}); check its path."
            ) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise PlanError(f"The column map is not valid TOML: {error}.") from error
        table, reading, others = (content.get(key, {}) for key in ("columns", "file", "tables"))
        if not isinstance(table, dict) or not isinstance(reading, dict) or not content:
            raise PlanError(
                'The column map has no [columns] table; write [columns] and below it patient = "…".'
            )
        for key in content:
            if key not in ("columns", "file", "tables"):
                raise PlanError(
                    f"The column map has no [columns] table (or [file]) above {key!r}; write it there."
                )
        if not isinstance(others, dict) or not all(isinstance(its, dict) for its in others.values()):
            raise PlanError('Other tables of the column map are written as [tables.diary], hours = "…".')
        for name, user_name in (pair for its in (table, *others.values()) for pair in its.items()):
            if not isinstance(user_name, str):
                raise PlanError(f"The column map needs a column name in quotes for {name!r}.")
        return cls(table, others, Reading.checked(reading, folder=Path(path).parent))


def _require_valid(mapping: Mapping[str, str], known: Sequence[str], what: str) -> None:
    """Raise unless a map has known keys, and each column of the file once."""
    for name, user_name in mapping.items():
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise PlanError(
                f"{what} has {name!r}, which is not a column this toolkit knows.{hint} "
                f"Known columns: {', '.join(known)}."
            )
        if not str(user_name).strip():
            raise PlanError(f"{what} has no name for {name!r}; write the name of your column.")
    users = [str(value).strip() for value in mapping.values()]
    if len(set(users)) < len(users):
        raise PlanError(f"{what} uses one column of the file for two purposes; name each once.")
