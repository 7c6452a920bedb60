"""I-1, I-8, I-11: what delivery has in hand when Redis forgets goes back, and is recorded counted, once.

Redis is emptied in the midst of deliveries, and put right as recovery does it: the fence is raised, the store is
counted. From then on no row may come to the store that the room does not know of.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.ports import PortError, PortUnavailableError
from gateway.services.delivery_hand import Hand
from gateway.stores import memory
from tests.adapters import virtual_time
from tests.adapters.faults import Fault
from tests.services.delivery_world import WAVES, World

STORE_FAULTS = [*[Fault.NONE] * 6, *Fault]
INTAKE_FAULTS = [*[Fault.NONE] * 8, Fault.BEFORE, Fault.AFTER, Fault.SLOW]


@dataclass
class Life:
    """What came of one emptying."""

    in_hand: set[str]  # receipts in hand when Redis forgot
    counted: set[str]  # receipts that recovery found in the store
    rows: set[str]  # in the end
    known: dict[str, str]  # to the room in the end: receipt -> state

    def wrongs(self) -> list[str]:
        found = [f"{receipt} was in hand, and is lost" for receipt in self.in_hand - self.rows]
        uncounted = self.rows - self.counted - self.known.keys()
        found += [f"{receipt} is recorded, and never counted" for receipt in uncounted]
        return found + [f"{r} is told {s}" for r, s in self.known.items() if s != "recorded"]


async def _life(seed: int, kind: type[Hand] = Hand) -> Life:
    options = {"max_per_s": 400, "batch_max": 8, "slots": 1 + seed % 3, "put_s_max": 1.0}
    world = World(seed, **options, reclaim_idle_s=3.0)
    rng = world.rng
    hand = kind("one", world.intake, world.store, WAVES)
    world.options["hand"] = hand
    for where in WAVES:
        world.fill(where, 20)
    world.store.fault = lambda: rng.choice(STORE_FAULTS)
    world.intake.fault = lambda: rng.choice(INTAKE_FAULTS)
    async with world.delivering():
        await asyncio.sleep(rng.choice([0.01, 0.05, 0.3, 2.0]))
        world.intake.streams.clear()
        world.intake.records.clear()
        in_hand = {entry.receipt for entry in hand._entries.values()}
        fences = {wave.programme_id for wave in WAVES}
        for programme_id in fences:
            await world.rows.raise_fence(programme_id)
        counted = set(world.rows.rows)
        if seed % 2:  # else the store says so
            await _looking(hand)
        await asyncio.sleep(rng.choice([0.1, 5.0]))
        world.store.fault = world.intake.fault = lambda: Fault.NONE
        while hand._entries or not world.intake.is_empty:  # noqa: ASYNC110  in virtual time
            await asyncio.sleep(0.1)
    states = {receipt: record.state for receipt, record in world.intake.records.items()}
    return Life(in_hand, counted, set(world.rows.rows), states)


async def _looking(hand: Hand) -> None:
    while True:
        with contextlib.suppress(PortError):
            return await hand.look()
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("seed", range(40))
def test_what_is_in_hand_when_redis_forgets_is_recorded_once_and_counted(seed: int) -> None:
    assert virtual_time.run(_life(seed)).wrongs() == []


class Careless(Hand):
    """Lets go of what was fenced off."""

    async def look(self) -> None:
        self._fences = dict(await self._store.fences(self._programmes))


def test_a_hand_that_lets_go_is_found_out() -> None:
    assert any(virtual_time.run(_life(seed, Careless)).wrongs() for seed in range(12))


def test_a_store_without_a_fence_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "check_fences", lambda *_: None)
    assert any(virtual_time.run(_life(seed)).wrongs() for seed in range(0, 12, 2))


def test_the_lives_reach_what_they_are_about() -> None:
    lives = [virtual_time.run(_life(seed)) for seed in range(20)]
    assert sum(bool(life.in_hand - life.counted) for life in lives) > 5
    assert any(life.in_hand & life.counted for life in lives), "committed, and not yet settled"


def in_virtual_time(test: Callable[[], Any]) -> Callable[[], None]:
    def run() -> None:
        virtual_time.run(test())

    run.__name__ = test.__name__
    return run


@in_virtual_time
async def test_nobody_is_told_of_a_fence_before_what_was_read_behind_another_is_back() -> None:
    """Recovery waits for that word before it lets people in."""
    world = World()
    hand = Hand("one", world.intake, world.store, WAVES)
    entry = world.add(WAVES[0])
    hand.take([entry], hand.fence(entry.programme_id))
    await hand.look()
    world.intake.streams.clear()
    world.intake.records.clear()
    fence = await world.rows.raise_fence(entry.programme_id)
    world.intake.fault = lambda: Fault.BEFORE
    with pytest.raises(PortUnavailableError):
        await hand.look()
    assert hand.told()[entry.programme_id] == 0
    world.intake.fault = lambda: Fault.NONE
    await hand.look()
    assert hand.told()[entry.programme_id] == fence
    assert world.intake.records[entry.receipt].state == "received"
