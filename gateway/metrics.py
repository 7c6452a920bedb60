"""Where do the figures of several processes meet? The tables of ``measures``, filled and told.

What processes count, each writes into a file of its own in one directory, and whichever is scraped adds
them up (the multiprocess mode of ``prometheus_client``). What the room knows is the same for every process,
so the one that is scraped tells it from its snapshot.
"""

import asyncio
import os
from bisect import bisect_left
from collections import Counter as Counts
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from gateway.core.breaker import Circuit
from gateway.core.flood import Throttled
from gateway.core.shedding import Rank
from gateway.measures import COUNTED, Measure
from gateway.ports import PortError, Recording, Stocks
from gateway.process_family import ProcessFamily
from gateway.room_families import RoomFamilies
from gateway.services.delivery_meter import Failure
from gateway.services.rooms import LiveRoom

_log = structlog.get_logger("gateway.delivery")

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
# Redis on the same machine answers in a fraction of a millisecond.
BUCKETS = {"gateway_redis_command_duration_seconds": (0.0001, 0.00025, 0.0005, *SECONDS)}
LAG_EVERY_S, LAG_SAMPLES = 0.1, 10  # the worst of a second is told
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE"})


def metrics_directory(data_directory: str | Path) -> Path:
    """Return where the processes of one system count."""
    return Path(data_directory) / "metrics"


def prepare(directory: str | Path) -> None:
    """Empty the directory: what an earlier system counted would be added to what this one does."""
    directory = Path(directory)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in directory.glob("*.db"):
        path.unlink()


class Metrics:
    """What this process counts: the web's ``Meter``, the ticks' witness, delivery's meter.

    Every method is one or two writes into memory.
    """

    def __init__(self, directory: str | Path) -> None:
        """Open this process's files. One at a time in a process."""
        self._directory = Path(directory)
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # prometheus_client chooses its storage when it is imported, by a variable that must be set
        # by then. Chosen here instead, nobody depends on the order of imports.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(self._directory)
        values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]
        made: dict[str, Any] = {measure.name: _make(measure) for measure in COUNTED}
        self._requests: Counter = made["gateway_requests_total"]
        self._seconds: Histogram = made["gateway_request_seconds"]
        self._problems: Counter = made["gateway_problems_total"]
        self._batch: Histogram = made["gateway_store_batch_seconds"]
        self._oldest: Gauge = made["gateway_delivery_oldest_seconds"]
        self._made = made
        self._circuit: Gauge = made["gateway_store_circuit"]
        self._circuits: Counter = made["gateway_store_circuit_total"]
        self._lag: Gauge = made["gateway_event_loop_lag_seconds"]
        self._shed: Counter = made["gateway_requests_shed_total"]
        self._throttled: Counter = made["gateway_throttled_total"]
        self._closed: Counter = made["gateway_connections_closed_total"]
        self._unreadable: Counter = made["gateway_forwarded_unreadable_total"]
        self._in_flight: Gauge = made["gateway_requests_in_flight"]
        self._in_flight_limit: Gauge = made["gateway_requests_in_flight_limit"]
        self._refused_ratio: Gauge = made["gateway_shedding_ratio"]
        self._round_trips: Histogram = made["gateway_redis_command_duration_seconds"]
        ticks: Counter = made["gateway_ticks_total"]
        self._ticked, self._missed = ticks.labels("done"), ticks.labels("missed")
        rows: Counter = made["gateway_store_rows_total"]
        self._rows = {recording: rows.labels(recording.value) for recording in Recording}
        failures: Counter = made["gateway_delivery_failures_total"]
        self._failures = {failure: failures.labels(failure.value) for failure in Failure}
        self._bound: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._bound_problems: dict[str, Counter] = {}
        self._promises: dict[str, tuple[int, int]] = {}  # by wave: kept and broken, as counted

    def answered(self, method: str, route: str, status: int, took_s: float) -> None:
        """Count one answer; ``route`` is a pattern, so there are as many labels as routes."""
        requests, seconds = self._bind(method, route, status)
        requests.inc()
        seconds.observe(took_s)

    def answered_many(self, method: str, route: str, status: int, count: int) -> None:
        """Count answers of the lane; each took microseconds, which the histogram could not tell."""
        self._bind(method, route, status)[0].inc(count)

    def answered_in(self, method: str, route: str, status: int, took_s: Sequence[float]) -> None:
        """Count answers and how long each took: every write is one into shared memory, so few are made."""
        requests, seconds = self._bind(method, route, status)
        requests.inc(len(took_s))
        # Its own `observe` writes twice for each; a release that calls these otherwise fails the tests.
        sums, buckets = seconds._sum, seconds._buckets  # noqa: SLF001
        sums.inc(sum(took_s))
        for bucket, count in Counts(bisect_left(SECONDS, each) for each in took_s).items():
            buckets[bucket].inc(count)

    def shed(self, rank: Rank, count: int) -> None:
        """Count requests that found no room."""
        self._shed.labels(rank.name.lower()).inc(count)

    def throttled(self, why: Throttled, count: int) -> None:
        """Count requests whose client asks too often."""
        self._throttled.labels(why.value).inc(count)

    def closed(self, why: str, count: int) -> None:
        """Count connections closed for lack of room."""
        self._closed.labels(why).inc(count)

    def unreadable(self, count: int) -> None:
        """Count requests of which a trusted proxy does not say whose they are."""
        self._unreadable.inc(count)

    def pressed(self, in_flight: int, limit: int, refused_ratio: float) -> None:
        """Note how full this process is, and how much it refuses."""
        self._in_flight.set(in_flight)
        self._in_flight_limit.set(limit)
        self._refused_ratio.set(refused_ratio)

    def _bind(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        key = (method if method in METHODS else "other", route, status)
        bound = self._bound.get(key)
        if bound is None:
            bound = self._bound[key] = self._requests.labels(*key), self._seconds.labels(route)
        return bound

    def refused(self, code: str) -> None:
        """Count one refusal; ``code`` is one of the problem catalogue."""
        bound = self._bound_problems.get(code)
        if bound is None:
            bound = self._bound_problems[code] = self._problems.labels(code)
        bound.inc()

    def ticked(self, room: LiveRoom) -> None:
        """Count a tick that has brought a snapshot, and the promises that it has settled."""
        self._ticked.inc()
        kept, broken = room.promises.kept, room.promises.made - room.promises.kept
        known = self._promises.get(room.wave.id, (0, 0))
        if (kept, broken) != known:
            self._promises[room.wave.id] = kept, broken
            told: Counter = self._made["gateway_promises_total"]
            told.labels(room.wave.id, "yes").inc(kept - known[0])
            told.labels(room.wave.id, "no").inc(broken - known[1])

    def missed(self, _room: LiveRoom, _error: PortError) -> None:
        """Count a tick that has failed."""
        self._missed.inc()

    def batch(self, took_s: float) -> None:
        """Note the time of one committed batch."""
        self._batch.observe(took_s)

    def settled(self, recording: Recording, count: int) -> None:
        """Count entries that have left the intake."""
        self._rows[recording].inc(count)

    def failure(self, failure: Failure) -> None:
        """Count one failed attempt."""
        self._failures[failure].inc()

    def oldest_age_s(self, age_s: float) -> None:
        """Note the age of the oldest entry in hand."""
        self._oldest.set(age_s)

    def circuit(self, circuit: Circuit) -> None:
        """Note where the breaker stands, and count that it came to."""
        for each in Circuit:
            self._circuit.labels(each.value).set(each is circuit)
        self._circuits.labels(circuit.value).inc()

    def stocks(self, wave_id: str, stocks: Stocks) -> None:
        """Note what is kept beside the intake."""
        self._made["gateway_dead_letters"].labels(wave_id).set(stocks.dead)
        self._made["gateway_settled_entries"].labels(wave_id).set(stocks.settled)
        self._made["gateway_unchecked_entries"].labels(wave_id).set(stocks.unchecked)

    def forgotten(self, wave_id: str, count: int) -> None:
        """Count entries that the store had forgotten; an alarm."""
        self._made["gateway_forgotten_total"].labels(wave_id).inc(count)
        _log.error("the store has forgotten entries; queued again", wave=wave_id, count=count)

    def lost(self, programme_id: str, count: int) -> None:
        """Note registrations that are not in the store any more; an alarm."""
        self._made["gateway_lost_registrations"].labels(programme_id).set(count)
        if count:
            _log.error(
                "recorded registrations are not in the store", programme=programme_id, count=count
            )

    def redis_answered(self, command: str, took_s: float) -> None:
        """Note the time of one round trip; ``command`` is a script's name or ``other``."""
        self._round_trips.labels(command).observe(took_s)

    async def watch_loop(self) -> None:
        """Measure how late this process's event loop runs, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            worst_s = 0.0
            for _ in range(LAG_SAMPLES):
                due_s = loop.time() + LAG_EVERY_S
                await asyncio.sleep(LAG_EVERY_S)
                worst_s = max(worst_s, loop.time() - due_s)
            self._lag.set(worst_s)

    def render(self, rooms: Iterable[LiveRoom]) -> bytes:
        """Return the text that Prometheus scrapes: all processes' counts, and how the rooms stand."""
        for path in self._directory.glob("gauge_live*.db"):
            pid = path.stem.rpartition("_")[2]
            if not Path("/proc", pid).exists():  # killed: it could not take its gauges away itself
                mark_process_dead(pid, str(self._directory))  # type: ignore[no-untyped-call]
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self._directory))  # type: ignore[no-untyped-call]
        registry.register(RoomFamilies(rooms))
        registry.register(ProcessFamily(self._directory))
        return generate_latest(registry)

    def close(self) -> None:
        """Close this process's files; the counts stay."""
        values.close_all_multiprocess_files()  # type: ignore[no-untyped-call]


def _make(measure: Measure) -> Counter | Gauge | Histogram:
    name, kind, labels, meaning = measure
    if kind == "counter":
        return Counter(name, meaning, labels, registry=None)
    if kind == "histogram":
        return Histogram(name, meaning, labels, registry=None, buckets=BUCKETS.get(name, SECONDS))
    # Of all processes that live, the worst.
    return Gauge(name, meaning, labels, registry=None, multiprocess_mode="livemax")
