"""README.md: its Python runs as printed, and what it says of the verdicts is what the code can answer."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def verdicts() -> list[str]:
    """Labels in the first column of README's table."""
    return re.findall(r"^\| `(\w+)` \|", README, flags=re.MULTILINE)


def test_there_is_an_example() -> None:
    assert len(BLOCKS) == 1
    assert len([line for line in BLOCKS[0].splitlines() if line.strip()]) <= 12


@pytest.mark.parametrize("code", BLOCKS)
def test_the_example_runs(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out.strip()
    assert list((tmp_path / "report" / "example").glob("*.html")) != []


def test_the_table_of_verdicts_is_complete() -> None:
    evidence = importlib.import_module("tpr_outcomes.inference.evidence")
    assert sorted(verdicts()) == sorted(evidence.LABELS)


def test_the_commands_shown_are_targets() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", README, flags=re.MULTILINE):
        assert re.search(rf"^{target}:.*## ", makefile, flags=re.MULTILINE), target


def test_it_fits_on_a_screen_or_two() -> None:
    assert len(README.splitlines()) <= 90
