"""Where adapters meet services: the two long-lived processes, put together and taken apart.

This is the only module that knows every ring. Start: safety of Redis, rooms, ticks, listeners, ready.
End: told to drain, stop listening, finish what is under way, close.
"""

import asyncio
import contextlib
import os
import random
import secrets as system_random
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from gateway.core.programme import Programme
from gateway.faults import ConfigurationError, Fault
from gateway.ports import PortError, PortUnavailableError
from gateway.redis.intake import RedisIntake
from gateway.redis.policy import RedisPolicies
from gateway.redis.processes import RedisProcesses
from gateway.redis.room import RedisRooms
from gateway.redis.safety import RedisSafety
from gateway.secrets import Secrets
from gateway.services.admission import Admission, Ticker
from gateway.services.front_door import FrontDoor
from gateway.services.intake import Intake
from gateway.services.rooms import Rooms
from gateway.settings import Settings

REDIS_WAIT_S = 30.0  # a server that replays its log takes its time
SAFETY_EVERY_S = 10.0


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
    """Open the adapters, and close them again."""
    url, prefix = settings.redis.url, settings.redis.prefix
    adapters = Redis(
        RedisRooms(url, prefix),
        RedisIntake(url, prefix),
        RedisPolicies(url, prefix),
        RedisProcesses(url, prefix),
        RedisSafety(url),
    )
    try:
        yield adapters
    finally:
        for name in ("rooms", "intake", "policies", "processes", "safety"):
            await getattr(adapters, name).close()
