"""Values as people type them, dates among them, and what a user may settle about a file."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.test_cli import run

from tpr_outcomes.analysis import AnalysisPlan, open_record
from tpr_outcomes.cohort.columns import Columns
from tpr_outcomes.cohort.dates import read_dates
from tpr_outcomes.cohort.labels import replaced
from tpr_outcomes.cohort.raw import texts
from tpr_outcomes.cohort.reading import Reading
from tpr_outcomes.cohort.typed_values import read_number, says_nothing
from tpr_outcomes.cohort.visits import check_visits, read_visits
from tpr_outcomes.errors import PlanError

# --- numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value", "how"),
    [
        ("7", 7, ""),
        ("7.5", 7.5, ""),
        ("7/10", 7, "out_of"),
        ("7 / 10", 7, "out_of"),
        ("7 of 10", 7, "out_of"),
        ("7 out of 10", 7, "out_of"),
        ("7,5/10", 7.5, "out_of"),
        ("10/10", 10, "out_of"),
        ("7,5", 7.5, "comma"),
        ("7,25", 7.25, "comma"),
    ],
)
def test_what_can_mean_one_number_is_read(text: str, value: float, how: str) -> None:
    number = read_number(text, top=10.0)
    assert (number.value, number.how) == (value, how)


@pytest.mark.parametrize(
    "text",
    [
        *("7-8", "7 - 8", "7–8", "7 to 8", "12/10", "7/8", "70/100", "1,234", "7,5,5"),
        *("~7", "<1", "seven", "7?", "7 8", "", "O", "0x7", "1_0", "nan", "inf"),
    ],
)
def test_what_can_mean_two_numbers_or_none_is_not(text: str) -> None:
    assert np.isnan(read_number(text, top=10.0).value)


def test_out_of_another_scale_is_not_rescaled() -> None:
    assert np.isnan(read_number("7/10", top=100.0).value)
    assert read_number("70/100", top=100.0).value == 70


@pytest.mark.parametrize(("rule", "value"), [("lower", 7), ("middle", 7.5), ("upper", 8)])
def test_ranges_are_read_as_settled(rule: str, value: float) -> None:
    assert read_number("7-8", ranges=rule).value == value
    assert np.isnan(read_number("8-7", ranges=rule).value), "backwards is no range"


def test_commas_are_read_as_settled() -> None:
    assert read_number("1,234", commas=True).value == 1.234
    assert np.isnan(read_number("7,5", commas=False).value)


@given(st.integers(0, 10), st.sampled_from(["{}", "{}/10", "{} of 10", "{},0", "{}.0", "{},00"]))
def test_every_way_of_writing_a_rating_gives_the_rating(rating: int, way: str) -> None:
    assert read_number(way.format(rating), top=10.0).value == rating


@given(st.text(max_size=12))
def test_reading_never_fails_and_never_leaves_the_text_behind(text: str) -> None:
    number = read_number(text, top=10.0, ranges="middle")
    assert np.isnan(number.value) or any(sign.isdigit() for sign in text)
    assert not (np.isnan(number.value) and number.how)


def test_blanks_are_blanks_and_none_is_not() -> None:
    cells = texts(["", "-", "–", "NA", "n/a", "N.A.", "?", "not rated", "none", "0", "-99", "x"])
    assert says_nothing(cells).tolist() == [True] * 8 + [False] * 4
    assert says_nothing(cells, ["-99", "X"]).tolist() == [True] * 8 + [False] * 2 + [True] * 2
    assert not says_nothing(texts([])).size


def test_zero_blank_and_not_sought_stay_apart_however_they_are_typed(tmp_path: Path) -> None:
    rows = ["0", "0,0", "", "-", "NA", "not sought", "NS", "Not attempted"]
    lines = [f'A,{i},5,"{cell}"' for i, cell in enumerate(rows, start=1)]
    (path := tmp_path / "x.csv").write_text("\n".join(["patient,visit,pain,twitches", *lines]))
    table = read_visits(path).table
    assert table["twitches"].fillna(-1).tolist() == [0, 0, -1, -1, -1, 0, 0, 0]
    assert table["sought"].tolist() == [True] * 5 + [False] * 3


def test_texts_are_replaced_once_each() -> None:
    assert replaced(texts(["1", "2", "1", "3"]), {"1": "3", "2": ""}).tolist() == ["3", "", "3", "3"]
    assert replaced(texts([]), {"1": "2"}).tolist() == []


# --- dates ----------------------------------------------------------------------------------------


def iso(days: float) -> str:
    return "" if np.isnan(days) else (dt.date(1970, 1, 1) + dt.timedelta(days=days)).isoformat()


@pytest.mark.parametrize(
    "text",
    [
        *("2024-03-05", "2024/3/5", "2024-03-05 09:30", "2024-03-05T09:30:00", "20240305", "5 Mar 2024"),
        *("05-MAR-2024", "05MAR2024", "5. March 2024", "March 5, 2024", "Mar 5 2024", "5th Mar 24"),
        *("45356", "45356.4"),
    ],
)
def test_dates_that_can_be_read_in_one_way(text: str) -> None:
    dates = read_dates(texts([text]))
    assert (iso(dates.days[0]), dates.order, dates.unclear.any()) == ("2024-03-05", "iso", False)


@pytest.mark.parametrize(
    "text", ["2024-02-30", "31/04/2024", "5/2024", "yesterday", "1234", "99999", "2024", "", "13/13/2024"]
)
def test_no_dates(text: str) -> None:
    assert np.isnan(read_dates(texts([text])).days).all()


@pytest.mark.parametrize(
    ("cells", "order", "first"),
    [
        (["05/03/2024", "25/03/2024"], "day first", "2024-03-05"),
        (["03/05/2024", "03/25/2024"], "month first", "2024-03-05"),
        (["05.03.2024", "25.03.2024"], "day first", "2024-03-05"),
        (["05/03/2024", "06/03/2024"], "unclear", ""),
        (["25/03/2024", "03/25/2024"], "unclear", ""),
        (["05/03/24", "25/03/24"], "unclear", ""),
        (["03/05/24", "03/25/24"], "month first", "2024-03-05"),
        (["05/05/2024", "2024-03-05"], "unclear", "2024-05-05"),
        (["25/03/98", "25/03/1998"], "day first", "1998-03-25"),
    ],
)
def test_the_order_is_taken_from_the_column_or_asked_for(cells: list[str], order: str, first: str) -> None:
    dates = read_dates(texts(cells))
    assert (dates.order, iso(dates.days[0])) == (order, first)


def test_the_order_may_be_settled() -> None:
    cells = texts(["05/03/24", "-99", "2024-03-05"])
    day, month = (read_dates(cells, order=order, missing=["-99"]) for order in ("day first", "month first"))
    assert [iso(d) for d in day.days] == ["2024-03-05", "", "2024-03-05"]
    assert [iso(d) for d in month.days] == ["2024-05-03", "", "2024-03-05"]
    assert (day.settled, day.unclear.any(), day.short_year.tolist()) == (True, False, [True, False, False])


@given(st.dates(dt.date(1955, 1, 1), dt.date(2110, 1, 1)))
def test_a_date_comes_back_however_it_is_written(day: dt.date) -> None:
    serial = (day - dt.date(1899, 12, 30)).days
    for text, order in (
        (day.isoformat(), ""),
        (f"{day:%d %b %Y}", ""),
        (f"{day:%d%b%Y}".upper(), ""),
        (f"{day:%B} {day.day}, {day.year}", ""),
        (str(serial), ""),
        (f"{day:%d/%m/%Y}", "day first"),
        (f"{day:%m/%d/%Y}", "month first"),
    ):
        assert iso(read_dates(texts([text]), order=order).days[0]) == day.isoformat(), text


AMBIGUOUS = "patient,date,pain,twitches\nA,05/03/2024,7,1\nA,06/03/2024,6,2\n"


def test_an_unclear_order_is_asked_about_and_the_answer_is_heeded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (path := tmp_path / "clinic.csv").write_text(AMBIGUOUS)
    status, out, _ = run(capsys, "check", path)
    assert status == 4
    assert 'dates = "day first"' in out.replace("\n", " ")
    for order, weeks in (("day first", 1 / 7), ("month first", 31 / 7)):
        (settled := tmp_path / "columns.toml").write_text(f'[file]\ndates = "{order}"\n')
        assert run(capsys, "check", path, "--columns", settled)[0] == 0
        assert read_visits(path, columns=Columns.from_toml(settled)).table["weeks"].tolist() == [0, weeks]
        plan = AnalysisPlan(file={"dates": order})
        assert open_record(str(path), plan)[0].table["weeks"].tolist() == [0, weeks]


# --- settings -------------------------------------------------------------------------------------


def test_every_fault_of_the_settings_is_named_at_once() -> None:
    with pytest.raises(PlanError) as caught:
        Reading.checked(
            {
                "datse": "day first",
                "format": "long",
                "missing": "-99",
                "add": ["pain"],
                "header_row": 0,
                "dictionary": 3,
                "ranges": 1,
            }
        )
    text = str(caught.value)
    for part in (
        "'datse' is not a setting. Did you mean 'dates'?",
        'format is to be "tidy" or "wide" or "redcap".',
        'missing is to be a list, for example missing = ["-99"].',
        "add may hold twitches, insertions, sites, sessions.",
        "header_row is to be a whole number from 1.",
        "dictionary is to be a path in quotes.",
        'ranges is to be "lower" or "middle" or "upper".',
    ):
        assert part in text


def test_paths_of_the_settings_start_from_their_file(tmp_path: Path) -> None:
    (tmp_path / "columns.toml").write_text(
        '[file]\ndictionary = "d.csv"\nmissing = [-99, "unk"]\n[columns]\npain = "NRS"\n'
    )
    columns = Columns.from_toml(tmp_path / "columns.toml")
    assert columns.reading.dictionary == str(tmp_path / "d.csv")
    assert columns.reading.missing == ("-99", "unk")
    assert columns.mapping == {"pain": "NRS"}


def test_the_row_of_names_may_be_settled(tmp_path: Path) -> None:
    (path := tmp_path / "x.csv").write_text("a,b,c,d\nxy,vz,p,t\nA,1,7,1\nA,2,6,2\n")
    names = {"patient": "xy", "visit": "vz", "pain": "p", "twitches": "t"}
    visits = read_visits(path, columns=Columns(names, reading=Reading(header_row=2)))
    assert visits.table["pain"].tolist() == [7, 6]
    with pytest.raises(PlanError, match="header_row = 9; there is no such row"):
        check_visits(path, columns=Columns(reading=Reading(header_row=9)))


def test_a_title_above_the_names_is_passed_over(tmp_path: Path) -> None:
    (path := tmp_path / "x.csv").write_text(
        "Clinic of Dr A; B\n\npatient;visit;pain;twitches\nA;1;7,5;1\nA;2;6;-1\n"
    )
    report = check_visits(path)
    assert [p.address for p in report.errors] == ["line 5, column twitches"]
