"""How long did a million requests take? Counts in classes of one width in proportion, as in an HdrHistogram.

A class is some 2 % wide, so quantiles are as exact, and memory is bounded by the range of the values, not
by their number. Histograms of several processes add up.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Self

CLASSES_PER_E = 50  # a class is e^(1/50) wide
LEAST_MS = 0.01


class Histogram:
    """Durations in milliseconds."""

    __slots__ = ("_counts", "most_ms")

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.most_ms = 0.0

    def add(self, value_ms: float) -> None:
        """Count one duration."""
        self._counts[round(CLASSES_PER_E * math.log(max(value_ms, LEAST_MS)))] += 1
        self.most_ms = max(self.most_ms, value_ms)

    @property
    def count(self) -> int:
        """How many there are."""
        return self._counts.total()

    def quantile_ms(self, share: float) -> float:
        """Return the least duration within which this share of all lies; 0 where there is none."""
        wanted, seen = share * self.count, 0
        for each in sorted(self._counts):
            seen += self._counts[each]
            if seen >= wanted:
                return min(math.exp(each / CLASSES_PER_E), self.most_ms)
        return 0.0

    def spread_ms(self) -> list[float]:
        """Return median, 99th percentile and greatest."""
        return [round(at, 2) for at in (*map(self.quantile_ms, (0.5, 0.99)), self.most_ms)]

    def document(self) -> dict[str, Any]:
        """Return it as it is written."""
        return {"counts": dict(self._counts), "most_ms": self.most_ms}

    def __iadd__(self, other: "Histogram") -> Self:
        """Count all of another's durations, too."""
        self._counts.update(other._counts)
        self.most_ms = max(self.most_ms, other.most_ms)
        return self

    @classmethod
    def sum(cls, documents: Iterable[Mapping[str, Any]]) -> "Histogram":
        """Return all that were written as one."""
        total = cls()
        for each in documents:
            total._counts.update({int(key): count for key, count in each["counts"].items()})
            total.most_ms = max(total.most_ms, each["most_ms"])
        return total
