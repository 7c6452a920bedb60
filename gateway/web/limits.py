"""How often may one key ask? ``core/flood`` for many keys: a table of fixed size.

The key that was quiet longest makes room. Each process counts for itself.
"""

import math
from collections import OrderedDict
from collections.abc import Hashable

from gateway.core.flood import ROUNDING_S, next_may_s

BURST = 10
KEYS_MAX = 65_536
FRESH = (-math.inf, 1.0)


class Pace:
    """Allows a burst of requests at once, and one per interval from then on.

    What a key has left is counted in requests, not in time: told to come every 4 s and then every 60, it
    may still repeat as often as before.
    """

    __slots__ = ("_keys_max", "_may_at")

    def __init__(self, keys_max: int = KEYS_MAX) -> None:
        # key -> when it may ask again, and by which interval that was counted, s. A dict would look for its
        # oldest key over all that are gone.
        self._may_at: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()
        self._keys_max = keys_max

    def wait_s(self, key: Hashable, *, now_s: float) -> float:
        """Return how long the key has to wait; 0 when it may go on."""
        return 0.0 if self.may(key, now_s) else self._may_at[key][0] - now_s

    def may(self, key: Hashable, now_s: float) -> bool:
        """Say whether the key may go on."""
        return self._may_at.get(key, FRESH)[0] <= now_s + ROUNDING_S

    def count(self, key: Hashable, interval_s: float, *, now_s: float, burst: int = BURST) -> None:
        """Count one request of a key that may come once per interval."""
        keys = self._may_at
        may_at_s, counted_s = keys.get(key, FRESH)
        if may_at_s == -math.inf and len(keys) >= self._keys_max:
            keys.popitem(last=False)
        may_at_s = now_s + (may_at_s - now_s) * interval_s / counted_s
        may_at_s = next_may_s(may_at_s, now_s, interval_s=interval_s, burst=burst)
        keys[key] = (may_at_s, interval_s)
        keys.move_to_end(key)
