"""How often may one ticket or pass ask? Floods only: nobody who does as told meets these limits.

A theoretical arrival time per key (GCRA, ITU-T I.371), in a table of fixed size: the key that was
quiet longest makes room. Each process counts for itself.
"""

import math
from collections.abc import Hashable

BURST = 10
KEYS_MAX = 65_536
ROUNDING_S = 1e-6  # of sums of intervals: the last of a burst at one instant is not too early


class Pace:
    """Allows ``BURST`` requests at once, and one per interval from then on."""

    __slots__ = ("_keys_max", "_may_at")

    def __init__(self, keys_max: int = KEYS_MAX) -> None:
        self._may_at: dict[Hashable, float] = {}  # key -> when it may ask again, s
        self._keys_max = keys_max

    def wait_s(self, key: Hashable, *, now_s: float) -> float:
        """Return how long the key has to wait; 0 when it may go on."""
        return 0.0 if self.may(key, now_s) else self._may_at[key] - now_s

    def may(self, key: Hashable, now_s: float) -> bool:
        """Say whether the key may go on."""
        return self._may_at.get(key, 0.0) <= now_s + ROUNDING_S

    def count(self, key: Hashable, interval_s: float, *, now_s: float) -> None:
        """Count one request of a key that may come once per interval."""
        keys, tolerance_s = self._may_at, (BURST - 1) * interval_s
        may_at_s = keys.pop(key, -math.inf)
        if len(keys) >= self._keys_max:
            del keys[next(iter(keys))]
        arrival_s = max(may_at_s + tolerance_s, now_s)  # the theoretical one
        keys[key] = arrival_s + interval_s - tolerance_s
