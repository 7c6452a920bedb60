"""What operators do about entries the store refused for good: look at them, and have them tried again.

No personal data: neither payload nor receipt leaves Redis. Every wish is audited in the step that fulfils it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from gateway.core.programme import Wave
from gateway.ports import DeadLetter

LETTERS_MAX = 500  # told at once, of each wave


class DeadLettersPort(Protocol):
    """What the store has refused for good, as operators handle it. When it is down: it raises."""

    async def dead(self, wave: Wave, count: int) -> Sequence[DeadLetter]:
        """Return the oldest dead letters."""

    async def revive(
        self, wave: Wave, ids: Sequence[str], audit: Mapping[str, str]
    ) -> tuple[int, int]:
        """Queue these again, or the oldest where none is named; answer how many, and how many are left."""

    async def ask(self, wave: Wave, audit: Mapping[str, str]) -> int:
        """Ask for a comparison of every receipt with the store; answer the wish, later ones are greater."""


class DeadLetters:
    """The dead letters of all waves."""

    def __init__(self, port: DeadLettersPort) -> None:
        self._port = port

    async def told(self, waves: Iterable[Wave], now_us: int) -> list[dict[str, Any]]:
        """Return the oldest of each wave."""
        return [
            _told(letter, now_us)
            for wave in waves
            for letter in await self._port.dead(wave, LETTERS_MAX)
        ]

    async def retry(
        self, wave: Wave, ids: Sequence[str], audit: Mapping[str, str]
    ) -> dict[str, Any]:
        """Queue some again, or all of a wave, a few hundred a call."""
        revived, left = await self._port.revive(wave, ids, audit)
        return {"wave": wave.id, "retried": revived, "left": left}

    async def reconcile(self, waves: Iterable[Wave], audit: Mapping[str, str]) -> dict[str, int]:
        """Have every receipt compared with the store; return the number of each wave's wish."""
        return {wave.id: await self._port.ask(wave, audit) for wave in waves}


def _told(letter: DeadLetter, now_us: int) -> dict[str, Any]:
    return {
        "wave": letter.wave_id,
        "id": letter.id,
        "entry": letter.entry_id,
        "reason": letter.reason,
        "tries": letter.tries,
        "age_s": round(max(0, now_us - letter.accepted_at_us) / 1e6, 1),  # since it was accepted
        "dead_s": round(max(0, now_us - letter.buried_at_us) / 1e6, 1),
    }
