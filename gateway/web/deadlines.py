"""How long may each part of a connection's life take, and how much may it serve?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp.web_protocol import RequestHandler

if TYPE_CHECKING:
    import asyncio


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long each part of a connection's life may take, and how much it may serve."""

    head_s: float = 10.0  # from the first byte; of the first head, from the connection
    idle_s: float = 75.0  # must exceed that of the proxy in front
    write_s: float = 10.0  # without progress
    request_s: float = 15.0  # its body and its answer together
    linger_s: float = 2.0  # for a client to stop sending a refused body
    requests_max: int = 1000  # then the connection is closed


class Timed(RequestHandler):
    """aiohttp's protocol, dropped when a head does not come or an answer is not read."""

    __slots__ = ("_deadlines", "_head_timer", "_unwritten_bytes", "_write_timer")

    def set_deadlines(self, deadlines: Deadlines) -> None:
        """Begin without a timer."""
        self._deadlines = deadlines
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._unwritten_bytes = 0  # when last looked at

    def await_head(self) -> None:
        """Drop a client whose head is not complete in time, counted from the first call."""
        if self._head_timer is None:
            self._head_timer = self._loop.call_later(self._deadlines.head_s, self.abort)

    def head_arrived(self) -> None:
        """Stop waiting for it."""
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def pause_writing(self) -> None:
        """Watch a client that does not read its answer."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """Stop watching: it reads again."""
        super().resume_writing()
        self._stop_write_timer()

    def _watch(self) -> None:
        if self.transport is None:
            return
        unwritten_bytes = self.transport.get_write_buffer_size()
        if self._write_timer is not None and unwritten_bytes >= self._unwritten_bytes:
            self.abort()
            return
        self._unwritten_bytes = unwritten_bytes
        self._write_timer = self._loop.call_later(self._deadlines.write_s, self._watch)

    def abort(self) -> None:
        """Drop the connection without another word."""
        if self.transport is not None:
            self.transport.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        """End, and let no timer outlive it."""
        self.head_arrived()
        self._stop_write_timer()
        super().connection_lost(exc)

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
