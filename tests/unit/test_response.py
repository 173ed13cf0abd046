"""First lasting response with competing stop reasons: against R's survival, and hand-worked courses."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError, PlanError
from tpr_outcomes.inference.competing import CENSORED, aalen_johansen
from tpr_outcomes.inference.response import (
    REASON_NOT_RECORDED,
    RESPONSE,
    Response,
    analyse_response,
)

REFERENCE = Path(__file__).parents[1] / "reference" / "survival"
CAUSES = {0: CENSORED, 1: "response", 2: "no_benefit", 3: "other"}


@pytest.mark.parametrize("scale", ["visit", "dose"])
def test_incidence_and_errors_as_in_survfit(scale: str) -> None:
    courses = pd.read_csv(REFERENCE / "courses.csv")
    found = aalen_johansen(courses[scale].clip(lower=0.5), courses["event"].map(CAUSES))
    wanted = (
        pd.read_csv(REFERENCE / "expected.csv", na_values=[], dtype={"value": str})
        .query("dataset == 'courses' and method == @method", local_dict={"method": f"aalen_johansen_{scale}"})
        .astype({"value": float})
        .set_index("term")
    )
    for cause in ("response", "no_benefit", "other"):
        for row, error in zip(
            wanted.loc[cause].itertuples(), wanted.loc[f"se_{cause}", "value"], strict=True
        ):
            estimate, ours, _, _ = found.at(row.at, cause)
            assert estimate == pytest.approx(row.value, rel=1e-10, abs=1e-14)
            assert ours == pytest.approx(error, rel=1e-9, abs=1e-14)


def test_without_censoring_incidence_is_a_proportion() -> None:
    cause = ["response"] * 3 + ["stopped"] * 2
    found = aalen_johansen([1, 2, 2, 1, 3], cause)
    assert found.at(2, "response")[0] == pytest.approx(3 / 5)
    assert found.at(2, "response")[1] == pytest.approx(math.sqrt(0.6 * 0.4 / 5))
    assert found.at(0.5, "response") == (0.0, 0.0, 0.0, 0.0)
    assert found.share[:, -1].sum() == pytest.approx(1.0)
    assert found.time_to(0.5, "response")[0] == 2
    assert math.isinf(found.time_to(0.7, "response")[0])
    assert found.to_frame().shape == (6, 7)
    with pytest.raises(PlanError, match="no ending 'lost'"):
        found.at(1, "lost")
    with pytest.raises(FitError, match="Nobody's course"):
        aalen_johansen([1, 2], [CENSORED, CENSORED])


def courses(*pain: list[float], reasons: list[str] | None = None, twitches: float = 10.0) -> Visits:
    patient = np.repeat(np.arange(len(pain)), [len(row) for row in pain])
    extra: dict[str, object] = {}
    if reasons is not None:
        extra["stop_reason"] = np.array(
            [
                why if k == len(row) - 1 else ""
                for row, why in zip(pain, reasons, strict=True)
                for k in range(len(row))
            ],
            dtype=object,
        )
    return Visits.from_arrays(
        patient=patient,
        visit=np.concatenate([np.arange(1, len(row) + 1) for row in pain]),
        pain=np.concatenate([np.array(row, dtype=float) for row in pain]),
        twitches=np.full(patient.size, twitches),
        **extra,  # type: ignore[arg-type]
    )


def table(response: Response) -> pd.Series:
    return response.to_frame().set_index("term")["estimate"]


def test_a_response_lasts_to_the_next_rating() -> None:
    found = analyse_response(
        courses(
            [10, 7, 7, 5],  # at 1 visit, 10 twitches
            [10, 6, 9, 6, 6],  # not at 1 (gone at 2): at 3 visits, 30 twitches
            [10, 9, 9],  # stops after 3 visits
            [10, 9, 5],  # improved at the last rating only: stopped; in `highest` a response at 2
            reasons=["", "", "no benefit", "better"],
        )
    )
    assert found.visits.causes == (RESPONSE, "stopped: better", "stopped: no benefit")
    assert [found.visits.at(k, RESPONSE)[0] for k in (0, 1, 2, 3)] == [0, 0.25, 0.25, pytest.approx(0.5)]
    assert found.visits.at(3, "stopped: better")[0] == pytest.approx(0.25)
    assert found.highest.at(2, RESPONSE)[0] == pytest.approx(0.5)
    assert found.unconfirmed == 1
    assert found.reasons_recorded
    assert found.dose is not None
    assert found.dose.at(10, RESPONSE)[0] == pytest.approx(0.25)
    assert table(found)["otherwise"] == pytest.approx(0.5)
    assert table(found)["median_visits"] == 3
    assert table(found)["median_dose"] == 30


def test_still_coming_is_censored_and_an_improvement_not_borne_out_is_not_yet_seen() -> None:
    found = analyse_response(
        courses([10, 5, 5], [10, 9, 9, 9], [10, 9, 5], [10, 5], reasons=["", "", "", ""])
    )
    # at risk at 1 visit: the first two and the third (followed to its rating before the last)
    assert found.visits.at_risk.tolist() == [3.0]
    assert table(found)["response_by_1"] == pytest.approx(1 / 3)
    assert found.unconfirmed == 2
    assert found.to_frame().set_index("term")["note"]["otherwise"] == "nobody stopped"
    notes = found.to_frame().set_index("term")["note"]
    assert notes["response_by_1"] == "only few patients were still followed"
    assert notes["response_by_6"] == "nobody was followed that long"


def test_without_reasons_every_end_counts_as_stopping() -> None:
    found = analyse_response(courses([10, 5, 5], [10, 9, 9], [10, 9]))
    assert not found.reasons_recorded
    assert REASON_NOT_RECORDED in found.visits.causes
    assert found.visits.at(1, RESPONSE)[0] == pytest.approx(1 / 3)
    assert found.visits.share[:, -1].sum() == pytest.approx(1.0)


def test_who_is_left_out_is_counted() -> None:
    found = analyse_response(courses([10, 5, 5], [0, 1, 1], [10], [float("nan"), 4, 4], [10, 9, 9]))
    assert found.left_out == 3
    unknown = courses([10, 5, 5], [10, 9, 9], twitches=float("nan"))
    assert analyse_response(unknown).left_out_of_dose == 2
    assert analyse_response(unknown).dose is None
    with pytest.raises(FitError, match="nobody can be followed"):
        analyse_response(courses([10], [0, 4]))
    with pytest.raises(PlanError, match="no cited cut-point of 37 percent"):
        analyse_response(courses([10, 5, 5]), percent=37)


def test_nobody_responds() -> None:
    found = analyse_response(courses([10, 9, 9], [8, 8, 8]))
    assert table(found)["response_by_12"] == 0.0
    assert "median_visits" not in table(found)
    assert table(found)["otherwise"] == pytest.approx(1.0)
