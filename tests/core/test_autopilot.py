"""The controller's arithmetic: build, feed, read. And the bench that it was built for."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.autopilot import Reading, Regime, Steer, begin, next_steer, under_way
from gateway.core.flow import HISTORY_US, Flow
from loadtests.pilot import Script, bench, run

READING = Reading(
    at_us=1_000_000,
    capacity_per_s=100.0,
    is_working=True,
    is_admitting=True,
    backlog=0,
    form_s=60.0,
    on_form=5_700,
    share=1.0,
    ceiling_per_s=200.0,
    floor_per_s=2.0,
)


def fed(rate_per_s: float, **changes: Any) -> Steer:
    """Return what follows one second after a steady ``rate_per_s``."""
    return next_steer(Steer(rate_per_s, Regime.STEADY, "", 0), replace(READING, **changes))


def test_steady_it_stays_at_95_percent_of_the_capacity() -> None:
    assert fed(95.0) == Steer(95.0, Regime.STEADY, "the store takes 100 rows/s", 1_000_000)


def test_falling_is_at_once() -> None:
    assert (fed(180.0).rate_per_s, fed(180.0).regime) == (95.0, Regime.FALLING)


def test_rising_is_two_percent_a_second() -> None:
    assert fed(50.0).rate_per_s == pytest.approx(50.0 + 0.02 * 95.0)
    assert fed(50.0).regime is Regime.RISING


def test_what_is_too_much_under_way_lowers_the_rate_below_the_capacity() -> None:
    assert fed(95.0, backlog=3_000).rate_per_s < 70.0
    assert fed(95.0, backlog=50_000).rate_per_s == 2.0


def test_less_than_enough_under_way_raises_nothing_above_the_target() -> None:
    assert fed(95.0, on_form=0).rate_per_s == 95.0


def test_passes_that_bring_nothing_are_made_up_for() -> None:
    assert fed(190.0, share=0.5).rate_per_s == pytest.approx(190.0)
    assert under_way(replace(READING, share=0.5, backlog=10)) == 5_700 / 2 + 10


def test_a_pause_halves_the_rate_once_and_it_rises_from_there() -> None:
    paused = fed(80.0, is_admitting=False)
    again = next_steer(paused, replace(READING, is_admitting=False, at_us=2_000_000))
    assert (paused.rate_per_s, again.rate_per_s) == (40.0, 40.0)
    assert next_steer(again, replace(READING, at_us=3_000_000)).rate_per_s < 42.0


def test_stale_it_decays_to_the_floor() -> None:
    steer = Steer(100.0, Regime.STEADY, "", 0)
    for second in range(1, 11):
        steer = next_steer(steer, replace(READING, is_working=False, at_us=second * 1_000_000))
    assert steer.rate_per_s == pytest.approx(50.0)
    assert steer.regime is Regime.STALE
    for second in range(11, 90):
        steer = next_steer(steer, replace(READING, is_working=False, at_us=second * 1_000_000))
    assert steer.rate_per_s == 2.0


def test_a_quiet_store_is_no_slow_one() -> None:
    assert fed(200.0, capacity_per_s=None).rate_per_s == 200.0


def test_a_new_holder_begins_with_half() -> None:
    assert begin(READING).rate_per_s == 100.0


@given(
    st.floats(0, 1e6), st.none() | st.floats(0, 1e6), st.booleans(), st.booleans(),
    st.integers(0, 10**7), st.integers(0, 10**7), st.floats(0.2, 1.0), st.integers(-10**9, 10**12),
)  # fmt: skip
def test_whatever_it_reads_it_stays_between_floor_and_ceiling_and_rises_slowly(
    rate: float, capacity: float | None, works: bool, admits: bool,
    backlog: int, on_form: int, share: float, at_us: int,
) -> None:  # fmt: skip
    after = fed(
        rate, capacity_per_s=capacity, is_working=works, is_admitting=admits, backlog=backlog,
        on_form=on_form, share=share, at_us=at_us,
    )  # fmt: skip
    assert READING.floor_per_s <= after.rate_per_s <= READING.ceiling_per_s
    # Near is as good as there (3 %); two seconds count at most (4 %).
    assert after.rate_per_s <= max(READING.floor_per_s, rate + 0.04 * READING.ceiling_per_s + 0.01)


def test_the_flow_learns_form_time_and_share_from_the_counters() -> None:
    flow = Flow()
    for second in range(900):
        accepted = max(0, second - 70) * 8  # 80 % of 10/s, 70 s later
        flow.observe(second * 1_000_000, second * 10, accepted, accepted * 70_000_000)
    assert flow.form_s == pytest.approx(70.0)
    assert flow.share == pytest.approx(0.8, abs=0.01)
    assert flow.on_form == pytest.approx(700, abs=10)


def test_the_history_is_bounded_also_while_the_wave_clock_stands() -> None:
    flow = Flow()
    for second in range(4_000):
        flow.observe(second * 1_000_000, second, 0, 0)
    assert len(flow._history) <= HISTORY_US // 1_000_000 + 1
    length = len(flow._history)
    for _ in range(10):
        flow.observe(3_999_000_000, 3_999, 0, 0)
    assert len(flow._history) == length


def test_a_room_put_back_starts_its_history_anew() -> None:
    flow = Flow()
    flow.observe(0, 1_000, 500, 0)
    flow.observe(1_000_000, 10, 5, 0)
    assert flow.on_form == 0


def test_a_fall_by_70_percent_for_five_minutes_is_ridden_out() -> None:
    worst = bench(2)
    assert worst["used"] >= 0.85
    assert worst["overshoot"] <= 0.10
    assert worst["refused_per_completed"] <= 0.8
    assert worst["backlog_of_cap"] <= 1.0


def test_without_the_autopilot_the_bench_is_red() -> None:
    assert run(Script(), is_steered=False).misses == ["overshoot"]
