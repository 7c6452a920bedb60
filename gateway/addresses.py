"""On which addresses do the listeners stand? Chosen once, kept while the system runs.

All front doors share a port by SO_REUSEPORT. So that no other program slips in between while they
restart, the supervisor keeps the port bound, without listening: the kernel gives it no connection. Beside
it each front door has a socket that listens, made here and inherited by whichever process is that door now:
what connects while one process follows another waits for the next, and is not reset.
"""

import socket
from typing import Any

from gateway.faults import CannotStartError

BACKLOG_MAX = 1_024


class AddressTakenError(CannotStartError):
    """Something else listens there, or the address is not ours."""


def reserve(host: str, port: int, setting: str) -> socket.socket:
    """Bind the address for the children to share; port 0 takes any free one.

    Raises:
        AddressTakenError: it cannot be bound.

    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # Without SO_REUSEPORT first: with it, another gateway's port would be shared unnoticed.
        _bind(family, address, socket.SO_REUSEADDR).close()
        try:
            held = _bind(family, address, socket.SO_REUSEPORT)
        except OSError:  # connections that another program has just closed linger on the port
            held = _bind(family, address, socket.SO_REUSEPORT, socket.SO_REUSEADDR)
    except OSError as error:
        raise AddressTakenError(
            f"{host}:{port} cannot be used: {error.strerror}; choose another {setting}"
        ) from error
    return held


def listening(held: socket.socket) -> socket.socket:
    """Return another socket on the same address, one that listens; for one front door."""
    made = _bind(held.family, held.getsockname(), socket.SO_REUSEPORT)
    made.listen(BACKLOG_MAX)
    return made


def _bind(family: int, address: Any, *options: int) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        for option in options:
            bound.setsockopt(socket.SOL_SOCKET, option, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def port_of(held: socket.socket) -> int:
    """Return the port that was bound."""
    port: int = held.getsockname()[1]
    return port


def url_of(host: str, port: int) -> str:
    """Return the address as a person opens it."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104  shown, not bound
    name = f"[{name}]" if ":" in name and not name.startswith("[") else name
    return f"http://{name}:{port}"
