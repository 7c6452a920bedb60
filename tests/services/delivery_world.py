"""One intake, one store, some delivery processes; and what may never be seen when all is quiet."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from gateway.core.breaker import Circuit
from gateway.core.form import content_digest
from gateway.core.policy import Policy
from gateway.core.programme import Moment, Wave
from gateway.ports import IntakeEntry, Recording
from gateway.services.delivery import Delivery
from gateway.services.delivery_meter import Failure
from gateway.stores.memory import MemoryStore
from gateway.stores.unaltered import UnalteredStore
from tests.adapters.intake import MemoryIntake, loop_us
from tests.adapters.store import FaultyStore

content = partial(content_digest, b"pepper")


def wave(programme_id: str, ordinal: int) -> Wave:
    moments = (Moment(0), Moment(0), Moment(2**60))
    return Wave(f"{programme_id}-{ordinal}", programme_id, ordinal, *moments, Policy())


WAVES = [wave("prakerja", 1), wave("prakerja", 2), wave("other", 1)]


@dataclass
class Meter:
    """A ``DeliveryMeter`` that remembers."""

    batches: list[float] = field(default_factory=list)
    rows: dict[Recording, int] = field(default_factory=lambda: dict.fromkeys(Recording, 0))
    failures: dict[Failure, int] = field(default_factory=lambda: dict.fromkeys(Failure, 0))
    circuits: list[Circuit] = field(default_factory=list)
    ages_s: list[float] = field(default_factory=list)

    def batch(self, took_s: float) -> None:
        self.batches.append(took_s)

    def settled(self, recording: Recording, count: int) -> None:
        self.rows[recording] += count

    def failure(self, failure: Failure) -> None:
        self.failures[failure] += 1

    def circuit(self, circuit: Circuit) -> None:
        self.circuits.append(circuit)

    def oldest_age_s(self, age_s: float) -> None:
        self.ages_s.append(age_s)


class World:
    """Everything around delivery. Make it inside the virtual loop."""

    def __init__(self, seed: int = 0, **options: Any) -> None:
        self.rng = random.Random(seed)
        self.intake = MemoryIntake()
        self.rows = MemoryStore(loop_us)
        self.store = FaultyStore(self.rows)
        self.meter = Meter()
        self.accepted: list[IntakeEntry] = []
        self.options = {"max_per_s": 500, "batch_max": 500, **options}

    def delivery(self, consumer: str = "one", kind: Callable[..., Delivery] = Delivery) -> Delivery:
        return kind(
            self.intake,
            UnalteredStore(self.store, content),
            WAVES,
            consumer,
            meter=self.meter,
            rng=self.rng,
            now_us=loop_us,
            **self.options,
        )

    @asynccontextmanager
    async def delivering(self, **named: Any) -> AsyncIterator[None]:
        """Run one delivery, and stop it cleanly."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.delivery(**named).run(stop))
            yield
            stop.set()

    def add(self, where: Wave, person: int | None = None, payload: bytes = b"") -> IntakeEntry:
        """Accept one registration; a person of its own unless said otherwise."""
        serial = len(self.accepted)
        person_bytes = (serial + 1_000_000 if person is None else person).to_bytes(32, "big")
        form = payload or b'{"name":"%d"}' % serial
        entry = self.intake.append(where, f"R{serial:06}", person_bytes, form, content(form))
        self.accepted.append(entry)
        return entry

    def fill(self, where: Wave, count: int) -> None:
        for _ in range(count):
            self.add(where)

    async def quiet(self, within_s: float = 600.0) -> float:
        """Wait until the intake is empty; return how long it took."""
        began_s = asyncio.get_running_loop().time()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not self.intake.is_empty:  # noqa: ASYNC110  virtual time: polling costs nothing
                    await asyncio.sleep(0.01)
        return asyncio.get_running_loop().time() - began_s


def wrongs(world: World) -> list[str]:
    """Return every promise that is broken, now that all is quiet."""
    rows = world.rows.rows
    dead = {
        entry.receipt: (entry, reason)
        for stream in world.intake.streams.values()
        for entry, reason in stream.dead
    }
    persons = {(row.programme_id, row.person): row.receipt for row in rows.values()}
    found = [] if world.intake.is_empty else ["entries are left in the intake"]
    if len(persons) != len(rows):
        found.append("a person stands in the store twice")
    if rows.keys() - {entry.receipt for entry in world.accepted}:
        found.append("the store holds what nobody sent")
    for entry in world.accepted:
        found += _wrong_of(world, entry, dead, persons)
    return found


def _wrong_of(
    world: World,
    entry: IntakeEntry,
    dead: dict[str, tuple[IntakeEntry, str]],
    persons: dict[tuple[str, bytes], str],
) -> list[str]:
    receipt, state = entry.receipt, world.intake.records[entry.receipt].state
    row = world.rows.rows.get(receipt)
    stands = {
        "recorded": row is not None and receipt not in dead,
        "duplicate": row is None
        and persons.get((entry.programme_id, entry.person), receipt) != receipt,
        "rejected": row is None and receipt in dead,
    }
    found = [] if stands.get(state) else [f"{receipt} is told to be {state}, and is not"]
    if row and (row.payload, row.person, row.wave_id, row.accepted_at_us) != (
        *(entry.payload, entry.person, entry.wave_id, entry.accepted_at_us),
    ):
        found.append(f"{receipt} was changed on its way")
    if receipt in dead:
        buried, reason = dead[receipt]
        if buried.deliveries < 5 or not reason:
            found.append(f"{receipt} was given up too early, or without a reason")
    return found
