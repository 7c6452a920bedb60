"""Policies in Redis: a document with a revision, replaced only by whoever read the latest.

Round trips: one to read, one to change; the audit record is written by the same script.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.core.policy import Policy, from_document
from gateway.core.programme import Wave
from gateway.ports import (
    OutcomeUnknownError,
    PolicyRevision,
    PortUnavailableError,
    RoomMissingError,
    Stale,
)
from gateway.redis.channel import Channel
from gateway.redis.keys import key
from gateway.redis.wave import WaveScripts, policy_numbers, policy_text


class RedisPolicies:
    """``PolicyPort`` on one Redis or Valkey."""

    def __init__(self, url: str, prefix: str) -> None:
        self._prefix = prefix
        self._channel = Channel(url, deadline_s=1.0)

    async def read(self, wave: Wave) -> PolicyRevision:
        """Return the policy in force."""
        name = key(self._prefix, wave.programme_id, wave.id, "policy")
        revision, document = await self._command("HMGET", name, "revision", "document")
        if revision is None:
            raise RoomMissingError("no policy: the room has not been made")
        return PolicyRevision(int(revision), from_document(json.loads(document)))

    async def change(
        self, wave: Wave, revision: int, policy: Policy, audit: Mapping[str, str]
    ) -> PolicyRevision | Stale:
        """Replace revision ``revision``, and append one audit record in the same step."""
        numbers = policy_numbers(policy)
        record = [part for pair in audit.items() for part in pair]
        args = [revision, policy_text(policy), len(numbers), *numbers, *record]
        scripts = WaveScripts(self._prefix, wave)
        changed, now = await scripts.run(self._channel, "change_policy", "", args)
        return PolicyRevision(now, policy) if changed else Stale(now)

    async def audit(self, wave: Wave, count: int) -> Sequence[Mapping[str, str]]:
        """Return the latest audit records, newest first."""
        name = key(self._prefix, wave.programme_id, wave.id, "audit")
        entries = await self._command("XREVRANGE", name, "+", "-", "COUNT", count)
        return [
            {
                field.decode(): value.decode()
                for field, value in zip(flat[::2], flat[1::2], strict=True)
            }
            for _, flat in entries
        ]

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()

    async def _command(self, *parts: str | int) -> Any:
        try:
            return await self._channel.command(*parts)
        except OutcomeUnknownError as error:
            raise PortUnavailableError(str(error)) from error
