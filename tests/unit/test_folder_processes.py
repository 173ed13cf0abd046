"""Folders under real processes: killed while they write, two at once, on a medium without room."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tpr_outcomes.reporting import folder
from tpr_outcomes.reporting.folder import MANIFEST, replace_folder

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")

WRITER = """
import json, resource, sys
from tpr_outcomes.errors import OutputError
from tpr_outcomes.reporting.folder import MANIFEST, MANIFEST_SCHEMA, replace_folder
place, text, rounds, limit = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
for _ in range(rounds):
    files = {f"tables/{i}.csv": (text * 2000).encode() for i in range(20)}
    files[MANIFEST] = json.dumps({"schema": MANIFEST_SCHEMA, "files": dict.fromkeys(files, "x")}).encode()
    try:
        replace_folder(place, files)
    except OutputError as error:
        print(error, flush=True)
    else:
        print("written", flush=True)
"""


def start(place: Path, text: str, *, rounds: int, limit: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(place), text, str(rounds), str(limit)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def write_once(place: Path, text: str) -> None:
    process = start(place, text, rounds=1)
    assert process.communicate()[0] == "written\n"


def whole(place: Path) -> str:
    """The text of a folder, after checking that every file of it holds that text and none is missing."""
    listed = json.loads((place / MANIFEST).read_text())["files"]
    texts = {(place / name).read_text() for name in listed}
    assert len(listed) == 20
    assert len(texts) == 1
    content = texts.pop()
    assert len(content) == 2000
    return content[0]


def test_a_run_killed_at_any_moment_leaves_a_whole_report(tmp_path: Path) -> None:
    place = tmp_path / "out"
    write_once(place, "a")
    rng = random.Random(1)
    for text in "bcdefgh":
        process = start(place, text, rounds=10_000)
        assert process.stdout is not None
        process.stdout.readline()  # it writes by now, over and over
        time.sleep(rng.random() * 0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        folder._recover(place, folder._kept(place))  # what the next run does first, where folders cannot swap
        assert whole(place) == text
    write_once(place, "z")
    assert whole(place) == "z"
    assert [path.name for path in tmp_path.iterdir()] == ["out"], "what killed runs left is cleared away"


def test_runs_at_the_same_time_end_with_one_whole_report(tmp_path: Path) -> None:
    place = tmp_path / "out"
    write_once(place, "a")
    both = [start(place, text, rounds=40) for text in "bc"]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert not [line for text in said for line in text.splitlines() if "Traceback" in line]
    assert all("written" in text for text in said)
    assert whole(place) in "bc"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_no_room_for_a_file_leaves_the_earlier_report(tmp_path: Path) -> None:
    place = tmp_path / "out"
    write_once(place, "a")
    said, _ = start(place, "b", rounds=1, limit=1000).communicate()
    assert "could not be written" in said
    assert said.rstrip().endswith("Nothing was changed.")
    assert whole(place) == "a"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_folders_change_places_or_nothing_happens(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for path in (one, other):
        path.mkdir()
        (path / path.name).touch()
    swapped = folder._exchange(one, other)
    assert (one / ("other" if swapped else "one")).exists()
    assert not folder._exchange(one, tmp_path / "nowhere")
    assert (one / ("other" if swapped else "one")).exists()


def test_a_living_run_is_not_cleared_away(tmp_path: Path) -> None:
    mine = tmp_path / f".out.part-{os.getpid()}"
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead = tmp_path / f".out.part-{ended.pid}"
    for path in (mine, dead):
        path.mkdir()
    folder._clear_dead(tmp_path / "out")
    assert mine.exists()
    assert not dead.exists()
    mine.rmdir()
    replace_folder(tmp_path / "out", {MANIFEST: b"{}"})
    assert (tmp_path / "out" / MANIFEST).exists()
