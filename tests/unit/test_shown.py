"""The description of a record: what few patients share is not shown, nor what it would follow from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tpr_outcomes.cohort.describe import attrition, by_visit, table_one
from tpr_outcomes.cohort.shown import shown_attrition, shown_by_visit, shown_reasons, shown_table_one
from tpr_outcomes.cohort.visits import Visits

N = 40


@pytest.fixture(scope="module")
def visits() -> Visits:
    """40 patients; 3 of them men, one region of two patients, 2 stop after the second of four visits."""
    number = np.where(np.arange(N) < 2, 2, 4)
    patient = np.repeat(np.arange(N), number)
    visit = np.concatenate([np.arange(1, n + 1) for n in number])
    first = np.concatenate([[0], np.cumsum(number)[:-1]])
    region = np.repeat(np.where(np.arange(N) < 2, "aunt hilda's knee", "back"), number)
    reason = np.full(patient.size, "", dtype=object)
    reason[first + number - 1] = np.where(np.arange(N) < 1, "moved to elba", "better")
    return Visits.from_arrays(
        patient=patient,
        visit=visit,
        pain=8.0 - visit + (patient % 3) * 0.5,
        twitches=np.full(patient.size, 3.0),
        sex=np.repeat(np.where(np.arange(N) < 3, "m", "f"), number),
        age=np.repeat(np.where(np.arange(N) < 1, np.nan, 40.0 + np.arange(N)), number),
        region=region,
        stop_reason=pd.Series(reason).replace("", None).to_numpy(dtype=object),
    )


def test_few_of_a_sex_are_neither_counted_nor_to_be_worked_out(visits: Visits) -> None:
    table = shown_table_one(table_one(visits)).set_index(["variable", "category"])
    assert table.loc[("sex", "f"), "n"] is pd.NA  # else the others would follow from the total
    assert table.loc["sex"]["share"].isna().all()
    assert table.loc[("age", ""), ["n", "missing"]].isna().all()
    assert np.isfinite(table.loc[("age", ""), "mean"])
    assert table.loc[("baseline", ""), "n"] == N


def test_words_of_few_are_not_shown_at_all(visits: Visits) -> None:
    said = f"{shown_table_one(table_one(visits)).to_string()} {shown_reasons(attrition(visits))}"
    assert "hilda" not in said
    assert "elba" not in said
    assert "other" in said
    assert set(shown_reasons(attrition(visits))) == {"better", "other"}
    assert shown_reasons(attrition(visits))["other"] is None


def test_two_who_stopped_cannot_be_counted_by_subtraction(visits: Visits) -> None:
    table = shown_attrition(attrition(visits)).set_index("visit")
    assert pd.isna(table.loc[2, "last"])
    assert np.isnan(table.loc[2, "change_last"])
    seen = table["seen"].dropna().astype(int)
    steps = np.abs(np.diff(seen.to_numpy()))
    assert not ((steps > 0) & (steps < 5)).any()
    rated = shown_by_visit(by_visit(visits))["n"].dropna().astype(int).to_numpy()
    assert not ((np.abs(np.diff(rated)) > 0) & (np.abs(np.diff(rated)) < 5)).any()


def test_a_minimum_of_one_shows_what_was_counted(visits: Visits) -> None:
    for shown, counted in (
        (shown_table_one(table_one(visits), 1), table_one(visits).to_frame()),
        (shown_by_visit(by_visit(visits), 1), by_visit(visits).to_frame()),
        (shown_attrition(attrition(visits), 1), attrition(visits).to_frame()),
    ):
        pd.testing.assert_frame_equal(shown, counted, check_dtype=False)
    assert shown_reasons(attrition(visits), 1) == attrition(visits).stop_reasons
