"""Make `.venv` from requirements.lock: every version exact, every download checked against its hash.

Run by `make` with whatever Python the machine has, so only the standard library is used here, and the
version is looked at before anything newer is asked of it. uv does the work when it can be had (seconds);
pip does the same work otherwise (a minute). `TPR_INSTALLER=pip` asks for pip at once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 11)
ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
TOOL = VENV / "tool"  # uv lives beside the environment, not in it: the lock says all that is in it
LOCK = ROOT / "requirements.lock"
READY = VENV / ".ready"
PIP_INSTALL = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]


def say(text: str) -> None:
    """One line of progress, on standard error."""
    print(f"set-up: {text}", file=sys.stderr, flush=True)


def stop(text: str) -> None:
    """End with a sentence instead of a traceback."""
    say(text)
    sys.exit(1)


def works(*command: str | Path) -> bool:
    """Whether a command can be run and ends well; its output is not shown."""
    try:
        ended = subprocess.run([str(part) for part in command], capture_output=True, check=False)
    except OSError:
        return False
    return ended.returncode == 0


def run(*command: str | Path) -> bool:
    """Run a command whose output matters; whether it ended well.

    uv is told to trust the certificates this machine trusts, as pip does: hospital networks have their own.
    """
    environment = {"UV_SYSTEM_CERTS": "true", **os.environ}
    ended = subprocess.run([str(part) for part in command], cwd=ROOT, env=environment, check=False)
    return ended.returncode == 0


def check_version() -> None:
    """Refuse an interpreter older than the package supports."""
    if sys.version_info < OLDEST:
        seen = ".".join(str(part) for part in sys.version_info[:3])
        wanted = ".".join(str(part) for part in OLDEST)
        stop(f"this Python is {seen}, but {wanted} or newer is wanted. Name one: make PYTHON=python3.12 ...")


def make_environment() -> None:
    """Create `.venv`, or keep the one that is there if its Python still runs and is new enough."""
    wanted = f"import sys; sys.exit(sys.version_info < {OLDEST})"
    if works(PYTHON, "-c", wanted):
        return
    say(f"making .venv with Python {sys.version.split()[0]}")
    uv = shutil.which("uv")
    made = works(sys.executable, "-m", "venv", "--clear", VENV)
    if not made and uv:
        made = works(uv, "venv", "--clear", "--python", sys.executable, VENV)
    if not made:
        stop(
            "this Python cannot make a virtual environment. "
            "On Debian and Ubuntu: apt-get install python3-venv."
        )


def have_pip() -> bool:
    """Whether the environment has pip, after trying to give it one from the standard library."""
    return works(PYTHON, "-m", "pip", "--version") or works(PYTHON, "-m", "ensurepip", "--default-pip")


def find_uv() -> Path | None:
    """The uv to use: the one set up before, the machine's, or one fetched now; None if there is none."""
    if os.environ.get("TPR_INSTALLER") == "pip":
        return None
    own = TOOL / "bin" / "uv"
    for candidate in (own, shutil.which("uv")):
        if candidate and works(candidate, "--version"):
            return Path(candidate)
    say("fetching uv")
    fetch = [*PIP_INSTALL, "--retries", "2", "--target", TOOL, "uv"]
    if have_pip() and run(*fetch) and works(own, "--version"):
        return own
    say("uv is not to be had; pip takes its place")
    return None


def install_lock(uv: Path | None) -> bool:
    """Make the environment equal the lock (with pip, what left the lock stays until .venv is deleted)."""
    if uv is not None:
        say("installing what requirements.lock names (uv)")
        if run(
            uv, "pip", "sync", "--quiet", "--compile-bytecode", "--python", PYTHON, "--require-hashes", LOCK
        ):
            return True
    if not have_pip():
        stop("there is neither uv nor pip. On Debian and Ubuntu: apt-get install python3-venv.")
    say("installing what requirements.lock names (pip; this takes a minute or two)")
    return run(*PIP_INSTALL, "--no-deps", "--require-hashes", "--requirement", LOCK)


def install_package(uv: Path | None) -> bool:
    """Add the package as it lies here; what builds it came with the lock, so no network is asked for."""
    install = PIP_INSTALL if uv is None else [uv, "pip", "install", "--quiet", "--python", PYTHON]
    return run(*install, "--no-deps", "--no-build-isolation", "--editable", ROOT)


def main() -> None:
    """Set up once; the stamp at the end tells make that it is done."""
    check_version()
    make_environment()
    READY.unlink(missing_ok=True)
    uv = find_uv()
    if not install_lock(uv):
        stop(
            "the packages in requirements.lock could not be installed; what failed is said above. "
            "Is there a network?"
        )
    if not install_package(uv):
        stop("tpr_outcomes itself could not be installed; what failed is said above.")
    READY.touch()
    say("done")


if __name__ == "__main__":
    main()
