"""May Redis read the forms that wait in it? Not through this: they are sealed before they are sent.

Only delivery opens them, in memory. What does not open (key missing, key wrong, entry changed) is handed
on sealed: every store refuses it with a reason, and after its tries it stands whole in the dead letters.
Idempotency is untouched: the content digest is over the form in clear.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.core import sealing
from gateway.core.programme import Wave
from gateway.core.tickets import Keyring
from gateway.ports import (
    Accepted,
    IntakeEntry,
    IntakePort,
    ReceiptRecord,
    Refusal,
    Registration,
    Settled,
)


class SealedIntake:
    """``IntakePort`` over another. One key sealing, several opening, for each programme."""

    def __init__(
        self,
        inner: IntakePort,
        keys: Mapping[str, Keyring],
        token_bytes: Callable[[int], bytes],
        *,
        encrypt: bool,  # False: what was sealed before is still opened
    ) -> None:
        self._inner = inner
        self._sealing = {
            programme_id: (ring.current.id, AESGCM(ring.current.secret))
            for programme_id, ring in keys.items()
        }
        self._opening = {
            (programme_id, key.id): AESGCM(key.secret)
            for programme_id, ring in keys.items()
            for key in (ring.current, *ring.others)
        }
        self._token_bytes = token_bytes
        self._encrypt = encrypt

    async def accept(self, wave: Wave, registration: Registration) -> Accepted | Refusal:
        """Seal the form, and have it accepted."""
        if self._encrypt:
            registration = registration._replace(payload=self._seal(wave, registration))
        return await self._inner.accept(wave, registration)

    async def find_receipt(self, programme_id: str, receipt: str) -> ReceiptRecord | None:
        """Look one receipt up."""
        return await self._inner.find_receipt(programme_id, receipt)

    async def read(
        self, wave: Wave, consumer: str, count: int, block_ms: int
    ) -> Sequence[IntakeEntry]:
        """Wait up to ``block_ms`` for new entries, opened."""
        return [self._open(e) for e in await self._inner.read(wave, consumer, count, block_ms)]

    async def reclaim(
        self, wave: Wave, consumer: str, count: int, idle_ms: int
    ) -> Sequence[IntakeEntry]:
        """Take over entries that another consumer has held for ``idle_ms``, opened."""
        return [self._open(e) for e in await self._inner.reclaim(wave, consumer, count, idle_ms)]

    async def settle(self, wave: Wave, settled: Sequence[Settled]) -> None:
        """Let the intake go of decided entries."""
        await self._inner.settle(wave, settled)

    async def readmit(self, wave: Wave, entries: Sequence[IntakeEntry]) -> int:
        """Put entries back that the room has lost, sealed as they were."""
        if self._encrypt:
            entries = [self._seal_again(wave, entry) for entry in entries]
        return await self._inner.readmit(wave, entries)

    def _seal_again(self, wave: Wave, entry: IntakeEntry) -> IntakeEntry:
        if sealing.is_sealed(entry.payload):  # its key is missing: it was never opened
            return entry
        return replace(entry, payload=self._seal(wave, entry))

    def _seal(self, wave: Wave, item: Registration | IntakeEntry) -> bytes:
        key_id, key = self._sealing[wave.programme_id]
        nonce = self._token_bytes(sealing.NONCE_BYTES)
        bound = sealing.associated_data(wave.programme_id, wave.id, item.receipt, key_id)
        return sealing.join(key_id, nonce, key.encrypt(nonce, item.payload, bound))

    def _open(self, entry: IntakeEntry) -> IntakeEntry:
        parts = sealing.split(entry.payload)
        key = self._opening.get((entry.programme_id, parts[0])) if parts else None
        if parts is None or key is None:
            return entry
        key_id, nonce, text = parts
        bound = sealing.associated_data(entry.programme_id, entry.wave_id, entry.receipt, key_id)
        try:
            return replace(entry, payload=key.decrypt(nonce, text, bound))
        except InvalidTag:
            return entry
