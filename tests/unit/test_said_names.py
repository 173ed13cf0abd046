"""Names of columns and sheets: what we know is repeated, what may be data is told by its place."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest

from tpr_outcomes.cli import main
from tpr_outcomes.cohort.said_names import may_be_said, with_said_names
from tpr_outcomes.cohort.sources import FileContent, read_source
from tpr_outcomes.cohort.visits import check_visits

NAME = "Zaphod"
ROWS = f"{NAME}-01,1,2024-01-05,7,3\n{NAME}-01,2,2024-01-12,6,4\n{NAME}-02,1,2024-01-06,5,0\n"


@pytest.mark.parametrize(
    "name",
    ["pain", "LTR Visit 12", "NRS 0-10", "Pain (0 to 100)", "worst pain 24h", "mood_v3", "PHQ-9", "SF-36",
     "remarks", "Größe", "region___2", "T{visit} mood", "visit_12_mood", "Pain/10"],
)  # fmt: skip
def test_usual_names_are_repeated(name: str) -> None:
    assert may_be_said(name, {})


@pytest.mark.parametrize(
    "name",
    [f"age{NAME}-01", "P0173", "17", "2024-01-05", "05/03/2024", "Patient 17", "ID 4711", "x" * 41,
     "anna@example.org", "code\u0661\u0662", "K12 b", "therapist 3"],
)  # fmt: skip
def test_names_that_may_be_data_are_not(name: str) -> None:
    assert not may_be_said(name, {})
    assert may_be_said(name, {"age": name}), "the user named it"


@pytest.mark.parametrize(
    "head",
    [
        f"patient,visit,date,pain,twitches,age{ROWS}",  # the line end is lost
        f"patient,visit,date,pain,twitches,a{NAME}ge\n{ROWS}",  # a piece of a cell was copied over a name
        f"patient,visit,date,pain,twitches,{NAME.lower()} b\n{ROWS}",
        f"patient,visit,date,pain,twitches,{NAME} Beeblebrox,17\n{ROWS}",
        f"{NAME},visit,date,pain,twitches\n{ROWS}",  # the patients' column is not known
        ROWS,
    ],
)
def test_a_damaged_header_line_is_not_repeated(
    head: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "clinic.csv"
    path.write_text(head + ROWS)
    for more in ([], ["--json"], ["--fix-map"]):
        main(["check", str(path), *more])
    main(["evaluate", str(path), "--out", str(tmp_path / "out")])
    said = capsys.readouterr()
    assert NAME.lower() not in (said.out + said.err).lower()


def test_the_place_stands_in_for_the_name(tmp_path: Path) -> None:
    path = tmp_path / "clinic.csv"
    path.write_text(f"patient,visit,pain,twitches,code4711,remarks\n{NAME},1,7,3,x,y\n{NAME},2,6,3,x,y\n")
    first, second = check_visits(path).warnings
    assert (first.address, first.column) == ("column 5", "")
    assert first.message.startswith("A column whose name resembles data, and is not repeated here, is not")
    assert (second.address, second.column) == ("column remarks", "remarks")


def test_a_map_is_proposed_without_the_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "clinic.csv"
    path.write_text(f"patient,visit,nrs 4711,ltr\n{NAME},1,7,3\n{NAME},2,6,3\n")
    assert main(["check", str(path), "--fix-map"]) == 0
    said = capsys.readouterr().out
    assert "\n# pain = \"\"  # column 3? its name has 'nrs' in it; 100% of 2 filled cells are numbers" in said
    assert '\ntwitches = "ltr"' in said
    assert "4711" not in said


def test_words_that_patients_share_with_a_name_of_ours_do_no_harm() -> None:
    raw = read_source(
        FileContent("v.csv", b"patient,visit,pain,twitches,patient group\npatient-001,1,7,3,a\n")
    )
    assert with_said_names(raw, mapping={}).said[-1] == "patient group"


def test_a_sheet_named_like_a_patient_is_told_by_its_number(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for title in (NAME, "Clinic"):
        sheet = book.create_sheet(title)
        for row in (("patient", "visit", "pain", "twitches"), (NAME, 1, "x", 3), (NAME, 2, 6, 3)):
            sheet.append(row)
    book.save(path := tmp_path / "clinic.xlsx")
    (error,) = check_visits(path, sheet="Clinic").errors
    assert error.address == "sheet Clinic, cell C2"
    (error,) = check_visits(path, sheet=NAME).errors
    assert error.address == "sheet no. 2, cell C2"
