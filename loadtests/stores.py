"""Where a run's registrations end up: a PostgreSQL of its own where one is installed, or a SQLite file.

Both can be read behind the gateway's back, and held up by whoever holds their lock.
"""

import asyncio
import json
import sqlite3
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from loadtests.evidence import Row
from loadtests.journal import read_events

COLUMNS = "receipt, person, payload, recorded_at_us"
BUSY_S_MAX = 5.0


class RunStore(Protocol):
    """A store, from outside."""

    name: str
    url: str

    def rows(self, wave: str) -> Sequence[Row]:
        """Return the wave's registrations, read without disturbing anybody."""

    def held(self) -> AbstractContextManager[None]:
        """Hold the lock that writers need."""

    @property
    def pid(self) -> int | None:
        """Its server's process, where it has one."""


class SqliteFile:
    """A file in the gateway's data folder."""

    name = "SQLite"
    pid = None

    def __init__(self, path: Path) -> None:
        self.url = f"sqlite:///{path}"
        self._path = path

    def rows(self, wave: str) -> Sequence[Row]:
        if not self._path.exists():
            return []
        query = f"SELECT {COLUMNS} FROM registrations WHERE wave_id = ?"  # noqa: S608  names only
        with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)) as db:
            return [_row(*row) for row in db.execute(query, (wave,))]

    @contextmanager
    def held(self) -> Iterator[None]:
        with closing(sqlite3.connect(self._path, timeout=BUSY_S_MAX, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            yield
            db.execute("ROLLBACK")


class Postgres:
    """A database."""

    name = "PostgreSQL"

    def __init__(self, url: str, pid: int | None = None) -> None:
        self.url, self.pid = url, pid

    def rows(self, wave: str) -> Sequence[Row]:
        query = f"SELECT {COLUMNS} FROM registrations WHERE wave_id = $1"  # noqa: S608  names only

        async def fetch(db: Any) -> Sequence[Row]:
            return [_row(*row) for row in await db.fetch(query, wave)]

        return asyncio.run(self._with(fetch))

    @contextmanager
    def held(self) -> Iterator[None]:
        with asyncio.Runner() as runner:
            db = runner.run(self._connect())
            runner.run(db.execute("BEGIN"))
            runner.run(db.execute("LOCK TABLE registrations IN EXCLUSIVE MODE"))
            yield
            runner.run(db.execute("ROLLBACK"))
            runner.run(db.close())

    async def _connect(self) -> Any:
        import asyncpg  # noqa: PLC0415  an extra

        return await asyncpg.connect(self.url)

    async def _with(self, use: Any) -> Any:
        db = await self._connect()
        try:
            return await use(db)
        finally:
            await db.close()


class Elsewhere:
    """The store of a staging system, as its applicants see it: each receipt says what became of it."""

    name = "by its receipts"
    url = ""
    pid = None

    def __init__(self, host: str, folder: Path) -> None:
        self._host, self._folder = host.rstrip("/"), folder
        self._rows: dict[str, Row] = {}  # recorded: they stay so

    def rows(self, wave: str) -> Sequence[Row]:
        """Ask for every receipt that was handed out; one that is not recorded is no row."""
        del wave
        for event in read_events(self._folder):
            if event["event"] == "receipt" and event["receipt"] not in self._rows:
                self._look_up(event)
        return list(self._rows.values())

    def _look_up(self, event: Mapping[str, Any]) -> None:
        url = f"{self._host}/v1/registrations/{event['receipt']}"
        asked = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310  --host
        try:
            with urllib.request.urlopen(asked, timeout=BUSY_S_MAX) as answer:  # noqa: S310
                told = json.load(answer)
        except OSError:
            return
        if told["state"] == "recorded":
            at_us = int(datetime.fromisoformat(told["recorded_at"]).timestamp() * 1e6)
            person = str(event["person"]).encode()
            self._rows[event["receipt"]] = Row(event["receipt"], person, event["form"], at_us)

    @contextmanager
    def held(self) -> Iterator[None]:
        raise NotImplementedError("its lock is not ours")


def _row(receipt: str, person: bytes, payload: str, recorded_at_us: int) -> Row:
    return Row(receipt, person, json.loads(payload), recorded_at_us)


@contextmanager
def store_of(kind: str, data: Path) -> Iterator[RunStore]:
    """Run a store; ``auto`` is PostgreSQL where one can be run, and says so where none can."""
    server = None if kind == "sqlite" else _own_postgres(needed=kind != "auto")
    if server is None:
        yield SqliteFile(data / "registrations.db")
        return
    try:
        assert server.process is not None
        yield Postgres(server.url("postgres"), server.process.pid)
    finally:
        server.remove()


def _own_postgres(*, needed: bool) -> Any:
    try:
        # What it needs may be missing, or not run here.
        from tests.postgres_server import OwnPostgres  # noqa: PLC0415

        server = OwnPostgres()
        server.start("fsync=on")
    except (ImportError, AssertionError, OSError, KeyError) as error:
        if needed:
            raise
        print(
            f"  no PostgreSQL can be run here, so the store is SQLite: {error!r:.200}", flush=True
        )
        return None
    return server
