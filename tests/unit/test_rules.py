"""One bad row for every rule, and what the user is told about it."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

from tpr_outcomes.cohort.problems import seen
from tpr_outcomes.cohort.rules import RULES, Problem
from tpr_outcomes.cohort.visits import CheckReport, check_visits

GOOD = """\
patient,visit,date,pain,twitches,insertions,age,sought,stop_reason,weeks
A,1,2024-01-01,7,5,10,40,yes,,0
A,2,2024-01-08,6,0,10,40,yes,better,1
B,1,2024-01-02,8,3,12,61,yes,,0
B,2,2024-01-09,8,not sought,0,61,no,,1
"""
DROPPED_WEEKS = "\n".join(line.rsplit(",", 1)[0] for line in GOOD.splitlines()) + "\n"


def check(tmp_path: Path, content: str | bytes) -> CheckReport:
    path = tmp_path / "visits.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return check_visits(path)


def test_a_good_file_has_no_problems(tmp_path: Path) -> None:
    assert check(tmp_path, DROPPED_WEEKS).problems == ()


with (Path(__file__).parent / "data" / "bad_rows.csv").open(newline="") as stream:
    # rule, what to replace in the good file, by what, where it is, what is said, what to do
    ROWS = [tuple(row) for row in csv.reader(stream)][1:]

FILES = [
    ("empty_file", "", "file", "nothing in the source", "right file and sheet"),
    ("header_only", GOOD.splitlines()[0], "file", "no visits below", "one row per patient and visit"),
    (
        "no_header",
        "P07,1,7,5\nP07,2,6,4\n",
        "file",
        "first row holds numbers",
        "patient, visit, pain, twitches",
    ),
    (
        "missing_column",
        "patient,pain,twitches\nA,7,1\n",
        "file",
        "no column visit (or date, or weeks)",
        "Add a column",
    ),
    (
        "encoding_guessed",
        b"patient,visit,pain,twitches,region\nA,1,7,1,\xe9\nA,2,6,1,\n",
        "file",
        "cp1252",
        "UTF-8",
    ),
    (
        "layout_guessed",
        "patient,pain_v1,pain_v2,twitches_v1,twitches_v2\nA,7,6,1,2\n",
        "file",
        "visits 1 to 2: pain from pain_v1 … pain_v2; twitches from",
        'format = "tidy"',
    ),
    (
        "repeated_entry",
        "record_id,redcap_event_name,pain,twitches\n1,visit_1_arm_1,7,1\n1,visit_1_arm_1,,2\n1,visit_2_arm_1,6,1\n",
        "line 3, column twitches",
        "another entry of twitches in line 2, column twitches",
        'add = ["twitches"]',
    ),
    ("weeks_ignored", GOOD, "column weeks", "weeks were taken from the dates", "Leave one"),
    (
        "weeks_not_a_number",
        "patient,weeks,pain,twitches\nA,0,7,1\nA,one,6,1\n",
        "line 3, column weeks",
        "text of 3",
        "2.5",
    ),
    (
        "time_blank",
        "patient,weeks,pain,twitches\nA,0,7,1\nA,,6,1\n",
        "line 3, column weeks",
        "put in order",
        "Fill in",
    ),
    (
        "duplicate_visit",
        "patient,date,pain,twitches\nA,2024-01-01,7,1\nA,2024-01-01,6,1\n",
        "line 3, column date",
        "already in line 2",
        "Keep one row",
    ),
    (
        "pain_all_identical",
        "patient,visit,pain,twitches\nA,1,7,1\nA,2,7,1\nA,3,7,\n",
        "column pain",
        "All 3 ratings are 7",
        "right column",
    ),
    (
        "twitches_all_zero",
        "patient,visit,pain,twitches\nA,1,7,0\nA,2,6,0\nA,3,7,0\n",
        "column twitches",
        "All 3 twitch counts are 0",
        "blanks were not filled",
    ),
    (
        "offered_column",
        "patient,visit,pain,twitches,site_muscle,minutes\nA,1,7,0,trapezius,20\nA,2,6,1,trapezius,20\n",
        "file",
        "Fields of the table of sites",
        "--sites FILE",
    ),
]


def expect(report: CheckReport, rule: str, address: str, message: str, remedy: str) -> Problem:
    found = [problem for problem in report.problems if problem.rule == rule]
    assert [problem.address for problem in found] == [address]
    assert message in found[0].message
    assert remedy in found[0].remedy
    return found[0]


@pytest.mark.parametrize(("rule", "old", "new", "address", "message", "remedy"), ROWS)
def test_one_bad_row(
    tmp_path: Path, rule: str, old: str, new: str, address: str, message: str, remedy: str
) -> None:
    assert old in DROPPED_WEEKS
    report = check(tmp_path, DROPPED_WEEKS.replace(old, new, 1))
    problem = expect(report, rule, address, message, remedy)
    if problem.severity == "error":
        assert not report.ok
        others = {item.rule for item in report.errors} - {rule}
        assert others <= {"sought_contradiction", "no_header"}, "one bad cell, one error"


@pytest.mark.parametrize(("rule", "content", "address", "message", "remedy"), FILES)
def test_one_bad_file(
    tmp_path: Path, rule: str, content: str | bytes, address: str, message: str, remedy: str
) -> None:
    expect(check(tmp_path, content), rule, address, message, remedy)


def test_several_sheets(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["patient", "visit", "pain", "twitches"])
    for row in (["A", 1, 7, 5], ["A", 2, "7/8", 5]):
        book.active.append(row)
    book.create_sheet("Februar")
    book.save(tmp_path / "clinic.xlsx")
    report = check_visits(tmp_path / "clinic.xlsx")
    expect(report, "several_sheets", "sheet Sheet", "1 further sheets", "call it Visits")
    expect(report, "pain_not_a_number", "sheet Sheet, cell C3", "pain is 7/8", "Write one number")


def test_true_dates_beside_dates_as_text(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["patient", "date", "pain", "twitches"])
    for row in (["A", dt.date(2024, 3, 5), 7, 5], ["A", "25/03/2024", 6, 5]):
        book.active.append(row)
    book.save(tmp_path / "clinic.xlsx")
    report = check_visits(tmp_path / "clinic.xlsx")
    found = expect(report, "date_mixed", "sheet Sheet, cell B1", "swapped day and month", "paper record")
    assert found.severity == "warning"


def test_every_rule_is_tried_above() -> None:
    tried = {case[0] for case in (*ROWS, *FILES)} | {"several_sheets", "date_mixed"}
    assert {rule.__name__ for rule in RULES} == tried


def test_warnings_and_errors_are_told_apart(tmp_path: Path) -> None:
    warned = {
        "single_visit", "visit_gap", "same_day", "pain_blank", "twitches_blank",
        "free_text", "unknown_column", "encoding_guessed", "weeks_ignored", "pain_all_identical",
        "twitches_all_zero", "time_blank",
    }  # fmt: skip
    noted = {"number_as_typed", "date_as_typed", "date_order_guessed"}
    for rule, old, new, *_ in ROWS:
        found = [p for p in check(tmp_path, DROPPED_WEEKS.replace(old, new, 1)).problems if p.rule == rule]
        wanted = "note" if rule in noted else "warning" if rule in warned else "error"
        assert {p.severity for p in found} == {wanted}, rule


def test_no_message_repeats_a_patient_or_free_text(tmp_path: Path) -> None:
    secret = "Marguerite Oldenburg 1961-04-30"
    header = "patient,visit,date,pain,twitches,sought,age,region,therapist"
    cells = [secret, "x", secret, secret, secret, secret, secret, secret * 2, secret]
    rows = [",".join(cells), ",".join([secret, "1", "2024-01-01", "7", "5", "", "", "", ""])]
    report = check(tmp_path, "\n".join([header, *rows, rows[1]]))
    assert len(report.errors) >= 7
    words = " ".join(str(problem) for problem in report.problems)
    assert "Oldenburg" not in words
    assert "1961" not in words
    headless = check(tmp_path, f"{secret},1,7,5\n")
    assert "Oldenburg" not in str(headless.problems)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("7/10", "7/10"),
        ("7 / 10", "7 / 10"),
        ("7 of ten", "text of 8 characters"),
        ("-3.5", "-3.5"),
        ("12345678", "text of 8 characters"),
        ("03/04/2024", "text of 10 characters"),
        ("", "blank"),
    ],
)
def test_only_short_numbers_are_shown(text: str, shown: str) -> None:
    assert seen(text) == shown


def test_problems_come_in_file_order(tmp_path: Path) -> None:
    content = "patient,visit,pain,twitches,x\nA,1,7,-1,\n,2,12,1,\nA,3,11,1.5,\n"
    report = check(tmp_path, content)
    assert [problem.row for problem in report.problems] == sorted(problem.row for problem in report.problems)


def test_a_hundred_thousand_problems_stay_short() -> None:
    n = 100_000
    frame = pd.DataFrame(
        {
            "patient": np.arange(n) // 5,
            "visit": np.tile(np.arange(1, 6), n // 5),
            "pain": "7-8",
            "twitches": 3,
        }
    )
    report = check_visits(frame)
    summary = report.summary()
    assert len(report.problems) == n
    assert [(item.rule, item.count, item.addresses) for item in summary] == [
        ("pain_not_a_number", n, ("row 1, column pain", "row 2, column pain", "row 3, column pain"))
    ]
