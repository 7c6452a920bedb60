"""Who may connect: so many a process, so many a subscriber, and what is left when they are gone."""

import asyncio
import math
import resource
import statistics
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from gateway.web import clients
from gateway.web.clients import Proxies
from gateway.web.crowd import LOOKS, QUIET_S, Crowd
from gateway.web.deadlines import Deadlines
from tests.support import wait_until
from tests.web.house import House
from tests.web.wire import ask, request, serving, wire

STALLED, STALLED_LONG = 2_000, 10_000
HONEST_P99_S = 0.2


class Someone:
    """A connection: quiet from ``quiet_from_s`` on, or never."""

    def __init__(self, quiet_from_s: float = math.inf) -> None:
        self.quiet_from_s = quiet_from_s
        self.aborted = False

    def is_quiet(self, since_s: float) -> bool:
        return self.quiet_from_s <= since_s

    def abort(self) -> None:
        self.aborted = True


def test_one_subscriber_fills_its_share_and_nobody_elses() -> None:
    full = Crowd(connections_max=10, per_address_max=3)
    members = [Someone() for _ in range(5)]
    entered = [full.enter(each, "192.0.2.7", now_s=0.0) for each in members]
    assert entered == [True] * 3 + [False, False]
    assert full.enter(Someone(), "192.0.2.8", now_s=0.0)
    others = [full.enter(Someone(), "", now_s=0.0) for _ in range(9)]
    assert others == [True] * 6 + [False] * 3
    full.leave(members[0])
    assert full.enter(Someone(), "192.0.2.7", now_s=0.0)
    assert not full.enter(members[4], "192.0.2.7", now_s=0.0)
    assert full.take_closed() == {"full": 6}
    assert full.take_closed() == {}


def test_nothing_is_remembered_of_who_has_gone() -> None:
    empty = Crowd()
    for number in range(1000):
        member = Someone()
        assert empty.enter(member, f"2001:db8:{number:x}::/64", now_s=0.0)
        empty.leave(member)
        empty.leave(member)  # twice is once
    assert (empty.present, len(empty.by_address)) == (0, 0)


@pytest.mark.parametrize("key", ["192.0.2.7", ""])
def test_where_all_places_are_taken_the_quiet_make_room_the_oldest_first(key: str) -> None:
    crowd = Crowd(connections_max=4, per_address_max=4)
    busy, old, older = Someone(), Someone(10.0), Someone(9.0)
    for each in (busy, older, old, Someone()):
        assert crowd.enter(each, key, now_s=10.0)
    assert not crowd.enter(Someone(), key, now_s=9.0 + QUIET_S - 0.001)
    assert crowd.enter(Someone(), key, now_s=9.0 + QUIET_S)
    assert (busy.aborted, older.aborted, old.aborted) == (False, True, False)
    assert crowd.enter(Someone(), key, now_s=10.0 + QUIET_S)
    assert old.aborted
    assert not crowd.enter(Someone(), key, now_s=1e9)
    assert crowd.take_closed() == {"full": 2, "quiet": 2}
    assert crowd.present == 4


def test_looking_for_the_quiet_takes_no_longer_in_a_larger_crowd() -> None:
    crowd, looked = Crowd(per_address_max=1000), []

    class Busy(Someone):
        def is_quiet(self, since_s: float) -> bool:
            looked.append(since_s)
            return False

    for _ in range(1000):
        crowd.enter(Busy(), "192.0.2.7", now_s=0.0)
    assert not crowd.enter(Busy(), "192.0.2.7", now_s=1e9)
    assert len(looked) == LOOKS
    crowd.by_address["192.0.2.7"][quiet := Someone(0.0)] = None
    while not quiet.aborted:  # each look goes on where the last one ended
        crowd.enter(Busy(), "192.0.2.7", now_s=1e9)
    assert len(looked) <= 1000 + LOOKS


@pytest.fixture
def strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this machine count like any other."""
    monkeypatch.setattr(clients, "subscriber_of", str)


async def test_one_connection_too_many_of_an_address_is_closed_at_once_and_counted(
    strangers: None,
) -> None:
    async with serving(House().app(), per_address_max=2) as site:
        async with wire(site) as first, wire(site) as second, wire(site) as third:
            for client in (first, second):
                assert (await client.ask(request("/v1/waves/wave-1/board"))).status == 200
            assert await third.is_closed()
            assert site.listener.refusals["connections"] == 1
        await wait_until(lambda: site.listener.crowd.present == 0, what="all gone")
        assert (await ask(site, request("/v1/waves/wave-1/board"))).status == 200


async def test_i_52_a_stalled_connection_of_the_same_address_makes_room_for_an_honest_one(
    strangers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.web.crowd.QUIET_S", 0.0)
    house = House()
    async with serving(house.app(), per_address_max=3) as site, AsyncExitStack() as stack:
        stalled = [await stack.enter_async_context(wire(site)) for _ in range(3)]
        for number, client in enumerate(stalled):
            client.writer.write(_stall(house, number))
        await wait_until(lambda: site.listener.crowd.present == 3, what="all connected")
        await wait_until(lambda: len(site.listener.connections) == 3, what="known to aiohttp")
        for client in stalled:
            assert (await ask(site, request("/v1/waves/wave-1/board"))).status == 200
            assert await client.is_closed()
            await wait_until(lambda: site.listener.crowd.present == 2, what="the honest one gone")
            await stack.enter_async_context(wire(site))
            await wait_until(lambda: site.listener.crowd.present == 3, what="in its place")


async def test_who_is_being_answered_does_not_make_room(
    strangers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.web.crowd.QUIET_S", 0.0)
    house, entered, go_on = House(), asyncio.Event(), asyncio.Event()
    join = house.room.join

    async def slow_join(wave: Any) -> Any:
        entered.set()
        await go_on.wait()
        return await join(wave)

    house.room.join = slow_join  # type: ignore[method-assign]
    async with serving(house.app(), per_address_max=1) as site, wire(site) as busy:
        busy.writer.write(request("/v1/waves/wave-1/tickets", "POST"))
        await entered.wait()
        async with wire(site) as late:
            assert await late.is_closed()
        go_on.set()
        assert (await busy.answer()).status == 201


async def test_who_connects_by_itself_is_kept_for_a_shorter_time_than_a_proxy(
    strangers: None,
) -> None:
    deadlines = Deadlines(idle_s=60.0, facing_idle_s=0.2)
    trusting = Proxies(["127.0.0.0/8"])
    async with serving(House().app(), deadlines=deadlines) as site, wire(site) as client:
        assert (await client.ask(request("/v1/waves/wave-1/board"))).status == 200
        assert await client.is_closed()
    site_of = serving(House().app(), deadlines=deadlines, proxies=trusting)
    async with site_of as site, wire(site) as proxy:
        assert (await proxy.ask(request("/v1/waves/wave-1/board"))).status == 200
        closed = asyncio.create_task(proxy.reader.read(1))
        await asyncio.wait([closed], timeout=0.5)
        assert not closed.done()
        closed.cancel()


async def test_a_trusted_proxy_has_as_many_connections_as_the_process(strangers: None) -> None:
    trusting = Proxies(["127.0.0.0/8"])
    site_of = serving(House().app(), per_address_max=2, proxies=trusting)
    async with site_of as site, AsyncExitStack() as stack:
        for _ in range(5):
            client = await stack.enter_async_context(wire(site))
            assert (await client.ask(request("/v1/waves/wave-1/board"))).status == 200
        assert site.listener.refusals["connections"] == 0


@pytest.fixture
def many_descriptors() -> Iterator[int]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_g_5_stalled_connections_do_not_slow_the_honest(
    many_descriptors: int, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.web.body.DEADLINE_S", 60.0)  # all stall until the end
    count = STALLED_LONG if request.config.getoption("--long") else STALLED
    count = min(count, (many_descriptors - 500) // 2)
    await _stall_and_measure(count)


def _stall(house: House, number: int) -> bytes:
    """Return what one of them sends before it falls silent: nothing, half a head, half a body."""
    if number % 3 == 0:
        return b""
    if number % 3 == 1:
        return b"GET /v1/waves/wave-1/board HTTP/1.1\r\nHost: a\r\nX: "
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {house.pass_(number)}"}
    return request("/v1/waves/wave-1/registrations", "POST", b"{}", headers)[:-1]


async def _stall_and_measure(count: int) -> None:
    house, deadlines = House(), Deadlines(head_s=60, request_s=60)
    took_s = []
    site_of = serving(house.app(), deadlines=deadlines, connections_max=count + 10)
    async with site_of as site, AsyncExitStack() as stack:
        for number in range(count):
            stalled = await stack.enter_async_context(wire(site))
            stalled.writer.write(_stall(house, number))
        await wait_until(lambda: site.listener.crowd.present == count, what="all connected")
        async with wire(site) as honest:
            for _ in range(200):
                begun_s = time.perf_counter()
                assert (await honest.ask(request("/v1/waves/wave-1/board"))).status == 200
                took_s.append(time.perf_counter() - begun_s)
    p99_s = statistics.quantiles(took_s, n=100)[98]
    assert p99_s < HONEST_P99_S, f"{count} stalled: p99 {p99_s:.3f} s"
