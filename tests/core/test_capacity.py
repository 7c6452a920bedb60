"""The store's speed is measured where it works, whether or not slots help it."""

import pytest

from gateway.core.capacity import FRESH_US, Capacity

SECOND_US = 1_000_000


def alone(capacity: Capacity, rows: int, took_us: int, now_us: int) -> int:
    batch = capacity.begin(now_us)
    capacity.end(batch, rows, now_us + took_us)
    return now_us + took_us


def test_nothing_measured_is_nothing_known() -> None:
    assert Capacity(4).per_s(0) is None


def test_time_without_work_does_not_count() -> None:
    capacity = Capacity(1)
    for start_us in range(0, 10 * SECOND_US, SECOND_US):
        alone(capacity, 10, 100_000, start_us)
    assert capacity.per_s(10 * SECOND_US) == pytest.approx(100)


def test_a_store_with_one_writer_is_no_quicker_with_four_batches() -> None:
    capacity, now_us = Capacity(4), 0
    for _ in range(20):
        batches = [capacity.begin(now_us) for _ in range(4)]
        now_us += 400_000  # 10 rows in 100 ms, one after the other
        for batch in batches:
            capacity.end(batch, 10, now_us)
    assert capacity.per_s(now_us) == pytest.approx(100)


def test_a_store_with_many_writers_is_quicker_by_the_slots_that_were_used() -> None:
    capacity, now_us = Capacity(4), 0
    for _ in range(20):
        batches = [capacity.begin(now_us) for _ in range(3)]
        now_us += 100_000
        for batch in batches:
            capacity.end(batch, 10, now_us)
    assert capacity.per_s(now_us) == pytest.approx(300)


def test_a_fall_is_seen_within_seconds() -> None:
    capacity, now_us = Capacity(1), 0
    while now_us < 60 * SECOND_US:
        now_us = alone(capacity, 100, 100_000, now_us)
    while now_us < 75 * SECOND_US:
        now_us = alone(capacity, 100, 333_333, now_us)
    assert 300 <= (capacity.per_s(now_us) or 0) <= 420


def test_failures_take_time_and_bring_nothing() -> None:
    capacity = Capacity(1)
    now_us = alone(capacity, 100, SECOND_US, 0)
    now_us = alone(capacity, 0, SECOND_US, now_us)
    assert (capacity.per_s(now_us) or 0) < 60


def test_after_a_while_without_a_commit_nothing_is_known() -> None:
    capacity = Capacity(1)
    now_us = alone(capacity, 100, SECOND_US, 0)
    assert capacity.per_s(now_us + FRESH_US) is not None
    assert capacity.per_s(now_us + FRESH_US + 1) is None
