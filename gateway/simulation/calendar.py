"""Who is due now? Visitors by the tick of their next deed; crowds in bins of ticks, a few by tick at once.

Each visitor has at most one entry. A bin is sorted when its time comes, so that putting thousands of
visitors in takes as many steps as they touch bins, not one each.
"""

from collections import defaultdict

import numpy as np

from gateway.simulation.crowd import Floats, Integers
from gateway.simulation.tally import TICKS_PER_S

JITTER = 0.3  # width of the spread of waits, as a share of each
BIN_TICKS = 64
FEW = 48  # visitors that are quicker put in one by one

NOBODY: Integers = np.empty(0, dtype=np.int64)


class Calendar:
    """The next deeds of all visitors."""

    def __init__(self, visitor_count: int, rng: np.random.Generator) -> None:
        self._rng = rng
        self._due: Integers = np.zeros(visitor_count, dtype=np.int64)
        self._few: defaultdict[int, list[int]] = defaultdict(list)  # by tick
        self._bins: defaultdict[int, list[Integers]] = defaultdict(list)
        self._bin = -1  # the one under way, sorted by tick
        self._sorted, self._ends = NOBODY, [0] * (BIN_TICKS + 1)

    def later(
        self, visitors: Integers, tick: int, wait_s: Floats, *, spread: Floats | float = JITTER
    ) -> None:
        """Note that visitors are due when their pages have waited so long."""
        waited_s = wait_s * (1 - spread / 2 + spread * self._rng.random(len(wait_s)))
        ticks = np.maximum(1, np.rint(waited_s * TICKS_PER_S)).astype(np.int64)
        self.put(visitors, tick + ticks)

    def put(self, visitors: Integers, due_ticks: Integers) -> None:
        """Note when these visitors are due; later than the tick that was taken last."""
        if len(visitors) <= FEW:
            for visitor, due in zip(visitors.tolist(), due_ticks.tolist(), strict=True):
                self._few[due].append(visitor)
            return
        self._due[visitors] = due_ticks
        bins = due_ticks // BIN_TICKS
        for number in np.unique(bins).tolist():
            these = visitors[bins == number]
            if number > self._bin:
                self._bins[number].append(these)
                continue
            for visitor, due in zip(these.tolist(), self._due[these].tolist(), strict=True):
                self._few[due].append(visitor)

    def take(self, tick: int) -> Integers:
        """Return who is due at ``tick``; to be called for every tick in turn."""
        number, offset = divmod(tick, BIN_TICKS)
        if number != self._bin:
            self._open(number)
        these = self._sorted[self._ends[offset] : self._ends[offset + 1]]
        few = self._few.pop(tick, None)
        return np.concatenate([these, np.array(few)]) if few else these

    def _open(self, number: int) -> None:
        """Sort the bin whose time has come."""
        self._bin = number
        visitors = np.concatenate([NOBODY, *self._bins.pop(number, [])])
        due = self._due[visitors]
        order = np.argsort(due, kind="stable")
        self._sorted = visitors[order]
        edges = number * BIN_TICKS + np.arange(BIN_TICKS + 1)
        self._ends = np.searchsorted(due[order], edges).tolist()
