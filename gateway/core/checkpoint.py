"""What is known of a room outside Redis, and what a room lost there is put back together from.

A checkpoint is taken every second and kept in the store; the processes that serve know more recent
figures. Counters only grow, so the truth is at least the greatest of all that anybody has seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from gateway.core.policy import Policy, to_document
from gateway.core.policy_change import Timer
from gateway.core.snapshot import Snapshot

MARGIN = 200  # numbers given since the last word of a process that died: skipped, never given again
MARGIN_S = 2.0  # and so many seconds of joins


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One room, as somebody has seen it."""

    epoch: str
    at_us: int  # Redis TIME when it was seen
    clock_us: int
    prequeue_at_us: int
    opens_at_us: int
    closes_at_us: int
    issued: int
    cohort: int
    called: int
    near: int  # 0: not opened yet
    admitted: int
    accepted: int
    ended: int
    missing: int
    revision: int
    beacon: str
    policy: Mapping[str, Any]  # the document
    joins_per_s: float = 0.0
    commitment: str = ""  # of the draw; empty: whoever has seen the room did not know it
    timer: Mapping[str, Any] | None = None  # what of the policy goes back by itself, and when


def take(
    snapshot: Snapshot,
    policy: Policy,
    before: Checkpoint | None = None,
    timer: Timer | None = None,
) -> Checkpoint:
    """Return a snapshot's checkpoint; ``before`` tells how fast people join."""
    values = {
        field.name: getattr(snapshot, field.name)
        for field in fields(Checkpoint)
        if hasattr(snapshot, field.name)
    }
    joins_per_s = 0.0
    if before and snapshot.now_us > before.at_us:
        joins = max(0, snapshot.issued - before.issued)
        joins_per_s = joins * 1_000_000 / (snapshot.now_us - before.at_us)
    return Checkpoint(
        at_us=snapshot.now_us,
        policy=to_document(policy),
        joins_per_s=joins_per_s,
        timer=asdict(timer) if timer else None,
        **values,
    )


def to_json(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the checkpoint as it is kept and told."""
    return asdict(checkpoint)


def from_json(document: Mapping[str, Any]) -> Checkpoint:
    """Read a checkpoint; one of a later version may know more."""
    known = {field.name for field in fields(Checkpoint)}
    return Checkpoint(**{name: value for name, value in document.items() if name in known})


def merge(seen: Sequence[Checkpoint]) -> Checkpoint:
    """Return the least that the room must have been: every counter at its greatest.

    Texts, times, policy and timer come from whoever saw the latest revision, the cohort from whoever saw the
    opening. ``seen`` holds one at least.
    """
    latest = max(seen, key=lambda one: (one.revision, one.at_us))
    greatest = {
        name: max(getattr(one, name) for one in seen)
        for name in ("at_us", "clock_us", "issued", "cohort", "called", "near", "admitted",
                     "accepted", "ended", "missing", "joins_per_s", "commitment")
    }  # fmt: skip
    return replace(latest, **greatest)


def beyond(known: Checkpoint) -> int:
    """Return the first number that certainly was never given."""
    return known.issued + MARGIN + round(known.joins_per_s * MARGIN_S)
