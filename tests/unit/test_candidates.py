"""The explanations: each column is its curve of its dose, grids and knots follow the doses observed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tpr_outcomes.cohort.derive import Ratings, ratings
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.models import candidates as c
from tpr_outcomes.models import shapes

UNIT = 5.0


def record(**extra: list[float]) -> Ratings:
    """Two patients of four visits; doses before the ratings: 8, 10, 40 and 0, 6, 6."""
    return ratings(
        Visits.from_arrays(
            patient=[0, 0, 0, 0, 1, 1, 1, 1],
            visit=[1, 2, 3, 4, 1, 2, 3, 4],
            pain=[8, 7, 6, 5, 7, 6, 6, 4],
            twitches=[8, 2, 30, 1, 0, 6, 0, 9],
            **extra,
        )
    )


CUMULATIVE = np.array([8.0, 10.0, 40.0, 0.0, 6.0, 6.0])
LAST = np.array([8.0, 2.0, 30.0, 0.0, 6.0, 0.0])
BY_HAND = {
    c.LINEAR: CUMULATIVE / UNIT,
    c.LOG: np.log1p(CUMULATIVE / UNIT),
    c.SATURATING: CUMULATIVE / (CUMULATIVE + 2.0 * UNIT),
    c.LAST: LAST / UNIT,
    c.FADING: np.array([8.0, 6.0, 33.0, 0.0, 6.0, 3.0]) / UNIT,
    c.FADING_SLOWLY: np.array([8.0, 8.4, 36.72, 0.0, 6.0, 4.8]) / UNIT,
}


@pytest.mark.parametrize("candidate", BY_HAND, ids=lambda x: x.name)
def test_columns_worked_by_hand(candidate: c.Candidate) -> None:
    found = candidate.column(record(), UNIT)
    np.testing.assert_allclose(found, BY_HAND[candidate], rtol=1e-12)
    np.testing.assert_allclose(candidate.curve(candidate.dose(record()), UNIT), found)


@pytest.mark.parametrize(
    ("candidate", "theta", "expected"),
    [
        (c.HINGE, 8.0, shapes.hinge(CUMULATIVE, 8.0) / UNIT),
        (c.STEP, 8.0, shapes.step(CUMULATIVE, 8.0)),
        (c.EMAX, 7.0, shapes.emax(CUMULATIVE, 7.0)),
    ],
    ids=["hinge", "step", "emax"],
)
def test_profiled_columns_take_their_parameter(
    candidate: c.Candidate, theta: float, expected: np.ndarray
) -> None:
    np.testing.assert_allclose(candidate.column(record(), UNIT, theta), expected)


def test_no_dose_is_no_column_and_a_flat_curve() -> None:
    assert c.NOTHING.column(record(), UNIT) is None
    assert (c.NOTHING.curve(CUMULATIVE, UNIT) == 0.0).all()


def test_a_searched_parameter_counts() -> None:
    counts = {x.name: x.n_parameters for x in c.CandidateSet().candidates}
    assert counts.pop("none") == 0
    searched = {"emax", "hinge", "step"}
    assert counts == {name: 2 if name in searched else 1 for name in counts}


def test_grids_span_the_doses_observed() -> None:
    dose = np.concatenate([np.zeros(50), np.arange(1.0, 101.0)])
    grid = c.threshold_grid(dose, 19)
    np.testing.assert_allclose(grid, np.quantile(np.arange(1.0, 101.0), np.linspace(0.05, 0.95, 19)))
    knots = c.score_knots(dose)
    assert knots[0] == 0.0  # a hinge there is the straight line
    np.testing.assert_allclose(knots[1:], np.quantile(np.arange(1.0, 101.0), np.linspace(0.1, 0.9, 20)))
    assert (np.diff(c.score_knots(np.array([0.0, 3.0, 3.0, 3.0]))) > 0).all()  # ties once
    assert c.score_knots(np.array([0.0, 3.0, 3.0])).tolist() == [0.0, 3.0]
    assert c.threshold_grid(np.zeros(4), 19).size == 0
    assert c.score_knots(np.zeros(4)).tolist() == [0.0]


def test_only_profiled_candidates_have_a_grid() -> None:
    for candidate in c.CandidateSet().candidates:
        grid = candidate.grid(record(), UNIT)
        assert (grid.size > 0) == candidate.profiled
        assert (np.diff(grid) > 0).all()
    assert c.EMAX.grid(record(), UNIT)[[0, -1]].tolist() == [UNIT / 4, UNIT * 64]


def test_fixed_curves_are_between_those_searched() -> None:
    """The score test's fixed saturation must be one the information criterion can also find."""
    assert c.EMAX.grid(record(), UNIT)[0] < c.SATURATING.multiple * UNIT < c.EMAX.grid(record(), UNIT)[-1]


def test_other_recorded_doses_become_rivals() -> None:
    assert c.column_rivals(record()) == ()
    found = {x.name: x for x in c.column_rivals(record(insertions=[5, 6, 7, 8, 1, 2, 3, 4]))}
    assert "insertions" in found
    np.testing.assert_allclose(found["insertions"].column(record(insertions=[5, 6, 7, 8, 1, 2, 3, 4]), UNIT),
                               np.array([5, 11, 18, 1, 3, 6]) / UNIT)  # fmt: skip
    assert all(x.history == "column" and x.source == "insertions" for x in found.values())


@pytest.mark.parametrize(
    "insertions",
    [[5, np.nan, 7, 8, 1, 2, 3, 4], [0.0] * 8],
    ids=["incomplete", "constant"],
)
def test_an_incomplete_or_constant_dose_is_no_rival(insertions: list[float]) -> None:
    assert c.column_rivals(record(insertions=insertions)) == ()


def test_the_dose_itself_is_no_rival_of_itself() -> None:
    extra = {"insertions": [5, 6, 7, 8, 1, 2, 3, 4]}
    found = replace(record(**extra), dose="insertions")
    assert c.column_rivals(found) == ()


def test_refusals() -> None:
    with pytest.raises(ValueError, match="No column 'sites'"):
        c.Candidate("sites", "", history="column", source="sites").column(record(), UNIT)
    with pytest.raises(ValueError, match="must be distinct; got linear, linear"):
        c.CandidateSet((c.LINEAR, c.LINEAR))
