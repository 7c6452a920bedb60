"""Fixtures that several suites share: a real server on a private socket, and a real gateway."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.gateways import RunningGateway, a_gateway
from tests.postgres_server import OwnPostgres
from tests.valkeys import OwnValkey


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="the long profile: hours, not minutes")


@pytest.fixture(scope="session")
def valkey_socket() -> Iterator[Path]:
    """Yield the socket of a Valkey of this test process's own."""
    server = OwnValkey()
    server.start()
    yield server.socket
    server.kill()  # nothing of it is kept


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


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], OwnPostgres]]:
    """Yield what starts the PostgreSQL of this test process at its first call."""
    servers: list[OwnPostgres] = []

    def started() -> OwnPostgres:
        if not servers:
            servers.append(OwnPostgres())
            servers[0].start()
        return servers[0]

    yield started
    for server in servers:
        server.remove()
