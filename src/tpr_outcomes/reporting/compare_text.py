"""How numbers of a comparison are written inside a sentence."""

from __future__ import annotations

import math

from tpr_outcomes.inference.difference import Difference, Estimate
from tpr_outcomes.reporting import words_compare as say
from tpr_outcomes.reporting.compare import LEVEL, Comparison
from tpr_outcomes.reporting.spelling import number


def shown(value: float) -> str:
    """Write a number for people, with a true minus sign and never in powers of ten.

    Examples
    --------
    >>> shown(-0.0278), shown(0.0000213), shown(math.inf), shown(38.2)
    ('−0.028', '0.000021', 'no limit', '38')
    """
    if not math.isfinite(value):
        return str(say.CELLS["open"])
    text = number(value)
    if "e" in text:
        text = f"{value:.{1 - math.floor(math.log10(abs(value)))}f}"
    return text.replace("-", "−")


def with_ends(e: Estimate | Difference | None, *, percent: bool = False) -> str:
    """Write an estimate with its interval; a dash where there is none."""
    if e is None:
        return str(say.CELLS["absent"])
    sign = "%" if percent else ""
    parts = {"estimate": e.estimate, "low": e.conf_low, "high": e.conf_high}
    texts = {name: shown(value) + (sign if math.isfinite(value) else "") for name, value in parts.items()}
    return str(say.CELLS["own"].format_map(texts))


def measured(found: Comparison, key: str) -> dict[str, str]:
    """Every text about the difference in one quantity, by the name the sentences give it."""
    a, b = found.estimates[key]
    d = found.differences[key]
    assert a is not None
    assert b is not None
    texts = {"unit": found.unit(key), "told": say.TWO["told"][d.told_from_none]}
    texts["level"] = f"{100 * LEVEL:.0f}"
    for prefix, e in (("first", a), ("second", b)):
        texts |= {prefix: shown(e.estimate), f"{prefix}_low": shown(e.conf_low)}
        texts[f"{prefix}_high"] = shown(e.conf_high)
    return texts | {"middle": shown(d.estimate), "low": shown(d.conf_low), "high": shown(d.conf_high)}
