"""Prediction: against lme4, against the joint Gaussian distribution written out, and at its limits."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.unit.brute_force import random_covariance, residual_covariance

from tpr_outcomes.errors import FitError
from tpr_outcomes.models.mixed import Covariance, MixedFit, fit_mixed
from tpr_outcomes.models.mixed_predict import Prediction, Rows, predict_mixed

REFERENCE = Path(__file__).parents[1] / "reference"
AGREE = 2e-5
"""Scale points: two certified optima of one flat likelihood differ by about this in what they predict."""


@cache
def table(name: str) -> pd.DataFrame:
    return pd.read_csv(REFERENCE / "lme4" / f"{name}.csv")


def rows(data: pd.DataFrame, columns: int) -> Rows:
    t = data["t"].to_numpy(float)
    x = np.column_stack([np.ones(t.size), t, data["dose"], data["hinge"]])
    return Rows(
        data["patient"].to_numpy(),
        x,
        np.column_stack([np.ones(t.size), t])[:, :columns],
        data["weeks"].to_numpy(float),
    )


# --- another program --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["ML", "REML"])
@pytest.mark.parametrize("model", ["intercept", "intercept_slope"])
@pytest.mark.parametrize("dataset", ["regular", "irregular"])
def test_prediction_agrees_with_lme4(dataset: str, model: str, method: str) -> None:
    expected = pd.read_csv(REFERENCE / "lme4_predict" / "expected.csv")
    expected = expected.query("dataset == @dataset and model == @model and method == @method")
    data = table(dataset)
    key = ["patient", "visit"]
    set_aside = data[key].apply(tuple, axis=1).isin(expected[key].apply(tuple, axis=1))
    known, columns = data[~set_aside], 1 if model == "intercept" else 2
    past = rows(known, columns)
    y = known["pain"].to_numpy(float)
    codes = np.unique(past.patient, return_inverse=True)[1]
    fit = fit_mixed(y, past.x, codes, z=past.z, method="reml" if method == "REML" else "ml")
    wanted = data[set_aside]
    assert np.array_equal(wanted[key].to_numpy(), expected[key].to_numpy())
    made = predict_mixed(fit, past, y, rows(wanted, columns))
    assert set(expected["seen"]) == {0, 1}
    for name in ("expected", "population", "std_error"):
        assert np.abs(getattr(made, name) - expected[name].to_numpy()).max() < AGREE, name
    unseen = expected["seen"].to_numpy() == 0
    assert np.array_equal(made.expected[unseen], made.population[unseen])
    assert (made.expected[~unseen] != made.population[~unseen]).all()


# --- brute force ------------------------------------------------------------------------------------------


def joint(fit: MixedFit, known: Rows, y: np.ndarray, wanted: Rows) -> Prediction:
    """Condition the joint normal distribution of all ratings, known and wanted, of all patients at once.

    The fixed effects are normal with an immense variance, so their uncertainty comes out of the conditioning
    itself; no formula is shared with the engine. Every wanted row is taken alone.
    """
    c = fit.covariance
    immense = 1e6
    population, expected, error = [], [], []
    for i in range(wanted.patient.size):
        patient = np.append(known.patient, wanted.patient[i])
        x, z = np.vstack([known.x, wanted.x[i]]), np.vstack([known.z, wanted.z[i]])
        time = np.append(known.time, wanted.time[i])
        v = immense * x @ x.T
        for label in np.unique(patient):
            rows = np.flatnonzero(patient == label)
            inside = z[rows] @ c.random_covariance @ z[rows].T
            inside += residual_covariance(time[rows], sigma=c.sigma, phi=c.phi, nugget=c.nugget)
            v[np.ix_(rows, rows)] += inside
        weights = np.linalg.solve(v[:-1, :-1], v[:-1, -1])
        expected.append(weights @ y)
        error.append(np.sqrt(v[-1, -1] - weights @ v[:-1, -1]))
        population.append(wanted.x[i] @ fit.beta)
    return Prediction(np.array(expected), np.array(population), np.array(error))


CORRELATED = [("independent", 0.0, 0.0), ("car1", 0.6, 0.0), ("car1+nugget", 0.7, 0.4)]


@pytest.mark.parametrize("columns", [0, 1, 2])
@pytest.mark.parametrize(("residual", "phi", "nugget"), CORRELATED)
def test_prediction_is_the_conditional_distribution(
    residual: str, phi: float, nugget: float, columns: int
) -> None:
    data = table("irregular").query("patient <= 16")
    last = ~data["patient"].duplicated(keep="last")
    held = last & (data.groupby("patient")["visit"].transform("size") > 2) | (data["patient"] > 13)
    past, wanted = rows(data[~held], columns), rows(data[held], columns)
    y = data.loc[~held, "pain"].to_numpy(float)
    spread = random_covariance(1.1, 0.3, -0.4)[:columns, :columns]
    factor = np.linalg.cholesky(spread) / 1.3 if columns else np.empty((0, 0))
    covariance = Covariance(sigma=1.3, factor=factor, phi=phi, nugget=nugget)
    fit = at_given_covariance(past, y, covariance)
    made, plain = predict_mixed(fit, past, y, wanted), joint(fit, past, y, wanted)
    # The immense variance is not infinite: what is left of it is of the order of 1e-6 of the scale.
    assert np.allclose(made.expected, plain.expected, atol=2e-4)
    assert np.allclose(made.std_error, plain.std_error, rtol=2e-4)


def at_given_covariance(past: Rows, y: np.ndarray, covariance: Covariance) -> MixedFit:
    """A fit whose covariance parameters are given and whose fixed effects follow from them, densely."""
    v = np.zeros((y.size, y.size))
    for label in np.unique(past.patient):
        rows = past.of(label)
        inside = past.z[rows] @ covariance.random_covariance @ past.z[rows].T
        inside += residual_covariance(
            past.time[rows], sigma=covariance.sigma, phi=covariance.phi, nugget=covariance.nugget
        )
        v[np.ix_(rows, rows)] = inside
    beta_cov = np.linalg.inv(past.x.T @ np.linalg.solve(v, past.x))
    beta = beta_cov @ past.x.T @ np.linalg.solve(v, y)
    usual = fit_mixed(y, past.x, np.unique(past.patient, return_inverse=True)[1])
    error = np.sqrt(np.diag(beta_cov))
    return dataclasses.replace(usual, beta=beta, std_error=error, beta_cov=beta_cov, covariance=covariance)


# --- limits -----------------------------------------------------------------------------------------------


def small() -> tuple[MixedFit, Rows, np.ndarray]:
    data = table("regular").query("patient <= 20")
    past, y = rows(data, 1), data["pain"].to_numpy(float)
    return at_given_covariance(past, y, Covariance(1.0, np.array([[1.0]]), phi=0.5, nugget=0.3)), past, y


def at(past: Rows, row: int, later: float) -> Rows:
    """One row of a patient, moved in time of the correlation alone."""
    one = slice(row, row + 1)
    return Rows(past.patient[one], past.x[one], past.z[one], past.time[one] + later)


def test_far_from_every_rating_only_the_patients_level_is_left() -> None:
    fit, past, y = small()
    near, far, farther = (predict_mixed(fit, past, y, at(past, 0, gap)) for gap in (0.0, 1e4, 1e6))
    assert far.expected == pytest.approx(farther.expected)
    assert far.expected[0] != pytest.approx(far.population[0])
    assert near.std_error[0] < far.std_error[0]


def test_without_noise_a_rating_made_again_is_the_same_rating() -> None:
    fit, past, y = small()
    sure = dataclasses.replace(fit, covariance=Covariance(1.0, np.array([[1.0]]), phi=0.5, nugget=0.0))
    again = predict_mixed(sure, past, y, at(past, 3, 0.0))
    assert again.expected[0] == pytest.approx(y[3])
    assert again.std_error[0] == pytest.approx(0.0, abs=1e-6)


def test_an_interval_widens_with_its_level() -> None:
    fit, past, y = small()
    made = predict_mixed(fit, past, y, at(past, 0, 1.0))
    low, high = made.interval(0.95)
    assert high - low == pytest.approx(2 * 1.959964 * made.std_error, rel=1e-6)
    assert made.interval(0.5)[0] > low


def test_what_does_not_fit_the_model_is_refused() -> None:
    fit, past, y = small()
    wide = Rows(past.patient, past.x[:, :3], past.z, past.time)
    with pytest.raises(FitError, match="wanted rows have 3 fixed and 1 random columns; the model has 4"):
        predict_mixed(fit, past, y, wide)
    with pytest.raises(FitError, match="one finite outcome"):
        predict_mixed(fit, past, np.where(y == y[0], np.nan, y), past)
    with pytest.raises(FitError, match="known rows are missing or infinite"):
        predict_mixed(fit, dataclasses.replace(past, time=past.time * np.nan), y, past)
    with pytest.raises(FitError, match="could not be fitted"):
        predict_mixed(dataclasses.replace(fit, status="failed"), past, y, past)
