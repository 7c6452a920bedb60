"""Who may claim next? Phases, the near window and the advance of ``called``: functions of values.

The rule of design section 5.6. ``called`` is moved so that the *stock* (called, present, not yet
admitted) holds what the bucket admits in one check-in interval. Positions whose holders do not show up
are passed over, but only after they have been *near* for one full interval (they are *ripe*), so nobody
is skipped who was never asked. Moving ``called`` by the rate alone would admit 30 per second instead of
300 at 90 % no-shows; moving it by the stock admits 300 at any share.

Twin: ``redis/scripts/step.lua`` and ``tick.lua``.
"""

import math

from gateway.core.bitmap import Bitmap
from gateway.core.snapshot import Phase

NEAR_STOCKS = 3  # the near window holds this many intervals of present visitors
PRESENT_SHARE_MIN = 1 / 32  # below it the window stops widening
OPENING_SPREAD_US = 60_000_000  # over which the first polls after opening come in


def next_phase(
    phase: Phase,
    now_us: int,
    *,
    prequeue_at_us: int,
    opens_at_us: int,
    closes_at_us: int,
    accepted: int,
    quota: int,
) -> Phase:
    """Return the phase at a confirmed ``now_us``. Time moves it forward only; ``full`` follows the quota.

    A clock that steps back reopens nothing: opened stays opened, closed stays closed.
    """
    if phase is Phase.RECOVERING:
        return phase  # until recovery itself reopens it
    if phase is Phase.CLOSED or now_us >= closes_at_us:
        return Phase.CLOSED
    if phase in (Phase.OPEN, Phase.FULL) or now_us >= opens_at_us:
        return Phase.FULL if accepted >= quota else Phase.OPEN
    if phase is Phase.PREQUEUE or now_us >= prequeue_at_us:
        return Phase.PREQUEUE
    return Phase.SCHEDULED


def stock_target(rate_milli_per_s: int, check_in_us: int) -> int:
    """Return how many present visitors may be called at once: one interval of admissions, at least 1."""
    return max(1, -(-rate_milli_per_s * check_in_us // 1_000_000_000))


def advance(present: Bitmap, *, called: int, ripe: int, issued: int, target: int) -> int:
    """Return the new ``called``: just behind enough present visitors to fill the stock to ``target``.

    Whoever is present may be called whether ripe or not; the first absent position that is not ripe
    stops the advance. Never decreases.
    """
    wanted = target - present.count(0, called)
    if wanted <= 0:
        return called
    frontier = present.first_zero(max(ripe, called), issued) if issued > called else called
    if present.count(called, frontier) <= wanted:
        return max(called, frontier)
    return present.after_nth(wanted, called, frontier)


def near_at_opening(*, issued: int, target: int, check_in_us: int) -> int:
    """Return the first ``near``: so many that those who come to look would keep the rate.

    Even where as few are present as ``PRESENT_SHARE_MIN``. Once ``called`` has passed over as many of
    them as that takes, it stands until all have looked; the first turn fits the window to those seen.
    """
    intervals = max(1, -(-OPENING_SPREAD_US // check_in_us))
    return min(math.ceil(target * intervals / PRESENT_SHARE_MIN), issued + NEAR_STOCKS * target)


def approach_per_s(*, called: int, near: int, rate_per_s: float, check_in_s: float) -> float:
    """Return how many positions a second the near window may come closer.

    It holds ``NEAR_STOCKS`` intervals of admissions, so that is how long it takes to be called empty. The
    measured advance would not do: it is an average over a minute in which ``called`` has leapt or stood.
    """
    return max(rate_per_s, (near - called) / (NEAR_STOCKS * check_in_s))


def next_near(present: Bitmap, *, called: int, near: int, issued: int, target: int) -> int:
    """Return the new ``near``: wide enough to hold ``NEAR_STOCKS`` targets of present visitors.

    The share of present visitors in today's window, all of whom have been near for an interval, tells
    how many positions that takes. It follows the share both ways: a window left wide would have a crowd
    check in for nothing.
    """
    needed = NEAR_STOCKS * target
    share = (present.count(called, near) + 1) / (max(0, near - called) + 1)
    return called + min(math.ceil(needed / max(share, PRESENT_SHARE_MIN)), issued - called + needed)
