"""What does a registration service hold of ours? Kept beside it, since it cannot be asked.

Checkpoints, and of each recorded registration what recovery must count again: receipt, person digest,
content digest, numbers; nothing of the form. A row is on disk here before its receipt is told recorded.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from gateway.ports import IntakeEntry
from gateway.stores.rows import PERSON_BYTES, check_fences
from gateway.stores.sqlite import (
    CHECKPOINTS,
    FENCES,
    KEPT_CHECKPOINTS,
    SAVE,
    fences_of,
    raised,
    standing_of,
)
from gateway.stores.sqlite_file import Schema, SqliteFile, writing

LEDGER = f"""
CREATE TABLE recorded (
    receipt        TEXT PRIMARY KEY NOT NULL,
    wave_id        TEXT NOT NULL,
    programme_id   TEXT NOT NULL,
    person         BLOB NOT NULL CHECK (length(person) = {PERSON_BYTES}), -- keyed digest
    content        BLOB NOT NULL CHECK (length(content) = 16), -- keyed digest of the form
    accepted_at_us INTEGER NOT NULL, -- Redis TIME
    recorded_at_us INTEGER NOT NULL, -- this machine's clock
    number         INTEGER NOT NULL,
    serial         INTEGER NOT NULL
) STRICT
"""
STEPS = ((LEDGER, CHECKPOINTS), (FENCES,))
SCHEMA = Schema(0x7267_6C64, STEPS, "ledger of a registration service")  # "rgld"
NOTE = "INSERT INTO recorded VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
NOTED = """
SELECT receipt, wave_id, programme_id, person, content, accepted_at_us, recorded_at_us, number, serial
FROM recorded WHERE programme_id = ? AND receipt > ? ORDER BY receipt LIMIT ?
"""


class Ledger:
    """``ArchivePort`` for a store that keeps no archive."""

    def __init__(
        self, path: Path, *, now_us: Callable[[], int], content: Callable[[bytes], bytes]
    ) -> None:
        self._file = SqliteFile(path, SCHEMA)
        self._now_us = now_us
        self._content = content  # keyed digest of a form, 16 bytes

    async def check(self, rows: Sequence[IntakeEntry]) -> None:
        """Let pass what may be sent.

        Raises:
            FencedError: a row was read before a recovery.
        """
        check_fences(rows, await self._file.run(fences_of))

    async def note(self, rows: Sequence[IntakeEntry]) -> None:
        """Write down what the service has recorded; what is written already stays.

        Raises:
            FencedError: it is written down, but a recovery has counted while it was under way.
        """
        now_us = self._now_us()
        lines = [
            (
                *(row.receipt, row.wave_id, row.programme_id, row.person),
                *(self._content(row.payload), row.accepted_at_us, now_us, row.number, row.serial),
            )
            for row in rows
        ]
        await self._file.run(writing(NOTE, lines))
        await self.check(rows)

    async def fences(self, programme_ids: Sequence[str]) -> Mapping[str, int]:
        """Return the fences of these programmes."""
        found = await self._file.run(fences_of)
        return {each: found.get(each, 0) for each in programme_ids}

    async def raise_fence(self, programme_id: str) -> int:
        """Have no row sent from now on that was read before."""
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
        """Return rows behind receipt ``after``, without their forms, each with its recorded_at_us."""
        found = await self._file.run(
            lambda db: db.execute(NOTED, (programme_id, after, count)).fetchall()
        )
        return [_entry(*line) for line in found]

    async def standing(self, receipts: Sequence[str]) -> set[str]:
        """Return which of these receipts the service has said it recorded."""
        return await self._file.run(partial(standing_of, table="recorded", receipts=receipts))

    async def probe(self) -> None:
        """Raise unless a line could be written now."""
        await self._file.run(_probe)

    async def close(self) -> None:
        """Close the file."""
        await self._file.close()


def _probe(db: sqlite3.Connection) -> None:
    line = ("probe", "-", "-", bytes(PERSON_BYTES), bytes(16), 0, 0, 0, 0)
    db.execute(NOTE, line)
    db.execute("DELETE FROM recorded WHERE receipt = 'probe'")


def _entry(
    receipt: str,
    wave_id: str,
    programme_id: str,
    person: bytes,
    content: bytes,
    accepted_at_us: int,
    recorded_at_us: int,
    number: int,
    serial: int,
) -> tuple[IntakeEntry, int]:
    entry = IntakeEntry(
        "", wave_id, programme_id, receipt, person, b"", accepted_at_us,
        number=number, serial=serial, content=content,
    )  # fmt: skip
    return entry, recorded_at_us
