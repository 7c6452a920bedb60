"""The store in one SQLite file: WAL, an fsync per commit, one writer thread.

Payloads are kept as the text that was acknowledged, byte for byte. Written for SQLite 3.40 and later.
A failed transaction closes the connection, which rolls back; the next one opens it again, so a disk that
comes back needs no restart.
"""

import asyncio
import contextlib
import json
import os
import sqlite3
import stat
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from gateway.ports import IntakeEntry, PortUnavailableError, Recording, RowOutcome
from gateway.stores.rows import PERSON_BYTES, collision, misfit

BUSY_TIMEOUT_MS = 5_000  # for another process's transaction to end
JOBS_MAX = 20  # every slot of delivery, checkpoint, look-ups; more means that the disk hangs

APPLICATION_ID = 0x72677374  # "rgst": tells our files from others'
SCHEMA_VERSION = 1
SCHEMA = f"""
CREATE TABLE registrations (
    receipt        TEXT PRIMARY KEY NOT NULL,
    wave_id        TEXT NOT NULL,
    programme_id   TEXT NOT NULL,
    person         BLOB NOT NULL CHECK (length(person) = {PERSON_BYTES}), -- keyed digest
    payload        TEXT NOT NULL CHECK (json_valid(payload)), -- the canonical form
    accepted_at_us INTEGER NOT NULL, -- Redis TIME
    recorded_at_us INTEGER NOT NULL, -- this machine's clock
    number         INTEGER NOT NULL, -- of the ticket, and of the pass that was spent:
    serial         INTEGER NOT NULL, -- what recovery rebuilds the room from
    UNIQUE (programme_id, person)
) STRICT
"""
CHECKPOINTS = """
CREATE TABLE checkpoints (wave_id TEXT PRIMARY KEY NOT NULL, document TEXT NOT NULL) STRICT
"""
SAVE = (
    "INSERT INTO checkpoints VALUES (?, ?) ON CONFLICT DO UPDATE SET document = excluded.document"
)
RECORDED = """
SELECT receipt, wave_id, programme_id, person, payload, accepted_at_us, number, serial, recorded_at_us
FROM registrations WHERE programme_id = ? AND receipt > ? ORDER BY receipt LIMIT ?
"""
INSERT = """
INSERT INTO registrations
    (receipt, wave_id, programme_id, person, payload, accepted_at_us, recorded_at_us, number, serial)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
STANDING = "SELECT wave_id, programme_id, person, payload FROM registrations WHERE receipt = ?"

STANDING_OF = "SELECT receipt FROM registrations WHERE receipt IN (SELECT value FROM json_each(?))"

PROBE = IntakeEntry("", "-", "-", "probe", bytes(PERSON_BYTES), b"{}", 0)
PROBE_TWIN = IntakeEntry("", "-", "-", "probe-twin", bytes(PERSON_BYTES), b"{}", 0)

Result = TypeVar("Result")


class SqliteStore:
    """``StorePort`` on one file, made with mode 0600 at first use."""

    def __init__(
        self,
        path: Path,
        *,
        now_us: Callable[[], int],
        busy_timeout_ms: int = BUSY_TIMEOUT_MS,
    ) -> None:
        self._path = path
        self._now_us = now_us
        self._busy_timeout_ms = busy_timeout_ms
        self._connection: sqlite3.Connection | None = None  # the writer thread's own
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._free_jobs = threading.BoundedSemaphore(JOBS_MAX)
        self._is_closed = False

    async def put(self, rows: Sequence[IntakeEntry]) -> Sequence[RowOutcome]:
        """Commit the rows in one transaction; one outcome per row, in their order.

        Cancelled, the transaction goes on or never begins: both are answered by a repetition.
        """
        return await self._run(lambda db: [self._record(db, row) for row in rows])

    async def save_checkpoints(self, documents: Mapping[str, str]) -> None:
        """Keep the latest checkpoint of each wave."""
        await self._run(lambda db: db.executemany(SAVE, list(documents.items())))

    async def checkpoints(self) -> Mapping[str, str]:
        """Return what was kept, by wave id."""
        query = "SELECT wave_id, document FROM checkpoints"
        return await self._run(lambda db: dict(db.execute(query).fetchall()))

    async def recorded_rows(
        self, programme_id: str, after: str, count: int
    ) -> Sequence[tuple[IntakeEntry, int]]:
        """Return rows behind receipt ``after``, each with its recorded_at_us."""
        found = await self._run(
            lambda db: db.execute(RECORDED, (programme_id, after, count)).fetchall()
        )
        return [_entry(*row) for row in found]

    async def standing(self, receipts: Sequence[str]) -> set[str]:
        """Return which of these receipts have a row."""
        wanted = json.dumps(list(receipts))
        found = await self._run(lambda db: db.execute(STANDING_OF, (wanted,)).fetchall())
        return {receipt for (receipt,) in found}

    async def probe(self) -> None:
        """Write a row and remove it, and see that a second row of its person is not taken."""
        await self._run(self._probe)

    async def close(self) -> None:
        """Finish what is under way and close the file."""
        if not self._is_closed:
            self._is_closed = True
            await asyncio.wrap_future(self._writer.submit(self._drop))
            self._writer.shutdown()

    # --- in the event loop --------------------------------------------------------------------------

    async def _run(self, job: Callable[[sqlite3.Connection], Result]) -> Result:
        if self._is_closed:
            raise PortUnavailableError("the store is closed")
        if not self._free_jobs.acquire(blocking=False):
            raise PortUnavailableError("the disk has not finished earlier batches")
        future = self._writer.submit(self._transact, job)
        future.add_done_callback(lambda _: self._free_jobs.release())
        return await asyncio.wrap_future(future)

    # --- in the writer thread -----------------------------------------------------------------------

    def _transact(self, job: Callable[[sqlite3.Connection], Result]) -> Result:
        try:
            db = self._connected()
            db.execute("BEGIN IMMEDIATE")
            result = job(db)
            db.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            self._drop()
            raise PortUnavailableError(f"{self._path}: {error}") from error
        except BaseException:
            self._drop()
            raise
        return result

    def _record(self, db: sqlite3.Connection, row: IntakeEntry) -> RowOutcome:
        reason = misfit(row)
        if reason:
            return RowOutcome(row.receipt, Recording.REJECTED, reason)
        values = (row.receipt, row.wave_id, row.programme_id, row.person, row.payload.decode())
        try:
            origin = row.number, row.serial
            cursor = db.execute(INSERT, (*values, row.accepted_at_us, self._now_us(), *origin))
        except (sqlite3.IntegrityError, sqlite3.DataError):
            return RowOutcome(row.receipt, Recording.REJECTED, "constraint")
        if cursor.rowcount:
            return RowOutcome(row.receipt, Recording.RECORDED)
        found = db.execute(STANDING, (row.receipt,)).fetchone()
        return collision(row, (*found[:3], found[3].encode()) if found else None)

    def _probe(self, db: sqlite3.Connection) -> None:
        outcomes = [self._record(db, row).recording for row in (PROBE, PROBE, PROBE_TWIN)]
        if outcomes != [Recording.RECORDED, Recording.RECORDED, Recording.DUPLICATE]:
            raise PortUnavailableError(f"{self._path}: does not keep registrations apart")
        db.execute("DELETE FROM registrations WHERE receipt = ?", (PROBE.receipt,))

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            _make(self._path)
            db = sqlite3.connect(self._path, isolation_level=None)
            self._connection = db
            db.execute(f"PRAGMA busy_timeout = {self._busy_timeout_ms}")
            version = _version(db, self._path)
            self._path.chmod(0o600)
            if db.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
                raise PortUnavailableError(f"{self._path}: its file system cannot keep a WAL")
            db.execute("PRAGMA synchronous = FULL")  # NORMAL would lose commits at a power loss
            db.execute("PRAGMA foreign_keys = ON")
            if version == 0:
                _create(db)
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _entry(
    receipt: str,
    wave_id: str,
    programme_id: str,
    person: bytes,
    payload: str,
    accepted_at_us: int,
    number: int,
    serial: int,
    recorded_at_us: int,
) -> tuple[IntakeEntry, int]:
    entry = IntakeEntry(
        "", wave_id, programme_id, receipt, person, payload.encode(), accepted_at_us,
        number=number, serial=serial,
    )  # fmt: skip
    return entry, recorded_at_us


def _make(path: Path) -> None:
    """Make the file for our eyes only; WAL and index follow its mode.

    By ``mknod``, which opens nothing: closing a descriptor would drop the locks of other connections.
    """
    path.parent.mkdir(mode=0o700, exist_ok=True)  # one level: a missing mount is not papered over
    with contextlib.suppress(FileExistsError):
        os.mknod(path, stat.S_IFREG | 0o600)


def _version(db: sqlite3.Connection, path: Path) -> int:
    """Return the schema's version, 0 for an empty file; a stranger's file is left as it is."""
    db.execute("BEGIN")  # one snapshot: another process may be making the schema
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    is_ours = db.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    is_empty = db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    db.execute("COMMIT")
    if not is_ours and not (is_empty and version == 0):
        raise PortUnavailableError(f"{path}: is no registration store")
    if version > SCHEMA_VERSION:
        raise PortUnavailableError(f"{path}: was written by a newer gateway (schema {version})")
    return version


def _create(db: sqlite3.Connection) -> None:
    """Make the schema, unless another process was faster."""
    db.execute("BEGIN IMMEDIATE")
    if db.execute("PRAGMA user_version").fetchone() == (0,):
        db.execute(SCHEMA)
        db.execute(CHECKPOINTS)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    db.execute("COMMIT")
