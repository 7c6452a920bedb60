"""Keeping rooms: who makes them, takes their checkpoints, confirms them, and puts lost ones back.

Only delivery does this, because only it has the store. After each start of its server a room stays
closed until it was compared with its checkpoint and with what living processes know. One that is missing
or holds less stays closed until every registration in the store counts again; then numbers go on behind
all that were ever given, so that old tickets keep their order.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from gateway.core.checkpoint import Checkpoint, from_json, merge, take, to_json
from gateway.core.form import content_digest
from gateway.core.programme import Programme, Wave
from gateway.ports import (
    ArchivePort,
    IntakeEntry,
    PolicyPort,
    PortError,
    RecordedRow,
    RoomMissingError,
    RoomPort,
)
from gateway.services.delivery_hand import Hand
from gateway.services.operations import ProcessesPort

EVERY_S = 1.0
# How long the processes that live are listened to: by then each has probed Redis, and told its row.
LISTEN_S = 1.3
HAND_OVER_S_MAX = (
    5.0  # for living deliveries to put back what they have in hand; a silent one is dead by then
)
LOOK_S = 0.1
ROWS = 500


class RecoveryPort(Protocol):
    """Confirming rooms, putting lost ones back. When it is down: they stay closed, and it is tried again."""

    def expect(self, wave: Wave, known: Checkpoint) -> None:
        """Refuse from now on a room that holds less than the checkpoint."""

    async def confirm_room(self, wave: Wave, seen: Sequence[Checkpoint]) -> bool:
        """Let a room be used until its server starts again; False where it is missing, or less than seen.

        One that is less is closed by the same step.
        """

    async def restore(self, wave: Wave, known: Checkpoint) -> bool:
        """Put the room in place with the least it must have been, closed to everybody.

        False where it stands already, put back by another process.
        """

    async def restore_rows(self, wave: Wave, rows: Sequence[RecordedRow]) -> None:
        """Count what the store has: persons, receipts, spent passes."""

    async def reopen(self, wave: Wave, audit: Mapping[str, str]) -> int:
        """Let people in again; answer how many acknowledged registrations were not found."""


class Keeper:
    """The rooms of all programmes, from their making to their recovery."""

    def __init__(
        self,
        programmes: Sequence[Programme],
        rooms: RoomPort,
        policies: PolicyPort,
        processes: ProcessesPort,
        recovery: RecoveryPort,
        archive: ArchivePort,
        hand: Hand,
        pepper: bytes,
        report: Callable[[Wave, Checkpoint, int], None],
    ) -> None:
        self._programmes = programmes
        self._rooms, self._policies, self._processes = rooms, policies, processes
        self._recovery, self._archive = recovery, archive
        self._hand = hand
        self._pepper = pepper
        self._report = report
        self._taken: dict[str, Checkpoint] = {}

    async def prepare(self) -> None:
        """Learn what was kept, and bring every room up, made or recovered.

        Raises:
            PortError: Redis or the store is away; try again.
        """
        kept = await self._archive.checkpoints()
        self._taken = {wave_id: from_json(json.loads(text)) for wave_id, text in kept.items()}
        for wave in (wave for programme in self._programmes for wave in programme.waves):
            if wave.id in self._taken:
                self._recovery.expect(wave, self._taken[wave.id])
        await self._hand.look()
        await self.keep()

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the rooms until told to stop."""
        while not stop.is_set():
            with contextlib.suppress(PortError):
                await self.keep()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await stop.wait()

    async def keep(self) -> None:
        """Look at every room once: take its checkpoint, or confirm it, or put it back."""
        taken: dict[str, Checkpoint] = {}
        doubted: list[tuple[Programme, list[Wave]]] = []
        for programme in self._programmes:
            waves = []
            for wave in programme.waves:
                try:
                    taken[wave.id] = await self._take(wave)
                except RoomMissingError:
                    if not await self._make(wave):
                        waves.append(wave)
            if waves:
                doubted.append((programme, waves))
        if doubted:
            await asyncio.sleep(LISTEN_S)  # what living processes know is more recent
        for programme, waves in doubted:
            await self._confirm_or_put_back(programme, waves)
        await self._save(taken)
        await self._hand.look()  # another delivery may have put a room back

    async def _save(self, taken: Mapping[str, Checkpoint]) -> None:
        changed = {wave_id: one for wave_id, one in taken.items() if self._is_news(wave_id, one)}
        if changed:
            documents = {wave_id: json.dumps(to_json(one)) for wave_id, one in changed.items()}
            await self._archive.save_checkpoints(documents)
        for wave_id in taken.keys() - changed.keys():  # an older copy may lack nothing but time
            before = self._taken[wave_id]
            self._taken[wave_id] = replace(before, clock_us=taken[wave_id].clock_us)
        self._taken |= changed

    def _is_news(self, wave_id: str, one: Checkpoint) -> bool:
        """Whether anything but time has moved."""
        before = self._taken.get(wave_id)
        still = ("at_us", "clock_us", "joins_per_s")
        return before is None or any(
            getattr(before, name) != value
            for name, value in to_json(one).items()
            if name not in still
        )

    async def _take(self, wave: Wave) -> Checkpoint:
        snapshot = await self._rooms.tick(wave, [])
        if snapshot.phase == "recovering":
            raise RoomMissingError("a recovery was not finished")
        read = await self._policies.read(wave)
        return take(snapshot, read.policy, self._taken.get(wave.id), read.timer)

    async def _make(self, wave: Wave) -> bool:
        """Make a room that nobody has ever seen; False: somebody has, or it is there."""
        if wave.id in self._taken or await self._seen(wave):
            return False
        return await self._rooms.create(wave)

    async def _confirm_or_put_back(self, programme: Programme, doubted: Sequence[Wave]) -> None:
        known = {}
        for wave in doubted:
            seen = [*await self._seen(wave), *filter(None, [self._taken.get(wave.id)])]
            if await self._recovery.confirm_room(wave, seen):
                continue
            if seen and await self._recovery.restore(wave, merge(seen)):
                known[wave.id] = merge(seen)
        if known:
            await self._take_in_hand(programme)
            await self._count_again(programme)
        for wave in doubted:
            if wave.id in known:
                await self._reopen(wave, known[wave.id])

    async def _seen(self, wave: Wave) -> list[Checkpoint]:
        """Return what the living processes know of a room."""
        return [
            from_json(row["rooms"][wave.id])
            for row in await self._processes.alive()
            if wave.id in row.get("rooms", {})
        ]

    async def _take_in_hand(self, programme: Programme) -> None:
        """Have no row committed uncounted from here on, and what living deliveries hold in the intake."""
        fence = await self._archive.raise_fence(programme.id)
        clock = asyncio.get_running_loop().time
        deadline_s = clock() + HAND_OVER_S_MAX
        await self._hand.look()
        while not await self._is_handed_over(programme, fence) and clock() < deadline_s:
            await asyncio.sleep(LOOK_S)
            await self._hand.look()  # somebody else may put the same rooms back, and wait for us

    async def _is_handed_over(self, programme: Programme, fence: int) -> bool:
        others = [
            row["delivery"].get("fences", {})
            for row in await self._processes.alive()
            if "delivery" in row and row["process"] != self._hand.process
        ]
        return all(fences.get(programme.id, 0) >= fence for fences in others)

    async def _count_again(self, programme: Programme) -> None:
        """Have every registration of the programme count, in whichever wave, before any room opens."""
        waves = {wave.id: wave for wave in programme.waves}
        after = ""
        while rows := await self._archive.recorded_rows(programme.id, after, ROWS):
            after = rows[-1][0].receipt
            for wave_id, wave in waves.items():
                mine = [self._row(*row) for row in rows if row[0].wave_id == wave_id]
                if mine:
                    await self._recovery.restore_rows(wave, mine)

    def _row(self, entry: IntakeEntry, recorded_at_us: int) -> RecordedRow:
        return RecordedRow(
            receipt=entry.receipt,
            wave_id=entry.wave_id,
            person=entry.person,
            content=entry.content or content_digest(self._pepper, entry.payload),
            accepted_at_us=entry.accepted_at_us,
            recorded_at_us=recorded_at_us,
            number=entry.number,
            serial=entry.serial,
        )

    async def _reopen(self, wave: Wave, known: Checkpoint) -> None:
        taken = self._taken.get(wave.id)
        audit = {
            "who": "recovery",
            "reason": "Redis held less than it had acknowledged",
            "since_us": str(taken.at_us if taken else 0),
            "until_us": str(known.at_us),
        }
        missing = await self._recovery.reopen(wave, audit)
        self._report(wave, known, missing)
