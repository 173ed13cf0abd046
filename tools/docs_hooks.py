"""What is on the site and in which order, read off the repository while mkdocs builds (see mkdocs.yml).

The site has the folders of the repository, so that every link between pages leads to the same place on both.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).resolve().parent))

import docs_math

import tpr_outcomes

ROOT = Path(__file__).resolve().parent.parent
ASSETS = ("docs/assets/iframe-worker.js", "docs/assets/site.css")
STAGES = {
    "cohort": "What happened to whom",
    "datasets": "What happened to whom",
    "models": "What might explain it",
    "inference": "What survives a test",
    "planning": "What the next study needs",
    "reporting": "What we may say",
    "analysis": "The whole flow",
    "errors": "What can go wrong",
}
LINK = re.compile(r"\]\(([^)#\s]+)")
FENCE = re.compile(r"^(```+).*?^\1", flags=re.MULTILINE | re.DOTALL)
ROLE = re.compile(r":(?:func|class|meth|mod|data|attr|exc):<code>~?([\w.]+)</code>")
API = "docs/api.md"
DECISIONS = "docs/decisions/README.md"

# mkdocs imports this file by its path and hands it on as a module of that name: nothing here keeps a state.


def text_of(place: str) -> str:
    """A page of the repository; the two that are derived are written here."""
    if place == API:
        return api_page()
    if place == DECISIONS:
        return decisions_page()
    return (ROOT / place).read_text(encoding="utf-8")


def title_of(place: str) -> str:
    """The first heading of a page, without marks."""
    found = re.search(r"^# (.+)$", text_of(place), flags=re.MULTILINE)
    return re.sub(r"[`*]", "", found.group(1)) if found else Path(place).stem


def pages_in(folder: str) -> list[str]:
    """Pages of a folder by title, its README apart."""
    found = [str(path.relative_to(ROOT)) for path in (ROOT / folder).glob("*.md") if path.name != "README.md"]
    return sorted(found, key=lambda place: title_of(place).casefold())


def api_page() -> str:
    """The public names, each with its docstring, in the order of the argument."""
    lines = [
        "# The public names",
        "",
        "What `import tpr_outcomes as tpr` offers. These names, and how they are called, change only with a",
        "line in the [changes](../CHANGELOG.md); a test compares them with a list",
        "(`tests/public_api.txt`). What stands elsewhere in the package may change with any version.",
    ]
    groups: dict[str, list[tuple[str, str]]] = {}
    for name, module in tpr_outcomes._PUBLIC.items():
        groups.setdefault(STAGES[module.split(".")[1]], []).append((name, module))
    for stage, members in groups.items():
        lines += ["", f"## {stage}"]
        for name, module in members:
            options = ["    options:", f"      heading: tpr.{name}", f"      toc_label: {name}"]
            lines += ["", f"::: {module}.{name}", *options]
    return "\n".join(lines) + "\n"


def decisions_page() -> str:
    """All decisions, by number."""
    lines = ["# Decisions", "", "What was decided, why, and what would change our mind."]
    lines += ["", "| | decision |", "|---|---|"]
    for path in sorted((ROOT / "docs" / "decisions").glob("0*.md")):
        number, _, title = title_of(str(path.relative_to(ROOT))).partition(". ")
        lines.append(f"| {number} | [{title}]({path.name}) |")
    return "\n".join(lines) + "\n"


def navigation() -> list[tuple[str, list[str]]]:
    """Sections of the site with their pages."""
    decisions = sorted(
        str(path.relative_to(ROOT)) for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md")
    )
    return [
        ("Start", ["README.md", "docs/tutorial.md"]),
        (
            "Your file",
            ["docs/formats/README.md", *pages_in("docs/formats"), "docs/record-tables.md", "docs/privacy.md"],
        ),
        ("Methods", ["docs/methods/operating-characteristics.md", *pages_in("docs/methods")]),
        ("Reference", ["GLOSSARY.md", API, "docs/exit-codes.md", "data/README.md", "evidence/README.md"]),
        ("Decisions", [DECISIONS, *decisions]),
        ("Project", ["CHANGELOG.md", "CONTRIBUTING.md", "ARCHITECTURE.md", *pages_in("docs")]),
    ]


def chosen() -> list[tuple[str, list[str]]]:
    """The sections, each page in the first that names it; pages that others lead to end the last one."""
    seen: set[str] = set()
    sections: list[tuple[str, list[str]]] = []
    for section, places in navigation():
        fresh = [place for place in dict.fromkeys(places) if place not in seen]
        seen.update(fresh)
        sections.append((section, fresh))
    extra, waiting = [], sorted(seen)
    while waiting:
        for place in linked(waiting.pop()):
            if place.endswith(".md") and place not in seen:
                seen.add(place)
                extra.append(place)
                waiting.append(place)
    sections[-1][1].extend(sorted(extra))
    return sections


def linked(place: str) -> list[str]:
    """Files of the repository a page leads to."""
    text = FENCE.sub("", text_of(place))
    local = [link for link in LINK.findall(text) if "://" not in link and not link.startswith("mailto:")]
    targets = [os.path.normpath((Path(place).parent / link).as_posix()) for link in local]
    return [target for target in targets if (ROOT / target).is_file() or target in {API, DECISIONS}]


def name_of(found: re.Match[str]) -> str:
    """Sphinx's way to name an object, as its last name: a link if the object is on the page."""
    last = found.group(1).rpartition(".")[2]
    shown = f"<code>{last}</code>"
    module = tpr_outcomes._PUBLIC.get(last)
    return f'<a href="#{module}.{last}">{shown}</a>' if module else shown


# --- what mkdocs calls -------------------------------------------------------------------------------------


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Sections and pages of the navigation."""
    config.nav = [{section: list(places)} for section, places in chosen()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The pages of `chosen`, and the files that pages lead to, each at its place in the repository."""
    docs = ROOT / "docs"
    kept = [file for file in files if docs not in Path(file.abs_src_path or "").parents]
    places = [place for _, section in chosen() for place in section]
    more = [target for place in places for target in linked(place)]
    made = []
    for place in dict.fromkeys([*places, *more, *ASSETS]):
        if place in {API, DECISIONS}:
            made.append(File.generated(config, place, content=text_of(place)))
        else:
            made.append(File.generated(config, place, abs_src_path=str(ROOT / place)))
    return Files([*kept, *made])


def on_page_content(html: str, page: Page, **_: object) -> str:
    """Formulas as MathML; in the docstrings, names of other objects as links where those are public."""
    try:
        return docs_math.replace_formulas(ROLE.sub(name_of, html) if page.file.src_uri == API else html)
    except ValueError as error:
        message = f"{page.file.src_uri}: {error}"
        raise ValueError(message) from error
