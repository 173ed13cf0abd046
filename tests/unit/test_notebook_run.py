"""`tpr run`: parameters refused in words, page, notebook and manifest together or not at all."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tpr_outcomes import errors
from tpr_outcomes.cli import main
from tpr_outcomes.errors import OutputError, PlanError
from tpr_outcomes.reporting import folder, notebook_run
from tpr_outcomes.reporting.notebook_parameters import find_parameters, put_in_place, read_settings

PARAMETERS = """data = "é.csv"  # a file
settings = {}
clinics = 40; share = 0.5
fetch = False
patients = (60, 150)
made = len(data)  # no parameter: not a plain value"""


def cells(source: str = PARAMETERS, *code: str) -> list[Any]:
    tagged = nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]}, id="parameters")
    others = [nbformat.v4.new_code_cell(text, id=f"code-{i}") for i, text in enumerate(code)]
    return [
        nbformat.v4.new_markdown_cell("# Title & more\n\n[next](01_next.ipynb)", id="title"),
        tagged,
        *others,
    ]


def notebook(path: Path, *code: str, source: str = PARAMETERS) -> Path:
    nbformat.write(nbformat.v4.new_notebook(cells=cells(source, *code)), path)
    return path


# --- parameters -------------------------------------------------------------------------------------------


def test_parameters_are_found_without_running_anything() -> None:
    found = find_parameters(cells())
    assert {name: made.value for name, made in found.items()} == {
        "data": "é.csv", "settings": {}, "clinics": 40, "share": 0.5, "fetch": False, "patients": (60, 150),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("data=my file=1.csv", "my file=1.csv"),
        ("clinics = 5", 5),
        ("share=1", 1.0),
        ("fetch=TRUE", True),
        ("fetch=no", False),
        ("patients=30", (30,)),
        ("patients=(30, 60,)", (30, 60)),
        ("settings={'scale': 'vas'}", {"scale": "vas"}),
    ],
)
def test_a_setting_is_read_as_the_kind_the_notebook_has(text: str, value: object) -> None:
    read = read_settings([text], find_parameters(cells()))
    assert list(read.values()) == [value]
    assert type(next(iter(read.values()))) is type(value)


def test_every_fault_is_named_at_once() -> None:
    given = ["clinic=5", "zebra=1", "clinics=many", "fetch=maybe", "patients=few", "settings=7", "nothing"]
    given += ["share=half", "clinics=5", "clinics=6", "patients=()"]
    with pytest.raises(PlanError) as refused:
        read_settings(given, find_parameters(cells()))
    assert str(refused.value).splitlines() == [
        "The notebook was not run.",
        "- 'clinic' is not a parameter of this notebook. Did you mean 'clinics'?",
        (
            "- 'zebra' is not a parameter of this notebook. "
            "It has: data, settings, clinics, share, fetch, patients."
        ),
        "- clinics is 'many'; wanted is a whole number.",
        "- fetch is 'maybe'; wanted is true or false.",
        "- patients is 'few'; wanted is several of these with commas between: a whole number.",
        "- settings is '7'; wanted is settings in braces, for example '{\"scale\": \"vas\"}'.",
        "- “nothing” is no setting; write name=value, for example data=my.csv.",
        "- share is 'half'; wanted is a number.",
        "- clinics is given twice; once is enough.",
        "- patients is '()'; wanted is several of these with commas between: a whole number.",
    ]


def test_values_are_put_in_place_and_all_else_stays() -> None:
    found = find_parameters(cells())
    made = put_in_place(PARAMETERS, found.values(), {"data": "b'ü.csv", "share": 0.25, "patients": (1,)})
    assert made == (
        PARAMETERS.replace('"é.csv"', '"b\'ü.csv"').replace("0.5", "0.25").replace("(60, 150)", "(1,)")
    )


# --- a run ------------------------------------------------------------------------------------------------


@pytest.mark.notebook
def test_page_notebook_and_manifest_come_together_and_the_same_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "books").mkdir()
    (tmp_path / "mine.csv").write_text("x\n1\n", encoding="utf-8")
    shown = (
        "from IPython.display import HTML, display\n"
        "display(HTML(f'<p>{clinics} clinics, {open(data).read().split()[1]}</p>'))\n"
        "print('said <b>')\n{'text': '<i>'}"
    )
    path = notebook(tmp_path / "books" / "story.ipynb", shown)
    monkeypatch.chdir(tmp_path)
    settings = ["--set", "data=mine.csv", "--set", "clinics=3"]
    assert main(["run", str(path), *settings, "--out", "out/page.html"]) == 0
    printed = capsys.readouterr()
    names = ["page.html", "page.ipynb", "page.manifest.json"]
    assert printed.out.split() == [f"out/{name}" for name in names]
    assert printed.err == ""
    made = {name: (tmp_path / "out" / name).read_bytes() for name in names}
    assert sorted(item.name for item in (tmp_path / "out").iterdir()) == names
    page = made["page.html"].decode()
    assert "<title>Title &amp; more</title>" in page
    assert "<p>3 clinics, 1</p>" in page
    assert "said &lt;b&gt;" in page
    assert "&lt;i&gt;" in page
    assert "01_next.ipynb" not in page, "the other notebooks do not travel with the page"
    assert "http" not in page.replace("http-equiv", ""), "the page asks the network for nothing"
    assert "<script" not in page
    ran = nbformat.reads(made["page.ipynb"].decode(), as_version=4)
    assert ran.cells[1].source.startswith("data = '../mine.csv'  # a file")
    manifest = json.loads(made["page.manifest.json"])
    assert manifest["input"] == {
        "data": {"name": "mine.csv", "sha256": hashlib.sha256(b"x\n1\n").hexdigest()}
    }
    assert manifest["parameters"]["clinics"] == 3
    assert manifest["set"] == ["clinics", "data"]
    assert manifest["files"] == {name: hashlib.sha256(made[name]).hexdigest() for name in names[:2]}
    assert main(["run", str(path), *settings, "--out", "out/page.html"]) == 0
    assert {name: (tmp_path / "out" / name).read_bytes() for name in names} == made
    (tmp_path / "out" / "page.html").write_text("edited", encoding="utf-8")
    assert main(["run", str(path), *settings, "--out", "out/page.html"]) == OutputError.exit_code
    assert "has been changed since it was written" in capsys.readouterr().err
    assert (tmp_path / "out" / "page.html").read_text(encoding="utf-8") == "edited"


@pytest.mark.notebook
@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("raise ValueError('Mrs Smith')", 9, "Cell 2 of the notebook stopped with ValueError"),
        (
            "from tpr_outcomes import notebook\nnotebook.open_record('nowhere.csv')",
            3,
            "There is no file nowhere.csv; check the path.",
        ),
    ],
)
def test_nothing_is_written_when_the_notebook_stops(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], code: str, status: int, said: str
) -> None:
    path = notebook(tmp_path / "story.ipynb", code, "1 / 0")
    assert main(["run", str(path), "--out", str(tmp_path / "page.html")]) == status
    told = capsys.readouterr().err
    assert said in told
    assert "Smith" not in told
    assert [item.name for item in tmp_path.iterdir()] == ["story.ipynb"]


@pytest.mark.parametrize(
    ("argv", "kind", "said"),
    [
        (["stori.ipynb", "--out", "p.html"], errors.SourceError, "(there is story.ipynb); check the path"),
        (["note.txt", "--out", "p.html"], errors.SourceError, "note.txt is not a notebook"),
        (["story.ipynb", "--out", "p.pdf"], errors.OutputError, "does not end in .html"),
        (["story.ipynb", "--out", "taken.html"], errors.OutputError, "was not written by this command"),
        (["story.ipynb", "--out", "note.txt/p.html"], errors.OutputError, "no folder can be made in it"),
        (
            ["story.ipynb", "--set", "zebra=1", "--out", "p.html"],
            errors.PlanError,
            "'zebra' is not a parameter",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    argv: list[str], kind: type[errors.TprError], said: str,
) -> None:  # fmt: skip
    notebook(tmp_path / "story.ipynb")
    for name in ("note.txt", "taken.html"):
        (tmp_path / name).write_text("mine", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(notebook_run, "_execute", lambda *_: pytest.fail("it was run"))
    assert main(["run", *argv]) == kind.exit_code
    assert said in capsys.readouterr().err
    assert sorted(item.name for item in tmp_path.iterdir()) == ["note.txt", "story.ipynb", "taken.html"]


def test_files_are_all_replaced_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / name for name in ("a", "b", "c")]
    folder.replace_files(dict.fromkeys(paths, b"old"))
    usual = Path.rename

    def fails_at_b(self: Path, target: Path) -> Path:
        if Path(target).name == "b" and ".part-" in self.name:
            raise OSError(28, "No space left on device")
        return usual(self, target)

    monkeypatch.setattr(Path, "rename", fails_at_b)
    with pytest.raises(OutputError, match="Free some space"):
        folder.replace_files(dict.fromkeys(paths, b"new"))
    monkeypatch.undo()
    assert [path.read_bytes() for path in paths] == [b"old"] * 3
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a", "b", "c"]
    folder.replace_files(dict.fromkeys(paths, b"new"))
    assert [path.read_bytes() for path in paths] == [b"new"] * 3
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a", "b", "c"]
