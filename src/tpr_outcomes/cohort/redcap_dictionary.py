"""The data dictionary of a REDCap project: what its fields are called, and what their codes stand for."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tpr_outcomes.cohort.names import plain_name
from tpr_outcomes.errors import PlanError, SourceError

_HEADS = {
    "name": ("variable_field_name", "field_name"),
    "label": ("field_label",),
    "choices": ("choices_calculations_or_slider_labels", "select_choices_or_calculations"),
    "kind": ("field_type",),
    "identifier": ("identifier",),
}
_CHOICE = re.compile(r"\s*([^,|]+?)\s*,\s*(.*?)\s*", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class Field:
    """One field of the project.

    Attributes
    ----------
    name, label : str
        Variable name, and the label shown to those who fill the form in, without markup.
    kind : str
        Field type: text, radio, dropdown, checkbox, yesno …
    choices : mapping of str to str
        Code to label.
    identifier : bool
        Whether the project marks it as one; it is then not read.
    """

    name: str
    label: str
    kind: str
    choices: Mapping[str, str] = field(default_factory=dict)
    identifier: bool = False


def read_dictionary(path: str | Path) -> dict[str, Field]:
    """Read a data dictionary as REDCap exports it.

    Parameters
    ----------
    path : str or Path
        CSV file.

    Returns
    -------
    dict of str to Field
        By variable name.

    Raises
    ------
    SourceError
        When the file cannot be opened.
    PlanError
        When it is not a data dictionary.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise SourceError(
            f"The data dictionary cannot be opened ({error.strerror}); check its path."
        ) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    heads = [plain_name(name) for name in rows[0]] if rows else []
    where = {key: next((heads.index(n) for n in names if n in heads), -1) for key, names in _HEADS.items()}
    if where["name"] < 0 or where["kind"] < 0:
        raise PlanError(
            "The data dictionary has no columns Variable / Field Name and Field Type; export it from REDCap "
            "(Data Dictionary, download the current one)."
        )
    fields = [_field(row, where) for row in rows[1:] if any(row)]
    return {each.name: each for each in fields}


def _field(row: list[str], where: Mapping[str, int]) -> Field:
    """Read one row of the dictionary."""
    cell = {key: row[i].strip() if 0 <= i < len(row) else "" for key, i in where.items()}
    listed = cell["kind"] in ("radio", "dropdown", "checkbox")
    choices = (_CHOICE.fullmatch(part) for part in cell["choices"].split("|")) if listed else ()
    return Field(
        name=cell["name"],
        label=clean_label(cell["label"]),
        kind=cell["kind"],
        choices={match[1]: clean_label(match[2]) for match in choices if match},
        identifier=cell["identifier"].casefold() == "y",
    )


def clean_label(text: str) -> str:
    """Return a label on one line and without markup.

    Parameters
    ----------
    text : str
        As written in the project.

    Returns
    -------
    str
        As it stands in an export with labels.
    """
    return " ".join(_TAG.sub("", text).split())
