"""Who is refused when there is more to do than can be done? Ranks, a threshold, and a limit in flight.

Overload control as in DAGOR (Zhou et al. 2018): every 100 ms a threshold falls by 5 % when the process is
overloaded and rises by 1 % when it is not, and the least important work is refused first. Whether it is
overloaded is told by the least delay of a callback in the window, as CoDel (RFC 8289) tells a standing
queue from a burst. What is in flight is bounded besides, so that a burst within one window queues for
about ``wait_s``; the higher a rank, the further above that it may go (trunk reservation, as
telephone exchanges keep lines free), so that those who are further on find room at the very moment when
a crowd of newcomers fills all that it may.

What all this goes by is part of each wave's policy. A process serves all waves, so of those that are
under way the most careful value counts.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from gateway.core.policy import Policy

WINDOW_S = 0.1


class Rank(IntEnum):
    """What a request is worth, the first to be refused first. Pages and operators have no rank.

    The further on its sender is, the more: what is begun and never finished was served for nothing.
    """

    FAR_POLL = 0  # the board, and whatever is not known
    JOIN = 1
    NEAR_POLL = 2  # a place or a receipt: its sender has joined
    CLAIM = 3
    REGISTRATION = 4  # by the holder of a pass


ROOM = (1.0, 1.0, 1.25, 1.5, 1.75)  # by rank, of what may be in flight: above 1 it is kept free
THRESHOLD_MIN = 1 / len(Rank)  # registrations are bounded by what is in flight alone


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What a process goes by. Each name is a field of the policy, there with ``shed_`` before it."""

    lag_ms: int
    wait_ms: int
    in_flight_min: int
    in_flight_max: int
    fall_ratio: float
    rise_ratio: float
    memory_free_ratio: float
    descriptors_free_ratio: float


def thresholds(policies: Iterable[Policy]) -> Thresholds:
    """Return the most careful of each; without any policy, the defaults."""
    known = tuple(policies) or (Policy(),)
    return Thresholds(
        lag_ms=min(policy.shed_lag_ms for policy in known),
        wait_ms=min(policy.shed_wait_ms for policy in known),
        in_flight_min=min(policy.shed_in_flight_min for policy in known),
        in_flight_max=min(policy.shed_in_flight_max for policy in known),
        fall_ratio=max(policy.shed_fall_ratio for policy in known),
        rise_ratio=min(policy.shed_rise_ratio for policy in known),
        memory_free_ratio=max(policy.shed_memory_free_ratio for policy in known),
        descriptors_free_ratio=max(policy.shed_descriptors_free_ratio for policy in known),
    )


DEFAULTS = thresholds(())


@dataclass(frozen=True, slots=True)
class Signals:
    """How one process stood in one window."""

    lag_s: float = 0.0  # the least delay of a callback
    memory_free_ratio: float = 1.0  # of the machine's
    descriptors_free_ratio: float = 1.0  # of this process's
    intake_full: bool = False  # no wave can take registrations in
    claims_full: bool = False  # no wave should let more people in


def is_overloaded(signals: Signals, by: Thresholds = DEFAULTS) -> bool:
    """Say whether less must be let in."""
    return (
        signals.lag_s > by.lag_ms / 1000
        or signals.memory_free_ratio < by.memory_free_ratio
        or signals.descriptors_free_ratio < by.descriptors_free_ratio
    )


def next_threshold(threshold: float, signals: Signals, by: Thresholds = DEFAULTS) -> float:
    """Return the share of the ranks that is let in, from ``THRESHOLD_MIN`` to 1."""
    if is_overloaded(signals, by):
        return max(THRESHOLD_MIN, threshold * (1 - by.fall_ratio))
    return min(1.0, threshold + by.rise_ratio)


def in_flight_max(cpu_s: float, by: Thresholds = DEFAULTS) -> int:
    """Return how many requests may be in flight when one takes ``cpu_s`` of CPU time."""
    if cpu_s <= 0:
        return by.in_flight_max
    return round(max(by.in_flight_min, min(by.in_flight_max, by.wait_ms / 1000 / cpu_s)))


def limits(
    threshold: float, in_flight: int, *, intake_full: bool = False, claims_full: bool = False
) -> tuple[int, ...]:
    """Return for each rank how many requests may be in flight for one more to be let in; 0: none.

    The threshold cuts through the ranks from below: the one it passes through gets its share.
    """
    cut = len(Rank) * (1 - threshold)  # so many ranks are refused, the last of them in part
    shares = [max(0.0, min(1.0, 1 + rank - cut)) for rank in Rank]
    found = [round(share * room * in_flight) for share, room in zip(shares, ROOM, strict=True)]
    if intake_full:
        found[Rank.CLAIM] = found[Rank.REGISTRATION] = 0
    if claims_full:  # a pass in hand is a promise: its registration has room to the last
        found[Rank.CLAIM] = 0
    return tuple(found)
