"""How does a process of ours live? What it is called, what it runs beside its listeners, what ends it."""

import asyncio
import gc
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

YOUNG_MAX = 5_000  # objects, before the youngest are looked through: 700 by default


@asynccontextmanager
async def running(
    *watches: Callable[[asyncio.Event], Coroutine[None, None, None]],
) -> AsyncIterator[None]:
    """Run what watches beside the listeners, and end it with them."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for watch in watches:
            tasks.create_task(watch(stop))
        try:
            yield
        finally:
            stop.set()


def settle_heap() -> None:
    """Have the collector look at what comes and goes alone, and less often.

    What a process is made of stays to its end. By default its thousands of connections, too, are looked
    through again and again: a seventh of the processor's time, where a crowd comes and goes.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, 10, 5)  # aiohttp's connections end in cycles: not too rarely


def process_name() -> str:
    """Return this process's name in the table of processes."""
    return f"{os.uname().nodename}-{os.getpid()}"


def wall_clock_us() -> int:
    """Return this machine's clock: ages are measured with it."""
    return time.time_ns() // 1_000


def stop_on_signals() -> asyncio.Event:
    """Return what SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop
