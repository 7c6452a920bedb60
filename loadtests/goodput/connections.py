"""Which connection carries the next request? One that is idle, or a new one; each carries one at a time.

Raw protocols, because the client must cost less than what it measures. A request that is not answered in
time is given up with its connection, as browsers do, so what a slow server has queued was for nobody.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from loadtests.goodput.way import DRIP_S, Manner

CONNECTIONS_MAX = 4_000  # as of a proxy's pool; beyond it requests wait, and their time runs
ANSWER_S_MAX = 10.0  # from the intended instant
DRIPPED_BYTES = 40  # the first part of a slow sender's request, and its last
ABANDONED = -1  # told instead of a status: nobody waited for one
HEAD_END = b"\r\n\r\n"

Done = Callable[[int, bytes], None]  # status (0: none) and body


class Exchange:
    """One request on its way to one answer."""

    __slots__ = ("connection", "data", "done", "expires_s", "is_over", "manner")

    def __init__(self, data: bytes, manner: Manner, expires_s: float, done: Done) -> None:
        self.data, self.manner, self.expires_s, self.done = data, manner, expires_s, done
        self.connection: _Connection | None = None
        self.is_over = False

    def end(self, status: int, body: bytes = b"") -> None:
        """Tell what came of it, once."""
        if not self.is_over:
            self.is_over = True
            self.done(status, body)


class Connections:
    """All connections to one server."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._loop = asyncio.get_running_loop()
        self._idle: deque[_Connection] = deque()
        self._waiting: deque[Exchange] = deque()
        self._expiring: deque[Exchange] = deque()  # by due instant: all have as long
        self._opening: set[asyncio.Task[None]] = set()
        self.open: set[_Connection] = set()
        self.opened = 0

    def send(self, data: bytes, manner: Manner, due_s: float, done: Done) -> None:
        """Send a request, now or once there is a connection."""
        exchange = Exchange(data, manner, due_s + ANSWER_S_MAX, done)
        self._expiring.append(exchange)
        idle = self._idle
        while idle:
            connection = idle.popleft()
            if connection.transport is not None:
                connection.carry(exchange)
                return
        self._waiting.append(exchange)
        if len(self.open) + len(self._opening) < CONNECTIONS_MAX:
            task = self._loop.create_task(self._open())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self) -> None:
        try:
            await self._loop.create_connection(lambda: _Connection(self), "127.0.0.1", self._port)
        except OSError:
            if self._waiting:
                self._waiting.popleft().end(0)

    def free(self, connection: "_Connection") -> None:
        """Give a connection its next request, or let it rest."""
        while self._waiting:
            exchange = self._waiting.popleft()
            if not exchange.is_over:
                connection.carry(exchange)
                return
        self._idle.append(connection)

    def expire(self, now_s: float) -> None:
        """Give up what has waited too long."""
        expiring = self._expiring
        while expiring and (expiring[0].is_over or expiring[0].expires_s <= now_s):
            exchange = expiring.popleft()
            if not exchange.is_over:
                if exchange.connection is not None:
                    exchange.connection.abort()
                exchange.end(0)

    def close(self) -> None:
        """Drop everything."""
        for task in self._opening:
            task.cancel()
        for connection in list(self.open):
            connection.abort()


class _Connection(asyncio.Protocol):
    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._exchange: Exchange | None = None
        self._received = b""
        self.transport: Any = None  # uvloop's is no asyncio.Transport

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._connections.open.add(self)
        self._connections.opened += 1
        self._connections.free(self)

    def carry(self, exchange: Exchange) -> None:
        """Send a request."""
        if exchange.manner is Manner.WHOLE:
            self._exchange = exchange
            exchange.connection = self
            self.transport.write(exchange.data)
        elif exchange.manner is Manner.ABANDONED:
            transport, self.transport = self.transport, None
            transport.write(exchange.data)
            transport.close()
            exchange.end(ABANDONED)
        else:
            self._exchange = exchange
            exchange.connection = self
            data = exchange.data
            self._drip(
                exchange,
                [data[:DRIPPED_BYTES], data[DRIPPED_BYTES:-DRIPPED_BYTES], data[-DRIPPED_BYTES:]],
            )

    def _drip(self, exchange: Exchange, parts: list[bytes]) -> None:
        if self.transport is None or exchange is not self._exchange:
            return
        self.transport.write(parts[0])
        if rest := parts[1:]:
            asyncio.get_running_loop().call_later(DRIP_S / 2, self._drip, exchange, rest)

    def data_received(self, data: bytes) -> None:
        if self._received:
            data = self._received + data
        end = data.find(HEAD_END)
        at = data.find(b"Content-Length: ", 0, end) + 16
        if end < 0 or len(data) < end + 4 + int(data[at : data.find(b"\r", at)]):
            self._received = data
            return
        self._received = b""
        exchange, self._exchange = self._exchange, None
        if exchange is None:  # it was given up a moment ago
            return
        if data.find(b"Connection: close", 0, end) >= 0:
            self.abort()
        else:
            self._connections.free(self)
        exchange.end(int(data[9:12]), data[end + 4 :])

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.transport = None
        self._connections.open.discard(self)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.end(0)

    def abort(self) -> None:
        """Hang up."""
        if self.transport is not None:
            self.transport.abort()
            self.transport = None
