"""The pages on formats: their settings are settings, and what they say of values is what is read."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tpr_outcomes.cohort.columns import Columns
from tpr_outcomes.cohort.typed_values import read_number
from tpr_outcomes.cohort.visits import read_visits

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "formats"
PAGES = sorted(FOLDER.glob("*.md"))
BLOCKS = [
    (page.name, block)
    for page in PAGES
    for block in re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
]


@pytest.mark.parametrize(("page", "block"), BLOCKS)
def test_settings_on_the_pages_are_accepted(tmp_path: Path, page: str, block: str) -> None:
    (path := tmp_path / "columns.toml").write_text(block, encoding="utf-8")
    columns = Columns.from_toml(path)
    assert columns.mapping or columns.reading.dictionary, page


def test_there_are_settings_on_the_pages() -> None:
    assert {page for page, _ in BLOCKS} >= {"columns-toml.md", "redcap.md", "wide.md"}


def test_every_page_is_listed() -> None:
    listed = set(re.findall(r"\]\(([\w-]+\.md)\)", (FOLDER / "README.md").read_text(encoding="utf-8")))
    assert listed == {page.name for page in PAGES} - {"README.md"}


def test_the_tidy_example_can_be_read(tmp_path: Path) -> None:
    block = re.findall(
        r"```csv\n(.*?)```", (FOLDER / "tidy.md").read_text(encoding="utf-8"), flags=re.DOTALL
    )[0]
    (path := tmp_path / "x.csv").write_text(block)
    assert read_visits(path).table["sought"].tolist() == [True, False]


def test_values_on_the_page_are_read_as_it_says() -> None:
    page = (FOLDER / "values.md").read_text(encoding="utf-8")
    assert read_number("7/10", top=10.0).value == read_number("7 of 10", top=10.0).value == 7
    for text in ("1,234", "7-8", "none", "x", "~7", ">5"):
        assert f"`{text}`" in page
        assert np.isnan(read_number(text, top=10.0).value)
