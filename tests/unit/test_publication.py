"""Beside the report: tables for Word and LaTeX, the crate, the PDF; and what is said where one cannot be."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from tests.unit.made_evidence import clinic

from tpr_outcomes.analysis import evaluate
from tpr_outcomes.cli import main
from tpr_outcomes.errors import OutputError
from tpr_outcomes.reporting import bundle, crate, pdf, publication
from tpr_outcomes.reporting.bundle import contents, digests
from tpr_outcomes.reporting.page_tables import PageTable
from tpr_outcomes.reporting.results import Evaluation

HOSTILE = "<script>alert('x')</script> 50% & \\input{x} $a_1$"


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return evaluate(clinic(), {"title": "Example"}, replicates=99)


@pytest.fixture(scope="module")
def files(evaluation: Evaluation) -> dict[str, bytes]:
    return contents(evaluation)


class Cells(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.heads: list[dict[str, str | None]] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "th":
            self.heads.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_every_table_of_the_page_comes_in_every_form(files: dict[str, bytes]) -> None:
    """HTML (to be pasted into Word), LaTeX and CSV, of every single table on the page."""
    page = files["report.html"].decode()
    shown = re.findall(r'<caption id="(?:caption|numbers)-(\w+)"', page)
    assert len(shown) == len(set(shown)) == page.count("<table") > 20
    shown = {f"numbers_{name}" if re.fullmatch(r"C\d+", name) else name for name in shown}
    assert {"trial", "strobe", "record", "stricta", "immpact", "by_visit", "numbers_C13"} <= shown
    for kind in ("html", "tex"):
        assert {
            Path(name).stem for name in files if name.startswith("tables/") and name.endswith(kind)
        } == shown
    assert {f"tables/{name}.csv" for name in shown} <= set(files)


def test_a_table_in_csv_holds_the_cells_of_the_page(files: dict[str, bytes]) -> None:
    rows = list(csv.reader(io.StringIO(files["tables/strobe.csv"].decode())))
    page = re.search(r'<table id="table-strobe".*?</table>', files["report.html"].decode(), flags=re.DOTALL)
    assert page is not None
    assert len(rows) == page.group(0).count("<tr>") == 33
    assert rows[0] == ["Item", "Asks for", "Where"]
    for cell in (cell for row in rows for cell in row):
        assert cell in re.sub(r"<[^>]*>", "", page.group(0)).replace("&#39;", "'")


def test_a_table_says_the_same_as_the_page(files: dict[str, bytes]) -> None:
    page = re.sub(r"</?data[^>]*>", "", files["report.html"].decode())
    table = re.search(r'<table id="table-bands".*?</table>', page, flags=re.DOTALL)
    assert table is not None
    for cell in re.findall(r"<t[dh][^>]*>([^<]+)</t[dh]>", table.group(0)):
        assert cell in files["tables/bands.html"].decode()
        tex = files["tables/bands.tex"].decode()
        assert (
            cell.replace("−", "$-$").replace("–", "--").replace("&lt;", r"\textless{}").replace("%", r"\%")
            in tex
        )


def test_tables_have_heads_a_language_and_no_request(files: dict[str, bytes]) -> None:
    for name, content in files.items():
        if name.startswith("tables/") and name.endswith(".html"):
            cells = Cells(content.decode())
            assert cells.heads
            assert all(head.get("scope") or head.get("class") for head in cells.heads)
            assert b'<html lang="en">' in content
            assert b"http" not in content
            assert cells.tags & {"script", "link", "img"} == set()


def test_hostile_text_is_text_in_both() -> None:
    table = PageTable("x", HOSTILE, ("a", HOSTILE), ((HOSTILE, "1"), ("b", HOSTILE)))
    made = publication.publication_tables({"x": table})
    cells = Cells(made["tables/x.html"].decode())
    assert "script" not in cells.tags
    assert cells.text.count(HOSTILE) >= 4
    tex = made["tables/x.tex"].decode()
    assert "\\input" not in tex
    assert not re.search(r"(?<!\\)[%&]\s", tex.replace(" & ", " "))
    assert "\\$a\\_1\\$" in tex


def test_without_the_extra_the_folder_says_what_it_lacks(
    evaluation: Evaluation,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(publication, "LIBRARY", "a_library_of_nowhere")
    monkeypatch.setattr(crate, "LIBRARY", "a_library_of_nowhere")
    made = contents(evaluation)
    assert not any(name.endswith((".tex", "ro-crate-metadata.json")) for name in made)
    assert {"results.json", "tables/bands.csv"} <= set(made)
    assert len(bundle.left_undone()) == 2
    assert main(["evaluate", "example:nothing", "--out", str(tmp_path / "o"), "--replicates", "99"]) == 0
    said = capsys.readouterr().err
    assert "great-tables is not installed" in said
    assert "rocrate is not installed" in said


# --- the crate ------------------------------------------------------------------------------------


def test_the_crate_describes_the_run(evaluation: Evaluation, files: dict[str, bytes]) -> None:
    graph = {e["@id"]: e for e in json.loads(files["ro-crate-metadata.json"])["@graph"]}
    root, run = graph["./"], graph["#run"]
    assert graph["ro-crate-metadata.json"]["conformsTo"]["@id"].startswith("https://w3id.org/ro/crate/1.1")
    assert root["conformsTo"]["@id"] in graph
    assert {"name", "description", "datePublished", "license", "hasPart"} <= set(root)
    assert run["@type"] == "CreateAction"
    assert graph[run["instrument"]["@id"]]["softwareVersion"]
    assert {item["@id"] for item in run["object"]} == {"#record", "#plan"}
    described = {item["@id"] for item in root["hasPart"]}
    assert described == set(files) - {"manifest.json", "ro-crate-metadata.json"}
    assert described == {item["@id"] for item in run["result"]}
    for name, digest in digests({name: files[name] for name in described}).items():
        assert graph[name]["sha256"] == digest
    assert json.loads(graph["#plan"]["value"]) == dict(evaluation.plan)


def test_the_crate_can_be_read_by_its_own_library(files: dict[str, bytes], tmp_path: Path) -> None:
    from rocrate.rocrate import ROCrate

    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    read = ROCrate(str(tmp_path))
    assert read.get("results.json")["encodingFormat"] == "application/json"
    assert read.name == "Outcomes report"


def test_the_crate_has_no_clock_and_nothing_by_chance(
    evaluation: Evaluation, files: dict[str, bytes]
) -> None:
    again = crate.crate(evaluation, {"a.csv": "0" * 64}, command="x")
    assert again == crate.crate(evaluation, {"a.csv": "0" * 64}, command="x")
    text = files["ro-crate-metadata.json"].decode()
    assert set(re.findall(r"\d{4}-\d\d-\d\d(?:T[\d:]+)?", text)) == {crate.VERSION_DATE}


def test_the_date_of_the_crate_is_that_of_the_version(root: Path) -> None:
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    assert str(citation["date-released"]) == crate.VERSION_DATE


# --- the PDF --------------------------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.xdist_group("browser")
def test_the_pdf_is_the_page_printed_and_the_same_each_time(
    files: dict[str, bytes], chromium: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(pdf.PLACE, chromium)
    page = files["report.html"].decode()
    made = pdf.print_pdf(page)
    assert made.startswith(b"%PDF-1.")
    assert made == pdf.print_pdf(page)
    assert b"/StructTreeRoot" in made  # tagged, for those who listen
    assert re.search(rb"/Lang ?\(en\)", made)
    dates = re.findall(rb"/(?:Creation|Mod)Date ?\(D:(\d+)", made)
    assert dates
    assert all(set(date) == {ord("0")} for date in dates)
    assert 5 <= len(re.findall(rb"/Type ?/Page\b", made)) <= 30


def test_without_a_browser_nothing_is_written_and_the_remedy_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(pdf.PLACE, "/nowhere/chromium")
    assert main(["evaluate", "example:nothing", "--pdf", "--out", str(tmp_path / "out")]) == 6
    said = capsys.readouterr().err
    assert "No Chromium or Chrome was found" in said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("script", "reason"),
    [("#!/bin/sh\nexit 3\n", "ended with status 3"), ("#!/bin/sh\nsleep 30\n", "took longer than 1 seconds")],
)
def test_a_browser_that_fails_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, reason: str
) -> None:
    browser = tmp_path / "browser"
    browser.write_text(script, encoding="utf-8")
    browser.chmod(0o755)
    monkeypatch.setenv(pdf.PLACE, str(browser))
    monkeypatch.setattr(pdf, "SECONDS", 1)
    with pytest.raises(OutputError, match=reason):
        pdf.print_pdf("<p>x</p>")
