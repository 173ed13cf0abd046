"""The report as PDF, printed in the page's own print style by the Chromium that is on the machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tpr_outcomes.errors import OutputError
from tpr_outcomes.reporting import words_folder as say

PLACE = "TPR_CHROMIUM"
"""Environment variable that says where the browser is."""
NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
"""What it is called, in the order in which it is looked for."""
SECONDS = 120
OPTIONS = (
    "--headless",
    "--disable-gpu",
    "--no-pdf-header-footer",
    "--generate-pdf-document-outline",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
_NODE = re.compile(rb"node\d{8}")
_DATE = re.compile(rb"/(CreationDate|ModDate) ?\(D:[^)]*\)")


def find_browser() -> str:
    """Return the path of a Chromium or Chrome.

    Raises
    ------
    OutputError
        When there is none.
    """
    given = os.environ.get(PLACE, "")
    found = next(filter(None, map(shutil.which, (given,) if given else NAMES)), None)
    if found is None:
        raise OutputError(say.PDF["no_browser"])
    return found


def print_pdf(page: str) -> bytes:
    """Print a page that stands alone.

    Parameters
    ----------
    page : str
        HTML.

    Returns
    -------
    bytes
        A tagged PDF on A4 with bookmarks. Its dates are blanked and its nodes renumbered, so that the same
        page and browser give the same bytes.

    Raises
    ------
    OutputError
        When there is no browser, or it does not print.
    """
    browser = find_browser()
    with tempfile.TemporaryDirectory(prefix="tpr-pdf-") as folder:
        source, target = Path(folder) / "report.html", Path(folder) / "report.pdf"
        source.write_text(page, encoding="utf-8")
        command = [browser, *OPTIONS, f"--user-data-dir={folder}/profile", f"--print-to-pdf={target}"]
        if hasattr(os, "geteuid") and os.geteuid() == 0:  # Chromium's sandbox refuses to run as root
            command.append("--no-sandbox")
        try:
            ended = subprocess.run(
                [*command, source.as_uri()], capture_output=True, check=False, timeout=SECONDS
            )
        except subprocess.TimeoutExpired as error:
            raise _failure(browser, say.PDF["too_slow"].format(seconds=SECONDS)) from error
        except OSError as error:
            raise _failure(browser, error.strerror or type(error).__name__) from error
        if not target.exists():
            raise _failure(browser, say.PDF["nothing"].format(status=ended.returncode))
        return _renumbered(_DATE.sub(_undated, target.read_bytes()))


def _undated(found: re.Match[bytes]) -> bytes:
    """Blank a date, keeping its length: the places in the file's table of contents stay true."""
    return re.sub(rb"\d", b"0", found.group(0))


def _renumbered(printed: bytes) -> bytes:
    """Number the nodes of the structure from 1 in their own order: Chromium's start differs by chance."""
    order = {node: i for i, node in enumerate(sorted(set(_NODE.findall(printed))), start=1)}
    return _NODE.sub(lambda found: b"node%08d" % order[found.group(0)], printed)


def _failure(browser: str, reason: str) -> OutputError:
    return OutputError(say.PDF["failed"].format(browser=Path(browser).name, reason=reason))
