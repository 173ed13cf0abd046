from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.funnel import ALARM_LEVEL, WARNING_LEVEL, between, funnel
from tpr_outcomes.inference.shrinkage import partial_pool

SETS = ("noise", "spread", "three", "forty", "one_out")


@pytest.fixture(scope="module", params=SETS)
def case(root: Path, request: pytest.FixtureRequest) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Numbers given, and what R made of them."""
    folder = root / "tests" / "reference" / "funnel"
    given = pd.read_csv(folder / "input.csv").query("set == @request.param")
    table = pd.read_csv(folder / "expected.csv", skipinitialspace=True).query("set == @request.param")
    return given, table


def test_pooling_and_the_spread_between_clinics_agree_with_metafor(
    case: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    given, table = case
    one = table.set_index("what")["value"]
    pooled, spread = partial_pool(given["y"], given["s"]), between(given["y"], given["s"])
    # metafor's and our REML searches stop near 1e-7 of tau^2; its interval search at 1e-4 of tau^2 by default
    assert pooled.mean == pytest.approx(one["mean"], rel=1e-5)
    assert pooled.tau == pytest.approx(one["reml_tau"], rel=1e-4, abs=1e-7)
    np.testing.assert_allclose(pooled.shrunken, one["blup"], rtol=1e-5)
    assert spread.i_squared == pytest.approx(one["i_squared"], rel=1e-9, abs=1e-12)
    assert (spread.conf_low, spread.conf_high) == pytest.approx((one["tau_low"], one["tau_high"]), rel=1e-6)


def test_control_limits_agree_with_r(case: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    given, table = case
    one = table.set_index("what")["value"]
    found = funnel(given["y"], given["s"])
    # arithmetic only: what is left is the rounding of expected.csv to 13 digits
    for ours, theirs in ((found.target, "target"), (found.phi, "phi"), (found.tau, "funnel_tau")):
        assert ours == pytest.approx(one[theirs], rel=1e-10, abs=1e-14)
    published = funnel(given["y"], given["s"], corrected=False)
    for ours, theirs in (
        (published.target, "p_target"),
        (published.phi, "p_phi"),
        (published.tau, "p_funnel_tau"),
    ):
        assert ours == pytest.approx(one[theirs], rel=1e-10, abs=1e-14)
    for level, name in ((WARNING_LEVEL, "95"), (ALARM_LEVEL, "998")):
        low, high = found.limits(found.std_error, level)
        np.testing.assert_allclose(low, one[f"low_{name}"], rtol=1e-10)
        np.testing.assert_allclose(high, one[f"high_{name}"], rtol=1e-10)
        beyond = (found.estimate < low) | (found.estimate > high)
        np.testing.assert_array_equal(found.outside(level), beyond)


def test_the_one_put_out_is_the_only_one_flagged(root: Path) -> None:
    given = pd.read_csv(root / "tests" / "reference" / "funnel" / "input.csv").query("set == 'one_out'")
    flags = funnel(given["y"], given["s"]).outside(ALARM_LEVEL)
    assert list(np.flatnonzero(flags)) == [3]


def test_equal_errors_have_a_closed_form() -> None:
    # with equal s, Q(tau^2) = S / (s^2 + tau^2), so tau^2 at a quantile c is S / c - s^2
    y, s = np.array([-2.0, 0.0, 1.0, 3.0, 0.5]), 0.7
    squares = float(((y - y.mean()) ** 2).sum())
    found = between(y, np.full(5, s))
    for end, p in ((found.conf_low, 0.975), (found.conf_high, 0.025)):
        assert end**2 == pytest.approx(squares / stats.chi2.ppf(p, 4) - s**2, rel=1e-9)
    held = np.clip((y - y.mean()) / s, *np.quantile((y - y.mean()) / s, [0.1, 0.9]))
    tau2 = s**2 * ((held**2).sum() - 4) / 4  # sum w - sum w^2 / sum w = (k - 1) / s^2
    shown = funnel(y, np.full(5, s), corrected=False)
    assert shown.tau**2 == pytest.approx(tau2, rel=1e-12)
    assert shown.target == pytest.approx(y.mean())


def test_clinics_that_agree_too_well_have_no_spread() -> None:
    found = between([1.0, 1.0, 1.0], [0.5, 0.6, 0.7])
    assert (found.conf_low, found.conf_high, found.i_squared) == (0.0, 0.0, 0.0)
    shown = funnel([1.0, 1.0, 1.0], [0.5, 0.6, 0.7])
    assert (shown.tau, shown.phi) == (0.0, 0.0)
    assert not shown.outside(WARNING_LEVEL).any()


def test_over_dispersion_widens_the_limits_and_leaves_fewer_outside() -> None:
    rng = np.random.default_rng(5)
    s = rng.uniform(0.5, 1.5, 30)
    y = rng.normal(0.0, np.hypot(s, 2.0))
    found = funnel(y, s)
    naive = np.abs(y - np.average(y, weights=1 / s**2)) / s > 1.96
    assert found.tau > 1.0
    assert found.outside(WARNING_LEVEL).sum() < naive.sum()
    low, high = found.limits([0.5, 1.5], WARNING_LEVEL)
    assert (high - low)[1] > (high - low)[0] > 2 * 1.95 * 0.5


@pytest.mark.parametrize("make", [funnel, between])
def test_two_clinics_or_an_exact_one_are_refused(make: object) -> None:
    assert callable(make)
    with pytest.raises(FitError, match="2 clinics have an estimate; 3 are needed"):
        make([1.0, 2.0], [1.0, 1.0])
    with pytest.raises(FitError, match="the error is 0"):
        make([1.0, 2.0, 3.0], [1.0, 0.0, 1.0])
