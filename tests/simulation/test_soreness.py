"""Soreness on diaries whose truth is known: do the intervals cover, does the dose test keep its size?

A slice of the study in docs/methods/soreness.md, small enough to run with every test run.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tpr_outcomes.inference.resample import generator
from tpr_outcomes.inference.soreness import analyse_soreness

HOURS = np.array([1.0, 6.0, 12.0, 24.0, 48.0, 72.0])
PROPENSITY_SD, FRAILTY_SD, WITHIN_SD, MEDIAN = 1.0, 0.5, 0.7, 16.0
REPLICATES = 80
MONTE_CARLO = np.sqrt(0.05 * 0.95 / REPLICATES)


def diaries(
    rng: np.random.Generator,
    *,
    n_patients: int,
    missing: float,
    informative: bool = False,
    slope: float = 0.0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One to four visits each; being sore, and for how long, runs in patients; entries are left out.

    ``informative``: only entries without soreness are left out.
    """
    visits = rng.integers(1, 5, n_patients)
    patient = np.repeat(np.arange(n_patients), visits)
    visit = np.concatenate([np.arange(1, k + 1) for k in visits])
    twitches = rng.negative_binomial(3, 3 / 11, patient.size).astype(float)
    propensity = rng.normal(1.1, PROPENSITY_SD, n_patients)[patient]
    frailty = rng.normal(0, FRAILTY_SD, n_patients)[patient]
    sore = rng.random(patient.size) < stats.norm.cdf(propensity)
    duration = np.where(sore, MEDIAN * np.exp(frailty + rng.normal(0, WITHIN_SD, patient.size)), 0.0)
    start = 3 + slope * twitches + rng.normal(0, 1, patient.size)
    level = np.where(duration[:, None] > HOURS, np.clip(np.round(start), 1, 10)[:, None], 0)
    left_out = rng.random(level.shape) < missing
    if informative:
        left_out &= level == 0
    rows, columns = np.nonzero(~left_out)
    diary = pd.DataFrame({"patient": patient[rows], "visit": visit[rows], "hours": HOURS[columns]})
    diary["soreness"] = level[rows, columns].astype(float)
    return diary, pd.DataFrame({"patient": patient, "visit": visit, "twitches": twitches})


def truth() -> dict[str, float]:
    """Shares of the world above, in closed form: normal on the log scale, probit propensity."""
    sore = float(stats.norm.cdf(1.1 / np.sqrt(1 + PROPENSITY_SD**2)))
    over = stats.norm(np.log(MEDIAN), np.hypot(FRAILTY_SD, WITHIN_SD))
    at_first, at_horizon = sore * float(over.sf(np.log(1.0))), sore * float(over.sf(np.log(48.0)))
    return {"sore": at_first, "free_48": 1 - at_horizon, "resolved_48": 1 - at_horizon / at_first}


@pytest.mark.simulation
@pytest.mark.slow
def test_intervals_cover_and_the_dose_test_keeps_its_size() -> None:
    known = truth()
    covered = dict.fromkeys(known, 0)
    rejected = 0
    for replicate in range(REPLICATES):
        rng = generator(20260501, "soreness", replicate)
        diary, visits = diaries(rng, n_patients=40, missing=0.15)
        found = analyse_soreness(diary, visits=visits)
        for term, value in known.items():
            row = found.get(term)
            covered[term] += row.conf_low <= value <= row.conf_high
        rejected += found.get("twitches").p_value < 0.05
    for term, hits in covered.items():
        assert hits / REPLICATES > 0.95 - 3 * MONTE_CARLO, term
    assert rejected / REPLICATES < 0.05 + 3 * MONTE_CARLO


@pytest.mark.simulation
def test_bounds_hold_when_leaving_out_depends_on_soreness() -> None:
    """Entries without soreness left out half the time: the estimate may be wrong, the bounds may not."""
    for replicate in range(5):
        rng = generator(20260502, "informative", replicate)
        diary, visits = diaries(rng, n_patients=400, missing=0.5, informative=True)
        found = analyse_soreness(diary, visits=visits)
        for term in ("sore", "resolved_48"):
            low, high = found.get(f"{term}_lowest").conf_low, found.get(f"{term}_highest").conf_high
            assert low < truth()[term] < high


@pytest.mark.simulation
def test_more_twitches_more_soreness_is_found_where_it_is_so() -> None:
    rng = generator(20260503, "slope")
    diary, visits = diaries(rng, n_patients=150, missing=0.1, slope=0.15)
    found = analyse_soreness(diary, visits=visits)
    for term in ("twitches", "twitches_within"):
        assert found.get(term).conf_low > 0
