"""What is kept of a run: one JSON line per event, and a tally of all requests at the end.

The generator writes, the verdict reads; nothing else passes between the two.

``events.jsonl``, by ``event``: ``pass`` (number, expires_at, asked_s, answered_s), ``receipt`` (receipt,
form), ``surprise`` (name, status, what), ``end`` (outcome); every line names its ``person``.
``tally.json``: ``answers`` {name: {status or "shed": count}}, ``times_ms`` {name: [p50, p99, max]},
``lags_ms`` [p50, p99, max], ``began_s`` and ``ended_s`` (wall clock).
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

EVENTS, TALLY = "events.jsonl", "tally.json"
SHED = "shed"


class Journal:
    """Writes the events of one run as they happen: a run that is cut off keeps them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / EVENTS).open("w", encoding="utf-8", buffering=1)

    def note(self, event: Mapping[str, Any]) -> None:
        """Write one event."""
        self._file.write(json.dumps(event) + "\n")

    def close(self) -> None:
        """Write no more."""
        self._file.close()


class Tally:
    """Counts requests and measures: how long answers took, and how late the generator was."""

    def __init__(self) -> None:
        self._answers: dict[str, Counter[str]] = defaultdict(Counter)
        self._times_ms: dict[str, list[float]] = defaultdict(list)
        self._lags_ms: list[float] = []

    def count(self, name: str, word: str, took_s: float) -> None:
        """Count one answer: its status, or ``shed``."""
        self._answers[name][word] += 1
        self._times_ms[name].append(took_s * 1000)

    def late(self, lag_s: float) -> None:
        """Note how long after its time a step began."""
        self._lags_ms.append(max(0.0, lag_s * 1000))

    def document(self, *, began_s: float, ended_s: float) -> dict[str, Any]:
        """Return the tally as it is written."""
        return {
            "answers": self._answers,
            "times_ms": {name: spread(times) for name, times in self._times_ms.items()},
            "lags_ms": spread(self._lags_ms),
            "began_s": began_s,
            "ended_s": ended_s,
        }


def spread(samples: Sequence[float]) -> list[float]:
    """Return median, 99th percentile and greatest; zeros where there is nothing."""
    ordered = sorted(samples) or [0.0]
    return [round(ordered[int(share * (len(ordered) - 1))], 2) for share in (0.5, 0.99, 1.0)]


def write_tally(folder: Path, document: Mapping[str, Any]) -> None:
    """Write the tally; its presence says that the generator came to its end."""
    (folder / TALLY).write_text(json.dumps(document), encoding="utf-8")


def read_tally(folder: Path) -> dict[str, Any] | None:
    """Return the tally; None where the generator did not come to its end."""
    path = folder / TALLY
    return json.loads(path.read_text("utf-8")) if path.exists() else None


def read_events(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield all events; a last line that was cut off is none."""
    path = folder / EVENTS
    if not path.exists():
        return
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.endswith("\n"):
                yield json.loads(line)
