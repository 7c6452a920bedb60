"""``settle``, ``confirm`` and ``revive`` on a real server: what is kept, what comes back, what is noted."""

import random
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from gateway.core.policy import Policy
from gateway.core.programme import Moment, Wave
from gateway.ports import IntakeEntry, Settled, Stocks
from gateway.redis.intake import RedisIntake
from gateway.redis.policy import RedisPolicies
from gateway.redis.room import RedisRooms
from gateway.redis.tail import RedisTail
from tests.adapters.intake import MemoryIntake

AUDIT = {"who": "me", "reason": "the store was mended"}


@dataclass
class House:
    """One open wave, and entries in its intake that nobody had to queue for."""

    server: Any
    rooms: RedisRooms
    intake: RedisIntake
    tail: RedisTail
    policies: RedisPolicies
    wave: Wave

    def key(self, name: str) -> str:
        within = name if name == "receipts" else f"w:{name}"
        return f"tail:{{{self.wave.programme_id}}}:{within}"

    def add(self, count: int) -> list[str]:
        receipts = [f"R{secrets.token_hex(4)}" for _ in range(count)]
        for receipt in receipts:
            values = {"receipt": receipt, "person": "00" * 32, "number": 1, "serial": 1}
            kept = {"accepted_at_us": 1_000, "payload": "{}"}
            self.server.xadd(self.key("intake"), values | kept)
            self.server.hset(self.key("receipts"), receipt, f"w|{'00' * 32}|00|1000|0|received")
        return receipts

    async def deliver(self, state: str, reason: str = "") -> list[IntakeEntry]:
        entries = list(await self.intake.read(self.wave, "one", 100, 0))
        told = [Settled(e.entry_id, e.receipt, state, reason) for e in entries]
        await self.intake.settle(self.wave, told)
        return entries

    async def state(self, receipt: str) -> str:
        record = await self.intake.find_receipt(self.wave.programme_id, receipt)
        assert record is not None
        return record.state


@pytest.fixture
async def house(valkey_socket: Path, valkey_client: redis.Redis) -> AsyncIterator[House]:
    url = f"unix://{valkey_socket}"
    moments = Moment(0, True), Moment(0, True), Moment(3_600_000_000, True)
    wave = Wave("w", "p" + secrets.token_hex(3), 1, *moments, Policy(quota=100, intake_cap=5))
    ports = RedisRooms(url, "tail"), RedisIntake(url, "tail"), RedisTail(url, "tail")
    policies = RedisPolicies(url, "tail")
    await ports[0].create(wave)
    yield House(valkey_client, *ports, policies, wave)
    for port in (*ports, policies):
        await port.close()


async def test_what_is_recorded_is_kept_until_it_was_read_back(house: House) -> None:
    one, two = house.add(2)
    await house.deliver("recorded")
    assert (await house.rooms.tick(house.wave, [])).recorded == 2
    kept = await house.tail.settled(house.wave, 10, 0.0)
    assert [entry.receipt for entry in kept] == [one, two]
    assert await house.tail.settled(house.wave, 10, 60.0) == [], "settled just now"
    assert await house.tail.confirm(house.wave, {kept[0].entry_id: True}) == 0
    for queued in (1, 0):  # saying it twice is saying it once
        assert await house.tail.confirm(house.wave, {kept[1].entry_id: False}) == queued
    snapshot = await house.rooms.tick(house.wave, [])
    assert (snapshot.recorded, snapshot.backlog) == (1, 1)
    assert (await house.state(one), await house.state(two)) == ("recorded", "received")
    assert await house.tail.stocks(house.wave) == Stocks(0, 0, 0, 1)
    (again,) = await house.deliver("recorded")
    assert (again.receipt, again.accepted_at_us, again.payload) == (two, 1_000, b"{}")
    assert (await house.rooms.tick(house.wave, [])).recorded == 2


@dataclass
class Aging:
    """A tail by a clock of its own, and the house it belongs to."""

    house: House
    tail: RedisTail
    now_s: float = 1_000.0

    async def count(self) -> int:
        return len(await self.tail.settled(self.house.wave, 10, 5.0))

    async def record_one(self) -> None:
        self.house.add(1)
        await self.house.deliver("recorded")

    def keep_one_ahead_of_the_clock(self) -> None:
        self.house.server.xadd(self.house.key("settled"), {"receipt": "R0"}, id=f"{2**42}-0")


@pytest.fixture
async def aging(house: House, valkey_socket: Path) -> AsyncIterator[Aging]:
    made: list[Aging] = []
    tail = RedisTail(f"unix://{valkey_socket}", "tail", now_s=lambda: made[0].now_s)
    made.append(Aging(house, tail))
    yield made[0]
    await tail.close()


async def test_f_18_what_is_old_enough_is_told_by_our_own_clock(aging: Aging) -> None:
    """Redis may be set back by an hour: its ids go on from where they were, ahead of its clock."""
    aging.keep_one_ahead_of_the_clock()
    await aging.record_one()
    told = []
    for step_s in (0.0, 4.9, 0.1, 5.0):
        aging.now_s += step_s
        if aging.now_s == 1_005.0:  # 5 s after the first look: what comes now is not old enough
            await aging.record_one()
        told.append(await aging.count())
    assert told == [0, 0, 2, 3]


async def test_what_goes_on_arriving_gets_old_all_the_same(aging: Aging) -> None:
    """Looked at each second while something comes each second: each is told after five."""
    told = []
    for _ in range(8):
        await aging.record_one()
        told.append(await aging.count())
        aging.now_s += 1.0
    assert told == [0, 0, 0, 0, 0, 1, 2, 3]


async def test_a_stream_that_begins_anew_is_as_young_as_it_is(aging: Aging) -> None:
    aging.keep_one_ahead_of_the_clock()
    told = [await aging.count()]
    aging.house.server.delete(aging.house.key("settled"))
    await aging.record_one()
    for _ in range(2):
        aging.now_s += 5.0
        told.append(await aging.count())
    assert told == [0, 0, 1]


async def test_duplicates_and_refusals_are_not_read_back(house: House) -> None:
    house.add(1)
    await house.deliver("duplicate")
    house.add(1)
    await house.deliver("rejected", "why")
    assert await house.tail.stocks(house.wave) == Stocks(1, 0, 0, 0)


async def test_a_dead_letter_is_told_without_its_person_and_retried_once(house: House) -> None:
    (receipt,) = house.add(1)
    (entry,) = await house.deliver("rejected", "payload-invalid")
    (letter,) = await house.tail.dead(house.wave, 10)
    assert (letter.reason, letter.tries, letter.entry_id) == ("payload-invalid", 1, entry.entry_id)
    assert receipt not in repr(letter)
    assert await house.tail.revive(house.wave, [letter.id], AUDIT) == (1, 0)
    assert await house.tail.revive(house.wave, [letter.id], AUDIT) == (0, 0)
    assert await house.state(receipt) == "received"
    (again,) = await house.deliver("recorded")
    assert (again.receipt, again.payload, again.deliveries) == (receipt, b"{}", 1)
    records = await house.policies.audit(house.wave, 10)
    assert [(r["who"], r["dead_before"], r["dead_after"]) for r in records] == [
        ("me", "0", "0"), ("me", "1", "0"),
    ]  # fmt: skip


async def test_all_of_a_wave_are_retried_up_to_the_cap_of_the_intake(house: House) -> None:
    house.add(7)
    await house.deliver("rejected", "why")
    assert await house.tail.revive(house.wave, [], AUDIT) == (5, 2)
    assert await house.tail.revive(house.wave, [], AUDIT) == (0, 2)
    assert (await house.rooms.tick(house.wave, [])).backlog == 5


async def test_what_is_queued_again_waits_since_then(house: House) -> None:
    """An old dead letter would otherwise count as an intake that is too old, and stop everybody."""
    house.add(1)
    assert (await house.rooms.tick(house.wave, [])).oldest_us == 1_000
    for _ in range(2):
        await house.deliver("rejected", "why")
        await house.tail.revive(house.wave, [], AUDIT)
        snapshot = await house.rooms.tick(house.wave, [])
        assert snapshot.now_us - snapshot.oldest_us < 60_000_000
    (entry,) = house.server.xrange(house.key("intake"))
    assert list(entry[1]).count(b"queued_at_us") == 1
    assert not {b"reason", b"tries", b"buried_at_us", b"entry_id"} & set(entry[1])


async def test_every_receipt_is_seen_by_its_pages(house: House) -> None:
    receipts, found, cursor = set(house.add(5)), set[str](), 0
    while True:
        cursor, page = await house.tail.receipts(house.wave.programme_id, cursor, 2)
        found |= page.keys()
        if cursor == 0:
            break
    assert found == receipts


async def test_what_waits_or_is_refused_is_told_by_its_receipts(house: House) -> None:
    house.add(2)
    await house.deliver("recorded")
    dead, waiting = house.add(3), set[str]()
    await house.deliver("rejected", "why")
    waiting = set(house.add(4))
    pages = [page async for page in house.tail.unfinished(house.wave)]
    assert set().union(*pages) == {*dead, *waiting}


@pytest.mark.parametrize("seed", range(5))
async def test_scripts_and_the_intake_in_memory_lead_the_same_life(house: House, seed: int) -> None:
    """Accept, deliver with any outcome, read back, retry the dead: the same sets after every step."""
    rng, memory = random.Random(seed), MemoryIntake()
    for _ in range(60):
        move = rng.choice(["add", "add", "deliver", "deliver", "confirm", "revive"])
        if move == "add" and len(memory.stream(house.wave).entries) < 5:
            for receipt in house.add(rng.randint(1, 3)):
                memory.append(house.wave, receipt, bytes(32), b"{}")
        elif move == "deliver":
            state = rng.choice(["recorded", "recorded", "duplicate", "rejected"])
            await house.deliver(state, "why")
            entries = await memory.read(house.wave, "one", 100, 0)
            told = [Settled(e.entry_id, e.receipt, state, "why") for e in entries]
            await memory.settle(house.wave, told)
        elif move == "confirm":
            stands = rng.random() < 0.5
            for tail in (house.tail, memory):
                kept = await tail.settled(house.wave, 3, 0.0)
                await tail.confirm(house.wave, {entry.entry_id: stands for entry in kept})
        elif move == "revive":
            letters = await house.tail.dead(house.wave, 100)
            places = [i for i in range(len(letters)) if rng.random() < 0.4]
            ours = await memory.revive(house.wave, places, house.wave.policy.intake_cap)
            ids = [letters[place].id for place in places]
            assert await house.tail.revive(house.wave, ids, AUDIT) == ours
        await _compare(house, memory)


async def _compare(house: House, memory: MemoryIntake) -> None:
    stream = memory.stream(house.wave)
    stocks = await house.tail.stocks(house.wave)
    assert stocks == await memory.stocks(house.wave)
    assert (await house.rooms.tick(house.wave, [])).backlog == len(stream.entries)
    waiting = [
        fields[b"receipt"].decode() for _, fields in house.server.xrange(house.key("intake"))
    ]
    assert waiting == [entry.receipt for entry in stream.entries.values()]
    for receipt, record in memory.records.items():
        assert await house.state(receipt) == record.state


async def test_a_comparison_is_asked_for_and_no_wish_is_like_an_earlier_one(house: House) -> None:
    assert await house.tail.asked(house.wave) == 0
    wishes = [await house.tail.ask(house.wave, AUDIT) for _ in range(3)]
    assert await house.tail.asked(house.wave) == wishes[-1]
    house.server.delete(*house.server.keys(f"tail:{{{house.wave.programme_id}}}:*"))
    await house.rooms.create(house.wave)
    assert await house.tail.asked(house.wave) == 0
    wishes.append(await house.tail.ask(house.wave, AUDIT))
    assert wishes == sorted(set(wishes)), "not after Redis was emptied either"


async def test_a_wish_after_the_clock_was_set_back_is_a_later_one(house: House) -> None:
    house.server.hset(house.key("room"), "asked", 2**52)
    assert await house.tail.ask(house.wave, AUDIT) == 2**52 + 1
    assert await house.tail.asked(house.wave) == 2**52 + 1
