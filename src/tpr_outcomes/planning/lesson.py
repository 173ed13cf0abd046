r"""A lesson in being fooled: the obvious analysis and ours, side by side, in clinics whose truth is known.

The obvious analysis gives each patient a level of their own, tries every place for a threshold in the running
total and keeps the one with the clearest relief past it:

.. math:: y_{iv} = a_i + b(v) + s\,(C_{iv}-\tau)_+ + e_{iv},\qquad
          \hat\tau=\arg\min_\tau t(\tau),\qquad t=\hat s/\mathrm{se}(\hat s),

with the ordinary t-test of :math:`s`, as if :math:`\hat\tau` had been known and the errors of a patient were
unrelated. Time :math:`b(v)` is left out, a straight line, or a level for each visit. This is what a
spreadsheet or a piecewise-regression package does, from careless to careful. It is here to be seen failing.
"""

from __future__ import annotations

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

NAIVE_LEVEL = 0.05
"""What the obvious analysis takes for proof."""
KNOTS = 40
BANDS = 8
REAL_THRESHOLD = 40.0


@dataclass(frozen=True, eq=False)
class Naive:
    """What the obvious analysis says.

    Attributes
    ----------
    time : {"none", "line", "levels"}
        How it allows for time.
    threshold : float
        Best place, recorded twitches.
    slope : float
        Scale points per twitch past it; negative is relief.
    p_value : float
        Of the slope, two-sided, as if the place had been known.
    aic_choice : {"time", "line", "threshold"}
        Explanation with the smallest AIC: time alone, each twitch the same, or the threshold.
    dose, adjusted : ndarray, shape (k,)
        Mean running total, and mean of pain less the patient and time parts, by band of the total.
    """

    time: Time
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
    """What is turned on in a simulated clinic.

    Attributes
    ----------
    course : bool
        Pain falls by itself.
    bad_day : bool
        People first come on a bad day.
    pain_driven : bool
        More pain, more needling.
    stopping : bool
        Patients stop when better.
    noticed : float
        Share of twitches that are counted, over 0 up to 1.
    works : bool
        Whether each twitch past the first 40 takes 0.05 points off pain; else twitches do nothing.
    """

    course: bool = False
    bad_day: bool = False
    pain_driven: bool = False
    stopping: bool = False
    noticed: float = 1.0
    works: bool = False

    def truth(self) -> Truth:
        """Return the world with these things turned on."""
        n4, n0 = get_world("N4"), get_world("N0")
        world = replace(
            n0,
            world="lesson",
            course=n4.course if self.course else n0.course,
            entry_sd=n4.entry_sd if self.bad_day else n0.entry_sd,
            driver=n4.driver if self.pain_driven else n0.driver,
            stopping=n4.stopping if self.stopping else n0.stopping,
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
        The obvious analysis, by how it allows for time.
    evidence : Evidence
    decision : Decision
    """

    setting: Setting
    truth: Truth
    naive: Mapping[Time, Naive]
    evidence: Evidence
    decision: Decision

    def naive_right(self, time: Time = "line") -> bool:
        """Whether the obvious analysis announces a threshold where there is one, and only there.

        A threshold announced at less than half or more than twice the true place is another threshold.
        """
        naive, true = self.naive[time], self.truth.true_threshold
        if true is None or not naive.found:
            return naive.found == self.truth.has_threshold
        return self.near(naive.threshold)

    def near(self, threshold: float) -> bool:
        """Whether a place is within a factor of two of the true one."""
        true = self.truth.true_threshold
        return true is not None and 0.5 <= threshold / true <= 2.0

    @property
    def ours_right(self) -> bool:
        """Whether our verdict claims a threshold exactly where there is one."""
        return (self.decision.label == "threshold_supported") == self.truth.has_threshold


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
    naive = {time: naive_threshold(record, time=time) for time in TIMES}
    return Lesson(setting, truth, naive, evidence, decide(evidence))


LADDER: tuple[tuple[str, Setting], ...] = (
    ("nothing", Setting()),
    ("course", Setting(course=True)),
    ("bad_day", Setting(course=True, bad_day=True)),
    ("pain_driven", Setting(course=True, bad_day=True, pain_driven=True)),
    ("stopping", Setting(course=True, bad_day=True, pain_driven=True, stopping=True)),
    ("noticed", Setting(course=True, bad_day=True, pain_driven=True, stopping=True, noticed=0.7)),
    ("works", Setting(course=True, bad_day=True, pain_driven=True, stopping=True, works=True)),
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
        ``step, clinics, true`` (whether there is a threshold), and for ``none``, ``line``, ``levels`` (the
        obvious analysis, by how it allows for time), ``aic`` and ``ours`` the number of clinics in which a
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
        seen = dict.fromkeys((*TIMES, "aic", "ours"), 0)
        for clinic in range(1, clinics + 1):
            made = lesson(setting, n_patients=n_patients, seed=seed, clinic=clinic, replicates=replicates)
            for time in TIMES:
                seen[time] += made.naive[time].found
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
