from __future__ import annotations

import math

import pytest

from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.difference import Estimate, difference


def wilson(count: int, n: int) -> Estimate:
    """Wilson's interval, written out apart from the package's own."""
    z, p = 1.959963984540054, count / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    reach = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Estimate(p, middle - reach, middle + reach)


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        # Newcombe (1998, Stat Med 17:873-890), Table II, method 10: examples a to d, as printed.
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
    ],
)
def test_shares_agree_with_newcombes_printed_examples(
    first: tuple[int, int], second: tuple[int, int], low: float, high: float
) -> None:
    found = difference(wilson(*second), wilson(*first))
    assert (found.conf_low, found.conf_high) == pytest.approx((low, high), abs=5e-5)  # printed to four places


def test_symmetric_intervals_are_independent_standard_errors() -> None:
    z = 1.959963984540054
    a, b = (Estimate(e, e - z * s, e + z * s, s) for e, s in ((-0.03, 0.004), (-0.01, 0.003)))
    found = difference(a, b)
    assert found.estimate == pytest.approx(0.02)
    assert found.std_error == pytest.approx(0.005)
    assert (found.conf_low, found.conf_high) == pytest.approx((0.02 - z * 0.005, 0.02 + z * 0.005))


def test_the_other_way_round_is_the_mirror_image() -> None:
    a, b = Estimate(40.0, 31.0, 45.0), Estimate(28.0, 25.0, 44.0)
    one, other = difference(a, b), difference(b, a)
    assert (one.estimate, one.conf_low, one.conf_high) == pytest.approx(
        (-other.estimate, -other.conf_high, -other.conf_low)
    )


def test_one_that_is_known_exactly_moves_the_interval_of_the_other() -> None:
    found = difference(Estimate(2.0, 2.0, 2.0), Estimate(5.0, 4.0, 9.0))
    assert (found.conf_low, found.conf_high) == pytest.approx((2.0, 7.0))


@pytest.mark.parametrize("end", [math.nan, math.inf])
def test_an_open_end_opens_the_end_it_enters(end: float) -> None:
    found = difference(Estimate(40.0, 30.0, end), Estimate(50.0, 45.0, 55.0))
    assert found.conf_low == -math.inf
    assert found.conf_high == pytest.approx(10.0 + math.hypot(5.0, 10.0))
    assert not found.told_from_none


@pytest.mark.parametrize(
    ("low", "high", "told"), [(0.0, 2.0, False), (1e-9, 2.0, True), (-2.0, 0.0, False), (-2.0, -1e-9, True)]
)
def test_told_from_none_only_where_nought_is_outside(low: float, high: float, told: bool) -> None:
    found = difference(Estimate(0.0, 0.0, 0.0), Estimate((low + high) / 2, low, high))
    assert found.told_from_none is told


def test_intervals_that_do_not_go_together_are_refused() -> None:
    fine = Estimate(1.0, 0.0, 2.0)
    with pytest.raises(FitError, match=r"0\.95 and 0\.9 "):
        difference(fine, Estimate(1.0, 0.0, 2.0, level=0.9))
    for broken in (Estimate(math.nan, 0.0, 1.0), Estimate(3.0, 0.0, 2.0), Estimate(-1.0, 0.0, 2.0)):
        with pytest.raises(FitError, match="outside its own interval"):
            difference(fine, broken)
