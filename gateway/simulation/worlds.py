"""Who decides? The pure core, called as the scripts' twins are; ``scripted`` asks the scripts instead.

A world knows the wave and nothing of the crowd. Instants are microseconds of the simulated day.
"""

from collections.abc import Sequence
from typing import Protocol

from gateway.core import passes
from gateway.core.passes import Answer, Record, Registry
from gateway.core.room import Room, tick
from gateway.core.snapshot import Snapshot


class World(Protocol):
    """One wave that can be joined, claimed and registered with."""

    def tick(self, now_us: int, seen: Sequence[int]) -> Snapshot:
        """Let time pass, note who checked in, say how the room stands."""

    def join(self, now_us: int, count: int) -> int | None:
        """Give the next numbers; the first of them, or None when the wave takes nobody."""

    def claim(self, now_us: int, pairs: Sequence[tuple[int, int]]) -> list[Answer]:
        """Claim for pairs of number and position, which come in order of position."""

    def extend(self, now_us: int, number: int, serial: int) -> Answer:
        """Lengthen a pass by one life. No answer is lost here, so whoever asks has seen all others."""

    def leave(self, now_us: int, number: int, position: int | None) -> Answer:
        """End a ticket; without a position before the draw."""

    def accept(self, now_us: int, number: int, serial: int, person: int) -> Answer:
        """Spend a pass on a person's registration."""

    def deliver(self, now_us: int, count: int) -> None:
        """Record up to so many accepted registrations in the store."""


def person_digest(person: int) -> bytes:
    """Return what stands for a person's keyed digest, 32 bytes."""
    return person.to_bytes(32, "big")


def proposed(number: int, serial: int, person: int) -> Record:
    """Return the registration as it is sent; everybody writes the same into the form."""
    return Record(f"R{number}-{serial}", person_digest(person), b"\0" * 16, 0)


class PureWorld:
    """The core's room, changed by the core's functions and nothing else."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.registry = Registry()

    def tick(self, now_us: int, seen: Sequence[int]) -> Snapshot:
        return tick(self.room, now_us, now_us, list(seen))

    def join(self, now_us: int, count: int) -> int | None:  # noqa: ARG002  the phase is the last tick's
        answers = [passes.join(self.room) for _ in range(count)]
        return answers[0].serial if answers[0].word == "joined" else None

    def claim(self, now_us: int, pairs: Sequence[tuple[int, int]]) -> list[Answer]:
        return passes.claim_together(self.room, now_us, pairs)

    def extend(self, now_us: int, number: int, serial: int) -> Answer:  # noqa: ARG002
        return passes.extend(self.room, number, serial, passes.EXTENSIONS_MAX)

    def leave(self, now_us: int, number: int, position: int | None) -> Answer:  # noqa: ARG002
        return passes.leave(self.room, number, position)

    def accept(self, now_us: int, number: int, serial: int, person: int) -> Answer:
        record = proposed(number, serial, person)
        return passes.accept(
            self.room, self.registry, now_us, number=number, serial=serial, proposed=record
        )

    def deliver(self, now_us: int, count: int) -> None:  # noqa: ARG002
        count = min(count, self.room.backlog)
        self.room.backlog -= count
        self.room.recorded += count
