r"""Who stops, what predicts it, and how bad unseen ratings would have to be to change a conclusion.

Three steps, from description to assumption: a table of patterns; a model of stopping at a visit given pain,
change, dose and visit (discrete-time logistic regression); and delta-adjusted multiple imputation, where
ratings after stopping are drawn as if missing at random and then shifted by ``delta`` scale points. The
*tipping point* is the smallest shift at which the conclusion is no longer the one drawn without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError, PlanError
from tpr_outcomes.inference.estimating import weighted_regression
from tpr_outcomes.inference.imputation import Imputed, Panel, panel
from tpr_outcomes.inference.pooling import Pooled, pool
from tpr_outcomes.models.glm import fit_logistic

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Conclusion = Literal["lower", "higher", "not shown"]
Estimand = Callable[[Array, Panel], tuple[float, float, float]]
"""From one completed panel, shape (n, T + 1), and what was recorded, to (estimate, variance, df)."""

_STEPS = 40
_BISECTIONS = 12


# --- who stops ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class DropoutPatterns:
    """Patients by the last visit they attended.

    Attributes
    ----------
    table : DataFrame
        One row per last visit: ``last_visit`` (visits after the first), ``n``, ``percent``,
        ``baseline_mean``, ``last_rating_mean`` and ``change_mean`` (scale points; the change of those rated
        after the first visit), ``gaps`` (attended visits with no rating). Reasons stand in
        :func:`tpr_outcomes.cohort.describe.attrition`.
    n_patients : int
    planned : int
        Visits after the first that were planned.
    """

    table: pd.DataFrame
    n_patients: int
    planned: int

    def to_frame(self) -> pd.DataFrame:
        """Return the table."""
        return self.table.copy()


def dropout_patterns(visits: Visits, *, last_visit: int | None = None) -> DropoutPatterns:
    """Tabulate when patients were last seen, and how they were then.

    Parameters
    ----------
    visits : Visits
        The record.
    last_visit : int, optional
        Visits after the first that were planned; the longest course in the record if not given.
    """
    data = panel(visits, last_visit=last_visit)
    visit = np.arange(data.pain.shape[1])
    rated = ~np.isnan(data.pain)
    place = np.where(rated, visit, -1).max(axis=1)
    final = data.pain[np.arange(place.size), place]
    change, later = final - data.pain[:, 0], place > 0
    unrated = (~rated & (visit <= data.last[:, None])).sum(axis=1)
    lines = []
    for last in np.unique(data.last):
        at = data.last == last
        lines.append({
            "last_visit": int(last),
            "n": int(at.sum()),
            "percent": 100.0 * float(at.mean()),
            "baseline_mean": float(data.pain[at, 0].mean()),
            "last_rating_mean": float(final[at].mean()),
            "change_mean": float(change[at & later].mean()) if (at & later).any() else np.nan,
            "gaps": int(unrated[at].sum()),
        })  # fmt: skip
    return DropoutPatterns(table=pd.DataFrame(lines), n_patients=place.size, planned=int(visit[-1]))


@dataclass(frozen=True, eq=False)
class StoppingModel:
    """Discrete-time logistic model of not coming back after a visit.

    Attributes
    ----------
    table : DataFrame
        ``term, estimate, std_error, conf_low, conf_high, p_value, odds_ratio``: log odds of stopping per
        scale point of ``pain``, per scale point of ``change`` from the first rating, per unit of ``dose`` at
        the visit, per visit since the first (``visit``) and per unit of its ``log_visit`` = log(1 + visit).
    n_rows, n_stops : int
        Visits at which stopping was open, with pain and dose recorded; stops among them.
    n_left_out : int
        Visits at which it was open, left out for want of a rating or a dose.
    separated : bool
        Some combination of terms predicts stopping without error; estimates are Firth's.
    """

    table: pd.DataFrame
    n_rows: int
    n_stops: int
    n_left_out: int
    separated: bool

    def to_frame(self) -> pd.DataFrame:
        """Return the coefficients."""
        return self.table.copy()


def fit_stopping(
    visits: Visits, *, dose: str = "twitches", last_visit: int | None = None, level: float = 0.95
) -> StoppingModel:
    r"""Model who stops after a visit.

    Parameters
    ----------
    visits : Visits
        The record.
    dose : str, default "twitches"
        Column with the dose at the visit.
    last_visit : int, optional
        Visits after the first that were planned: nobody stops at the last. The longest course in the
        record if not given.
    level : float, default 0.95
        Level of the confidence intervals.

    Returns
    -------
    StoppingModel

    Notes
    -----
    With :math:`L` the last visit, the log odds of :math:`L=k` given :math:`L\ge k` are
    :math:`a+b_1Y_k+b_2(Y_k-Y_0)+b_3A_k+b_4k+b_5\log(1+k)`.
    A patient stops once at most, so visits of a patient are conditionally independent given the covariates
    and the ordinary likelihood standard errors apply (Allison 1982, doi:10.2307/270718). The
    model says what stopping goes with *among what was recorded*; it cannot see what it hung on otherwise.

    Raises
    ------
    FitError
        If nobody or everybody stopped.
    """
    data = panel(visits, last_visit=last_visit)
    is_last, t, pain, baseline, given = _visit_rows(visits, dose)
    planned = data.pain.shape[1] - 1
    open_ = (t < planned) & ~np.isnan(baseline)
    usable = open_ & ~np.isnan(pain) & ~np.isnan(given)
    stops = is_last[usable].astype(np.float64)
    names = ["intercept", "pain", "change", "dose", "visit", "log_visit"]
    columns = [np.ones_like(pain), pain, pain - baseline, given, t, np.log1p(t)]
    fit = fit_logistic(stops, np.column_stack(columns)[usable])
    error = np.sqrt(np.diag(fit.covariance))
    z = float(stats.norm.ppf(0.5 + level / 2))
    table = pd.DataFrame({
        "term": names,
        "estimate": fit.beta,
        "std_error": error,
        "conf_low": fit.beta - z * error,
        "conf_high": fit.beta + z * error,
        "p_value": 2 * stats.norm.sf(np.abs(fit.beta) / error),
        "odds_ratio": np.exp(fit.beta),
    })  # fmt: skip
    return StoppingModel(
        table=table,
        n_rows=stops.size,
        n_stops=int(stops.sum()),
        n_left_out=int((open_ & ~usable).sum()),
        separated=fit.separated,
    )


def _visit_rows(visits: Visits, dose: str) -> tuple[Bools, Array, Array, Array, Array]:
    """Per row of the record: is it the patient's last, visits since the first, pain, first rating, dose."""
    table = visits.table
    if dose not in table.columns:
        raise PlanError(f"There is no dose column {dose!r}; the visits have {', '.join(table.columns)}.")
    patient, visit = table["patient"].to_numpy(), table["visit"].to_numpy()
    first = np.searchsorted(patient, patient, side="left")
    last = np.searchsorted(patient, patient, side="right") - 1
    pain = table["pain"].to_numpy(dtype=np.float64)
    t = (visit - visit[first]).astype(np.float64)
    return np.arange(visit.size) == last, t, pain, pain[first], table[dose].to_numpy(dtype=np.float64)


# --- what is estimated -------------------------------------------------------------------------------------


def mean_change(pain: Array, data: Panel) -> tuple[float, float, float]:
    """Mean change from the first rating to the last planned visit.

    Parameters
    ----------
    pain : ndarray, shape (n, T + 1)
        Completed ratings.
    data : Panel
        Not used; every estimand is called alike.

    Returns
    -------
    tuple of float
        Estimate (scale points; negative where pain fell), its variance, degrees of freedom.
    """
    del data
    change = pain[:, -1] - pain[:, 0]
    return float(change.mean()), float(change.var(ddof=1)) / change.size, change.size - 1.0


@dataclass(frozen=True)
class DoseSlope:
    """Change of pain per unit of cumulative dose past a threshold: an estimand for :func:`analyse`.

    Attributes
    ----------
    knot : float
        Threshold; 0 is the plain cumulative dose.
    linear : bool
        The estimate is linear in the ratings and its variance quadratic, so that three shifts tell all.
    """

    knot: float = 0.0
    linear: ClassVar[bool] = True

    def __call__(self, pain: Array, data: Panel) -> tuple[float, float, float]:
        """Least squares on dose, visit and first rating over all planned visits, clustered by patient."""
        if data.dose is None:
            raise PlanError(
                'The dose slope needs a panel with doses; make it with panel(visits, dose="twitches").'
            )
        n, slots = pain.shape
        visit = np.tile(np.arange(1, slots), n)
        first = np.repeat(pain[:, 0] - pain[:, 0].mean(), slots - 1)
        x = np.column_stack([
            np.maximum(data.dose[:, 1:] - self.knot, 0.0).ravel(),
            visit[:, None] == np.arange(1, slots),
            first, first * visit, first * np.log1p(visit),
        ])  # fmt: skip
        if not x[:, 0].any():
            raise FitError(f"Nobody's cumulative dose passes {self.knot:g}, so there is no slope past it.")
        patient = np.repeat(np.arange(n), slots - 1)
        theta, influence = weighted_regression(
            pain[:, 1:].ravel(), x, np.ones(visit.size), patient, small_sample=True
        )
        return float(theta[0]), float((influence[:, 0] ** 2).sum()), n - 1.0


def analyse(
    imputed: Imputed,
    estimand: Estimand = mean_change,
    *,
    delta: float = 0.0,
    per_visit: float = 0.0,
    who: Bools | None = None,
    level: float = 0.95,
) -> Pooled:
    """Estimate from every completed panel, shifted by ``delta`` after stopping, and pool.

    Parameters
    ----------
    imputed : Imputed
        Completed panels.
    estimand : callable, default :func:`mean_change`
        From one completed panel to (estimate, variance, degrees of freedom).
    delta, per_visit, who
        The shift; see :meth:`tpr_outcomes.inference.imputation.Imputed.shifted`.
    level : float, default 0.95
        Level of the confidence interval.

    Returns
    -------
    Pooled
    """
    parts = [estimand(pain, imputed.panel) for pain in imputed.shifted(delta, per_visit=per_visit, who=who)]
    estimates, variances, df = np.array(parts).T
    return pool(estimates, variances, complete_df=float(df.min()), level=level)


# --- how wrong would it have to be -------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class TippingPoint:
    """Smallest shift of unseen ratings that changes the conclusion.

    Attributes
    ----------
    delta : float or None
        Scale points (at the first visit missed); None if no shift up to the limit changes it.
    conclusion : {"lower", "higher", "not shown"}
        Without a shift: interval wholly below ``null``, wholly above, or neither.
    conclusion_beyond : {"lower", "higher", "not shown"} or None
        At the tipping point.
    null : float
        Value the interval is compared with.
    limit : float
        Largest shift tried.
    table : DataFrame
        ``delta, estimate, std_error, conf_low, conf_high, p_value, df, missing_information, conclusion``.
    """

    delta: float | None
    conclusion: Conclusion
    conclusion_beyond: Conclusion | None
    null: float
    limit: float
    table: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """Return the table of shifts tried."""
        return self.table.copy()


def tipping_point(
    imputed: Imputed,
    estimand: Estimand = mean_change,
    *,
    limit: float,
    null: float = 0.0,
    growth: float = 0.0,
    who: Bools | None = None,
    level: float = 0.95,
) -> TippingPoint:
    """Find the smallest shift at which the conclusion about an estimand changes.

    Parameters
    ----------
    imputed : Imputed
        Completed panels.
    estimand : callable, default :func:`mean_change`
        What the conclusion is about.
    limit : float
        Largest shift to try (scale points): the span of the scale, say. Positive shifts make unseen
        ratings higher; a negative limit tries shifts downwards.
    null : float, default 0
        Value the interval is compared with: 0, or a change that matters (negative for relief).
    growth : float, default 0
        Share of ``delta`` added again at each further visit missed.
    who : ndarray of bool, shape (n,), optional
        Patients it applies to; all who stopped if not given.
    level : float, default 0.95
        Level of the confidence interval.

    Returns
    -------
    TippingPoint

    Notes
    -----
    The same draws are used for every shift, so that the search sees no Monte Carlo noise: a grid of 40
    steps finds the first change, bisection its place to a thousandth of a step. Where the estimand says
    that it is ``linear``, every completed panel is analysed at three shifts only, and the rest follows.
    """
    if limit == 0:
        raise PlanError("The largest shift to try is 0; give the span of the scale, for example.")

    at = _at_any_shift(imputed, estimand, limit=limit, growth=growth, who=who, level=level)
    grid = [float(delta) for delta in np.linspace(0.0, limit, _STEPS + 1)]
    tried = [at(delta) for delta in grid]
    conclusions = [_conclude(found, null) for found in tried]
    table = pd.concat([found.to_frame() for found in tried], ignore_index=True).drop(columns="term")
    table.insert(0, "delta", grid)
    table["conclusion"] = conclusions
    changed = [i for i, conclusion in enumerate(conclusions) if conclusion != conclusions[0]]
    delta, beyond = None, None
    if changed:
        low, delta = grid[changed[0] - 1], grid[changed[0]]
        for _ in range(_BISECTIONS):
            middle = (low + delta) / 2
            if _conclude(at(middle), null) == conclusions[0]:
                low = middle
            else:
                delta = middle
        beyond = _conclude(at(delta), null)
    return TippingPoint(
        delta=delta, conclusion=conclusions[0], conclusion_beyond=beyond, null=null, limit=limit, table=table
    )


def _at_any_shift(
    imputed: Imputed, estimand: Estimand, *, limit: float, growth: float, who: Bools | None, level: float
) -> Callable[[float], Pooled]:
    """Analysis as a function of the shift."""
    if not getattr(estimand, "linear", False):
        return lambda delta: analyse(
            imputed, estimand, delta=delta, per_visit=growth * delta, who=who, level=level
        )
    nodes = np.array([0.0, 0.5, 1.0]) * limit
    seen = np.array(
        [
            [
                estimand(pain, imputed.panel)
                for pain in imputed.shifted(delta, per_visit=growth * delta, who=who)
            ]
            for delta in nodes
        ]
    )  # (3, M, 3): estimate, variance, degrees of freedom
    df = float(seen[..., 2].min())

    def at(delta: float) -> Pooled:
        x = delta / limit  # Lagrange's quadratic through the nodes; exact for estimate and variance
        weights = np.array([(2 * x - 1) * (x - 1), 4 * x * (1 - x), x * (2 * x - 1)])
        estimates, variances = (weights @ seen[..., part] for part in (0, 1))
        return pool(estimates, variances, complete_df=df, level=level)

    return at


def _conclude(found: Pooled, null: float) -> Conclusion:
    if found.conf_high < null:
        return "lower"
    return "higher" if found.conf_low > null else "not shown"
