"""Data sets to learn and test with: two simulated clinics, and one real trial that is not shipped."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from tpr_outcomes.cohort.scales import SCALES, Scale
from tpr_outcomes.cohort.visits import Visits, read_visits
from tpr_outcomes.errors import DatasetError, PlanError

DATA_VARIABLE = "TPR_OUTCOMES_DATA"
"""Environment variable naming a folder of data sets that are not shipped."""

EXAMPLES = ("threshold", "nothing")
"""Names of the simulated clinics."""

VICKERS_FILE = "vickers_acupuncture/vickers_full_raw_data.csv"
VICKERS_SHA256 = "7db543207abf83d2b91bdd56374a1479a532837c57c0d5f34ea01b1707289520"
VICKERS_ADDRESS = (
    "https://raw.githubusercontent.com/darshanmehta17/acupuncture_analysis/"
    "5c8889aec7c38ff028c421f1ba22e609a42572ce/data/raw_data.csv"
)
VICKERS_CITATION = (
    "Vickers AJ, Rees RW, Zollman CE, et al. Acupuncture for chronic headache in primary care: large, "
    "pragmatic, randomised trial. BMJ 2004;328:744. doi:10.1136/bmj.38029.421863.EB. "
    "Data: Vickers AJ. Whose data set is it anyway? Sharing raw data from randomized trials. "
    "Trials 2006;7:15. doi:10.1186/1745-6215-7-15 (CC BY 2.0)."
)

HEADACHE_SCORE = Scale("headache_score", "headache severity score (four-week diary)", 0.0, math.inf, "points")
"""Outcome of the Vickers trial. Its upper end is not documented with the data."""

_VICKERS_WEEKS = (0.0, 13.0, 52.0)


def load_example(name: Literal["threshold", "nothing"] = "threshold") -> Visits:
    """Read one of the two simulated clinics that come with the package.

    Parameters
    ----------
    name : {"threshold", "nothing"}
        A clinic where relief begins past a cumulative dose, or one where twitches do nothing.

    Returns
    -------
    Visits
        The clinic, read the way a user's file would be.

    Raises
    ------
    DatasetError
        When there is no such example, or its file is not where it was installed.
    """
    if name not in EXAMPLES:
        raise DatasetError(f"There is no example called {name!r}; the examples are {' and '.join(EXAMPLES)}.")
    return read_visits(example_file(name))


def example_file(name: str) -> Path:
    """Return the file of an example, in an installed package or in a checkout.

    Parameters
    ----------
    name : str
        Name in :data:`EXAMPLES`.

    Returns
    -------
    Path
        A CSV file.

    Raises
    ------
    DatasetError
        When the file is in neither place.
    """
    here = Path(__file__).resolve().parent
    for folder in (here / "data", here.parents[1] / "data"):
        path = folder / f"example_{name}.csv"
        if path.is_file():
            return path
    raise DatasetError(f"The example file example_{name}.csv is not installed; install the package again.")


def load_vickers() -> pd.DataFrame:
    """Read the trial of acupuncture for chronic headache, one row per patient, as published.

    Returns
    -------
    pandas.DataFrame
        (401, 94): 205 patients of the acupuncture arm (``group`` 1) and 196 controls. Columns are
        those of the source, with ``date_randomized`` as a date. ``pk1``, ``pk2``, ``pk5`` are the
        headache score at baseline, 3 and 12 months (higher is worse), NaN where there is no diary.

    Raises
    ------
    DatasetError
        When the file is neither at hand nor to be had, or is not the file expected.

    Notes
    -----
    Values are left as they are, traps included. ``f2`` and ``f5`` (headache days) are 0, not
    missing, where there was no diary: use them only where ``pk2`` or ``pk5`` is present.
    ``p2cacu`` to ``p5cacu`` are outside treatments, not the trial's; its sessions are
    ``acuptreatments``, known in the acupuncture arm only, and chosen by attendance: their slope is
    not an effect.

    References
    ----------
    Vickers AJ et al. BMJ 2004;328:744. doi:10.1136/bmj.38029.421863.EB.
    Data: Trials 2006;7:15. doi:10.1186/1745-6215-7-15 (CC BY 2.0).
    """
    table = pd.read_csv(vickers_file())
    table["date_randomized"] = pd.to_datetime(table["date_randomized"], format="%d/%m/%Y")
    return table


_VICKERS_OUTCOMES = {
    "severity": (("pk1", "pk2", "pk5"), HEADACHE_SCORE),
    "headache_days": (("f1", "f2", "f5"), SCALES["headache_days"]),
}


def load_vickers_visits(outcome: Literal["severity", "headache_days"] = "severity") -> Visits:
    """Return the acupuncture arm of the trial as visits, with sessions as the dose.

    Parameters
    ----------
    outcome : {"severity", "headache_days"}
        The headache score, or the days with headache in 28 days; both from the same diaries.

    Returns
    -------
    Visits
        205 patients with three ratings each (weeks 0, 13 and 52; NaN where there was no diary).
        ``pain`` is the outcome asked for, ``sessions`` the dose; twitches were not recorded.

    Raises
    ------
    PlanError
        When there is no such outcome.
    DatasetError
        As :func:`load_vickers`.

    Notes
    -----
    The trial gave up to 12 treatments within three months of randomisation and counted them per
    patient, not by date. All sessions of a patient therefore stand in the row of the baseline
    rating, as needling that followed it: they count "before" the ratings at 3 and at 12 months
    alike, and no sessions are recorded after 3 months. With one dose per patient these visits show
    who attended more, not what more sessions did. Nineteen patients had no session; 7 of them have
    a score at 3 months and 5 at 12.
    """
    if outcome not in _VICKERS_OUTCOMES:
        raise PlanError(
            f"The trial has no outcome {outcome!r}; its outcomes are {' and '.join(_VICKERS_OUTCOMES)}."
        )
    arm = vickers_days(load_vickers()).query("group == 1")
    columns, scale = _VICKERS_OUTCOMES[outcome]
    n, visits = len(arm), len(_VICKERS_WEEKS)
    sessions = np.zeros((n, visits))
    sessions[:, 0] = arm["acuptreatments"]
    record = Visits.from_arrays(
        patient=np.repeat(np.arange(n), visits),
        visit=np.tile(np.arange(1, visits + 1), n),
        weeks=np.tile(_VICKERS_WEEKS, n),
        pain=arm[list(columns)].to_numpy(dtype=np.float64).ravel(),
        twitches=np.full(n * visits, np.nan),
        sessions=sessions.ravel(),
        age=np.repeat(arm["age"].to_numpy(dtype=np.float64), visits),
        sex=np.repeat(np.where(arm["sex"] == 1, "f", "m"), visits),
        therapist=np.repeat([f"T{code}" for code in arm["acupuncturist"]], visits),
        stop_reason=np.repeat(arm["withdrawal_reason"].to_numpy(dtype=object), visits),
        scale=scale,
        kind="dataset",
    )
    return dataclasses.replace(record, source=dataclasses.replace(record.source, sha256=VICKERS_SHA256))


def vickers_days(table: pd.DataFrame) -> pd.DataFrame:
    """Return the trial's table with headache days missing where there was no diary, instead of 0.

    Parameters
    ----------
    table : DataFrame
        As :func:`load_vickers` returns it; left as it is.

    Returns
    -------
    DataFrame
        The same with ``f2`` and ``f5`` NaN where ``pk2`` and ``pk5`` are.
    """
    diaries = {
        days: table[days].where(table[score].notna()) for days, score in (("f2", "pk2"), ("f5", "pk5"))
    }
    return table.assign(**diaries)


def vickers_file(*, fetch: bool = True) -> Path:
    """Return the trial's file: from the user's data folder, else fetched once and kept.

    Parameters
    ----------
    fetch : bool
        Whether the public repository may be asked when the file is not at hand.

    Returns
    -------
    Path
        A file with the checksum expected.

    Raises
    ------
    DatasetError
        When the file is not to be had, or its checksum differs.
    """
    import pooch  # type: ignore[import-untyped]

    folder = os.environ.get(DATA_VARIABLE)
    if folder and (path := Path(folder) / VICKERS_FILE).is_file():
        return _verified(path)
    cache = Path(pooch.os_cache("tpr_outcomes"))
    kept = cache / Path(VICKERS_FILE).name
    if kept.is_file():
        return _verified(kept)
    if fetch:
        try:
            return Path(
                pooch.retrieve(
                    VICKERS_ADDRESS, known_hash=f"sha256:{VICKERS_SHA256}", fname=kept.name, path=cache
                )
            )
        except (OSError, ValueError) as error:
            raise DatasetError(_how_to_get_it("could not be fetched")) from error
    raise DatasetError(_how_to_get_it("is not at hand"))


def _verified(path: Path) -> Path:
    """Return the path if its content is the file expected."""
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != VICKERS_SHA256:
        raise DatasetError(
            f"{path} is not the file expected: its sha256 begins {found[:12]}, wanted is "
            f"{VICKERS_SHA256[:12]}. Replace or remove it."
        )
    return path


def _how_to_get_it(what: str) -> str:
    """Say what is wrong with the trial's file and where it is to be had."""
    return (
        f"The headache trial {what}. Download {VICKERS_ADDRESS} and save it as {VICKERS_FILE} in a folder; "
        f"then set the environment variable {DATA_VARIABLE} to that folder. (Its sha256 is {VICKERS_SHA256}.)"
    )
