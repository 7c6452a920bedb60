"""What the services need from outside: one protocol per neighbour, each with its outage decided.

Adapters raise ``PortUnavailableError`` when the neighbour is down or late, ``OutcomeUnknownError`` when
a command was sent and its answer never came, and nothing else of their driver's. What they answer
otherwise stands in ``answers``; it is offered here too, so that users of a port need one import.
All instants are Redis ``TIME`` in microseconds, unless a name says ``clock``.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from gateway.answers import (
    Accepted,
    Claimed,
    DeadLetter,
    Ended,
    Ending,
    ExtensionRefused,
    IntakeEntry,
    Joined,
    NotOpen,
    NotYet,
    PolicyRevision,
    ReceiptRecord,
    RecordedRow,
    Recording,
    Refusal,
    Registration,
    RowOutcome,
    Settled,
    Stale,
    Standing,
    Stocks,
)
from gateway.core.policy import Policy
from gateway.core.policy_change import Timer
from gateway.core.programme import Wave
from gateway.core.snapshot import Snapshot

__all__ = [
    "Accepted",
    "ArchivePort",
    "Claimed",
    "DeadLetter",
    "Ended",
    "Ending",
    "ExtensionRefused",
    "FencedError",
    "IntakeEntry",
    "IntakePort",
    "Joined",
    "NotOpen",
    "NotYet",
    "OutcomeUnknownError",
    "PolicyPort",
    "PolicyRevision",
    "PortError",
    "PortUnavailableError",
    "ReceiptRecord",
    "RecordedRow",
    "Recording",
    "Refusal",
    "Registration",
    "RoomMissingError",
    "RoomPort",
    "RowOutcome",
    "Settled",
    "Stale",
    "Standing",
    "SteeringPort",
    "Stocks",
    "StorePort",
]


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


class FencedError(Exception):
    """Rows were read before a recovery: put them back into the intake, so that they count again.

    No outage, hence no ``PortError``: the store is there, and nothing was committed.
    """


class RoomPort(Protocol):
    """The waiting room's shared state.

    One round trip per call at most, shared with the calls of the same kind that wait for it. When it is
    down: snapshots age, joins, claims and leaves raise ``PortUnavailableError`` within 0.5 s, nothing moves.
    """

    async def create(self, wave: Wave) -> bool:
        """Make the room, and say so, unless it exists; the first maker's times and policy stay."""

    async def tick(self, wave: Wave, present: Sequence[int]) -> Snapshot:
        """Move phases, passes, bucket and ``called``; report the positions seen since the last tick.

        Raises:
            RoomMissingError: Redis holds no such room, or one not confirmed since its server has started.
        """

    async def join(self, wave: Wave) -> Joined | NotOpen:
        """Give the next number."""

    async def claim(self, wave: Wave, number: int, position: int) -> Claimed | NotYet | Ended:
        """Take a token and issue a pass, or say how long to wait."""

    async def look(self, wave: Wave, number: int) -> Standing:
        """Say how a visitor stands. Changes nothing."""

    async def leave(self, wave: Wave, number: int, position: int | None) -> Ended:
        """End the ticket, releasing its pass; ``REGISTERED`` when there is nothing left to leave.

        ``position`` is None before the draw.
        """

    async def left(self, wave: Wave) -> bytes:
        """Return the bitmap of who left, by number, most significant bit first."""

    async def extend(
        self, wave: Wave, number: int, serial: int, seen: int
    ) -> int | ExtensionRefused:
        """Lengthen the pass by one life, unless it has had more than ``seen``; answer its expiry instant."""


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

    async def readmit(self, wave: Wave, entries: Sequence[IntakeEntry]) -> int:
        """Put entries back that the room has lost; answer how many. What it knows stays as it is."""


class PolicyPort(Protocol):
    """Policies with revisions. When it is down: the last policy read stays in force, changes raise."""

    async def read(self, wave: Wave) -> PolicyRevision:
        """Return the policy in force."""

    async def change(
        self,
        wave: Wave,
        revision: int,
        policy: Policy,
        audit: Mapping[str, str],
        timer: Timer | None = None,
    ) -> PolicyRevision | Stale:
        """Replace revision ``revision`` and its timer, and append one audit record in the same step."""


class SteeringPort(Protocol):
    """The rate that the autopilot holds. When it is down: the rate stays, and falls to the floor in 15 s."""

    async def lease(self, holder: str, life_s: float) -> int:
        """Take or renew the lease of all deliveries; answer its fence, 0 where another holds it."""

    async def steer(self, wave: Wave, fence: int, milli_per_s: int) -> bool:
        """Hold the rate; False: a later lease is in use."""


class StorePort(Protocol):
    """The registration store: the only place that keeps personal data.

    ``put`` is idempotent by receipt. When it is down or late it raises ``PortUnavailableError``, and the
    whole batch may be sent again; entries stay in the intake meanwhile, up to its cap.
    """

    async def put(self, rows: Sequence[IntakeEntry]) -> Sequence[RowOutcome]:
        """Commit the rows in one transaction; one outcome per row, in their order.

        Raises:
            FencedError: a row's ``fence`` is not its programme's, seen by the transaction that commits it.
        """

    async def fences(self, programme_ids: Sequence[str]) -> Mapping[str, int]:
        """Return the fences of these programmes; 0 where none was ever raised."""

    async def standing(self, receipts: Sequence[str]) -> set[str]:
        """Return which of these receipts have a row, read as a reader would who knows of no ``put``."""

    async def probe(self) -> bool:
        """Raise ``PortUnavailableError`` unless a row could be written now; True: one was, and is gone."""

    async def close(self) -> None:
        """Let go of files and connections."""


class ArchivePort(Protocol):
    """What the store keeps besides: checkpoints of rooms, and what recovery counts again.

    When it is down: no checkpoint is taken, no lost room is recovered, and both are tried again.
    """

    async def save_checkpoints(self, documents: Mapping[str, str]) -> None:
        """Keep the latest checkpoint of each wave, by wave id."""

    async def checkpoints(self) -> Mapping[str, str]:
        """Return what was kept."""

    async def raise_fence(self, programme_id: str) -> int:
        """Have no row committed from now on that was read before; answer the new fence, greater than any."""

    async def recorded_rows(
        self, programme_id: str, after: str, count: int
    ) -> Sequence[tuple[IntakeEntry, int]]:
        """Return rows behind receipt ``after``, in order of receipts, each with its recorded_at_us.

        Where somebody else keeps the forms, ``payload`` is empty and ``content`` is its keyed digest.
        """
