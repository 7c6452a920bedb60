"""I-53 and the honest wait: intervals fit the budget, ranges hold what is measured."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import pacing


@given(st.floats(0.1, 1_000), st.floats(1, 100_000), st.floats(50, 100_000))
def test_the_stretch_brings_the_polls_of_a_queue_into_the_budget(
    rate: float, far_s: float, budget: float
) -> None:
    s = pacing.stretch(rate, far_s, budget)
    assert 1 <= s <= pacing.STRETCH_MAX
    if s < pacing.STRETCH_MAX:
        assert pacing.load_per_s(s, rate, far_s) <= budget * 1.001


@pytest.mark.parametrize("far_s", [60, 600, 6_000, 26_000])
@pytest.mark.parametrize("s", [1.0, 1.5, 3.0, 12.0])
def test_the_expected_load_is_what_jittering_visitors_ask(far_s: float, s: float) -> None:
    rng = random.Random(f"{far_s} {s}")
    asked = sum(polls_of_one(far_s, s, rng) for _ in range(2_000)) / 2_000
    assert pacing.load_per_s(s, 1.0, far_s) == pytest.approx(asked, rel=0.2, abs=0.3)


def polls_of_one(far_s: float, s: float, rng: random.Random) -> int:
    """Count what one visitor asks on its way to the near window, each interval 15 % more or less."""
    polls = 0
    while far_s > 0:
        far_s -= pacing.poll_s(far_s, s) * rng.uniform(0.85, 1.15)
        polls += 1
    return polls


@given(st.floats(0, 100_000), st.floats(1, 64))
def test_nobody_is_asked_more_often_than_the_least_interval(far_s: float, s: float) -> None:
    assert pacing.POLL_S_MIN <= pacing.poll_s(far_s, s) <= s * pacing.POLL_S_MAX


@given(st.floats(0, 100_000), st.floats(1, 64), st.floats(0.85, 1.15))
def test_whoever_does_as_told_meets_the_near_window(far_s: float, s: float, jitter: float) -> None:
    late_s = pacing.poll_s(far_s, s) * jitter - far_s
    assert late_s <= pacing.POLL_S_MIN * 1.15


@given(st.integers(0, 2_000_000), st.floats(0.1, 500), st.floats(0.1, 500))
def test_the_range_holds_the_wait_at_both_measured_rates(
    ahead: int, short: float, long: float
) -> None:
    known = pacing.eta_s(ahead, short, long)
    assert known is not None
    low, high = known
    assert low <= ahead / max(short, long)
    assert high >= ahead / min(short, long)
    assert low < high


def test_an_unknown_wait_is_said_to_be_unknown() -> None:
    assert pacing.eta_s(100, None, None) is None
    assert pacing.eta_s(100, 0.0, 0.0) is None
    advance = pacing.Advance()
    assert advance.per_s() is None
    for second in range(4):
        advance.add(second * 1_000_000, second * 10)
    assert advance.per_s() is None


def test_the_advance_is_measured_over_its_window() -> None:
    advance = pacing.Advance()
    for second in range(400):
        advance.add(second * 1_000_000, second * 10 + max(0, second - 340) * 10)
    assert advance.per_s(pacing.SHORT_US) == 20.0 - 10 * 1 / 60
    assert 10 < (advance.per_s(pacing.LONG_US) or 0) < 13


@given(st.floats(0, 1))
def test_before_opening_all_wake_once_spread_behind_it(share: float) -> None:
    assert pacing.opening_poll_s(3_600, 1_000, 1_000, share) >= 250
    assert pacing.opening_poll_s(3_600, 1_300_000, 2_000, share) >= 500
    wake = pacing.opening_poll_s(100, 1_300_000, 2_000, share)
    assert 100 < wake <= 161


@given(st.integers(0, 2_000_000), st.floats(100, 100_000))
def test_an_overdue_opening_is_asked_for_inside_the_budget(waiting: int, budget: float) -> None:
    shares = [nth / 100 for nth in range(100)]
    intervals_s = [pacing.overdue_poll_s(waiting, budget, share) for share in shares]
    assert min(intervals_s) >= 0.85 * pacing.POLL_S_MIN
    assert sum(waiting / 100 / interval_s for interval_s in intervals_s) <= budget


def test_the_outlook_counts_those_in_front() -> None:
    assert pacing.outlook(10, 0, 1.0) == "full"
    assert pacing.outlook(10, 11, 1.0) == "likely"
    assert pacing.outlook(10, 10, 1.0) == "unlikely"
    assert pacing.outlook(10, 6, 0.5) == "likely"


def test_promises_are_judged_when_their_visitors_are_called() -> None:
    promises = pacing.Promises()
    promises.make(10, 100, 200)
    promises.make(11, 100, 200)
    promises.make(11, 0, 10)  # the first word counts
    promises.make(50, 100, 200)
    promises.settle(11, 150)
    assert (promises.made, promises.kept) == (1, 1)
    promises.settle(20, 250)
    assert (promises.made, promises.kept) == (2, 1)


def test_promises_are_bounded() -> None:
    promises = pacing.Promises()
    for position in range(10 * pacing.PROMISES_MAX):
        promises.make(position, 0, 1)
    promises.settle(10**9, 0)
    assert promises.made == pacing.PROMISES_MAX
