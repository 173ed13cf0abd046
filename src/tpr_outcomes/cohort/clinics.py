"""The clinics of a registry: a folder of their files, a list of them, or one table with a column to cut by.

Each clinic ends as the bytes of its own files, so that it can be judged wherever they are sent, exactly as if
somebody had named the file to ``tpr evaluate``.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tpr_outcomes.cohort.columns import Columns
from tpr_outcomes.cohort.opening import GZIP, extra, require_file
from tpr_outcomes.cohort.raw import RawTable
from tpr_outcomes.cohort.sources import SHEET_SUFFIXES, TABLES, TEXT_SUFFIXES
from tpr_outcomes.cohort.sources_stat import is_statistics
from tpr_outcomes.cohort.sources_tables import PARQUET_SUFFIXES, is_parquet, read_any
from tpr_outcomes.errors import PlanError, SourceError

LIST_COLUMNS = ("label", "path", "columns")
MAP = "columns.toml"
"""Column map of all files of a folder; ``<label>.toml`` is that of one."""
_ENDINGS = (*TEXT_SUFFIXES, *SHEET_SUFFIXES, *PARQUET_SUFFIXES)
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Files:
    """A clinic's record as it can be sent.

    Attributes
    ----------
    source : str
        Name of the file to evaluate, or empty for the folder that all of them are in.
    content : mapping of str to bytes
        By name.
    columns : Columns or None
        The user's names; a dictionary it names is among the files.
    """

    source: str
    content: Mapping[str, bytes]
    columns: Columns | None = None

    def digest(self) -> str:
        """SHA-256 over names, contents and column map."""
        found = hashlib.sha256(f"{self.source}\0{self.columns!r}\0".encode())
        for name, content in sorted(self.content.items()):
            found.update(f"{name}\0{hashlib.sha256(content).hexdigest()}\0".encode())
        return found.hexdigest()


@dataclass(frozen=True)
class Clinic:
    """One clinic of a registry.

    Attributes
    ----------
    label : str
        What the registry calls it.
    place : str
        Where its record is, in words for its owner.
    read : callable
        Returns its :class:`Files`; raises SourceError or PlanError where that cannot be done.
    """

    label: str
    place: str
    read: Callable[[], Files] = field(repr=False, compare=False)

    @property
    def folder(self) -> str:
        """Name of the clinic's folder: the label where a folder can be called that."""
        safe = _UNSAFE.sub("_", self.label).strip(".")[:60]
        if safe == self.label and safe == safe.lower():
            return safe
        return f"{safe or 'clinic'}-{hashlib.sha256(self.label.encode()).hexdigest()[:8]}"


def find_clinics(
    registry: str | Path, *, by: str | None = None, columns: Columns | None = None
) -> list[Clinic]:
    """Find the clinics of a registry, sorted by label.

    Parameters
    ----------
    registry : str or Path
        A folder with a file, or a folder with a file called ``visits``, per clinic; a list (CSV with the
        columns ``label``, ``path`` and, where wanted, ``columns``; or TOML with ``[[clinic]]`` tables of the
        same keys); or, with ``by``, one table of visits.
    by : str, optional
        Column of that table which says whose a row is.
    columns : Columns, optional
        The user's names; a clinic's own come before them.

    Raises
    ------
    SourceError
        When the registry cannot be opened or holds no clinics.
    PlanError
        When the list is not one; every fault is named at once.
    """
    path = Path(registry)
    if by is not None:
        found = _parquet_parts(path, by, columns) if is_parquet(path) else _parts(path, by, columns)
    elif path.is_dir():
        found = _of_folder(path, columns)
    else:
        found = _of_list(path, columns)
    if not found:
        raise SourceError(f"{path} holds no clinics: no file of visits was found in it. Check the path.")
    return sorted(found, key=lambda clinic: clinic.label)


# --- files of their own -----------------------------------------------------------------------------


def _of_folder(path: Path, columns: Columns | None) -> list[Clinic]:
    """One clinic per file or folder of files; others (notes, column maps) are passed over."""
    shared = Columns.from_toml(path / MAP) if (path / MAP).exists() else columns
    found: dict[str, Path] = {}
    for item in sorted(path.iterdir()):
        if item.name.startswith((".", "~$")) or not (_is_table(item) or _holds_visits(item)):
            continue
        label = item.name if item.is_dir() else item.name.removesuffix(GZIP).rpartition(".")[0]
        if label.lower() == "visits":
            raise SourceError(
                f"{path} is the folder of one clinic: it has a file called visits. Use tpr evaluate, or name "
                "the folder above it."
            )
        if label in found:
            raise PlanError(f"{path} has two records called {label!r}; keep one, or write a list of clinics.")
        found[label] = item
    clinics = []
    for label, item in found.items():
        own = path / f"{label}.toml"
        clinics.append(Clinic(label, item.name, partial(_files, item, own if own.exists() else None, shared)))
    return clinics


def _is_table(path: Path) -> bool:
    name = path.name.lower().removesuffix(GZIP)
    return path.is_file() and (name.endswith(_ENDINGS) or is_statistics(path))


def _holds_visits(path: Path) -> bool:
    return path.is_dir() and any(_stem(item) == "visits" and _is_table(item) for item in path.iterdir())


def _stem(path: Path) -> str:
    return path.name.lower().removesuffix(GZIP).rpartition(".")[0]


def _files(path: Path, own: Path | None, shared: Columns | None) -> Files:
    """Read a clinic's files as they are, with what its column map names."""
    columns = shared if own is None else Columns.from_toml(own)
    if path.is_dir():
        wanted = {"visits", *TABLES}
        items = sorted(item for item in path.iterdir() if _stem(item) in wanted and _is_table(item))
        source, content = "", {item.name: _bytes(item) for item in items}
    else:
        source, content = path.name, {path.name: _bytes(path)}
    if columns is not None and columns.reading.dictionary:
        dictionary = Path(columns.reading.dictionary)
        content[dictionary.name] = _bytes(dictionary)
        columns = replace(columns, reading=replace(columns.reading, dictionary=dictionary.name))
    return Files(source, content, columns)


def _bytes(path: Path) -> bytes:
    require_file(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path} cannot be opened ({error.strerror}); check it.") from error


# --- a list -----------------------------------------------------------------------------------------


def _of_list(path: Path, columns: Columns | None) -> list[Clinic]:
    """Read a list of clinics; paths start from its folder."""
    require_file(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{path} is no list of clinics: it is not text in UTF-8. Save it as such."
        ) from error
    rows = _toml_rows(path, text) if path.suffix.lower() == ".toml" else _csv_rows(path, text)
    faults = list(_faults(rows))
    if faults:
        raise PlanError(
            "\n".join(["The list of clinics cannot be used as it stands.", *(f"- {f}" for f in faults)])
        )
    clinics = []
    for _, row in rows:
        place, own = path.parent / row["path"], row.get("columns", "")
        read = partial(_files, place, path.parent / own if own else None, columns)
        clinics.append(Clinic(row["label"], row["path"], read))
    return clinics


def _csv_rows(path: Path, text: str) -> list[tuple[str, dict[str, str]]]:
    reader = csv.DictReader(io.StringIO(text))
    head = [str(name).strip().lower() for name in reader.fieldnames or ()]
    if not {"label", "path"} <= set(head):
        raise PlanError(
            f"{path} is no list of clinics: a list has the columns label and path (and columns, where a "
            "clinic has a column map). For one table of all clinics name its column: --by clinic."
        )
    return [
        (
            f"line {reader.line_num}",
            {
                name: (value or "").strip()
                for name, value in zip(head, row.values(), strict=False)
                if isinstance(value, str)
            },
        )
        for row in reader
    ]


def _toml_rows(path: Path, text: str) -> list[tuple[str, dict[str, str]]]:
    try:
        rows: Any = tomllib.loads(text).get("clinic", [])
    except tomllib.TOMLDecodeError as error:
        raise PlanError(f"{path} is not valid TOML: {error}.") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise PlanError(
            f'{path} has no [[clinic]] tables; write [[clinic]] and below it label = "…", path = "…".'
        )
    return [
        (f"clinic {n}", {k: str(v).strip() for k, v in row.items()}) for n, row in enumerate(rows, start=1)
    ]


def _faults(rows: Sequence[tuple[str, Mapping[str, str]]]) -> Iterable[str]:
    """Say everything that is wrong with a list."""
    seen: dict[str, str] = {}
    for where, row in rows:
        for name in ("label", "path"):
            if not row.get(name):
                yield f"{where} has no {name}."
        for name in row:
            if name not in LIST_COLUMNS:
                yield f"{where} has {name!r}; known are {', '.join(LIST_COLUMNS)}."
        label = row.get("label", "")
        if label and label in seen:
            yield f"{where} has the label of {seen[label]}; name each clinic once."
        seen.setdefault(label, where)


# --- one table of all -------------------------------------------------------------------------------


def _parts(path: Path, by: str, columns: Columns | None) -> list[Clinic]:
    """Cut a table by a column; each part is text of its own, without that column."""
    raw = read_any(str(path), columns=columns)[0]
    place = _place(raw.header, by, path)
    whose = raw.cells[place].astype(str)
    blank = int((whose == "").sum())
    if blank:
        raise SourceError(
            f"{path} has {blank} rows without a clinic in the column {by!r}. Fill it in, or take them out."
        )
    order = np.argsort(whose, kind="stable")
    labels, starts = np.unique(whose[order], return_index=True)
    rows = np.split(order, starts[1:])
    return [
        Clinic(
            str(label),
            f"rows of {path.name} where {by} is {label}",
            partial(_text_part, raw, place, its, columns),
        )
        for label, its in zip(labels, rows, strict=True)
    ]


def _text_part(raw: RawTable, place: int, rows: Any, columns: Columns | None) -> Files:
    """Write some rows of a table as a text file; a decimal comma keeps its semicolons."""
    made = io.StringIO()
    writer = csv.writer(made, delimiter=";" if raw.decimal_comma else ",", lineterminator="\n")
    kept = [i for i in range(len(raw.header)) if i != place]
    writer.writerow([raw.header[i] for i in kept])
    writer.writerows(zip(*(raw.cells[i][rows] for i in kept), strict=True))
    return Files("visits.csv", {"visits.csv": made.getvalue().encode()}, columns)


def _parquet_parts(path: Path, by: str, columns: Columns | None) -> list[Clinic]:
    """Cut a Parquet file by a column, reading no more than one clinic at a time."""
    with extra("pyarrow", to_read="Parquet files"):
        import pyarrow as pa
        from pyarrow import compute, dataset
    require_file(path)
    try:
        table = dataset.dataset(str(path), format="parquet")
        _place(tuple(table.schema.names), by, path)
        names = compute.unique(table.to_table(columns=[by]).column(by)).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{path} cannot be read as Parquet; copy or write it again.") from error
    if any(name is None or str(name).strip() == "" for name in names):
        raise SourceError(
            f"{path} has rows without a clinic in the column {by!r}. Fill it in, or take them out."
        )
    return [
        Clinic(
            str(name),
            f"rows of {path.name} where {by} is {name}",
            partial(_parquet_part, path, by, name, columns),
        )
        for name in names
    ]


def _parquet_part(path: Path, by: str, name: object, columns: Columns | None) -> Files:
    import pyarrow as pa
    from pyarrow import dataset, parquet

    table = dataset.dataset(str(path), format="parquet").to_table(filter=dataset.field(by) == name)
    made = pa.BufferOutputStream()
    parquet.write_table(table.drop_columns([by]).replace_schema_metadata(None), made)
    return Files("visits.parquet", {"visits.parquet": made.getvalue().to_pybytes()}, columns)


def _place(header: Sequence[str], by: str, path: Path) -> int:
    if by not in header:
        raise PlanError(f"{path} has no column {by!r}; it has {', '.join(header)}. Correct by.")
    return list(header).index(by)
