"""The ``tpr`` command: a few lines over a public function each; the commands stand in ``commands/``.

Answers go to standard output; progress, warnings and refusals to standard error. Exit codes are those of
:mod:`tpr_outcomes.errors` (docs/exit-codes.md). Heavy libraries are imported inside the commands, so that
``tpr --help`` is quick.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.main import get_command

from tpr_outcomes import __version__
from tpr_outcomes.commands import answers, notebooks, published, record, reports, sharing, studies
from tpr_outcomes.commands.screen import refuse
from tpr_outcomes.errors import EXIT_OK, OutputError, TprError

EXIT_UNEXPECTED = 1

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Does a clinic's own record support a cumulative twitch threshold: yes, no, or it cannot tell.",
    epilog=(
        "Exit codes: 0 done, 1 unexpected, 2 usage, 3 file, 4 data, 5 plan, 6 output, 7 data set, 8 fit, "
        "9 notebook, 10 not the same, 11 workers, 12 some clinics failed."
    ),
)

COMMANDS = (
    answers.evaluate,
    answers.evaluate_many,
    record.check,
    record.describe,
    record.derive,
    sharing.template,
    sharing.deidentify,
    answers.claims,
    published.evidence,
    reports.reproduce,
    reports.compare,
    reports.words,
    studies.simulate,
    studies.calibrate,
    studies.power,
    notebooks.run,
)
"""In the order of ``tpr --help``."""
for _command in COMMANDS:
    app.command()(_command)


def _show_version(asked: bool) -> None:
    if asked:
        print(f"tpr-outcomes {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and stop.", callback=_show_version, is_eager=True),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an unexpected error arose.")] = False,
) -> None:
    """Settings of every command."""
    del version, debug  # the one is done with by now; main() looks for the other


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the program's name; those of the process by default.

    Returns
    -------
    int
        0, or the exit code of what went wrong (docs/exit-codes.md).
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        try:
            get_command(app)(args=arguments, prog_name="tpr")
        finally:
            sys.stdout.flush()  # now, where a full disk can still be told
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else EXIT_UNEXPECTED if ended.code else EXIT_OK
    except TprError as error:
        refuse(error)
        return error.exit_code
    except Exception as error:
        if "--debug" in arguments:
            raise
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            print(
                "tpr: there is no room left where the answer or a file in between is written. Make room, or "
                "write elsewhere (files in between go to the folder TMPDIR names).",
                file=sys.stderr,
            )
            with contextlib.suppress(OSError, ValueError):  # or what is left would be tried again at the end
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return OutputError.exit_code
        # Its words may quote the data, so only its kind is shown.
        print(
            f"tpr: something unexpected went wrong ({type(error).__name__}); this should not happen. "
            "To see where, run it again with: tpr --debug … (what that shows may quote your data).",
            file=sys.stderr,
        )
        return EXIT_UNEXPECTED
    return EXIT_OK
