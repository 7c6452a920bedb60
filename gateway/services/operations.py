"""What operators see: how all waves stand, and what this process is good for. One round trip.

``changes`` is how policies are changed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from gateway.core.checkpoint import take, to_json
from gateway.core.programme import Wave
from gateway.core.snapshot import Phase
from gateway.ports import PortError
from gateway.services.overview import age_s, alarms, doubt, fleet, misfit, overview, share, together
from gateway.services.rooms import LiveRoom, Rooms

TOLD = (
    "process",
    "pid",
    "accepting",
    "revisions",
    "shedding",
    "snapshot_age_s",
    "age_s",
)  # of each process

SCHEMA = 1  # of the status: higher when a member goes or changes its meaning, not when one is added

TOLD_OF_DELIVERY = ("process", "pid", "delivery", "reconciler", "age_s")


class ProcessesPort(Protocol):
    """The table of live processes. When it is down, a process knows of itself alone."""

    async def alive(self) -> Sequence[Mapping[str, Any]]:
        """Return the rows heard of lately: what ``Operations.row`` told, ``process`` and ``age_s``."""


@dataclass(slots=True)
class Condition:
    """What a process finds out about itself; its maker keeps it up to date."""

    process: str = ""  # its name in the table of processes
    pid: int = 0
    draining: bool = False
    faults: tuple[str, ...] = ()  # of this process: it should get no traffic
    hazards: tuple[str, ...] = ()  # of its surroundings: what is accepted now may not be durable
    unsafe_ok: bool = False  # and is accepted nevertheless
    shedding: Mapping[str, Any] = field(default_factory=dict)  # who is refused, and why
    traffic: Mapping[str, float] = field(default_factory=dict)  # a second, by what became of it
    fleet_traffic: Mapping[str, float] = field(default_factory=dict)  # of all processes
    notices: tuple[str, ...] = ()  # to be seen by every operator, such as a safeguard switched off

    @property
    def may_lose(self) -> bool:
        """Whether nothing may be acknowledged: it might be lost, and nobody has said that it may."""
        return bool(self.hazards) and not self.unsafe_ok


@dataclass(frozen=True, slots=True)
class Readiness:
    """What this process can do now."""

    ready: bool  # False: it should get no traffic
    accepting: bool  # whether a registration sent now would be durable
    reasons: tuple[str, ...]  # why not; empty when all is well


class Operations:
    """The status of all waves, as one process sees them."""

    def __init__(
        self,
        rooms: Rooms,
        processes: ProcessesPort,
        condition: Condition,
        *,
        now_us: Callable[[], int],
    ) -> None:
        self._rooms, self._processes = rooms, processes
        self._condition = condition
        self._now_us = now_us
        self._whole: dict[str, Mapping[str, Any]] = {}  # waves -> their rooms as last seen whole

    def room(self, wave_id: str) -> LiveRoom | None:
        """Return one room, or None where no such wave is configured."""
        return self._rooms.get(wave_id)

    @property
    def process(self) -> str:
        """Return the name of this process in the table of processes."""
        return self._condition.process

    def waves(self) -> list[Wave]:
        """Return all waves."""
        return [room.wave for room in self._rooms]

    def readiness(self) -> Readiness:
        """Say whether this process should get traffic, and what it is good for. Asks nobody."""
        condition = self._condition
        unfit = (
            *condition.faults,
            *filter(None, map(misfit, self._rooms)),
            *(["this process is draining"] if condition.draining else []),
        )
        unsure = (*condition.hazards, *filter(None, map(doubt, self._rooms)))
        return Readiness(not unfit, not unfit and not unsure, (*unfit, *unsure))

    def row(self) -> dict[str, Any]:
        """Return what this process tells of itself in the table of processes."""
        return {
            "process": self._condition.process,
            "pid": self._condition.pid,
            "accepting": self.readiness().accepting,
            "revisions": {room.wave.id: room.revision for room in self._rooms},
            "shedding": self._condition.shedding,
            "traffic": self._condition.traffic,
            "shares": {room.wave.id: share(room) for room in self._rooms},
            "snapshot_age_s": max((age_s(room) or 0.0 for room in self._rooms), default=0.0),
        }

    def seen(
        self, issued: Callable[[str], int], accepted: Callable[[str], int]
    ) -> dict[str, dict[str, Any]]:
        """Return what this process has seen of each room, with what it did since its last tick.

        A room that is being put back is made of what was told before, and of a margin. Who told of that one,
        too, would have each new try skip as many numbers again.
        """
        documents = {}
        for room in self._rooms:
            wave_id = room.wave.id
            if room.snapshot is not None and room.snapshot.phase is not Phase.RECOVERING:
                self._whole[wave_id] = to_json(take(room.snapshot, room.policy, timer=room.timer))
            if whole := self._whole.get(wave_id):
                documents[wave_id] = dict(whole) | {
                    "issued": max(whole["issued"], issued(wave_id)),
                    "accepted": max(whole["accepted"], accepted(wave_id)),
                }
        return documents

    async def status(self) -> dict[str, Any]:
        """Return all there is to know. Answers without Redis, too, and says so."""
        readiness = self.readiness()
        return {
            "schema": SCHEMA,
            "at": datetime.fromtimestamp(self._now_us() / 1e6, UTC).isoformat(
                timespec="milliseconds"
            ),
            "ready": readiness.ready,
            "accepting": readiness.accepting,
            "reasons": readiness.reasons,
            "notices": self._condition.notices,
            "process": self._condition.process,
            "shedding": self._condition.shedding,  # of this process
            **await self._fleet(),
        }

    async def _fleet(self) -> dict[str, Any]:
        """Return waves, front doors and deliveries, as all of them have told."""
        try:
            rows = await self._processes.alive()
        except PortError:
            rows = []
        deliveries = [row for row in rows if "delivery" in row]
        doors = [row for row in rows if "delivery" not in row] or [self.row() | {"age_s": 0.0}]
        flown = {wave_id: told for row in deliveries for wave_id, told in row["autopilot"].items()}
        return {
            "waves": [
                overview(room) | fleet(room, doors) | {"autopilot": flown.get(room.wave.id)}
                for room in self._rooms
            ],
            "traffic": together(doors),
            # Other parts of a row are told for the sums and for recovery, not for people.
            "processes": [_told(row, TOLD) for row in doors],
            "alarms": alarms(self._rooms, deliveries),
            "deliveries": [_told(row, TOLD_OF_DELIVERY) for row in deliveries],
        }


def _told(row: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: row[name] for name in names if name in row}
