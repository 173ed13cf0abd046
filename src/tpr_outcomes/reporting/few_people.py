"""What the answers to claims would tell of a few people, taken out before they become words, rows and files.

One step between the analyses of all claims and everything that writes them. Each number says who is behind it
(:class:`~tpr_outcomes.reporting.verdict.Behind`); a number that would tell of 1 to 4 patients, by itself or
less another number that is shown, is not told. What is not known counts as few.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tpr_outcomes.cohort.privacy import Counts, is_small
from tpr_outcomes.reporting import words
from tpr_outcomes.reporting.claim_plug import Said
from tpr_outcomes.reporting.spelling import number, percent
from tpr_outcomes.reporting.verdict import Behind, Number

KNOWN = {"patients": ("analysed", "patients"), "visits": ("visits",)}
"""Totals that every report gives, by what they count; an answer's own are set against them."""
COUNT_TEXTS = frozenset({"n", "treated", "without", "asked"})
"""Parts of sentences that are a count."""
ENDED = "ended"
"""Group of the shares whose course ended otherwise; its parts have groups that begin so."""


@dataclass(frozen=True)
class NotTold:
    """Totals of one kind that are not told in any answer, and those that are.

    Attributes
    ----------
    totals, told : frozenset of int
    """

    totals: frozenset[int]
    told: frozenset[int]


Hidden = Mapping[str, NotTold]


def withhold(said: Sequence[Said], shown: Counts) -> list[Said]:
    """Take out of all answers of a report what would tell of a few people.

    Parameters
    ----------
    said : sequence of Said
        What is to be said of every claim.
    shown : Counts
        The counts of the same report, and which of them are shown.

    Returns
    -------
    list of Said
        Numbers without a value where it is withheld, with their interval and p-value; without ``n`` where
        that is withheld, the rest then rounded as it is printed. Sentences do without either.

    Notes
    -----
    A total (``n``, or an estimate that is a count) is withheld where it is small, or differs from another
    that is told by 1 to 4: those of the report before those of the answers, the more often used before the
    less. A share is withheld where one of the groups behind it is small, or not known; where its ``n`` is
    withheld nearly the same
    patients as another share of the same answer; and where a withheld one would follow from it as a sum or
    difference of two, or as the rest of a whole. A share of 0 or 1 counts nobody.
    """
    minimum = shown.minimum
    hidden = {kind: _hidden(kind, said, shown) for kind in KNOWN}
    return [_without(one, hidden, minimum) for one in said]


# --- totals ---------------------------------------------------------------------------------------


def _hidden(kind: str, said: Sequence[Said], shown: Counts) -> NotTold:
    """Decide which totals of one kind are told."""
    named = [name for name in KNOWN[kind] if name in shown.values]
    told = {shown.values[name] for name in named if name not in shown.withheld}
    hidden = {shown.values[name] for name in named if name in shown.withheld} - told
    parts = {row.n for one in said for row in one.numbers if row.behind.group == "region" and row.n}
    whole = {row.n for one in said for row in one.numbers if row.term == "regions_mean" and row.n}
    used = Counter(total for one in said for row in one.numbers for total in _totals(row, kind))
    for total, _ in sorted(used.items(), key=lambda item: (-item[1], -item[0])):
        if is_small(total, shown.minimum) or _near(total, told, shown.minimum):
            hidden.add(total)
        elif total not in hidden:
            told.add(total)
    if kind == "patients" and (whole & hidden or any(_near(n, told, shown.minimum) for n in whole)):
        hidden |= parts  # they add up to it
    return NotTold(frozenset(hidden), frozenset(told))


def _totals(row: Number, kind: str) -> Iterator[int]:
    """Totals of a kind that a number would tell; regions lie beside each other, so they are no totals."""
    if kind == "patients" and row.n and row.behind.group != "region":
        yield row.n
    if row.behind.counts == kind and math.isfinite(row.estimate):
        yield round(row.estimate)
    if kind == "visits" and row.unit == "share of visits":
        yield row.behind.of


def _near(total: int, told: Iterable[int], minimum: int) -> bool:
    """Whether a total and one that is told leave a small rest."""
    return any(is_small(abs(total - other), minimum) for other in told)


# --- shares ---------------------------------------------------------------------------------------


def _is_share(row: Number) -> bool:
    return row.unit.startswith("share") and "per" not in row.unit and math.isfinite(row.estimate)


def _of_people(row: Number) -> bool:
    """Whether a share counts patients, not visits."""
    return row.behind.of in (0, row.n)


def _numerator(row: Number) -> int:
    """Patients a share counts; 0 where it counts nobody."""
    return row.behind.sides[0] if row.behind.sides else 0


def _tells(row: Number, hidden: Hidden, minimum: int) -> bool:
    """Whether a number by itself tells of a few."""
    if row.n and is_small(row.n, minimum):
        return True
    if row.behind.counts:
        count = round(row.estimate) if math.isfinite(row.estimate) else 0
        return is_small(count, minimum) or count in hidden[row.behind.counts].totals
    if not _is_share(row) or row.behind.sides == ():
        return False
    if row.unit == "share of visits" and row.behind.of in hidden["visits"].totals:
        return True
    if (
        _of_people(row)
        and row.n in hidden["patients"].totals
        and not _vague(_no_interval(row), hidden, minimum)
    ):
        return True
    if row.behind.sides is None:
        return row.estimate not in (0.0, 1.0)
    return any(is_small(n, minimum) for n in row.behind.sides)


def _vague(row: Number, hidden: Hidden, minimum: int) -> bool:
    """Whether a share of a withheld total, as it is printed, fits every total that leaves a small rest.

    With other totals the interval is taken to widen by the square root of their ratio.
    """
    n = row.n or 0
    printed = [round(value, 2) for value in (row.estimate, row.conf_low, row.conf_high)]
    near = [total for total in hidden["patients"].told if is_small(abs(total - n), minimum)]
    others = {total - d if n < total else total + d for total in near for d in range(1, minimum)}
    return all(any(_as_printed(row, k, other, printed) for k in range(other + 1)) for other in others)


def _as_printed(row: Number, k: int, n: int, printed: Sequence[float]) -> bool:
    """Whether k of n would be printed the same."""
    share, wider = k / n, math.sqrt((row.n or 0) / n)
    ends = (share + wider * (end - row.estimate) for end in (row.conf_low, row.conf_high))
    values = (share, *(min(max(end, 0.0), 1.0) for end in ends))
    return all(math.isnan(was) or round(value, 2) == was for value, was in zip(values, printed, strict=True))


def _withheld(said: Said, hidden: Hidden, minimum: int) -> set[int]:
    """Places of the numbers whose value is withheld."""
    rows = list(said.numbers)
    out = {i for i, row in enumerate(rows) if _tells(row, hidden, minimum)}
    shares = [i for i, row in enumerate(rows) if _is_share(row) and row.behind.sides]
    quoted = {i: not any(_veil(text, _gone([rows[i]], name)) != text for name, text in said.texts.items())
              for i in shares}  # fmt: skip
    kept: list[Number] = []
    for i in sorted(shares, key=lambda i: (quoted[i], i)):  # what the sentence says goes last
        if i in out:
            continue
        if any(_overlap(rows[i], other, minimum) for other in kept):
            out.add(i)
        else:
            kept.append(rows[i])
    for group in {rows[i].behind.group for i in shares} - {"", ENDED}:
        parts = [i for i in shares if rows[i].behind.group == group]
        gone = [_numerator(rows[i]) for i in parts if i in out]
        left = sorted((i for i in parts if i not in out and rows[i].estimate), key=lambda i: rows[i].estimate)
        if gone and left and max(gone) < minimum:  # they would follow as the rest of a whole
            out.add(left[0])
    return out


def _overlap(a: Number, b: Number, minimum: int) -> bool:
    """Whether one of two shares may lie within the other and leave a small rest."""
    same = a.unit == b.unit and a.n == b.n and a.behind.of == b.behind.of
    one, other = a.behind.group, b.behind.group
    beside = one == other and one not in ("", ENDED)  # parts of one whole
    beside |= one.startswith(ENDED) != other.startswith(ENDED)  # stopped without a response, or with one
    if not same or beside or not (_of_people(a) or a.unit == "share of visits"):
        return False
    rests = [_numerator(a) - _numerator(b)]
    if not _of_people(a):
        rests.append(round((a.estimate - b.estimate) * a.behind.of))
    return any(is_small(abs(rest), minimum) for rest in rests)


# --- what is left to be said ----------------------------------------------------------------------


def _without(said: Said, hidden: Hidden, minimum: int) -> Said:
    """The same answer without what would tell of a few."""
    rows = list(said.numbers)
    out = _withheld(said, hidden, minimum)
    numbers = [
        _blank(row)
        if i in out
        else _coarse(row, hidden, minimum)
        if row.n in hidden["patients"].totals
        else row
        for i, row in enumerate(rows)
    ]
    texts = {name: _count_text(name, text, hidden) for name, text in said.texts.items()}
    template, ends = said.template, {name for pair in _ends(texts) for name in pair}
    for low, high in _ends(texts):
        lost = [old for old, new in zip(rows, numbers, strict=True) if math.isnan(new.conf_low)]
        if any(texts[low] in _spelt(r, r.conf_low) and texts[high] in _spelt(r, r.conf_high) for r in lost):
            template = _without_interval(template, low, high)
    gone = [rows[i] for i in out]
    asis = COUNT_TEXTS | ends
    changed = {name: text if name in asis else _veil(text, _gone(gone, name)) for name, text in texts.items()}
    changed = {name: _opening(name, text, said) for name, text in changed.items()}
    plain = [replace(row, behind=Behind()) for row in numbers]
    return replace(said, template=template, texts=changed, numbers=plain)


def _ends(texts: Mapping[str, str]) -> list[tuple[str, str]]:
    """Names of the parts that are the ends of an interval, in pairs."""
    lows = [name for name in texts if name == "low" or name.endswith("_low")]
    pairs = ((name, f"{name.removesuffix('low')}high") for name in lows)
    return [pair for pair in pairs if pair[1] in texts]


def _without_interval(template: str, low: str, high: str) -> str:
    """A sentence that says that its interval is withheld; no numbers at all where it is put otherwise."""
    interval = words.SPAN.format(low=f"{{{low}}}", high=f"{{{high}}}")
    if f"{{{low}}}" in template and interval not in template:
        return words.ABOUT["too few to tell"]
    return template.replace(interval, words.WITHHELD["interval"])


def _opening(name: str, text: str, said: Said) -> str:
    """A part that opens a sentence, with a capital where something withheld now stands there."""
    opens = text.startswith(" ") or f". {{{name}}}" in f". {said.template}"
    if opens and text.lstrip().startswith(tuple(words.WITHHELD.values())):
        at = len(text) - len(text.lstrip())
        return text[:at] + text[at].upper() + text[at + 1 :]
    return text


def _blank(row: Number) -> Number:
    """A number without its value, nor anything it was computed from."""
    gone = math.nan
    return replace(row, estimate=gone, std_error=gone, conf_low=gone, conf_high=gone, p_value=gone, n=None)


def _coarse(row: Number, hidden: Hidden, minimum: int) -> Number:
    """A number as it is printed, without its ``n``: digits, standard error and p-value would tell it."""
    if _is_share(row) and _of_people(row) and row.behind.sides and not _vague(row, hidden, minimum):
        row = _no_interval(row)
    if row.unit == "share of visits":  # exact, of visits: patients do not enter
        return replace(row, n=None)
    values = (_printed(value, row.unit) for value in (row.estimate, row.conf_low, row.conf_high))
    estimate, low, high = values
    return replace(
        row, estimate=estimate, conf_low=low, conf_high=high, std_error=math.nan, p_value=math.nan, n=None
    )


def _printed(value: float, unit: str) -> float:
    """Rounded as sentences round it: shares and ratios to hundredths, others to two digits."""
    if not math.isfinite(value) or unit == "p-value":
        return value
    if unit.startswith("share"):
        return float(f"{100 * value:.0f}") / 100  # as percentages are: a half to the even one
    if unit == "ratio":
        return float(f"{value:.2f}")
    return float(round(value)) if abs(value) >= 9.95 else float(f"{value:.2g}")


def _count_text(name: str, text: str, hidden: Hidden) -> str:
    """A count in a sentence, or that it is withheld."""
    kind = "visits" if name == "asked" else "patients"
    digits = text.replace(",", "")
    if name in COUNT_TEXTS and digits.isdigit() and int(digits) in hidden[kind].totals:
        return words.WITHHELD["count"]
    return text


def _no_interval(row: Number) -> Number:
    return replace(row, conf_low=math.nan, conf_high=math.nan)


def _gone(rows: Iterable[Number], name: str) -> set[str]:
    """How a part of a sentence may write what is withheld: an end of an interval, or a value."""
    end = name.endswith(("low", "high"))
    values = ((row, row.conf_low, row.conf_high) if end else (row, row.estimate) for row in rows)
    found = ((row, value) for row, *several in values for value in several)
    # none, all: nobody is told of
    return {spelt for row, value in found if value not in (0.0, 1.0) for spelt in _spelt(row, value)}


def _spelt(row: Number, value: float) -> tuple[str, ...]:
    """How a sentence may write a value."""
    if not math.isfinite(value):
        return ()
    if row.unit.startswith("share"):
        return percent(value), f"{number(100 * value)}%"
    return number(value), number(abs(value)), f"{value:.2f}"


def _veil(text: str, gone: set[str]) -> str:
    """A part of a sentence without the values that are withheld."""
    for spelt in sorted(gone, key=len, reverse=True):
        instead = words.WITHHELD["share" if spelt.endswith("%") else "number"]
        text = re.sub(rf"(?<![\d.,−-]){re.escape(spelt)}(?![\d]|[.,]\d)", instead, text)
    return text
