"""The page: one file, nothing from outside, nothing that acts, words and numbers where they belong."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from tests.unit.made_evidence import clinic, evidence, unfitted
from tests.unit.readability import grade

from tpr_outcomes.analysis import evaluate
from tpr_outcomes.cohort.visits import read_visits
from tpr_outcomes.inference.evidence import LABELS, decide
from tpr_outcomes.reporting import words_figures, words_report
from tpr_outcomes.reporting.claims import answer_claims
from tpr_outcomes.reporting.plots import FigureFile, all_figures
from tpr_outcomes.reporting.report import render_html
from tpr_outcomes.reporting.results import Evaluation
from tpr_outcomes.reporting.verdict import judge

HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)>"
INLINE = {"data"}
"""Marks a number; no words begin or end there."""
VOID = {"meta", "img", "source", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Tags with their attributes and text, and whether every tag is closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.faults: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.text.append("" if tag in INLINE else " ")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.text.append("" if tag in INLINE else " ")
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def words(self) -> str:
        return " ".join("".join(self.text).split())


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return evaluate(clinic(), {"title": "Example"}, replicates=199)


@pytest.fixture(scope="module")
def html(evaluation: Evaluation) -> str:
    return render_html(evaluation, all_figures(evaluation))


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


# --- nothing from outside, nothing that acts ------------------------------------------------------


def test_the_policy_allows_this_style_sheet_and_inlined_pictures_only(html: str, page: Page) -> None:
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    style = re.search(r"<style>(.*?)</style>", html, flags=re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style.group(1).encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert html.index("Content-Security-Policy") < html.index("<style>")


def test_the_page_refers_to_nothing_outside_itself(page: Page) -> None:
    for tag, attributes in page.tags:
        assert tag not in {"script", "link", "iframe", "object", "embed", "base", "form"}
        for name, value in attributes.items():
            assert name != "style"
            assert not name.startswith("on")
            if name in ("src", "srcset"):
                assert (value or "").startswith("data:image/svg+xml;base64,")
            if name == "href":
                assert (value or "").startswith("#")


def test_text_of_the_record_is_text_on_the_page(evaluation: Evaluation) -> None:
    hostile = replace(evaluation, plan={"title": HOSTILE, "columns": {"pain": HOSTILE}})
    figures = {"flow": FigureFile("<svg/>", b"", HOSTILE, HOSTILE, HOSTILE)}
    html = render_html(hostile, figures)
    made = Page(html)
    assert HOSTILE in made.words
    assert "<script" not in html
    assert len([i for i in made.all("img") if i.get("src") == "x"]) == 0


# --- a page that reads well with and without eyes -------------------------------------------------


def test_the_page_is_well_formed(html: str, page: Page) -> None:
    assert html.lstrip().lower().startswith("<!doctype html>")
    assert page.faults == []
    assert page.open == []
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == 1
    assert len(page.all("main")) == 1
    assert "{{" not in html
    assert "None" not in page.words.replace("None of", "")


def test_ids_are_unique_and_every_reference_is_met(page: Page) -> None:
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    for _, attributes in page.tags:
        for name in ("aria-labelledby", "href"):
            if name in attributes:
                assert (attributes[name] or "").removeprefix("#") in ids


def test_headings_do_not_skip_a_level(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_pictures_have_words_and_tables_have_heads(page: Page, evaluation: Evaluation) -> None:
    figures = all_figures(evaluation)
    alts = [image["alt"] for image in page.all("img")]
    assert sorted(map(str, alts)) == sorted(figure.alt for figure in figures.values())
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(head.get("scope") in ("col", "row") for head in page.all("th"))


def test_figures_and_tables_are_numbered_in_the_order_of_the_page(page: Page) -> None:
    for word in (words_report.PAGE["figure"], words_report.PAGE["table"]):
        numbers = [int(n) for n in re.findall(rf"{word} (\d+)\.", page.words)]
        assert numbers == list(range(1, len(numbers) + 1))


def test_colors_can_be_told_from_the_ground(html: str) -> None:
    def luminance(color: str) -> float:
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    texts = set(re.findall(r"(?<!-)\bcolor: (#[0-9a-f]{6})", html))
    texts |= set(re.findall(r"--(?:ink|soft|blue|tone): (#[0-9a-f]{6})", html))
    assert len(texts) >= 6
    for color in texts:  # text on white, and white text on the badge
        assert 1.05 / (luminance(color) + 0.05) >= 4.5, color


# --- content --------------------------------------------------------------------------------------


def test_the_first_screen_says_the_verdict_before_anything_else(page: Page, evaluation: Evaluation) -> None:
    finding, words = evaluation.finding, page.words
    order = [finding.headline, finding.sentence, finding.paragraph, finding.would_change, finding.next_step]
    places = [words.index(text, words.index("The question")) for text in order]
    assert places == sorted(places)
    assert places[-1] < words.index("Data and flow")
    for text in (*finding.warnings, *finding.assumptions):
        assert text in words


def test_all_thirty_claims_are_answered(page: Page, evaluation: Evaluation) -> None:
    for claim in evaluation.claims:
        assert claim.sentence in page.words
    counts = re.search(r"Of thirty claims: (.*?)\.", page.words)
    assert counts is not None
    assert sum(int(n) for n in re.findall(r"\d+", counts.group(1))) == 30


@pytest.mark.parametrize("label", LABELS)
def test_every_verdict_has_its_page(evaluation: Evaluation, label: str) -> None:
    made = {
        "threshold_supported": evidence(),
        "threshold_shape_confounding_alarm": evidence(lead=0.001),
        "cumulative_association": evidence(p=0.001, p_values={"linear": 0.5}),
        "dose_association": evidence(p_values={"linear": 0.5, "last": 0.5}),
        "no_relevant_effect": evidence(p=0.5, bound=0.4),
        "inconclusive": evidence(p=0.5),
        "not_identifiable": unfitted(),
    }[label]
    decision = decide(made)
    assert decision.label == label
    visits = evaluation.visits
    finding = judge(made, decision, visits=visits)
    claims = answer_claims(made, decision, visits)
    other = replace(evaluation, evidence=made, decision=decision, finding=finding, claims=claims)
    html = render_html(other, {})
    made_page = Page(html)
    assert made_page.faults == []
    assert finding.sentence in made_page.words
    assert (words_report.TEST["numbers_none"] in made_page.words) == (other.threshold is None)
    assert ("The threshold in numbers" in made_page.words) == (other.threshold is not None)


def test_no_identifier_reaches_the_page(tmp_path: Path) -> None:
    rows = ["patient,visit,pain,twitches,region"]
    for i in range(12):
        rows += [f"SECRET-{i:03d},{v},{(i + v) % 9},{(i * v) % 7},neck" for v in range(1, 5)]
    path = tmp_path / "Mrs-Smith.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    evaluation = evaluate(read_visits(path), replicates=99)
    html = render_html(evaluation, all_figures(evaluation))
    assert "SECRET" not in html
    assert "Smith" not in html


def test_the_same_evaluation_gives_the_same_page(evaluation: Evaluation, html: str) -> None:
    assert render_html(evaluation, all_figures(evaluation)) == html


# --- wording --------------------------------------------------------------------------------------


def catalogue() -> list[str]:
    found: list[str] = []

    def walk(value: object) -> None:
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, dict):
            for item in value.values():
                walk(item)
        elif isinstance(value, tuple):
            for item in value:
                walk(item)

    for module in (words_report, words_figures):
        walk({k: v for k, v in vars(module).items() if k.isupper()})
    return found


def test_no_word_of_ours_claims_a_cause() -> None:
    causal = re.compile(
        r"\b(caus\w*|effects?|affect\w*|leads? to|because of|thanks to|works?)\b", re.IGNORECASE
    )
    assert [text for text in catalogue() if causal.search(text)] == []


def test_the_first_screens_own_words_are_easy() -> None:
    own = [words_report.PAGE["question"], *words_report.NOT_FOR.values()]
    text = " ".join(own).format_map(
        {
            "better": "relief",
            "many": "twitches",
            "left": "3",
            "patients": "90",
            "most": "80",
            "top": "60",
            "regions": "3",
        }
    )
    assert grade(text) <= 9.0
