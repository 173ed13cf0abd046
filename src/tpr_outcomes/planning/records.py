"""What a clinic writes down of what happened: counts missed, digits preferred, cells left blank."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tpr_outcomes.cohort.scales import get_scale
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.planning.course import ENDINGS, Course
from tpr_outcomes.planning.draws import Array, visit_uniforms
from tpr_outcomes.planning.truth import REGION_DEPTH, Truth

Columns = dict[str, NDArray[Any]]

_REGIONS = np.array(list(REGION_DEPTH), dtype=object)
_OTHER_REASONS = np.array(["lost", "no benefit", "cost", "adverse event"], dtype=object)
_OTHER_SHARES = (0.45, 0.75, 0.92, 1.0)


def record(truth: Truth, course: Course, seed: int, *, descriptive: bool = False) -> Columns:
    """Write the record of a clinic, one row per patient and attended visit.

    Parameters
    ----------
    truth : Truth
        The world.
    course : Course
        What happened.
    seed : int
        Seed of the clinic.
    descriptive : bool
        Add age, sex, region, therapist and stop reason even where the world does not turn on them.

    Returns
    -------
    dict of str to ndarray, shape (rows,)
        ``patient`` (codes 0..n-1), ``visit`` (1, 2, ... of those attended), ``weeks`` (irregular worlds
        only), ``pain`` (points of the scale), ``twitches``, and what else the world records.
    """
    seen = course.attended.T
    patient, slot = np.nonzero(seen)
    rows: Columns = {"patient": patient, "visit": slot + 1}
    if truth.missed_prob > 0.0:
        rows["visit"] = np.cumsum(seen, axis=1)[seen]
    if truth.gap_sd > 0.0 or truth.missed_prob > 0.0 or truth.gap_weeks != 1.0:
        rows["weeks"] = course.weeks[slot, patient]
    if descriptive:
        rows |= _person_columns(course, patient)
    if truth.count_depth != 0.0 or descriptive:
        rows["region"] = _REGIONS[_region(course)[patient]]
    if course.patients.therapists or descriptive:
        names = np.array([f"T{i + 1}" for i in range(max(course.patients.therapists, 4))], dtype=object)
        rows["therapist"] = names[_therapist(course)[patient]]
    if truth.assignment == "randomised":
        rows["target"] = truth.target * course.patients.arm[patient].astype(np.float64)
    rows["pain"] = _scores(truth, course, seed)[slot, patient]
    rows["twitches"] = _counts(truth, course, seed)[slot, patient]
    if truth.insertions_mean > 0.0:
        rows["insertions"] = course.insertions[slot, patient]
    if truth.cotreatment_prob > 0.0:
        rows["cotreatment"] = course.cotreated[slot, patient].astype(np.float64)
    if descriptive:
        rows["stop_reason"] = _stop_reasons(course, patient)
    return rows


def _scores(truth: Truth, course: Course, seed: int) -> Array:
    """Ratings as written, in points of the scale, shape (T, n)."""
    scale = get_scale(truth.scale)
    steps = np.round(course.rated * (scale.span / 10.0))
    scores = scale.minimum + steps if scale.higher_is_worse else scale.maximum - steps
    return _blanked(scores, truth.pain_blank, seed, "pain blank")


def _counts(truth: Truth, course: Course, seed: int) -> Array:
    """Twitches as written, shape (T, n)."""
    counts = course.twitches
    if truth.count_share < 1.0:
        counts = _undercounted(truth, course, seed)
    if truth.digit_twitches > 0.0:
        slots, n = counts.shape
        rounded = visit_uniforms(seed, "digit twitches", n, slots) < truth.digit_twitches
        counts = np.where(rounded, 5.0 * np.round(counts / 5.0), counts)
    if truth.round_therapist > 0:
        writes_tens = course.patients.therapist < truth.round_therapist
        counts = np.where(writes_tens, 10.0 * np.round(counts / 10.0), counts)
    return _blanked(counts, truth.twitches_blank, seed, "twitches blank")


def _undercounted(truth: Truth, course: Course, seed: int) -> Array:
    """Twitches noticed, each with the odds in :class:`Truth`, shape (T, n)."""
    depth = np.array(list(REGION_DEPTH.values()))[_region(course)]
    shift = -truth.count_depth * depth - truth.count_pain * (course.rated - 5.0)
    odds = truth.count_share / (1.0 - truth.count_share) * np.exp(shift)
    rng = generator(seed, "simulate", "counting")
    # Drawn patient by patient, so that fewer patients are the first of more.
    noticed = rng.binomial(course.twitches.T.astype(np.int64), (odds / (1.0 + odds)).T)
    return np.asarray(noticed.T, dtype=np.float64)


def _blanked(values: Array, share: float, seed: int, purpose: str) -> Array:
    if share == 0.0:
        return values
    slots, n = values.shape
    return np.where(visit_uniforms(seed, purpose, n, slots) < share, np.nan, values)


def _region(course: Course) -> NDArray[np.int64]:
    return (course.draws.uniform["region"] * len(_REGIONS)).astype(np.int64)


def _therapist(course: Course) -> NDArray[np.int64]:
    """Therapist codes; where the world has none, four who make no difference."""
    if course.patients.therapists:
        return course.patients.therapist
    return (course.draws.uniform["therapist"] * 4).astype(np.int64)


def _person_columns(course: Course, patient: NDArray[np.int64]) -> Columns:
    """Age and sex: no part of any world, so nothing depends on them."""
    u = course.draws.uniform
    # A triangle between 18 and 85 with its top at 45.
    low, top, high = 18.0, 45.0, 85.0
    rising = u["age"] < (top - low) / (high - low)
    age = np.where(
        rising,
        low + np.sqrt(u["age"] * (high - low) * (top - low)),
        high - np.sqrt((1.0 - u["age"]) * (high - low) * (high - top)),
    )
    sex = np.where(u["sex"] < 0.62, "female", "male").astype(object)
    return {"age": np.floor(age)[patient], "sex": sex[patient]}


def _stop_reasons(course: Course, patient: NDArray[np.int64]) -> NDArray[Any]:
    """Reason on each patient's last row, empty text elsewhere."""
    reason = np.array(ENDINGS, dtype=object)[course.ending]
    other = ENDINGS.index("other")
    choice = _OTHER_REASONS[np.searchsorted(_OTHER_SHARES, course.draws.uniform["reason"], side="right")]
    reason = np.where(course.ending == other, choice, reason)
    last = np.append(patient[1:] != patient[:-1], True)
    return np.where(last, reason[patient], "")
