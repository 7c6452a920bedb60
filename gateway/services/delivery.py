"""Delivering: accepted registrations go from the intake to the store, and their receipts say so.

One batch at a time: collected evenly from all waves, paid for out of the bucket, committed by the store,
and only then settled. Nothing is kept here that must survive: whatever happens between two awaits, an
entry that is not settled is pending in the intake and is handed out again once it was idle, and the
store takes it by its receipt, so it stands there once.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterable, Sequence

from gateway.core import delivery as rules
from gateway.core.programme import Wave
from gateway.ports import (
    IntakeEntry,
    IntakePort,
    PortError,
    PortUnavailableError,
    Recording,
    RowOutcome,
    Settled,
    StorePort,
)
from gateway.services.delivery_lanes import Lanes, now_s
from gateway.services.delivery_meter import DeliveryMeter, Failure


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
        meter: DeliveryMeter,
        rng: random.Random,
        now_us: Callable[[], int],  # wall clock: ages are measured with it, nothing is decided
        reclaim_idle_s: float = 30.0,  # above put_s_max: a batch under way is not idle
        put_s_max: float = 15.0,
    ) -> None:
        self._lanes = Lanes(
            intake, waves, consumer, reclaim_idle_s=reclaim_idle_s, meter=meter, rng=rng
        )
        self._store = store
        self._pace = rules.Pace(max_per_s, batch_max)
        self._meter = meter
        self._rng = rng
        self._now_us = now_us
        self._put_s_max = put_s_max

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until told to stop; the put under way is finished and settled first."""
        while not stop.is_set():
            await self._wait_for_tokens(self._pace.round_rows, stop)
            if stop.is_set():
                return
            rows = await self._lanes.collect(self._pace.room(_now_us()))
            if rows:
                self._pace.pay(len(rows), _now_us())
                await self._deliver(rows, stop)
            else:
                self._meter.oldest_age_s(0.0)
                await _pause(stop, self._lanes.shut_s())

    async def _deliver(self, rows: Sequence[IntakeEntry], stop: asyncio.Event) -> None:
        """Put until the store has decided on every row, or until told to stop.

        A batch that raises for a reason of its own is split until the row that spoils it stands alone.
        Its halves are not paid for again: the whole wrote nothing.
        """
        work, failures = [rows], 0
        while work:
            batch = work.pop()
            self._tell_age(batch)
            try:
                outcomes = await self._put(batch)
            except PortError:
                self._meter.failure(Failure.STORE)
                work.append(batch)
                failures += 1
                await _pause(stop, rules.backoff_s(failures, self._rng.random()))
                await self._wait_for_tokens(len(batch), stop)
                self._pace.pay(len(batch), _now_us())
            except Exception as error:  # noqa: BLE001  one poisoned row must not stop the others
                self._meter.failure(Failure.BATCH)
                if len(batch) > 1:
                    work += reversed(rules.halves(batch))
                else:  # its type only: the text of a foreign error may quote the row
                    refused = Recording.REJECTED
                    reason = type(error).__name__
                    await self._settle(batch, [RowOutcome(batch[0].receipt, refused, reason)])
            else:
                failures = 0
                await self._settle(batch, outcomes)
            if stop.is_set():
                return

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
        while not stop.is_set():
            wait_us = self._pace.wait_us(rows, _now_us())
            if wait_us == 0:
                return
            await _pause(stop, wait_us / 1_000_000)

    def _tell_age(self, batch: Sequence[IntakeEntry]) -> None:
        oldest_us = min(row.accepted_at_us for row in batch)
        self._meter.oldest_age_s(max(0, self._now_us() - oldest_us) / 1_000_000)


def _now_us() -> int:
    return int(now_s() * 1_000_000)


async def _pause(stop: asyncio.Event, wait_s: float) -> None:
    """Wait, but not longer than until told to stop."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(wait_s):
            await stop.wait()
