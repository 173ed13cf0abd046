r"""Prediction from a mixed model, for patients seen and unseen: expectation and interval of a rating.

For a wanted rating of patient :math:`i` at time :math:`s_*` with columns :math:`x_*, z_*`, and that patient's
known ratings :math:`y_i` (perhaps none), model and signs as in :mod:`tpr_outcomes.models.mixed`,

.. math::

   c &= z_*' D Z_i' + \sigma^2 (1-\nu)\,\varphi^{|s_* - s_{ij}|},\qquad
   a = V_i^{-1} c', \\
   E[y_* \mid y_i] &= x_*'\hat\beta + a'(y_i - X_i\hat\beta), \\
   \mathrm{var}(y_* - E[y_* \mid y_i]) &= z_*' D z_* + \sigma^2 - c\,a
        + (x_* - X_i'a)'\,\mathrm{cov}(\hat\beta)\,(x_* - X_i'a).

The first is the best linear unbiased predictor (Henderson 1975, *Biometrics* 31:423, doi:10.2307/2529430),
carried over to residuals that are correlated in time; the last term of the second is what not knowing
:math:`\beta` adds (Harville 1985, *J Am Stat Assoc* 80:132). Covariance parameters are taken as known. A
wanted rating at the time of a known one is another rating then: it shares the process and not the noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from tpr_outcomes.errors import FitError
from tpr_outcomes.models.mixed import MixedFit
from tpr_outcomes.models.mixed_rows import Covariance

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a mixed model without their outcome.

    Attributes
    ----------
    patient : ndarray of int, shape (n,)
        Patient codes; the same code is the same patient in known and wanted rows.
    x : ndarray, shape (n, p)
        Fixed-effect columns.
    z : ndarray, shape (n, q)
        Random-effect columns.
    time : ndarray, shape (n,)
        Time, in the unit the model was fitted in.
    """

    patient: NDArray[np.int64]
    x: Array
    z: Array
    time: Array

    def of(self, patient: int) -> NDArray[np.int64]:
        """Row numbers of one patient."""
        return np.flatnonzero(self.patient == patient)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model expects of ratings it has not seen.

    Attributes
    ----------
    expected : ndarray, shape (m,)
        Expectation given the patient's known ratings, outcome units.
    population : ndarray, shape (m,)
        Expectation for a patient with the same columns of whom nothing is known.
    std_error : ndarray, shape (m,)
        Standard deviation of a new rating around ``expected``, outcome units: patient, wobble, noise and
        uncertainty of the fixed effects together.
    """

    expected: Array
    population: Array
    std_error: Array

    def interval(self, level: float) -> tuple[Array, Array]:
        """Ends, each (m,), of the interval that holds a new rating with probability ``level``."""
        reach = float(ndtri(0.5 + level / 2.0)) * self.std_error
        return self.expected - reach, self.expected + reach


def predict_mixed(fit: MixedFit, known: Rows, y: Array, wanted: Rows) -> Prediction:
    """Predict ratings from a fitted model and whatever is known of the same patients.

    Parameters
    ----------
    fit : MixedFit
        Model; the known rows need not be those it was fitted to.
    known : Rows
        Rows whose outcome is known; may be empty.
    y : ndarray, shape (n,)
        Outcome of ``known``.
    wanted : Rows
        Rows to predict; patients without known rows are predicted from the fixed effects alone.

    Returns
    -------
    Prediction

    Raises
    ------
    FitError
        If the columns are not those of the model, values are not finite, or the fit failed.

    Examples
    --------
    >>> import numpy as np
    >>> from tpr_outcomes.models.mixed import fit_mixed
    >>> patient, t = np.repeat(np.arange(30), 4), np.tile(np.arange(4.0), 30)
    >>> rng = np.random.default_rng(0)
    >>> y = 5 - 0.5 * t + rng.normal(size=30)[patient] + rng.normal(size=120)
    >>> x, z = np.column_stack([np.ones(120), t]), np.ones((120, 1))
    >>> fit = fit_mixed(y, x, patient)
    >>> new = Rows(np.array([0, 99]), np.array([[1.0, 4.0], [1.0, 4.0]]), np.ones((2, 1)), np.full(2, 4.0))
    >>> made = predict_mixed(fit, Rows(patient, x, z, t), y, new)
    >>> bool(made.expected[1] == made.population[1]), bool(made.std_error[0] < made.std_error[1])
    (True, True)
    """
    _require_usable(fit, known, y, wanted)
    covariance = fit.covariance
    spread = covariance.random_covariance
    population = wanted.x @ fit.beta
    expected = population.copy()
    variance = np.einsum("ia,ab,ib->i", wanted.z, spread, wanted.z) + covariance.sigma**2
    lever = wanted.x.copy()
    for patient in np.unique(wanted.patient):
        here, past = wanted.of(patient), known.of(patient)
        if not past.size:
            continue
        x, z, time = known.x[past], known.z[past], known.time[past]
        v = z @ spread @ z.T + _process(covariance, time, time)
        v[np.diag_indices(past.size)] = np.einsum("ia,ab,ib->i", z, spread, z) + covariance.sigma**2
        c = wanted.z[here] @ spread @ z.T + _process(covariance, wanted.time[here], time)
        a = np.linalg.solve(v, c.T)
        expected[here] += a.T @ (y[past] - x @ fit.beta)
        variance[here] -= np.einsum("mj,jm->m", c, a)
        lever[here] -= a.T @ x
    variance += np.einsum("ip,pr,ir->i", lever, fit.beta_cov, lever)
    return Prediction(expected, population, np.sqrt(np.maximum(variance, 0.0)))


def _process(covariance: Covariance, one: Array, other: Array) -> Array:
    """Covariance of the residual process between two sets of times, without the white noise."""
    if covariance.phi == 0.0:
        return np.zeros((one.size, other.size))
    gap = np.abs(one[:, None] - other[None, :])
    return np.asarray(covariance.sigma**2 * (1.0 - covariance.nugget) * covariance.phi**gap)


def _require_usable(fit: MixedFit, known: Rows, y: Array, wanted: Rows) -> None:
    """Raise unless everything has the model's columns and is finite."""
    if fit.status == "failed":
        raise FitError("The model could not be fitted, so nothing can be predicted from it.")
    columns = (fit.beta.size, fit.covariance.factor.shape[0])
    for name, rows in (("known", known), ("wanted", wanted)):
        seen = (rows.x.shape[1], rows.z.shape[1])
        if seen != columns:
            raise FitError(
                f"The {name} rows have {seen[0]} fixed and {seen[1]} random columns; "
                f"the model has {columns[0]} and {columns[1]}."
            )
        if not all(np.isfinite(part).all() for part in (rows.x, rows.z, rows.time)):
            raise FitError(f"Some values of the {name} rows are missing or infinite.")
    if y.shape != known.patient.shape or not np.isfinite(y).all():
        raise FitError("Every known row needs one finite outcome; leave the others out.")
