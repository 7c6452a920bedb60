"""How is a policy changed? Validated as a whole, planned, confirmed, compared with its revision, written.

Change and audit record are one step, so there is one record for each action, and none without. Round trips:
two to plan, three to change, one a wave for the audit.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.core.audit import Chain
from gateway.core.policy import Policy, Violation, diff, validate
from gateway.core.policy_change import (
    Changes,
    Severe,
    Timer,
    Unknown,
    closing_violation,
    is_confirmed,
    needs_reason,
    next_timer,
    severe,
    walk_back,
)
from gateway.core.programme import Wave
from gateway.core.snapshot import Phase
from gateway.ports import PolicyPort, PolicyRevision, PortError, Stale
from gateway.services.operations import ProcessesPort
from gateway.services.plans import key_figures, plan
from gateway.services.records import By, record_of, told
from gateway.services.rooms import LiveRoom, Rooms

AUDIT_COUNT = 100  # records told at once
UNDO_COUNT = 1_000  # records looked through for the way back


class AuditedPolicies(PolicyPort, Protocol):
    """Policies and the records of who changed them. When it is down, nothing is told: it raises."""

    async def audit(self, wave: Wave, count: int, before: str = "") -> Sequence[Mapping[str, str]]:
        """Return the latest records, newest first: id, revision, at_us, and what ``change`` was given.

        ``before`` is the id of a record: only older ones are told.
        """

    async def note(self, wave: Wave, audit: Mapping[str, str], *, result_of: int = 0) -> bool:
        """Append a record of what has changed nothing; the result of a revision once, else False."""

    async def chain(self, wave: Wave) -> Chain:
        """Read all records, and say whether each follows from the one before it."""


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """A change made, or what it would make."""

    revision: int  # in force after it; the one read, when nothing was written
    policy: Policy
    changes: Changes  # empty: it was so already, and nothing was written
    timer: Timer | None = None  # what goes back by itself afterwards
    steps: tuple[Severe, ...] = ()  # that need a confirmation
    plan: Mapping[str, Any] = field(default_factory=dict)  # of a dry run


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """Nothing was changed: these values must be repeated."""

    steps: tuple[Severe, ...]
    changes: Changes


@dataclass(frozen=True, slots=True)
class Unexplained:
    """Nothing was changed: people are in the room, so it must be said why."""

    phase: Phase
    changes: Changes


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted, and what is said with it."""

    changes: Mapping[str, Any] = field(default_factory=dict)  # fields
    confirm: str = ""  # severe values, repeated
    for_s: int | None = None  # None: for good
    dry_run: bool = False


Refusal = Stale | Unconfirmed | Unexplained | tuple[Violation, ...]


class PolicyDesk:
    """The policies of all waves, and their audit, as one process sees them."""

    def __init__(self, rooms: Rooms, policies: AuditedPolicies, processes: ProcessesPort) -> None:
        self._rooms, self._policies, self._processes = rooms, policies, processes

    def wave(self, wave_id: str) -> Wave | None:
        """Return one wave, or None where no such one is configured."""
        room = self._rooms.get(wave_id)
        return room.wave if room else None

    async def read(self, room: LiveRoom) -> PolicyRevision:
        """Return the policy in force."""
        return await self._policies.read(room.wave)

    async def forecast(self, room: LiveRoom) -> dict[str, Any]:
        """Return the plan of changing nothing."""
        return plan(room, room.policy, room.policy, await self._shown_per_s())

    async def change(
        self, room: LiveRoom, revision: int, wish: Wish, by: By
    ) -> PolicyChange | Refusal:
        """Change some fields of revision ``revision``, or say everything that is wrong with them."""
        base = await self._policies.read(room.wave)
        if base.revision != revision:
            return Stale(base.revision)
        policy = validate(wish.changes, base.policy)
        if not isinstance(policy, Policy):
            return policy
        return await self._make(room, base, policy, wish, by)

    async def undo(
        self, room: LiveRoom, revision: int, to: int, by: By, *, dry_run: bool = False
    ) -> PolicyChange | Refusal | Unknown:
        """Go back to the policy of revision ``to``; no step of it is severe, for it was in force."""
        base = await self._policies.read(room.wave)
        if base.revision != revision:
            return Stale(base.revision)
        steps = [
            (int(record["revision"]), {name: pair[0] for name, pair in changes.items()})
            for record in await self._policies.audit(room.wave, UNDO_COUNT)
            if "refused" not in record and (changes := json.loads(record.get("changes", "{}")))
        ]
        policy = walk_back(base.policy, steps, to)
        if isinstance(policy, Unknown):
            return policy
        answer = await self._make(room, base, policy, Wish(dry_run=dry_run), by, undo_to=to)
        assert not isinstance(answer, Unconfirmed)
        return answer

    async def _make(
        self,
        room: LiveRoom,
        base: PolicyRevision,
        policy: Policy,
        wish: Wish,
        by: By,
        undo_to: int | None = None,
    ) -> PolicyChange | Refusal:
        changes, shown_per_s = diff(base.policy, policy), await self._shown_per_s()
        if "closes_at" in changes and (found := _closing(room, base.policy, policy, wish)):
            return (found,)
        timer = base.timer
        made_permanent = timer and wish.for_s is None and wish.changes.keys() <= timer.fields.keys()
        if changes or (made_permanent and wish.changes):
            until_us = None if wish.for_s is None else room.now_us() + wish.for_s * 1_000_000
            named = changes or dict.fromkeys(wish.changes, (None, None))
            timer = next_timer(timer, named, until_us=until_us, who=by.who)
        phase = room.snapshot.phase if room.snapshot else None
        steps = (
            () if undo_to is not None else severe(changes, phase, shown_per_s, wave_id=room.wave.id)
        )
        if wish.dry_run or (not changes and timer == base.timer):
            planned = plan(room, base.policy, policy, shown_per_s) if wish.dry_run else {}
            return PolicyChange(base.revision, policy, changes, timer, steps, planned)
        if phase and not by.reason and needs_reason(changes, phase):
            return Unexplained(phase, changes)
        if not all(is_confirmed(step, wish.confirm) for step in steps):
            return Unconfirmed(steps, changes)
        audit = record_of(by) | {"changes": json.dumps(changes)}
        audit |= {"did": f"undo to {undo_to}"} if undo_to is not None else {}
        if room.snapshot:
            expected = key_figures(plan(room, base.policy, policy, shown_per_s))
            audit["plan"] = json.dumps(expected)
        if wish.for_s is not None and timer:
            audit["timer_us"] = str(timer.until_us)
        answer = await self._policies.change(room.wave, base.revision, policy, audit, timer)
        if isinstance(answer, Stale):
            return answer
        return PolicyChange(answer.revision, policy, changes, timer, steps)

    async def _shown_per_s(self) -> float | None:
        """Return what the store takes, by what deliveries have measured; None: unknown."""
        try:
            rows = await self._processes.alive()
        except PortError:
            return None
        shown = [row["delivery"].get("capacity_per_s") for row in rows if "delivery" in row]
        return sum(filter(None, shown)) or None

    async def refused(self, wave: Wave, by: By, did: str, why: str, changes: Changes) -> None:
        """Note that an action was refused, and what it wanted."""
        audit = record_of(by) | {"did": did, "refused": why, "changes": json.dumps(changes)}
        await self._policies.note(wave, audit)

    async def note(self, by: By, did: str) -> None:
        """Note an action that concerns all waves."""
        for room in self._rooms:
            await self._policies.note(room.wave, record_of(by) | {"did": did})

    async def audit(self, only: LiveRoom | None = None, before: str = "") -> list[dict[str, Any]]:
        """Return the latest records of one wave or of all, newest first; of one, those before a record."""
        rooms = list(self._rooms) if only is None else [only]
        records = [
            (int(record["at_us"]), told(room, record))
            for room in rooms
            for record in await self._policies.audit(room.wave, AUDIT_COUNT, before)
        ]
        records.sort(key=lambda pair: pair[0], reverse=True)
        return [record for _, record in records[:AUDIT_COUNT]]

    async def chains(self) -> dict[str, dict[str, Any]]:
        """Say of each wave how many records there are, and which does not follow; null: all do."""
        chains = {room.wave.id: await self._policies.chain(room.wave) for room in self._rooms}
        return {
            wave_id: {"records": chain.count, "broken_at": chain.broken_at, "head": chain.head}
            for wave_id, chain in chains.items()
        }


def _closing(room: LiveRoom, old: Policy, new: Policy, wish: Wish) -> Violation | None:
    seen, now_us = room.current(), room.now_us()
    if not seen.is_confirmed:
        return Violation("/closes_at", "closing", "must wait: the clock of Redis is not confirmed")
    before_us, after_us = (each.closes_us(seen.closes_at_us) for each in (old, new))
    return closing_violation(before_us, after_us, seen.phase, now_us=now_us, for_s=wish.for_s)
