"""The tick's company: who has left is known at once where it was said, and cheaply elsewhere."""

import random
from dataclasses import replace

import pytest

from gateway.ports import Ended, Ending, PolicyRevision, PortError, PortUnavailableError
from gateway.services.admission import Ticker
from gateway.services.front_door import FrontDoor
from gateway.services.overview import misfit
from gateway.services.rooms import LEFT_EVERY_S, LiveRoom, Rooms
from tests.adapters.policy import MemoryPolicies
from tests.adapters.ports import ScriptedRoom
from tests.web.house import OPEN, PROGRAMME, House


class NoWitness:
    """A witness that wants to know nothing."""

    def ticked(self, room: LiveRoom) -> None: ...

    def missed(self, room: LiveRoom, error: PortError) -> None:
        raise error


class World:
    """One room, one ticker, and a clock in the test's hands."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.port = ScriptedRoom(answers={"left": b"", "leave": Ended(Ending.LEFT)})
        self.rooms = Rooms({"prakerja": PROGRAMME}, bytes(32), lambda: self.now_s)
        self.room = next(iter(self.rooms))
        policies = MemoryPolicies({self.room.wave.id: PolicyRevision(1, self.room.policy)})
        rng = random.Random(1)
        self.ticker = Ticker(self.rooms, self.port, policies, NoWitness(), tick_s=0.2, rng=rng)

    async def tick(self, ended: int) -> None:
        self.port.answers["tick"] = replace(OPEN, ended=ended)
        await self.ticker.tick(self.room)


async def test_who_left_is_asked_for_once_a_second_however_many_leave() -> None:
    """I-45: the bitmap of a large room is no load of every tick."""
    world = World()
    await world.tick(ended=0)
    for ended in range(1, 6):
        await world.tick(ended)
        world.now_s += 0.2
    assert world.port.asked.count("left") == 1
    world.now_s += LEFT_EVERY_S
    await world.tick(ended=6)
    assert world.port.asked.count("left") == 2
    await world.tick(ended=6)
    world.now_s += LEFT_EVERY_S
    await world.tick(ended=6)
    assert world.port.asked.count("left") == 2, "nobody left since"


async def test_i_25_a_process_with_another_draw_key_tells_nobody_a_position(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nor does it give numbers to people whom it cannot tell how they stand."""
    world = World()
    for _ in range(2):
        world.port.answers["tick"] = replace(OPEN, commitment="0" * 64)
        await world.ticker.tick(world.room)
    assert capsys.readouterr().out.count("this draw.key is not the wave's") == 1
    assert world.room.revision == OPEN.revision, "it is not behind as well"
    assert world.room.position(0) is None
    for tell in (world.room.current, world.room.moment):
        with pytest.raises(PortUnavailableError):
            tell()
    reason = f"{world.room.wave.id}: its draw is bound to another draw.key than this process has"
    assert misfit(world.room) == reason
    world.port.answers["tick"] = replace(OPEN, commitment=world.room.commitment())
    await world.ticker.tick(world.room)
    assert (misfit(world.room), world.room.position(0)) == (None, 0)


@pytest.mark.parametrize("known", [b"", b"\x00\x00\x00\x00"])
async def test_who_leaves_is_gone_at_once_where_it_said_so(known: bytes) -> None:
    """I-32."""
    world = World()
    world.port.answers["left"] = known
    await world.tick(ended=0)
    door = FrontDoor(world.port, House().ticket_keys, bytes)
    await door.leave(world.room, House().credential(21))
    assert world.room.has_left(21)
    assert not any(map(world.room.has_left, (20, 22, 200)))
