"""What a fault run changes inside delivery: shorter waits, and points at which a file makes it go wrong.

A file in the run's folder is a switch; a line in ``reached`` says that a rare state was seen.
"""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from gateway import compose_deliver
from gateway.core import policy
from gateway.core.programme import Wave
from gateway.ports import IntakeEntry, PortUnavailableError, Recording, RowOutcome, StorePort
from gateway.redis.channel import Channel
from gateway.redis.intake import RedisIntake
from gateway.services import delivery

RECLAIM_IDLE_S, PUT_S_MAX = 0.8, 0.6  # 30 s and 15 s in production
ERRS, DIES, REFUSES, DOWN = "store-errs", "deliver-dies", "store-refuses", "store-down"
REACHED = "reached"
Note = Callable[[str], object]


def install(folder: Path) -> None:
    """Put the switches in."""
    brief = policy.Bound(int, 1, 86_400)  # passes that end within a run
    vars(policy)["BOUNDS"] = {**policy.BOUNDS, "pass_ttl_s": brief}
    hasty = partial(delivery.Delivery, reclaim_idle_s=RECLAIM_IDLE_S, put_s_max=PUT_S_MAX)
    vars(compose_deliver)["Delivery"] = hasty
    note = _notebook(folder)
    _watch_reclaims(note)
    _watch_breaker(note)
    _hold_the_store(folder, note)


@contextmanager
def switched(switch: Path) -> Iterator[None]:
    """Have a switch on."""
    switch.touch()
    try:
        yield
    finally:
        switch.unlink(missing_ok=True)


def _notebook(folder: Path) -> Note:
    """Return what says that a rare state was reached; opened now, for descriptors may be gone by then."""
    lines = os.open(folder / REACHED, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return lambda state: os.write(lines, f"{state}\n".encode())


def _hold_the_store(folder: Path, note: Note) -> None:
    """Put the switches before whichever store is opened."""
    opened = vars(compose_deliver)["store_of"]

    def open_faulty(*said: Any) -> Any:
        store: Any = opened(*said)
        put = store.put

        async def faulty(rows: Sequence[IntakeEntry]) -> Sequence[RowOutcome]:
            if (folder / DOWN).exists():
                raise PortUnavailableError("down, as the schedule says")
            if (folder / REFUSES).exists():
                return await _refused(store, rows)
            outcomes: Sequence[RowOutcome] = await put(rows)
            _fail_after_commit(folder, note)
            return outcomes

        store.put = faulty
        return store

    vars(compose_deliver)["store_of"] = open_faulty


async def _refused(store: StorePort, rows: Sequence[IntakeEntry]) -> Sequence[RowOutcome]:
    """Refuse what is not there yet: whatever a store has recorded stays so when it comes again."""
    standing = await store.standing([row.receipt for row in rows])
    refused, recorded = (Recording.REJECTED, "schedule"), (Recording.RECORDED, "")
    return [
        RowOutcome(row.receipt, *(recorded if row.receipt in standing else refused)) for row in rows
    ]


def _fail_after_commit(folder: Path, note: Note) -> None:
    if (folder / DIES).exists():
        (folder / DIES).unlink(missing_ok=True)
        note("crash between commit and ack")
        os.kill(os.getpid(), signal.SIGKILL)
    if (folder / ERRS).exists():
        note("error after commit")
        raise PortUnavailableError("committed, and failed after it, as the schedule says")


def _watch_reclaims(note: Note) -> None:
    reclaim = RedisIntake.reclaim

    async def watched(
        self: RedisIntake, wave: Wave, consumer: str, count: int, idle_ms: int
    ) -> Sequence[IntakeEntry]:
        entries = await reclaim(self, wave, consumer, count, idle_ms)
        if entries:
            note("claim by another deliver")
        return entries

    RedisIntake.reclaim = watched  # type: ignore[method-assign]


def _watch_breaker(note: Note) -> None:
    connected = Channel._connected

    async def watched(self: Channel) -> Any:
        half_open = self._connection is None and self._closed_until > 0
        connection = await connected(self)
        if half_open:
            note("breaker half-open")
        return connection

    Channel._connected = watched  # type: ignore[method-assign]
