"""The operator's listener with real services on ports in memory, and credentials of every role."""

import secrets
import time
from dataclasses import dataclass, field, fields, replace
from typing import Any

from aiohttp import web

from gateway.core.credentials import Operator, Role, enrol
from gateway.core.policy import Policy
from gateway.core.programme import Moment, Programme, Wave
from gateway.core.snapshot import Phase, Snapshot
from gateway.services.changes import PolicyDesk
from gateway.services.dead_letters import DeadLetters
from gateway.services.operations import Condition, Operations
from gateway.services.rooms import LiveRoom, Rooms
from gateway.services.steward import Steward
from gateway.web.operator import Services, operator_app
from tests.adapters.letters import MemoryLetters
from tests.adapters.policy import MemoryPolicies, MemoryProcesses
from tests.adapters.ports import ScriptedRoom

NOW_US = 1_586_595_600_000_000  # 11 April 2020, 16:00 WIB
MINUTE_US = 60_000_000


def a_snapshot(phase: Phase, **changes: Any) -> Snapshot:
    """Return a snapshot with zeros wherever nothing is said."""
    zeros: dict[str, Any] = {each.name: 0 if each.type is int else "" for each in fields(Snapshot)}
    times = {
        "now_us": NOW_US,
        "agreed_us": NOW_US,
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
class MemoryRenewal:
    """A supervisor that counts what it was asked for."""

    wrong: list[str] = field(default_factory=list)
    asked: int = 0

    def faults(self) -> list[str]:
        return self.wrong

    def ask(self) -> None:
        self.asked += 1


@dataclass
class OperatorsHouse:
    """Two waves as one process sees them."""

    policies: MemoryPolicies = field(default_factory=MemoryPolicies)
    processes: MemoryProcesses = field(default_factory=MemoryProcesses)
    letters: MemoryLetters = field(default_factory=MemoryLetters)
    condition: Condition = field(default_factory=lambda: Condition(process="serve-1", pid=7))
    port: ScriptedRoom = field(default_factory=ScriptedRoom)
    renewal: MemoryRenewal | None = field(default_factory=MemoryRenewal)
    operators: list[Operator] = field(default_factory=list)
    clock_s: float = 1_000.0  # of the rooms

    def __post_init__(self) -> None:
        self.rooms = Rooms({"prakerja": PROGRAMME}, bytes(32), lambda: self.clock_s)
        for room in self.rooms:
            room.observe(OPEN)
            room.revision = 1
        self.operations = Operations(
            self.rooms, self.processes, self.condition, now_us=lambda: NOW_US
        )
        self.desk = PolicyDesk(self.rooms, self.policies, self.processes)
        self.steward = Steward(self.rooms, self.policies, lambda: self.condition.fleet_traffic)
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

    async def adopt(self) -> None:
        """Have the process go by the policy in force, as a tick does."""
        room, read = self.room(), await self.policies.read(self.room().wave)
        room.policy, room.revision = read.policy, read.revision
        room.timer, room.changed_at_us = read.timer, read.at_us
        room.observe(replace(room.current(), revision=read.revision))

    def advance(self, seconds: int) -> None:
        """Let time pass, with a snapshot at its end."""
        room = self.room()
        now_us = room.current().now_us + seconds * 1_000_000
        room.observe(replace(room.current(), now_us=now_us, agreed_us=now_us))

    def see_at(self, second: int, **changes: Any) -> None:
        """Have the room look so at a second counted from ``NOW_US``."""
        now_us = NOW_US + second * 1_000_000
        self.room().observe(replace(OPEN, now_us=now_us, agreed_us=now_us, **changes))

    def made(self, wave_id: str = "wave-1") -> list[dict[str, str]]:
        """Return the audit records of what was done, newest first."""
        return [r for r in self.policies.records.get(wave_id, []) if "refused" not in r]

    def refused(self, wave_id: str = "wave-1") -> list[dict[str, str]]:
        """Return those of what was not."""
        return [r for r in self.policies.records.get(wave_id, []) if "refused" in r]

    def app(self) -> web.Application:
        services = Services(
            self.operations,
            self.desk,
            DeadLetters(self.letters),
            self.steward,
            self.rooms,
            self.port,
            self.renewal,
        )
        return operator_app(
            services, lambda: self.operators, lambda: b"# metrics\n", console_key=bytes(32)
        )
