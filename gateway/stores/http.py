"""The store is a registration service that exists already, spoken to by HTTP.

``http_contract`` says what is sent and what the answers mean, ``outbound`` where we may call, ``ledger``
what is kept of it here. A batch that is refused as a whole is halved until the row at fault stands alone,
one that is answered at too great a length until the answers fit. A service that names a time is left alone
until then.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from gateway.ports import IntakeEntry, PortUnavailableError, Recording, RowOutcome
from gateway.stores import http_contract as contract
from gateway.stores.ledger import Ledger
from gateway.stores.outbound import Outbound, Reply, ReplyTooLargeError
from gateway.stores.rows import put_fitting


class HttpStore:
    """``StorePort`` and ``ArchivePort`` over one service and a ledger."""

    def __init__(
        self, service: Outbound, ledger: Ledger, *, singly: bool, deadline_s: float
    ) -> None:
        self._service, self._ledger = service, ledger
        self._singly = singly
        self._deadline_s = deadline_s  # of a whole batch
        self._quiet_until_s = 0.0

    async def put(self, rows: Sequence[IntakeEntry]) -> Sequence[RowOutcome]:
        """Send the rows, and write down what the service has recorded; one outcome per row.

        What is under way while a recovery counts is not called back: it counts by being put back.
        """
        await self._ledger.check(rows)
        try:
            async with asyncio.timeout(self._deadline_s):
                outcomes = await put_fitting(rows, self._each if self._singly else self._batch)
        except TimeoutError:
            raise PortUnavailableError("store: no answer within the deadline") from None
        recorded = [
            row
            for row, outcome in zip(rows, outcomes, strict=True)
            if outcome.recording is Recording.RECORDED
        ]
        if recorded:
            await self._ledger.note(recorded)
        return outcomes

    async def fences(self, programme_ids: Sequence[str]) -> Mapping[str, int]:
        """Return the fences of these programmes."""
        return await self._ledger.fences(programme_ids)

    async def raise_fence(self, programme_id: str) -> int:
        """Have no row sent from now on that was read before."""
        return await self._ledger.raise_fence(programme_id)

    async def save_checkpoints(self, documents: Mapping[str, str]) -> None:
        """Keep the latest checkpoint of each wave."""
        await self._ledger.save_checkpoints(documents)

    async def checkpoints(self) -> Mapping[str, str]:
        """Return what was kept, by wave id."""
        return await self._ledger.checkpoints()

    async def recorded_rows(
        self, programme_id: str, after: str, count: int
    ) -> Sequence[tuple[IntakeEntry, int]]:
        """Return rows behind receipt ``after``, without their forms, each with its recorded_at_us."""
        return await self._ledger.recorded_rows(programme_id, after, count)

    async def standing(self, receipts: Sequence[str]) -> set[str]:
        """Return which of these receipts the ledger has: the service itself cannot be asked."""
        return await self._ledger.standing(receipts)

    async def probe(self) -> bool:
        """See that the service answers, as far as can be seen without a registration.

        In batches an empty one is sent; singly it is asked by GET, and "that is not for GET" will do.
        """
        await self._ledger.probe()
        if not self._singly:
            await self._batch([])
            return False
        reply = await self._call("GET")
        if not (200 <= reply.status < 300 or reply.status == 405):
            raise contract.unavailable(reply)
        return False

    async def close(self) -> None:
        """Close connections and ledger."""
        await self._service.close()
        await self._ledger.close()

    async def _batch(self, rows: Sequence[IntakeEntry]) -> list[RowOutcome]:
        try:
            reply = await self._call("POST", contract.batch(rows), contract.headers(rows))
        except ReplyTooLargeError:
            if len(rows) < 2:
                raise
        else:
            if not (rows and contract.is_about_the_rows(reply.status)):
                return contract.outcomes(rows, reply)
            if len(rows) == 1:
                return [contract.refused(rows[0], reply)]
        middle = len(rows) // 2
        return await self._batch(rows[:middle]) + await self._batch(rows[middle:])

    async def _each(self, rows: Sequence[IntakeEntry]) -> list[RowOutcome]:
        """Send the rows one by one, as many at once as there are connections, one person's in turn."""
        by_person: defaultdict[tuple[str, bytes], list[int]] = defaultdict(list)
        for place, row in enumerate(rows):
            by_person[row.programme_id, row.person].append(place)
        outcomes: dict[int, RowOutcome] = {}

        async def send(places: Sequence[int]) -> None:
            for place in places:
                outcomes[place] = await self._one(rows[place])

        sending = [asyncio.ensure_future(send(places)) for places in by_person.values()]
        try:
            await asyncio.gather(*sending)
        finally:  # after one failure the others are of no use
            for task in sending:
                task.cancel()
        return [outcomes[place] for place in range(len(rows))]

    async def _one(self, row: IntakeEntry) -> RowOutcome:
        body = msgspec.json.encode(contract.row(row))
        return contract.outcome(
            row, await self._call("POST", body, contract.headers([row], singly=True))
        )

    async def _call(
        self, method: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        clock = asyncio.get_running_loop().time
        quiet_s = self._quiet_until_s - clock()
        if quiet_s > 0:
            raise PortUnavailableError("store: it asked us to wait", quiet_s)
        reply = await self._service.call(method, body, headers)
        if reply.retry_after_s:
            self._quiet_until_s = clock() + reply.retry_after_s
        return reply
