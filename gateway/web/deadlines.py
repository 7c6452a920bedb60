"""How long may each part of a connection's life take, and how much may it serve?"""

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long each part of a connection's life may take, and how much it may serve."""

    head_s: float = 10.0  # from the first byte; of the first head, from the connection
    idle_s: float = 75.0  # of a proxy in front, which must have a shorter one, and of this machine
    facing_idle_s: float = 15.0  # of applicants who connect themselves
    write_s: float = 10.0  # without progress
    request_s: float = 15.0  # its body and its answer together
    linger_s: float = 2.0  # for a client to stop sending a refused body
    requests_max: int = 1000  # then the connection is closed


class WriteWatch:
    """Ends a connection whose client does not read its answer."""

    __slots__ = ("_loop", "_timer", "_unwritten_bytes", "_write_s")

    def __init__(self, loop: asyncio.AbstractEventLoop, write_s: float) -> None:
        self._loop, self._write_s = loop, write_s
        self._timer: asyncio.TimerHandle | None = None
        self._unwritten_bytes = 0  # when last looked at

    def watch(self, transport: asyncio.WriteTransport) -> None:
        """Look again and again whether less is to be written, until it is not."""
        unwritten_bytes = transport.get_write_buffer_size()
        if self._timer is not None and unwritten_bytes >= self._unwritten_bytes:
            transport.abort()
            return
        self._unwritten_bytes = unwritten_bytes
        self._timer = self._loop.call_later(self._write_s, self.watch, transport)

    def stop(self) -> None:
        """Stop watching: it reads again, or is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
