"""The report in a real browser: no request, no complaint, policy obeyed, and it fits a telephone."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tpr_outcomes.analysis import evaluate
from tpr_outcomes.cohort.tables import read_record
from tpr_outcomes.planning.simulate import simulate
from tpr_outcomes.planning.workbook import simulate_record, simulate_tables
from tpr_outcomes.reporting.bundle import write_report

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

HOSTILE = "<script>window.acted = 1</script><img src=x onerror='window.acted = 1'>"
HOSTILE_FILE = "<img src=x onerror=window.acted=1>"
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
WATCH = """
window.violations = [];
document.addEventListener('securitypolicyviolation', e => window.violations.push(e.violatedDirective));
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A written report of a record that is hostile wherever a clinic may write words.

    Region, therapist, sex, reason for stopping, muscle, feeling, event, identifiers, names of columns and
    files, the title and what the clinic says of itself.
    """
    folder = tmp_path_factory.mktemp("clinic") / HOSTILE_FILE
    folder.mkdir()
    tables = simulate_tables("A-thr40", n_patients=90, seed=7)
    visits = tables["visits"].rename(columns={"region": HOSTILE})
    two = [f"{HOSTILE} {patient % 2}" for patient in pd.factorize(visits["patient"])[0]]
    for column in (HOSTILE, "therapist", "stop_reason"):
        visits[column] = two
    for table in tables.values():
        table["patient"] = table["patient"].map(lambda patient: f"{HOSTILE}{patient}")
    tables["sites"]["muscle"] = tables["sites"]["twitch_feeling"] = tables["sites"]["needle"] = HOSTILE
    tables["diary"]["area"] = HOSTILE
    told = tables["events"]["what"] != "none"
    tables["events"].loc[told, "what"] = HOSTILE
    tables["visits"] = visits
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    columns = {"region": HOSTILE}
    record = read_record(folder, columns=columns)
    plan = {"title": HOSTILE, "columns": columns, "about": {"needle": HOSTILE, "setting": HOSTILE}}
    return write_report(evaluate(record, plan, replicates=99), folder / "out")


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Reports of a record with every table beside it, of one without a link, and of one too small to fit."""
    folder = tmp_path_factory.mktemp("others")
    full = simulate_record("A-thr40", n_patients=80, seed=2)
    made = {
        "full": evaluate(full, {"title": "Clinic", "self_check": 2}, replicates=99),
        "nothing": evaluate(simulate("N4", n_patients=60, seed=3), replicates=99),
        "tiny": evaluate(simulate("N4", n_patients=6, seed=3), replicates=99),
    }
    return tuple(write_report(evaluation, folder / name) for name, evaluation in made.items())


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


class Opened:
    """A page and what it asked for and complained of while it was opened."""

    def __init__(self, browser: Any, path: Path, viewport: dict[str, int]) -> None:
        self.page = browser.new_page(viewport=viewport)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.add_init_script(WATCH)
        self.page.goto(path.as_uri(), wait_until="load")


@pytest.fixture(params=[WIDE, NARROW], ids=["desk", "telephone"])
def opened(browser: Any, report: Path, request: pytest.FixtureRequest) -> Iterator[Opened]:
    found = Opened(browser, report, request.param)
    yield found
    found.page.close()


def test_it_asks_for_nothing_but_itself(opened: Opened, report: Path) -> None:
    outside = [url for url in opened.requests if not url.startswith("data:")]
    assert outside == [report.as_uri()]


def test_nothing_is_complained_of_and_the_policy_is_obeyed(opened: Opened) -> None:
    assert opened.complaints == []
    assert opened.page.evaluate("window.violations") == []
    # The policy is real: what it forbids does not happen.
    opened.page.evaluate("document.body.setAttribute('style', 'background: red')")
    assert opened.page.evaluate("window.violations.length") == 1


def test_hostile_text_is_shown_as_text(opened: Opened) -> None:
    assert opened.page.evaluate("window.acted") is None
    assert HOSTILE in opened.page.locator("header .title").inner_text()
    assert HOSTILE in opened.page.locator("#table-plan").inner_text()
    opened.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert HOSTILE in opened.page.locator("#table-stricta").inner_text()
    assert HOSTILE in opened.page.locator("#table-strobe").inner_text()
    assert opened.page.locator("script").count() == 0
    assert opened.page.locator("img[src=x]").count() == 0
    assert opened.page.evaluate("window.acted") is None


def test_every_picture_is_shown_with_its_words(opened: Opened) -> None:
    for image in opened.page.locator("img").all():
        image.scroll_into_view_if_needed()
        assert image.evaluate("i => i.complete && i.naturalWidth > 0")
        assert len(image.get_attribute("alt") or "") > 30
    narrow = opened.page.viewport_size["width"] == NARROW["width"]
    shown = opened.page.locator("img").first.evaluate("i => i.naturalWidth / i.naturalHeight")
    assert (shown < 1.2) == narrow, "a telephone gets the drawing made for it"


def test_the_page_never_scrolls_sideways(opened: Opened) -> None:
    assert opened.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    for details in opened.page.locator("details").all():
        details.evaluate("d => d.open = true")
    assert opened.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_text_is_large_enough_to_read(opened: Opened) -> None:
    smallest = opened.page.evaluate(
        """() => Math.min(...[...document.querySelectorAll('main *')]
            .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()))
            .filter(e => e.offsetParent !== null && !e.closest('math') && !['SUB', 'SUP'].includes(e.tagName))
            .map(e => parseFloat(getComputedStyle(e).fontSize)))"""
    )
    assert smallest >= 12.0


def test_the_first_key_leads_past_the_header(opened: Opened) -> None:
    opened.page.keyboard.press("Tab")
    skip = opened.page.locator(":focus")
    assert skip.get_attribute("href") == "#answer"
    assert skip.bounding_box()["x"] >= 0


def places(page: Any) -> list[str]:
    """What stands on the first screen, in the order of the page."""
    return page.evaluate("[...document.querySelectorAll('#answer h1, #answer h2')].map(e => e.innerText)")


@pytest.mark.parametrize("clinic", ["full", "nothing", "tiny"])
def test_the_first_screen_holds_the_whole_answer(browser: Any, others: tuple[Path, ...], clinic: str) -> None:
    path = next(path for path in others if path.parent.name == clinic)
    page = Opened(browser, path, WIDE).page
    shown = ("#question", ".badge", ".verdict", ".picture", ".cards article >> nth=0")
    for place in (*shown, ".cards article >> nth=1", ".cards article >> nth=2"):
        box = page.locator(place).first.bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= WIDE["height"], place
    assert places(page)[1:] == ["How sure, and why", "What would change it", "Who it does not apply to"]
    layers = [
        "Data and flow", "What was seen", "Rival explanations", "The test", "What could fool us",
        "The thirty claims", "Methods", "Reporting standards", "Provenance",
    ]  # fmt: skip
    assert page.locator("nav.contents li").all_inner_texts() == layers
    headings = page.locator("main > section:not(.hero) > h2").all_inner_texts()
    assert [heading.lstrip("0123456789 ") for heading in headings] == layers
    assert not page.locator("math").first.is_visible(), "plain words first, the formula one click deeper"
    page.locator("#methods summary").first.click()
    assert page.locator("math").first.is_visible()
    page.close()


# --- for everybody --------------------------------------------------------------------------------

AXE_SEEN = 40
"""Rules of axe-core that apply to a report; a page on which fewer pass was not looked at."""


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["desk", "telephone"])
@pytest.mark.parametrize("folded", [True, False], ids=["folded", "unfolded"])
def test_axe_finds_nothing(
    browser: Any, report: Path, others: tuple[Path, ...], viewport: dict[str, int], folded: bool
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    for path in (report, *others):
        page = Opened(browser, path, viewport).page
        if not folded:
            page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        found = axe.Axe().run(page).response
        assert len(found["passes"]) >= AXE_SEEN
        said = [(v["impact"], v["id"], [node["target"] for node in v["nodes"]]) for v in found["violations"]]
        assert said == [], path.parent.name
        page.close()


def test_axe_would_find_something(browser: Any, report: Path) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    page = Opened(browser, report, WIDE).page
    page.evaluate("document.querySelectorAll('img').forEach(i => i.removeAttribute('alt'))")
    assert "image-alt" in {v["id"] for v in axe.Axe().run(page).response["violations"]}
    page.close()


# --- on paper -------------------------------------------------------------------------------------

PAPER = {"width": 680, "height": 980}
"""The printable part of an A4 page with our margins (180 mm by 263 mm) at 96 dots per inch."""


def test_on_paper_everything_is_unfolded_and_named(browser: Any, report: Path) -> None:
    page = Opened(browser, report, WIDE).page
    assert not page.locator("math").first.is_visible()
    page.emulate_media(media="print")
    for place in ("math", ".rules", "#table-strobe", "#behind-C13 dl", ".hero figcaption details p"):
        assert page.locator(place).first.is_visible(), place
    names = page.locator("summary:not(figcaption summary)")
    assert names.count() > 35
    assert all(name.is_visible() for name in names.all()), "what named a fold is a heading on paper"
    assert not page.locator("nav.contents").is_visible()
    page.close()


def test_on_paper_nothing_is_cut_off(browser: Any, report: Path, others: tuple[Path, ...]) -> None:
    for path in (report, *others):
        page = Opened(browser, path, PAPER).page
        page.emulate_media(media="print")
        beyond = page.evaluate(
            """() => [...document.querySelectorAll('main *')].filter(e => {
                const box = e.getBoundingClientRect();
                return box.width > 0 && box.right > window.innerWidth + 1 && !e.closest('.skip');
            }).map(e => e.outerHTML.slice(0, 80))"""
        )
        assert beyond == [], path.parent.name
        hidden = page.evaluate(
            """() => [...document.querySelectorAll('main *')].filter(e =>
                e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX !== 'visible')
                .map(e => e.outerHTML.slice(0, 80))"""
        )
        assert hidden == [], path.parent.name
        page.close()


def test_on_paper_rows_and_pictures_stay_whole_and_heads_are_repeated(browser: Any, report: Path) -> None:
    page = Opened(browser, report, PAPER).page
    page.emulate_media(media="print")
    rules = page.evaluate(
        """() => Object.fromEntries(['figure', 'tr', 'caption', 'h2', 'h3', 'thead'].map(tag => {
            const style = getComputedStyle(document.querySelector(`section:not(.hero) ${tag}`));
            return [tag, [style.breakInside, style.breakAfter, style.display]];
        }))"""
    )
    assert {rules[tag][0] for tag in ("figure", "tr", "caption", "thead")} == {"avoid"}
    assert {rules[tag][1] for tag in ("h2", "h3", "caption")} == {"avoid"}
    assert rules["thead"][2] == "table-header-group"
    tallest = page.evaluate(
        "Math.max(...[...document.querySelectorAll('figure, tr')].map(e => e.getBoundingClientRect().height))"
    )
    assert tallest < PAPER["height"], "what stays whole fits a page"
    page.close()


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext (poppler) is not installed")
def test_the_printed_pages_hold_all_there_is(browser: Any, report: Path, tmp_path: Path) -> None:
    page = Opened(browser, report, WIDE).page
    page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True, print_background=False)
    page.emulate_media(media="print")
    heads = page.locator("#table-claims thead th").all_inner_texts()
    said = page.locator("main").inner_text()
    page.close()
    command = ["pdftotext", "-layout", str(tmp_path / "report.pdf"), "-"]
    pages = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\f")[:-1]
    assert 8 <= len(pages) <= 40
    for number, text in enumerate(pages, start=1):
        lines = text.strip().splitlines()
        assert re.search(rf"\b{number} / {len(pages)}$", lines[-1]), "each page has its number"
        assert len(lines) > 4, f"page {number} is all but empty"
    printed = Counter(re.findall(r"\w+", "".join(pages)))
    lost = Counter(re.findall(r"\w+", said)) - printed
    # A word may be set in two parts where a line ends inside it; a lost line or cell would be many.
    assert lost.total() <= 0.01 * printed.total(), lost.most_common(20)
    claims = [text for text in pages if re.search(r"^ *C\d+ {2,}\S", text, flags=re.MULTILINE)]
    assert len(claims) >= 2
    assert all(all(head in text for head in heads) for text in claims), "the head stands on each page"
    for text in pages:
        last = text.strip().splitlines()[-2]
        assert not re.match(r"^\s*(Table \d+\.|[1-9] [A-Z])", last), f"a heading without its text: {last}"
