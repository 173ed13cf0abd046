"""Words as a tested rule: no cause without what it takes beside it, and a first screen that reads easily."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path

import pytest
from tests.unit.made_evidence import clinic, every_label
from tests.unit.readability import grade

from tpr_outcomes.analysis import evaluate
from tpr_outcomes.inference.evidence import LABELS, decide
from tpr_outcomes.reporting import claim_rows
from tpr_outcomes.reporting.claims import answer_claims
from tpr_outcomes.reporting.disclosure import shown_counts
from tpr_outcomes.reporting.report import render_html
from tpr_outcomes.reporting.results import Evaluation
from tpr_outcomes.reporting.verdict import judge

HOME = Path(claim_rows.__file__).parent
CATALOGUES = sorted(path.stem for path in HOME.glob("words*.py"))

CAUSAL = re.compile(
    r"\b(caus\w*|(?<!fixed )(?<!random-)effects?|effective\w*|affect\w*|leads? to|led to|results? in"
    r"|because of|thanks to|due to|owing to|works?(?! out)|worked(?! out)|helps?|helped"
    r"|heals?|cures?|relieves?|reduces?|prevents?"
    r"|(?:brings?|brought)(?! people| the answer| it to an end)|drives?|drove|acts? on|acted on"
    r"|ma(?:kes?|de) (?:\w+ ){0,2}(?:difference|better|worse))\b",
    re.IGNORECASE,
)
"""Words that say that one thing is the doing of another."""
BESIDE = re.compile(
    r"\b(not evidence that|no proof|if|whether|could|would|cannot|can have|can show that"
    r"|not (?:recorded|say|tell)|a question of cause|assigned by chance|instead|simulated)\b|\?",
    re.IGNORECASE,
)
"""What makes such a word no claim: a denial, a condition, a supposition, a question, or an experiment."""
ELSEWHERE = {
    "Something drives needling and every rating alike": "a row of the table headed “If instead …”",
    "Time alone makes many better: these shares say who got better, not why.": "it warns of reading a cause",
    "Simulated clinics with a threshold at work;": "simulated clinics, whose truth is known",
}
"""Sentences that hold the word, and why that is no claim about a clinic's patients."""


def texts_of(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts_of(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from texts_of(item)
    elif is_dataclass(value):
        for field in fields(value):
            yield from texts_of(getattr(value, field.name))


def causal(text: str) -> list[str]:
    """Sentences that claim a cause with nothing beside them that takes the claim back."""
    spoken = re.sub(r"\{\w+\}", "…", " ".join(text.split()))
    parts = re.split(r"(?<=[.!?;])\s+", spoken)
    return [
        part for part in parts if CAUSAL.search(part) and not BESIDE.search(part) and part not in ELSEWHERE
    ]


@pytest.mark.parametrize("name", CATALOGUES)
def test_no_template_claims_a_cause(name: str) -> None:
    module = import_module(f"tpr_outcomes.reporting.{name}")
    texts = [text for key, value in vars(module).items() if key.isupper() for text in texts_of(value)]
    assert [sentence for text in texts for sentence in causal(text)] == []


@pytest.mark.parametrize(
    "said",
    [
        "Twitches cause relief.",
        "Needling reduces pain by 2 points.",
        "Relief shows up because of the twitches.",
        "In this record twitches helped 60 patients.",
        "Early twitches made a difference.",
        "More twitches bring more relief.",
    ],
)
def test_a_claimed_cause_is_found(said: str) -> None:
    assert causal(f"This record holds 12 visits. {said} Nothing else was seen.") == [said]


@pytest.mark.parametrize(
    "said",
    [
        "This is not evidence that twitches cause relief.",
        "Only a study that lets chance decide can show that they bring the relief.",
        "Each number is an effect only if nothing else guided the needle.",
        "How often this could not be worked out.",
    ],
)
def test_a_denied_or_conditional_cause_is_none(said: str) -> None:
    assert causal(said) == []


# --- the page -------------------------------------------------------------------------------------

QUOTES = {claim.quote for claim in claim_rows.BY_ID.values()}
"""The clinic's own words, which a column of the page quotes."""
BLOCKS = {"p", "li", "h1", "h2", "h3", "dd", "dt", "td", "th", "caption", "figcaption", "summary"}


class Words(HTMLParser):
    """Text of a page by block, without quotations of the claims and without what is folded away."""

    def __init__(self, page: str, *, inside: str = "") -> None:
        super().__init__()
        self.open: list[tuple[str, bool]] = []
        self.inside, self.depth = inside, 0
        self.blocks: list[list[str]] = [[]]
        self.feed(page)

    @property
    def texts(self) -> list[str]:
        return [text for block in self.blocks if (text := " ".join("".join(block).split()))]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "img":
            self.blocks += [[found["alt"] or ""], []]
        if tag in {"meta", "img", "source", "br"}:
            return
        hidden = bool(self.open and self.open[-1][1])
        hidden = hidden or "data-plain" in found or tag in {"style", "title", "cite", "math"}
        hidden = hidden or (bool(self.inside) and tag == "details")
        self.open.append((tag, hidden))
        self.depth += bool(self.depth) or found.get("id") == self.inside
        if tag in BLOCKS:
            self.blocks.append([])

    def handle_endtag(self, tag: str) -> None:
        self.open.pop()
        self.depth -= bool(self.depth)
        if tag in BLOCKS:
            self.blocks.append([])

    def handle_data(self, data: str) -> None:
        if self.open and not self.open[-1][1] and (self.depth or not self.inside):
            self.blocks[-1].append(data)


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return evaluate(clinic(), {"title": "Example"}, replicates=99)


@pytest.fixture(scope="module")
def pages(evaluation: Evaluation) -> dict[str, list[str]]:
    """Pages of every verdict, by two roads to it; tests/unit/test_verdict.py reads the words of all."""
    found: dict[str, list[str]] = {}
    for label, all_made in every_label().items():
        for made in all_made[:2]:
            decision = decide(made)
            shown = shown_counts(evaluation.visits, made)
            finding = judge(made, decision, visits=evaluation.visits, shown=shown)
            claims = answer_claims(made, decision, evaluation.visits, shown=shown)
            other = replace(evaluation, evidence=made, decision=decision, finding=finding, claims=claims)
            found.setdefault(label, []).append(render_html(other, {}))
    assert set(found) == set(LABELS)
    return found


@pytest.mark.parametrize("label", LABELS)
def test_the_first_screen_reads_easily(pages: dict[str, list[str]], label: str) -> None:
    for page in pages[label]:
        texts = [text for text in Words(page, inside="answer").texts if text[-1] in ".?!"]
        assert len(texts) >= 7, "question, verdict, why, what would change it, next step, whom not"
        assert grade(" ".join(texts)) <= 9.0


@pytest.mark.parametrize("label", LABELS)
def test_no_page_claims_a_cause(pages: dict[str, list[str]], label: str) -> None:
    for page in pages[label]:
        ours = [text for text in Words(page).texts if text not in QUOTES]
        assert [sentence for text in ours for sentence in causal(text)] == []


@pytest.mark.parametrize("label", LABELS)
def test_what_has_to_hold_stands_beside_a_link(pages: dict[str, list[str]], label: str) -> None:
    for page in pages[label]:
        said = " ".join(Words(page).texts)
        if label.endswith("association") or label == "threshold_shape_confounding_alarm":
            assert "not evidence that twitches cause relief" in Words(page, inside="answer").texts[3]
        if label == "threshold_supported":
            first = Words(page, inside="answer").texts[3]
            assert "threshold-shaped" in first
            assert "recorded twitches" in first
        assert "What has to hold for the verdict to mean what it says" in said
        assert "All that guided the needling and also bears on pain is in the record" in said
