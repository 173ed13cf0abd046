"""The explorer without a browser: what a press of a button or a change of a field leads to."""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import tpr_outcomes as tpr
from tpr_outcomes import notebook_explorer
from tpr_outcomes.notebook_explorer import _Explorer, explorer
from tpr_outcomes.reporting import words_explorer as say

ROOT = Path(__file__).resolve().parents[2]
STYLE = re.compile(r"<style>.*?</style>", re.DOTALL)


def widgets(box: Any) -> list[Any]:
    """A widget and all within it, as the page has them."""
    return [box, *(inner for child in getattr(box, "children", ()) for inner in widgets(child))]


def text(box: Any) -> str:
    """Everything a box shows, without its marks."""
    shown = [w.value for w in widgets(box) if type(w).__name__ == "HTML"]
    return html.unescape(re.sub(r"<[^>]+>", " ", STYLE.sub("", " ".join(shown))))


def named(box: Any, description: str) -> Any:
    (found,) = [w for w in widgets(box) if getattr(w, "description", None) == description]
    return found


def send(page: _Explorer, name: str, content: bytes) -> None:
    """What the browser does when a file is chosen."""
    file = {
        "name": name,
        "content": memoryview(content),
        "size": len(content),
        "type": "",
        "last_modified": None,
    }
    page.guarded(page.on_upload)({"new": (file,)})


@pytest.fixture
def page() -> _Explorer:
    return _Explorer("", None)


@pytest.fixture
def example() -> _Explorer:
    return _Explorer("example:threshold", {"replicates": 199})


def wide_workbook() -> bytes:
    """A clinic's spreadsheet: one row per patient, visits side by side."""
    record = pd.read_csv(ROOT / "data" / "example_threshold.csv").query("visit <= 8")
    wide = record.pivot(index="patient", columns="visit", values=["pain", "twitches"])
    wide.columns = [f"{what}_v{visit}" for what, visit in wide.columns]
    made = io.BytesIO()
    wide.reset_index().to_excel(made, index=False)
    return made.getvalue()


# --- opening ----------------------------------------------------------------------------------------------


def test_it_waits_for_a_file_and_shows_nothing_before(page: _Explorer) -> None:
    assert page.shown.layout.display == "none"
    assert say.OPEN["waiting"] in text(page.box)
    assert say.OPEN["promise"] in text(page.box)


def test_an_uploaded_spreadsheet_is_read_from_memory_and_judged(
    page: _Explorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    send(page, "our clinic.xlsx", wide_workbook())
    assert page.shown.layout.display == ""
    assert page.result is not None
    assert page.result.sentence in text(page.box)
    assert "Your file: 180 patients" in text(page.box)
    assert list(tmp_path.iterdir()) == [], "nothing is written"


def test_a_file_named_to_begin_with_is_opened(example: _Explorer) -> None:
    assert "The simulated example: 180 patients, 871 visits." in text(example.box)
    assert "There is no file nowhere.csv" in text(explorer("nowhere.csv"))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("bad.csv", b"patient,visit,pain,twitches\nA,1,7,3\nA,2,15,3\nB,1,x,-1\n", "pain is 15"),
        ("bad.xlsx", b"not a workbook", "The spreadsheet cannot be opened"),
        ("notes.docx", b"PK", "files read here end in"),
        ("empty.csv", b"", ""),
    ],
)
def test_a_broken_file_is_said_in_words(page: _Explorer, name: str, content: bytes, said: str) -> None:
    send(page, name, content)
    assert page.shown.layout.display == "none"
    assert said in text(page.message)
    assert say.OPEN["stopped"] in text(page.status)
    assert "Traceback" not in text(page.box)


def test_every_place_of_a_broken_file_has_its_remedy(page: _Explorer) -> None:
    send(page, "bad.csv", b"patient,visit,pain,twitches\nA,1,7,3\nA,2,15,3\nA,2,4,-3\n")
    (table,) = [w.value for w in widgets(page.message) if "<table>" in getattr(w, "value", "")]
    assert table.count("<tr>") >= 4
    assert "What to do" in table


def test_a_good_file_after_a_bad_one_clears_the_complaint(page: _Explorer) -> None:
    send(page, "bad.csv", b"patient,visit,pain,twitches\nA,1,77,3\n")
    send(page, "good.csv", (ROOT / "data" / "example_nothing.csv").read_bytes())
    assert page.message.children == ()
    assert page.shown.layout.display == ""


def test_columns_that_were_not_found_can_be_pointed_at(page: _Explorer) -> None:
    record = pd.read_csv(ROOT / "data" / "example_threshold.csv")
    record = record.rename(columns={"pain": "Q17", "twitches": "Q18"})
    send(page, "strange.csv", record.to_csv(index=False).encode())
    lists = {w.description: w for w in widgets(page.message) if type(w).__name__ == "Dropdown"}
    assert set(lists) == {say.COLUMNS["pain"], say.COLUMNS["twitches"]}
    lists[say.COLUMNS["pain"]].value = "Q17"
    lists[say.COLUMNS["twitches"]].value = "Q18"
    named(page.message, say.OPEN["again"]).click()
    assert page.result is not None
    assert page.result.sentence == tpr.evaluate(tpr.load_example("threshold")).sentence
    assert page.result.plan["columns"] == {"pain": "Q17", "twitches": "Q18"}


def test_another_scale_reads_the_same_file_again(page: _Explorer) -> None:
    record = pd.read_csv(ROOT / "data" / "example_nothing.csv")
    record["pain"] *= 10
    send(page, "vas.csv", record.to_csv(index=False).encode())
    assert page.result is None
    page.scale.value = "vas"
    assert page.result is not None
    assert page.result.visits.scale.name == "vas"


def test_what_is_not_foreseen_is_said_without_the_data(
    page: _Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("Mrs Smith, 7/10")

    monkeypatch.setattr(notebook_explorer, "read_visits", fails)
    send(page, "good.csv", b"x")
    assert "RuntimeError" in text(page.message)
    assert "Smith" not in text(page.box)


# --- the five sides ---------------------------------------------------------------------------------------


def test_reasons_are_one_press_below_the_verdict(example: _Explorer) -> None:
    assert example.result is not None
    assert example.result.sentence in text(example.body)
    folded = "".join(w.value for w in widgets(example.body) if "<details>" in getattr(w, "value", ""))
    assert folded.count("<summary>") == 4
    assert html.escape(example.result.finding.paragraph, quote=False).split(".")[0] in html.unescape(folded)


def test_the_data_check_has_every_light_and_every_problem(example: _Explorer) -> None:
    example.views.value = "check"
    shown = text(example.body)
    assert "What to do about it" in shown
    assert "What was noticed" in shown


def test_a_filter_changes_the_group_and_never_the_verdict(example: _Explorer) -> None:
    assert example.result is not None
    before = example.result.sentence
    example.views.value = "group"
    assert "180 of 180 patients chosen." in text(example.body)
    named(example.body, say.CHOOSE["visits_low"]).value = 6
    few = text(example.body)
    assert "180 of 180" not in few
    n = int(re.search(r"(\d+) of 180 patients chosen", few)[1])  # type: ignore[index]
    counts = example.result.visits.table.groupby("patient").size()
    assert n == int((counts >= 6).sum())
    assert say.CHOOSE["note"] in few
    example.views.value = "patient"
    assert f"{n} of 180 patients chosen." in text(example.body), "the choice holds for single patients, too"
    assert example.result.sentence == before


def test_fewer_than_five_patients_are_not_shown_together(example: _Explorer) -> None:
    example.views.value = "group"
    named(example.body, say.CHOOSE["age_low"]).value = 83
    assert say.CHOOSE["few"] in text(example.body)
    assert not any("<figure" in str(getattr(w, "value", "")) for w in widgets(example.body))
    named(example.body, say.CHOOSE["age_high"]).value = 30
    assert "the first has to be the smaller" in text(example.body)
    assert example.shown.layout.display == ""
    named(example.body, say.CHOOSE["age_low"]).value = 22
    assert "the first has to be the smaller" not in text(example.body)


def test_a_patient_and_what_is_known_can_be_changed(example: _Explorer) -> None:
    example.views.value = "patient"
    which, known = named(example.body, say.PATIENT["which"]), named(example.body, say.PATIENT["known"])
    assert "Patient no. 1." in text(example.body)
    which.value = 4
    assert "Patient no. 5." in text(example.body)
    assert (known.min, known.max, known.value) == (1, 9, 9)
    later = text(example.body)
    known.value = 2
    assert "at visit 3, a rating of about" in text(example.body)
    assert text(example.body) != later


def test_a_patient_of_whom_nothing_can_be_said_is_said_to_be_one(example: _Explorer) -> None:
    assert example.result is not None
    first = example.result.visits.table
    unrated = first[~first["patient"].duplicated() & first["pain"].isna()]["patient"]
    example.views.value = "patient"
    named(example.body, say.PATIENT["which"]).value = int(unrated.iloc[0])
    assert "The first visit has no rating" in text(example.body)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """The report without its pictures, which are tested elsewhere; counts how often it was made."""
    calls: list[int] = []

    def contents(*_: object) -> dict[str, bytes]:
        calls.append(1)
        return {"report.html": b"<!doctype html><title>x</title>"}

    monkeypatch.setattr(notebook_explorer.bundle, "contents", contents)
    return lambda: len(calls)


def test_the_report_is_made_on_request_and_handed_over_as_a_link(
    example: _Explorer, made: Callable[[], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    example.views.value = "report"
    assert made() == 0
    named(example.body, say.REPORT["make"]).click()
    assert made() == 1
    (link,) = [w.value for w in widgets(example.body) if "download=" in getattr(w, "value", "")]
    assert 'download="report.html"' in link
    content = base64.b64decode(re.search(r"base64,([^\"]+)", link)[1])  # type: ignore[index]
    assert content == b"<!doctype html><title>x</title>"
    assert list(tmp_path.iterdir()) == []
