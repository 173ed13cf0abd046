"""The tables of the page for a paper: HTML that can be pasted into Word, and LaTeX, by great-tables."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

import pandas as pd

from tpr_outcomes.reporting.page_tables import PageTable

LIBRARY = "great_tables"
_TEX = {"−": "$-$", "–": "--", "×": r"$\times$", "±": r"$\pm$", "“": "``", "”": "''", "…": r"\ldots{}"}
"""Signs that plain LaTeX does not know."""


def available() -> bool:
    """Tell whether great-tables is installed (extra ``report``)."""
    return find_spec(LIBRARY) is not None


def publication_tables(tables: Mapping[str, PageTable]) -> dict[str, bytes]:
    """Write each table of the page as a page of its own and as LaTeX.

    Parameters
    ----------
    tables : mapping of str to PageTable

    Returns
    -------
    dict of str to bytes
        By path: ``tables/NAME.html`` (opened in a browser or in Word, to be copied from there) and
        ``tables/NAME.tex`` (needs booktabs). Text is escaped in both. Empty without great-tables.
    """
    if not available():
        return {}
    from great_tables import GT, loc, style

    found: dict[str, bytes] = {}
    for name, table in tables.items():
        columns = [f"c{i}" for i in range(len(table.heads))]
        frame = pd.DataFrame([list(row) for row in table.rows], columns=columns, dtype=str)
        made = GT(frame, id=f"table-{name}", rowname_col=columns[0])
        made = made.tab_header(title=table.caption).tab_stubhead(label=table.heads[0])
        made = made.cols_label(dict(zip(columns[1:], table.heads[1:], strict=True)))
        right = [columns[i] for i in sorted(table.numeric) if i > 0]
        made = made.cols_align(align="left").cols_align(align="right", columns=right)
        made = made.opt_align_table_header(align="left")
        styled = made.tab_style(style=style.text(weight="bold"), locations=loc.column_labels())
        found[f"tables/{name}.html"] = _page(styled.as_raw_html(make_page=True), table.caption)
        found[f"tables/{name}.tex"] = _tex(made.as_latex())
    return found


def _page(html: str, caption: str) -> bytes:
    """Give the page a language and a title."""
    from markupsafe import escape

    titled = html.replace("<html>", '<html lang="en">', 1)
    if "<title>" not in titled:
        titled = titled.replace("<head>", f"<head>\n<title>{escape(caption)}</title>", 1)
    return (titled.rstrip() + "\n").encode()


def _tex(source: str) -> bytes:
    for sign, command in _TEX.items():
        source = source.replace(sign, command)
    return (source.strip() + "\n").encode()
