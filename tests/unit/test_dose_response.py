"""Dose–response meta-analysis: a dense likelihood, two closed forms, its coverage, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize, stats
from tests.unit.test_arms import file_of

from tpr_outcomes.cli import main
from tpr_outcomes.cohort.arms import Arm, Kind
from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.dose_response import differences, fit_dose_response
from tpr_outcomes.inference.shrinkage import partial_pool


def arm(study: str, dose: float, mean: float, *, n: int = 30, sd: float = 2.0, **more: object) -> Arm:
    kind: Kind = "observed" if more.pop("observed", False) else "assigned"
    values = {
        "study": study, "arm": f"{dose:g}", "doi": "10.0/x", "place": "t", "n": n,
        "assigned": dose if kind == "assigned" else math.nan, "observed": dose, "kind": kind, "sessions": 1,
        "scale": "nrs", "hours": 24.0, "mean": mean, "sd": sd, "verified": True, "line": 1,
    }  # fmt: skip
    return Arm(**values | more)  # type: ignore[arg-type]


def trials(
    seed: int, *, studies: int, slope: float = -0.1, tau: float = 0.05, knot: float = 0.0
) -> list[Arm]:
    """Studies with two to four arms whose means come from the model."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(studies):
        own, level = slope + tau * rng.standard_normal(), rng.normal(4.0, 1.0)
        doses = sorted(rng.choice([0, 2, 4, 6, 10, 15], size=rng.integers(2, 5), replace=False))
        for dose in doses:
            n, sd = int(rng.integers(15, 60)), float(rng.uniform(1.0, 2.5))
            truth = level + own * max(dose - knot, 0.0)
            made.append(
                arm(f"s{i}", float(dose), truth + sd / math.sqrt(n) * rng.standard_normal(), n=n, sd=sd)
            )
    return made


def dense(arms: list[Arm], tau2: float, *, knot: float, reml: bool) -> tuple[float, float, float]:
    """Log-likelihood, slope and its variance with every study in one big matrix."""
    found, _ = differences(arms, dose="assigned")
    x = np.concatenate([np.maximum(d.dose - knot, 0) - max(d.reference - knot, 0) for d in found])
    y = np.concatenate([d.difference for d in found])
    v = np.zeros((y.size, y.size))
    at = 0
    for d in found:
        rows = slice(at, at + d.dose.size)
        v[rows, rows] = d.covariance + tau2 * np.outer(x[rows], x[rows])
        at += d.dose.size
    inverse = np.linalg.inv(v)
    information = float(x @ inverse @ x)
    slope = float(x @ inverse @ y) / information
    value = float(stats.multivariate_normal(x * slope, v).logpdf(y))
    if reml:
        value += 0.5 * (math.log(2 * math.pi) - math.log(information))
    return value, slope, 1.0 / information


@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize("knot", [0.0, 4.0])
@pytest.mark.parametrize("seed", range(4))
def test_against_a_dense_likelihood(seed: int, knot: float, method: str) -> None:
    arms = trials(seed, studies=8, tau=0.08, knot=knot)
    found = fit_dose_response(arms, knot=knot, method=method)  # type: ignore[arg-type]
    best = optimize.minimize_scalar(
        lambda t: -dense(arms, t**2, knot=knot, reml=method == "reml")[0],
        bounds=(0.0, 2.0), method="bounded",
        options={"xatol": 1e-9},
    )  # fmt: skip
    value, slope, variance = dense(arms, float(best.x) ** 2, knot=knot, reml=method == "reml")
    assert found.log_likelihood == pytest.approx(value, abs=1e-6)
    # The optimum is flat: a likelihood good to 1e-6 leaves the spread good to about 1e-3 of itself.
    assert found.estimate == pytest.approx(slope, abs=1e-4)
    assert found.std_error >= math.sqrt(variance) * (1 - 1e-3)


def test_differences_share_the_reference() -> None:
    (study,), left = differences(
        [arm("a", 4, 3.0, n=20, sd=2.0), arm("a", 0, 5.0, n=10, sd=1.0), arm("a", 8, 2.0, n=40, sd=4.0),
         arm("b", 3, 1.0)], dose="assigned",
    )  # fmt: skip
    assert study.reference == 0.0
    np.testing.assert_allclose(study.difference, [-2.0, -3.0])
    np.testing.assert_allclose(study.covariance, [[0.2 + 0.1, 0.1], [0.1, 0.4 + 0.1]])
    assert left == ("b",)


def test_with_two_arms_one_twitch_apart_it_is_the_usual_meta_analysis() -> None:
    rng = np.random.default_rng(5)
    arms, y, s = [], [], []
    for i in range(9):
        n, sd, change = int(rng.integers(10, 50)), float(rng.uniform(1, 2)), rng.normal(-0.5, 0.6)
        arms += [arm(f"s{i}", 0, 5.0, n=n, sd=sd), arm(f"s{i}", 1, 5.0 + change, n=n, sd=sd)]
        y.append(change)
        s.append(sd * math.sqrt(2 / n))
    found, pooled = fit_dose_response(arms), partial_pool(y, s)
    assert found.tau == pytest.approx(pooled.tau, rel=1e-4)
    assert found.estimate == pytest.approx(pooled.mean, rel=1e-5)
    assert found.std_error == pytest.approx(pooled.mean_error, rel=1e-4)
    assert (found.conf_low, found.conf_high) == pytest.approx((pooled.mean_low, pooled.mean_high), rel=1e-4)
    assert (found.q, found.q_p) == pytest.approx((pooled.q, pooled.p_value))


def test_means_on_a_line_give_the_line_back() -> None:
    arms = [arm(s, d, level - 0.2 * d) for s, level in (("a", 5.0), ("b", 7.0)) for d in (0, 3, 9)]
    found = fit_dose_response(arms)
    assert found.estimate == pytest.approx(-0.2)
    assert found.tau == 0.0
    assert found.q == pytest.approx(0.0, abs=1e-12)
    assert found.at(10.0) == pytest.approx((-2.0, 10 * found.conf_low, 10 * found.conf_high))
    assert (found.n_studies, found.n_arms, found.n_patients) == (2, 6, 180)


def test_assigned_and_observed_are_never_mixed() -> None:
    arms = [arm("a", 0, 5), arm("a", 4, 4), arm("b", 0, 5), arm("b", 4, 4.5)]
    seen = [arm("c", 0, 5, observed=True), arm("c", 9, 1, observed=True)]
    both, alone = fit_dose_response([*arms, *seen]), fit_dose_response(arms)
    assert (both.estimate, both.n_patients) == (alone.estimate, alone.n_patients)
    assert both.left_out == ("c",)
    with pytest.raises(FitError, match="1 studies have arms at different observed doses"):
        fit_dose_response([*arms, *seen], dose="observed")


def test_what_is_refused() -> None:
    arms = [arm("a", 0, 5), arm("a", 4, 4), arm("b", 0, 5), arm("b", 4, 4.5)]
    with pytest.raises(FitError, match="several instruments"):
        fit_dose_response([*arms, arm("c", 2, 40, scale="vas")])
    with pytest.raises(FitError, match="several times"):
        fit_dose_response([*arms, arm("a", 4, 3.9, hours=72.0)])
    with pytest.raises(FitError, match="more than 5 twitches"):
        fit_dose_response(arms, knot=5.0)
    with pytest.raises(FitError, match="2 are needed"):
        fit_dose_response(arms[:2])
    endless = [arm("a", math.inf, 3), arm("b", math.inf, 3)]
    assert fit_dose_response([*arms, *endless]).n_arms == 4


@pytest.mark.simulation
@pytest.mark.parametrize(("studies", "tau"), [(4, 0.0), (4, 0.08), (10, 0.08)])
def test_coverage(studies: int, tau: float) -> None:
    """95% intervals in 300 sets of studies; the whole table: docs/methods/published-arms.md."""
    sets = 300
    held = 0
    for seed in range(sets):
        found = fit_dose_response(trials(1000 + seed, studies=studies, tau=tau))
        held += found.conf_low <= -0.1 <= found.conf_high
    # Within 3 Monte Carlo standard errors of 95%, or above it (few studies, no differences).
    assert held / sets >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / sets)


def test_the_command_pools_and_says_what_it_rests_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"study_id": s, "arm": f"{d}", "ltr_dose_assigned": f"{d}", "mean": f"{m - 0.2 * d:g}"}
        | {"verified_by": v}
        for s, m, v in (("one", 5, "CD"), ("two", 6, "NA")) for d in (0, 4)
    ]  # fmt: skip
    path = file_of(tmp_path, *rows, {"study_id": "two", "arm": "all", "ltr_dose_assigned": "exhaustion"})
    assert main(["evidence", str(path), "--hours", "0", "48"]) == 0
    said = capsys.readouterr().out
    assert "Over 2 studies (100 patients)" in said
    assert "-0.2 points per assigned twitch" in said
    assert "5 arms of 2 studies; 2 of them not checked" in said
    assert "1 not used" in said
    assert main(["evidence", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["estimate"] == pytest.approx(-0.2)
    assert main(["evidence", str(path), "--knot", "50"]) == 8
