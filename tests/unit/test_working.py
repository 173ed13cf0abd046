"""The background: each rule at and on both sides of its edge, splines, whitening against brute force."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.interpolate import CubicSpline
from tests.unit import brute_force

from tpr_outcomes.cohort.derive import Ratings, ratings
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.models import working as w
from tpr_outcomes.planning.simulate import simulate


def record(rows: list[int], *, weeks: list[list[float]] | None = None, **extra: list[object]) -> Ratings:
    """Patients with the given numbers of visits; pain and doses from a fixed seed."""
    rng = generator(1, "record")
    patient = np.repeat(np.arange(len(rows)), rows)
    visit = np.concatenate([np.arange(1, k + 1) for k in rows])
    more = {name: np.asarray(values)[patient] for name, values in extra.items()}
    return ratings(
        Visits.from_arrays(
            patient=patient,
            visit=visit,
            pain=rng.integers(0, 11, patient.size),
            twitches=rng.poisson(8.0, patient.size),
            weeks=None if weeks is None else np.concatenate(weeks),
            **more,
        )
    )


# --- time ------------------------------------------------------------------------------------------------


def one_visit_late(late: int, by: float) -> Ratings:
    """Forty patients of one rating each a week on, ``late`` of them ``by`` weeks off."""
    weeks = [[0.0, 1.0 + (by if i < late else 0.0)] for i in range(40)]
    return record([2] * 40, weeks=weeks)


@pytest.mark.parametrize(
    ("late", "by", "basis"),
    [
        (4, 0.5, "visit"),  # 90% near: just enough
        (5, 0.5, "visit and weeks"),  # 87.5%
        (10, w.REGULAR_SLACK, "visit"),  # a quarter of a gap away is still near
        (10, w.REGULAR_SLACK + 1e-9, "visit and weeks"),
        (10, -w.REGULAR_SLACK, "visit"),
        (10, -w.REGULAR_SLACK - 1e-9, "visit and weeks"),
    ],
)
def test_visits_are_regular_up_to_the_edge(late: int, by: float, basis: str) -> None:
    assert w.REGULAR_SHARE == 0.90
    found = one_visit_late(late, by)
    assert w.typical_gap(found) == 1.0
    assert w.time_basis(found) == basis


def test_without_dates_visits_are_regular_and_time_is_counted_in_visits() -> None:
    found = record([3, 4])
    assert w.time_basis(found) == "visit"
    assert w.gap_time(found, "visit").tolist() == [1.0, 2.0, 1.0, 2.0, 3.0]


def test_regular_fortnights_are_visits() -> None:
    found = record([4] * 20, weeks=[[0.0, 2.0, 4.0, 6.0]] * 20)
    assert w.typical_gap(found) == 2.0
    assert w.time_basis(found) == "visit"
    assert w.gap_time(found, "visit and weeks")[:3].tolist() == [1.0, 2.0, 3.0]


def test_the_usual_week_is_the_median_of_its_visit_number() -> None:
    """An even number of ratings: the median is the middle of two, so both are equally far from it."""
    slack = w.REGULAR_SLACK
    found = record([2, 2], weeks=[[0.0, 1.0 - slack], [0.0, 1.0 + slack]])
    assert w.time_basis(found) == "visit"
    found = record([2, 2], weeks=[[0.0, 1.0 - slack - 0.01], [0.0, 1.0 + slack + 0.01]])
    assert w.time_basis(found) == "visit and weeks"


@pytest.mark.parametrize(
    ("counts", "levels"),
    [
        ([9, 5, 5], [0, 1, 2]),  # five are enough
        ([9, 5, 4], [0, 1, 1]),  # four share the level before them
        ([9, 4, 5], [0, 0, 1]),
        ([4, 5, 5], [0, 0, 1]),  # a sparse first one waits for company
        ([9, 2, 2, 2], [0, 0, 0, 0]),
    ],
)
def test_sparse_visit_numbers_share_a_level(counts: list[int], levels: list[int]) -> None:
    assert w.FEWEST_PER_LEVEL == 5
    visit = np.repeat(np.arange(2, 2 + len(counts)), counts)
    expected = np.repeat(levels, counts)
    shuffle = generator(1, "levels").permutation(visit.size)
    assert w.visit_levels(visit[shuffle]).tolist() == expected[shuffle].tolist()


# --- spline ----------------------------------------------------------------------------------------------

VALUES = generator(2, "spline").gamma(2.0, 1.0, 300)
KNOTS = np.quantile(VALUES, [0.05, 0.275, 0.5, 0.725, 0.95])


def test_spline_is_linear_beyond_the_end_knots() -> None:
    basis = w.natural_spline(VALUES)
    assert basis.shape == (300, 4)
    low, high = KNOTS[[0, -1]]
    x = VALUES
    for outside in (x <= low, x >= high):
        line = np.column_stack([np.ones(outside.sum()), VALUES[outside]])
        left = basis[outside] - line @ np.linalg.lstsq(line, basis[outside], rcond=None)[0]
        assert outside.sum() > 10
        # Cubes of order 100 cancel beyond the last knot.
        np.testing.assert_allclose(left, 0.0, atol=1e-11)


def test_spline_spans_every_natural_cubic_spline_of_its_knots() -> None:
    """scipy's natural interpolation spline, continued by straight lines, is a combination of ours."""
    span = np.column_stack([np.ones_like(VALUES), w.natural_spline(VALUES)])
    for height in np.eye(5):
        other = CubicSpline(KNOTS, height, bc_type="natural")
        inside = np.clip(VALUES, KNOTS[0], KNOTS[-1])
        column = other(inside) + other(inside, 1) * (VALUES - inside)
        left = column - span @ np.linalg.lstsq(span, column, rcond=None)[0]
        np.testing.assert_allclose(left, 0.0, atol=1e-10)


def test_spline_values_by_harrells_formula() -> None:
    """Five values that are their own knots at 0.05, 0.275, ... of eleven points 0..10 (weeks)."""
    values = np.arange(0.0, 41.0)
    t = [2.0, 11.0, 20.0, 29.0, 38.0]
    basis = w.natural_spline(values)
    np.testing.assert_array_equal(basis[:, 0], values)
    at = 35.0
    for j in range(3):
        expected = (at - t[j]) ** 3 - (at - t[3]) ** 3 * (t[4] - t[j]) / (t[4] - t[3])
        assert basis[35, j + 1] == pytest.approx(expected / (t[4] - t[0]) ** 2, rel=1e-12)


@pytest.mark.parametrize(("values", "columns"), [([1.0] * 20 + [2.0], 1), ([1.0, 2.0, 3.0] * 40, 2)])
def test_few_distinct_times_give_a_smaller_spline(values: list[float], columns: int) -> None:
    """Fewer than three knots: a line. Three: one bend."""
    assert w.natural_spline(np.array(values)).shape[1] == columns


# --- columns ---------------------------------------------------------------------------------------------


def test_background_by_hand() -> None:
    found = record([3] * 6)
    columns = w.background_columns(found, found.t, "visit")
    baseline = found.baseline - found.baseline.mean()
    expected = [found.t == 1, found.t == 2, baseline, baseline * found.t / 5, baseline * np.log1p(found.t)]
    np.testing.assert_allclose(columns, np.column_stack(expected))
    smooth = w.background_columns(found, found.t, "visit and weeks")
    assert smooth.shape[1] == columns.shape[1] + w.natural_spline(np.log1p(found.t)).shape[1]


def test_the_background_does_not_know_the_dose() -> None:
    found = record([4] * 20)
    other = replace(found, dose_before=found.dose_before[::-1], dose_last=found.dose_last[::-1])
    for basis in ("visit", "visit and weeks"):
        a, b = (w.background_columns(r, r.t, basis) for r in (found, other))
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("sizes", "columns"),
    [
        ([20, 20], 1),
        ([36, 4], 1),  # the small one is the pooled group
        ([30, 5, 5], 2),
        ([30, 6, 4], 2),  # 30, 6 and the pooled 4
        ([10, 9], 0),  # fewer than ten patients to a group
        ([10, 10], 1),
        ([10] * 20, 19),
        ([10] * 21, 0),  # more than twenty
        ([40], 0),
    ],
)
def test_therapists_enter_when_there_are_enough_patients_of_each(sizes: list[int], columns: int) -> None:
    names = np.repeat([f"T{i:02d}" for i in range(len(sizes))], sizes)
    found = w.therapist_dummies(record([2] * len(names), therapist=names))
    assert found.shape == (len(names), columns)
    if columns:
        assert np.linalg.matrix_rank(np.column_stack([np.ones(len(names)), found])) == columns + 1


def test_no_therapists_recorded_no_columns() -> None:
    assert w.therapist_dummies(record([2] * 30)).shape == (30, 0)


def test_full_rank_drops_from_the_left_what_is_repeated() -> None:
    rng = generator(1, "rank")
    a, b, c = rng.normal(size=(3, 30))
    x = np.column_stack([a, b, a - 2 * b, np.zeros(30), c, 1e-9 * c, 1e6 * a])
    assert (w.full_rank(x) == x[:, [0, 1, 4]]).all()
    free = np.column_stack([a, 1e-12 * b, 1e12 * c])  # units do not make a column redundant
    assert w.full_rank(free) is free
    wide = rng.normal(size=(3, 5))
    assert (w.full_rank(wide) == wide[:, :3]).all()


@pytest.mark.parametrize(("off", "kept"), [(1e-6, 2), (1e-8, 1)])
def test_full_rank_edge(off: float, kept: int) -> None:
    """A column counts when more than 1e-7 of its length is its own."""
    a, b = np.eye(30)[:2]
    assert w.full_rank(np.column_stack([a, a + off * b])).shape[1] == kept


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([5] * 15, ("intercept and slope", "car1+nugget")),  # five visits are four ratings
        ([5] * 14 + [4], ("intercept", "independent")),
        ([3] * 15, ("intercept", "independent")),
        ([3] * 14 + [2] * 9, ("none", "independent")),
    ],
)
def test_covariance_is_as_rich_as_the_record(rows: list[int], expected: tuple[str, str]) -> None:
    assert w.random_structure(record(rows)) == expected


def test_random_columns() -> None:
    time = np.array([1.0, 3.0])
    both = w.random_columns(time, "intercept and slope")
    np.testing.assert_allclose(both, [[1.0, np.log(2.0)], [1.0, np.log(4.0)]])
    assert w.random_columns(time, "intercept").tolist() == [[1.0], [1.0]]
    assert w.random_columns(time, "none").shape == (2, 0)


def test_dose_unit_and_top() -> None:
    dose = np.concatenate([np.zeros(20), np.arange(1.0, 101.0)])
    assert w.dose_unit(dose) == pytest.approx(np.quantile(np.arange(1.0, 101.0), 0.9) / 8.0)
    assert w.dose_unit(10 * dose) == pytest.approx(10 * w.dose_unit(dose))
    assert w.dose_unit(np.zeros(4)) == 1.0
    found = record([3] * 10)
    all_visits = np.concatenate([found.dose_before, np.zeros(10)])
    assert w.dose_top(found) == np.quantile(all_visits, 0.95)


# --- whitening -------------------------------------------------------------------------------------------

CLINICS = {
    "slope": ("N4", 40, None),
    "irregular": ("irregular+thr40", 40, None),
    "intercept": ("N4", 30, 3),
    "none": ("N4", 14, 3),
}


def clinic(name: str) -> Ratings:
    world, n, most = CLINICS[name]
    visits = simulate(world, n_patients=n, seed=4)
    table = visits.table if most is None else visits.table[visits.table["visit"] <= most]
    return ratings(visits.with_table(table.reset_index(drop=True)))


def written_out(found: w.Working, y: np.ndarray, x: np.ndarray) -> brute_force.Dense:
    c = found.fit.covariance
    z = w.random_columns(found.time, found.random)
    random = {"Z": z, "D": c.random_covariance} if z.shape[1] else {}
    return brute_force.evaluate(
        y, x, found.ratings.patient, sigma=c.sigma, weeks=found.time, phi=c.phi, nugget=c.nugget, **random
    )


@pytest.mark.parametrize("name", CLINICS)
def test_whitened_inner_products_are_those_of_the_inverse_covariance(name: str) -> None:
    found = w.working_model(clinic(name))
    expected = {"slope": 2, "irregular": 2, "intercept": 1, "none": 0}[name]
    assert found.fit.covariance.factor.shape == (expected, expected)
    columns = np.column_stack([found.nuisance, found.ratings.dose_before])
    white = found.whiten(columns)
    dense = written_out(found, found.ratings.pain, columns)
    inner = np.linalg.inv(dense.covariance)
    np.testing.assert_allclose(white.T @ white, inner, rtol=1e-8, atol=1e-10 * np.abs(inner).max())
    assert white.T @ found.y == pytest.approx(inner @ dense.beta, rel=1e-8)


def test_the_background_is_projected_out() -> None:
    found = w.working_model(clinic("slope"))
    white = found.whiten(np.column_stack([found.ratings.pain, found.ratings.dose_before]))
    clear = found.clear(white)
    np.testing.assert_allclose(found.x.T @ found.x, np.eye(found.x.shape[1]), atol=1e-12)
    np.testing.assert_allclose(found.whiten(found.nuisance).T @ clear, 0.0, atol=1e-8)
    np.testing.assert_allclose(found.clear(clear), clear, atol=1e-12)


def test_a_scale_where_higher_is_better_is_turned_round() -> None:
    found = clinic("slope")
    worse = w.working_model(found)
    better = w.working_model(replace(found, pain=10.0 - found.pain, baseline=10.0 - found.baseline),
                             higher_is_worse=False)  # fmt: skip
    # 10 - pain, turned round, is pain - 10: only the visit levels differ, and they are projected out.
    # Two searches of one likelihood end within 1e-4 of each other (test_mixed.py).
    np.testing.assert_allclose(better.clear(better.y), worse.clear(worse.y), atol=1e-3)


def test_ratings_after_the_best_are_left_out_and_whitened_as_if_never_made() -> None:
    found = w.working_model(ratings(simulate("A-thr40+mild", n_patients=60, seed=3)))
    fewer = found.up_to(0.0)
    assert 0 < fewer.ratings.pain.size < found.ratings.pain.size
    assert fewer.fit is found.fit
    columns = np.column_stack([fewer.nuisance, fewer.ratings.dose_before])
    dense, white = written_out(fewer, fewer.ratings.pain, columns), fewer.whiten(columns)
    inner = np.linalg.inv(dense.covariance)
    np.testing.assert_allclose(white.T @ white, inner, rtol=1e-8, atol=1e-10 * np.abs(inner).max())
    assert white.T @ fewer.y == pytest.approx(inner @ dense.beta, rel=1e-8)
    assert found.up_to(-1.0) is found  # nobody was there
    well = replace(found, ratings=replace(found.ratings, pain=np.zeros_like(found.ratings.pain)))
    assert well.ratings.up_to(0.0).sum() == 60  # one each …
    assert replace(well, nuisance=np.ones((well.time.size, 51))).up_to(0.0).ratings is well.ratings
    assert replace(well, nuisance=np.ones((well.time.size, 50))).up_to(0.0).ratings.pain.size == 60


def test_the_fit_holds_the_generous_curve() -> None:
    """A threshold response must not be left in the residual, where it would pass for correlation."""
    found = w.working_model(clinic("slope"))
    assert found.fit.beta.size == found.nuisance.shape[1] + 3


def test_too_few_ratings_are_refused_with_their_number() -> None:
    with pytest.raises(FitError, match="9 usable ratings are too few for a background of"):
        w.working_model(record([4] * 3))
