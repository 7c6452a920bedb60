"""I-52: floods from an address and floods by a ticket, and the people who share that address."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from gateway.core.flood import Throttled
from gateway.core.shedding import Rank, limits
from gateway.core.tickets import Credential, Kind
from gateway.web import clients
from gateway.web.clients import Peer, Proxies
from gateway.web.cookies import Shown
from gateway.web.gate import Gate
from gateway.web.lane_table import make_lane
from gateway.web.listener import Site
from gateway.web.problems import Problem
from gateway.web.rendering import Pages
from gateway.web.throttle import CONNECTION_BURST, HELD_MAX, TICKET_BURST, Throttle
from tests.adapters import virtual_time
from tests.support import wait_until
from tests.web.house import PROGRAMME, House
from tests.web.wire import Answer, ask, request, serving, wire

WAVE = "/v1/waves/wave-1"
BASE = "https://gateway.example/problems"
JOIN = request(f"{WAVE}/tickets", "POST")
ADDRESS = "203.0.113.7"


class Door:
    """A listener behind a trusted proxy, so that a client may have any address."""

    def __init__(self, joins_per_min: int = 300, polls_per_min: int = 3_000) -> None:
        self.house = House(proxies=Proxies(["127.0.0.0/8"]))
        self.gate = Gate(BASE, lambda: 0.0)
        self.throttle = Throttle(
            self.house.services.cookies,
            self.house.proxies,
            BASE,
            self.gate,
            joins_per_min,
            polls_per_min,
        )
        object.__setattr__(self.house.services, "throttle", self.throttle)
        self.lane = make_lane(self.house.services, Pages((PROGRAMME,)), self.gate)

    def serving(self, **settings: Any) -> Any:
        proxies = self.house.proxies
        return serving(self.house.app_with_pages(), lane=self.lane, proxies=proxies, **settings)


def of(address: str, data: bytes) -> bytes:
    return data.replace(b"Host: ", f"X-Forwarded-For: {address}\r\nHost: ".encode(), 1)


@pytest.fixture
async def flooded(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Door, Site]]:
    """Yield a door where ``ADDRESS`` has used up all it may do."""
    monkeypatch.setattr("gateway.web.throttle.JOINS_BURST_S", 60.0)
    monkeypatch.setattr("gateway.web.throttle.HOLD_S_MAX", 0.0)
    door = Door(joins_per_min=5, polls_per_min=5)
    async with door.serving() as site:
        for _ in range(5):
            assert (await ask(site, of(ADDRESS, JOIN))).status == 201
            assert (await ask(site, of(ADDRESS, request(f"{WAVE}/place")))).status == 401
        yield door, site


def is_refusal(answer: Answer) -> bool:
    if answer.status != 429:
        return False
    assert answer.code == "too-many-requests"
    retry_in_ms = answer.json["retry_in_ms"]
    assert int(answer.headers["retry-after"]) == -(-retry_in_ms // 1000)
    assert "kept" in answer.json["detail"] or "tetap" in answer.json["detail"]
    return True


async def test_a_flood_of_joins_is_refused_before_the_parser_and_the_connection_stays(
    flooded: tuple[Door, Site],
) -> None:
    door, site = flooded
    asked, handled = list(door.house.asked), door.gate.handled
    async with wire(site) as client:
        retries: Counter[int] = Counter()
        for _ in range(100):
            answer = await client.ask(of(ADDRESS, JOIN))
            assert is_refusal(answer)
            retries[answer.json["retry_in_ms"] // 1000] += 1
    assert max(retries.values()) <= 40  # I-49: no second holds more than 40 %
    assert (door.house.asked, door.gate.handled) == (asked, handled)
    assert door.throttle.take_refused() == {Throttled.JOIN: 100}
    assert door.throttle.take_refused() == {}


async def test_other_addresses_and_this_machine_do_not_notice(flooded: tuple[Door, Site]) -> None:
    _, site = flooded
    assert (await ask(site, of("203.0.113.8", JOIN))).status == 201
    assert (await ask(site, of("203.0.113.8", request(f"{WAVE}/place")))).status == 401
    for _ in range(10):
        assert (await ask(site, of("10.0.0.1, 127.0.0.1", JOIN))).status in {201, 429}
        assert (await ask(site, JOIN)).status == 201  # the proxy itself: this machine


async def test_who_holds_a_ticket_is_never_counted_by_its_address(
    flooded: tuple[Door, Site],
) -> None:
    door, site = flooded
    cookie = {"Cookie": f"ticket.wave-1={door.house.ticket(50)}"}
    called = {"Authorization": f"Bearer {door.house.ticket(5)}"}
    for data in (
        request(f"{WAVE}/tickets", "POST", headers=cookie),
        request(f"{WAVE}/place", headers=cookie),
        request(f"{WAVE}/place", headers=called),
        request(f"{WAVE}/place?ahead=3", headers=cookie),
        request(f"{WAVE}/pass", "POST", headers=called),
        request(f"{WAVE}/board?x=1", headers=cookie),
        request("/waves/wave-1/wait", headers=cookie),
    ):
        answer = await ask(site, of(ADDRESS, data))
        assert answer.status in {200, 201}, (data, answer)
    forged = {"Cookie": f"ticket.wave-1={door.house.ticket(50)[:-2]}AA"}
    assert is_refusal(await ask(site, of(ADDRESS, request(f"{WAVE}/place", headers=forged))))
    assert (
        await ask(site, of(ADDRESS, request(f"{WAVE}/tickets", "POST", headers=forged)))
    ).status == 403


async def test_what_costs_no_more_than_a_refusal_is_not_counted(flooded: tuple[Door, Site]) -> None:
    _, site = flooded
    for target in ("/", "/waves/wave-1", f"{WAVE}/board", f"{WAVE}/form", "/v1/openapi.json"):
        assert (await ask(site, of(ADDRESS, request(target)))).status == 200
    for data in (
        request(f"{WAVE}/board?x=1"),
        request(f"{WAVE}/board", "HEAD"),
        request(f"{WAVE}/pass", "POST"),
        request(f"{WAVE}/pass/extension", "POST"),
        request(f"{WAVE}/registrations", "POST", b"{}", {"Content-Type": "application/json"}),
        request("/v1/registrations/656FVHX6QKAJ6BX4Z43938GP9CM"),
        request("/nowhere"),
    ):
        assert (await ask(site, of(ADDRESS, data))).status == 429, data


async def test_the_way_without_script_is_counted_alike(flooded: tuple[Door, Site]) -> None:
    door, site = flooded
    form = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}
    data = request("/waves/wave-1/wait", "POST", b"action=join", headers=form)
    page = await ask(site, of(ADDRESS, data))
    assert page.status == 429
    assert page.headers["content-type"].startswith("text/html")
    door.throttle._paces[Throttled.POLL][2]._may_at.clear()
    assert (await ask(site, of(ADDRESS, data))).status == 429  # it is a join, too
    assert (await ask(site, of("203.0.113.8", data))).status == 303


async def test_one_ticket_that_is_hammered_is_refused_and_nobody_else() -> None:
    door = Door()
    loud, quiet = (
        request(f"{WAVE}/pass", "POST", Authorization=f"Bearer {door.house.ticket(n)}")
        for n in (5, 6)
    )
    async with door.serving() as site, wire(site) as client:
        answers = [await client.ask(of(ADDRESS, loud)) for _ in range(TICKET_BURST + 20)]
        assert all(answer.status in {200, 201} for answer in answers[:TICKET_BURST])
        assert sum(map(is_refusal, answers)) >= 15
        assert (await client.ask(of(ADDRESS, quiet))).status == 201
    assert set(door.throttle.take_refused()) == {Throttled.TICKET}


async def test_above_the_pace_answers_are_slower_and_take_no_room_from_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.web.throttle.JOINS_BURST_S", 0.2)
    door = Door(joins_per_min=300)  # one at once, then one every 200 ms
    loop = asyncio.get_running_loop()
    async with door.serving() as site:
        began_s = loop.time()
        joins = [asyncio.create_task(ask(site, of(ADDRESS, JOIN))) for _ in range(4)]
        await wait_until(lambda: door.throttle.held == 3, what="three wait on purpose")
        assert door.gate.pending <= 0
        door.gate.limits = limits(1.0, 1)  # room for one that is in flight
        assert (await ask(site, request(f"{WAVE}/form"))).status == 200
        assert [(await join).status for join in joins] == [201] * 4
        assert loop.time() - began_s >= 0.6 - 0.05
        await wait_until(lambda: door.gate.pending == 0, what="all answered")
    assert door.throttle.held == 0
    assert door.gate.limits[Rank.JOIN] == 1


async def test_nothing_stays_aside_of_who_goes_away_while_it_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.web.throttle.JOINS_BURST_S", 0.2)
    door = Door(joins_per_min=300)
    async with door.serving() as site:
        assert (await ask(site, of(ADDRESS, JOIN))).status == 201
        async with wire(site) as client:
            client.writer.write(of(ADDRESS, JOIN))
            await wait_until(lambda: door.throttle.held == 1, what="it waits")
            client.writer.transport.abort()
        await wait_until(lambda: door.throttle.held == 0, what="nobody waits")
        await wait_until(lambda: door.gate.pending == 0, what="nothing in flight")


async def test_one_connection_gets_few_new_tickets_and_a_proxy_any_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    door = Door()
    async with door.serving() as site, wire(site) as proxy:
        answers = [await proxy.ask(of(ADDRESS, JOIN)) for _ in range(20)]
        assert {answer.status for answer in answers} == {201}
    monkeypatch.setattr(clients, "subscriber_of", str)  # this machine counts like any other
    door = Door()
    door.house.proxies._trusted = ()
    async with door.serving() as site, wire(site) as client, wire(site) as other:
        answers = [await client.ask(JOIN) for _ in range(CONNECTION_BURST + 3)]
        assert [answer.status for answer in answers] == [201] * CONNECTION_BURST + [429] * 3
        assert (await other.ask(JOIN)).status == 201


# --- five thousand people behind one address, in virtual time


class Person:
    """What a request of somebody shows to the throttle."""

    def __init__(self, peer: Peer, number: int | None = None) -> None:
        self.shown = Shown("", False, () if number is None else (str(number),), (), peer, "")


class TicketsByCookie:
    """Every number in a cookie is a valid ticket."""

    def held(self, shown: Shown, kind: Kind, wave_id: str) -> Credential | None:
        number = int(shown.cookies[0])
        return Credential(kind, "p", wave_id, "0" * 16, number, 0, 0, bytes(8))


class Address:
    """Who stands behind one address, and what became of them."""

    PEOPLE, RATE_PER_S, ARRIVAL_S = 5_000, 50.0, 60.0

    def __init__(self, seed: int, arrival_s: float = ARRIVAL_S, joins_per_min: int = 300) -> None:
        self.seed, self.arrival_s = seed, arrival_s
        self.throttle = Throttle(TicketsByCookie(), joins_per_min=joins_per_min)
        self.refused = 0  # honest requests
        self.joined: dict[int, tuple[float, float]] = {}  # person -> came and joined, s
        self.attacks: Counter[str] = Counter()

    async def live(self, *attackers: Any, until_s: float = 3_600.0) -> None:
        began_s, tasks = _now_s(), [asyncio.create_task(attacker) for attacker in attackers]
        people = [asyncio.create_task(self.person(number)) for number in range(self.PEOPLE)]
        await asyncio.wait(people, timeout=until_s)
        for task in (*tasks, *people):
            if task.done():
                task.result()
            task.cancel()
        self.joined = {n: (c - began_s, j - began_s) for n, (c, j) in self.joined.items()}

    async def person(self, number: int) -> None:
        rng = random.Random(f"{self.seed} {number}")
        await asyncio.sleep(rng.uniform(0, self.arrival_s))
        came_s, newcomer = _now_s(), Person(Peer(ADDRESS))
        while (wait_s := await _wait_s(self.throttle.join(newcomer.shown))) is not None:
            self.refused += 1
            await asyncio.sleep(wait_s + rng.uniform(0, 4))
        self.joined[number] = came_s, _now_s()
        holder = Person(Peer(ADDRESS), number)
        for _ in range(5):  # called, it asks again and again, and claims
            await asyncio.sleep(rng.uniform(1, 3))
            refused = await _wait_s(self.throttle.poll(holder.shown, ["wave-1"]))
            assert refused is None, "a ticket's holder is never refused for others"

    def waits_s(self) -> list[float]:
        """From coming to one's turn, by person: tickets whose holders never ask are passed over."""
        turn_s, found = 0.0, {}
        for number, (came_s, joined_s) in sorted(self.joined.items(), key=lambda item: item[1][1]):
            turn_s = max(joined_s, turn_s + 1 / self.RATE_PER_S)
            found[number] = turn_s - came_s
        return [found[number] for number in range(self.PEOPLE)]

    async def attack(
        self, name: str, per_s: float, *, number: int | None = None, fresh: bool = False
    ) -> None:
        """Ask a minute long: for new tickets, on one connection or on fresh ones, or with one ticket."""
        peer, until_s = Peer(ADDRESS), _now_s() + 60.0
        while _now_s() < until_s:
            await asyncio.sleep(1 / per_s)
            peer = Peer(ADDRESS) if fresh else peer
            shown = Person(peer, number).shown
            joins = name == "join"
            asked = self.throttle.join(shown) if joins else self.throttle.poll(shown, ["w"])
            if self.throttle.held < HELD_MAX - 1:  # else it would only be refused, at our cost
                task = asyncio.create_task(_wait_s(asked))
                task.add_done_callback(partial(self._count, name))
            else:
                asked.close()

    def _count(self, name: str, done: asyncio.Task[float | None]) -> None:
        self.attacks[f"{name} {'refused' if done.result() is not None else 'let in'}"] += 1


async def _wait_s(question: Any) -> float | None:
    """Return what a refusal says of waiting; None: let in."""
    try:
        await question
    except Problem as problem:
        return problem.retry_after_s
    return None


def _now_s() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("arrival_s", [1.0, 60.0, 1800.0])
def test_i_52_five_thousand_people_behind_one_address_are_never_refused(arrival_s: float) -> None:
    address = Address(1, arrival_s)
    virtual_time.run(address.live())
    assert address.refused == 0
    assert len(address.joined) == Address.PEOPLE
    assert all(joined_s == came_s for came_s, joined_s in address.joined.values())


def test_i_52_sixty_joins_a_minute_would_refuse_them() -> None:
    address = Address(1, joins_per_min=60)
    virtual_time.run(address.live(until_s=70.0))
    assert address.refused > 0


async def _attacked(address: Address, fresh_per_s: float) -> None:
    await address.live(
        *(address.attack("join", 20.0) for _ in range(25)),  # 500 joins a second
        address.attack("join", fresh_per_s, fresh=True),  # each on a connection of its own
        *(address.attack("ticket", 100.0, number=10_000 + n) for n in range(2)),
        address.attack("bare", 200.0),
    )


def test_i_52_under_attack_from_their_address_nobody_is_blocked_and_waits_at_most_double() -> None:
    alone, attacked = Address(2), Address(2)
    virtual_time.run(alone.live())
    virtual_time.run(_attacked(attacked, fresh_per_s=50.0))
    assert (alone.refused, attacked.refused) == (0, 0)
    pairs = zip(alone.waits_s(), attacked.waits_s(), strict=True)
    assert all(after_s <= 2 * before_s for before_s, after_s in pairs)
    for name in ("join", "ticket", "bare"):
        assert attacked.attacks[f"{name} refused"] > 1_000, attacked.attacks


def test_a_flood_on_fresh_connections_delays_newcomers_of_its_address_alone_and_ends() -> None:
    """What no limit can tell apart. Whoever is in stays in: ``person`` asserts it."""
    address = Address(3)
    virtual_time.run(_attacked(address, fresh_per_s=300.0))
    assert len(address.joined) == Address.PEOPLE
    assert address.refused > 0
