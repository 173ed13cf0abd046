"""Columns: the map from the toolkit's column names to the user's."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tpr_outcomes.cohort.cells import CANONICAL
from tpr_outcomes.errors import PlanError, SourceError


@dataclass(frozen=True)
class Columns:
    """Map from the toolkit's column names to the user's.

    Parameters
    ----------
    mapping : mapping of str to str
        ``{"patient": "PatID", "pain": "NRS now"}``. Names not listed are looked for under the
        toolkit's own name.

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

    def __post_init__(self) -> None:
        """Refuse unknown names and columns used twice."""
        object.__setattr__(self, "mapping", dict(self.mapping))
        for name, user_name in self.mapping.items():
            if name not in CANONICAL:
                near = difflib.get_close_matches(str(name), CANONICAL, n=1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise PlanError(
                    f"The column map has {name!r}, which is not a column this toolkit knows.{hint} "
                    f"Known columns: {', '.join(CANONICAL)}."
                )
            if not str(user_name).strip():
                raise PlanError(f"The column map has no name for {name!r}; write the name of your column.")
        users = [str(value).strip() for value in self.mapping.values()]
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
            raise SourceError(
                f"The column map cannot be opened ({error.strerror}); check its path."
            ) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise PlanError(f"The column map is not valid TOML: {error}.") from error
        table = content.get("columns")
        if not isinstance(table, dict):
            raise PlanError(
                'The column map has no [columns] table; write [columns] and below it patient = "…".'
            )
        for name, user_name in table.items():
            if not isinstance(user_name, str):
                raise PlanError(f"The column map needs a column name in quotes for {name!r}.")
        return cls(table)
