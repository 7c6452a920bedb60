"""Who may ask the store now? Batches queue here; the breaker says how many are in flight at once.

What passes is timed: the gate is where the store's capacity is measured and its circuit is told.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from gateway.core.breaker import Breaker, Circuit
from gateway.core.capacity import Capacity
from gateway.ports import PortError
from gateway.services.delivery_meter import DeliveryMeter


def now_us() -> int:
    """Return the event loop's clock: monotonic, this process's own."""
    return int(asyncio.get_running_loop().time() * 1_000_000)


class Gate:
    """The slots in front of the store."""

    def __init__(self, slots: int, meter: DeliveryMeter, rng: random.Random) -> None:
        self._in_flight = 0
        self._breaker = Breaker(slots)
        self._capacity = Capacity(slots)
        self._meter = meter
        self._rng = rng
        self._changed = asyncio.Event()  # something ended: look again
        self._told: Circuit | None = None
        self._tell()

    @property
    def circuit(self) -> Circuit:
        """Where the breaker stands."""
        return self._breaker.circuit

    def capacity_per_s(self) -> float | None:
        """Return what the store takes, as far as this process has seen."""
        return self._capacity.per_s(now_us())

    def wake(self) -> None:
        """Have everybody look again whether they may go."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait_for_room(self, held: Callable[[], int], stop: asyncio.Event) -> None:
        """Wait until one batch more than are ``held`` could be sent, or until told to stop."""
        while not stop.is_set() and held() >= self._breaker.limit(at_us := now_us()):
            await self._change(at_us)

    @asynccontextmanager
    async def slot(self, stop: asyncio.Event) -> AsyncIterator[None]:
        """Hold a slot: wait for it, unless told to stop."""
        while not stop.is_set() and not self._is_free(at_us := now_us()):
            await self._change(at_us)
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1
            self.wake()

    def _is_free(self, at_us: int) -> bool:
        due = self._breaker.wait_us(at_us) == 0
        return due and self._in_flight < self._breaker.limit(at_us)

    @contextmanager
    def timed(self, rows: int) -> Iterator[None]:
        """Measure one put of so many rows, and tell the breaker how it went.

        A foreign error says nothing of the store: the rows were at fault.
        """
        self._tell()
        batch, done = self._capacity.begin(now_us()), 0
        try:
            yield
        except PortError:
            self._breaker.failure(now_us(), self._rng.random())
            raise
        else:
            done = rows
            self._breaker.success()
        finally:
            self._capacity.end(batch, done, now_us())
            self._tell()

    def absolve(self) -> None:
        """Take the last failure back: the rows were at fault, and the store has written others."""
        self._breaker.absolve()
        self._tell()
        self.wake()

    def _tell(self) -> None:
        if self._breaker.circuit is not self._told:
            self._told = self._breaker.circuit
            self._meter.circuit(self._told)

    async def _change(self, at_us: int) -> None:
        """Wait for a batch to end, or for the breaker's next try.

        ``at_us`` is the instant at which there was no room. Where the clock were read again, a try that has
        become due in between would be waited for by nobody: no batch is in flight whose end could wake.
        """
        wait_us = self._breaker.wait_us(at_us)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_us / 1_000_000 if wait_us else None):
                await self._changed.wait()
