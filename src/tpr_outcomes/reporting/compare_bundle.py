"""Everything a comparison leaves: page, numbers, tables, figures and a manifest, in one folder."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from tpr_outcomes import __version__
from tpr_outcomes.errors import OutputError
from tpr_outcomes.reporting import words_compare as say
from tpr_outcomes.reporting.bundle import DEPENDENCIES, WORDS, as_csv, digests
from tpr_outcomes.reporting.catalogue import Translation, speaking
from tpr_outcomes.reporting.compare import Comparison, collect, compare
from tpr_outcomes.reporting.compare_folders import read_clinics
from tpr_outcomes.reporting.compare_page import compare_page
from tpr_outcomes.reporting.folder import MANIFEST, MANIFEST_SCHEMA, replace_folder, require_writable
from tpr_outcomes.reporting.plots_compare import figures
from tpr_outcomes.reporting.results import Json, tidy_json

PAGE, NUMBERS, NUMBERS_CSV = "compare.html", "compare.json", "compare.csv"
COMPARE_SCHEMA = MANIFEST_SCHEMA.rpartition("/")[0] + "/compare-1"
"""Schema of the manifest of a comparison."""


def clinics_page(
    folders: Sequence[str | Path], out: str | Path, *, words: Translation | str | Path | None = None
) -> Path:
    """Set evaluated records side by side and write the page, whole or not at all.

    Parameters
    ----------
    folders : sequence of str or Path
        Each written by ``tpr evaluate``, in the order in which they are to stand. Two give differences, three
        or more partial pooling and funnels.
    out : str or Path
        A folder that is new, empty, or an earlier comparison, which is replaced.
    words : Translation, str or Path, optional
        A translation of the catalogue (``tpr words``), or the file of one.

    Returns
    -------
    Path
        ``compare.html`` in that folder.

    Raises
    ------
    SourceError
        With every reason why the folders cannot be set side by side.
    OutputError
        When ``out`` is not ours to replace, or is or lies in one of the folders.
    """
    _require_own(Path(out), [Path(folder) for folder in folders])
    require_writable(out)
    translation = Translation.read(words) if isinstance(words, str | Path) else words
    with speaking(translation):
        files = contents(compare(read_clinics(folders)), translation)
    return replace_folder(out, files) / PAGE


def contents(found: Comparison, translation: Translation | None = None) -> dict[str, bytes]:
    """Return every file of the folder by its path inside it; the same bytes for the same comparison."""
    results, drawn = collect(found), figures(found)
    files = {PAGE: compare_page(found, drawn, results).html.encode()}
    files[NUMBERS] = results.to_json().encode()
    files[NUMBERS_CSV] = as_csv(results.to_frame()).encode()
    files |= {f"tables/{name}.csv": as_csv(frame).encode() for name, frame in results.frames.items()}
    for name, figure in drawn.items():
        files[f"figures/{name}.svg"] = figure.svg.encode()
        files[f"figures/{name}.png"] = figure.png
    if translation is not None:
        files[WORDS] = translation.source
    files[MANIFEST] = (
        json.dumps(_manifest(found, files, translation), indent=2, ensure_ascii=False).encode() + b"\n"
    )
    return files


def _manifest(found: Comparison, files: dict[str, bytes], translation: Translation | None) -> Json:
    inputs: list[Json] = [
        {
            "label": c.label,
            "record_sha256": c.record_sha256,
            "results_sha256": c.results_sha256,
            "seed": c.seed,
        }
        for c in found.clinics
    ]
    return tidy_json(
        {
            "schema": COMPARE_SCHEMA,
            "package": {"name": "tpr-outcomes", "version": __version__},
            "python": platform.python_version(),
            "dependencies": {name: version(name) for name in DEPENDENCIES},
            "inputs": inputs,
            "command": "tpr compare DIR … --out DIR" + ("" if translation is None else f" --words {WORDS}"),
            **({} if translation is None else {"words": {"file": WORDS, "sha256": translation.sha256}}),
            "files": {**digests(files)},
        }
    )


def _require_own(out: Path, folders: Sequence[Path]) -> None:
    """The comparison takes no evaluation's place."""
    target = out.resolve()
    for folder in folders:
        place = folder.resolve()
        if target == place or place in target.parents or target in place.parents:
            raise OutputError(say.PROBLEMS["inside"].format(out=out))
    if not (out / MANIFEST).is_file():
        return
    try:
        ours = json.loads((out / MANIFEST).read_text(encoding="utf-8"))["schema"] == COMPARE_SCHEMA
    except (OSError, ValueError, KeyError, TypeError):
        ours = False
    if not ours:
        raise OutputError(say.PROBLEMS["not_ours"].format(out=out))
