"""What each figure shows, as numbers: the step between a result and its picture.

Every figure draws one of these and nothing else, its alternative text is written from the same numbers, and
a test holds the two together. A builder returns None where the record does not carry the figure.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tpr_outcomes.cohort.privacy import Counts
from tpr_outcomes.cohort.scales import Scale
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.evidence import RELEVANT_SHARE, Decision, Evidence
from tpr_outcomes.inference.identifiability import FEWEST_PAST, LARGEST_THRESHOLD_MDR, SEARCH_COST
from tpr_outcomes.inference.threshold import ThresholdProfile
from tpr_outcomes.models.adjusted import FEWEST_PER_VISIT, Course, DoseBands, average_course, dose_bands
from tpr_outcomes.models.candidates import EMAX, HINGE, LINEAR, LOG, NOTHING, STEP
from tpr_outcomes.models.fitting import fit
from tpr_outcomes.reporting.disclosure import past_name, patients_left_out, withheld_visits

Array = NDArray[np.float64]

MOST_LINES = 60
"""Patients drawn one by one; more would be a blot."""
CURVES = (NOTHING, LINEAR, LOG, EMAX, STEP, HINGE)
GRID = 241
THRESHOLD_LABELS = ("threshold_supported", "threshold_shape_confounding_alarm")

LINK_LABELS = ("cumulative_association", "dose_association")
"""Verdicts under which a number for the threshold is shown; verdicts of a link without one."""


@dataclass(frozen=True, eq=False)
class Courses:
    """Each patient's ratings over visits, their average, and the average without its dose part.

    Attributes
    ----------
    lines : tuple of (visits, ratings)
        Evenly spaced patients, up to :data:`MOST_LINES`, as far as visits rated in enough patients.
    patients : str
        Patients with a first and a later rating, as it may be shown.
    course : Course
    rated : tuple of str
        Patients rated at each visit of the course, as they may be shown.
    scale : Scale
    """

    lines: tuple[tuple[Array, Array], ...]
    patients: str
    course: Course
    rated: tuple[str, ...]
    scale: Scale


@dataclass(frozen=True, eq=False)
class DoseCurve:
    """One explanation, placed at the average height of the dose bands.

    Attributes
    ----------
    name : str
    estimate : ndarray, shape (g,)
        On the grid of :class:`DosePicture`, scale points.
    bic : float
        Above the smallest of the curves drawn.
    """

    name: str
    estimate: Array
    bic: float


@dataclass(frozen=True, eq=False)
class DosePicture:
    """Rating by dose band, background held fixed, and the rival curves.

    Attributes
    ----------
    bands : DoseBands
    grid : ndarray, shape (g,)
        Doses the curves are drawn at.
    curves : tuple of DoseCurve
    stressed : str
        Name of the curve that is drawn strong: the threshold where it is the verdict, the best for its
        size where a link is; else "" for none.
    threshold : float or None
        Drawn only when the verdict is a threshold.
    scale : Scale
    """

    bands: DoseBands
    grid: Array
    curves: tuple[DoseCurve, ...]
    stressed: str
    threshold: float | None
    scale: Scale


@dataclass(frozen=True, eq=False)
class ProfilePicture:
    """Profile deviance of the threshold.

    Attributes
    ----------
    profile : ThresholdProfile
    label : str
        Verdict; estimate and interval are drawn only for a threshold.
    """

    profile: ThresholdProfile
    label: str

    @property
    def shown(self) -> bool:
        """Whether estimate and interval are reported at all."""
        return self.label in THRESHOLD_LABELS


@dataclass(frozen=True, eq=False)
class Spread:
    """Cumulative dose by visit number.

    Attributes
    ----------
    visit, dose : ndarray, shape (n,)
        Every rating at a visit that is shown.
    at : ndarray, shape (k,)
        Visit numbers with enough ratings.
    quantiles : ndarray, shape (5, k)
        10%, 25%, 50%, 75% and 90% points of the dose at each visit.
    n : ndarray of int, shape (k,)
    share : float
        Share of the dose's variance within visit number.
    """

    visit: Array
    dose: Array
    at: Array
    quantiles: Array
    n: NDArray[np.int64]
    share: float


@dataclass(frozen=True, eq=False)
class Rival:
    """One rival: p-value of the hinge against it, and its BIC above the hinge's.

    Attributes
    ----------
    name : str
    p_value : float or None
    bic : float or None
        Positive: the threshold explains the ratings better.
    level : float
        Below which the p-value must be for the threshold to beat it.
    """

    name: str
    p_value: float | None
    bic: float | None
    level: float


@dataclass(frozen=True, eq=False)
class DesignPicture:
    """Minimum detectable relief and patients past, per knot.

    Attributes
    ----------
    knots : ndarray, shape (k,)
    mdr : ndarray, shape (k,)
        Honest (1.25 times) minimum detectable relief; inf where it cannot be seen at all.
    past : ndarray, shape (k,)
        NaN where it is withheld.
    limit, relevant : float
        Largest accepted minimum detectable relief; relief called relevant. Scale points.
    fewest : int
        Patients past that at least one knot must have.
    identifiable : bool
    scale : Scale
    """

    knots: Array
    mdr: Array
    past: Array
    limit: float
    relevant: float
    fewest: int
    identifiable: bool
    scale: Scale


@dataclass(frozen=True)
class Flow:
    """Where every row and every patient of the record went; the counts add up.

    Attributes
    ----------
    rows_read : int
    not_kept : dict of str to int
        Rows that are not visits, by rule.
    visits, patients : int
        What was read.
    patients_left_out : dict of str to int
        Patients without a first and a usable later rating, by reason.
    left_out : dict of str to int
        Visits that are neither a first rating nor analysed, by rule.
    first_ratings : int
        One per patient analysed.
    ratings : int
        Later ratings analysed.
    shown : Counts
        What of all this may be shown.
    """

    rows_read: int
    not_kept: dict[str, int]
    visits: int
    patients: int
    patients_left_out: dict[str, int]
    left_out: dict[str, int]
    first_ratings: int
    ratings: int
    shown: Counts

    @property
    def adds_up(self) -> bool:
        """Whether every row and every patient is accounted for once."""
        kept = self.first_ratings + self.ratings + sum(self.left_out.values())
        people = self.first_ratings + sum(self.patients_left_out.values())
        read = self.visits + sum(self.not_kept.values())
        return self.visits == kept and self.rows_read == read and self.patients == people


def courses(visits: Visits, evidence: Evidence, shown: Counts) -> Courses | None:
    """Draw at most 60 patients, evenly spaced in the order of the record."""
    fewest = max(FEWEST_PER_VISIT, shown.minimum)
    analysed = np.unique(visits.table["patient"].to_numpy()[evidence.ratings.row])
    rated = visits.table[visits.table["pain"].notna() & visits.table["patient"].isin(analysed)]
    counts = rated["visit"].value_counts()
    rated = rated[rated["visit"].isin(counts.index[counts >= fewest])]
    course = average_course(evidence.ratings, evidence.working, without=withheld_visits(shown, "rated"))
    if rated.empty or course.n.size < 2:  # a course takes two visits that may be shown
        return None
    chosen = analysed[np.unique(np.linspace(0, analysed.size - 1, MOST_LINES).round().astype(int))]
    lines = tuple(
        (group["visit"].to_numpy(dtype=float), group["pain"].to_numpy(dtype=float))
        for _, group in rated[rated["patient"].isin(chosen)].groupby("patient", sort=True)
    )
    rated_at = tuple(shown.text(f"rated:{visit:.0f}") for visit in course.observed.at)
    return Courses(lines, shown.text("analysed"), course, rated_at, evidence.scale)


def dose_picture(evidence: Evidence, decision: Decision) -> DosePicture | None:
    """Rating by dose band and the rival curves, all placed at the same average height."""
    working = evidence.working
    if working is None or evidence.test is None:
        return None
    try:
        bands = dose_bands(working)
        profile = evidence.test.profile
        place = {HINGE.name: profile.bend}
        if profile.shape == STEP.name:
            place[STEP.name] = profile.estimate
        fits = [fit(candidate, working, theta2=place.get(candidate.name)) for candidate in CURVES]
    except FitError:
        return None
    dose = working.ratings.dose_before
    end = max(float(np.quantile(dose, 0.99)), float(bands.difference.at[-1]))
    grid = np.linspace(0.0, end, GRID)
    lowest = min(f.bic for f in fits)
    curves = []
    for made in fits:
        shift = bands.average - float(made.curve(dose).estimate.mean())
        curves.append(DoseCurve(made.candidate.name, made.curve(grid).estimate + shift, made.bic - lowest))
    threshold = decision.label in THRESHOLD_LABELS
    best = min(curves, key=lambda curve: curve.bic).name
    stressed = profile.shape if threshold else best if decision.label in LINK_LABELS else ""
    return DosePicture(
        bands,
        grid,
        tuple(curves),
        stressed,
        evidence.test.profile.estimate if threshold else None,
        evidence.scale,
    )


def profile_picture(evidence: Evidence, decision: Decision) -> ProfilePicture | None:
    """Profile of the threshold, with the verdict that says how to draw it."""
    return None if evidence.test is None else ProfilePicture(evidence.test.profile, decision.label)


def spread(evidence: Evidence, shown: Counts) -> Spread | None:
    """Dose by visit number, at visits with at least five ratings whose number may be shown."""
    fewest = max(FEWEST_PER_VISIT, shown.minimum)
    r = evidence.ratings
    visits, counts = np.unique(r.visit, return_counts=True)
    told = (counts >= fewest) & ~np.isin(visits, withheld_visits(shown, "later"))
    kept = visits[told]
    if kept.size == 0 or evidence.design is None:
        return None
    drawn = np.isin(r.visit, kept)
    quantiles = [np.quantile(r.dose_before[r.visit == v], [0.10, 0.25, 0.50, 0.75, 0.90]) for v in kept]
    return Spread(
        visit=r.visit[drawn].astype(float),
        dose=r.dose_before[drawn],
        at=kept.astype(float),
        quantiles=np.column_stack(quantiles),
        n=counts[told].astype(np.int64),
        share=evidence.design.share_within_visit,
    )


def rivals(evidence: Evidence) -> tuple[Rival, ...]:
    """Every rival of the threshold, in the order of the score test; saturation has both kinds of test.

    The score test fixes the place of the saturation and the information criterion searches for it; both
    stand in the row "saturating".
    """
    if evidence.test is None:
        return ()
    p_values, criteria = evidence.test.scores.p_values, evidence.test.criteria
    threshold = min(criteria.bic[HINGE.name], criteria.bic[STEP.name])
    same = {"saturating": EMAX.name}
    found = []
    for name, p_value in p_values.items():
        bic = criteria.bic.get(same.get(name, name))
        found.append(Rival(name, p_value, None if bic is None else bic - threshold, evidence.threshold_level))
    return tuple(found)


def design_picture(evidence: Evidence, shown: Counts) -> DesignPicture | None:
    """What relief could be seen past each threshold."""
    design, span = evidence.design, evidence.scale.span
    if design is None or design.knots.size == 0:
        return None
    return DesignPicture(
        knots=design.knots,
        mdr=SEARCH_COST * design.mdr,
        past=np.array([shown.number(past_name(knot)) for knot in design.knots], dtype=np.float64),
        limit=LARGEST_THRESHOLD_MDR * span,
        relevant=RELEVANT_SHARE * span,
        fewest=FEWEST_PAST,
        identifiable=design.identifiable,
        scale=evidence.scale,
    )


def flow(visits: Visits, evidence: Evidence, shown: Counts) -> Flow:
    """Count every row of the record once."""
    not_kept = Counter(item.rule for item in visits.left_out)
    left_out = {rule: n for rule, n in evidence.ratings.left_out_counts.items() if n}
    return Flow(
        rows_read=visits.source.rows_read or visits.n_visits + len(visits.left_out),
        not_kept=dict(not_kept),
        visits=visits.n_visits,
        patients=visits.n_patients,
        patients_left_out=patients_left_out(visits, evidence),
        left_out=left_out,
        first_ratings=evidence.ratings.n_patients,
        ratings=int(evidence.ratings.pain.size),
        shown=shown,
    )
