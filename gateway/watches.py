"""What a process keeps an eye on while it runs: the safety of its Redis, and being seen by the others."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from gateway.core.checkpoint import Checkpoint
from gateway.core.programme import Wave
from gateway.faults import CannotStartError, ConfigurationError, Fault
from gateway.metrics import Metrics
from gateway.ports import PortError, PortUnavailableError
from gateway.redis.fence import Fences
from gateway.redis.processes import RedisProcesses
from gateway.redis.safety import RedisSafety
from gateway.services.admission import Ticker
from gateway.services.operations import Condition, Operations, ProcessesPort
from gateway.services.overview import together
from gateway.services.recovery import Keeper
from gateway.services.rooms import Rooms

_log = structlog.get_logger("gateway")

REDIS_WAIT_S = 30.0  # a server that replays its log takes its time
REDIS_PROBE_S = 0.1
PREPARE_EVERY_S = 1.0
SAFETY_EVERY_S = 5.0
FLEET_EVERY_S, BEHIND_S_MAX = 1.0, 5.0
REPORT_EVERY_S = 0.25  # a policy's arrival in every process is told within a second


async def check_safety(safety: RedisSafety, condition: Condition, *, unsafe_ok: bool) -> None:
    """Wait for Redis, and refuse one that may lose what it acknowledges.

    Raises:
        ConfigurationError: with everything that is wrong, and its cure.
    """
    deadline_s = time.monotonic() + REDIS_WAIT_S
    while True:
        try:
            findings = await safety.findings()
            break
        except PortUnavailableError as error:
            if time.monotonic() > deadline_s:
                fault = Fault("redis.url", "", f"no answer within {REDIS_WAIT_S:g} s: {error}")
                raise ConfigurationError(fault) from error
            await asyncio.sleep(REDIS_PROBE_S)
    condition.unsafe_ok = unsafe_ok
    if findings and not unsafe_ok:
        raise ConfigurationError(*(Fault("redis", "", str(finding)) for finding in findings))
    if findings:
        condition.notices = tuple(f"redis.unsafe_ok: {finding}" for finding in findings)
        condition.hazards = tuple(map(str, findings))


async def watch_safety(safety: RedisSafety, condition: Condition, stop: asyncio.Event) -> None:
    """Keep looking: on a Redis that loses its promise in mid-run nothing is acknowledged any more."""

    async def look() -> None:
        findings = await safety.findings()
        condition.hazards = tuple(map(str, findings))

    await _every(SAFETY_EVERY_S, look, stop)


async def see_rooms(ticker: Ticker, rooms: Rooms) -> None:
    """Wait until every room was seen once; delivery makes them, or puts them back.

    Raises:
        CannotStartError: no delivery has made them.
    """
    deadline_s = time.monotonic() + REDIS_WAIT_S
    for room in rooms:
        while room.snapshot is None:
            try:
                await ticker.tick(room)
            except PortError as error:
                if time.monotonic() > deadline_s:
                    told = (
                        f"wave {room.wave.id} was not made: does `gateway deliver` run? ({error})"
                    )
                    raise CannotStartError(told) from error
                await asyncio.sleep(REDIS_PROBE_S)


async def prepare_rooms(keeper: Keeper, stop: asyncio.Event) -> None:
    """Have the rooms made or put back, however long Redis and the store are away; or be told to stop."""
    told = ""
    while not stop.is_set():
        try:
            await keeper.prepare()
        except PortError as error:
            if str(error) != told:
                told = str(error)
                _log.warning("rooms wait for Redis and the store", reason=told)
        else:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PREPARE_EVERY_S):
                await stop.wait()


def report_recovery(wave: Wave, known: Checkpoint, missing: int) -> None:
    """Say what a recovery has found, and what it has not."""
    _log.error(
        "a room was put back together",
        wave=wave.id,
        issued=known.issued,
        called=known.called,
        accepted=known.accepted,
        missing=missing,
    )


async def report_process(
    processes: RedisProcesses, operations: Operations, fences: Fences, stop: asyncio.Event
) -> None:
    """Keep this process's row in the table of processes fresh, and take it away at the end.

    The row also says what this process has seen of each room: recovery builds on it.
    """

    async def report() -> None:
        row = operations.row() | {"rooms": operations.seen(fences.issued, fences.accepted)}
        await processes.report(str(row["process"]), row)

    await _every(REPORT_EVERY_S, report, stop)
    try:
        await processes.forget(str(operations.row()["process"]))
    except PortError:
        return  # it is forgotten by its age


async def watch_fleet(
    processes: ProcessesPort, rooms: Rooms, condition: Condition, stop: asyncio.Event
) -> None:
    """Keep comparing: a process whose policy stays behind the others' should get no traffic.

    What comes to all of them is summed up with the same look.
    """
    behind_since_s: dict[str, float] = {}

    async def look() -> None:
        rows = await processes.alive()
        revisions = [row["revisions"] for row in rows if "revisions" in row]
        condition.fleet_traffic = together(rows)
        now_s = time.monotonic()
        for room in rooms:
            wave_id = room.wave.id
            newest = max((each.get(wave_id, 0) for each in revisions), default=0)
            if room.revision >= newest:
                behind_since_s.pop(wave_id, None)
            else:
                behind_since_s.setdefault(wave_id, now_s)
        late = [name for name, since_s in behind_since_s.items() if now_s - since_s > BEHIND_S_MAX]
        condition.faults = tuple(f"{name}: this process goes by an old policy" for name in late)

    await _every(FLEET_EVERY_S, look, stop)


async def report_delivery(
    processes: RedisProcesses, row: Callable[[], Mapping[str, Any]], stop: asyncio.Event
) -> None:
    """Keep a delivery's row in the table of processes fresh, and take it away at the end."""

    async def report() -> None:
        await processes.report(str(row()["process"]), row())

    await _every(1.0, report, stop)
    with contextlib.suppress(PortError):  # it is forgotten by its age
        await processes.forget(str(row()["process"]))


async def watch_loop(metrics: Metrics, stop: asyncio.Event) -> None:
    """Have the event loop's lag measured until told to stop."""
    measuring = asyncio.create_task(metrics.watch_loop())
    await stop.wait()
    measuring.cancel()


async def _every(
    interval_s: float, act: Callable[[], Awaitable[None]], stop: asyncio.Event
) -> None:
    """Do something at intervals until told to stop; what Redis does not answer is left for next time."""
    while not stop.is_set():
        with contextlib.suppress(PortError):
            await act()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(interval_s):
                await stop.wait()
