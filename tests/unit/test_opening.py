"""Opening files: what is refused early; the fast way of splitting gives what the careful way gives."""

from __future__ import annotations

import csv
import gzip
import io
import os
import resource
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpr_outcomes.cohort import opening, sources
from tpr_outcomes.cohort.cells import each_text
from tpr_outcomes.cohort.coded import CodedTexts, codes_of
from tpr_outcomes.cohort.sources import FileContent, RawTable, read_source
from tpr_outcomes.cohort.sources_plain import split_plain
from tpr_outcomes.errors import SourceError

CELLS = st.text(
    st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), max_size=6
) | st.sampled_from(
    ["7", "NA", " 7 ", '"', '""', "a,b", "x;y", "7\n8", "\r", "", "é", "'", "#", "\\", "\u2028"]
)


def told(raw: RawTable) -> tuple[object, ...]:
    return (
        raw.header,
        [list(column) for column in raw.cells],
        raw.rows.tolist(),
        raw.header_row,
        raw.empty_rows,
        raw.overlong_rows,
    )


def both_ways(content: bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[object, object]:
    source = FileContent("visits.csv", content)

    def read() -> object:
        try:
            return told(read_source(source))
        except SourceError as error:
            return str(error)

    fast = read()
    with monkeypatch.context() as patch:
        patch.setattr(sources, "split_plain", lambda body, delimiter: None)
        return fast, read()


@given(
    rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=6),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    end=st.sampled_from(["\n", "\r\n"]),
    delimiter=st.sampled_from([",", ";", "\t"]),
    tail=st.sampled_from(["", "\n", "A\n", "A,B,C,D,E\n", ",,\n", '"', "\n\n"]),
)
def test_the_fast_way_gives_what_the_careful_way_gives(
    rows: list[list[str]], quoting: int, end: str, delimiter: str, tail: str
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=end)  # type: ignore[arg-type]
    writer.writerow(["patient", "pain", "twitches"])
    writer.writerows(rows)
    with pytest.MonkeyPatch.context() as patch:
        fast, careful = both_ways((text.getvalue() + tail).encode(), patch)
    assert fast == careful


@pytest.mark.parametrize(
    "cells", ["007 7", "1e5 100000", "4 4.0", "True true", "0 00 -0", "1_0 10", "nan NaN"]
)
@pytest.mark.parametrize("rows", [1, 600_000])
def test_texts_stay_texts_even_where_all_look_like_numbers(cells: str, rows: int) -> None:
    words = cells.split()
    lines = [f"{words[i % len(words)]},{i % 7}" for i in range(rows + len(words))]
    raw = read_source(FileContent("v.csv", "\n".join(["patient,pain", *lines]).encode()))
    assert list(raw.cells[0][: len(words)]) == words
    assert set(raw.cells[0]) == set(words)
    assert list(raw.cells[1][:7]) == [str(i) for i in range(min(7, rows + len(words)))]


def test_a_column_whose_name_is_a_number_is_left_to_the_careful_way() -> None:
    assert split_plain(b"patient,2024\nA,007\nB,7\n", ",") is None
    assert split_plain(b"patient,pain\nA,pain\nB,7\n", ",") is not None
    assert list(read_source(FileContent("v.csv", b"patient,x\nA,x\nB,7\n")).cells[1]) == ["x", "7"]


@given(st.binary(max_size=60))
def test_any_bytes_are_split_the_same_way_or_refused_the_same_way(tail: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        fast, careful = both_ways(b"patient,pain\nA,7\n" + tail, patch)
    assert fast == careful


@pytest.mark.parametrize(
    ("content", "plain"),
    [
        (b"a,b\n1,2\n", True),
        (b"a,b\r\n1,2\r\n", True),
        (b'"a","b"\n"1","2"', True),
        (b"a,b\n1,2\n3\n", False),  # a short line
        (b"a,b\n1,2,3\n4\n", False),  # a long and a short line, as many separators as wanted in all
        (b'a,b\n"1,0",2\n', False),  # a separator inside quotation marks
        (b'a,b\n1" x,2\n', False),
        (b"a,b\r1,2\r", False),
        (b"a,\n1,2\n", False),  # a column without a name
        (b"a\n1\n", False),
    ],
)
def test_what_counts_as_plain(content: bytes, plain: bool) -> None:
    assert (split_plain(content, ",") is not None) is plain


def test_lines_are_looked_at_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    from tpr_outcomes.cohort import sources_plain

    monkeypatch.setattr(sources_plain, "_BLOCK", 16)
    monkeypatch.setattr(sources_plain, "_PIECE", 16)
    body = b"a,b\n" + b"1,22\n" * 40
    found = split_plain(body, ",")
    assert found is not None
    assert [list(column) for column in found[1]] == [["1"] * 40, ["22"] * 40]
    assert split_plain(body + b"1,2,3\n1\n", ",") is None


def test_every_different_text_is_read_once() -> None:
    raw = read_source(FileContent("v.csv", b"patient,pain\nA,7\nB,7 \nC,8\n"))
    calls: list[str] = []

    def read(text: str) -> float:
        calls.append(text)
        return float(text)

    assert each_text(raw.cells[1], read, float).tolist() == [7, 7, 8]
    assert sorted(calls) == ["7", "8"]


def test_parts_of_a_column_forget_its_codes() -> None:
    column = read_source(FileContent("v.csv", b"patient,pain\nA,7\nB,8\nC,7\n")).cells[1]
    assert isinstance(column, CodedTexts)
    codes, texts = codes_of(column[1:])
    assert texts[codes].tolist() == ["8", "7"]
    assert codes_of(np.array(["x", "y", "x"], dtype=object))[0].tolist() == [0, 1, 0]


# --- refused early ----------------------------------------------------------------------------------


def test_a_line_without_end_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "line.csv"
    with path.open("wb") as file:
        file.write(b"patient,visit,pain,twitches\nA,1,7,")
        file.truncate(1 << 30)  # a gigabyte, of which next to nothing is on the disk
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(SourceError, match="a line of more than 1 MB"):
        read_source(path)
    spent = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert spent < 64 << 10  # kilobytes


def test_long_lines_are_counted_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "LONGEST_LINE", 10)
    monkeypatch.setattr(opening, "_BLOCK", 8)
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_bytes(b"a,b\n123456,89\n1,2\r3,4\n")
    bad.write_bytes(b"a,b\n1234567,890\n")
    assert opening.read_file(good, text=True) == good.read_bytes()
    with pytest.raises(SourceError, match="a line of more than"):
        opening.read_file(bad, text=True)


def test_a_file_larger_than_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    with path.open("wb") as file:
        file.truncate(opening.MOST_BYTES + 1)
    with pytest.raises(SourceError, match="more than 2 GB"):
        read_source(path)


def test_packed_text_is_unpacked_within_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = b"patient,visit,pain,twitches\n" + b"A,1,7,3\n" * 2000
    path = tmp_path / "visits.csv.gz"
    path.write_bytes(gzip.compress(plain, mtime=0))
    assert read_source(path).n_rows == 2000
    monkeypatch.setattr(opening, "MOST_BYTES", 10_000)
    with pytest.raises(SourceError, match="the most that is read into memory"):
        read_source(path)


@pytest.mark.parametrize("damage", ["cut off", "not gzip", "overwritten"])
def test_damaged_packed_files_are_refused(tmp_path: Path, damage: str) -> None:
    good = gzip.compress(b"patient,pain\n" + bytes(range(48, 58)) * 500, mtime=0)
    path = tmp_path / "visits.csv.gz"
    path.write_bytes(
        {"cut off": good[:-20], "not gzip": b"a,b", "overwritten": good[:30] + b"x" * 40}[damage]
    )
    with pytest.raises(SourceError, match="cannot be unpacked"):
        read_source(path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe.csv"
    os.mkfifo(path)
    with pytest.raises(SourceError, match="not an ordinary file"):
        read_source(path)


def test_a_device_behind_a_link_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "zeros.csv"
    path.symlink_to("/dev/zero")
    with pytest.raises(SourceError, match="not an ordinary file"):
        read_source(path)


@pytest.mark.parametrize("name", ["a\0b.csv", "../" * 60 + "nowhere.csv", "x" * 300 + ".csv", "~/none.csv"])
def test_odd_names_are_refused_in_a_sentence(name: str) -> None:
    with pytest.raises(SourceError, match=r"There is no file|cannot be opened|not one a file can have"):
        read_source(name)
