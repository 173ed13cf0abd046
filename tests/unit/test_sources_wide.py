"""Wide tables: one row per patient, however the columns are named, with every cell's own address."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from tpr_outcomes.cohort.columns import Columns
from tpr_outcomes.cohort.reading import Reading
from tpr_outcomes.cohort.visit_names import Label, VisitName, read_label, read_name
from tpr_outcomes.cohort.visits import Visits, check_visits, read_visits
from tpr_outcomes.errors import DataError, PlanError

Rows = Sequence[Sequence[object]]

TIDY = """\
patient,age,visit,date,pain,twitches
A,40,1,2024-01-01,7,5
A,40,2,2024-01-08,6,0
A,40,3,2024-01-15,,not sought
B,61,1,2024-01-02,8,
B,61,2,2024-01-09,8,4
"""
NAMES = ("ID", "age", "date", "pain", "ltr")
BODY: Rows = (
    ("A", 40, "2024-01-01", 7, 5, "2024-01-08", 6, 0, "2024-01-15", None, "not sought"),
    ("B", 61, "2024-01-02", 8, None, "2024-01-09", 8, 4, None, None, None),
)


def csv_file(folder: Path, rows: Rows, name: str = "clinic.csv") -> Path:
    path = folder / name
    lines = [",".join("" if cell is None else str(cell) for cell in row) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def workbook(folder: Path, merge: Sequence[str] = (), **sheets: Rows) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name.replace("_", " "))
        for row in rows:
            sheet.append(list(row))
        for area in merge:
            sheet.merge_cells(area)
    path = folder / "clinic.xlsx"
    book.save(path)
    return path


@pytest.fixture
def tidy(tmp_path: Path) -> Visits:
    path = tmp_path / "tidy.csv"
    path.write_text(TIDY)
    return read_visits(path)


def one_header(*patterns: str) -> Rows:
    names = [pattern.format(v=v, what=what) for v in (1, 2, 3) for pattern in patterns
             for what in ("date", "pain", "ltr")]  # fmt: skip
    return [("ID", "age", *names), *BODY]


@pytest.mark.parametrize(
    "pattern",
    [
        "{what}_v{v}",
        "{what}{v}",
        "{what}_{v}",
        "{what} Visit {v}",
        "V{v} {what}",
        "visit{v}_{what}",
        "{what} (session {v})",
        "{what}.t{v}",
        "{v}_{what}",
    ],
)
def test_visits_are_read_off_the_names(tmp_path: Path, tidy: Visits, pattern: str) -> None:
    path = csv_file(tmp_path, one_header(pattern))
    visits = read_visits(path)
    pd.testing.assert_frame_equal(visits.table, tidy.table)
    assert visits.source.layout == "wide"
    notes = check_visits(path).notes
    assert [note.rule for note in notes] == ["layout_guessed"]
    assert "one row per patient, visits 1 to 3: pain from" in notes[0].message
    settled = Columns(reading=Reading(format="wide"))
    assert check_visits(path, columns=settled).notes == ()


VISITS_OVER = [
    (None, None, "Visit 1", None, None, "Visit 2", None, None, "Visit 3", None, None),
    ("ID", "age", *("date", "pain", "ltr") * 3),
]
PATIENT_ON_TOP = [
    ("ID", "age", "Visit 1", None, None, "Visit 2", None, None, "Visit 3", None, None),
    (None, None, *("Date", "Pain now", "LTR count") * 3),
]
MEASURES_OVER = [
    ("ID", "age", "date", None, None, "pain", None, None, "ltr", None, None),
    (None, None, *(1, 2, 3) * 3),
]


def by_measure(rows: Rows) -> Rows:
    return [(*row[:2], *row[2::3], *row[3::3], *row[4::3]) for row in rows]


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (VISITS_OVER, BODY),
        (PATIENT_ON_TOP, BODY),
        (MEASURES_OVER, by_measure(BODY)),
        ([("Clinic of the example, pain record",), (), *VISITS_OVER], BODY),
    ],
)
@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_headers_of_two_rows(
    tmp_path: Path, tidy: Visits, head: Rows, body: Rows, merged: bool, kind: str
) -> None:
    rows = [*head, *body]
    top = len(head) - 1
    areas = [f"C{top}:E{top}", f"F{top}:H{top}", f"I{top}:K{top}"] if merged and kind == "xlsx" else []
    if areas and head[top - 1][0] == "ID":
        areas += [f"A{top}:A{top + 1}", f"B{top}:B{top + 1}"]
    path = csv_file(tmp_path, rows) if kind == "csv" else workbook(tmp_path, merge=areas, Record=rows)
    pd.testing.assert_frame_equal(read_visits(path).table, tidy.table)


def test_problems_are_told_with_the_cell_of_the_user(tmp_path: Path) -> None:
    rows = [*VISITS_OVER, *(list(row) for row in BODY)]
    rows[2][6], rows[3][7], rows[3][1] = "six", -4, "old"  # type: ignore[index]
    report = check_visits(workbook(tmp_path, Record=rows))
    found = {(p.rule, p.address, p.column) for p in report.errors}
    assert found == {
        ("pain_not_a_number", "sheet Record, cell G3", "Visit 2 pain"),
        ("count_negative", "sheet Record, cell H4", "Visit 2 ltr"),
        ("age_not_a_number", "sheet Record, cell B4", "age"),
    }
    blank = [p.address for p in report.warnings if p.rule == "twitches_blank"]
    assert blank == ["sheet Record, cell E4"]


def test_a_patient_twice_is_a_duplicate_with_the_address_of_both(tmp_path: Path) -> None:
    path = csv_file(tmp_path, [*one_header("{what}_v{v}"), BODY[1]])
    report = check_visits(path)
    assert {(p.rule, p.address) for p in report.errors} == {
        ("duplicate_visit", "line 4, column date_v1"),
        ("duplicate_visit", "line 4, column date_v2"),
    }
    assert "already in line 3, column date_v1." in report.errors[0].message


def test_visits_without_any_entry_are_none_and_patients_without_visits_are_told(tmp_path: Path) -> None:
    rows = [("ID", "pain_v1", "pain_v2", "ltr_v1", "ltr_v2"), ("A", 7, 6, 0, 1), ("B", "NA", "-", "", "n/a"),
            ("C", 5, -99, 3, -99), (None,) * 5]  # fmt: skip
    settled = Columns(reading=Reading(missing=("-99",)))
    visits = read_visits(csv_file(tmp_path, rows), columns=settled)
    assert visits.table[["patient", "visit", "pain"]].to_numpy().tolist() == [[0, 1, 7], [0, 2, 6], [1, 1, 5]]
    assert [(row.address, row.rule) for row in visits.left_out] == [
        ("line 5", "empty_row"),
        ("line 3", "no_visit"),
    ]
    assert visits.source.rows_read == 5


def test_reasons_for_stopping_belong_to_the_last_visit(tmp_path: Path) -> None:
    rows = [("ID", "stop_reason", "pain_v1", "pain_v2", "ltr_v1", "ltr_v2"), ("A", "better", 7, 6, 0, 1),
            ("B", "lost", 7, None, 0, None)]  # fmt: skip
    table = read_visits(csv_file(tmp_path, rows)).table
    assert table["stop_reason"].fillna("").tolist() == ["", "better", "lost"]


def test_weeks_in_the_names_are_weeks(tmp_path: Path) -> None:
    rows = [("ID", "pain_baseline", "pain_w4", "pain_w12", "ltr_baseline", "ltr_w4", "ltr_w12"),
            ("A", 7, 6, 5, 0, 1, 2)]  # fmt: skip
    table = read_visits(csv_file(tmp_path, rows)).table
    assert table["visit"].tolist() == [1, 2, 3]
    assert table["weeks"].tolist() == [0.0, 4.0, 12.0]


@pytest.mark.parametrize("labels", [("v0", "v1"), ("baseline", "v1"), ("v1", "v2")])
def test_visits_are_counted_from_one(tmp_path: Path, labels: tuple[str, str]) -> None:
    names = [f"{what}_{label}" for label in labels for what in ("pain", "ltr")]
    report = check_visits(path := csv_file(tmp_path, [("ID", *names), ("A", 7, 3, 6, 2)]))
    assert read_visits(path).table["visit"].tolist() == [1, 2]
    assert ("the first visit is called 1 here" in report.notes[0].message) is (labels[0] != "v1")


def test_names_come_from_the_map(tmp_path: Path) -> None:
    rows = [("Kürzel", "Schmerz T1", "Schmerz T2", "T1 Zuckungen", "T2 Zuckungen"), ("A", 7, 6, 0, 1)]
    path = csv_file(tmp_path, rows)
    for twitches in ("Zuckungen", "T{visit} Zuckungen"):
        names = {"patient": "Kürzel", "pain": "Schmerz", "twitches": twitches}
        assert read_visits(path, columns=names).table["twitches"].tolist() == [0, 1]
    with pytest.raises(PlanError, match="pain is 'Schmerzen'; no column of this table is called so"):
        check_visits(path, columns={"pain": "Schmerzen", "patient": "Kürzel", "twitches": "Zuckungen"})


def test_the_guess_can_be_overruled(tmp_path: Path) -> None:
    path = csv_file(tmp_path, one_header("{what}_v{v}"))
    (tmp_path / "columns.toml").write_text('[file]\nformat = "tidy"\n')
    tidy = Columns.from_toml(tmp_path / "columns.toml")
    report = check_visits(path, columns=tidy)
    assert report.layout == "tidy"
    assert "missing_column" in {p.rule for p in report.errors}


def test_columns_nobody_asks_for_are_told_once_for_all_visits(tmp_path: Path) -> None:
    rows = [("ID", "mood_v1", "mood_v2", "pain_v1", "pain_v2", "ltr_v1", "ltr_v2"), ("A", 1, 2, 7, 6, 0, 1)]
    report = check_visits(csv_file(tmp_path, rows))
    assert [(p.message, p.address) for p in report.warnings] == [
        ("Column mood_v{visit} is not one the toolkit knows; it was not read.", "column mood_v1")
    ]


def test_a_wide_table_without_patients_or_doses_says_so(tmp_path: Path) -> None:
    for rows, name in (
        ([("pain_v1", "pain_v2"), (7, 6)], "patient"),
        ([("ID", "pain_v1", "pain_v2"), ("A", 7, 6)], "twitches"),
    ):
        with pytest.raises(DataError) as caught:
            read_visits(csv_file(tmp_path, rows))
        assert f"no column {name}" in str(caught.value)


def test_a_frame_may_be_wide(tidy: Visits) -> None:
    head, *body = one_header("{what}_v{v}")
    frame = pd.DataFrame(body, columns=[str(name) for name in head])
    pd.testing.assert_frame_equal(read_visits(frame).table, tidy.table)
    problem = check_visits(frame.assign(pain_v2=[6, 80])).errors[0]
    assert problem.address == "row 2, column pain_v2"


@pytest.mark.parametrize(
    ("name", "role", "label"),
    [
        ("nrs11", "pain", Label("visit", 11)),
        ("Pain Score, 3rd visit", "", None),
        ("3rd visit pain", "pain", Label("visit", 3)),
        ("Date of visit 2", "date", Label("visit", 2)),
        ("pain_m6", "pain", Label("month", 6)),
        ("day 14 ltr", "twitches", Label("day", 14)),
        ("visit 2", "", Label("visit", 2)),
        ("mood_v2", "", Label("visit", 2)),
        ("age", "", None),
        ("patient", "", None),
    ],
)
def test_names(name: str, role: str, label: Label | None) -> None:
    found = read_name(name, {})
    assert (found.role, found.label) == (role, label) if found else (role, label) == ("", None)


def test_labels_stand_alone() -> None:
    assert read_label("2nd visit") == Label("visit", 2)
    assert read_label("Baseline visit") == Label("visit", -1)
    assert read_label("pain 2") is None
    assert read_name("Visit 4", {"date": "visit"}) == VisitName("date", "visit", Label("visit", 4))
