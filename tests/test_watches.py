"""What a process keeps an eye on, and what it waits for."""

import asyncio
from typing import Any

import pytest

from gateway import watches
from gateway.ports import PortUnavailableError


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
