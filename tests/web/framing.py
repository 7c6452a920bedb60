"""Streams of bytes from a grammar, and connections without sockets that say what they made of them."""

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate, pairwise
from types import SimpleNamespace
from typing import Any

from aiohttp import web

from gateway.core.shedding import Rank
from gateway.web.acts import Read, Told
from gateway.web.applicant import respond_told
from gateway.web.body import JSON_TYPE, expect_body, expect_nothing, read_json, read_nothing
from gateway.web.clients import NOBODY, Peer
from gateway.web.cookies import Shown, shown_by
from gateway.web.crowd import Crowd
from gateway.web.deadlines import Deadlines
from gateway.web.endpoints import Endpoint
from gateway.web.express import Connection
from gateway.web.gate import Gate
from gateway.web.heads import Fields
from gateway.web.lane import Lane
from gateway.web.lane_acts import ActRoute
from gateway.web.lane_answers import Route, Second
from gateway.web.listener import Listener, Runner
from gateway.web.problems import DEFAULT_BASE as BASE
from gateway.web.problems import problem_middleware
from gateway.web.security import security_middleware
from gateway.web.turn import Begun
from gateway.web.wire_format import serialize

PLAIN = [f"/lane/{number}" for number in range(4)]
ACTS = [f"/act/{number}" for number in range(2)]  # want no body, or an empty object
FORMS = [f"/form/{number}" for number in range(2)]  # want an object
STEPS = 60  # of the loop, enough for every request of a stream
_BY_DESIGN = re.compile(rb"Date: [^\r]*|urn:request:[0-9a-f]+")

METHODS = ["GET"] * 12 + ["POST", "POST", "HEAD", "DELETE", "OPTIONS", "get", "GE T", "FOO", ""]
TARGETS = [
    *PLAIN * 4,
    *ACTS * 2,
    *FORMS,
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
        "Content-Type: application/json",
        "Referer: http://a/?ticket.w=1",
        "X: ticket.",
        "Cookie: Bearer a;b=c",
    ),
    *("X-Forwarded-For: 192.0.2.7", "x-forwarded-for: 2001:db8::7, 192.0.2.1:80"),
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
    *("X-Forwarded-For: 1\nContent-Length: 5", "X-Forwarded-For: 1\r\nX-Forwarded-For: 1"),
    *("X-Forwarded-For: 1\nTransfer-Encoding: chunked", "x-forwarded-for:  1", "X-Forwarded-For:"),
]  # fmt: skip
ENDS = ["\r\n\r\n"] * 20 + ["\n\n", "\r\n\n", "\n\r\n", "\r\n", "\r\r\n\n", "\r\n\r\n\r\n"]
OBJECTS = ["{}", "{}", '{"a":"b"}', '{"a":"\\r\\n\\r\\n"}', "{", "", '{"a":"GET /lane/3 HTTP/1.1"}']
BODIES = [
    *("", "", "", "", *OBJECTS, "abcde", "GET /", "0\r\n\r\n", "5\r\nabcde\r\n0\r\n\r\n"),
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
    return rng.choice([_honest, _honest, _act, _odd, _odd])(rng)


def _act(rng: random.Random) -> bytes:
    """Return an act, mostly with a body of the length that is told."""
    target, body = rng.choice([*ACTS, *FORMS]), rng.choice(OBJECTS)
    fields = ["Host: a", "Content-Type: application/json"]
    fields += rng.sample(ORDINARY[:6], rng.randint(0, 2))
    if rng.random() < 0.1:
        fields += rng.sample(FRAMING, 1)
    if body or rng.random() < 0.5:
        length = len(body) + rng.choice([0] * 12 + [-1, 1, 7])
        fields.append(f"Content-Length: {'0' * rng.choice([0, 0, 0, 2])}{max(0, length)}")
    rng.shuffle(fields)
    lines = [f"POST {target} HTTP/1.1", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode("latin-1")


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
class Heard:
    """What one connection answered to a stream, without what differs by design."""

    answers: bytes
    closed: bool
    parts: list[bytes] = field(compare=False)  # the stream, cut where the lane took a request


class Echo(Route):
    """A route of the lane that says which request it has seen."""

    def __init__(self, target: str) -> None:
        super().__init__(None, target)
        self._target = target

    def answer(self, _fields: Fields, _now_s: float) -> bytes | None:
        self.told[200] += 1
        return serialize(web.Response(text=f"GET {self._target} b''"), b"now")


class EchoActs:
    """Acts that say which request they have seen, after a while."""

    async def join(self, room: Any, shown: Shown, read: Read[Any]) -> Told:
        await asyncio.sleep(0)
        body = await read()
        for _ in range(3):  # what comes meanwhile has to wait
            await asyncio.sleep(0)
        seen = [shown.host, *shown.cookies, *shown.authorizations]
        document = {"act": room.target, "shown": seen, "body": body}
        return Told(document, cookies=["a=b"], location="/x")

    register = join


class TracedLane(Lane):
    """A lane that tells its connection where each request ended that it took."""

    acts = 0
    asking: "TracedConnection"

    def answer(
        self, data: bytes, start: int, now_s: float, peer: Peer = NOBODY
    ) -> tuple[bytes | Begun, int] | None:
        answered = super().answer(data, start, now_s, peer)
        if answered is not None:
            self.acts += not isinstance(answered[0], bytes)
            self.asking.ends.append(self.asking.read_at + answered[1])
        return answered


class TracedConnection(Connection):
    """A connection that knows where in its stream the lane took requests."""

    def __init__(self, lane: Lane | None, *parts: Any, **limits: Any) -> None:
        super().__init__(*parts, **limits)
        self._lane = lane
        self.ends: list[int] = []
        self.read_at = 0  # where in the stream what is read now begins

    def data_received(self, data: bytes) -> None:
        waits = self._turn is not None
        if isinstance(self._lane, TracedLane):
            self._lane.asking = self
        super().data_received(data)
        if not waits:
            self.read_at = self.ends[-1] if self._turn is not None else self.read_at + len(data)


ECHO: Any = EchoActs()
ENDPOINTS = [Endpoint("join", "POST", target, "", {}) for target in ACTS]
ENDPOINTS += [Endpoint("register", "POST", target, "", {}, body="Values") for target in FORMS]


@dataclass
class Ear:
    """A listener whose connections are fed by hand."""

    listener: Listener

    def connect(self) -> Transport:
        transport = Transport()
        limits = {"keepalive_timeout": 75, "lingering_time": 0}
        transport.protocol = TracedConnection(self.listener.lane, self.listener, **limits)
        transport.protocol.connection_made(transport)
        return transport


async def hear(
    ear: Ear, streams: Sequence[Sequence[bytes]], *, in_haste: bool = False
) -> list[Heard]:
    """Feed many connections side by side, piece by piece, and return what each was told.

    In haste the next piece comes while the last one is still being answered.
    """
    transports = [ear.connect() for _ in streams]
    for turn in range(max(map(len, streams))):
        for transport, pieces in zip(transports, streams, strict=True):
            if turn < len(pieces) and not transport.closed:
                transport.protocol.data_received(pieces[turn])
        await _settle(3 if in_haste else STEPS)
    await _settle()
    told = [
        Heard(
            _BY_DESIGN.sub(b"by design", bytes(transport.written)),
            transport.closed,
            _split(pieces, transport.protocol.ends),
        )
        for transport, pieces in zip(transports, streams, strict=True)
    ]
    for transport in transports:
        transport.close()
    await _settle()
    return told


def _split(pieces: Sequence[bytes], ends: Sequence[int]) -> list[bytes]:
    """Return the stream, cut where its pieces end and besides."""
    stream = b"".join(pieces)
    at = sorted({0, *accumulate(map(len, pieces)), *ends})
    return [stream[low:high] for low, high in pairwise(at)]


async def _settle(steps: int = STEPS) -> None:
    for _ in range(steps):
        await asyncio.sleep(0)


@asynccontextmanager
async def ears() -> AsyncIterator[tuple[Ear, Ear, TracedLane]]:
    """Yield the same application with a lane and without."""
    second = Second()
    routes: dict[bytes, Route] = {
        f"GET {target} HTTP/1.1".encode(): Echo(target) for target in PLAIN
    }
    for endpoint in ENDPOINTS:
        room: Any = SimpleNamespace(target=endpoint.path)
        act = ActRoute(room, ECHO, endpoint, second, BASE)
        routes[f"POST {endpoint.path} HTTP/1.1".encode()] = act
    gate = Gate(BASE, time.process_time)
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
        yield Ear(servers[0]), Ear(servers[1]), lane
    finally:
        for runner in runners:
            await runner.cleanup()


def _app() -> web.Application:
    async def echo(request: web.Request) -> web.Response:
        body = await request.read()
        return web.Response(text=f"{request.method} {request.raw_path} {body!r}")

    async def act(request: web.Request) -> web.Response:
        expect_nothing(request)
        read = partial(read_nothing, request)
        room: Any = SimpleNamespace(target=request.path)
        return respond_told(await ECHO.join(room, shown_by(request), read))

    async def form(request: web.Request) -> web.Response:
        expect_body(request, JSON_TYPE)
        read = partial(read_json, request)
        room: Any = SimpleNamespace(target=request.path)
        return respond_told(await ECHO.register(room, shown_by(request), read))

    app = web.Application(middlewares=[problem_middleware, security_middleware])
    for endpoint in ENDPOINTS:
        app.router.add_post(endpoint.path, form if endpoint.body else act)
    app.router.add_route("*", "/{path:.*}", echo)
    return app
