"""How much do instants crowd together? Over every window of time at once, exactly, in O(n)."""

from collections import Counter
from collections.abc import Sequence

TOKEN = 1_000_000_000  # units in one token, as the gateway counts: nothing is rounded


def burst_needed(instants_us: Sequence[int], rate_per_s: float) -> float:
    """Return the least burst with which a bucket of this rate allows these instants, in their order.

    A leaky bucket (the dual of GCRA, ITU-T I.371): the level rises by one per instant and leaks at the
    rate. Its highest is the greatest ``count - rate x length`` over all closed windows.
    """
    leak_per_us = round(rate_per_s * 1000)
    level = highest = 0
    last_us = instants_us[0] if instants_us else 0
    for instant_us in instants_us:
        level = max(0, level - (instant_us - last_us) * leak_per_us) + TOKEN
        highest = max(highest, level)
        last_us = instant_us
    return highest / TOKEN


def most_within(instants_us: Sequence[int], window_us: int) -> int:
    """Return how many instants the fullest window of this length holds."""
    most = first = 0
    for index, instant_us in enumerate(instants_us):
        while instant_us - instants_us[first] >= window_us:
            first += 1
        most = max(most, index - first + 1)
    return most


def typical_within(instants_us: Sequence[int], window_us: int) -> int:
    """Return how many instants the median window holds, of those side by side from first to last."""
    if not instants_us:
        return 0
    counts = Counter((instant_us - instants_us[0]) // window_us for instant_us in instants_us)
    ordered = sorted(counts[index] for index in range(max(counts) + 1))
    return ordered[len(ordered) // 2]
