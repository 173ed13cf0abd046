"""How doses, outcomes and numbers are written inside a sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tpr_outcomes.cohort.scales import Scale
from tpr_outcomes.reporting import words_numbers as say
from tpr_outcomes.reporting.told import one_of, told, unit_of

PAIN_SCALES = ("nrs", "vas")
"""Scales on which an improvement may be called relief of pain."""


@dataclass(frozen=True)
class Terms:
    """What this record's dose and outcome are called.

    Attributes
    ----------
    one, many : str
        The dose, singular and plural: "twitch", "twitches".
    recorded : str
        "recorded twitches".
    outcome : str
        "pain", or "score" on other instruments.
    better : str
        "relief" for pain, "improvement" for any other score.
    unit : str
        Unit of the scale, plural: "points".
    scale : str
        Name of the scale.
    dose : str
        Column that is added up, as the plan names it.
    pain : bool
        Whether the outcome is pain.
    """

    one: str
    many: str
    recorded: str
    outcome: str
    better: str
    unit: str
    scale: str
    dose: str
    pain: bool


def terms(dose: str, scale: Scale) -> Terms:
    """Return the vocabulary for a dose column and a scale.

    Examples
    --------
    >>> from tpr_outcomes.cohort.scales import NRS
    >>> terms("twitches", NRS).recorded
    'recorded twitches'
    """
    one, many = say.DOSES.get(dose, (dose, dose))
    pain = scale.name in PAIN_SCALES
    return Terms(
        one=one,
        many=many,
        recorded=say.TERMS["recorded"].format(many=many),
        outcome=say.TERMS["pain" if pain else "score"],
        better=say.TERMS["relief" if pain else "improvement"],
        unit=unit_of(scale.unit),
        scale=told(scale.label),
        dose=dose,
        pain=pain,
    )


def number(value: float) -> str:
    """Write a number for people: whole from 10 up, else two significant digits.

    Examples
    --------
    >>> number(38.2), number(1.53), number(0.0571), number(2.0)
    ('38', '1.5', '0.057', '2')
    """
    if not math.isfinite(value):
        return say.NUMBERS["none" if math.isnan(value) else "any"]
    if abs(value) >= 9.95:
        return f"{value:,.0f}"
    text = f"{value:.2g}"
    return "0" if float(text) == 0 else text


def amount(value: float, unit: str) -> str:
    """Write a number with its unit, in the singular where it is 1.

    Examples
    --------
    >>> amount(1.0, "points"), amount(1.5, "points"), amount(15, "mm")
    ('1 point', '1.5 points', '15 mm')
    """
    text = number(value)
    return f"{text} {one_of(unit) if text == '1' else unit}"


def apart(value: float, limit: float, unit: str) -> str:
    """Write an amount with as many digits as it takes to differ from its limit.

    Examples
    --------
    >>> apart(1.52, 1.5, "points"), apart(1.7, 1.5, "points"), apart(0.998, 1.0, "points")
    ('1.52 points', '1.7 points', '0.998 points')
    """
    if value == limit or number(value) != number(limit):
        return amount(value, unit)
    for digits in range(2, 12):
        text = f"{value:.{digits}g}"
        if float(text) != float(f"{limit:.{digits}g}"):
            return f"{text} {unit}"
    return amount(value, unit)


def percent(share: float) -> str:
    """Write a share as a percentage.

    Examples
    --------
    >>> percent(0.4)
    '40%'
    """
    return f"{100 * share:.0f}%"


def chances(p_value: float) -> str:
    """Write a p-value as how often chance would do as much.

    Examples
    --------
    >>> chances(0.0005), chances(0.0031), chances(0.038)
    ('less than once in 1,000 such records', 'about 3 times in 1,000 such records', \
'about 4 times in 100 such records')
    """
    if p_value < 0.001:
        return say.CHANCES["less"].format(of="1,000")
    base = 1000 if p_value < 0.0095 else 100
    times = round(p_value * base)
    return say.CHANCES["once" if times == 1 else "times"].format(times=times, of=f"{base:,}")


def listed(items: tuple[str, ...] | list[str], word: str = "") -> str:
    """Write a list as in speech.

    Examples
    --------
    >>> listed(("a", "b", "c"))
    'a, b and c'
    """
    items, word = list(items), word or say.NUMBERS["and"]
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {word} {items[-1]}"


def between(low: str, high: str) -> str:
    """Write a range.

    Examples
    --------
    >>> between("3", "12")
    '3 to 12'
    """
    return say.ENDS["closed"].format(low=low, high=high)


def counted(n: int, noun: str) -> str:
    """Write how many there are of something.

    Examples
    --------
    >>> counted(1, "patient"), counted(1200, "patient")
    ('1 patient', '1,200 patients')
    """
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def capital(text: str) -> str:
    """Return the text with a capital first letter."""
    return text[:1].upper() + text[1:]
