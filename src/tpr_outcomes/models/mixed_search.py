"""From starting values to a certified optimum.

The deviance is minimised from one or more starts, and a point counts as an optimum only when its exact
gradient is nil and no boundary it lies on can be left downhill.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tpr_outcomes.models.mixed_deviance import Deviance, Optimum
from tpr_outcomes.models.mixed_rows import Covariance

Array = NDArray[np.float64]
Status = Literal["converged", "boundary", "failed"]

EDGE = 1e-4
"""Shares, and correlations at the shortest and longest gap, within this of 0 or 1 are at the boundary."""
GRADIENT_TOLERANCE = 2e-3
"""Largest deviance gradient (per unit of a scaled parameter) accepted as an optimum. With curvature
of order 1 or more the deviance is then within 2e-6 of its minimum, far below any decision."""
_MIDDLE_RATE = float(np.log(np.log(2.0)))
"""Scaled parameter of a correlation of one half at the usual gap."""
_PHIS = (0.05, 0.35, 0.7, 0.93)
_SHARES = (-1.5, 0.0, 1.5)
_ALMOST_SINGULAR = 1e-3
_FEW = 60
"""With fewer patients, or at a boundary, the random effects are searched from every start."""


def warm_start(deviance: Deviance, start: Covariance) -> Array:
    """Scaled parameters of a covariance, kept off the edges where a gradient says nothing."""
    values: list[float] = []
    if deviance.q:
        root = np.linalg.qr((np.linalg.solve(deviance.data.back_z, start.factor)).T)[1].T
        values += list(root[np.tril_indices(deviance.q)])
    if deviance.correlated:
        phi = min(max(start.phi, 1e-6), 1.0 - 1e-6)
        values.append(float(np.log(-np.log(phi) * deviance.unit)))
    if deviance.extra > 1:
        share = min(max(start.nugget, 1e-3), 1.0 - 1e-3)
        values.append(float(np.log(share / (1.0 - share))))
    return np.array(values)


def search(deviance: Deviance, start: Covariance | None) -> Optimum:
    """Best optimum found: from the warm start, or from several places.

    A warm start that leads to a boundary, where the likelihood often has other tops, or nowhere, is not
    relied upon: the other places are tried as well.
    """
    if start is None:
        return _from_afar(deviance)
    warm = _settled(deviance, warm_start(deviance, start))
    if status_of(deviance, warm)[0] == "converged":
        return warm
    cold = _from_afar(deviance)
    certified = cold.open_gradient < GRADIENT_TOLERANCE
    missed = not warm.open_gradient < GRADIENT_TOLERANCE
    return cold if certified and (missed or cold.deviance < warm.deviance - 1e-9) else warm


def _from_afar(deviance: Deviance) -> Optimum:
    if not deviance.correlated:
        return _independent(deviance)
    middle = [_MIDDLE_RATE, 0.0][: deviance.extra]
    factor = list(_sized(deviance, 1.0, 0.5))
    best = _settled(deviance, np.array([*factor, *middle]))
    grid = [[float(np.log(-np.log(phi)))] for phi in _PHIS]
    if deviance.extra > 1:
        grid = [[*rate, share] for rate in grid for share in _SHARES]
    for place in _other_valleys(deviance, best, grid):
        other = _settled(deviance, place)
        best = other if other.deviance < best.deviance - 1e-9 else best
    return best


def _other_valleys(deviance: Deviance, best: Optimum, grid: list[list[float]]) -> list[Array]:
    """Points of a coarse grid from which a search may end deeper than the best so far.

    With one residual parameter: those lower than both neighbours, the best so far being one. With two: the
    lowest.
    """
    held = [deviance.held(np.array([*best.point[: deviance.m], *extra])) for extra in grid]
    if deviance.extra > 1:
        return [min(held, key=lambda found: found.deviance).point]
    line = sorted([best, *held], key=lambda found: float(found.point[-1]))
    value = [np.inf, *(found.deviance for found in line), np.inf]
    lowest = [f for f, a, b, c in zip(line, value, value[1:], value[2:], strict=False) if a > b < c]
    return [found.point for found in lowest if found is not best]


def _independent(deviance: Deviance) -> Optimum:
    best = deviance.minimised(_sized(deviance, 0.5, 0.5))
    if deviance.m and (deviance.data.n_patients < _FEW or _smallest(best.point) < _ALMOST_SINGULAR):
        for sizes in ((0.25, 0.25), (1.0, 1.0), (1.0, 0.05), (0.05, 1.0)):
            other = deviance.minimised(_sized(deviance, *sizes))
            best = other if other.deviance < best.deviance - 1e-9 else best
    return best


def _sized(deviance: Deviance, *sizes: float) -> Array:
    return np.array({0: [], 1: [sizes[0]], 2: [sizes[0], 0.0, sizes[1]]}[deviance.q], dtype=np.float64)


def _smallest(factor: Array) -> float:
    """Smaller entry of the factor's diagonal: 0 where ``D`` is singular."""
    return float(min(abs(factor[0]), abs(factor[-1])))


def _settled(deviance: Deviance, start: Array) -> Optimum:
    """Search, then look across every edge the search has come close to, and search again from there."""
    best = deviance.minimised(start)
    for _ in range(4):
        moved = _across_the_edge(deviance, best)
        if moved is None:
            break
        best = deviance.minimised(moved.point)
    return best


def _across_the_edge(deviance: Deviance, found: Optimum) -> Optimum | None:
    """A better point at, or off, a limit of the residual parameters that the search has come close to.

    In the logit of the white-noise share and in the logarithm of the rate, the gradient dies out on the
    way to the limit, whether the limit is the optimum (then the search stops short of it) or not (then it
    would look like one). So the limit itself and values well inside are tried; where all is noise, the
    correlation means nothing, so it is also tried at the middle.
    """
    k, point = deviance.m, found.point
    if not deviance.correlated:
        return None
    tried: list[dict[int, float]] = []
    for at, (low, high) in enumerate(zip(*deviance.bounds, strict=True)):
        i = k + at
        if at:
            at_low, at_high, inside = point[i] < -6.0, point[i] > 6.0, 3.0
        else:
            at_low = point[i] < np.log(1e-2 * deviance.unit / deviance.longest)
            at_high = point[i] > np.log(5.0 * deviance.unit / deviance.shortest)
            inside = 3.0 if at_low else 1.0
        if at_low or at_high:
            tried += [{i: low if at_low else high}, {i: (-1.0 if at_low else 1.0) * inside}]
            tried += [tried[-1] | {k: _MIDDLE_RATE}] if at else []
    better: Optimum | None = None
    for changes in tried:
        other = point.copy()
        other[list(changes)] = list(changes.values())
        held = deviance.held(other)
        if held.deviance < (better or found).deviance - (1e-8 if better is None else 0.0):
            better = held
    return better


def status_of(deviance: Deviance, found: Optimum) -> tuple[Status, str]:
    """Certified interior optimum, certified boundary optimum, or neither; and why."""
    point, gradient = found.point, found.open_gradient
    _, rate, nugget = deviance.unpack(point)
    if not gradient < GRADIENT_TOLERANCE:
        return "failed", f"no optimum was certified: the largest deviance gradient is {gradient:.2g}"
    edges = []
    if deviance.q and _least_variance(point[: deviance.m]) < EDGE**2:
        edges.append("the random-effects covariance is singular (a variance of 0 or a correlation of 1)")
    if deviance.correlated:
        if math.exp(-rate * deviance.shortest) < EDGE or math.exp(-rate * deviance.longest) > 1.0 - EDGE:
            edges.append("the residual correlation is at 0 or 1")
        if deviance.residual == "car1+nugget" and not EDGE < nugget < 1.0 - EDGE:
            edges.append("the white-noise share is at 0 or 1")
    if edges:
        return "boundary", "at the boundary: " + "; ".join(edges)
    return "converged", "converged"


def _least_variance(factor: Array) -> float:
    """Smallest eigenvalue of ``D`` from the lower triangle of its factor."""
    if factor.size == 1:
        return float(factor[0]) ** 2
    a, b, c = (float(value) for value in factor)
    trace, det = a * a + b * b + c * c, (a * c) ** 2
    largest = 0.5 * trace + math.sqrt(max(0.25 * trace * trace - det, 0.0))
    return det / largest if largest > 0.0 else 0.0
