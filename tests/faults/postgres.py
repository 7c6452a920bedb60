"""A run's own PostgreSQL: a real server that is killed, stopped, shut in the middle of it, or locked.

Each end is an immediate one: what was committed comes back from its log alone. The operating system goes on,
so the server's own fsync stays off.
"""

import asyncio
import json
import shutil
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from tests.faults.history import Row
from tests.faults.processes import Handle, Slot, send, spawn
from tests.faults.schedules import Kind
from tests.postgres_server import OwnPostgres
from tests.support import wait_until

ANSWER_S_MAX = 1.0
READY_S_MAX = 30.0
ROWS = "SELECT receipt, person, payload FROM registrations WHERE wave_id = $1"
RECOVERED = "not properly shut down; automatic recovery"
Unreachable = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)


def why_not() -> str:
    """Say why no server runs on this machine; empty where one does."""
    try:
        server = OwnPostgres()
        server.start()
    except (AssertionError, OSError) as error:
        return str(error)
    server.remove()
    return ""


class PostgresServer:
    """The server, started again whenever it has ended."""

    def __init__(self, folder: Path) -> None:
        self._server = OwnPostgres()
        self._log = folder / "postgres.log"
        self.url = self._server.url("postgres")
        self.slots: Sequence[Slot] = ()
        self.means = {
            Kind.STORE_LOCKED: self._locked,
            Kind.STORE_DOWN: self._down,
            Kind.KILL_STORE: self._killed,
            Kind.STOP_STORE: self._stopped,
        }

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self._slot = Slot("store", self._launch)
        self.slots = (self._slot,)
        try:
            await wait_until(self._answers, timeout_s=READY_S_MAX, what="PostgreSQL answers")
            yield
        finally:
            family = self._family()
            await self._slot.end()
            _signal(family, signal.SIGKILL)
            shutil.rmtree(self._server.folder, ignore_errors=True)

    async def rows(self, wave_id: str) -> list[Row]:
        db = await asyncpg.connect(self.url)
        try:
            found = await db.fetch(ROWS, wave_id)
        finally:
            db.terminate()
        return [Row(row[0], row[1], json.loads(row[2])) for row in found]

    def reached(self) -> Sequence[str]:
        return ["PostgreSQL recovered from its log"] * self._log.read_text().count(RECOVERED)

    def _launch(self) -> "asyncio.Future[Handle]":
        command = self._server.command("log_min_messages=log")
        return asyncio.ensure_future(spawn(command, {}, self._log, **self._server.identity))

    async def _answers(self) -> bool:
        try:
            db = await asyncpg.connect(self.url, timeout=ANSWER_S_MAX)
        except Unreachable:
            return False
        db.terminate()
        return True

    def _family(self) -> list[int]:
        """Return the server's process and those of its connections and chores."""
        pid = self._slot.pid
        if pid is None:
            return []
        children = Path(f"/proc/{pid}/task/{pid}/children")
        return [pid, *map(int, children.read_text().split() if children.exists() else ())]

    @asynccontextmanager
    async def _killed(self) -> AsyncIterator[None]:
        family = self._family()
        with self._slot.down():
            _signal(family, signal.SIGKILL)
            yield

    @asynccontextmanager
    async def _down(self) -> AsyncIterator[None]:
        with self._slot.down(signal.SIGQUIT):  # pg_ctl stop -m immediate
            yield

    @asynccontextmanager
    async def _stopped(self) -> AsyncIterator[None]:
        family = self._family()
        _signal(family, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal(family, signal.SIGCONT)

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        while (db := await self._lock()) is None:  # noqa: ASYNC110  it may be away
            await asyncio.sleep(0.02)
        try:
            yield
        finally:
            db.terminate()  # the server lets go by itself, whatever has become of it meanwhile

    async def _lock(self) -> Any:
        """Return the connection that holds the table; None where there is no table or no server."""
        try:
            db = await asyncpg.connect(self.url, timeout=ANSWER_S_MAX)
        except Unreachable:
            return None
        try:
            await db.execute("BEGIN; LOCK TABLE registrations", timeout=ANSWER_S_MAX)
        except Unreachable:
            db.terminate()
            return None
        return db


def _signal(family: Sequence[int], number: signal.Signals) -> None:
    for pid in family:
        send(pid, number)
