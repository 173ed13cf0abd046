"""pyproject.toml is the one list of dependencies: requirements.lock and environment.yml agree with it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path
from typing import NamedTuple

import pytest
import rattler
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
ENVIRONMENT = (ROOT / "environment.yml").read_text(encoding="utf-8")

PYPI_TO_CONDA = {"duckdb": "python-duckdb", "matplotlib": "matplotlib-base"}
CONDA_TO_PYPI = {conda: pypi for pypi, conda in PYPI_TO_CONDA.items()}
ADDRESS = re.compile(
    r"://|\b(pypi|pythonhosted|anaconda|conda\.io)\b|--(extra-)?index-url|--find-links|--trusted-host",
    re.IGNORECASE,
)


class Pin(NamedTuple):
    """One entry of requirements.lock; a package may have one entry per range of Python versions."""

    version: Version
    marker: Marker | None
    hashes: int

    def applies(self, python: str | None = None) -> bool:
        """Whether it is installed on this machine, or would be with another Python."""
        if self.marker is None:
            return True
        versions = {"python_version": python, "python_full_version": f"{python}.0"} if python else {}
        return self.marker.evaluate(versions)


def locked() -> dict[str, list[Pin]]:
    """The entries of requirements.lock by package; fails on a line that is neither a pin nor a hash."""
    entries = re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"(?m)^\s*#.*\n", "", LOCK).strip())
    found: dict[str, list[Pin]] = {}
    for entry in entries:
        head, *rest = entry.replace("\\\n", "\n").splitlines()
        requirement = Requirement(head.strip())
        (pin,) = requirement.specifier
        assert pin.operator == "=="
        hashes = [line for line in rest if re.fullmatch(r"\s*--hash=sha256:[0-9a-f]{64}\s*", line)]
        assert len(hashes) == len([line for line in rest if line.strip()]), head
        entry_pin = Pin(Version(pin.version), requirement.marker, len(hashes))
        found.setdefault(canonicalize_name(requirement.name), []).append(entry_pin)
    return found


def wanted() -> dict[str, Requirement]:
    """Everything pyproject.toml asks for, by name: the package, its extras, the development group."""
    project = PROJECT["project"]
    lines = [
        *project["dependencies"],
        *PROJECT["dependency-groups"]["dev"],
        *PROJECT["build-system"]["requires"],
    ]
    for extra in project["optional-dependencies"].values():
        lines += extra
    return {canonicalize_name(requirement.name): requirement for requirement in map(Requirement, lines)}


def conda_lines() -> list[str]:
    """Items of environment.yml's dependencies, without the pip section."""
    after = ENVIRONMENT.partition("\ndependencies:\n")[2]
    return [item for item in re.findall(r"(?m)^  - (.+)$", after) if item not in {"pip", "pip:"}]


def for_conda() -> dict[str, SpecifierSet]:
    """What environment.yml should say: python, the package and the notebooks, under conda's names."""
    project = PROJECT["project"]
    lines = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        lines += extra
    named = {requirement.name: requirement.specifier for requirement in map(Requirement, lines)}
    there = {PYPI_TO_CONDA.get(name, name): specifier for name, specifier in named.items()}
    return {"python": SpecifierSet(project["requires-python"])} | there


# --- requirements.lock -------------------------------------------------------------------------------------


def test_every_locked_package_has_its_hashes() -> None:
    assert [name for name, pins in locked().items() if any(pin.hashes == 0 for pin in pins)] == []
    assert len(locked()) > len(wanted())


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("name", sorted(wanted()))
def test_the_lock_holds_what_pyproject_asks_for(name: str, python: str) -> None:
    (pin,) = (pin for pin in locked()[name] if pin.applies(python))
    assert pin.version in wanted()[name].specifier


def test_the_lock_was_made_for_the_oldest_python() -> None:
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert f"--python-version {oldest} " in LOCK
    assert "--generate-hashes" in LOCK
    assert "--universal" in LOCK


@pytest.mark.parametrize("path", ["requirements.lock", "environment.yml"])
def test_no_lock_names_an_address(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    assert [found.group(0) for found in ADDRESS.finditer(text)] == []


def test_no_lock_that_writes_addresses_is_in_the_repository() -> None:
    names = ("uv.lock", "poetry.lock", "Pipfile.lock", "conda-lock.yml", "pdm.lock", "pylock.toml")
    assert [name for name in names if (ROOT / name).exists()] == []


def test_this_environment_is_the_locked_one() -> None:
    """Numbers are quoted for the locked versions, so the tests run with exactly them."""
    here = {canonicalize_name(each.name): Version(each.version) for each in distributions()}
    pins = {name: pin.version for name, entries in locked().items() for pin in entries if pin.applies()}
    assert {name: (here.get(name), pin) for name, pin in pins.items() if here.get(name) != pin} == {}


# --- environment.yml ---------------------------------------------------------------------------------------


def test_environment_yml_is_what_the_tool_derives() -> None:
    command = [sys.executable, str(ROOT / "tools" / "environment.py"), "--check"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_environment_yml_uses_conda_forge_alone() -> None:
    channels = re.search(r"(?m)^channels:\n((?:  - .+\n)+)", ENVIRONMENT)
    assert channels is not None
    assert channels.group(1).split() == ["-", "conda-forge", "-", "nodefaults"]
    assert "untested here" in ENVIRONMENT


def test_environment_yml_names_what_pyproject_names() -> None:
    names = [str(rattler.MatchSpec(line).name.normalized) for line in conda_lines()]
    assert names == list(for_conda())


@pytest.mark.parametrize("line", conda_lines())
def test_a_conda_line_has_the_range_of_pyproject(line: str) -> None:
    spec = rattler.MatchSpec(line)
    name = str(spec.name.normalized)
    assert SpecifierSet(str(spec.version)) == for_conda()[name]


@pytest.mark.parametrize("line", [line for line in conda_lines() if not line.startswith("python ")])
def test_a_conda_line_admits_the_locked_version(line: str) -> None:
    spec = rattler.MatchSpec(line)
    name = str(spec.name.normalized)
    allowed = rattler.VersionSpec(str(spec.version))
    for pin in locked()[canonicalize_name(CONDA_TO_PYPI.get(name, name))]:
        assert allowed.matches(rattler.Version(str(pin.version)))


def test_the_pip_section_is_the_package_alone() -> None:
    """`make` installs the package in the same way, so a passing `make test` has tried this line."""
    section = ENVIRONMENT.partition("  - pip:\n")[2]
    assert section == "      - -e .\n"
