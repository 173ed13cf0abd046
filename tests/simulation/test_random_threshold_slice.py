"""A short slice of docs/methods/random-threshold.md: patient-specific thresholds with the answer known.

The full study (benchmarks/random_threshold_study.py) measures bias and coverage; this slice notices if they
break.
"""

from __future__ import annotations

import numpy as np
import pytest

from tpr_outcomes.inference.resample import generator
from tpr_outcomes.models.random_threshold import RandomThresholdFit, fit_random_threshold

pytestmark = [pytest.mark.simulation, pytest.mark.slow]

TRUTH = 12.0
REPLICATES = 8


def one(spread: float, replicate: int) -> RandomThresholdFit:
    """200 patients, 8 visits, 0.15 points less a twitch beyond the threshold, noise SD 1."""
    rng = generator(4, "threshold slice", int(spread), replicate)
    n, visits = 200, 8
    patient = np.repeat(np.arange(n), visits)
    time = np.tile(np.arange(visits, dtype=np.float64), n)
    twitches = rng.poisson(4.0 * rng.gamma(3.0, 1 / 3.0, (n, visits)))
    twitches[:, 0] = 0
    dose = twitches.cumsum(1).ravel().astype(np.float64)
    tau = rng.normal(TRUTH, spread, n)[patient]
    pain = 7.0 + rng.normal(0, 1.5, n)[patient] - 0.1 * time
    pain += -0.15 * np.maximum(dose - tau, 0.0) + rng.normal(0, 1.0, pain.size)
    X = np.column_stack((np.ones_like(time), time, dose))
    return fit_random_threshold(pain, X, dose=dose, patient=patient)


@pytest.fixture(scope="module", params=[0.0, 2.0, 4.0])
def fits(request: pytest.FixtureRequest) -> tuple[float, list[RandomThresholdFit]]:
    return request.param, [one(request.param, k) for k in range(REPLICATES)]


def test_no_fit_fails(fits: tuple[float, list[RandomThresholdFit]]) -> None:
    assert {fit.status for fit in fits[1]} <= {"converged", "boundary"}


def test_the_mean_is_near_the_truth(fits: tuple[float, list[RandomThresholdFit]]) -> None:
    """Within 4 Monte Carlo standard errors."""
    estimates = np.array([fit.threshold.estimate for fit in fits[1]])
    assert abs(estimates.mean() - TRUTH) < 4 * estimates.std(ddof=1) / np.sqrt(REPLICATES)


def test_intervals_cover(fits: tuple[float, list[RandomThresholdFit]]) -> None:
    """At 92% coverage 5 or fewer of 8 happen once in 50 such tests; the seed is fixed."""
    spread, found = fits
    places = sum(fit.threshold.conf_low <= TRUTH <= fit.threshold.conf_high for fit in found)
    spreads = sum(fit.threshold_sd.conf_low <= spread <= fit.threshold_sd.conf_high for fit in found)
    assert places >= 6
    assert spreads >= 6


def test_answers_follow_the_truth(fits: tuple[float, list[RandomThresholdFit]]) -> None:
    spread, found = fits
    answers = [fit.distinguishable() for fit in found]
    if spread == 0.0:
        assert answers.count("thresholds differ between patients") <= 2
    if spread == 4.0:
        assert answers.count("one common threshold") == 0
        assert answers.count("thresholds differ between patients") >= 6
