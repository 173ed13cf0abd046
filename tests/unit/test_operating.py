"""Operating characteristics: the same numbers however they are run, resumed runs, refusals, the oracle."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tpr_outcomes.errors import PlanError
from tpr_outcomes.inference.evidence import LABELS
from tpr_outcomes.planning import operating
from tpr_outcomes.planning.operating import (
    Replicate,
    Task,
    calibrate,
    mcse,
    operating_table,
    oracle_rejects,
    run_replicate,
    true_threshold,
)
from tpr_outcomes.planning.worlds import WORLDS

STUDY = {"sizes": {40: 3}, "seed": 77, "bootstrap": 99}
FIELDS = [field.name for field in fields(Replicate)]


@pytest.fixture(scope="module", autouse=True)
def small_oracle() -> pytest.MonkeyPatch:  # type: ignore[misc]
    """The oracle's covariance from 400 patients, not 4,000: these tests ask only that it is used."""
    patch = pytest.MonkeyPatch()
    patch.setattr(operating, "ORACLE_PATIENTS", 400)
    yield patch
    patch.undo()


@pytest.fixture(scope="module")
def small(small_oracle: pytest.MonkeyPatch) -> pd.DataFrame:
    return calibrate(["N4", "A-thr30"], **STUDY)  # type: ignore[arg-type]


def made(labels: list[str], world: str = "A-thr30", **changes: object) -> pd.DataFrame:
    """Replicates with given labels and otherwise plain numbers."""
    plain = {
        "world": world, "n_patients": 150, "p_dose": 0.01, "p_threshold": 0.2, "delta_bic": 1.0,
        "p_mundlak": 0.01, "p_lead": 0.5, "identifiable": True, "estimate": 30.0, "conf_low": 25.0,
        "conf_high": 35.0, "oracle": True,
    } | changes  # fmt: skip
    return pd.DataFrame([{**plain, "index": i, "label": label} for i, label in enumerate(labels)])[FIELDS]


# --- running -----------------------------------------------------------------------------------------------


def test_one_row_per_replicate_in_order(small: pd.DataFrame) -> None:
    assert list(small.columns) == FIELDS
    assert small["world"].tolist() == ["N4"] * 3 + ["A-thr30"] * 3
    assert small["index"].tolist() == [0, 1, 2] * 2
    assert set(small["label"]) <= set(LABELS)


@pytest.mark.simulation
def test_same_numbers_for_two_workers(small: pd.DataFrame) -> None:
    # The oracle's covariance is fitted in each process: worlds without a threshold need none.
    again = calibrate(["N4"], workers=2, **STUDY)  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(again, small[small["world"] == "N4"], check_exact=True)


def test_a_replicate_does_not_depend_on_its_company(small: pd.DataFrame) -> None:
    alone = run_replicate(Task("N4", 40, 2, 99, 77))
    row = small[(small["world"] == "N4") & (small["index"] == 2)]
    pd.testing.assert_frame_equal(pd.DataFrame([asdict(alone)]), row.reset_index(drop=True), check_exact=True)


def test_progress_counts_to_the_end() -> None:
    seen: list[tuple[int, int]] = []
    calibrate(["N4"], progress=lambda done, of: seen.append((done, of)), **{**STUDY, "sizes": {20: 2}})  # type: ignore[arg-type]
    assert seen == [(1, 2), (2, 2)]


# --- resuming ----------------------------------------------------------------------------------------------


def test_a_stopped_run_goes_on_where_it_was(
    small: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new" / "checkpoint.jsonl"
    whole = calibrate(["N4"], checkpoint=path, **STUDY)  # type: ignore[arg-type]
    expected = small[small["world"] == "N4"]
    pd.testing.assert_frame_equal(whole, expected, check_exact=True)
    lines = path.read_text().splitlines(keepends=True)
    assert len(lines) == 4
    path.write_text("".join(lines[:2]) + lines[2][: len(lines[2]) // 2])  # killed while writing
    ran: list[Task] = []

    def watched(task: Task) -> Replicate:
        ran.append(task)
        return run_replicate(task)

    monkeypatch.setattr(operating, "run_replicate", watched)
    resumed = calibrate(["N4"], checkpoint=path, **STUDY)  # type: ignore[arg-type]
    assert [task.index for task in ran] == [1, 2]
    pd.testing.assert_frame_equal(resumed, expected, check_exact=True)
    assert path.read_text().splitlines() == [line.strip() for line in lines]


def test_a_finished_run_is_read_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoint.jsonl"
    study = {**STUDY, "sizes": {20: 2}}
    first = calibrate(["N4"], checkpoint=path, **study)  # type: ignore[arg-type]
    monkeypatch.setattr(operating, "run_replicate", None)
    again = calibrate(["N4"], checkpoint=path, **study)  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(again, first, check_exact=True)


@pytest.mark.parametrize("change", [{"seed": 78}, {"bootstrap": 199}])
def test_a_foreign_checkpoint_is_refused_and_kept(tmp_path: Path, change: dict[str, int]) -> None:
    path = tmp_path / "checkpoint.jsonl"
    study = {**STUDY, "sizes": {20: 1}}
    calibrate(["N4"], checkpoint=path, **study)  # type: ignore[arg-type]
    before = path.read_text()
    with pytest.raises(PlanError, match="another study"):
        calibrate(["N4"], checkpoint=path, **{**study, **change})  # type: ignore[arg-type]
    assert path.read_text() == before


@pytest.mark.parametrize("text", ["patient,visit\n", '{"study": "another"}\n'])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "notes.jsonl"
    path.write_text(text)
    with pytest.raises(PlanError):
        calibrate(["N4"], checkpoint=path, **STUDY)  # type: ignore[arg-type]
    assert path.read_text() == text


def test_checkpoint_lines_are_replicates(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.jsonl"
    calibrate(["N4"], checkpoint=path, **{**STUDY, "sizes": {20: 1}})  # type: ignore[arg-type]
    header, line = map(json.loads, path.read_text().splitlines())
    assert (header["seed"], header["bootstrap"]) == (77, 99)
    assert list(line) == FIELDS


@pytest.mark.parametrize(
    ("worlds", "changes"),
    [
        (["N4", "nowhere"], {}),
        (["N4"], {"sizes": {}}),
        (["N4"], {"sizes": {0: 5}}),
        (["N4"], {"sizes": {40: 0}}),
        (["N4"], {"bootstrap": 0}),
        (["N4"], {"workers": 0}),
    ],
)
def test_impossible_studies_are_refused(worlds: list[str], changes: dict[str, object]) -> None:
    with pytest.raises(PlanError):
        calibrate(worlds, **{**STUDY, **changes})  # type: ignore[arg-type]


# --- the oracle --------------------------------------------------------------------------------------------


def test_worlds_without_a_threshold_have_no_oracle(small: pd.DataFrame) -> None:
    assert small[small["world"] == "N4"]["oracle"].isna().all()
    assert small[small["world"] == "A-thr30"]["oracle"].notna().all()


@pytest.mark.parametrize("world", list(WORLDS))
def test_true_thresholds_are_those_of_the_worlds(world: str) -> None:
    """In recorded twitches; where under-counting varies, the share counted at a score of 5."""
    truth = WORLDS[world]
    assert (true_threshold(world) is None) == (not truth.has_threshold)
    if truth.has_threshold and truth.count_depth == 0.0:
        assert true_threshold(world) == pytest.approx(truth.true_threshold)


@pytest.mark.simulation
def test_the_oracle_sees_what_is_there() -> None:
    from tpr_outcomes.inference.evidence import gather_evidence
    from tpr_outcomes.planning.simulate import simulate

    evidence = [
        gather_evidence(simulate("A-thr30", n_patients=150, seed=s), replicates=9, seed=1) for s in range(6)
    ]
    assert sum(bool(oracle_rejects("A-thr30", e)) for e in evidence) >= 5  # power 95% or more
    assert oracle_rejects("N4", evidence[0]) is None


# --- the table ---------------------------------------------------------------------------------------------


def test_table_has_rates_errors_and_limits() -> None:
    labels = ["threshold_supported"] * 6 + ["dose_association"] * 14
    table = operating_table(made(labels))
    row = table.iloc[0]
    assert list(table.columns[:6]) == [
        "world", "patients", "description", "has_threshold", "clinics", LABELS[0],
    ]  # fmt: skip
    assert row["threshold_supported"] == 30.0
    assert row["dose_association"] == 70.0
    assert sum(row[label] for label in LABELS) == pytest.approx(100.0)
    assert row["supported_mcse"] == pytest.approx(100 * np.sqrt(0.3 * 0.7 / 20), abs=0.005)
    assert row["dose_p"] == 100.0
    assert row["oracle"] == 100.0
    assert row["efficiency"] == pytest.approx(0.3)
    assert (row["coverage"], row["coverage_supported"], row["mean_width"]) == (100.0, 100.0, 10.0)


@pytest.mark.parametrize(("count", "trials"), [(0, 20), (3, 20), (20, 20), (7, 500)])
def test_upper_limit_is_scipys_exact_one(count: int, trials: int) -> None:
    labels = ["threshold_supported"] * count + ["inconclusive"] * (trials - count)
    row = operating_table(made(labels, world="N4", oracle=None)).iloc[0]
    exact = stats.binomtest(count, trials).proportion_ci(0.95, method="exact")
    assert row["supported_high"] == pytest.approx(100.0 * exact.high, abs=0.005 + 1e-9)


def test_coverage_counts_the_true_threshold() -> None:
    frame = made(["threshold_supported", "inconclusive", "inconclusive", "threshold_supported"])
    frame["conf_low"] = [25.0, 31.0, 20.0, 30.0]
    frame["conf_high"] = [35.0, 40.0, 29.0, 50.0]
    row = operating_table(frame).iloc[0]
    assert row["coverage"] == 50.0
    assert row["coverage_supported"] == 100.0
    assert row["coverage_mcse"] == 25.0


def test_worlds_without_a_threshold_have_no_coverage(small: pd.DataFrame) -> None:
    table = operating_table(small).set_index("world")
    assert table["has_threshold"].to_dict() == {"N4": False, "A-thr30": True}
    assert table.loc["N4", ["oracle", "coverage", "mean_estimate", "efficiency"]].isna().all()
    assert table.loc["A-thr30", ["oracle", "coverage", "mean_width"]].notna().all()


def test_clinics_that_could_not_be_fitted_count_as_such() -> None:
    blank = {"p_dose": None, "estimate": None, "conf_low": None, "conf_high": None, "oracle": None}
    frame = pd.concat([made(["threshold_supported"] * 3), made(["not_identifiable"], **blank)])
    row = operating_table(frame).iloc[0]
    assert row["threshold_supported"] == 75.0
    assert row["coverage"] == 75.0
    assert row["oracle"] == 75.0
    assert row["mean_estimate"] == 30.0


@pytest.mark.parametrize(("share", "error"), [([True, False], 35.36), ([False] * 4, 0.0)])
def test_mcse(share: list[bool], error: float) -> None:
    assert mcse(np.array(share)) == pytest.approx(error, abs=0.005)
