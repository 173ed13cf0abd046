"""The house rules that a machine can check; ARCHITECTURE.md and CONTRIBUTING.md say them in words.

Each rule is a function from a parsed file to the breaches it holds, so that it can be shown a file that
breaks it (second half of this file) as well as the files that must not (first half).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "tpr_outcomes"
HOME = ROOT / "src" / PACKAGE
LINES = 600
CODE = ("src", "tests", "tools", "benchmarks")

LAYERS = (
    "errors",
    "cohort",
    "models",
    "inference",
    "planning",
    "reporting",
    "analysis",
    "reproduction",
    "registry",
    "commands",
    "cli",
)
DOORS = {"__init__", "__main__", "datasets", "notebook", "notebook_explorer", "notebook_lessons"}
WITHOUT_PANDAS = ("models/mixed", "models/shapes", "models/random_threshold")  # and what they are split into
PLOTS = "reporting/plots"  # plots.py, and what it is split into
PRINTERS = ("cli.py", "commands/")

CLOCK_MODULES = {"time", "uuid", "secrets", "random"}
SECRET = "cohort/secret.py"  # the one place where chance must not be repeatable: docs/decisions/0034
CLOCK_NAMES = {"now", "today", "utcnow", "urandom"}
GLOBAL_OPTIONS = {"set_option", "set_printoptions", "seterr", "rcParams", "set_start_method"}
RANDOM_ALLOWED = {
    "Generator",
    "SeedSequence",
    "BitGenerator",
    "PCG64",
    "PCG64DXSM",
    "Philox",
    "SFC64",
    "default_rng",
}
RELATIVE_TIME = re.compile(r"\b(ago|just now|yesterday|tomorrow|elapsed)\b", re.IGNORECASE)

Rule = Callable[[str, ast.Module], list[str]]


# --- reading the tree --------------------------------------------------------------------------------------


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def name_of(place: str) -> str:
    """`cohort/visits.py` -> `tpr_outcomes.cohort.visits`."""
    return f"{PACKAGE}.{place.removesuffix('.py').replace('/', '.')}"


def modules() -> list[str]:
    """Every module with code in it, as a path inside the package; a package's `__init__` holds no code."""
    found = sorted(str(path.relative_to(HOME).as_posix()) for path in HOME.rglob("*.py"))
    return [place for place in found if not place.endswith("/__init__.py")]


@cache
def table() -> list[str]:
    """The modules in the order of ARCHITECTURE.md's table."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    return re.findall(r"^\| `([\w/]+\.py)` \|", text, flags=re.MULTILINE)


def imported(tree: ast.AST, known: set[str]) -> Iterator[tuple[str, int]]:
    """(module, line) of every import, wherever it stands; `from package import module` names the module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                if inner in known or module != PACKAGE:
                    yield inner if inner in known else module, node.lineno
                elif alias.name != "__version__":
                    yield f"{PACKAGE}:{alias.name}", node.lineno


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def dotted(node: ast.AST) -> str:
    """`np.random.seed` of an attribute chain; empty where it does not start at a name."""
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return node.id if isinstance(node, ast.Name) else ""


def literals(tree: ast.AST) -> Iterator[ast.Constant]:
    """Text that can reach an output: every string but the docstrings."""
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node


# --- the rules ---------------------------------------------------------------------------------------------


def follows_the_order(place: str, tree: ast.Module) -> list[str]:
    """A module may import only those listed above it; the root's `__init__` only names what it opens."""
    order = [name_of(listed) for listed in table()]
    me = name_of(place)
    if place == "__init__.py":
        return []
    above = set(order[: order.index(me)]) if me in order else set()
    breaches = []
    for module, line in imported(tree, set(order)):
        if module.startswith("."):
            breaches.append(f"{place}:{line} imports {module!r}; write the whole name")
        elif module.startswith(f"{PACKAGE}:"):
            breaches.append(
                f"{place}:{line} takes {module.partition(':')[2]!r} from the public door; name its module"
            )
        elif (module == PACKAGE or module.startswith(f"{PACKAGE}.")) and module not in above | {PACKAGE}:
            breaches.append(
                f"{place}:{line} imports {module}, which is not listed above it in ARCHITECTURE.md"
            )
    return breaches


def names_modules_in_the_open(place: str, tree: ast.Module) -> list[str]:
    """No import by string: the order could not be read off."""
    if place == "__init__.py":
        return []
    return [
        f"{place}:{call.lineno} imports by string"
        for call in calls(tree)
        if dotted(call.func).rpartition(".")[2] in {"import_module", "__import__"}
    ]


def keeps_matplotlib_in_plots(place: str, tree: ast.Module) -> list[str]:
    """matplotlib only inside the functions of reporting/plots*.py (and there for type checkers)."""
    allowed: set[int] = set()
    if place.startswith(PLOTS):
        for node in ast.walk(tree):
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            for_types = isinstance(node, ast.If) and dotted(node.test).endswith("TYPE_CHECKING")
            if inside or for_types:
                allowed |= {line for _, line in imported(node, set())}
    return [
        f"{place}:{line} imports {module}"
        for module, line in imported(tree, set())
        if module.partition(".")[0] in {"matplotlib", "pylab"} and line not in allowed
    ]


def keeps_pandas_out_of_the_engine(place: str, tree: ast.Module) -> list[str]:
    if not place.startswith(WITHOUT_PANDAS):
        return []
    return [
        f"{place}:{line} imports {module}"
        for module, line in imported(tree, set())
        if module.partition(".")[0] == "pandas"
    ]


def prints_only_at_the_command_line(place: str, tree: ast.Module) -> list[str]:
    if place.startswith(PRINTERS):
        return []
    printed = [
        call.lineno for call in calls(tree) if dotted(call.func) in {"print", "pprint", "pprint.pprint"}
    ]
    written = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and dotted(node) in {"sys.stdout", "sys.stderr"}
    ]
    return [f"{place}:{line} writes to the screen" for line in printed + written]


def has_no_clock(place: str, tree: ast.Module) -> list[str]:
    """The same input gives the same bytes at any time, so nothing may ask what time it is."""
    breaches = [
        f"{place}:{line} imports {module}"
        for module, line in imported(tree, set())
        if module.partition(".")[0] in CLOCK_MODULES - ({"secrets"} if place == SECRET else set())
    ]
    for call in calls(tree):
        if isinstance(call.func, ast.Attribute) and call.func.attr in CLOCK_NAMES:
            breaches.append(f"{place}:{call.lineno} calls {call.func.attr}()")
    return breaches


def has_no_global_state(place: str, tree: ast.Module) -> list[str]:
    """No global random state, no global options, no object ids, no unseeded generator."""
    breaches = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        whole, last = dotted(node), node.attr
        if re.match(r"(np|numpy)\.random\.\w+$", whole) and last not in RANDOM_ALLOWED:
            breaches.append(f"{place}:{node.lineno} uses {whole}")
        if last in GLOBAL_OPTIONS:
            breaches.append(f"{place}:{node.lineno} changes global options ({last})")
    for call in calls(tree):
        called = dotted(call.func)
        if called.endswith("default_rng") and not call.args and not call.keywords:
            breaches.append(f"{place}:{call.lineno} makes a generator without a seed")
        if called == "id":
            breaches.append(f"{place}:{call.lineno} uses an object id")
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "numpy.random":
            names = {alias.name for alias in node.names} - RANDOM_ALLOWED
            breaches += [f"{place}:{node.lineno} imports numpy.random.{name}" for name in sorted(names)]
    return breaches


def says_no_relative_time(place: str, tree: ast.Module) -> list[str]:
    """'3 minutes ago' is true only once."""
    return [
        f"{place}:{node.lineno} says {found.group(0)!r}"
        for node in literals(tree)
        if (found := RELATIVE_TIME.search(str(node.value)))
    ]


def has_a_docstring(place: str, tree: ast.Module) -> list[str]:
    return [] if ast.get_docstring(tree) else [f"{place} says nothing about itself"]


RULES: tuple[Rule, ...] = (
    follows_the_order,
    names_modules_in_the_open,
    keeps_matplotlib_in_plots,
    keeps_pandas_out_of_the_engine,
    prints_only_at_the_command_line,
    has_no_clock,
    has_no_global_state,
    says_no_relative_time,
    has_a_docstring,
)


# --- the house keeps them ----------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps_the_rule(rule: Rule) -> None:
    breaches = [breach for place in modules() for breach in rule(place, parse(HOME / place))]
    assert breaches == []


def test_every_module_is_in_the_table_once() -> None:
    listed = table()
    assert sorted(listed) == modules(), "ARCHITECTURE.md's table and src/tpr_outcomes differ"


def test_the_table_keeps_the_layers_in_order() -> None:
    """`datasets` may stand anywhere above its users; the command and the notebooks are doors, not layers."""
    layers = [place.removesuffix(".py").partition("/")[0] for place in table()]
    steps = [LAYERS.index(layer) for layer in layers if layer in LAYERS]
    assert steps == sorted(steps)
    assert set(layers) - set(LAYERS) <= DOORS


def test_a_package_holds_no_code_of_its_own() -> None:
    for path in HOME.rglob("*/__init__.py"):
        body = parse(path).body
        extra = [
            node
            for node in body
            if not isinstance(node, ast.Expr)
            and not (isinstance(node, ast.ImportFrom) and node.module == "__future__")
        ]
        assert extra == [], f"{path.relative_to(ROOT)} should hold its docstring and nothing else"
        assert isinstance(body[0], ast.Expr), f"{path.relative_to(ROOT)} should say what the stage is for"


def test_every_folder_of_the_package_is_a_package() -> None:
    folders = {path.parent for path in HOME.rglob("*.py")}
    assert [folder.name for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_no_file_is_too_long() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for folder in CODE
        for path in (ROOT / folder).rglob("*.py")
    }
    assert {path: length for path, length in lengths.items() if length >= LINES} == {}


# --- a rule that cannot fail is no rule --------------------------------------------------------------------

BREACHES = [
    (follows_the_order, "errors.py", "from tpr_outcomes.cohort.scales import NRS"),
    (follows_the_order, "errors.py", "def f():\n    import tpr_outcomes.cohort.scales"),
    (follows_the_order, "errors.py", "from tpr_outcomes.cohort import scales"),
    (follows_the_order, "errors.py", "from .cohort import scales"),
    (follows_the_order, "errors.py", "from tpr_outcomes import read_visits"),
    (names_modules_in_the_open, "errors.py", "import importlib\nimportlib.import_module('tpr_outcomes.cli')"),
    (keeps_matplotlib_in_plots, "reporting/tables.py", "def f():\n    import matplotlib.pyplot as plt"),
    (keeps_matplotlib_in_plots, PLOTS, "import matplotlib.pyplot as plt"),
    (keeps_matplotlib_in_plots, PLOTS, "from matplotlib import pyplot"),
    (keeps_pandas_out_of_the_engine, "models/mixed.py", "def f():\n    import pandas as pd"),
    (prints_only_at_the_command_line, "models/mixed.py", "print('done')"),
    (prints_only_at_the_command_line, "models/mixed.py", "import sys\nsys.stderr.write('done')"),
    (has_no_clock, "analysis.py", "import time"),
    (has_no_clock, "analysis.py", "from uuid import uuid4"),
    (has_no_clock, "analysis.py", "import datetime\ndatetime.datetime.now()"),
    (has_no_clock, "analysis.py", "from datetime import date\ndate.today()"),
    (has_no_clock, "analysis.py", "import pandas as pd\npd.Timestamp.now()"),
    (has_no_clock, "analysis.py", "import random"),
    (has_no_global_state, "analysis.py", "import numpy as np\nnp.random.seed(1)"),
    (has_no_global_state, "analysis.py", "from numpy.random import rand"),
    (has_no_global_state, "analysis.py", "import numpy as np\nnp.random.default_rng()"),
    (has_no_global_state, "analysis.py", "import pandas as pd\npd.set_option('display.width', 1)"),
    (has_no_global_state, "analysis.py", "label = id(object())"),
    (says_no_relative_time, "analysis.py", "text = f'{minutes} minutes ago'"),
    (has_a_docstring, "analysis.py", "x = 1"),
]


@pytest.mark.parametrize(("rule", "place", "code"), BREACHES)
def test_a_breach_is_seen(rule: Rule, place: str, code: str) -> None:
    assert rule(place, ast.parse(code)) != []


FINE = [
    (follows_the_order, "cohort/scales.py", "from tpr_outcomes.errors import PlanError\nimport numpy as np"),
    (follows_the_order, "cohort/scales.py", "from tpr_outcomes import __version__"),
    (keeps_matplotlib_in_plots, PLOTS, "def f():\n    from matplotlib import pyplot as plt"),
    (keeps_matplotlib_in_plots, PLOTS, "if TYPE_CHECKING:\n    from matplotlib.axes import Axes"),
    (prints_only_at_the_command_line, PRINTERS[0], "print('done')"),
    (has_no_clock, "cohort/derive.py", "import datetime\ndatetime.date(2024, 1, 1)"),
    (
        has_no_global_state,
        "analysis.py",
        "import numpy as np\nnp.random.default_rng(np.random.SeedSequence(1))",
    ),
    (
        says_no_relative_time,
        "analysis.py",
        "def f():\n    '''Long ago.'''\n    return 'a diagonal, three weeks apart'",
    ),
]


@pytest.mark.parametrize(("rule", "place", "code"), FINE)
def test_what_is_allowed_is_not_a_breach(rule: Rule, place: str, code: str) -> None:
    assert rule(place, ast.parse(code)) == []
