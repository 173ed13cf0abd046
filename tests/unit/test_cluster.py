"""On a cluster: a real scheduler, two worker processes, one of them killed; the same numbers to the bit."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("distributed")

from tests.unit.dask_processes import SOURCES, Cluster

from tpr_outcomes.analysis import AnalysisPlan, evaluate, open_tables
from tpr_outcomes.cli import main
from tpr_outcomes.errors import WorkersError
from tpr_outcomes.planning import cluster as cluster_module
from tpr_outcomes.planning.operating import calibrate
from tpr_outcomes.planning.simulate import simulate, to_file
from tpr_outcomes.planning.workers import as_done, require_reachable, run_in_order
from tpr_outcomes.registry import evaluate_many
from tpr_outcomes.reporting.bundle import contents
from tpr_outcomes.reporting.studies import calibration_study

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cluster")]

TABLES = ("operating-characteristics.csv", "replicates.csv.gz", "study.json")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    started = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        started.add(2)
        yield started
    finally:
        started.close()


@pytest.fixture
def pair(cluster: Cluster) -> Cluster:
    """The cluster with two workers, whoever was killed before."""
    missing = 2 - len(cluster.alive())
    cluster.wait_for(len(cluster.alive()))
    if missing:
        cluster.add(missing)
    return cluster


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster of one test's own, without workers."""
    started = Cluster(tmp_path)
    try:
        yield started
    finally:
        started.close()


def _process(_: int) -> int:
    return os.getpid()


def _slow_square(number: int) -> int:
    """Long enough that every worker is at it when one is killed."""
    total = 0
    for step in range(2_000_000):
        total += step
    return number * number + 0 * total


# --- the same numbers --------------------------------------------------------------------------------------


def test_the_work_is_done_by_the_workers(pair: Cluster) -> None:
    who = set(run_in_order(_process, range(40), workers=pair.address, chunk=1))
    assert who <= {worker.pid for worker in pair.workers}
    assert os.getpid() not in who


def test_calibration_with_a_worker_killed_is_the_same_to_the_byte(pair: Cluster, tmp_path: Path) -> None:
    study = partial(calibration_study, worlds="N4,N7", patients="30:60", seed=5, bootstrap=99)
    victim = pair.alive()[0]

    def kill_one(done: int, _: int) -> None:
        if done == 1:
            assert len(pair.alive()) == 2
            pair.kill(victim)

    study(tmp_path / "cluster", workers=pair.address, progress=kill_one)
    assert victim.poll() is not None
    assert len(pair.alive()) == 1
    study(tmp_path / "here")
    for name in TABLES:
        assert (tmp_path / "cluster" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()


def test_a_run_on_a_cluster_carries_on_from_its_checkpoint(pair: Cluster, tmp_path: Path) -> None:
    """Ended from outside in the middle; the rest on the cluster, or here, or in two processes."""
    path = tmp_path / "checkpoint.jsonl"
    study = partial(calibrate, ["N4"], sizes={30: 60}, seed=5, bootstrap=99)

    def end(done: int, _: int) -> None:
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study(workers=pair.address, checkpoint=path, progress=end)
    begun = path.read_text().splitlines()
    assert 1 + 10 <= len(begun) < 1 + 60
    whole = study()
    assert study(workers=pair.address, checkpoint=path).equals(whole)
    assert path.read_text().splitlines()[: len(begun)] == begun
    path.write_text("".join(line + "\n" for line in begun))
    assert study(workers=2, checkpoint=path).equals(whole)


def test_power_by_command(pair: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["power", "--patients", "20", "--visits", "6", "--clinics", "12", "--only", "observed"]
    asked += ["--seed", "5", "--bootstrap", "99"]
    assert main([*asked, "--out", str(tmp_path / "a"), "--scheduler", pair.address]) == 0
    assert main([*asked, "--out", str(tmp_path / "b")]) == 0
    for name in ("power.csv", "patients-needed.csv", "power.svg", "study.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_self_check_of_an_evaluation(pair: Cluster, tmp_path: Path) -> None:
    ask = partial(evaluate, simulate("N4", n_patients=40, seed=1), replicates=99, self_check=12)
    shared = ask(workers=pair.address, checkpoint=tmp_path / "checkpoint.jsonl")
    assert shared.to_json() == ask().to_json()
    assert len((tmp_path / "checkpoint.jsonl").read_text().splitlines()) > 12


def test_two_threads_in_one_worker_give_the_same(own: Cluster) -> None:
    own.add(1, threads=2)
    study = partial(calibrate, ["N4"], sizes={30: 12}, seed=5, bootstrap=99)
    assert study(workers=own.address).equals(study())


def test_the_last_worker_killed_and_another_come(own: Cluster) -> None:
    """What was sent once is gone with the last worker; the scheduler makes it again."""
    own.add(1)
    found = []
    for place, result in as_done(_slow_square, range(12), range(12), workers=own.address, chunk=1):
        if not found:
            own.kill(own.alive()[0])
            own.wait_for(0)
            own.add(1)
        found.append((place, result))
    assert sorted(found) == [(i, i * i) for i in range(12)]


# --- refusals ----------------------------------------------------------------------------------------------


def test_workers_of_another_version_are_refused(own: Cluster, tmp_path: Path) -> None:
    other = tmp_path / "other" / "tpr_outcomes"
    other.mkdir(parents=True)
    for item in (Path(SOURCES) / "tpr_outcomes").iterdir():
        if item.name != "__init__.py":
            (other / item.name).symlink_to(item)
    text = (Path(SOURCES) / "tpr_outcomes" / "__init__.py").read_text()
    (other / "__init__.py").write_text(text.replace('__version__ = "', '__version__ = "99.'))
    own.add(1, sources=str(other.parent))
    with pytest.raises(WorkersError, match="would not give the same numbers") as refused:
        calibrate(["N4"], sizes={20: 2}, seed=1, bootstrap=99, workers=own.address)
    assert "- tpr-outcomes: here " in str(refused.value)
    assert "there 99." in str(refused.value)
    assert "- its code: " in str(refused.value)
    assert "scipy" not in str(refused.value)


def test_workers_without_the_package_are_refused(own: Cluster, tmp_path: Path) -> None:
    (tmp_path / "none" / "tpr_outcomes").mkdir(parents=True)
    (tmp_path / "none" / "tpr_outcomes" / "__init__.py").write_text("raise ImportError('not installed')\n")
    own.add(1, sources=str(tmp_path / "none"))
    with pytest.raises(WorkersError, match="cannot load this package"):
        list(run_in_order(_process, [1], workers=own.address))


def test_a_worker_that_comes_later_is_looked_at_too(own: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look at the door does not see it; every piece does."""
    own.add(1)
    monkeypatch.setattr(cluster_module, "_require_workers", lambda client, address: None)
    monkeypatch.setattr(cluster_module, "fingerprint", lambda: {"numpy": "0.1"})
    with pytest.raises(WorkersError, match=r"- numpy: here 0\.1"):
        list(run_in_order(_process, [1], workers=own.address))


def test_a_cluster_without_workers_is_refused(own: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "SECONDS_FOR_A_WORKER", 1)
    with pytest.raises(WorkersError, match="no workers"):
        require_reachable(own.address)


def test_a_cluster_that_lost_its_workers_is_given_up(own: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "SECONDS_TO_LOOK", 1)
    monkeypatch.setattr(cluster_module, "POLLS_WITHOUT_WORKERS", 2)
    own.add(1)
    squares = as_done(_slow_square, range(12), range(12), workers=own.address, chunk=1)
    next(squares)
    own.kill(own.alive()[0])
    with pytest.raises(WorkersError, match="lost all its workers"):
        list(squares)


def test_a_scheduler_that_goes_away_is_told_in_words(own: Cluster) -> None:
    own.add(1)
    squares = as_done(_slow_square, range(12), range(12), workers=own.address, chunk=1)
    next(squares)
    own.scheduler.kill()
    own.scheduler.wait(timeout=60)
    with pytest.raises(WorkersError, match="went away"):
        list(squares)


ASK = ("calibrate", "--worlds", "N4", "--patients", "20:2", "--seed", "5", "--bootstrap", "99")


def test_nobody_at_the_address(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "SECONDS_TO_CONNECT", 1)
    status = main([*ASK, "--out", str(tmp_path), "--scheduler", "tcp://127.0.0.1:9"])
    assert status == WorkersError.exit_code == 11
    err = capsys.readouterr().err
    assert err.startswith("tpr: No scheduler answers at tcp://127.0.0.1:9.")
    assert "Traceback" not in err


def test_without_distributed_the_extra_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    status = main([*ASK, "--out", str(tmp_path), "--scheduler", "tcp://127.0.0.1:9"])
    assert status == WorkersError.exit_code
    assert "pip install 'tpr-outcomes[cluster]'" in capsys.readouterr().err


def test_workers_and_scheduler_are_not_both_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = [*ASK, "--out", str(tmp_path), "--scheduler", "tcp://127.0.0.1:9", "--workers", "2"]
    assert main(asked) == 5
    assert "scheduler" in capsys.readouterr().err


# --- a registry --------------------------------------------------------------------------------------------


def test_a_registry_with_a_worker_killed_is_as_each_clinic_alone(pair: Cluster, tmp_path: Path) -> None:
    """Three clinics and one that cannot be read; every file of every folder is that of `tpr evaluate`."""
    made, out = tmp_path / "registry", tmp_path / "out"
    made.mkdir()
    for seed, label in enumerate(("east", "north", "west")):
        to_file("N4", made / f"{label}.csv", n_patients=30, seed=seed)
    (made / "south.csv").write_text("patient,visit\n1,1\n")
    plan = AnalysisPlan(replicates=99, sensitivity=False)

    def kill_one(done: int, _: int) -> None:
        if done == 1:
            pair.kill(pair.alive()[0])

    found = evaluate_many(made, out, plan, workers=pair.address, progress=kill_one)
    assert len(pair.alive()) == 1
    assert [row["label"] for row in found.rows] == ["east", "north", "west"]
    assert {failure.label for failure in found.failures} == {"south"}
    for label in ("east", "north", "west"):
        record, settled = open_tables(str(made / f"{label}.csv"), plan)
        alone = contents(evaluate(record, settled))
        written = {
            str(path.relative_to(out / "clinics" / label)): path.read_bytes()
            for path in (out / "clinics" / label).rglob("*")
            if path.is_file()
        }
        assert written == alone
