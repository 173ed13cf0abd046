r"""Marginal likelihood of a broken line whose break differs between patients: arrays in, numbers out.

Given the threshold :math:`\tau_i`, patient :math:`i` follows a linear mixed model,

.. math:: y_i = X_i\beta + \theta\,h_i(\tau_i) + Z_i b_i + e_i,\quad h_{ij}(\tau) = (C_{ij}-\tau)_+,\quad
          b_i\sim N(0,\sigma^2\Lambda\Lambda'),\quad e_i\sim N(0,\sigma^2 R_i),

so :math:`y_i\mid\tau_i` is Gaussian with variance :math:`V_i = \sigma^2(R_i + Z_i\Lambda\Lambda'Z_i')`.

The integral over :math:`\tau_i` needs no quadrature when :math:`\tau_i\sim N(\mu,\omega^2)`. Between
two neighbouring doses of the patient, :math:`h_i(\tau) = a - \tau b` with constant vectors :math:`a, b`,
so the exponent is quadratic in :math:`\tau` and each piece is a Gaussian integral over an interval:
with :math:`v=\tau-\mu`, :math:`u = y - X\beta-\theta(a-\mu b)`, :math:`q(v)=\alpha+2\beta_v v+\gamma v^2`,
:math:`\alpha=u'V^{-1}u`, :math:`\beta_v=\theta b'V^{-1}u`, :math:`\gamma=\theta^2b'V^{-1}b` and
:math:`s^2=1+\gamma\omega^2`, a piece between :math:`l` and :math:`r` (in units of :math:`\omega` from
:math:`\mu`) gives

.. math:: \tfrac1s \exp\{-\tfrac12(\alpha-\beta_v^2\omega^2/s^2)\}
          [\Phi(s(r-m))-\Phi(s(l-m))],\qquad m=-\beta_v\omega/s^2 .

Ordinary Gauss-Hermite rules converge slowly here because the integrand has a kink at every dose; the
pieces have none. For log-normal thresholds each piece is smooth and is integrated by Gauss-Legendre.

The score is exact: by Fisher's identity it is the conditional expectation of the complete-data score,
which needs only the first two moments of :math:`\tau_i` on each piece.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

Array = NDArray[np.float64]
Distribution = Literal["normal", "lognormal"]

SMALLEST_SPREAD = 1e-9
"""A spread of zero is evaluated at this value (dose in units of its own spread): the log-likelihood
then differs from its limit by an amount of the same order, far below rounding of the sum."""

_REACH = 7.0
"""Log-normal thresholds are integrated over this many SDs either side (mass outside: 3e-12)."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)


@dataclass(frozen=True)
class ThresholdData:
    """Cross-products per patient (N patients) and per piece between doses (K pieces), whitened by R_i.

    ``c = [y, X]`` has ``m = 1 + p`` columns, ``Z`` has ``q``. On piece k ``h(tau) = a - tau b``.

    Attributes
    ----------
    n_rows : ndarray, shape (N,)
        Ratings of each patient.
    edges : ndarray, shape (N, K + 1)
        Sorted doses between ``-inf`` and ``inf``; piece k is ``(edges[k], edges[k + 1])``.
    cc, zc, zz : ndarray, shapes (N, m, m), (N, q, m), (N, q, q)
        Cross-products without the hinge.
    ac, bc : ndarray, shape (N, K, m)
    az, bz : ndarray, shape (N, K, q)
    aa, ab, bb : ndarray, shape (N, K)
        Cross-products with the two parts of the hinge.
    log_det : float
        Sum of log|R_i|.
    """

    n_rows: Array
    edges: Array
    cc: Array
    zc: Array
    zz: Array
    ac: Array
    bc: Array
    az: Array
    bz: Array
    aa: Array
    ab: Array
    bb: Array
    log_det: float

    @property
    def n_coefficients(self) -> int:
        """Number of columns of X."""
        return int(self.cc.shape[1]) - 1

    @property
    def n_random(self) -> int:
        """Number of Gaussian random effects per patient."""
        return int(self.zz.shape[1])

    @property
    def n_parameters(self) -> int:
        """Length of the parameter vector: beta, theta, mu, omega, lower triangle of Lambda, log sigma."""
        q = self.n_random
        return self.n_coefficients + 4 + q * (q + 1) // 2


def prepare(
    y: Array,
    X: Array,
    *,
    Z: Array,
    dose: Array,
    patient: NDArray[np.int64],
    correlation: Array | None = None,
) -> ThresholdData:
    """Cross-products of the rows of each patient.

    Parameters
    ----------
    y, dose : ndarray, shape (n,)
    X, Z : ndarray, shapes (n, p) and (n, q)
    patient : ndarray of int, shape (n,)
        Codes 0..N-1 without gaps, rows sorted by patient.
    correlation : ndarray, shape (N, w, w), optional
        Residual correlation R_i of the patient's rows, the identity beyond them; w = most rows.
    """
    counts = np.bincount(patient)
    n_patients, width = counts.size, int(counts.max())
    column = np.arange(patient.size) - np.repeat(np.cumsum(counts) - counts, counts)

    def padded(values: Array, fill: float = 0.0) -> Array:
        out = np.full((n_patients, width, *values.shape[1:]), fill)
        out[patient, column] = values
        return out

    c, z = padded(np.column_stack((y, X))), padded(Z)
    present = padded(np.ones_like(dose))
    doses = padded(dose)
    # missing visits repeat the patient's largest dose: their pieces have no length
    ordered = np.sort(
        np.where(present > 0, doses, doses.max(1, keepdims=True, initial=-np.inf, where=present > 0)), axis=1
    )
    rim = np.full((n_patients, 1), np.inf)
    edges = np.concatenate((-rim, ordered, rim), axis=1)
    b = (doses[:, None, :] >= edges[:, 1:, None]) * present[:, None, :]
    a = b * doses[:, None, :]
    log_det = 0.0
    if correlation is not None:
        root = np.linalg.cholesky(correlation)
        log_det = 2.0 * float(np.log(np.diagonal(root, axis1=1, axis2=2)).sum())
        whiten = np.linalg.inv(root)
        c, z = whiten @ c, whiten @ z
        a, b = a @ whiten.transpose(0, 2, 1), b @ whiten.transpose(0, 2, 1)
    return ThresholdData(
        n_rows=counts.astype(np.float64),
        edges=edges,
        cc=c.transpose(0, 2, 1) @ c,
        zc=z.transpose(0, 2, 1) @ c,
        zz=z.transpose(0, 2, 1) @ z,
        ac=a @ c,
        bc=b @ c,
        az=a @ z,
        bz=b @ z,
        aa=(a * a).sum(2),
        ab=(a * b).sum(2),
        bb=(b * b).sum(2),
        log_det=log_det,
    )


def evaluate(
    data: ThresholdData, parameters: Array, *, distribution: Distribution = "normal"
) -> tuple[float, Array, Array]:
    """Log-likelihood, its exact gradient and the conditional mean of each patient's threshold.

    Parameters
    ----------
    data : ThresholdData
    parameters : ndarray, shape (data.n_parameters,)
        ``beta, theta, mu, omega, Lambda (lower triangle, row by row), log sigma``. Signs of ``omega``
        and of Lambda's diagonal do not matter. For the log-normal, mu and omega belong to log(tau).
    distribution : {"normal", "lognormal"}

    Returns
    -------
    log_likelihood : float
    score : ndarray, shape (data.n_parameters,)
    location : ndarray, shape (N,)
        E[tau_i | y_i] for the normal, exp(E[log tau_i | y_i]) for the log-normal.
    """
    p, q = data.n_coefficients, data.n_random
    theta, mu = float(parameters[p]), float(parameters[p + 1])
    omega = max(abs(float(parameters[p + 2])), SMALLEST_SPREAD)
    coef = np.concatenate(([1.0], -parameters[:p]))
    lam = np.zeros((q, q))
    lower = np.tril_indices(q)
    lam[lower] = parameters[p + 3 : -1]
    scale = float(np.exp(-2.0 * parameters[-1]))

    inner = np.eye(q) + lam.T @ data.zz @ lam
    lam_inv = lam @ np.linalg.inv(inner)
    K = lam_inv @ lam.T
    center = mu if distribution == "normal" else 0.0
    # every name below is a cross-product: A = a - center b, r = y - X beta, u = r - theta A
    AA = data.aa - 2 * center * data.ab + center**2 * data.bb
    Ab = data.ab - center * data.bb
    ZA = data.az - center * data.bz
    Ac = data.ac - center * data.bc
    cr = data.cc @ coef
    Zr = data.zc @ coef
    Ar, br = Ac @ coef, data.bc @ coef
    Zu = Zr[:, None, :] - theta * ZA
    KZu, KZb = Zu @ K, data.bz @ K
    uVu = scale * ((cr @ coef)[:, None] - 2 * theta * Ar + theta**2 * AA - (Zu * KZu).sum(2))
    bVu = scale * (br - theta * Ab - (data.bz * KZu).sum(2))
    bVb = scale * (data.bb - (data.bz * KZb).sum(2))
    pieces = _normal_pieces if distribution == "normal" else _lognormal_pieces
    linear, square = theta * bVu, theta**2 * bVb
    log_mass, moment = pieces(data.edges, mu, omega, (uVu, linear, square))
    log_integral = _log_sum(log_mass)
    weight = np.exp(log_mass - log_integral[:, None])
    v1, v2, u0, u1, w0, w1, z1 = (weight * part for part in moment)

    n = data.n_rows.sum()
    log_likelihood = float(log_integral.sum()) - 0.5 * (
        n * (np.log(2 * np.pi) - np.log(scale)) + np.linalg.slogdet(inner)[1].sum() + data.log_det
    )
    hc = (weight[..., None] * Ac - v1[..., None] * data.bc).sum(1)
    hZ = (weight[..., None] * ZA - v1[..., None] * data.bz).sum(1)
    fixed = cr - theta * hc - (data.zc.transpose(0, 2, 1) @ (K @ (Zr - theta * hZ)[..., None]))[..., 0]
    AVu = scale * (Ar - theta * AA - (ZA * KZu).sum(2))
    AVb = scale * (Ab - (ZA * KZb).sum(2))
    slope = weight * AVu + theta * v1 * AVb - v1 * bVu - theta * v2 * bVb
    Zv = (theta * v1)[..., None] * data.bz
    cross = Zu.transpose(0, 2, 1) @ Zv
    outer = Zu.transpose(0, 2, 1) @ (weight[..., None] * Zu) + cross + cross.transpose(0, 2, 1)
    outer += data.bz.transpose(0, 2, 1) @ ((theta**2 * v2)[..., None] * data.bz)
    random = (scale * (np.eye(q) - data.zz @ K) @ outer - data.zz) @ lam_inv
    score = np.concatenate(
        (
            scale * fixed.sum(0)[1:],
            [slope.sum(), -(linear * u0 + square * u1).sum()],
            [-np.copysign(1.0, parameters[p + 2]) * (linear * w0 + square * w1).sum()],
            random.sum(0)[lower],
            [(weight * uVu + 2 * linear * v1 + square * v2).sum() - n],
        )
    )
    location = mu + omega * z1.sum(1)
    return log_likelihood, score, location if distribution == "normal" else np.exp(location)


Quadratic = tuple[Array, Array, Array]
Moments = tuple[Array, Array, Array, Array, Array, Array, Array]


def _normal_pieces(edges: Array, mu: float, omega: float, quadratic: Quadratic) -> tuple[Array, Moments]:
    """Log mass of each piece and E[v], E[v^2], E[v_mu], E[v v_mu], E[v_omega], E[v v_omega], E[z] on it.

    Here v = omega z, so v_mu stands for 1 (a shift of mu moves every threshold alike) and v_omega = z.
    """
    alpha, beta, gamma = quadratic
    s = np.sqrt(1.0 + gamma * omega**2)
    mean = -beta * omega / s**2
    z = np.clip((edges - mu) / omega, -1e12, 1e12)
    left, right = s * (z[:, :-1] - mean), s * (z[:, 1:] - mean)
    log_phi = _log_interval(left, right)
    log_mass = -0.5 * (alpha - (beta * omega / s) ** 2) - np.log(s) + log_phi
    # truncated normal moments; a piece without mass has weight zero, whatever its moments
    empty = np.isneginf(log_phi)
    log_root = np.where(empty, 0.0, log_phi) + 0.5 * np.log(2 * np.pi)
    low = np.where(empty, 0.0, np.exp(np.minimum(-0.5 * left**2 - log_root, 200.0)))
    high = np.where(empty, 0.0, np.exp(np.minimum(-0.5 * right**2 - log_root, 200.0)))
    first = low - high
    second = 1.0 + left * low - right * high
    z1 = mean + first / s
    z2 = mean**2 + 2 * mean * first / s + second / s**2
    one = np.ones_like(z1)
    return log_mass, (omega * z1, omega**2 * z2, one, omega * z1, z1, omega * z2, z1)


def _log_sum(values: Array) -> Array:
    """Log of the sum of exp over the last axis; at least one value of each sum is finite or all are -inf."""
    top = np.maximum(values.max(-1), -1e300)
    with np.errstate(divide="ignore"):
        return np.asarray(top + np.log(np.exp(values - top[..., None]).sum(-1)))


def _log_interval(left: Array, right: Array) -> Array:
    """log(Phi(right) - Phi(left)) without cancellation; -inf where right == left."""
    flip = left > 0
    low = np.where(flip, -right, left)
    high = np.where(flip, -left, right)
    log_low, log_high = log_ndtr(low), log_ndtr(high)
    with np.errstate(divide="ignore"):
        return np.asarray(log_high + np.log(-np.expm1(np.minimum(log_low - log_high, 0.0))))


def _lognormal_pieces(edges: Array, mu: float, omega: float, quadratic: Quadratic) -> tuple[Array, Moments]:
    """As the normal pieces, for v = tau = exp(mu + omega z): v_mu = tau and v_omega = z tau."""
    with np.errstate(divide="ignore"):
        log_edges = np.log(np.maximum(edges, 0.0))
    bounds = np.clip((log_edges - mu) / omega, -_REACH, _REACH)
    half = 0.5 * np.diff(bounds, axis=1)
    z = (bounds[:, :-1] + half)[..., None] + half[..., None] * _NODES
    tau = np.exp(mu + omega * z)
    alpha, beta, gamma = (part[..., None] for part in quadratic)
    with np.errstate(divide="ignore"):
        log_width = np.log(half)[..., None]
    exponent = -0.5 * (alpha + 2 * beta * tau + gamma * tau**2 + z**2)
    log_node = exponent + np.log(_WEIGHTS) + log_width - 0.5 * np.log(2 * np.pi)
    top = exponent.max(2, keepdims=True)
    share = np.exp(exponent - top) * _WEIGHTS
    share /= share.sum(2, keepdims=True)
    z1, t1, t2 = (share * z).sum(2), (share * tau).sum(2), (share * tau**2).sum(2)
    zt1, zt2 = (share * z * tau).sum(2), (share * z * tau**2).sum(2)
    return _log_sum(log_node), (t1, t2, t1, t2, zt1, zt2, z1)


def common_threshold_screen(data: ThresholdData, parameters: Array, thresholds: Array) -> tuple[Array, Array]:
    """Gain in log-likelihood and slope of one common threshold, with the variances held fixed.

    Parameters
    ----------
    data : ThresholdData
    parameters : ndarray, shape (data.n_parameters,)
        Supplies Lambda and sigma.
    thresholds : ndarray, shape (g,)

    Returns
    -------
    gain, slope : ndarray, shape (g,)
        From generalised least squares of y on X and the hinge.
    """
    q, p = data.n_random, data.n_coefficients
    lam = np.zeros((q, q))
    lam[np.tril_indices(q)] = parameters[p + 3 : -1]
    K = lam @ np.linalg.inv(np.eye(q) + lam.T @ data.zz @ lam) @ lam.T
    projected = K @ data.zc
    base = (data.cc - data.zc.transpose(0, 2, 1) @ projected).sum(0)
    solved = np.linalg.solve(base[1:, 1:], base[1:, :1])[:, 0]
    gain, slope = np.zeros(thresholds.size), np.zeros(thresholds.size)
    rows = np.arange(data.n_rows.size)
    for g, tau in enumerate(thresholds):
        piece = (data.edges[:, 1:-1] <= tau).sum(1)
        hc = (data.ac - tau * data.bc)[rows, piece]
        hz = (data.az - tau * data.bz)[rows, piece]
        hh = (data.aa - 2 * tau * data.ab + tau**2 * data.bb)[rows, piece]
        with_c = (hc - (projected.transpose(0, 2, 1) @ hz[..., None])[..., 0]).sum(0)
        own = float((hh - (hz * (hz[:, None, :] @ K)[:, 0]).sum(1)).sum())
        left = own - float(with_c[1:] @ np.linalg.solve(base[1:, 1:], with_c[1:]))
        if left > 1e-8 * max(own, 1.0):
            score = float(with_c[0] - with_c[1:] @ solved)
            slope[g] = score / left
            gain[g] = 0.5 * score**2 / left * float(np.exp(-2 * parameters[-1]))
    return gain, slope
