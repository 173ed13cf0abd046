"""Records side by side: what is compared, what is refused, what is flagged, and how the page shows it."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.unit.made_folders import SLOPE, registry, rows_of, write_folder
from tests.unit.readability import grade
from tests.unit.test_numbers import Shown, says
from tests.unit.test_report import HOSTILE, Page

from tpr_outcomes.analysis import evaluate
from tpr_outcomes.cli import main
from tpr_outcomes.cohort.visits import read_visits
from tpr_outcomes.datasets import example_file
from tpr_outcomes.errors import OutputError, SourceError
from tpr_outcomes.inference.funnel import ALARM_LEVEL, funnel
from tpr_outcomes.inference.shrinkage import partial_pool
from tpr_outcomes.reporting import words_compare
from tpr_outcomes.reporting.bundle import manifest
from tpr_outcomes.reporting.compare import MEASURES, collect, compare
from tpr_outcomes.reporting.compare_bundle import clinics_page, contents
from tpr_outcomes.reporting.compare_folders import names_of, read_clinics
from tpr_outcomes.reporting.compare_page import compare_page
from tpr_outcomes.reporting.number_rows import collect as collect_evaluation
from tpr_outcomes.reporting.plots_compare import figures

SLOPES = {
    "north": (-0.030, 0.006), "Harbour 2024": (-0.018, 0.004), "hill": (-0.090, 0.005),
    "east": (-0.021, 0.009), "mill": (-0.025, 0.007), "quay": (-0.015, 0.005),
    "dale": (-0.028, 0.012), "park": (-0.012, 0.008), "lake": (-0.022, 0.005), "west": (-0.019, 0.006),
    "bridge": (-0.024, 0.007), "station": (-0.020, 0.004),
}  # fmt: skip


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    home = tmp_path_factory.mktemp("pair")
    one = rows_of(-0.03, 0.004, threshold=(40.0, 31.8, 45.1), improved=(0.70, 0.584, 0.795))
    other = rows_of(
        -0.01, 0.003, threshold=(28.0, 20.0, math.nan), improved=(0.60, 0.490, 0.700), patients=None
    )
    return [
        write_folder(home / "2023" / "report", one, verdict="threshold_supported", sentence="Past about 40."),
        write_folder(
            home / "2024" / "report", other, verdict="threshold_supported", sentence="Past about 28."
        ),
    ]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    home = tmp_path_factory.mktemp("registry")
    small = write_folder(home / "small", rows_of(None, patients=None), verdict="not_identifiable")
    return [*registry(home, SLOPES), small]


# --- what is compared -----------------------------------------------------------------------------


def test_a_real_evaluation_holds_every_quantity_that_is_compared() -> None:
    evaluation = evaluate(read_visits(example_file("threshold")), replicates=99)
    held = {row.id: row for row in collect_evaluation(evaluation).rows}
    assert evaluation.verdict == "threshold_supported"
    for measure in MEASURES:
        row = held[measure.row]
        assert math.isfinite(row.conf_low)
        assert row.level == 0.95
        assert not measure.pooled or row.std_error > 0
    assert held["verdict:slope_line"].method == SLOPE
    assert manifest(evaluation, {})["plan"].keys() >= {"dose", "scale", "rated"}  # type: ignore[union-attr]


def test_differences_are_those_worked_by_hand(pair: list[Path]) -> None:
    found = compare(read_clinics(pair))
    slope = found.differences["slope"]
    assert (slope.estimate, slope.std_error) == pytest.approx((0.02, 0.005))
    assert (slope.conf_low, slope.conf_high) == pytest.approx((0.02 - 0.0098, 0.02 + 0.0098), abs=1e-6)
    assert slope.told_from_none
    place = found.differences["threshold"]
    assert place.estimate == -12.0
    assert place.conf_low == pytest.approx(-12 - math.hypot(8.0, 5.1))
    assert place.conf_high == math.inf
    # percentage points
    assert found.differences["responders"].estimate == pytest.approx(-10.0)
    assert found.left == {
        "adjusted": "absent",
        "slope_past": "absent",
        "response": "absent",
        "excess": "absent",
    }


def test_a_threshold_is_compared_only_where_both_verdicts_stand_by_it(tmp_path: Path) -> None:
    rows = rows_of(-0.02, threshold=(40.0, 32.0, 45.0))
    one = write_folder(tmp_path / "a", rows, verdict="threshold_supported")
    other = write_folder(tmp_path / "b", rows_of(-0.021, threshold=(35.0, 30.0, 44.0)),
                         verdict="threshold_shape_confounding_alarm")  # fmt: skip
    found = compare(read_clinics([one, other]))
    assert found.left["threshold"] == "absent"
    assert "threshold" not in found.differences


def test_what_was_made_in_another_way_is_not_compared(tmp_path: Path) -> None:
    folders = [
        write_folder(tmp_path / "a", rows_of(-0.02)),
        write_folder(tmp_path / "b", rows_of(-0.03, slope_method="splines")),
    ]
    found = compare(read_clinics(folders))
    assert found.left["slope"] == "method"
    page = Page(compare_page(found, figures(found)).html)
    assert "so the two cannot be compared" in page.words
    assert "made in another way" in page.words
    other_level = tuple(replace(r, level=0.9) if r.id == "verdict:slope_line" else r for r in rows_of(-0.01))
    third = write_folder(tmp_path / "c", other_level)
    assert compare(read_clinics([folders[0], third])).left["slope"] == "level"


def test_pooling_and_flags_are_those_of_the_statistics(many: list[Path]) -> None:
    found = compare(read_clinics(many))
    pool = found.pools["slope"]
    y, s = np.array(list(SLOPES.values())).T
    assert pool.pooled.mean == pytest.approx(partial_pool(y, s).mean)
    assert list(np.flatnonzero(funnel(y, s).outside(ALARM_LEVEL))) == [2]
    assert [found.clinics[i].label for i in pool.flagged] == ["hill"]
    assert set(found.pools) == {"slope", "excess"}
    assert "threshold" not in found.pools
    assert "responders" not in found.pools


def test_clinics_keep_the_order_they_were_given_in(many: list[Path]) -> None:
    backwards = list(reversed(many))
    for folders in (many, backwards):
        found = compare(read_clinics(folders))
        rows = collect(found).frames["pooled_slope"]["record"].tolist()
        assert rows == [folder.name for folder in folders if folder.name != "small"]


def test_verdicts_stand_side_by_side_and_are_not_pooled(many: list[Path]) -> None:
    frames = collect(compare(read_clinics(many))).frames
    assert frames["verdicts"]["verdict"].tolist() == ["inconclusive"] * len(SLOPES) + ["not_identifiable"]
    assert not [
        r for r in collect(compare(read_clinics(many))).rows if "verdict" in r.id and "quoted" not in r.id
    ]


# --- the page -------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["pair", "many"])
def test_every_number_of_the_page_is_a_field_of_a_row(which: str, request: pytest.FixtureRequest) -> None:
    found = compare(read_clinics(request.getfixturevalue(which)))
    results = collect(found)
    linked = compare_page(found, figures(found), results)
    assert linked.unlinked == ()
    page, by_id = Shown(linked.html), {row.id: row for row in results.rows}
    assert page.loose == []
    assert len(page.marked) > 20
    for mark, text in page.marked:
        row, field = by_id[mark["data-ref"]], mark["data-field"]
        assert says(text, row.value(field), field, row.unit), (mark, text)
    assert all(refs for _, refs in page.alts)


@pytest.mark.parametrize("which", ["pair", "many"])
def test_the_page_is_well_formed_and_asks_for_nothing(which: str, request: pytest.FixtureRequest) -> None:
    found = compare(read_clinics(request.getfixturevalue(which)))
    html = compare_page(found, figures(found)).html
    page = Page(html)
    assert page.faults == []
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.tags:
        for name in ("src", "srcset", "href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/svg+xml;base64,"))
        assert not any(name.startswith("on") or name == "style" for name in attributes)
    for image in page.all("img"):
        assert len(image["alt"] or "") > 30
    policies = [m["content"] or "" for m in page.all("meta") if m.get("http-equiv")]
    digest = base64.b64encode(hashlib.sha256(html.split("<style>")[1].split("</style>")[0].encode()).digest())
    assert len(policies) == 1
    assert policies[0].startswith("default-src 'none'; img-src data:; style-src 'sha256-" + digest.decode())
    assert "None" not in page.words
    assert "{" not in page.words


def test_the_first_screen_names_the_flagged_and_no_first_place(many: list[Path]) -> None:
    found = compare(read_clinics(many))
    html = compare_page(found, figures(found)).html
    words = Page(html).words
    assert "One is worth a look" in words
    assert "Outside the 99.8 % limits, in the order given: hill" in words.replace("99.8%", "99.8 %")
    assert not re.search(r"\b(best|worst|rank \d|top \d|league)\b", words)


def test_names_are_text_wherever_they_stand(tmp_path: Path) -> None:
    name = HOSTILE.replace("/", "_") + "$x^2$ \\frac\u202e"
    folders = registry(tmp_path, {name: (-0.2, 0.004)} | SLOPES)
    found = compare(read_clinics(folders))
    made = contents(found)
    page = Page(made["compare.html"].decode())
    assert "\u202e" not in made["compare.html"].decode()
    assert "<script" not in made["compare.html"].decode()
    assert found.pools["slope"].flagged[0] == 0
    assert "alert(1)>" in page.words


def test_counts_that_a_report_withholds_are_withheld_here(pair: list[Path]) -> None:
    found = compare(read_clinics(pair))
    results = collect(found)
    assert "clinics:2:patients" not in {row.id for row in results.rows}
    assert "withheld" in Page(compare_page(found, {}).html).words
    # nothing is added over records, so nothing withheld follows from a sum
    assert not [
        row for row in results.rows if row.id.startswith(("pooled", "differences")) and "patients" in row.id
    ]


def test_no_word_claims_a_cause_and_the_first_screen_is_easy(pair: list[Path], many: list[Path]) -> None:
    causal = re.compile(r"\b(caus\w*|effects?|affect\w*|leads? to|thanks to|works?)\b", re.IGNORECASE)
    source = Path(words_compare.__file__).read_text(encoding="utf-8")
    body = source.partition('"""\n')[2].replace("random effects", "")
    assert causal.search(body) is None
    for folders in (pair, many):
        found = compare(read_clinics(folders))
        hero = re.search(r'<section class="hero".*?</section>', compare_page(found, {}).html, flags=re.DOTALL)
        assert hero is not None
        first = re.sub(r"<(dl|h1)\b.*?</\1>", "", hero.group(0), flags=re.DOTALL)
        text = re.sub(r"</(li|p|h2)>", ". ", first)
        assert grade(re.sub(r"(\.\s*)+", ". ", Page(text).words)) <= 9.0


def test_the_drawn_numbers_are_those_of_the_comparison(many: list[Path]) -> None:
    from matplotlib.figure import Figure

    from tpr_outcomes.reporting.plots_compare import plot_forest, plot_funnel

    found = compare(read_clinics(many))
    pool = found.pools["slope"]
    ax = plot_funnel(found, pool, Figure().subplots())
    lines = {line.get_gid(): line for line in ax.get_lines()}
    np.testing.assert_allclose(lines["outside"].get_xydata(), [[1 / 0.005, -0.09]])
    assert len(lines["inside"].get_xdata()) == len(SLOPES) - 1
    x = lines["limit-998"].get_xdata()
    _, high = pool.funnel.limits(1 / np.asarray(x), ALARM_LEVEL)
    np.testing.assert_allclose(lines["limit-998"].get_ydata(), high)
    ax = plot_forest(found, pool, Figure().subplots())
    pulled = next(line for line in ax.get_lines() if line.get_gid() == "pulled")
    np.testing.assert_allclose(pulled.get_xdata(), pool.pooled.shrunken)
    assert [text.get_text() for text in ax.get_yticklabels()][:-1] == list(SLOPES)


# --- files and refusals ---------------------------------------------------------------------------


def test_the_folder_is_the_same_at_every_run(many: list[Path], tmp_path: Path) -> None:
    page = clinics_page(many, tmp_path / "out")
    first = {p.relative_to(page.parent): p.read_bytes() for p in page.parent.rglob("*") if p.is_file()}
    assert clinics_page(many, tmp_path / "out") == page
    again = {p.relative_to(page.parent): p.read_bytes() for p in page.parent.rglob("*") if p.is_file()}
    assert first == again
    listed = json.loads(first[Path("manifest.json")])["files"]
    assert listed == {
        str(p): hashlib.sha256(c).hexdigest() for p, c in first.items() if p.name != "manifest.json"
    }
    numbers = json.loads(first[Path("compare.json")])["results"]
    assert [row["id"] for row in numbers] == pd.read_csv(page.parent / "compare.csv")["id"].tolist()


def test_two_and_three_from_the_command_line(
    pair: list[Path], many: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *map(str, pair), "--out", str(tmp_path / "two")]) == 0
    assert capsys.readouterr().out == f"Page: {tmp_path / 'two' / 'compare.html'}\n"
    assert "2023/report" in (tmp_path / "two" / "compare.html").read_text(encoding="utf-8")
    assert main(["compare", *map(str, many[:3]), "--out", str(tmp_path / "three")]) == 0
    assert (tmp_path / "three" / "figures" / "funnel-slope.svg").exists()


def test_every_problem_is_said_at_once_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fine = write_folder(tmp_path / "fine", rows_of(-0.02), record="ab" * 32)
    old = write_folder(tmp_path / "old", rows_of(-0.02), version="0.0.1")
    edited = write_folder(tmp_path / "edited", rows_of(-0.02))
    (edited / "results.json").write_text("{}", encoding="utf-8")
    gone = write_folder(tmp_path / "gone", rows_of(-0.02))
    (gone / "verdict.json").unlink()
    copy = write_folder(tmp_path / "copy", rows_of(-0.05), record="ab" * 32)
    other = write_folder(tmp_path / "other", rows_of(-0.06), plan={"dose": "insertions"})
    broken = write_folder(tmp_path / "broken", rows_of(-0.07), verdict="splendid")
    empty = tmp_path / "empty"
    empty.mkdir()
    folders = [
        fine,
        old,
        edited,
        gone,
        copy,
        other,
        broken,
        empty,
        tmp_path / "nowhere",
        fine / ".." / "fine",
    ]
    assert main(["compare", *map(str, folders), "--out", str(tmp_path / "out")]) == SourceError.exit_code == 3
    said = capsys.readouterr().err
    for part in (
        "old: it was made by version 0.0.1",
        "edited: results.json was changed",
        "gone: verdict.json is missing",
        "copy: it was made from the same record as ",
        "other: its plan says dose = insertions, that of ",
        "broken: verdict.json does not hold what it should",
        "empty: it holds no manifest",
        "nowhere: there is no such folder",
        "it is the same folder as",
    ):
        assert part in said, part
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


def test_one_folder_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="One folder was named"):
        clinics_page([write_folder(tmp_path / "a", rows_of(-0.02))], tmp_path / "out")


@pytest.mark.parametrize("content", ["[]", "{", '{"schema": "tpr-outcomes/results/1"}', '{"results": 3}'])
def test_results_that_are_none_are_refused(tmp_path: Path, content: str) -> None:
    a, b = (write_folder(tmp_path / name, rows_of(-0.02)) for name in "ab")
    (b / "results.json").write_text(content, encoding="utf-8")
    listed = json.loads((b / "manifest.json").read_text(encoding="utf-8"))
    listed["files"]["results.json"] = hashlib.sha256(content.encode()).hexdigest()
    (b / "manifest.json").write_text(json.dumps(listed), encoding="utf-8")
    with pytest.raises(SourceError, match=r"results\.json does not hold what it should"):
        read_clinics([a, b])


def test_the_comparison_takes_no_evaluations_place(pair: list[Path], many: list[Path]) -> None:
    for out in (pair[0], pair[0] / "inside", pair[0].parent, many[0]):
        before = sorted(pair[0].rglob("*"))
        with pytest.raises(OutputError):
            clinics_page(pair, out)
        assert sorted(pair[0].rglob("*")) == before


def test_folders_of_one_name_are_told_apart() -> None:
    assert names_of([Path("/x/a/r"), Path("/y/a/r"), Path("/z/q")]) == ["x/a/r", "y/a/r", "q"]
