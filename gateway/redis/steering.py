"""The autopilot's lease and what it sets: the steering port in Redis. Round trips: one each."""

from gateway.core.programme import Wave
from gateway.ports import OutcomeUnknownError, PortUnavailableError
from gateway.redis.channel import Channel
from gateway.redis.keys import lease_key
from gateway.redis.wave import WaveScripts


class RedisSteering:
    """``SteeringPort`` on one Redis or Valkey."""

    def __init__(self, url: str, prefix: str) -> None:
        self._prefix = prefix
        self._channel = Channel(url, deadline_s=0.5)

    async def lease(self, holder: str, life_s: float) -> int:
        """Take or renew the lease; answer its fence, 0 where another holds it."""
        args: list[str | bytes | int] = [holder, round(life_s * 1_000_000)]
        try:
            return int(await self._channel.run("lease", [lease_key(self._prefix)], args))
        except OutcomeUnknownError as error:
            raise PortUnavailableError(str(error)) from error

    async def steer(self, wave: Wave, fence: int, milli_per_s: int) -> bool:
        """Hold the rate; False: a later lease is in use."""
        scripts = WaveScripts(self._prefix, wave)
        try:
            return bool(await scripts.run(self._channel, "steer", "", [fence, milli_per_s]))
        except OutcomeUnknownError as error:
            raise PortUnavailableError(str(error)) from error

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()
