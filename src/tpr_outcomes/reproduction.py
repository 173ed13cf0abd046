"""Making a report again from its own manifest, and saying exactly what differs."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tpr_outcomes import __version__
from tpr_outcomes.analysis import AnalysisPlan, evaluate, open_tables
from tpr_outcomes.datasets import EXAMPLES, example_file
from tpr_outcomes.errors import PlanError, SourceError
from tpr_outcomes.reporting import words_folder as say
from tpr_outcomes.reporting.bundle import PDF, WORDS, contents
from tpr_outcomes.reporting.catalogue import Translation
from tpr_outcomes.reporting.folder import MANIFEST, MANIFEST_SCHEMA

MOST_NAMED = 10
"""Numbers, or files, that are named one by one."""
_ABSENT = "–"


@dataclass(frozen=True)
class Reproduction:
    """What came of making a report again.

    Attributes
    ----------
    same : tuple of str
        Files that came out byte for byte.
    input, versions, edited, files, numbers : tuple of str
        Sentences on what differs: the record, the software, files changed after they were written, files that
        came out otherwise, and the results in them.
    """

    same: tuple[str, ...]
    input: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()

    @property
    def identical(self) -> bool:
        """Whether every file came out byte for byte, and none was changed since."""
        return not (self.files or self.edited)

    @property
    def sentences(self) -> tuple[str, ...]:
        """Everything there is to say, the causes first."""
        differ = (*self.input, *self.versions, *self.edited, *self.files, *self.numbers)
        if self.identical:
            return (*differ, say.REPRODUCE["same"].format(n=len(self.same)))
        return (*differ, say.REPRODUCE["differs"].format(n=len(self.files), same=len(self.same)))


def reproduce(
    directory: str | Path,
    *,
    source: str | None = None,
    tables: Mapping[str, str] | None = None,
    workers: int = 1,
    progress: Callable[[str, float], None] | None = None,
) -> Reproduction:
    """Run a report again as its manifest says, and compare every file byte by byte. Nothing is written.

    Parameters
    ----------
    directory : str or Path
        Folder of a report.
    source : str, optional
        The record; not needed for an example that ships with the package.
    tables : mapping of str to str, optional
        Files of its optional tables, as for ``tpr evaluate``.
    workers : int
        Processes; the numbers do not depend on it.
    progress : callable, optional
        Called with what is being done and the share done.

    Returns
    -------
    Reproduction

    Raises
    ------
    SourceError
        When the folder is no report of ours, or the record has to be named.
    DataError, PlanError
        When the record, or the plan in the manifest, cannot be used.
    """
    folder = Path(directory)
    manifest = read_manifest(folder)
    recorded: Mapping[str, str] = manifest["input"]
    plan = AnalysisPlan.checked(manifest["plan"])
    found, _ = open_tables(source or _named(recorded), plan, tables=tables)
    words = _words(folder, manifest)
    evaluation = evaluate(found, plan, workers=workers, progress=progress, words=words)
    made = contents(evaluation, pdf=PDF in manifest["files"])
    kept = {name: _read(folder / name) for name in manifest["files"]}
    names = sorted({*kept, *made} - {MANIFEST}, key=lambda name: (name.count("/"), name))  # whole ones first
    differ = [name for name in names if kept.get(name) != made.get(name)]
    edited = [
        name
        for name, digest in manifest["files"].items()
        if kept[name] is not None and hashlib.sha256(kept[name] or b"").hexdigest() != digest
    ]
    return Reproduction(
        same=tuple(name for name in sorted(made) if name not in differ and name != MANIFEST),
        input=_input(recorded, evaluation.visits.source.sha256),
        versions=_versions(manifest),
        edited=tuple(say.REPRODUCE["edited"].format(name=name) for name in edited),
        files=_files(differ, kept, made),
        numbers=_numbers(kept.get("results.json"), made["results.json"]),
    )


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a report.

    Raises
    ------
    SourceError
        When there is none, or it is not one of ours.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        known = manifest["schema"] == MANIFEST_SCHEMA
        parts = [manifest[key] for key in ("input", "plan", "files", "dependencies", "package", "python")]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(say.REPRODUCE["no_manifest"].format(folder=folder)) from error
    if not known or not all(isinstance(part, dict | str) for part in parts):
        raise SourceError(say.REPRODUCE["no_manifest"].format(folder=folder))
    return manifest


def _words(folder: Path, manifest: Mapping[str, Any]) -> Translation | None:
    """Read the words the report was written in: its own copy of the file, which has to be as it was.

    Raises
    ------
    SourceError
        When the copy is gone or was changed.
    """
    if "words" not in manifest:
        return None
    source = _read(folder / WORDS)
    if source is None or hashlib.sha256(source).hexdigest() != manifest["words"]["sha256"]:
        raise SourceError(say.REPRODUCE["words"].format(name=WORDS))
    return Translation.parse(source)


def _named(recorded: Mapping[str, str]) -> str:
    """Return the name of the example whose digest this is."""
    for name in EXAMPLES:
        if hashlib.sha256(example_file(name).read_bytes()).hexdigest() == recorded.get("sha256"):
            return f"example:{name}"
    if recorded.get("kind") == "dataset":
        return "vickers"
    raise PlanError(say.REPRODUCE["name_source"])


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _input(recorded: Mapping[str, str], now: str) -> tuple[str, ...]:
    if recorded.get("sha256", "") == now:
        return ()
    texts = {"recorded": recorded.get("sha256") or _ABSENT, "now": now or _ABSENT}
    return (say.REPRODUCE["input"].format(**texts),)


def _versions(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Name each part of the software whose version is another one now."""
    recorded = {"tpr-outcomes": manifest["package"].get("version"), "Python": manifest["python"]}
    now: dict[str, str | None] = {"tpr-outcomes": __version__, "Python": platform.python_version()}
    for name, known in manifest["dependencies"].items():
        recorded[name], now[name] = known, _version(name)
    return tuple(
        say.REPRODUCE["version"].format(
            name=name, recorded=recorded[name] or _ABSENT, now=now[name] or _ABSENT
        )
        for name in recorded
        if recorded[name] != now[name]
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _files(differ: list[str], kept: Mapping[str, bytes | None], made: Mapping[str, bytes]) -> tuple[str, ...]:
    """Say of each file how it differs."""
    said = []
    for name in differ[:MOST_NAMED]:
        key = "gone" if kept.get(name) is None else "extra" if name not in made else "file"
        said.append(say.REPRODUCE[key].format(name=name))
    more = len(differ) - MOST_NAMED
    return (*said, say.REPRODUCE["more_files"].format(n=more)) if more > 0 else tuple(said)


def _numbers(kept: bytes | None, made: bytes) -> tuple[str, ...]:
    """Name the results that came out otherwise, by id, with both values."""
    before, now = _results(kept), _results(made)
    differ = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    said = [
        say.REPRODUCE["number"].format(id=key, recorded=before.get(key, _ABSENT), now=now.get(key, _ABSENT))
        for key in differ[:MOST_NAMED]
    ]
    more = len(differ) - MOST_NAMED
    return (*said, say.REPRODUCE["more_numbers"].format(n=more)) if more > 0 else tuple(said)


def _results(content: bytes | None) -> dict[str, Any]:
    """Every field of every row, as ``id.field``."""
    try:
        rows = json.loads(content or b"{}").get("results", [])
        return {
            f"{row['id']}.{field}": value
            for row in rows
            for field, value in row.items()
            if field != "id" and value is not None
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
