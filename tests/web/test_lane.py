"""The lane says what aiohttp says, byte for byte; what it may not decide reaches aiohttp untouched."""

import asyncio
import gzip
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from gateway.core.snapshot import Phase, Snapshot
from gateway.ports import Standing
from gateway.web.gate import Gate
from gateway.web.lane import Lane
from gateway.web.lane_table import make_lane
from gateway.web.limits import BURST
from gateway.web.listener import Site
from gateway.web.rendering import Pages
from tests.web.house import MINUTE_US, NOW_US, OPEN, PROGRAMME, House
from tests.web.wire import Wire, request, serving, wire

WAVE = "/v1/waves/wave-1"
BROWSER = {
    "User-Agent": "Mozilla/5.0 (Linux; Android 10; K) Mobile Safari/537.36",
    "sec-ch-ua": '"Chromium";v="124", "Not;A=Brand";v="8"',
    "Accept": "*/*",
    "Sec-Fetch-Site": "same-origin",
    "Connection": "keep-alive",
    "Accept-Encoding": "gzip, deflate, br",
    "Accept-Language": "en-GB,en;q=0.9",
}
BEFORE = replace(OPEN, phase=Phase.PREQUEUE, near=0, called=0, opens_at_us=NOW_US + MINUTE_US)
ROOMS: dict[str, Snapshot] = {
    "prequeue": BEFORE,
    "open": OPEN,
    "drawn": replace(OPEN, cohort=100),
    "paused": replace(OPEN, phase=Phase.PAUSED),
    "paused before": replace(BEFORE, phase=Phase.PAUSED),
    "full": replace(OPEN, phase=Phase.FULL, accepted=1000, admitted=1000),
    "closed": replace(OPEN, phase=Phase.CLOSED),
    "closed unopened": replace(BEFORE, phase=Phase.CLOSED),
    "recovering": replace(OPEN, phase=Phase.RECOVERING),
}


def asking(house: House) -> dict[str, bytes]:
    """Return requests that the lane answers in an open room."""
    ticket, other = house.ticket(50), house.ticket(15)
    cookie = f"ticket.wave-1={ticket}"
    return {
        "board": request(f"{WAVE}/board"),
        "board, browser": request(f"{WAVE}/board", headers=BROWSER | {"Cookie": cookie}),
        "board, no gzip": request(f"{WAVE}/board", Accept_Encoding="gzip;q=0, br"),
        "place, cookie": request(f"{WAVE}/place", Cookie=cookie),
        "place, near": request(f"{WAVE}/place", Cookie=f"a=b; ticket.wave-1={other}; c=d"),
        "place, bearer": request(f"{WAVE}/place", Authorization=f"Bearer {ticket}"),
        "place, browser": request(f"{WAVE}/place", headers=BROWSER | {"Cookie": cookie}),
        "place, lower case": request(f"{WAVE}/place", cookie=cookie),
        "place, elsewhere": request(
            f"{WAVE}/place", Host="example.org", Cookie=f"__Host-ticket.wave-1={ticket}"
        ),
        "home": request("/"),
        "page": request("/waves/wave-1"),
        "page, browser": request("/waves/wave-1", headers=BROWSER),
        "page, linked": request("/waves/wave-1?lang=en", Accept_Language="id"),
        "page, two languages": request("/waves/wave-1", Accept_Language="fr, in;q=0.3, en;q=0.2"),
        "page, no gzip": request("/waves/wave-1", Accept_Encoding="gzip;q=0, *"),
        "form": request(f"{WAVE}/form"),
        "form, browser": request(f"{WAVE}/form", headers=BROWSER | {"Cookie": cookie}),
        "page, other copy": request("/waves/wave-1", If_None_Match='W/"0123", "x"'),
    }


def left_to_aiohttp(house: House) -> dict[str, bytes]:
    ticket, other = house.ticket(50), house.ticket(51)
    place = f"{WAVE}/place"
    return {
        "called": request(place, Cookie=f"ticket.wave-1={house.ticket(5)}"),
        "no ticket": request(place),
        "forged": request(place, Cookie=f"ticket.wave-1={ticket[:-2]}AA"),
        "a pass": request(place, Authorization=f"Bearer {house.pass_(50)}"),
        "of another wave": request(place, Authorization=f"Bearer {house.ticket(50, 'wave-2')}"),
        "padded": request(place, Authorization=f"Bearer {ticket}=="),
        "two tickets": request(place, Cookie=f"ticket.wave-1={ticket}; ticket.wave-1={other}"),
        "spaced twin": request(place, Cookie=f"ticket.wave-1={ticket}; ticket.wave-1 ={other}"),
        "cookie and bearer": request(
            place, Cookie=f"ticket.wave-1={ticket}", Authorization=f"Bearer {other}"
        ),
        "cookie of another host": request(place, Host="a.org", Cookie=f"ticket.wave-1={ticket}"),
        "another scheme": request(place, Authorization=f"Basic {ticket}"),
        "unknown wave": request("/v1/waves/wave-9/board"),
        "query": request(f"{WAVE}/board?x=1"),
        "shown before": request(f"{place}?ahead=15", Cookie=f"ticket.wave-1={ticket}"),
        "host": request(f"{WAVE}/board", Host="a@b"),
        "no host": request(f"{WAVE}/board", Host=None),
        "length": request(f"{WAVE}/board", Content_Length="0"),
        "head": request(f"{WAVE}/board", "HEAD"),
        "http/1.0": request(f"{WAVE}/board").replace(b"HTTP/1.1", b"HTTP/1.0"),
        "close": request(f"{WAVE}/board", Connection="close"),
    }


@dataclass
class Pair:
    """The same house behind a listener with a lane and one without."""

    house: House
    fast: Site
    slow: Site
    lane: Lane

    @property
    def answered(self) -> int:
        """How many the lane has answered itself."""
        return sum(sum(route.told.values()) for route in self.lane._routes.values())

    async def ask(self, data: bytes) -> tuple[bytes, bytes]:
        return await raw(self.fast, data), await raw(self.slow, data)


@asynccontextmanager
async def pair() -> AsyncIterator[Pair]:
    house, pages = House(), Pages((PROGRAMME,))
    for room in house.rooms:
        room.monotonic_s = lambda: 1.0  # boards and places show the time
    house.see(OPEN)
    lane = make_lane(
        house.services, pages, Gate("https://gateway.example/problems", time.process_time)
    )
    app, other = house.app_with_pages(), house.app_with_pages()
    async with serving(app, lane=lane) as fast, serving(other) as slow:
        yield Pair(house, fast, slow, lane)


@pytest.fixture
async def both() -> AsyncIterator[Pair]:
    async with pair() as made:
        yield made


async def raw(site: Site, data: bytes) -> bytes:
    """Return the bytes of one answer, without what differs from one to the next by design."""
    async with wire(site) as client:
        client.writer.write(data)
        return await one(client, head=data.startswith(b"HEAD"))


async def one(client: Wire, *, head: bool = False) -> bytes:
    async with asyncio.timeout(5):
        found = await client.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"\r\nContent-Length: (\d+)\r\n", found)
        body = b"" if head or length is None else await client.reader.readexactly(int(length[1]))
    found = re.sub(rb"Date: [^\r]+GMT\r\n", b"Date: now\r\n", found)
    found = re.sub(rb"Retry-After: \d+", b"Retry-After: some", found)
    body = re.sub(rb"urn:request:[0-9a-f]+", b"urn:request:name", body)
    return found + re.sub(rb'"retry_in_ms":\d+', b'"retry_in_ms":some', body)


@pytest.mark.parametrize("name", asking(House()))
async def test_the_lane_answers_with_aiohttps_bytes(both: Pair, name: str) -> None:
    fast, slow = await both.ask(asking(both.house)[name])
    assert fast == slow
    assert fast.startswith(b"HTTP/1.1 200 OK\r\n")
    assert both.answered == 1


@pytest.mark.parametrize("room", ROOMS)
async def test_so_it_does_in_every_state_of_a_room(both: Pair, room: str) -> None:
    both.house.see(ROOMS[room])
    for name, data in asking(both.house).items():
        fast, slow = await both.ask(data)
        assert fast == slow, name
    assert both.answered > 10


async def test_so_it_does_while_the_queue_moves_and_a_message_is_shown(both: Pair) -> None:
    for second in range(400):
        both.house.see(OPEN, clock_us=NOW_US + second * 1_000_000, called=second // 8, near=80)
    for room in both.house.rooms:
        room.policy = replace(room.policy, message='Mohon sabar "ya"', quota=90)
    fast, slow = await both.ask(
        request(f"{WAVE}/place", Cookie=f"ticket.wave-1={both.house.ticket(99)}")
    )
    assert fast == slow
    assert b'"eta_s":[' in fast
    assert b'"outlook":"likely"' in fast
    assert both.answered == 1


async def test_a_board_of_one_moment_is_packed_once_and_every_poll_of_it_is_counted(
    both: Pair,
) -> None:
    room = next(iter(both.house.rooms))
    polls = room.polls
    asked = [asking(both.house)[name] for name in ("board", "board, browser")] * 3
    answers = [await raw(both.fast, data) for data in asked]
    assert len(set(answers)) == 2
    assert room.polls == polls + len(asked)
    packed, plain = (answers[n].partition(b"\r\n\r\n")[2] for n in (1, 0))
    assert gzip.decompress(packed) == plain
    both.house.see(replace(OPEN, called=11))
    fresh = await raw(both.fast, asked[1])
    assert b'"called":11,' in gzip.decompress(fresh.partition(b"\r\n\r\n")[2])


async def test_who_has_left_and_a_page_already_held_are_told_so(both: Pair) -> None:
    for room in both.house.rooms:
        room.note_left(50)
    fast, slow = await both.ask(asking(both.house)["place, cookie"])
    assert fast == slow
    assert b'"state":"left"' in fast
    page = await raw(both.slow, request("/waves/wave-1"))
    etag = re.search(rb"ETag: (\S+)", page)
    assert etag
    for known in (etag[1].decode(), f'"x", {etag[1].decode()}'):
        fast, slow = await both.ask(request("/waves/wave-1", If_None_Match=known))
        assert fast == slow
        assert fast.startswith(b"HTTP/1.1 304 ")
    assert both.answered == 3


@pytest.mark.parametrize("name", left_to_aiohttp(House()))
async def test_what_it_may_not_decide_reaches_aiohttp(both: Pair, name: str) -> None:
    both.house.room.answers["look"] = Standing("called")
    fast, slow = await both.ask(left_to_aiohttp(both.house)[name])
    assert fast == slow
    assert both.answered == 0


async def test_a_room_not_yet_seen_is_aiohttps_to_tell(both: Pair) -> None:
    for room in both.house.rooms:
        room.snapshot = None
    for name in ("board", "place, cookie", "page"):
        fast, slow = await both.ask(asking(both.house)[name])
        assert fast == slow
        assert fast.startswith(b"HTTP/1.1 503 ")


async def test_a_look_at_a_place_is_a_check_in_and_counts_against_the_pace(both: Pair) -> None:
    for room in both.house.rooms:
        room.policy = replace(room.policy, check_in_s=60)
    near = asking(both.house)["place, near"]
    async with wire(both.fast) as client:
        answers = [await client.ask(near) for _ in range(BURST + 1)]
    assert [answer.status for answer in answers] == [200] * BURST + [429]
    assert both.answered == BURST
    asked = both.house.rooms.get("wave-1")
    assert asked
    assert asked.take_present() == [15]
    assert asked.polls == BURST
    assert both.house.asked == []


async def test_lane_and_parser_take_turns_on_one_connection_in_order(both: Pair) -> None:
    kinds = {
        "lane": asking(both.house)["board"],
        "parser": request("/v1/openapi.json"),
        "body": request(f"{WAVE}/tickets", "POST", b"{}", Content_Type="application/json"),
    }
    order = ["lane", "lane", "parser", "lane", "body", "lane", "body", "parser", "lane", "lane"] * 4
    for whole in (True, False):
        async with wire(both.fast) as client:
            if whole:
                client.writer.write(b"".join(kinds[kind] for kind in order))
            for kind in order:
                if not whole:
                    client.writer.write(kinds[kind])
                answer = await client.answer()
                expected = {"lane": b'"called"', "parser": b'"openapi"', "body": b'"ticket"'}[kind]
                assert expected in answer.body
    assert both.answered >= 2 + 12


async def test_a_connection_wears_out_in_the_lane_too(both: Pair) -> None:
    limits: Any = both.fast.listener
    limits.deadlines = replace(limits.deadlines, requests_max=5)
    async with wire(both.fast) as client:
        answers = [await client.ask(request(f"{WAVE}/board")) for _ in range(5)]
        assert [a.headers.get("connection") for a in answers] == [None] * 4 + ["close"]
        assert await client.is_closed()


async def test_the_lane_keeps_an_idle_connection_open_and_a_silent_one_not() -> None:
    async with pair() as both:
        limits: Any = both.fast.listener
        limits.deadlines = replace(limits.deadlines, head_s=0.3, idle_s=0.6)
        async with wire(both.fast) as client, wire(both.fast) as silent:
            closed = asyncio.create_task(silent.is_closed())
            for _ in range(5):
                assert (await client.ask(request(f"{WAVE}/board"))).status == 200
                await asyncio.wait([closed], timeout=0.2)
            assert closed.done()
            assert await closed
            assert (await client.ask(request(f"{WAVE}/board"))).status == 200


async def test_heads_are_remembered_without_their_tickets_and_not_without_end(
    both: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with wire(both.fast) as client:
        for number in range(50, 90):
            ticket = both.house.ticket(number)
            answer = await client.ask(request(f"{WAVE}/place", Cookie=f"ticket.wave-1={ticket}"))
            assert answer.json["number"] == number
        assert len(both.lane._plans.known) == 1
        monkeypatch.setattr("gateway.web.plans.PLANS_MAX", 10)
        for number in range(100):
            answer = await client.ask(request(f"{WAVE}/board", User_Agent=f"agent {number}"))
            assert answer.status == 200
            assert len(both.lane._plans.known) <= 10


async def test_only_what_names_nobody_and_has_no_body_is_remembered_whole(both: Pair) -> None:
    join, ticket = f"{WAVE}/tickets", both.house.ticket(50)
    bare = [request(join, "POST"), request(f"{WAVE}/board"), request(f"{WAVE}/form", Cookie="a=b")]
    others = [
        request(join, "POST", Cookie=f"ticket.wave-1={ticket}"),
        request(join, "POST", b"{}", Content_Type="application/json"),
        request(f"{WAVE}/place", Cookie=f"ticket.wave-1={ticket}"),
        request(f"{WAVE}/board", User_Agent="a" * 1_024),
    ]
    async with wire(both.fast) as client:
        for data in (bare + others) * 2:
            assert (await client.ask(data)).status in {200, 201}
    assert set(both.lane._plans.bare) == set(bare)


async def test_a_busy_lane_tells_its_counts_once_and_whole(both: Pair) -> None:
    told: list[tuple[str, str, int, int]] = []

    class Listening:
        def answered_many(self, method: str, route: str, status: int, count: int) -> None:
            told.append((method, route, status, count))

    async with wire(both.fast) as client:
        for _ in range(7):
            await client.ask(request(f"{WAVE}/board"))
    meter: Any = Listening()
    both.lane.report(meter)
    both.lane.report(meter)
    assert told == [("GET", "/v1/waves/{wave}/board", 200, 7)]
