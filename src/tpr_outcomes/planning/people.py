"""Who comes to a simulated clinic, and how their pain would go if nothing were done."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tpr_outcomes.inference.resample import generator
from tpr_outcomes.planning.draws import Array, Draws, visit_normals, visit_uniforms
from tpr_outcomes.planning.truth import Truth

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Patients:
    """Lasting traits of ``n`` patients (shape (n,) each).

    Attributes
    ----------
    log_dose : ndarray
        Log of the patient's dose relative to the average one: twitchiness and therapist's style.
    twitchiness : ndarray
        The standard normal behind it, the patient's own part.
    twitch_yield : ndarray
        Twitches per insertion (worlds with insertions).
    threshold : ndarray
        Own threshold, dose units.
    per_visit : ndarray
        Change of pain per visit so far, whatever is needled (own factor and therapist), NRS points.
    trait : ndarray
        Unmeasured trait, standard normal.
    therapist : ndarray of int
        Codes; all 0 where the world has none.
    therapists : int
        How many therapists there are (0: not recorded).
    arm : ndarray of int
        1 = the higher twitch target (randomised worlds).
    """

    log_dose: Array
    twitchiness: Array
    twitch_yield: Array
    threshold: Array
    per_visit: Array
    trait: Array
    therapist: Ints
    therapists: int
    arm: Ints


def lasting_traits(truth: Truth, draws: Draws, seed: int) -> Patients:
    """Give each patient their lasting traits.

    Parameters
    ----------
    truth : Truth
        The world.
    draws : Draws
        The chance numbers.
    seed : int
        Seed of the clinic (for its therapists).

    Returns
    -------
    Patients
        Traits of all patients.
    """
    z = draws.normal
    style, results, therapist = _therapists(truth, draws, seed)
    twitchiness = _correlated(truth.trait_dose_corr, z["trait"], z["twitchiness"])
    own, log_yield = truth.dose_sd * twitchiness, np.zeros_like(twitchiness)
    if truth.insertions_mean > 0.0:
        # Same total spread, split between more insertions and more twitches per insertion.
        log_yield = np.sqrt(truth.dose_sd**2 - truth.insertions_sd**2) * twitchiness
        own = log_yield + truth.insertions_sd * _correlated(
            truth.trait_dose_corr, z["trait"], z["insertions"]
        )
        log_yield = log_yield + np.log(truth.dose_mean / truth.insertions_mean)
    per_visit = results[therapist]
    if truth.response == "per_visit":
        per_visit = per_visit + truth.visit_slope * np.exp(truth.visit_slope_sd * z["visit_factor"])
    return Patients(
        log_dose=own + style[therapist],
        twitchiness=twitchiness,
        twitch_yield=np.exp(log_yield),
        threshold=truth.threshold * np.exp(truth.threshold_sd * z["threshold"]),
        per_visit=per_visit,
        trait=z["trait"],
        therapist=therapist,
        therapists=style.size if truth.therapists_high else 0,
        arm=(draws.uniform["arm"] < 0.5).astype(np.int64),
    )


def _therapists(truth: Truth, draws: Draws, seed: int) -> tuple[Array, Array, Ints]:
    """Each therapist's log dose and own results per visit, and each patient's therapist."""
    if truth.therapists_high == 0:
        return np.zeros(1), np.zeros(1), np.zeros(draws.wobble.shape[1], dtype=np.int64)
    rng = generator(seed, "simulate", "therapists")
    number = int(rng.integers(truth.therapists_low, truth.therapists_high, endpoint=True))
    z = rng.standard_normal((2, truth.therapists_high))[:, :number]
    # Caseloads differ threefold, as they do in practice.
    load = np.cumsum(rng.uniform(0.5, 1.5, truth.therapists_high)[:number])
    therapist = np.searchsorted(load / load[-1], draws.uniform["therapist"], side="right")
    results = -truth.therapist_result_sd * _correlated(truth.therapist_corr, z[0], z[1])
    return truth.therapist_style_sd * z[0], results, therapist.astype(np.int64)


def _correlated(correlation: float, first: Array, second: Array) -> Array:
    """Combine independent standard normals into one that has this correlation with ``first``."""
    if correlation == 0.0:
        return second
    return np.asarray(correlation * first + np.sqrt(1.0 - correlation**2) * second)


def weeks_since_first(truth: Truth, n: int, seed: int) -> Array:
    """Weeks since the first appointment, shape (T, n)."""
    if truth.gap_sd == 0.0:
        regular = truth.gap_weeks * np.arange(truth.visits, dtype=np.float64)
        return np.broadcast_to(regular[:, None], (truth.visits, n))
    gaps = truth.gap_weeks * np.exp(truth.gap_sd * visit_normals(seed, "gaps", n, truth.visits))
    # Whole days, at least one: a record holds dates.
    gaps = np.maximum(gaps, 1.0 / 7.0)
    gaps[0] = 0.0
    return np.asarray(np.round(np.cumsum(gaps, axis=0) * 7.0) / 7.0)


def untreated_pain(truth: Truth, draws: Draws, patients: Patients, weeks: Array, seed: int) -> Array:
    """Latent pain if nothing were done.

    Parameters
    ----------
    truth : Truth
        The world.
    draws : Draws
        The chance numbers.
    patients : Patients
        Lasting traits.
    weeks : ndarray, shape (T, n)
        Weeks since the first visit.
    seed : int
        Seed of the clinic.

    Returns
    -------
    ndarray, shape (T, n)
        NRS points, not limited to the scale.
    """
    z, u = draws.normal, draws.uniform
    start = np.clip(truth.start_mean + truth.start_sd * z["start"], truth.start_low, truth.start_high)
    floor = start * (truth.floor_low + (truth.floor_high - truth.floor_low) * u["floor"])
    pain = floor + (start - floor) * _remaining(truth, draws, patients, weeks)
    pain += _wobble(truth, draws, weeks)
    if truth.flare_prob > 0.0 or truth.flare_entry > 0.0:
        pain += _flares(truth, weeks, seed)
    if truth.trait_relief != 0.0:
        clock = truth.dose_mean * np.exp(truth.dose_sd * patients.trait) * weeks
        pain += truth.trait_relief * np.maximum(clock - truth.trait_from, 0.0)
    return np.asarray(pain)


def _remaining(truth: Truth, draws: Draws, patients: Patients, weeks: Array) -> Array:
    """Share of the way to the floor still to go, 1 at the first visit, shape (T, n)."""
    if truth.course == "flat":
        return np.ones_like(weeks)
    if truth.course == "exponential":
        speed = _correlated(truth.recovery_dose_corr, patients.twitchiness, draws.normal["recovery"])
        return np.asarray(np.exp(-weeks / (truth.recovery_weeks * np.exp(truth.recovery_sd * speed))))
    onset = truth.onset_low + (truth.onset_high - truth.onset_low) * draws.uniform["onset"]
    at_start = 1.0 / (1.0 + np.exp(onset / truth.onset_width))
    turned = 1.0 / (1.0 + np.exp((onset - weeks) / truth.onset_width))
    return np.asarray(1.0 - (turned - at_start) / (1.0 - at_start))


def _wobble(truth: Truth, draws: Draws, weeks: Array) -> Array:
    """Stationary autoregression whose correlation falls with weeks apart, shape (T, n)."""
    wobble = np.empty_like(draws.wobble)
    wobble[0] = draws.wobble[0]
    for slot in range(1, truth.visits):
        keep = _kept(truth.wobble_phi, truth, weeks, slot)
        wobble[slot] = keep * wobble[slot - 1] + np.sqrt(1.0 - keep**2) * draws.wobble[slot]
    return truth.wobble_sd * wobble


def _flares(truth: Truth, weeks: Array, seed: int) -> Array:
    """Sudden heavy-tailed rises that fade, shape (T, n)."""
    slots, n = weeks.shape
    sizes = generator(seed, "simulate", "flare sizes").standard_t(3.0, (n, slots)).T
    size = truth.flare_scale * np.abs(sizes)
    chance = np.where(np.arange(slots) == 0, truth.flare_entry, truth.flare_prob)
    starts = np.less(visit_uniforms(seed, "flares", n, slots), chance[:, None])
    flare = np.where(starts, size, 0.0)
    for slot in range(1, slots):
        flare[slot] += _kept(truth.flare_decay, truth, weeks, slot) * flare[slot - 1]
    return np.asarray(flare)


def _kept(weekly: float, truth: Truth, weeks: Array, slot: int) -> Array | float:
    """Share of last visit's deviation still there, from the share kept over one week."""
    if truth.gap_sd == 0.0:
        return float(weekly**truth.gap_weeks)
    return np.asarray(weekly ** (weeks[slot] - weeks[slot - 1]))
