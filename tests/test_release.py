"""What a release has to be: the same bytes twice, complete, typed, one version, known public names."""

from __future__ import annotations

import datetime as dt
import re
import runpy
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.version import Version

import tpr_outcomes as tpr

ROOT = Path(__file__).resolve().parent.parent
RELEASE: dict[str, Any] = runpy.run_path(str(ROOT / "tools" / "release.py"))
pytestmark = pytest.mark.xdist_group("release")  # built once


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str], dict[str, str]]:
    """The folder of a build, the hashes of its files, and those of the build of its unpacked sdist."""
    pytest.importorskip("build")
    work = tmp_path_factory.mktemp("release")
    (out := work / "dist").mkdir()
    first, second = RELEASE["build_twice"](out, work)
    return out, first, second


def inside(folder: Path) -> dict[str, bytes]:
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_two_builds_are_the_same_bytes(built: tuple[Path, dict[str, str], dict[str, str]]) -> None:
    """Here, and from the sdist elsewhere with other file times and another umask."""
    _, first, second = built
    assert sorted(Path(name).suffix for name in first) == [".gz", ".whl"]
    assert first == second


def test_the_date_in_the_files_is_that_of_the_release(
    built: tuple[Path, dict[str, str], dict[str, str]],
) -> None:
    """Not the hour of the build: that would make every build another one."""
    out, _, _ = built
    (sdist,) = out.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        assert {int(member.mtime) for member in archive} == {RELEASE["epoch"]()}
    (wheel,) = out.glob("*.whl")
    day = dt.datetime.fromtimestamp(RELEASE["epoch"](), tz=dt.UTC)
    with zipfile.ZipFile(wheel) as archive:
        assert {member.date_time for member in archive.infolist()} == {day.timetuple()[:6]}


def test_the_wheel_holds_the_package(built: tuple[Path, dict[str, str], dict[str, str]]) -> None:
    names = set(inside(built[0]))
    home = ROOT / "src"
    wanted = {
        path.relative_to(home).as_posix()
        for path in (home / "tpr_outcomes").rglob("*")
        if path.is_file() and path.suffix not in {".pyc", ".nbi", ".nbc"}
    }
    assert wanted - names == set()
    assert "tpr_outcomes/py.typed" in names
    assert {name for name in names if name.startswith("tpr_outcomes/data/")} >= {
        "tpr_outcomes/data/example_nothing.csv",
        "tpr_outcomes/data/example_threshold.csv",
    }
    assert {name.partition("/")[0] for name in names} == {
        "tpr_outcomes",
        f"tpr_outcomes-{tpr.__version__}.dist-info",
    }


def test_what_the_wheel_says_of_itself(built: tuple[Path, dict[str, str], dict[str, str]]) -> None:
    files = inside(built[0])
    said = Parser().parsestr(files[f"tpr_outcomes-{tpr.__version__}.dist-info/METADATA"].decode())
    assert said["Version"] == tpr.__version__
    assert said["Requires-Python"] == ">=3.11"
    assert said["License-Expression"] == "BSD-3-Clause"
    assert "Typing :: Typed" in said.get_all("Classifier", [])
    entry = files[f"tpr_outcomes-{tpr.__version__}.dist-info/entry_points.txt"].decode()
    assert "tpr = tpr_outcomes.cli:main" in entry


def test_the_sdist_holds_what_the_tests_read(built: tuple[Path, dict[str, str], dict[str, str]]) -> None:
    (sdist,) = built[0].glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"tests/conftest.py", "tests/public_api.txt", "Makefile", "requirements.lock", "mkdocs.yml"}
    wanted |= {"ARCHITECTURE.md", "CITATION.cff", "tools/release.py", "docs/tutorial.md", "evidence/arms.csv"}
    assert wanted - names == set()
    assert [name for name in names if "__pycache__" in name or name.startswith(("report", "site"))] == []


def test_there_is_one_version(root: Path) -> None:
    """`__version__` is the place; pyproject reads it there, and it is one that `packaging` takes."""
    pyproject = (root / "pyproject.toml").read_text(encoding="utf-8")
    assert 'dynamic = ["version"]' in pyproject
    assert 'path = "src/tpr_outcomes/__init__.py"' in pyproject
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", tpr.__version__)
    assert str(Version(tpr.__version__)) == tpr.__version__


def test_the_date_of_the_citation_is_a_day(root: Path) -> None:
    cff = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    assert isinstance(cff["date-released"], dt.date)
    assert RELEASE["epoch"]() == int(
        dt.datetime.combine(cff["date-released"], dt.time(), tzinfo=dt.UTC).timestamp()
    )


def test_the_public_names_are_the_listed_ones(root: Path) -> None:
    """A change here is one that users notice: CHANGELOG.md, the version, then renew the list."""
    listed = (root / "tests" / "public_api.txt").read_text(encoding="utf-8")
    found: str = runpy.run_path(str(root / "tools" / "public_api.py"))["listing"]()
    gone = sorted(set(listed.splitlines()) - set(found.splitlines()))
    new = sorted(set(found.splitlines()) - set(listed.splitlines()))
    message = "renew: python tools/public_api.py > tests/public_api.txt"
    assert (gone, new) == ([], []), message
    assert listed == found, message


def test_the_list_of_names_sees_a_changed_signature(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    def read_visits(source: str, wanted: int = 3) -> None: ...

    before: str = runpy.run_path(str(root / "tools" / "public_api.py"))["listing"]()
    monkeypatch.setitem(vars(tpr), "read_visits", read_visits)
    after: str = runpy.run_path(str(root / "tools" / "public_api.py"))["listing"]()
    assert set(after.splitlines()) - set(before.splitlines()) == {
        "read_visits(source: 'str', wanted: 'int' = 3) -> 'None'"
    }


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_the_lean_lock_is_a_part_of_the_lock(version: str, root: Path) -> None:
    """What the wheel needs without extras, each entry as in requirements.lock; none of the tools."""
    lean: str = RELEASE["lean_lock"](version)
    lock = (root / "requirements.lock").read_text(encoding="utf-8")
    names = re.findall(r"(?m)^([A-Za-z0-9._-]+)==", lean)
    assert {"numpy", "pandas", "scipy", "typer", "python-dateutil"} <= set(names)
    assert {"pytest", "mypy", "numba", "jupyterlab"} & set(names) == set()
    assert all(entry.strip() in lock for entry in re.split(r"\n(?=[A-Za-z0-9])", lean))
