"""README.md: short, and its verdicts are those of the code; test_code_blocks.py runs its example."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def verdicts() -> list[str]:
    """Labels in the first column of README's table."""
    return re.findall(r"^\| `(\w+)` \|", README, flags=re.MULTILINE)


def test_there_is_an_example() -> None:
    assert len(BLOCKS) == 1
    assert len([line for line in BLOCKS[0].splitlines() if line.strip()]) <= 12


def test_the_table_of_verdicts_is_complete() -> None:
    evidence = importlib.import_module("tpr_outcomes.inference.evidence")
    assert sorted(verdicts()) == sorted(evidence.LABELS)


def test_it_fits_on_a_screen_or_two() -> None:
    assert len(README.splitlines()) <= 90
