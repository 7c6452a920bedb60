"""One SQLite file of ours: whose is it, who may read it, and when is a transaction on disk?

WAL, an fsync per commit, one writer thread. Written for SQLite 3.40 and later. A failed transaction
closes the connection, which rolls back; the next one opens it again, so a disk that comes back needs no
restart.
"""

import asyncio
import contextlib
import os
import sqlite3
import stat
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from gateway.ports import PortUnavailableError

BUSY_TIMEOUT_MS = 5_000  # for another process's transaction to end
JOBS_MAX = 20  # every slot of delivery, checkpoint, look-ups; more means that the disk hangs

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Schema:
    """What a file of one kind holds."""

    application_id: int  # tells our files from others', and one kind of ours from another
    steps: Sequence[Sequence[str]]  # from nothing to version 1, from there to 2, …
    name: str  # in sentences: "is no registration store"

    @property
    def version(self) -> int:
        """The one that is ours."""
        return len(self.steps)


class SqliteFile:
    """A file made with mode 0600 at first use. All transactions are one thread's."""

    def __init__(
        self, path: Path, schema: Schema, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS
    ) -> None:
        self.path = path
        self._schema = schema
        self._busy_timeout_ms = busy_timeout_ms
        self._connection: sqlite3.Connection | None = None  # the writer thread's own
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._free_jobs = threading.BoundedSemaphore(JOBS_MAX)
        self._is_closed = False

    async def run(self, job: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run one transaction. Cancelled, it goes on or never begins.

        Raises:
            PortUnavailableError: nothing was done, or the answer was lost.
        """
        if self._is_closed:
            raise PortUnavailableError("the store is closed")
        if not self._free_jobs.acquire(blocking=False):
            raise PortUnavailableError("the disk has not finished earlier batches")
        future = self._writer.submit(self._transact, job)
        future.add_done_callback(lambda _: self._free_jobs.release())
        return await asyncio.wrap_future(future)

    async def close(self) -> None:
        """Finish what is under way and close the file."""
        if not self._is_closed:
            self._is_closed = True
            await asyncio.wrap_future(self._writer.submit(self._drop))
            self._writer.shutdown()

    # --- in the writer thread -----------------------------------------------------------------------

    def _transact(self, job: Callable[[sqlite3.Connection], Result]) -> Result:
        try:
            db = self._connected()
            db.execute("BEGIN IMMEDIATE")
            result = job(db)
            db.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            self._drop()
            raise PortUnavailableError(f"{self.path}: {error}") from error
        except BaseException:
            self._drop()
            raise
        return result

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            _make(self.path)
            db = sqlite3.connect(self.path, isolation_level=None)
            self._connection = db
            db.execute(f"PRAGMA busy_timeout = {self._busy_timeout_ms}")
            version = self._version(db)
            self.path.chmod(0o600)
            if db.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
                raise PortUnavailableError(f"{self.path}: its file system cannot keep a WAL")
            db.execute("PRAGMA synchronous = FULL")  # NORMAL would lose commits at a power loss
            db.execute("PRAGMA foreign_keys = ON")
            if version < self._schema.version:
                self._bring_up(db)
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _version(self, db: sqlite3.Connection) -> int:
        """Return the schema's version, 0 for an empty file; a stranger's file is left as it is."""
        db.execute("BEGIN")  # one snapshot: another process may be making the schema
        version: int = db.execute("PRAGMA user_version").fetchone()[0]
        found_id = db.execute("PRAGMA application_id").fetchone()
        is_empty = db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
        db.execute("COMMIT")
        if found_id != (self._schema.application_id,) and not (is_empty and version == 0):
            raise PortUnavailableError(f"{self.path}: is no {self._schema.name}")
        if version > self._schema.version:
            told = f"was written by a newer gateway (schema {version})"
            raise PortUnavailableError(f"{self.path}: {told}")
        return version

    def _bring_up(self, db: sqlite3.Connection) -> None:
        """Make the schema or bring an older one up to ours, unless another process was faster."""
        db.execute("BEGIN IMMEDIATE")
        version: int = db.execute("PRAGMA user_version").fetchone()[0]
        for step in self._schema.steps[version:]:
            for statement in step:
                db.execute(statement)
        db.execute(f"PRAGMA application_id = {self._schema.application_id}")
        db.execute(f"PRAGMA user_version = {max(version, self._schema.version)}")
        db.execute("COMMIT")


def writing(
    statement: str, rows: Sequence[Sequence[object]]
) -> Callable[[sqlite3.Connection], None]:
    """Return the job that runs a statement for each row.

    It answers nothing: a cursor that came to its end in another thread would reset the statement in use.
    """

    def job(db: sqlite3.Connection) -> None:
        db.executemany(statement, rows)

    return job


def _make(path: Path) -> None:
    """Make the file for our eyes only; WAL and index follow its mode.

    By ``mknod``, which opens nothing: closing a descriptor would drop the locks of other connections.
    """
    path.parent.mkdir(mode=0o700, exist_ok=True)  # one level: a missing mount is not papered over
    with contextlib.suppress(FileExistsError):
        os.mknod(path, stat.S_IFREG | 0o600)
