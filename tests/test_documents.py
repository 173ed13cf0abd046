"""The pages beside the code: links lead somewhere, words are defined, examples run, the citation is valid."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / "src" / "tpr_outcomes"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "data").glob("*.md")])
MODULES = sorted(
    ".".join(path.relative_to(HOME.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in HOME.rglob("*.py")
    if path.name != "__main__.py"
)
DERIVED = {ROOT / "docs" / "api.md"}  # written when the site is built: tools/docs_hooks.py
GLOSSARY = (ROOT / "GLOSSARY.md").read_text(encoding="utf-8")


def defined() -> set[str]:
    """Names in the first column of GLOSSARY.md's tables."""
    cells = re.findall(r"^\| ([^|]+) \|", GLOSSARY, flags=re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    missing = [link for link in local if not (page.parent / link).exists()]
    assert [link for link in missing if (page.parent / link).resolve() not in DERIVED] == []


def test_the_glossary_defines_every_column() -> None:
    cells = importlib.import_module("tpr_outcomes.cohort.cells")
    assert set(cells.CANONICAL) - defined() == set()


def test_the_glossary_defines_every_column_of_a_result() -> None:
    results = importlib.import_module("tpr_outcomes.reporting.results")
    assert set(results.COLUMNS) - defined() == set()


def test_the_glossary_defines_a_name_once() -> None:
    cells = re.findall(r"^\| ([^|]+) \|", GLOSSARY, flags=re.MULTILINE)
    names = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Examples may read `data/`, and write where they stand."""
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def test_the_citation_file_has_the_form_of_cff_1_2_0() -> None:
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(cff)
    assert cff["cff-version"] == "1.2.0"
    assert cff["type"] == "software"
    assert isinstance(cff["version"], str)
    people = {"family-names", "given-names"}
    for work in [cff, *cff["references"]]:
        assert all(set(author) in (people, {"name"}) for author in work["authors"])
    for reference in cff["references"]:
        assert {"type", "title", "authors"} <= set(reference)
        assert re.fullmatch(r"10\.\d{4,9}/[A-Za-z0-9:/_;\-.()\[\]\\]+", reference["doi"])


@pytest.mark.parametrize(
    "page", sorted((ROOT / "docs" / "decisions").glob("*.md")), ids=lambda page: page.name
)
def test_a_decision_is_numbered_and_titled(page: Path) -> None:
    number = re.fullmatch(r"(\d{4})-[a-z0-9-]+\.md", page.name)
    assert number is not None
    assert page.read_text(encoding="utf-8").startswith(f"# {number.group(1)}. ")
