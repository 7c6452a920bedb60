"""How is one child process kept running? Watched, started again, and gone when we are gone.

When to start again is decided in ``restarts``; here it is done.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.faults import CannotStartError
from gateway.restarts import GiveUp, after_exit

PR_SET_PDEATHSIG = 1  # prctl(2)
LIBC = ctypes.CDLL(None, use_errno=True)  # loaded here: nothing may be loaded between fork and exec
MESSAGE_BYTES_MAX = 4_096
RENEW_S_MAX, RENEW_LOOK_S = 60.0, 0.05

Say = Callable[[str], None]


@dataclass(frozen=True)
class Spec:
    """One child: what to run, and how to know that it is ready."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    ready: Callable[[int], Awaitable[bool]]  # pid -> True when ready, False when it never will be
    stop_s: float  # from SIGTERM to SIGKILL
    descriptors: tuple[int, ...] = ()  # inherited
    explain: Callable[[], str] = str  # why it may have ended, for the last word on it


class GaveUpError(CannotStartError):
    """A child ended, and starting it again would not help."""


class Child:
    """One child process and those that follow it."""

    def __init__(self, spec: Spec, say: Say) -> None:
        self.spec = spec
        self.was_ready = asyncio.Event()  # it, or one before it
        self._say = say
        self._stopping = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._successor: asyncio.subprocess.Process | None = None  # ready to take over
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process that runs now, if any."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process is not None and running else None

    def start(self) -> asyncio.Task[None]:
        """Keep it running; the task ends when it was stopped, or fails with ``GaveUpError``."""
        self._task = asyncio.create_task(self._keep())
        return self._task

    async def _keep(self) -> None:
        streak, clock = 0, asyncio.get_running_loop().time
        while not self._stopping.is_set():
            started_s = clock()
            code = await self._run()
            if self._stopping.is_set():
                return
            if self._successor is not None:
                streak = 0
                continue
            decision = after_exit(
                streak=streak,
                up_s=clock() - started_s,
                code=code,
                was_ready=self.was_ready.is_set(),
            )
            if isinstance(decision, GiveUp):
                raise GaveUpError(f"{self.spec.name} {decision.why}{self.spec.explain()}")
            streak = decision.streak
            when = f"in {decision.delay_s:g} s" if decision.delay_s else "at once"
            self._say(f"{self.spec.name} {ending(code)}; starts again {when}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), decision.delay_s)

    async def renew(self) -> bool:
        """Have a new process take over; only then the old one is told to end.

        False: the new one did not get ready, and the old one goes on.
        """
        old, fresh = self.pid, await self._spawn()
        ready = asyncio.ensure_future(self.spec.ready(fresh.pid))
        ended = asyncio.ensure_future(fresh.wait())
        stopped = asyncio.ensure_future(self._stopping.wait())
        first = asyncio.FIRST_COMPLETED
        await asyncio.wait([ready, ended, stopped], timeout=RENEW_S_MAX, return_when=first)
        is_ready = ready.done() and ready.result() and not ended.done() and not stopped.done()
        for waiting in (ready, ended, stopped):
            waiting.cancel()
        if not is_ready:
            with contextlib.suppress(ProcessLookupError):
                fresh.kill()
            await fresh.wait()
            self._say(f"{self.spec.name} was not renewed: the new process did not get ready")
            return False
        self._successor = fresh
        self.signal(signal.SIGTERM)
        deadline_s = asyncio.get_running_loop().time() + self.spec.stop_s
        while self.pid in {old, None} and not self._stopping.is_set():
            if asyncio.get_running_loop().time() > deadline_s:
                self.signal(signal.SIGKILL)
            await asyncio.sleep(RENEW_LOOK_S)
        return not self._stopping.is_set()

    async def _run(self) -> int:
        """Start one process, or go on with the one that took over, and wait for its end."""
        self._process, self._successor = self._successor or await self._spawn(), None
        if self._stopping.is_set():  # said while the process was being made
            self.signal(signal.SIGTERM)
        probe = asyncio.create_task(self._probe(self._process.pid))
        try:
            return await self._process.wait()
        finally:
            probe.cancel()

    async def _spawn(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *self.spec.command,
            env=self.spec.environ,
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=self.spec.descriptors,
            start_new_session=True,  # Ctrl-C reaches the supervisor alone, which drains in order
            preexec_fn=_die_with(os.getpid()),
        )

    async def _probe(self, pid: int) -> None:
        if await self.spec.ready(pid):
            self.was_ready.set()
        else:
            self.signal(signal.SIGKILL)

    async def stop(self) -> None:
        """Ask the child to end, and make it end when it does not."""
        self._stopping.set()
        if self._successor is not None:  # it serves nobody yet
            self._successor.kill()
        if self._task is None:
            return
        self.signal(signal.SIGTERM)
        ended, _ = await asyncio.wait([self._task], timeout=self.spec.stop_s)
        if not ended:
            self._say(f"{self.spec.name} did not end within {self.spec.stop_s:g} s; killed")
            self.kill()
            await asyncio.wait([self._task])

    def kill(self) -> None:
        """End it now, and for good."""
        self._stopping.set()
        self.signal(signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if there is one."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)


class ReadySocket:
    """Hears ``READY=1`` from the children that speak systemd's protocol."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._events: defaultdict[int, asyncio.Event] = defaultdict(asyncio.Event)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        path.unlink(missing_ok=True)  # of a supervisor that was killed
        self._socket.bind(str(path))
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._hear)

    def _hear(self) -> None:
        lines = self._socket.recv(MESSAGE_BYTES_MAX).decode(errors="replace").splitlines()
        said = dict(line.partition("=")[::2] for line in lines)
        if said.get("READY") == "1" and said.get("MAINPID", "").isdecimal():
            self._events[int(said["MAINPID"])].set()

    async def wait(self, pid: int) -> bool:
        """Wait until this process says that it is ready."""
        try:
            return await self._events[pid].wait()
        finally:
            self._events.pop(pid, None)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()
        self.path.unlink(missing_ok=True)


def ending(code: int) -> str:
    """Say how a process ended."""
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with code {code}"


def _die_with(parent_pid: int) -> Callable[[], None]:
    """Have the kernel kill the child when the supervisor dies, even by SIGKILL."""

    def set_death_signal() -> None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent_pid:  # it died before the call above
            os._exit(1)

    return set_death_signal
