r"""Patient-specific thresholds by marginal likelihood.

.. math:: y_{ij} = x_{ij}'\beta + b_{i0} + b_{i1}t_{ij} + \theta\,(C_{ij}-\tau_i)_+ + e_{ij},\qquad
          \tau_i\sim N(\mu,\omega^2)\ \text{or}\ \log\tau_i\sim N(\mu,\omega^2),

with Gaussian random effects independent of :math:`\tau_i`. Both are integrated out exactly (see
:mod:`tpr_outcomes.models.random_threshold_likelihood`), all parameters are estimated by maximum
likelihood, and the threshold of the typical patient and the spread get profile-likelihood intervals.

Whether thresholds differ is tested by the likelihood ratio of :math:`\omega=0`. Zero is the edge of
the parameter space and only one variance component is at it, so under :math:`\omega=0` the statistic
is zero half of the time and chi-square with one degree of freedom otherwise (Self and Liang 1987,
*JASA* 82:605, doi:10.1080/01621459.1987.10478472, case 5; Stram and Lee 1994, *Biometrics* 50:1171,
doi:10.2307/2533455). It presupposes that there is a threshold at all.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from tpr_outcomes.errors import FitError
from tpr_outcomes.models.random_threshold_likelihood import (
    Array,
    Distribution,
    evaluate,
    prepare,
)
from tpr_outcomes.models.random_threshold_search import KINK, Optimum, Search, Status, inverse
from tpr_outcomes.models.random_threshold_slopes import Rival, fit_differing_slopes

Answer = Literal["one common threshold", "thresholds differ between patients", "cannot tell"]

RELEVANT_SPREAD = 0.2
"""Thresholds whose SD is surely below this share of the typical threshold count as one common threshold."""

AIC_MARGIN = 2.0
"""Difference in AIC from which one model is preferred (Burnham and Anderson 2004, *Sociol Methods Res*
33:261, doi:10.1177/0049124104268644: models within 2 are about equally supported)."""


@dataclass(frozen=True)
class Estimate:
    """One row of the tidy result; an open interval end is infinite, an unknown number is nan."""

    term: str
    estimate: float
    std_error: float
    conf_low: float
    conf_high: float


@dataclass(frozen=True)
class RandomThresholdFit:
    """What the data say about a threshold that may differ between patients.

    Attributes
    ----------
    status : {"converged", "boundary", "failed"}
        "boundary": the likelihood is highest at one common threshold, ``threshold_sd`` is 0.
    reason : str
        Why the status is not "converged"; empty otherwise.
    distribution : {"normal", "lognormal"}
    threshold : Estimate
        Threshold of the typical patient (mean, or median for the log-normal), in doses; profile interval.
    threshold_sd : Estimate
        SD of the threshold between patients: doses (normal), log scale (log-normal); profile interval.
    slope : Estimate
        Change of the outcome per dose beyond the threshold; Wald interval.
    coefficients : tuple of Estimate
        One per column of X; Wald intervals.
    random_covariance : tuple of tuple of float
        Covariance of the random intercept (and slope per unit of time).
    residual_sd : float
    log_likelihood, log_likelihood_common : float
        Maximised, and maximised under one common threshold.
    log_likelihood_slopes, threshold_slopes : float
        The rival's: one common threshold, and slopes beyond it that differ between patients
        (:mod:`tpr_outcomes.models.random_threshold_slopes`).
    p_value : float
        Of one common threshold, from the 50:50 mixture of chi-square with 0 and 1 degrees of freedom.
    patient_thresholds : ndarray, shape (n_patients,)
        Conditional mean (normal) or exp of the conditional mean log (log-normal): shrunken.
    level : float
        Confidence level of every interval.
    n_patients, n_ratings : int
    """

    status: Status
    reason: str
    distribution: Distribution
    threshold: Estimate
    threshold_sd: Estimate
    slope: Estimate
    coefficients: tuple[Estimate, ...]
    random_covariance: tuple[tuple[float, ...], ...]
    residual_sd: float
    log_likelihood: float
    log_likelihood_common: float
    log_likelihood_slopes: float
    threshold_slopes: float
    p_value: float
    patient_thresholds: Array
    level: float
    n_patients: int
    n_ratings: int

    @property
    def deviance_gain(self) -> float:
        """Likelihood-ratio statistic of differing against one common threshold."""
        return 2.0 * (self.log_likelihood - self.log_likelihood_common)

    @property
    def aic_gain(self) -> float:
        """AIC of the rival with differing slopes minus ours; positive speaks for differing thresholds.

        Beside one threshold and one slope the rival has a variance and a covariance with each random
        effect, this model one spread.
        """
        return 2.0 * (self.log_likelihood - self.log_likelihood_slopes + len(self.random_covariance))

    @property
    def slopes_fit_better(self) -> bool:
        """Whether differing slopes explain the records clearly better.

        Then this model's threshold and spread are out of place and must not be reported.
        """
        return self.aic_gain <= -AIC_MARGIN

    def distinguishable(self, *, relevant_spread: float = RELEVANT_SPREAD) -> Answer:
        """Say whether thresholds differ between patients.

        Parameters
        ----------
        relevant_spread : float
            Smallest SD worth speaking of, as a share of the typical threshold (normal) or on the log
            scale (log-normal).

        Returns
        -------
        str
            First match of: "cannot tell" if the fit failed, either end of the threshold's interval is
            open (there may be no threshold at all) or differing slopes fit better;
            "thresholds differ between patients" if ``p_value < 1 - level`` and the AIC is lower than that
            of differing slopes by at least 2 ("cannot tell" if only the first holds); "one common
            threshold" if the upper end of the SD's interval is at most ``relevant_spread``; "cannot tell".
        """
        ends = (self.threshold.conf_low, self.threshold.conf_high)
        if self.status == "failed" or not np.isfinite(ends).all() or self.slopes_fit_better:
            return "cannot tell"
        if self.p_value < round(1.0 - self.level, 12):
            return "thresholds differ between patients" if self.aic_gain >= AIC_MARGIN else "cannot tell"
        unit = abs(self.threshold.estimate) if self.distribution == "normal" else 1.0
        small = self.threshold_sd.conf_high <= relevant_spread * unit
        return "one common threshold" if small else "cannot tell"

    def rows(self) -> list[dict[str, Any]]:
        """Tidy rows ``term, estimate, std_error, conf_low, conf_high``."""
        return [asdict(e) for e in (self.threshold, self.threshold_sd, self.slope, *self.coefficients)]


def fit_random_threshold(
    y: Array,
    X: Array,
    *,
    dose: Array,
    patient: NDArray[np.int64],
    time: Array | None = None,
    random_slope: bool = False,
    distribution: Distribution = "normal",
    autocorrelation: float = 0.0,
    nugget: float = 0.0,
    level: float = 0.95,
    intervals: bool = True,
) -> RandomThresholdFit:
    """Fit the broken line with patient-specific thresholds.

    Parameters
    ----------
    y : ndarray, shape (n,)
        Outcome, e.g. pain in scale points.
    X : ndarray, shape (n, p)
        Fixed effects with the intercept; without the hinge. Add a column of ``dose`` if the line may
        rise or fall before the threshold.
    dose : ndarray, shape (n,)
        Cumulative dose that can have acted on the rating.
    patient : ndarray of int, shape (n,)
        Any integers; rows in any order (in time order if residuals are correlated).
    time : ndarray, shape (n,), optional
        Needed for ``random_slope`` and ``autocorrelation``.
    random_slope : bool
        Add a random slope on ``time``, correlated with the random intercept.
    distribution : {"normal", "lognormal"}
        Of the threshold between patients.
    autocorrelation, nugget : float
        Residual correlation ``(1 - nugget) autocorrelation ** |gap| + nugget 1[same row]``, fixed at
        what a mixed model found (see :mod:`tpr_outcomes.models.mixed`); it is not estimated here.
    level : float
        Confidence level.
    intervals : bool
        False skips the profile intervals and the rival with differing slopes (both nan), most of the time.

    Raises
    ------
    FitError
        If the arrays cannot hold the model: shapes, missing numbers, collinear X, no dose variation.
    """
    y, X, dose = (np.asarray(part, dtype=np.float64) for part in (y, X, dose))
    _check(
        y, X, dose, patient=np.asarray(patient), time=time, needs_time=random_slope or autocorrelation > 0.0
    )
    order = np.argsort(patient, kind="stable")
    codes = np.unique(np.asarray(patient)[order], return_inverse=True)[1].astype(np.int64)
    when = np.zeros_like(y) if time is None else np.asarray(time, dtype=np.float64)
    units = _Units.of(y, X, dose, when)
    Z = np.column_stack([np.ones_like(y)] + ([when / units.time] if random_slope else []))[order]
    outcome, design = y[order] / units.y, (X @ units.rotation)[order]
    doses = dose[order] / units.dose
    correlation = _correlation(when[order], codes, autocorrelation, nugget)
    data = prepare(outcome, design, Z=Z, dose=doses, patient=codes, correlation=correlation)
    search = Search(data, distribution, *_dose_range(doses, distribution))
    optimum = search.best(search.common())
    ends = np.full(4, np.nan)
    for _ in range(3 if intervals else 0):
        if optimum.status == "failed":
            break
        ends, top = search.intervals(optimum, cut=float(chi2.ppf(level, 1)))
        if top.value <= optimum.point.value + KINK:
            break
        # the profile climbed above what seemed the maximum: start again from there
        optimum = search.best(optimum.common, extra=top)
    else:
        if intervals:
            optimum = replace(optimum, status="failed", reason="The profile rises above every maximum found.")
    rival = Rival(np.nan, np.nan)
    if intervals:
        rival = fit_differing_slopes(outcome, design, Z=Z, dose=doses, patient=codes, correlation=correlation)
    return _result(search, optimum, rival=rival, ends=ends, units=units, level=level)


def _check(
    y: Array, X: Array, dose: Array, *, patient: NDArray[Any], time: Array | None, needs_time: bool
) -> None:
    n = y.size
    if X.ndim != 2 or not (y.shape == dose.shape == patient.shape == (n,) and X.shape[0] == n):
        raise FitError("Shapes of y, X, dose and patient do not match: give (n,), (n, p), (n,), (n,).")
    if needs_time and time is None:
        raise FitError("A random slope or correlated residuals were asked for without time: give time.")
    if not all(np.isfinite(part).all() for part in (y, X, dose)):
        raise FitError("Missing or infinite numbers among y, X or dose: leave those rows out first.")
    if n <= X.shape[1] + 6 or np.unique(patient).size < 3:
        raise FitError(f"{n} ratings of {np.unique(patient).size} patients are too few for this model.")
    if np.ptp(dose) == 0.0 or np.ptp(y) == 0.0:
        raise FitError("Dose or outcome is the same in every row: a threshold needs variation in both.")
    if np.linalg.matrix_rank(X) < X.shape[1]:
        raise FitError("Columns of X are collinear: drop those that are combinations of others.")


def _correlation(
    time: Array, patient: NDArray[np.int64], autocorrelation: float, nugget: float
) -> Array | None:
    """R_i of each patient, padded with the identity, shape (N, w, w); None for independent residuals."""
    if not (0.0 <= autocorrelation < 1.0 and 0.0 <= nugget <= 1.0):
        raise FitError("autocorrelation must be in [0, 1) and nugget in [0, 1].")
    if autocorrelation == 0.0:
        return None
    counts = np.bincount(patient)
    matrices = np.tile(np.eye(int(counts.max())), (counts.size, 1, 1))
    for code, start, size in zip(range(counts.size), np.cumsum(counts) - counts, counts, strict=True):
        t = time[start : start + size]
        matrix = (1.0 - nugget) * autocorrelation ** np.abs(t[:, None] - t)
        np.fill_diagonal(matrix, 1.0)
        matrices[code, :size, :size] = matrix
    return matrices


@dataclass(frozen=True)
class _Units:
    """Internal units in which all parameters are of order one."""

    y: float
    dose: float
    time: float
    rotation: Array

    @classmethod
    def of(cls, y: Array, X: Array, dose: Array, time: Array) -> _Units:
        root = np.linalg.qr(X, mode="r")
        rotation = np.linalg.inv(root) * np.sqrt(y.size)
        rms = float(np.sqrt(np.mean(time**2)))
        return cls(float(y.std()), float(dose.std()), rms if rms > 0 else 1.0, np.asarray(rotation))


def _dose_range(dose: Array, distribution: Distribution) -> tuple[float, float]:
    positive = dose[dose > 0] if distribution == "lognormal" else dose
    if positive.size == 0:
        raise FitError("A log-normal threshold needs doses above zero; none was seen.")
    return float(positive.min()), float(positive.max())


def _result(
    search: Search, optimum: Optimum, *, rival: Rival, ends: Array, units: _Units, level: float
) -> RandomThresholdFit:
    """Back to the user's units."""
    data, place = search.data, search.place
    at, p, q = optimum.point.parameters, data.n_coefficients, data.n_random
    normal = search.distribution == "normal"
    boundary = at[place + 1] == 0.0
    errors = _standard_errors(search, optimum, units=units)
    half = float(norm.ppf(0.5 + level / 2))

    def wald(term: str, value: float, error: float) -> Estimate:
        return Estimate(term, value, error, value - half * error, value + half * error)

    def place_of(mu: float) -> float:
        return float(mu * units.dose if normal else np.exp(mu) * units.dose)

    unit = units.dose if normal else 1.0
    beta = units.rotation @ at[:p] * units.y
    typical = place_of(float(at[place]))
    sigma = float(np.exp(at[-1])) * units.y
    lam = np.zeros((q, q))
    lam[np.tril_indices(q)] = at[place + 2 : -1]
    root = sigma * lam / np.array([1.0, units.time])[:q, None]
    shift = data.n_rows.sum() * np.log(units.y)
    gain = max(optimum.point.value - optimum.common.value, 0.0)
    location = evaluate(data, at, distribution=search.distribution)[2]
    return RandomThresholdFit(
        status=optimum.status,
        reason=optimum.reason,
        distribution=search.distribution,
        threshold=Estimate(
            "threshold",
            typical,
            float(errors[p + 1]) * (1.0 if normal else typical),
            place_of(float(ends[0])),
            place_of(float(ends[1])),
        ),
        threshold_sd=Estimate(
            "threshold_sd", float(at[place + 1]) * unit, float(errors[p + 2]), *(ends[2:] * unit).tolist()
        ),
        slope=wald("slope", float(at[p] * units.y / units.dose), float(errors[p])),
        coefficients=tuple(
            wald(f"x{k}", float(value), float(error))
            for k, (value, error) in enumerate(zip(beta, errors[:p], strict=True))
        ),
        random_covariance=tuple(tuple(row) for row in (root @ root.T).tolist()),
        residual_sd=sigma,
        log_likelihood=optimum.point.value - shift,
        log_likelihood_common=optimum.common.value - shift,
        log_likelihood_slopes=rival.log_likelihood - shift,
        threshold_slopes=rival.threshold * units.dose,
        p_value=float("nan") if optimum.status == "failed" else _mixture_p(2 * gain, boundary=boundary),
        patient_thresholds=location * units.dose,
        level=level,
        n_patients=int(data.n_rows.size),
        n_ratings=int(data.n_rows.sum()),
    )


def _mixture_p(statistic: float, *, boundary: bool) -> float:
    """P(50:50 mixture of chi-square 0 and 1 >= statistic); 1 at the boundary itself."""
    return 1.0 if boundary else float(0.5 * chi2.sf(statistic, 1))


def _standard_errors(search: Search, optimum: Optimum, *, units: _Units) -> Array:
    """Standard errors of beta, theta, mu, omega from the observed information; nan where unknown."""
    p, size = search.data.n_coefficients, search.data.n_parameters
    boundary = optimum.point.parameters[p + 2] == 0.0
    free = np.setdiff1d(np.arange(size), [p + 2] if boundary else [])
    errors = np.full(p + 3, np.nan)
    matrix = search.curvature(optimum.point)[np.ix_(free, free)]
    if optimum.status == "failed" or np.linalg.eigvalsh(matrix)[0] <= 0:
        return errors
    covariance = np.full((size, size), np.nan)
    covariance[np.ix_(free, free)] = inverse(matrix, floor=0.0)
    beta = units.rotation @ covariance[:p, :p] @ units.rotation.T
    errors[:p] = np.sqrt(np.diag(beta)) * units.y
    errors[p:] = np.sqrt(np.diag(covariance)[p : p + 3])
    errors[p] *= units.y / units.dose
    if search.distribution == "normal":
        errors[p + 1 :] *= units.dose
    return errors
