from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from tpr_outcomes.cohort.scales import SCALES
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError, PlanError
from tpr_outcomes.inference.relapse import analyse_relapse, relapse_spells
from tpr_outcomes.inference.tuneup import analyse_tuneups


def visits_of(table: pd.DataFrame, **options: object) -> Visits:
    return Visits.from_arrays(**{name: table[name].to_numpy() for name in table}, **options)  # type: ignore[arg-type]


def one(pain: list[float], twitches: list[float] | None = None, **more: list[object]) -> Visits:
    n = len(pain)
    given = twitches or [3.0] * n
    table = pd.DataFrame(
        {"patient": [0] * n, "visit": range(1, n + 1), "pain": pain, "twitches": given, **more}
    )
    return visits_of(table.astype({"pain": float, "twitches": float}))


def spells_of(visits: Visits, **options: object) -> list[tuple[float, float, bool, float]]:
    found = relapse_spells(visits, **options)  # type: ignore[arg-type]
    return list(zip(found.start, found.stop, found.relapse, found.dose, strict=True))


def test_a_course_by_hand() -> None:
    # First rating 8; improved means 5.6 or less. Response at visits 2 and 3, so at risk from visit 3 on.
    visits = one([8, 5, 4, 5, 7, 4, 4, 3, 8])
    assert spells_of(visits) == [
        (2.0, 3.0, False, 9.0),  # 5: still improved
        (3.0, 4.0, True, 12.0),  # 7: not improved, and 1.3 worse than the best (4)
        (6.0, 7.0, False, 21.0),  # responded again at visits 6 and 7
        (7.0, 8.0, True, 24.0),
    ]


def test_a_small_step_over_the_line_is_no_relapse() -> None:
    # 5.6 is the line; the best so far is 5, and 6 is not 1.3 worse
    assert [row[2] for row in spells_of(one([8, 5, 5, 6, 7]))] == [False, True]


def test_the_dose_is_what_had_been_given_by_then_and_later_twitches_change_nothing() -> None:
    early = spells_of(one([8, 4, 4, 4, 4], [5, 6, 7, 8, 9]))
    assert [row[3] for row in early] == [18.0, 26.0]
    later = spells_of(one([8, 4, 4, 4, 4], [5, 6, 7, 8, 900]))
    assert later == early


def test_a_missing_rating_lengthens_the_interval() -> None:
    assert [row[:3] for row in spells_of(one([8, 4, 4, math.nan, 8]))] == [(2.0, 4.0, True)]


def test_weeks_are_used_where_recorded() -> None:
    visits = one([8, 4, 4, 8], weeks=[0, 2, 3, 9])
    found = relapse_spells(visits)
    assert found.in_weeks
    assert list(zip(found.start, found.stop, strict=True)) == [(3.0, 9.0)]


def test_a_scale_that_runs_the_other_way() -> None:
    # LEFS: higher is better, 9 points matter. First 20; improved by 30% means 26 or more.
    table = pd.DataFrame(
        {"patient": 0, "visit": range(1, 6), "pain": [20.0, 30, 34, 28, 20], "twitches": 2.0}
    )
    with pytest.raises(PlanError, match="no cited cut-point of 30 percent"):
        relapse_spells(visits_of(table, scale=SCALES["lefs"]))


def test_a_relapse_that_was_noted_counts_beside_the_ratings() -> None:
    visits = one([8, 4, 4, 4, math.nan, 4])
    noted = [False, False, False, False, True, False]  # between the ratings at visits 4 and 6
    assert [row[:3] for row in spells_of(visits, noted=noted)] == [(2.0, 3.0, False), (3.0, 5.0, True)]


def test_nobody_responds_is_said() -> None:
    with pytest.raises(FitError, match="Nobody improved by 30% at two ratings in a row"):
        analyse_relapse(one([8, 8, 8]))
    with pytest.raises(FitError, match="Pain came back in nobody"):
        analyse_relapse(one([8, 4, 4, 4]))


def clinic(n: int = 80, *, effect: float = 0.0, seed: int = 7) -> pd.DataFrame:
    """Responders with flares; at a flare half are needled, and every fourth quiet visit."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        base, helped = rng.uniform(2, 3), 0.0
        for v in range(1, 13):
            flare = 4.0 if v > 3 and rng.random() < 0.25 else 0.0
            pain = float(
                np.clip(np.round((8.0 if v == 1 else base) + flare + rng.normal(0, 0.7) - helped), 0, 10)
            )
            needled = v <= 3 or (rng.random() < 0.5 if pain > 5.5 else v % 4 == 0)
            helped = effect * needled * (v > 3)
            rows.append((i, v, pain, float(rng.poisson(6) * needled), 4.0 * needled, needled, 2.0 * (v - 1)))
    names = ["patient", "visit", "pain", "twitches", "insertions", "sought", "weeks"]
    return pd.DataFrame(rows, columns=names)


def test_estimates_of_a_clinic_carry_their_counts() -> None:
    found = analyse_relapse(visits_of(clinic()), threshold=30.0, planned=[1.0, 0.0] * 480)
    ten = found.get("per_ten")
    assert ten.conf_low < 1.0 < ten.conf_high  # dose does nothing here
    assert ten.note.endswith("relapses")
    assert found.get("past_threshold").conf_low < 1.0 < found.get("past_threshold").conf_high
    assert found.get("tuned").n_patients == found.spells.n_responders
    assert found.get("relapses").note.startswith("per patient by 22 weeks")
    assert found.course.n_events == int(found.spells.relapse.sum())


def test_a_side_without_relapses_is_not_compared() -> None:
    row = analyse_relapse(visits_of(clinic()), threshold=10_000.0).get("past_threshold")
    assert math.isnan(row.estimate)
    assert row.note == "all time at risk is on one side of the comparison"


def test_a_flare_falls_by_itself_and_that_is_taken_off() -> None:
    found = analyse_tuneups(visits_of(clinic(200)))
    assert found.get("fall_tuned").conf_low > 1.0  # nothing helps here, and yet pain falls
    for name in ("excess", "excess_regression"):
        assert found.get(name).conf_low < 0.0 < found.get(name).conf_high
    helped = analyse_tuneups(visits_of(clinic(200, effect=2.0, seed=8)))
    for name in ("excess", "excess_regression"):
        assert helped.get(name).conf_low > 0.5


def test_without_flares_left_alone_only_the_reason_is_given() -> None:
    table = clinic()
    table[["insertions", "sought"]] = [4.0, True]
    found = analyse_tuneups(visits_of(table))
    assert found.left_alone == 0
    assert "had a flare that was left alone" in found.get("excess").note
    assert "were rated as high without needling" in found.get("excess_regression").note


def test_pain_rated_after_the_needling_is_refused() -> None:
    with pytest.raises(PlanError, match="needs it before"):
        analyse_tuneups(visits_of(clinic(), rated="after"))
