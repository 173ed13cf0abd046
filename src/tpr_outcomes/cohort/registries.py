"""Registries: records of any size, checked and derived piece by piece.

DuckDB brings the visits of each patient together, on the disk where they do not fit into memory; what comes
out is cut into pieces of whole patients, and each piece is read, checked and derived by the same code as a
record that fits. So there is one definition of every rule and of every dose, whatever the size.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tpr_outcomes.cohort.cells import Record, find_columns, read_cells
from tpr_outcomes.cohort.checking import RuleCount, require_rated
from tpr_outcomes.cohort.columns import Columns
from tpr_outcomes.cohort.derive import LEFT_OUT_REASONS, changes, ratings
from tpr_outcomes.cohort.opening import extra, require_file
from tpr_outcomes.cohort.problems import Problem
from tpr_outcomes.cohort.rules import find_problems
from tpr_outcomes.cohort.scales import Scale, get_scale
from tpr_outcomes.cohort.sources_tables import from_arrow
from tpr_outcomes.cohort.visits import Rated, Visits, build_visits
from tpr_outcomes.errors import DataError, OutputError, PlanError, SourceError

MEMORY_MB = 384
"""What DuckDB may use of the memory; the rest of a gigabyte is for Python and one piece of the record."""
PIECE = 200_000
"""Rows after which a piece ends with the patient it has come to."""
MOST_OF_ONE = 1_000_000
"""Rows one patient may have."""
MADE_BY = b"tpr-outcomes derive"

_NUMBERS = ("visit", "weeks", "pain", "twitches", "insertions", "sites", "sessions", "age")
_DERIVED_FROM = (
    "patient",
    "visit",
    "date",
    "weeks",
    "pain",
    "twitches",
    "sought",
    "insertions",
    "sites",
    "sessions",
)
_OF_THE_WHOLE = frozenset({"pain_all_identical", "twitches_all_zero", "free_text", "unknown_column"})
_PADDED = r"^[\s\pZ]|[\s\pZ]$"
_ROW = "__row"
_FIRST = "__first"
_KEPT_ADDRESSES = 3

Progress = Callable[[str, float], None]


@dataclass
class RegistryReport:
    """What was found in a record taken piece by piece.

    Attributes
    ----------
    rows, patients : int
        Size of the record.
    ratings : int
        Ratings that are outcomes, with a known dose before them.
    left_out : dict of str to int
        Visits that are neither outcome nor baseline, by reason.
    by_rule : dict of (str, str) to RuleCount
        Problems by severity and rule: how many, the first places, what and what to do.
    by_visit : pandas.DataFrame
        ``visit``, ``n`` (ratings), ``mean`` and ``mean_change`` (scale points, negative is better).
    """

    rows: int = 0
    patients: int = 0
    ratings: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    by_rule: dict[tuple[str, str], RuleCount] = field(default_factory=dict)
    by_visit: pd.DataFrame = field(default_factory=pd.DataFrame)

    def count(self, severity: str) -> int:
        """Return how many problems of a severity there are."""
        return sum(found.count for (kind, _), found in self.by_rule.items() if kind == severity)

    def to_dict(self) -> dict[str, object]:
        """Return the content of ``tpr derive --json``."""
        return {
            "schema": "tpr-outcomes/derive/1",
            "ok": self.ok,
            "rows": self.rows,
            "patients": self.patients,
            "ratings": self.ratings,
            "left_out": self.left_out,
            "by_rule": [dataclasses.asdict(found) for found in self.by_rule.values()],
        }

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return self.count("error") == 0


def derive_registry(
    source: str | Path,
    out: str | Path | None = None,
    *,
    columns: Columns | None = None,
    scale: str | Scale = "nrs",
    rated: Rated = "before",
    dose: str = "twitches",
    patients: int | None = None,
    seed: int = 1,
    memory_mb: int = MEMORY_MB,
    progress: Progress | None = None,
) -> RegistryReport:
    """Check a Parquet file of any size and derive the dose before every rating.

    Parameters
    ----------
    source : str or Path
        Parquet file, one row per patient and visit. Numbers are to be numbers and dates dates there.
    out : str or Path, optional
        Parquet file to write, one row per visit: ``patient`` (code in order of appearance), ``visit``,
        ``weeks``, ``pain``, ``twitches``, ``sought``, ``baseline``, ``change``, ``dose_before``,
        ``dose_last``, ``visits_before`` and ``left_out`` (why the visit is no outcome; "baseline" at first
        visits). Without it the record is only checked.
    columns, scale, rated
        As in :func:`~tpr_outcomes.cohort.visits.read_visits`.
    dose : str
        Column of counts to add up.
    patients : int, optional
        So many patients drawn by lot in place of all.
    seed : int
        Of the lot.
    memory_mb : int
        Megabytes DuckDB may use; more is put on the disk.
    progress : callable, optional
        Called with what is being done and the share done.

    Returns
    -------
    RegistryReport
        Counts of everything found.

    Raises
    ------
    SourceError
        When the file cannot be read, or a column has a type that does not say what it means.
    PlanError
        When the column map, scale, timing or dose is not valid.
    DataError
        When ``out`` is given and anything has to be mended first; nothing is written then.
    OutputError
        When the output cannot be written.

    Notes
    -----
    The same rows come out as from :func:`~tpr_outcomes.cohort.derive.ratings` on the record read whole.
    """
    require_rated(rated)
    chosen = get_scale(scale) if isinstance(scale, str) else scale
    mapping = columns or Columns({})
    tally = _Tally()
    with extra("duckdb and pyarrow", to_read="records of any size"), _writer(out) as write:
        pieces = _pieces(
            Path(source), mapping, patients=patients, seed=seed, memory_mb=memory_mb, tell=progress or _quiet
        )
        for raw in pieces:
            record = read_cells(raw, columns=mapping.mapping, scale=chosen, reading=mapping.reading)
            problems = find_problems(record)
            tally.add(record, problems)
            if not tally.report.ok:
                write.drop()
                continue
            visits = build_visits(record, rated=rated, problems=())
            write(_derived(visits, tally, dose))
        report = tally.finish()
        if out is not None and not report.ok:
            raise DataError(
                f"{report.count('error'):,} problems have to be mended before doses can be derived; nothing "
                "was written. Look at them with: tpr derive without --out."
            )
    return report


def made_by(path: Path) -> bool:
    """Tell whether a file was written by :func:`derive_registry`."""
    try:
        from pyarrow import parquet

        metadata = parquet.read_schema(path).metadata or {}
    except (ImportError, OSError, ValueError):
        return False
    return MADE_BY in metadata


# --- pieces of whole patients ---------------------------------------------------------------------


def _pieces(
    path: Path, columns: Columns, *, patients: int | None, seed: int, memory_mb: int, tell: Progress
) -> Iterator[Any]:
    """Yield the record as tables of text cells, each of whole patients, with the rows' own numbers."""
    import duckdb
    import pyarrow as pa

    require_file(path)
    with tempfile.TemporaryDirectory(prefix="tpr-registry-") as spill:
        settings: dict[str, Any] = {
            "memory_limit": f"{memory_mb}MB", "temp_directory": spill, "threads": "2",
            "preserve_insertion_order": "false", "autoinstall_known_extensions": "false",
        }  # fmt: skip
        try:
            with duckdb.connect(config=settings) as base:
                base.execute("SET enable_progress_bar_print = false")  # its own bar goes to standard output
                place = str(path).replace("'", "''")
                base.execute(
                    f"CREATE VIEW record AS SELECT * FROM read_parquet('{place}', file_row_number = true)"
                )
                names = _checked_columns(base, columns)
                tell("bringing the visits of each patient together", 0.0)
                total, query = _sorted_query(base, names, patients=patients, seed=seed)
                reader = base.sql(query).to_arrow_reader(PIECE // 4)
                yield from _cut(reader, total, tell)
        except (duckdb.Error, pa.ArrowException) as error:
            raise SourceError(_refusal(path, error)) from error


def _checked_columns(base: Any, columns: Columns) -> dict[str, str]:
    """Return our names and the file's for the columns that are used, of types that say what they mean."""
    types = {row[0]: str(row[1]) for row in base.execute("DESCRIBE record").fetchall()}
    header = tuple(types)
    where, doubled = find_columns(header, columns.mapping)
    if doubled:
        raise SourceError(f"Two columns are called {next(iter(doubled))}; rename one of them.")
    missing = [name for name in ("patient", "pain", "twitches") if name not in where]
    if not {"visit", "date", "weeks"} & set(where):
        missing.append("visit (or date, or weeks)")
    if missing:
        raise SourceError(
            f"There is no column {', '.join(missing)}; name yours in the column map (tpr check --columns)."
        )
    names = {name: header[index] for name, index in where.items() if name in (*_DERIVED_FROM, "age")}
    for name, own in names.items():
        kind = types[own].upper()
        number = kind.startswith(
            ("TINYINT", "SMALLINT", "INT", "BIGINT", "HUGEINT", "U", "FLOAT", "DOUBLE", "DEC")
        )
        if name in _NUMBERS and (not number or kind.startswith("UUID")):
            raise SourceError(
                f"Column {own[:40]} is {kind.lower()}; in a record taken piece by piece it has to hold "
                "numbers. Convert it when writing the Parquet file."
            )
        if name == "date" and not kind.startswith(("DATE", "TIMESTAMP")):
            raise SourceError(
                f"Column {own[:40]} is {kind.lower()}; in a record taken piece by piece it has to hold "
                "dates, so that day and month cannot be taken for each other. Convert it when writing the "
                "Parquet file."
            )
    return names


def _sorted_query(base: Any, names: dict[str, str], *, patients: int | None, seed: int) -> tuple[int, str]:
    """Return how many rows are wanted and the query that brings each patient's together."""
    quoted = {name: '"' + own.replace('"', '""') + '"' for name, own in names.items()}
    key = f"coalesce(CAST({quoted['patient']} AS VARCHAR), '')"
    base.execute(
        f"CREATE TEMP TABLE firsts AS SELECT {key} AS who, min(file_row_number) AS {_FIRST}, "
        f"count(*) AS n FROM record GROUP BY who"
    )
    padded = f"SELECT count(*) FROM firsts WHERE regexp_matches(who, '{_PADDED}')"
    if base.execute(padded).fetchall()[0][0]:
        raise SourceError(
            f"Column {names['patient'][:40]} has codes with blanks before or behind them; trim them when "
            "writing the Parquet file, so that it is clear which are the same patient."
        )
    if patients is not None:
        _draw(base, patients, seed)
    total = int(base.execute("SELECT coalesce(sum(n), 0) FROM firsts").fetchall()[0][0])
    wanted = ", ".join(f'r.{own} AS "{name}"' for name, own in quoted.items())
    return total, (
        f"SELECT {wanted}, r.file_row_number AS {_ROW}, f.{_FIRST} AS {_FIRST} FROM record r JOIN firsts f "
        f"ON f.who = {key.replace(quoted['patient'], 'r.' + quoted['patient'])} ORDER BY {_FIRST}, {_ROW}"
    )


def _draw(base: Any, patients: int, seed: int) -> None:
    """Keep so many patients, each equally likely, the same ones for the same seed."""
    if patients < 1 or seed < 0:
        raise PlanError("The number of patients to draw is to be 1 or more, and the seed 0 or more.")
    first = base.execute(f"SELECT {_FIRST} FROM firsts ORDER BY {_FIRST}").fetchnumpy()[_FIRST]
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    drawn = pd.DataFrame({_FIRST: rng.permutation(np.asarray(first, dtype=np.int64))[:patients]})
    base.register("drawn", drawn)
    base.execute(f"CREATE TEMP TABLE kept AS SELECT f.* FROM firsts f JOIN drawn d USING ({_FIRST})")
    base.execute("DROP TABLE firsts")
    base.execute("ALTER TABLE kept RENAME TO firsts")


def _cut(reader: Any, total: int, tell: Progress) -> Iterator[Any]:
    """Cut a stream of rows into tables of whole patients."""
    import pyarrow as pa

    waiting: list[Any] = []
    held = done = 0
    schema = reader.schema
    for batch in reader:
        waiting.append(batch)
        held += batch.num_rows
        if held < PIECE:
            continue
        table = pa.Table.from_batches(waiting, schema)
        first = table.column(_FIRST).to_numpy()
        end = int(np.searchsorted(first, first[-1]))  # where the last patient, who may go on, begins
        if end == 0 and held > MOST_OF_ONE:
            raise SourceError(f"One patient has more than {MOST_OF_ONE:,} rows; check the column patient.")
        if end:
            yield _as_raw(table.slice(0, end))
            waiting, held = table.slice(end).to_batches(), table.num_rows - end
            done += end
            tell("checking and deriving", done / max(total, 1))
    if held:
        yield _as_raw(pa.Table.from_batches(waiting, schema))
    tell("checking and deriving", 1.0)


def _as_raw(table: Any) -> Any:
    """Turn a piece into text cells that remember their rows in the file."""
    rows = table.column(_ROW).to_numpy().astype(np.int64) + 1
    raw = from_arrow(table.drop_columns([_ROW, _FIRST]), kind="parquet", sha256="piece")
    own = rows[raw.rows - 1]
    empty = tuple(int(rows[row - 1]) for row in raw.empty_rows)
    return dataclasses.replace(raw, rows=own, empty_rows=empty)


def _refusal(path: Path, error: Exception) -> str:
    """Say what went wrong without repeating what may quote a cell."""
    if "OutOfMemory" in type(error).__name__:
        return "The memory DuckDB may use is too small for this record; give it more with --memory."
    if "No space left" in str(error) or "max_temp_directory_size" in str(error):
        return "The disk is full: sorting a record needs several times its size for temporary files."
    if not any(word in type(error).__name__ for word in ("IO", "InvalidInput", "Arrow", "Serialization")):
        return f"DuckDB could not work through {path} ({type(error).__name__}). Write it again, or split it."
    return (
        f"{path} cannot be read as Parquet: it is cut off, damaged, or another kind of file under this name. "
        "Copy or write it again."
    )


# --- what is kept of every piece ------------------------------------------------------------------


class _Tally:
    """Adds up what the pieces say."""

    def __init__(self) -> None:
        self.report = RegistryReport(left_out=dict.fromkeys(LEFT_OUT_REASONS, 0))
        self._visits: dict[int, list[float]] = {}
        self._pain = (np.inf, -np.inf)
        self._most = 0.0

    def add(self, record: Record, problems: tuple[Problem, ...]) -> None:
        """Count a piece and its problems."""
        report = self.report
        report.rows += record.raw.n_rows + len(record.raw.empty_rows)
        report.patients += record.n_patients
        for problem in problems:
            if problem.rule in _OF_THE_WHOLE:
                continue
            key = (problem.severity, problem.rule)
            seen = report.by_rule.get(key)
            if seen is None:
                seen = RuleCount(problem.rule, problem.severity, 0, (), problem.message, problem.remedy)
            places = seen.addresses
            if len(places) < _KEPT_ADDRESSES:
                places = (*places, problem.address)
            report.by_rule[key] = RuleCount(
                seen.rule, seen.severity, seen.count + 1, places, seen.message, seen.remedy
            )
        pain = record.numbers["pain"][~np.isnan(record.numbers["pain"])]
        if pain.size:
            self._pain = (min(self._pain[0], float(pain.min())), max(self._pain[1], float(pain.max())))
        count = record.numbers["twitches"][~np.isnan(record.numbers["twitches"])]
        self._most = max(self._most, float(count.max(initial=0.0)))

    def add_visits(self, visits: Visits, change: np.ndarray[Any, np.dtype[np.float64]]) -> None:
        """Add up pain and change by visit number."""
        table = visits.table
        rated = ~np.isnan(table["pain"].to_numpy())
        compared = rated & ~np.isnan(change)
        number = table["visit"].to_numpy()
        pain = table["pain"].to_numpy()
        for visit in np.unique(number[rated]):
            here = rated & (number == visit)
            sums = self._visits.setdefault(int(visit), [0.0, 0.0, 0.0, 0.0])
            sums[0] += float(here.sum())
            sums[1] += float(pain[here].sum())
            sums[2] += float((here & compared).sum())
            sums[3] += float(change[here & compared].sum())

    def finish(self) -> RegistryReport:
        """Return the report, with what can only be said of the whole."""
        report = self.report
        for rule, message in (
            ("pain_all_identical", "All ratings are the same." if self._pain[0] == self._pain[1] else ""),
            ("twitches_all_zero", "No twitch was ever elicited." if report.rows and not self._most else ""),
        ):
            if message:
                remedy = "Check that the right column was read."
                report.by_rule["warning", rule] = RuleCount(rule, "warning", 1, ("file",), message, remedy)
        rows = [
            (visit, int(n), total / n, (moved / m if m else float("nan")))
            for visit, (n, total, m, moved) in sorted(self._visits.items())
        ]
        report.by_visit = pd.DataFrame(rows, columns=["visit", "n", "mean", "mean_change"])
        return report


def _derived(visits: Visits, tally: _Tally, dose: str) -> pd.DataFrame:
    """Return the derived columns of a piece, one row per visit, and count them."""
    found = ratings(visits, dose=dose)
    moved = changes(visits)
    tally.add_visits(visits, moved.change)
    report = tally.report
    report.ratings += found.row.size
    for rule, n in found.left_out_counts.items():
        report.left_out[rule] += n
    n = visits.n_visits
    table = visits.table
    derived: dict[str, Any] = {"patient": table["patient"].to_numpy() + report.patients - visits.n_patients}
    for name in ("visit", "weeks", "pain", "twitches", "sought", *((dose,) if dose != "twitches" else ())):
        if name in table.columns:
            derived[name] = table[name].to_numpy()
    derived |= {"baseline": moved.baseline, "change": moved.change}
    for name in ("dose_before", "dose_last", "visits_before"):
        values = np.full(n, np.nan)
        values[found.row] = getattr(found, name)
        derived[name] = values
    derived["left_out"] = found.why_left_out()
    return pd.DataFrame(derived)


# --- a file that is written whole or not at all ---------------------------------------------------


class _Nothing:
    """Stands for no output."""

    def __enter__(self) -> _Nothing:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        return None

    def __call__(self, frame: pd.DataFrame) -> None:
        """Write nothing."""

    def drop(self) -> None:
        """Stop writing."""


class _ParquetFile(_Nothing):
    """Writes pieces into a file beside its place, and moves it there when all are in."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._part = target.with_name(f".{target.name}.part-{os.getpid()}")
        self._file: Any = None
        self._dropped = False

    def __call__(self, frame: pd.DataFrame) -> None:
        """Add a piece."""
        import pyarrow as pa
        from pyarrow import parquet

        try:
            table = pa.Table.from_pandas(frame, preserve_index=False)
            if self._file is None:
                schema = table.schema.with_metadata({MADE_BY: b"1"})
                self._file = parquet.ParquetWriter(self._part, schema, compression="zstd")
            self._file.write_table(table.replace_schema_metadata({MADE_BY: b"1"}))
        except OSError as error:
            raise self._refusal(error) from error

    def drop(self) -> None:
        """Throw away what was written: there is an error in the record."""
        self._dropped = True

    def __exit__(self, kind: object, *_: object) -> None:
        """Close the file, and put it in its place if nothing went wrong."""
        try:
            if self._file is not None:
                self._file.close()
                if kind is None and not self._dropped:
                    self._part.replace(self._target)
        except OSError as error:
            raise self._refusal(error) from error
        finally:
            self._part.unlink(missing_ok=True)

    def _refusal(self, error: OSError) -> OutputError:
        why = error.strerror or "no room or no right to write"
        return OutputError(
            f"{self._target} could not be written ({why}). Name another place; nothing was changed."
        )


def _writer(out: str | Path | None) -> _Nothing:
    """Return what writes the pieces."""
    return _Nothing() if out is None else _ParquetFile(Path(out))


def _quiet(what: str, share: float) -> None:
    """Tell nobody."""
