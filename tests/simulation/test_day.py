"""A simulated crowd meets the promises of the room: the rate, the quota, the polls, the order."""

import copy
import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from gateway.core.snapshot import Phase, Snapshot
from gateway.simulation.day import Day
from gateway.simulation.engine import make_day, new_room
from gateway.simulation.report import SETTLED_S, document, settled_windows
from gateway.simulation.tally import TICKS_PER_S
from gateway.simulation.visitors import State
from gateway.simulation.worlds import PureWorld
from loadtests.windows import burst_needed, most_within
from tests.simulation.days import CROWD, LAUNCH, POLICY, admitted_us, day_of, scenario

SHARES = [0.0, 0.2, 0.4, 0.7, 0.9]


@pytest.mark.parametrize("no_shows", SHARES)
def test_the_rate_is_held_in_every_window_whatever_the_share_of_no_shows(no_shows: float) -> None:
    people = round(14_000 / (1 - no_shows))
    day = day_of(scenario(people=people, no_shows=no_shows, hours=0.04))
    windows = settled_windows(day, 10)
    assert len(windows) >= 10, f"{len(windows)} windows with enough people in them"
    assert windows.min() >= 0.98 * 10 * POLICY.rate_per_s, windows
    assert windows.max() <= 1.02 * 10 * POLICY.rate_per_s, windows


class ByTheRate(PureWorld):
    """A room with a bug: ``called`` moves as fast as the rate, whoever is there."""

    def tick(self, now_us: int, seen: Sequence[int]) -> Snapshot:
        told = super().tick(now_us, seen)
        if told.phase is not Phase.OPEN:
            return told
        open_s = (now_us - self.room.opens_at_us) / 1_000_000
        called = min(self.room.issued, round(self.room.policy.rate_per_s * open_s))
        self.room.called = called
        return replace(told, called=called)


def test_calling_by_the_rate_alone_would_not_hold_it() -> None:
    day = day_of(scenario(no_shows=0.4, hours=0.03), ByTheRate)
    windows = settled_windows(day, 10)
    assert len(windows)
    assert windows.max() < 0.7 * 10 * POLICY.rate_per_s


@pytest.mark.parametrize("burst", [1, 50])
def test_no_window_admits_more_than_rate_and_burst_allow(burst: int) -> None:
    day = day_of(scenario(burst=burst, people=6_000, hours=0.02))
    instants_us = admitted_us(day)
    assert len(instants_us) > 1_000 if burst == 50 else instants_us
    assert burst_needed(instants_us, POLICY.rate_per_s) <= burst
    assert most_within(instants_us, 1_000_000) <= POLICY.rate_per_s + burst
    told = document(day, scenario(burst=burst), "crowd", "core")["admitted"]
    assert told["burst_needed"] == pytest.approx(
        burst_needed(instants_us, POLICY.rate_per_s), abs=1e-3
    )
    assert told["worst_1_s"] == most_within(instants_us, 1_000_000)


def test_the_quota_is_never_exceeded_and_the_wave_gets_full() -> None:
    chosen = scenario(quota=500, people=3_000, hours=1.0, pass_ttl_s=120)
    day = day_of(chosen)
    assert day.live.current().phase is Phase.FULL
    assert int(day.tally.accepted.max()) == 500
    assert len(np.unique(day.crowd.person[day.visitors.registered])) == 500
    reserved = day.tally.accepted + day.tally.outstanding
    assert int(reserved.max()) <= 500
    told = document(day, chosen, "crowd", "core")
    assert told["wave"]["full_at_s"] > 10
    assert told["people_who"]["told_over"] > 1_000


def test_the_same_seed_gives_the_same_day_and_another_seed_another() -> None:
    def told(seed: int) -> object:
        chosen = scenario(people=2_000, hours=0.02, seed=seed, no_shows=0.1)
        return document(day_of(chosen), replace(chosen, seed=0), "crowd", "core")

    assert told(7) == told(7)
    assert told(7) != told(8)


def test_everybody_is_in_exactly_one_state_and_counted_once() -> None:
    day = day_of(scenario(people=3_000, hours=0.1, no_shows=0.2))
    people = day.visitors
    waiting = np.isin(people.state, [State.WAITING, State.CALLED])
    assert int(waiting.sum()) == people.waiting_count
    assert day.live.current().issued == len(day.crowd) - int((people.state == State.AWAY).sum())
    assert isinstance(day.world, PureWorld)
    assert int((people.admitted >= 0).sum()) == day.world.room.admitted
    persons = np.unique(day.crowd.person[people.registered])
    assert len(persons) == day.world.room.accepted


def smooth_polls(day: Day) -> np.ndarray:
    """Return the polls per second, over ten seconds each."""
    return np.convolve(day.tally.polls, np.ones(10) / 10, "valid")


def test_ten_thousand_people_poll_inside_the_budget() -> None:
    polls = smooth_polls(day_of(scenario(people=10_000, hours=0.1)))
    assert 100 < polls.max() <= 1.1 * POLICY.poll_budget_per_s


@pytest.mark.skipif(
    "SIMULATE_MILLION" not in os.environ, reason="takes a minute; SIMULATE_MILLION=1"
)
def test_a_million_people_poll_inside_the_budget() -> None:
    chosen = scenario(
        profile=LAUNCH, people=1_300_000, hours=12.457, quota=164_000, form_cap=12_000
    )
    day = make_day(chosen, new_room(chosen))
    opening = round(LAUNCH.early_s)
    for second in day.run():
        if second == opening + 600:
            break
    polls, budget_per_s = smooth_polls(day), POLICY.poll_budget_per_s
    assert polls[: opening - 10].max() <= 1.1 * budget_per_s
    # All look within a minute of the opening, whatever the budget; those near at the board and the place.
    opening_per_s = max(budget_per_s, day.live.current().cohort / 60)
    assert polls[opening : opening + 70].max() <= 1.2 * opening_per_s
    assert polls[opening + 80 : opening + 600].max() <= 1.1 * budget_per_s


def test_nobody_who_stayed_is_admitted_before_somebody_in_front_who_was_there() -> None:
    day = day_of(scenario(people=6_000, hours=0.03))
    people = day.visitors
    admitted = np.flatnonzero(people.admitted >= 0)
    order = admitted[np.argsort(people.position[admitted])]
    ticks = people.admitted[order]
    # Who was called waits for a token at most: neighbours go within one check-in and one retry.
    slack = 2 * POLICY.check_in_s * TICKS_PER_S
    assert (np.maximum.accumulate(ticks) - ticks).max() <= slack * 2


def test_a_day_begins_from_a_room_in_full_swing_and_leaves_it_as_it_was() -> None:
    chosen = scenario(people=8_000, hours=0.1)
    first = make_day(chosen, new_room(chosen))
    for second in first.run():
        if second == CROWD.early_s + 60:
            break
    assert isinstance(first.world, PureWorld)
    room = first.world.room
    before, issued = room.admitted, room.issued
    assert 0 < before < issued
    again = make_day(scenario(people=100, hours=0.1), copy.deepcopy(room))
    for _ in again.run():
        pass
    after = again.live.current()
    assert (room.admitted, room.issued) == (before, issued)
    assert after.admitted > before + 2_000
    assert int(again.tally.admitted[SETTLED_S * TICKS_PER_S]) >= before + 9 * POLICY.rate_per_s
    assert after.accepted > before // 2  # those on the form are taken up where they stand
