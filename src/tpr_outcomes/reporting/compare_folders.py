"""Folders of evaluations to be set side by side: what each holds, or every reason why it cannot be used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from tpr_outcomes import __version__
from tpr_outcomes.cohort.scales import SCALES
from tpr_outcomes.errors import SourceError
from tpr_outcomes.inference.evidence import LABELS
from tpr_outcomes.reporting import words_compare as say
from tpr_outcomes.reporting.folder import MANIFEST, MANIFEST_SCHEMA
from tpr_outcomes.reporting.numbers import SCHEMA, Row, row
from tpr_outcomes.reporting.results import SCHEMA as VERDICT_SCHEMA

RESULTS, VERDICT = "results.json", "verdict.json"
SAME = ("dose", "scale", "rated")
"""Settings that have to agree: with another dose, instrument or time of rating, numbers mean other things."""
LONGEST = 40
"""Letters of a name that are shown."""


@dataclass(frozen=True, eq=False)
class Clinic:
    """One evaluated record.

    Attributes
    ----------
    label : str
        What the user called the folder.
    verdict, sentence : str
    rows : mapping of str to Row
        Of ``results.json``, by id.
    plan : mapping
        As run.
    record_sha256 : str or None
        Digest of the record.
    results_sha256 : str
        Digest of ``results.json``.
    seed : int
    """

    label: str
    verdict: str
    sentence: str
    rows: Mapping[str, Row]
    plan: Mapping[str, Any]
    record_sha256: str | None
    results_sha256: str
    seed: int


def read_clinics(folders: Sequence[str | Path]) -> tuple[Clinic, ...]:
    """Read evaluated folders, in the order given.

    Parameters
    ----------
    folders : sequence of str or Path
        Two or more, each written by ``tpr evaluate``.

    Raises
    ------
    SourceError
        With every problem of every folder.
    """
    paths = [Path(folder) for folder in folders]
    if len(paths) < 2:
        raise SourceError(say.PROBLEMS["one"])
    labels = names_of(paths)
    problems: list[tuple[str, str]] = []
    read: list[Clinic] = []
    places: dict[Path, str] = {}
    for path, label in zip(paths, labels, strict=True):
        place = path.resolve()
        if place in places:
            problems.append((label, say.PROBLEMS["twice"].format(other=places[place])))
            continue
        places[place] = label
        found = _read(path, label)
        if isinstance(found, Clinic):
            read.append(found)
        else:
            problems += [(label, text) for text in found]
    problems += _together(read)
    if problems:
        lines = [say.PROBLEMS["line"].format(label=label, problem=text) for label, text in problems]
        raise SourceError("\n  ".join([say.PROBLEMS["head"], *lines]))
    return tuple(read)


def names_of(paths: Sequence[Path]) -> list[str]:
    """Name each folder by its last part, with as many parts before it as tell it from the others.

    Examples
    --------
    >>> names_of([Path("2023/report"), Path("2024/report"), Path("north")])
    ['2023/report', '2024/report', 'north']
    """
    parts = [[part for part in path.absolute().parts if part not in (path.anchor, "/")] for path in paths]
    size = [1] * len(parts)
    names = ["/".join(own[-n:]) for own, n in zip(parts, size, strict=True)]
    while True:
        again = [i for i, name in enumerate(names) if names.count(name) > 1 and size[i] < len(parts[i])]
        if not again:
            return [_printable(name) for name in names]
        for i in again:
            size[i] += 1
            names[i] = "/".join(parts[i][-size[i] :])


def _printable(name: str) -> str:
    """Return a name without signs that cannot be seen, and not too long."""
    seen = "".join(letter if letter.isprintable() else "?" for letter in name) or "?"
    return seen if len(seen) <= LONGEST else f"…{seen[-(LONGEST - 1) :]}"


def _read(folder: Path, label: str) -> Clinic | list[str]:
    """Return what one folder holds, or what is wrong with it."""
    if not folder.is_dir():
        return [say.PROBLEMS["no_folder"]]
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["schema"] != MANIFEST_SCHEMA:
            return [say.PROBLEMS["no_manifest"]]
        found, files, plan = manifest["package"]["version"], dict(manifest["files"]), dict(manifest["plan"])
        seed, record = int(manifest["seed"]), manifest["input"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return [say.PROBLEMS["no_manifest"]]
    if found != __version__:
        return [say.PROBLEMS["version"].format(found=_printable(str(found)), version=__version__)]
    problems, content = [], {}
    for name in (VERDICT, RESULTS):
        try:
            content[name] = (folder / name).read_bytes()
        except OSError:
            problems.append(say.PROBLEMS["missing"].format(name=name))
            continue
        if hashlib.sha256(content[name]).hexdigest() != files.get(name):
            problems.append(say.PROBLEMS["changed"].format(name=name))
    if problems:
        return problems
    verdict, rows = _verdict(content[VERDICT]), _rows(content[RESULTS])
    problems = [
        say.PROBLEMS["broken"].format(name=n) for n, x in ((VERDICT, verdict), (RESULTS, rows)) if x is None
    ]
    if plan.get("scale") not in SCALES or not isinstance(plan.get("dose"), str):
        problems.append(say.PROBLEMS["broken"].format(name=MANIFEST))
    if problems or verdict is None or rows is None:
        return problems
    digest = hashlib.sha256(content[RESULTS]).hexdigest()
    return Clinic(label, *verdict, rows, plan, None if record is None else str(record), digest, seed)


def _verdict(content: bytes) -> tuple[str, str] | None:
    """Return label and sentence; None where they are not there."""
    try:
        found = json.loads(content)
        label, sentence = found["verdict"], found["sentence"]
        known = found["schema"] == VERDICT_SCHEMA and label in LABELS and isinstance(sentence, str)
    except (ValueError, KeyError, TypeError):
        return None
    return (label, sentence) if known else None


def _rows(content: bytes) -> dict[str, Row] | None:
    """Return the rows by id; None where they are not there."""
    names = {field.name for field in fields(Row)}
    try:
        found = json.loads(content)
        if found["schema"] != SCHEMA:
            return None
        made = {}
        for values in found["results"]:
            if not set(values) <= names:
                return None
            made[str(values["id"])] = row(str(values["id"]), str(values["term"]), values)
    except (ValueError, KeyError, TypeError):
        return None
    return made


def _together(read: Sequence[Clinic]) -> list[tuple[str, str]]:
    """Return why records that can be read do not go together."""
    problems = []
    for i, clinic in enumerate(read):
        for other in read[:i]:
            same = clinic.record_sha256 is not None and clinic.record_sha256 == other.record_sha256
            if same or clinic.results_sha256 == other.results_sha256:
                problems.append((clinic.label, say.PROBLEMS["same_record"].format(other=other.label)))
                break
        for key in SAME if i else ():
            found, wanted = clinic.plan.get(key), read[0].plan.get(key)
            if found != wanted:
                texts = {"found": _printable(str(found)), "wanted": _printable(str(wanted)), "key": key}
                problems.append((clinic.label, say.PROBLEMS["differs"].format(other=read[0].label, **texts)))
    return problems
