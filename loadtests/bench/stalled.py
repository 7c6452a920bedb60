"""Do stalled connections slow the honest down? A front door full of them, and people who join and look.

Four ways to stall: to say nothing, to stop within a head, to stop within a body, to read no answer. Each
that is closed at its deadline comes again at once, so there are as many from beginning to end: as many as
a process lets in. They come from a process of their own (``python -m loadtests.bench.stalled PORT COUNT``),
so that both sides have descriptors, and the honest a clock of their own: they come one after the other, each
on a new connection.
"""

import asyncio
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from statistics import quantiles
from typing import Any

import uvloop

from loadtests import system
from loadtests.bench.generator import post
from loadtests.bench.rows import Row, Wanted
from loadtests.children import end, spawn
from loadtests.evidence import Terms

STALLED, STALLED_QUICK = 10_000, 1_000
RESERVED = 500  # descriptors for everything else
HONEST_S, HONEST_S_QUICK = 25.0, 5.0  # more than two deadlines
HONEST_PER_S = 40
ANSWER_S_MAX = 5.0
CONNECT_S_MAX, LOOK_EVERY_S = 60.0, 0.5
FULL = 0.97  # some are on their way back at any moment
RAMP_S = 10.0  # the deadlines
WAVE = f"/v1/waves/{system.WAVE}"
HOST = b"Host: 127.0.0.1\r\n"
BOARD = b"GET " + WAVE.encode() + b"/board HTTP/1.1\r\n" + HOST
PAGE = b"GET /waves/" + system.WAVE.encode() + b" HTTP/1.1\r\n" + HOST + b"\r\n"
UNREAD = PAGE * 32
WAYS = (
    b"",
    BOARD + b"X: ",
    post(f"{WAVE}/tickets").partition(b"\r\n")[0]
    + b"\r\n" + HOST + b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{",
    UNREAD,
)  # fmt: skip


@dataclass
class Run:
    """What came of one run."""

    took_s: list[float] = field(default_factory=list)  # of honest requests
    refused: Counter[str] = field(default_factory=Counter)
    stalled: list[int] = field(default_factory=list)  # connected, looked at now and then


def rows(quick: bool) -> Sequence[Row]:
    """Return the rows."""
    count = STALLED_QUICK if quick else STALLED

    @cache
    def run() -> Run:
        return measure(min(count, _descriptors()), HONEST_S_QUICK if quick else HONEST_S)

    return [
        Row("stalled at any moment", Wanted(low=0.9 * count), lambda: [min(run().stalled)]),
        Row("honest p99, s", Wanted(high=0.2), lambda: [quantiles(run().took_s, n=100)[98]]),
        Row("honest refusals", Wanted(high=0), lambda: [sum(run().refused.values())]),
    ]


def _descriptors() -> int:
    """Take as many as we may; children inherit the limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most - RESERVED


def measure(count: int, honest_s: float) -> Run:
    """Fill a front door with stalled connections, and ask honestly meanwhile."""
    terms = Terms(100_000, 100.0, burst=100, quota=1_000)
    with tempfile.TemporaryDirectory(prefix="gw-bench-") as name:
        gateway = system.start(Path(name), terms, opens_s=2.0, processes=1)
        log, port = Path(name) / "stalled.log", int(gateway.url.rpartition(":")[2])
        command = [sys.executable, "-m", "loadtests.bench.stalled", str(port), str(count)]
        attack = spawn(command, log)
        try:
            _wait_for(log, count)
            run = uvloop.run(_ask_honestly(port, honest_s, log))
        finally:
            end(attack, signal.SIGTERM, 10.0)
            gateway.stop()
    print(
        f"  {min(run.stalled):,} to {max(run.stalled):,} of {count:,} stalled, "
        f"{len(run.took_s):,} honest requests, refused {dict(run.refused)}",
        file=sys.stderr,
        flush=True,
    )
    return run


def _wait_for(log: Path, count: int) -> None:
    deadline_s = time.monotonic() + CONNECT_S_MAX
    while _connected(log) < count * FULL:
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"only {_connected(log)} of {count} are connected")
        time.sleep(LOOK_EVERY_S)


def _connected(log: Path) -> int:
    said = log.read_text("utf-8").split()
    return int(said[-1]) if said else 0


async def _ask_honestly(port: int, honest_s: float, log: Path) -> Run:
    run, ends_s = Run(), time.monotonic() + honest_s
    while time.monotonic() < ends_s:
        run.stalled.append(_connected(log))
        for request in (post(f"{WAVE}/tickets"), BOARD + b"\r\n"):
            await _ask(port, request, run)
        await asyncio.sleep(2 / HONEST_PER_S)
    return run


async def _ask(port: int, request: bytes, run: Run) -> None:
    began_s = time.perf_counter()
    try:
        async with asyncio.timeout(ANSWER_S_MAX):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(request)
                status = (await reader.readline())[9:12].decode()
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        status = type(error).__name__
    run.took_s.append(time.perf_counter() - began_s)
    if status not in {"200", "201"}:
        run.refused[status or "closed"] += 1


async def attack(port: int, count: int) -> None:
    """Keep so many connections stalled until told to end, and say how many are."""
    connected: set[int] = set()
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            begins_s = number / count * RAMP_S  # or all would end, and come again, in one second
            tasks.create_task(_stall(port, number, begins_s, connected))
        while True:
            print(len(connected), flush=True)
            await asyncio.sleep(LOOK_EVERY_S)


async def _stall(port: int, number: int, begins_s: float, connected: set[int]) -> None:
    loop, way = asyncio.get_running_loop(), number % len(WAYS)
    await asyncio.sleep(begins_s)
    while True:
        try:
            make = partial(_Staller, reads=WAYS[way] is not UNREAD)
            transport, made = await loop.create_connection(make, "127.0.0.1", port)
        except OSError:
            await asyncio.sleep(LOOK_EVERY_S)
            continue
        connected.add(number)
        transport.write(WAYS[way])
        await made.gone
        connected.discard(number)


class _Staller(asyncio.Protocol):
    def __init__(self, *, reads: bool) -> None:
        self._reads = reads
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:  # uvloop's is no asyncio.Transport
        if not self._reads:
            transport.pause_reading()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.gone.done():
            self.gone.set_result(None)


if __name__ == "__main__":
    _descriptors()
    uvloop.run(attack(int(sys.argv[1]), int(sys.argv[2])))
