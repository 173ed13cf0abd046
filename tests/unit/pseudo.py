"""A pseudo-translation: every text of the catalogue in marks, and what a page shows outside of them."""

from __future__ import annotations

import base64
import html
import re
import string
from html.parser import HTMLParser

from tpr_outcomes.reporting.catalogue import Translation, english, to_toml

OPEN, CLOSE = "«", "»"
LETTERS = re.compile(r"[^\W\d_]{2,}")
TAG = re.compile(r"(<[^>]*>|&\w+;)")
SILENT = {"style", "math", "code", "cite", "title"}
"""Formulas, citations and machine names are the same in every language; the title is tested by itself."""
SPOKEN = ("alt", "aria-label", "title")


def marked(text: str) -> str:
    """Put marks around every run of words of a template; fields and tags stay outside."""
    made = []
    for literal, name, spec, conversion in string.Formatter().parse(text):
        for part in TAG.split(literal.replace("{", "{{").replace("}", "}}")):
            worded = LETTERS.search(part) and not TAG.fullmatch(part)
            made.append(f"{OPEN}{part}{CLOSE}" if worded else part)
        if name is not None:
            made.append(
                "{" + name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "") + "}"
            )
    return "".join(made)


def translation() -> Translation:
    """The whole catalogue in marks, by way of a file."""
    kept = {"words_report.PAGE.language"}
    texts = {key: text if key in kept else marked(text) for key, text in english().items()}
    return Translation.parse(to_toml(texts).encode())


def outside(text: str) -> list[str]:
    """Pieces of a text with two letters or more in a row that stand outside all marks."""
    depth, piece, found = 0, "", []
    for sign in text + OPEN:
        if sign == OPEN:
            if depth == 0 and LETTERS.search(piece):
                found.append(" ".join(piece.split()))
            piece, depth = "", depth + 1
        elif sign == CLOSE:
            piece, depth = "", max(depth - 1, 0)
        elif depth == 0:
            piece += sign
    return found


class Seen(HTMLParser):
    """Every piece of text that a page shows outside the marks, with the place it stands in."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[tuple[str, str, bool]] = []
        self.blocks: list[tuple[str, str]] = []
        self.drawings: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = dict(attrs)
        for name in SPOKEN:
            if held.get(name):
                self.blocks.append((f"{tag} {name}", held[name] or ""))
        for name in ("src", "srcset"):
            head, _, code = (held.get(name) or "").partition("base64,")
            if "svg" in head:
                self.drawings.append(base64.b64decode(code.split()[0]).decode())
        if tag in ("meta", "img", "source", "br", "hr", "link", "input", "col"):
            return
        silent = tag in SILENT or bool(self.open and self.open[-1][2])
        self.open.append((tag, held.get("class") or "", silent))
        if tag not in ("data", "sub", "sup", "em", "strong", "a", "span", "code", "cite"):
            self.blocks.append((f"{tag}.{held.get('class') or ''}", ""))

    def handle_endtag(self, tag: str) -> None:
        self.open.pop()
        if tag not in ("data", "sub", "sup", "em", "strong", "a", "span", "code", "cite"):
            self.blocks.append(("after", ""))

    def handle_data(self, data: str) -> None:
        if self.open and not self.open[-1][2]:
            place, text = self.blocks[-1]
            self.blocks[-1] = (place, text + data)

    def leaks(self) -> list[tuple[str, str, str]]:
        """Place, piece, and the text around it."""
        shown = [*self.blocks, *(("drawing", drawn(svg)) for svg in self.drawings)]
        return [(place, piece, text) for place, text in shown for piece in outside(text)]


def drawn(svg: str) -> str:
    """Texts of a drawing, whose letters are outlines: matplotlib notes each line beside its outlines."""
    return html.unescape("\n".join(text.strip() for text in re.findall(r"<!--(.*?)-->", svg, re.DOTALL)))
