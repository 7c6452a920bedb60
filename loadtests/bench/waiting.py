"""What does waiting cost? Redis memory for each who waits, commands per second, and the time of a tick."""

import asyncio
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import aiohttp
import redis

from gateway.core.policy import Policy
from loadtests import system
from loadtests.bench.crowd import START_US
from loadtests.bench.live import room_key
from loadtests.bench.rows import Row, Wanted
from loadtests.bench.scripts import VirtualScripts, programme_of
from loadtests.bench.server import quick_server
from loadtests.evidence import Terms

JOINED = 1_300_000
LEFT_SHARE = 0.2
FEW, MANY = 10_000, 10_000_000
CHECK_IN_S = 5
POLICY = Policy(
    rate_per_s=300.0, burst=30, form_cap=10**6, quota=10**7, check_in_s=CHECK_IN_S, intake_cap=10**7
)
NEAR = 4_500  # three check-in intervals of admissions
LATE = 1_000  # present, anywhere below `called`
STEP_US = 25_000
TIMES = 200  # calls that are timed
CLAIMS = 100  # in one batch
POLLS_PER_S = 200
OPENS_S = 6.0
MEASURED_S = 30.0
QUICK_TICKS = "[redis]\ntick_ms = 50\n"  # four times as many: their jitter averages out sooner


def rows(quick: bool) -> Sequence[Row]:
    """Return the rows."""
    seconds = 4.0 if quick else MEASURED_S
    room = [
        Row(
            "bytes of Redis per waiting visitor",
            Wanted(high=1.0),
            partial(memory, 1 if quick else 3),
        ),
        Row("tick at 10 M, ms", Wanted(high=2.0, by_median=True), ticks_ms),
        Row(f"{CLAIMS} claims at 10 M, ms", Wanted(high=5.0, by_median=True), claims_ms),
    ]
    if quick:  # too short to tell one load from the other
        return room
    return [
        *room,
        Row(
            "commands/s at 10 M / at 10 k",
            Wanted(0.95, 1.05, by_median=True),
            lambda: [commands_per_s(MANY, seconds) / commands_per_s(FEW, seconds)],
        ),
    ]


@contextmanager
def _room(joined: int, called: int) -> Iterator[tuple[Any, VirtualScripts, Callable[..., int]]]:
    """Yield a server, the scripts of an open room with so many in it, and a clock of 25 ms steps."""
    now_us = START_US

    def later(step_us: int = STEP_US) -> int:
        nonlocal now_us
        now_us += step_us
        return now_us

    wave = programme_of(POLICY, START_US + 1, START_US + 10**10).waves[0]
    with quick_server() as client:
        scripts = VirtualScripts(client, wave)
        scripts.create(START_US)
        scripts.tick(START_US)
        scripts.run("join", START_US, [joined])
        scripts.tick(later())
        near = range(called, called + NEAR)
        client.hset(scripts.room, mapping={"called": called, "near": near.stop, "ripe": called})
        for _ in range(2 * CHECK_IN_S + 2):  # both bitmaps of presence turn over
            scripts.tick(later(1_000_000), [*near, joined - 1])
        yield client, scripts, later


def memory(times: int) -> Sequence[float]:
    """Return used_memory per waiting visitor, beside that of a small room: all bitmaps at full length.

    Bitmaps grow in steps: of the crowds that are measured, each ends elsewhere in one.
    """
    crowds = [JOINED + 20_000 * nth for nth in range(times)]
    few = _used_bytes(FEW)
    return [(_used_bytes(crowd) - few) / (crowd - FEW) / (1 - LEFT_SHARE) for crowd in crowds]


def _used_bytes(joined: int) -> int:
    with _room(joined, joined // 4) as (client, scripts, later):
        leaving = random.Random(1).sample(range(joined), round(LEFT_SHARE * joined))
        for first in range(0, len(leaving), 500):
            pairs = [(number, number) for number in leaving[first : first + 500]]
            scripts.run("leave", later(), [part for pair in pairs for part in pair])
        for name in ("missed", "lost"):
            client.setbit(scripts.key(name), joined - 1, 1)
        while _info(client, "memory")["lazyfree_pending_objects"]:  # what RENAME has replaced
            time.sleep(0.01)
        return int(client.memory_stats()["dataset.bytes"])  # used_memory less clients and scripts


@cache
def _timed() -> tuple[Sequence[float], Sequence[float]]:
    """Return the times of ticks and of batches of claims, in ms, with half of 10 M called."""
    called = MANY // 2
    dice = random.Random(1)
    ticks, claims = [], []
    with _room(MANY, called) as (_, scripts, later):
        late = dice.sample(range(called), LATE)
        scripts.run("claim", later(), [part for number in late for part in (number, number)])
        for _ in range(TIMES):
            seen = dice.sample(range(called, called + NEAR), 50)
            ticks.append(_ms(partial(scripts.tick, later(), seen)))
            batch = dice.sample(late, CLAIMS)
            pairs = [part for number in batch for part in (number, number)]
            claims.append(_ms(partial(scripts.run, "claim", later(), pairs)))
    return ticks, claims


def ticks_ms() -> Sequence[float]:
    """Return how long ticks take."""
    return _timed()[0]


def claims_ms() -> Sequence[float]:
    """Return how long batches of claims take, most of which find no token."""
    return _timed()[1]


def _ms(call: Callable[[], Any]) -> float:
    began_s = time.perf_counter()
    call()
    return (time.perf_counter() - began_s) * 1_000


def commands_per_s(people: int, seconds: float) -> float:
    """Return what two `serve` send to Redis with so many in the room, under the same polls.

    Admissions are paused, so that both rooms stay as they are; the polls are for the board, as those of the
    far are. Commands inside scripts count too.
    """
    terms = Terms(people, rate_per_s=50.0, burst=5, quota=1_000)
    with tempfile.TemporaryDirectory(prefix="gw-bench-") as name:
        gateway = system.start(Path(name), terms, opens_s=OPENS_S, more=QUICK_TICKS)
        try:
            with redis.Redis(unix_socket_path=f"{name}/data/valkey.sock") as client:
                room: Any = client
                room.hset(room_key("room"), "paused", 1)
                room.hset(room_key("room"), "issued", people)
                while not (board := gateway.board())["near"]:  # the draw is yet to come
                    time.sleep(0.1)
                if board["cohort"] < people:
                    raise RuntimeError("the wave opened before they were in the room")
                before, began_s = _commands(room), time.monotonic()
                asyncio.run(_poll(gateway.url, seconds))
                return (_commands(room) - before) / (time.monotonic() - began_s)
        finally:
            gateway.stop()


async def _poll(url: str, seconds: float) -> None:
    """Ask for the board, evenly, whatever the answers take."""
    path = f"/v1/waves/{system.WAVE}/board"
    async with aiohttp.ClientSession(url) as session:

        async def ask() -> None:
            async with session.get(path) as answer:
                answer.raise_for_status()
                await answer.read()

        async with asyncio.TaskGroup() as tasks:
            for _ in range(round(seconds * POLLS_PER_S)):
                tasks.create_task(ask())
                await asyncio.sleep(1 / POLLS_PER_S)


def _commands(client: Any) -> int:
    return int(_info(client, "stats")["total_commands_processed"])


def _info(client: Any, section: str) -> dict[str, Any]:
    answer: dict[str, Any] = client.info(section)
    return answer
