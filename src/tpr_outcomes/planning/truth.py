"""Everything a simulated clinic is made of, each number named and with its unit.

A :class:`Truth` is the whole answer: who comes, how pain would go untreated, what makes the therapist
needle more, who stops, what the twitches do, and how the record distorts it. Pain parameters are in
points of a 0 to 10 scale; other scales are the same pain written on another ruler.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Literal, get_args, get_type_hints

from tpr_outcomes.cohort.scales import get_scale
from tpr_outcomes.errors import PlanError

Course = Literal["flat", "exponential", "sigmoid"]
Driver = Literal["none", "recorded", "mixed", "latent", "contrary"]
Stopping = Literal["none", "recorded", "latent"]
Response = Literal[
    "none", "linear", "emax", "hinge", "step", "hinge_patient", "kink", "last_dose", "per_visit"
]
Acting = Literal["twitches", "insertions"]
Assignment = Literal["observed", "randomised"]

REGION_DEPTH = {"neck": 0.2, "shoulder": 0.2, "back": 0.8, "pelvis": 1.0, "buttocks": 0.8, "leg": 0.5}
"""How deep the muscles of a body region lie, 0 (under the skin) to 1: invented, for under-counting."""

_THRESHOLDS = ("hinge", "step", "hinge_patient")


@dataclass(frozen=True)
class Truth:
    """The answer of one simulated world.

    Pain at visit slot ``v`` of patient ``i`` before needling, with ``w`` weeks since the first visit::

        latent   = floor + (start - floor) g(w) + wobble + effect(dose before v) + extras
        recorded = round(clip(latent + noise [+ entry at the first visit], 0, 10))

    Twitches at the visit are negative binomial with mean
    ``dose_mean * exp(dose_pain_slope * (driver - 5) + twitchiness)``. ``effect`` lowers *latent* pain,
    and so feeds back on later needling and on stopping.

    Parameters
    ----------
    world : str
        Name in :data:`tpr_outcomes.planning.worlds.WORLDS`, or a name of your own.
    description : str
        One sentence in plain language.
    scale : str
        Outcome instrument (:data:`tpr_outcomes.cohort.scales.SCALES`), finite range.
    visits : int
        Appointments planned per patient (T), first one included.
    start_mean, start_sd : float
        Latent pain at the first visit before wobble: normal, NRS points.
    start_low, start_high : float
        Limits to which the start is moved, NRS points.
    floor_low, floor_high : float
        The untreated course ends at this share of the start, uniform between the two.
    course : {"flat", "exponential", "sigmoid"}
        Shape of the untreated course ``g``.
    recovery_weeks, recovery_sd : float
        Time constant of exponential recovery: median in weeks, SD of its logarithm.
    onset_low, onset_high, onset_width : float
        Sigmoid course: each patient's turning point, uniform, in weeks; width of the turn, weeks.
    wobble_sd, wobble_phi : float
        Day-to-day swings, autoregressive: stationary SD in NRS points, correlation one week apart.
    noise_sd : float
        White error of each rating, NRS points.
    entry_sd : float
        People come on a bad day: |N(0, entry_sd)| is added to the first recorded score, NRS points.
    flare_prob, flare_entry, flare_scale, flare_decay : float
        Flares: chance per visit; chance at the first visit; size = scale * |Student t, 3 df| in NRS
        points; share left one week later.
    dose_mean : float
        Twitches per visit of an average patient when the driver is 5.
    dose_size : float
        Negative binomial size; ``inf`` is Poisson.
    dose_pain_slope : float
        Change of log mean dose per NRS point of the driver.
    dose_sd : float
        SD of patients' log twitchiness.
    driver : {"none", "recorded", "mixed", "latent", "contrary"}
        What the therapist reacts to: a constant 5; the recorded score; the mean of recorded and latent
        pain; latent pain; recorded - ``contrary`` * (latent - recorded).
    contrary : float
        See ``driver``: how strongly patients truly better than their score get more needling.
    recovery_dose_corr : float
        Correlation of twitchiness with the logarithm of the recovery time constant (negative: twitchy
        patients recover faster).
    stopping : {"none", "recorded", "latent"}
        Which pain is compared with its first value in the stopping rule.
    stop_share, stop_prob : float
        Pain at or below this share of the first value ends care with this probability per visit.
    stop_background : float
        Chance per visit of leaving for any other reason (from the second visit; only with a rule).
    response : str
        What the dose does to latent pain; ``C`` is the cumulative dose before the visit::

            none           0
            linear         slope * C
            emax           maximum * C / (C + half_dose)
            hinge          slope * max(C - threshold, 0)
            step           jump * (C > threshold)
            hinge_patient  hinge with the patient's own threshold, lognormal round ``threshold``
            kink           early_slope * min(C, threshold) + slope * max(C - threshold, 0)
            last_dose      slope * dose at the latest visit
            per_visit      visit_slope * patient factor * visits so far (whatever was needled)
    acting : {"twitches", "insertions"}
        Which count is the dose in ``response``.
    slope, early_slope : float
        NRS points per unit of dose; negative is relief.
    maximum, half_dose : float
        Emax: NRS points; dose of half the maximum.
    threshold, threshold_sd : float
        Dose units; SD of the logarithm between patients (``hinge_patient``).
    jump : float
        Step, NRS points.
    visit_slope, visit_slope_sd : float
        NRS points per visit; SD of the logarithm of the patient factor.
    trait_relief, trait_from, trait_dose_corr : float
        An unmeasured standard normal trait Z, correlated with twitchiness, keeps a clock of its own,
        ``dose_mean * exp(dose_sd * Z) * weeks``: the twitches one would expect by then. It adds
        ``trait_relief`` NRS points (negative) for each unit of that clock past ``trait_from``, whatever
        is needled.
    gap_weeks, gap_sd : float
        Weeks between appointments: median, and SD of the logarithm; SD 0 is a regular schedule.
    missed_prob, missed_pain_slope : float
        Chance that an appointment after the first is missed when the last score was 5; change of its
        log odds per NRS point of that score.
    insertions_mean : float
        Insertions per visit when the driver is 5; 0 means insertions are not recorded. If positive,
        insertions carry the negative binomial spread and twitches are Poisson around a patient's
        yield times insertions, so that both totals go together.
    insertions_sd : float
        SD of patients' log insertions (part of ``dose_sd``; the rest is yield per insertion).
    therapists_low, therapists_high : int
        Number of therapists, uniform; 0 means not recorded. One therapist per patient.
    therapist_style_sd, therapist_result_sd, therapist_corr : float
        SD of therapists' log dose; SD of therapists' own results in NRS points per visit (whatever was
        needled); correlation of more needling with better results.
    cotreatment_pain, cotreatment_prob, cotreatment_relief, cotreatment_weeks : float
        A second treatment starts, with this chance per visit, after two scores in a row at or above
        ``cotreatment_pain``; full relief in NRS points (negative); time constant of its onset.
    count_share, count_depth, count_pain : float
        Each twitch is counted with log odds
        ``logit(count_share) - count_depth * depth - count_pain * (pain - 5)``; share 1 counts all.
    digit_pain, digit_twitches : float
        Share of ratings moved to 0, 5 or 10 when one point away; share of counts written as the
        nearest multiple of 5.
    round_therapist : int
        Number of therapists who always write multiples of 10.
    pain_blank, twitches_blank : float
        Share of ratings and of counts left blank at random.
    assignment : {"observed", "randomised"}
        Randomised: each patient gets a twitch target of 0 or ``target`` with the same insertions.
    target, target_reached, target_leak : int, float, float
        The higher target; share of it elicited; stray twitches per visit in the target-0 arm.

    Raises
    ------
    PlanError
        When a value is of the wrong kind or out of range; the message names the parameter.
    """

    world: str = "custom"
    description: str = ""
    scale: str = "nrs"
    visits: int = 12
    start_mean: float = 5.1
    start_sd: float = 1.5
    start_low: float = 3.0
    start_high: float = 10.0
    floor_low: float = 0.2
    floor_high: float = 0.7
    course: Course = "exponential"
    recovery_weeks: float = 5.8
    recovery_sd: float = 0.5
    onset_low: float = 1.0
    onset_high: float = 9.0
    onset_width: float = 0.75
    wobble_sd: float = 0.7
    wobble_phi: float = 0.5
    noise_sd: float = 1.0
    entry_sd: float = 1.2
    flare_prob: float = 0.0
    flare_entry: float = 0.0
    flare_scale: float = 1.0
    flare_decay: float = 0.5
    dose_mean: float = 8.0
    dose_size: float = 3.0
    dose_pain_slope: float = 0.15
    dose_sd: float = 0.4
    driver: Driver = "recorded"
    contrary: float = 2.0
    recovery_dose_corr: float = 0.0
    stopping: Stopping = "recorded"
    stop_share: float = 0.5
    stop_prob: float = 0.8
    stop_background: float = 0.05
    response: Response = "none"
    acting: Acting = "twitches"
    slope: float = 0.0
    early_slope: float = 0.0
    maximum: float = 0.0
    half_dose: float = 25.0
    threshold: float = 40.0
    threshold_sd: float = 0.35
    jump: float = 0.0
    visit_slope: float = 0.0
    visit_slope_sd: float = 0.4
    trait_relief: float = 0.0
    trait_from: float = 40.0
    trait_dose_corr: float = 0.0
    gap_weeks: float = 1.0
    gap_sd: float = 0.0
    missed_prob: float = 0.0
    missed_pain_slope: float = 0.0
    insertions_mean: float = 0.0
    insertions_sd: float = 0.3
    therapists_low: int = 0
    therapists_high: int = 0
    therapist_style_sd: float = 0.0
    therapist_result_sd: float = 0.0
    therapist_corr: float = 0.0
    cotreatment_pain: float = 5.0
    cotreatment_prob: float = 0.0
    cotreatment_relief: float = -2.0
    cotreatment_weeks: float = 2.0
    count_share: float = 1.0
    count_depth: float = 0.0
    count_pain: float = 0.0
    digit_pain: float = 0.0
    digit_twitches: float = 0.0
    round_therapist: int = 0
    pain_blank: float = 0.0
    twitches_blank: float = 0.0
    assignment: Assignment = "observed"
    target: int = 8
    target_reached: float = 0.9
    target_leak: float = 0.3

    def __post_init__(self) -> None:
        """Refuse impossible values, naming the parameter."""
        _check_kinds(self)
        _check_ranges(self)
        _check_pairs(self)

    def to_dict(self) -> dict[str, str | int | float]:
        """Return all parameters by name, for JSON (an infinite ``dose_size`` as text)."""
        return {
            name: ("inf" if isinstance(value, float) and math.isinf(value) else value)
            for name, value in asdict(self).items()
        }

    @property
    def twitches_work(self) -> bool:
        """Whether twitches lower pain at all in this world."""
        return self.acting == "twitches" and self.response not in ("none", "per_visit")

    @property
    def has_threshold(self) -> bool:
        """Whether twitches do nothing before a threshold (of each patient's own) and something after."""
        return self.acting == "twitches" and self.response in _THRESHOLDS

    @property
    def true_threshold(self) -> float | None:
        """Threshold in *recorded* twitches (median of patients'), None where there is none.

        Under-counting scales it by the share counted; where that share varies, by its mean over body
        regions for a score of 5.
        """
        return self.threshold * self.mean_count_share if self.has_threshold else None

    @property
    def mean_count_share(self) -> float:
        """Share of twitches counted at a score of 5, averaged over body regions."""
        if self.count_depth == 0.0 or self.count_share == 1.0:
            return self.count_share
        odds = self.count_share / (1.0 - self.count_share)
        shares = [odds / (odds + math.exp(self.count_depth * depth)) for depth in REGION_DEPTH.values()]
        return sum(shares) / len(shares)


_CHOICES = {
    "course": get_args(Course),
    "driver": get_args(Driver),
    "stopping": get_args(Stopping),
    "response": get_args(Response),
    "acting": get_args(Acting),
    "assignment": get_args(Assignment),
}
_SHARES = frozenset({
    "floor_low", "floor_high", "flare_prob", "flare_entry", "flare_decay", "stop_share", "stop_prob",
    "stop_background", "missed_prob", "cotreatment_prob", "count_share", "digit_pain", "digit_twitches",
    "pain_blank", "twitches_blank", "target_reached", "wobble_phi",
})  # fmt: skip
_NOT_NEGATIVE = frozenset({
    "start_sd", "recovery_sd", "wobble_sd", "noise_sd", "entry_sd", "flare_scale", "dose_mean", "dose_sd",
    "contrary", "threshold", "threshold_sd", "trait_from", "visit_slope_sd", "onset_low", "gap_sd",
    "insertions_mean", "insertions_sd", "therapists_low", "therapist_style_sd", "therapist_result_sd",
    "round_therapist", "target_leak",
})  # fmt: skip
_POSITIVE = frozenset({
    "visits", "recovery_weeks", "onset_width", "dose_size", "half_dose", "gap_weeks", "cotreatment_weeks",
    "target",
})  # fmt: skip
_CORRELATIONS = frozenset({"recovery_dose_corr", "trait_dose_corr", "therapist_corr"})
_PAIRS = (
    ("start_low", "start_high"),
    ("floor_low", "floor_high"),
    ("onset_low", "onset_high"),
    ("therapists_low", "therapists_high"),
)
_KINDS = {
    item.name: (hint if hint in (str, int, float) else str)
    for item in fields(Truth)
    for hint in (get_type_hints(Truth)[item.name],)
}


def _check_kinds(truth: Truth) -> None:
    for name, kind in _KINDS.items():
        value = getattr(truth, name)
        if kind is str:
            good = isinstance(value, str)
        else:
            good = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
        if not good:
            wanted = {str: "text", int: "a whole number", float: "a number"}[kind]
            raise PlanError(f"{name} is {value!r}; it needs to be {wanted}. Correct {name}.")


def _check_ranges(truth: Truth) -> None:
    for name, allowed in _CHOICES.items():
        value = getattr(truth, name)
        if value not in allowed:
            raise PlanError(f"{name} is {value!r}; it needs to be one of {', '.join(allowed)}.")
    for name, kind in _KINDS.items():
        if kind is str:
            continue
        value = float(getattr(truth, name))
        wanted = _range_wanted(name, value)
        if wanted:
            raise PlanError(f"{name} is {value:g}; it needs to be {wanted}. Correct {name}.")


def _range_wanted(name: str, value: float) -> str:
    """Say what range the parameter needs, or nothing when the value is in it."""
    if math.isnan(value) or (math.isinf(value) and not (name == "dose_size" and value > 0)):
        return "a finite number"
    if name in _SHARES and not 0.0 <= value <= 1.0:
        return "between 0 and 1"
    if name in _NOT_NEGATIVE and value < 0.0:
        return "0 or larger"
    if name in _POSITIVE and value <= 0.0:
        return "larger than 0"
    if name in _CORRELATIONS and not -1.0 <= value <= 1.0:
        return "between -1 and 1"
    return ""


def _check_pairs(truth: Truth) -> None:
    for low, high in _PAIRS:
        if getattr(truth, low) > getattr(truth, high):
            raise PlanError(f"{low} is larger than {high}. Set {low} at or below {high}.")
    if math.isinf(get_scale(truth.scale).span):
        raise PlanError(f"scale {truth.scale!r} has no upper end. Choose a scale with a finite range.")
    if truth.acting == "insertions" and truth.insertions_mean == 0.0:
        raise PlanError("acting is 'insertions' but insertions_mean is 0. Give insertions_mean.")
    if truth.assignment == "randomised" and truth.insertions_mean == 0.0:
        raise PlanError("assignment is 'randomised' but insertions_mean is 0. Give insertions_mean.")
    if truth.insertions_mean > 0.0 and truth.insertions_sd > truth.dose_sd:
        raise PlanError("insertions_sd is larger than dose_sd, of which it is a part. Lower insertions_sd.")
    if truth.round_therapist > truth.therapists_low:
        raise PlanError("round_therapist is larger than therapists_low. Lower round_therapist.")
