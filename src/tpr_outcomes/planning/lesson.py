r"""A lesson in being fooled: the obvious analysis and ours, side by side, in clinics whose truth is known.

The obvious analysis gives each patient a level of their own, tries every place for a threshold in the running
total and keeps the one with the clearest relief past it:

.. math:: y_{iv} = a_i + b(v) + s\,(C_{iv}-\tau)_+ + e_{iv},\qquad
          \hat\tau=\arg\min_\tau t(\tau),\qquad t=\hat s/\mathrm{se}(\hat s),

with the ordinary t-test of :math:`s`, as if :math:`\hat\tau` had been known and the errors of a patient were
unrelated. Time :math:`b(v)` is left out, a straight line, or a level for each visit. This is what a
spreadsheet or a piecewise-regression package does, from careless to careful. A still simpler one compares
each patient's first rating with the last, and reads off how many twitches those had who were better by half.
All are here to be seen failing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtr

from tpr_outcomes.cohort.derive import Ratings, ratings
from tpr_outcomes.errors import PlanError
from tpr_outcomes.inference.evidence import Decision, Evidence, decide, gather_evidence
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.models.candidates import threshold_grid
from tpr_outcomes.planning.rates import Rate
from tpr_outcomes.planning.simulate import simulate
from tpr_outcomes.planning.truth import Truth
from tpr_outcomes.planning.worlds import get_world

Array = NDArray[np.float64]
Time = Literal["none", "line", "levels"]
TIMES: tuple[Time, ...] = get_args(Time)
Way = Literal["ends", "none", "line", "levels"]
WAYS: tuple[Way, ...] = get_args(Way)
"""The simple analyses: first against last rating, then the search for a threshold, by how time is treated."""

NAIVE_LEVEL = 0.05
"""What the obvious analysis takes for proof."""
KNOTS = 40
BANDS = 8
REAL_THRESHOLD = 40.0
BETTER = 0.5
"""Share of the first rating at or below which a patient counts as better."""
FACTOR = 2.0
"""A threshold named at less than half or more than twice the true place is another threshold."""

USUAL_FALL = 0.55
USUAL_BAD_DAY = 1.2 * math.sqrt(2.0 / math.pi)
USUAL_DRIVE = math.expm1(0.15)
USUAL_STOP = 0.8
"""Strengths of what misleads in the world N4 of :mod:`tpr_outcomes.planning.worlds`."""


@dataclass(frozen=True, eq=False)
class Naive:
    """What a simple analysis says.

    Attributes
    ----------
    way : {"ends", "none", "line", "levels"}
        First against last rating, or how a search for a threshold allows for time.
    threshold : float
        Best place, recorded twitches; for ``ends`` the middle total of those who were better by half.
    slope : float
        Scale points per twitch past it; negative is relief. For ``ends`` the mean change, scale points.
    p_value : float
        Of the slope, two-sided, as if the place had been known; for ``ends`` of the paired t-test.
    aic_choice : {"time", "line", "threshold", ""}
        Explanation with the smallest AIC: time alone, each twitch the same, or the threshold.
    dose, adjusted : ndarray, shape (k,)
        Mean running total, and mean of pain less the patient and time parts (for ``ends``: mean change), by
        band of the total.
    """

    way: Way
    threshold: float
    slope: float
    p_value: float
    aic_choice: str
    dose: Array
    adjusted: Array

    @property
    def found(self) -> bool:
        """Whether it would announce a threshold past which pain falls."""
        return self.slope < 0 and self.p_value < NAIVE_LEVEL


def naive_threshold(record: Ratings, *, time: Time = "line") -> Naive:
    """Run the obvious analysis.

    Parameters
    ----------
    record : Ratings
        Later ratings; each patient's first rating is put back, with a total of zero.
    time : {"none", "line", "levels"}
        How to allow for time: not at all, a straight line, a level for each visit.

    Raises
    ------
    PlanError
        When there is no place to try, or no such way to allow for time.
    """
    if time not in get_args(Time):
        raise PlanError(f"time is {time!r}; it needs to be one of {', '.join(get_args(Time))}.")
    opening = np.flatnonzero(np.diff(record.patient, prepend=-1))
    patient = np.concatenate([record.patient[opening], record.patient])
    clock = np.concatenate([np.zeros(opening.size), record.t])
    pain = np.concatenate([record.baseline[opening], record.pain])
    dose = np.concatenate([np.zeros(opening.size), record.dose_before])
    knots = threshold_grid(dose, KNOTS)
    if knots.size == 0:
        raise PlanError("There is no running total to search for a threshold; simulate more patients.")
    columns = np.column_stack([pain, dose, np.maximum(dose[:, None] - knots, 0.0)])
    nuisance = _clock(clock, time)
    cleared = _cleared(_within(columns, patient), _within(nuisance, patient))
    y, line, bent = cleared[:, 0], cleared[:, 1], cleared[:, 2:]
    size = np.maximum((bent**2).sum(axis=0), 1e-12)
    slopes = y @ bent / size
    explained = np.where(slopes < 0, slopes**2 * size, -1.0)
    best = int(explained.argmax())
    slope, gain = float(slopes[best]), float(slopes[best] ** 2 * size[best])
    free = y.size - record.n_patients - nuisance.shape[1] - 1
    left = float(y @ y) - gain
    t = slope / np.sqrt(left / free / size[best])
    spent = {
        "time": (float(y @ y), 0),
        "line": (float(y @ y - (y @ line) ** 2 / (line @ line)), 1),
        "threshold": (left, 2),
    }
    aic = {name: float(y.size * np.log(rss / y.size) + 2 * k) for name, (rss, k) in spent.items()}
    past = np.maximum(dose - knots[best], 0.0)
    at, mean = _bands(dose, y - bent[:, best] * slope + slope * past)
    p_value = float(2.0 * stdtr(free, -abs(t)))
    return Naive(time, float(knots[best]), slope, p_value, min(aic, key=lambda k: aic[k]), at, mean)


def first_against_last(record: Ratings) -> Naive:
    """Compare every patient's first rating with the last: the usual before-and-after analysis.

    Parameters
    ----------
    record : Ratings
        Later ratings.

    Raises
    ------
    PlanError
        With fewer than two patients.
    """
    if record.n_patients < 2:
        raise PlanError("Fewer than two patients have a later rating; simulate more patients.")
    last = np.flatnonzero(np.diff(record.patient, append=-1))
    first, pain, dose = record.baseline[last], record.pain[last], record.dose_before[last]
    change = pain - first
    mean, error = float(change.mean()), float(change.std(ddof=1)) / math.sqrt(change.size)
    p_value = float(2.0 * stdtr(change.size - 1, -abs(mean) / error)) if error > 0.0 else 1.0
    better = pain <= BETTER * first
    place = float(np.median(dose[better])) if better.any() else float(np.median(dose))
    at, shown = _bands(dose, change)
    return Naive("ends", place, mean, p_value, "", at, shown)


def _clock(clock: Array, time: Time) -> Array:
    """Columns of time, shape (n, k)."""
    if time == "none":
        return np.zeros((clock.size, 0))
    if time == "line":
        return clock[:, None]
    return np.asarray(clock[:, None] == np.unique(clock)[1:], dtype=float)


def _within(columns: Array, patient: NDArray[np.int64]) -> Array:
    """Take each patient's own mean away."""
    count = np.bincount(patient)
    means = [np.bincount(patient, column) / count for column in columns.T]
    return columns - np.column_stack(means)[patient] if means else columns


def _cleared(columns: Array, nuisance: Array) -> Array:
    """Take away what the nuisance columns explain."""
    if not nuisance.shape[1]:
        return columns
    return np.asarray(columns - nuisance @ np.linalg.lstsq(nuisance, columns, rcond=None)[0])


def _bands(dose: Array, value: Array) -> tuple[Array, Array]:
    """Mean dose and mean value in bands of equal number."""
    cuts = np.unique(np.quantile(dose, np.linspace(0.0, 1.0, BANDS + 1)[1:-1]))
    _, band = np.unique(np.searchsorted(cuts, dose, side="left"), return_inverse=True)
    count = np.bincount(band)
    return np.bincount(band, dose) / count, np.bincount(band, value) / count


@dataclass(frozen=True)
class Setting:
    """What misleads in a simulated clinic, and how strongly; 0 is not at all.

    Attributes
    ----------
    course : float
        Share of their pain that patients lose by themselves in the end, on average; 0 up to 0.65.
    bad_day : float
        People first come on a bad day: points above their usual rating, on average.
    pain_driven : float
        More pain, more needling: further share of twitches for each point of pain.
    stopping : float
        Share of those at half their first rating or below who stop at that visit.
    noticed : float
        Share of twitches that are counted, over 0 up to 1.
    works : bool
        Whether each twitch past the first 40 takes 0.05 points off pain; else twitches do nothing.
    """

    course: float = 0.0
    bad_day: float = 0.0
    pain_driven: float = 0.0
    stopping: float = 0.0
    noticed: float = 1.0
    works: bool = False

    def truth(self) -> Truth:
        """Return the world with these things turned on."""
        n4, n0 = get_world("N4"), get_world("N0")
        strength = self.course / USUAL_FALL
        world = replace(
            n0,
            world="lesson",
            course=n4.course if self.course else n0.course,
            floor_low=1.0 - strength * (1.0 - n4.floor_low),
            floor_high=1.0 - strength * (1.0 - n4.floor_high),
            entry_sd=self.bad_day * math.sqrt(math.pi / 2.0),
            driver=n4.driver if self.pain_driven else n0.driver,
            dose_pain_slope=math.log1p(self.pain_driven),
            stopping=n4.stopping if self.stopping else n0.stopping,
            stop_prob=float(self.stopping),
            count_share=self.noticed,
        )
        if self.works:
            world = replace(world, response="hinge", slope=-0.05, threshold=REAL_THRESHOLD)
        return world


@dataclass(frozen=True, eq=False)
class Lesson:
    """One simulated clinic, judged twice.

    Attributes
    ----------
    setting : Setting
    truth : Truth
    naive : mapping of str to Naive
        The simple analyses, by :data:`WAYS`.
    evidence : Evidence
    decision : Decision
    """

    setting: Setting
    truth: Truth
    naive: Mapping[Way, Naive]
    evidence: Evidence
    decision: Decision

    def naive_right(self, way: Way = "line") -> bool:
        """Whether a simple analysis announces a threshold where there is one, and only there.

        It speaks of twitches, so its place is held against the true number, whatever share is counted.
        """
        naive = self.naive[way]
        if not naive.found or not self.truth.has_threshold:
            return naive.found == self.truth.has_threshold
        return near(naive.threshold, self.truth.threshold)

    @property
    def ours_right(self) -> bool:
        """Whether our verdict claims a threshold exactly where there is one.

        It speaks of *recorded* twitches, so its place is held against the true number as recorded.
        """
        claimed = self.decision.label == "threshold_supported"
        true, test = self.truth.true_threshold, self.evidence.test
        if not claimed or true is None or test is None:
            return claimed == self.truth.has_threshold
        return near(test.profile.estimate, true)


def near(place: float, true: float) -> bool:
    """Whether a place is within a factor of two of the true one.

    Examples
    --------
    >>> near(21.0, 40.0), near(19.0, 40.0)
    (True, False)
    """
    return 1.0 / FACTOR <= place / true <= FACTOR


def lesson(
    setting: Setting, *, n_patients: int = 150, seed: int = 1, clinic: int = 1, replicates: int = 399
) -> Lesson:
    """Simulate one clinic and judge it twice.

    Parameters
    ----------
    setting : Setting
    n_patients : int
    seed : int
        Seed of all clinics.
    clinic : int
        Which clinic; the same number is the same people on the same days, whatever is turned on.
    replicates : int
        Random sign flips in our test.
    """
    truth = setting.truth()
    draw = int(generator(seed, "lesson", clinic).integers(2**48))
    visits = simulate(truth, n_patients=n_patients, seed=draw)
    evidence = gather_evidence(visits, replicates=replicates, seed=seed)
    record = ratings(visits)
    naive: dict[Way, Naive] = {"ends": first_against_last(record)}
    naive |= {time: naive_threshold(record, time=time) for time in TIMES}
    return Lesson(setting, truth, naive, evidence, decide(evidence))


_COURSE = Setting(course=USUAL_FALL)
_BAD_DAY = replace(_COURSE, bad_day=USUAL_BAD_DAY)
_DRIVEN = replace(_BAD_DAY, pain_driven=USUAL_DRIVE)
_STOPPING = replace(_DRIVEN, stopping=USUAL_STOP)
LADDER: tuple[tuple[str, Setting], ...] = (
    ("nothing", Setting()),
    ("course", _COURSE),
    ("bad_day", _BAD_DAY),
    ("pain_driven", _DRIVEN),
    ("stopping", _STOPPING),
    ("noticed", replace(_STOPPING, noticed=0.7)),
    ("works", replace(_STOPPING, works=True)),
)
"""One thing after the other is turned on; in the last clinic there is a threshold to be found."""


def ladder(
    *,
    clinics: int = 20,
    n_patients: int = 150,
    seed: int = 1,
    replicates: int = 199,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Judge many clinics at each step of :data:`LADDER`.

    Parameters
    ----------
    clinics : int
        Simulated clinics per step, 1 or more.
    n_patients, seed, replicates : int
        As in :func:`lesson`.
    progress : callable, optional
        Called with (done, all).

    Returns
    -------
    DataFrame
        ``step, clinics, true`` (whether there is a threshold), and for ``ends``, ``none``, ``line``,
        ``levels`` (the simple analyses), ``aic`` and ``ours`` the number of clinics in which a
        threshold is announced (``aic``: in which the careful form prefers any link with the dose to time
        alone), each with exact 95% limits of the share (``_low``, ``_high``).

    Raises
    ------
    PlanError
        When ``clinics`` is not 1 or more.
    """
    if clinics < 1:
        raise PlanError(f"clinics is {clinics}; it needs to be 1 or more. Twenty show the picture.")
    rows = []
    for place, (step, setting) in enumerate(LADDER):
        seen = dict.fromkeys((*WAYS, "aic", "ours"), 0)
        for clinic in range(1, clinics + 1):
            made = lesson(setting, n_patients=n_patients, seed=seed, clinic=clinic, replicates=replicates)
            for way in WAYS:
                seen[way] += made.naive[way].found
            seen["aic"] += made.naive["levels"].aic_choice != "time"
            seen["ours"] += made.decision.label == "threshold_supported"
            if progress is not None:
                progress(place * clinics + clinic, len(LADDER) * clinics)
        row: dict[str, object] = {"step": step, "clinics": clinics, "true": setting.works}
        for name, count in seen.items():
            rate = Rate(count, clinics)
            row |= {name: count, f"{name}_low": rate.conf_low, f"{name}_high": rate.conf_high}
        rows.append(row)
    return pd.DataFrame(rows)
