"""A short slice of tools/fuzz.py: spoilt files end in a refusal or in the numbers that are in them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROWS = st.lists(st.lists(st.text(max_size=6), min_size=1, max_size=6), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def fuzz(root: Path) -> ModuleType:
    """The tool, as a module."""
    spec = importlib.util.spec_from_file_location("fuzz", root / "tools/fuzz.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.simulation
def test_no_spoilt_file_ends_badly(fuzz: ModuleType, tmp_path: Path) -> None:
    seen = list(fuzz.files(range(150), 7, tmp_path))
    assert [(s.number, s.failure) for s in seen if s.failure] == []
    assert {s.became for s in seen} >= {"refused", "mend", "noted"}
    assert sum(s.compared for s in seen) > 1000


@pytest.mark.simulation
@given(rows=ROWS)
def test_tables_made_up_from_nothing(
    fuzz: ModuleType, tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    header = ["patient", "visit", "pain", "twitches"]
    path = tmp_path_factory.mktemp("made") / "f.csv"
    path.write_bytes(fuzz.as_text([header, *rows]).encode("utf-8", "replace"))
    seen = fuzz.look_at(path, fuzz.Seen(0, "csv", "made up", "failed"))
    assert seen.failure == ""


def test_the_comparison_can_fail(fuzz: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tpr_outcomes.cohort import cells

    path = tmp_path / "f.csv"
    path.write_text("patient,visit,pain,twitches\nA,1,7,3\nA,2,6,2\n", encoding="utf-8")
    assert fuzz.look_at(path, fuzz.Seen(0, "csv", "none", "failed")).failure == ""
    read = cells._read_numbers

    def one_off(*arguments: object, **words: object) -> object:
        numbers, how = read(*arguments, **words)
        return numbers + 1, how

    monkeypatch.setattr(cells, "_read_numbers", one_off)
    assert fuzz.look_at(path, fuzz.Seen(0, "csv", "none", "failed")).failure.startswith("changed number")
