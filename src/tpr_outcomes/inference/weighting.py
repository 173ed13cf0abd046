r"""Stabilised weights for a dose that was chosen by what had happened, and for patients who stopped.

At every needling :math:`s` of patient :math:`i`, with recorded history :math:`H_s` and the part of it
:math:`V_s` that the outcome model may condition on (visit, first rating, past doses),

.. math:: \text{dose\_weight}_k &= \prod_{s\le k}\frac{f(A_s\mid V_s)}{f(A_s\mid H_s)}, \\
          \text{dropout\_weight}_k &=
          \prod_{s\le k}\frac{P(\text{stay}\mid V_s, A_s)}{P(\text{stay}\mid H_s, A_s)} .

Doses are counts with zeros and more spread than Poisson, so :math:`f` is negative binomial: a normal
density of log doses has no place for zero. ``dose_model="normal"`` is for a dose that is measured. Both
fits are checks on themselves: :class:`Weights` shows their spread, the balance they reach, and where
hardly anybody could have got another dose (positivity).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tpr_outcomes.errors import FitError, PlanError
from tpr_outcomes.inference.history import History, twitchiness, visit_columns
from tpr_outcomes.models.glm import fit_logistic, fit_negative_binomial

Array = NDArray[np.float64]
DoseModel = Literal["negative_binomial", "normal"]

TRUNCATION = (0.01, 0.99)
"""Quantiles at which products of weights are cut off, unless others are asked for."""
RARE_STAY = 0.05
"""Chance of staying below which a row is reported as hardly ever followed."""


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights of every row of a :class:`~tpr_outcomes.inference.history.History`.

    Attributes
    ----------
    dose_weight : ndarray, shape (m,)
        Stabilised weight for the doses through this row, not truncated.
    dropout_weight : ndarray, shape (m,)
        Stabilised weight for having stayed long enough to give this row's outcome, not truncated.
    weight : ndarray, shape (m,)
        Their product, truncated: what the outcome model uses.
    quantiles : tuple of float
        Quantiles of the product over rows with an outcome at which it was truncated.
    limits : tuple of float
        The values there.
    n_truncated : int
        Rows with an outcome that were cut at either end.
    dispersion : float
        Dispersion (negative binomial) or residual variance (normal) of the dose given the history.
    pain_coefficient : float
        Coefficient of current pain in the dose model: change of the log mean (negative binomial) or of
        the mean (normal) per scale point.
    visits : DataFrame
        Per visit: ``visit_index, n, component, mean, std, min, max, effective_n`` for each of
        ``dose_weight``, ``dropout_weight`` and ``weight`` over rows with an outcome. Means near 1 are
        necessary for correct weights, not sufficient.
    balance : DataFrame
        Per visit and covariate: correlation of the dose (less what ``V`` explains) with the covariate
        before and after weighting.
    staying_balance : DataFrame
        Per visit and covariate: standardised difference between those who stayed and all who were
        due, before and after weighting.
    positivity : DataFrame
        Per visit: how much of the dose's spread the history leaves free, how many got none, and how
        small the chance of staying gets.
    """

    dose_weight: Array
    dropout_weight: Array
    weight: Array
    quantiles: tuple[float, float]
    limits: tuple[float, float]
    n_truncated: int
    dispersion: float
    pain_coefficient: float
    visits: pd.DataFrame
    balance: pd.DataFrame
    staying_balance: pd.DataFrame
    positivity: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """Return the weight summary per visit."""
        return self.visits.copy()


@dataclass(frozen=True, eq=False)
class _DoseFit:
    mean: Array
    log_density: Array
    spread: float
    beta: Array


def stabilized_weights(
    rows: History,
    *,
    dose_model: DoseModel = "negative_binomial",
    truncate: tuple[float, float] = TRUNCATION,
    recorded: Array | None = None,
) -> Weights:
    """Weight needlings so that dose and staying no longer depend on recorded pain.

    Parameters
    ----------
    rows : History
        Recorded history.
    dose_model : {"negative_binomial", "normal"}
        Density of the dose given the history.
    truncate : tuple of float
        Quantiles at which the product is cut off; (0, 1) leaves it as it is.
    recorded : ndarray, shape (m, q), optional
        Further recorded reasons for dose or stopping, one column each (e.g. soreness).

    Returns
    -------
    Weights

    Raises
    ------
    FitError
        If a dose model cannot be fitted. A staying model that cannot be fitted because nobody (or
        everybody) stopped gives weights of one.
    """
    low, high = truncate
    if not 0 <= low < high <= 1:
        raise PlanError(
            f"Truncation at quantiles {low:g} and {high:g} was asked for; they must rise within 0 to 1."
        )
    known = history_columns(rows, dose_model=dose_model, recorded=recorded)
    full = _fit_dose(rows.dose, np.column_stack([known, visit_columns(rows.t)]), dose_model)
    part = _fit_dose(rows.dose, baseline_columns(rows, dose_model=dose_model), dose_model)
    dose_weight = np.exp(through(rows, part.log_density - full.log_density))
    ratio, chance = staying(rows, recorded)
    dropout_weight = through(rows, np.log(ratio))
    if rows.rated_after:  # the outcome of a row comes before the question whether the patient returns
        dropout_weight = dropout_weight - np.log(ratio)
    dropout_weight = np.exp(dropout_weight)
    product = dose_weight * dropout_weight
    seen = ~np.isnan(rows.outcome)
    if not seen.any():
        raise FitError("No dose is followed by a rating, so there is nothing to weight.")
    limits = (float(np.quantile(product[seen], low)), float(np.quantile(product[seen], high)))
    weight = np.clip(product, *limits)
    return Weights(
        dose_weight=dose_weight,
        dropout_weight=dropout_weight,
        weight=weight,
        quantiles=(low, high),
        limits=limits,
        n_truncated=int((weight != product)[seen].sum()),
        dispersion=full.spread,
        pain_coefficient=float(full.beta[PAIN]),
        visits=_weight_summary(rows, seen, dose_weight, dropout_weight, weight),
        balance=_dose_balance(rows, rows.dose - part.mean, dose_weight),
        staying_balance=_staying_balance(rows, chance),
        positivity=_positivity(rows, full.mean, chance),
    )


PAIN = 0
"""Place of current pain among :func:`history_columns`."""


def history_columns(rows: History, *, dose_model: DoseModel, recorded: Array | None = None) -> Array:
    """Return what a dose may depend on beside the visit number, shape (m, p).

    In this order: pain, previous pain, first rating, twitchiness so far, further recorded reasons.
    """
    pain = np.column_stack([rows.pain, rows.pain_lag1, rows.baseline])
    known = np.column_stack([pain, visit_columns(rows.t)])
    past = twitchiness(rows, known, count=dose_model == "negative_binomial")
    return np.column_stack([pain, past] if recorded is None else [pain, past, recorded])


def baseline_columns(rows: History, *, dose_model: DoseModel) -> Array:
    """Return what the outcome model conditions on anyway: first rating, visit, past doses; shape (m, p)."""
    known = np.column_stack([rows.baseline, visit_columns(rows.t)])
    return np.column_stack([known, twitchiness(rows, known, count=dose_model == "negative_binomial")])


def _fit_dose(dose: Array, x: Array, dose_model: DoseModel) -> _DoseFit:
    if dose_model == "negative_binomial":
        fit = fit_negative_binomial(dose, x)
        return _DoseFit(mean=fit.mean, log_density=fit.log_density, spread=fit.dispersion, beta=fit.beta)
    beta = np.asarray(np.linalg.lstsq(x, dose, rcond=1e-12)[0], dtype=np.float64)
    mean = x @ beta
    variance = float(((dose - mean) ** 2).mean())
    if not variance > 1e-12 * (float(dose.var()) + 1e-300):
        raise FitError("The history predicts every dose exactly; no dose was free to vary.")
    log_density = -0.5 * (np.log(2 * np.pi * variance) + (dose - mean) ** 2 / variance)
    return _DoseFit(mean=mean, log_density=log_density, spread=variance, beta=beta)


def staying(rows: History, recorded: Array | None = None) -> tuple[Array, Array]:
    """Model who stays in care.

    Returns
    -------
    ratio : ndarray, shape (m,)
        Chance of staying given visit, first rating and dose, over the chance given the history as well.
    chance : ndarray, shape (m,)
        The latter. Both are 1 where no later visit was due, and everywhere if nobody or everybody left.
    """
    time = np.column_stack([np.ones_like(rows.t), rows.t, np.log1p(rows.t), rows.baseline])
    dose = np.log1p(np.maximum(rows.dose, 0.0))
    # Stopping when better is judged by the change so far, and by round cut-points in it.
    history = np.column_stack([time, dose, rows.leaving_pain, rows.pain_lag1, rows.reached])
    if recorded is not None:
        history = np.column_stack([history, recorded])
    due = rows.due
    chance, stable = np.ones_like(rows.t), np.ones_like(rows.t)
    stayed = rows.stayed[due].astype(np.float64)
    if due.any() and stayed.min() != stayed.max():
        chance[due] = fit_logistic(stayed, history[due]).probability
        stable[due] = fit_logistic(stayed, np.column_stack([time, dose])[due]).probability
    return stable / chance, chance


def through(rows: History, values: Array) -> Array:
    """Sum of ``values`` over the patient's rows up to and including each, shape (m,)."""
    return rows.past_of(values) + values


def _weight_summary(
    rows: History, seen: NDArray[np.bool_], dose_weight: Array, dropout_weight: Array, weight: Array
) -> pd.DataFrame:
    components = {"dose_weight": dose_weight, "dropout_weight": dropout_weight, "weight": weight}
    lines = []
    for t in np.unique(rows.t[seen]):
        at = seen & (rows.t == t)
        for name, everywhere in components.items():
            values = everywhere[at]
            lines.append({
                "visit_index": int(t),
                "component": name,
                "n": values.size,
                "mean": values.mean(),
                "std": values.std(),
                "min": values.min(),
                "max": values.max(),
                "effective_n": values.sum() ** 2 / (values**2).sum(),
            })  # fmt: skip
    return pd.DataFrame(lines)


def _dose_balance(rows: History, residual: Array, dose_weight: Array) -> pd.DataFrame:
    covariates = {
        "pain": rows.pain, "pain_lag1": rows.pain_lag1, "baseline": rows.baseline, "past_dose": rows.past,
    }  # fmt: skip
    lines = []
    for t in np.unique(rows.t):
        at = rows.t == t
        for name, values in covariates.items():
            ones = np.ones(int(at.sum()))
            lines.append({
                "visit_index": int(t),
                "covariate": name,
                "n": ones.size,
                "correlation_before": weighted_correlation(residual[at], values[at], ones),
                "correlation_after": weighted_correlation(residual[at], values[at], dose_weight[at]),
            })  # fmt: skip
    return pd.DataFrame(lines)


def weighted_correlation(x: Array, y: Array, weight: Array) -> float:
    """Pearson correlation under weights; NaN where either does not vary."""
    share = weight / weight.sum()
    dx, dy = x - share @ x, y - share @ y
    scale = np.sqrt((share @ dx**2) * (share @ dy**2))
    return float(share @ (dx * dy) / scale) if scale > 1e-12 else float("nan")


def _staying_balance(rows: History, chance: Array) -> pd.DataFrame:
    covariates = {"leaving_pain": rows.leaving_pain, "baseline": rows.baseline, "dose": rows.dose}
    columns = ["visit_index", "covariate", "due", "stayed", "difference_before", "difference_after"]
    lines: list[tuple[int, str, int, int, float, float]] = []
    for t in np.unique(rows.t[rows.due]):
        due = rows.due & (rows.t == t)
        stayed = due & rows.stayed
        inverse = 1.0 / chance[stayed]
        for name, values in covariates.items():
            middle, spread = float(values[due].mean()), float(values[due].std())
            if stayed.any() and spread > 0:
                plain = (float(values[stayed].mean()) - middle) / spread
                weighted = (float(inverse @ values[stayed] / inverse.sum()) - middle) / spread
                lines.append((int(t), name, int(due.sum()), int(stayed.sum()), plain, weighted))
    return pd.DataFrame(lines, columns=columns)


def _positivity(rows: History, mean: Array, chance: Array) -> pd.DataFrame:
    lines = []
    for t in np.unique(rows.t):
        at = rows.t == t
        due = at & rows.due
        variance = float(rows.dose[at].var())
        free = float(((rows.dose - mean)[at] ** 2).mean()) / variance if variance > 0 else 0.0
        lines.append({
            "visit_index": int(t),
            "n": int(at.sum()),
            "dose_mean": float(rows.dose[at].mean()),
            "dose_std": float(np.sqrt(variance)),
            "share_free": min(free, 1.0),
            "share_without": float((rows.dose[at] == 0).mean()),
            "stay_min": float(chance[due].min()) if due.any() else float("nan"),
            "stay_rare": int((chance[due] < RARE_STAY).sum()),
        })  # fmt: skip
    return pd.DataFrame(lines)
