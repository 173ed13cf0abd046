"""In your own design: how often would this procedure be wrong, and what could it have seen?

Clinics shaped like the user's (:mod:`tpr_outcomes.planning.fitted_clinic`) are simulated and put through
this very procedure. In *null* clinics twitches do nothing, so every ``threshold_supported`` is false.
In the others a hinge of known place and size is at work, so the same label is right: that is the power.
A parametric bootstrap knows only what was recorded: docs/methods/self-check.md says what that leaves out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError, PlanError
from tpr_outcomes.inference.evidence import LABELS, Evidence, decide, gather_evidence
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.models.working import dose_top
from tpr_outcomes.planning.fitted_clinic import fit_clinic
from tpr_outcomes.planning.fitted_course import FittedClinic, Hinge, run_fitted, written
from tpr_outcomes.planning.rates import Rate
from tpr_outcomes.planning.workers import Checkpoint, Workers, require_workers, run_in_order, study_header

Array = NDArray[np.float64]

SUPPORTED = "threshold_supported"
BOOTSTRAP = 299
"""Multiplier replicates inside each simulated verdict: enough for a decision at 5%."""
RELIEFS = (0.10, 0.20)
"""Relief at the 95th percentile of the dose, as a share of the scale's span: 1 and 2 points on 0-10."""
THRESHOLD_QUANTILES = (0.25, 0.50, 0.75)
"""Quantiles of the positive cumulative doses at which thresholds are tried."""


@dataclass(frozen=True)
class Setting:
    """What was true in one set of simulated clinics, and what the procedure said of them.

    Attributes
    ----------
    threshold : float or None
        Recorded doses; None where the dose did nothing.
    relief : float
        Relief at the 95th percentile of the record's cumulative dose, outcome units.
    slope : float
        Relief per dose past the threshold, outcome units.
    counts : dict of str to int
        Clinics per label of :data:`~tpr_outcomes.inference.evidence.LABELS`.
    """

    threshold: float | None
    relief: float
    slope: float
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def clinics(self) -> int:
        """Simulated clinics."""
        return sum(self.counts.values())

    def rate(self, label: str = SUPPORTED) -> Rate:
        """How often a label came out."""
        return Rate(self.counts.get(label, 0), self.clinics)


@dataclass(frozen=True, eq=False)
class Likeness:
    """Do the simulated clinics look like the record? One entry per visit since the first.

    Attributes
    ----------
    visit : ndarray of int, shape (slots,)
        1 for the first visit.
    record : ndarray, shape (3, slots)
        Share of patients attending, mean rating, mean dose; nan where there is none.
    simulated, mcse : ndarray, shape (3, slots)
        The same over null clinics: mean, and its Monte Carlo standard error.
    """

    visit: NDArray[np.int64]
    record: Array
    simulated: Array
    mcse: Array

    def to_frame(self) -> pd.DataFrame:
        """Return ``visit, quantity, record, simulated, mcse``, one row per visit and quantity."""
        names = ("attending", "mean_rating", "mean_dose")
        parts = [
            pd.DataFrame(
                {
                    "visit": self.visit,
                    "quantity": name,
                    "record": self.record[i],
                    "simulated": self.simulated[i],
                    "mcse": self.mcse[i],
                }
            )
            for i, name in enumerate(names)
        ]
        return pd.concat(parts, ignore_index=True)


@dataclass(frozen=True, eq=False)
class SelfCheck:
    """What the procedure says of clinics shaped like the user's.

    Attributes
    ----------
    settings : tuple of Setting
        The null first, then by relief and threshold; empty when it could not be done.
    patients, visits : int
        Patients of each simulated clinic, and most visits of one.
    dose_95 : float
        95th percentile of the record's cumulative dose, where reliefs are counted.
    likeness : Likeness or None
    bootstrap, seed : int
    reason : str
        Why it could not be done, else "".
    """

    settings: tuple[Setting, ...]
    patients: int
    visits: int
    dose_95: float
    likeness: Likeness | None
    bootstrap: int
    seed: int
    reason: str = ""

    @property
    def null(self) -> Setting | None:
        """Clinics in which the dose does nothing; None when the check could not be done."""
        return self.settings[0] if self.settings else None

    @property
    def false_support(self) -> Rate | None:
        """How often a threshold was called supported where there is none."""
        return None if self.null is None else self.null.rate()

    @property
    def power(self) -> tuple[Setting, ...]:
        """Clinics in which a hinge was at work."""
        return self.settings[1:]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per setting and label.

        Returns
        -------
        DataFrame
            ``threshold`` (missing where the dose does nothing), ``relief``, ``slope``, ``clinics``,
            ``label``, ``count``, and ``estimate`` (share), ``mcse``, ``conf_low``, ``conf_high`` (exact,
            95%).
        """
        rows = []
        for s in self.settings:
            what = {"threshold": s.threshold, "relief": s.relief, "slope": s.slope, "clinics": s.clinics}
            for label in LABELS:
                r = s.rate(label)
                limits = {"conf_low": r.conf_low, "conf_high": r.conf_high}
                said = {"label": label, "count": r.count, "estimate": r.share, "mcse": r.mcse}
                rows.append(what | said | limits)
        columns = (
            "threshold", "relief", "slope", "clinics", "label", "count", "estimate", "mcse", "conf_low",
            "conf_high",
        )  # fmt: skip
        frame = pd.DataFrame(rows, columns=list(columns))
        return frame.astype({"threshold": "float64"})


@dataclass(frozen=True)
class _Task:
    setting: int
    hinge: Hinge | None
    index: int


@dataclass(frozen=True, eq=False)
class _Said:
    setting: int
    label: str
    shape: Array  # (3, slots): share attending, mean rating, mean dose


def self_check(
    visits: Visits,
    evidence: Evidence,
    *,
    clinics: int = 200,
    seed: int,
    workers: Workers = 1,
    checkpoint: Path | None = None,
    thresholds: Sequence[float] | None = None,
    reliefs: Sequence[float] = RELIEFS,
    power_clinics: int | None = None,
    bootstrap: int = BOOTSTRAP,
    progress: Callable[[int, int], None] | None = None,
) -> SelfCheck:
    """Run the procedure on clinics shaped like the user's, with and without a threshold in them.

    Parameters
    ----------
    visits : Visits
        The record.
    evidence : Evidence
        What :func:`~tpr_outcomes.inference.evidence.gather_evidence` found in it.
    clinics : int
        Simulated clinics in which the dose does nothing.
    seed : int
        0 or larger.
    workers : int or str
        Processes, or the address of a Dask scheduler; the numbers do not depend on it.
    checkpoint : Path, optional
        JSON-lines file of finished simulated clinics; a run that finds one carries on from it.
    thresholds : sequence of float, optional
        Recorded doses at which a hinge is tried; by default the quartiles of the positive cumulative
        doses. Those at or past the 95th percentile are left out: past it there is nothing to see.
    reliefs : sequence of float
        Relief at the 95th percentile of the dose, shares of the scale's span; none are tried on a scale
        without an upper end.
    power_clinics : int, optional
        Simulated clinics per threshold and relief; half of ``clinics`` by default; 0 for none.
    bootstrap : int
        Multiplier replicates inside each verdict.
    progress : callable, optional
        Called with (done, all).

    Returns
    -------
    SelfCheck
        With a ``reason`` and no settings when the record is too small to simulate from.

    Raises
    ------
    PlanError
        When a number is not possible; the message names it. When the checkpoint is of another record.
    WorkersError
        When workers cannot be had or are lost; finished clinics are in the checkpoint.
    """
    power_clinics = max(clinics // 2, 1) if power_clinics is None else power_clinics
    require_workers(workers)
    _require(clinics, seed, bootstrap, power_clinics, reliefs, thresholds)
    try:
        clinic = fit_clinic(visits, evidence)
    except FitError as problem:
        return SelfCheck((), 0, 0, 0.0, None, bootstrap, seed, str(problem))
    found = evidence.ratings
    top = dose_top(found)
    positive = found.dose_before[found.dose_before > 0]
    if thresholds is None:
        # Two digits: a place to try, not an estimate.
        thresholds = sorted({float(f"{at:.2g}") for at in np.quantile(positive, THRESHOLD_QUANTILES)})
    span = evidence.scale.span
    settings = [Setting(None, 0.0, 0.0)]
    settings += [
        Setting(float(at), share * span, share * span / (top - at))
        for share in (reliefs if power_clinics and np.isfinite(span) else ())
        for at in thresholds
        if at < top
    ]
    tasks = [_Task(0, None, index) for index in range(clinics)]
    for number, setting in enumerate(settings[1:], start=1):
        hinge = Hinge(setting.threshold or 0.0, setting.slope)
        tasks += [_Task(number, hinge, index) for index in range(power_clinics)]
    judge = partial(_judge, clinic, seed, bootstrap)
    counts: list[dict[str, int]] = [dict.fromkeys(LABELS, 0) for _ in settings]
    shapes = []
    kept = None if checkpoint is None else _checkpoint(checkpoint, clinic, seed=seed, bootstrap=bootstrap)
    answers = run_in_order(judge, tasks, workers=workers, chunk=5, checkpoint=kept)
    for done, said in enumerate(answers, start=1):
        counts[said.setting][said.label] += 1
        if said.setting == 0:
            shapes.append(said.shape)
        if progress:
            progress(done, len(tasks))
    return SelfCheck(
        settings=tuple(
            Setting(s.threshold, s.relief, s.slope, count) for s, count in zip(settings, counts, strict=True)
        ),
        patients=clinic.first.size,
        visits=clinic.slots,
        dose_95=top,
        likeness=_likeness(_shape(visits, clinic), np.array(shapes)),
        bootstrap=bootstrap,
        seed=seed,
    )


def _checkpoint(path: Path, clinic: FittedClinic, *, seed: int, bootstrap: int) -> Checkpoint[_Task, _Said]:
    """Finished clinics of one fitted clinic; further clinics and thresholds may be added to them."""

    def key(task: _Task) -> dict[str, object]:
        hinge = task.hinge
        at, slope = (None, 0.0) if hinge is None else (hinge.threshold, hinge.slope)
        return {"threshold": at, "slope": slope, "setting": task.setting, "index": task.index}

    return Checkpoint(
        path,
        study_header("self-check", seed=seed, bootstrap=bootstrap, clinic=digest_of(clinic)),
        key=key,
        encode=lambda said: {"label": said.label, "shape": said.shape.tolist()},
        decode=lambda line: _Said(line["setting"], line["label"], np.array(line["shape"], dtype=np.float64)),
    )


def digest_of(value: object) -> str:
    """SHA-256 over all numbers and words of a frozen dataclass, those inside it included."""
    digest = hashlib.sha256()

    def add(part: object) -> None:
        digest.update(f"{type(part).__name__}:".encode())
        if is_dataclass(part):
            for its in fields(part):
                digest.update(f"{its.name}=".encode())
                add(getattr(part, its.name))
        elif isinstance(part, np.ndarray) and part.dtype != object:
            digest.update(f"{part.dtype}{part.shape}".encode() + np.ascontiguousarray(part).tobytes())
        elif isinstance(part, np.ndarray | list | tuple):
            digest.update(f"{len(part)}:".encode())
            for its in part:
                add(its)
        elif isinstance(part, dict):
            add(tuple(part.items()))
        else:
            digest.update(repr(part).encode() + b"\0")

    add(value)
    return digest.hexdigest()


def _judge(clinic: FittedClinic, seed: int, bootstrap: int, task: _Task) -> _Said:
    """Simulate one clinic and put it through the procedure.

    The generator's name does not hold the setting: the same patients come to a null clinic and to the
    clinics with a threshold of the same number.
    """
    rng = generator(seed, "self-check", task.index)
    course = run_fitted(clinic, n_patients=clinic.first.size, rng=rng, hinge=task.hinge)
    record = written(clinic, course)
    own = int(rng.integers(2**48))
    evidence = gather_evidence(record, dose=clinic.dose_name, replicates=bootstrap, seed=own)
    return _Said(task.setting, decide(evidence).label, _shape(record, clinic))


def _shape(visits: Visits, clinic: FittedClinic) -> Array:
    """Share attending, mean rating and mean dose at each visit since the first, (3, slots).

    Patients without a first rating are left out, as they are of the analysis.
    """
    table = visits.table
    grouped = table.groupby("patient", sort=False)
    based = grouped["pain"].transform(lambda pain: np.isfinite(pain.iloc[0])).to_numpy(dtype=bool)
    slot = (table["visit"] - grouped["visit"].transform("first")).to_numpy()
    patients = max(int((slot[based] == 0).sum()), 1)
    result = np.full((3, clinic.slots), np.nan)
    result[0] = np.bincount(slot[based], minlength=clinic.slots) / patients
    sought = table["sought"].to_numpy(dtype=bool)
    for row, (name, rows) in enumerate({"pain": based, clinic.dose_name: based & sought}.items(), start=1):
        values = table[name].to_numpy(dtype=np.float64)
        keep = rows & np.isfinite(values)
        count = np.bincount(slot[keep], minlength=clinic.slots)
        total = np.bincount(slot[keep], values[keep], minlength=clinic.slots)
        np.divide(total, count, out=result[row], where=count > 0)
    return result


def _likeness(record: Array, simulated: Array) -> Likeness:
    """Average simulated clinics, each visit over the clinics in which anybody came to it."""
    count = np.isfinite(simulated).sum(axis=0)
    some = np.maximum(count, 1)
    total = np.nansum(simulated, axis=0)
    mean = np.where(count > 0, total / some, np.nan)
    square = np.nansum((simulated - mean) ** 2, axis=0)
    error = np.sqrt(square / np.maximum(count - 1, 1) / some)
    return Likeness(
        visit=np.arange(1, record.shape[1] + 1, dtype=np.int64),
        record=record,
        simulated=mean,
        mcse=np.where(count > 1, error, np.nan),
    )


def _require(
    clinics: int, seed: int, bootstrap: int, power_clinics: int,
    reliefs: Sequence[float], thresholds: Sequence[float] | None,
) -> None:  # fmt: skip
    """Refuse impossible numbers, naming each."""
    at_least = {
        "clinics": (clinics, 1), "seed": (seed, 0), "bootstrap": (bootstrap, 99),
        "power_clinics": (power_clinics, 0),
    }  # fmt: skip
    for name, (value, least) in at_least.items():
        if value < least:
            raise PlanError(f"{name} is {value}; it needs to be {least} or larger. Correct {name}.")
    if any(not 0.0 < relief <= 1.0 for relief in reliefs):
        raise PlanError("reliefs are shares of the scale; each needs to be above 0 and at most 1.")
    if any(not (np.isfinite(at) and at >= 0.0) for at in thresholds or ()):
        raise PlanError("thresholds need to be 0 or larger. Correct thresholds.")
