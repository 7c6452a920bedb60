"""Dead letters in memory, with the audit of who wanted what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.core.programme import Wave
from gateway.ports import DeadLetter, PortError


@dataclass
class MemoryLetters:
    """A ``DeadLettersPort``."""

    letters: list[DeadLetter] = field(default_factory=list)
    audits: list[Mapping[str, str]] = field(default_factory=list)
    outage: PortError | None = None
    most: int = 500
    asks: int = 0

    async def dead(self, wave: Wave, count: int) -> Sequence[DeadLetter]:
        self._fail()
        return [letter for letter in self.letters if letter.wave_id == wave.id][:count]

    async def revive(
        self, wave: Wave, ids: Sequence[str], audit: Mapping[str, str]
    ) -> tuple[int, int]:
        mine = await self.dead(wave, len(self.letters))
        taken = [letter for letter in mine if not ids or letter.id in ids][: self.most]
        self.letters = [letter for letter in self.letters if letter not in taken]
        self.audits.append(audit)
        return len(taken), len(mine) - len(taken)

    async def ask(self, wave: Wave, audit: Mapping[str, str]) -> int:
        self._fail()
        self.audits.append(audit)
        self.asks += 1
        return self.asks

    def _fail(self) -> None:
        if self.outage is not None:
            raise self.outage
