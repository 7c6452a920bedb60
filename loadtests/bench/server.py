"""A Valkey for one measurement: a private socket, nothing kept, gone at the end."""

import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from gateway.valkey import find_server
from loadtests.children import end, spawn

START_S_MAX = 10.0
STOP_S_MAX = 5.0


@contextmanager
def quick_server() -> Iterator[redis.Redis]:
    """Yield a client of a server that writes nothing to the disk."""
    with tempfile.TemporaryDirectory(prefix="gw-bench-") as name:
        folder = Path(name)
        options = ["--port", "0", "--unixsocket", f"{folder}/s", "--save", "", "--dir", name]
        child = spawn([str(find_server()), *options], folder / "log")
        try:
            with redis.Redis(unix_socket_path=f"{folder}/s") as client:
                _wait_for(client)
                yield client
        finally:
            end(child, signal.SIGTERM, STOP_S_MAX)


def _wait_for(client: redis.Redis) -> None:
    deadline_s = time.monotonic() + START_S_MAX
    while True:
        try:
            client.ping()
        except redis.RedisError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.02)
        else:
            return
