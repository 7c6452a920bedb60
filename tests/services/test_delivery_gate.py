"""The gate in front of the store: whoever waits at it goes on, however the clock moves meanwhile."""

import asyncio
import random
from itertools import count

import pytest

from gateway.core.breaker import OPENS_AFTER
from gateway.ports import PortUnavailableError
from gateway.services import delivery_gate
from gateway.services.delivery_gate import Gate
from tests.services.delivery_world import Meter


def failed(gate: Gate, times: int) -> None:
    for _ in range(times):
        with pytest.raises(PortUnavailableError), gate.timed(1):
            raise PortUnavailableError("down")


@pytest.mark.parametrize("before_us", range(4))
@pytest.mark.parametrize("failures", [1, OPENS_AFTER])
async def test_a_try_that_becomes_due_between_two_looks_at_the_clock_is_made(
    monkeypatch: pytest.MonkeyPatch, failures: int, before_us: int
) -> None:
    gate, stop = Gate(2, Meter(), random.Random(1)), asyncio.Event()
    failed(gate, failures)
    due_us = gate._breaker._retry_at_us
    monkeypatch.setattr(delivery_gate, "now_us", count(due_us - before_us).__next__)
    async with asyncio.timeout(2.0):
        await gate.wait_for_room(lambda: 0, stop)
        async with gate.slot(stop):
            pass
