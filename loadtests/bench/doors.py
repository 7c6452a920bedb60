"""Two front doors in virtual time: the gateway's own services over the room's own scripts.

Where a service would wait for Redis, its coroutine is set aside with what it asks; all that ask the same
thing go in one call of the script, as ``redis/batch`` sends them. Nothing here knows how admission works.
"""

import random
from collections.abc import Callable, Coroutine, Generator, Sequence
from types import coroutine
from typing import Any, NamedTuple, cast

from gateway.core.programme import Programme, Wave
from gateway.core.snapshot import Snapshot
from gateway.core.tickets import Credential, Key, Keyring, Kind
from gateway.ports import Claimed, Ended, NotYet, PolicyPort, PortError, RoomPort, Standing
from gateway.redis.room import read_claim, read_snapshot, read_standing
from gateway.services.admission import Admission, PassIssued, Ticker
from gateway.services.front_door import FrontDoor, Place
from gateway.services.rooms import LiveRoom, Rooms
from loadtests.bench.scripts import EPOCH, VirtualScripts

TICK_US = 200_000
KEYS = Keyring(Key(1, bytes(32)))
READERS: dict[str, Callable[[Any], Any]] = {"claim": read_claim, "look": read_standing}
Done = Callable[[Any], None]
Work = Coroutine[Any, Any, Any]


class Asked(NamedTuple):
    """What a service asks of the room."""

    script: str
    args: Sequence[int]


@coroutine
def _ask(script: str, *args: int) -> Generator[Asked, Any, Any]:
    return (yield Asked(script, args))


class _ScriptedRoom:
    """The part of ``RoomPort`` that visitors use once they have a ticket."""

    async def tick(self, wave: Wave, present: Sequence[int]) -> Snapshot:
        del wave
        return read_snapshot(await _ask("tick", *present))

    async def left(self, wave: Wave) -> bytes:
        del wave
        return b""  # nobody leaves here

    async def claim(self, wave: Wave, number: int, position: int) -> Claimed | NotYet | Ended:
        del wave
        answer: Claimed | NotYet | Ended = await _ask("claim", number, position)
        return answer

    async def look(self, wave: Wave, number: int) -> Standing:
        del wave
        answer: Standing = await _ask("look", number)
        return answer


class _Nobody:
    """A witness of ticks that looks away."""

    def ticked(self, room: LiveRoom) -> None:
        """Look away."""

    def missed(self, room: LiveRoom, error: PortError) -> None:
        """Look away."""


class Door:
    """One process: its snapshot, its services, and those of their calls that wait for a batch."""

    def __init__(self, programme: Programme, scripts: VirtualScripts, rng: random.Random) -> None:
        wave = programme.waves[0]
        self._scripts, self._rng = scripts, rng
        self.now_us = self._tick_at_us = 0
        self.room = LiveRoom(programme, wave, bytes(32), lambda: self.now_us / 1e6, wave.policy)
        self.room.revision = 1  # does not change here
        port = cast("RoomPort", _ScriptedRoom())
        rooms, policies = cast("Rooms", (self.room,)), cast("PolicyPort", None)  # neither is asked
        self._ticker = Ticker(rooms, port, policies, _Nobody(), tick_s=0.2, rng=rng)
        self._front = FrontDoor(port, KEYS, bytes)
        self._admission = Admission(port, KEYS)
        self._waiting: dict[str, list[tuple[Sequence[int], Work, Done]]] = {"look": [], "claim": []}
        self._board: tuple[int, dict[str, Any]] = (-TICK_US, {})

    def move_to(self, now_us: int) -> None:
        """Let time pass: tick when it is time for it."""
        self.now_us = now_us
        if now_us >= self._tick_at_us:
            self._tick_at_us = now_us + round(TICK_US * self._rng.uniform(0.5, 1.5))
            work = self._ticker.tick(self.room)
            asked = work.send(None)
            _resume(work, self._scripts.tick(now_us, asked.args), lambda _: None)

    def board(self) -> dict[str, Any]:
        """Return the board, as old as a tick at most."""
        if self.now_us - self._board[0] >= TICK_US:
            self._board = self.now_us, self._front.board(self.room)
        return self._board[1]

    def place(self, number: int, done: Callable[[Place], None]) -> None:
        """Ask for one's place."""
        self._begin(self._front.place(self.room, ticket(number)), done)

    def claim(self, number: int, done: Callable[[PassIssued | NotYet | Ended], None]) -> None:
        """Ask for a pass."""
        self._begin(self._admission.claim(self.room, ticket(number)), done)

    def _begin(self, work: Work, done: Done) -> None:
        try:
            asked: Asked = work.send(None)
        except StopIteration as end:
            done(end.value)
        else:
            self._waiting[asked.script].append((asked.args, work, done))

    def flush(self) -> None:
        """Send what has collected, one call per script."""
        for script, waiting in self._waiting.items():
            if waiting:
                self._waiting[script] = []
                flat = [part for args, _, _ in waiting for part in args]
                answers = self._scripts.run(script, self.now_us, flat)
                for (_, work, done), answer in zip(waiting, answers, strict=True):
                    _resume(work, READERS[script](answer), done)


def ticket(number: int) -> Credential:
    """Return the ticket of a number."""
    return Credential(Kind.TICKET, "bench", "bench-1", EPOCH, number, 0, 0, bytes(8))


def _resume(work: Work, answer: Any, done: Done) -> None:
    try:
        work.send(answer)
    except StopIteration as end:
        done(end.value)
    else:
        raise AssertionError("a service asked the room twice")
