"""What a plan expects is what a simulated crowd then lives through."""

from dataclasses import replace

import pytest

from gateway.core import pacing
from gateway.core.forecast import Habits, forecast, habits
from gateway.core.policy import Policy
from gateway.core.room import snapshot
from gateway.core.snapshot import Phase
from gateway.simulation.engine import make_day, new_room
from gateway.simulation.tally import TICKS_PER_S
from gateway.simulation.worlds import PureWorld
from tests.operations_house import a_snapshot
from tests.simulation.days import CROWD, scenario

PLANNED_AT_S = 120.0  # after the opening
KNOWN = Habits(completion=0.9, form_s=120.0, steps=1.0, is_measured=True)


@pytest.mark.parametrize(
    ("no_shows", "rate_per_s", "quota"),
    [
        (0.0, 50.0, 9_000),
        (0.0, 80.0, 50_000),
        (0.0, 30.0, 9_000),
        (0.4, 50.0, 9_000),
        (0.7, 50.0, 50_000),
    ],
)
def test_full_and_last_in_line_come_about_when_the_plan_said(
    no_shows: float, rate_per_s: float, quota: int
) -> None:
    """Planned two minutes after the opening, at which the rate is changed from 50/s."""
    people = round(14_000 / (1 - no_shows))
    profile = replace(CROWD, steady_per_s=0.0)
    chosen = scenario(people=people, no_shows=no_shows, hours=0.2, quota=quota, profile=profile)
    day = make_day(chosen, new_room(chosen), PureWorld)
    opened = round(chosen.profile.early_s * TICKS_PER_S)
    while day.tick < opened + PLANNED_AT_S * TICKS_PER_S:
        day.step()
    assert isinstance(day.world, PureWorld)
    room, planned_tick = day.world.room, day.tick
    seen = snapshot(room)
    known = habits(seen, day.live.advance.per_s(pacing.SHORT_US))
    room.policy = day.live.policy = replace(chosen.policy, rate_per_s=rate_per_s, burst=30)
    plan = forecast(seen, room.policy, known)
    last_tick = full_tick = None
    while day.tick < day.tick_count and not (last_tick and full_tick):
        day.step()
        if full_tick is None and room.accepted + len(room.passes) >= room.policy.quota:
            full_tick = day.tick
        if last_tick is None and room.called >= seen.issued:
            last_tick = day.tick
    assert (plan.full_in_s is None) is (full_tick is None)
    if plan.full_in_s is not None and full_tick is not None:
        full_in_s = (full_tick - planned_tick) / TICKS_PER_S
        assert plan.full_in_s == pytest.approx(full_in_s, rel=0.1)
    if last_tick is not None:
        assert plan.last_s is not None
        took_s = (last_tick - planned_tick) / TICKS_PER_S
        assert plan.last_s[0] <= took_s <= plan.last_s[1]
    assert full_tick or last_tick


def test_the_form_cap_holds_the_rate_by_littles_law() -> None:
    seen = a_snapshot(Phase.OPEN, issued=10_000, near=100)
    policy = Policy(rate_per_s=50, form_cap=1_680, pass_ttl_s=600, quota=10**6)
    plan = forecast(seen, policy, KNOWN)  # 0.9 · 120 s + 0.1 · 600 s = 168 s
    assert plan.held_by == "form_cap"
    assert plan.rate_per_s == pytest.approx(10)
    assert (plan.form_cap_needed, plan.on_form) == (8_400, 1_680)


def test_a_rate_that_the_autopilot_holds_is_the_one_that_counts() -> None:
    seen = a_snapshot(Phase.OPEN, issued=10_000, near=100)
    policy = Policy(rate_per_s=50, form_cap=10**6, autopilot="auto")
    assert forecast(seen, policy, KNOWN, held_milli=7_500).rate_per_s == 7.5
    assert forecast(seen, policy, KNOWN).rate_per_s == 50
    manual = replace(policy, autopilot="manual")
    assert forecast(seen, manual, KNOWN, held_milli=7_500).held_by == ""


def test_a_paused_full_or_closed_wave_promises_nothing() -> None:
    policy = Policy(quota=10**6)
    for phase, held in ((Phase.OPEN, True), (Phase.FULL, False), (Phase.CLOSED, False)):
        seen = a_snapshot(phase, issued=10_000, near=100)
        plan = forecast(seen, replace(policy, paused=held), KNOWN)
        assert (plan.last_s, plan.full_in_s, plan.polls_per_s, plan.store_per_s) == (
            None,
            None,
            0,
            0,
        )


def test_places_are_taken_by_passes_and_those_that_lapse_come_back_a_life_later() -> None:
    policy = Policy(rate_per_s=10, form_cap=10**6, quota=900, pass_ttl_s=60)
    seen = a_snapshot(Phase.OPEN, issued=10_000, near=100, accepted=450, outstanding=450)
    assert forecast(seen, policy, KNOWN).full_in_s == 0
    seen = a_snapshot(Phase.OPEN, issued=10_000, near=100)
    assert forecast(seen, policy, KNOWN).full_in_s == pytest.approx(60 + 300 / 9)
    assert forecast(seen, policy, replace(KNOWN, completion=0.0)).full_in_s is None
    seen = a_snapshot(Phase.OPEN, issued=500, near=100)
    assert forecast(seen, policy, KNOWN).full_in_s is None  # they suffice for all who are there


def test_until_enough_have_come_habits_are_assumed_and_that_is_said() -> None:
    assert habits(a_snapshot(Phase.OPEN), None) == Habits(1.0, 180.0, 1.0, is_measured=False)
    seen = a_snapshot(
        Phase.OPEN, admitted=200, outstanding=100, accepted=80, form_us=80 * 60_000_000,
        called=500, stock=20, rate_milli_per_s=10_000,
    )  # fmt: skip
    assert habits(seen, None) == Habits(0.8, 60.0, 2.4, is_measured=True)
    assert habits(seen, 35.0).steps == 3.5
