"""Model of the dose: statsmodels' Poisson regression, closed forms, frailty by hand and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.models.counts import fit_counts, frailty_precision, log_frailty


def clinic(seed: int, *, patients: int = 60, visits: int = 5, shape: float = 3.0) -> tuple[np.ndarray, ...]:
    """Gamma-Poisson counts with pain and visit effects -> counts, columns, patient, true mean."""
    rng = generator(seed, "counts")
    patient = np.repeat(np.arange(patients), visits)
    pain = rng.normal(size=patient.size)
    levels = np.tile(np.arange(visits), patients)[:, None] == np.arange(visits)
    x = np.column_stack([levels, pain]).astype(float)
    mean = np.exp(x @ np.array([*np.linspace(2.0, 1.2, visits), 0.2]))
    frailty = rng.gamma(shape, 1.0 / shape, patients)[patient]
    return rng.poisson(mean * frailty).astype(float), x, patient, mean


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_same_coefficients_as_statsmodels(seed: int) -> None:
    count, x, _, _ = clinic(seed)
    ours = fit_counts(count, x)
    theirs = sm.GLM(count, x, family=sm.families.Poisson()).fit(tol=1e-12)
    # Ours stops when the deviance moves by 1e-10 of itself, which is second order in the coefficients.
    np.testing.assert_allclose(ours.gamma, theirs.params, atol=1e-6)
    np.testing.assert_allclose(ours.mean, theirs.fittedvalues, rtol=1e-6)
    assert np.abs(x.T @ (count - ours.mean)).max() < 1e-4 * count.sum()


def test_counts_need_not_be_whole() -> None:
    count, x, _, _ = clinic(4)
    theirs = sm.GLM(count / 3.0, x, family=sm.families.Poisson()).fit(tol=1e-12)
    np.testing.assert_allclose(fit_counts(count / 3.0, x).gamma, theirs.params, atol=1e-6)


def test_groups_have_their_average() -> None:
    """Closed form: with one column per group the fitted mean is the group's average."""
    group = np.repeat([0, 1, 2], [3, 2, 4])
    count = np.array([2.0, 0.0, 4.0, 7.0, 8.0, 1.0, 1.0, 0.0, 2.0])
    found = fit_counts(count, (group[:, None] == np.arange(3)).astype(float))
    np.testing.assert_allclose(np.exp(found.gamma), [2.0, 7.5, 1.0], rtol=1e-6)


def test_a_group_without_a_count_goes_to_zero_and_disturbs_no_one() -> None:
    group = np.repeat([0, 1], [3, 3])
    found = fit_counts(
        np.array([2.0, 0.0, 4.0, 0.0, 0.0, 0.0]), (group[:, None] == np.arange(2)).astype(float)
    )
    np.testing.assert_allclose(found.mean[:3], 2.0, rtol=1e-6)
    assert (found.mean[3:] < 1e-6).all()


def test_what_cannot_be_fitted_is_refused() -> None:
    count, x, _, _ = clinic(1)
    with pytest.raises(FitError, match="All recorded doses are zero"):
        fit_counts(np.zeros_like(count), x)
    with pytest.raises(FitError, match="did not settle in 2 iterations"):
        fit_counts(count, x, most=2)


def test_frailty_by_hand() -> None:
    """Two patients, two visits, all means 2: residuals (2, 1) and (-2, -1), so the cross sum is 4 + 4."""
    count, mean = np.array([4.0, 3.0, 0.0, 1.0]), np.full(4, 2.0)
    patient = np.array([0, 0, 1, 1])
    cross = 2 * (2 * 1) + 2 * (-2 * -1)
    weight = 2 * (2 * 2) + 2 * (2 * 2)
    assert frailty_precision(count, mean, patient) == pytest.approx(weight / cross)
    assert log_frailty(np.array([7.0, 1.0]), np.array([4.0, 4.0]), 2.0) == pytest.approx(
        [np.log(9 / 6), np.log(3 / 6)]
    )


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        ([4.0, 0.0, 0.0, 4.0], 1e4),  # visits of a patient disagree: nothing runs in patients
        ([9.0, 9.0, 0.0, 0.0], 0.2),  # cross sum far above the product of means: held at 0.2
    ],
)
def test_frailty_is_held_between_its_limits(count: list[float], expected: float) -> None:
    mean = np.full(4, 2.0) if expected > 1 else np.full(4, 0.5)
    assert frailty_precision(np.array(count), mean, np.array([0, 0, 1, 1])) == expected


def test_one_visit_each_says_nothing_about_frailty() -> None:
    assert frailty_precision(np.array([3.0, 5.0]), np.array([4.0, 4.0]), np.array([0, 1])) == 1e4


def test_frailty_limits() -> None:
    """No spread: everyone is average; all spread: the patient's own ratio."""
    total, expected = np.array([12.0, 3.0]), np.array([6.0, 6.0])
    np.testing.assert_allclose(log_frailty(total, expected, 1e12), 0.0, atol=1e-10)
    np.testing.assert_allclose(log_frailty(total, expected, 1e-12), np.log(total / expected), rtol=1e-10)


@pytest.mark.parametrize("shape", [1.0, 3.0])
def test_frailty_of_simulated_clinics(shape: float) -> None:
    """1/k is a ratio with known denominator, so unbiased at the true means: within 4 Monte Carlo errors."""
    found = []
    for seed in range(200):
        count, _, patient, mean = clinic(seed, shape=shape)
        found.append(1.0 / frailty_precision(count, mean, patient))
    error = np.std(found, ddof=1) / np.sqrt(len(found))
    assert np.mean(found) == pytest.approx(1.0 / shape, abs=4 * error)
    assert error < 0.05 / shape  # or the test could not fail
