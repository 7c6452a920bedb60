"""Confirming a room or putting it back: the recovery port in Redis.

Round trips: one to confirm; two to put back, and one per 500 rows.
"""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.core.checkpoint import Checkpoint, beyond
from gateway.core.policy import from_document
from gateway.core.programme import Wave
from gateway.ports import OutcomeUnknownError, PortUnavailableError, RecordedRow
from gateway.redis.channel import Channel
from gateway.redis.fence import Fences
from gateway.redis.wave import GROUP, WaveScripts, policy_numbers, policy_text, timer_text


class RedisRecovery:
    """``RecoveryPort`` on one Redis or Valkey."""

    def __init__(self, url: str, prefix: str, fences: Fences) -> None:
        self._prefix = prefix
        self._fences = fences
        self._channel = Channel(url, deadline_s=5.0)

    def expect(self, wave: Wave, known: Checkpoint) -> None:
        """Refuse from now on a room that holds less than the checkpoint."""
        self._fences.expect(wave.id, known.epoch, known.issued, known.accepted)

    async def confirm_room(self, wave: Wave, seen: Sequence[Checkpoint]) -> bool:
        """Let the room be used on this run of its server; False where it is missing or less."""
        args = [
            part for one in seen for part in (one.epoch, one.issued, one.accepted, one.clock_us)
        ]
        return bool(await self._run(wave, "confirm_room", args))

    async def restore(self, wave: Wave, known: Checkpoint) -> bool:
        """Put the room in place with the least it must have been, closed; False where it stands."""
        policy = from_document(known.policy)
        issued = beyond(known)
        fields: Mapping[str, str | int] = {
            "epoch": secrets.token_hex(8),
            "prequeue_at_us": known.prequeue_at_us,
            "opens_at_us": known.opens_at_us,
            "closes_at_us": known.closes_at_us,
            "clock_us": known.clock_us,
            "turned_us": known.clock_us,
            "issued": issued,
            "cohort": known.cohort,
            "called": known.called,
            "ripe": known.called,
            "near": known.near and max(known.near, known.called + 1),
            "admitted": known.admitted + issued - known.issued,  # serials are never given twice
            "ended": known.ended,
            "missing": known.missing,
        }
        # The beacon last: the one that was drawn with, whatever the policy says since.
        drawn = ["beacon", known.beacon]
        drawn += ["commitment", known.commitment] if known.commitment else []
        flat = [part for pair in fields.items() for part in pair] + policy_numbers(policy) + drawn
        document = policy_text(policy), timer_text(known.timer), known.revision
        return bool(await self._run(wave, "restore", [GROUP, *document, known.accepted, *flat]))

    async def restore_rows(self, wave: Wave, rows: Sequence[RecordedRow]) -> None:
        """Count what the store has: persons, receipts, spent passes."""
        args = [
            part
            for row in rows
            for part in (row.receipt, row.person.hex(), row.content.hex(), row.accepted_at_us,
                         row.recorded_at_us, row.number, row.serial)
        ]  # fmt: skip
        await self._run(wave, "restore_rows", [wave.id, *args])

    async def reopen(self, wave: Wave, audit: Mapping[str, str]) -> int:
        """Let people in again; answer how many acknowledged registrations were not found."""
        record = [part for pair in audit.items() for part in pair]
        _, missing = await self._run(wave, "reopen", record)
        return int(missing)

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()

    async def _run(self, wave: Wave, name: str, args: Sequence[str | bytes | int]) -> Any:
        # All four may be repeated, so an unknown outcome is one to retry.
        try:
            return await WaveScripts(self._prefix, wave).run(self._channel, name, "", args)
        except OutcomeUnknownError as error:
            raise PortUnavailableError(str(error)) from error
