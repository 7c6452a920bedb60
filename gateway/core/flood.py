"""When may somebody ask again who asks often? GCRA (ITU-T I.371, annex A), told as one instant.

So many at once, and one per interval from then on. The whole state of a client is when it may ask
next: asking in vain does not move that, and who was quiet for long enough needs no state at all.

Limits per address are against floods alone, because carriers put thousands of people behind one: half
an hour's joins may come in one second. Above them answers become slower, as if those who
ask stood in line, and only a line longer than ``HOLD_S_MAX`` is refused.
"""

from enum import StrEnum

ROUNDING_S = 1e-6  # of sums of intervals: the last of a burst at one instant is not too early
HOLD_S_MAX = 2.0  # well below the deadline of an answer
MINUTE_S = 60.0


class Throttled(StrEnum):
    """Who asks too often: the class of a 429."""

    JOIN = "join"  # an address, or one connection, for new tickets
    POLL = "poll"  # an address, without a ticket or pass that is ours
    TICKET = "ticket"
    PASS = "pass"


def next_may_s(may_at_s: float, now_s: float, *, interval_s: float, burst: int) -> float:
    """Return when a client may ask again that asks now, and might from ``may_at_s`` on."""
    tolerance_s = (burst - 1) * interval_s
    arrival_s = max(may_at_s + tolerance_s, now_s)  # the theoretical one
    return arrival_s + interval_s - tolerance_s


def burst_of(per_min: int, burst_s: float) -> int:
    """Return how many may come at once where so many a minute are allowed over ``burst_s``."""
    return max(1, round(per_min * burst_s / MINUTE_S))
