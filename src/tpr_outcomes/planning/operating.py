r"""Operating characteristics of the verdict: size, power and coverage, with Monte Carlo error (ADEMP).

*Aims*: how often does each verdict come out, in worlds whose truth is known? *Data-generating
mechanisms*: :data:`tpr_outcomes.planning.worlds.WORLDS`. *Estimands*: the verdict; the threshold.
*Methods*: the whole procedure, and beside it an *oracle* — the one-sided 5% test with one degree of
freedom that knows the shape, the knot and the covariance and asks only whether the true curve beats a
straight line. *Performance*: rates with Monte Carlo standard error
:math:`\sqrt{\hat p(1-\hat p)/R}`, coverage of the threshold interval, mean width and bias (Morris, White
and Crowther 2019, doi:10.1002/sim.8086).

Every replicate is a function of ``(seed, world, patients, index)`` alone: the numbers are the same on
any number of workers, in any order, and after a killed run is resumed from its checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from tpr_outcomes.cohort.derive import ratings
from tpr_outcomes.errors import FitError, PlanError
from tpr_outcomes.inference.evidence import LABELS, TEST_LEVEL, Evidence, decide, gather_evidence
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.models import shapes
from tpr_outcomes.models.mixed import Covariance
from tpr_outcomes.models.working import Working, working_model
from tpr_outcomes.planning.simulate import simulate
from tpr_outcomes.planning.workers import Checkpoint, Workers, require_workers, run_in_order, study_header
from tpr_outcomes.planning.worlds import WORLDS

ORACLE_PATIENTS = 4000
ORACLE_QUANTILE = 1.6448536269514722
"""One-sided 5% point of the standard normal."""


@dataclass(frozen=True)
class Task:
    """One simulated clinic to judge.

    Attributes
    ----------
    world : str
    n_patients : int
    index : int
        Replicate number within the cell.
    bootstrap : int
        Multiplier replicates inside the verdict.
    seed : int
        Seed of the whole study.
    """

    world: str
    n_patients: int
    index: int
    bootstrap: int
    seed: int


@dataclass(frozen=True)
class Replicate:
    """What the procedure said of one simulated clinic.

    Attributes
    ----------
    world, n_patients, index
        Which clinic.
    label : str
        Verdict.
    p_dose, p_threshold, delta_bic, p_mundlak, p_lead : float or None
    identifiable : bool
        Whether the design gate passed.
    estimate, conf_low, conf_high : float or None
        Threshold and interval, whatever the verdict.
    oracle : bool or None
        Whether the oracle test rejects; None where the world has no threshold.
    """

    world: str
    n_patients: int
    index: int
    label: str
    p_dose: float | None
    p_threshold: float | None
    delta_bic: float | None
    p_mundlak: float | None
    p_lead: float | None
    identifiable: bool
    estimate: float | None
    conf_low: float | None
    conf_high: float | None
    oracle: bool | None


def true_threshold(world: str) -> float | None:
    """Threshold of a world in recorded doses; None where nothing is threshold-shaped."""
    truth = WORLDS[world]
    if truth.response not in ("hinge", "step", "hinge_patient") or truth.acting != "twitches":
        return None
    return float(truth.threshold * truth.count_share)


def run_replicate(task: Task) -> Replicate:
    """Simulate one clinic and judge it."""
    seed = int(generator(task.seed, "clinic", task.n_patients, task.index).integers(2**48))
    visits = simulate(task.world, n_patients=task.n_patients, seed=seed)
    evidence = gather_evidence(visits, replicates=task.bootstrap, seed=seed)
    label = decide(evidence).label
    blank = Replicate(
        task.world,
        task.n_patients,
        task.index,
        label,
        None,
        None,
        None,
        None,
        None,
        False,
        None,
        None,
        None,
        None,
    )
    if evidence.test is None or evidence.design is None or evidence.mundlak is None or evidence.lead is None:
        return blank
    profile = evidence.test.profile
    return replace(
        blank,
        p_dose=evidence.test.scores.p_dose,
        p_threshold=evidence.test.scores.p_threshold,
        delta_bic=round(evidence.test.criteria.delta_bic, 6),
        p_mundlak=evidence.mundlak.p_value,
        p_lead=None if evidence.lead.p_value is None else round(evidence.lead.p_value, 8),
        identifiable=evidence.design.identifiable,
        estimate=round(profile.estimate, 6),
        conf_low=round(profile.conf_low, 6),
        conf_high=round(profile.conf_high, 6),
        oracle=oracle_rejects(task.world, evidence),
    )


def oracle_rejects(world: str, evidence: Evidence) -> bool | None:
    """One-degree-of-freedom test that knows shape, knot and covariance, against a straight line.

    Notes
    -----
    The covariance is the one fitted to a clinic of 4,000 patients of the same world.
    """
    threshold = true_threshold(world)
    if threshold is None or evidence.working is None:
        return None
    working = evidence.working
    known = _world_covariance(world)
    if known is not None and known[0] == working.random:
        working = replace(working, fit=replace(working.fit, covariance=known[1]))
    dose = working.ratings.dose_before
    curve = (
        shapes.step(dose, threshold) if WORLDS[world].response == "step" else shapes.hinge(dose, threshold)
    )
    both = working.clear(working.whiten(np.column_stack([dose, curve]) / working.unit))
    line, bend = both[:, 0], both[:, 1]
    bend = bend - line * (line @ bend) / (line @ line)
    size = float(np.linalg.norm(bend))
    return size > 1e-9 and float(bend @ working.y) / size < -ORACLE_QUANTILE


@cache
def _world_covariance(world: str) -> tuple[str, Covariance] | None:
    """Covariance of a world from one very large clinic: what the oracle knows."""
    try:
        visits = simulate(world, n_patients=ORACLE_PATIENTS, seed=0)
        working: Working = working_model(ratings(visits), higher_is_worse=visits.scale.higher_is_worse)
    except FitError:
        return None
    return working.random, working.fit.covariance


def calibrate(
    worlds: Sequence[str],
    *,
    sizes: dict[int, int],
    seed: int,
    bootstrap: int = 399,
    workers: Workers = 1,
    checkpoint: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Run the procedure in known worlds.

    Parameters
    ----------
    worlds : sequence of str
        Names in :data:`WORLDS`.
    sizes : dict of int to int
        Patients per clinic -> simulated clinics.
    seed : int
        Seed of the study.
    bootstrap : int
        Multiplier replicates inside each verdict.
    workers : int or str
        Processes, or the address of a Dask scheduler; numbers do not depend on it.
    checkpoint : Path, optional
        JSON-lines file of finished replicates; a run that finds one carries on from it.
    progress : callable, optional
        Called with (done, all).

    Returns
    -------
    DataFrame
        One row per replicate, fields of :class:`Replicate`, in the order of worlds, sizes, index.

    Raises
    ------
    PlanError
        Unknown world, sizes or counts below 1, or a checkpoint of another study.
    WorkersError
        When workers cannot be had or are lost; finished replicates are in the checkpoint.
    """
    unknown = [name for name in worlds if name not in WORLDS]
    if unknown:
        raise PlanError(f"Unknown world {', '.join(unknown)}; `tpr simulate --list` names them.")
    if not sizes or min(sizes) < 1 or min(sizes.values()) < 1 or bootstrap < 1:
        raise PlanError("Patients, clinics and bootstrap replicates must all be 1 or more.")
    require_workers(workers)
    tasks = [
        Task(world, n, index, bootstrap, seed)
        for world in worlds
        for n, count in sizes.items()
        for index in range(count)
    ]
    kept = None if checkpoint is None else _checkpoint(checkpoint, seed=seed, bootstrap=bootstrap)
    rows = []
    for result in run_in_order(run_replicate, tasks, workers=workers, checkpoint=kept):
        rows.append(asdict(result))
        if progress:
            progress(len(rows), len(tasks))
    return pd.DataFrame(rows)


def _checkpoint(path: Path, *, seed: int, bootstrap: int) -> Checkpoint[Task, Replicate]:
    """Finished replicates; further worlds and sizes of the same study may be added to them."""
    return Checkpoint(
        path,
        study_header("calibrate", seed=seed, bootstrap=bootstrap),
        key=lambda task: {"world": task.world, "n_patients": task.n_patients, "index": task.index},
        encode=asdict,
        decode=lambda line: Replicate(**line),
    )


def operating_table(replicates: pd.DataFrame) -> pd.DataFrame:
    """Rates per world and size, percent, with Monte Carlo standard errors.

    Returns
    -------
    DataFrame
        ``world, description, has_threshold, patients, clinics``, one column per verdict (percent),
        ``supported_mcse``, ``supported_high`` (upper 95% limit, exact), ``dose_p`` (percent with
        p < 2.5%, one-sided, for any dose), ``oracle``, ``efficiency`` (supported over oracle), and for the
        threshold
        ``coverage``, ``coverage_mcse``, ``coverage_supported``, ``mean_estimate``,
        ``mean_estimate_supported``, ``mean_width``.
    """
    rows = []
    for (world, n), cell in replicates.groupby(["world", "n_patients"], sort=False):
        rows.append({"world": world, "patients": n, **_performance(str(world), cell)})
    return pd.DataFrame(rows)


def _performance(world: str, cell: pd.DataFrame) -> dict[str, object]:
    clinics = len(cell)
    supported = (cell["label"] == "threshold_supported").to_numpy()
    threshold = true_threshold(world)
    row: dict[str, object] = {
        "description": WORLDS[world].description,
        "has_threshold": threshold is not None,
        "clinics": clinics,
        **{label: _percent(cell["label"] == label) for label in LABELS},
        "supported_mcse": mcse(supported),
        "supported_high": _upper_limit(int(supported.sum()), clinics),
        "dose_p": _percent(cell["p_dose"].astype(float) < TEST_LEVEL),
    }
    if threshold is None:
        return row
    oracle = _percent(cell["oracle"].fillna(False).astype(bool))
    covered = ((cell["conf_low"] <= threshold) & (threshold <= cell["conf_high"])).to_numpy()
    width = (cell["conf_high"] - cell["conf_low"]).to_numpy(dtype=float)
    estimate = cell["estimate"].to_numpy(dtype=float)
    row |= {
        "threshold": threshold,
        "oracle": oracle,
        "efficiency": round(100.0 * supported.mean() / oracle, 3) if oracle else None,
        "coverage": _percent(covered),
        "coverage_mcse": mcse(covered),
        "coverage_supported": _percent(covered[supported]) if supported.any() else None,
        "mean_estimate": round(float(np.nanmean(estimate)), 2),
        "mean_estimate_supported": round(float(estimate[supported].mean()), 2) if supported.any() else None,
        "mean_width": round(float(np.nanmean(width)), 1),
    }
    return row


def _percent(flags: Iterable[bool]) -> float:
    return round(100.0 * float(np.mean(np.asarray(list(flags), dtype=float))), 2)


def mcse(flags: np.ndarray) -> float:
    """Monte Carlo standard error of a rate, percent: ``100 sqrt(p(1 - p) / R)``."""
    share = float(np.mean(flags))
    return round(100.0 * float(np.sqrt(share * (1.0 - share) / len(flags))), 2)


def _upper_limit(count: int, trials: int) -> float:
    """Exact (Clopper–Pearson) upper 95% limit of a rate, one-sided 97.5%, percent."""
    from scipy.stats import beta

    return 100.0 if count == trials else round(100.0 * float(beta.ppf(0.975, count + 1, trials - count)), 2)
