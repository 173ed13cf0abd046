"""A translation is one file: all texts written to it, read back, and no English of ours left on any page."""

from __future__ import annotations

import ast
import json
import math
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from tests.unit import pseudo
from tests.unit.made_evidence import clinic, every_label
from tests.unit.made_folders import registry, rows_of, write_folder

from tpr_outcomes.analysis import evaluate
from tpr_outcomes.cli import main
from tpr_outcomes.errors import PlanError
from tpr_outcomes.inference.evidence import LABELS, decide
from tpr_outcomes.planning.workbook import simulate_record
from tpr_outcomes.reporting import told as telling
from tpr_outcomes.reporting import words, words_reasons
from tpr_outcomes.reporting.bundle import contents
from tpr_outcomes.reporting.catalogue import MODULES, Translation, english, speaking, to_toml
from tpr_outcomes.reporting.claims import answer_claims
from tpr_outcomes.reporting.compare import compare
from tpr_outcomes.reporting.compare_bundle import contents as comparison
from tpr_outcomes.reporting.compare_folders import read_clinics
from tpr_outcomes.reporting.report import render_html
from tpr_outcomes.reporting.results import Evaluation
from tpr_outcomes.reporting.told import told
from tpr_outcomes.reporting.veiled import unless_small
from tpr_outcomes.reporting.verdict import judge

SOURCE = Path(__file__).resolve().parents[2] / "src" / "tpr_outcomes"

# --- what may stand outside the marks, and why ----------------------------------------------------

ALLOWED = {
    r"(td|th)\.quoted": (r".*", "term, unit and method: columns of results.json, under their machine names"),
    r"dd\.": (
        r"[a-z-]+|\d+ \(docs/methods/[\w-]+\.md\)|frame|csv|excel|[\w.-]+ \d[\w.]*(, \w+ [\d.]+)*",
        "name and page of a rule, kind of a source, versions: machine names",
    ),
    r"p\.": (r".*\bTx\b.*", "the clinic's own title"),
    r"td\.": (
        (
            r"[0-9a-f]{16}|age, sex|region|weeks|insertions|Tx|nrs|twitches|before|True|needle = thin"
            r"|:? ?;? ?.*(PubMed|PMC\d+|IMMPACT|Arch Phys Med Rehabil|BMC Musculoskelet Disord|Spine 2008).*"
        ),
        "digests; columns and settings of the plan; cut-points as their sources are cited",
    ),
    r"th\.": (
        (
            r"title|dose|scale|rated|replicates|seed|self_check|sensitivity|smallest_count|columns|about"
            r"|north|east|dale|park|hill|mill"
        ),
        "settings of the plan; labels of clinics",
    ),
    r"drawing": (r"north east dale park", "labels of clinics"),
    r"q\.": (r"thin", "the clinic's own words"),
}
"""Place: form of the piece, and why it is the same in every language."""


def leaks(page: str) -> list[tuple[str, str]]:
    """Pieces outside the marks that nothing above allows."""
    found = []
    for place, piece, _ in pseudo.Seen(page).leaks():
        forms = [form for where, (form, _) in ALLOWED.items() if re.fullmatch(where, place)]
        if not any(re.fullmatch(form, piece.strip(), re.DOTALL) for form in forms):
            found.append((place, piece))
    return found


@cache
def marks() -> Translation:
    return pseudo.translation()


@cache
def rich() -> Evaluation:
    """A clinic with every table, said in marks."""
    plan = {"title": "Tx", "self_check": 3, "about": {"needle": "thin"}}
    return evaluate(simulate_record("A-thr40", n_patients=120, seed=5), plan, replicates=99, words=marks())


@cache
def folder() -> dict[str, bytes]:
    return contents(rich())


def test_a_report_with_everything_in_it_holds_no_english_of_ours() -> None:
    assert leaks(folder()["report.html"].decode()) == []


@pytest.mark.parametrize("label", LABELS)
def test_no_verdict_is_said_in_english(label: str) -> None:
    for made in every_label()[label]:
        decision = decide(made)
        with speaking(marks()):
            finding = judge(made, decision, visits=clinic())
            claims = answer_claims(made, decision, clinic())
            other = replace(rich(), evidence=made, decision=decision, finding=finding, claims=claims)
            assert leaks(render_html(replace(other, self_check=None), {})) == []


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    home = tmp_path_factory.mktemp("clinics")
    two = [
        write_folder(home / name, rows, verdict="threshold_supported", sentence="«x»")
        for name, rows in (
            ("hill", rows_of(-0.03, 0.004, threshold=(40.0, 31.8, 45.1), improved=(0.70, 0.584, 0.795))),
            ("mill", rows_of(-0.01, 0.003, threshold=(28.0, 20.0, math.nan), patients=None)),
        )
    ]
    many = registry(home / "many", dict.fromkeys(("north", "east", "dale", "park"), (-0.02, 0.005)))
    with speaking(marks()):
        return [
            comparison(compare(read_clinics(folders)), marks())["compare.html"].decode()
            for folders in (two, many)
        ]


@pytest.mark.parametrize("which", [0, 1], ids=["two", "many"])
def test_records_side_by_side_hold_no_english_of_ours(pages: list[str], which: int) -> None:
    assert leaks(pages[which]) == []


@pytest.mark.parametrize(
    "page",
    ["<p>«Told» not told</p>", '<img alt="not told">', "<td>«a» 12 points</td>", "<h2>«one»<b>two</b></h2>"],
)
def test_english_outside_the_marks_is_seen(page: str) -> None:
    assert leaks(page) != []


def test_english_in_a_drawing_is_seen() -> None:
    assert pseudo.outside(pseudo.drawn("<!-- «told» --><!-- not told -->")) == ["not told"]


# --- one file -------------------------------------------------------------------------------------


def test_what_is_written_is_read_back() -> None:
    texts = english()
    assert dict(Translation.parse(to_toml(texts).encode()).texts) == texts
    assert {key.partition(".")[0] for key in texts} == set(MODULES)
    assert {path.stem for path in (SOURCE / "reporting").glob("words*.py")} == set(MODULES) - {"claim_rows"}


def test_every_text_of_a_words_module_has_a_key() -> None:
    held = set(english().values())
    for path in (SOURCE / "reporting").glob("words*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:
            if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Constant):
                continue
            name, text = node.targets[0], node.value.value
            assert isinstance(name, ast.Name)
            if isinstance(text, str) and not name.id.startswith("_") and re.search(r"[a-z]{2}", text):
                assert text in held


def test_a_missing_key_stays_english() -> None:
    with speaking(Translation({"words.VERDICTS.inconclusive.headline": "Offen"})):
        assert words.VERDICTS["inconclusive"].headline == "Offen"
        assert words.VERDICTS["not_identifiable"].headline == "The record cannot tell"
    assert words.VERDICTS["inconclusive"].headline == "Not settled"


def test_words_come_back_after_an_error() -> None:
    before = english()
    with pytest.raises(ZeroDivisionError), speaking(marks()):
        raise ZeroDivisionError
    assert english() == before


def test_every_fault_of_a_file_is_named_at_once() -> None:
    text = '[words]\nTIPPING = "nur {top}"\nNOBODY = "x"\nLINE = 3\nRELIEF = "{top"\n'
    with pytest.raises(PlanError) as error:
        Translation.parse(text.encode())
    said = str(error.value)
    assert "words.TIPPING: it holds {top}. Names in braces have to be {many}, {tipping}, {top}." in said
    assert "words.NOBODY: there is no such key." in said
    assert "words.LINE: its value is not a text." in said
    assert "words.RELIEF: a brace is left open." in said


@pytest.mark.parametrize("content", [b"\xff\xfe", b"words = ["])
def test_what_is_no_toml_is_refused(content: bytes) -> None:
    with pytest.raises(PlanError, match="not TOML"):
        Translation.parse(content)


# --- on the command line --------------------------------------------------------------------------


def record(path: Path) -> Path:
    rows = ["patient,visit,pain,twitches"]
    rows += [f"{i},{v},{(i + v) % 9},{(i * v) % 7}" for i in range(12) for v in range(1, 5)]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_a_translated_report_is_made_again_from_its_own_words(tmp_path: Path) -> None:
    texts, out = tmp_path / "words.toml", tmp_path / "report"
    assert main(["words", "--out", str(texts)]) == 0
    assert main(["words", "--out", str(texts)]) == 6  # somebody may have translated it
    texts.write_text(texts.read_text(encoding="utf-8").replace('"Outcomes report"', '"Ergebnisbericht"'))
    source = str(record(tmp_path / "visits.csv"))
    how = ["--replicates", "99", "--words", str(texts)]
    assert main(["evaluate", source, "--out", str(out), *how]) == 0
    assert "Ergebnisbericht" in (out / "report.html").read_text(encoding="utf-8")
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["words"]["sha256"] == manifest["files"]["words.toml"]
    assert main(["reproduce", str(out), "--source", source]) == 0
    (out / "words.toml").write_text("[words]\n", encoding="utf-8")
    assert main(["reproduce", str(out), "--source", source]) == 3


def test_bad_words_leave_nothing_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = tmp_path / "words.toml"
    texts.write_text('[words]\nTIPPING = "x"\n', encoding="utf-8")
    source, out = str(record(tmp_path / "visits.csv")), tmp_path / "report"
    assert main(["evaluate", source, "--out", str(out), "--words", str(texts)]) == 5
    assert "words.TIPPING" in capsys.readouterr().err
    assert not out.exists()
    assert main(["evaluate", source, "--out", str(out), "--words", str(tmp_path / "none")]) == 3


# --- privacy --------------------------------------------------------------------------------------


def test_a_small_count_is_not_told_in_another_language() -> None:
    ours = replace(rich().finding, sentence="Only 3 patients were seen.", warnings=())
    theirs = replace(ours, sentence="Nur 3 Personen wurden gesehen.")
    assert unless_small(theirs, ours, 5).sentence == "Only fewer than 5 patients were seen."
    many = replace(ours, sentence="Only 30 patients were seen.")
    assert unless_small(theirs, many, 5).sentence == theirs.sentence


# --- reasons of the analyses ----------------------------------------------------------------------


@pytest.mark.parametrize("group", words_reasons.english_forms)
def test_every_form_is_found_again(group: str) -> None:
    for text in words_reasons.english_forms[group].values():
        filled = re.sub(r"\{\w+\}", "7", text)
        assert told(filled) == filled
        with speaking(marks()):
            assert pseudo.outside(told(filled)) == []
            assert pseudo.outside(told(filled[:1].lower() + filled[1:].rstrip("."))) == []


def test_what_has_no_form_is_said_as_it_is() -> None:
    assert telling.told("Nobody ever wrote this.") == "Nobody ever wrote this."


SHOWN = (
    "carryover",
    "clustered",
    "comparison",
    "contrast",
    "essential",
    "evidence",
    "falsify",
    "frequency",
    "history",
    "landmark",
    "medicine",
    "natural",
    "order",
    "procedure",
    "recurrent",
    "regions",
    "relapse",
    "response",
    "safety",
    "scores",
    "sensitivity",
    "sequential",
    "soreness",
    "tuneup",
    "weighting",
)
"""Analyses whose reasons stand on a page."""
PARTS = {
    "which": ("left alone", "no early twitch", "were rated as high without needling"),
    "short": ("without",), "other": ("with",), "bracket": (),
}  # fmt: skip


NEVER = {
    f"{begun} {PARTS['which'][i]}{end}"
    for begun, end, others in (
        ("too few patients had a flare that was", "", (1, 2)),
        ("too few patients", "; 7 of each are needed", (0, 1)),
        ("too few patients had", "", (0, 2)),
    )
    for i in others
}
"""Put together by :func:`templates` from words of another sentence."""


def templates(node: ast.AST) -> list[str]:
    """Texts that an expression may give, with a number for each field but those of words."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.IfExp):
        return templates(node.body) + templates(node.orelse)
    if not isinstance(node, ast.JoinedStr):
        return []
    made = [""]
    for part in node.values:
        if isinstance(part, ast.Constant):
            options: tuple[str, ...] = (str(part.value),)
        elif isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.IfExp):
            options = tuple(templates(part.value))
        else:
            name = (
                part.value.id
                if isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.Name)
                else ""
            )
            options = PARTS.get(name, ("7",))
        made = [begun + option for begun in made for option in options]
    return made


def reasons(module: str) -> list[str]:
    tree = ast.parse((SOURCE / "inference" / f"{module}.py").read_text(encoding="utf-8"))
    found: list[ast.AST] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("FitError", "Undone"):
                found += node.args[:1]
            found += [word.value for word in node.keywords if word.arg == "reason"]
        elif isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == "reason" for t in node.targets
        ):
            found.append(node.value)
    return [text for node in found for text in templates(node) if " " in text]


@pytest.mark.parametrize("module", SHOWN)
def test_every_reason_of_an_analysis_is_in_the_catalogue(module: str) -> None:
    """A reason stands alone or before how many are needed."""
    missing = set()
    for text in reasons(module):
        with speaking(marks()):
            said = [told(text), told(f"{text}; 7 of each are needed")]
        if all(pseudo.outside(one) for one in said):
            missing.add(text)
    assert missing <= NEVER


def test_analyses_do_give_reasons() -> None:
    assert sum(len(reasons(module)) for module in SHOWN) > 40
