"""One process of a run's system after another: started, killed, held down, started again.

The delays after a process that ended by itself are the supervisor's own.
"""

import asyncio
import contextlib
import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from signal import Signals
from typing import Any, Protocol

from gateway.children import _die_with
from gateway.restarts import Restart, after_exit
from tests.faults import child

CONTEXT = multiprocessing.get_context("forkserver")
# Set here, not in the command: each process that runs schedules has a fork server of its own.
CONTEXT.set_forkserver_preload(["tests.faults.runner"])


class Handle(Protocol):
    """A process that runs."""

    pid: int

    async def wait(self) -> int:
        """Return its exit code once it has ended."""


class Forked:
    """A gateway process, forked from a server that has imported everything already."""

    def __init__(self, orders: child.Orders) -> None:
        self._process = CONTEXT.Process(target=child.run, args=(orders,))
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    async def wait(self) -> int:
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        loop.add_reader(self._process.sentinel, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(self._process.sentinel)
        self._process.join()
        return self._process.exitcode or 0


class Spawned:
    """Any other program."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    async def wait(self) -> int:
        return await self._process.wait()


async def spawn(
    command: Sequence[str | Path], environ: Mapping[str, str], log: Path, **identity: Any
) -> Handle:
    """Start a program that dies with us and talks into a file; ``identity``: where, and as whom."""
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, **environ},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=_die_with(os.getpid()),
            **identity,
        )
    return Spawned(process)


class Slot:
    """A place in the system that one process fills at a time."""

    def __init__(self, name: str, launch: Callable[[], "asyncio.Future[Handle]"]) -> None:
        self.name = name
        self.pid: int | None = None
        self.starts: Counter[str] = Counter()
        self._launch = launch
        self._holds = 0
        self._may_run = asyncio.Event()
        self._may_run.set()
        self._gone = asyncio.Event()
        self._gone.set()
        self._ending = False
        self._task = asyncio.ensure_future(self._keep())

    async def _keep(self) -> None:
        streak, clock = 0, asyncio.get_running_loop().time
        while True:
            await self._may_run.wait()
            if self._is_ending():
                return
            started_s = clock()
            handle = await self._launch()
            self.pid = handle.pid
            self._gone.clear()
            code = await handle.wait()
            self.pid = None
            self._gone.set()
            if self._is_ending():
                return
            if self._may_run.is_set():  # nobody killed it for a purpose
                self.starts[f"ended by itself with {code}"] += 1
                decision = after_exit(
                    streak=streak, up_s=clock() - started_s, code=code, was_ready=True
                )
                assert isinstance(decision, Restart)
                streak = decision.streak
                await asyncio.sleep(decision.delay_s)

    def _is_ending(self) -> bool:
        return self._ending

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to whoever fills the slot."""
        if self.pid is not None:
            send(self.pid, number)

    @contextmanager
    def down(self, by: Signals = Signals.SIGKILL) -> Iterator[None]:
        """End it by a signal, and start nothing in its place meanwhile."""
        self._holds += 1
        self._may_run.clear()
        self.signal(by)
        try:
            yield
        finally:
            self._holds -= 1
            if not self._holds:
                self._may_run.set()

    async def gone(self) -> None:
        """Wait until the process that was killed is no more."""
        await self._gone.wait()

    async def end(self) -> None:
        """End it for good."""
        self._ending = True
        self.signal(signal.SIGKILL)
        self._may_run.set()
        await self._task


def send(pid: int, number: signal.Signals) -> None:
    """Signal a process that may have ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
