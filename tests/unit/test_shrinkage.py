from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.shrinkage import partial_pool, reml_tau2


@pytest.mark.parametrize("name", ["spread", "alike", "three"])
def test_agrees_with_metafor(root: Path, name: str) -> None:
    # rma(method = "REML", test = "adhoc"): Hartung and Knapp's variance, never below the usual one; blup()
    folder = root / "tests" / "reference" / "metafor"
    given = pd.read_csv(folder / "input.csv").query("set == @name")
    table = pd.read_csv(folder / "expected.csv", skipinitialspace=True)
    known = table[table["set"].str.strip() == name].assign(what=lambda t: t["what"].str.strip())
    found = partial_pool(given["y"], given["s"])
    one = known.set_index("what")["value"].drop("blup")
    for term in ("mean", "mean_error", "mean_low", "mean_high"):
        assert getattr(found, term) == pytest.approx(one[term], rel=1e-6)  # both searches stop near 1e-7
    assert found.tau**2 == pytest.approx(one["tau2"], rel=1e-5, abs=1e-9)
    assert (found.q, found.p_value) == pytest.approx((one["q"], one["p_value"]), rel=1e-9)
    np.testing.assert_allclose(found.shrunken, known[known["what"] == "blup"]["value"], rtol=1e-6)


def test_without_noise_nothing_is_pulled_and_without_differences_everything_is() -> None:
    y = np.array([-2.0, 0.0, 1.0, 3.0])
    exact = partial_pool(y, np.full(4, 1e-4))
    np.testing.assert_allclose(exact.shrunken, y, atol=1e-6)
    noisy = partial_pool(y, np.full(4, 100.0))
    assert noisy.tau == 0.0
    np.testing.assert_allclose(noisy.shrunken, y.mean())


def test_equal_errors_have_a_closed_form() -> None:
    # With equal s the REML estimate is max(0, sample variance - s^2).
    y, s = np.array([-2.0, 0.0, 1.0, 3.0, 0.5]), 0.7
    assert reml_tau2(y, np.full(5, s)) == pytest.approx(y.var(ddof=1) - s**2, rel=1e-6)
    assert reml_tau2(y, np.full(5, 9.0)) == 0.0


def test_the_extreme_group_is_pulled_the_most_in_points() -> None:
    found = partial_pool([-2.4, -0.4, -1.1, 0.3], [0.7, 0.5, 0.3, 0.6])
    moved = np.abs(found.shrunken - found.estimate)
    assert moved[0] == moved.max()
    assert (found.shrunken.max() - found.shrunken.min()) < np.ptp(found.estimate)


def test_two_groups_or_an_exact_one_are_refused() -> None:
    with pytest.raises(FitError, match="partial pooling needs 3"):
        partial_pool([1.0, 2.0], [1.0, 1.0])
    with pytest.raises(FitError, match="the error is 0"):
        partial_pool([1.0, 2.0, 3.0], [1.0, 1.0, 0.0])
