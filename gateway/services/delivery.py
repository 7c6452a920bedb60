"""Delivering: accepted registrations go from the intake to the store, and their receipts say so.

A few batches at a time: each collected evenly from all waves, paid for out of the bucket, committed by the
store, and only then settled. Nothing is kept here that must survive: whatever happens between two awaits,
an entry that is not settled is pending in the intake and is handed out again once it was idle, and the
store takes it by its receipt, so it stands there once.
"""

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from gateway.core import delivery as rules
from gateway.core.breaker import Circuit
from gateway.core.programme import Wave
from gateway.ports import (
    FencedError,
    IntakeEntry,
    IntakePort,
    PortError,
    PortUnavailableError,
    Recording,
    RowOutcome,
    Settled,
    StorePort,
)
from gateway.services.delivery_doubt import Attempt, Doubts, Evidence
from gateway.services.delivery_gate import Gate, now_us
from gateway.services.delivery_hand import Hand
from gateway.services.delivery_lanes import Lanes, now_s
from gateway.services.delivery_meter import DeliveryMeter, Failure

LOOK_AGAIN_S = 0.5  # after what was fenced off could not be put back


class Delivery:
    """Moves entries from the intake to the store, at the store's pace."""

    def __init__(
        self,
        intake: IntakePort,
        store: StorePort,
        waves: Iterable[Wave],
        consumer: str,
        *,
        max_per_s: int,
        batch_max: int,
        slots: int = 1,
        hand: Hand | None = None,
        meter: DeliveryMeter,
        rng: random.Random,
        now_us: Callable[[], int],  # wall clock: ages are measured with it, nothing is decided
        reclaim_idle_s: float = 30.0,  # above put_s_max: a batch under way is not idle
        put_s_max: float = 15.0,
    ) -> None:
        waves = list(waves)
        self._hand = hand or Hand(consumer, intake, store, waves)
        self._lanes = Lanes(
            *(intake, waves, consumer),
            hand=self._hand,
            reclaim_idle_s=reclaim_idle_s,
            meter=meter,
            rng=rng,
        )
        self._store = store
        self._doubts = Doubts(store)
        self._max_per_s = max_per_s
        self._gate = Gate(slots, meter, rng)
        self._held = 0  # batches begun and not finished
        self._pace = rules.Pace(max_per_s, batch_max)
        self._meter = meter
        self._rng = rng
        self._now_us = now_us
        self._put_s_max = put_s_max

    @property
    def circuit(self) -> Circuit:
        """Where the breaker in front of the store stands."""
        return self._gate.circuit

    def capacity_per_s(self) -> float | None:
        """Return how many rows a second the store takes of this process; None: nothing is known."""
        measured_per_s = self._gate.capacity_per_s()
        return None if measured_per_s is None else min(measured_per_s, float(self._max_per_s))

    def told(self) -> dict[str, Any]:
        """Return how it stands, for the table of processes."""
        capacity_per_s = self.capacity_per_s()
        told = {"circuit": self.circuit, "batches": self._held}
        return told | {"capacity_per_s": capacity_per_s, "fences": self._hand.told()}

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until told to stop; the puts under way are finished and settled first.

        Cancelled, it leaves what is not settled pending.
        """
        async with asyncio.TaskGroup() as batches:
            batches.create_task(self._wake_at(stop))
            while not stop.is_set():
                await self._gate.wait_for_room(lambda: self._held, stop)
                await self._wait_for_tokens(self._pace.round_rows, stop)
                if stop.is_set():
                    return
                rows = await self._lanes.collect(self._pace.room(now_us()))
                if rows:
                    self._held += 1
                    batches.create_task(self._hold(rows, stop))
                    await asyncio.sleep(0)  # it pays before more is collected
                else:
                    self._meter.oldest_age_s(0.0)
                    await _pause(stop, self._lanes.shut_s())

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._gate.wake()

    async def _hold(self, rows: Sequence[IntakeEntry], stop: asyncio.Event) -> None:
        try:
            await self._deliver(rows, stop)
        finally:
            self._hand.let_go(rows)
            self._held -= 1
            self._gate.wake()

    async def _deliver(self, rows: Sequence[IntakeEntry], stop: asyncio.Event) -> None:
        """Put until the store has decided on every row, or until told to stop.

        A batch that raises for a reason of its own is split until the row that spoils it stands alone.
        Its halves are not paid for again: the whole wrote nothing.
        """
        work = deque(self._doubts.attempts(rows))
        while work and not stop.is_set():
            attempt = work.popleft()
            batch = attempt.rows
            self._tell_age(batch)
            try:
                outcomes = await self._put_when_due(batch, attempt.price, stop)
            except PortError:
                self._meter.failure(Failure.STORE)
                await self._put_back(attempt, work)
            except FencedError:
                work.extendleft(Attempt(left, 0) for left in await self._sort_out(batch, stop))
            except Exception as error:  # noqa: BLE001  one poisoned row must not stop the others
                self._meter.failure(Failure.BATCH)
                if len(batch) > 1:
                    work.extendleft(Attempt(half, 0) for half in reversed(rules.halves(batch)))
                else:  # its type only: a foreign error's text may quote the row
                    await self._refuse(batch[0], type(error).__name__)
            else:
                if outcomes is not None:
                    await self._settle(batch, outcomes)

    async def _put_back(self, attempt: Attempt, work: deque[Attempt]) -> None:
        """Have what the store gave no answer for put again; what is at fault halved, behind all others.

        A row that is at fault alone is let go: it stays pending, and comes again when it was idle.
        """
        evidence = await self._doubts.evidence(attempt)
        if evidence is Evidence.WRITTEN:
            self._gate.absolve()
        if evidence is Evidence.NONE:
            work.appendleft(self._doubts.again(attempt))
        elif len(attempt.rows) > 1:
            work.extend(self._doubts.halves(attempt))
        else:
            self._doubts.suspect(attempt.rows[0])
            self._meter.failure(Failure.ROW)

    async def _refuse(self, row: IntakeEntry, reason: str) -> None:
        await self._settle([row], [RowOutcome(row.receipt, Recording.REJECTED, reason)])

    async def _sort_out(
        self, batch: Sequence[IntakeEntry], stop: asyncio.Event
    ) -> list[Sequence[IntakeEntry]]:
        """Return the batch without what a recovery has fenced off, which goes back into the intake."""
        while True:
            try:
                left = await self._hand.sort_out(batch)
            except PortError:
                self._meter.failure(Failure.INTAKE)
                if stop.is_set():
                    return []
                await _pause(stop, LOOK_AGAIN_S)
            else:
                return [left] if left else []

    async def _put_when_due(
        self, batch: Sequence[IntakeEntry], price: int, stop: asyncio.Event
    ) -> Sequence[RowOutcome] | None:
        """Put one batch when gate and pace let it through; None: told to stop before.

        ``price`` is paid at the last moment: what was paid for earlier could go all at once.
        """
        async with self._gate.slot(stop):
            await self._wait_for_tokens(price, stop)
            if stop.is_set():
                return None
            self._pace.pay(price, now_us())
            with self._gate.timed(len(batch)):
                return await self._put(batch)

    async def _put(self, batch: Sequence[IntakeEntry]) -> Sequence[RowOutcome]:
        """Commit one batch within its deadline."""
        began_s = now_s()
        try:
            async with asyncio.timeout(self._put_s_max):
                outcomes = await self._store.put(batch)
        except TimeoutError as error:
            raise PortUnavailableError("the store did not answer in time") from error
        if [outcome.receipt for outcome in outcomes] != [row.receipt for row in batch]:
            raise ValueError("the store answered for other rows")
        self._doubts.answered(outcomes)
        self._meter.batch(now_s() - began_s)
        return outcomes

    async def _settle(self, batch: Sequence[IntakeEntry], outcomes: Sequence[RowOutcome]) -> None:
        """Settle what is decided. A refused row with tries left stays pending, to come again."""
        await self._lanes.settle(
            (row, Settled(row.entry_id, row.receipt, outcome.recording.value, outcome.reason))
            for row, outcome in zip(batch, outcomes, strict=True)
            if self._is_final(row, outcome)
        )

    def _is_final(self, row: IntakeEntry, outcome: RowOutcome) -> bool:
        if outcome.recording is not Recording.REJECTED:
            return True
        self._meter.failure(Failure.ROW)
        return rules.given_up(row.deliveries)

    async def _wait_for_tokens(self, rows: int, stop: asyncio.Event) -> None:
        while rows and not stop.is_set():
            wait_us = self._pace.wait_us(rows, now_us())
            if wait_us == 0:
                return
            await _pause(stop, wait_us / 1_000_000)

    def _tell_age(self, batch: Sequence[IntakeEntry]) -> None:
        oldest_us = min(row.accepted_at_us for row in batch)
        self._meter.oldest_age_s(max(0, self._now_us() - oldest_us) / 1_000_000)


async def _pause(stop: asyncio.Event, wait_s: float) -> None:
    """Wait, but not longer than until told to stop."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(wait_s):
            await stop.wait()
