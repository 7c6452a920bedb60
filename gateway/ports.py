"""What the services need from outside: one protocol per neighbour, each with its outage decided.

Adapters raise ``PortUnavailableError`` when the neighbour is down or late, ``OutcomeUnknownError`` when
a command was sent and its answer never came, and nothing else of their driver's.
All instants are Redis ``TIME`` in microseconds, unless a name says ``clock``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from gateway.core.policy import Policy
from gateway.core.programme import Wave
from gateway.core.snapshot import Phase, Snapshot


class PortError(Exception):
    """A neighbour did not do what was asked."""


class PortUnavailableError(PortError):
    """Nothing was done: retry later. ``retry_after_s`` is a hint, not a promise."""

    def __init__(self, detail: str, retry_after_s: float = 2.0) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class OutcomeUnknownError(PortError):
    """Something may have been done: repeating the same request gives the definite answer."""


class RoomMissingError(PortError):
    """Redis knows no such room, or another epoch of it: recover before anything is promised."""


# --- the room ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Joined:
    """A number was given."""

    number: int
    epoch: str
    phase: Phase
    at_us: int


@dataclass(frozen=True, slots=True)
class NotOpen:
    """The wave takes nobody now. ``phase`` says why."""

    phase: Phase


@dataclass(frozen=True, slots=True)
class Claimed:
    """A pass: a reservation on the quota."""

    serial: int  # tells a visitor's first pass from the second
    expires_at_us: int
    new: bool  # False: the same pass, asked for again


@dataclass(frozen=True, slots=True)
class NotYet:
    """No pass now. The place is kept."""

    state: str  # waiting | called | paused | full | closed | prequeue
    retry_after_us: int


class Ending(StrEnum):
    """Why a ticket claims nothing any more."""

    LEFT = "left"
    MISSED = "missed"  # the second pass expired unspent
    REGISTERED = "registered"


@dataclass(frozen=True, slots=True)
class Ended:
    """The ticket has come to its end."""

    why: Ending


@dataclass(frozen=True, slots=True)
class Standing:
    """How one called visitor stands."""

    state: str  # called | admitted | registered | left | missed
    serial: int = 0  # admitted: of the outstanding pass
    expires_at_us: int = 0  # admitted: of the outstanding pass
    extensions: int = 0  # admitted: how often it was extended
    receipt: str = ""  # registered


class ExtensionRefused(StrEnum):
    """Why a pass was not extended."""

    EXHAUSTED = "exhausted"
    ENDED = "ended"


class RoomPort(Protocol):
    """The waiting room's shared state.

    One round trip per call at most, shared with the calls of the same kind that wait for it. When it is
    down: snapshots age, joins, claims and leaves raise ``PortUnavailableError`` within 0.5 s, nothing moves.
    """

    async def create(self, wave: Wave) -> None:
        """Make the room unless it exists; the first maker's times and policy stay."""

    async def tick(self, wave: Wave, present: Sequence[int]) -> Snapshot:
        """Move phases, passes, bucket and ``called``; report the positions seen since the last tick.

        Raises:
            RoomMissingError: Redis holds no such room.
        """

    async def join(self, wave: Wave) -> Joined | NotOpen:
        """Give the next number."""

    async def claim(self, wave: Wave, number: int, position: int) -> Claimed | NotYet | Ended:
        """Take a token and issue a pass, or say how long to wait."""

    async def look(self, wave: Wave, number: int) -> Standing:
        """Say how a visitor below ``called`` stands."""

    async def leave(self, wave: Wave, number: int, position: int | None) -> Ended:
        """End the ticket, releasing its pass; ``REGISTERED`` when there is nothing left to leave.

        ``position`` is None before the draw.
        """

    async def left(self, wave: Wave) -> bytes:
        """Return the bitmap of who left, by number, most significant bit first."""

    async def extend(self, wave: Wave, number: int, serial: int) -> int | ExtensionRefused:
        """Lengthen the pass by one life; answer its new expiry instant."""


# --- the intake -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Registration:
    """One filled form, as the accept script takes it."""

    number: int
    serial: int  # of the pass it is sent with
    receipt: str  # proposed; an earlier one wins
    person: bytes  # 32 bytes: keyed digest of who registers
    content: bytes  # 16 bytes: keyed digest of the canonical form
    payload: bytes  # the canonical form, JSON


@dataclass(frozen=True, slots=True)
class Accepted:
    """The registration is on disk. The same for every repetition."""

    receipt: str
    at_us: int


class Refusal(StrEnum):
    """Why a registration was not accepted; each leaves everything as it was."""

    PASS_ENDED = "pass-ended"
    PASS_USED = "pass-used"
    ALREADY_REGISTERED = "already-registered"
    TOO_MANY_PERSONS = "too-many-persons"
    BACKLOG_FULL = "backlog-full"


@dataclass(frozen=True, slots=True)
class ReceiptRecord:
    """What is known of a receipt. No personal data."""

    receipt: str
    wave_id: str
    state: str  # received | recorded | duplicate | rejected
    received_at_us: int
    recorded_at_us: int  # 0 until recorded


@dataclass(frozen=True, slots=True)
class IntakeEntry:
    """One accepted registration on its way to the store."""

    entry_id: str  # stream id
    wave_id: str
    programme_id: str
    receipt: str
    person: bytes
    payload: bytes
    accepted_at_us: int
    deliveries: int = 1  # how often it was handed out


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one entry; it leaves the intake with it."""

    entry_id: str
    receipt: str
    state: str  # recorded | duplicate | rejected
    reason: str = ""  # rejected: goes to the dead letters with the entry


class IntakePort(Protocol):
    """Accepted registrations: acknowledged after the fsync, kept until the store has them.

    When it is down: ``accept`` raises ``PortUnavailableError`` (nothing sent) or ``OutcomeUnknownError``
    (repeat it), never answers; reading raises ``PortUnavailableError`` and delivery waits.
    """

    async def accept(self, wave: Wave, registration: Registration) -> Accepted | Refusal:
        """Spend the pass and append the entry, in one atomic step, idempotent by pass and person."""

    async def find_receipt(self, programme_id: str, receipt: str) -> ReceiptRecord | None:
        """Look one receipt up."""

    async def read(
        self, wave: Wave, consumer: str, count: int, block_ms: int
    ) -> Sequence[IntakeEntry]:
        """Wait up to ``block_ms`` for new entries."""

    async def reclaim(
        self, wave: Wave, consumer: str, count: int, idle_ms: int
    ) -> Sequence[IntakeEntry]:
        """Take over entries that another consumer has held for ``idle_ms``."""

    async def settle(self, wave: Wave, settled: Sequence[Settled]) -> None:
        """Acknowledge, remove and count entries, and move the state of their receipts."""


# --- policy -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PolicyRevision:
    """A policy and the number it goes by."""

    revision: int
    policy: Policy


@dataclass(frozen=True, slots=True)
class Stale:
    """Somebody was faster: ``revision`` is the one in force."""

    revision: int


class PolicyPort(Protocol):
    """Policies with revisions. When it is down: the last policy read stays in force, changes raise."""

    async def read(self, wave: Wave) -> PolicyRevision:
        """Return the policy in force."""

    async def change(
        self, wave: Wave, revision: int, policy: Policy, audit: Mapping[str, str]
    ) -> PolicyRevision | Stale:
        """Replace revision ``revision``, and append one audit record in the same step."""


# --- the store --------------------------------------------------------------------------------------


class Recording(StrEnum):
    """What the store made of one row."""

    RECORDED = "recorded"  # now, or by an earlier try with the same receipt
    DUPLICATE = "duplicate"  # the person stands there under another receipt
    REJECTED = "rejected"  # this row will never fit; see the reason


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """One row's fate."""

    receipt: str
    recording: Recording
    reason: str = ""


class StorePort(Protocol):
    """The registration store: the only place that keeps personal data.

    ``put`` is idempotent by receipt. When it is down or late it raises ``PortUnavailableError``, and the
    whole batch may be sent again; entries stay in the intake meanwhile, up to its cap.
    """

    async def put(self, rows: Sequence[IntakeEntry]) -> Sequence[RowOutcome]:
        """Commit the rows in one transaction; one outcome per row, in their order."""

    async def probe(self) -> None:
        """Raise ``PortUnavailableError`` unless a row could be written now."""

    async def close(self) -> None:
        """Let go of files and connections."""
