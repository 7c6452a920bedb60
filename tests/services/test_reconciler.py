"""F-14, I-5: a store that says OK and forgets is found out, and everybody is in it at last."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from gateway.ports import Stocks
from gateway.services.overview import alarms
from gateway.services.reconciler import RECORDED_S, Reconciler
from tests.adapters import virtual_time
from tests.adapters.faults import Fault
from tests.adapters.intake import loop_us
from tests.services.delivery_world import WAVES, World, wrongs


@dataclass
class Witness:
    found: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    kept: dict[str, Stocks] = field(default_factory=dict)

    def forgotten(self, wave_id: str, count: int) -> None:
        self.found += count

    def lost(self, programme_id: str, count: int) -> None:
        self.missing[programme_id] = count

    def stocks(self, wave_id: str, stocks: Stocks) -> None:
        self.kept[wave_id] = stocks


@asynccontextmanager
async def reconciling(world: World, witness: Witness) -> AsyncIterator[Reconciler]:
    stop = asyncio.Event()
    reconciler = Reconciler(WAVES, world.intake, world.store, witness, now_us=loop_us)
    async with asyncio.TaskGroup() as group:
        group.create_task(reconciler.run(stop))
        yield reconciler
        stop.set()


async def _forgetful(is_on: bool = True, faults: bool = False) -> tuple[World, Witness]:
    """Deliver 5,000 to a store that forgets every 100th or so when it sees it first."""
    world, witness, seen = World(seed=3, max_per_s=1_000), Witness(), set[str]()

    def forgets(row: object) -> bool:
        receipt = row.receipt  # type: ignore[attr-defined]
        is_first = receipt not in seen
        seen.add(receipt)
        return is_first and world.rng.random() < 0.01

    world.store.forgets = forgets
    if faults:
        world.store.fault = lambda: world.rng.choice([Fault.NONE] * 9 + [Fault.AFTER])
    for wave in WAVES[:2]:
        world.fill(wave, 2_500)
    async with world.delivering():
        if not is_on:
            await world.quiet()
            await asyncio.sleep(60.0)
            return world, witness
        async with reconciling(world, witness):
            await world.quiet()
            await asyncio.sleep(60.0)
            await world.quiet()
    return world, witness


@pytest.mark.parametrize("faults", [False, True], ids=["calm", "failing"])
def test_f_14_every_forgotten_entry_is_found_and_recorded_after_all(faults: bool) -> None:
    world, witness = virtual_time.run(_forgetful(faults=faults))
    assert wrongs(world) == []
    assert len(world.rows.rows) == 5_000
    assert witness.found > 20, "the store has forgotten some"
    assert all(kept.settled == 0 for kept in witness.kept.values()), "nothing is kept for ever"


def test_f_14_with_the_reconciler_off_they_are_missing() -> None:
    world, _ = virtual_time.run(_forgetful(is_on=False))
    assert len(world.rows.rows) < 5_000
    assert wrongs(world)


async def _late_loss(asked: bool) -> tuple[Witness, Reconciler]:
    """Lose a row after it was read back: nothing can queue it again, and it must be told."""
    world, witness = World(), Witness()
    world.fill(WAVES[0], 1_200)
    async with world.delivering(), reconciling(world, witness) as reconciler:
        await world.quiet()
        await asyncio.sleep(RECORDED_S + 10.0)
        del world.rows.rows[world.accepted[700].receipt]
        if asked:
            world.intake.asks = 1
            await asyncio.sleep(1.5)
            assert reconciler.told()["sweeps"]["prakerja"]["asked"] == {
                "prakerja-1": 1,
                "prakerja-2": 1,
            }
        else:
            await asyncio.sleep(10.0)
    return witness, reconciler


@pytest.mark.parametrize("asked", [False, True], ids=["in time", "when asked"])
def test_what_cannot_be_queued_again_is_told(asked: bool) -> None:
    witness, reconciler = virtual_time.run(_late_loss(asked))
    assert witness.missing == {"prakerja": 1}
    assert reconciler.told()["sweeps"]["prakerja"]["lost"] == 1
    assert "R000" not in str(reconciler.told()), "no receipt leaves it"


async def _astray(lose: bool) -> Reconciler:
    """Keep a misfit among the dead letters and one that waits; lose both where told to."""
    world = World(reclaim_idle_s=3.0)
    world.fill(WAVES[0], 20)
    world.add(WAVES[0], payload=b"[]")
    async with reconciling(world, Witness()) as reconciler:
        async with world.delivering():
            await world.quiet()
        world.fill(WAVES[1], 1)
        await asyncio.sleep(RECORDED_S + 10.0)
        assert reconciler.told()["sweeps"]["prakerja"]["astray"] == 0
        if lose:
            world.intake.stream(WAVES[0]).dead.clear()
            world.intake.stream(WAVES[1]).entries.clear()
        await asyncio.sleep(10.0)
    return reconciler


@pytest.mark.parametrize(("lose", "astray"), [(False, 0), (True, 2)])
def test_i_5_what_is_told_to_wait_or_to_be_refused_and_is_nowhere_is_told(
    lose: bool, astray: int
) -> None:
    told = virtual_time.run(_astray(lose)).told()
    assert told["sweeps"]["prakerja"]["astray"] == astray
    assert len(alarms([], [{"reconciler": {"waves": {}, "sweeps": told["sweeps"]}}])) == (
        astray > 0
    )
    assert "R000" not in str(told)


def test_a_wish_in_a_room_made_anew_is_fulfilled_though_it_be_a_smaller_one() -> None:
    async def life() -> list[int]:
        world, told = World(), []
        world.fill(WAVES[0], 1_200)
        async with world.delivering(), reconciling(world, Witness()) as reconciler:
            await world.quiet()
            for wish in (3, 1):
                world.intake.asks = wish
                await asyncio.sleep(1.5)
                told.append(reconciler.told()["sweeps"]["prakerja"]["asked"]["prakerja-1"])
        return told

    assert virtual_time.run(life()) == [3, 1]


def test_a_store_that_is_down_is_asked_again_and_nothing_is_queued() -> None:
    async def life() -> tuple[World, Witness]:
        world, witness = World(), Witness()
        world.fill(WAVES[0], 50)
        async with world.delivering():
            await world.quiet()
            world.rows.is_down = True
            async with reconciling(world, witness):
                await asyncio.sleep(30.0)
                assert len(world.intake.stream(WAVES[0]).settled) == 50
                world.rows.is_down = False
                await asyncio.sleep(30.0)
        return world, witness

    world, witness = virtual_time.run(life())
    assert witness.found == 0
    assert not world.intake.stream(WAVES[0]).settled
