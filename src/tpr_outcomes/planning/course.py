"""What happens to each patient: the rating, the needling, the relief, the leaving.

The only loop is over visit slots; everything else is arrays over patients. What is *recorded* of it
is :mod:`tpr_outcomes.planning.records`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tpr_outcomes.cohort.scales import get_scale
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.planning.draws import Array, Draws, draw, poisson_quantile, visit_uniforms
from tpr_outcomes.planning.people import Ints, Patients, lasting_traits, untreated_pain, weeks_since_first
from tpr_outcomes.planning.truth import Truth

Bools = NDArray[np.bool_]

ENDINGS = ("completed", "better", "other")
"""Why a patient's record ends; the index is the code in :attr:`Course.ending`."""


@dataclass(frozen=True)
class Course:
    """What happened, including what no record shows. Arrays are (T, n): slot by patient.

    Attributes
    ----------
    attended : ndarray of bool
        Whether the visit took place; everything below means something only there.
    weeks : ndarray
        Weeks since the first visit.
    latent : ndarray
        Pain as it is, NRS points, before needling.
    rated : ndarray
        Pain as rated at the visit, NRS points (whole steps of the scale).
    twitches, insertions : ndarray
        True counts at the visit; 0 where not attended.
    dose_mean : ndarray
        Expected twitches given driver and patient (observed assignment).
    cotreated : ndarray of bool
        Whether the second treatment had started before the visit.
    ending : ndarray of int, shape (n,)
        Index in :data:`ENDINGS`.
    patients : Patients
        Lasting traits.
    draws : Draws
        The chance numbers used.
    """

    attended: Bools
    weeks: Array
    latent: Array
    rated: Array
    twitches: Array
    insertions: Array
    dose_mean: Array
    cotreated: Bools
    ending: Ints
    patients: Patients
    draws: Draws


def run_course(truth: Truth, n: int, seed: int) -> Course:
    """Let ``n`` patients of a world go through their visits.

    Parameters
    ----------
    truth : Truth
        The world.
    n : int
        Patients.
    seed : int
        Seed of the clinic.

    Returns
    -------
    Course
        Everything that happened.
    """
    draws = draw(truth, n, seed)
    patients = lasting_traits(truth, draws, seed)
    weeks = weeks_since_first(truth, n, seed)
    untreated = untreated_pain(truth, draws, patients, weeks, seed)
    return _Clinic(truth, draws, patients, weeks, untreated, seed).run()


class _Clinic:
    """The state of all patients between two visit slots.

    A class only because the steps of a visit share a dozen arrays; it lives inside `run_course`.
    """

    def __init__(
        self, truth: Truth, draws: Draws, patients: Patients, weeks: Array, untreated: Array, seed: int
    ) -> None:
        slots, n = untreated.shape
        self.truth, self.draws, self.patients = truth, draws, patients
        self.weeks, self.untreated = weeks, untreated
        self.rate = _rating_rule(truth, seed, n)
        self.in_care = np.ones(n, dtype=bool)
        self.dose = np.zeros(n)  # cumulative, of whatever acts
        self.last_dose = np.zeros(n)
        self.visits = np.zeros(n)
        self.last_rating = np.full(n, 5.0)
        self.first = np.zeros(n)
        self.cotreated_since = np.full(n, np.inf)
        self.ending = np.zeros(n, dtype=np.int64)
        features = {
            "missed": truth.missed_prob > 0.0,
            "cotreatment": truth.cotreatment_prob > 0.0,
            "yield": truth.insertions_mean > 0.0,
        }
        self.chance = {name: visit_uniforms(seed, name, n, slots) for name, used in features.items() if used}
        self.assigned = _assigned_twitches(truth, self.chance, patients, seed)

    def run(self) -> Course:
        """Go through all slots."""
        shape = self.untreated.shape
        latent, rated, twitches, insertions, expected = (np.zeros(shape) for _ in range(5))
        attended, cotreated = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
        for slot in range(shape[0]):
            here = self._attending(slot)
            attended[slot] = here
            cotreated[slot] = self.cotreated_since < np.inf
            latent[slot] = self._latent(slot)
            rated[slot] = self.rate(latent[slot] + self._rating_error(slot), slot)
            if slot == 0:
                self.first = latent[0] if self.truth.stopping == "latent" else rated[0]
            expected[slot] = self._expected(latent[slot], rated[slot])
            twitches[slot], insertions[slot] = self._needle(slot, np.flatnonzero(here), expected[slot])
            acting = twitches[slot] if self.truth.acting == "twitches" else insertions[slot]
            self._after(slot, here, latent[slot], rated[slot], acting)
        return Course(
            attended, self.weeks, latent, rated, twitches, insertions, expected, cotreated,
            self.ending, self.patients, self.draws,
        )  # fmt: skip

    def _attending(self, slot: int) -> Bools:
        truth = self.truth
        if slot == 0 or truth.missed_prob == 0.0:
            return self.in_care
        odds = np.exp(truth.missed_pain_slope * (self.last_rating - 5.0))
        odds = odds * truth.missed_prob / max(1.0 - truth.missed_prob, 1e-12)
        return np.asarray(self.in_care & (self.chance["missed"][slot] >= odds / (1.0 + odds)))

    def _latent(self, slot: int) -> Array:
        truth = self.truth
        pain = self.untreated[slot] + self.patients.per_visit * self.visits
        pain += dose_effect(truth, self.patients, self.dose, self.last_dose)
        if truth.cotreatment_prob > 0.0:
            elapsed = np.maximum(self.weeks[slot] - self.cotreated_since, 0.0)
            pain += truth.cotreatment_relief * -np.expm1(-elapsed / truth.cotreatment_weeks)
        return np.asarray(pain)

    def _rating_error(self, slot: int) -> Array:
        error = self.truth.noise_sd * self.draws.noise[slot]
        if slot == 0:
            error = error + self.truth.entry_sd * np.abs(self.draws.normal["entry"])
        return np.asarray(error)

    def _expected(self, latent: Array, rated: Array) -> Array:
        truth = self.truth
        pain = _driver(truth, latent, rated)
        return np.asarray(
            truth.dose_mean * np.exp(truth.dose_pain_slope * (pain - 5.0) + self.patients.log_dose)
        )

    def _needle(self, slot: int, here: Ints, expected: Array) -> tuple[Array, Array]:
        """Twitches and insertions at this slot (0 for patients not there)."""
        truth, n = self.truth, expected.size
        twitches, insertions = np.zeros(n), np.zeros(n)
        share, frailty = self.draws.count[slot, here], self.draws.frailty[slot, here]
        if truth.insertions_mean == 0.0:
            twitches[here] = poisson_quantile(share, expected[here] * frailty)
            return twitches, insertions
        per_insertion = self.patients.twitch_yield[here]
        insertions[here] = poisson_quantile(share, expected[here] / per_insertion * frailty)
        if self.assigned is not None:
            twitches[here] = self.assigned[slot, here]
        else:
            mean = insertions[here] * per_insertion
            twitches[here] = poisson_quantile(self.chance["yield"][slot, here], mean)
        return twitches, insertions

    def _after(self, slot: int, here: Bools, latent: Array, rated: Array, acting: Array) -> None:
        """Carry the visit forward: doses, second treatment, leaving."""
        truth = self.truth
        self.dose += acting
        self.last_dose = np.where(here, acting, self.last_dose)
        self.visits += here
        if truth.cotreatment_prob > 0.0:
            stays_high = here & (slot > 0) & (np.minimum(rated, self.last_rating) >= truth.cotreatment_pain)
            starts = stays_high & (self.chance["cotreatment"][slot] < truth.cotreatment_prob)
            starts &= np.isinf(self.cotreated_since)
            self.cotreated_since[starts] = self.weeks[slot][starts]
        self.last_rating = np.where(here, rated, self.last_rating)
        if truth.stopping == "none" or slot == 0:
            return
        pain = latent if truth.stopping == "latent" else rated
        # Scores in tenths are not exact in binary: a hair of slack makes "half or less" include half.
        better = here & (pain <= truth.stop_share * self.first + 1e-9)
        better &= self.draws.stop[slot] < truth.stop_prob
        other = here & ~better & (self.draws.background[slot] < truth.stop_background)
        self.ending[better], self.ending[other] = 1, 2
        self.in_care = self.in_care & ~(better | other)


def _driver(truth: Truth, latent: Array, rated: Array) -> Array | float:
    """Pain the therapist reacts to, NRS points."""
    if truth.driver == "recorded":
        return rated
    if truth.driver == "mixed":
        return (rated + latent) / 2.0
    if truth.driver == "latent":
        return latent
    if truth.driver == "contrary":
        return rated - truth.contrary * (latent - rated)
    return 5.0


def dose_effect(truth: Truth, patients: Patients, dose: Array, last_dose: Array) -> Array:
    """Change of latent pain by what has been needled so far.

    Parameters
    ----------
    truth : Truth
        ``response`` and its parameters; the formulas are in its docstring.
    patients : Patients
        For their own thresholds.
    dose, last_dose : ndarray, shape (n,)
        Cumulative dose, and dose at the latest visit.

    Returns
    -------
    ndarray, shape (n,)
        NRS points; negative is relief. The effect of a visit as such is in ``Patients.per_visit``.
    """
    kind, slope = truth.response, truth.slope
    if kind in ("none", "per_visit"):
        return np.zeros_like(dose)
    if kind == "linear":
        return slope * dose
    if kind == "last_dose":
        return slope * last_dose
    if kind == "emax":
        return truth.maximum * dose / (dose + truth.half_dose)
    if kind == "step":
        return np.where(dose > truth.threshold, truth.jump, 0.0)
    threshold = patients.threshold if kind == "hinge_patient" else truth.threshold
    effect = slope * np.maximum(dose - threshold, 0.0)
    if kind == "kink":
        effect += truth.early_slope * np.minimum(dose, threshold)
    return np.asarray(effect)


def _rating_rule(truth: Truth, seed: int, n: int) -> Callable[[Array, int], Array]:
    """Return how pain with error becomes a score: clipped, in whole steps, perhaps a favourite digit."""
    step = 10.0 / get_scale(truth.scale).span
    heaped = visit_uniforms(seed, "digit pain", n, truth.visits) if truth.digit_pain > 0.0 else None

    def rate(pain: Array, slot: int) -> Array:
        score = np.round(np.clip(pain, 0.0, 10.0) / step) * step
        if heaped is None:
            return np.asarray(score)
        favourite = 5.0 * np.round(score / 5.0)
        near = np.abs(score - favourite) <= 1.0
        return np.where(near & (heaped[slot] < truth.digit_pain), favourite, score)

    return rate


def _assigned_twitches(truth: Truth, chance: dict[str, Array], patients: Patients, seed: int) -> Array | None:
    """Twitches by randomised target, shape (T, n); None where the therapist decides."""
    if truth.assignment == "observed":
        return None
    slots, n = chance["yield"].shape
    rng = generator(seed, "simulate", "target")
    reached = rng.binomial(truth.target, truth.target_reached, (n, slots)).T.astype(np.float64)
    stray = poisson_quantile(chance["yield"].ravel(), np.full(slots * n, truth.target_leak))
    return np.where(patients.arm == 1, reached, stray.reshape(slots, n))
