"""Requests as fast as one core can send them: many connections, each with one request under way.

Written on bare protocols, because the client must cost less than the server that it measures. What each
side has used of its processor is told beside the wall time: on a machine shared with others, processor
time per request is the figure that stays.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import uvloop

CONNECTIONS = 48  # as many acts are let in at once even where each takes three times its time
SECONDS_MAX = 120.0
BUSY = 0.9  # of the time: a process that could not do more
HEAD_END = b"\r\n\r\n"
LENGTH = b"Content-Length:"


@dataclass(frozen=True, slots=True)
class Server:
    """Who is asked: its port on this machine, and its process."""

    port: int
    pid: int


class Answer(NamedTuple):
    """One answer, as it came."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Shot:
    """What came of one volley."""

    answers: Sequence[Answer]  # in the order of the requests
    wall_s: float
    server_s: float  # of processor time, in the server's process
    client_s: float  # in this one

    @property
    def per_s(self) -> float:
        """Requests answered per second."""
        return len(self.answers) / self.wall_s

    @property
    def cpu_per_request_s(self) -> float:
        """Processor time of the server's process for one request."""
        return self.server_s / len(self.answers)

    @property
    def limit(self) -> str:
        """Who could not do more: server, generator, or neither; then the machine, or its disk, was busy."""
        if self.server_s > BUSY * self.wall_s:
            return "server"
        return "generator" if self.client_s > BUSY * self.wall_s else "machine"


class _Connection(asyncio.Protocol):
    """Sends one request after the other until there are no more."""

    def __init__(self, requests: Iterator[tuple[int, bytes]], answers: list[Answer | None]) -> None:
        self._requests, self._answers = requests, answers
        self._index = 0
        self._received = b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:  # uvloop's is no asyncio.Transport
        self._transport = transport
        self._send()

    def _send(self) -> None:
        following = next(self._requests, None)
        if following is None:
            self.done.set_result(None)
            self._transport.close()
            return
        self._index, request = following
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received = data = self._received + data if self._received else data
        answer = _read(data)
        if answer is not None:
            self._received = b""
            self._answers[self._index] = answer
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server has hung up"))


def _read(received: bytes) -> Answer | None:
    """Return the one answer once it is whole. Nothing is pipelined, so nothing follows it."""
    at, end = received.find(LENGTH), received.find(HEAD_END)
    if end < 0:
        return None
    length = int(received[at + len(LENGTH) : received.find(b"\r", at)]) if 0 <= at < end else 0
    body = received[end + len(HEAD_END) :]
    return Answer(int(received[9:12]), body) if len(body) >= length else None


def fire(server: Server, requests: Sequence[bytes]) -> Shot:
    """Send all of it; return the answers, and what they took.

    Raises:
        OSError: a connection broke.

    """
    answers: list[Answer | None] = [None] * len(requests)
    following = iter(enumerate(requests))

    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(SECONDS_MAX):
            made = [
                await loop.create_connection(
                    lambda: _Connection(following, answers), "127.0.0.1", server.port
                )
                for _ in range(min(CONNECTIONS, len(requests)))
            ]
            await asyncio.gather(*(connection.done for _, connection in made))

    began_s, client_s, server_s = time.perf_counter(), time.process_time(), cpu_s(server.pid)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
    return Shot(
        [answer for answer in answers if answer is not None],
        wall_s=time.perf_counter() - began_s,
        server_s=cpu_s(server.pid) - server_s,
        client_s=time.process_time() - client_s,
    )


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has used, by the scheduler's own nanoseconds."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def get(path: str, bearer: str = "") -> bytes:
    """Return a request without a body as bytes."""
    more = f"\r\nAuthorization: Bearer {bearer}" if bearer else ""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1{more}".encode() + HEAD_END


def post(path: str, bearer: str = "", body: bytes = b"") -> bytes:
    """Return a request as bytes."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"Authorization: Bearer {bearer}"] if bearer else []
    lines += ["Content-Type: application/json"] if body else []
    return "\r\n".join(lines).encode() + HEAD_END + body
