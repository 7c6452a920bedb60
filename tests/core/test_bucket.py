"""I-16, I-17, I-18: the bucket admits burst plus rate, whatever the clock and however many ask."""

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.bucket import (
    RETRY_US_MIN,
    STEP_US_MAX,
    TOKEN,
    elapsed_us,
    kept_tokens,
    refill,
    tokens_asked,
    wait_us,
)

rates = st.integers(1, 100_000_000)
bursts = st.integers(1, 100_000)


@given(rates, bursts, st.lists(st.integers(0, STEP_US_MAX), max_size=200))
def test_any_window_grants_at_most_burst_plus_rate(
    rate: int, burst: int, steps_us: list[int]
) -> None:
    level, granted = burst * TOKEN, 0
    for step_us in steps_us:
        level = refill(level, rate_milli_per_s=rate, burst=burst, step_us=step_us)
        granted += level // TOKEN
        level %= TOKEN
    assert granted * TOKEN <= burst * TOKEN + rate * sum(steps_us)


@given(rates, bursts, st.lists(st.integers(0, 10_000), min_size=1, max_size=50))
def test_many_callers_refill_what_one_would(rate: int, burst: int, steps_us: list[int]) -> None:
    many = 0
    for step_us in steps_us:
        many = refill(many, rate_milli_per_s=rate, burst=burst, step_us=step_us)
    assert many == refill(0, rate_milli_per_s=rate, burst=burst, step_us=sum(steps_us))


@given(st.integers(0, 2**52), st.integers(-(2**40), 2**40))
def test_a_clock_step_counts_for_one_second_at_most(last_us: int, jump_us: int) -> None:
    assert 0 <= elapsed_us(last_us, last_us + jump_us) <= STEP_US_MAX
    if 0 <= jump_us <= STEP_US_MAX:
        assert elapsed_us(last_us, last_us + jump_us) == jump_us


@given(st.integers(0, TOKEN - 1), st.integers(0, 1_000), st.integers(1, 1_000_000))
def test_a_claimant_finds_its_token_when_told_and_not_before(
    level: int, rank: int, rate: int
) -> None:
    wait = wait_us(level, rank, rate_milli_per_s=rate)
    needed = (rank + 1) * TOKEN
    assert level + rate * wait >= needed
    assert wait == 0 or level + rate * (wait - 1) < needed


@given(st.integers(0, 5_000), st.integers(1, 1_000), st.integers(1, 2_000))
def test_the_further_back_a_claimant_the_fuller_the_bucket_it_needs(
    rank: int, kept: int, target: int
) -> None:
    asked = partial(tokens_asked, kept=kept, target=target)
    assert asked(0) == 1  # the first takes the last token
    assert asked(rank) <= asked(rank + 1) <= kept
    if rank:
        assert asked(rank) >= min(kept, 2)  # and it is left there by everybody else
    if rank >= target:
        assert asked(rank) == kept


@given(rates, bursts)
def test_a_full_bucket_serves_whoever_asks_and_little_is_kept(rate: int, burst: int) -> None:
    kept = kept_tokens(rate, burst)
    assert 1 <= kept <= burst  # none is lost
    assert kept <= 2 or (kept - 1) * TOKEN < rate * RETRY_US_MIN
