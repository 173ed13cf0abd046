"""Everything that leaves the building: report, verdict, tables, figures and a manifest, in one folder."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd

from tpr_outcomes import __version__
from tpr_outcomes.reporting import crate, plots, publication, report, words_folder, words_report
from tpr_outcomes.reporting.catalogue import speaking
from tpr_outcomes.reporting.claim_details import detail_tables
from tpr_outcomes.reporting.folder import MANIFEST, MANIFEST_SCHEMA, replace_folder, require_writable
from tpr_outcomes.reporting.number_rows import collect
from tpr_outcomes.reporting.numbers import Results
from tpr_outcomes.reporting.page_tables import PageTable, page_tables
from tpr_outcomes.reporting.pdf import find_browser, print_pdf
from tpr_outcomes.reporting.results import DIGITS, Evaluation, Json, tidy_json
from tpr_outcomes.reporting.spelling import Terms, terms
from tpr_outcomes.reporting.standards import standard_tables

DEPENDENCIES = (
    "numpy",
    "pandas",
    "scipy",
    "statsmodels",
    "matplotlib",
    "jinja2",
    "joblib",
    "openpyxl",
    "pooch",
    "pydantic",
    "python-calamine",
    "rich",
    "threadpoolctl",
    "typer",
)
"""Libraries whose versions the manifest names; a test compares them with pyproject."""

OPTIONAL = ("great-tables", "rocrate")
"""Libraries of the extra "report", whose versions the manifest names as well."""

REPORT, PDF, WORDS = "report.html", "report.pdf", "words.toml"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_report(
    evaluation: Evaluation,
    directory: str | Path,
    *,
    pdf: bool = False,
    progress: Callable[[str, float], None] | None = None,
) -> Path:
    """Write report, verdict, tables, figures and manifest into a folder, whole or not at all.

    Parameters
    ----------
    evaluation : Evaluation
        What :func:`tpr_outcomes.analysis.evaluate` returned.
    directory : str or Path
        A folder that is new, empty or an earlier report of ours, which is replaced.
    pdf : bool
        Print the report with the Chromium of this machine as well.
    progress : callable, optional
        Called with what is being done and the share done (0 to 1).

    Returns
    -------
    Path
        ``report.html`` in that folder.

    Raises
    ------
    OutputError
        When the folder is not ours to replace or cannot be written, or there is no browser to print the
        PDF; what was there is left as it was.
    """
    require_writable(directory)
    if pdf:
        find_browser()
    files = contents(evaluation, pdf=pdf, progress=progress)
    return replace_folder(directory, files) / REPORT


def contents(
    evaluation: Evaluation,
    *,
    pdf: bool = False,
    progress: Callable[[str, float], None] | None = None,
) -> dict[str, bytes]:
    """Return every file of the folder by its path inside it; the same bytes for the same evaluation."""
    with speaking(evaluation.translation):
        return _contents(evaluation, pdf=pdf, progress=progress)


def _contents(
    evaluation: Evaluation, *, pdf: bool, progress: Callable[[str, float], None] | None
) -> dict[str, bytes]:
    """Every file, in the words that are spoken."""

    def tell(what: str, share: float) -> None:
        if progress is not None:
            progress(what, share)

    tell(words_folder.WRITING["figures"], 0.0)
    figures = plots.all_figures(evaluation)
    tell(words_folder.WRITING["tables"], 0.7)
    results = collect(evaluation)
    tell(words_folder.WRITING["report"], 0.8)
    files = {REPORT: report.render_html(evaluation, figures, results).encode()}
    files["verdict.json"] = evaluation.to_json().encode()
    files["results.json"] = results.to_json().encode()
    files["results.csv"] = as_csv(results.to_frame()).encode()
    files |= {f"tables/{name}.csv": as_csv(frame).encode() for name, frame in results.frames.items()}
    called = terms(evaluation.evidence.ratings.dose, evaluation.evidence.scale)
    shown = shown_tables(evaluation, called, figures, results)
    files |= {
        f"tables/{name}.csv": as_csv(table.as_frame()).encode()
        for name, table in shown.items()
        if name not in results.frames
    }
    files |= publication.publication_tables(shown)
    for name, figure in figures.items():
        files[f"figures/{name}.svg"] = figure.svg.encode()
        files[f"figures/{name}.png"] = figure.png
    if pdf:
        tell(words_folder.WRITING["pdf"], 0.9)
        files[PDF] = print_pdf(files[REPORT].decode())
    if evaluation.translation is not None:
        files[WORDS] = evaluation.translation.source
    described = crate.crate(evaluation, digests(files), command=command_of(evaluation))
    if described is not None:
        files[crate.CRATE] = described
    files[MANIFEST] = json.dumps(manifest(evaluation, files), indent=2, ensure_ascii=False).encode() + b"\n"
    tell(words_folder.WRITING["done"], 1.0)
    return files


def shown_tables(
    evaluation: Evaluation, called: Terms, figures: Mapping[str, plots.FigureFile], results: Results
) -> dict[str, PageTable]:
    """Every table of the report by its name, worded and rounded as on the page."""
    tables = page_tables(evaluation, called, results.frames)
    present = frozenset({*(f"#figure-{name}" for name in figures), *(f"#table-{name}" for name in tables)})
    return tables | detail_tables(evaluation.claims) | standard_tables(evaluation, called, present)


def manifest(evaluation: Evaluation, files: dict[str, bytes]) -> Json:
    """Return what it takes to make the folder again, and the digest of every file in it.

    No clock, no path, no name of a machine: the same input, plan and versions give the same manifest.
    """
    source, spoken = evaluation.visits.source, evaluation.translation
    return tidy_json(
        {
            "schema": MANIFEST_SCHEMA,
            "package": {"name": "tpr-outcomes", "version": __version__},
            "python": platform.python_version(),
            "dependencies": {name: _version(name) for name in (*DEPENDENCIES, *OPTIONAL)},
            "input": {
                "kind": source.kind,
                "sha256": source.sha256,
                "rows_read": evaluation.shown.number("rows"),
            },
            "plan": dict(evaluation.plan),
            "seed": evaluation.evidence.seed,
            "replicates": evaluation.evidence.replicates,
            "command": command_of(evaluation),
            **({} if spoken is None else {"words": {"file": WORDS, "sha256": spoken.sha256}}),
            "files": {**digests(files)},
        }
    )


def digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """SHA-256 of each file, by path."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}


def left_undone() -> tuple[str, ...]:
    """Say what the folder lacks because the extra "report" is not installed; empty where it is."""
    missing = {"no_great_tables": publication.available(), "no_rocrate": crate.available()}
    return tuple(words_folder.TABLES[key] for key, there in missing.items() if not there)


def command_of(evaluation: Evaluation) -> str:
    """Return the command that makes the folder again; no paths are kept, so words stand for them."""
    seed, replicates = evaluation.evidence.seed, evaluation.evidence.replicates
    command = words_report.PROVENANCE["command"].format(seed=seed, replicates=replicates)
    return command if evaluation.translation is None else f"{command} --words {WORDS}"


def _version(name: str) -> str | None:
    """Version of a library, None where it is not installed as a package."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def as_csv(frame: pd.DataFrame) -> str:
    """Write a table as CSV: ten digits, line feeds, no cell that a spreadsheet would run as a formula."""
    safe = frame.map(_plain)
    return str(safe.to_csv(index=False, lineterminator="\n", float_format=f"%.{DIGITS}g"))


def _plain(cell: object) -> object:
    """Put an apostrophe before text that begins like a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
