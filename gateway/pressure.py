"""How hard is this process pressed? Ten looks at the clock in each window, and what is left to use.

Brings ``core/shedding`` its signals and the gate its limits, and hands on what was counted without a
lock. The least delay of a window is told, not the worst: a burst delays one callback, a queue all.
"""

import asyncio
import resource
from collections.abc import Iterable
from pathlib import Path

from gateway.core.policy import Policy
from gateway.core.shedding import WINDOW_S, Signals, thresholds
from gateway.core.snapshot import Phase
from gateway.metrics import Metrics
from gateway.services.operations import Condition
from gateway.services.overview import oldest_s
from gateway.services.rooms import LiveRoom
from gateway.web.lane import Lane
from gateway.web.listener import Site
from gateway.web.traffic import Traffic

LOOKS = 10
NOBODY_IN = frozenset({Phase.SCHEDULED, Phase.CLOSED})
DESCRIPTORS_OWN = 64  # Redis, metrics, listeners, the interpreter


async def watch_pressure(
    lane: Lane,
    site: Site,
    rooms: Iterable[LiveRoom],
    metrics: Metrics,
    traffic: Traffic,
    condition: Condition,
    stop: asyncio.Event,
) -> None:
    """Turn the gate once a window until told to stop."""
    gate = lane.gate
    while not stop.is_set():
        signals = Signals(
            lag_s=await _least_lag_s(),
            memory_free_ratio=memory_free_ratio(),
            descriptors_free_ratio=descriptors_free_ratio(len(site.listener.connections)),
            intake_full=intake_full(rooms),
            claims_full=intake_full(rooms, of_claims=True),
        )
        gate.turn(signals, thresholds(policies_under_way(rooms)))
        lane.report(traffic)
        traffic.look(asyncio.get_running_loop().time())
        _report(site, metrics)
        metrics.pressed(gate.pending, gate.in_flight_max, 1 - gate.threshold)
        condition.shedding, condition.traffic = gate.state(), traffic.per_s


def _report(site: Site, metrics: Metrics) -> None:
    """Hand on what connections have counted."""
    for why, count in site.listener.crowd.take_closed().items():
        metrics.closed(why, count)
    metrics.unreadable(site.listener.proxies.take_unreadable())


async def _least_lag_s() -> float:
    loop = asyncio.get_running_loop()
    least_s, pause_s = float("inf"), WINDOW_S / LOOKS
    for _ in range(LOOKS):
        due_s = loop.time() + pause_s
        await asyncio.sleep(pause_s)
        least_s = min(least_s, loop.time() - due_s)
    return max(0.0, least_s)


def memory_free_ratio(meminfo: Path = Path("/proc/meminfo")) -> float:
    """Return the share of the machine's memory that is available; 1 where it cannot be known."""
    try:
        lines = meminfo.read_text("ascii").splitlines()
        values = {name: int(rest.split()[0]) for name, _, rest in (x.partition(":") for x in lines)}
        return values["MemAvailable"] / values["MemTotal"]
    except (OSError, ValueError, LookupError):
        return 1.0


def descriptors_free_ratio(connections: int) -> float:
    """Return the share of descriptors that this process has left."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(0.0, 1 - (connections + DESCRIPTORS_OWN) / limit)


def policies_under_way(rooms: Iterable[LiveRoom]) -> list[Policy]:
    """Return the policies of the waves that people are in."""
    return [
        room.policy
        for room in rooms
        if room.snapshot is not None and room.snapshot.phase not in NOBODY_IN
    ]


def intake_full(rooms: Iterable[LiveRoom], *, of_claims: bool = False) -> bool:
    """Say whether no open wave can take a registration in, or should let one more person in."""
    open_rooms = [
        (room.snapshot, room.policy, room.policy.shed_intake_ratio if of_claims else 1.0)
        for room in rooms
        if room.snapshot is not None and room.snapshot.phase is Phase.OPEN
    ]
    full = [
        snapshot.backlog >= policy.intake_cap * share
        or oldest_s(snapshot) > policy.intake_age_s * share
        for snapshot, policy, share in open_rooms
    ]
    return bool(full) and all(full)
