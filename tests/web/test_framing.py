"""Lane and parser frame every stream of bytes alike: no request smuggled, swallowed or answered twice.

The same bytes go to a connection with the lane and to one without. Every answer names the request it
belongs to, so whole outputs are compared. The second one gets them cut, besides, where the lane took a
request: aiohttp's parser forgets the requests before an error when all come in one read, and TCP may cut
anywhere. ``--long`` tries a million streams; ``GATEWAY_SEED`` repeats one run.
"""

import os
import random
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from gateway.web import heads, lane, plans
from gateway.web.clients import Peer
from gateway.web.express import Connection
from gateway.web.heads import Fields
from gateway.web.lane import Lane
from gateway.web.lane_acts import ActRoute, Asker
from tests.web.framing import Ear, Heard, a_stream, cut, ears, hear

SHORT, LONG = 20_000, 1_000_000
BATCH = 250
TIMEOUT_S = 3600

PLAIN = b"GET /lane/1 HTTP/1.1\r\nHost: a\r\nCookie: ticket.w=abc\r\n\r\n"
OTHER = b"GET /app/1 HTTP/1.1\r\nHost: a\r\n\r\n"
BODY = b"POST /app/2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde"
CHUNKS = (
    b"POST /app/3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"
)
JOIN = b"POST /act/0 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nCookie: ticket.w=abc\r\n\r\n"
NOTHING = b"POST /act/1 HTTP/1.1\r\nHost: a\r\n\r\n"
FORM = (
    b"POST /form/1 HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    b"Content-Length: 9\r\n\r\n" + b'{"a":"b"}'
)


def with_body(body: bytes) -> bytes:
    return FORM.replace(b": 9", b": %d" % len(body)).replace(b'{"a":"b"}', body)


STREAMS = {
    "acts": JOIN + NOTHING + JOIN,
    "forms": FORM * 3,
    "all kinds": JOIN + PLAIN + FORM + OTHER + NOTHING + BODY + FORM + PLAIN,
    "chunks behind an act": FORM + CHUNKS + JOIN,
    "empty lines behind an act": FORM + b"\r\n" + PLAIN + b"\r\n\r\n" + JOIN,
    "a request as form": with_body(PLAIN) + PLAIN,
    "a request in a form": with_body(b'{"a":"' + PLAIN + b'"}') + PLAIN,
    "a length with zeros": FORM.replace(b": 9", b": 0009") + PLAIN,
    "a length where none is needed": PLAIN
    + NOTHING[:-2]
    + b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    + PLAIN,
    "a body that waits for 100": FORM.replace(b"Host", b"Expect: 100-continue\r\nHost") + PLAIN,
    "plain": PLAIN * 3,
    "mixed": PLAIN + OTHER + PLAIN,
    "body between": PLAIN + BODY + PLAIN,
    "chunks between": PLAIN + CHUNKS + PLAIN,
    "empty lines between": PLAIN + b"\r\n" + PLAIN + b"\r\n\r\n" + OTHER + b"\r\n" + PLAIN,
    "a request as body": BODY.replace(b": 5", b": %d" % len(PLAIN)).replace(b"abcde", PLAIN)
    + PLAIN,
    "a body that ends a head": BODY.replace(b"abcde", b"a\r\n\r\n").replace(b": 5", b": 5") + PLAIN,
    "length on a plain one": PLAIN[:-2]
    + b"Content-Length: %d\r\n\r\n" % len(PLAIN)
    + PLAIN
    + OTHER,
}

TWO, ZERO, CHUNKY = (
    b"Content-Length: 9\r\n" + more
    for more in (b"Content-Length: 9", b"Content-Length: 0", b"Transfer-Encoding: chunked")
)
BROKEN = {
    "a form one byte too long": FORM.replace(b": 9", b": 8"),
    "a form one byte too short": FORM.replace(b": 9", b": 10"),
    "a length in two fields": FORM.replace(b"Content-Length: 9", TWO),
    "two lengths": FORM.replace(b"Content-Length: 9", ZERO),
    "a length and chunks": FORM.replace(b"Content-Length: 9", CHUNKY),
    "LF alone": FORM.replace(b"\r\nContent-Type", b"\nContent-Type"),
    "LF alone at the end": FORM.replace(b"\r\n\r\n", b"\n\n"),
}


async def both(
    fast: Ear, slow: Ear, streams: Sequence[Sequence[bytes]], *, in_haste: bool = False
) -> Iterable[tuple[Heard, Heard]]:
    by_lane = await hear(fast, streams, in_haste=in_haste)
    return zip(by_lane, await hear(slow, [told.parts for told in by_lane]), strict=True)


async def first_difference(fast: Ear, slow: Ear, count: int, seed: int) -> str | None:
    """Return the first stream that the two understand differently."""
    rng = random.Random(seed)
    for done in range(0, count, BATCH):
        streams = [cut(a_stream(rng), rng) for _ in range(min(BATCH, count))]
        for by_lane, by_parser in await both(fast, slow, streams, in_haste=bool(done // BATCH % 2)):
            if by_lane != by_parser:
                return f"seed {seed}: {by_lane.parts!r}\nlane: {by_lane}\nparser: {by_parser}"
    return None


@pytest.mark.timeout(TIMEOUT_S)
async def test_random_streams_are_framed_alike(request: pytest.FixtureRequest) -> None:
    count = LONG if request.config.getoption("--long") else SHORT
    seed = int(os.environ.get("GATEWAY_SEED") or random.randrange(2**32))
    async with ears() as (fast, slow, driven):
        assert await first_difference(fast, slow, count, seed) is None
        answered = sum(route.told[200] for route in driven._routes.values())
        begun = driven.acts
    assert answered > count / 10, f"seed {seed}: the lane has hardly been asked"
    assert begun > count / 20, f"seed {seed}: the lane has hardly begun an act"


@pytest.mark.parametrize("name", STREAMS)
async def test_a_stream_cut_anywhere_is_framed_alike(name: str) -> None:
    async with ears() as (fast, slow, _):
        for by_lane, by_parser in await both(fast, slow, in_all_pieces(STREAMS[name])):
            assert by_lane == by_parser, by_lane.parts
            assert b" 200 OK" in by_lane.answers


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_act_cut_anywhere_is_framed_alike(name: str) -> None:
    async with ears() as (fast, slow, _):
        found = list(await both(fast, slow, in_all_pieces(JOIN + BROKEN[name] + PLAIN)))
        for by_lane, by_parser in found:
            assert by_lane == by_parser, by_lane.parts
        whole, _ = found[-1]
        first, *others = re.findall(rb"HTTP/1.[01] (\d+)", whole.answers)
        assert (first, set(others)) == (b"200", {b"400"})


def in_all_pieces(stream: bytes) -> Sequence[Sequence[bytes]]:
    """Return the stream cut in two anywhere, in single bytes, and whole."""
    pieces = [[stream[:at], stream[at:]] for at in range(1, len(stream))]
    return [*pieces, [stream[at : at + 1] for at in range(len(stream))], [stream]]


def lane_that_accepts_a_length(monkeypatch: pytest.MonkeyPatch) -> None:
    read = heads.read_fields

    def without_length(block: bytes) -> Any:
        fields = read(block)
        return fields and fields._replace(length=b"")

    monkeypatch.setattr(plans, "read_fields", without_length)


def lane_that_ignores_what_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Lane.answer

    def and_no_more(self: Lane, data: bytes, start: int, now_s: float, peer: Peer) -> Any:
        answered = answer(self, data, start, now_s, peer)
        return answered and (answered[0], len(data))

    monkeypatch.setattr(Lane, "answer", and_no_more)


def lane_that_cuts_out_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "is_spelled_like_ours", lambda _text: True)


def lane_that_takes_anything_for_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "_OF_HOPS", bytes(range(256)))


def lane_that_reads_names_as_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "_UNUSUAL", re.compile(rb"Transfer-Encoding|Expect"))


def lane_that_takes_turns_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "_may_drive", lambda self: self._between)


def lane_that_does_not_wait_for_a_body(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = ActRoute.begin

    def at_once(self: ActRoute, fields: Fields, asker: Asker, body: bytes) -> Any:
        return begin(self, fields, asker, body.ljust(fields.body_bytes))

    monkeypatch.setattr(ActRoute, "begin", at_once)


def lane_that_reads_a_body_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Lane.answer

    def and_its_body(self: Lane, data: bytes, start: int, now_s: float, peer: Peer) -> Any:
        answered = answer(self, data, start, now_s, peer)
        return answered and (answered[0], data.find(lane.HEAD_END, start) + 4)

    monkeypatch.setattr(Lane, "answer", and_its_body)


def lane_that_fills_the_wrong_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "CUT", b"abc")
    monkeypatch.setattr(lane, "CUT", b"abc")
    monkeypatch.setattr(plans, "CUT", b"abc")


def connection_that_reads_on(monkeypatch: pytest.MonkeyPatch) -> None:
    receive = Connection.data_received

    def at_once(self: Connection, data: bytes) -> None:
        self._turn = None
        receive(self, data)

    monkeypatch.setattr(Connection, "data_received", at_once)


@pytest.mark.parametrize(
    "seed_bug",
    [
        lane_that_accepts_a_length,
        lane_that_ignores_what_follows,
        lane_that_cuts_out_anything,
        lane_that_takes_anything_for_addresses,
        lane_that_reads_names_as_written,
        lane_that_takes_turns_too_early,
        lane_that_does_not_wait_for_a_body,
        lane_that_reads_a_body_twice,
        lane_that_fills_the_wrong_gap,
        connection_that_reads_on,
    ],
)
async def test_a_lane_with_a_hole_is_found_out(
    seed_bug: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads, "_picks", {})
    seed_bug(monkeypatch)
    async with ears() as (fast, slow, _):
        assert await first_difference(fast, slow, 4 * SHORT, seed=2) is not None
