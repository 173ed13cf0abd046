"""`make release`: build twice and compare, then try the wheel where nothing else is installed.

1. Wheel and sdist are built here, and once more from the unpacked sdist, elsewhere, with other file times and
   another umask. The bytes must be the same. SOURCE_DATE_EPOCH is the release date in CITATION.cff, so that
   anybody who has the sdist can build the same files.
2. For every Python asked for: a new environment with what the wheel needs and nothing else, each download
   checked against its hash in requirements.lock; the wheel; `tpr evaluate` on an example.
3. In the same environment the rest of the lock; the tests in the sdist, against the installed wheel.

Nothing is uploaded anywhere. `dist/release.json` says what was done and how it ended.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = Path("data") / "example_threshold.csv"
PYTHONS = ("3.11", "3.12", "3.13")


def say(text: str) -> None:
    """One line of progress, on standard error."""
    print(f"release: {text}", file=sys.stderr, flush=True)


def run(*command: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> str:
    """Standard output of a command that has to end well."""
    ended = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, stdout=subprocess.PIPE, text=True, check=False
    )
    if ended.returncode != 0:
        print(ended.stdout)
        say(f"stopped: code {ended.returncode} from {' '.join(str(part) for part in command)}")
        sys.exit(1)
    return ended.stdout


# --- building ----------------------------------------------------------------------------------------------


def epoch(root: Path = ROOT) -> int:
    """Seconds of the release date in CITATION.cff, at midnight UTC."""
    found = re.search(r"(?m)^date-released: (.+)$", (root / "CITATION.cff").read_text(encoding="utf-8"))
    assert found is not None
    day = dt.date.fromisoformat(found.group(1))
    return int(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp())


def build(source: Path, out: Path, *, umask: int = 0o022) -> dict[str, str]:
    """Build sdist and wheel of a tree into a folder; the SHA-256 of each file by its name."""
    env = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch(source))}
    command = [sys.executable, "-m", "build", "--no-isolation", "--sdist", "--wheel", "--outdir", str(out)]
    before = os.umask(umask)
    try:
        run(*command, str(source), cwd=out.parent, env=env)
    finally:
        os.umask(before)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.iterdir())}


def unpack(sdist: Path, where: Path) -> Path:
    """The tree in an sdist."""
    with tarfile.open(sdist) as archive:
        archive.extractall(where, filter="data")
    (tree,) = where.iterdir()
    return tree


def build_twice(out: Path, work: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Hashes of a build of this tree, and of one of its own sdist with other times, elsewhere."""
    first = build(ROOT, out)
    (sdist,) = out.glob("*.tar.gz")
    tree = unpack(sdist, work / "second")
    for path in tree.rglob("*"):
        os.utime(path, (981173106, 981173106))
    return first, build(tree, work / "built-again", umask=0o077)


# --- trying ------------------------------------------------------------------------------------------------


def interpreter(version: str) -> Path | None:
    """A Python of this version on this machine: on the path, or where pyenv keeps them."""
    found = shutil.which(f"python{version}")
    kept = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
    candidates = [*kept, *([Path(found)] if found else [])]
    for each in candidates:
        say_version = [str(each), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        ended = subprocess.run(say_version, capture_output=True, text=True, check=False)
        if ended.stdout.strip() == version:
            return each
    return None


def lean_lock(version: str) -> str:
    """The entries of requirements.lock that the package needs without any extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted: set[str] = set()
    waiting = [Requirement(line) for line in project["dependencies"]]
    while waiting:
        each = waiting.pop()
        name = canonicalize_name(each.name)
        there = {"python_version": version, "python_full_version": f"{version}.0", "extra": ""}
        if name in wanted or (each.marker is not None and not each.marker.evaluate(there)):
            continue
        wanted.add(name)
        waiting += [Requirement(line) for line in requires(name) or []]
    entries = re.split(r"\n(?=[A-Za-z0-9])", (ROOT / "requirements.lock").read_text(encoding="utf-8"))
    kept = [each for each in entries if canonicalize_name(each.partition("==")[0].strip()) in wanted]
    return "\n".join(kept) + "\n"


def evaluate(python: Path, work: Path) -> dict[str, str]:
    """`tpr evaluate` by its console script, away from here: the verdict, and the hash of verdict.json."""
    shutil.copy(ROOT / EXAMPLE, work / EXAMPLE.name)
    tpr = python.parent / "tpr"
    run(tpr, "evaluate", EXAMPLE.name, "--out", "report", "--seed", "1", cwd=work)
    answer = (work / "report" / "verdict.json").read_bytes()
    assert (work / "report" / "report.html").stat().st_size > 100_000
    said = json.loads(answer)
    return {
        "verdict": said["verdict"],
        "sentence": said["sentence"],
        "verdict_sha256": hashlib.sha256(answer).hexdigest(),
    }


def tests(python: Path, tree: Path, arguments: Sequence[str]) -> dict[str, object]:
    """The sdist's tests against the installed wheel: how they ended, in pytest's closing line."""
    command = [python, "-m", "pytest", "-q", "-o", "pythonpath=", "-p", "no:cacheprovider", *arguments]
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    log = tree.parent / "tests.log"
    with log.open("w", encoding="utf-8") as out:
        ended = subprocess.run(
            [str(part) for part in command], cwd=tree, env=env, stdout=out, stderr=out, check=False
        )
    text = log.read_text(encoding="utf-8")
    failed = re.findall(r"(?m)^(?:FAILED|ERROR) (\S+)", text)
    return {
        "arguments": list(arguments),
        "code": ended.returncode,
        "last": text.strip().rpartition("\n")[2].strip("= "),
        "failed": failed,
    }


def install(python: Path, *what: str | Path) -> None:
    """Install into an environment: with uv where `make` has it, else with pip."""
    uv = next(filter(None, map(shutil.which, (str(ROOT / ".venv" / "tool" / "bin" / "uv"), "uv"))), None)
    if uv is not None:
        env = {"UV_SYSTEM_CERTS": "true", **os.environ}
        run(uv, "pip", "install", "--quiet", "--python", python, *what, env=env)
    else:
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what)


def attempt(
    version: str, wheel: Path, sdist: Path, work: Path, arguments: Sequence[str]
) -> dict[str, object]:
    """All that is tried with one Python."""
    base = interpreter(version)
    if base is None:
        say(f"Python {version} is not on this machine; left out")
        return {"python": version, "left_out": "not on this machine"}
    here = work / version
    here.mkdir(parents=True)
    say(f"Python {version}: a new environment with what the wheel needs")
    run(base, "-m", "venv", here / "venv")
    python = here / "venv" / "bin" / "python"
    (lean := here / "lean.lock").write_text(lean_lock(version), encoding="utf-8")
    install(python, "--require-hashes", "--no-deps", "-r", lean)
    install(python, "--no-deps", wheel)
    run(python, "-m", "pip", "check")
    place = run(python, "-c", "import tpr_outcomes; print(tpr_outcomes.__file__)", cwd=here).strip()
    assert Path(place).is_relative_to(here / "venv"), place
    full = run(python, "-c", "import sys; print(sys.version.split()[0])").strip()
    installed = len(json.loads(run(python, "-m", "pip", "list", "--format", "json")))
    say(f"Python {full}: tpr evaluate, with {installed} packages installed")
    (away := here / "away").mkdir()
    done: dict[str, object] = {"python": full, "packages": installed, **evaluate(python, away)}
    if arguments:
        say(f"Python {full}: the rest of the lock, then the tests")
        install(python, "--require-hashes", "--no-deps", "-r", ROOT / "requirements.lock")
        run(python, "-m", "pip", "check")
        done["tests"] = tests(python, unpack(sdist, here / "sdist"), arguments)
    return done


def main() -> None:
    """Build, compare, try."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--pythons", nargs="*", default=PYTHONS, metavar="3.X")
    options.add_argument("--out", type=Path, default=ROOT / "dist")
    options.add_argument("--no-tests", action="store_true", help="install and evaluate only")
    options.add_argument("--work", type=Path, help="keep environments and logs in this folder")
    options.add_argument("tests", nargs="*", default=["-m", "not browser"], help="after --: words for pytest")
    chosen = options.parse_args()
    work = chosen.work or Path(tempfile.mkdtemp(prefix="tpr-release-"))
    shutil.rmtree(chosen.out, ignore_errors=True)
    say("building twice")
    first, second = build_twice(chosen.out.resolve(), work)
    if first != second:
        say(f"the two builds differ: {first} and {second}")
        sys.exit(1)
    for name, digest in first.items():
        say(f"{name} sha256 {digest}, twice the same")
    (wheel,) = chosen.out.resolve().glob("*.whl")
    (sdist,) = chosen.out.resolve().glob("*.tar.gz")
    record: dict[str, object] = {"source_date_epoch": epoch(), "sha256": first, "pythons": []}
    tried: list[dict[str, object]] = []
    for version in chosen.pythons:
        tried.append(attempt(version, wheel, sdist, work, [] if chosen.no_tests else chosen.tests))
        record["pythons"] = tried
        text = json.dumps(record, indent=2) + "\n"
        (chosen.out / "release.json").write_text(text, encoding="utf-8")
        say(json.dumps(tried[-1]))
    if chosen.work is None:
        shutil.rmtree(work)
    bad = [each for each in tried if "left_out" not in each and each.get("tests", {"code": 0})["code"] != 0]  # type: ignore[index]
    if len({each["verdict_sha256"] for each in tried if "verdict_sha256" in each}) > 1:
        say("verdict.json differs in some digits: the lock has other numpy and scipy for Python 3.11")
    sentences = {each["sentence"] for each in tried if "sentence" in each}
    if len(sentences) > 1:
        say(f"the answers differ: {sorted(map(str, sentences))}")
    sys.exit(1 if bad or len(sentences) > 1 else 0)


if __name__ == "__main__":
    main()
