"""Randomness by name: same name same numbers, other name other numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tpr_outcomes.inference.resample import generator, rademacher

PINNED = [1728263028, 4055600549, 2001890691]
PINNED_SIGNS = [-1, 1, 1, 1, -1, 1, -1, -1, -1, -1, 1, 1]


def test_a_name_is_a_stream() -> None:
    first, again = (generator(7, "multiplier").random(5) for _ in range(2))
    assert first.tolist() == again.tolist()


@pytest.mark.parametrize(
    ("seed", "names"),
    [(8, ("multiplier",)), (7, ("timing",)), (7, ("multiplier", 0)), (7, ()), (7, ("multiplier", ""))],
)
def test_another_seed_or_name_is_another_stream(seed: int, names: tuple[str | int, ...]) -> None:
    assert generator(seed, *names).random() != generator(7, "multiplier").random()


def test_a_number_is_not_its_digits_and_names_do_not_run_together() -> None:
    values = [generator(7, *names).random() for names in ((1,), ("1",), ("a", "b"), ("ab",), ("b", "a"))]
    assert len(set(values)) == len(values)


def test_streams_are_those_of_earlier_versions() -> None:
    """Published results name a seed; a change of these numbers is a change of every result."""
    assert generator(1, "multiplier").integers(0, 2**32, 3).tolist() == PINNED
    assert rademacher(generator(1, "multiplier"), 1, 12)[0].tolist() == PINNED_SIGNS


def test_signs_are_signs_of_both_kinds_and_independent() -> None:
    signs = rademacher(generator(3, "signs"), 4000, 30)
    assert signs.shape == (4000, 30)
    assert set(np.unique(signs)) == {-1.0, 1.0}
    # Sums of independent signs are binomial: mean within 4 errors, pairs too (435 pairs: 4.5 errors).
    assert np.abs(signs.mean(axis=0)).max() < 4.5 / np.sqrt(4000)
    pairs = (signs.T @ signs / 4000)[np.triu_indices(30, 1)]
    assert np.abs(pairs).max() < 4.5 / np.sqrt(4000)
    sums = (signs.sum(axis=1) + 30) / 2
    observed = np.bincount(np.clip(sums, 9, 21).astype(int) - 9, minlength=13)
    share = stats.binom.pmf(np.arange(31), 30, 0.5)
    expected = 4000 * np.array([share[:10].sum(), *share[10:21], share[21:].sum()])
    assert stats.chisquare(observed, expected).pvalue > 1e-4


@pytest.mark.parametrize("n", [1, 7, 8, 9, 150])
def test_fewer_replicates_are_the_first_of_more(n: int) -> None:
    few, many = (rademacher(generator(5, "prefix"), b, n) for b in (13, 200))
    np.testing.assert_array_equal(few, many[:13])
