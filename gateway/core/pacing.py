"""How long is the wait, how often to ask, and will the places suffice? Arithmetic of the honest wait.

Design section 5.7. ``phi`` is the share of the remaining wait after which a visitor asks again: the load
of a queue then grows with the logarithm of its length, and ``stretch`` keeps it inside a budget.
"""

import math
from collections import deque
from typing import Literal

PHI = 0.5
POLL_S_MIN = 2.0
POLL_S_MAX = 120.0
STRETCH_MAX = 64.0
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
        first_us, first = next(s for s in self._samples if last_us - s[0] <= window_us)
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

    def honesty(self) -> float | None:
        """Return the share that was kept; None before anybody was called."""
        return self.kept / self.made if self.made else None


def eta_s(
    ahead: int, short_per_s: float | None, long_per_s: float | None
) -> tuple[int, int] | None:
    """Return the range in which the turn will come, in seconds; None where it is unknown.

    The two windows widen the range when they disagree: an honest range is wide while things change.
    """
    rates = [rate for rate in (short_per_s, long_per_s) if rate]
    if not rates:
        return None
    low = ahead / max(rates) * ETA_LOW
    high = ahead / min(rates) * ETA_HIGH
    grain = 10 if high < 120 else 60 if high < 3_600 else 300
    return math.floor(low / grain) * grain, max(1, math.ceil(high / grain)) * grain


def stretch(admissions_per_s: float, last_eta_s: float, budget_per_s: float) -> float:
    """Return s >= 1 such that the polls the whole room is asked for fit the budget.

    ``L(s) = (lambda / phi') (1 + ln(phi' E / T'))`` with phi' = min(1, phi s) and T' = s T_min falls
    with s, so halving the interval finds the least s.
    """
    low, high = 1.0, STRETCH_MAX
    if load_per_s(low, admissions_per_s, last_eta_s) <= budget_per_s:
        return low
    for _ in range(20):
        middle = (low + high) / 2
        fits = load_per_s(middle, admissions_per_s, last_eta_s) <= budget_per_s
        low, high = (low, middle) if fits else (middle, high)
    return high


def load_per_s(s: float, admissions_per_s: float, last_eta_s: float) -> float:
    """Return the polls per second that a whole queue is asked for, stretched by ``s``."""
    phi, shortest_s = min(1.0, PHI * s), s * POLL_S_MIN
    return admissions_per_s / phi * (1 + math.log(max(1.0, phi * last_eta_s / shortest_s)))


def poll_s(remaining_s: float | None, stretched: float) -> float:
    """Return when a visitor with so long to wait should ask again. Unknown waits ask rarely."""
    if remaining_s is None:
        return min(POLL_S_MAX, 10.0 * stretched)
    interval_s = max(stretched * POLL_S_MIN, min(1.0, PHI * stretched) * remaining_s)
    return min(POLL_S_MAX, interval_s)


def opening_poll_s(to_opening_s: float, spread: float, share: float) -> float:
    """Return when to ask before the opening: rarely, then once, spread over the first minute after it.

    ``share`` in [0, 1) is the visitor's own, ``spread`` how many seconds the crowd is spread over.
    """
    if to_opening_s > 900:
        return 300.0 * (0.85 + 0.3 * share)
    if to_opening_s > 120:
        return 60.0 * (0.85 + 0.3 * share)
    return max(1.0, to_opening_s + 0.5 + spread * share)


def opening_spread_s(waiting: int, budget_per_s: float) -> float:
    """Return over how many seconds the first polls after opening are spread."""
    return min(60.0, waiting / budget_per_s)


def outlook(ahead: int, places_left: int, completion: float) -> Outlook:
    """Say whether the places will suffice for somebody with ``ahead`` people in front.

    ``completion`` is the measured share of passes that became registrations.
    """
    if places_left <= 0:
        return "full"
    return "likely" if ahead * completion < places_left else "unlikely"
