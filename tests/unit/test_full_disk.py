"""A real disk without room: every command that writes says so, and leaves what was there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tpr_outcomes.cli import main
from tpr_outcomes.errors import OutputError
from tpr_outcomes.reporting.folder import MANIFEST, MANIFEST_SCHEMA, replace_folder

SMALL = 64 << 10
ROWS = "patient,visit,age,pain,twitches\n" + "".join(
    f"P{p:03d},{v},{30 + p % 40},{8 - v},{(p + v) % 9}\n" for p in range(400) for v in range(1, 5)
)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(place)]
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def clinic(tmp_path: Path) -> Path:
    path = tmp_path / "clinic.csv"
    path.write_text(ROWS)
    return path


def fill(place: Path, leave: int) -> None:
    """Take all room of a disk but so many bytes."""
    free = os.statvfs(place)
    (place / "taken").write_bytes(bytes(free.f_bavail * free.f_frsize - leave))


def left(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir() if path.name != "taken")


@pytest.mark.parametrize(
    "argv",
    [
        ["check", "{clinic}", "--annotate", "{disk}/marked.xlsx"],
        ["deidentify", "{clinic}", "{disk}/shared.csv"],
        ["template", "excel", "--out", "{disk}/record.xlsx"],
        ["template", "csv", "--out", "{disk}/record"],
        ["simulate", "A-thr40", "--out", "{disk}/made.csv", "--patients", "400"],
    ],
    ids=lambda argv: argv[0],
)
def test_no_room_is_said_and_nothing_is_left(
    argv: list[str], disk: Path, clinic: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(disk, leave=4096)
    assert main([part.format(disk=disk, clinic=clinic) for part in argv]) == OutputError.exit_code
    said = capsys.readouterr().err
    assert "No space left on device" in said
    assert "could not be written" in said
    assert left(disk) == []


def test_an_earlier_copy_stays(disk: Path, clinic: Path) -> None:
    path = disk / "shared.csv"
    small = clinic.with_name("small.csv")
    small.write_text("".join(ROWS.splitlines(keepends=True)[:41]))
    assert main(["deidentify", str(small), str(path)]) == 0
    before = path.read_bytes()
    fill(disk, leave=4096)
    assert main(["deidentify", str(clinic), str(path)]) == OutputError.exit_code
    assert path.read_bytes() == before
    assert left(disk) == ["shared.csv"]


def test_an_earlier_report_stays(disk: Path) -> None:
    def files(text: str, size: int) -> dict[str, bytes]:
        made = {name: (text * size).encode() for name in ("report.html", "tables/a.csv")}
        manifest = {"schema": MANIFEST_SCHEMA, "files": dict.fromkeys(made, "digest")}
        return {**made, MANIFEST: json.dumps(manifest).encode()}

    replace_folder(disk / "out", files("a", 1000))
    with pytest.raises(OutputError, match="could not be written"):
        replace_folder(disk / "out", files("b", SMALL))
    assert (disk / "out" / "report.html").read_text() == "a" * 1000
    assert left(disk) == ["out"]


def test_doses_of_a_registry(disk: Path, clinic: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [line.split(",") for line in ROWS.splitlines()]
    columns = {
        name: [row[i] if name == "patient" else int(row[i]) for row in rows[1:]]
        for i, name in enumerate(rows[0])
    }
    source = clinic.with_suffix(".parquet")
    pq.write_table(pa.table(columns), source)
    fill(disk, leave=4096)
    assert main(["derive", str(source), "--out", str(disk / "doses.parquet")]) == OutputError.exit_code
    assert "no room" in capsys.readouterr().err.lower().replace("no space", "no room")
    assert left(disk) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is always full")
@pytest.mark.parametrize("more", [[], ["--json"], ["--fix-map"]])
def test_an_answer_that_cannot_be_written_is_told(more: list[str], clinic: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tpr_outcomes", "check", str(clinic), *more],
            check=False, stdout=full, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert done.returncode == OutputError.exit_code
    assert done.stderr.startswith("tpr: there is no room left")
    assert "Traceback" not in done.stderr
