"""Published arms: one row per arm, instrument and time, with the place where the numbers are printed.

The format is described in evidence/README.md. A row without a DOI and a page or table is refused: a number
nobody can look up is no evidence. What was assigned by chance and what happened to come are kept apart.
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tpr_outcomes.cohort.opening import read_file
from tpr_outcomes.cohort.problems import Problem
from tpr_outcomes.cohort.scales import SCALES
from tpr_outcomes.errors import DataError, PlanError, SourceError

Kind = Literal["assigned", "observed"]

COLUMNS = (
    "study_id", "doi", "page_or_table", "arm", "n", "ltr_dose_assigned", "ltr_observed_mean",
    "ltr_observed_sd", "sessions", "interval_days", "scale", "time_hours", "mean", "sd", "sd_is_se_flag",
    "assigned_or_observed", "extractor", "verified_by",
)  # fmt: skip
"""Columns of the file, in order."""
EXHAUSTION = "exhaustion"
_NOTHING = frozenset({"", "na", "n/a"})


@dataclass(frozen=True)
class Arm:
    """One arm at one time.

    Attributes
    ----------
    study, arm : str
    doi, place : str
        Where the numbers are printed.
    n : int
        Patients.
    assigned : float
        Twitches assigned; nan where none, ``inf`` for "until no more came".
    observed : float
        Mean of the twitches that came; nan where not given.
    kind : {"assigned", "observed"}
        How the arms came about.
    sessions : int
    scale : str
        Name of the instrument.
    hours : float
        Hours after the last session.
    mean, sd : float
        Points of the instrument; a standard error has been turned into a standard deviation.
    verified : bool
        Whether somebody other than the extractor checked the row.
    line : int
        Line of the file.
    """

    study: str
    arm: str
    doi: str
    place: str
    n: int
    assigned: float
    observed: float
    kind: Kind
    sessions: int
    scale: str
    hours: float
    mean: float
    sd: float
    verified: bool
    line: int


def read_arms(path: str | Path) -> tuple[Arm, ...]:
    """Read and check a file of published arms.

    Parameters
    ----------
    path : str or Path
        CSV, UTF-8, with the columns :data:`COLUMNS`.

    Returns
    -------
    tuple of Arm
        In the order of the file; empty where it has a header only.

    Raises
    ------
    SourceError
        When the file cannot be opened or is no text.
    DataError
        With every problem at once: line, column, what is wanted.
    """
    try:
        text = read_file(Path(path), text=True).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError("The file of published arms is not UTF-8 text; save it as CSV UTF-8.") from error
    lines = list(csv.reader(io.StringIO(text)))
    if not lines or tuple(name.strip() for name in lines[0]) != COLUMNS:
        raise DataError(
            f"The first line has to be: {','.join(COLUMNS)}. Copy it from evidence/arms.csv; see its README."
        )
    found = [
        _Row(number, line) for number, line in enumerate(lines[1:], start=2) if any(map(str.strip, line))
    ]
    arms = [row.arm() for row in found]
    problems = [problem for row in found for problem in row.problems]
    problems += _twice(arm for arm in arms if arm is not None)
    if problems:
        problems.sort(key=lambda problem: problem.row)
        raise DataError("The file of published arms cannot be used as it stands.", tuple(problems))
    return tuple(arm for arm in arms if arm is not None)


class _Row:
    """One line of the file, and what is wrong with it."""

    def __init__(self, number: int, cells: list[str]) -> None:
        self.number = number
        self.cells = dict(zip(COLUMNS, (cell.strip() for cell in cells), strict=False))
        self.problems: list[Problem] = []
        if len(cells) != len(COLUMNS):
            self.wrong(
                "study_id",
                f"The line has {len(cells)} cells; {len(COLUMNS)} are wanted.",
                "Put texts with commas into quotation marks; write NA for what is not given.",
            )

    def wrong(self, column: str, message: str, remedy: str) -> None:
        address = f"line {self.number}, column {column}"
        self.problems.append(
            Problem(f"arm_{column}", "error", address, column, "", message, remedy, self.number)
        )

    def text(self, column: str, message: str) -> str:
        value = self.cells.get(column, "")
        if value.lower() in _NOTHING:
            self.wrong(column, message, "Fill it in; a row that cannot be looked up is not used.")
        return value

    def number_in(self, column: str, *, low: float, needed: bool = True, whole: bool = False) -> float:
        value = self.cells.get(column, "")
        if value.lower() in _NOTHING and not needed:
            return math.nan
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number) or number < low or (whole and number % 1):
            kind = "a whole number" if whole else "a number"
            self.wrong(
                column, f"{column} has to be {kind} from {low:g}.", "Write it as printed, with a point."
            )
            return math.nan
        return number

    def choice(self, column: str, words: tuple[str, ...]) -> str:
        value = self.cells.get(column, "").lower()
        if value not in words:
            self.wrong(column, f"{column} has to be {' or '.join(words)}.", "Write one of these words.")
        return value

    def arm(self) -> Arm | None:
        """Return the arm, or None where something is wrong."""
        doi = self.text("doi", "The row names no DOI.")
        if doi and not doi.startswith("10.") and doi.lower() not in _NOTHING:
            self.wrong("doi", "A DOI begins with 10.", "Write it without an address in front.")
        place = self.text("page_or_table", "The row names no page or table.")
        study, name = (
            self.text("study_id", "The study has no name."),
            self.text("arm", "The arm has no name."),
        )
        n = self.number_in("n", low=2, whole=True)
        dose = self.cells.get("ltr_dose_assigned", "").lower()
        assigned = math.inf
        if dose != EXHAUSTION:
            assigned = self.number_in("ltr_dose_assigned", low=0, needed=False, whole=True)
        observed = self.number_in("ltr_observed_mean", low=0, needed=False)
        self.number_in("ltr_observed_sd", low=0, needed=False)
        sessions = self.number_in("sessions", low=1, whole=True)
        self.number_in("interval_days", low=0, needed=False)
        scale = self.choice("scale", tuple(SCALES))
        hours = self.number_in("time_hours", low=0)
        mean = self.number_in("mean", low=-math.inf)
        sd = self.number_in("sd", low=0)
        if sd == 0:
            self.wrong("sd", "A spread of 0 says that all patients were alike.", "Look it up again.")
        is_se = self.choice("sd_is_se_flag", ("0", "1")) == "1"
        kind = self.choice("assigned_or_observed", ("assigned", "observed"))
        if kind == "assigned" and math.isnan(assigned):
            self.wrong(
                "ltr_dose_assigned",
                "The arms were assigned, but the row has no dose.",
                "Write the dose, or observed under assigned_or_observed.",
            )
        if self.problems:
            return None
        extractor, verified = (self.cells[key].lower() for key in ("extractor", "verified_by"))
        return Arm(
            study=study, arm=name, doi=doi, place=place, n=int(n), assigned=assigned, observed=observed,
            kind="assigned" if kind == "assigned" else "observed", sessions=int(sessions), scale=scale,
            hours=hours, mean=mean, sd=sd * math.sqrt(n) if is_se else sd,
            verified=verified not in _NOTHING and verified != extractor, line=self.number,
        )  # fmt: skip


def _twice(arms: Iterable[Arm]) -> list[Problem]:
    """Find rows that say the same of the same arm."""
    known = list(arms)
    counts = Counter((a.study, a.arm, a.scale, a.hours) for a in known)
    said = "The arm has two rows for one scale and time.", "Keep the row of the better source."
    return [
        Problem("arm_twice", "error", f"line {a.line}", "", "", *said, a.line)
        for a in known
        if counts[a.study, a.arm, a.scale, a.hours] > 1
    ]


def select_arms(
    arms: Iterable[Arm], *, scale: str | None = None, hours: tuple[float, float] | None = None
) -> tuple[Arm, ...]:
    """Keep the arms of one instrument and time.

    Parameters
    ----------
    arms : iterable of Arm
    scale : str, optional
        Name of the instrument; all if not given.
    hours : tuple of float, optional
        First and last hour after the last session, both included.

    Raises
    ------
    PlanError
        When the instrument is not known, or the hours are not in order.
    """
    if scale is not None and scale not in SCALES:
        raise PlanError(f"There is no instrument {scale!r}; known are {', '.join(SCALES)}.")
    low, high = hours or (0.0, math.inf)
    if not 0 <= low <= high:
        raise PlanError(f"Hours from {low:g} to {high:g} were asked for; give the earlier one first.")
    return tuple(a for a in arms if scale in (None, a.scale) and low <= a.hours <= high)
