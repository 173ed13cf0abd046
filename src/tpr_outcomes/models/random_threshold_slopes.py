r"""The rival of differing thresholds: one threshold for all, with slopes beyond it that differ.

.. math:: y_{ij} = x_{ij}'\beta + z_{ij}'b_i + (\theta + s_i)(C_{ij}-\tau)_+ + e_{ij},\qquad
          (b_i, s_i)\ \text{jointly Gaussian}.

Patients who respond more strongly past one threshold can look like patients whose thresholds differ, and
then the model of differing thresholds puts the typical threshold in the wrong place. Given
:math:`\tau` this rival is a linear mixed model; :math:`\tau` is profiled.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from tpr_outcomes.models.random_threshold_likelihood import Array, ThresholdData, prepare
from tpr_outcomes.models.random_threshold_search import Search

_GRID = 10
_LEAST_SLOPE_SD = 0.05
"""Each climb starts with at least this SD of the slopes (internal units): zero is a stationary point."""


@dataclass(frozen=True)
class Rival:
    """Best fit with one threshold and differing slopes, in the units it was given.

    Attributes
    ----------
    log_likelihood : float
    threshold : float
    """

    log_likelihood: float
    threshold: float


def fit_differing_slopes(
    y: Array,
    X: Array,
    *,
    Z: Array,
    dose: Array,
    patient: NDArray[np.int64],
    correlation: Array | None = None,
) -> Rival:
    """Maximise over all parameters, the threshold by a grid over the doses and a scalar search.

    Parameters
    ----------
    y, X, Z, dose, patient, correlation
        As :func:`tpr_outcomes.models.random_threshold_likelihood.prepare`, in units of order one.

    Returns
    -------
    Rival
    """
    start: list[Array] = []

    def fall(threshold: float) -> float:
        hinge = np.maximum(dose - threshold, 0.0)
        data = _without_pieces(
            prepare(
                y,
                np.column_stack((X, hinge)),
                Z=np.column_stack((Z, hinge)),
                dose=dose,
                patient=patient,
                correlation=correlation,
            )
        )
        search = Search(data, "normal", 0.0, 1.0)
        first = search.place + 2
        diagonal = first + np.cumsum(np.arange(data.n_random) + 1) - 1
        if not start:
            start.append(np.zeros(data.n_parameters))
            start[0][diagonal] = 0.5
        trial = start[-1].copy()
        trial[diagonal[-1]] = max(abs(trial[diagonal[-1]]), _LEAST_SLOPE_SD)
        found = search.climb(trial, hold=(search.place - 1, search.place, search.place + 1))
        start.append(found.parameters)
        return -found.value

    low, high = float(dose.min()), float(np.quantile(dose, 0.95))
    grid = np.linspace(low, high, _GRID + 2)[1:-1]
    values = [fall(float(threshold)) for threshold in grid]
    k = int(np.argmin(values))
    bounds = (float(grid[max(k - 1, 0)]), float(grid[min(k + 1, _GRID - 1)]))
    found = minimize_scalar(fall, bounds=bounds, method="bounded", options={"xatol": 5e-3})
    return Rival(log_likelihood=-float(found.fun), threshold=float(found.x))


def _without_pieces(data: ThresholdData) -> ThresholdData:
    """One piece of the whole line without a hinge: the hinge is already among the columns of X and Z."""
    return replace(
        data,
        edges=data.edges[:, [0, -1]],
        **{name: 0.0 * getattr(data, name)[:, -1:] for name in ("ac", "bc", "az", "bz", "aa", "ab", "bb")},
    )
