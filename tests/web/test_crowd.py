"""Who may connect: so many a process, so many a subscriber, and what is left when they are gone."""

import resource
import statistics
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest

from gateway.web import crowd
from gateway.web.crowd import Crowd, address_key
from gateway.web.deadlines import Deadlines
from tests.support import wait_until
from tests.web.house import House
from tests.web.wire import ask, request, serving, wire

STALLED, STALLED_LONG = 2_000, 10_000
HONEST_P99_S = 0.2


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9%eth0", "2001:db8:1:2::/64"),
        ("127.0.0.1", ""),
        ("::1", ""),
        ("::ffff:127.0.0.1", ""),
        ("a path", ""),
    ],
)
def test_a_subscriber_is_an_ipv4_address_or_an_ipv6_network(address: str, key: str) -> None:
    assert address_key(address) == key


def test_one_subscriber_fills_its_share_and_nobody_elses() -> None:
    full = Crowd(connections_max=10, per_address_max=3)
    keys = [full.enter(("192.0.2.7", 1)) for _ in range(5)]
    assert keys == ["192.0.2.7"] * 3 + [None, None]
    assert full.enter(("192.0.2.8", 1)) == "192.0.2.8"
    others = [full.enter(("127.0.0.1", 1)) for _ in range(9)]
    assert others == [""] * 6 + [None] * 3
    full.leave("192.0.2.7")
    assert full.enter(("192.0.2.7", 1)) == "192.0.2.7"


def test_nothing_is_remembered_of_who_has_gone() -> None:
    empty = Crowd()
    for number in range(1000):
        key = empty.enter((f"2001:db8:{number:x}::1", 1, 0, 0))
        assert key
        empty.leave(key)
    assert (empty.present, len(empty.by_address)) == (0, 0)


async def test_one_connection_too_many_of_an_address_is_closed_at_once_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(crowd, "address_key", str)  # this machine counts like any other
    async with serving(House().app(), per_address_max=2) as site:
        async with wire(site) as first, wire(site) as second, wire(site) as third:
            for client in (first, second):
                assert (await client.ask(request("/v1/waves/wave-1/board"))).status == 200
            assert await third.is_closed()
            assert site.listener.refusals["connections"] == 1
        await wait_until(lambda: site.listener.crowd.present == 0, what="all gone")
        assert (await ask(site, request("/v1/waves/wave-1/board"))).status == 200


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
