"""A proposed column map: for each column we know, which of the user's columns may be meant, and why.

Nothing is taken over by itself. The proposal is a columns.toml with its reasons as comments; what is in doubt
(two columns for one purpose, a name that only resembles, values that do not fit) is commented out, so that
somebody decides. Reasons speak of names and of what share of the values fits, never of a value.
"""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tpr_outcomes.cohort.cells import Record
from tpr_outcomes.cohort.dates import Bools, Floats, read_dates
from tpr_outcomes.cohort.names import CANONICAL, CATEGORIES, COUNTS, KNOWN, plain_name
from tpr_outcomes.cohort.scales import Scale
from tpr_outcomes.cohort.typed_values import says_nothing, to_number
from tpr_outcomes.cohort.value_rules import AGE_RANGE, FREE_TEXT_LENGTH, FREE_TEXT_VALUES

NEAR = 0.75
"""Likeness of two names (0 to 1) from which one may be meant by the other."""
FITS = 0.8
"""Share of a column's filled cells that have to be possible values for it to be proposed."""
REPEATED = 0.5
"""The same for patients: some come once."""
NEEDED = ("patient", "pain", "twitches")
"""Columns a record cannot do without, beside one that tells the order of visits."""


@dataclass(frozen=True)
class Candidate:
    """One of the user's columns that may be what is looked for.

    Attributes
    ----------
    column : str
        The user's name.
    reason : str
        Why it may be meant.
    sure : bool
        Whether its name says so and its values fit; one that is not sure is only offered.
    place : str
        Where it stands, if its name resembles data and is not repeated; ``column`` is then empty.
    """

    column: str
    reason: str
    sure: bool
    place: str = ""


@dataclass(frozen=True)
class Proposal:
    """A proposed column map.

    Attributes
    ----------
    kept : dict of str to str
        Canonical columns found under their own name or as the given map says.
    found : dict of str to tuple of Candidate
        For canonical columns not found: what may be meant, best first.
    unused : tuple of str
        The user's columns nobody asks for; a name that resembles data is not among them, but its place.
    """

    kept: dict[str, str]
    found: dict[str, tuple[Candidate, ...]]
    unused: tuple[str, ...]

    def to_toml(self) -> str:
        """Write the proposal as a columns.toml; lines in doubt are commented out, with the reason."""
        lines = [
            "# Proposed column map. Look at every line, correct it, and save it as columns.toml;",
            "# then: tpr check FILE --columns columns.toml. A line in doubt begins with #.",
            "",
            "[columns]",
        ]
        for name in CANONICAL:
            if name in self.kept:
                lines.append(f"{name} = {_quoted(self.kept[name])}  # found as it is")
            elif name in self.found:
                lines += self._offer(name)
        missing = [name for name in NEEDED if name not in self.kept and name not in self.found]
        if not {"visit", "date", "weeks"} & (set(self.kept) | set(self.found)):
            missing.append("visit")
        lines += [f'# {name} = ""  # needed, and no column looks like it' for name in missing]
        if self.unused:
            lines += ["", "# Not used: " + ", ".join(_quoted(name) for name in self.unused)]
        return "\n".join(lines) + "\n"

    def _offer(self, name: str) -> list[str]:
        """Lines that offer columns for one purpose; only a single sure one is not commented out."""
        candidates = self.found[name]
        sure = [candidate for candidate in candidates if candidate.sure]
        alone = len(sure) == 1
        lines = []
        if len(candidates) > 1 and not alone:
            lines.append(f"# {name}: {len(candidates)} columns may be meant; choose one, or none")
        for candidate in candidates:
            if candidate.place:
                lines.append(
                    f'# {name} = ""  # {candidate.place}? {candidate.reason}; its name resembles data '
                    "and is not repeated here: write it yourself"
                )
                continue
            mark = "" if alone and candidate.sure else "# "
            lines.append(f"{mark}{name} = {_quoted(candidate.column)}  # {candidate.reason}")
        return lines


def propose_map(record: Record) -> Proposal:
    """Propose a column map from the names and values of a source.

    Parameters
    ----------
    record : Record
        The source as it was read.

    Returns
    -------
    Proposal
    """
    raw = record.raw
    kept = {name: raw.named(index) for name, index in record.where.items()}
    free = [i for i in range(len(raw.header)) if i in record.unknown and raw.header[i]]
    found: dict[str, tuple[Candidate, ...]] = {}
    claimed: set[int] = set()
    for name in CANONICAL:
        if name in kept or (name in ("visit", "date", "weeks") and "visit" in kept):
            continue
        ranked = sorted(
            ((_likeness(name, raw.header[i]), i) for i in free if _likeness(name, raw.header[i])[0] >= NEAR),
            key=lambda item: (-item[0][0], item[1]),
        )
        candidates = [_candidate(record, name, i, said=said) for (_, said), i in ranked]
        if candidates:
            found[name] = tuple(candidates)
            claimed |= {i for _, i in ranked}
    unused = tuple(raw.named(i) for i in free if i not in claimed)
    return Proposal(kept, found, unused)


def _likeness(name: str, user_name: str) -> tuple[float, str]:
    """How much a user's name resembles one of ours, and in what."""
    plain = plain_name(user_name)
    if KNOWN.get(plain) == name:
        return 1.0, "a known name for it"
    words = [word for word in plain.split("_") if KNOWN.get(word) == name]
    pairs = ["_".join(pair) for pair in zip(plain.split("_"), plain.split("_")[1:], strict=False)]
    words += [pair for pair in pairs if KNOWN.get(pair) == name]
    if words:
        return 0.95, f"its name has {words[0]!r} in it"
    known = [spelling for spelling, meaning in KNOWN.items() if meaning == name and len(spelling) > 3]
    near = difflib.get_close_matches(plain, known, n=1, cutoff=NEAR)
    if near:
        return difflib.SequenceMatcher(None, plain, near[0]).ratio(), f"its name resembles {near[0]!r}"
    return 0.0, ""


def _candidate(record: Record, name: str, index: int, *, said: str) -> Candidate:
    """Weigh a column: its name, and the share of its values that are possible."""
    cells, own = record.raw.cells[index], record.raw.said_name(index)
    place = "" if own else record.raw.named(index)
    filled = [str(text) for text in cells[~says_nothing(cells)]]
    if not filled:
        return Candidate(own, f"{said}, but the column is empty", False, place)
    share, wanted = _fit(record.scale, name, filled, decimal_comma=record.raw.decimal_comma)
    fits = f"{100.0 * share:.0f}% of {len(filled):,} filled cells are {wanted}"
    sure = share >= (REPEATED if name == "patient" else FITS) and not said.startswith("its name resembles")
    return Candidate(own, f"{said}; {fits}", sure and not place, place)


def _fit(scale: Scale, name: str, filled: Sequence[str], *, decimal_comma: bool) -> tuple[float, str]:
    """Share of cells that are possible values of a column, and what these are."""
    if name == "patient":
        counts = Counter(filled)
        return float(np.mean([counts[text] > 1 for text in filled])), "codes that come in several rows"
    if name == "date":
        days = read_dates(np.array(filled, dtype=object))
        return float((~np.isnan(days.days) | days.unclear).mean()), "dates"
    if name in CATEGORIES:
        few = len(set(filled)) <= FREE_TEXT_VALUES
        return float(np.mean([few and len(text) <= FREE_TEXT_LENGTH for text in filled])), "short words"
    if name == "sought":
        words = {"yes", "no", "y", "n", "1", "0", "true", "false"}
        return float(np.mean([text.casefold() in words for text in filled])), "yes or no"
    test, wanted = _numeric(scale, name)
    numbers = np.array([to_number(text, decimal_comma=decimal_comma) for text in filled])
    return float(np.mean(test(numbers))), wanted


def _numeric(scale: Scale, name: str) -> tuple[Callable[[Floats], Bools], str]:
    """What numbers a column may hold."""
    if name == "pain":
        low, high = scale.minimum, scale.maximum
        return lambda x: (x >= low) & (x <= high), f"numbers from {low:g} to {high:g}"
    if name == "age":
        return lambda x: (x >= AGE_RANGE[0]) & (x <= AGE_RANGE[1]), "ages"
    if name == "visit":
        return lambda x: (x >= 1) & (x == np.floor(x)), "whole numbers from 1"
    if name in ("twitches", *COUNTS):
        return lambda x: (x >= 0) & (x == np.floor(x)), "whole numbers from 0"
    return lambda x: ~np.isnan(x), "numbers"


def _quoted(text: str) -> str:
    """Write a column's name as TOML takes it, on one line."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
