"""I-7, I-23, I-25: after its server was started again, a room serves nobody until it was confirmed.

Also where the caller has seen nothing yet, to whom an older copy looks as whole as the room itself.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from gateway.core.checkpoint import Checkpoint, take
from gateway.ports import Joined, RoomMissingError
from gateway.redis import channel, lua
from gateway.redis.fence import Fences
from gateway.redis.recovery import RedisRecovery
from gateway.redis.room import RedisRooms
from tests.contract.test_redis_ports import POLICY, a_wave
from tests.valkeys import OwnValkey

WAVE = a_wave()
COPIED, GIVEN = 2, 5  # numbers given when the copy was made, and in all


@dataclass
class House:
    """A room whose server can be started again, and those who come to it."""

    server: OwnValkey
    rooms: RedisRooms  # seen nothing since the server was started again
    recovery: RedisRecovery
    known: Checkpoint  # what others have seen before

    def start_again(self, kept: str = "") -> None:
        self.server.kill()
        if kept:
            self.server.put_back_log(kept)
        self.server.start()

    async def number(self) -> int:
        await self.rooms.tick(WAVE, [])
        joined = await self.rooms.join(WAVE)
        assert isinstance(joined, Joined)
        return joined.number

    async def is_refused(self) -> bool:
        rooms = self.rooms
        for call in (rooms.tick(WAVE, []), rooms.join(WAVE), rooms.claim(WAVE, 0, 0)):
            with pytest.raises(RoomMissingError, match="not yet compared"):
                await call
        return True


@pytest.fixture
async def house() -> AsyncIterator[House]:
    server = OwnValkey()
    server.start()
    before = RedisRooms(server.url, "t")
    assert await before.create(WAVE)
    await before.tick(WAVE, [])
    for number in range(GIVEN):
        if number == COPIED:
            server.copy_log("early")
        await before.join(WAVE)
    server.copy_log("late")
    known = take(await before.tick(WAVE, []), POLICY)
    await before.close()
    recovery = RedisRecovery(server.url, "t", Fences())
    house = House(server, RedisRooms(server.url, "t"), recovery, known)
    yield house
    await house.rooms.close()
    await recovery.close()
    server.kill()


async def test_a_room_is_confirmed_as_it_is_made(house: House) -> None:
    assert await house.number() == GIVEN


async def test_a_room_put_back_without_its_last_numbers_is_put_right_before_it_serves(
    house: House,
) -> None:
    house.start_again("early")
    assert await house.is_refused()
    assert not await house.recovery.confirm_room(WAVE, [house.known])
    with pytest.raises(RoomMissingError, match="put back"):
        await house.rooms.join(WAVE)
    assert await house.recovery.restore(WAVE, house.known)
    await house.recovery.reopen(WAVE, {"who": "recovery"})
    assert await house.number() > GIVEN


async def test_a_room_that_was_kept_whole_goes_on_where_it_was_once_confirmed(
    house: House,
) -> None:
    house.start_again()
    assert await house.is_refused()
    for _ in range(2):  # of two deliveries both may do it
        assert await house.recovery.confirm_room(WAVE, [house.known])
    assert await house.number() == GIVEN


async def test_each_start_of_the_server_asks_for_another_confirmation(house: House) -> None:
    for _ in range(2):
        house.start_again()
        assert await house.is_refused()
        assert await house.recovery.confirm_room(WAVE, [house.known])


async def test_a_copy_that_lacks_nothing_but_time_is_an_older_one(house: House) -> None:
    """Who gave the numbers since may be dead: then all that tells is the wave clock."""
    house.start_again("late")
    assert not await house.recovery.confirm_room(WAVE, [house.known])
    assert await house.recovery.restore(WAVE, house.known)


async def test_registrations_that_a_recovery_did_not_find_are_not_missed_again(
    house: House,
) -> None:
    house.start_again()
    before_recovery = replace(house.known, epoch="f" * 16, accepted=3, clock_us=10**12)
    assert await house.recovery.confirm_room(WAVE, [house.known, before_recovery])


async def test_a_room_that_was_emptied_is_missing_and_never_confirmed(house: House) -> None:
    with house.server.client() as client:
        client.flushall()
    with pytest.raises(RoomMissingError, match="no such room"):
        await house.rooms.tick(WAVE, [])
    assert not await house.recovery.confirm_room(WAVE, [house.known])


async def test_a_fence_that_ignores_the_run_would_give_numbers_twice(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seeded bug: what all of the above rests on."""

    def ignorant(name: str) -> lua.Script:
        text = lua.load(name).text
        assert "confirmed_run ~= run_id()" in text
        return lua.Script(name, text.replace("confirmed_run ~= run_id()", "false"))

    monkeypatch.setattr(channel, "load", ignorant)
    house.start_again("early")
    assert await house.number() == COPIED
