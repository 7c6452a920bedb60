"""Delivery's decisions: never above the pace, waits that are exact, splits that lose nothing."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.core import delivery

paces = st.builds(delivery.Pace, st.integers(1, 1_000_000), st.integers(1, 500))
steps = st.lists(st.tuples(st.integers(0, 3_000_000), st.integers(0, 500)), max_size=40)


@given(st.integers(1, 5_000), st.integers(1, 500), steps)
def test_in_any_window_no_more_goes_than_burst_and_rate(
    max_per_s: int, batch_max: int, moves: list[tuple[int, int]]
) -> None:
    pace = delivery.Pace(max_per_s, batch_max)
    now_us, fullest = 0, 0.0  # `fullest`: a leaky bucket looks at all windows at once
    pace.room(now_us)
    for step_us, wanted in moves:
        now_us += step_us
        fullest = max(0.0, fullest - max_per_s * step_us / 1_000_000)
        rows = min(wanted, pace.room(now_us))
        pace.pay(rows, now_us)
        fullest += rows
        assert fullest <= pace.burst + 1e-6


@given(paces, st.integers(0, 10**12), st.data())
def test_the_wait_is_exact_to_the_microsecond(
    pace: delivery.Pace, now_us: int, data: st.DataObject
) -> None:
    rows = data.draw(st.integers(1, pace.burst))
    assert pace.room(now_us) == 0, "a new process has nothing saved"
    wait_us = pace.wait_us(rows, now_us)
    assert wait_us <= 1_000_000
    assert pace.room(now_us + wait_us - 1) == rows - 1
    assert pace.room(now_us + wait_us) == rows
    assert pace.wait_us(rows, now_us + wait_us) == 0


def test_what_drips_into_a_full_bucket_is_lost() -> None:
    pace = delivery.Pace(max_per_s=10, batch_max=1)
    pace.room(0)
    assert pace.room(1_000_000) == 1
    pace.pay(1, 1_090_000)
    assert pace.wait_us(1, 1_090_000) == 100_000


@given(paces)
def test_a_round_is_worth_its_trip_and_fits_the_bucket(pace: delivery.Pace) -> None:
    assert 1 <= pace.round_rows <= pace.burst <= 500


@given(st.integers(0, 500), st.integers(1, 100))
def test_shares_are_even_and_use_all_room(room: int, hungry: int) -> None:
    share = delivery.share(room, hungry)
    assert room <= share * hungry < room + hungry
    assert share <= room


@given(st.integers(1, 10**9), st.floats(0, 1, exclude_max=True))
def test_the_wait_after_a_failure_grows_to_its_cap_and_is_spread(
    failures: int, draw: float
) -> None:
    wait_s = delivery.backoff_s(failures, draw)
    assert delivery.BACKOFF_S_MIN / 2 <= wait_s <= delivery.BACKOFF_S_MAX
    assert delivery.backoff_s(failures + 1, draw) >= wait_s
    assert delivery.backoff_s(failures, 0.0) <= wait_s <= 2 * delivery.backoff_s(failures, 0.0)


@given(st.lists(st.integers(), min_size=2))
def test_halves_lose_nothing_and_are_never_empty(batch: list[int]) -> None:
    left, right = delivery.halves(batch)
    assert [*left, *right] == batch
    assert left
    assert right
    assert abs(len(left) - len(right)) <= 1


def test_a_row_is_given_up_at_its_fifth_try() -> None:
    assert [delivery.given_up(tries) for tries in range(1, 7)] == [False] * 4 + [True] * 2
