"""Whose entries go next? All waves' intakes as one: read evenly, settled apart, each failing alone.

Round trips: one read per wave and round, one reclaim per wave and third of the idle time, one settle per
wave and batch; none of them per registration.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gateway.core import delivery as rules
from gateway.core.programme import Wave
from gateway.ports import IntakeEntry, IntakePort, PortError, Recording, Settled
from gateway.services.delivery_hand import Hand
from gateway.services.delivery_meter import DeliveryMeter, Failure

IDLE_MS = 200  # with nothing to do, one read waits so long: the delay of other waves, and of a stop


@dataclass(slots=True)
class Lane:
    """One wave's intake as this process sees it. Instants are the event loop's."""

    wave: Wave
    reclaim_at_s: float = 0.0
    shut_until_s: float = 0.0  # after a failure
    failures: int = 0  # in a row
    unsettled: list[Settled] = field(default_factory=list)  # decided, and the intake was away
    fence: int = 0  # behind which those were read


class Lanes:
    """The intakes of all waves."""

    def __init__(
        self,
        intake: IntakePort,
        waves: Iterable[Wave],
        consumer: str,
        *,
        hand: Hand,
        reclaim_idle_s: float,
        meter: DeliveryMeter,
        rng: random.Random,
    ) -> None:
        self._intake = intake
        self._lanes = [Lane(wave) for wave in waves]
        self._by_wave = {lane.wave.id: lane for lane in self._lanes}
        self._consumer = consumer
        self._hand = hand
        self._reclaim_idle_s = reclaim_idle_s
        self._meter = meter
        self._rng = rng
        self._idle = False  # the last round found nothing

    async def collect(self, room: int) -> list[IntakeEntry]:
        """Return up to ``room`` entries: what one wave leaves of its share goes to those with more.

        With nothing to do it takes ``IDLE_MS`` to say so.
        """
        self._lanes.append(self._lanes.pop(0))  # nobody is first twice
        hungry = [lane for lane in self._lanes if lane.shut_until_s <= now_s()]
        block_ms = IDLE_MS if self._idle else 0
        rows: list[IntakeEntry] = []
        while hungry and len(rows) < room:
            share, asked, hungry = rules.share(room - len(rows), len(hungry)), hungry, []
            for lane in asked:
                count = min(share, room - len(rows))
                taken = await self._take(lane, count, block_ms) if count else ()
                block_ms = 0
                rows += taken
                if count and len(taken) == count:
                    hungry.append(lane)
        self._idle = not rows
        return rows

    async def settle(self, settled: Iterable[tuple[IntakeEntry, Settled]]) -> None:
        """Let the intake go of decided entries; where it is down, as soon as it is back.

        Where this process ends before that they are handed out again: the store will answer as before.
        """
        by_wave: defaultdict[str, list[Settled]] = defaultdict(list)
        for entry, item in settled:
            by_wave[entry.wave_id].append(item)
        for wave_id, items in by_wave.items():
            await self._settle(self._by_wave[wave_id], items)

    async def _settle(self, lane: Lane, items: list[Settled]) -> None:
        fence = self._hand.fence(lane.wave.programme_id)
        try:
            await self._intake.settle(lane.wave, items)
        except PortError:
            lane.unsettled, lane.fence = lane.unsettled + items, fence
            self._shut(lane)
            return
        for recording in Recording:
            count = sum(item.state == recording for item in items)
            if count:
                self._meter.settled(recording, count)

    async def _settle_now(self, lane: Lane, fence: int) -> None:
        """Settle what could not be; behind another fence recovery has counted it, and ids begin anew."""
        items, lane.unsettled = lane.unsettled, []
        if items and lane.fence == fence:
            await self._settle(lane, items)

    def shut_s(self) -> float:
        """Return how long it will be until a wave may be read; 0: now."""
        return max(0.0, min(lane.shut_until_s for lane in self._lanes) - now_s())

    async def _take(self, lane: Lane, count: int, block_ms: int) -> Sequence[IntakeEntry]:
        """Return entries of one wave, those first that somebody began and did not finish."""
        fence = self._hand.fence(lane.wave.programme_id)
        await self._settle_now(lane, fence)
        if lane.unsettled:  # it is still away
            return ()
        try:
            taken = await self._reclaim(lane, count) if lane.reclaim_at_s <= now_s() else ()
            taken = taken or await self._intake.read(lane.wave, self._consumer, count, block_ms)
        except PortError:
            self._shut(lane)
            return ()
        lane.failures = 0
        return self._hand.take(taken, fence)

    async def _reclaim(self, lane: Lane, count: int) -> Sequence[IntakeEntry]:
        idle_ms = round(self._reclaim_idle_s * 1_000)
        stale = await self._intake.reclaim(lane.wave, self._consumer, count, idle_ms)
        if len(stale) < count:
            lane.reclaim_at_s = now_s() + self._reclaim_idle_s / 3
        return stale

    def _shut(self, lane: Lane) -> None:
        """Leave a wave alone for a while; the others go on."""
        self._meter.failure(Failure.INTAKE)
        lane.failures += 1
        lane.shut_until_s = now_s() + rules.backoff_s(lane.failures, self._rng.random())


def now_s() -> float:
    """Return the event loop's clock: monotonic, this process's own."""
    return asyncio.get_running_loop().time()
