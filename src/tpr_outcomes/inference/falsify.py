r"""Could something other than the twitches have drawn this picture? Checks that can fail.

*Lead check.* Needling cannot change the past. If the record says all that guided the needle, then
among visits alike in visit number, in pain now and in how twitchy the patient had been so far, earlier
pain must not predict the dose. If it does, dosing used something the record does not hold. Score test of
:math:`\text{pain}_{t-1}` in a Poisson quasi-likelihood for the dose at :math:`t` given visit, pain,
pain squared and the log empirical-Bayes frailty of *past* doses, studentised by patients.

*Mundlak check.* A patient trait may raise twitches and recovery alike. The dose association must
survive adjustment for the patient's own twitchiness (empirical-Bayes frailty of all doses) times
:math:`(1, t, \log(1+t))` (Mundlak 1978, doi:10.2307/1913646, applied to recovery curves).

*Within-patient timing.* Doses are permuted within patient relative to what visit and pain predict: an
answer from timing alone. Less open to patient traits than the rest, not immune (measured rates:
docs/methods/checks.md): printed, never decisive.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from tpr_outcomes.cohort.derive import DoseRows
from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.inference.threshold import score_tests
from tpr_outcomes.models import shapes
from tpr_outcomes.models.candidates import NOTHING, score_knots
from tpr_outcomes.models.counts import fit_counts, frailty_precision, log_frailty
from tpr_outcomes.models.working import Working, full_rank, visit_levels

Array = NDArray[np.float64]

MUNDLAK_LEVEL = 0.05
LEAD_LEVEL = 0.02
"""The lead check alarms below this. Where twitches do work it alarms a little too often (large relief
marks patients with high doses): at 5% it would cost 7 to 9% of true thresholds."""
FEWEST_ROWS = 40
"""Visits with two ratings before them that the lead check needs."""


@dataclass(frozen=True)
class Check:
    """Outcome of one check.

    Attributes
    ----------
    name : str
    p_value : float or None
        None when the check could not be done.
    passed : bool or None
        None when the check could not be done.
    statistic : float or None
    n : int
        Rows (lead) or patients (Mundlak) it rests on.
    reason : str
        Why it could not be done, else "".
    """

    name: str
    p_value: float | None
    passed: bool | None
    statistic: float | None
    n: int
    reason: str = ""

    @property
    def level(self) -> float:
        """The level its p-value is held against."""
        return LEAD_LEVEL if self.name == "lead" else MUNDLAK_LEVEL


def lead_check(working: Working) -> Check:
    """Does earlier pain predict the dose beyond what the record says guided it?

    Returns
    -------
    Check
        Two-sided normal p-value; passed when it is above 2%.
    """
    rows = working.ratings.dose_rows()
    usable = np.isfinite(rows.pain) & np.isfinite(rows.pain_lag1) & np.isfinite(rows.dose)
    known = np.isfinite(rows.pain) & np.isfinite(rows.dose)
    if usable.sum() < FEWEST_ROWS or not rows.dose[usable].sum() > 0 or np.ptp(rows.dose[usable]) == 0:
        return Check(
            "lead",
            None,
            None,
            None,
            int(usable.sum()),
            "too few visits with two ratings before a varying dose",
        )
    try:
        first = fit_counts(rows.dose[known], _dose_columns(rows, known))
        precision = frailty_precision(rows.dose[known], first.mean, rows.patient[known])
        past = _past_frailty(rows, known, first.mean, precision)
        x = full_rank(np.column_stack([_dose_columns(rows, usable), past[usable]]))
        fit = fit_counts(rows.dose[usable], x)
    except FitError as problem:
        return Check("lead", None, None, None, int(usable.sum()), str(problem))
    lagged = rows.pain_lag1[usable]
    weight = fit.mean[:, None]
    clear = lagged - x @ np.linalg.lstsq((x * weight).T @ x, (x * weight).T @ lagged, rcond=1e-12)[0]
    score = np.bincount(rows.patient[usable], clear * (rows.dose[usable] - fit.mean))
    scale = np.sqrt((score**2).sum())
    if not (scale > 0 and np.linalg.norm(clear) > 1e-9 * np.linalg.norm(lagged)):
        return Check(
            "lead", None, None, None, int(usable.sum()), "earlier pain does not vary beyond current pain"
        )
    statistic = float(score.sum() / scale)
    p_value = float(2.0 * ndtr(-abs(statistic)))
    return Check("lead", p_value, p_value > LEAD_LEVEL, statistic, int(usable.sum()))


def _dose_columns(rows: DoseRows, keep: NDArray[np.bool_]) -> Array:
    """Visit levels, pain and pain squared of the needling visits kept."""
    level = visit_levels(rows.visit[keep])
    pain = rows.pain[keep] - rows.pain[keep].mean()
    dummies = (level[:, None] == np.arange(level.max() + 1)).astype(float)
    return full_rank(np.column_stack([dummies, pain, pain**2]))


def _past_frailty(rows: DoseRows, known: NDArray[np.bool_], mean: Array, precision: float) -> Array:
    """Log frailty from the same patient's earlier visits, per row; 0 at the first."""
    dose = np.where(known, rows.dose, 0.0)
    expected = np.zeros_like(dose)
    expected[known] = mean
    return log_frailty(_before(dose, rows.patient), _before(expected, rows.patient), precision)


def _before(values: Array, patient: NDArray[np.int64]) -> Array:
    """Sum of the same patient's earlier values; rows sorted by patient."""
    total = np.cumsum(values) - values
    opens = np.ones(values.size, dtype=bool)
    opens[1:] = patient[1:] != patient[:-1]
    first = np.maximum.accumulate(np.where(opens, np.arange(values.size), 0))
    return np.asarray(total - total[first])


def patient_frailty(working: Working) -> Array:
    """Log empirical-Bayes twitchiness of each patient, shape (n_patients,), by patient code.

    Raises
    ------
    FitError
        If no dose model can be fitted.
    """
    rows = working.ratings.dose_rows()
    known = np.isfinite(rows.pain) & np.isfinite(rows.dose)
    fit = fit_counts(rows.dose[known], _dose_columns(rows, known))
    precision = frailty_precision(rows.dose[known], fit.mean, rows.patient[known])
    n = working.ratings.n_patients
    return log_frailty(
        np.asarray(np.bincount(rows.patient[known], rows.dose[known], minlength=n), dtype=float),
        np.asarray(np.bincount(rows.patient[known], fit.mean, minlength=n), dtype=float),
        precision,
    )


def mundlak_check(working: Working, *, replicates: int, seed: int) -> Check:
    """Does the dose association survive adjustment for each patient's own twitchiness?

    Returns
    -------
    Check
        One-sided sup-score p-value against "no dose", with frailty times (1, t, log(1+t)) added to the
        background; passed when it is below 5%.
    """
    ratings = working.ratings
    try:
        frailty = patient_frailty(working)[ratings.patient]
    except FitError as problem:
        return Check("mundlak", None, None, None, ratings.n_patients, str(problem))
    extra = frailty[:, None] * np.column_stack(
        [np.ones_like(working.time), working.time, np.log1p(working.time)]
    )
    tests = score_tests(working, replicates=replicates, seed=seed, rivals=(NOTHING,), extra=extra)
    p_value = tests.p_dose
    statistic = _largest(tests.statistics["none"])
    if statistic is None:
        reason = "the dose does not vary beyond visits and each patient's twitchiness"
        return Check("mundlak", None, None, None, ratings.n_patients, reason)
    return Check("mundlak", p_value, p_value < MUNDLAK_LEVEL, statistic, ratings.n_patients)


def timing_check(working: Working, *, replicates: int, seed: int) -> Check:
    """Permute dose ratios within patients: is there an answer in timing alone?

    Notes
    -----
    Expected doses come from a Poisson quasi-likelihood on visit and pain with the patient's own level;
    ratios dose/expected are permuted within patient, cumulative doses rebuilt, and the largest hinge
    score beyond the background recomputed. One-sided. A needling without a rating before it has no
    expected dose: it keeps the dose it had.
    """
    ratings = working.ratings
    rows = ratings.dose_rows()
    known = np.isfinite(rows.pain)
    if not rows.dose[known].sum() > 0:
        reason = "no needling with a rating before it has a recorded dose"
        return Check("timing", None, None, None, ratings.n_patients, reason)
    patient, dose = rows.patient[known], rows.dose[known]
    try:
        fit = fit_counts(dose, _dose_columns(rows, known))
    except FitError as problem:
        return Check("timing", None, None, None, ratings.n_patients, str(problem))
    expected = fit.mean * (np.bincount(patient, dose) / np.bincount(patient, fit.mean).clip(1e-300))[patient]
    ratio = np.divide(dose, expected, out=np.ones_like(expected), where=expected > 0)
    place = _rating_rows(working, rows)
    observed = _timing_statistic(working, rows.dose, rows.patient, place)
    if observed is None:
        reason = "the cumulative dose does not vary beyond the background"
        return Check("timing", None, None, None, ratings.n_patients, reason)
    rng = generator(seed, "timing")
    exceed = 0
    again_dose = rows.dose.copy()
    for _ in range(replicates):
        again_dose[known] = ratio[np.lexsort((rng.random(ratio.size), patient))] * expected
        again = _timing_statistic(working, again_dose, rows.patient, place)
        exceed += again is not None and again >= observed - 1e-12
    p_value = (1 + exceed) / (replicates + 1)
    return Check("timing", p_value, p_value < MUNDLAK_LEVEL, observed, ratings.n_patients)


def _rating_rows(working: Working, rows: DoseRows) -> NDArray[np.int64]:
    """For each rating, the last dose row of the same patient before it; -1 where there is none."""
    r = working.ratings
    largest = max(float(rows.t.max()), float(r.t.max())) + 2.0
    place = np.searchsorted(rows.patient * largest + rows.t, r.patient * largest + r.t, side="left") - 1
    return np.where((place >= 0) & (rows.patient[place] == r.patient), place, -1)


def _timing_statistic(
    working: Working, dose: Array, patient: NDArray[np.int64], place: NDArray[np.int64]
) -> float | None:
    """Largest hinge score beyond the background, as in :func:`score_tests` against "no dose"."""
    total = np.where(place >= 0, (_before(dose, patient) + dose)[place], 0.0)
    raw = np.column_stack([shapes.hinge(total, knot) for knot in score_knots(total)]) / working.unit
    white = working.whiten(raw)
    z = working.clear(white)
    norm = np.linalg.norm(z, axis=0)
    usable = norm > 1e-6 * np.maximum(np.linalg.norm(white, axis=0), 1e-300)
    return _largest(np.where(usable, -(z.T @ working.y) / np.where(usable, norm, 1.0), np.nan))


def _largest(scores: Array) -> float | None:
    """Largest score, or None when the background spans every hinge."""
    usable = scores[np.isfinite(scores)]
    return float(usable.max()) if usable.size else None
