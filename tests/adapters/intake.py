"""An intake in memory: streams with a consumer group, pending entries, reclaim and dead letters.

What ``redis/intake`` keeps, by the event loop's clock. Acceptance is idempotent by pass and person, and
knows neither quota nor expiry: those are the room's, in ``core/passes``.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.core.programme import Wave
from gateway.ports import (
    Accepted,
    IntakeEntry,
    ReceiptRecord,
    Refusal,
    Registration,
    RoomMissingError,
    Settled,
    Stocks,
)
from tests.adapters.faults import Fault, no_fault, suffering


def loop_us() -> int:
    """Return the event loop's clock in microseconds."""
    return int(asyncio.get_running_loop().time() * 1_000_000)


@dataclass(slots=True)
class Held:
    """An entry handed out and not settled."""

    consumer: str
    since_us: int
    deliveries: int = 1


@dataclass(slots=True)
class Stream:
    """One wave's intake."""

    entries: dict[str, IntakeEntry] = field(default_factory=dict)  # by id, in order
    unread: list[str] = field(default_factory=list)
    pending: dict[str, Held] = field(default_factory=dict)
    dead: list[tuple[IntakeEntry, str]] = field(default_factory=list)  # with the reason
    settled: dict[str, IntakeEntry] = field(default_factory=dict)  # recorded, not yet read back
    forgotten: int = 0
    arrival: asyncio.Event = field(default_factory=asyncio.Event)


class MemoryIntake:
    """``IntakePort`` that forgets with its process."""

    def __init__(self) -> None:
        self.streams: dict[str, Stream] = {}
        self.missing: set[str] = set()  # waves without a room
        self.records: dict[str, ReceiptRecord] = {}
        self.reads = 0
        self.asks = 0
        self.fault: Callable[[], Fault] = no_fault
        self._spent: dict[tuple[str, int], Registration] = {}
        self._persons: dict[tuple[str, bytes], Registration] = {}
        self._serial = 0

    def stream(self, wave: Wave) -> Stream:
        return self.streams.setdefault(wave.id, Stream())

    @property
    def is_empty(self) -> bool:
        return not any(stream.entries for stream in self.streams.values())

    def append(
        self, wave: Wave, receipt: str, person: bytes, payload: bytes, content: bytes = b""
    ) -> IntakeEntry:
        """Put one accepted registration into the stream, whatever the rules say of it."""
        self._serial += 1
        entry_id, now_us = f"{self._serial}-0", loop_us()
        entry = IntakeEntry(
            *(entry_id, wave.id, wave.programme_id, receipt, person, payload, now_us),
            content=content,
        )
        stream = self.stream(wave)
        stream.entries[entry_id] = entry
        stream.unread.append(entry_id)
        stream.arrival.set()
        self.records[receipt] = ReceiptRecord(receipt, wave.id, "received", now_us, 0)
        return entry

    async def accept(self, wave: Wave, registration: Registration) -> Accepted | Refusal:
        """Spend the pass and append the entry."""
        async with suffering(self.fault):
            return self._accept(wave, registration)

    def _accept(self, wave: Wave, registration: Registration) -> Accepted | Refusal:
        pass_, person = (wave.id, registration.serial), (wave.programme_id, registration.person)
        first = self._spent.get(pass_) or self._persons.get(person) or registration
        if (first.person, first.content) != (registration.person, registration.content):
            by_pass = pass_ in self._spent
            return Refusal.PASS_USED if by_pass else Refusal.ALREADY_REGISTERED
        if first is registration:
            self.append(wave, first.receipt, first.person, first.payload, first.content)
        self._spent[pass_] = self._persons[person] = first
        return Accepted(first.receipt, self.records[first.receipt].received_at_us)

    async def find_receipt(self, programme_id: str, receipt: str) -> ReceiptRecord | None:
        """Look one receipt up; one programme is as good as another here."""
        async with suffering(self.fault):
            return self.records.get(receipt)

    async def read(
        self, wave: Wave, consumer: str, count: int, block_ms: int
    ) -> Sequence[IntakeEntry]:
        """Hand out new entries, waiting for the first."""
        self.reads += 1
        stream = self.stream(wave)
        async with suffering(self.fault):
            self._check(wave)
            if not stream.unread and block_ms:
                stream.arrival.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(block_ms / 1_000):
                        await stream.arrival.wait()
            taken, stream.unread = stream.unread[:count], stream.unread[count:]
            for entry_id in taken:
                stream.pending[entry_id] = Held(consumer, loop_us())
        return [stream.entries[entry_id] for entry_id in taken]

    async def reclaim(
        self, wave: Wave, consumer: str, count: int, idle_ms: int
    ) -> Sequence[IntakeEntry]:
        """Hand out again what was not settled in time, whoever held it."""
        stream, entries = self.stream(wave), []
        async with suffering(self.fault):
            self._check(wave)
            oldest_us = loop_us() - idle_ms * 1_000
            idle = [key for key, held in stream.pending.items() if held.since_us <= oldest_us]
            for entry_id in idle[:count]:
                deliveries = stream.pending[entry_id].deliveries + 1
                stream.pending[entry_id] = Held(consumer, loop_us(), deliveries)
                entries.append(replace(stream.entries[entry_id], deliveries=deliveries))
        return entries

    async def settle(self, wave: Wave, settled: Sequence[Settled]) -> None:
        """Acknowledge, remove, and tell the receipts; what was settled before changes nothing."""
        stream = self.stream(wave)
        async with suffering(self.fault):
            self._check(wave)
            for item in settled:
                held = stream.pending.pop(item.entry_id, None)
                if held is None:
                    continue
                entry = replace(stream.entries.pop(item.entry_id), deliveries=held.deliveries)
                if item.state == "rejected":
                    stream.dead.append((entry, item.reason))
                if item.state == "recorded":
                    stream.settled[item.entry_id] = entry
                if record := self.records.get(item.receipt):
                    self.records[item.receipt] = replace(
                        record, state=item.state, recorded_at_us=loop_us()
                    )

    async def readmit(self, wave: Wave, entries: Sequence[IntakeEntry]) -> int:
        """Put entries back whose receipts are not known any more."""
        async with suffering(self.fault):
            self._check(wave)
            lost = [entry for entry in entries if entry.receipt not in self.records]
            for entry in lost:
                instant_us = entry.accepted_at_us
                record = ReceiptRecord(entry.receipt, wave.id, "received", instant_us, 0)
                self.records[entry.receipt] = record
                self._queue_again(wave, entry)
        return len(lost)

    async def settled(self, wave: Wave, count: int, age_s: float) -> Sequence[IntakeEntry]:
        """Return the oldest that wait to be read back."""
        latest_us = loop_us() - round(age_s * 1_000_000)
        async with suffering(self.fault):
            kept = self.stream(wave).settled.values()
            old = [e for e in kept if self.records[e.receipt].recorded_at_us <= latest_us]
        return old[:count]

    async def confirm(self, wave: Wave, verdicts: Mapping[str, bool]) -> int:
        """Let go of those that stand, queue the others again; an id that is gone counts nothing."""
        stream, queued = self.stream(wave), 0
        async with suffering(self.fault):
            for entry_id, stands in verdicts.items():
                entry = stream.settled.pop(entry_id, None)
                if entry and not stands:
                    self._queue_again(wave, entry)
                    queued += 1
        stream.forgotten += queued
        return queued

    async def receipts(
        self, programme_id: str, cursor: int, count: int
    ) -> tuple[int, Mapping[str, ReceiptRecord]]:
        """Return some receipts and the next cursor."""
        async with suffering(self.fault):
            mine = self.records.items()
            every = [(r, record) for r, record in mine if record.wave_id.startswith(programme_id)]
            after = cursor + count
            return after if after < len(every) else 0, dict(every[cursor:after])

    async def unfinished(self, wave: Wave) -> AsyncIterator[set[str]]:
        """Yield the receipts of what is in the intake or among the dead letters."""
        stream = self.stream(wave)
        async with suffering(self.fault):
            receipts = {entry.receipt for entry in stream.entries.values()}
        yield receipts | {entry.receipt for entry, _ in stream.dead}

    async def stocks(self, wave: Wave) -> Stocks:
        """Say how much is kept."""
        stream = self.stream(wave)
        return Stocks(len(stream.dead), len(stream.settled), 0, stream.forgotten)

    async def asked(self, wave: Wave) -> int:
        """Return the last wish for a whole comparison; 0: there was none."""
        return self.asks

    async def revive(self, wave: Wave, places: Sequence[int], cap: int) -> tuple[int, int]:
        """Queue these dead letters again, or all where none is named, up to the intake's cap."""
        stream = self.stream(wave)
        wanted = [stream.dead[place] for place in places] if places else list(stream.dead)
        revived = wanted[: max(0, cap - len(stream.entries))]
        for entry, reason in revived:
            stream.dead.remove((entry, reason))
            self._queue_again(wave, entry)
        return len(revived), len(stream.dead)

    def _queue_again(self, wave: Wave, entry: IntakeEntry) -> None:
        self._serial += 1
        stream, entry_id = self.stream(wave), f"{self._serial}-0"
        stream.entries[entry_id] = replace(entry, entry_id=entry_id, deliveries=1)
        stream.unread.append(entry_id)
        stream.arrival.set()
        record = self.records[entry.receipt]
        self.records[entry.receipt] = replace(record, state="received", recorded_at_us=0)

    def _check(self, wave: Wave) -> None:
        if wave.id in self.missing:
            raise RoomMissingError(wave.id)
