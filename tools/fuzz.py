"""Corrupted files by the thousand: none may end in a traceback, hang, or give a number not in the file.

    PYTHONPATH=src python tools/fuzz.py --files 12000 --seed 20261125 --out docs/hostile-input.csv

What is done to a file: bytes flipped, cut, repeated or moved; single cells replaced by what people and
attackers write; rows, separators and quotation marks broken. Every file is read as `tpr check` and `tpr
evaluate` read it. What comes out is compared with the file read by somebody else: the csv module, openpyxl or
pyarrow for the cells, decimal for the numbers.

A changed number is one that the record holds and the cell does not: it has to be equal to what the cell says,
or blank where the cell is blank, or spoken of in a problem, warning or note of that row.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import decimal
import gzip
import io
import os
import pickle
import platform
import random
import re
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tpr_outcomes.cohort.cells import Record
from tpr_outcomes.cohort.checking import CheckReport, check_source
from tpr_outcomes.cohort.columns import Columns
from tpr_outcomes.cohort.raw import RawTable
from tpr_outcomes.cohort.typed_values import BLANK, NOT_SOUGHT
from tpr_outcomes.cohort.visits import build_visits
from tpr_outcomes.errors import TprError

ROOT = Path(__file__).resolve().parent.parent
MOST_SECONDS = 10.0
"""Processor time after which a file counts as a hang; the machine may be busy, so the clock is not asked."""
WALL_SECONDS = 300
BATCH = 200
NAME = "zaphod"
"""Part of every patient's identifier: no message may repeat it."""
COMPARED = ("visit", "pain", "twitches")

ODD_CELLS = (
    "", " ", "NA", "n/a", "-", "?", "0", "-1", "+7", "7.", ".5", "7,5", "7/10", "7-8", "1e1",
    "1E+3", "1e309", "-1e309", "1e30", "99999999999999999999", "9223372036854775808", "0x10",
    "1_000", "1,000", "1.000,5", "１２", "٣", "½", "²", "∞", "inf", "nan", "NaN", "-0", "00",
    "007", "true", "TRUE", "yes", "not sought", "=1+1", "=cmd|'/C calc'!A0", "@SUM(1)", "+1-1",
    "-2+3", "\t7", "7\u00a0", "\u200b7", "７", "7 7", "7\n8", "7\r\n8", "\x00", "\x1b[31m7",
    "\u202e7", "<script>alert(1)</script>", '"', '""', "'", "\\", ";", ",", "\t", "#REF!",
    "#DIV/0!", "2024-02-30", "05/03/2024", "13/13/2024", "1900-01-00", "45000", "60",
    "x" * 5000, "\ufeff7", "é", "🩹", "Infinity", "1e-400", "4.9e-324", "7.0000000000000001",
    "0.1", "10.000000001", "1/2", "10/10", "11/10", "7 of 10", "7 out of 10", "seven",
    "../../etc/passwd", "%s", "{0}", "NULL", "None", "<NA>", "NaT",
)  # fmt: skip


# --- files to spoil ---------------------------------------------------------------------------------


def clinic(rng: random.Random, patients: int = 6) -> list[list[str]]:
    """A small clinic as rows of text, header first; no two files hold the same numbers."""
    rows = [["patient", "visit", "date", "pain", "twitches", "sought", "therapist", "age"]]
    for p in range(patients):
        day = dt.date(2024, 1, 1) + dt.timedelta(days=rng.randrange(300))
        for visit in range(1, rng.randrange(3, 7)):
            day += dt.timedelta(days=rng.randrange(3, 15))
            pain = rng.choice([f"{rng.randrange(11)}", f"{rng.randrange(20) / 2:g}", ""])
            count = rng.choice(["", *map(str, range(12))])
            sought = rng.choice(["yes", "no"] if count in ("", "0") else ["yes"])
            rows.append(
                [f"{NAME}-{p:02d}", str(visit), day.isoformat(), pain, count, sought, "T1", str(30 + p)]
            )
    return rows


def example(rng: random.Random) -> list[list[str]]:
    """Some patients of one of the shipped clinics."""
    path = ROOT / "data" / rng.choice(["example_threshold.csv", "example_nothing.csv"])
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    start = rng.randrange(1, len(rows) - 40)
    return [rows[0], *([f"{NAME}-{row[0]}", *row[1:]] for row in rows[start : start + 30])]


def wide(rng: random.Random) -> list[list[str]]:
    """One row per patient, visits side by side."""
    rows = [["patient", *(f"{name}_v{v}" for v in (1, 2, 3) for name in ("pain", "twitches"))]]
    for p in range(8):
        cells = [str(rng.randrange(11)) for _ in range(6)]
        rows.append([f"{NAME}-{p:02d}", *cells])
    return rows


def as_text(
    rows: list[list[str]], *, delimiter: str = ",", quoting: int = csv.QUOTE_MINIMAL, end: str = "\n"
) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=end).writerows(rows)  # type: ignore[arg-type]
    return text.getvalue()


def comma_decimals(rows: list[list[str]]) -> list[list[str]]:
    return [rows[0], *([cell.replace(".", ",") for cell in row] for row in rows[1:])]


def typed(cell: str) -> Any:
    """A cell as a spreadsheet would hold it."""
    try:
        return int(cell) if cell.isascii() and cell.isdigit() and len(cell) < 15 else float(cell)
    except ValueError:
        pass
    try:
        return dt.date.fromisoformat(cell)
    except ValueError:
        return cell or None


def as_xlsx(rows: list[list[str]]) -> bytes:
    book = openpyxl.Workbook()
    book.active.title = "Visits"
    for row in rows:
        safe = [openpyxl.cell.cell.ILLEGAL_CHARACTERS_RE.sub("", cell) for cell in row]
        book.active.append([_sheet_value(cell) for cell in safe])
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def _sheet_value(cell: str) -> Any:
    value = typed(cell)
    return cell if isinstance(value, float) and not np.isfinite(value) else value


def as_parquet(rows: list[list[str]]) -> bytes:
    width = len(rows[0])
    columns = {}
    for i, name in enumerate(rows[0]):
        cells = [row[i] if i < len(row) else "" for row in rows[1:]]
        values = [typed(cell) for cell in cells]
        numbers = all(value is None or isinstance(value, int | float) for value in values)
        columns[f"{name}" if list(rows[0]).index(name) == i else f"{name}.{i}"] = (
            pa.array([None if value is None else float(value) for value in values], pa.float64())
            if numbers and width
            else pa.array(cells, pa.string())
        )
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, compression=["NONE", "SNAPPY"][len(rows) % 2])
    return file.getvalue()


WRITERS: dict[str, tuple[str, Callable[[list[list[str]]], bytes]]] = {
    "csv": (".csv", lambda rows: as_text(rows).encode()),
    "csv, quoted, CRLF": (
        ".csv",
        lambda rows: as_text(rows, quoting=csv.QUOTE_ALL, end="\r\n").encode("utf-8-sig"),
    ),
    "csv, semicolons, Latin-1": (
        ".csv",
        lambda rows: as_text(comma_decimals(rows), delimiter=";").encode("latin-1", "replace"),
    ),
    "tsv, UTF-16": (".tsv", lambda rows: as_text(rows, delimiter="\t").encode("utf-16")),
    "csv.gz": (".csv.gz", lambda rows: gzip.compress(as_text(rows).encode(), mtime=0)),
    "xlsx": (".xlsx", as_xlsx),
    "parquet": (".parquet", as_parquet),
}


# --- ways to spoil them -----------------------------------------------------------------------------


def spoil_bytes(rng: random.Random, content: bytes) -> bytes:
    """One to eight changes of single bytes or stretches, or the file cut off."""
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 4, 8])):
        if not data:
            break
        at = rng.randrange(len(data))
        length = min(rng.choice([1, 2, 8, 64, 512]), len(data) - at)
        way = rng.randrange(7)
        if way == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif way == 1:
            data[at : at + length] = rng.randbytes(length)
        elif way == 2:
            del data[at : at + length]
        elif way == 3:
            data[at:at] = data[at : at + length] * rng.choice([1, 2, 50])
        elif way == 4:
            del data[at:]
        elif way == 5:
            data[at:at] = bytes([rng.choice(b'\0\n\r",;\t=<\xff\xfe')]) * rng.choice([1, 3, 1000])
        else:
            other = rng.randrange(len(data))
            data[at : at + length] = data[other : other + length]
    return bytes(data)


def spoil_cells(rng: random.Random, rows: list[list[str]]) -> list[list[str]]:
    """One to three cells replaced by something odd."""
    rows = [list(row) for row in rows]
    for _ in range(rng.randrange(1, 4)):
        row = rng.choice(rows[1:] if rng.random() < 0.9 else rows)
        row[rng.randrange(len(row))] = rng.choice(ODD_CELLS)
    return rows


def spoil_rows(rng: random.Random, rows: list[list[str]]) -> list[list[str]]:
    """Rows and columns lost, doubled, shortened, lengthened, moved or emptied."""
    rows = [list(row) for row in rows]
    for _ in range(rng.randrange(1, 4)):
        i = rng.randrange(len(rows))
        way = rng.randrange(9)
        if way == 0:
            rows.insert(i, list(rows[rng.randrange(len(rows))]))
        elif way == 1 and len(rows) > 2:
            del rows[i]
        elif way == 2:
            rows[i] = rows[i][: rng.randrange(len(rows[i]) + 1)]
        elif way == 3:
            rows[i] = [*rows[i], rng.choice(ODD_CELLS)]
        elif way == 4:
            rows.insert(i, [""] * len(rows[0]))
        elif way == 5:
            rng.shuffle(rows[i])
        elif way == 6:
            column = rng.randrange(max(len(rows[0]), 1))
            rows = [[*row[:column], *row[column + 1 :]] for row in rows]
        elif way == 7:
            rows.insert(0, [rng.choice(["Pain clinic", "", "2024", "pain"])])
        else:
            rng.shuffle(rows)
        rows = [row or [""] for row in rows]
    return rows


def spoil_marks(rng: random.Random, content: bytes) -> bytes:
    """Separators, quotation marks and line ends in the wrong places."""
    marks = (
        b'"',
        b",",
        b";",
        b"\t",
        b"\n",
        b"\r",
        b"\r\n",
        b'""',
        b"\n\n",
        b'","',
        b"sep=;\n",
        b"\xef\xbb\xbf",
    )
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(len(content) + 1)
        content = content[:at] + rng.choice(marks) + content[at + rng.choice([0, 0, 1]) :]
    return content


def made_file(seed: int) -> tuple[str, str, str, bytes]:
    """Return format, way of spoiling, ending and content of the file of this number."""
    rng = random.Random(seed)
    rows = rng.choice([clinic, clinic, example, wide])(rng)
    form = rng.choice([*WRITERS, "csv", "xlsx", "parquet"])
    ending, write = WRITERS[form]
    packed = form in ("csv.gz", "xlsx", "parquet")
    ways = ["bytes", "cells", "cells", "rows"] if packed else ["bytes", "cells", "rows", "marks"]
    way = rng.choice(ways)
    if way == "cells":
        return form, way, ending, write(spoil_cells(rng, rows))
    if way == "rows":
        rows = spoil_rows(rng, rows)
        if form == "parquet":
            rows = [row[: len(rows[0])] for row in rows]
        return form, way, ending, write(rows)
    content = write(rows)
    return form, way, ending, spoil_marks(rng, content) if way == "marks" else spoil_bytes(rng, content)


# --- somebody else's reading ------------------------------------------------------------------------


def plain_number(text: str, *, comma: bool) -> decimal.Decimal | None:
    """What a cell says if it is a plain number, by the decimal module."""
    text = text.strip()
    if comma and text.count(",") == 1 and "." not in text:
        text = text.replace(",", ".")
    try:
        number = decimal.Decimal(text)
    except decimal.InvalidOperation:
        return None
    return number if number.is_finite() and "_" not in text else None


def same(number: float, said: decimal.Decimal) -> bool:
    """Tell whether a float is the one nearest to a decimal number."""
    return np.isfinite(number) and number == float(said) and np.isfinite(float(said))


def changed_numbers(record: Record, report: CheckReport) -> list[str]:
    """Numbers of the record that its own cells do not say and nothing speaks of."""
    spoken = {problem.row for problem in report.problems if problem.row}
    reshaped = bool(record.raw.origin)
    anything = reshaped and any(p.rule in ("number_as_typed", "range_as_typed") for p in report.problems)
    found = []
    for name in COMPARED:
        if name not in record.numbers or (reshaped and name == "visit"):
            continue
        for i, (text, number) in enumerate(zip(record.text[name], record.numbers[name], strict=True)):
            nothing = text.casefold() in BLANK or (name == "twitches" and text.casefold() in NOT_SOUGHT)
            said = plain_number(text, comma=record.raw.decimal_comma)
            fine = np.isnan(number) if nothing else said is not None and same(number, said)
            if not fine and int(record.raw.rows[i]) not in spoken and not anything:
                found.append(f"{name}: cell of {len(text)} characters read as {number!r}")
    return found


def other_cells(raw: RawTable, path: Path) -> list[dict[tuple[int, int], Any]]:
    """The cells of a file by (row, column), as other readers see them; several where they may differ."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    if raw.kind == "excel":
        book = openpyxl.load_workbook(io.BytesIO(content), data_only=True)
        sheet = book[raw.sheet]
        return [
            {(c.row, c.column - 1): c.value for row in sheet.iter_rows() for c in row if c.value is not None}
        ]
    if raw.kind == "parquet":
        table = pq.read_table(io.BytesIO(content))
        return [
            {(i + 1, j): v.decode() if isinstance(v, bytes) else v
             for j, name in enumerate(table.column_names)
             for i, v in enumerate(table.column(j).to_pylist()) if v is not None and name is not None}
        ]  # fmt: skip
    text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else raw.encoding)
    found = []
    for delimiter in ",;\t":
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        cells: dict[tuple[int, int], Any] = {}
        start = 0
        for row in reader:
            cells |= {(start + 1, j): cell for j, cell in enumerate(row)}
            start = reader.line_num
        found.append(cells)
    return found


def equal_cell(ours: str, theirs: Any) -> bool:
    """Tell whether two readers found the same in a cell."""
    if theirs is None:
        return ours == ""
    if isinstance(theirs, bool):
        return ours == str(theirs).lower()
    if isinstance(theirs, int | float):
        if isinstance(theirs, float) and np.isnan(theirs):
            return ours == ""
        said = plain_number(ours, comma=False)
        return said is not None and float(said) == float(theirs)
    if isinstance(theirs, dt.datetime | dt.date):
        return ours == theirs.isoformat()[:10]
    return ours == str(theirs).strip() or ours == re.sub(r"\r\n?", "\n", str(theirs)).strip()


def changed_cells(raw: RawTable, path: Path) -> tuple[int, list[str]]:
    """Return how many cells were compared with another reader, and where the two differ."""
    tables = raw.tables or (raw,)
    fewest: list[str] | None = None
    compared = 0
    for theirs in other_cells(raw, path):
        differ = []
        compared = 0
        for table in tables:
            for j, column in enumerate(table.cells):
                for row, ours in zip(table.rows, column, strict=True):
                    compared += 1
                    if not equal_cell(ours, theirs.get((int(row), j))):
                        differ.append(f"row {row}, column {j}")
        if fewest is None or len(differ) < len(fewest):
            fewest = differ
    return compared, fewest or []


def lost_visits(record: Record, report: CheckReport) -> list[str]:
    """Visits whose numbers are not those of the record they were built from."""
    visits = build_visits(record, rated="before", problems=report.problems)
    if visits.n_visits != record.raw.n_rows:
        return [f"{record.raw.n_rows} rows became {visits.n_visits} visits"]
    wanted = np.where(record.not_sought, 0.0, record.numbers["twitches"])
    for name, values in (("pain", record.numbers["pain"]), ("twitches", wanted)):
        if not np.array_equal(np.sort(values), np.sort(visits.table[name].to_numpy()), equal_nan=True):
            return [f"{name} differs between the record and the visits"]
    if not np.isfinite(visits.table["visit"]).all() or (visits.table["visit"] < 1).any():
        return ["a visit number that is none"]
    return []


# --- one file ---------------------------------------------------------------------------------------


@dataclass
class Seen:
    """What became of one file."""

    number: int
    form: str
    way: str
    became: str  # refused, mend, noted, read
    compared: int = 0
    failure: str = ""
    seconds: float = 0.0


class Hang(BaseException):
    """A file took too long."""


def _ring(*_: object) -> None:
    raise Hang


def look_at(path: Path, seen: Seen) -> Seen:
    """Read one file as the commands do, and compare."""
    began = time.process_time()
    said: list[str] = []
    try:
        signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            report, record = check_source(path, columns=Columns({}), scale="nrs", rated="before", sheet=None)
            said = [f"{p.address} {p.column} {p.message} {p.remedy} {p.seen}" for p in report.problems]
            noted = "noted" if report.problems else "read"
            seen.became = "mend" if report.errors else noted
            if not report.errors:
                lost = lost_visits(record, report)
        signal.setitimer(signal.ITIMER_PROF, 0)
        if seen.became != "mend":
            seen.failure = _compare(path, record, report, lost, seen)
    except TprError as error:
        seen.became, said = "refused", [str(error), *(str(p) for p in getattr(error, "problems", ()))]
        if not str(error).strip():
            seen.failure = "empty message"
    except Hang:
        seen.became, seen.failure = "failed", "hang"
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        seen.became = "failed"
        seen.failure = f"traceback: {type(error).__name__} at {Path(where.filename).name}:{where.lineno}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    if not seen.failure and any(NAME in text.replace(str(path), "").lower() for text in said):
        seen.failure = "identifier repeated"
    seen.seconds = time.process_time() - began
    return seen


def _compare(path: Path, record: Record, report: CheckReport, lost: list[str], seen: Seen) -> str:
    changed = changed_numbers(record, report) or lost
    if changed:
        return f"changed number: {changed[0]}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            seen.compared, differ = changed_cells(record.raw, path)
    except Exception:  # the other reader cannot read it at all: nothing to compare with
        seen.compared = 0
        return ""
    return f"changed cell: {differ[0]} of {len(differ)}" if differ else ""


def files(numbers: Sequence[int], seed: int, folder: Path) -> Iterator[Seen]:
    """Make and read the files of these numbers."""
    signal.signal(signal.SIGPROF, _ring)
    for number in numbers:
        form, way, ending, content = made_file(seed * 1_000_003 + number)
        path = folder / f"f{ending}"
        path.write_bytes(content)
        yield look_at(path, Seen(number, form, way, "failed"))


def in_a_child(numbers: Sequence[int], seed: int) -> list[Seen]:
    """Read a batch in a process of its own, so that one that dies is seen and costs nothing else."""
    with tempfile.TemporaryDirectory(prefix="tpr-fuzz-") as name, tempfile.TemporaryFile() as told:
        child = os.fork()
        if child == 0:
            try:
                signal.alarm(WALL_SECONDS + 5 * len(numbers))
                with Path(name, "stderr").open("w", encoding="utf-8") as noise:
                    os.dup2(noise.fileno(), 2)
                    for seen in files(numbers, seed, Path(name)):
                        pickle.dump(seen, told)
                        told.flush()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        told.seek(0)
        result = []
        while True:
            try:
                result.append(pickle.load(told))
            except EOFError:
                break
        complaints = Path(name, "stderr").read_text(encoding="utf-8", errors="replace")
    if len(result) < len(numbers):
        rest = list(numbers[len(result) :])
        form, way, _, _ = made_file(seed * 1_000_003 + rest[0])
        result.append(Seen(rest[0], form, way, "failed", failure="the process died"))
        result += in_a_child(rest[1:], seed) if rest[1:] else []
    if "panicked" in complaints:
        print(f"(a library complained on standard error: {complaints[:300]!r})", file=sys.stderr)
    return result


# --- all of them ------------------------------------------------------------------------------------


def summary(seen: Sequence[Seen]) -> pd.DataFrame:
    """One row per format and way of spoiling, and one for all."""
    frame = pd.DataFrame([vars(s) for s in seen])
    frame["failures"] = frame["failure"] != ""
    rows = []
    groups = [((form, way), group) for (form, way), group in frame.groupby(["form", "way"])]
    for (form, way), group in [*groups, (("all", "all"), frame)]:
        became = Counter(group["became"])
        rows.append(
            {
                "format": form,
                "spoilt": way,
                "files": len(group),
                "refused": became["refused"],
                "to be mended": became["mend"],
                "read with notes": became["noted"],
                "read": became["read"],
                "cells compared": int(group["compared"].sum()),
                "tracebacks": int(group["failure"].str.startswith("traceback").sum()),
                "hangs or deaths": int(group["failure"].isin(["hang", "the process died"]).sum()),
                "changed numbers": int(group["failure"].str.startswith("changed").sum()),
                "identifiers repeated": int((group["failure"] == "identifier repeated").sum()),
                "slowest, s": round(float(group["seconds"].max()), 1),
            }
        )
    return pd.DataFrame(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=12_000)
    parser.add_argument("--seed", type=int, default=20261125)
    parser.add_argument("--only", type=int, nargs="*", help="numbers of single files to look at again")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    numbers = given.only or list(range(given.files))
    seen: list[Seen] = []
    for start in range(0, len(numbers), BATCH):
        seen += in_a_child(numbers[start : start + BATCH], given.seed)
        bad = [s for s in seen if s.failure]
        print(f"{len(seen)} files, {len(bad)} failures", file=sys.stderr, flush=True)
    for s in seen:
        if s.failure:
            print(f"{s.number}\t{s.form}\t{s.way}\t{s.failure}")
    table = summary(seen)
    print(table.to_string(index=False))
    if given.out:
        libraries = " ".join(
            f"{n}-{version(n)}" for n in ("pandas", "numpy", "python-calamine", "pyarrow", "openpyxl")
        )
        command = f"python tools/fuzz.py --files {given.files} --seed {given.seed}"
        head = f"# {command}; Python {platform.python_version()}; {libraries}\n"
        given.out.write_text(head + table.to_csv(index=False, lineterminator="\n"), encoding="utf-8")
    return 1 if any(s.failure for s in seen) else 0


if __name__ == "__main__":
    raise SystemExit(main())
