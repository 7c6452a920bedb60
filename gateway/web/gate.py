"""Is there room for one more request? One comparison per rank, and a refusal made beforehand.

The verdict falls where bytes arrive, before a parser, a task or a handler exists, and is counted there:
a handler that is too late to refuse is too late to count. What is in flight is whatever was handed to
aiohttp and is not answered yet. ``core/shedding`` decides; ``gateway/pressure`` brings the signals.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from gateway.core.shedding import DEFAULTS, Rank, Signals, Thresholds, limits, next_threshold
from gateway.core.shedding import in_flight_max as in_flight_of
from gateway.web.negotiation import Language
from gateway.web.refusals import Refusals

CPU_SMOOTHING = 0.2
QUICK_CPU_S = 15e-6  # of an answer or a refusal that no handler has seen
HANDLED_MIN = 10  # in one window, before their CPU time means anything


class Gate:
    """Lets requests in while there is room. One per process, behind the public listener."""

    def __init__(self, problem_base: str, cpu_s: Callable[[], float]) -> None:
        self.problem_base = problem_base
        self.limits = limits(1.0, DEFAULTS.in_flight_max)  # by rank
        self.pending = 0  # handed to aiohttp and not answered
        self.handled = 0  # answered, ever
        self.quick = 0  # answered or refused where their bytes arrived, ever
        self.shed: Counter[Rank] = Counter()  # since the last `take_shed`
        self._shed_before: Counter[Rank] = Counter()
        self.threshold = 1.0
        self.in_flight_max = DEFAULTS.in_flight_max
        self.thresholds = DEFAULTS
        self.signals = Signals()
        self._cpu_s, self._cpu_seen_s, self._handled_seen = cpu_s, cpu_s(), 0
        self._quick_seen = 0
        self._handler_cpu_s = 0.0
        self._refusals = Refusals("overloaded", problem_base)

    def refusal(self, language: Language, date: bytes) -> bytes:
        """Return a whole answer; the connection stays open."""
        return self._refusals.next(language, date)

    def take_shed(self) -> Counter[Rank]:
        """Return how many of each rank were refused since the last call."""
        shed, self.shed = self.shed, Counter()
        self._shed_before += shed
        return shed

    def state(self) -> dict[str, Any]:
        """Return how it stands, for operators."""
        shed = self._shed_before + self.shed
        return {
            "threshold": round(self.threshold, 3),  # share of the ranks that is let in
            "pending": self.pending,
            "in_flight_max": self.in_flight_max,
            "shed": {rank.name.lower(): shed[rank] for rank in Rank},
            "signals": asdict(self.signals),
            "thresholds": asdict(self.thresholds),  # of the policies, in force
        }

    def turn(self, signals: Signals, by: Thresholds = DEFAULTS) -> None:
        """Take in how the last window went, and what the policies say of it."""
        self.signals, self.thresholds = signals, by
        self.threshold = next_threshold(self.threshold, signals, by)
        self._measure_cpu()
        self.in_flight_max = in_flight_of(self._handler_cpu_s, by)
        self.limits = limits(
            self.threshold,
            self.in_flight_max,
            intake_full=signals.intake_full,
            claims_full=signals.claims_full,
        )

    def _measure_cpu(self) -> None:
        cpu_s, handled = self._cpu_s(), self.handled
        count = handled - self._handled_seen
        if count >= HANDLED_MIN:
            quick_s = QUICK_CPU_S * (self.quick - self._quick_seen)
            sample_s = max(0.0, cpu_s - self._cpu_seen_s - quick_s) / count
            weight = CPU_SMOOTHING if self._handler_cpu_s else 1.0
            self._handler_cpu_s += weight * (sample_s - self._handler_cpu_s)
        self._cpu_seen_s, self._handled_seen, self._quick_seen = cpu_s, handled, self.quick
