"""Size and power of the whole verdict on a slice of fresh clinics; the study is in docs/methods.

Each limit is an exact binomial one: the count would be outside with probability below 1 in 1,000 if the
documented rate held. Monte Carlo error of a share of 100 clinics: 1.6 points at 2.5%, 3.2 at 88%.
"""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import pytest
from scipy import stats

from tpr_outcomes.inference.evidence import Evidence, decide, gather_evidence
from tpr_outcomes.planning.simulate import simulate

CLINICS, PATIENTS, REPLICATES = 100, 150, 199
FIRST_SEED = 700_000  # used in no study
WITHOUT_THRESHOLD = ("N4", "N7", "A-lin", "A-emax")
MOST_FALSE = 0.025
"""What the level of the threshold gate promises in every world without a threshold (evidence.py)."""
POWER = 0.86
"""269 of 300 other clinics of A-thr40 were supported: 90%, less two Monte Carlo errors of 1.8 points."""
RARE = 1e-3

pytestmark = [pytest.mark.simulation, pytest.mark.slow, pytest.mark.xdist_group("verdict_slice")]


@cache
def clinics(world: str) -> list[Evidence]:
    return [
        gather_evidence(
            simulate(world, n_patients=PATIENTS, seed=FIRST_SEED + i),
            replicates=REPLICATES,
            seed=FIRST_SEED + i,
        )
        for i in range(CLINICS)
    ]


def labels(world: str) -> Counter[str]:
    return Counter(decide(found).label for found in clinics(world))


@pytest.mark.parametrize("world", WITHOUT_THRESHOLD)
def test_a_threshold_is_rarely_seen_where_there_is_none(world: str) -> None:
    """Allowed: 8 of 100. A procedure wrong in 15% of clinics passes with probability 0.03."""
    assert labels(world)["threshold_supported"] <= stats.binom.ppf(1 - RARE, CLINICS, MOST_FALSE)


def test_all_worlds_together() -> None:
    """Allowed: 21 of 400. A procedure wrong in 8% of clinics passes with probability 0.02."""
    false = sum(labels(world)["threshold_supported"] for world in WITHOUT_THRESHOLD)
    most = stats.binom.ppf(1 - RARE, CLINICS * len(WITHOUT_THRESHOLD), MOST_FALSE)
    assert stats.binom.cdf(most, CLINICS * len(WITHOUT_THRESHOLD), 0.08) < 0.03  # or the test shows nothing
    assert false <= most


def test_a_threshold_at_forty_is_seen() -> None:
    """Wanted: 74 of 100. A procedure with 65% power passes with probability 0.04."""
    assert labels("A-thr40")["threshold_supported"] >= stats.binom.ppf(RARE, CLINICS, POWER)


def test_its_interval_holds_it() -> None:
    """Nominal 95% among the supported; the set is calibrated, so no more than 1 in 1,000 below that."""
    supported = [e.test for e in clinics("A-thr40") if decide(e).label == "threshold_supported"]
    held = sum(t is not None and t.profile.conf_low <= 40.0 <= t.profile.conf_high for t in supported)
    assert held >= stats.binom.ppf(RARE, len(supported), 0.95)
    slope = [t.profile.slope for t in supported if t is not None]
    # Supported ones are steeper by selection; a factor of 2 would be a fault.
    assert -0.1 < np.median(slope) < -0.04


def test_where_twitches_do_nothing_little_else_is_said() -> None:
    """World N4: an association label needs p < 2.5%, without a guarantee. In 300 other clinics it had 9 (3%,
    Monte Carlo error 1 point); held to twice that, allowed are 14 of 100.
    """
    seen = labels("N4")
    wrong = CLINICS - seen["no_relevant_effect"] - seen["inconclusive"] - seen["not_identifiable"]
    assert wrong <= stats.binom.ppf(1 - RARE, CLINICS, 0.06)
