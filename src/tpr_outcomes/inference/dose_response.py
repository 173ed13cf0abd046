r"""Dose–response meta-analysis of published arms: all studies in one linear mixed model.

Within a study every arm is set against the one with the smallest dose (Crippa, Discacciati, Bottai,
Spiegelman and Orsini 2019, doi:10.1177/0962280218773122). With :math:`\bar y_{ij}` the mean of arm :math:`j`,
:math:`d_{ij}` its dose and :math:`g(d)=(d-\tau)_+` (a straight line for :math:`\tau=0`),

.. math:: \bar y_{ij}-\bar y_{i0} = (\beta+b_i)\,\{g(d_{ij})-g(d_{i0})\}+\varepsilon_{ij},
          \qquad b_i\sim N(0,\psi^2),

and, since all differences of a study share its reference arm,
:math:`\mathrm{cov}(\varepsilon_{ij},\varepsilon_{ik})=s_{i0}^2/n_{i0}+1[j=k]\,s_{ij}^2/n_{ij}`.
:math:`\psi^2` by REML (or ML), :math:`\beta` by generalised least squares. For few studies its variance is
multiplied by the larger of 1 and the mean weighted squared residual (Hartung and Knapp 2001,
doi:10.1002/sim.1009), with t on studies less one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from tpr_outcomes.cohort.arms import Arm, Kind
from tpr_outcomes.errors import FitError
from tpr_outcomes.models import shapes

Array = NDArray[np.float64]
Method = Literal["reml", "ml"]

FEWEST_STUDIES = 2
"""Studies with arms at different doses below which nothing is pooled."""


@dataclass(frozen=True, eq=False)
class Differences:
    """Arms of one study against its reference.

    Attributes
    ----------
    study : str
    reference : float
        Smallest dose.
    dose : ndarray, shape (m,)
        Doses of the other arms.
    difference : ndarray, shape (m,)
        Their means less the reference's, scale points.
    covariance : ndarray, shape (m, m)
    """

    study: str
    reference: float
    dose: Array
    difference: Array
    covariance: Array


@dataclass(frozen=True, eq=False)
class DoseResponse:
    """The curve published arms draw together.

    Attributes
    ----------
    estimate, std_error, conf_low, conf_high : float
        Change of the outcome per dose (past ``knot``), scale points.
    p_value : float
        Two-sided, that there is none.
    tau : float
        Standard deviation of the slope between studies.
    q, q_df, q_p : float
        Cochran's test that studies do not differ.
    log_likelihood : float
        Restricted or not, by ``method``.
    knot : float
    method : {"reml", "ml"}
    level : float
    n_studies, n_arms, n_patients : int
    left_out : tuple of str
        Studies without two different doses.
    """

    estimate: float
    std_error: float
    conf_low: float
    conf_high: float
    p_value: float
    tau: float
    q: float
    q_df: int
    q_p: float
    log_likelihood: float
    knot: float
    method: Method
    level: float
    n_studies: int
    n_arms: int
    n_patients: int
    left_out: tuple[str, ...]

    def at(self, dose: float, *, reference: float = 0.0) -> tuple[float, float, float]:
        """Return the change from one dose to another, with its interval, scale points."""
        reach = max(dose - self.knot, 0.0) - max(reference - self.knot, 0.0)
        ends = sorted((self.conf_low * reach, self.conf_high * reach))
        return self.estimate * reach, ends[0], ends[1]


def differences(arms: Sequence[Arm], *, dose: Kind) -> tuple[list[Differences], tuple[str, ...]]:
    """Set the arms of every study against the one with the smallest dose.

    Parameters
    ----------
    arms : sequence of Arm
        One instrument and one time per arm.
    dose : {"assigned", "observed"}
        Which dose; arms made in the other way are not used.

    Returns
    -------
    found : list of Differences
    left_out : tuple of str
        Studies with fewer than two different doses.

    Raises
    ------
    FitError
        When the arms are of several instruments, or an arm has several times.
    """
    used = _with_dose(arms, dose)
    if len({arm.scale for arm, _ in used}) > 1:
        raise FitError("The arms are of several instruments; choose one with --scale.")
    names = [(arm.study, arm.arm) for arm, _ in used]
    if len(set(names)) < len(names):
        raise FitError("An arm has ratings at several times; choose one time with --hours LOW HIGH.")
    found, left = [], []
    for study in dict.fromkeys(arm.study for arm in arms):
        own = sorted(((a, v) for a, v in used if a.study == study), key=lambda pair: pair[1])
        if len({value for _, value in own}) < 2:
            left.append(study)
            continue
        (first, low), others = own[0], own[1:]
        variance = np.array([arm.sd**2 / arm.n for arm, _ in others])
        found.append(
            Differences(
                study, low, np.array([value for _, value in others]),
                np.array([arm.mean - first.mean for arm, _ in others]),
                np.diag(variance) + first.sd**2 / first.n,
            )
        )  # fmt: skip
    return found, tuple(left)


def _with_dose(arms: Sequence[Arm], kind: Kind) -> list[tuple[Arm, float]]:
    """Arms made in this way that have a number of twitches, and that number."""
    made = [(a, a.assigned if kind == "assigned" else a.observed) for a in arms if a.kind == kind]
    return [(a, value) for a, value in made if math.isfinite(value)]


def fit_dose_response(
    arms: Sequence[Arm],
    *,
    dose: Kind = "assigned",
    knot: float = 0.0,
    method: Method = "reml",
    level: float = 0.95,
) -> DoseResponse:
    """Fit the curve (module notes).

    Parameters
    ----------
    arms : sequence of Arm
    dose : {"assigned", "observed"}
    knot : float
        Dose up to which nothing happens; 0 for a straight line.
    method : {"reml", "ml"}
    level : float

    Raises
    ------
    FitError
        When fewer than two studies have arms at different doses, or none reaches past the knot.
    """
    found, left = differences(arms, dose=dose)
    if len(found) < FEWEST_STUDIES:
        raise FitError(
            f"{len(found)} studies have arms at different {dose} doses; {FEWEST_STUDIES} are needed."
        )
    x = [shapes.hinge(d.dose, knot) - max(d.reference - knot, 0.0) for d in found]
    if not any(np.any(column) for column in x):
        raise FitError(f"No arm got more than {knot:g} twitches, so there is no slope past it.")
    tau2 = _variance(found, x, method)
    solved = _gls(found, x, tau2)
    m = sum(d.dose.size for d in found)
    df = len(found) - 1
    error = math.sqrt(max(1.0, solved.square / (m - 1)) / solved.information)
    reach = float(stats.t.ppf(0.5 + level / 2.0, df)) * error
    fixed = _gls(found, x, 0.0)
    used = {d.study for d in found}
    people = [arm.n for arm, _ in _with_dose(arms, dose) if arm.study in used]
    return DoseResponse(
        estimate=solved.slope, std_error=error, conf_low=solved.slope - reach, conf_high=solved.slope + reach,
        p_value=float(2.0 * stats.t.sf(abs(solved.slope) / error, df)), tau=math.sqrt(tau2),
        q=fixed.square, q_df=m - 1, q_p=float(stats.chi2.sf(fixed.square, m - 1)),
        log_likelihood=_log_likelihood(solved, m, method), knot=knot, method=method, level=level,
        n_studies=len(found), n_arms=m + len(found), n_patients=sum(people), left_out=left,
    )  # fmt: skip


@dataclass(frozen=True)
class _Solved:
    slope: float
    information: float
    square: float
    log_det: float


def _gls(found: Sequence[Differences], x: Sequence[Array], tau2: float) -> _Solved:
    """Generalised least squares for a given variance between studies."""
    information = score = square = log_det = 0.0
    for d, column in zip(found, x, strict=True):
        root = np.linalg.cholesky(d.covariance + tau2 * np.outer(column, column))
        a, b = np.linalg.solve(root, column), np.linalg.solve(root, d.difference)
        information += float(a @ a)
        score += float(a @ b)
        square += float(b @ b)
        log_det += 2.0 * float(np.log(np.diag(root)).sum())
    slope = score / information
    return _Solved(slope, information, max(square - slope * score, 0.0), log_det)


def _log_likelihood(solved: _Solved, m: int, method: Method) -> float:
    value = -0.5 * (m * math.log(2 * math.pi) + solved.log_det + solved.square)
    if method == "reml":
        value += 0.5 * (math.log(2 * math.pi) - math.log(solved.information))
    return value


def _variance(found: Sequence[Differences], x: Sequence[Array], method: Method) -> float:
    """Variance of the slope between studies: the best on a grid, then between its neighbours."""
    m = sum(d.dose.size for d in found)

    def loss(tau2: float) -> float:
        return -_log_likelihood(_gls(found, x, tau2), m, method)

    step, away, noise = (
        np.concatenate(parts)
        for parts in (x, [d.difference for d in found], [np.diag(d.covariance) for d in found])
    )
    moved = step != 0
    top = 10.0 * float((away[moved] / step[moved]).var() + (noise[moved] / step[moved] ** 2).max())
    grid = np.concatenate([[0.0], top * np.logspace(-8, 0, 60)])
    best = int(np.argmin([loss(float(value)) for value in grid]))
    ends = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, grid.size - 1)])
    better = optimize.minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-12 * top})
    return float(better.x) if better.fun < loss(0.0) else 0.0
