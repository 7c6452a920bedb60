"""How much of the store's own speed is left with delivery in front of it?

The whole way, out of a durable Valkey into the store, beside a bare loop with the same driver on the same
disk: the same rows, batches as large, one commit each. In turns, each with a fresh store.
"""

import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

from gateway.core import receipts
from gateway.core.breaker import Circuit
from gateway.core.policy import Policy
from gateway.core.programme import Wave
from gateway.ports import IntakeEntry, Recording
from gateway.redis.intake import RedisIntake
from gateway.services.delivery import Delivery
from gateway.services.delivery_meter import Failure
from loadtests.bench.crowd import START_US
from loadtests.bench.rows import Row, Wanted
from loadtests.bench.scripts import VirtualScripts, programme_of
from loadtests.bench.server import durable_server
from loadtests.bench.stores import BATCH, BENCHES, Bench, now_us

SECONDS_MAX = 120.0
POLICY = Policy(
    rate_per_s=100_000.0, burst=100_000, form_cap=10**6, quota=10**7, intake_cap=10**7, check_in_s=1
)
PAYLOAD = (
    '{"birth_date":"1990-05-17","family_card":"3201014507900027","mobile":"+6281234567890",'
    '"name":"Siti Lestari","nik":"%016d","province":"31"}'
)


def rows(quick: bool) -> Sequence[Row]:
    """Return the rows, one for each store."""
    people, times = (2_000, 1) if quick else (20_000, 3)
    return [
        Row(
            f"{name} / bare loop",
            Wanted(low=0.5, by_median=True),
            partial(_ratios, name, people, times),
        )
        for name in ("SQLite", "PostgreSQL")
    ]


def _ratios(name: str, people: int, times: int) -> Sequence[float]:
    entries = [entry(number) for number in range(people)]
    ratios = []
    with BENCHES[name]() as bench:
        for _ in range(times):
            bare_s = asyncio.run(_timed(bench.bare(entries)))
            with durable_server() as (client, socket):
                wave = fill(client, entries)
                took_s = asyncio.run(delivered_s(bench, socket, wave, people))
            ratios.append(bare_s / took_s)
            told = f"{people / took_s:,.0f} rows/s delivered, {people / bare_s:,.0f} bare"
            print(f"  {name}: {told}", file=sys.stderr, flush=True)
    return ratios


async def _timed(work: Awaitable[None]) -> float:
    began_s = time.perf_counter()
    await work
    return time.perf_counter() - began_s


def entry(number: int) -> IntakeEntry:
    """Return one registration."""
    person = blake2b(b"%d" % number, digest_size=32).digest()
    receipt = receipts.make(person[:16])
    payload = (PAYLOAD % number).encode()
    return IntakeEntry(
        "", "bench-1", "bench", receipt, person, payload, START_US, number=number, serial=number + 1
    )


def fill(client: Any, entries: Sequence[IntakeEntry]) -> Wave:
    """Have all of them accepted by the room's own scripts; return the wave whose intake is full."""
    wave = programme_of(POLICY, START_US + 1, START_US + 10**10).waves[0]
    scripts = VirtualScripts(client, wave)
    scripts.create(START_US)
    scripts.tick(START_US)
    scripts.run("join", START_US, [len(entries)])
    for at_us in (START_US + 1, START_US + 1_000_001):  # it opens, and the bucket fills
        scripts.tick(at_us)
    client.hset(scripts.room, "called", len(entries))
    for first in range(0, len(entries), BATCH):
        batch = entries[first : first + BATCH]
        issued = scripts.run(
            "claim", at_us, [part for each in batch for part in (each.number, each.number)]
        )
        args: list[Any] = [wave.id]
        for each, (_, serial, *_) in zip(batch, issued, strict=True):
            args += [each.number, serial, each.receipt, each.person.hex(), "0" * 32, each.payload]
        accepted = scripts.run("accept", at_us, args)
        if accepted[-1] != first + len(batch):
            raise RuntimeError(f"not accepted: {issued[0]}, {accepted[0]}")
    return wave


async def delivered_s(bench: Bench, socket: Path, wave: Wave, people: int) -> float:
    """Deliver it all; return how long it took."""
    intake, stop = RedisIntake(f"unix://{socket}", "bench"), asyncio.Event()
    async with bench.store() as store, asyncio.timeout(SECONDS_MAX):
        delivery = Delivery(
            intake,
            store,
            [wave],
            "bench",
            max_per_s=1_000_000,
            batch_max=BATCH,
            slots=2,
            meter=_Meter(people, stop),
            rng=random.Random(1),
            now_us=now_us,
        )
        took_s = await _timed(delivery.run(stop))
    await intake.close()
    return took_s


class _Meter:
    """Says stop when all are recorded; anything else is no measurement."""

    def __init__(self, left: int, stop: asyncio.Event) -> None:
        self._left, self._stop = left, stop

    def settled(self, recording: Recording, count: int) -> None:
        if recording is not Recording.RECORDED:
            raise RuntimeError(f"{count} {recording}")
        self._left -= count
        if not self._left:
            self._stop.set()

    def failure(self, failure: Failure) -> None:
        raise RuntimeError(failure)

    def batch(self, took_s: float) -> None: ...

    def oldest_age_s(self, age_s: float) -> None: ...

    def circuit(self, circuit: Circuit) -> None: ...
