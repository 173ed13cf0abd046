"""Formulas of the pages as MathML, which browsers draw by themselves: no script, no font, no network.

The part of TeX that the pages use, and no more: what is not in these tables is an error of the build.
"""

from __future__ import annotations

import html
import re

LETTERS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ϵ", "varepsilon": "ε", "zeta": "ζ",
    "eta": "η", "theta": "θ", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π",
    "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "ϕ", "varphi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω",
    "ell": "ℓ", "infty": "∞", "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Sigma": "Σ",
    "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω",
}  # fmt: skip
OPERATORS = {
    "sim": "∼", "mid": "∣", "le": "≤", "ge": "≥", "ne": "≠", "approx": "≈", "in": "∈", "times": "×",
    "cdot": "·", "pm": "±", "to": "→", "dots": "…", "ldots": "…", "cdots": "⋯", "propto": "∝",
    "partial": "∂", "perp": "⊥", "{": "{", "}": "}", "|": "‖", "prime": "′", "Rightarrow": "⇒",
    "mapsto": "↦", "lfloor": "⌊", "rfloor": "⌋",
}  # fmt: skip
BIG_OPERATORS = {"sum": "∑", "prod": "∏", "int": "∫", "max": "max", "min": "min", "sup": "sup"}
FUNCTIONS = {"log", "exp", "logit", "det", "Pr"}
SPACES = {
    "qquad": "2em", "quad": "1em", ";": "0.28em", ":": "0.22em", ",": "0.17em", " ": "0.3em", "!": "0em",
}  # fmt: skip
ACCENTS = {
    "hat": "^", "widehat": "^", "bar": "¯", "overline": "¯", "tilde": "~", "widetilde": "~", "dot": "˙",
}  # fmt: skip
SIZES = {"big": "1.2em", "bigl": "1.2em", "bigr": "1.2em", "Big": "1.8em", "bigg": "2.4em"}
WORDS = {"text", "mathrm", "texttt", "operatorname", "mathit", "textit"}
TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\d+(?:\.\d+)?|\s+|.", flags=re.DOTALL)
# Browsers lower an index by its height where no font for formulas is at hand: too little for a low letter.
STRUT = '<mspace width="0" height="0.85em"></mspace>'
CHARACTERS = {"-": "−", "*": "∗", "'": "′"}


class Formula:
    """One formula being read from left to right."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens = TOKEN.findall(source)
        self.at = 0

    def fail(self, what: str) -> ValueError:
        """What cannot be read, with its formula."""
        return ValueError(f"formula {self.source!r}: {what}")

    def peek(self) -> str:
        """The next token that is not blank; empty at the end."""
        while self.at < len(self.tokens) and self.tokens[self.at].isspace():
            self.at += 1
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        """The next token, which then is past."""
        token = self.peek()
        self.at += 1
        return token

    def row(self, end: str) -> str:
        """Everything up to a closing token, side by side."""
        parts: list[str] = []
        while (token := self.peek()) != end:
            if token in {"", "}"}:
                raise self.fail(f"{end or 'an opening brace'!r} is missing")
            parts.append(self.scripted())
        self.at += 1
        return parts[0] if len(parts) == 1 else f"<mrow>{''.join(parts)}</mrow>"

    def scripted(self) -> str:
        """One thing with what is set below and above it."""
        big = self.peek()[1:] in BIG_OPERATORS
        base = self.atom()
        below, above = "", ""
        while (token := self.peek()) in {"_", "^", "'"}:
            self.at += 1
            if token == "'":
                above += "<mo>′</mo>"
            elif token == "_":
                below += self.atom()
            else:
                above += self.atom()
        under, over = ("munder", "mover") if big else ("msub", "msup")
        both = "munderover" if big else "msubsup"
        above = f"<mrow>{above}</mrow>" if above.count("<mo>′</mo>") and above != "<mo>′</mo>" else above
        if below and not big:
            below = f"<mrow>{below}{STRUT}</mrow>"
        if below and above:
            return f"<{both}>{base}{below}{above}</{both}>"
        if below:
            return f"<{under}>{base}{below}</{under}>"
        return f"<{over}>{base}{above}</{over}>" if above else base

    def word(self) -> str:
        """The text of a group, as it stands."""
        if self.take() != "{":
            raise self.fail("a word wants braces")
        start = self.at
        while self.at < len(self.tokens) and self.tokens[self.at] != "}":
            self.at += 1
        self.at += 1
        return "".join(self.tokens[start : self.at - 1]).replace("\\_", "_")

    def atom(self) -> str:
        """One letter, number, sign, group or command."""
        token = self.take()
        if not token:
            raise self.fail("something is missing at its end")
        if token == "{":
            return self.row("}")
        if token.startswith("\\"):
            return self.command(token[1:])
        if token[0].isdigit():
            return f"<mn>{token}</mn>"
        if token.isalpha():
            return f"<mi>{token}</mi>"
        if token in {"^", "_", "&", "#", "$", "%", "}"}:
            raise self.fail(f"{token!r} stands where nothing can be made of it")
        stretch = ' stretchy="false"' if token in "()[]|" else ""
        return f"<mo{stretch}>{html.escape(CHARACTERS.get(token, token))}</mo>"

    def command(self, name: str) -> str:
        """What a name behind a backslash stands for."""
        if name in LETTERS:
            return f"<mi>{LETTERS[name]}</mi>"
        if name in OPERATORS:
            return f'<mo stretchy="false">{OPERATORS[name]}</mo>'
        if name in BIG_OPERATORS:
            return f'<mo movablelimits="true">{BIG_OPERATORS[name]}</mo>'
        if name in FUNCTIONS:
            return f'<mi class="word">{name}</mi>'
        if name in SPACES:
            return f'<mspace width="{SPACES[name]}"></mspace>'
        if name in ACCENTS:
            wide = "true" if name.startswith(("wide", "over")) else "false"
            return f'<mover accent="true">{self.atom()}<mo stretchy="{wide}">{ACCENTS[name]}</mo></mover>'
        if name in SIZES:
            inner = self.atom()
            return re.sub(
                r"<mo[^>]*>", f'<mo stretchy="true" minsize="{SIZES[name]}" maxsize="{SIZES[name]}">', inner
            )
        if name in WORDS:
            word = self.word()
            blank = "\N{NO-BREAK SPACE}"  # a plain one at either end would not be drawn
            text = html.escape(blank * (word[:1] == " ") + word.strip() + blank * (word[-1:] == " "))
            if name == "texttt":
                return f'<mtext class="formula-code">{text}</mtext>'
            return (
                f"<mtext>{text}</mtext>"
                if name.startswith("text")
                else f'<mi class="word" mathvariant="normal">{text}</mi>'
            )
        if name == "sqrt":
            return f"<msqrt>{self.atom()}</msqrt>"
        if name in {"frac", "tfrac", "dfrac"}:
            style = ' displaystyle="false"' if name == "tfrac" else ""
            inner = f"<mfrac>{self.atom()}{self.atom()}</mfrac>"
            return f"<mstyle{style}>{inner}</mstyle>" if style else inner
        raise self.fail(f"\\{name} is not in tools/docs_math.py")


def mathml(source: str, *, block: bool) -> str:
    """A formula in TeX as a `<math>` element; its source is its alternative text."""
    formula = Formula(source.strip())
    inner = formula.row("")
    alt = html.escape(source.strip(), quote=True).replace("\n", " ")
    return f'<math display="{"block" if block else "inline"}" alttext="{alt}">{inner}</math>'


def replace_formulas(page: str) -> str:
    r"""HTML in which every `\(…\)` and `\[…\]` that arithmatex marked is a `<math>` element."""

    def change(found: re.Match[str]) -> str:
        opened, source = found.group("open"), html.unescape(found.group("source"))
        return f"{found.group('tag')}{mathml(source, block=opened == '[')}"

    kind = r"(?:span|div)"
    pattern = (
        rf'(?P<tag><{kind} class="arithmatex">)\\(?P<open>[(\[])'
        rf"(?P<source>.*?)\\[)\]](?=</{kind}>)"
    )
    return re.sub(pattern, change, page, flags=re.DOTALL)
