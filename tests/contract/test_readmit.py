"""``readmit`` and ``revive`` on a real server: what becomes of receipts that Redis has lost and delivery has not."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import redis

from gateway.core.checkpoint import Checkpoint, take
from gateway.core.policy import Policy
from gateway.core.programme import Wave
from gateway.ports import Accepted, IntakeEntry, Refusal, RoomMissingError
from gateway.redis.fence import Fences
from gateway.redis.keys import room_keys
from gateway.redis.recovery import RedisRecovery
from gateway.redis.tail import RedisTail
from tests.contract.test_redis_ports import (
    Adapters,
    a_registration,
    a_wave,
    admitted,
    redis_ports,  # noqa: F401  a fixture
)

QUOTA = 2
AUDIT = {"who": "me", "reason": "they were told so"}


@dataclass
class House:
    """A room that was emptied, and is closed until it is put back."""

    ports: Adapters
    recovery: RedisRecovery
    tail: RedisTail
    wave: Wave
    known: Checkpoint  # of the room as it was

    async def reopen(self) -> int:
        """Let people in; return how many receipts are reported missing."""
        return await self.recovery.reopen(self.wave, {"who": "recovery"})

    async def readmit(self, *entries: IntakeEntry) -> int:
        counts = [await self.ports.intake.readmit(self.wave, entries) for _ in range(2)]
        assert counts[1] == 0, "said again it changes nothing"
        return counts[0]

    async def counts(self) -> tuple[int, int]:
        """Return how many are accepted, and how many of them wait for delivery."""
        snapshot = await self.ports.rooms.tick(self.wave, [])
        return snapshot.accepted, snapshot.backlog

    async def state(self, entry: IntakeEntry) -> str:
        record = await self.ports.intake.find_receipt(self.wave.programme_id, entry.receipt)
        return record.state if record else ""

    def entry(self, person: int, number: int = 7) -> IntakeEntry:
        names = self.wave.id, self.wave.programme_id, f"R{secrets.token_hex(4)}"
        values: dict[str, Any] = {"number": number, "serial": 1, "content": bytes(16)}
        return IntakeEntry("1-1", *names, bytes([person]) * 32, b"{}", 1_000, **values)


@pytest.fixture
async def house(
    redis_ports: Adapters,  # noqa: F811
    valkey_socket: Path,
    valkey_client: redis.Redis,
) -> AsyncIterator[House]:
    url, wave = f"unix://{valkey_socket}", a_wave()
    wave = replace(wave, policy=Policy(rate_per_s=50, burst=20, quota=QUOTA, check_in_s=1))
    await redis_ports.rooms.create(wave)
    known = take(await redis_ports.rooms.tick(wave, []), wave.policy)
    valkey_client.delete(*room_keys("t", wave.programme_id, wave.id))
    recovery, tail = RedisRecovery(url, "t", Fences()), RedisTail(url, "t")
    house = House(redis_ports, recovery, tail, wave, replace(known, accepted=1))
    await house.recovery.restore(wave, house.known)
    yield house
    await recovery.close()
    await tail.close()


async def test_what_is_put_back_before_the_room_opens_counts_as_it_did(house: House) -> None:
    """I-1, I-5, I-8: it is not reported missing, and the person stands under the same receipt."""
    entry = house.entry(person=1)
    assert await house.readmit(entry) == 1
    assert await house.reopen() == 0
    assert await house.counts() == (1, 1)
    (again,) = await house.ports.intake.read(house.wave, "one", 10, 0)
    assert replace(again, entry_id=entry.entry_id) == entry
    assert await house.state(entry) == "received"


async def test_what_the_room_knows_stays_as_it_is(house: House) -> None:
    entry = house.entry(person=1)
    await house.readmit(entry)
    assert await house.readmit(entry, house.entry(person=2)) == 1
    assert await house.counts() == (2, 2)


async def test_a_room_that_is_missing_takes_nothing_back(
    house: House, valkey_client: redis.Redis
) -> None:
    valkey_client.delete(room_keys("t", house.wave.programme_id, house.wave.id)[0])
    with pytest.raises(RoomMissingError):
        await house.ports.intake.readmit(house.wave, [house.entry(person=1)])


async def test_who_comes_late_takes_a_free_place(house: House) -> None:
    """A delivery that hung for longer than recovery waits for it."""
    assert await house.reopen() == 1
    await admitted(house.ports, house.wave, 1)
    assert await house.readmit(house.entry(person=1)) == 1
    assert await house.counts() == (1, 1)


async def test_who_comes_late_to_a_full_room_stands_in_the_dead_letters_until_somebody_decides(
    house: House,
) -> None:
    """I-1, I-11, I-13: nobody's pass is taken back, the quota is kept, and nothing is lost."""
    await house.reopen()
    passes = await admitted(house.ports, house.wave, QUOTA)
    entry = house.entry(person=9)
    assert await house.readmit(entry) == 0
    (letter,) = await house.tail.dead(house.wave, 10)
    assert (letter.reason, letter.accepted_at_us) == ("above-quota", 1_000)
    assert (await house.state(entry), await house.counts()) == ("rejected", (0, 0))
    for number, held in enumerate(passes):
        registration = a_registration(number, held, person=number)
        assert isinstance(await house.ports.intake.accept(house.wave, registration), Accepted)
    assert await house.counts() == (QUOTA, QUOTA)
    assert await house.tail.revive(house.wave, [letter.id], AUDIT) == (1, 0)
    assert (await house.state(entry), await house.counts()) == ("received", (3, 3))
    *_, last = await house.ports.intake.read(house.wave, "one", 10, 0)
    assert replace(last, entry_id=entry.entry_id) == entry


async def test_whoever_has_registered_again_since_is_told_so_and_the_first_is_counted_missing(
    house: House, valkey_client: redis.Redis
) -> None:
    """I-5, I-9: one registration a person; that of the lost receipt is not silently gone."""
    assert await house.reopen() == 1
    (held,) = await admitted(house.ports, house.wave, 1)
    second = a_registration(0, held, person=1)
    assert isinstance(await house.ports.intake.accept(house.wave, second), Accepted)
    first = house.entry(person=1)
    assert await house.readmit(first) == 0
    assert (await house.state(first), await house.counts()) == ("duplicate", (1, 1))
    room = room_keys("t", house.wave.programme_id, house.wave.id)[0]
    assert valkey_client.hget(room, "missing") == b"2"


async def test_who_was_put_back_is_refused_with_another_form(house: House) -> None:
    """I-9, I-10."""
    await house.readmit(house.entry(person=1, number=7))
    await house.reopen()
    (held,) = await admitted(house.ports, house.wave, 1)
    other = a_registration(0, held, person=1, content=5)
    assert await house.ports.intake.accept(house.wave, other) is Refusal.ALREADY_REGISTERED


async def test_what_a_recovery_looks_for_outlives_its_first_attempt(house: House) -> None:
    """I-7: whoever begins once more has seen only the emptied room."""
    assert await house.recovery.restore(house.wave, replace(house.known, accepted=0))
    assert await house.reopen() == 1
