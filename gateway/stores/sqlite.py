"""The store in one SQLite file.

Payloads are kept as the text that was acknowledged, byte for byte. ``sqlite_file`` decides on disks,
files and transactions; here are the rows.
"""

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from gateway.ports import IntakeEntry, PortUnavailableError, Recording, RowOutcome
from gateway.stores.rows import (
    PERSON_BYTES,
    PROBE,
    PROBES,
    PROBES_ANSWERED,
    check_fences,
    collision,
    misfit,
)
from gateway.stores.sqlite_file import BUSY_TIMEOUT_MS, Schema, SqliteFile, writing

REGISTRATIONS = f"""
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
FENCES = """
CREATE TABLE fences (programme_id TEXT PRIMARY KEY NOT NULL, fence INTEGER NOT NULL) STRICT
"""
STEPS = ((REGISTRATIONS, CHECKPOINTS), (FENCES,))
SCHEMA = Schema(0x72677374, STEPS, "registration store")  # "rgst"
SAVE = (
    "INSERT INTO checkpoints VALUES (?, ?) ON CONFLICT DO UPDATE SET document = excluded.document"
)
KEPT_CHECKPOINTS = "SELECT wave_id, document FROM checkpoints"
RAISE = """
INSERT INTO fences VALUES (?, ?)
ON CONFLICT DO UPDATE SET fence = max(fence + 1, excluded.fence) RETURNING fence
"""
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


class SqliteStore:
    """``StorePort`` and ``ArchivePort`` on one file."""

    def __init__(
        self,
        path: Path,
        *,
        now_us: Callable[[], int],
        busy_timeout_ms: int = BUSY_TIMEOUT_MS,
    ) -> None:
        self._now_us = now_us
        self._file = SqliteFile(path, SCHEMA, busy_timeout_ms=busy_timeout_ms)

    async def put(self, rows: Sequence[IntakeEntry]) -> Sequence[RowOutcome]:
        """Commit the rows in one transaction; one outcome per row, in their order.

        Cancelled, the transaction goes on or never begins: both are answered by a repetition.
        """
        return await self._file.run(partial(self._put, rows=rows))

    async def fences(self, programme_ids: Sequence[str]) -> Mapping[str, int]:
        """Return the fences of these programmes."""
        found = await self._file.run(fences_of)
        return {each: found.get(each, 0) for each in programme_ids}

    async def raise_fence(self, programme_id: str) -> int:
        """Have no row committed from now on that was read before."""
        return await self._file.run(partial(raised, programme_id=programme_id, us=self._now_us()))

    async def save_checkpoints(self, documents: Mapping[str, str]) -> None:
        """Keep the latest checkpoint of each wave."""
        await self._file.run(writing(SAVE, list(documents.items())))

    async def checkpoints(self) -> Mapping[str, str]:
        """Return what was kept, by wave id."""
        return await self._file.run(lambda db: dict(db.execute(KEPT_CHECKPOINTS).fetchall()))

    async def recorded_rows(
        self, programme_id: str, after: str, count: int
    ) -> Sequence[tuple[IntakeEntry, int]]:
        """Return rows behind receipt ``after``, each with its recorded_at_us."""
        found = await self._file.run(
            lambda db: db.execute(RECORDED, (programme_id, after, count)).fetchall()
        )
        return [_entry(*row) for row in found]

    async def standing(self, receipts: Sequence[str]) -> set[str]:
        """Return which of these receipts have a row."""
        return await self._file.run(partial(standing_of, table="registrations", receipts=receipts))

    async def probe(self) -> bool:
        """Write a row and remove it, and see that a second row of its person is not taken."""
        await self._file.run(self._probe)
        return True

    async def close(self) -> None:
        """Finish what is under way and close the file."""
        await self._file.close()

    def _put(self, db: sqlite3.Connection, rows: Sequence[IntakeEntry]) -> list[RowOutcome]:
        check_fences(rows, fences_of(db))
        return [self._record(db, row) for row in rows]

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
        if [self._record(db, row).recording for row in PROBES] != PROBES_ANSWERED:
            raise PortUnavailableError(f"{self._file.path}: does not keep registrations apart")
        db.execute("DELETE FROM registrations WHERE receipt = ?", (PROBE.receipt,))


def fences_of(db: sqlite3.Connection) -> dict[str, int]:
    """Return all fences: of programmes that were ever put back."""
    return dict(db.execute("SELECT programme_id, fence FROM fences").fetchall())


def raised(db: sqlite3.Connection, *, programme_id: str, us: int) -> int:
    """Raise a fence to an instant, or above the last one where the clock went back."""
    fence: int = db.execute(RAISE, (programme_id, us)).fetchall()[0][0]
    return fence


def standing_of(db: sqlite3.Connection, *, table: str, receipts: Sequence[str]) -> set[str]:
    """Return which of these receipts have a row in a table of ours."""
    query = f"SELECT receipt FROM {table} WHERE receipt IN (SELECT value FROM json_each(?))"  # noqa: S608
    return {receipt for (receipt,) in db.execute(query, (json.dumps(list(receipts)),))}


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
