"""The site as `make docs` builds it: no warning, no dead link, nothing from elsewhere, nothing lost."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

import pytest
from markdown_it import MarkdownIt

import tpr_outcomes as tpr

ROOT = Path(__file__).resolve().parent.parent
HOOKS: dict[str, Any] = runpy.run_path(str(ROOT / "tools" / "docs_hooks.py"))
MATH: dict[str, Any] = runpy.run_path(str(ROOT / "tools" / "docs_math.py"))
PLACES = [place for _, places in HOOKS["chosen"]() for place in places]
pytestmark = pytest.mark.xdist_group("site")  # built once


class Read(HTMLParser):
    """What a page loads, where it leads, and the names that can be led to."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.names: set[str] = set()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        have = {key: value or "" for key, value in attrs}
        self.tags.append(tag)
        self.names |= {have[key] for key in ("id", "name") if key in have}
        if tag == "a" and "href" in have:
            self.links.append(have["href"])
        elif tag == "link" and have.get("rel") not in {"canonical", "prev", "next", "alternate"}:
            self.loads.append(have.get("href", ""))
        else:
            self.loads += [
                have[key] for key in ("src", "data", "poster", "action") if key in have and tag != "a"
            ]
            self.loads += [part.split()[0] for part in have.get("srcset", "").split(",") if part.strip()]
        self.loads += re.findall(r"url\(([^)]+)\)", have.get("style", ""))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does, in a process of its own."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, str(ROOT / "tools" / "docs.py"), "--out", str(out)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    return out


@cache
def read(page: Path) -> Read:
    found = Read()
    found.feed(page.read_text(encoding="utf-8"))
    return found


def built(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def page_of(place: str) -> str:
    """Where a page of the repository stands on the site."""
    folder, name = Path(place).parent, Path(place).name
    return (folder / ("index.html" if name == "README.md" else Path(name).with_suffix(".html"))).as_posix()


def dead(site: Path, page: Path, link: str) -> bool:
    """Whether a link of the site leads nowhere on the site."""
    address, anchor = urldefrag(unquote(link))
    target = (page.parent / address).resolve() if address else page
    if not target.is_file() or not target.is_relative_to(site):
        return True
    return bool(anchor) and target.suffix == ".html" and anchor not in read(target).names | {"__skip"}


def is_elsewhere(link: str) -> bool:
    return re.match(r"([a-z]+:)?//", link, flags=re.IGNORECASE) is not None


def is_ours(link: str) -> bool:
    return not is_elsewhere(link) and re.match(r"(mailto|javascript|data):", link) is None


def requests(text: str) -> Iterator[str]:
    """Addresses a style sheet loads."""
    for found in re.findall(r"@import\s+(?:url\()?[\"']?([^\"')]+)|url\(\s*[\"']?([^\"')]+)", text):
        yield next(filter(None, found))


def test_every_page_is_on_it(site: Path) -> None:
    assert [place for place in PLACES if not (site / page_of(place)).is_file()] == []
    wanted = {
        "README.md",
        "GLOSSARY.md",
        "CHANGELOG.md",
        "docs/tutorial.md",
        "docs/api.md",
        "docs/privacy.md",
    }
    wanted |= {"docs/exit-codes.md", "docs/record-tables.md", "docs/methods/operating-characteristics.md"}
    assert wanted <= set(PLACES)


def test_no_page_of_the_repository_is_left_out() -> None:
    here = {str(path.relative_to(ROOT)) for folder in ("docs", ".") for path in (ROOT / folder).glob("*.md")}
    here |= {str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")}
    assert here - set(PLACES) == set()


def test_every_page_can_be_reached_from_the_first(site: Path) -> None:
    first = read(site / "index.html")
    reached = {(site / urldefrag(link)[0]).resolve() for link in first.links if is_ours(link)}
    sections = [read(page) for page in reached if page.suffix == ".html" and page.is_file()]
    assert len(sections) > 5
    missing = {(site / page_of(place)).resolve() for place in PLACES} - reached
    for page in sorted(reached):
        if page.suffix == ".html" and page.is_file():
            missing -= {
                (page.parent / urldefrag(link)[0]).resolve() for link in read(page).links if is_ours(link)
            }
    assert missing == set()


def test_no_link_is_dead(site: Path) -> None:
    found = [
        f"{page.relative_to(site)}: {link}"
        for page in built(site)
        if page.name != "404.html"
        for link in read(page).links
        if is_ours(link) and dead(site, page, link)
    ]
    assert found == []


def test_no_picture_style_or_script_is_missing(site: Path) -> None:
    found = [
        f"{page.relative_to(site)}: {link}"
        for page in built(site)
        if page.name != "404.html"
        for link in read(page).loads
        if is_ours(link) and dead(site, page, link.partition("?")[0])
    ]
    assert found == []


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    pages = [
        f"{page.relative_to(site)}: {link}"
        for page in built(site)
        for link in read(page).loads
        if is_elsewhere(link)
    ]
    styles = [
        f"{sheet.relative_to(site)}: {link}"
        for sheet in site.rglob("*.css")
        for link in requests(sheet.read_text(encoding="utf-8"))
        if is_elsewhere(link)
    ]
    assert pages + styles == []


def test_no_page_could_make_the_theme_look_elsewhere(site: Path) -> None:
    """The theme's script asks a host for diagrams and repositories, where a page has any: none has."""
    for page in built(site):
        text = page.read_text(encoding="utf-8")
        assert 'class="mermaid"' not in text
        assert "data-md-component=source" not in text.replace('"', "")


def test_links_between_pages_are_relative(site: Path) -> None:
    """So that the site can be opened from the disk."""
    absolute = [
        link
        for page in built(site)
        if page.name != "404.html"
        for link in read(page).links
        if link[:1] == "/"
    ]
    assert absolute == []


@pytest.mark.parametrize(
    "place", [place for place in PLACES if place not in {HOOKS["API"], HOOKS["DECISIONS"]}]
)
def test_a_page_has_the_same_parts_on_the_site(site: Path, place: str) -> None:
    """A list that is none for one of two readers of Markdown, or a broken table, shows in the numbers."""
    tokens = MarkdownIt().enable("table").parse((ROOT / place).read_text(encoding="utf-8"))
    kinds = [token.type for token in tokens]
    text = (site / page_of(place)).read_text(encoding="utf-8")
    article = re.search(r"<article.*?>(.*)</article>", text, flags=re.DOTALL)
    assert article is not None
    parts = Read()
    parts.feed(article.group(1))
    for tag, opened in (("li", "list_item_open"), ("tr", "tr_open"), ("h2", "heading_open")):
        wanted = kinds.count(opened)
        if tag == "h2":
            wanted = sum(token.type == opened and token.tag == "h2" for token in tokens)
        assert parts.tags.count(tag) == wanted, tag
    assert len(re.findall(r'<div class="[^"]*\bhighlight\b', text)) == kinds.count("fence")


def test_formulas_are_drawn_without_a_script(site: Path) -> None:
    """Every formula on the pages became MathML, and none stayed TeX."""
    formulas = 0
    for place in PLACES:
        text = (site / page_of(place)).read_text(encoding="utf-8")
        formulas += text.count("<math ")
        assert r"\(" not in re.sub(r"<(script|code|pre)\b.*?</\1>", "", text, flags=re.DOTALL)
        assert not re.search(r">[^<]*\$\$[^<]*<", text), place
    assert formulas > 150


@pytest.mark.parametrize(
    ("source", "inside"),
    [
        (r"\frac{a}{2}", "<mfrac><mi>a</mi><mn>2</mn></mfrac>"),
        (r"x'", "<msup><mi>x</mi><mo>′</mo></msup>"),
        (r"x_{ij}", "<msub><mi>x</mi><mrow><mrow><mi>i</mi><mi>j</mi></mrow><mspace "),
        (r"x_i^2", "</mrow><mn>2</mn></msubsup>"),
        (r"\text{at } v", "<mtext>at\N{NO-BREAK SPACE}</mtext><mi>v</mi>"),
        (r"10^{-3}", "<msup><mn>10</mn><mrow><mo>−</mo><mn>3</mn></mrow></msup>"),
        (r"\sum_i g", '<munder><mo movablelimits="true">∑</mo><mi>i</mi></munder><mi>g</mi>'),
        (r"a<b", "<mi>a</mi><mo>&lt;</mo><mi>b</mi>"),
    ],
)
def test_a_formula_becomes_mathml(source: str, inside: str) -> None:
    assert inside in MATH["mathml"](source, block=False)


@pytest.mark.parametrize("source", [r"\nonsense", r"\frac{a}", "{a", "a}", "x^"])
def test_a_formula_that_cannot_be_read_stops_the_build(source: str) -> None:
    with pytest.raises(ValueError, match="formula"):
        MATH["mathml"](source, block=False)


def test_every_public_name_has_its_entry(site: Path) -> None:
    names = read(site / page_of(HOOKS["API"])).names
    assert {f"{module}.{name}" for name, module in tpr._PUBLIC.items()} <= names


def test_no_mark_of_another_language_is_left_in_the_docstrings(site: Path) -> None:
    text = (site / page_of(HOOKS["API"])).read_text(encoding="utf-8")
    assert re.findall(r":(?:func|class|meth|mod|data|attr|ref):|\.\. \w+::", text) == []


@pytest.mark.parametrize(
    ("link", "is_dead"),
    [("index.html", False), ("nowhere.html", True), ("index.html#no-such-name", True), ("#limits", False)],
)
def test_a_dead_link_would_be_noticed(site: Path, link: str, is_dead: bool) -> None:
    assert dead(site, site / "index.html", link) is is_dead


@pytest.mark.browser
def test_in_a_browser_from_the_disk(site: Path, chromium: str) -> None:
    """From the disk, the network watched: nothing is asked for, the search finds, nothing is too wide."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 844})
        asked: list[str] = []
        wrong: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        for place in ("docs/methods/sequential.md", "docs/tutorial.md", "docs/api.md", "README.md"):
            page.goto((site / page_of(place)).as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, place
        page.set_viewport_size({"width": 1440, "height": 900})
        page.locator("input.md-search__input").click()
        page.keyboard.type("tipping point", delay=30)
        found = page.locator(".md-search-result__link")
        found.first.wait_for()
        assert any("tipping-points.html" in (link.get_attribute("href") or "") for link in found.all())
        browser.close()
    assert wrong == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "about:", "blob:"))] == []
