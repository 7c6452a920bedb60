"""Pages are told a pace and intervals that a crowd can be asked to keep, whatever ``called`` does."""

from dataclasses import replace

import pytest

from gateway.core import pacing
from gateway.core.room import Room, snapshot
from gateway.core.snapshot import Phase, Snapshot
from gateway.services.rooms import LiveRoom
from gateway.simulation.engine import make_day, new_room
from tests.simulation.days import POLICY, scenario


def a_room() -> tuple[LiveRoom, Snapshot]:
    """Return a front door's view of an open wave with 300,000 waiting, and its snapshot."""
    chosen = scenario(people=10)
    room: Room = new_room(chosen)
    live = make_day(chosen, room).live
    room.last_us, room.phase = room.opens_at_us, Phase.OPEN
    room.issued = room.cohort = 300_000
    room.near = 9_000
    return live, snapshot(room)


def observe(live: LiveRoom, told: Snapshot, called_per_s: int, *, stock: int) -> None:
    for second in range(1, 31):
        live.observe(
            replace(
                told, clock_us=second * 1_000_000,
                now_us=told.now_us + second * 1_000_000, furthest_us=told.now_us + second * 1_000_000,
                called=1_000 + second * called_per_s, near=10_000 + second * called_per_s, stock=stock,
            )
        )  # fmt: skip


def test_who_was_passed_over_and_came_back_makes_the_rate_the_pace() -> None:
    live, told = a_room()
    observe(live, told, 600, stock=2_000)
    assert live.pace_per_s() == POLICY.rate_per_s
    live, told = a_room()
    observe(live, told, 0, stock=2_000)
    assert live.pace_per_s() == POLICY.rate_per_s


def test_absent_people_make_the_pace_faster_than_the_rate() -> None:
    live, told = a_room()
    observe(live, told, 500, stock=250)
    assert live.pace_per_s() == 500


@pytest.mark.parametrize("called_per_s", [0, 1, 50, 500])
def test_a_crowd_that_waits_for_boards_stays_inside_the_budget(called_per_s: int) -> None:
    live, told = a_room()
    observe(live, told, called_per_s, stock=100)
    waiting = live.current().issued - live.current().called
    assert waiting / live.moment().board_poll_s() <= POLICY.poll_budget_per_s
    assert live.stretch < 3
    assert live.moment().board_poll_s() <= pacing.POLL_S_MAX


def test_a_wave_that_calls_nobody_any_more_does_not_lose_sight_of_its_crowd() -> None:
    live, told = a_room()
    observe(live, told, 1, stock=100)
    assert pacing.poll_s(live.wait_s(280_000), live.stretch) <= pacing.POLL_S_MAX * live.stretch


def test_right_after_the_opening_no_pace_is_told() -> None:
    live, told = a_room()
    for second in range(1, 10):
        now_us = told.now_us + second * 1_000_000
        live.observe(
            replace(
                told,
                clock_us=second * 1_000_000,
                now_us=now_us,
                furthest_us=now_us,
                called=600 * second,
            )
        )
    assert live.advance.per_s() is not None
    assert live.pace_per_s() is None
