"""One patient's course: the very model of the record, patients seen and unseen, and what cannot be said."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest
from tests.unit import brute_force

import tpr_outcomes as tpr
from tpr_outcomes.cohort.derive import ratings
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError
from tpr_outcomes.models import working as w
from tpr_outcomes.models.outlook import AHEAD, Outlook, outlook
from tpr_outcomes.planning.simulate import simulate
from tpr_outcomes.planning.worlds import WORLDS

WORLD = ("A-thr40", "irregular+thr40", "therapists+thr40", "blanks+thr40")


@cache
def clinic(world: str) -> tuple[Visits, w.Working]:
    visits = simulate(WORLDS[world], n_patients=120, seed=5)
    return visits, w.working_model(ratings(visits))


def patient_with(visits: Visits, fewest: int) -> int:
    """Code of a patient with that many visits, all rated and counted."""
    whole = visits.table.dropna(subset=["pain", "twitches"]).groupby("patient").size()
    every = visits.table.groupby("patient").size()
    return int(whole[(whole == every) & (whole >= fewest)].index[0])


# --- the columns are the model's own -----------------------------------------------------------------------


@pytest.mark.parametrize("world", WORLD)
def test_rows_of_the_record_get_the_columns_they_were_fitted_with(world: str) -> None:
    _, working = clinic(world)
    x, time = w.columns_like(working, working.ratings, working.therapists)
    rich = w.full_rank(
        np.column_stack([working.nuisance, w.generous(working.ratings.dose_before, working.unit)])
    )
    assert np.array_equal(x, rich)
    assert np.array_equal(time, working.time)


def test_a_visit_nobody_had_counts_as_the_one_before() -> None:
    _, working = clinic("A-thr40")
    r = working.ratings
    late = dataclasses.replace(r, visit=r.visit + 40)
    at_end = dataclasses.replace(r, visit=np.full_like(r.visit, r.visit.max()))
    columns = [w.columns_like(working, one, working.therapists)[0] for one in (late, at_end)]
    assert np.array_equal(*columns)


def test_the_average_therapist_stands_in_for_a_stranger() -> None:
    visits, working = clinic("therapists+thr40")
    patient = patient_with(visits, 4)
    assert working.therapists.shape[1] > 1
    own, other = (outlook(working, visits, patient, known=1, other=flag) for flag in (False, True))
    assert not np.allclose(own.ahead.estimate, other.ahead.estimate)


# --- the numbers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("world", WORLD)
@pytest.mark.parametrize("known", [1, 3])
def test_expectation_is_the_conditional_mean_written_out(world: str, known: int) -> None:
    """One patient's covariance matrix, dense, at the fitted parameters."""
    visits, working = clinic(world)
    patient = patient_with(visits, 5)
    made = outlook(working, visits, patient, known=known)
    r, c = working.ratings, working.fit.covariance
    rows = np.flatnonzero(visits.table["patient"].to_numpy()[r.row] == patient)
    x, time = w.columns_like(working, r, working.therapists)
    mean, time = x[rows] @ working.fit.beta, time[rows]
    z = w.random_columns(time, working.random)
    v = z @ c.random_covariance @ z.T
    v += brute_force.residual_covariance(time, sigma=c.sigma, phi=c.phi, nugget=c.nugget)
    past, later = r.visit[rows] <= known, r.visit[rows] > known
    expected = mean[later]
    if past.any():
        lean = np.linalg.solve(v[np.ix_(past, past)], v[np.ix_(past, later)])
        expected = expected + lean.T @ (r.pain[rows] - mean)[past]
    shown = made.ahead.estimate[np.isin(made.ahead.at, r.visit[rows][later])]
    assert np.allclose(shown, np.clip(expected, 0.0, 10.0), atol=1e-8)
    usual = made.usual[np.isin(made.ahead.at, r.visit[rows][later])]
    assert np.allclose(usual, np.clip(mean[later], 0.0, 10.0), atol=1e-10)


def test_from_the_first_rating_alone_the_usual_course_is_expected() -> None:
    visits, working = clinic("A-thr40")
    made = outlook(working, visits, patient_with(visits, 4), known=1)
    assert np.array_equal(made.ahead.estimate, made.usual)
    assert made.behind.size == 0
    assert (made.ahead.conf_low <= made.ahead.estimate).all()


def test_more_known_makes_the_next_rating_surer() -> None:
    visits, working = clinic("A-thr40")
    patient = patient_with(visits, 6)
    widths = []
    for known in (1, 4):
        ahead = outlook(working, visits, patient, known=known, level=0.3).ahead
        at = ahead.at == 5
        widths.append(float((ahead.conf_high - ahead.conf_low)[at][0]))
    assert widths[1] < widths[0]


def test_the_interval_stays_on_the_scale_and_the_record() -> None:
    visits, working = clinic("A-thr40")
    counts = np.bincount(working.ratings.visit)
    for patient in range(30):
        try:
            made: Outlook = outlook(working, visits, patient, level=0.99)
        except FitError:
            continue
        assert (made.ahead.conf_low >= 0.0).all()
        assert (made.ahead.conf_high <= 10.0).all()
        assert made.ahead.at.size <= AHEAD
        assert all(counts[int(v)] >= 5 for v in made.ahead.at[made.ahead.at > made.visit[-1]])


def test_a_better_score_that_is_higher_is_mirrored() -> None:
    visits, working = clinic("A-thr40")
    patient = patient_with(visits, 4)
    scale = dataclasses.replace(visits.scale, higher_is_worse=False)
    turned = dataclasses.replace(visits, scale=scale).with_table(
        visits.table.assign(pain=10.0 - visits.table["pain"])
    )
    other = w.working_model(ratings(turned), higher_is_worse=False)
    one, two = outlook(working, visits, patient).ahead, outlook(other, turned, patient).ahead
    assert np.allclose(one.estimate, 10.0 - two.estimate, atol=1e-3)
    assert np.allclose(one.conf_low, 10.0 - two.conf_high, atol=1e-3)


# --- what cannot be said -----------------------------------------------------------------------------------


def test_what_cannot_be_predicted_is_refused_in_words() -> None:
    visits = tpr.load_example("threshold")
    working = w.working_model(ratings(visits))
    with pytest.raises(FitError, match="no such patient"):
        outlook(working, visits, 10_000)
    unrated = visits.table[~visits.table["patient"].duplicated() & visits.table["pain"].isna()]
    with pytest.raises(FitError, match="first visit has no rating"):
        outlook(working, visits, int(unrated["patient"].iloc[0]))
    table = visits.table.copy()
    table.loc[table["patient"] == patient_with(visits, 4), "twitches"] = np.nan
    with pytest.raises(FitError, match="twitches count is missing at an earlier visit"):
        outlook(working, visits.with_table(table), patient_with(visits, 4))
