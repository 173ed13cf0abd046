"""Published arms: every fault of a file at once, nothing without its source, nothing mixed."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tpr_outcomes.cli import main
from tpr_outcomes.cohort.arms import COLUMNS, read_arms, select_arms
from tpr_outcomes.errors import DataError, PlanError, SourceError

GOOD = {
    "study_id": "made up 1", "doi": "10.0000/none", "page_or_table": "table 2", "arm": "four", "n": "25",
    "ltr_dose_assigned": "4", "ltr_observed_mean": "3.9", "ltr_observed_sd": "0.4", "sessions": "1",
    "interval_days": "NA", "scale": "nrs", "time_hours": "24", "mean": "3.2", "sd": "1.5",
    "sd_is_se_flag": "0", "assigned_or_observed": "assigned", "extractor": "AB", "verified_by": "CD",
}  # fmt: skip


def file_of(tmp_path: Path, *rows: dict[str, str]) -> Path:
    path = tmp_path / "arms.csv"
    lines = [",".join(COLUMNS), *(",".join({**GOOD, **row}[name] for name in COLUMNS) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def problems(path: Path) -> list[tuple[str, str]]:
    with pytest.raises(DataError) as caught:
        read_arms(path)
    return [(p.rule, p.address) for p in caught.value.problems]  # type: ignore[attr-defined]


def test_the_file_that_ships_holds_no_arm(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert read_arms(root / "evidence" / "arms.csv") == ()
    assert main(["evidence", str(root / "evidence" / "arms.csv")]) == 0
    assert "no arm yet" in capsys.readouterr().out


def test_an_arm_is_read(tmp_path: Path) -> None:
    (arm,) = read_arms(file_of(tmp_path, {}))
    assert (arm.study, arm.n, arm.assigned, arm.observed, arm.kind) == ("made up 1", 25, 4.0, 3.9, "assigned")
    assert (arm.scale, arm.hours, arm.mean, arm.sd, arm.verified) == ("nrs", 24.0, 3.2, 1.5, True)


def test_a_standard_error_becomes_a_standard_deviation(tmp_path: Path) -> None:
    (arm,) = read_arms(file_of(tmp_path, {"sd": "0.3", "sd_is_se_flag": "1"}))
    assert arm.sd == pytest.approx(0.3 * math.sqrt(25))


def test_until_no_more_came_is_a_dose_without_a_number(tmp_path: Path) -> None:
    (arm,) = read_arms(file_of(tmp_path, {"ltr_dose_assigned": "exhaustion"}))
    assert math.isinf(arm.assigned)


@pytest.mark.parametrize(("by", "verified"), [("CD", True), ("AB", False), ("NA", False), ("", False)])
def test_checked_means_checked_by_somebody_else(tmp_path: Path, by: str, verified: bool) -> None:
    (arm,) = read_arms(file_of(tmp_path, {"verified_by": by}))
    assert arm.verified is verified


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("doi", ""), ("doi", "NA"), ("doi", "doi.org/10.1/x"), ("page_or_table", ""), ("study_id", ""),
        ("arm", ""), ("n", "1"), ("n", "12.5"), ("n", "many"), ("ltr_dose_assigned", "-1"),
        ("ltr_dose_assigned", "NA"), ("sessions", "0"), ("scale", "happiness"), ("time_hours", "-2"),
        ("mean", "low"), ("mean", "inf"), ("sd", "0"), ("sd", "-1"), ("sd_is_se_flag", "maybe"),
        ("assigned_or_observed", "both"), ("ltr_observed_mean", "some"),
    ],
)  # fmt: skip
def test_each_fault_is_named_with_its_place(tmp_path: Path, column: str, value: str) -> None:
    assert (f"arm_{column}", f"line 3, column {column}") in problems(
        file_of(tmp_path, {"arm": "none", "ltr_dose_assigned": "0"}, {column: value})
    )


def test_all_faults_at_once_and_an_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = file_of(tmp_path, {"doi": "", "n": "1"}, {"page_or_table": "", "arm": "other"})
    assert len(problems(path)) == 3
    assert main(["evidence", str(path)]) == 4
    said = capsys.readouterr().err
    assert "line 2" in said
    assert "line 3" in said
    assert "Traceback" not in said


def test_an_arm_twice(tmp_path: Path) -> None:
    assert problems(file_of(tmp_path, {}, {"mean": "3.0"})) == [
        ("arm_twice", "line 2"),
        ("arm_twice", "line 3"),
    ]


def test_another_header_or_a_line_too_short(tmp_path: Path) -> None:
    path = tmp_path / "arms.csv"
    path.write_text("study,n\na,3\n", encoding="utf-8")
    with pytest.raises(DataError, match="first line has to be"):
        read_arms(path)
    path.write_text(",".join(COLUMNS) + "\na,10.1/x\n", encoding="utf-8")
    assert ("arm_study_id", "line 2, column study_id") in problems(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        read_arms(tmp_path / "nowhere.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00study")
    with pytest.raises((SourceError, DataError)):
        read_arms(tmp_path / "bytes.csv")


def test_one_instrument_and_time(tmp_path: Path) -> None:
    arms = read_arms(file_of(tmp_path, {}, {"time_hours": "72"}, {"scale": "vas", "mean": "30", "sd": "12"}))
    assert [a.line for a in select_arms(arms, scale="nrs", hours=(0, 48))] == [2]
    assert [a.line for a in select_arms(arms, hours=(48, 96))] == [3]
    with pytest.raises(PlanError, match="no instrument"):
        select_arms(arms, scale="happiness")
    with pytest.raises(PlanError, match="earlier one first"):
        select_arms(arms, hours=(5, 2))


def test_none_like_it_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evidence", str(file_of(tmp_path, {})), "--scale", "odi"]) == 0
    assert "holds 1 arms, none of this instrument" in capsys.readouterr().out
