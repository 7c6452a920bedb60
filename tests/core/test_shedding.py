"""Who is refused first, how quickly, and who never."""

from dataclasses import asdict, fields, replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.policy import BOUNDS, Policy
from gateway.core.shedding import (
    DEFAULTS,
    THRESHOLD_MIN,
    Rank,
    Signals,
    Thresholds,
    in_flight_max,
    limits,
    next_threshold,
    thresholds,
)

QUIET, LATE = Signals(lag_s=0.0049), Signals(lag_s=0.0051)
levels = st.floats(THRESHOLD_MIN, 1.0)
flights = st.integers(DEFAULTS.in_flight_min, DEFAULTS.in_flight_max)


@pytest.mark.parametrize(
    "signals",
    [LATE, Signals(memory_free_ratio=0.04), Signals(descriptors_free_ratio=0.09)],
)
def test_any_shortage_lowers_the_threshold_by_a_twentieth(signals: Signals) -> None:
    assert next_threshold(0.8, signals) == pytest.approx(0.76)
    assert next_threshold(0.8, QUIET) == pytest.approx(0.81)


def test_it_shuts_within_four_seconds_and_opens_within_ten() -> None:
    threshold, windows = 1.0, 0
    while threshold > THRESHOLD_MIN:
        threshold, windows = next_threshold(threshold, LATE), windows + 1
    assert windows <= 40
    while threshold < 1.0:
        threshold, windows = next_threshold(threshold, QUIET), windows + 1
    assert windows <= 40 + 100


@given(levels, st.sampled_from([QUIET, LATE]))
def test_the_threshold_stays_in_its_range(threshold: float, signals: Signals) -> None:
    assert THRESHOLD_MIN <= next_threshold(threshold, signals) <= 1.0


@given(levels, flights)
def test_no_rank_has_more_room_than_one_above_it_and_the_highest_all(
    threshold: float, in_flight: int
) -> None:
    found = limits(threshold, in_flight)
    assert all(low <= high for low, high in pairwise(found))
    assert found[Rank.REGISTRATION] == limits(1.0, in_flight)[Rank.REGISTRATION]
    assert sum(0 < limit < in_flight for limit in found) <= 1  # one rank is cut through


def test_at_rest_all_have_room_and_at_the_worst_registrations_alone() -> None:
    assert limits(1.0, 40) == (40, 40, 50, 60, 70)
    assert limits(0.9, 40) == (20, 40, 50, 60, 70)
    assert limits(0.6, 40) == (0, 0, 50, 60, 70)
    assert limits(THRESHOLD_MIN, 40) == (0, 0, 0, 0, 70)


@given(flights)
def test_newcomers_that_take_all_the_room_they_find_leave_some_to_those_further_on(
    in_flight: int,
) -> None:
    found = limits(1.0, in_flight)
    joined = found[Rank.JOIN]
    assert all(found[rank] >= joined + 2 for rank in Rank if rank > Rank.JOIN)
    queued_ms = found[Rank.REGISTRATION] * DEFAULTS.wait_ms / in_flight
    assert queued_ms < 30  # it stays a short queue


def test_a_full_intake_stops_claims_and_registrations_only() -> None:
    assert limits(1.0, 40, intake_full=True) == (40, 40, 50, 0, 0)


@pytest.mark.parametrize(
    ("cpu_s", "expected"), [(0.0, 64), (0.0001, 64), (0.0005, 30), (0.001, 15), (0.1, 8)]
)
def test_what_is_in_flight_is_worth_fifteen_milliseconds(cpu_s: float, expected: int) -> None:
    assert in_flight_max(cpu_s) == expected


def test_a_nearly_full_intake_stops_claims_and_lets_registrations_come() -> None:
    assert limits(1.0, 40, claims_full=True) == (40, 40, 50, 0, 70)


def test_without_a_policy_the_defaults_are_those_of_the_policy() -> None:
    assert thresholds([]) == thresholds([Policy()]) == DEFAULTS
    known = {f"shed_{field.name}" for field in fields(Thresholds)} | {"shed_intake_ratio"}
    assert known == {name for name in BOUNDS if name.startswith("shed_")}


@pytest.mark.parametrize(
    ("field", "careful", "careless"),
    [
        ("lag_ms", 2, 500),
        ("wait_ms", 5, 100),
        ("in_flight_min", 1, 16),
        ("in_flight_max", 16, 1_000),
        ("fall_ratio", 0.4, 0.01),
        ("rise_ratio", 0.002, 0.3),
        ("memory_free_ratio", 0.3, 0.0),
        ("descriptors_free_ratio", 0.5, 0.0),
    ],
)
def test_of_several_waves_the_most_careful_policy_counts(
    field: str, careful: float, careless: float
) -> None:
    values: list[dict[str, Any]] = [{f"shed_{field}": value} for value in (careless, careful)]
    policies = [replace(Policy(), **value) for value in values]
    found = thresholds([*policies, Policy()])
    assert getattr(found, field) == careful
    assert asdict(found) == asdict(DEFAULTS) | {field: careful}


def test_everything_goes_by_the_thresholds_it_is_given() -> None:
    by = Thresholds(20, 30, 4, 200, 0.5, 0.1, 0.2, 0.3)
    lag, memory, free = Signals(0.0201), Signals(0.02, 0.19), Signals(0.0, 1.0, 0.29)
    for signals in (lag, memory, free):
        assert next_threshold(0.8, signals, by) == pytest.approx(0.4)
    assert next_threshold(0.8, Signals(0.02, 0.2, 0.3), by) == pytest.approx(0.9)
    assert [in_flight_max(cpu_s, by) for cpu_s in (0.0, 0.0001, 0.0005, 0.1)] == [200, 200, 60, 4]
