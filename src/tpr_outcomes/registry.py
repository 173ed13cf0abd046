"""Many clinics: one verdict each, as ``tpr evaluate`` would write it, and what they say together.

A clinic's folder depends on its own files, plan and version alone: not on the other clinics, on who works
or in which order. What is done is not done again unless its input changed; what fails is listed and
stops nobody.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from tpr_outcomes.analysis import AnalysisPlan, evaluate, open_tables
from tpr_outcomes.cohort.clinics import Clinic, Files, find_clinics
from tpr_outcomes.cohort.columns import Columns
from tpr_outcomes.cohort.problems import Problem
from tpr_outcomes.errors import DataError, OutputError, SourceError, TprError, WorkersError
from tpr_outcomes.planning.pieces import fingerprint
from tpr_outcomes.planning.workers import Checkpoint, Workers, as_done, require_reachable
from tpr_outcomes.reporting import words_clinics as say
from tpr_outcomes.reporting.bundle import as_csv, contents
from tpr_outcomes.reporting.compare_bundle import clinics_page
from tpr_outcomes.reporting.folder import MANIFEST, replace_folder
from tpr_outcomes.reporting.together import Failure, clinic_row, index_frame, index_json, pooled_json

CLINICS, CHECKPOINT, FAILED, COMPARISON = "clinics", "checkpoint.jsonl", "failures.csv", "comparison"
_HEADER = {"study": "tpr-outcomes evaluate-many"}

_one_at_a_time = Lock()
"""matplotlib draws in one thread; a worker with several threads judges one clinic after the other."""


@dataclass(frozen=True, eq=False)
class Sent:
    """A clinic as a worker gets it.

    Attributes
    ----------
    label : str
    files : Files
    """

    label: str
    files: Files


@dataclass(frozen=True, eq=False)
class Judged:
    """A clinic as it comes back: its folder's files, or why there are none.

    Attributes
    ----------
    label : str
    files : mapping of str to bytes
        Empty where it failed.
    failures : tuple of Failure
    """

    label: str
    files: Mapping[str, bytes]
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What a run over a registry came to.

    Attributes
    ----------
    rows : list of mapping
        The index, a line per judged clinic.
    failures : tuple of Failure
    ran, kept : int
        Clinics judged now, and those that were not touched.
    page : Path or None
        The clinics side by side.
    no_page : str
        Why there is no page.
    """

    rows: list[dict[str, Any]]
    failures: tuple[Failure, ...]
    ran: int
    kept: int
    page: Path | None = None
    no_page: str = ""

    @property
    def failed(self) -> int:
        """Clinics that could not be judged."""
        return len({failure.label for failure in self.failures})


def evaluate_many(
    registry: str | Path,
    directory: str | Path,
    plan: AnalysisPlan,
    *,
    by: str | None = None,
    columns: Columns | None = None,
    workers: Workers = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Outcome:
    """Judge every clinic of a registry and write a folder for each.

    Parameters
    ----------
    registry, by, columns
        As in :func:`~tpr_outcomes.cohort.clinics.find_clinics`.
    directory : str or Path
        Gets ``clinics/<label>/`` (as ``tpr evaluate`` writes it), ``index.json``, ``index.csv``,
        ``pooled.json``, ``failures.csv``, ``checkpoint.jsonl``, and ``comparison/`` as ``tpr compare`` writes
        it.
    plan : AnalysisPlan
        The same for all, its seed too.
    workers : int or str
        Processes, or the address of a Dask scheduler.
    progress : callable, optional
        Called with (done, all).

    Raises
    ------
    SourceError, PlanError
        When the registry cannot be read as one.
    OutputError
        When the folder is somebody else's or cannot be written.
    WorkersError
        When workers cannot be had or are lost; finished clinics stay and are not run again.
    """
    out = Path(directory)
    clinics = find_clinics(registry, by=by, columns=columns)
    _require_ours(out)
    require_reachable(workers)
    settings = json.dumps([fingerprint(), plan.model_dump(exclude_unset=True)], sort_keys=True)
    inputs, failures = _inputs(clinics, settings)
    known = [clinic for clinic in clinics if clinic.label in inputs]
    kept = _checkpoint(out / CHECKPOINT, inputs)
    places = kept.load(known)
    unchanged = {place for place, digest in places.items() if _stands(out, known[place], digest)}
    todo = [place for place in range(len(known)) if place not in unchanged]
    done = len(clinics) - len(todo)
    with kept.open() as sink:
        for place, judged in as_done(
            partial(judge_clinic, plan), _Sendable(known), todo, workers=workers, chunk=1
        ):
            failures += judged.failures
            if judged.files:
                replace_folder(out / CLINICS / known[place].folder, judged.files)
                kept.save(sink, known[place], _digest(judged.files[MANIFEST]))
            done += 1
            if progress is not None:
                progress(done, len(clinics))
    failures = [replace(f, where=f.where or _where(clinics, f.label)) for f in failures]
    failures.sort(key=lambda failure: failure.label)
    failed = {failure.label for failure in failures}
    judged_now = [clinic for clinic in clinics if clinic.label not in failed]
    rows = [clinic_row(clinic.label, out / CLINICS / clinic.folder) for clinic in judged_now]
    _write(out, _summary(rows, failures))
    page, no_page = _page(out, [out / CLINICS / clinic.folder for clinic in judged_now])
    ran = len(judged_now) - len(unchanged)
    return Outcome(rows, tuple(failures), ran=ran, kept=len(unchanged), page=page, no_page=no_page)


def _page(out: Path, folders: Sequence[Path]) -> tuple[Path | None, str]:
    """Set the clinics side by side as ``tpr compare`` does, or say why that cannot be."""
    try:
        return clinics_page(folders, out / COMPARISON), ""
    except SourceError as error:
        return None, str(error)


def _inputs(clinics: Sequence[Clinic], settings: str) -> tuple[dict[str, str], list[Failure]]:
    """Digest of all that a clinic's verdict depends on, by label; and the clinics that cannot be opened."""
    found: dict[str, str] = {}
    failures: list[Failure] = []
    for clinic in clinics:
        try:
            found[clinic.label] = _digest(f"{clinic.read().digest()}\0{settings}".encode())
        except TprError as error:
            failures += _failures(clinic.label, error)
    return found, failures


def _checkpoint(path: Path, inputs: Mapping[str, str]) -> Checkpoint[Clinic, str]:
    """Digest of each finished clinic's manifest, by label and input."""
    return Checkpoint(
        path,
        _HEADER,
        key=lambda clinic: {"label": clinic.label, "input": inputs[clinic.label]},
        encode=lambda digest: {"manifest": digest},
        decode=lambda line: str(line["manifest"]),
    )


def _stands(out: Path, clinic: Clinic, digest: str) -> bool:
    """Tell whether a clinic's folder is there, whole, as it was written."""
    folder = out / CLINICS / clinic.folder
    try:
        manifest = (folder / MANIFEST).read_bytes()
        files = json.loads(manifest)["files"] if _digest(manifest) == digest else {"": ""}
        return all(_digest((folder / name).read_bytes()) == wanted for name, wanted in files.items())
    except OSError:
        return False


class _Sendable(Sequence[Sent]):
    """The clinics with their files, each read when it is its turn."""

    def __init__(self, clinics: Sequence[Clinic]) -> None:
        self.clinics = clinics

    def __len__(self) -> int:
        return len(self.clinics)

    def __getitem__(self, place: Any) -> Any:
        clinic = self.clinics[place]
        return Sent(clinic.label, clinic.read())


def judge_clinic(plan: AnalysisPlan, sent: Sent) -> Judged:
    """Judge one clinic, on whichever machine, from its files; what goes wrong is told, not raised."""
    try:
        with _one_at_a_time, tempfile.TemporaryDirectory() as place:
            return Judged(sent.label, _contents(plan, sent.files, Path(place)))
    except WorkersError:
        raise
    except Exception as error:  # one clinic's fault, of whatever kind, is not the others'
        return Judged(sent.label, {}, tuple(_failures(sent.label, error)))


def _contents(plan: AnalysisPlan, files: Files, place: Path) -> dict[str, bytes]:
    """Put the files into a folder and do what ``tpr evaluate`` does; no message names the folder."""
    for name, content in files.content.items():
        (place / name).write_bytes(content)
    columns = files.columns
    if columns is not None and columns.reading.dictionary:
        dictionary = str(place / columns.reading.dictionary)
        columns = replace(columns, reading=replace(columns.reading, dictionary=dictionary))
    try:
        record, settled = open_tables(str(place / files.source), plan, columns=columns)
        return contents(evaluate(record, settled))
    except DataError:
        raise
    except TprError as error:
        raise type(error)(str(error).replace(f"{place}/", "").replace(str(place), "the folder")) from error


def _failures(label: str, error: Exception) -> list[Failure]:
    """Say what was wrong with a clinic: a line per rule that its file broke, or one for anything else."""
    if not isinstance(error, TprError):
        what = say.FAILURES["unexpected"].format(kind=type(error).__name__)
        return [Failure(label, what, "", say.FAILURES["unexpected_remedy"])]
    found: dict[str, list[Problem]] = {}
    for problem in getattr(error, "problems", ()):
        if problem.severity == "error":
            found.setdefault(problem.rule, []).append(problem)
    if not found:
        return [Failure(label, str(error), "", say.FAILURES["remedy"])]
    return [
        Failure(
            label,
            its[0].message,
            its[0].address
            if len(its) == 1
            else say.FAILURES["several"].format(first=its[0].address, more=len(its) - 1),
            its[0].remedy,
        )
        for its in found.values()
    ]


def _where(clinics: Sequence[Clinic], label: str) -> str:
    return next(clinic.place for clinic in clinics if clinic.label == label)


def _summary(rows: Sequence[Mapping[str, Any]], failures: Sequence[Failure]) -> dict[str, bytes]:
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\n")
    writer.writerow(["label", "what", "where", "remedy"])
    writer.writerows(astuple(failure) for failure in failures)
    return {
        "index.json": index_json(rows, failures).encode(),
        "index.csv": as_csv(index_frame(rows)).encode(),
        "pooled.json": pooled_json(rows).encode(),
        FAILED: made.getvalue().encode(),
    }


def _require_ours(out: Path) -> None:
    """Raise unless the folder is new, empty or of an earlier run, whole or not."""
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file, not a folder. Move it away, or name another folder.")
    if out.is_dir() and any(out.iterdir()) and not (out / CHECKPOINT).exists():
        raise OutputError(say.NOT_OURS.format(folder=out))


def _write(out: Path, files: Mapping[str, bytes]) -> None:
    """Write the summaries, each whole."""
    try:
        for name, content in files.items():
            part = out / f".{name}.part"
            part.write_bytes(content)
            part.replace(out / name)
    except OSError as error:
        raise OutputError(
            f"{out} cannot be written ({error.strerror}). Make room, and run it again."
        ) from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
