"""A store to measure, and the bare loop beside it: the same driver, disk, statement and batches."""

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    closing,
    contextmanager,
)
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg

from gateway.ports import IntakeEntry, StorePort
from gateway.stores import postgres, sqlite
from tests.postgres_server import OwnPostgres

BATCH = 500


@dataclass(frozen=True, slots=True)
class Bench:
    """One kind of store, emptied for each run."""

    store: Callable[[], AbstractAsyncContextManager[StorePort]]
    bare: Callable[[Sequence[IntakeEntry]], Awaitable[None]]  # the driver in a loop


def now_us() -> int:
    return time.time_ns() // 1_000


def _batches(entries: Sequence[IntakeEntry]) -> Iterator[Sequence[IntakeEntry]]:
    return (entries[first : first + BATCH] for first in range(0, len(entries), BATCH))


@contextmanager
def _sqlite() -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="gw-bench-") as name:
        serial = count()

        @asynccontextmanager
        async def store() -> AsyncIterator[StorePort]:
            opened = sqlite.SqliteStore(Path(name, f"{next(serial)}.db"), now_us=now_us)
            await opened.probe()
            yield opened
            await opened.close()

        async def bare(entries: Sequence[IntakeEntry]) -> None:
            with closing(
                sqlite3.connect(Path(name, f"{next(serial)}.db"), isolation_level=None)
            ) as db:
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = FULL")
                db.execute(sqlite.REGISTRATIONS)
                for batch in _batches(entries):
                    db.execute("BEGIN IMMEDIATE")
                    db.executemany(sqlite.INSERT, map(_sqlite_row, batch))
                    db.execute("COMMIT")

        yield Bench(store, bare)


def _sqlite_row(row: IntakeEntry) -> tuple[Any, ...]:
    names = row.receipt, row.wave_id, row.programme_id, row.person, row.payload.decode()
    return *names, row.accepted_at_us, now_us(), row.number, row.serial


@contextmanager
def _postgresql() -> Iterator[Bench]:
    server = OwnPostgres()
    server.start("fsync=on")
    url = server.url("postgres")

    @asynccontextmanager
    async def store() -> AsyncIterator[StorePort]:
        opened = postgres.PostgresStore(url, now_us=now_us, deadline_s=10.0)
        await opened.probe()
        yield opened
        await opened.close()
        await _emptied()

    async def _emptied() -> None:
        db = await asyncpg.connect(url)
        await db.execute("TRUNCATE registrations")
        await db.close()

    async def bare(entries: Sequence[IntakeEntry]) -> None:
        db = await asyncpg.connect(url)
        for batch in _batches(entries):
            arrays = zip(*map(postgres._values, batch), strict=True)  # noqa: SLF001  the same columns
            async with db.transaction():
                await db.fetch(postgres.INSERT, *arrays, now_us())
        await db.execute("TRUNCATE registrations")
        await db.close()

    async def prepared() -> None:
        async with store():
            pass

    try:
        asyncio.run(prepared())
        yield Bench(store, bare)
    finally:
        server.remove()


BENCHES: Mapping[str, Callable[[], AbstractContextManager[Bench]]] = {
    "SQLite": _sqlite,
    "PostgreSQL": _postgresql,
}
