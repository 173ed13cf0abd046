"""Studies on disk and the self-check in words: settings as text, folders, commands, verdict.json."""

from __future__ import annotations

import doctest
import gzip
import io
import json
from importlib.resources import files
from pathlib import Path

import jsonschema
import pandas as pd
import pytest
from tests.unit.readability import grade

from tpr_outcomes.analysis import AnalysisPlan, evaluate
from tpr_outcomes.cli import main
from tpr_outcomes.errors import OutputError, PlanError
from tpr_outcomes.inference.evidence import LABELS, Evidence, gather_evidence
from tpr_outcomes.planning import rates
from tpr_outcomes.planning.self_check import SelfCheck, Setting
from tpr_outcomes.planning.simulate import simulate
from tpr_outcomes.planning.worlds import WORLDS
from tpr_outcomes.reporting import bundle, own_design, studies
from tpr_outcomes.reporting.own_design import self_check_json, self_check_sentences
from tpr_outcomes.reporting.results import Evaluation
from tpr_outcomes.reporting.studies import calibration_study, numbers_in, sizes_in, whole_in, worlds_in


def run(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str, str]:
    status = main([str(part) for part in argv])
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return status, out, err


# --- settings as text --------------------------------------------------------------------------------------


def test_sizes_and_worlds_are_read() -> None:
    assert sizes_in("60:500, 150:1000") == {60: 500, 150: 1000}
    assert worlds_in("all") == list(WORLDS)
    assert worlds_in("n4,A-thr40,N4") == ["N4", "A-thr40"]
    assert whole_in("visits", "6, 12") == [6, 12]
    assert numbers_in("slopes", "-0.05,-1e-2") == [-0.05, -0.01]


@pytest.mark.parametrize("text", ["60", "60:", "x:5", "60:5:5", "0:5", "60:0", "60:5,60:6", "", "60:5,,"])
def test_bad_sizes_name_patients(text: str) -> None:
    with pytest.raises(PlanError, match="patients"):
        sizes_in(text)


@pytest.mark.parametrize("text", ["N99", "", "N4,", "irregular+mild"])
def test_bad_worlds_are_refused(text: str) -> None:
    with pytest.raises(PlanError, match="world"):
        worlds_in(text)


@pytest.mark.parametrize("module", [studies, own_design, rates])
def test_examples_run(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


# --- tpr calibrate -----------------------------------------------------------------------------------------

CALIBRATE = ("calibrate", "--worlds", "N4", "--patients", "20:2", "--seed", 5, "--bootstrap", 99)
FILES = ("operating-characteristics.csv", "replicates.csv.gz", "study.json")


def test_calibrate_writes_a_folder_that_does_not_depend_on_how(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status, out, _ = run(capsys, *CALIBRATE, "--out", tmp_path / "a")
    assert status == 0
    assert "operating-characteristics.csv" in out
    table = pd.read_csv(tmp_path / "a" / FILES[0])
    assert table[["world", "patients", "clinics"]].to_numpy().tolist() == [["N4", 20, 2]]
    replicates = gzip.decompress((tmp_path / "a" / FILES[1]).read_bytes()).decode()
    assert len(pd.read_csv(io.StringIO(replicates))) == 2
    study = json.loads((tmp_path / "a" / FILES[2]).read_text())
    assert study["command"] == "tpr calibrate --worlds N4 --patients 20:2 --seed 5 --bootstrap 99"
    assert study["versions"].keys() == {"tpr-outcomes", "python", "numpy", "scipy", "pandas"}
    again = study["command"].split()[1:]
    assert run(capsys, *again, "--out", tmp_path / "b")[0] == 0
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_calibrate_goes_on_and_refuses_another_study(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(capsys, *CALIBRATE, "--out", tmp_path)[0] == 0
    lines = (tmp_path / "checkpoint.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "checkpoint.jsonl").write_text("".join(lines[:2]) + '{"torn')
    before = (tmp_path / FILES[0]).read_bytes()
    assert run(capsys, *CALIBRATE, "--out", tmp_path)[0] == 0
    assert (tmp_path / FILES[0]).read_bytes() == before
    other = [6 if part == 5 else part for part in CALIBRATE]
    status, _, err = run(capsys, *other, "--out", tmp_path)
    assert status == PlanError.exit_code
    assert "another study" in err


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("--patients", "20", "patients"),
        ("--worlds", "N99", "world"),
        ("--seed", -1, "seed"),
        ("--workers", 0, "workers"),
        ("--bootstrap", 0, "bootstrap"),
    ],
)
def test_calibrate_names_what_is_wrong(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, option: str, value: object, named: str
) -> None:
    status, _, err = run(capsys, *CALIBRATE, option, value, "--out", tmp_path / "new")
    assert status == PlanError.exit_code
    assert named in err.lower()


def test_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        calibration_study(tmp_path / "file" / "x", worlds="N4", patients="20:1", seed=1)


# --- tpr power ---------------------------------------------------------------------------------------------

POWER = (
    "power", "--patients", "20,30", "--visits", "6", "--clinics", 1, "--seed", 5, "--bootstrap", 99,
)  # fmt: skip


def test_power_writes_tables_and_figure(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, out, _ = run(capsys, *POWER, "--only", "observed", "--out", tmp_path / "a")
    assert status == 0
    assert "not_line" in out
    assert "randomised" not in out
    frame = pd.read_csv(tmp_path / "a" / "power.csv")
    assert set(frame["patients"]) == {20, 30}
    assert list(frame.columns[-4:]) == ["estimate", "mcse", "conf_low", "conf_high"]
    needed = pd.read_csv(tmp_path / "a" / "patients-needed.csv")
    assert needed["question"].tolist() == ["supported", "shape", "not_line", "not_saturation", "not_nothing"]
    assert needed["beyond"].iloc[0] == "more"
    assert (tmp_path / "a" / "power.svg").read_text().lstrip().startswith("<?xml")
    command = json.loads((tmp_path / "a" / "study.json").read_text())["command"]
    assert run(capsys, *command.split()[1:], "--out", tmp_path / "b")[0] == 0
    for name in ("power.csv", "patients-needed.csv", "power.svg", "study.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("--patients", "none", "patients"),
        ("--visits", "1", "visits"),
        ("--thresholds", "-3", "thresholds"),
        ("--slopes", "0.05", "slopes"),
        ("--clinics", 0, "clinics"),
        ("--target", 0, "target"),
        ("--only", "lottery", "only"),
        ("--world", "A-thr40", "world"),
        ("--seed", -2, "seed"),
        ("--workers", 0, "workers"),
    ],
)
def test_power_names_what_is_wrong(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, option: str, value: object, named: str
) -> None:
    status, _, err = run(capsys, *POWER, option, value, "--out", tmp_path)
    assert status == PlanError.exit_code
    assert named in err


# --- the self-check in words -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return gather_evidence(simulate("N4", n_patients=60, seed=1), replicates=99, seed=1)


def check(supported: int = 3, clinics: int = 200, reason: str = "") -> SelfCheck:
    def counts(k: int, n: int) -> dict[str, int]:
        return dict.fromkeys(LABELS, 0) | {"threshold_supported": k, "inconclusive": n - k}

    settings = (
        Setting(None, 0.0, 0.0, counts(supported, clinics)),
        Setting(24.0, 1.0, 0.0244, counts(45, 100)),
        Setting(24.0, 2.0, 0.0488, counts(98, 100)),
    )
    return SelfCheck(() if reason else settings, 150, 12, 65.0, None, 299, 1, reason)


def test_sentences_say_rate_error_and_limit(evidence: Evidence) -> None:
    said = self_check_sentences(check(), evidence)
    assert said[0] == (
        "In clinics like yours where twitches do nothing, it would have said “threshold” 1.5% (± 0.9%) of "
        "the time: 3 of 200 simulated clinics. The true rate could be up to 4.3%."
    )
    assert said[1] == (
        "With a threshold at 24 twitches that brings 1 point of relief by 65, it would have said so 45% "
        "(± 5%) of the time."
    )
    assert "2 points" in said[2]
    assert "hidden trait" in said[-1]
    assert len(said) == 4
    assert grade(" ".join(said)) <= 9


def test_no_false_support_still_has_a_limit(evidence: Evidence) -> None:
    said = self_check_sentences(check(0, 200), evidence)[0]
    assert "0% (± 0%)" in said
    assert "up to 1.8%" in said


def test_a_check_that_could_not_be_done_says_why(evidence: Evidence) -> None:
    undone = check(reason="Too few ratings.")
    assert self_check_sentences(undone, evidence) == (
        "How often this test is wrong in clinics like yours could not be worked out: Too few ratings.",
    )
    assert self_check_json(undone, evidence)["false_support"] is None


@pytest.fixture(scope="module")
def evaluated() -> Evaluation:
    return evaluate(simulate("N4", n_patients=60, seed=1), replicates=99, self_check=2)


def test_evaluation_holds_the_check(evaluated: Evaluation) -> None:
    content = json.loads(evaluated.to_json())
    schema = (
        files("tpr_outcomes").joinpath("reporting/schema/verdict.schema.json").read_text(encoding="utf-8")
    )
    jsonschema.Draft202012Validator(json.loads(schema)).validate(content)
    part = content["self_check"]
    assert part["false_support"]["clinics"] == 2
    assert sum(part["labels"].values()) == 2
    assert part["sentences"] == list(evaluated.self_check_sentences)
    assert evaluated.plan["self_check"] == 2
    undone = check(reason="Too few.")
    content["self_check"] = self_check_json(undone, evaluated.evidence)
    jsonschema.Draft202012Validator(json.loads(schema)).validate(content)


def test_nothing_is_added_where_it_was_not_asked_for() -> None:
    plain = evaluate(simulate("N4", n_patients=30, seed=1), replicates=99)
    assert plain.self_check is None
    assert plain.self_check_sentences == ()
    assert "self_check" not in plain.to_dict()
    assert "self_check" not in plain.plan


@pytest.mark.parametrize("value", [-1, 1.5, True, 100_001])
def test_plan_refuses_impossible_checks(value: object) -> None:
    with pytest.raises(PlanError, match="self_check"):
        AnalysisPlan.checked({"self_check": value})


def test_evaluate_prints_and_writes_the_check(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle.plots, "all_figures", lambda _: {})
    source = tmp_path / "clinic.csv"
    assert run(capsys, "simulate", "N4", "--patients", 40, "--seed", 2, "--out", source)[0] == 0
    given = ("evaluate", source, "--replicates", 99, "--self-check", 2, "--out", tmp_path / "report")
    status, out, _ = run(capsys, *given)
    assert status == 0
    assert "In clinics like yours where twitches do nothing" in out
    frame = pd.read_csv(tmp_path / "report" / "tables" / "self_check.csv")
    assert set(frame["label"]) == set(LABELS)
    assert "In clinics like yours" in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    status, _, err = run(capsys, *given[:-3], -1, "--out", tmp_path / "report")
    assert status == PlanError.exit_code
    assert "self_check" in err
