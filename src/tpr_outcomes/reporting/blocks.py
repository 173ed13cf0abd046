"""Pieces of a page for notebooks: verdict, data check, pictures and tables as HTML that stands alone.

A block shows itself in a notebook, carries its own style, and reads as plain text elsewhere. Every text is
escaped; pictures are inlined with their alternative text; a state is a word and a shape, never a color alone.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import pandas as pd
from markupsafe import escape

from tpr_outcomes.reporting import words_notebook as say
from tpr_outcomes.reporting.lights import Light
from tpr_outcomes.reporting.page_tables import PageTable

SIGNS = {"good": "●", "look": "▲", "problem": "■", "open": "○"}
"""Shape of each light, so that color is not needed."""


@dataclass(frozen=True)
class Block:
    """A piece of a page.

    Attributes
    ----------
    html : str
        The piece, without its style.
    text : str
        The same for a screen without HTML.
    """

    html: str
    text: str

    def _repr_html_(self) -> str:
        return f'<div class="tpr"><style>{style()}</style>{self.html}</div>'

    def __repr__(self) -> str:
        return self.text


@cache
def style() -> str:
    """Style of every block; nothing outside a block is touched."""
    return files("tpr_outcomes.reporting").joinpath("templates", "notebook.css").read_text(encoding="utf-8")


def stack(*blocks: Block) -> Block:
    """One block under the other."""
    return Block("".join(block.html for block in blocks), "\n\n".join(block.text for block in blocks))


def beside(*blocks: Block, kind: str = "two") -> Block:
    """Blocks side by side where there is room, else one under the other.

    Parameters
    ----------
    *blocks : Block
    kind : {"two", "hero"}
        Equal widths, or more room for the last.
    """
    cells = "".join(f"<div>{block.html}</div>" for block in blocks)
    return Block(f'<div class="{kind}">{cells}</div>', "\n\n".join(block.text for block in blocks))


def text(*paragraphs: str, heading: str = "", kind: str = "") -> Block:
    """Paragraphs under a heading."""
    parts = [f"<h3>{escape(heading)}</h3>"] if heading else []
    mark = f' class="{escape(kind)}"' if kind else ""
    parts += [f"<p{mark}>{escape(paragraph)}</p>" for paragraph in paragraphs if paragraph]
    said = [heading, *paragraphs] if heading else list(paragraphs)
    return Block("".join(parts), "\n".join(said))


def items(lines: Sequence[str], heading: str = "") -> Block:
    """Make a list under a heading."""
    head = f"<h3>{escape(heading)}</h3>" if heading else ""
    body = "".join(f"<li>{escape(line)}</li>" for line in lines)
    said = [*([heading] if heading else []), *(f"- {line}" for line in lines)]
    return Block(f"{head}<ul>{body}</ul>", "\n".join(said))


def verdict(headline: str, sentence: str, *, kind: str, question: str = "") -> Block:
    """Badge and sentence, under the question."""
    asked = f'<p class="q">{escape(question)}</p>' if question else ""
    html = (
        f'{asked}<div class="{escape(kind)}"><span class="badge">{escape(headline)}</span>'
        f'<p class="verdict">{escape(sentence)}</p></div>'
    )
    return Block(html, "\n".join(filter(None, (question, f"{headline}: {sentence}"))))


def light_list(lights: Sequence[Light], heading: str = "") -> Block:
    """Make the data check short: one line per light, and what to do where a light is not good."""
    head = f"<h3>{escape(heading)}</h3>" if heading else ""
    told = [
        light.seen if light.state == "good" else f"{light.seen} {light.short or light.remedy}"
        for light in lights
    ]
    lines = "".join(
        f"<li>{sign(light.state)}<span><b>{escape(light.name)}:</b> {escape(text)}</span></li>"
        for light, text in zip(lights, told, strict=True)
    )
    said = [
        f"{SIGNS[light.state]} {light.name} ({say.STATES[light.state]}): {text}"
        for light, text in zip(lights, told, strict=True)
    ]
    return Block(f'{head}<ul class="lights">{lines}</ul>', "\n".join(filter(None, (heading, *said))))


def sign(state: str) -> str:
    """Shape and color of a light, with its name for a screen reader."""
    name = say.STATES[state]
    return f'<span class="light {state}" role="img" aria-label="{name}" title="{name}">{SIGNS[state]}</span>'


def picture(
    svg: str, alt: str, *, title: str = "", caption: str = "", wide: bool = False, narrow: str = ""
) -> Block:
    """Inline a drawing with its words.

    Parameters
    ----------
    svg, alt : str
    title, caption : str
    wide : bool
        Whether it may be wider than a column.
    narrow : str
        The same drawn for a telephone, shown on screens of up to 640 pixels.
    """
    image = f'<img src="{_address(svg)}" alt="{escape(alt)}">'
    if narrow:
        source = f'<source media="(max-width: 640px)" srcset="{_address(narrow)}">'
        image = f"<picture>{source}{image}</picture>"
    mark = ' class="wide"' if wide else ""
    below = ""
    if title or caption:
        stop = "" if not title or title.endswith(("?", ".")) else "."
        below = f"<figcaption><b>{escape(title)}{stop}</b> {escape(caption)}</figcaption>"
    return Block(
        f"<figure{mark}>{image}{below}</figure>",
        "\n".join(filter(None, (title, alt))),
    )


def _address(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    caption: str = "",
    numeric: Iterable[int] = (),
    raw: Iterable[int] = (),
) -> Block:
    """Make a table of text cells.

    Parameters
    ----------
    heads : sequence of str
    rows : iterable of sequences of str
    caption : str
    numeric : iterable of int
        Columns set flush right.
    raw : iterable of int
        Columns whose cells are HTML made here (lights); all others are escaped.
    """
    right, made = frozenset(numeric), frozenset(raw)
    body = [list(row) for row in rows]
    mark = ['class="n"' if i in right else "" for i in range(len(heads))]
    head = "".join(f'<th scope="col" {m}>{escape(h)}</th>' for h, m in zip(heads, mark, strict=True))
    lines = []
    for row in body:
        cells = [cell if i in made else str(escape(cell)) for i, cell in enumerate(row)]
        first = f'<th scope="row" {mark[0]}>{cells[0]}</th>'
        rest = "".join(f"<td {m}>{cell}</td>" for cell, m in zip(cells[1:], mark[1:], strict=True))
        lines.append(f"<tr>{first}{rest}</tr>")
    above = f"<caption>{escape(caption)}</caption>" if caption else ""
    html = f"<table>{above}<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    plain = [" | ".join(heads), *(" | ".join(c for i, c in enumerate(row) if i not in made) for row in body)]
    return Block(f'<div class="scroll">{html}</div>', "\n".join(filter(None, (caption, *plain))))


def check_table(lights: Sequence[Light]) -> Block:
    """The data check in full: what was seen and what to do about it."""
    rows = [(sign(light.state), light.name, light.seen, light.remedy) for light in lights]
    return table(say.CHECK_HEADS, rows, caption=say.CHECK_CAPTION, raw=(0,))


def page_table(made: PageTable) -> Block:
    """Make a table of the report."""
    return table(made.heads, made.rows, caption=made.caption, numeric=made.numeric)


def frame_table(
    frame: pd.DataFrame, *, heads: Sequence[str] = (), caption: str = "", digits: int = 1
) -> Block:
    """Make a table of a frame: numbers to ``digits`` decimals, a dash where there is none.

    Parameters
    ----------
    frame : DataFrame
    heads : sequence of str
        In place of the names of the columns.
    caption : str
    digits : int
        Decimals of columns that are not whole numbers.
    """
    numeric = [i for i, name in enumerate(frame.columns) if pd.api.types.is_numeric_dtype(frame[name])]
    places = [0 if _whole(frame[name]) else digits for name in frame.columns]
    rows = [
        [cell(value, n) for value, n in zip(row, places, strict=True)]
        for row in frame.itertuples(index=False, name=None)
    ]
    return table(heads or [str(name) for name in frame.columns], rows, caption=caption, numeric=numeric)


def _whole(column: pd.Series) -> bool:
    """Whether a column of numbers holds whole numbers only."""
    if not pd.api.types.is_float_dtype(column):
        return False
    known = column.dropna()
    return bool((known == known.round()).all())


def cell(value: object, digits: int = 1) -> str:
    """Write one value.

    Examples
    --------
    >>> cell(1234), cell(-0.04), cell(-1.25, 2), cell(float("nan")), cell("neck"), cell(True)
    ('1,234', '0.0', '−1.25', '–', 'neck', 'yes')
    """
    if isinstance(value, str):
        return value
    if value is None or bool(pd.isna(value)):  # type: ignore[call-overload]
        return "–"
    if value is True or value is False:
        return "yes" if value else "no"
    if isinstance(value, float):
        written = f"{value:,.{digits}f}"
        zero = float(written.replace(",", "")) == 0.0
        return f"{0:.{digits}f}" if zero else written.replace("-", "−")
    if isinstance(value, int):
        return f"{value:,}".replace("-", "−")
    return str(value)


def alert(heading: str, *paragraphs: str, below: Block | None = None) -> Block:
    """Say why something cannot go on, and what to do; nobody is shown a traceback."""
    said = "".join(f"<p>{escape(part)}</p>" for part in paragraphs)
    more = below.html if below is not None else ""
    plain = "\n".join((heading, *paragraphs, *([below.text] if below is not None else [])))
    return Block(f'<div class="alert" role="alert"><h3>{escape(heading)}</h3>{said}{more}</div>', plain)


def fold(heading: str, *blocks: Block) -> Block:
    """Blocks that show themselves when their heading is pressed."""
    inside = stack(*blocks)
    html = f"<details><summary>{escape(heading)}</summary>{inside.html}</details>"
    return Block(html, f"{heading}\n{inside.text}")


def download(text: str, name: str, content: bytes) -> Block:
    """A link that hands over a page held in memory; nothing is written before it is pressed."""
    address = "data:text/html;base64," + base64.b64encode(content).decode()
    return Block(f'<p><a href="{address}" download="{escape(name)}">{escape(text)}</a></p>', text)
