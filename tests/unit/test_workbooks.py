"""Hostile workbooks: refused before they are laid out, whatever they say of themselves."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from tpr_outcomes.cli import main
from tpr_outcomes.cohort import workbooks
from tpr_outcomes.cohort.sources import FileContent, read_source
from tpr_outcomes.cohort.visits import check_visits
from tpr_outcomes.cohort.workbooks import require_modest, with_errors_as_text
from tpr_outcomes.errors import SourceError

FAR = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
ODS = (
    '<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body><office:spreadsheet>'
    '<table:table table:name="Visits">{rows}</table:table>'
    "</office:spreadsheet></office:body></office:document-content>"
)
MANIFEST = (
    '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
    '<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/>'
    "</manifest:manifest>"
)
ODS_CELL = '<table:table-cell {repeat} office:value-type="string"><text:p>{text}</text:p></table:table-cell>'


def xlsx(edit: Callable[[bytes], bytes] = lambda sheet: sheet, **extra: bytes) -> bytes:
    book = openpyxl.Workbook()
    book.active.title = "Visits"
    for row in (["patient", "visit", "pain", "twitches"], ["A", 1, 7, 3], ["A", 2, 6, 4]):
        book.active.append(row)
    plain, changed = io.BytesIO(), io.BytesIO()
    book.save(plain)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, edit(content) if name == "xl/worksheets/sheet1.xml" else content)
        for name, content in extra.items():
            new.writestr(name, content)
    return changed.getvalue()


def ods(rows: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        new.writestr("META-INF/manifest.xml", MANIFEST)
        new.writestr("content.xml", ODS.format(rows=rows))
    return file.getvalue()


def refused(content: bytes, name: str = "clinic.xlsx") -> str:
    with pytest.raises(SourceError) as caught:
        read_source(FileContent(name, content))
    return str(caught.value)


@pytest.mark.parametrize(
    "edit",
    [
        lambda sheet: sheet.replace(b"</sheetData>", FAR),
        lambda sheet: sheet.replace(b'r="D3"', b'r="XFD1048576"'),
        lambda sheet: sheet.replace(b'r="D3"', b'r="D999999999"'),
        lambda sheet: sheet.replace(b"</sheetData>", b'<row r="20000001"/></sheetData>'),
        lambda sheet: sheet.replace(b"</sheetData>", b"<row/>" * 6_000_000 + b"</sheetData>"),
    ],
)
def test_a_cell_far_out_is_refused(edit: Callable[[bytes], bytes]) -> None:
    assert "reaches over more than 20,000,000 cells" in refused(xlsx(edit))


def test_an_ordinary_workbook_is_read() -> None:
    assert read_source(FileContent("clinic.xlsx", xlsx())).n_rows == 2
    wrong = xlsx(lambda sheet: sheet.replace(b'ref="A1:D3"', b'ref="A1:XFD1048576"'))
    assert (
        read_source(FileContent("clinic.xlsx", wrong)).n_rows == 2
    )  # what it says of its size is not believed


def test_a_zip_bomb_is_refused_without_unpacking_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbooks, "MOST_UNPACKED", 8 << 20)
    bomb = xlsx(**{"xl/media/image1.png": b"\0" * (9 << 20)})
    assert len(bomb) < 100_000
    assert "unpacks to more than 8 MB" in refused(bomb)


def test_an_archive_that_lies_about_its_size_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbooks, "MOST_UNPACKED", 8 << 20)
    size = 9 << 20
    bomb = xlsx(**{"xl/media/image1.png": b"\0" * size})
    small = bomb.replace(struct.pack("<I", size), struct.pack("<I", 10))
    assert small != bomb
    assert "unpacks to more than 8 MB" in refused(small)


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04",
        b"PK\x03\x04" + b"x" * 200,
        xlsx()[:-40],
        xlsx()[: len(xlsx()) // 2],
        b"",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600,
    ],
)
def test_damaged_workbooks_are_refused_in_a_sentence(content: bytes) -> None:
    assert "cannot be opened" in refused(content)
    if content:
        assert "cannot be opened" in refused(content, "clinic.xls")


def test_a_part_that_is_there_twice_is_refused() -> None:
    file = io.BytesIO(xlsx())
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(file, "a") as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"<worksheet/>")
    assert "cannot be opened" in refused(file.getvalue())


def test_parts_with_paths_of_their_own_are_never_written(tmp_path: Path) -> None:
    path = tmp_path / "inside" / "clinic.xlsx"
    path.parent.mkdir()
    path.write_bytes(xlsx(**{"../../escaped.xml": b"x", "/escaped.xml": b"x"}))
    assert main(["check", str(path)]) == 0
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["clinic.xlsx", "inside"]


def test_repeated_cells_of_an_open_document() -> None:
    head = "".join(ODS_CELL.format(repeat="", text=t) for t in ("patient", "visit", "pain", "twitches"))
    blank = (
        '<table:table-row table:number-rows-repeated="1048570">'
        '<table:table-cell table:number-columns-repeated="16384"/></table:table-row>'
    )
    row = f"<table:table-row>{head}</table:table-row>"
    require_modest(ods(row + blank))  # as office programs write every sheet
    assert read_source(FileContent("clinic.ods", ods(row + blank))).header[:2] == ("patient", "visit")
    wide = ODS_CELL.format(repeat='table:number-columns-repeated="16384"', text="1")
    full = f'<table:table-row table:number-rows-repeated="1048570">{wide}</table:table-row>'
    assert "reaches over more than" in refused(ods(row + full), "clinic.ods")


def record(kind: int, content: bytes) -> bytes:
    return bytes([kind, len(content)]) + content


@pytest.mark.parametrize(
    ("row", "column", "modest"), [(10, 5, True), (1_048_575, 5, True), (1_048_575, 16_383, False)]
)
def test_sheets_in_binary_workbooks(row: int, column: int, modest: bool) -> None:
    sheet = record(0, struct.pack("<I", row) + b"\0" * 12) + record(5, struct.pack("<I", column) + b"\0" * 12)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("xl/worksheets/sheet1.bin", sheet)
    if modest:
        require_modest(file.getvalue())
        return
    with pytest.raises(SourceError, match="reaches over more than"):
        require_modest(file.getvalue())


def test_a_formula_that_failed_is_not_taken_for_blank(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (("patient", "visit", "pain", "twitches"), ("a", 1, 5, 3), ("a", 2, 4, 2)):
        sheet.append(row)
    sheet["C3"].value, sheet["C3"].data_type = "#REF!", "e"
    path = tmp_path / "clinic.xlsx"
    book.save(path)
    (problem,) = check_visits(path).errors
    assert problem.column == "pain"
    assert "C3" in problem.address


def test_a_workbook_without_failed_formulas_is_left_as_it_is() -> None:
    book = openpyxl.Workbook()
    made = io.BytesIO()
    book.save(made)
    assert with_errors_as_text(made.getvalue()) == made.getvalue()
    assert with_errors_as_text(b"no archive") == b"no archive"
