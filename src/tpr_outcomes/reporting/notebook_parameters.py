"""Parameters of a notebook: found in its tagged cells, checked against what stands there, put in their place.

A parameter is a plain assignment of a plain value in a cell tagged ``parameters``::

    data = "../data/example_threshold.csv"  # your own file
    clinics = 40

Its value says of what kind it is. Nothing is run to find that out.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tpr_outcomes.errors import PlanError
from tpr_outcomes.reporting import words_notebook as say

TAG = "parameters"


@dataclass(frozen=True)
class Parameter:
    """One parameter as the notebook has it.

    Attributes
    ----------
    name : str
    value : object
        Text, number, truth value, tuple, list or dict.
    cell : int
        Position of its cell among all cells.
    start, end : int
        Place of the value in the cell's source, as byte offsets into its UTF-8 form.
    """

    name: str
    value: Any
    cell: int
    start: int
    end: int

    @property
    def kind(self) -> str:
        """What is wanted, in words."""
        if isinstance(self.value, tuple | list) and self.value:
            return say.RUN["several"].format(kind=_kind(self.value[0]))
        return _kind(self.value)


def _kind(value: object) -> str:
    return say.KINDS.get(type(value).__name__, say.KINDS["str"])


def find_parameters(cells: Sequence[Mapping[str, Any]]) -> dict[str, Parameter]:
    """Parameters of a notebook by name, in the order they stand.

    Parameters
    ----------
    cells : sequence of mappings
        Cells as in the notebook format: ``cell_type``, ``metadata``, ``source``.
    """
    found: dict[str, Parameter] = {}
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code" and TAG in cell["metadata"].get("tags", []):
            found |= {made.name: made for made in _assignments(str(cell["source"]), number)}
    return found


def _assignments(source: str, cell: int) -> Iterable[Parameter]:
    """Plain assignments of plain values."""
    starts = [0]
    for line in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for node in ast.parse(source).body:
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            continue
        place = node.value
        try:
            value = ast.literal_eval(place)
        except ValueError:
            continue
        end = starts[(place.end_lineno or place.lineno) - 1] + (place.end_col_offset or 0)
        yield Parameter(node.targets[0].id, value, cell, starts[place.lineno - 1] + place.col_offset, end)


def read_settings(given: Sequence[str], known: Mapping[str, Parameter]) -> dict[str, Any]:
    """Turn ``name=value`` texts into values of the kinds the notebook has.

    Parameters
    ----------
    given : sequence of str
        As on a command line.
    known : mapping of str to Parameter

    Returns
    -------
    dict of str to object

    Raises
    ------
    PlanError
        With one line per fault: not a setting at all, given twice, unknown, or of another kind.

    Examples
    --------
    >>> known = {"clinics": Parameter("clinics", 40, 1, 0, 2), "sizes": Parameter("sizes", (60,), 1, 0, 5)}
    >>> read_settings(["clinics=5", "sizes=60,90"], known)
    {'clinics': 5, 'sizes': (60, 90)}
    """
    values: dict[str, Any] = {}
    faults: list[str] = []
    for text in given:
        name, equals, written = (part.strip() for part in text.partition("="))
        if not equals or not name:
            faults.append(say.RUN["form"].format(text=text))
        elif name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = say.RUN["near"].format(name=near[0]) if near else say.RUN["known"].format(
                names=", ".join(known) or say.RUN["no_names"]
            )  # fmt: skip
            faults.append(say.RUN["unknown"].format(name=name, hint=hint))
        elif name in values:
            faults.append(say.RUN["twice"].format(name=name))
        else:
            try:
                values[name] = _as_kind(written, known[name].value)
            except (ValueError, SyntaxError):
                seen = written if len(written) <= 40 else f"{written[:37]}…"
                faults.append(say.RUN["kind"].format(name=name, seen=seen, wanted=known[name].kind))
    if faults:
        raise PlanError("\n".join([say.RUN["refused"], *(f"- {fault}" for fault in faults)]))
    return values


def _as_kind(text: str, like: Any) -> Any:
    """Read a text as a value of the same kind; raise ValueError where it is none."""
    if isinstance(like, bool):
        return _truth(text)
    if isinstance(like, int):
        return int(text)
    if isinstance(like, float):
        return float(text)
    if isinstance(like, tuple | list):
        return _several(text, like)
    if isinstance(like, dict):
        value = ast.literal_eval(text)
        if not isinstance(value, dict):
            raise ValueError(text)  # noqa: TRY004 (a fault of the text, like all others here)
        return value
    return text


def _truth(text: str) -> bool:
    words = {"true": True, "yes": True, "false": False, "no": False}
    if text.lower() not in words:
        raise ValueError(text)
    return words[text.lower()]


def _several(text: str, like: tuple[Any, ...] | list[Any]) -> tuple[Any, ...] | list[Any]:
    """Read values with commas between, with or without brackets, each of the kind of the first."""
    bare = text[1:-1] if text[:1] + text[-1:] in ("()", "[]") else text
    parts = [part.strip() for part in bare.split(",") if part.strip()]
    if not parts:
        raise ValueError(text)
    values = [_as_kind(part, like[0]) if like else part for part in parts]
    return type(like)(values)


def put_in_place(source: str, parameters: Iterable[Parameter], values: Mapping[str, Any]) -> str:
    """Source of one cell with other values; comments and all else stay as they are.

    Examples
    --------
    >>> source = 'data = "a.csv"  # yours'
    >>> made = find_parameters(
    ...     [{"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": source}]
    ... )
    >>> put_in_place(source, made.values(), {"data": "b.csv"})
    "data = 'b.csv'  # yours"
    """
    content = source.encode()
    for parameter in sorted(parameters, key=lambda p: -p.start):
        if parameter.name in values:
            written = repr(values[parameter.name]).encode()
            content = content[: parameter.start] + written + content[parameter.end :]
    return content.decode()
