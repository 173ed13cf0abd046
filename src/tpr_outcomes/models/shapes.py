r"""Pure dose–response curves :math:`f_0(d;\theta_2)`: arrays in, arrays out.

Every curve enters a model as :math:`\theta_0+\theta_1 f_0(d;\theta_2)`: only :math:`\theta_2` is
nonlinear and is profiled (the parameterisation of Bornkamp, Pinheiro and Bretz 2009, *J Stat Softw*
29(7), doi:10.18637/jss.v029.i07). Doses are counts, so non-negative.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def linear(dose: ArrayLike) -> Array:
    """Each unit of dose counts the same: ``d``."""
    return np.asarray(dose, dtype=float)


def log(dose: ArrayLike, offset: float) -> Array:
    """Diminishing return without a ceiling: ``log(1 + d / offset)``.

    Raises
    ------
    ValueError
        If ``offset`` is not positive.
    """
    _positive("offset", offset)
    return np.log1p(np.asarray(dose, dtype=float) / offset)


def emax(dose: ArrayLike, ed50: float) -> Array:
    """Saturation: ``d / (d + ed50)``; half of the ceiling is reached at ``ed50``.

    Raises
    ------
    ValueError
        If ``ed50`` is not positive.
    """
    _positive("ed50", ed50)
    dose = np.asarray(dose, dtype=float)
    return np.asarray(dose / (dose + ed50))


def hinge(dose: ArrayLike, threshold: float) -> Array:
    """Nothing up to the threshold, then a straight line: ``max(d - threshold, 0)``."""
    return np.maximum(np.asarray(dose, dtype=float) - threshold, 0.0)


def step(dose: ArrayLike, threshold: float) -> Array:
    """All or nothing: 1 once the dose exceeds the threshold."""
    return (np.asarray(dose, dtype=float) > threshold).astype(float)


def _positive(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{name} is {value}; it must be larger than 0.")
