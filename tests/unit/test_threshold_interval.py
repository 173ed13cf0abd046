"""The interval for a threshold: by brute force, by hand, and its level where theory says it is exact."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from tpr_outcomes.inference import threshold_interval as interval
from tpr_outcomes.inference.threshold_interval import (
    Directions,
    Draws,
    Selection,
    ThresholdSet,
    limit,
    threshold_sets,
)

Array = NDArray[np.float64]

GRID = np.arange(4.0, 27.0, 2.0)
HANDICAP = np.repeat([0.0, 6.0], GRID.size)


def shapes(rows: int = 80) -> tuple[Array, Array, Array]:
    """Background, cleared unit columns (hinges, steps, a line and a log), and the dose."""
    dose = np.random.default_rng(3).uniform(0.0, 30.0, rows)
    columns = [np.maximum(dose - at, 0.0) for at in GRID] + [(dose > at).astype(float) for at in GRID]
    columns += [dose, np.log1p(dose)]
    x = np.linalg.qr(np.column_stack([np.ones(rows), np.sin(np.arange(rows))]))[0]
    clear = np.column_stack(columns) - x @ (x.T @ np.column_stack(columns))
    return x, clear / np.linalg.norm(clear, axis=0), dose


def reduced(y: Array, x: Array, units: Array) -> Directions:
    y = y - x @ (x.T @ y)
    return Directions.of(y, units, sizes=np.ones(units.shape[1]), df=y.size - x.shape[1])


SELECTION = Selection(np.full(2, np.log(80)), 2 * np.log(80), 1.0)


@pytest.mark.parametrize("selection", [None, SELECTION])
@pytest.mark.parametrize("k", [0, 5, 11, GRID.size + 4])
def test_the_limit_by_brute_force(k: int, selection: Selection | None) -> None:
    """Whole vectors of ratings with the observed score and length, in directions drawn at random."""
    x, units, _ = shapes()
    rng = np.random.default_rng(k)
    seen = reduced(6.0 * units[:, k] + rng.standard_normal(80), x, units)
    draws = 40_000
    found = limit(seen, Draws.of(seen, replicates=draws, seed=2), k, handicap=HANDICAP, selection=selection)
    rest = rng.standard_normal((80, draws))
    rest -= x @ (x.T @ rest)
    rest -= np.outer(units[:, k], units[:, k] @ rest)
    rest *= np.sqrt(seen.square - seen.scores[k] ** 2) / np.linalg.norm(rest, axis=0)
    squares = (units.T @ (seen.scores[k] * units[:, [k]] + rest)) ** 2
    excess = (squares[: HANDICAP.size] - HANDICAP[:, None]).max(axis=0) - squares[k] + HANDICAP[k]
    if selection is not None:
        rivals = np.maximum((squares[HANDICAP.size :] - np.log(80)).max(axis=0), 0.0)
        excess = excess[squares[: HANDICAP.size].max(axis=0) - 2 * np.log(80) - rivals > 1.0]
    beyond = (excess > found).mean()
    # Both are 40,000 draws, a part of them selected: within 4 standard errors of the difference.
    assert beyond == pytest.approx(0.05, abs=4 * np.sqrt(2 * 0.05 * 0.95 / excess.size))


@pytest.mark.simulation
@pytest.mark.parametrize("size", [0.0, 2.0, 4.0, 12.0])
@pytest.mark.parametrize("k", [2, 8, GRID.size + 5])
def test_a_threshold_is_ruled_out_in_one_clinic_of_twenty(size: float, k: int) -> None:
    """Exact whatever the slope, the variance of ratings (here 4) being unknown: 600 clinics."""
    x, units, _ = shapes()
    rng = np.random.default_rng(int(100 * size) + k)
    clinics, out = 600, 0
    for clinic in range(clinics):
        seen = reduced(2.0 * (size * units[:, k] + rng.standard_normal(80)), x, units)
        merit = seen.scores[: HANDICAP.size] ** 2 - HANDICAP
        draws = Draws.of(seen, replicates=99, seed=clinic)
        out += merit.max() - merit[k] > limit(seen, draws, k, handicap=HANDICAP) + 1e-9
    # At most 5% (less where another threshold cannot be told apart from it); 3 standard errors.
    assert out / clinics <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / clinics)
    assert out / clinics >= 0.05 - 3 * np.sqrt(0.05 * 0.95 / clinics) or k >= GRID.size


def test_scale_does_not_matter() -> None:
    x, units, _ = shapes()
    y = 3.0 * units[:, 4] + np.random.default_rng(1).standard_normal(80)
    one = threshold_sets(reduced(y, x, units), GRID, lead=0.0, seed=1)
    ten = threshold_sets(reduced(10.0 * y, x, units), GRID, lead=0.0, seed=1)
    for a, b in zip(one, ten, strict=True):
        assert (a.low, a.high) == pytest.approx((b.low, b.high), nan_ok=True)


def test_the_preferred_threshold_is_never_ruled_out() -> None:
    x, units, _ = shapes()
    rng = np.random.default_rng(8)
    for seed in range(40):
        seen = reduced(rng.uniform(0, 15) * units[:, rng.integers(24)] + rng.standard_normal(80), x, units)
        merit = seen.scores[: HANDICAP.size] ** 2 - HANDICAP
        best = int(merit.argmax())
        sets = threshold_sets(seen, GRID, lead=6.0, seed=seed)
        chosen = sets[best // GRID.size]
        assert chosen.low <= GRID[best % GRID.size] <= chosen.high


def test_far_thresholds_are_out_with_or_without_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, units, _ = shapes()
    seen = reduced(15.0 * units[:, 6] + np.random.default_rng(1).standard_normal(80), x, units)
    quick = threshold_sets(seen, GRID, lead=6.0, seed=1)
    monkeypatch.setattr(interval, "FAR", np.inf)
    slow = threshold_sets(seen, GRID, lead=6.0, seed=1)
    for a, b in zip(quick, slow, strict=True):
        # The ends between grid points are interpolated with another margin on the far side.
        assert (a.low, a.high) == pytest.approx((b.low, b.high), abs=2.0, nan_ok=True)
        assert (a.open_low, a.open_high) == (b.open_low, b.open_high)


@pytest.mark.parametrize(("size", "out"), [(0.0, False), (9.0, True)])
def test_a_shape_the_background_spans_stands_for_no_shape(size: float, out: bool) -> None:
    x, units, _ = shapes()
    units = units.copy()
    units[:, 3] = 0.0
    seen = reduced(size * units[:, 8] + np.random.default_rng(1).standard_normal(80), x, units)
    merit = seen.scores[: HANDICAP.size] ** 2 - HANDICAP
    bound = limit(seen, Draws.of(seen, replicates=99, seed=1), 3, handicap=HANDICAP)
    assert (merit.max() > bound) == out


def test_columns_nil_beside_what_they_were_are_spanned() -> None:
    y = np.array([1.0, 2.0, 2.0])
    columns = np.array([[1e-9, 3.0], [0.0, 0.0], [0.0, 4.0]])
    found = Directions.of(y, columns, sizes=np.array([1.0, 5.0]), df=3)
    np.testing.assert_allclose(found.gram, [[0.0, 0.0], [0.0, 1.0]])
    np.testing.assert_allclose(found.scores, [0.0, (3.0 + 8.0) / 5.0])
    assert found.square == 9.0


def test_selection_by_hand() -> None:
    """Two shapes and two rivals with penalties 1 and 3; a threshold costs 4 and must win by 1."""
    rule = Selection(np.array([1.0, 3.0]), 4.0, 1.0)
    squares = np.array([
        [6.0, 5.0, 9.0, 9.0],
        [2.0, 1.0, 1.0, 1.0],
        [0.5, 0.5, 5.0, 4.9],
        [2.0, 2.0, 2.0, 2.0],
    ])  # fmt: skip
    # 6 - 4 - 0 = 2; 5 - 4 - 0 = 1, not more; 9 - 4 - 4 = 1, not more; 9 - 4 - 3.9 = 1.1
    rivals = np.maximum(squares[2:] - rule.rival_penalties[:, None], 0.0).max(axis=0)
    assert rule.holds(squares[:2].max(axis=0), rivals).tolist() == [True, False, False, True]


def test_with_too_few_selected_draws_the_limit_is_the_largest_of_all() -> None:
    x, units, _ = shapes()
    seen = reduced(np.random.default_rng(1).standard_normal(80), x, units)
    never = Selection(np.full(2, np.log(80)), 1e9, 1.0)
    draws = Draws.of(seen, seed=1)
    alone = [
        limit(seen, Draws(draws.products[:, [b]], draws.squares[[b]]), 3, handicap=HANDICAP, selection=never)
        for b in range(interval.DRAWS)
    ]
    assert limit(seen, draws, 3, handicap=HANDICAP, selection=never) == max(alone)


@pytest.mark.parametrize(
    ("margins", "expected"),
    [
        # Crossed a quarter of the way from 20 (1) back to 10 (-3), and half-way from 30 (5) to 40 (-5).
        ([-3.0, 1.0, 5.0, -5.0, -7.0], ThresholdSet(17.5, 35.0, open_low=False, open_high=False)),
        ([0.0, 4.0, 5.0, 4.0, 0.0], ThresholdSet(10.0, 50.0, open_low=True, open_high=True)),
        ([-4.0, -4.0, -4.0, 1.0, 5.0], ThresholdSet(38.0, 50.0, open_low=False, open_high=True)),
        ([5.0, -5.0, -4.0, -4.0, -4.0], ThresholdSet(10.0, 15.0, open_low=True, open_high=False)),
        # A gap within the set: the interval is the hull, never a part of it.
        ([-4.0, 4.0, -3.0, 4.0, -4.0], ThresholdSet(15.0, 45.0, open_low=False, open_high=False)),
        # Never ruled out next to ruled out: the whole gap belongs to the interval.
        ([-4.0, np.inf, 1.0, 1.0, -1.0], ThresholdSet(10.0, 45.0, open_low=False, open_high=False)),
    ],
)
def test_hull_by_hand(margins: list[float], expected: ThresholdSet) -> None:
    assert interval._hull(np.array([10.0, 20.0, 30.0, 40.0, 50.0]), lookup(margins)) == expected


def test_an_empty_set_has_no_ends() -> None:
    found = interval._hull(np.array([1.0, 2.0]), lookup([-1.0, -1.0]))
    assert np.isnan([found.low, found.high]).all()
    assert not found.open_low
    assert not found.open_high


def lookup(margins: list[float]) -> Callable[[int], float]:
    return lambda k: margins[k]
