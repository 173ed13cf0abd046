"""The public names: each is there, and none costs anything before it is used."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tpr_outcomes as tpr

HEAVY = ("numpy", "pandas", "scipy", "statsmodels", "matplotlib", "pydantic", "typer", "rich", "jinja2")
DOORS = {**tpr._PUBLIC, **{name: f"tpr_outcomes.{name}" for name in tpr._SUBMODULES}}


def run(root: Path, code: str) -> str:
    """Standard output of a fresh interpreter that finds the package in this repository."""
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return ended.stdout


def test_importing_the_package_loads_nothing_heavy(root: Path) -> None:
    loaded = run(root, "import sys, tpr_outcomes; print(*sys.modules, sep='\\n')").split()
    assert "tpr_outcomes" in loaded
    assert [name for name in loaded if name.partition(".")[0] in HEAVY] == []


@pytest.mark.parametrize("name", sorted(DOORS))
def test_every_public_name_resolves(name: str) -> None:
    value = getattr(tpr, name)
    module = importlib.import_module(DOORS[name])
    assert value is (module if name in tpr._SUBMODULES else getattr(module, name))
    assert getattr(value, "__module__", DOORS[name]) == DOORS[name], "name the module that defines it"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'cure'"):
        _ = tpr.cure


def test_dir_shows_every_public_name() -> None:
    assert set(DOORS) <= set(dir(tpr))


def test_the_table_for_type_checkers_is_the_same_table(root: Path) -> None:
    tree = ast.parse((root / "src/tpr_outcomes/__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    shown = {
        alias.name: node.module if node.module != "tpr_outcomes" else f"tpr_outcomes.{alias.name}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert shown == DOORS


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("CITATION.cff", r"^version: (.+)$"),
        ("CHANGELOG.md", r"^## \[?([0-9][^\] ]*)"),
    ],
)
def test_the_version_is_the_same_wherever_it_is_written(root: Path, path: str, pattern: str) -> None:
    found = re.search(pattern, (root / path).read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    assert found.group(1) == tpr.__version__
