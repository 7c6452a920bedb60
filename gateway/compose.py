"""Where adapters meet services: the two long-lived processes, put together and taken apart.

This is the only module that knows every ring. A front door starts with the safety of its Redis, then
rooms, ticks and listeners; it ends by draining: not ready, no new connections, finish, close.
"""

import asyncio
import os
import random
import secrets as system_random
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from gateway.core.programme import Programme, Wave
from gateway.faults import ConfigurationError, Fault
from gateway.ports import PortUnavailableError
from gateway.redis.intake import RedisIntake
from gateway.redis.policy import RedisPolicies
from gateway.redis.processes import RedisProcesses
from gateway.redis.room import RedisRooms
from gateway.redis.safety import RedisSafety
from gateway.secrets import Secrets
from gateway.services.admission import Admission, Ticker
from gateway.services.delivery import Delivery
from gateway.services.front_door import FrontDoor
from gateway.services.intake import Intake
from gateway.services.rooms import Rooms
from gateway.settings import Settings
from gateway.stores.opening import open_store
from gateway.web.cookies import Cookies
from gateway.web.listener import start_site
from gateway.web.problems import ProblemStyle
from gateway.web.public import PublicServices, public_app

REDIS_WAIT_S = 30.0  # a server that replays its log takes its time
REDIS_PROBE_S = 0.1

Programmes = Sequence[Programme]


class _Witness:
    def ticked(self, room): pass
    def missed(self, room, error): print("missed", room.wave.id, repr(error))


class _Meter:
    def batch(self, took_s): pass
    def settled(self, recording, count): pass
    def failure(self, failure): print("failure", failure)
    def oldest_age_s(self, age_s): pass



@dataclass(frozen=True, slots=True)
class Redis:
    """All adapters on one Redis."""

    rooms: RedisRooms
    intake: RedisIntake
    policies: RedisPolicies
    processes: RedisProcesses
    safety: RedisSafety


@asynccontextmanager
async def redis_adapters(settings: Settings) -> AsyncIterator[Redis]:
    """Open the adapters, wait for a Redis that keeps its promises, and close them at the end.

    Raises:
        ConfigurationError: the server may lose what it acknowledges, or cannot be reached.
    """
    url, prefix = settings.redis.url, settings.redis.prefix
    redis = Redis(
        rooms=RedisRooms(url, prefix),
        intake=RedisIntake(url, prefix),
        policies=RedisPolicies(url, prefix),
        processes=RedisProcesses(url, prefix),
        safety=RedisSafety(url),
    )
    async with AsyncExitStack() as stack:
        for adapter in (redis.rooms, redis.intake, redis.policies, redis.processes, redis.safety):
            stack.push_async_callback(adapter.close)
        await _check_safety(redis, settings)
        yield redis


async def _check_safety(redis: Redis, settings: Settings) -> None:
    deadline_s = time.monotonic() + REDIS_WAIT_S
    while True:
        try:
            findings = await redis.safety.findings()
            break
        except PortUnavailableError as error:
            if time.monotonic() > deadline_s:
                fault = Fault("redis.url", "", f"no answer within {REDIS_WAIT_S:g} s: {error}")
                raise ConfigurationError(fault) from error
            await asyncio.sleep(REDIS_PROBE_S)
    if findings and not settings.redis.unsafe_ok:
        raise ConfigurationError(*(Fault("redis", "", str(finding)) for finding in findings))


def waves_of(programmes: Programmes) -> list[Wave]:
    """Return the waves of all programmes."""
    return [wave for programme in programmes for wave in programme.waves]


async def serve(
    settings: Settings, programmes: Programmes, secrets: Secrets, *, ready: Callable[[], None]
) -> None:
    """Run one front door until SIGTERM or SIGINT, then drain."""
    stop = _stop_on_signals()
    async with redis_adapters(settings) as redis:
        rooms = Rooms({p.id: p for p in programmes}, secrets.draw, time.monotonic)
        for room in rooms:
            await redis.rooms.create(room.wave)
        ticker = Ticker(
            rooms,
            redis.rooms,
            redis.policies,
            _Witness(),
            tick_s=settings.redis.tick_ms / 1000,
            rng=random.Random(),  # noqa: S311  it spreads ticks, nothing secret
        )
        for room in rooms:
            await ticker.tick(room)
        ticking = asyncio.create_task(ticker.run(stop))
        public = await start_site(
            public_app(_public_services(settings, programmes, secrets, redis, rooms), ProblemStyle(base=settings.serve.problem_base)),
            settings.public.host,
            settings.public.port,
        )
        ready()
        await stop.wait()
        await public.close(settings.serve.drain_s)
        await ticking


async def deliver(
    settings: Settings, programmes: Programmes, secrets: Secrets, *, ready: Callable[[], None]
) -> None:
    """Run one delivery until SIGTERM or SIGINT; the batch in flight is settled first."""
    del secrets  # delivery signs nothing
    stop = _stop_on_signals()
    store = open_store(settings.store.url)
    async with redis_adapters(settings) as redis:
        for wave in waves_of(programmes):
            await redis.rooms.create(wave)
        ready()
        delivery = Delivery(
            redis.intake,
            store,
            waves_of(programmes),
            consumer=f"{os.uname().nodename}-{os.getpid()}",
            max_per_s=settings.store.max_per_s,
            batch_max=settings.store.batch_max,
            meter=_Meter(),
            rng=random.Random(),  # noqa: S311  it spreads retries, nothing secret
            now_us=lambda: time.time_ns() // 1000,
        )
        await delivery.run(stop)
        await store.close()


def _public_services(
    settings: Settings, programmes: Programmes, secrets: Secrets, redis: Redis, rooms: Rooms
) -> PublicServices:
    return PublicServices(
        rooms=rooms,
        front_door=FrontDoor(redis.rooms, secrets.ticket, system_random.token_bytes),
        admission=Admission(redis.rooms, secrets.pass_),
        intake=Intake(
            redis.intake,
            tuple(programme.id for programme in programmes),
            secrets.pepper,
            system_random.token_bytes,
        ),
        cookies=Cookies(secrets.ticket, secrets.pass_, settings.serve.secure_cookies),
    )


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop
