"""What a process keeps an eye on while it runs: the safety of its Redis, and being seen by the others."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

from gateway.faults import ConfigurationError, Fault
from gateway.metrics import Metrics
from gateway.ports import PortError, PortUnavailableError
from gateway.redis.processes import RedisProcesses
from gateway.redis.safety import RedisSafety
from gateway.services.operations import Condition, Operations

REDIS_WAIT_S = 30.0  # a server that replays its log takes its time
REDIS_PROBE_S = 0.1
SAFETY_EVERY_S = 5.0
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
    if findings and not unsafe_ok:
        raise ConfigurationError(*(Fault("redis", "", str(finding)) for finding in findings))
    if findings:
        condition.notices = tuple(f"redis.unsafe_ok: {finding}" for finding in findings)


async def watch_safety(safety: RedisSafety, condition: Condition, stop: asyncio.Event) -> None:
    """Keep looking: a Redis that loses its promise in mid-run makes this process not accepting."""

    async def look() -> None:
        findings = await safety.findings()
        condition.hazards = () if condition.notices else tuple(map(str, findings))

    await _every(SAFETY_EVERY_S, look, stop)


async def report_process(
    processes: RedisProcesses, operations: Operations, stop: asyncio.Event
) -> None:
    """Keep this process's row in the table of processes fresh, and take it away at the end."""

    async def report() -> None:
        row = operations.row()
        await processes.report(str(row["process"]), row)

    await _every(REPORT_EVERY_S, report, stop)
    try:
        await processes.forget(str(operations.row()["process"]))
    except PortError:
        return  # it is forgotten by its age


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
