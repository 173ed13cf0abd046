"""One catalogue: what people read is written in words*.py, so that a translation is a set of such files."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parents[2] / "src" / "tpr_outcomes" / "reporting"
TEMPLATES = sorted((HOME / "templates").glob("*.j2"))
CATALOGUES = {*HOME.glob("words*.py"), HOME / "claim_rows.py"}
MODULES = sorted(set(HOME.glob("*.py")) - CATALOGUES)
WRITERS = {
    "labels", "spelling", "phrases", "cautions", "verdict", "quantities", "own_design", "alt_text", "report",
    "page_tables", "pictures", "standards", "linking", "claim_details", "claim_plug", "lights", "plots",
    "plots_axes", "plots_regions", "explored", "pdf", "publication", "bundle", "compare_page",
}  # fmt: skip
"""Modules that make text for people: no two words in a row may stand in them."""
MACHINE = {"method", "term", "unit", "rule"}
"""Arguments whose text is a column of results.json, not a sentence of the page."""
SENTENCE = re.compile(r"^[A-Z][a-z]*( [\w’'-]+,?){3,}|( [\w’'-]+,?){3,}[.!?]$")
TWO_WORDS = re.compile(r"\b[a-z]{2,} [a-z]{2,}\b")
WORD_BETWEEN = re.compile(r"(?:^|[ \d%])[a-z]{2,}[ ,.]|[ ,][a-z]{2,}(?:$|[ ,.])")
"""A word with a space beside it: part of a sentence that is put together in code."""


def literals(tree: ast.Module) -> list[tuple[int, str]]:
    """Line and text of every string that is not a docstring, a refusal or a column of a table of results."""
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(id(node.value))
        inside: list[ast.AST] = []
        if isinstance(node, ast.Raise | ast.Assert):
            inside.append(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.endswith("Error"):
            inside.append(node)
        if isinstance(node, ast.keyword) and node.arg in MACHINE:
            inside.append(node.value)
        for found in inside:
            skipped |= {id(part) for part in ast.walk(found)}
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped
    ]


def sentences(code: str) -> list[str]:
    return [f"{line}: {text}" for line, text in literals(ast.parse(code)) if SENTENCE.search(text.strip())]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_no_sentence_stands_outside_the_catalogue(module: Path) -> None:
    assert sentences(module.read_text(encoding="utf-8")) == []


ALLOWED = {
    "default-src 'none'; img-src data:; style-src 'sha256-": "the policy of the page",
    "'; base-uri 'none'; form-action 'none'": "the policy of the page",
    '<html lang="en">': "HTML",
    "not fitted": "key of an answer",
    "to be mended": "key of an answer",
    "offset points": "coordinates of matplotlib",
    "axes fraction": "coordinates of matplotlib",
    '<data value="': "HTML",
    "causal under assumptions": "a grade, in verdict.json",
    "not identifiable": "an answer, in verdict.json",
    "not recorded": "an answer, in verdict.json",
    "not testable": "an answer, in verdict.json",
    "design: straight line": "key of a gate",
    "small bound": "key of a gate",
    "threshold against every rival": "key of a gate",
    "check: patient trait": "key of a gate",
    "check: earlier rating": "key of a gate",
    "lasting sum": "key of a gate",
    "any link": "key of a gate",
}
"""Texts of machines that happen to be words."""


@pytest.mark.parametrize("module", [path for path in MODULES if path.stem in WRITERS], ids=lambda p: p.stem)
def test_modules_that_write_hold_no_words(module: Path) -> None:
    found = literals(ast.parse(module.read_text(encoding="utf-8")))
    assert [text for _, text in found if TWO_WORDS.search(text) and text not in ALLOWED] == []


def pieces(tree: ast.Module) -> list[str]:
    """Texts between the fields of f-strings, and separators that texts are joined by."""
    refused = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise) or (isinstance(node, ast.keyword) and node.arg in MACHINE)
        for part in ast.walk(node)
    }
    found = []
    for node in ast.walk(tree):
        if id(node) in refused:
            continue
        if isinstance(node, ast.JoinedStr):
            found += [part.value for part in node.values if isinstance(part, ast.Constant)]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "join":
            found += [part.value for part in ast.walk(node.func.value) if isinstance(part, ast.Constant)]
    return [text for text in found if isinstance(text, str)]


@pytest.mark.parametrize("module", [path for path in MODULES if path.stem in WRITERS], ids=lambda p: p.stem)
def test_no_word_is_put_between_numbers_in_code(module: Path) -> None:
    found = pieces(ast.parse(module.read_text(encoding="utf-8")))
    assert [text for text in found if WORD_BETWEEN.search(text) and text not in ALLOWED] == []


@pytest.mark.parametrize(
    "code", ["f'{low} to {high}'", "' to '.join(ends)", "f'only {note}'", "f'{n}, version {v}'"]
)
def test_a_word_between_numbers_is_seen(code: str) -> None:
    assert [text for text in pieces(ast.parse(code)) if WORD_BETWEEN.search(text)] != []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_templates_hold_no_words(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    text = re.sub(r"<math.*?</math>", "", text, flags=re.DOTALL)
    text = re.sub(r"\{[{%#].*?[}%#]\}", "", text, flags=re.DOTALL)
    text = re.sub(r"<[^>]*>", "", text)
    assert re.findall(r"[A-Za-z]{2,}", text) == []


@pytest.mark.parametrize(
    "code",
    [
        "x = 'This record shows a link.'",
        "x = f'Only {n} patients were rated twice.'",
        "say('a sum that fades by half.')",
    ],
)
def test_a_sentence_is_seen(code: str) -> None:
    assert sentences(code) != []


@pytest.mark.parametrize(
    "code",
    [
        "def f():\n    'Say what it is that is done.'",
        "raise OutputError('The folder cannot be written at all.')",
        "Row(method='One that is in a column of results.')",
        "x = 'tables/results.csv'",
    ],
)
def test_what_is_no_sentence_of_ours_is_left_alone(code: str) -> None:
    assert sentences(code) == []
