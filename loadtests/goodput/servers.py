"""Which servers are compared? The gateway as it is, and two stand-ins that differ in shedding alone.

Each has one front door on a core of its own; whatever else there is runs on the others, and so does this
process: Valkey, too, is elsewhere where a launch is served.
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loadtests import system
from loadtests.bench.generator import cpu_s
from loadtests.evidence import Terms

OURS, MIDDLEWARE, NONE = "ours", "middleware", "none"
SERVERS = (NONE, MIDDLEWARE, OURS)
RATE_PER_S_MAX = 100_000.0  # admission bounds nothing then: the process does
QUOTA = 1_000_000
OPENS_S = 2.0
OPEN_S_MAX = 15.0


@dataclass(frozen=True, slots=True)
class Server:
    """One system, open for registration."""

    gateway: system.Gateway
    pid: int  # of its front door
    core: int  # which that has to itself

    @property
    def url(self) -> str:
        """Where applicants go."""
        return self.gateway.url

    @property
    def port(self) -> int:
        """The same, on this machine."""
        return int(self.gateway.url.rpartition(":")[2])

    def cpu_s(self) -> float:
        """Return the processor time that its front door has used."""
        return cpu_s(self.pid)

    def core_s(self) -> float:
        """Return the time that its core has worked for anybody."""
        lines = Path("/proc/stat").read_text("ascii").splitlines()
        fields = next(line.split() for line in lines if line.startswith(f"cpu{self.core} "))
        return sum(map(int, fields[1:4])) / os.sysconf("SC_CLK_TCK")  # user, nice, system


@contextmanager
def running(kind: str, rate_per_s: float = RATE_PER_S_MAX) -> Iterator[Server]:
    """Start one of the servers, wait until its wave is open, and end it whatever happens."""
    terms = Terms(QUOTA, rate_per_s, burst=round(rate_per_s), quota=QUOTA)
    command = [sys.executable, "-m", "gateway"]
    if kind != OURS:
        command = [sys.executable, "-m", "loadtests.goodput.stand_in", kind]
    cores = os.sched_getaffinity(0)
    theirs = min(cores)
    with tempfile.TemporaryDirectory(prefix="gw-goodput-") as name:
        os.sched_setaffinity(0, cores - {theirs} or cores)  # children inherit it
        try:
            gateway = system.start(Path(name), terms, opens_s=OPENS_S, processes=1, command=command)
            try:
                assert gateway.child is not None  # it was started here
                pid = _front_door(gateway.child.pid)
                os.sched_setaffinity(pid, {theirs})
                _wait_until_open(gateway)
                yield Server(gateway, pid, theirs)
            finally:
                gateway.stop()
        finally:
            os.sched_setaffinity(0, cores)


def _wait_until_open(gateway: system.Gateway) -> None:
    deadline_s = time.monotonic() + OPEN_S_MAX
    while gateway.board()["phase"] != "open":
        if time.monotonic() > deadline_s:
            raise system.NotReadyError("the wave does not open")
        time.sleep(0.1)


def _front_door(up: int) -> int:
    for pid in Path(f"/proc/{up}/task/{up}/children").read_text().split():
        if b"\0serve\0" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return int(pid)
    raise system.NotReadyError("`gateway up` has no front door")
