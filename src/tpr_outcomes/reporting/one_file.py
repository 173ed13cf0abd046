"""A file that is written whole or not at all, and never over somebody else's."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tpr_outcomes.errors import OutputError


def require_free(path: str | Path, *, ours: Callable[[Path], bool], source: str | Path = "") -> None:
    """Raise unless a file may be written: its place is free, or holds an earlier one of ours.

    Parameters
    ----------
    path : str or Path
        The file to be written.
    ours : callable
        Tells whether a file that is there was written by the same command.
    source : str or Path, optional
        The file that was read, which is never written over.

    Raises
    ------
    OutputError
        With what is in the way and what to do.
    """
    target = Path(path)
    try:
        if source and target.exists() and Path(source).exists() and target.samefile(source):
            raise OutputError(f"{target} is the file that is read; it is never written over. Name another.")
        if target.is_symlink():
            raise OutputError(f"{target} is a link, and a link is not replaced. Name the file itself.")
        if target.is_dir():
            raise OutputError(f"{target} is a folder; name the file to write, with its ending.")
        if target.exists() and not ours(target):
            raise OutputError(
                f"{target} is there already and was not written by this command. Name another file, or move "
                "it away."
            )
        parent = target.parent
        if not parent.is_dir():
            raise OutputError(f"There is no folder {parent}; make it, or name a file elsewhere.")
        if not os.access(parent, os.W_OK | os.X_OK):
            raise OutputError(f"The folder {parent} may not be written to. Name a file elsewhere.")
    except (OSError, ValueError) as error:
        raise OutputError(f"The file cannot be written under this name: {_why(error)}.") from error


def write_whole(path: str | Path, content: bytes) -> Path:
    """Write a file beside its place and move it there in one step.

    Parameters
    ----------
    path : str or Path
    content : bytes

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OutputError
        When it cannot be written; what was there stays.
    """
    target = Path(path)
    part = target.with_name(f".{target.name}.part-{os.getpid()}")
    try:
        part.write_bytes(content)
        part.replace(target)
    except OSError as error:
        raise OutputError(
            f"{target} could not be written ({_why(error)}). Name another file; nothing was changed."
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return target


def _why(error: OSError | ValueError) -> str:
    return (getattr(error, "strerror", "") or "") or "no file can have it"
