"""Who is refused when there is more to do than can be done? Ranks, a threshold, and a limit in flight.

Overload control as in DAGOR (Zhou et al. 2018): every 100 ms a threshold falls by 5 % when the process is
overloaded and rises by 1 % when it is not, and the least important work is refused first. Whether it is
overloaded is told by the least delay of a callback in the window, as CoDel (RFC 8289) tells a standing
queue from a burst. What is in flight is bounded besides, so that a burst within one window queues for
about ``IN_FLIGHT_S``; the higher a rank, the further above that it may go (trunk reservation, as
telephone exchanges keep lines free), so that those who are further on find room at the very moment when
a crowd of newcomers fills all that it may.
"""

from dataclasses import dataclass
from enum import IntEnum

WINDOW_S = 0.1
LAG_TARGET_S = 0.005
BACKOFF_RATIO = 0.95
RISE = 0.01
IN_FLIGHT_S = 0.015  # CPU time that may wait before a request
IN_FLIGHT_MIN, IN_FLIGHT_MAX = 8, 64
MEMORY_FREE_RATIO_MIN = 0.05
DESCRIPTORS_FREE_RATIO_MIN = 0.1


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
class Signals:
    """How one process stood in one window."""

    lag_s: float = 0.0  # the least delay of a callback
    memory_free_ratio: float = 1.0  # of the machine's
    descriptors_free_ratio: float = 1.0  # of this process's
    intake_full: bool = False  # no wave can take registrations in

    @property
    def overloaded(self) -> bool:
        """Whether less must be let in."""
        return (
            self.lag_s > LAG_TARGET_S
            or self.memory_free_ratio < MEMORY_FREE_RATIO_MIN
            or self.descriptors_free_ratio < DESCRIPTORS_FREE_RATIO_MIN
        )


def next_threshold(threshold: float, signals: Signals) -> float:
    """Return the share of the ranks that is let in, from ``THRESHOLD_MIN`` to 1."""
    if signals.overloaded:
        return max(THRESHOLD_MIN, threshold * BACKOFF_RATIO)
    return min(1.0, threshold + RISE)


def in_flight_max(cpu_s: float) -> int:
    """Return how many requests may be in flight when one takes ``cpu_s`` of CPU time."""
    if cpu_s <= 0:
        return IN_FLIGHT_MAX
    return round(max(IN_FLIGHT_MIN, min(IN_FLIGHT_MAX, IN_FLIGHT_S / cpu_s)))


def limits(threshold: float, in_flight: int, *, intake_full: bool = False) -> tuple[int, ...]:
    """Return for each rank how many requests may be in flight for one more to be let in; 0: none.

    The threshold cuts through the ranks from below: the one it passes through gets its share.
    """
    cut = len(Rank) * (1 - threshold)  # so many ranks are refused, the last of them in part
    shares = [max(0.0, min(1.0, 1 + rank - cut)) for rank in Rank]
    found = [round(share * room * in_flight) for share, room in zip(shares, ROOM, strict=True)]
    if intake_full:
        found[Rank.CLAIM] = found[Rank.REGISTRATION] = 0
    return tuple(found)
