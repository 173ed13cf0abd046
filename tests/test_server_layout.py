"""`.binder/` and `Dockerfile`: the steps an image is built by, run as far as they go without a network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from tests.test_environment import ADDRESS, PROJECT

ROOT = Path(__file__).resolve().parent.parent
BINDER = ROOT / ".binder"


def run(
    script: str, *arguments: str, where: Path, first: Path | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run a script of the layout from another folder, with `first` before all else on the path."""
    path = os.pathsep.join(filter(None, [str(first) if first else "", os.environ["PATH"]]))
    environment = {key: value for key, value in os.environ.items() if not key.startswith("JUPYTER")}
    command = [str(BINDER / script), *arguments]
    environment |= {"PATH": path} | more
    return subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True, check=False)


def test_what_is_installed_is_the_lock_and_nothing_else() -> None:
    lines = (BINDER / "requirements.txt").read_text(encoding="utf-8").splitlines()
    (wanted,) = [line for line in lines if line and not line.startswith("#")]
    assert wanted.startswith("-r ")
    assert (BINDER / wanted.removeprefix("-r ")).resolve() == ROOT / "requirements.lock"


def test_the_python_is_one_the_package_supports() -> None:
    found = re.fullmatch(r"python-(3\.\d+)\n", (BINDER / "runtime.txt").read_text(encoding="utf-8"))
    assert found is not None
    assert found.group(1) in SpecifierSet(PROJECT["project"]["requires-python"])


def test_the_step_after_the_packages_installs_the_package_and_judges_the_example(tmp_path: Path) -> None:
    """With a python that writes down what it is asked, and does all of it but the installation."""
    asked = tmp_path / "asked"
    fake = tmp_path / "python"
    fake.write_text(
        f'#!/bin/sh\necho "$PWD $*" >> {asked}\n'
        f'[ "$1" = "-m" ] || exec {sys.executable} "$@"\n'
    )  # fmt: skip
    fake.chmod(0o755)
    ended = run("postBuild", where=tmp_path, first=tmp_path, PYTHONPATH=str(ROOT / "src"))
    assert (ended.returncode, ended.stderr) == (0, "")
    install, judge = asked.read_text().splitlines()
    assert install.startswith(f"{ROOT} -m pip install ")
    assert {"--no-deps", "--no-build-isolation", "--editable", "."} <= set(install.split())
    assert judge.startswith(f"{ROOT} -c import tpr_outcomes")
    assert "threshold-shaped link" in ended.stdout


@pytest.mark.parametrize("before", ["", "/etc/elsewhere"])
def test_a_session_gets_the_settings_of_make_lab(before: str, tmp_path: Path) -> None:
    """Whatever a hub has set stays, after ours; the command is handed on with its arguments as they are."""
    hub = {"JUPYTER_CONFIG_PATH": before, "JUPYTER_PATH": before} if before else {}
    ended = run("start", "sh", "-c", 'env; echo "said: $1"', "sh", "two  words", where=tmp_path, **hub)
    told = dict(line.split("=", 1) for line in ended.stdout.splitlines() if "=" in line)
    tail = f":{before}" if before else ""
    assert told["JUPYTER_CONFIG_PATH"] == f"{ROOT / 'tools' / 'jupyter'}{tail}"
    assert told["JUPYTER_PATH"] == f"{ROOT / 'tools' / 'jupyter' / 'share'}{tail}"
    assert told["OMP_NUM_THREADS"] == "1"
    assert "said: two  words" in ended.stdout
    assert run("start", "false", where=tmp_path).returncode == 1


def test_the_container_takes_the_same_steps_and_no_clinics_file() -> None:
    steps = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "pip install --no-cache-dir --requirement .binder/requirements.txt" in steps
    assert "RUN .binder/postBuild" in steps
    assert 'ENTRYPOINT [".binder/start"]' in steps
    assert steps.index("requirements.txt\nCOPY") < steps.index("RUN .binder/postBuild")
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {"data/raw", ".venv", "notebooks/*", "!notebooks/*.ipynb"} <= set(ignored)
    assert "USER clinic" in steps


@pytest.mark.parametrize(
    "path", ["Dockerfile", ".binder/requirements.txt", ".binder/postBuild", ".binder/start"]
)
def test_no_step_names_an_address(path: str) -> None:
    assert ADDRESS.findall((ROOT / path).read_text(encoding="utf-8")) == []
