"""How many patients and visits does it take to tell a threshold from a line, from saturation, from nothing?

Clinics of every size in a grid are simulated with a threshold at work and put through the same procedure
that will judge the real one; beside them stand the same clinics with a *randomised* twitch target (0 or
``target`` twitches a visit, the same insertions), and clinics in which twitches do nothing, for the rate of
false answers. docs/methods/power.md has the formulas and a small table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import groupby, pairwise
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd

from tpr_outcomes.errors import PlanError
from tpr_outcomes.inference.evidence import THRESHOLD_LEVEL, Evidence, decide, gather_evidence
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.planning.rates import Rate
from tpr_outcomes.planning.simulate import get_world, simulate
from tpr_outcomes.planning.truth import Truth
from tpr_outcomes.planning.workers import Checkpoint, Workers, require_workers, run_in_order, study_header
from tpr_outcomes.planning.worlds import MODIFIERS

Assignment = Literal["observed", "randomised"]
Question = Literal["supported", "shape", "not_line", "not_saturation", "not_nothing", "identifiable"]

ASSIGNMENTS: tuple[Assignment, ...] = get_args(Assignment)
QUESTIONS: dict[str, str] = {
    "supported": "the verdict is threshold_supported: all rivals beaten, both checks passed",
    "shape": "all rivals beaten, whatever the checks for hidden reasons say",
    "not_line": f"p < {THRESHOLD_LEVEL:.0%} against a straight line",
    "not_saturation": f"p < {THRESHOLD_LEVEL:.0%} against both curves that level off",
    "not_nothing": f"p < {THRESHOLD_LEVEL:.0%} against time alone",
    "identifiable": "the design gate says the record could answer",
}
"""What is counted, in words; the level is the one each rival must be beaten at.

Where the lot decides the dose, ``shape`` is the answer to read: there are no hidden reasons to check for,
and the checks misfire. Earlier pain, once the dose has worked, tells which arm a patient is in, and so
predicts the dose (lead); a patient's own level of twitches, which Mundlak takes out, *is* the arm."""


@dataclass(frozen=True)
class Cell:
    """One kind of clinic.

    Attributes
    ----------
    assignment : {"observed", "randomised"}
        Who decides how many twitches: the therapist, or a lot between 0 and ``target``.
    patients, visits : int
        Patients; appointments planned per patient.
    threshold : float or None
        Twitches; None where they do nothing.
    slope : float
        NRS points per twitch past the threshold, negative is relief; 0 without a threshold.
    """

    assignment: Assignment
    patients: int
    visits: int
    threshold: float | None
    slope: float


@dataclass(frozen=True)
class PowerCell:
    """What the procedure said of one kind of clinic.

    Attributes
    ----------
    cell : Cell
    clinics : int
        Simulated clinics.
    counts : dict of str to int
        Clinics per key of :data:`QUESTIONS`.
    """

    cell: Cell
    clinics: int
    counts: dict[str, int]

    def rate(self, question: Question = "supported") -> Rate:
        """How often the answer was yes."""
        return Rate(self.counts[question], self.clinics)


@dataclass(frozen=True)
class PowerGrid:
    """Power over a grid of designs.

    Attributes
    ----------
    cells : tuple of PowerCell
    world : str
        Clinic the grid varies.
    target : int
        Higher twitch target of the randomised designs.
    bootstrap, seed : int
    """

    cells: tuple[PowerCell, ...]
    world: str
    target: int
    bootstrap: int
    seed: int

    def to_frame(self) -> pd.DataFrame:
        """Return one row per cell and question.

        Returns
        -------
        DataFrame
            ``assignment, patients, visits, threshold`` (missing where twitches do nothing), ``slope,
            clinics, question, count, estimate`` (share), ``mcse, conf_low, conf_high`` (exact, 95%).
        """
        rows = []
        for item in self.cells:
            c = item.cell
            what = {
                "assignment": c.assignment,
                "patients": c.patients,
                "visits": c.visits,
                "threshold": np.nan if c.threshold is None else c.threshold,
                "slope": c.slope,
                "clinics": item.clinics,
            }
            for question in get_args(Question):
                r = item.rate(question)
                said = {"question": question, "count": r.count, "estimate": r.share, "mcse": r.mcse}
                rows.append(what | said | {"conf_low": r.conf_low, "conf_high": r.conf_high})
        return pd.DataFrame(rows)

    def patients_needed(self, share: float = 0.8, question: Question = "supported") -> pd.DataFrame:
        """Patients at which a share of clinics would be answered, per design and threshold.

        Parameters
        ----------
        share : float
            Wanted power, between 0 and 1.
        question : str
            A key of :data:`QUESTIONS`.

        Returns
        -------
        DataFrame
            ``question, assignment, visits, threshold, slope, patients, beyond``: interpolated in the
            logarithm of the number of patients; ``beyond`` is ``"fewer"`` or ``"more"`` where the answer lies
            outside the grid (``patients`` is then its nearest end), else empty.
        """
        if not 0.0 < share < 1.0:
            raise PlanError(f"share is {share:g}; it needs to be between 0 and 1. Correct share.")

        def key(item: PowerCell) -> tuple[str, int, float, float]:
            c = item.cell
            return c.assignment, c.visits, c.threshold or 0.0, c.slope

        rows = []
        working = sorted((item for item in self.cells if item.cell.threshold is not None), key=key)
        for (assignment, visits, threshold, slope), group in groupby(working, key=key):
            curve = sorted((item.cell.patients, item.rate(question).share) for item in group)
            patients, beyond = _crossing(curve, share)
            found = {"question": question, "assignment": assignment, "visits": visits}
            found |= {"threshold": threshold, "slope": slope}
            rows.append(found | {"patients": patients, "beyond": beyond})
        columns = ["question", "assignment", "visits", "threshold", "slope", "patients", "beyond"]
        return pd.DataFrame(rows, columns=columns)


def _crossing(curve: Sequence[tuple[int, float]], share: float) -> tuple[int, str]:
    """Smallest number of patients from which on the curve stays at or above a share."""
    if curve[-1][1] < share:
        return curve[-1][0], "more"
    patients, beyond = curve[0][0], "fewer" if curve[0][1] > share else ""
    for (few, low), (many, high) in pairwise(curve):
        if low < share <= high:
            between = np.log(few) + (share - low) / (high - low) * (np.log(many) - np.log(few))
            patients, beyond = int(np.ceil(round(float(np.exp(between)), 6))), ""
    return patients, beyond


def power_grid(
    *,
    patients: Sequence[int] = (60, 150, 400),
    visits: Sequence[int] = (12,),
    thresholds: Sequence[float] = (30.0,),
    slopes: Sequence[float] = (-0.05,),
    assignments: Sequence[Assignment] = ASSIGNMENTS,
    target: int = 8,
    world: str = "N4",
    clinics: int = 200,
    seed: int,
    bootstrap: int = 399,
    workers: Workers = 1,
    checkpoint: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PowerGrid:
    """Run the procedure over a grid of designs.

    Parameters
    ----------
    patients, visits : sequence of int
        Patients per clinic; appointments planned per patient, 2 or more.
    thresholds : sequence of float
        Twitches past which each further one helps.
    slopes : sequence of float
        NRS points per twitch past the threshold; negative is relief.
    assignments : sequence of {"observed", "randomised"}
    target : int
        Higher twitch target of the randomised designs.
    world : str
        A world in which twitches do nothing (:func:`~tpr_outcomes.planning.worlds.get_world`): how
        patients recover, are needled and leave.
    clinics : int
        Simulated clinics per cell.
    seed : int
        0 or larger.
    bootstrap : int
        Multiplier replicates inside each verdict.
    workers : int or str
        Processes, or the address of a Dask scheduler; the numbers do not depend on it.
    checkpoint : Path, optional
        JSON-lines file of finished clinics; a run that finds one carries on from it.
    progress : callable, optional
        Called with (done, all).

    Returns
    -------
    PowerGrid
        Per assignment, patients and visits: first the clinic in which twitches do nothing, then every
        slope and threshold. Clinics of one size share patients and days whatever the twitches do.

    Raises
    ------
    PlanError
        When there is no such world, twitches work in it, a number is not possible, or the checkpoint is of
        another study.
    WorkersError
        When workers cannot be had or are lost; finished clinics are in the checkpoint.
    """
    _require(patients, visits, thresholds, slopes, assignments, clinics, seed, bootstrap)
    require_workers(workers)
    effects: list[tuple[float | None, float]] = [(None, 0.0)]
    effects += [(float(at), float(slope)) for slope in slopes for at in thresholds]
    cells = [
        Cell(assignment, n, slots, at, slope)
        for assignment in assignments
        for slots in visits
        for n in patients
        for at, slope in effects
    ]
    truths = {cell: design(world, cell, target=target) for cell in cells}
    tasks = [(cell, truths[cell], index) for cell in cells for index in range(clinics)]
    counts = {cell: dict.fromkeys(get_args(Question), 0) for cell in cells}
    kept = None
    if checkpoint is not None:
        header = study_header("power", seed=seed, bootstrap=bootstrap, world=world, target=target)
        kept = Checkpoint[tuple[Cell, Truth, int], dict[str, bool]](
            checkpoint,
            header,
            key=lambda task: asdict(task[0]) | {"index": task[2]},
            encode=lambda said: said,
            decode=lambda line: {question: line[question] for question in get_args(Question)},
        )
    answered = run_in_order(
        partial(_answers, seed, bootstrap), tasks, workers=workers, chunk=10, checkpoint=kept
    )
    for done, ((cell, _, _), said) in enumerate(zip(tasks, answered, strict=True), start=1):
        for question, yes in said.items():
            counts[cell][question] += yes
        if progress:
            progress(done, len(tasks))
    return PowerGrid(
        cells=tuple(PowerCell(cell, clinics, counts[cell]) for cell in cells),
        world=world,
        target=target,
        bootstrap=bootstrap,
        seed=seed,
    )


def design(world: str, cell: Cell, *, target: int) -> Truth:
    """Build the world of one cell.

    Parameters
    ----------
    world : str
        Base world; twitches must do nothing in it.
    cell : Cell
    target : int
        Higher twitch target, when randomised.
    """
    truth = get_world(world)
    if truth.response != "none":
        raise PlanError(
            f"In world {world!r} something already depends on dose or visits; the grid puts its own "
            "threshold in. Choose one such as N4, N7 or irregular."
        )
    if cell.assignment == "randomised":
        truth = replace(MODIFIERS["randomised"].applied(truth), target=target)
    truth = replace(truth, visits=cell.visits)
    if cell.threshold is None:
        return truth
    return replace(truth, response="hinge", threshold=cell.threshold, slope=cell.slope)


def _answers(seed: int, bootstrap: int, task: tuple[Cell, Truth, int]) -> dict[str, bool]:
    """Simulate one clinic and ask every question of it."""
    cell, truth, index = task
    own = int(generator(seed, "power", cell.patients, cell.visits, index).integers(2**48))
    visits = simulate(truth, n_patients=cell.patients, seed=own)
    return answers(gather_evidence(visits, replicates=bootstrap, seed=own))


def answers(evidence: Evidence) -> dict[str, bool]:
    """Answer to every key of :data:`QUESTIONS`; all no where nothing could be fitted."""
    if evidence.test is None or evidence.design is None:
        return dict.fromkeys(get_args(Question), False)
    p = evidence.test.scores.p_values
    decision = decide(evidence)
    return {
        "supported": decision.label == "threshold_supported",
        "shape": decision.gate == 1,
        "not_line": p["linear"] < THRESHOLD_LEVEL,
        "not_saturation": max(p["log"], p["saturating"]) < THRESHOLD_LEVEL,
        "not_nothing": p["none"] < THRESHOLD_LEVEL,
        "identifiable": evidence.design.identifiable,
    }


def _require(
    patients: Sequence[int], visits: Sequence[int], thresholds: Sequence[float], slopes: Sequence[float],
    assignments: Sequence[str], clinics: int, seed: int, bootstrap: int,
) -> None:  # fmt: skip
    """Refuse impossible numbers, naming each."""
    least = {
        "patients": (patients, 1), "visits": (visits, 2), "clinics": ((clinics,), 1), "seed": ((seed,), 0),
        "bootstrap": ((bootstrap,), 99),
    }  # fmt: skip
    for name, (values, lowest) in least.items():
        _require_some(name, values)
        if min(values) < lowest:
            raise PlanError(f"{name} is {min(values)}; it needs to be {lowest} or larger. Correct {name}.")
    _require_some("thresholds", thresholds)
    _require_some("slopes", slopes)
    _require_some("assignments", assignments)
    for at in thresholds:
        if not (np.isfinite(at) and at >= 0.0):
            raise PlanError(f"thresholds holds {at:g}; a threshold needs to be 0 or larger.")
    for slope in slopes:
        if not (np.isfinite(slope) and slope < 0.0):
            raise PlanError(f"slopes holds {slope:g}; relief is negative, for example -0.05 points a twitch.")
    for name in assignments:
        if name not in ASSIGNMENTS:
            raise PlanError(f"assignments holds {name!r}; it needs to be one of {', '.join(ASSIGNMENTS)}.")


def _require_some(name: str, values: Sequence[object]) -> None:
    if len(values) == 0 or len(set(values)) < len(values):
        raise PlanError(f"{name} needs at least one value, and each only once. Correct {name}.")
