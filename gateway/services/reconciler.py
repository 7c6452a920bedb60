"""Reconciling: what the store said it had is read back before it is let go; every receipt is looked up.

Two rounds. The *tail*: entries settled a few seconds ago are asked for; those that stand are let go, the
others are queued again, for their payload is still there. The *sweep*: all receipts, a page at a time, so
that the store is asked once a second; one that has no row any more can only be told. Whoever asks for it
gets a whole sweep at once. What is said to wait, or to be refused, is looked for where it should be. Counts
would let two mistakes hide each other: sets of receipts are compared.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from gateway.core.programme import Wave
from gateway.ports import (
    IntakeEntry,
    PortError,
    ReceiptRecord,
    RoomMissingError,
    Stocks,
    StorePort,
)

EVERY_S = 1.0
TAIL_EVERY = 10  # rounds between two looks at the tail
READ_BACK_S = 5.0  # after settling: what a store forgets, it forgets by then or later
RECORDED_S = 60.0  # ago or before: what is younger belongs to the tail
PAGE = 500


class TailPort(Protocol):
    """Entries the store says it has, kept until they were read back. When it is down: they wait."""

    async def settled(self, wave: Wave, count: int, age_s: float) -> Sequence[IntakeEntry]:
        """Return the oldest that this process has known for ``age_s``; ``entry_id`` is their own here."""

    async def confirm(self, wave: Wave, verdicts: Mapping[str, bool]) -> int:
        """Let go of those that stand, queue the others again, by id; answer how many were queued."""

    async def receipts(
        self, programme_id: str, cursor: int, count: int
    ) -> tuple[int, Mapping[str, ReceiptRecord]]:
        """Return about ``count`` receipts and the next cursor; from 0 to 0 all are seen at least once."""

    def unfinished(self, wave: Wave) -> AsyncIterator[set[str]]:
        """Yield the receipts of what is in the intake or among the dead letters, some at a time."""

    async def stocks(self, wave: Wave) -> Stocks:
        """Say how much is kept."""

    async def asked(self, wave: Wave) -> int:
        """Return the last wish for a whole comparison; 0: there was none in this room."""


class Witness(Protocol):
    """Who is told what reconciling finds. Called in the event loop."""

    def forgotten(self, wave_id: str, count: int) -> None:
        """The store had said it had these, and has not; they are queued again."""

    def lost(self, programme_id: str, count: int) -> None:
        """So many were recorded, are not in the store any more, and cannot be queued again."""

    def stocks(self, wave_id: str, stocks: Stocks) -> None:
        """So much is kept beside the intake."""


@dataclass(slots=True)
class Sweep:
    """How the comparison of all receipts of one programme goes."""

    cursor: int = 0
    checked: int = 0  # since it began
    missing: int = 0  # of them
    cost_s: float = 0.0  # that the store was asked for
    lost: int = 0  # missing, by the last whole sweep
    astray: int = 0  # neither recorded nor in the intake or the dead letters, by the last two
    whole: int = 0  # sweeps done
    asked: dict[str, int] = field(default_factory=dict)  # by wave: the last wish that was fulfilled

    def begin(self) -> None:
        """Start from the first receipt."""
        self.cursor = self.checked = self.missing = 0
        self.cost_s = 0.0

    def add(self, checked: int, missing: int, cost_s: float) -> None:
        """Take in what one page has shown."""
        self.checked += checked
        self.missing += missing
        self.cost_s = round(self.cost_s + cost_s, 3)


class Reconciler:
    """Compares receipts with the store, all the time."""

    def __init__(
        self,
        waves: Sequence[Wave],
        tail: TailPort,
        store: StorePort,
        witness: Witness,
        *,
        now_us: Callable[[], int],  # wall clock, within seconds of Redis TIME
    ) -> None:
        self._waves = waves
        self._tail, self._store = tail, store
        self._witness = witness
        self._now_us = now_us
        self._sweeps = {wave.programme_id: Sweep() for wave in waves}
        self._stocks: dict[str, Stocks] = {}
        self._unfinished: dict[str, set[str]] = {}  # seen by the sweep under way, by programme
        self._nowhere: dict[str, set[str]] = {}  # of those of the last whole sweep, by programme

    async def run(self, stop: asyncio.Event) -> None:
        """Reconcile until told to stop."""
        turn = 0
        while not stop.is_set():
            with contextlib.suppress(PortError):
                if turn % TAIL_EVERY == 0:
                    await self.read_back()
                await self.sweep()
            turn += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await stop.wait()

    def told(self) -> dict[str, Any]:
        """Return what it has found, for the table of processes."""
        stocks = {wave_id: asdict(stocks) for wave_id, stocks in self._stocks.items()}
        return {
            "waves": stocks,
            "sweeps": {name: asdict(one) for name, one in self._sweeps.items()},
        }

    async def read_back(self) -> None:
        """Let go of what stands in the store, queue again what does not."""
        for wave in self._waves:
            with contextlib.suppress(RoomMissingError):  # it is put back: the other waves go on
                await self._read_back(wave)

    async def _read_back(self, wave: Wave) -> None:
        while entries := await self._tail.settled(wave, PAGE, READ_BACK_S):
            standing = await self._store.standing([entry.receipt for entry in entries])
            verdicts = {entry.entry_id: entry.receipt in standing for entry in entries}
            queued = await self._tail.confirm(wave, verdicts)
            if queued:
                self._witness.forgotten(wave.id, queued)
        self._stocks[wave.id] = await self._tail.stocks(wave)
        self._witness.stocks(wave.id, self._stocks[wave.id])

    async def sweep(self) -> None:
        """Look up one page of receipts of every programme, or all of them where that was asked for."""
        for wave in {wave.programme_id: wave for wave in self._waves}.values():
            sweep = self._sweeps[wave.programme_id]
            waves = [each for each in self._waves if each.programme_id == wave.programme_id]
            asked = {each.id: await self._tail.asked(each) for each in waves}
            if any(wish != sweep.asked.get(wave_id, 0) for wave_id, wish in asked.items()):
                sweep.begin()
                while await self._page(wave.programme_id, sweep):
                    continue
                sweep.asked = asked
            else:
                await self._page(wave.programme_id, sweep)

    async def _page(self, programme_id: str, sweep: Sweep) -> bool:
        """Look one page up; return whether there are more."""
        if sweep.cursor == 0:
            sweep.begin()
            self._unfinished[programme_id] = set()
        cursor, records = await self._tail.receipts(programme_id, sweep.cursor, PAGE)
        wanted = [receipt for receipt, record in records.items() if self._is_due(record)]
        self._unfinished[programme_id] |= {r for r, each in records.items() if self._is_old(each)}
        began_us = self._now_us()
        standing = await self._store.standing(wanted) if wanted else set[str]()
        sweep.cursor = cursor
        cost_s = (self._now_us() - began_us) / 1_000_000
        sweep.add(len(wanted), len(set(wanted) - standing), cost_s)
        if cursor == 0:
            sweep.whole += 1
            if sweep.missing != sweep.lost:
                self._witness.lost(programme_id, sweep.missing)
            sweep.lost = sweep.missing
            await self._look_for_unfinished(programme_id, sweep)
        return cursor != 0

    async def _look_for_unfinished(self, programme_id: str, sweep: Sweep) -> None:
        """Count receipts that are nowhere, two sweeps in a row: what moves meanwhile is seen but once."""
        sought = self._unfinished[programme_id]
        for wave in self._waves if sought else ():
            if wave.programme_id == programme_id:
                async for receipts in self._tail.unfinished(wave):
                    sought -= receipts
        sweep.astray = len(sought & self._nowhere.get(programme_id, set()))
        self._nowhere[programme_id] = sought

    def _is_old(self, record: ReceiptRecord) -> bool:
        age_us = self._now_us() - max(record.received_at_us, record.recorded_at_us)
        return record.state in ("received", "rejected") and age_us > RECORDED_S * 1_000_000

    def _is_due(self, record: ReceiptRecord) -> bool:
        age_us = self._now_us() - record.recorded_at_us
        return record.state == "recorded" and age_us > RECORDED_S * 1_000_000
