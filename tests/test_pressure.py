"""What presses a process is read from what it knows of its rooms."""

import asyncio
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.core.policy import Policy
from gateway.core.snapshot import Phase
from gateway.metrics import Metrics
from gateway.pressure import intake_full, policies_under_way, watch_pressure
from gateway.services.operations import Condition
from gateway.web.gate import Gate
from gateway.web.lane_table import make_lane
from gateway.web.traffic import Traffic
from tests.support import wait_until
from tests.web.house import NOW_US, OPEN, House
from tests.web.wire import serving

CAP, AGE_US = Policy().intake_cap, Policy().intake_age_s * 1_000_000


@pytest.mark.parametrize(
    ("full", "room"),
    [
        (False, {}),
        (False, {"backlog": CAP - 1, "oldest_us": NOW_US - AGE_US}),
        (True, {"backlog": CAP}),
        (True, {"oldest_us": NOW_US - AGE_US - 1}),
        (False, {"phase": Phase.CLOSED, "backlog": CAP}),
    ],
)
def test_an_intake_is_full_by_its_entries_or_by_their_age(full: bool, room: dict[str, Any]) -> None:
    house = House()
    house.see(OPEN, **room)
    assert intake_full(house.rooms) is full


def test_one_wave_with_room_in_its_intake_keeps_registrations_coming() -> None:
    house = House()
    first = next(iter(house.rooms))
    house.see(OPEN, oldest_us=NOW_US - AGE_US - 1)
    first.observe(OPEN)
    assert not intake_full(house.rooms)


@pytest.mark.parametrize(
    ("full", "room"),
    [
        (False, {"backlog": CAP // 2 - 1, "oldest_us": NOW_US - AGE_US // 2}),
        (True, {"backlog": CAP // 2}),
        (True, {"oldest_us": NOW_US - AGE_US // 2 - 1}),
    ],
)
def test_claims_find_no_room_from_a_share_of_the_intake_on(
    full: bool, room: dict[str, Any]
) -> None:
    house = House()
    house.see(OPEN, **room)
    for each in house.rooms:
        each.policy = replace(each.policy, shed_intake_ratio=0.5)
    assert intake_full(house.rooms, of_claims=True) is full
    assert not intake_full(house.rooms)


def test_only_waves_that_people_are_in_have_a_say() -> None:
    house = House()
    first, second = house.rooms
    second.policy = replace(second.policy, shed_lag_ms=1)
    for phase in Phase:
        second.observe(replace(OPEN, phase=phase))
        found = {policy.shed_lag_ms for policy in policies_under_way(house.rooms)}
        assert found == ({5} if phase in {Phase.SCHEDULED, Phase.CLOSED} else {5, 1}), phase
    assert first.policy in policies_under_way(house.rooms)


async def test_a_changed_policy_is_gone_by_in_the_next_window_and_told(tmp_path: Path) -> None:
    house, condition, stop = House(), Condition(), asyncio.Event()
    gate = Gate("https://gateway.example/problems", lambda: 0.0)
    lane, metrics = make_lane(house.services, None, gate), Metrics(tmp_path)
    traffic = Traffic(metrics, gate)
    room = next(iter(house.rooms))
    async with serving(house.app(), lane=lane) as site, asyncio.TaskGroup() as tasks:
        tasks.create_task(
            watch_pressure(lane, site, house.rooms, metrics, traffic, condition, stop)
        )
        await wait_until(lambda: bool(condition.shedding), what="a first window")
        assert gate.in_flight_max == 64
        room.policy = replace(room.policy, shed_in_flight_max=20, shed_memory_free_ratio=0.5)
        began_s = time.monotonic()
        await wait_until(lambda: gate.in_flight_max == 20, what="the policy is gone by")
        assert time.monotonic() - began_s < 1.0
        assert condition.shedding["thresholds"]["in_flight_max"] == 20
        assert condition.shedding["thresholds"]["memory_free_ratio"] == 0.5
        stop.set()
    text = metrics.render(house.rooms).decode()
    metrics.close()
    assert re.search(r"^gateway_requests_in_flight_limit 20.0$", text, re.MULTILINE)
