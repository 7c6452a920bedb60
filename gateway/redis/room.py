"""The waiting room in Redis: the room port, batched per process and operation.

Round trips: one per tick; joins, claims, looks, leaves and extensions share theirs with whatever of the
same kind waits at the same moment.
"""

import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from gateway.core.programme import Wave
from gateway.core.snapshot import Phase, Snapshot
from gateway.ports import (
    Claimed,
    Ended,
    Ending,
    ExtensionRefused,
    Joined,
    NotOpen,
    NotYet,
    OutcomeUnknownError,
    PortUnavailableError,
    Standing,
)
from gateway.redis.batch import Batcher
from gateway.redis.channel import AnotherEpochError, Channel
from gateway.redis.fence import Fences
from gateway.redis.keys import key
from gateway.redis.wave import GROUP, WaveScripts, moment_text, policy_numbers, policy_text

BATCH_MAX = 500
PENDING_MAX = 5_000
TICK_DEADLINE_S = 0.5
VISITOR_DEADLINE_S = 0.5
_SNAPSHOT_FIELDS = tuple(field.name for field in fields(Snapshot))


@dataclass(frozen=True, slots=True)
class _Batchers:
    """The pending lists of one wave."""

    join: Batcher[None, Joined | NotOpen]
    claim: Batcher[tuple[int, int], Claimed | NotYet | Ended]
    look: Batcher[tuple[int], Standing]
    leave: Batcher[tuple[int, int], Ended]
    extend: Batcher[tuple[int, int, int], int | ExtensionRefused]


class RedisRooms:
    """``RoomPort`` on one Redis or Valkey."""

    def __init__(
        self,
        url: str,
        prefix: str,
        fences: Fences | None = None,
        wall_us: Callable[[], int] = lambda: time.time_ns() // 1_000,
        commitment: Callable[[Wave], str] = lambda _: "",  # of the draw, as this process knows it
    ) -> None:
        self._prefix = prefix
        self._wall_us, self._commitment = wall_us, commitment
        self._fences = fences or Fences()
        self._ticks = Channel(url, deadline_s=TICK_DEADLINE_S)
        self._joins = Channel(url, deadline_s=VISITOR_DEADLINE_S)
        self._visits = Channel(url, deadline_s=VISITOR_DEADLINE_S)
        self._batchers: dict[str, _Batchers] = {}

    async def create(self, wave: Wave) -> bool:
        """Make the room, and say so, unless it exists; the first maker's times and policy stay."""
        moments = wave.prequeue_at, wave.opens_at, wave.closes_at
        times = [moment_text(moment) for moment in moments]
        document = [policy_text(wave.policy), *policy_numbers(wave.policy)]
        committed = ["commitment", self._commitment(wave)] if self._commitment(wave) else []
        scripts = WaveScripts(self._prefix, wave)
        args = [GROUP, *times, *document, *committed]
        return bool(await scripts.run(self._ticks, "create", secrets.token_hex(8), args))

    async def tick(self, wave: Wave, present: Sequence[int]) -> Snapshot:
        """Report who checked in, get the room's state."""
        scripts, fence = WaveScripts(self._prefix, wave), self._fences.text(wave.id)
        args: list[str | int] = [self._wall_us(), self._commitment(wave), *present]
        try:
            answer = await scripts.run(self._ticks, "tick", fence, args)
        except AnotherEpochError:  # recovered: its own counters must do, see observe
            answer = await scripts.run(self._ticks, "tick", "", args)
        snapshot = read_snapshot(answer)
        self._fences.observe(wave.id, snapshot)
        return snapshot

    async def join(self, wave: Wave) -> Joined | NotOpen:
        """Give the next number."""
        return await self._of(wave).join.ask(None)

    async def claim(self, wave: Wave, number: int, position: int) -> Claimed | NotYet | Ended:
        """Take a token and issue a pass, or say how long to wait."""
        return await self._of(wave).claim.ask((number, position))

    async def look(self, wave: Wave, number: int) -> Standing:
        """Say how a visitor stands. Changes nothing."""
        return await self._of(wave).look.ask((number,))

    async def leave(self, wave: Wave, number: int, position: int | None) -> Ended:
        """End the ticket, releasing its pass."""
        return await self._of(wave).leave.ask((number, -1 if position is None else position))

    async def left(self, wave: Wave) -> bytes:
        """Return the bitmap of who left, by number, most significant bit first."""
        name = key(self._prefix, wave.programme_id, wave.id, "left")
        try:
            return await self._ticks.command("GET", name) or b""
        except OutcomeUnknownError as error:
            raise PortUnavailableError(str(error)) from error

    async def extend(
        self, wave: Wave, number: int, serial: int, seen: int
    ) -> int | ExtensionRefused:
        """Lengthen the pass by one life, unless it has had more than ``seen``."""
        return await self._of(wave).extend.ask((number, serial, seen))

    @property
    def pending_count(self) -> int:
        """How many visitors' calls wait for a batch to leave."""
        batchers = (getattr(of, f.name) for of in self._batchers.values() for f in fields(of))
        return sum(batcher.pending_count for batcher in batchers)

    async def close(self) -> None:
        """Close the connections."""
        for channel in (self._ticks, self._joins, self._visits):
            await channel.close()

    def _of(self, wave: Wave) -> _Batchers:
        batchers = self._batchers.get(wave.id)
        if batchers is None:
            batchers = self._batchers[wave.id] = self._make(wave)
        return batchers

    def _make(self, wave: Wave) -> _Batchers:
        scripts = WaveScripts(self._prefix, wave)

        async def call(channel: Channel, name: str, args: Sequence[int]) -> Any:
            # Each of these scripts may be repeated, so an unknown outcome is one to retry.
            try:
                return await scripts.run(channel, name, self._fences.text(wave.id), args)
            except OutcomeUnknownError as error:
                raise PortUnavailableError(str(error)) from error

        async def join(batch: Sequence[None]) -> list[Joined | NotOpen]:
            joined = _joined(await call(self._joins, "join", [len(batch)]), len(batch))
            if isinstance(joined[-1], Joined):
                self._fences.joined(wave.id, joined[-1].number)
            return joined

        def batcher(name: str, read: Callable[[Any], Any]) -> Batcher[Any, Any]:
            async def send(batch: Sequence[tuple[int, ...]]) -> list[Any]:
                flat = [part for each in batch for part in each]
                return [read(answer) for answer in await call(self._visits, name, flat)]

            return _batcher(send)

        return _Batchers(
            join=_batcher(join),
            claim=batcher("claim", read_claim),
            look=batcher("look", read_standing),
            leave=batcher("leave", lambda word: Ended(Ending(word.decode()))),
            extend=batcher("extend", _extended),
        )


def _batcher(send: Callable[[Sequence[Any]], Awaitable[Sequence[Any]]]) -> Batcher[Any, Any]:
    return Batcher(send, batch_max=BATCH_MAX, pending_max=PENDING_MAX)


def read_snapshot(answer: list[Any]) -> Snapshot:
    """Return what ``tick.lua`` has told."""
    values = dict(zip(_SNAPSHOT_FIELDS, answer, strict=True))
    values["epoch"] = answer[0].decode()
    values["phase"] = Phase(answer[1].decode())
    values["beacon"], values["commitment"] = (text.decode() for text in answer[-2:])
    return Snapshot(**values)


def _joined(answer: list[Any], count: int) -> list[Joined | NotOpen]:
    if answer[0] != b"joined":
        return [NotOpen(Phase(answer[0].decode()))] * count
    _, first, at_us, *words = answer
    phase, epoch = Phase(words[0].decode()), words[1].decode()
    return [Joined(number, epoch, phase, at_us) for number in range(first, first + count)]


def read_claim(answer: list[Any]) -> Claimed | NotYet | Ended:
    """Return what ``claim.lua`` has told one visitor."""
    word, serial, instant_us, wait_us = answer[0].decode(), *answer[1:]
    if word in {"issued", "held"}:
        return Claimed(serial, instant_us, new=word == "issued")
    if word in set(Ending):
        return Ended(Ending(word))
    return NotYet(word, wait_us)


def read_standing(answer: list[Any]) -> Standing:
    """Return what ``look.lua`` has told one visitor."""
    word, serial, expires_at_us, extensions, receipt = answer
    return Standing(word.decode(), serial, expires_at_us, extensions, receipt.decode())


def _extended(answer: list[Any]) -> int | ExtensionRefused:
    word, instant_us = answer
    return int(instant_us) if word == b"extended" else ExtensionRefused(word.decode())
