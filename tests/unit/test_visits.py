"""Reading a record: what arrives in the table, and what never does."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpr_outcomes.cohort.scales import SCALES
from tpr_outcomes.cohort.visits import (
    CheckReport,
    Columns,
    Source,
    Visits,
    check_visits,
    read_visits,
)
from tpr_outcomes.errors import DataError, PlanError, SourceError

NAN = float("nan")

CLINIC = """\
patient,visit,date,pain,twitches,insertions,therapist,region,sex,age,stop_reason
Q-17,2,2024-01-11,5,not sought,4,Ann,Neck ,F,40,
Q-17,1,2024-01-01,7,5,10,Bob,neck,F,40,
P-03,1,2024-02-01,8,0,12,Bob,back,m,61.5,
,,,,,,,,,,
P-03,3,2024-02-22,6,NA,,bob,back,m,61.5,Better
P-03,2,2024-02-08,,3,12,Ann,back,m,61.5,
"""


def save(folder: Path, content: str | bytes, name: str = "visits.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_small_clinic_by_hand(tmp_path: Path) -> None:
    path = save(tmp_path, CLINIC)
    visits = read_visits(path)
    expected = pd.DataFrame(
        {
            "patient": np.array([0, 0, 1, 1, 1]),
            "visit": np.array([1, 2, 1, 2, 3]),
            "weeks": [0.0, 10 / 7, 0.0, 1.0, 3.0],
            "pain": [7.0, 5.0, 8.0, NAN, 6.0],
            "twitches": [5.0, 0.0, 0.0, 3.0, NAN],
            "sought": [True, False, True, True, True],
            "insertions": [10.0, 4.0, 12.0, 12.0, NAN],
            "age": [40.0, 40.0, 61.5, 61.5, 61.5],
            "therapist": pd.array(["T2", "T1", "T2", "T1", "T2"], dtype="str"),
            "region": pd.array(["neck", "neck", "back", "back", "back"], dtype="str"),
            "sex": pd.array(["f", "f", "m", "m", "m"], dtype="str"),
            "stop_reason": pd.array([None, None, None, None, "better"], dtype="str"),
        }
    )
    pd.testing.assert_frame_equal(visits.table, expected)
    assert (visits.n_patients, visits.n_visits) == (2, 5)
    assert visits.source == Source("csv", hashlib.sha256(path.read_bytes()).hexdigest(), 6)
    assert [(item.address, item.rule) for item in visits.left_out] == [("line 5", "empty_row")]
    assert [problem.rule for problem in visits.problems] == ["twitches_blank", "pain_blank"]
    assert visits.rated == "before"
    assert visits.scale is SCALES["nrs"]


def test_zero_not_recorded_and_not_sought_stay_three_things() -> None:
    frame = pd.DataFrame(
        {
            "patient": "A",
            "visit": [1, 2, 3, 4, 5],
            "pain": [7, 6, 5, 4, 3],
            "twitches": ["0", "", "NS", "", "2"],
            "sought": ["yes", "", "", "0", True],
        }
    )
    table = read_visits(frame).table
    np.testing.assert_array_equal(table["twitches"], [0, NAN, 0, 0, 2])
    assert table["sought"].tolist() == [True, True, False, False, True]


def test_no_identifier_is_kept(tmp_path: Path) -> None:
    visits = read_visits(save(tmp_path, CLINIC.replace("Q-17", "Jane Roe").replace("Ann", "Dr Smith")))
    text = repr(visits) + visits.table.to_csv()
    assert "Roe" not in text
    assert "Smith" not in text.replace("smith", "Smith")
    assert str(tmp_path) not in text


def test_excel_frame_and_text_give_the_same_table(tmp_path: Path) -> None:
    frame = pd.read_csv(io.StringIO(CLINIC), parse_dates=["date"]).dropna(how="all")
    frame.to_excel(tmp_path / "clinic.xlsx", sheet_name="Visits", index=False)
    semicolons = CLINIC.replace(",", ";").replace("61.5", "61,5")
    sources = [
        save(tmp_path, CLINIC),
        save(tmp_path, CLINIC.replace(",", "\t"), "visits.tsv"),
        save(tmp_path, semicolons.encode("utf-8-sig"), "excel.csv"),
        tmp_path / "clinic.xlsx",
        frame,
    ]
    first, *others = [read_visits(source) for source in sources]
    for other in others:
        pd.testing.assert_frame_equal(other.table, first.table)
    assert [read_visits(source).source.kind for source in sources] == ["csv", "csv", "csv", "excel", "frame"]


def test_visits_are_numbered_by_date_or_weeks_where_there_is_no_number() -> None:
    frame = pd.DataFrame(
        {
            "patient": ["A", "B", "A", "A"],
            "date": ["08/01/2024", "31/01/2024", "01/01/2024", "22/01/2024"],
            "pain": [6, 5, 7, 4],
            "twitches": 1,
        }
    )
    visits = read_visits(frame)
    assert visits.table["visit"].tolist() == [1, 2, 3, 1]
    assert visits.table["weeks"].tolist() == [0, 1, 3, 0]
    assert visits.table["pain"].tolist() == [7, 6, 4, 5]
    weeks = frame.drop(columns="date").assign(weeks=[3.5, 0.0, 2.0, 7.0])
    assert read_visits(weeks).table["weeks"].tolist() == [0, 1.5, 5, 0]
    assert read_visits(weeks).table["visit"].tolist() == [1, 2, 3, 1]


def test_a_blank_date_takes_the_weeks_away_from_everyone(tmp_path: Path) -> None:
    visits = read_visits(save(tmp_path, CLINIC.replace("2024-02-08", "")))
    assert "weeks" not in visits.table
    assert "time_blank" in {problem.rule for problem in visits.problems}


def test_the_users_own_column_names(tmp_path: Path) -> None:
    content = CLINIC.replace("patient,", "PatID,").replace("pain,", "NRS now,")
    path = save(tmp_path, content, "own.csv")
    found = check_visits(path)
    assert found.guess == {"patient": "PatID", "pain": "NRS now"}
    with pytest.raises(DataError, match='map it: patient = "PatID"'):
        read_visits(path)
    table = read_visits(path, columns=Columns({"patient": "PatID", "pain": "nrs NOW"})).table
    pd.testing.assert_frame_equal(table, read_visits(save(tmp_path, CLINIC)).table)
    toml = tmp_path / "columns.toml"
    toml.write_text('[columns]\npatient = "PatID"\npain = "NRS now"\n')
    assert Columns.from_toml(toml) == Columns({"patient": "PatID", "pain": "NRS now"})
    pd.testing.assert_frame_equal(read_visits(path, columns=Columns.from_toml(toml)).table, table)
    problem = check_visits(save(tmp_path, content.replace("Q-17,1,2024-01-01,7", "Q-17,1,2024-01-01,77")),
                           columns={"patient": "PatID", "pain": "NRS now"}).errors[0]  # fmt: skip
    assert (problem.address, problem.column) == ("line 3, column NRS now", "NRS now")


def test_a_column_map_can_give_one_of_two_columns_of_the_same_meaning() -> None:
    frame = pd.DataFrame(
        {"patient": "A", "visit": [1, 2], "pain": [9, 9], "pain after": [3, 2], "twitches": 1}
    )
    visits = read_visits(frame, columns={"pain": "pain after"}, rated="after")
    assert visits.table["pain"].tolist() == [3, 2]
    assert visits.rated == "after"
    assert [problem.column for problem in visits.problems] == ["pain"]


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (
            '[columns]\npatiant = "x"',
            PlanError,
            r"'patiant', which is not a column .* Did you mean 'patient'\?",
        ),
        ('[columns]\npatient = ""', PlanError, "no name for 'patient'"),
        ("[columns]\npatient = 3", PlanError, "in quotes for 'patient'"),
        ('[columns]\npain = "x"\ntwitches = "x "', PlanError, "for two purposes"),
        ('patient = "x"', PlanError, r"no \[columns\] table"),
        ("[columns", PlanError, "not valid TOML"),
    ],
)
def test_bad_column_maps(tmp_path: Path, content: str, error: type[Exception], message: str) -> None:
    path = save(tmp_path, content, "columns.toml")
    with pytest.raises(error, match=message):
        Columns.from_toml(path)


def test_settings_that_do_not_fit(tmp_path: Path) -> None:
    path = save(tmp_path, CLINIC)
    with pytest.raises(SourceError, match="column map cannot be opened"):
        Columns.from_toml(tmp_path / "none.toml")
    with pytest.raises(PlanError, match=r"pain is the column 'pian'; the file has no such .* mean 'pain'"):
        check_visits(path, columns={"pain": "pian"})
    with pytest.raises(PlanError, match="no scale called 'nsr'"):
        check_visits(path, scale="nsr")
    with pytest.raises(PlanError, match="write 'before' or 'after'"):
        check_visits(path, rated="during")  # type: ignore[arg-type]
    with pytest.raises(SourceError, match="There is no file"):
        check_visits(tmp_path / "none.csv")


def test_data_errors_count_show_the_first_and_carry_all(tmp_path: Path) -> None:
    bad = (
        CLINIC.replace(",7,", ",7-8,")
        .replace(",8,", ",18,")
        .replace(",5,not", ",x,not")
        .replace(",3,12", ",-3,12")
    )
    with pytest.raises(DataError) as caught:
        read_visits(save(tmp_path, bad))
    text = str(caught.value)
    assert text.startswith(
        "4 problems have to be mended before this record can be read.\nline 2, column pain: "
    )
    assert "line 3, column pain: pain is 7-8, not a number. Write one number" in text
    assert text.endswith("… and 1 more.")
    report = check_visits(save(tmp_path, bad))
    assert caught.value.problems == report.problems
    assert len(report.errors) == 4
    assert len(report.warnings) == 2
    single = CLINIC.replace(",7,", ",70,")
    with pytest.raises(DataError, match=r"^1 problem has to be mended"):
        read_visits(save(tmp_path, single))
    assert read_visits(save(tmp_path, single), scale="vas").table["pain"].max() == 70


def test_check_report_counts_groups_and_lists(tmp_path: Path) -> None:
    report = check_visits(save(tmp_path, CLINIC.replace(",7,", ",x,").replace(",8,", ",y,")))
    assert isinstance(report, CheckReport)
    assert (report.n_rows, report.n_patients, report.ok) == (5, 2, False)
    assert report.columns["pain"] == "pain"
    first, *rest = report.summary(places=1)
    assert (first.rule, first.severity, first.count, first.addresses) == (
        "pain_not_a_number", "error", 2, ("line 3, column pain",),
    )  # fmt: skip
    assert {item.severity for item in rest} == {"warning"}
    frame = report.to_frame()
    assert list(frame.columns) == ["rule", "severity", "address", "column", "seen", "message", "remedy"]
    assert len(frame) == 4
    assert len(check_visits(save(tmp_path, "")).to_frame()) == 1


def arrays(**changes: object) -> dict[str, object]:
    return {"patient": [0, 0, 1], "visit": [1, 2, 1], "pain": [7, 6, 5], "twitches": [1, 2, 3]} | changes


def test_from_arrays_has_the_same_columns_in_the_same_types() -> None:
    visits = Visits.from_arrays(
        **arrays(weeks=[0, 1, 0], therapist=["a", "b", "a"], sessions=[1.0, 2.0, 3.0])
    )  # type: ignore[arg-type]
    assert list(visits.table.columns[:6]) == ["patient", "visit", "weeks", "pain", "twitches", "sought"]
    types = visits.table.dtypes.astype(str).to_dict()
    assert (types["patient"], types["visit"], types["pain"], types["sought"]) == (
        "int64",
        "int64",
        "float64",
        "bool",
    )
    assert visits.table["sought"].all()
    assert (visits.n_patients, visits.source.kind, visits.source.rows_read) == (2, "simulated", 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pain": [7, 6]}, r"'pain' has shape \(2,\); every column needs \(3,\)"),
        ({"patient": [0, 1, 0]}, "ascending order without gaps"),
        ({"patient": [1, 1, 2]}, "ascending order without gaps"),
        ({"patient": [0, 0, 2]}, "ascending order without gaps"),
        ({"visit": [2, 2, 1]}, "must ascend within a patient"),
        ({"visit": [0, 1, 1]}, "start at 1; the smallest seen is 0"),
    ],
)
def test_from_arrays_looks_at_shape_and_order(changes: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Visits.from_arrays(**arrays(**changes))  # type: ignore[arg-type]


def test_with_table_takes_a_subset_and_renumbers(tmp_path: Path) -> None:
    visits = read_visits(save(tmp_path, CLINIC))
    back = visits.with_table(visits.table[visits.table["region"] == "back"])
    assert back.n_patients == 1
    assert back.table["patient"].tolist() == [0, 0, 0]
    assert back.table.index.tolist() == [0, 1, 2]
    assert back.source == visits.source
    assert visits.table["patient"].tolist() == [0, 0, 1, 1, 1]
    assert visits.with_table(visits.table.iloc[:0]).n_patients == 0
    with pytest.raises(DataError, match="no column pain, sought"):
        visits.with_table(visits.table.drop(columns=["pain", "sought"]))
    with pytest.raises(DataError, match="not together"):
        visits.with_table(visits.table.iloc[[0, 2, 1]])
    with pytest.raises(DataError, match="must ascend"):
        visits.with_table(visits.table.iloc[[1, 0]])


# --- properties -----------------------------------------------------------------------------------

START = dt.date(2024, 1, 1)


@st.composite
def clinics(draw: st.DrawFn) -> list[dict[str, str]]:
    """Rows of a clinic's file, as text, each patient's rows together."""
    rows = []
    for patient in range(draw(st.integers(1, 5))):
        day = draw(st.integers(0, 400))
        for visit in range(1, draw(st.integers(1, 6)) + 1):
            day += draw(st.integers(1, 30))
            rows.append(
                {
                    "patient": f"K{97 * (patient + 3) % 41}",
                    "visit": str(visit),
                    "date": (START + dt.timedelta(days=day)).isoformat(),
                    "pain": draw(st.sampled_from(["", "NA", *map(str, range(11)), "2.5"])),
                    "twitches": draw(st.sampled_from(["", "not sought", "0", "1", "7", "23"])),
                    "region": draw(st.sampled_from(["", "neck", "Back"])),
                }
            )
    return rows


def written(rows: list[dict[str, str]], delimiter: str = ",") -> Visits:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "visits.csv"
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, fieldnames=list(rows[0]), delimiter=delimiter)
            writer.writeheader()
            writer.writerows(rows)
        return read_visits(path)


@settings(max_examples=60, deadline=None)
@given(clinics())
def test_what_is_written_is_what_is_read(rows: list[dict[str, str]]) -> None:
    table = written(rows).table
    blank = {"", "NA", "not sought"}
    np.testing.assert_array_equal(
        table["pain"], [NAN if r["pain"] in blank else float(r["pain"]) for r in rows]
    )
    doses = [0.0 if r["twitches"] == "not sought" else float(r["twitches"] or "nan") for r in rows]
    np.testing.assert_array_equal(table["twitches"], doses)
    assert table["sought"].tolist() == [r["twitches"] != "not sought" for r in rows]
    again = table.assign(twitches=table["twitches"].astype(object).where(table["sought"], "not sought"))
    pd.testing.assert_frame_equal(read_visits(again.drop(columns=["sought"])).table, table)


@settings(max_examples=60, deadline=None)
@given(clinics(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter_but_for_the_numbering_of_patients(
    rows: list[dict[str, str]], random: object
) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    original, mixed = written(rows), written(shuffled)
    names = list(dict.fromkeys(row["patient"] for row in rows))
    code = {name: i for i, name in enumerate(dict.fromkeys(row["patient"] for row in shuffled))}
    back = pd.concat([mixed.table[mixed.table["patient"] == code[name]] for name in names])
    pd.testing.assert_frame_equal(original.table, mixed.with_table(back).table)
    within = sorted(shuffled, key=lambda row: names.index(row["patient"]))  # patients in their first order
    pd.testing.assert_frame_equal(written(within, ";").table, original.table)
