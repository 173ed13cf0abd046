"""A folder is written whole or not at all, and nothing of anybody else's is ever lost."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from tpr_outcomes.errors import OutputError
from tpr_outcomes.reporting import folder
from tpr_outcomes.reporting.folder import MANIFEST, MANIFEST_SCHEMA, replace_folder, require_writable


def files(text: str, *names: str) -> dict[str, bytes]:
    """A folder's files, its manifest among them."""
    made = {name: text.encode() for name in names or ("report.html", "tables/a.csv")}
    manifest = {"schema": MANIFEST_SCHEMA, "files": dict.fromkeys(made, "digest")}
    return {**made, MANIFEST: json.dumps(manifest).encode()}


def tree(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An earlier report, and the way there."""
    monkeypatch.chdir(tmp_path)
    return replace_folder(tmp_path / "out", files("old", "report.html", "figures/gone.svg"))


def test_a_new_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    made = replace_folder(tmp_path / "a" / "b" / "out", files("new"))
    assert made == tmp_path / "a" / "b" / "out"
    assert tree(made) == files("new")
    assert [p.name for p in made.parent.iterdir()] == ["out"]


def test_a_folder_has_the_usual_rights(tmp_path: Path) -> None:
    usual = tmp_path / "usual"
    usual.mkdir()
    assert replace_folder(tmp_path / "out", files("new")).stat().st_mode == usual.stat().st_mode


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert tree(replace_folder(tmp_path / "out", files("new"))) == files("new")


def test_an_earlier_one_of_ours_is_replaced_whole(place: Path) -> None:
    replace_folder(place, files("new"))
    assert tree(place) == files("new")
    assert [p.name for p in place.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("name", ["out", "out/", "./out", "sub/../out"])
def test_a_folder_may_be_named_in_any_way(place: Path, name: str) -> None:
    (place.parent / "sub").mkdir()
    replace_folder(name, files("new"))
    assert tree(place) == files("new")


@pytest.mark.parametrize(
    "manifest",
    [
        None,
        "{",
        "[]",
        '{"schema": "someone-else/1", "files": {}}',
        '{"schema": "tpr-outcomes/manifest/1"}',
        "{}",
    ],
)
def test_a_folder_that_is_not_ours_is_refused(tmp_path: Path, manifest: str | None) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("three years")
    if manifest is not None:
        (out / MANIFEST).write_text(manifest)
    before = tree(out)
    with pytest.raises(OutputError, match="did not write, and it is not replaced"):
        replace_folder(out, files("new"))
    assert tree(out) == before


def test_a_report_in_which_somebody_keeps_notes_is_refused(place: Path) -> None:
    for i in range(7):
        (place / f"note {i}.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"note 0.txt, note 1.txt.* and 2 more. Move them elsewhere"):
        replace_folder(place, files("new"))
    assert tree(place)["note 0.txt"] == b"mine"


def test_litter_of_file_managers_is_no_obstacle(place: Path) -> None:
    (place / "figures" / ".DS_Store").write_text("litter")
    replace_folder(place, files("new"))
    assert tree(place) == files("new")


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match="is a file, not a folder"):
        replace_folder(tmp_path / "out", files("new"))
    with pytest.raises(OutputError, match="is a file, so no folder can be made in it"):
        replace_folder(tmp_path / "out" / "deeper" / "down", files("new"))
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_refused(tmp_path: Path, there: bool) -> None:
    if there:
        replace_folder(tmp_path / "real", files("old"))
    (tmp_path / "out").symlink_to(tmp_path / "real", target_is_directory=True)
    with pytest.raises(OutputError, match="is a link"):
        replace_folder(tmp_path / "out", files("new"))
    assert (tmp_path / "out").is_symlink()


def test_a_folder_behind_a_linked_parent_is_fine(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    replace_folder(tmp_path / "link" / "out", files("new"))
    assert tree(tmp_path / "real" / "out") == files("new")


@pytest.mark.parametrize("name", [".", "..", "", "/"])
def test_the_folder_one_stands_in_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="the folder you are in, or holds it"):
        require_writable(name)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_parent_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="may not be written to"):
            replace_folder(tmp_path / "out", files("new"))
    finally:
        tmp_path.chmod(0o700)


def test_a_parent_that_may_not_be_written_is_refused_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OutputError, match="Name a folder elsewhere"):
        require_writable(tmp_path / "out")


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "Free some space"),
        (errno.EROFS, "cannot be written to"),
        (errno.EACCES, "ask for the right"),
        (errno.EIO, "Name another folder"),
    ],
)
def test_a_failure_while_writing_leaves_the_earlier_report(
    place: Path, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    before = tree(place)
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.name == "a.csv":
            raise OSError(number, os.strerror(number))
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match=remedy) as refused:
        replace_folder(place, files("new"))
    assert str(refused.value).endswith("Nothing was changed.")
    assert tree(place) == before
    assert [p.name for p in place.parent.iterdir()] == ["out"]


def test_an_interruption_while_writing_leaves_the_earlier_report(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(place)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(folder, "_fill", interrupted)
    with pytest.raises(KeyboardInterrupt):
        replace_folder(place, files("new"))
    assert tree(place) == before
    assert [p.name for p in place.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("failure", [OSError(errno.EIO, "input/output error"), KeyboardInterrupt()])
def test_a_failure_of_the_last_step_puts_the_earlier_report_back(
    place: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    before = tree(place)
    rename = Path.rename

    def fails(path: Path, target: Path) -> Path:
        if ".part-" in path.name:
            raise failure
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fails)
    monkeypatch.setattr(folder, "_exchange", lambda *_: False)
    with pytest.raises((OutputError, KeyboardInterrupt)):
        replace_folder(place, files("new"))
    assert tree(place) == before
    assert [p.name for p in place.parent.iterdir()] == ["out"]


def test_a_run_that_was_killed_between_two_steps_loses_nothing(place: Path) -> None:
    place.rename(place.with_name(".out.previous"))  # as a kill between the two renames leaves it
    kept = tree(place.with_name(".out.previous"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folder, "_fill", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
        with pytest.raises(OutputError):
            replace_folder(place, files("new"))
    assert tree(place) == kept
    replace_folder(place, files("new"))
    assert tree(place) == files("new")


def test_what_a_killed_run_left_behind_is_cleared_away(place: Path) -> None:
    shutil.copytree(place, place.with_name(".out.previous"))  # as a kill after the two renames leaves it
    replace_folder(place, files("new"))
    assert tree(place) == files("new")
    assert [p.name for p in place.parent.iterdir()] == ["out"]


def test_two_runs_at_once_end_with_one_whole_report(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill = folder._fill
    once = iter([True])

    def other_run_first(part: Path, content: dict[str, bytes]) -> None:
        if next(once, False):
            monkeypatch.setattr(os, "getpid", lambda: 424242)
            replace_folder(place, files("other"))
        fill(part, content)

    monkeypatch.setattr(folder, "_fill", other_run_first)
    replace_folder(place, files("new"))
    assert tree(place) == files("new")
