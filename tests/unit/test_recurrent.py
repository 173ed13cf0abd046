from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tpr_outcomes.errors import DataError, FitError
from tpr_outcomes.inference.recurrent import HazardFit, Ties, andersen_gill, mean_cumulative


@pytest.fixture(scope="module")
def rows(root: Path) -> pd.DataFrame:
    return pd.read_csv(root / "tests" / "reference" / "survival" / "relapses.csv")


@pytest.fixture(scope="module")
def expected(root: Path) -> pd.DataFrame:
    table = pd.read_csv(root / "tests" / "reference" / "survival" / "expected.csv")
    return table[table["dataset"] == "relapses"]


def fit(rows: pd.DataFrame, ties: Ties = "efron") -> HazardFit:
    return andersen_gill(
        rows["start"],
        rows["stop"],
        rows["status"],
        rows[["dose", "tuned"]],
        rows["patient"],
        terms=("dose", "tuned"),
        ties=ties,
    )


@pytest.mark.parametrize("ties", ["breslow", "efron"])
def test_hazard_model_agrees_with_coxph(rows: pd.DataFrame, expected: pd.DataFrame, ties: Ties) -> None:
    # coxph(Surv(start, stop, status) ~ dose + tuned + cluster(patient), ties), converged to 1e-11
    known = expected[expected["method"] == f"andersen_gill_{ties}"].set_index("term")["value"]
    found = fit(rows, ties)
    assert found.log_likelihood == pytest.approx(known["log_likelihood"], rel=1e-12)
    model, robust = np.sqrt(np.diag(found.model_cov)), np.sqrt(np.diag(found.robust_cov))
    for place, term in enumerate(found.terms):
        assert found.coefficients[place] == pytest.approx(known[term], rel=1e-8)
        assert model[place] == pytest.approx(known[f"se_{term}"], rel=1e-8)
        assert robust[place] == pytest.approx(known[f"robust_se_{term}"], rel=1e-8)


def test_mean_number_of_relapses_agrees_with_survfit(rows: pd.DataFrame, expected: pd.DataFrame) -> None:
    known = expected[expected["method"] == "mean_cumulative"].astype({"at": float})
    found = mean_cumulative(rows["start"], rows["stop"], rows["status"], rows["patient"])
    mean = known[known["term"] == "mean"].set_index("at")["value"]
    np.testing.assert_allclose(found.time, mean.index)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-12)
    error = known[known["term"] == "se"]["value"]
    np.testing.assert_allclose(found.std_error, error, rtol=1e-10)


def test_one_event_each_at_most_and_no_ties_is_nelson_aalen() -> None:
    stop = np.array([1.0, 2.0, 3.0, 4.0])
    found = mean_cumulative(np.zeros(4), stop, [1, 0, 1, 0], np.arange(4))
    np.testing.assert_allclose(found.mean, [1 / 4, 1 / 4 + 1 / 2])
    assert found.at(0.5)[0] == 0.0
    mean, error, low, high = found.at(3.5)
    assert mean == 0.75
    assert low * high == pytest.approx(mean**2)  # symmetric on the logarithm
    assert error > 0


def test_two_groups_by_hand() -> None:
    # Cox 1972 with one binary covariate and no ties: the score equation in closed form.
    stop, x = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, 1.0, 0.0, 1.0])
    found = andersen_gill(np.zeros(4), stop, [1, 1, 1, 0], x[:, None], np.arange(4), terms=("x",))
    r = np.exp(found.coefficients[0])
    # events in groups 0, 1, 0; at risk (2, 2), (1, 2), (1, 1)
    assert 1 - 2 * r / (2 + 2 * r) - 2 * r / (1 + 2 * r) - r / (1 + r) == pytest.approx(0.0, abs=1e-9)


def test_efron_and_breslow_agree_without_ties_and_splitting_changes_nothing(rows: pd.DataFrame) -> None:
    rng = np.random.default_rng(4)
    apart = rows.assign(stop=rows["stop"] + rng.uniform(1e-6, 1e-5, len(rows)))
    assert fit(apart, "efron").coefficients == pytest.approx(fit(apart, "breslow").coefficients)
    half = (rows["start"] + rows["stop"]) / 2
    split = pd.concat([rows.assign(stop=half, status=0), rows.assign(start=half)], ignore_index=True)
    whole, parts = fit(rows), fit(split)
    assert parts.coefficients == pytest.approx(whole.coefficients)
    assert parts.robust_cov == pytest.approx(whole.robust_cov)


def test_units_of_a_covariate_do_not_matter(rows: pd.DataFrame) -> None:
    whole, scaled = fit(rows), fit(rows.assign(dose=rows["dose"] * 1000 + 5))
    assert scaled.coefficients[0] * 1000 == pytest.approx(whole.coefficients[0])
    assert scaled.ratio("tuned") == pytest.approx(whole.ratio("tuned"))


def test_what_cannot_be_estimated_is_refused(rows: pd.DataFrame) -> None:
    with pytest.raises(FitError, match="Pain came back in nobody"):
        mean_cumulative([0.0], [1.0], [0], [1])
    with pytest.raises(DataError, match="has no length"):
        mean_cumulative([1.0], [1.0], [1], [1])
    with pytest.raises(FitError, match="the same everywhere"):
        fit(rows.assign(dose=1.0))
    with pytest.raises(FitError, match=r"without error|did not settle"):
        andersen_gill(
            np.zeros(6),
            [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            [1, 1, 1, 0, 0, 0],
            np.array([[1.0, 1, 1, 0, 0, 0]]).T,
            np.arange(6),
            terms=("x",),
        )
