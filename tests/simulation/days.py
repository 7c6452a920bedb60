"""Simulated days for tests: a crowd that is all there at the opening, and a wave for it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gateway.core.policy import Policy
from gateway.core.room import Room
from gateway.simulation.arrivals import PROFILES, Profile
from gateway.simulation.day import Day
from gateway.simulation.engine import Scenario, make_day, new_room
from gateway.simulation.tally import TICK_US
from gateway.simulation.worlds import PureWorld, World

CROWD = Profile(
    note="",
    hours=0.05,
    early=20_000.0,
    early_s=30.0,
    doubling_s=10.0,
    waves=(),
    steady_per_s=20.0,
    policy={},
)
LAUNCH = PROFILES["launch-2020"]
POLICY = Policy(rate_per_s=50.0, burst=50, form_cap=20_000, quota=100_000, poll_budget_per_s=5_000)


def scenario(
    *, profile: Profile = CROWD, people: int = 20_000, no_shows: float = 0.0, seed: int = 1,
    hours: float = 0.05, policy: Policy = POLICY, **changes: Any,
) -> Scenario:  # fmt: skip
    """Return a scenario of three minutes unless told otherwise."""
    return Scenario(profile, replace(policy, **changes), people, hours, no_shows, seed)


def day_of(chosen: Scenario, make_world: Callable[[Room], World] = PureWorld) -> Day:
    """Lead a day to its end."""
    day = make_day(chosen, new_room(chosen), make_world)
    for _ in day.run():
        pass
    return day


def admitted_us(day: Day) -> list[int]:
    """Return the instant of each admission."""
    ticks = day.visitors.admitted[day.visitors.admitted >= 0]
    return sorted((ticks * TICK_US).tolist())
