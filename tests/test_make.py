"""The doors a visitor uses first: `make help`, and the set-up's refusals."""

from __future__ import annotations

import contextlib
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
SETUP = ROOT / "tools" / "setup.py"


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make as from a fresh shell, even where the tests themselves were started by make."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, check=False)


def test_help_lists_the_targets_that_can_be_run() -> None:
    listed = re.findall(r"^  make (\w+) +\S", make("help").stdout, flags=re.MULTILINE)
    assert {"help", "report", "test", "lint", "types", "calibrate", "clean"} <= set(listed)
    for target in listed:
        assert make("--dry-run", target).returncode == 0, target


def test_plain_make_changes_nothing_and_helps() -> None:
    assert make().stdout == make("help").stdout


@pytest.mark.parametrize(
    ("target", "needs"),
    [("bench", "benchmarks/run.py"), ("docs", "tools/docs.py"), ("release", "tools/release.py")],
)
def test_a_target_without_its_script_is_not_offered(target: str, needs: str) -> None:
    assert (f"  make {target} " in make("help").stdout) == (ROOT / needs).exists()


def test_help_follows_one_word_per_line_that_awk_can_read() -> None:
    """Every described target is either offered or waits for its script: no misspelt name in TARGETS."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    described = set(re.findall(r"^([a-z]+):.*## ", text, flags=re.MULTILINE))
    named = {
        name
        for line in re.findall(r"^TARGETS \+?:?= (.+)$", text, flags=re.MULTILINE)
        for name in line.split()
    }
    assert described == named


def test_an_old_python_is_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SETUP), run_name="__main__")
    assert ended.value.code == 1
    assert capsys.readouterr().err.splitlines() == [
        "set-up: this Python is 3.9.2, but 3.11 or newer is wanted. Name one: make PYTHON=python3.12 ..."
    ]


def test_a_python_that_is_not_there_is_named() -> None:
    ended = make("--always-make", "PYTHON=python-of-nowhere", ".venv/.ready")
    assert ended.returncode != 0
    assert "there is no python-of-nowhere here; Python 3.11 or newer is wanted" in ended.stderr


@pytest.mark.parametrize(
    ("can", "last"),
    [
        ((), "this Python cannot make a virtual environment"),
        (("venv",), "the packages in requirements.lock could not be installed"),
        (("venv", "pip"), "tpr_outcomes itself could not be installed"),
        (("venv", "sync"), "tpr_outcomes itself could not be installed"),
        (("venv", "pip", "--editable"), "done"),
        (("venv", "sync", "--editable"), "done"),
    ],
)
def test_the_set_up_says_how_it_ended(
    can: tuple[str, ...], last: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With only some of the steps working: the environment, the lock by uv or by pip, the package."""
    setup: dict[str, Any] = runpy.run_path(str(SETUP), run_name="setup")
    scope = setup["main"].__globals__
    said: list[str] = []

    def run(*command: str | Path) -> bool:
        step = next((word for word in ("--editable", "sync") if word in command), "pip")
        return step in can

    monkeypatch.setitem(scope, "say", said.append)
    monkeypatch.setitem(scope, "READY", tmp_path / "ready")
    monkeypatch.setitem(scope, "works", lambda *_: "venv" in can)
    monkeypatch.setitem(scope, "run", run)
    with contextlib.suppress(SystemExit):
        setup["main"]()
    assert said[-1].startswith(last)
    assert (tmp_path / "ready").exists() == (last == "done")
