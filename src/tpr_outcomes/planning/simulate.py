"""Clinics with the answer known: a world, a number of patients and a seed make a record.

:func:`simulate` gives the table the procedures read; :func:`simulate_frame` the same record as a clinic
would keep it, with names of patients, therapists and regions; :func:`to_file` writes that to a CSV file
with the truth beside it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tpr_outcomes.cohort.scales import get_scale
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import OutputError, PlanError
from tpr_outcomes.planning.course import run_course
from tpr_outcomes.planning.records import record
from tpr_outcomes.planning.truth import Truth
from tpr_outcomes.planning.worlds import WORLDS, get_world

__all__ = ["WORLDS", "Truth", "WrittenClinic", "get_world", "simulate", "simulate_frame", "to_file"]

FORMAT = "tpr_outcomes simulated clinic, version 1"


def simulate(truth: Truth | str, *, n_patients: int, seed: int) -> Visits:
    """Simulate a clinic.

    Parameters
    ----------
    truth : Truth or str
        A world, or the name of one (:func:`get_world`).
    n_patients : int
        Patients, 1 or more.
    seed : int
        0 or larger; the same seed gives the same bytes, and the same people on the same days in every
        world.

    Returns
    -------
    Visits
        One row per patient and attended visit; pain rated before needling. ``weeks`` only in worlds
        with irregular visits; ``insertions``, ``therapist``, ``region``, ``cotreatment``, ``target``
        only in worlds that turn on them.

    Raises
    ------
    PlanError
        When there is no such world or a number is not possible.

    Examples
    --------
    >>> visits = simulate("N4", n_patients=150, seed=1)
    >>> visits.n_patients
    150
    """
    truth = _world(truth)
    _require_whole("n_patients", n_patients, at_least=1)
    _require_whole("seed", seed, at_least=0)
    columns: dict[str, Any] = dict(record(truth, run_course(truth, n_patients, seed), seed))
    return Visits.from_arrays(**columns, scale=get_scale(truth.scale), rated="before")


def simulate_frame(
    truth: Truth | str, *, n_patients: int, seed: int, pain_blank: float = 0.01
) -> pd.DataFrame:
    """Simulate a clinic and write it down as a clinic would.

    The visits, scores and counts are those of :func:`simulate`, with a few ratings left blank and with
    age, sex, region, therapist and the reason for stopping, on which nothing depends unless the world
    says so.

    Parameters
    ----------
    truth : Truth or str
        A world, or the name of one.
    n_patients : int
        Patients, 1 or more.
    seed : int
        0 or larger.
    pain_blank : float
        Share of ratings left blank, unless the world has a share of its own.

    Returns
    -------
    pandas.DataFrame
        Columns ``patient`` (P001, ...), ``visit``, ``weeks`` (irregular worlds only), ``age``, ``sex``,
        ``region``, ``therapist``, ``pain``, ``twitches``, others the world has, ``stop_reason`` (on the
        last visit).

    Raises
    ------
    PlanError
        When there is no such world or a number is not possible.
    """
    truth = _as_clinic(_world(truth), pain_blank)
    _require_whole("n_patients", n_patients, at_least=1)
    _require_whole("seed", seed, at_least=0)
    columns = record(truth, run_course(truth, n_patients, seed), seed, descriptive=True)
    width = max(3, len(str(n_patients)))
    names = np.array([f"P{i + 1:0{width}d}" for i in range(n_patients)], dtype=object)
    frame = pd.DataFrame(columns | {"patient": names[columns["patient"]]})
    for name in frame.columns:
        if name != "weeks" and frame[name].dtype == np.float64:
            frame[name] = frame[name].astype("Int64")
    if "weeks" in frame:
        frame["weeks"] = frame["weeks"].round(3)
    return frame


@dataclass(frozen=True)
class WrittenClinic:
    """What :func:`to_file` wrote.

    Attributes
    ----------
    data, truth : Path
        The CSV file; the JSON file beside it.
    rows, patients : int
        How many of each.
    """

    data: Path
    truth: Path
    rows: int
    patients: int


def to_file(
    truth: Truth | str, path: str | Path, *, n_patients: int, seed: int, pain_blank: float = 0.01
) -> WrittenClinic:
    """Write a simulated clinic as CSV, and the truth as JSON beside it.

    Parameters
    ----------
    truth : Truth or str
        A world, or the name of one.
    path : str or Path
        The CSV file; the truth goes to the same name ending in ``.truth.json``.
    n_patients, seed, pain_blank
        As in :func:`simulate_frame`.

    Returns
    -------
    WrittenClinic
        Where the files are.

    Raises
    ------
    PlanError
        When there is no such world or a number is not possible.
    OutputError
        When a file cannot be written.
    """
    world = _world(truth)
    frame = simulate_frame(world, n_patients=n_patients, seed=seed, pain_blank=pain_blank)
    data = Path(path)
    sidecar = data.with_suffix(".truth.json")
    text = json.dumps(describe_truth(_as_clinic(world, pain_blank), n_patients, seed), indent=2) + "\n"
    rows = frame.to_csv(index=False, lineterminator="\n")
    write_both({data: rows.encode("utf-8"), sidecar: text.encode("utf-8")})
    return WrittenClinic(data, sidecar, len(frame), n_patients)


def write_both(files: Mapping[Path, bytes]) -> None:
    """Write a clinic and its truth: beside their places first, so that none is left half-written.

    Parameters
    ----------
    files : mapping of Path to bytes
        The clinic first; a file that is there without its truth beside it is somebody else's.

    Raises
    ------
    OutputError
        When one cannot be written, or the clinic's name is taken; what was there stays.
    """
    data = next(iter(files))
    if os.path.lexists(data) and not all(os.path.lexists(path) for path in files):
        raise OutputError(f"{data} is there already, and is no simulated clinic of ours. Name another file.")
    parts = {path: path.with_name(f".{path.name}.part-{os.getpid()}") for path in files}
    try:
        for path, content in files.items():
            parts[path].write_bytes(content)
        for path, part in parts.items():
            part.replace(path)
    except (OSError, ValueError) as error:
        raise OutputError(
            f"The simulated clinic could not be written ({getattr(error, 'strerror', None) or error}). "
            "Give a file name in a folder that exists and can be written to."
        ) from error
    finally:
        for part in parts.values():
            with contextlib.suppress(OSError, ValueError):
                part.unlink(missing_ok=True)


def describe_truth(truth: Truth, n_patients: int, seed: int) -> dict[str, Any]:
    """Return the answer of a simulated clinic, for JSON.

    Parameters
    ----------
    truth : Truth
        The world.
    n_patients, seed : int
        What the clinic was made with.

    Returns
    -------
    dict
        World, description, whether twitches work and whether there is a threshold (and where, in
        recorded twitches), patients, seed and every parameter.
    """
    return {
        "format": FORMAT,
        "world": truth.world,
        "description": truth.description,
        "twitches_work": truth.twitches_work,
        "has_threshold": truth.has_threshold,
        "threshold_recorded_twitches": truth.true_threshold,
        "patients": n_patients,
        "seed": seed,
        "parameters": truth.to_dict(),
    }


def _world(truth: Truth | str) -> Truth:
    return get_world(truth) if isinstance(truth, str) else truth


def _as_clinic(truth: Truth, pain_blank: float) -> Truth:
    return truth if truth.pain_blank > 0.0 else replace(truth, pain_blank=pain_blank)


def _require_whole(name: str, value: object, *, at_least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise PlanError(f"{name} is {value!r}; it needs to be a whole number. Correct {name}.")
    if value < at_least:
        raise PlanError(f"{name} is {value}; it needs to be {at_least} or larger. Correct {name}.")
