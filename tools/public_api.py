"""The public names with signatures, members and fields, one a line: a test compares them with a list.

`python tools/public_api.py > tests/public_api.txt` renews it. A line that goes or changes is a change that
users notice: it belongs into CHANGELOG.md, and into the number of the version.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import fields, is_dataclass

import tpr_outcomes as tpr


def short(default: object) -> bool:
    """Whether a default says something in a line, the same on every machine."""
    return " at 0x" not in repr(default) and len(repr(default)) < 60


def signature(thing: object) -> str:
    """How something is called, with annotations as they are written; a default that is long is `...`."""
    try:
        parts = inspect.signature(thing)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return "(...)"
    plain = [
        each if each.default is each.empty or short(each.default) else each.replace(default=...)
        for each in parts.parameters.values()
    ]
    return str(parts.replace(parameters=plain))


def settings(kind: type) -> Iterator[str]:
    """Fields of a pydantic model, each with its default."""
    for key, field in sorted(getattr(kind, "model_fields", {}).items()):
        yield f"{kind.__name__}.{key} = {field.get_default(call_default_factory=True)!r}"


def members(name: str, kind: type) -> Iterator[str]:
    """Public members a class defines itself or inherits from a class of ours."""
    ours = [each for each in kind.__mro__ if each.__module__.startswith("tpr_outcomes")]
    found: dict[str, object] = {}
    for each in reversed(ours):
        found.update({key: value for key, value in vars(each).items() if not key.startswith("_")})
        if is_dataclass(each):
            found.update({field.name: field for field in fields(each)})
    for key, value in sorted(found.items()):
        if isinstance(value, classmethod | staticmethod):
            yield f"{name}.{key}{signature(getattr(kind, key))} {type(value).__name__}"
        elif inspect.isfunction(value):
            yield f"{name}.{key}{signature(value)}"
        else:
            yield f"{name}.{key}"


def listing() -> str:
    """The whole list."""
    lines: list[str] = []
    for name in sorted({*tpr._PUBLIC, *tpr._SUBMODULES}):
        thing = getattr(tpr, name)
        if isinstance(thing, type):
            bases = ", ".join(base.__name__ for base in thing.__bases__ if base is not object)
            called = "" if hasattr(thing, "model_fields") else signature(thing)
            lines.append(f"class {name}({bases}){called}")
            lines += [f"    {line}" for line in (*settings(thing), *members(name, thing))]
        elif callable(thing):
            lines.append(f"{name}{signature(thing)}")
        else:
            lines.append(f"{name}: {type(thing).__name__}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(listing(), end="")
