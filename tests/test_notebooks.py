"""Every notebook runs: on the example, on a clinic of another format, and with a wrong path in plain words.

On the example each notebook has a kernel of its own, as a reader would have. The other runs share one kernel,
emptied between notebooks, because loading the libraries is most of the time a run takes.
"""

from __future__ import annotations

import ast
import html
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from tests.unit.clinic_formats import FORMATS, clinic

import tpr_outcomes as tpr
from tpr_outcomes.datasets import DATA_VARIABLE, vickers_file
from tpr_outcomes.errors import DatasetError

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("[0-9]*.ipynb"))
STORED = [*NAMES, "explorer"]
WITH_DATA = [name for name in NAMES if name[:2] in ("00", "01", "02", "03", "04", "06")]
QUICK = 'settings = {"replicates": 199}'
"""Fewer random signs than a reader gets; the verdict on the examples does not hang on them."""
SHORT = {
    "00_start_here": QUICK,
    "01_read_and_check": QUICK,
    "02_describe": QUICK,
    "03_rival_explanations": f"{QUICK}\nclinics = 2",
    "04_threshold_verdict": f"{QUICK}\nclinics = 2",
    "05_what_could_fool_us": "clinics = 1",
    "06_the_clinics_claims": QUICK,
    "07_plan_a_study": "clinics = 1\npatients = (60, 90)",
    "08_a_real_trial": "",
}
"""What a test puts after the parameters, so that it need not wait."""


def read(name: str) -> Any:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def code(name: str) -> list[Any]:
    return [cell for cell in read(name).cells if cell.cell_type == "code"]


def prose(name: str) -> str:
    return "\n\n".join(cell.source for cell in read(name).cells if cell.cell_type == "markdown")


# --- as they are stored ------------------------------------------------------------------------------------


def test_every_story_is_tested() -> None:
    assert list(SHORT) == NAMES
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == sorted(STORED)


@pytest.mark.parametrize("name", STORED)
def test_a_notebook_is_stored_without_outputs(name: str) -> None:
    """Outputs of somebody's own record must not get into the repository (docs/decisions/0020)."""
    for cell in code(name):
        assert cell.outputs == []
        assert cell.execution_count is None
    nbformat.validate(read(name))


@pytest.mark.parametrize("name", STORED)
def test_a_notebook_holds_no_logic_of_its_own(name: str) -> None:
    for cell in code(name):
        for node in ast.walk(ast.parse(cell.source)):
            assert not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda)


@pytest.mark.parametrize("name", STORED)
def test_code_is_folded_and_what_may_be_changed_is_not(name: str) -> None:
    open_cells = [cell for cell in code(name) if not cell.metadata.get("jupyter", {}).get("source_hidden")]
    assert all(cell.metadata.get("tags") == ["parameters"] for cell in open_cells)
    assert open_cells[0] is not None
    for cell in open_cells:
        assert all(isinstance(node, ast.Assign) for node in ast.parse(cell.source).body)
        assert all("#" in line for line in cell.source.splitlines() if not line.startswith("seed"))


@pytest.mark.parametrize("name", STORED)
def test_links_lead_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", prose(name)):
        assert (FOLDER / target).exists(), target


# --- run ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", autouse=True)
def kernel_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A kernel that finds the package and none of the user's own settings."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("jupyter")
        inside = {"IPYTHONDIR": "ipython", "JUPYTER_CONFIG_DIR": "config", "JUPYTER_RUNTIME_DIR": "runtime"}
        for variable, folder in inside.items():
            patch.setenv(variable, str(home / folder))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
        patch.delenv("MPLBACKEND", raising=False)
        beside = ROOT.parent / "shared" / "data"
        if DATA_VARIABLE not in os.environ and beside.is_dir():
            patch.setenv(DATA_VARIABLE, str(beside))
        yield


def with_parameters(name: str, parameters: str) -> Any:
    """The notebook with a further cell after its first parameters."""
    notebook = read(name)
    place = next(i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", []))
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(parameters))
    return notebook


def run(notebook: Any, kernel: Any = None) -> None:
    """Run all cells, in a kernel of their own or in one that stays."""
    folder = {"metadata": {"path": str(FOLDER)}}
    client = NotebookClient(notebook, km=kernel, timeout=600, kernel_name="python3", resources=folder)
    try:
        client.execute()
    finally:
        if kernel is not None and client.kc is not None:
            client.kc.stop_channels()


def texts(notebook: Any) -> str:
    """Everything shown, as text."""
    shown = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            shown += [output.get("data", {}).get(kind, "") for kind in ("text/html", "text/plain")]
    return html.unescape("\n".join(shown))


def is_clean(notebook: Any) -> None:
    """No error, no warning, nothing on standard error or standard output."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert output.output_type in ("execute_result", "display_data"), output


@pytest.mark.notebook
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_on_the_example(name: str) -> None:
    if name.startswith("08"):
        try:
            vickers_file(fetch=False)
        except DatasetError:
            pytest.skip(f"the headache trial is not at hand (set {DATA_VARIABLE} to a folder that has it)")
    notebook = with_parameters(name, SHORT[name])
    run(notebook)
    is_clean(notebook)
    shown = texts(notebook)
    if name[:2] in ("00", "03", "04"):
        example = tpr.evaluate(tpr.load_example("threshold"), replicates=199)
        assert example.sentence in shown
    assert "Traceback" not in shown


@pytest.mark.notebook
@pytest.mark.xdist_group("shared kernel")
@pytest.mark.parametrize("data", ["example:threshold", "../data/exmaple_threshold.csv"])
def test_the_explorer_opens_and_says_what_is_wrong_in_its_own_place(data: str, shared_kernel: Any) -> None:
    notebook = with_parameters("explorer", f"data = {data!r}\n{QUICK}")
    notebook.cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))
    run(notebook, shared_kernel)
    is_clean(notebook)


@pytest.fixture(scope="module")
def shared_kernel(kernel_environment: None) -> Iterator[Any]:
    """One kernel for many notebooks."""
    from jupyter_client.manager import KernelManager

    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(FOLDER))
    yield manager
    manager.shutdown_kernel(now=True)


FORMS = {"wide_excel_merged": ("00", "03"), "redcap_raw": ("01", "06"), "workbook": ("02", "04")}
"""The second clinic as its own program writes it, and the notebooks that open it so."""


def workbook(folder: Path) -> Path:
    """A clinic's workbook: other names, dates instead of visit numbers, no reasons for stopping."""
    record = pd.read_csv(ROOT / "data" / "example_nothing.csv").query("patient <= 'P090'")
    day = pd.to_timedelta(7 * (record["visit"] - 1) + record["age"] % 28, unit="D")
    visits = pd.DataFrame(
        {
            "Chart": record["patient"],
            "Day of visit": pd.Timestamp("2024-01-08") + day,
            "NRS before": record["pain"],
            "LTR": record["twitches"],
            "Needles": record["twitches"] // 2 + 3,
        }
    )
    path = folder / "our clinic.xlsx"
    with pd.ExcelWriter(path, engine="openpyxl") as book:
        pd.DataFrame({"Notes": ["kept by the front desk"]}).to_excel(book, sheet_name="About", index=False)
        visits.to_excel(book, sheet_name="Visits 2024", index=False)
    return path


WORKBOOK = """settings = {
    "replicates": 199,
    "sheet": "Visits 2024",
    "columns": {
        "patient": "Chart",
        "date": "Day of visit",
        "pain": "NRS before",
        "twitches": "LTR",
        "insertions": "Needles",
    },
}"""


@pytest.mark.notebook
@pytest.mark.xdist_group("shared kernel")
@pytest.mark.parametrize("name", WITH_DATA)
def test_a_notebook_runs_on_a_clinic_of_another_format(name: str, shared_kernel: Any, tmp_path: Path) -> None:
    """Visits side by side under merged heads, an export of REDCap, a workbook with names of its own."""
    (form,) = [form for form, names in FORMS.items() if name[:2] in names]
    own = form == "workbook"
    path = workbook(tmp_path) if own else FORMATS[form](clinic(90), tmp_path)[0]
    few = SHORT[name].partition("\n")[2]
    notebook = with_parameters(name, f"data = {str(path)!r}\n{WORKBOOK if own else QUICK}\n{few}")
    notebook.cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))
    run(notebook, shared_kernel)
    is_clean(notebook)
    shown = texts(notebook)
    if name[:2] in ("00", "03", "04"):
        plan = {"replicates": 199} | ({"columns": COLUMNS} if own else {})
        visits = tpr.read_visits(path, columns=COLUMNS, sheet="Visits 2024") if own else tpr.read_visits(path)
        assert tpr.evaluate(visits, plan).sentence in shown
    if name.startswith("02"):
        assert "Needle insertions in all (count)" in shown


COLUMNS = ast.literal_eval(WORKBOOK.partition("=")[2].strip())["columns"]


@pytest.mark.notebook
@pytest.mark.xdist_group("shared kernel")
@pytest.mark.parametrize("name", WITH_DATA)
def test_a_wrong_path_is_said_in_plain_words(name: str, shared_kernel: Any) -> None:
    notebook = with_parameters(name, 'data = "../data/exmaple_threshold.csv"')
    notebook.cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))
    with pytest.raises(CellExecutionError):
        run(notebook, shared_kernel)
    is_clean(notebook)
    assert "There is no file" in texts(notebook)
    assert "Traceback" not in texts(notebook)
    shown = [cell for cell in notebook.cells if cell.get("outputs")]
    assert len(shown) == 1, "the cells below must not run on data that are not there"


@pytest.mark.notebook
@pytest.mark.xdist_group("shared kernel")
@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ("data = 7", "data is of type int; wanted is the path of a file between quotes"),
        ("settings = {'scael': 'vas'}", "'scael' is not a setting. Did you mean 'scale'?"),
        ("settings = 'vas'", "settings is of type str; wanted is something like"),
        ("data = __import__('pandas').DataFrame()", "data is of type DataFrame"),
        ("data = bad", "pain is 15"),
    ],
)
def test_other_mistakes_are_said_in_plain_words(
    parameters: str, said: str, shared_kernel: Any, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("patient,visit,pain,twitches\nA,1,7,3\nA,2,15,3\n", encoding="utf-8")
    notebook = with_parameters("00_start_here", f"bad = {str(bad)!r}\n{parameters}")
    notebook.cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))
    with pytest.raises(CellExecutionError):
        run(notebook, shared_kernel)
    is_clean(notebook)
    assert said in texts(notebook)


def test_a_report_is_written_where_it_is_asked_for(
    kernel_environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tpr_outcomes import notebook

    result = tpr.evaluate(tpr.load_example("threshold"), replicates=199)
    assert "Nothing was written" in repr(notebook.save(result, ""))
    assert "report.html" in repr(notebook.save(result, tmp_path / "mine"))
    assert (tmp_path / "mine" / "report.html").is_file()


def test_the_interpreter_of_the_tests_is_that_of_the_kernel() -> None:
    """Otherwise the runs above would say nothing about this environment."""
    from jupyter_client.kernelspec import KernelSpecManager

    assert KernelSpecManager().get_kernel_spec("python3").argv[0] in ("python", sys.executable)
