"""The explanations that compete for the same ratings, and what they all share.

A :class:`Candidate` is one way past doses could act on a rating. A :class:`CandidateSet` owns what
every candidate shares — time trend, adjustment for the first rating, random effects — so that any two
members differ in the dose term alone and are comparable by construction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tpr_outcomes.cohort.derive import Ratings
from tpr_outcomes.models import shapes

Array = NDArray[np.float64]
History = Literal["none", "cumulative", "last", "carryover", "column"]


@dataclass(frozen=True)
class Candidate:
    """One explanation of the ratings by past doses.

    Attributes
    ----------
    name : str
        Key used in results.
    label : str
        Plain words for reports.
    history : {"none", "cumulative", "last", "carryover", "column"}
        Which summary of earlier doses acts: none; their sum; the latest visit's; a geometrically
        fading sum; or the sum of another recorded column (``source``).
    shape : {"linear", "log", "emax", "hinge", "step"}
        Curve applied to that summary.
    rate : float
        Share of a dose's action left one visit later, for ``"carryover"``.
    source : str
        Column, for ``"column"``.
    multiple : float
        For ``"log"`` and fixed ``"emax"``: the curve's constant, in dose units (see ``dose_unit``).
    profiled : bool
        True when the nonlinear parameter is searched for (costs one more parameter).
    """

    name: str
    label: str
    history: History = "cumulative"
    shape: str = "linear"
    rate: float = 0.0
    source: str = ""
    multiple: float = 1.0
    profiled: bool = False

    @property
    def n_parameters(self) -> int:
        """Dose parameters: the slope, and the nonlinear one when it is searched for."""
        return 0 if self.history == "none" else 1 + int(self.profiled)

    def dose(self, ratings: Ratings) -> Array:
        """The dose summary this candidate says acts on each rating, shape (n,)."""
        if self.history == "last":
            return ratings.dose_last
        if self.history == "carryover":
            return ratings.carryover(self.rate)
        if self.history == "column":
            other = ratings.cumulative(self.source)
            if other is None:
                raise ValueError(f"No column '{self.source}' was recorded with these visits.")
            return other
        return ratings.dose_before

    def column(self, ratings: Ratings, unit: float, theta: float | None = None) -> Array | None:
        """Model column, shape (n,), or None for the candidate without a dose.

        Parameters
        ----------
        unit : float
            Dose unit (see :func:`tpr_outcomes.models.working.dose_unit`).
        theta : float, optional
            Value of the nonlinear parameter (threshold or ED50), for profiled candidates.
        """
        return None if self.history == "none" else self.curve(self.dose(ratings), unit, theta)

    def curve(self, dose: Array, unit: float, theta: float | None = None) -> Array:
        """Shape at the given values of this candidate's own dose summary (see :meth:`column`)."""
        if self.history == "none":
            return np.zeros_like(dose)
        if self.shape == "linear":
            return dose / unit
        if self.shape == "log":
            return shapes.log(dose, self.multiple * unit)
        value = self.multiple * unit if theta is None else theta
        if self.shape == "emax":
            return shapes.emax(dose, value)
        if self.shape == "hinge":
            return shapes.hinge(dose, value) / unit
        return shapes.step(dose, value)

    def grid(self, ratings: Ratings, unit: float) -> Array:
        """Values of the nonlinear parameter to profile over; empty for a fixed curve."""
        if not self.profiled:
            return np.empty(0)
        if self.shape == "emax":
            return np.asarray(unit * np.geomspace(0.25, 64.0, 17))
        return threshold_grid(self.dose(ratings), 40)


NOTHING = Candidate("none", "no dose at all: time and the first rating only", history="none")
LINEAR = Candidate("linear", "every twitch counts the same")
LOG = Candidate("log", "diminishing return", shape="log")
SATURATING = Candidate("saturating", "early saturation", shape="emax", multiple=2.0)
LAST = Candidate("last", "only the previous visit counts", history="last")
FADING = Candidate("fading_half", "fades by half from visit to visit", history="carryover", rate=0.5)
FADING_SLOWLY = Candidate(
    "fading_fifth", "fades by a fifth from visit to visit", history="carryover", rate=0.8
)
EMAX = Candidate("emax", "saturation, place searched for", shape="emax", profiled=True)
HINGE = Candidate("hinge", "nothing up to a threshold, then relief", shape="hinge", profiled=True)
STEP = Candidate("step", "all the relief at once, past a threshold", shape="step", profiled=True)

SCORE_RIVALS = (NOTHING, LINEAR, LOG, SATURATING, LAST, FADING, FADING_SLOWLY)
"""What a threshold must beat in the score test (methods page "threshold verdict")."""
BIC_RIVALS = (NOTHING, LINEAR, LOG, EMAX, LAST, FADING, FADING_SLOWLY)
"""What a threshold must beat in the information criterion."""
RIVAL_COLUMNS = ("insertions", "sites")
"""Other recorded doses that stand as rivals of the twitches when the clinic records them."""


@dataclass(frozen=True)
class CandidateSet:
    """Explanations that share time trend, adjusters and random effects.

    Attributes
    ----------
    candidates : tuple of Candidate
        Members; names are distinct.
    """

    candidates: tuple[Candidate, ...] = (NOTHING, LINEAR, LOG, EMAX, LAST, FADING, FADING_SLOWLY, HINGE, STEP)

    def __post_init__(self) -> None:
        names = [c.name for c in self.candidates]
        if len(set(names)) != len(names):
            raise ValueError(f"Candidate names must be distinct; got {', '.join(names)}.")


def threshold_grid(dose_before: Array, size: int) -> Array:
    """Candidate thresholds: distinct quantiles, 5% to 95%, of the positive cumulative doses."""
    positive = dose_before[dose_before > 0]
    if positive.size == 0:
        return np.empty(0)
    return np.unique(np.quantile(positive, np.linspace(0.05, 0.95, size)))


def score_knots(dose_before: Array) -> Array:
    """Knots of the score test: 0 and 20 quantiles, 10% to 90%, of the positive cumulative doses."""
    positive = dose_before[dose_before > 0]
    if positive.size == 0:
        return np.zeros(1)
    return np.unique(np.concatenate(([0.0], np.quantile(positive, np.linspace(0.1, 0.9, 20)))))


def column_rivals(ratings: Ratings) -> tuple[Candidate, ...]:
    """Other recorded doses, complete and not constant: a straight line, and a threshold of their own."""
    found: list[Candidate] = []
    for source in RIVAL_COLUMNS:
        other = ratings.cumulative(source)
        if source == ratings.dose or other is None or not np.isfinite(other).all() or np.ptp(other) == 0:
            continue
        words = f"the {source}: every one counts the same"
        found.append(Candidate(source, words, history="column", source=source))
        words = f"the {source}: nothing up to a threshold, then relief"
        found.append(
            Candidate(f"{source}_hinge", words, history="column", source=source, shape="hinge", profiled=True)
        )
    return tuple(found)
