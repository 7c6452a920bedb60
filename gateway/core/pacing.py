"""How long is the wait, how often to ask, and will the places suffice? Arithmetic of the honest wait.

Design section 5.7. ``phi`` is the share of the remaining wait after which a visitor asks again: the load
of a queue then grows with the logarithm of its length, and ``stretch`` keeps it inside a budget. What
remains is counted up to the *near* window, not up to the turn: a visitor arrives there by its last far
poll, and is seen before anybody could pass it over.
"""

import math
from bisect import bisect_left
from collections import deque
from operator import itemgetter
from typing import Literal

PHI = 0.5
PHI_MAX = 0.8  # with jitter and a faster queue, still short of the near window
POLL_S_MIN = 4.0  # times stretch, like the next
POLL_S_MAX = 120.0  # so that a raised rate or a new message is seen in time
STRETCH_MAX = 64.0
OPENING_SPREAD_S = (
    60.0  # the first polls after opening are spread over it, by the budget or in full
)
OPENING_SHARE = 0.75  # of the budget, for the first looks after the opening
RECEIVED_POLL_S, RECEIVED_LONG_POLL_S = 10.0, 30.0  # until it is recorded; from a minute on
PROMISES_MAX = 500  # ranges remembered at once, to measure how honest they are
ETA_LOW, ETA_HIGH = 0.85, 1.25
SHORT_US, LONG_US = 60_000_000, 300_000_000  # the two windows over which the advance is measured

Outlook = Literal["likely", "unlikely", "full"]


class Advance:
    """How fast ``called`` moves, from samples at most a second apart over five minutes."""

    __slots__ = ("_samples",)

    def __init__(self) -> None:
        self._samples: deque[tuple[int, int]] = deque(maxlen=LONG_US // 1_000_000 + 2)

    def add(self, clock_us: int, called: int) -> None:
        """Note where ``called`` stands; called more often than once a second it keeps the first."""
        if not self._samples or clock_us - self._samples[-1][0] >= 1_000_000:
            self._samples.append((clock_us, called))

    def per_s(self, window_us: int = SHORT_US) -> float | None:
        """Return positions per second over the window; None before five seconds are known."""
        if not self._samples:
            return None
        last_us, last = self._samples[-1]
        start = bisect_left(self._samples, last_us - window_us, key=itemgetter(0))
        first_us, first = self._samples[start]
        if last_us - first_us < 5_000_000:
            return None
        return (last - first) * 1_000_000 / (last_us - first_us)


class Promises:
    """Were visitors called inside the range they were told? A sample, bounded, kept by position."""

    __slots__ = ("_open", "kept", "made")

    def __init__(self) -> None:
        self._open: dict[int, tuple[int, int]] = {}  # position -> (earliest, latest), us
        self.made = 0  # promises whose visitors were called
        self.kept = 0  # of these, inside their range

    def make(self, position: int, earliest_us: int, latest_us: int) -> None:
        """Note the first range a visitor was told, while there is room for it."""
        if len(self._open) < PROMISES_MAX:
            self._open.setdefault(position, (earliest_us, latest_us))

    def settle(self, called: int, now_us: int) -> None:
        """Judge the promises to those who have been called."""
        for position in [position for position in self._open if position < called]:
            earliest_us, latest_us = self._open.pop(position)
            self.made += 1
            self.kept += earliest_us <= now_us <= latest_us


def ahead(position: int, called: int, shown: int | None) -> int:
    """Return how many a waiting visitor is told are in front: never more than it was ``shown`` before.

    Another process, or a room just recovered, may know an older ``called``; nobody is moved back by it.
    """
    return max(0, position - called if shown is None else min(position - called, shown))


def eta_s(
    ahead: int, short_per_s: float | None, long_per_s: float | None
) -> tuple[int, int] | None:
    """Return the range in which the turn will come, in seconds; None where it is unknown.

    The two windows widen the range when they disagree: an honest range is wide while things change.
    """
    rates = [rate for rate in (short_per_s, long_per_s) if rate]
    return range_s(ahead, max(rates), min(rates)) if rates else None


def range_s(ahead: int, high_per_s: float, low_per_s: float) -> tuple[int, int]:
    """Return the range in which the turn will come, from the higher and the lower pace."""
    low_s = ahead / high_per_s * ETA_LOW
    high_s = ahead / low_per_s * ETA_HIGH
    grain = 10 if high_s < 120 else 60 if high_s < 3_600 else 300
    return math.floor(low_s / grain) * grain, max(1, math.ceil(high_s / grain)) * grain


def stretch(admissions_per_s: float, far_s: float, budget_per_s: float) -> float:
    """Return s >= 1 such that the polls that all far visitors are asked for fit the budget.

    The load falls with s, so halving the interval finds the least s. It does not fall without end:
    everybody needs a few polls to arrive in time, whatever the budget.
    """
    low, high = 1.0, STRETCH_MAX
    if load_per_s(low, admissions_per_s, far_s) <= budget_per_s:
        return low
    for _ in range(20):
        middle = (low + high) / 2
        fits = load_per_s(middle, admissions_per_s, far_s) <= budget_per_s
        low, high = (low, middle) if fits else (middle, high)
    return high


def load_per_s(s: float, admissions_per_s: float, far_s: float) -> float:
    """Return the polls per second of a queue whose last visitor is ``far_s`` from the near window.

    Each of the people who come near in a second has asked as often on its way as the last one will.
    """
    polls, longest_s = 0, s * POLL_S_MAX
    curved_s = min(far_s, longest_s / min(PHI_MAX, PHI * s))
    capped = (far_s - curved_s) / longest_s
    while curved_s > 0:
        curved_s -= poll_s(curved_s, s)
        polls += 1
    return admissions_per_s * (polls + capped)


def poll_s(far_s: float, stretched: float) -> float:
    """Return when a visitor so far from the near window should ask again.

    However scarce polls are, it is there before the window has gone by: whoever is told to come later
    is absent when its turn is near, and a window full of absentees makes ``called`` leap over them.
    """
    wanted_s = stretched * min(POLL_S_MAX, max(POLL_S_MIN, PHI * far_s))
    return min(wanted_s, PHI_MAX * far_s + POLL_S_MIN)


def received_poll_s(age_s: float) -> float:
    """Return when to look again at a registration received so long ago and not yet recorded."""
    return RECEIVED_POLL_S if age_s < 60 else RECEIVED_LONG_POLL_S


def opening_poll_s(to_opening_s: float, waiting: int, budget_per_s: float, share: float) -> float:
    """Return when to ask before the opening: rarely, then once, spread over the first minute after it.

    ``share`` in [0, 1) is the visitor's own: it keeps its place in the spread at every poll.
    """
    crowd_s = waiting / budget_per_s
    base_s = 300.0 if to_opening_s > 900 else 60.0 if to_opening_s > 120 else to_opening_s
    interval_s = max(base_s, crowd_s) * (0.85 + 0.3 * share)
    if to_opening_s > 120 and interval_s < to_opening_s:
        return interval_s
    return max(1.0, to_opening_s + 0.5 + opening_spread_s(crowd_s) * share)


def overdue_poll_s(waiting: int, budget_per_s: float, share: float) -> float:
    """Return when to ask again for an opening that should have come: so often that the budget is kept."""
    crowd_s = waiting / budget_per_s / OPENING_SHARE
    return max(POLL_S_MIN, crowd_s) * (0.85 + 0.3 * share)


def opening_spread_s(crowd_s: float) -> float:
    """Return over how long the first looks after the opening are spread.

    ``crowd_s`` is how long they would take at the whole budget; part of it is left to those who come near
    at once and look again meanwhile.
    """
    return min(OPENING_SPREAD_S, crowd_s / OPENING_SHARE)


def outlook(ahead: int, places_left: int, completion: float) -> Outlook:
    """Say whether the places will suffice for somebody with ``ahead`` people in front.

    ``completion`` is the measured share of passes that became registrations.
    """
    if places_left <= 0:
        return "full"
    return "likely" if ahead * completion < places_left else "unlikely"
