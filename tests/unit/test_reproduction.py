"""A report made again: the same to the last byte, and each difference named."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tpr_outcomes import reproduction
from tpr_outcomes.cli import main
from tpr_outcomes.errors import PlanError, SourceError
from tpr_outcomes.planning.simulate import simulate
from tpr_outcomes.reproduction import reproduce

QUICK = ["--replicates", "99"]


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clinic") / "visits.csv"
    table = simulate("A-thr40", n_patients=60, seed=4).table.drop(columns="sought")
    table.rename(columns={"pain": "Schmerz"}).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def folder(clinic: Path) -> Path:
    """A report, read with columns of the clinic's own."""
    columns = clinic.with_name("columns.toml")
    columns.write_text('[columns]\npain = "Schmerz"\n', encoding="utf-8")
    out = clinic.with_name("out")
    assert main(["evaluate", str(clinic), "--columns", str(columns), "--out", str(out), *QUICK]) == 0
    return out


def test_a_report_comes_out_the_same(folder: Path, clinic: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", str(folder), "--source", str(clinic)]) == 0
    said = capsys.readouterr().out
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert said == f"Every file came out the same, byte for byte: {len(files) - 1} files.\n"


def test_the_plan_in_the_manifest_holds_how_the_record_was_read(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["plan"]["columns"] == {"pain": "Schmerz"}
    assert manifest["plan"]["replicates"] == 99
    assert "SOURCE" in manifest["command"]
    assert str(folder.parent) not in json.dumps(manifest)


def test_a_changed_cell_is_found_and_named(
    folder: Path, clinic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = clinic.read_text(encoding="utf-8").splitlines()
    at = lines[0].split(",").index("Schmerz")
    cells = lines[2].split(",")
    cells[at] = "9.0" if cells[at] != "9.0" else "1.0"
    lines[2] = ",".join(cells)
    other = tmp_path / "visits.csv"
    other.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert main(["reproduce", str(folder), "--source", str(other)]) == 10
    said = capsys.readouterr().out
    assert "The record is another one: its SHA-256 was " in said
    assert "results.json came out otherwise." in said
    assert re.search(r"^[\w:.]+\.\w+ was \S+ and is \S+\.$", said, flags=re.MULTILINE)
    assert re.search(r"^And \d+ more numbers\.$", said, flags=re.MULTILINE)


def test_another_version_is_named(
    folder: Path, clinic: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["dependencies"]["numpy"] = "1.0.0"
    manifest["package"]["version"] = "0.0.1"
    monkeypatch.setattr(reproduction, "read_manifest", lambda folder: manifest)
    found = reproduce(folder, source=str(clinic))
    assert found.identical  # the same bytes all the same
    assert any(line.startswith("numpy was version 1.0.0 and is ") for line in found.versions)
    assert any(line.startswith("tpr-outcomes was version 0.0.1 and is ") for line in found.versions)


def test_a_file_changed_or_removed_afterwards_is_named(folder: Path, clinic: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in folder.rglob("*"):
        if path.is_file():
            target = copy / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    verdict = (copy / "verdict.json").read_text(encoding="utf-8")
    (copy / "verdict.json").write_text(verdict.replace("threshold", "thresh0ld"), encoding="utf-8")
    (copy / "tables" / "gates.csv").unlink()
    found = reproduce(copy, source=str(clinic))
    assert not found.identical
    assert found.edited == (
        "verdict.json was changed after the report was written: its digest is not that of the manifest.",
    )
    assert set(found.files) == {"verdict.json came out otherwise.", "tables/gates.csv is not in the folder."}
    assert found.numbers == ()


def test_the_record_has_to_be_named_unless_it_is_an_example(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(PlanError, match="Name it: tpr reproduce DIR --source FILE"):
        reproduce(folder)
    assert main(["reproduce", str(folder)]) == 5
    assert "Traceback" not in capsys.readouterr().err


def test_an_example_is_known_by_its_digest(tmp_path: Path) -> None:
    assert main(["evaluate", "example:nothing", "--out", str(tmp_path / "out"), *QUICK]) == 0
    assert main(["reproduce", str(tmp_path / "out")]) == 0


@pytest.mark.parametrize(
    "content", [None, "{", "[]", '{"schema": "tpr-outcomes/manifest/1"}', '{"schema": 7}']
)
def test_a_folder_that_is_no_report_is_refused(tmp_path: Path, content: Any) -> None:
    if content is not None:
        (tmp_path / "manifest.json").write_text(content, encoding="utf-8")
    with pytest.raises(SourceError, match="holds no manifest of ours"):
        reproduce(tmp_path)
    assert main(["reproduce", str(tmp_path)]) == 3
