"""Add to ARCHITECTURE.md's table the modules it does not list yet: `python tools/architecture.py`.

A row that is there keeps its words, and its place unless it stands above something it imports. A new module
goes to the end of its layer; its words are the first line of its docstring. Rows of deleted modules go away.
What order is best remains a judgement: read the result.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / "src" / "tpr_outcomes"
PAGE = ROOT / "ARCHITECTURE.md"
LAYERS = (
    "__init__",
    "errors",
    "cohort",
    "datasets",
    "models",
    "inference",
    "planning",
    "reporting",
    "analysis",
    "reproduction",
    "registry",
    "commands",
)
ROW = re.compile(r"^\| `([\w/]+\.py)` \|.*$", re.MULTILINE)


def layer(place: str) -> int:
    """Where the module's stage stands in the argument; the command line and `__main__` come last."""
    stage = place.removesuffix(".py").partition("/")[0]
    return LAYERS.index(stage) if stage in LAYERS else len(LAYERS) + (stage == "__main__")


def imports(place: str) -> set[str]:
    """Modules of the package that a module imports, as paths."""
    found: set[str] = set()
    if place == "__init__.py":  # names what it opens, without importing it
        return found
    for node in ast.walk(ast.parse((HOME / place).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tpr_outcomes"):
            inside = (node.module or "").split(".")[1:]
            found |= {"/".join([*inside, alias.name]) + ".py" for alias in node.names}
            found.add("/".join(inside) + ".py")
    return found


def sentence(place: str) -> str:
    """First line of the module's docstring, as a table cell."""
    text = ast.get_docstring(ast.parse((HOME / place).read_text(encoding="utf-8"))) or ""
    plain = re.sub(r":\w+:`([^`]*)`", r"\1", text.partition("\n")[0])
    return plain.rstrip(".").replace("|", "\\|").replace("``", "`")


def main() -> None:
    """Rewrite the table in place."""
    text = PAGE.read_text(encoding="utf-8")
    rows = {match.group(1): match.group(0) for match in ROW.finditer(text)}
    paths = [str(path.relative_to(HOME).as_posix()) for path in sorted(HOME.rglob("*.py"))]
    exist = [place for place in paths if not place.endswith("/__init__.py")]
    listed = [place for place in rows if place in exist]
    waiting = sorted([*listed, *(place for place in exist if place not in rows)], key=layer)
    order: list[str] = []
    while waiting:
        ready = (each for each in waiting if not imports(each) & {*waiting} - {each})
        order.append(next(ready, waiting[0]))
        waiting.remove(order[-1])
    new = "\n".join(rows.get(place, f"| `{place}` | {sentence(place)} |") for place in order)
    start = next(ROW.finditer(text)).start()
    end = list(ROW.finditer(text))[-1].end()
    PAGE.write_text(text[:start] + new + text[end:], encoding="utf-8")


if __name__ == "__main__":
    main()
