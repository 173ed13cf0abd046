from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from tpr_outcomes.inference.scores import score_changes


def scores(instrument: str, pairs: list[tuple[float, float]]) -> pd.DataFrame:
    rows = [
        (i, visit, instrument, value) for i, pair in enumerate(pairs) for visit, value in enumerate(pair, 1)
    ]
    return pd.DataFrame(rows, columns=["patient", "visit", "instrument", "score"])


def test_every_cited_cut_point_stands_beside_the_change() -> None:
    # QuickDASH: 10.8, 13.4 and 13.6 are cited, and a detectable change of 17.1
    pairs = [(50.0, 50.0 - fall) for fall in (0, 5, 10.8, 12, 13.4, 13.5, 13.6, 18, 20, 30)]
    (found,) = score_changes(scores("quickdash", pairs))
    assert found.change.estimate == pytest.approx(-np.mean([0, 5, 10.8, 12, 13.4, 13.5, 13.6, 18, 20, 30]))
    assert {item.cut.value: item.share for item in found.reached} == pytest.approx(
        {13.4: 0.6, 10.8: 0.8, 13.6: 0.4}
    )
    assert all(item.cut.source for item in found.reached)
    assert found.beyond_error == pytest.approx(0.3)


def test_a_scale_where_higher_is_better_and_a_percentage() -> None:
    (legs,) = score_changes(scores("lefs", [(40.0, 49.0)] * 5 + [(40.0, 48.9)] * 5))
    assert legs.reached[0].share == 0.5
    (days,) = score_changes(scores("headache_days", [(20.0, 10.0)] * 4 + [(20.0, 10.1)] * 6))
    assert days.reached[0].share == 0.4
    assert math.isnan(days.beyond_error)


def test_an_anchor_is_judged_by_its_last_score() -> None:
    table = pd.DataFrame(
        {"patient": range(10), "visit": 3, "instrument": "pgic", "score": [1, 2, 3, 4, 5] * 2}
    )
    (found,) = score_changes(table)
    assert [item.share for item in found.reached] == pytest.approx([0.6, 0.4, 0.2])


def test_few_patients_scores_right_after_and_blanks_are_left_out() -> None:
    table = scores("ndi", [(40.0, 20.0)] * 12)
    table["moment"] = np.where(table["visit"] == 2, "after", "")
    (found,) = score_changes(table)
    assert found.change.note == "fewer than 10 patients have two"
    assert score_changes(table.assign(score=np.nan)) == ()
