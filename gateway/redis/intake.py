"""The intake in Redis: a stream per wave, filled by one script, emptied by a consumer group.

Round trips: one per batch of registrations, and its reply leaves Redis after the fsync.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from gateway.core.programme import Wave
from gateway.ports import (
    Accepted,
    IntakeEntry,
    OutcomeUnknownError,
    PortUnavailableError,
    ReceiptRecord,
    Refusal,
    Registration,
    Settled,
)
from gateway.redis.batch import Batcher
from gateway.redis.channel import Channel
from gateway.redis.fence import Fences
from gateway.redis.keys import key
from gateway.redis.wave import GROUP, WaveScripts

BATCH_MAX = 200
PENDING_MAX = 2_000
ACCEPT_DEADLINE_S = 2.0  # a slow fsync is not an unreachable Redis
BLOCK_MARGIN_S = 1.0


class RedisIntake:
    """``IntakePort`` on one Redis or Valkey."""

    def __init__(
        self,
        url: str,
        prefix: str,
        fences: Fences | None = None,
        may_lose: Callable[
            [], bool
        ] = bool,  # whether this server may lose what it acknowledges: no
    ) -> None:
        self._prefix = prefix
        self._fences = fences or Fences()
        self._may_lose = may_lose
        self._accepts = Channel(url, deadline_s=ACCEPT_DEADLINE_S)
        self._lookups = Channel(url, deadline_s=0.5)
        self._reads = Channel(url, deadline_s=ACCEPT_DEADLINE_S)  # blocking reads wait on their own
        self._held_since_s: dict[str, dict[tuple[bytes, bytes, int], float]] = {}
        self._batchers: dict[str, Batcher[Registration, Accepted | Refusal]] = {}
        self._receipts: dict[str, Batcher[str, ReceiptRecord | None]] = {}

    async def accept(self, wave: Wave, registration: Registration) -> Accepted | Refusal:
        """Spend the pass and append the entry, acknowledged after the fsync."""
        if self._may_lose():
            raise PortUnavailableError(
                "this Redis may lose what it acknowledges", retry_after_s=10.0
            )
        batcher = self._batchers.get(wave.id)
        if batcher is None:
            batcher = self._batchers[wave.id] = self._accepting(wave)
        return await batcher.ask(registration)

    async def find_receipt(self, programme_id: str, receipt: str) -> ReceiptRecord | None:
        """Look one receipt up."""
        batcher = self._receipts.get(programme_id)
        if batcher is None:
            batcher = self._receipts[programme_id] = self._finding(programme_id)
        return await batcher.ask(receipt)

    async def read(
        self, wave: Wave, consumer: str, count: int, block_ms: int
    ) -> Sequence[IntakeEntry]:
        """Wait up to ``block_ms`` for new entries."""
        block = ("BLOCK", block_ms) if block_ms > 0 else ()
        answer = await _definite(
            self._reads.command(
                *("XREADGROUP", "GROUP", GROUP, consumer, "COUNT", count, *block),
                *("STREAMS", self._key(wave, "intake"), ">"),
                deadline_s=block_ms / 1000 + BLOCK_MARGIN_S,
            )
        )
        return [read_entry(wave, item) for item in answer[0][1]] if answer else []

    async def reclaim(
        self, wave: Wave, consumer: str, count: int, idle_ms: int
    ) -> Sequence[IntakeEntry]:
        """Take over entries that another consumer has held for ``idle_ms``."""
        pending = await self._pending(wave, count, "IDLE", idle_ms)
        if not pending:
            pending = self._stuck(wave, await self._pending(wave, count), idle_ms)
            idle_ms = 0
        if not pending:
            return []
        stream = self._key(wave, "intake")
        deliveries = {item[0]: item[3] + 1 for item in pending}
        taken = await _definite(
            self._reads.command("XCLAIM", stream, GROUP, consumer, idle_ms, *deliveries)
        )
        return [read_entry(wave, item, deliveries[item[0]]) for item in taken if item]

    async def _pending(self, wave: Wave, count: int, *idle: str | int) -> list[Any]:
        stream = self._key(wave, "intake")
        answer: list[Any] = await _definite(
            self._reads.command("XPENDING", stream, GROUP, *idle, "-", "+", count)
        )
        return answer

    def _stuck(self, wave: Wave, pending: list[Any], idle_ms: int) -> list[Any]:
        """Return what nobody has moved for so long by our own clock.

        To a server whose clock was set back, entries handed out before are not idle for as long as that.
        """
        now_s, before_s = time.monotonic(), self._held_since_s.get(wave.id, {})
        hands = {
            item[0]: (item[0], item[1], item[3]) for item in pending
        }  # id, consumer, deliveries
        since_s = {hand: before_s.get(hand, now_s) for hand in hands.values()}
        self._held_since_s[wave.id] = since_s
        return [item for item in pending if now_s - since_s[hands[item[0]]] >= idle_ms / 1_000]

    async def settle(self, wave: Wave, settled: Sequence[Settled]) -> None:
        """Acknowledge, remove and count entries, and move the state of their receipts."""
        args = [
            part
            for item in settled
            for part in (item.entry_id, item.receipt, item.state, item.reason)
        ]
        scripts = WaveScripts(self._prefix, wave)
        await _definite(scripts.run(self._reads, "settle", "", [GROUP, *args]))

    async def readmit(self, wave: Wave, entries: Sequence[IntakeEntry]) -> int:
        """Put entries back that the room has lost."""
        args = [
            part
            for entry in entries
            for part in (entry.receipt, entry.person.hex(), entry.content.hex(),
                         entry.accepted_at_us, entry.number, entry.serial, entry.payload)
        ]  # fmt: skip
        scripts = WaveScripts(self._prefix, wave)
        return int(await _definite(scripts.run(self._reads, "readmit", "", [wave.id, *args])))

    @property
    def pending_count(self) -> int:
        """How many registrations wait for a batch to leave."""
        return sum(batcher.pending_count for batcher in self._batchers.values())

    async def close(self) -> None:
        """Close the connections."""
        for channel in (self._accepts, self._lookups, self._reads):
            await channel.close()

    def _key(self, wave: Wave, name: str) -> str:
        return key(self._prefix, wave.programme_id, wave.id, name)

    def _accepting(self, wave: Wave) -> Batcher[Registration, Accepted | Refusal]:
        scripts = WaveScripts(self._prefix, wave)

        async def send(batch: Sequence[Registration]) -> list[Accepted | Refusal]:
            args = [part for item in batch for part in _accept_args(item)]
            fence = self._fences.text(wave.id)
            reply = await scripts.run(self._accepts, "accept", fence, [wave.id, *args])
            *answers, accepted = reply
            self._fences.took_in(wave.id, fence, accepted)
            return [_accepted(answer) for answer in answers]

        return Batcher(send, batch_max=BATCH_MAX, pending_max=PENDING_MAX)

    def _finding(self, programme_id: str) -> Batcher[str, ReceiptRecord | None]:
        receipts = key(self._prefix, programme_id, "", "receipts")

        async def send(batch: Sequence[str]) -> list[ReceiptRecord | None]:
            records = await _definite(self._lookups.command("HMGET", receipts, *batch))
            return [read_record(*pair) for pair in zip(batch, records, strict=True)]

        return Batcher(send, batch_max=500, pending_max=5_000)


async def _definite(call: Any) -> Any:
    """Await a call that may be repeated: an unknown outcome is one to retry."""
    try:
        return await call
    except OutcomeUnknownError as error:
        raise PortUnavailableError(str(error)) from error


def _accept_args(item: Registration) -> tuple[str | bytes | int, ...]:
    return (
        item.number,
        item.serial,
        item.receipt,
        item.person.hex(),
        item.content.hex(),
        item.payload,
    )


def _accepted(answer: list[Any]) -> Accepted | Refusal:
    word, receipt, instant_us = answer
    if word == b"accepted":
        return Accepted(receipt.decode(), instant_us)
    return Refusal(word.decode())


def read_record(receipt: str, record: bytes | None) -> ReceiptRecord | None:
    """Read what is kept of a receipt."""
    if record is None:
        return None
    wave_id, _, _, received_at_us, recorded_at_us, state = record.decode().split("|")
    return ReceiptRecord(receipt, wave_id, state, int(received_at_us), int(recorded_at_us))


def read_entry(wave: Wave, item: list[Any], deliveries: int = 1) -> IntakeEntry:
    """Read one entry of a stream."""
    entry_id, flat = item
    values = dict(zip(flat[::2], flat[1::2], strict=True))

    def text(name: bytes) -> str:
        # An entry that cannot be read is handed on as it is: the store refuses it, with a reason.
        return str(values.get(name, b"").decode("ascii", "replace"))

    def number(name: bytes) -> int:
        return int(text(name)) if text(name).isdecimal() else 0

    return IntakeEntry(
        entry_id=entry_id.decode(),
        wave_id=wave.id,
        programme_id=wave.programme_id,
        receipt=text(b"receipt"),
        person=_digest(text(b"person")),
        payload=values.get(b"payload", b""),
        accepted_at_us=number(b"accepted_at_us"),
        deliveries=deliveries,
        number=number(b"number"),
        serial=number(b"serial"),
        content=_digest(text(b"content")),
    )


def _digest(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
