"""One connection: which bytes may become a request, and how long that may take.

A subclass of aiohttp's ``RequestHandler``, which has no deadlines of its own and answers errors of
its parser with text. Whatever is private to aiohttp and used by the gateway is used here and in
``listener``; ``PRIVATE_NAMES`` lists it, and a test fails by name when a release changes it.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from gateway.web.clients import NOBODY
from gateway.web.deadlines import Timed
from gateway.web.lane import HEAD_END, Lane
from gateway.web.parsing import (
    FIELDS_MAX,
    PART_BYTES_MAX,
    TARGET_BYTES_MAX,
    HeadTooLargeError,
    parser_problem,
)
from gateway.web.problems import Problem, respond
from gateway.web.security import HEAD_BYTES_MAX, harden
from gateway.web.turn import Turn
from gateway.web.wire_format import closing

if TYPE_CHECKING:
    from gateway.web.listener import Listener

PRIVATE_NAMES: Mapping[type, tuple[str, ...]] = {
    RequestHandler: (
        "_loop",
        "_buffer_paused",
        "_keepalive_timeout",
        "_messages",
        "_next_keepalive_close_time",
        "_pause_reading_for_buffer",
        "_paused",
        "_request_count",
        "_resume_reading_for_buffer",
        "_upgraded",
        "_waiter",
    ),
    web.AppRunner: ("_make_server",),
}
PIPELINED_MAX = 32  # answered from one read; aiohttp queues as many


class Connection(Timed):
    """aiohttp's protocol with a lane, deadlines, and problems for errors."""

    __slots__ = (
        *("_between", "_body", "_handed", "_head_bytes", "_listener"),
        *("_pending", "_refused", "_turn", "peer"),
    )

    def __init__(self, listener: "Listener", **limits: Any) -> None:
        super().__init__(
            listener,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # as aiohttp does
            auto_decompress=False,
            max_line_size=TARGET_BYTES_MAX,
            max_field_size=PART_BYTES_MAX,
            max_headers=FIELDS_MAX,
            **limits,
        )
        self._listener = listener
        self._between = True  # no request has come in part: the lane may look
        self._handed = False  # aiohttp has never seen a byte
        self.peer = NOBODY
        self._pending = 0  # requests handed to aiohttp and not answered
        self._refused = False  # nothing more is read
        self._body: StreamReader = EMPTY_PAYLOAD  # of the last request whose head has arrived
        self._head_bytes = 0  # of a head that is not complete
        self._turn: Turn | None = None  # the act under way
        self.set_deadlines(listener.deadlines)

    @property
    def is_worn(self) -> bool:
        """Whether this connection ends with the answer under way: after an upgrade request, too."""
        return self._upgraded or self._request_count >= self._listener.deadlines.requests_max

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless there are too many already."""
        listener, now_s = self._listener, self._loop.time()
        self.peer = listener.proxies.peer(transport.get_extra_info("peername"))
        self.begin_at(now_s, is_private=self.peer.is_private)
        super().connection_made(transport)
        key = "" if self.peer.trusted else self.peer.key
        if not listener.crowd.enter(self, key, now_s=now_s):
            listener.refusals["connections"] += 1
            self.abort()
            return
        self.await_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        """End, and let no timer outlive it."""
        self._listener.pending(-self._pending)
        self._listener.crowd.leave(self)
        self._pending = 0
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in bytes: of bodies, of heads, or of a head that has to be complete in time."""
        if self._refused:
            return
        if self._turn is not None:
            self._turn.hold(data)
            self._pause_reading_for_buffer()
            return
        lane = self._listener.lane
        if lane and data and self._may_drive() and not (data := self._drive(lane, data)):
            return
        self._handed = True
        in_body = not self._body.is_eof()
        count = self._request_count
        super().data_received(data)
        if self._request_count > count:
            self._heads_arrived(self._request_count - count)
            # The parser is between two requests, too: a head that is not complete cannot end so.
            self._between = self._body.is_eof() and data.endswith(HEAD_END)
        elif data:
            self._between = False
            if not in_body and not self._upgraded:
                self._await_head(len(data))

    def _may_drive(self) -> bool:
        """Say whether the lane may answer: nothing is under way, and the client reads."""
        if not self._between or self._paused or self.transport is None:
            return False
        if not self._handed:  # aiohttp's task may not even have begun to wait
            return True
        return self._waiter is not None and not self._waiter.done() and not self._messages

    def _drive(self, lane: Lane, data: bytes) -> bytes:
        """Answer plain requests at the front of ``data``; return what is left for the parser."""
        assert self.transport is not None
        now_s, deadlines, start = self._loop.time(), self._listener.deadlines, 0
        last = min(self._request_count + PIPELINED_MAX, deadlines.requests_max - 1)
        while self._request_count < last and start < len(data) and self._turn is None:
            answered = lane.answer(data, start, now_s, self.peer)
            if answered is None:
                break
            answer, start = answered
            self._request_count += 1
            if isinstance(answer, bytes):
                self.transport.write(answer)
            else:
                self._pending += 1
                self._listener.pending(1)
                self._turn = Turn(self, answer, data[start:], deadlines.request_s)
        if start:
            self.head_arrived(now_s)
            self.keep_open(now_s)
        return data[start:] if self._turn is None else b""

    def finish_turn(self, answer: bytes, behind: Iterable[bytes]) -> None:
        """Write the answer of an act, and go on with what has come behind its request."""
        self._turn = None
        self.answered()
        if self.transport is None:
            return
        if self._listener.draining:
            self.transport.write(closing(answer))
            self.transport.close()
            return
        self.transport.write(answer)
        self.keep_open(self._loop.time())
        if self._buffer_paused:
            self._resume_reading_for_buffer()
        for data in behind:
            self.data_received(data)

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109  aiohttp's
        """Let the act under way end, and what aiohttp has begun."""
        if self._turn is not None:
            await asyncio.wait([self._turn.task], timeout=timeout)
        await super().shutdown(timeout)

    def _heads_arrived(self, count: int) -> None:
        self.head_arrived(self._loop.time())
        self._head_bytes = 0
        for message, body in list(self._messages)[-count:]:
            if not isinstance(message, _ErrInfo):
                self._body = body
                self._pending += 1
                self._listener.pending(1)
            elif not self._body.is_eof():
                # The error is in this body. Told so, its reader need not wait for its deadline.
                self._body.set_exception(web.RequestPayloadError("unreadable body"))

    def _await_head(self, received_bytes: int) -> None:
        self._head_bytes += received_bytes
        if self._head_bytes > TARGET_BYTES_MAX + HEAD_BYTES_MAX:
            self._refuse(HeadTooLargeError())
        else:
            self.await_head()

    def _refuse(self, error: HttpProcessingError) -> None:
        """Have an error answered in its turn, as aiohttp does with those of its parser."""
        self._refused = True
        self.stop_head_timer()
        self._request_count += 1
        self._messages.append((_ErrInfo(status=400, exc=error, message=""), EMPTY_PAYLOAD))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def answered(self) -> None:
        """Note that a request in flight has its answer."""
        if self._pending:
            self._pending -= 1
            self.heard_at_s = self._loop.time()  # its client's turn begins now
            self._listener.pending(-1)

    def is_quiet(self, since_s: float) -> bool:
        """Say whether it waits for its client since then: for a whole head, or the rest of a body."""
        answering = self._pending > 0 and self._body.is_eof()
        return self.heard_at_s <= since_s and not answering

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002  aiohttp's signature
    ) -> web.StreamResponse:
        """Answer what the parser refused. Counted, not logged: a flood would fill the disk.

        Raises:
            ConnectionError: part of another answer has been sent already.

        """
        if request.writer.output_size > 0:
            raise ConnectionError("part of another answer has been sent already")
        problem = parser_problem(exc) if status == 400 else Problem("internal", close=True)
        self._listener.refusals[problem.code] += 1
        response = respond(request, problem, self._listener.style)
        harden(request, response)
        return response
