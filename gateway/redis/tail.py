"""What is kept of settled entries: the tail and the dead letters in Redis. Round trips: one or two each."""

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from gateway.core.programme import Wave
from gateway.ports import (
    DeadLetter,
    IntakeEntry,
    OutcomeUnknownError,
    PortUnavailableError,
    ReceiptRecord,
    Stocks,
)
from gateway.redis.channel import Channel
from gateway.redis.intake import read_entry, read_record
from gateway.redis.keys import key
from gateway.redis.wave import WaveScripts

REVIVED_MAX = 500  # by one call
PAGE = 500


class RedisTail:
    """``TailPort`` and ``DeadLettersPort`` on one Redis or Valkey."""

    def __init__(
        self, url: str, prefix: str, *, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._prefix = prefix
        self._channel = Channel(url, deadline_s=2.0)
        self._now_s = now_s
        self._seen: dict[
            str, list[tuple[tuple[int, ...], float]]
        ] = {}  # last ids and when, by wave

    async def settled(self, wave: Wave, count: int, age_s: float) -> Sequence[IntakeEntry]:
        """Return the oldest entries that were there ``age_s`` ago, by our own clock.

        The server's may be set back: what it names then is ahead of its time for as long as that.
        """
        stream = self._key(wave, "settled")
        newest = await self._command("XREVRANGE", stream, "+", "-", "COUNT", 1)
        latest = self._old_enough(wave, newest[0][0], age_s) if newest else None
        if latest is None:
            return []
        items = await self._command("XRANGE", stream, "-", latest, "COUNT", count)
        return [read_entry(wave, item) for item in items]

    def _old_enough(self, wave: Wave, newest: bytes, age_s: float) -> str | None:
        """Return the last id that was there ``age_s`` ago; None: there was none of this stream."""
        now_s, id_ = self._now_s(), tuple(map(int, newest.split(b"-")))
        seen = self._seen.setdefault(wave.id, [])
        if seen and id_ < seen[-1][0]:  # Redis was emptied, or the newest were let go
            seen.clear()
        if not seen or id_ > seen[-1][0]:
            seen.append((id_, now_s))
        old = [each for each in seen if now_s - each[1] >= age_s]
        del seen[: max(0, len(old) - 1)]
        return "-".join(map(str, old[-1][0])) if old else None

    async def confirm(self, wave: Wave, verdicts: Mapping[str, bool]) -> int:
        """Let go of those that stand, queue the others again."""
        args = [part for id_, stands in verdicts.items() for part in (id_, int(stands))]
        return int(await self._run(wave, "confirm", args))

    async def receipts(
        self, programme_id: str, cursor: int, count: int
    ) -> tuple[int, Mapping[str, ReceiptRecord]]:
        """Return about ``count`` receipts and the next cursor."""
        name = key(self._prefix, programme_id, "", "receipts")
        after, flat = await self._command("HSCAN", name, cursor, "COUNT", count)
        pairs = zip(flat[::2], flat[1::2], strict=True)
        records = [read_record(receipt.decode(), record) for receipt, record in pairs]
        return int(after), {record.receipt: record for record in records if record}

    async def unfinished(self, wave: Wave) -> AsyncIterator[set[str]]:
        """Yield the receipts of what is in the intake or among the dead letters, some at a time."""
        for name in ("intake", "dead"):
            after = "-"
            while items := await self._command(
                "XRANGE", self._key(wave, name), after, "+", "COUNT", PAGE
            ):
                yield {read_entry(wave, item).receipt for item in items}
                after = f"({items[-1][0].decode()}"

    async def stocks(self, wave: Wave) -> Stocks:
        """Say how much is kept."""
        dead = await self._command("XLEN", self._key(wave, "dead"))
        settled = await self._command("XLEN", self._key(wave, "settled"))
        room = self._key(wave, "room")
        unchecked, forgotten = await self._command("HMGET", room, "unchecked", "forgotten")
        return Stocks(int(dead), int(settled), int(unchecked or 0), int(forgotten or 0))

    async def asked(self, wave: Wave) -> int:
        """Return the last wish for a whole comparison; 0: there was none."""
        return int(await self._command("HGET", self._key(wave, "room"), "asked") or 0)

    async def dead(self, wave: Wave, count: int) -> Sequence[DeadLetter]:
        """Return the oldest dead letters."""
        stream = self._key(wave, "dead")
        items = await self._command("XRANGE", stream, "-", "+", "COUNT", count)
        return [_letter(wave, *item) for item in items]

    async def revive(
        self, wave: Wave, ids: Sequence[str], audit: Mapping[str, str]
    ) -> tuple[int, int]:
        """Queue these again, or the oldest where none is named."""
        record = [part for pair in audit.items() for part in pair]
        args: list[str | bytes | int] = [len(ids), REVIVED_MAX, *ids, *record]
        revived, left = await self._run(wave, "revive", args)
        return int(revived), int(left)

    async def ask(self, wave: Wave, audit: Mapping[str, str]) -> int:
        """Ask for a comparison of every receipt with the store; answer the wish."""
        return int(await self._run(wave, "ask", [part for pair in audit.items() for part in pair]))

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()

    def _key(self, wave: Wave, name: str) -> str:
        return key(self._prefix, wave.programme_id, wave.id, name)

    async def _run(self, wave: Wave, name: str, args: Sequence[str | bytes | int]) -> Any:
        # Each of them may be repeated, so an unknown outcome is one to retry.
        try:
            return await WaveScripts(self._prefix, wave).run(self._channel, name, "", args)
        except OutcomeUnknownError as error:
            raise PortUnavailableError(str(error)) from error

    async def _command(self, *parts: str | int) -> Any:
        try:
            return await self._channel.command(*parts)
        except OutcomeUnknownError as error:
            raise PortUnavailableError(str(error)) from error


def _letter(wave: Wave, id_: bytes, flat: list[bytes]) -> DeadLetter:
    values = dict(zip(flat[::2], flat[1::2], strict=True))

    def number(name: bytes) -> int:
        text = values.get(name, b"0")
        return int(text) if text.isdigit() else 0

    return DeadLetter(
        id=id_.decode(),
        wave_id=wave.id,
        entry_id=values.get(b"entry_id", b"").decode(),
        reason=values.get(b"reason", b"").decode(),
        tries=number(b"tries"),
        accepted_at_us=number(b"accepted_at_us"),
        buried_at_us=number(b"buried_at_us"),
    )
