"""Servers the browser tests look at, started the way `make` does and without the user's own settings."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 180_000
"""Milliseconds: a machine that is busy with other tests may take its time."""
DESK, TELEPHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(module: str, *arguments: str, home: Path, answers: str = "") -> Iterator[str]:
    """Address of a server run as `python -m module`, with settings of its own under `home`.

    `{port}` in an argument is the port; `answers` is the path that answers once it is up.
    """
    port = free_port()
    environment = os.environ | {
        "JUPYTER_CONFIG_PATH": str(ROOT / "tools" / "jupyter"),
        "JUPYTER_PATH": str(ROOT / "tools" / "jupyter" / "share"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "share"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
        "PYTHONPATH": str(ROOT / "src"),
    }
    environment.pop("MPLBACKEND", None)
    command = [sys.executable, "-m", module, *(part.format(port=port) for part in arguments)]
    with (home / "server.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            _wait_for(f"http://127.0.0.1:{port}/{answers}", server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(timeout=60)


def _wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(480):
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except urllib.error.HTTPError:
            return  # it answers, if only to say no
        except (urllib.error.URLError, OSError):
            assert server.poll() is None, "the server ended before it began; see server.log"
            time.sleep(0.5)
    pytest.fail("the server did not start")


def serious(page: Any) -> list[str]:
    """Accessibility rules that the page breaks seriously, with the first place of each."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        f"{rule['id']}: {rule['nodes'][0]['html'][:160]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]
