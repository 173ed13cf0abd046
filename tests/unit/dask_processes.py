"""A real scheduler and real workers on loopback, each a process of its own, for the tests of clusters."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import distributed

ROOT = Path(__file__).resolve().parents[2]
SOURCES = str(ROOT / "src")
PATIENCE = 600
"""Looks, ten a second, after which a process that should be there is given up: no test waits for ever."""


class Cluster:
    """A scheduler, and workers that can be killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workers: list[subprocess.Popen[bytes]] = []
        note = folder / "scheduler.json"
        self.scheduler = self._start(
            "dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(note)
        )
        self.address = ""
        for _ in range(PATIENCE):
            if note.exists() and (text := note.read_text()).endswith("}"):
                self.address = json.loads(text)["address"]
                break
            self._wait()
        assert self.address, self.log()

    def add(self, count: int, *, threads: int = 1, sources: str = SOURCES) -> None:
        """Start workers without nannies, so that one that is killed stays away, and wait for them."""
        there = len(self.alive())
        for _ in range(count):
            worker = self._start(
                "dask_worker",
                self.address,
                "--nthreads",
                str(threads),
                "--no-nanny",
                "--death-timeout",
                "60",
                sources=sources,
            )
            self.workers.append(worker)
        self.wait_for(there + count)

    def wait_for(self, count: int) -> None:
        """Wait until so many workers are known to the scheduler."""
        with distributed.Client(self.address, set_as_default=False) as client:
            for _ in range(PATIENCE):
                if len(client.nthreads()) == count:
                    return
                self._wait()
        raise AssertionError(f"{count} workers wanted\n{self.log()}")

    def alive(self) -> list[subprocess.Popen[bytes]]:
        return [worker for worker in self.workers if worker.poll() is None]

    def kill(self, worker: subprocess.Popen[bytes]) -> None:
        """SIGKILL: no word of farewell."""
        worker.send_signal(signal.SIGKILL)
        assert worker.wait(timeout=60) == -signal.SIGKILL

    def close(self) -> None:
        for process in [*self.workers, self.scheduler]:
            if process.poll() is None:
                process.kill()
            process.wait(timeout=60)

    def log(self) -> str:
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))

    def _start(self, program: str, *arguments: str, sources: str = SOURCES) -> subprocess.Popen[bytes]:
        settings = {
            "PYTHONPATH": os.pathsep.join([sources, str(ROOT)]),
            "DASK_DISTRIBUTED__ADMIN__LOW_LEVEL_LOG_LENGTH": "0",
        }
        with (self.folder / f"{program}-{len(self.workers)}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{program}", "--no-dashboard", *arguments],
                cwd=self.folder,
                env=os.environ | settings,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _wait(self) -> None:
        assert self.scheduler.poll() is None, self.log()
        assert all(worker.poll() in (None, -signal.SIGKILL) for worker in self.workers), self.log()
        time.sleep(0.1)
