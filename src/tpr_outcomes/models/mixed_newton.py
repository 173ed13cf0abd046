r"""The two searches: Newton's method in the random effects' factor, quasi-Newton in the residual correlation.

Written once, in the part of Python that numba compiles: as plain Python they call the numpy formulas of
:mod:`tpr_outcomes.models.mixed_sums`, compiled (:mod:`tpr_outcomes.models.compiled`) the loops.

*Inside*, for given residual correlation, all that is needed are sums per patient. The deviance is minimised
over the lower triangle of :math:`\Lambda` with its exact gradient and Hessian in ``D`` by the chain rule:
for :math:`D=\Lambda\Lambda'`,

.. math:: d_{ij} = \sum_{\Delta\Gamma} D_{\Delta,i}\,d_{\Delta\Gamma}\,D_{\Gamma,j}
                   + \sum_\Delta d_\Delta\,D_{\Delta,ij},

so that no bound is needed where a variance is 0: there the derivative in :math:`\Lambda` is nil, and whether
the deviance falls off that boundary is asked of the gradient in ``D`` itself. A Hessian that is not positive
definite is damped (Levenberg); far from the top a step of Fisher scoring in ``D`` is taken instead, which
from anywhere lands near it; a step that does not lower the deviance is shortened.

*Outside*, one or two parameters of the residual correlation (log rate, logit of the white-noise share). The
deviance minimised inside has, by the envelope theorem, the partial derivative of the deviance as its
gradient: exact, one more pass over the rows. The first step uses the patients' own scores as curvature, later
ones BFGS updates (Nocedal and Wright 2006, *Numerical Optimization*, chapters 3 and 6).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tpr_outcomes.models.mixed_sums import evaluate

Array = NDArray[np.float64]

NEAR = 1e-11
"""Half the squared length of the next Newton step, in standard errors: where a search ends. The deviance
is then within that of its minimum, and every parameter within 1e-5 standard errors."""
NEAR_OUTSIDE = 1e-10
"""The same for the residual correlation, where each step costs passes over the rows."""
_SINGULAR = 1e-6
_FALLS = -1e-3
"""A slope of the deviance in ``D`` below this, at a zero variance, means that it is no optimum."""
_LIFT = 0.05
_FAR = 3.0
"""Half the squared length of a Newton step, in standard errors, that the second derivatives at hand are not
to be trusted for."""
_INSIDE = 1e-3
_LONGEST = 1.5
"""Longest step in log rate and logit share."""


def factor_search(
    a: Array, b: Array, c: Array, weight: Array, start: Array, dof: int, reml: bool
) -> tuple[Array, float, float, Array, Array, float, Array, int]:
    """Minimise the deviance over the factor of the random effects.

    Parameters
    ----------
    a, b, c, weight : ndarray
        See :func:`tpr_outcomes.models.mixed_sums.evaluate`.
    start : ndarray, shape (m,)
        Lower triangle of the factor to begin at.

    Returns
    -------
    factor : ndarray, shape (m,)
    value, open_gradient : float
        Deviance without ``log|R|``, and the largest component of its gradient in the factor.
    beta, inverse : ndarray
    rss : float
    slope : ndarray, shape (m,)
        Gradient in ``D``.
    evaluations : int
    """
    q = b.shape[0]
    m = start.size
    factor, trial, step = start.copy(), start.copy(), np.zeros(m)
    value, slope, curve, beta, inverse, rss = (
        np.inf,
        np.zeros(m),
        np.zeros((m, m)),
        np.zeros(0),
        np.zeros((0, 0)),
        1.0,
    )
    evaluations, lifts, cuts, share = 0, 0, 0, 1.0
    regular, forced = True, True
    for _ in range(500):
        regular1, value1, slope1, curve1, expected1, beta1, inverse1, rss1 = evaluate(
            a, b, c, weight, trial, dof, reml
        )
        evaluations += 1
        # Close to the top, a true fall drowns in the rounding of a sum as large as the deviance.
        if forced or (regular1 and value1 <= value + 1e-13 * abs(value)):
            forced, cuts = False, 0
            factor, regular, value, slope, curve = trial, regular1, value1, slope1, curve1
            beta, inverse, rss = beta1, inverse1, rss1
            if not regular or not np.isfinite(value):
                break
            gradient, hessian = _chain(factor, slope, curve, q)
            step, near = _newton_step(gradient, hessian)
            if near <= NEAR:
                forced, trial = _lift(factor, slope, q)
                lifts += 1
                if not forced or lifts > 5:
                    break
                continue
            longest = 0.0
            for i in range(m):
                longest = max(longest, abs(step[i]) / (1.0 + abs(factor[i])))
            share = min(1.0, 2.0 / longest)
            if near > _FAR:
                scored, target = _score(factor, slope, expected1, q)
                if scored:
                    step, share = target - factor, 1.0
        else:
            cuts += 1
            share *= 0.25
            if cuts == 30:
                break
        trial = factor + share * step
    gradient, hessian = _chain(factor, slope, curve, q)
    open_gradient = 0.0
    for i in range(gradient.size):
        open_gradient = max(open_gradient, abs(gradient[i]))
    if not regular or not np.isfinite(value):
        open_gradient = np.inf
    return factor, value, open_gradient, beta, inverse, rss, slope, evaluations


def first_curvature(raw: Array, scores: Array, rate: float, nugget: float, size: int) -> tuple[Array, Array]:
    """Gradient in log rate and logit share, and its curvature from the patients' own scores.

    Parameters
    ----------
    raw, scores : ndarray
        From :func:`tpr_outcomes.models.mixed_sums.tangents`.
    size : int
        1 or 2 residual parameters.

    Returns
    -------
    gradient : ndarray, shape (size,)
    curvature : ndarray, shape (size, size)
        Of the deviance minimised over all else: half the scores' cross-products, what the other
        parameters' scores explain of them taken out.
    """
    rest = scores.shape[0] - 2
    other = scores[2:, 2:].copy()
    for i in range(rest):
        other[i, i] += 1e-9 * other[i, i] + 1e-300
    factors = np.ones(2)
    factors[0], factors[1] = rate, nugget * (1.0 - nugget)
    out, gradient = np.zeros((size, size)), np.zeros(size)
    for i in range(size):
        gradient[i] = raw[i] * factors[i]
        column = scores[2:, i].copy()
        fine, solved = _solve(other, column, 0.0)
        for j in range(size):
            taken = 0.0
            if fine:
                for x in range(rest):
                    taken += scores[2 + x, j] * solved[x]
            out[j, i] = 0.5 * (scores[j, i] - taken) * factors[i] * factors[j]
    for i in range(size):
        out[i, i] = max(out[i, i], 0.01 * 0.5 * scores[i, i] * factors[i] * factors[i]) + 1e-8
    if size > 1:
        shared = 0.5 * (out[0, 1] + out[1, 0])
        most = 0.98 * np.sqrt(out[0, 0] * out[1, 1])
        out[0, 1] = out[1, 0] = min(max(shared, -most), most)
    return gradient, out


def propose(
    point: Array, value: float, gradient: Array, step: Array, curve: Array,
    trial: Array, value1: float, gradient1: Array, share: float, low: Array, high: Array,
) -> tuple[bool, bool, Array, Array, Array, float]:  # fmt: skip
    """Judge a trial point of the outer search and say where to go next.

    Parameters
    ----------
    point, value, gradient : ndarray, float, ndarray
        Best so far; an infinite value accepts any trial.
    step, share : ndarray, float
        The trial was ``point + share * step``, moved into the box ``low`` … ``high``.
    curve : ndarray
        Curvature so far.
    trial, value1, gradient1 : ndarray, float, ndarray

    Returns
    -------
    accepted, finished : bool
    step, curve : ndarray
    following : ndarray
        Next trial.
    share : float
    """
    size = point.size
    moved = trial - point
    if np.isfinite(value):
        curve = _update(curve, moved, gradient1 - gradient)
    # Close to the top, a true fall drowns in the rounding of a sum as large as the deviance.
    accepted = value1 <= value + 1e-13 * abs(value) if np.isfinite(value) else True
    finished = False
    if accepted:
        share = 1.0
        free = np.ones(size)
        for i in range(size):
            if (trial[i] <= low[i] and gradient1[i] > 0) or (trial[i] >= high[i] and gradient1[i] < 0):
                free[i] = 0.0
        step, near, steep = _quasi_step(gradient1, curve, free)
        finished = (near <= NEAR_OUTSIDE and steep < 1e-3) or not np.isfinite(value1)
        longest = 0.0
        for i in range(size):
            longest = max(longest, abs(step[i]))
        if longest > _LONGEST:
            step = step * (_LONGEST / longest)
        point = trial
    else:
        # The cubic through both values and slopes has its lowest point here.
        before, after = _dot(gradient, moved), _dot(gradient1, moved)
        bend = before + after - 3.0 * (value1 - value)
        under = bend * bend - before * after
        place = 0.25
        if under > 0.0 and np.isfinite(under):
            place = 1.0 - (after + np.sqrt(under) - bend) / (after - before + 2.0 * np.sqrt(under))
        share *= min(max(place, 0.05), 0.7) if np.isfinite(place) else 0.25
        finished = share < 1e-7
    following = point + share * step
    for i in range(size):
        following[i] = min(max(following[i], low[i]), high[i])
    return accepted, finished, step, curve, following, share


def _chain(factor: Array, slope: Array, curve: Array, q: int) -> tuple[Array, Array]:
    """Gradient and Hessian in the factor from those in ``D``."""
    m = factor.size
    gradient, hessian = np.zeros(m), np.zeros((m, m))
    if q == 0:
        return gradient, hessian
    way = np.zeros((m, m))  # dD (rows: 11, 12, 22) / dfactor
    way[0, 0] = 2.0 * factor[0]
    if q == 2:
        way[1, 0], way[1, 1] = factor[1], factor[0]
        way[2, 1], way[2, 2] = 2.0 * factor[1], 2.0 * factor[2]
    for i in range(m):
        for d in range(m):
            gradient[i] += way[d, i] * slope[d]
            for e in range(m):
                for j in range(m):
                    hessian[i, j] += way[d, i] * curve[d, e] * way[e, j]
    hessian[0, 0] += 2.0 * slope[0]
    if q == 2:
        hessian[0, 1] += slope[1]
        hessian[1, 0] += slope[1]
        hessian[1, 1] += 2.0 * slope[2]
        hessian[2, 2] += 2.0 * slope[2]
    return gradient, hessian


def _score(factor: Array, slope: Array, expected: Array, q: int) -> tuple[bool, Array]:
    """Where a step of Fisher scoring in ``D`` leads, if that is well inside."""
    target = factor.copy()
    fine, step = _solve(expected, -slope, 0.0)
    if not fine:
        return False, target
    d0 = factor[0] * factor[0] + step[0]
    if q == 1:
        if d0 <= _INSIDE:
            return False, target
        target[0] = np.sqrt(d0)
        return True, target
    d1 = factor[0] * factor[1] + step[1]
    d2 = factor[1] * factor[1] + factor[2] * factor[2] + step[2]
    if d0 <= _INSIDE or d2 <= _INSIDE or d0 * d2 - d1 * d1 <= 0.05 * d0 * d2:
        return False, target
    target[0] = np.sqrt(d0)
    target[1] = d1 / target[0]
    target[2] = np.sqrt(d2 - target[1] * target[1])
    return True, target


def _solve(matrix: Array, right: Array, damping: float) -> tuple[bool, Array]:
    """Solve a damped positive definite system by Cholesky, or say that it is not."""
    m = right.size
    root = np.zeros((m, m))
    out = right.copy()
    for i in range(m):
        for j in range(i + 1):
            total = matrix[i, j]
            if i == j:
                total += damping
            for x in range(j):
                total -= root[i, x] * root[j, x]
            if i == j:
                if not total > 1e-10 * abs(matrix[i, i]) + 1e-300:
                    return False, out
                root[i, i] = np.sqrt(total)
            else:
                root[i, j] = total / root[j, j]
    for i in range(m):
        for x in range(i):
            out[i] -= root[i, x] * out[x]
        out[i] /= root[i, i]
    for back in range(m):
        i = m - 1 - back
        for x in range(i + 1, m):
            out[i] -= root[x, i] * out[x]
        out[i] /= root[i, i]
    return True, out


def _newton_step(gradient: Array, hessian: Array) -> tuple[Array, float]:
    """Step downhill, and half its squared length in the metric of the (damped) Hessian."""
    largest = 1e-300
    for i in range(gradient.size):
        largest = max(largest, abs(hessian[i, i]))
    damping = 0.0
    fine, step = _solve(hessian, -gradient, damping)
    while not fine:
        damping = max(4.0 * damping, 1e-3 * largest)
        fine, step = _solve(hessian, -gradient, damping)
        if damping > 1e12 * largest:
            step = -gradient / largest
            break
    return step, -0.5 * _dot(gradient, step)


def _lift(factor: Array, slope: Array, q: int) -> tuple[bool, Array]:
    """A factor off the zero-variance boundary, if the deviance falls in that direction of ``D``."""
    moved = factor.copy()
    if q == 0:
        return False, moved
    if q == 1:
        if factor[0] * factor[0] > _SINGULAR or slope[0] >= _FALLS:
            return False, moved
        moved[0] = np.sqrt(_LIFT)
        return True, moved
    d0, d1 = factor[0] * factor[0], factor[0] * factor[1]
    d2 = factor[1] * factor[1] + factor[2] * factor[2]
    half = 0.5 * (d0 - d2)
    reach = np.sqrt(half * half + d1 * d1)
    middle = 0.5 * (d0 + d2)
    if middle - reach > _SINGULAR:
        return False, moved
    s0, s1, s2 = slope[0], 0.5 * slope[1], slope[2]
    if middle + reach <= _SINGULAR:  # D is nil: the steepest direction of all
        spread = np.sqrt((0.5 * (s0 - s2)) ** 2 + s1 * s1)
        least = 0.5 * (s0 + s2) - spread
        x, y = s1, least - s0
        if abs(x) + abs(y) <= 1e-12 * (abs(s0) + abs(s2)):
            x, y = (1.0, 0.0) if s0 <= s2 else (0.0, 1.0)
    else:  # the one direction in which D is nil
        x, y = d1, middle - reach - d0
        if abs(x) + abs(y) <= 1e-12 * middle:
            x, y = (1.0, 0.0) if d0 <= d2 else (0.0, 1.0)
    length = np.sqrt(x * x + y * y)
    x, y = x / length, y / length
    if s0 * x * x + 2.0 * s1 * x * y + s2 * y * y >= _FALLS:
        return False, moved
    d0, d1, d2 = d0 + _LIFT * x * x + 1e-12, d1 + _LIFT * x * y, d2 + _LIFT * y * y + 1e-12
    moved[0] = np.sqrt(d0)
    moved[1] = d1 / moved[0]
    moved[2] = np.sqrt(max(d2 - moved[1] * moved[1], 0.0))
    return True, moved


def _quasi_step(gradient: Array, curve: Array, free: Array) -> tuple[Array, float, float]:
    """Step in the free parameters, half its squared length in the metric of ``curve``, largest slope."""
    size = gradient.size
    matrix, right = np.zeros((size, size)), np.zeros(size)
    steep = 0.0
    for i in range(size):
        matrix[i, i] = 1.0
        if free[i] > 0.0:
            right[i] = -gradient[i]
            steep = max(steep, abs(gradient[i]))
            for j in range(size):
                if free[j] > 0.0:
                    matrix[i, j] = curve[i, j]
    step, near = _newton_step(-right, matrix)
    return step, near, steep


def _update(curve: Array, moved: Array, turned: Array) -> Array:
    """BFGS update of the curvature, left alone where it would lose its sign."""
    size = moved.size
    through = np.zeros(size)
    for i in range(size):
        for j in range(size):
            through[i] += curve[i, j] * moved[j]
    bent, expected = _dot(moved, turned), _dot(moved, through)
    out = curve.copy()
    if not (bent > 1e-3 * expected and expected > 0.0 and np.isfinite(bent)):
        return out
    for i in range(size):
        for j in range(size):
            out[i, j] += turned[i] * turned[j] / bent - through[i] * through[j] / expected
    return out


def _dot(one: Array, other: Array) -> float:
    total = 0.0
    for i in range(one.size):
        total += one[i] * other[i]
    return total


HELPERS = (_chain, _score, _solve, _newton_step, _lift, _quasi_step, _update, _dot)
"""What the compiled searches call: compiled with them."""
