"""When does the next applicant begin its way? As drawn on the clock (Poisson), whatever the server does.

An open loop: nobody waits for another's answer. Every request has an instant at which it is due, and its
time is counted from then; how late this process itself is with it is kept apart, as lag.
"""

import asyncio
import heapq
import time
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from random import Random

from loadtests.goodput.connections import Connections
from loadtests.goodput.way import Answer, Ask, Way, way

TURN_S = 0.001  # between two looks at what is due


@dataclass(slots=True)
class Seen:
    """What was sent in one stretch of time, and what came of it."""

    begun: int = 0  # ways
    sent: Counter[str] = field(default_factory=Counter)  # requests, by step
    refused: Counter[str] = field(default_factory=Counter)  # 503, by step and problem
    lost: Counter[str] = field(default_factory=Counter)  # not answered in time, by step
    ended: Counter[str] = field(default_factory=Counter)  # ways short of a receipt, by where
    acknowledged: list[tuple[float, float]] = field(default_factory=list)  # registrations: due, at
    lags_s: "array[float]" = field(default_factory=lambda: array("d"))


class Crowd:
    """All applicants of one run against one server."""

    def __init__(self, port: int, forms: Iterator[bytes], dice: Random) -> None:
        self._loop = asyncio.get_running_loop()
        self._connections = Connections(port)
        self._forms, self._dice = forms, dice
        self._due: list[tuple[float, int, Way]] = []  # waiting, the next one first
        self._ticket = count()  # keeps the heap from comparing ways
        self._rate_per_s = 0.0
        self._next_s = float("inf")  # arrival
        self._turning: asyncio.TimerHandle | None = None
        self.seen = Seen()

    def start(self) -> None:
        """Begin to look at the clock."""
        self._turn()

    def stop(self) -> None:
        """Send no more, and hang up."""
        if self._turning is not None:
            self._turning.cancel()
        self._connections.close()

    def arrive(self, rate_per_s: float) -> Seen:
        """Have so many come per second from now on; return what is seen from now on."""
        self._rate_per_s, now_s = rate_per_s, time.monotonic()
        self._next_s = now_s + self._dice.expovariate(rate_per_s) if rate_per_s else float("inf")
        self.seen = Seen()
        return self.seen

    def registered(self, due_s: float, at_s: float) -> None:
        """Note a receipt."""
        self.seen.acknowledged.append((due_s, at_s))

    def ended(self, how: str) -> None:
        """Note a way that ended short of one."""
        self.seen.ended[how] += 1

    def _turn(self) -> None:
        now_s = time.monotonic()
        lags_s, due = self.seen.lags_s, self._due
        while self._next_s <= now_s:
            due_s = self._next_s
            self._next_s += self._dice.expovariate(self._rate_per_s)
            lags_s.append(now_s - due_s)
            self.seen.begun += 1
            applicant = way(next(self._forms), self._dice, self)
            self._go_on(applicant, None, due_s)
        while due and due[0][0] <= now_s:
            due_s, _, applicant = heapq.heappop(due)
            lags_s.append(now_s - due_s)
            self._go_on(applicant, None, due_s)
        self._connections.expire(now_s)
        self._turning = self._loop.call_later(TURN_S, self._turn)

    def _go_on(self, applicant: Way, answer: Answer | None, due_s: float) -> None:
        """Lead one applicant on; what it sends next is due at ``due_s``."""
        try:
            step = applicant.send(answer)  # type: ignore[arg-type]  # None: after a wait
        except StopIteration:
            return
        if isinstance(step, Ask):
            self.seen.sent[step.name] += 1
            answered = partial(self._answered, applicant, step.name, due_s)
            self._connections.send(step.data, step.manner, due_s, answered)
        else:
            heapq.heappush(self._due, (due_s + step, next(self._ticket), applicant))

    def _answered(self, applicant: Way, name: str, due_s: float, status: int, body: bytes) -> None:
        now_s = time.monotonic()
        if status == 503:
            problem = body.partition(b'","title')[0].rpartition(b"/")[2].decode()
            self.seen.refused[f"{name} {problem}"] += 1
        elif status == 0:
            self.seen.lost[name] += 1
        self._go_on(applicant, Answer(status, body, due_s, now_s), now_s)
