"""The breaker's moves: throttle, open, probe, close; and what retries may cost."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.breaker import BUDGET_MAX, CLOSES_AFTER, EARNED, OPENS_AFTER, Breaker, Circuit

LONG_US = 3_600_000_000


def failing(times: int, slots: int = 4) -> Breaker:
    breaker = Breaker(slots)
    for _ in range(times):
        breaker.failure(0, 0.5)
    return breaker


def test_one_failure_throttles_to_one_batch_in_flight() -> None:
    breaker = failing(1)
    assert (breaker.circuit, breaker.limit(0)) == (Circuit.THROTTLED, 1)
    assert breaker.wait_us(0) == 75_000


def test_failures_in_a_row_open_the_circuit_until_its_wait_is_over() -> None:
    breaker = failing(OPENS_AFTER)
    wait_us = breaker.wait_us(0)
    assert 0 < wait_us <= 10_000_000
    assert breaker.limit(wait_us - 1) == 0
    assert (breaker.limit(wait_us), breaker.circuit) == (1, Circuit.HALF_OPEN)


def test_a_probe_that_fails_opens_again_for_longer() -> None:
    breaker = failing(OPENS_AFTER)
    first_us = breaker.wait_us(0)
    breaker.limit(first_us)
    breaker.failure(first_us, 0.5)
    assert breaker.circuit is Circuit.OPEN
    assert breaker.wait_us(first_us) > first_us


def test_a_probe_that_succeeds_throttles_and_a_few_more_close() -> None:
    breaker = failing(OPENS_AFTER)
    breaker.limit(LONG_US)
    for _ in range(CLOSES_AFTER - 1):
        breaker.success()
        assert breaker.limit(LONG_US) == 1
    breaker.success()
    assert (breaker.circuit, breaker.limit(LONG_US)) == (Circuit.CLOSED, 4)


def test_a_batch_that_was_in_flight_when_the_circuit_opened_changes_nothing() -> None:
    breaker = failing(OPENS_AFTER)
    wait_us = breaker.wait_us(0)
    breaker._failures = 0
    breaker.failure(1, 0.99)
    assert breaker.wait_us(0) == wait_us


def test_a_failure_that_was_not_the_stores_is_taken_back() -> None:
    breaker = failing(OPENS_AFTER)
    breaker.absolve()
    assert (breaker.circuit, breaker.wait_us(0), breaker.limit(0)) == (Circuit.THROTTLED, 0, 1)
    for _ in range(CLOSES_AFTER):
        breaker.absolve()
    assert breaker.circuit is Circuit.THROTTLED, "only what succeeds closes it"
    for _ in range(int(BUDGET_MAX) * 2):
        breaker.failure(0, 0.5)
        breaker.absolve()
    assert breaker.circuit is Circuit.THROTTLED, "it costs no retry"


def test_retries_are_paid_for_by_what_succeeds() -> None:
    """Every other batch fails: never several in a row, and yet the circuit opens."""
    breaker, retries = Breaker(4), 0
    while breaker.circuit is not Circuit.OPEN:
        breaker.success()
        breaker.failure(0, 0.5)
        retries += 1
        assert retries <= BUDGET_MAX / (1 - EARNED) + 2


@given(st.lists(st.booleans(), max_size=60), st.floats(0, 0.999))
def test_there_is_always_a_next_try(outcomes: list[bool], draw: float) -> None:
    breaker, now_us = Breaker(3), 0
    for is_good in outcomes:
        now_us += breaker.wait_us(now_us)
        assert breaker.limit(now_us) >= 1
        if is_good:
            breaker.success()
        else:
            breaker.failure(now_us, draw)
        assert breaker.wait_us(now_us) <= 10_000_000
