"""How often may one ticket or pass ask? Floods only: nobody who does as told meets these limits.

A theoretical arrival time per key (GCRA, ITU-T I.371), in a table of fixed size: the key that was
quiet longest makes room. Each process counts for itself.
"""

from collections.abc import Hashable

BURST = 10
KEYS_MAX = 65_536


class Pace:
    """Allows ``BURST`` requests at once, and one per interval from then on."""

    __slots__ = ("_due", "_keys_max")

    def __init__(self, keys_max: int = KEYS_MAX) -> None:
        self._due: dict[Hashable, tuple[float, float]] = {}  # key -> (arrival time, interval), s
        self._keys_max = keys_max

    def wait_s(self, key: Hashable, *, now_s: float) -> float:
        """Return how long the key has to wait; 0 when it may go on."""
        due_s, interval_s = self._due.get(key, (0.0, 0.0))
        return max(0.0, due_s - now_s - (BURST - 1) * interval_s)

    def count(self, key: Hashable, interval_s: float, *, now_s: float) -> None:
        """Count one request of a key that may come once per interval."""
        due_s, _ = self._due.pop(key, (0.0, 0.0))
        if len(self._due) >= self._keys_max:
            del self._due[next(iter(self._due))]
        self._due[key] = (max(due_s, now_s) + interval_s, interval_s)
