"""Policies, their audit and the table of processes, in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.core.audit import Chain, link
from gateway.core.policy import Policy
from gateway.core.policy_change import Timer
from gateway.core.programme import Wave
from gateway.ports import PolicyRevision, PortError, Stale

AT_US = 1_586_595_600_000_000  # 11 April 2020, 16:00 WIB


@dataclass
class MemoryPolicies:
    """An ``AuditedPolicies``: compare and set, with one record for each change."""

    held: dict[str, PolicyRevision] = field(default_factory=dict)  # by wave
    records: dict[str, list[dict[str, str]]] = field(default_factory=dict)  # newest first
    outage: PortError | None = None  # raised by everything while it is set
    noted: dict[str, int] = field(default_factory=dict)  # by wave: the last revision with a result
    faster: int = 0  # how many others change a policy between our reading and our change

    async def read(self, wave: Wave) -> PolicyRevision:
        self._fail()
        return self.held.setdefault(wave.id, PolicyRevision(1, wave.policy))

    async def change(
        self,
        wave: Wave,
        revision: int,
        policy: Policy,
        audit: Mapping[str, str],
        timer: Timer | None = None,
    ) -> PolicyRevision | Stale:
        held = await self.read(wave)
        if self.faster:
            self.faster -= 1
            held = self.held[wave.id] = PolicyRevision(held.revision + 1, held.policy)
        if held.revision != revision:
            return Stale(held.revision)
        at_us = AT_US + revision + 1
        new = self.held[wave.id] = PolicyRevision(revision + 1, policy, timer, at_us)
        self._append(wave, new.revision, audit)
        return new

    async def note(self, wave: Wave, audit: Mapping[str, str], *, result_of: int = 0) -> bool:
        held = await self.read(wave)
        if result_of and result_of <= self.noted.get(wave.id, 0):
            return False
        if result_of:
            self.noted[wave.id] = result_of
        self._append(wave, held.revision, audit)
        return True

    def _append(self, wave: Wave, revision: int, audit: Mapping[str, str]) -> None:
        records = self.records.setdefault(wave.id, [])
        told = {"revision": str(revision), "at_us": str(AT_US + revision)}
        told |= {"previous": records[0]["hash"] if records else "", **audit}
        records.insert(0, told | {"hash": link(told.items())})

    async def audit(self, wave: Wave, count: int, before: str = "") -> Sequence[Mapping[str, str]]:
        self._fail()
        records = self.records.get(wave.id, [])
        told = [{"id": f"{len(records) - n}-0", **record} for n, record in enumerate(records)]
        oldest_told = int(before.partition("-")[0]) if before else len(records) + 1
        return [each for each in told if int(each["id"].partition("-")[0]) < oldest_told][:count]

    async def chain(self, wave: Wave) -> Chain:
        self._fail()
        chain, records = Chain(), self.records.get(wave.id, [])
        for record in reversed(records):
            chain.add(list(record.items()))
        chain.end(records[0]["hash"] if records else "")
        return chain

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
