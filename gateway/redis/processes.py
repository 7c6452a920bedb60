"""Who serves? One row per live process, told every second, forgotten after a minute of silence."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.ports import OutcomeUnknownError, PortUnavailableError
from gateway.redis.channel import Channel
from gateway.redis.keys import processes_key

LIVE_US = 5_000_000
FORGOTTEN_US = 60_000_000


class RedisProcesses:
    """The table of processes in one Redis or Valkey."""

    def __init__(self, url: str, prefix: str) -> None:
        self._key = processes_key(prefix)
        self._channel = Channel(url, deadline_s=1.0)

    async def report(self, process_id: str, row: Mapping[str, Any]) -> None:
        """Tell how this process stands."""
        text = json.dumps({**row, "process": process_id, "at_us": await self._now_us()})
        await self._command("HSET", self._key, process_id, text)

    async def alive(self) -> Sequence[Mapping[str, Any]]:
        """Return the rows of the processes that were heard of in the last five seconds."""
        now_us = await self._now_us()
        flat = await self._command("HGETALL", self._key)
        rows = [json.loads(text) for text in flat[1::2]]
        silent = [row["process"] for row in rows if now_us - row["at_us"] > FORGOTTEN_US]
        if silent:
            await self._command("HDEL", self._key, *silent)
        return [
            {**row, "age_s": round((now_us - row["at_us"]) / 1e6, 3)}
            for row in sorted(rows, key=lambda row: str(row["process"]))
            if now_us - row["at_us"] <= LIVE_US
        ]

    async def forget(self, process_id: str) -> None:
        """Take this process's row away: it is draining."""
        await self._command("HDEL", self._key, process_id)

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()

    async def _now_us(self) -> int:
        seconds, micros = await self._command("TIME")
        return int(seconds) * 1_000_000 + int(micros)

    async def _command(self, *parts: str | int) -> Any:
        try:
            return await self._channel.command(*parts)
        except OutcomeUnknownError as error:
            raise PortUnavailableError(str(error)) from error
