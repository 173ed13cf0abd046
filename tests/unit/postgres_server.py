"""A real PostgreSQL server for tests: its own folder, its own port on loopback, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PASSWORD = "a secret, with signs: %/@"
USER = "reader"


@dataclass(frozen=True)
class Server:
    port: int
    user: str = USER
    password: str = PASSWORD


def programs() -> Path | None:
    """Folder of Debian's newest PostgreSQL programs; None where there are none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    if found:
        return found[-1].parent
    plain = shutil.which("initdb")
    return Path(plain).resolve().parent if plain else None


def _somebody() -> dict[str, object]:
    """The server refuses to run as root: then it runs as the user Debian made for it, or as nobody."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    who = names.get("postgres") or names["nobody"]
    return {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(bin_folder: Path) -> Iterator[Server]:
    """Start a server that asks for a password, and stop it at the end."""
    who = _somebody()
    with tempfile.TemporaryDirectory(prefix="tpr-postgres-") as name:
        folder = Path(name)
        secret = folder / "password"
        secret.write_text(PASSWORD + "\n", encoding="utf-8")
        if who:
            for path in (folder, secret):
                os.chown(path, int(str(who["user"])), int(str(who["group"])))
        run = {"cwd": name, "env": {"PATH": str(bin_folder), "LC_ALL": "C", "TZ": "UTC"}, **who}
        data, port = folder / "data", _free_port()

        def call(program: str, *arguments: str) -> None:
            done = subprocess.run(  # type: ignore[call-overload]
                [str(bin_folder / program), *arguments],
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
                stderr=subprocess.STDOUT,
                **run,
            )
            if done.returncode:
                log = folder / "log"
                raise RuntimeError(f"{program}: {done.stdout} {log.read_text() if log.exists() else ''}")

        call(
            "initdb", "-D", str(data), "-U", USER, "--pwfile", str(secret), "--auth=scram-sha-256",
            "-E", "UTF8", "--no-sync", "--locale=C",
        )  # fmt: skip
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        call("pg_ctl", "-D", str(data), "-l", str(folder / "log"), "-o", options, "-w", "start")
        try:
            yield Server(port)
        finally:
            call("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
