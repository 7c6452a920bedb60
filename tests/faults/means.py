"""How each kind of fault is done, and undone: one context per kind, entered at its time.

What depends on the store is the store's own.
"""

import asyncio
import contextlib
import random
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import redis

from tests.faults import hooks
from tests.faults.processes import Slot, send
from tests.faults.schedules import Fault, Kind
from tests.faults.world import World

Mean = Callable[[World, Fault], AbstractAsyncContextManager[None]]
DAY_US, HOUR_US = 86_400_000_000, 3_600_000_000
CONNECTIONS = 400


async def perform(world: World, fault: Fault) -> None:
    """Let one fault happen for its length."""
    own = world.store.means.get(fault.kind)
    async with own() if own else MEANS[fault.kind](world, fault):
        await asyncio.sleep(fault.length_s)


def _door(world: World, fault: Fault) -> Slot:
    return world.doors[fault.target % len(world.doors)]


def _delivery(world: World, fault: Fault) -> Slot:
    return world.deliveries[fault.target % len(world.deliveries)]


def _server(world: World, _: Fault) -> Slot:
    return world.server


Choice = Callable[[World, Fault], Slot]


@asynccontextmanager
async def _killed(choose: Choice, world: World, fault: Fault) -> AsyncIterator[None]:
    async with world.server_lock if choose is _server else contextlib.nullcontext():
        with choose(world, fault).down():
            yield


@asynccontextmanager
async def _stopped(choose: Choice, world: World, fault: Fault) -> AsyncIterator[None]:
    pid = choose(world, fault).pid
    if pid is not None:
        send(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        if pid is not None:
            send(pid, signal.SIGCONT)


@asynccontextmanager
async def _command(*parts: str, world: World, fault: Fault) -> AsyncIterator[None]:
    """Have Valkey hold still by its own command; it says nothing until that is over."""
    holding = asyncio.create_task(world.command(*parts))
    try:
        yield
    finally:
        with contextlib.suppress(redis.RedisError, OSError):
            await holding


def _paused(world: World, fault: Fault) -> AbstractAsyncContextManager[None]:
    mode = ("ALL", "WRITE")[fault.target]
    ms = str(round(fault.length_s * 1000))
    return _command("CLIENT", "PAUSE", ms, mode, world=world, fault=fault)


def _asleep(world: World, fault: Fault) -> AbstractAsyncContextManager[None]:
    return _command("DEBUG", "SLEEP", str(fault.length_s), world=world, fault=fault)


@asynccontextmanager
async def _link(world: World, fault: Fault, **states: object) -> AsyncIterator[None]:
    """Disturb the way between one process and Valkey."""
    names = sorted(world.links)
    link = world.links[names[random.Random(f"{fault}").randrange(len(names))]]
    healthy = {name: getattr(link, name) for name in states}
    vars(link).update(states)
    try:
        yield
    finally:
        vars(link).update({name: type(value)() for name, value in healthy.items()})


@asynccontextmanager
async def _answers_lost(world: World, fault: Fault) -> AsyncIterator[None]:
    line = world.lines[fault.target % len(world.lines)]
    line.cut_replies = True
    try:
        yield
    finally:
        line.cut_replies = False


@asynccontextmanager
async def _switch(name: str, world: World, fault: Fault) -> AsyncIterator[None]:
    with hooks.switched(world.folder / name):
        yield


@asynccontextmanager
async def _power_lost(world: World, fault: Fault) -> AsyncIterator[None]:
    async with world.server_lock:
        with world.server.down():
            await world.server.gone()
            world.control.lose_power(world.valkey_folder / "appendonlydir")
            yield


@asynccontextmanager
async def _fsync_stalls(world: World, fault: Fault) -> AsyncIterator[None]:
    """Each fsync takes a fifth of the fault's length."""
    us = round(fault.length_s * 200_000)
    world.control.stall_fsync(us)
    try:
        yield
    finally:
        world.control.stall_fsync(-us)


@asynccontextmanager
async def _disk_full(world: World, fault: Fault) -> AsyncIterator[None]:
    if not world.has_small_disk:
        yield
        return
    ballast = world.valkey_folder / f"ballast-{fault.at_s}"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4_096))
    try:
        yield
    finally:
        ballast.unlink(missing_ok=True)  # a server that lost its folder has none


@asynccontextmanager
async def _descriptors_gone(world: World, fault: Fault) -> AsyncIterator[None]:
    """Hold more connections to one door than it may have descriptors."""
    port = world.urls[fault.target % len(world.urls)].rpartition(":")[2]
    tries = (asyncio.open_connection("127.0.0.1", int(port)) for _ in range(CONNECTIONS))
    opened = await asyncio.gather(*tries, return_exceptions=True)
    try:
        yield
    finally:
        for connection in opened:
            if not isinstance(connection, BaseException):
                connection[1].close()


@asynccontextmanager
async def _clock(us: int, world: World, fault: Fault) -> AsyncIterator[None]:
    world.control.step_clock(us)
    try:
        yield
    finally:
        world.control.step_clock(-us)


@asynccontextmanager
async def _emptied(world: World, fault: Fault) -> AsyncIterator[None]:
    while True:
        with contextlib.suppress(redis.RedisError, OSError):
            await world.client.flushall()
            break
        await asyncio.sleep(0.05)
    yield


@asynccontextmanager
async def _rolled_back(world: World, fault: Fault) -> AsyncIterator[None]:
    log, kept = world.valkey_folder / "appendonlydir", world.folder / f"kept-{fault.at_s}"
    async with world.server_lock:
        shutil.copytree(log, kept)
    yield
    async with world.server_lock:
        with world.server.down():
            await world.server.gone()
            shutil.rmtree(log)
            shutil.copytree(kept, log)


MEANS: Mapping[Kind, Mean] = {
    Kind.KILL_SERVE: partial(_killed, _door),
    Kind.KILL_DELIVER: partial(_killed, _delivery),
    Kind.KILL_VALKEY: partial(_killed, _server),
    Kind.STOP_SERVE: partial(_stopped, _door),
    Kind.STOP_DELIVER: partial(_stopped, _delivery),
    Kind.STOP_VALKEY: partial(_stopped, _server),
    Kind.PAUSE_VALKEY: _paused,
    Kind.SLEEP_VALKEY: _asleep,
    Kind.LINK_SLOW: partial(_link, delay_s=0.3),
    Kind.LINK_HANG: partial(_link, hang=True),
    Kind.LINK_CUT: partial(_link, hang=True, deaf=True),
    Kind.LINK_DEAF: partial(_link, deaf=True),
    Kind.LINK_CUT_REPLIES: partial(_link, cut_replies=True),
    Kind.ANSWERS_LOST: _answers_lost,
    Kind.STORE_ERRS: partial(_switch, hooks.ERRS),
    Kind.STORE_REFUSES: partial(_switch, hooks.REFUSES),
    Kind.DELIVER_DIES: partial(_switch, hooks.DIES),
    Kind.POWER_LOSS: _power_lost,
    Kind.FSYNC_STALL: _fsync_stalls,
    Kind.DISK_FULL: _disk_full,
    Kind.DESCRIPTORS: _descriptors_gone,
    Kind.CLOCK_FORWARD: partial(_clock, DAY_US),
    Kind.CLOCK_BACK: partial(_clock, -HOUR_US),
    Kind.EMPTIED: _emptied,
    Kind.ROLLED_BACK: _rolled_back,
}
