"""When somebody may ask again who asks often."""

import math

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.flood import ROUNDING_S, burst_of, next_may_s

intervals = st.floats(0.001, 10.0)
bursts = st.integers(1, 1_000)


@given(intervals, bursts, st.lists(st.floats(0.0, 5.0), min_size=1, max_size=200))
def test_no_window_holds_more_than_the_burst_and_one_per_interval(
    interval_s: float, burst: int, gaps_s: list[float]
) -> None:
    may_at_s, now_s, taken = -math.inf, 1_000.0, []
    for gap_s in gaps_s:
        now_s += gap_s
        if may_at_s <= now_s:
            taken.append(now_s)
            may_at_s = next_may_s(may_at_s, now_s, interval_s=interval_s, burst=burst)
    for first, begun_s in enumerate(taken):
        for last in range(first, len(taken)):
            allowed = burst + (taken[last] - begun_s + ROUNDING_S) / interval_s
            assert last - first + 1 <= allowed + 1e-6


@given(intervals, bursts)
def test_a_burst_may_come_at_once_and_one_more_after_an_interval(
    interval_s: float, burst: int
) -> None:
    may_at_s = -math.inf
    for _ in range(burst):
        assert may_at_s <= 100.0 + ROUNDING_S
        may_at_s = next_may_s(may_at_s, 100.0, interval_s=interval_s, burst=burst)
    assert may_at_s > 100.0 + ROUNDING_S
    assert math.isclose(may_at_s, 100.0 + interval_s, rel_tol=1e-9)


@given(intervals, bursts, st.floats(0, 1e6))
def test_who_was_quiet_long_enough_is_as_good_as_new(
    interval_s: float, burst: int, quiet_s: float
) -> None:
    spent_s = next_may_s(-math.inf, 0.0, interval_s=interval_s, burst=burst)
    now_s = burst * interval_s + quiet_s
    fresh = next_may_s(-math.inf, now_s, interval_s=interval_s, burst=burst)
    assert next_may_s(spent_s, now_s, interval_s=interval_s, burst=burst) == fresh


def test_a_burst_is_what_comes_in_its_time() -> None:
    assert burst_of(300, 1_000.0) == 5_000
    assert burst_of(3_000, 60.0) == 3_000
    assert burst_of(1, 1.0) == 1
