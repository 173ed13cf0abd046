"""Pieces of work on an existing Dask cluster.

The scheduler gets pieces a few at a time and gives them to workers; a piece whose worker dies is given to
another. What every piece needs (the task) is sent once and is made again by the scheduler where it is lost.
Nothing here knows what the pieces are about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from itertools import islice
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, TypeVar

from tpr_outcomes.errors import WorkersError
from tpr_outcomes.planning.pieces import fingerprint, require_alike, run_piece

if TYPE_CHECKING:
    from distributed import Client, Future

T = TypeVar("T")
R = TypeVar("R")

SECONDS_TO_CONNECT = 10
SECONDS_FOR_A_WORKER = 60
"""How long to wait for a first worker."""
SECONDS_TO_LOOK = 5
POLLS_WITHOUT_WORKERS = 24
"""Looks without any worker, one every :data:`SECONDS_TO_LOOK`, after which a cluster is given up."""
AHEAD = 3
"""Pieces at the scheduler for each thread of the cluster: enough that no worker waits for us."""


@contextmanager
def connected(address: str) -> Iterator[Client]:
    """Connect to a scheduler whose workers give the same numbers as this process.

    Parameters
    ----------
    address : str
        For example ``"tcp://10.0.0.5:8786"``.

    Raises
    ------
    WorkersError
        When ``distributed`` is not installed, nobody answers, there are no workers, or one of them has
        other versions or another processor.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise WorkersError(
            "Running on a cluster needs distributed, which is not installed or does not load here. "
            "Install the extra: pip install 'tpr-outcomes[cluster]'."
        ) from error
    try:
        client = Client(address, timeout=SECONDS_TO_CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise WorkersError(
            f"No scheduler answers at {address}. Start one (dask scheduler), or correct the address; "
            "docs/scaling.md shows how."
        ) from error
    with client:
        _require_workers(client, address)
        yield client


def _require_workers(client: Client, address: str) -> None:
    """Raise unless there is a worker, and all there are work alike."""
    try:
        client.wait_for_workers(1, timeout=SECONDS_FOR_A_WORKER)
    except TimeoutError as error:
        raise WorkersError(
            f"The scheduler at {address} has no workers after {SECONDS_FOR_A_WORKER} seconds. Start some: "
            f"dask worker {address} --nthreads 1"
        ) from error
    # Asked with a function of the standard library first: ours cannot be unpacked where we are not installed.
    there: dict[str, Any] = client.run(resolve_name, f"{run_piece.__module__}:run_piece", on_error="return")
    for worker, found in sorted(there.items()):
        if isinstance(found, ImportError):
            raise _without_package(worker)
    said: dict[str, Any] = client.run(fingerprint, on_error="return")
    expected = fingerprint()
    for worker, found in sorted(said.items()):
        if isinstance(found, dict):  # else it has died since; its like are checked with every piece
            require_alike(expected, found, where=worker)


def _without_package(worker: str) -> WorkersError:
    return WorkersError(
        f"The worker {worker} cannot load this package. Install the same version there "
        "(pip install 'tpr-outcomes[cluster]'), and start the worker again."
    )


def run_pieces(
    task: Callable[[T], R], pieces: Sequence[tuple[int, Sequence[T]]], address: str
) -> Iterator[tuple[int, list[R]]]:
    """Run pieces on a cluster, and yield each as it is done.

    Parameters
    ----------
    task : callable
    pieces : sequence of (int, sequence)
        Number and items of each.
    address : str
        Of the scheduler.

    Yields
    ------
    number : int
    results : list

    Raises
    ------
    WorkersError
        As :func:`connected`; also when the scheduler goes away, or workers die again and again.
    """
    with connected(address) as client:
        from distributed import KilledWorker

        try:
            yield from _as_done(client, task, pieces)
        except KilledWorker as error:
            raise WorkersError(
                "Worker after worker has died over one piece of the work; often there is too little memory. "
                "Give workers more memory or fewer threads, then run the same command again."
            ) from error
        except ImportError as error:
            raise _without_package("that joined last") from error
        except (OSError, CancelledError) as error:
            raise WorkersError(
                f"The scheduler at {address} went away. Start it again, then run the same command again."
            ) from error


def _as_done(
    client: Client, task: Callable[[T], R], pieces: Sequence[tuple[int, Sequence[T]]]
) -> Iterator[tuple[int, list[R]]]:
    """Keep a few pieces per thread at the scheduler, and yield what comes back."""
    expected = fingerprint()
    # A result of the scheduler's, not data put onto a worker: it is worked out again when that one dies.
    shared = client.submit(_same, task, pure=False)
    left = iter(pieces)
    waiting: list[Future] = []
    while True:
        threads: dict[str, int] = client.nthreads()
        room = max(AHEAD * sum(threads.values()), 1) - len(waiting)
        waiting += [
            client.submit(run_piece, shared, number, items, expected, pure=False)
            for number, items in islice(left, max(room, 0))
        ]
        if not waiting:
            return
        for future in _finished(client, waiting):
            waiting.remove(future)
            result: tuple[int, list[R]] = future.result()
            yield result


def _finished(client: Client, waiting: list[Future]) -> list[Future]:
    """Wait until a piece is done; give up when there has been no worker for a long time."""
    from distributed import wait

    for _ in range(POLLS_WITHOUT_WORKERS):
        try:
            with client.as_current():
                return list(wait(waiting, timeout=SECONDS_TO_LOOK, return_when="FIRST_COMPLETED").done)
        except TimeoutError:
            if client.nthreads():
                return []
    raise WorkersError(
        "The cluster has lost all its workers. Start some (dask worker), then run the same command again."
    )


def _same(value: T) -> T:
    """Return what is given."""
    return value
