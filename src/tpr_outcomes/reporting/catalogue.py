"""The catalogue: every text of the words modules under a key of its own, and a translation put in its place.

A key is the module, the name and the way inside it: ``words.VERDICTS.inconclusive.headline``. All of them
are written to one file (:func:`to_toml`) and read from one (:meth:`Translation.read`). What a translation
does not hold stays English.
"""

from __future__ import annotations

import hashlib
import json
import re
import string
import threading
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from tpr_outcomes.errors import PlanError, SourceError
from tpr_outcomes.reporting import (
    claim_rows,
    words,
    words_arms,
    words_claims,
    words_clinics,
    words_compare,
    words_doubts,
    words_explorer,
    words_figures,
    words_folder,
    words_notebook,
    words_numbers,
    words_planning,
    words_reasons,
    words_regions,
    words_relapse,
    words_report,
    words_standards,
    words_twitches,
)
from tpr_outcomes.reporting import words_folder as say

CLAIMS = "claim_rows"
MODULES: dict[str, ModuleType] = {
    "words": words,
    "words_arms": words_arms,
    "words_claims": words_claims,
    "words_clinics": words_clinics,
    "words_compare": words_compare,
    "words_doubts": words_doubts,
    "words_explorer": words_explorer,
    "words_figures": words_figures,
    "words_folder": words_folder,
    "words_notebook": words_notebook,
    "words_numbers": words_numbers,
    "words_planning": words_planning,
    "words_reasons": words_reasons,
    "words_regions": words_regions,
    "words_relapse": words_relapse,
    "words_report": words_report,
    "words_standards": words_standards,
    "words_twitches": words_twitches,
    CLAIMS: claim_rows,
}
"""Modules whose public names are the catalogue."""
MOST_NAMED = 20
"""Faults of a file that are named one by one."""
FEWEST_LETTERS = re.compile(r"[^\W\d_]{2}")
"""What holds no two letters in a row is no text."""
NOT_WORDS = re.compile(
    rf"^{CLAIMS}\..*\.(doi|kind|id)$"
    r"|^words_standards\.(ITEMS\.\w+\.\d+\.[02]|ADEMP\.\d+\.0)$"
    r"|^words_report\.(METHODS\.\d+\.2|RULES\.\d+\.[01])$"
)
"""Names that machines look things up by: addresses, anchors, classes of claims."""
_ONE_AT_A_TIME = threading.RLock()


@dataclass(frozen=True)
class Translation:
    """Texts in place of ours.

    Attributes
    ----------
    texts : mapping of str to str
        By key of the catalogue.
    source : bytes
        The file they were read from, as it is.
    """

    texts: Mapping[str, str]
    source: bytes = field(default=b"", repr=False)

    @property
    def sha256(self) -> str:
        """Digest of the file."""
        return hashlib.sha256(self.source).hexdigest()

    @classmethod
    def read(cls, path: str | Path) -> Translation:
        """Read a translation and check it against the catalogue.

        Raises
        ------
        SourceError
            When the file cannot be read.
        PlanError
            With everything that is wrong with it.
        """
        try:
            return cls.parse(Path(path).read_bytes())
        except OSError as error:
            raise SourceError(say.FILE_OF_WORDS["unread"].format(path=path)) from error

    @classmethod
    def parse(cls, source: bytes) -> Translation:
        """Check the content of a file of words.

        Raises
        ------
        PlanError
            With everything that is wrong with it.
        """
        try:
            found = dict(_flat(tomllib.loads(source.decode("utf-8-sig"))))
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise PlanError(say.FILE_OF_WORDS["no_toml"].format(error=error)) from error
        texts = english()
        faults = [fault for key, text in found.items() if (fault := _fault(key, text, texts))]
        if faults:
            more = len(faults) - MOST_NAMED
            rest = [say.FILE_OF_WORDS["more"].format(n=more)] if more > 0 else []
            raise PlanError("\n".join([say.FILE_OF_WORDS["faults"], *faults[:MOST_NAMED], *rest]))
        return cls(found, source)


def _flat(table: Mapping[str, Any], way: str = "") -> Iterator[tuple[str, Any]]:
    """Keys of a table, and of the tables in it."""
    for key, value in table.items():
        place = f"{way}.{key}" if way else key
        if isinstance(value, Mapping):
            yield from _flat(value, place)
        else:
            yield place, value


def _fault(key: str, text: object, texts: Mapping[str, str]) -> str:
    """Say what is wrong with one entry; empty where nothing is."""
    if key not in texts:
        return say.FILE_OF_WORDS["unknown"].format(key=key)
    if not isinstance(text, str):
        return say.FILE_OF_WORDS["no_text"].format(key=key)
    wanted = placeholders(texts[key])
    try:
        held = placeholders(text)
    except ValueError:
        return say.FILE_OF_WORDS["open"].format(key=key, wanted=_named(wanted))
    if held != wanted:
        return say.FILE_OF_WORDS["fields"].format(key=key, held=_named(held), wanted=_named(wanted))
    return ""


def _named(names: frozenset[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names)) or say.FILE_OF_WORDS["none"]


def placeholders(text: str) -> frozenset[str]:
    """Names in braces that a template asks for, with how they are written."""
    parsed = string.Formatter().parse(text)
    return frozenset(f"{name}:{spec}" if spec else name for _, name, spec, _ in parsed if name is not None)


def english() -> dict[str, str]:
    """Return every text of the catalogue by its key, in the order of the modules."""
    with _ONE_AT_A_TIME:
        return {
            key: text
            for module in MODULES
            for name, value in _names(module).items()
            for key, text in _leaves(value, f"{module}.{name}")
        }


def to_toml(texts: Mapping[str, str]) -> str:
    """Write texts as one file, a table for each module."""
    lines = [say.FILE_OF_WORDS["head"]]
    for module in MODULES:
        held = {key: text for key, text in texts.items() if key.partition(".")[0] == module}
        if held:
            rest = [f"{_quoted(key.partition('.')[2])} = {_quoted(text)}" for key, text in held.items()]
            lines.append("\n".join([f"[{module}]", *rest, ""]))
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """Write a basic string of TOML, which JSON's is but for one control character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


@contextmanager
def speaking(translation: Translation | None) -> Iterator[None]:
    """Say things in the words of a translation, as long as this is open.

    The modules of words hold other texts meanwhile, for the whole process: a second thread that asks for this
    waits. Without a translation nothing is done.
    """
    if translation is None:
        yield
        return
    with _ONE_AT_A_TIME:
        kept = {module: _names(module) for module in MODULES}
        try:
            for module, names in kept.items():
                _set(
                    module,
                    {
                        name: _put(value, f"{module}.{name}", translation.texts)
                        for name, value in names.items()
                    },
                )
            yield
        finally:
            for module, names in kept.items():
                _set(module, names)


def _set(module: str, names: Mapping[str, Any]) -> None:
    """Put values in the place of a module's names; the tuple of claims follows from their table."""
    home = MODULES[module]
    for name, value in names.items():
        setattr(home, name, value)
    if module == CLAIMS:
        home.CLAIMS = tuple(names["BY_ID"].values())  # type: ignore[attr-defined]


def _names(module: str) -> dict[str, Any]:
    """Public names of a module that hold words; the claims by their ids alone."""
    home = MODULES[module]
    return {
        name: value
        for name, value in vars(home).items()
        if name.isupper() and not name.startswith("_") and (module, name) != (CLAIMS, "CLAIMS")
    }


def _leaves(value: object, way: str) -> Iterator[tuple[str, str]]:
    """Texts inside a value, by their keys."""
    if isinstance(value, str):
        if FEWEST_LETTERS.search(value) and not NOT_WORDS.search(way):
            yield way, value
    else:
        for key, part in _parts(value):
            yield from _leaves(part, f"{way}.{key}")


def _parts(value: object) -> list[tuple[str, Any]]:
    """What a value is made of; nothing for a number."""
    if isinstance(value, Mapping):
        return [(str(key), part) for key, part in value.items()]
    if isinstance(value, tuple | list):
        return [(str(i), part) for i, part in enumerate(value)]
    if is_dataclass(value):
        return [(one.name, getattr(value, one.name)) for one in fields(value)]
    return []


def _put(value: Any, way: str, texts: Mapping[str, str]) -> Any:
    """Return a value of the same shape with other texts in it."""
    if isinstance(value, str):
        return texts.get(way, value)
    changed = [_put(part, f"{way}.{key}", texts) for key, part in _parts(value)]
    if isinstance(value, Mapping):
        return dict(zip(value, changed, strict=True))
    if isinstance(value, tuple | list):
        return type(value)(changed)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **dict(zip((one.name for one in fields(value)), changed, strict=True)))
    return value
