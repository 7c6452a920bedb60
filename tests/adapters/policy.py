"""Policies, their audit and the table of processes, in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.core.policy import Policy
from gateway.core.programme import Wave
from gateway.ports import PolicyRevision, PortError, Stale

AT_US = 1_586_595_600_000_000  # 11 April 2020, 16:00 WIB


@dataclass
class MemoryPolicies:
    """An ``AuditedPolicies``: compare and set, with one record for each change."""

    held: dict[str, PolicyRevision] = field(default_factory=dict)  # by wave
    records: dict[str, list[dict[str, str]]] = field(default_factory=dict)  # newest first
    outage: PortError | None = None  # raised by everything while it is set
    faster: int = 0  # how many others change a policy between our reading and our change

    async def read(self, wave: Wave) -> PolicyRevision:
        self._fail()
        return self.held.setdefault(wave.id, PolicyRevision(1, wave.policy))

    async def change(
        self, wave: Wave, revision: int, policy: Policy, audit: Mapping[str, str]
    ) -> PolicyRevision | Stale:
        held = await self.read(wave)
        if self.faster:
            self.faster -= 1
            held = self.held[wave.id] = PolicyRevision(held.revision + 1, held.policy)
        if held.revision != revision:
            return Stale(held.revision)
        new = self.held[wave.id] = PolicyRevision(revision + 1, policy)
        told = {"revision": str(new.revision), "at_us": str(AT_US + new.revision), **audit}
        self.records.setdefault(wave.id, []).insert(0, told)
        return new

    async def audit(self, wave: Wave, count: int) -> Sequence[Mapping[str, str]]:
        self._fail()
        return self.records.get(wave.id, [])[:count]

    def _fail(self) -> None:
        if self.outage is not None:
            raise self.outage


@dataclass
class MemoryProcesses:
    """A ``ProcessesPort`` that tells the rows it is given."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    outage: PortError | None = None

    async def alive(self) -> Sequence[Mapping[str, Any]]:
        if self.outage is not None:
            raise self.outage
        return self.rows
