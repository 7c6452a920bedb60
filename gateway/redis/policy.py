"""Policies in Redis: a document with a revision, replaced only by whoever read the latest.

Round trips: one to read, one to change; the audit record is written by the same script.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from gateway.core.audit import Chain, Record
from gateway.core.policy import Policy, from_document
from gateway.core.policy_change import Timer
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
from gateway.redis.wave import WaveScripts, policy_numbers, policy_text, timer_text

PAGE = 500  # audit records read at once


class RedisPolicies:
    """``PolicyPort`` on one Redis or Valkey."""

    def __init__(self, url: str, prefix: str) -> None:
        self._prefix = prefix
        self._channel = Channel(url, deadline_s=1.0)

    async def read(self, wave: Wave) -> PolicyRevision:
        """Return the policy in force."""
        fields = "revision", "document", "timer", "at_us"
        answer = await self._command("HMGET", self._key(wave, "policy"), *fields)
        revision, document, timer, at_us = answer
        if revision is None:
            raise RoomMissingError("no policy: the room has not been made")
        held = from_document(json.loads(document))
        return PolicyRevision(int(revision), held, _timer(timer), int(at_us or 0))

    async def change(
        self,
        wave: Wave,
        revision: int,
        policy: Policy,
        audit: Mapping[str, str],
        timer: Timer | None = None,
    ) -> PolicyRevision | Stale:
        """Replace revision ``revision`` and its timer, and append one audit record in the same step."""
        numbers = policy_numbers(policy)
        kept = timer_text(asdict(timer) if timer else None)
        args = [revision, policy_text(policy), kept, len(numbers), *numbers, *_flat(audit)]
        changed, now = await self._run(wave, "change_policy", args)
        return PolicyRevision(now, policy, timer) if changed else Stale(now)

    async def note(self, wave: Wave, audit: Mapping[str, str], *, result_of: int = 0) -> bool:
        """Append a record of what has changed nothing; the result of a revision once, else False."""
        return bool(await self._run(wave, "note", [result_of, *_flat(audit)]))

    async def audit(self, wave: Wave, count: int, before: str = "") -> Sequence[Mapping[str, str]]:
        """Return the latest audit records, newest first, or the latest before one of them."""
        name, newest = self._key(wave, "audit"), f"({before}" if before else "+"
        entries = await self._command("XREVRANGE", name, newest, "-", "COUNT", count)
        return [{"id": entry.decode(), **dict(_record(flat))} for entry, flat in entries]

    async def chain(self, wave: Wave) -> Chain:
        """Read all audit records, and say whether each follows from the one before it."""
        chain = Chain()
        async for record in self._records(wave):
            chain.add(record)
        head = await self._command("HGET", self._key(wave, "policy"), "head")
        chain.end((head or b"").decode())
        return chain

    async def _records(self, wave: Wave) -> AsyncIterator[Record]:
        name, start = self._key(wave, "audit"), "-"
        while entries := await self._command("XRANGE", name, start, "+", "COUNT", PAGE):
            for _, flat in entries:
                yield _record(flat)
            start = f"({entries[-1][0].decode()}"

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()

    def _key(self, wave: Wave, name: str) -> str:
        return key(self._prefix, wave.programme_id, wave.id, name)

    async def _run(self, wave: Wave, name: str, args: Sequence[str | int]) -> Any:
        return await WaveScripts(self._prefix, wave).run(self._channel, name, "", args)

    async def _command(self, *parts: str | int) -> Any:
        try:
            return await self._channel.command(*parts)
        except OutcomeUnknownError as error:
            raise PortUnavailableError(str(error)) from error


def _flat(audit: Mapping[str, str]) -> list[str]:
    return [part for pair in audit.items() for part in pair]


def _record(flat: Sequence[bytes]) -> Record:
    return [(f.decode(), v.decode()) for f, v in zip(flat[::2], flat[1::2], strict=True)]


def _timer(text: bytes | None) -> Timer | None:
    return Timer(**json.loads(text)) if text else None
