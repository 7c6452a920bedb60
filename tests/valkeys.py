"""A Valkey of a test's own, on a private socket, that can be killed, emptied and set back."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import redis

from gateway.valkey import find_server
from tests.support import wait_for


class OwnValkey:
    """One server process after another on the same folder, durable as in production."""

    def __init__(self, *, durable: bool = True, environ: Mapping[str, str] = {}) -> None:
        self.durable = durable
        self.environ = {**os.environ, **environ}
        self.folder = Path(tempfile.mkdtemp(prefix="gw"))
        self.socket = self.folder / "s"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def log(self) -> Path:
        return self.folder / "appendonlydir"

    def client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.socket))

    def start(self) -> None:
        options = {"port": "0", "unixsocket": str(self.socket), "dir": str(self.folder)}
        options |= {"appendonly": "yes" if self.durable else "no", "appendfsync": "always"}
        options["save"] = ""
        command = [part for name, value in options.items() for part in (f"--{name}", value)]
        self.process = subprocess.Popen(
            [find_server(), *command], stdout=subprocess.DEVNULL, env=self.environ
        )
        with self.client() as client:
            wait_for(lambda: _answers(client), what="Valkey answers")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def copy_log(self, to: str) -> None:
        """Keep the append-only file as it is now."""
        shutil.copytree(self.log, self.folder / to)

    def put_back_log(self, kept: str) -> None:
        """Have the next start begin from an older copy."""
        shutil.rmtree(self.log)
        shutil.copytree(self.folder / kept, self.log)

    def lose_log(self) -> None:
        """Have the next start begin empty."""
        shutil.rmtree(self.log)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
