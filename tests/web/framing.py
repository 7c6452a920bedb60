"""Streams of bytes from a grammar, and connections without sockets that say what they made of them."""

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from aiohttp import web

from gateway.core.shedding import Rank
from gateway.web.clients import NOBODY, Peer
from gateway.web.crowd import Crowd
from gateway.web.deadlines import Deadlines
from gateway.web.express import Connection
from gateway.web.gate import Gate
from gateway.web.heads import Fields
from gateway.web.lane import Lane
from gateway.web.lane_answers import Route, Second
from gateway.web.listener import Listener, Runner
from gateway.web.problems import problem_middleware
from gateway.web.security import security_middleware
from gateway.web.wire_format import serialize

PLAIN = [f"/lane/{number}" for number in range(4)]
STEPS = 60  # of the loop, enough for every request of a stream
_BY_DESIGN = re.compile(rb"Date: [^\r]*|urn:request:[0-9a-f]+")

METHODS = ["GET"] * 12 + ["POST", "POST", "HEAD", "DELETE", "OPTIONS", "get", "GE T", "FOO", ""]
TARGETS = [
    *PLAIN * 4,
    "/app/1",
    "/app/2",
    "/lane/0?x=1",
    "http://a/lane/0",
    "/lane/0#x",
    "*",
    "/a b",
]
VERSIONS = ["HTTP/1.1"] * 16 + ["HTTP/1.0", "HTTP/1.2", "http/1.1", "HTTP/1.1 ", "HTTP/2.0", ""]
HOSTS = ["Host: a"] * 16 + [
    "host: a",
    "Host:a",
    "Host:  a",
    "HOST: a:80",
    "Host: a@b",
    "",
    "Host: a\r\nHost: b",
]
ORDINARY = [
    *(
        "Accept: */*",
        "accept-encoding: gzip",
        "User-Agent: x/1 (y; z)",
        "Cookie: a=b; ticket.w=abc-_9",
    ),
    *(
        "Cookie: ticket.w=",
        "Authorization: Bearer abc",
        "Connection: keep-alive",
        "X-Empty:",
        "A: b: c",
    ),
    *(
        "Content-Type: text/plain",
        "Referer: http://a/?ticket.w=1",
        "X: ticket.",
        "Cookie: Bearer a;b=c",
    ),
]
FRAMING = [
    *("Content-Length: 0", "Content-Length: 5", "content-length: 5", "CONTENT-LENGTH: 33", "Content-Length:5"),
    *("Content-Length: 5\r\nContent-Length: 5", "Content-Length: 5, 5", "Content-Length: +5", "Content-Length: 5 "),
    *("Transfer-Encoding: chunked", "transfer-encoding: chunked", "Transfer-Encoding:\tchunked"),
    *("Transfer-Encoding: identity", "Transfer-Encoding : chunked", " Transfer-Encoding: chunked"),
    *("Content-Length : 5", "Content_Length: 5", "X: a\r\n Content-Length: 5", "X: a\r\n\tb", "X: a\n"),
    *("X: a\nContent-Length: 5", "X: a\rContent-Length: 5", "X: \x00", "Expect: 100-continue", "Expect: x"),
    *("Connection: close", "Connection: Keep-Alive", "Connection: Upgrade\r\nUpgrade: h2c", "Upgrade: x"),
    *("TE: trailers", "Trailer: X", "Keep-Alive: 5", ": x", "x", "Content-Encoding: gzip", "X: \xe4"),
    *("Cookie: ticket.w=a\nContent-Length: 5", "Cookie: ticket.w=a\x00b", "Cookie: ticket.w=a b"),
    *("Cookie: ticket.w=a\nTransfer-Encoding: chunked", "Authorization: Bearer a\nX: b"),
]  # fmt: skip
ENDS = ["\r\n\r\n"] * 20 + ["\n\n", "\r\n\n", "\n\r\n", "\r\n", "\r\r\n\n", "\r\n\r\n\r\n"]
BODIES = [
    *("", "", "", "", "abcde", "GET /", "0\r\n\r\n", "5\r\nabcde\r\n0\r\n\r\n"),
    *(
        "GET /lane/3 HTTP/1.1\r\nHost: a\r\n\r\n",
        "5;x\r\nabcde\r\n0\r\nX: y\r\n\r\n",
        "\r\n",
        "\r\n\r\n",
    ),
]
NOISE = [b"\x00", b"\r", b"\n", b"\r\n", b" ", b":", b"\t", b"\x7f", b"\xff", b";", b"=", b"A"]


def a_stream(rng: random.Random) -> bytes:
    """Return a few messages, honest, odd or broken."""
    stream = b"".join(_message(rng) for _ in range(rng.randint(1, 4)))
    for _ in range(rng.choice([0, 0, 0, 0, 1, 2])):
        at = rng.randrange(len(stream) + 1)
        stream = stream[:at] + rng.choice(NOISE) + stream[at + rng.randint(0, 1) :]
    return stream


def _message(rng: random.Random) -> bytes:
    return _honest(rng) if rng.random() < 0.5 else _odd(rng)


def _honest(rng: random.Random) -> bytes:
    target = rng.choice([*PLAIN, "/app/3"])
    fields = "".join(f"{name}\r\n" for name in rng.sample(ORDINARY[:6], rng.randint(0, 2)))
    return f"GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode()


def _odd(rng: random.Random) -> bytes:
    line = f"{rng.choice(METHODS)} {rng.choice(TARGETS)} {rng.choice(VERSIONS)}"
    fields = [rng.choice(HOSTS), *rng.sample(ORDINARY, rng.randint(0, 3))]
    fields += rng.sample(FRAMING, rng.choice([0, 0, 0, 0, 1, 1, 2]))
    if rng.random() < 0.2:
        rng.shuffle(fields)
    text = "\r\n".join([line, *(name for name in fields if name)]) + rng.choice(ENDS)
    return (text + rng.choice(BODIES)).encode("latin-1")


def cut(stream: bytes, rng: random.Random) -> list[bytes]:
    """Return the stream as it might arrive."""
    if rng.random() < 0.5 or len(stream) < 2:
        return [stream]
    at = sorted({0, len(stream), *(rng.randrange(len(stream)) for _ in range(rng.randint(1, 3)))})
    return [stream[low:high] for low, high in pairwise(at)]


@dataclass
class Transport:
    """A transport in memory."""

    protocol: Any = None
    written: bytearray = field(default_factory=bytearray)
    closed: bool = False

    def write(self, data: bytes) -> None:
        self.written += data

    def writelines(self, parts: Sequence[bytes]) -> None:
        self.written += b"".join(parts)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, _name: str, default: Any = None) -> Any:
        return default

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0


@dataclass
class Told:
    """What one connection answered to a stream, without what differs by design."""

    answers: bytes
    closed: bool
    parts: list[bytes] = field(compare=False)  # the stream, cut where the lane took a request


class Echo(Route):
    """A route of the lane that says which request it has seen."""

    def __init__(self, target: str) -> None:
        super().__init__(None, target)
        self._target = target

    def answer(self, _fields: Fields, _ticket: bytes | None, _now_s: float) -> bytes | None:
        self.told[200] += 1
        return serialize(web.Response(text=f"GET {self._target} b''"), b"now")


class TracedLane(Lane):
    """A lane that remembers where each request ended that it took."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.ends: list[int] = []

    def answer(
        self, data: bytes, start: int, now_s: float, peer: Peer = NOBODY
    ) -> tuple[bytes, int] | None:
        answered = super().answer(data, start, now_s, peer)
        if answered is not None:
            self.ends.append(answered[1])
        return answered


@dataclass
class Ear:
    """A listener whose connections are fed by hand."""

    listener: Listener
    ends: list[int]  # of the requests the lane has taken from the last piece

    def connect(self) -> Transport:
        transport = Transport()
        transport.protocol = Connection(self.listener, keepalive_timeout=75, lingering_time=0)
        transport.protocol.connection_made(transport)
        return transport


async def hear(
    ear: Ear, streams: Sequence[Sequence[bytes]], *, in_haste: bool = False
) -> list[Told]:
    """Feed many connections side by side, piece by piece, and return what each was told.

    In haste the next piece comes while the last one is still being answered.
    """
    transports = [ear.connect() for _ in streams]
    heard: list[list[bytes]] = [[] for _ in streams]
    for turn in range(max(map(len, streams))):
        for transport, pieces, parts in zip(transports, streams, heard, strict=True):
            if turn < len(pieces):
                ear.ends.clear()
                if not transport.closed:
                    transport.protocol.data_received(pieces[turn])
                parts.extend(_split(pieces[turn], ear.ends))
        await _settle(3 if in_haste else STEPS)
    await _settle()
    told = [
        Told(_BY_DESIGN.sub(b"by design", bytes(transport.written)), transport.closed, parts)
        for transport, parts in zip(transports, heard, strict=True)
    ]
    for transport in transports:
        transport.close()
    await _settle()
    return told


def _split(piece: bytes, ends: Sequence[int]) -> list[bytes]:
    at = [0, *ends, len(piece)]
    return [piece[low:high] for low, high in pairwise(at) if low < high]


async def _settle(steps: int = STEPS) -> None:
    for _ in range(steps):
        await asyncio.sleep(0)


@asynccontextmanager
async def ears() -> AsyncIterator[tuple[Ear, Ear, Lane]]:
    """Yield the same application with a lane and without."""
    second = Second()
    routes = {f"GET {target} HTTP/1.1".encode(): Echo(target) for target in PLAIN}
    gate = Gate("https://registration-gateway.example/problems", time.process_time)
    gate.limits = (1_000_000,) * len(Rank)  # many connections are heard at once
    lane = TracedLane(routes, second, gate)
    runners = []
    for own in (lane, None):
        runner = Runner(_app(), Deadlines(), Crowd(), own)
        await runner.setup()
        runners.append(runner)
    servers = [runner.server for runner in runners]
    assert isinstance(servers[0], Listener)
    assert isinstance(servers[1], Listener)
    try:
        yield Ear(servers[0], lane.ends), Ear(servers[1], []), lane
    finally:
        for runner in runners:
            await runner.cleanup()


def _app() -> web.Application:
    async def echo(request: web.Request) -> web.Response:
        body = await request.read()
        return web.Response(text=f"{request.method} {request.raw_path} {body!r}")

    app = web.Application(middlewares=[problem_middleware, security_middleware])
    app.router.add_route("*", "/{path:.*}", echo)
    return app
