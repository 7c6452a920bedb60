"""I-48, I-49: who is refused when there is no room, how, and where it is counted."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import orjson
import pytest

from gateway.core.shedding import Rank, Signals, limits
from gateway.web.gate import QUICK_CPU_S, Gate
from gateway.web.lane import Lane
from gateway.web.lane_table import make_lane
from gateway.web.listener import Site
from gateway.web.rendering import Pages
from tests.support import wait_until
from tests.web.house import PROGRAMME, VALUES, House
from tests.web.wire import Answer, ask, request, serving, wire

WAVE = "/v1/waves/wave-1"
BASE = "https://gateway.example/problems"


@dataclass
class Door:
    house: House
    site: Site
    lane: Lane

    @property
    def shed(self) -> Counter[Rank]:
        return self.lane.gate.shed

    def shut(self, *ranks: Rank) -> None:
        self.lane.gate.limits = tuple(0 if rank in ranks else 64 for rank in Rank)

    def of_each_rank(self) -> dict[Rank, bytes]:
        """Return one request of each rank that is more than a look for the lane."""
        ticket = self.house.ticket(0)
        form = orjson.dumps(VALUES)
        bearer, json = f"Bearer {self.house.pass_()}", "application/json"
        return {
            Rank.FAR_POLL: request(f"{WAVE}/board?x=1"),
            Rank.NEAR_POLL: request(f"{WAVE}/place", Cookie=f"ticket.wave-1={ticket}"),
            Rank.JOIN: request(f"{WAVE}/tickets", "POST"),
            Rank.CLAIM: request(f"{WAVE}/pass", "POST", Authorization=f"Bearer {ticket}"),
            Rank.REGISTRATION: request(
                f"{WAVE}/registrations", "POST", form, Authorization=bearer, Content_Type=json
            ),
        }


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    house, pages = House(), Pages((PROGRAMME,))
    lane = make_lane(house.services, pages, Gate(BASE, time.process_time))
    async with serving(house.app_with_pages(), lane=lane) as site:
        yield Door(house, site, lane)


def is_refusal(answer: Answer) -> bool:
    if answer.status != 503:
        return False
    assert answer.code == "overloaded"
    retry_in_ms = answer.json["retry_in_ms"]
    assert int(answer.headers["retry-after"]) == -(-retry_in_ms // 1000)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    return True


async def test_a_rank_without_room_is_refused_without_redis_and_the_connection_stays(
    door: Door,
) -> None:
    door.shut(*Rank)
    async with wire(door.site) as client:
        asked = door.of_each_rank()
        unread = asked.pop(Rank.FAR_POLL)
        for _ in range(3):
            for data in asked.values():
                assert is_refusal(await client.ask(data))
        assert door.shed == Counter(dict.fromkeys(asked, 3))
        assert door.lane.gate.handled == 0  # counted where it was taken: no handler has seen them
        assert is_refusal(await client.ask(unread))
        assert door.shed[Rank.FAR_POLL] == 1
    assert door.house.asked == []


async def test_what_the_lane_can_answer_needs_no_room(door: Door) -> None:
    door.shut(*Rank)
    waiting = request(f"{WAVE}/place", Cookie=f"ticket.wave-1={door.house.ticket(50)}")
    looks = [request(f"{WAVE}/board"), waiting, request("/waves/wave-1"), request("/")]
    async with wire(door.site) as client:
        assert [(await client.ask(look)).status for look in looks] == [200] * 4
    assert not door.shed


@pytest.mark.parametrize("shut", range(len(Rank) + 1))
async def test_the_least_important_go_first(door: Door, shut: int) -> None:
    door.lane.gate.limits = limits(1 - shut / len(Rank), 64)
    answers = {rank: await ask(door.site, data) for rank, data in door.of_each_rank().items()}
    assert [rank for rank in Rank if is_refusal(answers[rank])] == list(Rank)[:shut]


async def test_what_the_lane_cannot_judge_is_refused_behind_the_parser(door: Door) -> None:
    door.shut(*Rank)
    registration = door.of_each_rank()[Rank.REGISTRATION]
    async with wire(door.site) as client:  # its body comes later
        client.writer.write(registration[:-5])
        await wait_until(lambda: door.shed[Rank.REGISTRATION] == 1, what="refused")
        client.writer.write(registration[-5:])
        assert is_refusal(await client.answer())
    page = await ask(door.site, request("/waves/wave-1/wait", Accept="text/html"))
    assert page.status == 503
    assert page.headers["content-type"].startswith("text/html")
    assert is_refusal(await ask(door.site, request("/nowhere")))
    assert (await ask(door.site, request("/waves/wave-1?x=1"))).status == 200
    assert (await ask(door.site, request("/v1/openapi.json"))).status == 200
    assert door.house.asked == []


async def test_g_5_bodies_that_do_not_come_take_no_room_and_find_it_when_they_do(
    door: Door,
) -> None:
    door.lane.gate.limits = limits(1.0, 8)
    gate, form = door.lane.gate, orjson.dumps(VALUES)
    async with AsyncExitStack() as stack:
        clients = []
        for number in range(40):
            client = await stack.enter_async_context(wire(door.site))
            shown = {"Authorization": f"Bearer {door.house.pass_(number)}"}
            target, kind = f"{WAVE}/registrations", "application/json"
            data = request(target, "POST", form, headers=shown, Content_Type=kind)
            client.writer.write(data[:-5])
            clients.append(client)
            await wait_until(lambda: len(door.site.listener.connections) >= len(clients), what="in")
            assert (await ask(door.site, request("/"))).status == 200
        await wait_until(lambda: gate.pending == 0, what="none of them in flight")
        for rank, data in door.of_each_rank().items():
            assert not is_refusal(await ask(door.site, data)), rank
        assert sum(gate.shed.values()) == 0
        door.shut(Rank.REGISTRATION)
        clients[0].writer.write(form[-5:])
        assert is_refusal(await clients[0].answer())
        gate.limits = limits(1.0, 8)
        clients[1].writer.write(form[-5:])
        assert not is_refusal(await clients[1].answer())
    await wait_until(lambda: not door.site.listener.connections, what="all gone")
    assert gate.pending == 0


async def test_what_is_in_flight_bounds_what_is_let_in(door: Door) -> None:
    room, entered, go_on = door.house.room, asyncio.Event(), asyncio.Event()
    gate, join = door.lane.gate, room.join

    async def slow_join(wave: object) -> object:
        entered.set()
        await go_on.wait()
        return await join(wave)  # type: ignore[arg-type]

    room.join = slow_join  # type: ignore[assignment, method-assign]
    gate.limits = limits(1.0, 8)
    async with wire(door.site) as first, wire(door.site) as gone:
        waiting = [
            asyncio.create_task(ask(door.site, request(f"{WAVE}/tickets", "POST")))
            for _ in range(6)
        ]
        first.writer.write(request(f"{WAVE}/tickets", "POST"))
        gone.writer.write(request(f"{WAVE}/tickets", "POST"))
        await wait_until(lambda: gate.pending == 8, what="eight in flight")
        assert is_refusal(await ask(door.site, request(f"{WAVE}/tickets", "POST")))
        gone.writer.transport.abort()
        await wait_until(lambda: gate.pending == 7, what="one gone")
        go_on.set()
        assert (await first.answer()).status == 201
        assert {(await task).status for task in waiting} == {201}
    assert gate.pending == 0
    assert (await ask(door.site, request(f"{WAVE}/tickets", "POST"))).status == 201


async def test_nothing_stays_in_flight_whatever_ends_a_connection(door: Door) -> None:
    broken = [
        request(f"{WAVE}/form") * 40,
        request(f"{WAVE}/form") + b"\x00\r\n\r\n",
        request(f"{WAVE}/form", Connection="Upgrade", Upgrade="x") + request(f"{WAVE}/form"),
        request(f"{WAVE}/form", Connection="close") + request(f"{WAVE}/form"),
        request(f"{WAVE}/registrations", "POST", b"{}")[:-1],
    ]
    for data in broken:
        async with wire(door.site) as client:
            client.writer.write(data)
            client.writer.write_eof()
    await wait_until(lambda: not door.site.listener.connections, what="all gone")
    assert door.lane.gate.pending == 0


def test_refusals_are_spread_over_many_seconds() -> None:
    gate = Gate(BASE, time.process_time)
    for language in ("id", "en"):
        seconds: Counter[bytes] = Counter()
        for _ in range(1000):
            answer = gate.refusal(language, b"now")
            seconds[answer.partition(b"Retry-After: ")[2].partition(b"\r")[0]] += 1
        assert max(seconds.values()) <= 400  # promised: no second holds more than 40 %
        assert min(map(int, seconds)) >= 2


async def test_a_refusal_speaks_the_clients_language(door: Door) -> None:
    door.shut(Rank.JOIN)
    join = f"{WAVE}/tickets"
    titles = [
        (await ask(door.site, request(join, "POST", Accept_Language=language))).json["title"]
        for language in ("id", "en")
    ]
    assert titles[0] != titles[1]


@dataclass
class Cpu:
    spent_s: float = 0.0
    asked: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.spent_s


def test_the_limit_follows_what_a_handler_costs() -> None:
    cpu = Cpu()
    gate = Gate(BASE, cpu)
    for _ in range(100):
        gate.handled += 100
        cpu.spent_s += 100 * 0.0005
        gate.turn(Signals())
    assert gate.in_flight_max == 30
    for _ in range(20):  # refusals come by the thousand, and are not what a handler costs
        gate.handled += 100
        gate.quick += 4_000
        cpu.spent_s += 100 * 0.0005 + 4_000 * QUICK_CPU_S
        gate.turn(Signals())
    assert gate.in_flight_max == 30
    gate.handled += 3  # too few to tell anything
    cpu.spent_s += 5
    gate.turn(Signals())
    assert gate.in_flight_max == 30
    assert gate.state()["in_flight_max"] == 30
