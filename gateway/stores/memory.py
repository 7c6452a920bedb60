"""A store in memory: for tests and simulations, held to the same suite as the real ones."""

from collections.abc import Callable, Mapping, Sequence

from gateway.ports import IntakeEntry, PortUnavailableError, Recording, RowOutcome
from gateway.stores.rows import check_fences, collision, kept, misfit


class MemoryStore:
    """``StorePort`` that forgets with its process."""

    def __init__(self, now_us: Callable[[], int]) -> None:
        self.is_down = False
        self.rows: dict[str, IntakeEntry] = {}  # by receipt
        self.recorded_at_us: dict[str, int] = {}  # by receipt
        self._persons: set[tuple[str, bytes]] = set()
        self._now_us = now_us
        self._checkpoints: dict[str, str] = {}
        self._fences: dict[str, int] = {}

    async def put(self, rows: Sequence[IntakeEntry]) -> Sequence[RowOutcome]:
        """Record the rows; one outcome per row, in their order."""
        await self.probe()
        check_fences(rows, self._fences)
        return [self._record(row) for row in rows]

    async def fences(self, programme_ids: Sequence[str]) -> Mapping[str, int]:
        """Return the fences of these programmes."""
        await self.probe()
        return {each: self._fences.get(each, 0) for each in programme_ids}

    async def raise_fence(self, programme_id: str) -> int:
        """Have no row committed from now on that was read before."""
        await self.probe()
        fence = max(self._fences.get(programme_id, 0) + 1, self._now_us())
        self._fences[programme_id] = fence
        return fence

    async def save_checkpoints(self, documents: Mapping[str, str]) -> None:
        """Keep the latest checkpoint of each wave."""
        await self.probe()
        self._checkpoints |= documents

    async def checkpoints(self) -> Mapping[str, str]:
        """Return what was kept, by wave id."""
        await self.probe()
        return dict(self._checkpoints)

    async def recorded_rows(
        self, programme_id: str, after: str, count: int
    ) -> Sequence[tuple[IntakeEntry, int]]:
        """Return rows behind receipt ``after``, each with its recorded_at_us."""
        await self.probe()
        found = sorted(r.receipt for r in self.rows.values() if r.programme_id == programme_id)
        behind = [receipt for receipt in found if receipt > after][:count]
        return [(self.rows[receipt], self.recorded_at_us[receipt]) for receipt in behind]

    async def standing(self, receipts: Sequence[str]) -> set[str]:
        """Return which of these receipts have a row."""
        await self.probe()
        return self.rows.keys() & set(receipts)

    async def probe(self) -> bool:
        """Raise while the store is down."""
        if self.is_down:
            raise PortUnavailableError("the store is down")
        return True

    async def close(self) -> None:
        """Be down from here on."""
        self.is_down = True

    def _record(self, row: IntakeEntry) -> RowOutcome:
        reason = misfit(row)
        if reason:
            return RowOutcome(row.receipt, Recording.REJECTED, reason)
        standing = self.rows.get(row.receipt)
        if standing or (row.programme_id, row.person) in self._persons:
            return collision(row, kept(standing) if standing else None)
        self.rows[row.receipt] = row
        self.recorded_at_us[row.receipt] = self._now_us()
        self._persons.add((row.programme_id, row.person))
        return RowOutcome(row.receipt, Recording.RECORDED)
