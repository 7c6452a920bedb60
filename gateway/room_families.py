"""What do snapshots say to whoever scrapes? Families of metrics, made at the moment of the scrape."""

from collections.abc import Iterable, Iterator
from importlib.metadata import version

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family

from gateway.core.snapshot import Phase
from gateway.measures import BUILD, PHASE, TOLD, Measure
from gateway.services.rooms import LiveRoom


class RoomFamilies:
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
