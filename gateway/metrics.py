"""What is measured, under which names, and where the figures of several processes meet.

``COUNTED`` is what processes count: each writes a file of its own into one directory, and whichever is
scraped adds them up (the multiprocess mode of ``prometheus_client``). ``TOLD`` is what the room knows:
the same for every process, so the one that is scraped tells it from its snapshot. Labels come from
routes, enums, problem codes and configured waves; nothing a client sends is ever one.
"""

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from gateway.core.policy import Policy
from gateway.core.snapshot import Phase, Snapshot
from gateway.ports import PortError, Recording
from gateway.services.delivery_meter import Failure
from gateway.services.rooms import LiveRoom

DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # where prometheus_client looks for the directory
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
LAG_EVERY_S, LAG_SAMPLES = 0.1, 10  # the worst of a second is told
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE"})


class Measure(NamedTuple):
    """One metric, as the documents list it."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    meaning: str


# fmt: off
COUNTED: tuple[Measure, ...] = (
    Measure("gateway_requests_total", "counter", ("method", "route", "status"), "Requests answered."),
    Measure("gateway_request_seconds", "histogram", ("route",), "Time from head to answer."),
    Measure("gateway_problems_total", "counter", ("code",), "Refusals, by problem code."),
    Measure("gateway_ticks_total", "counter", ("result",), "Ticks: done, or missed because Redis was away."),
    Measure("gateway_store_batch_seconds", "histogram", (), "Time in which one batch was committed."),
    Measure("gateway_store_rows_total", "counter", ("recording",), "Entries settled, by what the store made of them."),
    Measure("gateway_delivery_failures_total", "counter", ("failure",), "Attempts that failed."),
    Measure("gateway_delivery_oldest_seconds", "gauge", (), "Age of the oldest entry in hand; 0 with an empty intake."),
    Measure("gateway_event_loop_lag_seconds", "gauge", (), "Worst delay of a due callback in the last second, of the slowest process."),
)

Told = tuple[Measure, Callable[[Snapshot, Policy], float]]
TOLD: tuple[Told, ...] = (
    (Measure("gateway_tickets_issued_total", "counter", ("wave",), "Numbers given."), lambda s, _: s.issued),
    (Measure("gateway_tickets_called_total", "counter", ("wave",), "Positions called."), lambda s, _: s.called),
    (Measure("gateway_tickets_ended_total", "counter", ("wave",), "Tickets that left or missed their second turn."), lambda s, _: s.ended),
    (Measure("gateway_tickets_waiting", "gauge", ("wave",), "Not yet called, or called and present without a pass."), lambda s, _: max(0, s.issued - s.called) + s.stock),
    (Measure("gateway_passes_issued_total", "counter", ("wave",), "Admissions."), lambda s, _: s.admitted),
    (Measure("gateway_passes_outstanding", "gauge", ("wave",), "Passes neither spent, expired nor released."), lambda s, _: s.outstanding),
    (Measure("gateway_registrations_accepted_total", "counter", ("wave",), "Registrations acknowledged."), lambda s, _: s.accepted),
    (Measure("gateway_registrations_recorded_total", "counter", ("wave",), "Registrations confirmed by the store."), lambda s, _: s.recorded),
    (Measure("gateway_intake_entries", "gauge", ("wave",), "Accepted and not yet settled."), lambda s, _: s.backlog),
    (Measure("gateway_quota_places", "gauge", ("wave",), "Registrations the wave may accept."), lambda _, p: p.quota),
    (Measure("gateway_rate_per_second", "gauge", ("wave",), "Admissions a second that the policy allows."), lambda _, p: p.rate_per_s),
    (Measure("gateway_policy_revision", "gauge", ("wave",), "Revision in force."), lambda s, _: s.revision),
    (Measure("gateway_wave_opens_timestamp_seconds", "gauge", ("wave",), "When the wave opens."), lambda s, _: s.opens_at_us / 1e6),
    (Measure("gateway_wave_closes_timestamp_seconds", "gauge", ("wave",), "When the wave closes."), lambda s, _: s.closes_at_us / 1e6),
    (Measure("gateway_snapshot_timestamp_seconds", "gauge", ("wave",), "When this process last saw the room, by the clock of Redis."), lambda s, _: s.now_us / 1e6),
)
PHASE = Measure("gateway_wave_phase", "gauge", ("wave", "phase"), "1 for the phase the wave is in, 0 for all others.")
BUILD = Measure("gateway_build_info", "gauge", ("version",), "Always 1; the label is the version.")
# fmt: on

MEASURES: tuple[Measure, ...] = (*COUNTED, *(measure for measure, _ in TOLD), PHASE, BUILD)


def prepare(directory: str | Path) -> None:
    """Empty the directory: what an earlier system counted would be added to what this one does."""
    directory = Path(directory)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in directory.glob("*.db"):
        path.unlink()


class Metrics:
    """What this process counts. Every method is one or two writes into memory; none raises."""

    def __init__(self, directory: str | Path) -> None:
        """Open this process's files. One at a time in a process."""
        self._directory = Path(directory)
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # prometheus_client chooses its storage when it is imported, by a variable that must be set
        # by then. Chosen here instead, nobody depends on the order of imports.
        os.environ[DIRECTORY_VARIABLE] = str(self._directory)
        values.ValueClass = values.MultiProcessValue()
        made: dict[str, Any] = {measure.name: _make(measure) for measure in COUNTED}
        self._requests: Counter = made["gateway_requests_total"]
        self._seconds: Histogram = made["gateway_request_seconds"]
        self._problems: Counter = made["gateway_problems_total"]
        self._batch: Histogram = made["gateway_store_batch_seconds"]
        self._oldest: Gauge = made["gateway_delivery_oldest_seconds"]
        self._lag: Gauge = made["gateway_event_loop_lag_seconds"]
        ticks: Counter = made["gateway_ticks_total"]
        self._ticked, self._missed = ticks.labels("done"), ticks.labels("missed")
        rows: Counter = made["gateway_store_rows_total"]
        self._rows = {recording: rows.labels(recording.value) for recording in Recording}
        failures: Counter = made["gateway_delivery_failures_total"]
        self._failures = {failure: failures.labels(failure.value) for failure in Failure}
        self._bound: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._bound_problems: dict[str, Counter] = {}

    # --- what the web tells: web/counting.Meter

    def answered(self, method: str, route: str, status: int, took_s: float) -> None:
        """Count one answer; ``route`` is a pattern, so there are as many labels as routes."""
        key = (method if method in METHODS else "other", route, status)
        bound = self._bound.get(key)
        if bound is None:
            bound = self._requests.labels(*key), self._seconds.labels(route)
            self._bound[key] = bound
        bound[0].inc()
        bound[1].observe(took_s)

    def refused(self, code: str) -> None:
        """Count one refusal; ``code`` is one of the problem catalogue."""
        bound = self._bound_problems.get(code)
        if bound is None:
            bound = self._bound_problems[code] = self._problems.labels(code)
        bound.inc()

    # --- what ticks tell: services/admission.TickWitness

    def ticked(self, _room: LiveRoom) -> None:
        """Count a tick that has brought a snapshot."""
        self._ticked.inc()

    def missed(self, _room: LiveRoom, _error: PortError) -> None:
        """Count a tick that has failed."""
        self._missed.inc()

    # --- what delivery tells: services/delivery_meter.DeliveryMeter

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

    async def watch_loop(self, stop: asyncio.Event) -> None:
        """Measure how late this process's event loop runs, until told to stop."""
        loop = asyncio.get_running_loop()
        while not stop.is_set():
            worst_s = 0.0
            for _ in range(LAG_SAMPLES):
                due_s = loop.time() + LAG_EVERY_S
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), LAG_EVERY_S)
                    return
                worst_s = max(worst_s, loop.time() - due_s)
            self._lag.set(worst_s)

    def render(self, rooms: Iterable[LiveRoom]) -> bytes:
        """Return the text that Prometheus scrapes: all processes' counts, and how the rooms stand."""
        for path in self._directory.glob("gauge_live*.db"):
            pid = path.stem.rpartition("_")[2]
            if not Path(f"/proc/{pid}").exists():  # killed: nobody else takes its gauges away
                mark_process_dead(pid, str(self._directory))  # type: ignore[no-untyped-call]
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self._directory))  # type: ignore[no-untyped-call]
        registry.register(_Told(rooms))
        return generate_latest(registry)

    def close(self) -> None:
        """Close this process's files; the counts stay."""
        values.close_all_multiprocess_files()  # type: ignore[no-untyped-call]


class _Told:
    """Makes families from snapshots, at the moment of the scrape."""

    def __init__(self, rooms: Iterable[LiveRoom]) -> None:
        self._seen = [(room.wave.id, room.snapshot, room.policy) for room in rooms if room.snapshot]

    def collect(self) -> Iterator[Family]:
        build = _family(BUILD)
        build.add_metric([version("registration-gateway")], 1)
        yield build
        for measure, value in TOLD:
            family = _family(measure)
            for wave_id, snapshot, policy in self._seen:
                family.add_metric([wave_id], value(snapshot, policy))
            yield family
        phases = _family(PHASE)
        for wave_id, snapshot, _ in self._seen:
            for phase in Phase:
                phases.add_metric([wave_id, phase.value], float(snapshot.phase is phase))
        yield phases


def _family(measure: Measure) -> CounterMetricFamily | GaugeMetricFamily:
    family = CounterMetricFamily if measure.kind == "counter" else GaugeMetricFamily
    return family(measure.name, measure.meaning, labels=measure.labels)


def _make(measure: Measure) -> Counter | Gauge | Histogram:
    match measure.kind:
        case "counter":
            return Counter(measure.name, measure.meaning, measure.labels, registry=None)
        case "gauge":
            # The worst of the processes that live.
            mode = "livemax"
            return Gauge(
                measure.name, measure.meaning, measure.labels, registry=None, multiprocess_mode=mode
            )
        case "histogram":
            return Histogram(
                measure.name, measure.meaning, measure.labels, registry=None, buckets=SECONDS
            )
