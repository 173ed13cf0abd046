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
Rows are kept in *visit-major* order: first rows of all patients, then second rows, …, with patients
sorted by falling number of rows. Step ``j`` then touches the contiguous slice of the patients that
have a ``j``-th row, so a recursion over visits is vectorised over patients without padding.

1. :math:`R_i^{-1/2}` is applied by the innovations (Kalman) recursion of the scalar state-space form
   of CAR(1)-plus-noise: linear in rows (Jones 1993, *Longitudinal Data with Serial Correlation*,
   chapters 3–4). Its tangent in :math:`\varphi, \nu` is carried along for the exact gradient.
2. Per patient the whitened data enter through :math:`A_i = \tilde Z_i'\tilde Z_i`,
   :math:`B_i = \tilde Z_i'[\tilde X_i\ \tilde y_i]` and the total cross-product
   :math:`C = \sum_i[\tilde X_i\ \tilde y_i]'[\tilde X_i\ \tilde y_i]` only. With
   :math:`M_i = I + \Lambda'A_i\Lambda` and :math:`W_i = \Lambda M_i^{-1}\Lambda'`,

   .. math:: S = C - \sum_i B_i'W_iB_i,\quad \hat\beta = S_{xx}^{-1}S_{xy},\quad
             \mathrm{RSS} = S_{yy} - S_{yx}\hat\beta,

   .. math:: -2\ell = n\log(2\pi\,\mathrm{RSS}/n) + n + \sum_i\log|M_i| + \sum_i\log|R_i|

   (profiled ML deviance; for REML :math:`n-p` replaces :math:`n` and :math:`\log|X'V^{-1}X|` is
   added; Bates et al. 2015, *J Stat Softw* 67(1), doi:10.18637/jss.v067.i01, eqs 34 and 41 written
   per patient).
3. With :math:`u_i = (I - A_iW_i)(B_{iy} - B_{ix}\hat\beta)` the gradient in
   :math:`D=\Lambda\Lambda'` is
   :math:`G = \sum_i (A_i - A_iW_iA_i) - (n/\mathrm{RSS})\sum_i u_iu_i'`, and in
   :math:`\Lambda` it is :math:`2G\Lambda` (lower triangle).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tpr_outcomes.models.mixed_deviance import Deviance, Method, Residual
from tpr_outcomes.models.mixed_rows import Covariance, Layout, Whitener
from tpr_outcomes.models.mixed_search import (
    GRADIENT_TOLERANCE,
    Scaled,
    minimise_deviance,
    prepare,
    starting_values,
)

Array = NDArray[np.float64]
Status = Literal["converged", "boundary", "failed"]
__all__ = ["Covariance", "Layout", "Method", "MixedFit", "Residual", "Whitener", "fit_mixed"]

EDGE = 1e-4
"""Shares, and correlations at the shortest and longest gap, within this of 0 or 1 are at the boundary."""


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
        searches begin at two places and the higher likelihood is kept.

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
    See the module docstring for the formulas. Columns of ``x`` and ``z`` are orthonormalised first, so
    the scale of time does not matter. The optimum is accepted only when the exact gradient is below
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
    problem = prepare(y, x, patient, z, time, residual)
    deviance = Deviance(
        problem.layout, problem.y, problem.x, problem.z, residual=residual, method=method, unit=problem.unit
    )
    best, gradient, message = minimise_deviance(deviance, starting_values(deviance, problem, start))
    return _collect(deviance, problem, best, gradient, message)


def _collect(deviance: Deviance, problem: Scaled, point: Array, gradient: float, message: str) -> MixedFit:
    d = deviance.parts(point)
    factor, phi, nugget = deviance.unpack(point)
    scale = problem.y_scale
    sigma = scale * float(np.sqrt(d.rss / deviance.dof))
    inverse_root = np.linalg.solve(d.root, np.eye(deviance.p))
    back = np.linalg.inv(problem.x_root)
    beta_cov = sigma**2 * back @ inverse_root.T @ inverse_root @ back.T
    n = deviance.n
    log_likelihood = -0.5 * d.deviance - deviance.dof * np.log(scale)
    if deviance.method == "reml":
        log_likelihood -= float(np.log(np.abs(np.diag(problem.x_root))).sum())
    status, words = _status(deviance, factor, phi, nugget, gradient)
    if deviance.q:
        root = np.linalg.solve(problem.z_root, factor)
        factor = np.linalg.qr(root.T)[1].T
        factor = factor * np.where(np.diag(factor) < 0, -1.0, 1.0)
    return MixedFit(
        beta=back @ (d.beta + problem.middle) * scale,
        std_error=np.sqrt(np.diag(beta_cov)),
        beta_cov=beta_cov,
        covariance=Covariance(sigma=sigma, factor=factor, phi=phi, nugget=nugget),
        log_likelihood=log_likelihood,
        method=deviance.method,
        residual=deviance.residual,
        status=status,
        message=words or message,
        gradient=gradient,
        evaluations=deviance.evaluations,
        n_rows=n,
        n_patients=problem.layout.n_patients,
    )


def _status(
    deviance: Deviance, factor: Array, phi: float, nugget: float, gradient: float
) -> tuple[Status, str]:
    """Certified interior optimum, certified boundary optimum, or neither."""
    if not gradient < GRADIENT_TOLERANCE:
        return "failed", f"no optimum was certified: the largest deviance gradient is {gradient:.2g}"
    edges = []
    if deviance.q and np.linalg.eigvalsh(factor @ factor.T)[0] < EDGE**2:
        edges.append("the random-effects covariance is singular (a variance of 0 or a correlation of 1)")
    if deviance.correlated:
        if phi**deviance.shortest < EDGE or phi**deviance.longest > 1.0 - EDGE:
            edges.append("the residual correlation is at 0 or 1")
        if deviance.residual == "car1+nugget" and not EDGE < nugget < 1.0 - EDGE:
            edges.append("the white-noise share is at 0 or 1")
    if edges:
        return "boundary", "at the boundary: " + "; ".join(edges)
    return "converged", "converged"
