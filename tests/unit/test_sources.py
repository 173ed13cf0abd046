"""Readers: every cell as text, every cell with the address its owner sees."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

from tpr_outcomes.cohort.sources import FileContent, RawTable, read_source
from tpr_outcomes.errors import SourceError


def text_file(folder: Path, content: str | bytes, name: str = "visits.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows(raw: RawTable) -> list[list[str]]:
    return [list(row) for row in zip(*raw.cells, strict=True)]


def test_csv_cells_are_stripped_text_with_their_lines(tmp_path: Path) -> None:
    path = text_file(tmp_path, "patient, pain \nA, 7\n\n,\nB,6.50\n")
    raw = read_source(path)
    assert raw.header == ("patient", "pain")
    assert rows(raw) == [["A", "7"], ["B", "6.50"]]
    assert raw.rows.tolist() == [2, 5]
    assert raw.empty_rows == (4,)  # line 3 has no cells at all and is no row
    assert raw.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert raw.address(5, 1) == "line 5, column pain"
    assert raw.address(5) == "line 5"
    assert raw.address(column=1) == "column pain"
    assert raw.address() == "file"


def test_a_file_held_in_memory_reads_as_from_disk(tmp_path: Path) -> None:
    path = text_file(tmp_path, "patient,pain\nA,7\n")
    held = read_source(FileContent("our visits.CSV", path.read_bytes()))
    assert (rows(held), held.sha256) == (rows(read_source(path)), read_source(path).sha256)
    with pytest.raises(SourceError, match=r"ends in \.docx; files read here end in"):
        read_source(FileContent("visits.docx", b"PK"))


def test_lines_are_counted_through_cells_of_several_lines(tmp_path: Path) -> None:
    raw = read_source(text_file(tmp_path, 'patient,pain\nA,"7\n8"\nB,6\n'))
    assert raw.rows.tolist() == [2, 4]


@pytest.mark.parametrize(("delimiter", "comma"), [(",", False), (";", True), ("\t", False)])
def test_delimiter_is_found_in_the_header(tmp_path: Path, delimiter: str, comma: bool) -> None:
    content = f'patient{delimiter}"a, b; c"{delimiter}pain\nA{delimiter}x{delimiter}7\n'
    raw = read_source(text_file(tmp_path, content, "visits.txt"))
    assert raw.header == ("patient", "a, b; c", "pain")
    assert raw.decimal_comma is comma


def test_the_separator_line_of_spreadsheet_programs_is_taken_off(tmp_path: Path) -> None:
    raw = read_source(text_file(tmp_path, "sep=;\r\npatient;pain\r\nA;7,5\r\n"))
    assert raw.header == ("patient", "pain")
    assert raw.address(int(raw.rows[0])) == "line 3"


@pytest.mark.parametrize(
    ("encoding", "read_as", "guessed"),
    [
        ("utf-8", "utf-8-sig", False),
        ("utf-8-sig", "utf-8-sig", False),
        ("utf-16", "utf-16", False),
        ("latin-1", "cp1252", True),
    ],
)
def test_encodings(tmp_path: Path, encoding: str, read_as: str, guessed: bool) -> None:
    raw = read_source(text_file(tmp_path, "patient,région\nA,nuque\n".encode(encoding)))
    assert raw.header == ("patient", "région")
    assert (raw.encoding, raw.guessed) == (read_as, guessed)


def test_bytes_windows_does_not_know_are_read_as_latin_1(tmp_path: Path) -> None:
    raw = read_source(text_file(tmp_path, b"patient,pain\n\x81,7\n"))
    assert (raw.encoding, raw.guessed) == ("latin-1", True)


def test_short_rows_are_filled_and_long_rows_reported(tmp_path: Path) -> None:
    raw = read_source(text_file(tmp_path, "patient,pain,twitches\nA\nB,6,1,,\nC,5,2,1\n"))
    assert rows(raw) == [["A", "", ""], ["B", "6", "1"], ["C", "5", "2"]]
    assert raw.overlong_rows == (4,)


@pytest.mark.parametrize("content", ["", "\n\n", " , ,\n"])
def test_nothing_in_the_file(tmp_path: Path, content: str) -> None:
    raw = read_source(text_file(tmp_path, content))
    assert (raw.header, raw.n_rows) == ((), 0)


def workbook(folder: Path, **sheets: list[list[object]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, table in sheets.items():
        sheet = book.create_sheet(name)
        for row in table:
            sheet.append(row)
    path = folder / "clinic.xlsx"
    book.save(path)
    return path


def test_excel_cells_keep_their_letters_and_become_plain_text(tmp_path: Path) -> None:
    path = workbook(
        tmp_path,
        Visits=[
            [],
            [None, "patient", "date", "pain", "sought"],
            [None, 12, dt.date(2024, 3, 5), 7, True],
            [],
            [None, "B", dt.datetime.fromisoformat("2024-03-05T09:30"), 6.5, "no"],
        ],
    )
    raw = read_source(path)
    assert raw.header == ("", "patient", "date", "pain", "sought")
    assert rows(raw) == [["", "12", "2024-03-05", "7", "true"], ["", "B", "2024-03-05", "6.5", "no"]]
    assert raw.empty_rows == (4,)
    assert raw.address(5, 3) == "sheet Visits, cell D5"
    assert raw.address(5) == "sheet Visits, row 5"
    assert raw.address(column=3) == "sheet Visits, cell D2"
    assert raw.address() == "sheet Visits"


def test_letters_go_on_after_z(tmp_path: Path) -> None:
    raw = read_source(workbook(tmp_path, Visits=[[f"c{i}" for i in range(703)], [1] * 703]))
    cells = [raw.address(2, column) for column in (0, 25, 26, 51, 52, 701, 702)]
    assert [cell.removeprefix("sheet Visits, cell ") for cell in cells] == [
        "A2", "Z2", "AA2", "AZ2", "BA2", "ZZ2", "AAA2",
    ]  # fmt: skip


def test_the_sheet_called_visits_is_read_else_the_first(tmp_path: Path) -> None:
    table: list[list[object]] = [["patient"], ["A"]]
    first = read_source(workbook(tmp_path, Notes=[["x"], ["y"]], visits=table))
    assert (first.sheet, first.other_sheets) == ("visits", 0)
    path = workbook(tmp_path, Januar=table, Februar=table)
    assert (read_source(path).sheet, read_source(path).other_sheets) == ("Januar", 1)
    assert (read_source(path, sheet="Februar").sheet, read_source(path, sheet="Februar").other_sheets) == (
        "Februar",
        0,
    )
    with pytest.raises(
        SourceError, match=r"no sheet called 'Februr'; it has 2 sheets. Did you mean 'Februar'\?"
    ):
        read_source(path, sheet="Februr")


def test_cells_beyond_the_header_of_a_sheet_are_columns_without_names(tmp_path: Path) -> None:
    raw = read_source(workbook(tmp_path, Visits=[["patient"], ["A", "remark"]]))
    assert raw.header == ("patient", "")
    assert raw.overlong_rows == ()


def test_frames_are_read_by_position(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "patient": [1, 2, 3],
            "pain": [7.0, np.nan, 6.25],
            "date": pd.to_datetime(["2024-03-05", None, "2024-03-07"]),
            "word": ["a", None, pd.NA],
            "flag": [True, False, True],
            "count": pd.array([1, pd.NA, 3], dtype="Int64"),
        },
        index=["x", "y", "z"],
    )
    raw = read_source(frame)
    assert rows(raw) == [
        ["1", "7", "2024-03-05", "a", "true", "1"],
        ["2", "", "", "", "false", ""],
        ["3", "6.25", "2024-03-07", "", "true", "3"],
    ]
    assert raw.address(3, 1) == "row 3, column pain"
    assert raw.address() == "table"
    assert raw.sha256 == ""


def test_a_frame_without_rows() -> None:
    raw = read_source(pd.DataFrame({"patient": [], "pain": []}))
    assert (raw.header, raw.n_rows) == (("patient", "pain"), 0)


def test_source_errors_say_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "visits.csv").write_text("patient,pain\n")
    cases = {
        tmp_path / "visist.csv": r"There is no file .*visist.csv \(there is visits.csv\); check the path",
        tmp_path / "elsewhere" / "x.csv": r"There is no file .*x.csv; check the path",
        tmp_path: "is a folder; name the file inside it",
        text_file(tmp_path, "x", "visits.docx"): r"ends in .docx; files read here end in .csv, .tsv",
        text_file(tmp_path, "x", "visits"): "ends in nothing",
        text_file(tmp_path, b"PK\x03\x04...", "a.csv"): "rename it to end in .xlsx",
        text_file(tmp_path, b"a,b\n\0\0", "b.csv"): "not text",
        text_file(tmp_path, b"\xff\xfea", "c.csv"): "cut off",
        text_file(
            tmp_path, 'a,b\n1,2\n3,"4\n5,6\n', "d.csv"
        ): "starts on line 3 cannot be split .* quotation mark",
        text_file(tmp_path, "not a workbook", "e.xlsx"): "cannot be opened: it may be damaged, protected",
        text_file(tmp_path, "", "f.xlsx"): "cannot be opened",
    }
    for path, message in cases.items():
        with pytest.raises(SourceError, match=message):
            read_source(path)
    with pytest.raises(SourceError, match="leave the sheet out"):
        read_source(tmp_path / "visits.csv", sheet="Visits")
