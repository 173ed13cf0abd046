"""REDCap exports: events, instances, checkboxes, codes for missing, and the export's own lines."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.unit.clinic_formats import DICTIONARY, redcap_labels, redcap_raw
from tests.unit.clinic_formats import clinic as example

from tpr_outcomes.cohort.columns import Columns
from tpr_outcomes.cohort.reading import Reading
from tpr_outcomes.cohort.redcap_dictionary import read_dictionary
from tpr_outcomes.cohort.visits import CheckReport, check_visits, read_visits
from tpr_outcomes.errors import DataError, PlanError, SourceError

Rows = Sequence[Sequence[object]]
HEAD = ("record_id", "redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance")


def export(folder: Path, rows: Rows, name: str = "export.csv") -> Path:
    with (path := folder / name).open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return path


def table(path: Path, **settled: object) -> list[list[object]]:
    columns = Columns(reading=Reading.checked(settled))
    frame = read_visits(path, columns=columns).table
    shown = frame[["patient", "visit", "pain", "twitches"]].astype(object)
    return shown.where(shown.notna(), None).to_numpy().tolist()


EVENTS: Rows = [
    (*HEAD[:2], "age", "pain", "twitches", "visit_complete"),
    ("1", "baseline_arm_1", "44", "", "", ""),
    ("1", "visit_1_arm_1", "", "7", "5", "2"),
    ("1", "visit_2_arm_1", "", "6", "0", "2"),
    ("2", "baseline_arm_1", "51", "", "", ""),
    ("2", "visit_1_arm_1", "", "8", "", "2"),
    ("2", "visit_3_arm_1", "", "8", "4", "2"),
]


def test_events_are_visits_and_what_was_asked_once_holds_for_all(tmp_path: Path) -> None:
    path = export(tmp_path, EVENTS)
    assert table(path) == [[0, 1, 7, 5], [0, 2, 6, 0], [1, 1, 8, None], [1, 3, 8, 4]]
    visits = read_visits(path)
    assert visits.table["age"].tolist() == [44, 44, 51, 51]
    assert visits.source.layout == "redcap"
    note = next(p for p in visits.problems if p.rule == "layout_guessed")
    assert (
        "Read as a REDCap export, visits 1 to 3 from events visit_1 … visit_3: pain from pain" in note.message
    )
    assert all(p.rule != "unknown_column" for p in visits.problems), "system columns are nobody's mistake"


def test_baseline_with_a_rating_is_the_first_visit(tmp_path: Path) -> None:
    rows = [list(row) for row in EVENTS]
    rows[1][3:5], rows[4][3:5] = ["9", "1"], ["9", "2"]
    assert [row[1] for row in table(export(tmp_path, rows))] == [1, 2, 3, 1, 2, 4]


def test_events_without_numbers_come_in_the_order_of_the_records(tmp_path: Path) -> None:
    names = {"visit_1_arm_1": "first contact", "visit_2_arm_1": "control", "visit_3_arm_1": "farewell"}
    rows = [(row[0], names.get(str(row[1]), row[1]), *row[2:]) for row in EVENTS]
    rows.append(("3", "control", "", "5", "1", "2"))
    rows.append(("3", "farewell", "", "5", "1", "2"))
    assert [row[1] for row in table(export(tmp_path, rows))] == [1, 2, 1, 3, 2, 3]


def test_weeks_in_event_names_are_weeks(tmp_path: Path) -> None:
    rows = [(*HEAD[:2], "pain", "twitches"), ("1", "week_0_arm_1", 7, 1), ("1", "week_6_arm_1", 5, 2)]
    frame = read_visits(export(tmp_path, rows)).table
    assert (frame["visit"].tolist(), frame["weeks"].tolist()) == ([1, 2], [0.0, 6.0])


REPEATING: Rows = [
    (HEAD[0], *HEAD[2:], "sex", "visit_date", "pain", "ltr_count"),
    ("1", "", "", "2", "", "", ""),
    ("1", "visit", "1", "", "2024-01-01", "7", ""),
    ("1", "visit", "2", "", "2024-01-08", "6", ""),
    ("1", "needling", "1", "", "", "", "5"),
    ("1", "needling", "2", "", "", "", "0"),
]


def test_instances_of_two_instruments_are_one_visit_and_that_is_told(tmp_path: Path) -> None:
    path = export(tmp_path, REPEATING)
    assert table(path) == [[0, 1, 7, 5], [0, 2, 6, 0]]
    note = next(p for p in check_visits(path).notes if p.rule == "layout_guessed")
    assert "instruments needling and visit, those of one number taken as one visit" in note.message


SITES: Rows = [
    (*HEAD, "pain", "muscle", "ltr_count"),
    ("1", "visit_1_arm_1", "", "", "7", "", ""),
    ("1", "visit_1_arm_1", "site", "1", "", "trapezius", "3"),
    ("1", "visit_1_arm_1", "site", "2", "", "soleus", "2"),
    ("1", "visit_2_arm_1", "", "", "6", "", ""),
    ("1", "visit_2_arm_1", "site", "1", "", "trapezius", "4"),
    ("1", "visit_2_arm_1", "site", "2", "", "soleus", ""),
    ("1", "visit_3_arm_1", "", "", "6", "", ""),
]


def test_several_counts_of_a_visit_are_asked_about_and_added_when_told(tmp_path: Path) -> None:
    path = export(tmp_path, SITES)
    errors = check_visits(path).errors
    assert [(p.rule, p.address) for p in errors] == [("repeated_entry", "line 4, column ltr_count")]
    assert "another entry of twitches in line 3, column ltr_count" in errors[0].message
    assert 'add = ["twitches"]' in errors[0].remedy
    # the second site of visit 2 has no count, so the visit has no total; visit 3 has no entry at all
    assert table(path, add=["twitches"]) == [[0, 1, 7, 5], [0, 2, 6, None], [0, 3, 6, None]]
    with pytest.raises(PlanError, match="sites are to be added up; the export has no such field"):
        check_visits(path, columns=Columns(reading=Reading(add=("sites",))))


def test_an_entry_that_cannot_be_added_is_told(tmp_path: Path) -> None:
    rows = [*SITES[:3], (*SITES[3][:-1], "two")]
    errors = check_visits(export(tmp_path, rows), columns=Columns(reading=Reading(add=("twitches",)))).errors
    assert "repeated_entry" in {p.rule for p in errors}


def test_unticked_boxes_are_no_only_where_the_form_is_complete(tmp_path: Path) -> None:
    rows = [
        (*HEAD[:2], "pain", "sought___1", "twitches", "visit_complete"),
        ("1", "visit_1_arm_1", "7", "1", "0", "2"),
        ("1", "visit_2_arm_1", "7", "0", "", "2"),
        ("1", "visit_3_arm_1", "7", "0", "", "0"),
        ("1", "visit_4_arm_1", "7", "1", "", "2"),
    ]
    frame = read_visits(export(tmp_path, rows)).table
    # 0 and looked for; not looked for; form not complete, so not recorded; looked for, not recorded
    assert frame["sought"].tolist() == [True, False, True, True]
    assert frame["twitches"].fillna(-1).tolist() == [0, 0, -1, -1]


def test_boxes_of_words_are_put_together(tmp_path: Path) -> None:
    rows = [(*HEAD[:2], "region___neck", "region___back", "pain", "twitches"),
            ("1", "intake_arm_1", "1", "1", "", ""), ("1", "visit_1_arm_1", "0", "0", "7", "1"),
            ("2", "intake_arm_1", "0", "1", "", ""), ("2", "visit_1_arm_1", "0", "0", "7", "1")]  # fmt: skip
    assert read_visits(export(tmp_path, rows)).table["region"].tolist() == ["neck + back", "back"]


def test_codes_for_missing(tmp_path: Path) -> None:
    rows = [(*HEAD[:2], "therapist", "pain", "twitches"), ("1", "visit_1_arm_1", "NP", "7", "NASK"),
            ("1", "visit_2_arm_1", "NP", "-99", "1")]  # fmt: skip
    path = export(tmp_path, rows)
    problem = check_visits(path).errors[0]
    assert problem.address == "line 3, column pain"
    assert 'missing = ["-99"] below [file]' in problem.remedy
    assert table(path, missing=[-99]) == [[0, 1, 7, None], [0, 2, None, 1]]
    therapists = read_visits(path, columns=Columns(reading=Reading(missing=("-99",)))).table["therapist"]
    assert therapists.tolist() == ["T1", "T1"], "a nurse practitioner is no missing value"


def problems_in(tmp_path: Path, kind: str) -> CheckReport:
    write = {"raw": redcap_raw, "labels": redcap_labels}[kind]
    path, columns = write(example(20), tmp_path)
    rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    pain, twitches = (
        next(i for i, name in enumerate(rows[0]) if name.casefold().startswith(start))
        for start in (("pain",), ("ltr_count", "local"))
    )
    rows[5][pain], rows[8][twitches] = "eleven", "-3"
    export(tmp_path, rows, path.name)
    return check_visits(path, columns=columns)


@pytest.mark.parametrize("kind", ["raw", "labels"])
def test_problems_are_told_with_the_line_of_the_export(tmp_path: Path, kind: str) -> None:
    report = problems_in(tmp_path, kind)
    names = {"raw": ("pain_nrs", "ltr_count"), "labels": ("Pain now (0-10)", "Local twitch responses")}[kind]
    assert {(p.rule, p.address) for p in report.errors} == {
        ("pain_not_a_number", f"line 6, column {names[0]}"),
        ("count_negative", f"line 9, column {names[1]}"),
    }
    assert not any("Somebody" in str(p) for p in report.problems)


def test_identifiers_of_the_dictionary_are_not_read(tmp_path: Path) -> None:
    path, columns = redcap_raw(example(20), tmp_path)
    assert not any("full_name" in str(p) for p in check_visits(path, columns=columns).problems)
    assert "full_name" in str(check_visits(path).problems), "without the dictionary it is one nobody asks for"


def test_without_the_dictionary_codes_stay_and_labels_ask_for_the_map(tmp_path: Path) -> None:
    path, _ = redcap_raw(example(20), tmp_path)
    assert set(read_visits(path).table["sex"]) == {"1", "2"}
    path, _ = redcap_labels(example(20), tmp_path)
    with pytest.raises(DataError) as caught:
        read_visits(path)
    assert 'If column "Local twitch responses" is meant' not in str(caught.value), (
        "known by that name already"
    )
    assert "no column pain" in str(caught.value)
    names = {"pain": "Pain now (0-10)", "sought": "Twitches were", "age": "Age in years"}
    report = check_visits(path, columns=names)
    assert {p.rule for p in report.errors} <= {"pain_not_a_number"}, "0 no pain is the label of a code"


def test_the_data_dictionary(tmp_path: Path) -> None:
    path = export(tmp_path, DICTIONARY, "dictionary.csv")
    fields = read_dictionary(path)
    assert fields["sex"].choices == {"1": "female", "2": "male"}
    assert fields["visit_date"].label == "Date of visit"
    assert (fields["full_name"].identifier, fields["age"].identifier) == (True, False)
    assert fields["pain_nrs"].choices["10"] == "10 worst pain"
    with pytest.raises(SourceError, match="data dictionary cannot be opened"):
        read_dictionary(tmp_path / "none.csv")
    with pytest.raises(PlanError, match="no columns Variable / Field Name"):
        read_dictionary(export(tmp_path, [("a", "b")], "other.csv"))


def test_the_map_names_fields(tmp_path: Path) -> None:
    rows = [(*HEAD[:2], "schmerz", "zucken"), ("1", "visit_1_arm_1", 7, 1), ("1", "visit_2_arm_1", 7, 1)]
    path = export(tmp_path, rows)
    assert read_visits(path, columns={"pain": "schmerz", "twitches": "zucken"}).n_visits == 2
    with pytest.raises(PlanError, match="pain is 'schmertz'; the export has no such field"):
        check_visits(path, columns={"pain": "schmertz"})
