"""Where adapters meet services: a front door, put together and taken apart.

This module and ``compose_deliver`` are the only ones that know every ring. A front door starts with the
safety of its Redis, then rooms, ticks and listeners; it ends by draining: not ready, no new connections,
finish, close.
"""

import asyncio
import os
import random
import secrets as system_random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

from aiohttp import web

from gateway.core.draw import committed
from gateway.core.programme import Programme
from gateway.lifecycle import (
    process_name,
    running,
    settle_heap,
    stop_on_signals,
    supervisor,
    wall_clock_us,
)
from gateway.logs import configure
from gateway.metrics import Metrics, metrics_directory
from gateway.operators import OperatorsFile
from gateway.pressure import watch_pressure
from gateway.redis.channel import TIMED, Timed
from gateway.redis.fence import Fences
from gateway.redis.intake import RedisIntake
from gateway.redis.policy import RedisPolicies
from gateway.redis.processes import RedisProcesses
from gateway.redis.recovery import RedisRecovery
from gateway.redis.room import RedisRooms
from gateway.redis.safety import RedisSafety
from gateway.redis.steering import RedisSteering
from gateway.redis.tail import RedisTail
from gateway.secrets import Secrets
from gateway.services.admission import Admission, Ticker
from gateway.services.changes import PolicyDesk
from gateway.services.dead_letters import DeadLetters
from gateway.services.front_door import FrontDoor
from gateway.services.intake import Intake
from gateway.services.operations import Condition, Operations
from gateway.services.rooms import Rooms
from gateway.services.steward import Steward
from gateway.settings import Operator, Public, Settings
from gateway.store_settings import sealed
from gateway.watches import (
    check_safety,
    report_process,
    see_rooms,
    watch_fleet,
    watch_loop,
    watch_safety,
)
from gateway.web.clients import Proxies
from gateway.web.cookies import Cookies
from gateway.web.gate import Gate
from gateway.web.lane import Lane
from gateway.web.lane_table import make_lane
from gateway.web.listener import Site, start_site
from gateway.web.operator import Services, operator_app
from gateway.web.problems import ProblemStyle
from gateway.web.public import PublicServices, public_app
from gateway.web.rendering import Pages
from gateway.web.self_check import check_limits
from gateway.web.site import page_routes
from gateway.web.throttle import Throttle
from gateway.web.traffic import Traffic

Programmes = Sequence[Programme]


@dataclass(frozen=True, slots=True)
class Redis:
    """All adapters on one Redis."""

    rooms: RedisRooms
    intake: RedisIntake
    policies: RedisPolicies
    processes: RedisProcesses
    recovery: RedisRecovery
    safety: RedisSafety
    steering: RedisSteering
    tail: RedisTail
    fences: Fences


@asynccontextmanager
async def redis_adapters(
    settings: Settings, secrets: Secrets, condition: Condition, timed: Timed
) -> AsyncIterator[Redis]:
    """Open the adapters, wait for a Redis that keeps its promises, and close them at the end.

    Raises:
        ConfigurationError: the server may lose what it acknowledges, or cannot be reached.
    """
    TIMED.set(timed)
    url, prefix, fences = settings.redis.url, settings.redis.prefix, Fences()
    redis = Redis(
        rooms=RedisRooms(url, prefix, fences, commitment=partial(committed, secrets.draw)),
        intake=RedisIntake(url, prefix, fences, lambda: condition.may_lose),
        policies=RedisPolicies(url, prefix),
        processes=RedisProcesses(url, prefix),
        recovery=RedisRecovery(url, prefix, fences),
        safety=RedisSafety(url),
        steering=RedisSteering(url, prefix),
        tail=RedisTail(url, prefix),
        fences=fences,
    )
    async with AsyncExitStack() as stack:
        for field in fields(redis):
            if field.name != "fences":
                stack.push_async_callback(getattr(redis, field.name).close)
        await check_safety(redis.safety, condition, unsafe_ok=settings.redis.unsafe_ok)
        yield redis


async def serve(
    settings: Settings,
    programmes: Programmes,
    secrets: Secrets,
    config: Path | None = None,
    *,
    ready: Callable[[], None],
) -> None:
    """Run one front door until SIGTERM or SIGINT, then drain."""
    told_to_stop = stop_on_signals()
    configure(settings.log.level)
    metrics = Metrics(metrics_directory(settings.data.dir))
    condition = Condition(process=process_name(), pid=os.getpid())
    pages = Pages(programmes)
    style = ProblemStyle(base=settings.serve.problem_base)
    page_style = ProblemStyle(base=style.base, render=pages.problem)
    await check_limits()
    async with redis_adapters(settings, secrets, condition, metrics.redis_answered) as redis:
        rooms = Rooms({p.id: p for p in programmes}, secrets.draw, time.monotonic)
        ticker = _ticker(settings, redis, rooms, metrics)
        await see_rooms(ticker, rooms)
        operations = Operations(rooms, redis.processes, condition, now_us=wall_clock_us)
        steward = Steward(rooms, redis.policies, lambda: condition.fleet_traffic)
        proxies = Proxies(settings.front.trusted)
        gate = Gate(style.base, time.process_time)
        traffic = Traffic(metrics, gate)
        throttle = partial(Throttle, proxies=proxies, gate=gate)
        services = _public_services(settings, programmes, secrets, redis, rooms, pages, throttle)
        app = public_app(services, page_style, partial(page_routes, pages=pages), meter=traffic)
        lane = make_lane(services, pages, gate)
        settle_heap()  # before anybody comes: it takes a while
        public = await _site(settings.public, app, lane, proxies)
        operators = OperatorsFile(settings.secrets.dir)
        render = partial(metrics.render, rooms)
        desk = Services(
            operations,
            PolicyDesk(rooms, redis.policies, redis.processes),
            DeadLetters(redis.tail),
            steward,
            rooms,
            redis.rooms,
            supervisor(settings, config),
        )
        behind = operator_app(desk, operators, render, metrics, style, console_key=secrets.console)
        operator = await _site(settings.operator, behind)
        async with running(
            ticker.run,
            steward.run,
            partial(watch_loop, metrics),
            partial(watch_pressure, lane, public, rooms, metrics, traffic, condition),
            partial(watch_safety, redis.safety, condition),
            partial(watch_fleet, redis.processes, rooms, condition),
            partial(report_process, redis.processes, operations, redis.fences),
        ):
            ready()
            await told_to_stop.wait()
            await _drain(settings, public, condition)
        await operator.close(1.0)
    metrics.close()


async def _drain(settings: Settings, public: Site, condition: Condition) -> None:
    condition.draining = True
    await asyncio.sleep(settings.serve.unready_s)  # until the balancers know
    await public.close(settings.serve.drain_s)


def _ticker(settings: Settings, redis: Redis, rooms: Rooms, metrics: Metrics) -> Ticker:
    return Ticker(
        rooms,
        redis.rooms,
        redis.policies,
        metrics,
        tick_s=settings.redis.tick_ms / 1000,
        rng=random.Random(),  # noqa: S311  it spreads ticks, nothing secret
    )


def _public_services(
    settings: Settings,
    programmes: Programmes,
    secrets: Secrets,
    redis: Redis,
    rooms: Rooms,
    pages: Pages,
    throttle: Callable[..., Throttle],
) -> PublicServices:
    cookies = Cookies(secrets.ticket, secrets.pass_, settings.serve.secure_cookies)
    return PublicServices(
        rooms=rooms,
        front_door=FrontDoor(redis.rooms, secrets.ticket, system_random.token_bytes),
        admission=Admission(redis.rooms, secrets.pass_),
        intake=Intake(
            sealed(redis.intake, settings, secrets),
            tuple(programme.id for programme in programmes),
            secrets.pepper,
            system_random.token_bytes,
        ),
        cookies=cookies,
        throttle=throttle(
            cookies,
            problem_base=settings.serve.problem_base,
            joins_per_min=settings.front.joins_per_min,
            polls_per_min=settings.front.polls_per_min,
        ),
        receipt_page=pages.receipt,
    )


async def _site(
    listener: Public | Operator,
    app: web.Application,
    lane: Lane | None = None,
    proxies: Proxies = Proxies(),  # noqa: B008  trusts nobody
) -> Site:
    """Listen, sharing the address with the other processes of this machine."""
    return await start_site(
        app,
        listener.host,
        listener.port,
        lane=lane,
        proxies=proxies,
        descriptor=listener.descriptor,
    )
