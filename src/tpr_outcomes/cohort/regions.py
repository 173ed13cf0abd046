"""Regions of the body: what a clinic's own words mean, and which instruments suit each region."""

from __future__ import annotations

from tpr_outcomes.cohort.scales import SCALES, Scale

REGION_SCALES: dict[str, tuple[str, ...]] = {
    "neck": ("ndi", "ndi50"),
    "shoulder": ("quickdash", "dash", "spadi"),
    "back": ("odi", "rmdq"),
    "pelvis": ("gupi", "nih_cpsi"),
    "pelvic floor": ("gupi", "nih_cpsi"),
    "buttock": ("lefs",),
    "leg": ("lefs",),
    "headache": ("headache_days", "hit6"),
    "fibromyalgia": ("fiqr", "fiq"),
}
"""Suggested instruments of function beside a pain rating, by region of the body, first choice first."""

ANY_REGION = ("psfs", "pgic")
"""Instruments that suit every region."""

_REGION_WORDS = (
    ("pelvic floor", ("pelvic floor", "perine")),
    ("headache", ("head", "migraine", "tension-type")),
    ("fibromyalgia", ("fibro",)),
    ("neck", ("neck", "cervic", "trapez")),
    ("shoulder", ("shoulder", "arm")),
    ("pelvis", ("pelvi", "groin")),
    ("buttock", ("buttock", "glut", "hip")),
    ("leg", ("leg", "thigh", "knee", "calf", "foot")),
    ("back", ("back", "lumb", "thorac")),
)
"""Beginnings of words in a clinic's own labels that name a region; the first that fits counts."""


def region_of(label: str) -> str:
    """Return the region a clinic's word names, a key of :data:`REGION_SCALES`; empty where it names none.

    Examples
    --------
    >>> region_of("Upper trapezius")
    'neck'
    """
    words = label.strip().lower()
    return next((name for name, stems in _REGION_WORDS if any(stem in words for stem in stems)), "")


def scales_for_region(label: str) -> tuple[Scale, ...]:
    """Return the instruments suggested for a region of the body, first choice first.

    Parameters
    ----------
    label : str
        The clinic's own word for the region.

    Returns
    -------
    tuple of Scale
        Instruments of that region, then those that suit any.

    Examples
    --------
    >>> [scale.name for scale in scales_for_region("Cervical spine")]
    ['ndi', 'ndi50', 'psfs', 'pgic']
    """
    region = region_of(label)
    return tuple(SCALES[name] for name in (*REGION_SCALES.get(region, ()), *ANY_REGION))
