"""How fast may rows go to the store, how large is a batch, when is it tried again, when given up?

Everything delivery decides, as functions of values; ``services/delivery`` does it. The pace is the token
bucket of ``core/bucket``: in any window the store is offered at most ``burst + max_per_s * t`` rows.
"""

from collections.abc import Sequence
from typing import TypeVar

from gateway.core import bucket

TRIES_MAX = 5  # a row refused so often goes to the dead letters
DOUBTED_AFTER = 3  # failures in a row without an answer: is it the rows?
BACKOFF_S_MIN = 0.1
BACKOFF_S_MAX = 10.0  # bounds how long after a recovery the store stays unused
ROUNDS_PER_S = 10  # while there is a backlog: small, even batches instead of one a second

Row = TypeVar("Row")


class Pace:
    """The bucket in front of the store. It starts empty: a restart buys nothing."""

    __slots__ = ("_last_us", "_level", "_rate_milli_per_s", "burst", "round_rows")

    def __init__(self, max_per_s: int, batch_max: int) -> None:
        self.burst = min(max_per_s, batch_max)  # one second of rows, or the largest batch
        self.round_rows = min(max(1, max_per_s // ROUNDS_PER_S), self.burst)  # worth a round
        self._rate_milli_per_s = max_per_s * 1_000
        self._level = 0
        self._last_us: int | None = None

    def room(self, now_us: int) -> int:
        """Return how many rows may go now."""
        self._refill(now_us)
        return max(0, self._level // bucket.TOKEN)

    def wait_us(self, rows: int, now_us: int) -> int:
        """Return how long until ``rows`` may go; 0: now. ``rows`` is at most the burst."""
        self._refill(now_us)
        return bucket.wait_us(self._level, rows - 1, rate_milli_per_s=self._rate_milli_per_s)

    def pay(self, rows: int, now_us: int) -> None:
        """Take the tokens of ``rows`` that go now."""
        self._refill(now_us)  # what dripped into a full bucket until now is lost
        self._level -= rows * bucket.TOKEN

    def _refill(self, now_us: int) -> None:
        last_us = now_us if self._last_us is None else self._last_us
        self._last_us = now_us
        self._level = bucket.refill(
            self._level,
            rate_milli_per_s=self._rate_milli_per_s,
            burst=self.burst,
            step_us=bucket.elapsed_us(last_us, now_us),
        )


def share(room: int, hungry: int) -> int:
    """Return how many rows each of ``hungry`` waves may have next; at least 1 while there is room."""
    return -(-room // hungry)


def backoff_s(failures: int, draw: float) -> float:
    """Return how long to wait after so many failures in a row (1 or more).

    ``draw`` in [0, 1) spreads the processes: half of the wait is fixed, half is theirs.
    """
    longest_s = min(BACKOFF_S_MAX, BACKOFF_S_MIN * 2.0 ** min(failures - 1, 16))
    return longest_s * (0.5 + draw / 2)


def halves(batch: Sequence[Row]) -> tuple[Sequence[Row], Sequence[Row]]:
    """Split a batch of two or more rows, to find the one that spoils it in log2(n) steps."""
    middle = len(batch) // 2
    return batch[:middle], batch[middle:]


def given_up(tries: int) -> bool:
    """Whether a row that was refused at this try is not tried again."""
    return tries >= TRIES_MAX
