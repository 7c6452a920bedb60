"""What a process keeps an eye on, and what it waits for."""

import asyncio
from typing import Any

import pytest

from gateway import watches
from gateway.ports import PortUnavailableError
from tests.operations_house import OperatorsHouse
from tests.support import wait_until


class AwayKeeper:
    """A ``Keeper`` whose store is away for a while."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.prepared = 0

    async def prepare(self) -> None:
        if self.failures:
            self.failures -= 1
            raise PortUnavailableError("the store is away")
        self.prepared += 1


async def test_rooms_are_prepared_once_the_store_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """F-11: also when it is away at the start."""
    monkeypatch.setattr(watches, "PREPARE_EVERY_S", 0.001)
    keeper: Any = AwayKeeper(failures=3)
    await watches.prepare_rooms(keeper, asyncio.Event())
    assert (keeper.failures, keeper.prepared) == (0, 1)


async def test_waiting_for_the_store_ends_when_told_to_stop() -> None:
    keeper: Any = AwayKeeper(failures=1_000_000)
    stop = asyncio.Event()
    waiting = asyncio.create_task(watches.prepare_rooms(keeper, stop))
    await asyncio.sleep(0)
    stop.set()
    async with asyncio.timeout(5):
        await waiting
    assert keeper.prepared == 0


async def test_i57_a_process_whose_policy_stays_behind_the_fleets_is_not_ready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watches, "FLEET_EVERY_S", 0.001)
    monkeypatch.setattr(watches, "BEHIND_S_MAX", 0.05)
    house, stop = OperatorsHouse(), asyncio.Event()
    rows = house.processes.rows = [{"process": "another", "revisions": {"wave-1": 1}}]
    watching = asyncio.create_task(
        watches.watch_fleet(house.processes, house.rooms, house.condition, stop)
    )
    rows[0] = {"process": "another", "revisions": {"wave-1": 2, "of another version": 9}}
    await wait_until(lambda: not house.operations.readiness().ready, what="it is not ready")
    assert house.operations.readiness().reasons == ("wave-1: this process goes by an old policy",)
    house.room().revision = 2
    await wait_until(lambda: house.operations.readiness().ready, what="it is ready again")
    stop.set()
    await watching


async def test_what_comes_to_all_processes_is_summed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watches, "FLEET_EVERY_S", 0.001)
    house, stop = OperatorsHouse(), asyncio.Event()
    house.processes.rows = [
        {"process": "a", "traffic": {"hits_per_s": 10.5, "shed_per_s": 0.0}},
        {"process": "b", "traffic": {"hits_per_s": 20.0, "shed_per_s": 1.5}},
        {"process": "just begun", "traffic": {}},
        {"process": "of another version"},
        {"process": "c", "delivery": {}},
    ]
    watching = asyncio.create_task(
        watches.watch_fleet(house.processes, house.rooms, house.condition, stop)
    )
    await wait_until(lambda: bool(house.condition.fleet_traffic), what="it has looked")
    assert house.condition.fleet_traffic == {"hits_per_s": 30.5, "shed_per_s": 1.5}
    stop.set()
    await watching


async def test_a_change_that_is_on_its_way_makes_nobody_unready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watches, "FLEET_EVERY_S", 0.001)
    house, stop = OperatorsHouse(), asyncio.Event()
    looked: list[int] = []

    async def alive() -> list[dict[str, Any]]:
        looked.append(1)
        return [{"process": "another", "revisions": {"wave-1": 2}}]

    house.processes.alive = alive  # type: ignore[method-assign]
    watching = asyncio.create_task(
        watches.watch_fleet(house.processes, house.rooms, house.condition, stop)
    )
    await wait_until(lambda: len(looked) > 20, what="it has looked")
    assert house.operations.readiness().ready
    stop.set()
    await watching
