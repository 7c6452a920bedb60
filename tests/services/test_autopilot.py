"""Who steers, what is told, and that a steered wave falls and rises with the store."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from gateway.core.breaker import Circuit
from gateway.core.policy import Policy
from gateway.core.programme import Moment, Wave
from gateway.core.snapshot import Phase, Snapshot
from gateway.core.steering import Lease
from gateway.ports import RoomMissingError, Stale
from gateway.services.autopilot import Autopilot
from tests.adapters.policy import MemoryPolicies, MemoryProcesses
from tests.adapters.ports import ScriptedRoom
from tests.operations_house import a_snapshot

POLICY = Policy(rate_per_s=100.0, burst=10, autopilot="auto")
WAVE = Wave("w", "p", 1, Moment(0), Moment(0), Moment(2**60), POLICY)
OPEN = a_snapshot(Phase.OPEN)


class Room(ScriptedRoom):
    snapshot: Snapshot = OPEN

    async def tick(self, wave: Wave, present: object) -> Snapshot:
        return self.snapshot


@dataclass
class MemorySteering:
    """A ``SteeringPort``."""

    held: Lease = field(default_factory=Lease)
    now_us: int = 1_000
    fence: int = 0
    rates: list[int] = field(default_factory=list)

    async def lease(self, holder: str, life_s: float) -> int:
        return self.held.take(holder, round(life_s * 1_000_000), self.now_us)

    async def steer(self, wave: Wave, fence: int, milli_per_s: int) -> bool:
        if fence < self.fence:
            return False
        self.fence = fence
        self.rates.append(milli_per_s)
        return True


@dataclass
class Engine:
    circuit: Circuit = Circuit.CLOSED
    per_s: float | None = 50.0

    def capacity_per_s(self) -> float | None:
        return self.per_s


@dataclass
class Sky:
    room: Room = field(default_factory=Room)
    policies: MemoryPolicies = field(default_factory=MemoryPolicies)
    processes: MemoryProcesses = field(default_factory=MemoryProcesses)
    steering: MemorySteering = field(default_factory=MemorySteering)
    engine: Engine = field(default_factory=Engine)

    def pilot(self, name: str = "one", waves: Sequence[Wave] = (WAVE,)) -> Autopilot:
        return Autopilot(
            waves, self.room, self.policies, self.steering, self.processes, self.engine, name,
            now_us=lambda: self.steering.now_us,
        )  # fmt: skip

    async def fly(self, pilot: Autopilot, seconds: int) -> None:
        for _ in range(seconds):
            self.steering.now_us += 1_000_000
            await pilot.step()


async def test_the_rate_follows_the_store() -> None:
    sky = Sky()
    pilot = sky.pilot()
    await sky.fly(pilot, 5)
    assert sky.steering.rates[-1] == 47_500
    sky.engine.per_s = 10.0
    await sky.fly(pilot, 1)
    assert sky.steering.rates[-1] == 9_500
    assert pilot.told()["w"]["regime"] == "falling"


async def test_other_deliveries_add_to_what_the_store_takes() -> None:
    sky = Sky()
    told = {"circuit": "closed", "capacity_per_s": 30.0}
    sky.processes.rows = [
        {"process": "one", "delivery": told},
        {"process": "two", "delivery": told},
        {"process": "serve-1"},
    ]
    await sky.fly(sky.pilot(), 20)
    assert sky.steering.rates[-1] == round(0.95 * 80.0 * 1_000)


async def test_an_open_circuit_lets_the_rate_decay() -> None:
    sky = Sky()
    pilot = sky.pilot()
    await sky.fly(pilot, 2)
    sky.engine.circuit = Circuit.OPEN
    await sky.fly(pilot, 10)
    assert 22_000 < sky.steering.rates[-1] < 26_000
    await sky.fly(pilot, 120)
    assert sky.steering.rates[-1] == POLICY.floor_milli_per_s


async def test_what_waits_and_is_not_taken_is_stale() -> None:
    sky = Sky(engine=Engine(per_s=None))
    sky.room.snapshot = replace(OPEN, backlog=5)
    pilot = sky.pilot()
    await sky.fly(pilot, 3)
    assert pilot.told()["w"]["regime"] == "stale"


async def test_one_delivery_steers_and_another_takes_over_when_its_lease_ends() -> None:
    sky = Sky()
    one, two = sky.pilot("one"), sky.pilot("two")
    await sky.fly(one, 1)
    await two.step()
    assert (set(one.told()), set(two.told())) == ({"w"}, set())
    await sky.fly(two, 6)
    assert two.told()
    sky.steering.held = Lease("one", one_fence := 1, 2**60)  # it believes that it still holds it
    await one.step()
    assert one_fence < sky.steering.fence
    assert one.told() == {}


async def test_a_wave_without_a_room_does_not_keep_another_from_being_steered() -> None:
    lost = replace(WAVE, id="lost")

    class Half(Room):
        async def tick(self, wave: Wave, present: object) -> Snapshot:
            if wave is lost:
                raise RoomMissingError(wave.id)
            return self.snapshot

    sky = Sky(room=Half())
    pilot = sky.pilot(waves=[lost, WAVE])
    await sky.fly(pilot, 2)
    assert set(pilot.told()) == {"w"}
    assert sky.steering.rates


async def test_a_manual_wave_is_left_alone() -> None:
    sky = Sky()
    changed = await sky.policies.change(WAVE, 1, replace(POLICY, autopilot="manual"), {})
    assert not isinstance(changed, Stale)
    sky.room.snapshot = replace(OPEN, revision=2)
    pilot = sky.pilot()
    await sky.fly(pilot, 3)
    assert sky.steering.rates == []
    assert pilot.told() == {}


async def test_it_stops_when_told_to() -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(Sky().pilot().run(stop))
    await asyncio.sleep(0)
    stop.set()
    await asyncio.wait_for(running, 2.0)
