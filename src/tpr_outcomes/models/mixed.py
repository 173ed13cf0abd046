r"""Mixed-model likelihood on arrays: random intercept and slope with serially correlated residuals.

For patient :math:`i` with rows at times :math:`s_{i1} < \dots < s_{im_i}`

.. math::  y_i = X_i\beta + Z_i b_i + e_i,\qquad b_i \sim N(0, \sigma^2 \Lambda\Lambda'),\qquad
           e_i \sim N(0, \sigma^2 R_i),

.. math::  R_{i,jk} = (1-\nu)\,\varphi^{|s_{ij}-s_{ik}|} + \nu\,1[j=k],

with :math:`Z_i` of zero, one or two columns, :math:`\Lambda` lower triangular, :math:`\varphi` the
correlation of residuals one time unit apart (CAR(1)) and :math:`\nu` the share of white noise
("nugget"). Everything is numpy arrays: no frames, no names.

How it is computed
------------------
1. Rows are ordered and scaled once (:mod:`tpr_outcomes.models.mixed_data`): visit-major, so that a step of
   a recursion over visits works on patients that lie side by side; columns orthogonal and of unit size, so
   that the scale of time does not matter; the outcome less its least-squares fit.
2. :math:`R_i^{-1/2}` is applied by the innovations (Kalman) recursion of the scalar state-space form
   of CAR(1)-plus-noise: linear in rows (Jones 1993, *Longitudinal Data with Serial Correlation*,
   chapters 3–4).
3. Per patient the whitened data enter through :math:`A_i = \tilde Z_i'\tilde Z_i`,
   :math:`B_i = \tilde Z_i'[\tilde X_i\ \tilde y_i]` and the total cross-product
   :math:`C = \sum_i[\tilde X_i\ \tilde y_i]'[\tilde X_i\ \tilde y_i]` only. With
   :math:`D=\Lambda\Lambda'` and :math:`W_i = D(I+A_iD)^{-1}`,

   .. math:: S = C - \sum_i B_i'W_iB_i,\quad \hat\beta = S_{xx}^{-1}S_{xy},\quad
             \mathrm{RSS} = S_{yy} - S_{yx}\hat\beta,

   .. math:: -2\ell = n\log(2\pi\,\mathrm{RSS}/n) + n + \sum_i\log|I+A_iD| + \sum_i\log|R_i|

   (profiled ML deviance; for REML :math:`n-p` replaces :math:`n` and :math:`\log|X'V^{-1}X|` is
   added; Bates et al. 2015, *J Stat Softw* 67(1), doi:10.18637/jss.v067.i01, eqs 34 and 41 written
   per patient). Gradient and Hessian: :mod:`tpr_outcomes.models.mixed_sums`.
4. Newton's method in :math:`\Lambda` inside, a quasi-Newton method in the residual correlation outside
   (:mod:`tpr_outcomes.models.mixed_newton`); an optimum is certified by its exact gradient
   (:mod:`tpr_outcomes.models.mixed_search`).

Steps 2 to 4 run compiled where numba is installed, else in numpy, with the same numbers to rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tpr_outcomes.errors import FitError
from tpr_outcomes.models.mixed_data import MixedData
from tpr_outcomes.models.mixed_deviance import Deviance, Method, Optimum, Residual
from tpr_outcomes.models.mixed_rows import Covariance, Layout, Whitener, gains, whiten_residual
from tpr_outcomes.models.mixed_search import Status, search, status_of

Array = NDArray[np.float64]
__all__ = [
    "Covariance", "Layout", "Method", "MixedData", "MixedFit", "Residual", "Whitener", "fit_mixed",
    "fit_prepared", "predict_effects",
]  # fmt: skip


@dataclass(frozen=True)
class MixedFit:
    """What the data say of one mixed model.

    Attributes
    ----------
    beta, std_error : ndarray, shape (p,)
        Fixed effects and their model-based standard errors (covariance parameters taken as known).
    beta_cov : ndarray, shape (p, p)
        Their covariance, ``sigma^2 (X'V^{-1}X)^{-1}``.
    covariance : Covariance
        Estimated working covariance.
    log_likelihood : float
        Maximised (restricted) log-likelihood.
    method : {"ml", "reml"}
    residual : {"independent", "car1", "car1+nugget"}
    status : {"converged", "boundary", "failed"}
        ``"boundary"``: the optimum lies at a zero variance, a correlation of 0 or ±1, or a white-noise
        share of 0 or 1, where large-sample theory for the variance parameters does not hold; the
        likelihood there is a true maximum. ``"failed"``: no maximum was certified; do not use.
    message : str
        What ended the search, in words.
    gradient : float
        Largest absolute component of the deviance gradient at the end.
    evaluations : int
        Likelihood evaluations used.
    n_rows, n_patients : int
    """

    beta: Array
    std_error: Array
    beta_cov: Array
    covariance: Covariance
    log_likelihood: float
    method: Method
    residual: Residual
    status: Status
    message: str
    gradient: float
    evaluations: int
    n_rows: int
    n_patients: int

    @property
    def converged(self) -> bool:
        """True only for a certified optimum in the interior."""
        return self.status == "converged"

    @property
    def n_parameters(self) -> int:
        """Fixed effects and covariance parameters together."""
        q = self.covariance.factor.shape[0]
        extra = {"independent": 0, "car1": 1, "car1+nugget": 2}[self.residual]
        return int(self.beta.size + q * (q + 1) // 2 + extra + 1)


def fit_mixed(
    y: Array,
    x: Array,
    patient: NDArray[np.int64],
    *,
    z: Array | None = None,
    time: Array | None = None,
    residual: Residual = "independent",
    method: Method = "ml",
    start: Covariance | None = None,
) -> MixedFit:
    r"""Maximum-likelihood or REML fit of a linear mixed model with serially correlated residuals.

    Parameters
    ----------
    y : ndarray, shape (n,)
        Outcome.
    x : ndarray, shape (n, p)
        Fixed-effect columns, of full column rank.
    patient : ndarray of int, shape (n,)
        Patient codes 0, 1, … without gaps, rows in any order.
    z : ndarray, shape (n, q), optional
        Random-effect columns, q of 0, 1 or 2; default one column of ones (random intercept).
    time : ndarray, shape (n,), optional
        Time of each row, needed for correlated residuals; distinct within a patient.
    residual : {"independent", "car1", "car1+nugget"}
        Residual correlation ``(1 - nugget) * phi ** |time difference|``.
    method : {"ml", "reml"}
    start : Covariance, optional
        Where to begin (a warm start); the search still ends at a certified optimum. Without it,
        other valleys are looked for, and the highest likelihood is kept.

    Returns
    -------
    MixedFit

    Raises
    ------
    FitError
        Not finite, fewer rows than columns, columns not of full rank, more than two random-effect
        columns, or repeated times within a patient when residuals are correlated.

    Notes
    -----
    See the module docstring for the formulas. The optimum is accepted only when the exact gradient is below
    2e-3 deviance units per scaled parameter and, at a zero variance, when the deviance does not fall
    along any direction that leaves the boundary.

    Examples
    --------
    >>> import numpy as np
    >>> patient = np.repeat(np.arange(30), 4)
    >>> t = np.tile(np.arange(4.0), 30)
    >>> rng = np.random.default_rng(0)
    >>> y = 5 - 0.5 * t + rng.normal(size=30)[patient] + rng.normal(size=120)
    >>> fit = fit_mixed(y, np.column_stack([np.ones(120), t]), patient)
    >>> fit.status
    'converged'
    """
    return fit_prepared(
        MixedData.of(x, patient, z=z, time=time), y, residual=residual, method=method, start=start
    )


def fit_prepared(
    data: MixedData,
    y: Array,
    *,
    residual: Residual = "independent",
    method: Method = "ml",
    start: Covariance | None = None,
) -> MixedFit:
    """As :func:`fit_mixed`, on rows that were prepared before.

    Parameters
    ----------
    data : MixedData
        Its last line is overwritten with ``y``.
    y : ndarray, shape (n,)
        Outcome, in the order of the rows given to :meth:`MixedData.of`.
    residual, method, start
        See :func:`fit_mixed`.

    Returns
    -------
    MixedFit

    Raises
    ------
    FitError
        An outcome that is not finite or is explained by the columns, or residuals that are to be
        correlated without distinct times.
    """
    if residual != "independent":
        if not data.gaps.size:
            raise FitError("Correlated residuals need the time of each row; give `time`.")
        if data.later_gaps[0] <= 0.0:
            raise FitError(
                "Two rows of one patient have the same time; correlated residuals need distinct times."
            )
    middle, y_scale = data.outcome(y)
    deviance = Deviance(data, residual=residual, method=method)
    return _collect(deviance, search(deviance, start), middle, y_scale)


def predict_effects(fit: MixedFit, data: MixedData, y: Array) -> Array:
    r"""Predicted random effects of every patient (best linear unbiased predictors).

    Parameters
    ----------
    fit : MixedFit
    data : MixedData
        The rows the model was fitted to.
    y : ndarray, shape (n,)

    Returns
    -------
    ndarray, shape (N, q)
        In units of the outcome per unit of ``z``; row ``i`` belongs to patient code ``i``. A row's
        prediction is ``x @ fit.beta + (z * effects[patient]).sum(axis=1)``.

    Notes
    -----
    :math:`\hat b_i = D(I+A_iD)^{-1}Z_i'R_i^{-1}(y_i-X_i\hat\beta)` (Robinson 1991,
    doi:10.1214/ss/1177011926), on the rows' own scale.
    """
    c, layout = fit.covariance, data.layout
    columns = np.column_stack([data.z, y - data.x @ fit.beta])[layout.order]
    if fit.residual != "independent":
        columns = whiten_residual(layout, columns, gains(layout, c.rate, c.nugget, tangents=False)[0])
    q = data.q
    inner = layout.patient_sums(columns[:, :q, None] * columns[:, None, :])
    spread = c.factor @ c.factor.T
    inside = np.eye(q) + inner[:, :, :q] @ spread
    effects = np.empty((layout.n_patients, q))
    effects[layout.patient] = np.linalg.solve(inside, inner[:, :, q:])[:, :, 0] @ spread
    return effects


def _collect(deviance: Deviance, best: Optimum, middle: Array, y_scale: float) -> MixedFit:
    """Back from scaled columns to the user's."""
    data = deviance.data
    factor, rate, nugget = deviance.unpack(best.point)
    sigma = y_scale * math.sqrt(best.rss / deviance.dof) if best.rss > 0.0 else math.nan
    back = data.back_x
    beta_cov = sigma**2 * (back @ best.inverse @ back.T)
    log_likelihood = -0.5 * best.deviance - deviance.dof * math.log(y_scale)
    if deviance.reml:
        log_likelihood += math.log(abs(np.linalg.det(back / back.diagonal())))
        log_likelihood += float(np.log(np.abs(back.diagonal())).sum())
    status, words = status_of(deviance, best)
    return MixedFit(
        beta=back @ (best.beta + middle) * y_scale,
        std_error=np.sqrt(beta_cov.diagonal()),
        beta_cov=beta_cov,
        covariance=Covariance(
            sigma=sigma, factor=_lower(data.back_z @ factor), phi=math.exp(-rate), nugget=nugget
        ),
        log_likelihood=log_likelihood,
        method=deviance.method,
        residual=deviance.residual,
        status=status,
        message=words,
        gradient=best.open_gradient,
        evaluations=deviance.evaluations,
        n_rows=deviance.n,
        n_patients=data.n_patients,
    )


def _lower(root: Array) -> Array:
    """The lower-triangular root, diagonal not negative, of ``root @ root.T`` (size 0, 1 or 2)."""
    if root.shape[0] == 0:
        return root
    (a, b), (c, d) = root if root.shape[0] == 2 else ((root[0, 0], 0.0), (0.0, 1.0))
    first = math.hypot(a, b)
    if root.shape[0] == 1:
        return np.array([[first]])
    if first == 0.0:
        return np.array([[0.0, 0.0], [0.0, math.hypot(c, d)]])
    return np.array([[first, 0.0], [(a * c + b * d) / first, abs(a * d - b * c) / first]])
