"""Small counts in a whole report: in no file, and not to be worked out from all files together."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace

import pandas as pd
import pytest

from tpr_outcomes.analysis import evaluate
from tpr_outcomes.cohort.privacy import Counts
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import PlanError
from tpr_outcomes.planning.simulate import simulate
from tpr_outcomes.planning.worlds import WORLDS
from tpr_outcomes.reporting.bundle import contents
from tpr_outcomes.reporting.report import _not_for
from tpr_outcomes.reporting.results import Evaluation
from tpr_outcomes.reporting.spelling import terms
from tpr_outcomes.reporting.tables import shown_weights

HIDDEN = 3
"""Patients with a single rating: 60 are read and 57 analysed."""


@pytest.fixture(scope="module")
def result() -> Evaluation:
    table = simulate(WORLDS["A-thr40"], n_patients=60, seed=4).table
    alone = (table["patient"] < HIDDEN) & (table["visit"] > 1)
    visits: Visits = simulate(WORLDS["A-thr40"], n_patients=60, seed=4).with_table(table[~alone])
    return evaluate(visits, replicates=99, seed=1)


@pytest.fixture(scope="module")
def files(result: Evaluation) -> dict[str, bytes]:
    return contents(result)


def test_the_clinic_has_what_is_to_be_hidden(result: Evaluation) -> None:
    assert result.visits.n_patients - result.evidence.ratings.n_patients == HIDDEN
    assert {"patients", "patients_left_out"} <= set(result.shown.withheld)
    assert result.shown.number("analysed") == 60 - HIDDEN


def test_patients_left_out_do_not_follow_from_any_file(files: dict[str, bytes]) -> None:
    content = json.loads(files["verdict.json"])
    assert content["data"]["patients"] is None
    assert content["data"]["patients_analysed"] == 57
    assert all(entry["count"] is None or entry["count"] >= 5 for entry in content["data"]["left_out"])
    page = files["report.html"].decode()
    plain = re.sub(r"<[^>]+>", "", page)
    assert not re.search(r"\b60 patients\b", plain)
    assert "<5" in page or "&lt;5" in page
    flow = re.sub(r"<[^>]+>", " ", files["figures/flow.svg"].decode())
    assert not re.search(r"\b60\b", flow)


def test_no_small_count_stands_in_any_table(files: dict[str, bytes]) -> None:
    counts = {"n", "n_patients", "n_ratings", "count", "patients_past"}
    looked = 0
    for name, content in files.items():
        if not name.endswith(".csv"):
            continue
        frame = pd.read_csv(io.BytesIO(content))
        for column in counts & set(frame.columns):
            values = pd.to_numeric(frame[column], errors="coerce").dropna()
            unit = frame["unit"] if "unit" in frame else pd.Series("", index=frame.index)
            people = values[
                ~unit.loc[values.index].isin(["rule", "item"])
            ]  # rules and items of a checklist are no people
            small = people[(people > 0) & (people < 5)]
            assert small.empty, (name, column, frame.loc[small.index].to_string())
            looked += 1
    assert looked > 5


def test_rows_of_a_table_add_up_to_no_small_remainder(result: Evaluation) -> None:
    """Of each total and its parts, either nothing is withheld or more than a small count is open."""
    c = result.shown
    for total, prefix in (("left_out", "left_out:"), ("ratings", "later:"), ("ratings", "band:")):
        parts = [name for name in c.values if name.startswith(prefix) and " without " not in name]
        hidden = [name for name in parts if name in c.withheld]
        shown = c.number(total)
        if shown is None or not hidden:
            continue
        left = shown - sum(c.values[name] for name in parts if name not in hidden)
        assert len(hidden) > 1
        assert left >= 5


def test_the_minimum_can_be_set(result: Evaluation) -> None:
    openly = replace(result, plan={**result.plan, "smallest_count": 1})
    assert openly.to_dict()["data"]["patients"] == 60
    strict = replace(result, plan={**result.plan, "smallest_count": 20})
    numbers = [strict.shown.number(name) for name in strict.shown.values]
    assert all(n is None or n == 0 or n >= 20 for n in numbers)
    assert "<20" in " ".join(strict.shown.text(name) for name in strict.shown.values)
    with pytest.raises(PlanError, match="smallest_count"):
        evaluate(result.visits, {"smallest_count": 0})


def test_the_counts_decided_before_the_sentences_are_those_of_the_files(result: Evaluation) -> None:
    text = f"{result.finding.paragraph} {' '.join(result.finding.warnings)}"
    for n in (int(found) for found in re.findall(r"\b(\d+) (?:of \d+ )?patients\b", text)):
        assert n >= 5
    past = result.shown.number("past")
    if past is not None and result.threshold is not None:
        assert str(past) in text


def test_weights_tell_no_more_than_the_table_of_visits() -> None:
    """Visit 3 is withheld; all but 2 of the 40 ratings at visit 4 have weights, and 20 of 30 at visit 5."""
    ratings = {"later:2": 50, "later:3": 45, "later:4": 40, "later:5": 30, "later:6": 6}
    shown = Counts(ratings, frozenset({"later:3"}))
    frame = pd.DataFrame({"visit": [1, 2, 3, 4, 5, 6], "n": [50, 45, 38, 20, 4, 9], "mean": 1.0})
    assert shown_weights(frame, shown)["visit"].tolist() == [1, 4]
    assert shown_weights(frame.iloc[:0], shown).empty
    openly = replace(shown, withheld=frozenset(), minimum=1)
    assert shown_weights(frame, openly)["visit"].tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("withheld", "left", "said"),
    [
        (set(), 30, "30 of 205 are not in it"),
        ({"patients"}, 30, "30 are not in it"),
        ({"patients_left_out", "analysed"}, 30, "first visit: they are not in it"),
        ({"patients_left_out", "patients"}, 3, "<5 are not in it"),
    ],
)
def test_who_is_not_in_it_is_no_way_round(
    result: Evaluation, monkeypatch: pytest.MonkeyPatch, withheld: set[str], left: int, said: str
) -> None:
    """205 read and 30 left out would give away the number analysed where that is withheld."""
    values = {"patients": 205, "patients_left_out": left, "analysed": 205 - left}
    counts = Counts(values, frozenset(withheld))
    monkeypatch.setattr(type(result), "shown", property(lambda _: counts))
    n = result.evidence.ratings.n_patients
    monkeypatch.setattr(type(result.visits), "n_patients", property(lambda _: n + left))
    first = _not_for(result, terms("twitches", result.visits.scale))[0]
    assert said in first
    if "analysed" in withheld:
        assert not re.search(r"\d", first)
