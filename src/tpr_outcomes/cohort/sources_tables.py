"""Readers of tables with types: Parquet files, and queries to DuckDB and PostgreSQL.

Every value becomes the text a person would have typed, so that the same rules judge it; whatever the type,
the meaning of a number, a date or a blank stays. Databases are opened for reading only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from tpr_outcomes.cohort.coded import Texts, from_codes
from tpr_outcomes.cohort.columns import Columns
from tpr_outcomes.cohort.grid import as_text
from tpr_outcomes.cohort.links import Link, is_link, parse_link
from tpr_outcomes.cohort.opening import extra, require_file, require_rows
from tpr_outcomes.cohort.raw import RawTable, drop_empty
from tpr_outcomes.cohort.sources import FileContent, read_tables
from tpr_outcomes.cohort.sources_stat import is_statistics, read_statistics
from tpr_outcomes.errors import SourceError

PARQUET_SUFFIXES = (".parquet", ".pq")

_FETCHED = 50_000
_SECONDS_TO_CONNECT = "10"
_NOT_LET_IN = ("authentication failed", "no password supplied", "pg_hba.conf", 'role "')


def read_any(
    source: str | Path | FileContent | pd.DataFrame,
    *,
    sheet: str | None = None,
    columns: Columns | None = None,
) -> tuple[RawTable, ...]:
    """Read every table of any source there is a reader for.

    Parameters
    ----------
    source : str, Path, FileContent or pandas.DataFrame
        A Parquet file, a link to a database (:mod:`~tpr_outcomes.cohort.links`), a file of a statistics
        program (:mod:`~tpr_outcomes.cohort.sources_stat`), or what
        :func:`~tpr_outcomes.cohort.sources.read_tables` reads.
    sheet : str, optional
        Sheet of a workbook.
    columns : Columns, optional
        The user's names and settings.

    Returns
    -------
    tuple of RawTable
        The cells and their addresses; the row numbers of a table count from 1.

    Raises
    ------
    SourceError
        When it cannot be opened, or a library that reads it is not installed.
    """
    if isinstance(source, str) and is_link(source):
        _refuse_sheet(sheet)
        link = parse_link(source)
        return (_read_duckdb(link) if link.scheme == "duckdb" else _read_postgresql(link),)
    if is_parquet(source):
        _refuse_sheet(sheet)
        return (_read_parquet(source),)  # type: ignore[arg-type]  # a frame is no Parquet file
    if is_statistics(source):
        _refuse_sheet(sheet)
        return (read_statistics(source),)  # type: ignore[arg-type]  # nor is it a statistics file
    return read_tables(source, sheet=sheet, columns=columns)


def is_parquet(source: object) -> bool:
    """Tell whether a source is a Parquet file by its name."""
    name = source.name if isinstance(source, FileContent) else source
    return isinstance(name, str | Path) and Path(name).suffix.lower() in PARQUET_SUFFIXES


def _refuse_sheet(sheet: str | None) -> None:
    if sheet is not None:
        raise SourceError("A sheet was named, but the source is not a workbook; leave the sheet out.")


# --- Parquet ----------------------------------------------------------------------------------------


def _read_parquet(source: str | Path | FileContent) -> RawTable:
    """Read a Parquet file."""
    with extra("pyarrow", to_read="Parquet files"):
        import pyarrow as pa
        from pyarrow import parquet
    if isinstance(source, FileContent):
        where, name, digest = pa.BufferReader(source.content), source.name, source.content
        sha256 = hashlib.sha256(digest).hexdigest()
    else:
        path = Path(source)
        require_file(path)
        where, name = str(path), str(path)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        with parquet.ParquetFile(where) as file:
            require_rows(name, file.metadata.num_rows, file.metadata.num_columns)
            held = [file.read(use_threads=False)]  # handed on, so that it goes as it is turned into texts
            held[0].validate(full=True)  # texts that are none, places past the end
    except (pa.ArrowException, OSError, MemoryError, UnicodeDecodeError) as error:
        raise SourceError(
            f"{name} cannot be read as Parquet: it is cut off, damaged, or another kind of file under this "
            "name. Copy or write it again."
        ) from error
    return from_arrow(held.pop(), kind="parquet", sha256=sha256)


def from_arrow(table: Any, *, kind: str, sha256: str, first_row: int = 1) -> RawTable:
    """Turn an Arrow table into text cells.

    Parameters
    ----------
    table : pyarrow.Table
        Flat columns.
    kind : str
        Kind of source.
    sha256 : str
        Digest of the file; that of the cells is taken where it is empty.
    first_row : int
        Number of the first row.

    Returns
    -------
    RawTable
        The cells.

    Raises
    ------
    SourceError
        When a column holds lists, structures or bytes that are no text.
    """
    import pyarrow as pa

    header = tuple(str(name).strip() for name in table.column_names)
    n = table.num_rows
    columns, found = table.columns, []
    del table  # each column goes once it has been turned into texts
    for i in range(len(header)):
        found.append(_arrow_texts(columns[i], i + 1))
        columns[i] = None
    cells = tuple(found)
    pa.default_memory_pool().release_unused()
    rows = np.arange(first_row, first_row + n, dtype=np.int64)
    return drop_empty(header, cells, rows, kind=kind, sha256=sha256 or _digest(header, cells))


def _arrow_texts(column: Any, number: int) -> Texts:
    """Turn one Arrow column into texts, each different value once."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_nested(kind):
        raise SourceError(
            f"Column {number} (counted from 1) holds lists or structures; leave it out, or write "
            "one value a row."
        )
    try:
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
            column = column.cast(pa.binary()).cast(pa.string())
        if pa.types.is_timestamp(kind):
            local = pc.local_timestamp(column) if kind.tz else column
            column = pc.floor_temporal(local, unit="day").cast(pa.date32())
    except pa.ArrowException as error:
        raise SourceError(
            f"Column {number} (counted from 1) holds bytes that are no text, or dates out of range."
        ) from error
    encoded = column.dictionary_encode().unify_dictionaries().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):  # no chunk at all
        encoded = pa.array([], type=kind).dictionary_encode()
    codes = encoded.indices.fill_null(len(encoded.dictionary)).to_numpy(zero_copy_only=False)
    return merged(codes, [*encoded.dictionary.to_pylist(), None])


def merged(codes: Any, values: Sequence[Any]) -> Texts:
    """Return the column whose cells are ``values[codes]``, values that read alike taken together.

    Parameters
    ----------
    codes : (n,) int array
        Positions in ``values``.
    values : sequence
        Different values, of any type.

    Returns
    -------
    (n,) object array of str
        The cells.
    """
    texts = np.array([as_text(value) for value in values], dtype=object)
    place, different = pd.factorize(texts)
    return from_codes(place.astype(np.int32)[codes], different)


def _digest(header: tuple[str, ...], cells: tuple[Texts, ...]) -> str:
    """Digest of what a query gave: the same cells in the same order, the same digest."""
    digest = hashlib.sha256()
    for name, column in zip(header, cells, strict=True):
        digest.update(f"{len(name)}:{name}\n".encode())
        for text in column:
            digest.update(f"{len(text)}:{text}\n".encode())
    return digest.hexdigest()


# --- DuckDB -----------------------------------------------------------------------------------------


def _read_duckdb(link: Link) -> RawTable:
    """Ask a DuckDB file, opened for reading, without access to any other file."""
    with extra("duckdb", to_read="DuckDB files"):
        import duckdb
    with extra("pyarrow", to_read="DuckDB files"):
        import pyarrow as pa
    require_file(Path(link.path))
    shut: dict[str, Any] = dict.fromkeys(
        ("enable_external_access", "autoinstall_known_extensions", "autoload_known_extensions"), "false"
    )
    try:
        with duckdb.connect(link.path, read_only=True, config=shut) as base:
            base.execute("SET enable_progress_bar_print = false")  # its bar goes to standard output
            base.execute("SET lock_configuration = true")
            _require_select(duckdb, base.extract_statements(link.query))
            asked = base.sql(link.query)
            require_rows(link.shown, 0, len(asked.columns))
            portions, rows = [], 0
            with asked.to_arrow_reader(_FETCHED) as reader:
                schema = reader.schema
                for portion in reader:
                    portions.append(portion)
                    rows += portion.num_rows
                    require_rows(link.shown, rows, 0)
    except duckdb.Error as error:
        raise SourceError(_duckdb_refusal(duckdb, link, error)) from error
    return from_arrow(pa.Table.from_batches(portions, schema), kind="duckdb", sha256="")


def _require_select(duckdb: ModuleType, statements: Sequence[Any]) -> None:
    """Raise unless the query is one SELECT."""
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise SourceError("The query has to be one SELECT, nothing else; it was not run.")


def _duckdb_refusal(duckdb: ModuleType, link: Link, error: Exception) -> str:
    """Say what DuckDB did not like, in its own words only where they are about the query, not the data."""
    about_query = (duckdb.CatalogException, duckdb.BinderException, duckdb.ParserException)
    if isinstance(error, about_query):
        said = " ".join(line.strip() for line in str(error).split("\n\n")[0].splitlines())
        return f"The query to {link.shown} cannot be run. DuckDB says: {said}"
    if isinstance(error, duckdb.PermissionException):
        return (
            f"The query to {link.shown} reaches outside the database, which is not allowed; it was not run."
        )
    if isinstance(error, duckdb.IOException | duckdb.InvalidInputException | duckdb.InternalException):
        return (
            f"{link.shown} cannot be opened: it is no DuckDB file, is damaged, or another program holds it "
            "open. Close it there, or copy it."
        )
    return (
        f"The query to {link.shown} failed on the data ({type(error).__name__}); the words are left out "
        "since they may quote a cell. Run it in DuckDB to see them."
    )


# --- PostgreSQL -------------------------------------------------------------------------------------


def _read_postgresql(link: Link) -> RawTable:
    """Ask a PostgreSQL server in a transaction that can only read."""
    with extra("psycopg (and libpq)", to_read="from PostgreSQL"):
        import psycopg
        from psycopg.conninfo import make_conninfo
    words = {"connect_timeout": _SECONDS_TO_CONNECT, **link.connection, "application_name": "tpr_outcomes"}
    try:
        with psycopg.connect(make_conninfo("", **words)) as server:
            server.read_only = True
            server.execute("SET LOCAL synchronize_seqscans = off")  # the same order at every reading
            with server.cursor(name="tpr_outcomes") as asked:
                asked.execute(link.query)
                header = tuple(str(column.name).strip() for column in asked.description or ())
                require_rows(link.shown, 0, len(header))
                cells = _stood_up(_fetched(asked), len(header), link.shown)
            server.rollback()
    except psycopg.Error as error:
        raise SourceError(_postgres_refusal(link, error)) from error
    rows = np.arange(1, (cells[0].size if cells else 0) + 1, dtype=np.int64)
    return drop_empty(header, cells, rows, kind="postgresql", sha256=_digest(header, cells))


def _fetched(asked: Any) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows in portions."""
    while rows := asked.fetchmany(_FETCHED):
        yield rows


def _stood_up(portions: Iterator[list[tuple[Any, ...]]], width: int, name: str) -> tuple[Texts, ...]:
    """Stand rows up as columns of codes, so that equal values are kept once."""
    known: list[dict[Any, int]] = [{} for _ in range(width)]
    codes: list[list[np.ndarray[Any, np.dtype[np.int32]]]] = [[] for _ in range(width)]
    n = 0
    for portion in portions:
        n += len(portion)
        require_rows(name, n, width)
        for i, values in enumerate(zip(*portion, strict=True)):
            place = known[i]
            found = [place.setdefault(as_text(value), len(place)) for value in values]
            codes[i].append(np.array(found, dtype=np.int32))
    return tuple(
        merged(np.concatenate([*codes[i], np.empty(0, dtype=np.int32)]), list(known[i])) for i in range(width)
    )


def _postgres_refusal(link: Link, error: Any) -> str:
    """Say what the server did not like, in its own words only where they are about the query."""
    state, said = error.sqlstate or "", error.diag.message_primary or ""
    unnamed = str(error) if not state else ""  # libpq gives no state to what goes wrong while connecting
    if state.startswith("28") or any(words in unnamed for words in _NOT_LET_IN):
        return (
            f"{link.shown} did not let you in: check user and password (PGPASSWORD or ~/.pgpass keep it out "
            "of the command line)."
        )
    if state == "25006":
        return f"The query to {link.shown} would write; only reading is allowed. Nothing was changed."
    if state.startswith(("42", "3D", "3F", "26", "0A")):
        return f"The query to {link.shown} cannot be run. PostgreSQL says: {said}."
    if "database" in unnamed and "does not exist" in unnamed:
        return f"The server of {link.shown} has no database of that name; check the name."
    if not state or state.startswith(("08", "57")):
        return f"{link.shown} cannot be reached, or broke off. Check host, port and that the server runs."
    return (
        f"The query to {link.shown} failed on the data (SQLSTATE {state}); the words are left out since "
        "they may quote a cell. Run it in psql to see them."
    )
