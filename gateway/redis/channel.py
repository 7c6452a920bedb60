"""One connection to Redis, one command at a time, and a definite word on what became of it.

``redis.asyncio``'s connection without its client: the client hides whether a failed command was sent.
Here a failure before the command left is ``PortUnavailableError``, one after it ``OutcomeUnknownError``.
A connection with an unanswered command is closed, never used again: its answer would reach another.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

from hiredis import pack_command
from redis.asyncio.connection import Connection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError, NoScriptError, RedisError, ResponseError

from gateway.ports import OutcomeUnknownError, PortUnavailableError, RoomMissingError
from gateway.redis.lua import load

PROBE_S = 1.0  # after a failed connect nobody tries again for so long
CONNECT_S = 0.1

Timed = Callable[[str, float], None]  # a script's name or OTHER, seconds
OTHER = "other"  # a command that is no script
# Who is told how long each command took: one for all adapters of a process, chosen before they are made.
TIMED: ContextVar[Timed | None] = ContextVar("timed", default=None)


class AnotherEpochError(RoomMissingError):
    """The room is another than the caller has seen: made anew, or recovered."""


class NotPermittedError(PortUnavailableError):
    """The server's rules keep our user from a command that is needed."""


class _ConnectionClosedError(OutcomeUnknownError):
    """The server hung up before it answered."""


class Channel:
    """A connection with a deadline per command. Callers queue; bound their number above it."""

    def __init__(self, url: str, *, deadline_s: float) -> None:
        options = dict(parse_url(url))
        self._connection_class: Any = options.pop("connection_class", Connection)
        self._options = options
        self._deadline_s = deadline_s
        self._timed = TIMED.get()
        self._connection: Any = None
        self._lock = asyncio.Lock()
        self._closed_until = 0.0  # monotonic seconds

    async def run(self, name: str, keys: Sequence[str], args: Sequence[str | bytes | int]) -> Any:
        """Run one script, loading it where the server has forgotten it.

        Raises:
            PortUnavailableError: nothing was sent.
            OutcomeUnknownError: it was sent, and no answer came within the deadline.
            RoomMissingError: the server holds no such room, another epoch of it, or one not confirmed.
        """
        script = load(name)
        async with self._lock:
            try:
                return await self._command(name, "EVALSHA", script.sha, len(keys), *keys, *args)
            except NoScriptError:
                return await self._command(name, "EVAL", script.text, len(keys), *keys, *args)

    async def command(self, *parts: str | bytes | int, deadline_s: float | None = None) -> Any:
        """Send one command and return its answer. Raises as ``run`` does."""
        async with self._lock:
            return await self._command(OTHER, *parts, deadline_s=deadline_s)

    async def close(self) -> None:
        """Close the connection."""
        async with self._lock:
            await self._drop()

    async def _command(
        self, name: str, *parts: str | bytes | int, deadline_s: float | None = None
    ) -> Any:
        """Send and await; once again where the server had closed the connection.

        Every script may be repeated, and a server that was restarted leaves dead connections behind.
        """
        try:
            return await self._attempt(name, *parts, deadline_s=deadline_s)
        except _ConnectionClosedError as closed:
            try:
                return await self._attempt(name, *parts, deadline_s=deadline_s)
            except PortUnavailableError:
                raise closed from None  # nothing was sent now, but the first try had been

    async def _attempt(self, name: str, *parts: str | bytes | int, deadline_s: float | None) -> Any:
        connection = await self._connected()
        # In C: the client's own packing takes a third of the time of a batch.
        packed = pack_command(parts)  # type: ignore[arg-type]  # its stub knows tuples of one
        started_s = time.perf_counter()
        try:
            async with asyncio.timeout(deadline_s or self._deadline_s):
                await connection.send_packed_command(packed)
                answer = await connection.read_response()
        except NoScriptError:
            raise
        except ResponseError as error:
            raise _refusal(error) from error
        except TimeoutError as error:
            await self._drop()
            raise OutcomeUnknownError("no answer from Redis in time") from error
        except (RedisError, OSError) as error:
            await self._drop()
            raise _ConnectionClosedError("Redis closed the connection") from error
        except BaseException:  # cancelled in mid-command: the answer would reach the next caller
            await self._drop()
            raise
        finally:  # what has a deadline of its own is meant to wait
            if self._timed is not None and deadline_s is None:
                self._timed(name, time.perf_counter() - started_s)
        if isinstance(answer, ResponseError):
            raise _refusal(answer)
        return answer

    async def _connected(self) -> Any:
        if self._connection is not None and self._connection.is_connected:
            return self._connection
        wait_s = self._closed_until - time.monotonic()
        if wait_s > 0:
            raise PortUnavailableError("Redis was away a moment ago", retry_after_s=wait_s)
        connection = self._connection_class(
            **self._options,
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=CONNECT_S,
            socket_timeout=None,  # the deadline is ours, per command
            protocol=2,
            driver_info=None,  # its default reads a file, and there may be no descriptor left for it
        )
        try:
            async with asyncio.timeout(CONNECT_S + self._deadline_s):
                await connection.connect()
        except (RedisError, OSError, TimeoutError) as error:
            self._closed_until = time.monotonic() + PROBE_S
            await connection.disconnect(nowait=True)
            raise PortUnavailableError("Redis cannot be reached", retry_after_s=PROBE_S) from error
        self._connection = connection
        return connection

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)


def _refusal(error: ResponseError) -> Exception:
    """Translate what the server, or a script, refused."""
    word = str(error).split(" ", 1)[0]
    if word == "EPOCH":
        return AnotherEpochError(str(error))
    if word in {"MISSING", "BEHIND", "UNCONFIRMED", "RECOVERING", "NOGROUP"}:
        return RoomMissingError(str(error))
    if word in {"LOADING", "READONLY", "MISCONF", "OOM", "BUSY", "MASTERDOWN"}:
        return PortUnavailableError(f"Redis refuses to work now: {word}")
    if word == "ACL" or isinstance(error, NoPermissionError):  # the former inside a script
        return NotPermittedError(f"Redis: {error}")
    return error
