"""Numbers once: every number of the page is a field of a row of results.json, rounded, and says which."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from tests.unit.made_evidence import clinic, every_label, evidence

from tpr_outcomes.analysis import evaluate
from tpr_outcomes.inference.evidence import LABELS, decide
from tpr_outcomes.planning.simulate import simulate
from tpr_outcomes.reporting.bundle import manifest
from tpr_outcomes.reporting.claims import answer_claims
from tpr_outcomes.reporting.disclosure import shown_counts
from tpr_outcomes.reporting.linking import NUMBER, chance_pattern, link
from tpr_outcomes.reporting.number_rows import collect
from tpr_outcomes.reporting.numbers import NUMERIC, Results, Row
from tpr_outcomes.reporting.plots import FigureFile, all_figures
from tpr_outcomes.reporting.report import PICTURE_SCOPES, _ends, linked_page, render_html
from tpr_outcomes.reporting.results import COLUMNS, Evaluation
from tpr_outcomes.reporting.verdict import judge

VOID = {"meta", "img", "source", "br"}
EXEMPT = {"style", "title", "math", "cite", "code"}
"""Besides what is marked ``data-plain``; docs/methods/results.md says why."""
PLAIN_PLACES = {
    ("span", "title"),  # the user's own title
    ("span", "number"),  # number of a section
    ("span", ""),  # number of a figure or rule
    ("strong", ""),  # number of a table
    ("div", "formula"),  # the formula and its text, with citations
    ("table", ""),  # the plan as run: the user's own settings
    ("section", ""),  # provenance: hashes and versions, checked against the manifest below
    ("footer", ""),  # the version
    ("span", "quoted"),  # the clinic's words
    ("div", "quoted"),  # behind a claim: what was asked, its rule, and what others published
    ("th", "quoted"),  # name of a quantity
    ("td", "quoted"),  # its unit and how it was made
    ("tbody", ""),  # item numbers of a checklist, section numbers, the clinic's own words
}
"""The only kinds of places whose digits are no results."""


class Shown(HTMLParser):
    """What a page shows outside of the exempt places: numbers marked, and numbers that are not."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[tuple[str, bool]] = [("", False)]
        self.marked: list[tuple[dict[str, Any], str]] = []
        self.loose: list[str] = []
        self.alts: list[tuple[str, str]] = []
        self.plain: set[tuple[str, str]] = set()
        self.exempt_text: list[str] = []
        self.mark: dict[str, Any] | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "img":
            self.alts.append((found["alt"] or "", found.get("data-refs") or ""))
        if tag in VOID:
            return
        if "data-plain" in found:
            self.plain.add((tag, found.get("class") or ""))
        self.open.append((tag, self.open[-1][1] or tag in EXEMPT or "data-plain" in found))
        if tag == "data":
            self.mark = found

    def handle_endtag(self, tag: str) -> None:
        self.open.pop()
        if tag == "data":
            self.mark = None

    def handle_data(self, data: str) -> None:
        if self.mark is not None:
            self.marked.append((self.mark, data))
        elif self.open[-1][1]:
            self.exempt_text.append(data)
        elif re.search(r"\d", re.sub(r"[A-Za-z][\w-]*\d[\w.-]*", "", data)):
            self.loose.append(data)


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return evaluate(clinic(), {"title": "Clinic 7, 2024", "self_check": 3}, replicates=99)


@pytest.fixture(scope="module")
def results(evaluation: Evaluation) -> Results:
    return collect(evaluation)


@pytest.fixture(scope="module")
def figures(evaluation: Evaluation) -> dict[str, FigureFile]:
    return all_figures(evaluation)


@pytest.fixture(scope="module")
def shown(evaluation: Evaluation, figures: dict[str, FigureFile], results: Results) -> Shown:
    return Shown(render_html(evaluation, figures, results))


def says(printed: str, held: float, field: str, unit: str = "") -> bool:
    """Whether a number of a row, rounded, is what is printed; worked out apart from the code under test."""
    chance = re.fullmatch(r"(?:about )?(less than )?(once|(\d+) times) in ([\d,]+) such records", printed)
    if chance:
        times, base = float(chance[3] or 1), float(chance[4].replace(",", ""))
        return held < times / base if chance[1] else round(held * base) == times
    text = printed.replace(",", "").replace("−", "-")
    text = re.sub(r"(st|nd|rd|th)$", "", text)
    scale = 100.0 if text.endswith("%") and unit != "%" else 1.0
    text = text.rstrip("% ")
    digits = len(text.partition(".")[2])
    return abs(held * scale - float(text)) <= 0.5 * 10**-digits + 1e-9 or (
        field == "p_value" and held < float(text)
    )


def test_every_number_on_the_page_is_a_field_of_a_row(shown: Shown, results: Results) -> None:
    rows = {row.id: row for row in results.rows}
    assert len(shown.marked) > 250
    assert shown.loose == []
    for mark, printed in shown.marked:
        row = rows[mark["data-ref"]]
        held = row.value(mark["data-field"])
        assert float(mark["value"]) == pytest.approx(held, rel=1e-9)
        assert says(printed, held, mark["data-field"], row.unit), (printed, mark)


def test_numbers_of_alternative_texts_are_rows_too(shown: Shown, results: Results) -> None:
    rows = {row.id: row for row in results.rows}
    for alt, refs in shown.alts:
        parts = [(rows[ref.rpartition(".")[0]], ref.rpartition(".")[2]) for ref in refs.split()]
        held = [(row.value(field), row.unit) for row, field in parts]
        for printed in (m.group(0) for m in NUMBER.finditer(alt)):
            assert any(says(printed, value, "", unit) for value, unit in held), (printed, alt)


def test_only_these_places_are_exempt(shown: Shown) -> None:
    assert shown.plain <= PLAIN_PLACES


def test_hashes_and_versions_on_the_page_are_those_of_the_manifest(
    shown: Shown, evaluation: Evaluation
) -> None:
    known = json.dumps(manifest(evaluation, {}), ensure_ascii=False)
    text = " ".join(shown.exempt_text)
    for version in re.findall(r"\b(?:numpy|scipy|pandas|matplotlib) ([\d.]+\w*)", text):
        assert version in known


@pytest.mark.parametrize("label", LABELS)
def test_no_verdict_says_a_number_that_is_no_result(evaluation: Evaluation, label: str) -> None:
    for made in every_label()[label]:
        decision = decide(made)
        shown = shown_counts(evaluation.visits, made)
        finding = judge(made, decision, visits=evaluation.visits, shown=shown)
        claims = answer_claims(made, decision, evaluation.visits, shown=shown)
        other = replace(evaluation, evidence=made, decision=decision, finding=finding, claims=claims)
        assert linked_page(other, {}).unlinked == ()


@pytest.mark.parametrize("world", ["blanks+thr40", "N4", "A-step"])
def test_other_records_say_no_other_numbers(world: str) -> None:
    found = evaluate(simulate(world, n_patients=70, seed=3), replicates=99)
    assert linked_page(found, all_figures(found)).unlinked == ()


def test_a_number_that_is_no_result_is_found_out(evaluation: Evaluation, results: Results) -> None:
    """The test above can fail: with one row changed, the page no longer agrees with the results."""
    other = Results(
        tuple(replace(r, estimate=r.estimate + 3.3) if r.id == "test:threshold" else r for r in results.rows),
        results.frames,
    )
    unlinked = linked_page(evaluation, {}, other).unlinked
    assert any("threshold-shaped link" in miss.around for miss in unlinked)


def test_no_number_of_the_page_could_be_another(shown: Shown, results: Results) -> None:
    """The comparison of page and rows can fail: every number, changed in its last digit, is found out."""
    rows = {row.id: row for row in results.rows}
    passed = []
    for mark, printed in shown.marked:
        for by in (1, -1):
            other = changed(printed, by)
            row = rows[mark["data-ref"]]
            held = row.value(mark["data-field"])
            if other is not None and says(other, held, "estimate", row.unit) and not halfway(printed, held):
                passed.append((printed, other, mark["data-ref"]))
    assert passed == []


def halfway(printed: str, held: float) -> bool:
    """Whether a number lies halfway between two printed ones, so that both are it, rounded."""
    places = 10.0 ** len(printed.rstrip("% ").partition(".")[2])
    return any(abs(abs(held) * scale * places % 1 - 0.5) < 1e-6 for scale in (1.0, 100.0))


def changed(printed: str, by: int) -> str | None:
    """A printed number with another last digit; None where it is a p-value in words or an edge of 0 and 9."""
    found = re.fullmatch(r"([−-]?[\d,]*\.?\d*?)(\d)((?:st|nd|rd|th)?\s?%?)", printed)
    if found is None or not 0 <= int(found[2]) + by <= 9:
        return None
    return f"{found[1]}{int(found[2]) + by}{found[3]}"


GROUPS = (
    "flow", "by_visit", "bands", "rivals", "fits", "gates", "responders", "test:threshold", "sensitivity",
    "claims:C1:", "claims:C12", "claims:C24", "claims:count", "self_check", "standards", "weights",
)  # fmt: skip


@pytest.mark.parametrize("group", GROUPS)
def test_results_that_are_not_those_of_the_page_are_found_out(
    evaluation: Evaluation, figures: dict[str, FigureFile], results: Results, group: str
) -> None:
    """With the rows of one group gone, numbers of the page are left that nothing accounts for."""
    kept = tuple(row for row in results.rows if not row.id.startswith(group))
    assert len(kept) < len(results.rows)
    assert linked_page(evaluation, figures, Results(kept, results.frames)).unlinked != ()


def drawn_texts(svg: str) -> list[str]:
    """Lines of text in a drawing, which matplotlib keeps as comments beside their outlines, but for ticks.

    A tick is a ruler and no result; what stands below it in further lines is one.
    """
    parser = ET.XMLParser(target=ET.TreeBuilder(insert_comments=True))
    found: list[str] = []

    def walk(element: ET.Element, lines: list[str]) -> None:
        tick = isinstance(element.tag, str) and re.match(r"[xy]tick", element.get("id") or "")
        own: list[str] = [] if tick else lines
        if element.tag is ET.Comment:
            own.append((element.text or "").strip())
        for child in element:
            walk(child, own)
        if tick:
            lines += own[1:]

    walk(ET.fromstring(svg, parser=parser), found)
    return found


def test_numbers_written_into_the_pictures_are_rows(figures: dict[str, FigureFile], results: Results) -> None:
    """Labels in a drawing, and counts below its axis; ticks are a ruler and no results."""
    ends = _ends(results)
    checked = 0
    for name, figure in figures.items():
        rows = results.under(PICTURE_SCOPES[name].format(ends=ends).split("|"))
        rows += [
            row for row in results.rows if row.id.startswith(("figures", "by_visit", "claims:C20", "gates"))
        ]
        for text in drawn_texts(figure.svg):
            for printed in NUMBER.finditer(text):
                shown = printed.group(0)
                assert any(
                    says(shown, row.value(field), field, row.unit)
                    for row in rows
                    for field in NUMERIC
                    if math.isfinite(row.value(field))
                ), (name, text, shown)
                checked += 1
    assert checked > 25


def test_ids_are_unique_and_columns_are_those_of_every_result(results: Results) -> None:
    content = json.loads(results.to_json())
    ids = [row["id"] for row in content["results"]]
    assert len(ids) == len(set(ids)) > 200
    assert content["columns"] == ["id", *COLUMNS]
    assert all(list(row) == content["columns"] for row in content["results"])
    assert list(results.to_frame()["id"]) == ids
    with pytest.raises(ValueError, match="one id: a"):
        Results((Row("a", "x"), Row("a", "y")), {})


def test_the_columns_are_those_the_report_promises() -> None:
    assert list(COLUMNS) == [
        "term", "estimate", "std_error", "conf_low", "conf_high", "p_value", "level", "unit", "n", "method",
        "rule",
    ]  # fmt: skip


def test_what_the_tables_hold_is_in_the_rows(results: Results) -> None:
    rows = {row.id: row for row in results.rows}
    for r in results.frames["by_visit"].dropna().to_dict(orient="records"):
        key = f"by_visit:{r['visit']}"
        assert (rows[f"{key}:mean"].estimate, rows[f"{key}:mean"].conf_low) == (r["mean"], r["conf_low"])
        assert rows[f"{key}:without"].estimate == r["without_dose"]
    for i, r in enumerate(results.frames["bands"].to_dict(orient="records"), start=1):
        assert rows[f"bands:{i}:difference"].estimate == r["estimate"]
    for r in results.frames["rivals"].to_dict(orient="records"):
        assert rows[f"rivals:{r['term']}"].p_value == r["p_value"]


def test_the_numbers_of_a_claim_join_under_its_name(evaluation: Evaluation, results: Results) -> None:
    ids = {row.id for row in results.rows}
    for claim in evaluation.claims:
        for number in claim.rows:
            assert f"claims:{claim.claim}:{number.term}" in ids
        for name, value in claim.numbers.items():
            if isinstance(value, float) and math.isfinite(value):
                assert f"claims:{claim.claim}:number:{name}" in ids


# --- linking --------------------------------------------------------------------------------------

MADE = Results(
    (
        Row("a:1", "x", 40.2, conf_low=-1.26, conf_high=1234.4, level=0.95, n=12),
        Row("a:2", "y", 0.0571, p_value=0.0004),
        Row("b", "z", 40.0, p_value=0.031),
    ),
    {},
)


def marked(text: str, scope: str = "a|b") -> str:
    return link(f'<p data-scope="{scope}">{text}</p>', MADE).html


@pytest.mark.parametrize(
    ("text", "ref", "field"),
    [
        ("about 40 twitches", "b", "estimate"),  # equal comes before rounded
        ("40.2", "a:1", "estimate"),
        ("−1.3 points", "a:1", "conf_low"),
        ("1,234 rows", "a:1", "conf_high"),
        ("95% interval", "a:1", "level"),
        ("the 95th place", "a:1", "level"),
        ("0.057", "a:2", "estimate"),
        ("&lt;0.001", "a:2", "p_value"),
        ("less than once in 1,000 such records", "a:2", "p_value"),
        ("about 3 times in 100 such records", "b", "p_value"),
        ("12", "a:1", "n"),
    ],
)
def test_a_number_is_found(text: str, ref: str, field: str) -> None:
    if "th place" in text:
        made = Results((Row("a:1", "x", 95.0),), {})
        assert 'data-ref="a:1"' in link(f'<p data-scope="a">{text}</p>', made).html
        return
    assert f'data-ref="{ref}" data-field="{field}"' in marked(text)


@pytest.mark.parametrize(
    "text", ["41", "−40", "0.06%", "1,235", "&lt;0.0001", "less than once in 10 thousand 77"]
)
def test_a_number_that_is_not_there_is_named(text: str) -> None:
    found = link(f'<p data-scope="a|b">{text}</p>', MADE)
    assert "data-ref" not in found.html or text.startswith("less")
    assert len(found.unlinked) >= 1


@pytest.mark.parametrize("text", ["C13", "SHA-256", "HIT-6", "v2", "patient&#39;s", "&#x27;"])
def test_digits_in_names_are_no_numbers(text: str) -> None:
    found = link(f'<p data-scope="a">{text}</p>', MADE)
    assert found.unlinked == ()
    assert "<data" not in found.html


def test_scopes_end_where_they_begin() -> None:
    found = link('<div data-scope="b"><p data-scope="a:2">0.057</p><p>0.057</p></div><p>40</p>', MADE)
    assert [miss.text for miss in found.unlinked] == ["0.057", "40"]
    assert "data-scope" not in found.html


def test_plain_places_and_pictures() -> None:
    page = '<p data-scope="a"><cite>Smith 1999</cite> <span data-plain>7 <b>8</b></span></p>'
    page += '<img data-scope="a" alt="At 40.2">'
    found = link(page, MADE)
    assert found.unlinked == ()
    assert 'data-refs="a:1.estimate"' in found.html


def test_text_of_the_record_stays_text() -> None:
    found = link('<p data-scope="a">&lt;img src=x onerror=alert(40.2)&gt;</p>', MADE)
    assert found.html.count("<img") == 0
    assert found.html.count("<data") == 1


def test_the_grammar_of_chances_is_that_of_the_sentences() -> None:
    from tpr_outcomes.reporting.spelling import chances

    for p in (0.0004, 0.001, 0.0031, 0.0094, 0.0096, 0.04, 0.5):
        said = chances(p)
        made = Results((Row("p", "p", p_value=p),), {})
        assert chance_pattern().search(said)
        assert link(f'<p data-scope="p">It turns up {said}.</p>', made).unlinked == ()


def test_every_numeric_field_is_a_column() -> None:
    assert set(NUMERIC) < set(COLUMNS)
    assert evidence().seed == 1
