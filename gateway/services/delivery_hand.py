"""Which entries has this process read and not settled, and must they go back? Recovery decides by a fence.

Whoever puts a room back raises its programme's fence in the store, and then counts what is there. What was
read behind another fence is refused from then on, so that no row is committed uncounted. Its receipt was
acknowledged, though, and Redis may have lost it: whoever has it in hand puts it back into the intake.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from gateway.core.programme import Wave
from gateway.ports import IntakeEntry, IntakePort, StorePort

READMITTED_MAX = 200  # by one call


class Hand:
    """The entries that one process has in hand: at most a batch for each slot of the store."""

    def __init__(
        self, process: str, intake: IntakePort, store: StorePort, waves: Iterable[Wave]
    ) -> None:
        self.process = process
        self._intake, self._store = intake, store
        self._waves = list(waves)
        self._programmes = sorted({wave.programme_id for wave in self._waves})
        self._fences: dict[str, int] = {}  # by programme, as last read from the store
        self._entries: dict[tuple[str, str, int], IntakeEntry] = {}
        self._looking = asyncio.Lock()  # an older answer of the store must not come last

    def fence(self, programme_id: str) -> int:
        """Return the fence behind which is read now. Ask before reading, never after it."""
        return self._fences.get(programme_id, 0)

    def take(self, entries: Sequence[IntakeEntry], fence: int) -> list[IntakeEntry]:
        """Take what was read behind ``fence``."""
        taken = [replace(entry, fence=fence) for entry in entries]
        self._entries |= {_key(entry): entry for entry in taken}
        return taken

    def let_go(self, entries: Sequence[IntakeEntry]) -> None:
        """Have them in hand no more."""
        for entry in entries:
            self._entries.pop(_key(entry), None)

    async def look(self) -> None:
        """Read the fences; where one was raised, put back what was read before, and only then say so.

        Raises:
            PortError: what is in hand is not back yet: look again.
        """
        async with self._looking:
            fences = dict(await self._store.fences(self._programmes))
            for wave in self._waves:
                mine = [entry for entry in self._entries.values() if entry.wave_id == wave.id]
                old = [entry for entry in mine if entry.fence != fences[wave.programme_id]]
                for start in range(0, len(old), READMITTED_MAX):
                    await self._intake.readmit(wave, old[start : start + READMITTED_MAX])
            self._fences = fences

    async def sort_out(self, entries: Sequence[IntakeEntry]) -> list[IntakeEntry]:
        """Return those that may still be put, once the others are back in the intake.

        Raises:
            PortError: they are not: ask again.
        """
        await self.look()
        return [entry for entry in entries if entry.fence == self.fence(entry.programme_id)]

    def told(self) -> dict[str, Any]:
        """Return, by programme, behind which fence everything in hand was read."""
        return dict(self._fences)


def _key(entry: IntakeEntry) -> tuple[str, str, int]:
    return entry.wave_id, entry.entry_id, entry.deliveries
