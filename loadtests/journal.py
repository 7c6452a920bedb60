"""What is kept of a run: one JSON line per event, and a tally of all requests at the end.

The generator writes, the verdict reads; nothing else passes between the two. Every process of the
generator has files of its own, numbered.

``events-N.jsonl``, by ``event``: ``join`` (number, asked_s, answered_s), ``position`` (number, position),
``pass`` (number, pass, first, expires_at, asked_s, answered_s, called_s, told_s), ``receipt`` (receipt,
form), ``silence`` (name), ``surprise`` (name, status, what), ``end`` (outcome, habit); every line names its
``person``. ``tally-N.json`` is ``Tally.document``.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from loadtests.histogram import Histogram

SHED, THROTTLED = "shed", "throttled"
SILENT = "0"  # the status of a request without an answer
LOOKS = frozenset({"home", "page", "board", "place"})  # pages and polls


class Journal:
    """Writes the events of one process as they happen: a run that is cut off keeps them."""

    def __init__(self, folder: Path, index: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / f"events-{index}.jsonl").open("w", encoding="utf-8", buffering=1)

    def note(self, event: Mapping[str, Any]) -> None:
        """Write one event."""
        self._file.write(json.dumps(event) + "\n")

    def close(self) -> None:
        """Write no more."""
        self._file.close()


class Tally:
    """Counts and measures requests by habit and name, and by the second; it does not grow with them."""

    def __init__(self) -> None:
        self.answers: Counter[tuple[str, str, str]] = Counter()  # habit, name, word
        self.times: dict[tuple[str, str], Histogram] = defaultdict(Histogram)  # habit, name
        self.lags = Histogram()  # how long after its time each step began
        self.seconds: dict[int, Counter[str]] = defaultdict(Counter)  # from the opening
        self.seconds_ms: dict[int, Histogram] = defaultdict(Histogram)
        self.looks_ms: dict[int, Histogram] = defaultdict(Histogram)  # served or silent

    def count(self, habit: str, name: str, word: str, at_s: float, took_ms: float) -> None:
        """Count one answer: its status, ``shed`` or ``throttled``."""
        second = int(at_s // 1)
        self.answers[habit, name, word] += 1
        self.times[habit, name].add(took_ms)
        self.seconds[second]["requests"] += 1
        self.seconds_ms[second].add(took_ms)
        if word in {SHED, THROTTLED, SILENT}:
            self.seconds[second][word] += 1
        if name in LOOKS and word not in {SHED, THROTTLED}:  # a refusal is quick: it would flatter
            self.looks_ms[second].add(took_ms)

    def arrived(self, at_s: float) -> None:
        """Count one applicant."""
        self.seconds[int(at_s // 1)]["arrivals"] += 1

    def document(
        self, *, lives: int, began_s: float, ended_s: float, waiting: int = 0
    ) -> dict[str, Any]:
        """Return the tally as it is written; the instants are the wall clock's.

        ``waiting`` of the lives had been told to look again after the end.
        """
        return {
            "answers": [[*key, count] for key, count in self.answers.items()],
            "times": [[*key, each.document()] for key, each in self.times.items()],
            "lags": self.lags.document(),
            "seconds": [[at, dict(counts)] for at, counts in sorted(self.seconds.items())],
            "seconds_ms": [[at, each.document()] for at, each in sorted(self.seconds_ms.items())],
            "looks_ms": [[at, each.document()] for at, each in sorted(self.looks_ms.items())],
            "lives": lives,
            "waiting": waiting,
            "began_s": began_s,
            "ended_s": ended_s,
        }


class Totals:
    """The tallies of all processes together."""

    def __init__(self, documents: Iterable[Mapping[str, Any]]) -> None:
        documents = list(documents)
        self.lives = sum(each["lives"] for each in documents)
        self.waiting = sum(each["waiting"] for each in documents)
        self.began_s = min(each["began_s"] for each in documents)
        self.ended_s = max(each["ended_s"] for each in documents)
        self.lags = Histogram.sum(each["lags"] for each in documents)
        self.answers: Counter[tuple[str, str, str]] = Counter()
        self.seconds: dict[int, Counter[str]] = defaultdict(Counter)
        self._times: list[tuple[str, str, Mapping[str, Any]]] = []
        for each in documents:
            for habit, name, word, count in each["answers"]:
                self.answers[habit, name, word] += count
            for at, counts in each["seconds"]:
                self.seconds[at].update(counts)
            self._times += [(habit, name, document) for habit, name, document in each["times"]]
        self.seconds_ms, self.looks_ms = (
            _by_second(each[key] for each in documents) for key in ("seconds_ms", "looks_ms")
        )

    @property
    def requests(self) -> int:
        """How many were sent and answered."""
        words = self.words()
        return words.total() - words[SILENT]

    def times(self, *, habit: str | None = None, name: str | None = None) -> Histogram:
        """Return how long the requests of a habit, of a name, or all of them took."""
        return Histogram.sum(
            document
            for by, of, document in self._times
            if habit in {None, by} and name in {None, of}
        )

    def words(self, *, habit: str | None = None, name: str | None = None) -> Counter[str]:
        """Return what they were answered."""
        words: Counter[str] = Counter()
        for (by, of, word), count in self.answers.items():
            if habit in {None, by} and name in {None, of}:
                words[word] += count
        return words


def _by_second(series: Iterable[Iterable[Any]]) -> dict[int, Histogram]:
    """Add up what each process measured, second by second."""
    parts: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for at, document in chain.from_iterable(series):
        parts[at].append(document)
    return {at: Histogram.sum(documents) for at, documents in sorted(parts.items())}


def write_tally(folder: Path, document: Mapping[str, Any], index: int = 0) -> None:
    """Write a tally; its presence says that this process of the generator came to its end."""
    (folder / f"tally-{index}.json").write_text(json.dumps(document), encoding="utf-8")


def read_totals(folder: Path, processes: int = 1) -> Totals | None:
    """Return all tallies; None where not every process of the generator came to its end."""
    paths = sorted(folder.glob("tally-*.json"))
    if len(paths) < processes:
        return None
    return Totals(json.loads(path.read_text("utf-8")) for path in paths)


def read_events(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield all events; a last line that was cut off is none."""
    for path in sorted(folder.glob("events-*.jsonl")):
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                if line.endswith("\n"):
                    yield json.loads(line)
