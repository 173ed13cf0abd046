"""From a sentence of an analysis to a sentence of the catalogue: found by its form, with its numbers kept."""

from __future__ import annotations

import re
import string
from functools import cache

from tpr_outcomes.reporting import words_reasons as say


def told(text: str) -> str:
    """Say what an analysis or a reader said, in the words of the catalogue.

    Parameters
    ----------
    text : str
        As the analysis gave it; its first letter may be small and its full stop gone.

    Returns
    -------
    str
        The same sentence, or its translation; the text itself where no form fits.

    Examples
    --------
    >>> told("too few patients; 15 are needed")
    'too few patients; 15 are needed'
    """
    bare = text.rstrip(".")
    for group, key, form in _forms():
        found = form.fullmatch(bare)
        if found is None:
            continue
        ours = say.english_forms[group][key]
        said = getattr(say, group)[key].format(**{k: told(part) for k, part in found.groupdict().items()})
        if bare[:1].islower() and ours[:1].isupper():
            said = said[:1].lower() + said[1:]
        if bare == text:
            return str(said).rstrip(".")
        return str(said) if ours.endswith(".") else f"{said}."
    return text


def unit_of(unit: str) -> str:
    """Plural of a unit of a scale, in the words of the catalogue."""
    return say.UNITS.get(unit, (unit, unit))[1]


def one_of(unit: str) -> str:
    """Singular of a unit that stands in the plural."""
    pairs = {many: one for one, many in say.UNITS.values()}
    return pairs.get(unit, unit[:-1] if unit.endswith("s") else unit)


@cache
def _forms() -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    """Forms of all sentences, those without a field first and the longest first."""
    found = [(group, key, text) for group, held in say.english_forms.items() for key, text in held.items()]
    found.sort(key=lambda one: ("{" in one[2], -len(one[2])))
    return tuple((group, key, _form(text)) for group, key, text in found)


def _form(text: str) -> re.Pattern[str]:
    """What a filled template looks like, without its full stop and with a first letter of either size."""
    parts, seen = [], set()
    for literal, name, _, _ in string.Formatter().parse(text.rstrip(".")):
        parts.append(re.escape(literal))
        if name is not None:
            parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>.+?)")
            seen.add(name)
    first = text[:1]
    either = f"[{first.upper()}{first.lower()}]" if first.isalpha() else ""
    return re.compile(either + "".join(parts)[1:] if either else "".join(parts), re.DOTALL)
