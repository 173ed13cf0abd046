"""Files of statistics programs: labels, user-missing values, addresses, and files that are damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyreadstat
import pytest
from tests.unit.clinic_formats import clinic, spss

from tpr_outcomes.cohort.sources import FileContent
from tpr_outcomes.cohort.sources_stat import read_statistics
from tpr_outcomes.cohort.visits import check_visits, read_visits
from tpr_outcomes.errors import SourceError

FRAME = pd.DataFrame(
    {
        "patient": ["A", "A", "A", "A", "B", "B"],
        "visit": [1.0, 2.0, 3.0, 4.0, 1.0, 2.0],
        "pain": [7.0, 6.5, 99.0, 5.0, 8.0, 8.0],
        "twitches": [0.0, -8.0, -9.0, np.nan, 4.0, 5.0],
        "stop_reason": ["", "", "", "better", "", ""],
    }
)


def test_zero_not_sought_and_not_recorded_stay_three_things(tmp_path: Path) -> None:
    path = tmp_path / "clinic.sav"
    pyreadstat.write_sav(
        FRAME,
        path,
        variable_value_labels={
            "twitches": {-8: "Not sought"},
            "pain": {0: "no pain", 10: "worst", 99: "refused"},
        },
        missing_ranges={"twitches": [{"lo": -9, "hi": -8}], "pain": [99]},
    )
    visits = read_visits(path)
    table = visits.table
    assert table["twitches"].fillna(-1).tolist() == [0, 0, -1, -1, 4, 5]
    assert table["sought"].tolist() == [True, False, True, True, True, True]
    assert table["pain"].fillna(-1).tolist() == [7, 6.5, -1, 5, 8, 8]
    assert visits.source.kind == "spss"
    blank = [p.address for p in visits.problems if p.rule == "twitches_blank"]
    assert blank == ["row 3, column twitches", "row 4, column twitches"]


def test_a_code_nobody_declared_missing_is_told_with_its_row(tmp_path: Path) -> None:
    path = tmp_path / "clinic.sav"
    pyreadstat.write_sav(FRAME, path)
    errors = check_visits(path).errors
    assert [(p.address, p.rule) for p in errors] == [
        ("row 2, column twitches", "count_negative"),
        ("row 3, column pain", "pain_outside_scale"),
        ("row 3, column twitches", "count_negative"),
    ]
    assert 'missing = ["99"] below [file]' in errors[1].remedy


def test_labels_are_words_where_words_are_wanted(tmp_path: Path) -> None:
    path = tmp_path / "clinic.dta"
    frame = FRAME.assign(pain=5.0, twitches=1.0, sex=[1.0, 1.0, 1.0, 1.0, 2.0, 2.0], sought=1.0)
    labels = {"sex": {1: "Female", 2: "Male"}, "sought": {0: "No", 1: "Yes"}, "pain": {5: "moderate"}}
    pyreadstat.write_dta(frame, path, variable_value_labels=labels)
    table = read_visits(path).table
    assert table["sex"].tolist() == ["female"] * 4 + ["male"] * 2
    assert table["pain"].tolist() == [5.0] * 6
    assert table["sought"].all()


@pytest.mark.parametrize("suffix", [".por", ".zsav"])
def test_the_other_files_of_spss(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clinic{suffix}"
    frame = FRAME.assign(pain=5.0, twitches=[0.0, 1, 2, np.nan, 4, 5]).drop(columns="stop_reason")
    if suffix == ".por":
        pyreadstat.write_por(frame.rename(columns=str.upper), path)
    else:
        pyreadstat.write_sav(frame, path, compress=True)
    assert read_visits(path).table["twitches"].fillna(-1).tolist() == [0, 1, 2, -1, 4, 5]


def test_an_upload_is_read_like_the_file(tmp_path: Path) -> None:
    path, _ = spss(clinic(10), tmp_path)
    upload = FileContent(path.name, path.read_bytes())
    assert read_visits(upload).source == read_visits(path).source


def test_damaged_files_are_refused_in_words(tmp_path: Path) -> None:
    path, _ = spss(clinic(10), tmp_path)
    whole = path.read_bytes()
    for name, content in {"a.sav": whole[:300], "b.sav": b"", "c.dta": whole, "d.xpt": b"PK" * 50}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SourceError, match="cut off, damaged, or another kind of file"):
            read_statistics(tmp_path / name)


def test_a_reader_that_dies_is_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Damaged bytes can end the library's process outright; here the process is one that always ends so."""
    dies = tmp_path / "dies"
    dies.write_text("#!/bin/sh\nkill -SEGV $$\n")
    dies.chmod(0o755)
    path, _ = spss(clinic(10), tmp_path)
    monkeypatch.setattr("sys.executable", str(dies))
    with pytest.raises(SourceError, match="cut off, damaged"):
        read_statistics(path)


def test_a_sheet_makes_no_sense(tmp_path: Path) -> None:
    path, _ = spss(clinic(10), tmp_path)
    with pytest.raises(SourceError, match="leave the sheet out"):
        read_visits(path, sheet="Visits")
