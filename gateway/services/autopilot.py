"""Flying: every second the holder of the lease reads rooms and store, and sets the rate of steered waves.

One of all deliveries holds the lease; the others tell what their part of the store takes in the table of
processes. Round trips a second: one tick a wave, the lease, the table, one steer a steered wave.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from gateway.core.autopilot import Reading, Steer, begin, next_steer
from gateway.core.breaker import Circuit
from gateway.core.flow import Flow
from gateway.core.policy import RATE_MILLI, Policy
from gateway.core.programme import Wave
from gateway.core.snapshot import Phase, Snapshot
from gateway.ports import PolicyPort, PortError, RoomMissingError, RoomPort, SteeringPort
from gateway.services.operations import ProcessesPort

EVERY_S = 1.0
LEASE_S = 5.0


class Engine(Protocol):
    """The delivery beside which the autopilot runs."""

    @property
    def circuit(self) -> Circuit:
        """Where the breaker in front of the store stands."""

    def capacity_per_s(self) -> float | None:
        """Return what the store takes of this process; None: nothing is known."""


@dataclass(slots=True)
class Cockpit:
    """One wave, as the autopilot sees it."""

    wave: Wave
    policy: Policy
    revision: int = 0
    snapshot: Snapshot | None = None
    flow: Flow = field(default_factory=Flow)
    steer: Steer | None = None

    @property
    def is_admitting(self) -> bool:
        """Whether passes are issued at all."""
        return self.snapshot is not None and self.snapshot.phase is Phase.OPEN


class Autopilot:
    """Holds the rates of all waves whose policy lets it."""

    def __init__(
        self,
        waves: Sequence[Wave],
        rooms: RoomPort,
        policies: PolicyPort,
        steering: SteeringPort,
        processes: ProcessesPort,
        engine: Engine,
        name: str,
        *,
        now_us: Callable[[], int],  # monotonic
    ) -> None:
        self._cockpits = [Cockpit(wave, wave.policy) for wave in waves]
        self._rooms, self._policies = rooms, policies
        self._steering, self._processes = steering, processes
        self._engine = engine
        self._name = name
        self._now_us = now_us

    async def run(self, stop: asyncio.Event) -> None:
        """Fly until told to stop."""
        while not stop.is_set():
            with contextlib.suppress(PortError):
                await self.step()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await stop.wait()

    def told(self) -> dict[str, dict[str, Any]]:
        """Return what it does, by wave; empty where another holds the lease."""
        return {each.wave.id: asdict(each.steer) for each in self._cockpits if each.steer}

    async def step(self) -> None:
        """Read everything, set every rate once."""
        for cockpit in self._cockpits:
            try:
                await self._look(cockpit)
            except RoomMissingError:  # it is put back: the other waves go on
                cockpit.snapshot = None
        steered = [each for each in self._cockpits if each.snapshot and each.policy.is_steered]
        fence = await self._steering.lease(self._name, LEASE_S) if steered else 0
        capacity_per_s = await self._capacity_per_s() if fence else None
        for cockpit in self._cockpits:
            if fence and cockpit in steered:
                await self._steer(cockpit, fence, capacity_per_s)
            else:
                cockpit.steer = None

    async def _look(self, cockpit: Cockpit) -> None:
        snapshot = cockpit.snapshot = await self._rooms.tick(cockpit.wave, [])
        if snapshot.revision != cockpit.revision:
            read = await self._policies.read(cockpit.wave)
            cockpit.policy, cockpit.revision = read.policy, read.revision
        counters = snapshot.admitted, snapshot.accepted, snapshot.form_us
        cockpit.flow.observe(snapshot.clock_us, *counters)

    async def _capacity_per_s(self) -> float | None:
        """Return what the store takes of all deliveries; None: nobody knows."""
        rows = await self._processes.alive()
        others = [row["delivery"]["capacity_per_s"] for row in rows if self._is_other(row)]
        known = [value for value in (self._engine.capacity_per_s(), *others) if value is not None]
        return sum(known) if known else None

    def _is_other(self, row: Mapping[str, Any]) -> bool:
        return "delivery" in row and row["process"] != self._name

    async def _steer(self, cockpit: Cockpit, fence: int, capacity_per_s: float | None) -> None:
        reading = self._reading(cockpit, capacity_per_s)
        last = cockpit.steer
        cockpit.steer = begin(reading) if last is None else next_steer(last, reading)
        milli_per_s = max(1, round(cockpit.steer.rate_per_s * RATE_MILLI))
        with contextlib.suppress(RoomMissingError):
            if not await self._steering.steer(cockpit.wave, fence, milli_per_s):
                cockpit.steer = None

    def _reading(self, cockpit: Cockpit, capacity_per_s: float | None) -> Reading:
        """Return one wave's reading; waves that are open share the store by their rates."""
        policy, snapshot = cockpit.policy, cockpit.snapshot
        assert snapshot is not None
        rates_per_s = sum(each.policy.rate_per_s for each in self._cockpits if each.is_admitting)
        part = policy.rate_per_s / max(rates_per_s, policy.rate_per_s)
        is_shut = self._engine.circuit in (Circuit.OPEN, Circuit.HALF_OPEN)
        return Reading(
            at_us=self._now_us(),
            capacity_per_s=None if capacity_per_s is None else capacity_per_s * part,
            is_working=not (is_shut or (capacity_per_s is None and snapshot.backlog > 0)),
            is_admitting=cockpit.is_admitting,
            backlog=snapshot.backlog,
            form_s=cockpit.flow.form_s,
            on_form=min(cockpit.flow.on_form, snapshot.outstanding),
            share=cockpit.flow.share,
            ceiling_per_s=policy.rate_per_s,
            floor_per_s=policy.floor_milli_per_s / RATE_MILLI,
        )
