"""From a number on the page to its row: every number shown is found among the results and carries their id.

The page says, section by section and cell by cell, where its numbers come from (``data-scope``, a list of
ids or beginnings of ids). Inside a scope a number must be a field of a row, rounded as printed; it is then
written as ``<data value=… data-ref=… data-field=…>``. A number that is no field of any row in scope stays as
it is and is returned, and the tests of the report allow none.

Not numbers of the record, and left alone: what stands inside an element of :data:`PLAIN` (section and figure
numbers, citations, formulas, code, words of the user's own), and digits that are part of a name (C13,
SHA-256).
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tpr_outcomes.reporting import words_numbers
from tpr_outcomes.reporting.numbers import NUMERIC, Results, Row
from tpr_outcomes.reporting.results import DIGITS

PLAIN = ("style", "title", "math", "cite", "code")
"""Elements whose text holds no result; also any element with the attribute ``data-plain``."""
VOID = ("meta", "img", "source", "br", "hr", "link", "input", "col")

NUMBER = re.compile(
    r"(?<![A-Za-z]-)(?<![\w.,])(?<!&#)(?P<sign>(?<![\w)])[-−](?=\d))?(?P<digits>\d{1,3}(?:,\d{3})+|\d+)"
    r"(?P<part>\.\d+)?(?:st|nd|rd|th)?(?![\w])(?P<percent>\s?%)?"
)
_TAG = re.compile(r"(<[^>]*>)")
_EDGE = 1 + 1e-9


@dataclass(frozen=True)
class Unlinked:
    """A number on the page that no row in its scope holds.

    Attributes
    ----------
    text : str
        As printed.
    around : str
        The text it stands in.
    scopes : tuple of str
        Where it was looked for.
    """

    text: str
    around: str
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class Linked:
    """A page with its numbers linked.

    Attributes
    ----------
    html : str
    unlinked : tuple of Unlinked
    """

    html: str
    unlinked: tuple[Unlinked, ...]


@dataclass(frozen=True)
class Reference:
    """Where a printed number comes from.

    Attributes
    ----------
    row : Row
    field : str
        One of :data:`~tpr_outcomes.reporting.numbers.NUMERIC`.
    """

    row: Row
    field: str

    @property
    def value(self) -> str:
        """The number behind the printed one, to ten significant digits."""
        return f"{self.row.value(self.field):.{DIGITS}g}"


def find_number(printed: re.Match[str], rows: Sequence[Row], *, below: bool = False) -> Reference | None:
    """Return the first field that rounds to a printed number; a field equal to it comes first.

    Parameters
    ----------
    printed : re.Match
        Of :data:`NUMBER`.
    rows : sequence of Row
        In the order in which they are to be tried.
    below : bool
        The number is printed as an upper limit ("<0.001"): a p-value below it, or a field equal to it.
    """
    value, half = value_of(printed)
    whole = [(value, half, rows)]
    if printed["percent"]:
        in_percent = [row for row in rows if row.unit == "%"]
        whole = [(value / 100, half / 100, rows), (value, half, in_percent)]
    for wanted, allowed, tried in whole:
        near: Reference | None = None
        for row in tried:
            for field in NUMERIC:
                held = row.value(field)
                if not math.isfinite(held):
                    continue
                if held == wanted or (below and field == "p_value" and held < wanted):
                    return Reference(row, field)
                if near is None and not below and abs(held - wanted) <= allowed * _EDGE:
                    near = Reference(row, field)
        if near is not None:
            return near
    return None


def value_of(printed: re.Match[str]) -> tuple[float, float]:
    """Value of a printed number, and half a unit of its last digit."""
    value = float(printed["digits"].replace(",", "") + (printed["part"] or ""))
    half = 0.5 * 10.0 ** -(len(printed["part"]) - 1 if printed["part"] else 0)
    return (-value if printed["sign"] else value), half


def chance_pattern() -> re.Pattern[str]:
    """Return what a p-value in words looks like, in the forms of the catalogue."""
    forms = (
        re.escape(words_numbers.CHANCES[kind])
        .replace(r"\{of\}", f"(?P<{kind}>[\\d,]+)")
        .replace(r"\{times\}", r"(?P<count>\d+)")
        for kind in ("less", "once", "times")
    )
    return re.compile("|".join(forms))


def _find_chance(said: re.Match[str], rows: Sequence[Row]) -> Reference | None:
    """Return the p-value behind "about 3 times in 1,000 such records"."""
    base = float((said["less"] or said["once"] or said["times"]).replace(",", ""))
    times = float(said["count"] or 1)
    for row in rows:
        p_value = row.p_value
        if math.isfinite(p_value) and (
            p_value < times / base if said["less"] else abs(p_value * base - times) <= 0.5 * _EDGE
        ):
            return Reference(row, "p_value")
    return None


def link(page: str, results: Results) -> Linked:
    """Write the id of its row beside every number of a page.

    Parameters
    ----------
    page : str
        HTML of ours: well-formed, every text and attribute escaped.
    results : Results

    Returns
    -------
    Linked
    """
    return _Linker(results).run(page)


class _Linker:
    """One pass over a page."""

    def __init__(self, results: Results) -> None:
        self.results, self.chance = results, chance_pattern()
        self.open: list[tuple[str, tuple[str, ...], bool]] = [("", (), False)]
        self.unlinked: list[Unlinked] = []
        self.rows: dict[tuple[str, ...], list[Row]] = {}

    def run(self, page: str) -> Linked:
        parts = []
        for part in _TAG.split(page):
            parts.append(self.tag(part) if part.startswith("<") else self.text(part))
        return Linked("".join(parts), tuple(self.unlinked))

    def tag(self, tag: str) -> str:
        if tag.startswith("</"):
            self.open.pop()
            return tag
        name = re.match(r"<([A-Za-z0-9]+)", tag)
        if name is None:  # the doctype, a comment
            return tag
        _, scopes, plain = self.open[-1]
        own = re.search(r'\sdata-scope="([^"]*)"', tag)
        scopes = (*html.unescape(own.group(1)).split("|"), *scopes) if own else scopes
        if name.group(1) in VOID:
            return self.picture(tag, scopes) if name.group(1) == "img" else tag
        plain = plain or name.group(1) in PLAIN or bool(re.search(r"\sdata-plain[\s>]", tag))
        self.open.append((name.group(1), scopes, plain))
        return re.sub(r'\sdata-scope="[^"]*"', "", tag)

    def picture(self, tag: str, scopes: tuple[str, ...]) -> str:
        """Name the rows behind the alternative text."""
        alt = re.search(r'\salt="([^"]*)"', tag)
        if alt is None:
            return tag
        found: dict[str, None] = {}

        def note(text: str, reference: Reference) -> str:
            found[f"{reference.row.id}.{reference.field}"] = None
            return text

        self._each(alt.group(1), scopes, note)
        refs = html.escape(" ".join(found), quote=True)
        return f'{tag[:-1]} data-refs="{refs}">' if found else tag

    def text(self, text: str) -> str:
        _, scopes, plain = self.open[-1]
        if plain or not text.strip():
            return text

        def mark(shown: str, reference: Reference) -> str:
            where = f'data-ref="{html.escape(reference.row.id)}" data-field="{reference.field}"'
            return f'<data value="{reference.value}" {where}>{shown}</data>'

        return self._each(text, scopes, mark)

    def _each(self, text: str, scopes: tuple[str, ...], use: object) -> str:
        """Replace each number of a text by what ``use`` makes of it and its reference."""
        assert callable(use)
        rows = self._rows(scopes)
        parts: list[str] = []
        at = 0
        for said in self.chance.finditer(text):
            parts.append(self._numbers(text, at, said.start(), rows, scopes, use))
            found = _find_chance(said, rows)
            parts.append(use(said.group(0), found) if found else self._miss(text, said.group(0), scopes))
            at = said.end()
        parts.append(self._numbers(text, at, len(text), rows, scopes, use))
        return "".join(parts)

    def _numbers(
        self, text: str, start: int, end: int, rows: list[Row], scopes: tuple[str, ...], use: object
    ) -> str:
        assert callable(use)
        parts, at = [], start
        for printed in NUMBER.finditer(text, start, end):
            below = text[: printed.start()].endswith(("&lt;", "<"))
            found = find_number(printed, rows, below=below)
            shown = printed.group(0)
            parts.append(text[at : printed.start()])
            parts.append(use(shown, found) if found else self._miss(text, shown, scopes))
            at = printed.end()
        return "".join([*parts, text[at:end]])

    def _rows(self, scopes: tuple[str, ...]) -> list[Row]:
        if scopes not in self.rows:
            self.rows[scopes] = self.results.under(scopes)
        return self.rows[scopes]

    def _miss(self, text: str, shown: str, scopes: tuple[str, ...]) -> str:
        self.unlinked.append(Unlinked(shown, " ".join(html.unescape(text).split()), scopes))
        return shown
