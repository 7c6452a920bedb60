"""Every store with the hands of its test: how it goes down, stalls, and loses an answer after the commit."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import asyncpg
import pytest

from gateway.ports import ArchivePort, IntakeEntry, PortUnavailableError, Recording, StorePort
from gateway.stores.http import HttpStore
from gateway.stores.ledger import Ledger
from gateway.stores.memory import MemoryStore
from gateway.stores.outbound import Outbound
from gateway.stores.postgres import PostgresStore
from gateway.stores.sqlite import SqliteStore
from tests.adapters.faults import Fault
from tests.adapters.registration_service import Act, RegistrationService, serving
from tests.adapters.store import FaultyStore
from tests.faults_proxy import relay
from tests.postgres_server import OwnPostgres

RECORDED, DUPLICATE, REJECTED = Recording.RECORDED, Recording.DUPLICATE, Recording.REJECTED
COLUMNS = "receipt, wave_id, programme_id, person, payload, accepted_at_us"

Row = tuple[str, str, str, bytes, bytes, int]


def row(serial: int, person: int | None = None, **changes: Any) -> IntakeEntry:
    entry = IntakeEntry(
        entry_id=f"{serial}-0",
        wave_id="prakerja-1",
        programme_id="prakerja",
        receipt=f"R{serial}",
        person=(serial if person is None else person).to_bytes(32, "big"),
        payload='{"name":"Siti é \\u0000 🙂","serial":%d}'.encode() % serial,
        accepted_at_us=1_586_606_400_000_000 + serial,
        number=serial,
        serial=1,
    )
    return replace(entry, **changes)


def columns(entry: IntakeEntry) -> Row:
    return (
        *(entry.receipt, entry.wave_id, entry.programme_id),
        *(entry.person, entry.payload, entry.accepted_at_us),
    )


def digest(form: bytes) -> bytes:
    return form[-16:].rjust(16, b"-")


async def recordings(store: StorePort, *rows: IntakeEntry) -> list[Recording]:
    outcomes = await store.put(rows)
    assert [outcome.receipt for outcome in outcomes] == [entry.receipt for entry in rows]
    assert all(bool(out.reason) == (out.recording is REJECTED) for out in outcomes)
    return [outcome.recording for outcome in outcomes]


async def persist(store: StorePort, *rows: IntakeEntry) -> set[Recording]:
    """Send the batch again while the store is down, as delivery does."""
    for _ in range(20):
        with contextlib.suppress(PortUnavailableError):
            return set(await recordings(store, *rows))
    raise AssertionError("the store stayed down")


class Store(StorePort, ArchivePort, Protocol):
    """Both."""


@dataclass
class Bench:
    """One store and the hands of its test."""

    store: StorePort
    archive: ArchivePort
    rows: Callable[[], Awaitable[Mapping[str, Row]]]  # by receipt
    down: Callable[[], AbstractContextManager[None]]
    stalled: Callable[[], AbstractContextManager[None]]  # calls are taken, and not answered
    cut: Callable[[], None]  # the next put commits, and its answer is lost
    recorded_at_us: Callable[[str], Awaitable[int]]
    keeps_forms: bool = True


def rows_in_memory(store: MemoryStore) -> dict[str, Row]:
    return {receipt: columns(entry) for receipt, entry in store.rows.items()}


@asynccontextmanager
async def memory_bench(*_: Any) -> AsyncIterator[Bench]:
    inner = MemoryStore(count(1).__next__)
    faults: list[Fault] = []

    @contextmanager
    def down() -> Iterator[None]:
        inner.is_down = True
        yield
        inner.is_down = False

    @contextmanager
    def stalled() -> Iterator[None]:
        faults.append(Fault.HANG_BEFORE)
        yield
        faults.clear()

    async def rows() -> dict[str, Row]:
        return rows_in_memory(inner)

    async def recorded_at_us(receipt: str) -> int:
        return inner.recorded_at_us[receipt]

    yield Bench(
        FaultyStore(inner, lambda: faults.pop() if faults else Fault.NONE),
        inner,
        rows,
        down,
        stalled,
        lambda: faults.append(Fault.AFTER),
        recorded_at_us,
    )


class CutConnection(sqlite3.Connection):
    """Commits, then fails, once."""

    cuts = 0

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        cursor = super().execute(sql, *args)
        if sql == "COMMIT" and CutConnection.cuts:
            CutConnection.cuts -= 1
            raise sqlite3.OperationalError("disk I/O error")
        return cursor


@contextmanager
def other_connection(path: Path) -> Iterator[sqlite3.Connection]:
    db = sqlite3.Connection(path, isolation_level=None)
    try:
        yield db
    finally:
        db.close()


def rows_of(path: Path) -> dict[str, Row]:
    with other_connection(path) as db:
        found = db.execute(f"SELECT {COLUMNS} FROM registrations").fetchall()
    return {line[0]: (*line[:4], line[4].encode(), line[5]) for line in found}


@asynccontextmanager
async def sqlite_bench(folder: Path, patch: pytest.MonkeyPatch, *_: Any) -> AsyncIterator[Bench]:
    path = folder / "data" / "registrations.db"
    patch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=CutConnection))
    store = SqliteStore(path, now_us=count(1).__next__, busy_timeout_ms=50)

    @contextmanager
    def down() -> Iterator[None]:
        path.parent.mkdir(exist_ok=True)
        with other_connection(path) as db:
            db.execute("BEGIN EXCLUSIVE")
            yield
            db.execute("ROLLBACK")

    async def rows() -> dict[str, Row]:
        return rows_of(path)

    async def recorded_at_us(receipt: str) -> int:
        with other_connection(path) as db:
            query = "SELECT recorded_at_us FROM registrations WHERE receipt = ?"
            instant_us: int = db.execute(query, (receipt,)).fetchone()[0]
        return instant_us

    def cut() -> None:
        CutConnection.cuts = 1

    yield Bench(store, store, rows, down, down, cut, recorded_at_us)
    CutConnection.cuts = 0


_databases = count(1)


@asynccontextmanager
async def a_database(server: OwnPostgres) -> AsyncIterator[str]:
    """Yield the name of a new, empty one."""
    name = f"d{next(_databases)}"
    await _administer(server, f"CREATE DATABASE {name}")
    try:
        yield name
    finally:
        await _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


async def _administer(server: OwnPostgres, statement: str) -> None:
    db = await asyncpg.connect(server.url("postgres"))
    try:
        await db.execute(statement)
    finally:
        await db.close()


async def rows_of_database(url: str, column: str = COLUMNS) -> list[Any]:
    db = await asyncpg.connect(url)
    try:
        return list(await db.fetch(f"SELECT {column} FROM registrations"))
    finally:
        await db.close()


@asynccontextmanager
async def postgres_bench(
    folder: Path, _patch: pytest.MonkeyPatch, server: Callable[[], OwnPostgres]
) -> AsyncIterator[Bench]:
    behind = server()
    sockets = folder / ".s.PGSQL.5432", behind.folder / f".s.PGSQL.{behind.port}"
    async with a_database(behind) as database, relay(*sockets) as faults:
        url = f"postgresql://owner@/{database}?host={folder}&port=5432"
        store = PostgresStore(url, now_us=count(1).__next__, deadline_s=10.0)

        @contextmanager
        def stalled() -> Iterator[None]:
            faults.hang = True
            yield
            faults.hang = False

        async def rows() -> dict[str, Row]:
            found = await rows_of_database(behind.url(database))
            return {line[0]: (*line[:4], line[4].encode(), line[5]) for line in found}

        async def recorded_at_us(receipt: str) -> int:
            found = await rows_of_database(behind.url(database), "receipt, recorded_at_us")
            instants: dict[str, int] = dict(map(tuple, found))
            return instants[receipt]

        def cut() -> None:
            faults.cut_reply_to = b"COMMIT;"

        yield Bench(store, store, rows, faults.outage, stalled, cut, recorded_at_us)
        await store.close()


@asynccontextmanager
async def http_bench(
    folder: Path, _patch: pytest.MonkeyPatch, *_: Any, singly: bool = False
) -> AsyncIterator[Bench]:
    async with serving(RegistrationService()) as service:
        store = http_store(service, folder, singly=singly)

        @contextmanager
        def acting(act: Act) -> Iterator[None]:
            service.always = act
            yield
            service.always = Act.OK
            service.released.set()

        async def rows() -> dict[str, Row]:
            return rows_in_memory(service.rows)

        async def recorded_at_us(receipt: str) -> int:
            return service.rows.recorded_at_us[receipt]

        yield Bench(
            store,
            store,
            rows,
            partial(acting, Act.FAIL_BEFORE),
            partial(acting, Act.HANG),
            lambda: service.script.append(Act.FAIL_AFTER),
            recorded_at_us,
            keeps_forms=False,
        )
        await store.close()


def http_store(
    service: RegistrationService,
    folder: Path,
    *,
    singly: bool = False,
    deadline_s: float = 10.0,
    credential: str = "",
) -> HttpStore:
    return HttpStore(
        Outbound(service.url, deadline_s=deadline_s, credential=credential),
        Ledger(folder / "ledger.db", now_us=count(1).__next__, content=digest),
        singly=singly,
        deadline_s=deadline_s,
    )


BENCHES: Mapping[str, Callable[..., contextlib.AbstractAsyncContextManager[Bench]]] = {
    "memory": memory_bench,
    "sqlite": sqlite_bench,
    "postgres": postgres_bench,
    "http": http_bench,
    "http-singly": partial(http_bench, singly=True),
}


async def cancelled_after(work: Awaitable[Any], delay_s: float) -> None:
    """Begin something and break it off."""
    task = asyncio.ensure_future(work)
    await asyncio.sleep(delay_s)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
