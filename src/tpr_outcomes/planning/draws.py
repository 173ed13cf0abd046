"""The chance part of a simulated clinic, drawn before anything happens.

All numbers come from named streams and in shapes that do not depend on the world, so two worlds with
the same seed meet the same patients on the same days (common random numbers), and a smaller clinic is
the first patients of a larger one. Counts are quantiles of stored uniforms: a patient who is needled
more in one world than in another has at least as many twitches there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, ndtri, pdtr, xlogy

from tpr_outcomes.inference.resample import generator
from tpr_outcomes.planning.truth import Truth

Array = NDArray[np.float64]

_NORMALS = (
    "start", "recovery", "twitchiness", "visit_factor", "threshold", "entry", "trait", "insertions",
)  # fmt: skip
_UNIFORMS = ("floor", "onset", "region", "therapist", "arm", "age", "sex", "reason")
_VISIT_UNIFORMS = ("stop", "background", "count")


@dataclass(frozen=True)
class Draws:
    """Random numbers of one clinic of ``n`` patients and ``T`` visit slots.

    Attributes
    ----------
    normal : dict of str to ndarray, shape (n,)
        Standard normals, one per patient and purpose.
    uniform : dict of str to ndarray, shape (n,)
        Uniforms on [0, 1), one per patient and purpose.
    wobble, noise : ndarray, shape (T, n)
        Standard normals per visit.
    stop, background, count : ndarray, shape (T, n)
        Uniforms per visit: stopping when better, leaving otherwise, number of twitches.
    frailty : ndarray, shape (T, n)
        Gamma of mean 1 and shape ``dose_size``: the extra-Poisson spread of each visit's dose.
    """

    normal: dict[str, Array]
    uniform: dict[str, Array]
    wobble: Array
    noise: Array
    stop: Array
    background: Array
    count: Array
    frailty: Array


def draw(truth: Truth, n: int, seed: int) -> Draws:
    """Draw what every world needs.

    Parameters
    ----------
    truth : Truth
        Only ``visits`` and ``dose_size`` matter here.
    n : int
        Patients.
    seed : int
        Seed of the clinic.

    Returns
    -------
    Draws
        The same for every world with as many visits.
    """
    slots = truth.visits
    people = generator(seed, "simulate", "normal").standard_normal((n, len(_NORMALS))).T
    shares = generator(seed, "simulate", "uniform").random((n, len(_UNIFORMS))).T
    swings = generator(seed, "simulate", "visit normal").standard_normal((n, 2, slots))
    chances = generator(seed, "simulate", "visit uniform").random((n, len(_VISIT_UNIFORMS), slots))
    swings = np.ascontiguousarray(swings.transpose(1, 2, 0))
    chances = np.ascontiguousarray(chances.transpose(1, 2, 0))
    return Draws(
        normal=dict(zip(_NORMALS, np.ascontiguousarray(people), strict=True)),
        uniform=dict(zip(_UNIFORMS, np.ascontiguousarray(shares), strict=True)),
        wobble=swings[0],
        noise=swings[1],
        stop=chances[0],
        background=chances[1],
        count=chances[2],
        frailty=_frailty(truth.dose_size, n, slots, seed),
    )


def _frailty(size: float, n: int, slots: int, seed: int) -> Array:
    if np.isinf(size):
        return np.ones((slots, n))
    gamma = generator(seed, "simulate", "frailty").standard_gamma(size, (n, slots))
    return np.ascontiguousarray(gamma.T) / size


def visit_uniforms(seed: int, purpose: str, n: int, slots: int) -> Array:
    """Uniforms on [0, 1) for a feature only some worlds have, shape (T, n), from its own stream."""
    return np.ascontiguousarray(generator(seed, "simulate", purpose).random((n, slots)).T)


def visit_normals(seed: int, purpose: str, n: int, slots: int) -> Array:
    """Return standard normals for a feature only some worlds have, shape (T, n), from its own stream."""
    return np.ascontiguousarray(generator(seed, "simulate", purpose).standard_normal((n, slots)).T)


def poisson_quantile(share: Array, mean: Array) -> Array:
    """Smallest count whose Poisson cumulative probability reaches ``share``.

    Parameters
    ----------
    share : ndarray, shape (n,)
        Probabilities in [0, 1).
    mean : ndarray, shape (n,)
        Poisson means, 0 or larger.

    Returns
    -------
    ndarray of float, shape (n,)
        Counts.

    Notes
    -----
    A Cornish-Fisher start, ``floor(m + sqrt(m) z + (z^2 - 1) / 6 + 1/2)``, then steps of one until
    ``P(X <= k) >= share > P(X <= k - 1)``. The start is right 98 times in 100, which makes this several
    times faster than a root finder. The lower bound is first checked by ``P(X <= k) - P(X = k)``, which
    is exact to far better than the 1e-9 within which the cumulative probability itself is asked.
    """
    z = ndtri(np.maximum(share, 1e-300))
    count = np.floor(np.maximum(mean + np.sqrt(mean) * z + (z * z + 2.0) / 6.0, 0.0))
    reached = pdtr(count, mean)
    below = reached - np.exp(xlogy(count, mean) - mean - gammaln(count + 1.0))
    index = np.flatnonzero(reached < share)
    doubt = np.flatnonzero((reached >= share) & (below > share - 1e-9) & (count > 0.0))
    while index.size:
        count[index] += 1.0
        index = index[pdtr(count[index], mean[index]) < share[index]]
    while doubt.size:
        doubt = doubt[pdtr(count[doubt] - 1.0, mean[doubt]) >= share[doubt]]
        count[doubt] -= 1.0
        doubt = doubt[count[doubt] > 0.0]
    return count
