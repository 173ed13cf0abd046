"""Outcome instruments: range, direction, and the important differences that have a source.

How big a change matters to a patient depends on the population, on whether treatment is still going
on, and on the method used to ask. Several values are therefore kept for one instrument, each with the
place it was reported; none of them is *the* minimal important difference. Values are as reported in
the abstract of the source named (full papers were not read). Instruments or cut-points for which no
checked source was at hand are left out rather than filled from memory; an upper end of a range without a
checked source is left open. Measurement error (``detectable_changes``) stands apart from importance.
"""

from __future__ import annotations

import difflib
import math

from tpr_outcomes.cohort.instruments import DetectableChange, ImportantDifference, Scale
from tpr_outcomes.errors import PlanError

__all__ = [
    "KPA_PER_KGF_CM2",
    "NRS",
    "SCALES",
    "DetectableChange",
    "ImportantDifference",
    "Scale",
    "get_scale",
]

KPA_PER_KGF_CM2 = 98.0665
"""Kilopascal in one kilogram-force per square centimetre, by definition of the kilogram-force."""

_TEN_TRIALS = ("PubMed 11690728 (2,724 patients, 10 trials)", "pmid:11690728")
_IMMPACT = ("IMMPACT recommendations, J Pain", "doi:10.1016/j.jpain.2007.09.005")
_NECK_137 = ("Arch Phys Med Rehabil (neck pain, n=137)", "doi:10.1016/j.apmr.2007.08.126")
_NECK_658 = ("BMC Musculoskelet Disord 9:43 (neck pain, n=658)", "")
_OSTELO = ("Ostelo, Spine 2008 (low back pain, consensus)", "")
_STATUS = ("PMC9299931 (n=1,661)", "")
_DASH_41 = ("J Orthop Surg Res 8:40", "doi:10.1186/1749-799X-8-40")
_DASH_42 = ("PMC5465524", "")
_ROY = ("Roy 2009, Arthritis Rheum 61:623", "")
_SHOULDER = ("BMC Musculoskelet Disord (shoulder)", "doi:10.1186/s12891-020-03289-z")
_CASTIEN = ("Castien 2012 (chronic tension-type headache)", "")
_HIT6_MIGRAINE = ("HIT-6 in migraine", "doi:10.1177/0333102413497599")
_DAYS = ("PMC7044826 (unclear whether it carries over from drug trials)", "")
_BENNETT = ("Bennett 2009, as reported in a digest (n=2,228)", "")
_LEFS = ("Phys Ther 1999;79:371", "")
_GUPI = ("PMC2783956 (men and women with pelvic pain, n=47)", "")
_GPE = ("PMC7025089 (low back pain)", "")


def _absolute(value: float, label: str, source: tuple[str, str]) -> ImportantDifference:
    return ImportantDifference("absolute", value, label, *source)


def _percent(value: float, label: str, source: tuple[str, str]) -> ImportantDifference:
    return ImportantDifference("percent", value, label, *source)


def _level(value: float, label: str, source: tuple[str, str]) -> ImportantDifference:
    return ImportantDifference("level", value, label, *source)


def _error(value: float, label: str, source: tuple[str, str]) -> DetectableChange:
    return DetectableChange(value, label, *source)


_OPEN = "has no checked source here and is left open."
_NO_RANGE = f"The upper end {_OPEN} No important difference with a checked source was at hand."
_ASKS_FOR_CHANGE = (
    "Patients judge their own change: it tracks whether treatment has ended and nearly ignores where they "
    "started (8,955 people with knee pain; Phys Ther 2014;94:534). An anchor, not an outcome by itself."
)

_ALL = (
    Scale(
        "nrs",
        "pain numeric rating scale (0 to 10)",
        0.0,
        10.0,
        "points",
        True,
        (
            _absolute(2.0, "ten trials pooled", _TEN_TRIALS),
            _percent(30.0, "moderately important (IMMPACT)", _IMMPACT),
            _percent(50.0, "substantial (IMMPACT)", _IMMPACT),
            _percent(30.0, "ten trials pooled", _TEN_TRIALS),
            _percent(10.0, "lower end of minimally important (IMMPACT)", _IMMPACT),
            _percent(20.0, "upper end of minimally important (IMMPACT)", _IMMPACT),
            _absolute(1.3, "neck pain", _NECK_137),
            _absolute(1.5, "neck pain, receiver operating curve", _NECK_658),
            _absolute(4.1, "neck pain, mean change", _NECK_658),
            _absolute(2.0, "low back pain", _OSTELO),
            _absolute(4.15, "called important when treatment had finished", _STATUS),
            _absolute(2.16, "called important while treatment was going on", _STATUS),
        ),
        (_error(4.0, "neck pain, minimal detectable change", _NECK_658),),
    ),
    Scale(
        "vas",
        "pain visual analogue scale (0 to 100 mm)",
        0.0,
        100.0,
        "mm",
        True,
        (_absolute(15.0, "low back pain", _OSTELO), _percent(30.0, "low back pain", _OSTELO)),
    ),
    Scale(
        "ndi",
        "Neck Disability Index (0 to 100 percent)",
        0.0,
        100.0,
        "percentage points",
        True,
        (_absolute(19.0, "neck pain", _NECK_137),),
    ),
    Scale(
        "ndi50",
        "Neck Disability Index, raw sum (0 to 50)",
        0.0,
        50.0,
        "points",
        True,
        (_absolute(9.5, "neck pain (19 percentage points of 100, as a raw sum of 50)", _NECK_137),),
    ),
    Scale(
        "odi",
        "Oswestry Disability Index (0 to 100)",
        0.0,
        100.0,
        "points",
        True,
        (_absolute(10.0, "low back pain", _OSTELO), _percent(30.0, "low back pain", _OSTELO)),
    ),
    Scale(
        "rmdq",
        "Roland-Morris Disability Questionnaire (0 to 24)",
        0.0,
        24.0,
        "points",
        True,
        (_absolute(5.0, "low back pain", _OSTELO), _percent(30.0, "low back pain", _OSTELO)),
    ),
    Scale(
        "dash",
        "Disabilities of the Arm, Shoulder and Hand (0 to 100)",
        0.0,
        100.0,
        "points",
        True,
        (
            _absolute(12.4, "minimal important change", _DASH_41),
            _absolute(4.4, "minimal important change", _DASH_42),
            _absolute(10.2, "shoulder, minimal clinically important difference", _ROY),
        ),
        (
            _error(16.3, "smallest detectable change", _DASH_41),
            _error(11.8, "smallest detectable change", _DASH_42),
            _error(10.5, "shoulder, minimal detectable change", _ROY),
        ),
    ),
    Scale(
        "quickdash",
        "QuickDASH (0 to 100)",
        0.0,
        100.0,
        "points",
        True,
        (
            _absolute(13.4, "minimal important change", _DASH_41),
            _absolute(10.8, "shoulder, lower end of minimal important change", _SHOULDER),
            _absolute(13.6, "shoulder, upper end of minimal important change", _SHOULDER),
        ),
        (_error(17.1, "smallest detectable change", _DASH_41),),
    ),
    Scale(
        "spadi",
        "Shoulder Pain and Disability Index (0 to 100)",
        0.0,
        100.0,
        "points",
        True,
        (
            _absolute(8.0, "shoulder, lower end", _ROY),
            _absolute(13.0, "shoulder, upper end", _ROY),
        ),
        (_error(18.0, "shoulder, minimal detectable change", _ROY),),
    ),
    Scale(
        "psfs",
        "Patient-Specific Functional Scale (0 to 10)",
        0.0,
        10.0,
        "points",
        False,
        (
            _absolute(1.9, "shoulder, lower end of minimal important change", _SHOULDER),
            _absolute(2.0, "shoulder, upper end of minimal important change", _SHOULDER),
        ),
    ),
    Scale(
        "hit6",
        "Headache Impact Test HIT-6 (36 to 78)",
        36.0,
        78.0,
        "points",
        True,
        (
            _absolute(8.0, "chronic tension-type headache", _CASTIEN),
            _absolute(2.5, "migraine, within person, mean change", _HIT6_MIGRAINE),
            _absolute(6.0, "migraine, within person, receiver operating curve", _HIT6_MIGRAINE),
            _absolute(1.5, "migraine, between groups", _HIT6_MIGRAINE),
        ),
    ),
    Scale(
        "headache_days",
        "headache days in 28 days",
        0.0,
        28.0,
        "days",
        True,
        (_percent(50.0, "convention of drug trials", _DAYS),),
    ),
    Scale(
        "fiq",
        "Fibromyalgia Impact Questionnaire (0 to 100)",
        0.0,
        100.0,
        "points",
        True,
        (_percent(14.1, "fibromyalgia", _BENNETT),),
    ),
    Scale("fiqr", "revised Fibromyalgia Impact Questionnaire (0 to 100)", 0.0, 100.0, "points"),
    Scale(
        "lefs",
        "Lower Extremity Functional Scale (0 to 80)",
        0.0,
        80.0,
        "points",
        False,
        (_absolute(9.0, "lower limb", _LEFS),),
        (_error(9.0, "lower limb, minimal detectable change", _LEFS),),
        "primary",
        "Half of healthy people score 77 or more of 80 (doi:10.1080/17453674.2017.1309886): a ceiling.",
    ),
    Scale("nih_cpsi", "NIH Chronic Prostatitis Symptom Index (0 to 43)", 0.0, 43.0, "points"),
    Scale(
        "bpi",
        "Brief Pain Inventory, interference (0 to 10)",
        0.0,
        10.0,
        "points",
        True,
        (_absolute(1.0, "minimally important (IMMPACT)", _IMMPACT),),
    ),
    Scale(
        "gupi",
        "Genitourinary Pain Index",
        0.0,
        math.inf,
        "points",
        True,
        (_absolute(7.0, "predicts response to treatment (sensitivity 100%)", _GUPI),),
        (),
        "primary",
        f"The upper end {_OPEN}",
    ),
    Scale("womac", "Western Ontario and McMaster Universities index, raw sum (0 to 96)", 0.0, 96.0, "points"),
    Scale("womac100", "Western Ontario and McMaster Universities index (0 to 100)", 0.0, 100.0, "points"),
    Scale(
        "ppt",
        "pressure pain threshold",
        0.0,
        math.inf,
        "kPa",
        False,
        (),
        (),
        "secondary",
        "As a marker of change its area under the curve was 0.50 to 0.62, below acceptable "
        "(doi:10.1186/s12891-017-1918-1); take the mean of three, and never alone.",
    ),
    Scale(
        "pgic",
        "Patient Global Impression of Change (1 very much improved to 7 very much worse)",
        1.0,
        7.0,
        "steps",
        True,
        (
            _level(3.0, "minimally improved (IMMPACT)", _IMMPACT),
            _level(2.0, "much improved (IMMPACT)", _IMMPACT),
            _level(1.0, "very much improved (IMMPACT)", _IMMPACT),
        ),
        (),
        "anchor",
        _ASKS_FOR_CHANGE,
    ),
    Scale(
        "groc15",
        "Global Rating of Change (-7 to +7)",
        -7.0,
        7.0,
        "steps",
        False,
        (),
        (),
        "anchor",
        _ASKS_FOR_CHANGE,
    ),
    Scale(
        "groc11",
        "Global Rating of Change (-5 to +5)",
        -5.0,
        5.0,
        "steps",
        False,
        (_level(2.5, "low back pain, global perceived effect", _GPE),),
        (),
        "anchor",
        _ASKS_FOR_CHANGE,
    ),
    Scale("sf_mpq", "Short-Form McGill Pain Questionnaire", 0.0, math.inf, "points", caution=_NO_RANGE),
    Scale("csi", "Central Sensitization Inventory", 0.0, math.inf, "points", caution=_NO_RANGE),
    Scale("pcs", "Pain Catastrophizing Scale", 0.0, math.inf, "points", caution=_NO_RANGE),
)

SCALES: dict[str, Scale] = {scale.name: scale for scale in _ALL}
"""Every instrument the toolkit knows, by name."""

NRS = SCALES["nrs"]
"""The 0 to 10 numeric rating scale, the default."""


def get_scale(name: str) -> Scale:
    """Return the instrument of this name.

    Parameters
    ----------
    name : str
        Key in :data:`SCALES`; case and surrounding blanks do not matter.

    Returns
    -------
    Scale
        The instrument.

    Raises
    ------
    PlanError
        When no instrument has this name; the message lists those there are.

    Examples
    --------
    >>> get_scale("hit6").span
    42.0
    """
    key = name.strip().lower()
    if key in SCALES:
        return SCALES[key]
    near = difflib.get_close_matches(key, SCALES, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise PlanError(f"There is no scale called {name!r}.{hint} Known scales: {', '.join(SCALES)}.")
