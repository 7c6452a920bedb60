"""What becomes of a change afterwards? Its timer runs out, and after five minutes its result is noted.

Every front door does both, and none leads: a timer is carried out by comparing the revision it was set with,
a result is noted once per revision. So one living process is enough, and a restart forgets nothing.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from gateway.core.policy import diff
from gateway.core.policy_change import Timer, with_fields
from gateway.ports import PortError, Stale
from gateway.services.changes import AuditedPolicies
from gateway.services.records import By, record_of
from gateway.services.rooms import LiveRoom, Rooms
from gateway.services.trail import Trail

EVERY_S = 0.5
RESULT_S = 300  # after a change
RESULT_S_MAX = 600  # later, it says nothing of this change
BEFORE_S = 60

_log = structlog.get_logger("gateway.policy")


class Steward:
    """Looks after the policies of all waves, and keeps their trails."""

    def __init__(
        self,
        rooms: Rooms,
        policies: AuditedPolicies,
        traffic: Callable[[], Mapping[str, float]] = dict,  # of all processes; none known
    ) -> None:
        self._rooms, self._policies, self._traffic = rooms, policies, traffic
        self._noted: dict[str, int] = {}  # by wave: the revision whose result stands
        self.trails = {room.wave.id: Trail() for room in rooms}

    async def run(self, stop: asyncio.Event) -> None:
        """Look after them until told to stop."""
        while not stop.is_set():
            for room in self._rooms:
                with contextlib.suppress(PortError):  # it is seen to next time
                    await self.look(room)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await stop.wait()

    async def look(self, room: LiveRoom) -> None:
        """See to one wave: costs no round trip while there is nothing to do."""
        if room.snapshot is None or room.stale:
            return
        trail = self.trails[room.wave.id]
        trail.add(room.snapshot, room.polls_expected_per_s, self._traffic())
        if room.timer is not None and room.now_us() >= room.timer.until_us:
            await self._go_back(room, room.timer)
        else:
            await self._note_result(room)

    async def _go_back(self, room: LiveRoom, timer: Timer) -> None:
        policy = with_fields(room.policy, timer.fields)
        changes = diff(room.policy, policy)
        by = By(timer.who, "the time it was set for is over", "timer")
        audit = record_of(by) | {"changes": json.dumps(changes), "did": "timer"}
        answer = await self._policies.change(room.wave, room.revision, policy, audit)
        if not isinstance(answer, Stale):  # another process was faster
            _log.info("policy went back", wave=room.wave.id, revision=answer.revision)

    async def _note_result(self, room: LiveRoom) -> None:
        age_s = (room.now_us() - room.changed_at_us) / 1e6
        if self._noted.get(room.wave.id) == room.revision or not RESULT_S <= age_s <= RESULT_S_MAX:
            return
        self._noted[room.wave.id] = room.revision
        result = self._result(room, room.changed_at_us / 1e6)
        if result:
            audit = {"who": "gateway", "did": "result", "result": json.dumps(result)}
            await self._policies.note(room.wave, audit, result_of=room.revision)

    def _result(self, room: LiveRoom, at_s: float) -> Mapping[str, Any] | None:
        """Return the minute before a change beside the last one; None where this process knows less."""
        trail = self.trails[room.wave.id]
        before = trail.pace(at_s - BEFORE_S, at_s)
        now_s = room.now_us() / 1e6
        after = trail.pace(now_s - BEFORE_S, now_s)
        return {"before": before, "after": after} if before and after else None
