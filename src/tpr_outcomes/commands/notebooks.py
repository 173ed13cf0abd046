"""Commands about notebooks: run one with other parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tpr_outcomes.commands.screen import progress_bar


def run(
    notebook: Annotated[Path, typer.Argument(help="A notebook, for example notebooks/00_start_here.ipynb.")],
    out: Annotated[
        Path,
        typer.Option("--out", help="Page to write; the notebook as run and a manifest are put beside it."),
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A parameter of the notebook: name=value. May be given several times."),
    ] = None,
) -> None:
    """Run a notebook with other parameters and write page, notebook and manifest together."""
    from tpr_outcomes.reporting.notebook_run import run_notebook

    with progress_bar() as tell:
        made = run_notebook(notebook, out, settings or (), progress=tell)
    print("\n".join(str(path) for path in made))
