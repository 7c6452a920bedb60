"""Fixtures that several suites share: a real server on a private socket, and a real gateway."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from gateway.valkey import find_server
from tests.gateways import RunningGateway, a_gateway
from tests.support import wait_for


@pytest.fixture(scope="session")
def valkey_socket() -> Iterator[Path]:
    """Yield the socket of a Valkey of this test process's own, durable as in production."""
    folder = Path(tempfile.mkdtemp(prefix="gw"))
    socket = folder / "s"
    process = subprocess.Popen(
        [
            find_server(),
            "--port",
            "0",
            "--unixsocket",
            str(socket),
            "--dir",
            str(folder),
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            "--save",
            "",
        ],
        stdout=subprocess.DEVNULL,
    )
    client = redis.Redis(unix_socket_path=str(socket))
    try:
        wait_for(lambda: _answers(client), what="Valkey answers")
        yield socket
    finally:
        client.close()
        process.kill()  # nothing of it is kept
        process.wait(10)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


@pytest.fixture
def valkey_client(valkey_socket: Path) -> Iterator[redis.Redis]:
    """Yield a plain client of an emptied server."""
    client = redis.Redis(unix_socket_path=str(valkey_socket))
    client.flushall()
    yield client
    client.close()


@pytest.fixture(scope="module")
def running_gateway() -> Iterator[RunningGateway]:
    """Yield a whole gateway of real processes; its wave opens two seconds after its start."""
    with a_gateway() as gateway:
        yield gateway
