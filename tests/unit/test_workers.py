"""Work shared out: results depend on the tasks alone, whoever does them, in pieces of any size, resumed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from tpr_outcomes.errors import OutputError, PlanError, WorkersError
from tpr_outcomes.inference.evidence import gather_evidence
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.planning import operating, pieces, workers
from tpr_outcomes.planning.operating import Replicate, Task, calibrate, run_replicate
from tpr_outcomes.planning.pieces import fingerprint, one_thread, require_alike, run_piece
from tpr_outcomes.planning.power import power_grid
from tpr_outcomes.planning.self_check import digest_of, self_check
from tpr_outcomes.planning.simulate import simulate
from tpr_outcomes.planning.workers import Checkpoint, as_done, require_workers, run_in_order


def _draw(seed: int) -> float:
    return float(generator(seed, "task").normal())


def _fails(seed: int) -> float:
    raise PlanError(f"item {seed} is refused")


def _ends(seed: int) -> float:
    os._exit(9)


def saved(path: Path, **header: Any) -> Checkpoint[int, float]:
    return Checkpoint(
        path,
        {"study": "draws", **header},
        key=lambda item: {"item": item},
        encode=lambda result: {"drawn": result},
        decode=lambda line: line["drawn"],
    )


# --- in order ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "chunk"), [(1, 25), (2, 1), (2, 2), (2, 25)])
def test_results_do_not_depend_on_who_works(count: int, chunk: int) -> None:
    drawn = list(run_in_order(_draw, range(7), workers=count, chunk=chunk))
    assert drawn == [_draw(i) for i in range(7)]


def test_no_items_no_results() -> None:
    assert list(run_in_order(_draw, [])) == []


def test_results_that_come_out_of_order_are_put_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    def backwards(task: Any, all_pieces: Any, _: object) -> Any:
        for number, items in reversed(list(all_pieces)):
            yield run_piece(task, number, items)

    monkeypatch.setattr(workers, "_run", backwards)
    assert list(run_in_order(_draw, range(9), chunk=2, workers=2)) == [_draw(i) for i in range(9)]
    assert [place for place, _ in as_done(_draw, range(4), [3, 0, 2])] == [2, 0, 3]


def test_a_refusal_of_a_task_is_passed_on() -> None:
    for count in (1, 2):
        with pytest.raises(PlanError, match="item 0 is refused"):
            list(run_in_order(_fails, [0], workers=count))


def test_a_process_that_is_ended_is_told_in_words() -> None:
    with pytest.raises(WorkersError, match="ended from outside"):
        list(run_in_order(_ends, range(3), workers=2, chunk=1))


@pytest.mark.parametrize("given", ["localhost", "tcp://localhost", "http://a:80", "tcp://a:b", ""])
def test_an_address_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(PlanError, match="scheduler is"):
        require_workers(given)


@pytest.mark.parametrize("given", ["tcp://127.0.0.1:8786", "tls://head-node:8786"])
def test_addresses(given: str) -> None:
    require_workers(given)


# --- begun again -------------------------------------------------------------------------------------------


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "draws.jsonl"
    first = list(run_in_order(_draw, range(3), checkpoint=saved(path)))
    ran: list[int] = []

    def watched(seed: int) -> float:
        ran.append(seed)
        return _draw(seed)

    # More items than before, and in another order: each finds its own result.
    again = list(run_in_order(watched, [4, 2, 0, 3, 1], checkpoint=saved(path)))
    assert again == [_draw(i) for i in (4, 2, 0, 3, 1)]
    assert ran == [4, 3]
    assert first == [_draw(i) for i in range(3)]
    assert len(path.read_text().splitlines()) == 6


def test_a_run_ended_anywhere_gives_the_same(tmp_path: Path) -> None:
    """Cut at every byte: whatever was half written is run again, and nothing else is."""
    path = tmp_path / "draws.jsonl"
    expected = list(run_in_order(_draw, range(3), checkpoint=saved(path)))
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert list(run_in_order(_draw, range(3), checkpoint=saved(path))) == expected
        assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "content", ['{"study": "other"}\n', "patient,visit\n", '{"study": "draws", "seed": 2}\n']
)
def test_a_file_of_somebody_else_is_refused_and_left(tmp_path: Path, content: str) -> None:
    path = tmp_path / "draws.jsonl"
    path.write_text(content)
    with pytest.raises(PlanError, match="another study"):
        list(run_in_order(_draw, range(3), checkpoint=saved(path, seed=1)))
    assert path.read_text() == content


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="checkpoint"):
        list(run_in_order(_draw, range(3), checkpoint=saved(tmp_path / "file" / "draws.jsonl")))


# --- one thread, and what is alike -------------------------------------------------------------------------


def blas_threads() -> set[int]:
    return {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}


def _blas_threads(_: int) -> set[int]:
    return blas_threads()


def test_a_piece_works_in_one_thread_and_lets_go() -> None:
    with threadpool_limits(limits=2, user_api="blas"):
        assert run_piece(_blas_threads, 0, [0]) == (0, [{1}])
        assert blas_threads() == {2}
        assert list(run_in_order(_blas_threads, [0])) == [{1}]


def test_the_first_piece_to_end_does_not_free_the_others() -> None:
    with threadpool_limits(limits=2, user_api="blas"):
        first, second = one_thread(), one_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert blas_threads() == {1}
        second.__exit__(None, None, None)
        assert blas_threads() == {2}


def test_fingerprint_names_what_numbers_depend_on() -> None:
    found = fingerprint()
    assert set(found) == {
        "tpr-outcomes", "its code", "python", "numpy", "scipy", "pandas", "numba", "compiled loops",
        "matrix libraries", "processor",
    }  # fmt: skip
    assert all(found.values())
    assert "openblas" in found["matrix libraries"]


def test_code_digest_sees_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "tpr_outcomes"
    (home / "models").mkdir(parents=True)
    for name in ("__init__.py", "models/a.py"):
        (home / name).write_text("x = 1\n")
    monkeypatch.setattr(pieces.tpr_outcomes, "__file__", str(home / "__init__.py"))
    seen = [pieces.code_digest()]
    (home / "models" / "a.py").write_text("x = 2\n")
    seen.append(pieces.code_digest())
    (home / "models" / "a.py").rename(home / "models" / "b.py")
    seen.append(pieces.code_digest())
    assert len(set(seen)) == 3


def test_a_worker_that_differs_is_refused_with_every_difference() -> None:
    mine = fingerprint()
    require_alike(mine, dict(mine), where="w1")
    other = mine | {"numpy": "0.1", "its code": "0000"}
    with pytest.raises(WorkersError, match="w1") as refused:
        require_alike(mine, other, where="w1")
    assert f"- numpy: here {mine['numpy']}; there 0.1" in str(refused.value)
    assert "its code" in str(refused.value)
    assert "scipy:" not in str(refused.value)
    with pytest.raises(WorkersError, match="numpy"):
        run_piece(_draw, 0, [1], other)


# --- the studies, to the bit -------------------------------------------------------------------------------

TASKS = [Task(world, 40, index, 99, 77) for world in ("N4", "N7") for index in range(3)]


def test_replicates_do_not_depend_on_threads_of_the_process() -> None:
    alone = [run_replicate(task) for task in TASKS]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda task: run_piece(run_replicate, 0, [task])[1][0], TASKS))
    assert together == alone


def test_replicates_do_not_depend_on_the_number_of_threads_allowed() -> None:
    """The matrix library is given four threads before it is loaded; the numbers are those of one."""
    code = (
        "import json\nfrom dataclasses import asdict\n"
        "from tpr_outcomes.planning.operating import Task, run_replicate\n"
        "from tpr_outcomes.planning.workers import run_in_order\n"
        "tasks = [Task('N4', 150, i, 99, 77) for i in range(2)]\n"
        "print(json.dumps([asdict(r) for r in run_in_order(run_replicate, tasks)]))"
    )
    said = []
    for threads in ("1", "4"):
        settings = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), threads)
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | settings | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            check=True,
        )
        said.append(json.loads(done.stdout))
    assert said[0] == said[1]
    assert [Replicate(**each).index for each in said[0]] == [0, 1]


def test_power_carries_on_with_the_same_numbers(tmp_path: Path) -> None:
    grid = partial(
        power_grid, patients=(20, 30), visits=(6,), assignments=("observed",), clinics=2, seed=5, bootstrap=99
    )
    whole = grid()
    path = tmp_path / "checkpoint.jsonl"
    assert grid(checkpoint=path) == whole
    lines = path.read_text().splitlines(keepends=True)
    assert len(lines) == 1 + 2 * 2 * 2
    path.write_text("".join(lines[:4]))
    assert grid(checkpoint=path) == whole
    assert path.read_text() == "".join(lines)
    with pytest.raises(PlanError, match="another study"):
        grid(checkpoint=path, world="N7")


def test_self_check_carries_on_with_the_same_numbers(tmp_path: Path) -> None:
    visits = simulate("N4", n_patients=40, seed=3)
    evidence = gather_evidence(visits, replicates=99, seed=1)
    check = partial(self_check, visits, evidence, clinics=3, power_clinics=1, seed=4, bootstrap=99)
    whole, path = check(), tmp_path / "checkpoint.jsonl"
    kept = check(checkpoint=path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:3]))
    for found in (kept, check(checkpoint=path)):
        assert found.settings == whole.settings
        assert found.likeness is not None
        assert whole.likeness is not None
        np.testing.assert_array_equal(found.likeness.simulated, whole.likeness.simulated)
        np.testing.assert_array_equal(found.likeness.mcse, whole.likeness.mcse)
    other = gather_evidence(simulate("N4", n_patients=40, seed=8), replicates=99, seed=1)
    with pytest.raises(PlanError, match="another study"):
        self_check(
            simulate("N4", n_patients=40, seed=8), other, clinics=3, seed=4, bootstrap=99, checkpoint=path
        )


@pytest.mark.parametrize(
    "change", [lambda a: a + 0.0, lambda a: a.astype(np.float32), lambda a: a[:2], lambda a: -a]
)
def test_digest_tells_values_apart(change: Callable[[Any], Any]) -> None:
    values = np.array([1.0, 2.0, np.nan])
    changed = change(values)
    same = changed.dtype == values.dtype and changed.tobytes() == values.tobytes()
    assert (
        digest_of(operating.Task("N4", 1, 2, 3, 4)) == digest_of(operating.Task("N4", 1, 2, 3, 5))
    ) is False
    assert (digest_of((values,)) == digest_of((changed,))) is same


def test_calibrate_names_the_checkpoint_it_refuses(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    calibrate(["N4"], sizes={20: 1}, seed=1, bootstrap=99, checkpoint=path)
    with pytest.raises(PlanError, match=str(path)):
        calibrate(["N4"], sizes={20: 1}, seed=2, bootstrap=99, checkpoint=path)
