"""How often may one key ask? ``core/flood`` for many keys: a table of fixed size.

The key that was quiet longest makes room. Each process counts for itself.
"""

import math
from collections import OrderedDict
from collections.abc import Hashable

from gateway.core.flood import ROUNDING_S, next_may_s

BURST = 10
KEYS_MAX = 65_536


class Pace:
    """Allows a burst of requests at once, and one per interval from then on."""

    __slots__ = ("_keys_max", "_may_at")

    def __init__(self, keys_max: int = KEYS_MAX) -> None:
        # key -> when it may ask again, s. A dict would look for its oldest key over all that are gone.
        self._may_at: OrderedDict[Hashable, float] = OrderedDict()
        self._keys_max = keys_max

    def wait_s(self, key: Hashable, *, now_s: float) -> float:
        """Return how long the key has to wait; 0 when it may go on."""
        return 0.0 if self.may(key, now_s) else self._may_at[key] - now_s

    def may(self, key: Hashable, now_s: float) -> bool:
        """Say whether the key may go on."""
        return self._may_at.get(key, 0.0) <= now_s + ROUNDING_S

    def count(self, key: Hashable, interval_s: float, *, now_s: float, burst: int = BURST) -> None:
        """Count one request of a key that may come once per interval."""
        keys = self._may_at
        may_at_s = keys.get(key, -math.inf)
        if may_at_s == -math.inf and len(keys) >= self._keys_max:
            keys.popitem(last=False)
        keys[key] = next_may_s(may_at_s, now_s, interval_s=interval_s, burst=burst)
        keys.move_to_end(key)
