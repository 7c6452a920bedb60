"""A store in front of a store, that fails as it is told to and notes what it was offered."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.ports import IntakeEntry, PortUnavailableError, Recording, RowOutcome, StorePort
from tests.adapters.faults import Fault, no_fault, suffering


@dataclass
class FaultyStore:
    """``StorePort``."""

    inner: StorePort
    fault: Callable[[], Fault] = no_fault
    poison: set[str] = field(default_factory=set)  # receipts whose row raises a foreign error
    unanswered: Callable[[IntakeEntry], bool] = lambda _: (
        False
    )  # rows whose batch fails as in an outage
    is_probe_hollow: bool = False  # it answers whatever becomes of rows, as an empty batch does
    forgets: Callable[[IntakeEntry], bool] = lambda _: False  # rows it says it has, and has not
    offers: list[tuple[float, int]] = field(default_factory=list)  # when, how many rows

    async def put(self, rows: Sequence[IntakeEntry]) -> Sequence[RowOutcome]:
        self.offers.append((asyncio.get_running_loop().time(), len(rows)))
        async with suffering(self.fault):
            spoilt = [row for row in rows if row.receipt in self.poison]
            if spoilt:
                raise KeyError(spoilt[0].payload)
            if any(map(self.unanswered, rows)):
                raise PortUnavailableError("no answer")
            kept = [row for row in rows if not self.forgets(row)]
            outcomes = await self.inner.put(kept)
            if len(kept) == len(rows):
                return outcomes
            told = {outcome.receipt: outcome for outcome in outcomes}
            lie = Recording.RECORDED
            return [told.get(row.receipt, RowOutcome(row.receipt, lie)) for row in rows]

    async def standing(self, receipts: Sequence[str]) -> set[str]:
        async with suffering(self.fault):
            return await self.inner.standing(receipts)

    async def fences(self, programme_ids: Sequence[str]) -> Mapping[str, int]:
        async with suffering(self.fault):
            return await self.inner.fences(programme_ids)

    async def probe(self) -> bool:
        return await self.inner.probe() and not self.is_probe_hollow

    async def close(self) -> None:
        await self.inner.close()
