r"""Privacy: which counts of people may be shown, ages over 89 pooled, words that few patients share.

One mechanism serves every table, figure and file. A count of people is *small* from 1 to one less than the
minimum; a small count is not shown. Nor is anything from which it follows: the counts are given with the sums
they enter, and further counts are withheld until, for each small count, every value from 1 to one less than
the minimum is possible given all that is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog

MINIMUM = 5
"""Smallest count of people that is shown unless the plan says otherwise."""
OLDEST = 89
"""Highest age told apart; older patients are pooled (45 CFR 164.514(b)(2)(i)(C))."""
POOLED_AGE = 90.0
"""Age written for everybody older than :data:`OLDEST`: "90 or over"."""
OTHER = "other"
"""Word for categories that too few patients share to be named."""


@dataclass(frozen=True)
class Sum:
    """A count that is the sum of others, which a reader may know.

    Attributes
    ----------
    total : str
        Name of the sum.
    parts : tuple of str
        Names of what it is made of.
    """

    total: str
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Counts:
    """Counts of people that belong together, and which of them may be shown.

    Attributes
    ----------
    values : mapping of str to int
        Every count by name, hidden ones among them.
    withheld : frozenset of str
        Those not to be shown: small ones, and those from which a small one would follow.
    minimum : int
        Smallest count shown; 1 or less shows all.
    hidden : str
        Word for a count that is withheld without being small.
    """

    values: Mapping[str, int]
    withheld: frozenset[str]
    minimum: int = MINIMUM
    hidden: str = "withheld"

    def number(self, name: str) -> int | None:
        """Return a count, None where it is withheld."""
        return None if name in self.withheld else self.values[name]

    def text(self, name: str) -> str:
        """Return a count in words: "<5" where it is small, "withheld" where a small one would follow."""
        value = self.values[name]
        if name in self.withheld and not is_small(value, self.minimum):
            return self.hidden
        return count_text(value, self.minimum)


def is_small(count: float, minimum: int = MINIMUM) -> bool:
    """Tell whether a count of people is too small to be shown; none at all is not.

    Examples
    --------
    >>> [is_small(n) for n in (0, 1, 4, 5)]
    [False, True, True, False]
    """
    return 0 < count < minimum


def count_text(count: int, minimum: int = MINIMUM) -> str:
    """Write a count that enters no sum, hidden where it is small.

    Examples
    --------
    >>> count_text(4), count_text(5), count_text(0), count_text(1200), count_text(7, 10)
    ('<5', '5', '0', '1,200', '<10')
    """
    return f"<{minimum}" if is_small(count, minimum) else f"{count:,}"


def protect(
    values: Mapping[str, int],
    sums: Iterable[Sum] = (),
    *,
    unseen: Iterable[str] = (),
    same: Mapping[str, str] | None = None,
    kept: Sequence[str] = (),
    minimum: int = MINIMUM,
) -> Counts:
    r"""Choose which counts to withhold so that no small one can be worked out.

    Parameters
    ----------
    values : mapping of str to int
        Counts by name, none negative.
    sums : iterable of Sum
        Which of them add up; every name is one of ``values``.
    unseen : iterable of str
        Counts that are not printed anywhere but follow from those that are (a difference).
    same : mapping of str to str, optional
        Further names of counts in ``values``: shown or withheld with them.
    kept : sequence of str
        Counts to go last, the most needed first.
    minimum : int
        Smallest count shown.

    Returns
    -------
    Counts

    Notes
    -----
    Small counts are withheld (primary suppression). A small count :math:`x_i` is *exposed* where
    :math:`[\min x_i, \max x_i]`, over all counts that agree with what is shown, does not cover
    :math:`1 \dots m-1` as far as it could if no number were shown; the two ends are linear programs. While
    one is exposed, one more of the counts in its sums, or in sums joined to them by withheld counts, is
    withheld: those not in ``kept`` before those in it, smaller before larger (complementary suppression;
    Fischetti and Salazar-González 2001, doi:10.1287/mnsc.47.7.1008.9813, choose the cheapest set, where
    this takes one at a time).
    A reader is taken to know the sums, the minimum, and that what is called withheld is not small; not the
    order in which counts were chosen.
    """
    known, every = dict(values), tuple(sums)
    small = [name for name, value in known.items() if is_small(value, minimum)]
    never = set(unseen)
    hidden = never | set(small)
    rank = {name: len(kept) - i for i, name in enumerate(kept)}
    blank = never | {name for name, value in known.items() if value}  # no number shown but the zeros
    for name in small:
        low, high = _range(name, known, every, blank, never, minimum)
        wanted = max(low, 1.0), min(high, minimum - 1.0)
        while _exposed(_range(name, known, every, hidden, never, minimum), wanted):
            near = _candidates(name, known, every, hidden)
            if not near:
                break
            hidden.add(min(near, key=lambda other: (rank.get(other, 0), known[other], other)))
    again = dict(same or {})
    hidden |= {name for name, other in again.items() if other in hidden}
    return Counts(known | {name: known[other] for name, other in again.items()}, frozenset(hidden), minimum)


def nested(outer: str, inner: str, values: dict[str, int], unseen: set[str]) -> Sum:
    """Note that one group lies within another: their difference is a count too, though nobody prints it.

    Parameters
    ----------
    outer, inner : str
        Names of the two groups in ``values``.
    values, unseen : dict, set
        Given the difference, under a name of its own.

    Returns
    -------
    Sum
        The outer group, as the inner one and the rest.
    """
    rest = f"{outer} without {inner}"
    values[rest] = values[outer] - values[inner]
    unseen.add(rest)
    return Sum(outer, (inner, rest))


def withheld_parts(parts: Sequence[int], *, total: bool = True, minimum: int = MINIMUM) -> list[bool]:
    """Tell which parts of a whole to withhold, the whole being shown (or not).

    Examples
    --------
    >>> withheld_parts([60, 3, 7, 40])
    [False, True, True, False]
    """
    values = {str(i): int(n) for i, n in enumerate(parts)}
    sums = [Sum("total", tuple(values))] if total else []
    names = list(values)
    counts = protect(values | {"total": sum(parts)}, sums, kept=["total"], minimum=minimum)
    return [name in counts.withheld for name in names]


def _joined(name: str, sums: tuple[Sum, ...], hidden: set[str]) -> list[Sum]:
    """Sums a hidden count enters, and those joined to them by hidden counts."""
    reached, waiting, found = {name}, [name], []
    while waiting:
        here = waiting.pop()
        for item in sums:
            members = (item.total, *item.parts)
            if here in members and item not in found:
                found.append(item)
                new = {other for other in members if other in hidden} - reached
                reached |= new
                waiting += sorted(new)
    return found


def _candidates(name: str, values: Mapping[str, int], sums: tuple[Sum, ...], hidden: set[str]) -> list[str]:
    """Counts still shown that could protect a hidden one: those of its own sums before those further off."""
    joined = _joined(name, sums, hidden)
    for near in ([item for item in joined if name in (item.total, *item.parts)], joined):
        members = [other for item in near for other in (item.total, *item.parts)]
        found = [other for other in dict.fromkeys(members) if other not in hidden and values[other] > 0]
        if found:
            return found
    return []


def _exposed(found: tuple[float, float], wanted: tuple[float, float]) -> bool:
    """Tell whether what is shown rules out a value that a small count could have."""
    return found[0] > wanted[0] + _SLACK or found[1] < wanted[1] - _SLACK


_SLACK = 1e-6
"""Counts are whole; a linear program's answer is off by far less than this."""


def _range(
    name: str,
    values: Mapping[str, int],
    sums: tuple[Sum, ...],
    hidden: set[str],
    never: set[str],
    minimum: int,
) -> tuple[float, float]:
    """Smallest and largest value of a hidden count that agrees with what is shown."""
    joined = _joined(name, sums, hidden)
    if not joined:
        low, high = _bounds(name, values, never, minimum)
        return low, np.inf if high is None else high
    members = dict.fromkeys(other for item in joined for other in (item.total, *item.parts))
    free = [other for other in members if other in hidden]
    place = {other: i for i, other in enumerate(free)}
    lines = np.zeros((len(joined), len(free)))
    known = np.zeros(len(joined))
    for row, item in enumerate(joined):
        for other, sign in _signs(item):
            if other in place:
                lines[row, place[other]] += sign
            else:
                known[row] -= sign * values[other]
    bounds = [_bounds(other, values, never, minimum) for other in free]
    aim = np.zeros(len(free))
    aim[place[name]] = 1.0
    low, high = (_end(aim * side, lines, known, bounds) * side for side in (1.0, -1.0))
    return low, high


def _signs(item: Sum) -> Iterator[tuple[str, float]]:
    yield item.total, -1.0
    for part in item.parts:
        yield part, 1.0


def _bounds(
    name: str, values: Mapping[str, int], never: set[str], minimum: int
) -> tuple[float, float | None]:
    """What a reader knows of a hidden count by itself."""
    if name in never:
        return 0.0, None
    return (1.0, minimum - 1.0) if is_small(values[name], minimum) else (float(minimum), None)


def _end(
    aim: npt.NDArray[np.float64],
    lines: npt.NDArray[np.float64],
    known: npt.NDArray[np.float64],
    bounds: list[tuple[float, float | None]],
) -> float:
    """Smallest value of a linear aim over all counts that agree with what is shown."""
    solved = linprog(aim, A_eq=lines, b_eq=known, bounds=bounds, method="highs")
    if solved.status == 3:  # unbounded
        return -np.inf
    return float(solved.fun if solved.fun is not None else -np.inf)


_OF = r"(?P<part>[\d,]+)(?= of (?:the )?(?P<whole>[\d,]+) (?:patients|people))"
_SOME = r"(?P<some>[\d,]+)(?P<noun> (?:other |further )?(?:patient|people)s?\b)"
_LISTED = re.compile(r"\bpatients\b[^.;:]*: [\d,]*\d\b(?:, [^.;:]*: [\d,]*\d\b)*")
_COUNT = re.compile(r": ([\d,]*\d)\b")
"""Counts after a colon: "patients with a flare: 3, without one: 12"."""
_PEOPLE = re.compile(rf"(?<![\w.,–-])(?:{_OF}|{_SOME})")


def veil(text: str, minimum: int = MINIMUM) -> str:
    """Take small counts of patients out of a sentence: the net under the sentences, whoever wrote them.

    Parameters
    ----------
    text : str
        A sentence about a record.
    minimum : int
        Smallest count shown.

    Examples
    --------
    >>> veil("1 patient stopped; 38 of 40 patients came again.")
    'fewer than 5 patients stopped; nearly all of 40 patients came again.'
    >>> veil("patients with a flare: 3, without one: 12; 15 of each are needed")
    'patients with a flare: fewer than 5, without one: 12; 15 of each are needed'
    """

    def instead(found: re.Match[str]) -> str:
        n = int((found["part"] or found["some"]).replace(",", "") or 0)
        if is_small(n, minimum):
            noun = found["noun"] or ""
            return f"fewer than {minimum}{noun + 's' if noun.endswith('patient') else noun}"
        if found["whole"] and is_small(int(found["whole"].replace(",", "")) - n, minimum):
            return "nearly all"
        return found[0]

    def listed(found: re.Match[str]) -> str:
        return _COUNT.sub(
            lambda n: f": fewer than {minimum}" if is_small(int(n[1].replace(",", "")), minimum) else n[0],
            found[0],
        )

    return _LISTED.sub(listed, _PEOPLE.sub(instead, text))


def pool_ages(ages: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Pool ages over 89 into 90 ("90 or over").

    Parameters
    ----------
    ages : (n,) array_like of float
        Years; NaN stays.

    Examples
    --------
    >>> pool_ages([34.0, 89.0, 89.5, 97.0])
    array([34., 89., 90., 90.])
    """
    years = np.asarray(ages, dtype=np.float64)
    return np.where(years > OLDEST, POOLED_AGE, years)


def pool_words(counts: Mapping[str, int], minimum: int = MINIMUM) -> dict[str, int]:
    """Put words that too few patients share together as "other": such a word may itself tell who it was.

    Parameters
    ----------
    counts : mapping of str to int
        Patients by word, in the order wanted.
    minimum : int
        Fewest patients a word that is shown is shared by.

    Returns
    -------
    dict of str to int
        Words shown, then :data:`OTHER` where there are any others.

    Examples
    --------
    >>> pool_words({"better": 40, "moved to Elba": 1, "cost": 9, "quarrel": 2})
    {'better': 40, 'cost': 9, 'other': 3}
    """
    shown = {word: n for word, n in counts.items() if not is_small(n, minimum)}
    rest = sum(n for word, n in counts.items() if word not in shown)
    if rest:
        shown[OTHER] = shown.pop(OTHER, 0) + rest
    return shown
