"""The brute-force oracle against lme4 and nlme (tests/reference): same numbers at R's own estimates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.unit import brute_force

REFERENCE = Path(__file__).parents[1] / "reference"
MEAN = ["intercept", "t", "dose", "hinge"]


def read_expected(source: str) -> pd.DataFrame:
    return pd.read_csv(REFERENCE / source / "expected.csv")


def input_of(name: str) -> pd.DataFrame:
    folder = "nlme" if (REFERENCE / "nlme" / f"{name}.csv").exists() else "lme4"
    return pd.read_csv(REFERENCE / folder / f"{name}.csv")


CASES = [
    (source, *key)
    for source in ("lme4", "nlme")
    for key in read_expected(source)[["dataset", "model", "method"]].drop_duplicates().itertuples(index=False)
]
TABLES = {
    source: read_expected(source).set_index(["dataset", "model", "method", "term"]).sort_index()
    for source in ("lme4", "nlme")
}


def terms_of(source: str, dataset: str, model: str, method: str) -> pd.Series:
    return TABLES[source].loc[(dataset, model, method), "value"]


def evaluate_at(source: str, dataset: str, model: str, method: str) -> tuple[brute_force.Dense, pd.Series]:
    data, at = input_of(dataset), terms_of(source, dataset, model, method)
    t = data["t"].to_numpy()
    X = np.column_stack([np.ones(len(t)), t, data["dose"], data["hinge"]])
    Z = D = None
    if "sd_intercept" in at:
        slope = "sd_slope" in at
        basis = np.log1p(t) if model == "intercept_log" else t
        Z = np.column_stack([np.ones(len(t)), basis])[:, : 2 if slope else 1]
        corr = np.nan_to_num(at.get("corr", 0.0))  # empty where a standard deviation is zero
        D = brute_force.random_covariance(at["sd_intercept"], at["sd_slope"] if slope else None, corr)
    result = brute_force.evaluate(
        data["pain"].to_numpy(),
        X,
        data["patient"].to_numpy(),
        Z=Z,
        D=D,
        sigma=at["sigma"],
        weeks=data["weeks"].to_numpy(),
        phi=at.get("phi", 0.0),
        nugget=at.get("nugget", 0.0),
        reml=method == "REML",
    )
    return result, at


@pytest.mark.parametrize(("source", "dataset", "model", "method"), CASES)
def test_same_likelihood_and_fixed_effects_as_r(source: str, dataset: str, model: str, method: str) -> None:
    result, at = evaluate_at(source, dataset, model, method)
    # R files 15 digits; what is left is rounding, larger where a correlation of ±1 multiplies it.
    assert result.log_likelihood == pytest.approx(at["log_likelihood"], rel=1e-9)
    assert result.beta == pytest.approx([at[f"beta_{name}"] for name in MEAN], rel=1e-6)
    assert result.std_error == pytest.approx([at[f"se_{name}"] for name in MEAN], rel=1e-6)


@pytest.mark.parametrize("dataset", ["regular", "irregular"])
@pytest.mark.parametrize("model", ["intercept", "intercept_slope"])
@pytest.mark.parametrize("method", ["ML", "REML"])
def test_same_predictions_as_lme4(dataset: str, model: str, method: str) -> None:
    result, _ = evaluate_at("lme4", dataset, model, method)
    columns = ["intercept", "slope"][: 2 if model == "intercept_slope" else 1]
    for name, ours, wanted_columns in (
        ("predictions", result.fitted, ["predicted"]),
        ("effects", result.effects, columns),
    ):
        table = pd.read_csv(REFERENCE / "lme4" / f"{name}.csv")
        rows = table.query("dataset == @dataset and model == @model and method == @method")
        wanted = rows[wanted_columns].to_numpy()
        # lme4 files ten digits; effects near zero need the absolute part.
        assert ours.reshape(wanted.shape) == pytest.approx(wanted, rel=1e-6, abs=1e-7)


def test_where_nlme_reached_the_optimum_its_own_likelihood_is_ours() -> None:
    table = TABLES["nlme"]["value"].unstack("term")
    gap = (table["log_likelihood"] - table["log_likelihood_nlme"]).dropna()
    assert (gap > -1e-7).all()  # the filed optimum is never below nlme's
    assert (gap < 1e-6).mean() > 0.9


def test_reml_is_ml_with_the_fixed_effects_integrated_out() -> None:
    """Closed form: independent rows give the textbook linear model, whose REML variance is RSS / (N - p)."""
    rng = np.random.default_rng(20260301)
    X = np.column_stack([np.ones(30), rng.normal(size=30)])
    y = X @ [1.0, 2.0] + rng.normal(size=30)
    rss = np.linalg.lstsq(X, y, rcond=None)[1][0]

    def at(sigma2: float, *, reml: bool) -> float:
        patient = np.repeat(np.arange(10), 3)
        return brute_force.evaluate(y, X, patient, sigma=np.sqrt(sigma2), reml=reml).log_likelihood

    for reml, best in ((False, rss / 30), (True, rss / 28)):
        assert at(best, reml=reml) > max(at(best * 1.01, reml=reml), at(best * 0.99, reml=reml))
