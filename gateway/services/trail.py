"""How have the last fifteen minutes of a wave gone? One sample a second, kept by each process for itself."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.core.policy import RATE_MILLI
from gateway.core.snapshot import Snapshot

SECONDS = 900
COLUMNS = (
    "at_s",  # Redis TIME, whole seconds
    "waiting",
    "outstanding",
    "issued",
    "admitted",
    "accepted",
    "recorded",
    "backlog",
    "rate_per_s",
    "polls_per_s",  # expected of all who wait
    "hits_per_s",  # requests to all processes, whatever their wave
    "shed_per_s",
)

Sample = tuple[float, ...]


@dataclass(slots=True)
class Trail:
    """The samples of one wave, oldest first."""

    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=SECONDS))

    def add(self, snapshot: Snapshot, polls_per_s: float, traffic: Mapping[str, float]) -> None:
        """Keep one sample of each second."""
        at_s = snapshot.now_us // 1_000_000
        if self.samples and self.samples[-1][0] >= at_s:
            return
        waiting = max(0, snapshot.issued - snapshot.called) + snapshot.stock
        counters = (getattr(snapshot, name) for name in COLUMNS[2:8])
        rate_per_s = snapshot.rate_milli_per_s / RATE_MILLI
        hits = (traffic.get(name, 0) for name in COLUMNS[10:])
        self.samples.append((at_s, waiting, *counters, rate_per_s, round(polls_per_s, 1), *hits))

    def columns(self) -> dict[str, list[float]]:
        """Return the samples as one list for each column."""
        rows = zip(*self.samples, strict=True) if self.samples else ([] for _ in COLUMNS)
        return {name: list(row) for name, row in zip(COLUMNS, rows, strict=True)}

    def pace(self, since_s: float, until_s: float) -> dict[str, Any] | None:
        """Return what happened a second in a stretch of time; None where it is not known whole."""
        inside = [
            dict(zip(COLUMNS, s, strict=True)) for s in self.samples if since_s <= s[0] <= until_s
        ]
        if len(inside) < 2 or inside[0]["at_s"] > since_s + 5:
            return None
        first, last = inside[0], inside[-1]
        took_s = last["at_s"] - first["at_s"]
        return {
            "admitted_per_s": round((last["admitted"] - first["admitted"]) / took_s, 2),
            "registered_per_s": round((last["accepted"] - first["accepted"]) / took_s, 2),
            "waiting": round(last["waiting"]),
            "backlog": round(last["backlog"]),
        }
