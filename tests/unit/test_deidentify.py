"""A record to share: intervals kept, dates and codes that only the key repeats, and its risk."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpr_outcomes.cli import main
from tpr_outcomes.cohort.risk import reidentification_risk, risk_by_columns
from tpr_outcomes.cohort.secret import keyed, load_key
from tpr_outcomes.cohort.visits import read_visits
from tpr_outcomes.errors import PlanError, SourceError

N = 12


@pytest.fixture
def clinic(tmp_path: Path) -> Path:
    rows = []
    for p in range(N):
        for v in range(3):
            day = np.datetime64("2022-03-01") + np.timedelta64(5 * p + (0, 7, 21)[v], "D")
            age = (97, 91, 34, 35)[p % 4]
            stop = "quarrel with sister" if p == 0 and v == 2 else "better" if v == 2 else ""
            region = "=cmd" if p == 1 else "back"
            rows.append(f"Smith{p},{v + 1},{day},{8 - v},{p % 5},{region},{age},{stop},Dr{p % 2}")
    path = tmp_path / "clinic.csv"
    head = "patient,visit,date,pain,twitches,region,age,stop_reason,therapist"
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


def shared(clinic: Path, out: Path, *options: str) -> pd.DataFrame:
    assert main(["deidentify", str(clinic), str(out), *options]) == 0
    return pd.read_csv(out)


def test_intervals_ratings_and_doses_stay(clinic: Path, tmp_path: Path) -> None:
    made = shared(clinic, tmp_path / "out.csv")
    assert made.shape[0] == 3 * N
    days = pd.to_datetime(made["date"])
    for _, group in made.groupby("patient"):
        gaps = days[group.index].diff().dt.days.dropna().tolist()
        assert gaps == [7, 14]
        assert group["pain"].tolist() == [8, 7, 6]
    before = read_visits(clinic)
    assert Counter(made["twitches"]) == Counter(before.table["twitches"])


def test_what_was_shared_is_read_as_it_was(clinic: Path, tmp_path: Path) -> None:
    shared(clinic, tmp_path / "out.csv")
    before, after = read_visits(clinic).table, read_visits(tmp_path / "out.csv").table
    same = ["visit", "weeks", "pain", "twitches"]
    key = [tuple(map(tuple, group[same].to_numpy())) for _, group in before.groupby("patient")]
    again = [tuple(map(tuple, group[same].to_numpy())) for _, group in after.groupby("patient")]
    assert Counter(key) == Counter(again)


def test_every_patient_is_moved_by_days_of_their_own(clinic: Path, tmp_path: Path) -> None:
    made = shared(clinic, tmp_path / "out.csv", "--key", str(tmp_path / "key"))
    secret, _ = load_key(tmp_path / "key")
    first = pd.to_datetime(made.groupby("patient")["date"].first())
    shifts = []
    for p in range(N):
        code = f"P{keyed(secret, 'patient', f'Smith{p}'):064x}"[:9]
        shifts.append((first[code] - pd.Timestamp("2022-03-01") - pd.Timedelta(days=5 * p)).days)
    assert all(0 < abs(days) <= 365 for days in shifts)
    assert len(set(shifts)) > N - 3


def test_the_key_repeats_and_nothing_else_does(clinic: Path, tmp_path: Path) -> None:
    key = str(tmp_path / "key")
    for name, options in (("a", ["--key", key]), ("b", ["--key", key]), ("c", []), ("d", [])):
        shared(clinic, tmp_path / f"{name}.csv", *options)
    read = {name: (tmp_path / f"{name}.csv").read_bytes() for name in "abcd"}
    assert read["a"] == read["b"]
    assert len(set(read.values())) == 3
    assert Path(key).stat().st_mode & 0o077 == 0
    assert Path(key).read_text().strip() not in read["a"].decode()


def test_codes_say_nothing_of_the_order_of_the_record(clinic: Path, tmp_path: Path) -> None:
    """Of 20 keys, the order of the codes is that of the record in about half of all pairs."""
    agree = []
    for i in range(20):
        secret = bytes([i]) * 32
        codes = [keyed(secret, "patient", f"Smith{p}") for p in range(N)]
        agree += [codes[a] < codes[b] for a in range(N) for b in range(a + 1, N)]
    assert abs(np.mean(agree) - 0.5) < 0.1  # 1,320 pairs of 20 orders: about 4 standard errors


def test_people_words_and_ages_are_pooled(clinic: Path, tmp_path: Path) -> None:
    made = shared(clinic, tmp_path / "out.csv")
    assert set(made["age"]) == {34, 35, 90}
    assert set(made["region"].dropna()) == {"back", "other"}
    assert set(made["stop_reason"].dropna()) == {"better", "other"}
    assert set(made["therapist"]) == {"T1", "T2"}
    text = (tmp_path / "out.csv").read_text()
    assert "Smith" not in text
    assert "2022-03-01" not in text.splitlines()[1]
    banded = shared(clinic, tmp_path / "banded.csv", "--age-band", "10")
    assert set(banded["age"]) == {30, 90}


def test_a_workbook_holds_every_table(clinic: Path, tmp_path: Path) -> None:
    diary = tmp_path / "diary.csv"
    diary.write_text("patient,visit,hours,soreness\nSmith0,1,24,5\nSmith3,2,6,2\n", encoding="utf-8")
    out = tmp_path / "out.xlsx"
    assert main(["deidentify", str(clinic), str(out), "--diary", str(diary)]) == 0
    book = openpyxl.load_workbook(out)
    assert book.sheetnames == ["visits", "diary"]
    codes = {row[0] for row in book["visits"].iter_rows(min_row=2, values_only=True)}
    assert {row[0] for row in book["diary"].iter_rows(min_row=2, values_only=True)} < codes


def test_faults_are_named(clinic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.csv"
    assert main(["deidentify", str(clinic), str(out), "--quasi", "height"]) == 5
    assert "no column height" in capsys.readouterr().err
    assert not out.exists()
    assert main(["deidentify", str(clinic), str(clinic)]) == 6
    assert main(["deidentify", str(clinic), str(tmp_path / "out.txt")]) == 6
    (tmp_path / "short").write_text("abc")
    with pytest.raises(SourceError, match="at least 16"):
        load_key(tmp_path / "short")


# --- risk -----------------------------------------------------------------------------------------

SWEENEY = pd.DataFrame(
    [
        ("black", 1965, "m", "0214*"), ("black", 1965, "m", "0214*"), ("black", 1965, "f", "0213*"),
        ("black", 1965, "f", "0213*"), ("black", 1964, "f", "0213*"), ("black", 1964, "f", "0213*"),
        ("white", 1964, "m", "0213*"), ("white", 1964, "m", "0213*"), ("white", 1964, "m", "0213*"),
        ("white", 1967, "m", "0213*"), ("white", 1967, "m", "0213*"),
    ],
    columns=["race", "birth", "gender", "zip"],
)  # fmt: skip


def test_a_published_table_has_its_k() -> None:
    """Sweeney 2002, figure 2: 2-anonymous over race, birth, gender and zip."""
    risk = reidentification_risk(SWEENEY, ("race", "birth", "gender", "zip"), minimum=3)
    assert (risk.patients, risk.groups, risk.k, risk.alone, risk.few) == (11, 5, 2, 0, 8)
    assert risk.highest == 0.5
    assert risk.average == pytest.approx(5 / 11)
    assert len(risk_by_columns(SWEENEY, tuple(SWEENEY.columns))) == 15


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from([1.0, 2.0, np.nan])),
        min_size=1,
        max_size=20,
    )
)
@settings(max_examples=40, deadline=None)
def test_risk_is_what_counting_by_hand_gives(rows: list[tuple[str | None, float]]) -> None:
    frame = pd.DataFrame(rows, columns=["x", "y"])
    keys = [(x or "", "" if np.isnan(y) else y) for x, y in rows]
    groups = Counter(keys)
    risk = reidentification_risk(frame, ("x", "y"), minimum=3)
    assert risk.groups == len(groups)
    assert risk.k == min(groups.values())
    assert risk.alone == sum(n for n in groups.values() if n == 1)
    assert risk.few == sum(n for n in groups.values() if n < 3)
    assert risk.average == pytest.approx(np.mean([1 / groups[key] for key in keys]))


def test_a_column_has_to_be_named() -> None:
    with pytest.raises(PlanError, match="at least one"):
        reidentification_risk(SWEENEY, ())
