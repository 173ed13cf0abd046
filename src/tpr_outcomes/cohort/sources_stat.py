"""Files of statistics programs: SPSS, Stata and SAS, with value labels and user-missing values."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tpr_outcomes.cohort.coded import Texts, codes_of, from_codes
from tpr_outcomes.cohort.grid import as_text
from tpr_outcomes.cohort.labels import replaced
from tpr_outcomes.cohort.opening import MOST_COLUMNS, MOST_ROWS, extra, read_file, require_rows
from tpr_outcomes.cohort.raw import RawTable, drop_empty, texts
from tpr_outcomes.cohort.sources import FileContent
from tpr_outcomes.cohort.typed_values import NOT_SOUGHT, to_number
from tpr_outcomes.errors import SourceError

PROGRAMS = {
    ".sav": ("spss", "read_sav"),
    ".zsav": ("spss", "read_sav"),
    ".por": ("spss", "read_por"),
    ".dta": ("stata", "read_dta"),
    ".sas7bdat": ("sas", "read_sas7bdat"),
    ".xpt": ("sas", "read_xport"),
}
"""Ending of a file to the program it is of and the reader."""

_DAMAGED = (
    "{path} cannot be read: it is cut off, damaged, or another kind of file under this name. Save it again "
    "from the program it is of."
)
_SECONDS = 600
_WITHOUT_USER_MISSING = ("read_por", "read_xport")


def is_statistics(source: object) -> bool:
    """Tell whether a source is a file of a statistics program by its name.

    Parameters
    ----------
    source : object
        A path, a file held in memory, or anything else.

    Returns
    -------
    bool
        True for the endings of :data:`PROGRAMS`.
    """
    name = source.name if isinstance(source, FileContent) else source
    return isinstance(name, str | Path) and Path(name).suffix.lower() in PROGRAMS


def read_statistics(source: str | Path | FileContent) -> RawTable:
    """Read a file of a statistics program into text cells.

    The library that reads them is C and a damaged file can end it, so it works in a process of its own.

    Parameters
    ----------
    source : str, Path or FileContent
        A file with one of the endings of :data:`PROGRAMS`.

    Returns
    -------
    RawTable
        Codes as they are, with their labels beside them; rows count from 1, as in the program's data view.
        A user-missing code is an empty cell, unless its label says that twitches were not sought.

    Raises
    ------
    SourceError
        When the file cannot be opened or is not what its name says, or pyreadstat is not installed.
    """
    path = Path(source.name if isinstance(source, FileContent) else source)
    content = source.content if isinstance(source, FileContent) else read_file(path, text=False)
    suffix = path.suffix.lower()
    with extra("pyreadstat", to_read="files of SPSS, Stata and SAS"):
        import pyreadstat  # noqa: F401  (found here, used in the other process)
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / f"given{suffix}", Path(folder) / "made.npz"
        given.write_bytes(content)
        command = [sys.executable, "-m", __name__, str(given), str(made)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        try:
            subprocess.run(command, env=environment, check=True, capture_output=True, timeout=_SECONDS)
            with np.load(made, allow_pickle=False) as parts:
                said = json.loads(str(parts["said"]))
                codes = parts["codes"]
        except (subprocess.SubprocessError, OSError, ValueError, KeyError) as error:
            raise SourceError(_DAMAGED.format(path=path)) from error
    if "size" in said:
        require_rows(str(path), *said["size"])
    header = tuple(said["header"])
    cells = tuple(from_codes(c, texts(t)) for c, t in zip(codes, said["texts"], strict=True))
    table = drop_empty(
        header,
        cells,
        np.arange(1, said["rows"] + 1, dtype=np.int64),
        kind=PROGRAMS[suffix][0],
        sha256=hashlib.sha256(content).hexdigest(),
    )
    return dataclasses.replace(table, labels={int(i): labels for i, labels in said["labels"].items()})


# --- in the process of its own ----------------------------------------------------------------------


def _into_file(given: str, made: str) -> None:
    """Read a file and write what it holds as codes and texts."""
    import pyreadstat

    reader = PROGRAMS[Path(given).suffix][1]
    read: Callable[..., Any] = getattr(pyreadstat, reader)
    _, head = read(given, metadataonly=True)
    size = (head.number_rows or 0, len(head.column_names))
    if size[0] > MOST_ROWS or size[1] > MOST_COLUMNS:
        np.savez(made, said=json.dumps({"size": size}), codes=np.empty((0, 0), dtype=np.int64))
        return
    frame, meta = read(given, **({} if reader in _WITHOUT_USER_MISSING else {"user_missing": True}))
    header = [str(name).strip() for name in frame.columns]
    labels = {
        i: {as_text(code): str(label) for code, label in meta.variable_value_labels[name].items()}
        for i, name in enumerate(frame.columns)
        if name in meta.variable_value_labels
    }
    codes, different = [], []
    for i, name in enumerate(frame.columns):
        column = texts([as_text(value) for value in frame.iloc[:, i]])
        test = _missing(name, meta)
        part, words = codes_of(column if test is None else _without(column, test, labels.get(i, {})))
        codes.append(part)
        different.append(list(words))
    said = {"header": header, "texts": different, "labels": labels, "rows": len(frame)}
    np.savez(made, said=json.dumps(said), codes=np.array(codes, dtype=np.int32))


def _missing(name: str, meta: Any) -> Callable[[str], bool] | None:
    """Return a test for the values of a variable that are user-missing, None where there are none."""
    ranges = [(part["lo"], part["hi"]) for part in meta.missing_ranges.get(name, [])]
    letters = frozenset(str(code) for code in meta.missing_user_values.get(name, []))
    if not ranges and not letters:
        return None

    def test(text: str) -> bool:
        if text in letters:
            return True
        for low, high in ranges:
            if isinstance(low, str):
                if low.strip() <= text <= high.strip():
                    return True
            elif low <= to_number(text) <= high:
                return True
        return False

    return test


def _without(cells: Texts, missing: Callable[[str], bool], labels: Mapping[str, str]) -> Texts:
    """Empty the cells that are user-missing, except those that say twitches were not sought."""
    _, different = codes_of(cells)
    said = {code for code, label in labels.items() if label.strip().casefold() in NOT_SOUGHT}
    return replaced(cells, {text: "" for text in different if missing(text) and text not in said})


if __name__ == "__main__":
    _into_file(*sys.argv[1:])
