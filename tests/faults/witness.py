"""Who watches Valkey itself during a run, and reads what is left at the end."""

import asyncio
import contextlib
from collections.abc import Mapping

import redis

from tests.faults.history import History, Remains
from tests.faults.hooks import REACHED
from tests.faults.world import WAVE, World

LOOK_S = 0.05
REST_S_MAX = 20.0
Unreachable = (redis.RedisError, OSError)


class Witness:
    """Notes rare states while a run goes on."""

    def __init__(self, world: World, history: History) -> None:
        self._world, self._history = world, history
        self._seen: set[str] = set()
        self._phase = ""

    async def watch(self, stop: asyncio.Event) -> None:
        """Look until told to stop; a cancellation would be lost in the client's own timeout."""
        while not stop.is_set():
            with contextlib.suppress(*Unreachable):
                await self._look()
            await asyncio.sleep(LOOK_S)

    async def _look(self) -> None:
        room, outstanding, _ = await read_room(self._world)
        if not room:
            return
        if room["phase"] == "recovering" != self._phase:
            self._history.reached["`recovering`"] += 1
        self._phase = room["phase"]
        full = int(room["accepted"]) + outstanding == int(room["quota"]) and outstanding > 0
        if full and "full" not in self._seen:
            self._seen.add("full")
            self._history.reached["quota exactly full with outstanding passes"] += 1


async def read_room(world: World) -> tuple[Mapping[str, str], int, int]:
    """Return the room's hash, its outstanding passes and its backlog."""
    pipe = world.client.pipeline(transaction=False)
    pipe.hgetall(world.key("room"))
    pipe.zcard(world.key("expiries"))
    pipe.xlen(world.key("intake"))
    room, outstanding, backlog = await pipe.execute()
    return {k.decode(): v.decode() for k, v in room.items()}, outstanding, backlog


async def rest(world: World) -> bool:
    """Wait until nothing is under way any more; say whether it came to that."""
    clock = asyncio.get_running_loop().time
    deadline_s = clock() + REST_S_MAX
    while clock() < deadline_s:
        with contextlib.suppress(*Unreachable):
            room, _, backlog = await read_room(world)
            if room and room["phase"] != "recovering" and backlog == 0:
                return True
        await asyncio.sleep(LOOK_S)
    return False


async def read_remains(world: World) -> Remains:
    """Read Valkey, store and dead letters."""
    room, _, _ = await read_room(world)
    client = world.client
    receipts = await client.hgetall(world.key("receipts"))
    records = {k.decode(): v.decode().split("|") for k, v in receipts.items()}
    persons = await client.hgetall(world.key("persons"))
    stands = {person.decode(): receipt.decode() for person, receipt in persons.items()}
    pending = await client.xrange(world.key("intake"))
    dead = await client.xrange(world.key("dead"))
    return Remains(
        rows=await world.store.rows(WAVE),
        receipts={receipt: record[-1] for receipt, record in records.items()},
        superseded=[
            receipt
            for receipt, (_, person, *_, state) in records.items()
            if state == "duplicate" and stands.get(person) != receipt
        ],
        pending=[fields[b"receipt"].decode() for _, fields in pending],
        dead={fields[b"receipt"].decode(): fields[b"reason"].decode() for _, fields in dead},
        room={name: int(text) for name, text in room.items() if text.isdecimal()},
    )


def count_reached(world: World, history: History) -> None:
    """Take in what the children have noted."""
    path = world.folder / REACHED
    history.reached.update(path.read_text().splitlines() if path.exists() else ())
    history.reached.update(world.store.reached())
    history.reached["dead letter written"] += len(history.remains.dead)
    history.reached["answer cut off after its effect"] += sum(
        line.replies_cut for line in [*world.lines, *world.links.values()]
    )
    history.reached = +history.reached
