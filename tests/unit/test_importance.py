"""Responders: counted by hand, coverage summed exactly."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from tpr_outcomes.cohort.scales import NRS, SCALES
from tpr_outcomes.cohort.visits import read_visits
from tpr_outcomes.inference.clustered import share_of
from tpr_outcomes.inference.importance import cut_points, first_and_last, responders

TABLE = pd.DataFrame(
    {
        "patient": ["a", "a", "a", "b", "b", "c", "c", "d", "e", "e", "f", "f"],
        "visit": [1, 2, 3, 1, 2, 1, 2, 1, 1, 2, 1, 2],
        "pain": [8, 6, 4, 6, 5, None, 3, 5, 0, 0, 10, 7],
        "twitches": [3] * 12,
    }
)
"""First and last: a 8 to 4, b 6 to 5, e 0 to 0, f 10 to 7; c has no first rating, d no later one."""


def test_first_and_last_rating() -> None:
    first, last = first_and_last(read_visits(TABLE))
    assert first.tolist() == [8, 6, 0, 10]
    assert last.tolist() == [4, 5, 0, 7]


def test_counts_worked_by_hand() -> None:
    found = {r.cut.name: r for r in responders(read_visits(TABLE))}
    # Gains 4, 1, 0, 3 points; 50%, 17%, -, 30%: a first rating of 0 has no percentage.
    assert (found["absolute-2"].count, found["absolute-2"].n) == (2, 4)
    assert (found["absolute-1.3"].count, found["absolute-1.3"].n) == (2, 4)
    assert (found["percent-30"].count, found["percent-30"].n) == (2, 3)  # at the edge counts
    assert (found["percent-50"].count, found["percent-50"].n) == (1, 3)
    spread = 0.5 * np.std([8, 6, 0, 10], ddof=1)
    assert found["spread"].cut.value == pytest.approx(spread)
    assert found["spread"].count == sum(gain >= spread for gain in (4, 1, 0, 3))


def test_three_ways_of_saying_what_matters() -> None:
    cuts = cut_points(NRS, np.array([4.0, 6.0, 8.0]))
    assert {cut.method for cut in cuts} == {"recommendation", "patients", "spread"}
    assert len({cut.name for cut in cuts}) == len(cuts)
    assert all(cut.sources or cut.method == "spread" for cut in cuts)


def test_a_scale_on_which_higher_is_better() -> None:
    table = TABLE.assign(pain=[2, 3, 6, 4, 4, None, 3, 5, 0, 0, 10, 7])
    found = {r.cut.name: r for r in responders(read_visits(table, scale="psfs"))}
    assert found["absolute-2"].count == 1  # from 2 to 6; from 10 to 7 is worse
    assert SCALES["psfs"].higher_is_worse is False


def test_nobody_with_two_ratings() -> None:
    table = TABLE[TABLE["visit"] == 1]
    assert responders(read_visits(table)) == ()


@pytest.mark.simulation
def test_intervals_cover_at_their_level() -> None:
    """Exact coverage, summed over the binomial distribution: near 95% on average, not at each share."""
    for n in (20, 60):
        ends = []
        for count in range(n + 1):
            share = share_of("x", np.arange(n) < count, np.arange(n))
            ends.append((share.conf_low, share.conf_high))
        low, high = np.array(ends).T[:, :, None]
        shares = np.linspace(0.1, 0.9, 161)
        inside = (low <= shares) & (shares <= high)
        coverage = (binom.pmf(np.arange(n + 1)[:, None], n, shares) * inside).sum(axis=0)
        # Student's t in place of the normal quantile makes small records cautious: 97.0% on average at 20.
        assert 0.95 < coverage.mean() < 0.975
        assert coverage.min() > 0.94
