"""Is there room for one more request? One comparison per rank, and a refusal made beforehand.

The verdict falls where bytes arrive, before a parser, a task or a handler exists, and is counted there:
a handler that is too late to refuse is too late to count. What is in flight is whatever was handed to
aiohttp and is not answered yet. ``core/shedding`` decides; ``gateway/pressure`` brings the signals.
"""

import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from itertools import cycle
from typing import Any

from gateway.core.shedding import IN_FLIGHT_MAX, Rank, Signals, limits, next_threshold
from gateway.core.shedding import in_flight_max as in_flight_of
from gateway.web.negotiation import SPOKEN, Language
from gateway.web.problems import Problem, tell
from gateway.web.wire_format import serialize

REFUSALS = 64  # made beforehand for each language
RETRY_MS_MIN, RETRY_MS_STEP = 2_000, 125  # so they spread over 8 s
STRIDE = 37  # consecutive ones are far apart; prime to REFUSALS, so that all take their turn
CPU_SMOOTHING = 0.2
HANDLED_MIN = 10  # in one window, before their CPU time means anything


class Gate:
    """Lets requests in while there is room. One per process, behind the public listener."""

    def __init__(self, problem_base: str, cpu_s: Callable[[], float]) -> None:
        self.problem_base = problem_base
        self.limits = limits(1.0, IN_FLIGHT_MAX)  # by rank
        self.pending = 0  # handed to aiohttp and not answered
        self.handled = 0  # answered, ever
        self.shed: Counter[Rank] = Counter()  # since the last `take_shed`
        self._shed_before: Counter[Rank] = Counter()
        self.threshold = 1.0
        self.in_flight_max = IN_FLIGHT_MAX
        self.signals = Signals()
        self._cpu_s, self._cpu_seen_s, self._handled_seen = cpu_s, cpu_s(), 0
        self._handler_cpu_s = 0.0
        self._refusals = {language: cycle(_refusals(problem_base, language)) for language in SPOKEN}

    def refusal(self, language: Language, date: bytes) -> bytes:
        """Return a whole answer; the connection stays open."""
        head, body = next(self._refusals[language])
        return head % date + body

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
        }

    def turn(self, signals: Signals) -> None:
        """Take in how the last window went."""
        self.signals = signals
        self.threshold = next_threshold(self.threshold, signals)
        self._measure_cpu()
        self.in_flight_max = in_flight_of(self._handler_cpu_s)
        self.limits = limits(self.threshold, self.in_flight_max, intake_full=signals.intake_full)

    def _measure_cpu(self) -> None:
        cpu_s, handled = self._cpu_s(), self.handled
        count = handled - self._handled_seen
        if count >= HANDLED_MIN:
            sample_s = (cpu_s - self._cpu_seen_s) / count
            weight = CPU_SMOOTHING if self._handler_cpu_s else 1.0
            self._handler_cpu_s += weight * (sample_s - self._handler_cpu_s)
        self._cpu_seen_s, self._handled_seen = cpu_s, handled


def _refusals(base: str, language: Language) -> list[tuple[bytes, bytes]]:
    """Return heads with a gap for the date, and their bodies."""
    made = []
    for turn in range(REFUSALS):
        retry_in_ms = RETRY_MS_MIN + RETRY_MS_STEP * (turn * STRIDE % REFUSALS)
        response = tell(Problem("overloaded"), base, language, secrets.token_hex(8), retry_in_ms)
        head, separator, body = serialize(response, b"%b").partition(b"\r\n\r\n")
        made.append((head + separator, body))
    return made
