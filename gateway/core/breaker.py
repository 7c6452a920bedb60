"""May the store be asked now, and with how many batches at once? Throttle first, then break, then probe.

One failure throttles to a single batch in flight; several in a row, or a retry budget that is used up,
open the circuit for a capped backoff; then one probe decides (Nygard, "Release It!", Circuit Breaker; the
budget is Finagle's: retries are paid for by what succeeded). All instants are one monotonic clock's.
"""

from enum import StrEnum

from gateway.core.delivery import backoff_s

OPENS_AFTER = 5  # failures in a row
CLOSES_AFTER = 3  # successes in a row while throttled
BUDGET_MAX = 10.0  # retries saved up at most
EARNED = 0.1  # of a retry, by each batch that went well


class Circuit(StrEnum):
    """Where the breaker stands."""

    CLOSED = "closed"  # all is well
    THROTTLED = "throttled"  # one batch at a time
    OPEN = "open"  # nobody asks
    HALF_OPEN = "half-open"  # one batch is the probe


class Breaker:
    """The switch in front of the store."""

    __slots__ = (
        "_budget",
        "_failures",
        "_opened",
        "_retry_at_us",
        "_slots",
        "_successes",
        "circuit",
    )

    def __init__(self, slots: int) -> None:
        self.circuit = Circuit.CLOSED
        self._slots = slots
        self._budget = BUDGET_MAX
        self._failures = 0  # in a row
        self._successes = 0  # in a row
        self._opened = 0  # how often in a row: lengthens the wait
        self._retry_at_us = 0

    def limit(self, now_us: int) -> int:
        """Return how many batches may be in flight; an open circuit that has waited lets one probe."""
        if self.circuit is Circuit.OPEN and now_us >= self._retry_at_us:
            self.circuit = Circuit.HALF_OPEN
        if self.circuit is Circuit.CLOSED:
            return self._slots
        return 0 if self.circuit is Circuit.OPEN else 1

    def wait_us(self, now_us: int) -> int:
        """Return how long until the next try may start; 0: now."""
        return max(0, self._retry_at_us - now_us)

    def success(self) -> None:
        """Take in a batch that was committed."""
        self._budget = min(BUDGET_MAX, self._budget + EARNED)
        self._failures = self._retry_at_us = 0
        self._successes += 1
        if self.circuit in (Circuit.OPEN, Circuit.HALF_OPEN):
            self._successes, self.circuit = 1, Circuit.THROTTLED
        elif self.circuit is Circuit.THROTTLED and self._successes >= CLOSES_AFTER:
            self._opened, self.circuit = 0, Circuit.CLOSED

    def failure(self, now_us: int, draw: float) -> None:
        """Take in a batch that failed; ``draw`` in [0, 1) spreads the processes."""
        self._failures += 1
        self._successes = 0
        self._budget -= 1
        spent = self._budget < 0 or self._failures >= OPENS_AFTER
        if self.circuit is Circuit.HALF_OPEN or spent:
            self._opened += 1
            self._budget = max(self._budget, 0.0)
            self.circuit = Circuit.OPEN
            wait_s = backoff_s(OPENS_AFTER + self._opened, draw)
        elif self.circuit is Circuit.OPEN:
            return  # it was in flight when others opened the circuit: nothing new
        else:
            self.circuit = Circuit.THROTTLED
            wait_s = backoff_s(self._failures, draw)
        self._retry_at_us = now_us + round(wait_s * 1_000_000)

    def absolve(self) -> None:
        """Take back a failure that was not the store's; what is tried next goes alone, and at once."""
        self._budget = min(BUDGET_MAX, self._budget + 1)
        self._failures = self._retry_at_us = 0
        if self.circuit in (Circuit.OPEN, Circuit.HALF_OPEN):
            self._opened, self.circuit = 0, Circuit.THROTTLED
