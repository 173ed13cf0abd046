"""A folder that is written whole or not at all.

Files go into a folder beside the target first; only when all are there does it take the target's place.
What was there before stays until then, and is put back if the last step fails. A folder that we did not make,
or in which somebody keeps files of their own, is never replaced.
"""

from __future__ import annotations

import ctypes
import errno
import glob
import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from tpr_outcomes.errors import OutputError
from tpr_outcomes.reporting import words_folder as say

MANIFEST = "manifest.json"
MANIFEST_SCHEMA = "tpr-outcomes/manifest/1"
_OURS = MANIFEST_SCHEMA.rpartition("/")[0]
_LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
"""Files that file managers leave behind; nobody misses them."""
_SHOWN = 5


def replace_folder(directory: str | Path, files: Mapping[str, bytes]) -> Path:
    """Write files into a folder, replacing an earlier one of ours in one step.

    Parameters
    ----------
    directory : str or Path
        The folder; made with its parents where missing.
    files : mapping of str to bytes
        Content by path inside the folder (``"tables/estimates.csv"``), ``manifest.json`` among them.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    OutputError
        When the place is taken by something that is not ours, or cannot be written.
    """
    target = _absolute(directory)
    require_writable(target)
    part = target.with_name(f".{target.name}.part-{os.getpid()}")
    kept = _kept(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _recover(target, kept)
        _clear_dead(target)
        part.mkdir()
    except OSError as error:
        raise _refusal(target, error) from error
    try:
        _fill(part, files)
        _swap(part, target, kept)
    except OSError as error:
        raise _refusal(target, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    shutil.rmtree(kept, ignore_errors=True)
    return target


def require_writable(directory: str | Path) -> None:
    """Raise unless a folder is free, empty or one of ours; nothing is written.

    Raises
    ------
    OutputError
        With what is in the way and what to do.
    """
    target = _absolute(directory)
    here = Path.cwd()
    if target == here or target in here.parents:
        raise OutputError(
            f"{target} is the folder you are in, or holds it; it cannot be replaced from within. "
            "Name a folder of its own, for example --out report."
        )
    if target.is_symlink():
        raise OutputError(f"{target} is a link, and a link is not replaced. Name the folder itself.")
    if target.is_dir():
        _require_ours(target)
    elif target.exists():
        raise OutputError(f"{target} is a file, not a folder. Move it away, or name another folder.")
    _require_parent(target)


def require_free(paths: Sequence[Path], *, schema: str) -> None:
    """Raise unless files are not there yet, or are as we wrote them; nothing is written.

    Parameters
    ----------
    paths : sequence of Path
        Files of one folder, the last of them their manifest.
    schema : str
        Schema of that manifest.

    Raises
    ------
    OutputError
        With what is in the way and what to do.
    """
    try:
        found = json.loads(paths[-1].read_text(encoding="utf-8"))
        listed = dict(found["files"]) if found["schema"] == schema else None
    except (OSError, ValueError, KeyError, TypeError):
        listed = None
    for path in paths:
        if not path.exists() and not path.is_symlink():
            continue
        if listed is None or (path != paths[-1] and path.name not in listed):
            raise OutputError(
                f"{path} is there already and was not written by this command. "
                "Name another file, or move it away."
            )
        if path != paths[-1] and hashlib.sha256(path.read_bytes()).hexdigest() != listed[path.name]:
            raise OutputError(
                f"{path} has been changed since it was written. Name another file, or move it away."
            )
    _require_parent(_absolute(paths[0]))


def replace_files(files: Mapping[Path, bytes]) -> None:
    """Write files of one folder, all of them or none; those that are there are replaced.

    Parameters
    ----------
    files : mapping of Path to bytes
        The last is put in place last: a manifest that lists digests then tells if a run was cut off.

    Raises
    ------
    OutputError
        When they cannot be written; what was there is put back.
    """
    parts = {path: path.with_name(f".{path.name}.part-{os.getpid()}") for path in files}
    kept = {path: path.with_name(f".{path.name}.previous-{os.getpid()}") for path in files if path.exists()}
    placed: list[Path] = []
    try:
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            parts[path].write_bytes(content)
        for path, waiting in kept.items():
            path.rename(waiting)
        for path in files:
            parts[path].rename(path)
            placed.append(path)
    except BaseException as error:
        for path in placed:
            path.unlink(missing_ok=True)
        for path, waiting in kept.items():
            if waiting.exists():
                waiting.rename(path)
        if isinstance(error, OSError):
            raise _refusal(next(iter(files)), error) from error
        raise
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
    for waiting in kept.values():
        waiting.unlink(missing_ok=True)


def _absolute(directory: str | Path) -> Path:
    """Whole path of a folder; a link in its place stays a link."""
    given = Path(directory)
    return given.parent.resolve() / given.name if given.name not in ("", "..") else given.resolve()


def _require_parent(target: Path) -> None:
    """The nearest parent that exists has to be a folder we may write in."""
    parent = next(folder for folder in target.parents if folder.exists())
    if not parent.is_dir():
        raise OutputError(f"{parent} is a file, so no folder can be made in it. Name another folder.")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(
            f"The folder {parent} may not be written to. Name a folder elsewhere, or ask for the right to "
            "write."
        )


def _require_ours(target: Path) -> None:
    """A folder may be replaced if it is empty, or holds nothing but what its own manifest lists."""
    try:
        found = {
            str(PurePosixPath(path.relative_to(target))) for path in target.rglob("*") if not path.is_dir()
        }
    except OSError as error:
        raise _refusal(target, error) from error
    found = {path for path in found if PurePosixPath(path).name not in _LITTER}
    if not found:
        return
    listed = _listed(target)
    if listed is None:
        raise OutputError(say.REFUSED["not_ours"].format(target=target))
    extra = sorted(found - listed - {MANIFEST})
    if extra:
        shown = ", ".join(extra[:_SHOWN])
        if len(extra) > _SHOWN:
            shown = say.REFUSED["more"].format(shown=shown, n=len(extra) - _SHOWN)
        raise OutputError(
            f"{target} holds files that are not part of the report: {shown}. "
            "Move them elsewhere (they would be lost), or name another folder."
        )


def _listed(target: Path) -> set[str] | None:
    """Files a manifest of ours lists; None where there is no such manifest."""
    try:
        manifest = json.loads((target / MANIFEST).read_text(encoding="utf-8"))
        if str(manifest["schema"]).startswith(f"{_OURS}/"):
            return set(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # no manifest, or not one of ours: the caller refuses
    return None


def _kept(target: Path) -> Path:
    """Where the previous folder waits while the new one takes its place."""
    return target.with_name(f".{target.name}.previous")


def _recover(target: Path, kept: Path) -> None:
    """Put back, or clear away, what an earlier run left when it was ended between two steps."""
    if not kept.is_dir():
        return
    if target.exists():
        shutil.rmtree(kept)
    else:
        kept.rename(target)


def _fill(part: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = part / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _swap(part: Path, target: Path, kept: Path) -> None:
    """Put the new folder in place of the old one, or the old one back."""
    if not target.exists():
        part.rename(target)
        return
    if _exchange(part, target):
        return  # what was there is in the part's place now, and is cleared away with it
    target.rename(kept)
    try:
        part.rename(target)
    except BaseException:
        kept.rename(target)
        raise


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change places in one step, so that a kill finds one or the other whole.

    Returns
    -------
    bool
        False where the system cannot (it is Linux that can, on most file systems).
    """
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):
        return False
    here, exchange = -100, 2  # AT_FDCWD and RENAME_EXCHANGE
    done: int = rename(here, os.fsencode(one), here, os.fsencode(other), exchange)
    return done == 0


def _clear_dead(target: Path) -> None:
    """Clear away what runs left that were killed while they wrote."""
    for left in target.parent.glob(f".{glob.escape(target.name)}.part-*"):
        number = left.name.rpartition("-")[2]
        if number.isdigit() and not _alive(int(number)):
            shutil.rmtree(left, ignore_errors=True)


def _alive(process: int) -> bool:
    """Tell whether a process may still be running."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _refusal(target: Path, error: OSError) -> OutputError:
    """Say why a folder could not be written, and what to do."""
    remedies = {
        errno.ENOSPC: say.REMEDIES["full"],
        errno.EACCES: say.REMEDIES["forbidden"],
        errno.EPERM: say.REMEDIES["forbidden"],
        errno.EROFS: say.REMEDIES["read_only"],
        errno.ENAMETOOLONG: say.REMEDIES["name"],
    }
    remedy = remedies.get(error.errno or 0, say.REMEDIES["other"])
    return OutputError(
        say.REFUSED["unwritten"].format(target=target, why=error.strerror or error, remedy=remedy)
    )
