"""Cumulative incidence of response where the truth is known: do the intervals cover?

A slice of the study in docs/methods/response.md.
"""

from __future__ import annotations

import numpy as np
import pytest

from tpr_outcomes.inference.competing import CENSORED, Incidence, aalen_johansen
from tpr_outcomes.inference.resample import generator

RESPOND, STOP = 0.2, 0.08
REPLICATES = 600


def incidence(rng: np.random.Generator, n: int) -> Incidence:
    """Constant chances of responding and of stopping at a visit; followed for 3 to 10 visits."""
    respond, stop = rng.geometric(RESPOND, n), rng.geometric(STOP, n)
    seen = rng.integers(3, 11, n)
    end = np.minimum(np.minimum(respond, stop), seen)
    # at a tie responding comes first: a patient who responds is asked before stopping
    cause = np.where(respond == end, "response", np.where(stop == end, "stopped", CENSORED))
    return aalen_johansen(end, cause)


def truth(visits: int) -> float:
    stay = (1 - RESPOND) * (1 - STOP)
    return RESPOND * (1 - stay**visits) / (1 - stay)


@pytest.mark.simulation
@pytest.mark.parametrize("visits", [2, 6])
def test_interval_covers(visits: int) -> None:
    hits = 0
    for replicate in range(REPLICATES):
        curve = incidence(generator(20260510, "incidence", visits, replicate), 50)
        _, _, low, high = curve.at(visits, "response")
        hits += low <= truth(visits) <= high
    monte_carlo = np.sqrt(0.05 * 0.95 / REPLICATES)
    assert abs(hits / REPLICATES - 0.95) < 3 * monte_carlo
