"""Acts begun by the lane are answered with aiohttp's bytes, in order, in time, and counted as it counts."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from gateway.core import receipts
from gateway.core.shedding import Rank
from gateway.core.snapshot import Phase
from gateway.ports import (
    Accepted,
    Claimed,
    Ended,
    Ending,
    ExtensionRefused,
    NotOpen,
    OutcomeUnknownError,
    PortUnavailableError,
    Refusal,
    RoomMissingError,
)
from gateway.web.endpoints import WAVE as PATTERN
from gateway.web.lane_acts import ActRoute
from gateway.web.limits import BURST
from gateway.web.listener import start_site
from tests.support import wait_until
from tests.web.house import MINUTE_US, NOT_YET, NOW_US, VALUES, House
from tests.web.test_lane import BROWSER, WAVE, Pair, one, pair
from tests.web.wire import request, wire

JSON = "application/json"
RECEIPT = receipts.make(bytes(16))


def bytes_of(count: int) -> bytes:
    """Stand in for randomness: the same visitor gets the same ticket from both."""
    return bytes(count)


@pytest.fixture
async def both() -> AsyncIterator[Pair]:
    async with pair() as made:
        made.house.services.front_door._token_bytes = bytes_of
        made.house.services.intake._token_bytes = bytes_of
        made.house.intake.answers["accept"] = Accepted(RECEIPT, NOW_US)
        yield made


def begun(both: Pair) -> int:
    """Return how many acts the lane has told the end of."""
    routes = (r for r in both.lane._routes.values() if isinstance(r, ActRoute))
    return sum(len(took_s) for route in routes for took_s in route._took_s.values())


def form(values: Any = VALUES, **headers: str | None) -> bytes:
    body = values if isinstance(values, bytes) else orjson.dumps(values)
    return request(f"{WAVE}/registrations", "POST", body, {"Content-Type": JSON} | headers)


def acts(house: House) -> dict[str, bytes]:
    """Return requests that the lane takes, whatever becomes of them."""
    ticket, far, pass_ = house.ticket(5), house.ticket(50), house.pass_(5)
    tickets, claim = f"{WAVE}/tickets", f"{WAVE}/pass"
    ours = {"Content-Type": JSON, "Sec-Fetch-Site": "same-origin", "Origin": "https://a.example"}
    held = f"ticket.wave-1={ticket}; pass.wave-1={pass_}"
    return {
        "join": request(tickets, "POST"),
        "join, length 0": request(tickets, "POST", b""),
        "join, object": request(tickets, "POST", b"{}", Content_Type=JSON),
        "join, browser": request(tickets, "POST", b"", BROWSER | {"Origin": "http://localhost"}),
        "join, elsewhere": request(tickets, "POST", Host="a.example", headers=ours),
        "join, again": request(tickets, "POST", Cookie=f"ticket.wave-1={ticket}"),
        "join, other waves": request(
            tickets, "POST", Cookie="; ".join(f"ticket.old-{i}=x" for i in range(9))
        ),
        "join, forged": request(tickets, "POST", Cookie="ticket.wave-1=forged"),
        "join, two tickets": request(
            tickets, "POST", Cookie=f"ticket.wave-1={ticket}; ticket.wave-1={far}"
        ),
        "join, not empty": request(tickets, "POST", b'{"a":1}', Content_Type=JSON),
        "join, no JSON": request(tickets, "POST", b"{", Content_Type=JSON, Accept_Language="en"),
        "claim": request(claim, "POST", Cookie=f"ticket.wave-1={ticket}"),
        "claim, bearer": request(claim, "POST", Authorization=f"Bearer {ticket}"),
        "claim, early": request(claim, "POST", Authorization=f"Bearer {far}"),
        "claim, nobody": request(claim, "POST"),
        "claim, by pass": request(claim, "POST", Authorization=f"Bearer {pass_}"),
        "extend": request(f"{claim}/extension", "POST", Authorization=f"Bearer {pass_}"),
        "extend, cookies": request(f"{claim}/extension", "POST", Cookie=held),
        "register": form(Authorization=f"Bearer {pass_}"),
        "register, cookies": form(headers=None, Cookie=held, **ours),
        "register, gap": form(Cookie=f"pass.wave-1={pass_}; a=b", Authorization="Basic x"),
        "register, wrong": form({"nik": "1", "x": 2}, Authorization=f"Bearer {pass_}"),
        "register, list": form([], Authorization=f"Bearer {pass_}"),
        "register, twice": form(b'{"nik":1,"nik":2}', Authorization=f"Bearer {pass_}"),
        "register, nobody": form(),
        "register, by ticket": form(Authorization=f"Bearer {ticket}"),
    }


def left_to_aiohttp(house: House) -> dict[str, bytes]:
    bearer = f"Bearer {house.pass_(5)}"
    tickets = f"{WAVE}/tickets"
    return {
        "a page is wanted": form(Authorization=bearer, Accept="text/html"),
        "charset": form(Authorization=bearer, Content_Type=f"{JSON}; charset=utf-8"),
        "no type": form(Authorization=bearer, Content_Type=None),
        "another type": form(Authorization=bearer, Content_Type="text/plain"),
        "no body": request(f"{WAVE}/registrations", "POST", Authorization=bearer),
        "packed": form(Authorization=bearer, Content_Encoding="gzip"),
        "another site": form(Authorization=bearer, Sec_Fetch_Site="cross-site"),
        "another origin": form(Authorization=bearer, Origin="https://b.example"),
        "a body of no type": request(tickets, "POST", b"{}"),
        "query": request(f"{tickets}?x=1", "POST"),
        "close": request(tickets, "POST", Connection="close"),
        "too long": form(b" " * 16_385, Authorization=bearer),
        "an unfillable gap": request(
            tickets, "POST", Cookie=f"x.ticket.w={house.ticket(5)}; ticket.wave-1=~cut~"
        ),
        "a strange ticket": request(tickets, "POST", Cookie="ticket.wave-1=a b"),
    }


@pytest.mark.parametrize("name", acts(House()))
async def test_an_act_is_told_with_aiohttps_bytes(both: Pair, name: str) -> None:
    fast, slow = await both.ask(acts(both.house)[name])
    assert fast == slow
    assert begun(both) == 1


@pytest.mark.parametrize("name", left_to_aiohttp(House()))
async def test_what_is_unusual_about_an_act_is_left_to_aiohttp(both: Pair, name: str) -> None:
    fast, slow = await both.ask(left_to_aiohttp(both.house)[name])
    assert fast == slow
    assert begun(both) == 0


@pytest.mark.parametrize(
    ("port", "answer"),
    [
        ("join", NotOpen(Phase.FULL)),
        ("join", NotOpen(Phase.RECOVERING)),
        ("join", PortUnavailableError("away", retry_after_s=1.0)),
        ("join", RoomMissingError("gone")),
        ("join", ZeroDivisionError("canary")),
        ("claim", Claimed(1, NOW_US + 10 * MINUTE_US, new=False)),
        ("claim", NOT_YET),
        ("claim", Ended(Ending.LEFT)),
        ("claim", Ended(Ending.REGISTERED)),
        ("extend", ExtensionRefused.EXHAUSTED),
        ("extend", ExtensionRefused.ENDED),
        *(("accept", refusal) for refusal in Refusal),
        ("accept", OutcomeUnknownError("lost")),
    ],
)
async def test_so_is_whatever_a_port_answers(both: Pair, port: str, answer: Any) -> None:
    script = both.house.intake if port == "accept" else both.house.room
    script.answers[port] = answer
    fast, slow = await both.ask(acts(both.house)["register" if port == "accept" else port])
    assert fast == slow
    assert begun(both) == 1
    assert b"canary" not in fast


async def test_a_registration_comes_whole_to_the_intake(both: Pair) -> None:
    await both.ask(form({"name": "Siti  \u00e9", "nik": VALUES["nik"]}, Authorization=f"Bearer {both.house.pass_(7)}"))  # fmt: skip
    assert both.house.asked == ["accept", "accept"]
    offered = both.house.intake.registration
    assert offered is not None
    assert (offered.number, offered.serial) == (7, 1)
    assert orjson.loads(offered.payload) == {"name": "Siti  \u00e9", "nik": VALUES["nik"]}


class Hold(asyncio.Event):
    """Set, it lets joins go on."""

    waiting = 0


def slow_joins(both: Pair) -> Hold:
    """Have joins wait."""
    room, go_on = both.house.room, Hold()
    join = room.join

    async def later(wave: Any) -> Any:
        go_on.waiting += 1
        await go_on.wait()
        return await join(wave)

    room.join = later  # type: ignore[method-assign]
    return go_on


async def test_answers_keep_the_order_of_requests_and_nothing_is_read_meanwhile(both: Pair) -> None:
    go_on = slow_joins(both)
    join, board = request(f"{WAVE}/tickets", "POST"), request(f"{WAVE}/board")
    async with wire(both.fast) as client:
        client.writer.write(board + join + board + join + request("/v1/openapi.json") + join)
        assert (await client.answer()).status == 200
        await wait_until(lambda: both.lane.gate.pending == 1, what="the first act")
        client.writer.write(board * 2)
        for _ in range(20):
            await asyncio.sleep(0)
        assert both.lane.gate.pending == 1
        assert both.answered == 1
        go_on.set()
        kinds = [next(iter((await client.answer()).json)) for _ in range(7)]
        assert kinds == [
            *("ticket", "programme", "ticket", "openapi"),
            *("ticket", "programme", "programme"),
        ]
    assert both.lane.gate.pending == 0
    assert begun(both) == 2  # behind the form, what had come with it is aiohttp's


async def test_i_45_what_comes_behind_an_act_is_bounded(both: Pair) -> None:
    go_on = slow_joins(both)
    flood = request(f"{WAVE}/board", X="x" * 3000)
    async with wire(both.fast) as client:
        client.writer.write(request(f"{WAVE}/tickets", "POST"))
        await wait_until(lambda: both.lane.gate.pending == 1, what="the act")
        for _ in range(20_000):  # more than all buffers of the system hold
            client.writer.write(flood)
        connection: Any = both.fast.listener.connections[0]
        await asyncio.sleep(0.2)
        assert sum(map(len, connection._turn._behind)) < 1_000_000
        go_on.set()
        assert (await client.answer()).status == 201
        assert (await client.answer()).status == 200


async def test_i_46_an_act_that_takes_too_long_is_told_to_be_unknown(both: Pair) -> None:
    go_on = slow_joins(both)
    for site in (both.fast, both.slow):
        listener: Any = site.listener
        listener.deadlines = replace(listener.deadlines, request_s=0.1)
    fast, slow = await both.ask(acts(both.house)["join"])
    assert fast == slow
    assert b"/outcome-unknown" in fast
    assert both.lane.gate.pending == 0
    go_on.set()


async def test_i_60_a_draining_process_finishes_what_it_has_begun(both: Pair) -> None:
    go_on = slow_joins(both)
    answers = []
    for lane in (both.lane, None):
        app = both.house.app_with_pages()
        site = await start_site(app, "127.0.0.1", 0, reuse_port=False, lane=lane)
        async with wire(site) as client:
            client.writer.write(acts(both.house)["join"])
            await wait_until(lambda: bool(go_on.waiting), what="begun")
            closing = asyncio.create_task(site.close(drain_s=5.0))
            await asyncio.wait([closing], timeout=0.1)
            assert not closing.done()
            go_on.set()
            answers.append(await one(client))
            assert await client.is_closed()
            await closing
        go_on.clear()
        go_on.waiting = 0
    assert answers[0] == answers[1]
    assert b"\r\nConnection: close\r\n" in answers[0]


async def test_an_act_whose_client_has_gone_is_no_longer_in_flight(both: Pair) -> None:
    go_on = slow_joins(both)
    async with wire(both.fast) as client:
        client.writer.write(acts(both.house)["join"])
        await wait_until(lambda: both.lane.gate.pending == 1, what="the act")
        client.writer.transport.abort()
        await wait_until(lambda: both.lane.gate.pending == 0, what="gone")
    go_on.set()
    await wait_until(lambda: both.house.asked == ["join"], what="the act has ended")
    await wait_until(lambda: begun(both) == 1, what="told")
    assert both.lane.gate.pending == 0


async def test_an_act_is_handled_and_no_quick_answer(both: Pair) -> None:
    gate, requests = both.lane.gate, acts(both.house)
    async with wire(both.fast) as client:
        for name in ("join", "claim", "register"):
            assert (await client.ask(requests[name])).status == 201
    assert (begun(both), gate.handled, gate.quick) == (3, 3, 0)


async def test_a_look_that_is_remembered_needs_no_room_and_knows_its_pace(both: Pair) -> None:
    both.lane.gate.limits = (0,) * len(Rank)
    look = request(f"{WAVE}/place", Cookie=f"ticket.wave-1={both.house.ticket(50)}")
    async with wire(both.fast) as client:
        answers = [await client.ask(look) for _ in range(BURST + 1)]
    assert [answer.status for answer in answers] == [200] * BURST + [503]
    assert (both.answered, both.lane.gate.quick) == (BURST, BURST + 1)
    assert len(both.lane._plans.looks) == 1


async def test_a_connection_wears_out_by_acts_too(both: Pair) -> None:
    limits: Any = both.fast.listener
    limits.deadlines = replace(limits.deadlines, requests_max=4)
    async with wire(both.fast) as client:
        answers = [await client.ask(request(f"{WAVE}/tickets", "POST")) for _ in range(4)]
        assert [a.headers.get("connection") for a in answers] == [None] * 3 + ["close"]
        assert await client.is_closed()
    assert begun(both) == 3


async def test_acts_are_counted_by_status_and_problem_once(both: Pair) -> None:
    answered: Counter[tuple[str, str, int]] = Counter()
    refused: Counter[str] = Counter()

    class Listening:
        def answered_in(self, method: str, route: str, status: int, took_s: list[float]) -> None:
            assert min(took_s) >= 0
            answered[method, route, status] += len(took_s)

        def answered_many(self, *_: Any) -> None: ...

        def shed(self, *_: Any) -> None: ...

        def refused(self, code: str) -> None:
            refused[code] += 1

    requests = acts(both.house)
    async with wire(both.fast) as client:
        for name in ("join", "join", "join, forged", "claim, early", "register, nobody"):
            await client.ask(requests[name])
    meter: Any = Listening()
    both.lane.report(meter)
    both.lane.report(meter)
    assert answered == {
        ("POST", f"{PATTERN}/tickets", 201): 2,
        ("POST", f"{PATTERN}/tickets", 403): 1,
        ("POST", f"{PATTERN}/pass", 202): 1,
        ("POST", f"{PATTERN}/registrations", 401): 1,
    }
    assert refused == {"ticket-invalid": 1, "pass-missing": 1}


@pytest.mark.parametrize("rank", [Rank.JOIN, Rank.CLAIM, Rank.REGISTRATION])
async def test_i_48_an_act_without_room_is_refused_before_it_begins(both: Pair, rank: Rank) -> None:
    both.lane.gate.limits = tuple(0 if each is rank else 64 for each in Rank)
    name = {Rank.JOIN: "join", Rank.CLAIM: "claim", Rank.REGISTRATION: "register"}[rank]
    async with wire(both.fast) as client:
        for _ in range(3):
            assert (await client.ask(acts(both.house)[name])).code == "overloaded"
    assert (begun(both), both.house.asked) == (0, [])
