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
    idle_s: float = 75.0  # of a proxy in front, which must have a shorter one, and of this machine
    facing_idle_s: float = 15.0  # of applicants who connect themselves
    write_s: float = 10.0  # without progress
    request_s: float = 15.0  # its body and its answer together
    linger_s: float = 2.0  # for a client to stop sending a refused body
    requests_max: int = 1000  # then the connection is closed


class Timed(RequestHandler):
    """aiohttp's protocol, dropped when a head does not come or an answer is not read."""

    __slots__ = (
        "_deadlines",
        "_head_timer",
        "_idle_s",
        "_unwritten_bytes",
        "_write_timer",
        "heard_at_s",
    )

    def set_deadlines(self, deadlines: Deadlines) -> None:
        """Begin without a timer."""
        self._deadlines, self._idle_s = deadlines, deadlines.idle_s
        self.heard_at_s = 0.0  # when its client's turn began
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._unwritten_bytes = 0  # when last looked at

    def begin_at(self, now_s: float, *, is_private: bool) -> None:
        """Note when it begins, and who is at the other end: a proxy or this machine, or a stranger."""
        self.heard_at_s = now_s
        if not is_private:
            self._idle_s = self._keepalive_timeout = self._deadlines.facing_idle_s

    def await_head(self) -> None:
        """Drop a client whose head is not complete in time, counted from the first call."""
        if self._head_timer is None:
            self._head_timer = self._loop.call_later(self._deadlines.head_s, self.abort)

    def head_arrived(self, now_s: float) -> None:
        """Note that its client has said something whole."""
        self.heard_at_s = now_s
        self.stop_head_timer()

    def keep_open(self, now_s: float) -> None:
        """Wait for the next request from now on."""
        self._next_keepalive_close_time = now_s + self._idle_s

    def stop_head_timer(self) -> None:
        """Wait no longer for a head."""
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
        self.stop_head_timer()
        self._stop_write_timer()
        super().connection_lost(exc)

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
