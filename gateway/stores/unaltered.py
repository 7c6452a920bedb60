"""Is this the form that was acknowledged? Whatever the store, none else is put into it.

A keyed digest of the form travels with every entry. Where it does not fit, the form was changed on its
way, or is somebody else's: the row is refused with a reason, and stands whole in the dead letters after
its tries.
"""

import hmac
from collections.abc import Callable, Mapping, Sequence

from gateway.core.sealing import is_sealed
from gateway.ports import IntakeEntry, RowOutcome, StorePort
from gateway.stores.rows import put_fitting


class UnalteredStore:
    """``StorePort`` over another."""

    def __init__(self, inner: StorePort, content: Callable[[bytes], bytes]) -> None:
        self._inner = inner
        self._content = content  # keyed digest of a form, 16 bytes

    async def put(self, rows: Sequence[IntakeEntry]) -> Sequence[RowOutcome]:
        """Commit the rows whose forms are as they were accepted; one outcome per row, in their order."""
        return await put_fitting(rows, self._inner.put, self._altered)

    async def fences(self, programme_ids: Sequence[str]) -> Mapping[str, int]:
        """Return the fences of these programmes."""
        return await self._inner.fences(programme_ids)

    async def standing(self, receipts: Sequence[str]) -> set[str]:
        """Return which of these receipts have a row."""
        return await self._inner.standing(receipts)

    async def probe(self) -> bool:
        """Have the store show that it could write a row."""
        return await self._inner.probe()

    async def close(self) -> None:
        """Close the store."""
        await self._inner.close()

    def _altered(self, row: IntakeEntry) -> str:
        if is_sealed(
            row.payload
        ):  # it could not be opened: the store refuses it, with its own reason
            return ""
        is_same = hmac.compare_digest(self._content(row.payload), row.content)
        return "" if is_same else "content-altered"
