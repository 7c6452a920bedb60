"""The store of a run: where it is, what is in it, and how it goes wrong in a way of its own.

A file has a lock that somebody else may hold, and is away where a switch says so.
"""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from typing import Protocol

from tests.faults import hooks
from tests.faults.history import Row
from tests.faults.processes import Slot
from tests.faults.schedules import Kind

Means = Mapping[Kind, Callable[[], AbstractAsyncContextManager[None]]]


class RunStore(Protocol):
    """What a run needs of its store."""

    url: str  # as the settings say it

    @property
    def means(self) -> Means:
        """How it goes wrong."""

    @property
    def slots(self) -> Sequence[Slot]:
        """Its processes."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Have it there, and nothing of it afterwards."""

    async def rows(self, wave_id: str) -> list[Row]:
        """Return what is recorded."""

    def reached(self) -> Sequence[str]:
        """Return the rare states that it has been through."""


class SqliteFile:
    """The file of a site on one machine."""

    slots: Sequence[Slot] = ()

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "data" / "registrations.db"
        self.url = f"sqlite:///{self._path}"
        self.means = {Kind.STORE_LOCKED: self._locked, Kind.STORE_DOWN: self._down}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        yield

    async def rows(self, wave_id: str) -> list[Row]:
        query = "SELECT receipt, person, payload FROM registrations WHERE wave_id = ?"
        with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)) as db:
            return [
                Row(row[0], row[1], json.loads(row[2])) for row in db.execute(query, (wave_id,))
            ]

    def reached(self) -> Sequence[str]:
        return ()

    @asynccontextmanager
    async def _down(self) -> AsyncIterator[None]:
        with hooks.switched(self._folder / hooks.DOWN):
            yield

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        with closing(sqlite3.connect(self._path, isolation_level=None, timeout=0)) as db:
            while not _took_lock(db):  # noqa: ASYNC110  SQLite tells nobody when a lock is free
                await asyncio.sleep(0.005)
            yield
            db.execute("ROLLBACK")


def _took_lock(db: sqlite3.Connection) -> bool:
    try:
        db.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return False
    return True
