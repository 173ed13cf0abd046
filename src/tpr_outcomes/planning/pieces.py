"""One piece of work on whichever machine does it: the arithmetic is the same everywhere, or it is refused.

A number of this package may depend on the seed and on what it is for, never on the process, the machine or
the number of threads that worked it out. Two things could break that: a matrix library that adds up in
another order when it has more threads, and a machine with other versions or another processor. The first is
held to one thread; the second is told by :func:`fingerprint` and refused.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import numpy as np

import tpr_outcomes
from tpr_outcomes.errors import WorkersError
from tpr_outcomes.models.compiled import PLAIN, kernels

T = TypeVar("T")
R = TypeVar("R")

LIBRARIES = ("numpy", "scipy", "pandas", "numba")
"""Libraries whose version may change the last digits of a number."""

_lock = Lock()
_pinned: list[Any] = []
"""One entry per piece at work in this process; the first holds what to put back."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold the matrix libraries to one thread; the last piece to leave lets go of them.

    A worker process may run several pieces in threads of its own. Were each to put back what it found, the
    first to end would give the others more threads in the middle of a sum.
    """
    with _lock:
        if not _pinned:
            _pinned.append(_libraries().limit(limits=1))
        _pinned.append(None)
    try:
        yield
    finally:
        with _lock:
            _pinned.pop()
            if len(_pinned) == 1:
                _pinned.pop().restore_original_limits()


@cache
def _libraries() -> Any:
    """Return the matrix libraries of this process, looked up once: looking takes longer than setting."""
    import scipy.linalg  # noqa: F401  (brings a matrix library of its own, which has to be seen)
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def run_piece(
    task: Callable[[T], R], number: int, items: Sequence[T], expected: Mapping[str, str] | None = None
) -> tuple[int, list[R]]:
    """Apply a task to a few items, in one thread.

    Parameters
    ----------
    task : callable
    number : int
        Which piece it is; given back as it is.
    items : sequence
    expected : mapping of str to str, optional
        :func:`fingerprint` of the process that asks; nothing is run where this one's differs.

    Returns
    -------
    number : int
    results : list

    Raises
    ------
    WorkersError
        When this process would work otherwise than the one that asks.
    """
    if expected is not None:
        require_alike(expected, fingerprint(), where=platform.node())
    with one_thread():
        return number, [task(item) for item in items]


@cache
def fingerprint() -> dict[str, str]:
    """Return what the numbers of this process may depend on.

    Returns
    -------
    dict of str to str
        Version and digest of this package's code, versions of Python and the libraries, whether loops are
        compiled, the matrix libraries with the processor they chose their loops for, and the instructions
        numpy found in this processor.
    """
    found = {"tpr-outcomes": tpr_outcomes.__version__, "its code": code_digest()[:16]}
    found |= {"python": platform.python_version()}
    found |= {name: _version(name) for name in LIBRARIES}
    found["compiled loops"] = "no" if kernels() is PLAIN else "yes"
    found["matrix libraries"] = ", ".join(
        sorted(
            {
                " ".join(str(info.get(key)) for key in ("internal_api", "version", "architecture"))
                for info in _libraries().info()
                if info["user_api"] == "blas"
            }
        )
    )
    built: Any = np.show_config(mode="dicts")
    found["processor"] = " ".join([platform.machine(), *built["SIMD Extensions"].get("found", [])])
    return found


def code_digest() -> str:
    """SHA-256 over every Python file of this package, by its path inside it."""
    home = Path(tpr_outcomes.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(home.rglob("*.py"), key=lambda path: path.relative_to(home).as_posix()):
        digest.update(path.relative_to(home).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def require_alike(expected: Mapping[str, str], found: Mapping[str, str], *, where: str) -> None:
    """Raise unless two fingerprints are the same, naming every difference.

    Raises
    ------
    WorkersError
        With what is here, what is there, and what to do.
    """
    differing = [name for name in expected if found.get(name) != expected[name]]
    if not differing:
        return
    lines = [f"- {name}: here {expected[name]}; there {found.get(name, 'unknown')}" for name in differing]
    raise WorkersError(
        f"The worker {where} would not give the same numbers as this machine:\n"
        + "\n".join(lines)
        + "\nInstall the same versions everywhere (requirements.lock) and start the workers again. "
        "Where only processors differ, see docs/scaling.md."
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
