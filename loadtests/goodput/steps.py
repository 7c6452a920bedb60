"""What came of one offered load? Counted over a stretch of a running crowd, the first seconds left out.

A way takes seconds from its join to its registration, so a load shows in goodput only once ways that began
under it have come to their end.
"""

import asyncio
import gc
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

from loadtests.goodput.crowd import Crowd, Seen
from loadtests.goodput.forms import forms
from loadtests.goodput.servers import Server

DEADLINE_S = 1.0  # from sending the form to its receipt: what comes later is no goodput
RAMP_FROM_PER_S, RAMP_DOUBLES_S = 100.0, 1.5
WAY_S = 3.0  # most ways take less, from the join to the receipt
RAMP_STEP_S = 0.1
PEAK_WINDOW_S = 1.5
REGAINED = 0.9  # of the goodput before: so much again is recovered
REGAINED_WINDOW_S = 1.0

Acknowledged = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Step:
    """One offered load and what came of it. Shares are of one core."""

    factor: float  # of the peak
    offered_per_s: float  # ways that began
    requests_per_s: float
    goodput_per_s: float
    p50_ms: float  # of registrations, from the intended instant to the receipt
    p99_ms: float
    refused_per_s: float  # 503
    sent: Mapping[str, int]  # requests, by step of the way
    refused: Mapping[str, int]  # by step of the way and problem
    lost: Mapping[str, int]  # not answered in time
    ended: Mapping[str, int]  # ways that ended short of a receipt, by where and why
    lag_p99_ms: float  # of this generator
    lag_max_ms: float
    generator_cpu: float
    server_cpu: float  # the front door
    others_cpu: float  # whoever else used its core

    @property
    def unexpected(self) -> Mapping[str, int]:
        """Ways that ended with an answer that no applicant should get."""
        return {how: times for how, times in self.ended.items() if how[-1].isdigit()}


class Bench:
    """A crowd before one server."""

    def __init__(self, server: Server, seed: int) -> None:
        self._server = server
        self._crowd = Crowd(server.port, forms(server.url), Random(seed))

    @contextmanager
    def running(self) -> Iterator["Bench"]:
        """Let the crowd come and go. No garbage is collected meanwhile: it would show as lag."""
        gc.collect()
        gc.disable()
        self._crowd.start()
        try:
            yield self
        finally:
            self._crowd.stop()
            gc.enable()

    async def ramp(self, seconds: float) -> float:
        """Offer more and more; return the most registrations per second that were ever acknowledged."""
        began_s = time.monotonic()
        acknowledged: list[tuple[float, float]] = []
        while (run_s := time.monotonic() - began_s) < seconds:
            doubled = min(run_s, seconds - WAY_S) / RAMP_DOUBLES_S
            seen = self._crowd.arrive(RAMP_FROM_PER_S * 2**doubled)
            await asyncio.sleep(RAMP_STEP_S)
            acknowledged += seen.acknowledged
        instants_s = good(acknowledged)
        rates = rates_per_s(instants_s, began_s, began_s + seconds, PEAK_WINDOW_S)
        return max(rates, default=0.0)

    async def rest(self, seconds: float) -> None:
        """Let nobody come for a while."""
        self._crowd.arrive(0.0)
        await asyncio.sleep(seconds)

    async def step(self, factor: float, peak_per_s: float, warm_s: float, hold_s: float) -> Step:
        """Offer so many times the peak."""
        self._crowd.arrive(factor * peak_per_s)
        await asyncio.sleep(warm_s)
        seen = self._crowd.arrive(factor * peak_per_s)
        began_s, ours_s = time.monotonic(), time.process_time()
        server_s, core_s = self._server.cpu_s(), self._server.core_s()
        await asyncio.sleep(hold_s)
        self._crowd.arrive(factor * peak_per_s)  # what comes from now on is no longer counted
        wall_s = time.monotonic() - began_s
        server_cpu = (self._server.cpu_s() - server_s) / wall_s
        return Step(
            factor=factor,
            offered_per_s=seen.begun / wall_s,
            requests_per_s=seen.sent.total() / wall_s,
            goodput_per_s=len(good(seen.acknowledged)) / wall_s,
            **_latencies(seen),
            refused_per_s=seen.refused.total() / wall_s,
            sent=dict(seen.sent),
            refused=dict(seen.refused),
            lost=dict(seen.lost),
            ended=dict(seen.ended),
            lag_p99_ms=quantile(seen.lags_s, 0.99) * 1e3,
            lag_max_ms=max(seen.lags_s, default=0.0) * 1e3,
            generator_cpu=(time.process_time() - ours_s) / wall_s,
            server_cpu=server_cpu,
            others_cpu=max(0.0, (self._server.core_s() - core_s) / wall_s - server_cpu),
        )

    async def recovery_s(self, factor: float, peak_per_s: float, hold_s: float) -> float:
        """Offer the peak, many times the peak, the peak again; return when goodput was back for good."""
        before = self._crowd.arrive(peak_per_s)
        began_s = time.monotonic()
        await asyncio.sleep(2 * hold_s)
        self._crowd.arrive(factor * peak_per_s)
        overload_s = time.monotonic()
        await asyncio.sleep(hold_s)
        after = self._crowd.arrive(peak_per_s)
        relieved_s = time.monotonic()
        await asyncio.sleep(2 * hold_s)
        ended_s = time.monotonic()
        settled_s = began_s + hold_s
        usual = [at_s for at_s in good(before.acknowledged) if at_s >= settled_s]
        wanted = REGAINED * len(usual) / (overload_s - settled_s)
        return regained_s(good(after.acknowledged), relieved_s, ended_s, wanted)


def _latencies(seen: Seen) -> dict[str, float]:
    took_s = [at_s - due_s for due_s, at_s in seen.acknowledged]
    return {"p50_ms": quantile(took_s, 0.5) * 1e3, "p99_ms": quantile(took_s, 0.99) * 1e3}


def good(acknowledged: Acknowledged) -> list[float]:
    """Return the instants of those that came in time."""
    return sorted(at_s for due_s, at_s in acknowledged if at_s - due_s <= DEADLINE_S)


def rates_per_s(
    instants_s: Sequence[float], begins_s: float, ends_s: float, window_s: float
) -> list[float]:
    """Return how many a second there were in each window, one beginning every tenth of a second."""
    windows = range(max(0, round((ends_s - begins_s - window_s) * 10)) + 1)
    starts = [begins_s + window / 10 for window in windows]
    return [sum(start <= at < start + window_s for at in instants_s) / window_s for start in starts]


def regained_s(
    instants_s: Sequence[float], relieved_s: float, ended_s: float, wanted_per_s: float
) -> float:
    """Return how long after ``relieved_s`` no window was below what is wanted any more."""
    rates = rates_per_s(instants_s, relieved_s, ended_s, REGAINED_WINDOW_S)
    below = [index for index, rate in enumerate(rates) if rate < wanted_per_s]
    return (below[-1] + 1) / 10 if below else 0.0


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which so great a share lies; 0 where there is none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
