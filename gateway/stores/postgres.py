"""The store in PostgreSQL: one round of batched statements per transaction, one outcome per row.

A batch is one ``INSERT ... SELECT unnest``; where a row breaks a constraint of the owner's, the batch is
halved inside its transaction until that row stands alone. Every statement ends by the call's deadline, on
the server as well as here. What the driver says is told by its name and SQLSTATE only: its
texts quote rows.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from asyncpg import PostgresError

from gateway.ports import IntakeEntry, PortUnavailableError, Recording, RowOutcome
from gateway.stores.postgres_pool import Connection, PostgresPool
from gateway.stores.rows import (
    PROBE,
    PROBES,
    PROBES_ANSWERED,
    check_fences,
    collision,
    put_fitting,
)

COLUMNS = "receipt, wave_id, programme_id, person, payload, accepted_at_us, number, serial"
KINDS = ("text", "text", "text", "bytea", "text", "bigint", "bigint", "bigint")
ARRAYS = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(KINDS, 1))
# In the order of the batch: of two rows of one person the first is recorded, in every store.
INSERT = f"""
INSERT INTO registrations ({COLUMNS}, recorded_at_us)
SELECT receipt, wave_id, programme_id, person, payload::json, accepted_at_us, number, serial, $9
FROM unnest({ARRAYS}) WITH ORDINALITY AS batch ({COLUMNS}, place) ORDER BY place
ON CONFLICT DO NOTHING RETURNING receipt
"""  # noqa: S608  column names only
STANDING_OF = "SELECT receipt FROM registrations WHERE receipt = ANY($1)"
STANDING = """
SELECT receipt, wave_id, programme_id, person, payload FROM registrations WHERE receipt = ANY ($1)
"""
PERSONS = """
SELECT programme_id, person FROM registrations JOIN unnest($1::text[], $2::bytea[])
AS batch (programme_id, person) USING (programme_id, person)
"""
RECORDED = f"""
SELECT {COLUMNS}, recorded_at_us FROM registrations
WHERE programme_id = $1 AND receipt > $2 ORDER BY receipt LIMIT $3
"""  # noqa: S608  column names only
SAVE = """
INSERT INTO checkpoints VALUES ($1, $2)
ON CONFLICT (wave_id) DO UPDATE SET document = excluded.document
"""
# Shared with other batches, and held until the commit: whoever raises a fence waits for those on their way.
FENCES = "SELECT programme_id, fence FROM fences WHERE programme_id = ANY ($1) ORDER BY 1 FOR SHARE"
FIRST_FENCES = "INSERT INTO fences SELECT unnest($1::text[]), 0 ON CONFLICT DO NOTHING"
KEPT_FENCES = "SELECT programme_id, fence FROM fences WHERE programme_id = ANY ($1)"
RAISE = """
INSERT INTO fences VALUES ($1, $2)
ON CONFLICT (programme_id) DO UPDATE SET fence = greatest(fences.fence + 1, excluded.fence) RETURNING fence
"""
MAY_DELETE = "SELECT has_table_privilege('registrations', 'DELETE')"
MAY_SAVE = """
SELECT bool_and(has_table_privilege(name, 'UPDATE')) FROM unnest('{checkpoints,fences}'::text[]) AS name
"""

# Classes of SQLSTATE that speak of the server, of our rights there, or of the hour. All others are the
# row's: a constraint, a value, a view's check, or a trigger that says no, in a word of its owner's or not.
STORE_CLASSES = ("08", "0A", "25", "26", "28", "3D", "40", "42", "53", "55", "57", "58", "F0", "XX")


class PostgresStore:
    """``StorePort`` and ``ArchivePort`` on one database."""

    def __init__(
        self, url: str, *, now_us: Callable[[], int], deadline_s: float, password: str = ""
    ) -> None:
        self._now_us = now_us
        self._pool = PostgresPool(url, deadline_s=deadline_s, password=password)

    async def put(self, rows: Sequence[IntakeEntry]) -> Sequence[RowOutcome]:
        """Commit the rows in one transaction; one outcome per row, in their order."""
        async with self._pool.transaction() as db:
            return await put_fitting(rows, partial(self._put, db))

    async def fences(self, programme_ids: Sequence[str]) -> Mapping[str, int]:
        """Return the fences of these programmes."""
        async with self._pool.transaction() as db:
            found = dict(await db.fetch(KEPT_FENCES, list(programme_ids)))
        return {each: found.get(each, 0) for each in programme_ids}

    async def raise_fence(self, programme_id: str) -> int:
        """Have no row committed from now on that was read before."""
        async with self._pool.transaction() as db:
            return int(await db.fetchval(RAISE, programme_id, self._now_us()))

    async def save_checkpoints(self, documents: Mapping[str, str]) -> None:
        """Keep the latest checkpoint of each wave."""
        async with self._pool.transaction() as db:
            await db.executemany(SAVE, sorted(documents.items()))

    async def checkpoints(self) -> Mapping[str, str]:
        """Return what was kept, by wave id."""
        async with self._pool.transaction() as db:
            return dict(await db.fetch("SELECT wave_id, document FROM checkpoints"))

    async def recorded_rows(
        self, programme_id: str, after: str, count: int
    ) -> Sequence[tuple[IntakeEntry, int]]:
        """Return rows behind receipt ``after``, each with its recorded_at_us."""
        async with self._pool.transaction() as db:
            return [_entry(row) for row in await db.fetch(RECORDED, programme_id, after, count)]

    async def standing(self, receipts: Sequence[str]) -> set[str]:
        """Return which of these receipts have a row."""
        async with self._pool.transaction() as db:
            return {row[0] for row in await db.fetch(STANDING_OF, list(receipts))}

    async def probe(self) -> bool:
        """Write a row and remove it, and see that a second row of its person is not taken.

        A role that may not remove rows takes the whole transaction back instead.
        """
        async with self._pool.transaction() as db:
            if not await db.fetchval(MAY_SAVE):
                raise PortUnavailableError(
                    "PostgreSQL: the role may not keep checkpoints and fences"
                )
            taking_back = db.transaction()
            await taking_back.start()
            outcomes = [(await self._record(db, [row]))[0].recording for row in PROBES]
            if outcomes != PROBES_ANSWERED:
                raise PortUnavailableError("PostgreSQL: does not keep registrations apart")
            if await db.fetchval(MAY_DELETE):
                await db.execute("DELETE FROM registrations WHERE receipt = $1", PROBE.receipt)
                await taking_back.commit()
            else:
                await taking_back.rollback()
        return True

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    async def _put(self, db: Connection, rows: Sequence[IntakeEntry]) -> list[RowOutcome]:
        programmes = sorted({row.programme_id for row in rows})
        fences = dict(await db.fetch(FENCES, programmes))
        if len(fences) < len(programmes):  # a line that is not there cannot be held
            await db.execute(FIRST_FENCES, programmes)
            fences = dict(await db.fetch(FENCES, programmes))
        check_fences(rows, fences)
        return await self._record(db, rows)

    async def _record(self, db: Connection, rows: Sequence[IntakeEntry]) -> list[RowOutcome]:
        """Insert rows, or halve them until the one that is refused stands alone."""
        try:
            async with db.transaction():  # a savepoint
                return await self._insert(db, rows)
        except PostgresError as error:
            if (error.sqlstate or "XX")[:2] in STORE_CLASSES:
                raise
            if len(rows) == 1:
                return [RowOutcome(rows[0].receipt, Recording.REJECTED, "constraint")]
        middle = len(rows) // 2
        return await self._record(db, rows[:middle]) + await self._record(db, rows[middle:])

    async def _insert(self, db: Connection, rows: Sequence[IntakeEntry]) -> list[RowOutcome]:
        arrays = zip(*map(_values, rows), strict=True)
        inserted = await db.fetch(INSERT, *arrays, self._now_us())
        if len(inserted) == len(rows):
            return [RowOutcome(row.receipt, Recording.RECORDED) for row in rows]
        receipts = await db.fetch(STANDING, [row.receipt for row in rows])
        standing = {row[0]: (*row[1:4], row[4].encode()) for row in receipts}
        persons = await db.fetch(
            PERSONS, [row.programme_id for row in rows], [row.person for row in rows]
        )
        persons = set(map(tuple, persons))
        return [
            collision(row, standing.get(row.receipt))
            if row.receipt in standing or (row.programme_id, row.person) in persons
            else RowOutcome(row.receipt, Recording.REJECTED, "not-kept")  # a trigger of the owner's
            for row in rows
        ]


def _values(row: IntakeEntry) -> tuple[Any, ...]:
    names = row.receipt, row.wave_id, row.programme_id
    return *names, row.person, row.payload.decode(), row.accepted_at_us, row.number, row.serial


def _entry(row: Any) -> tuple[IntakeEntry, int]:
    receipt, wave_id, programme_id, person, payload, accepted_at_us, number, serial, at_us = row
    entry = IntakeEntry(
        "", wave_id, programme_id, receipt, person, payload.encode(), accepted_at_us,
        number=number, serial=serial,
    )  # fmt: skip
    return entry, at_us
