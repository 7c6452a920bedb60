"""Is it the store that fails, or what it is offered? A batch that comes back without an answer says neither.

A batch that has failed several times while the store took others, or answered its probe, is halved, down to
the row that spoils it. That one waits, and comes again alone. Everything else is an outage, and waits whole.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from gateway.core import delivery as rules
from gateway.ports import IntakeEntry, PortError, Recording, RowOutcome, StorePort

PROBE_S_MAX = 10.0
SUSPECTS_MAX = 10_000  # the oldest are forgotten: they spoil a batch once more


class Evidence(Enum):
    """What the store has done meanwhile."""

    NONE = auto()  # nothing: it may be down
    ANSWERED = auto()  # a probe that writes nothing
    WRITTEN = auto()  # other rows, or that of a probe


@dataclass(frozen=True, slots=True)
class Attempt:
    """Rows that are put together, and how that has gone so far."""

    rows: Sequence[IntakeEntry]
    price: int  # rows that the bucket is to be paid for
    commits: int = 0  # there had been, when they were last put back
    failures: int = 0  # without an answer, in a row


class Doubts:
    """What one process knows of rows that the store gave no answer for."""

    def __init__(self, store: StorePort) -> None:
        self._store = store
        self._commits = 0
        self._suspects: dict[str, int] = {}  # commits when it last failed alone, by receipt

    def attempts(self, rows: Sequence[IntakeEntry]) -> list[Attempt]:
        """Return how to put these rows: together, but each suspect alone, behind the others."""
        others = [row for row in rows if row.receipt not in self._suspects]
        alone = [[row] for row in rows if row.receipt in self._suspects]
        return [Attempt(each, len(each), self._commits) for each in (others, *alone) if each]

    def answered(self, outcomes: Sequence[RowOutcome]) -> None:
        """Take in what came of a batch. Refusing is no sign of life: misfits never reach the store."""
        self._commits += any(each.recording is Recording.RECORDED for each in outcomes)
        for each in outcomes:
            self._suspects.pop(each.receipt, None)

    async def evidence(self, attempt: Attempt) -> Evidence:
        """Say what speaks for it that the rows that have failed once more are at fault, or one of them."""
        last = self._suspects.get(attempt.rows[0].receipt) if len(attempt.rows) == 1 else None
        if last is None and attempt.failures + 1 < rules.DOUBTED_AFTER:
            return Evidence.NONE
        if self._commits > (attempt.commits if last is None else last):
            return Evidence.WRITTEN
        try:
            async with asyncio.timeout(PROBE_S_MAX):
                return Evidence.WRITTEN if await self._store.probe() else Evidence.ANSWERED
        except (PortError, TimeoutError):
            return Evidence.NONE

    def again(self, attempt: Attempt) -> Attempt:
        """Return the same once more. It is paid for again: nobody knows what was written."""
        rows = attempt.rows
        return Attempt(rows, len(rows), self._commits, attempt.failures + 1)

    def halves(self, attempt: Attempt) -> list[Attempt]:
        """Return two where one of them is at fault: each is doubted at its first failure."""
        failures = rules.DOUBTED_AFTER - 1
        return [
            Attempt(half, len(half), self._commits, failures) for half in rules.halves(attempt.rows)
        ]

    def suspect(self, row: IntakeEntry) -> None:
        """Remember a row that has failed alone: from now on it goes alone, behind the others.

        It is never given up for it: another delivery may hold it too, and have it written a moment later.
        """
        self._suspects.pop(row.receipt, None)
        if len(self._suspects) >= SUSPECTS_MAX:
            del self._suspects[next(iter(self._suspects))]
        self._suspects[row.receipt] = self._commits
