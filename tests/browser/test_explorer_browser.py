"""The explorer as `make explore` serves it: upload, filter, patient, report; by mouse and by keyboard alone.

With TPR_PICTURES set, the pictures of the documentation are taken anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as NothingHappenedError
from tests.browser.servers import DESK, PATIENCE, ROOT, TELEPHONE, serious, served

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("explorer")]

PICTURES = ROOT / "docs" / "images"
VIEWS = ("Data check", "Group", "One patient", "Report", "Verdict")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A clinic's spreadsheet with the visits side by side, and one that nobody can read as it stands."""
    folder = tmp_path_factory.mktemp("files")
    record = pd.read_csv(ROOT / "data" / "example_threshold.csv")
    wide = record.pivot(index="patient", columns="visit", values=["pain", "twitches"])
    wide.columns = [f"{what}_v{visit}" for what, visit in wide.columns]
    for name in ("region", "age"):
        wide.insert(0, name, record.groupby("patient")[name].first())
    wide.reset_index().to_excel(folder / "our clinic.xlsx", index=False)
    (folder / "bad.csv").write_text(
        "patient,visit,pain,twitches\nA,1,7,3\nA,2,15,3\nA,3,x,-1\n", encoding="utf-8"
    )
    return {"good": folder / "our clinic.xlsx", "bad": folder / "bad.csv"}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    notebook = str(ROOT / "notebooks" / "explorer.ipynb")
    home = tmp_path_factory.mktemp("voila")
    with served("voila", notebook, "--no-browser", "--port={port}", home=home, answers="voila/api") as found:
        yield found


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as engine:
        opened = engine.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The explorer, ready; every request is looked at."""
    opened = browser.new_page(viewport=DESK)
    opened.set_default_timeout(PATIENCE)
    outside: list[str] = []
    local = re.compile(rf"(data:|blob:|{re.escape(address)}/)")
    opened.on("request", lambda asked: None if local.match(asked.url) else outside.append(asked.url))
    opened.goto(address, timeout=PATIENCE)
    opened.get_by_role("button", name="Use the simulated example").wait_for()
    yield opened
    opened.close()
    assert outside == [], "nothing is asked of any other computer"


def take_picture(page: Page, name: str) -> None:
    if os.environ.get("TPR_PICTURES"):
        page.evaluate("window.scrollTo(0, 0)")
        page.wait_for_timeout(500)
        page.screenshot(path=PICTURES / f"{name}.png")


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def send(page: Page, file: Path) -> None:
    with page.expect_file_chooser() as waiting:
        page.get_by_role("button", name="Open a file").click()
    waiting.value.set_files(file)


def test_make_explore_is_what_is_tested_here() -> None:
    recipe = (
        (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nexplore:")[2].partition("\nendif")[0]
    )
    assert "JUPYTER_CONFIG_PATH=$(CURDIR)/tools/jupyter JUPYTER_PATH=$(CURDIR)/tools/jupyter/share" in recipe
    assert "voila notebooks/explorer.ipynb $(ARGS)" in recipe


def test_from_a_clinics_spreadsheet_to_the_report(
    page: Page, browser: Browser, files: dict[str, Path], tmp_path: Path
) -> None:
    assert serious(page) == []
    send(page, files["good"])
    verdict = page.locator(".tpr .verdict").first
    expect(verdict).to_be_in_viewport(timeout=PATIENCE)
    sentence = verdict.inner_text()
    assert "twitches" in sentence
    box: Any = page.locator(".tpr .lights").bounding_box()
    assert box["y"] + box["height"] <= DESK["height"], "verdict and data check are on the first screen"
    take_picture(page, "explorer")
    page.get_by_text("Why, and what would change it").click()
    expect(page.get_by_role("heading", name="What to do next")).to_be_visible()
    assert serious(page) == []

    press(page, "Data check")
    expect(page.get_by_text("What was noticed, and what to do about it")).to_be_visible(timeout=PATIENCE)
    assert serious(page) == []

    press(page, "Group")
    expect(page.get_by_text("180 of 180 patients chosen.")).to_be_visible(timeout=PATIENCE)
    page.get_by_label("Visits from").fill("6")
    page.get_by_label("Visits from").press("Enter")
    expect(page.get_by_text("180 of 180 patients chosen.")).to_be_hidden(timeout=PATIENCE)
    page.get_by_label("Region").select_option(index=1)
    expect(page.get_by_text(re.compile(r"^\d+ of 180 patients chosen"))).to_be_visible(timeout=PATIENCE)
    assert serious(page) == []

    press(page, "One patient")
    follows = page.get_by_text("What usually follows").first
    expect(follows).to_be_visible(timeout=PATIENCE)
    before = follows.inner_text()
    page.get_by_label("Patient", exact=True).select_option(index=2)
    expect(follows).not_to_have_text(before, timeout=PATIENCE)
    page.get_by_label("Known up to visit").fill("2")
    page.get_by_label("Known up to visit").press("Enter")
    expect(page.get_by_text("at visit 3, a rating of about").first).to_be_visible(timeout=PATIENCE)
    take_picture(page, "explorer-patient")
    assert serious(page) == []

    press(page, "Report")
    press(page, "Make the report")
    link = page.get_by_role("link", name=re.compile("Download report.html"))
    with page.expect_download() as waiting:
        link.click(timeout=PATIENCE)
    assert serious(page) == []
    saved = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(saved)
    assert saved.name == "report.html"
    assert sentence in re.sub(r"<[^>]+>", "", saved.read_text(encoding="utf-8"))
    report = browser.new_page(viewport=DESK)
    report.goto(saved.as_uri())
    assert serious(report) == []
    report.close()

    press(page, "Verdict")
    send(page, files["bad"])
    problems = page.locator(".tpr .alert table")
    expect(problems).to_be_visible(timeout=PATIENCE)
    assert problems.locator("tbody tr").count() >= 3
    assert "Traceback" not in page.locator("body").inner_text()
    expect(verdict).to_be_hidden()
    assert serious(page) == []


def test_the_keyboard_alone_is_enough(page: Page, files: dict[str, Path]) -> None:
    choose_by_keyboard(page, files["bad"])
    expect(page.locator(".tpr .alert table")).to_be_visible(timeout=PATIENCE)
    reach(page, "Use the simulated example")
    page.keyboard.press("Enter")
    expect(page.locator(".tpr .verdict").first).to_be_visible(timeout=PATIENCE)
    reach(page, "Why, and what would change it")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="What to do next")).to_be_visible()
    reach(page, "One patient")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Patient no. 1.")).to_be_visible(timeout=PATIENCE)
    reach(page, "Patient")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_text("Patient no. 2.")).to_be_visible(timeout=PATIENCE)
    follows = page.get_by_text("What usually follows").first
    before = follows.inner_text()
    reach(page, "Known up to visit")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(follows).not_to_have_text(before, timeout=PATIENCE)
    reach(page, "Region")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_text("180 of 180 patients chosen.")).to_be_hidden(timeout=PATIENCE)
    expect(page.get_by_text(re.compile(r"^\d+ of 180 patients chosen"))).to_be_visible()
    reach(page, "Report")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Make the report").wait_for(timeout=PATIENCE)
    reach(page, "Make the report")
    page.keyboard.press("Enter")
    page.get_by_role("link", name=re.compile("Download report.html")).wait_for()
    reach(page, "Download report.html")
    with page.expect_download() as waiting_for_report:
        page.keyboard.press("Enter")
    assert waiting_for_report.value.suggested_filename == "report.html"


def choose_by_keyboard(page: Page, file: Path) -> None:
    """Press the upload button; again where the press came before the button had its handler."""
    for _ in range(6):
        reach(page, "Open a file")
        try:
            with page.expect_file_chooser(timeout=10_000) as waiting:
                page.keyboard.press("Space")
        except NothingHappenedError:
            continue
        waiting.value.set_files(file)
        return
    pytest.fail("the button never opened the file chooser")


def reach(page: Page, name: str) -> None:
    """Press Tab until the control of that name has the focus; a caught focus never gets there."""
    named = """() => {
        const e = document.activeElement;
        const label = e.labels && e.labels.length ? e.labels[0].innerText : '';
        return (label || e.innerText || e.getAttribute('aria-label') || '').trim();
    }"""
    for _ in range(3):  # a view may still be in the making
        for _ in range(80):
            page.keyboard.press("Tab")
            if str(page.evaluate(named)).startswith(name):
                return
        page.wait_for_timeout(2_000)
    pytest.fail(f"Tab never reaches {name!r}")


def test_it_fits_a_telephone(page: Page) -> None:
    page.set_viewport_size(TELEPHONE)
    press(page, "Use the simulated example")
    page.locator(".tpr .verdict").first.wait_for()
    for view in VIEWS:
        press(page, view)
        page.wait_for_timeout(1500)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), view
        for image in page.locator(".tpr picture img").all():
            shape = image.evaluate("i => i.naturalWidth / i.naturalHeight")
            assert shape < 1.2, f"{view}: a telephone gets the drawing made for it"
    take_picture(page, "explorer-telephone")
