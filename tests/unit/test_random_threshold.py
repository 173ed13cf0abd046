"""Patient-specific thresholds: the likelihood against brute force, its limits, and the fit's promises."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import chi2, multivariate_normal, norm

from tpr_outcomes.errors import FitError
from tpr_outcomes.models.random_threshold import (
    RELEVANT_SPREAD,
    Estimate,
    RandomThresholdFit,
    fit_random_threshold,
)
from tpr_outcomes.models.random_threshold_likelihood import common_threshold_screen, evaluate, prepare
from tpr_outcomes.models.random_threshold_search import Point, Search
from tpr_outcomes.models.random_threshold_slopes import fit_differing_slopes

REFERENCE = Path(__file__).parent.parent / "reference" / "segmented_lme"


class Clinic:
    """A small clinic with uneven visits and tied doses."""

    def __init__(
        self,
        seed: int,
        *,
        patients: int = 7,
        visits: tuple[int, int] = (1, 7),
        spread: float = 3.0,
        time_sd: float = 0.0,
    ):
        rng = np.random.default_rng(seed)
        counts = rng.integers(*visits, size=patients)
        self.patient = np.repeat(np.arange(patients), counts)
        self.time = np.concatenate([np.cumsum(rng.uniform(0.5, 2.0, n)) for n in counts])
        self.dose = np.concatenate([np.cumsum(np.append(0, rng.poisson(4.0, n - 1))) for n in counts]) * 1.0
        tau = rng.normal(10.0, spread, patients)[self.patient]
        level = rng.normal(6.0, 1.5, patients)[self.patient]
        self.y = level - 0.1 * self.time - 0.3 * np.maximum(self.dose - tau, 0) + rng.normal(0, 0.8, tau.size)
        self.y += rng.normal(0.0, time_sd, patients)[self.patient] * self.time
        self.X = np.column_stack((np.ones_like(self.time), self.time))

    def fit(self, **options: object) -> RandomThresholdFit:
        rows = {"dose": self.dose, "patient": self.patient, "time": self.time}
        return fit_random_threshold(self.y, self.X, **rows, **options)  # type: ignore[arg-type]


def residual_correlation(time: np.ndarray, phi: float, nugget: float) -> np.ndarray:
    matrix = (1 - nugget) * phi ** np.abs(time[:, None] - time)
    np.fill_diagonal(matrix, 1.0)
    return matrix


def dense(clinic, at, *, q, distribution, phi=0.0, nugget=0.0, nodes=40_001):
    """Log-likelihood and conditional means: trapezoidal rule over tau, multivariate normal at each node."""
    beta, theta, mu, omega, sigma = at[:2], at[2], at[3], abs(at[4]), np.exp(at[-1])
    lam = np.zeros((q, q))
    lam[np.tril_indices(q)] = at[5:-1]
    grid = mu + omega * np.linspace(-9, 9, nodes)
    tau = grid if distribution == "normal" else np.exp(grid)
    prior = norm(mu, omega).pdf(grid)
    total, means = 0.0, []
    for code in np.unique(clinic.patient):
        mine = clinic.patient == code
        Z = np.column_stack((np.ones(mine.sum()), clinic.time[mine]))[:, :q]
        V = sigma**2 * (Z @ lam @ lam.T @ Z.T + residual_correlation(clinic.time[mine], phi, nugget))
        hinge = np.maximum(clinic.dose[mine] - tau[:, None], 0.0)
        residual = clinic.y[mine] - clinic.X[mine] @ beta - theta * hinge
        integrand = prior * multivariate_normal(np.zeros(mine.sum()), V).pdf(residual)
        integral = np.trapezoid(integrand, grid)
        total += np.log(integral)
        means.append(np.trapezoid(integrand * grid, grid) / integral)
    return total, np.array(means) if distribution == "normal" else np.exp(means)


def arrays(clinic, *, q, phi=0.0, nugget=0.0):
    Z = np.column_stack((np.ones_like(clinic.time), clinic.time))[:, :q]
    correlation = None
    if phi:
        width = np.bincount(clinic.patient).max()
        correlation = np.tile(np.eye(width), (clinic.patient.max() + 1, 1, 1))
        for code in range(len(correlation)):
            time = clinic.time[clinic.patient == code]
            correlation[code, : time.size, : time.size] = residual_correlation(time, phi, nugget)
    return prepare(clinic.y, clinic.X, Z=Z, dose=clinic.dose, patient=clinic.patient, correlation=correlation)


def parameters(q: int, distribution: str, *, omega: float = 2.5) -> np.ndarray:
    place = [10.0, omega] if distribution == "normal" else [np.log(10.0), omega / 10]
    return np.array([6.0, -0.1, -0.3, *place, *[1.5, -0.2, 0.15][: q * (q + 1) // 2], -0.2])


@pytest.mark.parametrize("distribution", ["normal", "lognormal"])
@pytest.mark.parametrize(("q", "phi", "nugget"), [(1, 0.0, 0.0), (2, 0.0, 0.0), (1, 0.6, 0.3), (2, 0.5, 0.0)])
@pytest.mark.parametrize("omega", [0.4, 2.5, 8.0])
def test_likelihood_is_the_integral(distribution, q, phi, nugget, omega) -> None:
    """The dense rule has step 0.00045 omega: its error at kinks is of order step², far below 1e-6."""
    clinic = Clinic(3)
    at = parameters(q, distribution, omega=omega)
    value, _, location = evaluate(arrays(clinic, q=q, phi=phi, nugget=nugget), at, distribution=distribution)
    expected, means = dense(clinic, at, q=q, distribution=distribution, phi=phi, nugget=nugget)
    assert value == pytest.approx(expected, abs=1e-6)
    np.testing.assert_allclose(location, means, rtol=1e-6)


def test_likelihood_is_the_mean_over_random_effects_and_thresholds() -> None:
    """The model as it is written: draw b and tau, average the density of independent residuals."""
    clinic = Clinic(8, patients=3, visits=(2, 4))
    at = parameters(1, "normal")
    rng = np.random.default_rng(1)
    sigma, draws = np.exp(at[-1]), 400_000
    total, variance = 0.0, 0.0
    for code in range(3):
        mine = clinic.patient == code
        tau, b = rng.normal(10.0, 2.5, (draws, 1)), rng.normal(0, 1.5 * sigma, (draws, 1))
        mean = clinic.X[mine] @ at[:2] + b - 0.3 * np.maximum(clinic.dose[mine] - tau, 0)
        density = norm(mean, sigma).pdf(clinic.y[mine]).prod(1)
        total += np.log(density.mean())
        variance += density.var() / draws / density.mean() ** 2
    value = evaluate(arrays(clinic, q=1), at)[0]
    assert abs(value - total) < 4 * np.sqrt(variance)
    assert np.sqrt(variance) < 0.01


@pytest.mark.parametrize("distribution", ["normal", "lognormal"])
@pytest.mark.parametrize("omega", [-2.5, 0.01, 0.4, 6.0])
def test_score_is_the_derivative(distribution: str, omega: float) -> None:
    data = arrays(Clinic(4), q=2, phi=0.4, nugget=0.2)
    at = parameters(2, distribution, omega=omega)
    at[3] += 0.037  # away from whole doses, where a tiny spread leaves a kink
    score = evaluate(data, at, distribution=distribution)[1]  # type: ignore[arg-type]
    for k, step in enumerate(1e-6 * np.eye(at.size)):
        up, down = (evaluate(data, at + s * step, distribution=distribution)[0] for s in (1, -1))  # type: ignore[arg-type]
        assert score[k] == pytest.approx((up - down) / 2e-6, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("distribution", ["normal", "lognormal"])
def test_no_spread_is_an_ordinary_mixed_model(distribution: str) -> None:
    clinic = Clinic(5)
    at = parameters(2, distribution)
    at[3], at[4] = (9.3, 0.0) if distribution == "normal" else (np.log(9.3), 0.0)
    expected = 0.0
    lam = np.array([[1.5, 0.0], [-0.2, 0.15]])
    for code in np.unique(clinic.patient):
        mine = clinic.patient == code
        Z = clinic.X[mine]
        V = np.exp(2 * at[-1]) * (Z @ lam @ lam.T @ Z.T + np.eye(mine.sum()))
        mean = clinic.X[mine] @ at[:2] - 0.3 * np.maximum(clinic.dose[mine] - 9.3, 0)
        expected += multivariate_normal(mean, V).logpdf(clinic.y[mine])
    value = evaluate(arrays(clinic, q=2), at, distribution=distribution)[0]  # type: ignore[arg-type]
    assert value == pytest.approx(expected, abs=1e-7)


def test_screen_is_generalised_least_squares() -> None:
    clinic = Clinic(6, patients=20)
    data, at = arrays(clinic, q=1), parameters(1, "normal")
    gain, slope = common_threshold_screen(data, at, np.array([4.0, 9.5, 1e3]))
    blocks = np.equal.outer(clinic.patient, clinic.patient) * 1.5**2 + np.eye(clinic.patient.size)
    whiten = np.linalg.inv(np.linalg.cholesky(np.exp(2 * at[-1]) * blocks))

    def fit(columns: np.ndarray) -> tuple[float, np.ndarray]:
        b, rss, *_ = np.linalg.lstsq(whiten @ columns, whiten @ clinic.y)
        return float(rss[0]), b

    for k, tau in enumerate([4.0, 9.5]):
        without, (rss, b) = (
            fit(clinic.X)[0],
            fit(np.column_stack((clinic.X, np.maximum(clinic.dose - tau, 0)))),
        )
        assert gain[k] == pytest.approx((without - rss) / 2, rel=1e-8)
        assert slope[k] == pytest.approx(b[-1], rel=1e-8)
    assert (gain[2], slope[2]) == (0.0, 0.0)  # no dose beyond: nothing to gain, and no division by zero


@pytest.fixture(scope="module")
def clinic() -> Clinic:
    return Clinic(21, patients=60, visits=(4, 9), time_sd=0.3)


@pytest.fixture(scope="module")
def fitted(clinic: Clinic) -> RandomThresholdFit:
    return clinic.fit(random_slope=True, autocorrelation=0.2, nugget=0.1)


def in_given_units(fit: RandomThresholdFit) -> np.ndarray:
    root = np.linalg.cholesky(np.array(fit.random_covariance)) / fit.residual_sd
    place = fit.threshold.estimate if fit.distribution == "normal" else np.log(fit.threshold.estimate)
    beta = [e.estimate for e in fit.coefficients]
    lower = root[np.tril_indices(len(root))]
    return np.array(
        [*beta, fit.slope.estimate, place, fit.threshold_sd.estimate, *lower, np.log(fit.residual_sd)]
    )


def test_reported_numbers_give_the_reported_likelihood(clinic, fitted) -> None:
    """All units are undone: the estimates in the dense integral of the raw data give the same value."""
    at = in_given_units(fitted)
    expected, means = dense(clinic, at, q=2, distribution="normal", phi=0.2, nugget=0.1, nodes=4001)
    assert fitted.status == "converged"
    assert fitted.log_likelihood == pytest.approx(expected, abs=1e-4)
    np.testing.assert_allclose(fitted.patient_thresholds, means, rtol=1e-4)
    score = evaluate(arrays(clinic, q=2, phi=0.2, nugget=0.1), at)[1]
    assert np.abs(score).max() < 0.05


def test_interval_ends_are_where_the_profile_says(clinic, fitted) -> None:
    data, cut = arrays(clinic, q=2, phi=0.2, nugget=0.1), chi2.ppf(0.95, 1)
    search = Search(data, "normal", 0.0, float(clinic.dose.max()))
    start = Point(in_given_units(fitted), fitted.log_likelihood)
    ends = [
        (3, fitted.threshold.conf_low),
        (3, fitted.threshold.conf_high),
        (4, fitted.threshold_sd.conf_high),
    ]
    for index, end in ends:
        there = search.climb_at(start, index, end, curvature=search.curvature(start))
        assert 2 * (fitted.log_likelihood - there.value) == pytest.approx(cut, abs=0.05)


def test_standard_errors_agree_with_the_profile(fitted: RandomThresholdFit) -> None:
    """For a nearly quadratic likelihood a profile interval is about 2 × 1.96 standard errors wide."""
    width = fitted.threshold.conf_high - fitted.threshold.conf_low
    assert width == pytest.approx(2 * 1.96 * fitted.threshold.std_error, rel=0.2)
    slope = fitted.slope
    assert slope.conf_high - slope.estimate == pytest.approx(1.959964 * slope.std_error)


def test_p_value_is_the_mixture(fitted: RandomThresholdFit) -> None:
    assert fitted.deviance_gain > 0
    assert fitted.p_value == pytest.approx(0.5 * chi2.sf(fitted.deviance_gain, 1))


def test_same_numbers_twice_and_in_any_order(clinic, fitted) -> None:
    again = clinic.fit(random_slope=True, autocorrelation=0.2, nugget=0.1)
    assert again.rows() == fitted.rows()
    labels = np.random.default_rng(2).permutation(60) * 7 + 3
    order = np.argsort(labels[clinic.patient], kind="stable")
    moved = fit_random_threshold(
        clinic.y[order], clinic.X[order], dose=clinic.dose[order], patient=labels[clinic.patient][order],
        time=clinic.time[order], random_slope=True, autocorrelation=0.2, nugget=0.1,
    )  # fmt: skip
    assert moved.log_likelihood == pytest.approx(fitted.log_likelihood, abs=1e-5)
    assert moved.threshold.estimate == pytest.approx(fitted.threshold.estimate, abs=1e-3)
    assert moved.threshold.conf_low == pytest.approx(fitted.threshold.conf_low, abs=0.02)
    np.testing.assert_allclose(
        moved.patient_thresholds, fitted.patient_thresholds[np.argsort(labels)], atol=0.01
    )


def test_units_carry_through(clinic: Clinic) -> None:
    plain = clinic.fit(intervals=False)
    scaled = fit_random_threshold(
        clinic.y * 10, clinic.X, dose=clinic.dose * 3, patient=clinic.patient, intervals=False
    )
    assert scaled.threshold.estimate == pytest.approx(3 * plain.threshold.estimate, rel=1e-3)
    assert scaled.threshold_sd.estimate == pytest.approx(3 * plain.threshold_sd.estimate, rel=1e-3)
    assert scaled.slope.estimate == pytest.approx(10 / 3 * plain.slope.estimate, rel=1e-3)
    assert scaled.log_likelihood == pytest.approx(plain.log_likelihood - clinic.y.size * np.log(10), abs=1e-3)
    assert np.isnan(plain.threshold.conf_low)


def test_log_normal_thresholds(clinic: Clinic) -> None:
    fit = clinic.fit(distribution="lognormal")
    expected, means = dense(clinic, in_given_units(fit), q=1, distribution="lognormal", nodes=4001)
    assert fit.log_likelihood == pytest.approx(expected, abs=1e-4)
    assert fit.threshold.conf_low < fit.threshold.estimate < fit.threshold.conf_high
    assert 0 < fit.threshold_sd.estimate < 1
    np.testing.assert_allclose(fit.patient_thresholds, means, rtol=1e-4)


def test_one_common_threshold_sits_at_the_boundary() -> None:
    clinics = (Clinic(seed, patients=80, visits=(5, 9), spread=0.0) for seed in range(8))
    fit = next(fit for clinic in clinics if (fit := clinic.fit()).status == "boundary")
    assert fit.threshold_sd.estimate == fit.threshold_sd.conf_low == 0.0
    assert fit.p_value == 1.0
    assert fit.deviance_gain == 0.0
    assert fit.log_likelihood == fit.log_likelihood_common
    np.testing.assert_allclose(fit.patient_thresholds, fit.threshold.estimate, atol=1e-6)
    assert np.isnan(fit.threshold_sd.std_error)
    assert np.isfinite(fit.slope.std_error)


def test_no_bend_no_answer() -> None:
    clinic = Clinic(31, patients=40, visits=(5, 9))
    clinic.y = np.random.default_rng(5).normal(6.0, 1.0, clinic.y.size)
    fit = clinic.fit()
    assert fit.distinguishable() == "cannot tell"
    assert fit.status == "failed" or not np.isfinite([fit.threshold.conf_low, fit.threshold.conf_high]).all()


def test_differing_slopes_are_not_taken_for_differing_thresholds() -> None:
    """One threshold at 10, slopes -0.3 with SD 0.12: the rival sees it and finds the place."""
    clinic = Clinic(41, patients=120, visits=(6, 10), spread=0.0)
    slopes = np.random.default_rng(9).normal(0.0, 0.12, 120)[clinic.patient]
    clinic.y += slopes * np.maximum(clinic.dose - 10.0, 0.0)
    fit = clinic.fit()
    assert fit.p_value < 0.05  # taken alone, this would have been believed
    assert fit.slopes_fit_better
    assert fit.threshold_slopes == pytest.approx(10.0, abs=1.0)
    assert fit.distinguishable() == "cannot tell"


def test_the_rival_is_a_mixed_model() -> None:
    """The rival's value is the dense likelihood of a random hinge at its threshold, maximised."""
    clinic = Clinic(42, patients=40, visits=(5, 9))
    found = fit_differing_slopes(
        clinic.y, clinic.X, Z=np.ones((clinic.y.size, 1)), dose=clinic.dose, patient=clinic.patient
    )
    hinge = np.maximum(clinic.dose - found.threshold, 0.0)

    def negative(at: np.ndarray) -> float:
        root, sigma = np.array([[at[0], 0.0], [at[1], at[2]]]), np.exp(at[3])
        whitened = []
        log_det = 0.0
        for code in np.unique(clinic.patient):
            mine = clinic.patient == code
            Z = np.column_stack((np.ones(mine.sum()), hinge[mine]))
            L = np.linalg.cholesky(Z @ root @ root.T @ Z.T + sigma**2 * np.eye(mine.sum()))
            log_det += 2 * np.log(np.diag(L)).sum()
            rows = np.column_stack((clinic.X[mine], hinge[mine], clinic.y[mine]))
            whitened.append(np.linalg.solve(L, rows))
        rows = np.vstack(whitened)
        rss = float(np.linalg.lstsq(rows[:, :-1], rows[:, -1])[1][0])
        return 0.5 * (log_det + rss + clinic.y.size * np.log(2 * np.pi))

    best = minimize(
        negative, [1.5, 0.0, 0.1, -0.2], method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9}
    )
    assert found.log_likelihood == pytest.approx(-best.fun, abs=1e-4)


def answer(fit: RandomThresholdFit, **changes: object) -> str:
    return replace(fit, **changes).distinguishable()  # type: ignore[arg-type]


def test_the_rule_on_both_sides_of_its_edges(fitted: RandomThresholdFit) -> None:
    place = Estimate("threshold", 10.0, 0.5, 9.0, 11.0)
    near = Estimate("threshold_sd", 0.5, 0.5, 0.0, 10.0 * RELEVANT_SPREAD)
    far = replace(near, conf_high=10.0 * RELEVANT_SPREAD + 1e-9)
    alike = fitted.log_likelihood + len(fitted.random_covariance)  # the rival's value at equal AIC
    base = replace(
        fitted, threshold=place, threshold_sd=near, p_value=0.05, log_likelihood_slopes=alike - 1.01
    )
    assert base.aic_gain == pytest.approx(2.02)
    assert base.distinguishable() == "one common threshold"
    assert answer(base, p_value=0.0499) == "thresholds differ between patients"
    assert answer(base, p_value=0.0499, log_likelihood_slopes=alike - 0.99) == "cannot tell"
    assert answer(base, log_likelihood_slopes=alike + 0.99) == "one common threshold"
    assert answer(base, log_likelihood_slopes=alike + 1.01) == "cannot tell"
    assert answer(base, threshold_sd=far) == "cannot tell"
    assert answer(base, status="failed", p_value=0.001) == "cannot tell"
    assert answer(base, threshold=replace(place, conf_high=np.inf), p_value=0.001) == "cannot tell"
    assert answer(base, distribution="lognormal") == "cannot tell"
    assert replace(base, threshold_sd=far).distinguishable(relevant_spread=0.3) == "one common threshold"


def test_tidy_rows(fitted: RandomThresholdFit) -> None:
    rows = fitted.rows()
    assert [row["term"] for row in rows] == ["threshold", "threshold_sd", "slope", "x0", "x1"]
    assert set(rows[0]) == {"term", "estimate", "std_error", "conf_low", "conf_high"}


def refusals() -> list[tuple[str, dict[str, object]]]:
    c = Clinic(1, patients=10, visits=(3, 6))
    holes = c.y.copy()
    holes[0] = np.nan
    return [
        ("Shapes", {"y": c.y[:-1]}),
        ("Missing", {"y": holes}),
        ("collinear", {"X": np.column_stack((c.X, c.X[:, 1]))}),
        ("variation", {"dose": np.ones_like(c.dose)}),
        ("variation", {"y": np.ones_like(c.y)}),
        ("without time", {"random_slope": True, "time": None}),
        ("without time", {"autocorrelation": 0.5, "time": None}),
        ("autocorrelation", {"autocorrelation": 1.0}),
        ("above zero", {"dose": -c.dose, "distribution": "lognormal"}),
        ("too few", {"patient": np.zeros_like(c.patient)}),
    ]


@pytest.mark.parametrize(("words", "changes"), refusals())
def test_refusals_say_why(words: str, changes: dict[str, object]) -> None:
    c = Clinic(1, patients=10, visits=(3, 6))
    given = {"y": c.y, "X": c.X, "dose": c.dose, "patient": c.patient, "time": c.time, **changes}
    with pytest.raises(FitError, match=words):
        fit_random_threshold(**given)  # type: ignore[arg-type]


def read(name: str) -> list[dict[str, str]]:
    with (REFERENCE / name).open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def filed(world: str) -> dict[str, np.ndarray]:
    rows = [row for row in read("input.csv") if row["world"] == world]
    columns = {name: np.array([float(row[name]) for row in rows]) for name in ("visit", "dose", "pain")}
    design = np.column_stack((np.ones(len(rows)), columns["visit"], columns["dose"]))
    return {**columns, "patient": np.array([int(row["patient"]) for row in rows]), "design": design}


@pytest.mark.parametrize(
    "row", read("common.csv"), ids=lambda row: f"{row['world']} {row['tau']} {row['random']}"
)
def test_a_fixed_common_threshold_agrees_with_nlme(row: dict[str, str]) -> None:
    """Maximised over all else. We may not stop short; nlme does where the covariance is singular."""
    d = filed(row["world"])
    columns = 1 if row["random"] == "intercept" else 2
    Z = np.column_stack((np.ones_like(d["visit"]), d["visit"]))[:, :columns]
    data = prepare(d["pain"], d["design"], Z=Z, dose=d["dose"], patient=d["patient"])
    search = Search(data, "normal", 0.0, float(d["dose"].max()))
    start = np.array(
        [7.0, -0.1, 0.0, -0.15, float(row["tau"]), 0.0, *[1.0, 0.0, 0.1][: 2 * columns - 1], 0.0]
    )
    found = search.climb(start, hold=(4, 5))
    ahead = found.value - float(row["log_likelihood"])
    assert ahead > -1e-6
    if columns == 2 and abs(found.parameters[-2]) < 1e-4:
        return  # intercept and slope fully correlated: a likelihood nlme cannot reach
    assert ahead < 1e-4
    assert found.parameters[3] == pytest.approx(float(row["slope"]), abs=1e-4)
    assert np.exp(found.parameters[-1]) == pytest.approx(float(row["residual_sd"]), abs=1e-4)


@pytest.mark.parametrize("spread", ["0", "2", "4"])
def test_no_likelihood_lost_to_segmented_lme(spread: str) -> None:
    """At segmented.lme's filed threshold and spread the likelihood, maximised over all else, is no higher."""
    world = f"weak, sd {spread}"
    peer = next(row for row in read("expected.csv") if row["world"] == world and row["replicate"] == "0")
    d = filed(world)
    fit = fit_random_threshold(d["pain"], d["design"], dose=d["dose"], patient=d["patient"])
    data = prepare(
        d["pain"], d["design"], Z=np.ones((d["pain"].size, 1)), dose=d["dose"], patient=d["patient"]
    )
    search = Search(data, "normal", 0.0, float(d["dose"].max()))
    start = np.array([7.0, -0.1, 0.0, -0.15, float(peer["estimate"]), float(peer["sd_threshold"]), 1.0, 0.0])
    there = search.climb(start, hold=(4, 5))
    assert fit.log_likelihood >= there.value - 1e-4
    assert fit.threshold.conf_low < 12.0 < fit.threshold.conf_high
