"""A Valkey for one measurement: a private socket, gone at the end with all that it held."""

import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import redis

from gateway.valkey import command, find_server
from loadtests.children import end, spawn

START_S_MAX = 10.0
STOP_S_MAX = 5.0


@contextmanager
def quick_server() -> Iterator[redis.Redis]:
    """Yield a client of a server that writes nothing to the disk."""
    with tempfile.TemporaryDirectory(prefix="gw-bench-") as name:
        socket = Path(name) / "s"
        options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", name]
        with _running([str(find_server()), *options], socket) as client:
            yield client


@contextmanager
def durable_server() -> Iterator[tuple[redis.Redis, Path]]:
    """Yield a client of a server that runs as the embedded one does, and its socket."""
    with tempfile.TemporaryDirectory(prefix="gw-bench-") as name:
        socket = Path(name) / "s"
        with _running(command(find_server(), Path(name), socket), socket) as client:
            yield client, socket


@contextmanager
def _running(line: Sequence[str], socket: Path) -> Iterator[redis.Redis]:
    child = spawn(line, socket.with_name("log"))
    try:
        with redis.Redis(unix_socket_path=str(socket)) as client:
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
