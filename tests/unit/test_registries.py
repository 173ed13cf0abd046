"""Records taken piece by piece give what the record read whole gives."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tpr_outcomes as tpr
from tpr_outcomes.cli import main
from tpr_outcomes.cohort import registries
from tpr_outcomes.cohort.derive import changes, ratings
from tpr_outcomes.cohort.registries import derive_registry, made_by
from tpr_outcomes.errors import DataError, OutputError, PlanError, SourceError


def clinic(patients: int = 60, seed: int = 1) -> pa.Table:
    """Visits by calendar day, so that those of one patient lie far apart, with blanks of every kind."""
    rng = np.random.default_rng(seed)
    rows = []
    for p in range(patients):
        day = dt.date(2024, 1, 1) + dt.timedelta(days=int(rng.integers(200)))
        for visit in range(1, int(rng.integers(1, 9)) + 1):
            day += dt.timedelta(days=int(rng.integers(1, 20)))
            pain = None if rng.random() < 0.1 else float(rng.integers(0, 21)) / 2
            count = None if rng.random() < 0.05 else int(rng.poisson(4))
            sought = rng.random() > 0.1
            rows.append(
                (f"P{p:03d}", visit, day, pain, count if sought else None, sought, int(rng.integers(9)))
            )
    rows.sort(key=lambda row: (row[2], row[0]))
    names = ("patient", "visit", "date", "pain", "twitches", "sought", "insertions")
    return pa.table({name: [row[i] for row in rows] for i, name in enumerate(names)})


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry of which each piece holds a few patients."""
    monkeypatch.setattr(registries, "PIECE", 40)
    pq.write_table(clinic(), tmp_path / "registry.parquet")
    return tmp_path / "registry.parquet"


@pytest.mark.parametrize("rated", ["before", "after"])
@pytest.mark.parametrize("dose", ["twitches", "insertions"])
def test_the_same_rows_come_out_as_from_the_record_read_whole(path: Path, rated: str, dose: str) -> None:
    out = path.with_name("derived.parquet")
    report = derive_registry(path, out, rated=rated, dose=dose)  # type: ignore[arg-type]
    visits = tpr.read_visits(path, rated=rated)  # type: ignore[arg-type]
    found, moved = ratings(visits, dose=dose), changes(visits)
    derived = pq.read_table(out).to_pandas()
    assert (report.rows, report.patients) == (visits.n_visits, visits.n_patients)
    assert report.ratings == found.row.size
    assert report.left_out == found.left_out_counts
    for name in ("patient", "visit", "weeks", "pain", "twitches", "sought"):
        np.testing.assert_array_equal(derived[name], visits.table[name])
    np.testing.assert_array_equal(derived["change"], moved.change)
    used = derived[derived["left_out"] == ""]
    np.testing.assert_array_equal(used.index, found.row)
    for name in ("dose_before", "dose_last", "visits_before"):
        np.testing.assert_array_equal(used[name], getattr(found, name))
    assert (derived["left_out"] == "baseline").sum() == found.n_patients


def test_the_same_problems_are_found(path: Path) -> None:
    report = derive_registry(path)
    whole = tpr.check_visits(path)
    expected = {(f.severity, f.rule): (f.count, set(f.addresses)) for f in whole.summary(places=10_000)}
    got = {key: (found.count, set(found.addresses)) for key, found in report.by_rule.items()}
    assert {key: n for key, (n, _) in got.items()} == {key: n for key, (n, _) in expected.items()}
    for key, (_, places) in got.items():
        assert places <= expected[key][1]


def test_errors_stop_the_output_and_are_counted_to_the_end(path: Path) -> None:
    frame = pq.read_table(path).to_pandas()
    frame.loc[[3, len(frame) - 1], "pain"] = 70.0
    pq.write_table(pa.Table.from_pandas(frame), path)
    out = path.with_name("derived.parquet")
    with pytest.raises(DataError, match="2 problems have to be mended"):
        derive_registry(path, out)
    report = derive_registry(path)
    assert not report.ok
    assert report.by_rule["error", "pain_outside_scale"].count == 2
    assert "row 4, column pain" in report.by_rule["error", "pain_outside_scale"].addresses
    assert sorted(p.name for p in path.parent.iterdir()) == ["registry.parquet"]


def test_patients_drawn_by_lot_are_whole_and_the_same_again(path: Path) -> None:
    one, again, other = (path.with_name(f"{name}.parquet") for name in ("one", "again", "other"))
    report = derive_registry(path, one, patients=20, seed=3)
    derive_registry(path, again, patients=20, seed=3)
    derive_registry(path, other, patients=20, seed=4)
    assert report.patients == 20
    assert one.read_bytes() == again.read_bytes() != other.read_bytes()
    visits = tpr.read_visits(path).table
    drawn = pq.read_table(one).to_pandas()
    whole = {tuple(g["pain"].fillna(-1)) for _, g in visits.groupby("patient")}
    assert all(tuple(g["pain"].fillna(-1)) in whole for _, g in drawn.groupby("patient"))
    assert derive_registry(path, patients=10_000).patients == tpr.read_visits(path).n_patients
    with pytest.raises(PlanError, match="1 or more"):
        derive_registry(path, patients=0)


def test_every_patient_is_equally_likely_to_be_drawn(tmp_path: Path) -> None:
    path, out = tmp_path / "r.parquet", tmp_path / "d.parquet"
    who = [f"P{p}" for p in range(8) for _ in range(2)]
    pain = [float(p) for p in range(8) for _ in range(2)]
    pq.write_table(pa.table({"patient": who, "visit": [1, 2] * 8, "pain": pain, "twitches": [1] * 16}), path)
    times, lots = np.zeros(8), 100
    for seed in range(lots):
        derive_registry(path, out, patients=4, seed=seed)
        times[pq.read_table(out).column("pain").to_numpy()[::2].astype(int)] += 1
    assert times.sum() == 4 * lots
    # Each is drawn half the time: binomial standard deviation 5; 4 of them, eight patients.
    assert (np.abs(times - lots / 2) < 4 * 5).all()


def test_what_is_derived_can_be_evaluated(path: Path) -> None:
    out = path.with_name("derived.parquet")
    derive_registry(path, out)
    again, first = tpr.read_visits(out), tpr.read_visits(path)
    pd.testing.assert_frame_equal(
        again.table[["patient", "visit", "pain", "twitches", "sought"]],
        first.table[["patient", "visit", "pain", "twitches", "sought"]],
    )


@pytest.mark.parametrize(
    ("name", "column", "message"),
    [
        ("pain", pa.array(["7/10", "6"]), "has to hold numbers"),
        ("visit", pa.array([True, False]), "has to hold numbers"),
        ("date", pa.array(["05/03/2024", "06/03/2024"]), "has to hold dates"),
        ("patient", pa.array(["A", "A "]), "blanks before or behind"),
        ("patient", pa.array(["A", "A\u00a0"]), "blanks before or behind"),
        ("twitches", None, "There is no column twitches"),
    ],
)
def test_columns_that_do_not_say_what_they_mean(
    tmp_path: Path, name: str, column: pa.Array | None, message: str
) -> None:
    table = pa.table({"patient": ["A", "A"], "visit": [1, 2], "pain": [7.0, 6.0], "twitches": [3, 4]})
    table = table.append_column("date", pa.array([dt.date(2024, 3, 5), dt.date(2024, 3, 6)]))
    kept = table.drop_columns([name])
    path = tmp_path / "r.parquet"
    pq.write_table(kept if column is None else kept.append_column(name, column), path)
    with pytest.raises(SourceError, match=message):
        derive_registry(path)


def test_files_that_cannot_be_read_and_places_that_cannot_be_written(path: Path) -> None:
    cut = path.with_name("cut.parquet")
    cut.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(SourceError, match="cannot be read as Parquet"):
        derive_registry(cut)
    with pytest.raises(SourceError, match="There is no file"):
        derive_registry(path.with_name("none.parquet"))
    with pytest.raises(OutputError, match="could not be written"):
        derive_registry(path, path.parent / "nowhere" / "d.parquet")


def test_the_command(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = path.with_name("derived.parquet")
    assert main(["derive", str(path), "--out", str(out)]) == 0
    assert made_by(out)
    said = capsys.readouterr().out
    assert "with a known dose before them." in said
    assert "Doses before every rating" in said
    assert main(["derive", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["patients"] == 60
    assert main(["derive", str(path), "--out", str(path)]) == OutputError.exit_code
    assert main(["derive", "clinic.csv"]) == SourceError.exit_code
    assert not made_by(path)
