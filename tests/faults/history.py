"""What happened in a run: values only, written by the clients and the witness, read by the checker."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.faults.schedules import Schedule

UNKNOWN = 0  # the status of a request that got no answer


@dataclass(frozen=True, slots=True)
class Event:
    """One request as its sender saw it; seconds of one monotonic clock."""

    applicant: int
    action: str  # join | place | claim | register | receipt | leave
    sent_s: float
    ended_s: float  # when the answer had come, or was given up
    status: int  # UNKNOWN: whether anything was done nobody can say
    document: Mapping[str, Any]
    form: Mapping[str, str] | None = None  # what was sent

    @property
    def code(self) -> str:
        """The problem's code, if it is one."""
        return str(self.document.get("type", "")).rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Row:
    """One registration in the store."""

    receipt: str
    person: bytes
    payload: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Remains:
    """What is left once everything has come to rest."""

    rows: Sequence[Row] = ()
    receipts: Mapping[str, str] = field(default_factory=dict)  # in Redis: receipt -> state
    superseded: Sequence[str] = ()  # receipts whose person stands under another, as the room says
    pending: Sequence[str] = ()  # receipts in the intake
    dead: Mapping[str, str] = field(default_factory=dict)  # dead letters: receipt -> reason
    room: Mapping[str, int] = field(default_factory=dict)  # its counters


@dataclass(slots=True)
class History:
    """One run."""

    schedule: Schedule
    events: list[Event] = field(default_factory=list)
    ends: dict[int, str] = field(default_factory=dict)  # applicant -> how its way ended
    healed_s: float = 0.0  # when the last fault had ended
    accepted_again_s: float | None = None  # when a newcomer was served to the end after that
    rested: bool = False  # the intake was emptied in time
    reached: Counter[str] = field(default_factory=Counter)  # rare states
    skipped: list[str] = field(default_factory=list)  # faults that this machine does not allow
    remains: Remains = field(default_factory=Remains)

    def of(self, *actions: str) -> list[Event]:
        """Return the events of some actions."""
        return [event for event in self.events if event.action in actions]
