"""How does a process of ours live? What it is called, what it runs beside its listeners, what ends it."""

import asyncio
import gc
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.faults import ConfigurationError
from gateway.programmes import load_programmes
from gateway.settings import Settings, load_settings

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


@dataclass(frozen=True, slots=True)
class Supervisor:
    """The ``gateway up`` that keeps this process."""

    pid: int
    config: Path | None

    def faults(self) -> list[str]:
        """Say what is wrong with the settings as they are now."""
        try:
            load_programmes(load_settings(self.config, os.environ).programmes.files)
        except ConfigurationError as error:
            return [str(fault) for fault in error.faults]
        return []

    def ask(self) -> None:
        """Have all processes follow themselves."""
        os.kill(self.pid, signal.SIGUSR1)


def supervisor(settings: Settings, config: Path | None) -> Supervisor | None:
    """Return who keeps this process: its parent, if that holds the data; None: nobody that could be asked."""
    try:
        holder = int((Path(settings.data.dir) / "lock").read_text("ascii"))
    except (OSError, ValueError):
        return None
    # Any other process would be ended by the signal.
    return Supervisor(holder, config) if holder == os.getppid() else None
