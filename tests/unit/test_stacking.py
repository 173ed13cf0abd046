"""Several sheets with the same columns: a sheet per year, per therapist, per patient."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from tpr_outcomes.cli import main
from tpr_outcomes.cohort.columns import Columns
from tpr_outcomes.cohort.reading import Reading
from tpr_outcomes.cohort.visits import Visits, check_visits, read_visits
from tpr_outcomes.errors import DataError, PlanError

Rows = Sequence[Sequence[object]]
HEAD = ("patient", "visit", "pain", "twitches")
A: Rows = (("A", 1, 7, 3), ("A", 2, 6, 0), ("A", 3, None, "not sought"))
B: Rows = (("B", 1, 8, None), ("B", 2, 5, 4))
C: Rows = (("C", 1, 4, 1), ("C", 2, 4, 1))


def workbook(folder: Path, sheets: dict[str, Rows]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    book.save(path := folder / "clinic.xlsx")
    return path


def settled(sheets: str) -> Columns:
    return Columns(reading=Reading(sheets=sheets))


@pytest.fixture
def together(tmp_path: Path) -> Visits:
    (tmp_path / "one").mkdir()
    return read_visits(workbook(tmp_path / "one", {"Visits": [HEAD, *A, *B, *C]}))


@pytest.mark.parametrize("names", [("2022", "2023", "2024"), ("Dr Huber", "Anna Klein", "C. Roth")])
def test_sheets_with_the_same_columns_stand_below_each_other(
    tmp_path: Path, together: Visits, names: Sequence[str]
) -> None:
    path = workbook(tmp_path, {n: [HEAD, *rows] for n, rows in zip(names, (A, B, C), strict=True)})
    pd.testing.assert_frame_equal(read_visits(path).table, together.table)
    (note,) = check_visits(path).notes
    assert note.message.startswith("Read as 3 sheets with the same columns")
    assert ("(2022, 2023, 2024)" in note.message) == (names[0] == "2022")
    assert not any(word in note.message for name in names[:2] if " " in name for word in name.split())
    assert check_visits(path, columns=settled("stack")).notes == ()


def test_columns_may_stand_in_another_order_and_problems_have_their_own_address(tmp_path: Path) -> None:
    other = [("twitches", "pain", "visit", "patient", "age"), (3, "x", 1, "B", 40), (3, 7, 2, "B", 40)]
    path = workbook(tmp_path, {"2022": [HEAD, *A], "2023": other})
    (error,) = check_visits(path).errors
    assert (error.address, error.column) == ("sheet 2023, cell B2", "pain")
    other[1] = (3, 6, 1, "B", 40)
    ages = read_visits(workbook(tmp_path, {"2022": [HEAD, *A], "2023": other})).table["age"]
    assert ages.isna().tolist() == [True] * 3 + [False] * 2


def test_a_sheet_per_patient_without_a_column_for_the_patient(tmp_path: Path, together: Visits) -> None:
    sheets = {row[0][0]: [HEAD[1:], *(r[1:] for r in row)] for row in (A, B, C)}
    path = workbook(tmp_path, {f"{name} Beeblebrox": rows for name, rows in sheets.items()})
    pd.testing.assert_frame_equal(read_visits(path).table, together.table)
    (note,) = check_visits(path).notes
    assert "3 sheets, each of one patient" in note.message
    sheets["B"][1] = (1, "x", 3)
    path = workbook(tmp_path, {f"{name} Beeblebrox": rows for name, rows in sheets.items()})
    report = check_visits(path)
    assert report.errors[0].address == "sheet no. 2, cell B2"
    assert "Beeblebrox" not in str(report)


def test_years_are_no_patients(tmp_path: Path) -> None:
    path = workbook(
        tmp_path, {"2022": [HEAD[1:], *(r[1:] for r in A)], "2023": [HEAD[1:], *(r[1:] for r in B)]}
    )
    assert [p.rule for p in check_visits(path).errors] == ["missing_column"]
    assert read_visits(path, columns=settled("patient")).n_patients == 2


def test_sheets_named_after_therapists_when_the_map_says_so(tmp_path: Path) -> None:
    path = workbook(tmp_path, {"Huber": [HEAD, *A], "Klein": [HEAD, *B, *C]})
    assert "therapist" not in read_visits(path).table
    visits = read_visits(path, columns=settled("therapist"))
    assert visits.table["therapist"].nunique() == 2
    own = (*HEAD, "therapist")
    path = workbook(
        tmp_path, {"Huber": [own, *((*r, "H") for r in A)], "Klein": [own, *((*r, "K") for r in B)]}
    )
    with pytest.raises(PlanError, match="leave one out"):
        read_visits(path, columns=settled("therapist"))
    assert read_visits(path).table["therapist"].nunique() == 2


def test_a_copy_of_a_sheet_is_told_not_counted_twice(tmp_path: Path) -> None:
    path = workbook(tmp_path, {"Sheet1": [HEAD, *A], "Sheet2": [HEAD, *A]})
    with pytest.raises(DataError, match="already in sheet Sheet1, cell B2"):
        read_visits(path)
    assert read_visits(path, columns=settled("first")).n_visits == 3
    assert "several_sheets" not in {p.rule for p in check_visits(path, columns=settled("first")).warnings}


def test_other_sheets_are_left_and_told(tmp_path: Path) -> None:
    path = workbook(tmp_path, {"2022": [HEAD, *A], "2023": [HEAD, *B], "Plan": [("week", "who"), (1, "x")]})
    (told,) = (p for p in check_visits(path).warnings if p.rule == "several_sheets")
    assert told.message == "The workbook has 1 further sheets, which were not read."
    assert read_visits(path).n_patients == 2


def test_a_column_of_the_map_that_no_sheet_has_is_told(tmp_path: Path) -> None:
    path = workbook(tmp_path, {"2022": [HEAD, *A], "2023": [HEAD, *B]})
    with pytest.raises(PlanError, match="no such column"):
        read_visits(path, columns=Columns({"age": "Alter"}))


def test_wide_sheets_of_several_years(tmp_path: Path) -> None:
    head = ("ID", "pain_v1", "ltr_v1", "pain_v2", "ltr_v2")
    one = workbook(tmp_path, {"Clinic": [head, ("A", 7, 3, 6, 0), ("B", 8, 2, 5, 4)]})
    expected = read_visits(one).table
    path = workbook(tmp_path, {"2022": [head, ("A", 7, 3, 6, 0)], "2023": [head, ("B", 8, 2, 5, 4)]})
    visits = read_visits(path)
    pd.testing.assert_frame_equal(visits.table, expected)
    assert visits.source.layout == "wide"
    path = workbook(tmp_path, {"2022": [head, ("A", 7, 3, 6, 0)], "2023": [head, ("B", 8, 2, "x", 4)]})
    assert [p.address for p in check_visits(path).errors] == ["sheet 2023, cell D2"]


def test_the_copy_marks_sheets_told_by_number(tmp_path: Path) -> None:
    path = workbook(tmp_path, {"Huber": [HEAD, *A], "Klein": [HEAD, ("B", 1, "x", 3), ("B", 2, 7, 3)]})
    assert main(["check", str(path), "--annotate", str(tmp_path / "marked.xlsx")]) == 4
    copy = openpyxl.load_workbook(tmp_path / "marked.xlsx")
    assert copy["Klein"]["C2"].comment is not None
    assert copy["Huber"]["C2"].comment is None
