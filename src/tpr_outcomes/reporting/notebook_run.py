"""A notebook run from top to bottom with other parameters: page, notebook and manifest, all three or none.

The page holds no script and asks the network for nothing. Code stands folded under what it made. The notebook
as run carries no times, so that the same input, parameters and versions give the same bytes.
"""

from __future__ import annotations

import base64
import difflib
import hashlib
import json
import os
import platform
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup, escape

from tpr_outcomes import __version__, errors
from tpr_outcomes.errors import NotebookError, OutputError, SourceError, TprError
from tpr_outcomes.reporting import words_notebook as say
from tpr_outcomes.reporting.bundle import DEPENDENCIES
from tpr_outcomes.reporting.folder import replace_files, require_free
from tpr_outcomes.reporting.notebook_parameters import Parameter, find_parameters, put_in_place, read_settings

if TYPE_CHECKING:
    from nbformat import NotebookNode

MANIFEST_SCHEMA = "tpr-outcomes/notebook-run/1"
LIBRARIES = ("ipykernel", "nbclient", "nbconvert", "nbformat")
TEMPLATE, STYLES = "notebook_page.html.j2", ("notebook_page.css", "notebook.css")
WIDGET = "application/vnd.jupyter.widget-view+json"


def run_notebook(
    notebook: str | Path,
    out: str | Path,
    settings: Sequence[str] = (),
    *,
    progress: Callable[[str, float], None] | None = None,
) -> tuple[Path, Path, Path]:
    """Run a notebook and write what came of it.

    Parameters
    ----------
    notebook : str or Path
        Its parameters are the plain assignments in cells tagged ``parameters``. It runs in its own folder,
        in a kernel of the interpreter this runs in.
    out : str or Path
        The page, ending in ``.html``; the notebook as run (``.ipynb``) and the manifest (``.manifest.json``)
        are put beside it.
    settings : sequence of str
        ``name=value``, each a parameter of the notebook. A path is looked up from where the command is given.
    progress : callable, optional
        Called with what is being done and the share done (0 to 1).

    Returns
    -------
    tuple of Path
        Page, notebook, manifest.

    Raises
    ------
    SourceError
        When there is no such notebook.
    PlanError
        When a setting is unknown or of another kind; every fault is named at once.
    OutputError
        When a file of those names is there that this did not write.
    NotebookError
        When the notebook stops before its end; a problem of the record is raised as what it is.
    """
    source, target = Path(notebook), Path(out)
    if target.suffix != ".html":
        raise OutputError(say.RUN["out"].format(path=target))
    places = (target, target.with_suffix(".ipynb"), target.with_suffix(".manifest.json"))
    require_free(places, schema=MANIFEST_SCHEMA)
    book, digest = _read(source)
    known = find_parameters(book.cells)
    values, inputs = _from_here(read_settings(settings, known), source.parent)
    _set(book, known, values)
    _execute(book, source.parent, progress)
    page, ran = page_html(book, source.stem).encode(), _plain(book)
    made = {name: hashlib.sha256(content).hexdigest() for name, content in
            ((places[0].name, page), (places[1].name, ran))}  # fmt: skip
    record = {
        "schema": MANIFEST_SCHEMA,
        "package": {"name": "tpr-outcomes", "version": __version__},
        "python": platform.python_version(),
        "dependencies": {name: version(name) for name in (*DEPENDENCIES, *LIBRARIES)},
        "notebook": {"name": source.name, "sha256": digest},
        "parameters": {name: values.get(name, parameter.value) for name, parameter in known.items()},
        "set": sorted(values),
        "input": inputs,
        "files": made,
    }
    manifest = json.dumps(record, indent=2, ensure_ascii=False).encode() + b"\n"
    replace_files(dict(zip(places, (page, ran, manifest), strict=True)))
    return places


# --- reading and running --------------------------------------------------------------------------


def _read(path: Path) -> tuple[NotebookNode, str]:
    """The notebook and the digest of its file."""
    nbformat = _library("nbformat")
    try:
        content = path.read_bytes()
    except OSError as error:
        beside = [item.name for item in path.parent.glob("*.ipynb")] if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.name, beside, n=1)
        hint = say.RUN["is_there"].format(name=near[0]) if near else ""
        raise SourceError(say.RUN["no_file"].format(name=path, near=hint)) from error
    try:
        book = nbformat.reads(content.decode(), as_version=4)
        nbformat.validate(book)
    except (ValueError, AttributeError, nbformat.ValidationError) as error:
        raise SourceError(say.RUN["not_notebook"].format(name=path)) from error
    return book, hashlib.sha256(content).hexdigest()


def _library(name: str) -> Any:
    """A library of the extra "notebooks"; its absence is said in words."""
    try:
        if name == "nbformat":
            import nbformat

            return nbformat
        import nbclient
    except ImportError as error:
        raise NotebookError(say.RUN["no_library"].format(library=name)) from error
    return nbclient


def _from_here(values: dict[str, Any], folder: Path) -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
    """Values with paths as seen from the notebook's folder, and the files among them by parameter."""
    inputs = {}
    for name, value in values.items():
        if isinstance(value, str) and value and Path(value).is_file():
            digest = hashlib.sha256(Path(value).read_bytes()).hexdigest()
            inputs[name] = {"name": Path(value).name, "sha256": digest}
            if not Path(value).is_absolute():
                values[name] = Path(os.path.relpath(value, folder)).as_posix()
    return values, inputs


def _set(book: NotebookNode, known: Mapping[str, Parameter], values: Mapping[str, Any]) -> None:
    """Put the values into the cells; outputs of an earlier run go."""
    for number, cell in enumerate(book.cells):
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            mine = [parameter for parameter in known.values() if parameter.cell == number]
            cell.source = put_in_place(cell.source, mine, values)


def _execute(book: NotebookNode, folder: Path, progress: Callable[[str, float], None] | None) -> None:
    """Run all cells in a kernel of this interpreter; what stops it is raised in our words."""
    nbclient = _library("nbclient")
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager

    of = sum(cell.cell_type == "code" for cell in book.cells)
    done = [0]

    def started(**_: object) -> None:
        done[0] += 1
        if progress is not None:
            progress(say.RUN["running"].format(number=done[0], of=of), (done[0] - 1) / of)

    # Without folders to look in, the only kernel found is that of the running interpreter.
    kernels = KernelSpecManager(kernel_dirs=[], ensure_native_kernel=True)
    client = nbclient.NotebookClient(
        book, km=AsyncKernelManager(kernel_name="python3", kernel_spec_manager=kernels), timeout=None,
        record_timing=False, on_cell_execute=started, extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(folder)}},
    )  # fmt: skip
    client.owns_km = True  # ends the kernel with the run
    try:
        client.execute()
    except nbclient.exceptions.CellExecutionError as error:
        raise _in_our_words(error, done[0]) from None
    except nbclient.exceptions.DeadKernelError as error:
        raise NotebookError(say.RUN["died"]) from error


def _in_our_words(error: Any, cell: int) -> TprError:
    """The package's own refusal as it was raised; for anything else, where and of what kind."""
    kind = getattr(errors, str(error.ename), None)
    if isinstance(kind, type) and issubclass(kind, TprError):
        return kind(str(error.evalue))
    # What another error says may quote the data, so only its kind is passed on.
    return NotebookError(say.RUN["failed"].format(number=cell, kind=error.ename))


def _plain(book: NotebookNode) -> bytes:
    """The notebook as a file; widgets, which need a running kernel, leave nothing behind."""
    book.metadata.pop("widgets", None)
    return f"{_library('nbformat').writes(book)}\n".encode()


# --- the page -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """One cell as the page shows it.

    Attributes
    ----------
    kind : {"words", "code"}
    code : str
        Its code, empty for words.
    folded : bool
        Whether the code is folded.
    shown : Markup
        What it says or made.
    """

    kind: str
    code: str
    folded: bool
    shown: Markup


def page_html(book: NotebookNode, name: str) -> str:
    """Make one self-contained page of a notebook that was run."""
    texts = {part: _source(part) for part in (TEMPLATE, *STYLES)}
    environment = Environment(
        loader=DictLoader(texts), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    parts = [_part(cell) for cell in book.cells]
    return environment.get_template(TEMPLATE).render(
        title=_title(book, name),
        css=Markup("".join(texts[style] for style in STYLES)),
        parts=parts,
        code=say.RUN["code"],
        made=say.RUN["made"].format(version=__version__, name=name),
    )


def _source(name: str) -> str:
    return files("tpr_outcomes.reporting").joinpath("templates", name).read_text(encoding="utf-8")


def _title(book: NotebookNode, name: str) -> str:
    """First heading of the notebook, else its name."""
    lines = (line for cell in book.cells if cell.cell_type == "markdown" for line in cell.source.splitlines())
    return next((line[2:].strip() for line in lines if line.startswith("# ")), name)


def _part(cell: NotebookNode) -> Part:
    if cell.cell_type == "markdown":
        from nbconvert.filters.markdown_mistune import markdown2html_mistune

        # The other notebooks do not travel with the page.
        words = re.sub(r"\[([^\]]+)\]\([^)\s]+\.ipynb\)", r"\1", cell.source)
        return Part("words", "", False, Markup(markdown2html_mistune(words)))
    if cell.cell_type != "code":
        return Part("words", "", False, Markup("<pre>{}</pre>").format(cell.source))
    folded = bool(cell.metadata.get("jupyter", {}).get("source_hidden"))
    return Part("code", cell.source, folded, Markup("").join(_outputs(cell)))


def _outputs(cell: NotebookNode) -> Iterator[Markup]:
    """What a cell made: HTML as it is, pictures inlined, everything else as text."""
    for output in cell.outputs:
        if output.output_type == "stream":
            yield Markup("<pre>{}</pre>").format(output.text)
            continue
        data = output.get("data", {})
        text = str(data.get("text/plain", ""))
        if WIDGET in data:
            continue
        if "text/html" in data:
            yield Markup(data["text/html"])
        elif "image/svg+xml" in data:
            yield _image("svg+xml", base64.b64encode(data["image/svg+xml"].encode()).decode(), text)
        elif "image/png" in data:
            yield _image("png", data["image/png"].replace("\n", ""), text)
        elif text:
            yield Markup("<pre>{}</pre>").format(text)


def _image(kind: str, content: str, alt: str) -> Markup:
    return Markup('<img src="data:image/{};base64,{}" alt="{}">').format(kind, content, escape(alt))
