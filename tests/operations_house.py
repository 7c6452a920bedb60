"""The operator's listener with real services on ports in memory, and credentials of every role."""

import secrets
import time
from dataclasses import dataclass, field, fields
from typing import Any

from aiohttp import web

from gateway.core.credentials import Operator, Role, enrol
from gateway.core.policy import Policy
from gateway.core.programme import Moment, Programme, Wave
from gateway.core.snapshot import Phase, Snapshot
from gateway.services.dead_letters import DeadLetters
from gateway.services.operations import Condition, Operations
from gateway.services.rooms import LiveRoom, Rooms
from gateway.web.operator import operator_app
from tests.adapters.letters import MemoryLetters
from tests.adapters.policy import MemoryPolicies, MemoryProcesses

NOW_US = 1_586_595_600_000_000  # 11 April 2020, 16:00 WIB
MINUTE_US = 60_000_000


def a_snapshot(phase: Phase, **changes: Any) -> Snapshot:
    """Return a snapshot with zeros wherever nothing is said."""
    zeros: dict[str, Any] = {each.name: 0 if each.type is int else "" for each in fields(Snapshot)}
    times = {
        "now_us": NOW_US,
        "prequeue_at_us": NOW_US - 30 * MINUTE_US,
        "opens_at_us": NOW_US - MINUTE_US,
        "closes_at_us": NOW_US + 60 * MINUTE_US,
    }
    return Snapshot(**(zeros | times | {"phase": phase, "revision": 1} | changes))


def a_wave(wave_id: str) -> Wave:
    return Wave(wave_id, "prakerja", 1, Moment(0), Moment(0), Moment(0), Policy())


OPEN = a_snapshot(Phase.OPEN, issued=100, called=10, near=20, cohort=50, admitted=9, recorded=3)
PROGRAMME = Programme(
    id="prakerja",
    name={"id": "Kartu Prakerja", "en": "Kartu Prakerja"},
    zone="WIB",
    selection="lottery",
    person_field="nik",
    help_line={},
    prepare={},
    fields=(),
    waves=(a_wave("wave-1"), a_wave("wave-2")),
)


def now_us() -> int:
    return time.time_ns() // 1000


@dataclass
class OperatorsHouse:
    """Two waves as one process sees them."""

    policies: MemoryPolicies = field(default_factory=MemoryPolicies)
    processes: MemoryProcesses = field(default_factory=MemoryProcesses)
    letters: MemoryLetters = field(default_factory=MemoryLetters)
    condition: Condition = field(default_factory=lambda: Condition(process="serve-1", pid=7))
    operators: list[Operator] = field(default_factory=list)
    clock_s: float = 1_000.0  # of the rooms

    def __post_init__(self) -> None:
        self.rooms = Rooms({"prakerja": PROGRAMME}, bytes(32), lambda: self.clock_s)
        for room in self.rooms:
            room.observe(OPEN)
            room.revision = 1
        self.operations = Operations(
            self.rooms, self.policies, self.processes, self.condition, now_us=lambda: NOW_US
        )
        self.credentials = {role: self.enrol(role.name.lower(), role) for role in Role}

    def enrol(self, operator_id: str, role: Role, *, issued_at_us: int | None = None) -> str:
        issued_us = now_us() if issued_at_us is None else issued_at_us
        text, operator = enrol(operator_id, role, secrets.token_bytes(32), now_us=issued_us)
        self.operators.append(operator)
        return text

    def room(self, wave_id: str = "wave-1") -> LiveRoom:
        room = self.rooms.get(wave_id)
        assert room is not None
        return room

    def app(self) -> web.Application:
        letters = DeadLetters(self.letters)
        return operator_app(
            self.operations, lambda: self.operators, lambda: b"# metrics\n", letters=letters
        )
