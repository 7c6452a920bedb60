"""A room and an intake that answer what they are told to: for reaching every answer of the web."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.core.programme import Wave
from gateway.core.snapshot import Snapshot
from gateway.ports import (
    Accepted,
    Claimed,
    Ended,
    ExtensionRefused,
    IntakeEntry,
    Joined,
    NotOpen,
    NotYet,
    ReceiptRecord,
    Refusal,
    Registration,
    Settled,
    Standing,
)


@dataclass
class Script:
    """What is answered next, and what was asked."""

    answers: dict[str, Any] = field(default_factory=dict)  # method -> value, or exception to raise
    asked: list[str] = field(default_factory=list)  # methods, in order

    def play(self, method: str) -> Any:
        self.asked.append(method)
        answer = self.answers[method]
        if isinstance(answer, Exception):
            raise answer
        return answer


class ScriptedRoom(Script):
    """A ``RoomPort``."""

    seen = -1  # extensions, by the last one who wanted another

    async def create(self, wave: Wave) -> bool:
        return bool(self.play("create"))

    async def tick(self, wave: Wave, present: Sequence[int]) -> Snapshot:
        answer: Snapshot = self.play("tick")
        return answer

    async def join(self, wave: Wave) -> Joined | NotOpen:
        answer: Joined | NotOpen = self.play("join")
        return answer

    async def claim(self, wave: Wave, number: int, position: int) -> Claimed | NotYet | Ended:
        answer: Claimed | NotYet | Ended = self.play("claim")
        return answer

    async def look(self, wave: Wave, number: int) -> Standing:
        answer: Standing = self.play("look")
        return answer

    async def leave(self, wave: Wave, number: int, position: int | None) -> Ended:
        answer: Ended = self.play("leave")
        return answer

    async def left(self, wave: Wave) -> bytes:
        answer: bytes = self.play("left")
        return answer

    async def extend(
        self, wave: Wave, number: int, serial: int, seen: int
    ) -> int | ExtensionRefused:
        self.seen = seen
        answer: int | ExtensionRefused = self.play("extend")
        return answer


class ScriptedIntake(Script):
    """An ``IntakePort``."""

    registration: Registration | None = None  # the last one offered

    async def accept(self, wave: Wave, registration: Registration) -> Accepted | Refusal:
        self.registration = registration
        answer: Accepted | Refusal = self.play("accept")
        return answer

    async def find_receipt(self, programme_id: str, receipt: str) -> ReceiptRecord | None:
        answer: ReceiptRecord | None = self.play("find_receipt")
        return answer

    async def read(
        self, wave: Wave, consumer: str, count: int, block_ms: int
    ) -> Sequence[IntakeEntry]:
        answer: Sequence[IntakeEntry] = self.play("read")
        return answer

    async def reclaim(
        self, wave: Wave, consumer: str, count: int, idle_ms: int
    ) -> Sequence[IntakeEntry]:
        answer: Sequence[IntakeEntry] = self.play("reclaim")
        return answer

    async def settle(self, wave: Wave, settled: Sequence[Settled]) -> None:
        self.play("settle")

    async def readmit(self, wave: Wave, entries: Sequence[IntakeEntry]) -> int:
        return int(self.play("readmit"))
