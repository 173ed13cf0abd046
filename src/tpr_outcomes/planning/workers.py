"""Many seeded tasks on whoever is there: this process, others of this machine, or a cluster.

Everything that is simulated again and again (calibration, power, self-check) and every clinic of a registry
goes through here. Tasks carry their own seeds, so results depend on the tasks alone; a
:class:`Checkpoint` keeps what is done, so that a run which was ended carries on and ends with the same
numbers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TextIO, TypeVar

from tpr_outcomes import __version__
from tpr_outcomes.errors import OutputError, PlanError, WorkersError
from tpr_outcomes.inference.evidence import RULE_NAME, RULE_VERSION
from tpr_outcomes.planning.cluster import connected, run_pieces
from tpr_outcomes.planning.pieces import run_piece

T = TypeVar("T")
R = TypeVar("R")

Workers = int | str
"""Number of processes of this machine, or the address of a Dask scheduler, ``"tcp://host:8786"``."""

_ADDRESS = re.compile(r"(tcp|tls|ws|wss)://[^\s/]+:\d+/?")


def require_workers(workers: Workers) -> None:
    """Raise unless workers are a number from 1, or look like the address of a scheduler.

    Raises
    ------
    PlanError
        With what is wanted.
    """
    if isinstance(workers, str):
        if not _ADDRESS.fullmatch(workers):
            raise PlanError(
                f"scheduler is {workers!r}; write its address, for example tcp://10.0.0.5:8786. "
                "Correct scheduler."
            )
    elif workers < 1:
        raise PlanError(f"workers is {workers}; it needs to be 1 or larger. Correct workers.")


def require_reachable(workers: Workers) -> None:
    """Raise unless workers can be had now: before a long piece of work is begun that will need them.

    Raises
    ------
    PlanError
        As :func:`require_workers`.
    WorkersError
        As :func:`~tpr_outcomes.planning.cluster.connected`.
    """
    require_workers(workers)
    if isinstance(workers, str):
        with connected(workers):
            pass


@dataclass(frozen=True)
class Checkpoint(Generic[T, R]):
    """Where results are kept as they come: one line of JSON each, under a first line that says of what.

    Attributes
    ----------
    path : Path
        Made where it is not there.
    header : mapping
        First line: all that every result depends on beside its key.
    key : callable
        Item -> mapping of names to numbers or words, different for every item.
    encode : callable
        Result -> mapping; together with the key it makes the line. Names may be those of the key.
    decode : callable
        Line -> result, the same to the bit.
    """

    path: Path
    header: Mapping[str, Any]
    key: Callable[[T], Mapping[str, Any]]
    encode: Callable[[R], Mapping[str, Any]]
    decode: Callable[[dict[str, Any]], R]

    def load(self, items: Sequence[T]) -> dict[int, R]:
        """Return the results that are there, by place among the items.

        A line that was cut off is dropped from the file.

        Raises
        ------
        PlanError
            When the file belongs to another study.
        OutputError
            When it cannot be read or written.
        """
        try:
            lines = self._lines()
        except OSError as error:
            raise self._refusal(error) from error
        if not items:
            return {}
        names = list(self.key(items[0]))
        kept = (json.loads(line) for line in lines)
        found = {tuple(line[name] for name in names): line for line in kept}
        keys = (tuple(self.key(item)[name] for name in names) for item in items)
        return {place: self.decode(found[key]) for place, key in enumerate(keys) if key in found}

    def _lines(self) -> list[str]:
        """Return the whole lines after the first; begin the file where there is none."""
        first = json.dumps(dict(self.header))
        if not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(first + "\n", encoding="utf-8")
            return []
        whole = self.path.read_bytes()
        kept = whole[: whole.rfind(b"\n") + 1]
        lines = kept.decode("utf-8", errors="replace").splitlines()
        if not whole or (not lines and first.encode().startswith(whole)):  # ended before its first line was
            lines, kept = [first], first.encode() + b"\n"
        if not lines or lines[0] != first:
            raise PlanError(
                f"The checkpoint {self.path} belongs to another study (its settings, seed or version "
                "differ), or is no checkpoint; name another file or folder."
            )
        if kept != whole:
            self.path.write_bytes(kept)
        return lines[1:]

    def open(self) -> TextIO:
        """Open the file for further lines."""
        try:
            return self.path.open("a", encoding="utf-8")
        except OSError as error:
            raise self._refusal(error) from error

    def save(self, sink: TextIO, item: T, result: R) -> None:
        """Write one line, whole before the next result is looked at."""
        try:
            sink.write(json.dumps({**self.key(item), **self.encode(result)}) + "\n")
            sink.flush()
        except OSError as error:
            raise self._refusal(error) from error

    def _refusal(self, error: OSError) -> OutputError:
        return OutputError(
            f"The checkpoint {self.path} cannot be written ({error.strerror}). Name a file that can be made "
            "or written."
        )


def study_header(study: str, *, seed: int, bootstrap: int, **settings: Any) -> dict[str, Any]:
    """Return the first line of a study's checkpoint: whatever its results depend on beside their keys."""
    rule = f"{RULE_NAME}/{RULE_VERSION}"
    made = {"version": __version__, "rule": rule, "seed": seed, "bootstrap": bootstrap}
    return {"study": f"tpr-outcomes {study}", **made, **settings}


def run_in_order(
    task: Callable[[T], R],
    items: Sequence[T],
    *,
    workers: Workers = 1,
    chunk: int = 25,
    checkpoint: Checkpoint[T, R] | None = None,
) -> Iterator[R]:
    """Apply a task to every item and yield the results in the order of the items.

    Parameters
    ----------
    task : callable
        Of the module level, or a :func:`functools.partial` of one, so that it can be sent.
    items : sequence
        Each with all that its result depends on, its seed included.
    workers : int or str
        Processes, or the address of a scheduler.
    chunk : int
        Items sent at a time, to processes and clusters.
    checkpoint : Checkpoint, optional
        Items that it holds are not run again; what is done is kept as it is done, in whatever order.

    Yields
    ------
    object
        The same to the bit whatever ``workers`` and ``chunk`` are, and however often a run was ended.

    Raises
    ------
    PlanError, OutputError
        As :meth:`Checkpoint.load`.
    WorkersError
        When workers cannot be had or are lost.
    """
    done: dict[int, R] = {} if checkpoint is None else checkpoint.load(items)
    todo = [place for place in range(len(items)) if place not in done]
    at = 0
    with nullcontext() if checkpoint is None else checkpoint.open() as sink:
        for place, result in as_done(task, items, todo, workers=workers, chunk=chunk):
            done[place] = result
            if checkpoint is not None and sink is not None:
                checkpoint.save(sink, items[place], result)
            while at in done:
                yield done.pop(at)
                at += 1
    while at in done:
        yield done.pop(at)
        at += 1


def as_done(
    task: Callable[[T], R],
    items: Sequence[T],
    todo: Sequence[int],
    *,
    workers: Workers = 1,
    chunk: int = 25,
) -> Iterator[tuple[int, R]]:
    """Apply a task to some of the items and yield place and result as they come.

    Parameters
    ----------
    task, items, workers, chunk
        As in :func:`run_in_order`.
    todo : sequence of int
        Places of the items to run.

    Raises
    ------
    WorkersError
        When workers cannot be had or are lost.
    """
    if not todo:
        return
    # Positions travel with the piece: what is to be done need not stand together.
    size = 1 if workers == 1 else chunk
    places = [todo[i : i + size] for i in range(0, len(todo), size)]
    pieces = _Pieces(items, places)
    for number, results in _run(task, pieces, workers):
        yield from zip(places[number], results, strict=True)


class _Pieces(Sequence[tuple[int, list[T]]]):
    """Number and items of each piece, put together when it is asked for."""

    def __init__(self, items: Sequence[T], places: Sequence[Sequence[int]]) -> None:
        self.items, self.places = items, places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, number: Any) -> Any:
        if number >= len(self.places):
            raise IndexError(number)
        return number, [self.items[place] for place in self.places[number]]


def _run(
    task: Callable[[T], R], pieces: Sequence[tuple[int, list[T]]], workers: Workers
) -> Iterator[tuple[int, list[R]]]:
    """Run pieces here, in processes, or on a cluster."""
    require_workers(workers)
    if isinstance(workers, str):
        yield from run_pieces(task, pieces, workers)
    elif workers == 1:
        yield from (run_piece(task, number, items) for number, items in pieces)
    else:
        yield from _in_processes(task, pieces, workers)


def _in_processes(
    task: Callable[[T], R], pieces: Sequence[tuple[int, list[T]]], processes: int
) -> Iterator[tuple[int, list[R]]]:
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    parallel = Parallel(n_jobs=processes, return_as="generator_unordered")
    try:
        yield from parallel(delayed(run_piece)(task, number, items) for number, items in pieces)
    except TerminatedWorkerError as error:
        raise WorkersError(
            "A worker process was ended from outside; often there is too little memory. Use fewer workers, "
            "then run the same command again."
        ) from error
