"""The optional tables: each rule fires on its one bad row, nothing bad reaches the visits, nothing leaks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tpr_outcomes.cohort.columns import Columns
from tpr_outcomes.cohort.record import Record
from tpr_outcomes.cohort.schemas import SCHEMAS
from tpr_outcomes.cohort.sources import TABLES
from tpr_outcomes.cohort.tables import check_record, read_record
from tpr_outcomes.errors import DataError, PlanError, SourceError

VISITS = pd.DataFrame(
    {
        "patient": ["Q-17", "Q-17", "Q-17", "Roe", "Roe"],
        "visit": [1, 2, 3, 1, 2],
        "date": ["2024-01-01", "2024-01-08", "2024-01-15", "2024-01-03", "2024-01-10"],
        "pain": [7, 5, 4, 6, 6],
        "twitches": [3, 4, 2, "not sought", ""],
    }
)
SITES = pd.DataFrame(
    {
        "patient": ["Q-17", "Q-17", "Q-17", "Roe", "Roe"],
        "visit": [1, 1, 2, 1, 2],
        "muscle": ["Trapezius", "Levator", "Trapezius", "Trapezius", "Trapezius"],
        "side": ["L", "L", "right", "both", ""],
        "insertions": [2, 1, 3, 4, 2],
        "insertions_felt": [1, 0, "", 4, 0],
        "sought": ["yes", "yes", "yes", "no", "yes"],
        "elicited": ["yes", "no", "", "", "unknown"],
        "twitches": [3, 0, 4, "", ""],
        "needle": ["0.30x40"] * 5,
    }
)
DIARY = pd.DataFrame(
    {
        "patient": ["Q-17", "Q-17", "Roe"],
        "visit": [1, 1, 2],
        "hours": [1, 24, 1],
        "soreness": [3, 0, ""],
        "area": ["local", "", "Elsewhere"],
    }
)
EVENTS = pd.DataFrame(
    {
        "patient": ["Q-17", "Q-17", "Roe", "Roe", "Roe"],
        "kind": ["Adverse event", "medication", "advice", "flare", "injury"],
        "what": ["none", "Ibuprofen", "Ice", "", "none"],
        "visit": ["", "", 1, "", ""],
        "date": ["2024-01-08", "2024-01-12", "", "2024-02-14", ""],
        "weeks": ["", "", "", "", 9.5],
        "reported_by": ["patient", "self", "therapist", "", "patient"],
    }
)
PATIENTS = pd.DataFrame({"patient": ["Q-17", "Nobody"], "age": [44, 50], "exercise": [2.5, 1]})
SCORES = pd.DataFrame(
    {
        "patient": ["Q-17", "Q-17", "Roe", "Q-17"],
        "visit": [1, 3, 1, 1],
        "instrument": ["NDI", "ndi", "Headache Impact Test HIT-6 (36 to 78)", "nrs"],
        "score": [46, 30, 61, 4],
        "moment": ["", "", "", "right after"],
    }
)
GOOD = {"sites": SITES, "diary": DIARY, "events": EVENTS, "patients": PATIENTS, "scores": SCORES}


def read(**changed: Any) -> Record:
    return read_record(VISITS, tables={**GOOD, **changed})


def spoiled(table: str, column: str, value: object, row: int = 0) -> pd.DataFrame:
    frame = GOOD[table].astype(object)
    frame.loc[row, column] = value
    return frame


def test_tables_come_with_the_codes_and_numbers_of_the_visits() -> None:
    record = read()
    assert record.sites is not None
    assert record.sites["patient"].tolist() == [0, 0, 0, 1, 1]
    assert record.sites["muscle"].tolist() == ["levator", "trapezius", "trapezius", "trapezius", "trapezius"]
    assert record.sites["side"].fillna("-").tolist() == ["left", "left", "right", "both", "-"]
    assert record.diary is not None
    assert record.diary["area"].fillna("-").tolist() == ["local", "-", "referred"]
    assert record.diary["soreness"].isna().tolist() == [False, False, True]  # blank is not filled in, not 0
    assert record.patients is not None
    assert record.patients["patient"].tolist() == [0]


def test_not_sought_none_and_not_recorded_stay_apart() -> None:
    sites = read().sites
    assert sites is not None
    assert sites["sought"].tolist() == [True, True, True, False, True]
    np.testing.assert_array_equal(sites["twitches"], [0, 3, 4, 0, np.nan])
    np.testing.assert_array_equal(sites["elicited"], [0, 1, 1, 0, np.nan])
    ticked = SITES.drop(columns="twitches")
    sites = read(sites=ticked).sites
    assert sites is not None
    assert "twitches" not in sites
    np.testing.assert_array_equal(sites["elicited"], [0, 1, np.nan, 0, np.nan])
    word = spoiled("sites", "twitches", "not sought").drop(columns=["sought", "elicited"])
    sites = read(sites=word).sites
    assert sites is not None
    assert sites["sought"].tolist() == [True, False, True, True, True]


def test_events_are_placed_in_time_by_date_weeks_or_visit() -> None:
    events = read().events
    assert events is not None
    by_kind = events.set_index("kind")
    assert by_kind["what"].to_dict() == {
        "adverse_event": "none",
        "analgesic": "nsaid",
        "advice": "ice",
        "relapse": "yes",
        "injury": "none",
    }
    assert by_kind["weeks"].to_dict() == pytest.approx(
        {"adverse_event": 1.0, "analgesic": 11 / 7, "advice": 0.0, "relapse": 6.0, "injury": 9.5}
    )
    assert by_kind["visit"].fillna(0).to_dict() == {
        "adverse_event": 2,
        "analgesic": 0,
        "advice": 1,
        "relapse": 0,
        "injury": 0,
    }
    assert by_kind["reported_by"].fillna("-").to_dict() == {
        "adverse_event": "patient",
        "analgesic": "patient",
        "advice": "clinician",
        "relapse": "-",
        "injury": "patient",
    }


BAD = [
    ("sites", "visit", 9, "unknown_visit", "row 1, column visit"),
    ("sites", "patient", "Somebody Else", "unknown_patient", "row 1, column patient"),
    ("sites", "patient", "", "cell_blank", "row 1, column patient"),
    ("sites", "muscle", "", "cell_blank", "row 1, column muscle"),
    ("sites", "muscle", "he said it hurts when he turns his head left", "label_long", "column muscle"),
    ("sites", "side", "front", "word_unknown", "row 1, column side"),
    ("sites", "insertions", "two", "not_a_number", "row 1, column insertions"),
    ("sites", "insertions", 2.5, "out_of_range", "row 1, column insertions"),
    ("sites", "insertions", -1, "out_of_range", "row 1, column insertions"),
    ("sites", "insertions_felt", 3, "felt_contradiction", "row 1, column insertions_felt"),
    ("sites", "sought", "maybe", "not_yes_no", "row 1, column sought"),
    ("sites", "sought", "no", "sought_contradiction", "row 1, column twitches"),
    ("sites", "elicited", "no", "sought_contradiction", "row 1, column elicited"),
    ("sites", "twitches", 0, "sought_contradiction", "row 1, column elicited"),
    ("diary", "hours", 0, "out_of_range", "row 1, column hours"),
    ("diary", "hours", "", "cell_blank", "row 1, column hours"),
    ("diary", "hours", 24, "duplicate_row", "row 2, column patient"),
    ("diary", "soreness", 11, "out_of_range", "row 1, column soreness"),
    ("diary", "soreness", "3/10", "not_a_number", "row 1, column soreness"),
    ("diary", "area", "back", "word_unknown", "row 1, column area"),
    ("events", "kind", "birthday", "word_unknown", "row 1, column kind"),
    ("events", "what", "", "what_blank", "row 1, column what"),
    ("events", "date", "03/04/2024", "date_unclear", "row 1, column date"),
    ("events", "date", "", "no_time", "row 1"),
    ("events", "visit", 7, "unknown_visit", "row 1, column visit"),
    ("patients", "age", 300, "out_of_range", "row 1, column age"),
    ("patients", "patient", "Nobody", "duplicate_row", "row 2"),
]


@pytest.mark.parametrize(("table", "column", "value", "rule", "where"), BAD)
def test_a_bad_cell_is_named_and_costs_its_table_only(
    table: str, column: str, value: object, rule: str, where: str
) -> None:
    if (table, rule) == ("patients", "duplicate_row"):  # a row of somebody unknown is left out, not counted
        frame = pd.concat([PATIENTS.head(1)] * 2)
    else:
        frame = spoiled(table, column, value)
    record = read(**{table: frame})
    errors = record.errors(table)
    assert rule in {problem.rule for problem in errors}, record.problems[table]
    found = next(problem for problem in errors if problem.rule == rule)
    assert found.address.startswith(f"{table}, ")
    assert where in found.address
    assert found.remedy
    assert record.table(table) is None
    assert all(record.table(other) is not None for other in TABLES if other != table)
    told = " ".join(f"{p.message} {p.remedy} {p.seen} {p.address}" for p in record.problems[table])
    assert not any(secret in told for secret in ("Q-17", "Roe", "Somebody", "turns his head"))
    pd.testing.assert_frame_equal(record.visits.table, read().visits.table)


@pytest.mark.parametrize(
    ("table", "frame", "rule"),
    [
        ("sites", spoiled("sites", "twitches", 9, row=2), "sum_differs"),
        ("events", spoiled("events", "what", "Cupping"), "what_unknown"),
        ("diary", DIARY.assign(mood=1), "unknown_column"),
        ("patients", PATIENTS, "unknown_patient"),
    ],
)
def test_a_warning_leaves_the_table_in_use(table: str, frame: pd.DataFrame, rule: str) -> None:
    record = read(**{table: frame})
    assert rule in {problem.rule for problem in record.problems[table]}
    assert record.errors(table) == ()
    assert record.table(table) is not None


@pytest.mark.parametrize("table", TABLES)
def test_a_missing_column_is_named(table: str) -> None:
    for column in ("patient", *(("visit", "hours", "soreness") if table == "diary" else ())):
        record = read(**{table: GOOD[table].drop(columns=column)})
        assert "missing_column" in {problem.rule for problem in record.errors(table)}
        assert record.table(table) is None


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("diary.csv", bytes(range(256)) * 4),
        ("diary.csv", b"PK\x03\x04junk"),
        ("diary.xlsx", b"PK\x03\x04junk"),
    ],
)
def test_a_file_that_cannot_be_opened_is_a_problem_of_its_table_alone(
    tmp_path: Path, file: str, content: bytes
) -> None:
    VISITS.to_csv(tmp_path / "visits.csv", index=False)
    (tmp_path / file).write_bytes(content)
    for record in (
        read_record(tmp_path),
        read_record(tmp_path / "visits.csv", tables={"diary": tmp_path / file}),
    ):
        assert record.diary is None
        assert [problem.rule for problem in record.errors("diary")] == ["unreadable_table"]
        assert record.visits.table.equals(read_record(tmp_path / "visits.csv").visits.table)
    assert "unreadable_table" in {problem.rule for problem in check_record(tmp_path).errors}
    with pytest.raises(SourceError, match="There is no file"):
        read_record(VISITS, tables={"diary": tmp_path / "another.csv"})


def test_an_empty_table_is_not_there() -> None:
    for frame in (DIARY.head(0), pd.DataFrame()):
        record = read(diary=frame)
        assert record.diary is None
        assert record.errors("diary") == ()
        assert record.problems["diary"][0].rule == "empty_table"


def test_all_problems_come_at_once_whatever_the_visits() -> None:
    bad = {"diary": spoiled("diary", "soreness", 11), "sites": spoiled("sites", "side", "front")}
    report = check_record(VISITS, tables={**GOOD, **bad})
    assert {p.rule for p in report.errors} == {"out_of_range", "word_unknown"}
    assert not report.ok
    worse = check_record(VISITS.assign(pain=[77, 5, 4, 6, 6]), tables={**GOOD, **bad})
    assert {p.rule for p in worse.errors} == {"pain_outside_scale", "out_of_range", "word_unknown"}
    with pytest.raises(DataError, match="1 problem"):
        read_record(VISITS.assign(pain=[77, 5, 4, 6, 6]), tables=GOOD)


def workbook(path: Path, names: dict[str, str] | None = None) -> Path:
    with pd.ExcelWriter(path, engine="openpyxl") as writer:
        VISITS.to_excel(writer, sheet_name="Visits", index=False)
        for name, frame in GOOD.items():
            frame.to_excel(writer, sheet_name=(names or {}).get(name, name.capitalize()), index=False)
    return path


def test_a_workbook_a_folder_and_files_say_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "clinic"
    folder.mkdir()
    VISITS.to_csv(folder / "visits.csv", index=False)
    for name, frame in GOOD.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    files = {name: folder / f"{name}.csv" for name in GOOD}
    records = [
        read(),
        read_record(workbook(tmp_path / "clinic.xlsx")),
        read_record(folder),
        read_record(folder / "visits.csv", tables=files),
        read_record(VISITS, tables=dict.fromkeys(GOOD, tmp_path / "clinic.xlsx")),
    ]
    for name in TABLES:
        for record in records[1:]:
            pd.testing.assert_frame_equal(record.table(name), records[0].table(name))  # type: ignore[arg-type]
    assert read_record(folder / "visits.csv").diary is None
    bad = tmp_path / "bad.xlsx"
    with pd.ExcelWriter(bad, engine="openpyxl") as writer:
        spoiled("diary", "soreness", 11).to_excel(writer, sheet_name="diary", index=False)
        VISITS.to_excel(writer, sheet_name="Sheet1", index=False)
    record = read_record(bad)
    assert record.errors("diary")[0].address == "sheet diary, cell D2"
    assert {p.rule for p in record.visits.problems} == {"twitches_blank"}  # no sheet counts as unread


def test_where_tables_come_from_is_checked(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="no table called 'diaries'"):
        read_record(VISITS, tables={"diaries": DIARY})
    with pytest.raises(SourceError, match="no file called visits"):
        read_record(tmp_path)
    for ending in ("csv", "tsv"):
        VISITS.to_csv(tmp_path / f"visits.{ending}", index=False)
    with pytest.raises(SourceError, match="2 files called visits"):
        read_record(tmp_path)
    (tmp_path / "visits.tsv").unlink()
    for ending in ("csv", "tsv"):
        DIARY.to_csv(tmp_path / f"diary.{ending}", index=False)
    with pytest.raises(SourceError, match="2 files called diary"):
        read_record(tmp_path)


def test_columns_of_the_tables_can_be_mapped(tmp_path: Path) -> None:
    toml = tmp_path / "columns.toml"
    toml.write_text('[columns]\npatient = "Pat"\n[tables.diary]\nhours = "Std nach"\npatient = "Pat"\n')
    columns = Columns.from_toml(toml)
    renamed = DIARY.rename(columns={"hours": "Std nach", "patient": "Pat"})
    visits = VISITS.rename(columns={"patient": "Pat"})
    record = read_record(visits, columns=columns, tables={"diary": renamed})
    pd.testing.assert_frame_equal(record.diary, read().diary)  # type: ignore[arg-type]
    with pytest.raises(PlanError, match="no such column"):
        read_record(visits, columns=columns, tables={"diary": DIARY})
    for wrong, what in (
        ({"diary": {"hour": "x"}}, "Did you mean 'hours'"),
        ({"dairy": {}}, "has a table 'dairy'"),
        ({"diary": {"hours": "x", "pain": "x"}}, "for two purposes"),
        ({"diary": {"hours": " "}}, "no name for 'hours'"),
    ):
        with pytest.raises(PlanError, match=what):
            Columns(tables=wrong)
    toml.write_text("[columns]\n[tables]\ndiary = 1\n")
    with pytest.raises(PlanError, match=r"\[tables.diary\]"):
        Columns.from_toml(toml)


def test_visits_by_date_tie_tables_by_date_or_number() -> None:
    dated = VISITS.drop(columns="visit")
    by_date = DIARY.drop(columns="visit").assign(date=["2024-01-01", "2024-01-01", "2024-01-10"])
    for diary in (DIARY, by_date):
        record = read_record(dated, tables={"diary": diary})
        assert record.problems["diary"] == ()
        assert record.diary is not None
        assert record.diary["visit"].tolist() == [1, 1, 2]
    late = by_date.assign(date="2024-01-02")
    assert {p.rule for p in read_record(dated, tables={"diary": late}).errors("diary")} == {"unknown_visit"}
    undated = read_record(VISITS.drop(columns="date"), tables={"events": EVENTS})
    assert undated.events is not None
    assert undated.events["weeks"].notna().sum() == 1  # only what was given in weeks


def test_the_page_has_every_column_of_the_tables() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs/record-tables.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:4] for line in text.splitlines() if line.startswith("| `")]
    said = [(table.strip(" `"), column.strip(" `"), about.strip()) for table, column, about in rows]
    columns = [(name, field) for name, schema in SCHEMAS.items() for field in schema.fields]
    assert said == [(name, field.name, field.about) for name, field in columns]


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("score", 101, "score_outside_instrument"),
        ("score", "about 40", "not_a_number"),
        ("instrument", "my own", "word_unknown"),
        ("visit", 9, "unknown_visit"),
        ("moment", "during", "word_unknown"),
    ],
)
def test_scores_are_held_to_their_instrument(column: str, value: object, rule: str) -> None:
    record = read(scores=spoiled("scores", column, value))
    assert rule in {problem.rule for problem in record.errors("scores")}
    assert record.scores is None
    assert record.visits.n_visits == 5


def test_scores_come_with_the_name_of_their_instrument() -> None:
    scores = read().scores
    assert scores is not None
    assert sorted(scores["instrument"]) == ["hit6", "ndi", "ndi", "nrs"]
    assert scores.set_index(["instrument", "visit"]).loc[("nrs", 1), "moment"] == "after"


def test_a_record_says_what_it_has() -> None:
    record = read()
    assert record.has("diary", "hours", "soreness")
    assert not record.has("diary", "pain")
    assert record.has("visits", "twitches")
    assert record.has_kind("adverse_event")
    assert not record.has_kind("treatment")
    assert not read_record(VISITS).has_kind("advice")
