from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from tests.unit import brute_force

from tpr_outcomes.cohort.derive import ratings
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError, PlanError
from tpr_outcomes.inference.carryover import RATES, analyse_carryover, half_life, lag_columns
from tpr_outcomes.models.working import Working, random_columns, working_model
from tpr_outcomes.planning.simulate import get_world, simulate


def record(slope: float, *, insertions: bool = False, n: int = 60, world: str = "N4") -> Visits:
    truth = replace(get_world(world), response="last_dose" if slope else "none", slope=slope)
    if insertions:
        truth = replace(truth, insertions_mean=5.0)
    return simulate(truth, n_patients=n, seed=5)


@pytest.fixture(scope="module")
def fading() -> tuple[Visits, Working]:
    visits = record(-0.15, insertions=True)
    return visits, working_model(ratings(visits))


def dense(working: Working, extra: np.ndarray) -> brute_force.Dense:
    covariance, z = working.fit.covariance, random_columns(working.time, working.random)
    return brute_force.evaluate(
        working.ratings.pain,
        np.column_stack([working.nuisance, extra]),
        working.ratings.patient,
        Z=z,
        D=covariance.random_covariance,
        sigma=covariance.sigma,
        weeks=working.time,
        phi=covariance.phi,
        nugget=covariance.nugget,
    )


def carried_by_hand(visits: Visits, row: int, rate: float) -> float:
    """Sum over the patient's earlier visits, written out."""
    table = visits.table
    patient, visit = table["patient"].iloc[row], table["visit"].iloc[row]
    earlier = table[(table["patient"] == patient) & (table["visit"] < visit)]["twitches"].to_numpy()[::-1]
    return float(sum(rate**k * dose for k, dose in enumerate(earlier)))


def test_profile_is_that_of_dense_generalised_least_squares(fading: tuple[Visits, Working]) -> None:
    visits, working = fading
    found = analyse_carryover(working, visits)
    rates = (0.0, 0.3, 0.77, 1.0)
    fits = []
    for rate in rates:
        column = [carried_by_hand(visits, int(row), rate) for row in working.ratings.row]
        fits.append(-2.0 * dense(working, np.array(column)[:, None]).log_likelihood)
    at = [int(np.flatnonzero(np.isclose(RATES, rate))[0]) for rate in rates]
    ours = found.profile.deviance[at]
    # the covariance is the same, so differences of the deviance are differences of residual squares
    np.testing.assert_allclose(ours - ours[0], np.array(fits) - fits[0], rtol=1e-7, atol=1e-7)


def test_lags_are_those_of_dense_generalised_least_squares(fading: tuple[Visits, Working]) -> None:
    visits, working = fading
    columns = lag_columns(working.ratings, 3)
    by_hand = []
    for row in working.ratings.row:
        doses = [carried_by_hand(visits, int(row), 0.0)]
        table = visits.table
        same = table[table["patient"] == table["patient"].iloc[int(row)]]
        earlier = same[same["visit"] < table["visit"].iloc[int(row)]]["twitches"].to_numpy()[::-1]
        padded = np.concatenate([earlier, np.zeros(12)])
        assert doses[0] == padded[0]
        by_hand.append([*padded[:3], padded[3:].sum()])
    np.testing.assert_array_equal(columns, by_hand)
    beta = dense(working, columns).beta[-4:]
    found = analyse_carryover(working, visits)
    ours = [found.get(name).estimate for name in ("lag_1", "lag_2", "lag_3", "older")]
    np.testing.assert_allclose(ours, beta, rtol=1e-7)


def test_an_effect_of_the_last_visit_only_is_found_as_such(fading: tuple[Visits, Working]) -> None:
    found = analyse_carryover(fading[1], fading[0])
    assert found.identifiable
    assert found.profile.conf_low == 0.0
    assert found.profile.conf_high < 0.6
    assert found.half_life_low == 0.0
    assert found.half_life_high == pytest.approx(half_life(found.profile.conf_high))
    assert found.get("lag_1").conf_high < 0
    rivals = {rival.name: rival for rival in found.rivals}
    assert rivals["visits alone"].delta_bic > 0
    assert rivals["insertions"].delta_bic > 0  # insertions do nothing of their own here
    assert rivals["insertions"].dose_slope + 2 * rivals["insertions"].dose_error < 0


def test_ends_of_the_profile_are_last_visit_only_and_for_good(fading: tuple[Visits, Working]) -> None:
    found = analyse_carryover(fading[1], fading[0])
    rivals = {rival.name: rival for rival in found.rivals}
    penalty = math.log(fading[1].ratings.n_patients)
    assert rivals["last visit only"].delta_bic == pytest.approx(found.profile.deviance[0] - penalty)
    assert rivals["for good"].delta_bic == pytest.approx(found.profile.deviance[-1] - penalty)


def test_without_an_effect_no_half_life_is_named() -> None:
    visits = record(0.0)
    found = analyse_carryover(working_model(ratings(visits)), visits)
    assert not found.identifiable
    assert math.isnan(found.half_life)
    assert (found.half_life_low, found.half_life_high) == (0.0, math.inf)
    assert all(math.isnan(weeks) for weeks in found.half_life_weeks)  # no dates were recorded


def test_weeks_stand_beside_visits_where_there_are_dates(fading: tuple[Visits, Working]) -> None:
    visits = fading[0]
    dated = visits.with_table(visits.table.assign(weeks=2.0 * (visits.table["visit"] - 1)))
    found = analyse_carryover(working_model(ratings(dated)), dated)
    assert found.gap_weeks == 2.0
    assert found.half_life_weeks[2] == 2.0 * found.half_life_high


def test_half_life_by_its_definition() -> None:
    assert (half_life(0.0), half_life(1.0)) == (0.0, math.inf)
    assert half_life(0.5) == pytest.approx(1.0)
    assert 0.8 ** half_life(0.8) == pytest.approx(0.5)


def test_a_rival_that_is_not_complete_is_named_with_its_reason(fading: tuple[Visits, Working]) -> None:
    visits = fading[0]
    table = visits.table.copy()
    table.loc[0, "insertions"] = np.nan
    found = analyse_carryover(fading[1], visits.with_table(table))
    rival = next(rival for rival in found.rivals if rival.name == "insertions")
    assert math.isnan(rival.delta_bic)
    assert "have no known insertions before them" in rival.note


def test_nothing_to_carry_over_is_refused() -> None:
    visits = record(0.0)
    visits = visits.with_table(visits.table.assign(twitches=0.0))
    with pytest.raises(FitError, match="nothing can carry over"):
        analyse_carryover(working_model(ratings(visits)), visits)


def test_an_unknown_term_is_refused(fading: tuple[Visits, Working]) -> None:
    with pytest.raises(PlanError, match="no estimate called 'lag_9'; there are lag_1, "):
        analyse_carryover(fading[1], fading[0]).get("lag_9")
