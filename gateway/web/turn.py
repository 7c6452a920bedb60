"""What is under way on a connection beside aiohttp? One act, and the bytes that came behind its request.

Answers keep the order of their requests: until this one is written nothing behind it is read. The bytes
are kept in the pieces in which they came, so that whoever reads them next sees what it would have seen.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

Begun = Callable[[], Awaitable[bytes]]  # an act that only has to be awaited for its whole answer


class Turning(Protocol):
    """The connection."""

    def finish_turn(self, answer: bytes, behind: Iterable[bytes]) -> None:
        """Write the answer, and go on with what has come behind its request."""

    def abort(self) -> None:
        """Drop the connection without another word."""


class Turn:
    """One act under way."""

    __slots__ = ("_act", "_behind", "_connection", "_deadline", "_running", "task")

    def __init__(self, connection: Turning, act: Begun, rest: bytes, deadline_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._connection, self._act = connection, act
        self._behind = [rest] if rest else []
        self._running = False
        self._deadline = loop.call_later(deadline_s, self._expire)
        self.task: asyncio.Task[Any] = loop.create_task(self._run())

    def hold(self, data: bytes) -> None:
        """Keep what has come too early. At most one read: the connection stops reading with it."""
        self._behind.append(data)

    async def _run(self) -> None:
        self._running = True
        try:
            answer = await self._act()
        except BaseException:
            self._connection.abort()
            raise
        finally:
            self._deadline.cancel()
        self._connection.finish_turn(answer, self._behind)

    def _expire(self) -> None:
        if self._running:
            self.task.cancel()  # the act tells what is known
        else:  # this process has slept: a task that never ran could tell nothing
            self._connection.abort()
