"""Seeded bugs: each breaks one promise on purpose, and the checker must say which.

They are planted in the children of a run, over the product's own modules; see ``child``.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from gateway.ports import Recording, RowOutcome
from gateway.redis import channel as redis_channel
from gateway.redis import lua, recovery
from gateway.redis.fence import Fences
from gateway.redis.keys import room_keys
from gateway.services.delivery import Delivery
from gateway.services.recovery import Keeper
from gateway.stores import postgres, postgres_pool, sqlite
from tests.faults.schedules import AGAIN_S, Fault, Kind, Schedule, Store, Terms


@dataclass(frozen=True, slots=True)
class Bug:
    """One bug, the schedule that shows it, and the promise that must turn red."""

    promise: str | tuple[str, ...]  # one of these, where either may show it first
    schedule: Callable[[], Schedule]
    plant: Callable[[], None] = lambda: None
    stores: Sequence[Store] = tuple(Store)


def _schedule(bug: str, *faults: Fault, **more: Any) -> Schedule:
    terms = more.pop("terms", Terms())
    return Schedule(0, terms, faults, bug=bug, **more)


def _in_scripts(old: str, new: str) -> None:
    """Have every script that says ``old`` say ``new``."""
    assert old in lua.load("accept").text, f"no script says {old} any more"

    def patched(name: str) -> lua.Script:
        return lua.Script(name, lua.load(name).text.replace(old, new))

    vars(redis_channel)["load"] = patched


def _ack_before_commit() -> None:
    async def deliver(self: Any, rows: Any, stop: Any) -> None:
        recorded = [RowOutcome(row.receipt, Recording.RECORDED) for row in rows]
        await self._settle(rows, recorded)
        await self._put(rows)

    Delivery._deliver = deliver  # type: ignore[method-assign]


def _bucket_full_after_restart() -> None:
    prepare = Keeper.prepare

    async def prepared(self: Any) -> None:
        await prepare(self)
        for wave in (wave for programme in self._programmes for wave in programme.waves):
            room = room_keys("gw", wave.programme_id, wave.id)[0]
            await self._rooms._ticks.command("HSET", room, "level", wave.policy.burst * 10**9)

    Keeper.prepare = prepared  # type: ignore[method-assign]


def _numbers_again_after_recovery() -> None:
    def observe(self: Any, wave_id: str, snapshot: Any) -> None:
        self._seen[wave_id] = snapshot.epoch, snapshot.issued, snapshot.accepted

    vars(recovery)["beyond"] = lambda known: known.cohort
    Fences.observe = observe  # type: ignore[method-assign]


def _fence_ignored() -> None:
    for store in (sqlite, postgres):
        vars(store)["check_fences"] = lambda *_: None


def _commits_not_awaited() -> None:
    promise = postgres_pool._promise

    async def promised(db: Any, deadline_s: float) -> None:
        await promise(db, deadline_s)
        await db.execute("SET LOCAL synchronous_commit = off")

    vars(postgres_pool)["_promise"] = promised


POWER = (  # what the store has cannot be lost
    Fault(0.9, Kind.STORE_DOWN, 0, 1.6 + 2 * AGAIN_S),
    # An fsync that takes long is waited for by a server that promises it, and only by such a one: what
    # it acknowledged meanwhile is on no disk, whenever the power goes.
    *(Fault(0.9 + AGAIN_S * n, Kind.FSYNC_STALL, 0, AGAIN_S) for n in range(3)),
    *(Fault(2.2 + AGAIN_S * n, Kind.POWER_LOSS, 0, 0.0) for n in range(3)),
)
KILLS = tuple(Fault(1.6 + 0.6 * n, Kind.KILL_DELIVER, 0, 0.02) for n in range(5))

# Redis forgets while deliveries have a batch in hand, and one of them sleeps through the whole recovery.
SLEPT_THROUGH = (
    Fault(0.8, Kind.STORE_DOWN, 0, 6.7),  # before the first registration: both have some in hand
    Fault(5.5, Kind.STOP_DELIVER, 1, 10.0),
    Fault(6.0, Kind.EMPTIED, 0, 0.0),
    Fault(
        16.0, Kind.SLEEP_VALKEY, 0, 0.1
    ),  # until then people come, who take every place once more
)
CROWDED = Terms(applicants=80, quota=12, burst=6)

BUGS: dict[str, Bug] = {
    "everysec": Bug(("I-1:", "I-7:"), partial(_schedule, "everysec", *POWER, unsafe=True)),
    "ack-before-commit": Bug(
        "I-1:",
        partial(
            _schedule,
            "ack-before-commit",
            Fault(1.2, Kind.STORE_LOCKED, 0, 2.5),
            *(Fault(1.8 + 0.3 * n, Kind.KILL_DELIVER, 0, 0.02) for n in range(5)),
        ),
        _ack_before_commit,
    ),
    "new-receipt-on-repeat": Bug(
        "I-4, I-10:",
        partial(_schedule, "new-receipt-on-repeat", Fault(1.5, Kind.ANSWERS_LOST, 0, 1.0)),
        partial(
            _in_scripts,
            "        return accepted(first)",
            "        first.receipt = item.receipt\n        return accepted(first)",
        ),
    ),
    "bucket-full-after-restart": Bug(
        "I-16:",
        partial(
            _schedule,
            "bucket-full-after-restart",
            *KILLS,
            terms=Terms(applicants=60, quota=100, rate_per_s=6.0, burst=6),
        ),
        _bucket_full_after_restart,
    ),
    "numbers-again": Bug(
        "I-23:",
        partial(_schedule, "numbers-again", Fault(2.0, Kind.EMPTIED, 0, 0.0)),
        _numbers_again_after_recovery,
    ),
    "commits-not-awaited": Bug(
        "I-1:",
        partial(
            _schedule,
            "commits-not-awaited",
            *(Fault(1.6 + 0.7 * n, Kind.KILL_STORE, 0, 0.1) for n in range(6)),
            store=Store.POSTGRESQL,
        ),
        _commits_not_awaited,
        (Store.POSTGRESQL,),
    ),
    "run-ignored": Bug(
        "I-23:",
        partial(
            _schedule,
            "run-ignored",
            # Nobody who has seen more is there when the server is back; but the last checkpoint was taken
            # after the last receipt was given, so that all which is lost can be told.
            Fault(0.7, Kind.ROLLED_BACK, 0, 2.2),
            Fault(1.3, Kind.KILL_SERVE, 0, 1.8),
            Fault(1.3, Kind.KILL_SERVE, 1, 1.8),
            Fault(2.7, Kind.KILL_DELIVER, 0, 3.5),
            terms=Terms(applicants=80),
        ),
        partial(_in_scripts, "confirmed_run ~= run_id()", "false"),
    ),
    "fence-ignored": Bug(
        "I-11:",
        partial(_schedule, "fence-ignored", *SLEPT_THROUGH, terms=CROWDED, delivers=2),
        _fence_ignored,
        (
            Store.SQLITE,
        ),  # a PostgreSQL that was shut down meanwhile lets batches go in other orders
    ),
    "reservations-forgotten": Bug(
        "I-11:",
        partial(
            _schedule,
            "reservations-forgotten",
            Fault(2.0, Kind.KILL_SERVE, 0, 0.2),
            terms=Terms(quota=8, rate_per_s=16.0, burst=6),
        ),
        partial(
            _in_scripts,
            "room.quota - room.accepted - room.outstanding",
            "room.quota - room.accepted",
        ),
    ),
}

HUNTS = 3  # for one seeded bug


def shows(bug: str, broken: Iterable[str]) -> bool:
    """Say whether a run that broke these has turned the promise red that this bug breaks."""
    return any(fault.startswith(BUGS[bug].promise) for fault in broken)
