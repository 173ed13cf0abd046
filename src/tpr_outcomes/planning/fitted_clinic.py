r"""From a clinic's record to a recipe for clinics shaped like it.

The three models of :mod:`tpr_outcomes.planning.fitted_parts` are fitted to the record one by one. Run
together they do not quite give the record back: ratings end at 0 and are rounded, and leaving is not a
logistic curve. So the *levels* per visit of pain, dose and leaving are moved until the simulated means
per visit equal the recorded ones: indirect inference (Gourieroux, Monfort and Renault 1993,
doi:10.1002/jae.3950080507) with by-visit means as the auxiliary statistics. Slopes and variances stay.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logit

from tpr_outcomes.cohort.visits import Visits, first_rows
from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.evidence import Evidence
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.models.candidates import column_rivals
from tpr_outcomes.models.working import Working, therapist_dummies
from tpr_outcomes.planning.fitted_course import FittedClinic, FittedCourse, run_fitted
from tpr_outcomes.planning.fitted_parts import CountModel, fit_dose, fit_leaving, fit_pain

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

TUNING_PATIENTS = 3000
TUNING_ROUNDS = 6
FINEST_STEPS = (10.0, 5.0, 2.0, 1.0, 0.5, 0.25, 0.1)
"""Steps in which ratings may be written, coarsest first."""


@dataclass(frozen=True, eq=False)
class _Record:
    """The visits of patients with a first rating, higher worse; one entry per row unless said."""

    patient: Ints
    slot: Ints
    pain: Array
    known: Array  # latest rating that is known at the row
    before: Array  # latest rating before the needling of the row
    first: Array
    dose: Array
    sought: Bools
    last: Bools
    table: pd.DataFrame
    n_patients: int
    slots: int


def fit_clinic(visits: Visits, evidence: Evidence) -> FittedClinic:
    """Fit everything it takes to simulate clinics shaped like this one.

    Parameters
    ----------
    visits : Visits
        The record the evidence was gathered from.
    evidence : Evidence

    Raises
    ------
    FitError
        When the background could not be fitted or there is no dose to model.
    """
    working = evidence.working
    if working is None:
        raise FitError(evidence.obstacle or "The background model could not be fitted.")
    record = _record(visits, working, evidence.ratings.dose)
    step = granularity(record.pain)
    row_group, group, groups = _groups(visits, working, record)
    low, high = sorted((working.worse * visits.scale.minimum, working.worse * visits.scale.maximum))
    rows = record.sought & np.isfinite(record.dose)
    dose = _count_model(record, rows, record.dose, group, groups)
    early = record.slot < record.slots - 1
    later = record.slot > 0
    clinic = FittedClinic(
        pain=fit_pain(working, slots=record.slots, group=row_group, groups=groups, step=step),
        dose=dose,
        rivals=_rivals(working, record, rows, group, groups),
        leaving=fit_leaving(
            record.last[early],
            slot=record.slot[early],
            pain=record.known[early],
            first=record.first[early],
            slots=record.slots,
            best=low if np.isfinite(low) else float(record.known.min()),
        ),
        dose_name=evidence.ratings.dose,
        slots=record.slots,
        first=record.first[record.slot == 0],
        group=group,
        therapist=_labels(record),
        gaps=_gaps(record),
        missed=1.0 - float(later.sum()) / max(float(record.slot[record.last].sum()), 1.0),
        blank_pain=float(np.isnan(record.pain[later]).mean()),
        blank_dose=float(np.isnan(record.dose[record.sought]).mean()),
        not_sought=float(1.0 - record.sought.mean()),
        step=step,
        low=low,
        high=high,
        scale=evidence.scale,
        rated=visits.rated,
    )
    return _tuned(clinic, record)


def granularity(ratings: Array) -> float:
    """Coarsest of :data:`FINEST_STEPS` of which all ratings are whole multiples; 0 where none is."""
    seen = ratings[np.isfinite(ratings)]
    for step in FINEST_STEPS:
        parts = seen / step
        if np.abs(parts - np.round(parts)).max(initial=0.0) < 1e-6:
            return step
    return 0.0


def _record(visits: Visits, working: Working, dose: str) -> _Record:
    """Keep the patients with a first rating, and lay down who knew what when."""
    table = visits.table
    start = first_rows(table["patient"].to_numpy())
    table = table[np.isfinite(table["pain"].to_numpy()[start])].reset_index(drop=True)
    patient = np.unique(table["patient"].to_numpy(), return_inverse=True)[1].astype(np.int64)
    start = first_rows(patient)
    visit = table["visit"].to_numpy()
    pain = working.worse * table["pain"].to_numpy(dtype=np.float64)
    slot = visit - visit[start]
    row = np.arange(patient.size)
    seen = np.maximum.accumulate(np.where(np.isfinite(pain), row, 0))
    known = pain[seen]
    previous = known[np.maximum(row - 1, start)]
    return _Record(
        patient=patient,
        slot=slot,
        pain=pain,
        known=known,
        before=previous if visits.rated == "after" else known,
        first=pain[start],
        dose=table[dose].to_numpy(dtype=np.float64),
        sought=table["sought"].to_numpy(dtype=bool) if dose == "twitches" else np.ones(row.size, dtype=bool),
        last=np.append(patient[1:] != patient[:-1], True),
        table=table,
        n_patients=int(patient[-1]) + 1,
        slots=int(slot.max()) + 1,
    )


def _groups(visits: Visits, working: Working, record: _Record) -> tuple[Ints, Ints, int]:
    """Group of therapists of each rating and of each patient, as the background has them; how many.

    Patients without a usable later rating take the group of their therapist's other patients, and the
    reference group where there are none.
    """
    r = working.ratings
    dummies = therapist_dummies(r)
    groups = dummies.shape[1] + 1
    of_rating = np.full(r.pain.size, groups - 1, dtype=np.int64)
    of_patient = np.full(record.n_patients, groups - 1, dtype=np.int64)
    if groups > 1:
        of_rating = np.where(dummies.any(axis=1), dummies.argmax(axis=1), groups - 1)
        every = (
            visits.table["therapist"].astype(str).to_numpy()[first_rows(visits.table["patient"].to_numpy())]
        )
        group_of = dict(zip(every[r.row].tolist(), of_rating.tolist(), strict=True))
        own = record.table["therapist"].astype(str)[record.slot == 0]
        of_patient = np.array([group_of.get(label, groups - 1) for label in own], dtype=np.int64)
    return of_rating, of_patient, groups


def _count_model(
    record: _Record, rows: Bools, count: Array, group: Ints, groups: int, lead: Array | None = None
) -> CountModel:
    return fit_dose(
        count[rows],
        slot=record.slot[rows],
        pain=record.before[rows],
        patient=record.patient[rows],
        group=group[record.patient[rows]],
        groups=groups,
        slots=record.slots,
        lead=None if lead is None else lead[rows],
    )


def _rivals(
    working: Working, record: _Record, rows: Bools, group: Ints, groups: int
) -> dict[str, CountModel]:
    """Models of the other recorded doses that the threshold is tested against."""
    names = dict.fromkeys(c.source for c in column_rivals(working.ratings))
    models = {}
    for name in names:
        count = record.table[name].to_numpy(dtype=np.float64)
        full = rows & np.isfinite(count)
        models[name] = _count_model(record, full, count, group, groups, record.dose)
    return models


def _labels(record: _Record) -> NDArray[np.object_] | None:
    if "therapist" not in record.table:
        return None
    labels = record.table["therapist"][record.slot == 0].astype(object)
    return np.asarray(labels.where(labels.notna(), None).to_numpy(), dtype=object)


def _gaps(record: _Record) -> Array | None:
    """Weeks from each slot to the next, (slots, N); a gap over missed slots is shared among them."""
    if "weeks" not in record.table or not np.isfinite(record.table["weeks"]).all():
        return None
    weeks = record.table["weeks"].to_numpy(dtype=np.float64)
    gaps = np.full((record.slots, record.n_patients), np.nan)
    later = np.flatnonzero(record.slot > 0)
    steps = record.slot[later] - record.slot[later - 1]
    pace = (weeks[later] - weeks[later - 1]) / steps
    for back in range(1, int(steps.max(initial=0)) + 1):
        over = steps >= back
        gaps[record.slot[later[over]] - back, record.patient[later[over]]] = pace[over]
    return gaps


# --- moving the levels until the means per visit agree --------------------------------------------------


def _tuned(clinic: FittedClinic, record: _Record) -> FittedClinic:
    """Move the levels until simulated means per visit are the recorded ones."""
    wanted = _means(clinic, record)
    for _ in range(TUNING_ROUNDS):
        course = run_fitted(clinic, n_patients=TUNING_PATIENTS, rng=generator(0, "fitted clinic", "levels"))
        seen = _means(clinic, _simulated(course))
        pain, dose, leaving = (w - s for w, s in zip(wanted, seen, strict=True))
        clinic = replace(
            clinic,
            pain=replace(clinic.pain, levels=clinic.pain.levels + pain),
            dose=replace(clinic.dose, levels=clinic.dose.levels + dose),
            leaving=replace(clinic.leaving, levels=clinic.leaving.levels + leaving),
        )
    return clinic


def _means(clinic: FittedClinic, record: _Record) -> tuple[Array, Array, Array]:
    """Mean pain, log mean dose and log odds of leaving at each level of their models."""
    later = (record.slot > 0) & np.isfinite(record.pain)
    pain = _level_means(clinic.pain.level[record.slot[later]], record.pain[later], clinic.pain.levels.size)
    rows = record.sought & np.isfinite(record.dose)
    n_dose = clinic.dose.levels.size
    dose = _level_means(clinic.dose.level[record.slot[rows]], record.dose[rows], n_dose)
    early = record.slot < record.slots - 1
    level = clinic.leaving.level[record.slot[early]]
    share = _level_means(level, record.last[early].astype(float), clinic.leaving.levels.size)
    # Rates of 0 and 1 would move the odds without end.
    odds = np.asarray(logit(np.clip(share, 0.002, 0.998)))
    return pain, np.log(np.maximum(dose, 0.01)), odds


def _level_means(level: Ints, values: Array, levels: int) -> Array:
    counts = np.bincount(level, minlength=levels)
    return np.asarray(np.bincount(level, values, minlength=levels) / np.maximum(counts, 1))


def _simulated(course: FittedCourse) -> _Record:
    """Lay a simulated course out like a record, without its table."""
    patient, slot = np.nonzero(course.here.T)
    pain = course.pain[slot, patient]
    noted = course.noted[slot, patient]
    dose = np.where(noted, course.dose[slot, patient], np.nan)
    last = np.append(patient[1:] != patient[:-1], True)
    slots, n = course.here.shape
    nothing = np.empty(0)
    sought = course.sought[slot, patient]
    return _Record(
        patient, slot, pain, nothing, nothing, nothing, dose, sought, last, pd.DataFrame(), n, slots
    )
