"""Quiet insertions and a negative-control outcome: against least squares, by hand, and where impossible."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from tpr_outcomes.cohort.derive import ratings
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.comparison import comparison_dose, control_check
from tpr_outcomes.models.mixed import Covariance, Layout
from tpr_outcomes.models.working import Working, working_model
from tpr_outcomes.planning.simulate import simulate


def independent(working: Working) -> Working:
    """The same clinic with covariance I."""
    none: Any = np.zeros((0, 0))
    fit = replace(working.fit, covariance=Covariance(sigma=1.0, factor=none))
    return replace(working, fit=fit, random="none", layout=Layout.of(working.ratings.patient, working.time))


@pytest.fixture(scope="module")
def clinic() -> Visits:
    return simulate("insertions", n_patients=80, seed=5)


def quiet_before(visits: Visits) -> np.ndarray:
    """Earlier insertions beyond the twitches of the same visits, per visit, in a loop."""
    out = []
    for _, rows in visits.table.groupby("patient"):
        total = 0.0
        for _, row in rows.iterrows():
            out.append(total)
            total += max(row["insertions"] - row["twitches"], 0.0)
    return np.array(out)


def test_slopes_are_clustered_least_squares_when_ratings_are_independent(clinic: Visits) -> None:
    working = independent(working_model(ratings(clinic)))
    r = working.ratings
    columns = np.column_stack([r.dose_before, quiet_before(clinic)[r.row]])
    x = np.column_stack([working.nuisance, columns])
    plain = sm.OLS(r.pain, x).fit(cov_type="cluster", cov_kwds={"groups": r.patient, "use_correction": False})
    found = comparison_dose(clinic, working)
    np.testing.assert_allclose([found.twitches, found.quiet], plain.params[-2:], rtol=1e-7)
    np.testing.assert_allclose([found.twitches_error, found.quiet_error], plain.bse[-2:], rtol=1e-7)
    contrast = np.zeros(x.shape[1])
    contrast[-2:] = 1.0, -1.0
    test = plain.t_test(contrast)
    assert found.difference == pytest.approx(float(test.effect[0]), rel=1e-7)
    assert found.difference_error == pytest.approx(float(np.ravel(test.sd)[0]), rel=1e-7)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(found.difference / found.difference_error)))
    ends = test.conf_int(alpha=0.05).ravel()
    np.testing.assert_allclose([found.conf_low, found.conf_high], ends, rtol=1e-6)


def test_what_it_needs(clinic: Visits) -> None:
    bare = simulate("N4", n_patients=60, seed=2)
    with pytest.raises(FitError, match="insertions are not recorded"):
        comparison_dose(bare, working_model(ratings(bare)))
    same = replace(clinic, table=clinic.table.assign(insertions=clinic.table["twitches"]))
    with pytest.raises(FitError, match="do not vary apart"):
        comparison_dose(same, working_model(ratings(same)))
    with pytest.raises(FitError, match="twitches are not the dose"):
        comparison_dose(clinic, working_model(ratings(clinic, dose="insertions")))
    gaps = clinic.table["insertions"].astype(float).copy()
    gaps.iloc[0] = np.nan
    gapped = replace(clinic, table=clinic.table.assign(insertions=gaps))
    with pytest.raises(FitError, match="not recorded at every needling"):
        comparison_dose(gapped, working_model(ratings(gapped)))


def test_a_control_that_needling_moves_raises_the_alarm() -> None:
    """Where each twitch takes pain off, pain itself is no valid control: the check says so."""
    visits = simulate("A-lin", n_patients=150, seed=3)
    moved = replace(visits, table=visits.table.assign(control=visits.table["pain"]))
    found = control_check(moved, dose="twitches", replicates=199, seed=1)
    assert found.passed is False
    assert found.n == ratings(visits).n_patients


def test_noise_is_a_valid_control() -> None:
    visits = simulate("A-lin", n_patients=100, seed=3)
    noise = np.random.default_rng(4).normal(5.0, 1.0, len(visits.table))
    found = control_check(
        replace(visits, table=visits.table.assign(control=noise)), dose="twitches", replicates=199, seed=1
    )
    assert found.passed is True
    assert found.p_value is not None
    assert 0.05 <= found.p_value <= 1.0


def test_both_directions_count() -> None:
    """A control that gets worse with the dose is as telling as one that gets better."""
    visits = simulate("A-lin", n_patients=150, seed=3)
    worse = replace(visits, table=visits.table.assign(control=10.0 - visits.table["pain"]))
    assert control_check(worse, dose="twitches", replicates=199, seed=1).passed is False


def test_without_a_control_it_cannot_be_done() -> None:
    visits = simulate("N4", n_patients=60, seed=3)
    found = control_check(visits, dose="twitches", replicates=99, seed=1)
    assert (found.passed, found.reason) == (None, "no negative-control outcome is recorded")
    flat = replace(visits, table=visits.table.assign(control=1.0))
    assert control_check(flat, dose="twitches", replicates=99, seed=1).reason.endswith("does not vary")
