r"""Dose effect adjusted for recorded history: structural nested mean model and marginal structural model.

Needling is heavier when pain is worse, and pain later depends on needling before: recorded pain is both
a confounder of the next dose and a result of the last one. Ordinary regression on cumulative dose then
fails with pain adjusted for and without. Both methods here need *sequential ignorability*: among visits
alike in recorded history, the dose given has nothing to do with what would have happened.

*SNMM* (Robins 1994, doi:10.1080/03610929408831393; Vansteelandt & Joffe 2014,
doi:10.1214/14-STS493). One more twitch changes every later rating by :math:`\psi` (additive, permanent,
one slope over all lags). With :math:`C_j` the cumulative dose before visit :math:`j` and :math:`Y_k` the
rating at visit :math:`k`, :math:`H_{jk}(\psi)=Y_k-\psi\{g(C_k)-g(C_j)\}` is that rating with the doses from
:math:`j` on taken away, and

.. math:: \sum_i\sum_{j<k} w_{jk}\, q_j\{A_j-e(H_j)\}\{H_{jk}(\psi)-m_{jk}(H_j)\} = 0

is linear in :math:`\psi`. ``lags=1`` keeps only the next rating after every dose, :math:`k=j+1`, and needs no
assumption about how long an effect lasts. Consistent if *either* the mean dose :math:`e` or the mean natural
course :math:`m` is right.

*MSM* (Robins, Hernán & Brumback 2000, doi:10.1097/00001648-200009000-00011). Mean rating given cumulative
dose, visit and first rating, by weighted least squares (GEE with independence) under the weights of
:mod:`~tpr_outcomes.inference.weighting`; standard errors clustered by patient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from tpr_outcomes.errors import FitError, PlanError
from tpr_outcomes.inference.estimating import by_patient, g_estimate, weighted_regression
from tpr_outcomes.inference.history import History, visit_columns
from tpr_outcomes.inference.weighting import (
    PAIN,
    TRUNCATION,
    DoseModel,
    Weights,
    history_columns,
    stabilized_weights,
    staying,
    through,
)
from tpr_outcomes.models.counts import fit_counts

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

FEWEST_PATIENTS = 10
"""Patients below which a clustered standard error is not worth printing."""


@dataclass(frozen=True, eq=False)
class DoseEffect:
    """Change of pain per unit of dose under sequential ignorability.

    Attributes
    ----------
    estimate : float
        Scale points per unit of dose (past ``knot``); negative is relief.
    std_error : float
        Clustered by patient.
    conf_low, conf_high, p_value : float
        From the t distribution with one degree of freedom less than patients; the p-value is two-sided.
    level : float
    knot : float
        Cumulative dose before which no effect is assumed; 0 is the plain cumulative dose.
    n_patients, n_rows : int
        Patients and rows (ratings, or pairs of dose and rating) in the estimate.
    """

    estimate: float
    std_error: float
    conf_low: float
    conf_high: float
    p_value: float
    level: float
    knot: float
    n_patients: int
    n_rows: int

    def to_frame(self) -> pd.DataFrame:
        """Return one tidy row: ``term, estimate, std_error, conf_low, conf_high, p_value``."""
        values = {"term": "dose" if self.knot == 0 else "dose_past_threshold"}
        names = ("estimate", "std_error", "conf_low", "conf_high", "p_value")
        return pd.DataFrame([values | {name: getattr(self, name) for name in names}])


@dataclass(frozen=True, eq=False)
class SnmmFit(DoseEffect):
    """Structural nested mean model, fitted by g-estimation.

    Attributes
    ----------
    lags : int or None
        Ratings after each dose that were used; None is all.
    pain_on_dose : float
        Recorded-pain-on-dose coefficient at the mean dose: units of dose at a visit per scale point of
        current pain, other history held fixed. The yardstick for unrecorded reasons.
    """

    lags: int | None
    pain_on_dose: float


@dataclass(frozen=True, eq=False)
class MsmFit(DoseEffect):
    """Marginal structural model, fitted by weighting.

    Attributes
    ----------
    weights : Weights
        Weights with their summary, balance and positivity.
    small_sample : bool
        Standard error corrected for few patients (Mancl & DeRouen 2001).
    """

    weights: Weights
    small_sample: bool


@dataclass(frozen=True, eq=False)
class _MeanDose:
    """Mean dose given the history: what g-estimation needs of it."""

    residual: Array  # (m,)
    mean: Array  # (m,)
    slope: Array  # (m, p): change of the mean per unit of each coefficient
    influence: Array  # (n_patients, p): each patient's part in the error of the coefficients
    pain: float  # change of the mean per scale point of pain, averaged over rows


def fit_snmm(
    rows: History,
    *,
    lags: int | None = 1,
    knot: float = 0.0,
    dose_model: DoseModel = "negative_binomial",
    dropout: bool = True,
    recorded: Array | None = None,
    small_sample: bool = True,
    level: float = 0.95,
) -> SnmmFit:
    r"""g-estimate the effect of the cumulative dose.

    Parameters
    ----------
    rows : History
        Recorded history.
    lags : int or None, default 1
        How many ratings after each dose to use; None for all later ones. More lags gain power and
        assume that an effect, once there, stays.
    knot : float, default 0
        Threshold :math:`\tau` in :math:`g(c)=(c-\tau)_+`.
    dose_model : {"negative_binomial", "normal"}
        Log-linear (Poisson quasi-likelihood, enough for a mean) or linear mean dose.
    dropout : bool, default True
        Weight pairs by the stabilised inverse chance of staying from the dose to the rating.
    recorded : ndarray, shape (m, q), optional
        Further recorded reasons for dose or stopping.
    small_sample : bool, default True
        Correct the standard error for few patients (Mancl & DeRouen 2001,
        doi:10.1111/j.0006-341X.2001.00126.x); False is the plain sandwich.
    level : float, default 0.95
        Level of the confidence interval.

    Returns
    -------
    SnmmFit

    Raises
    ------
    FitError
        If there are too few patients or no dose is free to vary.

    Notes
    -----
    :math:`q_j` is the share of the expected dose that falls past the threshold, which a function of
    history may be; 1 for ``knot=0``. :math:`m` is linear in visit, pain, previous pain, first rating,
    twitchiness so far, past dose and, with several lags, the lag and its products with pain. The sandwich
    variance stacks the estimating equations of :math:`\psi`, :math:`m` and :math:`e`; weights for staying
    are taken as known.
    """
    if lags is not None and lags < 1:
        raise PlanError(f"lags={lags} was asked for; it must be 1 or more, or None for all.")
    known = history_columns(rows, dose_model=dose_model, recorded=recorded)
    dose = _mean_dose(rows, np.column_stack([known, visit_columns(rows.t)]), dose_model)
    j, k = _pairs(rows, lags)
    _check_size(rows, j)
    curve = np.maximum(rows.past - knot, 0.0)
    blip = np.maximum(rows.through[k] - knot, 0.0) - curve[j]
    expected = np.maximum(dose.mean, 1e-8)
    share = (np.maximum(rows.past + expected - knot, 0.0) - curve) / expected
    # Visits are pooled anew, over the rows in use: nobody may be the only one to speak for a visit.
    used, place = np.unique(j, return_inverse=True)
    course = np.column_stack(
        [np.column_stack([known, rows.past, curve])[j], visit_columns(rows.t[used])[place]]
    )
    if lags != 1:
        course = np.column_stack([course, _lag_columns(rows, j, k)])
    weight = _pair_weights(rows, j, k, recorded) if dropout else np.ones(j.size)
    psi, influence = g_estimate(
        rows.outcome[k],
        blip,
        (share * dose.residual)[j],
        course,
        rows.patient[j],
        weight=weight,
        instrument_slope=-(share[:, None] * dose.slope)[j],
        dose_influence=dose.influence,
        small_sample=small_sample,
    )
    return SnmmFit(
        **_inference(psi, influence, knot=knot, level=level, n_rows=j.size),
        lags=lags,
        pain_on_dose=dose.pain,
    )


def fit_msm(
    rows: History,
    *,
    knot: float = 0.0,
    dose_model: DoseModel = "negative_binomial",
    truncate: tuple[float, float] = TRUNCATION,
    recorded: Array | None = None,
    small_sample: bool = True,
    level: float = 0.95,
) -> MsmFit:
    r"""Fit a marginal structural model of the cumulative dose.

    Parameters
    ----------
    rows : History
        Recorded history.
    knot : float, default 0
        Threshold :math:`\tau` in :math:`(C-\tau)_+`; 0 is the plain cumulative dose.
    dose_model : {"negative_binomial", "normal"}
        Density of the dose given the history.
    truncate : tuple of float
        Quantiles at which weights are cut off.
    recorded : ndarray, shape (m, q), optional
        Further recorded reasons for dose or stopping.
    small_sample : bool, default True
        Correct the standard error for few patients (Mancl & DeRouen 2001,
        doi:10.1111/j.0006-341X.2001.00126.x); False is the plain sandwich.
    level : float, default 0.95
        Level of the confidence interval.

    Returns
    -------
    MsmFit

    Notes
    -----
    :math:`E\{Y_k(\bar a)\}=\alpha_k+Y_0\{\beta_0+\beta_1k+\beta_2\log(1+k)\}+\theta\,(C_k-\tau)_+`.
    Weights are taken as known, which for stabilised weights makes the standard error a little too large on
    average.
    """
    weights = stabilized_weights(rows, dose_model=dose_model, truncate=truncate, recorded=recorded)
    seen = ~np.isnan(rows.outcome)
    _check_size(rows, np.flatnonzero(seen))
    time = rows.t[seen] + 1.0
    baseline = (rows.baseline - rows.baseline.mean())[seen]
    x = np.column_stack([
        np.maximum(rows.through - knot, 0.0)[seen],
        visit_columns(rows.t[seen]),
        baseline, baseline * time, baseline * np.log1p(time),
    ])  # fmt: skip
    theta, influence = weighted_regression(
        rows.outcome[seen], x, weights.weight[seen], rows.patient[seen], small_sample=small_sample
    )
    return MsmFit(
        **_inference(theta[0], influence[:, 0], knot=knot, level=level, n_rows=int(seen.sum())),
        weights=weights,
        small_sample=small_sample,
    )


def _mean_dose(rows: History, x: Array, dose_model: DoseModel) -> _MeanDose:
    if dose_model == "negative_binomial":
        fit = fit_counts(rows.dose, x)
        mean, beta = fit.mean, fit.gamma
        slope = x * mean[:, None]
        pain = float(beta[PAIN] * mean.mean())
    else:
        beta = np.asarray(np.linalg.lstsq(x, rows.dose, rcond=1e-12)[0], dtype=np.float64)
        mean, slope, pain = x @ beta, x, float(beta[PAIN])
    residual = rows.dose - mean
    information = np.linalg.pinv(slope.T @ x, rcond=1e-12)
    scores = by_patient(x * residual[:, None], rows.patient, rows.n_patients)
    return _MeanDose(residual=residual, mean=mean, slope=slope, influence=scores @ information.T, pain=pain)


def _pairs(rows: History, lags: int | None) -> tuple[Ints, Ints]:
    """Indices of decision and rating rows of every pair, at most ``lags`` apart."""
    m = rows.t.size
    seen = ~np.isnan(rows.outcome)
    decisions, outcomes = [], []
    for lag in range(m if lags is None else lags):
        j = np.arange(m - lag)
        same = rows.patient[j] == rows.patient[j + lag]
        if not same.any():
            break
        j = j[same & seen[j + lag]]
        decisions.append(j)
        outcomes.append(j + lag)
    j, k = np.concatenate(decisions), np.concatenate(outcomes)
    order = np.argsort(j, kind="stable")
    return j[order], k[order]


def _lag_columns(rows: History, j: Ints, k: Ints) -> Array:
    """How the natural course may depend on the time between decision and rating."""
    lag = rows.t[k] - rows.t[j]
    fading = 1.0 / (1.0 + lag)
    course = [lag, np.log1p(lag), fading, rows.pain[j] * lag, rows.pain[j] * fading]
    course += [rows.pain_lag1[j] * fading, rows.baseline[j] * lag, rows.baseline[j] * fading]
    return np.column_stack([*course, rows.t[j] * lag])


def _pair_weights(rows: History, j: Ints, k: Ints, recorded: Array | None) -> Array:
    """Stabilised inverse chance of staying from each decision to its rating, truncated."""
    step = np.log(staying(rows, recorded)[0])
    log_weight = through(rows, step)[k] - rows.past_of(step)[j]
    if rows.rated_after:  # the rating at k comes before the question whether the patient returns
        log_weight = log_weight - step[k]
    weight = np.exp(log_weight)
    low, high = np.quantile(weight, TRUNCATION)
    return np.asarray(np.clip(weight, low, high))


def _check_size(rows: History, used: Ints) -> None:
    patients = np.unique(rows.patient[used]).size
    if patients < FEWEST_PATIENTS:
        raise FitError(
            f"Only {patients} patients have a rating after a recorded dose; a standard error clustered by "
            f"patient needs at least {FEWEST_PATIENTS}."
        )


def _inference(
    estimate: float, influence: Array, *, knot: float, level: float, n_rows: int
) -> dict[str, Any]:
    n = influence.size
    std_error = float(np.sqrt((influence**2).sum()))
    half = float(stats.t.ppf(0.5 + level / 2, n - 1)) * std_error
    return {
        "estimate": float(estimate),
        "std_error": std_error,
        "conf_low": float(estimate) - half,
        "conf_high": float(estimate) + half,
        "p_value": float(2 * stats.t.sf(abs(estimate) / std_error, n - 1)),
        "level": level,
        "knot": knot,
        "n_patients": n,
        "n_rows": n_rows,
    }
