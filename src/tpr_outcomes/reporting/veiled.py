"""Findings without small counts of patients: what an analysis says of a few people is not printed."""

from __future__ import annotations

import math
from dataclasses import replace

from tpr_outcomes.cohort.privacy import MINIMUM, is_small, veil
from tpr_outcomes.reporting.verdict import Finding, Number


def veiled(finding: Finding, minimum: int = MINIMUM) -> Finding:
    """Return a finding whose words and numbers hold no small count of patients.

    Parameters
    ----------
    finding : Finding
        As a rule made it.
    minimum : int
        Smallest count shown; 1 changes nothing.

    Returns
    -------
    Finding
        Sentences with "fewer than 5" in place of smaller counts; numbers that rest on fewer are missing.
    """
    return unless_small(finding, finding, minimum)


def unless_small(finding: Finding, english: Finding, minimum: int = MINIMUM) -> Finding:
    """Return a translated finding that tells no small count, as :func:`veiled`.

    The net knows English only. A text in which it finds a small count stays English, without the count.

    Parameters
    ----------
    finding : Finding
        In other words.
    english : Finding
        The same in English.
    minimum : int
        Smallest count shown.
    """
    rows = tuple(_row(row, minimum) for row in finding.rows)
    changed = {old.term for old, new in zip(finding.rows, rows, strict=True) if old.n != new.n}
    return replace(
        finding,
        sentence=_safe(finding.sentence, english.sentence, minimum),
        paragraph=_safe(finding.paragraph, english.paragraph, minimum),
        warnings=tuple(
            _safe(text, ours, minimum) for text, ours in zip(finding.warnings, english.warnings, strict=True)
        ),
        would_change=_safe(finding.would_change, english.would_change, minimum),
        next_step=_safe(finding.next_step, english.next_step, minimum),
        rows=rows,
        numbers={name: None if name in changed else value for name, value in finding.numbers.items()},
    )


def _safe(text: str, english: str, minimum: int) -> str:
    """The text, unless its English tells a small count."""
    without = veil(english, minimum)
    return text if without == english else without


def _row(row: Number, minimum: int) -> Number:
    """The number as it is, or without its value where it rests on too few."""
    if row.n is None or not is_small(row.n, minimum):
        method = veil(row.method, minimum)
        return row if method == row.method else replace(row, method=method)
    row = replace(row, method=veil(row.method, minimum))
    blank = replace(row, estimate=math.nan, std_error=math.nan, conf_low=math.nan, conf_high=math.nan)
    return replace(blank, p_value=math.nan, n=None)
