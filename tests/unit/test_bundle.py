"""The folder that leaves the building: what is in it, and that it is the same every time."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from packaging.requirements import Requirement
from tests.unit.made_evidence import clinic

import tpr_outcomes as tpr
from tpr_outcomes.errors import OutputError
from tpr_outcomes.reporting import bundle
from tpr_outcomes.reporting.bundle import DEPENDENCIES, as_csv, contents, write_report
from tpr_outcomes.reporting.results import Evaluation


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return tpr.evaluate(clinic(), replicates=99)


@pytest.fixture(scope="module")
def folder(evaluation: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    page = write_report(evaluation, tmp_path_factory.mktemp("report") / "out")
    assert page.name == "report.html"
    return page.parent


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_everything_is_there(folder: Path, evaluation: Evaluation) -> None:
    found = names(folder)
    assert {"report.html", "verdict.json", "manifest.json", "results.json", "results.csv"} <= found
    figures = {Path(name).stem for name in found if name.startswith("figures/")}
    assert len(figures) >= 4
    for name in figures:
        assert {f"figures/{name}.svg", f"figures/{name}.png"} <= found
    assert (folder / "verdict.json").read_text(encoding="utf-8") == evaluation.to_json()
    page = re.sub(r"</?data[^>]*>", "", (folder / "report.html").read_text(encoding="utf-8"))
    assert evaluation.sentence in page


def test_the_results_begin_with_the_estimates_of_the_evaluation(folder: Path, evaluation: Evaluation) -> None:
    frame = evaluation.to_frame()
    read = pd.read_csv(folder / "results.csv").iloc[: len(frame)]
    assert list(read["term"]) == list(frame["term"])
    assert read["estimate"].to_numpy() == pytest.approx(frame["estimate"].to_numpy(), rel=1e-9, nan_ok=True)


def test_the_manifest_lists_every_file_with_its_digest(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["schema"] == "tpr-outcomes/manifest/1"
    assert set(manifest["files"]) == names(folder) - {"manifest.json"}
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert manifest["package"] == {"name": "tpr-outcomes", "version": tpr.__version__}
    assert manifest["input"]["kind"] == "simulated"
    assert manifest["plan"]["replicates"] == manifest["replicates"] == 99
    assert manifest["dependencies"]["numpy"]


def test_the_manifest_names_every_dependency(root: Path) -> None:
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^dependencies = \[(.*?)^\]", text, flags=re.MULTILINE | re.DOTALL)
    assert block is not None
    assert {Requirement(line).name for line in re.findall(r'"(.+?)"', block.group(1))} == set(DEPENDENCIES)


def test_no_file_says_when_or_where_it_was_made(folder: Path, tmp_path: Path) -> None:
    for name in names(folder):
        content = (folder / name).read_bytes()
        for hint in (str(folder), str(Path.home()), str(Path.cwd())):
            if len(hint) > 5:
                assert hint.encode() not in content, (name, hint)
        assert not re.search(rb"<dc:date>|tIME|CreationDate", content), name


def test_the_same_evaluation_gives_the_same_bytes(folder: Path, evaluation: Evaluation) -> None:
    again = contents(evaluation)
    assert {name: (folder / name).read_bytes() for name in names(folder)} == again


def test_progress_is_told(evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle.plots, "all_figures", lambda _: {})
    monkeypatch.setattr(bundle.report, "render_html", lambda *_: "page")
    seen: list[tuple[str, float]] = []
    contents(evaluation, progress=lambda what, share: seen.append((what, share)))
    assert [share for _, share in seen] == sorted(share for _, share in seen)
    assert seen[-1] == ("written", 1.0)


def test_a_place_that_is_taken_is_refused_before_anything_is_drawn(
    evaluation: Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    monkeypatch.setattr(bundle, "contents", lambda *_, **__: pytest.fail("drawn for nothing"))
    with pytest.raises(OutputError):
        write_report(evaluation, tmp_path)


def test_a_failure_while_drawing_leaves_the_earlier_report(
    folder: Path, evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: (folder / name).read_bytes() for name in names(folder)}

    def fails(*_: Any) -> str:
        raise RuntimeError("half way")

    monkeypatch.setattr(bundle.report, "render_html", fails)
    with pytest.raises(RuntimeError):
        write_report(evaluation, folder)
    assert {name: (folder / name).read_bytes() for name in names(folder)} == before
    assert [path.name for path in folder.parent.iterdir()] == ["out"]


def test_a_table_is_written_for_machines_and_harmless_in_a_spreadsheet() -> None:
    frame = pd.DataFrame({"name": ["=1+1", "-x", "@a", "plain, text"], "value": [1 / 3, -2.0, None, 1e-12]})
    assert as_csv(frame) == ("name,value\n'=1+1,0.3333333333\n'-x,-2\n'@a,\n\"plain, text\",1e-12\n")
