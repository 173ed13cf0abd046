"""The report in a real browser: no request, no complaint, policy obeyed, and it fits a telephone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tpr_outcomes.analysis import evaluate
from tpr_outcomes.cohort.visits import read_visits
from tpr_outcomes.planning.simulate import simulate
from tpr_outcomes.planning.worlds import WORLDS
from tpr_outcomes.reporting.bundle import write_report

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

HOSTILE = "<script>window.acted = 1</script><img src=x onerror='window.acted = 1'>"
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
WATCH = """
window.violations = [];
document.addEventListener('securitypolicyviolation', e => window.violations.push(e.violatedDirective));
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A written report of a record with a hostile region, under a hostile title and column name."""
    folder = tmp_path_factory.mktemp("clinic")
    table = simulate(WORLDS["blanks+thr40"], n_patients=90, seed=7).table.drop(columns="sought")
    table["region"] = HOSTILE
    table["weeks"] = table["visit"] - 1
    table = table.rename(columns={"region": HOSTILE})
    columns = {"region": HOSTILE}
    table.to_csv(folder / "clinic.csv", index=False)
    visits = read_visits(folder / "clinic.csv", columns=columns)
    return write_report(
        evaluate(visits, {"title": HOSTILE, "columns": columns}, replicates=99), folder / "out"
    )


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
    assert opened.page.locator("script").count() == 0


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


def test_the_first_screen_holds_the_answer(browser: Any, report: Path) -> None:
    page = Opened(browser, report, WIDE).page
    for place in ("#question", ".badge", ".verdict", ".hero img", ".cards h2 >> nth=0", ".cards h2 >> nth=2"):
        box = page.locator(place).first.bounding_box()
        assert box["y"] + box["height"] <= WIDE["height"], place
    page.close()


def test_on_paper_everything_is_unfolded(browser: Any, report: Path) -> None:
    page = Opened(browser, report, WIDE).page
    assert not page.locator("math").first.is_visible()
    page.emulate_media(media="print")
    assert page.locator("math").first.is_visible()
    assert not page.locator("nav.contents").is_visible()
    paper = page.pdf(format="A4", print_background=False)
    assert paper.startswith(b"%PDF")
    page.close()
