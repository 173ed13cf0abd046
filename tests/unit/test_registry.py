"""Many clinics: each as if it were alone, resumed, failures listed, slopes pooled from the folders."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tpr_outcomes import registry
from tpr_outcomes.analysis import AnalysisPlan
from tpr_outcomes.cli import main
from tpr_outcomes.cohort.clinics import find_clinics
from tpr_outcomes.cohort.columns import Columns
from tpr_outcomes.errors import OutputError, PlanError, SomeFailedError, SourceError
from tpr_outcomes.inference.shrinkage import partial_pool
from tpr_outcomes.planning.simulate import to_file
from tpr_outcomes.registry import evaluate_many
from tpr_outcomes.reporting import bundle
from tpr_outcomes.reporting.compare_bundle import PAGE, clinics_page
from tpr_outcomes.reporting.together import pooled_json

PLAN = AnalysisPlan(replicates=99, sensitivity=False)
LABELS = ("east", "north", "west")


@pytest.fixture(autouse=True)
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures take most of a report's time and are looked at elsewhere (test_report, test_cluster)."""
    monkeypatch.setattr(bundle.plots, "all_figures", lambda _: {})
    monkeypatch.setattr(registry, "clinics_page", lambda folders, out: out / PAGE)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    for seed, label in enumerate(LABELS):
        to_file("N4", folder / f"{label}.csv", n_patients=40, seed=seed)
    return folder


@pytest.fixture(scope="module")
def apart(made: Path, tmp_path_factory: pytest.TempPathFactory) -> registry.Outcome:
    """The three clinics, each from its own file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle.plots, "all_figures", lambda _: {})
        patch.setattr(registry, "clinics_page", lambda folders, out: out / PAGE)
        return evaluate_many(made, tmp_path_factory.mktemp("apart"), PLAN)


@pytest.fixture
def clinics(made: Path, tmp_path: Path) -> Path:
    """A folder of three clinics, with what else lies about in folders."""
    folder = tmp_path / "registry"
    folder.mkdir()
    for label in LABELS:
        (folder / f"{label}.csv").write_bytes((made / f"{label}.csv").read_bytes())
    (folder / "notes.md").write_text("Called the west twice.\n")
    (folder / ".hidden.csv").write_text("x\n")
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def watch(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Labels of the clinics that are judged from now on."""
    seen: list[str] = []
    judge = registry.judge_clinic

    def watched(plan: AnalysisPlan, sent: registry.Sent) -> registry.Judged:
        seen.append(sent.label)
        return judge(plan, sent)

    monkeypatch.setattr(registry, "judge_clinic", watched)
    return seen


# --- each as if alone --------------------------------------------------------------------------------------


def test_a_clinics_folder_is_what_evaluate_writes(clinics: Path, tmp_path: Path) -> None:
    settings = ["--replicates", "99"]
    assert main(["evaluate-many", str(clinics), "--out", str(tmp_path / "out"), *settings]) == 0
    alone = tmp_path / "alone"
    assert main(["evaluate", str(clinics / "north.csv"), "--out", str(alone), *settings]) == 0
    assert tree(tmp_path / "out" / "clinics" / "north") == tree(alone)
    index = pd.read_csv(tmp_path / "out" / "index.csv")
    assert index["label"].tolist() == list(LABELS)
    said = json.loads((alone / "verdict.json").read_text())
    north = index.set_index("label").loc["north"]
    assert north["verdict"] == said["verdict"]
    assert north["patients"] == said["data"]["patients_analysed"]
    assert north["folder"] == "clinics/north"
    whole = json.loads((tmp_path / "out" / "index.json").read_text())
    assert [row["label"] for row in whole["clinics"]] == list(LABELS)
    assert whole["failed"] == []


def test_two_workers_say_the_same(clinics: Path, apart: registry.Outcome, tmp_path: Path) -> None:
    """Processes draw the figures that are left out here, so folders are compared in test_cluster."""
    shared = evaluate_many(clinics, tmp_path / "two", PLAN, workers=2)
    assert (shared.ran, shared.kept, shared.failed) == (3, 0, 0)
    assert shared.rows == apart.rows


def test_folders_of_tables_column_maps_and_lists(made: Path, tmp_path: Path) -> None:
    """Three ways of naming the same clinics: the bytes of `tpr evaluate` on the folder, and one index."""
    folder = tmp_path / "registry"
    (folder / "north").mkdir(parents=True)
    (folder / "north" / "visits.csv").write_bytes((made / "north.csv").read_bytes())
    (folder / "north" / "notes.txt").write_text("not a table of ours\n")
    renamed = (made / "east.csv").read_text().replace("pain", "NRS now", 1)
    (folder / "east.csv").write_text(renamed)
    (folder / "east.toml").write_text('[columns]\npain = "NRS now"\n')
    found = evaluate_many(folder, tmp_path / "a", PLAN)
    assert [row["label"] for row in found.rows] == ["east", "north"]
    given = ["evaluate", str(folder / "north"), "--out", str(tmp_path / "alone"), "--replicates", "99"]
    plan = tmp_path / "plan.toml"
    plan.write_text("sensitivity = false\n")
    assert main([*given, "--plan", str(plan)]) == 0
    assert tree(tmp_path / "a" / "clinics" / "north") == tree(tmp_path / "alone")
    (folder / "list.csv").write_text(
        "label,path,columns\nnorth,north,\neast,east.csv,east.toml\n", encoding="utf-8"
    )
    (folder / "list.toml").write_text(
        '[[clinic]]\nlabel = "north"\npath = "north"\n[[clinic]]\nlabel = "east"\npath = "east.csv"\n'
        'columns = "east.toml"\n'
    )
    for name in ("list.csv", "list.toml"):
        assert evaluate_many(folder / name, tmp_path / name, PLAN).rows == found.rows


def one_table(made: Path) -> pd.DataFrame:
    parts = [pd.read_csv(made / f"{label}.csv", dtype=str).assign(clinic=label) for label in LABELS]
    mixed = pd.concat(parts).sort_values(
        ["visit", "clinic"], kind="stable"
    )  # no clinic's rows stand together
    return mixed[["clinic", *[name for name in mixed if name != "clinic"]]]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_one_table_with_a_column_of_clinics(
    made: Path, apart: registry.Outcome, tmp_path: Path, kind: str
) -> None:
    table, path = one_table(made), tmp_path / f"all.{kind}"
    if kind == "csv":
        table.to_csv(path, index=False)
    else:
        numbers = [name for name in table if name in ("visit", "weeks", "pain", "twitches")]
        table.astype(dict.fromkeys(numbers, "float64")).to_parquet(path)
    found = evaluate_many(path, tmp_path / "out", PLAN, by="clinic")
    assert found.rows == apart.rows
    part = find_clinics(path, by="clinic")[1].read()
    (tmp_path / "alone").mkdir()
    alone = tmp_path / "alone" / part.source
    alone.write_bytes(part.content[part.source])
    plan = tmp_path / "plan.toml"
    plan.write_text("sensitivity = false\nreplicates = 99\n")
    assert main(["evaluate", str(alone), "--out", str(tmp_path / "r"), "--plan", str(plan)]) == 0
    assert tree(tmp_path / "out" / "clinics" / "north") == tree(tmp_path / "r")


def test_folders_are_named_so_that_none_are_mixed_up() -> None:
    names = ["north", "North", "a/b", "a_b", "..", "Zürich", "x" * 200, "con.", " "]
    folders = [registry.Clinic(name, "", lambda: None).folder for name in names]  # type: ignore[arg-type,return-value]
    assert folders[0] == "north"
    assert len({folder.lower() for folder in folders}) == len(names)
    assert all(folder and "/" not in folder and not folder.startswith(".") for folder in folders)
    assert max(map(len, folders)) < 100


# --- resuming ----------------------------------------------------------------------------------------------


def test_only_what_changed_is_judged_again(
    clinics: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    evaluate_many(clinics, out, PLAN)
    before = tree(out)
    seen = watch(monkeypatch)
    found = evaluate_many(clinics, out, PLAN)
    assert (seen, found.ran, found.kept) == ([], 0, 3)
    assert tree(out) == before
    lines = (clinics / "east.csv").read_text().splitlines(keepends=True)
    (clinics / "east.csv").write_text("".join(lines[:-1]))  # another record
    (out / "clinics" / "west" / "verdict.json").write_text("{}")  # somebody's hand
    found = evaluate_many(clinics, out, PLAN)
    assert (seen, found.ran, found.kept) == (["east", "west"], 2, 1)
    assert (out / "clinics" / "west" / "verdict.json").read_bytes() == before["clinics/west/verdict.json"]
    evaluate_many(clinics, out, PLAN.model_copy(update={"seed": 2}))
    assert seen[2:] == list(LABELS)


def test_a_run_ended_in_the_middle_carries_on(
    clinics: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = evaluate_many(clinics, tmp_path / "whole", PLAN)
    seen = watch(monkeypatch)

    def end(done: int, _: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate_many(clinics, tmp_path / "out", PLAN, progress=end)
    assert evaluate_many(clinics, tmp_path / "out", PLAN).rows == whole.rows
    assert seen == list(LABELS)
    for name, content in tree(tmp_path / "whole").items():
        assert (tmp_path / "out" / name).read_bytes() == content


# --- failures ----------------------------------------------------------------------------------------------


def test_failures_are_listed_and_not_fatal(
    clinics: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (clinics / "south.csv").write_text("patient,visit,pain,twitches\nAnna,1,7,3\nAnna,2,77,3\nBert,1,88,2\n")
    rows = "north,north.csv\nsouth,south.csv\nlost,lost.csv\neast,east.csv\nwest,west.csv\n"
    (clinics / "list.csv").write_text(f"label,path\n{rows}")
    out = tmp_path / "out"
    asked = ["evaluate-many", str(clinics / "list.csv"), "--out", str(out), "--replicates", "99"]
    assert main(asked) == SomeFailedError.exit_code == 12
    said = capsys.readouterr()
    assert "2 of 5 clinics could not be judged" in said.err
    assert "Traceback" not in said.err
    with (out / "failures.csv").open() as file:
        failures = list(csv.DictReader(file))
    assert list(failures[0]) == ["label", "what", "where", "remedy"]
    assert {f["label"] for f in failures} == {"lost", "south"}
    lost = next(f for f in failures if f["label"] == "lost")
    assert "There is no file" in lost["what"]
    south = [f for f in failures if f["label"] == "south"]
    assert any("1 more" in f["where"] and "line 3" in f["where"] for f in south)
    assert all(f["remedy"] for f in failures)
    assert "Anna" not in (out / "failures.csv").read_text()
    index = json.loads((out / "index.json").read_text())
    assert index["failed"] == ["lost", "south"]
    assert [row["label"] for row in index["clinics"]] == list(LABELS)
    seen = watch(monkeypatch)  # what failed is tried again, and nothing else
    assert main(asked) == 12
    assert seen == ["south"]


def test_the_unexpected_is_one_clinics_failure(
    clinics: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original: Callable[..., Any] = registry.evaluate

    def broken(record: Any, plan: Any) -> Any:
        if record.visits.source.sha256 == broken_digest:
            raise KeyError("Anna Smith")
        return original(record, plan)

    broken_digest = registry._digest((clinics / "east.csv").read_bytes())
    monkeypatch.setattr(registry, "evaluate", broken)
    found = evaluate_many(clinics, tmp_path / "out", PLAN)
    assert [row["label"] for row in found.rows] == ["north", "west"]
    assert "KeyError" in found.failures[0].what
    assert "Anna" not in (tmp_path / "out" / "failures.csv").read_text()


def test_no_message_names_the_folder_a_worker_used(tmp_path: Path) -> None:
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry" / "north.parquet").write_bytes(b"no such thing")
    found = evaluate_many(tmp_path / "registry", tmp_path / "out", PLAN)
    assert found.failures[0].what.startswith("north.parquet cannot be read as Parquet")
    assert found.failures[0].where == "north.parquet"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("a,b\n1,2\n", ["label and path"]),
        (
            "label,path\nx,a.csv\nx,b.csv\n,c.csv\ny,\n",
            ["line 3", "line 4 has no label", "line 5 has no path"],
        ),
        ("label,path,colour\nx,a.csv,red\n", ["'colour'"]),
    ],
)
def test_a_list_that_is_none_is_refused_with_all_faults(tmp_path: Path, text: str, named: list[str]) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(PlanError) as refused:
        find_clinics(tmp_path / "list.csv")
    assert all(part in str(refused.value) for part in named)


def test_what_is_no_registry_is_refused(made: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="no clinics"):
        find_clinics(tmp_path / "empty")
    with pytest.raises(SourceError, match="no file"):
        find_clinics(tmp_path / "nowhere")
    (tmp_path / "empty" / "visits.csv").write_bytes((made / "east.csv").read_bytes())
    with pytest.raises(SourceError, match="one clinic"):
        find_clinics(tmp_path / "empty")
    with pytest.raises(PlanError, match="no column 'clinic'"):
        find_clinics(made / "east.csv", by="clinic")
    one_table(made).assign(clinic="").to_csv(tmp_path / "blank.csv", index=False)
    with pytest.raises(SourceError, match="rows without a clinic"):
        find_clinics(tmp_path / "blank.csv", by="clinic", columns=Columns())


def test_a_folder_of_somebody_else_is_left_alone(clinics: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.docx").write_text("years of work")
    with pytest.raises(OutputError, match="did not write"):
        evaluate_many(clinics, out, PLAN)
    assert tree(out) == {"thesis.docx": b"years of work"}


# --- together ----------------------------------------------------------------------------------------------


def line(label: str, slope: float | None, error: float | None, **changes: Any) -> dict[str, Any]:
    return {"label": label, "scale": "nrs", "dose": "twitches", "rated": "before", "slope_line": slope,
            "slope_line_error": error, **changes}  # fmt: skip


def test_slopes_are_pooled_among_clinics_that_can_be_compared() -> None:
    rows = [line("a", -0.3, 0.1), line("b", -0.1, 0.2), line("c", 0.2, 0.1), line("d", None, None)]
    rows += [line("e", -9.0, 0.1, scale="vas100"), line("f", -8.0, 0.1, dose="sessions")]
    groups = {(g["scale"], g["dose"]): g for g in json.loads(pooled_json(rows))["groups"]}
    assert len(groups) == 3
    nrs, expected = groups["nrs", "twitches"], partial_pool([-0.3, -0.1, 0.2], [0.1, 0.2, 0.1])
    assert nrs["left_out"] == ["d"]
    assert nrs["mean"]["estimate"] == pytest.approx(expected.mean, rel=1e-9)  # ten digits are written
    assert [c["shrunken"] for c in nrs["clinics"]] == pytest.approx(list(expected.shrunken), rel=1e-9)
    assert nrs["between"]["tau"] == pytest.approx(expected.tau, rel=1e-9)
    assert groups["vas100", "twitches"]["mean"] is None
    assert "needs 3" in groups["nrs", "sessions"]["reason"]


def test_the_page_is_that_of_compare(clinics: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "clinics_page", clinics_page)
    out = tmp_path / "out"
    found = evaluate_many(clinics, out, PLAN)
    assert found.page == out / "comparison" / PAGE
    again = clinics_page([out / row["folder"] for row in found.rows], tmp_path / "again")
    assert found.page.read_bytes() == again.read_bytes()
    for label in LABELS[1:]:
        (clinics / f"{label}.csv").unlink()
    alone = evaluate_many(clinics, tmp_path / "one", PLAN)
    assert alone.page is None
    assert alone.no_page


def test_pooled_numbers_are_those_of_the_folders(clinics: Path, tmp_path: Path) -> None:
    found = evaluate_many(clinics, tmp_path / "out", PLAN)
    group = json.loads((tmp_path / "out" / "pooled.json").read_text())["groups"][0]
    for row in found.rows:
        results = pd.read_csv(tmp_path / "out" / row["folder"] / "results.csv").set_index("id")
        slope = results.loc["verdict:slope_line"]
        mine = next(c for c in group["clinics"] if c["label"] == row["label"])
        assert mine["estimate"] == pytest.approx(10 * slope["estimate"], rel=1e-9)
        assert mine["std_error"] == pytest.approx(10 * slope["std_error"], rel=1e-9)
        assert (
            min(mine["estimate"], group["mean"]["estimate"])
            <= mine["shrunken"]
            <= max(mine["estimate"], group["mean"]["estimate"])
        )
