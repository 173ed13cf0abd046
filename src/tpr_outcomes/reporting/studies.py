"""Simulation studies on disk: settings as people write them in, tables and a note of how they were made out.

A study's folder holds its tables as CSV and ``study.json``: command, settings, rule and versions. Nothing in
it depends on the clock, the machine or the number of workers, so the same command gives the same bytes.
"""

from __future__ import annotations

import gzip
import io
import json
import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from tpr_outcomes import __version__
from tpr_outcomes.errors import OutputError, PlanError
from tpr_outcomes.inference.evidence import RULE_NAME, RULE_VERSION
from tpr_outcomes.planning.operating import calibrate, operating_table
from tpr_outcomes.planning.power import ASSIGNMENTS, PowerGrid, Question, power_grid
from tpr_outcomes.planning.rates import Rate
from tpr_outcomes.planning.workers import Workers
from tpr_outcomes.planning.worlds import WORLDS, get_world
from tpr_outcomes.reporting.plots_planning import power_figure

SCHEMA = "tpr-outcomes/study/1"
CHECKPOINT = "checkpoint.jsonl"
LIBRARIES = ("numpy", "scipy", "pandas")
ANSWERED: tuple[Question, ...] = ("supported", "shape", "not_line", "not_saturation", "not_nothing")
"""Questions for which a number of patients is given."""
Progress = Callable[[int, int], None]


def worlds_in(text: str) -> list[str]:
    """Read ``"all"``, or names of worlds separated by commas.

    Examples
    --------
    >>> worlds_in("n4, A-thr40")
    ['N4', 'A-thr40']

    Raises
    ------
    PlanError
        When there is no such world, or it is not one of those with a name of their own.
    """
    if text.strip().lower() == "all":
        return list(WORLDS)
    names = [get_world(part).world for part in _parts("worlds", text)]
    unnamed = [name for name in names if name not in WORLDS]
    if unnamed:
        raise PlanError(
            f"worlds holds {unnamed[0]!r}, which is composed; a study takes the named worlds. "
            "`tpr simulate list` lists them."
        )
    return list(dict.fromkeys(names))


def sizes_in(text: str) -> dict[int, int]:
    """Read patients and clinics, ``"60:500,150:1000"``: 500 clinics of 60 patients, 1,000 of 150.

    Raises
    ------
    PlanError
        When it is not of that form; the message names ``patients``.
    """
    sizes: dict[int, int] = {}
    for part in _parts("patients", text):
        left, colon, right = part.partition(":")
        if not colon:
            raise PlanError(f"patients holds {part!r}; write patients:clinics, for example 150:1000.")
        n, clinics = (_whole("patients", number) for number in (left, right))
        if n < 1 or clinics < 1:
            raise PlanError(f"patients holds {part!r}; patients and clinics need to be 1 or more.")
        if n in sizes:
            raise PlanError(f"patients has {n} twice; name each number of patients once.")
        sizes[n] = clinics
    return sizes


def whole_in(name: str, text: str) -> list[int]:
    """Read whole numbers separated by commas.

    Examples
    --------
    >>> whole_in("visits", "6,12")
    [6, 12]
    """
    return [_whole(name, part) for part in _parts(name, text)]


def numbers_in(name: str, text: str) -> list[float]:
    """Read numbers separated by commas.

    Examples
    --------
    >>> numbers_in("slopes", "-0.05, -0.025")
    [-0.05, -0.025]
    """
    found = []
    for part in _parts(name, text):
        try:
            found.append(float(part))
        except ValueError:
            raise PlanError(f"{name} holds {part!r}, which is not a number. Correct {name}.") from None
    return found


def _parts(name: str, text: str) -> list[str]:
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise PlanError(f"{name} is {text!r}; write values with a comma between them. Correct {name}.")
    return parts


def _whole(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise PlanError(f"{name} holds {text!r}, which is not a whole number. Correct {name}.") from None


# --- the studies -------------------------------------------------------------------------------------------


def calibration_study(
    directory: str | Path,
    *,
    worlds: str,
    patients: str,
    seed: int,
    bootstrap: int = 399,
    workers: Workers = 1,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Run the procedure in known worlds, and write what came out.

    Parameters
    ----------
    directory : str or Path
        Folder of the study; one that holds an unfinished run of the same study carries on from it.
    worlds, patients : str
        As :func:`worlds_in` and :func:`sizes_in` read them.
    seed : int
    bootstrap, workers, progress
        As in :func:`~tpr_outcomes.planning.operating.calibrate`.

    Returns
    -------
    DataFrame
        What :func:`~tpr_outcomes.planning.operating.operating_table` gives. The folder holds it as
        ``operating-characteristics.csv``, the clinics as ``replicates.csv.gz``, and ``study.json``.

    Raises
    ------
    PlanError
        When a setting is not valid, or the folder holds another study.
    OutputError
        When the folder cannot be written.
    """
    names, sizes = worlds_in(worlds), sizes_in(patients)
    _require_seed(seed)
    folder = _folder(directory)
    replicates = calibrate(
        names,
        sizes=sizes,
        seed=seed,
        bootstrap=bootstrap,
        workers=workers,
        checkpoint=folder / CHECKPOINT,
        progress=progress,
    )
    table = operating_table(replicates)
    given = ",".join(f"{n}:{clinics}" for n, clinics in sizes.items())
    asked = "all" if names == list(WORLDS) else ",".join(names)
    command = f"tpr calibrate --worlds {asked} --patients {given} --seed {seed} --bootstrap {bootstrap}"
    settings = {"worlds": names, "patients": {str(n): clinics for n, clinics in sizes.items()}}
    note = study_note("calibrate", command, seed=seed, bootstrap=bootstrap, settings=settings)
    files = {
        "operating-characteristics.csv": _csv(table),
        "replicates.csv.gz": gzip.compress(_csv(replicates), mtime=0),
        "study.json": note,
    }
    _write(folder, files)
    return table


def power_study(
    directory: str | Path,
    *,
    patients: str,
    visits: str,
    thresholds: str,
    slopes: str,
    only: str = "",
    target: int = 8,
    world: str = "N4",
    clinics: int = 200,
    seed: int,
    bootstrap: int = 399,
    workers: Workers = 1,
    progress: Progress | None = None,
) -> PowerGrid:
    """Run a power grid, and write its tables and figure.

    Parameters
    ----------
    directory : str or Path
        Folder of the study; one that holds an unfinished run of the same study carries on from it.
    patients, visits, thresholds, slopes : str
        Numbers separated by commas.
    only : {"", "observed", "randomised"}
        One way of deciding the dose; both by default.
    target, world, clinics, seed, bootstrap, workers, progress
        As in :func:`~tpr_outcomes.planning.power.power_grid`.

    Returns
    -------
    PowerGrid
        The folder holds ``power.csv``, ``patients-needed.csv``, ``power.svg`` and ``study.json``.

    Raises
    ------
    PlanError
        When a setting is not valid.
    OutputError
        When the folder cannot be written.
    """
    n, slots = whole_in("patients", patients), whole_in("visits", visits)
    at, relief = numbers_in("thresholds", thresholds), numbers_in("slopes", slopes)
    if only and only not in ASSIGNMENTS:
        raise PlanError(f"only is {only!r}; it needs to be one of {', '.join(ASSIGNMENTS)}, or left out.")
    assignments = tuple(name for name in ASSIGNMENTS if only in ("", name))
    folder = _folder(directory)
    kept = folder / CHECKPOINT
    result = power_grid(
        patients=n,
        visits=slots,
        thresholds=at,
        slopes=relief,
        assignments=assignments,
        target=target,
        world=world,
        clinics=clinics,
        seed=seed,
        bootstrap=bootstrap,
        workers=workers,
        checkpoint=kept,
        progress=progress,
    )
    grid: dict[str, Sequence[float]] = {"patients": n, "visits": slots, "thresholds": at, "slopes": relief}
    options = " ".join(f"--{key} {','.join(f'{value:g}' for value in grid[key])}" for key in grid)
    options += f" --target {target} --world {world} --clinics {clinics}"
    options += f" --only {only}" if only else ""
    command = f"tpr power {options} --seed {seed} --bootstrap {bootstrap}"
    settings: dict[str, object] = {**grid, "assignments": list(assignments), "target": target}
    settings |= {"world": world, "clinics": clinics}
    needed = pd.concat(
        [result.patients_needed(question=question) for question in ANSWERED], ignore_index=True
    )
    files = {
        "power.csv": _csv(result.to_frame()),
        "patients-needed.csv": _csv(needed),
        "power.svg": power_figure(result).encode(),
        "study.json": study_note("power", command, seed=seed, bootstrap=bootstrap, settings=settings),
    }
    _write(folder, files)
    return result


def power_rows(result: PowerGrid) -> list[dict[str, str]]:
    """Return one row per kind of clinic for people: what it is, percent and error per question."""
    rows = []
    for item in result.cells:
        c = item.cell
        what = {
            "dose": c.assignment,
            "patients": str(c.patients),
            "visits": str(c.visits),
            "threshold": "none" if c.threshold is None else f"{c.threshold:g}",
            "slope": f"{c.slope:g}",
        }
        rates = {name: Rate(count, item.clinics) for name, count in item.counts.items()}
        said = {name: f"{100 * r.share:.0f} ± {100 * r.mcse:.1f}" for name, r in rates.items()}
        rows.append(what | said)
    return rows


def study_note(
    study: str, command: str, *, seed: int, bootstrap: int, settings: Mapping[str, object]
) -> bytes:
    """Return ``study.json``: what it takes to make the study again."""
    versions = {"tpr-outcomes": __version__, "python": platform.python_version()}
    content = {
        "schema": SCHEMA,
        "study": study,
        "command": command,
        "seed": seed,
        "bootstrap": bootstrap,
        "settings": settings,
        "rule": {"name": RULE_NAME, "version": RULE_VERSION},
        "versions": versions | {name: version(name) for name in LIBRARIES},
    }
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def _require_seed(seed: int) -> None:
    if seed < 0:
        raise PlanError(f"seed is {seed}; it needs to be 0 or larger. Correct seed.")


def _folder(directory: str | Path) -> Path:
    folder = Path(directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refusal(error) from error
    return folder


def _write(folder: Path, files: dict[str, bytes]) -> None:
    try:
        for name, content in files.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise _refusal(error) from error


def _refusal(error: OSError) -> OutputError:
    return OutputError(
        f"The study's folder cannot be written ({error.strerror}). Name a folder that can be made or written."
    )


def _csv(frame: pd.DataFrame) -> bytes:
    made = io.StringIO()
    frame.to_csv(made, index=False, lineterminator="\n", float_format="%.10g")
    return made.getvalue().encode()
