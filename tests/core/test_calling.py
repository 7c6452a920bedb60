"""I-19, I-22, I-26, I-29, I-33: the order moves forward, over absentees, and never too far."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.bitmap import Bitmap
from gateway.core.calling import (
    NEAR_STOCKS,
    PRESENT_SHARE_MIN,
    advance,
    approach_per_s,
    near_at_opening,
    next_near,
    next_phase,
    stock_target,
)
from gateway.core.snapshot import Phase

present_sets = st.sets(st.integers(0, 120))
TIMES = {"prequeue_at_us": 100, "opens_at_us": 200, "closes_at_us": 300}


def bitmap_of(members: set[int]) -> Bitmap:
    bitmap = Bitmap()
    for position in members:
        bitmap.set(position)
    return bitmap


@given(
    present_sets, st.integers(0, 120), st.integers(0, 120), st.integers(0, 121), st.integers(0, 30)
)
def test_called_advances_to_fill_the_stock_and_no_further(
    members: set[int], called: int, ripe: int, issued: int, target: int
) -> None:
    called = min(called, issued)
    after = advance(bitmap_of(members), called=called, ripe=ripe, issued=issued, target=target)
    stock = sum(1 for p in members if p < after)
    assert called <= after <= issued
    assert after == called or stock <= target
    # Nobody is passed over who was not near for a full interval.
    assert all(p in members for p in range(max(called, ripe), after))
    if stock < target and after < issued:
        assert after >= ripe
        assert after not in members


@given(
    present_sets, st.integers(0, 50), st.integers(0, 100), st.integers(0, 121), st.integers(1, 30)
)
def test_the_near_window_holds_enough_and_is_bounded(
    members: set[int], called: int, width: int, issued: int, target: int
) -> None:
    called, near = min(called, issued), called + width
    after = next_near(bitmap_of(members), called=called, near=near, issued=issued, target=target)
    needed = NEAR_STOCKS * target
    assert called + needed <= after <= issued + needed
    assert after - called <= needed / PRESENT_SHARE_MIN


def test_the_window_follows_the_share_of_those_present_both_ways() -> None:
    every_tenth, everybody = bitmap_of(set(range(0, 10_000, 10))), bitmap_of(set(range(10_000)))
    wide = next_near(every_tenth, called=0, near=60, issued=10_000, target=20)
    assert every_tenth.count(0, wide) >= 0.8 * NEAR_STOCKS * 20
    narrow = next_near(everybody, called=0, near=wide, issued=10_000, target=20)
    assert narrow == NEAR_STOCKS * 20


def test_the_first_window_is_wide_enough_for_a_crowd_that_looks_over_a_minute() -> None:
    near = near_at_opening(issued=1_000_000, target=1_500, check_in_us=5_000_000)
    assert near * 5 / 60 >= NEAR_STOCKS * 1_500
    assert near_at_opening(issued=10, target=1, check_in_us=5_000_000) == 10 + NEAR_STOCKS


def test_the_opening_window_keeps_the_rate_where_few_show_up() -> None:
    """So many of them look within a second, over the minute, as are admitted in it."""
    near = near_at_opening(issued=10**7, target=1_500, check_in_us=5_000_000)
    assert near * PRESENT_SHARE_MIN / 60 == 300


def test_the_near_window_comes_closer_by_the_rate_at_least_and_faster_over_absentees() -> None:
    policy = {"rate_per_s": 300.0, "check_in_s": 5.0}
    assert approach_per_s(called=0, near=0, **policy) == 300
    assert approach_per_s(called=1_000, near=1_000 + 10 * 4_500, **policy) == 3_000


def test_the_stock_is_one_check_in_interval_of_admissions() -> None:
    assert stock_target(300_000, 5_000_000) == 1_500
    assert stock_target(1, 1_000_000) == 1


@given(st.sampled_from(list(TIMES.values())), st.integers(-2, 2), st.integers(0, 3))
def test_phases_follow_time_and_quota(edge: int, off: int, accepted: int) -> None:
    now = edge + off
    phase = next_phase(Phase.SCHEDULED, now, accepted=accepted, quota=2, **TIMES)
    by_time = (
        Phase.SCHEDULED
        if now < 100
        else Phase.PREQUEUE
        if now < 200
        else Phase.CLOSED
        if now >= 300
        else Phase.FULL
        if accepted >= 2
        else Phase.OPEN
    )
    assert phase is by_time


@given(st.sampled_from([Phase.PREQUEUE, Phase.OPEN, Phase.FULL, Phase.CLOSED]), st.integers(0, 400))
def test_a_clock_that_steps_back_reopens_nothing(phase: Phase, now: int) -> None:
    order = [Phase.SCHEDULED, Phase.PREQUEUE, Phase.OPEN, Phase.FULL, Phase.CLOSED]
    after = next_phase(phase, now, accepted=0, quota=1, **TIMES)
    if phase is not Phase.FULL:  # the quota alone moves between open and full
        assert order.index(after) >= order.index(phase)
