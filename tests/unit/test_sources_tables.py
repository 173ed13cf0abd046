"""Parquet, DuckDB and PostgreSQL: the cells of the same table as text, nothing written, no secret told."""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import duckdb
import numpy as np
import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit import postgres_server

import tpr_outcomes as tpr
from tpr_outcomes.cli import main
from tpr_outcomes.cohort import opening, sources_tables
from tpr_outcomes.cohort.links import is_link, parse_link, shown
from tpr_outcomes.cohort.raw import RawTable
from tpr_outcomes.cohort.sources import FileContent
from tpr_outcomes.errors import DataError, SourceError

TABLE = pa.table(
    {
        "patient": ["A", "A", "B", " B "],
        "visit": pa.array([1, 2, 1, 2], pa.int32()),
        "date": pa.array([dt.date(2024, 3, 5), dt.date(2024, 3, 12), None, dt.date(2024, 3, 6)]),
        "pain": pa.array([7.0, 6.5, float("nan"), None]),
        "twitches": pa.array([Decimal("3"), Decimal("0"), None, Decimal("12")], pa.decimal128(5, 0)),
        "sought": [True, True, None, False],
    }
)
CELLS = {
    "patient": ["A", "A", "B", "B"],
    "visit": ["1", "2", "1", "2"],
    "date": ["2024-03-05", "2024-03-12", "", "2024-03-06"],
    "pain": ["7", "6.5", "", ""],
    "twitches": ["3", "0", "", "12"],
    "sought": ["true", "true", "", "false"],
}


def read_any(source: str | Path | FileContent, *, sheet: str | None = None) -> RawTable:
    (raw,) = sources_tables.read_any(source, sheet=sheet)
    return raw


def as_dict(raw: RawTable) -> dict[str, list[str]]:
    return {name: list(column) for name, column in zip(raw.header, raw.cells, strict=True)}


# --- links ------------------------------------------------------------------------------------------


def test_everything_after_query_is_the_query() -> None:
    link = parse_link("duckdb:///clinic.db?query=SELECT a&b, c+1 FROM t WHERE d LIKE 'x%' AND e = '?#';")
    assert link.path == "clinic.db"
    assert link.query == "SELECT a&b, c+1 FROM t WHERE d LIKE 'x%' AND e = '?#'"
    assert parse_link("duckdb:////data/my%20clinic.db?query=SELECT%201").path == "/data/my clinic.db"
    assert parse_link("duckdb:///c.db?query=SELECT%201").query == "SELECT 1"


@pytest.mark.parametrize(
    "source",
    [
        "postgresql://me:se%2Fcret@db.example.org:5433/clinic?sslmode=require&query=SELECT 1",
        "postgres://me:se%2Fcret@db.example.org:5433/clinic?query=SELECT 1&sslmode=require",
    ],
)
def test_parameters_may_stand_on_either_side_of_the_query(source: str) -> None:
    link = parse_link(source)
    assert link.query == "SELECT 1"
    assert link.connection == {
        "host": "db.example.org",
        "port": "5433",
        "user": "me",
        "password": "se/cret",
        "dbname": "clinic",
        "sslmode": "require",
    }
    assert link.shown == shown(source) == "postgresql://db.example.org:5433/clinic"
    assert "cret" not in repr(link)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("duckdb:///clinic.db", "comes without a query. Write for example: tpr check"),
        ("duckdb:///clinic.db?query=%20", "comes without a query"),
        ("duckdb:///clinic.db?mode=rw&query=SELECT 1", "has the parameter 'mode'; known are query alone"),
        ("duckdb://clinic.db?query=SELECT 1", "names no file. Write duckdb:///clinic.db"),
        (
            "postgresql://me:pw@h/d?options=-c%20x=y&query=SELECT 1",
            "has the parameter 'options'; known are host",
        ),
        ("postgresql://me:pw@h:x/d?query=SELECT 1", "check host and port"),
    ],
)
def test_links_that_say_too_little_or_too_much(source: str, message: str) -> None:
    with pytest.raises(SourceError, match=r"clinic\.db|postgresql://h") as caught:
        parse_link(source)
    assert message in str(caught.value)
    assert "pw" not in str(caught.value)


@given(st.text(max_size=30))
def test_no_link_ends_in_anything_but_a_link_or_a_refusal(text: str) -> None:
    for source in (f"postgresql://{text}", f"duckdb://{text}", f"postgresql://a:b@c/d?{text}"):
        assert is_link(source)
        try:
            parse_link(source)
        except SourceError as error:
            assert str(error)  # noqa: PT017 (most texts are refused, some are not)


# --- Parquet ----------------------------------------------------------------------------------------


def parquet(folder: Path, table: pa.Table = TABLE, name: str = "visits.parquet") -> Path:
    path = folder / name
    pq.write_table(table, path)
    return path


def test_parquet_becomes_the_text_a_person_would_have_typed(tmp_path: Path) -> None:
    path = parquet(tmp_path)
    raw = read_any(path)
    assert as_dict(raw) == CELLS
    assert raw.kind == "parquet"
    assert raw.address(2, 3) == "row 2, column pain"
    assert as_dict(read_any(FileContent("visits.pq", path.read_bytes()))) == CELLS
    assert read_any(FileContent("visits.pq", path.read_bytes())).sha256 == raw.sha256


def test_parquet_of_other_types(tmp_path: Path) -> None:
    stamp = pa.timestamp("us", tz="Europe/Berlin")
    table = pa.table(
        {
            "patient": pa.array(["A", "B", "A"]).dictionary_encode(),
            "date": pa.array([dt.datetime(2024, 3, 5, 23, 30, tzinfo=dt.UTC)] * 3, stamp),
            "pain": pa.array([7, 8, 9], pa.float32()),
            "age": pa.nulls(3),
            "region": pa.array([b"neck", b"neck", None], pa.binary()),
        }
    )
    cells = as_dict(read_any(parquet(tmp_path, table)))
    assert cells["patient"] == ["A", "B", "A"]
    assert cells["date"] == ["2024-03-06"] * 3  # past midnight where the clinic is
    assert cells["pain"] == ["7", "8", "9"]
    assert cells["age"] == ["", "", ""]
    assert cells["region"] == ["neck", "neck", ""]


def test_float32_keeps_the_number_that_is_stored(tmp_path: Path) -> None:
    table = pa.table({"patient": ["A"], "pain": pa.array([6.1], pa.float32())})
    assert float(as_dict(read_any(parquet(tmp_path, table)))["pain"][0]) == float(np.float32(6.1))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([[1], [2]]), "holds lists or structures"),
        (pa.array([b"\xff\xfe", b"x"], pa.binary()), "bytes that are no text"),
    ],
)
def test_columns_that_are_no_cells(tmp_path: Path, column: pa.Array, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read_any(parquet(tmp_path, pa.table({"patient": ["A", "B"], "pain": column})))


def test_parquet_cut_off_or_something_else(tmp_path: Path) -> None:
    content = parquet(tmp_path).read_bytes()
    for damaged in (b"", b"PAR1", content[:-30], content[: len(content) // 2], b"patient,pain\nA,7\n"):
        with pytest.raises(SourceError, match="cannot be read as Parquet"):
            read_any(FileContent("v.parquet", damaged))
    with pytest.raises(SourceError, match=r"There is no file .*there is visits\.parquet"):
        read_any(tmp_path / "visit.parquet")
    (tmp_path / "folder.parquet").mkdir()
    with pytest.raises(SourceError, match="is a folder"):
        read_any(tmp_path / "folder.parquet")
    with pytest.raises(SourceError, match="leave the sheet out"):
        read_any(tmp_path / "visits.parquet", sheet="Visits")


def test_a_small_file_with_very_many_rows_is_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    n = opening.MOST_ROWS + 1
    path = parquet(tmp_path, pa.table({"pain": pa.array(np.zeros(n, dtype=np.int8))}))
    assert path.stat().st_size < 100_000
    with pytest.raises(SourceError, match=r"has 10,000,001 rows; up to 10,000,000 .*\. tpr derive takes"):
        read_any(path)


# --- DuckDB -----------------------------------------------------------------------------------------


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A DuckDB file with the visits in it."""
    path = tmp_path / "clinic.db"
    with duckdb.connect(str(path)) as connection:
        connection.register("arrow", TABLE)
        connection.execute("CREATE TABLE visits AS SELECT * FROM arrow")
    return path


def test_duckdb_gives_the_same_cells(base: Path) -> None:
    raw = read_any(f"duckdb:///{base}?query=SELECT * FROM visits ORDER BY patient DESC, visit;")
    expected = {name: [column[i] for i in (2, 0, 1, 3)] for name, column in CELLS.items()}
    assert as_dict(raw) == expected  # "B", "A", "A", " B "
    assert raw.kind == "duckdb"
    assert raw.address(2, 3) == "row 2, column pain"


def test_a_relative_path_is_looked_for_here(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(base.parent)
    assert read_any("duckdb:///clinic.db?query=SELECT * FROM visits").n_rows == 4


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("DROP TABLE visits", "has to be one SELECT"),
        ("SELECT 1; DROP TABLE visits", "has to be one SELECT"),
        ("COPY visits TO 'stolen.csv'", "has to be one SELECT"),
        ("ATTACH 'other.db'", "has to be one SELECT"),
        ("-- nothing", "has to be one SELECT"),
        ("SELECT * FROM read_csv('/etc/passwd')", "reaches outside the database"),
        ("SELECT * FROM '/etc/passwd.csv'", "cannot be run|reaches outside"),
        ("SELECT * FROM visit", 'DuckDB says: .*Did you mean "visits"'),
        ("SELECT pian FROM visits", "DuckDB says: .*pian"),
        ("SELEC", "DuckDB says: .*syntax error"),
        (
            "SELECT patient::int FROM visits",
            "failed on the data .ConversionException.; the words are left out",
        ),
    ],
)
def test_queries_that_are_refused(base: Path, query: str, message: str) -> None:
    before = base.read_bytes()
    with pytest.raises(SourceError, match=message):
        read_any(f"duckdb:///{base}?query={quote(query)}")
    assert base.read_bytes() == before
    assert [path.name for path in base.parent.iterdir()] == ["clinic.db"]


def test_files_that_are_no_duckdb(tmp_path: Path, base: Path) -> None:
    (tmp_path / "text.db").write_text("patient,pain\n")
    (tmp_path / "cut.db").write_bytes(base.read_bytes()[:5000])
    for name in ("text.db", "cut.db"):
        with pytest.raises(SourceError, match="cannot be opened"):
            read_any(f"duckdb:///{tmp_path / name}?query=SELECT 1")
    with pytest.raises(SourceError, match="There is no file"):
        read_any(f"duckdb:///{tmp_path / 'none.db'}?query=SELECT 1")
    assert not (tmp_path / "none.db").exists()


def test_a_query_with_too_many_rows_is_stopped(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MOST_ROWS", 100_000)
    with pytest.raises(SourceError, match="up to 100,000 are read"):
        read_any(f"duckdb:///{base}?query=SELECT * FROM range(1000000000)")


def test_its_progress_stays_off_the_screen(base: Path) -> None:
    setting = "SELECT value FROM duckdb_settings() WHERE name = 'enable_progress_bar_print'"
    assert list(read_any(f"duckdb:///{base}?query={setting}").cells[0]) == ["false"]


def test_the_digest_is_that_of_the_cells(base: Path) -> None:
    link = f"duckdb:///{base}?query=SELECT * FROM visits"
    first, again = read_any(link), read_any(link)
    other = read_any(f"{link} WHERE visit = 1")
    assert first.sha256 == again.sha256 != other.sha256
    assert len(first.sha256) == 64


# --- PostgreSQL -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[postgres_server.Server]:
    """A real server, from the package postgresql, with the visits in it."""
    programs = postgres_server.programs()
    if programs is None:
        message = "no PostgreSQL server on this machine (on Debian: apt-get install postgresql)"
        if os.environ.get("TPR_REQUIRE_POSTGRES"):
            pytest.fail(message)
        pytest.skip(message)
    with postgres_server.running(programs) as found:
        with psycopg.connect(
            host="127.0.0.1", port=found.port, user=found.user, password=found.password, dbname="postgres"
        ) as connection:
            connection.execute(
                "CREATE TABLE visits (n int, patient text, visit int, date date, pain float8,"
                " twitches numeric(5, 0), sought bool)"
            )
            rows = TABLE.to_pylist()
            with connection.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO visits VALUES (%s, %s, %s, %s, %s, %s, %s)",
                    [(i, *row.values()) for i, row in enumerate(rows)],
                )
        yield found


def pg(server: postgres_server.Server, query: str, **instead: str) -> str:
    words = {"user": server.user, "password": server.password, "dbname": "postgres", **instead}
    who = f"{words['user']}:{quote(words['password'], safe='')}"
    return f"postgresql://{who}@127.0.0.1:{server.port}/{words['dbname']}?query={query}"


def test_postgresql_gives_the_same_cells(server: postgres_server.Server) -> None:
    query = "SELECT patient, visit, date, pain, twitches, sought FROM visits ORDER BY n;"
    raw = read_any(pg(server, query))
    assert as_dict(raw) == CELLS
    assert raw.kind == "postgresql"
    assert raw.address(2, 3) == "row 2, column pain"
    assert raw.sha256 == read_any(pg(server, query)).sha256


def test_many_rows_come_in_portions(server: postgres_server.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources_tables, "_FETCHED", 1000)
    raw = read_any(pg(server, "SELECT i AS patient, i % 7 AS pain FROM generate_series(1, 5500) AS i"))
    assert list(raw.cells[0]) == [str(i) for i in range(1, 5501)]
    assert list(raw.cells[1]) == [str(i % 7) for i in range(1, 5501)]
    monkeypatch.setattr(opening, "MOST_ROWS", 5000)
    with pytest.raises(SourceError, match="up to 5,000 are read"):
        read_any(pg(server, "SELECT generate_series(1, 1000000000)"))


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("DROP TABLE visits", "cannot be run"),
        ("SELECT 1; DROP TABLE visits", "cannot be run. PostgreSQL says: cannot insert multiple commands"),
        ("SELECT 1; COMMIT; DROP TABLE visits", "cannot be run"),
        ("WITH gone AS (DELETE FROM visits RETURNING *) SELECT * FROM gone", "cannot be run|would write"),
        ("SELECT nextval('numbers')", "would write|cannot be run"),
        (
            "SELECT set_config('transaction_read_only', 'off', false)",
            "cannot be run|failed on the data|would",
        ),
        ("SELECT * FROM visits FOR UPDATE", "would write|cannot be run"),
        ("SELECT * INTO stolen FROM visits", "cannot be run|would write"),
        ("SELECT * FROM visit", 'PostgreSQL says: relation "visit" does not exist'),
        ("SELECT pian FROM visits", 'PostgreSQL says: column "pian" does not exist'),
        ("SELEC", "PostgreSQL says: syntax error"),
        ("SELECT patient::int FROM visits", "failed on the data .SQLSTATE 22P02.; the words are left out"),
    ],
)
def test_queries_that_the_server_refuses(server: postgres_server.Server, query: str, message: str) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        read_any(pg(server, query))
    assert "secret" not in str(caught.value)
    assert "input syntax" not in str(caught.value)
    assert read_any(pg(server, "SELECT * FROM visits")).n_rows == 4


@pytest.mark.parametrize(
    ("instead", "message"),
    [
        ({"password": "wrong"}, "did not let you in: check user and password"),
        ({"user": "nobody"}, "did not let you in"),
        ({"dbname": "nowhere"}, "has no database of that name"),
    ],
)
def test_what_goes_wrong_while_connecting(
    server: postgres_server.Server, instead: dict[str, str], message: str
) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        read_any(pg(server, "SELECT 1", **instead))
    assert not {"wrong", "secret", "nobody"} & set(str(caught.value).replace(":", " ").split())


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(SourceError, match="cannot be reached") as caught:
        read_any("postgresql://me:hidden@127.0.0.1:1/clinic?query=SELECT 1")
    assert "hidden" not in str(caught.value)


def test_no_secret_reaches_screen_report_or_manifest(
    server: postgres_server.Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], root: Path
) -> None:
    frame = pd.read_csv(root / "data/example_nothing.csv")
    columns = "patient text, visit int, pain float8, twitches int"
    with psycopg.connect(
        host="127.0.0.1", port=server.port, user=server.user, password=server.password, dbname="postgres"
    ) as connection:
        connection.execute(f"CREATE TABLE IF NOT EXISTS clinic ({columns})")  # type: ignore[arg-type]
        connection.execute("TRUNCATE clinic")
        with connection.cursor().copy("COPY clinic FROM STDIN") as copy:
            for row in frame[["patient", "visit", "pain", "twitches"]].itertuples(index=False):
                copy.write_row([None if pd.isna(value) else value for value in row])
    link = pg(server, "SELECT * FROM clinic WHERE patient <> 'hush' ORDER BY patient, visit")
    out = tmp_path / "out"
    assert main(["evaluate", link, "--replicates", "99", "--out", str(out)]) == 0
    said = "".join(capsys.readouterr())
    written = [path for path in out.rglob("*") if path.is_file()]
    texts = [said, *(path.read_bytes().decode("utf-8", "replace") for path in written)]
    for secret in ("a secret", quote(server.password, safe=""), "hush", "127.0.0.1"):
        assert not [text for text in texts[1:] if secret in text], secret
    assert "a secret" not in said
    assert "hush" not in said
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["input"]["kind"] == "postgresql"
    plain = tpr.read_visits(frame[["patient", "visit", "pain", "twitches"]])
    assert tpr.read_visits(link).table.equals(plain.table)


# --- libraries that are not there -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "library"),
    [
        ("v.parquet", "pyarrow"),
        ("duckdb:///c.db?query=SELECT 1", "duckdb"),
        ("postgresql://h/d?query=SELECT 1", "psycopg"),
    ],
)
def test_the_extra_is_named(source: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(SourceError, match=rf"needs {library}.*pip install 'tpr-outcomes\[files\]'"):
        read_any(source)


def test_problems_in_a_table_have_their_row(tmp_path: Path) -> None:
    table = pa.table({"patient": ["A", "A"], "visit": [1, 2], "pain": [7, 70], "twitches": [3, 4]})
    with pytest.raises(DataError) as caught:
        tpr.read_visits(parquet(tmp_path, table))
    assert caught.value.problems[0].address == "row 2, column pain"  # type: ignore[attr-defined]
