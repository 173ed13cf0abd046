"""From data to a certified optimum: scaling, starting values and the search.

Columns are orthonormalised, the deviance is minimised from one or two starts, and a point counts as an
optimum only when its exact gradient is nil and no boundary it lies on can be left downhill.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from tpr_outcomes.errors import FitError
from tpr_outcomes.models.mixed_deviance import Deviance, Residual
from tpr_outcomes.models.mixed_rows import Covariance, Layout

Array = NDArray[np.float64]

_MIDDLE_RATE = float(np.log(np.log(2.0)))
"""Scaled parameter of a correlation of one half at the usual gap."""
GRADIENT_TOLERANCE = 2e-3
"""Largest deviance gradient (per unit of a scaled parameter) accepted as an optimum. With curvature
of order 1 or more the deviance is then within 2e-6 of its minimum, far below any decision."""


@dataclass(frozen=True)
class Scaled:
    """The problem with orthonormal columns of unit size, and the way back.

    ``y`` is what least squares leaves of the outcome, so that sums of squares do not cancel; ``middle``
    are the least-squares coefficients taken out, in scaled columns and outcome units over ``y_scale``.
    """

    layout: Layout
    y: Array
    x: Array
    z: Array
    middle: Array
    y_scale: float
    x_root: Array
    z_root: Array
    unit: float


def prepare(
    y: Array,
    x: Array,
    patient: NDArray[np.int64],
    z: Array | None,
    time: Array | None,
    residual: Residual,
) -> Scaled:
    """Check the data, order the rows and orthonormalise the columns (raises as ``fit_mixed`` says)."""
    n, p = x.shape
    if z is None:
        z = np.ones((n, 1))
    if time is None:
        if residual != "independent":
            raise FitError("Correlated residuals need the time of each row; give `time`.")
        time = np.arange(n, dtype=float)
    if not (
        np.isfinite(y).all() and np.isfinite(x).all() and np.isfinite(z).all() and np.isfinite(time).all()
    ):
        raise FitError("Outcome, columns and times must be finite numbers; leave incomplete rows out first.")
    if n <= p + 1:
        raise FitError(f"{n} rows cannot support {p} fixed effects; at least {p + 2} rows are needed.")
    if z.shape[1] > 2:
        raise FitError(f"{z.shape[1]} random-effect columns were given; this engine fits at most two.")
    layout = Layout.of(patient, time)
    if residual != "independent" and (layout.gaps[layout.starts[1] :] <= 0.0).any():
        raise FitError(
            "Two rows of one patient have the same time; correlated residuals need distinct times."
        )
    xq, x_root = np.linalg.qr(x)
    if _dependent(x, x_root):
        raise FitError("The fixed-effect columns are linearly dependent; drop the redundant ones.")
    zq, z_root = np.linalg.qr(z) if z.shape[1] else (z, np.zeros((0, 0)))
    if _dependent(z, z_root):
        raise FitError("The random-effect columns are linearly dependent; use one of them.")
    root_n = np.sqrt(n)
    residuals = y - xq @ (xq.T @ y)
    y_scale = float(np.sqrt(residuals @ residuals / n))
    if y_scale <= 1e-12 * max(1.0, float(np.abs(y).max())):
        raise FitError("The outcome does not vary beyond the fixed effects; there is nothing to fit.")
    later = layout.gaps[layout.starts[1] :]
    return Scaled(
        layout=layout,
        y=residuals[layout.order] / y_scale,
        x=xq[layout.order] * root_n,
        z=zq[layout.order] * root_n,
        middle=xq.T @ y / (root_n * y_scale),
        y_scale=y_scale,
        x_root=x_root / root_n,
        z_root=z_root / root_n,
        unit=float(np.median(later)) if later.size else 1.0,
    )


def _dependent(columns: Array, root: Array) -> bool:
    """Is a column, to nine digits of its own length, a combination of those before it?"""
    return bool((np.abs(np.diag(root)) <= 1e-9 * np.linalg.norm(columns, axis=0)).any())


def starting_values(deviance: Deviance, problem: Scaled, start: Covariance | None) -> list[Array]:
    """Starting values: the warm start alone; or a coarse grid's best, and the middle of the box."""
    k = deviance.lower[0].size
    if start is not None:
        root = np.linalg.qr((problem.z_root @ start.factor).T)[1].T if k else np.zeros((0, 0))
        values = list(root[deviance.lower])
        if deviance.correlated:
            phi = min(max(start.phi, 1e-6), 1.0 - 1e-6)
            values.append(float(np.log(-np.log(phi) * problem.unit)))
        if deviance.residual == "car1+nugget":
            share = min(max(start.nugget, 1e-3), 1.0 - 1e-3)
            values.append(float(np.log(share / (1.0 - share))))
        return [np.array(values)]
    grid: list[list[float]] = [[]]
    if deviance.correlated:
        grid = [[float(np.log(-np.log(phi)))] for phi in (0.05, 0.35, 0.7, 0.93)]
    if deviance.residual == "car1+nugget":
        grid = [[*rate, share] for rate in grid for share in (-1.5, 0.0, 1.5)]
    sizes = (0.25, 1.0) if k else (1.0,)
    candidates = [
        np.array([*(np.eye(deviance.q)[deviance.lower] * size), *extra]) for size in sizes for extra in grid
    ]
    if not deviance.correlated:
        return candidates
    # The best of the grid and its neighbours lead to the same valley; the middle often lies in another.
    values = [deviance.parts(c).deviance for c in candidates]
    deviance.evaluations += len(candidates)
    middle = [*np.diag([1.0, 0.5][: deviance.q])[deviance.lower], _MIDDLE_RATE]
    middle += [0.0] if deviance.residual == "car1+nugget" else []
    return [candidates[int(np.argmin(values))], np.array(middle)]


def minimise_deviance(deviance: Deviance, starts: list[Array]) -> tuple[Array, float, str]:
    """Best certified optimum over the starts -> parameters, largest gradient, message."""
    best: tuple[float, Array, float, str] | None = None
    for start in starts:
        found = _descend(deviance, start)
        if best is None or found[0] < best[0] - 1e-9:
            best = found
    assert best is not None
    return best[1], best[2], best[3]


def _descend(deviance: Deviance, start: Array) -> tuple[float, Array, float, str]:
    if start.size == 0:
        return float(deviance(start)[0]), start, 0.0, "no covariance parameters to estimate"
    bounds = deviance.bounds
    point = start
    message = ""
    # A gradient grows with the rows, and so does its rounding error: below it, line searches go nowhere.
    smallest = min(1e-4 * max(1.0, deviance.n / 10_000), 0.5 * GRADIENT_TOLERANCE)
    for _ in range(5):
        result = minimize(
            deviance,
            point,
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": 500, "maxcor": 20, "ftol": 1e-15, "gtol": smallest, "maxls": 40},
        )
        point = np.asarray(result.x)
        message = str(result.message)
        moved = _escape(deviance, point)
        if moved is None:
            moved = _across_the_edge(deviance, point)
        if moved is None and _open_gradient(deviance, point, bounds) < GRADIENT_TOLERANCE:
            break
        if moved is not None:
            point = moved
    value, _ = deviance(point)
    return value, point, _open_gradient(deviance, point, bounds), message


def _open_gradient(deviance: Deviance, point: Array, bounds: list[tuple[float, float]]) -> float:
    """Largest gradient component that is not held by a bound it pushes against."""
    gradient = deviance(point)[1].copy()
    for i, (low, high) in enumerate(bounds):
        if (point[i] <= low + 1e-9 and gradient[i] > 0) or (point[i] >= high - 1e-9 and gradient[i] < 0):
            gradient[i] = 0.0
    return float(np.abs(gradient).max()) if np.isfinite(gradient).all() else np.inf


def _escape(deviance: Deviance, point: Array) -> Array | None:
    """A point off the zero-variance boundary, if the deviance falls in that direction."""
    factor, _, _ = deviance.unpack(point)
    if not deviance.q:
        return None
    values, vectors = np.linalg.eigh(factor @ factor.T)
    if values[0] > 1e-6:
        return None
    null = vectors[:, values <= 1e-6]
    slope, along = np.linalg.eigh(null.T @ deviance.direction(point) @ null)
    if slope[0] >= -1e-3:
        return None
    leave = null @ along[:, 0]
    lifted = factor @ factor.T + 0.05 * np.outer(leave, leave) + 1e-12 * np.eye(deviance.q)
    moved = point.copy()
    moved[: deviance.lower[0].size] = np.linalg.cholesky(lifted)[deviance.lower]
    return moved


def _across_the_edge(deviance: Deviance, point: Array) -> Array | None:
    """A better point at, or off, a limit of the residual parameters that the search has come close to.

    In the logit of the white-noise share and in the logarithm of the rate, the gradient dies out on the
    way to the limit, whether the limit is the optimum (then the search stops short of it) or not (then it
    would look like one). So the limit itself and values well inside are tried; where all is noise, the
    correlation means nothing, so it is also tried at the middle.
    """
    k = deviance.lower[0].size
    tried: list[dict[int, float]] = []
    for i, (low, high) in list(enumerate(deviance.bounds))[k:]:
        if i > k:
            at_low, at_high, inside = point[i] < -6.0, point[i] > 6.0, 3.0
        else:
            at_low = point[i] < np.log(1e-2 * deviance.unit / deviance.longest)
            at_high = point[i] > np.log(5.0 * deviance.unit / deviance.shortest)
            inside = 3.0 if at_low else 1.0
        if at_low or at_high:
            middle = {k: _MIDDLE_RATE} if i > k else {}
            tried += [{i: low if at_low else high}, {i: (-1.0 if at_low else 1.0) * inside}]
            tried += [tried[-1] | middle] if middle else []
    better, least = None, deviance(point)[0] - 1e-8 if tried else -np.inf
    for changes in tried:
        other = point.copy()
        other[list(changes)] = list(changes.values())
        found = deviance(other)[0]
        if found < least:
            better, least = other, found
    return better
