"""tpr check: every problem with its address, listed, summarised, marked in a copy, and a map proposed."""

from __future__ import annotations

import io
import json
import tomllib
import zipfile
from pathlib import Path

import openpyxl
import pytest

from tpr_outcomes.cli import main
from tpr_outcomes.cohort.checking import CheckReport
from tpr_outcomes.cohort.columns import Columns
from tpr_outcomes.cohort.visits import check_visits, read_visits

Run = pytest.CaptureFixture[str]
HOSTILE = '=HYPERLINK("http://evil","x")'
BAD = f"""patient,visit,pain,twitches,notes
P1,1,7,3,"{HOSTILE.replace('"', '""')}"
P1,2,77,2,+cmd
P2,1,seven,1,<script>alert(1)</script>
P2,2,5,-4,
"""


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "clinic.csv"
    path.write_text(BAD, encoding="utf-8")
    return path


def bad_book(path: Path) -> Path:
    """A workbook with the visits on its second sheet, a title above the names and a formula in a cell."""
    book = openpyxl.Workbook()
    about = book.active
    about.title = "About"
    about["A1"] = "=1+1"
    sheet = book.create_sheet("Visits")
    sheet.append(["patient", "visit", "pain", "twitches", "notes"])
    sheet.append(["P1", 1, 7, 3, "'=x"])
    sheet.append(["P1", 2, 77, 2, ""])
    sheet.append(["P2", 1, "seven", 1, "fine"])
    sheet.merge_cells("G1:H2")
    book.save(path)
    return path


def annotated(source: Path, out: Path, *options: str) -> tuple[int, openpyxl.Workbook]:
    status = main(["check", str(source), "--annotate", str(out), *options])
    return status, openpyxl.load_workbook(out)


def test_problem_cells_of_a_text_file_are_coloured_and_commented(bad: Path, tmp_path: Path) -> None:
    status, book = annotated(bad, tmp_path / "out.xlsx")
    assert status == 4
    sheet = book["Visits"]
    for cell in ("C3", "C4", "D5"):  # line 3 is row 3: addresses are true in the copy
        assert sheet[cell].comment is not None
        assert sheet[cell].fill.fgColor.rgb == "FFF4B6B0"
    assert sheet["C2"].comment is None
    assert "0 to 10 is wanted" in sheet["C3"].comment.text
    listed = [row for row in book["Problems"].iter_rows(values_only=True) if row[0] in ("error", "warning")]
    assert len(listed) == len(check_visits(bad).problems)
    link = next(c for c in book["Problems"]["B"] if c.value == "line 3, column pain").hyperlink
    assert link.location == "'Visits'!C3"


def test_a_workbook_keeps_its_sheets_and_addresses(tmp_path: Path) -> None:
    source = bad_book(tmp_path / "clinic.xlsx")
    _, book = annotated(source, tmp_path / "out.xlsx")
    assert book.sheetnames == ["About", "Visits", "Problems", "Problems by rule"]
    assert book["Visits"]["C3"].comment is not None
    assert book["Visits"]["C4"].value == "seven"
    assert "G1:H2" in [str(found) for found in book["Visits"].merged_cells.ranges]
    assert book.active.title == "Problems"


def test_the_copy_runs_nothing(bad: Path, tmp_path: Path) -> None:
    _, book = annotated(bad, tmp_path / "out.xlsx")
    assert book["Visits"]["E2"].value == HOSTILE
    assert {cell.data_type for sheet in book for row in sheet.iter_rows() for cell in row} <= {"s", "n"}
    with zipfile.ZipFile(tmp_path / "out.xlsx") as archive:
        assert not any(b"<f>" in archive.read(name) for name in archive.namelist())


def test_checking_the_copy_finds_the_same_problems(bad: Path, tmp_path: Path) -> None:
    annotated(bad, tmp_path / "out.xlsx")
    again = check_visits(tmp_path / "out.xlsx")
    assert [p.rule for p in again.problems] == [p.rule for p in check_visits(bad).problems]


def test_the_same_source_gives_the_same_copy(bad: Path, tmp_path: Path) -> None:
    for name in ("one.xlsx", "two.xlsx"):
        annotated(bad, tmp_path / name)
    assert (tmp_path / "one.xlsx").read_bytes() == (tmp_path / "two.xlsx").read_bytes()


def test_only_an_earlier_copy_is_written_over(bad: Path, tmp_path: Path, capsys: Run) -> None:
    out = tmp_path / "out.xlsx"
    annotated(bad, out)
    annotated(bad, out)
    bad_book(out)
    kept = out.read_bytes()
    assert main(["check", str(bad), "--annotate", str(out)]) == 6
    assert main(["check", str(bad), "--annotate", str(bad)]) == 6
    assert main(["check", str(bad), "--annotate", str(tmp_path / "no" / "out.xlsx")]) == 6
    said = capsys.readouterr().err
    assert "is there already" in said
    assert "never written over" in said
    assert out.read_bytes() == kept
    assert bad.read_text(encoding="utf-8") == BAD


def many(path: Path, rows: int) -> Path:
    lines = ["patient,visit,pain,twitches"]
    lines += [f"P{i // 4},{i % 4 + 1},{99 if i else 'x'},3" for i in range(rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_very_many_problems_are_summarised_everywhere(tmp_path: Path, capsys: Run) -> None:
    source = many(tmp_path / "many.csv", 100_000)
    out = tmp_path / "out.xlsx"
    assert main(["check", str(source), "--json", "--annotate", str(out)]) == 4
    content = json.loads(capsys.readouterr().out)
    counts = {found["rule"]: found["count"] for found in content["by_rule"]}
    assert counts["pain_not_a_number"] == 1
    assert counts["pain_outside_scale"] == 99_999
    assert content["problems_total"] == sum(counts.values())
    assert content["problems_listed"] == len(content["problems"]) == 1000
    assert {p["rule"] for p in content["problems"]} == set(counts)
    book = openpyxl.load_workbook(out)
    assert out.stat().st_size < 300_000
    text = " ".join(str(cell.value) for cell in book["Problems"]["A"] if cell.value)
    assert f"{content['problems_total']:,} problems in 100,000 rows" in text
    assert "1,000 of them, some of every rule" in text
    assert book["Visits"]["C3"].comment is not None
    assert main(["check", str(source)]) == 4
    said = capsys.readouterr().out
    assert len(said.splitlines()) < 30
    assert "99999" in said


def test_a_sample_has_some_of_every_rule(bad: Path) -> None:
    report: CheckReport = check_visits(bad)
    rules = {p.rule for p in report.problems}
    assert {p.rule for p in report.sample(len(rules))} == rules
    assert report.sample(1000) == report.problems
    rows = [p.row for p in report.sample(len(rules))]
    assert rows == sorted(rows)


# --- a proposed column map ------------------------------------------------------------------------


def proposal(path: Path, capsys: Run) -> str:
    assert main(["check", str(path), "--fix-map"]) == 0
    return capsys.readouterr().out


def test_a_proposed_map_makes_the_file_readable(tmp_path: Path, capsys: Run) -> None:
    rows = ["PatID,Visit No,NRS now,LTR count,Comment"]
    rows += [f"CANARY{i},{v},{7 - v},{v},text of patient {i}" for i in range(3) for v in (1, 2)]
    path = tmp_path / "clinic.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    text = proposal(path, capsys)
    assert tomllib.loads(text)["columns"] == {
        "patient": "PatID",
        "visit": "Visit No",
        "pain": "NRS now",
        "twitches": "LTR count",
    }
    assert "100% of 6 filled cells are numbers from 0 to 10" in text
    assert "CANARY" not in text
    assert "text of patient" not in text
    saved = tmp_path / "columns.toml"
    saved.write_text(text, encoding="utf-8")
    assert read_visits(path, columns=Columns.from_toml(saved)).n_patients == 3


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        ("patient,visit,pain,LTR left,LTR right", "a,1,5,2,3", "2 columns may be meant; choose one"),
        ("patient,visit,NRS,twitches", "a,1,often,2", "0% of 1 filled cells are numbers from 0 to 10"),
        ("patient,visit,pain,twiches", "a,1,5,2", "its name resembles 'twitches'"),
        ("patient,visit,pain", "a,1,5", "needed, and no column looks like it"),
    ],
)
def test_what_is_in_doubt_is_left_to_the_user(
    tmp_path: Path, capsys: Run, header: str, row: str, said: str
) -> None:
    path = tmp_path / "clinic.csv"
    path.write_text(f"{header}\n{row}\n", encoding="utf-8")
    text = proposal(path, capsys)
    assert said in text
    line = next(line for line in text.splitlines() if said in line)
    assert line.startswith("#")


def test_hostile_column_names_stay_on_their_line(tmp_path: Path, capsys: Run) -> None:
    book = openpyxl.Workbook()
    book.active.append(["patient", "visit", "pain", "twitches", 'a"\n[columns]\npain = "b', "\u2028x"])
    book.active.append(["p", 1, 5, 2, 1, 1])
    stream = io.BytesIO()
    book.save(stream)
    path = tmp_path / "clinic.xlsx"
    path.write_bytes(stream.getvalue())
    assert set(tomllib.loads(proposal(path, capsys))["columns"]) == {"patient", "visit", "pain", "twitches"}
