"""What the neighbours answer: one value for every outcome, none of them an exception.

All instants are Redis ``TIME`` in microseconds.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from gateway.core.policy import Policy
from gateway.core.policy_change import Timer
from gateway.core.snapshot import Phase


@dataclass(frozen=True, slots=True)
class Joined:
    """A number was given."""

    number: int
    epoch: str
    phase: Phase
    at_us: int


@dataclass(frozen=True, slots=True)
class NotOpen:
    """The wave takes nobody now. ``phase`` says why; in one that takes people, joins are paused."""

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


class Registration(NamedTuple):
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
    number: int = 0  # of the ticket whose pass was spent; recovery needs it
    serial: int = 0  # of that pass
    content: bytes = b""  # 16 bytes: keyed digest of the form; empty where only the form is kept
    fence: int = 0  # of its programme in the store when it was read


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one entry; it leaves the intake with it."""

    entry_id: str
    receipt: str
    state: str  # recorded | duplicate | rejected
    reason: str = ""  # rejected: goes to the dead letters with the entry


@dataclass(frozen=True, slots=True)
class PolicyRevision:
    """A policy and the number it goes by."""

    revision: int
    policy: Policy
    timer: Timer | None = None  # what goes back by itself
    at_us: int = 0  # when it came into force; 0: with the room


@dataclass(frozen=True, slots=True)
class Stale:
    """Somebody was faster: ``revision`` is the one in force."""

    revision: int


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


@dataclass(frozen=True, slots=True)
class RecordedRow:
    """A registration as the store has it, without what it says."""

    receipt: str
    wave_id: str
    person: bytes  # 32 bytes
    content: bytes  # 16 bytes: keyed digest of the payload
    accepted_at_us: int
    recorded_at_us: int
    number: int
    serial: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An entry that the store has refused for good, without what it says."""

    id: str  # to retry it by
    wave_id: str
    entry_id: str  # of the intake, when it was buried
    reason: str
    tries: int
    accepted_at_us: int
    buried_at_us: int


@dataclass(frozen=True, slots=True)
class Stocks:
    """What is kept of a wave beside its intake."""

    dead: int  # dead letters
    settled: int  # recorded, not yet read back
    unchecked: int  # ever let go without having been read back
    forgotten: int  # ever queued again, because the store had forgotten them
