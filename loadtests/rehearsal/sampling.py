"""How did the system stand in each second? Processes, Redis, board and metrics, seen from outside.

Nothing is asked of the system that its operators would not ask; what does not answer is left out of that
second's sample, and is told so by its absence.
"""

import contextlib
import re
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import redis

from loadtests.rehearsal.processes import Processes, Use

METRICS_EVERY = 5  # seconds: each asks all processes for all they have counted
ANSWER_S_MAX = 1.0
KEPT = re.compile(r"^(gateway_[a-z_]+?)(?:_total)?(?:\{[^}]*\})? ([0-9.e+-]+)$", re.MULTILINE)
METRICS = frozenset(
    {"gateway_requests_shed", "gateway_intake_entries", "gateway_intake_oldest_seconds"}
)
WINDOW_S = 10  # over which the generator's processor time is judged


@dataclass(frozen=True, slots=True)
class Sample:
    """One second."""

    at_s: float  # from the opening
    uses: Mapping[str, Use]
    board: Mapping[str, Any] = field(default_factory=dict)
    commands: int = 0  # of Redis, since its start; 0: it did not answer
    redis_bytes: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)


class Sampler(threading.Thread):
    """Takes a sample a second until it is told to stop."""

    def __init__(
        self,
        processes: Processes,
        board: Callable[[], Mapping[str, Any]],
        *,
        opens_s: float,  # wall clock
        redis_socket: Path | None,
        metrics_url: str,
    ) -> None:
        super().__init__(name="sampler", daemon=True)
        self._processes, self._board, self._metrics_url = processes, board, metrics_url
        self._redis: Any = None
        if redis_socket is not None:
            self._redis = redis.Redis(
                unix_socket_path=str(redis_socket), socket_timeout=ANSWER_S_MAX
            )
        self._opens_s = opens_s
        self.samples: list[Sample] = []
        self._stop_wanted = threading.Event()

    def run(self) -> None:
        """Sample until told to stop."""
        due_s = time.monotonic()
        while not self._stop_wanted.wait(max(0.0, due_s - time.monotonic())):
            due_s = max(due_s + 1.0, time.monotonic())
            self.samples.append(self._sample())

    def stop(self) -> Sequence[Sample]:
        """Stop, and return what was seen."""
        self._stop_wanted.set()
        self.join(10 * ANSWER_S_MAX)
        return self.samples

    def _sample(self) -> Sample:
        seen: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            seen["board"] = self._board()
        if self._redis is not None:
            with contextlib.suppress(redis.RedisError, OSError):
                info = self._redis.info()
                seen["commands"] = info["total_commands_processed"]
                seen["redis_bytes"] = info["used_memory"]
        if self._metrics_url and len(self.samples) % METRICS_EVERY == 0:
            with contextlib.suppress(OSError):
                seen["metrics"] = _metrics(self._metrics_url)
        return Sample(time.time() - self._opens_s, self._processes.uses(), **seen)


def _metrics(url: str) -> Mapping[str, float]:
    """Return the sums of the metrics that are kept, over all labels."""
    with urllib.request.urlopen(url, timeout=ANSWER_S_MAX) as answer:  # noqa: S310  our own
        text = answer.read().decode()
    sums: dict[str, float] = defaultdict(float)
    for name, value in KEPT.findall(text):
        if name in METRICS:
            sums[name] += float(value)
    return sums


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process used in the whole run."""

    cpu_mean: float  # cores
    cpu_most: float  # over ten seconds
    memory_most_bytes: int


def usages(samples: Sequence[Sample]) -> Mapping[str, Usage]:
    """Return what each process used; one that was started again counts on from zero."""
    names = dict.fromkeys(name for sample in samples for name in sample.uses)
    return {name: _usage(name, samples) for name in names}


def _usage(name: str, samples: Sequence[Sample]) -> Usage:
    seen = [(each.at_s, each.uses[name]) for each in samples if name in each.uses]
    steps = [
        (now_s - then_s, max(0.0, now.cpu_s - then.cpu_s))
        for (then_s, then), (now_s, now) in pairwise(seen)
    ]
    most = 0.0
    for first in range(max(1, len(steps) - WINDOW_S + 1)):
        window = steps[first : first + WINDOW_S]
        most = max(most, _cores(window))
    return Usage(_cores(steps), most, max(use.memory_bytes for _, use in seen))


def _cores(steps: Sequence[tuple[float, float]]) -> float:
    took_s = sum(span_s for span_s, _ in steps)
    return sum(cpu_s for _, cpu_s in steps) / took_s if took_s else 0.0


def commands_per_s(samples: Sequence[Sample]) -> Sequence[tuple[float, float]]:
    """Return Redis's commands per second over time; a server that was started again counts anew."""
    seen = [(each.at_s, each.commands) for each in samples if each.commands]
    return [
        (now_s, max(0, now - then) / (now_s - then_s))
        for (then_s, then), (now_s, now) in pairwise(seen)
        if now_s > then_s
    ]
