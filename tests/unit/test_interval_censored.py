"""Interval-censored durations: against R's survival (tests/reference/survival), EM, and closed forms."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.interval_censored import fit_duration, innermost, npmle

REFERENCE = Path(__file__).parents[1] / "reference" / "survival"
EXPECTED = pd.read_csv(REFERENCE / "expected.csv").replace("Inf", np.inf).astype({"value": float})


def intervals_of(dataset: str) -> pd.DataFrame:
    if dataset == "intervals":
        return pd.read_csv(REFERENCE / "intervals.csv")
    episodes = pd.read_csv(REFERENCE / "episodes.csv")
    return episodes.loc[episodes["sore"]] if dataset == "diary_sore" else episodes


def expected(dataset: str, method: str) -> pd.DataFrame:
    return EXPECTED.query("dataset == @dataset and method == @method").set_index("term")[["at", "value"]]


@pytest.mark.parametrize("dataset", ["diary", "diary_sore", "intervals"])
def test_turnbull_as_self_consistency_to_the_end(dataset: str) -> None:
    data, wanted = intervals_of(dataset), expected(dataset, "turnbull")["value"]
    found = npmle(data["left"], data["right"])
    assert found.low.tolist() == wanted["low"].tolist()
    assert found.high.tolist() == wanted["high"].tolist()
    assert found.log_likelihood == pytest.approx(wanted["log_likelihood"], abs=1e-6)
    assert found.gap <= 1e-9 * len(data)
    # a gap of 1e-9 in the mean log-likelihood leaves about its square root in a mass
    assert found.mass == pytest.approx(wanted["mass"].to_numpy(), abs=1e-5)


@pytest.mark.parametrize("dataset", ["diary", "diary_sore"])
def test_turnbull_as_survfit(dataset: str) -> None:
    data = intervals_of(dataset)
    found = npmle(data["left"], data["right"])
    for row in expected(dataset, "turnbull_survfit").itertuples():
        # survfit stops its EM at changes of 5e-5
        assert 1 - found.share_by(row.at)[0] == pytest.approx(row.value, abs=1e-3)


@pytest.mark.parametrize("dataset", ["diary", "diary_sore", "intervals"])
@pytest.mark.parametrize("family", ["weibull", "lognormal"])
def test_parametric_as_survreg(dataset: str, family: str) -> None:
    data, wanted = intervals_of(dataset), expected(dataset, family)
    cluster = data.get("patient")
    found = fit_duration(data["left"], data["right"], family=family, cluster=cluster)
    value = wanted["value"]
    assert found.log_likelihood == pytest.approx(value["log_likelihood"], rel=1e-10)
    assert found.location == pytest.approx(value["location"], rel=1e-8)
    assert found.scale == pytest.approx(value["scale"], rel=1e-8)
    model = np.sqrt(np.diag(found.model_covariance))
    assert model == pytest.approx([value["se_location"], value["se_log_scale"]], rel=1e-6)
    for row in wanted.loc[["quantile"]].itertuples():
        assert found.quantile(row.at) == pytest.approx(row.value, rel=1e-8)
        assert found.share_by(row.value) == pytest.approx(row.at, rel=1e-8)
    if cluster is not None:
        robust = np.sqrt(np.diag(found.covariance))
        # the reference differentiates numerically
        assert robust == pytest.approx([value["robust_se_location"], value["robust_se_log_scale"]], rel=1e-6)


@pytest.mark.parametrize("family", ["weibull", "lognormal"])
def test_delayed_entry_as_written_out_in_r(family: str) -> None:
    data, wanted = intervals_of("diary_sore"), expected("diary_sore", f"{family}_entry")["value"]
    found = fit_duration(data["left"], data["right"], family=family, entry=data["first_entry"])
    assert found.log_likelihood == pytest.approx(wanted["log_likelihood"], rel=1e-10)
    assert found.location == pytest.approx(wanted["location"], rel=1e-5)
    assert found.scale == pytest.approx(wanted["scale"], rel=1e-5)


def test_innermost_intervals_share_no_point_at_a_tie() -> None:
    low, high = innermost(np.array([0.0, 6.0, 12.0]), np.array([6.0, 12.0, math.inf]))
    assert low.tolist() == [0.0, 6.0, 12.0]
    assert high.tolist() == [6.0, 12.0, math.inf]


def test_right_censoring_only_gives_kaplan_meier() -> None:
    """Ends known to a sliver: the product-limit estimate by hand, 3/4 then 3/4 × 1/2."""
    left = np.array([1.0, 2.0, 3.0 - 1e-6, 5.0])
    right = np.array([1.0 + 1e-6, math.inf, 3.0, math.inf])
    found = npmle(left, right)
    assert 1 - found.share_by(1.5)[0] == pytest.approx(3 / 4, abs=1e-6)
    assert 1 - found.share_by(4.0)[0] == pytest.approx(3 / 8, abs=1e-6)


def test_between_looks_the_share_is_a_range_and_a_quantile_an_interval() -> None:
    found = npmle([0, 6, 6], [6, 12, 12])
    assert found.share_by(6) == pytest.approx((1 / 3, 1 / 3))
    assert found.share_by(9) == pytest.approx((1 / 3, 1.0))
    assert found.quantile(0.5) == (6.0, 12.0)
    assert found.quantile(1 / 3) == (0.0, 6.0)
    assert all(math.isnan(end) for end in found.quantile(0.5, after=12.0))


durations = st.lists(st.tuples(st.integers(0, 8), st.integers(1, 6), st.booleans()), min_size=1, max_size=40)


@given(durations)
def test_no_mixture_nearby_is_likelier(rows: list[tuple[int, int, bool]]) -> None:
    """Kuhn–Tucker: towards no innermost interval does the likelihood rise; and the certificate says so."""
    left = np.array([a for a, _, _ in rows], dtype=float)
    right = np.array([math.inf if open_ else a + b for a, b, open_ in rows], dtype=float)
    found = npmle(left, right)
    A = (left[:, None] <= found.low) & (right[:, None] >= found.high)
    slope = (A / (A @ found.mass)[:, None]).sum(axis=0) / len(rows) - 1
    assert found.mass.sum() == pytest.approx(1.0)
    assert (found.mass >= 0).all()
    assert slope.max() <= 1e-6
    assert found.gap <= 1e-9 * len(rows)


@given(durations)
def test_weights_are_repeats(rows: list[tuple[int, int, bool]]) -> None:
    left = np.array([a for a, _, _ in rows], dtype=float)
    right = np.array([math.inf if open_ else a + b for a, b, open_ in rows], dtype=float)
    weights = np.arange(len(rows)) % 3
    if weights.sum() == 0:
        return
    ours = npmle(left, right, weights=weights)
    theirs = npmle(np.repeat(left, weights), np.repeat(right, weights))
    assert ours.log_likelihood == pytest.approx(theirs.log_likelihood, abs=1e-6)


def test_exponential_durations_recover_their_rate() -> None:
    """Weibull with scale 1 is exponential; fine looks lose nothing: rate = 1 / mean."""
    rng = np.random.default_rng(20260401)
    times = rng.exponential(10.0, 4000)
    found = fit_duration(np.floor(times * 20) / 20, np.floor(times * 20) / 20 + 0.05, family="weibull")
    assert found.location == pytest.approx(math.log(10.0), abs=4 * found.std_error(lambda fit: fit.location))
    assert found.scale == pytest.approx(1.0, abs=0.05)


def test_refusals() -> None:
    with pytest.raises(FitError, match="no duration"):
        npmle([], [])
    with pytest.raises(FitError, match="2 intervals end before they begin"):
        npmle([1, 5, 3], [2, 5, 2])
    with pytest.raises(FitError, match="fewer than three different intervals"):
        fit_duration([0, 6, 6], [6, 12, 12], family="weibull")
