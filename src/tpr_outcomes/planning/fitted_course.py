"""Clinics shaped like one clinic: its fitted models run forward, visit by visit, on made-up patients.

Simulated pain drives simulated needling, and both what is felt and what it changed drive leaving, so that
every feedback of the record is there, except one: twitches do nothing unless a :class:`Hinge` says so.
The only loop is over visits; everything else is arrays over patients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tpr_outcomes.cohort.scales import Scale
from tpr_outcomes.cohort.visits import Rated, Visits
from tpr_outcomes.planning.fitted_parts import Array, CountModel, Ints, LeavingModel, PainModel

Bools = NDArray[np.bool_]

FEWEST_GAPS = 20
"""A slot with fewer gaps to the next takes them from all slots."""


@dataclass(frozen=True)
class Hinge:
    """An effect put into a simulated clinic.

    Attributes
    ----------
    threshold : float
        Recorded doses.
    slope : float
        Relief per dose past it, outcome units, positive.
    """

    threshold: float
    slope: float


@dataclass(frozen=True, eq=False)
class FittedClinic:
    """Everything it takes to simulate clinics shaped like one clinic.

    Attributes
    ----------
    pain : PainModel
    dose : CountModel
    rivals : dict of str to CountModel
        Other recorded doses, given the main one.
    leaving : LeavingModel
    dose_name : str
        Column of the main dose.
    slots : int
        Visits a patient can have, from the first.
    first : ndarray, shape (N,)
        First ratings of the record, higher worse.
    group : ndarray of int, shape (N,)
        Group of therapists of each patient of the record.
    therapist : ndarray of object, shape (N,), or None
        Their labels.
    gaps : ndarray, shape (slots, N), or None
        Weeks from each slot to the next in the record, nan past a patient's last visit; None where
        there are no weeks.
    missed, blank_pain, blank_dose, not_sought : float
        Shares of visits missed between first and last; of later ratings and of doses not recorded; of
        visits at which the dose was not sought.
    step : float
        Step in which ratings are written; 0 for none.
    low, high : float
        Ends of the scale, higher worse.
    scale : Scale
        As the tests take it.
    rated : {"before", "after"}
    """

    pain: PainModel
    dose: CountModel
    rivals: dict[str, CountModel]
    leaving: LeavingModel
    dose_name: str
    slots: int
    first: Array
    group: Ints
    therapist: NDArray[np.object_] | None
    gaps: Array | None
    missed: float
    blank_pain: float
    blank_dose: float
    not_sought: float
    step: float
    low: float
    high: float
    scale: Scale
    rated: Rated

    @property
    def worse(self) -> float:
        """+1 where higher scores are worse, else -1."""
        return 1.0 if self.scale.higher_is_worse else -1.0


@dataclass(frozen=True, eq=False)
class FittedCourse:
    """What happened in one simulated clinic. Arrays are (slots, n) unless said otherwise.

    Attributes
    ----------
    donor : ndarray of int, shape (n,)
        Patient of the record whose first rating, therapist and gaps a patient has.
    here : ndarray of bool
        Visit attended.
    weeks : ndarray
        Weeks since the first visit (slots where there are no dates).
    pain : ndarray
        Rating as written, higher worse; nan where blank.
    dose : ndarray
        Main dose given, 0 where not here.
    sought, noted : ndarray of bool
        Whether the dose was sought; whether it was written down.
    rivals : dict of str to ndarray
        Other doses.
    in_care : ndarray of bool
        Not yet left for good before the slot.
    """

    donor: Ints
    here: Bools
    weeks: Array
    pain: Array
    dose: Array
    sought: Bools
    noted: Bools
    rivals: dict[str, Array]
    in_care: Bools


@dataclass(frozen=True, eq=False)
class _Chance:
    """All chance numbers of a clinic, drawn first: the same patients whatever the twitches do."""

    donor: Ints
    traits: Array  # (q, n) standard normals
    swing: Array  # (slots, n) standard normals: wobble
    noise: Array  # (slots, n) standard normals
    share: Array  # (6, slots, n) uniforms: leave, attend, blank pain, blank dose, sought, gap
    count: Array  # (1 + rivals, slots, n) uniforms
    frailty: Array  # (1 + rivals, n) gamma of mean 1
    spread: Array  # (1 + rivals, slots, n) gamma of mean 1


def _draw(clinic: FittedClinic, n: int, rng: np.random.Generator) -> _Chance:
    shape = (clinic.slots, n)
    models = (clinic.dose, *clinic.rivals.values())
    donor = rng.integers(clinic.first.size, size=n)
    normal = rng.standard_normal((clinic.pain.factor.shape[0] + 2 * clinic.slots, n))
    q = clinic.pain.factor.shape[0]
    return _Chance(
        donor=donor,
        traits=normal[:q],
        swing=normal[q : q + clinic.slots],
        noise=normal[q + clinic.slots :],
        share=rng.random((6, *shape)),
        count=rng.random((len(models), *shape)),
        frailty=np.array([_gamma(rng, model.frailty, (n,)) for model in models]),
        spread=np.array([_gamma(rng, model.size, shape) for model in models]),
    )


def _gamma(rng: np.random.Generator, shape: float, size: tuple[int, ...]) -> Array:
    return np.asarray(rng.standard_gamma(shape, size) / shape) if np.isfinite(shape) else np.ones(size)


def run_fitted(
    clinic: FittedClinic, *, n_patients: int, rng: np.random.Generator, hinge: Hinge | None = None
) -> FittedCourse:
    """Let patients like the clinic's go through its visits.

    Parameters
    ----------
    clinic : FittedClinic
    n_patients : int
    rng : numpy.random.Generator
        The same generator gives the same patients, gaps and luck with and without a hinge.
    hinge : Hinge, optional
        What the dose does; nothing without one.

    Notes
    -----
    The effect of a hinge at a visit is taken relative to its mean over the patients there, so that the
    recorded course stays what it is: the dose explains a part of the recovery that was seen, rather
    than adding to it. Which patients do better, and hence who is needled and who leaves, changes.
    """
    return _Run(clinic, _draw(clinic, n_patients, rng), hinge).run()


class _Run:
    """State of all patients between two visits; a class only because the steps share it."""

    def __init__(self, clinic: FittedClinic, chance: _Chance, hinge: Hinge | None) -> None:
        self.clinic, self.chance, self.hinge = clinic, chance, hinge
        n = chance.donor.size
        self.first = clinic.first[chance.donor]
        self.group = clinic.group[chance.donor]
        self.weeks = _weeks(clinic, chance)
        self.random = clinic.pain.factor @ chance.traits
        self.wobble = np.zeros(n)
        self.time = np.zeros(n)
        self.latest = self.first.copy()  # latest rating that is known
        self.acting = np.zeros(n)  # dose that can have acted on the next rating

    def run(self) -> FittedCourse:
        """Go through all visits."""
        clinic, chance = self.clinic, self.chance
        shape = chance.swing.shape
        in_care = np.ones(shape[1], dtype=bool)
        cared, here = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
        pain, dose = np.full(shape, np.nan), np.zeros(shape)
        sought = chance.share[4] >= clinic.not_sought
        rivals = {name: np.zeros(shape) for name in clinic.rivals}
        after = clinic.rated == "after"
        for slot in range(shape[0]):
            cared[slot] = in_care
            here[slot] = in_care & ((chance.share[1, slot] >= clinic.missed) | (slot == 0))
            if after:
                self._needle(slot, here[slot] & sought[slot], dose, rivals)
                self.acting += dose[slot] if slot > 0 else 0.0
            pain[slot] = self._rate(slot, here[slot])
            if not after:
                self._needle(slot, here[slot] & sought[slot], dose, rivals)
                self.acting += dose[slot]
            leave = chance.share[0, slot] < clinic.leaving.chance(slot, self.latest, self.first)
            in_care = in_care & ~(here[slot] & leave)
        noted = chance.share[3] >= clinic.blank_dose
        return FittedCourse(chance.donor, here, self.weeks, pain, dose, sought, noted, rivals, cared)

    def _rate(self, slot: int, here: Bools) -> Array:
        """Ratings at this slot, nan where there is none."""
        clinic, model = self.clinic, self.clinic.pain
        if slot == 0:
            return self.first
        time = model.time(slot, self.weeks[slot])
        self._drift(slot, time)
        later = np.log1p(time)
        pain = model.mean(slot, time, self.first, self.group) + self.wobble
        for column, own in zip((np.ones_like(later), later), self.random, strict=False):
            pain += own * column
        pain += model.noise_sd * self.chance.noise[slot] + self._effect(here)
        if clinic.step > 0.0:
            pain = np.round(pain / clinic.step) * clinic.step
        pain = np.clip(pain, clinic.low, clinic.high)
        known = here & (self.chance.share[2, slot] >= clinic.blank_pain)
        self.latest = np.where(known, pain, self.latest)
        return np.where(known, pain, np.nan)

    def _drift(self, slot: int, time: Array) -> None:
        """Carry the wobble to this slot; it is stationary from the second."""
        model, swing = self.clinic.pain, self.chance.swing[slot]
        if slot == 1:
            self.wobble = model.process_sd * swing
        else:
            kept = model.phi ** (time - self.time) if model.phi > 0.0 else np.zeros_like(time)
            self.wobble = kept * self.wobble + model.process_sd * np.sqrt(1.0 - kept**2) * swing
        self.time = time

    def _effect(self, here: Bools) -> Array | float:
        if self.hinge is None or not here.any():
            return 0.0
        effect = -self.hinge.slope * np.maximum(self.acting - self.hinge.threshold, 0.0)
        return np.asarray(effect - effect[here].mean())

    def _needle(self, slot: int, where: Bools, dose: Array, rivals: dict[str, Array]) -> None:
        """Fill in the counts of this slot."""
        clinic, chance = self.clinic, self.chance
        lead = np.zeros(where.size)
        for i, (name, model) in enumerate({"": clinic.dose, **clinic.rivals}.items()):
            mean = (
                model.mean(slot, self.latest, self.group, lead) * chance.frailty[i] * chance.spread[i, slot]
            )
            counts = np.zeros(where.size)
            counts[where] = model.count(mean[where], chance.count[i, slot, where])
            if name:
                rivals[name][slot] = counts
            else:
                dose[slot] = lead = counts


def _weeks(clinic: FittedClinic, chance: _Chance) -> Array:
    """Weeks since the first visit: the donor's own gaps, then gaps of others at that slot."""
    slots, n = chance.swing.shape
    weeks = np.broadcast_to(np.arange(slots, dtype=np.float64)[:, None], (slots, n))
    if clinic.gaps is None:
        return weeks
    weeks = np.zeros((slots, n))
    every = clinic.gaps[np.isfinite(clinic.gaps)]
    for slot in range(1, slots):
        known = clinic.gaps[slot - 1][np.isfinite(clinic.gaps[slot - 1])]
        pool = known if known.size >= FEWEST_GAPS else every
        gap = clinic.gaps[slot - 1, chance.donor]
        other = pool[(chance.share[5, slot] * pool.size).astype(np.int64)]
        weeks[slot] = weeks[slot - 1] + np.where(np.isfinite(gap), gap, other)
    return weeks


def written(clinic: FittedClinic, course: FittedCourse) -> Visits:
    """Write the record of a simulated clinic, one row per attended visit."""
    patient, slot = np.nonzero(course.here.T)
    columns: dict[str, NDArray[np.generic]] = {
        "patient": patient,
        "visit": slot + 1,
        "pain": clinic.worse * course.pain[slot, patient],
        "twitches": np.zeros(patient.size),
        "sought": course.sought[slot, patient],
    }
    doses = {name: counts[slot, patient] for name, counts in course.rivals.items()}
    noted = course.noted[slot, patient] | ~course.sought[slot, patient]
    doses[clinic.dose_name] = np.where(noted, course.dose[slot, patient], np.nan)
    columns |= doses
    if clinic.gaps is not None:
        columns["weeks"] = course.weeks[slot, patient]
    if clinic.therapist is not None:
        columns["therapist"] = clinic.therapist[course.donor][patient]
    return Visits.from_arrays(**columns, scale=clinic.scale, rated=clinic.rated)  # type: ignore[arg-type]
