"""Shares, slopes and gaps behind the claims where the truth is known: a slice of tools/claims_study.py."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.inference.clustered import ratio_of, regression
from tpr_outcomes.inference.frequency import analyse_frequency
from tpr_outcomes.inference.resample import generator

REPLICATES = 120
PATIENTS = 60
MONTE_CARLO = float(np.sqrt(0.05 * 0.95 / REPLICATES))
FELT, FELT_SD = -0.6, 0.5


def courses(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Visits of each patient, two to twelve and most of them few; patient and number of every visit."""
    visits = np.minimum(1 + rng.geometric(0.25, PATIENTS), 12)
    patient = np.repeat(np.arange(PATIENTS), visits)
    return visits, patient, np.concatenate([np.arange(k) for k in visits])


@pytest.mark.simulation
def test_intervals_cover_and_slopes_keep_their_size() -> None:
    truth = float(stats.norm.cdf(-FELT / np.hypot(1.0, FELT_SD)))
    covered = dict.fromkeys(("slope", "share", "gaps"), 0)
    for replicate in range(REPLICATES):
        rng = generator(20261125, "claims slice", replicate)
        visits, patient, number = courses(rng)
        takes = stats.norm.cdf(rng.normal(0.0, 1.0, PATIENTS))[patient]
        took = (rng.random(patient.size) < takes).astype(float)
        mean = np.bincount(patient, took) / visits, np.bincount(patient, number) / visits
        within = (number - mean[1][patient])[:, None]
        (slope,) = regression(took - mean[0][patient], within, patient, terms={0: "per_visit"})
        covered["slope"] += slope.conf_low <= 0.0 <= slope.conf_high
        insertions = 1 + rng.poisson(4.0, patient.size)
        felt = rng.binomial(insertions, stats.norm.cdf(FELT + rng.normal(0.0, FELT_SD, PATIENTS))[patient])
        share = ratio_of("not_felt", insertions - felt, insertions, patient)
        covered["share"] += share.conf_low <= truth <= share.conf_high
        weeks = number + rng.integers(-1, 2, patient.size) * (number > 0) / 7.0
        made = Visits.from_arrays(
            patient=patient, visit=number + 1, weeks=weeks, pain=np.ones(patient.size), twitches=number * 0.0
        )
        gap = analyse_frequency(made).gap_ratio
        covered["gaps"] += gap.conf_low <= 1.0 <= gap.conf_high
    for name, hits in covered.items():
        assert hits / REPLICATES > 0.95 - 3 * MONTE_CARLO, name
