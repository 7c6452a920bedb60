"""What is said to a registration service, and what do its answers mean? The contract of the HTTP store.

A batch: ``POST {"registrations": [row, …]}``, answered 200 with ``{"outcomes": [{"receipt", "recording",
"reason"?}, …]}``, one per row, in their order; ``recording`` is ``recorded``, ``duplicate`` or ``rejected``.
Singly: ``POST row``, answered 200, 201 or 204 (recorded), 409 (the person stands there under another
receipt), or with one outcome in its body, which then counts. The form of a row is the canonical form
that was acknowledged, byte for byte.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from gateway.ports import IntakeEntry, PortUnavailableError, Recording, RowOutcome
from gateway.stores.outbound import Reply

# 4xx that speak of us or of the hour, not of what was sent.
OURS = frozenset({401, 402, 403, 404, 405, 406, 407, 408, 421, 423, 424, 425, 426, 428, 429, 431})
REASON = re.compile(r"[a-z]+(-[a-z]+){0,5}")  # a word, never a value: it holds no digit
REASON_CHARACTERS_MAX = 60
RETRY_AFTER_S = 2.0  # where the service names no time
OTHER_REASON = "refused"

Said = TypeVar("Said", bound=msgspec.Struct)


class Row(msgspec.Struct, frozen=True):
    """One registration as the service gets it."""

    receipt: str
    programme: str
    wave: str
    person: str  # 64 hex digits: keyed digest, unique in the programme
    accepted_at_us: int  # microseconds since 1970, UTC
    form: msgspec.Raw


class Batch(msgspec.Struct, frozen=True):
    """Some registrations."""

    registrations: list[Row]


class Outcome(msgspec.Struct, frozen=True):
    """What the service made of one. ``receipt`` may be left out where one row was sent singly."""

    recording: Recording
    receipt: str = ""
    reason: str = ""


class Outcomes(msgspec.Struct, frozen=True):
    """What the service made of a batch."""

    outcomes: list[Outcome]


def row(entry: IntakeEntry) -> Row:
    """Return a registration as the service gets it."""
    return Row(
        receipt=entry.receipt,
        programme=entry.programme_id,
        wave=entry.wave_id,
        person=entry.person.hex(),
        accepted_at_us=entry.accepted_at_us,
        form=msgspec.Raw(entry.payload),
    )


def batch(entries: Sequence[IntakeEntry]) -> bytes:
    """Return the body of a batch."""
    return msgspec.json.encode(Batch([row(entry) for entry in entries]))


def headers(entries: Sequence[IntakeEntry], *, singly: bool = False) -> dict[str, str]:
    """Return what goes with a body: the same key whenever the same rows are sent again."""
    receipts = "\n".join(entry.receipt for entry in entries)
    key = receipts if singly else hashlib.sha256(receipts.encode()).hexdigest()
    return {"Content-Type": "application/json", "Idempotency-Key": key}


def is_about_the_rows(status: int) -> bool:
    """Whether what was sent is at fault, so that sending it again is of no use."""
    return 400 <= status < 500 and status not in OURS


def outcomes(entries: Sequence[IntakeEntry], reply: Reply) -> list[RowOutcome]:
    """Read the answer to a batch; one that leaves any doubt counts for nothing."""
    if reply.status != 200:
        raise unavailable(reply)
    said = _decoded(reply.body, Outcomes).outcomes
    if [each.receipt for each in said] != [entry.receipt for entry in entries]:
        raise PortUnavailableError("store: it answered for other rows than were sent")
    return [_outcome(entry, each) for entry, each in zip(entries, said, strict=True)]


def outcome(entry: IntakeEntry, reply: Reply) -> RowOutcome:
    """Read the answer to one row."""
    if reply.status not in (200, 201, 204, 409):
        if is_about_the_rows(reply.status):
            return refused(entry, reply)
        raise unavailable(reply)
    if reply.body.strip().startswith(b"{") and b'"recording"' in reply.body:
        said = _decoded(reply.body, Outcome)
        if said.receipt not in ("", entry.receipt):
            raise PortUnavailableError("store: it answered for another row than was sent")
        return _outcome(entry, said)
    return RowOutcome(
        entry.receipt, Recording.DUPLICATE if reply.status == 409 else Recording.RECORDED
    )


def refused(entry: IntakeEntry, reply: Reply) -> RowOutcome:
    """Return what a row is whose request was refused as a whole."""
    return RowOutcome(entry.receipt, Recording.REJECTED, f"refused-{reply.status}")


def unavailable(reply: Reply) -> PortUnavailableError:
    """Return what is raised where the answer says nothing of the rows."""
    what = "it redirects, which is not followed" if 300 <= reply.status < 400 else "it answered"
    return PortUnavailableError(
        f"store: {what} ({reply.status})", reply.retry_after_s or RETRY_AFTER_S
    )


def _outcome(entry: IntakeEntry, said: Outcome) -> RowOutcome:
    if said.recording is not Recording.REJECTED:
        return RowOutcome(entry.receipt, said.recording)
    is_word = len(said.reason) <= REASON_CHARACTERS_MAX and REASON.fullmatch(said.reason)
    return RowOutcome(entry.receipt, said.recording, said.reason if is_word else OTHER_REASON)


def _decoded(body: bytes, kind: type[Said]) -> Said:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise PortUnavailableError("store: its answer is not what the contract says") from None
